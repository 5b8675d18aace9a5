/*
 * Design notes.
 *
 * libmodbus waits: its receive calls select() until a frame is whole, and a device that sends a
 * byte now and then holds it for seconds. So a reply is looked at first (MSG_PEEK), and libmodbus
 * reads it only when the whole frame waits and is exactly as long as libmodbus will compute; its
 * timeouts are set to almost nothing all the same. Until then SO_RCVLOWAT keeps a poller from
 * being woken for each byte.
 *
 * libmodbus (3.1.6) checks little: of a raw reply nothing, of its own reads neither the unit nor
 * the protocol. And a raw request always carries transaction 0, so that a doubled reply could not
 * be told from the next one. Therefore the request's header is ours, with a transaction of its own,
 * and so is every check: protocol, length, transaction, unit, function, byte count.
 *
 * A frame that is well-formed but answers nothing is dropped and counted. Where the stream is no
 * longer Modbus (protocol not 0, absurd length) nothing behind can be trusted: the link closes.
 * After a timeout it closes too: the reply may still come, and there it comes to nobody.
 */
#include "drivers/modbus/link.h"

#include <errno.h>
#include <modbus/modbus.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADER_SIZE   7 /* transaction, protocol, length, unit */
#define LENGTH_END    6 /* the length counts from here */
#define REQUEST_SIZE  12
#define SHORTEST_REST 3 /* unit, function, one byte */

#define TIMEOUT_MIN_MS 10
#define TIMEOUT_MAX_MS 60000

/* A link on which so many frames come unasked is not worth its time. */
#define FOREIGN_LIMIT 100

struct modbus_link {
    struct endpoint endpoint;
    int64_t timeout_us;
    modbus_t *context;
    int fd;
    enum modbus_link_state state;
    int64_t deadline_us;
    struct modbus_request request;
    uint16_t transaction;
    int low_water; /* SO_RCVLOWAT as it is set */
    bool proven;
    unsigned unasked; /* foreign frames since the last request */
    uint64_t foreign;
    uint8_t frame[MODBUS_TCP_MAX_ADU_LENGTH];
    struct message trouble;
};

static uint16_t word_at(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static void put_word(uint8_t *bytes, uint16_t word)
{
    bytes[0] = (uint8_t)(word >> 8);
    bytes[1] = (uint8_t)word;
}

/* Never to be connected by libmodbus: it is given sockets, and told to wait for nothing. */
static modbus_t *context_new(void)
{
    modbus_t *context = modbus_new_tcp("127.0.0.1", MODBUS_TCP_DEFAULT_PORT);

    if (context == NULL)
        return NULL;
    if (modbus_set_error_recovery(context, MODBUS_ERROR_RECOVERY_NONE) == 0 &&
        modbus_set_response_timeout(context, 0, 1000) == 0 &&
        modbus_set_byte_timeout(context, 0, 0) == 0)
        return context;
    modbus_free(context);
    return NULL;
}

int modbus_link_open(const struct endpoint *endpoint, int64_t timeout_ms,
                     struct modbus_link **ret_link, struct message *message)
{
    struct modbus_link *link;

    if (timeout_ms < TIMEOUT_MIN_MS || timeout_ms > TIMEOUT_MAX_MS)
        return message_set(message, ERR_RANGE, "timeout %lld ms; expected %d to %d ms",
                           (long long)timeout_ms, TIMEOUT_MIN_MS, TIMEOUT_MAX_MS);
    link = calloc(1, sizeof *link);
    if (link == NULL)
        return message_set(message, ERR_NO_MEMORY, "out of memory");
    link->endpoint = *endpoint;
    link->timeout_us = timeout_ms * US_PER_MS;
    link->fd = -1;
    link->deadline_us = NEVER;
    link->context = context_new();
    if (link->context == NULL) {
        free(link);
        return message_set(message, ERR_NO_MEMORY, "out of memory");
    }
    *ret_link = link;
    return 0;
}

static void hang_up(struct modbus_link *link)
{
    if (link->fd >= 0)
        close(link->fd);
    link->fd = -1;
    link->state = MODBUS_LINK_CLOSED;
    link->deadline_us = NEVER;
}

void modbus_link_close(struct modbus_link *link)
{
    if (link == NULL)
        return;
    hang_up(link);
    modbus_free(link->context);
    free(link);
}

enum modbus_link_state modbus_link_state(const struct modbus_link *link)
{
    return link->state;
}

int64_t modbus_link_due(const struct modbus_link *link)
{
    return link->deadline_us;
}

bool modbus_link_proven(const struct modbus_link *link)
{
    return link->proven;
}

uint64_t modbus_link_foreign(const struct modbus_link *link)
{
    return link->foreign;
}

const struct message *modbus_link_trouble(const struct modbus_link *link)
{
    return &link->trouble;
}

bool modbus_link_want(const struct modbus_link *link, struct driver_want *ret_want)
{
    if (link->fd < 0)
        return false;
    *ret_want = (struct driver_want){
        .fd = link->fd, .events = link->state == MODBUS_LINK_CONNECTING ? EPOLLOUT : EPOLLIN};
    return true;
}

int modbus_link_connect(struct modbus_link *link, int64_t now_us)
{
    int fd = -1;
    int err = socket_connect(&link->endpoint, &fd);

    if (err != 0)
        return message_errno(&link->trouble, err, "%s:%d", link->endpoint.host,
                             link->endpoint.port);
    if (fd >= FD_SETSIZE) {
        close(fd);
        return message_set(&link->trouble, ERR_FULL,
                           "%s:%d: descriptor %d is beyond what libmodbus can wait on (%d); run "
                           "fewer links in one process",
                           link->endpoint.host, link->endpoint.port, fd, FD_SETSIZE - 1);
    }
    link->fd = fd;
    link->state = MODBUS_LINK_CONNECTING;
    link->deadline_us = now_us + link->timeout_us;
    link->low_water = 1;
    link->proven = false;
    link->unasked = 0;
    return 0;
}

static enum modbus_event lost(struct modbus_link *link)
{
    message_errno(&link->trouble, 0, "%s:%d: connection lost", link->endpoint.host,
                  link->endpoint.port);
    hang_up(link);
    return MODBUS_LOST;
}

static enum modbus_event closed_by_peer(struct modbus_link *link)
{
    message_set(&link->trouble, 0, "%s:%d closed the connection", link->endpoint.host,
                link->endpoint.port);
    hang_up(link);
    return MODBUS_LOST;
}

static enum modbus_event garbage(struct modbus_link *link, const char *what, unsigned number)
{
    message_set(&link->trouble, 0, "%s:%d sends what is not Modbus: %s %u", link->endpoint.host,
                link->endpoint.port, what, number);
    hang_up(link);
    return MODBUS_GARBAGE;
}

static enum modbus_event bad_reply(struct modbus_link *link, const char *what, unsigned number)
{
    message_set(&link->trouble, 0, "unit %d answered function %d at %d with %s %u",
                link->request.unit, link->request.function, link->request.start, what, number);
    return MODBUS_BAD_REPLY;
}

int modbus_link_send(struct modbus_link *link, const struct modbus_request *request, int64_t now_us)
{
    uint8_t frame[REQUEST_SIZE] = {0};
    ssize_t sent;

    if (link->state != MODBUS_LINK_READY || request->function < MODBUS_FC_READ_COILS ||
        request->function > MODBUS_FC_READ_INPUT_REGISTERS)
        return ERR_INVALID;
    link->transaction++;
    put_word(frame, link->transaction);
    put_word(frame + 4, REQUEST_SIZE - LENGTH_END);
    frame[6] = request->unit;
    frame[7] = request->function;
    put_word(frame + 8, request->start);
    put_word(frame + 10, request->count);
    sent = send(link->fd, frame, sizeof frame, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent != (ssize_t)sizeof frame) {
        /* Twelve bytes that do not fit: nobody has read for a long time. */
        if (sent >= 0)
            errno = EAGAIN;
        lost(link);
        return ERR_IO;
    }
    link->request = *request;
    link->state = MODBUS_LINK_WAITING;
    link->deadline_us = now_us + link->timeout_us;
    link->unasked = 0;
    return 0;
}

static enum modbus_event step_connecting(struct modbus_link *link, int64_t now_us)
{
    struct pollfd wait = {.fd = link->fd, .events = POLLOUT};

    if (poll(&wait, 1, 0) <= 0) {
        if (now_us < link->deadline_us)
            return MODBUS_NOTHING;
        message_set(&link->trouble, 0, "%s:%d: no connection within %d ms", link->endpoint.host,
                    link->endpoint.port, (int)(link->timeout_us / US_PER_MS));
        hang_up(link);
        return MODBUS_REFUSED;
    }
    if (socket_error(link->fd) != 0) {
        message_errno(&link->trouble, 0, "%s:%d", link->endpoint.host, link->endpoint.port);
        hang_up(link);
        return MODBUS_REFUSED;
    }
    link->state = MODBUS_LINK_READY;
    link->deadline_us = NEVER;
    return MODBUS_CONNECTED;
}

/* Not to be woken before so many bytes wait, if there is still somebody who sends them. */
static enum modbus_event await(struct modbus_link *link, size_t bytes)
{
    struct pollfd wait = {.fd = link->fd, .events = POLLRDHUP};
    int low_water = (int)bytes;

    if (poll(&wait, 1, 0) > 0)
        return closed_by_peer(link);
    if (link->low_water != low_water &&
        setsockopt(link->fd, SOL_SOCKET, SO_RCVLOWAT, &low_water, sizeof low_water) == 0)
        link->low_water = low_water;
    return MODBUS_NOTHING;
}

/* Whatever came last, anything more is news. */
static void await_anything(struct modbus_link *link)
{
    int one = 1;

    if (link->low_water != 1 &&
        setsockopt(link->fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof one) == 0)
        link->low_water = 1;
}

/* Takes a whole frame that answers nothing off the stream. */
static enum modbus_event drop(struct modbus_link *link, size_t size)
{
    if (recv(link->fd, link->frame, size, MSG_DONTWAIT) != (ssize_t)size)
        return lost(link);
    return MODBUS_NOTHING;
}

static size_t data_size(const struct modbus_request *request)
{
    return request->function <= MODBUS_FC_READ_DISCRETE_INPUTS ? (request->count + 7u) / 8
                                                               : 2u * request->count;
}

/* A frame for us, `size` bytes of it peeked: is it the reply to the request? */
static enum modbus_event judge(struct modbus_link *link, size_t size)
{
    uint8_t function = link->frame[HEADER_SIZE];
    size_t wanted = data_size(&link->request);

    if (function == (link->request.function | 0x80))
        return size == HEADER_SIZE + 2 ? MODBUS_EXCEPTION
                                       : bad_reply(link, "an exception of bytes", (unsigned)size);
    if (function != link->request.function)
        return bad_reply(link, "function", function);
    if (link->frame[HEADER_SIZE + 1] != wanted)
        return bad_reply(link, "bytes", link->frame[HEADER_SIZE + 1]);
    if (size != HEADER_SIZE + 2 + wanted)
        return bad_reply(link, "a frame of bytes", (unsigned)size);
    return MODBUS_REPLY;
}

/* Lets libmodbus read the frame that was judged; all of it waits, so it returns at once. */
static enum modbus_event read_frame(struct modbus_link *link, enum modbus_event event, size_t size,
                                    struct modbus_answer *ret_answer)
{
    int got;

    if (modbus_set_socket(link->context, link->fd) != 0)
        return lost(link);
    got = modbus_receive_confirmation(link->context, link->frame);
    if (got != (int)size)
        return garbage(link, "a frame cut to bytes", got < 0 ? 0 : (unsigned)got);
    link->proven = true;
    *ret_answer = (struct modbus_answer){0};
    if (event == MODBUS_EXCEPTION) {
        ret_answer->exception = link->frame[HEADER_SIZE + 1];
        message_set(&link->trouble, 0, "unit %d refused function %d at %d with exception %d",
                    link->request.unit, link->request.function, link->request.start,
                    ret_answer->exception);
    } else {
        ret_answer->data = link->frame + HEADER_SIZE + 2;
        ret_answer->len = size - HEADER_SIZE - 2;
    }
    return event;
}

/* A whole frame waits, and is peeked. */
static enum modbus_event take_frame(struct modbus_link *link, size_t size,
                                    struct modbus_answer *ret_answer)
{
    enum modbus_event event;

    await_anything(link);
    if (link->state != MODBUS_LINK_WAITING || word_at(link->frame) != link->transaction ||
        link->frame[HEADER_SIZE - 1] != link->request.unit) {
        link->foreign++;
        if (++link->unasked > FOREIGN_LIMIT)
            return garbage(link, "unasked frames", link->unasked);
        return drop(link, size);
    }
    event = judge(link, size);
    link->state = MODBUS_LINK_READY;
    link->deadline_us = NEVER;
    if (event == MODBUS_BAD_REPLY)
        return drop(link, size) == MODBUS_NOTHING ? event : MODBUS_LOST;
    return read_frame(link, event, size, ret_answer);
}

/* *ret_more: a frame was dropped, and another may wait. */
static enum modbus_event look(struct modbus_link *link, struct modbus_answer *ret_answer,
                              bool *ret_more)
{
    ssize_t got = recv(link->fd, link->frame, sizeof link->frame, MSG_PEEK | MSG_DONTWAIT);
    enum modbus_event event;
    size_t size;

    *ret_more = false;
    if (got == 0)
        return closed_by_peer(link);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? MODBUS_NOTHING : lost(link);
    if (got < LENGTH_END)
        return await(link, LENGTH_END);
    size = LENGTH_END + (size_t)word_at(link->frame + 4);
    if (word_at(link->frame + 2) != 0)
        return garbage(link, "protocol", word_at(link->frame + 2));
    if (size < LENGTH_END + SHORTEST_REST || size > sizeof link->frame)
        return garbage(link, "a frame of length", word_at(link->frame + 4));
    if ((size_t)got < size)
        return await(link, size);
    event = take_frame(link, size, ret_answer);
    *ret_more = event == MODBUS_NOTHING;
    return event;
}

enum modbus_event modbus_link_step(struct modbus_link *link, int64_t now_us,
                                   struct modbus_answer *ret_answer)
{
    enum modbus_event event;
    bool more = true;

    if (link->state == MODBUS_LINK_CLOSED)
        return MODBUS_NOTHING;
    if (link->state == MODBUS_LINK_CONNECTING)
        return step_connecting(link, now_us);
    do
        event = look(link, ret_answer, &more);
    while (more);
    if (event != MODBUS_NOTHING || now_us < link->deadline_us)
        return event;
    message_set(&link->trouble, 0, "unit %d did not answer within %d ms", link->request.unit,
                (int)(link->timeout_us / US_PER_MS));
    hang_up(link);
    return MODBUS_TIMEOUT;
}
