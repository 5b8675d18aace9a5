#include "central/alarm_reader.h"

#include "alarm/engine.h"
#include "base/json.h"
#include "base/log.h"
#include "base/numbers.h"
#include "service/births.h"
#include "service/follower.h"
#include "store/events_db.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Design notes
 *
 * The engine is in memory and ahead of the database while a transaction is open. A start, and a
 * transaction that failed, go back to the last snapshot and fold the records behind it once more:
 * the same events come out, under the same keys, and those that are there already change nothing.
 * An event's key is the position of the record that caused it and its number among that record's.
 *
 * Only what is committed is shown and sent.
 */

#define SNAPSHOT_US    (10 * (int64_t)US_PER_S)
#define SNAPSHOT_LIMIT EVENTS_MAX_SNAPSHOT
#define LINE_LIMIT     (16 * 1024)
#define SAID_LIMIT     (64 * 1024)
#define NO_RULE        (-1)

struct alarm_reader {
    struct alarm_reader_options options;
    struct events_db *db;
    struct engine *engine;
    struct births births;
    struct births_source source;
    struct follower follower;
    long *rule_points; /* of each place in `live`: the rules' point, or NO_RULE */
    size_t rule_point_count;

    uint64_t position; /* of the record being taken */
    unsigned event_number;
    int event_error; /* of the sink: told by take */
    struct message event_message;
    bool *changed; /* alarms that the open transaction touched */
    bool any_changed, any_to_send;
    int64_t snapshot_us;
    uint64_t raised_now;
    _Atomic uint64_t raised;
    struct buffer line;
    struct buffer said; /* lines for the log, once they are committed */
};

/* ---- events of the engine ---- */

static const char *notification_kind(enum alarm_event_kind kind)
{
    if (kind == ALARM_RAISE || kind == ALARM_PRIORITY)
        return "raise";
    return kind == ALARM_RETURN ? "clear" : NULL;
}

static void site_of(const char *point, char *site, size_t size)
{
    size_t len = strcspn(point, ".");
    snprintf(site, size, "%.*s", (int)(len < size ? len : size - 1), point);
}

/* The event's line with what a person needs beside it: point, unit, limit, response. */
static void write_notification(const struct alarm_event *event, const struct rules *rules,
                               struct buffer *out)
{
    const struct rule_point *point = &rules->points[event->rule->point];
    struct json_writer json;
    buffer_append_text(out, "{\"event\":");
    alarm_event_write(event, out);
    buffer_append_text(out, ",");
    json_writer_init(&json, out);
    json_key(&json, "point");
    json_text(&json, point->id);
    json_key(&json, "unit");
    json_text(&json, point->unit);
    json_key(&json, "response_zh");
    json_text(&json, event->rule->response_zh);
    json_key(&json, "response_en");
    json_text(&json, event->rule->response_en);
    buffer_append_text(out, "}");
}

/* "leachate-cod-high raise (high, occurrence 3): leachate.analyser.cod is 129.8 mg/L" */
static void say_event(struct alarm_reader *reader, const struct alarm_event *event)
{
    const struct rule_point *point = &reader->options.rules->points[event->rule->point];
    char value[NUMBER_TEXT_SIZE] = "without a value";
    if (event->has_value)
        print_double(event->value, value);
    char history[TIME_TEXT_SIZE + 16] = "";
    if (event->historical) {
        char time[TIME_TEXT_SIZE];
        time_format_local(event->source_ms, time);
        snprintf(history, sizeof(history), ", of %s", time);
    }
    buffer_printf(&reader->said, "%s %s (%s, occurrence %" PRIu64 "): %s is %s %s%s%s%s\n",
                  event->rule->id, alarm_event_name(event->kind), priority_name(event->priority),
                  event->occurrence, point->id, value, point->unit, event->why ? ", " : "",
                  event->why ? event->why : "", history);
}

static void log_said(struct alarm_reader *reader)
{
    const char *line = buffer_text(&reader->said);
    for (const char *end; (end = strchr(line, '\n')); line = end + 1)
        log_warn("alarm", "%.*s", (int)(end - line), line);
    if (buffer_error(&reader->said))
        log_warn("alarm", "more alarms than fit here: see /api/v1/alarms");
}

static int keep_event(struct alarm_reader *reader, const struct alarm_event *event)
{
    char key[64], site[65];
    snprintf(key, sizeof(key), "%" PRIu64 ".%u", reader->position, reader->event_number++);
    site_of(reader->options.rules->points[event->rule->point].id, site, sizeof(site));
    buffer_clear(&reader->line);
    alarm_event_write(event, &reader->line);
    struct event_transition row = {
        .key = key,
        .alarm = event->rule->id,
        .site = site,
        .occurrence = event->occurrence,
        .event = alarm_event_name(event->kind),
        .state = alarm_state_name(event->state),
        .priority = event->has_priority ? priority_name(event->priority) : "",
        .t_ms = event->t_ms,
        .onset_ms = event->onset_ms,
        .has_value = event->has_value,
        .value = event->value,
        .quality = quality_name(event->quality),
        .cause = event->cause,
        .payload = buffer_text(&reader->line),
        .payload_len = reader->line.len,
    };
    bool added = false;
    int err = events_db_add_transition(reader->db, &row, &added, &reader->event_message);
    if (!err && added && event->kind == ALARM_RAISE)
        reader->raised_now++;
    const char *kind = notification_kind(event->kind);
    if (err || !kind)
        return err;
    buffer_clear(&reader->line);
    write_notification(event, reader->options.rules, &reader->line);
    struct event_notification notification = {
        .key = key,
        .alarm = event->rule->id,
        .occurrence = event->occurrence,
        .kind = kind,
        .priority = priority_name(event->priority),
        .t_ms = event->t_ms,
        .payload = buffer_text(&reader->line),
        .payload_len = reader->line.len,
    };
    err = events_db_add_notification(reader->db, &notification, &added, &reader->event_message);
    reader->any_to_send |= added;
    if (!err && added)
        say_event(reader, event);
    return err;
}

static void on_event(void *self, const struct alarm_event *event)
{
    struct alarm_reader *reader = self;
    size_t index = (size_t)(event->rule - reader->options.rules->list);
    reader->changed[index] = true;
    reader->any_changed = true;
    if (!reader->event_error)
        reader->event_error = keep_event(reader, event);
}

/* ---- births and samples ---- */

static int load_birth(void *self, const char *name, struct buffer *out, struct message *message)
{
    struct alarm_reader *reader = self;
    return events_db_birth(reader->db, name, out, message);
}

/* A point's number here is its place in `live`; which rule point it is stands beside. */
static int number_point(void *self, const struct point_info *point, int64_t *ret_number,
                        struct message *message)
{
    struct alarm_reader *reader = self;
    int64_t place = 0;
    int err = live_put_point(reader->options.live, point, &place);
    if (err)
        return message_set(message, err, "point %s: %s", point->id, err_name(err));
    if ((size_t)place >= reader->rule_point_count) {
        size_t count = (size_t)place + 256;
        long *list = realloc(reader->rule_points, count * sizeof(*list));
        if (!list)
            return message_set(message, ERR_NO_MEMORY, "alarm: out of memory");
        for (size_t i = reader->rule_point_count; i < count; i++)
            list[i] = NO_RULE;
        reader->rule_points = list;
        reader->rule_point_count = count;
    }
    reader->rule_points[place] = rules_find_point(reader->options.rules, point->id);
    *ret_number = place;
    return 0;
}

static int take_birth(struct alarm_reader *reader, const struct journal_frame *frame,
                      const struct record *record, struct message *message)
{
    char name[BIRTH_SIZE];
    record_birth_id(frame->payload, frame->len, name);
    int err = events_db_add_birth(reader->db, name, frame->payload, frame->len, message);
    return err ? err : births_add(&reader->births, name, record, &reader->source, message);
}

static int take_data(struct alarm_reader *reader, const struct journal_frame *frame,
                     const struct record *record, struct message *message)
{
    const struct birth *birth;
    int err = births_get(&reader->births, record->birth, &reader->source, &birth, message);
    for (size_t i = 0; !err && i < record->sample_count; i++) {
        const struct sample *sample = &record->samples[i];
        if (sample->point >= birth->count)
            continue;
        int64_t place = birth->numbers[sample->point];
        live_put_sample(reader->options.live, place, sample, frame->wall_ms);
        if (reader->rule_points[place] != NO_RULE)
            engine_sample(reader->engine, (size_t)reader->rule_points[place], sample,
                          frame->wall_ms);
    }
    return err;
}

static void take_action(struct alarm_reader *reader, const struct journal_frame *frame,
                        const struct record_action *action)
{
    long index = rules_find(reader->options.rules, action->target);
    if (strcmp(action->action, "ack") != 0 || index < 0)
        return; /* of a later version, or of an alarm that is no more: it stays in the journal */
    engine_ack(reader->engine, (size_t)index, action->occurrence, action->user, action->role,
               action->note, frame->wall_ms);
}

/* ---- the consumer ---- */

static int begin(void *self, struct message *message)
{
    struct alarm_reader *reader = self;
    reader->any_changed = reader->any_to_send = false;
    reader->raised_now = 0;
    buffer_clear(&reader->said);
    memset(reader->changed, 0, reader->options.rules->count + 1);
    return events_db_begin(reader->db, message);
}

static int take(void *self, const struct journal_frame *frame, const struct record *record,
                struct message *message)
{
    struct alarm_reader *reader = self;
    int err = 0;
    reader->position = frame->seq;
    reader->event_number = 0;
    reader->event_error = 0;
    switch (record->head.kind) {
    case RECORD_BIRTH:
        err = take_birth(reader, frame, record, message);
        break;
    case RECORD_DATA:
        err = take_data(reader, frame, record, message);
        break;
    case RECORD_ACTION:
        take_action(reader, frame, &record->action);
        break;
    case RECORD_START:
        engine_start(reader->engine, frame->wall_ms);
        break;
    case RECORD_TICK:
    case RECORD_LOSS:
    case RECORD_VERDICT:
    case RECORD_KIND_COUNT:
        break;
    }
    if (!err)
        engine_advance(reader->engine, frame->wall_ms);
    if (!err && reader->event_error)
        err = message_set(message, reader->event_error, "%s", reader->event_message.text);
    return err;
}

static void write_alarm(const struct alarm_reader *reader, const struct alarm_view *view,
                        struct buffer *out);

static void show(struct alarm_reader *reader, size_t index)
{
    struct alarm_view view;
    engine_view(reader->engine, index, &view);
    buffer_clear(&reader->line);
    write_alarm(reader, &view, &reader->line);
    if (!buffer_error(&reader->line))
        /* Out of memory: the page keeps the older state, and the next change tries again. */
        (void)!live_put_alarm(reader->options.live, index, reader->line.data, reader->line.len);
}

static int keep_snapshot(struct alarm_reader *reader, uint64_t position, struct message *message)
{
    struct buffer state;
    buffer_init(&state, SNAPSHOT_LIMIT);
    engine_save(reader->engine, &state);
    int err = buffer_error(&state);
    if (!err)
        err = events_db_set_snapshot(reader->db, position, state.data, state.len, message);
    buffer_release(&state);
    return err;
}

static int commit(void *self, uint64_t position, struct now now, struct message *message)
{
    struct alarm_reader *reader = self;
    bool due = now.mono_us - reader->snapshot_us >= SNAPSHOT_US;
    int err = due ? keep_snapshot(reader, position, message) : 0;
    if (!err)
        err = events_db_set_cursor(reader->db, position, message);
    if (!err)
        err = events_db_commit(reader->db, message);
    if (err)
        return err;
    if (due)
        reader->snapshot_us = now.mono_us;
    atomic_fetch_add(&reader->raised, reader->raised_now);
    for (size_t i = 0; reader->any_changed && i < reader->options.rules->count; i++)
        if (reader->changed[i])
            show(reader, i);
    live_publish(reader->options.live);
    log_said(reader);
    if (reader->any_to_send && reader->options.notify)
        reader->options.notify(reader->options.self);
    return 0;
}

/* The engine as of the last snapshot; `ret_position`: the record it stands behind. */
static int load_snapshot(struct alarm_reader *reader, uint64_t *ret_position,
                         struct message *message)
{
    struct buffer state;
    uint64_t position = 0;
    buffer_init(&state, SNAPSHOT_LIMIT);
    int err = events_db_snapshot(reader->db, &position, &state, message);
    if (!err && engine_restore(reader->engine, state.data, state.len)) {
        log_warn("alarm", "the kept state cannot be read: all records are judged once more");
        position = 0;
    }
    if (err == ERR_NOT_FOUND)
        err = 0;
    buffer_release(&state);
    *ret_position = position;
    return err;
}

static void rollback(void *self)
{
    struct alarm_reader *reader = self;
    struct message message = {""};
    events_db_rollback(reader->db);
    births_clear(&reader->births);
    uint64_t position = 0;
    engine_free(reader->engine);
    reader->engine = engine_new(reader->options.rules, on_event, reader);
    if (!reader->engine || load_snapshot(reader, &position, &message)) {
        log_error("alarm", "cannot go back to the kept state (%s): restart this program",
                  message.text);
        abort(); /* an engine ahead of its record would be silent about what it forgot */
    }
    reader->follower.position = position;
}

/* ---- what people see ---- */

static void write_text(struct json_writer *json, const char *key, const char *text)
{
    json_key(json, key);
    json_text(json, text);
}

static void write_time(struct json_writer *json, const char *key, int64_t wall_ms)
{
    char text[TIME_TEXT_SIZE];
    time_format_utc(wall_ms, text);
    write_text(json, key, wall_ms ? text : NULL);
}

static void write_limits(struct json_writer *json, const struct rule *rule)
{
    json_key(json, "limits");
    json_begin_array(json);
    for (size_t n = 0; rule->kind != RULE_INSTRUMENT && n < rule->limit_count; n++) {
        json_begin_object(json);
        json_key(json, "at");
        json_double(json, rule->limits[n].at);
        write_text(json, "priority", priority_name(rule->limits[n].priority));
        json_end_object(json);
    }
    json_end_array(json);
}

static void write_alarm(const struct alarm_reader *reader, const struct alarm_view *view,
                        struct buffer *out)
{
    static const char *const kinds[] = {"high", "low", "instrument"};
    const struct rule *rule = view->rule;
    const struct rule_point *point = &reader->options.rules->points[rule->point];
    struct json_writer json;
    json_writer_init(&json, out);
    json_begin_object(&json);
    write_text(&json, "id", rule->id);
    write_text(&json, "point", point->id);
    write_text(&json, "kind", kinds[rule->kind]);
    write_text(&json, "state", alarm_state_name(view->state));
    write_text(&json, "priority", view->occurrence ? priority_name(view->priority) : NULL);
    json_key(&json, "occurrence");
    json_u64(&json, view->occurrence);
    write_time(&json, "onset", view->onset_ms);
    write_time(&json, "raised", view->raised_ms);
    json_key(&json, "value");
    if (view->has_value)
        json_double(&json, view->value);
    else
        json_null(&json);
    write_time(&json, "value_t", view->value_ms);
    write_text(&json, "quality", quality_name(view->quality));
    write_text(&json, "quality_cause", cause_name(view->quality_cause));
    write_text(&json, "unit", point->unit);
    write_limits(&json, rule);
    json_key(&json, "response");
    json_begin_object(&json);
    write_text(&json, "zh", rule->response_zh);
    write_text(&json, "en", rule->response_en);
    json_end_object(&json);
    write_text(&json, "acked_by", view->ack_user[0] ? view->ack_user : NULL);
    json_end_object(&json);
}

/* ---- life ---- */

int alarm_reader_open(const struct alarm_reader_options *options, struct alarm_reader **ret_reader,
                      struct message *message)
{
    struct alarm_reader *reader = calloc(1, sizeof(*reader));
    if (!reader)
        return message_set(message, ERR_NO_MEMORY, "alarm: out of memory");
    reader->options = *options;
    births_init(&reader->births);
    buffer_init(&reader->line, LINE_LIMIT);
    buffer_init(&reader->said, SAID_LIMIT);
    atomic_init(&reader->raised, 0);
    reader->source = (struct births_source){reader, load_birth, number_point};
    reader->changed = calloc(options->rules->count + 1, sizeof(*reader->changed));
    reader->engine = engine_new(options->rules, on_event, reader);
    struct db_options db = {.path = options->path, .mode = DB_WRITER};
    struct consumer consumer = {"alarm", reader, 0, begin, take, commit, rollback};
    uint64_t position = 0;
    int err = reader->changed && reader->engine
                  ? events_db_open(&db, &reader->db, NULL, message)
                  : message_set(message, ERR_NO_MEMORY, "alarm: out of memory");
    if (!err)
        err = load_snapshot(reader, &position, message);
    if (!err && follower_init(&reader->follower, options->journal, &consumer, position))
        err = message_set(message, ERR_NO_MEMORY, "alarm: cannot read the journal");
    if (err) {
        alarm_reader_close(reader);
        return err;
    }
    for (size_t i = 0; i < options->rules->count; i++)
        show(reader, i);
    *ret_reader = reader;
    return 0;
}

void alarm_reader_close(struct alarm_reader *reader)
{
    if (!reader)
        return;
    follower_release(&reader->follower);
    births_release(&reader->births);
    events_db_close(reader->db);
    engine_free(reader->engine);
    buffer_release(&reader->line);
    buffer_release(&reader->said);
    free(reader->rule_points);
    free(reader->changed);
    free(reader);
}

int64_t alarm_reader_step(void *self, struct now now)
{
    struct alarm_reader *reader = self;
    return follower_step(&reader->follower, now);
}

uint64_t alarm_reader_lag(struct alarm_reader *reader)
{
    return follower_lag(&reader->follower);
}

uint64_t alarm_reader_raised(struct alarm_reader *reader)
{
    return atomic_load(&reader->raised);
}
