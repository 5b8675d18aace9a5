#include "tests/world/plan.h"

#include "base/clock.h"
#include "tests/world/machine.h"
#include "tests/world/world.h"

#include <inttypes.h>

#define FIRST_US  (60 * (int64_t)US_PER_S)
#define EVENTS    16 /* at most, beside what belongs to one of them */
#define AT_UNLINK 1  /* of an event's value: crash_within (faults.c) */

static const char *const names[SITE_COUNT] = {
    [FAULT_STOP] = "stop",
    [FAULT_KILL] = "kill",
    [FAULT_KILL_WITHIN] = "kill within a step",
    [FAULT_CUT] = "power cut",
    [FAULT_CUT_WITHIN] = "power cut within a step",
    [FAULT_CUT_ALL] = "power cut of all",
    [FAULT_DISK_FULL] = "disk full",
    [FAULT_DISK_READS] = "reads fail",
    [FAULT_DISK_WRITES] = "writes fail",
    [FAULT_DISK_SYNCS] = "flushes fail",
    [FAULT_DISK_NAMES] = "files and folders fail",
    [FAULT_BIT_FLIP] = "bit flip",
    [FAULT_MARKS_FLIP] = "bit flip in the marks",
    [FAULT_STALE_BLOCK] = "stale block",
    [FAULT_CLOCK_STEP] = "clock step",
    [FAULT_CLOCK_LOST] = "clock lost",
    [FAULT_BACKUP] = "backup",
    [FAULT_RESTORE] = "restored from the backup",
    [FAULT_OFFLINE] = "offline",
    [FAULT_CUT_UP] = "its letters vanish",
    [FAULT_CUT_DOWN] = "letters to it vanish",
    [FAULT_RESET] = "connection reset",
    [FAULT_TAKEOVER] = "name taken over",
    [FAULT_BROKER_RESTART] = "broker restarts",
    [FAULT_BROKER_FORGETS] = "broker restarts and forgets",
    [FAULT_LINE_DROPS] = "line drops",
    [FAULT_LINE_DOUBLES] = "line doubles",
    [FAULT_LINE_REORDERS] = "line reorders",
    [FAULT_LINE_LIES] = "broker lies",
    [FAULT_LINE_SLOW] = "line slow",
    [FAULT_SLOW_PART] = "slow consumer",
    [FAULT_PROVIDER_SILENT] = "provider silent",
    [FAULT_PROVIDER_HALF] = "provider breaks off",
    [FAULT_PROVIDER_500] = "provider ill",
    [FAULT_PROVIDER_FORGETS] = "provider forgets",
    [FAULT_GARBAGE] = "garbage",
    [FAULT_CUT_SHORT] = "letters cut short",
    [SITE_WILL] = "will published",
    [SITE_TAKEN_OVER] = "older connection taken over",
    [SITE_FULL_IN_PART] = "disk full within a write",
    [SITE_EDGE_NOT_STARTED] = "edge could not start",
    [SITE_CENTRE_NOT_STARTED] = "centre could not start",
    [SITE_LOSS_SPACE] = "loss for space",
    [SITE_LOSS_RESTART] = "loss of a restart",
    [SITE_LOSS_DAMAGE] = "loss of damage",
    [SITE_NEW_EPOCH] = "new epoch",
    [SITE_PARKED] = "record parked",
    [SITE_DEAD_LETTER] = "dead letter",
    [SITE_BEYOND] = "receipt beyond the end",
    [SITE_DUPLICATE] = "duplicate passed over",
    [SITE_RAISE] = "alarm raised",
    [SITE_ACKED] = "alarm acknowledged",
    [SITE_MEMORY_LOST] = "samples lost in memory",
};

const char *site_name(int site)
{
    return names[site];
}

/* ---- the plan ---- */

static int compare_events(const struct fault_event *a, const struct fault_event *b)
{
    return a->at_us < b->at_us ? -1 : a->at_us > b->at_us;
}

static void add_event(struct plan *plan, const struct fault_event *event)
{
    if (plan->count == PLAN_EVENTS)
        return;
    size_t i = plan->count++;
    for (; i && compare_events(event, &plan->events[i - 1]) < 0; i--)
        plan->events[i] = plan->events[i - 1];
    plan->events[i] = *event;
}

static int64_t seconds(uint64_t *seed, uint32_t from, uint32_t to)
{
    return (int64_t)(from + sim_below(seed, to - from + 1)) * US_PER_S;
}

/* Long enough to fill a journal, now and then. */
static int64_t duration(uint64_t *seed)
{
    return sim_below(seed, 4) ? seconds(seed, 5, 120) : seconds(seed, 300, 1500);
}

/* An edge's; where it has a backlog, for what the centre has is no loss. */
static void add_damage(struct plan *plan, uint64_t *seed, struct fault_event *event)
{
    struct fault_event offline = *event;
    event->node = offline.node = event->node % WORLD_EDGES;
    offline.kind = FAULT_OFFLINE;
    offline.at_us -= seconds(seed, 10, 300);
    offline.for_us = event->at_us - offline.at_us + seconds(seed, 1, 60);
    if (offline.at_us > 0 && sim_below(seed, 4))
        add_event(plan, &offline);
}

/* An edge that unlinks: its journal is full, and some of what goes the centre never had. Early, for
 * that takes its time. */
static void add_full(struct plan *plan, uint64_t *seed, struct fault_event *event)
{
    event->node = 0;
    event->value = event->value / 8 * 8 + AT_UNLINK;
    event->at_us = FIRST_US + seconds(seed, 0, 300);
    struct fault_event offline = *event;
    offline.kind = FAULT_OFFLINE;
    offline.for_us = seconds(seed, 1500, 2400);
    add_event(plan, &offline);
}

/* Of all alike, but for those that must also strike where little is to be struck. */
static enum fault_kind pick_kind(uint64_t *seed)
{
    static const enum fault_kind often[] = {FAULT_KILL_WITHIN, FAULT_CUT_WITHIN, FAULT_STALE_BLOCK,
                                            FAULT_STALE_BLOCK};
    uint32_t n = sim_below(seed, FAULT_KIND_COUNT + sizeof(often) / sizeof(often[0]));
    return n < FAULT_KIND_COUNT ? (enum fault_kind)n : often[n - FAULT_KIND_COUNT];
}

static void add_random(struct plan *plan, uint64_t *seed)
{
    struct fault_event event = {
        .kind = pick_kind(seed),
        .node = (int)sim_below(seed, NODE_COUNT),
        .at_us = FIRST_US +
                 seconds(seed, 0, (uint32_t)((WORLD_US - QUIET_US - 2 * FIRST_US) / US_PER_S)),
        .for_us = duration(seed),
        .value = (uint32_t)sim_random(seed),
    };
    if (event.kind == FAULT_BIT_FLIP || event.kind == FAULT_STALE_BLOCK)
        add_damage(plan, seed, &event);
    if (event.kind == FAULT_MARKS_FLIP || event.kind == FAULT_CLOCK_LOST)
        event.node %= WORLD_EDGES;
    bool within = event.kind == FAULT_KILL_WITHIN || event.kind == FAULT_CUT_WITHIN;
    if (within && sim_below(seed, 3) == 0)
        add_full(plan, seed, &event);
    if (event.kind == FAULT_BACKUP)
        event.kind = FAULT_RESTORE;
    if (event.kind == FAULT_RESTORE) {
        struct fault_event backup = event;
        backup.kind = FAULT_BACKUP;
        backup.at_us =
            FIRST_US + (int64_t)(sim_below(seed, 1000)) * (event.at_us - FIRST_US) / 1000;
        add_event(plan, &backup);
    }
    add_event(plan, &event);
}

void plan_make(struct plan *plan, uint64_t seed)
{
    *plan = (struct plan){.seed = seed};
    uint64_t row = seed;
    uint32_t count = sim_below(&row, EVENTS + 1);
    for (uint32_t i = 0; i < count; i++)
        add_random(plan, &row);
}

static const char *node_name(int node)
{
    static const char *const nodes[] = {"e1", "e2", "e3", "centre"};
    return nodes[node];
}

void plan_print(const struct plan *plan, FILE *out)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct fault_event *event = &plan->events[i];
        fprintf(out, "  %7.1f s  %-7s %s (for %" PRId64 " s, value %u)\n",
                (double)event->at_us / US_PER_S, node_name(event->node), names[event->kind],
                event->for_us / US_PER_S, event->value % 10000);
    }
}
