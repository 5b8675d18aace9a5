/*
 * Tables of keys: each key of a configuration is described once, and that drives reading, --check
 * and the printed defaults. Tables are static and constant; any thread may read by them. Texts are
 * copied into the object; a CONFIG_SUBTREE points into the tree and is good as long as that is.
 */
#ifndef MODEL_CONFIG_TABLE_H
#define MODEL_CONFIG_TABLE_H

#include <stdbool.h>
#include <stddef.h>

struct buffer;
struct config_errors;
struct yaml_node;
struct yaml_tree;

/* How a key's text becomes a field of a struct. */
enum config_type {
    CONFIG_TEXT,     /* char[size]; empty only where the default is */
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
    const char *default_text;   /* as it would be written; NULL: required; "": absent is fine */
    const char *const *choices; /* NULL-terminated */
    bool reloadable;
    const char *help_en, *help_zh;
};

/* Reads the map `node` into `object` by the table (NULL-name terminated): defaults first, then
 * every key; unknown keys, wrong types, bounds and missing required keys are added to `errors`.
 * Relative paths are joined to the folder of the tree's file. Fields of wrong keys stay zero or at
 * their default. */
void config_read(const struct yaml_tree *tree, const struct yaml_node *node,
                 const struct config_key *keys, void *object, struct config_errors *errors);

/* Writes the object's values as YAML lines "key: value" with `indent` blanks (for --check). */
void config_print(const struct config_key *keys, const void *object, int indent,
                  struct buffer *out);

/* Writes a text in double quotes, so that it reads back as the same. */
void config_print_text(const char *text, struct buffer *out);

#endif
