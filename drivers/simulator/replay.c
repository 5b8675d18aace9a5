#include "drivers/simulator/replay.h"

#include "base/clock.h"
#include "base/csv.h"
#include "base/numbers.h"
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
    double total; /* for `sum`: of the rows so far */
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

/* A register that a column may feed: it holds a number, and nothing else is written to it. */
static bool is_free(struct loader *loader, size_t reg, size_t column)
{
    const struct map_register *at = register_map_at(loader->map, reg);
    const char *name = csv_header(loader->csv, column);
    size_t line = csv_header_line(loader->csv), place = csv_header_column(loader->csv, column);
    for (size_t i = 0; i < loader->fed_count; i++)
        if (loader->fed[i].reg == reg) {
            complain(loader, line, place, "register '%s' is fed twice: from column '%s' and '%s'",
                     at->name, csv_header(loader->csv, loader->fed[i].column), name);
            return false;
        }
    if (register_map_clock(loader->map) == (int)reg)
        complain(loader, line, place,
                 "register '%s' is the clock of the map and holds the rows' times, not column '%s'",
                 at->name, name);
    else if (!encode_holds_number(at))
        complain(loader, line, place, "register '%s' (%s) cannot hold the numbers of column '%s'",
                 at->name, at->type_name, name);
    else if (loader->fed_count == REPLAY_COLUMNS_MAX)
        complain(loader, line, place, "column '%s': at most %d columns can be played", name,
                 REPLAY_COLUMNS_MAX);
    else
        return true;
    return false;
}

static void feed(struct loader *loader, const struct replay_column *column)
{
    const char *name = column->column[0] ? column->column : column->reg;
    int reg = register_map_find(loader->map, column->reg);
    int at = csv_find_column(loader->csv, name);
    if (reg < 0)
        complain(loader, 1, 1, "the register map has no '%s' to play a column on", column->reg);
    else if (at < 0)
        complain(loader, 1, 1, "there is no column '%s' for register '%s'", name, column->reg);
    else if (is_free(loader, (size_t)reg, (size_t)at))
        loader->fed[loader->fed_count++] = (struct fed){
            .reg = (size_t)reg, .column = (size_t)at, .scale = column->scale, .sum = column->sum};
}

static void feed_by_name(struct loader *loader)
{
    for (size_t i = 0; i < csv_columns(loader->csv); i++) {
        int reg = register_map_find(loader->map, csv_header(loader->csv, i));
        if (reg >= 0 && i != loader->time_column && is_free(loader, (size_t)reg, i))
            loader->fed[loader->fed_count++] =
                (struct fed){.reg = (size_t)reg, .column = i, .scale = 1};
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
    for (size_t i = 0; i < options->column_count; i++)
        feed(loader, &options->columns[i]);
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

bool replay_zone_fits(const char *zone)
{
    int64_t unused;
    return read_time("2026-01-05 08:50:00", zone, &unused) == 0;
}

/* A value that the register cannot hold would be another one, or none, to whoever reads it. */
static void check_fit(struct loader *loader, size_t row, size_t column, size_t reg, double value)
{
    const struct map_register *at = register_map_at(loader->map, reg);
    char number[NUMBER_TEXT_SIZE] = "no number", seen[NUMBER_TEXT_SIZE] = "no measurement";
    if (encode_fits(at, value))
        return;
    double shown = encode_read_back(at, value);
    if (isfinite(value))
        print_double(value, number);
    if (isfinite(shown))
        print_double(shown, seen);
    complain(loader, csv_line(loader->csv, row), csv_cell_column(loader->csv, row, column),
             "%s in column '%s' does not fit register '%s' (%s): a reader would see %s", number,
             csv_header(loader->csv, column), at->name, at->type_name, seen);
}

static double read_cell(struct loader *loader, struct fed *fed, size_t row)
{
    const char *text = csv_cell(loader->csv, row, fed->column);
    const struct map_register *reg = register_map_at(loader->map, fed->reg);
    double value = (double)NAN;
    if (text[0] && parse_double(text, &value)) {
        complain(loader, csv_line(loader->csv, row), csv_cell_column(loader->csv, row, fed->column),
                 "'%.40s' in column '%s'; expected a number or nothing", text,
                 csv_header(loader->csv, fed->column));
        return (double)NAN;
    }
    if (fed->sum) { /* nothing measured adds nothing */
        fed->total += isnan(value) ? 0 : value * fed->scale;
        value = encode_counter(reg, fed->total);
    } else { /* times 1 is not a rounding: what was recorded is what is played */
        value *= fed->scale;
    }
    if (!isnan(value))
        check_fit(loader, row, fed->column, fed->reg, value);
    else if (!encode_can_say_nothing(reg))
        complain(loader, csv_line(loader->csv, row), 1,
                 "an empty cell in column '%s', but register '%s' (%s) has no value for that: give "
                 "it a sentinel",
                 csv_header(loader->csv, fed->column), reg->name, reg->type_name);
    return value;
}

static void read_stamp(struct loader *loader, size_t row, int64_t *ret_ms)
{
    const char *text = csv_cell(loader->csv, row, loader->time_column);
    int clock = register_map_clock(loader->map);
    if (read_time(text, loader->options->zone, ret_ms))
        complain(loader, csv_line(loader->csv, row),
                 csv_cell_column(loader->csv, row, loader->time_column),
                 "'%.40s' is no time; expected it as in 2026-01-05 08:50:00", text);
    else if (clock >= 0)
        check_fit(loader, row, loader->time_column, (size_t)clock, (double)*ret_ms);
}

static void read_rows(struct loader *loader, struct replay *replay)
{
    for (size_t row = 0; row < replay->rows; row++) {
        read_stamp(loader, row, &replay->times[row]);
        for (size_t i = 0; i < replay->columns; i++)
            replay->values[row * replay->columns + i] = read_cell(loader, &loader->fed[i], row);
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

int replay_parse(const struct replay_options *options, const struct register_map *map,
                 const void *bytes, size_t len, struct replay **ret_replay,
                 struct config_errors *errors)
{
    struct loader loader = {.options = options, .map = map, .errors = errors};
    struct replay *replay = calloc(1, sizeof(*replay));
    struct message message = {""};
    int err = replay ? csv_parse(bytes, len, &loader.csv, &message) : ERR_NO_MEMORY;
    if (replay && err) {
        errors->count++;
        buffer_printf(&errors->text, "%s:%s\n", options->file, message.text);
        goto out;
    }
    if (!err)
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
