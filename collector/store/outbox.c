#include "store/outbox.h"

enum { APPEND, DELETE, NEW_EPOCH, LAST, READ, PENDING, STATEMENTS };

/* AUTOINCREMENT keeps the last id given in sqlite_sequence; it goes back with its transaction. */
#define LAST_ID "ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'outbox'), 0)"

static const char *const statements[STATEMENTS] = {
    [APPEND] = "INSERT INTO outbox(payload) VALUES(?1)",
    [DELETE] = "DELETE FROM outbox WHERE id <= ?1",
    [NEW_EPOCH] = "INSERT INTO outbox_epochs(base, epoch) "
                  "VALUES(" LAST_ID ", lower(hex(randomblob(16)))) "
                  "ON CONFLICT(base) DO UPDATE SET epoch = excluded.epoch",
    [LAST] = "SELECT " LAST_ID ", epoch, " LAST_ID " - base FROM outbox_epochs "
             "ORDER BY base DESC LIMIT 1",
    [READ] = "SELECT o.id, e.epoch, o.id - e.base, o.payload FROM outbox o JOIN outbox_epochs e "
             "ON e.base = (SELECT max(base) FROM outbox_epochs WHERE base < o.id) "
             "WHERE o.id > ?1 ORDER BY o.id LIMIT 1",
    [PENDING] = "SELECT count(*) FROM outbox",
};

static struct db_stmt *stmt_of(struct outbox *outbox, size_t statement)
{
    return db_stmt(outbox->db, outbox->first + statement);
}

int outbox_attach(struct outbox *outbox, struct db *db, struct message *message)
{
    outbox->db = db;
    return db_add_statements(db, statements, STATEMENTS, &outbox->first, message);
}

static int read_entry(struct outbox *outbox, struct db_stmt *stmt, struct outbox_entry *ret,
                      struct message *message)
{
    ret->id = db_column_u64(stmt, 0);
    ret->seq = db_column_u64(stmt, 2);
    int err = db_column_copy(stmt, 1, ret->epoch, sizeof ret->epoch);
    if (err != 0)
        return message_set(message, err, "%s: an epoch is too long", db_path(outbox->db));
    return 0;
}

int outbox_last(struct outbox *outbox, struct outbox_entry *ret_entry, struct message *message)
{
    struct db_stmt *stmt = stmt_of(outbox, LAST);
    struct outbox_entry entry;
    int err = db_next(stmt, message);

    if (err == 0)
        err = read_entry(outbox, stmt, &entry, message);
    db_reset(stmt);
    if (err == ERR_NOT_FOUND)
        return message_set(message, ERR_CORRUPT, "%s has no epoch", db_path(outbox->db));
    if (err == 0)
        *ret_entry = entry;
    return err;
}

int outbox_next(struct outbox *outbox, struct outbox_entry *ret_entry, struct message *message)
{
    struct outbox_entry entry;
    uint64_t pending = 0;
    int err = outbox_pending(outbox, &pending, message);

    if (err == 0)
        err = outbox_last(outbox, &entry, message);
    if (err != 0)
        return err;
    if (pending >= OUTBOX_MAX_PENDING)
        return db_break(outbox->db,
                        message_set(message, ERR_FULL, "%s: %d entries wait to be journaled",
                                    db_path(outbox->db), OUTBOX_MAX_PENDING));
    entry.id++;
    entry.seq++;
    *ret_entry = entry;
    return 0;
}

int outbox_append(struct outbox *outbox, const void *payload, size_t len, struct message *message)
{
    struct db_stmt *stmt = stmt_of(outbox, APPEND);

    if (len == 0 || len > OUTBOX_MAX_PAYLOAD)
        return db_break(outbox->db, message_set(message, ERR_RANGE,
                                                "an entry of %zu bytes; 1 to %d are allowed", len,
                                                OUTBOX_MAX_PAYLOAD));
    db_bind_blob(stmt, 1, payload, len);
    return db_run(stmt, NULL, message);
}

int outbox_delete(struct outbox *outbox, uint64_t id, struct message *message)
{
    struct db_stmt *stmt = stmt_of(outbox, DELETE);

    db_bind_u64(stmt, 1, id);
    return db_run(stmt, NULL, message);
}

int outbox_new_epoch(struct outbox *outbox, struct message *message)
{
    return db_run(stmt_of(outbox, NEW_EPOCH), NULL, message);
}

int outbox_read(struct outbox *outbox, uint64_t id, struct outbox_entry *ret_entry,
                struct buffer *out, struct message *message)
{
    struct db_stmt *stmt = stmt_of(outbox, READ);
    struct outbox_entry entry;
    size_t len = 0;

    db_bind_u64(stmt, 1, id);
    int err = db_next(stmt, message);
    if (err == 0)
        err = read_entry(outbox, stmt, &entry, message);
    if (err == 0) {
        const void *payload = db_column_blob(stmt, 3, &len);
        buffer_append(out, payload, len);
        err = buffer_error(out);
    }
    db_reset(stmt);
    if (err == 0)
        *ret_entry = entry;
    return err;
}

int outbox_pending(struct outbox *outbox, uint64_t *ret_count, struct message *message)
{
    struct db_stmt *stmt = stmt_of(outbox, PENDING);
    int err = db_next(stmt, message);

    if (err != 0)
        return err;
    *ret_count = db_column_u64(stmt, 0);
    db_reset(stmt);
    return 0;
}
