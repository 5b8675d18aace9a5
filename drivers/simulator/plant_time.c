#include "drivers/simulator/plant_time.h"

#include <math.h>

#define LOCAL_ZONE_S (8 * 3600)
#define EPOCH_DAY    3          /* 1970-01-01 was a Thursday */
#define YEAR_S       31556952.0 /* the Gregorian calendar's mean year */
#define COLDEST_S    (15.0 * DAY_S)
#define TWO_PI       6.283185307179586
#define DAYS_OF_WEEK 7
#define HOURS_OF_DAY 24
#define SECONDS_OF_H 3600.0

static int64_t modulo(int64_t value, int64_t by)
{
    int64_t rest = value % by;
    return rest < 0 ? rest + by : rest;
}

struct plant_time plant_time_at(int64_t utc_s, double dt_s)
{
    int64_t local_s = utc_s + LOCAL_ZONE_S + EPOCH_DAY * (int64_t)DAY_S;
    int64_t of_week_s = modulo(local_s, DAYS_OF_WEEK * (int64_t)DAY_S);
    return (struct plant_time){
        .local_s = local_s,
        .dt_s = dt_s,
        .hour = (double)(of_week_s % DAY_S) / SECONDS_OF_H,
        .weekday = (int)(of_week_s / DAY_S),
        .season = -cos(TWO_PI * ((double)utc_s - COLDEST_S) / YEAR_S),
    };
}

bool plant_time_between(const struct plant_time *time, double from_hour, double to_hour)
{
    if (from_hour > to_hour)
        return time->hour >= from_hour || time->hour < to_hour;
    return time->hour >= from_hour && time->hour < to_hour;
}

double plant_profile(const double hourly[24], double hour)
{
    int before = (int)hour % HOURS_OF_DAY;
    double share = hour - floor(hour);
    return hourly[before] + share * (hourly[(before + 1) % HOURS_OF_DAY] - hourly[before]);
}
