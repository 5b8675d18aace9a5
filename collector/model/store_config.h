/*
 * Where history is kept: the `stores:` list of central.yaml. The embedded store is always there;
 * stores outside this program get every sample too, by line protocol. Plain data.
 */
#ifndef MODEL_STORE_CONFIG_H
#define MODEL_STORE_CONFIG_H

#include "base/files.h"
#include "model/config_yaml.h"

#include <stdbool.h>
#include <stddef.h>

#define OUTSIDE_STORES_MAX 4

enum store_kind { STORE_EMBEDDED, STORE_INFLUXDB, STORE_VICTORIAMETRICS, STORE_INFLUXDB2 };

struct store_config {
    enum store_kind kind;
    char name[65]; /* unique; the kind's unless it says otherwise */
    char url[256]; /* http(s)://HOST:PORT[/PATH], no '/' at its end */
    char database[65];
    char user[65];                      /* "": nobody is named */
    char password_file[FILE_PATH_SIZE]; /* there where `user` is */
    char org[65], bucket[130];
    char token_file[FILE_PATH_SIZE]; /* "": none */
    char ca[FILE_PATH_SIZE];         /* "": the system's authorities */
};

/* Which store it is, whatever its name and who writes there: kind, url, database or bucket; one
 * line. */
void store_config_identify(const struct store_config *config, struct buffer *out);

/* Reads one entry of the list, or complains. Uniqueness is the list's affair. */
void store_config_read(const struct yaml_tree *tree, const struct yaml_node *node,
                       struct store_config *ret_config, struct config_errors *errors);

/* One entry, as a list item. */
void store_config_print(const struct store_config *config, struct buffer *out);

#endif
