#include "store/db.h"
#include "store/db_file.h"
#include "tests/unit/support/db_folder.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { INSERT, COUNT, TEXT_OF, SLOW, SYNCHRONOUS, JOURNAL, STATEMENTS };

static const char *const migrations[] = {
    "CREATE TABLE things(id INTEGER PRIMARY KEY, text TEXT, blob BLOB) STRICT",
    "ALTER TABLE things ADD COLUMN size REAL",
};
static const char *const statements[STATEMENTS] = {
    [INSERT] = "INSERT INTO things(id, text, blob) VALUES(?1, ?2, ?3)",
    [COUNT] = "SELECT count(*) FROM things",
    [TEXT_OF] = "SELECT text, blob FROM things WHERE id = ?1",
    [SLOW] = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT count(*) FROM n",
    [SYNCHRONOUS] = "PRAGMA synchronous",
    [JOURNAL] = "PRAGMA journal_mode",
};
static const struct db_schema schema = {
    .application = 0x74657374,
    .migrations = migrations,
    .version = 2,
    .statements = statements,
    .statement_count = STATEMENTS,
};

static struct db *open_as(const struct db_folder *place, enum db_mode mode)
{
    struct db_options options = {.path = place->path, .mode = mode};
    struct message message = {""};
    struct db *db = NULL;

    if (db_open(&options, &schema, &db, NULL, &message) != 0)
        fail_msg("%s", message.text);
    return db;
}

static int add(struct db *db, int64_t id, const char *text)
{
    struct db_stmt *stmt = db_stmt(db, INSERT);

    db_bind_i64(stmt, 1, id);
    db_bind_text(stmt, 2, text);
    return db_run(stmt, NULL, NULL);
}

static void add_committed(struct db *db, int64_t id, const char *text)
{
    assert_int_equal(db_begin(db, NULL), 0);
    assert_int_equal(add(db, id, text), 0);
    assert_int_equal(db_commit(db, NULL), 0);
}

static int64_t count(struct db *db)
{
    struct db_stmt *stmt = db_stmt(db, COUNT);

    assert_int_equal(db_next(stmt, NULL), 0);
    int64_t n = db_column_i64(stmt, 0);
    db_reset(stmt);
    return n;
}

static void a_new_file_is_private_and_logs_with_full_sync(void **state)
{
    const struct db_folder *place = *state;
    struct db_options options = {.path = place->path, .mode = DB_WRITER};
    struct db_report report;
    struct stat info;
    struct db *db = NULL;

    assert_int_equal(db_open(&options, &schema, &db, &report, NULL), 0);
    assert_true(report.created);
    assert_false(report.unclean);
    assert_int_equal(stat(place->path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(db_begin(db, NULL), 0);
    struct db_stmt *stmt = db_stmt(db, SYNCHRONOUS);
    assert_int_equal(db_next(stmt, NULL), 0);
    assert_int_equal(db_column_i64(stmt, 0), 2);
    stmt = db_stmt(db, JOURNAL);
    assert_int_equal(db_next(stmt, NULL), 0);
    assert_string_equal(db_column_text(stmt, 0), "wal");
    db_close(db);
    assert_int_equal(db_open(&options, &schema, &db, &report, NULL), 0);
    assert_false(report.created);
    assert_false(report.unclean);
    db_close(db);
}

static void commit_one_and_leave_one_open(void *self)
{
    struct db *db = open_as(self, DB_WRITER);

    add_committed(db, 1, "kept");
    assert_int_equal(db_begin(db, NULL), 0);
    assert_int_equal(add(db, 2, "never committed"), 0);
}

static void after_a_kill_what_was_committed_is_there_and_nothing_else(void **state)
{
    const struct db_folder *place = *state;
    struct db_options options = {.path = place->path, .mode = DB_WRITER};
    struct db_report report;
    struct db *db = NULL;

    assert_true(killed_after(commit_one_and_leave_one_open, *state));
    assert_int_equal(db_open(&options, &schema, &db, &report, NULL), 0);
    assert_true(report.unclean);
    assert_true(report.checked);
    assert_int_equal(count(db), 1);
    db_close(db);
}

static void a_reader_can_be_the_first_after_a_kill(void **state)
{
    struct db *db;

    assert_true(killed_after(commit_one_and_leave_one_open, *state));
    db = open_as(*state, DB_READER);
    assert_int_equal(count(db), 1);
    db_close(db);
}

static void a_full_file_rolls_all_of_the_transaction_back(void **state)
{
    const struct db_folder *place = *state;
    struct db_options options = {
        .path = place->path, .mode = DB_WRITER, .limit_bytes = (int64_t)32 * 4096};
    struct message message = {""};
    char big[8192];
    struct db *db = NULL;
    int err = 0;

    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    assert_int_equal(db_open(&options, &schema, &db, NULL, NULL), 0);
    add_committed(db, 1, "kept");
    assert_int_equal(db_begin(db, NULL), 0);
    for (int i = 2; err == 0 && i < 100; i++)
        err = add(db, i, big);
    assert_int_equal(err, ERR_FULL);
    /* SQLite has rolled back by now: this one would be stored by itself. */
    assert_int_equal(add(db, 200, "small"), ERR_FULL);
    assert_int_equal(db_commit(db, &message), ERR_FULL);
    assert_non_null(strstr(message.text, place->path));
    assert_int_equal(count(db), 1);
    add_committed(db, 2, "small");
    assert_int_equal(count(db), 2);
    db_close(db);
}

static void a_write_error_fails_the_commit_and_harms_nothing_before_it(void **state)
{
    struct db *db = open_as(*state, DB_WRITER);
    struct rlimit before;
    struct rlimit small = {.rlim_cur = (rlim_t)100 * 1024};
    struct message message = {""};
    int64_t id = 0;
    int err = 0;

    /* No file of this process may grow beyond 100 KiB: the log's writes fail. */
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    while (err == 0 && id < 1000) {
        assert_int_equal(db_begin(db, NULL), 0);
        err = add(db, ++id, "x");
        if (err == 0)
            err = db_commit(db, &message);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(err, ERR_IO);
    assert_non_null(strstr(message.text, "cannot commit"));
    db_close(db);
    db = open_as(*state, DB_WRITER);
    assert_int_equal(count(db), id - 1);
    add_committed(db, id, "again");
    db_close(db);
}

static void a_failed_step_breaks_its_transaction(void **state)
{
    struct db *db = open_as(*state, DB_WRITER);

    add_committed(db, 1, "first");
    assert_int_equal(db_begin(db, NULL), 0);
    assert_int_equal(add(db, 2, "second"), 0);
    assert_int_equal(add(db, 1, "the same key"), ERR_CONFLICT);
    assert_int_equal(db_commit(db, NULL), ERR_CONFLICT);
    assert_int_equal(count(db), 1);
    db_close(db);
}

static void changes_outside_of_a_transaction_are_refused(void **state)
{
    struct db *db = open_as(*state, DB_WRITER);

    assert_int_equal(add(db, 1, "x"), ERR_DENIED);
    assert_int_equal(db_commit(db, NULL), ERR_INVALID);
    assert_int_equal(db_begin(db, NULL), 0);
    assert_int_equal(db_begin(db, NULL), ERR_INVALID);
    db_rollback(db);
    assert_int_equal(count(db), 0);
    db_close(db);
}

static void a_number_beyond_63_bits_is_refused(void **state)
{
    struct db *db = open_as(*state, DB_WRITER);
    struct db_stmt *stmt = db_stmt(db, INSERT);

    assert_int_equal(db_begin(db, NULL), 0);
    db_bind_u64(stmt, 1, (uint64_t)INT64_MAX + 1);
    assert_int_equal(db_run(stmt, NULL, NULL), ERR_RANGE);
    db_rollback(db);
    db_close(db);
}

static void text_and_bytes_come_back_as_they_were(void **state)
{
    struct db *db = open_as(*state, DB_WRITER);
    struct db_stmt *stmt = db_stmt(db, INSERT);
    size_t len = 9;
    char small[3] = "";

    assert_int_equal(db_begin(db, NULL), 0);
    db_bind_i64(stmt, 1, -7);
    db_bind_text(stmt, 2, "垃圾");
    db_bind_blob(stmt, 3, "\0\1\2", 3);
    assert_int_equal(db_run(stmt, NULL, NULL), 0);
    stmt = db_stmt(db, INSERT);
    db_bind_i64(stmt, 1, 8);
    db_bind_blob(stmt, 3, NULL, 0);
    assert_int_equal(db_run(stmt, NULL, NULL), 0);
    assert_int_equal(db_commit(db, NULL), 0);
    stmt = db_stmt(db, TEXT_OF);
    db_bind_i64(stmt, 1, -7);
    assert_int_equal(db_next(stmt, NULL), 0);
    assert_string_equal(db_column_text(stmt, 0), "垃圾");
    assert_int_equal(db_column_copy(stmt, 0, small, sizeof small), ERR_CORRUPT);
    assert_string_equal(small, "");
    assert_memory_equal(db_column_blob(stmt, 1, &len), "\0\1\2", 3);
    assert_int_equal(len, 3);
    assert_int_equal(db_next(stmt, NULL), ERR_NOT_FOUND);
    stmt = db_stmt(db, TEXT_OF);
    db_bind_i64(stmt, 1, 8);
    assert_int_equal(db_next(stmt, NULL), 0);
    assert_true(db_column_is_null(stmt, 0));
    assert_false(db_column_is_null(stmt, 1));
    db_close(db);
}

static void a_reader_sees_committed_rows_only(void **state)
{
    struct db *writer = open_as(*state, DB_WRITER);
    struct db *reader = open_as(*state, DB_READER);

    assert_int_equal(db_begin(writer, NULL), 0);
    assert_int_equal(add(writer, 1, "x"), 0);
    assert_int_equal(count(reader), 0);
    assert_int_equal(db_commit(writer, NULL), 0);
    assert_int_equal(count(reader), 1);
    db_close(writer);
    assert_int_equal(count(reader), 1);
    db_close(reader);
}

static void a_reader_cannot_write(void **state)
{
    struct db *writer = open_as(*state, DB_WRITER);
    struct db *reader = open_as(*state, DB_READER);

    assert_int_equal(db_begin(reader, NULL), ERR_DENIED);
    assert_int_equal(add(reader, 1, "x"), ERR_DENIED);
    assert_int_equal(db_checkpoint(reader, NULL), ERR_DENIED);
    db_close(reader);
    assert_int_equal(count(writer), 0);
    db_close(writer);
}

static void a_reader_of_nothing_or_of_an_older_version_is_told_so(void **state)
{
    const struct db_folder *place = *state;
    struct db_options options = {.path = place->path, .mode = DB_READER};
    struct db_schema older = schema;
    struct db *db = NULL;

    assert_int_equal(db_open(&options, &schema, &db, NULL, NULL), ERR_NOT_FOUND);
    older.version = 1;
    options.mode = DB_WRITER;
    assert_int_equal(db_open(&options, &older, &db, NULL, NULL), 0);
    db_close(db);
    options.mode = DB_READER;
    assert_int_equal(db_open(&options, &schema, &db, NULL, NULL), ERR_AGAIN);
    /* The writer brings it up, then the reader is let in; the older program is not. */
    db_close(open_as(place, DB_WRITER));
    db_close(open_as(place, DB_READER));
    options.mode = DB_WRITER;
    assert_int_equal(db_open(&options, &older, &db, NULL, NULL), ERR_INVALID);
}

static void a_file_of_another_kind_is_refused_and_left_alone(void **state)
{
    const struct db_folder *place = *state;
    struct db_options options = {.path = place->path, .mode = DB_WRITER};
    struct db_schema other = schema;
    struct db *db = NULL;

    db_close(open_as(place, DB_WRITER));
    other.application = 0x6f746872;
    assert_int_equal(db_open(&options, &other, &db, NULL, NULL), ERR_INVALID);
    db_close(open_as(place, DB_WRITER));
}

/* A clock that goes on by a second each time it is looked at. */
static struct now tick(struct clock *clock)
{
    struct virtual_clock *self = (struct virtual_clock *)clock;

    virtual_clock_advance(self, US_PER_S);
    return self->now;
}

static void a_readers_statement_ends_at_its_limit(void **state)
{
    const struct db_folder *place = *state;
    struct virtual_clock clock;
    struct db_options options = {.path = place->path, .mode = DB_READER, .clock = &clock.clock};
    struct message message = {""};
    struct db *db = NULL;

    virtual_clock_init(&clock, 0);
    clock.clock.read = tick;
    db_close(open_as(place, DB_WRITER));
    assert_int_equal(db_open(&options, &schema, &db, NULL, NULL), 0);
    assert_int_equal(db_next(db_stmt(db, SLOW), &message), ERR_TIMEOUT);
    assert_non_null(strstr(message.text, "too long"));
    /* … and the connection is good for the next. */
    assert_int_equal(count(db), 0);
    db_close(db);
}

static void a_reader_that_dawdles_between_rows_is_cut_off(void **state)
{
    const struct db_folder *place = *state;
    struct virtual_clock clock;
    struct db_options options = {.path = place->path, .mode = DB_READER, .clock = &clock.clock};
    struct db *db = open_as(place, DB_WRITER);
    struct db_stmt *stmt;

    add_committed(db, 1, "x");
    db_close(db);
    virtual_clock_init(&clock, 0);
    assert_int_equal(db_open(&options, &schema, &db, NULL, NULL), 0);
    stmt = db_stmt(db, COUNT);
    assert_int_equal(db_next(stmt, NULL), 0);
    virtual_clock_advance(&clock, 6 * US_PER_S);
    assert_int_equal(db_next(stmt, NULL), ERR_TIMEOUT);
    db_close(db);
}

static int64_t size_of_log(const struct db_folder *place)
{
    char path[128];
    struct stat info;

    snprintf(path, sizeof path, "%s-wal", place->path);
    return stat(path, &info) == 0 ? (int64_t)info.st_size : 0;
}

static void the_writer_truncates_its_log_beyond_the_bound(void **state)
{
    const struct db_folder *place = *state;
    struct db_options options = {
        .path = place->path, .mode = DB_WRITER, .checkpoint_bytes = 100 * 1000};
    struct db *writer = NULL;
    struct db *reader;
    struct db_stmt *held;
    int64_t id = 0;

    assert_int_equal(db_open(&options, &schema, &writer, NULL, NULL), 0);
    while (db_log_bytes(writer) < 90 * 1000)
        add_committed(writer, ++id, "x");
    assert_true(size_of_log(place) > 80 * 1000);
    for (int i = 0; i < 4; i++)
        add_committed(writer, ++id, "x");
    assert_true(size_of_log(place) < 40 * 1000);
    /* A reader in the way costs no commit; once it is gone, the log goes. */
    reader = open_as(place, DB_READER);
    held = db_stmt(reader, COUNT);
    assert_int_equal(db_next(held, NULL), 0);
    while (db_checkpoint_error(writer) == 0 && id < 1000)
        add_committed(writer, ++id, "x");
    assert_int_equal(db_checkpoint_error(writer), ERR_AGAIN);
    db_close(reader);
    while (db_checkpoint_error(writer) != 0 && id < 1000)
        add_committed(writer, ++id, "x");
    assert_int_equal(db_checkpoint_error(writer), 0);
    assert_true(size_of_log(place) < 40 * 1000);
    assert_int_equal(count(writer), id);
    db_close(writer);
    assert_int_equal(size_of_log(place), 0);
}

static void write_many(void *self)
{
    struct db *db = open_as(self, DB_WRITER);

    assert_int_equal(db_begin(db, NULL), 0);
    for (int i = 0; i < 2000; i++)
        assert_int_equal(add(db, i, "some text that fills the pages of the file"), 0);
    assert_int_equal(db_commit(db, NULL), 0);
    assert_int_equal(db_checkpoint(db, NULL), 0);
    add_committed(db, 5000, "in the log");
}

static void damage_is_found_after_an_unclean_stop_and_can_be_set_aside(void **state)
{
    const struct db_folder *place = *state;
    struct db_options options = {.path = place->path, .mode = DB_WRITER};
    struct message message = {""};
    struct db *db = NULL;
    char zeros[4096] = {0};
    char aside[128];

    assert_true(killed_after(write_many, *state));
    int fd = open(place->path, O_WRONLY);
    assert_true(fd >= 0);
    for (off_t page = 3; page < 12; page++)
        assert_int_equal(pwrite(fd, zeros, sizeof zeros, page * 4096), sizeof zeros);
    close(fd);
    assert_int_equal(db_open(&options, &schema, &db, NULL, &message), ERR_CORRUPT);
    assert_non_null(strstr(message.text, place->path));
    assert_int_equal(db_file_set_aside(place->path, 1767576600123, NULL), 0);
    snprintf(aside, sizeof aside, "%s.damaged-1767576600123", place->path);
    assert_int_equal(access(aside, F_OK), 0);
    db = open_as(place, DB_WRITER);
    assert_int_equal(count(db), 0);
    db_close(db);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, db_folder_setup, db_folder_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_new_file_is_private_and_logs_with_full_sync),
        TEST(after_a_kill_what_was_committed_is_there_and_nothing_else),
        TEST(a_reader_can_be_the_first_after_a_kill),
        TEST(a_full_file_rolls_all_of_the_transaction_back),
        TEST(a_write_error_fails_the_commit_and_harms_nothing_before_it),
        TEST(a_failed_step_breaks_its_transaction),
        TEST(changes_outside_of_a_transaction_are_refused),
        TEST(a_number_beyond_63_bits_is_refused),
        TEST(text_and_bytes_come_back_as_they_were),
        TEST(a_reader_sees_committed_rows_only),
        TEST(a_reader_cannot_write),
        TEST(a_reader_of_nothing_or_of_an_older_version_is_told_so),
        TEST(a_file_of_another_kind_is_refused_and_left_alone),
        TEST(a_readers_statement_ends_at_its_limit),
        TEST(a_reader_that_dawdles_between_rows_is_cut_off),
        TEST(the_writer_truncates_its_log_beyond_the_bound),
        TEST(damage_is_found_after_an_unclean_stop_and_can_be_set_aside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
