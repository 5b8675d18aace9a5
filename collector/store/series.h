/*
 * The series of a line-protocol store: the head of their lines (model/line_protocol.h) and the
 * stamps given out, under a number. Points whose heads are equal are one series, whatever their
 * names: so their samples never overwrite each other.
 *
 * Owned by one thread. At most SERIES_MAX: beyond, ERR_FULL, and the owner forgets all and begins
 * anew.
 */
#ifndef STORE_SERIES_H
#define STORE_SERIES_H

#include "base/attributes.h"
#include "base/error.h"
#include "model/sample.h"
#include "store/point_cache.h"
#include "store/stamps.h"

#include <stddef.h>
#include <stdint.h>

#define SERIES_MAX 250000

struct series {
    char *head;
    size_t len;
    struct stamps stamps;
};

struct series_table {
    struct point_cache numbers; /* by head */
    struct series *list;
    size_t count, capacity;
};

void series_init(struct series_table *table);
void series_release(struct series_table *table);

/* Forgets all of it: numbers given out are void. */
void series_clear(struct series_table *table);

/* Forgets the stamps; numbers stay. */
void series_forget_stamps(struct series_table *table);

/* The number of the point's series, from 0, made on first sight. ERR_FULL, ERR_NO_MEMORY. */
MUST_CHECK int series_number(struct series_table *table, const struct point_info *point,
                             int64_t *ret_number, struct message *message);

#endif
