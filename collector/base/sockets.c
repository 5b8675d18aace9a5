#include "base/sockets.h"

#include "base/numbers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* An address of any of our families. */
union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
};

/* Closes without touching errno, for the way out of a failure. */
static void close_quietly(int fd)
{
    int saved = errno;
    close(fd);
    errno = saved;
}

static int open_socket(int family)
{
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* Returns the address's length, 0 when the host is no numeric address. */
static socklen_t endpoint_address(const struct endpoint *endpoint, union address *ret_address)
{
    union address address = {0};
    if (inet_pton(AF_INET, endpoint->host, &address.v4.sin_addr) == 1) {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons(endpoint->port);
        *ret_address = address;
        return sizeof address.v4;
    }
    if (inet_pton(AF_INET6, endpoint->host, &address.v6.sin6_addr) == 1) {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons(endpoint->port);
        *ret_address = address;
        return sizeof address.v6;
    }
    return 0;
}

int endpoint_parse(const char *text, struct endpoint *ret_endpoint)
{
    struct endpoint endpoint = {0};
    union address address;
    uint64_t port = 0;
    const char *colon = strrchr(text, ':');
    if (colon == NULL)
        return ERR_INVALID;
    const char *host = text;
    size_t len = (size_t)(colon - text);
    bool bracketed = len >= 2 && host[0] == '[' && host[len - 1] == ']';
    if (bracketed) {
        host++;
        len -= 2;
    }
    if (len == 0 || len >= sizeof endpoint.host)
        return ERR_INVALID;
    memcpy(endpoint.host, host, len);
    if (endpoint_address(&endpoint, &address) == 0)
        return ERR_INVALID;
    /* Without brackets nobody can tell where an IPv6 address ends. */
    if (bracketed != (address.any.sa_family == AF_INET6))
        return ERR_INVALID;
    if (parse_u64(colon + 1, 0, UINT16_MAX, &port) != 0)
        return ERR_INVALID;
    endpoint.port = (uint16_t)port;
    *ret_endpoint = endpoint;
    return 0;
}

int socket_connect(const struct endpoint *endpoint, int *ret_fd)
{
    union address address;
    const int one = 1;
    socklen_t len = endpoint_address(endpoint, &address);
    if (len == 0)
        return ERR_INVALID;
    int fd = open_socket(address.any.sa_family);
    if (fd < 0)
        return ERR_IO;
    /* Requests are small and waited for; only their delay depends on this. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, &address.any, len) != 0 && errno != EINPROGRESS && errno != EINTR) {
        close_quietly(fd);
        return ERR_IO;
    }
    *ret_fd = fd;
    return 0;
}

int socket_error(int fd)
{
    union address own = {0};
    union address peer = {0};
    socklen_t own_len = sizeof own;
    socklen_t peer_len = sizeof peer;
    int error = 0;
    socklen_t error_len = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len) != 0)
        return ERR_IO;
    if (error != 0) {
        errno = error;
        return ERR_IO;
    }
    if (getpeername(fd, &peer.any, &peer_len) != 0 || getsockname(fd, &own.any, &own_len) != 0)
        return ERR_IO;
    /* Where nobody listens on a port of the ephemeral range of this machine, TCP may connect
     * the socket to itself. */
    if (own.any.sa_family != AF_UNIX && own_len == peer_len && memcmp(&own, &peer, own_len) == 0) {
        errno = ECONNREFUSED;
        return ERR_IO;
    }
    return 0;
}

static int own_port(int fd, uint16_t *ret_port)
{
    union address address = {0};
    socklen_t len = sizeof address;
    if (getsockname(fd, &address.any, &len) != 0)
        return ERR_IO;
    *ret_port =
        ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
    return 0;
}

static int peer_of(const union address *address, struct endpoint *ret_peer)
{
    bool v6 = address->any.sa_family == AF_INET6;
    const void *host =
        v6 ? (const void *)&address->v6.sin6_addr : (const void *)&address->v4.sin_addr;
    struct endpoint peer = {.port = ntohs(v6 ? address->v6.sin6_port : address->v4.sin_port)};
    if (inet_ntop(address->any.sa_family, host, peer.host, sizeof peer.host) == NULL)
        return ERR_IO;
    *ret_peer = peer;
    return 0;
}

int socket_accept(int listen_fd, int *ret_fd, struct endpoint *ret_peer)
{
    union address address = {0};
    socklen_t len = sizeof address;
    const int one = 1;
    int fd = accept4(listen_fd, &address.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            return ERR_FULL;
        /* A connection that ended before it was taken is none. */
        return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED ? ERR_AGAIN : ERR_IO;
    }
    if (peer_of(&address, ret_peer) != 0) {
        close_quietly(fd);
        return ERR_IO;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    *ret_fd = fd;
    return 0;
}

void socket_watch_peer(int fd)
{
    static const struct {
        int level, name, value;
    } settings[] = {{SOL_SOCKET, SO_KEEPALIVE, 1},
                    {IPPROTO_TCP, TCP_KEEPIDLE, 60},
                    {IPPROTO_TCP, TCP_KEEPINTVL, 10},
                    {IPPROTO_TCP, TCP_KEEPCNT, 3},
                    {IPPROTO_TCP, TCP_USER_TIMEOUT, 30000}};
    /* Without them a dead peer is noticed by its silence, only later. */
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        (void)setsockopt(fd, settings[i].level, settings[i].name, &settings[i].value,
                         sizeof settings[i].value);
}

int socket_listen(const struct endpoint *endpoint, int backlog, int *ret_fd, uint16_t *ret_port,
                  struct message *message)
{
    union address address;
    uint16_t port = 0;
    const int one = 1;
    socklen_t len = endpoint_address(endpoint, &address);
    if (len == 0)
        return message_set(message, ERR_INVALID, "cannot listen on %s: not a numeric address",
                           endpoint->host);
    int fd = open_socket(address.any.sa_family);
    /* Without SO_REUSEADDR a restart must wait until the last run's connections are forgotten. */
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, &address.any, len) != 0 || listen(fd, backlog) != 0 || own_port(fd, &port) != 0)
        goto out;
    *ret_fd = fd;
    if (ret_port != NULL)
        *ret_port = port;
    return 0;

out:
    message_errno(message, ERR_IO, "cannot listen on %s port %u", endpoint->host,
                  (unsigned int)endpoint->port);
    if (fd >= 0)
        close_quietly(fd);
    return ERR_IO;
}

static int local_address(const char *path, union address *ret_address, struct message *message)
{
    union address address = {0};
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof address.local.sun_path)
        return message_set(message, ERR_FULL, "the path of a socket has 1 to %zu bytes: %s",
                           sizeof address.local.sun_path - 1, path);
    address.local.sun_family = AF_UNIX;
    memcpy(address.local.sun_path, path, len + 1);
    *ret_address = address;
    return 0;
}

int socket_connect_unix(const char *path, int *ret_fd, struct message *message)
{
    union address address;
    int err = local_address(path, &address, message);
    if (err != 0)
        return err;
    int fd = open_socket(AF_UNIX);
    if (fd < 0)
        return message_errno(message, ERR_IO, "cannot make a socket for %s", path);
    if (connect(fd, &address.any, sizeof address.local) != 0) {
        err = errno == ENOENT || errno == ECONNREFUSED ? ERR_NOT_FOUND : ERR_IO;
        if (errno == EAGAIN)
            err = ERR_AGAIN;
        err = message_errno(message, err, "cannot connect to %s", path);
        close_quietly(fd);
        return err;
    }
    *ret_fd = fd;
    return 0;
}

/* Removes a socket nobody listens on; anything else of that name stays, and is told. */
static int remove_stale(const char *path, struct message *message)
{
    struct stat status;
    int fd = -1;
    if (lstat(path, &status) != 0)
        return errno == ENOENT ? 0 : message_errno(message, ERR_IO, "cannot examine %s", path);
    if (!S_ISSOCK(status.st_mode))
        return message_set(message, ERR_CONFLICT, "%s exists and is not a socket", path);
    int err = socket_connect_unix(path, &fd, message);
    if (err == 0)
        close(fd);
    if (err == 0 || err == ERR_AGAIN)
        return message_set(message, ERR_CONFLICT, "another process listens on %s", path);
    if (err != ERR_NOT_FOUND)
        return err;
    if (unlink(path) != 0 && errno != ENOENT)
        return message_errno(message, ERR_IO, "cannot remove the stale socket %s", path);
    return 0;
}

int socket_listen_unix(const char *path, int *ret_fd, struct message *message)
{
    union address address;
    int err = local_address(path, &address, message);
    if (err != 0)
        return err;
    err = remove_stale(path, message);
    if (err != 0)
        return err;
    int fd = open_socket(AF_UNIX);
    /* Nobody can connect before listen, so the mode is right from the first moment. */
    if (fd < 0 || bind(fd, &address.any, sizeof address.local) != 0 || chmod(path, 0600) != 0 ||
        listen(fd, SOMAXCONN) != 0) {
        err = message_errno(message, ERR_IO, "cannot listen on %s", path);
        if (fd >= 0)
            close_quietly(fd);
        return err;
    }
    *ret_fd = fd;
    return 0;
}
