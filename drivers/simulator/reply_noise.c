#include "drivers/simulator/reply_noise.h"

#include "base/clock.h"

#define BURST_BITS  16
#define LATE_MIN_US (200 * US_PER_MS)
#define LATE_MAX_US (3 * US_PER_S)

/* Evenly 0 .. count - 1. */
static size_t pick(struct noise *noise, size_t count)
{
    return (size_t)(noise_uniform(noise) * (double)count);
}

static void flip(uint8_t *bytes, size_t bit)
{
    /* The low bit of a byte is the first on the wire. */
    bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
}

enum reply_fate reply_noise_serial(struct noise *noise, uint8_t *bytes, size_t *len)
{
    size_t way = pick(noise, 3);
    if (way == 0)
        return REPLY_LOST;
    if (way == 1) {
        *len = 1 + pick(noise, *len - 1);
        return REPLY_GARBLED;
    }
    size_t first = pick(noise, 8 * *len - BURST_BITS + 1);
    flip(bytes, first);
    for (size_t bit = 1; bit < BURST_BITS; bit++)
        if (pick(noise, 2))
            flip(bytes, first + bit);
    return REPLY_GARBLED;
}

enum reply_fate reply_noise_tcp(struct noise *noise, int64_t *ret_late_us)
{
    if (pick(noise, 2))
        return REPLY_LOST;
    *ret_late_us = LATE_MIN_US + (int64_t)pick(noise, LATE_MAX_US - LATE_MIN_US);
    return REPLY_LATE;
}
