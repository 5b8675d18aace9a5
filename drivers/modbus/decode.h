/*
 * Bytes on the wire → a value and how far it can be trusted. Pure: no state, any thread.
 *
 * Only the value, quality and cause of the sample are set; point and time are the caller's.
 *   NaN, infinity, digits that are none:  bad, not_a_number, no value
 *   a sentinel:                           bad, sensor_fault, no value
 *   outside min..max:                     bad, out_of_range, with the value
 *   an enumeration has no word for it:    bad, out_of_range, with the number
 *   a packed time that is no date:        bad, clock, no value
 * A float32 or float16 with scale 1 and offset 0 stays a float; whole numbers beyond 2^53 become
 * text, and so does a number that an enumeration has a word for. A packed time is the ms since
 * 1970 that it shows, plus the offset; years of two digits are those of this century.
 */
#ifndef DRIVERS_MODBUS_DECODE_H
#define DRIVERS_MODBUS_DECODE_H

#include "drivers/modbus/register_type.h"
#include "model/sample.h"

#include <stdbool.h>
#include <stdint.h>

/* `wire`: the register's 2 * words bytes as they came. */
void decode_registers(const struct map_register *reg, const uint8_t *wire, struct sample *sample);

/* A coil or discrete input. */
void decode_bit(const struct map_register *reg, bool bit, struct sample *sample);

/* What stands for "there is no value": bad, and why. */
void decode_bad(enum cause cause, struct sample *sample);

#endif
