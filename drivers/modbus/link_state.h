/*
 * A link's state, for its own files alone (link.h is for everybody else):
 *
 *   link.c      opening, connecting, sending; replies over TCP
 *   link_rtu.c  replies over a serial line, however it is reached
 *
 * Owned by one thread.
 */
#ifndef DRIVERS_MODBUS_LINK_STATE_H
#define DRIVERS_MODBUS_LINK_STATE_H

#include "drivers/modbus/channel.h"
#include "drivers/modbus/ghosts.h"
#include "drivers/modbus/link.h"
#include "drivers/modbus/rtu_wire.h"

#define UNITS      256
#define INBOX_SIZE (2 * RTU_FRAME_MAX) /* one whole frame, and as much before it */

struct modbus_link {
    struct link_url url;
    struct channel *channel;
    int64_t timeout_us;
    enum modbus_link_state state;
    int64_t deadline_us;
    struct modbus_request request;
    struct modbus_request asked; /* what is on the wire: the request, or a fence before it */
    bool held;                   /* the request waits to be sent */
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
    struct unit_ghosts *units; /* by number; NULL: TCP */
    int64_t doubt_us;          /* a frame was passed over: how late it was, if it was; 0: none */
    int64_t suspect_us;        /* what came may be the last reply again until then; else NEVER */
    int64_t silence_us;        /* between frames */
    int64_t heard_us;          /* when the last byte came */
    bool heard;                /* has one come since the last request? */
    unsigned silent;           /* requests in a row without one */
    int64_t hold_until_us;     /* a held request leaves then, even on a line that is never silent */
    uint64_t misfits;          /* counted before the last request */
    uint64_t noise;            /* likewise */
};

static inline bool link_is_rtu(const struct modbus_link *link)
{
    return link->units != NULL;
}

/* ---- link.c ---- */

void link_hang_up(struct modbus_link *link);

/* The first bytes of the inbox go. */
void link_drop(struct modbus_link *link, size_t size);

/* The reply: its bytes stay in the inbox until the owner has had them. */
enum modbus_event link_take(struct modbus_link *link, const struct frame *frame, int64_t now_us,
                            struct modbus_answer *ret_answer);

/* The link's trouble: nobody answered. */
void link_say_no_answer(struct modbus_link *link);

/* ---- link_rtu.c ---- */

/* Counts the first bytes of the inbox as what they are, and drops them. */
void link_sort_out(struct modbus_link *link, size_t size);

/* The request waits until its unit, and the line, are free for it. */
void link_hold(struct modbus_link *link, int64_t now_us);

/* The request that is held leaves when the line is free; who never falls silent is not waited for
 * beyond the timeout. */
enum modbus_event link_step_held(struct modbus_link *link, int64_t now_us);

/* Looks what has come, or has not. */
enum modbus_event link_hear_rtu(struct modbus_link *link, int64_t now_us,
                                struct modbus_answer *ret_answer);

#endif
