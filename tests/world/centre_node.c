#include "tests/world/centre_node.h"

#include "alarm/event.h"
#include "base/json.h"
#include "model/receipt.h"
#include "model/topics.h"
#include "tests/world/sim_files.h"
#include "tests/world/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START_AGAIN_US (2 * (int64_t)US_PER_S)
#define PEOPLE_US      (20 * (int64_t)US_PER_S)
#define FOLDER         "/c"
#define JSON_LIMIT     (1024 * 1024)

static const int64_t late_us[PART_COUNT] = {
    [PART_INGEST] = 100 * US_PER_MS,          [PART_ALARM] = 2 * (int64_t)US_PER_S,
    [PART_HISTORIAN] = 6 * (int64_t)US_PER_S, [PART_SENDER] = 3 * (int64_t)US_PER_S,
    [PART_PEOPLE] = 20 * (int64_t)US_PER_S,
};

static const char rules_head[] = "points:\n";
static const char point_text[] =
    "  - {id: s%d.plc.%s, unit: mg/L, interval: %ds, range: [0, 1000]}\n";
static const char alarm_text[] =
    "  - id: s%d-%s-high\n    point: s%d.plc.%s\n    kind: high\n    limits:\n"
    "      - {at: 100, priority: %s, on_delay: %ds}\n      - {at: 130, priority: critical, "
    "on_delay: %ds}\n"
    "    deadband: 3\n    off_delay: 5s\n    ack: %s\n";

static struct rules *make_rules(void)
{
    static const struct {
        const char *point, *priority, *ack;
        int interval_s, delay_s;
    } judged[] = {{"ch4", "high", "required", 5, 0},
                  {"cod", "high", "required", 10, 30},
                  {"level", "low", "none", 20, 10}};
    char text[8192];
    size_t len = (size_t)snprintf(text, sizeof(text), "%s", rules_head);
    for (int s = 1; s <= WORLD_EDGES; s++)
        for (size_t i = 0; i < 3; i++)
            len += (size_t)snprintf(text + len, sizeof(text) - len, point_text, s, judged[i].point,
                                    judged[i].interval_s);
    len += (size_t)snprintf(text + len, sizeof(text) - len, "alarms:\n");
    for (int s = 1; s <= WORLD_EDGES; s++)
        for (size_t i = 0; i < 3; i++)
            len += (size_t)snprintf(text + len, sizeof(text) - len, alarm_text, s, judged[i].point,
                                    s, judged[i].point, judged[i].priority, judged[i].delay_s,
                                    judged[i].delay_s, judged[i].ack);
    struct config_errors errors;
    struct rules *rules = NULL;
    config_errors_init(&errors);
    if (rules_parse("world.yaml", text, len, &rules, &errors)) {
        fputs(buffer_text(&errors.text), stderr);
        abort();
    }
    config_errors_release(&errors);
    return rules;
}

void centre_node_init(struct world *world, uint64_t seed)
{
    struct centre_node *centre = &world->centre;
    *centre = (struct centre_node){.world = world, .rules = make_rules()};
    machine_init(&centre->machine, seed);
    snprintf(centre->webhook.name, sizeof(centre->webhook.name), "duty");
    snprintf(centre->webhook.url, sizeof(centre->webhook.url), "http://provider/");
    centre->machine.start_us = 0;
}

void centre_node_release(struct centre_node *centre)
{
    if (centre->machine.running)
        centre_node_crash(centre, false, 0);
    machine_release(&centre->machine);
    rules_free(centre->rules);
}

static struct now centre_now(const struct centre_node *centre)
{
    return machine_now(&centre->machine, centre->world->now_us);
}

static void wake(struct centre_node *centre, enum centre_part part)
{
    struct world *world = centre->world;
    int64_t at_us = world->now_us + world_jitter(world, late_us[part]) + centre->slow_us[part];
    if (at_us < centre->due_us[part])
        centre->due_us[part] = at_us;
}

/* ---- ports ---- */

static int port_publish(void *self, const char *topic, const void *payload, size_t len,
                        bool retained)
{
    struct centre_node *centre = self;
    oracle_centre_says(centre->world, topic, payload, len);
    return broker_publish(&centre->world->broker, NODE_CENTRE, topic, payload, len, retained);
}

static void on_durable(void *self)
{
    wake(self, PART_ALARM);
    wake(self, PART_HISTORIAN);
}

static void on_notification(void *self)
{
    wake(self, PART_SENDER);
}

static void on_connected(void *self)
{
    struct centre_node *centre = self;
    centre->connected = true;
    centre->connected_us = centre->world->now_us;
    ingest_connected(centre->ingest, centre_now(centre));
    wake(centre, PART_INGEST);
}

static void on_disconnected(void *self)
{
    struct centre_node *centre = self;
    centre->connected = false;
}

static void on_message(void *self, const char *topic, const char *payload, size_t len)
{
    struct centre_node *centre = self;
    if (centre->machine.disk.dead)
        return;
    ingest_message(centre->ingest, centre_now(centre), topic, payload, len);
    wake(centre, PART_INGEST);
}

/* ---- starting and ending ---- */

static void let_go(struct centre_node *centre)
{
    outbox_drain_release(&centre->office_drain);
    outbox_drain_release(&centre->sender_drain);
    office_db_close(centre->office_reader);
    sender_db_close(centre->sender_reader);
    sender_close(centre->sender);
    office_close(centre->office);
    alarm_reader_close(centre->alarms);
    historian_close(centre->historian);
    live_free(centre->live);
    ingest_free(centre->ingest);
    dead_letters_close(centre->letters);
    journal_close(centre->journal);
    sources_release(&centre->sources);
    centre->office_drain = centre->sender_drain = (struct outbox_drain){0};
    centre->office_reader = NULL;
    centre->sender_reader = NULL;
    centre->sender = NULL;
    centre->office = NULL;
    centre->alarms = NULL;
    centre->historian = NULL;
    centre->live = NULL;
    centre->ingest = NULL;
    centre->letters = NULL;
    centre->journal = NULL;
    centre->connected = false;
    centre->machine.running = false;
}

static int open_journal(struct centre_node *centre, struct message *message)
{
    struct journal_report report;
    struct journal_options options = {
        .folder = FOLDER "/journal",
        .letters = "j",
        .segment_bytes = 128 * 1024,
        .owner = {&centre->sources, sources_save, sources_restore, sources_replay},
        .io = &centre->machine.disk.io,
    };
    int err = journal_open(&options, &centre->journal, &report, message);
    if (!err)
        err = journal_subscribe(centre->journal, on_durable, centre);
    if (!err)
        err = dead_letters_open_on(&centre->machine.disk.io, FOLDER "/dead-letters.jsonl",
                                   &centre->letters, message);
    return err;
}

static int open_readers(struct centre_node *centre, struct message *message)
{
    struct alarm_reader_options alarms = {.path = FOLDER "/events.db",
                                          .journal = centre->journal,
                                          .rules = centre->rules,
                                          .live = centre->live,
                                          .notify = on_notification,
                                          .self = centre};
    int err = historian_open(FOLDER "/history.db", centre->journal, &centre->historian, message);
    return err ? err : alarm_reader_open(&alarms, &centre->alarms, message);
}

static int open_office(struct centre_node *centre, struct message *message)
{
    struct db_options reader = {.path = FOLDER "/office.db", .mode = DB_READER};
    int err = office_open(reader.path, centre->machine.boot, &centre->office, message);
    if (!err)
        err = office_db_open(&reader, &centre->office_reader, NULL, message);
    if (!err)
        outbox_drain_init(&centre->office_drain, "@office",
                          office_db_outbox(centre->office_reader));
    return err;
}

static int open_sender(struct centre_node *centre, struct message *message)
{
    struct sender_options options = {.path = FOLDER "/sender.db",
                                     .events_path = FOLDER "/events.db",
                                     .boot = centre->machine.boot,
                                     .webhooks = &centre->webhook,
                                     .webhook_count = 1};
    struct db_options reader = {.path = options.path, .mode = DB_READER};
    int err = sender_open(&options, &centre->sender, message);
    if (!err)
        err = sender_db_open(&reader, &centre->sender_reader, NULL, message);
    if (!err)
        outbox_drain_init(&centre->sender_drain, "@sender",
                          sender_db_outbox(centre->sender_reader));
    return err;
}

static int open_all(struct centre_node *centre, struct message *message)
{
    int err = open_journal(centre, message);
    if (!err)
        err = open_readers(centre, message);
    if (!err)
        err = open_office(centre, message);
    if (!err)
        err = open_sender(centre, message);
    struct ingest_options options = {.centre = CENTRE_NAME,
                                     .nonce = centre->nonce,
                                     .boot = centre->machine.boot,
                                     .journal = centre->journal,
                                     .sources = &centre->sources,
                                     .letters = centre->letters,
                                     .port = {centre, port_publish}};
    return err ? err : ingest_new(&options, centre_now(centre), &centre->ingest, message);
}

static void join_broker(struct centre_node *centre)
{
    struct centre_state state = {.t_ms = centre_now(centre).wall_ms};
    struct broker_port port = {centre, on_connected, on_disconnected, on_message};
    struct buffer will;
    char topic[TOPIC_SIZE];
    buffer_init(&will, 1024);
    memcpy(state.centre, CENTRE_NAME, sizeof(CENTRE_NAME));
    memcpy(state.nonce, centre->nonce, sizeof(state.nonce));
    centre_state_write(&will, &state);
    topic_make(TOPIC_CENTRE_STATE, CENTRE_NAME, topic);
    broker_start(&centre->world->broker, NODE_CENTRE, &port, topic, will.data, will.len);
    buffer_release(&will);
}

void centre_node_start(struct centre_node *centre)
{
    struct world *world = centre->world;
    struct message message = {""};
    centre->machine.start_us = NEVER;
    centre->machine.running = true;
    sources_init(&centre->sources);
    machine_name(&centre->machine, centre->nonce);
    centre->live = live_new();
    for (int part = 0; part < PART_COUNT; part++)
        centre->due_us[part] = world->now_us;
    if (open_all(centre, &message)) {
        world->reached[SITE_CENTRE_NOT_STARTED]++;
        if (centre->machine.disk.dead) {
            centre_node_crash(centre, faults_ended_within(world, NODE_CENTRE), START_AGAIN_US);
            return;
        }
        let_go(centre);
        if (!centre->machine.disk.fail_one_in && !centre->machine.disk.capacity)
            world_fail(world, "the centre does not start on a healthy disk: %s", message.text);
        centre->machine.start_us = world->now_us + START_AGAIN_US;
        return;
    }
    oracle_centre_opened(world);
    join_broker(centre);
}

void centre_node_crash(struct centre_node *centre, bool cut, int64_t wait_us)
{
    struct world *world = centre->world;
    machine_die(&centre->machine, cut);
    if (centre->machine.running) {
        oracle_centre_ends(world);
        let_go(centre);
        broker_stop(&world->broker, NODE_CENTRE, cut);
    }
    machine_alive(&centre->machine);
    if (cut)
        machine_boot(&centre->machine, world->now_us);
    centre->machine.start_us = world->now_us + wait_us;
}

void centre_node_stop(struct centre_node *centre, int64_t wait_us)
{
    if (!centre->machine.running)
        return;
    oracle_centre_ends(centre->world);
    let_go(centre);
    broker_stop(&centre->world->broker, NODE_CENTRE, false);
    if (centre->machine.disk.dead)
        centre_node_crash(centre, faults_ended_within(centre->world, NODE_CENTRE), wait_us);
    centre->machine.start_us = centre->world->now_us + wait_us;
}

/* ---- people ---- */

/* Who sees an alarm that nobody has acknowledged may do so. */
static void look_at_alarm(struct centre_node *centre, const struct json *alarm)
{
    struct world *world = centre->world;
    const char *state = json_get_text(json_member(alarm, "state"));
    int64_t occurrence;
    bool waits = state && (strcmp(state, alarm_state_name(ALARM_UNACK_ACTIVE)) == 0 ||
                           strcmp(state, alarm_state_name(ALARM_UNACK_RETURNED)) == 0);
    if (!waits || world_below(world, 3) ||
        json_get_i64(json_member(alarm, "occurrence"), 1, INT64_MAX, &occurrence))
        return;
    struct record_action action = {
        .user = "zhang", .role = "operator", .action = "ack", .occurrence = (uint64_t)occurrence};
    struct message message = {""};
    snprintf(action.target, sizeof(action.target), "%s", json_get_text(json_member(alarm, "id")));
    snprintf(action.note, sizeof(action.note), "%zu", oracle_next_act(&world->oracle));
    int err = office_act(centre->office, centre_now(centre), &action, &message);
    oracle_acted(world, err == 0);
    wake(centre, PART_INGEST);
}

static void step_people(struct centre_node *centre)
{
    struct buffer out;
    struct json_document *document = NULL;
    buffer_init(&out, JSON_LIMIT);
    live_write_alarms(centre->live, &out);
    if (!json_parse(out.data, out.len, &document, NULL)) {
        const struct json *alarm = json_first(json_member(json_root(document), "alarms"));
        for (; alarm && !centre->machine.disk.dead; alarm = json_next(alarm))
            look_at_alarm(centre, alarm);
        json_free(document);
    }
    buffer_release(&out);
    oracle_look_at_presence(centre->world);
}

/* ---- stepping ---- */

static int64_t step_ingest(struct centre_node *centre)
{
    struct now now = centre_now(centre);
    struct message message = {""};
    int err = outbox_drain_step(&centre->office_drain, centre->ingest, now, &message);
    if (!err)
        /* What cannot be taken now is offered again. */
        (void)!outbox_drain_step(&centre->sender_drain, centre->ingest, now, &message);
    int64_t due_us = ingest_step(centre->ingest, now);
    if (journal_pending(centre->journal))
        return due_us;
    if (outbox_drain_committed(&centre->office_drain))
        (void)!office_journaled(centre->office, centre->office_drain.durable);
    if (outbox_drain_committed(&centre->sender_drain))
        sender_journaled(centre->sender, centre->sender_drain.durable);
    return due_us;
}

static int64_t step_part(struct centre_node *centre, enum centre_part part)
{
    struct now now = centre_now(centre);
    switch (part) {
    case PART_INGEST:
        return step_ingest(centre);
    case PART_ALARM:
        return alarm_reader_step(centre->alarms, now);
    case PART_HISTORIAN:
        return historian_step(centre->historian, now);
    case PART_SENDER:
        return sender_step(centre->sender, now);
    case PART_PEOPLE:
        step_people(centre);
        return now.mono_us + PEOPLE_US;
    case PART_COUNT:
        break;
    }
    return NEVER;
}

/* False where the process ended itself. */
static bool guarded_step(struct centre_node *centre, enum centre_part part)
{
    static int64_t due_us; /* lives through the jump */
    jmp_buf end;
    if (setjmp(end)) {
        sim_process_guard(NULL);
        return false;
    }
    sim_process_guard(&end);
    due_us = step_part(centre, part);
    sim_process_guard(NULL);
    int64_t late = world_jitter(centre->world, late_us[part]) + centre->slow_us[part];
    centre->world->reached[FAULT_SLOW_PART] += centre->slow_us[part] > 0;
    if (part == PART_SENDER && centre->world->provider.slow) {
        centre->world->provider.slow = false;
        late += 10 * (int64_t)US_PER_S;
    }
    centre->due_us[part] = due_us == NEVER ? NEVER : due_us + centre->machine.boot_us + late;
    return true;
}

int64_t centre_node_due(const struct centre_node *centre)
{
    if (!centre->machine.running)
        return centre->machine.start_us;
    int64_t due = NEVER;
    for (int part = 0; part < PART_COUNT; part++)
        if (centre->due_us[part] < due)
            due = centre->due_us[part];
    return due;
}

void centre_node_step(struct centre_node *centre)
{
    struct world *world = centre->world;
    if (!centre->machine.running) {
        if (centre->machine.start_us <= world->now_us)
            centre_node_start(centre);
        return;
    }
    for (int part = 0; part < PART_COUNT && centre->machine.running; part++) {
        bool dead = centre->machine.disk.dead; /* within a message */
        if (!dead && centre->due_us[part] > world->now_us)
            continue;
        bool ended = !dead && !guarded_step(centre, (enum centre_part)part);
        if (ended || centre->machine.disk.dead)
            centre_node_crash(centre, !ended && faults_ended_within(world, NODE_CENTRE),
                              US_PER_S + world_jitter(world, 20 * US_PER_S));
        else
            oracle_centre_look(world);
    }
}
