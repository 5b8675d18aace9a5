#include "drivers/simulator/simulator.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/notify_socket.h"
#include "drivers/simulator/encode.h"
#include "drivers/simulator/player.h"
#include "drivers/simulator/server.h"
#include "drivers/simulator/sim_config.h"

#include <errno.h>
#include <math.h>
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
 * has not reads as zero. The plants have a clock of their own, which runs `speed` times as fast as
 * the machine's; a map's row with `time: device` shows it.
 *
 * A step: disturbances are set, processes move on, each unit takes what the instruments show, then
 * what is wrong with its own instruments, with units and with links is laid over it. A unit that
 * plays a recorded series in lock-step moves on between steps, when its reader asks again.
 */

#define STEP_MS 100

struct sim_unit {
    const struct sim_unit_config *config;
    struct plant *plant; /* shared by units of its name; NULL: a series is played */
    int *variables;      /* of each register of the map: the variable's number, or -1 */
    double shown[PLANT_VARIABLES_MAX]; /* what its instruments say, incidents included */
    struct player player;
    bool told_finished;
};

struct sim_link {
    struct server *server;
    struct sim_unit *units;
    struct server_unit *memory; /* of each unit: what the server answers from */
    size_t unit_count;
};

struct simulator {
    const struct sim_config *config;
    struct plant *plants;
    struct sim_link *links;
    size_t link_count;
    double *frozen; /* what the value of each freezing incident holds on to */
    bool *running;  /* of each incident */
    int64_t begin_us, stepped_us;
    int64_t start_ms; /* the plants' clock at the beginning */
};

/* ---- life ---- */

static void on_read(void *self, uint64_t connection, uint8_t function, uint16_t start,
                    uint16_t count)
{
    struct sim_unit *unit = self;
    player_read(&unit->player, connection, function, start, count);
}

static void on_request(void *self, uint64_t connection)
{
    struct sim_unit *unit = self;
    player_request(&unit->player, connection);
}

static int unit_init(struct simulator *simulator, struct sim_unit *unit, struct server_unit *memory,
                     const struct sim_unit_config *config)
{
    size_t count = register_map_count(config->map);
    unit->config = config;
    *memory = (struct server_unit){.unit = config->unit};
    memory->registers = calloc(SERVER_REGISTERS, sizeof(*memory->registers));
    memory->bits = calloc(SERVER_REGISTERS, sizeof(*memory->bits));
    unit->variables = calloc(count + 1, sizeof(*unit->variables));
    if (!memory->registers || !memory->bits || !unit->variables)
        return ERR_NO_MEMORY;
    if (config->plant == SIM_NO_PLANT) {
        player_init(&unit->player, config->replay, config->map, memory->registers, memory->bits,
                    config->replay_speed, simulator->begin_us);
        memory->on_read = on_read;
        memory->on_request = on_request;
        memory->self = unit;
        return 0;
    }
    unit->plant = &simulator->plants[config->plant];
    for (size_t i = 0; i < count; i++)
        unit->variables[i] =
            plant_find_variable(unit->plant->model, register_map_at(config->map, i)->name);
    return 0;
}

static int link_init(struct simulator *simulator, struct sim_link *link,
                     const struct sim_link_config *config, struct message *message)
{
    link->units = calloc(config->unit_count + 1, sizeof(*link->units));
    link->memory = calloc(config->unit_count + 1, sizeof(*link->memory));
    int err = link->units && link->memory ? 0 : ERR_NO_MEMORY;
    for (size_t i = 0; !err && i < config->unit_count; i++) {
        link->unit_count++;
        err = unit_init(simulator, &link->units[i], &link->memory[i], &config->units[i]);
    }
    if (err)
        return message_set(message, err, "simulator: out of memory");
    struct server_listen listen = {
        .pty = config->pty[0] ? config->pty : NULL,
        .baud = config->baud,
        .endpoint = config->endpoint,
        .seed = simulator->config->seed + simulator->link_count,
    };
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
    free(simulator->plants);
    free(simulator->frozen);
    free(simulator->running);
}

static int simulator_init(struct simulator *simulator, const struct sim_config *config,
                          struct now now, struct message *message)
{
    *simulator = (struct simulator){.config = config,
                                    .begin_us = now.mono_us,
                                    .start_ms = config->start_ms ? config->start_ms : now.wall_ms};
    simulator->links = calloc(config->link_count + 1, sizeof(*simulator->links));
    simulator->plants = calloc(config->plant_count + 1, sizeof(*simulator->plants));
    simulator->frozen = calloc(config->incident_count + 1, sizeof(*simulator->frozen));
    simulator->running = calloc(config->incident_count + 1, sizeof(*simulator->running));
    if (!simulator->links || !simulator->plants || !simulator->frozen || !simulator->running)
        return message_set(message, ERR_NO_MEMORY, "simulator: out of memory");
    for (size_t i = 0; i < config->plant_count; i++)
        plant_init(&simulator->plants[i], config->plants[i].model, config->seed + 1000 * i,
                   simulator->start_ms);
    int err = 0;
    for (size_t i = 0; !err && i < config->link_count; i++) {
        simulator->link_count++;
        err = link_init(simulator, &simulator->links[i], &config->links[i], message);
    }
    return err;
}

/* ---- a step ---- */

/* What the instruments of the unit's plant show, into its memory. */
static void show(const struct sim_unit *unit, struct server_unit *memory, int64_t plant_ms)
{
    const struct register_map *map = unit->config->map;
    int clock = register_map_clock(map);
    for (size_t i = 0; i < register_map_count(map); i++) {
        const struct map_register *reg = register_map_at(map, i);
        bool is_clock = (int)i == clock;
        if (unit->variables[i] < 0 && !is_clock)
            continue;
        double value = is_clock ? (double)plant_ms : unit->shown[unit->variables[i]];
        if (reg->type == REGISTER_BIT)
            memory->bits[reg->address] = value >= 0.5;
        else
            /* Types that hold no number read as zero. */
            (void)!encode_registers(reg, value, memory->registers);
    }
}

static bool is_on(const struct incident *incident, int64_t elapsed_ms)
{
    int64_t since_ms = elapsed_ms - incident->at_ms;
    if (incident->every_ms && since_ms > 0)
        since_ms %= incident->every_ms;
    return since_ms >= 0 && since_ms < incident->for_ms;
}

static void say_incident(const struct simulator *simulator, size_t i, bool on)
{
    static const char *const words[] = {[INCIDENT_ADD] = "adds to",
                                        [INCIDENT_SET] = "sets",
                                        [INCIDENT_FREEZE] = "freezes",
                                        [INCIDENT_FAULT] = "breaks the sensor of",
                                        [INCIDENT_DISTURB] = "disturbs",
                                        [INCIDENT_DEAD] = "silences the unit",
                                        [INCIDENT_EXCEPTION] = "makes the unit refuse",
                                        [INCIDENT_NOISE] = "garbles the link"};
    const struct incident *incident = &simulator->config->incidents[i];
    const struct sim_link_config *link = &simulator->config->links[incident->link];
    size_t plant = link->unit_count ? link->units[incident->unit].plant : SIM_NO_PLANT;
    const char *name = "";
    if (incident->kind <= INCIDENT_FAULT)
        name = simulator->config->plants[plant].model->variables[incident->variable];
    else if (incident->kind == INCIDENT_DISTURB)
        name = simulator->config->plants[plant].model->disturbances[incident->variable];
    log_info("scenario", "incident %zu on link %zu %s: it %s%s%s", i + 1, incident->link,
             on ? "begins" : "ends", words[incident->kind], *name ? " " : "", name);
}

/* Before the processes move on. */
static void disturb(struct simulator *simulator, int64_t elapsed_ms)
{
    for (size_t i = 0; i < simulator->config->plant_count; i++)
        memset(simulator->plants[i].disturbances, 0, sizeof(simulator->plants[i].disturbances));
    for (size_t i = 0; i < simulator->config->incident_count; i++) {
        const struct incident *incident = &simulator->config->incidents[i];
        if (incident->kind == INCIDENT_DISTURB && is_on(incident, elapsed_ms)) {
            struct sim_unit *unit = &simulator->links[incident->link].units[incident->unit];
            unit->plant->disturbances[incident->variable] += incident->amount;
        }
    }
}

/* After they have: what is wrong with an instrument, a unit or a link. */
static void lay_over(struct simulator *simulator, size_t i, bool begins)
{
    const struct incident *incident = &simulator->config->incidents[i];
    struct sim_link *link = &simulator->links[incident->link];
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
            simulator->frozen[i] = *shown;
        *shown = simulator->frozen[i];
        break;
    case INCIDENT_FAULT:
        *shown = NAN;
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

static void apply_incidents(struct simulator *simulator, int64_t elapsed_ms)
{
    for (size_t i = 0; i < simulator->link_count; i++) {
        server_set_noise(simulator->links[i].server, 0);
        for (size_t n = 0; n < simulator->links[i].unit_count; n++) {
            struct sim_unit *unit = &simulator->links[i].units[n];
            simulator->links[i].memory[n].dead = simulator->links[i].memory[n].exception = false;
            if (unit->plant)
                memcpy(unit->shown, unit->plant->shown, sizeof(unit->shown));
        }
    }
    for (size_t i = 0; i < simulator->config->incident_count; i++) {
        bool on = is_on(&simulator->config->incidents[i], elapsed_ms);
        bool begins = on && !simulator->running[i];
        if (on != simulator->running[i])
            say_incident(simulator, i, on);
        simulator->running[i] = on;
        if (on)
            lay_over(simulator, i, begins);
    }
}

static void play(struct sim_unit *unit, int64_t now_us)
{
    player_step(&unit->player, now_us);
    if (unit->player.finished && !unit->told_finished)
        log_info("replay", "unit %d has played all %zu rows; the last one stays",
                 unit->config->unit, replay_rows(unit->config->replay));
    unit->told_finished = unit->player.finished;
}

static void step(struct simulator *simulator, struct now now)
{
    int64_t elapsed_ms = (int64_t)((double)(now.mono_us - simulator->begin_us) / US_PER_MS *
                                   simulator->config->speed);
    int64_t plant_ms = simulator->start_ms + elapsed_ms;
    simulator->stepped_us = now.mono_us;
    disturb(simulator, elapsed_ms);
    for (size_t i = 0; i < simulator->config->plant_count; i++)
        plant_step(&simulator->plants[i], plant_ms);
    apply_incidents(simulator, elapsed_ms);
    for (size_t i = 0; i < simulator->link_count; i++)
        for (size_t n = 0; n < simulator->links[i].unit_count; n++) {
            struct sim_unit *unit = &simulator->links[i].units[n];
            if (unit->plant)
                show(unit, &simulator->links[i].memory[n], plant_ms);
            else
                play(unit, now.mono_us);
        }
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

static void say_link(const struct simulator *simulator, size_t i)
{
    const struct sim_link *link = &simulator->links[i];
    const char *pty = simulator->config->links[i].pty;
    if (pty[0])
        log_info("simulator", "link %zu listens on %s with %zu units", i, pty, link->unit_count);
    else
        log_info("simulator", "link %zu listens on port %u with %zu units", i,
                 server_port(link->server), link->unit_count);
}

/* What each link saw, for who trains or tests on it. */
static void say_stats(const struct simulator *simulator)
{
    for (size_t i = 0; i < simulator->link_count; i++) {
        struct server_stats stats;
        server_stats(simulator->links[i].server, &stats);
        log_info("simulator",
                 "link %zu: requests %llu, replies %llu, lost %llu, garbled %llu, late %llu, "
                 "foreign %llu, no frames %llu, clients refused %llu",
                 i, (unsigned long long)stats.requests, (unsigned long long)stats.replies,
                 (unsigned long long)stats.lost, (unsigned long long)stats.garbled,
                 (unsigned long long)stats.late, (unsigned long long)stats.foreign,
                 (unsigned long long)stats.crc_errors, (unsigned long long)stats.refused);
    }
}

static int simulate(const struct sim_config *config)
{
    struct message message = {""};
    struct simulator simulator;
    int signal_fd = take_signals();
    int err = simulator_init(&simulator, config, clock_read(clock_real()), &message);
    if (err || signal_fd < 0) {
        log_error("simulator", "%s", message.text);
    } else {
        for (size_t i = 0; i < simulator.link_count; i++)
            say_link(&simulator, i);
        notify_socket_send("READY=1");
        run(&simulator, signal_fd);
        say_stats(&simulator);
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
        printf("%s: %zu plants, %zu links, %zu incidents\n", path, config->plant_count,
               config->link_count, config->incident_count);
        status = EXIT_SUCCESS;
    } else {
        status = simulate(config);
    }
    sim_config_free(config);
    config_errors_release(&errors);
    return status;
}
