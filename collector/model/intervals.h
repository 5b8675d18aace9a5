/*
 * A set of sequence numbers as sorted, disjoint, non-touching ranges: what has been received.
 * Owned by one thread. At most `limit` ranges: an addition that would need more is refused, and
 * its number will come again.
 */
#ifndef MODEL_INTERVALS_H
#define MODEL_INTERVALS_H

#include "base/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct interval {
    uint64_t first;
    uint64_t last; /* inclusive, >= first */
};

struct intervals {
    struct interval *ranges;
    size_t count;
    size_t capacity;
    size_t limit;
};

void intervals_init(struct intervals *set, size_t limit);
void intervals_release(struct intervals *set);
void intervals_clear(struct intervals *set);

/* Adds first..last, merging. 0 (also when all of it was there), ERR_FULL, ERR_NO_MEMORY. Here and
 * below: nothing is changed on failure, and first > last is no number at all. */
MUST_CHECK int intervals_add(struct intervals *set, uint64_t first, uint64_t last);

/* Adds all of `other`, or nothing of it. */
MUST_CHECK int intervals_add_all(struct intervals *set, const struct intervals *other);

/* Takes first..last out. ERR_FULL when a split would pass the limit. */
MUST_CHECK int intervals_remove(struct intervals *set, uint64_t first, uint64_t last);

bool intervals_contain(const struct intervals *set, uint64_t number);
bool intervals_contain_all(const struct intervals *set, uint64_t first, uint64_t last);

/* The greatest n such that 1..n are all in the set; 0 when 1 is not. */
uint64_t intervals_through(const struct intervals *set);

/* The greatest number in the set, 0 when empty. */
uint64_t intervals_max(const struct intervals *set);

/* How many numbers are in the set (UINT64_MAX also where it is one more). */
uint64_t intervals_size(const struct intervals *set);

/* The first range within from..to that the set lacks. False when it lacks none. */
bool intervals_next_hole(const struct intervals *set, uint64_t from, uint64_t to,
                         struct interval *ret_hole);

#endif
