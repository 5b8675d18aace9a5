/* What a node runs on: a disk, clocks, and whether its process is there. */
#ifndef TESTS_WORLD_MACHINE_H
#define TESTS_WORLD_MACHINE_H

#include "base/clock.h"
#include "tests/unit/support/sim_disk.h"

#include <stdbool.h>
#include <stdint.h>

#define WORLD_EDGES 3
#define NODE_CENTRE WORLD_EDGES
#define NODE_COUNT  (WORLD_EDGES + 1)

struct machine {
    struct sim_disk disk;
    uint64_t seed;     /* of names and disks to come */
    int64_t boot_us;   /* when it booted */
    int64_t offset_ms; /* of its wall clock */
    int64_t start_us;  /* its supervisor starts the process then; NEVER while it runs */
    bool running;      /* the process is there */
    char boot[33];
    struct sim_disk backup;
    bool has_backup;
};

void machine_init(struct machine *machine, uint64_t seed);
void machine_release(struct machine *machine);

/* A boot: its monotonic clock begins anew, under a new name. */
void machine_boot(struct machine *machine, int64_t now_us);

/* Its clocks at that instant of the world. */
struct now machine_now(const struct machine *machine, int64_t now_us);

/* 32 hex digits of its row. */
void machine_name(struct machine *machine, char ret_name[33]);

/* The process is gone, with what the disk had or (`cut`) with what was flushed; nothing reaches the
 * disk until machine_alive. */
void machine_die(struct machine *machine, bool cut);
void machine_alive(struct machine *machine);

/* The disk as it is now is kept; the disk becomes what was kept. Nothing may be open. */
void machine_backup(struct machine *machine);
void machine_restore(struct machine *machine);

/* Looks at the disk without its faults: `machine_look_end` gives them back. */
struct machine_faults {
    uint64_t fail_at, dead_at, ops;
    uint32_t fail_one_in, dead_ops;
    uint64_t seed;
};
void machine_look(struct machine *machine, struct machine_faults *ret_faults);
void machine_look_end(struct machine *machine, const struct machine_faults *faults);

#endif
