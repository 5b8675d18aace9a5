/*
 * The whole system in one process, on virtual time, with a seed: three edges, a broker, the centre,
 * a provider and people, out of the product's own parts, on simulated disks.
 *
 *   plan (plan.h) ──> world ── steps ──> edges, centre ── what they did ──> oracle
 *
 * A world is made from a plan and run to its end; what goes wrong is in `failure`, and the same
 * plan gives the same run. One thread. Faults stop QUIET_US before the end: all must heal by then.
 */
#ifndef TESTS_WORLD_WORLD_H
#define TESTS_WORLD_WORLD_H

#include "tests/world/broker_model.h"
#include "tests/world/centre_node.h"
#include "tests/world/edge_node.h"
#include "tests/world/faults.h"
#include "tests/world/machine.h"
#include "tests/world/oracle.h"
#include "tests/world/provider_model.h"

#define WORLD_US    (3600 * (int64_t)US_PER_S)
#define QUIET_US    (900 * (int64_t)US_PER_S)
#define WORLD_T0    1767225600000 /* 2026 */
#define FAILURE_MAX 600

struct world {
    const struct plan *plan;
    uint64_t random; /* of the scheduler */
    int64_t now_us;
    size_t next_event; /* of the plan */
    bool healed;
    struct broker broker;
    struct edge_node edges[WORLD_EDGES];
    struct centre_node centre;
    struct provider provider;
    struct oracle oracle;
    struct fault_state faults;
    uint64_t reached[SITE_COUNT];
    uint64_t steps;
    bool failed;
    char failure[FAILURE_MAX];
    int64_t failed_us;
};

/* Runs a plan to its end, or to its first failure. True where nothing failed. */
bool world_run(struct world *world, const struct plan *plan);
void world_release(struct world *world);

/* Says what is wrong, once; the run ends. */
void world_fail(struct world *world, const char *format, ...) PRINTF_LIKE(2, 3);

/* 0..bound - 1 of the scheduler's row; a wait of up to `most` microseconds. */
uint32_t world_below(struct world *world, uint32_t bound);
int64_t world_jitter(struct world *world, int64_t most_us);

struct machine *world_machine(struct world *world, int node);

#endif
