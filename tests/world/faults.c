#include "tests/world/faults.h"

#include "tests/world/world.h"

#include <inttypes.h>
#include <string.h>

#define FIRST_US  (60 * (int64_t)US_PER_S)
#define EVENTS    14 /* at most, beside what belongs to one of them */
#define FULL_ROOM 2048
#define AT_UNLINK 1 /* of an event's value: crash_within */

static const char *const names[SITE_COUNT] = {
    [FAULT_STOP] = "stop",
    [FAULT_KILL] = "kill",
    [FAULT_KILL_WITHIN] = "kill within a step",
    [FAULT_CUT] = "power cut",
    [FAULT_CUT_WITHIN] = "power cut within a step",
    [FAULT_CUT_ALL] = "power cut of all",
    [FAULT_DISK_FULL] = "disk full",
    [FAULT_DISK_WRITES] = "writes fail",
    [FAULT_DISK_SYNCS] = "flushes fail",
    [FAULT_DISK_NAMES] = "files and folders fail",
    [FAULT_BIT_FLIP] = "bit flip",
    [FAULT_STALE_BLOCK] = "stale block",
    [FAULT_CLOCK_STEP] = "clock step",
    [FAULT_BACKUP] = "backup",
    [FAULT_RESTORE] = "restored from the backup",
    [FAULT_OFFLINE] = "offline",
    [FAULT_CUT_UP] = "its letters vanish",
    [FAULT_CUT_DOWN] = "letters to it vanish",
    [FAULT_RESET] = "connection reset",
    [FAULT_TAKEOVER] = "name taken over",
    [FAULT_BROKER_RESTART] = "broker restarts",
    [FAULT_BROKER_FORGETS] = "broker restarts and forgets",
    [FAULT_LINE_DROPS] = "line drops",
    [FAULT_LINE_DOUBLES] = "line doubles",
    [FAULT_LINE_REORDERS] = "line reorders",
    [FAULT_LINE_LIES] = "broker lies",
    [FAULT_LINE_SLOW] = "line slow",
    [FAULT_SLOW_PART] = "slow consumer",
    [FAULT_PROVIDER] = "provider ill",
    [FAULT_GARBAGE] = "garbage",
    [SITE_DROPPED] = "letter dropped",
    [SITE_DOUBLED] = "letter doubled",
    [SITE_REORDERED] = "letter out of order",
    [SITE_LIED] = "letter acknowledged and dropped",
    [SITE_WILL] = "will published",
    [SITE_DISK_FAILURE] = "disk call failed",
    [SITE_EDGE_NOT_STARTED] = "edge could not start",
    [SITE_CENTRE_NOT_STARTED] = "centre could not start",
    [SITE_LOSS_SPACE] = "loss for space",
    [SITE_LOSS_RESTART] = "loss of a restart",
    [SITE_LOSS_DAMAGE] = "loss of damage",
    [SITE_NEW_EPOCH] = "new epoch",
    [SITE_PARKED] = "record parked",
    [SITE_DEAD_LETTER] = "dead letter",
    [SITE_BEYOND] = "receipt beyond the end",
    [SITE_DUPLICATE] = "duplicate passed over",
    [SITE_RAISE] = "alarm raised",
    [SITE_ACKED] = "alarm acknowledged",
    [SITE_PROVIDER_REFUSED] = "notification refused",
    [SITE_MEMORY_LOST] = "samples lost in memory",
};

const char *site_name(int site)
{
    return names[site];
}

/* ---- the plan ---- */

static int compare_events(const struct fault_event *a, const struct fault_event *b)
{
    return a->at_us < b->at_us ? -1 : a->at_us > b->at_us;
}

static void add_event(struct plan *plan, const struct fault_event *event)
{
    if (plan->count == PLAN_EVENTS)
        return;
    size_t i = plan->count++;
    for (; i && compare_events(event, &plan->events[i - 1]) < 0; i--)
        plan->events[i] = plan->events[i - 1];
    plan->events[i] = *event;
}

static int64_t seconds(uint64_t *seed, uint32_t from, uint32_t to)
{
    return (int64_t)(from + sim_below(seed, to - from + 1)) * US_PER_S;
}

/* Long enough to fill a journal, now and then. */
static int64_t duration(uint64_t *seed)
{
    return sim_below(seed, 4) ? seconds(seed, 5, 120) : seconds(seed, 300, 1500);
}

/* An edge's; where it has a backlog, for what the centre has is no loss. */
static void add_damage(struct plan *plan, uint64_t *seed, struct fault_event *event)
{
    struct fault_event offline = *event;
    event->node = offline.node = event->node % WORLD_EDGES;
    offline.kind = FAULT_OFFLINE;
    offline.at_us -= seconds(seed, 10, 300);
    offline.for_us = event->at_us - offline.at_us + seconds(seed, 1, 60);
    if (offline.at_us > 0 && sim_below(seed, 4))
        add_event(plan, &offline);
}

/* An edge that unlinks: its journal is full, and some of what goes the centre never had. */
static void add_full(struct plan *plan, uint64_t *seed, struct fault_event *event)
{
    struct fault_event offline = *event;
    event->node = offline.node = 0;
    offline.kind = FAULT_OFFLINE;
    offline.for_us = seconds(seed, 1500, 2400);
    add_event(plan, &offline);
}

static void add_random(struct plan *plan, uint64_t *seed)
{
    struct fault_event event = {
        .kind = (enum fault_kind)sim_below(seed, FAULT_KIND_COUNT),
        .node = (int)sim_below(seed, NODE_COUNT),
        .at_us = FIRST_US +
                 seconds(seed, 0, (uint32_t)((WORLD_US - QUIET_US - 2 * FIRST_US) / US_PER_S)),
        .for_us = duration(seed),
        .value = (uint32_t)sim_random(seed),
    };
    if (event.kind == FAULT_BIT_FLIP || event.kind == FAULT_STALE_BLOCK)
        add_damage(plan, seed, &event);
    bool within = event.kind == FAULT_KILL_WITHIN || event.kind == FAULT_CUT_WITHIN;
    if (within && event.value % 8 == AT_UNLINK)
        add_full(plan, seed, &event);
    if (event.kind == FAULT_BACKUP)
        event.kind = FAULT_RESTORE;
    if (event.kind == FAULT_RESTORE) {
        struct fault_event backup = event;
        backup.kind = FAULT_BACKUP;
        backup.at_us =
            FIRST_US + (int64_t)(sim_below(seed, 1000)) * (event.at_us - FIRST_US) / 1000;
        add_event(plan, &backup);
    }
    add_event(plan, &event);
}

void plan_make(struct plan *plan, uint64_t seed)
{
    *plan = (struct plan){.seed = seed};
    uint64_t row = seed;
    uint32_t count = sim_below(&row, EVENTS + 1);
    for (uint32_t i = 0; i < count; i++)
        add_random(plan, &row);
}

static const char *node_name(int node)
{
    static const char *const nodes[] = {"e1", "e2", "e3", "centre"};
    return nodes[node];
}

void plan_print(const struct plan *plan, FILE *out)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct fault_event *event = &plan->events[i];
        fprintf(out, "  %7.1f s  %-7s %s (for %" PRId64 " s, value %u)\n",
                (double)event->at_us / US_PER_S, node_name(event->node), names[event->kind],
                event->for_us / US_PER_S, event->value % 10000);
    }
}

/* ---- striking ---- */

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
    crash(world, node, true);
    oracle_restored(world, node);
    machine_restore(machine);
}

static void fail_disk(struct world *world, const struct fault_event *event)
{
    struct sim_disk *disk = &world_machine(world, event->node)->disk;
    disk->fail_one_in = 2 + event->value % 12;
    if (event->kind == FAULT_DISK_WRITES)
        disk->fail_ops = 1U << SIM_WRITE;
    else if (event->kind == FAULT_DISK_SYNCS)
        disk->fail_ops = 1U << SIM_SYNC;
    else
        disk->fail_ops = 1U << SIM_OPEN | 1U << SIM_RENAME | 1U << SIM_UNLINK | 1U << SIM_RESERVE |
                         1U << SIM_TRUNCATE | 1U << SIM_SYNC_FOLDER;
}

/* Where an edge's newest segment of a stream ends. */
static uint64_t used_bytes(const struct sim_disk *disk, const char *path)
{
    uint64_t len = sim_disk_size(disk, path);
    while (len && !sim_disk_byte(disk, path, len - 1))
        len--;
    return len;
}

/* The newest segment of one stream: it holds what the centre may not have. Not of the first: where
 * a birth or the record of a loss is spoiled before the centre has it, nothing can tell of it. */
static const char *pick_segment(struct world *world, const struct fault_event *event,
                                uint64_t *ret_len)
{
    const struct sim_disk *disk = &world_machine(world, event->node)->disk;
    const char *newest = NULL;
    char letter = STREAM_LETTERS[1 + event->value % (STREAM_COUNT - 1)];
    for (size_t i = 0; i < sim_disk_count(disk, ".seg"); i++) {
        const char *path = sim_disk_path(disk, ".seg", i);
        if (strrchr(path, '/')[1] == letter)
            newest = path;
    }
    *ret_len = newest ? used_bytes(disk, newest) : 0;
    return *ret_len > 0 ? newest : NULL;
}

static void flip_bit(struct world *world, const struct fault_event *event)
{
    struct machine *machine = world_machine(world, event->node);
    uint64_t len;
    const char *path = pick_segment(world, event, &len);
    if (!path)
        return;
    uint64_t at = event->value / 64 % len;
    machine->damaged = true;
    oracle_spoiled(world, event->node, path, at, 1);
    sim_disk_damage(&machine->disk, path, at, (uint8_t)(1U << event->value % 8));
}

/* A block of the same file, some frames on, is found in an earlier place: what was there is lost,
 * and what is there now was valid elsewhere. */
static void copy_block(struct world *world, const struct fault_event *event)
{
    struct machine *machine = world_machine(world, event->node);
    uint64_t len;
    const char *path = pick_segment(world, event, &len);
    if (!path || len < 4 * SIM_SECTOR)
        return;
    uint64_t to = event->value / 64 % (len - 3 * SIM_SECTOR);
    uint64_t from = to + 256 + event->value / 7 % 1024;
    machine->damaged = true;
    oracle_spoiled(world, event->node, path, to, 2 * SIM_SECTOR);
    for (uint64_t i = 0; i < 2 * SIM_SECTOR; i++) {
        uint8_t there = sim_disk_byte(&machine->disk, path, to + i);
        uint8_t other = sim_disk_byte(&machine->disk, path, from + i);
        sim_disk_damage(&machine->disk, path, to + i, there ^ other);
    }
}

static void step_clock(struct world *world, const struct fault_event *event)
{
    static const int64_t steps_ms[] = {-3600000, 3600000, -5000,      5000,
                                       -500,     90000,   -172800000, 172800000};
    struct machine *machine = world_machine(world, event->node);
    machine->offset_ms += steps_ms[event->value % (sizeof(steps_ms) / sizeof(steps_ms[0]))];
}

static void throw_garbage(struct world *world, const struct fault_event *event)
{
    static const char *const payloads[] = {"", "{", "\xff\xfe", "[1,2,3]", "{\"k\":\"data\"}"};
    const char *payload = payloads[event->value % (sizeof(payloads) / sizeof(payloads[0]))];
    char topic[TOPIC_SIZE];
    topic_make(event->value & 64 ? TOPIC_DATA : TOPIC_STATE, "e9", topic);
    if (world->centre.connected)
        broker_inject(&world->broker, NODE_CENTRE, topic, payload, strlen(payload));
}

static void strike(struct world *world, const struct fault_event *event)
{
    struct broker *broker = &world->broker;
    int node = event->node;
    world->reached[event->kind]++;
    switch (event->kind) {
    case FAULT_STOP:
        stop(world, node);
        break;
    case FAULT_KILL:
    case FAULT_CUT:
        crash(world, node, event->kind == FAULT_CUT);
        break;
    case FAULT_KILL_WITHIN:
    case FAULT_CUT_WITHIN:
        crash_within(world, event);
        break;
    case FAULT_CUT_ALL:
        for (int i = 0; i < NODE_COUNT; i++)
            crash(world, i, true);
        broker_restart(broker, 5 * US_PER_S, true);
        break;
    case FAULT_DISK_FULL: {
        struct sim_disk *disk = &world_machine(world, node)->disk;
        disk->capacity = sim_disk_used(disk) + event->value % FULL_ROOM;
        break;
    }
    case FAULT_DISK_WRITES:
    case FAULT_DISK_SYNCS:
    case FAULT_DISK_NAMES:
        fail_disk(world, event);
        break;
    case FAULT_BIT_FLIP:
        flip_bit(world, event);
        break;
    case FAULT_STALE_BLOCK:
        copy_block(world, event);
        break;
    case FAULT_CLOCK_STEP:
        step_clock(world, event);
        break;
    case FAULT_BACKUP:
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
    case FAULT_PROVIDER:
        world->provider.mode = (enum provider_mode)(1 + event->value % 4);
        break;
    case FAULT_GARBAGE:
        throw_garbage(world, event);
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
    case FAULT_DISK_WRITES:
    case FAULT_DISK_SYNCS:
    case FAULT_DISK_NAMES:
        disk->fail_one_in = 0;
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
    case FAULT_PROVIDER:
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
        world->broker.clients[i].blocked_us = 0;
    if (world->broker.down_until_us > world->now_us)
        world->broker.down_until_us = world->now_us;
}
