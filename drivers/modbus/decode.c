#include "drivers/modbus/decode.h"

#include "base/buffer.h"
#include "base/numbers.h"
#include "base/text.h"

#include <math.h>
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
        number = (reg->divisor > 0 || reg->divisor < 0 ? raw / reg->divisor : raw * reg->scale) +
                 reg->offset;
    }
    if (!isfinite(number)) {
        decode_bad(CAUSE_NOT_A_NUMBER, sample);
        return;
    }
    set_good(sample, kind, number);
    judge_range(reg, number, sample);
}

/* A whole number, told as its size and sign. */
static void set_whole(const struct map_register *reg, bool negative, uint64_t size,
                      struct sample *sample)
{
    double number = negative ? -(double)size : (double)size;

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

static void set_float(const struct map_register *reg, uint64_t raw, struct sample *sample)
{
    uint32_t word = (uint32_t)raw;
    float single;
    double number;

    if (reg->bytes == 4) {
        memcpy(&single, &word, sizeof single);
        set_number(reg, VALUE_FLOAT, (double)single, sample);
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

/* The bytes by their significance. */
static uint64_t raw_value(const struct map_register *reg, const uint8_t *wire)
{
    unsigned last = 2u * reg->words - 1;
    uint64_t raw = 0;

    for (unsigned i = 0; i <= last; i++)
        raw |= (uint64_t)wire[i] << 8 * (last - reg->order[i]);
    return reg->bytes == 1 ? raw >> 8 : raw;
}

static bool is_sentinel(const struct map_register *reg, uint64_t raw)
{
    for (size_t i = 0; i < reg->sentinel_count; i++)
        if (reg->sentinels[i] == raw)
            return true;
    return false;
}

static void set_time(const struct map_register *reg, uint64_t raw, struct sample *sample)
{
    uint8_t bytes[6];

    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(raw >> 8 * (reg->bytes - 1u - i));
    set_good(sample, VALUE_TEXT, 0);
    print_hex(bytes, sizeof bytes, sample->value.text);
}

void decode_registers(const struct map_register *reg, const uint8_t *wire, struct sample *sample)
{
    uint64_t raw = reg->type == REGISTER_TEXT ? 0 : raw_value(reg, wire);

    if (is_sentinel(reg, raw)) {
        decode_bad(CAUSE_SENSOR_FAULT, sample);
        return;
    }
    switch (reg->type) {
    case REGISTER_BIT:
    case REGISTER_UINT:
        set_whole(reg, false, raw, sample);
        break;
    case REGISTER_BITS:
        set_whole(reg, false, reg->bit < 0 ? raw : raw >> reg->bit & 1, sample);
        break;
    case REGISTER_INT:
        set_signed(reg, raw, sample);
        break;
    case REGISTER_FLOAT:
        set_float(reg, raw, sample);
        break;
    case REGISTER_BCD:
        set_bcd(reg, raw, sample);
        break;
    case REGISTER_TEXT:
        set_text(reg, wire, sample);
        break;
    case REGISTER_TIME:
        set_time(reg, raw, sample);
        break;
    }
}

void decode_bit(const struct map_register *reg, bool bit, struct sample *sample)
{
    set_whole(reg, false, bit ? 1 : 0, sample);
}
