#include "tests/world/spoil.h"

#include "store/journal_meta.h"
#include "tests/world/world.h"

#include <stdio.h>
#include <string.h>

/* Where what was written between both places ends. */
static uint64_t used_end(const struct sim_disk *disk, const char *path, uint64_t from, uint64_t to)
{
    while (to > from && !sim_disk_byte(disk, path, to - 1))
        to--;
    return to;
}

/* Any segment of a stream; mostly the newest, which holds what the centre may not have. Not of the
 * first stream: where a birth or the record of a loss is spoiled before the centre has it, nothing
 * can tell of it. */
static const char *pick_segment(const struct sim_disk *disk, uint32_t value, uint64_t *ret_len)
{
    const char *picked = NULL;
    char letter = STREAM_LETTERS[1 + value % (STREAM_COUNT - 1)];
    size_t count = 0;
    for (size_t i = 0; i < sim_disk_count(disk, ".seg"); i++)
        count += strrchr(sim_disk_path(disk, ".seg", i), '/')[1] == letter;
    size_t left = value / 16 % 4 == 0 && count ? value / 32 % count + 1 : count;
    for (size_t i = 0; left; i++) {
        picked = sim_disk_path(disk, ".seg", i);
        left -= strrchr(picked, '/')[1] == letter;
    }
    *ret_len = picked ? used_end(disk, picked, 0, sim_disk_size(disk, picked)) : 0;
    return *ret_len > 0 ? picked : NULL;
}

bool spoil_bit(struct world *world, const struct fault_event *event)
{
    struct sim_disk *disk = &world_machine(world, event->node)->disk;
    uint64_t len;
    const char *path = pick_segment(disk, event->value, &len);
    if (!path)
        return false;
    uint64_t at = event->value / 64 % len;
    oracle_spoiled(world, event->node, path, at, 1);
    sim_disk_damage(disk, path, at, (uint8_t)(1U << event->value % 8));
    return true;
}

bool spoil_block(struct world *world, const struct fault_event *event)
{
    struct sim_disk *disk = &world_machine(world, event->node)->disk;
    uint64_t len;
    const char *path = pick_segment(disk, event->value, &len);
    if (!path || len < 4 * SIM_SECTOR)
        return false;
    uint64_t to = event->value / 64 % (len - 3 * SIM_SECTOR);
    uint64_t from = to + 256 + event->value / 7 % 1024;
    oracle_spoiled(world, event->node, path, to, 2 * SIM_SECTOR);
    for (uint64_t i = 0; i < 2 * SIM_SECTOR; i++) {
        uint8_t there = sim_disk_byte(disk, path, to + i);
        uint8_t other = sim_disk_byte(disk, path, from + i);
        sim_disk_damage(disk, path, to + i, there ^ other);
    }
    return true;
}

bool spoil_marks(struct world *world, const struct fault_event *event)
{
    struct sim_disk *disk = &world_machine(world, event->node)->disk;
    char path[SIM_PATH];
    snprintf(path, sizeof(path), "%s/" META_FILE, world->edges[event->node].folder);
    uint64_t from = event->value % 2 * META_SLOT_BYTES;
    if (!sim_disk_holds(disk, path))
        return false;
    uint64_t end = used_end(disk, path, from, from + META_SLOT_BYTES);
    if (end == from)
        return false;
    world->oracle.edges[event->node].marks_spoiled = true;
    sim_disk_damage(disk, path, from + event->value / 16 % (end - from),
                    (uint8_t)(1U << event->value / 2 % 8));
    return true;
}
