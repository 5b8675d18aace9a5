#include "model/signal_config.h"

#include "base/clock.h"
#include "base/numbers.h"
#include "base/text.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS     86400000
#define ANY_NUMBER 1e300
#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"

static const char *const compare_words[] = {"==", "!=", "<", "<=", ">", ">=", NULL};
static const char *const cause_words[] = {"maintenance", "calibration", "cross_check", NULL};
static const enum cause causes[] = {CAUSE_MAINTENANCE, CAUSE_CALIBRATION, CAUSE_CROSS_CHECK};
static const char *const quality_words[] = {"uncertain", "bad", NULL};
static const enum quality qualities[] = {QUALITY_UNCERTAIN, QUALITY_BAD};

struct signal_yaml {
    const struct yaml_node *points, *range, *loop, *rate, *flat_line;
    char deadband[32];
    int64_t heartbeat_ms;
};

static const struct config_key signal_keys[] = {
    {"points", CONFIG_SUBTREE, offsetof(struct signal_yaml, points), 0, 0, 0, NULL, NULL, true,
     "UNIT.POINT, one or a list", "测点：设备.测点，一个或一列"},
    {"range", CONFIG_SUBTREE, offsetof(struct signal_yaml, range), 0, 0, 0, "", NULL, true,
     "[least, greatest] that can be; outside it is bad", "物理可能范围 [下限, 上限]，超出为坏值"},
    {"loop", CONFIG_SUBTREE, offsetof(struct signal_yaml, loop), 0, 0, 0, "", NULL, true,
     "[at 4 mA, at 20 mA]: below 3.6 or above 21 mA it is bad",
     "[4 mA 对应值, 20 mA 对应值]，"
     "低于 3.6 或高于 21 mA 为坏值"},
    {"rate", CONFIG_SUBTREE, offsetof(struct signal_yaml, rate), 0, 0, 0, "", NULL, true,
     "{by: 5, in: 1min}: what moves faster is uncertain", "变化率上限，超出为存疑"},
    {"flat_line", CONFIG_SUBTREE, offsetof(struct signal_yaml, flat_line), 0, 0, 0, "", NULL, true,
     "{for: 10min, polls: 60}: what does not move at all so long is uncertain",
     "数值多久不变为存疑"},
    {"deadband", CONFIG_TEXT, offsetof(struct signal_yaml, deadband), 32, 0, 0, "", NULL, true,
     "report by exception: hold what is no farther than 0.5, or 1% of the span, from the last sent",
     "例外上报：与上次上报值之差不超过此值（如 0.5 或量程的 1%）则不报"},
    {"heartbeat", CONFIG_DURATION, offsetof(struct signal_yaml, heartbeat_ms), 0, 1000, DAY_MS,
     "10min", NULL, true, "with a deadband: one is sent after this time at the latest",
     "例外上报时的最长上报间隔"},
    {0},
};

struct rate_yaml {
    double by;
    int64_t in_ms;
};

static const struct config_key rate_keys[] = {
    {"by", CONFIG_DOUBLE, offsetof(struct rate_yaml, by), 0, 0, ANY_NUMBER, NULL, NULL, true,
     "the most it can change", "最大变化量"},
    {"in", CONFIG_DURATION, offsetof(struct rate_yaml, in_ms), 0, 1, DAY_MS, "1min", NULL, true,
     "in this time", "时间"},
    {0},
};

struct flat_yaml {
    int64_t for_ms, polls;
};

static const struct config_key flat_keys[] = {
    {"for", CONFIG_DURATION, offsetof(struct flat_yaml, for_ms), 0, 1, 31.0 * DAY_MS, NULL, NULL,
     true, "how long it may stand still", "允许不变的时间"},
    {"polls", CONFIG_INT, offsetof(struct flat_yaml, polls), 0, 2, 1e9, "10", NULL, true,
     "and for how many readings at least", "且至少多少个读数"},
    {0},
};

struct mark_yaml {
    int cause, quality;
    const struct yaml_node *points, *when;
    int64_t for_ms;
    char daily[32], from[40], to[40];
};

static const struct config_key mark_keys[] = {
    {"cause", CONFIG_CHOICE, offsetof(struct mark_yaml, cause), 0, 0, 0, NULL, cause_words, true,
     "why these readings are doubted",
     "存疑原因：maintenance 维护，calibration 校准，"
     "cross_check 读数互相矛盾"},
    {"quality", CONFIG_CHOICE, offsetof(struct mark_yaml, quality), 0, 0, 0, "uncertain",
     quality_words, true, "uncertain: still judged by alarms; bad: not usable",
     "uncertain 仍参与报警判断；bad 不可用"},
    {"points", CONFIG_SUBTREE, offsetof(struct mark_yaml, points), 0, 0, 0, NULL, NULL, true,
     "UNIT.POINT or UNIT.*, one or a list", "测点：设备.测点 或 设备.*"},
    {"when", CONFIG_SUBTREE, offsetof(struct mark_yaml, when), 0, 0, 0, "", NULL, true,
     "one to four conditions {point, op, value} that must all be true", "一到四个同时成立的条件"},
    {"for", CONFIG_DURATION, offsetof(struct mark_yaml, for_ms), 0, 0, DAY_MS, "0s", NULL, true,
     "for so long", "条件持续多久才算"},
    {"daily", CONFIG_TEXT, offsetof(struct mark_yaml, daily), 32, 0, 0, "", NULL, true,
     "times of day at UTC+8, as in 02:00-02:30", "每日时段（UTC+8），如 02:00-02:30"},
    {"from", CONFIG_TEXT, offsetof(struct mark_yaml, from), 40, 0, 0, "", NULL, true,
     "not before, as in 2026-01-05T08:00:00+08:00", "开始时间"},
    {"to", CONFIG_TEXT, offsetof(struct mark_yaml, to), 40, 0, 0, "", NULL, true, "not after",
     "结束时间"},
    {0},
};

struct when_yaml {
    const struct yaml_node *point;
    int compare;
    double value;
};

static const struct config_key when_keys[] = {
    {"point", CONFIG_SUBTREE, offsetof(struct when_yaml, point), 0, 0, 0, NULL, NULL, true,
     "UNIT.POINT", "测点：设备.测点"},
    {"op", CONFIG_CHOICE, offsetof(struct when_yaml, compare), 0, 0, 0, "==", compare_words, true,
     "how it is compared", "比较"},
    {"value", CONFIG_DOUBLE, offsetof(struct when_yaml, value), 0, -ANY_NUMBER, ANY_NUMBER, NULL,
     NULL, true, "with what", "比较值"},
    {0},
};

/* ---- names ---- */

static void read_name(const struct yaml_tree *tree, const struct yaml_node *node, bool all,
                      struct signal_name *name, struct config_errors *errors)
{
    *name = (struct signal_name){.line = node->line, .column = node->column};
    const char *text = node->type == YAML_SCALAR ? node->text : "";
    size_t len = strspn(text, NAME_CHARS);
    const char *dot = strchr(text, '.');
    bool whole = !text[len] && len && text[len - 1] != '.';
    bool every = all && len > 1 && text[len - 1] == '.' && strcmp(text + len, "*") == 0;
    if (!dot || dot == text || !(whole || every) ||
        text_copy(name->text, sizeof(name->text), text)) {
        yaml_complain(tree, node, errors, "'%.60s'; expected UNIT.POINT%s", text,
                      all ? " or UNIT.*" : "");
        name->text[0] = '\0';
    }
}

static void read_names(const struct yaml_tree *tree, const struct yaml_node *node, bool all,
                       struct signal_names *names, struct config_errors *errors)
{
    size_t count = node->type == YAML_LIST ? node->count : 1;
    if (!count || count > SIGNAL_NAMES_MAX) {
        yaml_complain(tree, node, errors, "expected 1 to %d points", SIGNAL_NAMES_MAX);
        return;
    }
    names->list = calloc(count, sizeof(*names->list));
    if (!names->list) {
        yaml_complain(tree, node, errors, "not enough memory for %zu points", count);
        return;
    }
    if (node->type != YAML_LIST)
        read_name(tree, node, all, &names->list[names->count++], errors);
    for (const struct yaml_node *child = node->first; child && names->count < count;
         child = child->next)
        read_name(tree, child, all, &names->list[names->count++], errors);
}

/* ---- signals ---- */

static bool read_pair(const struct yaml_tree *tree, const struct yaml_node *node, double *ret_first,
                      double *ret_second, struct config_errors *errors)
{
    const struct yaml_node *first = node->first, *second = first ? first->next : NULL;
    if (node->type == YAML_LIST && node->count == 2 && first->type == YAML_SCALAR &&
        second->type == YAML_SCALAR && !parse_double(first->text, ret_first) &&
        !parse_double(second->text, ret_second))
        return true;
    yaml_complain(tree, node, errors, "expected two numbers, as in [0, 100]");
    return false;
}

static void read_range(const struct yaml_tree *tree, const struct yaml_node *node,
                       struct signal_limits *limits, struct config_errors *errors)
{
    if (!read_pair(tree, node, &limits->low, &limits->high, errors))
        return;
    limits->has_range = limits->low < limits->high;
    if (!limits->has_range)
        yaml_complain(tree, node, errors, "not a range; expected [least, greatest]");
}

static void read_loop(const struct yaml_tree *tree, const struct yaml_node *node,
                      struct signal_limits *limits, struct config_errors *errors)
{
    if (!read_pair(tree, node, &limits->at4, &limits->at20, errors))
        return;
    limits->has_loop = limits->at4 < limits->at20 || limits->at4 > limits->at20;
    if (!limits->has_loop)
        yaml_complain(tree, node, errors, "4 and 20 mA cannot mean the same");
}

static void read_deadband(const struct yaml_tree *tree, const struct yaml_node *node,
                          const char *text, struct signal_limits *limits,
                          struct config_errors *errors)
{
    size_t len = strlen(text);
    limits->deadband_of_span = len && text[len - 1] == '%';
    int err = parse_double_n(text, len - limits->deadband_of_span, &limits->deadband);
    limits->has_deadband =
        !err && limits->deadband >= 0 && !(limits->deadband_of_span && limits->deadband > 100);
    if (!limits->has_deadband)
        yaml_complain(tree, node, errors,
                      "'%.30s'; expected an amount such as 0.5, or a share of "
                      "the span such as 1%%",
                      text);
}

static void read_signal(const struct yaml_tree *tree, const struct yaml_node *node,
                        struct signal_entry *entry, struct config_errors *errors)
{
    struct signal_yaml from = {0};
    struct signal_limits *limits = &entry->limits;
    config_read(tree, node, signal_keys, &from, errors);
    if (from.points)
        read_names(tree, from.points, false, &entry->points, errors);
    if (from.range)
        read_range(tree, from.range, limits, errors);
    if (from.loop)
        read_loop(tree, from.loop, limits, errors);
    if (from.rate) {
        struct rate_yaml rate = {0};
        config_read(tree, from.rate, rate_keys, &rate, errors);
        limits->rate_by = rate.by;
        limits->rate_in_ms = rate.in_ms;
    }
    if (from.flat_line) {
        struct flat_yaml flat = {0};
        config_read(tree, from.flat_line, flat_keys, &flat, errors);
        limits->flat_for_ms = flat.for_ms;
        limits->flat_polls = flat.polls;
    }
    limits->heartbeat_ms = from.heartbeat_ms;
    const struct yaml_node *heartbeat = yaml_member(node, "heartbeat");
    if (from.deadband[0])
        read_deadband(tree, yaml_member(node, "deadband"), from.deadband, limits, errors);
    else if (heartbeat)
        yaml_complain_key(tree, heartbeat, errors, "heartbeat without a deadband: all is sent");
}

/* ---- marks ---- */

/* "HH:MM" in minutes of a day; 24:00 is one. */
static bool read_time_of_day(const char *text, int64_t *ret_ms)
{
    char hours[3] = {text[0], text[0] ? text[1] : '\0'};
    char minutes[3] = "";
    int64_t hour, minute;
    if (strlen(text) != 5 || text[2] != ':')
        return false;
    memcpy(minutes, text + 3, 2);
    if (parse_i64(hours, 0, 24, &hour) || parse_i64(minutes, 0, 59, &minute) ||
        hour * 60 + minute > 24 * 60)
        return false;
    *ret_ms = (hour * 60 + minute) * 60000;
    return true;
}

static void read_daily(const struct yaml_tree *tree, const struct yaml_node *node, const char *text,
                       struct signal_mark *mark, struct config_errors *errors)
{
    char from[6] = "";
    if (strlen(text) == 11 && text[5] == '-') {
        memcpy(from, text, 5);
        mark->has_daily = read_time_of_day(from, &mark->daily_from_ms) &&
                          read_time_of_day(text + 6, &mark->daily_to_ms) &&
                          mark->daily_from_ms != mark->daily_to_ms;
    }
    if (!mark->has_daily)
        yaml_complain(tree, node, errors, "'%.30s'; expected times of day as in 02:00-02:30", text);
}

static int64_t read_date(const struct yaml_tree *tree, const struct yaml_node *node,
                         const char *text, struct config_errors *errors)
{
    int64_t ms = SIGNAL_NO_TIME;
    if (text[0] && time_parse(text, &ms))
        yaml_complain(tree, node, errors,
                      "'%.40s'; expected a time as in 2026-01-05T08:00:00+08:00", text);
    return ms;
}

static void read_when(const struct yaml_tree *tree, const struct yaml_node *node,
                      struct signal_mark *mark, struct config_errors *errors)
{
    if (node->type != YAML_LIST || !node->count || node->count > SIGNAL_WHEN_MAX) {
        yaml_complain(tree, node, errors, "expected a list of 1 to %d conditions", SIGNAL_WHEN_MAX);
        return;
    }
    for (const struct yaml_node *child = node->first; child; child = child->next) {
        struct when_yaml from = {0};
        config_read(tree, child, when_keys, &from, errors);
        struct signal_when *when = &mark->when[mark->when_count++];
        *when = (struct signal_when){.compare = (enum compare)from.compare, .value = from.value};
        if (from.point)
            read_name(tree, from.point, false, &when->point, errors);
    }
}

static void read_mark(const struct yaml_tree *tree, const struct yaml_node *node,
                      struct signal_mark *mark, struct config_errors *errors)
{
    struct mark_yaml from = {0};
    size_t before = errors->count;
    config_read(tree, node, mark_keys, &from, errors);
    *mark = (struct signal_mark){
        .cause = causes[from.cause], .quality = qualities[from.quality], .for_ms = from.for_ms};
    if (from.points)
        read_names(tree, from.points, true, &mark->points, errors);
    if (from.when)
        read_when(tree, from.when, mark, errors);
    if (from.daily[0])
        read_daily(tree, yaml_member(node, "daily"), from.daily, mark, errors);
    mark->from_ms = read_date(tree, yaml_member(node, "from"), from.from, errors);
    mark->to_ms = read_date(tree, yaml_member(node, "to"), from.to, errors);
    if (errors->count > before)
        return;
    if (mark->cause == CAUSE_CROSS_CHECK && !mark->when_count)
        yaml_complain(tree, node, errors, "a cross_check needs `when`: what contradicts what");
    else if (!mark->when_count && !mark->has_daily && !from.from[0] && !from.to[0])
        yaml_complain(tree, node, errors,
                      "it would hold for ever; say `when`, `daily`, or `from` "
                      "and `to`");
    else if (from.from[0] && from.to[0] && mark->from_ms >= mark->to_ms)
        yaml_complain(tree, yaml_member(node, "to"), errors, "`to` is not after `from`");
}

/* ---- all ---- */

static void read_signals(const struct yaml_tree *tree, const struct yaml_node *node,
                         struct signal_config *config, struct config_errors *errors)
{
    if (!yaml_is_list(tree, node, SIGNALS_MAX, "signals", errors))
        return;
    config->signals = calloc(node->count + 1, sizeof(*config->signals));
    if (!config->signals)
        yaml_complain(tree, node, errors, "not enough memory for %zu signals", node->count);
    for (const struct yaml_node *child = node->first; config->signals && child; child = child->next)
        read_signal(tree, child, &config->signals[config->signal_count++], errors);
}

static void read_marks(const struct yaml_tree *tree, const struct yaml_node *node,
                       struct signal_config *config, struct config_errors *errors)
{
    if (!yaml_is_list(tree, node, SIGNAL_MARKS_MAX, "marks", errors))
        return;
    config->marks = calloc(node->count + 1, sizeof(*config->marks));
    if (!config->marks)
        yaml_complain(tree, node, errors, "not enough memory for %zu marks", node->count);
    for (const struct yaml_node *child = node->first; config->marks && child; child = child->next)
        read_mark(tree, child, &config->marks[config->mark_count++], errors);
}

void signal_config_read(const struct yaml_tree *tree, const struct yaml_node *signals,
                        const struct yaml_node *marks, struct signal_config *ret_config,
                        struct config_errors *errors)
{
    *ret_config = (struct signal_config){0};
    if (signals)
        read_signals(tree, signals, ret_config, errors);
    if (marks)
        read_marks(tree, marks, ret_config, errors);
}

int signal_marks_load(const char *path, struct signal_config *ret_config,
                      struct config_errors *errors)
{
    static const struct config_key keys[] = {
        {"marks", CONFIG_SUBTREE, 0, 0, 0, 0, NULL, NULL, true, "what is doubted while", "标记"},
        {0},
    };
    struct yaml_tree *tree = NULL;
    const struct yaml_node *marks = NULL;
    struct signal_config config = {0};
    size_t before = errors->count;
    int err = yaml_read_file(path, &tree, errors);
    if (err)
        return err;
    config_read(tree, yaml_root(tree), keys, &marks, errors);
    if (marks)
        read_marks(tree, marks, &config, errors);
    yaml_free(tree);
    if (errors->count > before) {
        signal_config_release(&config);
        return ERR_INVALID;
    }
    *ret_config = config;
    return 0;
}

void signal_config_release(struct signal_config *config)
{
    for (size_t i = 0; i < config->signal_count; i++)
        free(config->signals[i].points.list);
    for (size_t i = 0; i < config->mark_count; i++)
        free(config->marks[i].points.list);
    free(config->signals);
    free(config->marks);
    *config = (struct signal_config){0};
}

/* ---- printing ---- */

static void print_names(const struct signal_names *names, struct buffer *out)
{
    buffer_append_text(out, "    points: [");
    for (size_t i = 0; i < names->count; i++) {
        buffer_append_text(out, i ? ", " : "");
        config_print_text(names->list[i].text, out);
    }
    buffer_append_text(out, "]\n");
}

static void print_pair(const char *key, double first, double second, struct buffer *out)
{
    char one[NUMBER_TEXT_SIZE], two[NUMBER_TEXT_SIZE];
    print_double(first, one);
    print_double(second, two);
    buffer_printf(out, "    %s: [%s, %s]\n", key, one, two);
}

static void print_signal(const struct signal_entry *entry, struct buffer *out)
{
    const struct signal_limits *limits = &entry->limits;
    char number[NUMBER_TEXT_SIZE];
    buffer_append_text(out, "  -\n");
    print_names(&entry->points, out);
    if (limits->has_range)
        print_pair("range", limits->low, limits->high, out);
    if (limits->has_loop)
        print_pair("loop", limits->at4, limits->at20, out);
    if (limits->rate_in_ms) {
        print_double(limits->rate_by, number);
        buffer_printf(out, "    rate: {by: %s, in: %lldms}\n", number,
                      (long long)limits->rate_in_ms);
    }
    if (limits->flat_for_ms)
        buffer_printf(out, "    flat_line: {for: %lldms, polls: %lld}\n",
                      (long long)limits->flat_for_ms, (long long)limits->flat_polls);
    if (limits->has_deadband) {
        print_double(limits->deadband, number);
        buffer_printf(out, "    deadband: \"%s%s\"\n    heartbeat: %lldms\n", number,
                      limits->deadband_of_span ? "%" : "", (long long)limits->heartbeat_ms);
    }
}

static void print_date(const char *key, int64_t ms, struct buffer *out)
{
    char text[TIME_TEXT_SIZE];
    if (ms == SIGNAL_NO_TIME)
        return;
    time_format_utc(ms, text);
    buffer_printf(out, "    %s: \"%s\"\n", key, text);
}

static void print_mark(const struct signal_mark *mark, struct buffer *out)
{
    buffer_printf(out, "  -\n    cause: %s\n    quality: %s\n", cause_name(mark->cause),
                  quality_name(mark->quality));
    print_names(&mark->points, out);
    if (mark->when_count)
        buffer_append_text(out, "    when:\n");
    for (size_t i = 0; i < mark->when_count; i++) {
        char number[NUMBER_TEXT_SIZE];
        print_double(mark->when[i].value, number);
        buffer_printf(out, "      - {point: \"%s\", op: \"%s\", value: %s}\n",
                      mark->when[i].point.text, compare_words[mark->when[i].compare], number);
    }
    buffer_printf(out, "    for: %lldms\n", (long long)mark->for_ms);
    if (mark->has_daily)
        buffer_printf(out, "    daily: \"%02d:%02d-%02d:%02d\"\n",
                      (int)(mark->daily_from_ms / 3600000), (int)(mark->daily_from_ms / 60000 % 60),
                      (int)(mark->daily_to_ms / 3600000), (int)(mark->daily_to_ms / 60000 % 60));
    print_date("from", mark->from_ms, out);
    print_date("to", mark->to_ms, out);
}

void signal_config_print(const struct signal_config *config, struct buffer *out)
{
    if (config->signal_count)
        buffer_append_text(out, "signals:\n");
    for (size_t i = 0; i < config->signal_count; i++)
        print_signal(&config->signals[i], out);
    if (config->mark_count)
        buffer_append_text(out, "marks:\n");
    for (size_t i = 0; i < config->mark_count; i++)
        print_mark(&config->marks[i], out);
}
