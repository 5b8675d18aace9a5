/* How long the journal's space lasts: a rate over ten minutes, and nothing where nobody can tell.
 */
#include "edge/outlook.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define S ((int64_t)US_PER_S)

static void it_is_unknown_at_first(void **state)
{
    struct outlook outlook = {.count = 0};
    (void)state;
    assert_true(outlook_rate(&outlook, 5 * S, 100) < 0);
    assert_int_equal(outlook_note(&outlook, 5 * S, 100), 65 * S);
    assert_true(outlook_rate(&outlook, 14 * S, 900) < 0);
    assert_true(outlook_rate(&outlook, 15 * S, 1100) > 99.9);
    assert_true(outlook_rate(&outlook, 15 * S, 1100) < 100.1);
}

static void old_times_are_forgotten(void **state)
{
    struct outlook outlook = {.count = 0};
    uint64_t bytes = 0;
    int64_t due_us = 0;
    (void)state;
    /* An hour at 1000 bytes a second, then eleven minutes at 10. */
    for (int64_t second = 0; second < 3600 + 660; second++) {
        bytes += second < 3600 ? 1000 : 10;
        if (second * S >= due_us)
            due_us = outlook_note(&outlook, second * S, bytes);
    }
    double rate = outlook_rate(&outlook, (3600 + 660) * S, bytes);
    assert_true(rate > 9.9 && rate < 10.1);
}

static void hours_follow_from_room_and_rate(void **state)
{
    (void)state;
    assert_true(outlook_hours(7200000, 1000) > 1.99 && outlook_hours(7200000, 1000) < 2.01);
    assert_true(outlook_hours(7200000, 0) < 0);
    assert_true(outlook_hours(7200000, -1) < 0);
    assert_true(outlook_hours(0, 1000) >= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_unknown_at_first),
        cmocka_unit_test(old_times_are_forgotten),
        cmocka_unit_test(hours_follow_from_room_and_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
