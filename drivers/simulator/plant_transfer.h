/* A waste transfer station: air, fans, compactor, leachate sump. */
#ifndef DRIVERS_SIMULATOR_PLANT_TRANSFER_H
#define DRIVERS_SIMULATOR_PLANT_TRANSFER_H

#include "drivers/simulator/plant.h"

extern const struct plant_model plant_transfer;

#endif
