/*
 * One segment of a journal as bytes: a header with the appender's state, then frames. Encoding and
 * decoding only; pure, any thread.
 *
 *   header  magic u32 · version u16 · letter u8 · 0 u8 · epoch 32 hex · first seq u64 · points
 * before u64 · made (UTC ms) i64 · state length u32 · CRC-32C u32 · state frame   magic u32 ·
 * CRC-32C u32 · payload length u32 · points u32 · seq u64 · wall i64 · mono i64 · stream points u64
 * · origin length u16 · 0 u16 · 0 u32 · origin · payload
 *
 * Little-endian. A frame's CRC also covers the segment's epoch and first sequence and the frame's
 * place in the file, so that a stale or misdirected block is noticed.
 */
#ifndef STORE_SEGMENT_H
#define STORE_SEGMENT_H

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/error.h"
#include "store/journal.h"

#include <stddef.h>
#include <stdint.h>

#define SEGMENT_VERSION     1
#define SEGMENT_HEADER_SIZE 72
#define SEGMENT_STATE_MAX   (4 * 1024 * 1024)
#define FRAME_HEADER_SIZE   56
#define FRAME_FIRST_BYTE    'C'
#define FRAME_MAX_SIZE      (FRAME_HEADER_SIZE + JOURNAL_MAX_ORIGIN + JOURNAL_MAX_PAYLOAD)

struct segment_header {
    char letter;
    char epoch[EPOCH_SIZE];
    uint64_t first_seq;
    uint64_t points_before; /* of the stream, in the epoch, before this segment */
    int64_t made_ms;
    uint32_t state_len;
    uint16_t version;
};

void segment_header_encode(const struct segment_header *header, const void *state,
                           struct buffer *out);

/* From the first SEGMENT_HEADER_SIZE bytes; its CRC is checked by segment_state_check, which needs
 * the state too. ERR_CORRUPT when it is none, ERR_RANGE when of a later version. */
MUST_CHECK int segment_header_decode(const void *bytes, struct segment_header *ret_header);
MUST_CHECK int segment_state_check(const void *header_bytes, const void *state, size_t len);

/* Appends the frame as it stands at `offset` of the file. */
void frame_encode(const struct segment_header *header, uint64_t offset,
                  const struct journal_frame *frame, struct buffer *out);
size_t frame_size(const struct journal_frame *frame);

/* The frame that begins at `bytes`, which lies at `offset` of the file; its payload points into
 * `bytes`. ERR_AGAIN: `len` is too short for it. ERR_CORRUPT: it is none. */
MUST_CHECK int frame_decode(const struct segment_header *header, uint64_t offset, const char *bytes,
                            size_t len, struct journal_frame *ret_frame, size_t *ret_size);

#endif
