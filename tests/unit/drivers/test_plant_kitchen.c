/*
 * The kitchen-waste plant: gas comes of what is fed and goes where gas goes, heat and levels are
 * held, and each disturbance does what its name says and passes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support/plant_bed.h"

#include <math.h>

#define WEDNESDAY 2 /* the engine is serviced from nine to one */

static struct plant_bed at(int day, int hour)
{
    struct plant_bed bed;
    plant_bed_begin(&bed, "kitchen", 7, day, hour);
    plant_bed_run(&bed, HOUR_S);
    return bed;
}

/* ---- balances ---- */

static void the_total_is_the_integral_of_the_flow(void **state)
{
    (void)state;
    struct plant_bed bed = at(1, 0);
    double before = plant_bed_value(&bed, "biogas_total");
    double mean = plant_bed_watch(&bed, "biogas_flow", DAY_S).mean;
    double more = plant_bed_value(&bed, "biogas_total") - before;
    expect_between("total - integral, m3", more - mean * 24, -1e-4, 1e-4);
    assert_true(more > 4000);
}

/* Waste becomes slurry, less grease and solids; slurry becomes gas. */
static void gas_comes_of_what_is_fed_and_that_of_what_is_received(void **state)
{
    (void)state;
    const int days = 20;
    struct plant_bed bed = at(1, 0);
    plant_bed_run(&bed, 10 * DAY_S);
    double gas_m3 = plant_bed_value(&bed, "biogas_total");
    double tonnes = plant_bed_value(&bed, "received_total");
    double fed_m3 = plant_bed_watch(&bed, "feed_flow", days * DAY_S).mean * 24 * days;
    gas_m3 = plant_bed_value(&bed, "biogas_total") - gas_m3;
    tonnes = plant_bed_value(&bed, "received_total") - tonnes;
    expect_between("m3 of gas from a m3 of slurry", gas_m3 / fed_m3, 68, 92);
    expect_between("m3 of slurry from a tonne", fed_m3 / tonnes, 0.76, 0.94);
}

static void waste_comes_by_day(void **state)
{
    (void)state;
    struct plant_bed bed = at(1, 20);
    double before = plant_bed_value(&bed, "received_total");
    plant_bed_run_to(&bed, 2, 4);
    expect_between("t at night", plant_bed_value(&bed, "received_total") - before, 0, 0);
    plant_bed_run_to(&bed, 2, 20);
    expect_between("t by day", plant_bed_value(&bed, "received_total") - before, 30, 180);
}

static void the_digester_keeps_its_warmth(void **state)
{
    (void)state;
    struct plant_bed bed;
    plant_bed_begin(&bed, "kitchen", 7, WINTER_DAY, 0);
    struct plant_span span = plant_bed_watch(&bed, "digester_temp", 7 * DAY_S);
    expect_between("coldest", span.least, 36.7, 37);
    expect_between("warmest", span.most, 37, 37.3);
}

static void the_flare_burns_while_the_engine_is_serviced_and_the_holder_is_full(void **state)
{
    (void)state;
    int flared = 0;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct plant_bed bed;
        plant_bed_begin(&bed, "kitchen", seed, WEDNESDAY, 0);
        plant_bed_run_to(&bed, WEDNESDAY, 10);
        expect_between("engine", plant_bed_value(&bed, "engine_power"), 0, 1);
        double least = 100;
        for (int minute = 0; minute < 5 * 60; minute++) {
            plant_bed_run(&bed, MINUTE_S);
            if (plant_bed_value(&bed, "flare") > 0.5) {
                flared++;
                least = fmin(least, plant_bed_value(&bed, "holder_level"));
            }
        }
        assert_true(least > 74);
        plant_bed_run_to(&bed, WEDNESDAY, 20);
        expect_between("engine again", plant_bed_value(&bed, "engine_power"), 200, 800);
    }
    assert_true(flared > 0);
}

/* ---- disturbances ---- */

static void without_feed_gas_dies_down_over_a_day_and_returns(void **state)
{
    (void)state;
    struct plant_bed bed = at(1, 6);
    double gas = plant_bed_watch(&bed, "biogas_flow", HOUR_S).mean;
    double ph = plant_bed_value(&bed, "ph");
    plant_bed_disturb(&bed, "feed_stop", 1);
    expect_between("an hour later", plant_bed_watch(&bed, "biogas_flow", HOUR_S).mean / gas, 0.8,
                   1.1);
    plant_bed_run(&bed, DAY_S);
    expect_between("feed", plant_bed_value(&bed, "feed_flow"), 0, 0);
    expect_between("a day later", plant_bed_watch(&bed, "biogas_flow", HOUR_S).mean / gas, 0.2,
                   0.6);
    expect_between("pH more", plant_bed_value(&bed, "ph") - ph, 0.05, 0.5);
    plant_bed_disturb(&bed, "feed_stop", 0);
    plant_bed_run(&bed, 3 * DAY_S);
    expect_between("three days on", plant_bed_watch(&bed, "biogas_flow", HOUR_S).mean / gas, 0.8,
                   1.5);
    plant_bed_run(&bed, 14 * DAY_S);
    expect_between("pH two weeks on", plant_bed_value(&bed, "ph"), 7.1, 7.7); /* it did not sour */
}

static void foam_lifts_the_level_and_the_pressure(void **state)
{
    (void)state;
    struct plant_bed bed = at(1, 6);
    double level = plant_bed_value(&bed, "digester_level");
    double pressure = plant_bed_value(&bed, "digester_pressure");
    plant_bed_disturb(&bed, "foaming", 1);
    plant_bed_run(&bed, HOUR_S);
    expect_between("m more", plant_bed_value(&bed, "digester_level") - level, 0.6, 1.2);
    expect_between("kPa more", plant_bed_value(&bed, "digester_pressure") - pressure, 0.8, 4);
    plant_bed_disturb(&bed, "foaming", 0);
    plant_bed_run(&bed, 6 * HOUR_S);
    expect_between("m afterwards", plant_bed_value(&bed, "digester_level"), 9.9, 10.2);
    expect_between("kPa afterwards", plant_bed_value(&bed, "digester_pressure"), 1.3, 2.5);
}

static void sulphur_peaks_and_passes(void **state)
{
    (void)state;
    struct plant_bed bed = at(1, 6);
    double before = plant_bed_value(&bed, "h2s");
    plant_bed_disturb(&bed, "h2s_peak", 1);
    plant_bed_run(&bed, HOUR_S);
    expect_between("ppm more", plant_bed_shown(&bed, "h2s") - before, 2500, 3500);
    plant_bed_disturb(&bed, "h2s_peak", 0);
    plant_bed_run(&bed, 3 * HOUR_S);
    expect_between("ppm afterwards", plant_bed_value(&bed, "h2s"), 100, 600);
}

static void without_heat_the_digester_cools_by_tenths_a_day(void **state)
{
    (void)state;
    struct plant_bed bed = at(1, 6);
    double before = plant_bed_value(&bed, "digester_temp");
    plant_bed_disturb(&bed, "heating_trip", 1);
    plant_bed_run(&bed, 3 * DAY_S);
    expect_between("K less", before - plant_bed_value(&bed, "digester_temp"), 0.5, 3);
    expect_between("heating", plant_bed_value(&bed, "heating"), 0, 0);
    plant_bed_disturb(&bed, "heating_trip", 0);
    plant_bed_run(&bed, 4 * DAY_S);
    expect_between("warm again", plant_bed_value(&bed, "digester_temp"), 36.8, 37.2);
}

/* Gas that nobody burns: the holder fills, the pressure rises until the water seal lets go. */
static void without_flare_a_full_holder_lifts_the_pressure(void **state)
{
    (void)state;
    double most_level = 0, most_pressure = 0;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct plant_bed bed;
        plant_bed_begin(&bed, "kitchen", seed, WEDNESDAY, 0);
        plant_bed_disturb(&bed, "flare_fail", 1);
        for (int minute = 0; minute < 14 * 60; minute++) {
            plant_bed_run(&bed, MINUTE_S);
            assert_true(plant_bed_value(&bed, "flare") < 0.5);
            most_level = fmax(most_level, plant_bed_value(&bed, "holder_level"));
            most_pressure = fmax(most_pressure, plant_bed_value(&bed, "digester_pressure"));
        }
    }
    expect_between("fullest holder, %", most_level, 98, 104);
    expect_between("highest pressure, kPa", most_pressure, 4, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_total_is_the_integral_of_the_flow),
        cmocka_unit_test(gas_comes_of_what_is_fed_and_that_of_what_is_received),
        cmocka_unit_test(waste_comes_by_day),
        cmocka_unit_test(the_digester_keeps_its_warmth),
        cmocka_unit_test(the_flare_burns_while_the_engine_is_serviced_and_the_holder_is_full),
        cmocka_unit_test(without_feed_gas_dies_down_over_a_day_and_returns),
        cmocka_unit_test(foam_lifts_the_level_and_the_pressure),
        cmocka_unit_test(sulphur_peaks_and_passes),
        cmocka_unit_test(without_heat_the_digester_cools_by_tenths_a_day),
        cmocka_unit_test(without_flare_a_full_holder_lifts_the_pressure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
