/*
 * A leachate line: equalisation tank, biological stage with membranes, nanofiltration, discharge.
 *
 * Disturbances (1 is a typical case):
 *   pump_trip         the feed pump stops (from 0.5 on)
 *   blower_trip       the blower stops (from 0.5 on)
 *   ph_excursion      caustic at 1, acid at -1: about 2.2 pH away, within half an hour
 *   cod_peak          the raw leachate is twice as strong
 *   membrane_fouling  the pores clog: half a kPa more each minute, until the next cleaning
 *   rain              a storm of 10 mm/h
 */
#ifndef DRIVERS_SIMULATOR_PLANT_LEACHATE_H
#define DRIVERS_SIMULATOR_PLANT_LEACHATE_H

#include "drivers/simulator/plant.h"

extern const struct plant_model plant_leachate;

#endif
