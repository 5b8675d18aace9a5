#include "drivers/simulator/instrument.h"

#include "drivers/simulator/plant_parts.h"

#define HOUR_S  3600
#define DRIFT_S 60 /* the walk takes a pace a minute: finer cannot be seen */

bool instrument_calibrates(const struct instrument *instrument, int64_t local_s)
{
    const struct calibration *calibration = &instrument->calibration;
    int64_t every_s = (int64_t)calibration->every_h * HOUR_S;
    int64_t since_s = local_s - (int64_t)calibration->at_h * HOUR_S;
    return every_s > 0 && since_s >= 0 && since_s % every_s < calibration->for_s;
}

/* One pace of the walk, thrown back by the walls. */
static double walk(const struct instrument *instrument, double drift, struct noise *noise)
{
    double wall = DRIFT_WALL * instrument->drift;
    double next = drift + instrument->drift * sqrt(DRIFT_S / 86400.0) * noise_normal(noise);
    if (next > wall)
        next = 2 * wall - next;
    return next < -wall ? -2 * wall - next : next;
}

/* The number that the display can show for this. */
static double displayed(const struct instrument *instrument, double value)
{
    if (fabs(value) < instrument->cutoff)
        value = 0;
    if (instrument->resolution > 0)
        value =
            nearbyint(value / instrument->resolution) * instrument->resolution + 0.0; /* no -0 */
    if (instrument->most > instrument->least)
        value = limit(value, instrument->least, instrument->most);
    return value;
}

void instrument_begin(const struct instrument *instrument, struct instrument_state *state,
                      double value)
{
    *state = (struct instrument_state){.lagged = value, .reading = displayed(instrument, value)};
}

void instrument_step(const struct instrument *instrument, struct instrument_state *state,
                     double value, int64_t local_s, double dt_s, struct noise *noise)
{
    /* An ideal instrument shows the very number. */
    state->lagged =
        instrument->lag_s > 0 ? lag(state->lagged, value, instrument->lag_s, dt_s) : value;
    if (instrument->drift > 0 && local_s % DRIFT_S == 0)
        state->drift = walk(instrument, state->drift, noise);
    double seen = state->lagged + state->drift;
    if (instrument_calibrates(instrument, local_s)) {
        state->drift = 0;
        if (isnan(instrument->calibration.standard))
            return;
        seen = instrument->calibration.standard;
    } else if (instrument->cycle_s > 0 && local_s % instrument->cycle_s != 0) {
        return;
    }
    if (instrument->sigma > 0)
        seen += instrument->sigma * noise_normal(noise);
    state->reading = displayed(instrument, seen);
}
