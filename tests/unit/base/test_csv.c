#include "base/csv.h"

#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct csv *parsed(const char *text)
{
    struct csv *csv = NULL;
    struct message message = {""};

    if (csv_parse(text, strlen(text), &csv, &message) != 0)
        fail_msg("%s: %s", text, message.text);
    return csv;
}

static void check_refused(const char *text, size_t len, int expected, const char *words)
{
    struct csv *csv = NULL;
    struct message message = {""};
    int err = csv_parse(text, len, &csv, &message);

    if (err != expected || csv != NULL || strncmp(message.text, words, strlen(words)) != 0)
        fail_msg("%.60s: %d, \"%s\", not \"%s\"", text, err, message.text, words);
    assert_int_equal(csv_parse(text, len, &csv, NULL), expected);
}

static void cells_are_found_by_row_and_column(void **state)
{
    struct csv *csv = parsed("name,unit\nCOD,mg/L\npH,\n");

    (void)state;
    assert_int_equal(csv_columns(csv), 2);
    assert_int_equal(csv_rows(csv), 2);
    assert_string_equal(csv_header(csv, 0), "name");
    assert_string_equal(csv_header(csv, 1), "unit");
    assert_string_equal(csv_header(csv, 2), "");
    assert_int_equal(csv_find_column(csv, "unit"), 1);
    assert_int_equal(csv_find_column(csv, "Unit"), -1);
    assert_string_equal(csv_cell(csv, 0, 0), "COD");
    assert_string_equal(csv_cell(csv, 0, 1), "mg/L");
    assert_string_equal(csv_cell(csv, 1, 0), "pH");
    assert_string_equal(csv_cell(csv, 1, 1), "");
    assert_string_equal(csv_cell(csv, 1, 2), "");
    assert_string_equal(csv_cell(csv, 2, 0), "");
    assert_string_equal(csv_cell(csv, SIZE_MAX, 0), "");
    assert_int_equal(csv_line(csv, 1), 3);
    assert_int_equal(csv_line(csv, 2), 0);
    csv_free(csv);
    csv_free(NULL);
}

static void every_line_end_is_known(void **state)
{
    static const char *const texts[] = {
        "a,b\n1,2\n3,4\n", "a,b\r\n1,2\r\n3,4\r\n", "a,b\r1,2\r3,4\r",
        "a,b\n1,2\r\n3,4", "a,b\n1,2\n\"3\",\"4\"",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct csv *csv = parsed(texts[i]);
        assert_int_equal(csv_rows(csv), 2);
        assert_string_equal(csv_header(csv, 1), "b");
        assert_string_equal(csv_cell(csv, 0, 1), "2");
        assert_string_equal(csv_cell(csv, 1, 0), "3");
        assert_string_equal(csv_cell(csv, 1, 1), "4");
        assert_int_equal(csv_line(csv, 1), 3);
        csv_free(csv);
    }
}

static void quotes_keep_commas_quotes_and_line_ends(void **state)
{
    struct csv *csv = parsed("\"a\",b\n"
                             "\"x, y\",\"say \"\"hi\"\"\"\n"
                             "\"two\r\nlines\",\"\"\n"
                             "\"\"\"\"\"\",z\n");

    (void)state;
    assert_int_equal(csv_rows(csv), 3);
    assert_string_equal(csv_header(csv, 0), "a");
    assert_string_equal(csv_cell(csv, 0, 0), "x, y");
    assert_string_equal(csv_cell(csv, 0, 1), "say \"hi\"");
    assert_string_equal(csv_cell(csv, 1, 0), "two\r\nlines");
    assert_string_equal(csv_cell(csv, 1, 1), "");
    assert_string_equal(csv_cell(csv, 2, 0), "\"\"");
    assert_string_equal(csv_cell(csv, 2, 1), "z");
    assert_int_equal(csv_line(csv, 1), 3);
    assert_int_equal(csv_line(csv, 2), 5);
    csv_free(csv);
}

static void blank_lines_and_comments_are_passed_over(void **state)
{
    struct csv *csv =
        parsed("# map of the \"COD\" meter, by hand\n\n , \t,\na,b\n\n#1,2\n,,,\n5,#6\n\"\"\n \n");

    (void)state;
    assert_string_equal(csv_header(csv, 0), "a");
    assert_int_equal(csv_rows(csv), 2);
    assert_string_equal(csv_cell(csv, 0, 0), "5");
    assert_string_equal(csv_cell(csv, 0, 1), "#6");
    assert_int_equal(csv_line(csv, 0), 8);
    assert_string_equal(csv_cell(csv, 1, 0), "");
    assert_int_equal(csv_line(csv, 1), 9);
    csv_free(csv);
}

static void rows_may_be_shorter_and_padded_but_not_longer(void **state)
{
    struct csv *csv = parsed("a,b,,\n1\n1,2,,,,\n");

    (void)state;
    assert_int_equal(csv_columns(csv), 2);
    assert_string_equal(csv_cell(csv, 0, 0), "1");
    assert_string_equal(csv_cell(csv, 0, 1), "");
    assert_string_equal(csv_cell(csv, 1, 1), "2");
    csv_free(csv);
    check_refused("a,b\n1,2,3\n", 10, ERR_INVALID, "2:5: a cell beyond");
    check_refused("a,b,\n1,2,,\"x\"\n", 14, ERR_INVALID, "2:6: a cell beyond");
}

static void a_column_between_others_may_have_no_name(void **state)
{
    struct csv *csv = parsed(",a,,b\n0,1,2,3\n");

    (void)state;
    assert_int_equal(csv_columns(csv), 4);
    assert_int_equal(csv_find_column(csv, "b"), 3);
    assert_string_equal(csv_cell(csv, 0, 3), "3");
    csv_free(csv);
}

static void blanks_belong_to_their_cell(void **state)
{
    struct csv *csv = parsed("a , b\n 1 ,2\t\n");

    (void)state;
    assert_string_equal(csv_header(csv, 1), " b");
    assert_string_equal(csv_cell(csv, 0, 0), " 1 ");
    assert_string_equal(csv_cell(csv, 0, 1), "2\t");
    csv_free(csv);
}

static void excel_in_china_is_read(void **state)
{
    /* "名称,单位" and "温度,℃", as UTF-8 with a BOM and as GBK. */
    static const char *const texts[] = {
        "\xEF\xBB\xBF\xE5\x90\x8D\xE7\xA7\xB0,\xE5\x8D\x95\xE4\xBD\x8D\r\n"
        "\xE6\xB8\xA9\xE5\xBA\xA6,\xE2\x84\x83\r\n",
        "\xC3\xFB\xB3\xC6,\xB5\xA5\xCE\xBB\r\n\xCE\xC2\xB6\xC8,\xA1\xE6\r\n",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct csv *csv = parsed(texts[i]);
        assert_int_equal(csv_find_column(csv, "\xE5\x90\x8D\xE7\xA7\xB0"), 0);
        assert_string_equal(csv_cell(csv, 0, 0), "\xE6\xB8\xA9\xE5\xBA\xA6");
        assert_string_equal(csv_cell(csv, 0, 1), "\xE2\x84\x83");
        csv_free(csv);
    }
}

static void bad_tables_are_refused_with_their_place(void **state)
{
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        {"", "1:1: no header row"},
        {"\xEF\xBB\xBF", "1:1: no header row"},
        {"\n\n# only this\n", "4:1: no header row"},
        {"\n\"\",\"\"\n", "2:1: no column has a name"},
        {"a,b,a\n", "1:1: two columns of one name: a"},
        {"\na,\"b\",b\n", "2:1: two columns of one name: b"},
        {"a\n\"x", "2:1: a quote that is never closed"},
        {"a,b\n1,\"x\n\ny\n", "2:3: a quote that is never closed"},
        {"a\n\"x\"y\n", "2:4: more after a closing quote"},
        {"a\n\"x\" \n", "2:4: more after a closing quote"},
        {"a\n5\"\n", "2:2: a quote within a cell"},
        {"a,b\n\xE6\xB8\xA9,x\"\n", "2:4: a quote within a cell"},
        {"a,b\n\"1\r\n2\"\"3\",x\"\n", "3:8: a quote within a cell"},
        {"a\n1\n\xFF\n", "3:1: neither UTF-8 nor GBK"},
        {"\xEF\xBB\xBF\xE5\x90\x8D\n1\n2\n\xC3\xFB\n", "4:1: neither UTF-8 nor GBK"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        check_refused(cases[i].text, strlen(cases[i].text), ERR_INVALID, cases[i].words);
    check_refused("a\n1\0\n", 5, ERR_INVALID, "2:1: neither UTF-8 nor GBK");
    check_refused("a\nxyz", 0, ERR_INVALID, "1:1: no header row");
}

static void columns_are_bounded(void **state)
{
    struct buffer text;
    struct csv *csv;

    (void)state;
    buffer_init(&text, 10000);
    for (int i = 0; i < CSV_MAX_COLUMNS; i++)
        buffer_printf(&text, "c%d,", i);
    buffer_append_text(&text, ",,\nx\n");
    csv = parsed(buffer_text(&text));
    assert_int_equal(csv_columns(csv), CSV_MAX_COLUMNS);
    assert_int_equal(csv_find_column(csv, "c255"), 255);
    csv_free(csv);
    buffer_clear(&text);
    for (int i = 0; i <= CSV_MAX_COLUMNS; i++)
        buffer_printf(&text, "c%d,", i);
    check_refused(buffer_text(&text), text.len, ERR_FULL, "1:1171: more than 256 columns");
    buffer_release(&text);
}

static void size_is_bounded(void **state)
{
    struct csv *csv = NULL;
    struct message message = {""};

    (void)state;
    /* The length alone decides: the text is not looked at. */
    assert_int_equal(csv_parse("a", (size_t)CSV_MAX_BYTES + 1, &csv, &message), ERR_FULL);
    assert_string_equal(message.text, "1:1: more than 67108864 bytes");
}

static void places_are_told_in_characters(void **state)
{
    struct csv *csv = parsed("# \xE6\xB3\xA8\nname,unit,note\n\xE6\xB8\x97,\"a\"\"b\",x\ny\n");

    (void)state;
    assert_int_equal(csv_header_line(csv), 2);
    assert_int_equal(csv_header_column(csv, 0), 1);
    assert_int_equal(csv_header_column(csv, 2), 11);
    assert_int_equal(csv_header_column(csv, 3), 0);
    assert_int_equal(csv_cell_column(csv, 0, 0), 1);
    assert_int_equal(csv_cell_column(csv, 0, 1), 3);
    assert_int_equal(csv_cell_column(csv, 0, 2), 10);
    assert_int_equal(csv_cell_column(csv, 1, 2), 1);
    assert_int_equal(csv_cell_column(csv, 2, 0), 0);
    csv_free(csv);
}

static void long_tables_are_read_whole(void **state)
{
    struct buffer text;
    struct csv *csv;

    (void)state;
    buffer_init(&text, 1 << 20);
    buffer_append_text(&text, "t,value\n");
    for (int i = 0; i < 20000; i++)
        buffer_printf(&text, "%d,\"%d\"\n", i, i * 3);
    csv = parsed(buffer_text(&text));
    assert_int_equal(csv_rows(csv), 20000);
    for (size_t i = 0; i < 20000; i++) {
        assert_int_equal(strtol(csv_cell(csv, i, 0), NULL, 10), i);
        assert_int_equal(strtol(csv_cell(csv, i, 1), NULL, 10), i * 3);
        assert_int_equal(csv_line(csv, i), i + 2);
    }
    csv_free(csv);
    buffer_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_are_found_by_row_and_column),
        cmocka_unit_test(every_line_end_is_known),
        cmocka_unit_test(quotes_keep_commas_quotes_and_line_ends),
        cmocka_unit_test(blank_lines_and_comments_are_passed_over),
        cmocka_unit_test(rows_may_be_shorter_and_padded_but_not_longer),
        cmocka_unit_test(a_column_between_others_may_have_no_name),
        cmocka_unit_test(blanks_belong_to_their_cell),
        cmocka_unit_test(excel_in_china_is_read),
        cmocka_unit_test(bad_tables_are_refused_with_their_place),
        cmocka_unit_test(columns_are_bounded),
        cmocka_unit_test(size_is_bounded),
        cmocka_unit_test(places_are_told_in_characters),
        cmocka_unit_test(long_tables_are_read_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
