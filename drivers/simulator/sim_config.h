/*
 * The simulator's configuration: which plants answer where, and what happens to them when.
 *
 *   seed: 20260101
 *   speed: 1                          # plant seconds a second
 *   links:
 *     - listen: 127.0.0.1:1502
 *       units:
 *         - {unit: 1, plant: leachate, map: maps/leachate-plc.csv}
 *   scenario:
 *     - {at: 20s, for: 30s, link: 0, unit: 1, kind: add, variable: cod, amount: 60}
 *
 * Immutable after loading; register maps are owned by it.
 */
#ifndef DRIVERS_SIMULATOR_SIM_CONFIG_H
#define DRIVERS_SIMULATOR_SIM_CONFIG_H

#include "base/attributes.h"
#include "base/files.h"
#include "base/sockets.h"
#include "drivers/modbus/register_map.h"
#include "drivers/simulator/plant.h"
#include "model/config_yaml.h"

#include <stddef.h>
#include <stdint.h>

#define SIM_LINKS_MAX     64
#define SIM_UNITS_MAX     247
#define SIM_INCIDENTS_MAX 1000

struct sim_unit_config {
    int unit; /* 1..247 */
    const struct plant_model *model;
    struct register_map *map;
};

struct sim_link_config {
    struct endpoint listen;
    struct sim_unit_config *units;
    size_t unit_count;
};

enum incident_kind {
    INCIDENT_ADD,       /* the instrument shows that much more */
    INCIDENT_SET,       /* it shows this */
    INCIDENT_FREEZE,    /* it shows what it showed at the beginning */
    INCIDENT_DEAD,      /* the unit does not answer */
    INCIDENT_EXCEPTION, /* it answers with an exception */
};

struct incident {
    int64_t at_ms, for_ms; /* from the start of the simulator */
    size_t link, unit;     /* indexes */
    int variable;          /* number in the plant, -1 for dead and exception */
    enum incident_kind kind;
    double amount;
};

struct sim_config {
    uint64_t seed;
    double speed;
    struct sim_link_config *links;
    size_t link_count;
    struct incident *incidents;
    size_t incident_count;
};

MUST_CHECK int sim_config_load(const char *path, struct sim_config **ret_config,
                               struct config_errors *errors);
void sim_config_free(struct sim_config *config);

#endif
