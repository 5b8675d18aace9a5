#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void utf8_is_told_from_what_is_not(void **state)
{
    static const char *const good[] = {
        "",
        "abc",
        "\x7F",
        "\xC2\x80",
        "\xDF\xBF",
        "\xE0\xA0\x80",
        "\xED\x9F\xBF",
        "\xEE\x80\x80",
        "\xEF\xBF\xBF",
        "\xF0\x90\x80\x80",
        "\xF4\x8F\xBF\xBF",
        "pH \xE6\xB8\x97\xE6\xBB\xA4 \xE2\x84\x83",
    };
    static const char *const bad[] = {
        "\x80",
        "\xBF",
        "\xC0\xAF",
        "\xC1\xBF",
        "\xC2",
        "\xC2 ",
        "\xC2\xC2",
        "\xE0\x9F\xBF",
        "\xE6\xB8",
        "\xE6\xB8 ",
        "\xED\xA0\x80",
        "\xED\xBF\xBF",
        "\xF0\x8F\xBF\xBF",
        "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80",
        "\xF0\x90\x80",
        "\xF0\x90\x80\xC0",
        "\xFE",
        "\xFF",
        "abc\xE6",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(text_is_utf8(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(text_is_utf8(bad[i], strlen(bad[i])));
    assert_false(text_is_utf8("a\0b", 3));
    assert_int_equal(text_utf8_length("\xE6\xB8\x97x", 4), 3);
    assert_int_equal(text_utf8_length("\xE6\xB8\x97", 2), 0);
}

static void check_utf8(const char *text, const char *expected)
{
    struct buffer out;

    buffer_init(&out, 100);
    buffer_append_text(&out, "<");
    assert_int_equal(text_to_utf8(text, strlen(text), &out), 0);
    assert_string_equal(buffer_text(&out) + 1, expected);
    assert_int_equal(strlen(buffer_text(&out)), out.len);
    buffer_release(&out);
}

static void spreadsheets_become_utf8(void **state)
{
    (void)state;
    check_utf8("", "");
    check_utf8("abc", "abc");
    check_utf8("\xEF\xBB\xBF", "");
    check_utf8("\xEF\xBB\xBF\xE5\x90\x8D,x", "\xE5\x90\x8D,x");
    check_utf8("\xE5\x90\x8D", "\xE5\x90\x8D");
    /* "名称" and "℃" as Excel in China saves them, then a character only GB18030 has. */
    check_utf8("\xC3\xFB\xB3\xC6", "\xE5\x90\x8D\xE7\xA7\xB0");
    check_utf8("\xA1\xE6", "\xE2\x84\x83");
    check_utf8("\x81\x30\x84\x36", "\xC2\xA5");
}

static void what_is_no_text_is_refused_and_leaves_the_buffer(void **state)
{
    static const char *const bad[] = {
        ("\xFF\xFE"
         "a"),
        "abc\xE5",
        "\xC3\xFB\xB3",
        "\x81\x30\x84\x7F",
        "\xEF\xBB\xBF\xC3\xFB",
    };
    struct buffer out;

    (void)state;
    buffer_init(&out, 100);
    buffer_append_text(&out, "kept");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(text_to_utf8(bad[i], strlen(bad[i]), &out), ERR_INVALID);
        assert_string_equal(buffer_text(&out), "kept");
    }
    assert_int_equal(text_to_utf8("a\0b", 3, &out), ERR_INVALID);
    assert_int_equal(text_to_utf8("\xC3\xFB\0b", 4, &out), ERR_INVALID);
    assert_string_equal(buffer_text(&out), "kept");
    buffer_release(&out);
}

static void the_first_byte_that_is_no_text_is_told(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        size_t bad;
    } cases[] = {
        {"ab\0", 3, 2},
        {"\xC3\xFB\0b", 4, 2},
        {"\xEF\xBB\xBFxy\xC3\xFB", 7, 5},
        {"\xC3\xFB\nabc\xFF\n", 8, 6},
        {"\xC3\xFB\nabc\xC3", 7, 6},
    };
    struct buffer out;

    (void)state;
    buffer_init(&out, 100);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t bad = 99;
        assert_int_equal(text_to_utf8_where(cases[i].text, cases[i].len, &out, &bad), ERR_INVALID);
        assert_int_equal(bad, cases[i].bad);
    }
    assert_int_equal(out.len, 0);
    buffer_release(&out);
}

static void long_texts_convert_across_chunks(void **state)
{
    char text[20000];
    struct buffer out;

    (void)state;
    for (size_t i = 0; i < sizeof(text); i += 2)
        memcpy(text + i, "\xC3\xFB", 2);
    buffer_init(&out, 30000);
    assert_int_equal(text_to_utf8(text, sizeof(text), &out), 0);
    assert_int_equal(out.len, 30000);
    for (size_t i = 0; i < out.len; i += 3)
        assert_memory_equal(out.data + i, "\xE5\x90\x8D", 3);
    buffer_release(&out);

    buffer_init(&out, 29999);
    assert_int_equal(text_to_utf8(text, sizeof(text), &out), ERR_FULL);
    assert_int_equal(out.len, 0);
    buffer_release(&out);
}

static void names_are_safe_in_topics_files_and_tags(void **state)
{
    static const char *const good[] = {"a", "edge-01", "A_b.c-9", "-x", "_"};
    static const char *const bad[] = {"",   ".",   "..",   ".hidden", "a b", "a/b",
                                      "a+", "a#b", "a\nb", "a,b",     "a=b", "\xE5\x90\x8D"};
    char longest[66];

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(text_is_name(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(text_is_name(bad[i]));
    memset(longest, 'n', 65);
    longest[65] = '\0';
    assert_false(text_is_name(longest));
    longest[64] = '\0';
    assert_true(text_is_name(longest));
}

static void a_copy_fits_or_does_not_happen(void **state)
{
    char small[4] = "old";

    (void)state;
    assert_int_equal(text_copy(small, sizeof(small), "four"), ERR_FULL);
    assert_string_equal(small, "old");
    assert_int_equal(text_copy(small, sizeof(small), "abc"), 0);
    assert_string_equal(small, "abc");
    assert_int_equal(text_copy(small, sizeof(small), ""), 0);
    assert_string_equal(small, "");
}

static void distance_counts_edits_up_to_its_limit(void **state)
{
    static const struct {
        const char *a;
        const char *b;
        size_t limit;
        size_t distance;
    } cases[] = {
        {"", "", 3, 0},
        {"interval", "interval", 3, 0},
        {"interval", "intervall", 3, 1},
        {"interval", "interal", 3, 1},
        {"interval", "inteval", 3, 1},
        {"interval", "intervla", 3, 1},
        {"ab", "ba", 3, 1},
        {"kitten", "sitting", 9, 3},
        {"kitten", "sitting", 2, 3},
        {"", "abc", 9, 3},
        {"abc", "", 2, 3},
        {"abcdefgh", "zyxwvuts", 2, 3},
        {"ca", "abc", 9, 3},
    };
    char longest[66];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(text_distance(cases[i].a, cases[i].b, cases[i].limit), cases[i].distance);
        assert_int_equal(text_distance(cases[i].b, cases[i].a, cases[i].limit), cases[i].distance);
    }
    memset(longest, 'n', 65);
    longest[65] = '\0';
    assert_int_equal(text_distance(longest, longest, 3), 0);
    assert_int_equal(text_distance(longest, longest + 1, 3), 4);
    assert_int_equal(text_distance(longest + 2, longest + 1, 3), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_is_told_from_what_is_not),
        cmocka_unit_test(spreadsheets_become_utf8),
        cmocka_unit_test(what_is_no_text_is_refused_and_leaves_the_buffer),
        cmocka_unit_test(the_first_byte_that_is_no_text_is_told),
        cmocka_unit_test(long_texts_convert_across_chunks),
        cmocka_unit_test(names_are_safe_in_topics_files_and_tags),
        cmocka_unit_test(a_copy_fits_or_does_not_happen),
        cmocka_unit_test(distance_counts_edits_up_to_its_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
