/*
 * Design notes.
 *
 * libmodbus waits: its receive calls select() until a frame is whole, and a device that sends a
 * byte now and then holds it for seconds. And it checks little: of its own reads neither the unit
 * nor the protocol, so that one late RTU reply shifts all that follow. So reading, writing and
 * judging frames is ours (frame.h), on descriptors that never block; one read a reply, where
 * libmodbus makes three and waits before each.
 *
 * What came is gathered in an inbox. A TCP stream is judged frame by frame: what answers nothing
 * is dropped and counted, and where it is no longer Modbus (protocol not 0, absurd length) the
 * link closes.
 */
#include "drivers/modbus/link_state.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MIN_MS 10
#define TIMEOUT_MAX_MS 60000

/* A link on which so many frames come unasked is not worth its time. */
#define FOREIGN_LIMIT 100

int modbus_link_open(const struct link_url *url, struct dial_in_line *line, int64_t timeout_ms,
                     struct modbus_link **ret_link, struct message *message)
{
    struct modbus_link *link;
    int err;

    if (timeout_ms < TIMEOUT_MIN_MS || timeout_ms > TIMEOUT_MAX_MS)
        return message_set(message, ERR_RANGE, "timeout %lld ms; expected %d to %d ms",
                           (long long)timeout_ms, TIMEOUT_MIN_MS, TIMEOUT_MAX_MS);
    link = calloc(1, sizeof *link);
    if (link == NULL)
        return message_set(message, ERR_NO_MEMORY, "out of memory");
    link->url = *url;
    link->timeout_us = timeout_ms * US_PER_MS;
    link->deadline_us = link->suspect_us = NEVER;
    link->silence_us = rtu_silence_us(url->baud);
    err = channel_new(url, line, &link->channel, message);
    if (err == 0 && url->kind != LINK_TCP) {
        link->units = calloc(UNITS, sizeof *link->units);
        if (link->units == NULL)
            err = message_set(message, ERR_NO_MEMORY, "out of memory");
    }
    if (err != 0) {
        modbus_link_close(link);
        return err;
    }
    *ret_link = link;
    return 0;
}

void link_hang_up(struct modbus_link *link)
{
    channel_close(link->channel);
    link->state = MODBUS_LINK_CLOSED;
    link->deadline_us = link->suspect_us = NEVER;
    link->len = link->taken = 0;
}

void modbus_link_close(struct modbus_link *link)
{
    if (link == NULL)
        return;
    channel_free(link->channel);
    free(link->units);
    free(link);
}

enum modbus_link_state modbus_link_state(const struct modbus_link *link)
{
    return link->state;
}

int64_t modbus_link_due(const struct modbus_link *link)
{
    return link->suspect_us < link->deadline_us ? link->suspect_us : link->deadline_us;
}

bool modbus_link_proven(const struct modbus_link *link)
{
    return link->proven;
}

void modbus_link_counts(const struct modbus_link *link, struct modbus_link_counts *ret_counts)
{
    *ret_counts = link->counts;
}

uint64_t modbus_link_late(const struct modbus_link *link, uint8_t unit)
{
    return link_is_rtu(link) ? link->units[unit].late : 0;
}

size_t modbus_link_frames(const struct modbus_link *link, struct frame_note *ret_notes, size_t room)
{
    return frame_ring_copy(&link->ring, ret_notes, room);
}

const struct message *modbus_link_trouble(const struct modbus_link *link)
{
    return &link->trouble;
}

bool modbus_link_want(const struct modbus_link *link, struct driver_want *ret_want)
{
    return channel_want(link->channel, ret_want);
}

/* ---- connecting ---- */

int modbus_link_connect(struct modbus_link *link, int64_t now_us)
{
    int err = channel_open(link->channel, &link->trouble);

    if (err != 0)
        return err;
    link->state = MODBUS_LINK_CONNECTING;
    link->deadline_us = now_us + link->timeout_us;
    link->proven = false;
    link->unasked = 0;
    link->silent = 0;
    return 0;
}

static enum modbus_event step_connecting(struct modbus_link *link, int64_t now_us)
{
    int err = channel_check(link->channel, &link->trouble);

    if (err == ERR_AGAIN && now_us < link->deadline_us)
        return MODBUS_NOTHING;
    if (err == 0) {
        link->state = MODBUS_LINK_READY;
        link->deadline_us = NEVER;
        link->heard_us = now_us;
        return MODBUS_CONNECTED;
    }
    if (err == ERR_AGAIN && channel_is_called(link->channel)) {
        message_set(&link->trouble, 0, "%s has not called", channel_name(link->channel));
        link->deadline_us = NEVER;
        return MODBUS_REFUSED;
    }
    if (err == ERR_AGAIN)
        message_set(&link->trouble, 0, "%s: no connection within %d ms",
                    channel_name(link->channel), (int)(link->timeout_us / US_PER_MS));
    link_hang_up(link);
    return MODBUS_REFUSED;
}

/* ---- what came ---- */

void link_drop(struct modbus_link *link, size_t size)
{
    link->len -= size;
    memmove(link->inbox, link->inbox + size, link->len);
}

static enum modbus_event garbage(struct modbus_link *link, const char *what, unsigned number)
{
    message_set(&link->trouble, 0, "%s sends what is not Modbus: %s %u",
                channel_name(link->channel), what, number);
    link_hang_up(link);
    return MODBUS_GARBAGE;
}

static void note_bad_reply(struct modbus_link *link, const char *what, unsigned number)
{
    message_set(&link->trouble, 0, "unit %d answered function %d at %d with %s %u",
                link->request.unit, link->request.function, link->request.start, what, number);
}

enum modbus_event link_take(struct modbus_link *link, const struct frame *frame, int64_t now_us,
                            struct modbus_answer *ret_answer)
{
    frame_ring_add(&link->ring, now_us, FRAME_TAKEN, link->inbox + frame->at, frame->size);
    link->taken = frame->at + frame->size;
    link->state = MODBUS_LINK_READY;
    link->deadline_us = NEVER;
    link->proven = true;
    link->silent = 0;
    channel_await(link->channel, 1);
    *ret_answer = (struct modbus_answer){.exception = frame->exception,
                                         .data = frame->data,
                                         .len = frame->len,
                                         .sent_us = link->sent_us};
    if (frame->kind == FRAME_REPLY)
        return MODBUS_REPLY;
    message_set(&link->trouble, 0, "unit %d refused function %d at %d with exception %d",
                link->request.unit, link->request.function, link->request.start, frame->exception);
    return MODBUS_EXCEPTION;
}

void link_say_no_answer(struct modbus_link *link)
{
    char noise[80] = "";

    if (link_is_rtu(link) && link->counts.noise > link->noise)
        snprintf(noise, sizeof noise, "; %llu bytes came that are no frame",
                 (unsigned long long)(link->counts.noise - link->noise));
    message_set(&link->trouble, 0, "unit %d did not answer within %d ms%s", link->request.unit,
                (int)(link->timeout_us / US_PER_MS), noise);
}

/* ---- TCP ---- */

/* A frame that answers nothing. */
static enum modbus_event pass_over(struct modbus_link *link, const struct frame *frame,
                                   int64_t now_us)
{
    enum modbus_event event = MODBUS_NOTHING;

    frame_ring_add(&link->ring, now_us, FRAME_REFUSED, link->inbox, frame->size);
    if (frame->kind == FRAME_MISFIT) {
        note_bad_reply(link, frame->what, frame->number);
        link->state = MODBUS_LINK_READY;
        link->deadline_us = NEVER;
        event = MODBUS_BAD_REPLY;
    } else {
        link->counts.foreign++;
        if (++link->unasked > FOREIGN_LIMIT)
            return garbage(link, "unasked frames", link->unasked);
    }
    link_drop(link, frame->size);
    return event;
}

/* What the inbox begins with; *ret_more: so many bytes must come first, 0: none. */
static enum modbus_event judge_tcp(struct modbus_link *link, int64_t now_us,
                                   struct modbus_answer *ret_answer, size_t *ret_more)
{
    bool waiting = link->state == MODBUS_LINK_WAITING;
    struct frame frame;

    frame_judge_tcp(link->inbox, link->len, waiting ? &link->request : NULL, link->transaction,
                    &frame);
    *ret_more = 0;
    switch (frame.kind) {
    case FRAME_PART:
        *ret_more = frame.size - link->len;
        return MODBUS_NOTHING;
    case FRAME_REPLY:
    case FRAME_EXCEPTION:
        return link_take(link, &frame, now_us, ret_answer);
    case FRAME_MISFIT:
    case FRAME_FOREIGN:
        return pass_over(link, &frame, now_us);
    case FRAME_GARBAGE:
        frame_ring_add(&link->ring, now_us, FRAME_REFUSED, link->inbox, link->len);
        break;
    }
    return garbage(link, frame.what, frame.number);
}

static enum modbus_event hear_tcp(struct modbus_link *link, int64_t now_us,
                                  struct modbus_answer *ret_answer)
{
    for (;;) {
        size_t more;
        enum modbus_event event = judge_tcp(link, now_us, ret_answer, &more);
        if (event != MODBUS_NOTHING)
            return event;
        if (more == 0)
            continue;
        ssize_t got = channel_read(link->channel, link->inbox + link->len, INBOX_SIZE - link->len,
                                   &link->trouble);
        if (got == ERR_CLOSED) {
            link_hang_up(link);
            return MODBUS_LOST;
        }
        if (got == ERR_AGAIN) {
            channel_await(link->channel, link->len > 0 ? more : 1);
            return MODBUS_NOTHING;
        }
        link->len += (size_t)got;
    }
}

/* ---- requests and steps ---- */

int64_t modbus_link_quiet(const struct modbus_link *link, uint8_t unit)
{
    return link_is_rtu(link) ? link->units[unit].quiet_until_us : 0;
}

int64_t modbus_link_free(const struct modbus_link *link, uint8_t unit)
{
    int64_t silent_us = link->heard_us + link->silence_us;

    if (!link_is_rtu(link))
        return 0;
    return link->units[unit].quiet_until_us > silent_us ? link->units[unit].quiet_until_us
                                                        : silent_us;
}

/* What was taken, and what came behind it unasked. */
static void clear_inbox(struct modbus_link *link)
{
    link_drop(link, link->taken);
    link->taken = 0;
    if (link_is_rtu(link) && link->state != MODBUS_LINK_WAITING)
        link_sort_out(link, link->len);
}

static int send_tcp(struct modbus_link *link, int64_t now_us)
{
    uint8_t frame[FRAME_REQUEST_MAX];
    size_t size = frame_write_tcp(&link->request, ++link->transaction, frame);

    if (channel_write(link->channel, frame, size, &link->trouble) != 0) {
        link_hang_up(link);
        return ERR_IO;
    }
    frame_ring_add(&link->ring, now_us, FRAME_SENT, frame, size);
    link->unasked = 0;
    link->sent_us = now_us;
    link->deadline_us = now_us + link->timeout_us;
    return 0;
}

int modbus_link_send(struct modbus_link *link, const struct modbus_request *request, int64_t now_us)
{
    int err;

    if (link->state != MODBUS_LINK_READY || !frame_is_read(request))
        return ERR_INVALID;
    clear_inbox(link);
    link->request = *request;
    if (link_is_rtu(link)) {
        link->state = MODBUS_LINK_WAITING;
        link_hold(link, now_us);
        return link_step_held(link, now_us) == MODBUS_LOST ? ERR_IO : 0;
    }
    err = send_tcp(link, now_us);
    if (err == 0)
        link->state = MODBUS_LINK_WAITING;
    return err;
}

enum modbus_event modbus_link_step(struct modbus_link *link, int64_t now_us,
                                   struct modbus_answer *ret_answer)
{
    enum modbus_event event;

    if (link->state == MODBUS_LINK_CLOSED)
        return MODBUS_NOTHING;
    if (link->state == MODBUS_LINK_CONNECTING)
        return step_connecting(link, now_us);
    clear_inbox(link);
    if (link_is_rtu(link))
        return link_hear_rtu(link, now_us, ret_answer);
    event = hear_tcp(link, now_us, ret_answer);
    if (event != MODBUS_NOTHING || now_us < link->deadline_us)
        return event;
    link_say_no_answer(link);
    frame_ring_add(&link->ring, now_us, FRAME_MISSED, NULL, 0);
    link_hang_up(link);
    return MODBUS_TIMEOUT;
}
