#include "drivers/modbus/schedule.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define S     ((int64_t)US_PER_S)
#define WALL0 1767576600000 /* a full minute: 2026-01-05T01:30:00Z */

/* `mono_us` and the wall clock that goes with it. */
static struct now at(int64_t mono_us)
{
    return (struct now){.mono_us = mono_us, .wall_ms = WALL0 + mono_us / US_PER_MS, .sync = true};
}

static struct poll_schedule *made(size_t room)
{
    struct poll_schedule *schedule = NULL;
    assert_int_equal(poll_schedule_new(6, &schedule), 0);
    assert_int_equal(poll_schedule_reserve(schedule, room), 0);
    return schedule;
}

static void start(struct poll_schedule *schedule, int64_t now_us)
{
    poll_schedule_start(schedule, at(now_us), 0);
}

static uint64_t done(struct poll_schedule *schedule, size_t entry, int64_t now_us)
{
    return poll_schedule_done(schedule, entry, at(now_us));
}

/* Makes all that is due ready; how many. */
static size_t take_all(struct poll_schedule *schedule, int64_t now_us)
{
    size_t count = 0;
    while (poll_schedule_take(schedule, now_us) != SCHEDULE_NONE)
        count++;
    return count;
}

static void equal_intervals_are_spread(void **state)
{
    struct poll_schedule *schedule = made(7);

    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(poll_schedule_add(schedule, 1 * S, i, false), i);
    poll_schedule_add(schedule, 3600 * S, 0, false);
    poll_schedule_add(schedule, 3600 * S, 1, false);
    poll_schedule_add(schedule, 5 * S, 1, false);
    start(schedule, 100 * S);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(poll_schedule_due(schedule, i), 100 * S + (int64_t)i * S / 4);
    assert_int_equal(poll_schedule_due(schedule, 4), 100 * S);
    assert_int_equal(poll_schedule_due(schedule, 5), 105 * S);
    assert_int_equal(poll_schedule_due(schedule, 6), 100 * S);
    assert_int_equal(poll_schedule_add(schedule, S, 0, false), SCHEDULE_NONE);
    poll_schedule_free(schedule);
    poll_schedule_free(NULL);
}

static void links_that_begin_together_do_not_ask_together(void **state)
{
    struct poll_schedule *schedule = made(3);

    (void)state;
    poll_schedule_add(schedule, S, 0, false);
    poll_schedule_add(schedule, S, 1, false);
    poll_schedule_add(schedule, 3600 * S, 1, false);
    poll_schedule_start(schedule, at(0), 3u << 30);
    assert_int_equal(poll_schedule_due(schedule, 0), 3 * S / 4);
    assert_int_equal(poll_schedule_due(schedule, 1), S / 4);
    assert_int_equal(poll_schedule_due(schedule, 2), 15 * S / 2);
    poll_schedule_free(schedule);
}

static void a_grid_never_drifts(void **state)
{
    struct poll_schedule *schedule = made(1);

    (void)state;
    poll_schedule_add(schedule, S, 0, false);
    start(schedule, 7);
    for (int64_t i = 0; i < 100; i++) {
        assert_int_equal(poll_schedule_due(schedule, 0), 7 + i * S);
        assert_int_equal(done(schedule, 0, 7 + i * S + i * 9000), 0);
    }
    poll_schedule_free(schedule);
}

static void who_comes_late_skips_and_is_counted(void **state)
{
    struct poll_schedule *schedule = made(1);

    (void)state;
    poll_schedule_add(schedule, S, 0, false);
    start(schedule, 0);
    assert_int_equal(done(schedule, 0, 3 * S + 1), 3);
    assert_int_equal(poll_schedule_due(schedule, 0), 4 * S);
    assert_int_equal(done(schedule, 0, 5 * S), 1);
    assert_int_equal(poll_schedule_due(schedule, 0), 6 * S);
    /* A suspended machine: one jump, not one round for each slot. */
    assert_int_equal(done(schedule, 0, 1000000 * S), 999994);
    poll_schedule_free(schedule);
}

static void the_earliest_deadline_goes_first(void **state)
{
    struct poll_schedule *schedule = made(2);
    size_t hourly;
    size_t often;

    (void)state;
    hourly = poll_schedule_add(schedule, 3600 * S, 0, false);
    often = poll_schedule_add(schedule, S, 0, false);
    start(schedule, 0);
    assert_int_equal(take_all(schedule, -1), 0);
    assert_int_equal(poll_schedule_pick(schedule, false), SCHEDULE_NONE);
    assert_int_equal(poll_schedule_next_due(schedule), 0);
    assert_int_equal(take_all(schedule, 0), 2);
    assert_int_equal(poll_schedule_next_due(schedule), NEVER);
    assert_int_equal(poll_schedule_pick(schedule, false), often);
    done(schedule, often, 0);
    assert_int_equal(poll_schedule_pick(schedule, false), hourly);
    /* However busy the other is: its deadline stands, and one day it is the earliest. */
    done(schedule, often, 3599 * S);
    take_all(schedule, 3600 * S);
    assert_int_equal(poll_schedule_pick(schedule, false), hourly);
    poll_schedule_free(schedule);
}

static void groups_take_turns(void **state)
{
    struct poll_schedule *schedule = made(6);

    (void)state;
    for (size_t i = 0; i < 6; i++)
        poll_schedule_add(schedule, S, i / 2, false);
    start(schedule, 0);
    for (size_t group = 0; group < 3; group++)
        poll_schedule_pull(schedule, group, 0);
    take_all(schedule, 0);
    for (size_t i = 0; i < 6; i++) {
        size_t entry = poll_schedule_pick(schedule, false);
        assert_int_equal(entry / 2, i % 3);
        done(schedule, entry, S);
    }
    poll_schedule_free(schedule);
}

static void who_is_held_back_is_asked_for_by_itself(void **state)
{
    struct poll_schedule *schedule = made(4);

    (void)state;
    for (size_t i = 0; i < 4; i++)
        poll_schedule_add(schedule, (int64_t)(i + 1) * S, i, false);
    start(schedule, 0);
    take_all(schedule, 0);
    poll_schedule_hold_back(schedule, 0, true);
    poll_schedule_hold_back(schedule, 1, true);
    assert_int_equal(poll_schedule_pick(schedule, false), 2);
    assert_int_equal(poll_schedule_pick(schedule, true), 0);
    done(schedule, 2, 0);
    assert_int_equal(poll_schedule_pick(schedule, false), 3);
    done(schedule, 3, 0);
    assert_int_equal(poll_schedule_pick(schedule, false), SCHEDULE_NONE);
    poll_schedule_hold_back(schedule, 0, false);
    assert_int_equal(poll_schedule_pick(schedule, false), 0);
    assert_int_equal(poll_schedule_pick(schedule, true), 1);
    poll_schedule_free(schedule);
}

static void who_came_back_is_read_at_once_and_keeps_its_grid(void **state)
{
    struct poll_schedule *schedule = made(3);

    (void)state;
    poll_schedule_add(schedule, 60 * S, 0, false);
    poll_schedule_add(schedule, 60 * S, 1, false);
    start(schedule, 0);
    done(schedule, 0, 0);
    poll_schedule_pull(schedule, 0, 10 * S);
    assert_int_equal(poll_schedule_due(schedule, 1), 5 * S);
    assert_int_equal(poll_schedule_due(schedule, 0), 10 * S);
    assert_int_equal(done(schedule, 0, 10 * S), 0);
    assert_int_equal(poll_schedule_due(schedule, 0), 60 * S);
    /* Before its first slot as well. */
    poll_schedule_pull(schedule, 1, 1 * S);
    assert_int_equal(poll_schedule_due(schedule, 1), 1 * S);
    assert_int_equal(done(schedule, 1, 2 * S), 0);
    assert_int_equal(poll_schedule_due(schedule, 1), 5 * S);
    poll_schedule_free(schedule);
}

static void a_split_entry_keeps_its_times(void **state)
{
    struct poll_schedule *schedule = made(2);

    (void)state;
    poll_schedule_add(schedule, S, 4, false);
    start(schedule, 0);
    done(schedule, 0, 0);
    take_all(schedule, S);
    assert_int_equal(poll_schedule_copy(schedule, 0), 1);
    assert_int_equal(poll_schedule_due(schedule, 1), S);
    assert_int_equal(poll_schedule_ready_of(schedule, 3), SCHEDULE_NONE);
    done(schedule, poll_schedule_ready_of(schedule, 4), S);
    done(schedule, poll_schedule_ready_of(schedule, SCHEDULE_NONE), S);
    assert_int_equal(poll_schedule_ready_of(schedule, 4), SCHEDULE_NONE);
    assert_int_equal(poll_schedule_copy(schedule, 0), SCHEDULE_NONE);
    poll_schedule_free(schedule);
}

static void a_removed_entry_is_never_picked_and_its_room_is_used_again(void **state)
{
    struct poll_schedule *schedule = made(4);

    (void)state;
    for (size_t i = 0; i < 4; i++)
        poll_schedule_add(schedule, S, i / 2, false);
    start(schedule, 0);
    take_all(schedule, S / 4);
    assert_true(poll_schedule_has(schedule, 0, S, false));
    assert_false(poll_schedule_has(schedule, 0, S, true));
    poll_schedule_remove(schedule, 0);
    poll_schedule_remove(schedule, 1);
    assert_int_equal(poll_schedule_pick(schedule, false), SCHEDULE_NONE);
    assert_int_equal(poll_schedule_next_due(schedule), S / 2);
    assert_int_equal(poll_schedule_add(schedule, S, 0, false), 0);
    assert_int_equal(poll_schedule_add(schedule, S, 0, false), 1);
    assert_int_equal(poll_schedule_add(schedule, S, 0, false), SCHEDULE_NONE);
    start(schedule, S / 4);
    assert_int_equal(poll_schedule_due(schedule, 2), S / 2);
    assert_int_equal(poll_schedule_due(schedule, 0), S / 4);
    poll_schedule_free(schedule);
}

static void nothing_to_do_is_never_picked(void **state)
{
    struct poll_schedule *schedule = made(0);

    (void)state;
    start(schedule, 0);
    assert_int_equal(take_all(schedule, NEVER), 0);
    assert_int_equal(poll_schedule_pick(schedule, false), SCHEDULE_NONE);
    assert_int_equal(poll_schedule_next_due(schedule), NEVER);
    poll_schedule_free(schedule);
}

/* ---- alignment ---- */

static void aligned_polls_come_at_full_minutes_hours_and_days(void **state)
{
    struct poll_schedule *schedule = made(3);

    (void)state;
    poll_schedule_add(schedule, 60 * S, 0, true);
    poll_schedule_add(schedule, 3600 * S, 1, true);
    poll_schedule_add(schedule, 86400 * S, 2, true);
    start(schedule, 7 * S);
    for (size_t i = 0; i < 3; i++) {
        /* The first value does not wait for it. */
        assert_int_equal(poll_schedule_due(schedule, i), 7 * S);
        assert_int_equal(done(schedule, i, 7 * S), 0);
    }
    assert_int_equal(poll_schedule_due(schedule, 0), 60 * S);
    assert_int_equal(poll_schedule_due(schedule, 1), 30 * 60 * S);
    /* 01:30 UTC is half past nine in China. */
    assert_int_equal(poll_schedule_due(schedule, 2), (14 * 60 + 30) * 60 * S);
    assert_int_equal(done(schedule, 0, 60 * S + 300), 0);
    assert_int_equal(poll_schedule_due(schedule, 0), 120 * S);
    assert_int_equal(done(schedule, 0, 250 * S), 2);
    assert_int_equal(poll_schedule_due(schedule, 0), 300 * S);
    poll_schedule_free(schedule);
}

static void after_a_step_of_the_clock_aligned_polls_go_over_and_others_stay(void **state)
{
    struct poll_schedule *schedule = made(2);
    int64_t before_us = 0;

    (void)state;
    poll_schedule_add(schedule, 60 * S, 0, true);
    poll_schedule_add(schedule, 60 * S, 0, false);
    start(schedule, 0);
    for (int64_t i = 0; i < 20; i++) {
        int64_t due_us = poll_schedule_due(schedule, 0);
        int64_t step_ms = i < 7 ? 0 : i < 13 ? 12345 : -86400000 - 50000;
        struct now now = at(due_us);
        now.wall_ms += step_ms;
        if (i > 0)
            assert_in_range(due_us - before_us, 30 * S, 90 * S);
        if (i != 7 && i != 13)
            assert_int_equal(now.wall_ms % 60000, 0);
        before_us = due_us;
        assert_int_equal(poll_schedule_done(schedule, 0, now), 0);
        assert_int_equal(poll_schedule_due(schedule, 1), 5 * S + i * 60 * S);
        now.mono_us = 5 * S + i * 60 * S;
        assert_int_equal(poll_schedule_done(schedule, 1, now), 0);
    }
    poll_schedule_free(schedule);
}

static void a_clock_that_is_only_corrected_moves_nothing(void **state)
{
    struct poll_schedule *schedule = made(1);

    (void)state;
    poll_schedule_add(schedule, 60 * S, 0, true);
    start(schedule, 0);
    for (int64_t i = 0; i < 10; i++) {
        struct now now = at(i * 60 * S + 1000);
        now.wall_ms += i % 2 ? 400 : -400;
        assert_int_equal(poll_schedule_due(schedule, 0), i * 60 * S);
        assert_int_equal(poll_schedule_done(schedule, 0, now), 0);
    }
    poll_schedule_free(schedule);
}

/* ---- many ---- */

static void many_entries_come_in_the_order_of_their_times(void **state)
{
    enum { MANY = 3000 };
    struct poll_schedule *schedule = made(MANY);
    uint64_t seed = 3;

    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        poll_schedule_add(schedule, (int64_t)(1 + (seed >> 33) % 60) * S, i % 6, false);
    }
    start(schedule, 0);
    for (int64_t now_us = 0; now_us < 30 * S; now_us += S / 10) {
        int64_t last_us = INT64_MIN;
        for (size_t entry; (entry = poll_schedule_take(schedule, now_us)) != SCHEDULE_NONE;) {
            assert_true(poll_schedule_due(schedule, entry) >= last_us);
            last_us = poll_schedule_due(schedule, entry);
        }
        assert_true(poll_schedule_next_due(schedule) > now_us);
        last_us = INT64_MIN;
        for (size_t entry; (entry = poll_schedule_pick(schedule, false)) != SCHEDULE_NONE;) {
            assert_true(poll_schedule_deadline(schedule, entry) >= last_us);
            last_us = poll_schedule_deadline(schedule, entry);
            done(schedule, entry, now_us);
        }
    }
    poll_schedule_free(schedule);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_intervals_are_spread),
        cmocka_unit_test(links_that_begin_together_do_not_ask_together),
        cmocka_unit_test(a_grid_never_drifts),
        cmocka_unit_test(who_comes_late_skips_and_is_counted),
        cmocka_unit_test(the_earliest_deadline_goes_first),
        cmocka_unit_test(groups_take_turns),
        cmocka_unit_test(who_is_held_back_is_asked_for_by_itself),
        cmocka_unit_test(who_came_back_is_read_at_once_and_keeps_its_grid),
        cmocka_unit_test(a_split_entry_keeps_its_times),
        cmocka_unit_test(a_removed_entry_is_never_picked_and_its_room_is_used_again),
        cmocka_unit_test(nothing_to_do_is_never_picked),
        cmocka_unit_test(aligned_polls_come_at_full_minutes_hours_and_days),
        cmocka_unit_test(after_a_step_of_the_clock_aligned_polls_go_over_and_others_stay),
        cmocka_unit_test(a_clock_that_is_only_corrected_moves_nothing),
        cmocka_unit_test(many_entries_come_in_the_order_of_their_times),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
