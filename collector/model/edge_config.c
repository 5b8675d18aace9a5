#include "model/edge_config.h"

#include "base/text.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS             86400000.0
#define INTERVAL_LEAST_MS  1
#define POINT_ID_TEXT_SIZE 200 /* three names of 64 and two dots */

/* Aligned polls of less than this would be none. */
#define ALIGN_LEAST_MS 1000

static const char *const align_words[] = {"none", "minute", NULL};
static const char *const point_align_words[] = {"unit", "none", "minute", NULL};
static const char *const class_words[] = {"safety", "compliance", "trend", NULL};

const char *point_class_name(enum point_class class_)
{
    return class_words[class_];
}

enum stream point_class_stream(enum point_class class_)
{
    static const enum stream streams[] = {STREAM_S, STREAM_C, STREAM_T};
    return streams[class_];
}

struct file_yaml {
    struct edge_config config;
    const struct yaml_node *journal, *broker, *links, *signals, *marks;
};

static const char *const compress_words[] = {"none", "zstd", NULL};

static const struct config_key file_keys[] = {
    {"edge", CONFIG_NAME, offsetof(struct file_yaml, config.edge), 65, 0, 0, NULL, NULL, false,
     "this collector's name; its certificate's CN", "采集器名，即证书 CN"},
    {"site", CONFIG_NAME, offsetof(struct file_yaml, config.site), 65, 0, 0, NULL, NULL, false,
     "the site it stands on: the first part of its points' names", "所在站点，测点名的第一段"},
    {"centre", CONFIG_NAME, offsetof(struct file_yaml, config.centre), 65, 0, 0, "c1", NULL, false,
     "the centre it obeys", "所属中心"},
    {"journal", CONFIG_SUBTREE, offsetof(struct file_yaml, journal), 0, 0, 0, "", NULL, false,
     "where readings are kept until the centre has them", "本地日志"},
    {"control", CONFIG_PATH, offsetof(struct file_yaml, config.control_path), FILE_PATH_SIZE, 0, 0,
     "", NULL, false,
     "the socket on which chengmai status and read ask; beside the journal when left out",
     "本机查询用的套接字；省略时在日志目录旁"},
    {"broker", CONFIG_SUBTREE, offsetof(struct file_yaml, broker), 0, 0, 0, NULL, NULL, false,
     "how the centre is reached", "消息服务器"},
    {"drain", CONFIG_DURATION, offsetof(struct file_yaml, config.drain_ms), 0, 0, DAY_MS, "10s",
     NULL, true, "how long a stop waits for the centre's receipts", "停止时等待回执的时间"},
    {"stats", CONFIG_DURATION, offsetof(struct file_yaml, config.stats_ms), 0, 1000, DAY_MS, "10s",
     NULL, true, "how often it tells its health", "健康信息上报周期"},
    {"daily_budget", CONFIG_SIZE, offsetof(struct file_yaml, config.daily_budget), 0, 0, 1.1e12,
     "0B", NULL, true,
     "on a metered line: bytes to send in any 24 h; alarms and live safety points "
     "go first and always, the rest waits. 0B: no limit",
     "计费线路每 24 小时发送字节上限，报警与"
     "安全类实时数据优先且不受限，其余等待；0B 不限"},
    {"compress", CONFIG_CHOICE, offsetof(struct file_yaml, config.compress), 0, 0, 0, "none",
     compress_words, true, "zstd: compressed towards a centre that says it reads it",
     "zstd：中心支持时压缩发送"},
    {"signals", CONFIG_SUBTREE, offsetof(struct file_yaml, signals), 0, 0, 0, "", NULL, true,
     "what readings must be like, and what of them is sent", "读数的合理性与例外上报"},
    {"marks", CONFIG_SUBTREE, offsetof(struct file_yaml, marks), 0, 0, 0, "", NULL, true,
     "while which points are doubted: maintenance, calibration, cross_check",
     "何时对哪些测点存疑：维护、校准、互相矛盾"},
    {"marks_file", CONFIG_PATH, offsetof(struct file_yaml, config.marks_file), FILE_PATH_SIZE, 0, 0,
     "", NULL, true, "a file with further `marks`, read again whenever it has changed",
     "另存 marks 的文件，改动后自动重读"},
    {"links", CONFIG_SUBTREE, offsetof(struct file_yaml, links), 0, 0, 0, NULL, NULL, true,
     "the lines to instruments", "通信链路"},
    {0},
};

struct journal_yaml {
    char path[FILE_PATH_SIZE];
    uint64_t size;
};

static const struct config_key journal_keys[] = {
    {"path", CONFIG_PATH, offsetof(struct journal_yaml, path), FILE_PATH_SIZE, 0, 0, "journal",
     NULL, false, "folder of the journal", "日志目录"},
    {"size", CONFIG_SIZE, offsetof(struct journal_yaml, size), 0, 1048576, 1.1e12, "2GiB", NULL,
     false, "how much it may hold; a day at 300 samples/s is about 0.6 GiB", "日志容量"},
    {0},
};

struct link_yaml {
    struct edge_link link;
    const struct yaml_node *units;
};

static const struct config_key link_keys[] = {
    {"name", CONFIG_NAME, offsetof(struct link_yaml, link.name), 65, 0, 0, NULL, NULL, true,
     "the link's name, for messages", "链路名"},
    {"url", CONFIG_TEXT, offsetof(struct link_yaml, link.url), EDGE_URL_SIZE, 0, 0, NULL, NULL,
     true,
     "tcp://ADDRESS:PORT; rtu:///dev/ttyS1?baud=9600&parity=N&stop=1&rs485=no, a serial line; "
     "rtu+tcp://ADDRESS:PORT?baud=9600, a serial server; "
     "dtu://0.0.0.0:PORT?register=TEXT&heartbeat=TEXT, a DTU that calls (register_hex, "
     "heartbeat_hex: as hex)",
     "地址：Modbus TCP、串口、串口服务器（RTU over TCP）、主动连入的 DTU（注册包、心跳包）"},
    {"timeout", CONFIG_DURATION, offsetof(struct link_yaml, link.timeout_ms), 0, 10, 60000, "500ms",
     NULL, true, "how long an answer may take, besides its time on the wire where baud tells that",
     "应答超时，线路传输时间另计"},
    {"units", CONFIG_SUBTREE, offsetof(struct link_yaml, units), 0, 0, 0, NULL, NULL, true,
     "the instruments on it", "从站列表"},
    {0},
};

struct unit_yaml {
    int64_t unit;
    struct edge_unit config;
    int class_;
    int align;
    const struct yaml_node *points;
};

static const struct config_key unit_keys[] = {
    {"unit", CONFIG_INT, offsetof(struct unit_yaml, unit), 0, 1, 247, NULL, NULL, true,
     "its Modbus address", "从站地址"},
    {"map", CONFIG_PATH, offsetof(struct unit_yaml, config.map), FILE_PATH_SIZE, 0, 0, NULL, NULL,
     true, "its register map", "寄存器表"},
    {"name", CONFIG_NAME, offsetof(struct unit_yaml, config.name), 65, 0, 0, NULL, NULL, true,
     "the second part of its points' names", "设备名，测点名的第二段"},
    {"interval", CONFIG_DURATION, offsetof(struct unit_yaml, config.interval_ms), 0,
     INTERVAL_LEAST_MS, DAY_MS, "1s", NULL, true, "how often it is read", "采集周期"},
    {"align", CONFIG_CHOICE, offsetof(struct unit_yaml, align), 0, 0, 0, "none", align_words, true,
     "minute: read at the full minutes (hours, days) of the clock",
     "minute 按整分（整时、整日）采集"},
    {"latency", CONFIG_DURATION, offsetof(struct unit_yaml, config.latency_ms), 0, 0, 60000, "0s",
     NULL, true, "how long it takes to answer, for the plan; 0s: measured", "应答延时，0s 为实测"},
    {"max_registers", CONFIG_INT, offsetof(struct unit_yaml, config.max_registers), 0, 0, 125, "0",
     NULL, true, "registers of one read at most; 0: 125", "单次最多寄存器数，0 为 125"},
    {"max_bits", CONFIG_INT, offsetof(struct unit_yaml, config.max_bits), 0, 0, 2000, "0", NULL,
     true, "coils or inputs of one read at most; 0: 2000", "单次最多线圈数，0 为 2000"},
    {"forbidden", CONFIG_TEXT, offsetof(struct unit_yaml, config.forbidden), ADDRESS_RANGES_TEXT, 0,
     0, "", NULL, true, "addresses no read may touch: 100-110, 4:200", "禁读地址：100-110, 4:200"},
    {"class", CONFIG_CHOICE, offsetof(struct unit_yaml, class_), 0, 0, 0, "trend", class_words,
     true, "safety, compliance or trend: what is kept longest when space runs out", "数据类别"},
    {"raw", CONFIG_BOOL, offsetof(struct unit_yaml, config.raw), 0, 0, 0, "false", NULL, true,
     "its samples carry the register words too", "读数同时保留原始寄存器值"},
    {"points", CONFIG_SUBTREE, offsetof(struct unit_yaml, points), 0, 0, 0, "", NULL, true,
     "names from the map; all of it when left out", "测点；省略为全部"},
    {0},
};

struct point_yaml {
    char name[65];
    int64_t interval_ms;
    int align;
    char class_[16];
};

static const struct config_key point_keys[] = {
    {"name", CONFIG_NAME, offsetof(struct point_yaml, name), 65, 0, 0, NULL, NULL, true,
     "the register's name in the map", "寄存器名"},
    {"interval", CONFIG_DURATION, offsetof(struct point_yaml, interval_ms), 0, 0, DAY_MS, "0s",
     NULL, true, "0s: as the unit", "采集周期，0s 同设备"},
    {"align", CONFIG_CHOICE, offsetof(struct point_yaml, align), 0, 0, 0, "unit", point_align_words,
     true, "as the unit, none, or minute", "unit 同设备，或 none、minute"},
    {"class", CONFIG_TEXT, offsetof(struct point_yaml, class_), 16, 0, 0, "", NULL, true,
     "as the unit when left out", "类别，省略同设备"},
    {0},
};

/* Room for a list's entries; none is a mistake like any other, so that nothing goes on by half. */
static void *list_room(const struct yaml_tree *tree, const struct yaml_node *list, size_t size,
                       struct config_errors *errors)
{
    void *room = calloc(list->count, size);
    if (!room)
        yaml_complain(tree, list, errors, "not enough memory for %zu entries", list->count);
    return room;
}

static bool is_list(const struct yaml_tree *tree, const struct yaml_node *node, size_t most,
                    const char *of, struct config_errors *errors)
{
    if (node->type == YAML_LIST && node->count && node->count <= most)
        return true;
    yaml_complain(tree, node, errors, "expected a list of 1 to %zu %s", most, of);
    return false;
}

static int class_from_text(const char *text, enum point_class *ret_class)
{
    for (int i = 0; class_words[i]; i++)
        if (strcmp(class_words[i], text) == 0) {
            *ret_class = (enum point_class)i;
            return 0;
        }
    return ERR_INVALID;
}

/* Full minutes, hours and days are met by intervals that divide a day. */
static void check_align(const struct yaml_tree *tree, const struct yaml_node *node,
                        enum align align, int64_t interval_ms, struct config_errors *errors)
{
    if (align == ALIGN_MINUTE &&
        (interval_ms < ALIGN_LEAST_MS || (int64_t)DAY_MS % interval_ms != 0))
        yaml_complain(tree, node, errors,
                      "align: minute needs an interval of at least 1s that divides a day; %lldms "
                      "does not",
                      (long long)interval_ms);
}

static void read_point(const struct yaml_tree *tree, const struct yaml_node *node,
                       struct edge_unit *unit, struct config_errors *errors)
{
    struct edge_point *point = &unit->points[unit->point_count++];
    *point = (struct edge_point){.interval_ms = unit->interval_ms,
                                 .align = unit->align,
                                 .class_ = unit->class_,
                                 .line = node->line,
                                 .column = node->column};
    if (node->type == YAML_SCALAR) {
        if (!text_is_name(node->text) || text_copy(point->name, sizeof(point->name), node->text))
            yaml_complain(tree, node, errors, "'%.60s'; expected a register's name", node->text);
    } else {
        struct point_yaml from = {0};
        config_read(tree, node, point_keys, &from, errors);
        memcpy(point->name, from.name, sizeof(point->name));
        if (from.interval_ms)
            point->interval_ms = from.interval_ms;
        if (from.align > 0)
            point->align = (enum align)(from.align - 1);
        check_align(tree, node, point->align, point->interval_ms, errors);
        if (from.class_[0] && class_from_text(from.class_, &point->class_))
            yaml_complain(tree, yaml_member(node, "class"), errors,
                          "'%s'; expected safety, compliance or trend", from.class_);
    }
}

static void check_forbidden(const struct yaml_tree *tree, const struct yaml_node *node,
                            const struct edge_unit *unit, struct config_errors *errors)
{
    struct address_range ranges[ADDRESS_RANGES_MAX];
    struct message message = {""};
    size_t count;
    if (address_ranges_parse(unit->forbidden, ranges, &count, &message))
        yaml_complain(tree, yaml_member(node, "forbidden"), errors, "%s", message.text);
}

static void read_unit(const struct yaml_tree *tree, const struct yaml_node *node,
                      struct edge_link *link, struct config_errors *errors)
{
    struct unit_yaml from = {0};
    config_read(tree, node, unit_keys, &from, errors);
    struct edge_unit *unit = &link->units[link->unit_count++];
    *unit = from.config;
    unit->unit = (int)from.unit;
    unit->class_ = (enum point_class)from.class_;
    unit->align = (enum align)from.align;
    check_align(tree, node, unit->align, unit->interval_ms, errors);
    check_forbidden(tree, node, unit, errors);
    unit->line = node->line;
    unit->column = node->column;
    if (!from.points)
        return;
    if (!is_list(tree, from.points, EDGE_POINTS_MAX, "register names", errors))
        return;
    unit->points = list_room(tree, from.points, sizeof(*unit->points), errors);
    for (const struct yaml_node *child = from.points->first; unit->points && child;
         child = child->next)
        read_point(tree, child, unit, errors);
}

static void read_link_url(const struct yaml_tree *tree, const struct yaml_node *node,
                          struct edge_link *link, struct config_errors *errors)
{
    struct message message = {""};
    if (link->url[0] && link_url_parse(link->url, &link->at, &message))
        yaml_complain(tree, yaml_member(node, "url"), errors, "'%.100s': %s", link->url,
                      message.text);
}

static void read_link(const struct yaml_tree *tree, const struct yaml_node *node,
                      struct edge_config *config, struct config_errors *errors)
{
    struct link_yaml from = {0};
    config_read(tree, node, link_keys, &from, errors);
    struct edge_link *link = &config->links[config->link_count++];
    *link = from.link;
    link->line = node->line;
    link->column = node->column;
    read_link_url(tree, node, link, errors);
    if (!from.units)
        return;
    if (!is_list(tree, from.units, EDGE_UNITS_MAX, "units", errors))
        return;
    link->units = list_room(tree, from.units, sizeof(*link->units), errors);
    for (const struct yaml_node *child = from.units->first; link->units && child;
         child = child->next)
        read_unit(tree, child, link, errors);
}

static bool begins_alike(const struct link_bytes *a, const struct link_bytes *b)
{
    return memcmp(a->bytes, b->bytes, a->len < b->len ? a->len : b->len) == 0;
}

/* One serial port has one owner, and what a DTU says first tells which it is. */
static const char *conflict(const struct link_url *a, const struct link_url *b)
{
    if (a->kind == LINK_RTU && b->kind == LINK_RTU && strcmp(a->device, b->device) == 0)
        return "is at this device already; put its units there";
    if (a->kind == LINK_DTU && b->kind == LINK_DTU && a->endpoint.port == b->endpoint.port) {
        if (strcmp(a->endpoint.host, b->endpoint.host) != 0)
            return "listens on this port already, at another address";
        if (begins_alike(&a->registration, &b->registration))
            return "has a DTU that begins alike: nobody could tell them apart";
    }
    return NULL;
}

static void check_links(const struct yaml_tree *tree, const struct edge_config *config,
                        struct config_errors *errors)
{
    for (size_t i = 1; i < config->link_count; i++)
        for (size_t n = 0; n < i; n++) {
            const struct edge_link *link = &config->links[i], *other = &config->links[n];
            const struct yaml_node at = {.line = link->line, .column = link->column};
            const char *why = conflict(&link->at, &other->at);
            if (why)
                yaml_complain(tree, &at, errors, "link '%s' %s", other->name, why);
        }
}

/* A name that must stand once, and where it stands. */
struct place {
    char name[POINT_ID_TEXT_SIZE];
    size_t line, column;
};

static int compare_places(const void *left, const void *right)
{
    const struct place *a = left, *b = right;
    int order = strcmp(a->name, b->name);
    if (!order)
        order = (a->line > b->line) - (a->line < b->line);
    return order ? order : (a->column > b->column) - (a->column < b->column);
}

static void check_once(const struct yaml_tree *tree, struct place *places, size_t count,
                       const char *what, struct config_errors *errors)
{
    qsort(places, count, sizeof(*places), compare_places);
    for (size_t i = 1; i < count; i++) {
        const struct yaml_node at = {.line = places[i].line, .column = places[i].column};
        if (places[i].name[0] && strcmp(places[i].name, places[i - 1].name) == 0)
            yaml_complain(tree, &at, errors, "%s '%s' is there already, in line %zu", what,
                          places[i].name, places[i - 1].line);
    }
}

static size_t check_point(const struct yaml_tree *tree, const struct edge_config *config,
                          const struct edge_unit *unit, const struct edge_point *point,
                          struct place *place, struct config_errors *errors)
{
    *place = (struct place){.line = point->line, .column = point->column};
    if (!unit->name[0] || !point->name[0])
        return 0; /* told already */
    snprintf(place->name, sizeof(place->name), "%s.%s.%s", config->site, unit->name, point->name);
    const struct yaml_node at = {.line = point->line, .column = point->column};
    if (strlen(place->name) > EDGE_POINT_ID)
        yaml_complain(tree, &at, errors, "point id '%s' is %zu bytes long; at most %d", place->name,
                      strlen(place->name), EDGE_POINT_ID);
    return 1;
}

/* Link, unit and point names stand once in an edge: the last two make the points' ids. */
static void check_names(const struct yaml_tree *tree, const struct edge_config *config,
                        struct config_errors *errors)
{
    size_t units = 0, points = 0, unit_at = 0, point_at = 0;
    for (size_t i = 0; i < config->link_count; i++)
        for (size_t n = 0; n < config->links[i].unit_count; n++, units++)
            points += config->links[i].units[n].point_count;
    if (points > EDGE_POINTS_MAX) {
        yaml_complain(tree, yaml_member(yaml_root(tree), "links"), errors,
                      "%zu points in all; at most %d", points, EDGE_POINTS_MAX);
        return;
    }
    struct place *places = calloc(config->link_count + units + points + 1, sizeof(*places));
    if (!places) {
        yaml_complain(tree, NULL, errors, "not enough memory to check the names");
        return;
    }
    struct place *of_units = places + config->link_count, *of_points = of_units + units;
    for (size_t i = 0; i < config->link_count; i++) {
        const struct edge_link *link = &config->links[i];
        places[i] = (struct place){.line = link->line, .column = link->column};
        memcpy(places[i].name, link->name, sizeof(link->name));
        for (size_t n = 0; n < link->unit_count; n++) {
            const struct edge_unit *unit = &link->units[n];
            of_units[unit_at] = (struct place){.line = unit->line, .column = unit->column};
            memcpy(of_units[unit_at++].name, unit->name, sizeof(unit->name));
            for (size_t k = 0; k < unit->point_count; k++)
                point_at +=
                    check_point(tree, config, unit, &unit->points[k], of_points + point_at, errors);
        }
    }
    check_once(tree, places, config->link_count, "link", errors);
    check_once(tree, of_units, units, "unit", errors);
    check_once(tree, of_points, point_at, "point", errors);
    free(places);
}

/* Each journal has one owner, so a socket named after it is nobody else's. */
static void place_control(struct edge_config *config)
{
    size_t len = strlen(config->journal_path);
    while (len > 1 && config->journal_path[len - 1] == '/')
        len--;
    if (!config->control_path[0] && len + sizeof(".sock") <= sizeof(config->control_path))
        snprintf(config->control_path, sizeof(config->control_path), "%.*s.sock", (int)len,
                 config->journal_path);
}

static void read_tree(const struct yaml_tree *tree, struct edge_config *config,
                      struct config_errors *errors)
{
    struct file_yaml file = {0};
    config_read(tree, yaml_root(tree), file_keys, &file, errors);
    *config = file.config;
    struct journal_yaml journal = {0};
    static const struct yaml_node nothing = {.type = YAML_MAP, .line = 1, .column = 1};
    config_read(tree, file.journal ? file.journal : &nothing, journal_keys, &journal, errors);
    memcpy(config->journal_path, journal.path, sizeof(config->journal_path));
    config->journal_size = journal.size;
    place_control(config);
    if (file.broker)
        broker_config_read(tree, file.broker, &config->broker, errors);
    signal_config_read(tree, file.signals, file.marks, &config->signals, errors);
    if (!file.links)
        return;
    if (!is_list(tree, file.links, EDGE_LINKS_MAX, "links", errors))
        return;
    config->links = list_room(tree, file.links, sizeof(*config->links), errors);
    for (const struct yaml_node *child = file.links->first; config->links && child;
         child = child->next)
        read_link(tree, child, config, errors);
    check_links(tree, config, errors);
    check_names(tree, config, errors);
}

int edge_config_load(const char *path, struct edge_config **ret_config,
                     struct config_errors *errors)
{
    struct yaml_tree *tree = NULL;
    size_t before = errors->count;
    int err = yaml_read_file(path, &tree, errors);
    if (err)
        return err;
    struct edge_config *config = calloc(1, sizeof(*config));
    if (config)
        read_tree(tree, config, errors);
    yaml_free(tree);
    if (!config)
        return ERR_NO_MEMORY;
    if (errors->count > before || text_copy(config->file, sizeof(config->file), path)) {
        edge_config_free(config);
        return ERR_INVALID;
    }
    *ret_config = config;
    return 0;
}

void edge_config_free(struct edge_config *config)
{
    if (!config)
        return;
    for (size_t i = 0; i < config->link_count; i++) {
        for (size_t n = 0; n < config->links[i].unit_count; n++)
            free(config->links[i].units[n].points);
        free(config->links[i].units);
    }
    free(config->links);
    signal_config_release(&config->signals);
    free(config);
}

static void print_points(const struct edge_unit *unit, struct buffer *out)
{
    if (unit->point_count)
        buffer_append_text(out, "        points:\n");
    for (size_t i = 0; i < unit->point_count; i++) {
        const struct edge_point *point = &unit->points[i];
        buffer_printf(out, "          - {name: %s, interval: %lldms, align: %s, class: %s}\n",
                      point->name, (long long)point->interval_ms, align_words[point->align],
                      point_class_name(point->class_));
    }
}

void edge_config_print(const struct edge_config *config, struct buffer *out)
{
    struct file_yaml file = {.config = *config};
    struct journal_yaml journal = {.size = config->journal_size};
    memcpy(journal.path, config->journal_path, sizeof(journal.path));
    config_print(file_keys, &file, 0, out);
    buffer_append_text(out, "journal:\n");
    config_print(journal_keys, &journal, 2, out);
    broker_config_print(&config->broker, out);
    signal_config_print(&config->signals, out);
    buffer_append_text(out, "links:\n");
    for (size_t i = 0; i < config->link_count; i++) {
        struct link_yaml link = {.link = config->links[i]};
        buffer_append_text(out, "  -\n");
        config_print(link_keys, &link, 4, out);
        buffer_append_text(out, "    units:\n");
        for (size_t n = 0; n < link.link.unit_count; n++) {
            const struct edge_unit *unit = &link.link.units[n];
            struct unit_yaml from = {.unit = unit->unit,
                                     .config = *unit,
                                     .class_ = (int)unit->class_,
                                     .align = (int)unit->align};
            buffer_append_text(out, "      -\n");
            config_print(unit_keys, &from, 8, out);
            print_points(unit, out);
        }
    }
}
