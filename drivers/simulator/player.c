#include "drivers/simulator/player.h"

#include "base/clock.h"
#include "drivers/simulator/encode.h"

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
    player->reader_count = player->oldest = 0;
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
                              .begin_us = now_us};
    show_row(player);
}

/* ---- lock-step ---- */

static struct player_reader *find_reader(struct player *player, uint64_t connection)
{
    for (size_t i = 0; i < player->reader_count; i++)
        if (player->readers[i].connection == connection)
            return &player->readers[i];
    return NULL;
}

static struct player_reader *add_reader(struct player *player, uint64_t connection)
{
    struct player_reader *reader;
    if (player->reader_count < PLAYER_READERS_MAX)
        reader = &player->readers[player->reader_count++];
    else
        reader = &player->readers[player->oldest++ % PLAYER_READERS_MAX];
    *reader = (struct player_reader){.connection = connection};
    return reader;
}

static bool covers(const struct player *player, size_t reg, uint8_t function, uint16_t start,
                   uint16_t count)
{
    const struct map_register *at = register_map_at(player->map, reg);
    return at->function == function && at->address >= start &&
           at->address + at->words <= start + count;
}

static bool all_read(const struct player *player, const struct player_reader *reader)
{
    size_t columns = replay_columns(player->replay);
    for (size_t i = 0; i < columns; i++)
        if (!reader->read[i])
            return false;
    return register_map_clock(player->map) < 0 || reader->read[columns];
}

void player_read(struct player *player, uint64_t connection, uint8_t function, uint16_t start,
                 uint16_t count)
{
    size_t columns = replay_columns(player->replay);
    int clock = register_map_clock(player->map);
    if (!player->lockstep)
        return;
    struct player_reader *reader = find_reader(player, connection);
    if (!reader)
        reader = add_reader(player, connection);
    for (size_t i = 0; i < columns; i++)
        if (covers(player, replay_register(player->replay, i), function, start, count))
            reader->read[i] = true;
    if (clock >= 0 && covers(player, (size_t)clock, function, start, count))
        reader->read[columns] = true;
    reader->whole = all_read(player, reader);
    player->finished |= reader->whole && is_last(player);
}

void player_request(struct player *player, uint64_t connection)
{
    const struct player_reader *reader = find_reader(player, connection);
    if (!reader || !reader->whole || is_last(player))
        return;
    player->row++;
    show_row(player);
}

/* ---- free-running ---- */

/* The series' time until the next row, reckoned from the first: a recorder's clock that went back
 * took none. */
static int64_t next_ms(const struct player *player)
{
    int64_t ms =
        replay_time(player->replay, player->row + 1) - replay_time(player->replay, player->row);
    return player->played_ms + (ms > 0 ? ms : 0);
}

void player_step(struct player *player, int64_t now_us)
{
    size_t before = player->row;
    if (player->lockstep)
        return;
    double played_ms = (double)(now_us - player->begin_us) / US_PER_MS * player->speed;
    while (!is_last(player) && (double)next_ms(player) <= played_ms) {
        player->played_ms = next_ms(player);
        player->row++;
    }
    player->finished = is_last(player);
    if (player->row != before)
        show_row(player);
}
