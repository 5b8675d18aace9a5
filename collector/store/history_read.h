/*
 * Samples of the history as people ask for them: the latest, pages, buckets. Bounded in rows and
 * time. Any handle of the file; read-only ones are meant. Results are the caller's arrays.
 */
#ifndef STORE_HISTORY_READ_H
#define STORE_HISTORY_READ_H

#include "store/history_db.h"

#define HISTORY_MAX_BUCKETS 10000

struct history_sample {
    int64_t t_ms;
    int64_t tie; /* rising from 0 among samples of the point with one stamp: history_tie.h */
    struct value value;
    enum quality quality;
    enum cause cause;
    int64_t source; /* number of (edge, epoch, stream) in this file */
    uint64_t seq;
};

struct history_latest {
    int64_t id;
    char point[sizeof((struct point_info *)0)->id];
    struct history_sample sample;
};

/* Samples with from <= t < from + width. Bad and stale ones, and those without a number, count in
 * `count` and `worst` only. */
struct history_bucket {
    int64_t start_ms;
    uint64_t count;
    uint64_t used;         /* in min, max and mean; where 0, those are 0 */
    double min, max, mean; /* of good and uncertain numbers */
    enum quality worst;
    int64_t first_ms, last_ms; /* of all `count` */
};

/* The newest sample, by its stamp, of each point numbered above `after` that has any. */
MUST_CHECK int history_read_latest(struct history_db *history, int64_t after,
                                   struct history_latest *ret_latest, size_t capacity,
                                   size_t *ret_count, struct message *message);

/* Samples of a point in order of (t, tie): those behind (from_ms, after_tie) and before to_ms.
 * First page: after_tie -1; next: stamp and tie of the last one got. */
MUST_CHECK int history_read_samples(struct history_db *history, int64_t id, int64_t from_ms,
                                    int64_t after_tie, int64_t to_ms,
                                    struct history_sample *ret_samples, size_t capacity,
                                    size_t *ret_count, struct message *message);

/* The buckets from_ms + n × width_ms before to_ms that hold anything, rising. ERR_RANGE: more than
 * `capacity` or HISTORY_MAX_BUCKETS lie between. */
MUST_CHECK int history_read_buckets(struct history_db *history, int64_t id, int64_t from_ms,
                                    int64_t to_ms, int64_t width_ms,
                                    struct history_bucket *ret_buckets, size_t capacity,
                                    size_t *ret_count, struct message *message);

/* Samples of a point stamped from 1970 on. */
MUST_CHECK int history_read_count(struct history_db *history, int64_t id, uint64_t *ret_count,
                                  struct message *message);

#endif
