/*
 * A kitchen-waste plant: hopper, grease separation, digester, gas holder, engine, boiler, flare.
 *
 * Disturbances (1 is a typical case):
 *   feed_stop     the digester's feed pump stops (from 0.5 on)
 *   foaming       a metre of foam within the hour: the level reads high, the gas pipe chokes
 *   h2s_peak      3000 ppm more hydrogen sulphide in the biogas
 *   heating_trip  the digester's heating stops (from 0.5 on)
 *   flare_fail    the flare does not light (from 0.5 on)
 */
#ifndef DRIVERS_SIMULATOR_PLANT_KITCHEN_H
#define DRIVERS_SIMULATOR_PLANT_KITCHEN_H

#include "drivers/simulator/plant.h"

extern const struct plant_model plant_kitchen;

#endif
