/*
 * Two tables hold what a map may say of a register: types, and orders. An order is kept as its
 * permutation, so that decoding needs no case for any of them.
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
    {"bit", REGISTER_BIT, 1},     {"bits16", REGISTER_BITS, 2},   {"uint8", REGISTER_UINT, 1},
    {"int8", REGISTER_INT, 1},    {"uint16", REGISTER_UINT, 2},   {"int16", REGISTER_INT, 2},
    {"uint32", REGISTER_UINT, 4}, {"int32", REGISTER_INT, 4},     {"uint64", REGISTER_UINT, 8},
    {"int64", REGISTER_INT, 8},   {"float32", REGISTER_FLOAT, 4}, {"float64", REGISTER_FLOAT, 8},
    {"bcd16", REGISTER_BCD, 2},   {"bcd32", REGISTER_BCD, 4},     {"bcd48", REGISTER_BCD, 6},
    {"bcd64", REGISTER_BCD, 8},   {"time6", REGISTER_TIME, 6},
};

/* Each is made of swaps of bytes in a word, of words, and of pairs of words. */
static const char *const orders[] = {
    "AB",       "BA",       "ABCD",     "CDAB",     "BADC",     "DCBA",
    "ABCDEF",   "EFCDAB",   "BADCFE",   "FEDCBA",   "ABCDEFGH", "BADCFEHG",
    "CDABGHEF", "DCBAHGFE", "EFGHABCD", "FEHGBADC", "GHEFCDAB", "HGFEDCBA",
};

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
                       "type '%s'; expected bit, bits16, int or uint with 8 to 64 bits, float32, "
                       "float64, bcd16 to bcd64, stringN or time6",
                       type);
}

static int set_order(struct map_register *reg, const char *order, struct message *message)
{
    size_t letters = reg->type == REGISTER_TEXT ? 2u : 2u * reg->words;
    bool natural = letters == 2 || reg->type == REGISTER_TIME;

    if (*order == '\0' && natural)
        order = letters == 2 ? "AB" : "ABCDEF";
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
        .bit = REGISTER_WHOLE_WORD, .scale = 1, .divisor = 1, .exact = true, .description = ""};
    int err = set_type(&made, type, message);

    if (err == 0)
        err = text_copy(made.type_name, sizeof made.type_name, type);
    if (err == 0)
        err = set_order(&made, word_order, message);
    if (err == 0)
        *reg = made;
    return err;
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

static int parse_float(const struct map_register *reg, const char *text, uint64_t *ret_raw)
{
    double number;
    float single;
    uint32_t word;
    int err = parse_double(text, &number);

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
