#include "ctl/cmd_check.h"

#include "base/files.h"
#include "base/text.h"
#include "drivers/modbus/register_map.h"
#include "drivers/simulator/sim_config.h"
#include "model/central_config.h"
#include "model/config_yaml.h"
#include "model/edge_config.h"
#include "model/rule.h"
#include "service/points.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/*
 * Design notes
 *
 * What a file is, its content says: a first line of several cells and no colon is a register map,
 * the top keys of a YAML file name the rest. What a file names is checked with it: an edge's
 * register maps and the points it takes from them, a centre's rule files. Each of those is read
 * once and its mistakes are told once, under its own name.
 */

#define FILE_BYTES_MAX (4 * 1024 * 1024)

enum kind { KIND_UNKNOWN, KIND_MAP, KIND_EDGE, KIND_CENTRAL, KIND_RULES, KIND_SIMULATOR };

/* A register map that a unit names; NULL when it cannot be used, which is told already. */
struct known_map {
    const char *path; /* the edge configuration's */
    struct register_map *map;
};

struct check {
    const char *path;
    struct yaml_tree *tree; /* NULL for a register map */
    struct config_errors errors;
    struct known_map *maps;
    size_t map_count;
    FILE *out;
};

/* ---- an edge's points against its maps ---- */

static void complain_unit(struct check *check, size_t line, size_t column, const char *what,
                          const char *name)
{
    const struct yaml_node at = {.line = line, .column = column};
    yaml_complain(check->tree, &at, &check->errors, "%s '%s'", what, name);
}

static struct register_map *find_map(struct check *check, const struct edge_unit *unit)
{
    for (size_t i = 0; i < check->map_count; i++)
        if (strcmp(check->maps[i].path, unit->map) == 0)
            return check->maps[i].map;
    struct known_map *maps = realloc(check->maps, (check->map_count + 1) * sizeof(*maps));
    if (!maps) {
        complain_unit(check, unit->line, unit->column, "not enough memory for the register map",
                      unit->map);
        return NULL;
    }
    check->maps = maps;
    struct known_map *known = &maps[check->map_count++];
    *known = (struct known_map){.path = unit->map};
    size_t before = check->errors.count;
    int err = register_map_read(unit->map, &known->map, &check->errors);
    if (err) {
        known->map = NULL;
        if (check->errors.count == before)
            complain_unit(check, unit->line, unit->column, err_name(err), unit->map);
        complain_unit(check, unit->line, unit->column, "cannot use the register map", unit->map);
    }
    return known->map;
}

static const char *nearest_register(const struct register_map *map, const char *name)
{
    const char *nearest = NULL;
    size_t least = 3;
    for (size_t i = 0; i < register_map_count(map); i++) {
        const char *candidate = register_map_at(map, i)->name;
        size_t distance = text_distance(candidate, name, least);
        if (distance < least) {
            least = distance;
            nearest = candidate;
        }
    }
    return nearest;
}

static void check_listed(struct check *check, const struct edge_unit *unit,
                         const struct register_map *map)
{
    for (size_t i = 0; i < unit->point_count; i++) {
        const struct edge_point *point = &unit->points[i];
        const struct yaml_node at = {.line = point->line, .column = point->column};
        if (register_map_find(map, point->name) >= 0)
            continue;
        const char *nearest = nearest_register(map, point->name);
        if (nearest)
            yaml_complain(check->tree, &at, &check->errors,
                          "no register '%s' in %s; did you mean '%s'?", point->name, unit->map,
                          nearest);
        else
            yaml_complain(check->tree, &at, &check->errors, "no register '%s' in %s", point->name,
                          unit->map);
    }
}

/* Of a unit that takes the whole map: do its names make ids that fit? */
static void check_whole(struct check *check, const struct edge_config *config,
                        const struct edge_unit *unit, const struct register_map *map)
{
    const struct yaml_node at = {.line = unit->line, .column = unit->column};
    for (size_t i = 0; i < register_map_count(map); i++) {
        const char *name = register_map_at(map, i)->name;
        size_t len = strlen(config->site) + strlen(unit->name) + strlen(name) + 2;
        if (len > EDGE_POINT_ID)
            yaml_complain(check->tree, &at, &check->errors,
                          "point id '%s.%s.%s' is %zu bytes long; at most %d", config->site,
                          unit->name, name, len, EDGE_POINT_ID);
    }
}

static size_t check_unit(struct check *check, const struct edge_config *config,
                         const struct edge_unit *unit)
{
    const struct register_map *map = find_map(check, unit);
    if (!map)
        return 0;
    if (unit->points) {
        check_listed(check, unit, map);
        return unit->point_count;
    }
    check_whole(check, config, unit, map);
    return register_map_count(map);
}

/* Can its links do it? Asked when all else is good, for it reads the maps again. */
static void check_links(struct check *check, const struct edge_config *config)
{
    struct edge_points *points = NULL;
    struct message message;
    if (edge_points_new(config, NULL, &points, &check->errors) ||
        edge_points_check_load(points, config, &check->errors)) {
        edge_points_free(points);
        return;
    }
    for (size_t i = 0; i < config->link_count; i++)
        if (edge_points_is_tight(points, config, i, &message))
            fprintf(check->out, "%s: note: %s\n", check->path, message.text);
    edge_points_free(points);
}

static void check_edge(struct check *check)
{
    struct edge_config *config = NULL;
    if (edge_config_load(check->path, &config, &check->errors))
        return;
    size_t units = 0, points = 0;
    for (size_t i = 0; i < config->link_count; i++)
        for (size_t n = 0; n < config->links[i].unit_count; n++, units++)
            points += check_unit(check, config, &config->links[i].units[n]);
    if (points > EDGE_POINTS_MAX)
        yaml_complain(check->tree, yaml_member(yaml_root(check->tree), "links"), &check->errors,
                      "%zu points in all, with those of the maps; at most %d", points,
                      EDGE_POINTS_MAX);
    if (!check->errors.count)
        check_links(check, config);
    if (!check->errors.count)
        fprintf(check->out, "%s: good: edge '%s', %zu links, %zu units, %zu points\n", check->path,
                config->edge, config->link_count, units, points);
    edge_config_free(config);
}

/* ---- the other kinds ---- */

static void check_rule_files(struct check *check, const char *const *paths, size_t count,
                             size_t *ret_alarms)
{
    struct rules *rules = NULL;
    if (rules_load(paths, count, &rules, &check->errors))
        return;
    *ret_alarms = rules->count;
    rules_free(rules);
}

static void check_central(struct check *check)
{
    struct central_config *config = NULL;
    const char *paths[CENTRAL_RULE_FILES_MAX];
    size_t alarms = 0;
    if (central_config_load(check->path, &config, &check->errors))
        return;
    for (size_t i = 0; i < config->rule_file_count; i++)
        paths[i] = config->rule_files[i];
    check_rule_files(check, paths, config->rule_file_count, &alarms);
    if (!check->errors.count)
        fprintf(check->out,
                "%s: good: centre '%s', %zu rule files, %zu alarms, %zu webhooks, %zu stores\n",
                check->path, config->centre, config->rule_file_count, alarms, config->webhook_count,
                config->store_count);
    central_config_free(config);
}

static void check_rules(struct check *check)
{
    size_t alarms = 0;
    check_rule_files(check, &check->path, 1, &alarms);
    if (!check->errors.count)
        fprintf(check->out, "%s: good: alarm rules, %zu alarms with those of the instruments\n",
                check->path, alarms);
}

static void check_simulator(struct check *check)
{
    struct sim_config *config = NULL;
    if (sim_config_load(check->path, &config, &check->errors))
        return;
    fprintf(check->out, "%s: good: simulator, %zu links, %zu incidents\n", check->path,
            config->link_count, config->incident_count);
    sim_config_free(config);
}

static void check_map(struct check *check)
{
    struct register_map *map = NULL;
    if (register_map_read(check->path, &map, &check->errors))
        return;
    fprintf(check->out, "%s: good: register map, %zu registers", check->path,
            register_map_count(map));
    if (register_map_skipped(map))
        fprintf(check->out, ", %zu rows passed over that can only be written",
                register_map_skipped(map));
    fputc('\n', check->out);
    register_map_free(map);
}

/* ---- which kind is it? ---- */

static bool has_any(const struct yaml_node *root, const char *const *keys)
{
    for (; *keys; keys++)
        if (yaml_member(root, *keys))
            return true;
    return false;
}

static enum kind kind_of_keys(const struct yaml_node *root)
{
    static const char *const edge[] = {"edge", "site", NULL};
    static const char *const rules[] = {"points", "alarms", NULL};
    static const char *const central[] = {"data", "rules", "http", "stores", "webhooks", NULL};
    static const char *const simulator[] = {"seed", "speed", "start", "plants", "scenario", NULL};
    static const char *const links[] = {"links", NULL};
    static const char *const centre[] = {"centre", NULL};
    if (has_any(root, edge))
        return KIND_EDGE;
    if (has_any(root, rules))
        return KIND_RULES;
    if (has_any(root, central))
        return KIND_CENTRAL;
    if (has_any(root, simulator))
        return KIND_SIMULATOR;
    if (has_any(root, links))
        return KIND_EDGE;
    return has_any(root, centre) ? KIND_CENTRAL : KIND_UNKNOWN;
}

/* A first line with at least three cells and nothing of YAML in it. */
static bool looks_like_map(const struct buffer *bytes)
{
    const char *text = buffer_text(bytes);
    size_t len = strcspn(text, "\r\n"), separators = 0;
    for (size_t i = 0; i < len; i++) {
        if (strchr(":#{[", text[i]))
            return false;
        separators += strchr(",;\t", text[i]) ? 1 : 0;
    }
    return separators >= 2;
}

static enum kind kind_of(struct check *check, const struct buffer *bytes)
{
    if (looks_like_map(bytes))
        return KIND_MAP;
    if (yaml_read_text(check->path, buffer_text(bytes), bytes->len, &check->tree, &check->errors))
        return KIND_UNKNOWN; /* told in `errors` */
    enum kind kind = kind_of_keys(yaml_root(check->tree));
    if (kind == KIND_UNKNOWN)
        yaml_complain(check->tree, yaml_root(check->tree), &check->errors,
                      "what is this? expected the keys of an edge (edge, site, links), of a centre "
                      "(data, rules, http), of rules (points, alarms), or a register map in CSV");
    return kind;
}

static enum ctl_exit check_file(const char *path, FILE *out, FILE *err)
{
    struct check check = {.path = path, .out = out};
    struct message message = {""};
    struct buffer bytes;
    buffer_init(&bytes, FILE_BYTES_MAX);
    config_errors_init(&check.errors);
    if (file_read(path, &bytes, &message)) {
        fprintf(err, "%s\n", message.text);
        buffer_release(&bytes);
        return CTL_USAGE;
    }
    switch (kind_of(&check, &bytes)) {
    case KIND_MAP:
        check_map(&check);
        break;
    case KIND_EDGE:
        check_edge(&check);
        break;
    case KIND_CENTRAL:
        check_central(&check);
        break;
    case KIND_RULES:
        check_rules(&check);
        break;
    case KIND_SIMULATOR:
        check_simulator(&check);
        break;
    case KIND_UNKNOWN:
        break;
    }
    enum ctl_exit code = check.errors.count ? CTL_NO : CTL_YES;
    if (check.errors.count)
        fprintf(err, "%s%s: mistakes: %zu\n", buffer_text(&check.errors.text), path,
                check.errors.count);
    for (size_t i = 0; i < check.map_count; i++)
        register_map_free(check.maps[i].map);
    free(check.maps);
    yaml_free(check.tree);
    config_errors_release(&check.errors);
    buffer_release(&bytes);
    return code;
}

static enum ctl_exit run(int argc, char **argv, FILE *out, FILE *err)
{
    enum ctl_exit worst = CTL_YES;
    int first = argc > 1 && strcmp(argv[1], "--") == 0 ? 2 : 1;
    if (argc <= first)
        return ctl_usage(&cmd_check, err, "which file?");
    if (first == 1 && argv[1][0] == '-')
        return ctl_usage(&cmd_check, err, "there is no such option");
    for (int i = first; i < argc; i++) {
        enum ctl_exit code = check_file(argv[i], out, err);
        if (code > worst)
            worst = code;
    }
    return worst;
}

const struct ctl_command cmd_check = {
    .name = "check",
    .usage = "FILE…",
    .summary = "validates configurations, rule files and register maps",
    .help = "\n"
            "Reads each file, and the files it names, and says what each mistake is and where, as\n"
            "FILE:LINE:COLUMN. What a file is, its content says: an edge's configuration (edge, "
            "site),\n"
            "a centre's (data, rules, http), alarm rules (points, alarms), a simulator's (seed,\n"
            "scenario), or a register map in CSV (UTF-8, or GBK as Excel saves it).\n"
            "\n"
            "Exit codes: 0 all are good, 1 one has a mistake, 2 one cannot be read.",
    .run = run,
};
