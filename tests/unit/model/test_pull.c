#include "model/pull.h"

#include "base/json.h"
#include "base/numbers.h"
#include "model/fields.h"
#include "model/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint64_t next_random(uint64_t *seed)
{
    uint64_t x = (*seed += UINT64_C(0x9E3779B97F4A7C15));

    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

static int skip_all(const char *text, size_t len, struct message *message)
{
    struct pull pull;
    int err;

    pull_init(&pull, "text", text, len, message);
    err = pull_skip(&pull);
    return err != 0 ? err : pull_end(&pull);
}

static bool json_takes(const char *text, size_t len)
{
    struct json_document *document = NULL;
    int err = json_parse(text, len, &document, NULL);

    json_free(document);
    return err == 0;
}

static const char *const good_texts[] = {
    "{}",
    "[]",
    " \t\r\n[ 1 , 2 ]\n",
    "\"\"",
    "0",
    "-0",
    "-1.5e+10",
    "1E5",
    "0.000000000000000000000000000000000000000000000000000000000001",
    "1e-999",
    "null",
    "true",
    "false",
    "[[[[[[[[]]]]]]]]",
    "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}}}",
    "{\"a\":1,\"A\":2,\"\":3,\"a \":4}",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\\uFFFF\"",
    "\"\xE6\xB8\x97\xE6\xBB\xA4 \xF0\x9F\x98\x80 \x7F\"",
    "{\"x\":[{\"a\":[]},{\"a\":[{}]}],\"y\":\"[{\"}",
};

static const char *const bad_texts[] = {
    "",
    " ",
    "{",
    "}",
    "[",
    "]",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[1 2]",
    "[1}",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{,\"a\":1}",
    "{\"a\" 1}",
    "{\"a\":1 \"b\":2}",
    "{a:1}",
    "{'a':1}",
    "{1:1}",
    "{\"a\":1]",
    "{\"a\":1}}",
    "[] []",
    "1 2",
    "01",
    "-01",
    "1.",
    ".5",
    "+1",
    "-",
    "1e",
    "1e+",
    "1.e1",
    "0x10",
    "1e999",
    "-1e999",
    "NaN",
    "Infinity",
    "nul",
    "nulll",
    "tru",
    "True",
    "falsee",
    "\"",
    "\"abc",
    "\"\\",
    "\"\\\"",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\u12g4\"",
    "\"\\u0000\"",
    "\"\\uD800\"",
    "\"\\uD800\\n\"",
    "\"\\uD800\\u0041\"",
    "\"\\uD800\\uD800\"",
    "\"\\uDC00\"",
    "\"\\uDC00\\uD800\"",
    "\"a\nb\"",
    "\"\x01\"",
    "\"\x80\"",
    "\"\xC0\xAF\"",
    "\"\xED\xA0\x80\"",
    "\"\xE6\xB8\"",
    "\"\xF5\x80\x80\x80\"",
    "\xEF\xBB\xBF{}",
    "[[[[[[[[[]]]]]]]]]",
    "{\"a\":1,\"a\":2}",
    "{\"a\":1,\"b\":2,\"a\":3}",
    "{\"a\":1,\"\\u0061\":2}",
    "{\"\\u0061\":1,\"a\":2}",
    "{\"\\u0061\":1,\"\\u0061\":2}",
    "{\"\\uD83D\\uDE00\":1,\"\xF0\x9F\x98\x80\":2}",
    "{\"\\/\":1,\"/\":2}",
    "{\"\":1,\"\":2}",
    "[{\"a\":[{\"b\":1,\"b\":2}]}]",
    "// no\n1",
    "[1]//",
    "\0",
};

static void what_is_json_passes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good_texts); i++) {
        struct message message = {""};
        if (skip_all(good_texts[i], strlen(good_texts[i]), &message) != 0)
            fail_msg("%s: %s", good_texts[i], message.text);
        assert_true(json_takes(good_texts[i], strlen(good_texts[i])));
    }
}

static void what_is_not_json_does_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_texts); i++) {
        struct message message = {""};
        if (skip_all(bad_texts[i], strlen(bad_texts[i]), &message) == 0)
            fail_msg("taken: %s", bad_texts[i]);
        assert_true(strncmp(message.text, "text", 4) == 0);
        assert_false(json_takes(bad_texts[i], strlen(bad_texts[i])));
    }
    assert_int_equal(skip_all("[1]\0", 4, NULL), ERR_INVALID);
    assert_int_equal(skip_all("\"a\0b\"", 5, NULL), ERR_INVALID);
}

/* Every beginning of a text that needs its end is refused, without reading behind it. */
static void a_text_cut_anywhere_is_refused(void **state)
{
    static const char text[] = "{\"a\":[1.5e3,\"\\u00e9\\uD83D\\uDE00\xE6\xB8\x97\",true,null],"
                               "\"b\":{\"c\":false}}";

    (void)state;
    assert_int_equal(skip_all(text, strlen(text), NULL), 0);
    for (size_t len = 0; len < strlen(text); len++) {
        char exact[sizeof(text)];
        memset(exact, '"', sizeof(exact));
        memcpy(exact, text, len);
        assert_int_equal(skip_all(exact, len, NULL), ERR_INVALID);
    }
}

/* Texts made of pieces that go wrong together: both readers must be of one mind. */
static void both_readers_agree_on_random_texts(void **state)
{
    static const char *const pieces[] = {
        "{",      "}",     "[",           "]",    ",",       ":",
        "\"a\"",  "\"b\"", "\"\\u0061\"", "1",    "-",       "0",
        "2.5",    "e3",    "null",        "true", " ",       "\"\xC3\xA9\"",
        "\"",     "\\",    "\\u",         "00e9", "\\uD83D", "\\uDE00",
        "\x80",   "\xE6",  "{\"a\":1",    "[1,2", "\"a\":",  ",\"b\":",
        "\"x\"]", "]}",    "{}",          "[]",   "1e400",   "\n",
    };
    uint64_t seed = 3;
    int taken = 0;

    (void)state;
    for (int i = 0; i < 400000; i++) {
        char text[256];
        size_t len = 0;
        bool first;
        for (uint64_t n = 1 + next_random(&seed) % 10; n > 0; n--)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s",
                                    pieces[next_random(&seed) % COUNT(pieces)]);
        first = skip_all(text, len, NULL) == 0;
        if (first != json_takes(text, len))
            fail_msg("%s: %s by pull alone", text, first ? "taken" : "refused");
        taken += first;
    }
    assert_true(taken > 1000);
}

static void bounds_beyond_those_of_json_hold(void **state)
{
    char text[4096] = "{";
    char name[128];
    size_t len = 1;
    struct message message;

    (void)state;
    for (int i = 0; i < PULL_MAX_MEMBERS; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s\"m%d\":1", i > 0 ? "," : "", i);
    snprintf(text + len, sizeof(text) - len, "}");
    assert_int_equal(skip_all(text, strlen(text), NULL), 0);
    snprintf(text + len, sizeof(text) - len, ",\"more\":1}");
    assert_int_equal(skip_all(text, strlen(text), &message), ERR_RANGE);
    assert_non_null(strstr(message.text, "more than 64 members"));
    memset(name, 'n', sizeof(name));
    snprintf(text, sizeof(text), "{\"%.63s\":1}", name);
    assert_int_equal(skip_all(text, strlen(text), NULL), 0);
    snprintf(text, sizeof(text), "{\"%.64s\":1}", name);
    assert_int_equal(skip_all(text, strlen(text), NULL), ERR_RANGE);
    snprintf(text, sizeof(text), "{\"\\u00e9%.61s\":1}", name);
    assert_int_equal(skip_all(text, strlen(text), NULL), 0);
    snprintf(text, sizeof(text), "{\"\\u00e9%.62s\":1}", name);
    assert_int_equal(skip_all(text, strlen(text), NULL), ERR_RANGE);
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
        {"-7", 0, -7},
        {" 42", 0, 42},
        {"1e3", 0, 1000},
        {"1.5e1", 0, 15},
        {"7.0", 0, 7},
        {"9007199254740992", 0, INT64_C(9007199254740992)},
        {"-9007199254740992", 0, -INT64_C(9007199254740992)},
        {"9007199254740993", ERR_RANGE, 0},
        {"9007199254740993.0", ERR_RANGE, 0},
        {"9007199254740992.0", ERR_RANGE, 0},
        {"9007199254740991.0", 0, INT64_C(9007199254740991)},
        {"99999999999999999", ERR_RANGE, 0},
        {"18446744073709551616", ERR_RANGE, 0},
        {"1e300", ERR_RANGE, 0},
        {"1e400", ERR_INVALID, 0},
        {"0.5", ERR_INVALID, 0},
        {"1e-1", ERR_INVALID, 0},
        {"00", ERR_INVALID, 0},
        {"-", ERR_INVALID, 0},
        {"--1", ERR_INVALID, 0},
        {"1-", ERR_INVALID, 0},
        {"1.", ERR_INVALID, 0},
        {"\"1\"", ERR_INVALID, 0},
        {"null", ERR_INVALID, 0},
        {"", ERR_INVALID, 0},
    };
    const int64_t max = INT64_C(1) << 53;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct pull pull;
        int64_t value = 77;
        pull_init(&pull, "text", cases[i].text, strlen(cases[i].text), NULL);
        if (pull_i64(&pull, -max, max, &value) != cases[i].err)
            fail_msg("%s", cases[i].text);
        assert_true(value == (cases[i].err == 0 ? cases[i].value : 77));
    }
}

static void a_number_keeps_to_its_bounds(void **state)
{
    struct pull pull;
    struct message message;
    int64_t value = 77;

    (void)state;
    pull_init(&pull, "text", "5", 1, &message);
    assert_int_equal(pull_i64(&pull, 6, 9, &value), ERR_RANGE);
    assert_string_equal(message.text, "text (byte 1): 5 is not within 6..9");
    assert_int_equal(pull_i64(&pull, 1, 4, &value), ERR_RANGE);
    assert_true(value == 77);
    assert_int_equal(pull_i64(&pull, 5, 5, &value), 0);
}

static void texts_are_read_with_their_escapes(void **state)
{
    static const struct {
        const char *json, *text;
    } cases[] = {
        {"\"\"", ""},
        {"\"plain\"", "plain"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\\u0041\\u007f\\u0080\\u07ff\"", "A\x7F\xC2\x80\xDF\xBF"},
        {"\"\\u0800\\uffff\\ud83d\\uDe00x\"", "\xE0\xA0\x80\xEF\xBF\xBF\xF0\x9F\x98\x80x"},
        {"\"\xE6\xB8\x97\\n\"", "\xE6\xB8\x97\n"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t size = strlen(cases[i].text) + 1;
        struct pull pull;
        char text[32] = "";
        pull_init(&pull, "text", cases[i].json, strlen(cases[i].json), NULL);
        assert_int_equal(pull_text(&pull, 0, text, size), 0);
        assert_string_equal(text, cases[i].text);
        pull_init(&pull, "text", cases[i].json, strlen(cases[i].json), NULL);
        assert_int_equal(pull_text(&pull, size, text, sizeof(text)), ERR_RANGE);
        if (size == 1)
            continue;
        pull_init(&pull, "text", cases[i].json, strlen(cases[i].json), NULL);
        assert_int_equal(pull_text(&pull, 0, text, size - 1), ERR_RANGE);
    }
}

struct thing {
    char name[8], hex[5];
    int64_t i;
    uint64_t u;
    bool flag;
    enum stream stream;
};

static const struct field thing_fields[] = {
    {"name", field_name, .offset = offsetof(struct thing, name), .size = 8},
    {"hex", field_hex, .offset = offsetof(struct thing, hex), .size = 5},
    {"i", field_i64, .offset = offsetof(struct thing, i), .min = -5, .max = 5, .optional = true},
    {"u", field_u64, .offset = offsetof(struct thing, u), .max = 5},
    {"flag", field_bool, .offset = offsetof(struct thing, flag)},
    {"stream", field_stream, .offset = offsetof(struct thing, stream)},
    {.name = NULL},
};

static int read_thing(const char *text, struct thing *ret_thing, struct message *message)
{
    struct pull pull;

    *ret_thing = (struct thing){.i = 3};
    pull_init(&pull, "thing", text, strlen(text), message);
    return fields_read(&pull, thing_fields, ret_thing);
}

static void an_object_is_read_by_its_table(void **state)
{
    struct thing thing;

    (void)state;
    assert_int_equal(read_thing("{\"stream\":\"c\",\"x\":[{}],\"n\\u0061me\":\"pump-1\",\"u\":5,"
                                "\"flag\":true,\"hex\":\"0af9\"}",
                                &thing, NULL),
                     0);
    assert_string_equal(thing.name, "pump-1");
    assert_string_equal(thing.hex, "0af9");
    assert_true(thing.i == 3 && thing.u == 5 && thing.flag && thing.stream == STREAM_C);
}

static void a_message_names_the_place(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"[", "thing (byte 1): no object"},
        {"{\"u\":-1}", "thing, u (byte 6): -1 is not within 0..5"},
        {"{\"u\":1.5}", "thing, u (byte 6): no whole number"},
        {"{\"x\":[1,{\"y\":[0,01]}]}",
         "thing, x[1].y[1] (byte 17): a number not written as JSON writes it"},
        {"{\"x\":[1 2]}", "thing, x[0] (byte 9): neither ',' nor ']'"},
        {"{\"hex\":\"0AF9\"}", "thing, hex (byte 14): not 4 hexadecimal digits in small letters"},
        {"{\"hex\":\"0af\"}", "thing, hex (byte 13): not 4 hexadecimal digits in small letters"},
        {"{\"hex\":\"0af9a\"}", "thing, hex (byte 15): a text of more than 4 bytes"},
        {"{\"name\":\"a b\"}", "thing, name (byte 14): no name: 1 to 64 letters, digits, '_', '.' "
                               "or '-', no '.' in front"},
        {"{\"stream\":\"x\"}", "thing, stream (byte 14): no stream: one of \"asct\""},
        {"{\"stream\":\"\"}", "thing, stream (byte 13): a text of less than 1 bytes"},
        {"{\"flag\":1}", "thing, flag (byte 9): neither true nor false"},
        {"{\"name\":\"a\",\"name\":\"a\"}", "thing, name (byte 19): the name name stands twice"},
        {"{\"name\":\"a\",\"hex\":\"0000\",\"flag\":true,\"stream\":\"a\"}",
         "thing (byte 51): no member \"u\""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct message message = {""};
        struct thing thing;
        assert_int_not_equal(read_thing(cases[i].text, &thing, &message), 0);
        assert_string_equal(message.text, cases[i].message);
    }
}

static void a_path_too_long_is_cut_at_a_step(void **state)
{
    char text[1024];
    char name[64];
    size_t len = 0;
    struct message message = {""};

    (void)state;
    memset(name, 'n', 63);
    name[63] = '\0';
    for (int i = 0; i < 8; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "{\"%s\":", name);
    assert_int_equal(skip_all(text, len, &message), ERR_INVALID);
    assert_non_null(strstr(message.text, "no number"));
    assert_true(strlen(message.text) < 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_json_passes),
        cmocka_unit_test(what_is_not_json_does_not),
        cmocka_unit_test(a_text_cut_anywhere_is_refused),
        cmocka_unit_test(both_readers_agree_on_random_texts),
        cmocka_unit_test(bounds_beyond_those_of_json_hold),
        cmocka_unit_test(whole_numbers_are_exact_or_refused),
        cmocka_unit_test(a_number_keeps_to_its_bounds),
        cmocka_unit_test(texts_are_read_with_their_escapes),
        cmocka_unit_test(an_object_is_read_by_its_table),
        cmocka_unit_test(a_message_names_the_place),
        cmocka_unit_test(a_path_too_long_is_cut_at_a_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
