#include "edge/control.h"

#include "base/files.h"
#include "base/json_fields.h"
#include "base/version.h"
#include "edge/backlog.h"
#include "edge/outlook.h"
#include "service/control_socket.h"
#include "service/point_place.h"
#include "service/reading.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/*
 * Design notes
 *
 * A link's figures belong to the poller's thread: a visit (poller.h) copies them. A reading is
 * wished for in one visit and looked for in later ones, so that neither thread waits for a device.
 * One reading is under way at a time, and others wait for it: each takes a turn of its line.
 */

#define UNITS_MAX 256

/* An uplink that says nothing for so long is shown as it was. */
#define UPLINK_US (2 * (int64_t)US_PER_S)

struct reading_job {
    bool active;
    unsigned client;
    struct point_place place;
};

/* What the uplink's thread said when it was asked last. */
struct uplink_look {
    atomic_bool wanted;
    int64_t since_us; /* wanted since then; 0: not */
    struct uplink_status status;
    int64_t oldest_ms; /* of what waits for a receipt; 0: nothing */
};

struct edge_control {
    struct edge_control_options options;
    struct control_socket *socket;
    struct now started;
    struct outlook outlook;
    struct reading_job job;
    pthread_mutex_t lock;
    struct uplink_look uplink; /* guarded by the lock */
};

/* ---- the edge itself ---- */

static void key_ms(struct json_writer *json, const char *key, int64_t us)
{
    json_field_double(json, key, (double)us / US_PER_MS);
}

/* null for 0: there is no such time. */
static void key_time(struct json_writer *json, const char *key, int64_t wall_ms)
{
    char text[TIME_TEXT_SIZE];
    time_format_utc(wall_ms, text);
    json_field_text(json, key, wall_ms ? text : NULL);
}

static void write_identity(const struct edge_control *self, struct now now,
                           struct json_writer *json)
{
    const struct edge_config *config = self->options.config;
    json_field_text(json, "edge", config->edge);
    json_field_text(json, "site", config->site);
    json_field_text(json, "centre", config->centre);
    json_field_text(json, "version", chengmai_version());
    json_field_i64(json, "up_s", (now.mono_us - self->started.mono_us) / US_PER_S);
    key_time(json, "time", now.wall_ms);
    json_field_bool(json, "clock_sync", now.sync);
    json_field_u64(json, "points", self->options.points->count);
    json_field_u64(json, "links", config->link_count);
}

static void write_samples(const struct edge_control *self, struct json_writer *json)
{
    struct recorder_status recorder;
    recorder_get_status(self->options.recorder, &recorder);
    json_key(json, "samples");
    json_begin_object(json);
    json_field_u64(json, "recorded", recorder.samples);
    json_field_u64(json, "held", recorder.held);
    json_field_u64(json, "refused", recorder.refused);
    json_field_u64(json, "lost", recorder.lost);
    json_end_object(json);
}

/* What the centre has may be overwritten; what the disk has not cannot be written. */
static uint64_t room_left(const struct edge_config *config, uint64_t bytes, uint64_t received)
{
    uint64_t owed = bytes - received, disk = 0;
    uint64_t room = owed < config->journal_size ? config->journal_size - owed : 0;
    if (!disk_free(config->journal_path, &disk) && disk + received < room)
        room = disk + received;
    return room;
}

static void write_journal(const struct edge_control *self, struct now now, struct json_writer *json)
{
    struct recorder_status recorder;
    uint64_t bytes, received;
    recorder_get_status(self->options.recorder, &recorder);
    journal_bytes(self->options.journal, &bytes, &received);
    uint64_t room = room_left(self->options.config, bytes, received);
    double hours = outlook_hours(room, outlook_rate(&self->outlook, now.mono_us, recorder.bytes));
    json_key(json, "journal");
    json_begin_object(json);
    json_field_text(json, "path", self->options.config->journal_path);
    json_field_u64(json, "size", self->options.config->journal_size);
    json_field_u64(json, "bytes", bytes);
    json_field_u64(json, "bytes_received", received);
    json_field_u64(json, "bytes_left", room);
    json_key(json, "hours_left");
    if (hours >= 0)
        json_double(json, (double)(int64_t)(hours * 10) / 10);
    else
        json_null(json);
    json_field_text(json, "error", recorder.journal_error ? recorder.error_text : NULL);
    json_end_object(json);
}

static void write_uplink(struct edge_control *self, struct now now, struct json_writer *json)
{
    pthread_mutex_lock(&self->lock);
    struct uplink_status uplink = self->uplink.status;
    int64_t oldest_ms = self->uplink.oldest_ms;
    pthread_mutex_unlock(&self->lock);
    int64_t lag_ms = oldest_ms ? now.wall_ms - oldest_ms : 0;
    json_key(json, "uplink");
    json_begin_object(json);
    json_field_text(json, "broker", self->options.config->broker.url);
    json_field_bool(json, "connected", uplink.connected);
    json_field_bool(json, "centre_fresh", uplink.centre_fresh);
    json_field_bool(json, "sending", uplink.sending);
    json_field_u64(json, "sent", uplink.sent);
    json_field_u64(json, "resets", uplink.resets);
    json_field_u64(json, "refused", uplink.refused);
    json_field_u64(json, "backlog", uplink.unreceived);
    key_time(json, "oldest", oldest_ms);
    json_field_double(json, "lag_s", lag_ms > 0 ? (double)lag_ms / MS_PER_S : 0);
    json_end_object(json);
}

/* Until the uplink's thread has said how it stands: ERR_AGAIN. */
static int ask_uplink(struct edge_control *self, struct now now)
{
    struct uplink_look *look = &self->uplink;
    if (!look->since_us) {
        look->since_us = now.mono_us;
        atomic_store(&look->wanted, true);
        self->options.wake_uplink(self->options.wake_self);
    }
    if (atomic_load(&look->wanted) && now.mono_us - look->since_us < UPLINK_US)
        return ERR_AGAIN;
    look->since_us = 0;
    return 0;
}

static int answer_edge(struct edge_control *self, struct now now, struct buffer *reply)
{
    struct json_writer json;
    int err = ask_uplink(self, now);
    if (err)
        return err;
    json_writer_init(&json, reply);
    json_begin_object(&json);
    write_identity(self, now, &json);
    write_samples(self, &json);
    write_journal(self, now, &json);
    write_uplink(self, now, &json);
    json_end_object(&json);
    return 0;
}

/* ---- a link ---- */

/* What a visit brings back. */
struct link_look {
    size_t unit_count;
    struct modbus_link_stats link;
    struct driver_status status;
    struct modbus_unit_stats units[UNITS_MAX];
};

static void look(void *self, struct driver *driver, struct now now)
{
    struct link_look *found = self;
    (void)now;
    driver_status(driver, &found->status);
    modbus_driver_link_stats(driver, &found->link);
    for (size_t i = 0; i < found->unit_count; i++)
        modbus_driver_unit_stats(driver, i, &found->units[i]);
}

static const char *state_name(enum modbus_unit_state state)
{
    switch (state) {
    case MODBUS_UNIT_UP:
        return "ok";
    case MODBUS_UNIT_SUSPECT:
        return "suspect";
    case MODBUS_UNIT_DOWN:
        return "down";
    case MODBUS_UNIT_RECOVERING:
        return "recovering";
    }
    return "unknown";
}

static void write_unit(struct json_writer *json, const struct edge_unit *unit,
                       const struct modbus_unit_options *options,
                       const struct modbus_unit_stats *stats)
{
    json_begin_object(json);
    json_field_u64(json, "unit", options->unit);
    json_field_text(json, "name", unit->name);
    json_field_text(json, "map", register_map_version(options->map));
    json_field_u64(json, "points", options->point_count);
    json_field_text(json, "state", state_name(stats->state));
    json_field_text(json, "cause",
                    stats->state == MODBUS_UNIT_UP ? NULL : cause_name(stats->cause));
    json_field_u64(json, "requests", stats->requests);
    json_field_u64(json, "replies", stats->replies);
    json_field_u64(json, "timeouts", stats->timeouts);
    json_field_u64(json, "lost", stats->lost);
    json_field_u64(json, "exceptions", stats->exceptions);
    json_field_u64(json, "last_exception", stats->last_exception);
    json_field_u64(json, "bad_replies", stats->bad_replies);
    json_field_u64(json, "skipped", stats->skipped);
    json_field_u64(json, "repeated", stats->repeated);
    json_field_u64(json, "late", stats->late);
    json_field_u64(json, "splits", stats->splits);
    json_field_u64(json, "learned", stats->learned);
    key_ms(json, "latency_ms", stats->latency_us);
    key_ms(json, "worst_latency_ms", stats->worst_latency_us);
    json_end_object(json);
}

/* Frames and bytes that answered nothing. */
static void write_strays(struct json_writer *json, const struct modbus_link_counts *counts)
{
    json_key(json, "strays");
    json_begin_object(json);
    json_field_u64(json, "foreign", counts->foreign);
    json_field_u64(json, "late", counts->late);
    json_field_u64(json, "misfits", counts->misfits);
    json_field_u64(json, "echoes", counts->echoes);
    json_field_u64(json, "heartbeats", counts->heartbeats);
    json_field_u64(json, "noise", counts->noise);
    json_end_object(json);
}

static void write_link(struct json_writer *json, const struct edge_link *link,
                       const struct modbus_link_options *options, const struct link_look *found)
{
    json_begin_object(json);
    json_field_text(json, "link", link->name);
    json_field_text(json, "url", link->url);
    json_field_bool(json, "up", found->status.up);
    json_field_bool(json, "connected", found->link.connected);
    json_field_u64(json, "connects", found->link.connects);
    json_field_u64(json, "refused", found->link.refused);
    json_field_u64(json, "lost", found->link.lost);
    json_field_u64(json, "polls", found->link.polls);
    json_field_u64(json, "polls_late", found->link.late);
    key_ms(json, "worst_late_ms", found->link.worst_late_us);
    json_field_u64(json, "samples", found->status.samples);
    json_field_u64(json, "bad", found->status.bad);
    write_strays(json, &found->link.frames);
    json_field_text(json, "trouble",
                    found->status.trouble.text[0] ? found->status.trouble.text : NULL);
    json_key(json, "units");
    json_begin_array(json);
    for (size_t i = 0; i < found->unit_count; i++)
        write_unit(json, &link->units[i], &options->units[i], &found->units[i]);
    json_end_array(json);
    json_end_object(json);
}

static int answer_link(struct edge_control *self, const struct json *request, struct buffer *reply)
{
    const struct edge_points *points = self->options.points;
    int64_t index;
    int err =
        json_get_i64(json_member(request, "index"), 0, (int64_t)points->link_count - 1, &index);
    if (err)
        return err;
    const struct modbus_link_options *options = &points->links[index];
    struct link_look *found = calloc(1, sizeof(*found));
    if (!found)
        return ERR_NO_MEMORY;
    found->unit_count = options->unit_count < UNITS_MAX ? options->unit_count : UNITS_MAX;
    err = poller_visit(self->options.poller, (size_t)index, look, found);
    if (!err) {
        struct json_writer json;
        json_writer_init(&json, reply);
        write_link(&json, &self->options.config->links[index], options, found);
    }
    free(found);
    return err;
}

/* ---- a reading ---- */

/* One visit: the wish, or the look for what became of it. */
struct read_visit {
    struct modbus_request request;
    struct modbus_outcome outcome;
    int err;
};

static void wish(void *self, struct driver *driver, struct now now)
{
    struct read_visit *visit = self;
    visit->err = modbus_driver_want(driver, &visit->request, now);
}

static void collect(void *self, struct driver *driver, struct now now)
{
    struct read_visit *visit = self;
    visit->err = modbus_driver_outcome(driver, now, &visit->outcome);
}

static int visit_link(struct edge_control *self, size_t link, poller_visit_fn *run,
                      struct read_visit *visit)
{
    int err = poller_visit(self->options.poller, link, run, visit);
    return err ? err : visit->err;
}

static int begin_reading(struct edge_control *self, unsigned client, const char *id,
                         struct message *message)
{
    struct reading_job job = {.active = true, .client = client};
    int err = point_place_find(self->options.points, id, &job.place);
    if (err)
        return message_set(message, err,
                           "the running edge has no point '%s'; a changed configuration is taken "
                           "at its next start",
                           id);
    struct read_visit visit = {.request = modbus_request_of(job.place.unit, job.place.reg)};
    err = visit_link(self, job.place.link, wish, &visit);
    if (!err)
        self->job = job;
    return err;
}

/* ERR_AGAIN until the reading is there. */
static int answer_read(struct edge_control *self, unsigned client, const struct json *request,
                       struct buffer *reply, struct message *message)
{
    const char *id = json_get_text(json_member(request, "point"));
    struct read_visit visit = {.err = 0};
    if (!id)
        return message_set(message, ERR_INVALID, "which point?");
    if (!self->job.active) {
        int err = begin_reading(self, client, id, message);
        return err ? err : ERR_AGAIN;
    }
    if (self->job.client != client)
        return ERR_AGAIN;
    int err = visit_link(self, self->job.place.link, collect, &visit);
    if (err == ERR_AGAIN)
        return err;
    self->job.active = false;
    if (!err)
        reading_write(self->job.place.id, self->job.place.reg, &visit.outcome, reply);
    return err;
}

/* ---- the port ---- */

static int dispatch(struct edge_control *self, unsigned client, const struct json *request,
                    struct now now, struct buffer *reply, struct message *message)
{
    const char *what = json_get_text(json_member(request, "ask"));
    if (what && strcmp(what, "edge") == 0)
        return answer_edge(self, now, reply);
    if (what && strcmp(what, "link") == 0)
        return answer_link(self, request, reply);
    if (what && strcmp(what, "read") == 0)
        return answer_read(self, client, request, reply, message);
    return message_set(message, ERR_INVALID, "expected {\"ask\":\"edge\"}, \"link\" or \"read\"");
}

static int answer(void *port, unsigned client, const char *request, size_t len, struct now now,
                  struct buffer *reply)
{
    struct edge_control *self = port;
    struct json_document *document = NULL;
    struct message message = {""};
    int err = json_parse(request, len, &document, &message);
    if (!err)
        err = dispatch(self, client, json_root(document), now, reply, &message);
    json_free(document);
    if (!err || err == ERR_AGAIN || !message.text[0])
        return err;
    struct json_writer json;
    buffer_clear(reply);
    json_writer_init(&json, reply);
    json_begin_object(&json);
    json_field_text(&json, "error", message.text);
    json_end_object(&json);
    return 0;
}

static void forget(void *port, unsigned client)
{
    struct edge_control *self = port;
    if (self->job.client == client)
        self->job.active = false;
}

int edge_control_open(const struct edge_control_options *options, struct now now,
                      struct edge_control **ret_control, struct message *message)
{
    struct edge_control *self = calloc(1, sizeof(*self));
    if (!self)
        return message_set(message, ERR_NO_MEMORY, "control: out of memory");
    pthread_mutex_init(&self->lock, NULL);
    self->options = *options;
    self->started = now;
    struct control_port port = {self, answer, forget};
    int err = control_socket_open(options->config->control_path, &port, &self->socket, message);
    if (err) {
        edge_control_close(self);
        return err;
    }
    *ret_control = self;
    return 0;
}

void edge_control_close(struct edge_control *self)
{
    if (!self)
        return;
    control_socket_close(self->socket);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

int edge_control_fd(const struct edge_control *self)
{
    return control_socket_fd(self->socket);
}

int64_t edge_control_step(struct edge_control *self, struct now now)
{
    struct recorder_status recorder;
    recorder_get_status(self->options.recorder, &recorder);
    int64_t note_us = outlook_note(&self->outlook, now.mono_us, recorder.bytes);
    int64_t due_us = control_socket_step(self->socket, now);
    return note_us < due_us ? note_us : due_us;
}

void edge_control_serve(struct edge_control *self, const struct uplink *uplink)
{
    struct uplink_status status;
    struct backlog backlog;
    if (!self || !atomic_load(&self->uplink.wanted))
        return;
    uplink_get_status(uplink, &status);
    bool known = !backlog_read(self->options.journal, &backlog);
    int64_t oldest_ms = known ? backlog_oldest_ms(self->options.journal, &backlog) : 0;
    pthread_mutex_lock(&self->lock);
    self->uplink.status = status;
    self->uplink.oldest_ms = oldest_ms;
    pthread_mutex_unlock(&self->lock);
    atomic_store(&self->uplink.wanted, false);
}
