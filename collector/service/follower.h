/*
 * A reader of the central journal with a durable cursor: it hands records to a consumer, whose
 * results and the cursor become durable together. A slow or failing consumer falls behind alone.
 *
 * The shell of a thread (ARCHITECTURE 2): follower_step is run by a worker; follower_lag may be
 * asked by any thread. It borrows journal and consumer.
 */
#ifndef SERVICE_FOLLOWER_H
#define SERVICE_FOLLOWER_H

#include "base/attributes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "model/record.h"
#include "store/journal.h"

#include <stdatomic.h>
#include <stdint.h>

/* What is done with records. All on the follower's thread. After a failure of any but rollback,
 * rollback is called, and the same records come again later. */
struct consumer {
    const char *name;
    void *self;
    int64_t gather_us; /* records are gathered that long into one transaction; 0: none waits */
    int (*begin)(void *self, struct message *message);
    /* One record; `record` is parsed from the frame's payload. */
    int (*take)(void *self, const struct journal_frame *frame, const struct record *record,
                struct message *message);
    /* Makes the results and the position (the last sequence taken) durable. */
    int (*commit)(void *self, uint64_t position, struct now now, struct message *message);
    void (*rollback)(void *self);
};

struct follower {
    struct journal *journal;
    struct journal_reader *reader;
    struct consumer consumer;
    uint64_t position;      /* the last sequence whose results are durable */
    _Atomic uint64_t shown; /* the same, for other threads */
    int64_t next_us;        /* not before: records are gathered */
    struct complaint complaint;
};

/* Goes on behind `position` (0: from the start). */
MUST_CHECK int follower_init(struct follower *follower, struct journal *journal,
                             const struct consumer *consumer, uint64_t position);
void follower_release(struct follower *follower);

/* Takes what is durable, up to a bound; returns when it wants to run next. */
int64_t follower_step(struct follower *follower, struct now now);

/* Records that are durable in the journal and not yet in the results. */
uint64_t follower_lag(struct follower *follower);

#endif
