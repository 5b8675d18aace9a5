/*
 * How far an outside store is believed to have the journal. Its yes alone is not enough: some lose
 * their last seconds when they are killed. So the durable cursor moves over what was taken more
 * than a minute before a look at the store that found it not restarted since; after a restart of
 * the store everything is written again from where the cursor stood a minute earlier, after one of
 * ours from the cursor. To write a sample again does no harm.
 *
 * The file is replaced in one step. One that is missing, torn, of another journal or of another
 * store means: from the beginning. Owned by one thread.
 */
#ifndef STORE_TARGET_CURSOR_H
#define STORE_TARGET_CURSOR_H

#include "base/attributes.h"
#include "base/error.h"
#include "base/files.h"
#include "model/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TARGET_BELIEVED_US (60 * INT64_C(1000000))
#define TARGET_NOTES_MAX   256
#define TARGET_STORE_SIZE  2048

/* Everything up to `position` was taken by then. */
struct target_note {
    uint64_t position;
    int64_t at_us; /* monotonic */
};

struct target_cursor {
    char path[FILE_PATH_SIZE];
    char epoch[EPOCH_SIZE];                     /* of the journal */
    char store[TARGET_STORE_SIZE];              /* which store it is: a line of text */
    uint64_t settled;                           /* believed */
    uint64_t again;                             /* where it stood a minute earlier */
    uint64_t saved;                             /* in the file */
    struct target_note notes[TARGET_NOTES_MAX]; /* rising */
    size_t count;
};

/* Reads the file at `path`. `ret_strange`: there is one, and it is not the cursor of this journal
 * and this store. Only a text that is too long fails (ERR_RANGE). */
MUST_CHECK int target_cursor_open(struct target_cursor *cursor, const char *path, const char *epoch,
                                  const char *store, bool *ret_strange, struct message *message);

/* The store has taken everything up to `position`, at `now_us` or before. */
void target_cursor_note(struct target_cursor *cursor, uint64_t position, int64_t now_us);

/* The store was looked at, at `looked_us` or later, and runs since before the notes. */
void target_cursor_settle(struct target_cursor *cursor, int64_t looked_us);

/* The store was restarted: forgets what is not believed. Goes on behind what it returns. */
uint64_t target_cursor_rewind(struct target_cursor *cursor);

/* The store has nothing of ours: goes on at the beginning. */
void target_cursor_restart(struct target_cursor *cursor);

/* Makes it durable where it has moved. */
MUST_CHECK int target_cursor_save(struct target_cursor *cursor, struct message *message);

#endif
