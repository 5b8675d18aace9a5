/*
 * Two binary heaps of entry numbers: `waiting` by due time, `ready` by deadline. Each entry knows
 * its place in the heap it is in, so that it can leave from the middle.
 *
 * That groups take turns is said when an entry becomes ready: its turn is how many of its group
 * are ready before it. Entries of one deadline go by turn, so the first of each group comes before
 * the second of any.
 */
#include "drivers/modbus/schedule.h"

#include "base/error.h"

#include <stdlib.h>

/* Nobody waits an hour for the first value of an hourly point. */
#define SPREAD_US (10 * (int64_t)US_PER_S)

/* The wall clock is in ms, and is corrected by a few: more than this is a step. */
#define STEP_US (500 * (int64_t)US_PER_MS)

/* Aligned slots are those of UTC+8: a day begins at its midnight. */
#define LOCAL_US (8 * 3600 * (int64_t)US_PER_S)

enum state { ENTRY_FREE, ENTRY_ADDED, ENTRY_WAITING, ENTRY_READY };

struct entry {
    int64_t interval_us;
    int64_t base_us; /* its grid: base + k * interval */
    int64_t due_us;
    size_t group;
    size_t turn;  /* while ready: how many of its group were before it */
    size_t place; /* in the heap it is in */
    enum state state;
    bool aligned;
};

struct heap {
    size_t *entries;
    size_t count;
};

struct group {
    size_t ready; /* entries */
    bool held_back;
    bool away;
};

struct poll_schedule {
    struct entry *entries;
    size_t count; /* free ones included */
    size_t used;  /* without those */
    size_t capacity;
    struct heap waiting, ready;
    struct group *groups;
    size_t held_back; /* groups */
};

int poll_schedule_new(size_t groups, struct poll_schedule **ret_schedule)
{
    struct poll_schedule *schedule = calloc(1, sizeof *schedule);

    if (schedule == NULL)
        return ERR_NO_MEMORY;
    schedule->groups = calloc(groups + 1, sizeof schedule->groups[0]);
    if (schedule->groups == NULL) {
        free(schedule);
        return ERR_NO_MEMORY;
    }
    *ret_schedule = schedule;
    return 0;
}

static bool grow(void **array, size_t size, size_t count)
{
    void *grown = realloc(*array, size * count);

    if (grown != NULL)
        *array = grown;
    return grown != NULL;
}

int poll_schedule_reserve(struct poll_schedule *schedule, size_t more)
{
    size_t capacity = schedule->used + more;

    if (capacity <= schedule->capacity)
        return 0;
    if (!grow((void **)&schedule->entries, sizeof schedule->entries[0], capacity) ||
        !grow((void **)&schedule->waiting.entries, sizeof(size_t), capacity) ||
        !grow((void **)&schedule->ready.entries, sizeof(size_t), capacity))
        return ERR_NO_MEMORY;
    schedule->capacity = capacity;
    return 0;
}

size_t poll_schedule_capacity(const struct poll_schedule *schedule)
{
    return schedule->capacity;
}

void poll_schedule_free(struct poll_schedule *schedule)
{
    if (schedule == NULL)
        return;
    free(schedule->entries);
    free(schedule->waiting.entries);
    free(schedule->ready.entries);
    free(schedule->groups);
    free(schedule);
}

/* ---- the heaps ---- */

int64_t poll_schedule_deadline(const struct poll_schedule *schedule, size_t entry)
{
    return schedule->entries[entry].due_us + schedule->entries[entry].interval_us;
}

static bool goes_before(const struct poll_schedule *schedule, size_t a, size_t b)
{
    const struct entry *left = &schedule->entries[a];
    const struct entry *right = &schedule->entries[b];
    bool ready = left->state == ENTRY_READY;
    int64_t first = ready ? poll_schedule_deadline(schedule, a) : left->due_us;
    int64_t second = ready ? poll_schedule_deadline(schedule, b) : right->due_us;

    if (first != second)
        return first < second;
    if (left->turn != right->turn)
        return left->turn < right->turn;
    return left->group != right->group ? left->group < right->group : a < b;
}

static void put_at(struct poll_schedule *schedule, struct heap *heap, size_t place, size_t entry)
{
    heap->entries[place] = entry;
    schedule->entries[entry].place = place;
}

static void sift_up(struct poll_schedule *schedule, struct heap *heap, size_t place)
{
    size_t entry = heap->entries[place];

    while (place > 0 && goes_before(schedule, entry, heap->entries[(place - 1) / 2])) {
        put_at(schedule, heap, place, heap->entries[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    put_at(schedule, heap, place, entry);
}

static void sift_down(struct poll_schedule *schedule, struct heap *heap, size_t place)
{
    size_t entry = heap->entries[place];

    for (;;) {
        size_t child = 2 * place + 1;
        if (child + 1 < heap->count &&
            goes_before(schedule, heap->entries[child + 1], heap->entries[child]))
            child++;
        if (child >= heap->count || !goes_before(schedule, heap->entries[child], entry))
            break;
        put_at(schedule, heap, place, heap->entries[child]);
        place = child;
    }
    put_at(schedule, heap, place, entry);
}

static void enter(struct poll_schedule *schedule, size_t entry, enum state state)
{
    struct entry *at = &schedule->entries[entry];
    struct heap *heap = state == ENTRY_READY ? &schedule->ready : &schedule->waiting;

    at->state = state;
    at->turn = state == ENTRY_READY ? schedule->groups[at->group].ready++ : 0;
    heap->entries[heap->count] = entry;
    sift_up(schedule, heap, heap->count++);
}

/* Out of the heap it is in. */
static void leave(struct poll_schedule *schedule, size_t entry)
{
    struct entry *at = &schedule->entries[entry];
    struct heap *heap = at->state == ENTRY_READY ? &schedule->ready : &schedule->waiting;
    size_t place = at->place;

    schedule->groups[at->group].ready -= at->state == ENTRY_READY ? 1 : 0;
    heap->count--;
    if (place < heap->count) {
        put_at(schedule, heap, place, heap->entries[heap->count]);
        sift_up(schedule, heap, place);
        sift_down(schedule, heap, place);
    }
}

/* ---- entries ---- */

static size_t free_entry(struct poll_schedule *schedule)
{
    size_t entry = 0;

    if (schedule->used == schedule->capacity)
        return SCHEDULE_NONE;
    if (schedule->count < schedule->capacity)
        entry = schedule->count++;
    else
        while (schedule->entries[entry].state != ENTRY_FREE)
            entry++;
    schedule->used++;
    return entry;
}

size_t poll_schedule_add(struct poll_schedule *schedule, int64_t interval_us, size_t group,
                         bool aligned)
{
    size_t entry = free_entry(schedule);

    if (entry != SCHEDULE_NONE)
        schedule->entries[entry] = (struct entry){.interval_us = interval_us > 0 ? interval_us : 1,
                                                  .due_us = NEVER,
                                                  .group = group,
                                                  .state = ENTRY_ADDED,
                                                  .aligned = aligned};
    return entry;
}

size_t poll_schedule_copy(struct poll_schedule *schedule, size_t entry)
{
    size_t made = free_entry(schedule);

    if (made == SCHEDULE_NONE)
        return SCHEDULE_NONE;
    schedule->entries[made] = schedule->entries[entry];
    enter(schedule, made, schedule->entries[entry].state);
    return made;
}

void poll_schedule_remove(struct poll_schedule *schedule, size_t entry)
{
    leave(schedule, entry);
    schedule->entries[entry].state = ENTRY_FREE;
    schedule->used--;
}

bool poll_schedule_has(const struct poll_schedule *schedule, size_t entry, int64_t interval_us,
                       bool aligned)
{
    const struct entry *at = &schedule->entries[entry];
    return at->interval_us == interval_us && at->aligned == aligned;
}

/* The first slot of the wall clock at or after `from_us` of the monotonic one. */
static int64_t aligned_slot(int64_t interval_us, int64_t from_us, struct now now)
{
    int64_t local_us = now.wall_ms * US_PER_MS + LOCAL_US + from_us - now.mono_us;
    int64_t into_us = local_us % interval_us;

    return from_us + (into_us == 0 ? 0 : interval_us - into_us);
}

/* How many other added entries have its interval: before it, and in all. */
static void count_alike(const struct poll_schedule *schedule, size_t entry, int64_t *ret_before,
                        int64_t *ret_alike)
{
    *ret_before = *ret_alike = 0;
    for (size_t k = 0; k < schedule->count; k++) {
        bool same = schedule->entries[k].state != ENTRY_FREE &&
                    schedule->entries[k].interval_us == schedule->entries[entry].interval_us;
        *ret_alike += same ? 1 : 0;
        *ret_before += same && k < entry ? 1 : 0;
    }
}

static void lay_out(struct poll_schedule *schedule, size_t entry, struct now now, uint32_t phase)
{
    struct entry *at = &schedule->entries[entry];
    int64_t spread = at->interval_us < SPREAD_US ? at->interval_us : SPREAD_US;
    int64_t before, alike;

    count_alike(schedule, entry, &before, &alike);
    at->base_us = now.mono_us + (spread * before / alike + (spread * phase >> 32)) % spread;
    at->due_us = at->base_us;
    if (at->aligned)
        at->base_us = aligned_slot(at->interval_us, at->due_us, now);
}

void poll_schedule_start(struct poll_schedule *schedule, struct now now, uint32_t phase)
{
    for (size_t i = 0; i < schedule->count; i++)
        if (schedule->entries[i].state == ENTRY_ADDED)
            lay_out(schedule, i, now, phase);
    for (size_t i = 0; i < schedule->count; i++)
        if (schedule->entries[i].state == ENTRY_ADDED)
            enter(schedule, i, ENTRY_WAITING);
}

int64_t poll_schedule_due(const struct poll_schedule *schedule, size_t entry)
{
    return schedule->entries[entry].due_us;
}

/* ---- turns ---- */

int64_t poll_schedule_next_due(const struct poll_schedule *schedule)
{
    return schedule->waiting.count > 0 ? schedule->entries[schedule->waiting.entries[0]].due_us
                                       : NEVER;
}

size_t poll_schedule_take(struct poll_schedule *schedule, int64_t now_us)
{
    size_t entry;

    if (poll_schedule_next_due(schedule) > now_us || schedule->waiting.count == 0)
        return SCHEDULE_NONE;
    entry = schedule->waiting.entries[0];
    leave(schedule, entry);
    enter(schedule, entry, ENTRY_READY);
    return entry;
}

static bool is_of(const struct poll_schedule *schedule, size_t entry, bool of_held_back)
{
    const struct group *group = &schedule->groups[schedule->entries[entry].group];
    return !group->away && group->held_back == of_held_back;
}

/* The first of its kind at or below this place of the heap. Only entries of the other kind are
 * looked behind, so it is found in about as many steps as they are. */
static size_t pick_below(const struct poll_schedule *schedule, size_t place, bool of_held_back)
{
    size_t left, right;

    if (place >= schedule->ready.count)
        return SCHEDULE_NONE;
    if (is_of(schedule, schedule->ready.entries[place], of_held_back))
        return schedule->ready.entries[place];
    left = pick_below(schedule, 2 * place + 1, of_held_back);
    right = pick_below(schedule, 2 * place + 2, of_held_back);
    if (left == SCHEDULE_NONE || right == SCHEDULE_NONE)
        return left == SCHEDULE_NONE ? right : left;
    return goes_before(schedule, left, right) ? left : right;
}

size_t poll_schedule_pick(const struct poll_schedule *schedule, bool of_held_back)
{
    if (of_held_back && schedule->held_back == 0)
        return SCHEDULE_NONE; /* as nearly always, without looking through all */
    return pick_below(schedule, 0, of_held_back);
}

void poll_schedule_hold_back(struct poll_schedule *schedule, size_t group, bool back)
{
    struct group *at = &schedule->groups[group];

    schedule->held_back += back && !at->held_back ? 1 : 0;
    schedule->held_back -= !back && at->held_back ? 1 : 0;
    at->held_back = back;
}

void poll_schedule_put_away(struct poll_schedule *schedule, size_t group, bool away)
{
    schedule->groups[group].away = away;
}

size_t poll_schedule_ready_of(const struct poll_schedule *schedule, size_t group)
{
    if (group != SCHEDULE_NONE && schedule->groups[group].ready == 0)
        return SCHEDULE_NONE;
    for (size_t k = 0; k < schedule->ready.count; k++)
        if (group == SCHEDULE_NONE || schedule->entries[schedule->ready.entries[k]].group == group)
            return schedule->ready.entries[k];
    return SCHEDULE_NONE;
}

/* The last slot of the grid at or before `at_us`; -1 before the first. */
static int64_t slot(const struct entry *entry, int64_t at_us)
{
    return at_us < entry->base_us ? -1 : (at_us - entry->base_us) / entry->interval_us;
}

/* Has the wall clock stepped away from the grid? Then a new one, from the next slot on. */
static bool realign(struct entry *entry, struct now now)
{
    int64_t off_us = aligned_slot(entry->interval_us, entry->base_us, now) - entry->base_us;
    int64_t tolerance = entry->interval_us / 8 < STEP_US ? entry->interval_us / 8 : STEP_US;

    if (off_us <= tolerance || entry->interval_us - off_us <= tolerance)
        return false;
    entry->base_us = aligned_slot(entry->interval_us, entry->due_us + entry->interval_us / 2, now);
    return true;
}

uint64_t poll_schedule_done(struct poll_schedule *schedule, size_t entry, struct now now)
{
    struct entry *at = &schedule->entries[entry];
    int64_t served;
    int64_t current;

    leave(schedule, entry);
    served = slot(at, at->due_us);
    if (at->aligned && realign(at, now))
        served = -1;
    current = slot(at, now.mono_us);
    if (current < served)
        current = served;
    at->due_us = at->base_us + (current + 1) * at->interval_us;
    enter(schedule, entry, ENTRY_WAITING);
    return (uint64_t)(current - served);
}

void poll_schedule_pull(struct poll_schedule *schedule, size_t group, int64_t now_us)
{
    for (size_t i = 0; i < schedule->count; i++) {
        struct entry *entry = &schedule->entries[i];
        if (entry->group != group || entry->state != ENTRY_WAITING || entry->due_us <= now_us)
            continue;
        leave(schedule, i);
        entry->due_us = now_us;
        enter(schedule, i, ENTRY_WAITING);
    }
}
