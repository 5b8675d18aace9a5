/*
 * Volumes, energies and weights that only grow: a totaliser shows a count that begins at zero again
 * when it is full, and another count altogether when the meter was changed or set back.
 *
 * What was read stays as it was read; here is only told what happened to it, by the quality of the
 * sample that shows it first: uncertain, by cause rollover or meter_swap. Where the map asks for
 * the running total (register_map.h), the value is replaced by what the meter has counted since it
 * was first seen, upon its first count: the sum over turns and meters, which never falls.
 *
 * A step is believed to be counted when it goes on by less than a hundredth of the whole turn, over
 * the end or not. Any other is no count but another meter, and adds nothing. That is settled when
 * the new count goes on from there: an instrument that shows zero while it starts, and then its
 * count again, was not changed. Until then the total stays and its samples are uncertain.
 *
 * A count below zero or beyond the turn is none: bad, out_of_range.
 *
 * Pure; plain data, owned by one thread.
 */
#ifndef DRIVERS_MODBUS_TOTALISER_H
#define DRIVERS_MODBUS_TOTALISER_H

#include "drivers/modbus/register_type.h"
#include "model/sample.h"

#include <stdbool.h>

struct totaliser {
    bool known;    /* it was read before: the next two are to outlast a restart */
    double count;  /* raw, the last that was believed */
    double before; /* raw, what turns and meters before this one add to it */
    bool doubted;  /* it shows `shown` instead, and nobody knows yet why */
    double shown;
};

/* Takes a sample of the register, whose `modulus` is above 0, as decode.h made it. A sample without
 * a good number changes nothing; of a running total, which has none then, it loses its value. */
void totaliser_take(struct totaliser *self, const struct map_register *reg, struct sample *sample);

#endif
