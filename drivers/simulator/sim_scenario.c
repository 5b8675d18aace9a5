#include "drivers/simulator/sim_scenario.h"

#include <stddef.h>
#include <stdlib.h>

#define TEN_YEARS_MS 315360000000.0
#define ANY_NUMBER   1e300

/* As much as YAML may be (and a byte: more is refused, with words). */
#define SCENARIO_MAX_BYTES (1024 * 1024 + 1)

/* What the word in `variable` names. */
enum target { TARGET_VARIABLE, TARGET_DISTURBANCE, TARGET_UNIT, TARGET_LINK };

static const char *const kind_words[] = {"add",  "set",       "freeze", "fault", "disturb",
                                         "dead", "exception", "noise",  NULL};

static const enum target targets[] = {
    [INCIDENT_ADD] = TARGET_VARIABLE,        [INCIDENT_SET] = TARGET_VARIABLE,
    [INCIDENT_FREEZE] = TARGET_VARIABLE,     [INCIDENT_FAULT] = TARGET_VARIABLE,
    [INCIDENT_DISTURB] = TARGET_DISTURBANCE, [INCIDENT_DEAD] = TARGET_UNIT,
    [INCIDENT_EXCEPTION] = TARGET_UNIT,      [INCIDENT_NOISE] = TARGET_LINK,
};

struct incident_yaml {
    int64_t at_ms, for_ms, every_ms, link, unit;
    char variable[65];
    int kind;
    double amount;
};

static const struct config_key incident_keys[] = {
    {"at", CONFIG_DURATION, offsetof(struct incident_yaml, at_ms), 0, 0, TEN_YEARS_MS, NULL, NULL,
     false, "when it begins, from the start", "开始时刻"},
    {"for", CONFIG_DURATION, offsetof(struct incident_yaml, for_ms), 0, 0, TEN_YEARS_MS, NULL, NULL,
     false, "how long it lasts", "持续时间"},
    {"every", CONFIG_DURATION, offsetof(struct incident_yaml, every_ms), 0, 0, TEN_YEARS_MS, "0s",
     NULL, false, "it comes again that often; 0s: once", "重复周期，0s 为一次"},
    {"link", CONFIG_INT, offsetof(struct incident_yaml, link), 0, 0, SIM_LINKS_MAX - 1, "0", NULL,
     false, "which link, from 0", "第几个端口，从 0 起"},
    {"unit", CONFIG_INT, offsetof(struct incident_yaml, unit), 0, 1, 247, "1", NULL, false,
     "which unit on it", "从站地址"},
    {"kind", CONFIG_CHOICE, offsetof(struct incident_yaml, kind), 0, 0, 0, NULL, kind_words, false,
     "add, set, freeze, fault (an instrument), disturb (the process), dead, exception (the unit), "
     "noise (the link)",
     "事件种类"},
    {"variable", CONFIG_TEXT, offsetof(struct incident_yaml, variable), 65, 0, 0, "", NULL, false,
     "the plant's variable, or its disturbance", "变量名或扰动名"},
    {"amount", CONFIG_DOUBLE, offsetof(struct incident_yaml, amount), 0, -ANY_NUMBER, ANY_NUMBER,
     "1", NULL, false, "how much; of noise the share of replies, 0 to 1", "数值"},
    {0},
};

static bool find_unit(const struct sim_link_config *link, int64_t unit, size_t *ret_index)
{
    for (size_t i = 0; i < link->unit_count; i++)
        if (link->units[i].unit == unit) {
            *ret_index = i;
            return true;
        }
    return false;
}

/* The plant's variable or disturbance that the incident names. */
static void find_variable(const struct yaml_tree *tree, const struct yaml_node *node,
                          const struct sim_config *config, const char *name, enum target target,
                          struct incident *incident, struct config_errors *errors)
{
    size_t plant = config->links[incident->link].units[incident->unit].plant;
    if (plant == SIM_NO_PLANT) {
        yaml_complain(tree, node, errors,
                      "this unit plays a recorded series: expected dead, exception or noise");
        return;
    }
    const struct plant_model *model = config->plants[plant].model;
    if (!model) /* which was told */
        return;
    bool variable = target == TARGET_VARIABLE;
    int number = variable ? plant_find_variable(model, name) : plant_find_disturbance(model, name);
    if (number < 0)
        yaml_complain(tree, yaml_member(node, "variable") ? yaml_member(node, "variable") : node,
                      errors, "plant %s has no %s '%s'", model->name,
                      variable ? "variable" : "disturbance", name);
    else
        incident->variable = (size_t)number;
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
                                  .every_ms = from.every_ms,
                                  .link = (size_t)from.link,
                                  .kind = (enum incident_kind)from.kind,
                                  .amount = from.amount};
    enum target target = targets[incident->kind];
    if (incident->every_ms && incident->every_ms < incident->for_ms)
        yaml_complain(tree, yaml_member(node, "every"), errors,
                      "comes again before it is over; expected at least the time under `for`");
    if (incident->every_ms && incident->every_ms < PLANT_STEP_MS)
        yaml_complain(tree, yaml_member(node, "every"), errors, "expected 0s, or at least %dms",
                      PLANT_STEP_MS);
    if (target == TARGET_DISTURBANCE && incident->for_ms < PLANT_STEP_MS)
        yaml_complain(tree, yaml_member(node, "for"), errors,
                      "processes move on by whole seconds; expected at least %dms", PLANT_STEP_MS);
    if (incident->link >= config->link_count)
        yaml_complain(tree, node, errors, "there is no link %d", (int)from.link);
    else if (target == TARGET_LINK && (from.amount < 0 || from.amount > 1))
        yaml_complain(tree, node, errors, "noise is a share of the replies; expected 0 to 1");
    else if (target != TARGET_LINK &&
             !find_unit(&config->links[incident->link], from.unit, &incident->unit))
        yaml_complain(tree, node, errors, "there is no unit %d on link %d", (int)from.unit,
                      (int)from.link);
    else if (target == TARGET_VARIABLE || target == TARGET_DISTURBANCE)
        find_variable(tree, node, config, from.variable, target, incident, errors);
}

static void read_list(const struct yaml_tree *tree, const struct yaml_node *node,
                      struct sim_config *config, struct config_errors *errors)
{
    if (!node || node->type != YAML_LIST || node->count > SIM_INCIDENTS_MAX) {
        yaml_complain(tree, node ? node : yaml_root(tree), errors,
                      "expected `scenario`: a list of at most %d incidents", SIM_INCIDENTS_MAX);
        return;
    }
    config->incidents = calloc(node->count + 1, sizeof(*config->incidents));
    if (!config->incidents)
        yaml_complain(tree, node, errors, "not enough memory for %zu incidents", node->count);
    for (const struct yaml_node *child = node->first; config->incidents && child;
         child = child->next)
        read_incident(tree, child, config, errors);
}

static void read_file(const struct yaml_tree *tree, const struct yaml_node *node, const char *path,
                      struct sim_config *config, struct config_errors *errors)
{
    struct yaml_tree *file = NULL;
    struct message message = {""};
    struct buffer text;
    buffer_init(&text, SCENARIO_MAX_BYTES);
    if (file_read(path, &text, &message))
        yaml_complain(tree, node, errors, "%s", message.text);
    else if (!yaml_read_text(path, buffer_text(&text), text.len, &file, errors))
        read_list(file, yaml_member(yaml_root(file), "scenario"), config, errors);
    yaml_free(file);
    buffer_release(&text);
}

void sim_scenario_read(const struct yaml_tree *tree, const struct yaml_node *node,
                       struct sim_config *config, struct config_errors *errors)
{
    char folder[FILE_PATH_SIZE], path[FILE_PATH_SIZE];
    if (node->type != YAML_SCALAR)
        read_list(tree, node, config, errors);
    else if (path_folder(yaml_file(tree), folder) || path_join(folder, node->text, path))
        yaml_complain(tree, node, errors, "too long a path");
    else
        read_file(tree, node, path, config, errors);
}
