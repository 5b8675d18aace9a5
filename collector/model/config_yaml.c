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
#define KEYS_MAX     200 /* of one map: no table has as many */
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

/* Text from the file, or a message about it, with nothing in it that would steer a terminal. */
static void append_visible(struct buffer *out, const char *text, size_t len)
{
    while (len) {
        size_t step = text_utf8_length(text, len);
        bool control =
            (unsigned char)text[0] < 0x20 || text[0] == 0x7f ||
            (step == 2 && (unsigned char)text[0] == 0xc2 && (unsigned char)text[1] < 0xa0);
        if (!step || (control && text[0] != '\t'))
            buffer_append_char(out, '?');
        else
            buffer_append(out, text, step);
        step = step ? step : 1;
        text += step;
        len -= step;
    }
}

/* The length of the line break that begins `text` (as libyaml counts lines), or 0. */
static size_t break_length(const char *text, size_t len)
{
    if (len && text[0] == '\n')
        return 1;
    if (len && text[0] == '\r')
        return len > 1 && text[1] == '\n' ? 2 : 1;
    if (len > 1 && memcmp(text, "\xc2\x85", 2) == 0)
        return 2;
    if (len > 2 && (memcmp(text, "\xe2\x80\xa8", 3) == 0 || memcmp(text, "\xe2\x80\xa9", 3) == 0))
        return 3;
    return 0;
}

/* Blanks as wide as the text above the caret: a Chinese character takes two places. */
static void append_blanks(struct buffer *out, const char *text, size_t len, size_t characters)
{
    for (size_t i = 0; i < len && characters; characters--) {
        size_t step = text_utf8_length(text + i, len - i);
        bool wide = step == 4 || (step == 3 && (unsigned char)text[i] >= 0xe3);
        buffer_append_text(out, text[i] == '\t' ? "\t" : wide ? "  " : " ");
        i += step ? step : 1;
    }
}

/* The source line and a caret under the column (in code points, from 1). */
static void show_line(const struct yaml_tree *tree, size_t line, size_t column, struct buffer *out)
{
    const char *text = tree->text;
    size_t rest = tree->len, len = 0;
    while (rest && line > 1) {
        size_t step = break_length(text, rest);
        line -= step ? 1 : 0;
        step = step ? step : 1;
        text += step;
        rest -= step;
    }
    while (len < rest && !break_length(text + len, rest - len))
        len++;
    if (!len || len > LINE_SHOWN)
        return;
    buffer_append_text(out, "    ");
    append_visible(out, text, len);
    buffer_append_text(out, "\n    ");
    append_blanks(out, text, len, column - 1);
    buffer_append_text(out, "^\n");
}

static void complain_at(const struct yaml_tree *tree, size_t line, size_t column,
                        struct config_errors *errors, const char *text)
{
    if (errors->count++ >= ERRORS_SHOWN)
        return;
    buffer_printf(&errors->text, "%s:%zu:%zu: ", tree->file, line, column);
    append_visible(&errors->text, text, strlen(text));
    buffer_append_char(&errors->text, '\n');
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

void yaml_complain_key(const struct yaml_tree *tree, const struct yaml_node *node,
                       struct config_errors *errors, const char *format, ...)
{
    struct message message;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message.text, sizeof(message.text), format, arguments);
    va_end(arguments);
    complain_at(tree, node->key_line, node->key_column, errors, message.text);
}

bool yaml_is_list(const struct yaml_tree *tree, const struct yaml_node *node, size_t most,
                  const char *of, struct config_errors *errors)
{
    if (node->type == YAML_LIST && node->count <= most)
        return true;
    yaml_complain(tree, node, errors, "expected a list of at most %zu %s", most, of);
    return false;
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

const char *yaml_file(const struct yaml_tree *tree)
{
    return tree->file;
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
    size_t count_before, len_before; /* of `errors` */
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
    if (level->node->count == KEYS_MAX)
        return refuse(reading, &event->start_mark, "too many keys in one map; at most 200");
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

/* Marks that would mean something in YAML and mean nothing here. */
static int refuse_marks(struct reading *reading, const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    if (anchor)
        return refuse(reading, &event->start_mark,
                      "anchors (&name) are not read: write it out, or quote the text");
    if (tag)
        return refuse(reading, &event->start_mark,
                      "tags (!name) are not read: leave it out, or quote the text");
    return 0;
}

static int take_event(struct reading *reading, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return refuse(reading, &event->start_mark,
                      "aliases (*name) are not read: write it out, or quote the text");
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

/* The mark of a byte: libyaml's reader tells only the offset of a character that it refuses. */
static yaml_mark_t mark_of(const struct yaml_tree *tree, size_t offset)
{
    yaml_mark_t mark = {0};
    for (size_t i = 0; i < offset && i < tree->len;) {
        size_t step = break_length(tree->text + i, tree->len - i);
        mark.line += step ? 1 : 0;
        mark.column = step ? 0 : mark.column + 1;
        if (!step)
            step = text_utf8_length(tree->text + i, tree->len - i);
        i += step ? step : 1;
    }
    return mark;
}

/* The character at a mark, or NUL past the end. */
static char character_at(const struct yaml_tree *tree, const yaml_mark_t *mark)
{
    size_t i = 0;
    for (size_t n = 0; n < mark->index && i < tree->len; n++) {
        size_t step = text_utf8_length(tree->text + i, tree->len - i);
        i += step ? step : 1;
    }
    return tree->text[i];
}

/* Forgets what this reading has told so far. */
static void take_back(struct reading *reading)
{
    struct config_errors *errors = reading->errors;
    errors->count = reading->count_before;
    if (errors->text.len > reading->len_before) {
        errors->text.len = reading->len_before;
        errors->text.data[errors->text.len] = '\0';
    }
}

/* A file that does not parse has one mistake told: what else it says is not known. */
static int parser_error(struct reading *reading, const yaml_parser_t *parser)
{
    const char *problem = parser->problem ? parser->problem : "cannot be read";
    if (parser->error == YAML_MEMORY_ERROR)
        return ERR_NO_MEMORY;
    yaml_mark_t mark = parser->error == YAML_READER_ERROR
                           ? mark_of(reading->tree, parser->problem_offset)
                           : parser->problem_mark;
    char at = parser->error == YAML_SCANNER_ERROR ? character_at(reading->tree, &mark) : '\0';
    char text[300];
    if (at == '\t')
        snprintf(text, sizeof(text), "a tab cannot indent; expected blanks (不能用制表符缩进)");
    else if (at && strstr(problem, "cannot start any token"))
        snprintf(text, sizeof(text), "'%c' cannot begin a text; quote it", at);
    else if (parser->context && parser->context_mark.line != mark.line)
        snprintf(text, sizeof(text), "%s (%s that began in line %zu)", problem, parser->context,
                 parser->context_mark.line + 1);
    else
        snprintf(text, sizeof(text), "%s", problem);
    take_back(reading);
    return refuse(reading, &mark, text);
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
        err = refuse_marks(reading, &event);
        if (!err)
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
    size_t good = 0, step = 0;
    while (good < tree->len && (step = text_utf8_length(tree->text + good, tree->len - good)) > 0)
        good += step;
    if (good == tree->len)
        return 0;
    yaml_mark_t mark = mark_of(tree, good);
    struct buffer utf8;
    buffer_init(&utf8, 4 * FILE_MAX);
    bool gbk = !text_to_utf8(tree->text, tree->len, &utf8);
    buffer_release(&utf8);
    return refuse(reading, &mark,
                  gbk ? "this file is saved as GBK; save it as UTF-8 (文件是 GBK 编码，请另存为 "
                        "UTF-8)"
                      : "not UTF-8 text");
}

static int read_tree(struct yaml_tree *tree, struct config_errors *errors)
{
    static const yaml_mark_t start = {0};
    struct reading reading = {.tree = tree,
                              .errors = errors,
                              .count_before = errors->count,
                              .len_before = errors->text.len};
    int err = check_bytes(&reading);
    if (!err)
        err = read_events(&reading);
    if (!err && (!tree->root || tree->root->type != YAML_MAP))
        err = refuse(&reading, &start, "expected `key: value` lines, and found none");
    return !err && errors->count > reading.count_before ? ERR_INVALID : err;
}

/* A mistake of the whole file. */
static int refuse_file(const char *file, int err, struct config_errors *errors, const char *text)
{
    errors->count++;
    buffer_printf(&errors->text, "%s: %s\n", file, text);
    return err;
}

int yaml_read_text(const char *file, const char *text, size_t len, struct yaml_tree **ret_tree,
                   struct config_errors *errors)
{
    size_t bom = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    struct yaml_tree *tree = calloc(1, sizeof(*tree));
    int err = tree ? text_copy(tree->file, sizeof(tree->file), file) : ERR_NO_MEMORY;
    if (err == ERR_FULL)
        err = refuse_file(file, ERR_INVALID, errors, "the path is too long");
    if (!err) {
        tree->len = len - bom;
        tree->text = malloc(tree->len + 1);
        if (!tree->text) {
            err = ERR_NO_MEMORY;
        } else {
            memcpy(tree->text, text + bom, tree->len);
            tree->text[tree->len] = '\0';
            err = read_tree(tree, errors);
        }
    }
    if (err == ERR_NO_MEMORY)
        err = refuse_file(file, err, errors, err_name(err));
    if (err)
        yaml_tree_free(tree);
    else
        *ret_tree = tree;
    return err;
}

int yaml_read_file(const char *path, struct yaml_tree **ret_tree, struct config_errors *errors)
{
    struct buffer text;
    struct message message = {""};
    buffer_init(&text, FILE_MAX + 1);
    int err = file_read(path, &text, &message);
    if (err) {
        if (err == ERR_FULL)
            err = message_set(&message, ERR_INVALID, "%s is larger than 1 MiB", path);
        errors->count++;
        buffer_printf(&errors->text, "%s\n", message.text);
    } else {
        err = yaml_read_text(path, buffer_text(&text), text.len, ret_tree, errors);
    }
    buffer_release(&text);
    return err;
}
