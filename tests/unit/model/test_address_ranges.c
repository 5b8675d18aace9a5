#include "model/address_ranges.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct address_range ranges[ADDRESS_RANGES_MAX];
static size_t count;
static struct message message;

static int parse(const char *text)
{
    return address_ranges_parse(text, ranges, &count, &message);
}

static void check(size_t i, int function, int first, int last)
{
    assert_int_equal(ranges[i].function, function);
    assert_int_equal(ranges[i].first, first);
    assert_int_equal(ranges[i].last, last);
}

static void ranges_are_read_as_they_are_written(void **state)
{
    (void)state;
    assert_int_equal(parse(""), 0);
    assert_int_equal(count, 0);
    assert_int_equal(parse("100-110"), 0);
    assert_int_equal(count, 1);
    check(0, 0, 100, 110);
    assert_int_equal(parse("7, 4:200 - 300 ,3: 65535"), 0);
    assert_int_equal(count, 3);
    check(0, 0, 7, 7);
    check(1, 4, 200, 300);
    check(2, 3, 65535, 65535);
}

static void what_is_no_range_is_refused(void **state)
{
    static const char *const wrong[] = {"a",
                                        "1-",
                                        "-1",
                                        "2-1",
                                        "5:1",
                                        "0:1",
                                        "65536",
                                        "1--2",
                                        "1,,2",
                                        ",",
                                        "1:2:3",
                                        "0x10",
                                        "1-2-3",
                                        "1-2 3",
                                        " ",
                                        "1.5",
                                        "123456789012345678901234567890123"};
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(parse(wrong[i]), ERR_INVALID);
    assert_int_equal(parse("1, x"), ERR_INVALID);
    assert_non_null(strstr(message.text, "' x' is no range"));
}

static void there_are_not_too_many(void **state)
{
    (void)state;
    assert_int_equal(parse("1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16"), 0);
    assert_int_equal(count, 16);
    assert_int_equal(parse("1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"), ERR_FULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_read_as_they_are_written),
        cmocka_unit_test(what_is_no_range_is_refused),
        cmocka_unit_test(there_are_not_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
