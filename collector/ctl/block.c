#include "ctl/block.h"

#include <string.h>

/* A unit that gives single registers only, and not all of them, ends here. */
#define REQUESTS_MAX 64

#define EXCEPTION_ADDRESS        0x02
#define EXCEPTION_VALUE          0x03
#define EXCEPTION_GATEWAY_PATH   0x0A
#define EXCEPTION_GATEWAY_TARGET 0x0B

bool block_is_bits(const struct block *block)
{
    return block->request.function <= 2;
}

bool block_answered(const struct block *block)
{
    const struct modbus_outcome *first = &block->first;
    if (first->event == MODBUS_EXCEPTION)
        return first->exception != EXCEPTION_GATEWAY_PATH &&
               first->exception != EXCEPTION_GATEWAY_TARGET;
    return first->event == MODBUS_REPLY || first->event == MODBUS_BAD_REPLY;
}

static void keep(struct block *block, const struct modbus_outcome *outcome)
{
    size_t offset = outcome->request.start - block->request.start;
    for (size_t i = 0; i < outcome->request.count; i++) {
        uint8_t *at = block->data + 2 * (offset + i);
        if (block_is_bits(block))
            at[1] = outcome->data[i / 8] >> i % 8 & 1;
        else
            memcpy(at, outcome->data + 2 * i, 2);
        block->known[offset + i] = true;
    }
    block->known_count += outcome->request.count;
}

/* It may have part of what was asked, or give less at a time. */
static bool may_give_less(const struct modbus_outcome *outcome)
{
    return outcome->event == MODBUS_EXCEPTION && outcome->request.count > 1 &&
           (outcome->exception == EXCEPTION_ADDRESS || outcome->exception == EXCEPTION_VALUE);
}

void block_read(struct block *block, const struct modbus_request *request, block_ask *ask,
                void *ask_self)
{
    struct modbus_request waiting[16]; /* a stack: halves of halves */
    size_t count = 1;
    *block = (struct block){.request = *request};
    waiting[0] = *request;
    while (count && block->request_count < REQUESTS_MAX) {
        struct modbus_request next = waiting[--count];
        struct modbus_outcome outcome;
        ask(ask_self, &next, &outcome);
        if (!block->request_count++)
            block->first = outcome;
        if (outcome.event == MODBUS_REPLY)
            keep(block, &outcome);
        if (!may_give_less(&outcome))
            continue;
        uint16_t half = next.count / 2;
        waiting[count] = next;
        waiting[count].start = (uint16_t)(next.start + half);
        waiting[count++].count = (uint16_t)(next.count - half);
        waiting[count] = next;
        waiting[count++].count = half;
    }
}

const uint8_t *block_registers(const struct block *block, size_t at, size_t words)
{
    if (at + words > block->request.count)
        return NULL;
    for (size_t i = at; i < at + words; i++)
        if (!block->known[i])
            return NULL;
    return block->data + 2 * at;
}
