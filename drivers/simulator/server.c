#include "drivers/simulator/server.h"

#include <errno.h>
#include <modbus/modbus.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS_MAX  64
#define EVENTS_MAX   32
#define HEADER_BYTES 7 /* MBAP: transaction, protocol, length, unit */
#define LENGTH_MAX   254
#define REST_US      1000 /* for a request whose length lies: less than its function needs */

struct server {
    int listen_fd, epoll_fd;
    uint16_t port;
    struct server_unit *units;
    size_t unit_count;
    modbus_t *modbus;
    int clients[CLIENTS_MAX];
    size_t client_count;
};

static int watch(struct server *server, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? ERR_IO : 0;
}

int server_open(const struct endpoint *listen, struct server_unit *units, size_t unit_count,
                struct server **ret_server, struct message *message)
{
    struct server *server = calloc(1, sizeof(*server));
    if (!server)
        return message_set(message, ERR_NO_MEMORY, "server: out of memory");
    server->listen_fd = server->epoll_fd = -1;
    server->units = units;
    server->unit_count = unit_count;
    int err = socket_listen(listen, CLIENTS_MAX, &server->listen_fd, &server->port, message);
    if (!err) {
        server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        server->modbus = modbus_new_tcp("127.0.0.1", listen->port);
        if (server->epoll_fd < 0 || !server->modbus || watch(server, server->listen_fd))
            err = message_errno(message, ERR_IO, "server on port %u", server->port);
        else
            (void)!modbus_set_byte_timeout(server->modbus, 0, REST_US);
    }
    if (err) {
        server_close(server);
        return err;
    }
    *ret_server = server;
    return 0;
}

void server_close(struct server *server)
{
    if (!server)
        return;
    for (size_t i = 0; i < server->client_count; i++)
        close(server->clients[i]);
    if (server->listen_fd >= 0)
        close(server->listen_fd);
    if (server->epoll_fd >= 0)
        close(server->epoll_fd);
    if (server->modbus)
        modbus_free(server->modbus);
    free(server);
}

uint16_t server_port(const struct server *server)
{
    return server->port;
}

int server_fd(const struct server *server)
{
    return server->epoll_fd;
}

static void accept_client(struct server *server)
{
    int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    if (server->client_count == CLIENTS_MAX || watch(server, fd)) {
        close(fd);
        return;
    }
    server->clients[server->client_count++] = fd;
}

static void drop_client(struct server *server, int fd)
{
    for (size_t i = 0; i < server->client_count; i++)
        if (server->clients[i] == fd)
            server->clients[i] = server->clients[--server->client_count];
    close(fd);
}

static struct server_unit *find_unit(struct server *server, int unit)
{
    for (size_t i = 0; i < server->unit_count; i++)
        if (server->units[i].unit == unit)
            return &server->units[i];
    return NULL;
}

static int reply(struct server *server, struct server_unit *unit, const uint8_t *request, int len)
{
    if (!unit)
        return modbus_reply_exception(server->modbus, request, MODBUS_EXCEPTION_GATEWAY_TARGET);
    if (unit->dead)
        return 0;
    unit->requests++;
    if (unit->exception)
        return modbus_reply_exception(server->modbus, request,
                                      MODBUS_EXCEPTION_SLAVE_OR_SERVER_FAILURE);
    modbus_mapping_t memory = {.nb_bits = SERVER_REGISTERS,
                               .nb_input_bits = SERVER_REGISTERS,
                               .nb_registers = SERVER_REGISTERS,
                               .nb_input_registers = SERVER_REGISTERS,
                               .tab_bits = unit->bits,
                               .tab_input_bits = unit->bits,
                               .tab_registers = unit->registers,
                               .tab_input_registers = unit->registers};
    return modbus_reply(server->modbus, request, len, &memory);
}

/* Answers one request if a whole one waits: 1; 0: not yet; negative: the client is to go. */
static int serve(struct server *server, int fd)
{
    uint8_t header[HEADER_BYTES];
    uint8_t request[MODBUS_TCP_MAX_ADU_LENGTH];
    ssize_t n = recv(fd, header, sizeof(header), MSG_PEEK | MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if (n == 0)
        return -1;
    if (n < HEADER_BYTES)
        return 0;
    int length = header[4] << 8 | header[5];
    if (length < 2 || length > LENGTH_MAX)
        return -1;
    n = recv(fd, request, (size_t)length + 6, MSG_PEEK | MSG_DONTWAIT);
    if (n < length + 6)
        return 0;
    modbus_set_socket(server->modbus, fd);
    int len = modbus_receive(server->modbus, request);
    if (len <= 0)
        return -1;
    return reply(server, find_unit(server, request[6]), request, len) < 0 ? -1 : 1;
}

size_t server_step(struct server *server)
{
    size_t answered = 0;
    struct epoll_event events[EVENTS_MAX];
    int ready = epoll_wait(server->epoll_fd, events, EVENTS_MAX, 0);
    for (int i = 0; i < ready; i++) {
        int fd = events[i].data.fd;
        if (fd == server->listen_fd) {
            accept_client(server);
            continue;
        }
        int result = 1;
        while (result > 0) {
            result = serve(server, fd);
            answered += result > 0;
        }
        if (result < 0)
            drop_client(server, fd);
    }
    return answered;
}
