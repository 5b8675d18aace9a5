/*
 * From the central journal to a batch of lines: records are read, their samples' stamps settled,
 * their lines gathered, until the batch is taken by whoever delivers it. It may go back: stamps are
 * settled as before.
 *
 * Births, and the stamps of samples that are not newer than all before, are looked up in the
 * embedded store, read-only. One thread. It borrows the journal.
 */
#ifndef CENTRAL_LINE_GATHER_H
#define CENTRAL_LINE_GATHER_H

#include "base/attributes.h"
#include "base/error.h"
#include "service/births.h"
#include "store/history_db.h"
#include "store/journal.h"
#include "store/line_batch.h"
#include "store/line_delivery.h"
#include "store/series.h"
#include "store/stamps.h"

#include <stdbool.h>
#include <stdint.h>

struct line_gather_options {
    const char *name; /* of the store, for the log */
    struct journal *journal;
    const char *history_path;    /* the embedded store */
    bool with_text;              /* as line_append has it */
    struct line_letters letters; /* for samples whose time no store can keep */
};

struct line_gather {
    struct line_gather_options options;
    struct journal_reader *reader;
    struct history_db *embedded;
    struct births births;
    struct births_source source;
    struct series_table series;
    struct stamps stamps;
    struct line_batch batch;
    uint64_t delivered; /* the last record before the batch */
    uint64_t taken;     /* the last record in it */
    bool full;          /* the next record has no room in it */
    uint64_t moved;     /* samples that moved to the next free millisecond */
};

/* Begins behind `position`. Released also after a failure; does not move meanwhile. */
MUST_CHECK int line_gather_open(struct line_gather *gather,
                                const struct line_gather_options *options, uint64_t position,
                                struct message *message);
void line_gather_release(struct line_gather *gather);

/* Forgets the batch and goes on behind `position`. */
void line_gather_go_back(struct line_gather *gather, uint64_t position);

/* Reads up to a bound. 0: there is more to read. ERR_AGAIN: not now. ERR_FULL: the batch is full.
 * ERR_NOT_FOUND: the embedded store has yet to take a birth or a record. Others: the
 * record is read anew by the next call. */
MUST_CHECK int line_gather_read(struct line_gather *gather, struct message *message);

/* The batch is delivered: it is empty from now on. */
void line_gather_take(struct line_gather *gather);

#endif
