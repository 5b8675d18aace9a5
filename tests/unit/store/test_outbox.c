#include "store/outbox.h"
#include "tests/unit/support/db_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const migrations[] = {OUTBOX_TABLE_SQL};
static const struct db_schema schema = {
    .application = 0x74657374, .migrations = migrations, .version = 1};

static struct db *open_as(const struct db_folder *place, enum db_mode mode, struct outbox *outbox)
{
    struct db_options options = {.path = place->path, .mode = mode};
    struct message message = {""};
    struct db *db = NULL;

    if (db_open(&options, &schema, &db, NULL, &message) != 0 ||
        outbox_attach(outbox, db, &message) != 0)
        fail_msg("%s", message.text);
    return db;
}

static void append(struct outbox *outbox, const char *payload)
{
    assert_int_equal(db_begin(outbox->db, NULL), 0);
    assert_int_equal(outbox_append(outbox, payload, strlen(payload), NULL), 0);
    assert_int_equal(db_commit(outbox->db, NULL), 0);
}

static void delete_through(struct outbox *outbox, uint64_t id)
{
    assert_int_equal(db_begin(outbox->db, NULL), 0);
    assert_int_equal(outbox_delete(outbox, id, NULL), 0);
    assert_int_equal(db_commit(outbox->db, NULL), 0);
}

/* The entry behind `id` must be `payload`; its name. */
static struct outbox_entry expect(struct outbox *outbox, uint64_t id, const char *payload)
{
    struct outbox_entry entry;
    struct buffer out;

    buffer_init(&out, OUTBOX_MAX_PAYLOAD);
    assert_int_equal(outbox_read(outbox, id, &entry, &out, NULL), 0);
    assert_string_equal(buffer_text(&out), payload);
    buffer_release(&out);
    return entry;
}

static void expect_nothing_behind(struct outbox *outbox, uint64_t id)
{
    struct outbox_entry entry;
    struct buffer out;

    buffer_init(&out, 100);
    assert_int_equal(outbox_read(outbox, id, &entry, &out, NULL), ERR_NOT_FOUND);
    buffer_release(&out);
}

static void entries_are_read_in_order_by_a_read_only_handle(void **state)
{
    struct outbox writer;
    struct outbox reader;
    struct outbox_entry next;
    struct db *db = open_as(*state, DB_WRITER, &writer);
    struct db *other = open_as(*state, DB_READER, &reader);

    append(&writer, "one");
    append(&writer, "two");
    struct outbox_entry one = expect(&reader, 0, "one");
    struct outbox_entry two = expect(&reader, one.id, "two");
    assert_int_equal(one.seq, 1);
    assert_int_equal(one.id, 1);
    assert_int_equal(two.seq, 2);
    assert_string_equal(one.epoch, two.epoch);
    assert_int_equal(strlen(one.epoch), 32);
    assert_int_equal(strspn(one.epoch, "0123456789abcdef"), 32);
    expect_nothing_behind(&reader, two.id);
    /* An entry of an open transaction has a name already, and nobody sees it. */
    assert_int_equal(db_begin(db, NULL), 0);
    assert_int_equal(outbox_next(&writer, &next, NULL), 0);
    assert_int_equal(next.seq, 3);
    assert_int_equal(outbox_append(&writer, "three", 5, NULL), 0);
    expect_nothing_behind(&reader, two.id);
    assert_int_equal(db_commit(db, NULL), 0);
    assert_int_equal(expect(&reader, two.id, "three").seq, next.seq);
    assert_int_equal(outbox_append(&reader, "x", 1, NULL), ERR_DENIED);
    assert_int_equal(outbox_delete(&reader, 1, NULL), ERR_DENIED);
    db_close(other);
    db_close(db);
}

static void a_deleted_number_is_never_used_again(void **state)
{
    struct outbox outbox;
    struct outbox_entry last;
    struct db *db = open_as(*state, DB_WRITER, &outbox);
    uint64_t pending = 9;

    append(&outbox, "one");
    append(&outbox, "two");
    delete_through(&outbox, 2);
    expect_nothing_behind(&outbox, 0);
    db_close(db);
    db = open_as(*state, DB_WRITER, &outbox);
    assert_int_equal(outbox_last(&outbox, &last, NULL), 0);
    assert_int_equal(last.seq, 2);
    append(&outbox, "three");
    assert_int_equal(expect(&outbox, 0, "three").seq, 3);
    assert_int_equal(outbox_pending(&outbox, &pending, NULL), 0);
    assert_int_equal(pending, 1);
    db_close(db);
}

static void a_rolled_back_entry_leaves_no_hole(void **state)
{
    struct outbox outbox;
    struct db *db = open_as(*state, DB_WRITER, &outbox);

    append(&outbox, "one");
    assert_int_equal(db_begin(db, NULL), 0);
    assert_int_equal(outbox_append(&outbox, "never", 5, NULL), 0);
    db_rollback(db);
    append(&outbox, "two");
    assert_int_equal(expect(&outbox, 1, "two").seq, 2);
    db_close(db);
}

static void the_epoch_is_made_with_the_file_and_stays(void **state)
{
    struct outbox outbox;
    struct outbox_entry first;
    struct outbox_entry second;
    void *other = NULL;
    struct db *db = open_as(*state, DB_WRITER, &outbox);

    assert_int_equal(outbox_last(&outbox, &first, NULL), 0);
    assert_int_equal(first.seq, 0);
    db_close(db);
    db = open_as(*state, DB_WRITER, &outbox);
    assert_int_equal(outbox_last(&outbox, &second, NULL), 0);
    assert_string_equal(first.epoch, second.epoch);
    db_close(db);
    assert_int_equal(db_folder_setup(&other), 0);
    db = open_as(other, DB_WRITER, &outbox);
    assert_int_equal(outbox_last(&outbox, &second, NULL), 0);
    assert_string_not_equal(first.epoch, second.epoch);
    db_close(db);
    db_folder_teardown(&other);
}

static void a_new_epoch_counts_from_one_and_old_entries_keep_their_names(void **state)
{
    struct outbox outbox;
    struct db *db = open_as(*state, DB_WRITER, &outbox);

    append(&outbox, "old one");
    append(&outbox, "old two");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(db_begin(db, NULL), 0);
        assert_int_equal(outbox_new_epoch(&outbox, NULL), 0);
        assert_int_equal(db_commit(db, NULL), 0);
    }
    append(&outbox, "new one");
    struct outbox_entry one = expect(&outbox, 0, "old one");
    struct outbox_entry two = expect(&outbox, one.id, "old two");
    struct outbox_entry three = expect(&outbox, two.id, "new one");
    assert_int_equal(two.seq, 2);
    assert_string_equal(one.epoch, two.epoch);
    assert_int_equal(three.seq, 1);
    assert_int_equal(three.id, 3);
    assert_string_not_equal(three.epoch, two.epoch);
    db_close(db);
}

static void an_entry_too_long_or_empty_takes_its_transaction_with_it(void **state)
{
    struct outbox outbox;
    struct db *db = open_as(*state, DB_WRITER, &outbox);
    char *big = calloc(1, OUTBOX_MAX_PAYLOAD + 1);

    assert_non_null(big);
    assert_int_equal(db_begin(db, NULL), 0);
    assert_int_equal(outbox_append(&outbox, "kept?", 5, NULL), 0);
    assert_int_equal(outbox_append(&outbox, big, OUTBOX_MAX_PAYLOAD + 1, NULL), ERR_RANGE);
    assert_int_equal(db_commit(db, NULL), ERR_RANGE);
    expect_nothing_behind(&outbox, 0);
    assert_int_equal(db_begin(db, NULL), 0);
    assert_int_equal(outbox_append(&outbox, big, 0, NULL), ERR_RANGE);
    db_rollback(db);
    assert_int_equal(db_begin(db, NULL), 0);
    assert_int_equal(outbox_append(&outbox, big, OUTBOX_MAX_PAYLOAD, NULL), 0);
    assert_int_equal(db_commit(db, NULL), 0);
    free(big);
    db_close(db);
}

static void a_full_outbox_refuses_the_next(void **state)
{
    struct outbox outbox;
    struct outbox_entry next;
    struct db *db = open_as(*state, DB_WRITER, &outbox);

    assert_int_equal(db_begin(db, NULL), 0);
    for (int i = 0; i < OUTBOX_MAX_PENDING; i++)
        assert_int_equal(outbox_append(&outbox, "x", 1, NULL), 0);
    assert_int_equal(db_commit(db, NULL), 0);
    assert_int_equal(db_begin(db, NULL), 0);
    assert_int_equal(outbox_next(&outbox, &next, NULL), ERR_FULL);
    assert_int_equal(db_commit(db, NULL), ERR_FULL);
    delete_through(&outbox, 5);
    assert_int_equal(db_begin(db, NULL), 0);
    assert_int_equal(outbox_next(&outbox, &next, NULL), 0);
    assert_int_equal(next.seq, OUTBOX_MAX_PENDING + 1);
    db_rollback(db);
    db_close(db);
}

static void append_and_leave_open(void *self)
{
    struct outbox outbox;
    struct db *db = open_as(self, DB_WRITER, &outbox);

    append(&outbox, "one");
    assert_int_equal(db_begin(db, NULL), 0);
    assert_int_equal(outbox_append(&outbox, "never", 5, NULL), 0);
}

static void after_a_kill_the_committed_entry_is_there_once(void **state)
{
    struct outbox outbox;

    assert_true(killed_after(append_and_leave_open, *state));
    struct db *db = open_as(*state, DB_WRITER, &outbox);
    assert_int_equal(expect(&outbox, 0, "one").seq, 1);
    append(&outbox, "two");
    assert_int_equal(expect(&outbox, 1, "two").seq, 2);
    db_close(db);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, db_folder_setup, db_folder_teardown)
    const struct CMUnitTest tests[] = {
        TEST(entries_are_read_in_order_by_a_read_only_handle),
        TEST(a_deleted_number_is_never_used_again),
        TEST(a_rolled_back_entry_leaves_no_hole),
        TEST(the_epoch_is_made_with_the_file_and_stays),
        TEST(a_new_epoch_counts_from_one_and_old_entries_keep_their_names),
        TEST(an_entry_too_long_or_empty_takes_its_transaction_with_it),
        TEST(a_full_outbox_refuses_the_next),
        TEST(after_a_kill_the_committed_entry_is_there_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
