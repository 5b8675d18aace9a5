#include "tests/world/garbage.h"

#include "tests/world/world.h"

#include <stdio.h>
#include <string.h>

static const char deep[] =
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[";
static const char huge[] = "{\"k\":\"data\",\"edge\":\"e1\",\"epoch\":\"%s\",\"stream\":\"s\","
                           "\"seq\":99999999999999999999999999999,\"birth\":\"0\",\"t\":1e999}";

/* "%s": the epoch of the edge it comes from, or goes to. */
static const char *const to_centre[] = {
    "",
    "{",
    "\xff\xfe",
    "[1,2,3]",
    "{\"k\":\"data\"}",
    deep,
    huge,
    "{\"k\":\"data\",\"edge\":\"e1\",\"epoch\":\"%s\",\"stream\":\"s\",\"seq\":-1}",
    "{\"k\":[],\"edge\":{},\"epoch\":7,\"stream\":true,\"seq\":\"1\"}",
};

static const char *const receipts[] = {
    "{\"centre\":5,\"nonce\":[],\"epoch\":{},\"streams\":\"all\",\"credit\":true}",
    "{\"centre\":\"c1\",\"nonce\":\"n\",\"epoch\":\"%s\",\"streams\":{\"s\":{\"through\":"
    "99999999999999999999999999}},\"credit\":1}",
    "{\"centre\":\"c1\",\"nonce\":\"n\",\"epoch\":\"%s\",\"streams\":{\"s\":{\"through\":-1}},"
    "\"credit\":1}",
    "{\"centre\":\"c1\",\"nonce\":\"n\",\"epoch\":\"%s\",\"streams\":{\"t\":{\"through\":1e300}},"
    "\"credit\":1e999}",
    "{\"centre\":\"c1\",\"nonce\":\"n\",\"epoch\":\"%s\",\"streams\":{\"c\":{\"through\":5,"
    "\"also\":[[4,3]]}},\"credit\":0}",
    "{\"centre\":\"c1\",\"nonce\":\"n\",\"epoch\":\"%s\",\"streams\":{\"c\":{\"through\":\"5\"}},"
    "\"credit\":0}",
};

static void send(struct world *world, int to, enum topic_kind kind, const char *name, int edge,
                 const char *form)
{
    struct broker *broker = &world->broker;
    const struct journal *journal = world->edges[edge].journal;
    const char *epoch = journal ? journal_epoch(journal) : "";
    char topic[TOPIC_SIZE], payload[512];
    const char *place = strstr(form, "%s");
    int len = place ? snprintf(payload, sizeof(payload), "%.*s%s%s", (int)(place - form), form,
                               epoch, place + 2)
                    : snprintf(payload, sizeof(payload), "%s", form);
    topic_make(kind, name, topic);
    broker_inject(broker, to, topic, payload, (size_t)len, &world->reached[FAULT_GARBAGE]);
}

void garbage_throw(struct world *world, const struct fault_event *event)
{
    static const enum topic_kind kinds[] = {TOPIC_DATA, TOPIC_STATE, TOPIC_BACKFILL, TOPIC_BIRTH};
    static const char *const names[] = {"e1", "e2", "e9"};
    size_t forms = sizeof(to_centre) / sizeof(to_centre[0]);
    uint32_t value = event->value;
    if (event->node == NODE_CENTRE || value & 1)
        send(world, NODE_CENTRE, kinds[value / 2 % 4], names[value / 8 % 3], 0,
             to_centre[value / 32 % forms]);
    else
        send(world, event->node, TOPIC_RECEIPT, world->edges[event->node].name, event->node,
             receipts[value / 2 % (sizeof(receipts) / sizeof(receipts[0]))]);
}
