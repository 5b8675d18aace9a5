/*
 * Ingest: the only appender of the central journal. It takes what edges publish and what the
 * centre's own outboxes hold, drops what it has, journals the rest verbatim, and tells each edge
 * by receipts what is durable.
 *
 * A core without I/O but the journal's: the shell feeds it messages and calls ingest_step; it
 * publishes through a port. One thread.
 *
 * Invariants: nothing is receipted before it is durable here (or is a dead letter on disk); data
 * whose birth the journal does not hold is parked, unreceipted, and the birth asked for; the
 * journal never stands still for more than a second: a tick is appended where nothing else was.
 */
#ifndef CENTRAL_INGEST_H
#define CENTRAL_INGEST_H

#include "base/attributes.h"
#include "base/clock.h"
#include "base/error.h"
#include "central/dead_letters.h"
#include "central/sources.h"
#include "store/journal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ingest;

struct ingest_port {
    void *self;
    /* 0, or an error: not sent; receipts are tried again. */
    int (*publish)(void *self, const char *topic, const void *payload, size_t len, bool retained);
};

struct ingest_options {
    const char *centre;
    const char *nonce; /* of this run, 32 hex digits */
    const char *boot;
    struct journal *journal; /* one stream; its owner is `sources` */
    struct sources *sources;
    struct dead_letters *letters;
    struct ingest_port port;
    uint64_t credit; /* bytes of backlog an edge may have under way; 0: 1 MiB */
};

struct ingest_status {
    uint64_t records, duplicates; /* journaled since the start */
    uint64_t points;              /* readings in them, held ones counted */
    uint64_t dead_letters;
    uint64_t parked;         /* now */
    uint64_t parked_dropped; /* parked and let go: they come again */
    uint64_t receipts;
    int journal_error; /* 0, or why nothing is taken now */
    char error_text[256];
};

MUST_CHECK int ingest_new(const struct ingest_options *options, struct now now,
                          struct ingest **ret_ingest, struct message *message);
void ingest_free(struct ingest *ingest);

/* The broker's connection stands: presence and receipts are due. */
void ingest_connected(struct ingest *ingest, struct now now);

/* A message on any of ingest's topics. Never fails: what cannot be read becomes a dead letter. */
void ingest_message(struct ingest *ingest, struct now now, const char *topic, const void *payload,
                    size_t len);

/* A record from an outbox of the centre, whose source is named "@office", "@sender"…
 * ERR_FULL, ERR_IO: not taken, offer it again. ERR_INVALID: a dead letter. */
MUST_CHECK int ingest_local(struct ingest *ingest, struct now now, const char *source,
                            const void *payload, size_t len);

/* Commits, sends receipts and presence that are due; returns when it wants to run next. */
int64_t ingest_step(struct ingest *ingest, struct now now);

void ingest_get_status(const struct ingest *ingest, struct ingest_status *ret_status);

/* JSON for the API: edges with presence, lag and totals; holes and losses with causes (the gap
 * ledger). `out` bounds them. */
void ingest_write_edges(const struct ingest *ingest, struct now now, struct buffer *out);
void ingest_write_gaps(const struct ingest *ingest, struct buffer *out);

#endif
