/*
 * A recorded series: the rows of a CSV file, each a stamp and a value for some registers of a map.
 * Read once into an immutable table; player.h plays it. Owned by its configuration; it borrows the
 * register map, which outlives it.
 *
 * An empty cell is a value that was not measured: NaN here, on the wire what the register says for
 * "no measurement". Stamps may repeat and go back: the rows are played in the order of the file.
 */
#ifndef DRIVERS_SIMULATOR_REPLAY_H
#define DRIVERS_SIMULATOR_REPLAY_H

#include "base/attributes.h"
#include "base/files.h"
#include "drivers/modbus/register_map.h"
#include "model/config_yaml.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPLAY_COLUMNS_MAX 64
#define REPLAY_ROWS_MAX    2000000

/* What one register is fed from: value = cell * scale, or the sum of that over the rows so far,
 * where BCD and unsigned counters begin at zero again when they are full. */
struct replay_column {
    char reg[65];
    char column[65]; /* "": named as the register */
    double scale;
    bool sum;
};

struct replay_options {
    char file[FILE_PATH_SIZE]; /* what messages call it */
    char time_column[65];
    char zone[8]; /* "+08:00": how stamps without a zone are meant */
    struct replay_column columns[REPLAY_COLUMNS_MAX]; /* none: those whose names are registers' */
    size_t column_count;
};

/* Is that a zone as stamps have it: Z, or as +08:00? */
bool replay_zone_fits(const char *zone);

struct replay;

/* Reads the bytes of the options' file. ERR_INVALID after adding to `errors`: a column or register
 * that is not there or fed twice, a cell that is no number, a number or stamp that its register
 * cannot hold or has as its sentinel, an empty cell for a register that cannot say so. */
MUST_CHECK int replay_parse(const struct replay_options *options, const struct register_map *map,
                            const void *bytes, size_t len, struct replay **ret_replay,
                            struct config_errors *errors);
void replay_free(struct replay *replay);

size_t replay_rows(const struct replay *replay);
int64_t replay_time(const struct replay *replay, size_t row); /* UTC ms */

/* The registers that are fed: indexes into the map. */
size_t replay_columns(const struct replay *replay);
size_t replay_register(const struct replay *replay, size_t column);
double replay_value(const struct replay *replay, size_t row, size_t column);

#endif
