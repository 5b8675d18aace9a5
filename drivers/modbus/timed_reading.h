/*
 * What a device with a clock of its own told last, to know it when it comes again: the same time
 * with the same words is the same reading. Plain data, owned by one thread.
 */
#ifndef DRIVERS_MODBUS_TIMED_READING_H
#define DRIVERS_MODBUS_TIMED_READING_H

#include "drivers/modbus/plan.h"
#include "model/sample.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timed_reading {
    int64_t device_ms;
    size_t len; /* 0: nothing yet */
    uint8_t words[2 * PLAN_MAX_REGISTERS];
};

/* Has just this been told before? If not it is remembered, in *last, which is made on first use and
 * is the caller's to free. Without memory everything is new: rather recorded twice than not. */
bool timed_reading_repeats(struct timed_reading **last, int64_t device_ms, const uint8_t *words,
                           size_t len);

/* The device did not tell the time of these: good ones become uncertain, by cause clock. */
void timed_reading_doubt(struct sample *samples, size_t count);

#endif
