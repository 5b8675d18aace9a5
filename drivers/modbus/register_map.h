/*
 * What an instrument keeps where: a register map in CSV, read once into an immutable table.
 *
 * Columns: name, function, address, type; and, each with a default, word_order, scale, offset,
 * unit, access, description, min, max, sentinel, time. A register map is data that comes from
 * outside: all mistakes of a file are told in one run, each with its line and column. Rows that can
 * only be written (function 5, 6, 15 or 16, access wo, type none) are passed over and counted:
 * nothing here ever writes.
 *
 * A logger keeps a clock of its own: one row may say `device` under time. Its value, scale and
 * offset applied, is the UTC time in milliseconds of all the unit's readings.
 *
 * The map owns everything it hands out. Immutable after reading, so any thread may look.
 */
#ifndef DRIVERS_MODBUS_REGISTER_MAP_H
#define DRIVERS_MODBUS_REGISTER_MAP_H

#include "base/error.h"
#include "drivers/modbus/register_type.h"
#include "model/config_yaml.h"

#include <stddef.h>

#define REGISTER_MAP_MAX_BYTES (1024 * 1024)
#define REGISTER_MAP_MAX_ROWS  10000

struct register_map;

/* Reads a file, or bytes that messages call `file`. ERR_INVALID after adding to `errors` (as
 * "FILE:LINE:COLUMN: what" lines). */
MUST_CHECK int register_map_read(const char *path, struct register_map **ret_map,
                                 struct config_errors *errors);
MUST_CHECK int register_map_parse(const char *file, const void *bytes, size_t len,
                                  struct register_map **ret_map, struct config_errors *errors);
void register_map_free(struct register_map *map);

size_t register_map_count(const struct register_map *map);
const struct map_register *register_map_at(const struct register_map *map, size_t index);

/* The register of that name, or -1. */
int register_map_find(const struct register_map *map, const char *name);

/* The register that holds the time of all others, or -1 where there is none. */
int register_map_clock(const struct register_map *map);

/* The first 16 hex digits of SHA-256 of the file. */
const char *register_map_version(const struct register_map *map);

/* Rows that are never read because they can only be written. */
size_t register_map_skipped(const struct register_map *map);

#endif
