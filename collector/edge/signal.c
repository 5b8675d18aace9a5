#include "edge/signal.h"

#include "base/error.h"
#include "base/numbers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/*
 * Design notes
 *
 * Most points have nothing to be judged by: a point's slot says where its state is, if any. Points
 * that conditions look at have an input, which holds the last reading as the driver judged it, so
 * that no mark takes away what it stands on.
 *
 * Rate: the change is measured against two earlier readings, `young` and `old`. The younger is
 * replaced by the present reading as soon as it is `rate_in_ms` old, and becomes the older one. So
 * there is always one that is between one and two spans old, for slow ramps, and one that is
 * younger, for jumps; a span shorter than rate_in_ms counts as that long, so that the steps of a
 * coarse register do not look fast.
 */

#define INTERVALS_FRESH 3
#define LEAST_FRESH_US  (15 * (int64_t)US_PER_S)
#define UTC8_MS         INT64_C(28800000)
#define DAY_MS          INT64_C(86400000)
#define NONE            UINT32_MAX

/* NAMUR NE 43: beyond 3.6 and 21 mA a transmitter says that it failed; it measures between 3.8 and
 * 20.5 mA. Rounding of the scale must not decide. */
#define FAILED_LOW    3.6
#define FAILED_HIGH   21.0
#define MEASURES_LOW  3.8
#define MEASURES_HIGH 20.5
#define MA_TOLERANCE  1e-9

struct anchor {
    bool set;
    int64_t t_ms;
    double number;
};

struct watch {
    struct signal_limits limits;
    struct anchor young, old;
    double flat;
    int64_t flat_polls, flat_since_us;
};

struct input {
    bool usable;
    double number;
    int64_t at_us, fresh_us;
    uint64_t rules[SIGNAL_SOURCES]; /* that look at it */
};

struct slot {
    uint32_t watch, input;          /* NONE: it has none */
    uint64_t rules[SIGNAL_SOURCES]; /* that doubt it */
};

struct rule {
    struct signal_mark mark;
    uint32_t inputs[SIGNAL_WHEN_MAX];
    int64_t true_since_us; /* NEVER: not true */
};

struct signal {
    size_t point_count;
    struct slot *slots;
    int64_t *interval_ms;
    struct watch *watches;
    size_t watch_count;
    struct input *inputs; /* only ever more: as many as points that were ever looked at */
    size_t input_count;
    struct rule rules[SIGNAL_SOURCES][SIGNAL_MARKS_MAX];
    size_t rule_count[SIGNAL_SOURCES];
};

int signal_new(size_t point_count, const int64_t *interval_ms, struct signal **ret_signal)
{
    struct signal *signal = calloc(1, sizeof(*signal));
    if (!signal)
        return ERR_NO_MEMORY;
    signal->point_count = point_count;
    signal->slots = calloc(point_count + 1, sizeof(*signal->slots));
    signal->interval_ms = calloc(point_count + 1, sizeof(*signal->interval_ms));
    if (!signal->slots || !signal->interval_ms) {
        signal_free(signal);
        return ERR_NO_MEMORY;
    }
    memcpy(signal->interval_ms, interval_ms, point_count * sizeof(*interval_ms));
    for (size_t i = 0; i < point_count; i++)
        signal->slots[i] = (struct slot){.watch = NONE, .input = NONE};
    *ret_signal = signal;
    return 0;
}

void signal_free(struct signal *signal)
{
    if (!signal)
        return;
    free(signal->slots);
    free(signal->interval_ms);
    free(signal->watches);
    free(signal->inputs);
    free(signal);
}

int signal_watch(struct signal *signal, uint32_t point, const struct signal_limits *limits)
{
    if (point >= signal->point_count || signal->slots[point].watch != NONE)
        return ERR_INVALID;
    struct watch *watches =
        reallocarray(signal->watches, signal->watch_count + 1, sizeof(*watches));
    if (!watches)
        return ERR_NO_MEMORY;
    signal->watches = watches;
    watches[signal->watch_count] = (struct watch){.limits = *limits};
    signal->slots[point].watch = (uint32_t)signal->watch_count++;
    return 0;
}

/* ---- marks ---- */

static int make_input(struct signal *signal, uint32_t point)
{
    if (signal->slots[point].input != NONE)
        return 0;
    struct input *inputs = reallocarray(signal->inputs, signal->input_count + 1, sizeof(*inputs));
    if (!inputs)
        return ERR_NO_MEMORY;
    signal->inputs = inputs;
    int64_t fresh_us = INTERVALS_FRESH * signal->interval_ms[point] * US_PER_MS;
    inputs[signal->input_count] =
        (struct input){.fresh_us = fresh_us > LEAST_FRESH_US ? fresh_us : LEAST_FRESH_US};
    signal->slots[point].input = (uint32_t)signal->input_count++;
    return 0;
}

static int check_rules(struct signal *signal, const struct signal_rule *rules, size_t count)
{
    int err = count > SIGNAL_MARKS_MAX ? ERR_FULL : 0;
    for (size_t i = 0; !err && i < count; i++) {
        for (size_t k = 0; !err && k < rules[i].mark.when_count; k++)
            err = rules[i].when[k] < signal->point_count ? make_input(signal, rules[i].when[k])
                                                         : ERR_INVALID;
        for (size_t k = 0; !err && k < rules[i].point_count; k++)
            err = rules[i].points[k] < signal->point_count ? 0 : ERR_INVALID;
    }
    return err;
}

int signal_set_marks(struct signal *signal, enum signal_source source,
                     const struct signal_rule *rules, size_t count)
{
    int err = check_rules(signal, rules, count);
    if (err)
        return err;
    for (size_t i = 0; i < signal->point_count; i++)
        signal->slots[i].rules[source] = 0;
    for (size_t i = 0; i < signal->input_count; i++)
        signal->inputs[i].rules[source] = 0;
    signal->rule_count[source] = count;
    for (size_t i = 0; i < count; i++) {
        struct rule *rule = &signal->rules[source][i];
        *rule = (struct rule){.mark = rules[i].mark, .true_since_us = NEVER};
        for (size_t k = 0; k < rule->mark.when_count; k++) {
            rule->inputs[k] = signal->slots[rules[i].when[k]].input;
            signal->inputs[rule->inputs[k]].rules[source] |= UINT64_C(1) << i;
        }
        for (size_t k = 0; k < rules[i].point_count; k++)
            signal->slots[rules[i].points[k]].rules[source] |= UINT64_C(1) << i;
    }
    return 0;
}

static bool compares(double number, enum compare compare, double with)
{
    switch (compare) {
    case COMPARE_EQUAL:
        return number <= with && number >= with;
    case COMPARE_NOT_EQUAL:
        return number < with || number > with;
    case COMPARE_LESS:
        return number < with;
    case COMPARE_AT_MOST:
        return number <= with;
    case COMPARE_GREATER:
        return number > with;
    case COMPARE_AT_LEAST:
        return number >= with;
    }
    return false;
}

static bool conditions_true(const struct signal *signal, const struct rule *rule, struct now now)
{
    for (size_t k = 0; k < rule->mark.when_count; k++) {
        const struct signal_when *when = &rule->mark.when[k];
        const struct input *input = &signal->inputs[rule->inputs[k]];
        if (!input->usable || now.mono_us - input->at_us > input->fresh_us ||
            !compares(input->number, when->compare, when->value))
            return false;
    }
    return true;
}

static bool has_number(const struct sample *sample)
{
    return sample->quality < QUALITY_BAD &&
           (sample->value.kind == VALUE_DOUBLE || sample->value.kind == VALUE_FLOAT);
}

static void note_input(struct signal *signal, uint32_t index, struct now now,
                       const struct sample *sample)
{
    struct input *input = &signal->inputs[index];
    input->usable = has_number(sample);
    input->number = sample->value.number;
    input->at_us = now.mono_us;
    for (int source = 0; source < SIGNAL_SOURCES; source++)
        for (size_t i = 0; i < signal->rule_count[source]; i++) {
            struct rule *rule = &signal->rules[source][i];
            if (!(input->rules[source] >> i & 1))
                continue;
            if (!conditions_true(signal, rule, now))
                rule->true_since_us = NEVER;
            else if (rule->true_since_us == NEVER)
                rule->true_since_us = now.mono_us;
        }
}

static bool in_hours(const struct signal_mark *mark, int64_t t_ms)
{
    if ((mark->from_ms != SIGNAL_NO_TIME && t_ms < mark->from_ms) ||
        (mark->to_ms != SIGNAL_NO_TIME && t_ms >= mark->to_ms))
        return false;
    if (!mark->has_daily)
        return true;
    int64_t at = ((t_ms + UTC8_MS) % DAY_MS + DAY_MS) % DAY_MS;
    bool after = at >= mark->daily_from_ms, before = at < mark->daily_to_ms;
    return mark->daily_from_ms < mark->daily_to_ms ? after && before : after || before;
}

static bool holds(const struct signal *signal, const struct rule *rule, struct now now,
                  int64_t t_ms)
{
    if (!in_hours(&rule->mark, t_ms))
        return false;
    return !rule->mark.when_count ||
           (rule->true_since_us != NEVER &&
            now.mono_us - rule->true_since_us >= rule->mark.for_ms * US_PER_MS &&
            conditions_true(signal, rule, now));
}

/* ---- judging ---- */

static void worsen(struct sample *sample, enum quality quality, enum cause cause)
{
    if (quality <= sample->quality)
        return;
    sample->quality = quality;
    sample->cause = cause;
}

static void judge_marks(struct signal *signal, const struct slot *slot, bool cross_checks,
                        struct now now, struct sample *sample)
{
    for (int source = 0; source < SIGNAL_SOURCES; source++)
        for (size_t i = 0; i < signal->rule_count[source] && slot->rules[source] >> i; i++) {
            const struct rule *rule = &signal->rules[source][i];
            if ((slot->rules[source] >> i & 1) &&
                (rule->mark.cause == CAUSE_CROSS_CHECK) == cross_checks &&
                holds(signal, rule, now, sample->t_ms))
                worsen(sample, rule->mark.quality, rule->mark.cause);
        }
}

static bool is_outside(double number, double low, double high)
{
    return number < low || number > high;
}

static void judge_limits(const struct signal_limits *limits, struct sample *sample)
{
    double number = sample->value.number;
    double ma = limits->has_loop ? 4 + 16 * (number - limits->at4) / (limits->at20 - limits->at4)
                                 : MEASURES_LOW;
    if (is_outside(ma, FAILED_LOW - MA_TOLERANCE, FAILED_HIGH + MA_TOLERANCE))
        worsen(sample, QUALITY_BAD, CAUSE_SENSOR_FAULT);
    if (limits->has_range && is_outside(number, limits->low, limits->high))
        worsen(sample, QUALITY_BAD, CAUSE_OUT_OF_RANGE);
    if (is_outside(ma, MEASURES_LOW - MA_TOLERANCE, MEASURES_HIGH + MA_TOLERANCE))
        worsen(sample, QUALITY_UNCERTAIN, CAUSE_OUT_OF_RANGE);
}

static bool is_flat(struct watch *watch, struct now now, double number)
{
    const struct signal_limits *limits = &watch->limits;
    if (watch->flat_polls && double_same(watch->flat, number)) {
        watch->flat_polls++;
    } else {
        watch->flat = number;
        watch->flat_polls = 1;
        watch->flat_since_us = now.mono_us;
    }
    return limits->flat_for_ms && watch->flat_polls >= limits->flat_polls &&
           now.mono_us - watch->flat_since_us >= limits->flat_for_ms * US_PER_MS;
}

static bool is_too_far(const struct signal_limits *limits, const struct anchor *anchor,
                       int64_t t_ms, double number)
{
    double spans = (double)(t_ms - anchor->t_ms) / (double)limits->rate_in_ms;
    return anchor->set && fabs(number - anchor->number) > limits->rate_by * (spans > 1 ? spans : 1);
}

static bool is_fast(struct watch *watch, int64_t t_ms, double number)
{
    const struct signal_limits *limits = &watch->limits;
    const struct anchor here = {true, t_ms, number};
    if (!limits->rate_in_ms)
        return false;
    if (!watch->young.set || t_ms < watch->young.t_ms) { /* its clock was set back */
        watch->young = here;
        watch->old.set = false;
        return false;
    }
    bool fast = is_too_far(limits, &watch->young, t_ms, number) ||
                is_too_far(limits, &watch->old, t_ms, number);
    if (t_ms - watch->young.t_ms >= limits->rate_in_ms) {
        watch->old = watch->young;
        watch->young = here;
    }
    return fast;
}

static void judge_course(struct watch *watch, struct now now, struct sample *sample)
{
    double number = sample->value.number;
    if (is_flat(watch, now, number))
        worsen(sample, QUALITY_UNCERTAIN, CAUSE_FLAT_LINE);
    if (is_fast(watch, sample->t_ms, number))
        worsen(sample, QUALITY_UNCERTAIN, CAUSE_RATE_OF_CHANGE);
}

void signal_judge(struct signal *signal, struct now now, struct sample *sample)
{
    const struct slot *slot = &signal->slots[sample->point];
    struct watch *watch = slot->watch == NONE ? NULL : &signal->watches[slot->watch];
    if (slot->input != NONE)
        note_input(signal, slot->input, now, sample);
    if (watch && has_number(sample))
        judge_limits(&watch->limits, sample);
    bool measured = has_number(sample);
    judge_marks(signal, slot, false, now, sample);
    if (watch && measured)
        judge_course(watch, now, sample);
    judge_marks(signal, slot, true, now, sample);
}
