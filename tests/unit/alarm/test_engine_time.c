/*
 * The alarm engine in time: comparisons, deadband and delays (ALARMS 1.1); bad values, silence,
 * late data and clocks that run ahead (1.5); what rules that changed make of a saved state.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support/alarm_bed.h"

#include <math.h>
#include <string.h>

static int setup(void **state)
{
    *state = alarm_bed_new(RULE_HIGH, 0, 0);
    return 0;
}

static int setup_delays(void **state)
{
    *state = alarm_bed_new(RULE_HIGH, 5000, 10000);
    return 0;
}

static int setup_low(void **state)
{
    *state = alarm_bed_new(RULE_LOW, 0, 0);
    return 0;
}

static int teardown(void **state)
{
    alarm_bed_free(*state);
    return 0;
}

static void to_b(struct alarm_bed *bed)
{
    alarm_bed_put(bed, 1, 120);
    assert_int_equal(alarm_bed_state(bed), ALARM_UNACK_ACTIVE);
    alarm_bed_said(bed);
}

/* ---- comparisons, deadband, delays ---- */

static void at_the_limit_is_active_and_the_deadband_is_strict(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_put(bed, 1, 100);
    assert_string_equal(alarm_bed_said(bed), "raise");
    alarm_bed_put(bed, 2, 95); /* v < SP - DB is asked for: 95 holds */
    assert_string_equal(alarm_bed_said(bed), "");
    alarm_bed_put(bed, 3, 94.99);
    assert_string_equal(alarm_bed_said(bed), "return");
}

static void low_alarms_are_mirrored(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_put(bed, 1, 101);
    assert_string_equal(alarm_bed_said(bed), "");
    alarm_bed_put(bed, 2, 100);
    assert_string_equal(alarm_bed_said(bed), "raise");
    alarm_bed_put(bed, 3, 105);
    assert_string_equal(alarm_bed_said(bed), "");
    alarm_bed_put(bed, 4, 105.01);
    assert_string_equal(alarm_bed_said(bed), "return");
    alarm_bed_put(bed, 5, 50);
    assert_int_equal(bed->events[0].priority, PRIORITY_CRITICAL);
}

static void an_on_delay_ends_without_another_sample(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_put(bed, 1, 120);
    alarm_bed_pass(bed, 5.9);
    assert_string_equal(alarm_bed_said(bed), "");
    alarm_bed_pass(bed, 6);
    assert_int_equal(bed->events[0].t_ms, ALARM_BED_T0 + 6000);
    assert_int_equal(bed->events[0].onset_ms, ALARM_BED_T0 + 1000);
    assert_string_equal(alarm_bed_said(bed), "raise");
}

static void below_the_limit_an_on_delay_is_cancelled(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_put(bed, 1, 120);
    alarm_bed_put(bed, 4, 99);
    alarm_bed_pass(bed, 10);
    assert_string_equal(alarm_bed_said(bed), "");
}

static void a_sample_at_the_end_of_a_delay_is_looked_at_first(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_put(bed, 1, 120);
    alarm_bed_put(bed, 6, 50);
    alarm_bed_pass(bed, 20);
    assert_string_equal(alarm_bed_said(bed), "");
}

static void an_off_delay_is_cancelled_between_limit_and_deadband(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_put(bed, 1, 120);
    alarm_bed_pass(bed, 6);
    alarm_bed_said(bed);
    alarm_bed_put(bed, 7, 50);
    alarm_bed_put(bed, 12, 97);
    alarm_bed_pass(bed, 26);
    assert_int_equal(alarm_bed_state(bed), ALARM_UNACK_ACTIVE);
    alarm_bed_put(bed, 26.5, 50);
    alarm_bed_pass(bed, 36.5);
    assert_int_equal(alarm_bed_state(bed), ALARM_UNACK_RETURNED);
}

static void a_higher_limit_proves_the_lower_one(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_put(bed, 1, 160);
    alarm_bed_pass(bed, 6);
    assert_int_equal(bed->events[0].priority, PRIORITY_CRITICAL);
    assert_string_equal(alarm_bed_said(bed), "raise");
}

/* ---- quality, silence, lateness ---- */

static void q1_bad_pauses_an_on_delay(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_put(bed, 1, 120);
    alarm_bed_bad(bed, 3);
    alarm_bed_pass(bed, 8);
    assert_string_equal(alarm_bed_said(bed), ""); /* not while it is bad … */
    alarm_bed_put(bed, 9, 120);
    assert_int_equal(bed->events[bed->count - 1].onset_ms, ALARM_BED_T0 + 1000);
    assert_string_equal(alarm_bed_said(bed),
                        "raise"); /* … but at the next good one, the pause counted in */
}

static void q8_after_too_long_a_pause_the_delay_begins_anew(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_put(bed, 1, 120);
    for (int s = 2; s <= 17; s++)
        alarm_bed_bad(bed, s);
    alarm_bed_put(bed, 18, 120);
    assert_string_equal(alarm_bed_said(bed), "");
    alarm_bed_pass(bed, 23);
    assert_string_equal(alarm_bed_said(bed), "raise");
}

static void q1_bad_cancels_an_off_delay(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_put(bed, 1, 120);
    alarm_bed_pass(bed, 6);
    alarm_bed_put(bed, 7, 50);
    alarm_bed_bad(bed, 8);
    alarm_bed_put(bed, 9, 50);
    alarm_bed_pass(bed, 18.9);
    assert_int_equal(alarm_bed_state(bed), ALARM_UNACK_ACTIVE);
    alarm_bed_pass(bed, 19);
    assert_int_equal(alarm_bed_state(bed), ALARM_UNACK_RETURNED);
}

static void q2_silence_raises_the_instrument_and_clears_nothing(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_put(bed, 1, 120);
    alarm_bed_put(bed, 2, 50); /* returned, unacknowledged */
    alarm_bed_put(bed, 3, 120);
    bed->count = 0;
    alarm_bed_pass(bed, 17.9);
    assert_int_equal(bed->count, 0);
    alarm_bed_pass(bed, 18);
    assert_int_equal(alarm_bed_state(bed), ALARM_UNACK_ACTIVE);
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
    struct alarm_bed *bed = *state;
    alarm_bed_pass(bed, 599.9);
    assert_int_equal(bed->count, 0);
    alarm_bed_pass(bed, 600);
    assert_int_equal(bed->count, 1);
    assert_string_equal(bed->events[0].why, "never_seen");
}

static void q5_what_is_no_number_or_out_of_range_is_bad(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_put(bed, 1, NAN);
    alarm_bed_put(bed, 2, 1000.5);
    alarm_bed_put(bed, 3, -0.5);
    assert_string_equal(alarm_bed_said(bed), "");
    struct alarm_view view;
    engine_view(bed->engine, 0, &view);
    assert_int_equal(view.quality, QUALITY_BAD);
    assert_int_equal(view.quality_cause, CAUSE_OUT_OF_RANGE);
}

static void q9_late_samples_are_counted_and_not_judged(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_put(bed, 10, 50);
    struct sample late = {.t_ms = ALARM_BED_T0 + 5000, .value = {VALUE_DOUBLE, 500, ""}};
    engine_sample(bed->engine, 0, &late, ALARM_BED_T0 + 11000);
    assert_string_equal(alarm_bed_said(bed), "");
    assert_int_equal(engine_late(bed->engine), 1);
}

static void q11_a_source_far_ahead_is_judged_by_the_time_of_receipt(void **state)
{
    struct alarm_bed *bed = *state;
    struct sample ahead = {.t_ms = ALARM_BED_T0 + 3600000, .value = {VALUE_DOUBLE, 120, ""}};
    engine_sample(bed->engine, 0, &ahead, ALARM_BED_T0 + 1000);
    assert_int_equal(bed->events[0].onset_ms, ALARM_BED_T0 + 1000);
    alarm_bed_put(bed, 2, 50); /* not late */
    assert_int_equal(engine_late(bed->engine), 0);
    assert_string_equal(alarm_bed_said(bed), "raise return");
}

static void a_delay_that_ended_before_a_bad_sample_is_decided_first(void **state)
{
    struct alarm_bed *bed = *state;
    /* One delivery, received at 21 s: the on-delay of 5 s had ended long before the fault. */
    alarm_bed_put_received(bed, 0, 120, 21);
    alarm_bed_bad_received(bed, 20, 21);
    assert_int_equal(bed->events[0].onset_ms, ALARM_BED_T0);
    assert_string_equal(alarm_bed_said(bed), "raise quality");
}

static void in_one_delivery_a_delay_still_ends_at_its_own_time(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_put_received(bed, 0, 120, 21);
    alarm_bed_put_received(bed, 4, 50, 21); /* below within the 5 s: nothing */
    alarm_bed_put_received(bed, 5, 120, 21);
    alarm_bed_put_received(bed, 11, 50, 21); /* after them: the delay of 5 s to 10 s is proven */
    assert_int_equal(bed->events[0].onset_ms, ALARM_BED_T0 + 5000);
    assert_string_equal(alarm_bed_said(bed), "raise");
}

static void q2_silence_ends_a_delay_that_would_end_with_it(void **state)
{
    struct alarm_bed *bed = *state;
    bed->list[0].off_delay_ms = 15000;
    alarm_bed_put(bed, 0, 120);
    alarm_bed_pass(bed, 5);
    alarm_bed_put(bed, 6, 50);
    alarm_bed_pass(bed, 100);
    assert_int_equal(alarm_bed_state(bed), ALARM_UNACK_ACTIVE);
}

static void q8_no_return_without_the_full_delay_after_the_first_good_sample(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_put(bed, 1, 120);
    alarm_bed_pass(bed, 6);
    alarm_bed_put(bed, 14, 50); /* would return at 24 … */
    alarm_bed_bad(bed, 23);
    alarm_bed_pass(bed, 38); /* … but it is bad, then silent */
    alarm_bed_put(bed, 40, 50);
    alarm_bed_put(bed, 49, 50);
    alarm_bed_pass(bed, 49.9);
    assert_int_equal(alarm_bed_state(bed), ALARM_UNACK_ACTIVE);
    alarm_bed_pass(bed, 50);
    assert_int_equal(alarm_bed_state(bed), ALARM_UNACK_RETURNED);
}

static void q1_a_bad_sample_raises_the_instrument_alarm_and_freezes_the_process_alarm(void **state)
{
    struct alarm_bed *bed = *state;
    to_b(bed);
    alarm_bed_bad(bed, 2);
    assert_int_equal(bed->count, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct alarm_event *event = &bed->events[i];
        bool instrument = event->rule == &bed->list[1];
        assert_int_equal(event->kind, instrument ? ALARM_RAISE : ALARM_QUALITY);
        assert_int_equal(event->quality_cause, CAUSE_COMM_TIMEOUT);
        assert_string_equal(event->cause, instrument ? "quality" : "process");
        if (instrument) {
            assert_string_equal(event->why, "bad");
            assert_int_equal(event->priority, PRIORITY_CRITICAL);
        }
    }
    assert_int_equal(alarm_bed_state(bed), ALARM_UNACK_ACTIVE);
    bed->count = 0;
    alarm_bed_bad(bed, 3); /* one occurrence, however many bad samples */
    assert_int_equal(bed->count, 0);
}

static void an_instrument_alarm_returns_after_30_s_of_good_samples(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_bad(bed, 1);
    for (int s = 2; s < 32; s++)
        alarm_bed_put(bed, s, 50);
    assert_int_equal(alarm_bed_instrument_state(bed), ALARM_UNACK_ACTIVE);
    alarm_bed_put(bed, 32, 50);
    alarm_bed_pass(bed, 32);
    assert_int_equal(alarm_bed_instrument_state(bed), ALARM_UNACK_RETURNED);
    assert_string_equal(alarm_bed_instrument_said(bed), "raise return");
}

static void a_bad_sample_starts_the_instruments_30_s_anew(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_bad(bed, 1);
    for (int s = 2; s < 60; s++) {
        if (s == 20)
            alarm_bed_bad(bed, s);
        else
            alarm_bed_put(bed, s, 50);
        assert_int_equal(alarm_bed_instrument_state(bed),
                         s < 51 ? ALARM_UNACK_ACTIVE : ALARM_UNACK_RETURNED);
    }
}

static void a_sample_marked_stale_is_silence(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_put(bed, 1, 50);
    alarm_bed_put_quality(bed, 2, 500, QUALITY_STALE);
    assert_string_equal(bed->events[0].why, "stale");
    assert_string_equal(alarm_bed_instrument_said(bed), "raise");
    assert_int_equal(alarm_bed_state(bed), ALARM_NORMAL);
}

static void bad_samples_are_no_silence(void **state)
{
    struct alarm_bed *bed = *state;
    for (int s = 1; s < 60; s++)
        alarm_bed_bad(bed, s);
    struct alarm_view view;
    engine_view(bed->engine, 0, &view);
    assert_int_equal(view.quality, QUALITY_BAD);
    alarm_bed_pass(bed, 59 + 15);
    engine_view(bed->engine, 0, &view);
    assert_int_equal(view.quality, QUALITY_STALE);
}

static void late_samples_do_not_end_a_silence(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_put(bed, 10, 50);
    for (int s = 11; s < 25; s++)
        alarm_bed_put_received(bed, 5, 50, s);
    alarm_bed_pass(bed, 25);
    assert_string_equal(alarm_bed_instrument_said(bed), "raise");
}

static void q3_a_point_once_seen_is_stale_and_not_never_seen(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_put(bed, 1, 50);
    alarm_bed_pass(bed, 2000);
    assert_string_equal(bed->events[0].why, "stale");
    assert_string_equal(alarm_bed_instrument_said(bed), "raise");
}

static void q4_uncertain_is_judged_and_marked(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_put_quality(bed, 1, 120, QUALITY_UNCERTAIN);
    assert_int_equal(bed->events[0].quality, QUALITY_UNCERTAIN);
    assert_string_equal(alarm_bed_said(bed), "raise");
}

static void q5_bad_values_are_bad_whatever_their_quality_says(void **state)
{
    struct alarm_bed *bed = *state;
    static const double values[] = {NAN, INFINITY, -INFINITY, 1000.5, -0.5};
    for (size_t i = 0; i < 5; i++)
        alarm_bed_put(bed, 1 + (double)i, values[i]);
    struct sample text = {.t_ms = ALARM_BED_T0 + 7000, .value = {VALUE_TEXT, 0, "ERR"}};
    engine_sample(bed->engine, 0, &text, text.t_ms);
    assert_int_equal(bed->count, 1); /* the instrument alarm, once */
    assert_string_equal(alarm_bed_instrument_said(bed), "raise");
    struct alarm_view view;
    engine_view(bed->engine, 0, &view);
    assert_int_equal(view.quality_cause, CAUSE_NOT_A_NUMBER);
    assert_false(view.has_value);
}

static void q5_the_ends_of_the_range_are_within_it(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_put(bed, 1, 0);
    assert_int_equal(bed->count, 0);
    alarm_bed_put(bed, 2, 1000);
    assert_string_equal(alarm_bed_said(bed), "raise");
}

static void q9_a_late_sample_does_not_end_an_alarm(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_put(bed, 10, 120);
    alarm_bed_said(bed);
    alarm_bed_put_received(bed, 9, 50, 11);
    alarm_bed_put_received(bed, 10, 120, 11); /* as new as the newest is not late */
    assert_int_equal(engine_late(bed->engine), 1);
    assert_int_equal(bed->count, 0);
    assert_int_equal(alarm_bed_state(bed), ALARM_UNACK_ACTIVE);
}

static void q11_five_seconds_ahead_are_taken_as_they_are(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_put_received(bed, 6, 120, 1);
    assert_int_equal(bed->events[0].onset_ms, ALARM_BED_T0 + 6000);
    assert_int_equal(bed->events[0].t_ms, ALARM_BED_T0 + 1000);
}

static void rules_that_lost_a_limit_keep_the_alarm(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_put(bed, 1, 160);
    alarm_bed_said(bed);
    struct buffer saved;
    buffer_init(&saved, 1024 * 1024);
    engine_save(bed->engine, &saved);
    bed->list[0].limit_count = 1;
    assert_int_equal(engine_restore(bed->engine, saved.data, saved.len), 0);
    buffer_release(&saved);
    assert_int_equal(alarm_bed_state(bed), ALARM_UNACK_ACTIVE);
    alarm_bed_put(bed, 2, 170); /* still the same occurrence */
    assert_string_equal(alarm_bed_said(bed), "");
    alarm_bed_put(bed, 3, 50);
    assert_string_equal(alarm_bed_said(bed), "return");
}

static void a_damaged_state_is_refused_and_leaves_the_engine_new(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_put(bed, 1, 120);
    assert_int_equal(engine_restore(bed->engine, "chengmai-engine 9 x", 19), ERR_INVALID);
    assert_int_equal(alarm_bed_state(bed), ALARM_NORMAL);
}

#define CELL(name)    cmocka_unit_test_setup_teardown(name, setup, teardown)
#define DELAYED(name) cmocka_unit_test_setup_teardown(name, setup_delays, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
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
        DELAYED(a_delay_that_ended_before_a_bad_sample_is_decided_first),
        DELAYED(in_one_delivery_a_delay_still_ends_at_its_own_time),
        DELAYED(q2_silence_ends_a_delay_that_would_end_with_it),
        DELAYED(q8_no_return_without_the_full_delay_after_the_first_good_sample),
        CELL(q1_a_bad_sample_raises_the_instrument_alarm_and_freezes_the_process_alarm),
        CELL(an_instrument_alarm_returns_after_30_s_of_good_samples),
        CELL(a_bad_sample_starts_the_instruments_30_s_anew),
        CELL(a_sample_marked_stale_is_silence),
        CELL(bad_samples_are_no_silence),
        CELL(late_samples_do_not_end_a_silence),
        CELL(q3_a_point_once_seen_is_stale_and_not_never_seen),
        CELL(q4_uncertain_is_judged_and_marked),
        CELL(q5_bad_values_are_bad_whatever_their_quality_says),
        CELL(q5_the_ends_of_the_range_are_within_it),
        CELL(q9_a_late_sample_does_not_end_an_alarm),
        CELL(q11_five_seconds_ahead_are_taken_as_they_are),
        CELL(rules_that_lost_a_limit_keep_the_alarm),
        CELL(a_damaged_state_is_refused_and_leaves_the_engine_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
