#include "edge/signal_points.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

/* What is needed to make points of names, and to say what is wrong with them. */
struct naming {
    const char *file; /* that the names stand in */
    const struct edge_config *config;
    const struct edge_points *points;
    struct config_errors *errors;
};

static void complain(const struct naming *naming, const struct signal_name *name, const char *text)
{
    naming->errors->count++;
    buffer_printf(&naming->errors->text, "%s:%zu:%zu: '%s' %s\n", naming->file, name->line,
                  name->column, name->text, text);
}

/* Does the point bear that name, or begin like it where it ends in ".*"? */
static bool is_named(const struct naming *naming, size_t point, const char *name)
{
    const char *id = naming->points->infos[point].id;
    size_t site = strlen(naming->config->site), len = strlen(name);
    bool every = len && name[len - 1] == '*';
    if (strncmp(id, naming->config->site, site) != 0 || id[site] != '.')
        return false;
    return every ? strncmp(id + site + 1, name, len - 1) == 0 : strcmp(id + site + 1, name) == 0;
}

static bool find_point(const struct naming *naming, const struct signal_name *name,
                       uint32_t *ret_point)
{
    for (size_t i = 0; i < naming->points->count; i++)
        if (is_named(naming, i, name->text)) {
            *ret_point = (uint32_t)i;
            return true;
        }
    complain(naming, name, "is no point of this edge");
    return false;
}

/* ---- marks ---- */

static int fill_targets(const struct naming *naming, const struct signal_names *names,
                        struct signal_rule *rule)
{
    rule->points = calloc(naming->points->count + 1, sizeof(*rule->points));
    if (!rule->points)
        return ERR_NO_MEMORY;
    for (size_t k = 0; k < names->count; k++) {
        size_t before = rule->point_count;
        for (size_t i = 0; i < naming->points->count; i++)
            if (rule->point_count < naming->points->count &&
                is_named(naming, i, names->list[k].text))
                rule->points[rule->point_count++] = (uint32_t)i;
        if (rule->point_count == before)
            complain(naming, &names->list[k], "is no point of this edge");
    }
    return 0;
}

static int make_rules(const struct naming *naming, const struct signal_config *config,
                      struct signal_rule **ret_rules)
{
    struct signal_rule *rules = calloc(config->mark_count + 1, sizeof(*rules));
    size_t before = naming->errors->count;
    int err = rules ? 0 : ERR_NO_MEMORY;
    for (size_t i = 0; !err && i < config->mark_count; i++) {
        rules[i].mark = config->marks[i];
        rules[i].mark.points = (struct signal_names){NULL, 0}; /* the configuration's own */
        for (size_t k = 0; k < rules[i].mark.when_count; k++)
            (void)find_point(naming, &rules[i].mark.when[k].point, &rules[i].when[k]);
        err = fill_targets(naming, &config->marks[i].points, &rules[i]);
    }
    if (!err && naming->errors->count > before)
        err = ERR_INVALID;
    if (err)
        signal_points_free_rules(rules, config->mark_count);
    else
        *ret_rules = rules;
    return err;
}

void signal_points_free_rules(struct signal_rule *rules, size_t count)
{
    for (size_t i = 0; rules && i < count; i++)
        free(rules[i].points);
    free(rules);
}

int signal_points_load(const char *path, const struct edge_config *config,
                       const struct edge_points *points, struct signal_rule **ret_rules,
                       size_t *ret_count, struct config_errors *errors)
{
    const struct naming naming = {path, config, points, errors};
    struct signal_config marks;
    int err = signal_marks_load(path, &marks, errors);
    if (err)
        return err;
    err = make_rules(&naming, &marks, ret_rules);
    if (!err)
        *ret_count = marks.mark_count;
    signal_config_release(&marks);
    return err;
}

/* ---- signals ---- */

/* What the register map says can be, where the point's own entry does not say it. */
static bool map_span(const struct edge_points *points, uint32_t point, double *ret_span)
{
    for (size_t l = 0; l < points->link_count; l++)
        for (size_t u = 0; u < points->links[l].unit_count; u++) {
            const struct modbus_unit_options *unit = &points->links[l].units[u];
            for (size_t k = 0; k < unit->point_count; k++) {
                if (unit->points[k].number != point)
                    continue;
                const struct map_register *reg = register_map_at(unit->map, unit->points[k].reg);
                *ret_span = reg->max - reg->min;
                return reg->has_min && reg->has_max;
            }
        }
    return false;
}

static bool find_amount(const struct edge_points *points, uint32_t point,
                        const struct signal_limits *limits, double *ret_amount)
{
    double span;
    if (!limits->deadband_of_span) {
        *ret_amount = limits->deadband;
        return true;
    }
    if (limits->has_range)
        span = limits->high - limits->low;
    else if (limits->has_loop)
        span = limits->at20 > limits->at4 ? limits->at20 - limits->at4 : limits->at4 - limits->at20;
    else if (!map_span(points, point, &span))
        return false;
    *ret_amount = limits->deadband / 100 * span;
    return true;
}

static int set_deadband(const struct naming *naming, const struct signal_name *name, uint32_t point,
                        const struct signal_limits *limits, struct deadband *deadband)
{
    double amount;
    if (naming->points->streams[point] != STREAM_T) {
        complain(naming, name,
                 "is a safety or compliance point: each of its readings is sent; "
                 "leave `deadband` out");
        return 0;
    }
    if (!find_amount(naming->points, point, limits, &amount)) {
        complain(naming, name,
                 "has no span to take a share of: say `range`, or min and max in its "
                 "register map, or an amount");
        return 0;
    }
    return deadband_set(deadband, point, amount, limits->heartbeat_ms);
}

static int set_signal(const struct naming *naming, const struct signal_name *name,
                      const struct signal_limits *limits, struct signal *signal,
                      struct deadband *deadband)
{
    uint32_t point;
    if (!name->text[0] || !find_point(naming, name, &point))
        return 0;
    int err = signal_watch(signal, point, limits);
    if (err == ERR_INVALID) {
        complain(naming, name, "stands in `signals` twice");
        return 0;
    }
    if (!err && limits->has_deadband)
        err = set_deadband(naming, name, point, limits, deadband);
    return err;
}

static int set_signals(const struct naming *naming, struct signal *signal,
                       struct deadband *deadband)
{
    const struct signal_config *config = &naming->config->signals;
    int err = 0;
    for (size_t i = 0; i < config->signal_count; i++)
        for (size_t k = 0; !err && k < config->signals[i].points.count; k++)
            err = set_signal(naming, &config->signals[i].points.list[k], &config->signals[i].limits,
                             signal, deadband);
    return err;
}

static int set_marks(const struct naming *naming, struct signal *signal)
{
    struct signal_rule *rules = NULL;
    size_t count = naming->config->signals.mark_count;
    int err = make_rules(naming, &naming->config->signals, &rules);
    if (!err)
        err = signal_set_marks(signal, SIGNAL_CONFIGURED, rules, count);
    signal_points_free_rules(rules, count);
    return err;
}

/* After the conditions have been told how often their points are read. */
static void tell_heartbeats(const struct naming *naming, struct edge_points *points)
{
    const struct signal_config *config = &naming->config->signals;
    for (size_t i = 0; i < config->signal_count; i++)
        for (size_t k = 0; k < config->signals[i].points.count; k++) {
            const struct signal_limits *limits = &config->signals[i].limits;
            uint32_t point;
            if (limits->has_deadband &&
                find_point(naming, &config->signals[i].points.list[k], &point) &&
                points->infos[point].interval_ms < limits->heartbeat_ms)
                points->infos[point].interval_ms = limits->heartbeat_ms;
        }
}

static int make_both(const struct edge_points *points, struct signal **ret_signal,
                     struct deadband **ret_deadband)
{
    int64_t *intervals = calloc(points->count + 1, sizeof(*intervals));
    int err = intervals ? 0 : ERR_NO_MEMORY;
    for (size_t i = 0; !err && i < points->count; i++)
        intervals[i] = points->infos[i].interval_ms;
    if (!err)
        err = signal_new(points->count, intervals, ret_signal);
    if (!err)
        err = deadband_new(points->count, ret_deadband);
    free(intervals);
    return err;
}

static int fill_both(const struct naming *naming, struct signal **ret_signal,
                     struct deadband **ret_deadband)
{
    size_t before = naming->errors->count;
    int err = make_both(naming->points, ret_signal, ret_deadband);
    if (!err)
        err = set_signals(naming, *ret_signal, *ret_deadband);
    if (!err)
        err = set_marks(naming, *ret_signal);
    return err || naming->errors->count == before ? err : ERR_INVALID;
}

int signal_points_make(const struct edge_config *config, struct edge_points *points,
                       struct intake **ret_intake, struct config_errors *errors)
{
    const struct naming naming = {config->file, config, points, errors};
    bool wanted =
        config->signals.signal_count || config->signals.mark_count || config->marks_file[0];
    struct signal *signal = NULL;
    struct deadband *deadband = NULL;
    size_t before = errors->count;
    int err = wanted ? fill_both(&naming, &signal, &deadband) : 0;
    if (err) {
        signal_free(signal);
        deadband_free(deadband);
    } else {
        tell_heartbeats(&naming, points);
        err = intake_new(signal, deadband, ret_intake);
    }
    if (err && errors->count == before) {
        errors->count++;
        buffer_printf(&errors->text, "%s: signals: %s\n", config->file, err_name(err));
    }
    return err ? ERR_INVALID : 0;
}
