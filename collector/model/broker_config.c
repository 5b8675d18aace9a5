#include "model/broker_config.h"

#include "base/sockets.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static const struct config_key broker_keys[] = {
    {"url", CONFIG_TEXT, offsetof(struct broker_config, url), 128, 0, 0, NULL, NULL, false,
     "mqtts://ADDRESS:PORT", "消息服务器地址"},
    {"ca", CONFIG_PATH, offsetof(struct broker_config, ca), FILE_PATH_SIZE, 0, 0, "", NULL, false,
     "certificate of the authority that signed the broker's", "CA 证书"},
    {"cert", CONFIG_PATH, offsetof(struct broker_config, cert), FILE_PATH_SIZE, 0, 0, "", NULL,
     false, "our certificate; its CN is our name", "本机证书，CN 即本机名"},
    {"key", CONFIG_PATH, offsetof(struct broker_config, key), FILE_PATH_SIZE, 0, 0, "", NULL, false,
     "our private key", "本机私钥"},
    {0},
};

void broker_config_read(const struct yaml_tree *tree, const struct yaml_node *node,
                        struct broker_config *ret_config, struct config_errors *errors)
{
    size_t before = errors->count;
    config_read(tree, node, broker_keys, ret_config, errors);
    if (errors->count > before)
        return;
    bool tls = strncmp(ret_config->url, "mqtts://", 8) == 0;
    bool plain = strncmp(ret_config->url, "mqtt://", 7) == 0;
    struct endpoint endpoint;
    const struct yaml_node *url = yaml_member(node, "url");
    if ((!tls && !plain) || endpoint_parse(ret_config->url + (tls ? 8 : 7), &endpoint) ||
        !endpoint.port)
        yaml_complain(tree, url, errors,
                      "'%s'; expected mqtts://ADDRESS:PORT with a numeric address",
                      ret_config->url);
    else if (plain && strncmp(endpoint.host, "127.", 4) != 0 && strcmp(endpoint.host, "::1") != 0)
        yaml_complain(tree, url, errors,
                      "mqtt:// is not encrypted and goes to this machine only; use mqtts://");
    else if (tls && (!ret_config->ca[0] || !ret_config->cert[0] || !ret_config->key[0]))
        yaml_complain(tree, node, errors, "mqtts:// needs `ca`, `cert` and `key`");
}

void broker_config_print(const struct broker_config *config, struct buffer *out)
{
    buffer_append_text(out, "broker:\n");
    config_print(broker_keys, config, 2, out);
}
