#include "base/numbers.h"

#include "base/error.h"
#include "tests/unit/support/comma_locale.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static double double_of_bits(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

static float float_of_bits(uint32_t bits)
{
    float value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* xorshift64*: the same numbers on every machine. */
static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return *seed * UINT64_C(2685821657736338717);
}

static void check_i64(const char *text, int err, int64_t expected)
{
    int64_t value = 77;

    assert_int_equal(parse_i64(text, INT64_MIN, INT64_MAX, &value), err);
    assert_true(value == (err == 0 ? expected : 77));
}

static void whole_numbers_are_read_whole_or_not(void **state)
{
    static const char *const bad[] = {"",    "-",   "+1",  " 1",  "1 ",  "1x",
                                      "0x1", "1.0", "1e3", "--1", "- 1", "\xEF\xBC\x91"};
    uint64_t u = 77;
    int64_t i = 77;

    (void)state;
    for (size_t n = 0; n < COUNT(bad); n++) {
        check_i64(bad[n], ERR_INVALID, 0);
        assert_int_equal(parse_u64(bad[n], 0, UINT64_MAX, &u), ERR_INVALID);
    }
    check_i64("0", 0, 0);
    check_i64("-0", 0, 0);
    check_i64("007", 0, 7);
    check_i64("-42", 0, -42);
    check_i64("9223372036854775807", 0, INT64_MAX);
    check_i64("9223372036854775808", ERR_RANGE, 0);
    check_i64("-9223372036854775808", 0, INT64_MIN);
    check_i64("-9223372036854775809", ERR_RANGE, 0);
    check_i64("99999999999999999999999999", ERR_RANGE, 0);
    check_i64("99999999999999999999999999x", ERR_INVALID, 0);
    assert_int_equal(parse_i64("5", 6, 9, &i), ERR_RANGE);
    assert_int_equal(parse_i64("10", 6, 9, &i), ERR_RANGE);
    assert_int_equal(parse_i64("9", 6, 9, &i), 0);
    assert_int_equal(i, 9);
    assert_int_equal(parse_u64("-1", 0, UINT64_MAX, &u), ERR_INVALID);
    assert_int_equal(parse_u64("18446744073709551616", 0, UINT64_MAX, &u), ERR_RANGE);
    assert_int_equal(parse_u64("4", 0, 3, &u), ERR_RANGE);
    assert_int_equal(parse_u64("2", 3, 3, &u), ERR_RANGE);
    assert_true(u == 77);
    assert_int_equal(parse_u64("18446744073709551615", 0, UINT64_MAX, &u), 0);
    assert_true(u == UINT64_MAX);
}

static void doubles_follow_json_grammar(void **state)
{
    static const char *const bad[] = {"",    " 1",  "1 ",  "+1",  ".5",   "1.",  "01",
                                      "-01", "-",   "1e",  "1e+", "1e+x", "1.e", "1.e1",
                                      "nan", "inf", "0x1", "1,5", "--1",  "1-",  "1e1.",
                                      "1..", "1_0", "-.5", "1f",  "1e5 "};
    char longest[1026];
    double value = 77;

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(parse_double(bad[i], &value), ERR_INVALID);
    assert_int_equal(parse_double("1e999", &value), ERR_RANGE);
    assert_int_equal(parse_double("-1e309", &value), ERR_RANGE);
    assert_int_equal(parse_double("1e99999999999999999999", &value), ERR_RANGE);
    memset(longest, '1', 1025);
    longest[1025] = '\0';
    assert_int_equal(parse_double(longest, &value), ERR_INVALID);
    assert_int_equal(parse_double(longest + 1, &value), ERR_RANGE);
    assert_true(double_same(value, 77));
}

static void doubles_are_read_to_the_last_bit(void **state)
{
    static const struct {
        const char *text;
        double value;
    } cases[] = {
        {"0", 0.0},
        {"-0", -0.0},
        {"-0.0e5", -0.0},
        {"1", 1.0},
        {"-12.5", -12.5},
        {"0.1", 0.1},
        {"1E3", 1000.0},
        {"1e+3", 1000.0},
        {"1.5e-3", 0.0015},
        {"21.64", 21.64},
        {"9007199254740993", 9007199254740992.0},
        {"9007199254740993.0000000001", 9007199254740994.0},
        {"1e22", 1e22},
        {"1e23", 1e23},
        {"123456789012345678901234567890", 123456789012345678901234567890.0},
        {"0.30000000000000004", 0.30000000000000004},
        {"1.7976931348623157e308", DBL_MAX},
        {"2.2250738585072014e-308", DBL_MIN},
        {"4.9406564584124654e-324", 4.9406564584124654e-324},
        {"1e-999", 0.0},
        {"-1e-999", -0.0},
        {"1e-99999999999999999999", 0.0},
        {"0e99999999999999999999", 0.0},
        {"2.2250738585072011e-308", 2.2250738585072011e-308},
    };
    double value;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(parse_double(cases[i].text, &value), 0);
        assert_true(double_same(value, cases[i].value));
    }
    assert_int_equal(parse_double_n("12.5,13", 4, &value), 0);
    assert_true(double_same(value, 12.5));
    assert_int_equal(parse_double_n("12.5,13", 5, &value), ERR_INVALID);
    assert_int_equal(parse_double_n("", 0, &value), ERR_INVALID);
}

static void durations_have_a_unit_and_whole_ms(void **state)
{
    static const struct {
        const char *text;
        int err;
        int64_t ms;
    } cases[] = {
        {"0s", 0, 0},
        {"500ms", 0, 500},
        {"1s", 0, 1000},
        {"1.5h", 0, 5400000},
        {"0.25s", 0, 250},
        {"10min", 0, 600000},
        {"7d", 0, 604800000},
        {"0.000000025h", ERR_INVALID, 0},
        {"0.00000125h", ERR_INVALID, 0},
        {"0.0000025h", 0, 9},
        {"3650d", 0, INT64_C(315360000000)},
        {"3650.0d", 0, INT64_C(315360000000)},
        {"3650.5d", ERR_RANGE, 0},
        {"3651d", ERR_RANGE, 0},
        {"99999999999999999999999d", ERR_RANGE, 0},
        {"18446744073709551615ms", ERR_RANGE, 0},
        {"", ERR_INVALID, 0},
        {"5", ERR_INVALID, 0},
        {"s", ERR_INVALID, 0},
        {"-1s", ERR_INVALID, 0},
        {"1 s", ERR_INVALID, 0},
        {"1.s", ERR_INVALID, 0},
        {".5s", ERR_INVALID, 0},
        {"0.5ms", ERR_INVALID, 0},
        {"1.0000000000s", ERR_INVALID, 0},
        {"1m", ERR_INVALID, 0},
        {"1S", ERR_INVALID, 0},
        {"1sec", ERR_INVALID, 0},
        {"1e3s", ERR_INVALID, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t ms = 77;
        assert_int_equal(parse_duration_ms(cases[i].text, &ms), cases[i].err);
        assert_true(ms == (cases[i].err == 0 ? cases[i].ms : 77));
    }
}

static void sizes_have_a_unit(void **state)
{
    static const struct {
        const char *text;
        int err;
        uint64_t bytes;
    } cases[] = {
        {"0B", 0, 0},
        {"512B", 0, 512},
        {"4KiB", 0, 4096},
        {"64MiB", 0, 64 << 20},
        {"2GiB", 0, UINT64_C(2) << 30},
        {"3TiB", 0, UINT64_C(3) << 40},
        {"18446744073709551615B", 0, UINT64_MAX},
        {"18446744073709551616B", ERR_RANGE, 0},
        {"16777216TiB", ERR_RANGE, 0},
        {"16777215TiB", 0, UINT64_C(16777215) << 40},
        {"1.5GiB", ERR_INVALID, 0},
        {"1GB", ERR_INVALID, 0},
        {"1", ERR_INVALID, 0},
        {"GiB", ERR_INVALID, 0},
        {"", ERR_INVALID, 0},
        {"-1B", ERR_INVALID, 0},
        {"1 B", ERR_INVALID, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t bytes = 77;
        assert_int_equal(parse_size(cases[i].text, &bytes), cases[i].err);
        assert_true(bytes == (cases[i].err == 0 ? cases[i].bytes : 77));
    }
}

static void hex_goes_both_ways(void **state)
{
    static const char *const bad[] = {"",         "00",       "0011223", "001122334",
                                      "0011zz33", "00 11223", "0x112233"};
    uint8_t bytes[4] = {1, 2, 3, 4};
    char text[9];

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(parse_hex(bad[i], 4, bytes), ERR_INVALID);
    assert_memory_equal(bytes, "\1\2\3\4", 4);
    assert_int_equal(parse_hex("00fFA5c0", 4, bytes), 0);
    assert_memory_equal(bytes, "\x00\xFF\xA5\xC0", 4);
    print_hex(bytes, 4, text);
    assert_string_equal(text, "00ffa5c0");
    assert_int_equal(parse_hex("", 0, bytes), 0);
    print_hex(bytes, 0, text);
    assert_string_equal(text, "");
}

static void whole_numbers_are_printed_in_full(void **state)
{
    char text[NUMBER_TEXT_SIZE];

    (void)state;
    assert_int_equal(print_i64(INT64_MIN, text), 20);
    assert_string_equal(text, "-9223372036854775808");
    assert_int_equal(print_i64(0, text), 1);
    assert_string_equal(text, "0");
    print_i64(-10, text);
    assert_string_equal(text, "-10");
    assert_int_equal(print_u64(UINT64_MAX, text), 20);
    assert_string_equal(text, "18446744073709551615");
}

struct printed {
    double value;
    const char *text;
};

static const struct printed printed_doubles[] = {
    {0.0, "0"},
    {-0.0, "-0"},
    {1.0, "1"},
    {-1.5, "-1.5"},
    {0.1, "0.1"},
    {0.30000000000000004, "0.30000000000000004"},
    {21.64, "21.64"},
    {100.0, "100"},
    {123456.789, "123456.789"},
    {0.000001, "0.000001"},
    {0.0000015, "0.0000015"},
    {0.0000012345678901234567, "0.0000012345678901234567"},
    {1e-7, "1e-7"},
    {1.5e-7, "1.5e-7"},
    {-1.5e-300, "-1.5e-300"},
    {9007199254740991.0, "9007199254740991"},
    {9007199254740992.0, "9007199254740992"},
    {9007199254740994.0, "9007199254740994"},
    {1e15, "1000000000000000"},
    {1e20, "100000000000000000000"},
    {123456789012345680000.0, "123456789012345680000"},
    {1e21, "1e21"},
    {1.5e21, "1.5e21"},
    {1e22, "1e22"},
    {1e23, "1e23"},
    {1e100, "1e100"},
    {4294967296.123, "4294967296.123"},
    {1234567890.1234567, "1234567890.1234567"},
    {DBL_MAX, "1.7976931348623157e308"},
    {DBL_MIN, "2.2250738585072014e-308"},
    {4.9406564584124654e-324, "5e-324"},
    {9.8813129168249309e-324, "1e-323"},
    {2.2250738585072009e-308, "2.225073858507201e-308"},
    {1.0 / 3.0, "0.3333333333333333"},
    {2.0 / 3.0, "0.6666666666666666"},
    /* 2^-44: the nearest 16 digits (...801e-14) are another double, the next above is this one. */
    {5.6843418860808015e-14, "5.684341886080802e-14"},
    {9.5367431640625e-07, "9.5367431640625e-7"},
};

static void doubles_are_printed_shortest(void **state)
{
    char text[NUMBER_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < COUNT(printed_doubles); i++) {
        size_t len = print_double(printed_doubles[i].value, text);
        assert_string_equal(text, printed_doubles[i].text);
        assert_int_equal(len, strlen(text));
    }
}

static void floats_are_printed_shortest(void **state)
{
    static const struct {
        float value;
        const char *text;
    } cases[] = {
        {0.0F, "0"},
        {-0.0F, "-0"},
        {21.64F, "21.64"},
        {0.1F, "0.1"},
        {7.0F, "7"},
        {16777216.0F, "16777216"},
        {1e10F, "10000000000"},
        {3.4028234664e38F, "3.4028235e38"},
        {1.17549435e-38F, "1.1754944e-38"},
        {1.4e-45F, "1e-45"},
        {8388608.5F, "8388608"},
        {0.333333343F, "0.33333334"},
        {1e-6F, "0.000001"},
        {1e-7F, "1e-7"},
        {123456.7F, "123456.7"},
        {999999.0F, "999999"},
        {1000000.0F, "1000000"},
        /* 2^90: the nearest 8 digits read back as the float below. */
        {1.2379400392853803e27F, "1.2379401e27"},
    };
    char text[NUMBER_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(print_float(cases[i].value, text), strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
    }
}

static void what_is_no_number_is_printed_as_null(void **state)
{
    char text[NUMBER_TEXT_SIZE];

    (void)state;
    assert_int_equal(print_double((double)NAN, text), 4);
    assert_string_equal(text, "null");
    print_double(-(double)INFINITY, text);
    assert_string_equal(text, "null");
    print_float(NAN, text);
    assert_string_equal(text, "null");
    print_float(INFINITY, text);
    assert_string_equal(text, "null");
}

/* A million bit patterns, and values as instruments give them: a few decimals, a scale. */
static double random_double(uint64_t *seed, int i)
{
    static const double scales[] = {1, 10, 100, 1000, 1e4, 1e5, 1e6, 1e7, 1e9};
    uint64_t random = next_random(seed);

    switch (i % 4) {
    case 0:
        return (double)(int64_t)(random >> 40) / scales[random % COUNT(scales)];
    case 1:
        return (double)(random >> 11) / scales[random % COUNT(scales)];
    default:
        return double_of_bits(random);
    }
}

static void a_million_doubles_read_back_the_same(void **state)
{
    uint64_t seed = 20240607;
    char text[NUMBER_TEXT_SIZE];

    (void)state;
    for (int i = 0; i < 1000000; i++) {
        double value = random_double(&seed, i);
        double back;
        size_t len = print_double(value, text);
        if (!isfinite(value))
            continue;
        assert_true(len < NUMBER_TEXT_SIZE && text[len] == '\0');
        if (parse_double(text, &back) != 0 || !double_same(value, back))
            fail_msg("%.17g printed as %s", value, text);
    }
}

static void floats_of_all_kinds_read_back_the_same(void **state)
{
    uint64_t seed = 7;
    char text[NUMBER_TEXT_SIZE];

    (void)state;
    for (int i = 0; i < 300000; i++) {
        uint64_t random = next_random(&seed);
        float value =
            i % 2 == 0 ? float_of_bits((uint32_t)(random >> 32)) : (float)(random >> 46) / 1000.0F;
        float back;
        char *end;
        print_float(value, text);
        if (!isfinite(value))
            continue;
        back = strtof(text, &end);
        if (*end != '\0' || memcmp(&back, &value, sizeof(value)) != 0)
            fail_msg("%.9g printed as %s", (double)value, text);
    }
}

static int significant_digits(const char *text)
{
    int count = 0;
    int zeros = 0;

    for (; *text != '\0' && *text != 'e'; text++) {
        if (*text == '0' && count > 0)
            zeros++;
        if (*text < '1' || *text > '9')
            continue;
        count += 1 + zeros;
        zeros = 0;
    }
    return count;
}

/* The last digit moved up or down by one: the neighbour decimals of that length. */
static bool decimal_or_neighbour_reads_as(double value, bool single, int digits)
{
    char text[64];
    long mantissa_exponent;

    for (int step = -1; step <= 1; step++) {
        char whole[64];
        char *point;
        double back;
        snprintf(text, sizeof(text), "%.*e", digits - 1, value);
        mantissa_exponent = strtol(strchr(text, 'e') + 1, NULL, 10) - (digits - 1);
        *strchr(text, 'e') = '\0';
        point = strchr(text, '.');
        if (point != NULL)
            memmove(point, point + 1, strlen(point));
        snprintf(whole, sizeof(whole), "%llde%ld", strtoll(text, NULL, 10) + step,
                 mantissa_exponent);
        back = single ? (double)strtof(whole, NULL) : strtod(whole, NULL);
        if (double_same(back, value))
            return true;
    }
    return false;
}

static void check_no_shorter(double value, bool single)
{
    char text[NUMBER_TEXT_SIZE];
    int digits;

    if (!isfinite(value) || double_same(value, 0.0) || double_same(value, -0.0))
        return;
    if (single)
        print_float((float)value, text);
    else
        print_double(value, text);
    digits = significant_digits(text);
    for (int shorter = 1; shorter < digits; shorter++)
        if (decimal_or_neighbour_reads_as(value, single, shorter))
            fail_msg("%.17g printed as %s, but %d digits do", value, text, shorter);
}

static void no_decimal_with_fewer_digits_reads_back(void **state)
{
    uint64_t seed = 99;

    (void)state;
    for (int i = 0; i < 5000; i++) {
        uint64_t random = next_random(&seed);
        check_no_shorter(random_double(&seed, i), false);
        check_no_shorter((double)float_of_bits((uint32_t)(random >> 32)), true);
        check_no_shorter(double_of_bits(random >> 12 >> random % 52), false);
        check_no_shorter((double)float_of_bits((uint32_t)(random & 0x7FFFFF)), true);
    }
    for (int exponent = -1074; exponent < 1024; exponent++)
        check_no_shorter(ldexp(1.0, exponent), false);
    for (int exponent = -149; exponent < 128; exponent++)
        check_no_shorter(ldexp(1.0, exponent), true);
}

static void powers_of_two_read_back_the_same(void **state)
{
    char text[NUMBER_TEXT_SIZE];
    double back;

    (void)state;
    for (int exponent = -1074; exponent < 1024; exponent++) {
        print_double(-ldexp(1.0, exponent), text);
        assert_int_equal(parse_double(text, &back), 0);
        assert_true(double_same(back, -ldexp(1.0, exponent)));
    }
    for (int exponent = -149; exponent < 128; exponent++) {
        print_float(ldexpf(1.0F, exponent), text);
        assert_true(double_same((double)strtof(text, NULL), ldexp(1.0, exponent)));
    }
}

static void errno_is_left_alone(void **state)
{
    char text[NUMBER_TEXT_SIZE];
    double value;

    (void)state;
    errno = EPERM;
    print_double(DBL_MAX, text);
    print_double(4.9406564584124654e-324, text);
    print_float(FLT_MAX, text);
    assert_int_equal(parse_double("1e999", &value), ERR_RANGE);
    assert_int_equal(parse_double("1e-999", &value), 0);
    assert_int_equal(errno, EPERM);
}

static void the_locale_changes_nothing(void **state)
{
    locale_t comma = comma_locale_new();
    locale_t before;
    char text[NUMBER_TEXT_SIZE];

    (void)state;
    if (comma == (locale_t)0) {
        print_message("skipped: localedef can not make a locale with a decimal comma here\n");
        skip();
    }
    before = uselocale(comma);
    snprintf(text, sizeof(text), "%.1f", 0.5);
    assert_string_equal(text, "0,5");
    for (size_t i = 0; i < COUNT(printed_doubles); i++) {
        double back;
        print_double(printed_doubles[i].value, text);
        assert_string_equal(text, printed_doubles[i].text);
        assert_int_equal(parse_double(text, &back), 0);
        assert_true(double_same(back, printed_doubles[i].value));
    }
    print_float(0.333333343F, text);
    assert_string_equal(text, "0.33333334");
    uselocale(before);
    freelocale(comma);
}

static void doubles_are_compared_by_bits(void **state)
{
    (void)state;
    assert_true(double_same((double)NAN, (double)NAN));
    assert_false(double_same(0.0, -0.0));
    assert_true(double_same(0.1, 0.1));
    assert_false(double_same(0.1, 0.10000000000000002));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers_are_read_whole_or_not),
        cmocka_unit_test(doubles_follow_json_grammar),
        cmocka_unit_test(doubles_are_read_to_the_last_bit),
        cmocka_unit_test(durations_have_a_unit_and_whole_ms),
        cmocka_unit_test(sizes_have_a_unit),
        cmocka_unit_test(hex_goes_both_ways),
        cmocka_unit_test(whole_numbers_are_printed_in_full),
        cmocka_unit_test(doubles_are_printed_shortest),
        cmocka_unit_test(floats_are_printed_shortest),
        cmocka_unit_test(what_is_no_number_is_printed_as_null),
        cmocka_unit_test(a_million_doubles_read_back_the_same),
        cmocka_unit_test(floats_of_all_kinds_read_back_the_same),
        cmocka_unit_test(no_decimal_with_fewer_digits_reads_back),
        cmocka_unit_test(powers_of_two_read_back_the_same),
        cmocka_unit_test(errno_is_left_alone),
        cmocka_unit_test(the_locale_changes_nothing),
        cmocka_unit_test(doubles_are_compared_by_bits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
