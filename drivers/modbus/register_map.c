/*
 * Design notes.
 *
 * The map keeps the CSV it was read from: descriptions are its cells. A row is read cell by cell,
 * and each reader tells its own mistake and goes on, so that one run tells them all.
 *
 * Nobody means 1/10 by 0.1, yet that is what a meter does: it counts tenths. raw * 0.1 rounds twice
 * (3 * 0.1 is 0.30000000000000004), raw / 10 once, so the reciprocal is kept where it is whole.
 */
#include "drivers/modbus/register_map.h"

#include "base/buffer.h"
#include "base/crypto.h"
#include "base/csv.h"
#include "base/files.h"
#include "base/numbers.h"
#include "base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define ERRORS_WORDED 50

enum column {
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
    COLUMN_TIME,
    COLUMN_COUNT,
};

#define COLUMNS_REQUIRED (COLUMN_TYPE + 1)

static const char *const column_names[COLUMN_COUNT] = {
    "name", "function", "address",     "type", "word_order", "scale",    "offset",
    "unit", "access",   "description", "min",  "max",        "sentinel", "time",
};

struct name_entry {
    const char *name;
    size_t index;
};

struct register_map {
    struct csv *csv;
    struct map_register *registers;
    struct name_entry *by_name; /* sorted */
    size_t count;
    size_t skipped;
    int clock; /* index, or -1 */
    char version[17];
};

/* Where the reader is, and where it complains to. */
struct reader {
    const char *file;
    struct config_errors *errors;
    const struct csv *csv;
    int columns[COLUMN_COUNT]; /* in the CSV, or -1 */
    size_t row;
    size_t mistakes;
};

static void complain_at(struct reader *reader, size_t line, size_t column, const char *format,
                        va_list args) PRINTF_LIKE(4, 0);

static void complain_at(struct reader *reader, size_t line, size_t column, const char *format,
                        va_list args)
{
    struct message what;

    reader->mistakes++;
    if (reader->errors->count++ >= ERRORS_WORDED)
        return;
    (void)vsnprintf(what.text, sizeof what.text, format, args);
    buffer_printf(&reader->errors->text, "%s:%zu:%zu: %s\n", reader->file, line, column, what.text);
}

/* About a cell of the row at hand. */
static void complain(struct reader *reader, enum column column, const char *format, ...)
    PRINTF_LIKE(3, 4);

static void complain(struct reader *reader, enum column column, const char *format, ...)
{
    int at = reader->columns[column];
    va_list args;

    va_start(args, format);
    complain_at(reader, csv_line(reader->csv, reader->row),
                at < 0 ? 1 : csv_cell_column(reader->csv, reader->row, (size_t)at), format, args);
    va_end(args);
}

/* About the header, or what goes before it. */
static void complain_header(struct reader *reader, size_t line, size_t column, const char *format,
                            ...) PRINTF_LIKE(4, 5);

static void complain_header(struct reader *reader, size_t line, size_t column, const char *format,
                            ...)
{
    va_list args;

    va_start(args, format);
    complain_at(reader, line, column, format, args);
    va_end(args);
}

static const char *cell(const struct reader *reader, enum column column)
{
    int at = reader->columns[column];
    return at < 0 ? "" : csv_cell(reader->csv, reader->row, (size_t)at);
}

/* ---- the cells of a row -------------------------------------------------------------------- */

static void read_name(struct reader *reader, struct map_register *reg)
{
    const char *name = cell(reader, COLUMN_NAME);

    if (!text_is_name(name) || text_copy(reg->name, sizeof reg->name, name) != 0)
        complain(reader, COLUMN_NAME,
                 "name '%s'; expected 1 to 64 of A-Z a-z 0-9 _ - . not beginning with a dot", name);
}

/* Can the row be read at all? Otherwise it is passed over. */
static bool is_readable(struct reader *reader, struct map_register *reg)
{
    const char *access = cell(reader, COLUMN_ACCESS);
    const char *function = cell(reader, COLUMN_FUNCTION);
    int64_t code = 0;

    if (parse_i64(function, 1, 16, &code) != 0 || (code > 6 && code < 15)) {
        complain(reader, COLUMN_FUNCTION,
                 "function '%s'; expected 1, 2, 3 or 4 (5, 6, 15 and 16 only write: such rows are "
                 "passed over)",
                 function);
        return false;
    }
    if (strcmp(access, "") != 0 && strcmp(access, "ro") != 0 && strcmp(access, "rw") != 0 &&
        strcmp(access, "wo") != 0)
        complain(reader, COLUMN_ACCESS, "access '%s'; expected ro, rw or wo", access);
    reg->function = (uint8_t)code;
    reg->writable = strcmp(access, "rw") == 0;
    return code <= 4 && strcmp(access, "wo") != 0 && strcmp(cell(reader, COLUMN_TYPE), "none") != 0;
}

/* Type, width and order; then the row's other cells are judged by them. */
static bool read_type(struct reader *reader, struct map_register *reg)
{
    const char *type = cell(reader, COLUMN_TYPE);
    struct map_register made;
    struct message message = {""};

    if (map_register_init(&made, type, cell(reader, COLUMN_WORD_ORDER), &message) != 0) {
        complain(reader,
                 strncmp(message.text, "word_order", 10) == 0 ? COLUMN_WORD_ORDER : COLUMN_TYPE,
                 "%s", message.text);
        return false;
    }
    if ((reg->function <= 2) != (made.type == REGISTER_BIT)) {
        complain(
            reader, COLUMN_TYPE, "type '%s' with function %d; expected %s", type, reg->function,
            reg->function <= 2 ? "bit" : "a register's type (bits16 with a description 'bit N')");
        return false;
    }
    memcpy(made.name, reg->name, sizeof made.name);
    made.function = reg->function;
    made.writable = reg->writable;
    *reg = made;
    return true;
}

static void read_address(struct reader *reader, struct map_register *reg)
{
    const char *text = cell(reader, COLUMN_ADDRESS);
    int64_t address;

    if (parse_i64(text, 0, UINT16_MAX + 1 - reg->words, &address) != 0)
        complain(reader, COLUMN_ADDRESS, "address '%s'; expected 0 to %d, counted from 0", text,
                 UINT16_MAX + 1 - reg->words);
    else
        reg->address = (uint16_t)address;
}

/* A cell that may be empty; false leaves *ret_value alone. */
static bool read_number(struct reader *reader, enum column column, double *ret_value)
{
    const char *text = cell(reader, column);

    if (*text == '\0')
        return false;
    if (parse_double(text, ret_value) == 0)
        return true;
    complain(reader, column, "%s '%s'; expected a number such as 0.1", column_names[column], text);
    return false;
}

static void read_scale(struct reader *reader, struct map_register *reg)
{
    double reciprocal;

    read_number(reader, COLUMN_SCALE, &reg->scale);
    read_number(reader, COLUMN_OFFSET, &reg->offset);
    if (fpclassify(reg->scale) == FP_ZERO) {
        complain(reader, COLUMN_SCALE, "scale 0 makes every value the same");
        return;
    }
    reciprocal = round(1 / reg->scale);
    reg->divisor = double_same(1 / reciprocal, reg->scale) ? reciprocal : 0;
    reg->exact = double_same(reg->scale, 1) && fpclassify(reg->offset) == FP_ZERO;
}

static void read_range(struct reader *reader, struct map_register *reg)
{
    reg->has_min = read_number(reader, COLUMN_MIN, &reg->min);
    reg->has_max = read_number(reader, COLUMN_MAX, &reg->max);
    if (reg->has_min && reg->has_max && reg->min >= reg->max)
        complain(reader, COLUMN_MAX, "max '%s' is not above min '%s'", cell(reader, COLUMN_MAX),
                 cell(reader, COLUMN_MIN));
}

static void read_sentinels(struct reader *reader, struct map_register *reg)
{
    const char *at = cell(reader, COLUMN_SENTINEL);

    for (at += strspn(at, " ;|"); *at != '\0'; at += strspn(at, " ;|")) {
        size_t len = strcspn(at, " ;|");
        char word[40] = "";
        uint64_t raw = 0;
        if (len < sizeof word)
            memcpy(word, at, len);
        at += len;
        if (map_register_parse_raw(reg, word, &raw) != 0)
            complain(reader, COLUMN_SENTINEL,
                     "sentinel '%s'; expected raw values of %s, or their bits as 0x and %d hex "
                     "digits",
                     cell(reader, COLUMN_SENTINEL), reg->type_name, 2 * reg->bytes);
        else if (reg->sentinel_count == REGISTER_MAX_SENTINELS)
            complain(reader, COLUMN_SENTINEL, "more than %d sentinels", REGISTER_MAX_SENTINELS);
        else
            reg->sentinels[reg->sentinel_count++] = raw;
    }
}

/* A bits16 row whose description begins with "bit N" is that one bit. */
static void read_bit(struct reader *reader, struct map_register *reg)
{
    const char *text = cell(reader, COLUMN_DESCRIPTION);
    char digits[8] = "";
    size_t len;
    int64_t bit;

    reg->description = text;
    if (reg->type != REGISTER_BITS || strncmp(text, "bit ", 4) != 0)
        return;
    len = strspn(text + 4, "0123456789");
    if (len > 0 && len < sizeof digits)
        memcpy(digits, text + 4, len);
    if (parse_i64(digits, 0, 15, &bit) != 0)
        complain(reader, COLUMN_DESCRIPTION, "description '%.20s…'; 'bit' is followed by 0 to 15",
                 text);
    else
        reg->bit = (int8_t)bit;
}

static void read_unit(struct reader *reader, struct map_register *reg)
{
    const char *unit = cell(reader, COLUMN_UNIT);

    if (text_copy(reg->unit, sizeof reg->unit, unit) != 0)
        complain(reader, COLUMN_UNIT, "unit '%s'; expected at most %zu bytes", unit,
                 sizeof reg->unit - 1);
}

/* Texts have no scale, range or sentinel; telling one is a mistake somewhere in the row. */
static void read_figures(struct reader *reader, struct map_register *reg)
{
    read_scale(reader, reg);
    if (reg->type != REGISTER_TEXT && reg->type != REGISTER_TIME) {
        read_range(reader, reg);
        read_sentinels(reader, reg);
        return;
    }
    if (!reg->exact)
        complain(reader, COLUMN_SCALE, "%s has no scale or offset", reg->type_name);
    for (enum column column = COLUMN_MIN; column <= COLUMN_SENTINEL; column++)
        if (*cell(reader, column) != '\0')
            complain(reader, column, "%s has no %s", reg->type_name, column_names[column]);
}

/* Is this row the clock of the others? */
static bool read_time(struct reader *reader, const struct map_register *reg,
                      const struct register_map *map)
{
    const char *text = cell(reader, COLUMN_TIME);

    if (*text == '\0')
        return false;
    if (strcmp(text, "device") != 0)
        complain(reader, COLUMN_TIME, "time '%s'; expected device, or nothing", text);
    else if (reg->type != REGISTER_UINT && reg->type != REGISTER_INT)
        complain(reader, COLUMN_TIME,
                 "%s cannot be a clock; expected a whole number, in ms UTC after its scale",
                 reg->type_name);
    else if (map->clock >= 0)
        complain(reader, COLUMN_TIME, "a second clock; '%s' in line %zu is one already",
                 map->registers[map->clock].name, map->registers[map->clock].line);
    else
        return true;
    return false;
}

static void read_row(struct reader *reader, struct register_map *map)
{
    struct map_register reg = {.line = csv_line(reader->csv, reader->row)};
    size_t mistakes = reader->mistakes;

    read_name(reader, &reg);
    if (!is_readable(reader, &reg)) {
        map->skipped += reader->mistakes == mistakes ? 1 : 0;
        return;
    }
    if (!read_type(reader, &reg))
        return;
    reg.line = csv_line(reader->csv, reader->row);
    read_address(reader, &reg);
    read_figures(reader, &reg);
    read_unit(reader, &reg);
    read_bit(reader, &reg);
    if (read_time(reader, &reg, map))
        map->clock = (int)map->count;
    map->registers[map->count++] = reg;
}

/* ---- the table ----------------------------------------------------------------------------- */

static void name_unknown_column(struct reader *reader, size_t index)
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
    complain_header(reader, csv_header_line(reader->csv), csv_header_column(reader->csv, index),
                    "unknown column '%s'%s%s%s", name, nearest ? "; did you mean '" : "",
                    nearest ? nearest : "", nearest ? "'?" : "");
}

static void read_header(struct reader *reader)
{
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        reader->columns[i] = csv_find_column(reader->csv, column_names[i]);
        if (reader->columns[i] < 0 && i < COLUMNS_REQUIRED)
            complain_header(reader, csv_header_line(reader->csv), 1, "no column '%s'",
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

static int by_name(const void *a, const void *b)
{
    const struct name_entry *left = a;
    const struct name_entry *right = b;
    int order = strcmp(left->name, right->name);

    if (order != 0)
        return order;
    return left->index < right->index ? -1 : left->index > right->index;
}

static void sort_names(struct reader *reader, struct register_map *map)
{
    for (size_t i = 0; i < map->count; i++)
        map->by_name[i] = (struct name_entry){.name = map->registers[i].name, .index = i};
    if (map->count > 0)
        qsort(map->by_name, map->count, sizeof map->by_name[0], by_name);
    for (size_t i = 1; i < map->count; i++) {
        const struct map_register *first = &map->registers[map->by_name[i - 1].index];
        const struct map_register *again = &map->registers[map->by_name[i].index];
        if (*again->name != '\0' && strcmp(first->name, again->name) == 0)
            complain_header(reader, again->line, 1, "name '%s' stands in line %zu already",
                            again->name, first->line);
    }
}

static int read_table(struct reader *reader, struct register_map *map)
{
    size_t rows = csv_rows(reader->csv);

    if (rows > REGISTER_MAP_MAX_ROWS) {
        complain_header(reader, csv_line(reader->csv, REGISTER_MAP_MAX_ROWS), 1,
                        "more than %d rows", REGISTER_MAP_MAX_ROWS);
        return ERR_INVALID;
    }
    map->registers = calloc(rows + 1, sizeof map->registers[0]);
    map->by_name = calloc(rows + 1, sizeof map->by_name[0]);
    if (map->registers == NULL || map->by_name == NULL)
        return ERR_NO_MEMORY;
    read_header(reader);
    if (reader->mistakes > 0)
        return ERR_INVALID;
    for (reader->row = 0; reader->row < rows; reader->row++)
        read_row(reader, map);
    sort_names(reader, map);
    return reader->mistakes > 0 ? ERR_INVALID : 0;
}

int register_map_parse(const char *file, const void *bytes, size_t len,
                       struct register_map **ret_map, struct config_errors *errors)
{
    struct reader reader = {.file = file, .errors = errors};
    struct register_map *map = calloc(1, sizeof *map);
    uint8_t digest[SHA256_SIZE];
    struct message message = {""};
    int err = ERR_NO_MEMORY;

    if (map == NULL)
        return ERR_NO_MEMORY;
    map->clock = -1;
    sha256(bytes, len, digest);
    print_hex(digest, 8, map->version);
    err = csv_parse(bytes, len, &map->csv, &message);
    if (err != 0) {
        if (errors->count++ < ERRORS_WORDED)
            buffer_printf(&errors->text, "%s:%s\n", file, message.text);
        err = err == ERR_NO_MEMORY ? err : ERR_INVALID;
        goto out;
    }
    reader.csv = map->csv;
    err = read_table(&reader, map);
    if (err != 0)
        goto out;
    *ret_map = map;
    map = NULL;
out:
    register_map_free(map);
    return err;
}

int register_map_read(const char *path, struct register_map **ret_map, struct config_errors *errors)
{
    struct buffer bytes;
    struct message message = {""};
    int err;

    buffer_init(&bytes, REGISTER_MAP_MAX_BYTES);
    err = file_read(path, &bytes, &message);
    if (err != 0) {
        if (errors->count++ < ERRORS_WORDED)
            buffer_printf(&errors->text, "%s:1:1: %s\n", path, message.text);
        err = err == ERR_NO_MEMORY ? err : ERR_INVALID;
        goto out;
    }
    err = register_map_parse(path, buffer_text(&bytes), bytes.len, ret_map, errors);
out:
    buffer_release(&bytes);
    return err;
}

void register_map_free(struct register_map *map)
{
    if (map == NULL)
        return;
    csv_free(map->csv);
    free(map->registers);
    free(map->by_name);
    free(map);
}

size_t register_map_count(const struct register_map *map)
{
    return map->count;
}

const struct map_register *register_map_at(const struct register_map *map, size_t index)
{
    return &map->registers[index];
}

int register_map_find(const struct register_map *map, const char *name)
{
    size_t low = 0;
    size_t high = map->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, map->by_name[middle].name);
        if (order == 0)
            return (int)map->by_name[middle].index;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return -1;
}

int register_map_clock(const struct register_map *map)
{
    return map->clock;
}

const char *register_map_version(const struct register_map *map)
{
    return map->version;
}

size_t register_map_skipped(const struct register_map *map)
{
    return map->skipped;
}
