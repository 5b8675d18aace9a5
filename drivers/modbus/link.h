/*
 * One line to instruments: one request, one reply, and nothing that ever blocks. It reads only:
 * functions 1 to 4 are all that can be asked. Modbus TCP, or RTU over a serial port, a serial
 * server or a DTU's call (model/link_url.h).
 *
 * closed ─connect→ connecting → ready ─send→ waiting → ready, or closed again by any failure. The
 * owner steps it when its descriptor is ready or its time has come, and hears what happened. What
 * to do about it (back-off, next request) is the owner's. One thread.
 *
 * After a timeout the reply may still come, and must not be taken for another's. TCP closes, so
 * that it comes to nobody. RTU cannot tell two replies of one unit apart: so the line goes on with
 * the others, the unit that did not answer is left alone for longer than it was late of late, and
 * what may answer an older request is not believed (ghosts.h). A request that comes too early for
 * its unit, or for the silence between frames, is held until then: it is waiting, and has not been
 * sent.
 */
#ifndef DRIVERS_MODBUS_LINK_H
#define DRIVERS_MODBUS_LINK_H

#include "base/error.h"
#include "drivers/driver.h"
#include "drivers/modbus/dial_in.h"
#include "drivers/modbus/frame.h"
#include "drivers/modbus/frame_ring.h"
#include "model/link_url.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct modbus_link;

enum modbus_link_state {
    MODBUS_LINK_CLOSED,
    MODBUS_LINK_CONNECTING,
    MODBUS_LINK_READY,
    MODBUS_LINK_WAITING, /* for the reply, or to send */
};

enum modbus_event {
    MODBUS_NOTHING,
    MODBUS_CONNECTED,
    MODBUS_REPLY,
    MODBUS_EXCEPTION, /* the unit, or a gateway for it, refused */
    MODBUS_BAD_REPLY, /* its reply is not one to the request; the connection stands */
    MODBUS_TIMEOUT,   /* no reply in time; see above for what becomes of the line */
    MODBUS_REFUSED,   /* no connection; closed, but for a DTU, which is still waited for */
    MODBUS_LOST,      /* the other side closed it, or the network did */
    MODBUS_GARBAGE,   /* what comes is not Modbus; closed */
};

struct modbus_answer {
    uint8_t exception;   /* its code, for MODBUS_EXCEPTION */
    const uint8_t *data; /* registers or packed bits; the link's, until it steps or sends */
    size_t len;          /* just what was asked for */
    int64_t sent_us;     /* when the request left */
};

/* What came and answered nothing. */
struct modbus_link_counts {
    uint64_t foreign;    /* frames of other units or transactions, or that nobody asked for */
    uint64_t late;       /* of those, from units that had not answered in time */
    uint64_t misfits;    /* RTU: frames of the unit asked that do not fit the request */
    uint64_t echoes;     /* RTU: our requests, heard again */
    uint64_t heartbeats; /* of a DTU */
    uint64_t noise;      /* RTU: bytes that are nothing */
};

/* Makes a closed link. The timeout, 10 ms .. 60 s, is for connecting and for each reply; where the
 * wire's speed is known, the time of both frames on it comes on top. `line`: a DTU's, borrowed;
 * else NULL. */
MUST_CHECK int modbus_link_open(const struct link_url *url, struct dial_in_line *line,
                                int64_t timeout_ms, struct modbus_link **ret_link,
                                struct message *message);
void modbus_link_close(struct modbus_link *link);

enum modbus_link_state modbus_link_state(const struct modbus_link *link);

/* Begins to connect a closed link. ERR_IO and others: closed then, and modbus_link_trouble says
 * why. */
MUST_CHECK int modbus_link_connect(struct modbus_link *link, int64_t now_us);

/* Sends on a ready link, or holds the request until the line is free for it. ERR_IO: closed. */
MUST_CHECK int modbus_link_send(struct modbus_link *link, const struct modbus_request *request,
                                int64_t now_us);

/* When a request to that unit would leave at once; the past, mostly. Better ask another before. */
int64_t modbus_link_free(const struct modbus_link *link, uint8_t unit);

/* Until when that unit is left alone, because it may still say what it was asked before. */
int64_t modbus_link_quiet(const struct modbus_link *link, uint8_t unit);

/* Looks what has come, or has not. */
enum modbus_event modbus_link_step(struct modbus_link *link, int64_t now_us,
                                   struct modbus_answer *ret_answer);

/* Until when it connects, holds or waits; NEVER otherwise. */
int64_t modbus_link_due(const struct modbus_link *link);

/* What to wait for; false while closed. */
bool modbus_link_want(const struct modbus_link *link, struct driver_want *ret_want);

/* Has this connection, or the one just closed, brought a reply? */
bool modbus_link_proven(const struct modbus_link *link);

void modbus_link_counts(const struct modbus_link *link, struct modbus_link_counts *ret_counts);

/* Frames of that unit that came too late. */
uint64_t modbus_link_late(const struct modbus_link *link, uint8_t unit);

/* The last frames, the oldest first: see frame_ring.h. For the owner's thread. */
size_t modbus_link_frames(const struct modbus_link *link, struct frame_note *ret_notes,
                          size_t room);

/* The last failure in words. */
const struct message *modbus_link_trouble(const struct modbus_link *link);

#endif
