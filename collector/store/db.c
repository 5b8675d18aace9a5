#include "store/db.h"

#include "store/db_file.h"
#include "store/db_schema.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Design notes
 *
 * Transactions. SQLite rolls a transaction back by itself after some failures (disk full, I/O, no
 * memory), and the statements after that would each be a transaction of their own: a half result
 * would be stored. So the state is kept here: the first failure breaks the transaction, every
 * later statement gets that failure's code, and db_commit can only roll back.
 *
 * Log. The hook after each commit tells the log's length; db_commit truncates it beyond the bound.
 * A reader in the way costs at most CHECKPOINT_WAIT_MS, and the next try waits until the log has
 * grown by another quarter, so that a stuck reader does not slow each commit. A checkpoint that
 * fails leaves every commit valid in the log, so it is remembered, never a commit's failure.
 *
 * Time. The limit of a reader's statement counts from its first step. SQLite's progress handler
 * looks at it within a step, db_next between two: a caller that dawdles is cut off as well.
 *
 * An unclean stop is seen by a log that is not empty: a writer that closes leaves none. What such a
 * log holds may be in the cache alone, where a flush failed before the stop: no later flush writes
 * it, and after a power cut all that was committed behind it would be gone. So it is moved into the
 * file, which writes it anew, before anything is added; where there is no room, after each commit.
 */

#define BUSY_MS            5000
#define CHECKPOINT_WAIT_MS 250
#define CHECKPOINT_BYTES   ((int64_t)64 * 1024 * 1024)
#define STATEMENT_US       ((int64_t)5 * US_PER_S)
#define CHECK_US           ((int64_t)5 * US_PER_S)
#define PROGRESS_STEPS     4000
#define FRAME_HEADER       24 /* bytes before each page in the log */
#define SYNCHRONOUS_FULL   2

enum transaction { TRANSACTION_NONE, TRANSACTION_OPEN, TRANSACTION_BROKEN };

struct db_stmt {
    struct db *db;
    sqlite3_stmt *handle;
    int bind_err;
    bool running;
    int64_t deadline;
};

struct db {
    sqlite3 *handle;
    enum db_mode mode;
    struct clock *clock;
    int64_t statement_us;
    int64_t deadline; /* of what runs now */
    enum transaction transaction;
    int broken_err;
    int64_t page_size;
    int64_t log_bytes;
    int64_t checkpoint_bytes;
    int64_t checkpoint_at; /* bytes of log that make the next try */
    int checkpoint_err;
    bool doubtful; /* the log may not be on the disk: checkpoint as soon as that is possible */
    struct db_stmt *stmts;
    size_t stmt_count;
    char path[];
};

static int map_code(int code)
{
    static const struct {
        int code, err;
    } table[] = {
        {SQLITE_OK, 0},
        {SQLITE_FULL, ERR_FULL},
        {SQLITE_NOMEM, ERR_NO_MEMORY},
        {SQLITE_CORRUPT, ERR_CORRUPT},
        {SQLITE_NOTADB, ERR_CORRUPT},
        {SQLITE_BUSY, ERR_AGAIN},
        {SQLITE_LOCKED, ERR_AGAIN},
        {SQLITE_INTERRUPT, ERR_TIMEOUT},
        {SQLITE_CONSTRAINT, ERR_CONFLICT},
        {SQLITE_READONLY, ERR_DENIED},
        {SQLITE_PERM, ERR_DENIED},
        {SQLITE_TOOBIG, ERR_RANGE},
        {SQLITE_IOERR, ERR_IO},
        {SQLITE_CANTOPEN, ERR_IO},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].code == (code & 0xFF))
            return table[i].err;
    return ERR_INVALID;
}

/* What to do about it, for the person who reads the message. */
static const char *advice(int err)
{
    switch (err) {
    case ERR_FULL:
        return "; free space, or raise the limit of this file";
    case ERR_CORRUPT:
        return "; the file is damaged: restore it, or let it be set aside and built anew";
    case ERR_AGAIN:
        return "; someone else is using it";
    case ERR_TIMEOUT:
        return "; the question takes too long, ask for less";
    default:
        return "";
    }
}

static int fail(const struct db *db, int code, struct message *message, const char *what)
{
    int err = map_code(code);
    const char *why = db->handle != NULL ? sqlite3_errmsg(db->handle) : sqlite3_errstr(code);

    return message_set(message, err, "cannot %s %s: %s%s", what, db->path, why, advice(err));
}

/* ---- opening ---------------------------------------------------------------------------- */

static int on_progress(void *self)
{
    struct db *db = self;

    return db->deadline != NEVER && clock_read(db->clock).mono_us > db->deadline;
}

static int on_commit(void *self, sqlite3 *handle, const char *name, int pages)
{
    struct db *db = self;

    (void)handle;
    (void)name;
    db->log_bytes = pages * (db->page_size + FRAME_HEADER);
    return SQLITE_OK;
}

int db_execute(struct db *db, const char *sql, const char *what, struct message *message)
{
    int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? 0 : fail(db, code, message, what);
}

/* The first column of the first row, as a number and as text. */
static int query(struct db *db, const char *sql, int64_t *ret_number, char *ret_text, size_t size,
                 struct message *message)
{
    sqlite3_stmt *stmt = NULL;
    int err = 0;
    int code = sqlite3_prepare_v2(db->handle, sql, -1, &stmt, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(stmt);
    const unsigned char *text = code == SQLITE_ROW ? sqlite3_column_text(stmt, 0) : NULL;
    if (text == NULL)
        err = fail(db, code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_ERROR : code, message,
                   "read");
    else if (ret_text != NULL)
        snprintf(ret_text, size, "%s", (const char *)text);
    if (err == 0 && ret_number != NULL)
        *ret_number = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return err;
}

int db_query_number(struct db *db, const char *sql, int64_t *ret_number, struct message *message)
{
    return query(db, sql, ret_number, NULL, 0, message);
}

static int set_up_reader(struct db *db, struct message *message)
{
    sqlite3_progress_handler(db->handle, PROGRESS_STEPS, on_progress, db);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return db_execute(db, "PRAGMA query_only=1", "set up", message);
}

static int set_up_writer(struct db *db, int64_t limit_bytes, struct message *message)
{
    char text[128];
    int64_t number = 0;
    int err = query(db, "PRAGMA journal_mode=WAL", NULL, text, sizeof text, message);

    if (err != 0)
        return err;
    if (strcmp(text, "wal") != 0)
        return message_set(message, ERR_IO, "%s stays in journal mode %s; a local disk is needed",
                           db->path, text);
    err = db_execute(db, "PRAGMA synchronous=FULL", "set up", message);
    if (err == 0)
        err = db_query_number(db, "PRAGMA synchronous", &number, message);
    if (err != 0)
        return err;
    if (number != SYNCHRONOUS_FULL)
        return message_set(message, ERR_IO, "%s refuses synchronous=FULL", db->path);
    if (limit_bytes > 0) {
        snprintf(text, sizeof text, "PRAGMA max_page_count=%" PRId64, limit_bytes / db->page_size);
        err = db_query_number(db, text, &number, message);
    }
    sqlite3_wal_hook(db->handle, on_commit, db);
    return err;
}

static int set_up(struct db *db, int64_t limit_bytes, struct message *message)
{
    sqlite3_extended_result_codes(db->handle, 1);
    sqlite3_busy_timeout(db->handle, BUSY_MS);
    sqlite3_wal_autocheckpoint(db->handle, 0);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    int err =
        db_execute(db, "PRAGMA trusted_schema=0; PRAGMA cache_size=-16384", "set up", message);
    if (err == 0)
        err = db_query_number(db, "PRAGMA page_size", &db->page_size, message);
    if (err != 0)
        return err;
    return db->mode == DB_WRITER ? set_up_writer(db, limit_bytes, message)
                                 : set_up_reader(db, message);
}

/* A large file may need longer than a start can wait: then *ret_checked is false. */
static int quick_check(struct db *db, bool *ret_checked, struct message *message)
{
    char verdict[256] = "";

    db->deadline = clock_read(db->clock).mono_us + CHECK_US;
    sqlite3_progress_handler(db->handle, PROGRESS_STEPS, on_progress, db);
    int err = query(db, "PRAGMA quick_check(1)", NULL, verdict, sizeof verdict, message);
    sqlite3_progress_handler(db->handle, 0, NULL, NULL);
    db->deadline = NEVER;
    if (err != 0)
        return err == ERR_TIMEOUT ? 0 : err;
    if (strcmp(verdict, "ok") != 0)
        return message_set(message, ERR_CORRUPT, "%s: %s%s", db->path, verdict,
                           advice(ERR_CORRUPT));
    *ret_checked = true;
    return 0;
}

/* Once more into the file what the last run left in the log. */
static int settle_log(struct db *db, struct message *message)
{
    db->doubtful = true;
    int err = db_checkpoint(db, message);
    db->checkpoint_err = err;
    return err == ERR_FULL || err == ERR_AGAIN ? 0 : err;
}

static struct db *db_new(const struct db_options *options)
{
    size_t size = strlen(options->path) + 1;
    struct db *db = calloc(1, sizeof *db + size);

    if (db == NULL)
        return NULL;
    memcpy(db->path, options->path, size);
    db->mode = options->mode;
    db->clock = options->clock != NULL ? options->clock : clock_real();
    db->statement_us = options->statement_us > 0 ? options->statement_us : STATEMENT_US;
    db->deadline = NEVER;
    db->checkpoint_bytes =
        options->checkpoint_bytes > 0 ? options->checkpoint_bytes : CHECKPOINT_BYTES;
    db->checkpoint_at = db->checkpoint_bytes;
    return db;
}

static int open_handle(struct db *db, struct db_report *report, struct message *message)
{
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_READONLY;

    if (db->mode == DB_WRITER) {
        flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_READWRITE;
        int err = db_file_create(db->path, &report->created, message);
        if (err != 0)
            return err;
        report->unclean = db_file_has_log(db->path);
    } else if (!db_file_exists(db->path)) {
        return message_set(message, ERR_NOT_FOUND, "there is no %s", db->path);
    }
    int code = sqlite3_open_v2(db->path, &db->handle, flags, NULL);
    return code == SQLITE_OK ? 0 : fail(db, code, message, "open");
}

int db_open(const struct db_options *options, const struct db_schema *schema, struct db **ret_db,
            struct db_report *ret_report, struct message *message)
{
    struct db_report report = {0};
    int version = 0;
    size_t first = 0;
    struct db *db = db_new(options);

    if (db == NULL)
        return message_set(message, ERR_NO_MEMORY, "no memory to open %s", options->path);
    int err = open_handle(db, &report, message);
    if (err == 0)
        err = set_up(db, options->limit_bytes, message);
    if (err == 0)
        err = db_schema_identify(db, schema, &version, message);
    if (err == 0 && report.unclean)
        err = quick_check(db, &report.checked, message);
    if (err == 0 && report.unclean)
        err = settle_log(db, message);
    if (err == 0)
        err = db_schema_migrate(db, schema, version, message);
    if (err == 0)
        err = db_add_statements(db, schema->statements, schema->statement_count, &first, message);
    if (err != 0) {
        /* Not even a checkpoint: what is damaged stays as it was found. */
        if (db->handle != NULL)
            sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        db->mode = DB_READER;
        db_close(db);
        return err;
    }
    if (ret_report != NULL)
        *ret_report = report;
    *ret_db = db;
    return 0;
}

void db_close(struct db *db)
{
    if (db == NULL)
        return;
    for (size_t i = 0; i < db->stmt_count; i++)
        sqlite3_finalize(db->stmts[i].handle);
    if (db->mode == DB_WRITER) {
        db_rollback(db);
        db->checkpoint_err = db_checkpoint(db, NULL);
    }
    sqlite3_close(db->handle);
    free(db->stmts);
    free(db);
}

bool db_is_writer(const struct db *db)
{
    return db->mode == DB_WRITER;
}

const char *db_path(const struct db *db)
{
    return db->path;
}

/* ---- transactions ----------------------------------------------------------------------- */

int db_break(struct db *db, int err)
{
    if (db->transaction == TRANSACTION_OPEN) {
        db->transaction = TRANSACTION_BROKEN;
        db->broken_err = err;
    }
    return err;
}

int db_begin(struct db *db, struct message *message)
{
    if (db->mode != DB_WRITER)
        return message_set(message, ERR_DENIED, "%s is open for reading only", db->path);
    if (db->transaction != TRANSACTION_NONE)
        return message_set(message, ERR_INVALID, "%s has a transaction open already", db->path);
    int err = db_execute(db, "BEGIN IMMEDIATE", "begin a transaction in", message);
    if (err == 0)
        db->transaction = TRANSACTION_OPEN;
    return err;
}

int db_commit(struct db *db, struct message *message)
{
    int err = 0;

    if (db->transaction == TRANSACTION_NONE)
        return message_set(message, ERR_INVALID, "%s has no transaction open", db->path);
    if (db->transaction == TRANSACTION_BROKEN)
        err = message_set(message, db->broken_err, "%s: an earlier step failed (%s)", db->path,
                          err_name(db->broken_err));
    if (err == 0)
        err = db_execute(db, "COMMIT", "commit to", message);
    if (err != 0) {
        db_rollback(db);
        return err;
    }
    db->transaction = TRANSACTION_NONE;
    if (db->doubtful || db->log_bytes >= db->checkpoint_at)
        db->checkpoint_err = db_checkpoint(db, NULL);
    return 0;
}

void db_rollback(struct db *db)
{
    if (db->handle != NULL && !sqlite3_get_autocommit(db->handle))
        sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    db->transaction = TRANSACTION_NONE;
    db->broken_err = 0;
}

int db_checkpoint(struct db *db, struct message *message)
{
    if (db->mode != DB_WRITER)
        return message_set(message, ERR_DENIED, "%s is open for reading only", db->path);
    sqlite3_busy_timeout(db->handle, CHECKPOINT_WAIT_MS);
    int code = sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_busy_timeout(db->handle, BUSY_MS);
    if (code != SQLITE_OK) {
        db->checkpoint_at = db->log_bytes + db->checkpoint_bytes / 4;
        return fail(db, code, message, "checkpoint");
    }
    db->log_bytes = 0;
    db->doubtful = false;
    db->checkpoint_at = db->checkpoint_bytes;
    return 0;
}

int db_checkpoint_error(const struct db *db)
{
    return db->checkpoint_err;
}

int64_t db_log_bytes(const struct db *db)
{
    return db->log_bytes;
}

/* ---- statements ------------------------------------------------------------------------- */

int db_add_statements(struct db *db, const char *const *sql, size_t count, size_t *ret_first,
                      struct message *message)
{
    size_t first = db->stmt_count;
    struct db_stmt *stmts = reallocarray(db->stmts, first + count + 1, sizeof *stmts);

    if (stmts == NULL)
        return message_set(message, ERR_NO_MEMORY, "no memory to open %s", db->path);
    db->stmts = stmts;
    for (size_t i = 0; i < count; i++) {
        struct db_stmt *stmt = &stmts[first + i];
        *stmt = (struct db_stmt){.db = db};
        int code = sqlite3_prepare_v3(db->handle, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                                      &stmt->handle, NULL);
        if (code != SQLITE_OK)
            return fail(db, code, message, "prepare the statements of");
        db->stmt_count++;
    }
    *ret_first = first;
    return 0;
}

struct db_stmt *db_stmt(struct db *db, size_t index)
{
    struct db_stmt *stmt = &db->stmts[index];

    db_reset(stmt);
    return stmt;
}

void db_reset(struct db_stmt *stmt)
{
    sqlite3_reset(stmt->handle);
    sqlite3_clear_bindings(stmt->handle);
    stmt->running = false;
    stmt->bind_err = 0;
}

static void keep_bind_error(struct db_stmt *stmt, int err)
{
    if (stmt->bind_err == 0)
        stmt->bind_err = err;
}

void db_bind_i64(struct db_stmt *stmt, int index, int64_t value)
{
    keep_bind_error(stmt, map_code(sqlite3_bind_int64(stmt->handle, index, value)));
}

void db_bind_u64(struct db_stmt *stmt, int index, uint64_t value)
{
    if (value > INT64_MAX)
        keep_bind_error(stmt, ERR_RANGE);
    else
        db_bind_i64(stmt, index, (int64_t)value);
}

void db_bind_double(struct db_stmt *stmt, int index, double value)
{
    keep_bind_error(stmt, map_code(sqlite3_bind_double(stmt->handle, index, value)));
}

void db_bind_text(struct db_stmt *stmt, int index, const char *text)
{
    if (text != NULL)
        keep_bind_error(stmt, map_code(sqlite3_bind_text(stmt->handle, index, text, -1, NULL)));
}

void db_bind_blob(struct db_stmt *stmt, int index, const void *data, size_t len)
{
    /* An empty blob is not null: SQLite takes a null pointer for that. */
    const void *bytes = len > 0 ? data : "";

    keep_bind_error(stmt, map_code(sqlite3_bind_blob64(stmt->handle, index, bytes, len, NULL)));
}

/* May it run at all? */
static int admit(struct db_stmt *stmt, struct message *message)
{
    struct db *db = stmt->db;

    if (stmt->bind_err != 0)
        return message_set(message, stmt->bind_err, "a value cannot be kept in %s: %s", db->path,
                           err_name(stmt->bind_err));
    if (db->transaction == TRANSACTION_BROKEN)
        return message_set(message, db->broken_err, "%s: an earlier step failed (%s)", db->path,
                           err_name(db->broken_err));
    if (db->transaction == TRANSACTION_NONE && !sqlite3_stmt_readonly(stmt->handle))
        return message_set(message, ERR_DENIED, "%s is changed within transactions only", db->path);
    return 0;
}

int db_next(struct db_stmt *stmt, struct message *message)
{
    struct db *db = stmt->db;
    int err = stmt->running ? 0 : admit(stmt, message);

    if (err == 0 && db->mode == DB_READER) {
        int64_t now = clock_read(db->clock).mono_us;
        if (!stmt->running)
            stmt->deadline = now + db->statement_us;
        if (now > stmt->deadline)
            err = message_set(message, ERR_TIMEOUT, "a reader of %s took too long", db->path);
        db->deadline = stmt->deadline;
    }
    if (err == 0) {
        stmt->running = true;
        int code = sqlite3_step(stmt->handle);
        if (code == SQLITE_ROW)
            return 0;
        err = code == SQLITE_DONE
                  ? ERR_NOT_FOUND
                  : fail(db, code, message, sqlite3_stmt_readonly(stmt->handle) ? "read" : "write");
    }
    if (err != ERR_NOT_FOUND)
        db_break(db, err);
    db_reset(stmt);
    return err;
}

int db_run(struct db_stmt *stmt, int64_t *ret_changes, struct message *message)
{
    int err;

    do
        err = db_next(stmt, message);
    while (err == 0);
    if (err != ERR_NOT_FOUND)
        return err;
    if (ret_changes != NULL)
        *ret_changes = sqlite3_changes64(stmt->db->handle);
    return 0;
}

int64_t db_column_i64(struct db_stmt *stmt, int column)
{
    return sqlite3_column_int64(stmt->handle, column);
}

uint64_t db_column_u64(struct db_stmt *stmt, int column)
{
    int64_t value = sqlite3_column_int64(stmt->handle, column);

    return value > 0 ? (uint64_t)value : 0;
}

double db_column_double(struct db_stmt *stmt, int column)
{
    return sqlite3_column_double(stmt->handle, column);
}

bool db_column_is_null(struct db_stmt *stmt, int column)
{
    return sqlite3_column_type(stmt->handle, column) == SQLITE_NULL;
}

const char *db_column_text(struct db_stmt *stmt, int column)
{
    const unsigned char *text = sqlite3_column_text(stmt->handle, column);

    return text != NULL ? (const char *)text : "";
}

const void *db_column_blob(struct db_stmt *stmt, int column, size_t *ret_len)
{
    const void *data = sqlite3_column_blob(stmt->handle, column);

    *ret_len = (size_t)sqlite3_column_bytes(stmt->handle, column);
    return data;
}

int db_column_copy(struct db_stmt *stmt, int column, char *ret, size_t size)
{
    const char *text = db_column_text(stmt, column);
    size_t len = strlen(text);

    if (len >= size)
        return ERR_CORRUPT;
    memcpy(ret, text, len + 1);
    return 0;
}
