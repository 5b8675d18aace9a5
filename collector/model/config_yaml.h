/*
 * Configuration in YAML, read by tables: every key is described once (type, bounds, unit,
 * default, help in Chinese and English), and that table drives reading, --check and the printed
 * defaults. libyaml's events, with positions kept; 1.2 core schema: scalars are text until a table
 * says what they are, so `on` and `no` are words.
 *
 * All mistakes of a file are told in one run, each as "FILE:LINE:COLUMN: what; expected what" with
 * the source line and a caret, and the nearest known key. Refused before parsing: more than 1 MiB,
 * not UTF-8 (a GBK file gets a sentence of its own), NUL; while parsing: aliases, anchors, tags, a
 * second document, depth above 16, a key twice. Whatever fails, a sentence is in `errors`.
 * Owned by one thread; results are immutable after.
 */
#ifndef MODEL_CONFIG_YAML_H
#define MODEL_CONFIG_YAML_H

#include "base/buffer.h"
#include "base/error.h"
#include "model/config_table.h"

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

/* The file's path as it was given: relative paths in it are relative to its folder. */
const char *yaml_file(const struct yaml_tree *tree);

/* Adds a mistake at a node (its value's position), or at its key. */
void yaml_complain(const struct yaml_tree *tree, const struct yaml_node *node,
                   struct config_errors *errors, const char *format, ...) PRINTF_LIKE(4, 5);
void yaml_complain_key(const struct yaml_tree *tree, const struct yaml_node *node,
                       struct config_errors *errors, const char *format, ...) PRINTF_LIKE(4, 5);

/* A list of at most so many of that kind; where it is none, that is complained of. */
bool yaml_is_list(const struct yaml_tree *tree, const struct yaml_node *node, size_t most,
                  const char *of, struct config_errors *errors);

#endif
