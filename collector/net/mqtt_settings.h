/* What an MQTT client was told: its own copies of the options, checked. One thread. */
#ifndef NET_MQTT_SETTINGS_H
#define NET_MQTT_SETTINGS_H

#include "base/attributes.h"
#include "base/error.h"
#include "net/mqtt.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mqtt_settings {
    char *url; /* as the library writes it: ssl://… or tcp://… */
    char *client_id, *ca, *cert, *key;
    bool tls;
    char *will_topic; /* NULL: no will */
    void *will;
    size_t will_len;
    char *filters[MQTT_FILTERS_MAX];
    int filter_count;
    int64_t reconnect_min_ms, reconnect_max_ms;
};

/* As mqtt_open. To be released also on failure. */
MUST_CHECK int mqtt_settings_init(struct mqtt_settings *settings,
                                  const struct mqtt_options *options, struct message *message);
void mqtt_settings_release(struct mqtt_settings *settings);

MUST_CHECK int mqtt_settings_set_will(struct mqtt_settings *settings, const void *payload,
                                      size_t len);
MUST_CHECK int mqtt_settings_add_filter(struct mqtt_settings *settings, const char *filter);

#endif
