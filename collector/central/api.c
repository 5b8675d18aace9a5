#include "central/api.h"

#include "base/json.h"
#include "base/text.h"
#include "central/api_history.h"
#include "central/api_stream.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/*
 * Design notes
 *
 * Routes are a table: method, path, who may use it, the function. A path may end in "{id}" with a
 * word behind it: "/points/{id}/history". What changes something is a POST with the header
 * X-Chengmai, which another site's form cannot send.
 */

#define PREFIX        "/api/v1"
#define COOKIE        "__Host-chengmai"
#define BODY_MAX      4096
#define LAG_UNHEALTHY 100000

struct call {
    const struct api *api;
    const struct http_request *request;
    struct http_response *response;
    struct office_user user;
    char id[140]; /* what stands for {id} */
};

/* ---- logging in and out ---- */

/* A text member of the body's object, copied. */
static int body_text(const struct json *root, const char *name, char *ret, size_t size)
{
    const char *text = json_get_text(json_member(root, name));
    return text ? text_copy(ret, size, text) : ERR_NOT_FOUND;
}

static struct json_document *parse_body(const struct call *call)
{
    struct json_document *document = NULL;
    if (call->request->len > BODY_MAX ||
        json_parse(call->request->body, call->request->len, &document, NULL))
        return NULL;
    return document;
}

static void write_user(struct http_response *response, const struct office_user *user)
{
    struct json_writer json;
    json_writer_init(&json, http_begin(response, 200, "application/json"));
    json_begin_object(&json);
    json_key(&json, "user");
    json_text(&json, user->user);
    json_key(&json, "role");
    json_text(&json, user->role);
    json_end_object(&json);
}

static void set_cookie(struct http_response *response, const char *token, const char *age)
{
    char cookie[200];
    snprintf(cookie, sizeof(cookie), COOKIE "=%s; Path=/; Secure; HttpOnly; SameSite=Strict%s",
             token, age);
    http_response_header(response, "Set-Cookie", cookie);
}

static void post_login(struct call *call)
{
    char user[65] = "", password[256] = "", token[SESSION_TOKEN_SIZE];
    struct message message = {""};
    struct json_document *document = parse_body(call);
    const struct json *root = document ? json_root(document) : NULL;
    int err = body_text(root, "user", user, sizeof(user));
    if (!err)
        err = body_text(root, "password", password, sizeof(password));
    json_free(document);
    if (err) {
        http_problem(call->response, 400, "Not a login",
                     "expected {\"user\":\"…\",\"password\":\"…\"}");
        return;
    }
    err = office_login(call->api->office, clock_read(call->api->clock), user, password, token,
                       &call->user, &message);
    if (err) {
        http_problem(call->response,
                     err == ERR_DENIED  ? 401
                     : err == ERR_AGAIN ? 429
                                        : 503,
                     "Not logged in", message.text);
        return;
    }
    write_user(call->response, &call->user);
    set_cookie(call->response, token, "");
}

static void post_logout(struct call *call)
{
    const char *token = http_cookie(call->request, COOKIE);
    if (token)
        office_logout(call->api->office, token);
    http_begin(call->response, 204, "application/json");
    set_cookie(call->response, "", "; Max-Age=0");
}

static void get_me(struct call *call)
{
    write_user(call->response, &call->user);
}

/* ---- what is so ---- */

static struct buffer *begin_json(struct call *call)
{
    return http_begin(call->response, 200, "application/json");
}

static void get_sites(struct call *call)
{
    live_write_sites(call->api->live, begin_json(call));
}

static void get_points(struct call *call)
{
    live_write_points(call->api->live, begin_json(call));
}

static void get_latest(struct call *call)
{
    live_write_latest(call->api->live, clock_read(call->api->clock), begin_json(call));
}

static void get_alarms(struct call *call)
{
    live_write_alarms(call->api->live, begin_json(call));
}

static void get_edges(struct call *call)
{
    live_write_document(call->api->live, LIVE_EDGES, begin_json(call));
}

static void get_gaps(struct call *call)
{
    live_write_document(call->api->live, LIVE_GAPS, begin_json(call));
}

static void get_history(struct call *call)
{
    api_history(call->api, call->request, call->id, call->response);
}

static void get_stream(struct call *call)
{
    api_stream(call->api, call->request, call->response);
}

/* ---- acting ---- */

/* Taken, on its way through the journal: what the engine makes of it is told by the stream. */
static void post_ack(struct call *call)
{
    struct record_action action = {.action = "ack"};
    struct message message = {""};
    struct json_document *document = parse_body(call);
    const struct json *root = document ? json_root(document) : NULL;
    const struct json *occurrence = json_member(root, "occurrence");
    int64_t number = 0;
    int err = json_type(root) == JSON_OBJECT ? 0 : ERR_INVALID;
    if (!err && occurrence)
        err = json_get_i64(occurrence, 0, INT64_MAX >> 10, &number);
    if (!err && json_member(root, "note"))
        err = body_text(root, "note", action.note, sizeof(action.note));
    json_free(document);
    if (!err)
        err = text_copy(action.target, sizeof(action.target), call->id);
    if (err) {
        http_problem(call->response, 400, "Not an acknowledgement",
                     "expected {\"occurrence\":N,\"note\":\"…\"}");
        return;
    }
    action.occurrence = (uint64_t)number;
    memcpy(action.user, call->user.user, sizeof(action.user));
    memcpy(action.role, call->user.role, sizeof(action.role));
    err = office_act(call->api->office, clock_read(call->api->clock), &action, &message);
    if (err) {
        http_problem(call->response, 503, "Not kept", message.text);
        return;
    }
    call->api->acted(call->api->self);
    buffer_append_text(http_begin(call->response, 202, "application/json"), "{\"accepted\":true}");
}

/* ---- health and figures ---- */

static void add_cause(struct json_writer *json, bool bad, const char *cause, bool *ret_sick)
{
    if (bad)
        json_text(json, cause);
    *ret_sick |= bad;
}

/* The embedded store has it all the same: what an outside one lacks makes nobody ill. */
static void add_outside(struct json_writer *json, const struct api_figures *figures,
                        bool *ret_strained)
{
    for (size_t i = 0; i < figures->outside_count; i++) {
        const struct outside_figures *store = &figures->outside[i];
        char cause[128];
        snprintf(cause, sizeof(cause), "store_%s:%s", store->status.trouble, store->name);
        add_cause(json, store->status.trouble[0], cause, ret_strained);
        snprintf(cause, sizeof(cause), "store_behind:%s", store->name);
        add_cause(json, store->status.lag > LAG_UNHEALTHY, cause, ret_strained);
    }
}

static void get_health(struct call *call)
{
    struct api_figures figures = {0};
    call->api->figures(call->api->self, &figures);
    struct buffer causes;
    struct json_writer json;
    bool sick = false, strained = false;
    buffer_init(&causes, BODY_MAX);
    json_writer_init(&json, &causes);
    json_begin_array(&json);
    add_cause(&json, !figures.broker_connected, "broker_not_connected", &sick);
    add_cause(&json, figures.journal_error != 0, "journal_takes_nothing", &sick);
    add_cause(&json, figures.historian_lag > LAG_UNHEALTHY, "historian_behind", &sick);
    add_cause(&json, figures.alarm_lag > LAG_UNHEALTHY, "alarms_behind", &sick);
    add_outside(&json, &figures, &strained);
    json_end_array(&json);
    struct buffer *out = http_begin(call->response, sick ? 503 : 200, "application/json");
    buffer_printf(out, "{\"status\":\"%s\",\"causes\":%s}",
                  sick       ? "sick"
                  : strained ? "strained"
                             : "well",
                  buffer_text(&causes));
    buffer_release(&causes);
}

static void metric(struct buffer *out, const char *name, const char *type, const char *help,
                   uint64_t value)
{
    buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help, name, type, name,
                  (unsigned long long)value);
}

/* A figure of each outside store. */
static void outside_metric(struct buffer *out, const struct api_figures *figures, const char *name,
                           const char *type, const char *help, size_t offset)
{
    if (figures->outside_count)
        buffer_printf(out, "# HELP chengmai_store_%s %s\n# TYPE chengmai_store_%s %s\n", name, help,
                      name, type);
    for (size_t i = 0; i < figures->outside_count; i++) {
        const struct outside_figures *store = &figures->outside[i];
        uint64_t value;
        memcpy(&value, (const char *)&store->status + offset, sizeof(value));
        buffer_printf(out, "chengmai_store_%s{store=\"%s\"} %llu\n", name, store->name,
                      (unsigned long long)value);
    }
}

static void outside_metrics(struct buffer *out, const struct api_figures *figures)
{
    static const struct {
        const char *name, *type, *help;
        size_t offset;
    } rows[] = {
        {"lag_records", "gauge", "Journal records an outside store has yet to take.",
         offsetof(struct outside_status, lag)},
        {"points_total", "counter", "Samples it took; written again, they count again.",
         offsetof(struct outside_status, points)},
        {"dead_letters_total", "counter", "Samples it will never take, set aside.",
         offsetof(struct outside_status, dead_letters)},
        {"dead_letters_lost_total", "counter", "… of which were not kept, their file being full.",
         offsetof(struct outside_status, letters_lost)},
        {"too_old_total", "counter", "Samples refused by its retention.",
         offsetof(struct outside_status, too_old)},
        {"thrown_away_total", "counter", "Rows it said yes to and did not keep, by its own count.",
         offsetof(struct outside_status, thrown_away)},
        {"moved_stamps_total", "counter", "Samples moved to the next free millisecond.",
         offsetof(struct outside_status, moved_stamps)},
        {"rewinds_total", "counter",
         "Its restarts, after which the last minutes were written again.",
         offsetof(struct outside_status, rewinds)},
        {"up", "gauge", "1 while it takes what it is sent.", offsetof(struct outside_status, up)},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        outside_metric(out, figures, rows[i].name, rows[i].type, rows[i].help, rows[i].offset);
}

static void get_metrics(struct call *call)
{
    struct api_figures figures = {0};
    call->api->figures(call->api->self, &figures);
    struct buffer *out =
        http_begin(call->response, 200, "text/plain; version=0.0.4; charset=utf-8");
    metric(out, "chengmai_records_total", "counter", "Records journaled.", figures.records);
    metric(out, "chengmai_points_total", "counter", "Readings in them, held ones counted.",
           figures.points);
    metric(out, "chengmai_duplicates_total", "counter", "Records that were there already.",
           figures.duplicates);
    metric(out, "chengmai_dead_letters_total", "counter", "Payloads that could not be read.",
           figures.dead_letters);
    metric(out, "chengmai_parked_records", "gauge", "Records that wait for their birth.",
           figures.parked);
    metric(out, "chengmai_parked_dropped_total", "counter",
           "Parked records let go; their edges send them again.", figures.parked_dropped);
    metric(out, "chengmai_receipts_total", "counter", "Receipts sent.", figures.receipts);
    metric(out, "chengmai_samples_stored_total", "counter", "Samples in the embedded store.",
           figures.stored);
    metric(out, "chengmai_alarms_raised_total", "counter", "Alarms raised since the start.",
           figures.raised);
    metric(out, "chengmai_notifications_sent_total", "counter", "Notifications accepted.",
           figures.sent);
    metric(out, "chengmai_notification_failures_total", "counter", "Attempts that failed.",
           figures.send_failures);
    metric(out, "chengmai_journal_bytes", "gauge", "The central journal on disk.",
           figures.journal_bytes);
    metric(out, "chengmai_mqtt_dropped_total", "counter",
           "Messages that found the queue full; they come again.", figures.mqtt_dropped);
    metric(out, "chengmai_broker_connected", "gauge", "1 while the broker is connected.",
           figures.broker_connected);
    buffer_printf(out,
                  "# HELP chengmai_reader_lag_records Journal records a reader has yet to take.\n"
                  "# TYPE chengmai_reader_lag_records gauge\n"
                  "chengmai_reader_lag_records{reader=\"historian\"} %llu\n"
                  "chengmai_reader_lag_records{reader=\"alarm\"} %llu\n",
                  (unsigned long long)figures.historian_lag, (unsigned long long)figures.alarm_lag);
    for (size_t i = 0; i < figures.outside_count; i++)
        buffer_printf(out, "chengmai_reader_lag_records{reader=\"%s\"} %llu\n",
                      figures.outside[i].name, (unsigned long long)figures.outside[i].status.lag);
    outside_metrics(out, &figures);
}

/* ---- routes ---- */

enum access { ACCESS_ANYONE, ACCESS_USER, ACCESS_ACTS };

struct route {
    const char *method, *path;
    enum access access;
    void (*answer)(struct call *call);
};

static const struct route routes[] = {
    {"POST", "/login", ACCESS_ANYONE, post_login},
    {"POST", "/logout", ACCESS_ANYONE, post_logout},
    {"GET", "/health", ACCESS_ANYONE, get_health},
    {"GET", "/metrics", ACCESS_ANYONE, get_metrics},
    {"GET", "/me", ACCESS_USER, get_me},
    {"GET", "/sites", ACCESS_USER, get_sites},
    {"GET", "/points", ACCESS_USER, get_points},
    {"GET", "/latest", ACCESS_USER, get_latest},
    {"GET", "/points/{id}/history", ACCESS_USER, get_history},
    {"GET", "/alarms", ACCESS_USER, get_alarms},
    {"POST", "/alarms/{id}/ack", ACCESS_ACTS, post_ack},
    {"GET", "/stream", ACCESS_USER, get_stream},
    {"GET", "/edges", ACCESS_USER, get_edges},
    {"GET", "/gaps", ACCESS_USER, get_gaps},
};

/* Does the path match, and what stands for {id}? */
static bool match(const char *pattern, const char *path, char *ret_id, size_t size)
{
    const char *hole = strstr(pattern, "{id}");
    if (!hole)
        return strcmp(pattern, path) == 0;
    size_t before = (size_t)(hole - pattern);
    if (strncmp(pattern, path, before) != 0)
        return false;
    size_t len = strcspn(path + before, "/");
    if (!len || len >= size || strcmp(hole + 4, path + before + len) != 0)
        return false;
    memcpy(ret_id, path + before, len);
    ret_id[len] = '\0';
    return true;
}

/* May this call be made? Answers where it may not. */
static bool admit(struct call *call, const struct route *route)
{
    if (strcmp(route->method, "POST") == 0 && !http_header(call->request, "X-Chengmai")) {
        http_problem(call->response, 403, "Not from our pages",
                     "a POST carries the header X-Chengmai: 1");
        return false;
    }
    if (route->access == ACCESS_ANYONE)
        return true;
    const char *token = http_cookie(call->request, COOKIE);
    if (!token ||
        office_session(call->api->office, clock_read(call->api->clock), token, &call->user)) {
        http_problem(call->response, 401, "Not logged in", "POST /api/v1/login first");
        return false;
    }
    if (route->access == ACCESS_ACTS && strcmp(call->user.role, "operator") != 0 &&
        strcmp(call->user.role, "safety") != 0) {
        http_problem(call->response, 403, "Not allowed", "your role may not do this");
        return false;
    }
    return true;
}

void api_handle(void *self, const struct http_request *request, struct http_response *response)
{
    struct call call = {.api = self, .request = request, .response = response};
    bool known = false;
    if (strncmp(request->path, PREFIX "/", sizeof(PREFIX)) != 0) {
        http_problem(response, 404, "Not found", NULL);
        return;
    }
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        const struct route *route = &routes[i];
        if (!match(route->path, request->path + strlen(PREFIX), call.id, sizeof(call.id)))
            continue;
        known = true;
        if (strcmp(route->method, request->method) != 0)
            continue;
        if (admit(&call, route))
            route->answer(&call);
        return;
    }
    http_problem(response, known ? 405 : 404, known ? "Not this method" : "Not found", NULL);
}
