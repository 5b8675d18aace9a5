/*
 * What a read costs on the wire: the arithmetic by which plans are made and a bus is judged.
 *
 * A serial line ("MODBUS over Serial Line" V1.02, 2.3.2 and 2.5.1.1): 8 characters ask and 5 + data
 * answer, each 11 bits (10 with neither parity nor a second stop bit); 3.5 characters of silence
 * stand before each frame, 1.75 ms above 19200 baud. A network: 12 bytes ask and 9 + data answer
 * ("MODBUS Messaging on TCP/IP" V1.0b, 3.1.3), each in a frame of 78 bytes more, at 100 Mbit/s. To
 * both comes the unit's latency, on a network with the way to it and back. Pure; any thread.
 */
#ifndef DRIVERS_MODBUS_WIRE_H
#define DRIVERS_MODBUS_WIRE_H

#include "model/link_url.h"

#include <stdint.h>

struct wire {
    int64_t baud;  /* of the serial line; 0: a network */
    int char_bits; /* of a serial line: 10 to 12 */
};

/* What lies behind the url; a serial line beyond a network whose speed is not told is a network. */
struct wire wire_of_url(const struct link_url *url);

/* A unit's latency where nothing is said of it and nothing measured yet. */
int64_t wire_latency_us(const struct wire *wire);

/* Reading `count` registers (functions 3, 4) or bits (1, 2), from silence to the end of the reply,
 * in ns: it grows with the count. */
int64_t wire_read_ns(const struct wire *wire, int64_t latency_us, uint8_t function, uint32_t count);

/* A request that nobody answers. */
int64_t wire_timeout_ns(const struct wire *wire, int64_t timeout_us);

#endif
