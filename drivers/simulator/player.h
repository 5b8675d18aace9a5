/*
 * Plays a recorded series into the memory of one simulated unit. Pure: told what was read, or the
 * time. Owned by the simulator's thread; it borrows the series, the map and the memory.
 *
 * In lock-step a row stays until each of its registers, and the map's clock, has been read once:
 * then the next one takes its place, and nothing is missed however slow or fast the reader is.
 * Free-running, rows follow each other as their stamps do, `speed` times as fast. The last row
 * stays for ever.
 */
#ifndef DRIVERS_SIMULATOR_PLAYER_H
#define DRIVERS_SIMULATOR_PLAYER_H

#include "base/attributes.h"
#include "drivers/modbus/register_map.h"
#include "drivers/simulator/replay.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct player {
    const struct replay *replay;
    const struct register_map *map;
    uint16_t *registers; /* by address */
    uint8_t *bits;
    bool lockstep;
    double speed;
    size_t row;
    int64_t row_us;                    /* free-running: when the row began */
    bool read[REPLAY_COLUMNS_MAX + 1]; /* lock-step: columns of this row; the last is the clock */
    bool finished;                     /* the last row has been read, or its time is over */
};

/* Puts the first row into the memory. `speed` 0: lock-step. */
void player_init(struct player *player, const struct replay *replay, const struct register_map *map,
                 uint16_t *registers, uint8_t *bits, double speed, int64_t now_us);

/* Lock-step: a reply with these registers, or bits, has gone out. */
void player_read(struct player *player, uint8_t function, uint16_t start, uint16_t count);

/* Free-running: it is that late. */
void player_step(struct player *player, int64_t now_us);

#endif
