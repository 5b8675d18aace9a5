/*
 * Segment files: made so that they never exist half, and read frame by frame over any damage.
 *
 * A segment is made under a name that recovery throws away (".tmp") and renamed once its header
 * is durable: a segment file with a bad header is damage, never a file in the making.
 */
#ifndef STORE_SEGMENT_FILE_H
#define STORE_SEGMENT_FILE_H

#include "base/files.h"
#include "store/journal_io.h"
#include "store/segment.h"

#define SEGMENT_NAME_SIZE 40

/* "s-000000000042.seg" */
void segment_name(char letter, uint64_t serial, char ret_name[SEGMENT_NAME_SIZE]);

/* Joins folder and name; the folder was checked at opening to leave room. */
void segment_path(const char *folder, const char *name, char ret_path[FILE_PATH_SIZE]);

/* The serial in a file's name, whatever its letter and ending; 0 when there is none. */
uint64_t segment_name_serial(const char *name);

/* Reserves a nameless segment's space. ERR_FULL when there is none. Nothing is left on failure. */
MUST_CHECK int segment_file_reserve(const struct journal_io *io, const char *path, uint64_t bytes,
                                    int *ret_fd);

/* Writes header and state into the reserved file `fd` at `from`, makes both and then the name
 * `to` durable. On failure `fd` is still the caller's, and must not be flushed again. */
MUST_CHECK int segment_file_begin(const struct journal_io *io, int fd, const char *folder,
                                  const char *from, const char *to, struct segment_header *header,
                                  const void *state);

/* ERR_CORRUPT (also where the disk reads all but the beginning), ERR_RANGE (a later version), or
 * why it cannot be read: ERR_IO, a disk that reads nothing of it for now. Its size in any case. */
MUST_CHECK int segment_file_header(const struct journal_io *io, const char *path,
                                   struct segment_header *ret_header, uint64_t *ret_size);

/* Appends the owner's state to `out`. ERR_CORRUPT when it fails its checksum. */
MUST_CHECK int segment_file_state(const struct journal_io *io, const char *path,
                                  const struct segment_header *header, struct buffer *out);

/* What lay before a frame and was none: `bytes` of 0 where all is well. */
struct segment_damage {
    uint64_t offset, bytes;
    /* The frame before it. */
    uint64_t seq, points;
    int64_t wall_ms;
};

/*
 * Reads a segment's frames in order. A frame counts only with a sequence that can stand there:
 * sequences in a segment have no holes, so after n bad bytes at most n / FRAME_HEADER_BYTES are
 * missing.
 *
 * What a disk does not read now it may read later. So a cursor that `waits` says ERR_IO there, and
 * stands; its user comes again. One that does not tries some times at once, and then takes the
 * sector for zeros, and so for damage: it is for those who cannot wait, and for a sector that was
 * waited for long enough.
 */
struct segment_cursor {
    const struct journal_io *io;
    int fd;
    char letter;
    uint32_t seed;
    uint64_t offset; /* where the next frame should begin */
    uint64_t end;    /* nothing at or behind it is read */
    bool waits;
    /* The frame before `offset`. */
    uint64_t seq, points;
    int64_t wall_ms;
    /* Bytes of the file from `at` on. */
    uint8_t *bytes;
    size_t capacity, filled;
    uint64_t at;
};

/* Takes over `fd`. The caller fills in what the cursor begins with: offset, end, seq, points. */
void segment_cursor_init(struct segment_cursor *cursor, const struct journal_io *io, int fd,
                         char letter, uint32_t seed);
/* Closes the file. Harmless on a cursor of zeros. */
void segment_cursor_release(struct segment_cursor *cursor);

/* The next frame, valid until the next call; what was passed over is told in `ret_damage`.
 * ERR_NOT_FOUND: none up to the end, and `ret_damage` tells of all that is left. ERR_NO_MEMORY;
 * ERR_IO: see above. */
MUST_CHECK int segment_cursor_next(struct segment_cursor *cursor, struct journal_frame *ret_frame,
                                   struct segment_damage *ret_damage);

/* How many bytes from `from` on hold anything but zeros behind them: what was torn at a tail. */
MUST_CHECK int segment_cursor_used(struct segment_cursor *cursor, uint64_t from,
                                   uint64_t *ret_bytes);

#endif
