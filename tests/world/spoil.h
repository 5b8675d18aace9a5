/*
 * Bytes of an edge's disk that change by themselves; the oracle is told before. Each returns
 * whether there was anything to spoil.
 */
#ifndef TESTS_WORLD_SPOIL_H
#define TESTS_WORLD_SPOIL_H

#include "tests/world/plan.h"

#include <stdbool.h>

struct world;

/* One bit in any segment of a stream but the first. */
bool spoil_bit(struct world *world, const struct fault_event *event);
/* A block of the same file, some frames on, is found in an earlier place: what was there is lost,
 * and what is there now was valid elsewhere. In the newest segment: there the centre may need it.
 */
bool spoil_block(struct world *world, const struct fault_event *event);
/* One bit in one of the two slots of the marks; the process is gone. */
bool spoil_marks(struct world *world, const struct fault_event *event);

#endif
