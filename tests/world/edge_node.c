#include "tests/world/edge_node.h"

#include "model/topics.h"
#include "tests/world/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENT_BYTES  (8 * 1024)
#define RECORDER_LATE  (150 * (int64_t)US_PER_MS) /* how late a thread may wake */
#define UPLINK_LATE    (250 * (int64_t)US_PER_MS)
#define START_AGAIN_US (2 * (int64_t)US_PER_S)
#define LEVELS         150 /* the instruments show 0..149; the rules' limits are 100 and 130 */
#define COUNTER_STEP   (1.0 / 65536)

static const struct {
    const char *name, *class_;
    enum stream stream;
    int64_t interval_ms;
} kinds[WORLD_POINTS] = {
    {"ch4", "safety", STREAM_S, 5000},     {"cod", "compliance", STREAM_C, 10000},
    {"ph", "compliance", STREAM_C, 10000}, {"level", "trend", STREAM_T, 20000},
    {"flow", "trend", STREAM_T, 20000},
};

void edge_node_init(struct world *world, int index, uint64_t seed)
{
    static const uint64_t limits[WORLD_EDGES] = {72 * 1024, 256 * 1024, 0};
    struct edge_node *edge = &world->edges[index];
    *edge = (struct edge_node){.world = world, .index = index, .signal = seed ^ 0x5eed};
    machine_init(&edge->machine, seed);
    edge->limit_bytes = limits[index];
    snprintf(edge->name, sizeof(edge->name), "e%d", index + 1);
    snprintf(edge->site, sizeof(edge->site), "s%d", index + 1);
    snprintf(edge->folder, sizeof(edge->folder), "/e%d", index + 1);
    for (int i = 0; i < WORLD_POINTS; i++) {
        struct point_info *info = &edge->points[i];
        *info = (struct point_info){.interval_ms = kinds[i].interval_ms};
        snprintf(info->id, sizeof(info->id), "s%d.plc.%s", index + 1, kinds[i].name);
        snprintf(info->name, sizeof(info->name), "%s", kinds[i].name);
        snprintf(info->unit, sizeof(info->unit), "mg/L");
        snprintf(info->type, sizeof(info->type), "float64");
        snprintf(info->site, sizeof(info->site), "s%d", index + 1);
        snprintf(info->map, sizeof(info->map), "0123456789abcdef");
        snprintf(info->class_, sizeof(info->class_), "%s", kinds[i].class_);
        edge->streams[i] = kinds[i].stream;
        edge->poll_us[i] = (int64_t)sim_below(&edge->signal, 5000) * US_PER_MS;
    }
    edge->machine.start_us = 0;
}

void edge_node_release(struct edge_node *edge)
{
    if (edge->machine.running)
        edge_node_crash(edge, false, 0);
    machine_release(&edge->machine);
}

static struct now edge_now(const struct edge_node *edge)
{
    return machine_now(&edge->machine, edge->world->now_us);
}

/* A time of the edge's monotonic clock as one of the world's. */
static int64_t world_time(const struct edge_node *edge, int64_t mono_us)
{
    return mono_us == NEVER ? NEVER : mono_us + edge->machine.boot_us;
}

static void wake(int64_t *due_us, int64_t at_us)
{
    if (at_us < *due_us)
        *due_us = at_us;
}

/* ---- ports ---- */

static int port_publish(void *self, const char *topic, const void *payload, size_t len,
                        bool retained)
{
    struct edge_node *edge = self;
    return broker_publish(&edge->world->broker, edge->index, topic, payload, len, retained);
}

static void port_beyond(void *self)
{
    struct edge_node *edge = self;
    edge->world->reached[SITE_BEYOND]++;
    edge->epoch_wanted = true;
    wake(&edge->recorder_us, edge->world->now_us);
}

static void on_durable(void *self)
{
    struct edge_node *edge = self;
    if (edge->machine.running && edge->uplink)
        oracle_edge_look(edge->world, edge->index); /* it may be dropped before the step ends */
    wake(&edge->uplink_us, edge->world->now_us + world_jitter(edge->world, UPLINK_LATE));
}

static void on_connected(void *self)
{
    struct edge_node *edge = self;
    uplink_connected(edge->uplink, edge_now(edge));
    wake(&edge->uplink_us, edge->world->now_us);
}

static void on_disconnected(void *self)
{
    struct edge_node *edge = self;
    uplink_disconnected(edge->uplink);
}

static void on_message(void *self, const char *topic, const char *payload, size_t len)
{
    struct edge_node *edge = self;
    struct message message = {""};
    /* What it says of a request that it cannot answer is a person's to read. */
    (void)!uplink_message(edge->uplink, edge_now(edge), topic, payload, len, &message);
    wake(&edge->uplink_us, edge->world->now_us + world_jitter(edge->world, UPLINK_LATE));
}

/* ---- starting and ending ---- */

static void let_go(struct edge_node *edge)
{
    uplink_free(edge->uplink);
    recorder_free(edge->recorder);
    journal_close(edge->journal);
    edge->uplink = NULL;
    edge->recorder = NULL;
    edge->journal = NULL;
    edge->machine.running = false;
}

static int open_all(struct edge_node *edge, struct message *message)
{
    struct journal_report report;
    struct journal_options options = {.folder = edge->folder,
                                      .letters = STREAM_LETTERS,
                                      .limit_bytes = edge->limit_bytes,
                                      .segment_bytes = SEGMENT_BYTES,
                                      .verify = true,
                                      .io = &edge->machine.disk.io};
    int err = journal_open(&options, &edge->journal, &report, message);
    if (err)
        return err;
    struct recorder_options recorder = {.journal = edge->journal,
                                        .edge = edge->name,
                                        .site = edge->site,
                                        .boot = edge->machine.boot,
                                        .points = edge->points,
                                        .streams = edge->streams,
                                        .point_count = WORLD_POINTS,
                                        .queue_batches = 64};
    err = recorder_new(&recorder, &report, edge_now(edge), &edge->recorder, message);
    if (!err)
        err = journal_subscribe(edge->journal, on_durable, edge);
    machine_name(&edge->machine, edge->instance);
    struct uplink_options uplink = {.edge = edge->name,
                                    .site = edge->site,
                                    .centre = CENTRE_NAME,
                                    .instance = edge->instance,
                                    .journal = edge->journal,
                                    .port = {edge, port_publish, NULL, port_beyond}};
    return err ? err : uplink_new(&uplink, &edge->uplink);
}

static void join_broker(struct edge_node *edge)
{
    struct buffer will;
    char topic[TOPIC_SIZE];
    struct broker_port port = {edge, on_connected, on_disconnected, on_message};
    buffer_init(&will, 1024);
    uplink_state(edge->uplink, edge_now(edge), false, &will);
    topic_make(TOPIC_STATE, edge->name, topic);
    broker_start(&edge->world->broker, edge->index, &port, topic, will.data, will.len);
    buffer_release(&will);
}

void edge_node_start(struct edge_node *edge)
{
    struct world *world = edge->world;
    struct message message = {""};
    edge->machine.start_us = NEVER;
    edge->machine.running = true;
    edge->epoch_wanted = edge->epoch_made = false;
    if (open_all(edge, &message)) {
        world->reached[SITE_EDGE_NOT_STARTED]++;
        /* The process ends in an orderly way, unless it was killed. */
        if (edge->machine.disk.dead) {
            edge_node_crash(edge, faults_ended_within(world, edge->index), START_AGAIN_US);
            return;
        }
        let_go(edge);
        edge->machine.start_us = world->now_us + START_AGAIN_US;
        return;
    }
    edge->recorder_us = world->now_us;
    edge->uplink_us = NEVER;
    oracle_edge_opened(world, edge->index);
    join_broker(edge);
}

void edge_node_crash(struct edge_node *edge, bool cut, int64_t wait_us)
{
    struct world *world = edge->world;
    if (edge->machine.running)
        oracle_edge_ends(world, edge->index, false);
    machine_die(&edge->machine, cut);
    if (edge->machine.running) {
        let_go(edge);
        broker_stop(&world->broker, edge->index, cut);
    }
    machine_alive(&edge->machine);
    if (cut)
        machine_boot(&edge->machine, world->now_us);
    edge->machine.start_us = world->now_us + wait_us;
}

void edge_node_stop(struct edge_node *edge, int64_t wait_us)
{
    struct world *world = edge->world;
    struct message message = {""};
    if (!edge->machine.running)
        return;
    bool flushed = !recorder_flush(edge->recorder, edge_now(edge), &message);
    if (edge->machine.disk.dead) {
        edge_node_crash(edge, faults_ended_within(world, edge->index), wait_us);
        return;
    }
    oracle_edge_look(world, edge->index);
    oracle_edge_ends(world, edge->index, flushed);
    let_go(edge);
    broker_stop(&world->broker, edge->index, false);
    if (edge->machine.disk.dead)
        edge_node_crash(edge, faults_ended_within(world, edge->index), wait_us);
    edge->machine.start_us = world->now_us + wait_us;
}

/* ---- instruments ---- */

static void change_level(struct edge_node *edge, int point)
{
    uint64_t *row = &edge->signal;
    if (edge->world->now_us < edge->change_us[point])
        return;
    edge->change_us[point] = edge->world->now_us + (int64_t)(20 + sim_below(row, 160)) * US_PER_S;
    edge->level[point] = (int64_t)sim_below(row, sim_below(row, 3) ? 100 : LEVELS);
    edge->bad[point] = sim_below(row, 10) == 0;
    edge->silent[point] = sim_below(row, 20) == 0;
}

static size_t read_instruments(struct edge_node *edge, struct sample *samples)
{
    struct now now = edge_now(edge);
    size_t count = 0;
    for (int i = 0; i < WORLD_POINTS; i++) {
        if (edge->poll_us[i] > edge->world->now_us)
            continue;
        edge->poll_us[i] += kinds[i].interval_ms * US_PER_MS;
        if (edge->poll_us[i] <= edge->world->now_us)
            edge->poll_us[i] = edge->world->now_us + kinds[i].interval_ms * US_PER_MS;
        change_level(edge, i);
        if (edge->silent[i])
            continue;
        size_t number = oracle_next_sample(&edge->world->oracle, edge->index) + count;
        samples[count++] = (struct sample){
            .point = (uint32_t)i,
            .t_ms = now.wall_ms,
            .quality = edge->bad[i] ? QUALITY_BAD : QUALITY_GOOD,
            .cause = edge->bad[i] ? CAUSE_COMM_TIMEOUT : CAUSE_NONE,
            .value = {VALUE_DOUBLE, (double)edge->level[i] + (double)number * COUNTER_STEP, ""}};
    }
    return count;
}

static void poll_instruments(struct edge_node *edge)
{
    struct sample samples[WORLD_POINTS];
    size_t count = read_instruments(edge, samples);
    if (!count)
        return;
    bool taken = !recorder_put(edge->recorder, samples, count);
    oracle_put(edge->world, edge->index, samples, count, taken);
    wake(&edge->recorder_us, edge->world->now_us + world_jitter(edge->world, RECORDER_LATE));
}

/* ---- stepping ---- */

static void step_recorder(struct edge_node *edge)
{
    struct world *world = edge->world;
    struct message message = {""};
    if (edge->epoch_wanted) {
        edge->epoch_wanted = false;
        if (!recorder_new_epoch(edge->recorder, edge_now(edge), &message))
            world->reached[SITE_NEW_EPOCH]++;
        edge->epoch_made = true;
        wake(&edge->uplink_us, world->now_us);
    }
    int64_t due_us = world_time(edge, recorder_step(edge->recorder, edge_now(edge)));
    struct recorder_status status;
    recorder_get_status(edge->recorder, &status);
    if (status.journal_error)
        edge->troubled_us = world->now_us;
    edge->recorder_us = due_us == NEVER ? NEVER : due_us + world_jitter(world, RECORDER_LATE);
}

static void step_uplink(struct edge_node *edge)
{
    struct world *world = edge->world;
    if (edge->epoch_made) {
        edge->epoch_made = false;
        if (uplink_epoch(edge->uplink, edge_now(edge)))
            edge->epoch_made = true; /* out of memory or disk: once more */
    }
    int64_t due_us = world_time(edge, uplink_step(edge->uplink, edge_now(edge)));
    edge->uplink_us = due_us == NEVER ? NEVER : due_us + world_jitter(world, UPLINK_LATE);
}

static void find_if_dead(struct edge_node *edge)
{
    struct world *world = edge->world;
    if (edge->machine.disk.dead)
        edge_node_crash(edge, faults_ended_within(world, edge->index),
                        US_PER_S + world_jitter(world, 20 * US_PER_S));
    else
        oracle_edge_look(world, edge->index);
}

int64_t edge_node_due(const struct edge_node *edge)
{
    if (!edge->machine.running)
        return edge->machine.start_us;
    int64_t due = edge->recorder_us < edge->uplink_us ? edge->recorder_us : edge->uplink_us;
    for (int i = 0; i < WORLD_POINTS; i++)
        if (edge->poll_us[i] < due)
            due = edge->poll_us[i];
    return due;
}

void edge_node_step(struct edge_node *edge)
{
    int64_t now_us = edge->world->now_us;
    if (edge->machine.running && edge->machine.disk.dead)
        find_if_dead(edge); /* within a message */
    if (!edge->machine.running) {
        if (edge->machine.start_us <= now_us)
            edge_node_start(edge);
        return;
    }
    poll_instruments(edge);
    if (edge->recorder_us <= now_us) {
        step_recorder(edge);
        find_if_dead(edge);
    }
    if (edge->machine.running && edge->uplink_us <= now_us) {
        step_uplink(edge);
        find_if_dead(edge);
    }
}
