#include "drivers/simulator/player.h"

#include "base/clock.h"
#include "drivers/simulator/encode.h"

#include <math.h>
#include <string.h>

/* The register's value into the unit's memory. A type that holds no number reads as zero. */
static void put(struct player *player, size_t reg, double value)
{
    const struct map_register *at = register_map_at(player->map, reg);
    if (at->type == REGISTER_BIT)
        player->bits[at->address] = value >= 0.5;
    else
        (void)!encode_registers(at, value, player->registers);
}

static void show_row(struct player *player)
{
    int clock = register_map_clock(player->map);
    for (size_t i = 0; i < replay_columns(player->replay); i++)
        put(player, replay_register(player->replay, i),
            replay_value(player->replay, player->row, i));
    if (clock >= 0)
        put(player, (size_t)clock, (double)replay_time(player->replay, player->row));
    memset(player->read, 0, sizeof(player->read));
}

static bool is_last(const struct player *player)
{
    return player->row + 1 == replay_rows(player->replay);
}

void player_init(struct player *player, const struct replay *replay, const struct register_map *map,
                 uint16_t *registers, uint8_t *bits, double speed, int64_t now_us)
{
    *player = (struct player){.replay = replay,
                              .map = map,
                              .registers = registers,
                              .bits = bits,
                              .lockstep = !(speed > 0),
                              .speed = speed,
                              .row_us = now_us};
    show_row(player);
}

static bool covers(const struct player *player, size_t reg, uint8_t function, uint16_t start,
                   uint16_t count)
{
    const struct map_register *at = register_map_at(player->map, reg);
    return at->function == function && at->address >= start &&
           at->address + at->words <= start + count;
}

static bool all_read(const struct player *player)
{
    size_t columns = replay_columns(player->replay);
    for (size_t i = 0; i < columns; i++)
        if (!player->read[i])
            return false;
    return register_map_clock(player->map) < 0 || player->read[columns];
}

void player_read(struct player *player, uint8_t function, uint16_t start, uint16_t count)
{
    size_t columns = replay_columns(player->replay);
    int clock = register_map_clock(player->map);
    if (!player->lockstep)
        return;
    for (size_t i = 0; i < columns; i++)
        if (covers(player, replay_register(player->replay, i), function, start, count))
            player->read[i] = true;
    if (clock >= 0 && covers(player, (size_t)clock, function, start, count))
        player->read[columns] = true;
    if (!all_read(player))
        return;
    if (is_last(player)) {
        player->finished = true;
        return;
    }
    player->row++;
    show_row(player);
}

/* How long the present row lasts; 0 where the recorder's clock went back. */
static int64_t row_lasts_us(const struct player *player)
{
    int64_t ms =
        replay_time(player->replay, player->row + 1) - replay_time(player->replay, player->row);
    return ms > 0 ? (int64_t)((double)ms * US_PER_MS / player->speed) : 0;
}

void player_step(struct player *player, int64_t now_us)
{
    size_t before = player->row;
    if (player->lockstep)
        return;
    while (!is_last(player) && now_us - player->row_us >= row_lasts_us(player)) {
        player->row_us += row_lasts_us(player);
        player->row++;
    }
    player->finished = is_last(player);
    if (player->row != before)
        show_row(player);
}
