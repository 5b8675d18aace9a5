/*
 * What will go wrong, and when: made from a seed, and data, so that a shorter one can be tried
 * (shrink.h). Plain data, no owner.
 */
#ifndef TESTS_WORLD_PLAN_H
#define TESTS_WORLD_PLAN_H

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
    FAULT_DISK_READS,  /* some fail, and may succeed the next time */
    FAULT_DISK_WRITES, /* some fail, in part */
    FAULT_DISK_SYNCS,  /* some fail, and what they should have flushed is forgotten */
    FAULT_DISK_NAMES,  /* opening, renaming, removing, reserving, flushing a folder fail */
    FAULT_BIT_FLIP,    /* in an edge's segment */
    FAULT_MARKS_FLIP,  /* in a slot of an edge's marks, found at its next start */
    FAULT_STALE_BLOCK, /* a block of an edge's segment is found in another place too */
    FAULT_CLOCK_STEP,
    FAULT_CLOCK_LOST, /* an edge starts in the year 2000, until it is told the time */
    FAULT_BACKUP,     /* the disk is kept … */
    FAULT_RESTORE,    /* … and becomes what was kept */
    FAULT_OFFLINE,
    FAULT_CUT_UP, /* one way */
    FAULT_CUT_DOWN,
    FAULT_RESET,
    FAULT_TAKEOVER, /* another has its name, to and fro */
    FAULT_BROKER_RESTART,
    FAULT_BROKER_FORGETS,
    FAULT_LINE_DROPS,
    FAULT_LINE_DOUBLES,
    FAULT_LINE_REORDERS,
    FAULT_LINE_LIES,
    FAULT_LINE_SLOW,
    FAULT_SLOW_PART,
    FAULT_PROVIDER_SILENT, /* in the order of provider_mode */
    FAULT_PROVIDER_HALF,
    FAULT_PROVIDER_500,
    FAULT_PROVIDER_FORGETS,
    FAULT_GARBAGE,   /* a payload that nobody can read, to the centre or an edge */
    FAULT_CUT_SHORT, /* records come, and a part of each beside them */
    FAULT_KIND_COUNT,
};

/* What followed of faults. */
enum site {
    SITE_WILL = FAULT_KIND_COUNT,
    SITE_TAKEN_OVER, /* an older connection by the client's own newer one */
    SITE_FULL_IN_PART,
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

void plan_make(struct plan *plan, uint64_t seed);
void plan_print(const struct plan *plan, FILE *out);

#endif
