/*
 * What stands between a process and its reading: the calendar, randomness, and instruments that are
 * slow, noisy, coarse, bounded, drifting and calibrated.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drivers/simulator/instrument.h"
#include "drivers/simulator/plant_time.h"
#include "tests/unit/support/plant_bed.h"

#include <math.h>

#define MONDAY_S (MONDAY_MS / 1000)

/* ---- the calendar ---- */

static void the_calendar_is_local(void **state)
{
    (void)state;
    struct plant_time monday = plant_time_at(MONDAY_S, 1);
    assert_int_equal(monday.weekday, 0);
    assert_true(monday.hour < 1e-9);
    assert_int_equal(monday.local_s % (7 * DAY_S), 0);
    struct plant_time sunday = plant_time_at(MONDAY_S - 60, 1);
    assert_int_equal(sunday.weekday, SUNDAY);
    expect_between("a minute before midnight", sunday.hour, 23.98, 23.99);
    assert_int_equal(plant_time_at(0, 1).weekday, 3); /* 1970-01-01 was a Thursday */
    expect_between("the epoch's hour", plant_time_at(0, 1).hour, 8, 8);
    assert_int_equal(plant_time_at(-86400 * 4, 1).weekday, SUNDAY); /* also before it */
}

static void the_season_has_its_cold_in_january_and_its_warmth_in_july(void **state)
{
    (void)state;
    const int64_t january_s = 1768406400, july_s = 1784131200; /* 2026-01-15, 2026-07-16 */
    expect_between("January", plant_time_at(january_s, 1).season, -1, -0.99);
    expect_between("July", plant_time_at(july_s, 1).season, 0.99, 1);
    expect_between("April", plant_time_at((january_s + july_s) / 2, 1).season, -0.05, 0.05);
}

static void hours_may_lie_across_midnight(void **state)
{
    (void)state;
    struct plant_time time = {.hour = 23};
    assert_true(plant_time_between(&time, 22, 6));
    assert_false(plant_time_between(&time, 6, 22));
    time.hour = 6;
    assert_false(plant_time_between(&time, 22, 6));
    assert_true(plant_time_between(&time, 6, 22));
}

static void a_profile_is_straight_between_its_hours(void **state)
{
    (void)state;
    double hourly[24] = {[7] = 2, [8] = 4, [23] = 6};
    expect_between("07:00", plant_profile(hourly, 7), 2, 2);
    expect_between("07:30", plant_profile(hourly, 7.5), 3, 3);
    expect_between("23:30", plant_profile(hourly, 23.5), 3, 3); /* towards midnight's 0 */
}

/* ---- randomness ---- */

static void noise_has_mean_0_and_deviation_1(void **state)
{
    (void)state;
    struct noise noise;
    noise_init(&noise, 1);
    double sum = 0, squares = 0, most = 0;
    const int count = 100000;
    for (int i = 0; i < count; i++) {
        double value = noise_normal(&noise);
        sum += value;
        squares += value * value;
        most = fmax(most, fabs(value));
    }
    expect_between("mean", sum / count, -0.02, 0.02);
    expect_between("variance", squares / count, 0.97, 1.03);
    expect_between("the widest of many", most, 3, 3.5);
}

static void wandering_keeps_its_mean_and_spread_whatever_the_step(void **state)
{
    (void)state;
    for (double dt_s = 1; dt_s < 200; dt_s *= 13) {
        struct noise noise;
        noise_init(&noise, 3);
        double value = 5, sum = 0, squares = 0;
        const int count = 200000;
        for (int i = 0; i < count; i++) {
            value = noise_wander(&noise, value, 5, 0.5, 60, dt_s);
            sum += value - 5;
            squares += (value - 5) * (value - 5);
        }
        expect_between("mean", sum / count, -0.05, 0.05);
        expect_between("deviation", sqrt(squares / count), 0.45, 0.55);
    }
}

/* ---- instruments ---- */

struct bench {
    struct instrument instrument;
    struct instrument_state state;
    struct noise noise;
    int64_t at_s;
};

static struct bench make_bench(struct instrument instrument, double value)
{
    struct bench bench = {.instrument = instrument};
    noise_init(&bench.noise, 7);
    instrument_begin(&bench.instrument, &bench.state, value);
    return bench;
}

static double read_next(struct bench *bench, double value)
{
    bench->at_s++;
    instrument_step(&bench->instrument, &bench->state, value, bench->at_s, 1, &bench->noise);
    return bench->state.reading;
}

static void an_ideal_instrument_shows_the_very_number(void **state)
{
    (void)state;
    struct bench bench = make_bench((struct instrument){0}, 0.1);
    for (double value = 0.1; value < 1e9; value *= -7.3) {
        double reading = read_next(&bench, value);
        assert_memory_equal(&reading, &value, sizeof(value));
    }
}

static void a_lag_reaches_its_share_after_its_time(void **state)
{
    (void)state;
    struct bench bench = make_bench((struct instrument){.lag_s = 60}, 0);
    double reading = 0;
    for (int i = 0; i < 60; i++)
        reading = read_next(&bench, 100);
    expect_between("after one time constant", reading, 62, 64.5);
    for (int i = 0; i < 540; i++)
        reading = read_next(&bench, 100);
    expect_between("after ten", reading, 99.9, 100);
}

static void readings_scatter_by_sigma_around_the_value(void **state)
{
    (void)state;
    struct bench bench = make_bench((struct instrument){.sigma = 2}, 50);
    double sum = 0, squares = 0;
    const int count = 20000;
    for (int i = 0; i < count; i++) {
        double error = read_next(&bench, 50) - 50;
        sum += error;
        squares += error * error;
    }
    expect_between("mean error", sum / count, -0.1, 0.1);
    expect_between("deviation", sqrt(squares / count), 1.9, 2.1);
}

static void the_display_is_coarse_bounded_and_cut_off(void **state)
{
    (void)state;
    struct instrument instrument = {.resolution = 0.5, .least = -2, .most = 10, .cutoff = 0.8};
    struct bench bench = make_bench(instrument, 3.3);
    expect_between("at the beginning", bench.state.reading, 3.5, 3.5);
    expect_between("3.2", read_next(&bench, 3.2), 3, 3);
    expect_between("11", read_next(&bench, 11), 10, 10);
    expect_between("-7", read_next(&bench, -7), -2, -2);
    double nothing = 0, reading = read_next(&bench, -0.7);
    assert_memory_equal(&reading, &nothing, sizeof(reading)); /* not -0 */
}

static void a_slow_analyser_holds_between_its_cycles(void **state)
{
    (void)state;
    struct bench bench = make_bench((struct instrument){.cycle_s = 600}, 5);
    for (int i = 1; i < 600; i++)
        expect_between("before the cycle", read_next(&bench, 8), 5, 5);
    expect_between("at the cycle", read_next(&bench, 8), 8, 8);
    expect_between("after it", read_next(&bench, 9), 8, 8);
}

#define DRIFTS          \
    (struct instrument) \
    {                   \
        .drift = 0.5    \
    }

static void drift_grows_and_stays_between_its_walls(void **state)
{
    (void)state;
    struct bench bench = make_bench(DRIFTS, 0);
    double most = 0, day_squares = 0;
    const int days = 120;
    for (int day = 0; day < days; day++) {
        double from = bench.state.drift;
        for (int i = 0; i < DAY_S; i += 60) {
            bench.at_s += 59;
            most = fmax(most, fabs(read_next(&bench, 0)));
        }
        day_squares += pow(bench.state.drift - from, 2);
    }
    expect_between("the farthest", most, 0.9, DRIFT_WALL * 0.5);
    expect_between("a day's drift", sqrt(day_squares / days), 0.35, 0.65);
}

static void calibration_takes_the_drift_away(void **state)
{
    (void)state;
    struct instrument instrument = DRIFTS;
    instrument.calibration = (struct calibration){24, 3, 600, INSTRUMENT_HOLDS};
    struct bench bench = make_bench(instrument, 0);
    double before = 0, drifted = 0, after = 0;
    const int days = 40;
    for (int day = 0; day < days; day++) {
        bench.at_s = (int64_t)day * DAY_S;
        while (bench.at_s < (int64_t)day * DAY_S + 3 * HOUR_S - 1)
            before = read_next(&bench, 0);
        double held = before;
        for (int i = 0; i < 600; i++)
            expect_between("while it calibrates", read_next(&bench, 4), held, held);
        after = fmax(after, fabs(read_next(&bench, 0)));
        for (int i = 0; i < 20 * HOUR_S; i++)
            (void)read_next(&bench, 0);
        drifted = fmax(drifted, fabs(held));
    }
    expect_between("just before calibrations", drifted, 0.5, DRIFT_WALL * 0.5);
    expect_between("just after calibrations", after, 0, 0.06);
}

static void a_standard_is_shown_while_it_calibrates(void **state)
{
    (void)state;
    struct instrument instrument = {.sigma = 0.01, .calibration = {168, 33, 900, 6.86}};
    struct bench bench = make_bench(instrument, 7.4);
    assert_false(instrument_calibrates(&instrument, 33 * HOUR_S - 1));
    assert_true(instrument_calibrates(&instrument, 33 * HOUR_S));
    assert_true(instrument_calibrates(&instrument, 33 * HOUR_S + 899));
    assert_false(instrument_calibrates(&instrument, 33 * HOUR_S + 900));
    assert_true(instrument_calibrates(&instrument, (33 + 168) * HOUR_S));
    bench.at_s = 33 * HOUR_S + 10;
    expect_between("the buffer", read_next(&bench, 7.4), 6.82, 6.90);
    bench.at_s = 34 * HOUR_S;
    expect_between("the water", read_next(&bench, 7.4), 7.36, 7.44);
}

static void one_without_calibration_never_calibrates(void **state)
{
    (void)state;
    struct instrument instrument = {.sigma = 1};
    for (int64_t hour = 0; hour < 10000; hour++)
        assert_false(instrument_calibrates(&instrument, hour * HOUR_S));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_calendar_is_local),
        cmocka_unit_test(the_season_has_its_cold_in_january_and_its_warmth_in_july),
        cmocka_unit_test(hours_may_lie_across_midnight),
        cmocka_unit_test(a_profile_is_straight_between_its_hours),
        cmocka_unit_test(noise_has_mean_0_and_deviation_1),
        cmocka_unit_test(wandering_keeps_its_mean_and_spread_whatever_the_step),
        cmocka_unit_test(an_ideal_instrument_shows_the_very_number),
        cmocka_unit_test(a_lag_reaches_its_share_after_its_time),
        cmocka_unit_test(readings_scatter_by_sigma_around_the_value),
        cmocka_unit_test(the_display_is_coarse_bounded_and_cut_off),
        cmocka_unit_test(a_slow_analyser_holds_between_its_cycles),
        cmocka_unit_test(drift_grows_and_stays_between_its_walls),
        cmocka_unit_test(calibration_takes_the_drift_away),
        cmocka_unit_test(a_standard_is_shown_while_it_calibrates),
        cmocka_unit_test(one_without_calibration_never_calibrates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
