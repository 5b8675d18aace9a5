#include "drivers/modbus/decode.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/numbers.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Doubles hold every whole number up to here. */
#define WHOLE_LIMIT ((uint64_t)1 << 53)

void decode_bad(enum cause cause, struct sample *sample)
{
    sample->quality = QUALITY_BAD;
    sample->cause = cause;
    sample->value = (struct value){.kind = VALUE_NONE};
}

static void set_good(struct sample *sample, enum value_kind kind, double number)
{
    sample->quality = QUALITY_GOOD;
    sample->cause = CAUSE_NONE;
    sample->value = (struct value){.kind = kind, .number = number};
}

static void judge_range(const struct map_register *reg, double number, struct sample *sample)
{
    if ((reg->has_min && number < reg->min) || (reg->has_max && number > reg->max)) {
        sample->quality = QUALITY_BAD;
        sample->cause = CAUSE_OUT_OF_RANGE;
    }
}

/* Scales and judges a number; `kind` is what it is while it stays as it came. */
static void set_number(const struct map_register *reg, enum value_kind kind, double raw,
                       struct sample *sample)
{
    double number = raw;

    if (!reg->exact) {
        kind = VALUE_DOUBLE;
        number = map_register_scaled(reg, raw);
    }
    if (!isfinite(number)) {
        decode_bad(CAUSE_NOT_A_NUMBER, sample);
        return;
    }
    set_good(sample, kind, number);
    judge_range(reg, number, sample);
}

static int by_number(const void *key, const void *entry)
{
    int64_t number = *(const int64_t *)key;
    const struct register_word *word = entry;

    return number < word->number ? -1 : number > word->number;
}

/* The word that a number stands for. One that stands for none is kept, and is out of range. */
static void set_enum_word(const struct map_register *reg, bool negative, uint64_t size,
                          struct sample *sample)
{
    int64_t number = size > INT64_MAX ? INT64_MAX : negative ? -(int64_t)size : (int64_t)size;
    const struct register_word *word =
        bsearch(&number, reg->enum_words, reg->enum_count, sizeof reg->enum_words[0], by_number);

    if (word != NULL) {
        set_good(sample, VALUE_TEXT, 0);
        memcpy(sample->value.text, word->text, word->len);
        return;
    }
    set_good(sample, VALUE_DOUBLE, (double)number);
    sample->quality = QUALITY_BAD;
    sample->cause = CAUSE_OUT_OF_RANGE;
}

/* A whole number, told as its size and sign. */
static void set_whole(const struct map_register *reg, bool negative, uint64_t size,
                      struct sample *sample)
{
    double number = negative ? -(double)size : (double)size;

    if (reg->enum_count > 0) {
        set_enum_word(reg, negative, size, sample);
        return;
    }
    if (!reg->exact || size <= WHOLE_LIMIT) {
        set_number(reg, VALUE_DOUBLE, number, sample);
        return;
    }
    set_good(sample, VALUE_TEXT, 0);
    sample->value.text[0] = '-';
    print_u64(size, sample->value.text + (negative ? 1 : 0));
    judge_range(reg, number, sample);
}

static void set_signed(const struct map_register *reg, uint64_t raw, struct sample *sample)
{
    unsigned unused = 64u - 8u * reg->bytes;
    bool negative = (raw << unused) >> 63 != 0;
    uint64_t size = negative ? (0 - (raw << unused)) >> unused : raw;

    set_whole(reg, negative, size, sample);
}

/* IEEE 754 binary16: a sign, five bits of exponent, ten of fraction. */
static double half_float(unsigned raw)
{
    unsigned exponent = raw >> 10 & 31;
    double fraction = raw & 1023;
    double size = exponent == 31  ? (fraction > 0 ? (double)NAN : (double)INFINITY)
                  : exponent == 0 ? ldexp(fraction, -24)
                                  : ldexp(1024 + fraction, (int)exponent - 25);

    return raw >> 15 != 0 ? -size : size;
}

static void set_float(const struct map_register *reg, uint64_t raw, struct sample *sample)
{
    uint32_t word = (uint32_t)raw;
    float single;
    double number;

    if (reg->bytes == 4) {
        memcpy(&single, &word, sizeof single);
        set_number(reg, VALUE_FLOAT, (double)single, sample);
    } else if (reg->bytes == 2) {
        set_number(reg, VALUE_FLOAT, half_float(word), sample);
    } else {
        memcpy(&number, &raw, sizeof number);
        set_number(reg, VALUE_DOUBLE, number, sample);
    }
}

static void set_bcd(const struct map_register *reg, uint64_t raw, struct sample *sample)
{
    uint64_t number = 0;

    for (int shift = 8 * reg->bytes - 4; shift >= 0; shift -= 4) {
        uint64_t digit = raw >> shift & 15;
        if (digit > 9) {
            decode_bad(CAUSE_NOT_A_NUMBER, sample);
            return;
        }
        number = number * 10 + digit;
    }
    set_whole(reg, false, number, sample);
}

/* Up to the first NUL, without blanks at its end; GBK becomes UTF-8. */
static void set_text(const struct map_register *reg, const uint8_t *wire, struct sample *sample)
{
    char text[REGISTER_TEXT_MAX + 1];
    struct buffer utf8;
    size_t len = 0;

    for (size_t i = 0; i < reg->bytes; i++)
        text[i] = (char)wire[i / 2 * 2 + reg->order[i % 2]];
    while (len < reg->bytes && text[len] != '\0')
        len++;
    while (len > 0 && (text[len - 1] == ' ' || (unsigned char)text[len - 1] == 0xFF))
        len--;
    buffer_init(&utf8, VALUE_TEXT_SIZE - 1);
    if (text_to_utf8(text, len, &utf8) == 0) {
        set_good(sample, VALUE_TEXT, 0);
        memcpy(sample->value.text, buffer_text(&utf8), utf8.len + 1);
    } else {
        decode_bad(CAUSE_BAD_RESPONSE, sample);
    }
    buffer_release(&utf8);
}

/* The i-th byte on the wire, where it belongs among those up to `last`. */
static inline uint64_t placed(const struct map_register *reg, const uint8_t *wire, unsigned i,
                              unsigned last)
{
    return (uint64_t)wire[i] << 8 * (last - reg->order[i]);
}

/* The bytes by their significance. Most values are of two registers: those go without a loop. */
static uint64_t raw_value(const struct map_register *reg, const uint8_t *wire)
{
    unsigned last = 2u * reg->words - 1;
    uint64_t raw = 0;

    if (last == 3)
        return placed(reg, wire, 0, 3) | placed(reg, wire, 1, 3) | placed(reg, wire, 2, 3) |
               placed(reg, wire, 3, 3);
    for (unsigned i = 0; i <= last; i++)
        raw |= placed(reg, wire, i, last);
    return reg->bytes == 1 ? raw >> 8 : raw;
}

static bool is_sentinel(const struct map_register *reg, uint64_t raw)
{
    for (size_t i = 0; i < reg->sentinel_count; i++)
        if (reg->sentinels[i] == raw)
            return true;
    return false;
}

static void set_bytes(const struct map_register *reg, const uint8_t *wire, struct sample *sample)
{
    set_good(sample, VALUE_TEXT, 0);
    print_hex(wire, reg->bytes, sample->value.text);
}

/* One part of a packed time; -1 for digits that are none. */
static int time_part(const struct map_register *reg, const uint8_t *wire, unsigned at)
{
    unsigned byte = wire[at];

    if (reg->bytes == 2 * REGISTER_TIME_FIELDS)
        return wire[2 * at] << 8 | wire[2 * at + 1];
    if (reg->type != REGISTER_TIME_BCD)
        return (int)byte;
    return byte >> 4 > 9 || (byte & 15) > 9 ? -1 : (int)(10 * (byte >> 4) + (byte & 15));
}

/* In ms since 1970, as if the device's clock showed UTC; the offset tells what it does show. */
static void set_time(const struct map_register *reg, const uint8_t *wire, struct sample *sample)
{
    int parts[REGISTER_TIME_FIELDS];
    char text[80];
    int64_t ms;

    for (unsigned i = 0; i < REGISTER_TIME_FIELDS; i++)
        parts[reg->order[i]] = time_part(reg, wire, i);
    if (parts[0] >= 0 && parts[0] < 100)
        parts[0] += 2000;
    snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02dZ", parts[0], parts[1], parts[2],
             parts[3], parts[4], parts[5]);
    if (time_parse(text, &ms) != 0)
        decode_bad(CAUSE_CLOCK, sample);
    else
        set_number(reg, VALUE_DOUBLE, (double)ms, sample);
}

/* The number that the bits of the field make up. */
static uint64_t bit_field(const struct map_register *reg, uint64_t raw)
{
    return raw >> reg->low_bit & UINT64_MAX >> (64u - reg->bits);
}

/* What bytes that make up one number, at most eight, say by their type. */
static void set_raw(const struct map_register *reg, uint64_t raw, struct sample *sample)
{
    if (reg->type == REGISTER_FLOAT)
        set_float(reg, raw, sample);
    else if (reg->type == REGISTER_INT)
        set_signed(reg, raw, sample);
    else if (reg->type == REGISTER_BCD)
        set_bcd(reg, raw, sample);
    else
        set_whole(reg, false, reg->type == REGISTER_BITS ? bit_field(reg, raw) : raw, sample);
}

/* Texts and times. */
static void set_other(const struct map_register *reg, const uint8_t *wire, struct sample *sample)
{
    if (reg->type == REGISTER_TEXT)
        set_text(reg, wire, sample);
    else if (reg->type == REGISTER_BYTES)
        set_bytes(reg, wire, sample);
    else
        set_time(reg, wire, sample);
}

void decode_registers(const struct map_register *reg, const uint8_t *wire, struct sample *sample)
{
    uint64_t raw;

    if (!map_register_is_number(reg)) {
        set_other(reg, wire, sample);
        return;
    }
    raw = raw_value(reg, wire);
    if (is_sentinel(reg, raw))
        decode_bad(CAUSE_SENSOR_FAULT, sample);
    else
        set_raw(reg, raw, sample);
}

void decode_bit(const struct map_register *reg, bool bit, struct sample *sample)
{
    set_whole(reg, false, bit ? 1 : 0, sample);
}
