/*
 * A SQLite file: one connection that writes and checkpoints, any number that only read.
 *
 * db.c alone sees sqlite3.h; store/<name>_db.c build on it. A connection and all that was
 * prepared on it belong to one thread; db_close frees both.
 *
 * Writer: WAL, synchronous=FULL (read back, not believed), no automatic checkpoint; after a commit
 * that leaves more than `checkpoint_bytes` of log it truncates the log itself. 3.40.1 has the
 * WAL-reset race, so no other connection ever checkpoints. Changes are made between db_begin and
 * db_commit only; after a failure in between, nothing of the transaction can be stored any more.
 * Reader: opened read-only, sees what is committed, and no statement of it runs longer than its
 * limit: a long reader would let the log grow without bound.
 */
#ifndef STORE_DB_H
#define STORE_DB_H

#include "base/attributes.h"
#include "base/clock.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum db_mode { DB_WRITER, DB_READER };

/* What a kind of file is; constant data of its owner. */
struct db_schema {
    uint32_t application;          /* stands in the file: one of another kind is refused */
    const char *const *migrations; /* SQL that takes version i to i + 1 */
    int version;                   /* how many there are */
    const char *const *statements; /* prepared at opening: db_stmt(db, i) */
    size_t statement_count;
};

struct db_options {
    const char *path;
    enum db_mode mode;
    int64_t checkpoint_bytes; /* 0: 64 MiB */
    int64_t limit_bytes;      /* of the file, the log not counted; 0: the disk's own */
    int64_t statement_us;     /* of one statement of a reader; 0: 5 s */
    struct clock *clock;      /* that measures it; NULL: the machine's */
};

struct db_report {
    bool created;
    bool unclean; /* the last writer did not close it, or readers outlived it */
    bool checked; /* … so its pages were checked, all of them within 5 s */
};

struct db;
struct db_stmt;

/*
 * Opens, and as a writer makes and migrates. `ret_report` may be NULL. ERR_NOT_FOUND: no such file
 * (reader). ERR_AGAIN: its writer has yet to bring it to this version (reader), or another writer
 * is at it. ERR_INVALID: of another kind, or made by a later version. ERR_CORRUPT: damaged;
 * db_file_set_aside makes room for a new one. ERR_FULL, ERR_IO, ERR_NO_MEMORY, ERR_DENIED.
 */
MUST_CHECK int db_open(const struct db_options *options, const struct db_schema *schema,
                       struct db **ret_db, struct db_report *ret_report, struct message *message);

/* Rolls back what is open, checkpoints (writer), closes. NULL is fine. Readers go first: one that
 * is still reading keeps the log from being emptied. */
void db_close(struct db *db);

bool db_is_writer(const struct db *db);
const char *db_path(const struct db *db);

/* ---- transactions (writer) ---- */

MUST_CHECK int db_begin(struct db *db, struct message *message);

/* Durable when it returns 0. On failure all of it is rolled back; after ERR_IO and ERR_CORRUPT the
 * connection is no longer to be trusted: close, and open again. */
MUST_CHECK int db_commit(struct db *db, struct message *message);
void db_rollback(struct db *db);

/* What was to go in together cannot: the open transaction, if any, will not be committed, as after
 * a step that failed. Returns `err`. */
int db_break(struct db *db, int err);

/* Moves the log into the file and empties it; ERR_AGAIN while a reader still needs it. Commits do
 * so by themselves when it has grown; theirs that failed is told by db_checkpoint_error. */
MUST_CHECK int db_checkpoint(struct db *db, struct message *message);
int db_checkpoint_error(const struct db *db);

/* Bytes of log that the last commit left. */
int64_t db_log_bytes(const struct db *db);

/* ---- statements ---- */

/* For helpers that bring their own: statement i of them is db_stmt(db, *ret_first + i). At opening
 * only: what db_stmt gave before is void. */
MUST_CHECK int db_add_statements(struct db *db, const char *const *sql, size_t count,
                                 size_t *ret_first, struct message *message);

/* The schema's statement of that number, reset, with nothing bound. */
struct db_stmt *db_stmt(struct db *db, size_t index);

/* Parameters count from 1; those not bound are null. Text and blobs are not copied: they must live
 * until db_run returns, or until the next db_stmt or db_reset. A bind that fails is told by the
 * next step. */
void db_bind_i64(struct db_stmt *stmt, int index, int64_t value);
void db_bind_u64(struct db_stmt *stmt, int index, uint64_t value); /* ERR_RANGE from 2^63 on */
void db_bind_double(struct db_stmt *stmt, int index, double value);
void db_bind_text(struct db_stmt *stmt, int index, const char *text); /* NULL: null */
void db_bind_blob(struct db_stmt *stmt, int index, const void *data, size_t len);

/* Runs a change to its end and resets the statement. ERR_CONFLICT: a constraint. Outside of a
 * transaction and at readers: ERR_DENIED. `ret_changes` (may be NULL): rows changed. */
MUST_CHECK int db_run(struct db_stmt *stmt, int64_t *ret_changes, struct message *message);

/* The next row: 0, or ERR_NOT_FOUND when there is none (more). ERR_TIMEOUT: beyond its limit.
 * After anything but 0 the statement is reset. */
MUST_CHECK int db_next(struct db_stmt *stmt, struct message *message);

/* Ends a reading early, so that it holds nothing any longer. */
void db_reset(struct db_stmt *stmt);

/* Columns of the present row count from 0; text and blobs are valid until the next db_next,
 * db_reset or db_stmt of this statement. */
int64_t db_column_i64(struct db_stmt *stmt, int column);
uint64_t db_column_u64(struct db_stmt *stmt, int column);
double db_column_double(struct db_stmt *stmt, int column);
bool db_column_is_null(struct db_stmt *stmt, int column);
const char *db_column_text(struct db_stmt *stmt, int column); /* null: "" */
const void *db_column_blob(struct db_stmt *stmt, int column, size_t *ret_len);

/* Copies a text column with its NUL; ERR_CORRUPT when it does not fit: we did not write that. */
MUST_CHECK int db_column_copy(struct db_stmt *stmt, int column, char *ret, size_t size);

#endif
