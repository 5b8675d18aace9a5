#include "tests/unit/support/alarm_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX (64 * 1024 * 1024)

static void keep(void *self, const struct alarm_event *event)
{
    struct alarm_bed *bed = self;
    assert_true(bed->count < ALARM_BED_EVENTS);
    bed->events[bed->count++] = *event;
    alarm_event_write(event, &bed->text);
    buffer_append_char(&bed->text, '\n');
}

static int64_t instant(double at_s)
{
    return ALARM_BED_T0 + (int64_t)(at_s * 1000);
}

struct alarm_bed *alarm_bed_new(enum rule_kind kind, int64_t on_ms, int64_t off_ms)
{
    struct alarm_bed *bed = calloc(1, sizeof(*bed));
    assert_non_null(bed);
    bed->points[0] = (struct rule_point){.id = "s.u.p",
                                         .unit = "mg/L",
                                         .interval_ms = 1000,
                                         .stale_after_ms = 15000,
                                         .has_range = true,
                                         .min = 0,
                                         .max = 1000};
    double sign = kind == RULE_LOW ? -1 : 1;
    bed->list[0] = (struct rule){
        .id = "a",
        .kind = kind,
        .limits = {{.at = 100, .priority = PRIORITY_HIGH, .on_delay_ms = on_ms},
                   {.at = 100 + sign * 50, .priority = PRIORITY_CRITICAL, .on_delay_ms = on_ms}},
        .limit_count = 2,
        .deadband = 5,
        .off_delay_ms = off_ms,
        .ack_required = true};
    bed->list[1] = (struct rule){.id = "s.u.p#instrument",
                                 .kind = RULE_INSTRUMENT,
                                 .limits = {{.priority = PRIORITY_CRITICAL}},
                                 .limit_count = 1,
                                 .off_delay_ms = 30000,
                                 .grace_ms = 600000,
                                 .ack_required = true};
    bed->rules = (struct rules){bed->points, 1, bed->list, 2};
    buffer_init(&bed->text, TEXT_MAX);
    bed->engine = engine_new(&bed->rules, keep, bed);
    assert_non_null(bed->engine);
    engine_start(bed->engine, ALARM_BED_T0);
    return bed;
}

void alarm_bed_free(struct alarm_bed *bed)
{
    engine_free(bed->engine);
    buffer_release(&bed->text);
    free(bed);
}

void alarm_bed_put_received(struct alarm_bed *bed, double at_s, double value, double received_s)
{
    struct sample sample = {.t_ms = instant(at_s), .value = {VALUE_DOUBLE, value, ""}};
    engine_sample(bed->engine, 0, &sample, instant(received_s));
}

void alarm_bed_put(struct alarm_bed *bed, double at_s, double value)
{
    alarm_bed_put_received(bed, at_s, value, at_s);
}

void alarm_bed_put_quality(struct alarm_bed *bed, double at_s, double value, enum quality quality)
{
    struct sample sample = {
        .t_ms = instant(at_s), .quality = quality, .value = {VALUE_DOUBLE, value, ""}};
    engine_sample(bed->engine, 0, &sample, sample.t_ms);
}

void alarm_bed_bad_received(struct alarm_bed *bed, double at_s, double received_s)
{
    struct sample sample = {
        .t_ms = instant(at_s), .quality = QUALITY_BAD, .cause = CAUSE_COMM_TIMEOUT};
    engine_sample(bed->engine, 0, &sample, instant(received_s));
}

void alarm_bed_bad(struct alarm_bed *bed, double at_s)
{
    alarm_bed_bad_received(bed, at_s, at_s);
}

void alarm_bed_pass(struct alarm_bed *bed, double at_s)
{
    engine_advance(bed->engine, instant(at_s));
}

void alarm_bed_ack(struct alarm_bed *bed, double at_s, uint64_t occurrence)
{
    engine_ack(bed->engine, 0, occurrence, "wang", "operator", "seen", instant(at_s));
}

void alarm_bed_restart(struct alarm_bed *bed)
{
    struct buffer saved;
    buffer_init(&saved, TEXT_MAX);
    engine_save(bed->engine, &saved);
    engine_free(bed->engine);
    bed->engine = engine_new(&bed->rules, keep, bed);
    assert_non_null(bed->engine);
    assert_int_equal(engine_restore(bed->engine, saved.data, saved.len), 0);
    buffer_release(&saved);
}

static enum alarm_state state_of(const struct alarm_bed *bed, size_t rule)
{
    struct alarm_view view;
    engine_view(bed->engine, rule, &view);
    return view.state;
}

enum alarm_state alarm_bed_state(const struct alarm_bed *bed)
{
    return state_of(bed, 0);
}

enum alarm_state alarm_bed_instrument_state(const struct alarm_bed *bed)
{
    return state_of(bed, 1);
}

static const char *words_of(struct alarm_bed *bed, const struct rule *rule)
{
    static char words[512];
    words[0] = '\0';
    for (size_t i = 0; i < bed->count; i++) {
        if (bed->events[i].rule != rule)
            continue;
        size_t len = strlen(words);
        snprintf(words + len, sizeof(words) - len, "%s%s", len ? " " : "",
                 alarm_event_name(bed->events[i].kind));
    }
    bed->count = 0;
    return words;
}

const char *alarm_bed_said(struct alarm_bed *bed)
{
    return words_of(bed, &bed->list[0]);
}

const char *alarm_bed_instrument_said(struct alarm_bed *bed)
{
    return words_of(bed, &bed->list[1]);
}
