#include "base/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void assert_ready_to_use(int fd)
{
    assert_true(fd >= 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
}

static void wait_for(int fd, short events)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};
    assert_int_equal(poll(&poll_fd, 1, 10000), 1);
}

static void endpoints_are_read(void **state)
{
    static const struct {
        const char *text;
        const char *host;
        uint16_t port;
    } CASES[] = {
        {"127.0.0.1:502", "127.0.0.1", 502},
        {"0.0.0.0:0", "0.0.0.0", 0},
        {"[::1]:65535", "::1", 65535},
        {"[fe80::1]:1883", "fe80::1", 1883},
        {"[::ffff:10.0.0.1]:80", "::ffff:10.0.0.1", 80},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct endpoint endpoint;
        assert_int_equal(endpoint_parse(CASES[i].text, &endpoint), 0);
        assert_string_equal(endpoint.host, CASES[i].host);
        assert_int_equal(endpoint.port, CASES[i].port);
    }
}

static void other_endpoints_are_refused(void **state)
{
    static const char *const TEXTS[] = {
        "",
        ":",
        ":502",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:+1",
        "127.0.0.1: 1",
        "127.0.0.1:502x",
        "127.0.0.1:0x10",
        "127.1:502",
        "127.0.0.256:502",
        "localhost:502",
        "[127.0.0.1]:502",
        "::1:502",
        "[::1]502",
        "[::1]",
        "[]:502",
        "[::1:502",
        "[0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0]:1",
    };
    (void)state;
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        struct endpoint endpoint = {.port = 42};
        assert_int_equal(endpoint_parse(TEXTS[i], &endpoint), ERR_INVALID);
        assert_int_equal(endpoint.port, 42);
    }
}

static void a_connection_stands_and_carries_bytes(void **state)
{
    struct endpoint endpoint = {.host = "127.0.0.1"};
    char data[4] = "";
    int listener = -1;
    int client = -1;
    (void)state;
    assert_int_equal(socket_listen(&endpoint, 4, &listener, &endpoint.port, NULL), 0);
    assert_ready_to_use(listener);
    assert_true(endpoint.port > 0);
    assert_int_equal(socket_connect(&endpoint, &client), 0);
    assert_ready_to_use(client);
    wait_for(client, POLLOUT);
    assert_int_equal(socket_error(client), 0);
    wait_for(listener, POLLIN);
    int server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(server >= 0);
    assert_int_equal(send(client, "abc", 3, MSG_NOSIGNAL), 3);
    assert_int_equal(recv(server, data, 3, MSG_WAITALL), 3);
    assert_string_equal(data, "abc");
    close(server);
    close(client);
    close(listener);
}

static void a_refused_connection_is_told(void **state)
{
    struct endpoint endpoint = {.host = "127.0.0.1"};
    int listener = -1;
    int client = -1;
    (void)state;
    assert_int_equal(socket_listen(&endpoint, 4, &listener, &endpoint.port, NULL), 0);
    close(listener);
    /* A kernel may tell at once or later. */
    if (socket_connect(&endpoint, &client) == 0) {
        wait_for(client, POLLOUT);
        assert_int_equal(socket_error(client), ERR_IO);
        close(client);
    }
    assert_int_equal(errno, ECONNREFUSED);
}

static void a_socket_not_connected_is_no_success(void **state)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)state;
    assert_int_equal(socket_error(fd), ERR_IO);
    assert_int_equal(errno, ENOTCONN);
    close(fd);
    assert_int_equal(socket_error(-1), ERR_IO);
}

static void a_connection_to_itself_counts_as_refused(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)state;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, len), 0); /* TCP allows it */
    assert_int_equal(socket_error(fd), ERR_IO);
    assert_int_equal(errno, ECONNREFUSED);
    close(fd);
}

static void a_pair_without_names_is_not_connected_to_itself(void **state)
{
    int pair[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(socket_error(pair[0]), 0);
    close(pair[0]);
    close(pair[1]);
}

static void only_numeric_addresses_are_used(void **state)
{
    struct endpoint endpoint = {.host = "localhost", .port = 502};
    struct message message = {""};
    int fd = 42;
    (void)state;
    assert_int_equal(socket_connect(&endpoint, &fd), ERR_INVALID);
    assert_int_equal(socket_listen(&endpoint, 4, &fd, NULL, &message), ERR_INVALID);
    assert_non_null(strstr(message.text, "localhost"));
    assert_int_equal(fd, 42);
}

static void a_port_in_use_is_told(void **state)
{
    struct endpoint endpoint = {.host = "127.0.0.1"};
    struct message message = {""};
    char port[16];
    int first = -1;
    int second = 42;
    (void)state;
    assert_int_equal(socket_listen(&endpoint, 4, &first, &endpoint.port, NULL), 0);
    assert_int_equal(socket_listen(&endpoint, 4, &second, NULL, &message), ERR_IO);
    snprintf(port, sizeof port, "%u", endpoint.port);
    assert_non_null(strstr(message.text, port));
    assert_non_null(strstr(message.text, strerror(EADDRINUSE)));
    assert_int_equal(second, 42);
    close(first);
}

/* Unix sockets: each test has a folder of its own, and the path of a socket in it. */
struct place {
    char folder[64];
    char path[96];
};

static int make_place(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    *state = place;
    snprintf(place->folder, sizeof place->folder, "/tmp/test_sockets-XXXXXX");
    if (mkdtemp(place->folder) == NULL)
        return -1;
    snprintf(place->path, sizeof place->path, "%s/control", place->folder);
    return 0;
}

static int remove_place(void **state)
{
    struct place *place = *state;
    unlink(place->path);
    int rc = rmdir(place->folder);
    free(place);
    return rc;
}

static void a_unix_socket_is_for_its_owner_only(void **state)
{
    struct place *place = *state;
    struct stat status;
    int listener = -1;
    int client = -1;
    mode_t before = umask(0);
    int err = socket_listen_unix(place->path, &listener, NULL);
    umask(before);
    assert_int_equal(err, 0);
    assert_ready_to_use(listener);
    assert_int_equal(stat(place->path, &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(socket_connect_unix(place->path, &client, NULL), 0);
    assert_ready_to_use(client);
    assert_int_equal(socket_error(client), 0);
    close(client);
    close(listener);
}

static void a_stale_socket_is_replaced_and_a_live_one_is_not(void **state)
{
    struct place *place = *state;
    struct message message = {""};
    int first = -1;
    int second = 42;
    assert_int_equal(socket_listen_unix(place->path, &first, NULL), 0);
    assert_int_equal(socket_listen_unix(place->path, &second, &message), ERR_CONFLICT);
    assert_non_null(strstr(message.text, "another process"));
    assert_int_equal(second, 42);
    close(first);
    assert_int_equal(socket_connect_unix(place->path, &second, &message), ERR_NOT_FOUND);
    assert_int_equal(socket_listen_unix(place->path, &second, NULL), 0);
    close(second);
}

static void a_file_in_the_way_of_a_socket_stays(void **state)
{
    struct place *place = *state;
    struct message message = {""};
    struct stat status;
    int fd = open(place->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    close(fd);
    assert_int_equal(socket_listen_unix(place->path, &fd, &message), ERR_CONFLICT);
    assert_non_null(strstr(message.text, place->path));
    assert_int_equal(stat(place->path, &status), 0);
    assert_true(S_ISREG(status.st_mode));
}

static void a_missing_or_impossible_unix_socket_is_told(void **state)
{
    struct place *place = *state;
    struct message message = {""};
    char path[200];
    int fd = 42;
    assert_int_equal(socket_connect_unix(place->path, &fd, &message), ERR_NOT_FOUND);
    assert_non_null(strstr(message.text, place->path));
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(socket_connect_unix(path, &fd, NULL), ERR_FULL);
    assert_int_equal(socket_listen_unix(path, &fd, NULL), ERR_FULL);
    assert_int_equal(socket_listen_unix("", &fd, NULL), ERR_FULL);
    assert_int_equal(fd, 42);
}

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoints_are_read),
        cmocka_unit_test(other_endpoints_are_refused),
        cmocka_unit_test(a_connection_stands_and_carries_bytes),
        cmocka_unit_test(a_refused_connection_is_told),
        cmocka_unit_test(a_socket_not_connected_is_no_success),
        cmocka_unit_test(a_connection_to_itself_counts_as_refused),
        cmocka_unit_test(a_pair_without_names_is_not_connected_to_itself),
        cmocka_unit_test(only_numeric_addresses_are_used),
        cmocka_unit_test(a_port_in_use_is_told),
        IN_PLACE(a_unix_socket_is_for_its_owner_only),
        IN_PLACE(a_stale_socket_is_replaced_and_a_live_one_is_not),
        IN_PLACE(a_file_in_the_way_of_a_socket_stays),
        IN_PLACE(a_missing_or_impossible_unix_socket_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
