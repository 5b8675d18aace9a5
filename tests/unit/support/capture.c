#include "tests/unit/support/capture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODBUS_PORT 502
#define STREAMS_MAX 8192
#define ADU_MAX     260
#define PENDING_MAX 64
#define PACKET_MAX  65536
#define ETHERNET    14
#define TCP_SYN     2

/* One direction of a connection. */
struct stream {
    uint32_t from, to;
    uint16_t from_port, to_port;
    uint32_t next; /* the sequence number that comes next */
    uint8_t bytes[ADU_MAX + PACKET_MAX];
    size_t len;
    struct {
        uint16_t transaction;
        uint8_t pdu[5], unit;
        size_t len;          /* 0: there is none */
    } requests[PENDING_MAX]; /* the last ones, by transaction */
};

struct capture {
    capture_sink *sink;
    void *self;
    struct stream *streams[STREAMS_MAX];
    size_t count;
};

static uint16_t u16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t u32(const uint8_t *at)
{
    return (uint32_t)u16(at) << 16 | u16(at + 2);
}

static struct stream *find_stream(struct capture *capture, uint32_t from, uint16_t from_port,
                                  uint32_t to, uint16_t to_port)
{
    for (size_t i = 0; i < capture->count; i++) {
        struct stream *stream = capture->streams[i];
        if (stream->from == from && stream->to == to && stream->from_port == from_port &&
            stream->to_port == to_port)
            return stream;
    }
    return NULL;
}

static void take_reply(struct capture *capture, struct stream *stream, const uint8_t *adu,
                       size_t len)
{
    struct stream *asked =
        find_stream(capture, stream->to, stream->to_port, stream->from, stream->from_port);
    uint16_t transaction = u16(adu);
    size_t slot = transaction % PENDING_MAX;
    if (!asked || asked->requests[slot].len < 5 || asked->requests[slot].transaction != transaction)
        return;
    const uint8_t *request = asked->requests[slot].pdu;
    struct capture_reply reply = {.unit = adu[6],
                                  .function = adu[7],
                                  .start = u16(request + 1),
                                  .count = u16(request + 3),
                                  .data = adu + 9,
                                  .len = len - 9};
    size_t wanted = reply.function > 2 ? 2u * reply.count : (reply.count + 7u) / 8;
    bool right = asked->requests[slot].unit == reply.unit && request[0] == adu[7] &&
                 reply.function <= 4 && len > 9 && adu[8] == wanted && reply.len == wanted;
    asked->requests[slot].len = 0;
    if (right)
        capture->sink(capture->self, &reply);
}

static void take_adu(struct capture *capture, struct stream *stream, const uint8_t *adu, size_t len)
{
    if (stream->to_port != MODBUS_PORT) {
        take_reply(capture, stream, adu, len);
        return;
    }
    uint16_t transaction = u16(adu);
    size_t slot = transaction % PENDING_MAX;
    size_t pdu = len - 7 < 5 ? len - 7 : 5;
    memcpy(stream->requests[slot].pdu, adu + 7, pdu);
    stream->requests[slot].transaction = transaction;
    stream->requests[slot].unit = adu[6];
    stream->requests[slot].len = pdu;
}

/* Cuts what came into frames; what is none ends the stream until the next segment. */
static void cut(struct capture *capture, struct stream *stream)
{
    size_t at = 0;
    while (stream->len - at >= 8) {
        uint16_t length = u16(stream->bytes + at + 4);
        if (u16(stream->bytes + at + 2) != 0 || length < 2 || length > ADU_MAX - 6) {
            at = stream->len;
            break;
        }
        if (stream->len - at < 6u + length)
            break;
        take_adu(capture, stream, stream->bytes + at, 6u + length);
        at += 6u + length;
    }
    stream->len -= at;
    memmove(stream->bytes, stream->bytes + at, stream->len);
}

/* The stream of a segment; a new one begins with it. NULL: there is no room. */
static struct stream *stream_of(struct capture *capture, const uint8_t *ip, const uint8_t *tcp)
{
    uint32_t from = u32(ip + 12), to = u32(ip + 16);
    struct stream *stream = find_stream(capture, from, u16(tcp), to, u16(tcp + 2));
    if (stream || capture->count == STREAMS_MAX)
        return stream;
    stream = calloc(1, sizeof(*stream));
    if (!stream)
        return NULL;
    *stream = (struct stream){.from = from,
                              .to = to,
                              .from_port = u16(tcp),
                              .to_port = u16(tcp + 2),
                              .next = u32(tcp + 4)};
    return capture->streams[capture->count++] = stream;
}

/* What follows in order is appended; what came before is not; after a gap it begins anew. */
static void append(struct stream *stream, uint32_t seq, const uint8_t *data, size_t len)
{
    if (seq - stream->next >= 1u << 31)
        return;
    if (seq != stream->next)
        stream->len = 0;
    memcpy(stream->bytes + stream->len, data, len);
    stream->len += len;
    stream->next = seq + (uint32_t)len;
}

static void take_segment(struct capture *capture, const uint8_t *ip, size_t len)
{
    size_t header = 4u * (ip[0] & 15u);
    if (u16(ip + 2) < len)
        len = u16(ip + 2);
    if (ip[9] != 6 || len < header + 20)
        return;
    const uint8_t *tcp = ip + header;
    size_t data = header + 4u * (tcp[12] >> 4);
    bool syn = (tcp[13] & TCP_SYN) != 0;
    if ((u16(tcp) != MODBUS_PORT && u16(tcp + 2) != MODBUS_PORT) || (len <= data && !syn))
        return;
    struct stream *stream = stream_of(capture, ip, tcp);
    if (!stream)
        return;
    if (syn) {
        stream->next = u32(tcp + 4) + 1;
        stream->len = 0;
        return;
    }
    append(stream, u32(tcp + 4), ip + data, len - data);
    cut(capture, stream);
}

static uint32_t little(const uint8_t *at)
{
    return (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

bool capture_read(const char *path, capture_sink *sink, void *self)
{
    static uint8_t packet[PACKET_MAX];
    char command[1200];
    uint8_t head[24];
    struct capture capture = {.sink = sink, .self = self};
    snprintf(command, sizeof(command), "gzip -dc '%s' 2>/dev/null", path);
    FILE *file = popen(command, "re");
    bool right = file && fread(head, 1, 24, file) == 24 && little(head) == 0xa1b2c3d4;
    while (right && fread(head, 1, 16, file) == 16) {
        uint32_t len = little(head + 8);
        if (len > sizeof(packet) || fread(packet, 1, len, file) != len)
            break;
        if (len >= ETHERNET + 40 && u16(packet + 12) == 0x0800)
            take_segment(&capture, packet + ETHERNET, len - ETHERNET);
    }
    if (file)
        pclose(file);
    for (size_t i = 0; i < capture.count; i++)
        free(capture.streams[i]);
    return right;
}
