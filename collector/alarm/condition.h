/*
 * One limit's truth over time: on-delay, off-delay, deadband, and what bad values do to a delay
 * that runs (ALARMS 1.1). Plain data, pure.
 *
 * A delay runs from the source time of the first sample that qualified, and ends by itself.
 */
#ifndef ALARM_CONDITION_H
#define ALARM_CONDITION_H

#include <stdbool.h>
#include <stdint.h>

#define CONDITION_NONE INT64_MIN

struct condition {
    bool proven;
    int64_t since_ms; /* source time of the first sample of the delay that runs, or NONE */
    bool paused;      /* an on-delay that bad samples interrupted: it ends at a sample only */
};

/* What a sample says of a limit. */
enum verdict {
    VERDICT_CLEAR,  /* beyond the deadband, back to normal */
    VERDICT_HOLDS,  /* between limit and deadband: the present result stays */
    VERDICT_BEYOND, /* at the limit or past it */
};

void condition_init(struct condition *condition);

/* A usable sample at source time t; `gap_ms` since the last usable one, `stale_ms` the longest gap
 * over which a paused delay goes on. */
void condition_sample(struct condition *condition, enum verdict verdict, int64_t t_ms,
                      int64_t gap_ms, int64_t stale_ms);

/* A bad sample: an off-delay ends without result, an on-delay is paused. */
void condition_bad(struct condition *condition);

/* Silence: no delay survives it. What is proven stays proven. */
void condition_stale(struct condition *condition);

/* When the delay that runs will end by itself, or NONE. */
int64_t condition_due(const struct condition *condition, int64_t on_ms, int64_t off_ms);

/* Its delay has ended: it changes sides. Returns the source time from which the delay ran. */
int64_t condition_fire(struct condition *condition);

#endif
