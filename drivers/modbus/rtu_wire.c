#include "drivers/modbus/rtu_wire.h"

#include "base/clock.h"

#define FAST_BAUD       19200
#define FAST_SILENCE_US 1750

/* What four bits of 0 to 15 leave behind when they are shifted out over 0xA001. */
static const uint16_t remainders[16] = {0x0000, 0xCC01, 0xD801, 0x1400, 0xF001, 0x3C00,
                                        0x2800, 0xE401, 0xA001, 0x6C00, 0x7800, 0xB401,
                                        0x5000, 0x9C01, 0x8801, 0x4400};

uint16_t rtu_crc(const uint8_t *bytes, size_t len)
{
    uint16_t crc = 0xFFFF;
    for (size_t i = 0; i < len; i++) {
        crc ^= bytes[i];
        crc = (uint16_t)(crc >> 4 ^ remainders[crc & 15]);
        crc = (uint16_t)(crc >> 4 ^ remainders[crc & 15]);
    }
    return crc;
}

int64_t rtu_wire_us(unsigned baud, unsigned bits, size_t count)
{
    if (baud == 0)
        return 0;
    return ((int64_t)count * bits * US_PER_S + baud - 1) / baud;
}

int64_t rtu_silence_us(unsigned baud)
{
    if (baud > FAST_BAUD)
        return FAST_SILENCE_US;
    return (rtu_wire_us(baud, RTU_CHARACTER_BITS, 7) + 1) / 2;
}
