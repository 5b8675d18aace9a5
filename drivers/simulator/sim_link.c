#include "drivers/simulator/sim_link.h"

#include "base/log.h"
#include "drivers/simulator/encode.h"

#include <stdlib.h>
#include <string.h>

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

static int unit_init(struct sim_unit *unit, struct server_unit *memory,
                     const struct sim_unit_config *config, struct plant *plants, int64_t now_us)
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
                    config->replay_speed, now_us);
        memory->on_read = on_read;
        memory->on_request = on_request;
        memory->self = unit;
        return 0;
    }
    unit->plant = &plants[config->plant];
    for (size_t i = 0; i < count; i++)
        unit->variables[i] =
            plant_find_variable(unit->plant->model, register_map_at(config->map, i)->name);
    return 0;
}

int sim_link_open(struct sim_link *link, const struct sim_config *config, size_t number,
                  struct plant *plants, int64_t now_us, struct message *message)
{
    const struct sim_link_config *own = &config->links[number];
    *link = (struct sim_link){.number = number, .config = own};
    link->units = calloc(own->unit_count + 1, sizeof(*link->units));
    link->memory = calloc(own->unit_count + 1, sizeof(*link->memory));
    int err = link->units && link->memory ? 0 : ERR_NO_MEMORY;
    for (size_t i = 0; !err && i < own->unit_count; i++) {
        link->unit_count++;
        err = unit_init(&link->units[i], &link->memory[i], &own->units[i], plants, now_us);
    }
    if (err)
        return message_set(message, err, "simulator: out of memory");
    struct server_listen listen = {
        .pty = own->pty[0] ? own->pty : NULL,
        .baud = own->baud,
        .endpoint = own->endpoint,
        .seed = config->seed + number + 1,
    };
    err = server_open(&listen, link->memory, link->unit_count, &link->server, message);
    if (!err && own->bridged)
        err = serial_bridge_open(own->pty, &own->bridge, own->heartbeat_ms, &link->bridge, message);
    return err;
}

void sim_link_close(struct sim_link *link)
{
    serial_bridge_close(link->bridge);
    server_close(link->server);
    for (size_t i = 0; i < link->unit_count; i++) {
        free(link->units[i].variables);
        free(link->memory[i].registers);
        free(link->memory[i].bits);
    }
    free(link->units);
    free(link->memory);
}

/* ---- a step ---- */

int64_t sim_link_due(const struct sim_link *link)
{
    int64_t due_us = server_due(link->server);
    if (link->bridge && serial_bridge_due(link->bridge) < due_us)
        due_us = serial_bridge_due(link->bridge);
    return due_us;
}

void sim_link_step(struct sim_link *link, int64_t now_us)
{
    server_step(link->server, now_us);
    if (link->bridge)
        serial_bridge_step(link->bridge, now_us);
}

void sim_link_look(struct sim_link *link)
{
    server_set_noise(link->server, 0);
    for (size_t i = 0; i < link->unit_count; i++) {
        struct sim_unit *unit = &link->units[i];
        link->memory[i].dead = link->memory[i].exception = false;
        if (unit->plant)
            memcpy(unit->shown, unit->plant->shown, sizeof(unit->shown));
    }
}

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
            /* The configuration has refused what holds no number. */
            (void)!encode_registers(reg, value, memory->registers);
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

void sim_link_show(struct sim_link *link, int64_t plant_ms, int64_t now_us)
{
    for (size_t i = 0; i < link->unit_count; i++)
        if (link->units[i].plant)
            show(&link->units[i], &link->memory[i], plant_ms);
        else
            play(&link->units[i], now_us);
}

/* ---- the log ---- */

void sim_link_say_place(const struct sim_link *link)
{
    if (link->config->pty[0])
        log_info("simulator", "link %zu listens on %s with %zu units", link->number,
                 link->config->pty, link->unit_count);
    else
        log_info("simulator", "link %zu listens on port %u with %zu units", link->number,
                 server_port(link->server), link->unit_count);
}

void sim_link_say_stats(const struct sim_link *link)
{
    struct server_stats stats;
    server_stats(link->server, &stats);
    log_info("simulator",
             "link %zu: requests %llu, replies %llu, lost %llu, garbled %llu, late %llu, "
             "foreign %llu, unheard %llu, no frames %llu, clients refused %llu, kept waiting %llu",
             link->number, (unsigned long long)stats.requests, (unsigned long long)stats.replies,
             (unsigned long long)stats.lost, (unsigned long long)stats.garbled,
             (unsigned long long)stats.late, (unsigned long long)stats.foreign,
             (unsigned long long)stats.unheard, (unsigned long long)stats.crc_errors,
             (unsigned long long)stats.refused, (unsigned long long)stats.kept_waiting);
}
