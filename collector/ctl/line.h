/*
 * A line to instruments for a subcommand that asks them itself: one request after the other, each
 * waited for. Reads only. One thread.
 */
#ifndef CTL_LINE_H
#define CTL_LINE_H

#include "base/attributes.h"
#include "base/error.h"
#include "drivers/modbus/outcome.h"

#include <stdint.h>

struct line;

/* ERR_INVALID, with words, for a URL that is none; nothing is connected yet. */
MUST_CHECK int line_open(const char *url, int64_t timeout_ms, struct line **ret_line,
                         struct message *message);
void line_close(struct line *line);

/* Asks, and waits for what comes of it: for two timeouts at most, and the connection is made anew
 * where there is none. */
void line_ask(struct line *line, const struct modbus_request *request,
              struct modbus_outcome *ret_outcome);

#endif
