#include "edge/intake.h"

#include "base/error.h"

#include <pthread.h>
#include <stdlib.h>

#define AT_ONCE 256 /* samples judged and handed on together */

struct intake {
    struct recorder *recorder;
    struct signal *signal;
    struct deadband *deadband;
    pthread_mutex_t lock; /* guards all below, and both above */
    struct sample samples[AT_ONCE];
    size_t count;
    uint64_t gaps; /* of the recorder, when last looked at */
};

int intake_new(struct signal *signal, struct deadband *deadband, struct intake **ret_intake)
{
    struct intake *intake = calloc(1, sizeof(*intake));
    if (!intake) {
        signal_free(signal);
        deadband_free(deadband);
        return ERR_NO_MEMORY;
    }
    intake->signal = signal;
    intake->deadband = deadband;
    pthread_mutex_init(&intake->lock, NULL);
    *ret_intake = intake;
    return 0;
}

void intake_free(struct intake *intake)
{
    if (!intake)
        return;
    signal_free(intake->signal);
    deadband_free(intake->deadband);
    pthread_mutex_destroy(&intake->lock);
    free(intake);
}

/* The lock is held. */
static void hand_on(struct intake *intake)
{
    if (intake->count && recorder_put(intake->recorder, intake->samples, intake->count))
        for (size_t i = 0; i < intake->count; i++)
            deadband_unsent(intake->deadband, &intake->samples[i]);
    intake->count = 0;
}

static void take(struct intake *intake, struct now now, const struct sample *sample)
{
    struct sample *own = &intake->samples[intake->count];
    *own = *sample;
    signal_judge(intake->signal, now, own);
    if (deadband_passes(intake->deadband, now, own))
        intake->count++;
    if (intake->count == AT_ONCE)
        hand_on(intake);
}

static void look_for_gaps(struct intake *intake)
{
    uint64_t gaps = recorder_gaps(intake->recorder);
    if (gaps != intake->gaps)
        deadband_forget(intake->deadband);
    intake->gaps = gaps;
}

void intake_attach(struct intake *intake, struct recorder *recorder)
{
    intake->recorder = recorder;
}

void intake_put(struct intake *intake, struct now now, const struct sample *samples, size_t count)
{
    if (!intake->signal) {
        (void)!recorder_put(intake->recorder, samples, count);
        return;
    }
    pthread_mutex_lock(&intake->lock);
    look_for_gaps(intake);
    for (size_t i = 0; i < count; i++)
        take(intake, now, &samples[i]);
    hand_on(intake);
    pthread_mutex_unlock(&intake->lock);
}

int intake_set_marks(struct intake *intake, const struct signal_rule *rules, size_t count)
{
    if (!intake->signal)
        return ERR_INVALID;
    pthread_mutex_lock(&intake->lock);
    int err = signal_set_marks(intake->signal, SIGNAL_OPERATORS, rules, count);
    pthread_mutex_unlock(&intake->lock);
    return err;
}

void intake_flush(struct intake *intake)
{
    if (!intake->deadband)
        return;
    pthread_mutex_lock(&intake->lock);
    while (deadband_take(intake->deadband, &intake->samples[intake->count]))
        if (++intake->count == AT_ONCE)
            hand_on(intake);
    hand_on(intake);
    /* What the recorder had no room for is back, and there is no later reading to tell it. */
    struct sample left;
    while (deadband_take(intake->deadband, &left))
        recorder_refuse(intake->recorder, 1 + (uint64_t)left.held);
    pthread_mutex_unlock(&intake->lock);
}
