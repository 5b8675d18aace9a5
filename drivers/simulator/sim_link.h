/*
 * One link of the simulator at work: its server, and units that show what their plant's instruments
 * say or play a series. Owned by the simulator's thread; it borrows the configuration and the
 * plants.
 *
 * A step of a link: sim_link_look takes what the instruments show, incidents.h lays over what is
 * wrong with them, sim_link_show puts that into the units' memories.
 */
#ifndef DRIVERS_SIMULATOR_SIM_LINK_H
#define DRIVERS_SIMULATOR_SIM_LINK_H

#include "base/attributes.h"
#include "base/error.h"
#include "drivers/simulator/plant.h"
#include "drivers/simulator/player.h"
#include "drivers/simulator/serial_bridge.h"
#include "drivers/simulator/server.h"
#include "drivers/simulator/sim_config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_unit {
    const struct sim_unit_config *config;
    struct plant *plant; /* shared by units of its name; NULL: a series is played */
    int *variables;      /* of each register of the map: the variable's number, or -1: its clock */
    double shown[PLANT_VARIABLES_MAX]; /* what its instruments say, incidents included */
    struct player player;
    bool told_finished;
};

struct sim_link {
    size_t number;
    const struct sim_link_config *config;
    struct server *server;
    struct serial_bridge *bridge; /* NULL: none */
    struct sim_unit *units;
    struct server_unit *memory; /* of each unit: what the server answers from */
    size_t unit_count;
};

/* Listens. `link` may be closed after a failure too. */
MUST_CHECK int sim_link_open(struct sim_link *link, const struct sim_config *config, size_t number,
                             struct plant *plants, int64_t now_us, struct message *message);
void sim_link_close(struct sim_link *link);

/* When it has something to do whatever comes, as server_due. */
int64_t sim_link_due(const struct sim_link *link);

/* Answers and carries what is there to be. */
void sim_link_step(struct sim_link *link, int64_t now_us);

/* All units live, the line is quiet, and instruments say what they say. */
void sim_link_look(struct sim_link *link);

/* Into the units' memories: `plant_ms` is the plants' clock (UTC), `now_us` the machine's. */
void sim_link_show(struct sim_link *link, int64_t plant_ms, int64_t now_us);

/* Into the log: where it listens; what it saw, for who trains or tests on it. */
void sim_link_say_place(const struct sim_link *link);
void sim_link_say_stats(const struct sim_link *link);

#endif
