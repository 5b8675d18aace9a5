/*
 * What became of one request: a reading for a person who asked for it. Plain data, holds no
 * pointers, so it may go from the thread that owns the line to the one that shows it. Pure.
 */
#ifndef DRIVERS_MODBUS_OUTCOME_H
#define DRIVERS_MODBUS_OUTCOME_H

#include "base/clock.h"
#include "drivers/modbus/link.h"
#include "drivers/modbus/register_type.h"
#include "model/sample.h"

#include <stddef.h>
#include <stdint.h>

/* The most that a reply can hold: 125 registers, or 2000 bits. */
#define OUTCOME_DATA_MAX 250

struct modbus_outcome {
    struct modbus_request request;
    enum modbus_event event; /* MODBUS_REPLY, or why there is none */
    uint8_t exception;       /* of MODBUS_EXCEPTION */
    uint8_t data[OUTCOME_DATA_MAX];
    size_t len;
    int64_t took_us;        /* from the request to its end */
    int64_t t_ms;           /* UTC, halfway */
    struct message trouble; /* in words, where there is no reply */
};

/* Can this event end a request? */
bool modbus_event_ends(enum modbus_event event);

/* `event`, which modbus_event_ends, ended the request sent at `sent_us`. */
void modbus_outcome_set(struct modbus_outcome *outcome, enum modbus_event event,
                        const struct modbus_answer *answer, const struct modbus_link *link,
                        int64_t sent_us, struct now now);

/* The request that fetches one register of a map. */
struct modbus_request modbus_request_of(uint8_t unit, const struct map_register *reg);

/* What the register says by an outcome of that request: value, quality, cause and time. */
void modbus_outcome_sample(const struct modbus_outcome *outcome, const struct map_register *reg,
                           struct sample *sample);

#endif
