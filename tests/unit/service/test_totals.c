/* Totalisers over a restart: what is saved, when, and what comes of a file that is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/files.h"
#include "base/numbers.h"
#include "service/totals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TURN 100000000.0

static const struct point_info points[] = {
    {.id = "s.u.level"}, {.id = "s.u.volume"}, {.id = "s.u.energy"}};

static char folder[64], path[128];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/totals-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/" TOTALS_FILE, folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

/* Two of three points are totalisers. */
static struct totals *make(struct totaliser *ret_live[2])
{
    struct totals *totals;
    struct totaliser *none;
    assert_int_equal(totals_new(&totals), 0);
    assert_int_equal(totals_add(totals, 0, 0, &none), 0);
    assert_null(none);
    assert_int_equal(totals_add(totals, 1, TURN, &ret_live[0]), 0);
    assert_int_equal(totals_add(totals, 2, 65536, &ret_live[1]), 0);
    return totals;
}

static void note(struct totals *totals, uint32_t point)
{
    struct sample sample = {.point = point};
    totals_note(totals, &sample, 1);
}

static void save(struct totals *totals, int64_t s, bool all)
{
    struct now now = {.mono_us = s * US_PER_S};
    struct message message = {""};
    if (totals_save(totals, points, folder, now, all, &message))
        fail_msg("%s", message.text);
}

static void expect_file(const char *expected)
{
    struct buffer bytes;
    buffer_init(&bytes, 4096);
    int err = file_read(path, &bytes, NULL);
    assert_string_equal(err ? "" : buffer_text(&bytes), expected);
    buffer_release(&bytes);
}

#define HEADER "point,turn,count,before\n"

static void what_counts_is_saved_when_it_must_not_be_forgotten(void **state)
{
    struct totaliser *live[2];
    struct totals *totals = make(live);
    (void)state;
    save(totals, 0, true);
    expect_file(""); /* nothing is known yet */
    *live[0] = (struct totaliser){.known = true, .count = 12.5};
    save(totals, 1, true);
    expect_file(""); /* nor told */
    note(totals, 1);
    note(totals, 0);
    note(totals, 99);
    save(totals, 2, false);
    expect_file(HEADER "s.u.volume,100000000,12.5,0\n");
    live[0]->count = 13;
    note(totals, 1);
    save(totals, 3, false);
    expect_file(HEADER "s.u.volume,100000000,12.5,0\n"); /* an ordinary count waits */
    save(totals, 602, false);
    expect_file(HEADER "s.u.volume,100000000,13,0\n");
    live[0]->count = 14;
    note(totals, 1);
    save(totals, 603, true);
    expect_file(HEADER "s.u.volume,100000000,14,0\n");
    live[0]->count = 1;
    live[0]->before = TURN;
    note(totals, 1);
    save(totals, 604, false);
    expect_file(HEADER "s.u.volume,100000000,1,100000000\n");
    totals_free(totals);
}

static void a_restart_goes_on(void **state)
{
    struct totaliser *live[2];
    struct totals *totals = make(live);
    struct message message = {""};
    (void)state;
    assert_int_equal(totals_load(totals, points, folder, &message), ERR_NOT_FOUND);
    *live[0] = (struct totaliser){.known = true, .count = 0.1, .before = 3 * TURN};
    *live[1] = (struct totaliser){.known = true, .count = 65535, .doubted = true, .shown = 4};
    note(totals, 1);
    note(totals, 2);
    save(totals, 0, false);
    totals_free(totals);

    totals = make(live);
    assert_int_equal(totals_load(totals, points, folder, &message), 0);
    assert_true(live[0]->known && double_same(live[0]->count, 0.1));
    assert_true(double_same(live[0]->before, 3 * TURN));
    assert_true(live[1]->known && !live[1]->doubted && double_same(live[1]->count, 65535));
    unlink(path);
    save(totals, 1, true);
    expect_file(""); /* nothing is new */
    totals_free(totals);
}

static void another_turn_or_point_begins_anew(void **state)
{
    static const char text[] = HEADER "s.u.gone,5,1,1\ns.u.volume,1000,7,0\ns.u.energy,65536,8,9\n";
    struct totaliser *live[2];
    struct totals *totals = make(live);
    (void)state;
    assert_int_equal(file_write(path, text, strlen(text), 0600, NULL), 0);
    assert_int_equal(totals_load(totals, points, folder, NULL), 0);
    assert_false(live[0]->known);
    assert_true(live[1]->known && double_same(live[1]->before, 9));
    totals_free(totals);
}

static void a_file_that_is_none_is_told(void **state)
{
    static const char *const texts[] = {"",
                                        HEADER "s.u.volume,100000000,x,0\n",
                                        HEADER "s.u.volume,100000000\n",
                                        "\xff\xfe\x00",
                                        HEADER "a,b,c,d,e\n",
                                        HEADER "s.u.volume,100000000,1,nan\n"};
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct totaliser *live[2];
        struct totals *totals = make(live);
        struct message message = {""};
        assert_int_equal(file_write(path, texts[i], strlen(texts[i]), 0600, NULL), 0);
        assert_int_equal(totals_load(totals, points, folder, &message), ERR_INVALID);
        assert_true(message.text[0] != '\0');
        assert_false(live[0]->known);
        totals_free(totals);
    }
}

static void a_write_that_failed_is_tried_again(void **state)
{
    struct totaliser *live[2];
    struct totals *totals = make(live);
    struct message message = {""};
    (void)state;
    live[0]->known = true;
    note(totals, 1);
    assert_int_not_equal(
        totals_save(totals, points, "/nowhere/at/all", (struct now){.mono_us = 0}, false, &message),
        0);
    save(totals, 1, false);
    expect_file(HEADER "s.u.volume,100000000,0,0\n");
    totals_free(totals);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_counts_is_saved_when_it_must_not_be_forgotten,
                                        make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_restart_goes_on, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(another_turn_or_point_begins_anew, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_file_that_is_none_is_told, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_write_that_failed_is_tried_again, make_folder,
                                        remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
