/*
 * A simulated plant: named variables that a model moves on, step by step. Register maps put them on
 * the wire by name. Pure: time and randomness are handed in. Owned by the simulator's thread.
 */
#ifndef DRIVERS_SIMULATOR_PLANT_H
#define DRIVERS_SIMULATOR_PLANT_H

#include "base/attributes.h"
#include "drivers/simulator/noise.h"

#include <stddef.h>

#define PLANT_VARIABLES_MAX 64

struct plant;

struct plant_model {
    const char *name;
    const char *const *variables; /* NULL-terminated; the index is the variable's number */
    void (*begin)(struct plant *plant);
    /* Moves on by `dt_s` seconds; `day_s` is the local time of day. */
    void (*step)(struct plant *plant, double dt_s, double day_s);
};

struct plant {
    const struct plant_model *model;
    struct noise noise;
    double values[PLANT_VARIABLES_MAX]; /* what the process does */
    double shown[PLANT_VARIABLES_MAX];  /* what the instruments say, incidents included */
};

/* The model of that name, or NULL. */
const struct plant_model *plant_model_find(const char *name);

void plant_init(struct plant *plant, const struct plant_model *model, uint64_t seed);
void plant_step(struct plant *plant, double dt_s, double day_s);

/* The number of a variable, or -1. */
int plant_find(const struct plant *plant, const char *variable);

/* A day's demand, about 1: low at night, high in the morning and the evening. */
double plant_daily(double day_s);

#endif
