#include "drivers/simulator/plant_leachate.h"

/*
 * Mass balance of the equalisation tank, and an effluent whose quality follows how hard the line is
 * driven: A dh/dt = Qin - Qout, with the feed pump switched by level; COD and nitrogen wander about
 * a mean that grows with load.
 */

enum { LEVEL, INFLOW, OUTFLOW, PH, COD, NH3N, TN, OXYGEN, FLUX, PRESSURE, PUMP, TOTAL };

static const char *const names[] = {"level", "inflow", "outflow", "ph",  "cod",  "nh3n",
                                    "tn",    "do",     "flux",    "tmp", "pump", "outflow_total",
                                    NULL};

#define TANK_AREA_M2  400.0
#define MEAN_FLOW_M3H 12.0
#define PUMP_FLOW_M3H 15.0
#define LEVEL_START_M 3.2
#define LEVEL_STOP_M  1.6

static void begin(struct plant *plant)
{
    double *v = plant->values;
    v[LEVEL] = 2.6;
    v[INFLOW] = MEAN_FLOW_M3H;
    v[PUMP] = 1;
    v[OUTFLOW] = PUMP_FLOW_M3H;
    v[PH] = 7.4;
    v[COD] = 58;
    v[NH3N] = 9;
    v[TN] = 24;
    v[OXYGEN] = 2.1;
    v[FLUX] = 14;
    v[PRESSURE] = 31;
    v[TOTAL] = 81234.5;
}

static void step(struct plant *plant, double dt_s, double day_s)
{
    struct noise *noise = &plant->noise;
    double *v = plant->values;
    v[INFLOW] = noise_wander(noise, v[INFLOW], MEAN_FLOW_M3H * plant_daily(day_s), 1.2, 900, dt_s);
    if (v[INFLOW] < 0)
        v[INFLOW] = 0;
    if (v[LEVEL] > LEVEL_START_M)
        v[PUMP] = 1;
    else if (v[LEVEL] < LEVEL_STOP_M)
        v[PUMP] = 0;
    v[OUTFLOW] = noise_wander(noise, v[OUTFLOW], v[PUMP] * PUMP_FLOW_M3H, 0.2, 8, dt_s);
    if (v[OUTFLOW] < 0)
        v[OUTFLOW] = 0;
    v[LEVEL] += (v[INFLOW] - v[OUTFLOW]) / TANK_AREA_M2 * dt_s / 3600.0;
    if (v[LEVEL] < 0)
        v[LEVEL] = 0;
    v[TOTAL] += v[OUTFLOW] * dt_s / 3600.0;

    double load = v[OUTFLOW] / PUMP_FLOW_M3H;
    v[PH] = noise_wander(noise, v[PH], 7.4, 0.06, 600, dt_s);
    v[COD] = noise_wander(noise, v[COD], 50 + 14 * load, 2.0, 300, dt_s);
    v[NH3N] = noise_wander(noise, v[NH3N], 7 + 3 * load, 0.5, 300, dt_s);
    v[TN] = noise_wander(noise, v[TN], 14 + v[NH3N], 0.7, 300, dt_s);
    v[OXYGEN] = noise_wander(noise, v[OXYGEN], 2.2 - 0.3 * load, 0.12, 120, dt_s);
    v[FLUX] = noise_wander(noise, v[FLUX], 14.5 * load, 0.15, 20, dt_s);
    v[PRESSURE] = noise_wander(noise, v[PRESSURE], 8 + 23 * load, 0.4, 30, dt_s);
}

const struct plant_model plant_leachate = {"leachate", names, begin, step};
