#include "tests/world/shrink.h"

#include "tests/world/world.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* The words of a failure without its numbers: which invariant it is. */
struct words {
    char text[FAILURE_MAX];
};

/* Empty: the plan does not fail. */
static struct words failure_of(const struct plan *plan)
{
    struct words words = {""};
    size_t len = 0;
    struct world *world = malloc(sizeof(*world));
    if (!world)
        abort();
    world_run(world, plan);
    for (const char *at = world->failure; *at; at++)
        if (!isdigit((unsigned char)*at))
            words.text[len++] = *at;
    world_release(world);
    free(world);
    return words;
}

static struct plan without(const struct plan *plan, size_t first, size_t count)
{
    struct plan shorter = *plan;
    memmove(&shorter.events[first], &shorter.events[first + count],
            (plan->count - first - count) * sizeof(shorter.events[0]));
    shorter.count -= count;
    return shorter;
}

/* Halves, then quarters … then single faults. Returns how many runs it took. */
static size_t take_out(struct plan *plan, const struct words *wanted)
{
    size_t runs = 0;
    for (size_t size = (plan->count + 1) / 2; size; size = size == 1 ? 0 : (size + 1) / 2) {
        for (size_t first = 0; first + size <= plan->count;) {
            struct plan shorter = without(plan, first, size);
            struct words words = failure_of(&shorter);
            runs++;
            if (strcmp(words.text, wanted->text) == 0)
                *plan = shorter;
            else
                first += size;
        }
    }
    return runs;
}

/* What could not go while another fault was there may go now: until none can. */
size_t shrink_plan(struct plan *plan)
{
    struct words wanted = failure_of(plan);
    size_t runs = 1, before = plan->count + 1;
    while (wanted.text[0] && plan->count < before) {
        before = plan->count;
        runs += take_out(plan, &wanted);
    }
    return runs;
}
