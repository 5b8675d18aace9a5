#include "drivers/simulator/plant.h"

#include "drivers/simulator/plant_gas.h"
#include "drivers/simulator/plant_leachate.h"
#include "drivers/simulator/plant_transfer.h"

#include <math.h>
#include <string.h>

const struct plant_model *plant_model_find(const char *name)
{
    static const struct plant_model *const models[] = {&plant_leachate, &plant_transfer,
                                                       &plant_gas};
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
        if (strcmp(models[i]->name, name) == 0)
            return models[i];
    return NULL;
}

void plant_init(struct plant *plant, const struct plant_model *model, uint64_t seed)
{
    *plant = (struct plant){.model = model};
    noise_init(&plant->noise, seed);
    model->begin(plant);
    memcpy(plant->shown, plant->values, sizeof(plant->shown));
}

void plant_step(struct plant *plant, double dt_s, double day_s)
{
    plant->model->step(plant, dt_s, day_s);
    memcpy(plant->shown, plant->values, sizeof(plant->shown));
}

int plant_find(const struct plant *plant, const char *variable)
{
    for (int i = 0; plant->model->variables[i]; i++)
        if (strcmp(plant->model->variables[i], variable) == 0)
            return i;
    return -1;
}

double plant_daily(double day_s)
{
    /* Two harmonics: a trough near 02:00, peaks near 09:00 and 19:00. */
    double angle = 6.283185307179586 * day_s / 86400.0;
    return 1.0 - 0.25 * cos(angle - 0.8) - 0.25 * cos(2.0 * angle - 1.05);
}
