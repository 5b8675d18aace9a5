/* The last values that people see: the newest of each point, whatever a wrong clock says. */
#include "central/live.h"

#include "base/numbers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NOW 1767576600000

static int64_t place;

static struct live *begin(void)
{
    struct live *live = live_new();
    struct point_info info = {.id = "a.b.c", .interval_ms = 1000};
    assert_non_null(live);
    assert_int_equal(live_put_point(live, &info, &place), 0);
    return live;
}

static void put(struct live *live, int64_t t_ms, double number, int64_t received_ms)
{
    struct sample sample = {.t_ms = t_ms, .value = {.kind = VALUE_DOUBLE, .number = number}};
    live_put_sample(live, place, &sample, received_ms);
    live_publish(live);
}

/* What the page is told of the point. */
static void expect_shown(struct live *live, const char *words)
{
    struct buffer out;
    buffer_init(&out, 4096);
    live_write_latest(live, (struct now){.wall_ms = NOW}, &out);
    if (!strstr(buffer_text(&out), words))
        fail_msg("%s; expected %s", buffer_text(&out), words);
    buffer_release(&out);
}

static void the_newest_is_shown_and_of_equals_the_last(void **state)
{
    (void)state;
    struct live *live = begin();
    put(live, NOW, 1.5, NOW);
    put(live, NOW - 1000, 2.5, NOW + 10);
    expect_shown(live, "1.5");
    put(live, NOW, 3.5, NOW + 20);
    expect_shown(live, "3.5");
    live_free(live);
}

static void a_clock_that_is_years_ahead_hides_nothing_behind_it(void **state)
{
    (void)state;
    struct live *live = begin();
    put(live, 4070908800000, 1.5, NOW); /* 2099 */
    expect_shown(live, "1.5");
    put(live, NOW + 900, 2.5, NOW + 1000);
    expect_shown(live, "2.5");
    live_free(live);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_is_shown_and_of_equals_the_last),
        cmocka_unit_test(a_clock_that_is_years_ahead_hides_nothing_behind_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
