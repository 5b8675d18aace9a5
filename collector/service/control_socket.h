/*
 * A daemon's control socket: a Unix socket (mode 0600) on which the operator's tool asks, a line at
 * a time, and gets a line of JSON for each. Who may open it may ask; nothing can be changed by it.
 *
 *     client: connects → a line of at most 4 KiB → a line of at most 256 KiB → the next line …
 *
 * A step never blocks. Clients are few, and each has one second to say its line or to take the
 * answer. What it asks is answered by a port, at once or later. One thread, to which the port is
 * called as well.
 */
#ifndef SERVICE_CONTROL_SOCKET_H
#define SERVICE_CONTROL_SOCKET_H

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"

#include <stddef.h>

#define CONTROL_REQUEST_MAX 4096
#define CONTROL_CLIENTS_MAX 8

struct control_socket;

/* `client` (0 .. CONTROL_CLIENTS_MAX - 1) says who asks. */
struct control_port {
    void *self;
    /* Appends the answer to `reply`, JSON without a line's end. ERR_AGAIN: not yet; the same
     * client's same request comes again soon, until it is answered. Any other error is told. */
    int (*answer)(void *self, unsigned client, const char *request, size_t len, struct now now,
                  struct buffer *reply);
    /* A client to whom ERR_AGAIN was said has gone. */
    void (*forget)(void *self, unsigned client);
};

/* Listens at `path`, which others then may not. See socket_listen_unix. */
MUST_CHECK int control_socket_open(const char *path, const struct control_port *port,
                                   struct control_socket **ret_socket, struct message *message);

/* Hangs up on all, removes the path. NULL is fine. */
void control_socket_close(struct control_socket *socket);

/* Readable while there is something to do: for the worker. */
int control_socket_fd(const struct control_socket *socket);

/* Takes what came, answers what can be answered; returns when it wants to run next. */
int64_t control_socket_step(struct control_socket *socket, struct now now);

#endif
