/*
 * The incidents of a simulator's configuration: when, for how long, on what. A part of reading
 * sim_config.h, after its plants and links are known.
 */
#ifndef DRIVERS_SIMULATOR_SIM_SCENARIO_H
#define DRIVERS_SIMULATOR_SIM_SCENARIO_H

#include "drivers/simulator/sim_config.h"
#include "model/config_yaml.h"

/* `node`: a list of incidents, or the path of a file that holds one under `scenario`. */
void sim_scenario_read(const struct yaml_tree *tree, const struct yaml_node *node,
                       struct sim_config *config, struct config_errors *errors);

#endif
