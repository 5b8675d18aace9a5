/*
 * The gas district: the total is the integral of the flow, demand has its peaks and seasons,
 * regulators droop and lock up, slam-shuts trip and stay, the river costs pressure by flow, and
 * each disturbance does what its name says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support/plant_bed.h"

#include <math.h>
#include <stdio.h>

static struct plant_bed at_hour(int hour)
{
    struct plant_bed bed;
    plant_bed_begin(&bed, "gas", 7, 1, hour);
    plant_bed_run(&bed, HOUR_S / 2);
    return bed;
}

/* "p_out" and 3 make "p_out3". */
static const char *numbered(const char *name, int number)
{
    static char text[32];
    snprintf(text, sizeof(text), "%s%d", name, number);
    return text;
}

/* ---- flow ---- */

static void the_total_is_the_integral_of_the_flow(void **state)
{
    (void)state;
    struct plant_bed bed = at_hour(0);
    double before = plant_bed_value(&bed, "volume_total");
    double mean = plant_bed_watch(&bed, "flow", DAY_S).mean;
    double more = plant_bed_value(&bed, "volume_total") - before;
    expect_between("total - integral, m3", more - mean * 24, -1e-4, 1e-4);
    assert_true(more > 3000);
}

static double flow_between(int day, double from, double to)
{
    struct plant_bed bed;
    plant_bed_begin(&bed, "gas", 5, day, (int)from);
    plant_bed_run_to(&bed, day, from + 0.5);
    return plant_bed_watch(&bed, "flow", (int64_t)((to - from - 0.5) * HOUR_S)).mean;
}

static void demand_has_cooking_peaks_weekends_and_seasons(void **state)
{
    (void)state;
    double night = flow_between(2, 1, 4), noon = flow_between(2, 11, 13);
    double afternoon = flow_between(2, 14, 16), evening = flow_between(2, 17, 19.5);
    expect_between("noon to night", noon / night, 3, 12);
    expect_between("evening to night", evening / night, 3, 12);
    expect_between("evening to afternoon", evening / afternoon, 1.1, 2);
    expect_between("Sunday to Wednesday forenoon", flow_between(6, 8, 11) / flow_between(2, 8, 11),
                   0.4, 0.9);
    expect_between("winter to summer",
                   flow_between(WINTER_DAY, 8, 20) / flow_between(SUMMER_DAY, 8, 20), 1.3, 2.5);
}

/* ---- regulators ---- */

static void outlets_droop_with_flow_and_never_pass_lock_up(void **state)
{
    (void)state;
    for (int i = 1; i <= 5; i++) {
        double set = i <= 2 ? 300 : 2.6;
        struct plant_bed night = at_hour(2), evening = at_hour(18);
        struct plant_span low = plant_bed_watch(&night, numbered("p_out", i), HOUR_S);
        struct plant_span high = plant_bed_watch(&evening, numbered("p_out", i), HOUR_S);
        expect_between("droop, share of the set point", (low.mean - high.mean) / set, 0.003, 0.2);
        expect_between("night, share of the set point", low.mean / set, 0.95, 1.03);
        assert_true(low.most < set * 1.12); /* accuracy and lock-up class */
    }
}

static void without_demand_the_outlet_comes_to_rest_at_lock_up(void **state)
{
    (void)state;
    struct plant_bed bed = at_hour(2);
    plant_bed_disturb(&bed, "slam_shut3", 1); /* nothing is drawn from run 1 but little */
    plant_bed_disturb(&bed, "slam_shut4", 1);
    plant_bed_disturb(&bed, "slam_shut5", 1);
    double before = plant_bed_value(&bed, "p_out1");
    plant_bed_run(&bed, 2 * HOUR_S);
    expect_between("kPa above what it was", plant_bed_value(&bed, "p_out1") - before, 0, 7);
    expect_between("lock-up", plant_bed_value(&bed, "p_out1"), 300, 309);
}

static void inlet_pressure_hardly_moves_the_outlet(void **state)
{
    (void)state;
    struct plant_bed bed = at_hour(10);
    double inlet = plant_bed_value(&bed, "p_in"), outlet = plant_bed_value(&bed, "p_out1");
    plant_bed_disturb(&bed, "inlet_drop", 1);
    plant_bed_run(&bed, HOUR_S / 2);
    expect_between("kPa less before it", inlet - plant_bed_value(&bed, "p_in"), 440, 560);
    expect_between("kPa behind it", plant_bed_value(&bed, "p_out1") - outlet, -4, 4);
    plant_bed_disturb(&bed, "inlet_drop", 2.5); /* now there is not enough left */
    plant_bed_run(&bed, 2 * HOUR_S);
    expect_between("starved outlet", plant_bed_value(&bed, "p_out1"), 0, 290);
    plant_bed_disturb(&bed, "inlet_drop", 0);
    plant_bed_run(&bed, HOUR_S);
    expect_between("recovered outlet", plant_bed_value(&bed, "p_out1"), 285, 309);
}

/* ---- slam-shuts ---- */

static void a_creeping_seat_lifts_the_outlet_at_night_until_the_slam_shut_closes(void **state)
{
    (void)state;
    for (int i = 1; i <= 5; i++) {
        double trip = i <= 2 ? 350 : 4.2;
        struct plant_bed bed = at_hour(1);
        double most = 0, before = plant_bed_value(&bed, numbered("p_out", i));
        plant_bed_disturb(&bed, numbered("regulator_creep", i), 1);
        plant_bed_run(&bed, 10);
        expect_between("slowly", plant_bed_value(&bed, numbered("p_out", i)) / before, 0.99, 1.2);
        int seconds = 0;
        while (plant_bed_value(&bed, numbered("slam_shut", i)) < 0.5) {
            assert_true(seconds++ < 3 * HOUR_S);
            plant_bed_run(&bed, 1);
            most = fmax(most, plant_bed_value(&bed, numbered("p_out", i)));
        }
        assert_true(most > trip && most < 1.1 * trip);
        plant_bed_disturb(&bed, numbered("regulator_creep", i), 0);
        plant_bed_run(&bed, 10 * HOUR_S); /* nobody resets it */
        expect_between("stays", plant_bed_value(&bed, numbered("slam_shut", i)), 1, 1);
        expect_between("empty grid", plant_bed_value(&bed, numbered("p_out", i)), 0, 0.3 * trip);
        plant_bed_disturb(&bed, "reset", 1);
        plant_bed_run(&bed, MINUTE_S);
        plant_bed_disturb(&bed, "reset", 0);
        plant_bed_run(&bed, HOUR_S);
        expect_between("reset", plant_bed_value(&bed, numbered("slam_shut", i)), 0, 0);
        expect_between("pressure again", plant_bed_value(&bed, numbered("p_out", i)) / before, 0.8,
                       1.05);
    }
}

static void a_creeping_seat_is_not_seen_while_much_is_drawn(void **state)
{
    (void)state;
    struct plant_bed bed = at_hour(17);
    plant_bed_disturb(&bed, "regulator_creep1", 1);
    struct plant_span span = plant_bed_watch(&bed, "p_out1", 2 * HOUR_S);
    assert_true(span.most < 305);
    expect_between("slam-shut", plant_bed_value(&bed, "slam_shut1"), 0, 0);
}

static void slam_shuts_trip_one_by_one_and_take_those_behind_along(void **state)
{
    (void)state;
    for (int i = 1; i <= 5; i++) {
        struct plant_bed bed = at_hour(8);
        plant_bed_disturb(&bed, numbered("slam_shut", i), 1);
        plant_bed_run(&bed, 5);
        plant_bed_disturb(&bed, numbered("slam_shut", i), 0);
        plant_bed_run(&bed, 3 * HOUR_S);
        for (int other = 1; other <= 5; other++) {
            double shut = plant_bed_value(&bed, numbered("slam_shut", other));
            expect_between(numbered("slam_shut", other), shut, other == i, other == i);
            double set = other <= 2 ? 300 : 2.6;
            bool dead = other == i || (i == 1 && other > 2);
            expect_between(numbered("p_out", other),
                           plant_bed_value(&bed, numbered("p_out", other)), dead ? 0 : 0.8 * set,
                           dead ? 0.3 * set : 1.1 * set);
        }
    }
}

static void reset_does_not_open_against_a_trip(void **state)
{
    (void)state;
    struct plant_bed bed = at_hour(8);
    plant_bed_disturb(&bed, "slam_shut2", 1);
    plant_bed_disturb(&bed, "reset", 1);
    plant_bed_run(&bed, MINUTE_S);
    expect_between("held", plant_bed_value(&bed, "slam_shut2"), 1, 1);
    plant_bed_disturb(&bed, "slam_shut2", 0);
    plant_bed_run(&bed, MINUTE_S);
    expect_between("opened", plant_bed_value(&bed, "slam_shut2"), 0, 0);
}

/* ---- river and leaks ---- */

static double across(struct plant_bed *bed)
{
    return plant_bed_value(bed, "river_p1") - plant_bed_value(bed, "river_p2");
}

static void the_river_costs_pressure_by_flow(void **state)
{
    (void)state;
    struct plant_bed night = at_hour(3), evening = at_hour(18);
    expect_between("at night, kPa", across(&night), 0, 0.3);
    expect_between("in the evening, kPa", across(&evening), 1, 12);
    plant_bed_disturb(&evening, "slam_shut5", 1); /* no flow */
    plant_bed_run(&evening, MINUTE_S);
    expect_between("without flow, kPa", across(&evening), -1e-6, 1e-6);
}

static void a_leak_below_the_river_widens_the_difference(void **state)
{
    (void)state;
    struct plant_bed tight = at_hour(10), leaks = at_hour(10);
    plant_bed_disturb(&leaks, "river_leak", 1);
    plant_bed_run(&leaks, HOUR_S / 2);
    plant_bed_run(&tight, HOUR_S / 2);
    expect_between("kPa more", across(&leaks) - across(&tight), 2, 20);
    expect_between("m3/h more", plant_bed_value(&leaks, "flow") - plant_bed_value(&tight, "flow"),
                   80, 220);
    plant_bed_disturb(&leaks, "river_leak", 0);
    plant_bed_run(&leaks, HOUR_S / 2);
    plant_bed_run(&tight, HOUR_S / 2);
    expect_between("kPa afterwards", across(&leaks) - across(&tight), -0.5, 0.5);
}

static void a_leak_in_the_room_passes_25_lel_and_is_aired_out(void **state)
{
    (void)state;
    struct plant_bed bed = at_hour(10);
    plant_bed_disturb(&bed, "leak", 1);
    plant_bed_run(&bed, 4 * MINUTE_S);
    expect_between("after 4 min, %LEL", plant_bed_value(&bed, "ch4"), 25, 65);
    expect_between("shown, %LEL", plant_bed_shown(&bed, "ch4"), 25, 65);
    plant_bed_disturb(&bed, "leak", 0);
    plant_bed_run(&bed, HOUR_S);
    expect_between("an hour on, %LEL", plant_bed_value(&bed, "ch4"), 0, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_total_is_the_integral_of_the_flow),
        cmocka_unit_test(demand_has_cooking_peaks_weekends_and_seasons),
        cmocka_unit_test(outlets_droop_with_flow_and_never_pass_lock_up),
        cmocka_unit_test(without_demand_the_outlet_comes_to_rest_at_lock_up),
        cmocka_unit_test(inlet_pressure_hardly_moves_the_outlet),
        cmocka_unit_test(a_creeping_seat_lifts_the_outlet_at_night_until_the_slam_shut_closes),
        cmocka_unit_test(a_creeping_seat_is_not_seen_while_much_is_drawn),
        cmocka_unit_test(slam_shuts_trip_one_by_one_and_take_those_behind_along),
        cmocka_unit_test(reset_does_not_open_against_a_trip),
        cmocka_unit_test(the_river_costs_pressure_by_flow),
        cmocka_unit_test(a_leak_below_the_river_widens_the_difference),
        cmocka_unit_test(a_leak_in_the_room_passes_25_lel_and_is_aired_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
