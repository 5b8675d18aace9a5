#include "drivers/simulator/noise.h"

#include <math.h>

void noise_init(struct noise *noise, uint64_t seed)
{
    noise->state = seed;
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t next(struct noise *noise)
{
    uint64_t z = noise->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

double noise_uniform(struct noise *noise)
{
    return (double)(next(noise) >> 11) * 0x1p-53;
}

double noise_normal(struct noise *noise)
{
    /* Box-Muller; 1 - u keeps the logarithm finite. */
    double radius = sqrt(-2.0 * log(1.0 - noise_uniform(noise)));
    return radius * cos(6.283185307179586 * noise_uniform(noise));
}

double noise_wander(struct noise *noise, double value, double mean, double sigma, double tau_s,
                    double dt_s)
{
    double keep = exp(-dt_s / tau_s);
    return mean + (value - mean) * keep + sigma * sqrt(1.0 - keep * keep) * noise_normal(noise);
}
