#include "store/history_db.h"

#include "store/history_rollup.h"
#include "store/history_schema.h"
#include "store/history_tie.h"
#include "store/point_cache.h"
#include "store/state_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/*
 * Design notes
 *
 * Ties. Nearly every sample is the only one of its stamp: it goes in with tie 0 by one statement
 * that does nothing where there is one already. Only then its like is looked for. The indexes over
 * ties above 0 are small, and keep that cheap for a clock that stands still.
 *
 * The count of all samples is kept as a number: counting rows would take minutes one day.
 */

#define MAX_CACHED_POINTS 200000

struct history_db {
    struct db *db;
    struct history_rollup *rollup; /* NULL at readers */
    struct point_cache points;
    struct history_ties ties;
    bool points_made;   /* in this transaction */
    uint64_t stored;    /* samples, committed */
    uint64_t stored_tx; /* … and in this transaction */
};

int history_db_open(const struct db_options *options, struct history_db **ret_history,
                    struct db_report *ret_report, struct message *message)
{
    struct history_db *history = calloc(1, sizeof *history);

    if (history == NULL)
        return message_set(message, ERR_NO_MEMORY, "no memory to open %s", options->path);
    point_cache_init(&history->points, MAX_CACHED_POINTS);
    int err = db_open(options, &history_schema, &history->db, ret_report, message);
    if (err == 0)
        err = history_db_count(history, &history->stored, message);
    if (err == 0 && options->mode == DB_WRITER)
        err = history_rollup_new(history, &history->rollup);
    if (err != 0) {
        history_db_close(history);
        return err;
    }
    *ret_history = history;
    return 0;
}

void history_db_close(struct history_db *history)
{
    if (history == NULL)
        return;
    db_close(history->db);
    history_rollup_free(history->rollup);
    history_ties_release(&history->ties);
    point_cache_release(&history->points);
    free(history);
}

struct db_stmt *history_db_stmt(struct history_db *history, enum history_statement statement)
{
    return db_stmt(history->db, (size_t)statement);
}

const struct db *history_db_file(const struct history_db *history)
{
    return history->db;
}

/* ---- writing ---------------------------------------------------------------------------- */

int history_db_begin(struct history_db *history, struct message *message)
{
    int err = db_begin(history->db, message);

    if (err != 0)
        return err;
    history->stored_tx = 0;
    history->points_made = false;
    return 0;
}

/* Numbers given to points in a transaction that is gone must not be believed. */
static void forget_transaction(struct history_db *history)
{
    if (history->points_made)
        point_cache_clear(&history->points);
    if (history->rollup != NULL)
        history_rollup_forget(history->rollup);
    history->points_made = false;
    history->stored_tx = 0;
}

int history_db_commit(struct history_db *history, struct message *message)
{
    int err = history->rollup != NULL ? history_rollup_run(history->rollup, message) : 0;

    if (err == 0 && history->stored_tx > 0)
        err = state_set(history_db_stmt(history, HISTORY_SET_STATE), "samples",
                        history->stored + history->stored_tx, message);
    if (err == 0)
        err = db_commit(history->db, message);
    if (err != 0) {
        history_db_rollback(history);
        return err;
    }
    history->stored += history->stored_tx;
    history->stored_tx = 0;
    history->points_made = false;
    return 0;
}

void history_db_rollback(struct history_db *history)
{
    db_rollback(history->db);
    forget_transaction(history);
}

int history_db_add_birth(struct history_db *history, const char *birth, const void *payload,
                         size_t len, struct message *message)
{
    struct db_stmt *stmt = history_db_stmt(history, HISTORY_ADD_BIRTH);

    db_bind_text(stmt, 1, birth);
    db_bind_blob(stmt, 2, payload, len);
    return db_run(stmt, NULL, message);
}

static uint64_t print_of(const struct point_info *info)
{
    uint64_t hash = point_cache_hash(POINT_CACHE_SEED, info->name);

    hash = point_cache_hash(hash, info->unit);
    hash = point_cache_hash(hash, info->type);
    hash = point_cache_hash(hash, info->site);
    hash = point_cache_hash(hash, info->map);
    hash = point_cache_hash(hash, info->class_);
    return hash ^ (uint64_t)info->interval_ms;
}

static struct db_stmt *bind_point(struct history_db *history, enum history_statement statement,
                                  const struct point_info *info)
{
    struct db_stmt *stmt = history_db_stmt(history, statement);

    db_bind_text(stmt, 1, info->id);
    db_bind_text(stmt, 2, info->name);
    db_bind_text(stmt, 3, info->unit);
    db_bind_text(stmt, 4, info->type);
    db_bind_text(stmt, 5, info->site);
    db_bind_text(stmt, 6, info->map);
    db_bind_text(stmt, 7, info->class_);
    db_bind_i64(stmt, 8, info->interval_ms);
    return stmt;
}

/* Runs an INSERT … RETURNING id. */
static int insert_for_id(struct db_stmt *stmt, int64_t *ret_id, struct message *message)
{
    int err = db_next(stmt, message);

    if (err != 0)
        return err;
    *ret_id = db_column_i64(stmt, 0);
    return db_run(stmt, NULL, message);
}

int history_db_add_point(struct history_db *history, const struct point_info *info, int64_t *ret_id,
                         struct message *message)
{
    struct point_cache_entry *entry = point_cache_find(&history->points, info->id);
    uint64_t print = print_of(info);
    struct history_point known;
    int err = 0;

    if (entry != NULL && entry->print == print) {
        *ret_id = entry->id;
        return 0;
    }
    err = history_db_point(history, info->id, &known, message);
    if (err == ERR_NOT_FOUND)
        err = insert_for_id(bind_point(history, HISTORY_ADD_POINT, info), &known.id, message);
    else if (err == 0 && print_of(&known.info) != print)
        err = db_run(bind_point(history, HISTORY_UPDATE_POINT, info), NULL, message);
    if (err != 0)
        return err;
    history->points_made = true;
    if (entry != NULL)
        entry->print = print;
    else
        point_cache_put(&history->points, info->id, known.id, print);
    *ret_id = known.id;
    return 0;
}

static struct db_stmt *bind_source(struct history_db *history, enum history_statement statement,
                                   const char *edge, const char *epoch, const char *letter)
{
    struct db_stmt *stmt = history_db_stmt(history, statement);

    db_bind_text(stmt, 1, edge);
    db_bind_text(stmt, 2, epoch);
    db_bind_text(stmt, 3, letter);
    return stmt;
}

int history_db_add_source(struct history_db *history, const char *edge, const char *epoch,
                          enum stream stream, int64_t *ret_id, struct message *message)
{
    const char letter[2] = {stream_letter(stream), '\0'};
    int err = history_db_source(history, edge, epoch, stream, ret_id, message);

    if (err != ERR_NOT_FOUND)
        return err;
    return insert_for_id(bind_source(history, HISTORY_ADD_SOURCE, edge, epoch, letter), ret_id,
                         message);
}

/* Where a sample comes from, and as which of the file's points. */
struct origin {
    int64_t source;
    uint64_t seq;
    int64_t point;
};

static int insert_sample(struct history_db *history, const struct origin *origin, int64_t tie,
                         const struct sample *sample, bool *ret_stored, struct message *message)
{
    struct db_stmt *stmt = history_db_stmt(history, HISTORY_ADD_SAMPLE);
    int64_t q = quality_pack(sample->quality, sample->cause);
    int64_t changes = 0;

    db_bind_i64(stmt, 1, origin->point);
    db_bind_i64(stmt, 2, sample->t_ms);
    db_bind_i64(stmt, 3, tie);
    if (sample->value.kind == VALUE_DOUBLE || sample->value.kind == VALUE_FLOAT)
        db_bind_double(stmt, 4, sample->value.number);
    else if (sample->value.kind == VALUE_TEXT)
        db_bind_text(stmt, 5, sample->value.text);
    db_bind_i64(stmt, 6, sample->value.kind == VALUE_FLOAT ? q + HISTORY_FLOAT : q);
    db_bind_i64(stmt, 7, origin->source);
    db_bind_u64(stmt, 8, origin->seq);
    int err = db_run(stmt, &changes, message);
    if (err == 0)
        *ret_stored = changes > 0;
    return err;
}

/* How many samples of this record are in the file, with the point and the stamp. */
static int count_same(struct history_db *history, const struct origin *origin, int64_t t_ms,
                      int64_t *ret_count, struct message *message)
{
    struct db_stmt *stmt = history_db_stmt(history, HISTORY_COUNT_SAME);

    db_bind_i64(stmt, 1, origin->point);
    db_bind_i64(stmt, 2, t_ms);
    db_bind_i64(stmt, 3, origin->source);
    db_bind_u64(stmt, 4, origin->seq);
    int err = db_next(stmt, message);
    if (err != 0)
        return err;
    *ret_count = db_column_i64(stmt, 0);
    db_reset(stmt);
    return 0;
}

/* The stamp is taken: by this very sample, or by another? The file holds as many of this record as
 * came before it, and one more if it has been here. */
static int add_behind(struct history_db *history, const struct origin *origin,
                      const struct sample *samples, size_t index, bool *ret_stored,
                      struct message *message)
{
    const struct sample *sample = &samples[index];
    int64_t before = 0;
    int64_t same = 0;
    int64_t tie = 0;

    for (size_t i = 0; i < index; i++)
        before += samples[i].point == sample->point && samples[i].t_ms == sample->t_ms;
    int err = count_same(history, origin, sample->t_ms, &same, message);
    if (err != 0 || same > before)
        return err;
    err = history_tie_next(history, &history->ties, origin->point, sample->t_ms, &tie, message);
    if (err != 0)
        return err;
    return insert_sample(history, origin, tie, sample, ret_stored, message);
}

static int add_sample(struct history_db *history, const struct origin *origin,
                      const struct sample *samples, size_t index, bool *ret_stored,
                      struct message *message)
{
    const struct sample *sample = &samples[index];
    bool taken = false;
    int err =
        history_tie_is_taken(history, &history->ties, origin->point, sample->t_ms, &taken, message);

    if (err == 0 && !taken)
        err = insert_sample(history, origin, 0, sample, ret_stored, message);
    if (err == 0 && !*ret_stored)
        err = add_behind(history, origin, samples, index, ret_stored, message);
    return err;
}

static int check_samples(const struct sample *samples, size_t count, size_t point_count,
                         struct message *message)
{
    for (size_t i = 0; i < count; i++) {
        if (samples[i].point >= point_count)
            return message_set(message, ERR_RANGE, "sample %zu names point %u of %zu", i,
                               (unsigned)samples[i].point, point_count);
        if (!isfinite(samples[i].value.number))
            return message_set(message, ERR_INVALID, "sample %zu is not a finite number", i);
    }
    return 0;
}

int history_db_add_samples(struct history_db *history, int64_t source, uint64_t seq,
                           const int64_t *points, size_t point_count, const struct sample *samples,
                           size_t count, size_t *ret_stored, struct message *message)
{
    struct origin origin = {.source = source, .seq = seq};
    size_t total = 0;
    int err = check_samples(samples, count, point_count, message);

    for (size_t i = 0; err == 0 && i < count; i++) {
        bool stored = false;
        origin.point = points[samples[i].point];
        err = add_sample(history, &origin, samples, i, &stored, message);
        if (err == 0 && stored)
            err = history_rollup_note(history->rollup, origin.point, samples[i].t_ms, message);
        total += stored;
    }
    if (err != 0)
        return db_break(history->db, err);
    history->stored_tx += total;
    if (ret_stored != NULL)
        *ret_stored = total;
    return 0;
}

int history_db_set_cursor(struct history_db *history, uint64_t position, struct message *message)
{
    return state_set(history_db_stmt(history, HISTORY_SET_STATE), "journal", position, message);
}

/* ---- reading ---------------------------------------------------------------------------- */

int history_db_cursor(struct history_db *history, uint64_t *ret_position, struct message *message)
{
    return state_get(history_db_stmt(history, HISTORY_GET_STATE), "journal", ret_position, message);
}

int history_db_source(struct history_db *history, const char *edge, const char *epoch,
                      enum stream stream, int64_t *ret_id, struct message *message)
{
    const char letter[2] = {stream_letter(stream), '\0'};
    struct db_stmt *stmt = bind_source(history, HISTORY_FIND_SOURCE, edge, epoch, letter);
    int err = db_next(stmt, message);

    if (err != 0)
        return err;
    *ret_id = db_column_i64(stmt, 0);
    db_reset(stmt);
    return 0;
}

int history_db_count(struct history_db *history, uint64_t *ret_count, struct message *message)
{
    return state_get(history_db_stmt(history, HISTORY_GET_STATE), "samples", ret_count, message);
}

int history_db_birth(struct history_db *history, const char *birth, struct buffer *out,
                     struct message *message)
{
    struct db_stmt *stmt = history_db_stmt(history, HISTORY_GET_BIRTH);
    size_t len = 0;

    db_bind_text(stmt, 1, birth);
    int err = db_next(stmt, message);
    if (err != 0)
        return err;
    const void *payload = db_column_blob(stmt, 0, &len);
    buffer_append(out, payload, len);
    db_reset(stmt);
    return buffer_error(out);
}

static int read_point(struct history_db *history, struct db_stmt *stmt, struct history_point *ret,
                      struct message *message)
{
    struct point_info *info = &ret->info;

    ret->id = db_column_i64(stmt, 0);
    int err = db_column_copy(stmt, 1, info->id, sizeof info->id);
    if (err == 0)
        err = db_column_copy(stmt, 2, info->name, sizeof info->name);
    if (err == 0)
        err = db_column_copy(stmt, 3, info->unit, sizeof info->unit);
    if (err == 0)
        err = db_column_copy(stmt, 4, info->type, sizeof info->type);
    if (err == 0)
        err = db_column_copy(stmt, 5, info->site, sizeof info->site);
    if (err == 0)
        err = db_column_copy(stmt, 6, info->map, sizeof info->map);
    if (err == 0)
        err = db_column_copy(stmt, 7, info->class_, sizeof info->class_);
    info->interval_ms = db_column_i64(stmt, 8);
    if (err != 0)
        return message_set(message, err, "%s: the text of a point is too long",
                           db_path(history->db));
    return 0;
}

int history_db_point(struct history_db *history, const char *point, struct history_point *ret_point,
                     struct message *message)
{
    struct db_stmt *stmt = history_db_stmt(history, HISTORY_FIND_POINT);
    struct history_point found;

    db_bind_text(stmt, 1, point);
    int err = db_next(stmt, message);
    if (err == 0)
        err = read_point(history, stmt, &found, message);
    db_reset(stmt);
    if (err == 0)
        *ret_point = found;
    return err;
}

int history_db_points(struct history_db *history, int64_t after, struct history_point *ret_points,
                      size_t capacity, size_t *ret_count, struct message *message)
{
    struct db_stmt *stmt = history_db_stmt(history, HISTORY_LIST_POINTS);
    size_t n = 0;
    int err;

    db_bind_i64(stmt, 1, after);
    db_bind_u64(stmt, 2, capacity < HISTORY_MAX_PAGE ? capacity : HISTORY_MAX_PAGE);
    while ((err = db_next(stmt, message)) == 0) {
        err = read_point(history, stmt, &ret_points[n], message);
        if (err != 0)
            break;
        n++;
    }
    db_reset(stmt);
    if (err != ERR_NOT_FOUND)
        return err;
    *ret_count = n;
    return 0;
}
