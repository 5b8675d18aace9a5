#include "drivers/modbus/schedule.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define S ((int64_t)US_PER_S)

static struct poll_schedule *made(size_t capacity)
{
    struct poll_schedule *schedule = NULL;
    assert_int_equal(poll_schedule_new(capacity, &schedule), 0);
    return schedule;
}

static void equal_intervals_are_spread(void **state)
{
    struct poll_schedule *schedule = made(7);

    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(poll_schedule_add(schedule, 1 * S, i), i);
    poll_schedule_add(schedule, 3600 * S, 0);
    poll_schedule_add(schedule, 3600 * S, 1);
    poll_schedule_add(schedule, 5 * S, 1);
    poll_schedule_start(schedule, 100 * S);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(poll_schedule_due(schedule, i), 100 * S + (int64_t)i * S / 4);
    assert_int_equal(poll_schedule_due(schedule, 4), 100 * S);
    assert_int_equal(poll_schedule_due(schedule, 5), 105 * S);
    assert_int_equal(poll_schedule_due(schedule, 6), 100 * S);
    assert_int_equal(poll_schedule_add(schedule, S, 0), SCHEDULE_NONE);
    poll_schedule_free(schedule);
    poll_schedule_free(NULL);
}

static void a_grid_never_drifts(void **state)
{
    struct poll_schedule *schedule = made(1);

    (void)state;
    poll_schedule_add(schedule, S, 0);
    poll_schedule_start(schedule, 7);
    for (int64_t i = 0; i < 100; i++) {
        assert_int_equal(poll_schedule_due(schedule, 0), 7 + i * S);
        assert_int_equal(poll_schedule_done(schedule, 0, 7 + i * S + i * 9000), 0);
    }
    poll_schedule_free(schedule);
}

static void who_comes_late_skips_and_is_counted(void **state)
{
    struct poll_schedule *schedule = made(1);

    (void)state;
    poll_schedule_add(schedule, S, 0);
    poll_schedule_start(schedule, 0);
    assert_int_equal(poll_schedule_done(schedule, 0, 3 * S + 1), 3);
    assert_int_equal(poll_schedule_due(schedule, 0), 4 * S);
    assert_int_equal(poll_schedule_done(schedule, 0, 5 * S), 1);
    assert_int_equal(poll_schedule_due(schedule, 0), 6 * S);
    /* A suspended machine: one jump, not one round for each slot. */
    assert_int_equal(poll_schedule_done(schedule, 0, 1000000 * S), 999994);
    poll_schedule_free(schedule);
}

static void the_earliest_deadline_goes_first(void **state)
{
    struct poll_schedule *schedule = made(2);
    size_t hourly;
    size_t often;

    (void)state;
    hourly = poll_schedule_add(schedule, 3600 * S, 0);
    often = poll_schedule_add(schedule, S, 0);
    poll_schedule_start(schedule, 0);
    assert_int_equal(poll_schedule_pick(schedule, -1, SCHEDULE_NONE), SCHEDULE_NONE);
    assert_int_equal(poll_schedule_pick(schedule, 0, SCHEDULE_NONE), often);
    poll_schedule_done(schedule, often, 0);
    assert_int_equal(poll_schedule_pick(schedule, 0, SCHEDULE_NONE), hourly);
    /* However busy the other is: its deadline stands, and one day it is the earliest. */
    poll_schedule_done(schedule, often, 3599 * S);
    assert_int_equal(poll_schedule_pick(schedule, 3600 * S, SCHEDULE_NONE), hourly);
    poll_schedule_free(schedule);
}

static void groups_take_turns(void **state)
{
    struct poll_schedule *schedule = made(6);

    (void)state;
    for (size_t i = 0; i < 6; i++)
        poll_schedule_add(schedule, S, i / 2);
    poll_schedule_start(schedule, 0);
    for (size_t group = 0; group < 3; group++)
        poll_schedule_pull(schedule, group, 0);
    for (size_t i = 0; i < 6; i++) {
        size_t entry = poll_schedule_pick(schedule, 0, SCHEDULE_NONE);
        assert_int_equal(poll_schedule_group(schedule, entry), i % 3);
        poll_schedule_done(schedule, entry, S);
    }
    poll_schedule_free(schedule);
}

static void who_failed_waits_for_the_others_but_not_for_nobody(void **state)
{
    struct poll_schedule *schedule = made(2);

    (void)state;
    poll_schedule_add(schedule, S, 0);
    poll_schedule_add(schedule, 2 * S, 1);
    poll_schedule_start(schedule, 0);
    assert_int_equal(poll_schedule_pick(schedule, 0, 0), 1);
    poll_schedule_done(schedule, 1, 0);
    assert_int_equal(poll_schedule_pick(schedule, 0, 0), 0);
    poll_schedule_free(schedule);
}

static void who_came_back_is_read_at_once_and_keeps_its_grid(void **state)
{
    struct poll_schedule *schedule = made(3);

    (void)state;
    poll_schedule_add(schedule, 60 * S, 0);
    poll_schedule_add(schedule, 60 * S, 1);
    poll_schedule_start(schedule, 0);
    poll_schedule_done(schedule, 0, 0);
    poll_schedule_pull(schedule, 0, 10 * S);
    assert_int_equal(poll_schedule_due(schedule, 1), 5 * S);
    assert_int_equal(poll_schedule_due(schedule, 0), 10 * S);
    assert_int_equal(poll_schedule_done(schedule, 0, 10 * S), 0);
    assert_int_equal(poll_schedule_due(schedule, 0), 60 * S);
    /* Before its first slot as well. */
    poll_schedule_pull(schedule, 1, 1 * S);
    assert_int_equal(poll_schedule_due(schedule, 1), 1 * S);
    assert_int_equal(poll_schedule_done(schedule, 1, 2 * S), 0);
    assert_int_equal(poll_schedule_due(schedule, 1), 5 * S);
    poll_schedule_free(schedule);
}

static void a_split_entry_keeps_its_times(void **state)
{
    struct poll_schedule *schedule = made(2);

    (void)state;
    poll_schedule_add(schedule, S, 4);
    poll_schedule_start(schedule, 0);
    poll_schedule_done(schedule, 0, 0);
    assert_int_equal(poll_schedule_split(schedule, 0), 1);
    assert_int_equal(poll_schedule_count(schedule), 2);
    assert_int_equal(poll_schedule_due(schedule, 1), S);
    assert_int_equal(poll_schedule_group(schedule, 1), 4);
    assert_int_equal(poll_schedule_split(schedule, 0), SCHEDULE_NONE);
    poll_schedule_free(schedule);
}

static void nothing_to_do_is_never_picked(void **state)
{
    struct poll_schedule *schedule = made(0);

    (void)state;
    poll_schedule_start(schedule, 0);
    assert_int_equal(poll_schedule_count(schedule), 0);
    assert_int_equal(poll_schedule_pick(schedule, NEVER, SCHEDULE_NONE), SCHEDULE_NONE);
    poll_schedule_free(schedule);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_intervals_are_spread),
        cmocka_unit_test(a_grid_never_drifts),
        cmocka_unit_test(who_comes_late_skips_and_is_counted),
        cmocka_unit_test(the_earliest_deadline_goes_first),
        cmocka_unit_test(groups_take_turns),
        cmocka_unit_test(who_failed_waits_for_the_others_but_not_for_nobody),
        cmocka_unit_test(who_came_back_is_read_at_once_and_keeps_its_grid),
        cmocka_unit_test(a_split_entry_keeps_its_times),
        cmocka_unit_test(nothing_to_do_is_never_picked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
