/* How edge and centre reach the broker: the `broker:` map of both configurations. Plain data. */
#ifndef MODEL_BROKER_CONFIG_H
#define MODEL_BROKER_CONFIG_H

#include "base/files.h"
#include "model/config_yaml.h"

struct broker_config {
    char url[128]; /* mqtts://HOST:PORT, or mqtt:// towards loopback */
    char ca[FILE_PATH_SIZE], cert[FILE_PATH_SIZE], key[FILE_PATH_SIZE];
};

/* Reads the map, or complains. */
void broker_config_read(const struct yaml_tree *tree, const struct yaml_node *node,
                        struct broker_config *ret_config, struct config_errors *errors);
void broker_config_print(const struct broker_config *config, struct buffer *out);

#endif
