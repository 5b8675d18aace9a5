#include "tests/world/oracle.h"

#include "tests/world/world.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RANGES_MAX 100000
#define COUNTERS   65536.0

void oracle_init(struct oracle *oracle)
{
    *oracle = (struct oracle){0};
    for (int i = 0; i < WORLD_EDGES; i++) {
        struct oracle_edge *edge = &oracle->edges[i];
        edge->away_us = 0;
        for (int e = 0; e < ORACLE_EPOCHS; e++)
            for (int s = 0; s < STREAM_COUNT; s++) {
                intervals_init(&edge->have[e][s], RANGES_MAX);
                intervals_init(&edge->lost[e][s], RANGES_MAX);
                intervals_init(&edge->dropped[e][s], RANGES_MAX);
                intervals_init(&edge->spoiled[e][s], RANGES_MAX);
                edge->unique[e][s] = UINT64_MAX;
            }
    }
}

void oracle_release(struct oracle *oracle)
{
    for (int i = 0; i < WORLD_EDGES; i++) {
        struct oracle_edge *edge = &oracle->edges[i];
        for (int e = 0; e < ORACLE_EPOCHS; e++)
            for (int s = 0; s < STREAM_COUNT; s++) {
                intervals_release(&edge->have[e][s]);
                intervals_release(&edge->lost[e][s]);
                intervals_release(&edge->dropped[e][s]);
                intervals_release(&edge->spoiled[e][s]);
            }
        free(edge->truth);
        oracle_forget(&edge->appended);
    }
    oracle_forget(&oracle->journaled);
    oracle_forget(&oracle->positions);
    free(oracle->acts);
    free(oracle->deliveries);
}

int oracle_epoch(const struct oracle_edge *edge, const char *epoch)
{
    for (int i = 0; i < edge->epoch_count; i++)
        if (strcmp(edge->epochs[i], epoch) == 0)
            return i;
    return -1;
}

int oracle_edge_of(const char *name)
{
    return name[0] == 'e' && name[1] >= '1' && name[1] < '1' + WORLD_EDGES && !name[2]
               ? name[1] - '1'
               : -1;
}

struct truth *oracle_truth(struct oracle *oracle, int edge, const struct value *value)
{
    double fraction = value->number - floor(value->number);
    size_t index = (size_t)(fraction * COUNTERS);
    return value->kind == VALUE_DOUBLE && index < oracle->edges[edge].count
               ? &oracle->edges[edge].truth[index]
               : NULL;
}

bool oracle_is_plain(const struct world *world, int index)
{
    const struct oracle_edge *edge = &world->oracle.edges[index];
    return !edge->restores && !edge->damaged && !edge->marks_spoiled &&
           !world->oracle.centre_restored;
}

/* ---- maps ---- */

uint64_t oracle_key(int edge, int epoch, enum stream stream, uint64_t seq)
{
    return UINT64_C(1) << 63 | (uint64_t)edge << 60 | (uint64_t)epoch << 54 |
           (uint64_t)stream << 52 | seq;
}

uint64_t oracle_position_key(uint64_t position)
{
    return UINT64_C(1) << 63 | position;
}

static struct known *slot_of(const struct known_map *map, uint64_t key)
{
    uint64_t hash = key * UINT64_C(0x9e3779b97f4a7c15);
    size_t i = (size_t)(hash >> 20) & (map->capacity - 1);
    while (map->slots[i].key && map->slots[i].key != key)
        i = (i + 1) & (map->capacity - 1);
    return &map->slots[i];
}

static void grow(struct known_map *map)
{
    struct known_map bigger = {.capacity = map->capacity ? 2 * map->capacity : 1024,
                               .count = map->count};
    bigger.slots = calloc(bigger.capacity, sizeof(*bigger.slots));
    if (!bigger.slots)
        abort();
    for (size_t i = 0; i < map->capacity; i++)
        if (map->slots[i].key)
            *slot_of(&bigger, map->slots[i].key) = map->slots[i];
    free(map->slots);
    *map = bigger;
}

struct known *oracle_know(struct known_map *map, uint64_t key)
{
    if (2 * (map->count + 1) > map->capacity)
        grow(map);
    struct known *slot = slot_of(map, key);
    if (!slot->key) {
        *slot = (struct known){.key = key};
        map->count++;
    }
    return slot;
}

const struct known *oracle_find(const struct known_map *map, uint64_t key)
{
    const struct known *slot = map->capacity ? slot_of(map, key) : NULL;
    return slot && slot->key ? slot : NULL;
}

void oracle_forget(struct known_map *map)
{
    free(map->slots);
    *map = (struct known_map){0};
}

/* ---- bounds ---- */

void oracle_bounds(struct world *world)
{
    for (int i = 0; i < WORLD_EDGES; i++) {
        const struct edge_node *edge = &world->edges[i];
        struct uplink_status status;
        oracle_note_away(world, i);
        if (!edge->machine.running || world->steps % 64)
            continue;
        uplink_get_status(edge->uplink, &status);
        if (status.under_way > 64 || journal_pending(edge->journal) > 8 * 1024 * 1024)
            world_fail(world, "%s: %zu records under way, %zu bytes pending", edge->name,
                       status.under_way, journal_pending(edge->journal));
        if (edge->limit_bytes && world->steps % 1024 == 0) {
            uint64_t bytes, received;
            journal_bytes(edge->journal, &bytes, &received);
            /* Each stream may pass it by a segment, where the disk failed; what the centre has goes
             * when its room is wanted. */
            if (bytes - received > edge->limit_bytes + (STREAM_COUNT + 2) * 16 * 1024)
                world_fail(world, "%s: its journal has %llu bytes, and may have %llu", edge->name,
                           (unsigned long long)bytes, (unsigned long long)edge->limit_bytes);
        }
    }
    if (world->centre.machine.running && world->steps % 64 == 0) {
        struct ingest_status status;
        ingest_get_status(world->centre.ingest, &status);
        world->reached[SITE_PARKED] += status.parked;
        world->reached[SITE_DEAD_LETTER] += status.dead_letters;
        world->reached[SITE_DUPLICATE] += status.duplicates;
        if (status.parked > 256)
            world_fail(world, "%llu records are parked", (unsigned long long)status.parked);
    }
}
