#include "store/office_db.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define APPLICATION_ID 0x43684f31 /* "ChO1" */

enum {
    PUT_ACCOUNT,
    DELETE_ACCOUNT,
    GET_ACCOUNT,
    LIST_ACCOUNTS,
    COUNT_ACCOUNTS,
    ADD_SESSION,
    TRIM_SESSIONS,
    TOUCH_SESSION,
    END_SESSION,
    END_SESSIONS,
    EXPIRE_SESSIONS,
    GET_SESSION,
    STATEMENTS
};

static const char *const migrations[] = {
    OUTBOX_TABLE_SQL
    "CREATE TABLE accounts(user TEXT PRIMARY KEY, role TEXT NOT NULL, sites TEXT NOT NULL,"
    " password TEXT NOT NULL, disabled INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
    " changed_ms INTEGER NOT NULL) WITHOUT ROWID, STRICT;"
    "CREATE TABLE sessions(token BLOB PRIMARY KEY, user TEXT NOT NULL,"
    " created_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL)"
    " WITHOUT ROWID, STRICT;"
    "CREATE INDEX sessions_by_user ON sessions(user, seen_ms);",
};

#define ACCOUNT_COLUMNS "user, role, sites, password, disabled, created_ms, changed_ms"
#define SESSION_COLUMNS "token, user, created_ms, seen_ms, expires_ms"

static const char *const statements[STATEMENTS] = {
    [PUT_ACCOUNT] = "INSERT INTO accounts(" ACCOUNT_COLUMNS ") VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7) "
                    "ON CONFLICT(user) DO UPDATE SET role = excluded.role, sites = excluded.sites, "
                    "password = excluded.password, disabled = excluded.disabled, "
                    "changed_ms = excluded.changed_ms",
    [DELETE_ACCOUNT] = "DELETE FROM accounts WHERE user = ?1",
    [GET_ACCOUNT] = "SELECT " ACCOUNT_COLUMNS " FROM accounts WHERE user = ?1",
    [LIST_ACCOUNTS] =
        "SELECT " ACCOUNT_COLUMNS " FROM accounts WHERE user > ?1 ORDER BY user LIMIT ?2",
    [COUNT_ACCOUNTS] = "SELECT count(*) FROM accounts WHERE user <> ?1",
    [ADD_SESSION] = "INSERT INTO sessions(" SESSION_COLUMNS ") SELECT ?1, user, ?3, ?4, ?5 "
                    "FROM accounts WHERE user = ?2",
    [TRIM_SESSIONS] = "DELETE FROM sessions WHERE token IN (SELECT token FROM sessions "
                      "WHERE user = ?1 AND token <> ?3 ORDER BY seen_ms DESC LIMIT -1 OFFSET ?2)",
    [TOUCH_SESSION] = "UPDATE sessions SET seen_ms = ?2 WHERE token = ?1",
    [END_SESSION] = "DELETE FROM sessions WHERE token = ?1",
    [END_SESSIONS] = "DELETE FROM sessions WHERE user = ?1",
    [EXPIRE_SESSIONS] = "DELETE FROM sessions WHERE expires_ms <= ?1 OR seen_ms <= ?2",
    [GET_SESSION] = "SELECT " SESSION_COLUMNS " FROM sessions WHERE token = ?1",
};

static const struct db_schema schema = {
    .application = APPLICATION_ID,
    .migrations = migrations,
    .version = sizeof migrations / sizeof *migrations,
    .statements = statements,
    .statement_count = STATEMENTS,
};

struct office_db {
    struct db *db;
    struct outbox outbox;
};

int office_db_open(const struct db_options *options, struct office_db **ret_office,
                   struct db_report *ret_report, struct message *message)
{
    struct office_db *office = calloc(1, sizeof *office);

    if (office == NULL)
        return message_set(message, ERR_NO_MEMORY, "no memory to open %s", options->path);
    int err = db_open(options, &schema, &office->db, ret_report, message);
    if (err == 0)
        err = outbox_attach(&office->outbox, office->db, message);
    if (err != 0) {
        office_db_close(office);
        return err;
    }
    *ret_office = office;
    return 0;
}

void office_db_close(struct office_db *office)
{
    if (office == NULL)
        return;
    db_close(office->db);
    free(office);
}

const struct db *office_db_file(const struct office_db *office)
{
    return office->db;
}

struct outbox *office_db_outbox(struct office_db *office)
{
    return &office->outbox;
}

/* ---- writing ---------------------------------------------------------------------------- */

int office_db_begin(struct office_db *office, struct message *message)
{
    return db_begin(office->db, message);
}

int office_db_commit(struct office_db *office, struct message *message)
{
    return db_commit(office->db, message);
}

void office_db_rollback(struct office_db *office)
{
    db_rollback(office->db);
}

/* Is there room for this one, among the others? */
static int check_room(struct office_db *office, const char *user, struct message *message)
{
    struct db_stmt *stmt = db_stmt(office->db, COUNT_ACCOUNTS);

    db_bind_text(stmt, 1, user);
    int err = db_next(stmt, message);
    if (err != 0)
        return err;
    int64_t others = db_column_i64(stmt, 0);
    db_reset(stmt);
    if (others < OFFICE_MAX_ACCOUNTS)
        return 0;
    return db_break(office->db, message_set(message, ERR_FULL, "there are %d accounts already",
                                            OFFICE_MAX_ACCOUNTS));
}

int office_db_put_account(struct office_db *office, const struct office_account *account,
                          struct message *message)
{
    if (!text_is_name(account->user))
        return db_break(office->db, message_set(message, ERR_INVALID,
                                                "'%s' is no name for an account: 1 to 64 "
                                                "of letters, digits, '_', '.' and '-'",
                                                account->user));
    int err = check_room(office, account->user, message);
    if (err != 0)
        return err;
    struct db_stmt *stmt = db_stmt(office->db, PUT_ACCOUNT);
    db_bind_text(stmt, 1, account->user);
    db_bind_text(stmt, 2, account->role);
    db_bind_text(stmt, 3, account->sites);
    db_bind_text(stmt, 4, account->password);
    db_bind_i64(stmt, 5, account->disabled);
    db_bind_i64(stmt, 6, account->created_ms);
    db_bind_i64(stmt, 7, account->changed_ms);
    return db_run(stmt, NULL, message);
}

/* A change of exactly one row, or there was none. */
static int run_for_one(struct office_db *office, struct db_stmt *stmt, const char *user,
                       struct message *message)
{
    int64_t changes = 0;
    int err = db_run(stmt, &changes, message);

    if (err != 0 || changes > 0)
        return err;
    return db_break(office->db,
                    message_set(message, ERR_NOT_FOUND, "there is no account '%s'", user));
}

int office_db_delete_account(struct office_db *office, const char *user, struct message *message)
{
    struct db_stmt *stmt = db_stmt(office->db, DELETE_ACCOUNT);

    db_bind_text(stmt, 1, user);
    int err = run_for_one(office, stmt, user, message);
    return err != 0 ? err : office_db_end_sessions(office, user, message);
}

int office_db_add_session(struct office_db *office, const struct office_session *session,
                          struct message *message)
{
    struct db_stmt *stmt = db_stmt(office->db, ADD_SESSION);

    db_bind_blob(stmt, 1, session->token, sizeof session->token);
    db_bind_text(stmt, 2, session->user);
    db_bind_i64(stmt, 3, session->created_ms);
    db_bind_i64(stmt, 4, session->seen_ms);
    db_bind_i64(stmt, 5, session->expires_ms);
    int err = run_for_one(office, stmt, session->user, message);
    if (err != 0)
        return err;
    stmt = db_stmt(office->db, TRIM_SESSIONS);
    db_bind_text(stmt, 1, session->user);
    db_bind_i64(stmt, 2, OFFICE_MAX_SESSIONS - 1);
    db_bind_blob(stmt, 3, session->token, sizeof session->token);
    return db_run(stmt, NULL, message);
}

int office_db_touch_session(struct office_db *office, const uint8_t token[SHA256_SIZE],
                            int64_t seen_ms, struct message *message)
{
    struct db_stmt *stmt = db_stmt(office->db, TOUCH_SESSION);

    db_bind_blob(stmt, 1, token, SHA256_SIZE);
    db_bind_i64(stmt, 2, seen_ms);
    return db_run(stmt, NULL, message);
}

int office_db_end_session(struct office_db *office, const uint8_t token[SHA256_SIZE],
                          struct message *message)
{
    struct db_stmt *stmt = db_stmt(office->db, END_SESSION);

    db_bind_blob(stmt, 1, token, SHA256_SIZE);
    return db_run(stmt, NULL, message);
}

int office_db_end_sessions(struct office_db *office, const char *user, struct message *message)
{
    struct db_stmt *stmt = db_stmt(office->db, END_SESSIONS);

    db_bind_text(stmt, 1, user);
    return db_run(stmt, NULL, message);
}

int office_db_expire_sessions(struct office_db *office, int64_t now_ms, int64_t idle_ms,
                              struct message *message)
{
    struct db_stmt *stmt = db_stmt(office->db, EXPIRE_SESSIONS);

    db_bind_i64(stmt, 1, now_ms);
    db_bind_i64(stmt, 2, idle_ms);
    return db_run(stmt, NULL, message);
}

/* ---- reading ---------------------------------------------------------------------------- */

static int read_account(struct office_db *office, struct db_stmt *stmt, struct office_account *ret,
                        struct message *message)
{
    int err = db_column_copy(stmt, 0, ret->user, sizeof ret->user);

    if (err == 0)
        err = db_column_copy(stmt, 1, ret->role, sizeof ret->role);
    if (err == 0)
        err = db_column_copy(stmt, 2, ret->sites, sizeof ret->sites);
    if (err == 0)
        err = db_column_copy(stmt, 3, ret->password, sizeof ret->password);
    ret->disabled = db_column_i64(stmt, 4) != 0;
    ret->created_ms = db_column_i64(stmt, 5);
    ret->changed_ms = db_column_i64(stmt, 6);
    if (err != 0)
        return message_set(message, err, "%s: the text of an account is too long",
                           db_path(office->db));
    return 0;
}

int office_db_account(struct office_db *office, const char *user,
                      struct office_account *ret_account, struct message *message)
{
    struct db_stmt *stmt = db_stmt(office->db, GET_ACCOUNT);
    struct office_account account;

    db_bind_text(stmt, 1, user);
    int err = db_next(stmt, message);
    if (err == 0)
        err = read_account(office, stmt, &account, message);
    db_reset(stmt);
    if (err == 0)
        *ret_account = account;
    return err;
}

int office_db_accounts(struct office_db *office, const char *after,
                       struct office_account *ret_accounts, size_t capacity, size_t *ret_count,
                       struct message *message)
{
    struct db_stmt *stmt = db_stmt(office->db, LIST_ACCOUNTS);
    size_t n = 0;
    int err;

    db_bind_text(stmt, 1, after);
    db_bind_u64(stmt, 2, capacity);
    while ((err = db_next(stmt, message)) == 0) {
        err = read_account(office, stmt, &ret_accounts[n], message);
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

int office_db_session(struct office_db *office, const uint8_t token[SHA256_SIZE],
                      struct office_session *ret_session, struct message *message)
{
    struct db_stmt *stmt = db_stmt(office->db, GET_SESSION);
    struct office_session session;

    db_bind_blob(stmt, 1, token, SHA256_SIZE);
    int err = db_next(stmt, message);
    if (err != 0)
        return err;
    memcpy(session.token, token, SHA256_SIZE);
    err = db_column_copy(stmt, 1, session.user, sizeof session.user);
    session.created_ms = db_column_i64(stmt, 2);
    session.seen_ms = db_column_i64(stmt, 3);
    session.expires_ms = db_column_i64(stmt, 4);
    db_reset(stmt);
    if (err != 0)
        return message_set(message, err, "%s: the user of a session is too long",
                           db_path(office->db));
    *ret_session = session;
    return 0;
}
