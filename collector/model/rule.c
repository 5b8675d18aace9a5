#include "model/rule.h"

#include "base/numbers.h"
#include "base/text.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Design notes
 *
 * Files are read one after the other into one growing set; an alarm may name a point of any file
 * read before or of its own. Instrument alarms are added at the end, one per point that a process
 * alarm uses, at the highest priority of that point's alarms: what blinds a Critical alarm is as
 * urgent as the alarm.
 */

#define STALE_LEAST_MS          15000
#define INSTRUMENT_GRACE_MS     600000
#define INSTRUMENT_OFF_DELAY_MS 30000
#define DAY_MS                  86400000.0
#define ANY_NUMBER              1e300

const char *priority_name(enum priority priority)
{
    static const char *const names[PRIORITY_COUNT] = {"diagnostic", "low", "high", "critical"};
    return priority < PRIORITY_COUNT ? names[priority] : "unknown";
}

static const char *const priority_words[] = {"diagnostic", "low", "high", "critical", NULL};
static const char *const kind_words[] = {"high", "low", NULL};
static const char *const ack_words[] = {"none", "required", NULL};

struct point_yaml {
    char id[128];
    char unit[24];
    int64_t interval_ms, stale_after_ms;
    const struct yaml_node *range;
};

static const struct config_key point_keys[] = {
    {"id", CONFIG_NAME, offsetof(struct point_yaml, id), 128, 0, 0, NULL, NULL, true,
     "the point's name: site.device.point", "测点名：站点.设备.测点"},
    {"unit", CONFIG_TEXT, offsetof(struct point_yaml, unit), 24, 0, 0, "", NULL, true,
     "its unit, for messages", "单位，用于消息"},
    {"interval", CONFIG_DURATION, offsetof(struct point_yaml, interval_ms), 0, 1, DAY_MS, "1s",
     NULL, true, "how often it is read", "采集周期"},
    {"stale_after", CONFIG_DURATION, offsetof(struct point_yaml, stale_after_ms), 0, 0, DAY_MS,
     "0s", NULL, true, "silence that counts as stale; 0s: the longer of 3 intervals and 15 s",
     "多久无数据算失效；0s 为 3 个周期与 15 秒中较长者"},
    {"range", CONFIG_SUBTREE, offsetof(struct point_yaml, range), 0, 0, 0, "", NULL, true,
     "[least, greatest] that the instrument can mean", "仪表物理量程 [下限, 上限]"},
    {0},
};

struct alarm_yaml {
    char id[RULE_ID_SIZE];
    char point[128];
    int kind, ack;
    double deadband;
    int64_t off_delay_ms;
    const struct yaml_node *limits, *response;
};

static const struct config_key alarm_keys[] = {
    {"id", CONFIG_NAME, offsetof(struct alarm_yaml, id), RULE_ID_SIZE, 0, 0, NULL, NULL, true,
     "the alarm's name", "报警名"},
    {"point", CONFIG_NAME, offsetof(struct alarm_yaml, point), 128, 0, 0, NULL, NULL, true,
     "the point it judges", "所判断的测点"},
    {"kind", CONFIG_CHOICE, offsetof(struct alarm_yaml, kind), 0, 0, 0, NULL, kind_words, true,
     "high: at or above a limit; low: at or below", "high 上限；low 下限"},
    {"limits", CONFIG_SUBTREE, offsetof(struct alarm_yaml, limits), 0, 0, 0, NULL, NULL, true,
     "one to four limits, the least severe first", "一到四个限值，由轻到重"},
    {"deadband", CONFIG_DOUBLE, offsetof(struct alarm_yaml, deadband), 0, 0, ANY_NUMBER, "0", NULL,
     true, "how far the value must come back before it counts as returned", "回差"},
    {"off_delay", CONFIG_DURATION, offsetof(struct alarm_yaml, off_delay_ms), 0, 0, DAY_MS, "0s",
     NULL, true, "how long it must stay back", "恢复延时"},
    {"ack", CONFIG_CHOICE, offsetof(struct alarm_yaml, ack), 0, 0, 0, "required", ack_words, true,
     "must a person acknowledge it?", "是否必须人工确认"},
    {"response", CONFIG_SUBTREE, offsetof(struct alarm_yaml, response), 0, 0, 0, "", NULL, true,
     "what to do, in Chinese (zh) and English (en)", "处置办法，中文 zh 英文 en"},
    {0},
};

struct limit_yaml {
    double at;
    int priority;
    int64_t on_delay_ms;
};

static const struct config_key limit_keys[] = {
    {"at", CONFIG_DOUBLE, offsetof(struct limit_yaml, at), 0, -ANY_NUMBER, ANY_NUMBER, NULL, NULL,
     true, "the limit, in the point's unit", "限值"},
    {"priority", CONFIG_CHOICE, offsetof(struct limit_yaml, priority), 0, 0, 0, NULL,
     priority_words, true, "critical, high, low or diagnostic", "级别"},
    {"on_delay", CONFIG_DURATION, offsetof(struct limit_yaml, on_delay_ms), 0, 0, DAY_MS, "0s",
     NULL, true, "how long the value must stay there", "报警延时"},
    {0},
};

struct response_yaml {
    char zh[256], en[256];
};

static const struct config_key response_keys[] = {
    {"zh", CONFIG_TEXT, offsetof(struct response_yaml, zh), 256, 0, 0, "", NULL, true, "in Chinese",
     "中文"},
    {"en", CONFIG_TEXT, offsetof(struct response_yaml, en), 256, 0, 0, "", NULL, true, "in English",
     "英文"},
    {0},
};

struct file_yaml {
    const struct yaml_node *points, *alarms;
};

static const struct config_key file_keys[] = {
    {"points", CONFIG_SUBTREE, offsetof(struct file_yaml, points), 0, 0, 0, NULL, NULL, true,
     "the points that alarms judge", "报警所用测点"},
    {"alarms", CONFIG_SUBTREE, offsetof(struct file_yaml, alarms), 0, 0, 0, NULL, NULL, true,
     "the alarms", "报警"},
    {0},
};

long rules_find_point(const struct rules *rules, const char *id)
{
    for (size_t i = 0; i < rules->point_count; i++)
        if (strcmp(rules->points[i].id, id) == 0)
            return (long)i;
    return -1;
}

long rules_find(const struct rules *rules, const char *id)
{
    for (size_t i = 0; i < rules->count; i++)
        if (strcmp(rules->list[i].id, id) == 0)
            return (long)i;
    return -1;
}

static void read_range(const struct yaml_tree *tree, const struct yaml_node *node,
                       struct rule_point *point, struct config_errors *errors)
{
    const struct yaml_node *min = node->first, *max = min ? min->next : NULL;
    if (node->type != YAML_LIST || node->count != 2 || min->type != YAML_SCALAR ||
        max->type != YAML_SCALAR || parse_double(min->text, &point->min) ||
        parse_double(max->text, &point->max) || point->min >= point->max)
        yaml_complain(tree, node, errors, "not a range; expected [least, greatest]");
    else
        point->has_range = true;
}

static int read_point(const struct yaml_tree *tree, const struct yaml_node *node,
                      struct rules *rules, struct config_errors *errors)
{
    struct point_yaml from = {0};
    config_read(tree, node, point_keys, &from, errors);
    if (rules_find_point(rules, from.id) >= 0) {
        yaml_complain(tree, node, errors, "point '%s' is there already", from.id);
        return 0;
    }
    if (rules->point_count == RULE_POINTS_MAX) {
        yaml_complain(tree, node, errors, "more than %d points", RULE_POINTS_MAX);
        return ERR_FULL;
    }
    struct rule_point *points = realloc(rules->points, (rules->point_count + 1) * sizeof(*points));
    if (!points)
        return ERR_NO_MEMORY;
    rules->points = points;
    struct rule_point *point = &points[rules->point_count++];
    *point =
        (struct rule_point){.interval_ms = from.interval_ms, .stale_after_ms = from.stale_after_ms};
    memcpy(point->id, from.id, sizeof(point->id));
    memcpy(point->unit, from.unit, sizeof(point->unit));
    if (!point->stale_after_ms) {
        int64_t three = 3 * from.interval_ms;
        point->stale_after_ms = three > STALE_LEAST_MS ? three : STALE_LEAST_MS;
    }
    if (from.range)
        read_range(tree, from.range, point, errors);
    return 0;
}

static void read_limits(const struct yaml_tree *tree, const struct yaml_node *node,
                        struct rule *rule, struct config_errors *errors)
{
    if (node->type != YAML_LIST || !node->count || node->count > RULE_LIMITS_MAX) {
        yaml_complain(tree, node, errors, "expected a list of 1 to %d limits", RULE_LIMITS_MAX);
        return;
    }
    for (const struct yaml_node *child = node->first; child; child = child->next) {
        struct limit_yaml from = {0};
        size_t before = errors->count;
        config_read(tree, child, limit_keys, &from, errors);
        struct rule_limit *limit = &rule->limits[rule->limit_count++];
        *limit = (struct rule_limit){from.at, (enum priority)from.priority, from.on_delay_ms};
        if (rule->limit_count < 2 || errors->count > before)
            continue;
        bool further =
            rule->kind == RULE_HIGH ? limit->at > limit[-1].at : limit->at < limit[-1].at;
        if (!further || limit->priority < limit[-1].priority)
            yaml_complain(tree, child, errors,
                          "limits must go from least to most severe: this one does not go beyond "
                          "the one before it");
    }
}

static struct rule *add_rule(struct rules *rules)
{
    if (rules->count == RULES_MAX)
        return NULL;
    struct rule *list = realloc(rules->list, (rules->count + 1) * sizeof(*list));
    if (!list)
        return NULL;
    rules->list = list;
    list[rules->count] = (struct rule){0};
    return &list[rules->count++];
}

static int read_alarm(const struct yaml_tree *tree, const struct yaml_node *node,
                      struct rules *rules, struct config_errors *errors)
{
    struct alarm_yaml from = {0};
    size_t before = errors->count;
    config_read(tree, node, alarm_keys, &from, errors);
    if (errors->count > before)
        return 0;
    if (rules_find(rules, from.id) >= 0) {
        yaml_complain(tree, node, errors, "alarm '%s' is there already", from.id);
        return 0;
    }
    long point = rules_find_point(rules, from.point);
    if (point < 0) {
        yaml_complain(tree, yaml_member(node, "point"), errors,
                      "no point '%s'; expected one of `points`", from.point);
        return 0;
    }
    struct rule *rule = add_rule(rules);
    if (!rule)
        return ERR_NO_MEMORY;
    memcpy(rule->id, from.id, sizeof(rule->id));
    rule->point = (size_t)point;
    rule->kind = (enum rule_kind)from.kind;
    rule->deadband = from.deadband;
    rule->off_delay_ms = from.off_delay_ms;
    rule->ack_required = from.ack == 1;
    read_limits(tree, from.limits, rule, errors);
    if (from.response) {
        struct response_yaml response = {0};
        config_read(tree, from.response, response_keys, &response, errors);
        memcpy(rule->response_zh, response.zh, sizeof(rule->response_zh));
        memcpy(rule->response_en, response.en, sizeof(rule->response_en));
    }
    return 0;
}

static int read_list(const struct yaml_tree *tree, const struct yaml_node *node,
                     int (*read)(const struct yaml_tree *, const struct yaml_node *, struct rules *,
                                 struct config_errors *),
                     struct rules *rules, struct config_errors *errors)
{
    if (!node)
        return 0;
    if (node->type != YAML_LIST) {
        yaml_complain(tree, node, errors, "not a list; expected a list");
        return 0;
    }
    int err = 0;
    for (const struct yaml_node *child = node->first; !err && child; child = child->next)
        err = read(tree, child, rules, errors);
    return err;
}

static int read_tree(const struct yaml_tree *tree, struct rules *rules,
                     struct config_errors *errors)
{
    struct file_yaml file = {0};
    config_read(tree, yaml_root(tree), file_keys, &file, errors);
    int err = read_list(tree, file.points, read_point, rules, errors);
    return err ? err : read_list(tree, file.alarms, read_alarm, rules, errors);
}

/* The most urgent limit of the point's alarms, or -1 where it has none. */
static int highest_priority(const struct rules *rules, size_t point)
{
    int highest = -1;
    for (size_t i = 0; i < rules->count; i++) {
        const struct rule *rule = &rules->list[i];
        if (rule->point != point)
            continue;
        int priority = (int)rule->limits[rule->limit_count - 1].priority;
        if (priority > highest)
            highest = priority;
    }
    return highest;
}

static int add_instruments(struct rules *rules)
{
    for (size_t point = 0; point < rules->point_count; point++) {
        int priority = highest_priority(rules, point);
        if (priority < 0)
            continue;
        struct rule *rule = add_rule(rules);
        if (!rule)
            return ERR_NO_MEMORY;
        snprintf(rule->id, sizeof(rule->id), "%s#instrument", rules->points[point].id);
        rule->point = point;
        rule->kind = RULE_INSTRUMENT;
        rule->limits[0].priority = (enum priority)priority;
        rule->limit_count = 1;
        rule->off_delay_ms = INSTRUMENT_OFF_DELAY_MS;
        rule->grace_ms = INSTRUMENT_GRACE_MS;
        rule->ack_required = true;
    }
    return 0;
}

/* Ends a reading: the whole set, or nothing. */
static int finish(struct rules *rules, int err, struct rules **ret_rules,
                  const struct config_errors *errors)
{
    if (!err && errors->count)
        err = ERR_INVALID;
    if (!err)
        err = add_instruments(rules);
    if (err)
        rules_free(rules);
    else
        *ret_rules = rules;
    return err;
}

int rules_load(const char *const *paths, size_t count, struct rules **ret_rules,
               struct config_errors *errors)
{
    struct rules *rules = calloc(1, sizeof(*rules));
    int err = rules ? 0 : ERR_NO_MEMORY;
    for (size_t i = 0; !err && i < count; i++) {
        struct yaml_tree *tree = NULL;
        if (yaml_read_file(paths[i], &tree, errors))
            continue; /* told in `errors`; the other files' mistakes are told too */
        err = read_tree(tree, rules, errors);
        yaml_free(tree);
    }
    return rules ? finish(rules, err, ret_rules, errors) : err;
}

int rules_parse(const char *file, const char *text, size_t len, struct rules **ret_rules,
                struct config_errors *errors)
{
    struct yaml_tree *tree = NULL;
    int err = yaml_read_text(file, text, len, &tree, errors);
    if (err)
        return err;
    struct rules *rules = calloc(1, sizeof(*rules));
    err = rules ? read_tree(tree, rules, errors) : ERR_NO_MEMORY;
    yaml_free(tree);
    return rules ? finish(rules, err, ret_rules, errors) : err;
}

void rules_free(struct rules *rules)
{
    if (!rules)
        return;
    free(rules->points);
    free(rules->list);
    free(rules);
}
