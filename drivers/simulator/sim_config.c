#include "drivers/simulator/sim_config.h"

#include "base/text.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define TEN_YEARS_MS 315576000000.0
#define ANY_NUMBER   1e300

struct file_yaml {
    int64_t seed;
    double speed;
    const struct yaml_node *links, *scenario;
};

static const struct config_key file_keys[] = {
    {"seed", CONFIG_INT, offsetof(struct file_yaml, seed), 0, 0, 9e15, "1", NULL, false,
     "the same seed gives the same plants", "随机种子"},
    {"speed", CONFIG_DOUBLE, offsetof(struct file_yaml, speed), 0, 0.001, 100000, "1", NULL, false,
     "plant seconds a second", "时间倍率"},
    {"links", CONFIG_SUBTREE, offsetof(struct file_yaml, links), 0, 0, 0, NULL, NULL, false,
     "where instruments answer", "监听端口"},
    {"scenario", CONFIG_SUBTREE, offsetof(struct file_yaml, scenario), 0, 0, 0, "", NULL, false,
     "what happens when", "事件脚本"},
    {0},
};

struct link_yaml {
    char listen[80];
    const struct yaml_node *units;
};

static const struct config_key link_keys[] = {
    {"listen", CONFIG_TEXT, offsetof(struct link_yaml, listen), 80, 0, 0, NULL, NULL, false,
     "address and port; port 0 takes a free one", "监听地址"},
    {"units", CONFIG_SUBTREE, offsetof(struct link_yaml, units), 0, 0, 0, NULL, NULL, false,
     "the instruments behind it", "从站列表"},
    {0},
};

struct unit_yaml {
    int64_t unit;
    char plant[65];
    char map[FILE_PATH_SIZE];
};

static const struct config_key unit_keys[] = {
    {"unit", CONFIG_INT, offsetof(struct unit_yaml, unit), 0, 1, 247, NULL, NULL, false,
     "its Modbus address", "从站地址"},
    {"plant", CONFIG_NAME, offsetof(struct unit_yaml, plant), 65, 0, 0, NULL, NULL, false,
     "leachate, transfer, gas or kitchen", "工艺模型"},
    {"map", CONFIG_PATH, offsetof(struct unit_yaml, map), FILE_PATH_SIZE, 0, 0, NULL, NULL, false,
     "its register map", "寄存器表"},
    {0},
};

static const char *const kind_words[] = {"add", "set", "freeze", "dead", "exception", NULL};

struct incident_yaml {
    int64_t at_ms, for_ms, link, unit;
    char variable[65];
    int kind;
    double amount;
};

static const struct config_key incident_keys[] = {
    {"at", CONFIG_DURATION, offsetof(struct incident_yaml, at_ms), 0, 0, TEN_YEARS_MS, NULL, NULL,
     false, "when it begins, from the start", "开始时刻"},
    {"for", CONFIG_DURATION, offsetof(struct incident_yaml, for_ms), 0, 0, TEN_YEARS_MS, NULL, NULL,
     false, "how long it lasts", "持续时间"},
    {"link", CONFIG_INT, offsetof(struct incident_yaml, link), 0, 0, SIM_LINKS_MAX - 1, "0", NULL,
     false, "which link, from 0", "第几个端口，从 0 起"},
    {"unit", CONFIG_INT, offsetof(struct incident_yaml, unit), 0, 1, 247, "1", NULL, false,
     "which unit on it", "从站地址"},
    {"kind", CONFIG_CHOICE, offsetof(struct incident_yaml, kind), 0, 0, 0, NULL, kind_words, false,
     "add, set, freeze (one variable), dead, exception (the unit)", "事件种类"},
    {"variable", CONFIG_TEXT, offsetof(struct incident_yaml, variable), 65, 0, 0, "", NULL, false,
     "the plant's variable", "变量名"},
    {"amount", CONFIG_DOUBLE, offsetof(struct incident_yaml, amount), 0, -ANY_NUMBER, ANY_NUMBER,
     "0", NULL, false, "for add and set", "数值"},
    {0},
};

static void read_unit(const struct yaml_tree *tree, const struct yaml_node *node,
                      struct sim_unit_config *unit, struct config_errors *errors)
{
    struct unit_yaml from = {0};
    size_t before = errors->count;
    config_read(tree, node, unit_keys, &from, errors);
    if (errors->count > before)
        return;
    unit->unit = (int)from.unit;
    unit->model = plant_model_find(from.plant);
    if (!unit->model)
        yaml_complain(tree, yaml_member(node, "plant"), errors, "no plant '%s'; expected %s",
                      from.plant, plant_model_names());
    /* What is wrong with the map is told in `errors` with the map's own name. */
    (void)!register_map_read(from.map, &unit->map, errors);
}

static void read_link(const struct yaml_tree *tree, const struct yaml_node *node,
                      struct sim_link_config *link, struct config_errors *errors)
{
    struct link_yaml from = {0};
    config_read(tree, node, link_keys, &from, errors);
    if (from.listen[0] && endpoint_parse(from.listen, &link->listen))
        yaml_complain(tree, yaml_member(node, "listen"), errors,
                      "'%s'; expected a numeric address and a port, as in 127.0.0.1:1502",
                      from.listen);
    if (!from.units || from.units->type != YAML_LIST || from.units->count > SIM_UNITS_MAX) {
        yaml_complain(tree, node, errors, "expected `units`: a list of at most %d", SIM_UNITS_MAX);
        return;
    }
    link->units = calloc(from.units->count + 1, sizeof(*link->units));
    for (const struct yaml_node *child = from.units->first; link->units && child;
         child = child->next)
        read_unit(tree, child, &link->units[link->unit_count++], errors);
}

static int find_unit(const struct sim_link_config *link, int64_t unit, size_t *ret_index)
{
    for (size_t i = 0; i < link->unit_count; i++)
        if (link->units[i].unit == unit) {
            *ret_index = i;
            return 0;
        }
    return ERR_NOT_FOUND;
}

static int find_variable(const struct plant_model *model, const char *name)
{
    for (int i = 0; model->variables[i]; i++)
        if (strcmp(model->variables[i], name) == 0)
            return i;
    return -1;
}

static void read_incident(const struct yaml_tree *tree, const struct yaml_node *node,
                          struct sim_config *config, struct config_errors *errors)
{
    struct incident_yaml from = {0};
    size_t before = errors->count;
    config_read(tree, node, incident_keys, &from, errors);
    if (errors->count > before)
        return;
    struct incident *incident = &config->incidents[config->incident_count++];
    *incident = (struct incident){.at_ms = from.at_ms,
                                  .for_ms = from.for_ms,
                                  .link = (size_t)from.link,
                                  .variable = -1,
                                  .kind = (enum incident_kind)from.kind,
                                  .amount = from.amount};
    if (incident->link >= config->link_count ||
        find_unit(&config->links[incident->link], from.unit, &incident->unit)) {
        yaml_complain(tree, node, errors, "there is no unit %d on link %d", (int)from.unit,
                      (int)from.link);
        return;
    }
    if (incident->kind == INCIDENT_DEAD || incident->kind == INCIDENT_EXCEPTION)
        return;
    const struct sim_unit_config *unit = &config->links[incident->link].units[incident->unit];
    incident->variable = unit->model ? find_variable(unit->model, from.variable) : -1;
    if (unit->model && incident->variable < 0)
        yaml_complain(tree, node, errors, "plant %s has no variable '%s'", unit->model->name,
                      from.variable);
}

static void read_tree(const struct yaml_tree *tree, struct sim_config *config,
                      struct config_errors *errors)
{
    struct file_yaml file = {0};
    config_read(tree, yaml_root(tree), file_keys, &file, errors);
    config->seed = (uint64_t)file.seed;
    config->speed = file.speed;
    if (!file.links || file.links->type != YAML_LIST || file.links->count > SIM_LINKS_MAX) {
        yaml_complain(tree, yaml_root(tree), errors, "expected `links`: a list of at most %d",
                      SIM_LINKS_MAX);
        return;
    }
    config->links = calloc(file.links->count + 1, sizeof(*config->links));
    for (const struct yaml_node *child = file.links->first; config->links && child;
         child = child->next)
        read_link(tree, child, &config->links[config->link_count++], errors);
    if (!file.scenario)
        return;
    if (file.scenario->type != YAML_LIST || file.scenario->count > SIM_INCIDENTS_MAX) {
        yaml_complain(tree, file.scenario, errors, "expected a list of at most %d incidents",
                      SIM_INCIDENTS_MAX);
        return;
    }
    config->incidents = calloc(file.scenario->count + 1, sizeof(*config->incidents));
    for (const struct yaml_node *child = file.scenario->first; config->incidents && child;
         child = child->next)
        read_incident(tree, child, config, errors);
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
        for (size_t n = 0; n < config->links[i].unit_count; n++)
            register_map_free(config->links[i].units[n].map);
        free(config->links[i].units);
    }
    free(config->links);
    free(config->incidents);
    free(config);
}
