#include "model/store_config.h"

#include "base/numbers.h"
#include "base/sockets.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const char *const kind_words[] = {"embedded", "influxdb", "victoriametrics", "influxdb2",
                                         NULL};

struct store_yaml {
    int kind;
    struct store_config config;
};

#define FIELD(member) offsetof(struct store_yaml, config.member)
#define SIZE(member)  sizeof(((struct store_config *)0)->member)

static const struct config_key store_keys[] = {
    {"kind", CONFIG_CHOICE, offsetof(struct store_yaml, kind), 0, 0, 0, NULL, kind_words, false,
     "embedded, influxdb (1.x), victoriametrics or influxdb2 (2, 3)", "类型"},
    {"name", CONFIG_NAME, FIELD(name), SIZE(name), 0, 0, "", NULL, false,
     "its name in messages and figures; the kind when left out", "名称，省略为类型"},
    {"url", CONFIG_TEXT, FIELD(url), SIZE(url), 0, 0, "", NULL, false,
     "http:// or https:// address of an outside store", "外部库地址"},
    {"database", CONFIG_NAME, FIELD(database), SIZE(database), 0, 0, "", NULL, false,
     "of influxdb; made when missing; chengmai when left out", "数据库名，省略为 chengmai"},
    {"user", CONFIG_TEXT, FIELD(user), SIZE(user), 0, 0, "", NULL, false,
     "of influxdb and victoriametrics", "用户名"},
    {"password_file", CONFIG_PATH, FIELD(password_file), FILE_PATH_SIZE, 0, 0, "", NULL, false,
     "a file that holds the user's password", "密码文件"},
    {"org", CONFIG_TEXT, FIELD(org), SIZE(org), 0, 0, "", NULL, false, "of influxdb2", "组织"},
    {"bucket", CONFIG_TEXT, FIELD(bucket), SIZE(bucket), 0, 0, "", NULL, false, "of influxdb2",
     "存储桶"},
    {"token_file", CONFIG_PATH, FIELD(token_file), FILE_PATH_SIZE, 0, 0, "", NULL, false,
     "a file that holds the token of influxdb2", "令牌文件"},
    {"ca", CONFIG_PATH, FIELD(ca), FILE_PATH_SIZE, 0, 0, "", NULL, false,
     "certificates of the authorities that are believed; the system's when left out", "CA 证书"},
    {0},
};

/* ---- which keys a kind has ---- */

#define KIND(kind) (1u << (kind))
#define OUTSIDE    (KIND(STORE_INFLUXDB) | KIND(STORE_VICTORIAMETRICS) | KIND(STORE_INFLUXDB2))
#define WITH_USERS (KIND(STORE_INFLUXDB) | KIND(STORE_VICTORIAMETRICS))

static const struct {
    const char *key;
    unsigned allowed, required; /* kinds */
} kind_keys[] = {
    {"name", OUTSIDE, 0},
    {"url", OUTSIDE, OUTSIDE},
    {"database", KIND(STORE_INFLUXDB), 0},
    {"user", WITH_USERS, 0},
    {"password_file", WITH_USERS, 0},
    {"org", KIND(STORE_INFLUXDB2), 0},
    {"bucket", KIND(STORE_INFLUXDB2), KIND(STORE_INFLUXDB2)},
    {"token_file", KIND(STORE_INFLUXDB2), 0},
    {"ca", OUTSIDE, 0},
};

static void check_keys(const struct yaml_tree *tree, const struct yaml_node *node,
                       enum store_kind kind, struct config_errors *errors)
{
    for (size_t i = 0; i < sizeof(kind_keys) / sizeof(kind_keys[0]); i++) {
        const struct yaml_node *key = yaml_member(node, kind_keys[i].key);
        if (key && !(kind_keys[i].allowed & KIND(kind)))
            yaml_complain(tree, key, errors, "a store of kind %s has no '%s'", kind_words[kind],
                          kind_keys[i].key);
        else if ((!key || !key->text[0]) && kind_keys[i].required & KIND(kind))
            yaml_complain(tree, node, errors, "'%s' is missing: a store of kind %s needs it",
                          kind_keys[i].key, kind_words[kind]);
    }
}

/* ---- its address ---- */

/* HOST[:PORT], up to '/' or the end. */
struct place {
    size_t host_len;
    uint64_t port; /* 0: not named */
};

/* Is it a whole address, not a name? */
static bool read_address(const char *host, size_t len, struct endpoint *ret_endpoint)
{
    char text[80];
    snprintf(text, sizeof(text), "%.*s:1", (int)len, host);
    return len < sizeof(text) - 2 && !endpoint_parse(text, ret_endpoint);
}

static size_t host_length(const char *text)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_";
    struct endpoint endpoint;
    if (text[0] != '[')
        return strspn(text, letters);
    size_t len = strcspn(text, "]") + 1;
    return len <= strlen(text) && read_address(text, len, &endpoint) ? len : 0;
}

static int parse_place(const char *text, struct place *ret_place)
{
    struct place place = {.host_len = host_length(text)};
    const char *at = text + place.host_len;
    if (!place.host_len)
        return ERR_INVALID;
    if (*at == ':') {
        char digits[8] = "";
        size_t len = strcspn(++at, "/");
        memcpy(digits, at, len < sizeof(digits) ? len : 0);
        if (parse_u64(digits, 1, UINT16_MAX, &place.port))
            return ERR_INVALID;
        at += len;
    }
    if (*at && *at != '/')
        return ERR_INVALID;
    *ret_place = place;
    return 0;
}

/* A name may lead anywhere, but for localhost: only a whole address tells. */
static bool is_this_machine(const char *host, const struct place *place)
{
    struct endpoint endpoint;
    if (place->host_len == strlen("localhost") && strncmp(host, "localhost", place->host_len) == 0)
        return true;
    return read_address(host, place->host_len, &endpoint) &&
           (strncmp(endpoint.host, "127.", 4) == 0 || strcmp(endpoint.host, "::1") == 0);
}

static void check_url(const struct yaml_tree *tree, const struct yaml_node *node,
                      struct store_config *config, struct config_errors *errors)
{
    const struct yaml_node *key = yaml_member(node, "url");
    struct place place;
    bool tls = strncmp(config->url, "https://", 8) == 0;
    bool http = strncmp(config->url, "http://", 7) == 0;
    const char *host = config->url + (tls ? 8 : 7);
    bool secret = config->password_file[0] || config->token_file[0];
    if ((!tls && !http) || parse_place(host, &place) || strpbrk(host, "@?# "))
        yaml_complain(tree, key, errors,
                      "'%.60s'; expected http://HOST:PORT or https://HOST:PORT, and nothing of a "
                      "user or a query",
                      config->url);
    else if (!tls && secret && !is_this_machine(host, &place))
        yaml_complain(tree, key, errors,
                      "http:// is not encrypted: a password or token goes over https://, or to "
                      "this machine");
    for (size_t len = strlen(config->url); len && config->url[len - 1] == '/';)
        config->url[--len] = '\0';
}

void store_config_read(const struct yaml_tree *tree, const struct yaml_node *node,
                       struct store_config *ret_config, struct config_errors *errors)
{
    struct store_yaml yaml = {0};
    struct store_config *config = &yaml.config;
    size_t before = errors->count;
    config_read(tree, node, store_keys, &yaml, errors);
    config->kind = (enum store_kind)yaml.kind;
    if (errors->count == before)
        check_keys(tree, node, config->kind, errors);
    if (errors->count == before && config->url[0])
        check_url(tree, node, config, errors);
    if (errors->count == before && !config->user[0] != !config->password_file[0])
        yaml_complain(tree, node, errors, "`user` and `password_file` go together");
    if (!config->name[0])
        memcpy(config->name, kind_words[config->kind], strlen(kind_words[config->kind]) + 1);
    if (!config->database[0] && config->kind == STORE_INFLUXDB)
        memcpy(config->database, "chengmai", sizeof("chengmai"));
    *ret_config = *config;
}

static void print_text(const char *key, const char *text, struct buffer *out)
{
    if (!text[0])
        return;
    buffer_printf(out, ", %s: ", key);
    config_print_text(text, out);
}

void store_config_identify(const struct store_config *config, struct buffer *out)
{
    buffer_append_text(out, kind_words[config->kind]);
    print_text("url", config->url, out);
    print_text("database", config->database, out);
    print_text("org", config->org, out);
    print_text("bucket", config->bucket, out);
}

void store_config_print(const struct store_config *config, struct buffer *out)
{
    buffer_printf(out, "  - {kind: %s", kind_words[config->kind]);
    if (config->kind != STORE_EMBEDDED) {
        print_text("name", config->name, out);
        print_text("url", config->url, out);
        print_text("database", config->database, out);
        print_text("user", config->user, out);
        print_text("password_file", config->password_file, out);
        print_text("org", config->org, out);
        print_text("bucket", config->bucket, out);
        print_text("token_file", config->token_file, out);
        print_text("ca", config->ca, out);
    }
    buffer_append_text(out, "}\n");
}
