/*
 * The words of an enumeration, as a register map writes them: "0:stopped|1:running|2:fault". Their
 * text stays in the map's cell; the list of them is the caller's to free.
 */
#ifndef DRIVERS_MODBUS_MAP_ENUM_H
#define DRIVERS_MODBUS_MAP_ENUM_H

#include "base/attributes.h"
#include "drivers/modbus/map_reader.h"
#include "drivers/modbus/register_type.h"

#define MAP_ENUM_MAX_WORDS 64

/* Reads the cell of the row at hand into `reg`, sorted by number. Mistakes are told by the reader.
 * ERR_NO_MEMORY. */
MUST_CHECK int map_enum_read(struct map_reader *reader, struct map_register *reg);

#endif
