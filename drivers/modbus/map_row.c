/*
 * Design notes.
 *
 * A row is read cell by cell, and each reader tells its own mistake and goes on. What a cell may
 * say depends on the type, so that comes first, and the bits of a word before what they may hold.
 *
 * Nobody means 1/10 by 0.1, yet that is what a meter does: it counts tenths. raw * 0.1 rounds twice
 * (3 * 0.1 is 0.30000000000000004), raw / 10 once, so the reciprocal is kept where it is whole.
 */
#include "drivers/modbus/map_row.h"

#include "base/numbers.h"
#include "base/text.h"
#include "drivers/modbus/map_enum.h"

#include <math.h>
#include <string.h>

static void read_name(struct map_reader *reader, struct map_register *reg)
{
    const char *name = map_reader_cell(reader, COLUMN_NAME);

    if (!text_is_name(name) || text_copy(reg->name, sizeof reg->name, name) != 0)
        map_reader_complain(
            reader, COLUMN_NAME,
            "name '%s'; expected 1 to 64 of A-Z a-z 0-9 _ - . not beginning with a dot", name);
}

/* What reads it: a function, or none where it can only be written. */
static enum map_row_kind read_access(struct map_reader *reader, struct map_register *reg)
{
    const char *access = map_reader_cell(reader, COLUMN_ACCESS);
    const char *function = map_reader_cell(reader, COLUMN_FUNCTION);
    int64_t code = 0;

    if (parse_i64(function, 1, 16, &code) != 0 || (code > 6 && code < 15)) {
        map_reader_complain(reader, COLUMN_FUNCTION,
                            "function '%s'; expected 1, 2, 3 or 4 (5, 6, 15 and 16 only write: "
                            "such rows are passed over)",
                            function);
        return MAP_ROW_UNKNOWN;
    }
    if (strcmp(access, "") != 0 && strcmp(access, "ro") != 0 && strcmp(access, "rw") != 0 &&
        strcmp(access, "wo") != 0)
        map_reader_complain(reader, COLUMN_ACCESS, "access '%s'; expected ro, rw or wo", access);
    reg->function = (uint8_t)code;
    reg->writable = strcmp(access, "rw") == 0;
    return code <= 4 && strcmp(access, "wo") != 0 &&
                   strcmp(map_reader_cell(reader, COLUMN_TYPE), "none") != 0
               ? MAP_ROW_REGISTER
               : MAP_ROW_SKIPPED;
}

/* Type, width and order; then the row's other cells are judged by them. */
static bool read_type(struct map_reader *reader, struct map_register *reg)
{
    const char *type = map_reader_cell(reader, COLUMN_TYPE);
    struct map_register made;
    struct message message = {""};

    if (map_register_init(&made, type, map_reader_cell(reader, COLUMN_WORD_ORDER), &message) != 0) {
        map_reader_complain(
            reader, strncmp(message.text, "word_order", 10) == 0 ? COLUMN_WORD_ORDER : COLUMN_TYPE,
            "%s", message.text);
        return false;
    }
    if ((reg->function <= 2) != (made.type == REGISTER_BIT)) {
        map_reader_complain(
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

static void read_address(struct map_reader *reader, struct map_register *reg)
{
    const char *text = map_reader_cell(reader, COLUMN_ADDRESS);
    int64_t address;

    if (parse_i64(text, 0, UINT16_MAX + 1 - reg->words, &address) == 0) {
        reg->address = (uint16_t)address;
        return;
    }
    map_reader_complain(reader, COLUMN_ADDRESS, "address '%s'; expected 0 to %d, counted from 0",
                        text, UINT16_MAX + 1 - reg->words);
    reg->words = 0; /* it is nowhere, and overlaps nothing */
}

/* ---- bits ---- */

/* Reads a bit's number, and goes on behind it; false where there is none. */
static bool take_bit(const char **text, int64_t max, int64_t *ret_bit)
{
    char digits[8] = "";
    size_t len = strspn(*text, "0123456789");

    if (len > 0 && len < sizeof digits)
        memcpy(digits, *text, len);
    *text += len;
    return parse_i64(digits, 0, max, ret_bit) == 0;
}

/* A row of bits whose description begins with "bit N" is that one bit, with "bits N..M" those. */
static void read_bits(struct map_reader *reader, struct map_register *reg)
{
    const char *text = map_reader_cell(reader, COLUMN_DESCRIPTION);
    bool one = strncmp(text, "bit ", 4) == 0;
    bool more = strncmp(text, "bits ", 5) == 0 && text[5] >= '0' && text[5] <= '9';
    const char *rest = text + (one ? 4 : 5);
    int64_t top = 8 * reg->bytes - 1;
    int64_t low;
    int64_t high;

    reg->description = text;
    if (reg->type != REGISTER_BITS || !(one || more))
        return;
    bool right = take_bit(&rest, top, &low);
    if (right && more) {
        right = strncmp(rest, "..", 2) == 0;
        rest += right ? 2 : 0;
        right = right && take_bit(&rest, top, &high) && low <= high;
    } else {
        high = low;
    }
    if (!right) {
        map_reader_complain(
            reader, COLUMN_DESCRIPTION, "description '%.20s…'; '%s' is followed by %s%d", text,
            one ? "bit" : "bits", one ? "0 to " : "two numbers, as 4..7, up to ", (int)top);
        return;
    }
    reg->low_bit = (uint8_t)low;
    reg->bits = (uint8_t)(high - low + 1);
    rest += strspn(rest, ": ");
    if (*rest != '\0')
        reg->description = rest;
}

/* ---- figures ---- */

/* A cell that may be empty; false leaves *ret_value alone. */
static bool read_number(struct map_reader *reader, enum map_column column, double *ret_value)
{
    const char *text = map_reader_cell(reader, column);

    if (*text == '\0')
        return false;
    if (parse_double(text, ret_value) == 0)
        return true;
    map_reader_complain(reader, column, "%s '%s'; expected a number such as 0.1",
                        map_column_name(column), text);
    return false;
}

static void read_scale(struct map_reader *reader, struct map_register *reg)
{
    double reciprocal;

    read_number(reader, COLUMN_SCALE, &reg->scale);
    read_number(reader, COLUMN_OFFSET, &reg->offset);
    if (fpclassify(reg->scale) == FP_ZERO) {
        map_reader_complain(reader, COLUMN_SCALE, "scale 0 makes every value the same");
        return;
    }
    reciprocal = round(1 / reg->scale);
    reg->divisor = double_same(1 / reciprocal, reg->scale) ? reciprocal : 0;
    reg->exact = double_same(reg->scale, 1) && fpclassify(reg->offset) == FP_ZERO;
}

static void read_range(struct map_reader *reader, struct map_register *reg)
{
    reg->has_min = read_number(reader, COLUMN_MIN, &reg->min);
    reg->has_max = read_number(reader, COLUMN_MAX, &reg->max);
    if (reg->has_min && reg->has_max && reg->min >= reg->max)
        map_reader_complain(reader, COLUMN_MAX, "max '%s' is not above min '%s'",
                            map_reader_cell(reader, COLUMN_MAX),
                            map_reader_cell(reader, COLUMN_MIN));
}

static void read_sentinels(struct map_reader *reader, struct map_register *reg)
{
    const char *at = map_reader_cell(reader, COLUMN_SENTINEL);

    for (at += strspn(at, " ;|"); *at != '\0'; at += strspn(at, " ;|")) {
        size_t len = strcspn(at, " ;|");
        char word[40] = "";
        uint64_t raw = 0;
        if (len < sizeof word)
            memcpy(word, at, len);
        at += len;
        if (map_register_parse_raw(reg, word, &raw) != 0)
            map_reader_complain(
                reader, COLUMN_SENTINEL,
                "sentinel '%s'; expected raw values of %s, or their bits as 0x and %d hex digits",
                map_reader_cell(reader, COLUMN_SENTINEL), reg->type_name, 2 * reg->bytes);
        else if (reg->sentinel_count == REGISTER_MAX_SENTINELS)
            map_reader_complain(reader, COLUMN_SENTINEL, "more than %d sentinels",
                                REGISTER_MAX_SENTINELS);
        else
            reg->sentinels[reg->sentinel_count++] = raw;
    }
}

/* The last count before it begins at zero again; of a float, where it begins again. */
static void read_rollover(struct map_reader *reader, struct map_register *reg)
{
    const char *text = map_reader_cell(reader, COLUMN_ROLLOVER);
    int64_t most = map_register_most(reg);
    int64_t last = 0;
    double turn = 0;

    if (*text == '\0')
        return;
    if (reg->type == REGISTER_FLOAT) {
        if (parse_double(text, &turn) != 0 || turn <= 0)
            map_reader_complain(reader, COLUMN_ROLLOVER, "rollover '%s'; expected a number above 0",
                                text);
    } else if (reg->type <= REGISTER_BITS) {
        map_reader_complain(reader, COLUMN_ROLLOVER, "%s counts nothing", reg->type_name);
    } else if (parse_i64(text, 1, most, &last) != 0) {
        map_reader_complain(reader, COLUMN_ROLLOVER,
                            "rollover '%s'; expected the last raw count before 0, up to %lld", text,
                            (long long)most);
    } else {
        turn = (double)last + 1;
    }
    if (turn > 0 && reg->scale <= 0)
        map_reader_complain(reader, COLUMN_SCALE, "a totaliser's scale is above 0");
    else
        reg->modulus = turn;
}

static void read_total(struct map_reader *reader, struct map_register *reg)
{
    const char *text = map_reader_cell(reader, COLUMN_TOTAL);

    if (*text == '\0')
        return;
    reg->running = strcmp(text, "running") == 0;
    if (!reg->running)
        map_reader_complain(reader, COLUMN_TOTAL, "total '%s'; expected running, or nothing", text);
    else if (*map_reader_cell(reader, COLUMN_ROLLOVER) == '\0')
        map_reader_complain(reader, COLUMN_TOTAL,
                            "a running total needs its rollover: the last raw count before 0");
}

/* Which have no place beside a text, a time or an enumeration. */
static void refuse_cells(struct map_reader *reader, const char *what,
                         const enum map_column *columns, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (*map_reader_cell(reader, columns[i]) != '\0')
            map_reader_complain(reader, columns[i], "%s has no %s", what,
                                map_column_name(columns[i]));
}

static void read_figures(struct map_reader *reader, struct map_register *reg)
{
    static const enum map_column numbers_only[] = {COLUMN_MIN,  COLUMN_MAX,      COLUMN_SENTINEL,
                                                   COLUMN_ENUM, COLUMN_ROLLOVER, COLUMN_TOTAL};
    bool packed_time = reg->type >= REGISTER_TIME;

    read_scale(reader, reg);
    if (map_register_is_number(reg)) {
        read_range(reader, reg);
        read_sentinels(reader, reg);
        read_rollover(reader, reg);
        read_total(reader, reg);
        return;
    }
    if (packed_time && !double_same(reg->scale, 1))
        map_reader_complain(reader, COLUMN_SCALE, "%s has no scale; its offset is in ms",
                            reg->type_name);
    else if (!packed_time && !reg->exact)
        map_reader_complain(reader, COLUMN_SCALE, "%s has no scale or offset", reg->type_name);
    refuse_cells(reader, reg->type_name, numbers_only,
                 sizeof numbers_only / sizeof numbers_only[0]);
}

static int read_enum(struct map_reader *reader, struct map_register *reg)
{
    static const enum map_column plain_numbers_only[] = {COLUMN_MIN, COLUMN_MAX, COLUMN_ROLLOVER};

    if (!map_register_is_number(reg) || *map_reader_cell(reader, COLUMN_ENUM) == '\0')
        return 0;
    if (!reg->exact)
        map_reader_complain(reader, COLUMN_SCALE, "an enumeration has no scale or offset");
    refuse_cells(reader, "an enumeration", plain_numbers_only,
                 sizeof plain_numbers_only / sizeof plain_numbers_only[0]);
    return map_enum_read(reader, reg);
}

/* ---- the row ---- */

static void read_unit(struct map_reader *reader, struct map_register *reg)
{
    const char *unit = map_reader_cell(reader, COLUMN_UNIT);

    if (text_copy(reg->unit, sizeof reg->unit, unit) != 0)
        map_reader_complain(reader, COLUMN_UNIT, "unit '%s'; expected at most %zu bytes", unit,
                            sizeof reg->unit - 1);
}

bool map_row_is_clock(struct map_reader *reader, const struct map_register *reg)
{
    const char *text = map_reader_cell(reader, COLUMN_TIME);

    if (*text == '\0')
        return false;
    if (strcmp(text, "device") != 0)
        map_reader_complain(reader, COLUMN_TIME, "time '%s'; expected device, or nothing", text);
    else if (reg->type != REGISTER_UINT && reg->type != REGISTER_INT && reg->type < REGISTER_TIME)
        map_reader_complain(reader, COLUMN_TIME,
                            "%s cannot be a clock; expected a packed time with its order, or a "
                            "whole number that is ms UTC after its scale",
                            reg->type_name);
    else
        return true;
    return false;
}

int map_row_read(struct map_reader *reader, enum map_row_kind *ret_kind,
                 struct map_register *ret_reg)
{
    struct map_register reg = {.line = 0};
    size_t mistakes = reader->mistakes;
    enum map_row_kind kind;

    read_name(reader, &reg);
    kind = read_access(reader, &reg);
    if (kind == MAP_ROW_SKIPPED && reader->mistakes > mistakes)
        kind = MAP_ROW_UNKNOWN;
    if (kind == MAP_ROW_REGISTER && !read_type(reader, &reg))
        kind = MAP_ROW_UNKNOWN;
    if (kind == MAP_ROW_REGISTER) {
        reg.line = csv_line(reader->csv, reader->row);
        reg.view = map_reader_cell(reader, COLUMN_VIEW);
        read_address(reader, &reg);
        read_bits(reader, &reg);
        read_figures(reader, &reg);
        read_unit(reader, &reg);
        int err = read_enum(reader, &reg);
        if (err != 0)
            return err;
        *ret_reg = reg;
    }
    *ret_kind = kind;
    return 0;
}
