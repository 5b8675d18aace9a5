/*
 * Keeps the roll-ups of the history: which slots (HISTORY_SLOT_MS) of which points are to be summed
 * up, and when. Owned by the history's writer, on its thread, within its transactions.
 *
 * Invariant: a roll-up in the file tells all samples of its slot. A slot is rolled up when the
 * point has moved on to a later one; a sample that comes late takes its slot's roll-up away, and
 * the slot is done anew at a commit. What is waiting lies in memory only: after a kill, or where
 * there is no room, a slot stays without a roll-up, which costs readers time and nothing else.
 */
#ifndef STORE_HISTORY_ROLLUP_H
#define STORE_HISTORY_ROLLUP_H

#include "store/history_db.h"

struct history_rollup;

MUST_CHECK int history_rollup_new(struct history_db *history, struct history_rollup **ret_rollup);
void history_rollup_free(struct history_rollup *rollup);

/* A sample of the point has been stored in the open transaction. */
MUST_CHECK int history_rollup_note(struct history_rollup *rollup, int64_t point, int64_t t_ms,
                                   struct message *message);

/* Rolls up what waits, at most so much that a commit is not held up. Before the commit. */
MUST_CHECK int history_rollup_run(struct history_rollup *rollup, struct message *message);

/* The transaction was rolled back: nothing that was noted is believed. */
void history_rollup_forget(struct history_rollup *rollup);

#endif
