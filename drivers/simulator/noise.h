/* Seeded randomness for plant models: the same seed gives the same plant. Plain data, pure. */
#ifndef DRIVERS_SIMULATOR_NOISE_H
#define DRIVERS_SIMULATOR_NOISE_H

#include <stdint.h>

struct noise {
    uint64_t state;
};

void noise_init(struct noise *noise, uint64_t seed);

/* Evenly in [0, 1). */
double noise_uniform(struct noise *noise);

/* As good as normally distributed, mean 0, deviation 1; never beyond 3.5 deviations. */
double noise_normal(struct noise *noise);

/* One step of an Ornstein-Uhlenbeck process: a value that wanders about `mean`, forgets with time
 * constant `tau_s` and has deviation `sigma` in the long run. Exact for any step `dt_s`. */
double noise_wander(struct noise *noise, double value, double mean, double sigma, double tau_s,
                    double dt_s);

#endif
