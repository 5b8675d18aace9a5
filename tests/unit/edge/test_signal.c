/* What is doubted, and what is not, by tables: the edges of each limit, and the courses of values.
 */
#include "edge/signal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"

#include <string.h>

#define POINTS      4
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define MORNING     INT64_C(1767576600000) /* 2026-01-05 09:30 at UTC+8 */

enum { DP, Q, COIL, OTHER };

struct bed {
    struct signal *signal;
    struct now now;
};

static void bed_init(struct bed *bed)
{
    static const int64_t intervals[POINTS] = {1000, 1000, 10000, 1000};
    *bed = (struct bed){.now = {.mono_us = 5 * US_PER_S, .wall_ms = MORNING, .sync = true}};
    assert_int_equal(signal_new(POINTS, intervals, &bed->signal), 0);
}

static void advance(struct bed *bed, int64_t ms)
{
    bed->now.mono_us += ms * US_PER_MS;
    bed->now.wall_ms += ms;
}

static struct sample judged(struct bed *bed, uint32_t point, double number)
{
    struct sample sample = {.point = point,
                            .t_ms = bed->now.wall_ms,
                            .value = {.kind = VALUE_DOUBLE, .number = number}};
    signal_judge(bed->signal, bed->now, &sample);
    assert_int_equal(sample.value.kind, VALUE_DOUBLE);
    assert_true(sample.value.number >= number && sample.value.number <= number);
    return sample;
}

/* "good", or the cause that the sample is doubted for. */
static void expect(struct bed *bed, uint32_t point, double number, enum quality quality,
                   enum cause cause)
{
    struct sample sample = judged(bed, point, number);
    if (sample.quality != quality || sample.cause != cause)
        fail_msg("%g at %lld s: %s %s, expected %s %s", number,
                 (long long)(bed->now.mono_us / US_PER_S), quality_name(sample.quality),
                 cause_name(sample.cause), quality_name(quality), cause_name(cause));
}

static void good(struct bed *bed, uint32_t point, double number)
{
    expect(bed, point, number, QUALITY_GOOD, CAUSE_NONE);
}

static void range_and_loop_have_sharp_edges(void **state)
{
    static const struct {
        struct signal_limits limits;
        double number;
        enum quality quality;
        enum cause cause;
    } cases[] = {
        {{.has_range = true, .low = -1, .high = 12}, -1, QUALITY_GOOD, CAUSE_NONE},
        {{.has_range = true, .low = -1, .high = 12}, 12, QUALITY_GOOD, CAUSE_NONE},
        {{.has_range = true, .low = -1, .high = 12}, -1.0000001, QUALITY_BAD, CAUSE_OUT_OF_RANGE},
        {{.has_range = true, .low = -1, .high = 12}, 12.0000001, QUALITY_BAD, CAUSE_OUT_OF_RANGE},
        /* NAMUR NE 43 with 0..16 for 4..20 mA: the number is the current less 4 */
        {{.has_loop = true, .at4 = 0, .at20 = 16}, 0, QUALITY_GOOD, CAUSE_NONE},
        {{.has_loop = true, .at4 = 0, .at20 = 16}, 16, QUALITY_GOOD, CAUSE_NONE},
        {{.has_loop = true, .at4 = 0, .at20 = 16}, -0.2, QUALITY_GOOD, CAUSE_NONE},
        {{.has_loop = true, .at4 = 0, .at20 = 16}, 16.5, QUALITY_GOOD, CAUSE_NONE},
        {{.has_loop = true, .at4 = 0, .at20 = 16}, -0.21, QUALITY_UNCERTAIN, CAUSE_OUT_OF_RANGE},
        {{.has_loop = true, .at4 = 0, .at20 = 16}, 16.51, QUALITY_UNCERTAIN, CAUSE_OUT_OF_RANGE},
        {{.has_loop = true, .at4 = 0, .at20 = 16}, -0.4, QUALITY_UNCERTAIN, CAUSE_OUT_OF_RANGE},
        {{.has_loop = true, .at4 = 0, .at20 = 16}, 17, QUALITY_UNCERTAIN, CAUSE_OUT_OF_RANGE},
        {{.has_loop = true, .at4 = 0, .at20 = 16}, -0.41, QUALITY_BAD, CAUSE_SENSOR_FAULT},
        {{.has_loop = true, .at4 = 0, .at20 = 16}, 17.01, QUALITY_BAD, CAUSE_SENSOR_FAULT},
        {{.has_loop = true, .at4 = 0, .at20 = 16}, -4, QUALITY_BAD, CAUSE_SENSOR_FAULT},
        /* read as the current itself, and one that falls as the current rises */
        {{.has_loop = true, .at4 = 4, .at20 = 20}, 3.6, QUALITY_UNCERTAIN, CAUSE_OUT_OF_RANGE},
        {{.has_loop = true, .at4 = 4, .at20 = 20}, 3.59, QUALITY_BAD, CAUSE_SENSOR_FAULT},
        {{.has_loop = true, .at4 = 100, .at20 = 0}, 102.6, QUALITY_BAD, CAUSE_SENSOR_FAULT},
        {{.has_loop = true, .at4 = 100, .at20 = 0}, -6.2, QUALITY_UNCERTAIN, CAUSE_OUT_OF_RANGE},
        /* a broken loop before a range; outside the range before near its end */
        {{.has_loop = true, .at4 = 0, .at20 = 16, .has_range = true, .low = 0, .high = 16},
         -4,
         QUALITY_BAD,
         CAUSE_SENSOR_FAULT},
        {{.has_loop = true, .at4 = 0, .at20 = 16, .has_range = true, .low = 0, .high = 16},
         -0.1,
         QUALITY_BAD,
         CAUSE_OUT_OF_RANGE},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bed bed;
        bed_init(&bed);
        assert_int_equal(signal_watch(bed.signal, DP, &cases[i].limits), 0);
        expect(&bed, DP, cases[i].number, cases[i].quality, cases[i].cause);
        good(&bed, OTHER, cases[i].number);
        signal_free(bed.signal);
    }
}

static void what_is_bad_stays_as_it_is(void **state)
{
    const struct signal_limits limits = {.has_range = true, .low = 0, .high = 1};
    struct sample none = {.point = DP,
                          .quality = QUALITY_BAD,
                          .cause = CAUSE_COMM_TIMEOUT,
                          .value = {.kind = VALUE_NONE}};
    struct sample text = {.point = DP, .value = {.kind = VALUE_TEXT, .text = "on"}};
    struct bed bed;

    (void)state;
    bed_init(&bed);
    assert_int_equal(signal_watch(bed.signal, DP, &limits), 0);
    signal_judge(bed.signal, bed.now, &none);
    assert_int_equal(none.cause, CAUSE_COMM_TIMEOUT);
    signal_judge(bed.signal, bed.now, &text);
    assert_int_equal(text.quality, QUALITY_GOOD);
    assert_int_equal(signal_watch(bed.signal, DP, &limits), ERR_INVALID); /* once */
    assert_int_equal(signal_watch(bed.signal, POINTS, &limits), ERR_INVALID);
    signal_free(bed.signal);
}

/* A line is flat when both its readings and its time are enough; any movement begins anew. */
static void a_flat_line_is_doubted_until_it_moves(void **state)
{
    const struct signal_limits limits = {.flat_polls = 4, .flat_for_ms = 10000};
    struct sample bad = {.point = DP, .quality = QUALITY_BAD, .cause = CAUSE_LINK_DOWN};
    struct bed bed;

    (void)state;
    bed_init(&bed);
    assert_int_equal(signal_watch(bed.signal, DP, &limits), 0);
    for (int second = 0; second < 10; second++, advance(&bed, 1000))
        good(&bed, DP, 7.25); /* ten readings, nine seconds */
    expect(&bed, DP, 7.25, QUALITY_UNCERTAIN, CAUSE_FLAT_LINE);
    advance(&bed, 1000);
    signal_judge(bed.signal, bed.now, &bad); /* silence is no movement */
    expect(&bed, DP, 7.25, QUALITY_UNCERTAIN, CAUSE_FLAT_LINE);
    good(&bed, DP, 7.250000001);
    for (int poll = 0; poll < 2; poll++, advance(&bed, 20000))
        good(&bed, DP, 7.250000001); /* long enough, too few */
    expect(&bed, DP, 7.250000001, QUALITY_UNCERTAIN, CAUSE_FLAT_LINE);
    good(&bed, DP, 0.0);
    good(&bed, DP, 7);
    signal_free(bed.signal);
}

/* A clock that is set neither makes a line flat nor a change fast. */
static void a_step_of_the_clock_doubts_nothing(void **state)
{
    const struct signal_limits limits = {
        .flat_polls = 3, .flat_for_ms = 60000, .rate_by = 1, .rate_in_ms = 10000};
    struct bed bed;

    (void)state;
    bed_init(&bed);
    assert_int_equal(signal_watch(bed.signal, DP, &limits), 0);
    for (int second = 0; second < 50; second++, advance(&bed, 1000)) {
        if (second == 20)
            bed.now.wall_ms += 3600000;
        if (second == 40)
            bed.now.wall_ms -= 7200000;
        good(&bed, DP, 5);
    }
    good(&bed, DP, 5.5);
    signal_free(bed.signal);
}

static void what_moves_too_fast_is_doubted(void **state)
{
    /* at most 6 in a minute */
    const struct signal_limits limits = {.rate_by = 6, .rate_in_ms = 60000};
    struct bed bed;
    double number = 10;

    (void)state;
    bed_init(&bed);
    assert_int_equal(signal_watch(bed.signal, DP, &limits), 0);
    /* As fast as may be, for ten minutes, in steps of a coarse register. */
    for (int second = 0; second < 600; second++, advance(&bed, 1000))
        good(&bed, DP, number + second / 10);
    number += 599 / 10;
    /* A jump of just as much as a minute allows, then of more. */
    for (int second = 0; second < 200; second++, advance(&bed, 1000))
        good(&bed, DP, number);
    good(&bed, DP, number + 6);
    for (int second = 0; second < 200; second++, advance(&bed, 1000))
        (void)judged(&bed, DP, number + 6);
    good(&bed, DP, number + 6);
    advance(&bed, 1000);
    expect(&bed, DP, number - 0.1, QUALITY_UNCERTAIN, CAUSE_RATE_OF_CHANGE);
    /* What stays where it jumped to is believed after two spans. */
    for (int second = 0; second < 120; second++)
        advance(&bed, 1000), (void)judged(&bed, DP, number - 0.1);
    good(&bed, DP, number - 0.1);
    /* A slow ramp, twice too fast: no single step would show it. */
    size_t doubted = 0;
    for (int second = 1; second <= 180; second++) {
        advance(&bed, 1000);
        doubted += judged(&bed, DP, number + 0.2 * second).cause == CAUSE_RATE_OF_CHANGE;
    }
    assert_true(doubted > 100);
    signal_free(bed.signal);
}

static void after_silence_the_change_may_be_as_large_as_the_time(void **state)
{
    const struct signal_limits limits = {.rate_by = 1, .rate_in_ms = 1000};
    struct bed bed;

    (void)state;
    bed_init(&bed);
    assert_int_equal(signal_watch(bed.signal, DP, &limits), 0);
    good(&bed, DP, 0);
    advance(&bed, 100000);
    good(&bed, DP, 100);
    advance(&bed, 100000);
    expect(&bed, DP, 200.5, QUALITY_UNCERTAIN, CAUSE_RATE_OF_CHANGE);
    signal_free(bed.signal);
}

/* dp > 2 and q == 0, for 5 s: the flow is doubted. */
static struct signal_rule cross_check(uint32_t *points, size_t count)
{
    return (struct signal_rule){
        .mark = {.cause = CAUSE_CROSS_CHECK,
                 .quality = QUALITY_UNCERTAIN,
                 .when = {{.compare = COMPARE_GREATER, .value = 2},
                          {.compare = COMPARE_EQUAL, .value = 0}},
                 .when_count = 2,
                 .for_ms = 5000,
                 .from_ms = SIGNAL_NO_TIME,
                 .to_ms = SIGNAL_NO_TIME},
        .when = {DP, Q},
        .points = points,
        .point_count = count,
    };
}

static void readings_that_contradict_each_other_are_doubted(void **state)
{
    uint32_t points[] = {Q};
    const struct signal_rule rule = cross_check(points, 1);
    struct sample bad = {.point = DP, .quality = QUALITY_BAD, .cause = CAUSE_COMM_TIMEOUT};
    struct bed bed;

    (void)state;
    bed_init(&bed);
    assert_int_equal(signal_set_marks(bed.signal, SIGNAL_CONFIGURED, &rule, 1), 0);
    good(&bed, Q, 0); /* nothing is known of dp */
    good(&bed, DP, 2.1);
    for (int second = 0; second < 5; second++, advance(&bed, 1000)) {
        good(&bed, DP, 2.1);
        good(&bed, Q, 0);
    }
    good(&bed, DP, 3);
    expect(&bed, Q, 0, QUALITY_UNCERTAIN, CAUSE_CROSS_CHECK);
    good(&bed, DP, 2); /* not above 2 */
    good(&bed, Q, 0);
    good(&bed, DP, 3); /* true again, and has to last anew */
    advance(&bed, 4999);
    good(&bed, DP, 3);
    good(&bed, Q, 0);
    advance(&bed, 1);
    expect(&bed, Q, 0, QUALITY_UNCERTAIN, CAUSE_CROSS_CHECK);
    good(&bed, Q, 0.1);
    good(&bed, Q, 0);
    advance(&bed, 6000);
    good(&bed, DP, 3);
    expect(&bed, Q, 0, QUALITY_UNCERTAIN, CAUSE_CROSS_CHECK);
    signal_judge(bed.signal, bed.now, &bad); /* what is bad contradicts nobody */
    good(&bed, Q, 0);
    signal_free(bed.signal);
}

static void a_reading_that_is_old_contradicts_nobody(void **state)
{
    uint32_t points[] = {Q};
    const struct signal_rule rule = cross_check(points, 1);
    struct bed bed;

    (void)state;
    bed_init(&bed);
    assert_int_equal(signal_set_marks(bed.signal, SIGNAL_CONFIGURED, &rule, 1), 0);
    good(&bed, Q, 0);
    good(&bed, DP, 3);
    advance(&bed, 15000); /* the longer of three intervals and 15 s */
    expect(&bed, Q, 0, QUALITY_UNCERTAIN, CAUSE_CROSS_CHECK);
    advance(&bed, 1);
    good(&bed, Q, 0);
    signal_free(bed.signal);
}

static void every_comparison_compares(void **state)
{
    static const struct {
        enum compare compare;
        bool below, same, above;
    } cases[] = {
        {COMPARE_EQUAL, false, true, false},   {COMPARE_NOT_EQUAL, true, false, true},
        {COMPARE_LESS, true, false, false},    {COMPARE_AT_MOST, true, true, false},
        {COMPARE_GREATER, false, false, true}, {COMPARE_AT_LEAST, false, true, true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint32_t points[] = {OTHER};
        struct signal_rule rule = cross_check(points, 1);
        struct bed bed;
        bed_init(&bed);
        rule.mark.when_count = 1;
        rule.mark.for_ms = 0;
        rule.mark.when[0] = (struct signal_when){.compare = cases[i].compare, .value = 1.5};
        assert_int_equal(signal_set_marks(bed.signal, SIGNAL_CONFIGURED, &rule, 1), 0);
        const double numbers[] = {1.4, 1.5, 1.6};
        const bool holds[] = {cases[i].below, cases[i].same, cases[i].above};
        for (size_t k = 0; k < 3; k++) {
            good(&bed, DP, numbers[k]);
            assert_int_equal(judged(&bed, OTHER, 1).cause == CAUSE_CROSS_CHECK, holds[k]);
        }
        signal_free(bed.signal);
    }
}

/* A coil says so; what it doubts includes the coil itself, and it goes on all the same. */
static void a_coil_marks_maintenance(void **state)
{
    uint32_t points[] = {DP, COIL};
    const struct signal_limits limits = {.flat_polls = 2, .flat_for_ms = 1};
    struct signal_rule rule = {
        .mark = {.cause = CAUSE_CALIBRATION,
                 .quality = QUALITY_BAD,
                 .when = {{.compare = COMPARE_EQUAL, .value = 1}},
                 .when_count = 1,
                 .from_ms = SIGNAL_NO_TIME,
                 .to_ms = SIGNAL_NO_TIME},
        .when = {COIL},
        .points = points,
        .point_count = 2,
    };
    struct bed bed;

    (void)state;
    bed_init(&bed);
    assert_int_equal(signal_watch(bed.signal, DP, &limits), 0);
    assert_int_equal(signal_set_marks(bed.signal, SIGNAL_CONFIGURED, &rule, 1), 0);
    good(&bed, COIL, 0);
    good(&bed, DP, 1);
    expect(&bed, COIL, 1, QUALITY_BAD, CAUSE_CALIBRATION);
    expect(&bed, DP, 2, QUALITY_BAD, CAUSE_CALIBRATION);
    advance(&bed, 29999);
    expect(&bed, COIL, 1, QUALITY_BAD, CAUSE_CALIBRATION);
    /* The person's word goes before what the course of the values says. */
    rule.mark.quality = QUALITY_UNCERTAIN;
    rule.mark.cause = CAUSE_MAINTENANCE;
    assert_int_equal(signal_set_marks(bed.signal, SIGNAL_CONFIGURED, &rule, 1), 0);
    expect(&bed, DP, 2, QUALITY_GOOD + 1, CAUSE_FLAT_LINE); /* the coil was not read since */
    expect(&bed, COIL, 1, QUALITY_UNCERTAIN, CAUSE_MAINTENANCE);
    expect(&bed, DP, 2, QUALITY_UNCERTAIN, CAUSE_MAINTENANCE);
    good(&bed, COIL, 0);
    expect(&bed, DP, 2, QUALITY_UNCERTAIN, CAUSE_FLAT_LINE);
    signal_free(bed.signal);
}

static void hours_and_dates_mark(void **state)
{
    static const struct {
        int64_t daily_from, daily_to; /* minutes; alike: none */
        int64_t from_ms, to_ms;
        int64_t t_ms;
        bool holds;
    } cases[] = {
        {9 * 60 + 30, 10 * 60, SIGNAL_NO_TIME, SIGNAL_NO_TIME, MORNING, true},
        {9 * 60 + 30, 10 * 60, SIGNAL_NO_TIME, SIGNAL_NO_TIME, MORNING - 1, false},
        {9 * 60 + 30, 10 * 60, SIGNAL_NO_TIME, SIGNAL_NO_TIME, MORNING + 1799999, true},
        {9 * 60 + 30, 10 * 60, SIGNAL_NO_TIME, SIGNAL_NO_TIME, MORNING + 1800000, false},
        {22 * 60, 9 * 60 + 31, SIGNAL_NO_TIME, SIGNAL_NO_TIME, MORNING, true}, /* over midnight */
        {22 * 60, 9 * 60 + 30, SIGNAL_NO_TIME, SIGNAL_NO_TIME, MORNING, false},
        {0, 24 * 60, SIGNAL_NO_TIME, SIGNAL_NO_TIME, MORNING, true},
        {0, 60, SIGNAL_NO_TIME, SIGNAL_NO_TIME, -INT64_C(28800000),
         true}, /* 1970-01-01 00:00 there */
        {0, 60, SIGNAL_NO_TIME, SIGNAL_NO_TIME, -INT64_C(28800001), false},
        {0, 0, MORNING, SIGNAL_NO_TIME, MORNING, true},
        {0, 0, MORNING + 1, SIGNAL_NO_TIME, MORNING, false},
        {0, 0, SIGNAL_NO_TIME, MORNING, MORNING, false},
        {0, 0, SIGNAL_NO_TIME, MORNING + 1, MORNING, true},
        {0, 60, MORNING - 1, MORNING + 1, MORNING, false}, /* both must hold */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint32_t points[] = {OTHER};
        const struct signal_rule rule = {
            .mark = {.cause = CAUSE_MAINTENANCE,
                     .quality = QUALITY_UNCERTAIN,
                     .has_daily = cases[i].daily_from != cases[i].daily_to,
                     .daily_from_ms = cases[i].daily_from * 60000,
                     .daily_to_ms = cases[i].daily_to * 60000,
                     .from_ms = cases[i].from_ms,
                     .to_ms = cases[i].to_ms},
            .points = points,
            .point_count = 1,
        };
        struct sample sample = {
            .point = OTHER, .t_ms = cases[i].t_ms, .value = {.kind = VALUE_TEXT, .text = "x"}};
        struct bed bed;
        bed_init(&bed);
        assert_int_equal(signal_set_marks(bed.signal, SIGNAL_OPERATORS, &rule, 1), 0);
        signal_judge(bed.signal, bed.now, &sample);
        if ((sample.cause == CAUSE_MAINTENANCE) != cases[i].holds)
            fail_msg("case %zu", i);
        signal_free(bed.signal);
    }
}

/* Two sources beside each other; the worse counts; one is replaced without the other. */
static void operators_marks_come_and_go(void **state)
{
    uint32_t points[] = {DP};
    struct signal_rule rules[2] = {
        {.mark = {.cause = CAUSE_MAINTENANCE,
                  .quality = QUALITY_UNCERTAIN,
                  .from_ms = MORNING - 1000,
                  .to_ms = SIGNAL_NO_TIME},
         .points = points,
         .point_count = 1},
        {.mark = {.cause = CAUSE_CALIBRATION,
                  .quality = QUALITY_BAD,
                  .from_ms = MORNING - 1000,
                  .to_ms = SIGNAL_NO_TIME},
         .points = points,
         .point_count = 1},
    };
    struct bed bed;

    (void)state;
    bed_init(&bed);
    assert_int_equal(signal_set_marks(bed.signal, SIGNAL_CONFIGURED, &rules[0], 1), 0);
    assert_int_equal(signal_set_marks(bed.signal, SIGNAL_OPERATORS, &rules[1], 1), 0);
    expect(&bed, DP, 1, QUALITY_BAD, CAUSE_CALIBRATION);
    assert_int_equal(signal_set_marks(bed.signal, SIGNAL_OPERATORS, rules, SIGNAL_MARKS_MAX + 1),
                     ERR_FULL);
    points[0] = POINTS;
    assert_int_equal(signal_set_marks(bed.signal, SIGNAL_OPERATORS, rules, 1), ERR_INVALID);
    expect(&bed, DP, 1, QUALITY_BAD, CAUSE_CALIBRATION); /* the old ones stayed */
    assert_int_equal(signal_set_marks(bed.signal, SIGNAL_OPERATORS, NULL, 0), 0);
    expect(&bed, DP, 1, QUALITY_UNCERTAIN, CAUSE_MAINTENANCE);
    signal_free(bed.signal);
}

/* As many marks as there may be: the last one doubts, of either source. */
static void the_last_of_all_marks_doubts_too(void **state)
{
    uint32_t points[] = {DP};
    static struct signal_rule rules[SIGNAL_MARKS_MAX];
    struct bed bed;

    (void)state;
    for (size_t i = 0; i < SIGNAL_MARKS_MAX; i++)
        rules[i] = (struct signal_rule){.mark = {.cause = CAUSE_MAINTENANCE,
                                                 .quality = QUALITY_UNCERTAIN,
                                                 .from_ms = MORNING + (int64_t)i,
                                                 .to_ms = MORNING + (int64_t)i + 1},
                                        .points = points,
                                        .point_count = 1};
    for (int source = 0; source < SIGNAL_SOURCES; source++) {
        bed_init(&bed);
        assert_int_equal(
            signal_set_marks(bed.signal, (enum signal_source)source, rules, SIGNAL_MARKS_MAX), 0);
        for (int i = 0; i < SIGNAL_MARKS_MAX; i++, advance(&bed, 1))
            expect(&bed, DP, 1, QUALITY_UNCERTAIN, CAUSE_MAINTENANCE);
        good(&bed, DP, 1);
        signal_free(bed.signal);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(range_and_loop_have_sharp_edges),
        cmocka_unit_test(what_is_bad_stays_as_it_is),
        cmocka_unit_test(a_flat_line_is_doubted_until_it_moves),
        cmocka_unit_test(a_step_of_the_clock_doubts_nothing),
        cmocka_unit_test(what_moves_too_fast_is_doubted),
        cmocka_unit_test(after_silence_the_change_may_be_as_large_as_the_time),
        cmocka_unit_test(readings_that_contradict_each_other_are_doubted),
        cmocka_unit_test(a_reading_that_is_old_contradicts_nobody),
        cmocka_unit_test(every_comparison_compares),
        cmocka_unit_test(a_coil_marks_maintenance),
        cmocka_unit_test(hours_and_dates_mark),
        cmocka_unit_test(operators_marks_come_and_go),
        cmocka_unit_test(the_last_of_all_marks_doubts_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
