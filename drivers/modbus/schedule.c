#include "drivers/modbus/schedule.h"

#include "base/clock.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdlib.h>

/* Nobody waits an hour for the first value of an hourly point. */
#define SPREAD_US (10 * (int64_t)US_PER_S)

struct entry {
    int64_t interval_us;
    int64_t base_us; /* its grid: base + k * interval */
    int64_t due_us;
    size_t group;
};

struct poll_schedule {
    struct entry *entries;
    size_t count;
    size_t capacity;
    size_t groups;     /* one above the highest */
    size_t last_group; /* served last */
};

int poll_schedule_new(size_t capacity, struct poll_schedule **ret_schedule)
{
    struct poll_schedule *schedule = calloc(1, sizeof *schedule);

    if (schedule == NULL)
        return ERR_NO_MEMORY;
    schedule->entries = calloc(capacity + 1, sizeof schedule->entries[0]);
    if (schedule->entries == NULL) {
        poll_schedule_free(schedule);
        return ERR_NO_MEMORY;
    }
    schedule->capacity = capacity;
    *ret_schedule = schedule;
    return 0;
}

void poll_schedule_free(struct poll_schedule *schedule)
{
    if (schedule == NULL)
        return;
    free(schedule->entries);
    free(schedule);
}

size_t poll_schedule_add(struct poll_schedule *schedule, int64_t interval_us, size_t group)
{
    if (schedule->count == schedule->capacity)
        return SCHEDULE_NONE;
    schedule->entries[schedule->count] = (struct entry){
        .interval_us = interval_us > 0 ? interval_us : 1, .due_us = NEVER, .group = group};
    if (group >= schedule->groups)
        schedule->groups = group + 1;
    return schedule->count++;
}

void poll_schedule_start(struct poll_schedule *schedule, int64_t now_us)
{
    for (size_t i = 0; i < schedule->count; i++) {
        struct entry *entry = &schedule->entries[i];
        int64_t spread = entry->interval_us < SPREAD_US ? entry->interval_us : SPREAD_US;
        int64_t alike = 0;
        int64_t before = 0;
        for (size_t k = 0; k < schedule->count; k++) {
            bool same = schedule->entries[k].interval_us == entry->interval_us;
            alike += same ? 1 : 0;
            before += same && k < i ? 1 : 0;
        }
        entry->base_us = now_us + spread * before / alike;
        entry->due_us = entry->base_us;
    }
    schedule->last_group = schedule->groups > 0 ? schedule->groups - 1 : 0;
}

size_t poll_schedule_split(struct poll_schedule *schedule, size_t entry)
{
    if (schedule->count == schedule->capacity)
        return SCHEDULE_NONE;
    schedule->entries[schedule->count] = schedule->entries[entry];
    return schedule->count++;
}

size_t poll_schedule_count(const struct poll_schedule *schedule)
{
    return schedule->count;
}

size_t poll_schedule_group(const struct poll_schedule *schedule, size_t entry)
{
    return schedule->entries[entry].group;
}

int64_t poll_schedule_due(const struct poll_schedule *schedule, size_t entry)
{
    return schedule->entries[entry].due_us;
}

int64_t poll_schedule_deadline(const struct poll_schedule *schedule, size_t entry)
{
    return schedule->entries[entry].due_us + schedule->entries[entry].interval_us;
}

/* How far behind the group served last, in turns. */
static size_t turn(const struct poll_schedule *schedule, size_t group)
{
    return (group + schedule->groups - schedule->last_group - 1) % schedule->groups;
}

static bool goes_before(const struct poll_schedule *schedule, size_t a, size_t b)
{
    int64_t first = poll_schedule_deadline(schedule, a);
    int64_t second = poll_schedule_deadline(schedule, b);

    if (first != second)
        return first < second;
    return turn(schedule, schedule->entries[a].group) < turn(schedule, schedule->entries[b].group);
}

size_t poll_schedule_pick(const struct poll_schedule *schedule, int64_t now_us, size_t avoid)
{
    size_t best = SCHEDULE_NONE;
    size_t avoided = SCHEDULE_NONE;

    for (size_t i = 0; i < schedule->count; i++) {
        size_t *place = schedule->entries[i].group == avoid ? &avoided : &best;
        if (schedule->entries[i].due_us <= now_us &&
            (*place == SCHEDULE_NONE || goes_before(schedule, i, *place)))
            *place = i;
    }
    return best != SCHEDULE_NONE ? best : avoided;
}

/* The last slot of the grid at or before `at_us`; -1 before the first. */
static int64_t slot(const struct entry *entry, int64_t at_us)
{
    return at_us < entry->base_us ? -1 : (at_us - entry->base_us) / entry->interval_us;
}

uint64_t poll_schedule_done(struct poll_schedule *schedule, size_t entry, int64_t now_us)
{
    struct entry *at = &schedule->entries[entry];
    int64_t served = slot(at, at->due_us);
    int64_t current = slot(at, now_us);

    if (current < served)
        current = served;
    schedule->last_group = at->group;
    at->due_us = at->base_us + (current + 1) * at->interval_us;
    return (uint64_t)(current - served);
}

void poll_schedule_pull(struct poll_schedule *schedule, size_t group, int64_t now_us)
{
    for (size_t i = 0; i < schedule->count; i++)
        if (schedule->entries[i].group == group && schedule->entries[i].due_us > now_us)
            schedule->entries[i].due_us = now_us;
}
