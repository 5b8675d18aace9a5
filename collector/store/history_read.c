#include "store/history_read.h"

#include "store/history_schema.h"

/* A page's end is not a failure. */
static int end_of_page(struct db_stmt *stmt, int err, size_t n, size_t *ret_count)
{
    db_reset(stmt);
    if (err != 0 && err != ERR_NOT_FOUND)
        return err;
    *ret_count = n;
    return 0;
}

static size_t page_size(size_t capacity)
{
    return capacity < HISTORY_MAX_PAGE ? capacity : HISTORY_MAX_PAGE;
}

/* Reads SAMPLE_COLUMNS. A quality that this version does not know is not trusted. */
static void read_sample(struct db_stmt *stmt, struct history_sample *ret)
{
    int64_t q = db_column_i64(stmt, 4);
    int64_t quality = (q & (HISTORY_FLOAT - 1)) / 256;

    *ret = (struct history_sample){
        .t_ms = db_column_i64(stmt, 0),
        .tie = db_column_i64(stmt, 1),
        .quality = quality < QUALITY_COUNT ? (enum quality)quality : QUALITY_BAD,
        .cause = (enum cause)(q & 255),
        .source = db_column_i64(stmt, 5),
        .seq = db_column_u64(stmt, 6),
    };
    if (!db_column_is_null(stmt, 2)) {
        ret->value.kind = (q & HISTORY_FLOAT) != 0 ? VALUE_FLOAT : VALUE_DOUBLE;
        ret->value.number = db_column_double(stmt, 2);
    } else if (!db_column_is_null(stmt, 3) &&
               db_column_copy(stmt, 3, ret->value.text, sizeof ret->value.text) == 0) {
        ret->value.kind = VALUE_TEXT;
    }
}

int history_read_latest(struct history_db *history, int64_t after,
                        struct history_latest *ret_latest, size_t capacity, size_t *ret_count,
                        struct message *message)
{
    struct db_stmt *stmt = history_db_stmt(history, HISTORY_LATEST);
    size_t n = 0;
    int err;

    db_bind_i64(stmt, 1, after);
    db_bind_u64(stmt, 2, page_size(capacity));
    while ((err = db_next(stmt, message)) == 0) {
        struct history_latest *latest = &ret_latest[n];
        read_sample(stmt, &latest->sample);
        latest->id = db_column_i64(stmt, 7);
        err = db_column_copy(stmt, 8, latest->point, sizeof latest->point);
        if (err != 0)
            break;
        n++;
    }
    return end_of_page(stmt, err, n, ret_count);
}

static struct db_stmt *bind_range(struct history_db *history, int64_t id, int64_t from_ms,
                                  int64_t after_tie, int64_t to_ms, int64_t limit)
{
    struct db_stmt *stmt = history_db_stmt(history, HISTORY_SAMPLES);

    db_bind_i64(stmt, 1, id);
    db_bind_i64(stmt, 2, from_ms);
    db_bind_i64(stmt, 3, after_tie);
    db_bind_i64(stmt, 4, to_ms);
    db_bind_i64(stmt, 5, limit);
    return stmt;
}

int history_read_samples(struct history_db *history, int64_t id, int64_t from_ms, int64_t after_tie,
                         int64_t to_ms, struct history_sample *ret_samples, size_t capacity,
                         size_t *ret_count, struct message *message)
{
    struct db_stmt *stmt =
        bind_range(history, id, from_ms, after_tie, to_ms, (int64_t)page_size(capacity));
    size_t n = 0;
    int err;

    while ((err = db_next(stmt, message)) == 0)
        read_sample(stmt, &ret_samples[n++]);
    return end_of_page(stmt, err, n, ret_count);
}

/* Adds what comes behind it in time. */
static void merge_bucket(struct history_bucket *bucket, const struct history_bucket *more)
{
    if (bucket->count == 0)
        bucket->first_ms = more->first_ms;
    bucket->last_ms = more->last_ms;
    bucket->count += more->count;
    if (more->worst > bucket->worst)
        bucket->worst = more->worst;
    if (more->used == 0)
        return;
    if (bucket->used == 0 || more->min < bucket->min)
        bucket->min = more->min;
    if (bucket->used == 0 || more->max > bucket->max)
        bucket->max = more->max;
    bucket->used += more->used;
    bucket->mean += (more->mean - bucket->mean) * ((double)more->used / (double)bucket->used);
}

static void add_to_bucket(struct history_bucket *bucket, const struct history_sample *sample)
{
    bool used = sample->quality <= QUALITY_UNCERTAIN &&
                (sample->value.kind == VALUE_DOUBLE || sample->value.kind == VALUE_FLOAT);
    struct history_bucket one = {
        .count = 1,
        .worst = sample->quality,
        .first_ms = sample->t_ms,
        .last_ms = sample->t_ms,
    };

    if (used) {
        one.used = 1;
        one.min = one.max = one.mean = sample->value.number;
    }
    merge_bucket(bucket, &one);
}

/* A reading of buckets under way: what comes is added in order of time. */
struct filling {
    struct history_db *history;
    int64_t id;
    int64_t from_ms, width_ms;
    struct history_bucket *buckets;
    size_t count;
};

/* The bucket of a time that is not before those already seen. */
static struct history_bucket *bucket_at(struct filling *filling, int64_t t_ms)
{
    int64_t offset = (t_ms - filling->from_ms) / filling->width_ms * filling->width_ms;
    int64_t start_ms = filling->from_ms + offset;

    if (filling->count == 0 || filling->buckets[filling->count - 1].start_ms != start_ms)
        filling->buckets[filling->count++] = (struct history_bucket){.start_ms = start_ms};
    return &filling->buckets[filling->count - 1];
}

static int fill_from_samples(struct filling *filling, int64_t from_ms, int64_t to_ms,
                             struct message *message)
{
    struct history_sample sample;
    int err = ERR_NOT_FOUND;

    if (from_ms >= to_ms)
        return 0;
    struct db_stmt *stmt = bind_range(filling->history, filling->id, from_ms, -1, to_ms, -1);
    while ((err = db_next(stmt, message)) == 0) {
        read_sample(stmt, &sample);
        add_to_bucket(bucket_at(filling, sample.t_ms), &sample);
    }
    return err == ERR_NOT_FOUND ? 0 : err;
}

static struct history_bucket read_rollup(struct db_stmt *stmt)
{
    int64_t worst = db_column_i64(stmt, 6);

    return (struct history_bucket){
        .start_ms = db_column_i64(stmt, 0) * HISTORY_SLOT_MS,
        .count = db_column_u64(stmt, 1),
        .used = db_column_u64(stmt, 2),
        .min = db_column_double(stmt, 3),
        .max = db_column_double(stmt, 4),
        .mean = db_column_double(stmt, 5),
        .worst = worst < QUALITY_COUNT ? (enum quality)worst : QUALITY_BAD,
        .first_ms = db_column_i64(stmt, 7),
        .last_ms = db_column_i64(stmt, 8),
    };
}

/* Roll-ups where there are any and they lie within one bucket; between them, and where a bucket
 * ends within one, the samples themselves. */
static int fill_from_rollups(struct filling *filling, int64_t to_ms, struct message *message)
{
    struct db_stmt *stmt = history_db_stmt(filling->history, HISTORY_ROLLUPS);
    int64_t done_ms = filling->from_ms;
    int err;

    db_bind_i64(stmt, 1, filling->id);
    db_bind_i64(stmt, 2,
                filling->from_ms / HISTORY_SLOT_MS + (filling->from_ms % HISTORY_SLOT_MS != 0));
    db_bind_i64(stmt, 3, to_ms / HISTORY_SLOT_MS);
    while ((err = db_next(stmt, message)) == 0) {
        struct history_bucket rollup = read_rollup(stmt);
        int64_t into_ms = (rollup.start_ms - filling->from_ms) % filling->width_ms;
        err = fill_from_samples(filling, done_ms, rollup.start_ms, message);
        if (err != 0)
            break;
        done_ms = rollup.start_ms;
        if (into_ms <= filling->width_ms - HISTORY_SLOT_MS) {
            merge_bucket(bucket_at(filling, rollup.start_ms), &rollup);
            done_ms += HISTORY_SLOT_MS;
        }
    }
    db_reset(stmt);
    if (err != ERR_NOT_FOUND)
        return err;
    return fill_from_samples(filling, done_ms, to_ms, message);
}

int history_read_buckets(struct history_db *history, int64_t id, int64_t from_ms, int64_t to_ms,
                         int64_t width_ms, struct history_bucket *ret_buckets, size_t capacity,
                         size_t *ret_count, struct message *message)
{
    struct filling filling = {.history = history,
                              .id = id,
                              .from_ms = from_ms,
                              .width_ms = width_ms,
                              .buckets = ret_buckets};

    if (width_ms <= 0 || from_ms < 0 || to_ms < from_ms)
        return message_set(message, ERR_RANGE, "a range of time and a width above 0 are needed");
    int64_t wanted = (to_ms - from_ms) / width_ms + ((to_ms - from_ms) % width_ms != 0);
    if (wanted > HISTORY_MAX_BUCKETS || (uint64_t)wanted > capacity)
        return message_set(message, ERR_RANGE, "more than %d buckets: take wider ones",
                           capacity < HISTORY_MAX_BUCKETS ? (int)capacity : HISTORY_MAX_BUCKETS);
    int err = width_ms < 2 * HISTORY_SLOT_MS ? fill_from_samples(&filling, from_ms, to_ms, message)
                                             : fill_from_rollups(&filling, to_ms, message);
    if (err == 0)
        *ret_count = filling.count;
    return err;
}

int history_read_count(struct history_db *history, int64_t id, uint64_t *ret_count,
                       struct message *message)
{
    struct history_bucket all;
    size_t n = 0;
    int err = history_read_buckets(history, id, 0, INT64_MAX, INT64_MAX, &all, 1, &n, message);

    if (err == 0)
        *ret_count = n > 0 ? all.count : 0;
    return err;
}
