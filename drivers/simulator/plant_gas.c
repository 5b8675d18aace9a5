#include "drivers/simulator/plant_gas.h"

/*
 * Demand follows the day; the inlet sags and each regulator's outlet droops with flow; a slam-shut
 * closes its run above 1.5 times the set point.
 */

enum {
    P_IN,
    P_OUT_1,
    P_OUT_2,
    SHUT_1,
    SHUT_2,
    FLOW,
    TEMPERATURE,
    CH4,
    VOLUME,
    BATTERY,
};

static const char *const names[] = {"p_in",         "p_out1",  "p_out2", "slam_shut1",
                                    "slam_shut2",   "flow",    "temp",   "ch4",
                                    "volume_total", "battery", NULL};

#define SET_KPA       300.0
#define DROOP_KPA     12.0 /* at full flow */
#define FULL_FLOW_M3H 900.0

static void begin(struct plant *plant)
{
    double *v = plant->values;
    v[P_IN] = 1450;
    v[P_OUT_1] = v[P_OUT_2] = SET_KPA;
    v[FLOW] = 420;
    v[TEMPERATURE] = 14;
    v[CH4] = 0.6;
    v[VOLUME] = 12345686.5;
    v[BATTERY] = 3.62;
}

static void regulate(struct plant *plant, int pressure, int shut, double dt_s)
{
    double *v = plant->values;
    double target = v[shut] > 0.5 ? 0.0 : SET_KPA - DROOP_KPA * v[FLOW] / FULL_FLOW_M3H;
    v[pressure] = noise_wander(&plant->noise, v[pressure], target, 0.7, 15, dt_s);
    if (v[pressure] > 1.5 * SET_KPA)
        v[shut] = 1;
}

static void step(struct plant *plant, double dt_s, double day_s)
{
    struct noise *noise = &plant->noise;
    double *v = plant->values;
    v[FLOW] = noise_wander(noise, v[FLOW], 420 * plant_daily(day_s), 18, 240, dt_s);
    if (v[FLOW] < 0)
        v[FLOW] = 0;
    v[P_IN] = noise_wander(noise, v[P_IN], 1500 - 0.1 * v[FLOW], 4, 120, dt_s);
    regulate(plant, P_OUT_1, SHUT_1, dt_s);
    regulate(plant, P_OUT_2, SHUT_2, dt_s);
    v[TEMPERATURE] =
        noise_wander(noise, v[TEMPERATURE], 11 + 4 * plant_daily(day_s), 0.2, 900, dt_s);
    v[CH4] = noise_wander(noise, v[CH4], 0.6, 0.15, 60, dt_s);
    if (v[CH4] < 0)
        v[CH4] = 0;
    v[VOLUME] += v[FLOW] * dt_s / 3600.0;
    v[BATTERY] = noise_wander(noise, v[BATTERY], 3.62, 0.004, 600, dt_s);
}

const struct plant_model plant_gas = {"gas", names, begin, step};
