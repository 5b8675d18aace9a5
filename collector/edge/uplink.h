/*
 * The uplink: sole reader of the edge's journal. It sends records to the centre, live ones first,
 * and learns from receipts what is durable there; nothing else retires a record.
 *
 * A core without I/O: the shell feeds it what the MQTT client reports and calls uplink_step; it
 * publishes through a port. One thread. It owns its readers; journal and port outlive it.
 *
 *   connected → state published → centre fresh, receipt of its run seen → sending
 *
 * Invariants: a record is under way at most once between two resets (loss of the connection, a new
 * run of the centre, a receipt overdue); at most `window` records and, of the backlog, at most the
 * receipt's credit of bytes are under way; stream a goes before all others, live before backlog;
 * what the daily budget holds up waits in the journal;
 * a receipt beyond our own durable end means a restored disk: sending stops until a new epoch.
 */
#ifndef EDGE_UPLINK_H
#define EDGE_UPLINK_H

#include "base/attributes.h"
#include "base/clock.h"
#include "edge/outgoing.h"
#include "model/stream.h"
#include "store/journal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uplink;

/* How the uplink reaches the world. `publish` returns 0, or an error: not sent, try later. */
struct uplink_port {
    void *self;
    int (*publish)(void *self, const char *topic, const void *payload, size_t len, bool retained);
    /* Appends the edge's health as a JSON object, for {edge}/stats. May be NULL. */
    void (*stats)(void *self, struct buffer *out);
    /* A receipt went beyond our durable end: begin a new epoch, then call uplink_epoch. */
    void (*beyond)(void *self);
};

struct uplink_options {
    const char *edge, *site, *centre;
    const char *instance; /* of this run, 32 hex digits */
    struct journal *journal;
    struct uplink_port port;
    size_t window;         /* records under way, 1..1000; 0: 64 */
    int64_t stats_ms;      /* how often state and stats are published; 0: 10 s */
    bool compress;         /* pack records for a centre that says it unpacks them */
    uint64_t daily_budget; /* bytes in any 24 h, see edge/byte_budget.h; 0: no limit */
};

/* What people and the stop procedure want to know. */
struct uplink_status {
    bool connected;
    bool centre_fresh;
    bool sending;
    bool beyond;           /* waiting for a new epoch */
    uint64_t sent, resets; /* records published; times all under way was taken back */
    uint64_t refused;      /* messages from the broker that could not be read */
    uint64_t unreceived;   /* durable records without a receipt */
    size_t under_way;
    uint64_t credit;
};

/* ERR_NO_MEMORY, or what the journal's readers say. */
MUST_CHECK int uplink_new(const struct uplink_options *options, struct uplink **ret_uplink);
void uplink_free(struct uplink *uplink);

void uplink_connected(struct uplink *uplink, struct now now);
void uplink_disconnected(struct uplink *uplink);
/* A message on one of the topics of uplink_topics. ERR_INVALID (message) when it is unreadable. */
MUST_CHECK int uplink_message(struct uplink *uplink, struct now now, const char *topic,
                              const void *payload, size_t len, struct message *message);

/* The journal has begun a new epoch. */
MUST_CHECK int uplink_epoch(struct uplink *uplink, struct now now);

/* Sends what may be sent; returns when it wants to run next at the latest. */
int64_t uplink_step(struct uplink *uplink, struct now now);

/* Of what goes out: how much, and what the daily budget holds up. */
const struct outgoing *uplink_outgoing(const struct uplink *uplink);

void uplink_get_status(const struct uplink *uplink, struct uplink_status *ret_status);

/* The edge's presence as it would be published now, or as its will (up = false). */
void uplink_state(const struct uplink *uplink, struct now now, bool up, struct buffer *out);

#endif
