/*
 * Strikes what the plan (plan.h) says, and ends it. `world->reached` counts what truly happened,
 * where it happens: a fault that strikes nothing tests nothing.
 */
#ifndef TESTS_WORLD_FAULTS_H
#define TESTS_WORLD_FAULTS_H

#include "tests/world/plan.h"

#include <stdbool.h>
#include <stdint.h>

struct world;

/* What is to be ended later. */
struct fault_state {
    struct fault_end {
        int64_t at_us;
        struct fault_event event;
    } ends[PLAN_EVENTS];
    size_t count;
    bool cut_within[8]; /* the process's end within a step takes the power with it */
};

/* Strikes what is due, ends what is over. */
void faults_step(struct world *world);
int64_t faults_due(const struct world *world);

/* A process ended within a step, as was to be: counts it. Did the power go? */
bool faults_ended_within(struct world *world, int node);

/* Adds to what was reached what disks, broker and provider have counted. Once, at the end. */
void faults_tally(struct world *world);

/* The end of all of them. */
void faults_heal(struct world *world);

#endif
