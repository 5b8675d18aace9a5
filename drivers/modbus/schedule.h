/*
 * When each read is due: absolute deadlines on a grid of its own on the monotonic clock, so that
 * polls never drift and no step of the wall clock moves them. Entries of one interval are spread
 * over it. Who comes late skips the slots it missed, which are counted, and goes on at the next.
 *
 * Where alignment was asked for, the slots are those of the wall clock: a minute's at its full
 * minute, a day's at midnight UTC+8. After a step of that clock such an entry goes over to the new
 * slots, half an interval to one and a half after its last: none is lost, none comes twice.
 *
 * An entry waits for its slot, then it is ready, until it is done. Its deadline is the end of its
 * slot, due + interval; of the ready ones the earliest deadline goes first, and among equals the
 * groups (units on a link) take turns. Each call costs the logarithm of the entries, but start,
 * pull and remove. Pure: it is told the time. One thread.
 */
#ifndef DRIVERS_MODBUS_SCHEDULE_H
#define DRIVERS_MODBUS_SCHEDULE_H

#include "base/attributes.h"
#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCHEDULE_NONE SIZE_MAX

struct poll_schedule;

/* Of groups 0 .. `groups` - 1, without room yet. ERR_NO_MEMORY. */
MUST_CHECK int poll_schedule_new(size_t groups, struct poll_schedule **ret_schedule);
void poll_schedule_free(struct poll_schedule *schedule);

/* Makes room for so many entries more than there are. ERR_NO_MEMORY. */
MUST_CHECK int poll_schedule_reserve(struct poll_schedule *schedule, size_t more);

/* Entries are always numbered below this. */
size_t poll_schedule_capacity(const struct poll_schedule *schedule);

/* Adds an entry that waits for poll_schedule_start, or SCHEDULE_NONE where there is no room.
 * Entries count from 0; the number of one that was removed is given again. */
size_t poll_schedule_add(struct poll_schedule *schedule, int64_t interval_us, size_t group,
                         bool aligned);

/* Lays out the grids, from `now` on, of the entries that were added since the last start: within
 * the first interval, or for long ones the first 10 s, every entry is due once. `phase` shifts
 * them all within that time, in 2^-32 of it: links that begin together do not ask together. */
void poll_schedule_start(struct poll_schedule *schedule, struct now now, uint32_t phase);

/* Adds an entry just like another, ready or waiting, with its times. SCHEDULE_NONE where there is
 * no room. */
size_t poll_schedule_copy(struct poll_schedule *schedule, size_t entry);

/* Takes an entry out. */
void poll_schedule_remove(struct poll_schedule *schedule, size_t entry);

/* Has it this interval, and this alignment? */
bool poll_schedule_has(const struct poll_schedule *schedule, size_t entry, int64_t interval_us,
                       bool aligned);

int64_t poll_schedule_due(const struct poll_schedule *schedule, size_t entry);
int64_t poll_schedule_deadline(const struct poll_schedule *schedule, size_t entry);

/* When the next of the waiting entries is due; NEVER when none waits. */
int64_t poll_schedule_next_due(const struct poll_schedule *schedule);

/* Makes one that is due ready, the earliest first, and returns it; SCHEDULE_NONE: no more. */
size_t poll_schedule_take(struct poll_schedule *schedule, int64_t now_us);

/* The ready entry to serve first, or SCHEDULE_NONE: of the groups that are held back, or of the
 * others, but of none that is put away. It stays ready until it is done. */
size_t poll_schedule_pick(const struct poll_schedule *schedule, bool of_held_back);

/* Holds a group back, or no longer: whoever failed is to come behind the others. */
void poll_schedule_hold_back(struct poll_schedule *schedule, size_t group, bool back);

/* Puts a group away, or back: none of its entries is picked meanwhile. */
void poll_schedule_put_away(struct poll_schedule *schedule, size_t group, bool away);

/* One ready entry of the group (SCHEDULE_NONE: of any), or SCHEDULE_NONE: for settling them all. */
size_t poll_schedule_ready_of(const struct poll_schedule *schedule, size_t group);

/* The entry was served: on to its next slot after `now`. Returns the slots that were missed. */
uint64_t poll_schedule_done(struct poll_schedule *schedule, size_t entry, struct now now);

/* Makes all waiting entries of a group due now, once; their grids stay. */
void poll_schedule_pull(struct poll_schedule *schedule, size_t group, int64_t now_us);

#endif
