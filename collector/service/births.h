/*
 * Births by name, with a number of the consumer's own for each of their points: what data records
 * refer to. A cache over the consumer's database: bounded, the oldest goes.
 *
 * Owned by one thread.
 */
#ifndef SERVICE_BIRTHS_H
#define SERVICE_BIRTHS_H

#include "base/attributes.h"
#include "base/error.h"
#include "model/record.h"

#include <stddef.h>
#include <stdint.h>

#define BIRTHS_MAX 1024

struct birth {
    char name[BIRTH_SIZE];
    size_t count;
    int64_t numbers[RECORD_MAX_POINTS]; /* the consumer's, by the point's place in the birth */
};

struct births {
    struct birth **list;
    size_t count, next;
};

/* Where births come from: the consumer's database, and what it calls their points. */
struct births_source {
    void *self;
    /* Appends the birth's verbatim payload; ERR_NOT_FOUND. */
    int (*load)(void *self, const char *name, struct buffer *out, struct message *message);
    /* The consumer's number of a point. */
    int (*number)(void *self, const struct point_info *point, int64_t *ret_number,
                  struct message *message);
};

void births_init(struct births *births);
void births_release(struct births *births);

/* Forgets all: after a rollback the numbers may be void. */
void births_clear(struct births *births);

/* Takes a parsed birth. */
MUST_CHECK int births_add(struct births *births, const char *name, const struct record *record,
                          const struct births_source *source, struct message *message);

/* The birth of that name, loaded where it must be. Valid until the next call. ERR_NOT_FOUND. */
MUST_CHECK int births_get(struct births *births, const char *name,
                          const struct births_source *source, const struct birth **ret_birth,
                          struct message *message);

#endif
