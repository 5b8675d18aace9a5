#include "store/point_cache.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 256

void point_cache_init(struct point_cache *cache, size_t limit)
{
    *cache = (struct point_cache){.limit = limit};
}

void point_cache_release(struct point_cache *cache)
{
    point_cache_clear(cache);
    free(cache->entries);
    cache->entries = NULL;
    cache->capacity = 0;
}

void point_cache_clear(struct point_cache *cache)
{
    for (size_t i = 0; i < cache->capacity; i++) {
        free(cache->entries[i].point);
        cache->entries[i] = (struct point_cache_entry){0};
    }
    cache->count = 0;
}

uint64_t point_cache_hash(uint64_t seed, const char *text)
{
    uint64_t hash = seed;

    do {
        hash ^= (unsigned char)*text;
        hash *= 1099511628211ULL;
    } while (*text++ != '\0');
    return hash;
}

/* The entry that holds the point, or the free one where it belongs. The table is never full. */
static struct point_cache_entry *slot_of(struct point_cache_entry *entries, size_t capacity,
                                         const char *point)
{
    size_t i = (size_t)point_cache_hash(POINT_CACHE_SEED, point) & (capacity - 1);

    while (entries[i].point != NULL && strcmp(entries[i].point, point) != 0)
        i = (i + 1) & (capacity - 1);
    return &entries[i];
}

struct point_cache_entry *point_cache_find(struct point_cache *cache, const char *point)
{
    if (cache->count == 0)
        return NULL;
    struct point_cache_entry *entry = slot_of(cache->entries, cache->capacity, point);
    return entry->point != NULL ? entry : NULL;
}

/* Keeps at least half of the table free. False: no memory. */
static bool make_room(struct point_cache *cache)
{
    if (2 * (cache->count + 1) <= cache->capacity)
        return true;
    size_t capacity = cache->capacity > 0 ? 2 * cache->capacity : FIRST_CAPACITY;
    struct point_cache_entry *entries = calloc(capacity, sizeof *entries);
    if (entries == NULL)
        return false;
    for (size_t i = 0; i < cache->capacity; i++)
        if (cache->entries[i].point != NULL)
            *slot_of(entries, capacity, cache->entries[i].point) = cache->entries[i];
    free(cache->entries);
    cache->entries = entries;
    cache->capacity = capacity;
    return true;
}

void point_cache_put(struct point_cache *cache, const char *point, int64_t id, uint64_t print)
{
    if (cache->count >= cache->limit || !make_room(cache))
        return;
    char *copy = strdup(point);
    if (copy == NULL)
        return;
    *slot_of(cache->entries, cache->capacity, point) =
        (struct point_cache_entry){.point = copy, .id = id, .print = print};
    cache->count++;
}
