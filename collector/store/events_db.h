/*
 * What the alarm engine gave: transitions, notifications to be sent, its snapshot, its cursor.
 *
 * Written by the alarm thread alone. Transitions and notifications carry keys that the engine
 * derives from the journal; one that is there is not added again, so a replay after a restart
 * changes nothing. What a stretch of the journal gave goes in by one transaction with the cursor;
 * the snapshot goes in with the position it stands for, and is where the next start begins.
 *
 * Read by read-only handles, one thread each: the journal of occurrences (API), the notifications
 * (sender, which keeps a cursor of its own). Rows are shown to a visitor; what they point to is
 * valid during its call. Reads are bounded in rows and time.
 */
#ifndef STORE_EVENTS_DB_H
#define STORE_EVENTS_DB_H

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/error.h"
#include "store/db.h"

#define EVENTS_MAX_ROWS     1000               /* of one read */
#define EVENTS_MAX_PAYLOAD  (64 * 1024)        /* of a transition or a notification */
#define EVENTS_MAX_SNAPSHOT (64 * 1024 * 1024) /* bytes */

struct events_db;

/* One line of the alarm journal. Texts never NULL, "" where there is none. */
struct event_transition {
    uint64_t id; /* given by the file, rising in the order of adding */
    const char *key;
    const char *alarm;
    const char *site;
    uint64_t occurrence;
    const char *event;
    const char *state;
    const char *priority;
    int64_t t_ms;
    int64_t onset_ms; /* of the occurrence; 0: none */
    bool has_value;
    double value;
    const char *quality;
    const char *cause;
    const char *payload; /* JSON: the whole line */
    size_t payload_len;
};

struct event_notification {
    uint64_t id; /* given by the file, rising; never used twice */
    const char *key;
    const char *alarm;
    uint64_t occurrence;
    const char *kind; /* raise, clear, late, config */
    const char *priority;
    int64_t t_ms;
    const char *payload; /* JSON: texts, recipients */
    size_t payload_len;
};

/* Which transitions; NULL and 0 are "any". */
struct event_filter {
    const char *alarm, *site, *event, *state, *priority;
    uint64_t occurrence;
    int64_t from_ms;   /* t >= from */
    int64_t to_ms;     /* t < to */
    int64_t before_ms; /* next page: t_ms and id of the last one seen */
    uint64_t before_id;
};

/* As db_open, whose failures it has. `ret_report` may be NULL. */
MUST_CHECK int events_db_open(const struct db_options *options, struct events_db **ret_events,
                              struct db_report *ret_report, struct message *message);
void events_db_close(struct events_db *events);
const struct db *events_db_file(const struct events_db *events);

/* ---- writing: between begin and commit; after a failure only rollback ---- */

MUST_CHECK int events_db_begin(struct events_db *events, struct message *message);
MUST_CHECK int events_db_commit(struct events_db *events, struct message *message);
void events_db_rollback(struct events_db *events);

MUST_CHECK int events_db_add_birth(struct events_db *events, const char *birth, const void *payload,
                                   size_t len, struct message *message);

/* The row's `id` is not looked at. `ret_added` (may be NULL): false where the key was there. */
MUST_CHECK int events_db_add_transition(struct events_db *events,
                                        const struct event_transition *row, bool *ret_added,
                                        struct message *message);
MUST_CHECK int events_db_add_notification(struct events_db *events,
                                          const struct event_notification *row, bool *ret_added,
                                          struct message *message);

/* Replaces the snapshot: the engine's state after the journal up to `position`. */
MUST_CHECK int events_db_set_snapshot(struct events_db *events, uint64_t position, const void *data,
                                      size_t len, struct message *message);

MUST_CHECK int events_db_set_cursor(struct events_db *events, uint64_t position,
                                    struct message *message);

/* ---- reading: either handle ---- */

/* The journal position last committed; 0: none yet. */
MUST_CHECK int events_db_cursor(struct events_db *events, uint64_t *ret_position,
                                struct message *message);

/* Appends to `out`; ERR_NOT_FOUND when there is none. */
MUST_CHECK int events_db_birth(struct events_db *events, const char *birth, struct buffer *out,
                               struct message *message);
MUST_CHECK int events_db_snapshot(struct events_db *events, uint64_t *ret_position,
                                  struct buffer *out, struct message *message);

/* Newest first, at most `limit` and EVENTS_MAX_ROWS. A visitor's non-zero result ends the reading
 * and is returned. */
MUST_CHECK int events_db_transitions(struct events_db *events, const struct event_filter *filter,
                                     size_t limit,
                                     int (*visit)(void *self, const struct event_transition *row),
                                     void *self, struct message *message);

/* Those behind `after`, in the order of adding. */
MUST_CHECK int events_db_notifications(struct events_db *events, uint64_t after, size_t limit,
                                       int (*visit)(void *self,
                                                    const struct event_notification *row),
                                       void *self, struct message *message);

#endif
