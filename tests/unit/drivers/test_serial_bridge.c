/* A simulated serial server: what the line says goes out, what comes goes to the line. */
#include "drivers/simulator/serial_bridge.h"

#include "base/clock.h"
#include "base/sockets.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 5000

struct bench {
    int line, slave; /* the instruments' end; and the device, kept open */
    int far;         /* who is at the other end of TCP */
    int listener;    /* where a DTU calls, or -1 */
    struct serial_bridge *bridge;
    int64_t now_us;
};

static void wait_for(int fd, short events)
{
    struct pollfd wait = {.fd = fd, .events = events};
    assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
}

static void open_bridge(struct bench *bench, const char *format, int port)
{
    char device[64], text[200];
    struct link_url url;
    struct termios terminal;
    struct message message = {""};
    assert_int_equal(openpty(&bench->line, &bench->slave, device, NULL, NULL), 0);
    assert_int_equal(tcgetattr(bench->slave, &terminal), 0);
    cfmakeraw(&terminal);
    assert_int_equal(tcsetattr(bench->slave, TCSANOW, &terminal), 0);
    snprintf(text, sizeof text, "dtu://127.0.0.1:%d?%s", port, format);
    if (port == 0)
        snprintf(text, sizeof text, "rtu+tcp://127.0.0.1:1");
    assert_int_equal(link_url_parse(text, &url, &message), 0);
    if (port == 0)
        url.endpoint.port = 0;
    if (serial_bridge_open(device, &url, 1000, &bench->bridge, &message) != 0)
        fail_msg("%s", message.text);
}

static void woken(struct bench *bench)
{
    wait_for(serial_bridge_fd(bench->bridge), POLLIN);
    serial_bridge_step(bench->bridge, bench->now_us);
}

static void far_hears(const struct bench *bench, const char *text)
{
    char heard[64] = "";
    wait_for(bench->far, POLLIN);
    assert_int_equal(recv(bench->far, heard, sizeof heard, 0), strlen(text));
    assert_memory_equal(heard, text, strlen(text));
}

static void carries_both_ways(struct bench *bench)
{
    char heard[8];
    assert_int_equal(send(bench->far, "\x01\n", 2, MSG_NOSIGNAL), 2);
    woken(bench);
    wait_for(bench->line, POLLIN);
    assert_int_equal(read(bench->line, heard, sizeof heard), 2);
    assert_memory_equal(heard, "\x01\n", 2);
    assert_int_equal(write(bench->line, "reply", 5), 5);
    woken(bench);
    far_hears(bench, "reply");
}

static void end(struct bench *bench)
{
    serial_bridge_close(bench->bridge);
    close(bench->line);
    close(bench->slave);
    close(bench->far);
    if (bench->listener >= 0)
        close(bench->listener);
}

static int connect_to(struct bench *bench)
{
    struct endpoint at = {.host = "127.0.0.1", .port = serial_bridge_port(bench->bridge)};
    int fd;
    assert_int_equal(socket_connect(&at, &fd), 0);
    wait_for(fd, POLLOUT);
    woken(bench);
    return fd;
}

static void a_server_carries_for_its_latest_client(void **state)
{
    struct bench bench = {.listener = -1, .now_us = 1000};
    char byte;

    (void)state;
    open_bridge(&bench, "", 0);
    assert_int_equal(serial_bridge_due(bench.bridge), NEVER);
    int old = bench.far = connect_to(&bench);
    carries_both_ways(&bench);
    bench.far = connect_to(&bench);
    carries_both_ways(&bench);
    wait_for(old, POLLIN);
    assert_int_equal(recv(old, &byte, 1, 0), 0);
    close(old);
    end(&bench);
}

static void a_dtu_calls_says_who_it_is_and_beats(void **state)
{
    struct bench bench = {.far = -1, .now_us = 1000};
    struct endpoint any = {.host = "127.0.0.1"};

    (void)state;
    assert_int_equal(socket_listen(&any, 8, &bench.listener, &any.port, NULL), 0);
    open_bridge(&bench, "register=D1&heartbeat=HB", any.port);
    assert_int_equal(serial_bridge_due(bench.bridge), 0);
    /* On this machine a call is taken, or not, at once. */
    serial_bridge_step(bench.bridge, bench.now_us);
    wait_for(bench.listener, POLLIN);
    bench.far = accept(bench.listener, NULL, NULL);
    far_hears(&bench, "D1");
    carries_both_ways(&bench);
    assert_int_equal(serial_bridge_due(bench.bridge), 1000 + 1000 * US_PER_MS);
    bench.now_us = serial_bridge_due(bench.bridge);
    serial_bridge_step(bench.bridge, bench.now_us);
    far_hears(&bench, "HB");
    /* Hung up on, it calls again a second later. */
    close(bench.far);
    woken(&bench);
    assert_int_equal(serial_bridge_due(bench.bridge), bench.now_us + US_PER_S);
    bench.now_us += US_PER_S;
    /* On this machine a call is taken, or not, at once. */
    serial_bridge_step(bench.bridge, bench.now_us);
    wait_for(bench.listener, POLLIN);
    bench.far = accept(bench.listener, NULL, NULL);
    far_hears(&bench, "D1");
    end(&bench);
}

static void a_dtu_that_nobody_takes_tries_again(void **state)
{
    struct bench bench = {.far = -1, .now_us = 1000};
    struct endpoint any = {.host = "127.0.0.1"};

    (void)state;
    assert_int_equal(socket_listen(&any, 8, &bench.listener, &any.port, NULL), 0);
    close(bench.listener);
    bench.listener = -1;
    open_bridge(&bench, "register=D1", any.port);
    /* On this machine a call is taken, or not, at once. */
    serial_bridge_step(bench.bridge, bench.now_us);
    assert_int_equal(serial_bridge_due(bench.bridge), 1000 + US_PER_S);
    end(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_carries_for_its_latest_client),
        cmocka_unit_test(a_dtu_calls_says_who_it_is_and_beats),
        cmocka_unit_test(a_dtu_that_nobody_takes_tries_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
