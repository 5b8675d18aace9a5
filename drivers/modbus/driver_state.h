/*
 * The Modbus driver's state, for its own files alone (modbus_driver.h is for everybody else):
 *
 *   driver_polls.c    the entries of the schedule: made, settled with samples, split, planned anew
 *   driver_turns.c    whose turn is next, and the request that begins it
 *   driver_replies.c  what the link heard, and what follows from it
 *   modbus_driver.c   opening, the step, status
 *
 * Owned by one thread.
 */
#ifndef DRIVERS_MODBUS_DRIVER_STATE_H
#define DRIVERS_MODBUS_DRIVER_STATE_H

#include "drivers/modbus/link.h"
#include "drivers/modbus/modbus_driver.h"
#include "drivers/modbus/refusals.h"
#include "drivers/modbus/schedule.h"
#include "drivers/modbus/side_read.h"
#include "drivers/modbus/timed_reading.h"

struct unit {
    struct unit_reads reads;
    struct unit_health health;
    size_t polls;              /* how many entries are its */
    bool clock_known;          /* the device has a clock, and has told it */
    int64_t told_ms;           /* what it told last */
    bool missed_slots;         /* for its link: to be read at once when that is back */
    struct refusals *refusals; /* made at the first one */
    size_t on_trial;           /* parts of refused reads that were not heard yet */
    bool trial_over;           /* to be concluded */
    unsigned barren;           /* trials in a row in which all was refused */
    int64_t whole_until_us;    /* no read is split before */
    bool full_told;            /* that it refuses more than is kept */
    int64_t latency_sum_us;    /* of replies since it was last reckoned, without the wire's time */
    unsigned latency_count;
    bool away; /* left alone by the link: not picked until that is over */
    struct modbus_unit_stats stats;
};

/* What an entry of the schedule stands for. */
struct poll {
    size_t unit;
    size_t read;
    unsigned failures;          /* asked in turn, in vain, one after the other */
    unsigned probes;            /* asked as a probe, in vain */
    int64_t mute_us;            /* not asked before: the unit answers others, but not this one */
    bool on_trial;              /* a part of a read that was refused */
    struct timed_reading *last; /* of a device with a clock: to know it when it comes again */
};

#define POLL_FREE SIZE_MAX /* unit: for nothing */
#define POLL_OLD  SIZE_MAX /* read: of the plan that was, while another takes its place */

struct modbus_driver {
    struct driver driver; /* first: a pointer to it is a pointer to this */
    driver_sink *sink;
    void *sink_self;
    modbus_learned *learned;
    void *learned_self;
    struct modbus_link *link;
    struct poll *polls; /* by entry of the schedule */
    size_t poll_count;
    struct poll_schedule *schedule;
    uint32_t phase;
    struct sample *samples; /* room for the largest read */
    size_t sample_room;
    uint64_t chance; /* for back-offs */

    size_t asked; /* the entry whose reply is awaited, or SCHEDULE_NONE */
    bool asked_as_probe;
    bool asked_clock;       /* the request is for the device's clock, the read comes next */
    int64_t device_ms;      /* what it said; NEVER: nothing that is a time */
    bool favour_last;       /* the last request was a probe or a second chance */
    int64_t probe_after_us; /* probes have had their share of the wire until then */
    int64_t turn_us;        /* when the turn began */
    int64_t free_us;        /* the line is not free before for what is next; NEVER: it is */
    int64_t silence_us;     /* since when it was waited for; NEVER: it is not */
    size_t units_away;
    int64_t back_us; /* when the first of them is back */
    int64_t timeout_us;
    struct side_read side; /* what a person asked for, beside the schedule */
    int64_t side_pause_us; /* no person's read before: the last one was in vain */
    int64_t connect_us;    /* when the last connecting began */
    bool probe_broke;      /* the last probe cost the connection: the next one's time is its */
    int64_t side_us;       /* the line is not free for it before; NEVER: it waits for nothing */
    struct link_health health;
    bool trial_over; /* of some unit */

    struct modbus_link_stats stats;
    size_t units_down;
    uint64_t sample_count;
    uint64_t bad_count;
    uint64_t repeated;
    uint64_t skipped;
    uint64_t notices; /* what a person should know though all works */
    struct message notice;
    struct message trouble;
    struct driver_want want;
    size_t want_count;
    bool line_touched; /* in this step the line was opened, closed, or became another */
    bool wants_same;
    int64_t due_us;

    size_t unit_count;
    struct unit units[];
};

/* In trouble: down, and not to be connected by whoever wants to ask. */
static inline bool modbus_in_trouble(const struct modbus_driver *self)
{
    return self->health.failures > 0 && modbus_link_state(self->link) <= MODBUS_LINK_CONNECTING;
}

/* ---- driver_polls.c ---- */

/* Entries for the unit's reads, which wait for poll_schedule_start. */
MUST_CHECK int modbus_add_polls(struct modbus_driver *self, size_t unit);

/* Samples to the sink, counted. */
void modbus_hand_on(struct modbus_driver *self, size_t count);

/* The entry has had its samples: on to its next slot. */
void modbus_settle(struct modbus_driver *self, size_t entry, struct now now);

/* One bad sample for each point of the entry, whose slot is done. */
void modbus_settle_bad(struct modbus_driver *self, size_t entry, enum cause cause, struct now now);

/* Of all that is due now, what cannot be served gets its bad samples; the rest is ready. */
void modbus_take_due(struct modbus_driver *self, struct now now);

/* A unit went down, or (SCHEDULE_NONE) the link: what is ready of it is settled. */
void modbus_give_up(struct modbus_driver *self, size_t unit, enum cause cause, struct now now);

/* Asks a refused read in two parts, at once. False when it cannot be split, or should not be. */
bool modbus_split_read(struct modbus_driver *self, size_t entry, struct now now);

/* Draws the conclusions of trials that are over. */
void modbus_conclude_trials(struct modbus_driver *self, struct now now);

/* How long the unit took to answer, the wire's time included. When it takes otherwise than
 * planned, on a line where that matters, its reads are planned anew: entries are not what they
 * were. */
void modbus_note_latency(struct modbus_driver *self, size_t index, const struct plan_read *read,
                         int64_t took_us);

/* ---- driver_turns.c ---- */

/* Begins what can be begun; false when there is nothing more to do now. */
bool modbus_begin_turn(struct modbus_driver *self, struct now now);

/* The request for the read of the entry that is asked. */
void modbus_send_read(struct modbus_driver *self, struct now now);

/* The turn of the entry that was asked is over. */
void modbus_end_turn(struct modbus_driver *self, struct now now);

/* A connection came, or was refused. */
void modbus_end_connecting(struct modbus_driver *self, struct now now);

/* A person's read was in vain. */
void modbus_end_side(struct modbus_driver *self, struct now now);

/* When the next step is needed if nothing comes. */
int64_t modbus_next_due(const struct modbus_driver *self);

/* ---- driver_replies.c ---- */

/* Looks what the link has, and does what follows. */
void modbus_hear(struct modbus_driver *self, struct now now);

/* The link was refused a connection. */
void modbus_on_refused(struct modbus_driver *self, struct now now);

/* The connection is gone. One that had brought replies is worth an immediate new one. */
void modbus_on_lost(struct modbus_driver *self, enum cause cause, struct now now);

#endif
