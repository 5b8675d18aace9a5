/*
 * The parts that every plant has: first-order lags, switches with two thresholds, limits. Pure.
 */
#ifndef DRIVERS_SIMULATOR_PLANT_PARTS_H
#define DRIVERS_SIMULATOR_PLANT_PARTS_H

#include <stdbool.h>

/* A first-order lag with time constant `tau_s` towards `target`: implicit Euler, so it neither
 * overshoots nor bursts whatever the step; what is as good as there comes to rest. */
static inline double lag(double value, double target, double tau_s, double dt_s)
{
    double rest = target - value;
    return rest < 1e-9 && rest > -1e-9 ? target : value + rest * dt_s / (tau_s + dt_s);
}

static inline double limit(double value, double least, double most)
{
    return value < least ? least : value > most ? most : value;
}

/* A switch that is on from `on_at` and off from `off_at`, and between them stays what it is
 * (`on_at` below `off_at` for one that fills). Switches are 0 or 1, as on the wire. */
static inline double latch(double state, double value, double on_at, double off_at)
{
    if (on_at > off_at)
        return value >= on_at ? 1 : value <= off_at ? 0 : state;
    return value <= on_at ? 1 : value >= off_at ? 0 : state;
}

static inline bool is_on(double state)
{
    return state >= 0.5;
}

/* Monod's saturation: the share of its full rate that a process reaches at that concentration. */
static inline double monod(double concentration, double half)
{
    return concentration > 0 ? concentration / (half + concentration) : 0;
}

/* A flow in m3/h over a step, in m3. */
static inline double volume(double flow_m3h, double dt_s)
{
    return flow_m3h * dt_s / 3600.0;
}

#endif
