/*
 * Reads the units behind one line, Modbus TCP or RTU (link.h): one request at a time, the earliest
 * deadline first, units in turn.
 *
 * A unit that does not answer is tried once more after its neighbours had their turn; then it is
 * down, and is asked one cheap read after 2, 4, 8 … 300 s. All such reads of a link have at most a
 * tenth of its time. A unit that answers one is read as a whole at once. A refused or lost
 * connection is tried again after 1 … 60 s. Silence is never good news: while a unit or its link is
 * down, each of its points gets one bad sample per interval, stamped with the time it was due.
 *
 * A good sample is stamped halfway between request and reply. Samples of one read share a stamp.
 * Where the device has a clock (register_map.h) they bear its time, bad ones the last that it told;
 * a reading that comes again unchanged with the same time is handed on once. A clock that tells no
 * time, or is refused, leaves ours, with quality uncertain and cause clock.
 * A read that a device refuses with exception 2 or 3 is asked in parts, down to single values; what
 * that teaches (refusals.h) is kept, and told, so that it can be among the cuts when the driver is
 * opened next. A read that a device passes over in silence while it answers others is asked ever
 * more rarely, and its points are bad meanwhile.
 *
 * Owned by one thread. The register maps and the totalisers of the options outlive the driver; all
 * else is copied.
 */
#ifndef DRIVERS_MODBUS_MODBUS_DRIVER_H
#define DRIVERS_MODBUS_MODBUS_DRIVER_H

#include "drivers/driver.h"
#include "drivers/modbus/health.h"
#include "drivers/modbus/link.h"
#include "drivers/modbus/outcome.h"
#include "drivers/modbus/unit.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A poll that begins so long after its slot is counted as late. */
#define MODBUS_LATE_US 5000

/* A hole that a unit (by its place in the options) refuses to be read across. Called from step. */
typedef void modbus_learned(void *self, size_t unit, const struct plan_cut *cut);

struct modbus_link_options {
    struct link_url url;
    struct dial_in_line *line; /* of LINK_DTU: borrowed; else NULL */
    struct wire wire;          /* by which plans are made */
    int64_t timeout_ms;        /* to connect, and for each reply: 10 ms .. 60 s */
    const struct modbus_unit_options *units;
    size_t unit_count;
    uint64_t seed;           /* for the jitter of back-offs: another for each link */
    uint32_t phase;          /* of its polls, in 2^-32 of their interval: another for each link */
    modbus_learned *learned; /* NULL: nobody wants to know */
    void *learned_self;
};

struct modbus_unit_stats {
    enum modbus_unit_state state;
    enum cause cause;     /* why it is not up */
    uint64_t requests;    /* probes included */
    uint64_t replies;     /* good ones */
    uint64_t timeouts;    /* no reply in time */
    uint64_t lost;        /* the connection ended instead */
    uint64_t exceptions;  /* refused */
    uint64_t bad_replies; /* to something else, or no Modbus */
    uint64_t skipped;     /* slots missed because the link was busy */
    uint64_t late;        /* frames that came after the time for them was over */
    uint64_t repeated;    /* readings that had come before, by the device's clock */
    uint64_t splits;      /* reads split because the device refused them */
    uint64_t learned;     /* cuts that came of it */
    uint64_t replans;     /* the reads were planned anew */
    uint8_t last_exception;
    int64_t latency_us; /* of the last reply */
    int64_t worst_latency_us;
    int64_t mean_latency_us; /* of the last hundred, without the wire's time; 0: not known yet */
};

struct modbus_link_stats {
    bool connected;
    uint64_t connects;
    uint64_t refused;
    uint64_t lost;
    struct modbus_link_counts frames; /* that answered nothing */
    uint64_t polls;                   /* first tries of reads that were due */
    uint64_t late;                    /* of those, begun more than MODBUS_LATE_US after it */
    int64_t worst_late_us;
};

/* ERR_INVALID or ERR_RANGE, with words, for options that cannot be. Connects in the first step
 * that has something to ask. */
MUST_CHECK int modbus_driver_open(const struct modbus_link_options *options, driver_sink *sink,
                                  void *sink_self, struct now now, struct driver **ret_driver,
                                  struct message *message);

/* Of a driver made here, for its owner: units by their place in the options. */
void modbus_driver_unit_stats(const struct driver *driver, size_t unit,
                              struct modbus_unit_stats *ret_stats);
void modbus_driver_link_stats(const struct driver *driver, struct modbus_link_stats *ret_stats);

/* One request beside the schedule, for a person: sent as soon as the line is free, before what is
 * due; it changes neither what is thought of the unit nor its statistics. Step the driver after it.
 * ERR_AGAIN while another is under way, ERR_RANGE for one that cannot be. */
MUST_CHECK int modbus_driver_want(struct driver *driver, const struct modbus_request *request,
                                  struct now now);

/* What became of it; stays until another is wanted. ERR_AGAIN until it is over: at the latest 10 s
 * and a timeout after. ERR_NOT_FOUND when none was wanted. */
MUST_CHECK int modbus_driver_outcome(struct driver *driver, struct now now,
                                     struct modbus_outcome *ret_outcome);

/* The last frames on its line: see frame_ring.h. For the owner's thread. */
size_t modbus_driver_frames(const struct driver *driver, struct frame_note *ret_notes, size_t room);

#endif
