/*
 * Which rows of a register map may share registers. One register may be looked at in several ways:
 * rows of the same function, address and length are views of one another, as the bits of a word
 * are. Rows that overlap otherwise are a mistake in an address or a type, unless one says under
 * `view` of which it is another look. Pure.
 */
#ifndef DRIVERS_MODBUS_MAP_OVERLAP_H
#define DRIVERS_MODBUS_MAP_OVERLAP_H

#include "base/attributes.h"
#include "drivers/modbus/map_reader.h"
#include "drivers/modbus/register_type.h"

#include <stddef.h>

/* Tells of overlaps, and of views that are none. `targets`: for each register the one that its
 * `view` names, or itself where it names none that is there. ERR_NO_MEMORY. */
MUST_CHECK int map_overlap_check(struct map_reader *reader, const struct map_register *registers,
                                 const size_t *targets, size_t count);

#endif
