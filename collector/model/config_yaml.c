#include "model/config_yaml.h"

#include "base/files.h"
#include "base/numbers.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/*
 * Design notes
 *
 * libyaml's events are put into a tree whose nodes keep their marks. Everything lives in one list
 * of blocks that the tree frees at once. A node's children are a list in the order of the file; a
 * map's child carries its key. Bounds are checked before and while reading, so that what a table
 * sees is always small: FILE_MAX bytes, DEPTH_MAX levels, NODES_MAX nodes.
 */

#define FILE_MAX     (1024 * 1024)
#define DEPTH_MAX    16
#define NODES_MAX    400000
#define ERRORS_SHOWN 50
#define ERRORS_LIMIT (256 * 1024)
#define LINE_SHOWN   200

struct block {
    struct block *next;
    char bytes[];
};

struct yaml_tree {
    char file[FILE_PATH_SIZE];
    char *text; /* the source, for the line that is shown under a mistake */
    size_t len;
    struct yaml_node *root;
    struct block *blocks;
    size_t nodes;
};

/* ---- mistakes ---- */

void config_errors_init(struct config_errors *errors)
{
    buffer_init(&errors->text, ERRORS_LIMIT);
    errors->count = 0;
}

void config_errors_release(struct config_errors *errors)
{
    buffer_release(&errors->text);
}

/* The source line and a caret under the column (in code points, from 1). */
static void show_line(const struct yaml_tree *tree, size_t line, size_t column, struct buffer *out)
{
    const char *at = tree->text, *end = tree->text + tree->len;
    for (size_t n = 1; n < line && at < end; n++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        at = newline ? newline + 1 : end;
    }
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    size_t len = (size_t)((newline ? newline : end) - at);
    if (len && at[len - 1] == '\r')
        len--;
    if (!len || len > LINE_SHOWN)
        return;
    buffer_append_text(out, "    ");
    buffer_append(out, at, len);
    buffer_append_text(out, "\n    ");
    size_t points = 1;
    for (size_t i = 0; i < len && points < column; i++) {
        if (((unsigned char)at[i] & 0xc0) == 0x80)
            continue;
        buffer_append_char(out, at[i] == '\t' ? '\t' : ' ');
        points++;
    }
    buffer_append_text(out, "^\n");
}

static void complain_at(const struct yaml_tree *tree, size_t line, size_t column,
                        struct config_errors *errors, const char *text)
{
    if (errors->count++ >= ERRORS_SHOWN)
        return;
    buffer_printf(&errors->text, "%s:%zu:%zu: %s\n", tree->file, line, column, text);
    show_line(tree, line, column, &errors->text);
    if (errors->count == ERRORS_SHOWN)
        buffer_append_text(&errors->text, "further mistakes are counted, not shown\n");
}

void yaml_complain(const struct yaml_tree *tree, const struct yaml_node *node,
                   struct config_errors *errors, const char *format, ...)
{
    struct message message;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message.text, sizeof(message.text), format, arguments);
    va_end(arguments);
    complain_at(tree, node ? node->line : 1, node ? node->column : 1, errors, message.text);
}

static void complain_key(const struct yaml_tree *tree, const struct yaml_node *node,
                         struct config_errors *errors, const char *format, ...) PRINTF_LIKE(4, 5);

static void complain_key(const struct yaml_tree *tree, const struct yaml_node *node,
                         struct config_errors *errors, const char *format, ...)
{
    struct message message;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message.text, sizeof(message.text), format, arguments);
    va_end(arguments);
    complain_at(tree, node->key_line, node->key_column, errors, message.text);
}

/* ---- the tree ---- */

static void *tree_alloc(struct yaml_tree *tree, size_t size)
{
    struct block *block = calloc(1, sizeof(*block) + size);
    if (!block)
        return NULL;
    block->next = tree->blocks;
    tree->blocks = block;
    return block->bytes;
}

void yaml_tree_free(struct yaml_tree *tree)
{
    if (!tree)
        return;
    while (tree->blocks) {
        struct block *block = tree->blocks;
        tree->blocks = block->next;
        free(block);
    }
    free(tree->text);
    free(tree);
}

const struct yaml_node *yaml_root(const struct yaml_tree *tree)
{
    return tree->root;
}

const struct yaml_node *yaml_member(const struct yaml_node *map, const char *key)
{
    if (!map || map->type != YAML_MAP)
        return NULL;
    for (const struct yaml_node *child = map->first; child; child = child->next)
        if (strcmp(child->key, key) == 0)
            return child;
    return NULL;
}

/* An open list or map, and where its next child goes. */
struct level {
    struct yaml_node *node;
    const struct yaml_node **tail;
    const char *key; /* of a map: read, its value still to come */
    size_t key_line, key_column;
};

struct reading {
    struct yaml_tree *tree;
    struct config_errors *errors;
    struct level levels[DEPTH_MAX];
    size_t depth;
};

static int refuse(struct reading *reading, const yaml_mark_t *mark, const char *text)
{
    complain_at(reading->tree, mark->line + 1, mark->column + 1, reading->errors, text);
    return ERR_INVALID;
}

static char *copy_text(struct yaml_tree *tree, const yaml_char_t *text, size_t len)
{
    char *copy = tree_alloc(tree, len + 1);
    if (copy)
        memcpy(copy, text, len);
    return copy;
}

/* A scalar in the place of a key. */
static int take_key(struct reading *reading, const yaml_event_t *event)
{
    struct level *level = &reading->levels[reading->depth - 1];
    if (event->type != YAML_SCALAR_EVENT)
        return refuse(reading, &event->start_mark, "a key must be a word");
    if (memchr(event->data.scalar.value, '\0', event->data.scalar.length))
        return refuse(reading, &event->start_mark, "a NUL character has no place here");
    level->key = copy_text(reading->tree, event->data.scalar.value, event->data.scalar.length);
    if (!level->key)
        return ERR_NO_MEMORY;
    level->key_line = event->start_mark.line + 1;
    level->key_column = event->start_mark.column + 1;
    const struct yaml_node *first = yaml_member(level->node, level->key);
    if (!first)
        return 0;
    char text[160];
    snprintf(text, sizeof(text), "key '%.60s' stands here a second time (first in line %zu)",
             level->key, first->key_line);
    complain_at(reading->tree, level->key_line, level->key_column, reading->errors, text);
    return 0;
}

static int add_node(struct reading *reading, const yaml_event_t *event, enum yaml_type type,
                    struct yaml_node **ret_node)
{
    struct yaml_tree *tree = reading->tree;
    if (++tree->nodes > NODES_MAX)
        return refuse(reading, &event->start_mark, "too many entries for one file");
    struct yaml_node *node = tree_alloc(tree, sizeof(*node));
    if (!node)
        return ERR_NO_MEMORY;
    node->type = type;
    node->line = event->start_mark.line + 1;
    node->column = event->start_mark.column + 1;
    if (!reading->depth) {
        tree->root = node;
    } else {
        struct level *level = &reading->levels[reading->depth - 1];
        node->key = level->key;
        node->key_line = level->key_line;
        node->key_column = level->key_column;
        level->key = NULL;
        *level->tail = node;
        level->tail = &node->next;
        level->node->count++;
    }
    *ret_node = node;
    return 0;
}

static int open_level(struct reading *reading, const yaml_event_t *event, enum yaml_type type)
{
    struct yaml_node *node;
    if (reading->depth == DEPTH_MAX)
        return refuse(reading, &event->start_mark, "nested too deeply; at most 16 levels");
    int err = add_node(reading, event, type, &node);
    if (!err)
        reading->levels[reading->depth++] = (struct level){.node = node, .tail = &node->first};
    return err;
}

static int take_scalar(struct reading *reading, const yaml_event_t *event)
{
    struct yaml_node *node;
    if (memchr(event->data.scalar.value, '\0', event->data.scalar.length))
        return refuse(reading, &event->start_mark, "a NUL character has no place here");
    int err = add_node(reading, event, YAML_SCALAR, &node);
    if (err)
        return err;
    node->text = copy_text(reading->tree, event->data.scalar.value, event->data.scalar.length);
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    return node->text ? 0 : ERR_NO_MEMORY;
}

static bool expects_key(const struct reading *reading)
{
    if (!reading->depth)
        return false;
    const struct level *level = &reading->levels[reading->depth - 1];
    return level->node->type == YAML_MAP && !level->key;
}

static int take_event(struct reading *reading, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return refuse(reading, &event->start_mark, "aliases (*name) are not read; write it out");
    case YAML_DOCUMENT_START_EVENT:
        return reading->tree->root
                   ? refuse(reading, &event->start_mark, "a second document; a file holds one")
                   : 0;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        reading->depth--;
        return 0;
    case YAML_SCALAR_EVENT:
        return expects_key(reading) ? take_key(reading, event) : take_scalar(reading, event);
    case YAML_SEQUENCE_START_EVENT:
        return expects_key(reading) ? take_key(reading, event)
                                    : open_level(reading, event, YAML_LIST);
    case YAML_MAPPING_START_EVENT:
        return expects_key(reading) ? take_key(reading, event)
                                    : open_level(reading, event, YAML_MAP);
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return 0;
    }
    return 0;
}

static int parser_error(struct reading *reading, const yaml_parser_t *parser)
{
    char text[200];
    const char *problem = parser->problem ? parser->problem : "cannot be read";
    snprintf(text, sizeof(text), "%s%s", problem,
             strstr(problem, "cannot start any token")
                 ? " (a tab cannot indent; quote text that begins with a special character)"
                 : "");
    return refuse(reading, &parser->problem_mark, text);
}

static int read_events(struct reading *reading)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return ERR_NO_MEMORY;
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)reading->tree->text,
                                 reading->tree->len);
    int err = 0;
    for (bool end = false; !err && !end;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            err = parser_error(reading, &parser);
            break;
        }
        end = event.type == YAML_STREAM_END_EVENT;
        err = take_event(reading, &event);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return err;
}

/* What can be said before any parsing. */
static int check_bytes(struct reading *reading)
{
    static const yaml_mark_t start = {0};
    const struct yaml_tree *tree = reading->tree;
    if (tree->len > FILE_MAX)
        return refuse(reading, &start, "larger than 1 MiB");
    if (memchr(tree->text, '\0', tree->len))
        return refuse(reading, &start, "holds NUL characters; expected a text file");
    if (text_is_utf8(tree->text, tree->len))
        return 0;
    struct buffer utf8;
    buffer_init(&utf8, 4 * FILE_MAX);
    bool gbk = !text_to_utf8(tree->text, tree->len, &utf8);
    buffer_release(&utf8);
    return refuse(reading, &start,
                  gbk ? "this file is saved as GBK; save it as UTF-8 (文件是 GBK 编码，请另存为 "
                        "UTF-8)"
                      : "not UTF-8 text");
}

int yaml_read_text(const char *file, const char *text, size_t len, struct yaml_tree **ret_tree,
                   struct config_errors *errors)
{
    struct yaml_tree *tree = calloc(1, sizeof(*tree));
    if (!tree)
        return ERR_NO_MEMORY;
    size_t bom = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    tree->len = len - bom;
    tree->text = malloc(tree->len + 1);
    if (!tree->text || text_copy(tree->file, sizeof(tree->file), file)) {
        yaml_tree_free(tree);
        return ERR_NO_MEMORY;
    }
    memcpy(tree->text, text + bom, tree->len);
    tree->text[tree->len] = '\0';
    struct reading reading = {.tree = tree, .errors = errors};
    size_t before = errors->count;
    int err = check_bytes(&reading);
    if (!err)
        err = read_events(&reading);
    if (!err && (!tree->root || tree->root->type != YAML_MAP)) {
        static const yaml_mark_t start = {0};
        err = refuse(&reading, &start, "expected `key: value` lines, and found none");
    }
    if (!err && errors->count > before)
        err = ERR_INVALID;
    if (err) {
        yaml_tree_free(tree);
        return err;
    }
    *ret_tree = tree;
    return 0;
}

int yaml_read_file(const char *path, struct yaml_tree **ret_tree, struct config_errors *errors)
{
    struct buffer text;
    struct message message = {""};
    buffer_init(&text, FILE_MAX + 1);
    int err = file_read(path, &text, &message);
    if (err) {
        errors->count++;
        buffer_printf(&errors->text, "%s: %s\n", path,
                      err == ERR_FULL ? "larger than 1 MiB" : message.text);
    } else {
        err = yaml_read_text(path, buffer_text(&text), text.len, ret_tree, errors);
    }
    buffer_release(&text);
    return err;
}

/* ---- tables ---- */

static const struct config_key *find_key(const struct config_key *keys, const char *name)
{
    for (; keys->name; keys++)
        if (strcmp(keys->name, name) == 0)
            return keys;
    return NULL;
}

static const char *nearest_key(const struct config_key *keys, const char *name)
{
    const char *nearest = NULL;
    size_t least = 3;
    for (; keys->name; keys++) {
        size_t distance = text_distance(keys->name, name, least);
        if (distance < least) {
            least = distance;
            nearest = keys->name;
        }
    }
    return nearest;
}

static void list_keys(const struct config_key *keys, char *text, size_t size)
{
    size_t len = 0;
    text[0] = '\0';
    for (const struct config_key *key = keys; key->name && len < size; key++)
        len += (size_t)snprintf(text + len, size - len, "%s%s", key == keys ? "" : ", ", key->name);
}

static void complain_unknown(const struct yaml_tree *tree, const struct yaml_node *node,
                             const struct config_key *keys, struct config_errors *errors)
{
    const char *nearest = nearest_key(keys, node->key);
    char list[300];
    list_keys(keys, list, sizeof(list));
    if (nearest)
        complain_key(tree, node, errors, "unknown key '%.60s'; did you mean '%s'?", node->key,
                     nearest);
    else
        complain_key(tree, node, errors, "unknown key '%.60s'; expected one of %s", node->key,
                     list);
}

/* What a value of this key must look like, in words. */
static void describe(const struct config_key *key, char *text, size_t size)
{
    char min[NUMBER_TEXT_SIZE], max[NUMBER_TEXT_SIZE];
    print_double(key->min, min);
    print_double(key->max, max);
    size_t len = 0;
    switch (key->type) {
    case CONFIG_TEXT:
    case CONFIG_PATH:
        snprintf(text, size, "text of at most %zu bytes", key->size - 1);
        break;
    case CONFIG_NAME:
        snprintf(text, size, "a name of letters, digits, '_', '.' and '-', at most %zu",
                 key->size - 1 < 64 ? key->size - 1 : 64);
        break;
    case CONFIG_INT:
        snprintf(text, size, "a whole number %s..%s", min, max);
        break;
    case CONFIG_DOUBLE:
        snprintf(text, size, "a number %s..%s", min, max);
        break;
    case CONFIG_BOOL:
        snprintf(text, size, "true or false");
        break;
    case CONFIG_DURATION:
        snprintf(text, size, "a duration such as 500ms, 10s, 5min, between %sms and %sms", min,
                 max);
        break;
    case CONFIG_SIZE:
        snprintf(text, size, "a size such as 64MiB or 2GiB");
        break;
    case CONFIG_CHOICE:
        for (size_t i = 0; key->choices[i] && len < size; i++)
            len += (size_t)snprintf(text + len, size - len, "%s%s", i ? ", " : "one of ",
                                    key->choices[i]);
        break;
    case CONFIG_SUBTREE:
        snprintf(text, size, "a list or a map");
        break;
    }
}

/* A dotted name longer than one name's 64 characters, as points have. */
static bool is_long_name(const char *text, size_t size)
{
    size_t len = strlen(text);
    if (!len || len >= size || text[0] == '.')
        return false;
    return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == len;
}

static int store_path(const struct yaml_tree *tree, const char *text, char *field)
{
    char folder[FILE_PATH_SIZE];
    if (!text[0])
        return text_copy(field, FILE_PATH_SIZE, "");
    int err = path_folder(tree->file, folder);
    return err ? err : path_join(folder, text, field);
}

static int store_choice(const struct config_key *key, const char *text, int *field)
{
    for (int i = 0; key->choices[i]; i++)
        if (strcmp(key->choices[i], text) == 0) {
            *field = i;
            return 0;
        }
    return ERR_INVALID;
}

static int store_number(const struct config_key *key, const char *text, void *field)
{
    double number = 0;
    int64_t duration = 0;
    if (key->type == CONFIG_INT)
        return parse_i64(text, (int64_t)key->min, (int64_t)key->max, field);
    int err = key->type == CONFIG_DURATION ? parse_duration_ms(text, &duration)
                                           : parse_double(text, &number);
    if (key->type == CONFIG_DURATION)
        number = (double)duration;
    if (err || number < key->min || number > key->max)
        return err ? err : ERR_RANGE;
    if (key->type == CONFIG_DURATION)
        memcpy(field, &duration, sizeof(duration));
    else
        memcpy(field, &number, sizeof(number));
    return 0;
}

static int store_size(const struct config_key *key, const char *text, void *field)
{
    uint64_t bytes;
    int err = parse_size(text, &bytes);
    if (err || (double)bytes < key->min || (double)bytes > key->max)
        return err ? err : ERR_RANGE;
    memcpy(field, &bytes, sizeof(bytes));
    return 0;
}

/* Puts the text where the key says. */
static int store(const struct yaml_tree *tree, const struct config_key *key, const char *text,
                 void *object)
{
    void *field = (char *)object + key->offset;
    switch (key->type) {
    case CONFIG_TEXT:
        return text_copy(field, key->size, text);
    case CONFIG_NAME:
        return text[0] && !is_long_name(text, key->size) ? ERR_INVALID
                                                         : text_copy(field, key->size, text);
    case CONFIG_PATH:
        return store_path(tree, text, field);
    case CONFIG_BOOL:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
            return ERR_INVALID;
        *(bool *)field = text[0] == 't';
        return 0;
    case CONFIG_CHOICE:
        return store_choice(key, text, field);
    case CONFIG_SIZE:
        return store_size(key, text, field);
    case CONFIG_INT:
    case CONFIG_DOUBLE:
    case CONFIG_DURATION:
        return store_number(key, text, field);
    case CONFIG_SUBTREE:
        return 0;
    }
    return ERR_INVALID;
}

static void read_value(const struct yaml_tree *tree, const struct yaml_node *node,
                       const struct config_key *key, void *object, struct config_errors *errors)
{
    char expected[200] = "";
    describe(key, expected, sizeof(expected));
    if (key->type == CONFIG_SUBTREE) {
        memcpy((char *)object + key->offset, &node, sizeof(node));
        return;
    }
    if (node->type != YAML_SCALAR)
        yaml_complain(tree, node, errors, "a %s; expected %s for '%s'",
                      node->type == YAML_LIST ? "list" : "map", expected, key->name);
    else if (store(tree, key, node->text, object))
        yaml_complain(tree, node, errors, "'%.60s'; expected %s for '%s'", node->text, expected,
                      key->name);
    else if (!node->text[0] && !key->default_text)
        yaml_complain(tree, node, errors, "nothing; expected %s for '%s'", expected, key->name);
}

void config_read(const struct yaml_tree *tree, const struct yaml_node *node,
                 const struct config_key *keys, void *object, struct config_errors *errors)
{
    for (const struct config_key *key = keys; key->name; key++)
        if (key->default_text && key->default_text[0])
            /* Defaults are ours: a test reads every table. */
            (void)!store(tree, key, key->default_text, object);
    if (!node || node->type != YAML_MAP) {
        yaml_complain(tree, node, errors, "not a map; expected `key: value` lines");
        return;
    }
    for (const struct yaml_node *child = node->first; child; child = child->next) {
        const struct config_key *key = find_key(keys, child->key);
        if (key)
            read_value(tree, child, key, object, errors);
        else
            complain_unknown(tree, child, keys, errors);
    }
    for (const struct config_key *key = keys; key->name; key++) {
        if (key->default_text || yaml_member(node, key->name))
            continue;
        char expected[200] = "";
        describe(key, expected, sizeof(expected));
        yaml_complain(tree, node, errors, "'%s' is missing; expected %s", key->name, expected);
    }
}

void config_print(const struct config_key *keys, const void *object, int indent, struct buffer *out)
{
    for (const struct config_key *key = keys; key->name; key++) {
        const void *field = (const char *)object + key->offset;
        char number[NUMBER_TEXT_SIZE];
        if (key->type == CONFIG_SUBTREE)
            continue;
        buffer_printf(out, "%*s%s: ", indent, "", key->name);
        switch (key->type) {
        case CONFIG_TEXT:
        case CONFIG_NAME:
        case CONFIG_PATH:
            buffer_printf(out, "\"%s\"\n", (const char *)field);
            break;
        case CONFIG_BOOL:
            buffer_append_text(out, *(const bool *)field ? "true\n" : "false\n");
            break;
        case CONFIG_CHOICE:
            buffer_printf(out, "%s\n", key->choices[*(const int *)field]);
            break;
        case CONFIG_DOUBLE:
            print_double(*(const double *)field, number);
            buffer_printf(out, "%s\n", number);
            break;
        case CONFIG_INT:
        case CONFIG_DURATION:
            print_i64(*(const int64_t *)field, number);
            buffer_printf(out, "%s%s\n", number, key->type == CONFIG_DURATION ? "ms" : "");
            break;
        case CONFIG_SIZE:
            print_u64(*(const uint64_t *)field, number);
            buffer_printf(out, "%sB\n", number);
            break;
        case CONFIG_SUBTREE:
            break;
        }
    }
}
