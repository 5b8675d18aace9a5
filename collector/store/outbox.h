/*
 * Entries on their way from a database's owner into the journal (ARCHITECTURE 2, rule 1).
 *
 * The owner appends in the transaction that writes its own row; ingest reads with a read-only
 * handle, journals, and tells the owner through which entry all is durable; the owner deletes.
 *
 * An entry is known by (the file's name, epoch, sequence), like an edge's records: the epoch is a
 * random number made with the file, the sequence counts from 1 and is never used twice, not even
 * after a delete. A file restored from a backup would number new entries as it once numbered
 * others: its owner begins a new epoch before it appends.
 *
 * Entries count on through all epochs by `id`, which orders reading and deleting; in the first
 * epoch it is the sequence. Owner of the struct: the database it is attached to; its thread.
 */
#ifndef STORE_OUTBOX_H
#define STORE_OUTBOX_H

#include "base/buffer.h"
#include "model/record.h"
#include "store/db.h"

#define OUTBOX_MAX_PAYLOAD RECORD_MAX_BYTES
#define OUTBOX_MAX_PENDING 100000 /* entries not yet deleted */

/* For the owner's first migration. */
#define OUTBOX_TABLE_SQL                                                                       \
    "CREATE TABLE outbox(id INTEGER PRIMARY KEY AUTOINCREMENT, payload BLOB NOT NULL) STRICT;" \
    "CREATE TABLE outbox_epochs(base INTEGER PRIMARY KEY, epoch TEXT NOT NULL UNIQUE) STRICT;" \
    "INSERT INTO outbox_epochs(base, epoch) VALUES(0, lower(hex(randomblob(16))));"

struct outbox {
    struct db *db;
    size_t first; /* of its statements */
};

struct outbox_entry {
    uint64_t id;
    char epoch[EPOCH_SIZE];
    uint64_t seq;
};

/* Once, when the database has been opened, in either mode. */
MUST_CHECK int outbox_attach(struct outbox *outbox, struct db *db, struct message *message);

/* Writer, in a transaction. What the next entry will be called: it stands in its payload. ERR_FULL
 * when too many wait for ingest. */
MUST_CHECK int outbox_next(struct outbox *outbox, struct outbox_entry *ret_entry,
                           struct message *message);

/* Writer, in a transaction. ERR_RANGE when it is too long or empty. */
MUST_CHECK int outbox_append(struct outbox *outbox, const void *payload, size_t len,
                             struct message *message);

/* Writer, in a transaction: those up to and with `id` are in the journal. */
MUST_CHECK int outbox_delete(struct outbox *outbox, uint64_t id, struct message *message);

/* Writer, in a transaction: what is appended from now on counts from 1 under a new epoch. */
MUST_CHECK int outbox_new_epoch(struct outbox *outbox, struct message *message);

/* The last entry ever appended, deleted or not, by its name: `seq` 0 where the epoch has none. */
MUST_CHECK int outbox_last(struct outbox *outbox, struct outbox_entry *ret_entry,
                           struct message *message);

/* The first entry behind `id`; its payload is appended to `out`. ERR_NOT_FOUND: none yet. */
MUST_CHECK int outbox_read(struct outbox *outbox, uint64_t id, struct outbox_entry *ret_entry,
                           struct buffer *out, struct message *message);

/* How many wait to be deleted. */
MUST_CHECK int outbox_pending(struct outbox *outbox, uint64_t *ret_count, struct message *message);

#endif
