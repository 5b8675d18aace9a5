/*
 * Samples that an outside store does not keep: set aside, older than its retention, thrown away by
 * itself. Counted since the start, told with the remedy, and told when it is over: when there were
 * none for a minute. Owned by one thread; zero-initialised but for the name.
 */
#ifndef CENTRAL_STORE_MISFITS_H
#define CENTRAL_STORE_MISFITS_H

#include "base/log.h"
#include "central/dead_letters.h"

#include <stdbool.h>
#include <stdint.h>

struct misfit {
    uint64_t total;
    int64_t last_us; /* monotonic */
    struct complaint complaint;
};

struct store_misfits {
    const char *name; /* of the store */
    struct misfit set_aside, too_old, thrown_away;
    uint64_t lost; /* set aside while the file was full, which it is: */
    bool full;
    struct complaint full_complaint;
};

/* Looks at the letters: from time to time, and where there are new ones. */
void store_misfits_note_letters(struct store_misfits *misfits, int64_t now_us,
                                struct dead_letters *letters);

/* `more` of them; 0: there are none now. */
void store_misfits_note_too_old(struct store_misfits *misfits, int64_t now_us, uint64_t more);
void store_misfits_note_thrown_away(struct store_misfits *misfits, int64_t now_us, uint64_t more);

#endif
