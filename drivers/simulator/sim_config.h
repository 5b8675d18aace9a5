/*
 * The simulator's configuration: which plants and recorded series answer where, and what happens to
 * them when.
 *
 *   seed: 20260101
 *   speed: 1                          # seconds of the plants' clock a second
 *   plants:                           # a unit may also name a model: one plant of that name
 *     - {name: north, model: leachate}
 *   links:
 *     - listen: 127.0.0.1:1502        # or pty:PATH and baud: 9600, a serial line with RTU, and
 *       bridge: rtu+tcp://127.0.0.1:4001   # its serial server, or dtu://… that calls there
 *       units:
 *         - {unit: 1, plant: north, map: maps/leachate-plc.csv}
 *         - unit: 2
 *           map: maps/logger.csv      # its row with `time: device` holds the rows' stamps
 *           replay: {file: 2025.csv, time: stamp, advance: read}
 *   scenario:                         # or the path of a file with such a list
 *     - {at: 20s, for: 30s, every: 10min, link: 0, unit: 1, kind: add, variable: cod, amount: 60}
 *
 * Units that name the same plant show the same process. Immutable after loading; owns register maps
 * and series.
 */
#ifndef DRIVERS_SIMULATOR_SIM_CONFIG_H
#define DRIVERS_SIMULATOR_SIM_CONFIG_H

#include "base/attributes.h"
#include "base/files.h"
#include "drivers/modbus/register_map.h"
#include "drivers/simulator/plant.h"
#include "drivers/simulator/replay.h"
#include "model/config_yaml.h"
#include "model/link_url.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_LINKS_MAX     64
#define SIM_UNITS_MAX     247
#define SIM_PLANTS_MAX    256
#define SIM_INCIDENTS_MAX 1000
#define SIM_NO_PLANT      SIZE_MAX

struct sim_plant_config {
    char name[65];
    const struct plant_model *model;
};

struct sim_unit_config {
    int unit; /* 1..247 */
    struct register_map *map;
    size_t plant; /* index, or SIM_NO_PLANT: it plays `replay` */
    struct replay *replay;
    double replay_speed; /* against the stamps; 0: in lock-step with who reads */
};

struct sim_link_config {
    struct endpoint endpoint; /* Modbus TCP, where there is no `pty` */
    char pty[FILE_PATH_SIZE]; /* RTU: where the link to the terminal is made; "": none */
    unsigned baud;            /* of the pty; 0: it paces nothing */
    bool bridged;             /* the pty has a serial server */
    struct link_url bridge;   /* LINK_RTU_TCP: it listens; LINK_DTU: it calls */
    int64_t heartbeat_ms;     /* of one that calls */
    struct sim_unit_config *units;
    size_t unit_count;
};

enum incident_kind {
    INCIDENT_ADD,       /* the instrument shows that much more */
    INCIDENT_SET,       /* it shows this */
    INCIDENT_FREEZE,    /* it shows what it showed at the beginning */
    INCIDENT_FAULT,     /* it shows that it cannot measure */
    INCIDENT_DISTURB,   /* the process itself: a pump trips, gas leaks */
    INCIDENT_DEAD,      /* the unit does not answer */
    INCIDENT_EXCEPTION, /* it answers with an exception */
    INCIDENT_NOISE,     /* so large a share of the link's replies is lost or garbled */
};

/* Times count on the plants' clock, from the start of the simulator. */
struct incident {
    int64_t at_ms, for_ms;
    int64_t every_ms;  /* it comes again; 0: once */
    size_t link, unit; /* indexes */
    size_t variable;   /* of the plant: number of the variable or disturbance, where it has one */
    enum incident_kind kind;
    double amount;
};

struct sim_config {
    uint64_t seed;
    double speed;
    int64_t start_ms; /* the plants' clock at the start, UTC; 0: the machine's */
    struct sim_plant_config plants[SIM_PLANTS_MAX];
    size_t plant_count;
    struct sim_link_config *links;
    size_t link_count;
    struct incident *incidents;
    size_t incident_count;
};

MUST_CHECK int sim_config_load(const char *path, struct sim_config **ret_config,
                               struct config_errors *errors);
void sim_config_free(struct sim_config *config);

#endif
