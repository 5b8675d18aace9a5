#include "store/stamps.h"

#include <stdbool.h>
#include <stddef.h>

static bool is_remembered(const struct stamp_run *run, uint64_t seq)
{
    return run->seq && seq - run->seq < STAMPS_REACH;
}

/* The run that holds the stamp, or NULL. */
static const struct stamp_run *run_of(const struct stamps *stamps, uint64_t seq, int64_t t_ms)
{
    for (unsigned i = 0; i < STAMPS_RUNS; i++) {
        const struct stamp_run *run = &stamps->runs[i];
        if (t_ms >= run->first_ms && t_ms <= run->last_ms && is_remembered(run, seq))
            return run;
    }
    return NULL;
}

static int64_t find_free(const struct stamps *stamps, uint64_t seq, int64_t t_ms)
{
    for (const struct stamp_run *run; (run = run_of(stamps, seq, t_ms));)
        t_ms = run->last_ms + 1;
    return t_ms;
}

/* Adds a free stamp to the run that ends before it, or begins one. */
static void give(struct stamps *stamps, uint64_t seq, int64_t t_ms)
{
    for (unsigned i = 0; i < STAMPS_RUNS; i++) {
        struct stamp_run *run = &stamps->runs[i];
        if (run->last_ms == t_ms - 1 && is_remembered(run, seq)) {
            run->last_ms = t_ms;
            run->seq = seq;
            return;
        }
    }
    stamps->runs[stamps->next] = (struct stamp_run){t_ms, t_ms, seq};
    stamps->next = (stamps->next + 1) % STAMPS_RUNS;
}

int64_t stamps_settle(struct stamps *stamps, uint64_t seq, int64_t t_ms)
{
    /* Time goes forward, as a rule: nothing to look through. */
    bool newer = !stamps->runs[0].seq || t_ms > stamps->highest_ms;
    int64_t free_ms = newer ? t_ms : find_free(stamps, seq, t_ms);
    give(stamps, seq, free_ms);
    if (newer || free_ms > stamps->highest_ms)
        stamps->highest_ms = free_ms;
    return free_ms;
}
