/*
 * A plant on a time of its own, asked by the names of its variables. Times are local (UTC+8) and
 * count from the Monday 2026-05-11, midnight.
 */
#ifndef TESTS_UNIT_SUPPORT_PLANT_BED_H
#define TESTS_UNIT_SUPPORT_PLANT_BED_H

#include "drivers/simulator/plant.h"

#include <stdint.h>

#define MONDAY_MS  1778428800000
#define MINUTE_S   60
#define HOUR_S     3600
#define WINTER_DAY 245 /* Monday 2027-01-11 */
#define SUMMER_DAY 63  /* Monday 2026-07-13 */

struct plant_bed {
    struct plant plant;
    int64_t at_ms; /* UTC */
};

/* Begins at that hour of that day. Unknown names fail the test, here and below. */
void plant_bed_begin(struct plant_bed *bed, const char *model, uint64_t seed, int day, int hour);

void plant_bed_run(struct plant_bed *bed, int64_t seconds);

/* Runs to that hour of that day. */
void plant_bed_run_to(struct plant_bed *bed, int day, double hour);

void plant_bed_disturb(struct plant_bed *bed, const char *name, double amount);

double plant_bed_value(const struct plant_bed *bed, const char *variable);
double plant_bed_shown(const struct plant_bed *bed, const char *variable);

/* A variable's true value over the next seconds, taken each second. */
struct plant_span {
    double mean, least, most;
};
struct plant_span plant_bed_watch(struct plant_bed *bed, const char *variable, int64_t seconds);

/* Fails unless `least` <= `value` <= `most`; says which it was. */
void expect_between(const char *what, double value, double least, double most);

#endif
