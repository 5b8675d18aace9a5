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
 * link closes. On RTU lines the reply is looked for anywhere in what came since the request, and
 * the rest is sorted and counted when that is over. A frame of the unit asked that does not fit is
 * more likely late than an answer, so it is passed over; only where nothing better comes in time
 * the reply is bad.
 *
 * An RTU unit that did not answer is haunted: what it says may belong to what it was asked before,
 * and one wrong step would make every later value the one before. It is not asked again for twice
 * the timeout, at least a second, and twice as long as it has ever been late; others are, at once.
 *
 * A serial adapter can hang, and a serial server too, without a word. When so many requests in a
 * row bring not a single byte, the line is opened anew.
 */
#include "drivers/modbus/link.h"

#include "base/clock.h"
#include "drivers/modbus/channel.h"
#include "drivers/modbus/rtu_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MIN_MS 10
#define TIMEOUT_MAX_MS 60000

/* A link on which so many frames come unasked is not worth its time. */
#define FOREIGN_LIMIT 100

/* Requests in a row without a byte until the line is opened anew. */
#define SILENT_LIMIT 8

#define HAUNTED_MIN_US ((int64_t)US_PER_S)
#define HAUNTED_MAX_US (120 * (int64_t)US_PER_S)

#define UNITS      256
#define INBOX_SIZE (2 * RTU_FRAME_MAX) /* one whole frame, and as much before it */

/* What an RTU line remembers of a unit. */
struct haunting {
    int64_t until_us;
    int64_t asked_us; /* the request that it did not answer in time */
    int64_t worst_us; /* how long it has taken at worst */
    uint64_t late;
};

struct modbus_link {
    struct link_url url;
    struct channel *channel;
    int64_t timeout_us;
    enum modbus_link_state state;
    int64_t deadline_us;
    struct modbus_request request;
    bool held; /* the request waits to be sent */
    int64_t sent_us;
    bool proven;
    uint8_t inbox[INBOX_SIZE];
    size_t len;
    size_t taken; /* of it, at its beginning: an answer that the owner has had */
    struct modbus_link_counts counts;
    struct frame_ring ring;
    struct message trouble;

    /* TCP */
    uint16_t transaction;
    unsigned unasked; /* foreign frames since the last request */

    /* RTU */
    struct haunting *units; /* by number; NULL: TCP */
    int64_t silence_us;     /* between frames */
    int64_t heard_us;       /* when the last byte came */
    bool heard;             /* has one come since the last request? */
    unsigned silent;        /* requests in a row without one */
    int64_t hold_until_us;  /* a held request leaves then, even on a line that is never silent */
    uint64_t misfits;       /* counted before the last request */
    uint64_t noise;         /* likewise */
};

static bool is_rtu(const struct modbus_link *link)
{
    return link->units != NULL;
}

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
    link->deadline_us = NEVER;
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

/* The unit asked has not answered: what it still says is not to be taken for something else. */
static void haunt(struct modbus_link *link, int64_t now_us)
{
    struct haunting *unit = &link->units[link->request.unit];
    int64_t longest = link->timeout_us > unit->worst_us ? link->timeout_us : unit->worst_us;
    int64_t wait = 2 * longest > HAUNTED_MIN_US ? 2 * longest : HAUNTED_MIN_US;

    unit->asked_us = link->sent_us;
    unit->until_us = now_us + (wait < HAUNTED_MAX_US ? wait : HAUNTED_MAX_US);
}

static void hang_up(struct modbus_link *link)
{
    channel_close(link->channel);
    link->state = MODBUS_LINK_CLOSED;
    link->deadline_us = NEVER;
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
    return link->deadline_us;
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
    return is_rtu(link) ? link->units[unit].late : 0;
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
    hang_up(link);
    return MODBUS_REFUSED;
}

/* ---- what came ---- */

static void drop(struct modbus_link *link, size_t size)
{
    link->len -= size;
    memmove(link->inbox, link->inbox + size, link->len);
}

static enum modbus_event garbage(struct modbus_link *link, const char *what, unsigned number)
{
    message_set(&link->trouble, 0, "%s sends what is not Modbus: %s %u",
                channel_name(link->channel), what, number);
    hang_up(link);
    return MODBUS_GARBAGE;
}

static void note_bad_reply(struct modbus_link *link, const char *what, unsigned number)
{
    message_set(&link->trouble, 0, "unit %d answered function %d at %d with %s %u",
                link->request.unit, link->request.function, link->request.start, what, number);
}

/* The reply: its bytes stay in the inbox until the owner has had them. */
static enum modbus_event take(struct modbus_link *link, const struct frame *frame, int64_t now_us,
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
    drop(link, frame->size);
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
        return take(link, &frame, now_us, ret_answer);
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
            hang_up(link);
            return MODBUS_LOST;
        }
        if (got == ERR_AGAIN) {
            channel_await(link->channel, link->len > 0 ? more : 1);
            return MODBUS_NOTHING;
        }
        link->len += (size_t)got;
    }
}

/* ---- RTU ---- */

static void litter_seen(void *self, const uint8_t *frame, size_t size)
{
    struct modbus_link *link = self;
    struct haunting *unit = &link->units[frame[0]];

    frame_ring_add(&link->ring, link->heard_us, FRAME_REFUSED, frame, size);
    if (unit->until_us <= link->heard_us)
        return;
    unit->late++;
    link->counts.late++;
    if (link->heard_us - unit->asked_us > unit->worst_us)
        unit->worst_us = link->heard_us - unit->asked_us;
}

/* Counts the first bytes of the inbox as what they are, and drops them. */
static void sort_out(struct modbus_link *link, size_t size)
{
    bool asked = link->state == MODBUS_LINK_WAITING && !link->held;
    struct frame_litter litter = {0};

    frame_sort_litter(link->inbox, size, asked ? &link->request : NULL, link->url.heartbeat.bytes,
                      link->url.heartbeat.len, litter_seen, link, &litter);
    link->counts.foreign += litter.foreign;
    link->counts.misfits += litter.misfits;
    link->counts.echoes += litter.echoes;
    link->counts.heartbeats += litter.heartbeats;
    link->counts.noise += litter.noise;
    drop(link, size);
}

/* The connection ended. Its next one may bring the reply that was awaited. */
static void line_lost(struct modbus_link *link, int64_t now_us)
{
    if (link->state == MODBUS_LINK_WAITING && !link->held)
        haunt(link, now_us);
    hang_up(link);
}

/* Reads once. ERR_CLOSED: hung up. */
static int gather(struct modbus_link *link, int64_t now_us)
{
    ssize_t got = channel_read(link->channel, link->inbox + link->len, INBOX_SIZE - link->len,
                               &link->trouble);
    if (got == ERR_CLOSED)
        line_lost(link, now_us);
    if (got < 0)
        return (int)got;
    link->len += (size_t)got;
    link->heard = true;
    link->heard_us = now_us;
    return 0;
}

/* All that has come while nothing is awaited. */
static int listen_idly(struct modbus_link *link, int64_t now_us)
{
    int err;
    while ((err = gather(link, now_us)) == 0)
        sort_out(link, link->len);
    return err;
}

static enum modbus_event transmit(struct modbus_link *link, int64_t now_us)
{
    uint8_t frame[FRAME_REQUEST_MAX];
    size_t size = frame_write_rtu(&link->request, frame);
    size_t characters = size + frame_rtu_reply_size(&link->request);

    if (channel_write(link->channel, frame, size, &link->trouble) != 0) {
        hang_up(link);
        return MODBUS_LOST;
    }
    frame_ring_add(&link->ring, now_us, FRAME_SENT, frame, size);
    link->held = false;
    link->heard = false;
    link->sent_us = now_us;
    link->misfits = link->counts.misfits;
    link->noise = link->counts.noise;
    link->deadline_us =
        now_us + link->timeout_us + 2 * link->silence_us +
        rtu_wire_us(link->url.baud, link_url_character_bits(&link->url), characters);
    return MODBUS_NOTHING;
}

/* The request that is held leaves when the line is free; who never falls silent is not waited for
 * beyond the timeout. */
static enum modbus_event step_held(struct modbus_link *link, int64_t now_us)
{
    if (listen_idly(link, now_us) == ERR_CLOSED)
        return MODBUS_LOST;
    if (now_us < link->deadline_us)
        return MODBUS_NOTHING;
    if (now_us < link->heard_us + link->silence_us && now_us < link->hold_until_us) {
        link->deadline_us = link->heard_us + link->silence_us;
        return MODBUS_NOTHING;
    }
    return transmit(link, now_us);
}

static void say_no_answer(struct modbus_link *link)
{
    char noise[80] = "";

    if (is_rtu(link) && link->counts.noise > link->noise)
        snprintf(noise, sizeof noise, "; %llu bytes came that are no frame",
                 (unsigned long long)(link->counts.noise - link->noise));
    message_set(&link->trouble, 0, "unit %d did not answer within %d ms%s", link->request.unit,
                (int)(link->timeout_us / US_PER_MS), noise);
}

/* Time is over. */
static enum modbus_event give_up(struct modbus_link *link, int64_t now_us)
{
    sort_out(link, link->len);
    haunt(link, now_us);
    link->silent = link->heard ? 0 : link->silent + 1;
    frame_ring_add(&link->ring, now_us, FRAME_MISSED, NULL, 0);
    link->state = MODBUS_LINK_READY;
    link->deadline_us = NEVER;
    if (link->counts.misfits > link->misfits) {
        message_set(&link->trouble, 0, "unit %d answered function %d at %d with something else",
                    link->request.unit, link->request.function, link->request.start);
        return MODBUS_BAD_REPLY;
    }
    say_no_answer(link);
    if (link->silent >= SILENT_LIMIT)
        hang_up(link);
    return MODBUS_TIMEOUT;
}

static enum modbus_event hear_rtu(struct modbus_link *link, int64_t now_us,
                                  struct modbus_answer *ret_answer)
{
    struct frame frame;
    int err;

    if (link->state == MODBUS_LINK_READY)
        return listen_idly(link, now_us) == ERR_CLOSED ? MODBUS_LOST : MODBUS_NOTHING;
    if (link->held)
        return step_held(link, now_us);
    while ((err = gather(link, now_us)) == 0) {
        frame_find_rtu(link->inbox, link->len, &link->request, &frame);
        if (frame.kind != FRAME_PART) {
            sort_out(link, frame.at);
            frame_find_rtu(link->inbox, link->len, &link->request, &frame);
            return take(link, &frame, now_us, ret_answer);
        }
        if (link->len == INBOX_SIZE)
            sort_out(link, INBOX_SIZE - RTU_FRAME_MAX);
    }
    if (err == ERR_CLOSED)
        return MODBUS_LOST;
    return now_us < link->deadline_us ? MODBUS_NOTHING : give_up(link, now_us);
}

/* ---- requests and steps ---- */

int64_t modbus_link_free(const struct modbus_link *link, uint8_t unit)
{
    int64_t silent_us = link->heard_us + link->silence_us;

    if (!is_rtu(link))
        return 0;
    return link->units[unit].until_us > silent_us ? link->units[unit].until_us : silent_us;
}

/* What was taken, and what came behind it unasked. */
static void clear_inbox(struct modbus_link *link)
{
    drop(link, link->taken);
    link->taken = 0;
    if (is_rtu(link) && link->state != MODBUS_LINK_WAITING)
        sort_out(link, link->len);
}

static int send_tcp(struct modbus_link *link, int64_t now_us)
{
    uint8_t frame[FRAME_REQUEST_MAX];
    size_t size = frame_write_tcp(&link->request, ++link->transaction, frame);

    if (channel_write(link->channel, frame, size, &link->trouble) != 0) {
        hang_up(link);
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
    if (is_rtu(link)) {
        link->held = true;
        link->state = MODBUS_LINK_WAITING;
        link->deadline_us = modbus_link_free(link, request->unit);
        link->hold_until_us =
            link->timeout_us + (link->deadline_us > now_us ? link->deadline_us : now_us);
        return step_held(link, now_us) == MODBUS_LOST ? ERR_IO : 0;
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
    if (is_rtu(link))
        return hear_rtu(link, now_us, ret_answer);
    event = hear_tcp(link, now_us, ret_answer);
    if (event != MODBUS_NOTHING || now_us < link->deadline_us)
        return event;
    say_no_answer(link);
    frame_ring_add(&link->ring, now_us, FRAME_MISSED, NULL, 0);
    hang_up(link);
    return MODBUS_TIMEOUT;
}
