/*
 * The series of a line-protocol store: the head of their lines (model/line_protocol.h) under a
 * number, and what is known of their points' stamps. A point has a series for each unit that it
 * was born with; its stamps are the point's, so that old and new ones are settled as one.
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
    size_t point; /* which of the points */
};

struct series_table {
    struct point_cache numbers; /* by head */
    struct series *list;
    size_t count, capacity;
    struct point_cache point_numbers; /* by the point's id */
    struct stamp_point *points;
    size_t point_count, point_capacity;
};

void series_init(struct series_table *table);
void series_release(struct series_table *table);

/* Forgets all of it: numbers given out are void. */
void series_clear(struct series_table *table);

/* The number of the point's series, from 0, made on first sight. ERR_FULL, ERR_NO_MEMORY. */
MUST_CHECK int series_number(struct series_table *table, const struct point_info *point,
                             int64_t *ret_number, struct message *message);

/* Of a series' point. Valid until another series is made. */
struct stamp_point *series_stamps(struct series_table *table, const struct series *series);

#endif
