/*
 * A waste transfer station: hall with exhaust fans, compactor, sump and leachate tank, weighbridge.
 *
 * Disturbances (1 is a typical case):
 *   fan_trip        both exhaust fans stop (from 0.5 on)
 *   gas_burst       hydrogen sulphide breaks out of old waste: over 20 mg/m3 within some minutes
 *   sump_pump_trip  the sump pump stops (from 0.5 on)
 *   door_open       the hall's door stays open (from 0.5 on): more air, more noise outside
 *   dust            dry waste: some 400 ug/m3 more
 */
#ifndef DRIVERS_SIMULATOR_PLANT_TRANSFER_H
#define DRIVERS_SIMULATOR_PLANT_TRANSFER_H

#include "drivers/simulator/plant.h"

extern const struct plant_model plant_transfer;

#endif
