/*
 * Plays a recorded series into the memory of one simulated unit. Pure: told what was read, or the
 * time. Owned by the simulator's thread; it borrows the series, the map and the memory.
 *
 * In lock-step a row stays until each of its registers, and the map's clock, has been read over one
 * connection and the next request comes over it: who asks again has got the answer, and one whose
 * connection broke reads the row again, so that a reader misses nothing however slow, fast or
 * unlucky it is. Of several readers the first to ask again moves them all on. On a serial line,
 * which is one connection, an answer that got lost cannot be told from one that came. Free-running,
 * rows follow each other as their stamps do, `speed` times as fast. The last row stays for ever.
 */
#ifndef DRIVERS_SIMULATOR_PLAYER_H
#define DRIVERS_SIMULATOR_PLAYER_H

#include "base/attributes.h"
#include "drivers/modbus/register_map.h"
#include "drivers/simulator/replay.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of whom a row keeps in mind what they have read of it; beyond, the oldest begins anew. */
#define PLAYER_READERS_MAX 64

struct player_reader {
    uint64_t connection;
    bool read[REPLAY_COLUMNS_MAX + 1]; /* columns of the row; behind the last one the clock */
    bool whole;                        /* it has read all of them */
};

struct player {
    const struct replay *replay;
    const struct register_map *map;
    uint16_t *registers; /* by address */
    uint8_t *bits;
    bool lockstep;
    double speed;
    size_t row;
    int64_t begin_us;            /* free-running: when the first row began */
    int64_t played_ms;           /* and when this one did, in the series' time from the first */
    bool finished;               /* the last row has been read, or its time has come */
    size_t reader_count, oldest; /* lock-step: who has read of this row */
    struct player_reader readers[PLAYER_READERS_MAX];
};

/* Puts the first row into the memory. `speed` 0: lock-step. */
void player_init(struct player *player, const struct replay *replay, const struct register_map *map,
                 uint16_t *registers, uint8_t *bits, double speed, int64_t now_us);

/* Lock-step: a reply with these registers, or bits, has gone out over that connection. */
void player_read(struct player *player, uint64_t connection, uint8_t function, uint16_t start,
                 uint16_t count);

/* Lock-step: a request has come over that connection, and is not answered yet. */
void player_request(struct player *player, uint64_t connection);

/* Free-running: it is that late. */
void player_step(struct player *player, int64_t now_us);

#endif
