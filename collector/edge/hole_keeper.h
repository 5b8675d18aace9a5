/*
 * Keeps what instruments taught (service/learned_holes.h) over restarts of this edge, and tells
 * when it cannot. Without it all goes on: they teach it again.
 *
 * Plain data, owned by the main thread.
 */
#ifndef EDGE_HOLE_KEEPER_H
#define EDGE_HOLE_KEEPER_H

#include "base/clock.h"
#include "base/log.h"
#include "service/learned_holes.h"

struct hole_keeper {
    struct learned_holes *holes; /* NULL: there is a file, and it cannot be read */
    struct complaint complaint;
    bool full_told;
};

/* Reads the file beside the journal. */
void hole_keeper_open(struct hole_keeper *keeper, const char *journal);
void hole_keeper_close(struct hole_keeper *keeper);

/* Writes it if there is news; tells once when there is no room for more. */
void hole_keeper_save(struct hole_keeper *keeper, struct now now);

#endif
