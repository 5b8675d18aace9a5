#include "ctl/line.h"

#include "drivers/modbus/dial_in.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>

/* A DTU that lost its connection calls again after a minute or so. */
#define CALL_US (120 * (int64_t)US_PER_S)

#define WANTS_MAX (DIAL_IN_CALLERS_MAX + 4)

struct line {
    struct modbus_link *link;
    struct driver *port; /* at which a DTU calls; NULL of others */
};

static int open_port(const struct link_url *url, struct line *line, struct dial_in_line **ret_dtu,
                     struct message *message)
{
    struct dial_in *port = NULL;
    int err = dial_in_open(&url->endpoint, &port, message);
    if (err)
        return err;
    line->port = dial_in_driver(port);
    return dial_in_expect(port, &url->registration, ret_dtu, message);
}

int line_open(const char *url, int64_t timeout_ms, struct line **ret_line, struct message *message)
{
    struct link_url at;
    struct dial_in_line *dtu = NULL;
    int err = link_url_parse(url, &at, message);
    if (err)
        return err;
    struct line *line = calloc(1, sizeof(*line));
    if (!line)
        return message_set(message, ERR_NO_MEMORY, "out of memory");
    if (at.kind == LINK_DTU)
        err = open_port(&at, line, &dtu, message);
    if (!err)
        err = modbus_link_open(&at, dtu, timeout_ms, &line->link, message);
    if (err)
        line_close(line);
    else
        *ret_line = line;
    return err;
}

void line_close(struct line *line)
{
    if (!line)
        return;
    modbus_link_close(line->link);
    driver_close(line->port);
    free(line);
}

/* ---- waiting ---- */

static void add_want(struct pollfd *waits, nfds_t *count, const struct driver_want *want)
{
    if (*count == WANTS_MAX)
        return; /* looked at when its time comes */
    waits[(*count)++] = (struct pollfd){.fd = want->fd,
                                        .events = (short)((want->events & EPOLLIN ? POLLIN : 0) |
                                                          (want->events & EPOLLOUT ? POLLOUT : 0))};
}

/* Until the line has something to hear, or its time is over. */
static void await(const struct line *line)
{
    struct pollfd waits[WANTS_MAX];
    struct driver_wants port = {.due_us = NEVER};
    struct driver_want want;
    nfds_t count = 0;
    int64_t due_us = modbus_link_due(line->link);
    if (modbus_link_want(line->link, &want))
        add_want(waits, &count, &want);
    if (line->port)
        driver_wants(line->port, &port);
    for (size_t i = 0; i < port.count; i++)
        add_want(waits, &count, &port.list[i]);
    due_us = port.due_us < due_us ? port.due_us : due_us;
    int64_t left_us = due_us == NEVER ? 0 : due_us - clock_read(clock_real()).mono_us;
    poll(waits, count, left_us > 0 ? (int)(left_us / US_PER_MS) + 1 : 0);
    if (line->port)
        driver_step(line->port, clock_read(clock_real()), NULL, 0);
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

/* MODBUS_CONNECTED, or why not. A DTU's call is waited for. */
static enum modbus_event connect_line(const struct line *line)
{
    struct modbus_answer none;
    int64_t now_us = clock_read(clock_real()).mono_us;
    int64_t until_us = now_us + (line->port ? CALL_US : 0);
    enum modbus_event event = MODBUS_REFUSED;
    do {
        if (modbus_link_state(line->link) == MODBUS_LINK_CLOSED &&
            modbus_link_connect(line->link, now_us))
            return MODBUS_REFUSED;
        event = modbus_link_state(line->link) == MODBUS_LINK_READY ? MODBUS_CONNECTED
                                                                   : hear(line, &none);
        now_us = clock_read(clock_real()).mono_us;
    } while (event != MODBUS_CONNECTED && now_us < until_us);
    return event;
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
