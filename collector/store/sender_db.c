#include "store/sender_db.h"

#include "store/state_table.h"

#include <stdlib.h>
#include <string.h>

#define APPLICATION_ID 0x43685331 /* "ChS1" */

enum { ADD, UPDATE, HASTEN, FORGET, GET, DUE, NEXT_DUE, OF_KEY, SET_STATE, GET_STATE, STATEMENTS };

/* `state` 0 is pending; the index holds those alone, so it stays small. */
static const char *const migrations[] = {
    STATE_TABLE_SQL OUTBOX_TABLE_SQL
    "CREATE TABLE deliveries(key TEXT NOT NULL, recipient TEXT NOT NULL, channel TEXT NOT NULL,"
    " notification INTEGER NOT NULL, state INTEGER NOT NULL, attempts INTEGER NOT NULL,"
    " next_ms INTEGER NOT NULL, changed_ms INTEGER NOT NULL, verdict TEXT NOT NULL,"
    " PRIMARY KEY(key, recipient, channel)) WITHOUT ROWID, STRICT;"
    "CREATE INDEX deliveries_due ON deliveries(next_ms, notification) WHERE state = 0;"
    "CREATE INDEX deliveries_ended ON deliveries(changed_ms) WHERE state > 0;",
};

#define COLUMNS \
    "key, recipient, channel, notification, state, attempts, next_ms, changed_ms, verdict"
#define KEY "key = ?1 AND recipient = ?2 AND channel = ?3"

static const char *const statements[STATEMENTS] = {
    [ADD] = "INSERT INTO deliveries(" COLUMNS ") VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) "
            "ON CONFLICT(key, recipient, channel) DO NOTHING",
    [UPDATE] = "UPDATE deliveries SET state = ?5, attempts = ?6, next_ms = ?7, changed_ms = ?8, "
               "verdict = ?9 WHERE " KEY,
    [HASTEN] =
        "UPDATE deliveries SET next_ms = ?2 WHERE state = 0 AND next_ms > ?2 AND channel = ?1",
    [FORGET] = "DELETE FROM deliveries WHERE (key, recipient, channel) IN "
               "(SELECT key, recipient, channel FROM deliveries WHERE state > 0 "
               "AND changed_ms < ?1 ORDER BY changed_ms LIMIT ?2)",
    [GET] = "SELECT " COLUMNS " FROM deliveries WHERE " KEY,
    [DUE] =
        "SELECT " COLUMNS " FROM deliveries WHERE state = 0 AND (next_ms <= ?1 OR next_ms > ?3) "
        "ORDER BY next_ms, notification LIMIT ?2",
    [NEXT_DUE] = "SELECT next_ms FROM deliveries WHERE state = 0 ORDER BY next_ms LIMIT 1",
    [OF_KEY] = "SELECT " COLUMNS " FROM deliveries WHERE key = ?1 LIMIT ?2",
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

struct sender_db {
    struct db *db;
    struct outbox outbox;
};

int sender_db_open(const struct db_options *options, struct sender_db **ret_sender,
                   struct db_report *ret_report, struct message *message)
{
    struct sender_db *sender = calloc(1, sizeof *sender);

    if (sender == NULL)
        return message_set(message, ERR_NO_MEMORY, "no memory to open %s", options->path);
    int err = db_open(options, &schema, &sender->db, ret_report, message);
    if (err == 0)
        err = outbox_attach(&sender->outbox, sender->db, message);
    if (err != 0) {
        sender_db_close(sender);
        return err;
    }
    *ret_sender = sender;
    return 0;
}

void sender_db_close(struct sender_db *sender)
{
    if (sender == NULL)
        return;
    db_close(sender->db);
    free(sender);
}

const struct db *sender_db_file(const struct sender_db *sender)
{
    return sender->db;
}

struct outbox *sender_db_outbox(struct sender_db *sender)
{
    return &sender->outbox;
}

/* ---- writing ---------------------------------------------------------------------------- */

int sender_db_begin(struct sender_db *sender, struct message *message)
{
    return db_begin(sender->db, message);
}

int sender_db_commit(struct sender_db *sender, struct message *message)
{
    return db_commit(sender->db, message);
}

void sender_db_rollback(struct sender_db *sender)
{
    db_rollback(sender->db);
}

static struct db_stmt *bind_key(struct sender_db *sender, size_t statement, const char *key,
                                const char *recipient, const char *channel)
{
    struct db_stmt *stmt = db_stmt(sender->db, statement);

    db_bind_text(stmt, 1, key);
    db_bind_text(stmt, 2, recipient);
    db_bind_text(stmt, 3, channel);
    return stmt;
}

static struct db_stmt *bind_all(struct sender_db *sender, size_t statement,
                                const struct delivery *delivery)
{
    struct db_stmt *stmt =
        bind_key(sender, statement, delivery->key, delivery->recipient, delivery->channel);

    db_bind_u64(stmt, 4, delivery->notification);
    db_bind_i64(stmt, 5, delivery->state);
    db_bind_i64(stmt, 6, delivery->attempts);
    db_bind_i64(stmt, 7, delivery->next_ms);
    db_bind_i64(stmt, 8, delivery->changed_ms);
    db_bind_text(stmt, 9, delivery->verdict);
    return stmt;
}

int sender_db_add(struct sender_db *sender, const struct delivery *delivery, bool *ret_added,
                  struct message *message)
{
    int64_t changes = 0;
    int err = db_run(bind_all(sender, ADD, delivery), &changes, message);

    if (err == 0 && ret_added != NULL)
        *ret_added = changes > 0;
    return err;
}

int sender_db_update(struct sender_db *sender, const struct delivery *delivery,
                     struct message *message)
{
    int64_t changes = 0;
    int err = db_run(bind_all(sender, UPDATE, delivery), &changes, message);

    if (err != 0 || changes > 0)
        return err;
    return db_break(sender->db, message_set(message, ERR_NOT_FOUND, "no delivery of %s to %s by %s",
                                            delivery->key, delivery->recipient, delivery->channel));
}

int sender_db_hasten(struct sender_db *sender, const char *channel, int64_t now_ms,
                     struct message *message)
{
    struct db_stmt *stmt = db_stmt(sender->db, HASTEN);

    db_bind_text(stmt, 1, channel);
    db_bind_i64(stmt, 2, now_ms);
    return db_run(stmt, NULL, message);
}

int sender_db_forget(struct sender_db *sender, int64_t before_ms, size_t limit,
                     int64_t *ret_forgotten, struct message *message)
{
    struct db_stmt *stmt = db_stmt(sender->db, FORGET);

    db_bind_i64(stmt, 1, before_ms);
    db_bind_u64(stmt, 2, limit);
    return db_run(stmt, ret_forgotten, message);
}

int sender_db_set_cursor(struct sender_db *sender, uint64_t notification, struct message *message)
{
    return state_set(db_stmt(sender->db, SET_STATE), "notifications", notification, message);
}

/* ---- reading ---------------------------------------------------------------------------- */

int sender_db_cursor(struct sender_db *sender, uint64_t *ret_notification, struct message *message)
{
    return state_get(db_stmt(sender->db, GET_STATE), "notifications", ret_notification, message);
}

static int read_delivery(struct sender_db *sender, struct db_stmt *stmt, struct delivery *ret,
                         struct message *message)
{
    int64_t state = db_column_i64(stmt, 4);
    int err = db_column_copy(stmt, 0, ret->key, sizeof ret->key);

    if (err == 0)
        err = db_column_copy(stmt, 1, ret->recipient, sizeof ret->recipient);
    if (err == 0)
        err = db_column_copy(stmt, 2, ret->channel, sizeof ret->channel);
    if (err == 0)
        err = db_column_copy(stmt, 8, ret->verdict, sizeof ret->verdict);
    if (err != 0 || state < 0 || state >= DELIVERY_STATE_COUNT)
        return message_set(message, ERR_CORRUPT, "%s: a delivery is not as it was written",
                           db_path(sender->db));
    ret->notification = db_column_u64(stmt, 3);
    ret->state = (enum delivery_state)state;
    ret->attempts = (uint32_t)db_column_i64(stmt, 5);
    ret->next_ms = db_column_i64(stmt, 6);
    ret->changed_ms = db_column_i64(stmt, 7);
    return 0;
}

int sender_db_delivery(struct sender_db *sender, const char *key, const char *recipient,
                       const char *channel, struct delivery *ret_delivery, struct message *message)
{
    struct db_stmt *stmt = bind_key(sender, GET, key, recipient, channel);
    struct delivery delivery;
    int err = db_next(stmt, message);

    if (err == 0)
        err = read_delivery(sender, stmt, &delivery, message);
    db_reset(stmt);
    if (err == 0)
        *ret_delivery = delivery;
    return err;
}

static int read_deliveries(struct sender_db *sender, struct db_stmt *stmt, struct delivery *ret,
                           size_t capacity, size_t *ret_count, struct message *message)
{
    size_t n = 0;
    int err;

    db_bind_u64(stmt, 2, capacity < SENDER_MAX_ROWS ? capacity : SENDER_MAX_ROWS);
    while ((err = db_next(stmt, message)) == 0) {
        err = read_delivery(sender, stmt, &ret[n], message);
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

int sender_db_due(struct sender_db *sender, int64_t now_ms, struct delivery *ret_deliveries,
                  size_t capacity, size_t *ret_count, struct message *message)
{
    struct db_stmt *stmt = db_stmt(sender->db, DUE);

    db_bind_i64(stmt, 1, now_ms);
    db_bind_i64(stmt, 3, now_ms + SENDER_MAX_WAIT_MS);
    return read_deliveries(sender, stmt, ret_deliveries, capacity, ret_count, message);
}

int sender_db_next_due(struct sender_db *sender, int64_t *ret_ms, struct message *message)
{
    struct db_stmt *stmt = db_stmt(sender->db, NEXT_DUE);
    int err = db_next(stmt, message);

    if (err != 0 && err != ERR_NOT_FOUND)
        return err;
    *ret_ms = err == 0 ? db_column_i64(stmt, 0) : INT64_MAX;
    db_reset(stmt);
    return 0;
}

int sender_db_deliveries(struct sender_db *sender, const char *key, struct delivery *ret_deliveries,
                         size_t capacity, size_t *ret_count, struct message *message)
{
    struct db_stmt *stmt = db_stmt(sender->db, OF_KEY);

    db_bind_text(stmt, 1, key);
    return read_deliveries(sender, stmt, ret_deliveries, capacity, ret_count, message);
}
