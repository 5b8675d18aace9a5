/*
 * What registers can mean: every type in every order, and which of them comes nearest to what the
 * instrument's display shows. Pure.
 */
#ifndef CTL_DECODINGS_H
#define CTL_DECODINGS_H

#include "ctl/block.h"
#include "model/sample.h"

#include <stdbool.h>
#include <stddef.h>

/* A width and an order; with a kind it makes a type. */
struct decoding_shape {
    unsigned bits;
    const char *order;
};

size_t decoding_shape_count(void);
const struct decoding_shape *decoding_shape_at(size_t index);

enum decoding_kind { DECODE_UINT, DECODE_INT, DECODE_FLOAT, DECODE_BCD, DECODE_KINDS };

/* "uint", "int", "float", "bcd". */
const char *decoding_kind_name(enum decoding_kind kind);

/* What the registers from the `at`-th on say so. False where there is no such type, not so many
 * registers, or no number in them. */
bool decoding_value(const struct block *block, size_t at, const struct decoding_shape *shape,
                    enum decoding_kind kind, struct value *ret_value);

/* A guess at what holds the value expected. */
struct decoding {
    uint8_t unit, function;
    uint16_t address;
    char type[16];
    const char *order; /* "" for a bit */
    const char *scale;
    double value; /* scaled */
    bool single;  /* it is a float, and shown as one */
    double error; /* how far from it */
    bool fits;    /* shown with as many decimals it would look the same */
    int rank;     /* how plain the guess is: 0 the plainest */
};

#define DECODINGS_MAX 10

/* The best guesses, best first. Those that fit come first, the plainest of them before all (a
 * float before an integer with a scale); then the nearest. */
struct decodings {
    double expected;
    double half_digit; /* half a unit of its last decimal */
    size_t count;
    struct decoding list[DECODINGS_MAX];
};

/* `expected` is a decimal number as people read it. ERR_INVALID, ERR_RANGE. */
MUST_CHECK int decodings_init(struct decodings *decodings, const char *expected);

/* Looks through a block of another unit. */
void decodings_add(struct decodings *decodings, const struct block *block);

/* Is the best of them near: does it fit, or miss by at most 2 %? */
bool decodings_near(const struct decodings *decodings);

#endif
