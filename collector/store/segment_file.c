#include "store/segment_file.h"

#include "base/crc32c.h"
#include "base/numbers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES  ((size_t)64 * 1024)
#define SECTOR_BYTES ((size_t)4096) /* what is given up where a disk cannot read */
#define READ_TRIES   20             /* … it that often: a bus that was reset, or busy, answers */

/* ---- names ---- */

void segment_name(char letter, uint64_t serial, char ret_name[SEGMENT_NAME_SIZE])
{
    snprintf(ret_name, SEGMENT_NAME_SIZE, "%c-%012llu.seg", letter, (unsigned long long)serial);
}

void segment_path(const char *folder, const char *name, char ret_path[FILE_PATH_SIZE])
{
    snprintf(ret_path, FILE_PATH_SIZE, "%.*s/%s", FILE_PATH_SIZE - 100, folder, name);
}

uint64_t segment_name_serial(const char *name)
{
    char digits[21];
    uint64_t serial;
    if (name[0] == '\0' || name[1] != '-')
        return 0;
    size_t len = strspn(name + 2, "0123456789");
    if (len == 0 || len >= sizeof(digits))
        return 0;
    memcpy(digits, name + 2, len);
    digits[len] = '\0';
    return parse_u64(digits, 0, INT64_MAX, &serial) == 0 ? serial : 0;
}

/* ---- making ---- */

int segment_file_reserve(const struct journal_io *io, const char *path, uint64_t bytes, int *ret_fd)
{
    int fd;
    int err = io->open(io->self, path, true, &fd);
    if (err)
        return err;
    err = io->fallocate(io->self, fd, bytes);
    if (err) {
        io->close(io->self, fd);
        (void)!io->unlink(io->self, path);
        return err;
    }
    *ret_fd = fd;
    return 0;
}

int segment_file_begin(const struct journal_io *io, int fd, const char *folder, const char *from,
                       const char *to, struct segment_header *header, const void *state)
{
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    header->state_crc = crc32c(0, state, header->state_len);
    segment_header_encode(header, bytes);
    int err = io->pwrite(io->self, fd, bytes, sizeof(bytes), 0);
    if (!err && header->state_len)
        err = io->pwrite(io->self, fd, state, header->state_len, sizeof(bytes));
    if (!err)
        err = io->fsync(io->self, fd);
    if (!err)
        err = io->rename(io->self, from, to);
    if (!err)
        err = io->sync_folder(io->self, folder);
    return err;
}

/* ---- headers ---- */

static int read_trying(const struct journal_io *io, int fd, void *data, size_t len, uint64_t at,
                       size_t *ret_len)
{
    int err = ERR_IO;
    for (int try = 0; err == ERR_IO && try < READ_TRIES; try++)
        err = io->pread(io->self, fd, data, len, at, ret_len);
    return err;
}

/* Lost are a file's first bytes only on a disk that reads others: with a disk that answers nothing,
 * the file is as good as it was. */
static int read_beginning(const struct journal_io *io, int fd, uint8_t *bytes, uint64_t size,
                          size_t *ret_len)
{
    uint8_t byte;
    size_t len;
    int err = read_trying(io, fd, bytes, SEGMENT_HEADER_BYTES, 0, ret_len);
    if (err != ERR_IO || (size > SECTOR_BYTES && read_trying(io, fd, &byte, 1, SECTOR_BYTES, &len)))
        return err;
    return ERR_CORRUPT;
}

int segment_file_header(const struct journal_io *io, const char *path,
                        struct segment_header *ret_header, uint64_t *ret_size)
{
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    size_t len = 0;
    int fd;
    *ret_size = 0;
    int err = io->open(io->self, path, false, &fd);
    if (err)
        return err;
    err = io->size(io->self, fd, ret_size);
    if (!err)
        err = read_beginning(io, fd, bytes, *ret_size, &len);
    io->close(io->self, fd);
    return err ? err : segment_header_decode(bytes, len, ret_header);
}

int segment_file_state(const struct journal_io *io, const char *path,
                       const struct segment_header *header, struct buffer *out)
{
    uint8_t *state = NULL;
    size_t len = 0;
    int fd;
    int err = io->open(io->self, path, false, &fd);
    if (err)
        return err;
    state = malloc(header->state_len + 1U);
    err = state ? read_trying(io, fd, state, header->state_len, SEGMENT_HEADER_BYTES, &len)
                : ERR_NO_MEMORY;
    if (err)
        goto out;
    if (len != header->state_len || crc32c(0, state, len) != header->state_crc) {
        err = ERR_CORRUPT;
        goto out;
    }
    buffer_append(out, state, len);
    err = buffer_error(out);
out:
    io->close(io->self, fd);
    free(state);
    return err;
}

/* ---- the cursor ---- */

void segment_cursor_init(struct segment_cursor *cursor, const struct journal_io *io, int fd,
                         char letter, uint32_t seed)
{
    *cursor = (struct segment_cursor){.io = io, .fd = fd, .letter = letter, .seed = seed};
}

void segment_cursor_release(struct segment_cursor *cursor)
{
    if (!cursor->io)
        return;
    cursor->io->close(cursor->io->self, cursor->fd);
    free(cursor->bytes);
    *cursor = (struct segment_cursor){.fd = -1};
}

/* Reads in small pieces where the whole cannot be read: up to one that cannot, where the cursor
 * waits, else with zeros for those that cannot. `ret_len` is less than `len` at the end of the file
 * too, and what is returned tells which it is. */
static int read_around(struct segment_cursor *cursor, uint64_t at, size_t len, size_t *ret_len)
{
    int err = 0;
    size_t done = 0, got = 0, piece = 0;
    for (; !err && done < len && got == piece; done += got) {
        uint8_t *out = cursor->bytes + done;
        piece = SECTOR_BYTES - (size_t)((at + done) % SECTOR_BYTES);
        if (piece > len - done)
            piece = len - done;
        got = 0;
        err = cursor->waits
                  ? cursor->io->pread(cursor->io->self, cursor->fd, out, piece, at + done, &got)
                  : read_trying(cursor->io, cursor->fd, out, piece, at + done, &got);
        if (err == ERR_IO && !cursor->waits) {
            memset(out, 0, piece);
            got = piece;
            err = 0;
        }
    }
    *ret_len = done;
    return err;
}

static int make_capacity(struct segment_cursor *cursor, size_t capacity)
{
    if (capacity <= cursor->capacity)
        return 0;
    uint8_t *bytes = realloc(cursor->bytes, capacity);
    if (!bytes)
        return ERR_NO_MEMORY;
    cursor->bytes = bytes;
    cursor->capacity = capacity;
    return 0;
}

/* Reads `ask` bytes from `offset` on; fewer, but `want`, where the rest cannot be read now. */
static int fill(struct segment_cursor *cursor, uint64_t offset, size_t ask, size_t want)
{
    size_t got = 0;
    cursor->filled = 0;
    int err = cursor->io->pread(cursor->io->self, cursor->fd, cursor->bytes, ask, offset, &got);
    if (err)
        err = read_around(cursor, offset, ask, &got);
    if (err && got < want)
        return err;
    cursor->at = offset;
    cursor->filled = got;
    if (!err && got < ask)
        cursor->end = offset + got; /* the file is shorter than it should be */
    return 0;
}

/* The bytes at `offset`: at least `want`, fewer only at the end. */
static int view(struct segment_cursor *cursor, uint64_t offset, size_t want,
                const uint8_t **ret_bytes, size_t *ret_len)
{
    uint64_t left = offset < cursor->end ? cursor->end - offset : 0;
    if (want > left)
        want = (size_t)left;
    if (offset < cursor->at || offset + want > cursor->at + cursor->filled) {
        int err = make_capacity(cursor, want > CHUNK_BYTES ? want : CHUNK_BYTES);
        if (err)
            return err;
        err = fill(cursor, offset, cursor->capacity < left ? cursor->capacity : (size_t)left, want);
        if (err)
            return err;
    }
    size_t skip = (size_t)(offset - cursor->at);
    size_t len = cursor->filled - skip;
    *ret_bytes = cursor->bytes + skip;
    *ret_len = len < left ? len : (size_t)left;
    return 0;
}

/* Can this frame stand behind the cursor's last one, with `skipped` bad bytes between? */
static bool may_follow(const struct segment_cursor *cursor, const struct journal_frame *frame,
                       uint64_t skipped)
{
    uint64_t missing = frame->seq - cursor->seq - 1;
    if (frame->seq <= cursor->seq || missing > skipped / FRAME_HEADER_BYTES)
        return false;
    uint64_t before = frame->stream_points - frame->points;
    return frame->stream_points >= frame->points &&
           (missing > 0 ? before >= cursor->points : before == cursor->points);
}

/* The frame at `offset`; ERR_CORRUPT when there is none. */
static int take(struct segment_cursor *cursor, uint64_t offset, struct journal_frame *ret_frame,
                size_t *ret_size)
{
    const uint8_t *bytes;
    size_t len;
    struct journal_frame frame;
    int err = view(cursor, offset, FRAME_HEADER_BYTES, &bytes, &len);
    if (err)
        return err;
    size_t size = len < FRAME_HEADER_BYTES ? 0 : frame_peek(bytes, cursor->letter);
    if (size == 0)
        return ERR_CORRUPT;
    err = view(cursor, offset, size, &bytes, &len);
    if (err)
        return err;
    if (len < size || frame_decode(bytes, cursor->seed, offset, &frame) ||
        !may_follow(cursor, &frame, offset - cursor->offset))
        return ERR_CORRUPT;
    *ret_frame = frame;
    *ret_size = size;
    return 0;
}

/* The next place behind `offset` where a frame may begin, or the end. */
static int seek_magic(struct segment_cursor *cursor, uint64_t offset, uint64_t *ret_offset)
{
    for (;;) {
        const uint8_t *bytes;
        size_t len;
        int err = view(cursor, offset, FRAME_HEADER_BYTES, &bytes, &len);
        if (err)
            return err;
        size_t found = frame_find(bytes, len, 0);
        offset += found;
        if (found < len || offset >= cursor->end) {
            *ret_offset = offset;
            return 0;
        }
    }
}

int segment_cursor_next(struct segment_cursor *cursor, struct journal_frame *ret_frame,
                        struct segment_damage *ret_damage)
{
    uint64_t offset = cursor->offset;
    size_t size = 0;
    int err = offset < cursor->end ? take(cursor, offset, ret_frame, &size) : ERR_CORRUPT;
    while (err == ERR_CORRUPT && offset < cursor->end) {
        err = seek_magic(cursor, offset + 1, &offset);
        if (!err)
            err = offset < cursor->end ? take(cursor, offset, ret_frame, &size) : ERR_CORRUPT;
    }
    if (err && err != ERR_CORRUPT)
        return err;
    uint64_t until = offset < cursor->end ? offset : cursor->end;
    *ret_damage = (struct segment_damage){
        .offset = cursor->offset,
        .bytes = until > cursor->offset ? until - cursor->offset : 0,
        .seq = cursor->seq,
        .points = cursor->points,
        .wall_ms = cursor->wall_ms,
    };
    if (err)
        return ERR_NOT_FOUND;
    cursor->offset = offset + size;
    cursor->seq = ret_frame->seq;
    cursor->points = ret_frame->stream_points;
    cursor->wall_ms = ret_frame->wall_ms;
    return 0;
}

int segment_cursor_used(struct segment_cursor *cursor, uint64_t from, uint64_t *ret_bytes)
{
    uint64_t used = from;
    for (uint64_t at = from; at < cursor->end;) {
        const uint8_t *bytes;
        size_t len;
        int err = view(cursor, at, CHUNK_BYTES, &bytes, &len);
        if (err)
            return err;
        for (size_t i = len; i > 0 && used <= at; i--)
            if (bytes[i - 1] != 0)
                used = at + i;
        at += len;
    }
    *ret_bytes = used - from;
    return 0;
}
