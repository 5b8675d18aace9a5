/*
 * Instruments with a clock of their own: readings bear the device's time, whether the clock comes
 * along with the read or must be asked first; what comes again is one reading; a clock that says
 * nothing leaves ours, and says so.
 */
#include "tests/unit/support/gateway_rig.h"

#include "base/numbers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define ROW_MS 1514754000000 /* 2018 */

#define NEAR "a,3,10,uint16,AB\nb,3,12,float32,ABCD\nclock,3,14,uint64,ABCDEFGH,1,device\n"
#define FAR  "a,3,10,uint16,AB\nd,4,12,uint16,AB\nclock,3,500,uint64,ABCDEFGH,1,device\n"

static void begin(const char *rows, uint16_t clock_at)
{
    rig_begin(rows);
    rig.clock_at = clock_at;
    rig.clock = ROW_MS;
}

static void readings_bear_the_devices_time(void **state)
{
    (void)state;
    begin(NEAR, 14);
    rig_open(1, 1000);
    rig_run(S / 2);
    assert_int_equal(rig.sample_count, 2);
    assert_int_equal(rig.seen, 1); /* one read holds them and the clock */
    assert_int_equal(rig.samples[0].t_ms, ROW_MS);
    assert_int_equal(rig.samples[1].t_ms, ROW_MS);
    assert_int_equal(rig.samples[0].quality, QUALITY_GOOD);
    rig_end();
}

static void the_same_reading_is_handed_on_once(void **state)
{
    (void)state;
    begin(NEAR, 14);
    rig_open(1, 1000);
    rig_run(10 * S - 1);
    assert_int_equal(rig.seen, 10);
    assert_int_equal(rig.sample_count, 2);
    assert_int_equal(rig_stats_of(0).repeated, 9);
    rig.clock += 3600000;
    rig_run(S);
    assert_int_equal(rig.sample_count, 4);
    assert_int_equal(rig_last_of(100).t_ms, ROW_MS + 3600000);
    rig_end();
}

static void another_reading_with_the_same_time_is_a_reading(void **state)
{
    (void)state;
    begin(NEAR, 14);
    rig_open(1, 1000);
    rig_run(S / 2);
    rig.shift = 1;
    rig_run(S);
    assert_int_equal(rig.sample_count, 4);
    assert_int_equal(rig_last_of(100).t_ms, ROW_MS);
    assert_true(double_same(rig_last_of(100).value.number, 11));
    rig_end();
}

static void a_clock_out_of_reach_is_asked_before_each_read(void **state)
{
    (void)state;
    begin(FAR, 500);
    rig_open(1, 1000);
    rig_run(S - 1);
    /* Two functions, two reads, each behind a request of four registers. */
    assert_int_equal(rig.seen, 4);
    for (size_t i = 0; i < rig.seen; i += 2) {
        assert_int_equal(rig.requests[i].start, 500);
        assert_int_equal(rig.requests[i].count, 4);
        assert_int_equal(rig.requests[i + 1].count, 1);
    }
    assert_int_equal(rig.sample_count, 2);
    assert_int_equal(rig.samples[0].t_ms, ROW_MS);
    assert_int_equal(rig.samples[1].t_ms, ROW_MS);
    rig_end();
}

static void a_refused_clock_splits_no_read_and_hides_no_reading(void **state)
{
    (void)state;
    begin(FAR, 500);
    rig.hole = 501; /* exception 2 over the clock */
    rig_open(1, 1000);
    rig_run(3 * S - 1);
    assert_int_equal(rig_stats_of(0).splits, 0);
    assert_int_equal(rig_count_samples(100, QUALITY_UNCERTAIN), 3);
    assert_int_equal(rig_last_of(100).cause, CAUSE_CLOCK);
    assert_true(double_same(rig_last_of(100).value.number, 10));
    assert_int_equal(rig_last_of(100).t_ms / 60000, WALL0 / 60000); /* nothing better is known */
    rig_end();
}

static void bad_readings_bear_what_the_clock_told_last(void **state)
{
    (void)state;
    begin(NEAR, 14);
    rig_open(1, 1000);
    rig_run(S / 2);
    rig.manners[1] = IS_SILENT;
    rig_run(20 * S);
    struct sample bad = rig_last_of(100);
    assert_int_equal(bad.quality, QUALITY_BAD);
    assert_int_equal(bad.cause, CAUSE_COMM_TIMEOUT);
    assert_int_equal(bad.t_ms, ROW_MS);
    rig_end();
}

static void after_an_outage_the_same_reading_is_news(void **state)
{
    (void)state;
    begin(NEAR, 14);
    rig_open(1, 1000);
    rig_run(S / 2);
    rig.manners[1] = IS_SILENT;
    rig_run(20 * S);
    assert_int_equal(rig_last_of(100).quality, QUALITY_BAD);
    rig.manners[1] = ANSWERS;
    rig_run(20 * S);
    assert_int_equal(rig_last_of(100).quality, QUALITY_GOOD);
    assert_int_equal(rig_last_of(100).t_ms, ROW_MS); /* no older than the bad ones */
    assert_int_equal(rig_count_samples(100, QUALITY_GOOD), 2);
    rig_end();
}

static void a_clock_that_tells_no_time_leaves_ours_and_a_doubt(void **state)
{
    static const uint64_t none[] = {0, UINT64_MAX, UINT64_C(1) << 62};
    (void)state;
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        begin(NEAR, 14);
        rig.clock = none[i];
        rig_open(1, 1000);
        rig_run(2 * S - 1);
        assert_int_equal(rig.sample_count, 4);
        assert_int_equal(rig_last_of(100).quality, QUALITY_UNCERTAIN);
        assert_int_equal(rig_last_of(100).cause, CAUSE_CLOCK);
        assert_int_equal(rig_last_of(100).t_ms, WALL0 + 1005);
        rig_end();
    }
}

static void a_clock_in_seconds_is_scaled(void **state)
{
    (void)state;
    begin("a,3,10,uint16,AB\nclock,3,14,uint64,ABCDEFGH,1000,device\n", 14);
    rig.clock = ROW_MS / 1000;
    rig_open(1, 1000);
    rig_run(S / 2);
    assert_int_equal(rig_last_of(100).t_ms, ROW_MS);
    rig_end();
}

static void what_is_no_clock_is_refused_by_the_map(void **state)
{
    static const struct {
        const char *rows, *words;
    } cases[] = {
        {"c,3,0,float32,ABCD,1,device\n", "m:2:22: float32 cannot be a clock"},
        {"c,3,0,uint64,ABCDEFGH,1,mine\n", "m:2:25: time 'mine'; expected device, or nothing"},
        {"c,3,0,uint64,ABCDEFGH,1,device\nd,3,4,uint64,ABCDEFGH,1,device\n",
         "m:3:25: a second clock; 'c' in line 2 is one already"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_errors errors;
        struct register_map *map = NULL;
        char text[300] = "name,function,address,type,word_order,scale,time\n";
        config_errors_init(&errors);
        strncat(text, cases[i].rows, 200);
        assert_int_equal(register_map_parse("m", text, strlen(text), &map, &errors), ERR_INVALID);
        if (!strstr(buffer_text(&errors.text), cases[i].words))
            fail_msg("%s; expected %s", buffer_text(&errors.text), cases[i].words);
        config_errors_release(&errors);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(readings_bear_the_devices_time),
        cmocka_unit_test(the_same_reading_is_handed_on_once),
        cmocka_unit_test(another_reading_with_the_same_time_is_a_reading),
        cmocka_unit_test(a_clock_out_of_reach_is_asked_before_each_read),
        cmocka_unit_test(a_refused_clock_splits_no_read_and_hides_no_reading),
        cmocka_unit_test(bad_readings_bear_what_the_clock_told_last),
        cmocka_unit_test(after_an_outage_the_same_reading_is_news),
        cmocka_unit_test(a_clock_that_tells_no_time_leaves_ours_and_a_doubt),
        cmocka_unit_test(a_clock_in_seconds_is_scaled),
        cmocka_unit_test(what_is_no_clock_is_refused_by_the_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
