/*
 * What the alarm engine says happened: plain data, and its JSON line (INTERFACES 4). Pure.
 */
#ifndef ALARM_EVENT_H
#define ALARM_EVENT_H

#include "base/buffer.h"
#include "model/quality.h"
#include "model/rule.h"

#include <stdbool.h>
#include <stdint.h>

enum alarm_state {
    ALARM_NORMAL,         /* A */
    ALARM_UNACK_ACTIVE,   /* B */
    ALARM_ACKED_ACTIVE,   /* C */
    ALARM_UNACK_RETURNED, /* D */
    ALARM_STATE_COUNT,
};

enum alarm_event_kind {
    ALARM_RAISE,  /* a new occurrence, unacknowledged */
    ALARM_RETURN, /* the condition ended */
    ALARM_CLEAR,  /* the state became normal */
    ALARM_ACK,
    ALARM_ACK_REVOKED, /* it got worse after somebody had acknowledged */
    ALARM_PRIORITY,    /* the shown priority rose */
    ALARM_QUALITY,     /* the point's quality changed while the alarm is not normal */
    ALARM_REJECT,      /* an action that the state does not allow */
    ALARM_EVENT_KIND_COUNT,
};

/* Why an action was rejected. */
enum alarm_code { ALARM_CODE_NONE, ALARM_NOT_ACTIVE, ALARM_ALREADY_ACKED, ALARM_STALE_OCC };

struct alarm_event {
    enum alarm_event_kind kind;
    const struct rule *rule;
    int64_t t_ms;           /* the engine's time */
    uint64_t occurrence;    /* 0 before the first */
    enum alarm_state state; /* after the event */
    bool has_priority;      /* false before the first raise */
    enum priority priority; /* shown: the peak since the onset */
    int64_t onset_ms;       /* source time of the first sample that qualified; 0: none yet */
    int64_t source_ms;      /* source time at which it was proven; 0: nothing was */
    bool historical;        /* … longer ago than the point may be silent */
    bool has_value;
    double value;         /* the last usable one */
    enum quality quality; /* of the point now */
    enum cause quality_cause;
    const char *cause;              /* process, quality */
    const char *why;                /* of instrument alarms: bad, stale, never_seen; else NULL */
    const char *user, *role, *note; /* who acted, or whose ack was revoked; else NULL */
    int64_t response_ms;            /* ack of the current occurrence: since the raise */
    enum alarm_code code;
};

const char *alarm_state_name(enum alarm_state state);
const char *alarm_event_name(enum alarm_event_kind kind);
const char *alarm_code_name(enum alarm_code code);

/* The event as one JSON object; times as RFC 3339 UTC. */
void alarm_event_write(const struct alarm_event *event, struct buffer *out);

#endif
