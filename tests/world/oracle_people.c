#include "base/json.h"
#include "base/numbers.h"
#include "tests/world/oracle.h"
#include "tests/world/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETTLED_US (60 * (int64_t)US_PER_S) /* by then an action must be in the journal */

/* ---- actions ---- */

size_t oracle_next_act(const struct oracle *oracle)
{
    return oracle->act_count;
}

void oracle_acted(struct world *world, bool answered)
{
    struct oracle *oracle = &world->oracle;
    struct oracle_act *acts =
        reallocarray(oracle->acts, oracle->act_count + 1, sizeof(*oracle->acts));
    if (!acts)
        abort();
    oracle->acts = acts;
    acts[oracle->act_count++] = (struct oracle_act){.at_us = world->now_us, .answered = answered};
    world->reached[SITE_ACKED] += answered;
}

void oracle_act_journaled(struct world *world, const struct record_action *action)
{
    struct oracle *oracle = &world->oracle;
    uint64_t act;
    if (parse_u64(action->note, 0, oracle->act_count, &act) || act >= oracle->act_count)
        world_fail(world, "the central journal has the action \"%s\" of nobody", action->note);
    else if (++oracle->acts[act].journaled > 1)
        world_fail(world, "action %llu is in the central journal twice", (unsigned long long)act);
}

void oracle_check_acts(struct world *world)
{
    for (size_t i = 0; i < world->oracle.act_count; i++) {
        const struct oracle_act *act = &world->oracle.acts[i];
        if (act->answered && !act->journaled && !act->excused &&
            world->now_us - act->at_us > SETTLED_US)
            world_fail(world, "action %zu was answered and is not in the central journal", i);
    }
}

/* ---- what the provider took ---- */

static bool same_text(const struct json *object, const char *name, const char *text)
{
    const char *found = json_get_text(json_member(object, name));
    return found && strcmp(found, text) == 0;
}

/* The one that was taken before with that event, or a new one. */
static struct oracle_delivery *find_delivery(struct oracle *oracle, const struct json *event,
                                             uint64_t occurrence)
{
    for (size_t i = 0; i < oracle->delivery_count; i++) {
        struct oracle_delivery *delivery = &oracle->deliveries[i];
        if (delivery->occurrence == occurrence && same_text(event, "alarm", delivery->alarm) &&
            same_text(event, "event", delivery->event) && same_text(event, "t", delivery->t))
            return delivery;
    }
    return NULL;
}

static struct oracle_delivery *add_delivery(struct oracle *oracle, const struct json *event,
                                            uint64_t occurrence)
{
    struct oracle_delivery *deliveries =
        reallocarray(oracle->deliveries, oracle->delivery_count + 1, sizeof(*deliveries));
    if (!deliveries)
        abort();
    oracle->deliveries = deliveries;
    struct oracle_delivery *delivery = &deliveries[oracle->delivery_count++];
    *delivery = (struct oracle_delivery){.occurrence = occurrence};
    snprintf(delivery->alarm, sizeof(delivery->alarm), "%s",
             json_get_text(json_member(event, "alarm")));
    snprintf(delivery->event, sizeof(delivery->event), "%s",
             json_get_text(json_member(event, "event")));
    snprintf(delivery->t, sizeof(delivery->t), "%s", json_get_text(json_member(event, "t")));
    return delivery;
}

/* `troubles`: as many there had been before it was sent. Sent again is what the sender could not
 * know to be taken: there was no answer, or the centre could not keep it. */
static void take_event(struct world *world, const struct json *event, bool answered,
                       uint64_t troubles)
{
    struct oracle *oracle = &world->oracle;
    int64_t occurrence;
    if (json_get_i64(json_member(event, "occurrence"), 1, INT64_MAX, &occurrence) ||
        !json_get_text(json_member(event, "alarm")) ||
        !json_get_text(json_member(event, "event")) || !json_get_text(json_member(event, "t"))) {
        world_fail(world, "the provider got a notification of no alarm");
        return;
    }
    struct oracle_delivery *delivery = find_delivery(oracle, event, (uint64_t)occurrence);
    if (!delivery)
        delivery = add_delivery(oracle, event, (uint64_t)occurrence);
    else if (delivery->answered && delivery->troubles == oracle->troubles)
        world_fail(world, "the provider got the %s of %s (occurrence %llu) twice, for no reason",
                   delivery->event, delivery->alarm, (unsigned long long)occurrence);
    delivery->answered = answered;
    delivery->troubles = troubles;
}

void oracle_hear(struct world *world)
{
    struct oracle *oracle = &world->oracle;
    const struct sim_disk *disk = &world->centre.machine.disk;
    uint64_t troubles = oracle->troubles;
    oracle->troubles += disk->dead || disk->capacity || disk->failures != oracle->failures;
    oracle->failures = disk->failures;
    for (; oracle->heard < world->provider.taken_count; oracle->heard++) {
        const struct taken *taken = &world->provider.taken[oracle->heard];
        struct json_document *document = NULL;
        if (json_parse(taken->body, taken->len, &document, NULL)) {
            world_fail(world, "the provider got a notification that cannot be read");
            return;
        }
        take_event(world, json_member(json_root(document), "event"), taken->answered, troubles);
        json_free(document);
    }
}

bool oracle_was_told(struct world *world, const struct alarm_event *event)
{
    char t[TIME_TEXT_SIZE];
    time_format_utc(event->t_ms, t);
    for (size_t i = 0; i < world->oracle.delivery_count; i++) {
        const struct oracle_delivery *delivery = &world->oracle.deliveries[i];
        if (delivery->occurrence == event->occurrence &&
            strcmp(delivery->alarm, event->rule->id) == 0 &&
            strcmp(delivery->event, alarm_event_name(event->kind)) == 0 &&
            strcmp(delivery->t, t) == 0)
            return true;
    }
    return false;
}
