/*
 * The bytes of a segment file: a header, the owner's state, frames. Pure: no file is touched.
 *
 *   header  160 bytes, with a checksum of its own, and that of the state behind it
 *   state   what the appender saved, may be empty
 *   frames  {magic, checksum, length, letter, flags, length of the origin, points, sequence,
 *           wall, monotonic, points of the stream}, origin, payload; little-endian
 *
 * A frame's checksum also covers which segment it belongs to (epoch, serial, first sequence) and
 * where in the file it lies: a block that a disk left stale, or wrote to a wrong place, does not
 * pass for a frame.
 */
#ifndef STORE_SEGMENT_H
#define STORE_SEGMENT_H

#include "base/attributes.h"
#include "base/buffer.h"
#include "store/journal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEGMENT_EPOCH_BYTES  16
#define SEGMENT_HEADER_BYTES 160
#define SEGMENT_MAX_STATE    (4 * 1024 * 1024)
#define FRAME_HEADER_BYTES   52
#define FRAME_MAX_BYTES      (FRAME_HEADER_BYTES + JOURNAL_MAX_ORIGIN + JOURNAL_MAX_PAYLOAD)

struct segment_header {
    uint8_t epoch[SEGMENT_EPOCH_BYTES];
    uint64_t serial; /* of the file, never used twice in a journal */
    char letter;
    bool has_state; /* of the owner, as of the records before `first` */
    uint64_t first; /* sequence of the first frame */
    /* The stream before it, so that a hole can be told exactly. */
    uint64_t previous_serial; /* 0: none */
    uint64_t previous_last;
    uint64_t points; /* samples in the stream before `first` */
    int64_t previous_ms;
    int64_t wall_ms; /* when the first frame was appended */
    uint32_t state_len, state_crc;
    char letters[JOURNAL_MAX_STREAMS];  /* of the journal's streams, and how far each … */
    uint64_t last[JOURNAL_MAX_STREAMS]; /* … had been used when this segment began */
};

void segment_header_encode(const struct segment_header *header,
                           uint8_t ret_bytes[SEGMENT_HEADER_BYTES]);

/* ERR_CORRUPT; ERR_RANGE: whole, but of a later version. */
MUST_CHECK int segment_header_decode(const uint8_t *bytes, size_t len,
                                     struct segment_header *ret_header);

/* What a frame's checksum begins with in this segment. */
uint32_t segment_seed(const struct segment_header *header);

/* Bytes of a frame. */
size_t frame_size(size_t origin_len, size_t payload_len);

/* Appends the frame's bytes, unsealed: seal them when their place is known. */
void frame_append(struct buffer *out, char letter, const struct journal_frame *frame);

/* How many of the `len` bytes of whole frames fit into `room`, and the last of those frames (its
 * payload and origin left out). 0: not even the first. */
size_t frames_fit(const uint8_t *bytes, size_t len, uint64_t room, struct journal_frame *ret_last);

/* Sets the checksums of the frames in `bytes`, which begin at `offset` of the segment. */
void frames_seal(uint8_t *bytes, size_t len, uint32_t seed, uint64_t offset);

/* The size of the frame that `bytes` (at least FRAME_HEADER_BYTES) begin; 0 when they begin none.
 */
size_t frame_peek(const uint8_t *bytes, char letter);

/* Decodes a frame of frame_peek's size, all of it but `stream`. ERR_CORRUPT: the checksum. */
MUST_CHECK int frame_decode(const uint8_t *bytes, uint32_t seed, uint64_t offset,
                            struct journal_frame *ret_frame);

/* The first place at or behind `from` where a frame's magic stands, or begins at the very end;
 * `len` when there is none. */
size_t frame_find(const uint8_t *bytes, size_t len, size_t from);

#endif
