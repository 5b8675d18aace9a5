/*
 * Two tables hold what a map may say of a register: types, and orders. An order is kept as its
 * permutation, so that decoding needs no case for any of them. A packed time's order is the order
 * of its parts, in letters of their own.
 */
#include "drivers/modbus/register_type.h"

#include "base/numbers.h"
#include "base/text.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct type_name {
    const char *name;
    enum register_type type;
    uint8_t bytes;
};

static const struct type_name type_names[] = {
    {"bit", REGISTER_BIT, 1},           {"bits16", REGISTER_BITS, 2},
    {"bits32", REGISTER_BITS, 4},       {"uint8", REGISTER_UINT, 1},
    {"int8", REGISTER_INT, 1},          {"uint16", REGISTER_UINT, 2},
    {"int16", REGISTER_INT, 2},         {"uint32", REGISTER_UINT, 4},
    {"int32", REGISTER_INT, 4},         {"uint64", REGISTER_UINT, 8},
    {"int64", REGISTER_INT, 8},         {"float16", REGISTER_FLOAT, 2},
    {"float32", REGISTER_FLOAT, 4},     {"float64", REGISTER_FLOAT, 8},
    {"bcd16", REGISTER_BCD, 2},         {"bcd32", REGISTER_BCD, 4},
    {"bcd48", REGISTER_BCD, 6},         {"bcd64", REGISTER_BCD, 8},
    {"time6", REGISTER_TIME, 6},        {"time12", REGISTER_TIME, 12},
    {"bcdtime6", REGISTER_TIME_BCD, 6},
};

/* Each is made of swaps of bytes in a word, of words, and of pairs of words. */
static const char *const orders[] = {
    "AB",       "BA",       "ABCD",     "CDAB",     "BADC",     "DCBA",
    "ABCDEF",   "EFCDAB",   "BADCFE",   "FEDCBA",   "ABCDEFGH", "BADCFEHG",
    "CDABGHEF", "DCBAHGFE", "EFGHABCD", "FEHGBADC", "GHEFCDAB", "HGFEDCBA",
};

/* The parts of a packed time, greatest first. */
static const char time_letters[] = "YMDhms";

static int set_text_type(struct map_register *reg, const char *type, struct message *message)
{
    int64_t length;

    if (parse_i64(type + strlen("string"), 1, REGISTER_TEXT_MAX, &length) != 0)
        return message_set(message, ERR_INVALID,
                           "type '%s'; a string is string1 to string%d, its length in bytes", type,
                           REGISTER_TEXT_MAX);
    reg->type = REGISTER_TEXT;
    reg->bytes = (uint8_t)length;
    reg->words = (uint8_t)((length + 1) / 2);
    return 0;
}

static int set_type(struct map_register *reg, const char *type, struct message *message)
{
    const char *nearest = NULL;
    size_t distance = 3;

    if (strncmp(type, "string", strlen("string")) == 0)
        return set_text_type(reg, type, message);
    for (size_t i = 0; i < COUNT(type_names); i++) {
        size_t d = text_distance(type, type_names[i].name, 2);
        if (d == 0) {
            reg->type = type_names[i].type;
            reg->bytes = type_names[i].bytes;
            reg->bits = (uint8_t)(8 * reg->bytes);
            reg->words = (uint8_t)((reg->bytes + 1) / 2);
            return 0;
        }
        if (d < distance) {
            distance = d;
            nearest = type_names[i].name;
        }
    }
    if (nearest != NULL)
        return message_set(message, ERR_INVALID, "type '%s'; did you mean '%s'?", type, nearest);
    return message_set(message, ERR_INVALID,
                       "type '%s'; expected bit, bits16, bits32, int or uint with 8 to 64 bits, "
                       "float16 to float64, bcd16 to bcd64, stringN, time6, time12 or bcdtime6",
                       type);
}

/* Each part once; the same letters as a number's six bytes do not tell which is which. */
static int set_time_order(struct map_register *reg, const char *order, struct message *message)
{
    unsigned seen = 0;
    size_t len = strlen(order);

    if (strcmp(reg->type_name, "time6") == 0 && (len == 0 || strcmp(order, "ABCDEF") == 0)) {
        reg->type = REGISTER_BYTES;
        return 0;
    }
    for (size_t i = 0; i < len && len == REGISTER_TIME_FIELDS; i++) {
        const char *part = strchr(time_letters, order[i]);
        if (part == NULL)
            break;
        reg->order[i] = (uint8_t)(part - time_letters);
        seen |= 1u << reg->order[i];
    }
    if (seen == (1u << REGISTER_TIME_FIELDS) - 1)
        return 0;
    return message_set(message, ERR_INVALID,
                       "word_order '%s'; for %s expected the order of year, month, day, hour, "
                       "minute and second, as %s",
                       order, reg->type_name, time_letters);
}

static int set_order(struct map_register *reg, const char *order, struct message *message)
{
    size_t letters = reg->type == REGISTER_TEXT ? 2u : 2u * reg->words;

    if (reg->type == REGISTER_TIME || reg->type == REGISTER_TIME_BCD)
        return set_time_order(reg, order, message);
    if (*order == '\0' && letters == 2)
        order = "AB";
    for (size_t i = 0; i < COUNT(orders); i++) {
        if (strlen(orders[i]) != letters || strcmp(orders[i], order) != 0)
            continue;
        for (size_t k = 0; k < letters; k++)
            reg->order[k] = (uint8_t)(order[k] - 'A');
        return 0;
    }
    return message_set(
        message, ERR_INVALID, "word_order '%s'; for %s expected %s", order, reg->type_name,
        letters == 2   ? "AB or BA"
        : letters == 4 ? "ABCD, CDAB, BADC or DCBA"
        : letters == 6 ? "ABCDEF, EFCDAB, BADCFE or FEDCBA"
                       : "eight letters, as ABCDEFGH, GHEFCDAB, BADCFEHG or HGFEDCBA");
}

int map_register_init(struct map_register *reg, const char *type, const char *word_order,
                      struct message *message)
{
    struct map_register made = {
        .scale = 1, .divisor = 1, .exact = true, .view = "", .description = ""};
    int err = set_type(&made, type, message);

    if (err == 0)
        err = text_copy(made.type_name, sizeof made.type_name, type);
    if (err == 0)
        err = set_order(&made, word_order, message);
    if (err == 0)
        *reg = made;
    return err;
}

int64_t map_register_most(const struct map_register *reg)
{
    int64_t decimal = 1;

    if (reg->type == REGISTER_BCD) {
        for (int i = 0; i < 2 * reg->bytes; i++)
            decimal *= 10;
        return decimal - 1;
    }
    if (reg->type == REGISTER_BIT)
        return 1;
    if (reg->type == REGISTER_INT || reg->bits == 64)
        return INT64_MAX >> (64 - 8 * reg->bytes);
    return INT64_MAX >> (63 - reg->bits);
}

/* The bits of hex digits, as many as the value has. */
static int parse_bits(const struct map_register *reg, const char *digits, uint64_t *ret_raw)
{
    uint8_t bytes[8];
    uint64_t raw = 0;

    if (strlen(digits) != 2u * reg->bytes || parse_hex(digits, reg->bytes, bytes) != 0)
        return ERR_INVALID;
    for (size_t i = 0; i < reg->bytes; i++)
        raw = raw << 8 | bytes[i];
    *ret_raw = raw;
    return 0;
}

/* The nearest float16's bits are not searched for: such a sentinel is told by its bits. */
static int parse_float(const struct map_register *reg, const char *text, uint64_t *ret_raw)
{
    double number;
    float single;
    uint32_t word;
    int err = reg->bytes == 2 ? ERR_INVALID : parse_double(text, &number);

    if (err != 0)
        return err;
    if (reg->bytes == 8) {
        memcpy(ret_raw, &number, sizeof number);
        return 0;
    }
    if (fabs(number) > (double)FLT_MAX)
        return ERR_RANGE;
    single = (float)number;
    memcpy(&word, &single, sizeof word);
    *ret_raw = word;
    return 0;
}

/* The number's decimal digits are its hex digits. */
static int parse_bcd(const struct map_register *reg, const char *text, uint64_t *ret_raw)
{
    uint64_t number;
    uint64_t raw = 0;
    int err = parse_u64(text, 0, 9999999999999999, &number);

    if (err != 0)
        return err;
    for (int shift = 0; shift < 8 * reg->bytes; shift += 4, number /= 10)
        raw |= number % 10 << shift;
    if (number > 0)
        return ERR_RANGE;
    *ret_raw = raw;
    return 0;
}

int map_register_parse_raw(const struct map_register *reg, const char *text, uint64_t *ret_raw)
{
    uint64_t top = UINT64_MAX >> (64u - 8u * reg->bytes);
    int64_t whole;
    int err;

    if (strncmp(text, "0x", 2) == 0)
        return parse_bits(reg, text + 2, ret_raw);
    if (reg->type == REGISTER_FLOAT)
        return parse_float(reg, text, ret_raw);
    if (reg->type == REGISTER_BCD)
        return parse_bcd(reg, text, ret_raw);
    if (reg->type != REGISTER_INT)
        return parse_u64(text, 0, top, ret_raw);
    err = parse_i64(text, -(int64_t)(top / 2) - 1, (int64_t)(top / 2), &whole);
    if (err == 0)
        *ret_raw = (uint64_t)whole & top;
    return err;
}
