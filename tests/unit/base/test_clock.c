#include "base/clock.h"

#include "base/error.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/timex.h>

#include <cmocka.h>

/* "2026-01-05T00:50:00.123Z" */
#define SOME_MS 1767574200123

static int64_t parsed(const char *text)
{
    int64_t ms = 0;
    assert_int_equal(time_parse(text, &ms), 0);
    return ms;
}

static void utc_text_is_rfc3339(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } CASES[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {SOME_MS, "2026-01-05T00:50:00.123Z"},
        {951782399999, "2000-02-28T23:59:59.999Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {951868800000, "2000-03-01T00:00:00.000Z"},
        {4107542400000, "2100-03-01T00:00:00.000Z"},
        {4107542399999, "2100-02-28T23:59:59.999Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
        {-62167219200000, "0000-01-01T00:00:00.000Z"},
        {INT64_MAX, "9999-12-31T23:59:59.999Z"},
        {INT64_MIN, "0000-01-01T00:00:00.000Z"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        char text[TIME_TEXT_SIZE];
        time_format_utc(CASES[i].ms, text);
        assert_string_equal(text, CASES[i].text);
    }
}

static void local_text_is_eight_hours_ahead(void **state)
{
    char text[TIME_TEXT_SIZE];
    (void)state;
    time_format_local(SOME_MS, text);
    assert_string_equal(text, "2026-01-05 08:50:00.123");
    time_format_local(parsed("2025-12-31T16:00:00Z"), text);
    assert_string_equal(text, "2026-01-01 00:00:00.000");
    time_format_local(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31 23:59:59.999");
    time_format_local(INT64_MIN, text);
    assert_string_equal(text, "0000-01-01 00:00:00.000");
}

static void every_day_reads_back(void **state)
{
    (void)state;
    /* A prime step walks over all days of the months in few turns. */
    for (int64_t day = -719528; day < 2932896; day += 13) {
        char text[TIME_TEXT_SIZE];
        int64_t ms = day * 86400000 + 45296789;
        time_format_utc(ms, text);
        assert_int_equal(parsed(text), ms);
    }
}

static void consecutive_days_differ_by_one(void **state)
{
    char before[TIME_TEXT_SIZE] = "";
    (void)state;
    for (int64_t day = 10957; day < 10957 + 146097; day++) { /* 400 years from 2000 */
        char text[TIME_TEXT_SIZE];
        time_format_utc(day * 86400000, text);
        assert_true(strcmp(before, text) < 0);
        memcpy(before, text, sizeof before);
    }
    assert_string_equal(before, "2399-12-31T00:00:00.000Z");
}

static void offsets_and_fractions_are_read(void **state)
{
    (void)state;
    assert_int_equal(parsed("2026-01-05T00:50:00.123Z"), SOME_MS);
    assert_int_equal(parsed("2026-01-05t00:50:00.123z"), SOME_MS);
    assert_int_equal(parsed("2026-01-05 08:50:00.123+08:00"), SOME_MS);
    assert_int_equal(parsed("2026-01-04T19:20:00.123-05:30"), SOME_MS);
    assert_int_equal(parsed("2026-01-05T00:50:00.123999999999Z"), SOME_MS);
    assert_int_equal(parsed("2026-01-05T00:50:00.1Z"), SOME_MS - 23);
    assert_int_equal(parsed("2026-01-05T00:50:00-00:00"), SOME_MS - 123);
    assert_int_equal(parsed("1969-12-31T23:59:59.5Z"), -500);
}

static void a_leap_second_is_the_second_after_it(void **state)
{
    int64_t ms = 0;
    (void)state;
    assert_int_equal(parsed("2016-12-31T23:59:60Z"), parsed("2017-01-01T00:00:00Z"));
    assert_int_equal(parsed("2017-01-01T07:59:60+08:00"), parsed("2017-01-01T00:00:00Z"));
    assert_int_equal(time_parse("2016-12-31T23:58:60Z", &ms), ERR_INVALID);
    assert_int_equal(time_parse("2016-12-31T23:59:61Z", &ms), ERR_INVALID);
}

static void other_texts_are_refused(void **state)
{
    static const char *const TEXTS[] = {
        "",
        "2026",
        "2026-01-05",
        "2026-01-05T00:50:00",
        "2026-01-05T00:50Z",
        "2026-01-05T00:50:00.Z",
        "2026-01-05T00:50:00,5Z",
        "2026-01-05T00:50:00Zx",
        " 2026-01-05T00:50:00Z",
        "2026-1-5T00:50:00Z",
        "2026-00-05T00:50:00Z",
        "2026-13-05T00:50:00Z",
        "2026-01-00T00:50:00Z",
        "2026-01-32T00:50:00Z",
        "2026-02-29T00:50:00Z",
        "2100-02-29T00:50:00Z",
        "2026-04-31T00:50:00Z",
        "2026-01-05T24:00:00Z",
        "2026-01-05T00:60:00Z",
        "2026-01-05T00:50:00+24:00",
        "2026-01-05T00:50:00+08:60",
        "2026-01-05T00:50:00+0800",
        "2026-01-05T00:50:00+8",
        "+026-01-05T00:50:00Z",
        "2026-01-05X00:50:00Z",
    };
    (void)state;
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        int64_t ms = 42;
        assert_int_equal(time_parse(TEXTS[i], &ms), ERR_INVALID);
        assert_int_equal(ms, 42);
    }
}

static void the_virtual_clock_stands_until_told(void **state)
{
    struct virtual_clock clock;
    (void)state;
    virtual_clock_init(&clock, SOME_MS);
    struct now now = clock_read(&clock.clock);
    assert_int_equal(now.mono_us, 0);
    assert_int_equal(now.wall_ms, SOME_MS);
    assert_true(now.sync);
    assert_int_equal(clock_read(&clock.clock).wall_ms, SOME_MS);
}

static void both_virtual_times_advance_in_step(void **state)
{
    struct virtual_clock clock;
    (void)state;
    virtual_clock_init(&clock, SOME_MS);
    for (int i = 0; i < 10; i++)
        virtual_clock_advance(&clock, 2500); /* no half millisecond is lost */
    struct now now = clock_read(&clock.clock);
    assert_int_equal(now.mono_us, 25000);
    assert_int_equal(now.wall_ms, SOME_MS + 25);
}

static void the_real_clock_goes_forward(void **state)
{
    (void)state;
    struct now first = clock_read(clock_real());
    struct now second = clock_read(clock_real());
    assert_true(first.mono_us > 0);
    assert_true(second.mono_us >= first.mono_us);
    assert_true(first.wall_ms > SOME_MS - 366 * (int64_t)86400000);
}

static void *read_often(void *arg)
{
    int64_t *last_us = arg;
    for (int i = 0; i < 1000; i++) {
        int64_t us = clock_read(clock_real()).mono_us;
        if (us < *last_us)
            return arg;
        *last_us = us;
    }
    return NULL;
}

static void threads_share_the_real_clock(void **state)
{
    pthread_t threads[3];
    int64_t last_us[3] = {0};
    (void)state;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_often, &last_us[i]), 0);
    for (size_t i = 0; i < 3; i++) {
        void *went_back = NULL;
        assert_int_equal(pthread_join(threads[i], &went_back), 0);
        assert_null(went_back);
    }
}

static void whether_in_step_is_what_the_kernel_says(void **state)
{
    struct timex timex = {.modes = 0};
    int kernel = adjtimex(&timex);
    (void)state;
    bool expected = kernel >= 0 && kernel != TIME_ERROR && (timex.status & STA_UNSYNC) == 0;
    assert_int_equal(clock_read(clock_real()).sync, expected);
}

static void the_boot_id_is_the_same_hex_each_time(void **state)
{
    char first[33];
    char second[33];
    (void)state;
    clock_boot_id(first);
    clock_boot_id(second);
    assert_string_equal(first, second);
    assert_int_equal(strspn(first, "0123456789abcdef"), 32);
    assert_int_equal(strlen(first), 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utc_text_is_rfc3339),
        cmocka_unit_test(local_text_is_eight_hours_ahead),
        cmocka_unit_test(every_day_reads_back),
        cmocka_unit_test(consecutive_days_differ_by_one),
        cmocka_unit_test(offsets_and_fractions_are_read),
        cmocka_unit_test(a_leap_second_is_the_second_after_it),
        cmocka_unit_test(other_texts_are_refused),
        cmocka_unit_test(the_virtual_clock_stands_until_told),
        cmocka_unit_test(both_virtual_times_advance_in_step),
        cmocka_unit_test(the_real_clock_goes_forward),
        cmocka_unit_test(threads_share_the_real_clock),
        cmocka_unit_test(whether_in_step_is_what_the_kernel_says),
        cmocka_unit_test(the_boot_id_is_the_same_hex_each_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
