/*
 * The alarm engine's shell: a reader of the central journal that folds records into alarms, keeps
 * transitions and notifications in events.db, and shows last values and alarms in `live`: operators
 * see just what the alarms were judged on.
 *
 * One thread runs alarm_reader_step; lag and counts may be asked by any.
 */
#ifndef CENTRAL_ALARM_READER_H
#define CENTRAL_ALARM_READER_H

#include "base/attributes.h"
#include "base/clock.h"
#include "base/error.h"
#include "central/live.h"
#include "model/rule.h"
#include "store/journal.h"

#include <stdint.h>

struct alarm_reader;

struct alarm_reader_options {
    const char *path; /* of events.db */
    struct journal *journal;
    const struct rules *rules;
    struct live *live;
    void (*notify)(void *self); /* after a commit that has something to send; may be NULL */
    void *self;
};

/* Opens events.db as its only writer and goes on from the last snapshot. */
MUST_CHECK int alarm_reader_open(const struct alarm_reader_options *options,
                                 struct alarm_reader **ret_reader, struct message *message);
void alarm_reader_close(struct alarm_reader *reader);

/* A worker's step; `self` is the reader. */
int64_t alarm_reader_step(void *self, struct now now);

uint64_t alarm_reader_lag(struct alarm_reader *reader);

/* Alarms raised since the start of this program. */
uint64_t alarm_reader_raised(struct alarm_reader *reader);

#endif
