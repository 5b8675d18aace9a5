#include "store/events_db.h"

#include "store/state_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/*
 * Design notes
 *
 * Pages of transitions are cut by (t_ms, id): late occurrences come in behind newer ones, and a
 * row added between two pages moves none of the others.
 *
 * The filter is one statement with every condition in it, and a second for one alarm: an index
 * finds the rows of a quiet alarm without walking over a noisy county.
 */

#define APPLICATION_ID 0x43684531 /* "ChE1" */

enum {
    ADD_BIRTH,
    GET_BIRTH,
    ADD_TRANSITION,
    ADD_NOTIFICATION,
    SET_SNAPSHOT,
    GET_SNAPSHOT,
    TRANSITIONS,
    TRANSITIONS_OF_ALARM,
    NOTIFICATIONS,
    SET_STATE,
    GET_STATE,
    STATEMENTS
};

static const char *const migrations[] = {
    STATE_TABLE_SQL
    "CREATE TABLE births(birth TEXT PRIMARY KEY, payload BLOB NOT NULL) STRICT;"
    "CREATE TABLE transitions(id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE,"
    " alarm TEXT NOT NULL, site TEXT NOT NULL, occurrence INTEGER NOT NULL, event TEXT NOT NULL,"
    " state TEXT NOT NULL, priority TEXT NOT NULL, t_ms INTEGER NOT NULL,"
    " onset_ms INTEGER NOT NULL, value REAL, quality TEXT NOT NULL, cause TEXT NOT NULL,"
    " payload BLOB NOT NULL) STRICT;"
    "CREATE INDEX transitions_by_time ON transitions(t_ms, id);"
    "CREATE INDEX transitions_by_alarm ON transitions(alarm, t_ms, id);"
    "CREATE TABLE notifications(id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE,"
    " alarm TEXT NOT NULL, occurrence INTEGER NOT NULL, kind TEXT NOT NULL,"
    " priority TEXT NOT NULL, t_ms INTEGER NOT NULL, payload BLOB NOT NULL) STRICT;"
    "CREATE TABLE snapshot(one INTEGER PRIMARY KEY CHECK(one = 1), position INTEGER NOT NULL,"
    " data BLOB NOT NULL) STRICT;",
};

#define TRANSITION_COLUMNS                                                                       \
    "id, key, alarm, site, occurrence, event, state, priority, t_ms, onset_ms, value, quality, " \
    "cause, payload"
#define NOTIFICATION_COLUMNS "id, key, alarm, occurrence, kind, priority, t_ms, payload"
/* ?1 is the alarm, in the second statement only. */
#define FILTER                                                                                 \
    "(?2 IS NULL OR site = ?2) AND (?3 IS NULL OR event = ?3) AND (?4 IS NULL OR state = ?4) " \
    "AND (?5 IS NULL OR priority = ?5) AND (?6 = 0 OR occurrence = ?6) "                       \
    "AND t_ms >= ?7 AND t_ms < ?8 AND (t_ms, id) < (?9, ?10) "                                 \
    "ORDER BY t_ms DESC, id DESC LIMIT ?11"

static const char *const statements[STATEMENTS] = {
    [ADD_BIRTH] = "INSERT INTO births(birth, payload) VALUES(?1, ?2) ON CONFLICT DO NOTHING",
    [GET_BIRTH] = "SELECT payload FROM births WHERE birth = ?1",
    [ADD_TRANSITION] =
        "INSERT INTO transitions(key, alarm, site, occurrence, event, state, priority, t_ms, "
        "onset_ms, value, quality, cause, payload) "
        "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) "
        "ON CONFLICT(key) DO NOTHING",
    [ADD_NOTIFICATION] = "INSERT INTO notifications(key, alarm, occurrence, kind, priority, t_ms, "
                         "payload) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT(key) DO NOTHING",
    [SET_SNAPSHOT] = "INSERT INTO snapshot(one, position, data) VALUES(1, ?1, ?2) ON CONFLICT(one) "
                     "DO UPDATE SET position = excluded.position, data = excluded.data",
    [GET_SNAPSHOT] = "SELECT position, data FROM snapshot",
    [TRANSITIONS] = "SELECT " TRANSITION_COLUMNS " FROM transitions WHERE " FILTER,
    [TRANSITIONS_OF_ALARM] =
        "SELECT " TRANSITION_COLUMNS " FROM transitions WHERE alarm = ?1 AND " FILTER,
    [NOTIFICATIONS] =
        "SELECT " NOTIFICATION_COLUMNS " FROM notifications WHERE id > ?1 ORDER BY id LIMIT ?2",
    [SET_STATE] = STATE_SET_SQL,
    [GET_STATE] = STATE_GET_SQL,
};

static const struct db_schema schema = {
    .application = APPLICATION_ID,
    .migrations = migrations,
    .version = sizeof migrations / sizeof *migrations,
    .statements = statements,
    .statement_count = STATEMENTS,
};

struct events_db {
    struct db *db;
};

int events_db_open(const struct db_options *options, struct events_db **ret_events,
                   struct db_report *ret_report, struct message *message)
{
    struct events_db *events = calloc(1, sizeof *events);

    if (events == NULL)
        return message_set(message, ERR_NO_MEMORY, "no memory to open %s", options->path);
    int err = db_open(options, &schema, &events->db, ret_report, message);
    if (err != 0) {
        free(events);
        return err;
    }
    *ret_events = events;
    return 0;
}

void events_db_close(struct events_db *events)
{
    if (events == NULL)
        return;
    db_close(events->db);
    free(events);
}

const struct db *events_db_file(const struct events_db *events)
{
    return events->db;
}

/* ---- writing ---------------------------------------------------------------------------- */

int events_db_begin(struct events_db *events, struct message *message)
{
    return db_begin(events->db, message);
}

int events_db_commit(struct events_db *events, struct message *message)
{
    return db_commit(events->db, message);
}

void events_db_rollback(struct events_db *events)
{
    db_rollback(events->db);
}

int events_db_add_birth(struct events_db *events, const char *birth, const void *payload,
                        size_t len, struct message *message)
{
    struct db_stmt *stmt = db_stmt(events->db, ADD_BIRTH);

    db_bind_text(stmt, 1, birth);
    db_bind_blob(stmt, 2, payload, len);
    return db_run(stmt, NULL, message);
}

static int check_payload(struct events_db *events, const char *key, size_t len,
                         struct message *message)
{
    if (len <= EVENTS_MAX_PAYLOAD)
        return 0;
    return db_break(events->db,
                    message_set(message, ERR_RANGE, "%s has a payload of %zu bytes; at most %d",
                                key, len, EVENTS_MAX_PAYLOAD));
}

/* Runs an insert that does nothing where the key is there. */
static int insert(struct db_stmt *stmt, bool *ret_added, struct message *message)
{
    int64_t changes = 0;
    int err = db_run(stmt, &changes, message);

    if (err == 0 && ret_added != NULL)
        *ret_added = changes > 0;
    return err;
}

int events_db_add_transition(struct events_db *events, const struct event_transition *row,
                             bool *ret_added, struct message *message)
{
    int err = check_payload(events, row->key, row->payload_len, message);

    if (err != 0)
        return err;
    struct db_stmt *stmt = db_stmt(events->db, ADD_TRANSITION);
    db_bind_text(stmt, 1, row->key);
    db_bind_text(stmt, 2, row->alarm);
    db_bind_text(stmt, 3, row->site);
    db_bind_u64(stmt, 4, row->occurrence);
    db_bind_text(stmt, 5, row->event);
    db_bind_text(stmt, 6, row->state);
    db_bind_text(stmt, 7, row->priority);
    db_bind_i64(stmt, 8, row->t_ms);
    db_bind_i64(stmt, 9, row->onset_ms);
    if (row->has_value && isfinite(row->value))
        db_bind_double(stmt, 10, row->value);
    db_bind_text(stmt, 11, row->quality);
    db_bind_text(stmt, 12, row->cause);
    db_bind_blob(stmt, 13, row->payload, row->payload_len);
    return insert(stmt, ret_added, message);
}

int events_db_add_notification(struct events_db *events, const struct event_notification *row,
                               bool *ret_added, struct message *message)
{
    int err = check_payload(events, row->key, row->payload_len, message);

    if (err != 0)
        return err;
    struct db_stmt *stmt = db_stmt(events->db, ADD_NOTIFICATION);
    db_bind_text(stmt, 1, row->key);
    db_bind_text(stmt, 2, row->alarm);
    db_bind_u64(stmt, 3, row->occurrence);
    db_bind_text(stmt, 4, row->kind);
    db_bind_text(stmt, 5, row->priority);
    db_bind_i64(stmt, 6, row->t_ms);
    db_bind_blob(stmt, 7, row->payload, row->payload_len);
    return insert(stmt, ret_added, message);
}

int events_db_set_snapshot(struct events_db *events, uint64_t position, const void *data,
                           size_t len, struct message *message)
{
    struct db_stmt *stmt = db_stmt(events->db, SET_SNAPSHOT);

    if (len > EVENTS_MAX_SNAPSHOT)
        return db_break(events->db,
                        message_set(message, ERR_RANGE, "a snapshot of %zu bytes; at most %d", len,
                                    EVENTS_MAX_SNAPSHOT));
    db_bind_u64(stmt, 1, position);
    db_bind_blob(stmt, 2, data, len);
    return db_run(stmt, NULL, message);
}

int events_db_set_cursor(struct events_db *events, uint64_t position, struct message *message)
{
    return state_set(db_stmt(events->db, SET_STATE), "journal", position, message);
}

/* ---- reading ---------------------------------------------------------------------------- */

int events_db_cursor(struct events_db *events, uint64_t *ret_position, struct message *message)
{
    return state_get(db_stmt(events->db, GET_STATE), "journal", ret_position, message);
}

/* Appends a blob of the present row and ends the reading. */
static int take_blob(struct db_stmt *stmt, int column, struct buffer *out)
{
    size_t len = 0;
    const void *data = db_column_blob(stmt, column, &len);

    buffer_append(out, data, len);
    db_reset(stmt);
    return buffer_error(out);
}

int events_db_birth(struct events_db *events, const char *birth, struct buffer *out,
                    struct message *message)
{
    struct db_stmt *stmt = db_stmt(events->db, GET_BIRTH);

    db_bind_text(stmt, 1, birth);
    int err = db_next(stmt, message);
    return err != 0 ? err : take_blob(stmt, 0, out);
}

int events_db_snapshot(struct events_db *events, uint64_t *ret_position, struct buffer *out,
                       struct message *message)
{
    struct db_stmt *stmt = db_stmt(events->db, GET_SNAPSHOT);
    int err = db_next(stmt, message);

    if (err != 0)
        return err;
    uint64_t position = db_column_u64(stmt, 0);
    err = take_blob(stmt, 1, out);
    if (err == 0)
        *ret_position = position;
    return err;
}

static struct db_stmt *bind_filter(struct events_db *events, const struct event_filter *filter,
                                   size_t limit)
{
    struct db_stmt *stmt =
        db_stmt(events->db, filter->alarm != NULL ? TRANSITIONS_OF_ALARM : TRANSITIONS);
    bool paged = filter->before_id > 0;
    int64_t to_ms = filter->to_ms != 0 ? filter->to_ms : INT64_MAX;

    db_bind_text(stmt, 1, filter->alarm);
    db_bind_text(stmt, 2, filter->site);
    db_bind_text(stmt, 3, filter->event);
    db_bind_text(stmt, 4, filter->state);
    db_bind_text(stmt, 5, filter->priority);
    db_bind_u64(stmt, 6, filter->occurrence);
    db_bind_i64(stmt, 7, filter->from_ms != 0 ? filter->from_ms : INT64_MIN);
    /* The index knows no pairs: let it begin at the page, not at the end of the range. */
    db_bind_i64(stmt, 8, paged && filter->before_ms < to_ms ? filter->before_ms + 1 : to_ms);
    db_bind_i64(stmt, 9, paged ? filter->before_ms : INT64_MAX);
    db_bind_u64(stmt, 10, paged ? filter->before_id : INT64_MAX);
    db_bind_u64(stmt, 11, limit < EVENTS_MAX_ROWS ? limit : EVENTS_MAX_ROWS);
    return stmt;
}

/* SQLite gives NULL for an empty blob. */
static const char *read_payload(struct db_stmt *stmt, int column, size_t *ret_len)
{
    const void *data = db_column_blob(stmt, column, ret_len);

    return data != NULL ? data : "";
}

static struct event_transition read_transition(struct db_stmt *stmt)
{
    struct event_transition row = {
        .id = db_column_u64(stmt, 0),
        .key = db_column_text(stmt, 1),
        .alarm = db_column_text(stmt, 2),
        .site = db_column_text(stmt, 3),
        .occurrence = db_column_u64(stmt, 4),
        .event = db_column_text(stmt, 5),
        .state = db_column_text(stmt, 6),
        .priority = db_column_text(stmt, 7),
        .t_ms = db_column_i64(stmt, 8),
        .onset_ms = db_column_i64(stmt, 9),
        .has_value = !db_column_is_null(stmt, 10),
        .value = db_column_double(stmt, 10),
        .quality = db_column_text(stmt, 11),
        .cause = db_column_text(stmt, 12),
    };
    row.payload = read_payload(stmt, 13, &row.payload_len);
    return row;
}

int events_db_transitions(struct events_db *events, const struct event_filter *filter, size_t limit,
                          int (*visit)(void *self, const struct event_transition *row), void *self,
                          struct message *message)
{
    struct db_stmt *stmt = bind_filter(events, filter, limit);
    int err;

    while ((err = db_next(stmt, message)) == 0) {
        struct event_transition row = read_transition(stmt);
        int stop = visit(self, &row);
        if (stop != 0) {
            db_reset(stmt);
            return stop;
        }
    }
    return err == ERR_NOT_FOUND ? 0 : err;
}

int events_db_notifications(struct events_db *events, uint64_t after, size_t limit,
                            int (*visit)(void *self, const struct event_notification *row),
                            void *self, struct message *message)
{
    struct db_stmt *stmt = db_stmt(events->db, NOTIFICATIONS);
    int err;

    db_bind_u64(stmt, 1, after);
    db_bind_u64(stmt, 2, limit < EVENTS_MAX_ROWS ? limit : EVENTS_MAX_ROWS);
    while ((err = db_next(stmt, message)) == 0) {
        struct event_notification row = {
            .id = db_column_u64(stmt, 0),
            .key = db_column_text(stmt, 1),
            .alarm = db_column_text(stmt, 2),
            .occurrence = db_column_u64(stmt, 3),
            .kind = db_column_text(stmt, 4),
            .priority = db_column_text(stmt, 5),
            .t_ms = db_column_i64(stmt, 6),
        };
        row.payload = read_payload(stmt, 7, &row.payload_len);
        int stop = visit(self, &row);
        if (stop != 0) {
            db_reset(stmt);
            return stop;
        }
    }
    return err == ERR_NOT_FOUND ? 0 : err;
}
