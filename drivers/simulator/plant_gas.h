/*
 * A gas district: a station with two runs from high to medium pressure, three district regulators
 * from medium to low pressure, a leak detector, a volume corrector, a river crossing.
 *
 * Disturbances (1 is a typical case; trips act from 0.5 on):
 *   leak                 gas in the regulator room: 25 %LEL within three minutes, 60 at the end
 *   regulator_creep1..5  the seat leaks: the outlet climbs at low flow until the slam-shut closes
 *   slam_shut1..5        trips that slam-shut; it stays closed afterwards
 *   reset                opens every slam-shut whose outlet is below its trip
 *   river_leak           the pipe below the river loses 150 m3/h
 *   inlet_drop           the inlet sags by 500 kPa
 */
#ifndef DRIVERS_SIMULATOR_PLANT_GAS_H
#define DRIVERS_SIMULATOR_PLANT_GAS_H

#include "drivers/simulator/plant.h"

extern const struct plant_model plant_gas;

#endif
