#include "store/segment.h"

#include "base/crc32c.h"

#include <string.h>

#define SEGMENT_MAGIC 0x534a4d43u /* "CMJS" */
#define FRAME_MAGIC   0x464a4d43u /* "CMJF" */
#define CRC_AT        68          /* in the header */

static void put(uint8_t *at, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t *at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

void segment_header_encode(const struct segment_header *header, const void *state,
                           struct buffer *out)
{
    uint8_t bytes[SEGMENT_HEADER_SIZE] = {0};
    put(bytes, SEGMENT_MAGIC, 4);
    put(bytes + 4, SEGMENT_VERSION, 2);
    bytes[6] = (uint8_t)header->letter;
    memcpy(bytes + 8, header->epoch, EPOCH_SIZE - 1);
    put(bytes + 40, header->first_seq, 8);
    put(bytes + 48, header->points_before, 8);
    put(bytes + 56, (uint64_t)header->made_ms, 8);
    put(bytes + 64, header->state_len, 4);
    put(bytes + CRC_AT, crc32c(crc32c(0, bytes, CRC_AT), state, header->state_len), 4);
    buffer_append(out, bytes, sizeof(bytes));
    buffer_append(out, state, header->state_len);
}

int segment_header_decode(const void *data, struct segment_header *ret_header)
{
    const uint8_t *bytes = data;
    if (get(bytes, 4) != SEGMENT_MAGIC)
        return ERR_CORRUPT;
    struct segment_header header = {
        .version = (uint16_t)get(bytes + 4, 2),
        .letter = (char)bytes[6],
        .first_seq = get(bytes + 40, 8),
        .points_before = get(bytes + 48, 8),
        .made_ms = (int64_t)get(bytes + 56, 8),
        .state_len = (uint32_t)get(bytes + 64, 4),
    };
    memcpy(header.epoch, bytes + 8, EPOCH_SIZE - 1);
    if (header.version > SEGMENT_VERSION)
        return ERR_RANGE;
    if (!header.version || !header.first_seq || header.state_len > SEGMENT_STATE_MAX ||
        strspn(header.epoch, "0123456789abcdef") != EPOCH_SIZE - 1)
        return ERR_CORRUPT;
    *ret_header = header;
    return 0;
}

int segment_state_check(const void *header_bytes, const void *state, size_t len)
{
    uint32_t crc = (uint32_t)get((const uint8_t *)header_bytes + CRC_AT, 4);
    return crc32c(crc32c(0, header_bytes, CRC_AT), state, len) == crc ? 0 : ERR_CORRUPT;
}

size_t frame_size(const struct journal_frame *frame)
{
    return FRAME_HEADER_SIZE + strlen(frame->origin) + frame->len;
}

/* Over the frame's place, then its header behind the CRC, its origin and its payload. */
static uint32_t frame_crc(const struct segment_header *header, uint64_t offset,
                          const uint8_t *frame_header, const void *origin, size_t origin_len,
                          const void *payload, size_t len)
{
    uint8_t place[16];
    put(place, header->first_seq, 8);
    put(place + 8, offset, 8);
    uint32_t crc = crc32c(0, header->epoch, EPOCH_SIZE - 1);
    crc = crc32c(crc, place, sizeof(place));
    crc = crc32c(crc, frame_header + 8, FRAME_HEADER_SIZE - 8);
    crc = crc32c(crc, origin, origin_len);
    return crc32c(crc, payload, len);
}

void frame_encode(const struct segment_header *header, uint64_t offset,
                  const struct journal_frame *frame, struct buffer *out)
{
    size_t origin_len = strlen(frame->origin);
    uint8_t bytes[FRAME_HEADER_SIZE] = {0};
    put(bytes, FRAME_MAGIC, 4);
    put(bytes + 8, frame->len, 4);
    put(bytes + 12, frame->points, 4);
    put(bytes + 16, frame->seq, 8);
    put(bytes + 24, (uint64_t)frame->wall_ms, 8);
    put(bytes + 32, (uint64_t)frame->mono_us, 8);
    put(bytes + 40, frame->stream_points, 8);
    put(bytes + 48, origin_len, 2);
    put(bytes + 4,
        frame_crc(header, offset, bytes, frame->origin, origin_len, frame->payload, frame->len), 4);
    buffer_append(out, bytes, sizeof(bytes));
    buffer_append(out, frame->origin, origin_len);
    buffer_append(out, frame->payload, frame->len);
}

int frame_decode(const struct segment_header *header, uint64_t offset, const char *data, size_t len,
                 struct journal_frame *ret_frame, size_t *ret_size)
{
    const uint8_t *bytes = (const uint8_t *)data;
    if (len < FRAME_HEADER_SIZE)
        return ERR_AGAIN;
    size_t payload_len = get(bytes + 8, 4), origin_len = get(bytes + 48, 2);
    if (get(bytes, 4) != FRAME_MAGIC || payload_len > JOURNAL_MAX_PAYLOAD ||
        origin_len > JOURNAL_MAX_ORIGIN)
        return ERR_CORRUPT;
    size_t size = FRAME_HEADER_SIZE + origin_len + payload_len;
    if (len < size)
        return ERR_AGAIN;
    const char *origin = data + FRAME_HEADER_SIZE, *payload = origin + origin_len;
    if (get(bytes + 4, 4) !=
        frame_crc(header, offset, bytes, origin, origin_len, payload, payload_len))
        return ERR_CORRUPT;
    *ret_frame = (struct journal_frame){
        .points = (uint32_t)get(bytes + 12, 4),
        .seq = get(bytes + 16, 8),
        .wall_ms = (int64_t)get(bytes + 24, 8),
        .mono_us = (int64_t)get(bytes + 32, 8),
        .stream_points = get(bytes + 40, 8),
        .payload = payload,
        .len = payload_len,
    };
    memcpy(ret_frame->origin, origin, origin_len);
    *ret_size = size;
    return 0;
}
