/* YAML from anywhere: no crash, every refusal has a sentence, and all of the tree is bounded text.
 */
#include "base/text.h"
#include "model/config_yaml.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct object {
    char text[32];
    int64_t number;
    double real;
    const struct yaml_node *rest;
};

static const struct config_key keys[] = {
    {"a", CONFIG_TEXT, offsetof(struct object, text), 32, 0, 0, "x", NULL, false, "", ""},
    {"b", CONFIG_INT, offsetof(struct object, number), 0, -9, 9, NULL, NULL, false, "", ""},
    {"c", CONFIG_DOUBLE, offsetof(struct object, real), 0, -9, 9, "0", NULL, false, "", ""},
    {"d", CONFIG_SUBTREE, offsetof(struct object, rest), 0, 0, 0, "", NULL, false, "", ""},
    {0},
};

static void check_node(const struct yaml_node *node)
{
    size_t count = 0;
    if (!node->line || !node->column || (node->type == YAML_SCALAR) != (node->text != NULL))
        abort();
    for (const struct yaml_node *child = node->first; child; child = child->next, count++)
        check_node(child);
    if (count != node->count)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config_errors errors;
    struct yaml_tree *tree = NULL;
    struct object object = {0};

    config_errors_init(&errors);
    int err = yaml_read_text("f", size ? (const char *)data : "", size, &tree, &errors);
    if ((err == 0) != (errors.count == 0) || (err == 0) != (tree != NULL))
        abort();
    if (tree) {
        check_node(yaml_root(tree));
        config_read(tree, yaml_root(tree), keys, &object, &errors);
    }
    if (errors.count && (!errors.text.len || !text_is_utf8(errors.text.data, errors.text.len)))
        abort();
    yaml_free(tree);
    config_errors_release(&errors);
    return 0;
}
