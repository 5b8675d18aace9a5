/*
 * Sockets that must have got somewhere by a certain time, and a thread that shuts down those that
 * have not: their own threads notice the end of the stream and clean up.
 *
 * It holds duplicates of the descriptors, so it never shuts down what was closed and used anew
 * meanwhile. Any thread may call; a deadline has one owner, who sets and removes it.
 */
#ifndef NET_DEADLINES_H
#define NET_DEADLINES_H

#include "base/attributes.h"
#include "base/clock.h"

#include <stdint.h>

struct deadlines;
struct deadline;

/* Looks every `interval_us`. The clock outlives it. NULL without memory or thread. */
struct deadlines *deadlines_start(int64_t interval_us, struct clock *clock);
/* After every deadline was removed. NULL is fine. */
void deadlines_stop(struct deadlines *deadlines);

/* Watches a socket until `deadline_remove`. NULL without memory or descriptor. */
struct deadline *deadline_add(struct deadlines *deadlines, int fd, unsigned int ms);
/* So many ms from now, or none (deadline_suspend), until it is set again. */
void deadline_set(struct deadline *deadline, unsigned int ms);
void deadline_suspend(struct deadline *deadline);
void deadline_remove(struct deadline *deadline);

/* How many are watched, and how many were shut down so far. Either may be NULL. */
void deadlines_count(struct deadlines *deadlines, unsigned int *ret_watched, uint64_t *ret_cut);

#endif
