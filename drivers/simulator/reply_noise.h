/* What a bad line does to replies: loses them, cuts them short, flips bits, or holds them back.
 * Decided by seeded noise, so that the same seed spoils the same replies. Pure. */
#ifndef DRIVERS_SIMULATOR_REPLY_NOISE_H
#define DRIVERS_SIMULATOR_REPLY_NOISE_H

#include "drivers/simulator/noise.h"

#include <stddef.h>
#include <stdint.h>

enum reply_fate {
    REPLY_WHOLE,
    REPLY_LOST,
    REPLY_GARBLED, /* cut short, or with flipped bits */
    REPLY_LATE,
};

/* A serial line's noise: lost, cut or flipped, each as likely as the others. What is flipped lies
 * within 16 bits that follow each other, so that a CRC of 16 bits always tells. The reply has 2 to
 * 260 bytes; a cut one keeps at least one byte and misses at least one. */
enum reply_fate reply_noise_serial(struct noise *noise, uint8_t *bytes, size_t *len);

/* TCP never flips bits: a reply is lost, or, as often, comes *ret_late_us later (200 ms to 3 s). */
enum reply_fate reply_noise_tcp(struct noise *noise, int64_t *ret_late_us);

#endif
