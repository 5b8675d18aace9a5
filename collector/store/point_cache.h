/*
 * Which number a point has in the history, in memory: name → number, and a print of what is kept
 * about it, so that a birth that tells nothing new costs no question. Bounded: what does not fit
 * is looked up in the file. Owned by one thread.
 */
#ifndef STORE_POINT_CACHE_H
#define STORE_POINT_CACHE_H

#include "base/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct point_cache_entry {
    char *point; /* its own copy; NULL: free */
    int64_t id;
    uint64_t print;
};

struct point_cache {
    struct point_cache_entry *entries;
    size_t capacity; /* a power of two */
    size_t count;
    size_t limit;
};

void point_cache_init(struct point_cache *cache, size_t limit);
void point_cache_release(struct point_cache *cache);

/* Forgets all of it. */
void point_cache_clear(struct point_cache *cache);

/* NULL when it is not there. Valid until the next put or clear; `print` and `id` may be changed. */
struct point_cache_entry *point_cache_find(struct point_cache *cache, const char *point);

/* Adds a point that is not there; one that does not fit (bound, memory) is left out. */
void point_cache_put(struct point_cache *cache, const char *point, int64_t id, uint64_t print);

/* A 64-bit hash (FNV-1a) of a text with its end; `seed` chains several. */
uint64_t point_cache_hash(uint64_t seed, const char *text);
#define POINT_CACHE_SEED 14695981039346656037ULL

#endif
