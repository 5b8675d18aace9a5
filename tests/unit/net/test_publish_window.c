#include "net/publish_window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int set_up(void **state)
{
    static struct publish_window window;
    *state = &window;
    return publish_window_init(&window);
}

static int tear_down(void **state)
{
    publish_window_release(*state);
    return 0;
}

static void it_is_full_at_its_width(void **state)
{
    struct publish_window *window = *state;
    assert_true(publish_window_is_full(window));
    publish_window_reset(window, 2);
    assert_false(publish_window_is_full(window));
    assert_int_equal(publish_window_open(window, 1), 1);
    assert_int_equal(publish_window_open(window, 2), 2);
    assert_true(publish_window_is_full(window));
    assert_int_equal(publish_window_close(window, 1), 1);
    assert_false(publish_window_is_full(window));
}

static void a_token_is_closed_once(void **state)
{
    struct publish_window *window = *state;
    publish_window_reset(window, 2);
    assert_int_equal(publish_window_open(window, 65535), 1);
    assert_int_equal(publish_window_close(window, 65535), 1);
    assert_int_equal(publish_window_close(window, 65535), 0);
    assert_int_equal(window->open, 0);
}

static void a_number_used_again_has_another_token(void **state)
{
    struct publish_window *window = *state;
    publish_window_reset(window, 2);
    int first = publish_window_open(window, 7);
    assert_int_equal(publish_window_close(window, 7), first);
    assert_int_not_equal(publish_window_open(window, 7), first);
}

static void after_a_reset_nothing_old_is_known(void **state)
{
    struct publish_window *window = *state;
    publish_window_reset(window, 2);
    int old = publish_window_open(window, 7);
    publish_window_reset(window, 3);
    assert_int_equal(publish_window_close(window, 7), 0);
    assert_int_equal(window->open, 0);
    assert_true(publish_window_open(window, 7) > old);
}

static void numbers_beyond_the_protocol_are_nothing(void **state)
{
    static const int NUMBERS[] = {0, -1, 65536, INT32_MIN, INT32_MAX};
    struct publish_window *window = *state;
    publish_window_reset(window, 2);
    for (size_t i = 0; i < sizeof NUMBERS / sizeof NUMBERS[0]; i++) {
        assert_false(publish_window_knows(NUMBERS[i]));
        assert_int_equal(publish_window_close(window, NUMBERS[i]), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_is_full_at_its_width, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_token_is_closed_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_number_used_again_has_another_token, set_up, tear_down),
        cmocka_unit_test_setup_teardown(after_a_reset_nothing_old_is_known, set_up, tear_down),
        cmocka_unit_test_setup_teardown(numbers_beyond_the_protocol_are_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
