#include "base/notify_socket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* A datagram socket, as systemd has one, at `name` of `len` bytes. */
static int service_manager(const char *name, size_t len)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    memcpy(address.sun_path, name, len);
    socklen_t address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, address_len), 0);
    return fd;
}

static void assert_told(int fd, const char *state)
{
    char data[128] = "";
    assert_int_equal(recv(fd, data, sizeof data - 1, 0), (ssize_t)strlen(state));
    assert_string_equal(data, state);
}

static void the_state_reaches_a_socket_in_a_folder(void **state)
{
    char folder[] = "/tmp/test_notify-XXXXXX";
    char path[64];
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/notify", folder);
    int fd = service_manager(path, strlen(path));
    setenv("NOTIFY_SOCKET", path, 1);
    notify_socket_send("READY=1");
    notify_socket_send("STOPPING=1\nSTATUS=draining");
    assert_told(fd, "READY=1");
    assert_told(fd, "STOPPING=1\nSTATUS=draining");
    close(fd);
    unlink(path);
    notify_socket_send("READY=1"); /* nobody there: nothing happens */
    assert_int_equal(rmdir(folder), 0);
}

static void the_state_reaches_an_abstract_socket(void **state)
{
    char name[64];
    (void)state;
    snprintf(name, sizeof name, "@test_notify-%ld", (long)getpid());
    setenv("NOTIFY_SOCKET", name, 1);
    size_t len = strlen(name);
    name[0] = '\0';
    int fd = service_manager(name, len);
    notify_socket_send("WATCHDOG=1");
    assert_told(fd, "WATCHDOG=1");
    close(fd);
}

static void without_a_usable_address_nothing_happens(void **state)
{
    char path[200];
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    notify_socket_send("READY=1");
    setenv("NOTIFY_SOCKET", "", 1);
    notify_socket_send("READY=1");
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    setenv("NOTIFY_SOCKET", path, 1);
    notify_socket_send("READY=1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_state_reaches_a_socket_in_a_folder),
        cmocka_unit_test(the_state_reaches_an_abstract_socket),
        cmocka_unit_test(without_a_usable_address_nothing_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
