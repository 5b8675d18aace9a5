/* One limit's truth over time: delays, deadband, and what bad values and silence do (ALARMS 1.1).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "alarm/condition.h"

#define ON    5000
#define OFF   10000
#define STALE 15000

static struct condition fresh(void)
{
    struct condition condition;
    condition_init(&condition);
    return condition;
}

static void usable(struct condition *condition, enum verdict verdict, int64_t t_ms, int64_t gap_ms)
{
    condition_sample(condition, verdict, t_ms, gap_ms, STALE);
}

/* Proven at 5000 by a sample at 0. */
static struct condition proven(void)
{
    struct condition condition = fresh();
    usable(&condition, VERDICT_BEYOND, 0, 1000);
    assert_int_equal(condition_fire(&condition), 0);
    assert_true(condition.proven);
    return condition;
}

static void a_new_one_is_false_and_waits_for_nothing(void **state)
{
    (void)state;
    struct condition condition = fresh();
    assert_false(condition.proven);
    assert_int_equal(condition_due(&condition, ON, OFF), CONDITION_NONE);
}

static void an_on_delay_runs_from_the_first_sample_that_qualified(void **state)
{
    (void)state;
    struct condition condition = fresh();
    usable(&condition, VERDICT_BEYOND, 1000, 1000);
    usable(&condition, VERDICT_BEYOND, 2000, 1000);
    usable(&condition, VERDICT_BEYOND, 5000, 3000);
    assert_int_equal(condition_due(&condition, ON, OFF), 1000 + ON);
    assert_int_equal(condition_fire(&condition), 1000);
    assert_int_equal(condition_due(&condition, ON, OFF), CONDITION_NONE);
}

static void a_delay_of_zero_is_due_at_its_sample(void **state)
{
    (void)state;
    struct condition condition = fresh();
    usable(&condition, VERDICT_BEYOND, 1000, 1000);
    assert_int_equal(condition_due(&condition, 0, 0), 1000);
}

static void below_the_limit_cancels_an_on_delay_also_within_the_deadband(void **state)
{
    (void)state;
    static const enum verdict below[] = {VERDICT_CLEAR, VERDICT_HOLDS};
    for (size_t i = 0; i < 2; i++) {
        struct condition condition = fresh();
        usable(&condition, VERDICT_BEYOND, 1000, 1000);
        usable(&condition, below[i], 2000, 1000);
        assert_int_equal(condition_due(&condition, ON, OFF), CONDITION_NONE);
        usable(&condition, VERDICT_BEYOND, 3000, 1000);
        assert_int_equal(condition_due(&condition, ON, OFF), 3000 + ON);
    }
}

static void an_off_delay_runs_from_the_first_clear_sample(void **state)
{
    (void)state;
    struct condition condition = proven();
    usable(&condition, VERDICT_CLEAR, 6000, 1000);
    usable(&condition, VERDICT_CLEAR, 7000, 1000);
    assert_int_equal(condition_due(&condition, ON, OFF), 6000 + OFF);
    assert_int_equal(condition_fire(&condition), 6000);
    assert_false(condition.proven);
}

static void not_below_the_deadband_cancels_an_off_delay(void **state)
{
    (void)state;
    static const enum verdict above[] = {VERDICT_HOLDS, VERDICT_BEYOND};
    for (size_t i = 0; i < 2; i++) {
        struct condition condition = proven();
        usable(&condition, VERDICT_CLEAR, 6000, 1000);
        usable(&condition, above[i], 7000, 1000);
        assert_int_equal(condition_due(&condition, ON, OFF), CONDITION_NONE);
        assert_true(condition.proven);
    }
}

static void bad_pauses_an_on_delay_and_the_pause_counts(void **state)
{
    (void)state;
    struct condition condition = fresh();
    usable(&condition, VERDICT_BEYOND, 1000, 1000);
    condition_bad(&condition);
    condition_bad(&condition);
    assert_int_equal(condition_due(&condition, ON, OFF), CONDITION_NONE);
    usable(&condition, VERDICT_BEYOND, 4000, 3000);
    assert_int_equal(condition_due(&condition, ON, OFF), 1000 + ON);
}

static void a_pause_as_long_as_the_stale_limit_goes_on_and_a_longer_one_starts_anew(void **state)
{
    (void)state;
    for (int64_t over = 0; over < 2; over++) {
        struct condition condition = fresh();
        usable(&condition, VERDICT_BEYOND, 1000, 1000);
        condition_bad(&condition);
        usable(&condition, VERDICT_BEYOND, 1000 + STALE + over, STALE + over);
        assert_int_equal(condition_due(&condition, ON, OFF),
                         over ? 1000 + STALE + over + ON : 1000 + ON);
    }
}

static void a_sample_that_does_not_qualify_ends_a_paused_on_delay(void **state)
{
    (void)state;
    struct condition condition = fresh();
    usable(&condition, VERDICT_BEYOND, 1000, 1000);
    condition_bad(&condition);
    usable(&condition, VERDICT_HOLDS, 2000, 1000);
    assert_int_equal(condition_due(&condition, ON, OFF), CONDITION_NONE);
    usable(&condition, VERDICT_BEYOND, 3000, 1000);
    assert_int_equal(condition_due(&condition, ON, OFF), 3000 + ON);
}

static void bad_before_a_delay_pauses_nothing(void **state)
{
    (void)state;
    struct condition condition = fresh();
    condition_bad(&condition);
    usable(&condition, VERDICT_BEYOND, 9000, STALE + 1);
    assert_int_equal(condition_due(&condition, ON, OFF), 9000 + ON);
}

static void bad_cancels_an_off_delay_which_then_starts_anew(void **state)
{
    (void)state;
    struct condition condition = proven();
    usable(&condition, VERDICT_CLEAR, 6000, 1000);
    condition_bad(&condition);
    assert_int_equal(condition_due(&condition, ON, OFF), CONDITION_NONE);
    assert_true(condition.proven);
    usable(&condition, VERDICT_CLEAR, 8000, 2000);
    assert_int_equal(condition_due(&condition, ON, OFF), 8000 + OFF);
}

static void silence_ends_every_delay_and_changes_no_side(void **state)
{
    (void)state;
    struct condition rising = fresh(), paused = fresh(), falling = proven();
    usable(&rising, VERDICT_BEYOND, 1000, 1000);
    condition_stale(&rising);
    assert_int_equal(condition_due(&rising, ON, OFF), CONDITION_NONE);
    assert_false(rising.proven);

    usable(&paused, VERDICT_BEYOND, 1000, 1000);
    condition_bad(&paused);
    condition_stale(&paused);
    usable(&paused, VERDICT_BEYOND, 3000, 2000);
    assert_int_equal(condition_due(&paused, ON, OFF), 3000 + ON);

    usable(&falling, VERDICT_CLEAR, 6000, 1000);
    condition_stale(&falling);
    assert_int_equal(condition_due(&falling, ON, OFF), CONDITION_NONE);
    assert_true(falling.proven);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_one_is_false_and_waits_for_nothing),
        cmocka_unit_test(an_on_delay_runs_from_the_first_sample_that_qualified),
        cmocka_unit_test(a_delay_of_zero_is_due_at_its_sample),
        cmocka_unit_test(below_the_limit_cancels_an_on_delay_also_within_the_deadband),
        cmocka_unit_test(an_off_delay_runs_from_the_first_clear_sample),
        cmocka_unit_test(not_below_the_deadband_cancels_an_off_delay),
        cmocka_unit_test(bad_pauses_an_on_delay_and_the_pause_counts),
        cmocka_unit_test(a_pause_as_long_as_the_stale_limit_goes_on_and_a_longer_one_starts_anew),
        cmocka_unit_test(a_sample_that_does_not_qualify_ends_a_paused_on_delay),
        cmocka_unit_test(bad_before_a_delay_pauses_nothing),
        cmocka_unit_test(bad_cancels_an_off_delay_which_then_starts_anew),
        cmocka_unit_test(silence_ends_every_delay_and_changes_no_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
