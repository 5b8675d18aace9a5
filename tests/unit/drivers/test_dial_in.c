/* DTUs that call: who is known, who is not, who takes over, who says nothing. */
#include "drivers/modbus/dial_in.h"

#include "drivers/modbus/registration.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 5000

struct bench {
    struct dial_in *dial_in;
    struct dial_in_line *first, *second;
    struct now now;
};

static void wait_for(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
}

static struct link_bytes bytes_of(const char *text)
{
    struct link_bytes bytes = {.len = strlen(text)};
    memcpy(bytes.bytes, text, bytes.len);
    return bytes;
}

static void begin(struct bench *bench)
{
    struct endpoint any = {.host = "127.0.0.1"};
    struct link_bytes first = bytes_of("DTU1"), second = bytes_of("DTU2");
    *bench = (struct bench){.now = {.mono_us = 1000}};
    assert_int_equal(dial_in_open(&any, &bench->dial_in, NULL), 0);
    assert_int_equal(dial_in_expect(bench->dial_in, &first, &bench->first, NULL), 0);
    assert_int_equal(dial_in_expect(bench->dial_in, &second, &bench->second, NULL), 0);
}

static void end(struct bench *bench)
{
    driver_close(dial_in_driver(bench->dial_in));
}

static struct driver_wants wants_of(const struct bench *bench)
{
    struct driver_wants wants;
    driver_wants(dial_in_driver(bench->dial_in), &wants);
    return wants;
}

static void step(struct bench *bench)
{
    driver_step(dial_in_driver(bench->dial_in), bench->now, NULL, 0);
}

/* Something has come: the port is woken, and looks. */
static void woken(struct bench *bench)
{
    assert_int_equal(wants_of(bench).count, 1);
    wait_for(wants_of(bench).list[0].fd);
    step(bench);
}

static int call(struct bench *bench, const char *text)
{
    struct endpoint at = {.host = "127.0.0.1", .port = dial_in_port(bench->dial_in)};
    int fd = -1;
    assert_int_equal(socket_connect(&at, &fd), 0);
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
    if (text[0])
        assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    woken(bench);
    return fd;
}

static void says(struct bench *bench, int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    woken(bench);
}

static void was_sent_away(int fd)
{
    char byte;
    wait_for(fd);
    assert_true(recv(fd, &byte, 1, 0) <= 0);
    close(fd);
}

static struct dial_in_stats stats_of(const struct bench *bench)
{
    struct dial_in_stats stats;
    dial_in_stats(bench->dial_in, &stats);
    return stats;
}

static struct driver_status status_of(const struct bench *bench)
{
    struct driver_status status;
    driver_status(dial_in_driver(bench->dial_in), &status);
    return status;
}

static void a_call_goes_to_the_line_that_waits_for_it(void **state)
{
    struct bench bench;
    char text[8] = "";
    int fd = -1;

    (void)state;
    begin(&bench);
    assert_int_equal(dial_in_line_take(bench.second, &fd), ERR_AGAIN);
    int dtu = call(&bench, "DTU2\x01\x03");
    assert_false(dial_in_line_called(bench.first));
    assert_true(dial_in_line_called(bench.second));
    wait_for(dial_in_line_fd(bench.second));
    assert_int_equal(dial_in_line_take(bench.second, &fd), 0);
    assert_false(dial_in_line_called(bench.second));
    struct pollfd quiet = {.fd = dial_in_line_fd(bench.second), .events = POLLIN};
    assert_int_equal(poll(&quiet, 1, 0), 0);
    /* What follows the registration is the line's. */
    assert_int_equal(recv(fd, text, sizeof text, 0), 2);
    assert_memory_equal(text, "\x01\x03", 2);
    assert_int_equal(dial_in_line_take(bench.second, &fd), ERR_AGAIN);
    dial_in_line_hang_up(bench.second);
    was_sent_away(dtu);
    assert_int_equal(stats_of(&bench).registered, 1);
    assert_int_equal(stats_of(&bench).calls, 1);
    assert_int_equal(status_of(&bench).notices, 0);
    end(&bench);
}

static void a_registration_may_come_in_pieces(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench);
    int dtu = call(&bench, "D");
    says(&bench, dtu, "TU");
    assert_false(dial_in_line_called(bench.first));
    says(&bench, dtu, "1");
    assert_true(dial_in_line_called(bench.first));
    close(dtu);
    end(&bench);
}

static void a_new_call_takes_over_from_the_old_one(void **state)
{
    struct bench bench;
    char byte;
    int fd = -1;

    (void)state;
    begin(&bench);
    int old = call(&bench, "DTU1");
    assert_int_equal(dial_in_line_take(bench.first, &fd), 0);
    int new = call(&bench, "DTU1");
    /* The link sees the old one end, hangs up, and has the new one. */
    wait_for(fd);
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    assert_true(dial_in_line_called(bench.first));
    dial_in_line_hang_up(bench.first);
    was_sent_away(old);
    assert_int_equal(dial_in_line_take(bench.first, &fd), 0);
    assert_int_equal(send(new, "x", 1, MSG_NOSIGNAL), 1);
    wait_for(fd);
    assert_int_equal(recv(fd, &byte, 1, 0), 1);
    assert_int_equal(byte, 'x');
    /* One that was not taken yet gives way too. */
    int newer = call(&bench, "DTU1");
    int newest = call(&bench, "DTU1");
    was_sent_away(newer);
    assert_int_equal(stats_of(&bench).taken_over, 3);
    close(new);
    close(newest);
    end(&bench);
}

static void who_is_unknown_is_sent_away_and_told(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench);
    was_sent_away(call(&bench, "GET / HTTP/1.1\r\n"));
    assert_int_equal(stats_of(&bench).unknown, 1);
    struct driver_status status = status_of(&bench);
    assert_int_equal(status.notices, 1);
    assert_true(status.up);
    assert_non_null(strstr(status.trouble.text, "127.0.0.1 calls as 'GET%20/%20HTTP/1.1%0D%0A'"));
    assert_non_null(strstr(status.trouble.text, "?register="));
    was_sent_away(call(&bench, "DTU3"));
    assert_int_equal(status_of(&bench).notices, 2);
    assert_int_equal(stats_of(&bench).registered, 0);
    end(&bench);
}

static void who_says_nothing_is_sent_away_in_time(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench);
    int dtu = call(&bench, "DT");
    assert_int_equal(wants_of(&bench).due_us, 1000 + DIAL_IN_REGISTER_US);
    bench.now.mono_us = wants_of(&bench).due_us - 1;
    step(&bench);
    assert_int_equal(stats_of(&bench).mute, 0);
    bench.now.mono_us++;
    step(&bench);
    was_sent_away(dtu);
    assert_int_equal(stats_of(&bench).mute, 1);
    assert_int_equal(wants_of(&bench).due_us, NEVER);
    assert_non_null(strstr(status_of(&bench).trouble.text, "did not say who it is"));
    /* Who hangs up is no news. */
    close(call(&bench, ""));
    woken(&bench);
    assert_int_equal(stats_of(&bench).mute, 2);
    assert_int_equal(status_of(&bench).notices, 1);
    end(&bench);
}

static void many_who_say_nothing_do_not_keep_a_dtu_out(void **state)
{
    struct bench bench;
    int mutes[DIAL_IN_CALLERS_MAX];

    (void)state;
    begin(&bench);
    for (int i = 0; i < DIAL_IN_CALLERS_MAX; i++)
        mutes[i] = call(&bench, "");
    int dtu = call(&bench, "DTU1");
    was_sent_away(mutes[0]);
    assert_true(dial_in_line_called(bench.first));
    assert_int_equal(stats_of(&bench).crowded, 1);
    for (int i = 1; i < DIAL_IN_CALLERS_MAX; i++)
        close(mutes[i]);
    close(dtu);
    end(&bench);
}

static void registrations_that_begin_alike_are_refused(void **state)
{
    static const char *const alike[] = {"DTU1", "DTU12", "DTU", "D", ""};
    struct bench bench;
    struct message message = {""};

    (void)state;
    begin(&bench);
    for (size_t i = 0; i < sizeof alike / sizeof alike[0]; i++) {
        struct link_bytes bytes = bytes_of(alike[i]);
        struct dial_in_line *line = NULL;
        assert_int_equal(dial_in_expect(bench.dial_in, &bytes, &line, &message), ERR_CONFLICT);
        assert_null(line);
    }
    end(&bench);
}

static void a_port_that_is_taken_is_told(void **state)
{
    struct bench bench;
    struct dial_in *again = NULL;
    struct message message = {""};

    (void)state;
    begin(&bench);
    struct endpoint same = {.host = "127.0.0.1", .port = dial_in_port(bench.dial_in)};
    assert_int_equal(dial_in_open(&same, &again, &message), ERR_IO);
    assert_non_null(strstr(message.text, "cannot listen on 127.0.0.1"));
    assert_null(again);
    end(&bench);
}

static void the_first_bytes_tell_who_it_is(void **state)
{
    struct link_bytes a = bytes_of("ABC"), b = bytes_of("ABD"), c = bytes_of("X");
    const struct link_bytes *const known[] = {&a, &b, &c};

    (void)state;
    assert_int_equal(registration_find((const uint8_t *)"", 0, known, 3), REGISTRATION_PART);
    assert_int_equal(registration_find((const uint8_t *)"AB", 2, known, 3), REGISTRATION_PART);
    assert_int_equal(registration_find((const uint8_t *)"ABD", 3, known, 3), 1);
    assert_int_equal(registration_find((const uint8_t *)"ABCD", 4, known, 3), 0);
    assert_int_equal(registration_find((const uint8_t *)"Xyz", 3, known, 3), 2);
    assert_int_equal(registration_find((const uint8_t *)"ABE", 3, known, 3), REGISTRATION_UNKNOWN);
    assert_int_equal(registration_find((const uint8_t *)"B", 1, known, 3), REGISTRATION_UNKNOWN);
    assert_int_equal(registration_find((const uint8_t *)"", 0, known, 0), REGISTRATION_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_goes_to_the_line_that_waits_for_it),
        cmocka_unit_test(a_registration_may_come_in_pieces),
        cmocka_unit_test(a_new_call_takes_over_from_the_old_one),
        cmocka_unit_test(who_is_unknown_is_sent_away_and_told),
        cmocka_unit_test(who_says_nothing_is_sent_away_in_time),
        cmocka_unit_test(many_who_say_nothing_do_not_keep_a_dtu_out),
        cmocka_unit_test(registrations_that_begin_alike_are_refused),
        cmocka_unit_test(a_port_that_is_taken_is_told),
        cmocka_unit_test(the_first_bytes_tell_who_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
