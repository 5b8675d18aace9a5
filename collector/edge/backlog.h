/* What the centre has not confirmed yet: durable records without a receipt. Any thread. */
#ifndef EDGE_BACKLOG_H
#define EDGE_BACKLOG_H

#include "base/attributes.h"
#include "store/journal.h"

#include <stdint.h>

struct backlog {
    uint64_t records;  /* durable, without a receipt */
    int64_t oldest_ms; /* when the oldest of them was recorded, UTC; 0: there is none to be read */
};

/* ERR_NO_MEMORY, ERR_FULL. */
MUST_CHECK int backlog_read(struct journal *journal, struct backlog *ret_backlog);

#endif
