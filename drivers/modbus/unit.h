/*
 * What is read of one unit: its points, the plan of reads that serve them, and the samples that
 * come of a reply or of none. Pure; owned by one thread. The register map outlives it.
 *
 * Where the map names a clock (register_map_clock), each read that can hold it holds it, and its
 * samples bear the device's time. For a read that cannot, the clock is to be asked just before
 * (unit_reads_needs_clock).
 */
#ifndef DRIVERS_MODBUS_UNIT_H
#define DRIVERS_MODBUS_UNIT_H

#include "base/attributes.h"
#include "base/error.h"
#include "drivers/modbus/plan.h"
#include "drivers/modbus/register_map.h"
#include "model/sample.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct modbus_point_options {
    size_t reg;          /* index into the unit's map */
    int64_t interval_ms; /* at least 1 */
    bool aligned;        /* read at the wall clock's full minutes and the like (schedule.h) */
    uint32_t number;     /* what its samples carry as `point` */
};

struct modbus_unit_options {
    uint8_t unit; /* 0..247, or 255: what devices of their own expect */
    const struct register_map *map;
    const struct modbus_point_options *points;
    size_t point_count;
    uint16_t max_registers; /* a device's own bounds of a read; 0: the protocol's */
    uint16_t max_bits;
    uint16_t max_hole;           /* 0: by cost alone */
    int64_t latency_us;          /* from request to reply, without the wire's time; 0: not known */
    const struct plan_cut *cuts; /* where no read may reach across */
    size_t cut_count;
};

struct unit_reads {
    uint8_t id;
    const struct register_map *map;
    struct modbus_point_options *points;
    size_t point_count;
    struct read_plan *plan; /* its points beyond `point_count` are the clock, once an interval */
    const struct map_register *clock; /* NULL: the device has none */
    struct plan_limits limits;        /* by which the plan is made; its cuts are this unit's */
    bool latency_told;                /* by the options: not to be replaced by a measured one */
};

/* ERR_RANGE, with words, for options that cannot be. */
MUST_CHECK int unit_reads_init(struct unit_reads *unit, const struct modbus_unit_options *options,
                               const struct wire *wire, struct message *message);
void unit_reads_release(struct unit_reads *unit);

/* Plans anew, as from the beginning, with more cuts and this latency (0: as it was). False where
 * that gives the very reads there are, or there is no memory: then the reads are as they were. */
bool unit_reads_replan(struct unit_reads *unit, const struct plan_cut *more, size_t count,
                       int64_t latency_us);

/* What one turn of the read costs on the wire, its clock included, with that latency. */
int64_t unit_reads_cost_ns(const struct unit_reads *unit, size_t read, int64_t latency_us);

/* How many of the read's points are readings, not the clock. */
size_t unit_reads_points(const struct unit_reads *unit, size_t read);

/* Does the device have a clock that this read does not hold? */
bool unit_reads_needs_clock(const struct unit_reads *unit, size_t read);

/* The device's time in a reply to the read, or (`data` of just its length) to a read of the clock
 * alone. ERR_INVALID: the clock is not set, or what it says is no time. */
MUST_CHECK int unit_reads_clock(const struct unit_reads *unit, size_t read, const uint8_t *data,
                                int64_t *ret_ms);
MUST_CHECK int unit_reads_clock_alone(const struct unit_reads *unit, const uint8_t *data,
                                      int64_t *ret_ms);

/* One sample for each reading of the read, into room for them: their number. `data` is what the
 * reply holds, registers or packed bits, of just the length of the read. */
size_t unit_reads_values(const struct unit_reads *unit, size_t read, const uint8_t *data,
                         int64_t t_ms, struct sample *samples);
size_t unit_reads_bad(const struct unit_reads *unit, size_t read, enum cause cause, int64_t t_ms,
                      struct sample *samples);

#endif
