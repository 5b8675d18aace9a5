#include "service/control_socket.h"

#include "base/json_fields.h"
#include "base/sockets.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Design notes
 *
 * A client is always in one of three states, and is watched for just what that state waits for, so
 * that nothing that cannot be used now keeps the thread awake:
 *
 *   reading   a whole line      EPOLLIN
 *   asking    the port          nothing; looked at again every ASK_AGAIN_US
 *   writing   room for a reply  EPOLLOUT
 *
 * A hang-up is told by epoll in every state. A client that has only ended its own side, as `nc`
 * does, still gets its answer. What it sends ahead stays in the kernel until its turn.
 *
 * While no client has room, the listener is not watched: who comes then waits in its queue.
 */

#define CLIENT_US    (1 * (int64_t)US_PER_S)
#define ASK_AGAIN_US (20 * (int64_t)US_PER_MS)
#define ACCEPT_AGAIN (1 * (int64_t)US_PER_S)
#define EVENTS_MAX   16
#define LISTENER     UINT32_MAX
#define REPLY_MAX    JSON_MAX_BYTES

enum client_state { CLIENT_NONE, CLIENT_READING, CLIENT_ASKING, CLIENT_WRITING };

struct client {
    enum client_state state;
    int fd;
    int64_t due_us; /* reading, writing: hung up then; asking: asked again then */
    char request[CONTROL_REQUEST_MAX + 1];
    size_t have; /* bytes of request */
    size_t len;  /* asking, writing: of the line, without its end */
    struct buffer reply;
    size_t sent;
};

struct control_socket {
    struct control_port port;
    char *path;
    int listen_fd, epoll_fd;
    bool listening;       /* watched */
    int64_t accept_at_us; /* not before, after a failure */
    struct client clients[CONTROL_CLIENTS_MAX];
};

static void watch(struct control_socket *self, int operation, int fd, uint32_t events, uint32_t who)
{
    struct epoll_event event = {.events = events, .data.u32 = who};
    /* What cannot be watched is hung up when its second is over. */
    (void)epoll_ctl(self->epoll_fd, operation, fd, &event);
}

static void listen_while(struct control_socket *self, bool listening)
{
    if (self->listening != listening)
        watch(self, EPOLL_CTL_MOD, self->listen_fd, listening ? EPOLLIN : 0, LISTENER);
    self->listening = listening;
}

static void enter(struct control_socket *self, struct client *client, enum client_state state,
                  int64_t due_us)
{
    static const uint32_t events[] = {
        [CLIENT_READING] = EPOLLIN, [CLIENT_ASKING] = 0, [CLIENT_WRITING] = EPOLLOUT};
    client->state = state;
    client->due_us = due_us;
    watch(self, EPOLL_CTL_MOD, client->fd, events[state], (uint32_t)(client - self->clients));
}

static void hang_up(struct control_socket *self, struct client *client)
{
    if (client->state == CLIENT_ASKING)
        self->port.forget(self->port.self, (unsigned)(client - self->clients));
    close(client->fd);
    buffer_release(&client->reply);
    client->state = CLIENT_NONE;
    client->due_us = NEVER;
}

/* ---- a client's way ---- */

static void say_error(struct buffer *reply, const char *what)
{
    struct json_writer json;
    buffer_clear(reply);
    json_writer_init(&json, reply);
    json_begin_object(&json);
    json_field_text(&json, "error", what);
    json_end_object(&json);
}

static void write_reply(struct control_socket *self, struct client *client, struct now now);

static void ask(struct control_socket *self, struct client *client, struct now now)
{
    buffer_clear(&client->reply);
    int err = self->port.answer(self->port.self, (unsigned)(client - self->clients),
                                client->request, client->len, now, &client->reply);
    if (err == ERR_AGAIN) {
        client->due_us = now.mono_us + ASK_AGAIN_US;
        return;
    }
    if (!err)
        err = buffer_error(&client->reply);
    if (err)
        say_error(&client->reply, err_name(err));
    buffer_append_char(&client->reply, '\n');
    client->sent = 0;
    enter(self, client, CLIENT_WRITING, now.mono_us + CLIENT_US);
    write_reply(self, client, now);
}

/* Asks when a whole line is there. One that never ends is no request. */
static void take_line(struct control_socket *self, struct client *client, struct now now)
{
    const char *end = memchr(client->request, '\n', client->have);
    if (!end && client->have == sizeof(client->request)) {
        hang_up(self, client);
    } else if (end) {
        client->len = (size_t)(end - client->request);
        enter(self, client, CLIENT_ASKING, now.mono_us);
        ask(self, client, now);
    }
}

static void read_request(struct control_socket *self, struct client *client, struct now now)
{
    ssize_t got = recv(client->fd, client->request + client->have,
                       sizeof(client->request) - client->have, MSG_DONTWAIT);
    if (got > 0) {
        client->have += (size_t)got;
        take_line(self, client, now);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        hang_up(self, client);
    }
}

static void write_reply(struct control_socket *self, struct client *client, struct now now)
{
    ssize_t put = send(client->fd, client->reply.data + client->sent,
                       client->reply.len - client->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (put < 0 && errno != EAGAIN && errno != EINTR) {
        hang_up(self, client);
        return;
    }
    client->sent += put > 0 ? (size_t)put : 0;
    if (client->sent < client->reply.len)
        return;
    client->have -= client->len + 1;
    memmove(client->request, client->request + client->len + 1, client->have);
    enter(self, client, CLIENT_READING, now.mono_us + CLIENT_US);
    /* A line that came along with the last one is told by no event. */
    if (memchr(client->request, '\n', client->have))
        client->due_us = now.mono_us;
}

/* ---- the step ---- */

static struct client *free_place(struct control_socket *self)
{
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (self->clients[i].state == CLIENT_NONE)
            return &self->clients[i];
    return NULL;
}

static void accept_clients(struct control_socket *self, struct now now)
{
    struct client *client;
    while ((client = free_place(self)) != NULL) {
        int fd = accept4(self->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            /* No descriptors, say: they wait, and so do we. */
            if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
                self->accept_at_us = now.mono_us + ACCEPT_AGAIN;
            break;
        }
        client->fd = fd;
        client->have = 0;
        buffer_init(&client->reply, REPLY_MAX);
        watch(self, EPOLL_CTL_ADD, fd, 0, (uint32_t)(client - self->clients));
        enter(self, client, CLIENT_READING, now.mono_us + CLIENT_US);
    }
    listen_while(self, client != NULL && self->accept_at_us <= now.mono_us);
}

static void on_event(struct control_socket *self, struct client *client, uint32_t events,
                     struct now now)
{
    if (client->state == CLIENT_NONE)
        return;
    if (client->state == CLIENT_READING && (events & EPOLLIN))
        read_request(self, client, now);
    else if (client->state == CLIENT_WRITING && (events & EPOLLOUT))
        write_reply(self, client, now);
    else if (events & (EPOLLHUP | EPOLLERR))
        hang_up(self, client);
}

/* What its time has come for. */
static void on_due(struct control_socket *self, struct client *client, struct now now)
{
    if (client->state == CLIENT_ASKING)
        ask(self, client, now);
    else if (client->state == CLIENT_READING && memchr(client->request, '\n', client->have))
        take_line(self, client, now);
    else
        hang_up(self, client);
}

int64_t control_socket_step(struct control_socket *self, struct now now)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(self->epoll_fd, events, EVENTS_MAX, 0);
    for (int i = 0; i < count; i++)
        if (events[i].data.u32 != LISTENER)
            on_event(self, &self->clients[events[i].data.u32], events[i].events, now);
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (self->clients[i].state != CLIENT_NONE && self->clients[i].due_us <= now.mono_us)
            on_due(self, &self->clients[i], now);
    if (self->accept_at_us <= now.mono_us)
        accept_clients(self, now);
    int64_t due_us = self->accept_at_us > now.mono_us ? self->accept_at_us : NEVER;
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (self->clients[i].state != CLIENT_NONE && self->clients[i].due_us < due_us)
            due_us = self->clients[i].due_us;
    return due_us;
}

/* ---- opening ---- */

int control_socket_open(const char *path, const struct control_port *port,
                        struct control_socket **ret_socket, struct message *message)
{
    struct control_socket *self = calloc(1, sizeof(*self));
    if (!self)
        return message_set(message, ERR_NO_MEMORY, "control socket: out of memory");
    self->port = *port;
    self->listen_fd = -1;
    self->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    self->accept_at_us = INT64_MIN;
    int err = socket_listen_unix(path, &self->listen_fd, message);
    if (!err)
        self->path = strdup(path); /* from here on it is ours to remove */
    if (!err && (!self->path || self->epoll_fd < 0))
        err = message_set(message, ERR_NO_MEMORY, "control socket: out of memory");
    if (err) {
        control_socket_close(self);
        return err;
    }
    self->listening = true;
    watch(self, EPOLL_CTL_ADD, self->listen_fd, EPOLLIN, LISTENER);
    *ret_socket = self;
    return 0;
}

void control_socket_close(struct control_socket *self)
{
    if (!self)
        return;
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (self->clients[i].state != CLIENT_NONE)
            hang_up(self, &self->clients[i]);
    if (self->path)
        unlink(self->path);
    if (self->listen_fd >= 0)
        close(self->listen_fd);
    if (self->epoll_fd >= 0)
        close(self->epoll_fd);
    free(self->path);
    free(self);
}

int control_socket_fd(const struct control_socket *self)
{
    return self->epoll_fd;
}
