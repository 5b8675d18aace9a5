/*
 * A link that plays a series in lock-step, on the wire: a row goes on only to whom it has reached.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "drivers/simulator/sim_link.h"
#include "tests/unit/support/config_file.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#define PATIENCE_MS 10000
#define MAP         "name,function,address,type\na,3,0,uint16\n"
#define SERIES                                             \
    "time,a\n2026-01-05 08:00:00,11\n2026-01-05 08:00:01," \
    "22\n2026-01-05 08:00:02,33\n"

struct bed {
    struct config_file map, series, file;
    struct sim_config *config;
    struct sim_link link;
};

static void begin(struct bed *bed)
{
    char text[1024];
    struct config_errors errors;
    struct message message = {""};
    config_errors_init(&errors);
    config_file_make(&bed->map, "map.csv", MAP);
    config_file_make(&bed->series, "series.csv", SERIES);
    snprintf(text, sizeof(text),
             "links:\n  - listen: 127.0.0.1:0\n    units:\n"
             "      - {unit: 1, map: \"%s\", replay: {file: \"%s\"}}\n",
             bed->map.path, bed->series.path);
    config_file_make(&bed->file, "sim.yaml", text);
    if (sim_config_load(bed->file.path, &bed->config, &errors))
        fail_msg("%s", buffer_text(&errors.text));
    if (sim_link_open(&bed->link, bed->config, 0, NULL, 0, &message))
        fail_msg("%s", message.text);
    config_errors_release(&errors);
}

static void end(struct bed *bed)
{
    sim_link_close(&bed->link);
    sim_config_free(bed->config);
    config_file_remove(&bed->map);
    config_file_remove(&bed->series);
    config_file_remove(&bed->file);
}

static int connect_client(const struct bed *bed)
{
    struct endpoint endpoint = {.host = "127.0.0.1", .port = server_port(bed->link.server)};
    int fd;
    assert_int_equal(socket_connect(&endpoint, &fd), 0);
    struct pollfd writable = {fd, POLLOUT, 0};
    assert_int_equal(poll(&writable, 1, PATIENCE_MS), 1);
    return fd;
}

/* Asks for the register, and has the request answered. */
static void ask(const struct bed *bed, int fd)
{
    static const uint8_t request[] = {0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1};
    uint64_t before = bed->link.memory[0].requests;
    assert_int_equal(write(fd, request, sizeof(request)), sizeof(request));
    while (bed->link.memory[0].requests == before) {
        struct pollfd readable = {server_fd(bed->link.server), POLLIN, 0};
        assert_int_equal(poll(&readable, 1, PATIENCE_MS), 1);
        server_step(bed->link.server, 0);
    }
}

static int read_value(const struct bed *bed, int fd)
{
    uint8_t reply[11];
    struct pollfd readable = {fd, POLLIN, 0};
    ask(bed, fd);
    assert_int_equal(poll(&readable, 1, PATIENCE_MS), 1);
    assert_int_equal(read(fd, reply, sizeof(reply)), sizeof(reply));
    return reply[9] << 8 | reply[10];
}

static void clients_that_ask_and_go_move_nothing_on(void **state)
{
    struct bed bed;
    (void)state;
    begin(&bed);
    for (int i = 0; i < 5; i++) {
        int fd = connect_client(&bed);
        ask(&bed, fd);
        close(fd);
    }
    int fd = connect_client(&bed);
    assert_int_equal(read_value(&bed, fd), 11);
    assert_int_equal(read_value(&bed, fd), 22);
    close(fd); /* perhaps it has not got that */
    fd = connect_client(&bed);
    assert_int_equal(read_value(&bed, fd), 22);
    assert_false(bed.link.units[0].player.finished);
    assert_int_equal(read_value(&bed, fd), 33);
    assert_true(bed.link.units[0].player.finished);
    assert_int_equal(read_value(&bed, fd), 33);
    close(fd);
    end(&bed);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_that_ask_and_go_move_nothing_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
