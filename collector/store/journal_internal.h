/*
 * What the parts of the journal share: journal.c (life), journal_append.c (append and commit),
 * journal_recovery.c and journal_walk.c
 * (opening), journal_space.c (what may go), journal_epoch.c (what ended), journal_scan.c,
 * journal_reader.c. Nobody else includes this.
 *
 * `lock` guards what readers and the receiving thread see: the tables of segments, and in the
 * marks `durable`, `front`, `received` and `settled`; the list of losses; the subscribers. The
 * tables, `durable` and `front` are changed by the appender only, which therefore reads them
 * without it. All else is the appender's alone.
 */
#ifndef STORE_JOURNAL_INTERNAL_H
#define STORE_JOURNAL_INTERNAL_H

#include "store/journal.h"
#include "store/journal_meta.h"
#include "store/segment_file.h"

#include <pthread.h>
#include <stdatomic.h>

#define JOURNAL_MAX_SUBSCRIBERS 8
#define JOURNAL_MAX_FOUND       256
#define JOURNAL_MAX_HANDED      100000 /* ranges of an old stream */
#define JOURNAL_MAX_PENDING     ((size_t)8 * 1024 * 1024)
#define JOURNAL_SPARE           "spare.tmp"

/* How far above all that is known a sequence goes on where the marks are lost or doubtful: more
 * than the greatest reservation and all that can be pending. */
#define JOURNAL_SAFE_DISTANCE ((uint64_t)1 << 20)

/* Marks in a segment for readers that seek: about one in MARK_BYTES. */
#define MARK_BYTES ((uint64_t)64 * 1024)

struct segment_mark {
    uint64_t offset; /* of the first frame behind the one told here */
    uint64_t seq, points;
    int64_t wall_ms;
};

struct segment {
    char name[SEGMENT_NAME_SIZE];
    uint64_t serial;
    uint64_t first, last;        /* durable; last = first - 1: no frame yet */
    uint64_t points, points_end; /* samples of the stream before and up to the end */
    int64_t from_ms, to_ms;
    uint64_t previous_serial, previous_last;
    int64_t previous_ms;
    uint64_t body, end; /* durable frames lie in body..end */
    uint64_t bytes;     /* on disk */
    uint32_t seed;
    bool has_state;
    struct segment_mark *marks;
    size_t mark_count, mark_capacity;
};

struct journal_stream {
    struct segment *segments; /* by first sequence */
    size_t count, capacity;
    int fd; /* of the last segment while frames are appended to it, else -1 */
    /* Appended, not yet durable. From `cut` on it goes into a segment of its own, which begins with
     * the owner's `state` as of then. */
    struct buffer pending;
    uint64_t pending_points, pending_count;
    bool has_cut;
    size_t cut; /* offset in `pending` */
    struct buffer state;
    uint64_t next;
    uint64_t accounted; /* up to here the opening told of what is not durable */
    int64_t last_ms;    /* of the last durable frame */
};

/* A file of an earlier epoch. */
struct retired_file {
    char name[SEGMENT_NAME_SIZE];
    uint64_t bytes;
    int stream; /* of the epoch that is owed; -1: of one before it, and nobody's */
    uint64_t first, last;
    int64_t from_ms, to_ms;
};

struct subscriber {
    void (*notify)(void *self);
    void *self;
};

/* The epochs' texts live as long as the journal: another thread may still look at an old one. */
struct epoch_text {
    struct epoch_text *before;
    char text[2 * SEGMENT_EPOCH_BYTES + 1];
};

struct journal {
    const struct journal_io *io;
    char folder[FILE_PATH_SIZE];
    char letters[JOURNAL_MAX_STREAMS + 1];
    size_t stream_count;
    uint64_t limit_bytes;
    uint32_t segment_bytes;
    struct journal_owner owner;
    bool verify;
    int lock_fd;

    pthread_mutex_t *lock; /* a pointer: questions about a const journal take it too */
    atomic_uint dropped;   /* how often segments went: readers look anew */
    _Atomic uint64_t points;
    _Atomic(struct epoch_text *) epoch;

    struct journal_meta meta;
    struct meta_file meta_file;
    struct journal_meta old; /* of the epoch that ended … */
    bool ending;             /* the present epoch is about to end: what waits finds room */
    bool owes_old;           /* … while its records are not yet in this one */
    unsigned old_tries;      /* that ended with a disk that did not read */
    bool heir_looked;        /* what of them is in this one is known */
    /* What this process has handed over of it: not again, whether it is durable, waits for a disk,
     * or had to go for want of room and was told as lost. */
    struct intervals old_handed[JOURNAL_MAX_STREAMS];
    uint64_t old_taken[JOURNAL_MAX_STREAMS]; /* the last taken over, perhaps not durable; 0: none */
    struct meta_file old_file;
    struct buffer slot;
    bool marks_dirty;
    int64_t mono_us, marks_us; /* of the last append; when the marks were written */

    struct journal_stream streams[JOURNAL_MAX_STREAMS];
    uint64_t run_serial;   /* segments of this run and epoch have it, or a greater one */
    struct intervals kept; /* records of the first stream that stay */
    int spare_fd;
    uint64_t spare_bytes;
    struct buffer state; /* read at opening */

    /* Losses in the order they were found: the first `handed` are known to the owner. */
    struct journal_loss found[JOURNAL_MAX_FOUND];
    size_t found_count, handed;
    struct retired_file *retired; /* files of earlier epochs, the oldest of a stream first */
    size_t retired_count;
    uint64_t retired_bytes; /* guarded by the lock */

    struct subscriber subscribers[JOURNAL_MAX_SUBSCRIBERS];
    size_t subscriber_count;

    bool has_victim;
    uint64_t victim_serial;             /* in the present epoch … */
    char victim_old[SEGMENT_NAME_SIZE]; /* … or this file of the one before; "": none */
    struct journal_loss victim;
};

/* journal.c */
MUST_CHECK int journal_make_epoch_text(const uint8_t *epoch, struct epoch_text **ret_text);
/* Shows it from now on, and owns it. */
void journal_take_epoch_text(struct journal *journal, struct epoch_text *text);
MUST_CHECK int journal_write_marks(struct journal *journal);
MUST_CHECK int journal_add_segment(struct journal_stream *stream, const struct segment *segment);
void journal_remove_segment(struct journal_stream *stream, size_t index);
void journal_segment_from_header(const struct segment_header *header, const char *name,
                                 uint64_t size, struct segment *ret_segment);
/* A cursor at a segment's first frame. ERR_NOT_FOUND when its file is gone. */
MUST_CHECK int journal_cursor(const struct journal *journal, int stream,
                              const struct segment *segment, struct segment_cursor *ret_cursor);
/* Takes a mark where the last one is MARK_BYTES away; the lock is held. */
void journal_add_mark(struct segment *segment, const struct segment_mark *mark);
/* Of all segments; under the lock, or the appender. */
uint64_t journal_segment_bytes(const struct journal *journal);

/* What journal_durable says; under the lock, or the appender. */
uint64_t journal_last_known(const struct journal *journal, size_t stream);

/* journal_append.c */
MUST_CHECK int journal_commit_pending(struct journal *journal, struct message *message);
void journal_make_spare(struct journal *journal);
void journal_finish_segment(struct journal *journal, struct journal_stream *stream);

/* journal_recovery.c */
MUST_CHECK int journal_recover(struct journal *journal, struct journal_report *report,
                               struct message *message);

/* journal_epoch.c */
/* Frees what is left of earlier epochs; false when there was nothing, or it is owed. */
bool journal_free_retired(struct journal *journal);
/* At opening, the epoch being known: is one that ended still owed? Only where there are files of
 * one must that be read. */
MUST_CHECK int journal_recover_old(struct journal *journal, bool has_files,
                                   struct message *message);
/* Takes the place on the disk that an epoch's end will need. */
void journal_make_old(struct journal *journal);
/* Lists a file of an earlier epoch, by its header; there is room in the list. */
void journal_retire_file(struct journal *journal, const struct segment_header *header,
                         const char *name, uint64_t bytes);
/* Of the epoch that is owed, the oldest file of which nothing is owed, or (`stream` above 0) the
 * oldest of that stream: its place in the list, SIZE_MAX: none. */
size_t journal_find_old(const struct journal *journal, int stream);
/* What would be lost with it: first > last when nothing would. */
MUST_CHECK int journal_loss_of_old(struct journal *journal, size_t index,
                                   struct journal_loss *ret_loss);
MUST_CHECK int journal_drop_old(struct journal *journal, const char *name,
                                const struct journal_loss *loss, struct message *message);

/* journal_scan.c */
/* Visits the frames of one epoch (its 32 hex digits), stream by stream; `leave` is told the name of
 * each file whose frames have all been visited, and may remove it. */
MUST_CHECK int journal_scan_epoch(const struct journal *journal, const char *epoch,
                                  int (*visit)(void *self, const char *epoch, char letter,
                                               const struct journal_frame *frame),
                                  int (*leave)(void *self, char letter, const char *name),
                                  void *self, struct message *message);

/* journal_space.c */
/* Notes what of a loss is neither settled nor received nor noted yet; under the lock, or at
 * opening. */
void journal_note_loss(struct journal *journal, const struct journal_loss *loss);
/* What the owner was told is settled: it has committed since. */
void journal_settle_handed(struct journal *journal);
/* Hands the losses found so far to the owner in a report. */
void journal_report_losses(struct journal *journal, struct journal_report *report);

#endif
