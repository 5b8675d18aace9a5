#include "drivers/simulator/simulator.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/notify_socket.h"
#include "drivers/simulator/encode.h"
#include "drivers/simulator/server.h"
#include "drivers/simulator/sim_config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

/*
 * Design notes
 *
 * One thread: it moves the plants on every STEP_MS, puts what their instruments show into
 * registers, and answers in between. A register map names the variables; what a map has and a plant
 * has not reads as zero.
 */

#define STEP_MS 100

struct sim_unit {
    struct plant plant;
    const struct register_map *map;
    int *variables; /* of each register of the map: the variable's number, or -1 */
};

struct sim_link {
    struct server *server;
    struct sim_unit *units;
    struct server_unit *memory;
    size_t unit_count;
};

struct simulator {
    const struct sim_config *config;
    struct sim_link *links;
    size_t link_count;
    double *frozen; /* of each incident: what it holds on to */
    bool *running;  /* of each incident */
    int64_t begin_us, stepped_us;
    int64_t begin_ms; /* the plants' time then, UTC */
};

/* ---- life ---- */

static int unit_init(struct sim_unit *unit, struct server_unit *memory,
                     const struct sim_unit_config *config, uint64_t seed, int64_t at_ms)
{
    plant_init(&unit->plant, config->model, seed, at_ms);
    unit->map = config->map;
    *memory = (struct server_unit){.unit = config->unit};
    memory->registers = calloc(SERVER_REGISTERS, sizeof(*memory->registers));
    memory->bits = calloc(SERVER_REGISTERS, sizeof(*memory->bits));
    size_t count = register_map_count(unit->map);
    unit->variables = calloc(count + 1, sizeof(*unit->variables));
    if (!memory->registers || !memory->bits || !unit->variables)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        unit->variables[i] = plant_find(&unit->plant, register_map_at(unit->map, i)->name);
    return 0;
}

static int link_init(struct sim_link *link, const struct sim_link_config *config, uint64_t seed,
                     int64_t at_ms, struct message *message)
{
    link->units = calloc(config->unit_count + 1, sizeof(*link->units));
    link->memory = calloc(config->unit_count + 1, sizeof(*link->memory));
    int err = link->units && link->memory ? 0 : ERR_NO_MEMORY;
    for (size_t i = 0; !err && i < config->unit_count; i++) {
        link->unit_count++;
        err = unit_init(&link->units[i], &link->memory[i], &config->units[i],
                        seed + (uint64_t)config->units[i].unit, at_ms);
    }
    if (err)
        return message_set(message, err, "simulator: out of memory");
    struct server_listen listen = {.endpoint = config->listen, .seed = seed};
    return server_open(&listen, link->memory, link->unit_count, &link->server, message);
}

static void simulator_release(struct simulator *simulator)
{
    for (size_t i = 0; i < simulator->link_count; i++) {
        struct sim_link *link = &simulator->links[i];
        server_close(link->server);
        for (size_t n = 0; n < link->unit_count; n++) {
            free(link->units[n].variables);
            free(link->memory[n].registers);
            free(link->memory[n].bits);
        }
        free(link->units);
        free(link->memory);
    }
    free(simulator->links);
    free(simulator->frozen);
    free(simulator->running);
}

static int simulator_init(struct simulator *simulator, const struct sim_config *config,
                          struct message *message)
{
    *simulator = (struct simulator){.config = config, .begin_ms = clock_read(clock_real()).wall_ms};
    simulator->links = calloc(config->link_count + 1, sizeof(*simulator->links));
    simulator->frozen = calloc(config->incident_count + 1, sizeof(*simulator->frozen));
    simulator->running = calloc(config->incident_count + 1, sizeof(*simulator->running));
    if (!simulator->links || !simulator->frozen || !simulator->running)
        return message_set(message, ERR_NO_MEMORY, "simulator: out of memory");
    int err = 0;
    for (size_t i = 0; !err && i < config->link_count; i++) {
        simulator->link_count++;
        err = link_init(&simulator->links[i], &config->links[i], config->seed + 1000 * i,
                        simulator->begin_ms, message);
    }
    return err;
}

/* ---- a step ---- */

static void show(const struct sim_unit *unit, struct server_unit *memory)
{
    for (size_t i = 0; i < register_map_count(unit->map); i++) {
        const struct map_register *reg = register_map_at(unit->map, i);
        if (unit->variables[i] < 0)
            continue;
        double value = unit->plant.shown[unit->variables[i]];
        if (reg->type == REGISTER_BIT)
            memory->bits[reg->address] = value >= 0.5;
        else
            /* Types that hold no number read as zero. */
            (void)!encode_registers(reg, value, memory->registers);
    }
}

static void apply_incident(struct simulator *simulator, size_t i, int64_t elapsed_ms)
{
    const struct incident *incident = &simulator->config->incidents[i];
    struct sim_link *link = &simulator->links[incident->link];
    struct plant *plant = &link->units[incident->unit].plant;
    bool on = elapsed_ms >= incident->at_ms && elapsed_ms < incident->at_ms + incident->for_ms;
    bool begins = on && !simulator->running[i];
    if (on != simulator->running[i])
        log_info("scenario", "incident %zu of unit %d %s", i + 1, link->memory[incident->unit].unit,
                 on ? "begins" : "ends");
    simulator->running[i] = on;
    if (!on)
        return;
    double *shown = incident->variable < 0 ? NULL : &plant->shown[incident->variable];
    switch (incident->kind) {
    case INCIDENT_ADD:
        *shown += incident->amount;
        break;
    case INCIDENT_SET:
        *shown = incident->amount;
        break;
    case INCIDENT_FREEZE:
        if (begins)
            simulator->frozen[i] = *shown;
        *shown = simulator->frozen[i];
        break;
    case INCIDENT_DEAD:
        link->memory[incident->unit].dead = true;
        break;
    case INCIDENT_EXCEPTION:
        link->memory[incident->unit].exception = true;
        break;
    }
}

static void step(struct simulator *simulator, struct now now)
{
    int64_t elapsed_ms = (now.mono_us - simulator->begin_us) / US_PER_MS;
    int64_t plant_ms =
        simulator->begin_ms + (int64_t)((double)elapsed_ms * simulator->config->speed);
    simulator->stepped_us = now.mono_us;
    for (size_t i = 0; i < simulator->link_count; i++)
        for (size_t n = 0; n < simulator->links[i].unit_count; n++) {
            plant_step(&simulator->links[i].units[n].plant, plant_ms);
            simulator->links[i].memory[n].dead = false;
            simulator->links[i].memory[n].exception = false;
        }
    for (size_t i = 0; i < simulator->config->incident_count; i++)
        apply_incident(simulator, i, elapsed_ms);
    for (size_t i = 0; i < simulator->link_count; i++)
        for (size_t n = 0; n < simulator->links[i].unit_count; n++)
            show(&simulator->links[i].units[n], &simulator->links[i].memory[n]);
}

/* ---- the program ---- */

/* How long nothing has to be done unless something comes, rounded up to what poll can wait. */
static int wait_ms(const struct simulator *simulator, int64_t now_us)
{
    int64_t due_us = simulator->stepped_us + STEP_MS * US_PER_MS;
    for (size_t i = 0; i < simulator->link_count; i++) {
        int64_t server_us = server_due(simulator->links[i].server);
        due_us = server_us < due_us ? server_us : due_us;
    }
    return due_us > now_us ? (int)((due_us - now_us) / US_PER_MS) + 1 : 0;
}

static void run(struct simulator *simulator, int signal_fd)
{
    struct pollfd fds[SIM_LINKS_MAX + 1];
    for (size_t i = 0; i < simulator->link_count; i++)
        fds[i] = (struct pollfd){server_fd(simulator->links[i].server), POLLIN, 0};
    fds[simulator->link_count] = (struct pollfd){signal_fd, POLLIN, 0};
    simulator->begin_us = simulator->stepped_us = clock_read(clock_real()).mono_us;
    step(simulator, clock_read(clock_real()));
    for (;;) {
        struct now now = clock_read(clock_real());
        if (now.mono_us >= simulator->stepped_us + STEP_MS * US_PER_MS)
            step(simulator, now);
        if (poll(fds, simulator->link_count + 1, wait_ms(simulator, now.mono_us)) < 0 &&
            errno != EINTR)
            return;
        now = clock_read(clock_real());
        for (size_t i = 0; i < simulator->link_count; i++)
            if (fds[i].revents || server_due(simulator->links[i].server) <= now.mono_us)
                server_step(simulator->links[i].server, now.mono_us);
        if (fds[simulator->link_count].revents)
            return;
    }
}

static int take_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int simulate(const struct sim_config *config)
{
    struct message message = {""};
    struct simulator simulator;
    int signal_fd = take_signals();
    int err = simulator_init(&simulator, config, &message);
    if (err || signal_fd < 0) {
        log_error("simulator", "%s", message.text);
    } else {
        for (size_t i = 0; i < simulator.link_count; i++)
            log_info("simulator", "link %zu listens on port %u with %zu units", i,
                     server_port(simulator.links[i].server), simulator.links[i].unit_count);
        notify_socket_send("READY=1");
        run(&simulator, signal_fd);
        log_info("simulator", "stopped");
    }
    simulator_release(&simulator);
    if (signal_fd >= 0)
        close(signal_fd);
    return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

int simulator_main(int argc, char **argv)
{
    const char *path = NULL;
    bool check = false, usage = argc < 2;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
            path = argv[++i];
        else if (strcmp(argv[i], "--check") == 0)
            check = true;
        else
            usage = true;
    }
    if (usage || !path) {
        fprintf(stderr, "usage: chengmai-sim --config FILE [--check]\n");
        return 2;
    }
    struct config_errors errors;
    config_errors_init(&errors);
    struct sim_config *config = NULL;
    int status = 2;
    if (sim_config_load(path, &config, &errors)) {
        fputs(buffer_text(&errors.text), stderr);
    } else if (check) {
        printf("%s: %zu links, %zu incidents\n", path, config->link_count, config->incident_count);
        status = EXIT_SUCCESS;
    } else {
        status = simulate(config);
    }
    sim_config_free(config);
    config_errors_release(&errors);
    return status;
}
