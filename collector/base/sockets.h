/* TCP and Unix sockets, always close-on-exec and non-blocking. Numeric addresses only: a name
 * look-up would block. */
#ifndef BASE_SOCKETS_H
#define BASE_SOCKETS_H

#include "base/attributes.h"
#include "base/error.h"

#include <stdint.h>

/* Where to connect or listen: "127.0.0.1", "::1", "0.0.0.0". */
struct endpoint {
    char host[64];
    uint16_t port;
};

/* Reads "HOST:PORT" or "[V6]:PORT". ERR_INVALID unless numeric and 0..65535. */
MUST_CHECK int endpoint_parse(const char *text, struct endpoint *ret_endpoint);

/* Begins to connect (ERR_IO tells errno); the descriptor is writable once that has ended (see
 * socket_error). */
MUST_CHECK int socket_connect(const struct endpoint *endpoint, int *ret_fd);

/* 0 when the connection stands, else ERR_IO with errno set. A connection of a socket to itself,
 * which TCP allows, counts as refused. */
MUST_CHECK int socket_error(int fd);

/* Listens; port 0 takes a free one, told in *ret_port (may be NULL). */
MUST_CHECK int socket_listen(const struct endpoint *endpoint, int backlog, int *ret_fd,
                             uint16_t *ret_port, struct message *message);

/* The next connection of a TCP listener, and from where it comes. ERR_AGAIN when none waits,
 * ERR_FULL when no descriptor or memory is left for it (it keeps waiting), ERR_IO else. */
MUST_CHECK int socket_accept(int listen_fd, int *ret_fd, struct endpoint *ret_peer);

/* Lets the kernel find out that the other side of a TCP connection is gone without a word: probes
 * after a minute of silence, and gives up half a minute after what was sent is not taken. */
void socket_watch_peer(int fd);

/* Listens on a Unix socket (mode 0600). A socket of that name on which nobody listens any more is
 * replaced; ERR_CONFLICT where somebody does, or where another kind of file stands. */
MUST_CHECK int socket_listen_unix(const char *path, int *ret_fd, struct message *message);

/* ERR_NOT_FOUND when nobody listens there, ERR_AGAIN when too many wait to be accepted. */
MUST_CHECK int socket_connect_unix(const char *path, int *ret_fd, struct message *message);

#endif
