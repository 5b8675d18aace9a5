/*
 * The centre: the product's ingest, historian, alarms, office and sender over one journal, on a
 * machine of their own, wired as collector/central/central.c does; and the people who use it.
 */
#ifndef TESTS_WORLD_CENTRE_NODE_H
#define TESTS_WORLD_CENTRE_NODE_H

#include "central/alarm_reader.h"
#include "central/dead_letters.h"
#include "central/historian.h"
#include "central/ingest.h"
#include "central/live.h"
#include "central/office.h"
#include "central/outbox_drain.h"
#include "central/sender.h"
#include "central/sources.h"
#include "model/rule.h"
#include "store/journal.h"
#include "store/office_db.h"
#include "store/sender_db.h"
#include "tests/world/machine.h"

#define CENTRE_NAME "c1"

enum centre_part { PART_INGEST, PART_ALARM, PART_HISTORIAN, PART_SENDER, PART_PEOPLE, PART_COUNT };

struct world;

struct centre_node {
    struct world *world;
    struct machine machine;
    struct rules *rules;
    struct webhook_config webhook;

    struct sources sources;
    struct journal *journal; /* NULL while the process is gone */
    struct dead_letters *letters;
    struct historian *historian;
    struct live *live;
    struct alarm_reader *alarms;
    struct office *office;
    struct office_db *office_reader;
    struct sender *sender;
    struct sender_db *sender_reader;
    struct outbox_drain office_drain, sender_drain;
    struct ingest *ingest;
    char nonce[33];
    bool connected;
    int64_t connected_us;
    int64_t due_us[PART_COUNT];  /* when each steps next, of the world */
    int64_t slow_us[PART_COUNT]; /* a slow consumer waits that much longer */
};

void centre_node_init(struct world *world, uint64_t seed);
void centre_node_release(struct centre_node *centre);

void centre_node_start(struct centre_node *centre);
void centre_node_crash(struct centre_node *centre, bool cut, int64_t wait_us);
void centre_node_stop(struct centre_node *centre, int64_t wait_us);

int64_t centre_node_due(const struct centre_node *centre);
void centre_node_step(struct centre_node *centre);

#endif
