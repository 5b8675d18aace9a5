/* Makes a failing plan short: takes faults out as long as it still fails by the same invariant
 * (shrink.c). */
#ifndef TESTS_WORLD_SHRINK_H
#define TESTS_WORLD_SHRINK_H

#include "tests/world/faults.h"

/* `plan` becomes the shortest one found that fails in the same words, whatever the numbers in them;
 * of which no single fault can go. One that does not fail stays. Returns how many runs that took.
 */
size_t shrink_plan(struct plan *plan);

#endif
