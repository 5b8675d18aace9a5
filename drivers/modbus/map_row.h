/*
 * One row of a register map → one register. Mistakes are told by the reader, all of a row in one
 * run. Pure but for the words of an enumeration, which it allocates.
 */
#ifndef DRIVERS_MODBUS_MAP_ROW_H
#define DRIVERS_MODBUS_MAP_ROW_H

#include "base/attributes.h"
#include "drivers/modbus/map_reader.h"
#include "drivers/modbus/register_type.h"

#include <stdbool.h>

enum map_row_kind {
    MAP_ROW_REGISTER, /* *ret_reg is set, if only as far as it could be read */
    MAP_ROW_SKIPPED,  /* it can only be written */
    MAP_ROW_UNKNOWN,  /* so wrong that nothing is known of it: told */
};

/* Reads the row at hand. `ret_reg->enum_words` is the caller's to free. ERR_NO_MEMORY. */
MUST_CHECK int map_row_read(struct map_reader *reader, enum map_row_kind *ret_kind,
                            struct map_register *ret_reg);

/* Does the row say that it is the clock of the others? */
bool map_row_is_clock(struct map_reader *reader, const struct map_register *reg);

#endif
