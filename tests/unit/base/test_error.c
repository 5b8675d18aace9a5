#include "base/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void every_code_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int a = 0; a >= ERR_GAP; a--) {
        assert_string_not_equal(err_name(a), "unknown error");
        for (int b = 0; b > a; b--)
            assert_string_not_equal(err_name(a), err_name(b));
    }
    assert_string_equal(err_name(ERR_GAP - 1), "unknown error");
    assert_string_equal(err_name(1), "unknown error");
    assert_string_equal(err_name(ERR_TIMEOUT), "timed out");
}

static void a_message_is_written_and_its_code_returned(void **state)
{
    struct message message;

    (void)state;
    assert_int_equal(message_set(&message, ERR_RANGE, "%s:%d: too large", "a.csv", 7), ERR_RANGE);
    assert_string_equal(message.text, "a.csv:7: too large");
    assert_int_equal(message_set(NULL, ERR_IO, "nobody asks"), ERR_IO);
    assert_int_equal(message_errno(NULL, ERR_IO, "nobody asks"), ERR_IO);
}

static void errno_stands_at_the_end(void **state)
{
    struct message message;

    (void)state;
    errno = ENOSPC;
    assert_int_equal(message_errno(&message, ERR_IO, "write %s", "/data/j"), ERR_IO);
    assert_string_equal(message.text, "write /data/j: No space left on device");
}

static void a_message_may_wrap_its_own_text(void **state)
{
    struct message message;

    (void)state;
    message_set(&message, ERR_IO, "no such host");
    message_set(&message, ERR_IO, "broker %s: %s", "b1", message.text);
    assert_string_equal(message.text, "broker b1: no such host");
}

static void a_long_message_is_cut_not_overrun(void **state)
{
    char words[2000];
    struct message message;

    (void)state;
    memset(words, 'x', sizeof(words) - 1);
    words[sizeof(words) - 1] = '\0';
    message_set(&message, ERR_IO, "%s", words);
    assert_int_equal(strlen(message.text), sizeof(message.text) - 1);
    errno = EIO;
    message_errno(&message, ERR_IO, "%s", words);
    assert_int_equal(strlen(message.text), sizeof(message.text) - 1);
    words[505] = '\0';
    errno = EIO;
    message_errno(&message, ERR_IO, "%s", words);
    assert_int_equal(strlen(message.text), sizeof(message.text) - 1);
    assert_string_equal(message.text + 505, ": Inpu");
}

static void a_cut_never_tears_a_character(void **state)
{
    static const char *const characters[] = {"\xC2\xB0", "\xE6\x9C\xAA", "\xF0\x9F\x94\xA5"};
    struct message message;

    (void)state;
    for (size_t c = 0; c < sizeof(characters) / sizeof(characters[0]); c++) {
        size_t width = strlen(characters[c]);
        for (size_t shift = 0; shift < width; shift++) {
            char words[1000] = "abc";
            size_t len = shift;
            while (len + width < sizeof(words)) {
                memcpy(words + len, characters[c], width);
                len += width;
            }
            words[len] = '\0';
            message_set(&message, ERR_IO, "%s", words);
            len = strlen(message.text);
            assert_true(len < sizeof(message.text) && len + width > sizeof(message.text) - 1);
            assert_int_equal((len - shift) % width, 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_name_of_its_own),
        cmocka_unit_test(a_message_is_written_and_its_code_returned),
        cmocka_unit_test(errno_stands_at_the_end),
        cmocka_unit_test(a_message_may_wrap_its_own_text),
        cmocka_unit_test(a_long_message_is_cut_not_overrun),
        cmocka_unit_test(a_cut_never_tears_a_character),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
