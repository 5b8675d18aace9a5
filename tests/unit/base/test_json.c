#include "base/json.h"

#include "base/numbers.h"
#include "tests/unit/support/comma_locale.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct json_document *parsed(const char *text)
{
    struct json_document *document = NULL;
    struct message message = {""};
    int err = json_parse(text, strlen(text), &document, &message);

    if (err != 0)
        fail_msg("%s: %s", text, message.text);
    return document;
}

static void check_refused(const char *text, size_t len, int expected, const char *words)
{
    struct json_document *document = NULL;
    struct message message = {""};
    int err = json_parse(text, len, &document, &message);

    if (err != expected || document != NULL || strstr(message.text, words) == NULL)
        fail_msg("%.60s: %d, \"%s\", not \"%s\"", text, err, message.text, words);
    assert_int_equal(json_parse(text, len, &document, NULL), expected);
}

static void values_of_every_type_are_read(void **state)
{
    struct json_document *document =
        parsed(" { \"n\" : -1.5e2 , \"t\":true,\"f\":false,\"z\":null,\n\"s\":\"x\",\"a\":[1,[]],"
               "\"o\":{\"n\":2}}\r\n\t");
    const struct json *root = json_root(document);
    const struct json *list = json_member(root, "a");
    double number = 0;
    bool flag = false;
    int64_t whole = 0;

    (void)state;
    assert_int_equal(json_type(root), JSON_OBJECT);
    assert_int_equal(json_count(root), 7);
    assert_int_equal(json_get_double(json_member(root, "n"), &number), 0);
    assert_true(double_same(number, -150));
    assert_int_equal(json_get_bool(json_member(root, "t"), &flag), 0);
    assert_true(flag);
    assert_int_equal(json_get_bool(json_member(root, "f"), &flag), 0);
    assert_false(flag);
    assert_int_equal(json_type(json_member(root, "t")), JSON_BOOL);
    assert_int_equal(json_type(json_member(root, "z")), JSON_NULL);
    assert_non_null(json_member(root, "z"));
    assert_string_equal(json_get_text(json_member(root, "s")), "x");
    assert_int_equal(json_type(json_member(root, "s")), JSON_STRING);
    assert_int_equal(json_type(list), JSON_ARRAY);
    assert_int_equal(json_count(list), 2);
    assert_int_equal(json_type(json_first(list)), JSON_NUMBER);
    assert_int_equal(json_count(json_next(json_first(list))), 0);
    assert_null(json_next(json_next(json_first(list))));
    assert_int_equal(json_get_i64(json_member(json_member(root, "o"), "n"), 0, 9, &whole), 0);
    assert_int_equal(whole, 2);
    json_free(document);
    json_free(NULL);
}

static void any_value_may_be_the_root(void **state)
{
    static const char *const texts[] = {"0",    "-0", "1e-5", "\"\"", "null",
                                        "true", "[]", "{}",   " 7 "};

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++)
        json_free(parsed(texts[i]));
}

static void children_come_in_order_with_their_names(void **state)
{
    struct json_document *document = parsed("{\"b\":1,\"a\":2}");
    const struct json *child = json_first(json_root(document));

    (void)state;
    assert_string_equal(json_name(child), "b");
    child = json_next(child);
    assert_string_equal(json_name(child), "a");
    assert_null(json_next(child));
    assert_null(json_name(json_root(document)));
    json_free(document);
}

static void what_is_not_there_is_null(void **state)
{
    struct json_document *document = parsed("{\"Name\":[1],\"\":3}");
    const struct json *root = json_root(document);
    double number;
    bool flag;
    int64_t whole;

    (void)state;
    assert_null(json_member(root, "name"));
    assert_null(json_member(root, "Nam"));
    assert_non_null(json_member(root, ""));
    assert_null(json_member(json_member(root, "Name"), "0"));
    assert_null(json_member(NULL, "x"));
    assert_null(json_first(NULL));
    assert_null(json_next(NULL));
    assert_null(json_name(NULL));
    assert_null(json_get_text(NULL));
    assert_null(json_get_text(root));
    assert_null(json_first(json_member(root, "")));
    assert_int_equal(json_count(NULL), 0);
    assert_int_equal(json_type(NULL), JSON_NULL);
    assert_int_equal(json_get_double(NULL, &number), ERR_NOT_FOUND);
    assert_int_equal(json_get_bool(NULL, &flag), ERR_NOT_FOUND);
    assert_int_equal(json_get_i64(NULL, 0, 1, &whole), ERR_NOT_FOUND);
    assert_int_equal(json_get_double(root, &number), ERR_INVALID);
    assert_int_equal(json_get_bool(json_member(root, ""), &flag), ERR_INVALID);
    assert_int_equal(json_get_i64(root, 0, 1, &whole), ERR_INVALID);
    json_free(document);
}

static void whole_numbers_are_exact_or_refused(void **state)
{
    static const struct {
        const char *text;
        int err;
        int64_t value;
    } cases[] = {
        {"0", 0, 0},
        {"-0", 0, 0},
        {"1e3", 0, 1000},
        {"5.0", 0, 5},
        {"9007199254740991", 0, INT64_C(9007199254740991)},
        {"-9007199254740991", 0, -INT64_C(9007199254740991)},
        {"9007199254740992", ERR_RANGE, 0},
        {"9007199254740993", ERR_RANGE, 0},
        {"-9007199254740993", ERR_RANGE, 0},
        {"1e300", ERR_RANGE, 0},
        {"1.5", ERR_INVALID, 0},
        {"1e-9", ERR_INVALID, 0},
        {"\"1\"", ERR_INVALID, 0},
        {"true", ERR_INVALID, 0},
        {"null", ERR_INVALID, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct json_document *document = parsed(cases[i].text);
        int64_t value = 77;
        assert_int_equal(json_get_i64(json_root(document), INT64_MIN, INT64_MAX, &value),
                         cases[i].err);
        assert_true(value == (cases[i].err == 0 ? cases[i].value : 77));
        if (cases[i].err == 0) {
            assert_int_equal(
                json_get_i64(json_root(document), cases[i].value + 1, INT64_MAX, &value),
                ERR_RANGE);
            assert_int_equal(
                json_get_i64(json_root(document), INT64_MIN, cases[i].value - 1, &value),
                ERR_RANGE);
        }
        json_free(document);
    }
}

static void text_escapes_are_undone(void **state)
{
    struct json_document *document =
        parsed("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u6e17\\ud83d\\uDD25\xE6\xB8\x97\x7F\"");

    (void)state;
    assert_string_equal(json_get_text(json_root(document)),
                        "\"\\/\b\f\n\r\tA\xC3\xA9\xE6\xB8\x97\xF0\x9F\x94\xA5\xE6\xB8\x97\x7F");
    json_free(document);
}

static void bad_grammar_is_refused_with_its_place(void **state)
{
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        {"", "byte 1: no value"},
        {"  ", "byte 3: no value"},
        {"{", "byte 2: no key in quotes"},
        {"[", "byte 2: no value"},
        {"[1", "byte 3: neither ',' nor ']'"},
        {"[1 2]", "byte 4: neither ',' nor ']'"},
        {"[1,]", "byte 4: no value"},
        {"[,1]", "byte 2: no value"},
        {"{\"a\":1,}", "byte 8: no key in quotes"},
        {"{\"a\" 1}", "byte 6: no ':'"},
        {"{\"a\":}", "byte 6: no value"},
        {"{\"a\":1 \"b\":2}", "byte 8: neither ',' nor '}'"},
        {"{a:1}", "byte 2: no key in quotes"},
        {"{1:1}", "byte 2: no key in quotes"},
        {"{\"a\":1]", "byte 7: neither ',' nor '}'"},
        {"[1}", "byte 3: neither ',' nor ']'"},
        {"1 2", "byte 3: more after the end"},
        {"{}x", "byte 3: more after the end"},
        {"[]]", "byte 3: more after the end"},
        {"tru", "byte 1: no value"},
        {"nullx", "byte 5: more"},
        {"True", "byte 1: no value"},
        {"NaN", "byte 1: no value"},
        {"Infinity", "byte 1: no value"},
        {"'a'", "byte 1: no value"},
        {"\xEF\xBB\xBF{}", "byte 1: no value"},
        {"// x\n1", "byte 1: no value"},
        {"\f1", "byte 1: no value"},
        {"\"abc", "byte 5: a text without its closing quote"},
        {"\"a\\\"", "byte 5: a text without its closing quote"},
        {"\"a\nb\"", "byte 3: a control character"},
        {"\"a\tb\"", "byte 3: a control character"},
        {"\"\\x41\"", "byte 3: an unknown escape"},
        {"\"\\", "byte 3: an unknown escape"},
        {"\"\\u12\"", "byte 4: \\u without four"},
        {"\"\\u12G4\"", "byte 4: \\u without four"},
        {"\"\\u\"", "byte 4: \\u without four"},
        {"\"\\ud800\"", "half a surrogate pair"},
        {"\"\\ud800\\n\"", "half a surrogate pair"},
        {"\"\\ud800\\u0041\"", "half a surrogate pair"},
        {"\"\\ud800\\ud800\"", "half a surrogate pair"},
        {"\"\\ud800\\u", "half a surrogate pair"},
        {"\"\\udc00\"", "half a surrogate pair"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        check_refused(cases[i].text, strlen(cases[i].text), ERR_INVALID, cases[i].words);
}

static void what_cjson_would_let_pass_is_refused(void **state)
{
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        {"01", "byte 1: a number not written"},
        {"-01", "byte 1: a number not written"},
        {"1.", "byte 1: a number not written"},
        {".5", "byte 1: a number not written"},
        {"+1", "byte 1: a number not written"},
        {"[1.e5]", "byte 2: a number not written"},
        {"1e", "byte 1: a number not written"},
        {"-", "byte 1: a number not written"},
        {"1e999", "byte 1: a number beyond"},
        {"[0,-1e999]", "byte 4: a number beyond"},
        {"1234567890123456789012345678901234567890123456789012345678901234", "more than 63"},
        {"\"\xC3\"", "byte 2: not UTF-8"},
        {"\"a\xED\xA0\x80\"", "byte 3: not UTF-8"},
        {"{\"\xFF\":1}", "byte 3: not UTF-8"},
        {"\"a\\u0000b\"", "\\u0000 in a text"},
        {"{\"a\":1,\"b\":2,\"a\":3}", "a key stands twice: a"},
        {"[{\"o\":{\"x\":1,\"\\u0078\":1}}]", "a key stands twice: x"},
        {"{\"\":1,\"\":2}", "a key stands twice: "},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        check_refused(cases[i].text, strlen(cases[i].text), ERR_INVALID, cases[i].words);
    check_refused("1\0", 2, ERR_INVALID, "byte 2: more");
    check_refused("\"a\0b\"", 5, ERR_INVALID, "byte 3: a control character");
    check_refused("[\0]", 3, ERR_INVALID, "byte 2: no value");
    check_refused("[1\0]", 4, ERR_INVALID, "byte 3: neither");
    check_refused("{\0}", 3, ERR_INVALID, "byte 2: no key");
    json_free(parsed("{\"a\":1,\"A\":2,\"b\":{\"a\":1}}"));
    json_free(parsed("123456789012345678901234567890123456789012345678901234567890123"));
}

static void only_the_given_bytes_are_read(void **state)
{
    struct json_document *document = NULL;
    double number = 0;

    (void)state;
    assert_int_equal(json_parse("1234", 2, &document, NULL), 0);
    assert_int_equal(json_get_double(json_root(document), &number), 0);
    assert_true(double_same(number, 12));
    json_free(document);
    check_refused("[1]", 2, ERR_INVALID, "byte 3");
    check_refused("true", 3, ERR_INVALID, "byte 1");
    check_refused("\"\xE6\xB8\x97\"", 3, ERR_INVALID, "byte 2: not UTF-8");
}

static void depth_is_bounded(void **state)
{
    (void)state;
    json_free(parsed("[[[[[[[[]]]]]]]]"));
    json_free(parsed("[[[[[[[{}]]]]]],[[[[[[[1]]]]]]]]"));
    check_refused("[[[[[[[[[]]]]]]]]]", 18, ERR_FULL, "byte 9: nested too deep");
    check_refused("{\"a\":[[[[[[[{\"b\":1}]]]]]]]}", 27, ERR_FULL, "nested too deep");
}

static void size_is_bounded(void **state)
{
    char *text = malloc(JSON_MAX_BYTES + 1);
    struct json_document *document = NULL;

    (void)state;
    assert_non_null(text);
    memset(text, ' ', JSON_MAX_BYTES + 1);
    text[0] = '1';
    assert_int_equal(json_parse(text, JSON_MAX_BYTES, &document, NULL), 0);
    json_free(document);
    check_refused(text, JSON_MAX_BYTES + 1, ERR_FULL, "more than 262144");
    free(text);
}

static void many_keys_are_compared_all(void **state)
{
    struct buffer out;
    struct json_writer writer;
    struct json_document *document;

    (void)state;
    buffer_init(&out, JSON_MAX_BYTES);
    json_writer_init(&writer, &out);
    json_begin_object(&writer);
    for (int i = 0; i < 20000; i++) {
        char name[NUMBER_TEXT_SIZE];
        print_i64(i, name);
        json_key(&writer, name);
        json_i64(&writer, 1);
    }
    json_end_object(&writer);
    document = parsed(buffer_text(&out));
    assert_int_equal(json_count(json_root(document)), 20000);
    json_free(document);
    out.data[--out.len] = '\0';
    buffer_append_text(&out, ",\"777\":2}");
    check_refused(buffer_text(&out), out.len, ERR_INVALID, "a key stands twice: 777");
    buffer_release(&out);
}

static void numbers_are_read_to_the_last_bit_in_every_locale(void **state)
{
    locale_t comma = comma_locale_new();
    locale_t before;
    struct json_document *document;
    double number = 0;

    (void)state;
    if (comma == (locale_t)0) {
        print_message("skipped: localedef can not make a locale with a decimal comma here\n");
        skip();
    }
    before = uselocale(comma);
    document = parsed("0.30000000000000004");
    assert_int_equal(json_get_double(json_root(document), &number), 0);
    assert_true(double_same(number, 0.30000000000000004));
    json_free(document);
    assert_ptr_equal(uselocale(before), comma);
    freelocale(comma);
}

static void the_writer_puts_commas_and_escapes(void **state)
{
    struct buffer out;
    struct json_writer writer;

    (void)state;
    buffer_init(&out, 1000);
    json_writer_init(&writer, &out);
    json_begin_object(&writer);
    json_key(&writer, "t");
    json_text(&writer, "a\"\\\b\f\n\r\t\x01\x1F/\x7F\xE6\xB8\x97");
    json_key(&writer, "\"k\"");
    json_begin_array(&writer);
    json_double(&writer, 0.30000000000000004);
    json_double(&writer, (double)NAN);
    json_float(&writer, 21.64F);
    json_i64(&writer, -5);
    json_u64(&writer, UINT64_MAX);
    json_bool(&writer, true);
    json_bool(&writer, false);
    json_null(&writer);
    json_text(&writer, NULL);
    json_raw(&writer, "[1,2]", 5);
    json_begin_object(&writer);
    json_end_object(&writer);
    json_begin_array(&writer);
    json_end_array(&writer);
    json_end_array(&writer);
    json_key(&writer, "n");
    json_text_n(&writer, "xyz", 2);
    json_end_object(&writer);
    assert_string_equal(
        buffer_text(&out),
        "{\"t\":\"a\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f/\x7F\xE6\xB8\x97\",\"\\\"k\\\"\":["
        "0.30000000000000004,null,21.64,-5,18446744073709551615,true,false,null,null,[1,2],{},[]],"
        "\"n\":\"xy\"}");
    buffer_release(&out);
}

static void what_is_no_text_is_written_as_replacement(void **state)
{
    struct buffer out;
    struct json_writer writer;
    struct json_document *document = NULL;

    (void)state;
    buffer_init(&out, 1000);
    json_writer_init(&writer, &out);
    json_text_n(&writer, "a\xFF\0b\xE6\xB8", 6);
    assert_int_equal(json_parse(buffer_text(&out), out.len, &document, NULL), 0);
    assert_string_equal(json_get_text(json_root(document)), "a\xEF\xBF\xBD\xEF\xBF\xBD"
                                                            "b\xEF\xBF\xBD\xEF\xBF\xBD");
    json_free(document);
    buffer_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_every_type_are_read),
        cmocka_unit_test(any_value_may_be_the_root),
        cmocka_unit_test(children_come_in_order_with_their_names),
        cmocka_unit_test(what_is_not_there_is_null),
        cmocka_unit_test(whole_numbers_are_exact_or_refused),
        cmocka_unit_test(text_escapes_are_undone),
        cmocka_unit_test(bad_grammar_is_refused_with_its_place),
        cmocka_unit_test(what_cjson_would_let_pass_is_refused),
        cmocka_unit_test(only_the_given_bytes_are_read),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(size_is_bounded),
        cmocka_unit_test(many_keys_are_compared_all),
        cmocka_unit_test(numbers_are_read_to_the_last_bit_in_every_locale),
        cmocka_unit_test(the_writer_puts_commas_and_escapes),
        cmocka_unit_test(what_is_no_text_is_written_as_replacement),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
