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
    /* The sum of four evenly spread numbers of 16 bits, each of variance 1/12 (Irwin, Hall 1927).
     * Far cheaper than the exact way, and a plant asks a million times a day. */
    uint64_t bits = next(noise);
    uint64_t sum = (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48);
    return ((double)sum - 2.0 * 65535.0) * (1.7320508075688772 / 65536.0);
}

double noise_wander(struct noise *noise, double value, double mean, double sigma, double tau_s,
                    double dt_s)
{
    double keep = exp(-dt_s / tau_s);
    return mean + (value - mean) * keep + sigma * sqrt(1.0 - keep * keep) * noise_normal(noise);
}
