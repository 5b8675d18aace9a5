#include "tests/world/world.h"

#include "tests/world/sim_vfs.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LEAST_US (10 * (int64_t)US_PER_MS) /* between two instants */

uint32_t world_below(struct world *world, uint32_t bound)
{
    return sim_below(&world->random, bound);
}

int64_t world_jitter(struct world *world, int64_t most_us)
{
    return (int64_t)world_below(world, (uint32_t)most_us);
}

struct machine *world_machine(struct world *world, int node)
{
    return node == NODE_CENTRE ? &world->centre.machine : &world->edges[node].machine;
}

void world_fail(struct world *world, const char *format, ...)
{
    va_list args;
    if (world->failed)
        return;
    world->failed = true;
    world->failed_us = world->now_us;
    va_start(args, format);
    vsnprintf(world->failure, sizeof(world->failure), format, args);
    va_end(args);
}

static void begin(struct world *world, const struct plan *plan)
{
    uint64_t row = plan->seed * 2 + 1;
    *world = (struct world){.plan = plan, .random = sim_random(&row)};
    sim_vfs_reset(sim_random(&row));
    broker_init(&world->broker, sim_random(&row));
    provider_init(&world->provider);
    oracle_init(&world->oracle);
    for (int i = 0; i < WORLD_EDGES; i++) {
        edge_node_init(world, i, sim_random(&row));
        sim_vfs_mount(world->edges[i].folder, &world->edges[i].machine.disk);
    }
    centre_node_init(world, sim_random(&row));
    sim_vfs_mount("/c", &world->centre.machine.disk);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t next_instant(const struct world *world)
{
    int64_t due = earlier(broker_due(&world->broker), faults_due(world));
    for (int i = 0; i < WORLD_EDGES; i++)
        due = earlier(due, edge_node_due(&world->edges[i]));
    due = earlier(due, centre_node_due(&world->centre));
    int64_t least = world->now_us + LEAST_US;
    return due < least ? least : due;
}

/* Everybody who is due, in an order that is a matter of luck. */
static void step(struct world *world)
{
    int first = (int)world_below(world, NODE_COUNT + 1);
    world->steps++;
    for (int i = 0; i <= NODE_COUNT; i++) {
        int who = (first + i) % (NODE_COUNT + 1);
        if (who < WORLD_EDGES)
            edge_node_step(&world->edges[who]);
        else if (who == NODE_CENTRE)
            centre_node_step(&world->centre);
        else
            broker_step(&world->broker, world->now_us);
    }
    faults_step(world);
    oracle_bounds(world);
}

bool world_run(struct world *world, const struct plan *plan)
{
    begin(world, plan);
    while (!world->failed && world->now_us < WORLD_US) {
        world->now_us = next_instant(world);
        if (!world->healed && world->now_us >= WORLD_US - QUIET_US) {
            world->healed = true;
            faults_heal(world);
        }
        step(world);
    }
    if (!world->failed)
        oracle_end(world);
    faults_tally(world);
    return !world->failed;
}

void world_release(struct world *world)
{
    world->failed = true; /* what it says from here on is of no interest */
    for (int i = 0; i < WORLD_EDGES; i++)
        edge_node_release(&world->edges[i]);
    centre_node_release(&world->centre);
    oracle_release(&world->oracle);
    provider_release(&world->provider);
    broker_release(&world->broker);
}
