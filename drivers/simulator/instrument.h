/*
 * What stands between a process and its reading: an instrument is slow, noisy, coarse, bounded, and
 * drifts until it is calibrated. Pure: values, local time and randomness are handed in.
 *
 * A row of zeros is an ideal instrument (switches, totals): it shows the value itself.
 *
 * In this order: a lag; drift and noise are added; cut-off, resolution and range; and the reading
 * is held until the next cycle, or through a calibration.
 *
 * The drift is a random walk between two walls, DRIFT_WALL deviations of a day away from nothing.
 * At the end of a calibration there is none left. While it calibrates, an instrument shows its
 * standard (buffer, span gas, zero gas) with its noise, or, with INSTRUMENT_HOLDS, the last reading
 * before.
 */
#ifndef DRIVERS_SIMULATOR_INSTRUMENT_H
#define DRIVERS_SIMULATOR_INSTRUMENT_H

#include "drivers/simulator/noise.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#define INSTRUMENT_HOLDS ((double)NAN)
#define DRIFT_WALL       3.0

struct calibration {
    int every_h, at_h; /* at that hour after a Monday's midnight, and again; 0: never */
    int for_s;
    double standard; /* what the instrument shows meanwhile, or INSTRUMENT_HOLDS */
};

/* All in the variable's own unit. */
struct instrument {
    double sigma;      /* deviation of a single reading */
    double lag_s;      /* time constant of the first order */
    double drift;      /* deviation of the drift after a day */
    double resolution; /* step of the last digit */
    double least, most;
    double cutoff; /* a flow meter shows nothing below this */
    int cycle_s;   /* measures only so often, at full multiples, and holds in between; 0 always */
    struct calibration calibration;
};

struct instrument_state {
    double lagged, drift, reading;
};

/* An instrument that has been on for long and was just calibrated. */
void instrument_begin(const struct instrument *instrument, struct instrument_state *state,
                      double value);

/* Moves on by `dt_s` to `local_s` (seconds since a Monday's midnight, whole steps) and leaves what
 * it shows of `value` in state->reading. */
void instrument_step(const struct instrument *instrument, struct instrument_state *state,
                     double value, int64_t local_s, double dt_s, struct noise *noise);

/* Is that a time of calibration? */
bool instrument_calibrates(const struct instrument *instrument, int64_t local_s);

#endif
