#include "model/topics.h"

#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define NAME_SIZE 65

/* A topic is its head, a name and its tail. A name holds no '/', so at most one kind fits. */
static const struct form {
    const char *head, *tail;
} forms[TOPIC_KIND_COUNT] = {
    [TOPIC_BIRTH] = {"chengmai/v1/", "/birth"},
    [TOPIC_DATA] = {"chengmai/v1/", "/data"},
    [TOPIC_BACKFILL] = {"chengmai/v1/", "/backfill"},
    [TOPIC_EVENT] = {"chengmai/v1/", "/event"},
    [TOPIC_STATE] = {"chengmai/v1/", "/state"},
    [TOPIC_STATS] = {"chengmai/v1/", "/stats"},
    [TOPIC_REPLY] = {"chengmai/v1/", "/reply"},
    [TOPIC_COSIGN] = {"chengmai/v1/", "/cosign"},
    [TOPIC_RECEIPT] = {"chengmai/v1/", "/receipt"},
    [TOPIC_REQUEST] = {"chengmai/v1/", "/request"},
    [TOPIC_CONFIG] = {"chengmai/v1/", "/config"},
    [TOPIC_CENTRE_STATE] = {"chengmai/v1/central/", "/state"},
    [TOPIC_CENTRE_HEAD] = {"chengmai/v1/central/", "/head"},
};

void topic_make(enum topic_kind kind, const char *name, char ret_topic[TOPIC_SIZE])
{
    snprintf(ret_topic, TOPIC_SIZE, "%s%s%s", forms[kind].head, name, forms[kind].tail);
}

/* Takes the name out of a topic of that form. */
static bool match_form(const struct form *form, const char *topic, char ret_name[NAME_SIZE])
{
    size_t len = strlen(topic);
    size_t head = strlen(form->head);
    size_t tail = strlen(form->tail);
    char name[NAME_SIZE];

    if (len < head + tail || len - head - tail >= sizeof(name))
        return false;
    if (memcmp(topic, form->head, head) != 0 || strcmp(topic + len - tail, form->tail) != 0)
        return false;
    memcpy(name, topic + head, len - head - tail);
    name[len - head - tail] = '\0';
    if (!text_is_name(name))
        return false;
    memcpy(ret_name, name, sizeof(name));
    return true;
}

int topic_parse(const char *topic, enum topic_kind *ret_kind, char ret_name[NAME_SIZE])
{
    for (int kind = 0; kind < TOPIC_KIND_COUNT; kind++) {
        if (match_form(&forms[kind], topic, ret_name)) {
            *ret_kind = (enum topic_kind)kind;
            return 0;
        }
    }
    return ERR_INVALID;
}
