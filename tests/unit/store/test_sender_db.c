#include "store/sender_db.h"
#include "tests/unit/support/db_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define T0 1767576600000

static struct sender_db *open_as(const struct db_folder *place, enum db_mode mode)
{
    struct db_options options = {.path = place->path, .mode = mode};
    struct message message = {""};
    struct sender_db *sender = NULL;

    if (sender_db_open(&options, &sender, NULL, &message) != 0)
        fail_msg("%s", message.text);
    return sender;
}

static struct delivery delivery(uint64_t notification, const char *channel, int64_t next_ms)
{
    struct delivery row = {
        .recipient = "wang", .notification = notification, .next_ms = next_ms, .changed_ms = T0};

    snprintf(row.key, sizeof row.key, "n%u", (unsigned)notification);
    snprintf(row.channel, sizeof row.channel, "%s", channel);
    return row;
}

static void begin(struct sender_db *sender)
{
    assert_int_equal(sender_db_begin(sender, NULL), 0);
}

static void commit(struct sender_db *sender)
{
    assert_int_equal(sender_db_commit(sender, NULL), 0);
}

static void add(struct sender_db *sender, struct delivery row)
{
    begin(sender);
    assert_int_equal(sender_db_add(sender, &row, NULL, NULL), 0);
    commit(sender);
}

static void update(struct sender_db *sender, struct delivery row)
{
    begin(sender);
    assert_int_equal(sender_db_update(sender, &row, NULL), 0);
    commit(sender);
}

static void a_delivery_comes_back_as_it_was_last_written(void **state)
{
    struct sender_db *sender = open_as(*state, DB_WRITER);
    struct delivery row = delivery(7, "sms", T0 + 5);
    struct delivery found;

    add(sender, row);
    row.state = DELIVERY_GIVEN_UP;
    row.attempts = 4;
    row.next_ms = T0 + 9;
    row.changed_ms = T0 + 8;
    snprintf(row.verdict, sizeof row.verdict, "body_code=130101");
    update(sender, row);
    sender_db_close(sender);
    sender = open_as(*state, DB_READER);
    assert_int_equal(sender_db_delivery(sender, "n7", "wang", "sms", &found, NULL), 0);
    assert_string_equal(found.key, "n7");
    assert_string_equal(found.recipient, "wang");
    assert_string_equal(found.channel, "sms");
    assert_int_equal(found.notification, 7);
    assert_int_equal(found.state, DELIVERY_GIVEN_UP);
    assert_int_equal(found.attempts, 4);
    assert_int_equal(found.next_ms, T0 + 9);
    assert_int_equal(found.changed_ms, T0 + 8);
    assert_string_equal(found.verdict, "body_code=130101");
    assert_int_equal(sender_db_delivery(sender, "n7", "li", "sms", &found, NULL), ERR_NOT_FOUND);
    sender_db_close(sender);
}

static void a_replayed_notification_starts_no_delivery_anew(void **state)
{
    struct sender_db *sender = open_as(*state, DB_WRITER);
    struct delivery row = delivery(1, "sms", T0);
    struct delivery found;
    bool added = true;

    add(sender, row);
    row.state = DELIVERY_ACCEPTED;
    row.attempts = 1;
    update(sender, row);
    row = delivery(1, "sms", T0);
    begin(sender);
    assert_int_equal(sender_db_add(sender, &row, &added, NULL), 0);
    commit(sender);
    assert_false(added);
    assert_int_equal(sender_db_delivery(sender, "n1", "wang", "sms", &found, NULL), 0);
    assert_int_equal(found.state, DELIVERY_ACCEPTED);
    assert_int_equal(found.attempts, 1);
    sender_db_close(sender);
}

static void what_is_due_comes_longest_due_first(void **state)
{
    struct sender_db *sender = open_as(*state, DB_WRITER);
    struct delivery due[4];
    struct delivery done = delivery(4, "sms", T0 - 100);
    int64_t next = 0;
    size_t n = 0;

    assert_int_equal(sender_db_next_due(sender, &next, NULL), 0);
    assert_true(next == INT64_MAX);
    add(sender, delivery(1, "sms", T0 + 10));
    add(sender, delivery(2, "im", T0));
    add(sender, delivery(3, "im", T0 + 11));
    add(sender, done);
    done.state = DELIVERY_ACCEPTED;
    update(sender, done);
    assert_int_equal(sender_db_due(sender, T0 + 10, due, 4, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_string_equal(due[0].key, "n2");
    assert_string_equal(due[1].key, "n1");
    assert_int_equal(sender_db_due(sender, T0 + 10, due, 1, &n, NULL), 0);
    assert_int_equal(n, 1);
    assert_int_equal(sender_db_due(sender, T0 - 1, due, 4, &n, NULL), 0);
    assert_int_equal(n, 0);
    /* The clock was set back by a day: none of them was ever to wait for that long. */
    assert_int_equal(sender_db_due(sender, T0 - 86400000, due, 4, &n, NULL), 0);
    assert_int_equal(n, 3);
    assert_int_equal(sender_db_next_due(sender, &next, NULL), 0);
    assert_int_equal(next, T0);
    sender_db_close(sender);
}

static void what_waits_on_a_channel_is_hastened(void **state)
{
    struct sender_db *sender = open_as(*state, DB_WRITER);
    struct delivery due[4];
    struct delivery done = delivery(4, "im", T0 + 100);
    size_t n = 0;

    add(sender, delivery(1, "im", T0 + 600000));
    add(sender, delivery(2, "im", T0 - 5));
    add(sender, delivery(3, "sms", T0 + 600000));
    add(sender, done);
    done.state = DELIVERY_ACCEPTED;
    update(sender, done);
    begin(sender);
    assert_int_equal(sender_db_hasten(sender, "im", T0, NULL), 0);
    commit(sender);
    assert_int_equal(sender_db_due(sender, T0, due, 4, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_string_equal(due[0].key, "n2");
    assert_int_equal(due[0].next_ms, T0 - 5);
    assert_string_equal(due[1].key, "n1");
    assert_int_equal(due[1].next_ms, T0);
    sender_db_close(sender);
}

static void all_ways_of_a_notification_are_told(void **state)
{
    struct sender_db *sender = open_as(*state, DB_WRITER);
    struct delivery rows[4];
    size_t n = 0;

    add(sender, delivery(1, "sms", T0));
    add(sender, delivery(1, "im", T0));
    add(sender, delivery(2, "im", T0));
    assert_int_equal(sender_db_deliveries(sender, "n1", rows, 4, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_int_equal(sender_db_deliveries(sender, "n9", rows, 4, &n, NULL), 0);
    assert_int_equal(n, 0);
    sender_db_close(sender);
}

static void an_update_of_no_delivery_takes_its_transaction_with_it(void **state)
{
    struct sender_db *sender = open_as(*state, DB_WRITER);
    struct delivery row = delivery(1, "sms", T0);
    uint64_t cursor = 9;

    begin(sender);
    assert_int_equal(sender_db_set_cursor(sender, 5, NULL), 0);
    assert_int_equal(sender_db_update(sender, &row, NULL), ERR_NOT_FOUND);
    assert_int_equal(sender_db_commit(sender, NULL), ERR_NOT_FOUND);
    assert_int_equal(sender_db_cursor(sender, &cursor, NULL), 0);
    assert_int_equal(cursor, 0);
    sender_db_close(sender);
}

static void only_ended_deliveries_are_forgotten_oldest_first(void **state)
{
    struct sender_db *sender = open_as(*state, DB_WRITER);
    struct delivery found;
    int64_t forgotten = 0;

    for (uint64_t i = 1; i <= 4; i++) {
        struct delivery row = delivery(i, "sms", T0);
        add(sender, row);
        row.state = i == 1 ? DELIVERY_PENDING : DELIVERY_ACCEPTED;
        row.changed_ms = T0 + (int64_t)i;
        update(sender, row);
    }
    begin(sender);
    assert_int_equal(sender_db_forget(sender, T0 + 4, 1, &forgotten, NULL), 0);
    assert_int_equal(forgotten, 1);
    assert_int_equal(sender_db_delivery(sender, "n2", "wang", "sms", &found, NULL), ERR_NOT_FOUND);
    assert_int_equal(sender_db_forget(sender, T0 + 4, 9, &forgotten, NULL), 0);
    assert_int_equal(forgotten, 1);
    commit(sender);
    assert_int_equal(sender_db_delivery(sender, "n1", "wang", "sms", &found, NULL), 0);
    assert_int_equal(sender_db_delivery(sender, "n4", "wang", "sms", &found, NULL), 0);
    sender_db_close(sender);
}

static void verdict_and_leave_another_open(void *self)
{
    struct sender_db *sender = open_as(self, DB_WRITER);
    struct delivery one = delivery(1, "sms", T0);
    struct delivery two = delivery(2, "sms", T0);

    begin(sender);
    assert_int_equal(sender_db_add(sender, &one, NULL, NULL), 0);
    assert_int_equal(sender_db_add(sender, &two, NULL, NULL), 0);
    assert_int_equal(sender_db_set_cursor(sender, 2, NULL), 0);
    commit(sender);
    one.state = DELIVERY_ACCEPTED;
    begin(sender);
    assert_int_equal(sender_db_update(sender, &one, NULL), 0);
    assert_int_equal(outbox_append(sender_db_outbox(sender), "one accepted", 12, NULL), 0);
    commit(sender);
    two.state = DELIVERY_ACCEPTED;
    begin(sender);
    assert_int_equal(sender_db_update(sender, &two, NULL), 0);
    assert_int_equal(outbox_append(sender_db_outbox(sender), "two accepted", 12, NULL), 0);
}

static void a_verdict_and_its_record_are_stored_together(void **state)
{
    struct delivery found;
    struct outbox_entry entry;
    struct buffer out;
    uint64_t cursor = 0;

    buffer_init(&out, OUTBOX_MAX_PAYLOAD);
    assert_true(killed_after(verdict_and_leave_another_open, *state));
    struct sender_db *sender = open_as(*state, DB_READER);
    assert_int_equal(sender_db_cursor(sender, &cursor, NULL), 0);
    assert_int_equal(cursor, 2);
    assert_int_equal(sender_db_delivery(sender, "n1", "wang", "sms", &found, NULL), 0);
    assert_int_equal(found.state, DELIVERY_ACCEPTED);
    assert_int_equal(sender_db_delivery(sender, "n2", "wang", "sms", &found, NULL), 0);
    assert_int_equal(found.state, DELIVERY_PENDING);
    assert_int_equal(outbox_read(sender_db_outbox(sender), 0, &entry, &out, NULL), 0);
    assert_string_equal(buffer_text(&out), "one accepted");
    assert_int_equal(outbox_read(sender_db_outbox(sender), 1, &entry, &out, NULL), ERR_NOT_FOUND);
    buffer_release(&out);
    sender_db_close(sender);
}

static void readers_cannot_write(void **state)
{
    struct sender_db *writer = open_as(*state, DB_WRITER);
    struct sender_db *reader = open_as(*state, DB_READER);
    struct delivery row = delivery(1, "sms", T0);

    assert_int_equal(sender_db_begin(reader, NULL), ERR_DENIED);
    assert_int_equal(sender_db_add(reader, &row, NULL, NULL), ERR_DENIED);
    assert_int_equal(outbox_append(sender_db_outbox(reader), "x", 1, NULL), ERR_DENIED);
    sender_db_close(reader);
    sender_db_close(writer);
}

static void a_full_disk_loses_neither_state_nor_record(void **state)
{
    const struct db_folder *place = *state;
    struct db_options options = {
        .path = place->path, .mode = DB_WRITER, .limit_bytes = (int64_t)40 * 4096};
    struct sender_db *sender = NULL;
    struct delivery found;
    struct outbox_entry last;
    char *big = calloc(1, 8000);
    uint64_t n = 0;
    int err = 0;

    assert_non_null(big);
    assert_int_equal(sender_db_open(&options, &sender, NULL, NULL), 0);
    while (err == 0 && n < 1000) {
        struct delivery row = delivery(++n, "sms", T0);
        begin(sender);
        err = sender_db_add(sender, &row, NULL, NULL);
        if (err == 0)
            err = outbox_append(sender_db_outbox(sender), big, 8000, NULL);
        int committed = sender_db_commit(sender, NULL);
        err = err != 0 ? err : committed;
    }
    assert_int_equal(err, ERR_FULL);
    assert_int_equal(outbox_last(sender_db_outbox(sender), &last, NULL), 0);
    assert_int_equal(last.seq, n - 1);
    assert_int_equal(sender_db_deliveries(sender, "n1", &found, 1, &n, NULL), 0);
    assert_int_equal(n, 1);
    free(big);
    sender_db_close(sender);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, db_folder_setup, db_folder_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_delivery_comes_back_as_it_was_last_written),
        TEST(a_replayed_notification_starts_no_delivery_anew),
        TEST(what_is_due_comes_longest_due_first),
        TEST(what_waits_on_a_channel_is_hastened),
        TEST(all_ways_of_a_notification_are_told),
        TEST(an_update_of_no_delivery_takes_its_transaction_with_it),
        TEST(only_ended_deliveries_are_forgotten_oldest_first),
        TEST(a_verdict_and_its_record_are_stored_together),
        TEST(readers_cannot_write),
        TEST(a_full_disk_loses_neither_state_nor_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
