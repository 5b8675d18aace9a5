/*
 * A register map's CSV while it is read: where the reader is, and where it complains to. What is
 * wrong is told and reading goes on, so that one run tells all mistakes, each with its line and
 * column. For the files that make up register_map.h; one thread, for one reading.
 */
#ifndef DRIVERS_MODBUS_MAP_READER_H
#define DRIVERS_MODBUS_MAP_READER_H

#include "base/attributes.h"
#include "base/csv.h"
#include "model/config_yaml.h"

#include <stddef.h>

enum map_column {
    COLUMN_NAME,
    COLUMN_FUNCTION,
    COLUMN_ADDRESS,
    COLUMN_TYPE,
    COLUMN_WORD_ORDER,
    COLUMN_SCALE,
    COLUMN_OFFSET,
    COLUMN_UNIT,
    COLUMN_ACCESS,
    COLUMN_DESCRIPTION,
    COLUMN_MIN,
    COLUMN_MAX,
    COLUMN_SENTINEL,
    COLUMN_ENUM,
    COLUMN_ROLLOVER,
    COLUMN_TOTAL,
    COLUMN_VIEW,
    COLUMN_TIME,
    COLUMN_COUNT,
};

struct map_reader {
    const char *file; /* what messages call it */
    struct config_errors *errors;
    const struct csv *csv;
    int columns[COLUMN_COUNT]; /* in the CSV, or -1 */
    size_t row;                /* at hand */
    size_t mistakes;
};

/* Finds the columns; tells of those that are missing and those that are unknown. */
void map_reader_header(struct map_reader *reader);

const char *map_column_name(enum map_column column);

/* A cell of the row at hand; "" where there is none. */
const char *map_reader_cell(const struct map_reader *reader, enum map_column column);

/* About a cell of the row at hand. */
void map_reader_complain(struct map_reader *reader, enum map_column column, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* About a place, or ("LINE:COLUMN: what") as others told it. */
void map_reader_complain_at(struct map_reader *reader, size_t line, size_t column,
                            const char *format, ...) PRINTF_LIKE(4, 5);
void map_reader_pass_on(struct map_reader *reader, const char *text);

#endif
