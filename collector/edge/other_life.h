/*
 * Signs of another life: a disk that was restored from a backup goes on with numbers under which
 * the centre has other records. A receipt shows it, by a number that we never made durable or by
 * the checksum of its newest record.
 *
 * Questions about a journal and a receipt, asked on the uplink's thread.
 */
#ifndef EDGE_OTHER_LIFE_H
#define EDGE_OTHER_LIFE_H

#include "base/attributes.h"
#include "model/intervals.h"
#include "model/receipt.h"
#include "store/journal.h"

#include <stdbool.h>

/* Does the receipt name sequences that we never made durable? */
bool other_life_beyond(const struct journal *journal, const struct receipt *receipt);

/* Sets *ret_other where the centre's newest record of the stream is another than ours of that
 * number: an earlier life of this disk had used our numbers. What was dropped here, or is damaged,
 * cannot tell. `received` are the numbers that have a receipt. Moves the reader. */
MUST_CHECK int other_life_find(const struct journal *journal, int stream,
                               const struct receipt_stream *from, struct journal_reader *reader,
                               const struct intervals *received, bool *ret_other);

/* Takes what the centre has of the numbers that are certain to be ours as received, and nothing
 * else, since it may hold less than it did (it was restored as well): the new epoch begins with the
 * rest. Where that fails, what was received before is believed. */
void other_life_keep_known(struct journal *journal, const struct receipt *receipt);

#endif
