#include "drivers/modbus/driver_state.h"

#include <stdlib.h>

/* A latency is measured over so many replies, and is another when it is so far off. */
#define LATENCY_REPLIES  100
#define LATENCY_LEAST_US 2000

/* ---- making ---- */

/* For so many entries more, of up to so many points each. */
static int make_room(struct modbus_driver *self, size_t more, size_t points)
{
    struct poll *polls;
    struct sample *samples;
    size_t capacity;

    if (poll_schedule_reserve(self->schedule, more) != 0)
        return ERR_NO_MEMORY;
    capacity = poll_schedule_capacity(self->schedule);
    if (capacity > self->poll_count) {
        polls = realloc(self->polls, capacity * sizeof polls[0]);
        if (polls == NULL)
            return ERR_NO_MEMORY;
        self->polls = polls;
        while (self->poll_count < capacity)
            self->polls[self->poll_count++] = (struct poll){.unit = POLL_FREE};
    }
    if (points > self->sample_room) {
        samples = realloc(self->samples, points * sizeof samples[0]);
        if (samples == NULL)
            return ERR_NO_MEMORY;
        self->samples = samples;
        self->sample_room = points;
    }
    return 0;
}

static size_t most_points(const struct read_plan *plan)
{
    size_t most = 0;

    for (size_t read = 0; read < read_plan_count(plan); read++)
        if (read_plan_at(plan, read)->points > most)
            most = read_plan_at(plan, read)->points;
    return most;
}

int modbus_add_polls(struct modbus_driver *self, size_t unit)
{
    struct unit *at = &self->units[unit];
    const struct read_plan *plan = at->reads.plan;
    size_t count = read_plan_count(plan);

    if (make_room(self, count, most_points(plan)) != 0)
        return ERR_NO_MEMORY;
    for (size_t read = 0; read < count; read++) {
        const struct plan_read *of = read_plan_at(plan, read);
        if (unit_reads_points(&at->reads, read) == 0)
            continue; /* the clock alone is asked where it is needed */
        size_t entry =
            poll_schedule_add(self->schedule, of->interval_ms * US_PER_MS, unit, of->aligned);
        self->polls[entry] = (struct poll){.unit = unit, .read = read};
        at->polls++;
    }
    return 0;
}

/* ---- settling ---- */

void modbus_hand_on(struct modbus_driver *self, size_t count)
{
    for (size_t i = 0; i < count; i++)
        self->bad_count += self->samples[i].quality == QUALITY_BAD ? 1 : 0;
    self->sample_count += count;
    self->sink(self->sink_self, self->samples, count);
}

/* The wall clock's time when the entry was due. */
static int64_t slot_ms(const struct modbus_driver *self, size_t entry, struct now now)
{
    return now.wall_ms - (now.mono_us - poll_schedule_due(self->schedule, entry)) / US_PER_MS;
}

static void end_trial_of(struct modbus_driver *self, struct poll *poll)
{
    struct unit *unit = &self->units[poll->unit];

    poll->on_trial = false;
    if (--unit->on_trial == 0)
        self->trial_over = unit->trial_over = true;
}

void modbus_settle(struct modbus_driver *self, size_t entry, struct now now)
{
    struct poll *poll = &self->polls[entry];
    struct unit *unit = &self->units[poll->unit];
    uint64_t skipped = poll_schedule_done(self->schedule, entry, now);

    unit->stats.skipped += skipped;
    self->skipped += skipped;
    unit_health_settled(&unit->health);
    if (poll->on_trial)
        end_trial_of(self, poll);
}

/* Stamped with its slot, or by a device's clock with the last time that told. More is not known of
 * it, and whatever it tells next is no older. */
void modbus_settle_bad(struct modbus_driver *self, size_t entry, enum cause cause, struct now now)
{
    const struct poll *poll = &self->polls[entry];
    const struct unit *unit = &self->units[poll->unit];
    int64_t t_ms = unit->clock_known ? unit->told_ms : slot_ms(self, entry, now);

    if (poll->last != NULL)
        poll->last->len = 0; /* the same reading again is news after this */
    modbus_hand_on(self, unit_reads_bad(&unit->reads, poll->read, cause, t_ms, self->samples));
    modbus_settle(self, entry, now);
}

void modbus_give_up(struct modbus_driver *self, size_t unit, enum cause cause, struct now now)
{
    size_t entry;

    while ((entry = poll_schedule_ready_of(self->schedule, unit)) != SCHEDULE_NONE) {
        if (unit == SCHEDULE_NONE)
            self->units[self->polls[entry].unit].missed_slots = true;
        modbus_settle_bad(self, entry, cause, now);
    }
}

/* Why an entry that is due cannot be served; CAUSE_NONE when it can. */
static enum cause unserved(const struct modbus_driver *self, size_t entry, int64_t now_us)
{
    const struct poll *poll = &self->polls[entry];
    const struct unit_health *health = &self->units[poll->unit].health;

    if (health->state == MODBUS_UNIT_DOWN)
        return health->cause;
    /* Left alone for its whole slot: silence is never good news. */
    if (modbus_link_quiet(self->link, self->units[poll->unit].reads.id) >=
        poll_schedule_deadline(self->schedule, entry))
        return CAUSE_COMM_TIMEOUT;
    return poll->mute_us > now_us ? CAUSE_COMM_TIMEOUT : CAUSE_NONE;
}

void modbus_take_due(struct modbus_driver *self, struct now now)
{
    size_t entry;

    while ((entry = poll_schedule_take(self->schedule, now.mono_us)) != SCHEDULE_NONE) {
        enum cause cause = unserved(self, entry, now.mono_us);
        if (cause != CAUSE_NONE && !modbus_in_trouble(self))
            modbus_settle_bad(self, entry, cause, now);
    }
    if (modbus_in_trouble(self))
        modbus_give_up(self, SCHEDULE_NONE, CAUSE_LINK_DOWN, now);
}

/* ---- planning anew ---- */

/* Room for the worst that may come of splitting and planning anew: a read for each point. */
static int reserve(struct modbus_driver *self, size_t index)
{
    size_t points = self->units[index].reads.point_count;
    return make_room(self, 2 * points, points);
}

/* An entry of the reads as they were, of this grid: those after `from` first, so that all have
 * their turn. */
static size_t entry_before(const struct modbus_driver *self, size_t index, size_t from,
                           const struct plan_read *read)
{
    for (size_t k = 1; k <= self->poll_count; k++) {
        size_t entry = (from + k) % self->poll_count;
        if (self->polls[entry].unit == index && self->polls[entry].read == POLL_OLD &&
            poll_schedule_has(self->schedule, entry, read->interval_ms * US_PER_MS, read->aligned))
            return entry;
    }
    return SCHEDULE_NONE;
}

/* Entries for the reads as they are now, on the grids of those that were. Each grid has at least
 * one of both, and there is room: it was reserved. */
static void move_polls(struct modbus_driver *self, size_t index)
{
    struct unit *unit = &self->units[index];
    size_t before = 0;

    unit->polls = 0;
    for (size_t read = 0; read < read_plan_count(unit->reads.plan); read++) {
        const struct plan_read *of = read_plan_at(unit->reads.plan, read);
        if (unit_reads_points(&unit->reads, read) == 0)
            continue;
        before = entry_before(self, index, before, of);
        self->polls[poll_schedule_copy(self->schedule, before)] =
            (struct poll){.unit = index, .read = read};
        unit->polls++;
    }
}

static void replan(struct modbus_driver *self, size_t index, const struct plan_cut *cuts,
                   size_t count, int64_t latency_us)
{
    struct unit *unit = &self->units[index];

    if (reserve(self, index) != 0 || !unit_reads_replan(&unit->reads, cuts, count, latency_us))
        return;
    for (size_t i = 0; i < self->poll_count; i++)
        if (self->polls[i].unit == index)
            self->polls[i].read = POLL_OLD;
    move_polls(self, index);
    for (size_t i = 0; i < self->poll_count; i++)
        if (self->polls[i].unit == index && self->polls[i].read == POLL_OLD) {
            poll_schedule_remove(self->schedule, i);
            free(self->polls[i].last);
            self->polls[i] = (struct poll){.unit = POLL_FREE};
        }
    unit->stats.replans++;
}

static bool may_split(struct modbus_driver *self, size_t index, struct now now)
{
    struct unit *unit = &self->units[index];

    if (now.mono_us < unit->whole_until_us || reserve(self, index) != 0)
        return false;
    if (unit->refusals == NULL)
        unit->refusals = calloc(1, sizeof *unit->refusals);
    return unit->refusals != NULL;
}

bool modbus_split_read(struct modbus_driver *self, size_t entry, struct now now)
{
    size_t index = self->polls[entry].unit;
    struct unit *unit = &self->units[index];
    struct read_plan *plan = unit->reads.plan;
    size_t read = self->polls[entry].read;
    struct plan_read whole = *read_plan_at(plan, read);
    bool on_trial = self->polls[entry].on_trial;
    size_t late, made;

    if ((!on_trial && whole.points == 1) || !may_split(self, index, now))
        return false;
    if (read_plan_split(plan, read, &late) != 0) {
        if (on_trial)
            refusals_lone(unit->refusals, &whole);
        return false;
    }
    refusals_split(unit->refusals, &whole, read_plan_at(plan, read), read_plan_at(plan, late));
    made = poll_schedule_copy(self->schedule, entry);
    unit->on_trial += on_trial ? 1 : 2;
    self->polls[entry].on_trial = true;
    self->polls[made] = (struct poll){.unit = index, .read = late, .on_trial = true};
    unit->polls++;
    unit->stats.splits++;
    return true;
}

static void tell_full(struct modbus_driver *self, struct unit *unit)
{
    if (unit->full_told)
        return;
    unit->full_told = true;
    self->notices++;
    message_set(&self->notice, 0,
                "unit %d refuses to be read across more than %d places: its reads stay in many "
                "parts; name what it refuses under 'forbidden'",
                unit->reads.id, REFUSALS_MAX);
}

static void conclude(struct modbus_driver *self, size_t index, struct now now)
{
    struct unit *unit = &self->units[index];
    struct plan_cut cuts[REFUSALS_MAX];
    size_t count = 0;
    enum refusals_verdict verdict = refusals_conclude(unit->refusals, cuts, &count);

    unit->trial_over = false;
    if (verdict == REFUSALS_FULL) {
        tell_full(self, unit);
        return;
    }
    if (verdict == REFUSALS_BARREN)
        unit->whole_until_us = now.mono_us + unit_back_off(&self->chance, unit->barren++);
    else
        unit->barren = 0;
    for (size_t i = 0; i < count; i++) {
        unit->stats.learned++;
        if (self->learned != NULL)
            self->learned(self->learned_self, index, &cuts[i]);
    }
    replan(self, index, cuts, count, 0);
}

void modbus_conclude_trials(struct modbus_driver *self, struct now now)
{
    bool left = false;

    for (size_t i = 0; self->trial_over && i < self->unit_count; i++) {
        if (!self->units[i].trial_over)
            continue;
        if (self->asked != SCHEDULE_NONE && self->polls[self->asked].unit == i)
            left = true; /* its reply belongs to the reads as they are */
        else
            conclude(self, i, now);
    }
    self->trial_over = left;
}

void modbus_note_latency(struct modbus_driver *self, size_t index, const struct plan_read *read,
                         int64_t took_us)
{
    struct unit *unit = &self->units[index];
    const struct plan_limits *limits = &unit->reads.limits;
    int64_t wire_us = wire_read_ns(&limits->wire, 0, read->function, read->count) / 1000;
    int64_t mean_us, off_us;

    unit->latency_sum_us += took_us > wire_us ? took_us - wire_us : 0;
    if (++unit->latency_count < LATENCY_REPLIES)
        return;
    mean_us = unit->latency_sum_us / unit->latency_count;
    unit->latency_sum_us = 0;
    unit->latency_count = 0;
    unit->stats.mean_latency_us = mean_us;
    off_us =
        mean_us > limits->latency_us ? mean_us - limits->latency_us : limits->latency_us - mean_us;
    if (limits->wire.baud > 0 && !unit->reads.latency_told && unit->on_trial == 0 &&
        off_us > LATENCY_LEAST_US && off_us > limits->latency_us / 2)
        replan(self, index, NULL, 0, mean_us);
}
