#include "ctl/line.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

struct line {
    struct modbus_link *link;
};

int line_open(const char *url, int64_t timeout_ms, struct line **ret_line, struct message *message)
{
    struct endpoint endpoint;
    if (strncmp(url, "tcp://", 6) != 0 || endpoint_parse(url + 6, &endpoint) || !endpoint.port)
        return message_set(message, ERR_INVALID,
                           "'%.100s'; expected tcp://ADDRESS:PORT with a numeric address", url);
    struct line *line = calloc(1, sizeof(*line));
    if (!line)
        return message_set(message, ERR_NO_MEMORY, "out of memory");
    int err = modbus_link_open(&endpoint, timeout_ms, &line->link, message);
    if (err)
        free(line);
    else
        *ret_line = line;
    return err;
}

void line_close(struct line *line)
{
    if (!line)
        return;
    modbus_link_close(line->link);
    free(line);
}

/* Until the link has something to hear, or its time is over. */
static void await(const struct line *line)
{
    struct driver_want want;
    struct pollfd wait = {.fd = -1};
    if (modbus_link_want(line->link, &want)) {
        wait.fd = want.fd;
        wait.events =
            (short)((want.events & EPOLLIN ? POLLIN : 0) | (want.events & EPOLLOUT ? POLLOUT : 0));
    }
    int64_t due_us = modbus_link_due(line->link);
    int64_t left_us = due_us == NEVER ? 0 : due_us - clock_read(clock_real()).mono_us;
    poll(&wait, 1, left_us > 0 ? (int)(left_us / US_PER_MS) + 1 : 0);
}

static enum modbus_event hear(const struct line *line, struct modbus_answer *answer)
{
    for (;;) {
        enum modbus_event event =
            modbus_link_step(line->link, clock_read(clock_real()).mono_us, answer);
        if (event != MODBUS_NOTHING)
            return event;
        await(line);
    }
}

/* MODBUS_CONNECTED, or why not. */
static enum modbus_event connect_line(const struct line *line)
{
    struct modbus_answer none;
    if (modbus_link_state(line->link) == MODBUS_LINK_READY)
        return MODBUS_CONNECTED;
    if (modbus_link_connect(line->link, clock_read(clock_real()).mono_us))
        return MODBUS_REFUSED;
    return modbus_link_state(line->link) == MODBUS_LINK_READY ? MODBUS_CONNECTED
                                                              : hear(line, &none);
}

void line_ask(struct line *line, const struct modbus_request *request,
              struct modbus_outcome *ret_outcome)
{
    struct modbus_answer answer = {0};
    enum modbus_event event = connect_line(line);
    int64_t sent_us = clock_read(clock_real()).mono_us;
    if (event == MODBUS_CONNECTED)
        event = modbus_link_send(line->link, request, sent_us) ? MODBUS_LOST : hear(line, &answer);
    ret_outcome->request = *request;
    modbus_outcome_set(ret_outcome, event, &answer, line->link, sent_us, clock_read(clock_real()));
}
