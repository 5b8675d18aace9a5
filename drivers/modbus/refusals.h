/*
 * Where a unit refuses to be read across: learned by bisection, from what it refuses and answers.
 * Pure; plain data, owned by one thread.
 *
 * A read that is refused is asked in two parts, those again in two, until each part answers or is a
 * single value: a trial. When all of it has been heard, it is concluded: where a part was refused
 * and neither half of it was, the hole between them is to blame; a value that is refused alone, is.
 * Where every part is refused there is no hole: the device is not ready, or has nothing there.
 *
 * A device may refuse for a moment, as while it starts. So a hole is believed when two trials in a
 * row say the same and no read reached over it in between; then it is a cut of the plan for good.
 */
#ifndef DRIVERS_MODBUS_REFUSALS_H
#define DRIVERS_MODBUS_REFUSALS_H

#include "drivers/modbus/plan.h"

#include <stdbool.h>
#include <stddef.h>

#define REFUSALS_MAX 64 /* parts of one trial, doubts, and cuts that one unit may teach */

/* A refused read in two parts. */
struct refused_split {
    struct plan_read early, late;
    bool innocent; /* neither was refused, so far */
};

struct refusals {
    struct refused_split splits[REFUSALS_MAX];
    size_t split_count;
    struct plan_read lone[REFUSALS_MAX]; /* refused, and cannot be split */
    size_t lone_count;
    struct plan_cut doubts[REFUSALS_MAX]; /* one trial said so */
    size_t doubt_count;
    size_t learned;
    bool answered; /* some part of this trial had a reply */
};

enum refusals_verdict {
    REFUSALS_NOTHING, /* nothing new: the reads become whole again */
    REFUSALS_LEARNED, /* cuts were added: plan anew with them */
    REFUSALS_BARREN,  /* all was refused: ask the whole, and split no more for a while */
    REFUSALS_FULL,    /* it teaches more than is kept: the reads stay as they are split */
};

/* `whole` was refused, and is asked in two parts. */
void refusals_split(struct refusals *refusals, const struct plan_read *whole,
                    const struct plan_read *early, const struct plan_read *late);

/* It was refused, and cannot be split. */
void refusals_lone(struct refusals *refusals, const struct plan_read *read);

/* It was answered, as a part of the trial or not. */
void refusals_replied(struct refusals *refusals, const struct plan_read *read, bool on_trial);

/* The trial is over. Room for REFUSALS_MAX new cuts; how many there are. */
enum refusals_verdict refusals_conclude(struct refusals *refusals,
                                        struct plan_cut ret_cuts[REFUSALS_MAX], size_t *ret_count);

#endif
