/*
 * Ties: what keeps samples of a point with one stamp apart. A sample's tie is the number of
 * milliseconds from its stamp to the first one that no sample before it, in the order of adding,
 * has taken: 0 as a rule. So t_ms + tie is unique among the samples of a point and never changes:
 * that is where it stands in a store that keeps one sample per millisecond. Ties of one stamp rise
 * in the order of adding.
 *
 * Behind TIE_NEAR taken milliseconds in a row the steps double, so that a clock that repeats whole
 * seconds of milliseconds does not hold up everybody.
 *
 * Threads as the file they are asked of.
 */
#ifndef STORE_HISTORY_TIE_H
#define STORE_HISTORY_TIE_H

#include "base/attributes.h"
#include "store/history_db.h"

#include <stdbool.h>

#define TIE_NEAR 64

/* ---- for the writer: history_db.c ---- */

/* Up to where samples of each point were moved: nearly every sample is newer, and costs no
 * question. After a rollback it may lie too high, which does no harm. */
struct history_ties {
    int64_t *highest; /* t_ms + tie by point; INT64_MIN: none; INT64_MAX: not known yet */
    size_t count;
};

void history_ties_release(struct history_ties *ties);

/* Does a sample of the point with another stamp stand at `t_ms`? */
MUST_CHECK int history_tie_is_taken(struct history_db *history, struct history_ties *ties,
                                    int64_t point, int64_t t_ms, bool *ret_taken,
                                    struct message *message);

/* The tie of one more sample at `t_ms`, where one stands: it is added. */
MUST_CHECK int history_tie_next(struct history_db *history, struct history_ties *ties,
                                int64_t point, int64_t t_ms, int64_t *ret_tie,
                                struct message *message);

/* ---- for readers ---- */

/* A stored sample: its point, its stamp, the source and the sequence of its record; `behind`: how
 * many samples of that record with that point and stamp come after it. */
struct history_place {
    int64_t point, t_ms, source;
    uint64_t seq;
    size_t behind;
};

MUST_CHECK int history_tie_of(struct history_db *history, const struct history_place *place,
                              int64_t *ret_tie, struct message *message);

/* The highest t_ms + tie of a point; INT64_MIN where it has no sample. */
MUST_CHECK int history_tie_highest(struct history_db *history, int64_t point, int64_t *ret_ms,
                                   struct message *message);

#endif
