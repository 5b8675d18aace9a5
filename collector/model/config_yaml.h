/*
 * Configuration in YAML, read by tables: every key is described once (type, bounds, unit,
 * default, help in Chinese and English), and that table drives reading, --check and the printed
 * defaults. libyaml's events, with positions kept; 1.2 core schema: scalars are text until a table
 * says what they are, so `on` and `no` are words.
 *
 * All mistakes of a file are told in one run, each as "FILE:LINE:COLUMN: what; expected what" with
 * the source line and a caret, and the nearest known key. Refused before parsing: more than 1 MiB,
 * not UTF-8 (a GBK file gets a sentence of its own), NUL; while parsing: aliases, a second
 * document, depth above 16, a key twice. Owned by one thread; results are immutable after.
 */
#ifndef MODEL_CONFIG_YAML_H
#define MODEL_CONFIG_YAML_H

#include "base/buffer.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A parsed file as a tree. All text in it is owned by the tree. */
struct yaml_tree;

enum yaml_type { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_type type;
    const char *text;    /* scalar */
    bool quoted;         /* scalar: was it in quotes? */
    const char *key;     /* when it stands in a map */
    size_t line, column; /* from 1, of the value */
    size_t key_line, key_column;
    const struct yaml_node *first; /* child of a list or map */
    const struct yaml_node *next;  /* sibling */
    size_t count;                  /* children */
};

/* Mistakes so far, as text ready to print; `count` of them. At most 50 are worded. */
struct config_errors {
    struct buffer text;
    size_t count;
};

void config_errors_init(struct config_errors *errors);
void config_errors_release(struct config_errors *errors);

/* Reads a file (or text named `file`). ERR_INVALID after adding to `errors`. */
MUST_CHECK int yaml_read_file(const char *path, struct yaml_tree **ret_tree,
                              struct config_errors *errors);
MUST_CHECK int yaml_read_text(const char *file, const char *text, size_t len,
                              struct yaml_tree **ret_tree, struct config_errors *errors);
void yaml_tree_free(struct yaml_tree *tree);
/* A name that must not become a symbol: libyaml exports a yaml_free of its own, which ours would
 * replace inside the library. */
static inline void yaml_free(struct yaml_tree *tree)
{
    yaml_tree_free(tree);
}
const struct yaml_node *yaml_root(const struct yaml_tree *tree);
const struct yaml_node *yaml_member(const struct yaml_node *map, const char *key);

/* Adds a mistake at a node (its value's position). */
void yaml_complain(const struct yaml_tree *tree, const struct yaml_node *node,
                   struct config_errors *errors, const char *format, ...) PRINTF_LIKE(4, 5);

/* How a key's text becomes a field of a struct. */
enum config_type {
    CONFIG_TEXT,     /* char[size], non-empty unless `min` is 0 and max 0 */
    CONFIG_NAME,     /* char[size], text_is_name */
    CONFIG_PATH,     /* char[FILE_PATH_SIZE], relative to the configuration's folder */
    CONFIG_INT,      /* int64_t, min..max */
    CONFIG_DOUBLE,   /* double, min..max */
    CONFIG_BOOL,     /* bool: true or false */
    CONFIG_DURATION, /* int64_t ms, min..max in ms */
    CONFIG_SIZE,     /* uint64_t bytes, min..max */
    CONFIG_CHOICE,   /* int: index into `choices` */
    CONFIG_SUBTREE,  /* const struct yaml_node *: read by the caller */
};

struct config_key {
    const char *name;
    enum config_type type;
    size_t offset; /* of the field in the struct */
    size_t size;   /* of the field, for text */
    double min, max;
    const char *default_text;   /* as it would be written; NULL: required; "" : absent is fine */
    const char *const *choices; /* NULL-terminated */
    bool reloadable;
    const char *help_en, *help_zh;
};

/* Reads the map `node` into `object` by the table (NULL-name terminated): defaults first, then
 * every key; unknown keys, wrong types, bounds and missing required keys are added to `errors`.
 * Relative paths are joined to the folder of the tree's file. */
void config_read(const struct yaml_tree *tree, const struct yaml_node *node,
                 const struct config_key *keys, void *object, struct config_errors *errors);

/* Writes the object's values as YAML lines "key: value" with `indent` blanks (for --check). */
void config_print(const struct config_key *keys, const void *object, int indent,
                  struct buffer *out);

#endif
