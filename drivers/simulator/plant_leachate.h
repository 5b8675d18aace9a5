/* A leachate line: equalisation tank, biological stage, membranes, discharge. */
#ifndef DRIVERS_SIMULATOR_PLANT_LEACHATE_H
#define DRIVERS_SIMULATOR_PLANT_LEACHATE_H

#include "drivers/simulator/plant.h"

extern const struct plant_model plant_leachate;

#endif
