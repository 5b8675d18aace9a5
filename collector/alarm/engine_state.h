/*
 * The engine's state, shared by its judgement (engine.c) and its keeping (engine_save.c). Private
 * to the alarm layer.
 */
#ifndef ALARM_ENGINE_STATE_H
#define ALARM_ENGINE_STATE_H

#include "alarm/condition.h"
#include "alarm/engine.h"

struct point_state {
    bool seen;
    bool has_value;
    double value;
    int64_t value_ms;    /* source time of the last usable value */
    int64_t newest_ms;   /* source time of the newest sample looked at */
    int64_t received_ms; /* when the last one came; at first the start of the watch */
    enum quality quality;
    enum cause cause;
};

struct alarm {
    enum alarm_state state;
    struct condition conditions[RULE_LIMITS_MAX];
    size_t level; /* how many limits are proven */
    uint64_t occurrence;
    enum priority shown;
    int64_t onset_ms, raised_ms;
    char ack_user[65];
};

struct engine {
    const struct rules *rules;
    alarm_sink *sink;
    void *self;
    struct point_state *points;
    struct alarm *alarms;
    size_t
        *rules_by_point; /* rule indexes, grouped by point: those of p at first[p]..first[p+1]-1 */
    size_t *first;
    int64_t now_ms;
    int64_t source_ms; /* while a delay's end is told: that end, in source time; else 0 */
    int64_t start_ms;  /* never seen counts from here; 0: not started */
    uint64_t late;
};

/* As new: nothing seen, nothing raised. */
void engine_reset(struct engine *engine);

#endif
