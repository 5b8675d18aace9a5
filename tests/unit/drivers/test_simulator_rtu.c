/*
 * The simulator on a serial line: libmodbus as the master on the pseudo-terminal; then requests and
 * noise byte by byte, the time being the test's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "drivers/simulator/rtu_frame.h"
#include "tests/unit/support/server_bed.h"

#include <errno.h>
#include <fcntl.h>
#include <modbus/modbus.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NO_ANSWER_US 200000 /* how long a client waits for what must not come */
#define FOREIGN_UNIT 77
#define BAUD         9600
#define SILENCE_US   10000 /* of a pseudo-terminal, between frames */

struct bench {
    struct server_bed bed;
    char folder[64], path[96];
    int fd; /* the line's other end */
};

static void bench_folder(struct bench *bench)
{
    snprintf(bench->folder, sizeof(bench->folder), "/tmp/chengmai-rtu-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    snprintf(bench->path, sizeof(bench->path), "%s/line", bench->folder);
}

static struct bench *bench_new(unsigned baud)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    assert_non_null(bench);
    bench_folder(bench);
    struct server_listen listen = {.pty = bench->path, .baud = baud};
    server_bed_open(&bench->bed, &listen);
    bench->fd = open(bench->path, O_RDWR | O_NOCTTY | O_NONBLOCK);
    assert_true(bench->fd >= 0);
    return bench;
}

static int setup(void **state)
{
    *state = bench_new(0);
    return 0;
}

static int setup_paced(void **state)
{
    *state = bench_new(BAUD);
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    close(bench->fd);
    server_bed_close(&bench->bed);
    assert_int_equal(rmdir(bench->folder), 0); /* the link is gone */
    free(bench);
    return 0;
}

static struct server_stats stats_of(const struct bench *bench)
{
    struct server_stats stats;
    server_stats(bench->bed.server, &stats);
    return stats;
}

/* ---- a real master ---- */

static modbus_t *connect_master(const struct bench *bench)
{
    modbus_t *master = modbus_new_rtu(bench->path, BAUD, 'E', 8, 1);
    assert_non_null(master);
    modbus_set_response_timeout(master, PATIENCE_S, 0);
    modbus_set_byte_timeout(master, PATIENCE_S, 0);
    assert_int_equal(modbus_connect(master), 0);
    return master;
}

static void disconnect(modbus_t *master)
{
    modbus_close(master);
    modbus_free(master);
}

static void expect_registers(modbus_t *master, int unit, int start, int count)
{
    uint16_t values[MODBUS_MAX_READ_REGISTERS] = {0};
    modbus_set_slave(master, unit);
    assert_int_equal(modbus_read_registers(master, start, count, values), count);
    for (int n = 0; n < count; n++)
        assert_int_equal(values[n], server_bed_register(unit, start + n));
}

static void expect_silence(modbus_t *master, int unit)
{
    uint16_t value;
    modbus_set_response_timeout(master, 0, NO_ANSWER_US);
    modbus_set_slave(master, unit);
    assert_int_equal(modbus_read_registers(master, 0, 1, &value), -1);
    assert_int_equal(errno, ETIMEDOUT);
    modbus_set_response_timeout(master, PATIENCE_S, 0);
}

static void units_answer_each_with_its_own_and_others_are_silent(void **state)
{
    struct bench *bench = *state;
    server_bed_start(&bench->bed);
    modbus_t *master = connect_master(bench);
    expect_registers(master, 1, 0, 10);
    expect_registers(master, 2, 100, MODBUS_MAX_READ_REGISTERS);
    expect_silence(master, FOREIGN_UNIT);
    expect_registers(master, 2, SERVER_REGISTERS - 1, 1);
    expect_silence(master, DEAD_UNIT);
    expect_registers(master, 1, 5, 1);
    disconnect(master);
    server_bed_stop(&bench->bed);
    struct server_stats stats = stats_of(bench);
    assert_int_equal(stats.requests, 6);
    assert_int_equal(stats.replies, 4);
    assert_int_equal(stats.foreign, 1);
    assert_int_equal(stats.crc_errors + stats.lost + stats.unheard, 0);
    assert_int_equal(bench->bed.units[1].requests, 2);
    assert_int_equal(bench->bed.units[DEAD_UNIT - 1].requests, 0);
}

static void expect_exception(modbus_t *master, int unit, int start, int count, int error)
{
    uint16_t values[MODBUS_MAX_READ_REGISTERS];
    modbus_set_slave(master, unit);
    assert_int_equal(modbus_read_registers(master, start, count, values), -1);
    assert_int_equal(errno, error);
}

static void exceptions_are_told_and_end_nothing(void **state)
{
    struct bench *bench = *state;
    server_bed_start(&bench->bed);
    modbus_t *master = connect_master(bench);
    expect_exception(master, EXCEPTION_UNIT, 0, 1, EMBXSFAIL);
    expect_exception(master, 1, SERVER_REGISTERS - 1, 2, EMBXILADD);
    expect_registers(master, 1, 0, 1);
    disconnect(master);
}

static void all_functions_are_answered(void **state)
{
    struct bench *bench = *state;
    server_bed_start(&bench->bed);
    modbus_t *master = connect_master(bench);
    uint8_t bits[20];
    uint16_t words[] = {4711, 4712}, values[3] = {0};
    modbus_set_slave(master, 2);
    assert_int_equal(modbus_read_bits(master, 7, 20, bits), 20);
    assert_int_equal(bits[3], server_bed_bit(2, 10));
    assert_int_equal(modbus_read_input_bits(master, 8, 20, bits), 20);
    assert_int_equal(bits[3], server_bed_bit(2, 11));
    assert_int_equal(modbus_read_input_registers(master, 9, 2, values), 2);
    assert_int_equal(values[1], server_bed_register(2, 10));
    assert_int_equal(modbus_write_bit(master, 7, 1), 1);
    assert_int_equal(modbus_write_bits(master, 8, 20, bits), 20);
    assert_int_equal(modbus_write_register(master, 9, 1), 1);
    assert_int_equal(modbus_write_registers(master, 10, 2, words), 2);
    assert_int_equal(modbus_mask_write_register(master, 9, 0, 0x55), 1);
    assert_int_equal(modbus_write_and_read_registers(master, 20, 2, words, 9, 3, values), 3);
    assert_int_equal(values[0], 0x55);
    assert_int_equal(values[2], 4712);
    disconnect(master);
    server_bed_stop(&bench->bed);
    assert_int_equal(bench->bed.units[1].bits[7], 1);
    assert_int_equal(bench->bed.units[1].registers[21], 4712);
}

static void masters_come_and_go(void **state)
{
    struct bench *bench = *state;
    close(bench->fd);
    bench->fd = -1; /* no other than the master holds the line */
    server_bed_start(&bench->bed);
    for (int round = 0; round < 5; round++) {
        modbus_t *master = connect_master(bench);
        expect_registers(master, 1 + round % 2, round, 3);
        disconnect(master);
    }
}

/* As if killed: nothing is put back to what it was. */
static void a_master_may_vanish_and_another_one_open_the_line(void **state)
{
    struct bench *bench = *state;
    server_bed_start(&bench->bed);
    for (int round = 0; round < 3; round++) {
        modbus_t *master = connect_master(bench);
        expect_registers(master, 1, round, 3);
        close(modbus_get_socket(master));
        modbus_free(master);
    }
}

/* ---- byte by byte, at a time of the test's ---- */

/* With its CRC; the whole size. */
static size_t seal(uint8_t *frame, size_t len)
{
    uint16_t crc = rtu_crc(frame, len);
    frame[len] = (uint8_t)crc;
    frame[len + 1] = (uint8_t)(crc >> 8);
    return len + 2;
}

static size_t read_request(uint8_t frame[8], int unit, int function, int start, int count)
{
    const uint8_t bytes[] = {(uint8_t)unit,  (uint8_t)function,     (uint8_t)(start >> 8),
                             (uint8_t)start, (uint8_t)(count >> 8), (uint8_t)count};
    memcpy(frame, bytes, sizeof(bytes));
    return seal(frame, sizeof(bytes));
}

static uint64_t heard(const struct bench *bench)
{
    struct server_stats stats = stats_of(bench);
    return stats.requests + stats.crc_errors;
}

/* Sends, and has the server hear it at `now_us`: one request, or one stretch that is none. */
static void say(struct bench *bench, const uint8_t *bytes, size_t len, int64_t now_us)
{
    uint64_t before = heard(bench);
    assert_int_equal(write(bench->fd, bytes, len), len);
    while (heard(bench) == before) {
        server_bed_await(&bench->bed);
        server_step(bench->bed.server, now_us);
    }
    assert_int_equal(heard(bench), before + 1);
}

static void ask(struct bench *bench, int unit, int start, int count, int64_t now_us)
{
    uint8_t frame[8];
    say(bench, frame, read_request(frame, unit, MODBUS_FC_READ_HOLDING_REGISTERS, start, count),
        now_us);
}

/* The next that comes is that reply. */
static void expect_reply(struct bench *bench, int unit, int start, int count)
{
    uint8_t expected[RTU_FRAME_MAX] = {(uint8_t)unit, MODBUS_FC_READ_HOLDING_REGISTERS,
                                       (uint8_t)(2 * count)};
    uint8_t reply[RTU_FRAME_MAX];
    size_t len = 3;
    for (int n = 0; n < count; n++) {
        uint16_t value = server_bed_register(unit, start + n);
        expected[len++] = (uint8_t)(value >> 8);
        expected[len++] = (uint8_t)value;
    }
    len = seal(expected, len);
    server_bed_read(bench->fd, reply, len);
    assert_memory_equal(reply, expected, len);
}

static void a_wrong_crc_is_silent_and_the_next_frame_answered(void **state)
{
    struct bench *bench = *state;
    uint8_t frame[8];
    size_t len = read_request(frame, 1, MODBUS_FC_READ_HOLDING_REGISTERS, 0, 2);
    frame[len - 1] ^= 1;
    say(bench, frame, len, 0);
    assert_int_equal(stats_of(bench).crc_errors, 1);
    assert_int_equal(stats_of(bench).requests, 0);
    ask(bench, 2, 3, 4, SILENCE_US);
    expect_reply(bench, 2, 3, 4);
    assert_int_equal(stats_of(bench).crc_errors, 1);
}

static void half_a_frame_is_forgotten_after_silence(void **state)
{
    struct bench *bench = *state;
    uint8_t frame[8];
    read_request(frame, 1, MODBUS_FC_READ_HOLDING_REGISTERS, 0, 2);
    assert_true(server_due(bench->bed.server) == NEVER);
    assert_int_equal(write(bench->fd, frame, 5), 5);
    while (server_due(bench->bed.server) == NEVER) {
        server_bed_await(&bench->bed);
        server_step(bench->bed.server, 1000);
    }
    assert_int_equal(server_due(bench->bed.server), 1000 + SILENCE_US);
    server_step(bench->bed.server, 1000 + SILENCE_US);
    assert_int_equal(stats_of(bench).crc_errors, 1);
    assert_true(server_due(bench->bed.server) == NEVER);
    ask(bench, 1, 0, 2, 2 * SILENCE_US);
    expect_reply(bench, 1, 0, 2);
}

static void a_function_it_does_not_know_is_refused_after_silence(void **state)
{
    struct bench *bench = *state;
    uint8_t identify[7] = {2, 43, 14, 1, 0}, refusal[5] = {2, 43 | 0x80, 1}, reply[5];
    size_t len = seal(identify, 5);
    assert_int_equal(write(bench->fd, identify, len), len);
    server_bed_await(&bench->bed);
    server_step(bench->bed.server, 0);
    assert_int_equal(heard(bench), 0);
    server_step(bench->bed.server, server_due(bench->bed.server));
    assert_int_equal(stats_of(bench).replies, 1);
    server_bed_read(bench->fd, reply, seal(refusal, 3));
    assert_memory_equal(reply, refusal, sizeof(refusal));
}

static void a_broadcast_is_obeyed_by_the_living_and_answered_by_nobody(void **state)
{
    struct bench *bench = *state;
    uint8_t write_one[8] = {0, MODBUS_FC_WRITE_SINGLE_REGISTER, 0, 9, 0x12, 0x67}, read_bad[8];
    say(bench, write_one, seal(write_one, 6), 0);
    assert_int_equal(bench->bed.units[0].registers[9], 0x1267);
    assert_int_equal(bench->bed.units[1].registers[9], 0x1267);
    assert_int_equal(bench->bed.units[2].registers[9], server_bed_register(DEAD_UNIT, 9));
    say(bench, read_bad, read_request(read_bad, 0, 3, 0, 0), 0); /* refused, did it not go to all */
    ask(bench, 2, 20, 1, 0);
    expect_reply(bench, 2, 20, 1);
    assert_int_equal(stats_of(bench).replies, 1);
    assert_int_equal(stats_of(bench).foreign, 0);
}

static void a_reply_leaves_when_the_line_would_have_carried_it(void **state)
{
    struct bench *bench = *state;
    const int64_t begin_us = 5000;
    ask(bench, 1, 0, 10, begin_us);
    /* 8 + 25 characters of 11 bits, and the silence of 3.5. */
    int64_t due_us = begin_us + 33 * 11 * INT64_C(1000000) / BAUD + 1 + 4011;
    assert_int_equal(server_due(bench->bed.server), due_us);
    server_step(bench->bed.server, due_us - 1);
    assert_int_equal(stats_of(bench).replies, 0);
    server_step(bench->bed.server, due_us);
    assert_int_equal(stats_of(bench).replies, 1);
    assert_true(server_due(bench->bed.server) == NEVER);
    expect_reply(bench, 1, 0, 10);
}

static void a_busy_line_hears_nothing(void **state)
{
    struct bench *bench = *state;
    ask(bench, 1, 0, 10, 0);
    ask(bench, 2, 0, 1, 1000);
    int64_t due_us = server_due(bench->bed.server);
    server_step(bench->bed.server, due_us);
    expect_reply(bench, 1, 0, 10);
    assert_int_equal(stats_of(bench).requests, 2);
    assert_int_equal(stats_of(bench).replies, 1);
    assert_int_equal(stats_of(bench).unheard, 1);
    ask(bench, 2, 7, 1, due_us);
    server_step(bench->bed.server, server_due(bench->bed.server));
    expect_reply(bench, 2, 7, 1);
}

static void who_does_not_read_loses_replies_and_blocks_nobody(void **state)
{
    struct bench *bench = *state;
    for (int64_t i = 0; stats_of(bench).lost == 0; i++) {
        assert_in_range(i, 0, 1000);
        ask(bench, 1, 0, 125, i);
    }
    assert_true(stats_of(bench).replies > 5);
    tcflush(bench->fd, TCIFLUSH);
    ask(bench, 2, 0, 1, 0);
    expect_reply(bench, 2, 0, 1);
}

/* ---- the path ---- */

static int try_open(const struct bench *bench, unsigned baud)
{
    struct server_listen listen = {.pty = bench->path, .baud = baud};
    struct server *server = NULL;
    struct message message = {""};
    int err = server_open(&listen, NULL, 0, &server, &message);
    if (err)
        assert_non_null(strstr(message.text, bench->path));
    server_close(server);
    return err;
}

static bool is_there(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

static void what_is_no_link_of_ours_stays(void **state)
{
    (void)state;
    struct bench bench;
    bench_folder(&bench);
    int fd = open(bench.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(try_open(&bench, 0), ERR_CONFLICT);
    assert_true(is_there(bench.path));
    unlink(bench.path);
    assert_int_equal(symlink(bench.folder, bench.path), 0); /* a link, elsewhere */
    assert_int_equal(try_open(&bench, 0), ERR_CONFLICT);
    assert_true(is_there(bench.path));
    unlink(bench.path);
    rmdir(bench.folder);
    assert_int_equal(try_open(&bench, 0), ERR_IO); /* no such folder */
}

static void old_links_are_replaced_and_removed_at_the_end(void **state)
{
    (void)state;
    struct bench bench;
    char device[64];
    int master, slave;
    bench_folder(&bench);
    assert_int_equal(symlink("/dev/pts/none", bench.path), 0);
    assert_int_equal(try_open(&bench, 0), 0);
    assert_false(is_there(bench.path));

    /* Its number has gone to somebody else's terminal since. */
    assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
    assert_int_equal(ttyname_r(slave, device, sizeof(device)), 0);
    assert_int_equal(symlink(device, bench.path), 0);
    assert_int_equal(try_open(&bench, 0), 0);
    assert_false(is_there(bench.path));
    close(master);
    close(slave);
    assert_int_equal(rmdir(bench.folder), 0);
}

static void a_line_that_is_served_is_not_taken_away(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(try_open(bench, 0), ERR_CONFLICT);
    ask(bench, 1, 0, 1, 0);
    expect_reply(bench, 1, 0, 1);
}

static void a_link_that_somebody_else_made_since_stays(void **state)
{
    (void)state;
    struct bench *bench = bench_new(0);
    assert_int_equal(unlink(bench->path), 0);
    assert_int_equal(symlink("/dev/null", bench->path), 0);
    close(bench->fd);
    server_bed_close(&bench->bed);
    assert_true(is_there(bench->path));
    unlink(bench->path);
    rmdir(bench->folder);
    free(bench);
}

static void speeds_that_no_line_has_are_refused(void **state)
{
    (void)state;
    struct bench bench;
    bench_folder(&bench);
    assert_int_equal(try_open(&bench, SERVER_BAUD_MIN - 1), ERR_RANGE);
    assert_int_equal(try_open(&bench, SERVER_BAUD_MAX + 1), ERR_RANGE);
    assert_int_equal(try_open(&bench, SERVER_BAUD_MIN), 0);
    assert_int_equal(try_open(&bench, SERVER_BAUD_MAX), 0);
    assert_int_equal(rmdir(bench.folder), 0);
}

#define WITH_LINE(name)  cmocka_unit_test_setup_teardown(name, setup, teardown)
#define WITH_SPEED(name) cmocka_unit_test_setup_teardown(name, setup_paced, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LINE(units_answer_each_with_its_own_and_others_are_silent),
        WITH_LINE(exceptions_are_told_and_end_nothing),
        WITH_LINE(all_functions_are_answered),
        WITH_LINE(masters_come_and_go),
        WITH_LINE(a_master_may_vanish_and_another_one_open_the_line),
        WITH_LINE(a_wrong_crc_is_silent_and_the_next_frame_answered),
        WITH_LINE(half_a_frame_is_forgotten_after_silence),
        WITH_LINE(a_function_it_does_not_know_is_refused_after_silence),
        WITH_LINE(a_broadcast_is_obeyed_by_the_living_and_answered_by_nobody),
        WITH_SPEED(a_reply_leaves_when_the_line_would_have_carried_it),
        WITH_SPEED(a_busy_line_hears_nothing),
        WITH_LINE(who_does_not_read_loses_replies_and_blocks_nobody),
        cmocka_unit_test(what_is_no_link_of_ours_stays),
        cmocka_unit_test(old_links_are_replaced_and_removed_at_the_end),
        WITH_LINE(a_line_that_is_served_is_not_taken_away),
        cmocka_unit_test(a_link_that_somebody_else_made_since_stays),
        cmocka_unit_test(speeds_that_no_line_has_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
