/*
 * A block of registers or bits of one unit, as far as the unit gives it: what it refuses to give
 * in one piece is asked in halves, down to single ones, within a bound of requests. Pure but for
 * the asking, which is given.
 */
#ifndef CTL_BLOCK_H
#define CTL_BLOCK_H

#include "drivers/modbus/outcome.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLOCK_REGISTERS_MAX 125
#define BLOCK_BITS_MAX      2000

/* Asks, and waits. */
typedef void block_ask(void *self, const struct modbus_request *request,
                       struct modbus_outcome *ret_outcome);

struct block {
    struct modbus_request request;     /* what is wanted, in one piece */
    struct modbus_outcome first;       /* what became of that */
    bool known[BLOCK_BITS_MAX];        /* of each register or bit */
    uint8_t data[2 * BLOCK_BITS_MAX];  /* two bytes each; a bit is in the second */
    size_t known_count, request_count; /* how many are known, after how many requests */
};

/* Is there a unit, by what became of the first request? Whatever it answers; but a gateway's word
 * that it has no such unit is none. */
bool block_answered(const struct block *block);

/* Asks the unit for it. */
void block_read(struct block *block, const struct modbus_request *request, block_ask *ask,
                void *ask_self);

/* The bytes of `words` registers from the `at`-th on; NULL where one is not known, or beyond. */
const uint8_t *block_registers(const struct block *block, size_t at, size_t words);

/* Of functions 1 and 2. */
bool block_is_bits(const struct block *block);

#endif
