/*
 * The transfer station: what is weighed, squeezed and pumped adds up, days differ from nights, the
 * fans answer to gas, and each disturbance does what its name says and passes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support/plant_bed.h"

#include <math.h>

static struct plant_bed at_hour(int hour)
{
    struct plant_bed bed;
    plant_bed_begin(&bed, "transfer", 7, 1, hour - 1);
    plant_bed_run(&bed, HOUR_S);
    return bed;
}

/* ---- lorries ---- */

static void each_lorry_adds_some_tonnes_to_the_weighbridge(void **state)
{
    (void)state;
    struct plant_bed bed;
    plant_bed_begin(&bed, "transfer", 3, 1, 0);
    double weight = plant_bed_value(&bed, "weight_total"), lorries = 0;
    for (int second = 0; second < DAY_S - 1; second++) {
        plant_bed_run(&bed, 1);
        double more_t = plant_bed_value(&bed, "weight_total") - weight;
        double now = plant_bed_value(&bed, "trucks_today");
        if (now > lorries) {
            expect_between("a lorry's load, t", more_t, 3.4, 7.1);
            expect_between("lorries at once", now - lorries, 1, 1);
        } else {
            expect_between("without a lorry, t", more_t, 0, 0);
        }
        weight += more_t;
        lorries = now;
    }
    expect_between("lorries in a day", lorries, 25, 75);
    plant_bed_run(&bed, 1);
    expect_between("lorries at midnight", plant_bed_value(&bed, "trucks_today"), 0, 0);
}

static double tonnes_of_day(struct plant_bed *bed, int day)
{
    plant_bed_run_to(bed, day, 0);
    double before = plant_bed_value(bed, "weight_total");
    plant_bed_run_to(bed, day + 1, 0);
    return plant_bed_value(bed, "weight_total") - before;
}

static void mondays_bring_more_than_sundays(void **state)
{
    (void)state;
    struct plant_bed bed;
    double monday = 0, sunday = 0;
    plant_bed_begin(&bed, "transfer", 3, 0, 0);
    for (int week = 0; week < 8; week++) {
        monday += tonnes_of_day(&bed, 7 * week);
        sunday += tonnes_of_day(&bed, 7 * week + 6);
    }
    expect_between("Monday to Sunday", monday / sunday, 1.1, 1.7);
}

static void nights_are_quiet(void **state)
{
    (void)state;
    struct plant_bed night = at_hour(1), day = at_hour(8);
    double weight = plant_bed_value(&night, "weight_total");
    double quiet = plant_bed_watch(&night, "noise", 2 * HOUR_S).mean;
    double loud = plant_bed_watch(&day, "noise", 2 * HOUR_S).mean;
    expect_between("tonnes at night", plant_bed_value(&night, "weight_total") - weight, 0, 0);
    expect_between("compactor at night", plant_bed_value(&night, "compactor"), 0, 0);
    expect_between("night, dB", quiet, 38, 52);
    expect_between("dB more by day", loud - quiet, 8, 25);
}

/* ---- leachate ---- */

static void what_is_pumped_leaves_the_sump_and_waste_gives_so_much(void **state)
{
    (void)state;
    struct plant_bed bed;
    plant_bed_begin(&bed, "transfer", 5, 1, 0);
    double weight = plant_bed_value(&bed, "weight_total");
    double pumped = plant_bed_value(&bed, "leachate_total");
    plant_bed_run(&bed, 14 * DAY_S);
    double tonnes = plant_bed_value(&bed, "weight_total") - weight;
    pumped = plant_bed_value(&bed, "leachate_total") - pumped;
    expect_between("m3 of leachate and washing water from a tonne", pumped / tonnes, 0.05, 0.15);
}

#define SUMP_AREA_M2 4.0
#define TANK_AREA_M2 12.0

static void the_tank_gains_what_the_sump_loses(void **state)
{
    (void)state;
    struct plant_bed bed;
    plant_bed_begin(&bed, "transfer", 5, 1, 17); /* no tanker in the evening */
    int seconds = 0;
    while (plant_bed_value(&bed, "sump_pump") < 0.5) {
        assert_true(seconds++ < 7 * HOUR_S);
        plant_bed_run(&bed, 1);
    }
    double tank = plant_bed_value(&bed, "tank_level"), sump = plant_bed_value(&bed, "sump_level");
    double pumped = plant_bed_value(&bed, "leachate_total");
    while (plant_bed_value(&bed, "sump_pump") > 0.5)
        plant_bed_run(&bed, 1);
    plant_bed_run(&bed, MINUTE_S);
    double into = TANK_AREA_M2 * (plant_bed_value(&bed, "tank_level") - tank);
    double moved = plant_bed_value(&bed, "leachate_total") - pumped;
    double out = SUMP_AREA_M2 * (sump - plant_bed_value(&bed, "sump_level"));
    expect_between("into the tank - pumped, m3", into - moved, -1e-6, 1e-6);
    expect_between("out of the sump, m3", out, 2, 3.5);
    expect_between("run in meanwhile, m3", moved - out, 0, 2.5);
}

/* ---- disturbances ---- */

static void without_fans_the_gases_rise_and_fall_again_with_them(void **state)
{
    (void)state;
    struct plant_bed bed = at_hour(9);
    double h2s = plant_bed_watch(&bed, "h2s", HOUR_S / 2).mean;
    double nh3 = plant_bed_value(&bed, "nh3"), ch4 = plant_bed_value(&bed, "ch4");
    plant_bed_disturb(&bed, "fan_trip", 1);
    double most = plant_bed_watch(&bed, "h2s", 2 * HOUR_S).most;
    expect_between("fans", plant_bed_value(&bed, "fan") + plant_bed_value(&bed, "fan2"), 0, 0);
    expect_between("h2s", most, fmax(7, 2.5 * h2s), 60);
    expect_between("nh3", plant_bed_value(&bed, "nh3"), 1.5 * nh3, 120);
    expect_between("ch4", plant_bed_value(&bed, "ch4"), 1.5 * ch4, 60);
    plant_bed_disturb(&bed, "fan_trip", 0);
    plant_bed_run(&bed, HOUR_S / 2);
    expect_between("h2s again", plant_bed_value(&bed, "h2s"), 0, 6);
}

static void a_gas_burst_passes_20_within_minutes_and_calls_the_second_fan(void **state)
{
    (void)state;
    struct plant_bed bed = at_hour(10);
    plant_bed_disturb(&bed, "gas_burst", 1);
    int seconds = 0;
    while (plant_bed_value(&bed, "h2s") < 20) {
        assert_true(seconds++ < 15 * MINUTE_S);
        plant_bed_run(&bed, 1);
    }
    expect_between("second fan", plant_bed_value(&bed, "fan2"), 1, 1);
    plant_bed_disturb(&bed, "gas_burst", 0);
    plant_bed_run(&bed, HOUR_S / 2);
    expect_between("afterwards", plant_bed_value(&bed, "h2s"), 0, 6);
}

static void without_its_pump_the_sump_runs_over(void **state)
{
    (void)state;
    struct plant_bed bed = at_hour(6);
    plant_bed_disturb(&bed, "sump_pump_trip", 1);
    plant_bed_run(&bed, 8 * HOUR_S);
    expect_between("full", plant_bed_value(&bed, "sump_level"), 1.6, 2);
    expect_between("pump", plant_bed_value(&bed, "sump_pump"), 0, 0);
    plant_bed_disturb(&bed, "sump_pump_trip", 0);
    plant_bed_run(&bed, HOUR_S);
    expect_between("pumped out", plant_bed_value(&bed, "sump_level"), 0.3, 1.25);
}

static void an_open_door_lets_noise_out_and_air_in(void **state)
{
    (void)state;
    struct plant_bed shut = at_hour(9), open = at_hour(9);
    plant_bed_disturb(&open, "door_open", 1);
    double louder = plant_bed_watch(&open, "noise", 2 * HOUR_S).mean -
                    plant_bed_watch(&shut, "noise", 2 * HOUR_S).mean;
    expect_between("dB louder", louder, 0.2, 8);
    expect_between("door", plant_bed_value(&open, "door"), 1, 1);
    shut = at_hour(9);
    open = at_hour(9);
    plant_bed_disturb(&open, "door_open", 1);
    double thinner = plant_bed_watch(&shut, "nh3", 2 * HOUR_S).mean -
                     plant_bed_watch(&open, "nh3", 2 * HOUR_S).mean;
    expect_between("mg/m3 of ammonia less", thinner, 0.2, 5);
}

static void dust_rises_and_settles(void **state)
{
    (void)state;
    struct plant_bed bed = at_hour(14);
    double before = plant_bed_watch(&bed, "pm10", HOUR_S / 4).mean;
    plant_bed_disturb(&bed, "dust", 1);
    plant_bed_run(&bed, HOUR_S / 2);
    expect_between("ug/m3 more", plant_bed_value(&bed, "pm10") - before, 200, 900);
    plant_bed_disturb(&bed, "dust", 0);
    plant_bed_run(&bed, HOUR_S);
    expect_between("afterwards", plant_bed_value(&bed, "pm10"), 10, 250);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_lorry_adds_some_tonnes_to_the_weighbridge),
        cmocka_unit_test(mondays_bring_more_than_sundays),
        cmocka_unit_test(nights_are_quiet),
        cmocka_unit_test(what_is_pumped_leaves_the_sump_and_waste_gives_so_much),
        cmocka_unit_test(the_tank_gains_what_the_sump_loses),
        cmocka_unit_test(without_fans_the_gases_rise_and_fall_again_with_them),
        cmocka_unit_test(a_gas_burst_passes_20_within_minutes_and_calls_the_second_fan),
        cmocka_unit_test(without_its_pump_the_sump_runs_over),
        cmocka_unit_test(an_open_door_lets_noise_out_and_air_in),
        cmocka_unit_test(dust_rises_and_settles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
