/*
 * The historian: a reader of the central journal that keeps every sample in the embedded store. One
 * thread runs historian_step; historian_lag and historian_stored may be asked by any.
 */
#ifndef CENTRAL_HISTORIAN_H
#define CENTRAL_HISTORIAN_H

#include "base/attributes.h"
#include "base/clock.h"
#include "base/error.h"
#include "store/journal.h"

#include <stdint.h>

struct historian;

/* Opens the store at `path`, as its only writer, and goes on where it ended. */
MUST_CHECK int historian_open(const char *path, struct journal *journal,
                              struct historian **ret_historian, struct message *message);
void historian_close(struct historian *historian);

/* A worker's step; `self` is the historian. */
int64_t historian_step(void *self, struct now now);

uint64_t historian_lag(struct historian *historian);

/* Samples in the store. */
uint64_t historian_stored(struct historian *historian);

#endif
