/*
 * The sender: carries notifications from events.db to webhooks, and what came of it as verdict
 * records into the journal. At least once: a notification is done with when the webhook's host said
 * 2xx; until then it is tried again, ever more rarely, up to ten minutes apart, for a week, and at
 * once when the webhook takes another one.
 *
 * One thread runs sender_step; sender_get_status may be asked by any.
 */
#ifndef CENTRAL_SENDER_H
#define CENTRAL_SENDER_H

#include "base/attributes.h"
#include "base/clock.h"
#include "base/error.h"
#include "model/central_config.h"

#include <stdint.h>

struct sender;

struct sender_options {
    const char *path;        /* of sender.db */
    const char *events_path; /* of events.db, read only; its writer has made it */
    const char *boot;
    const struct webhook_config *webhooks;
    size_t webhook_count;
};

struct sender_status {
    uint64_t accepted, failed, given_up; /* deliveries, attempts, deliveries, since the start */
};

MUST_CHECK int sender_open(const struct sender_options *options, struct sender **ret_sender,
                           struct message *message);
void sender_close(struct sender *sender);

/* A worker's step; `self` is the sender. Blocks while webhooks take their time; one that
 * gives no answer is asked once: 10 s at most for each of them. */
int64_t sender_step(void *self, struct now now);

/* Ingest has the outbox's entries up to `id` durably: the next step deletes them. Any thread. */
void sender_journaled(struct sender *sender, uint64_t id);

void sender_get_status(struct sender *sender, struct sender_status *ret_status);

#endif
