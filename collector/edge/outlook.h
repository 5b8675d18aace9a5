/*
 * How long the journal's space lasts at the present rate: what was written in the last ten minutes,
 * by as many marks. Pure, plain data; told the time. One thread.
 */
#ifndef EDGE_OUTLOOK_H
#define EDGE_OUTLOOK_H

#include <stdint.h>

#define OUTLOOK_MARKS 11

struct outlook {
    struct {
        int64_t at_us;
        uint64_t bytes;
    } marks[OUTLOOK_MARKS]; /* the newest first */
    int count;
};

/* `bytes`: written since the start. Kept when the newest mark is a minute old; returns when it
 * wants to be told next (monotonic). */
int64_t outlook_note(struct outlook *outlook, int64_t now_us, uint64_t bytes);

/* Bytes a second since the oldest mark; negative while nobody can tell (under 10 s). */
double outlook_rate(const struct outlook *outlook, int64_t now_us, uint64_t bytes);

/* Hours until `room` bytes are full; negative where nobody can tell, or nothing comes. */
double outlook_hours(uint64_t room, double bytes_per_s);

#endif
