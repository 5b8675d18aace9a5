#include "model/config_table.h"

#include "base/files.h"
#include "base/numbers.h"
#include "base/text.h"
#include "model/config_yaml.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define ANY_NUMBER 1e300 /* bounds as wide as this are none, and are not told */

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
        yaml_complain_key(tree, node, errors, "unknown key '%.60s'; did you mean '%s'?", node->key,
                          nearest);
    else
        yaml_complain_key(tree, node, errors, "unknown key '%.60s'; expected one of %s", node->key,
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
        if (key->max < ANY_NUMBER)
            snprintf(text, size, "a number %s..%s", min, max);
        else
            snprintf(text, size, "a number");
        break;
    case CONFIG_BOOL:
        snprintf(text, size, "true or false");
        break;
    case CONFIG_DURATION:
        snprintf(text, size, "a duration such as 500ms, 10s, 5min, between %sms and %sms", min,
                 max);
        break;
    case CONFIG_SIZE:
        print_u64((uint64_t)key->min, min);
        print_u64((uint64_t)key->max, max);
        snprintf(text, size, "a size such as 64MiB or 2GiB, between %sB and %sB", min, max);
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
    int err = path_folder(yaml_file(tree), folder);
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
    else if (!node->text[0] && (!key->default_text || key->default_text[0]))
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

void config_print_text(const char *text, struct buffer *out)
{
    buffer_append_char(out, '"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            buffer_append_char(out, '\\');
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            buffer_printf(out, "\\x%02x", (unsigned)*text);
        else
            buffer_append_char(out, *text);
    }
    buffer_append_char(out, '"');
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
            config_print_text(field, out);
            buffer_append_char(out, '\n');
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
