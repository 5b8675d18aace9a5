/*
 * The alarm engine, cell by cell: rows A-D and columns ACT, RTN, ACK, PRIO+ and PRIO- of the base
 * machine. What time and quality do is in test_engine_time.c, properties over whole histories in
 * test_engine_properties.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support/alarm_bed.h"

#include <string.h>

static int setup(void **state)
{
    *state = alarm_bed_new(RULE_HIGH, 0, 0);
    return 0;
}

static int teardown(void **state)
{
    alarm_bed_free(*state);
    return 0;
}

/* ---- the base machine ---- */

static void to_b(struct alarm_bed *bed)
{
    alarm_bed_put(bed, 1, 120);
    assert_int_equal(alarm_bed_state(bed), ALARM_UNACK_ACTIVE);
    alarm_bed_said(bed);
}

static void to_c(struct alarm_bed *bed)
{
    to_b(bed);
    alarm_bed_ack(bed, 2, 0);
    assert_int_equal(alarm_bed_state(bed), ALARM_ACKED_ACTIVE);
    alarm_bed_said(bed);
}

static void to_d(struct alarm_bed *bed)
{
    to_b(bed);
    alarm_bed_put(bed, 2, 50);
    assert_int_equal(alarm_bed_state(bed), ALARM_UNACK_RETURNED);
    alarm_bed_said(bed);
}

static void cell_a1_act_raises(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_put(bed, 1, 120);
    assert_string_equal(alarm_bed_said(bed), "raise");
    assert_int_equal(alarm_bed_state(bed), ALARM_UNACK_ACTIVE);
}

static void cell_a2_rtn_is_nothing(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_put(bed, 1, 50);
    assert_string_equal(alarm_bed_said(bed), "");
    assert_int_equal(alarm_bed_state(bed), ALARM_NORMAL);
}

static void cell_a3_ack_is_rejected_not_active(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_ack(bed, 1, 0);
    assert_int_equal(bed->events[0].code, ALARM_NOT_ACTIVE);
    assert_string_equal(alarm_bed_said(bed), "reject");
}

static void cell_b1_act_is_no_new_occurrence(void **state)
{
    struct alarm_bed *bed = *state;
    to_b(bed);
    alarm_bed_put(bed, 2, 130);
    assert_string_equal(alarm_bed_said(bed), "");
}

static void cell_b2_rtn_waits_for_ack(void **state)
{
    struct alarm_bed *bed = *state;
    to_b(bed);
    alarm_bed_put(bed, 2, 50);
    assert_string_equal(alarm_bed_said(bed), "return");
    assert_int_equal(alarm_bed_state(bed), ALARM_UNACK_RETURNED);
}

static void cell_b2_rtn_clears_where_no_ack_is_asked(void **state)
{
    struct alarm_bed *bed = *state;
    bed->list[0].ack_required = false;
    to_b(bed);
    alarm_bed_put(bed, 2, 50);
    assert_string_equal(alarm_bed_said(bed), "return clear");
    assert_int_equal(alarm_bed_state(bed), ALARM_NORMAL);
}

static void cell_b3_ack_names_who_and_how_fast(void **state)
{
    struct alarm_bed *bed = *state;
    to_b(bed);
    alarm_bed_ack(bed, 4, 0);
    assert_int_equal(bed->events[0].response_ms, 3000);
    assert_string_equal(bed->events[0].user, "wang");
    assert_string_equal(alarm_bed_said(bed), "ack");
    assert_int_equal(alarm_bed_state(bed), ALARM_ACKED_ACTIVE);
}

static void cell_b3_ack_of_an_older_occurrence_keeps_the_state(void **state)
{
    struct alarm_bed *bed = *state;
    to_d(bed);
    alarm_bed_put(bed, 3, 120);
    alarm_bed_said(bed);
    alarm_bed_ack(bed, 4, 1);
    assert_int_equal(bed->events[0].code, ALARM_STALE_OCC);
    assert_int_equal(bed->events[0].occurrence, 1);
    assert_int_equal(bed->events[0].state, ALARM_UNACK_ACTIVE);
    assert_string_equal(alarm_bed_said(bed), "ack");
    assert_int_equal(alarm_bed_state(bed), ALARM_UNACK_ACTIVE);
}

static void cell_b5_worse_raises_the_shown_priority(void **state)
{
    struct alarm_bed *bed = *state;
    to_b(bed);
    alarm_bed_put(bed, 2, 160);
    assert_int_equal(bed->events[0].priority, PRIORITY_CRITICAL);
    assert_string_equal(alarm_bed_said(bed), "priority");
}

static void cell_b6_better_keeps_the_peak(void **state)
{
    struct alarm_bed *bed = *state;
    to_b(bed);
    alarm_bed_put(bed, 2, 160);
    alarm_bed_put(bed, 3, 120);
    struct alarm_view view;
    engine_view(bed->engine, 0, &view);
    assert_int_equal(view.priority, PRIORITY_CRITICAL);
    assert_int_equal(view.state, ALARM_UNACK_ACTIVE);
}

static void cell_c2_rtn_clears(void **state)
{
    struct alarm_bed *bed = *state;
    to_c(bed);
    alarm_bed_put(bed, 3, 50);
    assert_string_equal(alarm_bed_said(bed), "return clear");
    assert_int_equal(alarm_bed_state(bed), ALARM_NORMAL);
}

static void cell_c3_ack_is_rejected_already_acked(void **state)
{
    struct alarm_bed *bed = *state;
    to_c(bed);
    alarm_bed_ack(bed, 3, 0);
    assert_int_equal(bed->events[0].code, ALARM_ALREADY_ACKED);
    assert_string_equal(alarm_bed_said(bed), "reject");
}

static void cell_c5_worse_revokes_the_ack(void **state)
{
    struct alarm_bed *bed = *state;
    to_c(bed);
    alarm_bed_put(bed, 3, 160);
    assert_string_equal(alarm_bed_said(bed), "ack_revoked priority");
    assert_int_equal(alarm_bed_state(bed), ALARM_UNACK_ACTIVE);
}

static void cell_d1_act_is_a_new_occurrence(void **state)
{
    struct alarm_bed *bed = *state;
    to_d(bed);
    alarm_bed_put(bed, 3, 120);
    assert_int_equal(bed->events[0].occurrence, 2);
    assert_string_equal(alarm_bed_said(bed), "raise");
}

static void cell_d3_ack_clears(void **state)
{
    struct alarm_bed *bed = *state;
    to_d(bed);
    alarm_bed_ack(bed, 3, 0);
    assert_string_equal(alarm_bed_said(bed), "ack clear");
    assert_int_equal(alarm_bed_state(bed), ALARM_NORMAL);
}

static void cell_a5_worse_at_once_is_one_raise_at_the_higher_priority(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_put(bed, 1, 160);
    assert_int_equal(bed->events[0].priority, PRIORITY_CRITICAL);
    assert_string_equal(alarm_bed_said(bed), "raise");
    assert_int_equal(alarm_bed_state(bed), ALARM_UNACK_ACTIVE);
}

static void cell_c1_act_is_no_new_occurrence(void **state)
{
    struct alarm_bed *bed = *state;
    to_c(bed);
    alarm_bed_put(bed, 3, 130);
    assert_string_equal(alarm_bed_said(bed), "");
    assert_int_equal(alarm_bed_state(bed), ALARM_ACKED_ACTIVE);
}

static void cell_c5_revoking_names_whose_ack_it_was(void **state)
{
    struct alarm_bed *bed = *state;
    to_c(bed);
    buffer_clear(&bed->text);
    alarm_bed_put(bed, 3, 160);
    const char *text = buffer_text(&bed->text);
    assert_non_null(strstr(text, "\"event\":\"ack_revoked\",\"state\":\"unack_active\""));
    assert_non_null(strstr(text, "\"user\":\"wang\""));
    struct alarm_view view;
    engine_view(bed->engine, 0, &view);
    assert_string_equal(view.ack_user, "");
}

static void cell_c5_worse_again_below_the_peak_revokes_alone(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_put(bed, 1, 160);
    alarm_bed_put(bed, 2, 120);
    alarm_bed_ack(bed, 3, 0);
    alarm_bed_said(bed);
    alarm_bed_put(bed, 4, 160);
    assert_string_equal(alarm_bed_said(bed), "ack_revoked");
    assert_int_equal(alarm_bed_state(bed), ALARM_UNACK_ACTIVE);
}

static void cell_c6_better_keeps_the_ack_and_the_peak(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_put(bed, 1, 160);
    alarm_bed_ack(bed, 2, 0);
    alarm_bed_said(bed);
    alarm_bed_put(bed, 3, 120);
    assert_string_equal(alarm_bed_said(bed), "");
    struct alarm_view view;
    engine_view(bed->engine, 0, &view);
    assert_int_equal(view.state, ALARM_ACKED_ACTIVE);
    assert_int_equal(view.priority, PRIORITY_CRITICAL);
}

static void cell_d2_rtn_is_nothing(void **state)
{
    struct alarm_bed *bed = *state;
    to_d(bed);
    alarm_bed_put(bed, 3, 40);
    assert_string_equal(alarm_bed_said(bed), "");
    assert_int_equal(alarm_bed_state(bed), ALARM_UNACK_RETURNED);
}

static void cell_d5_worse_is_a_new_occurrence_at_the_higher_priority(void **state)
{
    struct alarm_bed *bed = *state;
    to_d(bed);
    alarm_bed_put(bed, 3, 160);
    assert_int_equal(bed->events[0].occurrence, 2);
    assert_int_equal(bed->events[0].priority, PRIORITY_CRITICAL);
    assert_string_equal(alarm_bed_said(bed), "raise");
    assert_int_equal(alarm_bed_state(bed), ALARM_UNACK_ACTIVE);
}

static void a_new_occurrence_does_not_inherit_the_peak_or_the_ack(void **state)
{
    struct alarm_bed *bed = *state;
    alarm_bed_put(bed, 1, 160);
    alarm_bed_ack(bed, 2, 0);
    alarm_bed_put(bed, 3, 50);
    alarm_bed_put(bed, 4, 120);
    struct alarm_view view;
    engine_view(bed->engine, 0, &view);
    assert_int_equal(view.occurrence, 2);
    assert_int_equal(view.priority, PRIORITY_HIGH);
    assert_string_equal(view.ack_user, "");
}

#define CELL(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
        CELL(cell_a5_worse_at_once_is_one_raise_at_the_higher_priority),
        CELL(cell_c1_act_is_no_new_occurrence),
        CELL(cell_c5_revoking_names_whose_ack_it_was),
        CELL(cell_c5_worse_again_below_the_peak_revokes_alone),
        CELL(cell_c6_better_keeps_the_ack_and_the_peak),
        CELL(cell_d2_rtn_is_nothing),
        CELL(cell_d5_worse_is_a_new_occurrence_at_the_higher_priority),
        CELL(a_new_occurrence_does_not_inherit_the_peak_or_the_ack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
