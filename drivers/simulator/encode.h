/*
 * A value → the bytes that a register map says stand for it: decode.h turned round. Pure.
 */
#ifndef DRIVERS_SIMULATOR_ENCODE_H
#define DRIVERS_SIMULATOR_ENCODE_H

#include "base/attributes.h"
#include "drivers/modbus/register_map.h"

#include <stdbool.h>
#include <stdint.h>

/* Sets the register's words in `registers`, indexed by address. Numbers are rounded to the raw
 * type's resolution and held within it; a bit is set for values from 0.5 on. NaN is "no
 * measurement": its first sentinel, NaN itself, or digits that are none; where it has none
 * of these, the end of its range, as a transmitter beyond its scale shows it. A BCD counter that is
 * full begins at zero again. ERR_INVALID for types that hold no number
 * (texts, packed times). */
MUST_CHECK int encode_registers(const struct map_register *reg, double value, uint16_t *registers);

/* Can a reader tell "no measurement" from a value? */
bool encode_can_say_nothing(const struct map_register *reg);

/* Is it of a type that holds a number, be it a single bit? */
bool encode_holds_number(const struct map_register *reg);

/* What a reader sees of a value: a number, or NaN for "no measurement". */
double encode_read_back(const struct map_register *reg, double value);

/* Is that the value itself, but for the steps in which the register counts? */
bool encode_fits(const struct map_register *reg, double value);

/* What a counter shows of a total that may be beyond its end: BCD and unsigned ones have begun at
 * zero again, and again. Other types have no such end: the total itself. */
double encode_counter(const struct map_register *reg, double total);

#endif
