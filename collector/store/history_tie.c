#include "store/history_tie.h"

#include "store/history_schema.h"

#include <stdlib.h>

#define FIRST_COUNT 256

/* One number about a point at an instant. */
static int ask(struct history_db *history, enum history_statement statement, int64_t point,
               int64_t t_ms, int64_t *ret_number, struct message *message)
{
    struct db_stmt *stmt = history_db_stmt(history, statement);

    db_bind_i64(stmt, 1, point);
    db_bind_i64(stmt, 2, t_ms);
    int err = db_next(stmt, message);
    if (err != 0)
        return err;
    *ret_number = db_column_i64(stmt, 0);
    db_reset(stmt);
    return 0;
}

void history_ties_release(struct history_ties *ties)
{
    free(ties->highest);
    *ties = (struct history_ties){0};
}

static int make_room(struct history_ties *ties, size_t place)
{
    size_t count = ties->count > 0 ? ties->count : FIRST_COUNT;

    while (count <= place)
        count *= 2;
    int64_t *highest = reallocarray(ties->highest, count, sizeof *highest);
    if (highest == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = ties->count; i < count; i++)
        highest[i] = INT64_MAX;
    *ties = (struct history_ties){highest, count};
    return 0;
}

/* Numbers of points rise from 1. */
static int find_highest(struct history_db *history, struct history_ties *ties, int64_t point,
                        int64_t **ret_highest, struct message *message)
{
    int err = (size_t)point < ties->count ? 0 : make_room(ties, (size_t)point);

    if (err != 0)
        return message_set(message, err, "no memory for point %lld", (long long)point);
    int64_t *highest = &ties->highest[point];
    if (*highest == INT64_MAX)
        err = ask(history, HISTORY_MOVED_HIGHEST, point, INT64_MIN, highest, message);
    *ret_highest = highest;
    return err;
}

int history_tie_is_taken(struct history_db *history, struct history_ties *ties, int64_t point,
                         int64_t t_ms, bool *ret_taken, struct message *message)
{
    int64_t *highest = NULL;
    int64_t taken = 0;
    int err = find_highest(history, ties, point, &highest, message);

    if (err == 0 && t_ms <= *highest)
        err = ask(history, HISTORY_IS_MOVED_TO, point, t_ms, &taken, message);
    if (err == 0)
        *ret_taken = taken != 0;
    return err;
}

int history_tie_next(struct history_db *history, struct history_ties *ties, int64_t point,
                     int64_t t_ms, int64_t *ret_tie, struct message *message)
{
    int64_t *highest = NULL;
    int64_t tie = 0;
    int64_t taken = 1;
    int64_t step = 1;
    int err = find_highest(history, ties, point, &highest, message);

    /* All from the stamp to its last tie was taken when that was given. */
    if (err == 0)
        err = ask(history, HISTORY_NEXT_TIE, point, t_ms, &tie, message);
    for (int tries = 1; err == 0; tries++) {
        err = ask(history, HISTORY_IS_TAKEN, point, t_ms + tie, &taken, message);
        if (err != 0 || taken == 0)
            break;
        step = tries < TIE_NEAR ? 1 : 2 * step;
        tie += step;
    }
    if (err != 0)
        return err;
    if (t_ms + tie > *highest)
        *highest = t_ms + tie;
    *ret_tie = tie;
    return 0;
}

int history_tie_of(struct history_db *history, const struct history_place *place, int64_t *ret_tie,
                   struct message *message)
{
    struct db_stmt *stmt = history_db_stmt(history, HISTORY_TIE_OF);

    db_bind_i64(stmt, 1, place->point);
    db_bind_i64(stmt, 2, place->t_ms);
    db_bind_i64(stmt, 3, place->source);
    db_bind_u64(stmt, 4, place->seq);
    db_bind_u64(stmt, 5, place->behind);
    int err = db_next(stmt, message);
    if (err != 0 && err != ERR_NOT_FOUND)
        return err;
    /* Of a record's samples at one stamp, only the first one may stand where it was. */
    *ret_tie = err == 0 ? db_column_i64(stmt, 0) : 0;
    db_reset(stmt);
    return 0;
}

int history_tie_highest(struct history_db *history, int64_t point, int64_t *ret_ms,
                        struct message *message)
{
    return ask(history, HISTORY_HIGHEST, point, INT64_MIN, ret_ms, message);
}
