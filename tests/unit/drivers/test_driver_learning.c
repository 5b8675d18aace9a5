#include "drivers/modbus/refusals.h"
#include "tests/unit/support/gateway_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define FIVE                                                                                   \
    "a,3,10,uint16,AB\nb,3,12,uint16,AB\nc,3,13,uint16,AB\nd,3,14,uint32,ABCD\ne,3,40,uint16," \
    "AB\n"

/* Requests within so long. */
static size_t requests_in(int64_t us)
{
    size_t before = rig.seen;
    rig_run(us);
    return rig.seen - before;
}

static void the_value_that_is_refused_is_read_alone_and_all_else_together(void **state)
{
    (void)state;
    rig_begin(FIVE);
    rig.hole = 13;
    rig_open(1, 1000);
    rig_run(10 * S - 1);
    /* 10 to 12, 13, 14 to 40. */
    assert_int_equal(requests_in(10 * S), 30);
    assert_int_equal(rig.learned_count, 2);
    assert_int_equal(rig.learned[0].function, 3);
    assert_int_equal(rig.learned[0].below, 13);
    assert_int_equal(rig.learned[0].from, 13);
    assert_int_equal(rig.learned[1].below, 14);
    assert_int_equal(rig.learned[1].from, 14);
    assert_int_equal(rig_count_samples(100, QUALITY_BAD), 0);
    assert_int_equal(rig_count_samples(100, QUALITY_GOOD), 20);
    assert_int_equal(rig_count_samples(102, QUALITY_BAD), 20);
    assert_int_equal(rig_stats_of(0).skipped, 0);
    rig_end();
}

static void a_refused_hole_is_read_around(void **state)
{
    (void)state;
    rig_begin(FIVE);
    rig.hole = 30;
    rig_open(1, 1000);
    rig_run(5 * S - 1);
    assert_int_equal(requests_in(10 * S), 20);
    assert_int_equal(rig.learned_count, 1);
    assert_int_equal(rig.learned[0].below, 16);
    assert_int_equal(rig.learned[0].from, 40);
    assert_int_equal(rig_count_samples(104, QUALITY_GOOD), 15);
    assert_int_equal(rig_count_samples(104, QUALITY_BAD), 0);
    rig_end();
}

static void what_was_learned_before_is_not_asked_again(void **state)
{
    static const struct plan_cut known[] = {{.function = 3, .below = 16, .from = 40}};

    (void)state;
    rig_begin(FIVE);
    rig.hole = 30;
    rig.cuts = known;
    rig.cut_count = 1;
    rig_open(1, 1000);
    rig_run(10 * S - 1);
    assert_int_equal(rig.seen, 20);
    assert_int_equal(rig_stats_of(0).exceptions, 0);
    rig_end();
}

static void a_device_that_is_not_ready_teaches_nothing(void **state)
{
    (void)state;
    rig_begin(FIVE);
    rig.manners[1] = HAS_NOTHING;
    rig_open(1, 1000);
    rig_run(60 * S - 1);
    /* It is asked as a whole, and in parts ever more rarely. */
    assert_true(rig.seen < 60 + 6 * 9);
    rig.manners[1] = ANSWERS;
    rig_run(1 * S);
    assert_int_equal(requests_in(10 * S), 10);
    assert_int_equal(rig.learned_count, 0);
    rig_end();
}

static void what_is_refused_once_is_not_believed(void **state)
{
    (void)state;
    rig_begin(FIVE);
    rig.hole = 30;
    rig_open(1, 1000);
    rig_run(S - 1);
    assert_true(rig_stats_of(0).splits > 0);
    rig.hole = 0;
    rig_run(3 * S);
    rig.hole = 30;
    rig_run(1 * S);
    rig.hole = 0;
    rig_run(1 * S);
    assert_int_equal(requests_in(10 * S), 10);
    assert_int_equal(rig.learned_count, 0);
    rig_end();
}

static void a_unit_that_dies_in_a_trial_is_read_whole_when_it_is_back(void **state)
{
    (void)state;
    rig_begin(FIVE);
    rig.hole = 30;
    rig_open(1, 1000);
    rig_run(15 * MS);
    assert_int_equal(rig_stats_of(0).splits, 1);
    rig.manners[1] = IS_SILENT;
    rig_run(10 * S);
    rig.manners[1] = ANSWERS;
    rig.hole = 0;
    rig_run(20 * S);
    assert_int_equal(requests_in(10 * S), 10);
    assert_int_equal(rig.learned_count, 0);
    assert_int_equal(rig_last_of(104).quality, QUALITY_GOOD);
    rig_end();
}

/* On a slow line a hole of 22 registers is worth a request of its own, when the unit is quick. */
static void the_measured_latency_decides_what_a_request_costs(void **state)
{
    (void)state;
    rig_begin("a,3,10,uint16,AB\nb,3,30,uint16,AB\n");
    rig.wire = (struct wire){.baud = 9600, .char_bits = 11};
    rig.latency = 40 * MS;
    rig_open(1, 1000);
    rig_run(50 * S - 1);
    assert_int_equal(requests_in(10 * S), 20);
    rig.latency = 120 * MS;
    rig_run(250 * S);
    assert_int_equal(requests_in(10 * S), 10);
    assert_int_equal(rig_stats_of(0).replans, 1);
    /* Of the 120 ms 55 characters take 63, and two silences 8. */
    assert_in_range(rig_stats_of(0).mean_latency_us, 48 * MS, 50 * MS);
    rig_end();
}

/* More holes than are kept: a person is told so, once, and all is read all the same. */
static void a_unit_that_refuses_more_than_is_kept_is_told_once(void **state)
{
    char rows[4000] = "";
    size_t len = 0;
    struct driver_status status;

    (void)state;
    for (int i = 0; i < 80; i++)
        len +=
            (size_t)snprintf(rows + len, sizeof rows - len, "p%d,3,%d,uint16,AB\n", i, 4 * i + 1);
    rig_begin(rows);
    rig.hole_every = 4;
    rig_open(1, 10000);
    rig_run(200 * S);
    driver_status(rig.driver, &status);
    assert_true(status.up);
    assert_int_equal(status.notices, 1);
    assert_non_null(strstr(status.notice.text, "unit 1 refuses"));
    assert_true(rig.learned_count <= REFUSALS_MAX);
    assert_int_equal(rig_last_of(100).quality, QUALITY_GOOD);
    assert_int_equal(rig_last_of(179).quality, QUALITY_GOOD);
    rig_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_value_that_is_refused_is_read_alone_and_all_else_together),
        cmocka_unit_test(a_refused_hole_is_read_around),
        cmocka_unit_test(what_was_learned_before_is_not_asked_again),
        cmocka_unit_test(a_device_that_is_not_ready_teaches_nothing),
        cmocka_unit_test(what_is_refused_once_is_not_believed),
        cmocka_unit_test(a_unit_that_dies_in_a_trial_is_read_whole_when_it_is_back),
        cmocka_unit_test(the_measured_latency_decides_what_a_request_costs),
        cmocka_unit_test(a_unit_that_refuses_more_than_is_kept_is_told_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
