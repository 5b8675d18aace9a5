#include "drivers/simulator/plant_transfer.h"

/*
 * Gases of a hall with ventilation: V dc/dt = source - q c, the source following deliveries; the
 * sump fills while the compactor presses and is pumped out by level.
 */

enum { H2S, NH3, CH4, PM10, NOISE_LEVEL, SUMP, FAN, COMPACTOR, WEIGHT_TOTAL };

static const char *const names[] = {"h2s",        "nh3", "ch4",       "pm10",         "noise",
                                    "sump_level", "fan", "compactor", "weight_total", NULL};

#define AIR_CHANGES_PER_H 8.0

static void begin(struct plant *plant)
{
    double *v = plant->values;
    v[H2S] = 1.8;
    v[NH3] = 3.0;
    v[CH4] = 2.0;
    v[PM10] = 90;
    v[NOISE_LEVEL] = 62;
    v[SUMP] = 0.8;
    v[FAN] = 1;
    v[WEIGHT_TOTAL] = 48211.4;
}

/* The hall's air after dt: it relaxes to source over ventilation. */
static double air(struct noise *noise, double value, double source, double sigma, double dt_s)
{
    double next = noise_wander(noise, value, source, sigma, 3600.0 / AIR_CHANGES_PER_H, dt_s);
    return next > 0 ? next : 0;
}

static void step(struct plant *plant, double dt_s, double day_s)
{
    struct noise *noise = &plant->noise;
    double *v = plant->values;
    double load = plant_daily(day_s);
    /* A pressing lasts about 40 s and comes every two minutes at full load. */
    if (noise_uniform(noise) < dt_s / (v[COMPACTOR] > 0.5 ? 40.0 : 80.0 / load))
        v[COMPACTOR] = v[COMPACTOR] > 0.5 ? 0 : 1;
    double draught = v[FAN] > 0.5 ? 1.0 : 0.25;
    v[H2S] = air(noise, v[H2S], 1.8 * load / draught, 0.3, dt_s);
    v[NH3] = air(noise, v[NH3], 3.0 * load / draught, 0.4, dt_s);
    v[CH4] = air(noise, v[CH4], 2.0 * load / draught, 0.4, dt_s);
    v[PM10] = air(noise, v[PM10], 90 * load / draught, 9, dt_s);
    v[NOISE_LEVEL] =
        noise_wander(noise, v[NOISE_LEVEL], v[COMPACTOR] > 0.5 ? 78 : 60, 1.5, 3, dt_s);
    v[SUMP] += (v[COMPACTOR] > 0.5 ? 0.0006 : 0.0001) * dt_s;
    if (v[SUMP] > 1.8)
        v[SUMP] = 0.4;
    if (v[COMPACTOR] > 0.5)
        v[WEIGHT_TOTAL] += 0.09 * dt_s;
}

const struct plant_model plant_transfer = {"transfer", names, begin, step};
