#include "drivers/simulator/replay.h"

#include "base/clock.h"
#include "base/csv.h"
#include "base/numbers.h"
#include "base/text.h"
#include "drivers/simulator/encode.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A file of another kind would complain about each of its rows. */
#define MISTAKES_TOLD 20

struct fed {
    size_t reg;    /* index into the map */
    size_t column; /* of the CSV */
    double scale;
    bool sum;
};

struct replay {
    size_t rows;
    size_t columns;
    int64_t *times;
    double *values; /* row by row */
    size_t regs[REPLAY_COLUMNS_MAX];
};

struct loader {
    const struct replay_options *options;
    const struct register_map *map;
    struct config_errors *errors;
    struct csv *csv;
    struct fed fed[REPLAY_COLUMNS_MAX];
    size_t fed_count;
    size_t time_column;
    size_t mistakes;
};

static void complain(struct loader *loader, size_t line, size_t column, const char *format, ...)
    PRINTF_LIKE(4, 5);

static void complain(struct loader *loader, size_t line, size_t column, const char *format, ...)
{
    struct message what;
    va_list args;
    loader->errors->count++;
    if (loader->mistakes++ >= MISTAKES_TOLD)
        return;
    va_start(args, format);
    (void)vsnprintf(what.text, sizeof(what.text), format, args);
    va_end(args);
    buffer_printf(&loader->errors->text, "%s:%zu:%zu: %s\n", loader->options->file, line, column,
                  what.text);
}

/* ---- which column feeds which register ---- */

static void feed(struct loader *loader, const char *name, const char *column, double scale,
                 bool sum)
{
    int reg = register_map_find(loader->map, name);
    int at = csv_find_column(loader->csv, column);
    if (reg < 0)
        complain(loader, 1, 1, "the register map has no '%s' to play a column on", name);
    else if (at < 0)
        complain(loader, 1, 1, "there is no column '%s' for register '%s'", column, name);
    else
        loader->fed[loader->fed_count++] = (struct fed){(size_t)reg, (size_t)at, scale, sum};
}

static void feed_by_name(struct loader *loader)
{
    for (size_t i = 0; i < csv_columns(loader->csv); i++) {
        const char *name = csv_header(loader->csv, i);
        int reg = register_map_find(loader->map, name);
        if (reg >= 0 && i != loader->time_column && loader->fed_count < REPLAY_COLUMNS_MAX)
            loader->fed[loader->fed_count++] = (struct fed){(size_t)reg, i, 1, false};
    }
    if (!loader->fed_count && !loader->mistakes)
        complain(loader, 1, 1, "no column is named as a register of the map");
}

static void find_columns(struct loader *loader)
{
    const struct replay_options *options = loader->options;
    int time = csv_find_column(loader->csv, options->time_column);
    if (time < 0)
        complain(loader, 1, 1, "there is no column '%s' with the rows' times",
                 options->time_column);
    loader->time_column = time < 0 ? 0 : (size_t)time;
    for (size_t i = 0; i < options->column_count; i++) {
        const struct replay_column *column = &options->columns[i];
        feed(loader, column->reg, column->column[0] ? column->column : column->reg, column->scale,
             column->sum);
    }
    if (!options->column_count)
        feed_by_name(loader);
}

/* ---- rows ---- */

/* RFC 3339, or the same without a zone, which is then the options'. */
static int read_time(const char *text, const char *zone, int64_t *ret_ms)
{
    char zoned[64];
    if (!time_parse(text, ret_ms))
        return 0;
    int len = snprintf(zoned, sizeof(zoned), "%s%s", text, zone);
    return len < (int)sizeof(zoned) ? time_parse(zoned, ret_ms) : ERR_INVALID;
}

static double read_cell(struct loader *loader, const struct fed *fed, size_t row, double before)
{
    const char *text = csv_cell(loader->csv, row, fed->column);
    const struct map_register *reg = register_map_at(loader->map, fed->reg);
    double value = NAN;
    if (text[0] && parse_double(text, &value))
        complain(loader, csv_line(loader->csv, row), csv_cell_column(loader->csv, row, fed->column),
                 "'%.40s' in column '%s'; expected a number or nothing", text,
                 csv_header(loader->csv, fed->column));
    if (fed->sum) /* nothing measured adds nothing */
        return before + (isnan(value) ? 0 : value * fed->scale);
    if (isnan(value) && !encode_can_say_nothing(reg))
        complain(loader, csv_line(loader->csv, row), 1,
                 "an empty cell in column '%s', but register '%s' (%s) has no value for that: give "
                 "it a sentinel",
                 csv_header(loader->csv, fed->column), reg->name, reg->type_name);
    /* Times 1 is not a rounding: what was recorded is what is played. */
    return value * fed->scale;
}

static void read_rows(struct loader *loader, struct replay *replay)
{
    for (size_t row = 0; row < replay->rows; row++) {
        const char *time = csv_cell(loader->csv, row, loader->time_column);
        double *values = &replay->values[row * replay->columns];
        if (read_time(time, loader->options->zone, &replay->times[row]))
            complain(loader, csv_line(loader->csv, row),
                     csv_cell_column(loader->csv, row, loader->time_column),
                     "'%.40s' is no time; expected it as in 2026-01-05 08:50:00", time);
        for (size_t i = 0; i < replay->columns; i++)
            values[i] =
                read_cell(loader, &loader->fed[i], row, row ? values[i - replay->columns] : 0);
    }
}

static int fill(struct loader *loader, struct replay *replay)
{
    replay->rows = csv_rows(loader->csv);
    if (!replay->rows || replay->rows > REPLAY_ROWS_MAX) {
        complain(loader, 1, 1, "%zu rows; expected 1 to %d", replay->rows, REPLAY_ROWS_MAX);
        return ERR_INVALID;
    }
    find_columns(loader);
    if (loader->mistakes)
        return ERR_INVALID;
    replay->columns = loader->fed_count;
    for (size_t i = 0; i < replay->columns; i++)
        replay->regs[i] = loader->fed[i].reg;
    replay->times = calloc(replay->rows, sizeof(*replay->times));
    replay->values = calloc(replay->rows * replay->columns, sizeof(*replay->values));
    if (!replay->times || !replay->values)
        return ERR_NO_MEMORY;
    read_rows(loader, replay);
    return loader->mistakes ? ERR_INVALID : 0;
}

int replay_load(const struct replay_options *options, const struct register_map *map,
                struct replay **ret_replay, struct config_errors *errors)
{
    struct loader loader = {.options = options, .map = map, .errors = errors};
    struct replay *replay = calloc(1, sizeof(*replay));
    struct message message = {""};
    struct buffer text;
    buffer_init(&text, CSV_MAX_BYTES);
    int err = replay ? file_read(options->file, &text, &message) : ERR_NO_MEMORY;
    if (err) {
        complain(&loader, 1, 1, "%s", replay ? message.text : "out of memory");
        goto out;
    }
    err = csv_parse(text.data, text.len, &loader.csv, &message);
    if (err) {
        errors->count++;
        buffer_printf(&errors->text, "%s:%s\n", options->file, message.text);
        goto out;
    }
    err = fill(&loader, replay);
    if (err == ERR_NO_MEMORY)
        complain(&loader, 1, 1, "out of memory");
    if (err)
        goto out;
    *ret_replay = replay;
    replay = NULL;
out:
    if (loader.mistakes > MISTAKES_TOLD)
        buffer_printf(&errors->text, "%s: and %zu more\n", options->file,
                      loader.mistakes - MISTAKES_TOLD);
    csv_free(loader.csv);
    buffer_release(&text);
    replay_free(replay);
    return err;
}

void replay_free(struct replay *replay)
{
    if (!replay)
        return;
    free(replay->times);
    free(replay->values);
    free(replay);
}

size_t replay_rows(const struct replay *replay)
{
    return replay->rows;
}

int64_t replay_time(const struct replay *replay, size_t row)
{
    return replay->times[row];
}

size_t replay_columns(const struct replay *replay)
{
    return replay->columns;
}

size_t replay_register(const struct replay *replay, size_t column)
{
    return replay->regs[column];
}

double replay_value(const struct replay *replay, size_t row, size_t column)
{
    return replay->values[row * replay->columns + column];
}
