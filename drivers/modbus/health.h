/*
 * Who is well, who is not, and when to ask again: the two back-offs of a Modbus link, kept apart.
 * Pure: told the time; its chance is a seed. Plain data, owned by one thread.
 *
 *   up ─fails→ suspect ─fails→ down ─probe answered→ recovering ─all its reads settled→ up
 *   suspect ─answers→ up     recovering ─fails→ down, and its probes go on where they were
 *
 * Probes come after 2, 4, 8 … 300 s. A link is in trouble from its first failure to the next reply;
 * tried again after 1, 2, 4 … 60 s. Each wait is up to a quarter shorter, so that many do not march
 * in step.
 */
#ifndef DRIVERS_MODBUS_HEALTH_H
#define DRIVERS_MODBUS_HEALTH_H

#include "model/quality.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum modbus_unit_state {
    MODBUS_UNIT_UP,
    MODBUS_UNIT_SUSPECT, /* did not answer once */
    MODBUS_UNIT_DOWN,
    MODBUS_UNIT_RECOVERING, /* answered a probe: all of it is read at once */
};

struct unit_health {
    enum modbus_unit_state state;
    enum cause cause; /* why it is not up */
    unsigned probes;  /* in vain, since it was up */
    size_t owed;      /* while recovering: reads to be settled before it is up */
    int64_t probe_us; /* while down: when to ask again */
};

struct link_health {
    unsigned failures; /* since it brought a reply */
    int64_t retry_us;  /* not to be connected before */
};

/* How long to wait after `failures` failures before this one; *chance moves on. */
int64_t unit_back_off(uint64_t *chance, unsigned failures);

/* It answered, whatever it said. True when it was down: it has `reads` reads to recover. */
bool unit_health_answered(struct unit_health *unit, size_t reads);

/* One of its reads had its samples, good or bad, while it was not down. */
void unit_health_settled(struct unit_health *unit);

/* It did not answer a read. True when it has just gone down. */
bool unit_health_failed(struct unit_health *unit, enum cause cause, int64_t now_us,
                        uint64_t *chance);

/* Nor a probe. */
void unit_health_probe_failed(struct unit_health *unit, enum cause cause, int64_t now_us,
                              uint64_t *chance);

void link_health_answered(struct link_health *link);

/* No connection. */
void link_health_refused(struct link_health *link, int64_t now_us, uint64_t *chance);

/* It broke before it brought a reply: once, that may be chance, and is tried again at once. */
void link_health_broke(struct link_health *link, int64_t now_us, uint64_t *chance);

#endif
