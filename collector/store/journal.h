/*
 * The journal: append-only segment files, one appender, many readers (ARCHITECTURE 2).
 *
 * A journal is a folder. It has streams (letters given at opening: "asct" at an edge, "j" at the
 * centre); each stream has a sequence from 1 that is never used twice within an epoch, and segment
 * files of its own. A record is opaque: bytes in, the same bytes out.
 *
 *   append → in memory → commit: write + one fdatasync per touched segment → durable → readers
 *
 * Threads: append, commit, release and drop belong to the appender's thread. Readers may be
 * opened and used by any other thread, one each; they see durable bytes only. journal_durable,
 * journal_bytes and journal_received may be called by any.
 *
 * Invariants: a sequence is reserved durably before it is used, so none is used twice even where
 * the disk forgot; the header of each segment carries the appender's own state at that point, so
 * recovery reads one header and scans one segment; damage before the last commit is quarantined
 * and told, and never stops the opening; nothing unreceived is deleted by the journal itself.
 */
#ifndef STORE_JOURNAL_H
#define STORE_JOURNAL_H

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/error.h"
#include "model/intervals.h"
#include "model/record.h"
#include "store/journal_io.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JOURNAL_MAX_STREAMS 4
#define JOURNAL_MAX_PAYLOAD (256 * 1024)
#define JOURNAL_MAX_ORIGIN  64
#define JOURNAL_MAX_KEPT    4096

struct journal;

/* A record as it lies in the journal. Pointers are valid until the reader's next call. */
struct journal_frame {
    int stream; /* index into the opening's letters */
    uint64_t seq;
    int64_t wall_ms; /* when it was appended */
    int64_t mono_us;
    uint32_t points;                     /* samples in it, as the appender counted */
    uint64_t stream_points;              /* samples in this stream and epoch, up to and with it */
    char origin[JOURNAL_MAX_ORIGIN + 1]; /* who sent it; "" at an edge */
    const char *payload;
    size_t len;
};

/* The appender's state, kept in segment headers. All called within the appender's calls. */
struct journal_owner {
    void *self;
    /* Writes the state as of now into `out` (any bytes, at most 4 MiB). May be NULL. It is called
     * within journal_append, before the record of that call: so take a record into the state only
     * after its append returned 0. */
    void (*save)(void *self, int stream, struct buffer *out);
    /* At opening: takes the newest readable header's state … */
    int (*restore)(void *self, int stream, const void *state, size_t len);
    /* … then each frame after it, in order. */
    int (*replay)(void *self, const struct journal_frame *frame);
};

struct journal_options {
    const char *folder;
    const char *letters;    /* one per stream, in the order of dropping from the last to the first;
                               the first is never dropped */
    uint64_t limit_bytes;   /* of all segments together; 0: the disk's own */
    uint32_t segment_bytes; /* of one segment; 0: 16 MiB, less where limit_bytes is small */
    struct journal_owner owner;
    bool verify;                 /* at opening, scan every segment that is not wholly received */
    const struct journal_io *io; /* NULL: the machine's own */
};

/* Sequences that no reader will ever see, found at opening or made by dropping. */
struct journal_loss {
    int stream;
    uint64_t first, last;
    int64_t from_ms, to_ms;
    uint64_t points;
    uint64_t segment_first; /* of a victim: which segment */
    bool old;               /* in the epoch that is owed (journal_old_epoch) … */
    bool other;             /* … beyond what is trusted there */
    char cause[16];         /* restart: reserved, never durable · damage · space · epoch */
};

#define JOURNAL_MAX_LOSSES 64

struct journal_report {
    bool created;        /* a new journal, a new epoch */
    bool unclean;        /* the last run did not close it */
    uint64_t torn_bytes; /* cut from tails */
    uint64_t quarantined_bytes;
    uint64_t scanned_frames;
    size_t retired_segments;                        /* of earlier epochs, still on disk */
    struct journal_loss losses[JOURNAL_MAX_LOSSES]; /* the owner journals them as loss records */
    size_t loss_count;
};

/* Opens or makes it. Never loops, never refuses for damage: only for what a person must mend
 * (no permission, a file where the folder should be, a format of a later version). */
MUST_CHECK int journal_open(const struct journal_options *options, struct journal **ret_journal,
                            struct journal_report *ret_report, struct message *message);

/* Commits, writes the marks so that the next opening is clean, closes. NULL is fine. */
void journal_close(struct journal *journal);

/* This journal's identity, 32 hex digits. Changed by journal_new_epoch alone. */
const char *journal_epoch(const struct journal *journal);

/* The sequence the next append to `stream` will get. */
uint64_t journal_next_seq(const struct journal *journal, int stream);

/* Samples appended in this epoch, all streams. */
uint64_t journal_points(const struct journal *journal);

/* Appends in memory. 0; ERR_FULL while too much waits for a disk that takes nothing; ERR_RANGE when
 * too large. */
MUST_CHECK int journal_append(struct journal *journal, int stream, const char *origin,
                              const void *payload, size_t len, uint32_t points, int64_t wall_ms,
                              int64_t mono_us, uint64_t *ret_seq, struct message *message);

/* Makes all that was appended durable, then visible, the first letter's stream first. After an I/O
 * error the frames are kept in memory and written anew into a fresh segment: a failed fsync is
 * never believed twice. ERR_FULL when the limit or the disk is full: free something with
 * journal_victim and journal_drop, then commit again; what fitted is durable. */
MUST_CHECK int journal_commit(struct journal *journal, struct message *message);

/* Bytes appended and not yet durable. */
size_t journal_pending(const struct journal *journal);

/* A loss found since the opening, by a reader that came to damaged bytes, or one that the report
 * had no place for; ERR_NOT_FOUND when there is none. The appender's thread. The losses the owner
 * was told of count as journaled by it once a journal_commit after that has succeeded; if the
 * process ends before, they are told again. */
MUST_CHECK int journal_next_loss(struct journal *journal, struct journal_loss *ret_loss);

/* What later records refer to (an edge's births): that record of the first stream stays as long
 * as the journal is open and the epoch lasts; and those of earlier runs as long as anything of
 * those runs is left, received or not: a receiver that was restored asks for them.
 * Appender's thread. ERR_FULL beyond JOURNAL_MAX_KEPT ranges, ERR_NO_MEMORY. */
MUST_CHECK int journal_keep(struct journal *journal, uint64_t seq);

/* The greatest sequence of a stream that is durable, or that a loss of the opening accounts for (0:
 * none). Any thread. */
uint64_t journal_durable(const struct journal *journal, int stream);

/* Samples durable in this epoch, all streams. Any thread. */
uint64_t journal_durable_points(const struct journal *journal);

/* The first sequence still on disk (durable + 1 when none). Any thread. */
uint64_t journal_first(const struct journal *journal, int stream);

/* Does a segment on the disk reach over it? Not, where it was dropped, or never durable. Any
 * thread. */
bool journal_spans(const struct journal *journal, int stream, uint64_t seq);

/* Bytes on disk, and how many of them the receiver has. Any thread. */
void journal_bytes(const struct journal *journal, uint64_t *ret_total, uint64_t *ret_received);

/* `notify(self)` is called after each commit that made something durable, on the appender's
 * thread: to wake a reader's worker. At most 8. */
MUST_CHECK int journal_subscribe(struct journal *journal, void (*notify)(void *self), void *self);

/* ---- what the other side has (edge) ---- */

/* Adds to what the receiver holds durably; kept on disk lazily (within a second or a segment).
 * Appender's thread or any one other. Numbers beyond the durable end: ERR_RANGE, nothing added. */
MUST_CHECK int journal_receive(struct journal *journal, int stream,
                               const struct intervals *received);

/* The receiver holds this much and no more (it was restored from a backup): replaces the set. */
MUST_CHECK int journal_receive_anew(struct journal *journal, int stream,
                                    const struct intervals *received);

/* Copies the received set of a stream into `out` (initialised). Any thread. */
MUST_CHECK int journal_received(struct journal *journal, int stream, struct intervals *out);

/*
 * What to free next: the oldest segment whose records are all received, else the oldest of the
 * last letter's stream that has one, and so on; never an open segment of the first letter's. Those
 * of an epoch that is owed come before those of the present one.
 * The range goes from the first record that is not known to be received to the last (first > last:
 * nothing is lost); `points` are all samples in it: the receiver knows best what it has of them.
 * ERR_NOT_FOUND when nothing may go. The order of a drop that loses: victim → loss record appended
 * and committed → drop.
 */
MUST_CHECK int journal_victim(struct journal *journal, struct journal_loss *ret_loss);
MUST_CHECK int journal_drop(struct journal *journal, const struct journal_loss *victim,
                            struct message *message);

/* ---- an epoch that ends (edge; the appender's thread) ---- */

/*
 * The receiver was seen to know this very disk: what it has of our numbers is what we have. Until
 * that was said since the opening, records may meet others of the same numbers there, for a disk
 * that is the copy of an earlier one does not know what that one did later. Any thread.
 */
void journal_vouch(struct journal *journal);

/* Up to which sequence that is certain. Any thread. */
uint64_t journal_trusted(const struct journal *journal, int stream);

/* The epoch is about to end: what waits for a full journal may pass its limit, by a segment of each
 * stream at most, until the new one has begun. Else losses that only the new epoch lets go would
 * keep it from beginning. */
void journal_make_way(struct journal *journal);

/* Begins a new epoch: sequences start at 1 again, nothing is received. What the old one has and the
 * receiver has not is owed from now on, over restarts, and its segments stay, until journal_inherit
 * has come to its end. Readers must be opened anew. ERR_CONFLICT while another epoch is owed. */
MUST_CHECK int journal_new_epoch(struct journal *journal, struct message *message);

/* The epoch that is owed; false when none is. */
bool journal_old_epoch(const struct journal *journal, char ret_epoch[EPOCH_SIZE]);

/* Up to which of its sequences no other record can have borne the number (journal_vouch). */
uint64_t journal_old_trusted(const struct journal *journal, int stream);

/* These sequences of it were taken over before (after a restart the heir finds them in its own
 * records). ERR_FULL, ERR_NO_MEMORY. */
MUST_CHECK int journal_settle_old(struct journal *journal, int stream, uint64_t first,
                                  uint64_t last);

/* The heir has said all of that there is. Before, nothing of the epoch that is owed is a victim: it
 * would be told as lost, and stand in the present epoch as well. */
void journal_heir_looked(struct journal *journal);

/* Who takes over what is owed: all within journal_inherit. What an error stops goes on with the
 * next call where it stood. */
struct journal_heir {
    void *self;
    /* Every frame of the first stream, and of the others those that are owed, in order: appends
     * what it says to the present epoch. `trusted`: no other record bears its number. ERR_NOT_FOUND
     * where nobody could tell what it says: it is lost. */
    int (*take)(void *self, const struct journal_frame *frame, bool owed, bool trusted);
    /* Owed sequences that cannot be read: appends that. */
    int (*lose)(void *self, const struct journal_loss *loss);
    /* Commits what was appended. */
    int (*safe)(void *self);
};

MUST_CHECK int journal_inherit(struct journal *journal, const struct journal_heir *heir,
                               struct message *message);

/* ---- reading ---- */

struct journal_reader;

/* Reads `stream` from sequence `from` (at least 1) on. */
MUST_CHECK int journal_reader_open(struct journal *journal, int stream, uint64_t from,
                                   struct journal_reader **ret_reader);
void journal_reader_close(struct journal_reader *reader);

/*
 * The next record. ERR_AGAIN: nothing more is durable now. ERR_GAP: sequences
 * ret_gap->first..last do not exist (dropped, damaged, never written); the reader stands behind
 * them. ERR_IO: the disk does not read it now; call again later. `ret_gap` may be NULL: gaps are
 * then passed over.
 */
MUST_CHECK int journal_reader_next(struct journal_reader *reader, struct journal_frame *ret_frame,
                                   struct interval *ret_gap);

/* Goes to `seq`: the next call gives it or what follows it. */
void journal_reader_seek(struct journal_reader *reader, uint64_t seq);

/* The sequence the next call will look for. */
uint64_t journal_reader_position(const struct journal_reader *reader);

/* ---- tools: a journal that nobody has open ---- */

/* Calls `visit` for each frame of a folder's segments, in order of stream and sequence, read-only.
 * Damage is told by `damage` (may be NULL) and passed over. */
MUST_CHECK int journal_scan(const char *folder,
                            int (*visit)(void *self, const char *epoch, char letter,
                                         const struct journal_frame *frame),
                            void (*damage)(void *self, const char *file, uint64_t offset,
                                           uint64_t bytes),
                            void *self, struct message *message);

/* The same of the present epoch of a journal that is open here, on its own disk, damage passed
 * over. The appender's thread; `visit` may not append. */
MUST_CHECK int journal_scan_own(const struct journal *journal,
                                int (*visit)(void *self, const char *epoch, char letter,
                                             const struct journal_frame *frame),
                                void *self, struct message *message);

#endif
