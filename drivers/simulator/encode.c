#include "drivers/simulator/encode.h"

#include "base/error.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* The raw number's bits, least significant first in the result. */
static uint64_t raw_bits(const struct map_register *reg, double raw)
{
    if (reg->type == REGISTER_FLOAT && reg->bytes == 4) {
        float narrow = (float)fmax(-(double)FLT_MAX, fmin((double)FLT_MAX, raw));
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
    if (reg->type != REGISTER_UINT && reg->type != REGISTER_INT && reg->type != REGISTER_FLOAT &&
        reg->type != REGISTER_BITS)
        return ERR_INVALID;
    uint64_t bits = raw_bits(reg, (value - reg->offset) / reg->scale);
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
