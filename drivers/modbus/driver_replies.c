#include "drivers/modbus/driver_state.h"

/* So often a read may fail at its unit's expense, until one of its own replies. */
#define FAILURES_OF_UNIT 2

/* A gateway's words for "your unit did not answer me". */
#define EXCEPTION_GATEWAY_PATH   0x0A
#define EXCEPTION_GATEWAY_TARGET 0x0B
#define EXCEPTION_ADDRESS        0x02
#define EXCEPTION_VALUE          0x03

/* ---- who answers, who does not ---- */

/* The unit is there, whatever it said. */
static void entry_answered(struct modbus_driver *self, size_t entry, struct now now)
{
    struct poll *poll = &self->polls[entry];
    struct unit *unit = &self->units[poll->unit];

    poll->failures = 0;
    poll->probes = 0;
    link_health_answered(&self->health);
    if (unit_health_answered(&unit->health, unit->polls)) {
        self->units_down--;
        poll_schedule_pull(self->schedule, poll->unit, now.mono_us);
    }
    poll_schedule_hold_back(self->schedule, poll->unit, false);
}

static void unit_went_down(struct modbus_driver *self, size_t index, struct now now)
{
    self->units_down++;
    poll_schedule_hold_back(self->schedule, index, false);
    modbus_give_up(self, index, self->units[index].health.cause, now);
}

/* The unit asked did not answer: a second chance, then probes. */
static void unit_failed(struct modbus_driver *self, enum cause cause, struct now now)
{
    size_t entry = self->asked;
    struct poll *poll = &self->polls[entry];
    struct unit *unit = &self->units[poll->unit];

    modbus_end_turn(self, now);
    if (self->asked_as_probe) {
        poll->probes++;
        unit_health_probe_failed(&unit->health, cause, now.mono_us, &self->chance);
        return;
    }
    poll->failures++;
    if (poll->failures > FAILURES_OF_UNIT) {
        unsigned beyond = poll->failures - FAILURES_OF_UNIT - 1;
        poll->mute_us = now.mono_us + unit_back_off(&self->chance, beyond);
        modbus_settle_bad(self, entry, cause, now);
    } else if (unit_health_failed(&unit->health, cause, now.mono_us, &self->chance)) {
        unit_went_down(self, poll->unit, now);
    } else {
        poll_schedule_hold_back(self->schedule, poll->unit, true);
    }
}

/* ---- the link ---- */

void modbus_on_lost(struct modbus_driver *self, enum cause cause, struct now now)
{
    self->line_touched = true;
    self->stats.lost++;
    if (!modbus_link_proven(self->link))
        link_health_broke(&self->health, now.mono_us, &self->chance);
    if (self->asked != SCHEDULE_NONE) {
        struct modbus_unit_stats *stats = &self->units[self->polls[self->asked].unit].stats;
        stats->lost += cause == CAUSE_LINK_DOWN ? 1 : 0;
        stats->bad_replies += cause == CAUSE_BAD_RESPONSE ? 1 : 0;
        unit_failed(self, cause, now);
    }
}

void modbus_on_refused(struct modbus_driver *self, struct now now)
{
    self->stats.refused++;
    modbus_end_connecting(self, now);
    self->trouble = *modbus_link_trouble(self->link);
    link_health_refused(&self->health, now.mono_us, &self->chance);
}

/* After an outage all is read at once, not at the next slot, which may be an hour away. */
static void on_connected(struct modbus_driver *self, struct now now)
{
    self->stats.connects++;
    modbus_end_connecting(self, now);
    for (size_t i = 0; i < self->unit_count; i++) {
        struct unit *unit = &self->units[i];
        if (unit->missed_slots && unit->health.state != MODBUS_UNIT_DOWN)
            poll_schedule_pull(self->schedule, i, now.mono_us);
        unit->missed_slots = false;
    }
}

/* ---- replies ---- */

/* What the reply holds, by the device's clock where it has one, else halfway to the reply. */
static void take_readings(struct modbus_driver *self, size_t entry,
                          const struct modbus_answer *answer, int64_t halfway_ms)
{
    struct poll *poll = &self->polls[entry];
    struct unit *unit = &self->units[poll->unit];
    const struct unit_reads *reads = &unit->reads;
    int64_t t_ms = halfway_ms;
    bool timed = false;

    if (reads->clock != NULL) {
        if (!unit_reads_needs_clock(reads, poll->read) &&
            unit_reads_clock(reads, poll->read, answer->data, &self->device_ms) != 0)
            self->device_ms = NEVER;
        timed = self->device_ms != NEVER;
        unit->clock_known = unit->clock_known || timed;
    }
    if (timed) {
        t_ms = unit->told_ms = self->device_ms;
        if (timed_reading_repeats(&poll->last, t_ms, answer->data, answer->len)) {
            unit->stats.repeated++;
            self->repeated++;
            return;
        }
    }
    size_t count = unit_reads_values(reads, poll->read, answer->data, t_ms, self->samples);
    if (reads->clock != NULL && !timed)
        timed_reading_doubt(self->samples, count);
    modbus_hand_on(self, count);
}

/* Not the clock's, but a read's own. */
static void on_read(struct modbus_driver *self, const struct modbus_answer *answer, int64_t took_us,
                    struct now now)
{
    size_t entry = self->asked;
    size_t index = self->polls[entry].unit;
    struct unit *unit = &self->units[index];
    struct plan_read read = *read_plan_at(unit->reads.plan, self->polls[entry].read);

    modbus_end_turn(self, now);
    entry_answered(self, entry, now);
    if (unit->refusals != NULL)
        refusals_replied(unit->refusals, &read, self->polls[entry].on_trial);
    take_readings(self, entry, answer, now.wall_ms - took_us / 2 / US_PER_MS);
    modbus_settle(self, entry, now);
    modbus_note_latency(self, index, &read, took_us);
}

static void on_reply(struct modbus_driver *self, const struct modbus_answer *answer, struct now now)
{
    struct unit *unit = &self->units[self->polls[self->asked].unit];
    struct modbus_unit_stats *stats = &unit->stats;
    int64_t took_us = now.mono_us - answer->sent_us;

    stats->replies++;
    stats->latency_us = took_us;
    if (took_us > stats->worst_latency_us)
        stats->worst_latency_us = took_us;
    if (!self->asked_clock) {
        on_read(self, answer, took_us, now);
        return;
    }
    if (unit_reads_clock_alone(&unit->reads, answer->data, &self->device_ms) != 0)
        self->device_ms = NEVER;
    modbus_send_read(self, now);
}

/* It answered, but not with values. */
static void on_refusal(struct modbus_driver *self, enum cause cause, struct now now)
{
    size_t entry = self->asked;

    modbus_end_turn(self, now);
    entry_answered(self, entry, now);
    modbus_settle_bad(self, entry, cause, now);
}

/* A read over holes may be more than the device gives: two smaller ones are tried at once. */
static void on_no_such_place(struct modbus_driver *self, struct now now)
{
    size_t entry = self->asked;

    if (!self->asked_as_probe && modbus_split_read(self, entry, now)) {
        modbus_end_turn(self, now);
        entry_answered(self, entry, now);
    } else {
        on_refusal(self, CAUSE_MODBUS_EXCEPTION, now);
    }
}

static void on_exception(struct modbus_driver *self, uint8_t code, struct now now)
{
    struct modbus_unit_stats *stats = &self->units[self->polls[self->asked].unit].stats;

    stats->exceptions++;
    stats->last_exception = code;
    if (code == EXCEPTION_GATEWAY_PATH || code == EXCEPTION_GATEWAY_TARGET) {
        link_health_answered(&self->health);
        unit_failed(self, CAUSE_MODBUS_EXCEPTION, now);
    } else if (self->asked_clock) {
        /* What it measures it may tell all the same. */
        self->device_ms = NEVER;
        modbus_send_read(self, now);
    } else if (code == EXCEPTION_ADDRESS || code == EXCEPTION_VALUE) {
        on_no_such_place(self, now);
    } else {
        on_refusal(self, CAUSE_MODBUS_EXCEPTION, now);
    }
}

void modbus_hear(struct modbus_driver *self, struct now now)
{
    struct modbus_answer answer = {0};
    enum modbus_event event = modbus_link_step(self->link, now.mono_us, &answer);
    bool side = side_read_hear(&self->side, event, &answer, self->link, now);

    if (side && event != MODBUS_REPLY && event != MODBUS_EXCEPTION)
        modbus_end_side(self, now);
    self->line_touched = event != MODBUS_NOTHING && event != MODBUS_REPLY &&
                         event != MODBUS_EXCEPTION && event != MODBUS_BAD_REPLY;
    if (side && event != MODBUS_LOST && event != MODBUS_GARBAGE) {
        link_health_answered(&self->health);
        return;
    }
    if (event != MODBUS_NOTHING && event != MODBUS_CONNECTED && event != MODBUS_REPLY)
        self->trouble = *modbus_link_trouble(self->link);
    switch (event) {
    case MODBUS_NOTHING:
        break;
    case MODBUS_CONNECTED:
        on_connected(self, now);
        break;
    case MODBUS_REPLY:
        on_reply(self, &answer, now);
        break;
    case MODBUS_EXCEPTION:
        on_exception(self, answer.exception, now);
        break;
    case MODBUS_BAD_REPLY:
        self->units[self->polls[self->asked].unit].stats.bad_replies++;
        on_refusal(self, CAUSE_BAD_RESPONSE, now);
        break;
    case MODBUS_TIMEOUT:
        link_health_answered(&self->health);
        self->units[self->polls[self->asked].unit].stats.timeouts++;
        unit_failed(self, CAUSE_COMM_TIMEOUT, now);
        break;
    case MODBUS_REFUSED:
        modbus_on_refused(self, now);
        break;
    case MODBUS_LOST:
        modbus_on_lost(self, CAUSE_LINK_DOWN, now);
        break;
    case MODBUS_GARBAGE:
        modbus_on_lost(self, CAUSE_BAD_RESPONSE, now);
        break;
    }
}
