#include "base/buffer.h"

#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void it_starts_empty_without_memory(void **state)
{
    struct buffer buffer;

    (void)state;
    buffer_init(&buffer, 100);
    assert_null(buffer.data);
    assert_string_equal(buffer_text(&buffer), "");
    buffer_append(&buffer, NULL, 0);
    assert_null(buffer.data);
    buffer_consume(&buffer, 5);
    assert_int_equal(buffer_error(&buffer), 0);
    buffer_release(&buffer);
    buffer_release(&buffer);
}

static void appends_follow_each_other_with_a_nul_behind(void **state)
{
    struct buffer buffer;

    (void)state;
    buffer_init(&buffer, 1000);
    buffer_append(&buffer, "a\0b", 3);
    assert_int_equal(buffer.len, 3);
    assert_memory_equal(buffer.data, "a\0b", 4);
    buffer_append_text(&buffer, "cd");
    buffer_append_char(&buffer, 'e');
    buffer_printf(&buffer, "%d-%s", 7, "f");
    assert_int_equal(buffer.len, 9);
    assert_memory_equal(buffer.data, "a\0bcde7-f", 10);
    buffer_release(&buffer);
}

static void it_grows_to_its_limit_and_not_beyond(void **state)
{
    struct buffer buffer;

    (void)state;
    buffer_init(&buffer, 1000);
    for (int i = 0; i < 1000; i++)
        buffer_append_char(&buffer, 'x');
    assert_int_equal(buffer_error(&buffer), 0);
    assert_int_equal(buffer.len, 1000);
    assert_true(buffer.capacity <= 1001);
    buffer_append_char(&buffer, 'y');
    assert_int_equal(buffer_error(&buffer), ERR_FULL);
    assert_int_equal(buffer.len, 1000);
    assert_int_equal(strlen(buffer_text(&buffer)), 1000);
    buffer_release(&buffer);
}

static void an_append_that_does_not_fit_is_refused_whole(void **state)
{
    struct buffer buffer;

    (void)state;
    buffer_init(&buffer, 5);
    buffer_append_text(&buffer, "abc");
    buffer_append_text(&buffer, "def");
    assert_string_equal(buffer_text(&buffer), "abc");
    assert_int_equal(buffer_error(&buffer), ERR_FULL);
    buffer_release(&buffer);

    buffer_init(&buffer, 300);
    buffer_printf(&buffer, "%301d", 1);
    assert_int_equal(buffer_error(&buffer), ERR_FULL);
    assert_int_equal(buffer.len, 0);
    buffer_release(&buffer);
}

static void after_a_failure_nothing_is_appended_until_clear(void **state)
{
    struct buffer buffer;

    (void)state;
    buffer_init(&buffer, 5);
    buffer_append_text(&buffer, "abc");
    buffer_append_text(&buffer, "def");
    buffer_append_char(&buffer, 'z');
    buffer_printf(&buffer, "%d", 1);
    assert_string_equal(buffer_text(&buffer), "abc");
    assert_int_equal(buffer_error(&buffer), ERR_FULL);
    buffer_clear(&buffer);
    assert_int_equal(buffer_error(&buffer), 0);
    assert_string_equal(buffer_text(&buffer), "");
    assert_non_null(buffer.data);
    buffer_append_text(&buffer, "12345");
    assert_string_equal(buffer_text(&buffer), "12345");
    buffer_release(&buffer);
}

static void printf_of_any_length_is_whole(void **state)
{
    struct buffer buffer;

    (void)state;
    buffer_init(&buffer, SIZE_MAX);
    for (int width = 250; width < 262; width++) {
        buffer_clear(&buffer);
        buffer_printf(&buffer, "%*d", width, 7);
        assert_int_equal(buffer.len, width);
        assert_int_equal(strlen(buffer_text(&buffer)), width);
        assert_int_equal(buffer.data[width - 1], '7');
    }
    buffer_printf(&buffer, "%5000d", 8);
    assert_int_equal(buffer.len, 5261);
    buffer_release(&buffer);
}

static void consume_takes_from_the_front(void **state)
{
    struct buffer buffer;

    (void)state;
    buffer_init(&buffer, 100);
    buffer_append_text(&buffer, "abcdef");
    buffer_consume(&buffer, 0);
    buffer_consume(&buffer, 2);
    assert_string_equal(buffer_text(&buffer), "cdef");
    assert_int_equal(buffer.len, 4);
    buffer_consume(&buffer, 99);
    assert_string_equal(buffer_text(&buffer), "");
    assert_int_equal(buffer.len, 0);
    buffer_release(&buffer);
}

static void a_request_beyond_all_memory_is_an_error_not_a_crash(void **state)
{
    struct buffer buffer;

    (void)state;
    buffer_init(&buffer, SIZE_MAX);
    buffer_append_text(&buffer, "abc");
    buffer_append(&buffer, "x", SIZE_MAX - 3);
    assert_int_equal(buffer_error(&buffer), ERR_FULL);
    assert_string_equal(buffer_text(&buffer), "abc");
    buffer_release(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_starts_empty_without_memory),
        cmocka_unit_test(appends_follow_each_other_with_a_nul_behind),
        cmocka_unit_test(it_grows_to_its_limit_and_not_beyond),
        cmocka_unit_test(an_append_that_does_not_fit_is_refused_whole),
        cmocka_unit_test(after_a_failure_nothing_is_appended_until_clear),
        cmocka_unit_test(printf_of_any_length_is_whole),
        cmocka_unit_test(consume_takes_from_the_front),
        cmocka_unit_test(a_request_beyond_all_memory_is_an_error_not_a_crash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
