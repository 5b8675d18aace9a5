/*
 * Delivers a batch of lines to a store: whole where it can, in halves where it must, until every
 * line is stored there or set aside with the reason.
 *
 * A line refused alone is set aside (given to `letters`) only where the store takes others: that it
 * takes nothing of a batch is not the data's fault, and nothing is set aside. To write a line again
 * does no harm, so after anything but success the whole batch is delivered again.
 *
 * It keeps nothing of a batch from one call to the next. Borrows its target. One thread.
 */
#ifndef STORE_LINE_DELIVERY_H
#define STORE_LINE_DELIVERY_H

#include "base/attributes.h"
#include "store/line_batch.h"
#include "store/line_target.h"

/* Where lines go that a store will never take. */
struct line_letters {
    void *self;
    /* Done with it (0), or says why it could not be kept: then the batch is not done. */
    int (*add)(void *self, const char *line, size_t len, const char *reason,
               struct message *message);
};

struct line_range {
    uint32_t first, count;
};

struct line_delivery {
    const struct line_target *target;
    struct line_exchange exchange;
    struct line_letters letters;
    bool took_before;  /* it took a line since the start */
    size_t dives_most; /* lines tried alone before it is said that nothing is taken */
    /* of the last call */
    uint64_t set_aside;
    uint64_t too_old;      /* refused by the store's retention */
    int64_t retry_after_s; /* as the store asked; 0: it did not */
    /* within a call */
    size_t taken, dives, begin, end, alone_count;
    uint32_t alone[LINE_BATCH_MAX]; /* refused alone, while nothing was taken yet */
    /* begin..end: still to be tried. A line is split off once, and waits alone once. */
    struct line_range ranges[3 * LINE_BATCH_MAX + 2];
};

void line_delivery_init(struct line_delivery *delivery, const struct line_target *target,
                        struct line_exchange exchange, struct line_letters letters);

/*
 * LINE_TAKEN: all of it is stored or set aside (see set_aside and too_old). Else nothing is decided
 * and `why` tells: LINE_SILENT, LINE_BUSY; or held until a person mends it: LINE_DENIED,
 * LINE_NO_DATABASE, LINE_STRANGE, LINE_REFUSED (nothing of it is taken), LINE_UNKEPT. The batch has
 * at least one line.
 */
MUST_CHECK enum line_verdict line_delivery_run(struct line_delivery *delivery,
                                               const struct line_batch *batch, struct message *why);

/* Makes the database where that can be done; else, or where the store says no, ERR_DENIED and why.
 * Others: no answer. */
MUST_CHECK int line_delivery_create_database(struct line_delivery *delivery, struct message *why);

#endif
