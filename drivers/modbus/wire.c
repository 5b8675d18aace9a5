#include "drivers/modbus/wire.h"

#include "base/clock.h"
#include "base/numbers.h"

#include <string.h>

#define NS_PER_S  1000000000
#define NS_PER_US 1000

#define BAUD_MAX     4000000
#define BAUD_DEFAULT 9600

/* Typical of instruments, and of a round trip in one building. */
#define SERIAL_LATENCY_US  20000
#define NETWORK_LATENCY_US 5000

#define SERIAL_CHARS 13 /* address, function, start, count, CRC; address, function, size, CRC */
#define SILENCE_NS   1750000 /* fixed above this: */
#define SILENCE_BAUD 19200

#define NETWORK_BYTES   (12 + 9 + 2 * 78)
#define NETWORK_BYTE_NS 80

/* The text after "key=", up to the next '&', into `ret_text`; false when it is not there. */
static bool parameter(const char *url, const char *key, char *ret_text, size_t size)
{
    const char *at = strchr(url, '?');
    size_t len = strlen(key);

    while (at != NULL) {
        at++;
        if (strncmp(at, key, len) == 0 && at[len] == '=') {
            size_t end = strcspn(at + len + 1, "&");
            if (end >= size)
                return false;
            memcpy(ret_text, at + len + 1, end);
            ret_text[end] = '\0';
            return true;
        }
        at = strchr(at, '&');
    }
    return false;
}

struct wire wire_of_url(const char *url)
{
    struct wire wire = {.baud = BAUD_DEFAULT, .char_bits = 11};
    char text[16];
    bool parity = true;

    if (strncmp(url, "tcp://", 6) == 0)
        return (struct wire){.baud = 0};
    if (parameter(url, "baud", text, sizeof text) && parse_i64(text, 1, BAUD_MAX, &wire.baud) != 0)
        wire.baud = BAUD_DEFAULT;
    if (parameter(url, "parity", text, sizeof text))
        parity = text[0] != 'N' && text[0] != 'n';
    if (!parity && !(parameter(url, "stop", text, sizeof text) && strcmp(text, "2") == 0))
        wire.char_bits = 10;
    return wire;
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

/* 3.5 characters of 11 bits, or what is fixed. */
static int64_t silence_ns(const struct wire *wire)
{
    return wire->baud > SILENCE_BAUD ? SILENCE_NS : 77 * (int64_t)NS_PER_S / (2 * wire->baud);
}

int64_t wire_read_ns(const struct wire *wire, int64_t latency_us, uint8_t function, uint32_t count)
{
    int64_t data = data_bytes(function, count);

    if (wire->baud == 0)
        return (NETWORK_BYTES + data) * NETWORK_BYTE_NS + latency_us * NS_PER_US;
    return chars_ns(wire, SERIAL_CHARS + data) + 2 * silence_ns(wire) + latency_us * NS_PER_US;
}

int64_t wire_timeout_ns(const struct wire *wire, int64_t timeout_us)
{
    return (wire->baud == 0 ? 0 : chars_ns(wire, 8)) + timeout_us * NS_PER_US;
}
