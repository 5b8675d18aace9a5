#include "model/central_config.h"

#include "base/text.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct file_yaml {
    struct central_config config;
    const struct yaml_node *journal, *broker, *http, *rules, *stores, *webhooks, *operator_;
};

static const struct config_key file_keys[] = {
    {"centre", CONFIG_NAME, offsetof(struct file_yaml, config.centre), 65, 0, 0, "c1", NULL, false,
     "this centre's name", "中心名"},
    {"data", CONFIG_PATH, offsetof(struct file_yaml, config.data), FILE_PATH_SIZE, 0, 0, NULL, NULL,
     false, "folder of the journal and the databases", "数据目录"},
    {"journal", CONFIG_SUBTREE, offsetof(struct file_yaml, journal), 0, 0, 0, "", NULL, false,
     "the record of everything", "总日志"},
    {"broker", CONFIG_SUBTREE, offsetof(struct file_yaml, broker), 0, 0, 0, NULL, NULL, false,
     "how edges are reached", "消息服务器"},
    {"http", CONFIG_SUBTREE, offsetof(struct file_yaml, http), 0, 0, 0, "", NULL, false,
     "the pages and the API", "网页与接口"},
    {"rules", CONFIG_SUBTREE, offsetof(struct file_yaml, rules), 0, 0, 0, "", NULL, true,
     "files of alarm rules", "报警规则文件"},
    {"stores", CONFIG_SUBTREE, offsetof(struct file_yaml, stores), 0, 0, 0, "", NULL, false,
     "where history is kept beside the embedded store", "内置之外的历史库"},
    {"webhooks", CONFIG_SUBTREE, offsetof(struct file_yaml, webhooks), 0, 0, 0, "", NULL, true,
     "where alarms are delivered", "报警推送地址"},
    {"operator", CONFIG_SUBTREE, offsetof(struct file_yaml, operator_), 0, 0, 0, "", NULL, true,
     "the operator's account", "操作员账户"},
    {0},
};

struct journal_yaml {
    uint64_t size;
};

static const struct config_key journal_keys[] = {
    {"size", CONFIG_SIZE, offsetof(struct journal_yaml, size), 0, 0, 1.1e13, "0B", NULL, false,
     "how much it may hold; 0B: as much as the disk", "容量，0B 为整个磁盘"},
    {0},
};

struct http_yaml {
    char listen[80];
    char web[FILE_PATH_SIZE];
};

static const struct config_key http_keys[] = {
    {"listen", CONFIG_TEXT, offsetof(struct http_yaml, listen), 80, 0, 0, "127.0.0.1:8080", NULL,
     false, "address and port, on this machine's loopback", "监听地址，仅本机回环"},
    {"web", CONFIG_PATH, offsetof(struct http_yaml, web), FILE_PATH_SIZE, 0, 0, "", NULL, false,
     "folder of the pages", "网页目录"},
    {0},
};

static const struct config_key webhook_keys[] = {
    {"name", CONFIG_NAME, offsetof(struct webhook_config, name), 65, 0, 0, NULL, NULL, true,
     "its name, for the record of deliveries", "名称"},
    {"url", CONFIG_TEXT, offsetof(struct webhook_config, url), 512, 0, 0, NULL, NULL, true,
     "http:// or https:// address that takes a JSON POST", "接收 JSON POST 的地址"},
    {"secret_file", CONFIG_PATH, offsetof(struct webhook_config, secret_file), FILE_PATH_SIZE, 0, 0,
     "", NULL, true, "a file that holds the secret its requests are signed with", "签名密钥文件"},
    {0},
};

struct operator_yaml {
    char user[65];
    char password_file[FILE_PATH_SIZE];
};

static const struct config_key operator_keys[] = {
    {"user", CONFIG_NAME, offsetof(struct operator_yaml, user), 65, 0, 0, "operator", NULL, true,
     "the account's name", "账户名"},
    {"password_file", CONFIG_PATH, offsetof(struct operator_yaml, password_file), FILE_PATH_SIZE, 0,
     0, NULL, NULL, true, "a file that holds its password, readable by us alone", "密码文件"},
    {0},
};

static void read_rules(const struct yaml_tree *tree, const struct yaml_node *node,
                       struct central_config *config, struct config_errors *errors)
{
    if (!yaml_is_list(tree, node, CENTRAL_RULE_FILES_MAX, "files", errors))
        return;
    char folder[FILE_PATH_SIZE];
    config->rule_files = calloc(node->count + 1, sizeof(*config->rule_files));
    if (!config->rule_files || path_folder(config->file, folder)) {
        yaml_complain(tree, node, errors, "not enough memory, or too long a path");
        return;
    }
    for (const struct yaml_node *child = node->first; child; child = child->next)
        if (child->type != YAML_SCALAR || !child->text[0] ||
            path_join(folder, child->text, config->rule_files[config->rule_file_count++]))
            yaml_complain(tree, child, errors, "expected a file's path");
}

static void read_webhooks(const struct yaml_tree *tree, const struct yaml_node *node,
                          struct central_config *config, struct config_errors *errors)
{
    if (!yaml_is_list(tree, node, CENTRAL_WEBHOOKS_MAX, "webhooks", errors))
        return;
    config->webhooks = calloc(node->count + 1, sizeof(*config->webhooks));
    if (!config->webhooks)
        yaml_complain(tree, node, errors, "not enough memory for %zu webhooks", node->count);
    for (const struct yaml_node *child = node->first; config->webhooks && child;
         child = child->next) {
        struct webhook_config *webhook = &config->webhooks[config->webhook_count++];
        config_read(tree, child, webhook_keys, webhook, errors);
        if (webhook->url[0] && strncmp(webhook->url, "http://", 7) != 0 &&
            strncmp(webhook->url, "https://", 8) != 0)
            yaml_complain(tree, yaml_member(child, "url"), errors,
                          "'%.60s'; expected an http:// or https:// address", webhook->url);
        for (size_t i = 0; i + 1 < config->webhook_count; i++)
            if (webhook->name[0] && strcmp(config->webhooks[i].name, webhook->name) == 0)
                yaml_complain(tree, child, errors, "webhook '%s' is there already", webhook->name);
    }
}

/* Figures name a store beside these. */
static bool is_reserved(const char *name)
{
    return strcmp(name, "historian") == 0 || strcmp(name, "alarm") == 0;
}

/* Puts an outside store behind the others; the embedded one is there already. */
static void add_store(const struct yaml_tree *tree, const struct yaml_node *node,
                      const struct store_config *store, struct central_config *config,
                      struct config_errors *errors)
{
    for (size_t i = 0; i < config->store_count; i++)
        if (strcmp(config->stores[i].name, store->name) == 0)
            yaml_complain(tree, node, errors, "store '%s' is there already; give it a `name`",
                          store->name);
    if (is_reserved(store->name))
        yaml_complain(tree, node, errors, "a store cannot be named '%s': a reader of ours is",
                      store->name);
    if (config->store_count == CENTRAL_STORES_MAX)
        yaml_complain(tree, node, errors, "at most %d stores beside the embedded one",
                      OUTSIDE_STORES_MAX);
    else
        config->stores[config->store_count++] = *store;
}

static void read_stores(const struct yaml_tree *tree, const struct yaml_node *node,
                        struct central_config *config, struct config_errors *errors)
{
    bool embedded = false;
    if (!yaml_is_list(tree, node, CENTRAL_STORES_MAX, "stores", errors))
        return;
    if (!node->count)
        yaml_complain(tree, node, errors,
                      "no store in the list; leave it out for the embedded one");
    for (const struct yaml_node *child = node->first; child; child = child->next) {
        struct store_config store;
        size_t before = errors->count;
        store_config_read(tree, child, &store, errors);
        if (errors->count > before)
            continue;
        if (store.kind != STORE_EMBEDDED)
            add_store(tree, child, &store, config, errors);
        else if (embedded)
            yaml_complain(tree, child, errors, "the embedded store is there already");
        embedded |= store.kind == STORE_EMBEDDED;
    }
}

static void read_http(const struct yaml_tree *tree, const struct yaml_node *node,
                      struct central_config *config, struct config_errors *errors)
{
    struct http_yaml http = {0};
    config_read(tree, node, http_keys, &http, errors);
    memcpy(config->web, http.web, sizeof(config->web));
    if (http.listen[0] && endpoint_parse(http.listen, &config->listen))
        yaml_complain(tree, yaml_member(node, "listen"), errors,
                      "'%s'; expected a numeric address and a port, as in 127.0.0.1:8080",
                      http.listen);
}

static void read_tree(const struct yaml_tree *tree, const char *path, struct central_config *config,
                      struct config_errors *errors)
{
    static const struct yaml_node nothing = {.type = YAML_MAP, .line = 1, .column = 1};
    struct file_yaml file = {0};
    config_read(tree, yaml_root(tree), file_keys, &file, errors);
    *config = file.config;
    config->stores[0] = (struct store_config){.kind = STORE_EMBEDDED, .name = "embedded"};
    config->store_count = 1;
    if (text_copy(config->file, sizeof(config->file), path)) {
        yaml_complain(tree, NULL, errors, "its path is too long");
        return;
    }
    struct journal_yaml journal = {0};
    config_read(tree, file.journal ? file.journal : &nothing, journal_keys, &journal, errors);
    config->journal_size = journal.size;
    if (file.broker)
        broker_config_read(tree, file.broker, &config->broker, errors);
    read_http(tree, file.http ? file.http : &nothing, config, errors);
    if (file.rules)
        read_rules(tree, file.rules, config, errors);
    if (file.stores)
        read_stores(tree, file.stores, config, errors);
    if (file.webhooks)
        read_webhooks(tree, file.webhooks, config, errors);
    if (file.operator_) {
        struct operator_yaml account = {0};
        config_read(tree, file.operator_, operator_keys, &account, errors);
        memcpy(config->operator_user, account.user, sizeof(config->operator_user));
        memcpy(config->operator_password_file, account.password_file,
               sizeof(config->operator_password_file));
    }
}

int central_config_load(const char *path, struct central_config **ret_config,
                        struct config_errors *errors)
{
    struct yaml_tree *tree = NULL;
    size_t before = errors->count;
    int err = yaml_read_file(path, &tree, errors);
    if (err)
        return err;
    struct central_config *config = calloc(1, sizeof(*config));
    if (config)
        read_tree(tree, path, config, errors);
    yaml_free(tree);
    if (!config)
        return ERR_NO_MEMORY;
    if (errors->count > before) {
        central_config_free(config);
        return ERR_INVALID;
    }
    *ret_config = config;
    return 0;
}

void central_config_free(struct central_config *config)
{
    if (!config)
        return;
    free(config->rule_files);
    free(config->webhooks);
    free(config);
}

void central_config_print(const struct central_config *config, struct buffer *out)
{
    struct file_yaml file = {.config = *config};
    struct journal_yaml journal = {config->journal_size};
    struct operator_yaml account = {{0}, {0}};
    config_print(file_keys, &file, 0, out);
    buffer_append_text(out, "journal:\n");
    config_print(journal_keys, &journal, 2, out);
    broker_config_print(&config->broker, out);
    struct http_yaml http = {{0}, {0}};
    bool v6 = strchr(config->listen.host, ':') != NULL;
    snprintf(http.listen, sizeof(http.listen), "%s%s%s:%u", v6 ? "[" : "", config->listen.host,
             v6 ? "]" : "", config->listen.port);
    memcpy(http.web, config->web, sizeof(http.web));
    buffer_append_text(out, "http:\n");
    config_print(http_keys, &http, 2, out);
    buffer_append_text(out, config->rule_file_count ? "rules:\n" : "rules: []\n");
    for (size_t i = 0; i < config->rule_file_count; i++) {
        buffer_append_text(out, "  - ");
        config_print_text(config->rule_files[i], out);
        buffer_append_char(out, '\n');
    }
    buffer_append_text(out, "stores:\n");
    for (size_t i = 0; i < config->store_count; i++)
        store_config_print(&config->stores[i], out);
    buffer_append_text(out, config->webhook_count ? "webhooks:\n" : "webhooks: []\n");
    for (size_t i = 0; i < config->webhook_count; i++) {
        buffer_append_text(out, "  -\n");
        config_print(webhook_keys, &config->webhooks[i], 4, out);
    }
    if (!config->operator_password_file[0])
        return;
    memcpy(account.user, config->operator_user, sizeof(account.user));
    memcpy(account.password_file, config->operator_password_file, sizeof(account.password_file));
    buffer_append_text(out, "operator:\n");
    config_print(operator_keys, &account, 2, out);
}
