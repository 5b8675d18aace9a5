/* A store's yes is believed a minute later; a file that is not the cursor's means the beginning. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/target_cursor.h"
#include "tests/unit/support/db_folder.h"

#include <stdio.h>
#include <string.h>

#define EPOCH "0123456789abcdef0123456789abcdef"
#define OTHER "ffffffffffffffff0123456789abcdef"
#define STORE "influxdb, url: \"http://h:8086\", database: \"chengmai\""
#define S     INT64_C(1000000)

static const char *path_of(void **state)
{
    return ((struct db_folder *)*state)->path;
}

static void open_at(struct target_cursor *cursor, void **state, uint64_t settled, bool strange)
{
    bool found = !strange;
    assert_int_equal(target_cursor_open(cursor, path_of(state), EPOCH, STORE, &found, NULL), 0);
    assert_int_equal(cursor->settled, settled);
    assert_int_equal(cursor->again, settled);
    assert_int_equal(found, strange);
}

static void save(struct target_cursor *cursor)
{
    struct message message = {""};
    assert_int_equal(target_cursor_save(cursor, &message), 0);
    assert_string_equal(message.text, "");
}

static void yes_is_believed_a_minute_later(void **state)
{
    struct target_cursor cursor;
    open_at(&cursor, state, 0, false);
    target_cursor_note(&cursor, 10, 5 * S);
    target_cursor_note(&cursor, 20, 7 * S);
    target_cursor_settle(&cursor, 65 * S - 1);
    assert_int_equal(cursor.settled, 0);
    target_cursor_settle(&cursor, 65 * S);
    assert_int_equal(cursor.settled, 10);
    target_cursor_settle(&cursor, 67 * S);
    assert_int_equal(cursor.settled, 20);
    /* An older look says nothing new. */
    target_cursor_settle(&cursor, 60 * S);
    assert_int_equal(cursor.settled, 20);
}

static void a_restart_goes_back_a_minute_further(void **state)
{
    struct target_cursor cursor;
    open_at(&cursor, state, 0, false);
    for (uint64_t second = 1; second <= 300; second++) {
        target_cursor_note(&cursor, second, (int64_t)second * S);
        target_cursor_settle(&cursor, (int64_t)second * S);
    }
    assert_int_equal(cursor.settled, 240);
    assert_int_equal(target_cursor_rewind(&cursor), 180);
    assert_int_equal(cursor.settled, 180);
    target_cursor_settle(&cursor, 1000 * S);
    assert_int_equal(cursor.settled, 180);
    target_cursor_note(&cursor, 200, 1000 * S);
    target_cursor_settle(&cursor, 1060 * S);
    assert_int_equal(cursor.settled, 200);
}

static void many_notes_are_believed_later_and_never_earlier(void **state)
{
    struct target_cursor cursor;
    open_at(&cursor, state, 0, false);
    /* A long time without a look at the store. */
    for (uint64_t second = 1; second <= 1000; second++)
        target_cursor_note(&cursor, second, (int64_t)second * S);
    assert_in_range(cursor.count, 1, TARGET_NOTES_MAX);
    for (int64_t look = 0; look <= 1060; look += 10) {
        target_cursor_settle(&cursor, look * S);
        assert_true((int64_t)cursor.settled <= (look > 60 ? look - 60 : 0));
    }
    assert_int_equal(cursor.settled, 1000);
}

static void it_survives_in_its_file(void **state)
{
    struct target_cursor cursor;
    open_at(&cursor, state, 0, false);
    save(&cursor);
    open_at(&cursor, state, 0, false);
    target_cursor_note(&cursor, 123456789, 0);
    target_cursor_settle(&cursor, 60 * S);
    save(&cursor);
    open_at(&cursor, state, 123456789, false);
}

static void write_file(void **state, const void *bytes, size_t len)
{
    assert_int_equal(file_write(path_of(state), bytes, len, 0600, NULL), 0);
}

static void what_is_not_the_cursor_means_the_beginning(void **state)
{
    struct target_cursor cursor;
    struct buffer whole;
    open_at(&cursor, state, 0, false);
    target_cursor_note(&cursor, 77, 0);
    target_cursor_settle(&cursor, 60 * S);
    save(&cursor);
    buffer_init(&whole, 1000);
    assert_int_equal(file_read(path_of(state), &whole, NULL), 0);
    for (size_t len = 0; len < whole.len; len++) { /* torn */
        write_file(state, whole.data, len);
        open_at(&cursor, state, 0, true);
    }
    for (size_t i = 0; i < whole.len; i++) { /* a bit has turned */
        whole.data[i] ^= 1;
        write_file(state, whole.data, whole.len);
        open_at(&cursor, state, 0, true);
        whole.data[i] ^= 1;
    }
    buffer_append_text(&whole, "more");
    write_file(state, whole.data, whole.len);
    open_at(&cursor, state, 0, true);
    write_file(state, "\nsettled 99999999999999999999999999999999999999999999\n", 54);
    open_at(&cursor, state, 0, true);
    buffer_release(&whole);
}

static void another_journal_begins_at_its_beginning(void **state)
{
    struct target_cursor cursor;
    bool strange = false;
    open_at(&cursor, state, 0, false);
    target_cursor_note(&cursor, 77, 0);
    target_cursor_settle(&cursor, 60 * S);
    save(&cursor);
    assert_int_equal(target_cursor_open(&cursor, path_of(state), OTHER, STORE, &strange, NULL), 0);
    assert_true(strange);
    assert_int_equal(cursor.settled, 0);
}

static void another_store_begins_at_the_beginning(void **state)
{
    struct target_cursor cursor;
    bool strange = false;
    open_at(&cursor, state, 0, false);
    target_cursor_note(&cursor, 77, 0);
    target_cursor_settle(&cursor, 60 * S);
    save(&cursor);
    assert_int_equal(target_cursor_open(&cursor, path_of(state), EPOCH,
                                        "influxdb, url: \"http://h:8086\", database: \"other\"",
                                        &strange, NULL),
                     0);
    assert_true(strange);
    assert_int_equal(cursor.settled, 0);
}

static void a_store_that_lost_all_begins_anew_for_good(void **state)
{
    struct target_cursor cursor;
    open_at(&cursor, state, 0, false);
    target_cursor_note(&cursor, 77, 0);
    target_cursor_settle(&cursor, 60 * S);
    save(&cursor);
    target_cursor_note(&cursor, 99, 61 * S);
    target_cursor_restart(&cursor);
    target_cursor_settle(&cursor, 500 * S);
    assert_int_equal(cursor.settled, 0);
    save(&cursor);
    open_at(&cursor, state, 0, false);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, db_folder_setup, db_folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(yes_is_believed_a_minute_later),
        TEST(a_restart_goes_back_a_minute_further),
        TEST(many_notes_are_believed_later_and_never_earlier),
        TEST(it_survives_in_its_file),
        TEST(what_is_not_the_cursor_means_the_beginning),
        TEST(another_journal_begins_at_its_beginning),
        TEST(another_store_begins_at_the_beginning),
        TEST(a_store_that_lost_all_begins_anew_for_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
