/*
 * What has been received from whom: per source (an edge, or an outbox of the centre), epoch and
 * stream the received intervals, the losses its own records named, and the births the journal
 * holds. From this come deduplication, receipts and the gap ledger.
 *
 * Owned by ingest's thread. Kept in the header of every segment of the central journal
 * (sources_save), so that an opening restores it from one header and the frames behind it.
 *
 * Bounds: SOURCES_MAX sources, SOURCE_EPOCHS_MAX epochs of each (the oldest goes),
 * SOURCE_BIRTHS_MAX births of each (the oldest is forgotten and asked for again), LOSSES_MAX losses
 * of an epoch (then neighbours are merged).
 */
#ifndef CENTRAL_SOURCES_H
#define CENTRAL_SOURCES_H

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/error.h"
#include "model/intervals.h"
#include "model/record.h"
#include "store/journal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOURCES_MAX       2000
#define SOURCE_EPOCHS_MAX 32
#define SOURCE_BIRTHS_MAX 256
#define LOSSES_MAX        4096

struct source_epoch {
    char epoch[EPOCH_SIZE];
    struct intervals received[STREAM_COUNT];
    uint64_t last[STREAM_COUNT];    /* the greatest the source itself told of */
    uint64_t tip[STREAM_COUNT];     /* the greatest record that was booked, 0: none … */
    uint32_t tip_sum[STREAM_COUNT]; /* … and the CRC32C of its payload */
    uint64_t total;                 /* samples the source appended, as its newest record says */
    uint64_t points;                /* samples received */
    uint64_t lost_points;           /* samples in its losses */
    struct record_loss *losses;
    size_t loss_count;
};

struct source {
    char name[65];
    struct source_epoch *epochs; /* the newest last */
    size_t epoch_count;
    char (*births)[BIRTH_SIZE]; /* the newest last */
    size_t birth_count;
};

struct sources {
    struct source **list;
    size_t count;
};

void sources_init(struct sources *sources);
void sources_release(struct sources *sources);

/* The source, or NULL. */
struct source *sources_find(const struct sources *sources, const char *name);

/* The source's epoch, or NULL. Valid until the next sources_* call that may add one. */
struct source_epoch *source_find_epoch(const struct source *source, const char *epoch);

/* As the two above, made where they do not exist. ERR_FULL beyond SOURCES_MAX. */
MUST_CHECK int sources_open(struct sources *sources, const char *name, const char *epoch,
                            struct source **ret_source, struct source_epoch **ret_epoch);

bool source_knows_birth(const struct source *source, const char birth[BIRTH_SIZE]);

/* Books a record as received: its sequence, its samples, its birth or its loss. `payload` is its
 * verbatim text. A loss of its own number stands for a record that nobody can read (a dead letter).
 * ERR_FULL or ERR_NO_MEMORY: not booked, it must come again. */
MUST_CHECK int sources_book(struct sources *sources, const char *name, const struct record *record,
                            const char *payload, size_t len);

/* Is there a place for what sources_book would add? To be asked before the record is journaled:
 * what is journaled and not booked would be journaled again. ERR_FULL or ERR_NO_MEMORY. */
MUST_CHECK int sources_admit(struct sources *sources, const char *name,
                             const struct record *record);

/* The journal's owner callbacks. */
void sources_save(void *self, int stream, struct buffer *out);
MUST_CHECK int sources_restore(void *self, int stream, const void *state, size_t len);
MUST_CHECK int sources_replay(void *self, const struct journal_frame *frame);

#endif
