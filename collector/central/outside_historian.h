/*
 * A historian for a store outside this program: a reader of the central journal that writes every
 * sample to it by line protocol. A slow, refusing or dead store falls behind alone.
 *
 *   journal ──reader──> stamps, lines ──batch──> delivery ──yes──> accepted ──a minute──> cursor
 *
 * What the store has taken moves the accepted position in memory; the durable cursor follows when
 * it is believed (store/target_cursor.h). After a restart, of it or of us, the reader goes back to
 * what is believed; stamps are settled as before (store/stamps.h).
 *
 * One thread runs outside_historian_step, whose exchanges are handed in; the status may be asked by
 * any. Births and the stamps of older samples are looked up in the embedded store, read-only: where
 * it has yet to take one, the outside historian waits for it.
 */
#ifndef CENTRAL_OUTSIDE_HISTORIAN_H
#define CENTRAL_OUTSIDE_HISTORIAN_H

#include "base/attributes.h"
#include "base/clock.h"
#include "base/error.h"
#include "model/store_config.h"
#include "store/journal.h"
#include "store/line_target.h"

#include <stdint.h>

struct outside_historian;

struct outside_options {
    const struct store_config *config; /* borrowed, as the others */
    struct journal *journal;
    const char *folder;       /* of its cursor and its dead letters */
    const char *history_path; /* the embedded store */
    struct line_exchange exchange;
};

struct outside_status {
    uint64_t lag;          /* journal records to be taken */
    uint64_t points;       /* samples taken; what is written again counts again, here and below */
    uint64_t dead_letters; /* samples set aside */
    uint64_t letters_lost; /* … of which were not kept, the file being full */
    uint64_t too_old;      /* samples refused by the store's retention */
    uint64_t thrown_away;  /* rows the store said yes to and did not keep, by its own count */
    uint64_t moved_stamps; /* samples that moved to the next free millisecond */
    uint64_t rewinds;      /* restarts of the store that were noticed */
    uint64_t up;           /* 1: it takes what it is sent */
    const char *trouble;   /* "", or in a word: unavailable, busy, denied, no_database … */
};

MUST_CHECK int outside_historian_open(const struct outside_options *options,
                                      struct outside_historian **ret_historian,
                                      struct message *message);
void outside_historian_close(struct outside_historian *historian);

/* A worker's step; `self` is the historian. */
int64_t outside_historian_step(void *self, struct now now);

void outside_historian_get_status(struct outside_historian *historian,
                                  struct outside_status *ret_status);

#endif
