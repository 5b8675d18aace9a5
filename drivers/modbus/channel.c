#include "drivers/modbus/channel.h"

#include "drivers/modbus/serial_port.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define NAME_SIZE (LINK_BYTES_TEXT_MAX + 8) /* the longest is a DTU's */
#define CLOSED    (-1)

enum state { IS_CLOSED, IS_OPENING, IS_OPEN };

struct channel {
    struct link_url url;
    struct dial_in_line *line;
    struct serial_port *port;
    char name[NAME_SIZE];
    enum state state;
    int fd;        /* of what is open; CLOSED: none yet */
    int low_water; /* SO_RCVLOWAT as it is set */
};

static void make_name(struct channel *channel)
{
    char text[LINK_BYTES_TEXT_MAX];
    const struct link_url *url = &channel->url;
    switch (url->kind) {
    case LINK_TCP:
    case LINK_RTU_TCP:
        snprintf(channel->name, NAME_SIZE, "%s:%d", url->endpoint.host, url->endpoint.port);
        break;
    case LINK_RTU:
        snprintf(channel->name, NAME_SIZE, "%s", url->device);
        break;
    case LINK_DTU:
        link_bytes_print(url->registration.bytes, url->registration.len, text);
        snprintf(channel->name, NAME_SIZE, "DTU %s", text);
        break;
    }
}

int channel_new(const struct link_url *url, struct dial_in_line *line, struct channel **ret_channel,
                struct message *message)
{
    if ((url->kind == LINK_DTU) != (line != NULL))
        return message_set(message, ERR_INVALID, "a DTU's link needs a line, and no other");
    struct channel *channel = calloc(1, sizeof(*channel));
    if (channel == NULL)
        return message_set(message, ERR_NO_MEMORY, "out of memory");
    channel->url = *url;
    channel->line = line;
    channel->fd = CLOSED;
    make_name(channel);
    *ret_channel = channel;
    return 0;
}

void channel_free(struct channel *channel)
{
    channel_close(channel);
    free(channel);
}

const char *channel_name(const struct channel *channel)
{
    return channel->name;
}

bool channel_is_called(const struct channel *channel)
{
    return channel->url.kind == LINK_DTU;
}

/* ---- opening and closing ---- */

static int open_kind(struct channel *channel, struct message *message)
{
    switch (channel->url.kind) {
    case LINK_RTU: {
        int err = serial_port_open(&channel->url, &channel->port, message);
        if (err == 0)
            channel->fd = serial_port_fd(channel->port);
        return err;
    }
    case LINK_DTU:
        return 0;
    case LINK_TCP:
    case LINK_RTU_TCP:
        break;
    }
    int err = socket_connect(&channel->url.endpoint, &channel->fd);
    return err == 0 ? 0 : message_errno(message, err, "%s", channel->name);
}

int channel_open(struct channel *channel, struct message *message)
{
    int err = open_kind(channel, message);
    if (err != 0)
        return err;
    channel->state = IS_OPENING;
    channel->low_water = 1;
    return 0;
}

static int check_connected(struct channel *channel, struct message *message)
{
    struct pollfd wait = {.fd = channel->fd, .events = POLLOUT};
    if (poll(&wait, 1, 0) <= 0)
        return ERR_AGAIN;
    if (socket_error(channel->fd) != 0) {
        int err = message_errno(message, ERR_IO, "%s", channel->name);
        channel_close(channel);
        return err;
    }
    if (channel->url.kind == LINK_RTU_TCP)
        socket_watch_peer(channel->fd);
    return 0;
}

int channel_check(struct channel *channel, struct message *message)
{
    int err = 0;
    if (channel->url.kind == LINK_DTU)
        err = dial_in_line_take(channel->line, &channel->fd);
    else if (channel->url.kind != LINK_RTU)
        err = check_connected(channel, message);
    if (err == 0)
        channel->state = IS_OPEN;
    return err;
}

void channel_close(struct channel *channel)
{
    if (channel == NULL || channel->state == IS_CLOSED)
        return;
    if (channel->url.kind == LINK_RTU)
        serial_port_close(channel->port);
    else if (channel->url.kind == LINK_DTU)
        dial_in_line_hang_up(channel->line);
    else
        close(channel->fd);
    channel->port = NULL;
    channel->fd = CLOSED;
    channel->state = IS_CLOSED;
}

/* ---- bytes ---- */

bool channel_want(const struct channel *channel, struct driver_want *ret_want)
{
    bool called = channel->url.kind == LINK_DTU;
    if (channel->state == IS_CLOSED)
        return false;
    if (channel->state == IS_OPEN)
        *ret_want = (struct driver_want){.fd = channel->fd, .events = EPOLLIN};
    else
        *ret_want =
            (struct driver_want){.fd = called ? dial_in_line_fd(channel->line) : channel->fd,
                                 .events = called ? EPOLLIN : EPOLLOUT};
    return true;
}

/* As the system tells it, in `errno`. */
static int lost(const struct channel *channel, struct message *message)
{
    message_errno(message, ERR_CLOSED, "%s: connection lost", channel->name);
    return ERR_CLOSED;
}

static int ended(const struct channel *channel, struct message *message)
{
    const char *how = "closed the connection";
    if (channel->url.kind == LINK_RTU)
        how = "is gone";
    else if (channel->line != NULL && dial_in_line_called(channel->line))
        how = "has called anew";
    return message_set(message, ERR_CLOSED, "%s %s", channel->name, how);
}

ssize_t channel_read(struct channel *channel, uint8_t *ret_bytes, size_t room,
                     struct message *message)
{
    ssize_t got = channel->url.kind == LINK_RTU ? read(channel->fd, ret_bytes, room)
                                                : recv(channel->fd, ret_bytes, room, MSG_DONTWAIT);
    if (got > 0)
        return got;
    if (got == 0)
        return ended(channel, message);
    return errno == EAGAIN || errno == EINTR ? ERR_AGAIN : lost(channel, message);
}

int channel_write(struct channel *channel, const uint8_t *bytes, size_t len,
                  struct message *message)
{
    ssize_t sent = channel->url.kind == LINK_RTU
                       ? write(channel->fd, bytes, len)
                       : send(channel->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent == (ssize_t)len)
        return 0;
    /* A dozen bytes that do not fit: nobody has read for a long time. */
    if (sent >= 0)
        errno = EAGAIN;
    return lost(channel, message);
}

void channel_await(struct channel *channel, size_t bytes)
{
    int low_water = (int)bytes;
    if (channel->url.kind == LINK_RTU || channel->low_water == low_water)
        return;
    if (setsockopt(channel->fd, SOL_SOCKET, SO_RCVLOWAT, &low_water, sizeof(low_water)) == 0)
        channel->low_water = low_water;
}
