/*
 * Points of one unit → the reads that take the least time on the wire. Points of one interval,
 * alignment and function that lie near each other become one read; a hole is read over where that
 * costs less than a request of its own. A value is never cut in two. The same points give the same
 * plan, whatever their order.
 *
 * Where no read may reach across (a forbidden range, a hole that the device refuses) stands a cut.
 * Numbers of reads never change: one that is split keeps its number for its earlier part. Owned by
 * one thread.
 */
#ifndef DRIVERS_MODBUS_PLAN_H
#define DRIVERS_MODBUS_PLAN_H

#include "base/error.h"
#include "drivers/modbus/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the application protocol allows in one reply. */
#define PLAN_MAX_REGISTERS 125
#define PLAN_MAX_BITS      2000

struct plan_point {
    uint8_t function; /* 1..4 */
    uint16_t address;
    uint16_t length; /* registers, or bits for functions 1 and 2; at least 1 */
    int64_t interval_ms;
    bool aligned; /* to slots of the wall clock */
};

/* No read holds both what is just below `below` and `from` (below <= from <= 65536): between them
 * lies what may not be read, or nothing. */
struct plan_cut {
    uint8_t function; /* 0: whichever */
    bool forbidden;   /* nor may a value lie between them */
    uint32_t below, from;
};

struct plan_limits {
    uint16_t max_registers; /* 0: what the protocol allows */
    uint16_t max_bits;
    uint16_t max_hole; /* registers or bits between two points of one read; 0: by cost alone */
    struct wire wire;
    int64_t latency_us; /* 0: what the wire says */
    const struct plan_cut *cuts;
    size_t cut_count;
};

struct plan_read {
    uint8_t function;
    uint16_t start;
    uint16_t count;
    int64_t interval_ms;
    bool aligned;
    size_t points; /* how many it serves */
    size_t first;  /* of them, for read_plan_point */
};

struct read_plan;

/* ERR_RANGE, with words, for a point that fits into no read, or lies where nothing may be read. */
MUST_CHECK int read_plan_new(const struct plan_point *points, size_t count,
                             const struct plan_limits *limits, struct read_plan **ret_plan,
                             struct message *message);
void read_plan_free(struct read_plan *plan);

size_t read_plan_count(const struct read_plan *plan);
const struct plan_read *read_plan_at(const struct read_plan *plan, size_t read);

/* The k-th point of a read, as an index into the points given; and where in the read it begins. */
size_t read_plan_point(const struct read_plan *plan, size_t read, size_t k);
uint16_t read_plan_offset(const struct read_plan *plan, size_t read, size_t k);

/* The read that serves a point. */
size_t read_plan_read_of(const struct read_plan *plan, size_t point);

/* Splits a read at its widest hole, else near its middle: the number of the new, later part. The
 * earlier part keeps the number. ERR_NOT_FOUND where no split is possible. */
MUST_CHECK int read_plan_split(struct read_plan *plan, size_t read, size_t *ret_new);

#endif
