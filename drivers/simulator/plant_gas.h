/* A gas district: two pressure regulators, a leak detector, a volume corrector. */
#ifndef DRIVERS_SIMULATOR_PLANT_GAS_H
#define DRIVERS_SIMULATOR_PLANT_GAS_H

#include "drivers/simulator/plant.h"

extern const struct plant_model plant_gas;

#endif
