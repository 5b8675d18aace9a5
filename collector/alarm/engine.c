#include "alarm/engine.h"

#include "alarm/engine_state.h"
#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/*
 * Design notes
 *
 * An alarm is a list of conditions, one per limit, and a base machine (ALARMS 1.2, rows A–D). The
 * level is the highest proven limit. Level 0 → n is ACT, n → 0 is RTN, n → m > n is PRIO+; the
 * table says what each does in each state. An instrument alarm has one condition: its point is bad,
 * silent, or was never seen.
 *
 * Order at one instant: a delay that ended before the time of an input is decided before that input
 * is looked at; one that ends at the same time is decided after it.
 */

#define CLOCK_AHEAD_MS 5000 /* a source further ahead is judged by the time of receipt (Q11) */

/* ---- the base machine as a table ---- */

enum input { INPUT_ACT, INPUT_RTN, INPUT_ACK, INPUT_WORSE, INPUT_COUNT };

enum effect {
    DO_RAISE = 1, /* a new occurrence */
    DO_RETURN = 2,
    DO_CLEAR = 4, /* normal now */
    DO_ACK = 8,
    DO_REVOKE = 16, /* the ack no longer holds */
    DO_WORSEN = 32, /* shown priority follows the level */
    DO_REJECT = 64,
};

struct transition {
    enum alarm_state next;
    unsigned effects;
    enum alarm_code code;
};

/* Where no acknowledgement is asked for, B returns to A: see returned_without_ack. */
static const struct transition transitions[ALARM_STATE_COUNT][INPUT_COUNT] =
    {
        [ALARM_NORMAL] =
            {
                [INPUT_ACT] = {ALARM_UNACK_ACTIVE, DO_RAISE, 0},
                [INPUT_RTN] = {ALARM_NORMAL, 0, 0},
                [INPUT_ACK] = {ALARM_NORMAL, DO_REJECT, ALARM_NOT_ACTIVE},
                [INPUT_WORSE] = {ALARM_NORMAL, 0, 0},
            },
        [ALARM_UNACK_ACTIVE] =
            {
                [INPUT_ACT] = {ALARM_UNACK_ACTIVE, 0, 0},
                [INPUT_RTN] = {ALARM_UNACK_RETURNED, DO_RETURN, 0},
                [INPUT_ACK] = {ALARM_ACKED_ACTIVE, DO_ACK, 0},
                [INPUT_WORSE] = {ALARM_UNACK_ACTIVE, DO_WORSEN, 0},
            },
        [ALARM_ACKED_ACTIVE] =
            {
                [INPUT_ACT] = {ALARM_ACKED_ACTIVE, 0, 0},
                [INPUT_RTN] = {ALARM_NORMAL, DO_RETURN | DO_CLEAR, 0},
                [INPUT_ACK] = {ALARM_ACKED_ACTIVE, DO_REJECT, ALARM_ALREADY_ACKED},
                [INPUT_WORSE] = {ALARM_UNACK_ACTIVE, DO_REVOKE | DO_WORSEN, 0},
            },
        [ALARM_UNACK_RETURNED] =
            {
                [INPUT_ACT] = {ALARM_UNACK_ACTIVE, DO_RAISE, 0},
                [INPUT_RTN] = {ALARM_UNACK_RETURNED, 0, 0},
                [INPUT_ACK] = {ALARM_NORMAL, DO_ACK | DO_CLEAR, 0},
                [INPUT_WORSE] = {ALARM_UNACK_RETURNED, 0, 0},
            },
};

static const struct transition returned_without_ack = {ALARM_NORMAL, DO_RETURN | DO_CLEAR, 0};

/* ---- life ---- */

static int index_rules(struct engine *engine)
{
    const struct rules *rules = engine->rules;
    engine->first = calloc(rules->point_count + 2, sizeof(*engine->first));
    engine->rules_by_point = calloc(rules->count + 1, sizeof(*engine->rules_by_point));
    if (!engine->first || !engine->rules_by_point)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < rules->count; i++)
        engine->first[rules->list[i].point + 2]++;
    for (size_t p = 2; p < rules->point_count + 2; p++)
        engine->first[p] += engine->first[p - 1];
    for (size_t i = 0; i < rules->count; i++)
        engine->rules_by_point[engine->first[rules->list[i].point + 1]++] = i;
    return 0;
}

void engine_reset(struct engine *engine)
{
    memset(engine->points, 0, (engine->rules->point_count + 1) * sizeof(*engine->points));
    memset(engine->alarms, 0, (engine->rules->count + 1) * sizeof(*engine->alarms));
    for (size_t p = 0; p < engine->rules->point_count; p++)
        engine->points[p].quality = QUALITY_STALE;
    for (size_t i = 0; i < engine->rules->count; i++)
        for (size_t n = 0; n < RULE_LIMITS_MAX; n++)
            condition_init(&engine->alarms[i].conditions[n]);
    engine->now_ms = 0;
    engine->start_ms = 0;
    engine->late = 0;
}

struct engine *engine_new(const struct rules *rules, alarm_sink *sink, void *self)
{
    struct engine *engine = calloc(1, sizeof(*engine));
    if (!engine)
        return NULL;
    engine->rules = rules;
    engine->sink = sink;
    engine->self = self;
    engine->points = calloc(rules->point_count + 1, sizeof(*engine->points));
    engine->alarms = calloc(rules->count + 1, sizeof(*engine->alarms));
    if (!engine->points || !engine->alarms || index_rules(engine)) {
        engine_free(engine);
        return NULL;
    }
    engine_reset(engine);
    return engine;
}

void engine_free(struct engine *engine)
{
    if (!engine)
        return;
    free(engine->points);
    free(engine->alarms);
    free(engine->rules_by_point);
    free(engine->first);
    free(engine);
}

/* ---- events ---- */

struct actor {
    const char *user, *role, *note;
    uint64_t occurrence; /* an older one that was meant; 0: the current one */
};

static void emit(struct engine *engine, size_t index, enum alarm_event_kind kind,
                 enum alarm_code code, const struct actor *actor)
{
    const struct rule *rule = &engine->rules->list[index];
    const struct alarm *alarm = &engine->alarms[index];
    const struct point_state *point = &engine->points[rule->point];
    bool instrument = rule->kind == RULE_INSTRUMENT;
    struct alarm_event event = {
        .kind = kind,
        .rule = rule,
        .t_ms = engine->now_ms,
        .occurrence = alarm->occurrence,
        .state = alarm->state,
        .has_priority = alarm->occurrence > 0,
        .priority = alarm->shown,
        .onset_ms = alarm->onset_ms,
        .source_ms = engine->source_ms,
        .historical = engine->source_ms && engine->now_ms - engine->source_ms >
                                               engine->rules->points[rule->point].stale_after_ms,
        .has_value = point->has_value,
        .value = point->value,
        .quality = point->quality,
        .quality_cause = point->cause,
        .cause = instrument ? "quality" : "process",
        .code = code,
    };
    if (instrument && kind == ALARM_RAISE)
        event.why = !point->seen ? "never_seen" : point->quality == QUALITY_STALE ? "stale" : "bad";
    if (actor) {
        event.user = actor->user;
        event.role = actor->role;
        event.note = actor->note;
        if (actor->occurrence)
            event.occurrence = actor->occurrence;
        event.response_ms = engine->now_ms - alarm->raised_ms;
    }
    engine->sink(engine->self, &event);
}

static enum priority level_priority(const struct rule *rule, size_t level)
{
    return rule->limits[level ? level - 1 : 0].priority;
}

static void apply(struct engine *engine, size_t index, enum input input, const struct actor *actor,
                  int64_t onset_ms)
{
    const struct rule *rule = &engine->rules->list[index];
    struct alarm *alarm = &engine->alarms[index];
    const struct transition *transition = &transitions[alarm->state][input];
    if (input == INPUT_RTN && alarm->state == ALARM_UNACK_ACTIVE && !rule->ack_required)
        transition = &returned_without_ack;
    unsigned effects = transition->effects;
    enum priority priority = level_priority(rule, alarm->level);

    if (effects & DO_RAISE) {
        alarm->occurrence++;
        alarm->shown = priority;
        alarm->onset_ms = onset_ms;
        alarm->raised_ms = engine->now_ms;
        alarm->ack_user[0] = '\0';
    }
    if (effects & DO_ACK)
        (void)!text_copy(alarm->ack_user, sizeof(alarm->ack_user), actor->user);
    alarm->state = transition->next;
    if (effects & DO_REVOKE) {
        struct actor acked = {.user = alarm->ack_user};
        emit(engine, index, ALARM_ACK_REVOKED, 0, &acked);
        alarm->ack_user[0] = '\0';
    }
    if (effects & DO_RAISE)
        emit(engine, index, ALARM_RAISE, 0, NULL);
    if ((effects & DO_WORSEN) && priority > alarm->shown) {
        alarm->shown = priority;
        emit(engine, index, ALARM_PRIORITY, 0, NULL);
    }
    if (effects & DO_RETURN)
        emit(engine, index, ALARM_RETURN, 0, NULL);
    if (effects & DO_ACK)
        emit(engine, index, ALARM_ACK, 0, actor);
    if (effects & DO_CLEAR)
        emit(engine, index, ALARM_CLEAR, 0, NULL);
    if (effects & DO_REJECT)
        emit(engine, index, ALARM_REJECT, transition->code, actor);
}

/* The level after conditions changed: the limits proven without a break. */
static void follow_level(struct engine *engine, size_t index, int64_t onset_ms)
{
    struct alarm *alarm = &engine->alarms[index];
    size_t before = alarm->level, level = 0;
    while (level < engine->rules->list[index].limit_count && alarm->conditions[level].proven)
        level++;
    if (level == before)
        return;
    alarm->level = level;
    if (!before)
        apply(engine, index, INPUT_ACT, NULL, onset_ms);
    else if (!level)
        apply(engine, index, INPUT_RTN, NULL, 0);
    else if (level > before)
        apply(engine, index, INPUT_WORSE, NULL, 0);
}

/* ---- delays ---- */

/* Proves or returns the limits whose delay has ended by `until_ms`. */
static void fire(struct engine *engine, size_t index, int64_t until_ms)
{
    const struct rule *rule = &engine->rules->list[index];
    struct alarm *alarm = &engine->alarms[index];
    int64_t onset_ms = 0;
    bool changed = false;
    for (size_t n = rule->limit_count; n-- > 0;) {
        struct condition *condition = &alarm->conditions[n];
        int64_t due = condition_due(condition, rule->limits[n].on_delay_ms, rule->off_delay_ms);
        if (due == CONDITION_NONE || due > until_ms)
            continue;
        onset_ms = condition_fire(condition);
        engine->source_ms = due;
        changed = true;
        /* A proven limit proves those before it. */
        for (size_t lower = 0; condition->proven && lower < n; lower++)
            if (!alarm->conditions[lower].proven) {
                alarm->conditions[lower].proven = true;
                alarm->conditions[lower].since_ms = CONDITION_NONE;
            }
    }
    if (changed)
        follow_level(engine, index, onset_ms);
    engine->source_ms = 0;
}

/* The earliest end of a delay of this alarm, or NONE. */
static int64_t next_due(const struct engine *engine, size_t index)
{
    const struct rule *rule = &engine->rules->list[index];
    int64_t earliest = CONDITION_NONE;
    for (size_t n = 0; n < rule->limit_count; n++) {
        int64_t due = condition_due(&engine->alarms[index].conditions[n],
                                    rule->limits[n].on_delay_ms, rule->off_delay_ms);
        if (due != CONDITION_NONE && (earliest == CONDITION_NONE || due < earliest))
            earliest = due;
    }
    return earliest;
}

/* ---- quality ---- */

static void judge_instrument(struct engine *engine, size_t index, bool faulty, int64_t t_ms)
{
    struct condition *condition = &engine->alarms[index].conditions[0];
    condition_sample(condition, faulty ? VERDICT_BEYOND : VERDICT_CLEAR, t_ms, 0, 0);
    fire(engine, index, t_ms);
}

/* The point's quality is what it now is: alarms that are not normal say so, delays obey. */
static void quality_changed(struct engine *engine, size_t point, enum quality before, int64_t t_ms)
{
    enum quality now = engine->points[point].quality;
    for (size_t i = engine->first[point]; i < engine->first[point + 1]; i++) {
        size_t index = engine->rules_by_point[i];
        if (engine->rules->list[index].kind == RULE_INSTRUMENT) {
            judge_instrument(engine, index, now >= QUALITY_BAD, t_ms);
            continue;
        }
        struct alarm *alarm = &engine->alarms[index];
        for (size_t n = 0; n < engine->rules->list[index].limit_count; n++) {
            if (now == QUALITY_STALE)
                condition_stale(&alarm->conditions[n]);
            else if (now == QUALITY_BAD)
                condition_bad(&alarm->conditions[n]);
        }
        if (now != before && alarm->state != ALARM_NORMAL)
            emit(engine, index, ALARM_QUALITY, 0, NULL);
    }
}

/* When the point's silence will count, or NONE where it does already. */
static int64_t silence_due(const struct engine *engine, size_t p)
{
    const struct point_state *point = &engine->points[p];
    if (!engine->start_ms)
        return CONDITION_NONE;
    if (!point->seen) {
        for (size_t i = engine->first[p]; i < engine->first[p + 1]; i++) {
            size_t index = engine->rules_by_point[i];
            const struct rule *rule = &engine->rules->list[index];
            const struct condition *condition = &engine->alarms[index].conditions[0];
            if (rule->kind == RULE_INSTRUMENT && !condition->proven)
                return engine->start_ms + rule->grace_ms;
        }
        return CONDITION_NONE;
    }
    return point->quality == QUALITY_STALE
               ? CONDITION_NONE
               : point->received_ms + engine->rules->points[p].stale_after_ms;
}

static void fall_silent(struct engine *engine, size_t p, int64_t t_ms)
{
    struct point_state *point = &engine->points[p];
    enum quality before = point->quality;
    point->quality = QUALITY_STALE;
    point->cause = CAUSE_NONE;
    quality_changed(engine, p, before, t_ms);
}

/* ---- time ---- */

/* The next instant at which something ends by itself, up to `limit_ms`; false when there is none.
 */
static bool next_instant(const struct engine *engine, int64_t limit_ms, int64_t *ret_ms)
{
    int64_t earliest = CONDITION_NONE;
    for (size_t p = 0; p < engine->rules->point_count; p++) {
        int64_t due = silence_due(engine, p);
        if (due != CONDITION_NONE && (earliest == CONDITION_NONE || due < earliest))
            earliest = due;
    }
    for (size_t i = 0; i < engine->rules->count; i++) {
        int64_t due = next_due(engine, i);
        if (due != CONDITION_NONE && (earliest == CONDITION_NONE || due < earliest))
            earliest = due;
    }
    if (earliest == CONDITION_NONE || earliest > limit_ms)
        return false;
    *ret_ms = earliest;
    return true;
}

/* Decides all that ends by `until_ms`, in order of time; then it is that late. */
static void pass(struct engine *engine, int64_t until_ms)
{
    int64_t due;
    while (next_instant(engine, until_ms, &due)) {
        if (due > engine->now_ms)
            engine->now_ms = due;
        for (size_t p = 0; p < engine->rules->point_count; p++) {
            int64_t silent = silence_due(engine, p);
            if (silent != CONDITION_NONE && silent <= due)
                fall_silent(engine, p, due);
        }
        for (size_t i = 0; i < engine->rules->count; i++)
            fire(engine, i, due);
    }
}

void engine_advance(struct engine *engine, int64_t now_ms)
{
    pass(engine, now_ms);
    if (now_ms > engine->now_ms)
        engine->now_ms = now_ms;
}

/* What ended before this input is decided first; what ends with it, after. */
static void come_to(struct engine *engine, int64_t now_ms)
{
    if (now_ms <= engine->now_ms)
        return;
    pass(engine, now_ms - 1);
    engine->now_ms = now_ms;
}

void engine_start(struct engine *engine, int64_t now_ms)
{
    if (now_ms > engine->now_ms)
        engine->now_ms = now_ms;
    if (!engine->start_ms)
        engine->start_ms = engine->now_ms;
    for (size_t p = 0; p < engine->rules->point_count; p++)
        if (engine->points[p].seen)
            engine->points[p].received_ms = engine->now_ms;
}

/* ---- samples ---- */

static enum verdict verdict_of(const struct rule *rule, size_t limit, double value)
{
    double at = rule->limits[limit].at;
    if (rule->kind == RULE_HIGH)
        return value >= at                   ? VERDICT_BEYOND
               : value < at - rule->deadband ? VERDICT_CLEAR
                                             : VERDICT_HOLDS;
    return value <= at                   ? VERDICT_BEYOND
           : value > at + rule->deadband ? VERDICT_CLEAR
                                         : VERDICT_HOLDS;
}

static void judge_value(struct engine *engine, size_t index, double value, int64_t t_ms,
                        int64_t gap_ms)
{
    const struct rule *rule = &engine->rules->list[index];
    struct alarm *alarm = &engine->alarms[index];
    for (size_t n = 0; n < rule->limit_count; n++)
        condition_sample(&alarm->conditions[n], verdict_of(rule, n, value), t_ms, gap_ms,
                         engine->rules->points[rule->point].stale_after_ms);
    fire(engine, index, t_ms);
}

/* A bad value by any of its signs; its cause where the sample names none. */
static enum quality quality_of(const struct rule_point *point, const struct sample *sample,
                               enum cause *ret_cause)
{
    bool number = sample->value.kind == VALUE_DOUBLE || sample->value.kind == VALUE_FLOAT;
    *ret_cause = sample->cause;
    if (sample->quality >= QUALITY_BAD)
        return sample->quality;
    if (!number || !isfinite(sample->value.number)) {
        *ret_cause = CAUSE_NOT_A_NUMBER;
        return QUALITY_BAD;
    }
    if (point->has_range &&
        (sample->value.number < point->min || sample->value.number > point->max)) {
        *ret_cause = CAUSE_OUT_OF_RANGE;
        return QUALITY_BAD;
    }
    return sample->quality;
}

void engine_sample(struct engine *engine, size_t p, const struct sample *sample,
                   int64_t received_ms)
{
    struct point_state *point = &engine->points[p];
    int64_t t_ms = sample->t_ms > received_ms + CLOCK_AHEAD_MS ? received_ms : sample->t_ms;
    come_to(engine, received_ms);
    if (point->seen && t_ms < point->newest_ms) {
        engine->late++;
        return;
    }
    /* Much may come at one time: what ended before this sample is decided before it. */
    for (size_t i = engine->first[p]; i < engine->first[p + 1]; i++)
        fire(engine, engine->rules_by_point[i], t_ms - 1);
    enum quality before = point->quality;
    int64_t gap_ms = t_ms - point->value_ms;
    point->seen = true;
    point->newest_ms = t_ms;
    point->received_ms = received_ms;
    point->quality = quality_of(&engine->rules->points[p], sample, &point->cause);
    bool usable = point->quality < QUALITY_BAD;
    if (usable) {
        point->has_value = true;
        point->value = sample->value.number;
        point->value_ms = t_ms;
    }
    quality_changed(engine, p, before, t_ms);
    for (size_t i = engine->first[p]; usable && i < engine->first[p + 1]; i++) {
        size_t index = engine->rules_by_point[i];
        if (engine->rules->list[index].kind != RULE_INSTRUMENT)
            judge_value(engine, index, sample->value.number, t_ms, gap_ms);
    }
}

void engine_ack(struct engine *engine, size_t index, uint64_t occurrence, const char *user,
                const char *role, const char *note, int64_t now_ms)
{
    come_to(engine, now_ms);
    struct actor actor = {user, role, note, 0};
    uint64_t current = engine->alarms[index].occurrence;
    if (occurrence && occurrence < current) {
        actor.occurrence = occurrence;
        emit(engine, index, ALARM_ACK, ALARM_STALE_OCC, &actor);
    } else if (occurrence > current) {
        emit(engine, index, ALARM_REJECT, ALARM_STALE_OCC, &actor);
    } else {
        apply(engine, index, INPUT_ACK, &actor, 0);
    }
}

/* ---- what others see ---- */

void engine_view(const struct engine *engine, size_t index, struct alarm_view *ret_view)
{
    const struct rule *rule = &engine->rules->list[index];
    const struct alarm *alarm = &engine->alarms[index];
    const struct point_state *point = &engine->points[rule->point];
    *ret_view = (struct alarm_view){
        .rule = rule,
        .state = alarm->state,
        .occurrence = alarm->occurrence,
        .priority = alarm->shown,
        .onset_ms = alarm->onset_ms,
        .raised_ms = alarm->raised_ms,
        .has_value = point->has_value,
        .value = point->value,
        .value_ms = point->value_ms,
        .quality = point->quality,
        .quality_cause = point->cause,
    };
    memcpy(ret_view->ack_user, alarm->ack_user, sizeof(ret_view->ack_user));
}

uint64_t engine_late(const struct engine *engine)
{
    return engine->late;
}
