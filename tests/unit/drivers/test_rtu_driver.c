/* The driver over a serial server by hand, on virtual time: who did not answer is left alone, and
 * its neighbour is read on time all the same. */
#include "drivers/modbus/modbus_driver.h"

#include "base/numbers.h"
#include "drivers/modbus/rtu_wire.h"
#include "tests/unit/support/gateway_rig.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define UNITS       2
#define SERVED_MAX  4000
#define REQUEST     8
#define LATENCY     (10 * MS)
#define INTERVAL_MS 1000
#define SHORT_MS    200

struct served {
    int64_t us;
    uint8_t unit;
};

struct bench {
    struct driver *driver;
    struct register_map *map;
    int listener, far;
    struct now now;
    bool silent, misfitting; /* unit 1 */
    uint8_t absent;
    size_t good[UNITS + 1], bad[UNITS + 1];
    int64_t last_us[UNITS + 1], longest_us[UNITS + 1]; /* between two good samples */
    struct served served[SERVED_MAX];
    size_t served_count;
};

static void take(void *self, const struct sample *samples, size_t count)
{
    struct bench *bench = self;
    for (size_t i = 0; i < count; i++) {
        uint32_t unit = samples[i].point;
        if (samples[i].quality != QUALITY_GOOD) {
            bench->bad[unit]++;
            continue;
        }
        assert_true(double_same(samples[i].value.number, unit * 256.0 + 7));
        if (bench->good[unit]++ > 0 &&
            bench->now.mono_us - bench->last_us[unit] > bench->longest_us[unit])
            bench->longest_us[unit] = bench->now.mono_us - bench->last_us[unit];
        bench->last_us[unit] = bench->now.mono_us;
    }
}

static void begin_at(struct bench *bench, unsigned baud, unsigned first_ms, unsigned second_ms)
{
    static struct modbus_point_options points[UNITS];
    static struct modbus_unit_options units[UNITS];
    struct modbus_link_options options = {.url = {.kind = LINK_RTU_TCP,
                                                  .endpoint = {.host = "127.0.0.1"},
                                                  .parity = 'N',
                                                  .stop = 1,
                                                  .baud = baud},
                                          .timeout_ms = TIMEOUT / MS,
                                          .units = units,
                                          .unit_count = UNITS};
    struct message message = {""};

    *bench = (struct bench){.far = -1, .now = {.mono_us = 1000 * S, .wall_ms = WALL0}};
    bench->map = rig_map_of("a,3,7,uint16,AB\n");
    assert_int_equal(
        socket_listen(&options.url.endpoint, 8, &bench->listener, &options.url.endpoint.port, NULL),
        0);
    for (uint32_t i = 0; i < UNITS; i++) {
        points[i] = (struct modbus_point_options){.interval_ms = i == 0 ? first_ms : second_ms,
                                                  .number = i + 1};
        units[i] = (struct modbus_unit_options){
            .unit = (uint8_t)(i + 1), .map = bench->map, .points = &points[i], .point_count = 1};
    }
    if (modbus_driver_open(&options, take, bench, bench->now, &bench->driver, &message) != 0)
        fail_msg("%s", message.text);
}

static void begin(struct bench *bench)
{
    begin_at(bench, 0, INTERVAL_MS, INTERVAL_MS);
}

static void end(struct bench *bench)
{
    driver_close(bench->driver);
    register_map_free(bench->map);
    close(bench->listener);
    close(bench->far);
}

static void wait_for(int fd, short events)
{
    struct pollfd wait = {.fd = fd, .events = events};
    assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
}

static void advance(struct bench *bench, int64_t to_us)
{
    bench->now.wall_ms += (to_us - bench->now.mono_us) / MS;
    bench->now.mono_us = to_us;
    driver_step(bench->driver, bench->now, NULL, 0);
}

/* A request that has arrived, if one has; true when it was answered. */
static bool serve(struct bench *bench, int fd)
{
    uint8_t frame[REQUEST], reply[7] = {0, 3, 2, 0, 7};
    if (recv(bench->far, frame, REQUEST, MSG_DONTWAIT) != REQUEST)
        return false;
    assert_true(bench->served_count < SERVED_MAX);
    bench->served[bench->served_count++] =
        (struct served){.us = bench->now.mono_us, .unit = frame[0]};
    if ((frame[0] == 1 && bench->silent) || frame[0] == bench->absent)
        return false;
    if (frame[0] == 1 && bench->misfitting)
        reply[1] = 4;
    reply[0] = reply[3] = frame[0];
    uint16_t crc = rtu_crc(reply, 5);
    reply[5] = (uint8_t)crc;
    reply[6] = (uint8_t)(crc >> 8);
    assert_int_equal(send(bench->far, reply, sizeof reply, MSG_NOSIGNAL), sizeof reply);
    wait_for(fd, POLLIN);
    return true;
}

static void run(struct bench *bench, int64_t us)
{
    int64_t until_us = bench->now.mono_us + us;
    while (bench->now.mono_us < until_us) {
        struct driver_wants wants;
        driver_wants(bench->driver, &wants);
        if (wants.count > 0 && wants.list[0].events == EPOLLOUT) {
            wait_for(wants.list[0].fd, POLLOUT);
            driver_step(bench->driver, bench->now, NULL, 0);
            wait_for(bench->listener, POLLIN);
            bench->far = accept(bench->listener, NULL, NULL);
        } else if (wants.count > 0 && serve(bench, wants.list[0].fd)) {
            advance(bench, bench->now.mono_us + LATENCY);
        } else {
            assert_true(wants.due_us > bench->now.mono_us || bench->served_count == 0);
            advance(bench, wants.due_us < until_us ? wants.due_us : until_us);
        }
    }
}

static void both_units_are_read_over_one_connection(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench);
    run(&bench, 60 * S);
    assert_int_equal(bench.good[1], 60);
    assert_int_equal(bench.good[2], 60);
    assert_int_equal(bench.bad[1] + bench.bad[2], 0);
    end(&bench);
}

static void who_did_not_answer_is_left_alone_and_its_neighbour_is_not(void **state)
{
    struct bench bench;
    struct modbus_link_stats link;
    int64_t before_us = 0;

    (void)state;
    begin(&bench);
    bench.silent = true;
    run(&bench, 60 * S);
    assert_int_equal(bench.good[1], 0);
    assert_true(bench.bad[1] >= 58);
    assert_int_equal(bench.bad[2], 0);
    assert_true(bench.good[2] >= 59);
    assert_true(bench.longest_us[2] <= INTERVAL_MS * MS + TIMEOUT + LATENCY);
    for (size_t i = 0; i < bench.served_count; i++) {
        if (bench.served[i].unit != 1)
            continue;
        /* The timeout, and a second after it. */
        assert_true(before_us == 0 || bench.served[i].us - before_us >= TIMEOUT + 1 * S);
        before_us = bench.served[i].us;
    }
    modbus_driver_link_stats(bench.driver, &link);
    assert_int_equal(link.connects, 1);
    bench.silent = false;
    run(&bench, 120 * S);
    assert_true(bench.good[1] > 50);
    end(&bench);
}

/* However it came to be left alone, nobody waits behind it. */
static void who_answers_wrongly_does_not_hold_up_its_neighbour(void **state)
{
    struct bench bench;

    (void)state;
    begin_at(&bench, 0, SHORT_MS, SHORT_MS);
    bench.misfitting = true;
    run(&bench, 60 * S);
    assert_int_equal(bench.good[1], 0);
    assert_true(bench.bad[1] >= 35);
    assert_int_equal(bench.bad[2], 0);
    assert_true(bench.longest_us[2] <= SHORT_MS * MS + TIMEOUT + LATENCY);
    end(&bench);
}

static void a_persons_read_in_vain_does_not_hold_up_its_neighbour(void **state)
{
    struct modbus_request request = {.unit = 1, .function = 3, .start = 7, .count = 1};
    struct bench bench;

    (void)state;
    begin_at(&bench, 0, INTERVAL_MS, SHORT_MS);
    run(&bench, 5 * S);
    bench.silent = true;
    assert_int_equal(modbus_driver_want(bench.driver, &request, bench.now), 0);
    advance(&bench, bench.now.mono_us + 1);
    run(&bench, 5 * S);
    assert_int_equal(bench.bad[2], 0);
    assert_true(bench.longest_us[2] <= SHORT_MS * MS + TIMEOUT + LATENCY);
    end(&bench);
}

/* Asked for again and again: the line is the polls' nine times as long as it was lost. */
static void reads_in_vain_by_a_person_are_spaced_out(void **state)
{
    struct modbus_request request = {.unit = 9, .function = 3, .start = 7, .count = 1};
    struct bench bench;
    size_t tries = 0;

    (void)state;
    begin(&bench);
    bench.absent = 9;
    run(&bench, 5 * S);
    for (int64_t until_us = bench.now.mono_us + 60 * S; bench.now.mono_us < until_us;) {
        if (modbus_driver_want(bench.driver, &request, bench.now) == 0)
            tries++;
        advance(&bench, bench.now.mono_us + 1);
        run(&bench, 100 * MS);
    }
    size_t asked = 0;
    for (size_t i = 0; i < bench.served_count; i++)
        asked += bench.served[i].unit == 9;
    assert_in_range(tries, 10, 14);
    assert_in_range(asked, 10, 13);
    end(&bench);
}

/* A stray byte each ms: never the silence that stands before a frame. */
static void a_line_that_babbles_has_samples_all_the_same(void **state)
{
    struct driver_wants wants;
    struct bench bench;

    (void)state;
    begin_at(&bench, 9600, INTERVAL_MS, INTERVAL_MS);
    run(&bench, 5 * S);
    size_t before = bench.good[2] + bench.bad[2];
    for (int i = 0; i < 20000; i++) {
        driver_wants(bench.driver, &wants);
        assert_int_equal(wants.count, 1);
        serve(&bench, wants.list[0].fd);
        assert_int_equal(send(bench.far, "5", 1, MSG_NOSIGNAL), 1);
        wait_for(wants.list[0].fd, POLLIN);
        advance(&bench, bench.now.mono_us + MS);
    }
    assert_true(bench.good[2] + bench.bad[2] >= before + 5);
    end(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_units_are_read_over_one_connection),
        cmocka_unit_test(who_did_not_answer_is_left_alone_and_its_neighbour_is_not),
        cmocka_unit_test(who_answers_wrongly_does_not_hold_up_its_neighbour),
        cmocka_unit_test(a_persons_read_in_vain_does_not_hold_up_its_neighbour),
        cmocka_unit_test(reads_in_vain_by_a_person_are_spaced_out),
        cmocka_unit_test(a_line_that_babbles_has_samples_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
