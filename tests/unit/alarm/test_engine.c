/*
 * The alarm engine, cell by cell: rows A-D and columns ACT, RTN, ACK, PRIO+ of the base machine;
 * delays and deadband; what quality, silence and lateness do; and that it is a fold.
 */
#include "alarm/engine.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define T0     1767576600000
#define EVENTS 4096

/* A point with a process alarm of two limits, and its instrument alarm. */
struct bed {
    struct rule_point points[1];
    struct rule list[2];
    struct rules rules;
    struct engine *engine;
    struct alarm_event events[EVENTS];
    size_t count;
    struct buffer text; /* all events as JSON, a line each */
};

static void keep(void *self, const struct alarm_event *event)
{
    struct bed *bed = self;
    if (bed->count < EVENTS)
        bed->events[bed->count++] = *event;
    alarm_event_write(event, &bed->text);
    buffer_append_char(&bed->text, '\n');
}

static void make_bed(struct bed *bed, enum rule_kind kind, int64_t on_ms, int64_t off_ms)
{
    *bed = (struct bed){.points = {{.id = "s.u.p",
                                    .unit = "mg/L",
                                    .interval_ms = 1000,
                                    .stale_after_ms = 15000,
                                    .has_range = true,
                                    .min = 0,
                                    .max = 1000}}};
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
    buffer_init(&bed->text, 64 * 1024 * 1024);
    bed->engine = engine_new(&bed->rules, keep, bed);
    assert_non_null(bed->engine);
    engine_start(bed->engine, T0);
}

static void free_bed(struct bed *bed)
{
    engine_free(bed->engine);
    buffer_release(&bed->text);
    free(bed);
}

/* A bed whose pointers stay valid: on the heap, made by the fixture. */
static int setup(void **state)
{
    struct bed *bed = calloc(1, sizeof(*bed));
    if (!bed)
        return -1;
    make_bed(bed, RULE_HIGH, 0, 0);
    *state = bed;
    return 0;
}

static int setup_delays(void **state)
{
    struct bed *bed = calloc(1, sizeof(*bed));
    if (!bed)
        return -1;
    make_bed(bed, RULE_HIGH, 5000, 10000);
    *state = bed;
    return 0;
}

static int setup_low(void **state)
{
    struct bed *bed = calloc(1, sizeof(*bed));
    if (!bed)
        return -1;
    make_bed(bed, RULE_LOW, 0, 0);
    *state = bed;
    return 0;
}

static int teardown(void **state)
{
    free_bed(*state);
    return 0;
}

static void put(struct bed *bed, double at_s, double value)
{
    struct sample sample = {.t_ms = T0 + (int64_t)(at_s * 1000),
                            .value = {VALUE_DOUBLE, value, ""}};
    engine_sample(bed->engine, 0, &sample, sample.t_ms);
}

static void put_bad(struct bed *bed, double at_s)
{
    struct sample sample = {
        .t_ms = T0 + (int64_t)(at_s * 1000), .quality = QUALITY_BAD, .cause = CAUSE_COMM_TIMEOUT};
    engine_sample(bed->engine, 0, &sample, sample.t_ms);
}

static void pass(struct bed *bed, double at_s)
{
    engine_advance(bed->engine, T0 + (int64_t)(at_s * 1000));
}

static void ack(struct bed *bed, double at_s, uint64_t occurrence)
{
    engine_ack(bed->engine, 0, occurrence, "wang", "operator", "seen", T0 + (int64_t)(at_s * 1000));
}

static enum alarm_state state_of(const struct bed *bed)
{
    struct alarm_view view;
    engine_view(bed->engine, 0, &view);
    return view.state;
}

/* The events of the process alarm since the last look, as words. */
static const char *said(struct bed *bed)
{
    static char words[512];
    words[0] = '\0';
    for (size_t i = 0; i < bed->count; i++) {
        if (bed->events[i].rule != &bed->list[0])
            continue;
        size_t len = strlen(words);
        snprintf(words + len, sizeof(words) - len, "%s%s", len ? " " : "",
                 alarm_event_name(bed->events[i].kind));
    }
    bed->count = 0;
    return words;
}

/* ---- the base machine ---- */

static void to_b(struct bed *bed)
{
    put(bed, 1, 120);
    assert_int_equal(state_of(bed), ALARM_UNACK_ACTIVE);
    said(bed);
}

static void to_c(struct bed *bed)
{
    to_b(bed);
    ack(bed, 2, 0);
    assert_int_equal(state_of(bed), ALARM_ACKED_ACTIVE);
    said(bed);
}

static void to_d(struct bed *bed)
{
    to_b(bed);
    put(bed, 2, 50);
    assert_int_equal(state_of(bed), ALARM_UNACK_RETURNED);
    said(bed);
}

static void cell_a1_act_raises(void **state)
{
    struct bed *bed = *state;
    put(bed, 1, 120);
    assert_string_equal(said(bed), "raise");
    assert_int_equal(state_of(bed), ALARM_UNACK_ACTIVE);
}

static void cell_a2_rtn_is_nothing(void **state)
{
    struct bed *bed = *state;
    put(bed, 1, 50);
    assert_string_equal(said(bed), "");
    assert_int_equal(state_of(bed), ALARM_NORMAL);
}

static void cell_a3_ack_is_rejected_not_active(void **state)
{
    struct bed *bed = *state;
    ack(bed, 1, 0);
    assert_int_equal(bed->events[0].code, ALARM_NOT_ACTIVE);
    assert_string_equal(said(bed), "reject");
}

static void cell_b1_act_is_no_new_occurrence(void **state)
{
    struct bed *bed = *state;
    to_b(bed);
    put(bed, 2, 130);
    assert_string_equal(said(bed), "");
}

static void cell_b2_rtn_waits_for_ack(void **state)
{
    struct bed *bed = *state;
    to_b(bed);
    put(bed, 2, 50);
    assert_string_equal(said(bed), "return");
    assert_int_equal(state_of(bed), ALARM_UNACK_RETURNED);
}

static void cell_b2_rtn_clears_where_no_ack_is_asked(void **state)
{
    struct bed *bed = *state;
    bed->list[0].ack_required = false;
    to_b(bed);
    put(bed, 2, 50);
    assert_string_equal(said(bed), "return clear");
    assert_int_equal(state_of(bed), ALARM_NORMAL);
}

static void cell_b3_ack_names_who_and_how_fast(void **state)
{
    struct bed *bed = *state;
    to_b(bed);
    ack(bed, 4, 0);
    assert_int_equal(bed->events[0].response_ms, 3000);
    assert_string_equal(bed->events[0].user, "wang");
    assert_string_equal(said(bed), "ack");
    assert_int_equal(state_of(bed), ALARM_ACKED_ACTIVE);
}

static void cell_b3_ack_of_an_older_occurrence_keeps_the_state(void **state)
{
    struct bed *bed = *state;
    to_d(bed);
    put(bed, 3, 120);
    said(bed);
    ack(bed, 4, 1);
    assert_int_equal(bed->events[0].code, ALARM_STALE_OCC);
    assert_int_equal(state_of(bed), ALARM_UNACK_ACTIVE);
}

static void cell_b5_worse_raises_the_shown_priority(void **state)
{
    struct bed *bed = *state;
    to_b(bed);
    put(bed, 2, 160);
    assert_int_equal(bed->events[0].priority, PRIORITY_CRITICAL);
    assert_string_equal(said(bed), "priority");
}

static void cell_b6_better_keeps_the_peak(void **state)
{
    struct bed *bed = *state;
    to_b(bed);
    put(bed, 2, 160);
    put(bed, 3, 120);
    struct alarm_view view;
    engine_view(bed->engine, 0, &view);
    assert_int_equal(view.priority, PRIORITY_CRITICAL);
    assert_int_equal(view.state, ALARM_UNACK_ACTIVE);
}

static void cell_c2_rtn_clears(void **state)
{
    struct bed *bed = *state;
    to_c(bed);
    put(bed, 3, 50);
    assert_string_equal(said(bed), "return clear");
    assert_int_equal(state_of(bed), ALARM_NORMAL);
}

static void cell_c3_ack_is_rejected_already_acked(void **state)
{
    struct bed *bed = *state;
    to_c(bed);
    ack(bed, 3, 0);
    assert_int_equal(bed->events[0].code, ALARM_ALREADY_ACKED);
    assert_string_equal(said(bed), "reject");
}

static void cell_c5_worse_revokes_the_ack(void **state)
{
    struct bed *bed = *state;
    to_c(bed);
    put(bed, 3, 160);
    assert_string_equal(said(bed), "ack_revoked priority");
    assert_int_equal(state_of(bed), ALARM_UNACK_ACTIVE);
}

static void cell_d1_act_is_a_new_occurrence(void **state)
{
    struct bed *bed = *state;
    to_d(bed);
    put(bed, 3, 120);
    assert_int_equal(bed->events[0].occurrence, 2);
    assert_string_equal(said(bed), "raise");
}

static void cell_d3_ack_clears(void **state)
{
    struct bed *bed = *state;
    to_d(bed);
    ack(bed, 3, 0);
    assert_string_equal(said(bed), "ack clear");
    assert_int_equal(state_of(bed), ALARM_NORMAL);
}

/* ---- comparisons, deadband, delays ---- */

static void at_the_limit_is_active_and_the_deadband_is_strict(void **state)
{
    struct bed *bed = *state;
    put(bed, 1, 100);
    assert_string_equal(said(bed), "raise");
    put(bed, 2, 95); /* v < SP - DB is asked for: 95 holds */
    assert_string_equal(said(bed), "");
    put(bed, 3, 94.99);
    assert_string_equal(said(bed), "return");
}

static void low_alarms_are_mirrored(void **state)
{
    struct bed *bed = *state;
    put(bed, 1, 101);
    assert_string_equal(said(bed), "");
    put(bed, 2, 100);
    assert_string_equal(said(bed), "raise");
    put(bed, 3, 105);
    assert_string_equal(said(bed), "");
    put(bed, 4, 105.01);
    assert_string_equal(said(bed), "return");
    put(bed, 5, 50);
    assert_int_equal(bed->events[0].priority, PRIORITY_CRITICAL);
}

static void an_on_delay_ends_without_another_sample(void **state)
{
    struct bed *bed = *state;
    put(bed, 1, 120);
    pass(bed, 5.9);
    assert_string_equal(said(bed), "");
    pass(bed, 6);
    assert_int_equal(bed->events[0].t_ms, T0 + 6000);
    assert_int_equal(bed->events[0].onset_ms, T0 + 1000);
    assert_string_equal(said(bed), "raise");
}

static void below_the_limit_an_on_delay_is_cancelled(void **state)
{
    struct bed *bed = *state;
    put(bed, 1, 120);
    put(bed, 4, 99);
    pass(bed, 10);
    assert_string_equal(said(bed), "");
}

static void a_sample_at_the_end_of_a_delay_is_looked_at_first(void **state)
{
    struct bed *bed = *state;
    put(bed, 1, 120);
    put(bed, 6, 50);
    pass(bed, 20);
    assert_string_equal(said(bed), "");
}

static void an_off_delay_is_cancelled_between_limit_and_deadband(void **state)
{
    struct bed *bed = *state;
    put(bed, 1, 120);
    pass(bed, 6);
    said(bed);
    put(bed, 7, 50);
    put(bed, 12, 97);
    pass(bed, 26);
    assert_int_equal(state_of(bed), ALARM_UNACK_ACTIVE);
    put(bed, 26.5, 50);
    pass(bed, 36.5);
    assert_int_equal(state_of(bed), ALARM_UNACK_RETURNED);
}

static void a_higher_limit_proves_the_lower_one(void **state)
{
    struct bed *bed = *state;
    put(bed, 1, 160);
    pass(bed, 6);
    assert_int_equal(bed->events[0].priority, PRIORITY_CRITICAL);
    assert_string_equal(said(bed), "raise");
}

/* ---- quality, silence, lateness ---- */

static void q1_bad_pauses_an_on_delay(void **state)
{
    struct bed *bed = *state;
    put(bed, 1, 120);
    put_bad(bed, 3);
    pass(bed, 8);
    assert_string_equal(said(bed), ""); /* not while it is bad … */
    put(bed, 9, 120);
    assert_int_equal(bed->events[bed->count - 1].onset_ms, T0 + 1000);
    assert_string_equal(said(bed), "raise"); /* … but at the next good one, the pause counted in */
}

static void q8_after_too_long_a_pause_the_delay_begins_anew(void **state)
{
    struct bed *bed = *state;
    put(bed, 1, 120);
    for (int s = 2; s <= 17; s++)
        put_bad(bed, s);
    put(bed, 18, 120);
    assert_string_equal(said(bed), "");
    pass(bed, 23);
    assert_string_equal(said(bed), "raise");
}

static void q1_bad_cancels_an_off_delay(void **state)
{
    struct bed *bed = *state;
    put(bed, 1, 120);
    pass(bed, 6);
    put(bed, 7, 50);
    put_bad(bed, 8);
    put(bed, 9, 50);
    pass(bed, 18.9);
    assert_int_equal(state_of(bed), ALARM_UNACK_ACTIVE);
    pass(bed, 19);
    assert_int_equal(state_of(bed), ALARM_UNACK_RETURNED);
}

static void q2_silence_raises_the_instrument_and_clears_nothing(void **state)
{
    struct bed *bed = *state;
    put(bed, 1, 120);
    put(bed, 2, 50); /* returned, unacknowledged */
    put(bed, 3, 120);
    bed->count = 0;
    pass(bed, 17.9);
    assert_int_equal(bed->count, 0);
    pass(bed, 18);
    assert_int_equal(state_of(bed), ALARM_UNACK_ACTIVE);
    struct alarm_view view;
    engine_view(bed->engine, 1, &view);
    assert_int_equal(view.state, ALARM_UNACK_ACTIVE);
    bool found = false;
    for (size_t i = 0; i < bed->count; i++)
        found |= bed->events[i].why && strcmp(bed->events[i].why, "stale") == 0;
    assert_true(found);
}

static void q3_never_seen_is_an_alarm_after_its_grace(void **state)
{
    struct bed *bed = *state;
    pass(bed, 599.9);
    assert_int_equal(bed->count, 0);
    pass(bed, 600);
    assert_int_equal(bed->count, 1);
    assert_string_equal(bed->events[0].why, "never_seen");
}

static void q5_what_is_no_number_or_out_of_range_is_bad(void **state)
{
    struct bed *bed = *state;
    put(bed, 1, NAN);
    put(bed, 2, 1000.5);
    put(bed, 3, -0.5);
    assert_string_equal(said(bed), "");
    struct alarm_view view;
    engine_view(bed->engine, 0, &view);
    assert_int_equal(view.quality, QUALITY_BAD);
    assert_int_equal(view.quality_cause, CAUSE_OUT_OF_RANGE);
}

static void q9_late_samples_are_counted_and_not_judged(void **state)
{
    struct bed *bed = *state;
    put(bed, 10, 50);
    struct sample late = {.t_ms = T0 + 5000, .value = {VALUE_DOUBLE, 500, ""}};
    engine_sample(bed->engine, 0, &late, T0 + 11000);
    assert_string_equal(said(bed), "");
    assert_int_equal(engine_late(bed->engine), 1);
}

static void q11_a_source_far_ahead_is_judged_by_the_time_of_receipt(void **state)
{
    struct bed *bed = *state;
    struct sample ahead = {.t_ms = T0 + 3600000, .value = {VALUE_DOUBLE, 120, ""}};
    engine_sample(bed->engine, 0, &ahead, T0 + 1000);
    assert_int_equal(bed->events[0].onset_ms, T0 + 1000);
    put(bed, 2, 50); /* not late */
    assert_int_equal(engine_late(bed->engine), 0);
    assert_string_equal(said(bed), "raise return");
}

/* ---- properties over random histories ---- */

static uint64_t random_state;

static unsigned chance(unsigned bound)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(random_state >> 33) % bound;
}

/* One random input at second `s`; returns whether it was a usable sample or an ack. */
static bool random_input(struct bed *bed, int s)
{
    switch (chance(8)) {
    case 0:
        put_bad(bed, s);
        return false;
    case 1:
        pass(bed, s);
        return false;
    case 2: {
        struct sample late = {.t_ms = T0 + 1, .value = {VALUE_DOUBLE, 0, ""}};
        put(bed, s, 70); /* makes the next one late */
        engine_sample(bed->engine, 0, &late, T0 + (int64_t)s * 1000);
        return true;
    }
    case 3:
        ack(bed, s, 0);
        return true;
    default:
        put(bed, s, 60 + chance(120));
        return true;
    }
}

static void i1_only_good_samples_and_people_lead_towards_normal(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct bed *bed = calloc(1, sizeof(*bed));
        make_bed(bed, RULE_HIGH, 0, 0); /* no delay: nothing returns by time alone */
        random_state = seed;
        uint64_t raised = 0;
        for (int s = 2; s < 200; s += 1 + (int)chance(12)) {
            enum alarm_state before = state_of(bed);
            bed->count = 0;
            bool may_return = random_input(bed, s);
            if (!may_return && before == ALARM_UNACK_ACTIVE)
                assert_int_equal(state_of(bed), ALARM_UNACK_ACTIVE);
            if (!may_return && before == ALARM_ACKED_ACTIVE)
                assert_int_equal(state_of(bed), ALARM_ACKED_ACTIVE);
            for (size_t i = 0; i < bed->count; i++)
                if (bed->events[i].rule == &bed->list[0] && bed->events[i].kind == ALARM_RAISE)
                    assert_int_equal(bed->events[i].occurrence, ++raised); /* I3 */
        }
        free_bed(bed);
    }
}

/* Runs a seed's history; where `stop_at` is reached the engine is saved, thrown away, restored. */
static char *history(uint64_t seed, int stop_at)
{
    struct bed *bed = calloc(1, sizeof(*bed));
    make_bed(bed, RULE_HIGH, 3000, 4000);
    random_state = seed;
    for (int n = 0, s = 2; n < 150; n++, s += 1 + (int)chance(9)) {
        if (n == stop_at) {
            struct buffer saved;
            buffer_init(&saved, 1024 * 1024);
            engine_save(bed->engine, &saved);
            engine_free(bed->engine);
            bed->engine = engine_new(&bed->rules, keep, bed);
            assert_int_equal(engine_restore(bed->engine, saved.data, saved.len), 0);
            buffer_release(&saved);
        }
        random_input(bed, s);
        bed->count = 0;
    }
    char *text = strdup(buffer_text(&bed->text));
    free_bed(bed);
    return text;
}

static void i9_the_same_inputs_give_the_same_bytes_also_over_a_restart(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        char *once = history(seed, -1), *again = history(seed, -1);
        char *restarted = history(seed, (int)(seed * 7 % 150));
        assert_true(strlen(once) > 100);
        assert_string_equal(once, again);
        assert_string_equal(once, restarted);
        free(once);
        free(again);
        free(restarted);
    }
}

static void a_damaged_state_is_refused_and_leaves_the_engine_new(void **state)
{
    struct bed *bed = *state;
    put(bed, 1, 120);
    assert_int_equal(engine_restore(bed->engine, "chengmai-engine 9 x", 19), ERR_INVALID);
    assert_int_equal(state_of(bed), ALARM_NORMAL);
}

#define CELL(name)    cmocka_unit_test_setup_teardown(name, setup, teardown)
#define DELAYED(name) cmocka_unit_test_setup_teardown(name, setup_delays, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CELL(cell_a1_act_raises),
        CELL(cell_a2_rtn_is_nothing),
        CELL(cell_a3_ack_is_rejected_not_active),
        CELL(cell_b1_act_is_no_new_occurrence),
        CELL(cell_b2_rtn_waits_for_ack),
        CELL(cell_b2_rtn_clears_where_no_ack_is_asked),
        CELL(cell_b3_ack_names_who_and_how_fast),
        CELL(cell_b3_ack_of_an_older_occurrence_keeps_the_state),
        CELL(cell_b5_worse_raises_the_shown_priority),
        CELL(cell_b6_better_keeps_the_peak),
        CELL(cell_c2_rtn_clears),
        CELL(cell_c3_ack_is_rejected_already_acked),
        CELL(cell_c5_worse_revokes_the_ack),
        CELL(cell_d1_act_is_a_new_occurrence),
        CELL(cell_d3_ack_clears),
        CELL(at_the_limit_is_active_and_the_deadband_is_strict),
        cmocka_unit_test_setup_teardown(low_alarms_are_mirrored, setup_low, teardown),
        DELAYED(an_on_delay_ends_without_another_sample),
        DELAYED(below_the_limit_an_on_delay_is_cancelled),
        DELAYED(a_sample_at_the_end_of_a_delay_is_looked_at_first),
        DELAYED(an_off_delay_is_cancelled_between_limit_and_deadband),
        DELAYED(a_higher_limit_proves_the_lower_one),
        DELAYED(q1_bad_pauses_an_on_delay),
        DELAYED(q8_after_too_long_a_pause_the_delay_begins_anew),
        DELAYED(q1_bad_cancels_an_off_delay),
        CELL(q2_silence_raises_the_instrument_and_clears_nothing),
        CELL(q3_never_seen_is_an_alarm_after_its_grace),
        CELL(q5_what_is_no_number_or_out_of_range_is_bad),
        CELL(q9_late_samples_are_counted_and_not_judged),
        CELL(q11_a_source_far_ahead_is_judged_by_the_time_of_receipt),
        cmocka_unit_test(i1_only_good_samples_and_people_lead_towards_normal),
        cmocka_unit_test(i9_the_same_inputs_give_the_same_bytes_also_over_a_restart),
        CELL(a_damaged_state_is_refused_and_leaves_the_engine_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
