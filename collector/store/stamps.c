#include "store/stamps.h"

#include <stdbool.h>

static bool is_remembered(const struct stamp *stamp, uint64_t seq)
{
    return stamp->seq && seq - stamp->seq < STAMPS_REACH;
}

static bool is_given(const struct stamps *stamps, uint64_t seq, int64_t t_ms)
{
    for (unsigned i = 0; i < STAMPS_WINDOW; i++)
        if (stamps->window[i].t_ms == t_ms && is_remembered(&stamps->window[i], seq))
            return true;
    return false;
}

static int64_t find_free(const struct stamps *stamps, uint64_t seq, int64_t t_ms)
{
    const struct stamp *last = &stamps->window[(stamps->next + STAMPS_WINDOW - 1) % STAMPS_WINDOW];
    int64_t free_ms = t_ms;
    if (stamps->source.t_ms == t_ms && is_remembered(&stamps->source, seq))
        free_ms = last->t_ms + 1;
    while (is_given(stamps, seq, free_ms))
        free_ms++;
    return free_ms;
}

int64_t stamps_settle(struct stamps *stamps, uint64_t seq, int64_t t_ms)
{
    /* Time goes forward, as a rule: nothing to look through. */
    bool newer = !stamps->source.seq || t_ms > stamps->highest_ms;
    int64_t free_ms = newer ? t_ms : find_free(stamps, seq, t_ms);
    stamps->source = (struct stamp){t_ms, seq};
    stamps->window[stamps->next] = (struct stamp){free_ms, seq};
    stamps->next = (stamps->next + 1) % STAMPS_WINDOW;
    if (newer || free_ms > stamps->highest_ms)
        stamps->highest_ms = free_ms;
    return free_ms;
}
