/* Payloads that nobody can read, or believe: from whoever else is on the broker. */
#ifndef TESTS_WORLD_GARBAGE_H
#define TESTS_WORLD_GARBAGE_H

#include "tests/world/plan.h"

struct world;

/* One on its way to the event's node; counted where it arrives. */
void garbage_throw(struct world *world, const struct fault_event *event);

#endif
