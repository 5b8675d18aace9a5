/*
 * When each read is due: absolute deadlines on a grid of its own on the monotonic clock, so that
 * polls never drift. Entries of one interval are spread over it. Who comes late skips the slots it
 * missed, which are counted, and goes on at the next.
 *
 * An entry's deadline is the end of its slot, due + interval; the earliest deadline goes first, and
 * among equals the groups (units on a link) take turns. Pure: it is told the time. One thread.
 */
#ifndef DRIVERS_MODBUS_SCHEDULE_H
#define DRIVERS_MODBUS_SCHEDULE_H

#include "base/attributes.h"

#include <stddef.h>
#include <stdint.h>

#define SCHEDULE_NONE SIZE_MAX

struct poll_schedule;

/* `capacity` entries at most, splits included. ERR_NO_MEMORY. */
MUST_CHECK int poll_schedule_new(size_t capacity, struct poll_schedule **ret_schedule);
void poll_schedule_free(struct poll_schedule *schedule);

/* Adds an entry before the start, or SCHEDULE_NONE when full; entries count from 0. */
size_t poll_schedule_add(struct poll_schedule *schedule, int64_t interval_us, size_t group);

/* Lays out the grids from `now_us` on: within the first interval, or for long ones the first 10 s,
 * every entry is due once. */
void poll_schedule_start(struct poll_schedule *schedule, int64_t now_us);

/* Adds an entry with the times of another: a read that was split. SCHEDULE_NONE when full. */
size_t poll_schedule_split(struct poll_schedule *schedule, size_t entry);

size_t poll_schedule_count(const struct poll_schedule *schedule);
size_t poll_schedule_group(const struct poll_schedule *schedule, size_t entry);
int64_t poll_schedule_due(const struct poll_schedule *schedule, size_t entry);
int64_t poll_schedule_deadline(const struct poll_schedule *schedule, size_t entry);

/* The entry to serve now, or SCHEDULE_NONE when none is due. Group `avoid` comes only when no other
 * has anything (SCHEDULE_NONE: none is avoided). */
size_t poll_schedule_pick(const struct poll_schedule *schedule, int64_t now_us, size_t avoid);

/* The entry was served: on to its next slot after `now_us`. Returns the slots that were missed. */
uint64_t poll_schedule_done(struct poll_schedule *schedule, size_t entry, int64_t now_us);

/* Makes all entries of a group due now, once; their grids stay. */
void poll_schedule_pull(struct poll_schedule *schedule, size_t group, int64_t now_us);

#endif
