#include "store/office_db.h"
#include "tests/unit/support/db_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define T0 1767576600000

static struct office_db *open_as(const struct db_folder *place, enum db_mode mode)
{
    struct db_options options = {.path = place->path, .mode = mode};
    struct message message = {""};
    struct office_db *office = NULL;

    if (office_db_open(&options, &office, NULL, &message) != 0)
        fail_msg("%s", message.text);
    return office;
}

static struct office_account account(const char *user)
{
    struct office_account account = {.role = "operator",
                                     .sites = "leachate,gas",
                                     .password = "$argon2id$v=19$x",
                                     .created_ms = T0,
                                     .changed_ms = T0};

    snprintf(account.user, sizeof account.user, "%s", user);
    return account;
}

static struct office_session session(const char *user, unsigned n)
{
    struct office_session session = {
        .created_ms = T0, .seen_ms = T0 + n, .expires_ms = T0 + 43200000};

    snprintf(session.user, sizeof session.user, "%s", user);
    memset(session.token, 0xA5, sizeof session.token);
    memcpy(session.token, &n, sizeof n);
    return session;
}

static void begin(struct office_db *office)
{
    assert_int_equal(office_db_begin(office, NULL), 0);
}

static void commit(struct office_db *office)
{
    assert_int_equal(office_db_commit(office, NULL), 0);
}

static void put(struct office_db *office, const char *user)
{
    struct office_account row = account(user);

    begin(office);
    assert_int_equal(office_db_put_account(office, &row, NULL), 0);
    commit(office);
}

static int add_session(struct office_db *office, const struct office_session *row)
{
    begin(office);
    int err = office_db_add_session(office, row, NULL);
    int committed = office_db_commit(office, NULL);
    assert_int_equal(err, committed);
    return err;
}

static bool has_session(struct office_db *office, const struct office_session *row)
{
    struct office_session found;
    int err = office_db_session(office, row->token, &found, NULL);

    assert_true(err == 0 || err == ERR_NOT_FOUND);
    return err == 0;
}

static void an_account_is_made_changed_and_read(void **state)
{
    struct office_db *office = open_as(*state, DB_WRITER);
    struct office_account row = account("wang");
    struct office_account found;

    put(office, "wang");
    snprintf(row.role, sizeof row.role, "safety");
    row.disabled = true;
    row.created_ms = T0 + 5;
    row.changed_ms = T0 + 5;
    begin(office);
    assert_int_equal(office_db_put_account(office, &row, NULL), 0);
    commit(office);
    office_db_close(office);
    office = open_as(*state, DB_READER);
    assert_int_equal(office_db_account(office, "wang", &found, NULL), 0);
    assert_string_equal(found.user, "wang");
    assert_string_equal(found.role, "safety");
    assert_string_equal(found.sites, "leachate,gas");
    assert_string_equal(found.password, "$argon2id$v=19$x");
    assert_true(found.disabled);
    assert_int_equal(found.created_ms, T0);
    assert_int_equal(found.changed_ms, T0 + 5);
    assert_int_equal(office_db_account(office, "li", &found, NULL), ERR_NOT_FOUND);
    office_db_close(office);
}

static void accounts_are_listed_in_order_and_in_pages(void **state)
{
    struct office_db *office = open_as(*state, DB_WRITER);
    struct office_account page[2];
    size_t n = 0;

    put(office, "zhao");
    put(office, "li");
    put(office, "wang");
    assert_int_equal(office_db_accounts(office, "", page, 2, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_string_equal(page[0].user, "li");
    assert_string_equal(page[1].user, "wang");
    assert_int_equal(office_db_accounts(office, "wang", page, 2, &n, NULL), 0);
    assert_int_equal(n, 1);
    assert_string_equal(page[0].user, "zhao");
    office_db_close(office);
}

static void a_name_that_is_none_is_refused(void **state)
{
    struct office_db *office = open_as(*state, DB_WRITER);
    static const char *const names[] = {"", "a b", "../x", ".hidden", "王"};
    struct office_account row;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        row = account(names[i]);
        begin(office);
        assert_int_equal(office_db_put_account(office, &row, NULL), ERR_INVALID);
        assert_int_equal(office_db_commit(office, NULL), ERR_INVALID);
    }
    office_db_close(office);
}

static void a_session_lives_with_its_account(void **state)
{
    struct office_db *office = open_as(*state, DB_WRITER);
    struct office_session one = session("wang", 1);
    struct office_session two = session("wang", 2);
    struct office_session other = session("li", 3);
    struct office_session found;

    assert_int_equal(add_session(office, &one), ERR_NOT_FOUND);
    put(office, "wang");
    put(office, "li");
    assert_int_equal(add_session(office, &one), 0);
    assert_int_equal(add_session(office, &one), ERR_CONFLICT);
    assert_int_equal(add_session(office, &two), 0);
    assert_int_equal(add_session(office, &other), 0);
    begin(office);
    assert_int_equal(office_db_touch_session(office, one.token, T0 + 777, NULL), 0);
    commit(office);
    assert_int_equal(office_db_session(office, one.token, &found, NULL), 0);
    assert_memory_equal(found.token, one.token, sizeof found.token);
    assert_string_equal(found.user, "wang");
    assert_int_equal(found.created_ms, T0);
    assert_int_equal(found.seen_ms, T0 + 777);
    assert_int_equal(found.expires_ms, T0 + 43200000);
    begin(office);
    assert_int_equal(office_db_delete_account(office, "wang", NULL), 0);
    commit(office);
    assert_false(has_session(office, &one));
    assert_false(has_session(office, &two));
    assert_true(has_session(office, &other));
    begin(office);
    assert_int_equal(office_db_touch_session(office, one.token, T0, NULL), 0);
    commit(office);
    assert_false(has_session(office, &one));
    begin(office);
    assert_int_equal(office_db_delete_account(office, "wang", NULL), ERR_NOT_FOUND);
    office_db_rollback(office);
    office_db_close(office);
}

static void sessions_end_one_by_one_by_user_and_by_time(void **state)
{
    struct office_db *office = open_as(*state, DB_WRITER);
    struct office_session rows[4] = {session("wang", 1), session("wang", 2), session("li", 3),
                                     session("li", 4)};

    put(office, "wang");
    put(office, "li");
    rows[2].expires_ms = T0 + 10;
    for (int i = 0; i < 4; i++)
        assert_int_equal(add_session(office, &rows[i]), 0);
    begin(office);
    assert_int_equal(office_db_end_session(office, rows[0].token, NULL), 0);
    commit(office);
    assert_false(has_session(office, &rows[0]));
    assert_true(has_session(office, &rows[1]));
    begin(office);
    assert_int_equal(office_db_expire_sessions(office, T0 + 9, T0 + 1, NULL), 0);
    commit(office);
    assert_true(has_session(office, &rows[2]));
    begin(office);
    assert_int_equal(office_db_expire_sessions(office, T0 + 10, T0 + 2, NULL), 0);
    commit(office);
    assert_false(has_session(office, &rows[1])); /* idle */
    assert_false(has_session(office, &rows[2])); /* expired */
    assert_true(has_session(office, &rows[3]));
    begin(office);
    assert_int_equal(office_db_end_sessions(office, "li", NULL), 0);
    commit(office);
    assert_false(has_session(office, &rows[3]));
    office_db_close(office);
}

static void a_user_has_no_more_sessions_than_allowed(void **state)
{
    struct office_db *office = open_as(*state, DB_WRITER);
    struct office_session row;

    put(office, "wang");
    put(office, "li");
    row = session("li", 5000);
    assert_int_equal(add_session(office, &row), 0);
    for (unsigned i = 1; i <= OFFICE_MAX_SESSIONS + 3; i++) {
        row = session("wang", i);
        assert_int_equal(add_session(office, &row), 0);
    }
    /* A new one stays even where its clock says that it is the oldest. */
    row = session("wang", 9000);
    row.seen_ms = 1;
    assert_int_equal(add_session(office, &row), 0);
    assert_true(has_session(office, &row));
    for (unsigned i = 1; i <= OFFICE_MAX_SESSIONS + 3; i++) {
        row = session("wang", i);
        assert_int_equal(has_session(office, &row), i > 4);
    }
    row = session("li", 5000);
    assert_true(has_session(office, &row));
    office_db_close(office);
}

static void put_with_entry_and_leave_another_open(void *self)
{
    struct office_db *office = open_as(self, DB_WRITER);
    struct office_account one = account("wang");
    struct office_account two = account("li");

    begin(office);
    assert_int_equal(office_db_put_account(office, &one, NULL), 0);
    assert_int_equal(outbox_append(office_db_outbox(office), "wang was made", 13, NULL), 0);
    commit(office);
    begin(office);
    assert_int_equal(office_db_put_account(office, &two, NULL), 0);
    assert_int_equal(outbox_append(office_db_outbox(office), "li was made", 11, NULL), 0);
}

static void a_change_and_its_record_are_stored_together(void **state)
{
    struct office_account found;
    struct outbox_entry entry;
    struct buffer out;

    buffer_init(&out, OUTBOX_MAX_PAYLOAD);
    assert_true(killed_after(put_with_entry_and_leave_another_open, *state));
    struct office_db *writer = open_as(*state, DB_WRITER);
    struct office_db *reader = open_as(*state, DB_READER);
    assert_int_equal(office_db_account(writer, "wang", &found, NULL), 0);
    assert_int_equal(office_db_account(writer, "li", &found, NULL), ERR_NOT_FOUND);
    assert_int_equal(outbox_read(office_db_outbox(reader), 0, &entry, &out, NULL), 0);
    assert_string_equal(buffer_text(&out), "wang was made");
    assert_int_equal(outbox_read(office_db_outbox(reader), entry.id, &entry, &out, NULL),
                     ERR_NOT_FOUND);
    assert_int_equal(office_db_begin(reader, NULL), ERR_DENIED);
    assert_int_equal(office_db_put_account(reader, &found, NULL), ERR_DENIED);
    buffer_release(&out);
    office_db_close(reader);
    office_db_close(writer);
}

static void a_full_disk_refuses_the_change_with_its_record(void **state)
{
    const struct db_folder *place = *state;
    struct db_options options = {
        .path = place->path, .mode = DB_WRITER, .limit_bytes = (int64_t)40 * 4096};
    struct office_db *office = NULL;
    struct office_account row;
    struct outbox_entry last;
    char *big = calloc(1, 8000);
    char user[16];
    int made = 0;
    int err = 0;

    assert_non_null(big);
    assert_int_equal(office_db_open(&options, &office, NULL, NULL), 0);
    while (err == 0 && made < 1000) {
        snprintf(user, sizeof user, "u%d", ++made);
        row = account(user);
        begin(office);
        err = office_db_put_account(office, &row, NULL);
        if (err == 0)
            err = outbox_append(office_db_outbox(office), big, 8000, NULL);
        int committed = office_db_commit(office, NULL);
        err = err != 0 ? err : committed;
    }
    assert_int_equal(err, ERR_FULL);
    assert_int_equal(office_db_account(office, user, &row, NULL), ERR_NOT_FOUND);
    assert_int_equal(outbox_last(office_db_outbox(office), &last, NULL), 0);
    assert_int_equal(last.seq, made - 1);
    free(big);
    office_db_close(office);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, db_folder_setup, db_folder_teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_account_is_made_changed_and_read),
        TEST(accounts_are_listed_in_order_and_in_pages),
        TEST(a_name_that_is_none_is_refused),
        TEST(a_session_lives_with_its_account),
        TEST(sessions_end_one_by_one_by_user_and_by_time),
        TEST(a_user_has_no_more_sessions_than_allowed),
        TEST(a_change_and_its_record_are_stored_together),
        TEST(a_full_disk_refuses_the_change_with_its_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
