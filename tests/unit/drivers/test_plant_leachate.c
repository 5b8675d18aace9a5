/*
 * The leachate line: water is neither made nor lost, its tanks and membranes do what an operator
 * expects, the effluent follows load and biology with hours between, and each disturbance does what
 * its name says and passes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support/plant_bed.h"

#include <math.h>
#include <stdbool.h>

static struct plant_bed running(uint64_t seed)
{
    struct plant_bed bed;
    plant_bed_begin(&bed, "leachate", seed, 1, 0);
    plant_bed_run(&bed, 6 * HOUR_S);
    return bed;
}

/* A line whose feed pump has run for two hours and will for some more. */
static struct plant_bed feeding(void)
{
    struct plant_bed bed;
    plant_bed_begin(&bed, "leachate", 7, 1, 10);
    for (int i = 0; plant_bed_value(&bed, "pump") < 0.5 || plant_bed_value(&bed, "level") < 2.5;
         i++) {
        assert_true(i < 48 * 60);
        plant_bed_run(&bed, MINUTE_S);
    }
    plant_bed_run(&bed, 2 * HOUR_S);
    return bed;
}

/* ---- water ---- */

#define TANK_AREA_M2 200.0 /* of the equalisation tank */

static void the_tanks_mass_balance_holds(void **state)
{
    (void)state;
    struct plant_bed bed = running(7);
    double level = plant_bed_value(&bed, "level"), out = plant_bed_value(&bed, "outflow_total");
    double fed = plant_bed_value(&bed, "feed_total"), in_m3 = 0, fed_m3 = 0, out_m3 = 0;
    for (int second = 0; second < 2 * DAY_S; second++) {
        plant_bed_run(&bed, 1);
        in_m3 += plant_bed_value(&bed, "inflow") / 3600;
        fed_m3 += plant_bed_value(&bed, "feed_flow") / 3600;
        out_m3 += plant_bed_value(&bed, "outflow") / 3600;
    }
    assert_true(in_m3 > 200 && fed_m3 > 200 && out_m3 > 200);
    double stored_m3 = TANK_AREA_M2 * (plant_bed_value(&bed, "level") - level);
    expect_between("in - fed - stored, m3", in_m3 - fed_m3 - stored_m3, -1e-6, 1e-6);
    expect_between("fed total", plant_bed_value(&bed, "feed_total") - fed - fed_m3, -1e-6, 1e-6);
    expect_between("out total", plant_bed_value(&bed, "outflow_total") - out - out_m3, -1e-6, 1e-6);
}

/* What is fed leaves again, but for what the tanks' levels hold more or less. */
static void what_is_fed_is_discharged(void **state)
{
    (void)state;
    struct plant_bed bed = running(8);
    double fed = plant_bed_value(&bed, "feed_total"), out = plant_bed_value(&bed, "outflow_total");
    plant_bed_run(&bed, 20 * DAY_S);
    double fed_m3 = plant_bed_value(&bed, "feed_total") - fed;
    double out_m3 = plant_bed_value(&bed, "outflow_total") - out;
    expect_between("fed - discharged, m3", fed_m3 - out_m3, -120, 120);
    assert_true(fed_m3 > 4000);
}

static void the_pump_switches_by_level_with_hysteresis(void **state)
{
    (void)state;
    struct plant_bed bed = running(9);
    int starts = 0, stops = 0;
    double before = plant_bed_value(&bed, "pump");
    for (int minute = 0; minute < 7 * 1440; minute++) {
        plant_bed_run(&bed, MINUTE_S);
        double now = plant_bed_value(&bed, "pump");
        if (now > before) {
            starts++;
            expect_between("level at a start", plant_bed_value(&bed, "level"), 2.2, 3.5);
        } else if (now < before && plant_bed_value(&bed, "bio_level") < 5.5) {
            stops++;
            expect_between("level at a stop", plant_bed_value(&bed, "level"), 2.15, 2.21);
        }
        before = now;
    }
    expect_between("starts in a week", starts, 3, 21);
    expect_between("stops in a week", stops, 3, 21);
}

static void tipping_makes_days_differ_from_nights_and_sundays(void **state)
{
    (void)state;
    struct plant_bed bed;
    double night = 0, day = 0, sunday = 0;
    const int weeks = 4;
    plant_bed_begin(&bed, "leachate", 4, WINTER_DAY, 0); /* when it rains least */
    for (int week = 0; week < weeks; week++) {
        int first = WINTER_DAY + 7 * week;
        plant_bed_run_to(&bed, first + 2, 0);
        night += plant_bed_watch(&bed, "inflow", 4 * HOUR_S).mean / weeks;
        plant_bed_run_to(&bed, first + 2, 7);
        day += plant_bed_watch(&bed, "inflow", 4 * HOUR_S).mean / weeks;
        plant_bed_run_to(&bed, first + 6, 7);
        sunday += plant_bed_watch(&bed, "inflow", 4 * HOUR_S).mean / weeks;
    }
    expect_between("day to night", day / night, 1.6, 4);
    expect_between("Sunday to Wednesday", sunday / day, 0.6, 0.97);
}

/* ---- membranes ---- */

static void membranes_are_backwashed_six_times_an_hour(void **state)
{
    (void)state;
    struct plant_bed bed = feeding();
    int backwashes = 0, before = (int)plant_bed_value(&bed, "membrane");
    for (int second = 0; second < 2 * HOUR_S; second++) {
        plant_bed_run(&bed, 1);
        int now = (int)plant_bed_value(&bed, "membrane");
        backwashes += now == 2 && before != 2;
        before = now;
        if (now == 2 && plant_bed_value(&bed, "flux") < -19)
            assert_true(plant_bed_value(&bed, "tmp") < 0);
    }
    expect_between("backwashes in two hours", backwashes, 11, 13);
}

static double filtering_pressure(struct plant_bed *bed)
{
    return plant_bed_watch(bed, "tmp", HOUR_S / 2).most;
}

static void pores_foul_over_the_week_and_mondays_cleaning_frees_them(void **state)
{
    (void)state;
    struct plant_bed bed;
    plant_bed_begin(&bed, "leachate", 7, 1, 12);
    double tuesday = filtering_pressure(&bed);
    plant_bed_run_to(&bed, 6, 20);
    double sunday = filtering_pressure(&bed);
    plant_bed_run_to(&bed, 7, 9.5);
    expect_between("cleaning on Monday", plant_bed_value(&bed, "membrane"), 3, 3);
    plant_bed_run_to(&bed, 7, 20);
    double monday = filtering_pressure(&bed);
    expect_between("kPa from Tuesday to Sunday", sunday - tuesday, 3, 15);
    expect_between("kPa after the cleaning", monday, 15, tuesday + 1);
}

/* ---- disturbances ---- */

static void a_tripped_pump_feeds_nothing_and_the_tank_rises(void **state)
{
    (void)state;
    struct plant_bed bed = feeding();
    double level = plant_bed_value(&bed, "level");
    plant_bed_disturb(&bed, "pump_trip", 1);
    plant_bed_run(&bed, 12 * HOUR_S);
    expect_between("pump", plant_bed_value(&bed, "pump"), 0, 0);
    expect_between("feed", plant_bed_value(&bed, "feed_flow"), 0, 0);
    expect_between("m higher", plant_bed_value(&bed, "level") - level, 0.2, 2);
    expect_between("discharge runs dry", plant_bed_value(&bed, "outflow"), 0, 1);
    plant_bed_disturb(&bed, "pump_trip", 0);
    plant_bed_run(&bed, HOUR_S);
    expect_between("pump again", plant_bed_value(&bed, "pump"), 1, 1);
}

static void without_blower_oxygen_goes_in_minutes_and_ammonia_comes_in_hours(void **state)
{
    (void)state;
    struct plant_bed bed = feeding();
    double ammonia = plant_bed_value(&bed, "nh3n");
    plant_bed_disturb(&bed, "blower_trip", 1);
    plant_bed_run(&bed, 15 * MINUTE_S);
    expect_between("oxygen", plant_bed_value(&bed, "do"), 0, 0.2);
    expect_between("current", plant_bed_value(&bed, "blower_current"), 0, 0);
    expect_between("ammonia as yet", plant_bed_value(&bed, "nh3n"), ammonia - 2, ammonia + 3);
    plant_bed_run(&bed, 3 * HOUR_S);
    expect_between("ammonia more", plant_bed_value(&bed, "nh3n") - ammonia, 8, 150);
    plant_bed_disturb(&bed, "blower_trip", 0);
    plant_bed_run(&bed, 3 * DAY_S);
    expect_between("ammonia again", plant_bed_value(&bed, "nh3n"), 0, 20);
}

static void acid_lowers_the_ph_and_caustic_lifts_it(void **state)
{
    (void)state;
    struct plant_bed bed = feeding();
    plant_bed_disturb(&bed, "ph_excursion", -1);
    plant_bed_run(&bed, 40 * MINUTE_S);
    expect_between("with acid", plant_bed_value(&bed, "ph"), 4.8, 5.9);
    plant_bed_disturb(&bed, "ph_excursion", 1);
    plant_bed_run(&bed, HOUR_S);
    expect_between("with caustic", plant_bed_value(&bed, "ph"), 9, 10.5);
    plant_bed_disturb(&bed, "ph_excursion", 0);
    plant_bed_run(&bed, 2 * HOUR_S);
    expect_between("afterwards", plant_bed_value(&bed, "ph"), 7, 8);
}

static void a_shock_load_breaks_through_after_hours_and_is_digested(void **state)
{
    (void)state;
    struct plant_bed bed = feeding();
    double cod = plant_bed_value(&bed, "cod");
    plant_bed_disturb(&bed, "cod_peak", 1);
    plant_bed_run(&bed, 20 * MINUTE_S);
    expect_between("as yet", plant_bed_value(&bed, "cod"), cod - 4, cod + 4);
    double most = plant_bed_watch(&bed, "cod", 12 * HOUR_S).most;
    expect_between("its peak", most, 100, 400);
    plant_bed_disturb(&bed, "cod_peak", 0);
    plant_bed_run(&bed, 3 * DAY_S);
    expect_between("after three days", plant_bed_value(&bed, "cod"), 35, 85);
}

static void fouling_asks_for_a_cleaning_within_the_hour(void **state)
{
    (void)state;
    struct plant_bed bed = feeding();
    double before = filtering_pressure(&bed);
    plant_bed_disturb(&bed, "membrane_fouling", 1);
    plant_bed_run(&bed, 20 * MINUTE_S);
    expect_between("kPa more in 20 min", filtering_pressure(&bed) - before, 6, 30);
    int minutes = 0;
    while ((int)plant_bed_value(&bed, "membrane") != 3) {
        assert_true(minutes++ < 60);
        plant_bed_run(&bed, MINUTE_S);
    }
    plant_bed_disturb(&bed, "membrane_fouling", 0);
    plant_bed_run(&bed, 4 * HOUR_S);
    expect_between("kPa afterwards", filtering_pressure(&bed), 10, before + 3);
}

static void a_storm_fills_the_tank_for_days(void **state)
{
    (void)state;
    struct plant_bed calm = running(7), wet = running(7);
    plant_bed_disturb(&wet, "rain", 1);
    plant_bed_run(&wet, HOUR_S);
    expect_between("rain shown", plant_bed_shown(&wet, "rain"), 9.5, 12);
    plant_bed_run(&wet, 5 * HOUR_S);
    plant_bed_disturb(&wet, "rain", 0);
    plant_bed_run(&calm, 6 * HOUR_S);
    expect_between("inflow more",
                   plant_bed_value(&wet, "inflow") - plant_bed_value(&calm, "inflow"), 20, 45);
    plant_bed_run(&wet, 12 * HOUR_S);
    plant_bed_run(&calm, 12 * HOUR_S);
    expect_between("level more", plant_bed_value(&wet, "level") - plant_bed_value(&calm, "level"),
                   0.4, 2);
    plant_bed_run(&wet, 10 * DAY_S);
    expect_between("level ten days on", plant_bed_value(&wet, "level"), 2.1, 3.2);
}

/* ---- instruments ---- */

static void the_ph_meter_shows_its_buffer_while_it_is_calibrated(void **state)
{
    (void)state;
    struct plant_bed bed;
    plant_bed_begin(&bed, "leachate", 7, 1, 8);
    plant_bed_run_to(&bed, 1, 9.1);
    expect_between("shown", plant_bed_shown(&bed, "ph"), 6.82, 6.9);
    expect_between("flag", plant_bed_shown(&bed, "calibrating"), 1, 1);
    expect_between("true", plant_bed_value(&bed, "ph"), 7.1, 7.9);
    plant_bed_run_to(&bed, 1, 9.5);
    expect_between("shown afterwards", plant_bed_shown(&bed, "ph"),
                   plant_bed_value(&bed, "ph") - 0.1, plant_bed_value(&bed, "ph") + 0.1);
    expect_between("flag afterwards", plant_bed_shown(&bed, "calibrating"), 0, 0);
}

static void nitrogen_is_measured_once_an_hour(void **state)
{
    (void)state;
    struct plant_bed bed = feeding();
    int changes = 0;
    double before = plant_bed_shown(&bed, "tn");
    for (int minute = 0; minute < 12 * 60; minute++) {
        plant_bed_run(&bed, MINUTE_S);
        double now = plant_bed_shown(&bed, "tn");
        changes += now > before || now < before;
        before = now;
    }
    expect_between("changes in 12 h", changes, 6, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tanks_mass_balance_holds),
        cmocka_unit_test(what_is_fed_is_discharged),
        cmocka_unit_test(the_pump_switches_by_level_with_hysteresis),
        cmocka_unit_test(tipping_makes_days_differ_from_nights_and_sundays),
        cmocka_unit_test(membranes_are_backwashed_six_times_an_hour),
        cmocka_unit_test(pores_foul_over_the_week_and_mondays_cleaning_frees_them),
        cmocka_unit_test(a_tripped_pump_feeds_nothing_and_the_tank_rises),
        cmocka_unit_test(without_blower_oxygen_goes_in_minutes_and_ammonia_comes_in_hours),
        cmocka_unit_test(acid_lowers_the_ph_and_caustic_lifts_it),
        cmocka_unit_test(a_shock_load_breaks_through_after_hours_and_is_digested),
        cmocka_unit_test(fouling_asks_for_a_cleaning_within_the_hour),
        cmocka_unit_test(a_storm_fills_the_tank_for_days),
        cmocka_unit_test(the_ph_meter_shows_its_buffer_while_it_is_calibrated),
        cmocka_unit_test(nitrogen_is_measured_once_an_hour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
