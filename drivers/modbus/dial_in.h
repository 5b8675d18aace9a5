/*
 * A port at which DTUs call: cellular serial servers that connect to us, say who they are, and
 * then are a serial line. Several share the port, each the line of a link; which one calls is told
 * by the first bytes it says, its registration.
 *
 * A call is taken by the link that waits for it. One that comes with the registration of a call
 * that stands takes over from it: the DTU has lost that one, whatever our end believes. Who does
 * not register in time, or as somebody that no link waits for, is sent away, counted, and told as a
 * notice.
 *
 * To whoever runs it, it is a driver (drivers/driver.h) without samples, whose units are the lines.
 * It owns its lines; links borrow them, and are closed before it. All in one thread.
 */
#ifndef DRIVERS_MODBUS_DIAL_IN_H
#define DRIVERS_MODBUS_DIAL_IN_H

#include "drivers/driver.h"
#include "model/link_url.h"

#include <stdint.h>

#define DIAL_IN_REGISTER_US                                                \
    (15 * (int64_t)US_PER_S)   /* as long as a caller may take to register \
                                */
#define DIAL_IN_CALLERS_MAX 32 /* that have not registered yet: one more sends the oldest away */

struct dial_in;
struct dial_in_line;

struct dial_in_stats {
    uint64_t calls;      /* in all */
    uint64_t registered; /* of those, as somebody known */
    uint64_t taken_over; /* of those, from a call that stood */
    uint64_t unknown;    /* registered as nobody known */
    uint64_t mute;       /* did not register in time, or hung up before */
    uint64_t crowded;    /* sent away because too many did not register */
};

/* Listens. Closed by driver_close of its driver. */
MUST_CHECK int dial_in_open(const struct endpoint *endpoint, struct dial_in **ret_dial_in,
                            struct message *message);
struct driver *dial_in_driver(struct dial_in *dial_in);

/* "dtu://0.0.0.0:6000" */
const char *dial_in_name(const struct dial_in *dial_in);
uint16_t dial_in_port(const struct dial_in *dial_in);
void dial_in_stats(const struct dial_in *dial_in, struct dial_in_stats *ret_stats);

/* A line for the DTU of that registration, which is copied. ERR_CONFLICT where it begins alike with
 * another's. */
MUST_CHECK int dial_in_expect(struct dial_in *dial_in, const struct link_bytes *registration,
                              struct dial_in_line **ret_line, struct message *message);

/* ---- for the link of a line ---- */

/* Readable while a call waits to be taken. */
int dial_in_line_fd(const struct dial_in_line *line);

bool dial_in_line_called(const struct dial_in_line *line);

/* The call that waits: its descriptor, until dial_in_line_hang_up. ERR_AGAIN when there is none, or
 * one is taken already. */
MUST_CHECK int dial_in_line_take(struct dial_in_line *line, int *ret_fd);

/* Ends the call that was taken, if one was. */
void dial_in_line_hang_up(struct dial_in_line *line);

#endif
