#include "edge/deadband.h"

#include "base/error.h"
#include "model/record.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

struct reporting {
    double amount;
    int64_t heartbeat_us;
    bool any_sent;
    int64_t sent_us;
    struct sample sent; /* the last one */
    struct sample last; /* the last one held back, where `held` is not 0 */
    uint32_t held;      /* since `sent` */
};

struct deadband {
    size_t point_count;
    uint32_t *places; /* of each point: its index, or NONE */
    struct reporting *list;
    size_t count;
    size_t next; /* to be looked at by deadband_take */
};

int deadband_new(size_t point_count, struct deadband **ret_deadband)
{
    struct deadband *deadband = calloc(1, sizeof(*deadband));
    if (!deadband)
        return ERR_NO_MEMORY;
    deadband->point_count = point_count;
    deadband->places = malloc((point_count + 1) * sizeof(*deadband->places));
    if (!deadband->places) {
        free(deadband);
        return ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < point_count; i++)
        deadband->places[i] = NONE;
    *ret_deadband = deadband;
    return 0;
}

void deadband_free(struct deadband *deadband)
{
    if (!deadband)
        return;
    free(deadband->places);
    free(deadband->list);
    free(deadband);
}

int deadband_set(struct deadband *deadband, uint32_t point, double amount, int64_t heartbeat_ms)
{
    if (point >= deadband->point_count || deadband->places[point] != NONE || !(amount >= 0) ||
        heartbeat_ms < 1)
        return ERR_INVALID;
    struct reporting *list = reallocarray(deadband->list, deadband->count + 1, sizeof(*list));
    if (!list)
        return ERR_NO_MEMORY;
    deadband->list = list;
    list[deadband->count] =
        (struct reporting){.amount = amount, .heartbeat_us = heartbeat_ms * US_PER_MS};
    deadband->places[point] = (uint32_t)deadband->count++;
    return 0;
}

/* Near enough to be held; a float32 and a double are both numbers. */
static bool is_near(const struct value *value, const struct value *sent, double amount)
{
    bool numbers = (value->kind == VALUE_DOUBLE || value->kind == VALUE_FLOAT) &&
                   (sent->kind == VALUE_DOUBLE || sent->kind == VALUE_FLOAT);
    if (numbers)
        return fabs(value->number - sent->number) <= amount;
    return value->kind == sent->kind && strcmp(value->text, sent->text) == 0;
}

static bool is_news(const struct reporting *reporting, struct now now, const struct sample *sample)
{
    const struct sample *sent = &reporting->sent;
    return !reporting->any_sent || sample->quality != sent->quality ||
           sample->cause != sent->cause ||
           now.mono_us - reporting->sent_us >= reporting->heartbeat_us ||
           reporting->held == RECORD_MAX_HELD ||
           !is_near(&sample->value, &sent->value, reporting->amount);
}

bool deadband_passes(struct deadband *deadband, struct now now, struct sample *sample)
{
    uint32_t place = deadband->places[sample->point];
    if (place == NONE)
        return true;
    struct reporting *reporting = &deadband->list[place];
    if (!is_news(reporting, now, sample)) {
        reporting->last = *sample;
        reporting->held++;
        return false;
    }
    sample->held = reporting->held;
    reporting->any_sent = true;
    reporting->sent_us = now.mono_us;
    reporting->sent = *sample;
    reporting->held = 0;
    return true;
}

void deadband_unsent(struct deadband *deadband, const struct sample *sample)
{
    uint32_t place = deadband->places[sample->point];
    if (place == NONE)
        return;
    struct reporting *reporting = &deadband->list[place];
    uint32_t room = RECORD_MAX_HELD - reporting->held;
    reporting->any_sent = false;
    reporting->held += sample->held < room ? sample->held : room;
}

void deadband_forget(struct deadband *deadband)
{
    for (size_t i = 0; i < deadband->count; i++)
        deadband->list[i].any_sent = false;
}

bool deadband_take(struct deadband *deadband, struct sample *ret_sample)
{
    while (deadband->next < deadband->count) {
        struct reporting *reporting = &deadband->list[deadband->next++];
        if (!reporting->held)
            continue;
        *ret_sample = reporting->last;
        ret_sample->held = reporting->held - 1;
        reporting->held = 0;
        reporting->any_sent = false;
        return true;
    }
    deadband->next = 0;
    return false;
}
