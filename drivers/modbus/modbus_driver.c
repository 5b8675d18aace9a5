/*
 * Design notes.
 *
 * The schedule has one entry for each read of each unit. A step hears what happened on the link,
 * settles what is due and cannot be served, and starts the next request if the link is free. So at
 * any time an entry is: not due yet; due and waiting for its turn; or asked. What a step costs does
 * not grow with the entries, but by the logarithm in schedule.c.
 *
 * Two failures are kept apart. A unit that does not answer while the link stands is that unit's:
 * after its second chance it is down, and only probes reach it. A link that cannot be connected, or
 * breaks before it has brought a single reply, is in trouble: its entries are settled as
 * link_down and it is tried again after a back-off. Over TCP each timeout closes the connection
 * (link.c says why), but that is no trouble: the next request connects anew at once, so that
 * neighbours behind a gateway lose one timeout and no more. What bounds the reconnecting is the
 * units' own back-off.
 *
 * Who failed goes behind everybody who has something to ask; probes wait for a free moment, and
 * have at most a tenth of the wire's time.
 *
 * What a unit refuses to be read across is learned by bisection (refusals.h). The parts of a
 * refused read are entries of their own until all were heard; then the unit's reads are planned
 * anew, whole again but for what was learned.
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

#include "drivers/modbus/driver_state.h"

#include <stdlib.h>

#define UNITS_MAX 256

/* Rounds of one step: each begins a request or meets a failure that says when to try again. */
#define ROUNDS_MAX 8

static void driver_step_modbus(struct driver *driver, struct now now,
                               const struct driver_ready *ready, size_t count)
{
    struct modbus_driver *self = (struct modbus_driver *)driver;

    struct driver_want before = self->want;
    size_t count_before = self->want_count;

    self->line_touched = false;
    /* Only its own time brings a silent line news. */
    if (ready == NULL || count > 0 || now.mono_us >= modbus_link_due(self->link))
        modbus_hear(self, now);
    modbus_take_due(self, now);
    if (self->trial_over)
        modbus_conclude_trials(self, now);
    for (int round = 0; round < ROUNDS_MAX && modbus_begin_turn(self, now); round++)
        modbus_take_due(self, now);
    self->want_count = modbus_link_want(self->link, &self->want) ? 1 : 0;
    self->wants_same = !self->line_touched && self->want_count == count_before &&
                       self->want.fd == before.fd && self->want.events == before.events;
    self->due_us = modbus_next_due(self);
}

static void driver_wants_modbus(const struct driver *driver, struct driver_wants *ret_wants)
{
    const struct modbus_driver *self = (const struct modbus_driver *)driver;

    *ret_wants = (struct driver_wants){.list = &self->want,
                                       .count = self->want_count,
                                       .due_us = self->due_us,
                                       .same = self->wants_same};
}

static void driver_status_modbus(const struct driver *driver, struct driver_status *ret_status)
{
    const struct modbus_driver *self = (const struct modbus_driver *)driver;

    *ret_status = (struct driver_status){.up = !modbus_in_trouble(self),
                                         .units = self->unit_count,
                                         .units_down = self->units_down,
                                         .samples = self->sample_count,
                                         .bad = self->bad_count,
                                         .repeated = self->repeated,
                                         .skipped = self->skipped,
                                         .late = self->stats.late,
                                         .notices = self->notices,
                                         .notice = self->notice,
                                         .trouble = self->trouble};
    struct modbus_link_counts frames;
    modbus_link_counts(self->link, &frames);
    ret_status->strays = frames.foreign + frames.misfits;
}

static void driver_close_modbus(struct driver *driver)
{
    struct modbus_driver *self = (struct modbus_driver *)driver;

    modbus_link_close(self->link);
    for (size_t i = 0; i < self->unit_count; i++) {
        unit_reads_release(&self->units[i].reads);
        free(self->units[i].refusals);
    }
    for (size_t i = 0; i < self->poll_count; i++)
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

/* An entry for each read. */
static int make_schedule(struct modbus_driver *self, struct now now, struct message *message)
{
    int err = poll_schedule_new(self->unit_count, &self->schedule);

    for (size_t i = 0; i < self->unit_count && err == 0; i++)
        err = modbus_add_polls(self, i);
    if (err != 0)
        return message_set(message, err, "out of memory");
    poll_schedule_start(self->schedule, now, self->phase);
    return 0;
}

int modbus_driver_open(const struct modbus_link_options *options, driver_sink *sink,
                       void *sink_self, struct now now, struct driver **ret_driver,
                       struct message *message)
{
    struct modbus_driver *self;
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
    self->learned = options->learned;
    self->learned_self = options->learned_self;
    self->chance = options->seed;
    self->phase = options->phase;
    self->asked = SCHEDULE_NONE;
    self->timeout_us = options->timeout_ms * US_PER_MS;
    self->silence_us = self->back_us = NEVER;
    self->due_us = now.mono_us;
    self->unit_count = options->unit_count;
    for (size_t i = 0; i < options->unit_count && err == 0; i++)
        err = unit_reads_init(&self->units[i].reads, &options->units[i], &options->wire, message);
    if (err == 0)
        err = modbus_link_open(&options->url, options->line, options->timeout_ms, &self->link,
                               message);
    if (err == 0)
        err = make_schedule(self, now, message);
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
    ret_stats->late = modbus_link_late(((const struct modbus_driver *)driver)->link, at->reads.id);
}

void modbus_driver_link_stats(const struct driver *driver, struct modbus_link_stats *ret_stats)
{
    const struct modbus_driver *self = (const struct modbus_driver *)driver;

    *ret_stats = self->stats;
    modbus_link_counts(self->link, &ret_stats->frames);
    ret_stats->connected = modbus_link_state(self->link) >= MODBUS_LINK_READY;
}

size_t modbus_driver_frames(const struct driver *driver, struct frame_note *ret_notes, size_t room)
{
    return modbus_link_frames(((const struct modbus_driver *)driver)->link, ret_notes, room);
}

int modbus_driver_want(struct driver *driver, const struct modbus_request *request, struct now now)
{
    return side_read_want(&((struct modbus_driver *)driver)->side, request, now);
}

int modbus_driver_outcome(struct driver *driver, struct now now, struct modbus_outcome *ret_outcome)
{
    return side_read_outcome(&((struct modbus_driver *)driver)->side, now, ret_outcome);
}
