#include "net/mqtt.h"

#include "base/queue.h"
#include "net/backoff.h"
#include "net/mqtt_inbox.h"
#include "net/mqtt_settings.h"
#include "net/publish_window.h"

#include <MQTTAsync.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Design notes
 *
 * Paho's own reconnect and its timeouts run on a thread that waits on the realtime clock, and a
 * step of that clock stalls them: connecting again is ours, on monotonic time, with jitter, so that
 * a thousand edges do not come back at one instant.
 *
 * States: idle → connecting → subscribing → up. An event from the library moves the state when the
 * owner takes it, never before: so the owner sees them in the order in which they happened.
 *
 * Paho numbers each publish, uniquely while it is open; the owner maps that to its own token, which
 * is never used again. An outcome whose number stands for no token is left over from an earlier
 * connection (Paho sends on the next one what it had not yet sent), and is swallowed. A failure
 * carries a reason only where its `code` is 0: elsewhere the field may be uninitialised, and the
 * connection is ending, which ends the token.
 *
 * Once Paho's window is full, its sender sleeps a second, whatever the broker answers meanwhile.
 * Ours is never wider than the broker's Receive Maximum, so that Paho's is never full.
 *
 * A broker may send retained messages before it has granted the subscription: they are held until
 * then, so that the owner sees nothing of a connection before its beginning.
 *
 * Leaving and destroying may hang in the library: both run on a thread of their own, which is
 * waited for, bounded, and else left behind to the end of the process, with all it may still touch.
 */

#define KEEPALIVE_S     10
#define CONNECT_S       10
#define BUFFERED_MAX    (4 * MQTT_WINDOW) /* left over from earlier connections, too */
#define MESSAGES_MAX    4096
#define OTHERS_MAX      (BUFFERED_MAX + 100) /* states and outcomes */
#define FIRST_REFUSAL   128                  /* of the reason codes */
#define TOPIC_MAX       256
#define PACKET_OVERHEAD 16 /* of a publish, beside topic and payload */
#define BYTES_MAX       (32 * 1024 * 1024)
#define LEAVE_WAIT_MS   2500 /* what is under way goes out first */
#define CLOSE_WAIT_MS   5000

enum state { STATE_IDLE, STATE_CONNECTING, STATE_SUBSCRIBING, STATE_UP };

struct mqtt {
    MQTTAsync client;
    struct mqtt_settings settings;

    enum state state;
    int64_t due_us; /* of the next attempt */
    struct backoff backoff;
    int64_t begun_us; /* the present attempt */
    struct publish_window window;
    size_t maximum_packet;

    struct mqtt_inbox inbox;
    struct queue *closed; /* itself closed when the library has let go */
};

/* ---- on the library's threads: copy and return ---- */

static void report(struct mqtt *mqtt, const struct mqtt_report *report)
{
    mqtt_inbox_push(&mqtt->inbox, report);
}

static const char *reason_name(int reason)
{
    const char *name = MQTTReasonCode_toString((enum MQTTReasonCodes)reason);
    return name ? name : "unknown reason";
}

static int property(MQTTProperties *properties, enum MQTTPropertyCodes code)
{
    return MQTTProperties_hasProperty(properties, code)
               ? MQTTProperties_getNumericValue(properties, code)
               : 0;
}

static void on_connected(void *context, MQTTAsync_successData5 *data)
{
    MQTTProperties *properties = &data->properties;
    struct mqtt_report heard = {
        .kind = REPORT_SESSION,
        .receive_maximum = property(properties, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM),
        .maximum_packet = property(properties, MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE)};
    report(context, &heard);
}

static void on_connect_failed(void *context, MQTTAsync_failureData5 *data)
{
    struct mqtt *mqtt = context;
    char text[160];
    if (data->code > 0)
        snprintf(text, sizeof(text), "the broker refused: %s (%d)", reason_name(data->code),
                 data->code);
    else
        snprintf(text, sizeof(text), "%s", data->message ? data->message : "not connected");
    mqtt_inbox_push_end(&mqtt->inbox, text);
}

static void on_lost(void *context, char *cause)
{
    struct mqtt *mqtt = context;
    (void)cause; /* never told by this version */
    mqtt_inbox_push_end(&mqtt->inbox, "connection lost");
}

/* The broker ends it itself, with a reason (MQTT 5). Paho then closes the socket without a call of
 * on_lost. */
static void on_disconnected(void *context, MQTTProperties *properties,
                            enum MQTTReasonCodes reason_code)
{
    struct mqtt *mqtt = context;
    char text[160];
    (void)properties;
    snprintf(text, sizeof(text), "the broker closed the connection: %s (%d)",
             reason_name((int)reason_code), (int)reason_code);
    mqtt_inbox_push_end(&mqtt->inbox, text);
}

static void report_not_subscribed(struct mqtt *mqtt, int reason)
{
    struct mqtt_report heard = {.kind = REPORT_NOT_SUBSCRIBED};
    snprintf(heard.event.text, sizeof(heard.event.text), "subscription refused: %s (%d)",
             reason_name(reason), reason);
    report(mqtt, &heard);
}

/* A refusal of one filter among several is in the list of a success. */
static void on_subscribed(void *context, MQTTAsync_successData5 *data)
{
    struct mqtt_report heard = {.kind = REPORT_SUBSCRIBED};
    for (int i = 0; data->alt.sub.reasonCodeCount > 1 && i < data->alt.sub.reasonCodeCount; i++) {
        int reason = (int)data->alt.sub.reasonCodes[i];
        if (reason >= FIRST_REFUSAL) {
            report_not_subscribed(context, reason);
            return;
        }
    }
    report(context, &heard);
}

/* Without a reason of the broker the connection is ending, which is told by itself. */
static void on_not_subscribed(void *context, MQTTAsync_failureData5 *data)
{
    if (data->code == 0)
        report_not_subscribed(context, (int)data->reasonCode);
}

static int on_message(void *context, char *topic, int topic_len, MQTTAsync_message *message)
{
    struct mqtt *mqtt = context;
    mqtt_inbox_push_message(&mqtt->inbox, topic, topic_len > 0 ? (size_t)topic_len : strlen(topic),
                            message->payload, (size_t)message->payloadlen, message->retained);
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

/* "No matching subscribers" (16) comes here as well: Paho tells failures from 128 on apart. */
static void on_sent(void *context, MQTTAsync_successData5 *data)
{
    struct mqtt_report heard = {.kind = REPORT_ACKED, .event = {.token = data->token}};
    report(context, &heard);
}

static void on_not_sent(void *context, MQTTAsync_failureData5 *data)
{
    struct mqtt_report heard = {
        .kind = REPORT_REFUSED,
        .event = {.token = data->token, .reason = data->code == 0 ? (int)data->reasonCode : 0}};
    report(context, &heard);
}

static int on_tls_error(const char *text, size_t len, void *context)
{
    struct mqtt *mqtt = context;
    mqtt_inbox_set_reason(&mqtt->inbox, text, len);
    return 1;
}

/* ---- on the owner's thread ---- */

static int make_client(struct mqtt *mqtt, struct message *message)
{
    MQTTAsync_createOptions options = MQTTAsync_createOptions_initializer5;
    options.maxBufferedMessages = BUFFERED_MAX; /* counts what is under way, too */
    int rc =
        MQTTAsync_createWithOptions(&mqtt->client, mqtt->settings.url, mqtt->settings.client_id,
                                    MQTTCLIENT_PERSISTENCE_NONE, NULL, &options);
    if (rc == MQTTASYNC_SUCCESS)
        rc = MQTTAsync_setCallbacks(mqtt->client, mqtt, on_lost, on_message, NULL);
    if (rc == MQTTASYNC_SUCCESS)
        rc = MQTTAsync_setDisconnected(mqtt->client, mqtt, on_disconnected);
    return rc == MQTTASYNC_SUCCESS ? 0
                                   : message_set(message, ERR_IO, "MQTT client for %s: code %d",
                                                 mqtt->settings.url, rc);
}

static void free_parts(struct mqtt *mqtt)
{
    mqtt_inbox_release(&mqtt->inbox);
    publish_window_release(&mqtt->window);
    queue_free(mqtt->closed);
    mqtt_settings_release(&mqtt->settings);
    free(mqtt);
}

int mqtt_open(const struct mqtt_options *options, struct mqtt **ret_mqtt, struct message *message)
{
    struct mqtt *mqtt = calloc(1, sizeof(*mqtt));
    if (!mqtt)
        return message_set(message, ERR_NO_MEMORY, "MQTT: out of memory");
    int err = mqtt_inbox_init(&mqtt->inbox,
                              options->queue_messages ? options->queue_messages : MESSAGES_MAX,
                              options->queue_bytes ? options->queue_bytes : BYTES_MAX, OTHERS_MAX);
    if (!err)
        err = publish_window_init(&mqtt->window);
    mqtt->closed = queue_new(1, 1, NULL);
    if (err || !mqtt->closed)
        err = message_set(message, ERR_NO_MEMORY, "MQTT to %s: out of memory", options->url);
    if (!err)
        err = mqtt_settings_init(&mqtt->settings, options, message);
    if (!err)
        err = make_client(mqtt, message);
    if (err) {
        if (mqtt->client)
            MQTTAsync_destroy(&mqtt->client);
        free_parts(mqtt);
        return err;
    }
    backoff_init(&mqtt->backoff, mqtt->settings.reconnect_min_ms, mqtt->settings.reconnect_max_ms);
    *ret_mqtt = mqtt;
    return 0;
}

int mqtt_set_will(struct mqtt *mqtt, const void *payload, size_t len)
{
    return mqtt_settings_set_will(&mqtt->settings, payload, len);
}

int mqtt_subscribe(struct mqtt *mqtt, const char *filter)
{
    return mqtt_settings_add_filter(&mqtt->settings, filter);
}

static int begin_connect(struct mqtt *mqtt)
{
    MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer5;
    MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
    MQTTAsync_willOptions will = MQTTAsync_willOptions_initializer;
    options.keepAliveInterval = KEEPALIVE_S;
    options.connectTimeout = CONNECT_S;
    options.maxInflight = MQTT_WINDOW;
    options.cleanstart = 1;
    options.onSuccess5 = on_connected;
    options.onFailure5 = on_connect_failed;
    options.context = mqtt;
    if (mqtt->settings.tls) {
        tls.trustStore = mqtt->settings.ca;
        tls.keyStore = mqtt->settings.cert;
        tls.privateKey = mqtt->settings.key;
        tls.verify = 1; /* off by default: any certificate of our authority would do */
        tls.sslVersion = MQTT_SSL_VERSION_TLS_1_2;
        tls.ssl_error_cb = on_tls_error;
        tls.ssl_error_context = mqtt;
        options.ssl = &tls;
    }
    if (mqtt->settings.will_topic) {
        will.topicName = mqtt->settings.will_topic;
        will.payload.data = mqtt->settings.will;
        will.payload.len = (int)mqtt->settings.will_len;
        will.retained = 1;
        will.qos = 1;
        options.will = &will;
    }
    return MQTTAsync_connect(mqtt->client, &options) == MQTTASYNC_SUCCESS ? 0 : ERR_IO;
}

static void wait_longer(struct mqtt *mqtt, struct now now)
{
    mqtt->state = STATE_IDLE;
    mqtt->due_us = now.mono_us + backoff_next_ms(&mqtt->backoff) * US_PER_MS;
    publish_window_reset(&mqtt->window, 0);
    mqtt_inbox_drop_held(&mqtt->inbox);
}

/* Ends a connection that is of no use, so that the next attempt can begin. */
static void hang_up(struct mqtt *mqtt)
{
    MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer5;
    MQTTAsync_disconnect(mqtt->client, &options);
}

int64_t mqtt_step(struct mqtt *mqtt, struct now now)
{
    if (mqtt->state == STATE_SUBSCRIBING) {
        int64_t end_us = mqtt->begun_us + 2 * CONNECT_S * (int64_t)US_PER_S;
        if (now.mono_us < end_us)
            return end_us;
        hang_up(mqtt);
        mqtt_inbox_push_end(&mqtt->inbox, "the broker does not answer a subscription");
        return NEVER;
    }
    if (mqtt->state != STATE_IDLE)
        return NEVER;
    if (now.mono_us < mqtt->due_us)
        return mqtt->due_us;
    if (begin_connect(mqtt)) {
        wait_longer(mqtt, now);
        return mqtt->due_us;
    }
    mqtt->state = STATE_CONNECTING;
    mqtt->begun_us = now.mono_us;
    return NEVER;
}

bool mqtt_stuck(const struct mqtt *mqtt, struct now now)
{
    return mqtt->state == STATE_CONNECTING &&
           now.mono_us - mqtt->begun_us > (CONNECT_S + 3 * KEEPALIVE_S) * (int64_t)US_PER_S;
}

static int begin_subscribe(struct mqtt *mqtt)
{
    int qos[MQTT_FILTERS_MAX];
    for (int i = 0; i < mqtt->settings.filter_count; i++)
        qos[i] = 1;
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
    response.onSuccess5 = on_subscribed;
    response.onFailure5 = on_not_subscribed;
    response.context = mqtt;
    return MQTTAsync_subscribeMany(mqtt->client, mqtt->settings.filter_count,
                                   mqtt->settings.filters, qos, &response) == MQTTASYNC_SUCCESS
               ? 0
               : ERR_IO;
}

static bool take_session(struct mqtt *mqtt, struct now now, const struct mqtt_report *heard,
                         struct mqtt_event *event)
{
    if (mqtt->state != STATE_CONNECTING)
        return false;
    mqtt->state = STATE_SUBSCRIBING;
    bool told = heard->receive_maximum > 0 && heard->receive_maximum < MQTT_WINDOW;
    publish_window_reset(&mqtt->window, told ? (size_t)heard->receive_maximum : MQTT_WINDOW);
    /* Paho shows the upper half of its 32 bits as negative: beyond anything of ours. */
    mqtt->maximum_packet = heard->maximum_packet > 0 ? (size_t)heard->maximum_packet : SIZE_MAX;
    if (!mqtt->settings.filter_count) {
        mqtt->state = STATE_UP;
        backoff_reset(&mqtt->backoff);
        event->kind = MQTT_CONNECTED;
        return true;
    }
    if (!begin_subscribe(mqtt))
        return false;
    hang_up(mqtt);
    wait_longer(mqtt, now);
    event->kind = MQTT_DISCONNECTED;
    snprintf(event->text, sizeof(event->text), "could not subscribe");
    return true;
}

/* Between two connections a message is of no use: what counts comes again. */
static bool take_message(struct mqtt *mqtt, const struct mqtt_report *heard,
                         struct mqtt_event *event)
{
    if (mqtt->state == STATE_UP)
        return true;
    mqtt_inbox_hold(&mqtt->inbox, heard);
    event->topic = NULL; /* the inbox owns them again */
    event->payload = NULL;
    if (mqtt->state != STATE_SUBSCRIBING)
        mqtt_inbox_drop_held(&mqtt->inbox);
    return false;
}

/* The outcome of a publish of this connection; of an earlier one it is nothing any more. */
static bool take_outcome(struct mqtt *mqtt, enum mqtt_report_kind kind, struct mqtt_event *event)
{
    if (kind == REPORT_REFUSED && !event->reason)
        return false; /* the connection is ending */
    event->token = publish_window_close(&mqtt->window, event->token);
    event->kind = kind == REPORT_ACKED ? MQTT_ACKED : MQTT_REFUSED;
    return event->token != 0;
}

/* Moves the state by what the library reported. True where the owner is to see the event. */
static bool take(struct mqtt *mqtt, struct now now, const struct mqtt_report *heard,
                 struct mqtt_event *event)
{
    switch (heard->kind) {
    case REPORT_SESSION:
        return take_session(mqtt, now, heard, event);
    case REPORT_SUBSCRIBED:
        if (mqtt->state != STATE_SUBSCRIBING)
            return false;
        mqtt->state = STATE_UP;
        backoff_reset(&mqtt->backoff);
        event->kind = MQTT_CONNECTED;
        return true;
    case REPORT_NOT_SUBSCRIBED:
        if (mqtt->state != STATE_SUBSCRIBING)
            return false; /* left over from an earlier connection */
        hang_up(mqtt);
        wait_longer(mqtt, now);
        event->kind = MQTT_DISCONNECTED;
        return true;
    case REPORT_ENDED:
        if (mqtt->state == STATE_IDLE)
            return false; /* told already */
        wait_longer(mqtt, now);
        event->kind = MQTT_DISCONNECTED;
        return true;
    case REPORT_MESSAGE:
        return take_message(mqtt, heard, event);
    case REPORT_ACKED:
    case REPORT_REFUSED:
        return take_outcome(mqtt, heard->kind, event);
    }
    return false;
}

int mqtt_next(struct mqtt *mqtt, struct now now, struct mqtt_event *ret_event)
{
    struct mqtt_report heard;
    if (mqtt->state == STATE_UP && !mqtt_inbox_take_held(&mqtt->inbox, &heard)) {
        *ret_event = heard.event;
        return 0;
    }
    while (!mqtt_inbox_take(&mqtt->inbox, &heard)) {
        struct mqtt_event event = heard.event;
        if (take(mqtt, now, &heard, &event)) {
            *ret_event = event;
            return 0;
        }
        mqtt_event_release(&event);
    }
    return ERR_AGAIN;
}

void mqtt_event_release(struct mqtt_event *event)
{
    free(event->topic);
    free(event->payload);
    event->topic = NULL;
    event->payload = NULL;
}

int mqtt_fd(struct mqtt *mqtt)
{
    return mqtt_inbox_fd(&mqtt->inbox);
}

int mqtt_publish(struct mqtt *mqtt, const char *topic, const void *payload, size_t len,
                 bool retained, int *ret_token)
{
    size_t topic_len = strlen(topic);
    if (len > MQTT_MAX_PAYLOAD)
        return ERR_RANGE;
    /* A broker ends the connection of who publishes to a wildcard, and again after each return. */
    if (topic_len == 0 || topic_len > TOPIC_MAX || strpbrk(topic, "#+"))
        return ERR_INVALID;
    if (mqtt->state != STATE_UP)
        return ERR_CLOSED;
    if (topic_len + len + PACKET_OVERHEAD > mqtt->maximum_packet)
        return ERR_RANGE;
    if (publish_window_is_full(&mqtt->window))
        return ERR_FULL;
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
    response.onSuccess5 = on_sent;
    response.onFailure5 = on_not_sent;
    response.context = mqtt;
    int rc = MQTTAsync_send(mqtt->client, topic, (int)len, payload, 1, retained, &response);
    if (rc == MQTTASYNC_MAX_BUFFERED_MESSAGES || rc == MQTTASYNC_NO_MORE_MSGIDS)
        return ERR_FULL;
    if (rc == MQTTASYNC_BAD_UTF8_STRING)
        return ERR_INVALID;
    if (rc != MQTTASYNC_SUCCESS || !publish_window_knows(response.token))
        return ERR_CLOSED;
    *ret_token = publish_window_open(&mqtt->window, response.token);
    return 0;
}

uint64_t mqtt_dropped(struct mqtt *mqtt)
{
    return mqtt_inbox_dropped(&mqtt->inbox);
}

static void on_left(void *context, MQTTAsync_successData5 *data)
{
    (void)data;
    on_lost(context, NULL);
}

static void on_not_left(void *context, MQTTAsync_failureData5 *data)
{
    (void)data;
    on_lost(context, NULL);
}

/* What is under way goes out before the goodbye; its end is reported as any other. */
static void leave(struct mqtt *mqtt)
{
    MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer5;
    options.timeout = 1000;
    options.onSuccess5 = on_left;
    options.onFailure5 = on_not_left;
    options.context = mqtt;
    if (MQTTAsync_disconnect(mqtt->client, &options) != MQTTASYNC_SUCCESS)
        return;
    struct clock *clock = clock_real();
    int64_t end_us = clock_read(clock).mono_us + LEAVE_WAIT_MS * US_PER_MS;
    while (clock_read(clock).mono_us < end_us) {
        struct mqtt_report heard;
        if (mqtt_inbox_take(&mqtt->inbox, &heard)) {
            struct pollfd waiting = {mqtt_inbox_fd(&mqtt->inbox), POLLIN, 0};
            poll(&waiting, 1, 50);
            continue;
        }
        bool left = heard.kind == REPORT_ENDED;
        mqtt_event_release(&heard.event);
        if (left)
            return;
    }
}

static void *leave_and_destroy(void *self)
{
    struct mqtt *mqtt = self;
    if (MQTTAsync_isConnected(mqtt->client))
        leave(mqtt);
    MQTTAsync_destroy(&mqtt->client);
    queue_close(mqtt->closed);
    return NULL;
}

void mqtt_close(struct mqtt *mqtt)
{
    pthread_t thread;
    if (!mqtt)
        return;
    if (pthread_create(&thread, NULL, leave_and_destroy, mqtt))
        return; /* no thread to be had: left to the end of the process, as when it hangs */
    struct pollfd waiting = {queue_fd(mqtt->closed), POLLIN, 0};
    if (poll(&waiting, 1, CLOSE_WAIT_MS) != 1) {
        pthread_detach(thread);
        return;
    }
    pthread_join(thread, NULL);
    free_parts(mqtt);
}
