#include "drivers/simulator/encode.h"

#include "base/error.h"
#include "base/numbers.h"
#include "drivers/modbus/decode.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Of a difference that is arithmetic alone. */
#define ROUNDING 1e-12

/* Of a float32: half of its last digit. */
#define SINGLE_ROUNDING 6e-8

/* The number of values that a counter has. */
static double counter_size(const struct map_register *reg)
{
    return reg->type == REGISTER_BCD ? pow(10, 2 * reg->bytes) : ldexp(1.0, 8 * reg->bytes);
}

/* Decimal digits, four bits each. A counter that is full begins at zero again. */
static uint64_t bcd_bits(const struct map_register *reg, double raw)
{
    double whole = isfinite(raw) ? fmod(fmax(0, nearbyint(raw)), counter_size(reg)) : 0;
    uint64_t number = (uint64_t)whole, bits = 0;
    for (int i = 0; i < 2 * reg->bytes; i++, number /= 10)
        bits |= number % 10 << 4 * i;
    return bits;
}

/* The raw number's bits, least significant first in the result. */
static uint64_t raw_bits(const struct map_register *reg, double raw)
{
    if (reg->type == REGISTER_BCD)
        return bcd_bits(reg, raw);
    if (reg->type == REGISTER_FLOAT && reg->bytes == 4) {
        float narrow = isnan(raw) ? NAN : (float)fmax(-(double)FLT_MAX, fmin((double)FLT_MAX, raw));
        uint32_t bits;
        memcpy(&bits, &narrow, sizeof(bits));
        return bits;
    }
    if (reg->type == REGISTER_FLOAT) {
        uint64_t bits;
        memcpy(&bits, &raw, sizeof(bits));
        return bits;
    }
    int width = reg->bytes * 8;
    bool is_signed = reg->type == REGISTER_INT;
    double most = ldexp(1.0, is_signed ? width - 1 : width) - 1.0;
    double least = is_signed ? -most - 1.0 : 0.0;
    double whole = nearbyint(raw);
    if (whole >= most)
        return is_signed ? (UINT64_MAX >> (65 - width)) : (UINT64_MAX >> (64 - width));
    if (whole <= least)
        whole = least;
    return is_signed ? (uint64_t)(int64_t)whole : (uint64_t)whole;
}

bool encode_can_say_nothing(const struct map_register *reg)
{
    return reg->sentinel_count > 0 || reg->type == REGISTER_FLOAT || reg->type == REGISTER_BCD;
}

static uint64_t nothing_bits(const struct map_register *reg)
{
    if (reg->sentinel_count > 0)
        return reg->sentinels[0];
    if (reg->type == REGISTER_BCD)
        return UINT64_MAX >> (64 - 8 * reg->bytes); /* no digits */
    return raw_bits(reg, reg->type == REGISTER_FLOAT ? (double)NAN : HUGE_VAL);
}

int encode_registers(const struct map_register *reg, double value, uint16_t *registers)
{
    if (reg->type == REGISTER_BITS && reg->bit != REGISTER_WHOLE_WORD) {
        uint16_t mask = (uint16_t)(1u << reg->bit);
        if (value >= 0.5)
            registers[reg->address] |= mask;
        else
            registers[reg->address] &= (uint16_t)~mask;
        return 0;
    }
    if (reg->type == REGISTER_BIT || reg->type == REGISTER_TEXT || reg->type == REGISTER_TIME)
        return ERR_INVALID;
    uint64_t bits = isnan(value)
                        ? nothing_bits(reg)
                        : raw_bits(reg, reg->exact ? value : (value - reg->offset) / reg->scale);
    uint8_t wire[8] = {0};
    if (reg->bytes == 1) { /* the other byte of the word is somebody else's */
        int shift = reg->order[0] == 0 ? 8 : 0;
        unsigned others = registers[reg->address] & ~(0xffu << shift);
        registers[reg->address] = (uint16_t)(others | (unsigned)bits << shift);
        return 0;
    }
    for (int i = 0; i < reg->bytes; i++)
        wire[i] = (uint8_t)(bits >> (8 * (reg->bytes - 1 - reg->order[i])));
    for (int w = 0; w < reg->words; w++)
        registers[reg->address + w] = (uint16_t)(wire[2 * w] << 8 | wire[2 * w + 1]);
    return 0;
}

bool encode_holds_number(const struct map_register *reg)
{
    return reg->type != REGISTER_TEXT && reg->type != REGISTER_TIME;
}

double encode_read_back(const struct map_register *reg, double value)
{
    struct map_register alone = *reg;
    struct sample sample = {0};
    uint16_t registers[4] = {0};
    uint8_t wire[8];
    double number = (double)NAN;
    alone.address = 0;
    if (reg->type == REGISTER_BIT)
        return value >= 0.5;
    if (!encode_holds_number(reg) || encode_registers(&alone, value, registers))
        return (double)NAN;
    for (int w = 0; w < reg->words; w++) {
        wire[2 * w] = (uint8_t)(registers[w] >> 8);
        wire[2 * w + 1] = (uint8_t)registers[w];
    }
    decode_registers(&alone, wire, &sample);
    if (sample.value.kind == VALUE_TEXT) /* a whole number that no double holds */
        return parse_double(sample.value.text, &number) ? (double)NAN : number;
    return sample.value.kind == VALUE_NONE ? (double)NAN : sample.value.number;
}

bool encode_fits(const struct map_register *reg, double value)
{
    bool is_float = reg->type == REGISTER_FLOAT, is_single = is_float && reg->bytes == 4;
    double step = fabs(reg->scale) * (is_float ? (double)FLT_TRUE_MIN : 1);
    double size = fabs(value) + (reg->exact ? 0 : fabs(reg->offset));
    double room = step / 2 + size * (is_single ? SINGLE_ROUNDING : ROUNDING);
    return fabs(encode_read_back(reg, value) - value) <= room; /* never of NaN */
}

double encode_counter(const struct map_register *reg, double total)
{
    if (reg->type != REGISTER_BCD && reg->type != REGISTER_UINT)
        return total;
    double raw = nearbyint(reg->exact ? total : (total - reg->offset) / reg->scale);
    if (!(raw >= counter_size(reg)))
        return total; /* not even rounded */
    raw = fmod(raw, counter_size(reg));
    return reg->exact ? raw : raw * reg->scale + reg->offset;
}
