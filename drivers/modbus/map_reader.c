#include "drivers/modbus/map_reader.h"

#include "base/error.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#define ERRORS_WORDED 50

#define COLUMNS_REQUIRED (COLUMN_TYPE + 1)

static const char *const column_names[COLUMN_COUNT] = {
    "name",     "function", "address",  "type",        "word_order", "scale",
    "offset",   "unit",     "access",   "description", "min",        "max",
    "sentinel", "enum",     "rollover", "total",       "view",       "time",
};

/* ---- mistakes ---- */

static bool counts_as_worded(struct map_reader *reader)
{
    reader->mistakes++;
    return reader->errors->count++ < ERRORS_WORDED;
}

static void tell(struct map_reader *reader, size_t line, size_t column, const char *format,
                 va_list args) PRINTF_LIKE(4, 0);

static void tell(struct map_reader *reader, size_t line, size_t column, const char *format,
                 va_list args)
{
    struct message what;

    if (!counts_as_worded(reader))
        return;
    (void)vsnprintf(what.text, sizeof what.text, format, args);
    buffer_printf(&reader->errors->text, "%s:%zu:%zu: %s\n", reader->file, line, column, what.text);
}

void map_reader_complain(struct map_reader *reader, enum map_column column, const char *format, ...)
{
    int at = reader->columns[column];
    va_list args;

    va_start(args, format);
    tell(reader, csv_line(reader->csv, reader->row),
         at < 0 ? 1 : csv_cell_column(reader->csv, reader->row, (size_t)at), format, args);
    va_end(args);
}

void map_reader_complain_at(struct map_reader *reader, size_t line, size_t column,
                            const char *format, ...)
{
    va_list args;

    va_start(args, format);
    tell(reader, line, column, format, args);
    va_end(args);
}

void map_reader_pass_on(struct map_reader *reader, const char *text)
{
    if (counts_as_worded(reader))
        buffer_printf(&reader->errors->text, "%s:%s\n", reader->file, text);
}

/* ---- cells ---- */

const char *map_column_name(enum map_column column)
{
    return column_names[column];
}

const char *map_reader_cell(const struct map_reader *reader, enum map_column column)
{
    int at = reader->columns[column];
    return at < 0 ? "" : csv_cell(reader->csv, reader->row, (size_t)at);
}

/* ---- the header ---- */

static void name_unknown_column(struct map_reader *reader, size_t index)
{
    const char *name = csv_header(reader->csv, index);
    const char *nearest = NULL;
    size_t distance = 4;

    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        size_t d = text_distance(name, column_names[i], 3);
        if (d < distance) {
            distance = d;
            nearest = column_names[i];
        }
    }
    map_reader_complain_at(reader, csv_header_line(reader->csv),
                           csv_header_column(reader->csv, index), "unknown column '%s'%s%s%s", name,
                           nearest ? "; did you mean '" : "", nearest ? nearest : "",
                           nearest ? "'?" : "");
}

void map_reader_header(struct map_reader *reader)
{
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        reader->columns[i] = csv_find_column(reader->csv, column_names[i]);
        if (reader->columns[i] < 0 && i < COLUMNS_REQUIRED)
            map_reader_complain_at(reader, csv_header_line(reader->csv), 1, "no column '%s'",
                                   column_names[i]);
    }
    for (size_t i = 0; i < csv_columns(reader->csv); i++) {
        bool known = *csv_header(reader->csv, i) == '\0';
        for (size_t k = 0; k < COLUMN_COUNT; k++)
            known = known || reader->columns[k] == (int)i;
        if (!known)
            name_unknown_column(reader, i);
    }
}
