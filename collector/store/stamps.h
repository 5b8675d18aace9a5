/*
 * Stamps towards a store that keeps one sample per series and millisecond (ARCHITECTURE 5): of two
 * samples with one stamp the later one moves to the next free millisecond. Which one that is was
 * settled for good when the embedded store took the sample (store/history_tie.h). So the same
 * journal walked again gives the same stamps, from wherever it is walked, and however far a clock
 * was set back.
 *
 * Nearly every sample is newer than all of its point's that were seen: it keeps its stamp, and
 * nobody is asked. Others are looked up, once the embedded store has taken their record.
 *
 * Owned by one thread, with the read-only handle it borrows.
 */
#ifndef STORE_STAMPS_H
#define STORE_STAMPS_H

#include "base/attributes.h"
#include "model/record.h"
#include "store/history_db.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stamps {
    struct history_db *embedded;
    uint64_t from;  /* the journal's records up to here were not seen */
    uint64_t taken; /* the embedded store has taken those up to here, or further */
};

/* What is known of a point; its name is the owner's. */
struct stamp_point {
    const char *id;
    bool known;         /* highest_ms is */
    int64_t highest_ms; /* no stamp above it was given out; INT64_MIN: none at all */
    int64_t number;     /* the embedded store's; 0: not asked for yet */
};

/* A data record that is being walked; `source` begins as 0. */
struct stamp_record {
    uint64_t position; /* in the journal */
    const char *edge;
    const struct record *record;
    int64_t source;
};

/* The stamp that the record's sample `index`, one of `point`, gets. ERR_NOT_FOUND: the embedded
 * store has yet to take a record; nothing has changed then. */
MUST_CHECK int stamps_settle(struct stamps *stamps, struct stamp_point *point,
                             struct stamp_record *record, size_t index, int64_t *ret_t_ms,
                             struct message *message);

#endif
