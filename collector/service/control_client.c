#include "service/control_client.h"

#include "base/clock.h"
#include "base/sockets.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int control_client_open(const char *path, struct control_client *ret_client,
                        struct message *message)
{
    return socket_connect_unix(path, &ret_client->fd, message);
}

void control_client_close(struct control_client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
}

/* Waits until the descriptor is ready for `events`, or the deadline. */
static int await(int fd, short events, int64_t until_us, struct message *message)
{
    struct pollfd wait = {.fd = fd, .events = events};
    int64_t left_us = until_us - clock_read(clock_real()).mono_us;
    int rc = poll(&wait, 1, left_us > 0 ? (int)(left_us / US_PER_MS) + 1 : 0);
    if (rc == 0)
        return message_set(message, ERR_TIMEOUT, "the daemon does not answer");
    if (rc < 0 && errno != EINTR)
        return message_errno(message, ERR_IO, "waiting for the daemon");
    return 0;
}

static int send_all(int fd, const char *text, size_t len, int64_t until_us, struct message *message)
{
    for (size_t sent = 0; sent < len;) {
        ssize_t put = send(fd, text + sent, len - sent, MSG_NOSIGNAL);
        if (put < 0 && errno != EAGAIN && errno != EINTR)
            return message_errno(message, ERR_CLOSED, "asking the daemon");
        sent += put > 0 ? (size_t)put : 0;
        int err = put < 0 ? await(fd, POLLOUT, until_us, message) : 0;
        if (err)
            return err;
    }
    return 0;
}

static int read_line(int fd, int64_t until_us, struct buffer *reply, struct message *message)
{
    char part[4096];
    for (;;) {
        int err = await(fd, POLLIN, until_us, message);
        ssize_t got = err ? 0 : recv(fd, part, sizeof(part), 0);
        if (err)
            return err;
        if (got == 0)
            return message_set(message, ERR_CLOSED, "the daemon hung up");
        if (got < 0 && errno != EAGAIN && errno != EINTR)
            return message_errno(message, ERR_IO, "reading the daemon's answer");
        const char *end = got > 0 ? memchr(part, '\n', (size_t)got) : NULL;
        if (got > 0)
            buffer_append(reply, part, end ? (size_t)(end - part) : (size_t)got);
        if (buffer_error(reply))
            return message_set(message, buffer_error(reply), "the daemon's answer is too long");
        if (end)
            return 0;
    }
}

int control_client_ask(struct control_client *client, const char *request, int64_t timeout_ms,
                       struct buffer *reply, struct message *message)
{
    int64_t until_us = clock_read(clock_real()).mono_us + timeout_ms * US_PER_MS;
    buffer_clear(reply);
    int err = send_all(client->fd, request, strlen(request), until_us, message);
    if (!err)
        err = send_all(client->fd, "\n", 1, until_us, message);
    return err ? err : read_line(client->fd, until_us, reply, message);
}
