/*
 * The way from the drivers into the recorder: each sample is judged (edge/signal.h), then held back
 * or handed on (edge/deadband.h). Where the configuration asks for neither, samples go straight
 * through.
 *
 * Owns what judges and what holds back. Any thread may put samples and change marks; a lock keeps
 * them one after the other. It borrows the recorder, which is attached before the first sample.
 */
#ifndef EDGE_INTAKE_H
#define EDGE_INTAKE_H

#include "base/attributes.h"
#include "base/clock.h"
#include "edge/deadband.h"
#include "edge/recorder.h"
#include "edge/signal.h"

#include <stddef.h>

struct intake;

/* Takes `signal` and `deadband` over, on failure too; both may be NULL, both or none. */
MUST_CHECK int intake_new(struct signal *signal, struct deadband *deadband,
                          struct intake **ret_intake);
void intake_free(struct intake *intake);

void intake_attach(struct intake *intake, struct recorder *recorder);

/* Samples as the drivers tell them (copied). What the recorder refuses, it counts. */
void intake_put(struct intake *intake, struct now now, const struct sample *samples, size_t count);

/* The operators' marks from now on. Without what judges: ERR_INVALID. */
MUST_CHECK int intake_set_marks(struct intake *intake, const struct signal_rule *rules,
                                size_t count);

/* Hands on the last reading of each point that has some held back: once polling is over. What the
 * recorder has no room for is counted as refused, with what was held back before it. */
void intake_flush(struct intake *intake);

#endif
