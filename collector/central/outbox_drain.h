/*
 * Carries one outbox into the journal: reads entries with a read-only handle, offers them to
 * ingest, and says how far they are durable. Ingest's thread.
 */
#ifndef CENTRAL_OUTBOX_DRAIN_H
#define CENTRAL_OUTBOX_DRAIN_H

#include "base/attributes.h"
#include "base/clock.h"
#include "base/error.h"
#include "central/ingest.h"
#include "store/outbox.h"

#include <stdint.h>

struct outbox_drain {
    const char *source; /* "@office", "@sender": its name in the journal */
    struct outbox *outbox;
    uint64_t offered; /* the last entry that ingest took */
    uint64_t durable; /* the last one that is durable in the journal */
    struct buffer payload;
};

void outbox_drain_init(struct outbox_drain *drain, const char *source, struct outbox *outbox);
void outbox_drain_release(struct outbox_drain *drain);

/* Offers what is new. An entry that ingest cannot take now is offered again by the next call. */
MUST_CHECK int outbox_drain_step(struct outbox_drain *drain, struct ingest *ingest, struct now now,
                                 struct message *message);

/* Nothing in the journal waits for the disk: what was offered is durable. True where that is news.
 */
bool outbox_drain_committed(struct outbox_drain *drain);

#endif
