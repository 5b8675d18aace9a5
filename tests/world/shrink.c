#include "tests/world/shrink.h"

#include "tests/world/world.h"

#include <stdlib.h>
#include <string.h>

static bool fails(const struct plan *plan)
{
    struct world *world = malloc(sizeof(*world));
    if (!world)
        abort();
    bool well = world_run(world, plan);
    world_release(world);
    free(world);
    return !well;
}

static struct plan without(const struct plan *plan, size_t first, size_t count)
{
    struct plan shorter = *plan;
    memmove(&shorter.events[first], &shorter.events[first + count],
            (plan->count - first - count) * sizeof(shorter.events[0]));
    shorter.count -= count;
    return shorter;
}

/* Halves, then quarters … then single faults, until none can go. */
size_t shrink_plan(struct plan *plan)
{
    size_t runs = 0;
    for (size_t size = (plan->count + 1) / 2; size; size = size == 1 ? 0 : (size + 1) / 2) {
        for (size_t first = 0; first + size <= plan->count;) {
            struct plan shorter = without(plan, first, size);
            runs++;
            if (fails(&shorter)) {
                *plan = shorter;
                size = size > plan->count && plan->count ? plan->count : size;
            } else {
                first += size;
            }
        }
    }
    return runs;
}
