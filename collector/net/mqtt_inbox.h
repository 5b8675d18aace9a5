/*
 * What an MQTT library reports, on its way to the thread that owns the client: a bounded queue in
 * which only messages are ever refused, by number and by bytes, and counted. Knows no library.
 *
 * Any thread may push; one, the owner, takes. Messages may be held back and taken later, in order.
 */
#ifndef NET_MQTT_INBOX_H
#define NET_MQTT_INBOX_H

#include "base/attributes.h"
#include "net/mqtt.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mqtt_report_kind {
    REPORT_SESSION, /* the broker took us */
    REPORT_ENDED,   /* or never came about; `text` of the event says why, or is empty */
    REPORT_SUBSCRIBED,
    REPORT_NOT_SUBSCRIBED,
    REPORT_MESSAGE,
    REPORT_ACKED,
    REPORT_REFUSED, /* `reason` 0: no word of the broker */
};

struct mqtt_report {
    enum mqtt_report_kind kind;
    int receive_maximum, maximum_packet; /* of a session; 0: not said */
    struct mqtt_event event;             /* `token` is the library's message id */
};

struct mqtt_inbox {
    struct queue *queue, *held;
    size_t messages_max, bytes_max;
    atomic_size_t messages, bytes; /* that wait in both queues */
    atomic_uint_fast64_t dropped;
    pthread_mutex_t lock; /* guards reason */
    char reason[160];     /* told before the connection ends */
};

/* `others` bounds what waits beside messages. ERR_NO_MEMORY; release it also then. */
MUST_CHECK int mqtt_inbox_init(struct mqtt_inbox *inbox, size_t messages_max, size_t bytes_max,
                               size_t others);
void mqtt_inbox_release(struct mqtt_inbox *inbox);

/* Any report but a message. */
void mqtt_inbox_push(struct mqtt_inbox *inbox, const struct mqtt_report *report);
/* Copies the message, or counts it as dropped. */
void mqtt_inbox_push_message(struct mqtt_inbox *inbox, const char *topic, size_t topic_len,
                             const void *payload, size_t len, bool retained);
/* Keeps the first line of what TLS or the broker says, for the next mqtt_inbox_push_end. */
void mqtt_inbox_set_reason(struct mqtt_inbox *inbox, const char *text, size_t len);
void mqtt_inbox_push_end(struct mqtt_inbox *inbox, const char *text);

/* The next report, which is the taker's to release by its event. ERR_AGAIN when there is none. */
MUST_CHECK int mqtt_inbox_take(struct mqtt_inbox *inbox, struct mqtt_report *ret_report);
/* Puts a message just taken aside, and counts it as waiting again. */
void mqtt_inbox_hold(struct mqtt_inbox *inbox, const struct mqtt_report *report);
MUST_CHECK int mqtt_inbox_take_held(struct mqtt_inbox *inbox, struct mqtt_report *ret_report);
/* Drops, and counts, what is held. */
void mqtt_inbox_drop_held(struct mqtt_inbox *inbox);

/* Readable while reports wait (held ones do not count). */
int mqtt_inbox_fd(struct mqtt_inbox *inbox);
uint64_t mqtt_inbox_dropped(struct mqtt_inbox *inbox);

#endif
