#include "drivers/simulator/server.h"

#include "base/clock.h"
#include "drivers/simulator/pty.h"
#include "drivers/simulator/reply_noise.h"
#include "drivers/simulator/rtu_frame.h"

#include <errno.h>
#include <modbus/modbus.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Design notes
 *
 * libmodbus makes the replies, and nothing else. Receiving is ours: its RTU side passes over every
 * unit but one, and its TCP side waits in select(). So requests are framed here, by the length that
 * TCP tells and by rtu_frame.h, and libmodbus writes its replies into a socket pair, from which
 * they come as messages that can be held back, spoilt and counted before they leave.
 *
 * A serial line has one reply on its way at most; TCP has more only where noise makes them late.
 */

#define CLIENTS_MAX   64
#define PENDING_MAX   64
#define EVENTS_MAX    32
#define BATCH_MAX     64 /* requests of one client in a step: the others wait too */
#define HEADER_BYTES  7  /* MBAP: transaction, protocol, length, unit */
#define LENGTH_END    6  /* the length counts from here */
#define LENGTH_MAX    254
#define CRC_BYTES     2
#define BROADCAST     0
#define EXCEPTION_BIT 0x80

/* A pty keeps no time, and its client may be interrupted within a frame. */
#define SILENCE_MIN_US (10 * US_PER_MS)

/* No descriptor was left for a client: when to look again, if no client goes before. */
#define ACCEPT_AGAIN_US US_PER_S

struct client {
    int fd;
    uint64_t connection;
};

struct reply {
    int fd;
    uint64_t connection;
    int64_t due_us;
    enum reply_fate fate;
    const struct server_unit *unit; /* to be told when it is written; NULL: nobody */
    uint8_t function;
    uint16_t start, count;
    size_t len;
    uint8_t bytes[MODBUS_TCP_MAX_ADU_LENGTH];
};

struct server {
    struct server_unit *units;
    size_t unit_count;
    int epoll_fd;
    modbus_t *modbus;
    int written_fd, made_fd; /* libmodbus writes a reply to the one, we read it from the other */

    int listen_fd;
    uint16_t port;
    struct client clients[CLIENTS_MAX];
    size_t client_count;
    int64_t accept_again_us; /* NEVER: the listener is watched */
    uint64_t connections;    /* so far: the number of the latest */

    bool serial;
    struct pty pty;
    unsigned baud;
    int64_t latency_us;
    struct rtu_receiver receiver;

    struct noise noise;
    double noise_probability;
    struct reply pending[PENDING_MAX];
    size_t pending_count;
    struct server_stats stats;
};

/* ---- life ---- */

static int watch(struct server *server, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? ERR_IO : 0;
}

/* Never connected: it is given the socket pair to write into. */
static int open_modbus(struct server *server, struct message *message)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair))
        return message_errno(message, ERR_IO, "server: no socket pair");
    server->written_fd = pair[0];
    server->made_fd = pair[1];
    server->modbus = server->serial ? modbus_new_rtu(server->pty.device, 9600, 'E', 8, 1)
                                    : modbus_new_tcp("127.0.0.1", MODBUS_TCP_DEFAULT_PORT);
    if (!server->modbus)
        return message_set(message, ERR_NO_MEMORY, "server: out of memory");
    /* It sleeps for a response timeout before it refuses some requests. */
    if (modbus_set_socket(server->modbus, server->written_fd) ||
        modbus_set_response_timeout(server->modbus, 0, 1))
        return message_set(message, ERR_INVALID, "server: libmodbus refuses its settings");
    return 0;
}

static int open_serial(struct server *server, const struct server_listen *listen,
                       struct message *message)
{
    if (listen->baud != 0 && (listen->baud < SERVER_BAUD_MIN || listen->baud > SERVER_BAUD_MAX))
        return message_set(message, ERR_RANGE, "%s: %u baud; expected 0 or %d to %d", listen->pty,
                           listen->baud, SERVER_BAUD_MIN, SERVER_BAUD_MAX);
    int err = pty_open(listen->pty, &server->pty, message);
    if (err)
        return err;
    server->serial = true;
    server->baud = listen->baud;
    int64_t silence_us = rtu_silence_us(listen->baud);
    rtu_receiver_init(&server->receiver, silence_us > SILENCE_MIN_US ? silence_us : SILENCE_MIN_US);
    return 0;
}

static int open_parts(struct server *server, const struct server_listen *listen,
                      struct message *message)
{
    int err = listen->pty ? open_serial(server, listen, message)
                          : socket_listen(&listen->endpoint, CLIENTS_MAX, &server->listen_fd,
                                          &server->port, message);
    if (!err)
        err = open_modbus(server, message);
    if (err)
        return err;
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (server->epoll_fd < 0 ||
        watch(server, server->serial ? server->pty.master : server->listen_fd))
        return message_errno(message, ERR_IO, "server: epoll");
    return 0;
}

int server_open(const struct server_listen *listen, struct server_unit *units, size_t unit_count,
                struct server **ret_server, struct message *message)
{
    struct server *server = calloc(1, sizeof(*server));
    if (!server)
        return message_set(message, ERR_NO_MEMORY, "server: out of memory");
    server->listen_fd = server->epoll_fd = server->written_fd = server->made_fd = -1;
    server->accept_again_us = NEVER;
    server->units = units;
    server->unit_count = unit_count;
    server->latency_us = listen->latency_us;
    noise_init(&server->noise, listen->seed);
    int err = open_parts(server, listen, message);
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
        close(server->clients[i].fd);
    const int fds[] = {server->listen_fd, server->epoll_fd, server->written_fd, server->made_fd};
    for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    if (server->serial)
        pty_close(&server->pty);
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

void server_set_noise(struct server *server, double probability)
{
    server->noise_probability = probability;
}

int64_t server_due(const struct server *server)
{
    int64_t due_us = server->serial ? rtu_receiver_due(&server->receiver) : server->accept_again_us;
    for (size_t i = 0; i < server->pending_count; i++)
        if (server->pending[i].due_us < due_us)
            due_us = server->pending[i].due_us;
    return due_us;
}

void server_stats(const struct server *server, struct server_stats *ret_stats)
{
    *ret_stats = server->stats;
    ret_stats->crc_errors = server->receiver.errors;
}

/* ---- replies on their way ---- */

static void remove_pending(struct server *server, size_t i)
{
    server->pending_count--;
    memmove(&server->pending[i], &server->pending[i + 1],
            (server->pending_count - i) * sizeof(server->pending[i]));
}

static void drop_client(struct server *server, int fd)
{
    for (size_t i = 0; i < server->client_count; i++)
        if (server->clients[i].fd == fd)
            server->clients[i] = server->clients[--server->client_count];
    /* The next client may get this very descriptor. */
    for (size_t i = server->pending_count; i-- > 0;)
        if (server->pending[i].fd == fd) {
            remove_pending(server, i);
            server->stats.lost++;
        }
    close(fd);
    if (server->accept_again_us != NEVER)
        server->accept_again_us = 0;
}

static void count_written(struct server_stats *stats, enum reply_fate fate)
{
    stats->replies += fate != REPLY_GARBLED;
    stats->late += fate == REPLY_LATE;
    stats->garbled += fate == REPLY_GARBLED;
}

/* Negative: whoever asked has gone, or does not read. */
static int write_reply(struct server *server, const struct reply *reply)
{
    ssize_t n = server->serial
                    ? write(reply->fd, reply->bytes, reply->len)
                    : send(reply->fd, reply->bytes, reply->len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n != (ssize_t)reply->len) {
        server->stats.lost++;
        return ERR_CLOSED;
    }
    count_written(&server->stats, reply->fate);
    if (reply->fate == REPLY_WHOLE && reply->unit && reply->unit->on_read)
        reply->unit->on_read(reply->unit->self, reply->connection, reply->function, reply->start,
                             reply->count);
    return 0;
}

static void write_due(struct server *server, int64_t now_us)
{
    for (size_t i = 0; i < server->pending_count;) {
        if (server->pending[i].due_us > now_us) {
            i++;
            continue;
        }
        struct reply reply = server->pending[i];
        remove_pending(server, i);
        if (write_reply(server, &reply) && !server->serial) {
            drop_client(server, reply.fd);
            i = 0;
        }
    }
}

/* Noise has its way, the line takes its time. */
static void set_fate_and_due(struct server *server, size_t request_len, int64_t now_us,
                             struct reply *reply)
{
    int64_t late_us = 0;
    if (noise_uniform(&server->noise) < server->noise_probability)
        reply->fate = server->serial ? reply_noise_serial(&server->noise, reply->bytes, &reply->len)
                                     : reply_noise_tcp(&server->noise, &late_us);
    reply->due_us = now_us + late_us + server->latency_us + rtu_silence_us(server->baud) +
                    rtu_wire_us(server->baud, RTU_CHARACTER_BITS, request_len + reply->len);
}

static int post(struct server *server, const struct reply *reply, int64_t now_us)
{
    if (reply->fate == REPLY_LOST || server->pending_count == PENDING_MAX) {
        server->stats.lost++;
        return 0;
    }
    if (reply->due_us <= now_us)
        return write_reply(server, reply);
    server->pending[server->pending_count++] = *reply;
    return 0;
}

/* ---- answering ---- */

static struct server_unit *find_unit(struct server *server, int unit)
{
    for (size_t i = 0; i < server->unit_count; i++)
        if (server->units[i].unit == unit)
            return &server->units[i];
    return NULL;
}

static int obey(struct server *server, struct server_unit *unit, const uint8_t *request, size_t len)
{
    modbus_mapping_t memory = {.nb_bits = SERVER_REGISTERS,
                               .nb_input_bits = SERVER_REGISTERS,
                               .nb_registers = SERVER_REGISTERS,
                               .nb_input_registers = SERVER_REGISTERS,
                               .tab_bits = unit->bits,
                               .tab_input_bits = unit->bits,
                               .tab_registers = unit->registers,
                               .tab_input_registers = unit->registers};
    return modbus_reply(server->modbus, request, (int)len, &memory);
}

static int refuse(struct server *server, const uint8_t *request, unsigned exception)
{
    return modbus_reply_exception(server->modbus, request, exception);
}

static void broadcast(struct server *server, const uint8_t *request, size_t len)
{
    for (size_t i = 0; i < server->unit_count; i++)
        if (!server->units[i].dead && !server->units[i].exception)
            /* What it cannot obey goes unsaid as well. */
            (void)!obey(server, &server->units[i], request, len);
}

static uint16_t word_at(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* Makes the reply of a unit, NULL for none such. False: libmodbus made none. */
static bool make_reply(struct server *server, struct server_unit *unit, const uint8_t *request,
                       size_t len, struct reply *reply)
{
    int made;
    if (!unit)
        made = refuse(server, request, MODBUS_EXCEPTION_GATEWAY_TARGET);
    else if (unit->exception)
        made = refuse(server, request, MODBUS_EXCEPTION_SLAVE_OR_SERVER_FAILURE);
    else
        made = obey(server, unit, request, len);
    if (made <= 0) /* a function that it knows by name alone */
        made = refuse(server, request, MODBUS_EXCEPTION_ILLEGAL_FUNCTION);
    ssize_t n = recv(server->made_fd, reply->bytes, sizeof(reply->bytes), MSG_DONTWAIT);
    reply->len = n > 0 ? (size_t)n : 0;
    return made > 0 && n > 0;
}

static void note_read(struct server_unit *unit, const uint8_t *pdu, uint8_t answered,
                      struct reply *reply)
{
    if (!unit || answered & EXCEPTION_BIT || pdu[0] < MODBUS_FC_READ_COILS ||
        pdu[0] > MODBUS_FC_READ_INPUT_REGISTERS)
        return;
    reply->unit = unit;
    reply->function = pdu[0];
    reply->start = word_at(pdu + 1);
    reply->count = word_at(pdu + 3);
}

/* Whoever asks again has got its answers. */
static void tell_request(const struct server *server, uint64_t connection)
{
    for (size_t i = 0; i < server->unit_count; i++)
        if (server->units[i].on_request)
            server->units[i].on_request(server->units[i].self, connection);
}

/* Answers a whole request. Negative: the client is to go. */
static int answer(struct server *server, const struct client *client, const uint8_t *request,
                  size_t len, int64_t now_us)
{
    size_t unit_at = server->serial ? 0 : HEADER_BYTES - 1;
    server->stats.requests++;
    if (server->serial && server->pending_count > 0) {
        server->stats.unheard++;
        return 0;
    }
    tell_request(server, client->connection);
    if (server->serial && request[unit_at] == BROADCAST) {
        broadcast(server, request, len);
        return 0;
    }
    struct server_unit *unit = find_unit(server, request[unit_at]);
    server->stats.foreign += !unit;
    if (unit ? unit->dead : server->serial)
        return 0;
    struct reply reply = {.fd = client->fd, .connection = client->connection, .fate = REPLY_WHOLE};
    if (!make_reply(server, unit, request, len, &reply))
        return ERR_CORRUPT;
    if (unit)
        unit->requests++;
    note_read(unit, request + unit_at + 1, reply.bytes[unit_at + 1], &reply);
    set_fate_and_due(server, len, now_us, &reply);
    return post(server, &reply, now_us);
}

/* ---- TCP ---- */

/* A client that no descriptor is left for would be announced again and again. */
static void stop_accepting(struct server *server, int64_t now_us)
{
    server->stats.kept_waiting++;
    if (epoll_ctl(server->epoll_fd, EPOLL_CTL_DEL, server->listen_fd, NULL) == 0)
        server->accept_again_us = now_us + ACCEPT_AGAIN_US;
}

static void accept_again(struct server *server, int64_t now_us)
{
    if (now_us >= server->accept_again_us)
        server->accept_again_us =
            watch(server, server->listen_fd) ? now_us + ACCEPT_AGAIN_US : NEVER;
}

static void accept_client(struct server *server, int64_t now_us)
{
    int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            stop_accepting(server, now_us);
        return;
    }
    if (server->client_count == CLIENTS_MAX || watch(server, fd)) {
        server->stats.refused++;
        close(fd);
        return;
    }
    server->clients[server->client_count++] = (struct client){fd, ++server->connections};
}

/* Is it as long as its function needs? What libmodbus will refuse by its function is. */
static bool is_whole(const uint8_t *request, size_t length)
{
    int size = rtu_request_size(request + LENGTH_END, length);
    return size < 0 || (size_t)size == length + CRC_BYTES;
}

/* Takes one request off the stream if a whole one waits: its size; 0: not yet; negative: the
 * client is to go. */
static int take_request(int fd, uint8_t request[MODBUS_TCP_MAX_ADU_LENGTH])
{
    ssize_t n = recv(fd, request, MODBUS_TCP_MAX_ADU_LENGTH, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : ERR_IO;
    if (n == 0)
        return ERR_CLOSED;
    if (n < HEADER_BYTES)
        return 0;
    size_t length = word_at(request + 4), size = LENGTH_END + length;
    if (word_at(request + 2) != 0 || length < 2 || length > LENGTH_MAX)
        return ERR_INVALID;
    if ((size_t)n < size)
        return 0;
    if (recv(fd, request, size, MSG_DONTWAIT) != (ssize_t)size)
        return ERR_IO;
    return is_whole(request, length) ? (int)size : ERR_INVALID;
}

static const struct client *find_client(const struct server *server, int fd)
{
    for (size_t i = 0; i < server->client_count; i++)
        if (server->clients[i].fd == fd)
            return &server->clients[i];
    return NULL;
}

static void serve_client(struct server *server, int fd, int64_t now_us)
{
    const struct client *client = find_client(server, fd);
    uint8_t request[MODBUS_TCP_MAX_ADU_LENGTH] = {0};
    for (int i = 0; client && i < BATCH_MAX; i++) {
        int size = take_request(fd, request);
        if (size == 0)
            return;
        if (size < 0 || answer(server, client, request, (size_t)size, now_us) < 0) {
            drop_client(server, fd);
            return;
        }
    }
}

/* ---- RTU ---- */

static void answer_frames(struct server *server, int64_t now_us)
{
    const struct client line = {server->pty.master, 0};
    uint8_t frame[RTU_FRAME_MAX];
    size_t size;
    while ((size = rtu_receiver_take(&server->receiver, now_us, frame)) > 0)
        /* A client that does not read is counted, and cannot be hung up on. */
        (void)!answer(server, &line, frame, size, now_us);
}

/* What has come is read before silence is judged: this loop may be late, the line was not. */
static void serve_line(struct server *server, int64_t now_us)
{
    uint8_t bytes[RTU_FRAME_MAX];
    for (int i = 0; i < BATCH_MAX; i++) {
        size_t room = sizeof(bytes) - server->receiver.len;
        ssize_t n = read(server->pty.master, bytes, room);
        if (n > 0) {
            rtu_receiver_put(&server->receiver, bytes, (size_t)n, now_us);
            pty_refresh(&server->pty);
        }
        answer_frames(server, now_us);
        if (n <= 0)
            return;
    }
}

void server_step(struct server *server, int64_t now_us)
{
    write_due(server, now_us);
    if (server->serial) {
        serve_line(server, now_us);
        return;
    }
    accept_again(server, now_us);
    struct epoll_event events[EVENTS_MAX];
    int ready = epoll_wait(server->epoll_fd, events, EVENTS_MAX, 0);
    for (int i = 0; i < ready; i++)
        if (events[i].data.fd == server->listen_fd)
            accept_client(server, now_us);
        else
            serve_client(server, events[i].data.fd, now_us);
}
