/* What the centre has not confirmed yet: durable records without a receipt. */
#ifndef EDGE_BACKLOG_H
#define EDGE_BACKLOG_H

#include "base/attributes.h"
#include "model/stream.h"
#include "store/journal.h"

#include <stdint.h>

struct backlog {
    uint64_t records;
    uint64_t first[STREAM_COUNT]; /* the first of each stream; 0: none */
};

/* Any thread. ERR_NO_MEMORY, ERR_FULL. */
MUST_CHECK int backlog_read(struct journal *journal, struct backlog *ret_backlog);

/* When the oldest of them was recorded, UTC; 0 where there is none to be read. The uplink's thread:
 * a reader of the journal must not meet an epoch that begins. */
int64_t backlog_oldest_ms(struct journal *journal, const struct backlog *backlog);

#endif
