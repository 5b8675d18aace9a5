/*
 * An edge: instruments that are polled, and the product's journal, recorder and uplink on a machine
 * of their own, wired as collector/edge/edge.c does.
 */
#ifndef TESTS_WORLD_EDGE_NODE_H
#define TESTS_WORLD_EDGE_NODE_H

#include "edge/recorder.h"
#include "edge/uplink.h"
#include "model/sample.h"
#include "store/journal.h"
#include "tests/world/machine.h"

#define WORLD_POINTS 5 /* of an edge: one of safety, two of compliance, two of trend */

struct world;

struct edge_node {
    struct world *world;
    int index;
    char name[16], site[16], folder[16];
    struct machine machine;
    struct point_info points[WORLD_POINTS];
    enum stream streams[WORLD_POINTS];
    uint64_t limit_bytes; /* of its journal */

    struct journal *journal; /* NULL while the process is gone */
    struct recorder *recorder;
    struct uplink *uplink;
    char instance[33];
    bool epoch_wanted, epoch_made;
    int64_t recorder_us, uplink_us; /* when they step next, of the world */
    int64_t troubled_us;            /* the recorder said last that its disk is failing */

    uint64_t signal; /* the instruments' row */
    int64_t poll_us[WORLD_POINTS];
    int64_t level[WORLD_POINTS]; /* what the instrument shows */
    int64_t change_us[WORLD_POINTS];
    bool bad[WORLD_POINTS], silent[WORLD_POINTS];
};

void edge_node_init(struct world *world, int index, uint64_t seed);
void edge_node_release(struct edge_node *edge);

/* The process starts; where its disk does not let it, it ends at once. */
void edge_node_start(struct edge_node *edge);
/* It ends without a word; with `cut` its power goes too. Started again after `wait_us`. */
void edge_node_crash(struct edge_node *edge, bool cut, int64_t wait_us);
/* It is stopped as a service is: what is in memory is recorded, what can be sent is not awaited. */
void edge_node_stop(struct edge_node *edge, int64_t wait_us);

/* When something is due; does what is due. */
int64_t edge_node_due(const struct edge_node *edge);
void edge_node_step(struct edge_node *edge);

#endif
