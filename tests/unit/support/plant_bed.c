#include "tests/unit/support/plant_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>

static int64_t instant(int day, double hour)
{
    return MONDAY_MS + (int64_t)day * DAY_S * 1000 + (int64_t)(hour * HOUR_S * 1000);
}

void plant_bed_begin(struct plant_bed *bed, const char *model, uint64_t seed, int day, int hour)
{
    const struct plant_model *found = plant_model_find(model);
    if (!found)
        fail_msg("no model %s", model);
    bed->at_ms = instant(day, hour);
    plant_init(&bed->plant, found, seed, bed->at_ms);
}

void plant_bed_run(struct plant_bed *bed, int64_t seconds)
{
    while (seconds > 0) { /* a plant goes a day at a time */
        int64_t part_s = seconds < DAY_S ? seconds : DAY_S;
        bed->at_ms += part_s * 1000;
        plant_step(&bed->plant, bed->at_ms);
        seconds -= part_s;
    }
}

void plant_bed_run_to(struct plant_bed *bed, int day, double hour)
{
    int64_t to_ms = instant(day, hour);
    assert_true(to_ms >= bed->at_ms);
    plant_bed_run(bed, (to_ms - bed->at_ms) / 1000);
}

void plant_bed_disturb(struct plant_bed *bed, const char *name, double amount)
{
    int number = plant_find_disturbance(bed->plant.model, name);
    if (number < 0)
        fail_msg("%s has no disturbance %s", bed->plant.model->name, name);
    bed->plant.disturbances[number] = amount;
}

static int number_of(const struct plant_bed *bed, const char *variable)
{
    int number = plant_find_variable(bed->plant.model, variable);
    if (number < 0)
        fail_msg("%s has no variable %s", bed->plant.model->name, variable);
    return number;
}

double plant_bed_value(const struct plant_bed *bed, const char *variable)
{
    return bed->plant.values[number_of(bed, variable)];
}

double plant_bed_shown(const struct plant_bed *bed, const char *variable)
{
    return bed->plant.shown[number_of(bed, variable)];
}

struct plant_span plant_bed_watch(struct plant_bed *bed, const char *variable, int64_t seconds)
{
    int number = number_of(bed, variable);
    struct plant_span span = {.least = HUGE_VAL, .most = -HUGE_VAL};
    for (int64_t i = 0; i < seconds; i++) {
        plant_bed_run(bed, 1);
        double value = bed->plant.values[number];
        span.mean += value / (double)seconds;
        span.least = fmin(span.least, value);
        span.most = fmax(span.most, value);
    }
    return span;
}

void expect_between(const char *what, double value, double least, double most)
{
    if (!(value >= least && value <= most))
        fail_msg("%s is %g; expected %g to %g", what, value, least, most);
}
