/*
 * Dead letters: payloads that could not be read, kept with topic, bytes and reason, a JSON object a
 * line, so that one bad message stops nothing and is not forgotten. One thread.
 *
 * Bound: DEAD_LETTERS_MAX_BYTES of file; beyond it letters are counted only, until somebody moves
 * the file away: then a new one is begun. A payload that is still among the latest
 * DEAD_LETTERS_REMEMBERED written is not written again.
 */
#ifndef CENTRAL_DEAD_LETTERS_H
#define CENTRAL_DEAD_LETTERS_H

#include "base/attributes.h"
#include "base/clock.h"
#include "base/error.h"
#include "store/journal_io.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEAD_LETTERS_MAX_BYTES  (64 * 1024 * 1024)
#define DEAD_LETTERS_REMEMBERED 256

struct dead_letters;

/* Opens or makes the file at `path`. */
MUST_CHECK int dead_letters_open(const char *path, struct dead_letters **ret_letters,
                                 struct message *message);
/* The same on another disk than the machine's own. */
MUST_CHECK int dead_letters_open_on(const struct journal_io *io, const char *path,
                                    struct dead_letters **ret_letters, struct message *message);
void dead_letters_close(struct dead_letters *letters);

/* Keeps one, durably, or counts it where the file is full (0); or says why it could not: then the
 * payload must not be receipted. */
MUST_CHECK int dead_letters_add(struct dead_letters *letters, struct now now, const char *topic,
                                const void *payload, size_t len, const char *reason,
                                struct message *message);

/* How many were written since it was opened; how many were let go because the file was full. */
uint64_t dead_letters_written(const struct dead_letters *letters);
uint64_t dead_letters_lost(const struct dead_letters *letters);

/* Is it full, so that the next one is let go? */
bool dead_letters_are_full(struct dead_letters *letters);

#endif
