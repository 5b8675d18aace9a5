/*
 * A simulated plant: named variables that a model moves on, seen through instruments. Register maps
 * put them on the wire by name. Pure: time and randomness are handed in. Owned by the simulator's
 * thread.
 *
 * Time goes in steps of PLANT_STEP_MS on the grid of UTC, however the caller cuts it: the same seed
 * and the same times give the same plant. Disturbances are what happens to the process, as the
 * model's header tells: an amount of 1 is a typical case of its kind, 0 is none.
 */
#ifndef DRIVERS_SIMULATOR_PLANT_H
#define DRIVERS_SIMULATOR_PLANT_H

#include "base/attributes.h"
#include "drivers/simulator/instrument.h"
#include "drivers/simulator/noise.h"
#include "drivers/simulator/plant_time.h"

#include <stddef.h>
#include <stdint.h>

#define PLANT_VARIABLES_MAX    64
#define PLANT_HIDDEN_MAX       64
#define PLANT_DISTURBANCES_MAX 32
#define PLANT_STEP_MS          1000

struct plant;

struct plant_model {
    const char *name;
    const char *const *variables;         /* NULL-terminated; the index is the variable's number */
    const char *const *disturbances;      /* likewise */
    const struct instrument *instruments; /* of each variable */
    /* The plant as it would be at that time, long in operation. */
    void (*begin)(struct plant *plant, const struct plant_time *time);
    /* Moves on by time->dt_s, to `time`. */
    void (*step)(struct plant *plant, const struct plant_time *time);
};

struct plant {
    const struct plant_model *model;
    int64_t at_s;                                /* UTC: the step that was reached */
    struct noise process_noise, reading_noise;   /* apart: reading changes nothing */
    double disturbances[PLANT_DISTURBANCES_MAX]; /* set by the simulator before each step */
    double values[PLANT_VARIABLES_MAX];          /* what the process does */
    double hidden[PLANT_HIDDEN_MAX];             /* what no instrument sees, by the model */
    struct instrument_state instruments[PLANT_VARIABLES_MAX];
    double shown[PLANT_VARIABLES_MAX]; /* what the instruments say; incidents write here */
};

/* The model of that name, or NULL. */
const struct plant_model *plant_model_find(const char *name);

/* The models one by one, from 0; NULL after the last. */
const struct plant_model *plant_model_at(size_t number);

/* The same seed, time and model give the same plant. `at_ms` is UTC. */
void plant_init(struct plant *plant, const struct plant_model *model, uint64_t seed, int64_t at_ms);

/* Moves on to UTC ms `to_ms` and makes `shown` anew. Back, or on by more than a day, only sets the
 * clock. */
void plant_step(struct plant *plant, int64_t to_ms);

/* The number of a variable, or of a disturbance, or -1. */
int plant_find_variable(const struct plant_model *model, const char *name);
int plant_find_disturbance(const struct plant_model *model, const char *name);

#endif
