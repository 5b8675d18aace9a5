/*
 * Does what is to be read fit onto its link? The share of the wire's time, the longest round, and
 * how old a value can get. Pure; plain data.
 */
#ifndef DRIVERS_MODBUS_LOAD_H
#define DRIVERS_MODBUS_LOAD_H

#include "drivers/modbus/unit.h"

#include <stddef.h>
#include <stdint.h>

/* Begin with {0}. */
struct link_load {
    size_t reads;
    double share;        /* of the wire's time: the sum of time / interval; beyond 1 it cannot be */
    double least_share;  /* the same if units answered at once, of which no latency was told */
    int64_t cycle_ns;    /* every read once */
    int64_t longest_ns;  /* of one read */
    int64_t shortest_ms; /* interval */
};

/* With a share above this, and one unit that does not answer, slots are missed. */
#define LINK_LOAD_TIGHT 0.7

void link_load_add(struct link_load *load, const struct unit_reads *unit);

/* How old the newest value of a point of this interval can be while all answer, in ms; -1 where
 * the link cannot do it.
 *
 * Where a whole round fits into the shortest interval, a read waits for at most the others of one
 * round. Otherwise, by the earliest deadline without breaking off (Jeffay, Stanat and Martel, "On
 * non-preemptive scheduling of periodic and sporadic tasks", 1991), it ends by its deadline, or by
 * the longest read later, where that had just begun. */
int64_t link_load_age_ms(const struct link_load *load, int64_t interval_ms);

#endif
