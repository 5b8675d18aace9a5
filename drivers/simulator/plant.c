#include "drivers/simulator/plant.h"

#include "drivers/simulator/plant_gas.h"
#include "drivers/simulator/plant_kitchen.h"
#include "drivers/simulator/plant_leachate.h"
#include "drivers/simulator/plant_transfer.h"

#include <string.h>

#define STEP_S          (PLANT_STEP_MS / 1000)
#define READING_SEED    0x5bd1e9955bd1e995u /* any number: the two streams must differ */
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct plant_model *const models[] = {&plant_leachate, &plant_transfer, &plant_gas,
                                                   &plant_kitchen};

const struct plant_model *plant_model_at(size_t number)
{
    return number < COUNT_OF(models) ? models[number] : NULL;
}

const struct plant_model *plant_model_find(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(models); i++)
        if (strcmp(models[i]->name, name) == 0)
            return models[i];
    return NULL;
}

/* The step of the grid that this time lies in, also before 1970. */
static int64_t grid_s(int64_t at_ms)
{
    int64_t steps = at_ms / PLANT_STEP_MS - (at_ms % PLANT_STEP_MS < 0);
    return steps * STEP_S;
}

static void show(struct plant *plant)
{
    for (int i = 0; plant->model->variables[i]; i++)
        plant->shown[i] = plant->instruments[i].reading;
}

void plant_init(struct plant *plant, const struct plant_model *model, uint64_t seed, int64_t at_ms)
{
    *plant = (struct plant){.model = model, .at_s = grid_s(at_ms)};
    noise_init(&plant->process_noise, seed);
    noise_init(&plant->reading_noise, seed ^ READING_SEED);
    struct plant_time time = plant_time_at(plant->at_s, STEP_S);
    model->begin(plant, &time);
    for (int i = 0; model->variables[i]; i++)
        instrument_begin(&model->instruments[i], &plant->instruments[i], plant->values[i]);
    show(plant);
}

static void one_step(struct plant *plant)
{
    plant->at_s += STEP_S;
    struct plant_time time = plant_time_at(plant->at_s, STEP_S);
    plant->model->step(plant, &time);
    for (int i = 0; plant->model->variables[i]; i++)
        instrument_step(&plant->model->instruments[i], &plant->instruments[i], plant->values[i],
                        time.local_s, time.dt_s, &plant->reading_noise);
}

void plant_step(struct plant *plant, int64_t to_ms)
{
    int64_t to_s = grid_s(to_ms);
    if (to_s < plant->at_s || to_s - plant->at_s > DAY_S)
        plant->at_s = to_s;
    while (plant->at_s < to_s)
        one_step(plant);
    show(plant);
}

static int find(const char *const *names, const char *name)
{
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

int plant_find_variable(const struct plant_model *model, const char *name)
{
    return find(model->variables, name);
}

int plant_find_disturbance(const struct plant_model *model, const char *name)
{
    return find(model->disturbances, name);
}
