#include "drivers/simulator/simulator.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/notify_socket.h"
#include "drivers/simulator/incidents.h"
#include "drivers/simulator/sim_config.h"
#include "drivers/simulator/sim_link.h"

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
 * registers, and answers in between. A register map names the variables. The plants have a clock of
 * their own, which runs `speed` times as fast as the machine's; a map's row with `time: device`
 * shows it.
 *
 * A step: disturbances are set, processes move on, each unit takes what the instruments show, then
 * what is wrong with its own instruments, with units and with links is laid over it. A step is due
 * early where an incident begins or ends, and what begins and ends within one step, because the
 * plants' clock runs so fast, cuts it: no incident is passed over. A unit that plays a recorded
 * series in lock-step moves on between steps, when its reader asks again.
 */

#define STEP_MS 100

struct simulator {
    const struct sim_config *config;
    struct plant *plants;
    struct sim_link *links;
    size_t link_count;
    struct incidents incidents;
    int64_t begin_us, due_us; /* of the next step */
    int64_t start_ms;         /* the plants' clock at the beginning */
    int64_t elapsed_ms;       /* on it since */
};

/* ---- life ---- */

static void simulator_release(struct simulator *simulator)
{
    for (size_t i = 0; i < simulator->link_count; i++)
        sim_link_close(&simulator->links[i]);
    free(simulator->links);
    free(simulator->plants);
    incidents_release(&simulator->incidents);
}

static int simulator_init(struct simulator *simulator, const struct sim_config *config,
                          struct now now, struct message *message)
{
    *simulator = (struct simulator){.config = config,
                                    .begin_us = now.mono_us,
                                    .start_ms = config->start_ms ? config->start_ms : now.wall_ms};
    simulator->links = calloc(config->link_count + 1, sizeof(*simulator->links));
    simulator->plants = calloc(config->plant_count + 1, sizeof(*simulator->plants));
    int err = incidents_init(&simulator->incidents, config);
    if (!simulator->links || !simulator->plants || err)
        return message_set(message, ERR_NO_MEMORY, "simulator: out of memory");
    for (size_t i = 0; i < config->plant_count; i++)
        plant_init(&simulator->plants[i], config->plants[i].model, config->seed + 1000 * i,
                   simulator->start_ms);
    for (size_t i = 0; !err && i < config->link_count; i++) {
        simulator->link_count++;
        err =
            sim_link_open(&simulator->links[i], config, i, simulator->plants, now.mono_us, message);
    }
    return err;
}

/* ---- a step ---- */

/* No incident begins or ends on the way. */
static void move_on(struct simulator *simulator, int64_t to_ms)
{
    incidents_disturb(&simulator->incidents, simulator->plants, simulator->elapsed_ms);
    simulator->elapsed_ms = to_ms;
    for (size_t i = 0; i < simulator->config->plant_count; i++)
        plant_step(&simulator->plants[i], simulator->start_ms + to_ms);
    for (size_t i = 0; i < simulator->link_count; i++)
        sim_link_look(&simulator->links[i]);
    incidents_lay_over(&simulator->incidents, simulator->links, to_ms);
}

/* When the plants' clock has come so far, on the machine's. */
static int64_t machine_us(const struct simulator *simulator, int64_t elapsed_ms)
{
    double us = ceil((double)elapsed_ms * US_PER_MS / simulator->config->speed);
    return elapsed_ms == NEVER ? NEVER : simulator->begin_us + (int64_t)us;
}

static void step(struct simulator *simulator, int64_t now_us)
{
    int64_t elapsed_ms =
        (int64_t)((double)(now_us - simulator->begin_us) / US_PER_MS * simulator->config->speed);
    int64_t next_ms;
    while ((next_ms = incidents_next(&simulator->incidents, simulator->elapsed_ms)) < elapsed_ms)
        move_on(simulator, next_ms);
    move_on(simulator, elapsed_ms);
    for (size_t i = 0; i < simulator->link_count; i++)
        sim_link_show(&simulator->links[i], simulator->start_ms + elapsed_ms, now_us);
    int64_t edge_us =
        machine_us(simulator, incidents_next(&simulator->incidents, simulator->elapsed_ms));
    simulator->due_us = now_us + STEP_MS * US_PER_MS;
    simulator->due_us = edge_us < simulator->due_us ? edge_us : simulator->due_us;
}

/* ---- the program ---- */

/* How long nothing has to be done unless something comes, rounded up to what poll can wait. */
static int wait_ms(const struct simulator *simulator, int64_t now_us)
{
    int64_t due_us = simulator->due_us;
    for (size_t i = 0; i < simulator->link_count; i++) {
        int64_t link_us = sim_link_due(&simulator->links[i]);
        due_us = link_us < due_us ? link_us : due_us;
    }
    return due_us > now_us ? (int)((due_us - now_us) / US_PER_MS) + 1 : 0;
}

/* Was it told to stop? */
static bool is_stopped(int signal_fd)
{
    struct signalfd_siginfo info;
    if (read(signal_fd, &info, sizeof(info)) != sizeof(info))
        return false;
    if (info.ssi_signo != SIGHUP)
        return true;
    log_info("simulator", "a changed configuration is taken at the next start: restart it");
    return false;
}

/* Until it is told to stop. ERR_IO: it cannot go on. */
static int run(struct simulator *simulator, int signal_fd, struct message *message)
{
    size_t count = simulator->link_count;
    struct pollfd fds[2 * SIM_LINKS_MAX + 1];
    for (size_t i = 0; i < count; i++) {
        const struct sim_link *link = &simulator->links[i];
        fds[i] = (struct pollfd){server_fd(link->server), POLLIN, 0};
        fds[count + i] =
            (struct pollfd){link->bridge ? serial_bridge_fd(link->bridge) : -1, POLLIN, 0};
    }
    fds[2 * count] = (struct pollfd){signal_fd, POLLIN, 0};
    move_on(simulator, 0);
    while (!is_stopped(signal_fd)) {
        struct now now = clock_read(clock_real());
        if (now.mono_us >= simulator->due_us)
            step(simulator, now.mono_us);
        if (poll(fds, 2 * count + 1, wait_ms(simulator, now.mono_us)) < 0 && errno != EINTR)
            return message_errno(message, ERR_IO, "cannot wait for requests");
        now = clock_read(clock_real());
        for (size_t i = 0; i < count; i++)
            if (fds[i].revents || fds[count + i].revents ||
                sim_link_due(&simulator->links[i]) <= now.mono_us)
                sim_link_step(&simulator->links[i], now.mono_us);
    }
    return 0;
}

static int take_signals(int *ret_fd, struct message *message)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return message_errno(message, ERR_IO, "cannot take signals");
    *ret_fd = fd;
    return 0;
}

static int serve(struct simulator *simulator, int signal_fd, struct message *message)
{
    for (size_t i = 0; i < simulator->link_count; i++)
        sim_link_say_place(&simulator->links[i]);
    notify_socket_send("READY=1");
    int err = run(simulator, signal_fd, message);
    for (size_t i = 0; i < simulator->link_count; i++)
        sim_link_say_stats(&simulator->links[i]);
    return err;
}

static int simulate(const struct sim_config *config)
{
    struct message message = {""};
    struct simulator simulator = {0};
    int signal_fd = -1;
    int err = take_signals(&signal_fd, &message);
    if (!err)
        err = simulator_init(&simulator, config, clock_read(clock_real()), &message);
    if (!err)
        err = serve(&simulator, signal_fd, &message);
    if (err)
        log_error("simulator", "%s", message.text);
    else
        log_info("simulator", "stopped");
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
