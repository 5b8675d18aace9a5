#include "drivers/simulator/incidents.h"

#include "base/clock.h"
#include "base/log.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- when ---- */

bool incident_is_on(const struct incident *incident, int64_t at_ms)
{
    int64_t since_ms = at_ms - incident->at_ms;
    if (incident->every_ms && since_ms > 0)
        since_ms %= incident->every_ms;
    return since_ms >= 0 && since_ms < incident->for_ms;
}

int64_t incident_next(const struct incident *incident, int64_t at_ms)
{
    int64_t since_ms = at_ms - incident->at_ms;
    if (incident->for_ms == 0)
        return NEVER;
    if (since_ms < 0)
        return incident->at_ms;
    if (!incident->every_ms)
        return since_ms < incident->for_ms ? incident->at_ms + incident->for_ms : NEVER;
    if (incident->for_ms >= incident->every_ms) /* it goes on and on */
        return NEVER;
    int64_t round_ms = since_ms % incident->every_ms;
    return at_ms - round_ms + (round_ms < incident->for_ms ? incident->for_ms : incident->every_ms);
}

int64_t incidents_next(const struct incidents *incidents, int64_t at_ms)
{
    int64_t next_ms = NEVER;
    for (size_t i = 0; i < incidents->config->incident_count; i++) {
        int64_t own_ms = incident_next(&incidents->config->incidents[i], at_ms);
        next_ms = own_ms < next_ms ? own_ms : next_ms;
    }
    return next_ms;
}

/* ---- life ---- */

int incidents_init(struct incidents *incidents, const struct sim_config *config)
{
    *incidents = (struct incidents){
        .config = config,
        .frozen = calloc(config->incident_count + 1, sizeof(*incidents->frozen)),
        .running = calloc(config->incident_count + 1, sizeof(*incidents->running)),
    };
    return incidents->frozen && incidents->running ? 0 : ERR_NO_MEMORY;
}

void incidents_release(struct incidents *incidents)
{
    free(incidents->frozen);
    free(incidents->running);
}

/* ---- what ---- */

static void say(const struct sim_config *config, size_t i, bool on)
{
    static const char *const words[] = {[INCIDENT_ADD] = "adds to",
                                        [INCIDENT_SET] = "sets",
                                        [INCIDENT_FREEZE] = "freezes",
                                        [INCIDENT_FAULT] = "breaks the sensor of",
                                        [INCIDENT_DISTURB] = "disturbs",
                                        [INCIDENT_DEAD] = "silences the unit",
                                        [INCIDENT_EXCEPTION] = "makes the unit refuse",
                                        [INCIDENT_NOISE] = "garbles the link"};
    const struct incident *incident = &config->incidents[i];
    const struct sim_link_config *link = &config->links[incident->link];
    size_t plant = link->unit_count ? link->units[incident->unit].plant : SIM_NO_PLANT;
    const char *name = "";
    if (incident->kind <= INCIDENT_FAULT)
        name = config->plants[plant].model->variables[incident->variable];
    else if (incident->kind == INCIDENT_DISTURB)
        name = config->plants[plant].model->disturbances[incident->variable];
    log_info("scenario", "incident %zu on link %zu %s: it %s%s%s", i + 1, incident->link,
             on ? "begins" : "ends", words[incident->kind], *name ? " " : "", name);
}

void incidents_disturb(const struct incidents *incidents, struct plant *plants, int64_t at_ms)
{
    const struct sim_config *config = incidents->config;
    for (size_t i = 0; i < config->plant_count; i++)
        memset(plants[i].disturbances, 0, sizeof(plants[i].disturbances));
    for (size_t i = 0; i < config->incident_count; i++) {
        const struct incident *incident = &config->incidents[i];
        if (incident->kind != INCIDENT_DISTURB || !incident_is_on(incident, at_ms))
            continue;
        size_t plant = config->links[incident->link].units[incident->unit].plant;
        plants[plant].disturbances[incident->variable] += incident->amount;
    }
}

static void lay_over(struct incidents *incidents, size_t i, struct sim_link *links, bool begins)
{
    const struct incident *incident = &incidents->config->incidents[i];
    struct sim_link *link = &links[incident->link];
    double *shown = &link->units[incident->unit].shown[incident->variable];
    switch (incident->kind) {
    case INCIDENT_ADD:
        *shown += incident->amount;
        break;
    case INCIDENT_SET:
        *shown = incident->amount;
        break;
    case INCIDENT_FREEZE:
        if (begins)
            incidents->frozen[i] = *shown;
        *shown = incidents->frozen[i];
        break;
    case INCIDENT_FAULT:
        *shown = (double)NAN;
        break;
    case INCIDENT_DISTURB:
        break;
    case INCIDENT_DEAD:
        link->memory[incident->unit].dead = true;
        break;
    case INCIDENT_EXCEPTION:
        link->memory[incident->unit].exception = true;
        break;
    case INCIDENT_NOISE:
        server_set_noise(link->server, incident->amount);
        break;
    }
}

void incidents_lay_over(struct incidents *incidents, struct sim_link *links, int64_t at_ms)
{
    for (size_t i = 0; i < incidents->config->incident_count; i++) {
        bool on = incident_is_on(&incidents->config->incidents[i], at_ms);
        bool begins = on && !incidents->running[i];
        if (on != incidents->running[i])
            say(incidents->config, i, on);
        incidents->running[i] = on;
        if (on)
            lay_over(incidents, i, links, begins);
    }
}
