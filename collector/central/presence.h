/*
 * Who is there: each edge's last word about itself, the receipt owed to it, and, with what has been
 * received, the edges' and the gap ledger's JSON. Owned by ingest's thread.
 *
 * Bounds: SOURCES_MAX edges; stats of at most PRESENCE_STATS_MAX bytes are kept, larger ones not.
 */
#ifndef CENTRAL_PRESENCE_H
#define CENTRAL_PRESENCE_H

#include "base/buffer.h"
#include "base/clock.h"
#include "central/sources.h"
#include "model/receipt.h"

#include <stdint.h>

#define PRESENCE_STATS_MAX (32 * 1024)
#define PRESENCE_SILENT_US (30 * (int64_t)US_PER_S) /* three heartbeats */

struct edge_presence {
    char edge[65];
    struct edge_state state; /* up = false before the first */
    int64_t seen_us;         /* monotonic, of the last state; 0: never */
    int64_t seen_ms;         /* UTC */
    char *stats;             /* its last {edge}/stats, JSON as it came; or NULL */
    size_t stats_len;
    char receipt_epoch[EPOCH_SIZE]; /* what the owed receipt is about */
    int64_t receipt_due_us;         /* NEVER: none is owed */
};

struct presence {
    struct edge_presence *edges;
    size_t count;
};

void presence_init(struct presence *presence);
void presence_release(struct presence *presence);

/* An edge spoke of itself: a receipt for its epoch is due at once when it is up. */
void presence_take_state(struct presence *presence, struct now now, const struct edge_state *state);
void presence_take_stats(struct presence *presence, struct now now, const char *edge,
                         const void *stats, size_t len);

/* A receipt for this epoch is owed, at `due_us` at the latest. */
void presence_owe_receipt(struct presence *presence, const char *edge, const char *epoch,
                          int64_t due_us);

/* {"edges":[…]} and {"gaps":[…]} for the API. */
void presence_write_edges(const struct presence *presence, const struct sources *sources,
                          struct now now, struct buffer *out);
void presence_write_gaps(const struct presence *presence, const struct sources *sources,
                         struct buffer *out);

#endif
