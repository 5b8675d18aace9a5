/*
 * What goes wrong, and when: a plan is made from a seed, and is data, so that a shorter one can be
 * tried (shrink.h). Sites count what truly happened: a fault that never strikes tests nothing.
 */
#ifndef TESTS_WORLD_FAULTS_H
#define TESTS_WORLD_FAULTS_H

#include "base/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define PLAN_EVENTS 64

enum fault_kind {
    FAULT_STOP,        /* a service is stopped and started */
    FAULT_KILL,        /* a process ends between two steps */
    FAULT_KILL_WITHIN, /* … within a step, at its n-th use of the disk */
    FAULT_CUT,         /* the power goes */
    FAULT_CUT_WITHIN,
    FAULT_CUT_ALL, /* of every machine at once */
    FAULT_DISK_FULL,
    FAULT_DISK_WRITES, /* some fail, in part */
    FAULT_DISK_SYNCS,  /* some fail, and what they should have flushed is forgotten */
    FAULT_DISK_NAMES,  /* opening, renaming, removing, reserving, flushing a folder fail */
    FAULT_BIT_FLIP,    /* in an edge's segment */
    FAULT_STALE_BLOCK, /* a block of an edge's segment is found in another place too */
    FAULT_CLOCK_STEP,
    FAULT_BACKUP,  /* the disk is kept … */
    FAULT_RESTORE, /* … and becomes what was kept */
    FAULT_OFFLINE,
    FAULT_CUT_UP, /* one way */
    FAULT_CUT_DOWN,
    FAULT_RESET,
    FAULT_TAKEOVER,
    FAULT_BROKER_RESTART,
    FAULT_BROKER_FORGETS,
    FAULT_LINE_DROPS,
    FAULT_LINE_DOUBLES,
    FAULT_LINE_REORDERS,
    FAULT_LINE_LIES,
    FAULT_LINE_SLOW,
    FAULT_SLOW_PART,
    FAULT_PROVIDER,
    FAULT_GARBAGE, /* a payload that nobody can read */
    FAULT_KIND_COUNT,
};

/* What a fault, or the product's answer to one, did. */
enum site {
    SITE_DROPPED = FAULT_KIND_COUNT,
    SITE_DOUBLED,
    SITE_REORDERED,
    SITE_LIED,
    SITE_WILL,
    SITE_DISK_FAILURE,
    SITE_EDGE_NOT_STARTED,
    SITE_CENTRE_NOT_STARTED,
    SITE_LOSS_SPACE,
    SITE_LOSS_RESTART,
    SITE_LOSS_DAMAGE,
    SITE_NEW_EPOCH,
    SITE_PARKED,
    SITE_DEAD_LETTER,
    SITE_BEYOND,
    SITE_DUPLICATE,
    SITE_RAISE,
    SITE_ACKED,
    SITE_PROVIDER_REFUSED,
    SITE_MEMORY_LOST, /* samples that a crash took before they were durable */
    SITE_COUNT,
};

const char *site_name(int site);

struct fault_event {
    int64_t at_us, for_us;
    enum fault_kind kind;
    int node; /* edge, or NODE_CENTRE */
    uint32_t value;
};

struct plan {
    uint64_t seed;
    size_t count;
    struct fault_event events[PLAN_EVENTS];
};

struct world;

/* What is to be ended later. */
struct fault_state {
    struct fault_end {
        int64_t at_us;
        struct fault_event event;
    } ends[PLAN_EVENTS];
    size_t count;
    bool cut_within[8]; /* the process's end within a step takes the power with it */
};

void plan_make(struct plan *plan, uint64_t seed);
void plan_print(const struct plan *plan, FILE *out);

/* Strikes what is due, ends what is over. */
void faults_step(struct world *world);
int64_t faults_due(const struct world *world);

/* The end of all of them. */
void faults_heal(struct world *world);

#endif
