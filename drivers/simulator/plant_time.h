/*
 * The calendar that a plant lives by: local time (UTC+8) as numbers that models can reckon with,
 * and profiles over a day. Pure.
 */
#ifndef DRIVERS_SIMULATOR_PLANT_TIME_H
#define DRIVERS_SIMULATOR_PLANT_TIME_H

#include <stdbool.h>
#include <stdint.h>

#define DAY_S    86400
#define SUNDAY   6
#define SATURDAY 5

/* One step's end, and how long the step is. */
struct plant_time {
    int64_t local_s; /* seconds since a Monday's midnight, local time */
    double dt_s;
    double hour;   /* of the day, [0, 24) */
    int weekday;   /* 0 Monday … 6 Sunday */
    double season; /* -1 in the middle of January, 1 half a year later */
};

struct plant_time plant_time_at(int64_t utc_s, double dt_s);

/* Is it between those hours of the day? From after to is the night between. */
bool plant_time_between(const struct plant_time *time, double from_hour, double to_hour);

/* A daily profile, given for each full hour and straight in between, at `hour` in [0, 24). */
double plant_profile(const double hourly[24], double hour);

#endif
