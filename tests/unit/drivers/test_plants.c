/*
 * What holds for every plant: names and maps fit, a month stays plausible, everything moves, totals
 * never fall, the same seed gives the same plant however time is cut, and any jump is survived.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drivers/modbus/register_map.h"
#include "model/config_yaml.h"
#include "tests/unit/support/plant_bed.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- names ---- */

static void models_are_found_by_name_and_listed(void **state)
{
    (void)state;
    size_t count = 0;
    for (const struct plant_model *model; (model = plant_model_at(count)); count++) {
        assert_ptr_equal(plant_model_find(model->name), model);
    }
    assert_int_equal(count, 4);
    assert_null(plant_model_at(count + 100));
    assert_null(plant_model_find("reactor"));
}

static size_t count_names(const char *const *names)
{
    size_t count = 0;
    for (; names[count]; count++)
        for (size_t i = 0; i < count; i++)
            if (strcmp(names[i], names[count]) == 0)
                fail_msg("%s is there twice", names[i]);
    return count;
}

static void names_are_found_and_within_their_room(void **state)
{
    (void)state;
    for (size_t i = 0; plant_model_at(i); i++) {
        struct plant_bed bed;
        plant_bed_begin(&bed, plant_model_at(i)->name, 1, 0, 0);
        const struct plant_model *model = bed.plant.model;
        assert_in_range(count_names(model->variables), 1, PLANT_VARIABLES_MAX - 1);
        assert_in_range(count_names(model->disturbances), 1, PLANT_DISTURBANCES_MAX - 1);
        for (int n = 0; model->variables[n]; n++)
            assert_int_equal(plant_find_variable(model, model->variables[n]), n);
        for (int n = 0; model->disturbances[n]; n++)
            assert_int_equal(plant_find_disturbance(model, model->disturbances[n]), n);
        assert_int_equal(plant_find_variable(model, "price"), -1);
        assert_int_equal(plant_find_disturbance(model, "earthquake"), -1);
    }
}

static const struct {
    const char *map, *model;
} maps[] = {
    {"leachate-plc", "leachate"}, {"leachate-analyser", "leachate"}, {"transfer-plc", "transfer"},
    {"gas-rtu", "gas"},           {"kitchen-plc", "kitchen"},
};

static void every_register_is_a_variable_and_every_variable_has_one(void **state)
{
    (void)state;
    bool mapped[4][PLANT_VARIABLES_MAX] = {0};
    for (size_t i = 0; i < COUNT(maps); i++) {
        char path[256];
        struct config_errors errors;
        struct register_map *map = NULL;
        struct plant_bed bed;
        config_errors_init(&errors);
        snprintf(path, sizeof(path), "config/maps/%s.csv", maps[i].map);
        assert_int_equal(register_map_read(path, &map, &errors), 0);
        plant_bed_begin(&bed, maps[i].model, 1, 0, 0);
        size_t model = 0;
        while (plant_model_at(model) != bed.plant.model)
            model++;
        for (size_t n = 0; n < register_map_count(map); n++) {
            const char *name = register_map_at(map, n)->name;
            int variable = plant_find_variable(bed.plant.model, name);
            if (variable < 0)
                fail_msg("%s: %s is no variable of %s", path, name, maps[i].model);
            mapped[model][variable] = true;
        }
        register_map_free(map);
        config_errors_release(&errors);
    }
    for (size_t model = 0; plant_model_at(model); model++)
        for (int n = 0; plant_model_at(model)->variables[n]; n++)
            if (!mapped[model][n])
                fail_msg("%s stands in no map", plant_model_at(model)->variables[n]);
}

/* ---- a month ---- */

/* What an instrument of that kind may say on an ordinary day, and `still`: need not move. */
static const struct {
    const char *model, *variable;
    double least, most;
    bool still;
} bounds[] = {
    {"leachate", "level", 1, 4, false},
    {"leachate", "inflow", 2, 60, false},
    {"leachate", "outflow", 0, 20, false},
    {"leachate", "ph", 6.5, 8.5, false},
    {"leachate", "cod", 30, 90, false},
    {"leachate", "nh3n", 0, 22, false},
    {"leachate", "tn", 3, 36, false},
    {"leachate", "do", 0.8, 8.5, false},
    {"leachate", "flux", 0, 18, false},
    {"leachate", "tmp", -20, 50, false},
    {"leachate", "pump", 0, 1, false},
    {"leachate", "feed_flow", 0, 18, false},
    {"leachate", "tp", 0.1, 2.5, false},
    {"leachate", "mlss", 6, 12, false},
    {"leachate", "temp", 22, 38, false},
    {"leachate", "bio_level", 4.5, 5.8, false},
    {"leachate", "blower", 1, 1, true},
    {"leachate", "blower_freq", 15, 50.1, false},
    {"leachate", "blower_current", 15, 90, false},
    {"leachate", "membrane", 0, 3, false},
    {"leachate", "rain", 0, 12, false},
    {"leachate", "sampler", 0, 1, false},
    {"leachate", "sampler_bottle", 1, 24, false},
    {"leachate", "calibrating", 0, 1, false},
    {"transfer", "h2s", 0, 9, false},
    {"transfer", "nh3", 0, 12, false},
    {"transfer", "ch4", 0, 10, false},
    {"transfer", "pm10", 0, 450, false},
    {"transfer", "noise", 33, 80, false},
    {"transfer", "sump_level", 0.3, 1.5, false},
    {"transfer", "fan", 0, 1, false},
    {"transfer", "compactor", 0, 1, false},
    {"transfer", "fan2", 0, 1, false},
    {"transfer", "sump_pump", 0, 1, false},
    {"transfer", "tank_level", 0.2, 2.7, false},
    {"transfer", "trucks_today", 0, 90, false},
    {"transfer", "compactor_pressure", 0, 25, false},
    {"transfer", "temp", -10, 45, false},
    {"transfer", "door", 0, 1, false},
    {"gas", "p_in", 1300, 1600, false},
    {"gas", "p_out1", 280, 312, false},
    {"gas", "p_out2", 280, 312, false},
    {"gas", "p_out3", 1.7, 3, false},
    {"gas", "p_out4", 1.7, 3, false},
    {"gas", "p_out5", 1.7, 3, false},
    {"gas", "slam_shut1", 0, 0, true},
    {"gas", "slam_shut2", 0, 0, true},
    {"gas", "slam_shut3", 0, 0, true},
    {"gas", "slam_shut4", 0, 0, true},
    {"gas", "slam_shut5", 0, 0, true},
    {"gas", "flow", 5, 1300, false},
    {"gas", "temp", 0, 30, false},
    {"gas", "ch4", 0, 5, false},
    {"gas", "battery", 3.5, 3.7, false},
    {"gas", "river_p1", 280, 312, false},
    {"gas", "river_p2", 270, 312, false},
    {"kitchen", "hopper_level", 0, 100, false},
    {"kitchen", "screw", 0, 1, false},
    {"kitchen", "grease_level", 0, 4, false},
    {"kitchen", "buffer_level", 0.5, 5.2, false},
    {"kitchen", "feed", 0, 1, false},
    {"kitchen", "feed_flow", 0, 27, false},
    {"kitchen", "digester_temp", 36.5, 37.5, false},
    {"kitchen", "digester_pressure", 1.2, 3, false},
    {"kitchen", "digester_level", 9.8, 10.3, false},
    {"kitchen", "ph", 6.8, 7.9, false},
    {"kitchen", "biogas_flow", 100, 420, false},
    {"kitchen", "ch4", 52, 68, false},
    {"kitchen", "h2s", 100, 700, false},
    {"kitchen", "holder_level", 10, 100, false},
    {"kitchen", "flare", 0, 1, false},
    {"kitchen", "stirrer", 0, 1, false},
    {"kitchen", "heating", 0, 1, false},
    {"kitchen", "engine", 0, 1, false},
    {"kitchen", "engine_power", 0, 900, false},
};

/* What only grows, and by how much in a month. */
static const struct {
    const char *model, *variable;
    double least, most;
} totals[] = {
    {"leachate", "outflow_total", 5000, 14000}, {"leachate", "feed_total", 5000, 14000},
    {"transfer", "weight_total", 4500, 9000},   {"transfer", "leachate_total", 400, 1000},
    {"gas", "volume_total", 100000, 600000},    {"kitchen", "biogas_total", 150000, 250000},
    {"kitchen", "received_total", 2400, 3600},
};

static void a_month_of(const char *model, uint64_t seed, int day)
{
    struct plant_bed bed;
    double least[COUNT(bounds)], most[COUNT(bounds)], before[COUNT(totals)];
    plant_bed_begin(&bed, model, seed, day, 0);
    for (size_t i = 0; i < COUNT(bounds); i++)
        least[i] = HUGE_VAL, most[i] = -HUGE_VAL;
    for (size_t i = 0; i < COUNT(totals); i++)
        if (strcmp(totals[i].model, model) == 0)
            before[i] = plant_bed_value(&bed, totals[i].variable);
    for (int minute = 0; minute < 30 * 1440; minute++) {
        plant_bed_run(&bed, MINUTE_S);
        for (size_t i = 0; i < COUNT(bounds); i++) {
            if (strcmp(bounds[i].model, model) != 0)
                continue;
            double shown = plant_bed_shown(&bed, bounds[i].variable);
            if (!(shown >= bounds[i].least && shown <= bounds[i].most))
                fail_msg("%s %s is %g after %.2f days", model, bounds[i].variable, shown,
                         minute / 1440.0);
            least[i] = fmin(least[i], shown);
            most[i] = fmax(most[i], shown);
        }
    }
    for (size_t i = 0; i < COUNT(bounds); i++)
        if (strcmp(bounds[i].model, model) == 0 && !bounds[i].still && !(most[i] > least[i]))
            fail_msg("%s %s stands still at %g", model, bounds[i].variable, most[i]);
    for (size_t i = 0; i < COUNT(totals); i++)
        if (strcmp(totals[i].model, model) == 0)
            expect_between(totals[i].variable,
                           plant_bed_value(&bed, totals[i].variable) - before[i], totals[i].least,
                           totals[i].most);
}

static void plants_stay_plausible_for_a_month_of_winter(void **state)
{
    (void)state;
    for (size_t i = 0; plant_model_at(i); i++)
        a_month_of(plant_model_at(i)->name, 11, WINTER_DAY);
}

static void plants_stay_plausible_for_a_month_of_summer(void **state)
{
    (void)state;
    for (size_t i = 0; plant_model_at(i); i++)
        a_month_of(plant_model_at(i)->name, 12, SUMMER_DAY);
}

static void bounds_or_totals_name_every_variable(void **state)
{
    (void)state;
    size_t count = 0;
    for (size_t i = 0; plant_model_at(i); i++)
        count += count_names(plant_model_at(i)->variables);
    assert_int_equal(count, COUNT(bounds) + COUNT(totals));
}

static void totals_never_fall(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(totals); i++) {
        struct plant_bed bed;
        plant_bed_begin(&bed, totals[i].model, 3, 2, 0);
        double first = plant_bed_shown(&bed, totals[i].variable), before = first;
        for (int second = 0; second < DAY_S; second++) {
            plant_bed_run(&bed, 1);
            double now = plant_bed_shown(&bed, totals[i].variable);
            assert_true(now >= before);
            before = now;
        }
        assert_true(before > first);
    }
}

/* ---- time and seeds ---- */

static void expect_same(const struct plant *one, const struct plant *other)
{
    assert_int_equal(one->at_s, other->at_s);
    assert_memory_equal(one->values, other->values, sizeof(one->values));
    assert_memory_equal(one->hidden, other->hidden, sizeof(one->hidden));
    assert_memory_equal(one->shown, other->shown, sizeof(one->shown));
}

static void the_same_seed_gives_the_same_day_and_another_another(void **state)
{
    (void)state;
    for (size_t i = 0; plant_model_at(i); i++) {
        struct plant_bed one, same, other;
        plant_bed_begin(&one, plant_model_at(i)->name, 5, 1, 0);
        plant_bed_begin(&same, plant_model_at(i)->name, 5, 1, 0);
        plant_bed_begin(&other, plant_model_at(i)->name, 6, 1, 0);
        plant_bed_run(&one, DAY_S);
        plant_bed_run(&same, DAY_S);
        plant_bed_run(&other, DAY_S);
        expect_same(&one.plant, &same.plant);
        assert_memory_not_equal(one.plant.values, other.plant.values, sizeof(one.plant.values));
    }
}

static void how_time_is_cut_makes_no_difference(void **state)
{
    (void)state;
    static const int64_t cuts_ms[] = {100, 1000, 1700, 61234, 3600000};
    for (size_t i = 0; plant_model_at(i); i++) {
        struct plant whole;
        plant_init(&whole, plant_model_at(i), 5, MONDAY_MS);
        plant_step(&whole, MONDAY_MS + 2 * HOUR_S * 1000);
        for (size_t n = 0; n < COUNT(cuts_ms); n++) {
            struct plant cut;
            plant_init(&cut, plant_model_at(i), 5, MONDAY_MS);
            for (int64_t at_ms = 0; at_ms < 2 * HOUR_S * 1000; at_ms += cuts_ms[n])
                plant_step(&cut, MONDAY_MS + at_ms);
            plant_step(&cut, MONDAY_MS + 2 * HOUR_S * 1000);
            expect_same(&whole, &cut);
        }
    }
}

static void going_back_or_far_ahead_only_sets_the_clock(void **state)
{
    (void)state;
    for (size_t i = 0; plant_model_at(i); i++) {
        struct plant_bed bed;
        plant_bed_begin(&bed, plant_model_at(i)->name, 5, 3, 9);
        plant_bed_run(&bed, HOUR_S);
        struct plant before = bed.plant;
        static const int64_t jumps_ms[] = {-1000, -90 * 86400000LL, 86401000, 3000 * 86400000LL,
                                           -60000 * 86400000LL};
        for (size_t n = 0; n < COUNT(jumps_ms); n++) {
            bed.plant = before;
            plant_step(&bed.plant, bed.at_ms + jumps_ms[n]);
            assert_int_equal(bed.plant.at_s, (bed.at_ms + jumps_ms[n]) / 1000);
            assert_memory_equal(bed.plant.values, before.values, sizeof(before.values));
            plant_step(&bed.plant, bed.at_ms + jumps_ms[n] + 86400000); /* and goes on there */
            for (int v = 0; bed.plant.model->variables[v]; v++)
                assert_true(isfinite(bed.plant.values[v]) && isfinite(bed.plant.shown[v]));
        }
    }
}

static void what_is_shown_is_made_anew_by_every_step(void **state)
{
    (void)state;
    struct plant_bed bed;
    plant_bed_begin(&bed, "gas", 5, 0, 9);
    plant_bed_run(&bed, 10);
    int number = plant_find_variable(bed.plant.model, "p_out1");
    double truly = bed.plant.shown[number];
    bed.plant.shown[number] = 4711;    /* as an incident does */
    plant_step(&bed.plant, bed.at_ms); /* no time goes by */
    expect_between("shown again", bed.plant.shown[number], truly, truly);
}

static void instruments_tell_nearly_what_is(void **state)
{
    (void)state;
    struct plant_bed bed;
    plant_bed_begin(&bed, "leachate", 5, 0, 12);
    plant_bed_run(&bed, HOUR_S);
    double level = plant_bed_value(&bed, "level");
    expect_between("level", plant_bed_shown(&bed, "level"), level - 0.02, level + 0.02);
    double total = plant_bed_value(&bed, "outflow_total");
    expect_between("total", plant_bed_shown(&bed, "outflow_total"), total, total);
}

/* Each disturbance of each plant, one at a time: nothing may burst. */
static void no_disturbance_makes_a_number_that_is_none(void **state)
{
    (void)state;
    static const double amounts[] = {1, -3, 1000};
    for (size_t i = 0; plant_model_at(i); i++)
        for (int d = 0; plant_model_at(i)->disturbances[d]; d++)
            for (size_t n = 0; n < COUNT(amounts); n++) {
                struct plant_bed bed;
                plant_bed_begin(&bed, plant_model_at(i)->name, 8, 1, 10);
                bed.plant.disturbances[d] = amounts[n];
                plant_bed_run(&bed, 4 * HOUR_S);
                for (int v = 0; bed.plant.model->variables[v]; v++)
                    if (!isfinite(bed.plant.values[v]) || fabs(bed.plant.values[v]) > 1e9)
                        fail_msg("%s %g: %s is %g", bed.plant.model->disturbances[d], amounts[n],
                                 bed.plant.model->variables[v], bed.plant.values[v]);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models_are_found_by_name_and_listed),
        cmocka_unit_test(names_are_found_and_within_their_room),
        cmocka_unit_test(every_register_is_a_variable_and_every_variable_has_one),
        cmocka_unit_test(plants_stay_plausible_for_a_month_of_winter),
        cmocka_unit_test(plants_stay_plausible_for_a_month_of_summer),
        cmocka_unit_test(bounds_or_totals_name_every_variable),
        cmocka_unit_test(totals_never_fall),
        cmocka_unit_test(the_same_seed_gives_the_same_day_and_another_another),
        cmocka_unit_test(how_time_is_cut_makes_no_difference),
        cmocka_unit_test(going_back_or_far_ahead_only_sets_the_clock),
        cmocka_unit_test(what_is_shown_is_made_anew_by_every_step),
        cmocka_unit_test(instruments_tell_nearly_what_is),
        cmocka_unit_test(no_disturbance_makes_a_number_that_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
