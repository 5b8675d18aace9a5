/*
 * Design notes.
 *
 * The reply is looked for anywhere in what came since the request, and the rest is sorted and
 * counted when that is over. A frame of the unit asked that does not fit is more likely late than
 * an answer, so it is passed over; only where nothing better comes in time the reply is bad.
 *
 * What an RTU unit says may belong to what it was asked before, and one wrong step would make every
 * later value the one before. ghosts.h keeps what it still owes, and judges. The unit is not asked
 * again for twice the timeout, at least a second, and twice as long as it was late; others are, at
 * once. Then, where it can be, a fence goes first: a shorter read whose reply can be no older one.
 * Where it cannot, the first frame that might be owed is passed over for the one behind it; if none
 * comes, the reply is bad: a number is missing, and none is wrong.
 *
 * A serial adapter can hang, and a serial server too, without a word. When so many requests in a
 * row bring not a single byte, the line is opened anew. Not so a DTU's call: only it can call
 * again, and it may take minutes; one that is lost shows by its next call, or by the network.
 */
#include "drivers/modbus/link_state.h"

#include "base/clock.h"

/* Requests in a row without a byte until the line is opened anew. */
#define SILENT_LIMIT 8

/* The unit said what it owed, too late. */
static void note_late(struct modbus_link *link, struct unit_ghosts *unit, int64_t late_us)
{
    link->counts.late++;
    ghosts_learn(unit, late_us, link->heard_us);
}

static void litter_seen(void *self, const uint8_t *frame, size_t size)
{
    struct modbus_link *link = self;
    struct unit_ghosts *unit = &link->units[frame[0]];
    int64_t late_us = ghosts_pay(unit, frame, size, link->heard_us);

    frame_ring_add(&link->ring, link->heard_us, FRAME_REFUSED, frame, size);
    if (late_us > 0)
        note_late(link, unit, late_us);
    else
        ghosts_repeated(unit, frame, size, link->heard_us);
}

void link_sort_out(struct modbus_link *link, size_t size)
{
    bool asked = link->state == MODBUS_LINK_WAITING && !link->held;
    struct frame_litter litter = {0};

    frame_sort_litter(link->inbox, size, asked ? &link->asked : NULL, link->url.heartbeat.bytes,
                      link->url.heartbeat.len, litter_seen, link, &litter);
    link->counts.foreign += litter.foreign;
    link->counts.misfits += litter.misfits;
    link->counts.echoes += litter.echoes;
    link->counts.heartbeats += litter.heartbeats;
    link->counts.noise += litter.noise;
    link_drop(link, size);
}

/* The unit asked has not answered, or nothing to believe. */
static void note_owed(struct modbus_link *link, int64_t now_us)
{
    ghosts_owe(&link->units[link->asked.unit], &link->asked, link->sent_us, link->timeout_us,
               link->doubt_us, now_us);
}

/* The connection ended. Its next one may bring the reply that was awaited. */
static void line_lost(struct modbus_link *link, int64_t now_us)
{
    if (link->state == MODBUS_LINK_WAITING && !link->held)
        note_owed(link, now_us);
    link_hang_up(link);
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
        link_sort_out(link, link->len);
    return err;
}

static enum modbus_event transmit(struct modbus_link *link, int64_t now_us)
{
    struct unit_ghosts *unit = &link->units[link->request.unit];
    uint8_t frame[FRAME_REQUEST_MAX];

    ghosts_forget(unit, now_us);
    link->asked = link->request;
    (void)ghosts_fence(unit, &link->request, &link->asked);
    size_t size = frame_write_rtu(&link->asked, frame);
    size_t characters = size + frame_rtu_reply_size(&link->asked);
    if (channel_write(link->channel, frame, size, &link->trouble) != 0) {
        link_hang_up(link);
        return MODBUS_LOST;
    }
    frame_ring_add(&link->ring, now_us, FRAME_SENT, frame, size);
    link->held = false;
    link->heard = false;
    link->doubt_us = 0;
    link->sent_us = now_us;
    link->misfits = link->counts.misfits;
    link->noise = link->counts.noise;
    link->deadline_us =
        now_us + link->timeout_us + 2 * link->silence_us +
        rtu_wire_us(link->url.baud, link_url_character_bits(&link->url), characters);
    return MODBUS_NOTHING;
}

enum modbus_event link_step_held(struct modbus_link *link, int64_t now_us)
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

/* Time is over. */
static enum modbus_event give_up(struct modbus_link *link, int64_t now_us)
{
    link_sort_out(link, link->len);
    note_owed(link, now_us);
    link->silent = link->heard ? 0 : link->silent + 1;
    frame_ring_add(&link->ring, now_us, FRAME_MISSED, NULL, 0);
    link->state = MODBUS_LINK_READY;
    link->deadline_us = NEVER;
    if (link->doubt_us > 0) {
        message_set(&link->trouble, 0,
                    "unit %d answered function %d at %d, or what it was asked before",
                    link->request.unit, link->request.function, link->request.start);
        return MODBUS_BAD_REPLY;
    }
    if (link->counts.misfits > link->misfits) {
        message_set(&link->trouble, 0, "unit %d answered function %d at %d with something else",
                    link->request.unit, link->request.function, link->request.start);
        return MODBUS_BAD_REPLY;
    }
    link_say_no_answer(link);
    if (link->silent >= SILENT_LIMIT && !channel_is_called(link->channel))
        link_hang_up(link);
    return MODBUS_TIMEOUT;
}

void link_hold(struct modbus_link *link, int64_t now_us)
{
    int64_t clear_us = ghosts_clear_us(&link->units[link->request.unit], &link->request);

    link->held = true;
    link->deadline_us = modbus_link_free(link, link->request.unit);
    if (link->deadline_us < clear_us)
        link->deadline_us = clear_us;
    link->hold_until_us =
        link->timeout_us + (link->deadline_us > now_us ? link->deadline_us : now_us);
}

/* Is the frame to be passed over for the one behind it? Then it is gone. */
static bool is_doubtful(struct modbus_link *link, const struct frame *frame)
{
    struct unit_ghosts *unit = &link->units[link->asked.unit];
    const uint8_t *bytes = link->inbox + frame->at;

    if (!ghosts_may_be(unit, bytes, frame->size))
        return false;
    if (link->doubt_us > 0)
        note_late(link, unit, link->doubt_us); /* the one before was, then */
    link->doubt_us = ghosts_pay(unit, bytes, frame->size, link->heard_us);
    frame_ring_add(&link->ring, link->heard_us, FRAME_REFUSED, bytes, frame->size);
    link_drop(link, frame->at + frame->size);
    return true;
}

/* Is it to wait whether another comes behind it? Of two, the first was the last reply again, and
 * goes. */
static bool is_suspect(struct modbus_link *link, const struct frame *frame, int64_t now_us)
{
    size_t end = frame->at + frame->size;
    struct frame next;

    link->suspect_us = ghosts_suspect_us(&link->units[link->asked.unit], &link->asked,
                                         link->inbox + frame->at, frame->size);
    if (link->suspect_us > link->heard_us) {
        frame_find_rtu(link->inbox + end, link->len - end, &link->asked, &next);
        if (next.kind == FRAME_PART && now_us < link->suspect_us && now_us < link->deadline_us)
            return true;
        if (next.kind != FRAME_PART)
            link_sort_out(link, end);
    }
    link->suspect_us = NEVER;
    return false;
}

/* The first reply there is. After a fence's the request itself goes. */
static enum modbus_event believe(struct modbus_link *link, int64_t now_us,
                                 struct modbus_answer *ret_answer)
{
    struct unit_ghosts *unit = &link->units[link->asked.unit];
    struct frame frame;

    frame_find_rtu(link->inbox, link->len, &link->asked, &frame);
    link_sort_out(link, frame.at);
    frame_find_rtu(link->inbox, link->len, &link->asked, &frame);
    if (link->doubt_us > 0)
        note_late(link, unit, link->doubt_us);
    ghosts_answered(unit, &link->asked, link->inbox, frame.size, now_us);
    if (link->asked.count == link->request.count)
        return link_take(link, &frame, now_us, ret_answer);
    frame_ring_add(&link->ring, now_us, FRAME_TAKEN, link->inbox, frame.size);
    link_drop(link, frame.size);
    link_hold(link, now_us);
    return link_step_held(link, now_us);
}

/* Looks for the reply in what has come. */
static enum modbus_event judge_rtu(struct modbus_link *link, int64_t now_us,
                                   struct modbus_answer *ret_answer)
{
    struct frame frame;

    do {
        frame_find_rtu(link->inbox, link->len, &link->asked, &frame);
        if (frame.kind == FRAME_PART)
            return MODBUS_NOTHING;
    } while (is_doubtful(link, &frame));
    return is_suspect(link, &frame, now_us) ? MODBUS_NOTHING : believe(link, now_us, ret_answer);
}

enum modbus_event link_hear_rtu(struct modbus_link *link, int64_t now_us,
                                struct modbus_answer *ret_answer)
{
    int err;

    if (link->state == MODBUS_LINK_READY)
        return listen_idly(link, now_us) == ERR_CLOSED ? MODBUS_LOST : MODBUS_NOTHING;
    if (link->held)
        return link_step_held(link, now_us);
    do {
        err = gather(link, now_us);
        if (err == ERR_CLOSED)
            return MODBUS_LOST;
        enum modbus_event event = judge_rtu(link, now_us, ret_answer);
        if (event != MODBUS_NOTHING || link->held)
            return event;
        if (link->len == INBOX_SIZE)
            link_sort_out(link, INBOX_SIZE - RTU_FRAME_MAX);
    } while (err == 0);
    return now_us < link->deadline_us ? MODBUS_NOTHING : give_up(link, now_us);
}
