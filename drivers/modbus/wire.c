#include "drivers/modbus/wire.h"

#include "drivers/modbus/rtu_wire.h"

#define NS_PER_S  1000000000
#define NS_PER_US 1000

/* Typical of instruments, and of a round trip in one building. */
#define SERIAL_LATENCY_US  20000
#define NETWORK_LATENCY_US 5000

#define SERIAL_CHARS 13 /* address, function, start, count, CRC; address, function, size, CRC */

#define NETWORK_BYTES   (12 + 9 + 2 * 78)
#define NETWORK_BYTE_NS 80

struct wire wire_of_url(const struct link_url *url)
{
    if (url->kind == LINK_TCP || url->baud == 0)
        return (struct wire){.baud = 0};
    return (struct wire){.baud = url->baud, .char_bits = (int)link_url_character_bits(url)};
}

int64_t wire_latency_us(const struct wire *wire)
{
    return wire->baud > 0 ? SERIAL_LATENCY_US : NETWORK_LATENCY_US;
}

static int64_t data_bytes(uint8_t function, uint32_t count)
{
    return function <= 2 ? (count + 7) / 8 : 2 * (int64_t)count;
}

static int64_t chars_ns(const struct wire *wire, int64_t chars)
{
    return chars * wire->char_bits * NS_PER_S / wire->baud;
}

int64_t wire_read_ns(const struct wire *wire, int64_t latency_us, uint8_t function, uint32_t count)
{
    int64_t data = data_bytes(function, count);

    if (wire->baud == 0)
        return (NETWORK_BYTES + data) * NETWORK_BYTE_NS + latency_us * NS_PER_US;
    return chars_ns(wire, SERIAL_CHARS + data) +
           2 * NS_PER_US * rtu_silence_us((unsigned)wire->baud) + latency_us * NS_PER_US;
}

int64_t wire_timeout_ns(const struct wire *wire, int64_t timeout_us)
{
    return (wire->baud == 0 ? 0 : chars_ns(wire, 8)) + timeout_us * NS_PER_US;
}
