#include "tests/unit/support/gateway_rig.h"

#include "base/numbers.h"

#include <modbus/modbus.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void points_are_read_on_their_grid_and_stamped_halfway(void **state)
{
    (void)state;
    rig_begin("a,3,10,uint16,AB\nb,3,12,uint32,ABCD\nc,1,7,bit,\nd,4,12,float32,CDAB,2\n");
    rig_open(1, 1000);
    rig_run(10 * S - 1);
    assert_int_equal(rig_count_samples(100, QUALITY_GOOD), 10);
    assert_int_equal(rig.sample_count, 40);
    for (size_t i = 0; i < rig.sample_count; i++) {
        const struct sample *sample = &rig.samples[i];
        int64_t slot = WALL0 + (int64_t)(i / 4) * 1000;
        /* Coil, holding and input register: three reads, spread over the second. */
        assert_int_equal(sample->t_ms, slot + (int64_t)(i % 4 < 1 ? 0 : i % 4 < 3 ? 333 : 666) + 5);
        assert_int_equal(sample->quality, QUALITY_GOOD);
    }
    assert_true(double_same(rig_last_of(100).value.number, 10));
    assert_true(double_same(rig_last_of(101).value.number, 12 * 65536 + 13));
    assert_true(double_same(rig_last_of(102).value.number, 1));
    assert_int_equal(rig_last_of(103).value.kind, VALUE_DOUBLE);
    assert_int_equal(rig.seen, 30);
    assert_int_equal(rig.accepted, 1);
    assert_int_equal(rig_stats_of(0).replies, 30);
    assert_int_equal(rig_stats_of(0).latency_us, 10 * MS);
    assert_int_equal(rig_stats_of(0).skipped, 0);
    rig_end();
}

static void a_dead_unit_costs_its_neighbours_one_timeout_at_a_time(void **state)
{
    int64_t worst = 0;
    int64_t last[3] = {1000 * S, 1000 * S, 1000 * S};

    (void)state;
    rig_begin("a,3,10,uint16,AB\n");
    rig.manners[2] = IS_SILENT;
    rig_open(3, 1000);
    rig_run(60 * S - 1);
    for (size_t i = 0; i < rig.sample_count; i++) {
        uint32_t unit = rig.samples[i].point / 100 - 1;
        if (unit != 1 && rig.sample_us[i] - last[unit] > worst)
            worst = rig.sample_us[i] - last[unit];
        last[unit] = rig.sample_us[i];
    }
    assert_true(worst <= 1 * S + TIMEOUT + 2 * rig.latency);
    assert_int_equal(rig_count_samples(100, QUALITY_GOOD), 60);
    assert_int_equal(rig_count_samples(300, QUALITY_GOOD), 60);
    assert_int_equal(rig_count_samples(100, QUALITY_BAD), 0);
    assert_int_equal(rig_stats_of(1).state, MODBUS_UNIT_DOWN);
    assert_int_equal(rig_stats_of(1).cause, CAUSE_COMM_TIMEOUT);
    rig_end();
}

static void a_dead_unit_gives_one_bad_sample_an_interval_stamped_when_due(void **state)
{
    size_t bad = 0;
    int64_t last_ms = WALL0 - 1000;

    (void)state;
    rig_begin("a,3,10,uint16,AB\nb,3,11,uint16,AB\n");
    rig.manners[1] = IS_SILENT;
    rig_open(2, 1000);
    rig_run(60 * S - 1);
    for (size_t i = 0; i < rig.sample_count; i++) {
        if (rig.samples[i].point != 100)
            continue;
        assert_int_equal((rig.samples[i].t_ms - WALL0) % 1000, 0);
        assert_true(rig.samples[i].t_ms > last_ms);
        last_ms = rig.samples[i].t_ms;
        assert_int_equal(rig.samples[i].quality, QUALITY_BAD);
        assert_int_equal(rig.samples[i].cause, CAUSE_COMM_TIMEOUT);
        assert_int_equal(rig.samples[i].value.kind, VALUE_NONE);
        bad++;
    }
    /* The two timeouts of finding out are as long as a slot, which is skipped and counted. */
    assert_int_equal(bad, 59);
    assert_int_equal(rig_stats_of(0).skipped, 1);
    assert_int_equal(rig_count_samples(101, QUALITY_BAD), bad);
    rig_end();
}

static void a_dead_unit_is_probed_ever_more_rarely(void **state)
{
    int64_t before = 0;
    size_t n = 0;

    (void)state;
    rig_begin("a,3,10,uint16,AB\n");
    rig.manners[1] = IS_SILENT;
    rig_open(1, 60000);
    rig_run(3600 * S);
    /* Two reads, then probes: each wait is 3/4 to 4/4 of 2, 4, 8 … 300 s, but after a probe at
     * least nine times what that took. */
    for (size_t i = 2; i < rig.seen; i++, n++) {
        int64_t wait = rig.requests[i].us - rig.requests[i - 1].us - TIMEOUT;
        int64_t most = 2 * S << n < 300 * S ? 2 * S << n : 300 * S;
        most = n > 0 && most < 9 * TIMEOUT ? 9 * TIMEOUT : most;
        assert_true(wait <= most && wait >= most * 3 / 4);
        assert_true(wait >= before || most == 300 * S);
        before = wait;
    }
    assert_true(n >= 17 && n <= 22);
    rig_end();
}

static void a_unit_that_comes_back_is_read_at_once(void **state)
{
    size_t good;

    (void)state;
    rig_begin("a,3,10,uint16,AB\nb,3,500,uint32,ABCD\n");
    rig.manners[1] = IS_SILENT;
    rig_open(1, 3600000);
    rig_run(20 * S);
    assert_int_equal(rig_stats_of(0).state, MODBUS_UNIT_DOWN);
    rig.manners[1] = ANSWERS;
    rig_run(20 * S);
    assert_int_equal(rig_stats_of(0).state, MODBUS_UNIT_UP);
    good = rig_count_samples(100, QUALITY_GOOD);
    assert_int_equal(good, 1);
    assert_int_equal(rig_count_samples(101, QUALITY_GOOD), 1);
    rig_run(3600 * S);
    assert_int_equal(rig_count_samples(100, QUALITY_GOOD), good + 1);
    rig_end();
}

static void one_lost_reply_is_asked_for_again(void **state)
{
    (void)state;
    rig_begin("a,3,10,uint16,AB\n");
    rig.manners[1] = IS_SILENT;
    rig_open(1, 1000);
    rig_run(TIMEOUT - 1);
    rig.manners[1] = ANSWERS;
    rig_run(10 * S);
    assert_int_equal(rig_count_samples(100, QUALITY_BAD), 0);
    assert_int_equal(rig_count_samples(100, QUALITY_GOOD), 11);
    assert_int_equal(rig_stats_of(0).timeouts, 1);
    assert_int_equal(rig.accepted, 2);
    rig_end();
}

static void without_a_link_points_are_bad_and_then_read_at_once(void **state)
{
    struct driver_status status;
    uint64_t refused;

    (void)state;
    rig_begin("a,3,10,uint16,AB\n");
    close(rig.listener);
    rig.listener = -1;
    rig_open(2, 1000);
    rig_run(300 * S);
    assert_int_equal(rig_count_samples(100, QUALITY_BAD), 301);
    assert_int_equal(rig_count_samples(200, QUALITY_BAD), 300);
    assert_int_equal(rig_last_of(100).cause, CAUSE_LINK_DOWN);
    driver_status(rig.driver, &status);
    assert_false(status.up);
    assert_int_equal(status.units_down, 0);
    assert_int_equal(status.bad, 601);
    assert_non_null(strstr(status.trouble.text, "Connection refused"));
    /* 1, 2, 4 … 60 s: ten or eleven tries in five minutes. */
    refused = rig_link_stats().refused;
    assert_true(refused >= 9 && refused <= 13);
    rig_listen_again();
    rig_run(61 * S);
    driver_status(rig.driver, &status);
    assert_true(status.up);
    assert_int_equal(rig_last_of(100).quality, QUALITY_GOOD);
    rig_end();
}

static void after_an_outage_hourly_points_do_not_wait_an_hour(void **state)
{
    (void)state;
    rig_begin("a,3,10,uint16,AB\n");
    close(rig.listener);
    rig.listener = -1;
    rig_open(1, 3600000);
    rig_run(20 * S);
    assert_int_equal(rig_count_samples(100, QUALITY_BAD), 1);
    rig_listen_again();
    rig_run(61 * S);
    assert_int_equal(rig_count_samples(100, QUALITY_GOOD), 1);
    rig_end();
}

static void a_refused_read_is_split_until_only_the_hole_is_bad(void **state)
{
    (void)state;
    rig_begin("a,3,10,uint16,AB\nb,3,12,uint16,AB\nc,3,13,uint16,AB\nd,3,14,uint32,ABCD\n"
              "e,3,40,uint16,AB\n");
    rig.hole = 13;
    rig_open(1, 1000);
    rig_run(10 * S - 1);
    for (uint32_t point = 100; point < 105; point++) {
        assert_int_equal(rig_count_samples(point, QUALITY_GOOD), point == 102 ? 0 : 10);
        assert_int_equal(rig_count_samples(point, QUALITY_BAD), point == 102 ? 10 : 0);
    }
    assert_int_equal(rig_last_of(102).cause, CAUSE_MODBUS_EXCEPTION);
    assert_true(double_same(rig_last_of(104).value.number, 40));
    assert_true(double_same(rig_last_of(103).value.number, 14 * 65536 + 15));
    assert_int_equal(rig_stats_of(0).last_exception, 2);
    assert_true(rig_stats_of(0).splits >= 2 && rig_stats_of(0).splits <= 8);
    assert_int_equal(rig_stats_of(0).state, MODBUS_UNIT_UP);
    rig_end();
}

static void a_read_passed_over_in_silence_does_not_take_its_unit_down(void **state)
{
    (void)state;
    rig_begin("a,3,10,uint16,AB\nb,4,500,uint16,AB\nc,1,3,bit,\n");
    rig.silent_at = 500;
    rig_open(1, 1000);
    rig_run(600 * S);
    /* Half a minute of finding out, then single timeouts, ever more rarely. */
    assert_true(rig_count_samples(100, QUALITY_GOOD) > 580);
    assert_true(rig_count_samples(102, QUALITY_GOOD) > 580);
    assert_int_equal(rig_count_samples(101, QUALITY_GOOD), 0);
    assert_true(rig_count_samples(101, QUALITY_BAD) > 580);
    assert_int_equal(rig_last_of(101).cause, CAUSE_COMM_TIMEOUT);
    rig.silent_at = 0;
    rig_run(301 * S);
    assert_int_equal(rig_last_of(101).quality, QUALITY_GOOD);
    rig_end();
}

static void a_gateway_that_misses_its_unit_keeps_the_link(void **state)
{
    (void)state;
    rig_begin("a,3,10,uint16,AB\n");
    rig.manners[1] = IS_BEYOND_THE_GATEWAY;
    rig_open(2, 1000);
    rig_run(30 * S);
    assert_int_equal(rig.accepted, 1);
    assert_int_equal(rig_stats_of(0).state, MODBUS_UNIT_DOWN);
    assert_int_equal(rig_last_of(100).cause, CAUSE_MODBUS_EXCEPTION);
    assert_true(rig_stats_of(0).requests < 10);
    assert_int_equal(rig_count_samples(100, QUALITY_BAD), 31);
    assert_int_equal(rig_count_samples(200, QUALITY_GOOD), 30);
    rig_end();
}

static void what_a_unit_refuses_is_bad_and_the_unit_is_up(void **state)
{
    (void)state;
    rig_begin("a,3,10,uint16,AB\n");
    rig.manners[1] = REFUSES;
    rig.manners[2] = ANSWERS_ANOTHER_FUNCTION;
    rig_open(2, 1000);
    rig_run(10 * S - 1);
    assert_int_equal(rig_count_samples(100, QUALITY_BAD), 10);
    assert_int_equal(rig_last_of(100).cause, CAUSE_MODBUS_EXCEPTION);
    assert_int_equal(rig_count_samples(200, QUALITY_BAD), 10);
    assert_int_equal(rig_last_of(200).cause, CAUSE_BAD_RESPONSE);
    assert_int_equal(rig_stats_of(0).state, MODBUS_UNIT_UP);
    assert_int_equal(rig_stats_of(1).bad_replies, 10);
    assert_int_equal(rig.accepted, 1);
    rig_end();
}

static void garbage_is_bad_and_backed_off_from(void **state)
{
    (void)state;
    rig_begin("a,3,10,uint16,AB\n");
    rig.manners[1] = SENDS_GARBAGE;
    rig_open(1, 1000);
    rig_run(120 * S);
    assert_int_equal(rig_count_samples(100, QUALITY_GOOD), 0);
    assert_true(rig_count_samples(100, QUALITY_BAD) >= 120);
    assert_true(rig.accepted < 15);
    assert_true(rig_stats_of(0).bad_replies > 0);
    rig.manners[1] = ANSWERS;
    rig_run(301 * S);
    assert_int_equal(rig_last_of(100).quality, QUALITY_GOOD);
    rig_end();
}

static void who_hangs_up_on_one_unit_does_not_lose_the_others(void **state)
{
    (void)state;
    rig_begin("a,3,10,uint16,AB\n");
    rig.manners[1] = CLOSES;
    rig_open(2, 1000);
    rig_run(60 * S);
    assert_int_equal(rig_stats_of(0).state, MODBUS_UNIT_DOWN);
    assert_int_equal(rig_last_of(100).cause, CAUSE_LINK_DOWN);
    assert_true(rig_count_samples(200, QUALITY_GOOD) >= 58);
    assert_true(rig.accepted < 20);
    rig_end();
}

static void a_connection_that_ends_between_polls_costs_nothing(void **state)
{
    (void)state;
    rig_begin("a,3,10,uint16,AB\n");
    rig_open(1, 1000);
    rig_run(S / 2);
    for (int i = 0; i < 5; i++) {
        rig_hang_up();
        rig_run(1 * S);
    }
    assert_int_equal(rig_count_samples(100, QUALITY_BAD), 0);
    assert_int_equal(rig_count_samples(100, QUALITY_GOOD), 6);
    assert_int_equal(rig.accepted, 6);
    assert_int_equal(rig_link_stats().lost, 5);
    rig_end();
}

static void a_busy_link_still_probes_who_is_down(void **state)
{
    (void)state;
    rig_begin("a,3,10,uint16,AB\n");
    rig.latency = 480 * MS;
    rig.manners[1] = IS_SILENT;
    rig_open(6, 1000);
    rig_run(60 * S);
    assert_true(rig_stats_of(0).requests >= 4 && rig_stats_of(0).requests <= 6);
    rig.manners[1] = ANSWERS;
    rig_run(100 * S);
    assert_int_equal(rig_stats_of(0).state, MODBUS_UNIT_UP);
    assert_true(rig_stats_of(1).skipped > 10);
    rig_end();
}

/* On a line with several dead units, each of many back-offs, not only on average. */
static void probes_have_at_most_a_tenth_of_the_link(void **state)
{
    int64_t all_us = 0;

    (void)state;
    rig_begin("a,3,10,uint16,AB\n");
    for (int unit = 1; unit <= 6; unit++)
        rig.manners[unit] = IS_SILENT;
    rig_open(7, 1000);
    rig_run(30 * S);
    size_t before = rig.seen;
    for (int minute = 0; minute < 20; minute++) {
        rig_run(60 * S);
        int64_t spent_us = 0;
        for (; before < rig.seen; before++)
            spent_us += rig.requests[before].unit <= 6 ? TIMEOUT : 0;
        assert_true(spent_us <= 60 * S / 10 + TIMEOUT);
        all_us += spent_us;
    }
    assert_true(all_us >= 6 * 3 * TIMEOUT);
    for (size_t unit = 0; unit < 6; unit++)
        assert_int_equal(rig_stats_of(unit).state, MODBUS_UNIT_DOWN);
    assert_true(rig_count_samples(700, QUALITY_GOOD) >= 1228);
    rig_end();
}

/* Each probe in vain costs the connection, which is far away. */
static void a_probe_pays_for_the_connection_it_cost(void **state)
{
    const int64_t far = 450 * MS;

    (void)state;
    rig_begin("a,3,10,uint16,AB\n");
    for (int unit = 1; unit <= 7; unit++)
        rig.manners[unit] = IS_SILENT;
    rig.connecting = far;
    rig_open(8, 1000);
    rig_run(20 * S);
    size_t before = rig.seen;
    int64_t spent_us = 0;
    rig_run(40 * S);
    for (; before < rig.seen; before++)
        spent_us += rig.requests[before].unit <= 7 ? TIMEOUT + far : 0;
    assert_true(spent_us >= 40 * S / 20);
    assert_true(spent_us <= 40 * S / 10 + TIMEOUT + far);
    rig_end();
}

static void several_that_die_at_once_cost_a_timeout_each_and_then_one_at_a_time(void **state)
{
    int64_t last_us;
    int64_t died_us;
    int64_t worst_us = 0;
    int64_t later_us = 0;

    (void)state;
    rig_begin("a,3,10,uint16,AB\n");
    rig_open(8, 1000);
    rig_run(10 * S - 1);
    last_us = died_us = rig.now.mono_us;
    for (int unit = 1; unit <= 5; unit++)
        rig.manners[unit] = IS_SILENT;
    size_t from = rig.sample_count;
    rig_run(60 * S);
    for (; from < rig.sample_count; from++)
        if (rig.samples[from].point == 800) {
            int64_t gap_us = rig.sample_us[from] - last_us;
            worst_us = gap_us > worst_us ? gap_us : worst_us;
            if (last_us > died_us + 4 * S)
                later_us = gap_us > later_us ? gap_us : later_us;
            last_us = rig.sample_us[from];
        }
    /* Nobody knows beforehand which of them will not answer; their second chances wait. */
    assert_true(worst_us <= 1 * S + 5 * TIMEOUT + 4 * rig.latency);
    assert_true(later_us <= 1 * S + TIMEOUT + 4 * rig.latency);
    rig_end();
}

static void a_unit_recovers_when_all_of_it_was_read(void **state)
{
    (void)state;
    rig_begin("a,3,10,uint16,AB\nb,3,500,uint32,ABCD\n");
    rig.manners[1] = IS_SILENT;
    rig_open(1, 3600000);
    rig_run(20 * S);
    assert_int_equal(rig_stats_of(0).state, MODBUS_UNIT_DOWN);
    rig.manners[1] = ANSWERS;
    size_t before = rig.seen;
    while (rig.seen == before || rig_stats_of(0).replies == 0)
        rig_run(10 * MS);
    assert_int_equal(rig_stats_of(0).state, MODBUS_UNIT_RECOVERING);
    rig_run(2 * rig.latency);
    assert_int_equal(rig_stats_of(0).state, MODBUS_UNIT_UP);
    rig_end();
}

/* ---- time ---- */

/* An hour of seconds, while units are slow and late in turn, and the clock is set back and forth:
 * each poll begins at its slot or, when the link was busy then, as soon as it is free. */
static void in_an_hour_nothing_drifts_and_no_clock_step_moves_a_poll(void **state)
{
    int64_t first_us[3] = {0};
    int64_t seen[3] = {0};

    (void)state;
    rig_begin("a,3,10,uint16,AB\n");
    rig_open(3, 1000);
    for (int minute = 0; minute < 60; minute++) {
        rig.latency = (1 + minute % 7 * 20) * MS;
        rig.wall_step_ms = minute % 10 == 5 ? 3600000 : minute % 10 == 8 ? -86400000 : 12345;
        size_t from = rig.seen;
        rig_run(60 * S - (minute == 0 ? 1 : 0));
        for (size_t i = from; i < rig.seen; i++) {
            size_t unit = rig.requests[i].unit - 1u;
            if (seen[unit]++ == 0)
                first_us[unit] = rig.requests[i].us;
            assert_int_equal(rig.requests[i].us, first_us[unit] + (seen[unit] - 1) * S);
        }
    }
    for (size_t unit = 0; unit < 3; unit++) {
        assert_int_equal(seen[unit], 3600);
        assert_int_equal(rig_stats_of(unit).skipped, 0);
    }
    assert_int_equal(rig_link_stats().late, 0);
    assert_int_equal(rig_link_stats().polls, 3 * 3600);
    rig_end();
}

static void aligned_points_are_read_at_full_minutes(void **state)
{
    (void)state;
    rig_begin("a,3,10,uint16,AB\n");
    rig.aligned = true;
    rig_advance(7 * S);
    rig_open(2, 60000);
    rig_run(600 * S);
    assert_int_equal(rig.seen, 2 * 11);
    for (size_t i = 2; i < rig.seen; i++) {
        int64_t into_us = (rig.requests[i].us - 1000 * S) % (60 * S);
        assert_int_equal(into_us, i % 2 * 10 * MS);
    }
    rig_end();
}

static void who_is_slow_skips_slots_and_they_are_counted(void **state)
{
    (void)state;
    rig_begin("a,3,10,uint16,AB\n");
    rig.latency = 400 * MS;
    rig_open(1, 100);
    rig_run(10 * S - 1);
    assert_int_equal(rig_count_samples(100, QUALITY_GOOD), 20);
    assert_int_equal(rig_stats_of(0).skipped, 80);
    rig_end();
}

static void options_that_cannot_be_are_refused(void **state)
{
    struct modbus_point_options point = {.reg = 0, .interval_ms = 1000};
    struct modbus_unit_options unit = {.unit = 1, .points = &point, .point_count = 1};
    struct modbus_link_options options = {.timeout_ms = 500, .units = &unit, .unit_count = 1};
    struct driver *driver = NULL;
    struct message message = {""};
    struct now now = {.mono_us = 0};

    (void)state;
    rig_begin("a,3,10,uint64,ABCDEFGH\n");
    unit.map = rig.map;
    options.url.endpoint = rig.endpoint;
    point.reg = 1;
    assert_int_equal(modbus_driver_open(&options, rig_take, &rig, now, &driver, &message),
                     ERR_RANGE);
    assert_string_equal(message.text, "unit 1: its map has no register 1");
    point.reg = 0;
    point.interval_ms = 0;
    assert_int_equal(modbus_driver_open(&options, rig_take, &rig, now, &driver, &message),
                     ERR_RANGE);
    assert_string_equal(message.text, "unit 1: a: interval 0 ms is below 1 ms");
    point.interval_ms = 1000;
    unit.unit = 248;
    assert_int_equal(modbus_driver_open(&options, rig_take, &rig, now, &driver, &message),
                     ERR_RANGE);
    unit.unit = 255;
    unit.max_registers = 3;
    assert_int_equal(modbus_driver_open(&options, rig_take, &rig, now, &driver, &message),
                     ERR_RANGE);
    assert_string_equal(message.text, "unit 255: address 10: a value of 4 registers does not fit "
                                      "into reads of at most 3");
    unit.max_registers = 0;
    options.timeout_ms = 0;
    assert_int_equal(modbus_driver_open(&options, rig_take, &rig, now, &driver, &message),
                     ERR_RANGE);
    options.timeout_ms = 500;
    unit.point_count = 0;
    assert_int_equal(modbus_driver_open(&options, rig_take, &rig, now, &driver, &message),
                     ERR_RANGE);
    options.unit_count = 257;
    assert_int_equal(modbus_driver_open(&options, rig_take, &rig, now, &driver, &message),
                     ERR_RANGE);
    assert_null(driver);
    driver_close(NULL);
    rig_end();
}

/* ---- against the server of libmodbus ------------------------------------------------------- */

static void *serve_by_libmodbus(void *arg)
{
    modbus_t *context = arg;
    modbus_mapping_t *mapping = modbus_mapping_new(16, 16, 64, 64);
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    int len;

    for (int i = 0; i < 64; i++)
        mapping->tab_registers[i] = (uint16_t)(i * 3);
    mapping->tab_bits[5] = 1;
    mapping->tab_input_registers[8] = 0x41AC; /* 21.5 */
    while ((len = modbus_receive(context, query)) >= 0)
        if (len > 0)
            modbus_reply(context, query, len, mapping);
    modbus_mapping_free(mapping);
    return NULL;
}

/* On the real clock, as a program's loop does it. */
static void run_until_samples(size_t wanted)
{
    struct clock *clock = clock_real();

    for (int round = 0; round < 10000 && rig.sample_count < wanted; round++) {
        struct driver_wants wants;
        struct pollfd wait = {.fd = -1};
        int64_t left_us;
        driver_wants(rig.driver, &wants);
        if (wants.count > 0)
            wait = (struct pollfd){.fd = wants.list[0].fd,
                                   .events = wants.list[0].events == EPOLLOUT ? POLLOUT : POLLIN};
        left_us = wants.due_us - clock_read(clock).mono_us;
        (void)poll(&wait, 1, left_us < 0 ? 0 : (int)(left_us / MS) + 1);
        rig.now = clock_read(clock);
        driver_step(rig.driver, rig.now, NULL, 0);
    }
    assert_true(rig.sample_count >= wanted);
}

static void the_server_of_libmodbus_is_read(void **state)
{
    modbus_t *context = modbus_new_tcp("127.0.0.1", 502);
    pthread_t thread;

    (void)state;
    rig_begin("a,3,10,uint16,AB\nb,1,5,bit,\nc,4,8,float32,ABCD\nd,2,5,bit,\ne,3,100,uint16,AB\n");
    rig.now = clock_read(clock_real());
    rig_open(1, 20);
    /* Beginning to connect needs no server that accepts yet. */
    driver_step(rig.driver, rig.now, NULL, 0);
    rig_wait_for(rig.listener, POLLIN);
    rig.server = accept(rig.listener, NULL, NULL);
    modbus_set_socket(context, rig.server);
    assert_int_equal(pthread_create(&thread, NULL, serve_by_libmodbus, context), 0);
    run_until_samples(50);
    assert_true(double_same(rig_last_of(100).value.number, 30));
    assert_true(double_same(rig_last_of(101).value.number, 1));
    assert_true(double_same(rig_last_of(102).value.number, 21.5));
    assert_int_equal(rig_last_of(102).value.kind, VALUE_FLOAT);
    assert_true(double_same(rig_last_of(103).value.number, 0));
    assert_int_equal(rig_last_of(104).cause, CAUSE_MODBUS_EXCEPTION);
    assert_int_equal(rig_last_of(100).quality, QUALITY_GOOD);
    assert_int_equal(rig_stats_of(0).timeouts, 0);
    assert_int_equal(rig_stats_of(0).bad_replies, 0);
    driver_close(rig.driver);
    rig.driver = NULL;
    pthread_join(thread, NULL);
    rig_end();
    modbus_set_socket(context, -1);
    modbus_free(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_are_read_on_their_grid_and_stamped_halfway),
        cmocka_unit_test(a_dead_unit_costs_its_neighbours_one_timeout_at_a_time),
        cmocka_unit_test(a_dead_unit_gives_one_bad_sample_an_interval_stamped_when_due),
        cmocka_unit_test(a_dead_unit_is_probed_ever_more_rarely),
        cmocka_unit_test(a_unit_that_comes_back_is_read_at_once),
        cmocka_unit_test(one_lost_reply_is_asked_for_again),
        cmocka_unit_test(without_a_link_points_are_bad_and_then_read_at_once),
        cmocka_unit_test(after_an_outage_hourly_points_do_not_wait_an_hour),
        cmocka_unit_test(a_refused_read_is_split_until_only_the_hole_is_bad),
        cmocka_unit_test(a_read_passed_over_in_silence_does_not_take_its_unit_down),
        cmocka_unit_test(a_gateway_that_misses_its_unit_keeps_the_link),
        cmocka_unit_test(what_a_unit_refuses_is_bad_and_the_unit_is_up),
        cmocka_unit_test(garbage_is_bad_and_backed_off_from),
        cmocka_unit_test(who_hangs_up_on_one_unit_does_not_lose_the_others),
        cmocka_unit_test(a_connection_that_ends_between_polls_costs_nothing),
        cmocka_unit_test(a_busy_link_still_probes_who_is_down),
        cmocka_unit_test(a_probe_pays_for_the_connection_it_cost),
        cmocka_unit_test(probes_have_at_most_a_tenth_of_the_link),
        cmocka_unit_test(several_that_die_at_once_cost_a_timeout_each_and_then_one_at_a_time),
        cmocka_unit_test(a_unit_recovers_when_all_of_it_was_read),
        cmocka_unit_test(in_an_hour_nothing_drifts_and_no_clock_step_moves_a_poll),
        cmocka_unit_test(aligned_points_are_read_at_full_minutes),
        cmocka_unit_test(who_is_slow_skips_slots_and_they_are_counted),
        cmocka_unit_test(options_that_cannot_be_are_refused),
        cmocka_unit_test(the_server_of_libmodbus_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
