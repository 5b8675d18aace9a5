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

static void add_to_bucket(struct history_bucket *bucket, const struct history_sample *sample)
{
    bool used = sample->quality <= QUALITY_UNCERTAIN &&
                (sample->value.kind == VALUE_DOUBLE || sample->value.kind == VALUE_FLOAT);
    double number = sample->value.number;

    if (bucket->count++ == 0)
        bucket->first_ms = sample->t_ms;
    bucket->last_ms = sample->t_ms;
    if (sample->quality > bucket->worst)
        bucket->worst = sample->quality;
    if (!used)
        return;
    if (bucket->used == 0 || number < bucket->min)
        bucket->min = number;
    if (bucket->used == 0 || number > bucket->max)
        bucket->max = number;
    bucket->used++;
    bucket->mean += (number - bucket->mean) / (double)bucket->used;
}

int history_read_buckets(struct history_db *history, int64_t id, int64_t from_ms, int64_t to_ms,
                         int64_t width_ms, struct history_bucket *ret_buckets, size_t capacity,
                         size_t *ret_count, struct message *message)
{
    struct history_sample sample;
    size_t n = 0;
    int err;

    if (width_ms <= 0 || from_ms < 0 || to_ms < from_ms)
        return message_set(message, ERR_RANGE, "a range of time and a width above 0 are needed");
    int64_t wanted = (to_ms - from_ms) / width_ms + ((to_ms - from_ms) % width_ms != 0);
    if (wanted > HISTORY_MAX_BUCKETS || (uint64_t)wanted > capacity)
        return message_set(message, ERR_RANGE, "more than %d buckets: take wider ones",
                           capacity < HISTORY_MAX_BUCKETS ? (int)capacity : HISTORY_MAX_BUCKETS);
    struct db_stmt *stmt = bind_range(history, id, from_ms, -1, to_ms, -1);
    while ((err = db_next(stmt, message)) == 0) {
        read_sample(stmt, &sample);
        int64_t start = from_ms + (sample.t_ms - from_ms) / width_ms * width_ms;
        if (n == 0 || ret_buckets[n - 1].start_ms != start)
            ret_buckets[n++] = (struct history_bucket){.start_ms = start};
        add_to_bucket(&ret_buckets[n - 1], &sample);
    }
    return end_of_page(stmt, err, n, ret_count);
}
