#include "net/mqtt.h"

#include "base/crypto.h"
#include "base/queue.h"
#include "base/text.h"

#include <MQTTAsync.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
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
 * A client is never destroyed while it connects (it may hang or crash): mqtt_close waits for the
 * attempt to end, and where that takes too long it leaves the client to the end of the process.
 */

#define KEEPALIVE_S      10
#define CONNECT_S        10
#define EVENTS_MAX       8192
#define BYTES_MAX        (32 * 1024 * 1024)
#define CLOSE_WAIT_MS    2500
#define RECONNECT_MIN_MS 1000
#define RECONNECT_MAX_MS 60000

enum state { STATE_IDLE, STATE_CONNECTING, STATE_SUBSCRIBING, STATE_UP };

/* What the library tells, on its way to the owner. */
enum report {
    REPORT_SESSION,
    REPORT_FAILED,
    REPORT_LOST,
    REPORT_SUBSCRIBED,
    REPORT_NOT_SUBSCRIBED,
    REPORT_MESSAGE,
    REPORT_ACKED,
    REPORT_REFUSED,
};

struct item {
    enum report report;
    struct mqtt_event event;
};

struct mqtt {
    MQTTAsync client;
    char *url, *client_id, *ca, *cert, *key;
    char *will_topic;
    void *will_payload;
    size_t will_len;
    char *filters[MQTT_FILTERS_MAX];
    int filter_count;
    bool tls;

    enum state state;
    int64_t due_us; /* of the next attempt */
    int64_t delay_ms, min_ms, max_ms;
    size_t under_way;

    struct queue *queue;
    atomic_size_t queued_bytes;
    atomic_uint_fast64_t dropped;
    pthread_mutex_t lock; /* guards tls_error */
    char tls_error[160];
};

/* ---- on the library's threads: copy and return ---- */

static void release_item(void *pointer)
{
    struct item *item = pointer;
    mqtt_event_release(&item->event);
}

static void report(struct mqtt *mqtt, struct item *item)
{
    /* What counts is messages and acks; a state that does not fit would stall us: see queue size.
     */
    if (queue_push(mqtt->queue, item)) {
        atomic_fetch_add(&mqtt->dropped, 1);
        if (item->report == REPORT_MESSAGE)
            atomic_fetch_sub(&mqtt->queued_bytes, item->event.len);
        release_item(item);
    }
}

static void on_connected(void *context, MQTTAsync_successData5 *data)
{
    (void)data;
    struct item item = {.report = REPORT_SESSION};
    report(context, &item);
}

static void on_connect_failed(void *context, MQTTAsync_failureData5 *data)
{
    struct mqtt *mqtt = context;
    struct item item = {.report = REPORT_FAILED};
    pthread_mutex_lock(&mqtt->lock);
    snprintf(item.event.text, sizeof(item.event.text), "%s (code %d, reason %d)%s%s",
             data && data->message ? data->message : "not connected", data ? data->code : 0,
             data ? (int)data->reasonCode : 0, mqtt->tls_error[0] ? ": " : "", mqtt->tls_error);
    mqtt->tls_error[0] = '\0';
    pthread_mutex_unlock(&mqtt->lock);
    report(mqtt, &item);
}

static void on_lost(void *context, char *cause)
{
    struct item item = {.report = REPORT_LOST};
    snprintf(item.event.text, sizeof(item.event.text), "connection lost%s%s", cause ? ": " : "",
             cause ? cause : "");
    report(context, &item);
}

/* The broker ends it itself, with a reason (MQTT 5). */
static void on_disconnected(void *context, MQTTProperties *properties,
                            enum MQTTReasonCodes reason_code)
{
    (void)properties;
    struct item item = {.report = REPORT_LOST};
    snprintf(item.event.text, sizeof(item.event.text), "the broker closed the connection: %s",
             MQTTReasonCode_toString(reason_code));
    report(context, &item);
}

static void on_subscribed(void *context, MQTTAsync_successData5 *data)
{
    (void)data;
    struct item item = {.report = REPORT_SUBSCRIBED};
    report(context, &item);
}

static void on_not_subscribed(void *context, MQTTAsync_failureData5 *data)
{
    struct item item = {.report = REPORT_NOT_SUBSCRIBED};
    snprintf(item.event.text, sizeof(item.event.text), "subscription refused (reason %d)",
             data ? (int)data->reasonCode : 0);
    report(context, &item);
}

static int on_message(void *context, char *topic, int topic_len, MQTTAsync_message *message)
{
    struct mqtt *mqtt = context;
    size_t len = (size_t)message->payloadlen;
    struct item item = {.report = REPORT_MESSAGE};
    if (atomic_fetch_add(&mqtt->queued_bytes, len) + len <= BYTES_MAX) {
        item.event.kind = MQTT_MESSAGE;
        item.event.retained = message->retained;
        item.event.len = len;
        item.event.topic = topic_len > 0 ? strndup(topic, (size_t)topic_len) : strdup(topic);
        item.event.payload = malloc(len + 1);
    }
    if (item.event.topic && item.event.payload) {
        if (len)
            memcpy(item.event.payload, message->payload, len);
        item.event.payload[len] = '\0';
        report(mqtt, &item);
    } else {
        atomic_fetch_add(&mqtt->dropped, 1);
        atomic_fetch_sub(&mqtt->queued_bytes, len);
        release_item(&item);
    }
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

static void on_sent(void *context, MQTTAsync_successData5 *data)
{
    int reason = (int)data->reasonCode;
    struct item item = {.report = reason >= 128 ? REPORT_REFUSED : REPORT_ACKED,
                        .event = {.token = data->token, .reason = reason}};
    report(context, &item);
}

static void on_not_sent(void *context, MQTTAsync_failureData5 *data)
{
    struct item item = {.report = REPORT_REFUSED,
                        .event = {.token = data->token, .reason = (int)data->reasonCode}};
    report(context, &item);
}

static int on_tls_error(const char *text, size_t len, void *context)
{
    struct mqtt *mqtt = context;
    pthread_mutex_lock(&mqtt->lock);
    snprintf(mqtt->tls_error, sizeof(mqtt->tls_error), "%.*s", (int)(len < 150 ? len : 150), text);
    char *newline = strchr(mqtt->tls_error, '\n');
    if (newline)
        *newline = '\0';
    pthread_mutex_unlock(&mqtt->lock);
    return 1;
}

/* ---- on the owner's thread ---- */

static int copy(char **ret, const char *text)
{
    *ret = text ? strdup(text) : NULL;
    return text && !*ret ? ERR_NO_MEMORY : 0;
}

/* mqtts://HOST:PORT → Paho's ssl://HOST:PORT. */
static int make_url(struct mqtt *mqtt, const char *url)
{
    mqtt->tls = strncmp(url, "mqtts://", 8) == 0;
    const char *rest = mqtt->tls ? url + 8 : strncmp(url, "mqtt://", 7) == 0 ? url + 7 : NULL;
    if (!rest)
        return ERR_INVALID;
    size_t size = strlen(rest) + 8;
    mqtt->url = malloc(size);
    if (!mqtt->url)
        return ERR_NO_MEMORY;
    snprintf(mqtt->url, size, "%s://%s", mqtt->tls ? "ssl" : "tcp", rest);
    return 0;
}

static int make_client(struct mqtt *mqtt, struct message *message)
{
    MQTTAsync_createOptions options = MQTTAsync_createOptions_initializer5;
    options.maxBufferedMessages = MQTT_WINDOW + 100; /* counts what is under way, too */
    int rc = MQTTAsync_createWithOptions(&mqtt->client, mqtt->url, mqtt->client_id,
                                         MQTTCLIENT_PERSISTENCE_NONE, NULL, &options);
    if (rc == MQTTASYNC_SUCCESS)
        rc = MQTTAsync_setCallbacks(mqtt->client, mqtt, on_lost, on_message, NULL);
    if (rc == MQTTASYNC_SUCCESS)
        rc = MQTTAsync_setDisconnected(mqtt->client, mqtt, on_disconnected);
    return rc == MQTTASYNC_SUCCESS
               ? 0
               : message_set(message, ERR_IO, "MQTT client for %s: code %d", mqtt->url, rc);
}

static void free_parts(struct mqtt *mqtt)
{
    queue_free(mqtt->queue);
    for (int i = 0; i < mqtt->filter_count; i++)
        free(mqtt->filters[i]);
    free(mqtt->url);
    free(mqtt->client_id);
    free(mqtt->ca);
    free(mqtt->cert);
    free(mqtt->key);
    free(mqtt->will_topic);
    free(mqtt->will_payload);
    pthread_mutex_destroy(&mqtt->lock);
    free(mqtt);
}

int mqtt_open(const struct mqtt_options *options, struct mqtt **ret_mqtt, struct message *message)
{
    struct mqtt *mqtt = calloc(1, sizeof(*mqtt));
    if (!mqtt)
        return message_set(message, ERR_NO_MEMORY, "MQTT: out of memory");
    pthread_mutex_init(&mqtt->lock, NULL);
    mqtt->min_ms = options->reconnect_min_ms ? options->reconnect_min_ms : RECONNECT_MIN_MS;
    mqtt->max_ms = options->reconnect_max_ms ? options->reconnect_max_ms : RECONNECT_MAX_MS;
    mqtt->delay_ms = mqtt->min_ms;
    mqtt->queue = queue_new(EVENTS_MAX, sizeof(struct item), release_item);
    int err = mqtt->queue ? make_url(mqtt, options->url) : ERR_NO_MEMORY;
    if (!err && (copy(&mqtt->client_id, options->client_id) || copy(&mqtt->ca, options->ca) ||
                 copy(&mqtt->cert, options->cert) || copy(&mqtt->key, options->key) ||
                 copy(&mqtt->will_topic, options->will_topic)))
        err = ERR_NO_MEMORY;
    if (!err && options->will_topic)
        err = mqtt_set_will(mqtt, options->will_payload, options->will_len);
    if (err)
        message_set(message, err, "MQTT to %s: %s", options->url, err_name(err));
    else
        err = make_client(mqtt, message);
    if (err) {
        if (mqtt->client)
            MQTTAsync_destroy(&mqtt->client);
        free_parts(mqtt);
        return err;
    }
    *ret_mqtt = mqtt;
    return 0;
}

int mqtt_set_will(struct mqtt *mqtt, const void *payload, size_t len)
{
    void *will = malloc(len + 1);
    if (!will)
        return ERR_NO_MEMORY;
    if (len)
        memcpy(will, payload, len);
    free(mqtt->will_payload);
    mqtt->will_payload = will;
    mqtt->will_len = len;
    return 0;
}

int mqtt_subscribe(struct mqtt *mqtt, const char *filter)
{
    if (mqtt->filter_count == MQTT_FILTERS_MAX)
        return ERR_FULL;
    int err = copy(&mqtt->filters[mqtt->filter_count], filter);
    if (!err)
        mqtt->filter_count++;
    return err;
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
    if (mqtt->tls) {
        tls.trustStore = mqtt->ca;
        tls.keyStore = mqtt->cert;
        tls.privateKey = mqtt->key;
        tls.verify = 1; /* off by default: any certificate of our authority would do */
        tls.sslVersion = MQTT_SSL_VERSION_TLS_1_2;
        tls.ssl_error_cb = on_tls_error;
        tls.ssl_error_context = mqtt;
        options.ssl = &tls;
    }
    if (mqtt->will_topic) {
        will.topicName = mqtt->will_topic;
        will.payload.data = mqtt->will_payload;
        will.payload.len = (int)mqtt->will_len;
        will.retained = 1;
        will.qos = 1;
        options.will = &will;
    }
    return MQTTAsync_connect(mqtt->client, &options) == MQTTASYNC_SUCCESS ? 0 : ERR_IO;
}

static void wait_longer(struct mqtt *mqtt, struct now now)
{
    /* Half of the delay is sure, half is chance. */
    int64_t half_ms = mqtt->delay_ms / 2;
    int64_t jitter_ms = random_below((uint32_t)half_ms + 1);
    mqtt->state = STATE_IDLE;
    mqtt->due_us = now.mono_us + (half_ms + jitter_ms) * US_PER_MS;
    mqtt->delay_ms = 2 * mqtt->delay_ms < mqtt->max_ms ? 2 * mqtt->delay_ms : mqtt->max_ms;
    mqtt->under_way = 0;
}

int64_t mqtt_step(struct mqtt *mqtt, struct now now)
{
    if (mqtt->state != STATE_IDLE)
        return NEVER;
    if (now.mono_us < mqtt->due_us)
        return mqtt->due_us;
    if (begin_connect(mqtt)) {
        wait_longer(mqtt, now);
        return mqtt->due_us;
    }
    mqtt->state = STATE_CONNECTING;
    return NEVER;
}

static int begin_subscribe(struct mqtt *mqtt)
{
    int qos[MQTT_FILTERS_MAX];
    for (int i = 0; i < mqtt->filter_count; i++)
        qos[i] = 1;
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
    response.onSuccess5 = on_subscribed;
    response.onFailure5 = on_not_subscribed;
    response.context = mqtt;
    return MQTTAsync_subscribeMany(mqtt->client, mqtt->filter_count, mqtt->filters, qos,
                                   &response) == MQTTASYNC_SUCCESS
               ? 0
               : ERR_IO;
}

/* Ends a connection that is of no use, so that the next attempt can begin. */
static void hang_up(struct mqtt *mqtt)
{
    MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer5;
    MQTTAsync_disconnect(mqtt->client, &options);
}

static bool take_session(struct mqtt *mqtt, struct now now, struct mqtt_event *event)
{
    mqtt->state = STATE_SUBSCRIBING;
    mqtt->under_way = 0;
    if (!mqtt->filter_count) {
        mqtt->state = STATE_UP;
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

/* Moves the state by what the library reported. True where the owner is to see the event. */
static bool take(struct mqtt *mqtt, struct now now, enum report kind, struct mqtt_event *event)
{
    switch (kind) {
    case REPORT_SESSION:
        return take_session(mqtt, now, event);
    case REPORT_SUBSCRIBED:
        if (mqtt->state != STATE_SUBSCRIBING)
            return false;
        mqtt->state = STATE_UP;
        mqtt->delay_ms = mqtt->min_ms;
        event->kind = MQTT_CONNECTED;
        return true;
    case REPORT_NOT_SUBSCRIBED:
        hang_up(mqtt);
        wait_longer(mqtt, now);
        event->kind = MQTT_DISCONNECTED;
        return true;
    case REPORT_FAILED:
    case REPORT_LOST:
        if (mqtt->state == STATE_IDLE)
            return false; /* told already */
        wait_longer(mqtt, now);
        event->kind = MQTT_DISCONNECTED;
        return true;
    case REPORT_MESSAGE:
        atomic_fetch_sub(&mqtt->queued_bytes, event->len);
        event->kind = MQTT_MESSAGE;
        return true;
    case REPORT_ACKED:
    case REPORT_REFUSED:
        if (mqtt->under_way)
            mqtt->under_way--;
        event->kind = kind == REPORT_ACKED ? MQTT_ACKED : MQTT_REFUSED;
        return true;
    }
    return false;
}

int mqtt_next(struct mqtt *mqtt, struct now now, struct mqtt_event *ret_event)
{
    struct item item;
    while (!queue_pop(mqtt->queue, &item)) {
        if (take(mqtt, now, item.report, &item.event)) {
            *ret_event = item.event;
            return 0;
        }
        release_item(&item);
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
    return queue_fd(mqtt->queue);
}

int mqtt_publish(struct mqtt *mqtt, const char *topic, const void *payload, size_t len,
                 bool retained, int *ret_token)
{
    if (len > MQTT_MAX_PAYLOAD)
        return ERR_RANGE;
    if (mqtt->state != STATE_UP)
        return ERR_CLOSED;
    if (mqtt->under_way >= MQTT_WINDOW)
        return ERR_FULL;
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
    response.onSuccess5 = on_sent;
    response.onFailure5 = on_not_sent;
    response.context = mqtt;
    int rc = MQTTAsync_send(mqtt->client, topic, (int)len, payload, 1, retained, &response);
    if (rc == MQTTASYNC_MAX_BUFFERED_MESSAGES || rc == MQTTASYNC_NO_MORE_MSGIDS)
        return ERR_FULL;
    if (rc != MQTTASYNC_SUCCESS)
        return ERR_CLOSED;
    mqtt->under_way++;
    *ret_token = response.token;
    return 0;
}

uint64_t mqtt_dropped(struct mqtt *mqtt)
{
    return atomic_load(&mqtt->dropped);
}

/* Waits, bounded, until the library has reported one of two things. */
static bool await(struct mqtt *mqtt, enum report a, enum report b)
{
    struct clock *clock = clock_real();
    int64_t end_us = clock_read(clock).mono_us + CLOSE_WAIT_MS * US_PER_MS;
    while (clock_read(clock).mono_us < end_us) {
        struct item item;
        if (queue_pop(mqtt->queue, &item)) {
            struct pollfd waiting = {queue_fd(mqtt->queue), POLLIN, 0};
            poll(&waiting, 1, 50);
            continue;
        }
        bool found = item.report == a || item.report == b;
        release_item(&item);
        if (found)
            return true;
    }
    return false;
}

void mqtt_close(struct mqtt *mqtt)
{
    if (!mqtt)
        return;
    bool ended = true;
    if (mqtt->state == STATE_CONNECTING)
        ended = await(mqtt, REPORT_SESSION, REPORT_FAILED);
    if (MQTTAsync_isConnected(mqtt->client)) {
        MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer5;
        options.timeout = 1000;
        options.onSuccess5 = on_subscribed; /* any report will do: nobody reads it but await */
        options.onFailure5 = on_not_subscribed;
        options.context = mqtt;
        if (MQTTAsync_disconnect(mqtt->client, &options) == MQTTASYNC_SUCCESS)
            ended = await(mqtt, REPORT_SUBSCRIBED, REPORT_NOT_SUBSCRIBED);
    }
    if (!ended)
        return; /* left to the end of the process: see the design notes */
    MQTTAsync_destroy(&mqtt->client);
    free_parts(mqtt);
}
