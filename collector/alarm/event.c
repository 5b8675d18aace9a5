#include "alarm/event.h"

#include "base/clock.h"
#include "base/json.h"

const char *alarm_state_name(enum alarm_state state)
{
    static const char *const names[ALARM_STATE_COUNT] = {"normal", "unack_active", "acked_active",
                                                         "unack_returned"};
    return state < ALARM_STATE_COUNT ? names[state] : "unknown";
}

const char *alarm_event_name(enum alarm_event_kind kind)
{
    static const char *const names[ALARM_EVENT_KIND_COUNT] = {
        "raise", "return", "clear", "ack", "ack_revoked", "priority", "quality", "reject"};
    return kind < ALARM_EVENT_KIND_COUNT ? names[kind] : "unknown";
}

const char *alarm_code_name(enum alarm_code code)
{
    static const char *const names[] = {"", "NOT_ACTIVE", "ALREADY_ACKED", "STALE_OCC"};
    return names[code];
}

static void write_time(struct json_writer *json, const char *key, int64_t t_ms)
{
    char text[TIME_TEXT_SIZE];
    time_format_utc(t_ms, text);
    json_key(json, key);
    json_text(json, t_ms ? text : NULL);
}

static void write_text(struct json_writer *json, const char *key, const char *text)
{
    json_key(json, key);
    json_text(json, text);
}

void alarm_event_write(const struct alarm_event *event, struct buffer *out)
{
    struct json_writer json;
    json_writer_init(&json, out);
    json_begin_object(&json);
    write_time(&json, "t", event->t_ms);
    write_text(&json, "alarm", event->rule->id);
    json_key(&json, "occurrence");
    json_u64(&json, event->occurrence);
    write_text(&json, "event", alarm_event_name(event->kind));
    write_text(&json, "state", alarm_state_name(event->state));
    write_text(&json, "priority", event->has_priority ? priority_name(event->priority) : NULL);
    write_time(&json, "onset", event->onset_ms);
    if (event->source_ms) {
        write_time(&json, "source", event->source_ms);
        json_key(&json, "historical");
        json_bool(&json, event->historical);
    }
    json_key(&json, "value");
    if (event->has_value)
        json_double(&json, event->value);
    else
        json_null(&json);
    write_text(&json, "quality", quality_name(event->quality));
    write_text(&json, "quality_cause", cause_name(event->quality_cause));
    write_text(&json, "cause", event->cause);
    if (event->why)
        write_text(&json, "why", event->why);
    if (event->user) {
        write_text(&json, "user", event->user);
        write_text(&json, "role", event->role);
        write_text(&json, "note", event->note);
    }
    if (event->kind == ALARM_ACK && !event->code) {
        json_key(&json, "response");
        json_double(&json, (double)event->response_ms / MS_PER_S);
    }
    if (event->code)
        write_text(&json, "code", alarm_code_name(event->code));
    json_end_object(&json);
}
