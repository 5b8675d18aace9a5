#include "drivers/simulator/sim_config.h"

#include "base/clock.h"
#include "base/csv.h"
#include "base/text.h"
#include "drivers/simulator/encode.h"
#include "drivers/simulator/server.h"
#include "drivers/simulator/sim_scenario.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PTY_SCHEME       "pty:"
#define MODEL_NAMES_SIZE 256
#define MISTAKES_TOLD    50

struct file_yaml {
    int64_t seed;
    double speed;
    char start[40];
    const struct yaml_node *plants, *links, *scenario;
};

static const struct config_key file_keys[] = {
    {"seed", CONFIG_INT, offsetof(struct file_yaml, seed), 0, 0, 9e15, "1", NULL, false,
     "the same seed gives the same plants", "随机种子"},
    {"speed", CONFIG_DOUBLE, offsetof(struct file_yaml, speed), 0, 0.001, 100000, "1", NULL, false,
     "seconds of the plants' clock a second", "时间倍率"},
    {"start", CONFIG_TEXT, offsetof(struct file_yaml, start), 40, 0, 0, "", NULL, false,
     "the plants' clock at the start, as in 2026-01-05T00:00:00+08:00; now when left out",
     "模型起始时间，省略为当前"},
    {"plants", CONFIG_SUBTREE, offsetof(struct file_yaml, plants), 0, 0, 0, "", NULL, false,
     "plants with names of their own", "工厂列表"},
    {"links", CONFIG_SUBTREE, offsetof(struct file_yaml, links), 0, 0, 0, NULL, NULL, false,
     "where instruments answer", "监听端口"},
    {"scenario", CONFIG_SUBTREE, offsetof(struct file_yaml, scenario), 0, 0, 0, "", NULL, false,
     "what happens when: a list, or a file that holds it", "事件脚本，列表或文件"},
    {0},
};

struct plant_yaml {
    char name[65], model[65];
};

static const struct config_key plant_keys[] = {
    {"name", CONFIG_NAME, offsetof(struct plant_yaml, name), 65, 0, 0, NULL, NULL, false,
     "what units call it", "名称"},
    {"model", CONFIG_NAME, offsetof(struct plant_yaml, model), 65, 0, 0, NULL, NULL, false,
     "leachate, transfer, gas or kitchen", "工艺模型"},
    {0},
};

struct link_yaml {
    char listen[FILE_PATH_SIZE];
    int64_t baud;
    char bridge[FILE_PATH_SIZE];
    int64_t heartbeat_ms;
    const struct yaml_node *units;
};

static const struct config_key link_keys[] = {
    {"listen", CONFIG_TEXT, offsetof(struct link_yaml, listen), FILE_PATH_SIZE, 0, 0, NULL, NULL,
     false, "address and port (0 takes a free one), or pty: and the path of a serial line",
     "监听地址，或 pty:路径"},
    {"baud", CONFIG_INT, offsetof(struct link_yaml, baud), 0, 0, SERVER_BAUD_MAX, "0", NULL, false,
     "a serial line's speed; 0: as fast as it can", "波特率，0 为不限速"},
    {"bridge", CONFIG_TEXT, offsetof(struct link_yaml, bridge), FILE_PATH_SIZE, 0, 0, "", NULL,
     false,
     "a serial line's server: rtu+tcp://ADDRESS:PORT where it listens, or "
     "dtu://ADDRESS:PORT?register=TEXT&heartbeat=TEXT, to where it calls",
     "串口服务器：监听地址，或 DTU 主动连接的地址"},
    {"heartbeat", CONFIG_DURATION, offsetof(struct link_yaml, heartbeat_ms), 0, 10, 3600000, "30s",
     NULL, false, "how often a DTU says its heartbeat", "DTU 心跳周期"},
    {"units", CONFIG_SUBTREE, offsetof(struct link_yaml, units), 0, 0, 0, NULL, NULL, false,
     "the instruments behind it", "从站列表"},
    {0},
};

struct unit_yaml {
    int64_t unit;
    char plant[65];
    char map[FILE_PATH_SIZE];
    const struct yaml_node *replay;
};

static const struct config_key unit_keys[] = {
    {"unit", CONFIG_INT, offsetof(struct unit_yaml, unit), 0, 1, 247, NULL, NULL, false,
     "its Modbus address", "从站地址"},
    {"plant", CONFIG_TEXT, offsetof(struct unit_yaml, plant), 65, 0, 0, "", NULL, false,
     "a name under `plants`, or a model", "工厂名或工艺模型"},
    {"map", CONFIG_PATH, offsetof(struct unit_yaml, map), FILE_PATH_SIZE, 0, 0, NULL, NULL, false,
     "its register map", "寄存器表"},
    {"replay", CONFIG_SUBTREE, offsetof(struct unit_yaml, replay), 0, 0, 0, "", NULL, false,
     "the recorded series it plays instead of a plant", "回放的历史数据"},
    {0},
};

static const char *const advance_words[] = {"read", "clock", NULL};
enum advance { ADVANCE_READ, ADVANCE_CLOCK };

struct replay_yaml {
    struct replay_options options;
    int advance;
    double speed;
    const struct yaml_node *columns;
};

static const struct config_key replay_keys[] = {
    {"file", CONFIG_PATH, offsetof(struct replay_yaml, options.file), FILE_PATH_SIZE, 0, 0, NULL,
     NULL, false, "a CSV file, a row for each moment", "CSV 文件"},
    {"time", CONFIG_TEXT, offsetof(struct replay_yaml, options.time_column), 65, 0, 0, "time", NULL,
     false, "the column that holds the rows' times", "时间列"},
    {"zone", CONFIG_TEXT, offsetof(struct replay_yaml, options.zone), 8, 0, 0, "+08:00", NULL,
     false, "of times without one", "时区"},
    {"advance", CONFIG_CHOICE, offsetof(struct replay_yaml, advance), 0, 0, 0, "read",
     advance_words, false,
     "read: to the next row when its reader has all of it and asks again; clock: as its time comes",
     "read 读完一行、再次请求时前进；clock 按时间前进"},
    {"speed", CONFIG_DOUBLE, offsetof(struct replay_yaml, speed), 0, 0.001, 1e9, "1", NULL, false,
     "for advance: clock, seconds of the series a second", "回放倍率"},
    {"columns", CONFIG_SUBTREE, offsetof(struct replay_yaml, columns), 0, 0, 0, "", NULL, false,
     "which column goes to which register; by their names when left out", "列与寄存器的对应"},
    {0},
};

static const struct config_key column_keys[] = {
    {"register", CONFIG_TEXT, offsetof(struct replay_column, reg), 65, 0, 0, NULL, NULL, false,
     "name in the register map", "寄存器名"},
    {"column", CONFIG_TEXT, offsetof(struct replay_column, column), 65, 0, 0, "", NULL, false,
     "name in the CSV file; the register's when left out", "列名，省略同寄存器"},
    {"scale", CONFIG_DOUBLE, offsetof(struct replay_column, scale), 0, -1e12, 1e12, "1", NULL,
     false, "the register's value is the cell's times this", "换算系数"},
    {"sum", CONFIG_BOOL, offsetof(struct replay_column, sum), 0, 0, 0, "false", NULL, false,
     "the register holds the sum of all rows so far: a total", "累计值"},
    {0},
};

static bool is_list(const struct yaml_tree *tree, const struct yaml_node *node, size_t most,
                    const char *what, struct config_errors *errors)
{
    if (node && node->type == YAML_LIST && node->count <= most)
        return true;
    yaml_complain(tree, node ? node : yaml_root(tree), errors,
                  "expected `%s`: a list of at most %zu", what, most);
    return false;
}

/* ---- plants ---- */

/* "leachate, transfer …" */
static const char *model_names(char names[MODEL_NAMES_SIZE])
{
    size_t len = 0;
    names[0] = '\0';
    for (size_t i = 0; plant_model_at(i) && len < MODEL_NAMES_SIZE; i++) {
        const char *between = i == 0 ? "" : plant_model_at(i + 1) ? ", " : " or ";
        len += (size_t)snprintf(names + len, MODEL_NAMES_SIZE - len, "%s%s", between,
                                plant_model_at(i)->name);
    }
    return names;
}

static void read_plants(const struct yaml_tree *tree, const struct yaml_node *node,
                        struct sim_config *config, struct config_errors *errors)
{
    char names[MODEL_NAMES_SIZE];
    if (!is_list(tree, node, SIM_PLANTS_MAX, "plants", errors))
        return;
    for (const struct yaml_node *child = node->first; child; child = child->next) {
        struct plant_yaml from = {{0}, {0}};
        struct sim_plant_config *plant = &config->plants[config->plant_count++];
        config_read(tree, child, plant_keys, &from, errors);
        memcpy(plant->name, from.name, sizeof(plant->name));
        plant->model = plant_model_find(from.model);
        if (from.model[0] && !plant->model)
            yaml_complain(tree, yaml_member(child, "model"), errors, "no model '%s'; expected %s",
                          from.model, model_names(names));
        for (size_t i = 0; i + 1 < config->plant_count; i++)
            if (strcmp(config->plants[i].name, plant->name) == 0)
                yaml_complain(tree, child, errors, "plant '%s' is there already", plant->name);
    }
}

/* The plant of that name; a model's own plant is made when a unit first names it. */
static size_t find_plant(struct sim_config *config, const char *name)
{
    for (size_t i = 0; i < config->plant_count; i++)
        if (strcmp(config->plants[i].name, name) == 0)
            return i;
    const struct plant_model *model = plant_model_find(name);
    if (!model || config->plant_count == SIM_PLANTS_MAX)
        return SIM_NO_PLANT;
    struct sim_plant_config *plant = &config->plants[config->plant_count];
    plant->model = model;
    return text_copy(plant->name, sizeof(plant->name), name) ? SIM_NO_PLANT : config->plant_count++;
}

/* ---- units ---- */

static void read_columns(const struct yaml_tree *tree, const struct yaml_node *node,
                         struct replay_options *options, struct config_errors *errors)
{
    if (!is_list(tree, node, REPLAY_COLUMNS_MAX, "columns", errors))
        return;
    for (const struct yaml_node *child = node->first; child; child = child->next)
        config_read(tree, child, column_keys, &options->columns[options->column_count++], errors);
}

/* What is wrong within the series is told in `errors` with its own name. */
static void read_series(const struct yaml_tree *tree, const struct yaml_node *node,
                        const struct replay_options *options, struct sim_unit_config *unit,
                        struct config_errors *errors)
{
    struct message message = {""};
    struct buffer text;
    buffer_init(&text, CSV_MAX_BYTES);
    if (file_read(options->file, &text, &message))
        yaml_complain(tree, yaml_member(node, "file"), errors, "%s", message.text);
    else
        (void)!replay_parse(options, unit->map, buffer_text(&text), text.len, &unit->replay,
                            errors);
    buffer_release(&text);
}

static void read_replay(const struct yaml_tree *tree, const struct yaml_node *node,
                        struct sim_unit_config *unit, struct config_errors *errors)
{
    struct replay_yaml *from = calloc(1, sizeof(*from));
    size_t before = errors->count;
    if (!from) {
        yaml_complain(tree, node, errors, "not enough memory");
        return;
    }
    config_read(tree, node, replay_keys, from, errors);
    if (errors->count == before && !replay_zone_fits(from->options.zone))
        yaml_complain(tree, yaml_member(node, "zone"), errors,
                      "'%s' is no zone; expected it as in +08:00", from->options.zone);
    if (from->columns)
        read_columns(tree, from->columns, &from->options, errors);
    unit->replay_speed = from->advance == ADVANCE_CLOCK ? from->speed : 0;
    if (errors->count == before && unit->map)
        read_series(tree, node, &from->options, unit, errors);
    free(from);
}

/* A register that no variable is behind would be a plausible zero for ever. */
static void check_variables(const char *file, const struct register_map *map,
                            const struct plant_model *model, struct config_errors *errors)
{
    for (size_t i = 0; i < register_map_count(map); i++) {
        const struct map_register *reg = register_map_at(map, i);
        if ((int)i == register_map_clock(map))
            continue;
        bool has = plant_find_variable(model, reg->name) >= 0;
        if (has && encode_holds_number(reg))
            continue;
        if (errors->count++ >= MISTAKES_TOLD)
            continue;
        if (has)
            buffer_printf(&errors->text, "%s:%zu:1: '%s' is a number, which %s cannot hold\n", file,
                          reg->line, reg->name, reg->type_name);
        else
            buffer_printf(&errors->text,
                          "%s:%zu:1: plant %s has no variable '%s' to show in this register\n",
                          file, reg->line, model->name, reg->name);
    }
}

/* Which plant the unit shows. */
static void choose_plant(const struct yaml_tree *tree, const struct yaml_node *node,
                         struct sim_config *config, const struct unit_yaml *from,
                         struct sim_unit_config *unit, struct config_errors *errors)
{
    char names[MODEL_NAMES_SIZE];
    unit->plant = find_plant(config, from->plant);
    if (unit->plant == SIM_NO_PLANT)
        yaml_complain(tree, yaml_member(node, "plant"), errors,
                      "no plant '%s'; expected a name under `plants`, or %s", from->plant,
                      model_names(names));
    else if (unit->map && config->plants[unit->plant].model)
        check_variables(from->map, unit->map, config->plants[unit->plant].model, errors);
}

static void read_unit(const struct yaml_tree *tree, const struct yaml_node *node,
                      struct sim_config *config, struct sim_unit_config *unit,
                      struct config_errors *errors)
{
    struct unit_yaml from = {0};
    size_t before = errors->count;
    unit->plant = SIM_NO_PLANT;
    config_read(tree, node, unit_keys, &from, errors);
    if (errors->count > before)
        return;
    unit->unit = (int)from.unit;
    /* What is wrong with the map is told in `errors` with the map's own name. */
    (void)!register_map_read(from.map, &unit->map, errors);
    if ((from.plant[0] != '\0') == (from.replay != NULL))
        yaml_complain(tree, node, errors, "expected either `plant` or `replay`");
    else if (from.replay)
        read_replay(tree, from.replay, unit, errors);
    else
        choose_plant(tree, node, config, &from, unit, errors);
}

/* The latest unit of the link: an address answers once. */
static void check_address(const struct yaml_tree *tree, const struct yaml_node *node,
                          const struct sim_link_config *link, struct config_errors *errors)
{
    int unit = link->units[link->unit_count - 1].unit;
    for (size_t i = 0; unit && i + 1 < link->unit_count; i++)
        if (link->units[i].unit == unit) {
            yaml_complain(tree, yaml_member(node, "unit"), errors,
                          "unit %d is on this link already", unit);
            return;
        }
}

static void read_listen(const struct yaml_tree *tree, const struct yaml_node *node,
                        const struct link_yaml *from, struct sim_link_config *link,
                        struct config_errors *errors)
{
    char folder[FILE_PATH_SIZE];
    if (from->listen[0] && strncmp(from->listen, PTY_SCHEME, strlen(PTY_SCHEME)) != 0) {
        if (endpoint_parse(from->listen, &link->endpoint))
            yaml_complain(tree, yaml_member(node, "listen"), errors,
                          "'%s'; expected a numeric address and a port, as in 127.0.0.1:1502, or "
                          "pty: and a path",
                          from->listen);
        if (from->baud)
            yaml_complain(tree, yaml_member(node, "baud"), errors,
                          "only a serial line has a speed; expected `listen: pty:PATH`");
        return;
    }
    if (from->listen[0] && (path_folder(yaml_file(tree), folder) ||
                            path_join(folder, from->listen + strlen(PTY_SCHEME), link->pty)))
        yaml_complain(tree, yaml_member(node, "listen"), errors, "too long a path");
    link->baud = (unsigned)from->baud;
    if (link->baud && link->baud < SERVER_BAUD_MIN)
        yaml_complain(tree, yaml_member(node, "baud"), errors, "expected 0, or %d to %d bit/s",
                      SERVER_BAUD_MIN, SERVER_BAUD_MAX);
}

static void read_bridge(const struct yaml_tree *tree, const struct yaml_node *node,
                        const struct link_yaml *from, struct sim_link_config *link,
                        struct config_errors *errors)
{
    const struct yaml_node *at = yaml_member(node, "bridge");
    struct message message = {""};
    if (!from->bridge[0])
        return;
    link->bridged = true;
    link->heartbeat_ms = from->heartbeat_ms;
    if (!link->pty[0])
        yaml_complain(tree, at, errors, "only a serial line has one; expected `listen: pty:PATH`");
    else if (link_url_parse(from->bridge, &link->bridge, &message))
        yaml_complain(tree, at, errors, "'%.100s': %s", from->bridge, message.text);
    else if (link->bridge.kind != LINK_RTU_TCP && link->bridge.kind != LINK_DTU)
        yaml_complain(tree, at, errors, "'%.100s': expected rtu+tcp:// or dtu://", from->bridge);
}

static void read_link(const struct yaml_tree *tree, const struct yaml_node *node,
                      struct sim_config *config, struct sim_link_config *link,
                      struct config_errors *errors)
{
    struct link_yaml from = {0};
    config_read(tree, node, link_keys, &from, errors);
    read_listen(tree, node, &from, link, errors);
    read_bridge(tree, node, &from, link, errors);
    if (!is_list(tree, from.units, SIM_UNITS_MAX, "units", errors))
        return;
    link->units = calloc(from.units->count + 1, sizeof(*link->units));
    if (!link->units)
        yaml_complain(tree, node, errors, "not enough memory for %zu units", from.units->count);
    for (const struct yaml_node *child = from.units->first; link->units && child;
         child = child->next) {
        read_unit(tree, child, config, &link->units[link->unit_count++], errors);
        check_address(tree, child, link, errors);
    }
}

static bool is_same_place(const struct sim_link_config *a, const struct sim_link_config *b)
{
    if (a->pty[0] || b->pty[0])
        return strcmp(a->pty, b->pty) == 0;
    return a->endpoint.port != 0 && a->endpoint.port == b->endpoint.port &&
           strcmp(a->endpoint.host, b->endpoint.host) == 0;
}

/* The latest link: one place has one listener. */
static void check_place(const struct yaml_tree *tree, const struct yaml_node *node,
                        const struct sim_config *config, struct config_errors *errors)
{
    const struct sim_link_config *link = &config->links[config->link_count - 1];
    for (size_t i = 0; i + 1 < config->link_count; i++)
        if (is_same_place(&config->links[i], link)) {
            yaml_complain(tree, yaml_member(node, "listen"), errors,
                          "link %zu listens there already", i);
            return;
        }
}

/* ---- the file ---- */

static void read_tree(const struct yaml_tree *tree, struct sim_config *config,
                      struct config_errors *errors)
{
    struct file_yaml file = {0};
    config_read(tree, yaml_root(tree), file_keys, &file, errors);
    config->seed = (uint64_t)file.seed;
    config->speed = file.speed;
    if (file.start[0] && time_parse(file.start, &config->start_ms))
        yaml_complain(tree, yaml_member(yaml_root(tree), "start"), errors,
                      "'%s' is no time; expected it as in 2026-01-05T00:00:00+08:00", file.start);
    if (file.plants)
        read_plants(tree, file.plants, config, errors);
    if (!is_list(tree, file.links, SIM_LINKS_MAX, "links", errors))
        return;
    config->links = calloc(file.links->count + 1, sizeof(*config->links));
    if (!config->links)
        yaml_complain(tree, file.links, errors, "not enough memory for %zu links",
                      file.links->count);
    for (const struct yaml_node *child = file.links->first; config->links && child;
         child = child->next) {
        read_link(tree, child, config, &config->links[config->link_count++], errors);
        check_place(tree, child, config, errors);
    }
    if (file.scenario)
        sim_scenario_read(tree, file.scenario, config, errors);
}

int sim_config_load(const char *path, struct sim_config **ret_config, struct config_errors *errors)
{
    struct yaml_tree *tree = NULL;
    int err = yaml_read_file(path, &tree, errors);
    if (err)
        return err;
    struct sim_config *config = calloc(1, sizeof(*config));
    if (config)
        read_tree(tree, config, errors);
    yaml_free(tree);
    if (!config)
        return ERR_NO_MEMORY;
    if (errors->count) {
        sim_config_free(config);
        return ERR_INVALID;
    }
    *ret_config = config;
    return 0;
}

void sim_config_free(struct sim_config *config)
{
    if (!config)
        return;
    for (size_t i = 0; i < config->link_count; i++) {
        for (size_t n = 0; n < config->links[i].unit_count; n++) {
            replay_free(config->links[i].units[n].replay);
            register_map_free(config->links[i].units[n].map);
        }
        free(config->links[i].units);
    }
    free(config->links);
    free(config->incidents);
    free(config);
}
