/* What a totaliser's counts mean: going on, beginning at zero again, another meter. */
#include "drivers/modbus/totaliser.h"

#include "base/numbers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct map_register eight_digits(bool running)
{
    struct map_register reg;

    assert_int_equal(map_register_init(&reg, "bcd32", "ABCD", NULL), 0);
    reg.modulus = 100000000;
    reg.running = running;
    return reg;
}

static struct sample good(double number)
{
    return (struct sample){.point = 3, .t_ms = 9, .value = {VALUE_DOUBLE, number, ""}};
}

struct reading {
    double shown, total;
    enum cause cause; /* NONE: good */
};

/* The same readings as they stand, and as a running total. */
static void check(const struct reading *readings, size_t count)
{
    struct map_register plain = eight_digits(false);
    struct map_register running = eight_digits(true);
    struct totaliser of_plain = {.known = false};
    struct totaliser of_running = {.known = false};

    for (size_t i = 0; i < count; i++) {
        struct sample as_read = good(readings[i].shown);
        struct sample total = good(readings[i].shown);
        enum quality quality = readings[i].cause == CAUSE_NONE ? QUALITY_GOOD : QUALITY_UNCERTAIN;
        totaliser_take(&of_plain, &plain, &as_read);
        totaliser_take(&of_running, &running, &total);
        if (!double_same(as_read.value.number, readings[i].shown) ||
            !double_same(total.value.number, readings[i].total) ||
            as_read.cause != readings[i].cause || total.cause != readings[i].cause ||
            as_read.quality != quality || total.quality != quality)
            fail_msg("reading %zu of %.0f: shown %.0f, total %.0f, cause %s", i, readings[i].shown,
                     as_read.value.number, total.value.number, cause_name(total.cause));
    }
}

static void it_counts_and_rolls_over(void **state)
{
    static const struct reading readings[] = {
        {99999000, 99999000, CAUSE_NONE}, {99999000, 99999000, CAUSE_NONE},
        {99999999, 99999999, CAUSE_NONE}, {0, 100000000, CAUSE_ROLLOVER},
        {5, 100000005, CAUSE_NONE},       {999000, 100999000, CAUSE_NONE},
        {1000000, 101000000, CAUSE_NONE},
    };

    (void)state;
    check(readings, COUNT(readings));
}

static void another_meter_adds_nothing_until_it_counts(void **state)
{
    static const struct reading readings[] = {
        {50000000, 50000000, CAUSE_NONE},
        {12, 50000000, CAUSE_METER_SWAP},
        {12, 50000000, CAUSE_METER_SWAP},
        {15, 50000003, CAUSE_NONE},
        {20, 50000008, CAUSE_NONE},
        {70000000, 50000008, CAUSE_METER_SWAP},
        {70000001, 50000009, CAUSE_NONE},
        {3, 50000009, CAUSE_METER_SWAP},
        {40000000, 50000009, CAUSE_METER_SWAP}, /* not from there: again nobody knows */
        {40000010, 50000019, CAUSE_NONE},
    };

    (void)state;
    check(readings, COUNT(readings));
}

static void who_shows_zero_while_it_starts_was_not_changed(void **state)
{
    static const struct reading readings[] = {
        {20000000, 20000000, CAUSE_NONE}, {0, 20000000, CAUSE_METER_SWAP},
        {0, 20000000, CAUSE_METER_SWAP},  {20000007, 20000007, CAUSE_NONE},
        {20000010, 20000010, CAUSE_NONE},
    };

    (void)state;
    check(readings, COUNT(readings));
}

static void what_is_no_reading_counts_nothing(void **state)
{
    struct map_register reg = eight_digits(true);
    struct totaliser totaliser = {.known = false};
    struct sample sample = good(100);

    (void)state;
    totaliser_take(&totaliser, &reg, &sample);
    sample = (struct sample){.quality = QUALITY_BAD, .cause = CAUSE_COMM_TIMEOUT};
    totaliser_take(&totaliser, &reg, &sample);
    assert_int_equal(sample.cause, CAUSE_COMM_TIMEOUT);
    sample = good(1);
    sample.quality = QUALITY_BAD;
    sample.cause = CAUSE_OUT_OF_RANGE;
    totaliser_take(&totaliser, &reg, &sample);
    assert_int_equal(sample.value.kind, VALUE_NONE);
    assert_int_equal(sample.cause, CAUSE_OUT_OF_RANGE);
    sample = good(107);
    totaliser_take(&totaliser, &reg, &sample);
    assert_int_equal(sample.quality, QUALITY_GOOD);
    assert_true(double_same(sample.value.number, 107));
}

static void what_it_cannot_count_is_out_of_range(void **state)
{
    static const double shown[] = {-1, 100000001};
    struct map_register plain = eight_digits(false);
    struct map_register running = eight_digits(true);

    (void)state;
    for (size_t i = 0; i < COUNT(shown); i++) {
        struct totaliser totaliser = {.known = true, .count = 7};
        struct sample sample = good(shown[i]);
        totaliser_take(&totaliser, &plain, &sample);
        assert_int_equal(sample.cause, CAUSE_OUT_OF_RANGE);
        assert_true(double_same(sample.value.number, shown[i]));
        sample = good(shown[i]);
        totaliser_take(&totaliser, &running, &sample);
        assert_int_equal(sample.cause, CAUSE_OUT_OF_RANGE);
        assert_int_equal(sample.value.kind, VALUE_NONE);
        assert_true(double_same(totaliser.count, 7) && !totaliser.doubted);
    }
}

static void tenths_stay_tenths(void **state)
{
    struct map_register reg = eight_digits(true);
    struct totaliser totaliser = {.known = false};

    (void)state;
    reg.exact = false;
    reg.scale = 0.1;
    reg.divisor = 10;
    for (int i = 0; i < 2000; i++) {
        int64_t raw = 99999000 + i;
        struct sample sample = good((double)(raw % 100000000) / 10);
        totaliser_take(&totaliser, &reg, &sample);
        assert_true(double_same(sample.value.number, (double)raw / 10));
    }
}

static void a_float_begins_again_where_the_map_says(void **state)
{
    struct map_register reg;
    struct totaliser totaliser = {.known = false};
    struct sample sample = good(3999999.5);

    (void)state;
    assert_int_equal(map_register_init(&reg, "float32", "ABCD", NULL), 0);
    reg.modulus = 4000000;
    reg.running = true;
    totaliser_take(&totaliser, &reg, &sample);
    sample = good(0.75);
    totaliser_take(&totaliser, &reg, &sample);
    assert_int_equal(sample.cause, CAUSE_ROLLOVER);
    assert_true(double_same(sample.value.number, 4000000.75));
}

/* Whatever a meter shows, its total never falls. */
static void the_total_never_falls(void **state)
{
    struct map_register reg = eight_digits(true);
    struct totaliser totaliser = {.known = false};
    double last = 0;
    unsigned seed = 4;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        seed = seed * 1664525u + 1013904223u;
        struct sample sample = good(seed >> 28 == 0 ? seed % 100000000 : totaliser.count + 7);
        sample.value.number = sample.value.number >= 1e8 ? 0 : sample.value.number;
        totaliser_take(&totaliser, &reg, &sample);
        assert_true(sample.value.number >= last);
        last = sample.value.number;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_counts_and_rolls_over),
        cmocka_unit_test(another_meter_adds_nothing_until_it_counts),
        cmocka_unit_test(who_shows_zero_while_it_starts_was_not_changed),
        cmocka_unit_test(what_is_no_reading_counts_nothing),
        cmocka_unit_test(what_it_cannot_count_is_out_of_range),
        cmocka_unit_test(tenths_stay_tenths),
        cmocka_unit_test(a_float_begins_again_where_the_map_says),
        cmocka_unit_test(the_total_never_falls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
