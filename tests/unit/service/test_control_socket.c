/* The control socket, asked by hand on virtual time: lines, bounds, slow and absent clients. */
#include "service/control_socket.h"

#include "base/sockets.h"
#include "service/control_client.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define S ((int64_t)US_PER_S)

/* A port that echoes; "wait" is answered once `ready`, "fail" fails, "big" does not fit. */
static struct {
    struct control_socket *socket;
    char folder[64], path[96];
    struct now now;
    bool ready;
    unsigned asked, forgotten;
} bed;

static int answer(void *self, unsigned client, const char *request, size_t len, struct now now,
                  struct buffer *reply)
{
    assert_ptr_equal(self, &bed);
    assert_true(client < CONTROL_CLIENTS_MAX);
    assert_int_equal(now.mono_us, bed.now.mono_us);
    bed.asked++;
    if (len == 4 && memcmp(request, "wait", 4) == 0 && !bed.ready)
        return ERR_AGAIN;
    if (len == 4 && memcmp(request, "fail", 4) == 0)
        return ERR_NOT_FOUND;
    for (int i = 0; len == 3 && memcmp(request, "big", 3) == 0 && i < 300; i++)
        buffer_printf(reply, "%1024d", i);
    buffer_printf(reply, "[\"%.*s\"]", (int)len, request);
    return 0;
}

static void forget(void *self, unsigned client)
{
    (void)self;
    (void)client;
    bed.forgotten++;
}

static int begin(void **state)
{
    const struct control_port port = {&bed, answer, forget};
    (void)state;
    memset(&bed, 0, sizeof(bed));
    bed.now.mono_us = 1000 * S;
    snprintf(bed.folder, sizeof(bed.folder), "/tmp/chengmai-control-XXXXXX");
    assert_non_null(mkdtemp(bed.folder));
    snprintf(bed.path, sizeof(bed.path), "%s/c.sock", bed.folder);
    assert_int_equal(control_socket_open(bed.path, &port, &bed.socket, NULL), 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    control_socket_close(bed.socket);
    assert_int_equal(access(bed.path, F_OK), -1);
    assert_int_equal(rmdir(bed.folder), 0);
    return 0;
}

static int64_t step(void)
{
    return control_socket_step(bed.socket, bed.now);
}

static int come(void)
{
    int fd = -1;
    assert_int_equal(socket_connect_unix(bed.path, &fd, NULL), 0);
    step();
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    step();
}

/* What came so far; "" for nothing, "gone" when hung up. */
static const char *heard(int fd)
{
    static char text[64];
    ssize_t got = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
    text[got > 0 ? got : 0] = '\0';
    return got == 0 ? "gone" : text;
}

static bool idle(void)
{
    struct pollfd wait = {.fd = control_socket_fd(bed.socket), .events = POLLIN};
    return poll(&wait, 1, 0) == 0;
}

static void only_its_user_may_ask(void **state)
{
    struct stat status;
    (void)state;
    assert_int_equal(stat(bed.path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void a_line_gets_a_line_and_then_the_next(void **state)
{
    int fd = come();
    (void)state;
    say(fd, "on");
    assert_string_equal(heard(fd), "");
    say(fd, "e\n");
    assert_string_equal(heard(fd), "[\"one\"]\n");
    say(fd, "two\nthree\n");
    step();
    assert_string_equal(heard(fd), "[\"two\"]\n[\"three\"]\n");
    assert_true(idle());
    close(fd);
}

static void who_has_said_all_still_gets_the_answer(void **state)
{
    int fd = come();
    (void)state;
    say(fd, "wait\n");
    shutdown(fd, SHUT_WR);
    step();
    assert_string_equal(heard(fd), "");
    bed.ready = true;
    bed.now.mono_us += 20 * US_PER_MS;
    step();
    assert_string_equal(heard(fd), "[\"wait\"]\n");
    step();
    assert_string_equal(heard(fd), "gone");
    close(fd);
}

static void an_answer_that_takes_its_time_is_asked_again(void **state)
{
    int fd = come(), other = come();
    (void)state;
    say(fd, "wait\n");
    unsigned asked = bed.asked;
    assert_int_equal(step(), bed.now.mono_us + 20 * US_PER_MS);
    assert_int_equal(bed.asked, asked);
    bed.now.mono_us += 20 * US_PER_MS;
    say(other, "x\n");
    assert_string_equal(heard(other), "[\"x\"]\n");
    assert_int_equal(bed.asked, asked + 2);
    assert_true(idle());
    close(fd);
    assert_false(idle());
    step();
    assert_int_equal(bed.forgotten, 1);
    close(other);
}

static void failures_are_told(void **state)
{
    int fd = come();
    (void)state;
    say(fd, "fail\n");
    assert_string_equal(heard(fd), "{\"error\":\"not found\"}\n");
    say(fd, "big\n");
    assert_non_null(strstr(heard(fd), "{\"error\":"));
    close(fd);
}

static void a_line_without_an_end_is_hung_up_on(void **state)
{
    char line[CONTROL_REQUEST_MAX + 2];
    int fd = come();
    (void)state;
    memset(line, 'x', sizeof(line));
    line[CONTROL_REQUEST_MAX] = '\n';
    line[CONTROL_REQUEST_MAX + 1] = '\0';
    say(fd, line);
    assert_int_equal(bed.asked, 1);
    while (strcmp(heard(fd), "") != 0)
        continue;
    line[CONTROL_REQUEST_MAX] = 'x';
    say(fd, line);
    assert_string_equal(heard(fd), "gone");
    assert_int_equal(bed.asked, 1);
    close(fd);
}

static void a_second_of_silence_is_enough(void **state)
{
    int fd = come();
    (void)state;
    say(fd, "hal");
    bed.now.mono_us += S - 1;
    assert_int_equal(step(), bed.now.mono_us + 1);
    assert_string_equal(heard(fd), "");
    bed.now.mono_us++;
    step();
    assert_string_equal(heard(fd), "gone");
    close(fd);
}

static void a_client_beyond_the_bound_waits_its_turn(void **state)
{
    int fds[CONTROL_CLIENTS_MAX + 1];
    (void)state;
    for (int i = 0; i <= CONTROL_CLIENTS_MAX; i++)
        fds[i] = come();
    say(fds[CONTROL_CLIENTS_MAX], "late\n");
    assert_string_equal(heard(fds[CONTROL_CLIENTS_MAX]), "");
    assert_true(idle()); /* nothing spins meanwhile */
    close(fds[0]);
    step();
    step();
    assert_string_equal(heard(fds[CONTROL_CLIENTS_MAX]), "[\"late\"]\n");
    for (int i = 1; i <= CONTROL_CLIENTS_MAX; i++)
        close(fds[i]);
}

static void the_path_of_another_is_left_alone(void **state)
{
    const struct control_port port = {&bed, answer, forget};
    struct control_socket *second = NULL;
    struct message message = {""};
    int fd;
    (void)state;
    assert_int_equal(control_socket_open(bed.path, &port, &second, &message), ERR_CONFLICT);
    assert_non_null(strstr(message.text, "another process listens"));
    fd = come();
    say(fd, "still\n");
    assert_string_equal(heard(fd), "[\"still\"]\n");
    close(fd);
}

static void the_client_knows_when_nobody_is_there(void **state)
{
    struct control_client client;
    struct message message = {""};
    (void)state;
    assert_int_equal(control_client_open("/tmp/chengmai-none.sock", &client, &message),
                     ERR_NOT_FOUND);
}

static void the_client_does_not_wait_for_ever(void **state)
{
    struct control_client client;
    struct message message = {""};
    struct buffer reply;
    (void)state;
    buffer_init(&reply, 1000);
    assert_int_equal(control_client_open(bed.path, &client, &message), 0); /* nobody steps */
    assert_int_equal(control_client_ask(&client, "one", 10, &reply, &message), ERR_TIMEOUT);
    control_client_close(&client);
    buffer_release(&reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_its_user_may_ask, begin, end),
        cmocka_unit_test_setup_teardown(a_line_gets_a_line_and_then_the_next, begin, end),
        cmocka_unit_test_setup_teardown(who_has_said_all_still_gets_the_answer, begin, end),
        cmocka_unit_test_setup_teardown(an_answer_that_takes_its_time_is_asked_again, begin, end),
        cmocka_unit_test_setup_teardown(failures_are_told, begin, end),
        cmocka_unit_test_setup_teardown(a_line_without_an_end_is_hung_up_on, begin, end),
        cmocka_unit_test_setup_teardown(a_second_of_silence_is_enough, begin, end),
        cmocka_unit_test_setup_teardown(a_client_beyond_the_bound_waits_its_turn, begin, end),
        cmocka_unit_test_setup_teardown(the_path_of_another_is_left_alone, begin, end),
        cmocka_unit_test_setup_teardown(the_client_knows_when_nobody_is_there, begin, end),
        cmocka_unit_test_setup_teardown(the_client_does_not_wait_for_ever, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
