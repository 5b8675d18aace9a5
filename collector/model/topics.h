/* MQTT topics (INTERFACES 3): built and taken apart in one place. Pure. */
#ifndef MODEL_TOPICS_H
#define MODEL_TOPICS_H

#include "base/attributes.h"

#define TOPIC_SIZE 192

enum topic_kind {
    TOPIC_BIRTH,
    TOPIC_DATA,
    TOPIC_BACKFILL,
    TOPIC_EVENT,
    TOPIC_STATE,
    TOPIC_STATS,
    TOPIC_REPLY,
    TOPIC_COSIGN,
    TOPIC_RECEIPT,
    TOPIC_REQUEST,
    TOPIC_CONFIG,
    TOPIC_CENTRE_STATE, /* its `name` is the centre's */
    TOPIC_CENTRE_HEAD,
    TOPIC_KIND_COUNT,
};

/* "chengmai/v1/{name}/data"; name "+" gives a filter. */
void topic_make(enum topic_kind kind, const char *name, char ret_topic[TOPIC_SIZE]);

/* ERR_INVALID unless it is one of ours with a valid name, which is copied out. */
MUST_CHECK int topic_parse(const char *topic, enum topic_kind *ret_kind, char ret_name[65]);

#endif
