/*
 * The way of bytes to instruments: a TCP connection that we make, a serial port that we open, or
 * the call of a DTU. What the bytes mean is the link's (link.h). Never blocks. One thread.
 *
 * closed ─open→ opening ─check→ open → closed. A channel keeps its words about what went wrong to
 * the message of the call.
 */
#ifndef DRIVERS_MODBUS_CHANNEL_H
#define DRIVERS_MODBUS_CHANNEL_H

#include "base/attributes.h"
#include "base/error.h"
#include "drivers/driver.h"
#include "drivers/modbus/dial_in.h"
#include "model/link_url.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct channel;

/* Makes a closed one. `line`: of LINK_DTU, borrowed. */
MUST_CHECK int channel_new(const struct link_url *url, struct dial_in_line *line,
                           struct channel **ret_channel, struct message *message);
void channel_free(struct channel *channel);

/* "10.0.0.5:502", "/dev/ttyS1", "DTU DTU0001". */
const char *channel_name(const struct channel *channel);

/* Begins to open a closed one. */
MUST_CHECK int channel_open(struct channel *channel, struct message *message);

/* Of one that opens: 0 when it is open, ERR_AGAIN when not yet, else it cannot be and is closed. */
MUST_CHECK int channel_check(struct channel *channel, struct message *message);

/* NULL is fine, and so is one that is closed. */
void channel_close(struct channel *channel);

/* Whoever is awaited may come at any time: to stop waiting serves nothing. */
bool channel_is_called(const struct channel *channel);

/* False while closed. */
bool channel_want(const struct channel *channel, struct driver_want *ret_want);

/* What has come, at least a byte; ERR_AGAIN for nothing. ERR_CLOSED: it has ended, and message says
 * how; it is not closed by that. */
ssize_t channel_read(struct channel *channel, uint8_t *ret_bytes, size_t room,
                     struct message *message);

/* All of it or none; ERR_CLOSED as channel_read. */
MUST_CHECK int channel_write(struct channel *channel, const uint8_t *bytes, size_t len,
                             struct message *message);

/* Not to be woken before so many bytes wait, where that can be had. */
void channel_await(struct channel *channel, size_t bytes);

#endif
