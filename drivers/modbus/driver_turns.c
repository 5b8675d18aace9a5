#include "drivers/modbus/driver_state.h"

/* On a link that is never free, a probe or a second chance goes first when it waited so long. */
#define PATIENCE_US (10 * (int64_t)US_PER_S)

/* A probe that took so long is followed by so many times that without one: probes have at most a
 * tenth of the wire. A person's reads in vain likewise. */
#define PROBE_PAUSES 9

/* ---- probes ---- */

/* The unit to probe next, and when; `unit_count` and NEVER when none is down. */
static size_t next_probe(const struct modbus_driver *self, int64_t *ret_us)
{
    size_t next = self->unit_count;

    *ret_us = NEVER;
    for (size_t i = 0; self->units_down > 0 && i < self->unit_count; i++) {
        const struct unit_health *health = &self->units[i].health;
        int64_t quiet_us = modbus_link_quiet(self->link, self->units[i].reads.id);
        int64_t at_us = health->probe_us > quiet_us ? health->probe_us : quiet_us;
        if (health->state == MODBUS_UNIT_DOWN && at_us < *ret_us) {
            next = i;
            *ret_us = at_us;
        }
    }
    if (next < self->unit_count && *ret_us < self->probe_after_us)
        *ret_us = self->probe_after_us;
    return next;
}

/* Of the unit's reads that failed least, the shortest. */
static size_t probe_entry(const struct modbus_driver *self, size_t unit)
{
    const struct read_plan *plan = self->units[unit].reads.plan;
    size_t best = SCHEDULE_NONE;
    unsigned fewest = 0;
    uint16_t shortest = 0;

    for (size_t entry = 0; entry < self->poll_count; entry++) {
        const struct poll *poll = &self->polls[entry];
        unsigned failed = poll->failures + poll->probes;
        if (poll->unit != unit)
            continue;
        uint16_t count = read_plan_at(plan, poll->read)->count;
        if (best == SCHEDULE_NONE || failed < fewest || (failed == fewest && count < shortest)) {
            best = entry;
            fewest = failed;
            shortest = count;
        }
    }
    return best;
}

/* ---- requests ---- */

/* For the entry that is asked. */
static void send_request(struct modbus_driver *self, uint8_t function, uint16_t start,
                         uint16_t count, struct now now)
{
    struct unit *unit = &self->units[self->polls[self->asked].unit];
    struct modbus_request request = {
        .unit = unit->reads.id, .function = function, .start = start, .count = count};

    unit->stats.requests++;
    if (modbus_link_send(self->link, &request, now.mono_us) == 0)
        return;
    self->trouble = *modbus_link_trouble(self->link);
    modbus_on_lost(self, CAUSE_LINK_DOWN, now);
}

void modbus_send_read(struct modbus_driver *self, struct now now)
{
    const struct poll *poll = &self->polls[self->asked];
    const struct plan_read *read = read_plan_at(self->units[poll->unit].reads.plan, poll->read);

    self->asked_clock = false;
    send_request(self, read->function, read->start, read->count, now);
}

static void send_clock(struct modbus_driver *self, struct now now)
{
    const struct map_register *clock = self->units[self->polls[self->asked].unit].reads.clock;

    self->asked_clock = true;
    send_request(self, clock->function, clock->address, clock->words, now);
}

/* ---- turns ---- */

/* The entry to ask now, or SCHEDULE_NONE. A second chance comes when nobody else has anything to
 * ask, a probe when the link is free; neither waits for ever. */
static size_t next_entry(const struct modbus_driver *self, int64_t now_us, bool *ret_probe)
{
    size_t entry = poll_schedule_pick(self->schedule, false);
    size_t second = poll_schedule_pick(self->schedule, true);
    int64_t probe_us;
    size_t unit = next_probe(self, &probe_us);
    int64_t patient_us = now_us - PATIENCE_US;
    bool favour = entry == SCHEDULE_NONE || !self->favour_last;

    *ret_probe = false;
    if (second != SCHEDULE_NONE && favour &&
        (entry == SCHEDULE_NONE || poll_schedule_due(self->schedule, second) < patient_us))
        return second;
    *ret_probe = probe_us <= now_us && favour && (entry == SCHEDULE_NONE || probe_us < patient_us);
    return *ret_probe ? probe_entry(self, unit) : entry;
}

/* Units that need not be left alone any longer are back. */
static void bring_back(struct modbus_driver *self, int64_t now_us)
{
    self->back_us = NEVER;
    for (size_t i = 0; self->units_away > 0 && i < self->unit_count; i++) {
        struct unit *unit = &self->units[i];
        int64_t quiet_us = modbus_link_quiet(self->link, unit->reads.id);
        if (unit->away && quiet_us <= now_us) {
            unit->away = false;
            self->units_away--;
            poll_schedule_put_away(self->schedule, i, false);
        } else if (unit->away && quiet_us < self->back_us) {
            self->back_us = quiet_us;
        }
    }
}

/* As next_entry, of the units that the link does not leave alone: the others are put away, and
 * nobody waits behind them. */
static size_t next_entry_of_free(struct modbus_driver *self, int64_t now_us, bool *ret_probe)
{
    size_t entry;

    bring_back(self, now_us);
    while ((entry = next_entry(self, now_us, ret_probe)) != SCHEDULE_NONE) {
        size_t index = self->polls[entry].unit;
        int64_t quiet_us = modbus_link_quiet(self->link, self->units[index].reads.id);
        if (quiet_us <= now_us)
            break;
        self->units[index].away = true;
        self->units_away++;
        poll_schedule_put_away(self->schedule, index, true);
        if (quiet_us < self->back_us)
            self->back_us = quiet_us;
    }
    return entry;
}

/* How late the poll begins, when it is its first try. */
static void note_lateness(struct modbus_driver *self, size_t entry, int64_t now_us)
{
    int64_t late_us = now_us - poll_schedule_due(self->schedule, entry);

    if (self->polls[entry].failures > 0 || self->polls[entry].on_trial)
        return;
    self->stats.polls++;
    if (late_us > MODBUS_LATE_US)
        self->stats.late++;
    if (late_us > self->stats.worst_late_us)
        self->stats.worst_late_us = late_us;
}

static void ask(struct modbus_driver *self, size_t entry, bool probe, struct now now)
{
    const struct poll *poll = &self->polls[entry];
    const struct unit *unit = &self->units[poll->unit];

    self->asked = entry;
    self->asked_as_probe = probe;
    self->favour_last = probe || unit->health.state == MODBUS_UNIT_SUSPECT;
    self->turn_us = now.mono_us;
    if (!probe)
        note_lateness(self, entry, now.mono_us);
    if (unit_reads_needs_clock(&unit->reads, poll->read))
        send_clock(self, now);
    else
        modbus_send_read(self, now);
}

/* Must it wait for silence on the line? A line that babbles is not waited for beyond the timeout:
 * the link sends in the end. */
static bool waits_for_line(struct modbus_driver *self, size_t entry, int64_t now_us)
{
    const struct unit *unit = &self->units[self->polls[entry].unit];
    int64_t free_us = modbus_link_free(self->link, unit->reads.id);

    if (free_us > now_us && self->silence_us == NEVER)
        self->silence_us = now_us;
    if (free_us <= now_us || now_us >= self->silence_us + self->timeout_us) {
        self->silence_us = NEVER;
        return false;
    }
    self->free_us = free_us;
    return true;
}

/* What a person asked for goes first, once the line is free for it. */
static bool ask_side(struct modbus_driver *self, struct now now)
{
    self->side_us = modbus_link_free(self->link, self->side.outcome.request.unit);
    if (self->side_us < self->side_pause_us)
        self->side_us = self->side_pause_us;
    if (self->side_us > now.mono_us)
        return false;
    self->side_us = NEVER;
    if (!side_read_send(&self->side, self->link, now)) {
        self->trouble = *modbus_link_trouble(self->link);
        modbus_on_lost(self, CAUSE_LINK_DOWN, now);
    }
    return true;
}

bool modbus_begin_turn(struct modbus_driver *self, struct now now)
{
    enum modbus_link_state state = modbus_link_state(self->link);
    bool probe = false;
    size_t entry;

    self->free_us = NEVER;
    self->side_us = NEVER;
    if (modbus_in_trouble(self))
        side_read_give_up(&self->side, &self->trouble, now);
    if (state == MODBUS_LINK_CONNECTING || state == MODBUS_LINK_WAITING)
        return false;
    if (modbus_in_trouble(self) && now.mono_us < self->health.retry_us)
        return false;
    bool side = self->side.state == SIDE_READ_WANTED;
    if (side && state == MODBUS_LINK_READY && ask_side(self, now))
        return true;
    entry = next_entry_of_free(self, now.mono_us, &probe);
    bool connects = modbus_in_trouble(self) || (side && state == MODBUS_LINK_CLOSED);
    if (entry == SCHEDULE_NONE && !connects)
        return false;
    if (state == MODBUS_LINK_READY && waits_for_line(self, entry, now.mono_us))
        return false;
    if (state == MODBUS_LINK_READY) {
        ask(self, entry, probe, now);
        return true;
    }
    self->line_touched = true;
    self->connect_us = now.mono_us;
    if (modbus_link_connect(self->link, now.mono_us) != 0)
        modbus_on_refused(self, now);
    return true;
}

void modbus_end_turn(struct modbus_driver *self, struct now now)
{
    self->asked = SCHEDULE_NONE;
    if (!self->asked_as_probe)
        return;
    self->probe_after_us = now.mono_us + PROBE_PAUSES * (now.mono_us - self->turn_us);
    self->probe_broke = modbus_link_state(self->link) == MODBUS_LINK_CLOSED;
}

void modbus_end_connecting(struct modbus_driver *self, struct now now)
{
    if (self->probe_broke)
        self->probe_after_us += (PROBE_PAUSES + 1) * (now.mono_us - self->connect_us);
    self->probe_broke = false;
}

void modbus_end_side(struct modbus_driver *self, struct now now)
{
    self->side_pause_us = now.mono_us + PROBE_PAUSES * (now.mono_us - self->side.sent_us);
}

/* While the link is busy only those need a step that are down: they get bad samples meanwhile. */
int64_t modbus_next_due(const struct modbus_driver *self)
{
    enum modbus_link_state state = modbus_link_state(self->link);
    bool busy = state == MODBUS_LINK_WAITING || state == MODBUS_LINK_CONNECTING;
    bool some_down = self->units_down > 0 || modbus_in_trouble(self);
    int64_t due_us = busy && !some_down ? NEVER : poll_schedule_next_due(self->schedule);
    int64_t other_us = NEVER;

    if (busy)
        other_us = modbus_link_due(self->link);
    else if (modbus_in_trouble(self))
        other_us = self->health.retry_us;
    else if (self->free_us != NEVER)
        other_us = self->free_us;
    else
        (void)next_probe(self, &other_us);
    if (!busy && !modbus_in_trouble(self) && self->back_us < other_us)
        other_us = self->back_us;
    if (!busy && self->side_us < other_us)
        other_us = self->side_us;
    return due_us < other_us ? due_us : other_us;
}
