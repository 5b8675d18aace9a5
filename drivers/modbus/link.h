/*
 * One Modbus TCP connection: one request, one reply, and nothing that ever blocks. It reads only:
 * functions 1 to 4 are all that can be asked.
 *
 * closed ─connect→ connecting → ready ─send→ waiting → ready, or closed again by any failure. The
 * owner steps it when its descriptor is ready or its time has come, and hears what happened. What
 * to do about it (back-off, next request) is the owner's. One thread.
 */
#ifndef DRIVERS_MODBUS_LINK_H
#define DRIVERS_MODBUS_LINK_H

#include "base/error.h"
#include "base/sockets.h"
#include "drivers/driver.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct modbus_link;

enum modbus_link_state {
    MODBUS_LINK_CLOSED,
    MODBUS_LINK_CONNECTING,
    MODBUS_LINK_READY,
    MODBUS_LINK_WAITING, /* for the reply */
};

enum modbus_event {
    MODBUS_NOTHING,
    MODBUS_CONNECTED,
    MODBUS_REPLY,
    MODBUS_EXCEPTION, /* the unit, or a gateway for it, refused */
    MODBUS_BAD_REPLY, /* its reply is not one to the request; the connection stands */
    MODBUS_TIMEOUT,   /* no reply in time; closed, so that a late one is never taken for another */
    MODBUS_REFUSED,   /* no connection; closed */
    MODBUS_LOST,      /* the other side closed it, or the network did */
    MODBUS_GARBAGE,   /* what comes is not Modbus; closed */
};

struct modbus_request {
    uint8_t unit;
    uint8_t function; /* 1..4 */
    uint16_t start;
    uint16_t count;
};

struct modbus_answer {
    uint8_t exception;   /* its code, for MODBUS_EXCEPTION */
    const uint8_t *data; /* registers or packed bits; the link's, until its next step */
    size_t len;          /* just what was asked for */
};

/* Makes a closed link. The timeout, 10 ms .. 60 s, is for connecting and for each reply. */
MUST_CHECK int modbus_link_open(const struct endpoint *endpoint, int64_t timeout_ms,
                                struct modbus_link **ret_link, struct message *message);
void modbus_link_close(struct modbus_link *link);

enum modbus_link_state modbus_link_state(const struct modbus_link *link);

/* Begins to connect a closed link. ERR_IO, or ERR_FULL when the process has more descriptors than
 * libmodbus can wait on; closed then, and modbus_link_trouble says why. */
MUST_CHECK int modbus_link_connect(struct modbus_link *link, int64_t now_us);

/* Sends on a ready link. ERR_IO: closed. */
MUST_CHECK int modbus_link_send(struct modbus_link *link, const struct modbus_request *request,
                                int64_t now_us);

/* Looks what has come, or has not. */
enum modbus_event modbus_link_step(struct modbus_link *link, int64_t now_us,
                                   struct modbus_answer *ret_answer);

/* Until when it connects or waits; NEVER otherwise. */
int64_t modbus_link_due(const struct modbus_link *link);

/* What to wait for; false while closed. */
bool modbus_link_want(const struct modbus_link *link, struct driver_want *ret_want);

/* Has this connection, or the one just closed, brought a reply? */
bool modbus_link_proven(const struct modbus_link *link);

/* Frames that answered nothing: late, doubled, of another unit or transaction. */
uint64_t modbus_link_foreign(const struct modbus_link *link);

/* The last failure in words. */
const struct message *modbus_link_trouble(const struct modbus_link *link);

#endif
