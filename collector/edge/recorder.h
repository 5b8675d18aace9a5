/*
 * The recorder: sole appender of the edge's journal. Samples come from the pollers through a
 * bounded queue, are gathered into records by stream, and are durable within the stream's linger
 * (a, s: 50 ms; c, t: 1 s) or when a record is full. So a slow disk never delays a poll.
 *
 * It also keeps the journal within its size: what the centre has goes first; then whole segments of
 * t, c, s, each named by a loss record that is durable before the delete.
 *
 * One thread runs recorder_step; recorder_put may be called by any. It borrows the journal and the
 * points; both outlive it.
 */
#ifndef EDGE_RECORDER_H
#define EDGE_RECORDER_H

#include "base/attributes.h"
#include "base/clock.h"
#include "base/error.h"
#include "model/sample.h"
#include "model/stream.h"
#include "store/journal.h"

#include <stddef.h>
#include <stdint.h>

struct recorder;

struct recorder_options {
    struct journal *journal;
    const char *edge, *site;
    const char *boot; /* this boot's identity */
    const struct point_info *points;
    const enum stream *streams; /* of each point */
    size_t point_count;
    size_t queue_batches; /* 0: 4096 */
};

/* Counts since the start, for status and complaints. */
struct recorder_status {
    uint64_t samples; /* appended to the journal, with the readings held back before them */
    uint64_t held;    /* of these, the ones held back (none of an epoch recorded anew) */
    uint64_t records;
    uint64_t bytes;    /* of the journal's space that they take */
    uint64_t refused;  /* readings that found the queue full, or the journal: told, not journaled */
    uint64_t lost;     /* samples dropped for space, each named by a loss record */
    int journal_error; /* of the last step: 0, ERR_FULL (nothing may be freed), ERR_IO */
    char error_text[256];
};

/* `report` is the opening's: its losses are journaled first, then the births. */
MUST_CHECK int recorder_new(const struct recorder_options *options,
                            const struct journal_report *report, struct now now,
                            struct recorder **ret_recorder, struct message *message);
void recorder_free(struct recorder *recorder);

/* Hands over samples (copied). ERR_FULL: they are counted as refused, and not what was held back
 * before them: the caller tells that with a later one, or refuses it. Any thread. */
MUST_CHECK int recorder_put(struct recorder *recorder, const struct sample *samples, size_t count);

/* So many readings will not be handed over: counted as refused. Any thread. */
void recorder_refuse(struct recorder *recorder, uint64_t readings);

/* How often the journal took samples again after it had refused some that were handed over: what
 * the last of a point said may not be recorded then. Any thread. */
uint64_t recorder_gaps(struct recorder *recorder);

/* Readable while samples wait: for the worker. */
int recorder_fd(struct recorder *recorder);

/* Takes what waits, closes what is due, commits. Returns when it wants to run next. */
int64_t recorder_step(struct recorder *recorder, struct now now);

/* Takes all that waits, closes every record and commits: before a stop. */
MUST_CHECK int recorder_flush(struct recorder *recorder, struct now now, struct message *message);

/* Begins a new epoch of the journal (a restored disk), and records in it what the old one has
 * without a receipt. An error before the new epoch stands leaves the old one; behind that it is
 * told by the status, and the rest of the old one follows, over restarts as well. */
MUST_CHECK int recorder_new_epoch(struct recorder *recorder, struct now now,
                                  struct message *message);

/* Any thread. */
void recorder_get_status(struct recorder *recorder, struct recorder_status *ret_status);

#endif
