#include "store/journal_meta.h"

#include "base/crc32c.h"
#include "store/little_endian.h"
#include "store/segment_file.h"

#include <stdlib.h>
#include <string.h>

#define FORMAT_VERSION 2 /* 1 had no word of trust */
#define HEAD_BYTES     64
#define STREAM_BYTES   64
#define STREAM_BYTES_1 56
#define READ_TRIES     20

/* Behind the magic: checksum (of all behind it), length, version. */
static const uint8_t MAGIC[8] = {'C', 'M', 'M', 'A', 'R', 'K', 0x0a, 0xfe};

void journal_meta_init(struct journal_meta *meta)
{
    *meta = (struct journal_meta){.next_serial = 1};
    for (size_t i = 0; i < JOURNAL_MAX_STREAMS; i++) {
        meta->streams[i].front = 1;
        intervals_init(&meta->streams[i].received, META_MAX_RECEIVED);
        intervals_init(&meta->streams[i].settled, META_MAX_SETTLED);
    }
}

void journal_meta_release(struct journal_meta *meta)
{
    for (size_t i = 0; i < JOURNAL_MAX_STREAMS; i++) {
        intervals_release(&meta->streams[i].received);
        intervals_release(&meta->streams[i].settled);
    }
}

/* ---- encoding ---- */

static void encode_ranges(const struct intervals *set, struct buffer *out)
{
    for (size_t i = 0; i < set->count; i++) {
        uint8_t bytes[16];
        put_u64(bytes, set->ranges[i].first);
        put_u64(bytes + 8, set->ranges[i].last);
        buffer_append(out, bytes, sizeof(bytes));
    }
}

static void encode_stream(const struct journal_marks *marks, struct buffer *out)
{
    uint8_t bytes[STREAM_BYTES] = {0};
    bytes[0] = (uint8_t)marks->letter;
    put_u64(bytes + 8, marks->reserved);
    put_u64(bytes + 16, marks->durable);
    put_u64(bytes + 24, marks->durable_points);
    put_u64(bytes + 32, marks->front);
    put_u64(bytes + 40, marks->front_points);
    put_u32(bytes + 48, (uint32_t)marks->received.count);
    put_u32(bytes + 52, (uint32_t)marks->settled.count);
    put_u64(bytes + 56, marks->trusted);
    buffer_append(out, bytes, sizeof(bytes));
    encode_ranges(&marks->received, out);
    encode_ranges(&marks->settled, out);
}

int journal_meta_encode(const struct journal_meta *meta, struct buffer *out)
{
    uint8_t head[HEAD_BYTES] = {0};
    memcpy(head, MAGIC, sizeof(MAGIC));
    put_u32(head + 16, FORMAT_VERSION);
    head[20] = meta->clean ? 1 : 0;
    head[21] = (uint8_t)meta->stream_count;
    head[22] = meta->vouched ? 1 : 0;
    put_u64(head + 24, meta->generation);
    put_u64(head + 32, meta->next_serial);
    memcpy(head + 40, meta->epoch, SEGMENT_EPOCH_BYTES);
    buffer_clear(out);
    buffer_append(out, head, sizeof(head));
    for (size_t i = 0; i < meta->stream_count; i++)
        encode_stream(&meta->streams[i], out);
    if (buffer_error(out))
        return buffer_error(out);
    uint8_t *bytes = (uint8_t *)out->data;
    put_u32(bytes + 12, (uint32_t)out->len);
    put_u32(bytes + 8, crc32c(0, bytes + 12, out->len - 12));
    return 0;
}

/* ---- decoding ---- */

static int decode_ranges(const uint8_t **at, const uint8_t *end, size_t count,
                         struct intervals *set)
{
    if ((size_t)(end - *at) / 16 < count)
        return ERR_CORRUPT;
    for (size_t i = 0; i < count; i++, *at += 16) {
        uint64_t first = get_u64(*at), last = get_u64(*at + 8);
        if (first == 0 || first > last)
            return ERR_CORRUPT;
        int err = intervals_add(set, first, last);
        if (err)
            return err == ERR_FULL ? ERR_CORRUPT : err;
    }
    return 0;
}

/* Of version 1 nothing is trusted: the next word of the receiver vouches for it. */
static int decode_stream(const uint8_t **at, const uint8_t *end, uint32_t version,
                         struct journal_marks *marks)
{
    const uint8_t *bytes = *at;
    ptrdiff_t size = version == 1 ? STREAM_BYTES_1 : STREAM_BYTES;
    if (end - bytes < size)
        return ERR_CORRUPT;
    marks->letter = (char)bytes[0];
    marks->reserved = get_u64(bytes + 8);
    marks->durable = get_u64(bytes + 16);
    marks->durable_points = get_u64(bytes + 24);
    marks->front = get_u64(bytes + 32);
    marks->front_points = get_u64(bytes + 40);
    marks->trusted = version == 1 ? 0 : get_u64(bytes + 56);
    *at += size;
    int err = decode_ranges(at, end, get_u32(bytes + 48), &marks->received);
    return err ? err : decode_ranges(at, end, get_u32(bytes + 52), &marks->settled);
}

int journal_meta_decode(const uint8_t *bytes, size_t len, struct journal_meta *meta)
{
    if (len < HEAD_BYTES || memcmp(bytes, MAGIC, sizeof(MAGIC)) != 0)
        return ERR_CORRUPT;
    size_t used = get_u32(bytes + 12);
    if (used < HEAD_BYTES || used > len || get_u32(bytes + 8) != crc32c(0, bytes + 12, used - 12))
        return ERR_CORRUPT;
    uint32_t version = get_u32(bytes + 16);
    if (version == 0 || version > FORMAT_VERSION)
        return ERR_RANGE;
    meta->clean = bytes[20] == 1;
    meta->stream_count = bytes[21];
    meta->vouched = bytes[22] == 1;
    meta->generation = get_u64(bytes + 24);
    meta->next_serial = get_u64(bytes + 32);
    memcpy(meta->epoch, bytes + 40, SEGMENT_EPOCH_BYTES);
    if (meta->stream_count > JOURNAL_MAX_STREAMS || meta->next_serial == 0)
        return ERR_CORRUPT;
    const uint8_t *at = bytes + HEAD_BYTES;
    int err = 0;
    for (size_t i = 0; !err && i < meta->stream_count; i++)
        err = decode_stream(&at, bytes + used, version, &meta->streams[i]);
    return err;
}

/* ---- the file ---- */

/* Reads a slot. ERR_IO where the disk will not give it, asked several times. */
static int read_slot(const struct journal_io *io, int fd, size_t index, uint8_t *bytes,
                     struct journal_meta *meta, bool *ret_blank)
{
    size_t len = 0;
    int err = ERR_IO;
    *ret_blank = false;
    for (int try = 0; err == ERR_IO && try < READ_TRIES; try++)
        err = io->pread(io->self, fd, bytes, META_SLOT_BYTES, index * META_SLOT_BYTES, &len);
    if (err)
        return err;
    size_t zeros = 0;
    while (zeros < len && bytes[zeros] == 0)
        zeros++;
    *ret_blank = zeros == len;
    return journal_meta_decode(bytes, len, meta);
}

/* Keeps the newer whole one of both. */
static int choose(struct journal_meta slots[2], const int errs[2], const bool blank[2],
                  struct journal_meta *meta, enum meta_state *ret_state)
{
    int best = -1;
    /* A disk that answers nothing now may do so later. One slot that it will not give is damaged.
     */
    if (errs[0] == ERR_IO && errs[1] == ERR_IO)
        return ERR_IO;
    for (int i = 0; i < 2; i++) {
        if (errs[i] == ERR_RANGE || errs[i] == ERR_NO_MEMORY)
            return errs[i];
        if (!errs[i] && (best < 0 || slots[i].generation > slots[best].generation))
            best = i;
    }
    if (best < 0) {
        *ret_state = META_NONE;
        return 0;
    }
    /* The other slot is empty only before it was first written. */
    bool doubtful = errs[1 - best] && !(blank[1 - best] && slots[best].generation == 1);
    *ret_state = doubtful ? META_DOUBTFUL : META_WHOLE;
    struct journal_meta kept = *meta;
    *meta = slots[best];
    slots[best] = kept;
    return 0;
}

int journal_meta_read(const struct journal_io *io, const char *path, struct journal_meta *meta,
                      enum meta_state *ret_state)
{
    struct journal_meta slots[2];
    int errs[2] = {0, 0};
    bool blank[2];
    int fd;
    int err = io->open(io->self, path, false, &fd);
    if (err == ERR_NOT_FOUND) {
        *ret_state = META_NONE;
        return 0;
    }
    if (err)
        return err;
    uint8_t *bytes = malloc(META_SLOT_BYTES);
    for (size_t i = 0; i < 2; i++) {
        journal_meta_init(&slots[i]);
        errs[i] = bytes ? read_slot(io, fd, i, bytes, &slots[i], &blank[i]) : ERR_NO_MEMORY;
    }
    err = choose(slots, errs, blank, meta, ret_state);
    journal_meta_release(&slots[0]);
    journal_meta_release(&slots[1]);
    free(bytes);
    io->close(io->self, fd);
    return err;
}

void meta_file_close(struct meta_file *file)
{
    if (file->fd >= 0)
        file->io->close(file->io->self, file->fd);
    file->fd = -1;
}

/* Its space is taken when it is made: marks can be written on a full disk. */
static int open_file(struct meta_file *file, const char *folder)
{
    const struct journal_io *io = file->io;
    char path[FILE_PATH_SIZE];
    uint64_t size;
    if (file->fd >= 0)
        return 0;
    segment_path(folder, file->name, path);
    int err = io->open(io->self, path, true, &file->fd);
    if (err)
        return err;
    err = io->size(io->self, file->fd, &size);
    if (!err && size < 2 * META_SLOT_BYTES) {
        err = io->fallocate(io->self, file->fd, 2 * META_SLOT_BYTES);
        if (!err)
            err = io->fsync(io->self, file->fd);
        if (!err)
            err = io->sync_folder(io->self, folder);
    }
    if (err)
        meta_file_close(file);
    return err;
}

int meta_file_reserve(struct meta_file *file, const char *folder)
{
    return open_file(file, folder);
}

int meta_file_write(struct meta_file *file, const char *folder, uint64_t generation,
                    const struct buffer *slot)
{
    const struct journal_io *io = file->io;
    int err = 0;
    for (int try = 0; try < 2; try++) {
        err = open_file(file, folder);
        if (!err)
            err = io->pwrite(io->self, file->fd, slot->data, slot->len,
                             generation % 2 * META_SLOT_BYTES);
        if (!err)
            err = io->fdatasync(io->self, file->fd);
        if (!err)
            return 0;
        meta_file_close(file);
    }
    return err;
}
