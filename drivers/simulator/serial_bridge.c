#include "drivers/simulator/serial_bridge.h"

#include "base/clock.h"
#include "base/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define NO_FD    (-1)
#define CHUNK    512
#define AGAIN_US ((int64_t)US_PER_S) /* a call that failed is tried again */

struct serial_bridge {
    struct link_url url;
    int64_t heartbeat_us;
    int line_fd, listen_fd, epoll_fd;
    int client_fd;   /* who is connected, or the call that begins */
    bool calling;    /* it has not been taken yet */
    int64_t call_us; /* when to call next; NEVER: it has */
    int64_t beat_us; /* when the next heartbeat is due; NEVER: none */
};

static int watch(struct serial_bridge *bridge, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    return epoll_ctl(bridge->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? ERR_IO : 0;
}

static int open_parts(struct serial_bridge *bridge, const char *device, struct message *message)
{
    bridge->line_fd = open(device, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    bridge->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (bridge->line_fd < 0 || bridge->epoll_fd < 0 || watch(bridge, bridge->line_fd, EPOLLIN))
        return message_errno(message, ERR_IO, "%s", device);
    if (bridge->url.kind == LINK_DTU)
        return 0;
    int err = socket_listen(&bridge->url.endpoint, 8, &bridge->listen_fd,
                            &bridge->url.endpoint.port, message);
    return !err && watch(bridge, bridge->listen_fd, EPOLLIN)
               ? message_errno(message, ERR_IO, "bridge: epoll")
               : err;
}

int serial_bridge_open(const char *device, const struct link_url *url, int64_t heartbeat_ms,
                       struct serial_bridge **ret_bridge, struct message *message)
{
    struct serial_bridge *bridge = calloc(1, sizeof(*bridge));
    if (!bridge)
        return message_set(message, ERR_NO_MEMORY, "bridge: out of memory");
    bridge->url = *url;
    bridge->heartbeat_us = heartbeat_ms * US_PER_MS;
    bridge->line_fd = bridge->listen_fd = bridge->epoll_fd = bridge->client_fd = NO_FD;
    bridge->call_us = url->kind == LINK_DTU ? 0 : NEVER;
    bridge->beat_us = NEVER;
    int err = open_parts(bridge, device, message);
    if (err) {
        serial_bridge_close(bridge);
        return err;
    }
    *ret_bridge = bridge;
    return 0;
}

void serial_bridge_close(struct serial_bridge *bridge)
{
    if (!bridge)
        return;
    const int fds[] = {bridge->line_fd, bridge->listen_fd, bridge->epoll_fd, bridge->client_fd};
    for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(bridge);
}

int serial_bridge_fd(const struct serial_bridge *bridge)
{
    return bridge->epoll_fd;
}

int64_t serial_bridge_due(const struct serial_bridge *bridge)
{
    return bridge->call_us < bridge->beat_us ? bridge->call_us : bridge->beat_us;
}

uint16_t serial_bridge_port(const struct serial_bridge *bridge)
{
    return bridge->listen_fd >= 0 ? bridge->url.endpoint.port : 0;
}

static void drop_client(struct serial_bridge *bridge, int64_t now_us)
{
    if (bridge->client_fd >= 0)
        close(bridge->client_fd);
    bridge->client_fd = NO_FD;
    bridge->calling = false;
    bridge->beat_us = NEVER;
    if (bridge->url.kind == LINK_DTU)
        bridge->call_us = now_us + AGAIN_US;
}

/* Whoever does not take it is gone. */
static void say(struct serial_bridge *bridge, const void *bytes, size_t len, int64_t now_us)
{
    if (send(bridge->client_fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)len)
        drop_client(bridge, now_us);
}

static void call(struct serial_bridge *bridge, int64_t now_us)
{
    bridge->call_us = NEVER;
    if (socket_connect(&bridge->url.endpoint, &bridge->client_fd) ||
        watch(bridge, bridge->client_fd, EPOLLOUT))
        drop_client(bridge, now_us);
    else
        bridge->calling = true;
}

/* The call has been taken, or not. */
static void call_ended(struct serial_bridge *bridge, int64_t now_us)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = bridge->client_fd};
    struct pollfd wait = {bridge->client_fd, POLLOUT, 0};
    if (poll(&wait, 1, 0) <= 0)
        return;
    if (socket_error(bridge->client_fd) ||
        epoll_ctl(bridge->epoll_fd, EPOLL_CTL_MOD, bridge->client_fd, &event)) {
        drop_client(bridge, now_us);
        return;
    }
    bridge->calling = false;
    if (bridge->url.heartbeat.len > 0)
        bridge->beat_us = now_us + bridge->heartbeat_us;
    say(bridge, bridge->url.registration.bytes, bridge->url.registration.len, now_us);
}

static void accept_client(struct serial_bridge *bridge, int64_t now_us)
{
    struct endpoint peer;
    int fd;
    if (socket_accept(bridge->listen_fd, &fd, &peer))
        return;
    drop_client(bridge, now_us);
    bridge->client_fd = fd;
    if (watch(bridge, fd, EPOLLIN))
        drop_client(bridge, now_us);
}

static void carry_to_line(struct serial_bridge *bridge, int64_t now_us)
{
    uint8_t bytes[CHUNK];
    ssize_t got = recv(bridge->client_fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        drop_client(bridge, now_us);
    else if (got > 0)
        /* A line that takes no more loses it, as a wire would. */
        (void)!write(bridge->line_fd, bytes, (size_t)got);
}

static void carry_to_client(struct serial_bridge *bridge, int64_t now_us)
{
    uint8_t bytes[CHUNK];
    ssize_t got = read(bridge->line_fd, bytes, sizeof(bytes));
    if (got > 0 && bridge->client_fd >= 0 && !bridge->calling)
        say(bridge, bytes, (size_t)got, now_us);
}

void serial_bridge_step(struct serial_bridge *bridge, int64_t now_us)
{
    if (now_us >= bridge->call_us)
        call(bridge, now_us);
    if (bridge->calling)
        call_ended(bridge, now_us);
    if (bridge->listen_fd >= 0)
        accept_client(bridge, now_us);
    if (bridge->client_fd >= 0 && !bridge->calling)
        carry_to_line(bridge, now_us);
    carry_to_client(bridge, now_us);
    if (now_us < bridge->beat_us)
        return;
    bridge->beat_us = now_us + bridge->heartbeat_us;
    say(bridge, bridge->url.heartbeat.bytes, bridge->url.heartbeat.len, now_us);
}
