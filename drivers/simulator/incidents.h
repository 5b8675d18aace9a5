/*
 * What happens to plants, instruments, units and links, and when. Owned by the simulator's thread;
 * it borrows the configuration. Times are of the plants' clock, in ms from its start.
 *
 * An incident is on from its beginning, included, to its end, excluded. Whoever stops at each time
 * that incidents_next tells misses none, however short it is and however fast the plants' clock
 * runs.
 */
#ifndef DRIVERS_SIMULATOR_INCIDENTS_H
#define DRIVERS_SIMULATOR_INCIDENTS_H

#include "base/attributes.h"
#include "base/error.h"
#include "drivers/simulator/plant.h"
#include "drivers/simulator/sim_config.h"
#include "drivers/simulator/sim_link.h"

#include <stdbool.h>
#include <stdint.h>

bool incident_is_on(const struct incident *incident, int64_t at_ms);

/* When it next begins or ends after `at_ms`; NEVER where it does not. */
int64_t incident_next(const struct incident *incident, int64_t at_ms);

struct incidents {
    const struct sim_config *config;
    double *frozen; /* what the value of each freezing one holds on to */
    bool *running;
};

MUST_CHECK int incidents_init(struct incidents *incidents, const struct sim_config *config);
void incidents_release(struct incidents *incidents);

/* When the next one begins or ends after `at_ms`, or NEVER. */
int64_t incidents_next(const struct incidents *incidents, int64_t at_ms);

/* Before the processes move on from `at_ms`: sets their disturbances. */
void incidents_disturb(const struct incidents *incidents, struct plant *plants, int64_t at_ms);

/* After they have come to `at_ms`, and sim_link_look: what is wrong with an instrument, a unit or a
 * link. Says in the log what begins and ends. */
void incidents_lay_over(struct incidents *incidents, struct sim_link *links, int64_t at_ms);

#endif
