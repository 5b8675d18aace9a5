/*
 * Report by exception, for the points that ask for it: a reading that says nothing new is held
 * back. A reading is sent where its value is farther than the deadband from the last one *sent*,
 * where its quality or cause is another, and where the heartbeat has passed since then; a sent
 * reading tells by `held` how many were held back before it, so that the books stay exact.
 *
 * Pure: takes samples and `now` (monotonic). One thread at a time.
 */
#ifndef EDGE_DEADBAND_H
#define EDGE_DEADBAND_H

#include "base/attributes.h"
#include "base/clock.h"
#include "model/sample.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct deadband;

MUST_CHECK int deadband_new(size_t point_count, struct deadband **ret_deadband);
void deadband_free(struct deadband *deadband);

/* From now on the point reports by exception. `amount` at least 0, `heartbeat_ms` at least 1.
 * ERR_INVALID: it does already, or is none. */
MUST_CHECK int deadband_set(struct deadband *deadband, uint32_t point, double amount,
                            int64_t heartbeat_ms);

/* True: to be sent, with `held` set. False: it is held back. */
bool deadband_passes(struct deadband *deadband, struct now now, struct sample *sample);

/* A sample that passed did not get anywhere: the next of its point passes, and tells what this one
 * would have told of those before it. */
void deadband_unsent(struct deadband *deadband, const struct sample *sample);

/* Nobody knows any more what was sent: the next of each point passes. */
void deadband_forget(struct deadband *deadband);

/* Takes out the last reading of a point that has some held back, its `held` counting those before
 * it: what is to be sent before a stop. False: there is none left. */
bool deadband_take(struct deadband *deadband, struct sample *ret_sample);

#endif
