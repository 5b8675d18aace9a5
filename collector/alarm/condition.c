#include "alarm/condition.h"

void condition_init(struct condition *condition)
{
    *condition = (struct condition){.since_ms = CONDITION_NONE};
}

void condition_sample(struct condition *condition, enum verdict verdict, int64_t t_ms,
                      int64_t gap_ms, int64_t stale_ms)
{
    bool turning = condition->proven ? verdict == VERDICT_CLEAR : verdict == VERDICT_BEYOND;
    bool broken = condition->paused && gap_ms > stale_ms;
    if (!turning)
        condition->since_ms = CONDITION_NONE;
    else if (condition->since_ms == CONDITION_NONE || broken)
        condition->since_ms = t_ms;
    condition->paused = false;
}

void condition_bad(struct condition *condition)
{
    if (condition->proven)
        condition->since_ms = CONDITION_NONE;
    else
        condition->paused = condition->since_ms != CONDITION_NONE;
}

void condition_stale(struct condition *condition)
{
    condition->since_ms = CONDITION_NONE;
    condition->paused = false;
}

int64_t condition_due(const struct condition *condition, int64_t on_ms, int64_t off_ms)
{
    if (condition->since_ms == CONDITION_NONE || condition->paused)
        return CONDITION_NONE;
    return condition->since_ms + (condition->proven ? off_ms : on_ms);
}

int64_t condition_fire(struct condition *condition)
{
    int64_t since = condition->since_ms;
    condition->proven = !condition->proven;
    condition->since_ms = CONDITION_NONE;
    return since;
}
