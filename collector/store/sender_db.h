/*
 * The sender's file: how far each notification got on each of its ways, how far the outbox of
 * notifications (events_db.h) is read, and the outbox of verdicts on their way into the journal.
 *
 * Written by the sender's thread alone, in transactions: a provider's answer changes the delivery
 * and appends its verdict record at once. Read by read-only handles, one thread each.
 *
 * A delivery is known by (key of the notification, recipient, channel).
 */
#ifndef STORE_SENDER_DB_H
#define STORE_SENDER_DB_H

#include "base/attributes.h"
#include "base/error.h"
#include "store/db.h"
#include "store/outbox.h"

#define SENDER_MAX_ROWS    1000              /* of one read */
#define SENDER_MAX_WAIT_MS ((int64_t)600000) /* between two attempts */

struct sender_db;

enum delivery_state {
    DELIVERY_PENDING,  /* to be tried at `next_ms` */
    DELIVERY_ACCEPTED, /* the provider took it */
    DELIVERY_GIVEN_UP, /* it will not be tried again */
    DELIVERY_STATE_COUNT,
};

struct delivery {
    char key[96];
    char recipient[65];
    char channel[33];
    uint64_t notification; /* its id in the events file */
    enum delivery_state state;
    uint32_t attempts;
    int64_t next_ms;    /* while pending */
    int64_t changed_ms; /* when this row was written */
    char verdict[64];   /* of the last attempt; "": none yet */
};

/* As db_open, whose failures it has. `ret_report` may be NULL. */
MUST_CHECK int sender_db_open(const struct db_options *options, struct sender_db **ret_sender,
                              struct db_report *ret_report, struct message *message);
void sender_db_close(struct sender_db *sender);
const struct db *sender_db_file(const struct sender_db *sender);

/* To append in the sender's transactions, or to read. Lives as long as the handle. */
struct outbox *sender_db_outbox(struct sender_db *sender);

/* ---- writing: between begin and commit; after a failure only rollback ---- */

MUST_CHECK int sender_db_begin(struct sender_db *sender, struct message *message);
MUST_CHECK int sender_db_commit(struct sender_db *sender, struct message *message);
void sender_db_rollback(struct sender_db *sender);

/* Makes a delivery; one that is there stays as it is, however far it has got. */
MUST_CHECK int sender_db_add(struct sender_db *sender, const struct delivery *delivery,
                             bool *ret_added, struct message *message);

/* Writes state, attempts, next_ms, changed_ms and verdict. ERR_NOT_FOUND. */
MUST_CHECK int sender_db_update(struct sender_db *sender, const struct delivery *delivery,
                                struct message *message);

/* Makes all that is pending on the channel due at `now_ms`, however long it was to wait. */
MUST_CHECK int sender_db_hasten(struct sender_db *sender, const char *channel, int64_t now_ms,
                                struct message *message);

/* Forgets at most `limit` deliveries that came to their end before `before_ms`. */
MUST_CHECK int sender_db_forget(struct sender_db *sender, int64_t before_ms, size_t limit,
                                int64_t *ret_forgotten, struct message *message);

/* The id of the last notification taken over into deliveries. */
MUST_CHECK int sender_db_set_cursor(struct sender_db *sender, uint64_t notification,
                                    struct message *message);

/* ---- reading: either handle ---- */

MUST_CHECK int sender_db_cursor(struct sender_db *sender, uint64_t *ret_notification,
                                struct message *message);

/* ERR_NOT_FOUND. */
MUST_CHECK int sender_db_delivery(struct sender_db *sender, const char *key, const char *recipient,
                                  const char *channel, struct delivery *ret_delivery,
                                  struct message *message);

/* Pending deliveries with next_ms <= now_ms, the longest due first; and those that would wait for
 * longer than SENDER_MAX_WAIT_MS: the clock was set back since. */
MUST_CHECK int sender_db_due(struct sender_db *sender, int64_t now_ms,
                             struct delivery *ret_deliveries, size_t capacity, size_t *ret_count,
                             struct message *message);

/* When the next pending one is due; INT64_MAX: none. */
MUST_CHECK int sender_db_next_due(struct sender_db *sender, int64_t *ret_ms,
                                  struct message *message);

/* All deliveries of a notification. */
MUST_CHECK int sender_db_deliveries(struct sender_db *sender, const char *key,
                                    struct delivery *ret_deliveries, size_t capacity,
                                    size_t *ret_count, struct message *message);

#endif
