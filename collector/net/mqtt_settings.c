#include "net/mqtt_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECONNECT_MIN_MS 1000
#define RECONNECT_MAX_MS 60000
#define MESSAGES_LIMIT   65536

static int copy(char **ret, const char *text)
{
    *ret = text ? strdup(text) : NULL;
    return text && !*ret ? ERR_NO_MEMORY : 0;
}

static int make_url(struct mqtt_settings *settings, const char *url, struct message *message)
{
    settings->tls = strncmp(url, "mqtts://", 8) == 0;
    const char *rest = settings->tls ? url + 8 : strncmp(url, "mqtt://", 7) == 0 ? url + 7 : "";
    if (!*rest)
        return message_set(message, ERR_INVALID,
                           "'%s' is no broker's address; expected mqtts://ADDRESS:PORT", url);
    size_t size = strlen(rest) + 8;
    settings->url = malloc(size);
    if (!settings->url)
        return message_set(message, ERR_NO_MEMORY, "MQTT to %s: out of memory", url);
    snprintf(settings->url, size, "%s://%s", settings->tls ? "ssl" : "tcp", rest);
    return 0;
}

/* Asked here, because the library would only say that TLS failed. */
static int check_file(const char *path, const char *what, struct message *message)
{
    if (!path || access(path, R_OK) == 0)
        return 0;
    return message_errno(message, ERR_NOT_FOUND, "cannot read %s %s", what, path);
}

static int check_files(const struct mqtt_options *options, struct message *message)
{
    if (!options->ca || !options->cert != !options->key)
        return message_set(message, ERR_INVALID,
                           "%s needs the certificate of its authority (ca); a certificate of ours "
                           "comes with its key",
                           options->url);
    int err = check_file(options->ca, "the authority's certificate", message);
    if (!err)
        err = check_file(options->cert, "our certificate", message);
    if (!err)
        err = check_file(options->key, "our key", message);
    return err;
}

static int check_numbers(const struct mqtt_settings *settings, const struct mqtt_options *options,
                         struct message *message)
{
    if (settings->reconnect_min_ms > 0 &&
        settings->reconnect_max_ms >= settings->reconnect_min_ms &&
        settings->reconnect_max_ms <= INT32_MAX && options->queue_messages <= MESSAGES_LIMIT)
        return 0;
    return message_set(message, ERR_RANGE, "MQTT to %s: an option is beyond its bounds",
                       settings->url);
}

int mqtt_settings_init(struct mqtt_settings *settings, const struct mqtt_options *options,
                       struct message *message)
{
    *settings = (struct mqtt_settings){
        .reconnect_min_ms =
            options->reconnect_min_ms ? options->reconnect_min_ms : RECONNECT_MIN_MS,
        .reconnect_max_ms =
            options->reconnect_max_ms ? options->reconnect_max_ms : RECONNECT_MAX_MS,
    };
    int err = make_url(settings, options->url, message);
    if (!err)
        err = check_numbers(settings, options, message);
    if (!err && settings->tls)
        err = check_files(options, message);
    if (err)
        return err;
    if (copy(&settings->client_id, options->client_id ? options->client_id : "") ||
        copy(&settings->ca, options->ca) || copy(&settings->cert, options->cert) ||
        copy(&settings->key, options->key) || copy(&settings->will_topic, options->will_topic))
        err = ERR_NO_MEMORY;
    if (!err && options->will_topic)
        err = mqtt_settings_set_will(settings, options->will_payload, options->will_len);
    return err ? message_set(message, err, "MQTT to %s: %s", options->url, err_name(err)) : 0;
}

void mqtt_settings_release(struct mqtt_settings *settings)
{
    for (int i = 0; i < settings->filter_count; i++)
        free(settings->filters[i]);
    free(settings->url);
    free(settings->client_id);
    free(settings->ca);
    free(settings->cert);
    free(settings->key);
    free(settings->will_topic);
    free(settings->will);
}

int mqtt_settings_set_will(struct mqtt_settings *settings, const void *payload, size_t len)
{
    if (len > MQTT_MAX_PAYLOAD)
        return ERR_RANGE;
    void *will = malloc(len + 1);
    if (!will)
        return ERR_NO_MEMORY;
    if (len)
        memcpy(will, payload, len);
    free(settings->will);
    settings->will = will;
    settings->will_len = len;
    return 0;
}

int mqtt_settings_add_filter(struct mqtt_settings *settings, const char *filter)
{
    if (settings->filter_count == MQTT_FILTERS_MAX)
        return ERR_FULL;
    int err = copy(&settings->filters[settings->filter_count], filter);
    if (!err)
        settings->filter_count++;
    return err;
}
