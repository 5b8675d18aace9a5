/* The centre's configuration, central.yaml. Immutable after loading; owns its arrays. */
#ifndef MODEL_CENTRAL_CONFIG_H
#define MODEL_CENTRAL_CONFIG_H

#include "base/attributes.h"
#include "base/files.h"
#include "base/sockets.h"
#include "model/broker_config.h"
#include "model/config_yaml.h"
#include "model/store_config.h"

#include <stddef.h>
#include <stdint.h>

#define CENTRAL_RULE_FILES_MAX 100
#define CENTRAL_WEBHOOKS_MAX   20
#define CENTRAL_STORES_MAX     (1 + OUTSIDE_STORES_MAX)

struct webhook_config {
    char name[65];
    char url[512];
    char secret_file[FILE_PATH_SIZE]; /* "": requests are not signed */
};

struct central_config {
    char file[FILE_PATH_SIZE];
    char centre[65];
    char data[FILE_PATH_SIZE]; /* folder of the journal and the databases */
    uint64_t journal_size;     /* 0: the disk's own */
    struct broker_config broker;
    struct endpoint listen;   /* of the API and the pages */
    char web[FILE_PATH_SIZE]; /* folder of the web application; "": none */
    char (*rule_files)[FILE_PATH_SIZE];
    size_t rule_file_count;
    struct store_config stores[CENTRAL_STORES_MAX]; /* the embedded one stands first */
    size_t store_count;
    struct webhook_config *webhooks;
    size_t webhook_count;
    char operator_user[65];
    char operator_password_file[FILE_PATH_SIZE]; /* "": the account is left as it is */
};

MUST_CHECK int central_config_load(const char *path, struct central_config **ret_config,
                                   struct config_errors *errors);
void central_config_free(struct central_config *config);

/* What was understood, as YAML. Secrets are named by their files only. */
void central_config_print(const struct central_config *config, struct buffer *out);

#endif
