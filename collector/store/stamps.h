/*
 * Stamps towards a store that keeps one sample per series and millisecond (ARCHITECTURE 5): of two
 * samples with one stamp the later one moves to the next free millisecond.
 *
 * Two things are remembered per series: the last stamp as it came and as it went, so that a run of
 * equal ones goes on counting however long it is, and the latest STAMPS_WINDOW stamps given out,
 * so that a clock that goes back a little overwrites none of them. What was given out more than
 * STAMPS_REACH records ago is forgotten: so whoever walks the same journal again, from
 * STAMPS_WARM_UP records before the first sample that matters, gives the same stamps.
 *
 * Zero-initialised means "nothing yet". Plain data; owned by one thread.
 */
#ifndef STORE_STAMPS_H
#define STORE_STAMPS_H

#include <stdint.h>

#define STAMPS_WINDOW  16
#define STAMPS_REACH   10000 /* records */
#define STAMPS_WARM_UP (2 * STAMPS_REACH)

struct stamp {
    int64_t t_ms;
    uint64_t seq; /* of the record it came with, from 1; 0: none */
};

struct stamps {
    struct stamp source; /* the last one, as it came */
    int64_t highest_ms;  /* nothing above it was given out yet */
    unsigned next;       /* place in the window */
    struct stamp window[STAMPS_WINDOW];
};

/* The stamp that a sample gets which came with `t_ms` in the journal's record `seq`; records do not
 * go back. */
int64_t stamps_settle(struct stamps *stamps, uint64_t seq, int64_t t_ms);

#endif
