/* The journal's inside, shared by its parts: journal.c, _recovery, _reader, _space, _marks. Private
 * to the store layer. */
#ifndef STORE_JOURNAL_STATE_H
#define STORE_JOURNAL_STATE_H

#include "base/files.h"
#include "store/journal.h"
#include "store/segment.h"

#include <pthread.h>

#define JOURNAL_SUBSCRIBERS_MAX 8
#define SEGMENT_NAME_SIZE       64

/* A segment file. `last_seq` 0: it holds nothing that is durable. */
struct segment {
    char name[SEGMENT_NAME_SIZE];
    struct segment_header header;
    uint64_t last_seq;
    uint64_t begin;     /* offset of the first frame */
    uint64_t end;       /* durable bytes */
    uint64_t allocated; /* on disk */
    uint64_t points;    /* in its frames */
    int64_t to_ms;      /* stamp of its last frame */
};

struct pending {
    struct journal_frame frame; /* its payload is owned */
    char *payload;
};

struct stream_state {
    struct segment *segments; /* of this epoch, by first_seq */
    size_t segment_count;
    int fd; /* of the last one while it is open for writing, else -1 */
    uint64_t next_seq;
    uint64_t durable_seq;
    uint64_t reserved; /* no sequence beyond it is used without reserving anew */
    uint64_t points;   /* appended, durable or not */
    uint64_t durable_points;
    struct pending *pending;
    size_t pending_count, pending_capacity;
    struct intervals received;
};

struct journal {
    struct journal_options options;
    const struct journal_io *io;
    char folder[FILE_PATH_SIZE];
    char epoch[EPOCH_SIZE];
    int stream_count;
    uint32_t segment_bytes;
    struct stream_state streams[JOURNAL_MAX_STREAMS];
    char (*retired)[SEGMENT_NAME_SIZE]; /* files of earlier epochs */
    size_t retired_count;
    uint64_t retired_bytes;
    size_t pending_bytes;
    bool clean;          /* what the marks say */
    uint64_t generation; /* of the marks */
    int marks_fd;
    bool received_changed;
    int64_t received_saved_us;
    struct buffer scratch; /* encoded frames on their way to the disk */
    struct {
        void (*notify)(void *self);
        void *self;
    } subscribers[JOURNAL_SUBSCRIBERS_MAX];
    int subscriber_count;
    /* Guards what readers and the receiving side see: segments, durable_seq, received, epoch. */
    pthread_mutex_t lock;
};

/* "FOLDER/NAME". */
MUST_CHECK int journal_path(const struct journal *journal, const char *name,
                            char ret_path[FILE_PATH_SIZE]);

/* ---- marks: what must be durable beside the records ---- */

/* Opens the marks and reads the newest valid slot: 0, ERR_NOT_FOUND (none is valid). */
MUST_CHECK int marks_open(struct journal *journal);
/* Writes epoch, reserved marks and `clean` into the older slot, durably. */
MUST_CHECK int marks_write(struct journal *journal, bool clean);
void marks_close(struct journal *journal);
/* The received sets, in a file of their own: losing it means sending again, nothing worse. */
void received_load(struct journal *journal);
MUST_CHECK int received_save(struct journal *journal);

/* ---- recovery ---- */

MUST_CHECK int journal_recover(struct journal *journal, struct journal_report *report,
                               struct message *message);

/*
 * Walks the frames of an open segment file from its first frame to `end`, over damage. `visit` may
 * be NULL; a negative result of it ends the walk and is returned. `ret_end` is the offset behind
 * the last good frame; `ret_damaged` the bytes passed over before it.
 */
MUST_CHECK int segment_walk(const struct journal_io *io, int fd,
                            const struct segment_header *header, uint64_t begin, uint64_t end,
                            int (*visit)(void *self, const struct journal_frame *frame), void *self,
                            uint64_t *ret_end, uint64_t *ret_damaged);

/* Opens a segment file and reads its header; `state` (may be NULL) receives the appender's state.
 */
MUST_CHECK int segment_open(const struct journal_io *io, const char *path,
                            struct segment_header *ret_header, struct buffer *state, int *ret_fd,
                            uint64_t *ret_size);

#endif
