#include "tests/world/faults.h"

#include "tests/world/garbage.h"
#include "tests/world/spoil.h"
#include "tests/world/world.h"

#define FULL_ROOM  2048
#define MS_PER_DAY (86400 * (int64_t)MS_PER_S)
#define YEAR_2000  946684800000

/* ---- striking ---- */

static void note(struct world *world, enum fault_kind kind, bool happened)
{
    world->reached[kind] += happened;
}

static void crash(struct world *world, int node, bool cut)
{
    int64_t wait_us = US_PER_S + world_jitter(world, 20 * US_PER_S);
    if (node == NODE_CENTRE)
        centre_node_crash(&world->centre, cut, wait_us);
    else
        edge_node_crash(&world->edges[node], cut, wait_us);
}

static void stop(struct world *world, int node)
{
    int64_t wait_us = US_PER_S + world_jitter(world, 10 * US_PER_S);
    if (node == NODE_CENTRE)
        centre_node_stop(&world->centre, wait_us);
    else
        edge_node_stop(&world->edges[node], wait_us);
}

bool faults_ended_within(struct world *world, int node)
{
    bool cut = world->faults.cut_within[node];
    note(world, cut ? FAULT_CUT_WITHIN : FAULT_KILL_WITHIN, true);
    return cut;
}

/* At its n-th use of the disk from now on, or right behind the next of a kind. */
static void crash_within(struct world *world, const struct fault_event *event)
{
    static const enum sim_op ops[] = {SIM_UNLINK, SIM_SYNC, SIM_RENAME, SIM_SYNC_FOLDER};
    struct machine *machine = world_machine(world, event->node);
    machine->disk.dead_skip = event->value / 8 % 16;
    if (event->value % 2)
        machine->disk.dead_ops = 1U << ops[event->value / 2 % (sizeof(ops) / sizeof(ops[0]))];
    else
        machine->disk.dead_at = machine->disk.ops + 1 + event->value / 2 % 60;
    world->faults.cut_within[event->node] = event->kind == FAULT_CUT_WITHIN;
}

static void restore(struct world *world, int node)
{
    struct machine *machine = world_machine(world, node);
    if (!machine->has_backup)
        return;
    note(world, FAULT_RESTORE, true);
    crash(world, node, true);
    oracle_restored(world, node);
    machine_restore(machine);
}

static void fail_disk(struct world *world, const struct fault_event *event)
{
    struct sim_disk *disk = &world_machine(world, event->node)->disk;
    disk->fail_one_in = 2 + event->value % 12;
    if (event->kind == FAULT_DISK_READS)
        disk->fail_ops = 1U << SIM_READ;
    else if (event->kind == FAULT_DISK_WRITES)
        disk->fail_ops = 1U << SIM_WRITE;
    else if (event->kind == FAULT_DISK_SYNCS)
        disk->fail_ops = 1U << SIM_SYNC;
    else
        disk->fail_ops = 1U << SIM_OPEN | 1U << SIM_RENAME | 1U << SIM_UNLINK | 1U << SIM_RESERVE |
                         1U << SIM_TRUNCATE | 1U << SIM_SYNC_FOLDER;
}

static void step_clock(struct world *world, const struct fault_event *event)
{
    static const int64_t steps_ms[] = {-3600000, 3600000, -5000,      5000,
                                       -500,     90000,   -172800000, 172800000};
    static const int64_t long_steps_ms[] = {-30 * MS_PER_DAY, 30 * MS_PER_DAY}; /* of an edge */
    struct machine *machine = world_machine(world, event->node);
    size_t i = event->value % 10;
    size_t count = sizeof(steps_ms) / sizeof(steps_ms[0]);
    if (i >= count && event->node == NODE_CENTRE)
        i -= count;
    machine->offset_ms += i < count ? steps_ms[i] : long_steps_ms[i - count];
}

/* A gateway whose clock has no battery. */
static void lose_clock(struct world *world, int node)
{
    crash(world, node, true);
    world_machine(world, node)->offset_ms = YEAR_2000 - WORLD_T0 - world->now_us / US_PER_MS;
}

static void strike(struct world *world, const struct fault_event *event)
{
    struct broker *broker = &world->broker;
    int node = event->node;
    bool running = world_machine(world, node)->running;
    switch (event->kind) {
    case FAULT_STOP:
        note(world, event->kind, running);
        stop(world, node);
        break;
    case FAULT_KILL:
    case FAULT_CUT:
        note(world, event->kind, running);
        crash(world, node, event->kind == FAULT_CUT);
        break;
    case FAULT_KILL_WITHIN:
    case FAULT_CUT_WITHIN:
        crash_within(world, event);
        break;
    case FAULT_CUT_ALL:
        note(world, event->kind, true);
        for (int i = 0; i < NODE_COUNT; i++)
            crash(world, i, true);
        broker_restart(broker, 5 * US_PER_S, true);
        break;
    case FAULT_DISK_FULL: {
        struct sim_disk *disk = &world_machine(world, node)->disk;
        disk->capacity = sim_disk_used(disk) + event->value % FULL_ROOM;
        break;
    }
    case FAULT_DISK_READS:
    case FAULT_DISK_WRITES:
    case FAULT_DISK_SYNCS:
    case FAULT_DISK_NAMES:
        fail_disk(world, event);
        break;
    case FAULT_BIT_FLIP:
        note(world, event->kind, spoil_bit(world, event));
        break;
    case FAULT_MARKS_FLIP:
        crash(world, node, false);
        note(world, event->kind, spoil_marks(world, event));
        break;
    case FAULT_STALE_BLOCK:
        note(world, event->kind, spoil_block(world, event));
        break;
    case FAULT_CLOCK_STEP:
        note(world, event->kind, running);
        step_clock(world, event);
        break;
    case FAULT_CLOCK_LOST:
        note(world, event->kind, true);
        lose_clock(world, node);
        break;
    case FAULT_BACKUP:
        note(world, event->kind, true);
        machine_backup(world_machine(world, node));
        break;
    case FAULT_RESTORE:
        restore(world, node);
        break;
    case FAULT_OFFLINE:
        broker_cut(broker, node, true, true);
        break;
    case FAULT_CUT_UP:
        broker_cut(broker, node, true, false);
        break;
    case FAULT_CUT_DOWN:
        broker_cut(broker, node, false, true);
        break;
    case FAULT_RESET:
        broker_reset(broker, node);
        break;
    case FAULT_TAKEOVER:
        broker_takeover(broker, node, event->for_us);
        break;
    case FAULT_BROKER_RESTART:
    case FAULT_BROKER_FORGETS:
        note(world, event->kind, event->kind == FAULT_BROKER_RESTART || broker->retained_count);
        broker_restart(broker, event->for_us, event->kind == FAULT_BROKER_FORGETS);
        break;
    case FAULT_LINE_DROPS:
        broker->drop_one_in = 2 + event->value % 8;
        break;
    case FAULT_LINE_DOUBLES:
        broker->double_one_in = 2 + event->value % 8;
        break;
    case FAULT_LINE_REORDERS:
        broker->reorder_one_in = 2 + event->value % 8;
        break;
    case FAULT_LINE_LIES:
        broker->lie_one_in = 2 + event->value % 8;
        break;
    case FAULT_LINE_SLOW:
        broker->delay_us = (int64_t)(event->value % 20 + 1) * US_PER_S;
        break;
    case FAULT_SLOW_PART:
        world->centre.slow_us[event->value % PART_COUNT] = 20 * US_PER_S;
        break;
    case FAULT_PROVIDER_SILENT:
    case FAULT_PROVIDER_HALF:
    case FAULT_PROVIDER_500:
    case FAULT_PROVIDER_FORGETS:
        world->provider.mode =
            (enum provider_mode)(event->kind - FAULT_PROVIDER_SILENT + PROVIDER_TIMES_OUT);
        break;
    case FAULT_GARBAGE:
        garbage_throw(world, event);
        break;
    case FAULT_CUT_SHORT:
        broker->cut_short = 1 + event->value % 16;
        break;
    case FAULT_KIND_COUNT:
        break;
    }
}

static void end_fault(struct world *world, const struct fault_event *event)
{
    struct broker *broker = &world->broker;
    struct sim_disk *disk = &world_machine(world, event->node)->disk;
    switch ((int)event->kind) {
    case FAULT_DISK_FULL:
        disk->capacity = 0;
        break;
    case FAULT_DISK_READS:
    case FAULT_DISK_WRITES:
    case FAULT_DISK_SYNCS:
    case FAULT_DISK_NAMES:
        disk->fail_one_in = 0;
        break;
    case FAULT_CLOCK_LOST:
        world_machine(world, event->node)->offset_ms = 0;
        break;
    case FAULT_OFFLINE:
    case FAULT_CUT_UP:
    case FAULT_CUT_DOWN:
        broker_cut(broker, event->node, false, false);
        break;
    case FAULT_LINE_DROPS:
        broker->drop_one_in = 0;
        break;
    case FAULT_LINE_DOUBLES:
        broker->double_one_in = 0;
        break;
    case FAULT_LINE_REORDERS:
        broker->reorder_one_in = 0;
        break;
    case FAULT_LINE_LIES:
        broker->lie_one_in = 0;
        break;
    case FAULT_LINE_SLOW:
        broker->delay_us = 30 * US_PER_MS;
        break;
    case FAULT_SLOW_PART:
        world->centre.slow_us[event->value % PART_COUNT] = 0;
        break;
    case FAULT_PROVIDER_SILENT:
    case FAULT_PROVIDER_HALF:
    case FAULT_PROVIDER_500:
    case FAULT_PROVIDER_FORGETS:
        world->provider.mode = PROVIDER_WELL;
        break;
    default:
        break;
    }
}

void faults_step(struct world *world)
{
    struct fault_state *state = &world->faults;
    for (size_t i = 0; i < state->count;) {
        if (state->ends[i].at_us > world->now_us) {
            i++;
            continue;
        }
        end_fault(world, &state->ends[i].event);
        state->ends[i] = state->ends[--state->count];
    }
    while (!world->failed && world->next_event < world->plan->count &&
           world->plan->events[world->next_event].at_us <= world->now_us) {
        const struct fault_event *event = &world->plan->events[world->next_event++];
        strike(world, event);
        if (state->count < PLAN_EVENTS)
            state->ends[state->count++] = (struct fault_end){world->now_us + event->for_us, *event};
    }
}

int64_t faults_due(const struct world *world)
{
    int64_t due = NEVER;
    if (world->next_event < world->plan->count)
        due = world->plan->events[world->next_event].at_us;
    for (size_t i = 0; i < world->faults.count; i++)
        if (world->faults.ends[i].at_us < due)
            due = world->faults.ends[i].at_us;
    return due;
}

void faults_heal(struct world *world)
{
    for (size_t i = 0; i < world->faults.count; i++)
        end_fault(world, &world->faults.ends[i].event);
    world->faults.count = 0;
    for (int node = 0; node < NODE_COUNT; node++)
        world_machine(world, node)->disk.dead_at = world_machine(world, node)->disk.dead_ops = 0;
    for (int i = 0; i < BROKER_CLIENTS; i++)
        world->broker.clients[i].rival_until_us = 0;
    if (world->broker.down_until_us > world->now_us)
        world->broker.down_until_us = world->now_us;
}

/* ---- what happened ---- */

static void tally_disk(struct world *world, const struct sim_tally *tally)
{
    static const enum sim_op names[] = {SIM_OPEN,    SIM_RENAME,   SIM_UNLINK,
                                        SIM_RESERVE, SIM_TRUNCATE, SIM_SYNC_FOLDER};
    uint64_t *reached = world->reached;
    reached[FAULT_DISK_READS] += tally->failed[SIM_READ];
    reached[FAULT_DISK_WRITES] += tally->failed[SIM_WRITE];
    reached[FAULT_DISK_SYNCS] += tally->failed[SIM_SYNC];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        reached[FAULT_DISK_NAMES] += tally->failed[names[i]];
    reached[FAULT_DISK_FULL] += tally->full;
    reached[SITE_FULL_IN_PART] += tally->full_in_part;
}

void faults_tally(struct world *world)
{
    const struct broker *broker = &world->broker;
    uint64_t *reached = world->reached;
    for (int node = 0; node < NODE_COUNT; node++)
        tally_disk(world, &world_machine(world, node)->disk.tally);
    for (int mode = PROVIDER_TIMES_OUT; mode < PROVIDER_MODE_COUNT; mode++)
        reached[FAULT_PROVIDER_SILENT + mode - PROVIDER_TIMES_OUT] += world->provider.asked[mode];
    reached[FAULT_OFFLINE] += broker->offline;
    reached[FAULT_CUT_UP] += broker->vanished_up;
    reached[FAULT_CUT_DOWN] += broker->vanished_down;
    reached[FAULT_RESET] += broker->resets;
    reached[FAULT_TAKEOVER] += broker->rivals;
    reached[FAULT_LINE_DROPS] += broker->dropped;
    reached[FAULT_LINE_DOUBLES] += broker->doubled;
    reached[FAULT_LINE_REORDERS] += broker->reordered;
    reached[FAULT_LINE_LIES] += broker->lied;
    reached[FAULT_LINE_SLOW] += broker->slowed;
    reached[FAULT_CUT_SHORT] += broker->parts;
    reached[SITE_WILL] += broker->wills;
    reached[SITE_TAKEN_OVER] += broker->takeovers;
}
