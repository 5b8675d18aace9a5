#include "drivers/modbus/outcome.h"

#include "drivers/modbus/decode.h"

#include <string.h>

bool modbus_event_ends(enum modbus_event event)
{
    return event != MODBUS_NOTHING && event != MODBUS_CONNECTED;
}

void modbus_outcome_set(struct modbus_outcome *outcome, enum modbus_event event,
                        const struct modbus_answer *answer, const struct modbus_link *link,
                        int64_t sent_us, struct now now)
{
    outcome->event = event;
    outcome->exception = event == MODBUS_EXCEPTION ? answer->exception : 0;
    outcome->took_us = now.mono_us - sent_us;
    outcome->t_ms = now.wall_ms - outcome->took_us / 2 / US_PER_MS;
    outcome->len = 0;
    outcome->trouble.text[0] = '\0';
    if (event != MODBUS_REPLY) {
        outcome->trouble = *modbus_link_trouble(link);
    } else if (answer->len <= OUTCOME_DATA_MAX) {
        outcome->len = answer->len;
        memcpy(outcome->data, answer->data, answer->len);
    }
}

struct modbus_request modbus_request_of(uint8_t unit, const struct map_register *reg)
{
    return (struct modbus_request){
        .unit = unit, .function = reg->function, .start = reg->address, .count = reg->words};
}

static enum cause cause_of(enum modbus_event event)
{
    switch (event) {
    case MODBUS_EXCEPTION:
        return CAUSE_MODBUS_EXCEPTION;
    case MODBUS_BAD_REPLY:
    case MODBUS_GARBAGE:
        return CAUSE_BAD_RESPONSE;
    case MODBUS_TIMEOUT:
        return CAUSE_COMM_TIMEOUT;
    case MODBUS_NOTHING:
    case MODBUS_CONNECTED:
    case MODBUS_REPLY:
    case MODBUS_REFUSED:
    case MODBUS_LOST:
        break;
    }
    return CAUSE_LINK_DOWN;
}

void modbus_outcome_sample(const struct modbus_outcome *outcome, const struct map_register *reg,
                           struct sample *sample)
{
    sample->t_ms = outcome->t_ms;
    if (outcome->event != MODBUS_REPLY)
        decode_bad(cause_of(outcome->event), sample);
    else if (reg->type == REGISTER_BIT)
        decode_bit(reg, (outcome->data[0] & 1) != 0, sample);
    else
        decode_registers(reg, outcome->data, sample);
}
