#include "model/quality.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The numbers stand in years of journals: what is here may grow at its end and never change. */
static const char *const causes_as_stored[] = {
    "none",        "comm_timeout", "modbus_exception", "bad_response",
    "link_down",   "out_of_range", "sensor_fault",     "not_a_number",
    "flat_line",   "substituted",  "maintenance",      "calibration",
    "clock",       "rollover",     "meter_swap",       "rate_of_change",
    "cross_check",
};

static void numbers_of_causes_never_change(void **state)
{
    (void)state;
    assert_int_equal(sizeof(causes_as_stored) / sizeof(causes_as_stored[0]), CAUSE_COUNT);
    for (size_t i = 0; i < CAUSE_COUNT; i++)
        assert_string_equal(cause_name((enum cause)i), causes_as_stored[i]);
}

static void names_and_numbers_go_both_ways(void **state)
{
    (void)state;
    for (int i = 0; i < CAUSE_COUNT; i++)
        assert_int_equal(cause_from_name(cause_name((enum cause)i)), i);
    for (int i = 0; i < QUALITY_COUNT; i++)
        assert_int_equal(quality_from_name(quality_name((enum quality)i)), i);
    assert_string_equal(quality_name(QUALITY_GOOD), "good");
    assert_string_equal(quality_name(QUALITY_UNCERTAIN), "uncertain");
    assert_string_equal(quality_name(QUALITY_BAD), "bad");
    assert_string_equal(quality_name(QUALITY_STALE), "stale");
}

static void what_is_unknown_is_said_to_be(void **state)
{
    (void)state;
    assert_string_equal(cause_name(CAUSE_COUNT), "unknown");
    assert_string_equal(cause_name((enum cause)255), "unknown");
    assert_string_equal(quality_name(QUALITY_COUNT), "unknown");
    assert_int_equal(cause_from_name("Clock"), CAUSE_COUNT);
    assert_int_equal(cause_from_name(""), CAUSE_COUNT);
    assert_int_equal(quality_from_name("goo"), QUALITY_COUNT);
    assert_int_equal(quality_from_name("unknown"), QUALITY_COUNT);
}

static void packed_as_on_the_wire(void **state)
{
    (void)state;
    assert_int_equal(quality_pack(QUALITY_GOOD, CAUSE_NONE), 0);
    assert_int_equal(quality_pack(QUALITY_BAD, CAUSE_OUT_OF_RANGE), 517);
    assert_int_equal(quality_pack(QUALITY_STALE, CAUSE_COMM_TIMEOUT), 769);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_causes_never_change),
        cmocka_unit_test(names_and_numbers_go_both_ways),
        cmocka_unit_test(what_is_unknown_is_said_to_be),
        cmocka_unit_test(packed_as_on_the_wire),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
