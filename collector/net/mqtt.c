#include "net/mqtt.h"

#include "base/queue.h"
#include "net/backoff.h"
#include "net/publish_window.h"

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
 * Paho numbers each publish, uniquely while it is open; the owner maps that to its own token, which
 * is never used again. An outcome whose number stands for no token is left over from an earlier
 * connection (Paho sends on the next one what it had not yet sent), and is swallowed. A failure
 * carries a reason only where its `code` is 0: elsewhere the field may be uninitialised, and the
 * connection is ending, which ends the token.
 *
 * Once Paho's window is full, its sender sleeps a second, whatever the broker answers meanwhile.
 * Ours is never wider than the broker's Receive Maximum, so that Paho's is never full.
 *
 * The queue keeps places for outcomes and states beyond those for messages: only messages are ever
 * dropped.
 *
 * Leaving and destroying may hang in the library: both run on a thread of their own, which is
 * waited for, bounded, and else left behind to the end of the process, with all it may still touch.
 */

#define KEEPALIVE_S      10
#define CONNECT_S        10
#define EVENTS_MAX       8192
#define BUFFERED_MAX     (4 * MQTT_WINDOW) /* left over from earlier connections, too */
#define MESSAGES_MAX     (EVENTS_MAX - BUFFERED_MAX - 100)
#define FIRST_REFUSAL    128 /* of the reason codes */
#define TOPIC_MAX        256
#define PACKET_OVERHEAD  16 /* of a publish, beside topic and payload */
#define BYTES_MAX        (32 * 1024 * 1024)
#define LEAVE_WAIT_MS    2500 /* what is under way goes out first */
#define CLOSE_WAIT_MS    5000
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
    int receive_maximum, maximum_packet; /* of a session; 0: not told */
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
    struct backoff backoff;
    int64_t begun_us; /* the present attempt */
    struct publish_window window;
    size_t maximum_packet;

    struct queue *queue;
    struct queue *closed;               /* itself closed when the library has let go */
    atomic_size_t queued, queued_bytes; /* messages in the queue */
    atomic_uint_fast64_t dropped;
    pthread_mutex_t lock; /* guards why */
    char why[160];        /* no connection comes about, as TLS told before */
};

/* ---- on the library's threads: copy and return ---- */

static void release_item(void *pointer)
{
    struct item *item = pointer;
    mqtt_event_release(&item->event);
}

static void report(struct mqtt *mqtt, struct item *item)
{
    if (queue_push(mqtt->queue, item)) {
        atomic_fetch_add(&mqtt->dropped, 1);
        release_item(item);
    }
}

static void set_why(struct mqtt *mqtt, const char *text)
{
    pthread_mutex_lock(&mqtt->lock);
    snprintf(mqtt->why, sizeof(mqtt->why), "%s", text);
    pthread_mutex_unlock(&mqtt->lock);
}

/* Appends ": why" where it is known, and forgets it. */
static void take_why(struct mqtt *mqtt, char *text, size_t size)
{
    size_t len = strlen(text);
    pthread_mutex_lock(&mqtt->lock);
    if (mqtt->why[0])
        snprintf(text + len, size - len, ": %s", mqtt->why);
    mqtt->why[0] = '\0';
    pthread_mutex_unlock(&mqtt->lock);
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
    struct item item = {.report = REPORT_SESSION,
                        .receive_maximum = property(properties, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM),
                        .maximum_packet =
                            property(properties, MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE)};
    report(context, &item);
}

static void on_connect_failed(void *context, MQTTAsync_failureData5 *data)
{
    struct item item = {.report = REPORT_FAILED};
    if (data->code > 0)
        snprintf(item.event.text, sizeof(item.event.text), "the broker refused: %s (%d)",
                 reason_name(data->code), data->code);
    else
        snprintf(item.event.text, sizeof(item.event.text), "%s",
                 data->message ? data->message : "not connected");
    take_why(context, item.event.text, sizeof(item.event.text));
    report(context, &item);
}

static void on_lost(void *context, char *cause)
{
    struct item item = {.report = REPORT_LOST};
    (void)cause; /* never told by this version */
    snprintf(item.event.text, sizeof(item.event.text), "connection lost");
    take_why(context, item.event.text, sizeof(item.event.text));
    report(context, &item);
}

/* The broker ends it itself, with a reason (MQTT 5). Paho then closes the socket without a call of
 * on_lost. */
static void on_disconnected(void *context, MQTTProperties *properties,
                            enum MQTTReasonCodes reason_code)
{
    struct item item = {.report = REPORT_LOST};
    (void)properties;
    snprintf(item.event.text, sizeof(item.event.text), "the broker closed the connection: %s (%d)",
             reason_name((int)reason_code), (int)reason_code);
    report(context, &item);
}

static void report_not_subscribed(struct mqtt *mqtt, int reason)
{
    struct item item = {.report = REPORT_NOT_SUBSCRIBED};
    snprintf(item.event.text, sizeof(item.event.text), "subscription refused: %s (%d)",
             reason_name(reason), reason);
    report(mqtt, &item);
}

/* A refusal of one filter among several is in the list of a success. */
static void on_subscribed(void *context, MQTTAsync_successData5 *data)
{
    struct item item = {.report = REPORT_SUBSCRIBED};
    for (int i = 0; data->alt.sub.reasonCodeCount > 1 && i < data->alt.sub.reasonCodeCount; i++) {
        int reason = (int)data->alt.sub.reasonCodes[i];
        if (reason >= FIRST_REFUSAL) {
            report_not_subscribed(context, reason);
            return;
        }
    }
    report(context, &item);
}

/* Without a reason of the broker the connection is ending, which is told by itself. */
static void on_not_subscribed(void *context, MQTTAsync_failureData5 *data)
{
    if (data->code == 0)
        report_not_subscribed(context, (int)data->reasonCode);
}

/* Is there room for a message of that many bytes? Then it is taken. */
static bool take_room(struct mqtt *mqtt, size_t len)
{
    if (atomic_fetch_add(&mqtt->queued, 1) < MESSAGES_MAX) {
        if (atomic_fetch_add(&mqtt->queued_bytes, len) + len <= BYTES_MAX)
            return true;
        atomic_fetch_sub(&mqtt->queued_bytes, len);
    }
    atomic_fetch_sub(&mqtt->queued, 1);
    return false;
}

static void give_room(struct mqtt *mqtt, size_t len)
{
    atomic_fetch_sub(&mqtt->queued_bytes, len);
    atomic_fetch_sub(&mqtt->queued, 1);
}

static int on_message(void *context, char *topic, int topic_len, MQTTAsync_message *message)
{
    struct mqtt *mqtt = context;
    size_t len = (size_t)message->payloadlen;
    struct item item = {.report = REPORT_MESSAGE};
    bool room = take_room(mqtt, len);
    if (room) {
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
        if (room)
            give_room(mqtt, len);
        release_item(&item);
    }
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

/* "No matching subscribers" (16) comes here as well: Paho tells failures from 128 on apart. */
static void on_sent(void *context, MQTTAsync_successData5 *data)
{
    struct item item = {.report = REPORT_ACKED, .event = {.token = data->token}};
    report(context, &item);
}

static void on_not_sent(void *context, MQTTAsync_failureData5 *data)
{
    struct item item = {
        .report = REPORT_REFUSED,
        .event = {.token = data->token, .reason = data->code == 0 ? (int)data->reasonCode : 0}};
    report(context, &item);
}

static int on_tls_error(const char *text, size_t len, void *context)
{
    char line[160];
    snprintf(line, sizeof(line), "%.*s", (int)(len < 150 ? len : 150), text);
    line[strcspn(line, "\n")] = '\0';
    set_why(context, line);
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
    options.maxBufferedMessages = BUFFERED_MAX; /* counts what is under way, too */
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
    queue_free(mqtt->closed);
    for (int i = 0; i < mqtt->filter_count; i++)
        free(mqtt->filters[i]);
    free(mqtt->url);
    free(mqtt->client_id);
    free(mqtt->ca);
    free(mqtt->cert);
    free(mqtt->key);
    free(mqtt->will_topic);
    free(mqtt->will_payload);
    publish_window_release(&mqtt->window);
    pthread_mutex_destroy(&mqtt->lock);
    free(mqtt);
}

int mqtt_open(const struct mqtt_options *options, struct mqtt **ret_mqtt, struct message *message)
{
    struct mqtt *mqtt = calloc(1, sizeof(*mqtt));
    if (!mqtt)
        return message_set(message, ERR_NO_MEMORY, "MQTT: out of memory");
    pthread_mutex_init(&mqtt->lock, NULL);
    backoff_init(&mqtt->backoff,
                 options->reconnect_min_ms ? options->reconnect_min_ms : RECONNECT_MIN_MS,
                 options->reconnect_max_ms ? options->reconnect_max_ms : RECONNECT_MAX_MS);
    mqtt->queue = queue_new(EVENTS_MAX, sizeof(struct item), release_item);
    mqtt->closed = queue_new(1, 1, NULL);
    int err = publish_window_init(&mqtt->window);
    if (!err)
        err = mqtt->queue && mqtt->closed ? make_url(mqtt, options->url) : ERR_NO_MEMORY;
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
    mqtt->state = STATE_IDLE;
    mqtt->due_us = now.mono_us + backoff_next_ms(&mqtt->backoff) * US_PER_MS;
    publish_window_reset(&mqtt->window, 0);
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

static bool take_session(struct mqtt *mqtt, struct now now, const struct item *item,
                         struct mqtt_event *event)
{
    if (mqtt->state != STATE_CONNECTING)
        return false;
    mqtt->state = STATE_SUBSCRIBING;
    bool told = item->receive_maximum > 0 && item->receive_maximum < MQTT_WINDOW;
    publish_window_reset(&mqtt->window, told ? (size_t)item->receive_maximum : MQTT_WINDOW);
    /* Paho shows the upper half of its 32 bits as negative: beyond anything of ours. */
    mqtt->maximum_packet = item->maximum_packet > 0 ? (size_t)item->maximum_packet : SIZE_MAX;
    if (!mqtt->filter_count) {
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

/* The outcome of a publish of this connection; of an earlier one it is nothing any more. */
static bool take_outcome(struct mqtt *mqtt, enum report kind, struct mqtt_event *event)
{
    if (kind == REPORT_REFUSED && !event->reason)
        return false; /* the connection is ending */
    event->token = publish_window_close(&mqtt->window, event->token);
    event->kind = kind == REPORT_ACKED ? MQTT_ACKED : MQTT_REFUSED;
    return event->token != 0;
}

/* Moves the state by what the library reported. True where the owner is to see the event. */
static bool take(struct mqtt *mqtt, struct now now, const struct item *item,
                 struct mqtt_event *event)
{
    switch (item->report) {
    case REPORT_SESSION:
        return take_session(mqtt, now, item, event);
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
    case REPORT_FAILED:
    case REPORT_LOST:
        if (mqtt->state == STATE_IDLE)
            return false; /* told already */
        wait_longer(mqtt, now);
        event->kind = MQTT_DISCONNECTED;
        return true;
    case REPORT_MESSAGE:
        give_room(mqtt, event->len);
        event->kind = MQTT_MESSAGE;
        return true;
    case REPORT_ACKED:
    case REPORT_REFUSED:
        return take_outcome(mqtt, item->report, event);
    }
    return false;
}

int mqtt_next(struct mqtt *mqtt, struct now now, struct mqtt_event *ret_event)
{
    struct item item;
    while (!queue_pop(mqtt->queue, &item)) {
        struct mqtt_event event = item.event;
        if (take(mqtt, now, &item, &event)) {
            *ret_event = event;
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
    return atomic_load(&mqtt->dropped);
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
        struct item item;
        if (queue_pop(mqtt->queue, &item)) {
            struct pollfd waiting = {queue_fd(mqtt->queue), POLLIN, 0};
            poll(&waiting, 1, 50);
            continue;
        }
        bool left = item.report == REPORT_LOST;
        release_item(&item);
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
