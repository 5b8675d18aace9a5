#include "net/backoff.h"

#include "base/crypto.h"

void backoff_init(struct backoff *backoff, int64_t min_ms, int64_t max_ms)
{
    *backoff = (struct backoff){.min_ms = min_ms, .max_ms = max_ms, .upper_ms = min_ms};
}

void backoff_reset(struct backoff *backoff)
{
    backoff->upper_ms = backoff->min_ms;
}

int64_t backoff_next_ms(struct backoff *backoff)
{
    int64_t upper_ms =
        backoff->upper_ms < backoff->max_ms / 2 ? 2 * backoff->upper_ms : backoff->max_ms;
    int64_t lower_ms = upper_ms / 2 > backoff->min_ms ? upper_ms / 2 : backoff->min_ms;
    backoff->upper_ms = upper_ms;
    return lower_ms + random_below((uint32_t)(upper_ms - lower_ms) + 1);
}
