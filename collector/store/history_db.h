/*
 * The embedded time-series store: every sample of every point, good or bad, in one SQLite file.
 *
 * Written by the historian's thread alone, within transactions: what a stretch of the journal gave
 * and the cursor behind it become durable together, so a restart goes on where the results end.
 * Read by any number of read-only handles, one thread each (history_read.h reads the samples);
 * every read is bounded in rows and time: ERR_TIMEOUT beyond 5 s.
 *
 * Adding is idempotent: a sample is known by (point, t, source, seq) and its place among its like
 * in the record; one that is there is not added again. Another sample of the point with the same
 * stamp gets a tie number (history_tie.h).
 */
#ifndef STORE_HISTORY_DB_H
#define STORE_HISTORY_DB_H

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/error.h"
#include "model/record.h"
#include "model/sample.h"
#include "model/stream.h"
#include "store/db.h"

#define HISTORY_MAX_PAGE 10000 /* rows of one read */

struct history_db;

struct history_point {
    int64_t id; /* in this file, rising from 1 */
    struct point_info info;
};

/* As db_open, whose failures it has. `ret_report` may be NULL. */
MUST_CHECK int history_db_open(const struct db_options *options, struct history_db **ret_history,
                               struct db_report *ret_report, struct message *message);
void history_db_close(struct history_db *history);

/* For health: log, checkpoints. */
const struct db *history_db_file(const struct history_db *history);

/* ---- writing: between begin and commit; after a failure only rollback ---- */

MUST_CHECK int history_db_begin(struct history_db *history, struct message *message);
/* On failure all of the transaction is rolled back, and numbers it gave out are void. */
MUST_CHECK int history_db_commit(struct history_db *history, struct message *message);
void history_db_rollback(struct history_db *history);

/* The verbatim payload of a birth under its name; one that is there stays. */
MUST_CHECK int history_db_add_birth(struct history_db *history, const char *birth,
                                    const void *payload, size_t len, struct message *message);

/* The number of a point, made on first sight; what a later birth tells otherwise is taken over. */
MUST_CHECK int history_db_add_point(struct history_db *history, const struct point_info *info,
                                    int64_t *ret_id, struct message *message);

MUST_CHECK int history_db_add_source(struct history_db *history, const char *edge,
                                     const char *epoch, enum stream stream, int64_t *ret_id,
                                     struct message *message);

/*
 * All samples of one data record, with its source and sequence; `points[sample.point]` is the
 * number of the sample's point. ERR_RANGE for a sample beyond `point_count`, ERR_INVALID for a
 * number that is not finite. `ret_stored` (may be NULL): how many were not there yet.
 */
MUST_CHECK int history_db_add_samples(struct history_db *history, int64_t source, uint64_t seq,
                                      const int64_t *points, size_t point_count,
                                      const struct sample *samples, size_t count,
                                      size_t *ret_stored, struct message *message);

MUST_CHECK int history_db_set_cursor(struct history_db *history, uint64_t position,
                                     struct message *message);

/* ---- reading: either handle ---- */

/* The journal position last committed; 0: none yet. */
MUST_CHECK int history_db_cursor(struct history_db *history, uint64_t *ret_position,
                                 struct message *message);

/* Appends the payload to `out`; ERR_NOT_FOUND. */
MUST_CHECK int history_db_birth(struct history_db *history, const char *birth, struct buffer *out,
                                struct message *message);

/* The point of that name (ERR_NOT_FOUND); the points numbered above `after`, rising, at most
 * `capacity` and HISTORY_MAX_PAGE. */
MUST_CHECK int history_db_point(struct history_db *history, const char *point,
                                struct history_point *ret_point, struct message *message);
MUST_CHECK int history_db_points(struct history_db *history, int64_t after,
                                 struct history_point *ret_points, size_t capacity,
                                 size_t *ret_count, struct message *message);

/* The number of a source; ERR_NOT_FOUND. */
MUST_CHECK int history_db_source(struct history_db *history, const char *edge, const char *epoch,
                                 enum stream stream, int64_t *ret_id, struct message *message);

/* Samples stored, of all points. */
MUST_CHECK int history_db_count(struct history_db *history, uint64_t *ret_count,
                                struct message *message);

#endif
