#include "service/learned_holes.h"
#include "tests/unit/support/config_file.h"

#include "base/buffer.h"
#include "base/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MAP   "0123456789abcdef"
#define OTHER "fedcba9876543210"

static struct config_file file;

static struct learned_holes *opened(void)
{
    struct learned_holes *holes = NULL;
    struct message message = {""};
    if (learned_holes_open(file.path, &holes, &message))
        fail_msg("%s", message.text);
    return holes;
}

static void check_file(const char *expected)
{
    struct buffer bytes;
    buffer_init(&bytes, 100000);
    assert_int_equal(file_read(file.path, &bytes, NULL), 0);
    assert_string_equal(buffer_text(&bytes), expected);
    buffer_release(&bytes);
}

static void what_was_noted_is_there_after_a_restart(void **state)
{
    struct plan_cut cut = {.function = 3, .below = 16, .from = 40}, got[4];
    (void)state;
    config_file_make(&file, "journal.holes", "");
    assert_int_equal(unlink(file.path), 0);
    struct learned_holes *holes = opened();
    assert_int_equal(learned_holes_save(holes, NULL), 0);
    assert_int_equal(access(file.path, F_OK), -1);
    assert_true(learned_holes_note(holes, "plc", 7, MAP, &cut));
    assert_false(learned_holes_note(holes, "plc", 7, MAP, &cut));
    cut.below = cut.from = 65536;
    assert_true(learned_holes_note(holes, "plc", 7, MAP, &cut));
    assert_int_equal(learned_holes_save(holes, NULL), 0);
    check_file("chengmai holes 1\nplc 7 " MAP " 3 16 40\nplc 7 " MAP " 3 65536 65536\n");
    learned_holes_free(holes);
    holes = opened();
    assert_int_equal(learned_holes_unreadable(holes), 0);
    assert_int_equal(learned_holes_of(holes, "plc", 7, MAP, got, 4), 2);
    assert_int_equal(got[0].function, 3);
    assert_int_equal(got[0].below, 16);
    assert_int_equal(got[0].from, 40);
    assert_int_equal(learned_holes_of(holes, "plc", 7, MAP, got, 1), 1);
    assert_int_equal(learned_holes_of(holes, "plc", 8, MAP, got, 4), 0);
    assert_int_equal(learned_holes_of(holes, "bus", 7, MAP, got, 4), 0);
    assert_int_equal(learned_holes_of(holes, "plc", 7, OTHER, got, 4), 0);
    learned_holes_free(holes);
    learned_holes_free(NULL);
    config_file_remove(&file);
}

static void what_belongs_to_nobody_is_not_written_again(void **state)
{
    struct plan_cut cut = {.function = 4, .below = 1, .from = 2}, got[4];
    (void)state;
    config_file_make(&file, "journal.holes",
                     "chengmai holes 1\ngone 1 " MAP " 3 5 9\nplc 7 " MAP " 3 16 40\n");
    struct learned_holes *holes = opened();
    assert_int_equal(learned_holes_of(holes, "plc", 7, MAP, got, 4), 1);
    assert_true(learned_holes_note(holes, "plc", 7, MAP, &cut));
    assert_int_equal(learned_holes_save(holes, NULL), 0);
    check_file("chengmai holes 1\nplc 7 " MAP " 3 16 40\nplc 7 " MAP " 4 1 2\n");
    learned_holes_free(holes);
    config_file_remove(&file);
}

static void what_cannot_be_read_is_passed_over_and_counted(void **state)
{
    struct plan_cut got[4];
    (void)state;
    config_file_make(&file, "journal.holes",
                     "chengmai holes 1\n"
                     "plc 7 " MAP " 3 16 40\n"
                     "plc 7 " MAP " 3 41 40\n" /* back to front */
                     "plc 7 " MAP " 5 16 40\n" /* no reading function */
                     "plc 7 " MAP " 3 16 65537\n"
                     "plc 256 " MAP " 3 16 40\n"
                     "p/c 7 " MAP " 3 16 40\n"
                     "plc 7 short 3 16 40\n"
                     "plc 7 " MAP " 3 16\n"
                     "plc 7 " MAP " 3 16 40 1\n"
                     "\n"
                     "plc 7 " MAP " 3 16 4"); /* torn */
    struct learned_holes *holes = opened();
    assert_int_equal(learned_holes_unreadable(holes), 10);
    assert_int_equal(learned_holes_of(holes, "plc", 7, MAP, got, 4), 1);
    learned_holes_free(holes);
    config_file_remove(&file);
    config_file_make(&file, "journal.holes", "something else\nplc 7 " MAP " 3 16 40\n");
    holes = opened();
    assert_int_equal(learned_holes_unreadable(holes), 1);
    learned_holes_free(holes);
    config_file_remove(&file);
}

static void what_cannot_be_written_is_tried_again(void **state)
{
    struct plan_cut cut = {.function = 3, .below = 16, .from = 40};
    struct message message = {""};
    struct learned_holes *holes = NULL;
    (void)state;
    config_file_make(&file, "x", "");
    assert_int_equal(unlink(file.path), 0);
    assert_int_equal(rmdir(file.folder), 0);
    assert_int_equal(learned_holes_open(file.path, &holes, &message), 0);
    assert_true(learned_holes_note(holes, "plc", 7, MAP, &cut));
    assert_int_not_equal(learned_holes_save(holes, &message), 0);
    assert_true(message.text[0] != '\0');
    assert_int_equal(folder_make(file.folder, NULL), 0);
    assert_int_equal(learned_holes_save(holes, &message), 0);
    check_file("chengmai holes 1\nplc 7 " MAP " 3 16 40\n");
    learned_holes_free(holes);
    config_file_remove(&file);
}

/* So many are kept and no more; what is not is counted, and what is known is no news. */
static void what_there_is_no_room_for_is_counted(void **state)
{
    struct plan_cut cut = {.function = 3};
    (void)state;
    config_file_make(&file, "journal.holes", "");
    struct learned_holes *holes = opened();
    for (uint32_t i = 0; i < LEARNED_HOLES_MAX; i++) {
        cut.below = cut.from = i;
        assert_true(learned_holes_note(holes, "plc", 7, MAP, &cut));
    }
    assert_false(learned_holes_note(holes, "plc", 7, MAP, &cut));
    assert_int_equal(learned_holes_no_room(holes), 0);
    assert_false(learned_holes_note(holes, "plc", 8, MAP, &cut));
    assert_int_equal(learned_holes_no_room(holes), 1);
    learned_holes_free(holes);
    config_file_remove(&file);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_noted_is_there_after_a_restart),
        cmocka_unit_test(what_belongs_to_nobody_is_not_written_again),
        cmocka_unit_test(what_cannot_be_read_is_passed_over_and_counted),
        cmocka_unit_test(what_cannot_be_written_is_tried_again),
        cmocka_unit_test(what_there_is_no_room_for_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
