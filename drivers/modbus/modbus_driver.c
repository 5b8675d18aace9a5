/*
 * Design notes.
 *
 * The schedule has one entry for each read of each unit. A step hears what happened on the link,
 * settles what cannot be served (expire), and starts the next request if the link is free. So at
 * any time an entry is: not due yet; due and waiting for its turn; or asked.
 *
 * Two failures are kept apart. A unit that does not answer while the link stands is that unit's:
 * after its second chance it is down, and only probes reach it. A link that cannot be connected, or
 * breaks before it has brought a single reply, is in trouble: its entries expire as link_down and
 * it is tried again after a back-off. Over TCP each timeout closes the connection (link.c says
 * why), but that is no trouble: the next request connects anew at once, so that neighbours behind
 * a gateway lose one timeout and no more. What bounds the reconnecting is the units' own back-off.
 *
 * Who failed goes behind everybody who has something to ask; probes wait for a free moment.
 *
 * Some devices pass over in silence what they do not have. Such a read would take its whole unit
 * down again and again; so when a unit came back and the same read fails once more, it is the read
 * that waits, not the unit. Probes use the reads that failed least.
 *
 * A device with a clock of its own (unit.h) tells when its readings were. Its clock comes with the
 * read, or is asked in a request of its own just before; together they are one turn of the entry.
 * Whoever polls a logger faster than it logs gets the same reading again: same time, same words.
 * That is one reading, and is handed on once.
 */
#include "drivers/modbus/modbus_driver.h"

#include "drivers/modbus/link.h"
#include "drivers/modbus/plan.h"
#include "drivers/modbus/schedule.h"
#include "drivers/modbus/side_read.h"
#include "drivers/modbus/timed_reading.h"

#include <stdlib.h>

#define UNITS_MAX 256

/* Rounds of one step: each begins a request or meets a failure that says when to try again. */
#define ROUNDS_MAX 8

/* So often a read may fail at its unit's expense, until one of its own replies. */
#define FAILURES_OF_UNIT 2

/* On a link that is never free, a probe goes before a read when it has waited so long. */
#define PROBE_PATIENCE_US (10 * (int64_t)US_PER_S)

/* A gateway's words for "your unit did not answer me". */
#define EXCEPTION_GATEWAY_PATH   0x0A
#define EXCEPTION_GATEWAY_TARGET 0x0B
#define EXCEPTION_ADDRESS        0x02
#define EXCEPTION_VALUE          0x03

struct unit {
    struct unit_reads reads;
    struct unit_health health;
    bool clock_known;  /* the device has a clock, and has told it */
    int64_t told_ms;   /* what it told last */
    bool missed_slots; /* for its link: to be read at once when that is back */
    struct modbus_unit_stats stats;
};

/* What an entry of the schedule stands for. */
struct poll {
    size_t unit;
    size_t read;
    unsigned failures;          /* asked in turn, in vain, one after the other */
    unsigned probes;            /* asked as a probe, in vain */
    int64_t mute_us;            /* not asked before: the unit answers others, but not this one */
    struct timed_reading *last; /* of a device with a clock: to know it when it comes again */
};

struct modbus_driver {
    struct driver driver; /* first: a pointer to it is a pointer to this */
    driver_sink *sink;
    void *sink_self;
    struct modbus_link *link;
    struct poll *polls; /* by entry of the schedule */
    struct poll_schedule *schedule;
    struct sample *samples; /* room for the largest read */
    uint64_t chance;        /* for back-offs */

    size_t asked; /* the entry whose reply is awaited, or SCHEDULE_NONE */
    bool asked_as_probe;
    bool asked_clock;  /* the request is for the device's clock, the read comes next */
    int64_t device_ms; /* what it said; NEVER: nothing that is a time */
    bool probed_last;  /* the last request was a probe */
    size_t failed;     /* the unit that failed last, until another was asked */
    int64_t asked_us;
    struct side_read side; /* what a person asked for, beside the schedule */
    struct link_health health;

    struct modbus_link_stats stats;
    uint64_t sample_count;
    uint64_t bad_count;
    struct message trouble;
    struct driver_want want;
    size_t want_count;
    int64_t due_us;

    size_t unit_count;
    struct unit units[];
};

/* In trouble: down, and not to be connected by whoever wants to ask. */
static bool in_trouble(const struct modbus_driver *self)
{
    return self->health.failures > 0 && modbus_link_state(self->link) <= MODBUS_LINK_CONNECTING;
}

/* ---- samples ------------------------------------------------------------------------------- */

static void hand_on(struct modbus_driver *self, size_t count)
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

/* The entry has had its samples: on to its next slot. */
static void settle(struct modbus_driver *self, size_t entry, struct now now)
{
    struct unit *unit = &self->units[self->polls[entry].unit];
    unit->stats.skipped += poll_schedule_done(self->schedule, entry, now.mono_us);
}

/* One bad sample for each point of the entry, whose slot is done: stamped with it, or by a device's
 * clock with the last time that told. More is not known of it, and whatever it tells next is no
 * older. */
static void settle_bad(struct modbus_driver *self, size_t entry, enum cause cause, struct now now)
{
    const struct poll *poll = &self->polls[entry];
    const struct unit *unit = &self->units[poll->unit];
    int64_t t_ms = unit->clock_known ? unit->told_ms : slot_ms(self, entry, now);

    if (poll->last != NULL)
        poll->last->len = 0; /* the same reading again is news after this */
    hand_on(self, unit_reads_bad(&unit->reads, poll->read, cause, t_ms, self->samples));
    settle(self, entry, now);
}

/* Why an entry that is due at `at_us` cannot be served then; CAUSE_NONE when it can. */
static enum cause unserved(const struct modbus_driver *self, size_t entry, int64_t at_us)
{
    const struct poll *poll = &self->polls[entry];
    const struct unit_health *health = &self->units[poll->unit].health;

    if (in_trouble(self))
        return CAUSE_LINK_DOWN;
    if (health->state == MODBUS_UNIT_DOWN)
        return health->cause;
    return poll->mute_us > at_us ? CAUSE_COMM_TIMEOUT : CAUSE_NONE;
}

/* Due entries that nobody can serve get their bad samples. */
static void expire(struct modbus_driver *self, struct now now)
{
    for (size_t entry = 0; entry < poll_schedule_count(self->schedule); entry++) {
        enum cause cause = CAUSE_NONE;
        if (poll_schedule_due(self->schedule, entry) <= now.mono_us)
            cause = unserved(self, entry, now.mono_us);
        if (cause == CAUSE_NONE)
            continue;
        if (cause == CAUSE_LINK_DOWN)
            self->units[self->polls[entry].unit].missed_slots = true;
        settle_bad(self, entry, cause, now);
    }
}

/* ---- requests ------------------------------------------------------------------------------ */

static void on_lost(struct modbus_driver *self, enum cause cause, struct now now);

/* For the entry that is asked. */
static void send_request(struct modbus_driver *self, uint8_t function, uint16_t start,
                         uint16_t count, struct now now)
{
    struct unit *unit = &self->units[self->polls[self->asked].unit];
    struct modbus_request request = {
        .unit = unit->reads.id, .function = function, .start = start, .count = count};

    self->asked_us = now.mono_us;
    unit->stats.requests++;
    if (modbus_link_send(self->link, &request, now.mono_us) == 0)
        return;
    self->trouble = *modbus_link_trouble(self->link);
    on_lost(self, CAUSE_LINK_DOWN, now);
}

static void send_read(struct modbus_driver *self, struct now now)
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

/* ---- what happened ------------------------------------------------------------------------- */

/* The unit is there, whatever it said. */
static void entry_answered(struct modbus_driver *self, size_t entry, struct now now)
{
    struct poll *poll = &self->polls[entry];

    poll->failures = 0;
    poll->probes = 0;
    link_health_answered(&self->health);
    if (unit_health_answered(&self->units[poll->unit].health))
        poll_schedule_pull(self->schedule, poll->unit, now.mono_us);
}

/* The unit asked did not answer: a second chance, then probes. */
static void unit_failed(struct modbus_driver *self, enum cause cause, struct now now)
{
    size_t entry = self->asked;
    struct poll *poll = &self->polls[entry];
    struct unit *unit = &self->units[poll->unit];

    self->asked = SCHEDULE_NONE;
    self->failed = poll->unit;
    if (self->asked_as_probe) {
        poll->probes++;
        unit_health_probe_failed(&unit->health, cause, now.mono_us, &self->chance);
        return;
    }
    poll->failures++;
    if (poll->failures > FAILURES_OF_UNIT) {
        unsigned beyond = poll->failures - FAILURES_OF_UNIT - 1;
        poll->mute_us = now.mono_us + unit_back_off(&self->chance, beyond);
        settle_bad(self, entry, cause, now);
    } else if (unit_health_failed(&unit->health, cause, now.mono_us, &self->chance)) {
        settle_bad(self, entry, cause, now);
    }
}

/* The connection is gone. One that had brought replies is worth an immediate new one. */
static void on_lost(struct modbus_driver *self, enum cause cause, struct now now)
{
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

static void on_refused(struct modbus_driver *self, struct now now)
{
    self->stats.refused++;
    self->trouble = *modbus_link_trouble(self->link);
    link_health_refused(&self->health, now.mono_us, &self->chance);
}

/* After an outage all is read at once, not at the next slot, which may be an hour away. */
static void on_connected(struct modbus_driver *self, struct now now)
{
    self->stats.connects++;
    for (size_t i = 0; i < self->unit_count; i++) {
        struct unit *unit = &self->units[i];
        if (unit->missed_slots && unit->health.state != MODBUS_UNIT_DOWN)
            poll_schedule_pull(self->schedule, i, now.mono_us);
        unit->missed_slots = false;
    }
}

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
            return;
        }
    }
    size_t count = unit_reads_values(reads, poll->read, answer->data, t_ms, self->samples);
    if (reads->clock != NULL && !timed)
        timed_reading_doubt(self->samples, count);
    hand_on(self, count);
}

static void on_reply(struct modbus_driver *self, const struct modbus_answer *answer, struct now now)
{
    size_t entry = self->asked;
    struct unit *unit = &self->units[self->polls[entry].unit];
    struct modbus_unit_stats *stats = &unit->stats;
    int64_t took_us = now.mono_us - self->asked_us;

    stats->replies++;
    stats->latency_us = took_us;
    if (took_us > stats->worst_latency_us)
        stats->worst_latency_us = took_us;
    if (self->asked_clock) {
        if (unit_reads_clock_alone(&unit->reads, answer->data, &self->device_ms) != 0)
            self->device_ms = NEVER;
        send_read(self, now);
        return;
    }
    self->asked = SCHEDULE_NONE;
    entry_answered(self, entry, now);
    take_readings(self, entry, answer, now.wall_ms - took_us / 2 / US_PER_MS);
    settle(self, entry, now);
}

/* A read over holes may be more than the device gives: two smaller ones are tried at once. */
static bool split(struct modbus_driver *self, size_t entry)
{
    size_t index = self->polls[entry].unit;
    size_t new_read;
    size_t new_entry;

    if (read_plan_split(self->units[index].reads.plan, self->polls[entry].read, &new_read) != 0)
        return false;
    /* There is room for each point, and there are never more reads than that. */
    new_entry = poll_schedule_split(self->schedule, entry);
    self->polls[new_entry] = (struct poll){.unit = index, .read = new_read};
    self->units[index].stats.splits++;
    return true;
}

/* It answered, but not with values. */
static void on_refusal(struct modbus_driver *self, enum cause cause, struct now now)
{
    size_t entry = self->asked;

    self->asked = SCHEDULE_NONE;
    entry_answered(self, entry, now);
    settle_bad(self, entry, cause, now);
}

static void on_exception(struct modbus_driver *self, uint8_t code, struct now now)
{
    size_t entry = self->asked;
    struct modbus_unit_stats *stats = &self->units[self->polls[entry].unit].stats;

    stats->exceptions++;
    stats->last_exception = code;
    if (code == EXCEPTION_GATEWAY_PATH || code == EXCEPTION_GATEWAY_TARGET) {
        link_health_answered(&self->health);
        unit_failed(self, CAUSE_MODBUS_EXCEPTION, now);
    } else if (self->asked_clock) {
        /* What it measures it may tell all the same. */
        self->device_ms = NEVER;
        send_read(self, now);
    } else if ((code == EXCEPTION_ADDRESS || code == EXCEPTION_VALUE) && split(self, entry)) {
        self->asked = SCHEDULE_NONE;
        entry_answered(self, entry, now);
    } else {
        on_refusal(self, CAUSE_MODBUS_EXCEPTION, now);
    }
}

static void hear(struct modbus_driver *self, struct now now)
{
    struct modbus_answer answer = {0};
    enum modbus_event event = modbus_link_step(self->link, now.mono_us, &answer);

    if (side_read_hear(&self->side, event, &answer, self->link, now) && event != MODBUS_LOST &&
        event != MODBUS_GARBAGE) {
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
        on_refused(self, now);
        break;
    case MODBUS_LOST:
        on_lost(self, CAUSE_LINK_DOWN, now);
        break;
    case MODBUS_GARBAGE:
        on_lost(self, CAUSE_BAD_RESPONSE, now);
        break;
    }
}

/* ---- what is next -------------------------------------------------------------------------- */

/* The unit to probe next, and when; `unit_count` and NEVER when none is down. */
static size_t next_probe(const struct modbus_driver *self, int64_t *ret_us)
{
    size_t next = self->unit_count;

    *ret_us = NEVER;
    for (size_t i = 0; i < self->unit_count; i++) {
        const struct unit_health *health = &self->units[i].health;
        if (health->state == MODBUS_UNIT_DOWN && health->probe_us < *ret_us) {
            next = i;
            *ret_us = health->probe_us;
        }
    }
    return next;
}

/* Of the unit's reads that failed least, the shortest. */
static size_t probe_entry(const struct modbus_driver *self, size_t unit)
{
    const struct read_plan *plan = self->units[unit].reads.plan;
    size_t best = SCHEDULE_NONE;
    unsigned fewest = 0;
    uint16_t shortest = 0;

    for (size_t entry = 0; entry < poll_schedule_count(self->schedule); entry++) {
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

/* The entry to ask now, or SCHEDULE_NONE. A probe waits for a free moment, but not for ever. */
static size_t next_entry(const struct modbus_driver *self, int64_t now_us, bool *ret_probe)
{
    size_t entry = poll_schedule_pick(self->schedule, now_us, self->failed);
    int64_t probe_us;
    size_t unit = next_probe(self, &probe_us);
    bool first =
        entry == SCHEDULE_NONE || (now_us - probe_us > PROBE_PATIENCE_US && !self->probed_last);

    *ret_probe = probe_us <= now_us && first;
    return *ret_probe ? probe_entry(self, unit) : entry;
}

static void ask(struct modbus_driver *self, size_t entry, bool probe, struct now now)
{
    const struct poll *poll = &self->polls[entry];
    const struct unit_reads *reads = &self->units[poll->unit].reads;

    self->asked = entry;
    self->asked_as_probe = probe;
    self->probed_last = probe;
    if (poll->unit != self->failed)
        self->failed = SCHEDULE_NONE;
    if (unit_reads_needs_clock(reads, poll->read))
        send_clock(self, now);
    else
        send_read(self, now);
}

/* What a person asked for. */
static void ask_side(struct modbus_driver *self, struct now now)
{
    if (side_read_send(&self->side, self->link, now))
        return;
    self->trouble = *modbus_link_trouble(self->link);
    on_lost(self, CAUSE_LINK_DOWN, now);
}

/* Begins what can be begun; false when there is nothing more to do now. */
static bool begin(struct modbus_driver *self, struct now now)
{
    enum modbus_link_state state = modbus_link_state(self->link);
    bool probe = false;
    size_t entry;

    if (in_trouble(self))
        side_read_give_up(&self->side, &self->trouble, now);
    if (state == MODBUS_LINK_CONNECTING || state == MODBUS_LINK_WAITING)
        return false;
    if (in_trouble(self) && now.mono_us < self->health.retry_us)
        return false;
    bool side = self->side.state == SIDE_READ_WANTED;
    if (side && state == MODBUS_LINK_READY) {
        ask_side(self, now);
        return true;
    }
    entry = next_entry(self, now.mono_us, &probe);
    if (entry == SCHEDULE_NONE && !in_trouble(self) && !side)
        return false;
    if (state == MODBUS_LINK_READY)
        ask(self, entry, probe, now);
    else if (modbus_link_connect(self->link, now.mono_us) != 0)
        on_refused(self, now);
    return true;
}

/* When the next slot comes: of any entry, or while the link is busy of those that will expire. */
static int64_t next_slot(const struct modbus_driver *self, bool busy)
{
    int64_t next_us = NEVER;

    for (size_t entry = 0; entry < poll_schedule_count(self->schedule); entry++) {
        int64_t due_us = poll_schedule_due(self->schedule, entry);
        if (due_us < next_us && (!busy || unserved(self, entry, due_us) != CAUSE_NONE))
            next_us = due_us;
    }
    return next_us;
}

/* When the next step is needed if nothing comes. */
static int64_t next_due(const struct modbus_driver *self)
{
    enum modbus_link_state state = modbus_link_state(self->link);
    bool busy = state == MODBUS_LINK_WAITING || state == MODBUS_LINK_CONNECTING;
    int64_t due_us = next_slot(self, busy);
    int64_t other_us = NEVER;

    if (busy)
        other_us = modbus_link_due(self->link);
    else if (in_trouble(self))
        other_us = self->health.retry_us;
    else
        (void)next_probe(self, &other_us);
    return due_us < other_us ? due_us : other_us;
}

static void driver_step_modbus(struct driver *driver, struct now now,
                               const struct driver_ready *ready, size_t count)
{
    struct modbus_driver *self = (struct modbus_driver *)driver;

    (void)ready;
    (void)count;
    hear(self, now);
    expire(self, now);
    for (int round = 0; round < ROUNDS_MAX && begin(self, now); round++)
        expire(self, now);
    self->want_count = modbus_link_want(self->link, &self->want) ? 1 : 0;
    self->due_us = next_due(self);
}

static void driver_wants_modbus(const struct driver *driver, struct driver_wants *ret_wants)
{
    const struct modbus_driver *self = (const struct modbus_driver *)driver;

    *ret_wants = (struct driver_wants){
        .list = &self->want, .count = self->want_count, .due_us = self->due_us};
}

static void driver_status_modbus(const struct driver *driver, struct driver_status *ret_status)
{
    const struct modbus_driver *self = (const struct modbus_driver *)driver;

    *ret_status = (struct driver_status){.up = !in_trouble(self),
                                         .units = self->unit_count,
                                         .samples = self->sample_count,
                                         .bad = self->bad_count,
                                         .trouble = self->trouble};
    for (size_t i = 0; i < self->unit_count; i++) {
        ret_status->units_down += self->units[i].health.state == MODBUS_UNIT_DOWN ? 1 : 0;
        ret_status->repeated += self->units[i].stats.repeated;
    }
}

static void driver_close_modbus(struct driver *driver)
{
    struct modbus_driver *self = (struct modbus_driver *)driver;

    modbus_link_close(self->link);
    for (size_t i = 0; i < self->unit_count; i++)
        unit_reads_release(&self->units[i].reads);
    for (size_t i = 0; self->schedule != NULL && i < poll_schedule_count(self->schedule); i++)
        free(self->polls[i].last);
    poll_schedule_free(self->schedule);
    free(self->polls);
    free(self->samples);
    free(self);
}

static const struct driver_ops modbus_ops = {
    .step = driver_step_modbus,
    .wants = driver_wants_modbus,
    .status = driver_status_modbus,
    .close = driver_close_modbus,
};

/* ---- opening ------------------------------------------------------------------------------- */

/* An entry for each read; room for `points` of them, if all are split. */
static int make_schedule(struct modbus_driver *self, size_t points, struct now now,
                         struct message *message)
{
    size_t largest = 0;

    self->polls = calloc(points + 1, sizeof self->polls[0]);
    if (self->polls == NULL || poll_schedule_new(points, &self->schedule) != 0)
        return message_set(message, ERR_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < self->unit_count; i++) {
        const struct read_plan *plan = self->units[i].reads.plan;
        for (size_t read = 0; read < read_plan_count(plan); read++) {
            const struct plan_read *at = read_plan_at(plan, read);
            if (unit_reads_points(&self->units[i].reads, read) == 0)
                continue; /* the clock alone is asked where it is needed */
            size_t entry = poll_schedule_add(self->schedule, at->interval_ms * US_PER_MS, i);
            self->polls[entry] = (struct poll){.unit = i, .read = read};
            largest = at->points > largest ? at->points : largest;
        }
    }
    poll_schedule_start(self->schedule, now.mono_us);
    self->samples = calloc(largest + 1, sizeof self->samples[0]);
    if (self->samples == NULL)
        return message_set(message, ERR_NO_MEMORY, "out of memory");
    return 0;
}

int modbus_driver_open(const struct modbus_link_options *options, driver_sink *sink,
                       void *sink_self, struct now now, struct driver **ret_driver,
                       struct message *message)
{
    struct modbus_driver *self;
    size_t points = 0;
    int err = 0;

    if (options->unit_count > UNITS_MAX)
        return message_set(message, ERR_RANGE, "%zu units; expected at most %d",
                           options->unit_count, UNITS_MAX);
    self = calloc(1, sizeof *self + options->unit_count * sizeof self->units[0]);
    if (self == NULL)
        return message_set(message, ERR_NO_MEMORY, "out of memory");
    self->driver.ops = &modbus_ops;
    self->sink = sink;
    self->sink_self = sink_self;
    self->chance = options->seed;
    self->asked = SCHEDULE_NONE;
    self->failed = SCHEDULE_NONE;
    self->due_us = now.mono_us;
    self->unit_count = options->unit_count;
    for (size_t i = 0; i < options->unit_count && err == 0; i++) {
        points += 2 * options->units[i].point_count; /* each may bring the clock along */
        err = unit_reads_init(&self->units[i].reads, &options->units[i], message);
    }
    if (err == 0)
        err = modbus_link_open(&options->endpoint, options->timeout_ms, &self->link, message);
    if (err == 0)
        err = make_schedule(self, points, now, message);
    if (err != 0)
        goto out;
    *ret_driver = &self->driver;
    self = NULL;
out:
    if (self != NULL)
        driver_close_modbus(&self->driver);
    return err;
}

void modbus_driver_unit_stats(const struct driver *driver, size_t unit,
                              struct modbus_unit_stats *ret_stats)
{
    const struct unit *at = &((const struct modbus_driver *)driver)->units[unit];

    *ret_stats = at->stats;
    ret_stats->state = at->health.state;
    ret_stats->cause = at->health.cause;
}

void modbus_driver_link_stats(const struct driver *driver, struct modbus_link_stats *ret_stats)
{
    const struct modbus_driver *self = (const struct modbus_driver *)driver;

    *ret_stats = self->stats;
    ret_stats->foreign = modbus_link_foreign(self->link);
    ret_stats->connected = modbus_link_state(self->link) >= MODBUS_LINK_READY;
}

int modbus_driver_want(struct driver *driver, const struct modbus_request *request, struct now now)
{
    return side_read_want(&((struct modbus_driver *)driver)->side, request, now);
}

int modbus_driver_outcome(struct driver *driver, struct now now, struct modbus_outcome *ret_outcome)
{
    return side_read_outcome(&((struct modbus_driver *)driver)->side, now, ret_outcome);
}
