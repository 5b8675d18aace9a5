/*
 * One reading as the operator's tool shows it, written as JSON by whoever took it: the edge, or the
 * tool itself. Pure.
 *
 *     {"point":"leachate.effluent.cod","unit":"mg/L","time":"…Z","quality":"good","cause":"none",
 *      "value":61.8,"raw":"4277 3333","address":"unit 2, function 3, register 0","took_ms":12.4}
 *
 * and, where there is no good reading, "trouble" in words. A point that is the running total of a
 * totaliser shows the count as the meter shows it, and says so in a "note": the total is a matter
 * of all readings before.
 */
#ifndef SERVICE_READING_H
#define SERVICE_READING_H

#include "base/json.h"
#include "drivers/modbus/outcome.h"

void reading_write(const char *point, const struct map_register *reg,
                   const struct modbus_outcome *outcome, struct buffer *out);

/* Bytes of a reply as words of four hex digits. */
#define READING_HEX_SIZE (OUTCOME_DATA_MAX / 2 * 5 + 8)
void reading_hex(const uint8_t *bytes, size_t len, char ret_text[READING_HEX_SIZE]);

#endif
