#include "drivers/modbus/refusals.h"

#include <stdint.h>

static uint32_t end_of(const struct plan_read *read)
{
    return (uint32_t)read->start + read->count;
}

static bool same_read(const struct plan_read *a, const struct plan_read *b)
{
    return a->function == b->function && a->start == b->start && a->count == b->count;
}

static bool same_cut(const struct plan_cut *a, const struct plan_cut *b)
{
    return a->function == b->function && a->below == b->below && a->from == b->from;
}

/* Whoever asked for this as a part of something is no longer the one to blame. */
static void blame_part(struct refusals *refusals, const struct plan_read *part)
{
    for (size_t i = 0; i < refusals->split_count; i++) {
        struct refused_split *split = &refusals->splits[i];
        if (same_read(&split->early, part) || same_read(&split->late, part))
            split->innocent = false;
    }
}

void refusals_split(struct refusals *refusals, const struct plan_read *whole,
                    const struct plan_read *early, const struct plan_read *late)
{
    blame_part(refusals, whole);
    if (refusals->split_count < REFUSALS_MAX)
        refusals->splits[refusals->split_count++] =
            (struct refused_split){.early = *early, .late = *late, .innocent = true};
}

void refusals_lone(struct refusals *refusals, const struct plan_read *read)
{
    blame_part(refusals, read);
    if (refusals->lone_count < REFUSALS_MAX)
        refusals->lone[refusals->lone_count++] = *read;
}

void refusals_replied(struct refusals *refusals, const struct plan_read *read, bool on_trial)
{
    size_t kept = 0;

    refusals->answered = refusals->answered || on_trial;
    for (size_t i = 0; i < refusals->doubt_count; i++) {
        const struct plan_cut *doubt = &refusals->doubts[i];
        if (doubt->function != read->function || read->start >= doubt->below ||
            end_of(read) <= doubt->from)
            refusals->doubts[kept++] = *doubt;
    }
    refusals->doubt_count = kept;
}

/* A list of cuts, each once. */
static void add_cut(struct plan_cut *cuts, size_t *count, uint8_t function, uint32_t below,
                    uint32_t from)
{
    struct plan_cut cut = {.function = function, .below = below, .from = from};

    for (size_t i = 0; i < *count; i++)
        if (same_cut(&cuts[i], &cut))
            return;
    if (*count < REFUSALS_MAX)
        cuts[(*count)++] = cut;
}

/* What this trial says. */
static size_t say(const struct refusals *refusals, struct plan_cut *cuts)
{
    size_t count = 0;

    for (size_t i = 0; i < refusals->split_count; i++) {
        const struct refused_split *split = &refusals->splits[i];
        if (split->innocent)
            add_cut(cuts, &count, split->early.function, end_of(&split->early), split->late.start);
    }
    for (size_t i = 0; i < refusals->lone_count; i++) {
        const struct plan_read *lone = &refusals->lone[i];
        add_cut(cuts, &count, lone->function, lone->start, lone->start);
        add_cut(cuts, &count, lone->function, end_of(lone), end_of(lone));
    }
    return count;
}

static bool remove_doubt(struct refusals *refusals, const struct plan_cut *cut)
{
    for (size_t i = 0; i < refusals->doubt_count; i++)
        if (same_cut(&refusals->doubts[i], cut)) {
            refusals->doubts[i] = refusals->doubts[--refusals->doubt_count];
            return true;
        }
    return false;
}

/* Of what is said, leaves what was said before; the rest is doubted from now on. */
static size_t believe(struct refusals *refusals, struct plan_cut *cuts, size_t count)
{
    struct plan_cut fresh[REFUSALS_MAX];
    size_t fresh_count = 0;
    size_t believed = 0;

    for (size_t i = 0; i < count; i++) {
        if (remove_doubt(refusals, &cuts[i]))
            cuts[believed++] = cuts[i];
        else
            fresh[fresh_count++] = cuts[i];
    }
    for (size_t i = 0; i < fresh_count && refusals->doubt_count < REFUSALS_MAX; i++)
        refusals->doubts[refusals->doubt_count++] = fresh[i];
    return believed;
}

enum refusals_verdict refusals_conclude(struct refusals *refusals,
                                        struct plan_cut ret_cuts[REFUSALS_MAX], size_t *ret_count)
{
    bool barren = !refusals->answered;
    size_t count = barren ? 0 : believe(refusals, ret_cuts, say(refusals, ret_cuts));

    refusals->split_count = refusals->lone_count = 0;
    refusals->answered = false;
    if (barren)
        return REFUSALS_BARREN;
    if (refusals->learned + count > REFUSALS_MAX)
        return REFUSALS_FULL;
    refusals->learned += count;
    *ret_count = count;
    return count > 0 ? REFUSALS_LEARNED : REFUSALS_NOTHING;
}
