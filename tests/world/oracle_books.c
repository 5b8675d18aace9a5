#include "central/sources.h"
#include "tests/world/oracle.h"
#include "tests/world/world.h"

#include <string.h>

/*
 * The centre's books of each edge and epoch (total, points, lost points: what `chengmai books`, the
 * page and the ledger go by) beside what truly was: first by what lies in the central journal, and
 * then, where no disk was spoiled or replaced, by the samples that the world's own count knows.
 */

#define YOUNG_US (60 * (int64_t)US_PER_S) /* what is younger may still be on its way */

/* What the world knows of an edge's samples in an epoch. */
struct count {
    uint64_t recorded;
    uint64_t arrived; /* in the central journal */
    uint64_t lost;    /* told of by its losses; some of these arrived as well */
    uint64_t both;
    uint64_t young;  /* neither, and not to be expected yet */
    uint64_t memory; /* never durable: a total that was sent before that was known may have them */
};

static void count_place(const struct world *world, int index, const struct truth *truth,
                        const struct place *place, struct count *count)
{
    const struct oracle *oracle = &world->oracle;
    uint64_t key = oracle_key(index, place->epoch, place->stream, place->seq);
    bool arrived = oracle_find(&oracle->journaled, key) != NULL;
    bool lost =
        intervals_contain(&oracle->edges[index].lost[place->epoch][place->stream], place->seq);
    count->recorded++;
    count->arrived += arrived;
    count->lost += lost;
    count->both += arrived && lost;
    count->young += !arrived && !lost && world->now_us - truth->put_us < YOUNG_US;
}

static struct count count_truth(const struct world *world, int index, int epoch)
{
    const struct oracle_edge *edge = &world->oracle.edges[index];
    struct count count = {0};
    for (size_t i = 0; i < edge->count; i++) {
        const struct truth *truth = &edge->truth[i];
        count.memory += truth->memory;
        for (unsigned n = 0; n < truth->place_count; n++)
            if (truth->places[n].epoch == epoch)
                count_place(world, index, truth, &truth->places[n], &count);
    }
    return count;
}

static void compare(struct world *world, int index, const char *what, uint64_t said, uint64_t least,
                    uint64_t most)
{
    if (said < least || said > most)
        world_fail(world, "the centre's books say %s of %s: %llu, and it is %llu..%llu", what,
                   world->edges[index].name, (unsigned long long)said, (unsigned long long)least,
                   (unsigned long long)most);
}

/* An edge whose disk was never replaced or spoiled, and a centre that never forgot. */
static void check_exactly(struct world *world, int index, int epoch,
                          const struct source_epoch *books)
{
    struct count count = count_truth(world, index, epoch);
    compare(world, index, "points", books->points, count.arrived, count.arrived);
    /* Of a write that the power cut tore, what stood behind the gap tells of some in memory. */
    compare(world, index, "lost points", books->lost_points, count.lost, count.lost + count.memory);
    compare(world, index, "total", books->total, count.recorded - count.young,
            count.recorded + count.memory);
    uint64_t sum = books->points + books->lost_points - count.both;
    compare(world, index, "what is stored or lost", sum, count.recorded - count.young,
            count.recorded + count.memory);
}

static void check_epoch(struct world *world, int index, int epoch)
{
    const struct oracle_edge *edge = &world->oracle.edges[index];
    const struct source *source = sources_find(&world->centre.sources, world->edges[index].name);
    const struct source_epoch *found =
        source ? source_find_epoch(source, edge->epochs[epoch]) : NULL;
    static const struct source_epoch nothing;
    const struct source_epoch *books = found ? found : &nothing;
    compare(world, index, "points", books->points, edge->arrived[epoch], edge->arrived[epoch]);
    compare(world, index, "lost points", books->lost_points, edge->lost_points[epoch],
            edge->lost_points[epoch]);
    if (oracle_is_plain(world, index))
        check_exactly(world, index, epoch, books);
}

void oracle_check_books(struct world *world)
{
    for (int i = 0; i < WORLD_EDGES; i++)
        for (int epoch = 0; epoch < world->oracle.edges[i].epoch_count; epoch++)
            check_epoch(world, i, epoch);
}
