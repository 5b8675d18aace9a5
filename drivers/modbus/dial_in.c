/*
 * Design notes.
 *
 * All descriptors of the port lie in an epoll set of its own, which is the one descriptor that the
 * driver wants. A link, in turn, waits on its line's eventfd until a call is there, and then on the
 * call itself. To take over, the old call is shut down: its link sees it end as any connection
 * ends, and comes for the next.
 *
 * Registrations are read to their last byte and no further: what follows is the line's.
 */
#include "drivers/modbus/dial_in.h"

#include "drivers/modbus/registration.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINES_MAX   900
#define BACKLOG     64
#define BATCH_MAX   64                  /* calls of one step: the others wait too */
#define SHOWN_BYTES 32                  /* of a registration nobody knows */
#define AGAIN_US    ((int64_t)US_PER_S) /* no descriptor was left: when to accept again */
#define NO_CALL     (-1)

struct caller {
    int fd;
    struct endpoint peer;
    int64_t until_us;
    uint8_t bytes[LINK_BYTES_MAX];
    size_t len;
};

struct dial_in_line {
    struct link_bytes registration;
    int wake_fd;    /* an eventfd */
    int waiting_fd; /* a call that the link has not taken, or NO_CALL */
    int taken_fd;   /* the call that it has, or NO_CALL */
};

struct dial_in {
    struct driver driver; /* first: a pointer to it is a pointer to this */
    struct endpoint endpoint;
    char name[96];
    int listen_fd, epoll_fd;
    int64_t accept_again_us; /* NEVER: the listener is watched */
    struct caller callers[DIAL_IN_CALLERS_MAX];
    size_t caller_count;
    struct dial_in_line *lines[LINES_MAX];
    const struct link_bytes *registrations[LINES_MAX];
    size_t line_count;
    struct dial_in_stats stats;
    uint64_t notices;
    struct message trouble;
    struct driver_want want;
    int64_t due_us;
};

/* ---- lines ---- */

int dial_in_line_fd(const struct dial_in_line *line)
{
    return line->wake_fd;
}

bool dial_in_line_called(const struct dial_in_line *line)
{
    return line->waiting_fd != NO_CALL;
}

int dial_in_line_take(struct dial_in_line *line, int *ret_fd)
{
    uint64_t count;
    if (line->waiting_fd == NO_CALL || line->taken_fd != NO_CALL)
        return ERR_AGAIN;
    /* Only whether it is readable counts, and that ends here. */
    (void)!read(line->wake_fd, &count, sizeof(count));
    line->taken_fd = line->waiting_fd;
    line->waiting_fd = NO_CALL;
    *ret_fd = line->taken_fd;
    return 0;
}

void dial_in_line_hang_up(struct dial_in_line *line)
{
    if (line->taken_fd != NO_CALL)
        close(line->taken_fd);
    line->taken_fd = NO_CALL;
}

static void line_free(struct dial_in_line *line)
{
    dial_in_line_hang_up(line);
    if (line->waiting_fd != NO_CALL)
        close(line->waiting_fd);
    if (line->wake_fd >= 0)
        close(line->wake_fd);
    free(line);
}

/* A call for the line. Whatever call it had is over. */
static void line_called(struct dial_in *self, struct dial_in_line *line, int fd)
{
    const uint64_t one = 1;
    self->stats.registered++;
    self->stats.taken_over += line->taken_fd != NO_CALL || line->waiting_fd != NO_CALL;
    if (line->waiting_fd != NO_CALL)
        close(line->waiting_fd);
    if (line->taken_fd != NO_CALL)
        shutdown(line->taken_fd, SHUT_RDWR);
    line->waiting_fd = fd;
    socket_watch_peer(fd);
    /* An eventfd refuses only when it is readable already. */
    (void)!write(line->wake_fd, &one, sizeof(one));
}

int dial_in_expect(struct dial_in *self, const struct link_bytes *registration,
                   struct dial_in_line **ret_line, struct message *message)
{
    if (self->line_count == LINES_MAX)
        return message_set(message, ERR_FULL, "%s: more than %d DTUs", self->name, LINES_MAX);
    if (registration->len == 0 ||
        registration_find(registration->bytes, registration->len, self->registrations,
                          self->line_count) != REGISTRATION_UNKNOWN)
        return message_set(message, ERR_CONFLICT,
                           "%s: two DTUs begin alike: nobody could tell them apart", self->name);
    struct dial_in_line *line = calloc(1, sizeof(*line));
    if (line == NULL)
        return message_set(message, ERR_NO_MEMORY, "out of memory");
    *line = (struct dial_in_line){
        .registration = *registration, .waiting_fd = NO_CALL, .taken_fd = NO_CALL};
    line->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (line->wake_fd < 0) {
        int err = message_errno(message, ERR_IO, "eventfd");
        line_free(line);
        return err;
    }
    self->lines[self->line_count] = line;
    self->registrations[self->line_count++] = &line->registration;
    *ret_line = line;
    return 0;
}

/* ---- callers ---- */

static void forget(struct dial_in *self, size_t i)
{
    self->caller_count--;
    memmove(&self->callers[i], &self->callers[i + 1],
            (self->caller_count - i) * sizeof(self->callers[0]));
}

static void send_away(struct dial_in *self, size_t i)
{
    close(self->callers[i].fd);
    forget(self, i);
}

static void notice_unknown(struct dial_in *self, const struct caller *caller)
{
    char text[LINK_BYTES_TEXT_MAX];
    link_bytes_print(caller->bytes, caller->len < SHOWN_BYTES ? caller->len : SHOWN_BYTES, text);
    self->stats.unknown++;
    self->notices++;
    message_set(&self->trouble, 0,
                "%s calls as '%s', for which no link waits; if it is yours, its url is "
                "%s?register=… with the first bytes that only it says",
                caller->peer.host, text, self->name);
}

static void notice_mute(struct dial_in *self, const struct caller *caller)
{
    self->stats.mute++;
    self->notices++;
    message_set(
        &self->trouble, 0,
        "%s called and did not say who it is within %d s; switch its registration packet on",
        caller->peer.host, (int)(DIAL_IN_REGISTER_US / US_PER_S));
}

/* Reads what the caller says, byte for byte of what may be a registration. False: it is gone from
 * the list. */
static bool hear(struct dial_in *self, size_t i)
{
    struct caller *caller = &self->callers[i];
    int found = REGISTRATION_PART;
    while (found == REGISTRATION_PART) {
        ssize_t got = recv(caller->fd, caller->bytes + caller->len, 1, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (got <= 0) {
            self->stats.mute++;
            send_away(self, i);
            return false;
        }
        caller->len++;
        found =
            registration_find(caller->bytes, caller->len, self->registrations, self->line_count);
    }
    if (found == REGISTRATION_UNKNOWN) {
        ssize_t more = recv(caller->fd, caller->bytes + caller->len,
                            sizeof(caller->bytes) - caller->len, MSG_DONTWAIT);
        caller->len += more > 0 ? (size_t)more : 0;
        notice_unknown(self, caller);
        send_away(self, i);
        return false;
    }
    epoll_ctl(self->epoll_fd, EPOLL_CTL_DEL, caller->fd, NULL);
    line_called(self, self->lines[found], caller->fd);
    forget(self, i);
    return false;
}

static void hear_all(struct dial_in *self, int64_t now_us)
{
    for (size_t i = 0; i < self->caller_count;) {
        if (!hear(self, i))
            continue;
        if (self->callers[i].until_us > now_us) {
            i++;
            continue;
        }
        notice_mute(self, &self->callers[i]);
        send_away(self, i);
    }
}

static int watch(struct dial_in *self, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(self->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? ERR_IO : 0;
}

static void add_caller(struct dial_in *self, int fd, const struct endpoint *peer, int64_t now_us)
{
    self->stats.calls++;
    if (self->caller_count == DIAL_IN_CALLERS_MAX) {
        self->stats.crowded++;
        send_away(self, 0);
    }
    if (watch(self, fd) != 0) {
        self->stats.crowded++;
        close(fd);
        return;
    }
    self->callers[self->caller_count++] =
        (struct caller){.fd = fd, .peer = *peer, .until_us = now_us + DIAL_IN_REGISTER_US};
}

/* Without a descriptor for it, a call that waits would be announced again and again. */
static void accept_all(struct dial_in *self, int64_t now_us)
{
    if (self->accept_again_us != NEVER) {
        if (now_us < self->accept_again_us || watch(self, self->listen_fd) != 0)
            return;
        self->accept_again_us = NEVER;
    }
    for (int i = 0; i < BATCH_MAX; i++) {
        int fd;
        struct endpoint peer;
        int err = socket_accept(self->listen_fd, &fd, &peer);
        if (err == ERR_FULL) {
            epoll_ctl(self->epoll_fd, EPOLL_CTL_DEL, self->listen_fd, NULL);
            self->accept_again_us = now_us + AGAIN_US;
            message_set(&self->trouble, 0, "no descriptor is left for a DTU that calls");
            self->notices++;
        }
        if (err != 0)
            return;
        add_caller(self, fd, &peer, now_us);
    }
}

/* ---- the driver ---- */

static void step(struct driver *driver, struct now now, const struct driver_ready *ready,
                 size_t count)
{
    struct dial_in *self = (struct dial_in *)driver;
    (void)ready, (void)count;
    accept_all(self, now.mono_us);
    hear_all(self, now.mono_us);
    self->due_us = self->accept_again_us;
    for (size_t i = 0; i < self->caller_count; i++)
        if (self->callers[i].until_us < self->due_us)
            self->due_us = self->callers[i].until_us;
}

static void wants(const struct driver *driver, struct driver_wants *ret_wants)
{
    const struct dial_in *self = (const struct dial_in *)driver;
    *ret_wants = (struct driver_wants){.list = &self->want, .count = 1, .due_us = self->due_us};
}

/* Which lines have no call is told by their links. */
static void status(const struct driver *driver, struct driver_status *ret_status)
{
    const struct dial_in *self = (const struct dial_in *)driver;
    *ret_status = (struct driver_status){.up = true,
                                         .units = self->line_count,
                                         .notices = self->notices,
                                         .notice = self->trouble,
                                         .trouble = self->trouble};
}

static void close_all(struct driver *driver)
{
    struct dial_in *self = (struct dial_in *)driver;
    while (self->caller_count > 0)
        send_away(self, self->caller_count - 1);
    for (size_t i = 0; i < self->line_count; i++)
        line_free(self->lines[i]);
    if (self->listen_fd >= 0)
        close(self->listen_fd);
    if (self->epoll_fd >= 0)
        close(self->epoll_fd);
    free(self);
}

static const struct driver_ops ops = {
    .step = step, .wants = wants, .status = status, .close = close_all};

int dial_in_open(const struct endpoint *endpoint, struct dial_in **ret_dial_in,
                 struct message *message)
{
    struct dial_in *self = calloc(1, sizeof(*self));
    if (self == NULL)
        return message_set(message, ERR_NO_MEMORY, "out of memory");
    self->driver.ops = &ops;
    self->endpoint = *endpoint;
    self->listen_fd = -1;
    self->accept_again_us = NEVER;
    self->due_us = NEVER;
    self->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    self->want = (struct driver_want){.fd = self->epoll_fd, .events = EPOLLIN};
    int err = self->epoll_fd < 0 ? message_errno(message, ERR_IO, "epoll") : 0;
    if (err == 0)
        err = socket_listen(endpoint, BACKLOG, &self->listen_fd, &self->endpoint.port, message);
    if (err == 0 && watch(self, self->listen_fd) != 0)
        err = message_errno(message, ERR_IO, "epoll");
    if (err != 0) {
        close_all(&self->driver);
        return err;
    }
    snprintf(self->name, sizeof(self->name), "dtu://%s:%d", self->endpoint.host,
             self->endpoint.port);
    *ret_dial_in = self;
    return 0;
}

struct driver *dial_in_driver(struct dial_in *dial_in)
{
    return &dial_in->driver;
}

const char *dial_in_name(const struct dial_in *dial_in)
{
    return dial_in->name;
}

uint16_t dial_in_port(const struct dial_in *dial_in)
{
    return dial_in->endpoint.port;
}

void dial_in_stats(const struct dial_in *dial_in, struct dial_in_stats *ret_stats)
{
    *ret_stats = dial_in->stats;
}
