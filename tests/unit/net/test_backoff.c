#include "net/backoff.h"

#include "base/crypto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int set_up(void **state)
{
    (void)state;
    return crypto_init();
}

static void pauses_double_up_to_the_longest(void **state)
{
    static const int64_t BOUNDS[][2] = {{1000, 2000},   {2000, 4000},   {4000, 8000},
                                        {8000, 16000},  {16000, 32000}, {30000, 60000},
                                        {30000, 60000}, {30000, 60000}};
    (void)state;
    for (int run = 0; run < 50; run++) {
        struct backoff backoff;
        backoff_init(&backoff, 1000, 60000);
        for (size_t i = 0; i < sizeof BOUNDS / sizeof BOUNDS[0]; i++)
            assert_in_range(backoff_next_ms(&backoff), BOUNDS[i][0], BOUNDS[i][1]);
    }
}

static void chance_is_in_them(void **state)
{
    int64_t least = INT64_MAX;
    int64_t most = 0;
    (void)state;
    for (int run = 0; run < 200; run++) {
        struct backoff backoff;
        backoff_init(&backoff, 1000, 60000);
        int64_t pause_ms = backoff_next_ms(&backoff);
        least = pause_ms < least ? pause_ms : least;
        most = pause_ms > most ? pause_ms : most;
    }
    assert_true(most - least > 500);
}

static void after_success_they_are_short_again(void **state)
{
    struct backoff backoff;
    (void)state;
    backoff_init(&backoff, 1000, 60000);
    for (int i = 0; i < 10; i++)
        (void)backoff_next_ms(&backoff);
    backoff_reset(&backoff);
    assert_in_range(backoff_next_ms(&backoff), 1000, 2000);
}

static void the_bounds_may_be_one(void **state)
{
    struct backoff backoff;
    (void)state;
    backoff_init(&backoff, 7, 7);
    for (int i = 0; i < 5; i++)
        assert_int_equal(backoff_next_ms(&backoff), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pauses_double_up_to_the_longest),
        cmocka_unit_test(chance_is_in_them),
        cmocka_unit_test(after_success_they_are_short_again),
        cmocka_unit_test(the_bounds_may_be_one),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
