/*
 * An MQTT 5 client: transport and nothing more. QoS 1, clean start, no session, no persistence, its
 * own reconnecting. It knows no topic and no payload.
 *
 * One thread owns it and makes all calls. The library's threads only copy what happened into a
 * bounded queue; the owner takes it from there with mqtt_next. What does not fit is dropped and
 * counted: no receipt follows it, so it comes again.
 *
 *   mqtt_step (now and then, and when mqtt_fd is readable) → mqtt_next until ERR_AGAIN
 */
#ifndef NET_MQTT_H
#define NET_MQTT_H

#include "base/attributes.h"
#include "base/clock.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MQTT_MAX_PAYLOAD (256 * 1024)
#define MQTT_WINDOW      900 /* messages under way */
#define MQTT_FILTERS_MAX 16

struct mqtt;

struct mqtt_options {
    const char *url; /* mqtts://ADDRESS:PORT or mqtt://ADDRESS:PORT */
    const char *client_id;
    const char *ca, *cert, *key; /* files, for mqtts */
    const char *will_topic;      /* retained, QoS 1; NULL: none */
    const void *will_payload;
    size_t will_len;
    int64_t reconnect_min_ms; /* 0: 1 s */
    int64_t reconnect_max_ms; /* 0: 60 s */
    size_t queue_messages;    /* that wait for the owner, at most 65536; 0: 4096 */
    size_t queue_bytes;       /* of theirs; 0: 32 MiB */
};

enum mqtt_event_kind {
    MQTT_CONNECTED,    /* and every filter subscribed; no message comes before it */
    MQTT_DISCONNECTED, /* or not connected at all: `text` says why */
    MQTT_MESSAGE,
    MQTT_ACKED,   /* the broker took the message of that token: nothing more */
    MQTT_REFUSED, /* it did not; `reason` is MQTT's code: 135 not allowed, 149 too large */
};

struct mqtt_event {
    enum mqtt_event_kind kind;
    int token, reason;
    bool retained;
    char *topic;   /* NUL-terminated; owned by the event */
    char *payload; /* owned by the event */
    size_t len;
    char text[200];
};

/* Starts no connection yet: the first mqtt_step does. Copies what it is given. ERR_INVALID,
 * ERR_RANGE, ERR_NOT_FOUND (a file that cannot be read), ERR_NO_MEMORY, ERR_IO. */
MUST_CHECK int mqtt_open(const struct mqtt_options *options, struct mqtt **ret_mqtt,
                         struct message *message);

/* Lets out what is under way and leaves politely where connected; ends within five seconds. Where
 * the library hangs, it and what it may touch are left to the end of the process. NULL is fine. */
void mqtt_close(struct mqtt *mqtt);

/* Registers a filter, subscribed anew on every connection. Before the first step. */
MUST_CHECK int mqtt_subscribe(struct mqtt *mqtt, const char *filter);

/* Replaces the will for the connections to come. */
MUST_CHECK int mqtt_set_will(struct mqtt *mqtt, const void *payload, size_t len);

/* Begins to connect when that is due; returns when it wants to run next. */
int64_t mqtt_step(struct mqtt *mqtt, struct now now);

/* An attempt has had no outcome for long beyond its bounds (a wall clock that was set back stops
 * the library's own): only a restart of the program helps. */
bool mqtt_stuck(const struct mqtt *mqtt, struct now now);

/* The next thing that happened; ERR_AGAIN when there is none. Release what you were given. */
MUST_CHECK int mqtt_next(struct mqtt *mqtt, struct now now, struct mqtt_event *ret_event);
void mqtt_event_release(struct mqtt_event *event);

/* Readable while events wait. */
int mqtt_fd(struct mqtt *mqtt);

/* 0: on its way; one event with this token follows while the connection lasts, none after its
 * MQTT_DISCONNECTED. ERR_CLOSED: not connected. ERR_FULL: too many under way, for us (MQTT_WINDOW)
 * or for the broker. ERR_RANGE: above MQTT_MAX_PAYLOAD, or more than the broker takes. ERR_INVALID:
 * no topic to publish to. */
MUST_CHECK int mqtt_publish(struct mqtt *mqtt, const char *topic, const void *payload, size_t len,
                            bool retained, int *ret_token);

/* Messages that came and did not fit into the queue. */
uint64_t mqtt_dropped(struct mqtt *mqtt);

#endif
