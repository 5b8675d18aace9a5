/*
 * What the totalisers of an edge must remember over a restart (drivers/modbus/totaliser.h): the
 * last count and what was before it, in one small file that is replaced in one step. It is written
 * at once when a turn or another meter was counted, else every ten minutes and at the stop.
 *
 * The poller's thread owns the totalisers and tells after each reading where they stand
 * (totals_note); whoever saves sees only that. Filled before polling begins.
 */
#ifndef SERVICE_TOTALS_H
#define SERVICE_TOTALS_H

#include "base/attributes.h"
#include "base/clock.h"
#include "base/error.h"
#include "drivers/modbus/totaliser.h"
#include "model/sample.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOTALS_FILE "totals.csv"

struct totals;

MUST_CHECK int totals_new(struct totals **ret_totals);
void totals_free(struct totals *totals);

/* The totaliser of a point, whose numbers come in order; NULL where `modulus` is 0, as of registers
 * that are none. ERR_NO_MEMORY. */
MUST_CHECK int totals_add(struct totals *totals, uint32_t point, double modulus,
                          struct totaliser **ret_totaliser);

/* Takes up what the folder's file says; `points` are named by their number. ERR_NOT_FOUND where
 * there is none yet; ERR_INVALID, with words: all begin anew. */
MUST_CHECK int totals_load(struct totals *totals, const struct point_info *points,
                           const char *folder, struct message *message);

/* These samples were just read. Costs nothing where none is a totaliser's. */
void totals_note(struct totals *totals, const struct sample *samples, size_t count);

/* Writes the file if it is time to, or `all` the same if anything is new. */
MUST_CHECK int totals_save(struct totals *totals, const struct point_info *points,
                           const char *folder, struct now now, bool all, struct message *message);

#endif
