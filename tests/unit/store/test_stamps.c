/* No two samples of a series get one stamp, and the same journal gives the same stamps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/stamps.h"
#include "tests/unit/support/db_folder.h"

#include <stdbool.h>

static void time_that_goes_on_is_left_alone(void **state)
{
    (void)state;
    struct stamps stamps = {0};
    for (int64_t t = -3000; t < 3000; t += 7)
        assert_int_equal(stamps_settle(&stamps, (uint64_t)(t + 3001), t), t);
}

static void equal_stamps_move_to_the_next_free_millisecond(void **state)
{
    (void)state;
    struct stamps stamps = {0};
    assert_int_equal(stamps_settle(&stamps, 1, 100), 100);
    assert_int_equal(stamps_settle(&stamps, 1, 100), 101);
    assert_int_equal(stamps_settle(&stamps, 2, 100), 102);
    assert_int_equal(stamps_settle(&stamps, 2, 101), 103);
    assert_int_equal(stamps_settle(&stamps, 2, 104), 104);
    assert_int_equal(stamps_settle(&stamps, 3, 104), 105);
    assert_int_equal(stamps_settle(&stamps, 3, 200), 200);
}

static void a_run_of_equal_ones_may_be_long(void **state)
{
    (void)state;
    struct stamps stamps = {0};
    for (int64_t i = 0; i < 50 * STAMPS_RUNS; i++)
        assert_int_equal(stamps_settle(&stamps, 1, 5000), 5000 + i);
    assert_int_equal(stamps_settle(&stamps, 2, 9000), 9000);
}

static void a_clock_that_goes_back_overwrites_nothing(void **state)
{
    (void)state;
    struct stamps stamps = {0};
    assert_int_equal(stamps_settle(&stamps, 1, 1000), 1000);
    assert_int_equal(stamps_settle(&stamps, 2, 2000), 2000);
    assert_int_equal(stamps_settle(&stamps, 3, 3000), 3000);
    assert_int_equal(stamps_settle(&stamps, 4, 2000), 2001);
    assert_int_equal(stamps_settle(&stamps, 5, 3000), 3001);
    assert_int_equal(stamps_settle(&stamps, 6, 2500), 2500);
    assert_int_equal(stamps_settle(&stamps, 7, 4000), 4000);
}

static void what_is_read_twice_is_kept_twice(void **state)
{
    (void)state;
    struct stamps stamps = {0};
    static bool given[20000];
    /* The same stretch of milliseconds again and again, a little later each time. */
    for (int64_t i = 0; i < 50; i++)
        for (int64_t t = 3 * i; t < 3 * i + 200; t++) {
            int64_t t_ms = stamps_settle(&stamps, (uint64_t)i + 1, t);
            assert_in_range(t_ms, t, 19999);
            assert_false(given[t_ms]);
            given[t_ms] = true;
        }
}

static void what_lies_far_back_in_the_journal_is_forgotten(void **state)
{
    (void)state;
    struct stamps stamps = {0};
    assert_int_equal(stamps_settle(&stamps, 1, 1000), 1000);
    assert_int_equal(stamps_settle(&stamps, 2, 2000), 2000);
    assert_int_equal(stamps_settle(&stamps, STAMPS_REACH, 1000), 1001);
    assert_int_equal(stamps_settle(&stamps, STAMPS_REACH + 1, 1000), 1002);
    assert_int_equal(stamps_settle(&stamps, 2 * STAMPS_REACH + 1, 1000), 1000);
}

#define RECORDS 90000

/* Times as a county's clocks give them at their worst: often equal, steps back, far backfill. */
static void make_times(int64_t *times)
{
    uint32_t random = 7;
    int64_t t = 1000000;
    for (int i = 0; i < RECORDS; i++) {
        uint32_t chance = seeded(&random) % 100;
        if (chance < 30)
            t += 0;
        else if (chance < 95)
            t += 1 + seeded(&random) % 3;
        else if (chance < 99)
            t -= seeded(&random) % 20;
        else
            t = 1000000 + seeded(&random) % 200000;
        times[i] = t;
    }
}

static int64_t times[RECORDS], first_walk[RECORDS];

static void a_second_walk_gives_the_same(void **state)
{
    (void)state;
    struct stamps stamps = {0};
    make_times(times);
    for (int i = 0; i < RECORDS; i++)
        first_walk[i] = stamps_settle(&stamps, (uint64_t)i + 1, times[i]);
    for (int from = STAMPS_WARM_UP; from < RECORDS; from += 13331) {
        stamps = (struct stamps){0};
        for (int i = from - STAMPS_WARM_UP; i < RECORDS; i++) {
            int64_t t_ms = stamps_settle(&stamps, (uint64_t)i + 1, times[i]);
            if (i >= from)
                assert_int_equal(t_ms, first_walk[i]);
        }
    }
}

static void near_ones_are_never_equal(void **state)
{
    (void)state;
    struct stamps stamps = {0};
    make_times(times);
    for (int i = 0; i < RECORDS; i++) {
        first_walk[i] = stamps_settle(&stamps, (uint64_t)i + 1, times[i]);
        for (int back = 1; back <= STAMPS_RUNS && back <= i; back++)
            assert_int_not_equal(first_walk[i], first_walk[i - back]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_that_goes_on_is_left_alone),
        cmocka_unit_test(equal_stamps_move_to_the_next_free_millisecond),
        cmocka_unit_test(a_run_of_equal_ones_may_be_long),
        cmocka_unit_test(a_clock_that_goes_back_overwrites_nothing),
        cmocka_unit_test(what_is_read_twice_is_kept_twice),
        cmocka_unit_test(what_lies_far_back_in_the_journal_is_forgotten),
        cmocka_unit_test(a_second_walk_gives_the_same),
        cmocka_unit_test(near_ones_are_never_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
