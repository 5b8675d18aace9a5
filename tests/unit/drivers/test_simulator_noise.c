/*
 * Bad lines: what noise does to replies, that all of it is counted, and that the observer of reads
 * hears only of values that reached the client. The time is the test's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/sockets.h"
#include "drivers/simulator/reply_noise.h"
#include "drivers/simulator/rtu_frame.h"
#include "tests/unit/support/server_bed.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define ROUNDS      300
#define LATE_MAX_US INT64_C(3000000)
#define MBAP        6
#define FOREIGN     77

/* ---- what noise does ---- */

static void no_spoilt_reply_passes_its_crc(void **state)
{
    (void)state;
    struct noise noise;
    int fates[4] = {0}, cut = 0;
    noise_init(&noise, 3);
    for (int round = 0; round < 30000; round++) {
        uint8_t reply[RTU_FRAME_MAX] = {1, 3};
        size_t whole = 5 + (size_t)round % 252, len = whole;
        uint16_t crc = rtu_crc(reply, whole - 2);
        reply[whole - 2] = (uint8_t)crc;
        reply[whole - 1] = (uint8_t)(crc >> 8);
        enum reply_fate fate = reply_noise_serial(&noise, reply, &len);
        fates[fate]++;
        cut += len < whole;
        assert_in_range(len, 1, whole);
        if (fate == REPLY_GARBLED && len == whole)
            assert_int_not_equal(rtu_crc(reply, whole), 0);
    }
    assert_int_equal(fates[REPLY_WHOLE] + fates[REPLY_LATE], 0);
    assert_in_range(fates[REPLY_LOST], 9500, 10500);
    assert_in_range(cut, 9500, 10500);
}

static void tcp_loses_or_delays(void **state)
{
    (void)state;
    struct noise noise;
    int fates[4] = {0};
    noise_init(&noise, 3);
    for (int round = 0; round < 10000; round++) {
        int64_t late_us = 0;
        enum reply_fate fate = reply_noise_tcp(&noise, &late_us);
        fates[fate]++;
        if (fate == REPLY_LATE)
            assert_in_range(late_us, 200000, LATE_MAX_US);
    }
    assert_int_equal(fates[REPLY_LOST] + fates[REPLY_LATE], 10000);
    assert_in_range(fates[REPLY_LATE], 4700, 5300);
}

/* ---- a server on either line, and its client ---- */

struct bench {
    struct server_bed bed;
    bool serial;
    char folder[64], path[96];
    int fd;
    int reads, requests;
    struct {
        uint64_t connection;
        uint8_t function;
        uint16_t start, count;
    } last;
};

static void take_note(void *self, uint64_t connection, uint8_t function, uint16_t start,
                      uint16_t count)
{
    struct bench *bench = self;
    bench->reads++;
    bench->last.connection = connection;
    bench->last.function = function;
    bench->last.start = start;
    bench->last.count = count;
}

static void count_request(void *self, uint64_t connection)
{
    struct bench *bench = self;
    bench->requests++;
    bench->last.connection = connection;
}

static int connect_client(const struct bench *bench)
{
    struct endpoint endpoint = {.host = "127.0.0.1", .port = server_port(bench->bed.server)};
    int fd;
    assert_int_equal(socket_connect(&endpoint, &fd), 0);
    struct pollfd writable = {fd, POLLOUT, 0};
    assert_int_equal(poll(&writable, 1, PATIENCE_S * MS_PER_S), 1);
    return fd;
}

static void observe(struct bench *bench)
{
    for (int i = 0; i < BED_UNITS; i++) {
        bench->bed.units[i].on_read = take_note;
        bench->bed.units[i].self = bench;
    }
}

static struct bench *tcp_bench(uint64_t seed)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    assert_non_null(bench);
    struct server_listen listen = {.endpoint = {.host = "127.0.0.1"}, .seed = seed};
    server_bed_open(&bench->bed, &listen);
    bench->fd = connect_client(bench);
    observe(bench);
    return bench;
}

static struct bench *serial_bench(uint64_t seed)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    assert_non_null(bench);
    snprintf(bench->folder, sizeof(bench->folder), "/tmp/chengmai-noise-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    snprintf(bench->path, sizeof(bench->path), "%s/line", bench->folder);
    struct server_listen listen = {.pty = bench->path, .seed = seed};
    server_bed_open(&bench->bed, &listen);
    bench->serial = true;
    bench->fd = open(bench->path, O_RDWR | O_NOCTTY | O_NONBLOCK);
    assert_true(bench->fd >= 0);
    observe(bench);
    return bench;
}

static void bench_free(struct bench *bench)
{
    close(bench->fd);
    server_bed_close(&bench->bed);
    if (bench->serial)
        assert_int_equal(rmdir(bench->folder), 0);
    free(bench);
}

static int setup_tcp(void **state)
{
    *state = tcp_bench(1);
    return 0;
}

static int setup_serial(void **state)
{
    *state = serial_bench(1);
    return 0;
}

static int teardown(void **state)
{
    bench_free(*state);
    return 0;
}

static struct server_stats stats_of(const struct bench *bench)
{
    struct server_stats stats;
    server_stats(bench->bed.server, &stats);
    return stats;
}

/* Sends a request, and has the server hear it at `now_us`. */
static void ask(struct bench *bench, int unit, int function, uint16_t start, uint16_t count,
                int64_t now_us)
{
    uint8_t frame[MBAP + 8] = {0, 0, 0, 0, 0, 6}, *unit_at = frame + MBAP;
    const uint8_t pdu[] = {(uint8_t)unit,  (uint8_t)function,     (uint8_t)(start >> 8),
                           (uint8_t)start, (uint8_t)(count >> 8), (uint8_t)count};
    memcpy(unit_at, pdu, sizeof(pdu));
    uint16_t crc = rtu_crc(unit_at, sizeof(pdu));
    unit_at[6] = (uint8_t)crc;
    unit_at[7] = (uint8_t)(crc >> 8);
    uint64_t before = stats_of(bench).requests;
    ssize_t n = bench->serial ? write(bench->fd, unit_at, 8) : write(bench->fd, frame, MBAP + 6);
    assert_int_equal(n, bench->serial ? 8 : MBAP + 6);
    while (stats_of(bench).requests == before) {
        server_bed_await(&bench->bed);
        server_step(bench->bed.server, now_us);
    }
}

/* ---- the observer ---- */

static void expect_noted(struct bench *bench, int unit, int function, uint16_t start,
                         uint16_t count)
{
    int before = bench->reads;
    ask(bench, unit, function, start, count, 0);
    assert_int_equal(bench->reads, before + 1);
    assert_int_equal(bench->last.function, function);
    assert_int_equal(bench->last.start, start);
    assert_int_equal(bench->last.count, count);
}

static void the_observer_hears_of_values_that_were_read(void **state)
{
    struct bench *bench = *state;
    expect_noted(bench, 1, 1, 7, 2000);
    expect_noted(bench, 2, 2, 0, 1);
    expect_noted(bench, 1, 3, 65535, 1);
    expect_noted(bench, 2, 4, 513, 125);
}

static void the_observer_hears_of_nothing_else(void **state)
{
    struct bench *bench = *state;
    ask(bench, 1, 3, 65535, 2, 0); /* beyond the last */
    ask(bench, 1, 3, 0, 126, 0);   /* too many */
    ask(bench, 1, 6, 0, 1, 0);
    ask(bench, 1, 5, 0, 0xFF00, 0);
    ask(bench, EXCEPTION_UNIT, 3, 0, 1, 0);
    ask(bench, DEAD_UNIT, 3, 0, 1, 0);
    ask(bench, FOREIGN, 3, 0, 1, 0);
    assert_int_equal(bench->reads, 0);
    assert_int_equal(stats_of(bench).requests, 7);
    assert_int_equal(stats_of(bench).foreign, 1);
    assert_int_equal(stats_of(bench).replies, bench->serial ? 5 : 6);
    bench->bed.units[0].on_read = NULL;
    ask(bench, 1, 3, 0, 1, 0);
}

static void every_request_is_told_before_its_answer(void **state)
{
    struct bench *bench = *state;
    bench->bed.units[0].on_request = count_request;
    ask(bench, 1, 3, 0, 1, 0);
    ask(bench, 2, 3, 0, 1, 0); /* to another unit, over the same connection */
    ask(bench, FOREIGN, 3, 0, 1, 0);
    assert_int_equal(bench->requests, 3);
    assert_int_equal(bench->reads, 2);
}

static void connections_are_told_apart(void **state)
{
    struct bench *bench = *state;
    uint64_t seen[3];
    for (int i = 0; i < 3; i++) {
        ask(bench, 1, 3, 0, 1, 0);
        seen[i] = bench->last.connection;
        ask(bench, 1, 3, 0, 1, 0);
        assert_int_equal(bench->last.connection, seen[i]);
        close(bench->fd);
        bench->fd = connect_client(bench); /* has the descriptor that the last one had */
    }
    assert_true(seen[0] != seen[1] && seen[1] != seen[2] && seen[2] != seen[0]);
}

/* ---- noise ---- */

/* Asks many times; what comes is thrown away. */
static void run(struct bench *bench, double probability)
{
    server_set_noise(bench->bed.server, probability);
    for (int i = 0; i < ROUNDS; i++) {
        ask(bench, 1, 3, 0, 10, i * LATE_MAX_US);
        uint8_t junk[1024];
        while (read(bench->fd, junk, sizeof(junk)) > 0)
            ;
        if (bench->serial)
            tcflush(bench->fd, TCIFLUSH);
    }
    server_step(bench->bed.server, ROUNDS * LATE_MAX_US);
    assert_true(server_due(bench->bed.server) == NEVER);
}

static void expect_books(const struct bench *bench, double probability)
{
    struct server_stats stats = stats_of(bench);
    uint64_t spoilt = stats.lost + stats.garbled + stats.late;
    assert_int_equal(stats.requests, ROUNDS);
    assert_int_equal(stats.replies + stats.garbled + stats.lost, ROUNDS);
    assert_int_equal(bench->reads, ROUNDS - spoilt);
    assert_in_range(spoilt, (uint64_t)(ROUNDS * probability * 0.7),
                    (uint64_t)(ROUNDS * probability * 1.3));
    assert_int_equal(bench->serial ? stats.late : stats.garbled, 0);
}

static void noise_takes_its_share_and_all_of_it_is_counted(void **state)
{
    (void)state;
    static const double probabilities[] = {0, 0.3, 1};
    for (size_t i = 0; i < 3; i++) {
        struct bench *tcp = tcp_bench(i), *serial = serial_bench(i);
        run(tcp, probabilities[i]);
        expect_books(tcp, probabilities[i]);
        run(serial, probabilities[i]);
        expect_books(serial, probabilities[i]);
        bench_free(tcp);
        bench_free(serial);
    }
}

static void the_same_seed_makes_the_same_noise(void **state)
{
    (void)state;
    struct server_stats stats[3];
    static const uint64_t seeds[] = {8, 8, 9};
    for (int i = 0; i < 3; i++) {
        struct bench *bench = serial_bench(seeds[i]);
        run(bench, 0.4);
        stats[i] = stats_of(bench);
        bench_free(bench);
    }
    assert_memory_equal(&stats[0], &stats[1], sizeof(stats[0]));
    assert_memory_not_equal(&stats[0], &stats[2], sizeof(stats[0]));
}

/* Asks until a reply is being held back. */
static void ask_until_late(struct bench *bench)
{
    server_set_noise(bench->bed.server, 1);
    for (int i = 0; server_due(bench->bed.server) == NEVER; i++) {
        assert_in_range(i, 0, 100);
        ask(bench, 1, 3, 0, 1, 0);
    }
    server_set_noise(bench->bed.server, 0);
}

static void a_late_reply_comes_at_its_time_behind_a_younger_one(void **state)
{
    struct bench *bench = *state;
    uint8_t reply[11];
    ask_until_late(bench);
    int64_t due_us = server_due(bench->bed.server);
    server_step(bench->bed.server, due_us - 1);
    assert_int_equal(stats_of(bench).replies, 0);
    ask(bench, 2, 3, 0, 1, 0);
    server_bed_read(bench->fd, reply, sizeof(reply));
    assert_int_equal(reply[MBAP], 2);
    server_step(bench->bed.server, due_us);
    server_bed_read(bench->fd, reply, sizeof(reply));
    assert_int_equal(reply[MBAP], 1);
    assert_int_equal(stats_of(bench).late, 1);
    assert_int_equal(bench->reads, 1); /* of the younger */
}

static void a_late_reply_never_comes_to_another_client(void **state)
{
    struct bench *bench = *state;
    ask_until_late(bench);
    uint64_t lost = stats_of(bench).lost;
    close(bench->fd);
    while (server_due(bench->bed.server) != NEVER) { /* until its end is heard of */
        server_bed_await(&bench->bed);
        server_step(bench->bed.server, 0);
    }
    assert_int_equal(stats_of(bench).lost, lost + 1);
    bench->fd = connect_client(bench); /* has the descriptor that the first one had */
    server_step(bench->bed.server, LATE_MAX_US);
    ask(bench, 2, 3, 0, 1, LATE_MAX_US);
    uint8_t reply[11];
    server_bed_read(bench->fd, reply, sizeof(reply));
    assert_int_equal(reply[MBAP], 2);
}

static void more_late_replies_than_there_is_room_for_are_lost(void **state)
{
    struct bench *bench = *state;
    server_set_noise(bench->bed.server, 1);
    for (int i = 0; i < ROUNDS; i++)
        ask(bench, 1, 3, 0, 1, 0);
    server_step(bench->bed.server, LATE_MAX_US);
    assert_int_equal(stats_of(bench).late, 64);
    assert_int_equal(stats_of(bench).lost, ROUNDS - 64);
}

#define WITH_TCP(name)    cmocka_unit_test_setup_teardown(name, setup_tcp, teardown)
#define WITH_SERIAL(name) cmocka_unit_test_setup_teardown(name, setup_serial, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_spoilt_reply_passes_its_crc),
        cmocka_unit_test(tcp_loses_or_delays),
        WITH_TCP(the_observer_hears_of_values_that_were_read),
        WITH_SERIAL(the_observer_hears_of_values_that_were_read),
        WITH_TCP(the_observer_hears_of_nothing_else),
        WITH_SERIAL(the_observer_hears_of_nothing_else),
        WITH_TCP(every_request_is_told_before_its_answer),
        WITH_SERIAL(every_request_is_told_before_its_answer),
        WITH_TCP(connections_are_told_apart),
        cmocka_unit_test(noise_takes_its_share_and_all_of_it_is_counted),
        cmocka_unit_test(the_same_seed_makes_the_same_noise),
        WITH_TCP(a_late_reply_comes_at_its_time_behind_a_younger_one),
        WITH_TCP(a_late_reply_never_comes_to_another_client),
        WITH_TCP(more_late_replies_than_there_is_room_for_are_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
