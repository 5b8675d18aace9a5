/* Makes a failing plan short: takes faults out as long as it still fails (shrink.c). */
#ifndef TESTS_WORLD_SHRINK_H
#define TESTS_WORLD_SHRINK_H

#include "tests/world/faults.h"

/* `plan` fails; it becomes a shorter one that does. Returns how many runs that took. */
size_t shrink_plan(struct plan *plan);

#endif
