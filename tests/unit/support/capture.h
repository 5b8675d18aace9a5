/*
 * Captured Modbus/TCP traffic (pcap of Ethernet frames, gzipped): the exchanges in it, put together
 * from its segments as an attentive listener would. One thread.
 */
#ifndef TESTS_CAPTURE_H
#define TESTS_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A reply to a read, function 1 to 4, with just what was asked for. */
struct capture_reply {
    uint8_t unit, function;
    uint16_t start, count; /* as the request has them */
    const uint8_t *data;   /* registers, or packed bits; until the function returns */
    size_t len;
};

typedef void capture_sink(void *self, const struct capture_reply *reply);

/* Hands on every reply of the file, in order; false when there is no such file. Segments that came
 * again are passed over; after a lost one the stream is taken up with the next. */
bool capture_read(const char *path, capture_sink *sink, void *self);

#endif
