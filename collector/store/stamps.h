/*
 * Stamps towards a store that keeps one sample per series and millisecond (ARCHITECTURE 5): of two
 * samples with one stamp the later one moves to the next free millisecond.
 *
 * What was given out is remembered per series as runs of adjoining milliseconds, the latest
 * STAMPS_RUNS of them: so equal stamps go on counting however many they are, and a clock that goes
 * back a little overwrites nothing. A run that was not added to for STAMPS_REACH records is
 * forgotten: so whoever walks the same journal again, from STAMPS_WARM_UP records before the first
 * sample that matters, gives the same stamps.
 *
 * Zero-initialised means "nothing yet". Plain data; owned by one thread.
 */
#ifndef STORE_STAMPS_H
#define STORE_STAMPS_H

#include <stdint.h>

#define STAMPS_RUNS    16
#define STAMPS_REACH   10000 /* records */
#define STAMPS_WARM_UP (2 * STAMPS_REACH)

struct stamp_run {
    int64_t first_ms, last_ms;
    uint64_t seq; /* of the record that was last added to it, from 1; 0: none */
};

struct stamps {
    struct stamp_run runs[STAMPS_RUNS];
    unsigned next;      /* the place of the next run, that of the oldest */
    int64_t highest_ms; /* nothing above it was given out yet */
};

/* The stamp that a sample gets which came with `t_ms` in the journal's record `seq`; records do not
 * go back. */
int64_t stamps_settle(struct stamps *stamps, uint64_t seq, int64_t t_ms);

#endif
