/*
 * Design notes. The ranges are sorted, so all questions are a binary search for the first range
 * that ends at or behind a number. Ranges never touch: of 1..3 and 4..5 comes 1..5. So the number
 * behind a range is never in the set, and a set has one form only.
 */
#include "model/intervals.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

#define SMALLEST_CAPACITY 8

void intervals_init(struct intervals *set, size_t limit)
{
    *set = (struct intervals){.limit = limit};
}

void intervals_release(struct intervals *set)
{
    free(set->ranges);
    *set = (struct intervals){.limit = set->limit};
}

void intervals_clear(struct intervals *set)
{
    set->count = 0;
}

/* The index of the first range whose last number is at least `number`; count when there is none. */
static size_t find_ending_from(const struct intervals *set, uint64_t number)
{
    size_t low = 0;
    size_t high = set->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set->ranges[middle].last < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int reserve(struct intervals *set, size_t count)
{
    size_t capacity = set->capacity < SMALLEST_CAPACITY ? SMALLEST_CAPACITY : set->capacity;
    struct interval *ranges;

    if (count > set->limit)
        return ERR_FULL;
    if (count <= set->capacity)
        return 0;
    while (capacity < count)
        capacity *= 2;
    ranges = reallocarray(set->ranges, capacity, sizeof(*ranges));
    if (ranges == NULL)
        return ERR_NO_MEMORY;
    set->ranges = ranges;
    set->capacity = capacity;
    return 0;
}

/* Puts `count` ranges in the place of those from..to (to not included). */
static int replace(struct intervals *set, size_t from, size_t to, const struct interval *with,
                   size_t count)
{
    size_t rest = set->count - to;
    int err = 0;

    if (count > to - from)
        err = reserve(set, set->count - (to - from) + count);
    if (err != 0)
        return err;
    if (rest > 0)
        memmove(set->ranges + from + count, set->ranges + to, rest * sizeof(*set->ranges));
    if (count > 0)
        memcpy(set->ranges + from, with, count * sizeof(*with));
    set->count = from + count + rest;
    return 0;
}

int intervals_add(struct intervals *set, uint64_t first, uint64_t last)
{
    struct interval merged = {first, last};
    size_t from = find_ending_from(set, first > 0 ? first - 1 : 0);
    size_t to = from;

    if (first > last)
        return 0;
    while (to < set->count && (last == UINT64_MAX || set->ranges[to].first <= last + 1))
        to++;
    if (to > from) {
        if (set->ranges[from].first < merged.first)
            merged.first = set->ranges[from].first;
        if (set->ranges[to - 1].last > merged.last)
            merged.last = set->ranges[to - 1].last;
    }
    return replace(set, from, to, &merged, 1);
}

/* Appends to a list in rising order of `first`, joining with the end of it. */
static size_t append_joined(struct interval *ranges, size_t count, struct interval next)
{
    struct interval *end = ranges + count;

    if (count > 0 && (end[-1].last == UINT64_MAX || next.first <= end[-1].last + 1)) {
        if (next.last > end[-1].last)
            end[-1].last = next.last;
        return count;
    }
    *end = next;
    return count + 1;
}

/* Merged aside: added one by one, ranges could pass a limit that their sum keeps. */
int intervals_add_all(struct intervals *set, const struct intervals *other)
{
    size_t total = set->count + other->count;
    struct interval *merged;
    size_t count = 0;
    size_t i = 0;
    size_t j = 0;
    int err;

    if (other->count == 0)
        return 0;
    merged = calloc(total, sizeof(*merged));
    if (merged == NULL)
        return ERR_NO_MEMORY;
    while (i < set->count || j < other->count) {
        bool own =
            j == other->count || (i < set->count && set->ranges[i].first <= other->ranges[j].first);
        count = append_joined(merged, count, own ? set->ranges[i++] : other->ranges[j++]);
    }
    err = replace(set, 0, set->count, merged, count);
    free(merged);
    return err;
}

int intervals_remove(struct intervals *set, uint64_t first, uint64_t last)
{
    struct interval rest[2];
    size_t count = 0;
    size_t from = find_ending_from(set, first);
    size_t to = from;

    if (first > last)
        return 0;
    while (to < set->count && set->ranges[to].first <= last)
        to++;
    if (to == from)
        return 0;
    if (set->ranges[from].first < first)
        rest[count++] = (struct interval){set->ranges[from].first, first - 1};
    if (set->ranges[to - 1].last > last)
        rest[count++] = (struct interval){last + 1, set->ranges[to - 1].last};
    return replace(set, from, to, rest, count);
}

bool intervals_contain(const struct intervals *set, uint64_t number)
{
    return intervals_contain_all(set, number, number);
}

bool intervals_contain_all(const struct intervals *set, uint64_t first, uint64_t last)
{
    struct interval hole;

    return !intervals_next_hole(set, first, last, &hole);
}

uint64_t intervals_through(const struct intervals *set)
{
    return set->count > 0 && set->ranges[0].first <= 1 ? set->ranges[0].last : 0;
}

uint64_t intervals_max(const struct intervals *set)
{
    return set->count > 0 ? set->ranges[set->count - 1].last : 0;
}

uint64_t intervals_size(const struct intervals *set)
{
    uint64_t size = 0;

    for (size_t i = 0; i < set->count; i++) {
        uint64_t more = set->ranges[i].last - set->ranges[i].first;
        if (more == UINT64_MAX)
            return UINT64_MAX;
        size += more + 1;
    }
    return size;
}

bool intervals_next_hole(const struct intervals *set, uint64_t from, uint64_t to,
                         struct interval *ret_hole)
{
    size_t at = find_ending_from(set, from);
    uint64_t first = from;
    uint64_t last = to;

    if (from > to)
        return false;
    if (at < set->count && set->ranges[at].first <= from) {
        if (set->ranges[at].last >= to)
            return false;
        first = set->ranges[at].last + 1;
        at++;
    }
    if (at < set->count && set->ranges[at].first <= to)
        last = set->ranges[at].first - 1;
    *ret_hole = (struct interval){first, last};
    return true;
}
