/*
 * The journal's marks: what must be known at the next opening and stands in no segment.
 *
 * Two slots in one file, written in turn, each with a number and a checksum: one torn by a power
 * cut leaves the other. Before a sequence may reach the disk its mark stands here, so that a disk
 * which forgets the record does not forget that its number was used.
 */
#ifndef STORE_JOURNAL_META_H
#define STORE_JOURNAL_META_H

#include "base/buffer.h"
#include "model/intervals.h"
#include "store/journal_io.h"
#include "store/segment.h"

#include <stdbool.h>
#include <stdint.h>

#define META_FILE         "marks"
#define META_OLD_FILE     "marks.old" /* of an epoch that ended and is still owed */
#define META_SLOT_BYTES   ((size_t)64 * 1024)
#define META_MAX_RECEIVED 512 /* ranges of each stream */
#define META_MAX_SETTLED  256

struct journal_marks {
    char letter;
    uint64_t reserved;                /* no sequence above it has ever been written */
    uint64_t durable, durable_points; /* as of when this was written, or later */
    /* Below `front` everything has been freed; `front_points` samples were in it. */
    uint64_t front, front_points;
    struct intervals received; /* the receiver has these */
    uint64_t trusted;          /* up to here each number stands for what the receiver has of it */
    struct intervals settled;  /* gone from the disk, and told to the owner */
};

struct journal_meta {
    uint8_t epoch[SEGMENT_EPOCH_BYTES];
    uint64_t generation;  /* of the slot last written */
    uint64_t next_serial; /* no file had it or a greater one */
    bool clean;           /* closed: `reserved` is exact */
    bool vouched;         /* the receiver was seen to know this very disk, since it was opened */
    size_t stream_count;
    struct journal_marks streams[JOURNAL_MAX_STREAMS];
};

void journal_meta_init(struct journal_meta *meta);
void journal_meta_release(struct journal_meta *meta);

/* A slot's bytes. ERR_FULL cannot be: the bounds above fit. */
MUST_CHECK int journal_meta_encode(const struct journal_meta *meta, struct buffer *out);

/* Into an initialised one. ERR_CORRUPT, ERR_RANGE (of a later version), ERR_NO_MEMORY. */
MUST_CHECK int journal_meta_decode(const uint8_t *bytes, size_t len, struct journal_meta *meta);

/* How whole the marks were. */
enum meta_state {
    META_WHOLE,
    META_DOUBTFUL, /* one slot is not whole: the newer may be the one that is lost */
    META_NONE,     /* no file, or nothing in it that can be read */
};

/* Reads the newer whole slot into `meta`. ERR_RANGE: of a later version; ERR_IO: neither can be
 * read now; ERR_NO_MEMORY. */
MUST_CHECK int journal_meta_read(const struct journal_io *io, const char *path,
                                 struct journal_meta *meta, enum meta_state *ret_state);

/* The file the slots are written to. After a failed flush its descriptor is never used again. */
struct meta_file {
    const struct journal_io *io;
    const char *name; /* META_FILE, META_OLD_FILE */
    int fd;           /* -1 until it is opened, and after a failure */
};

/* Makes the file where there is none, so that it can be written on a full disk. */
MUST_CHECK int meta_file_reserve(struct meta_file *file, const char *folder);

/* Writes `slot` (an encoded one) durably in the turn of `generation`. One failure is met with a
 * new descriptor and the same slot again: the other, which is whole, is not touched. */
MUST_CHECK int meta_file_write(struct meta_file *file, const char *folder, uint64_t generation,
                               const struct buffer *slot);
void meta_file_close(struct meta_file *file);

#endif
