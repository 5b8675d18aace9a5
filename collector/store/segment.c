#include "store/segment.h"

#include "base/crc32c.h"
#include "store/little_endian.h"

#include <string.h>

#define FORMAT_VERSION 1
#define FLAG_STATE     1

static const uint8_t SEGMENT_MAGIC[8] = {'C', 'M', 'S', 'E', 'G', 0x0d, 0x0a, 0xfe};

/* Bytes that UTF-8 never holds: no payload can look like the start of a frame. */
static const uint8_t FRAME_MAGIC[4] = {0xfb, 'F', 'R', 0xfe};

void segment_header_encode(const struct segment_header *header,
                           uint8_t ret_bytes[SEGMENT_HEADER_BYTES])
{
    uint8_t *out = ret_bytes;
    memset(out, 0, SEGMENT_HEADER_BYTES);
    memcpy(out, SEGMENT_MAGIC, sizeof(SEGMENT_MAGIC));
    put_u32(out + 8, FORMAT_VERSION);
    out[12] = (uint8_t)header->letter;
    out[13] = header->has_state ? FLAG_STATE : 0;
    memcpy(out + 16, header->epoch, SEGMENT_EPOCH_BYTES);
    put_u64(out + 32, header->serial);
    put_u64(out + 40, header->first);
    put_u64(out + 48, header->previous_serial);
    put_u64(out + 56, header->previous_last);
    put_u64(out + 64, header->points);
    put_u64(out + 72, (uint64_t)header->previous_ms);
    put_u64(out + 80, (uint64_t)header->wall_ms);
    put_u32(out + 88, header->state_len);
    put_u32(out + 92, header->state_crc);
    for (size_t i = 0; i < JOURNAL_MAX_STREAMS; i++) {
        out[96 + i] = (uint8_t)header->letters[i];
        put_u64(out + 104 + 8 * i, header->last[i]);
    }
    put_u32(out + SEGMENT_HEADER_BYTES - 4, crc32c(0, out, SEGMENT_HEADER_BYTES - 4));
}

int segment_header_decode(const uint8_t *bytes, size_t len, struct segment_header *ret_header)
{
    if (len < SEGMENT_HEADER_BYTES || memcmp(bytes, SEGMENT_MAGIC, sizeof(SEGMENT_MAGIC)) != 0 ||
        get_u32(bytes + SEGMENT_HEADER_BYTES - 4) != crc32c(0, bytes, SEGMENT_HEADER_BYTES - 4))
        return ERR_CORRUPT;
    if (get_u32(bytes + 8) != FORMAT_VERSION)
        return ERR_RANGE;
    struct segment_header header = {
        .letter = (char)bytes[12],
        .has_state = (bytes[13] & FLAG_STATE) != 0,
        .serial = get_u64(bytes + 32),
        .first = get_u64(bytes + 40),
        .previous_serial = get_u64(bytes + 48),
        .previous_last = get_u64(bytes + 56),
        .points = get_u64(bytes + 64),
        .previous_ms = (int64_t)get_u64(bytes + 72),
        .wall_ms = (int64_t)get_u64(bytes + 80),
        .state_len = get_u32(bytes + 88),
        .state_crc = get_u32(bytes + 92),
    };
    memcpy(header.epoch, bytes + 16, SEGMENT_EPOCH_BYTES);
    for (size_t i = 0; i < JOURNAL_MAX_STREAMS; i++) {
        header.letters[i] = (char)bytes[96 + i];
        header.last[i] = get_u64(bytes + 104 + 8 * i);
    }
    if (header.first == 0 || header.serial == 0 || header.previous_last >= header.first ||
        header.state_len > SEGMENT_MAX_STATE)
        return ERR_CORRUPT;
    *ret_header = header;
    return 0;
}

uint32_t segment_seed(const struct segment_header *header)
{
    uint8_t id[SEGMENT_EPOCH_BYTES + 16];
    memcpy(id, header->epoch, SEGMENT_EPOCH_BYTES);
    put_u64(id + SEGMENT_EPOCH_BYTES, header->serial);
    put_u64(id + SEGMENT_EPOCH_BYTES + 8, header->first);
    return crc32c(0, id, sizeof(id));
}

size_t frame_size(size_t origin_len, size_t payload_len)
{
    return FRAME_HEADER_BYTES + origin_len + payload_len;
}

void frame_append(struct buffer *out, char letter, const struct journal_frame *frame)
{
    uint8_t head[FRAME_HEADER_BYTES] = {0};
    size_t origin_len = strlen(frame->origin);
    memcpy(head, FRAME_MAGIC, sizeof(FRAME_MAGIC));
    put_u32(head + 8, (uint32_t)frame->len);
    head[12] = (uint8_t)letter;
    head[14] = (uint8_t)origin_len;
    put_u32(head + 16, frame->points);
    put_u64(head + 20, frame->seq);
    put_u64(head + 28, (uint64_t)frame->wall_ms);
    put_u64(head + 36, (uint64_t)frame->mono_us);
    put_u64(head + 44, frame->stream_points);
    buffer_append(out, head, sizeof(head));
    buffer_append(out, frame->origin, origin_len);
    buffer_append(out, frame->payload, frame->len);
}

static uint32_t frame_crc(const uint8_t *frame, size_t size, uint32_t seed, uint64_t offset)
{
    uint8_t place[8];
    put_u64(place, offset);
    return crc32c(crc32c(seed, place, sizeof(place)), frame + 8, size - 8);
}

static size_t stored_size(const uint8_t *frame)
{
    return frame_size(frame[14], get_u32(frame + 8));
}

static struct journal_frame read_head(const uint8_t *bytes)
{
    return (struct journal_frame){
        .seq = get_u64(bytes + 20),
        .wall_ms = (int64_t)get_u64(bytes + 28),
        .mono_us = (int64_t)get_u64(bytes + 36),
        .points = get_u32(bytes + 16),
        .stream_points = get_u64(bytes + 44),
    };
}

size_t frames_fit(const uint8_t *bytes, size_t len, uint64_t room, struct journal_frame *ret_last)
{
    size_t fit = 0, last = 0;
    while (fit < len && fit + stored_size(bytes + fit) <= room) {
        last = fit;
        fit += stored_size(bytes + fit);
    }
    if (fit)
        *ret_last = read_head(bytes + last);
    return fit;
}

void frames_seal(uint8_t *bytes, size_t len, uint32_t seed, uint64_t offset)
{
    for (size_t at = 0; at < len; at += stored_size(bytes + at))
        put_u32(bytes + at + 4, frame_crc(bytes + at, stored_size(bytes + at), seed, offset + at));
}

size_t frame_peek(const uint8_t *bytes, char letter)
{
    if (memcmp(bytes, FRAME_MAGIC, sizeof(FRAME_MAGIC)) != 0 || bytes[12] != (uint8_t)letter ||
        bytes[13] != 0 || bytes[14] > JOURNAL_MAX_ORIGIN || bytes[15] != 0 ||
        get_u32(bytes + 8) > JOURNAL_MAX_PAYLOAD)
        return 0;
    return stored_size(bytes);
}

int frame_decode(const uint8_t *bytes, uint32_t seed, uint64_t offset,
                 struct journal_frame *ret_frame)
{
    size_t size = stored_size(bytes);
    size_t origin_len = bytes[14];
    if (get_u32(bytes + 4) != frame_crc(bytes, size, seed, offset))
        return ERR_CORRUPT;
    *ret_frame = read_head(bytes);
    ret_frame->payload = (const char *)bytes + FRAME_HEADER_BYTES + origin_len;
    ret_frame->len = size - FRAME_HEADER_BYTES - origin_len;
    memcpy(ret_frame->origin, bytes + FRAME_HEADER_BYTES, origin_len);
    return 0;
}

size_t frame_find(const uint8_t *bytes, size_t len, size_t from)
{
    while (from < len) {
        const uint8_t *at = memchr(bytes + from, FRAME_MAGIC[0], len - from);
        if (!at)
            return len;
        from = (size_t)(at - bytes);
        size_t rest = len - from < sizeof(FRAME_MAGIC) ? len - from : sizeof(FRAME_MAGIC);
        if (memcmp(at, FRAME_MAGIC, rest) == 0)
            return from;
        from++;
    }
    return len;
}
