/*
 * The other end of a daemon's control socket, for the operator's tool: asks a line, waits for the
 * line of JSON. Blocking, with a deadline. One thread.
 */
#ifndef SERVICE_CONTROL_CLIENT_H
#define SERVICE_CONTROL_CLIENT_H

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/error.h"

#include <stdint.h>

struct control_client {
    int fd; /* -1: closed */
};

/* ERR_NOT_FOUND when nobody listens there: no daemon runs. */
MUST_CHECK int control_client_open(const char *path, struct control_client *ret_client,
                                   struct message *message);
void control_client_close(struct control_client *client);

/* Sends `request` (without a line's end) and puts the answer into `reply`, without its end.
 * ERR_TIMEOUT, ERR_CLOSED when the daemon hangs up, ERR_IO; after any of them nothing more can be
 * asked. */
MUST_CHECK int control_client_ask(struct control_client *client, const char *request,
                                  int64_t timeout_ms, struct buffer *reply,
                                  struct message *message);

#endif
