#include "tests/world/machine.h"

#include "base/numbers.h"
#include "tests/world/sim_vfs.h"
#include "tests/world/world.h"

#include <string.h>

#define BOOT_US (20 * (int64_t)US_PER_S) /* what the monotonic clock shows when programs start */

void machine_init(struct machine *machine, uint64_t seed)
{
    *machine = (struct machine){.seed = seed, .start_us = NEVER};
    sim_disk_init(&machine->disk, sim_random(&machine->seed));
    sim_disk_init(&machine->backup, 0);
    machine_boot(machine, 0);
}

void machine_release(struct machine *machine)
{
    sim_disk_release(&machine->disk);
    sim_disk_release(&machine->backup);
}

void machine_name(struct machine *machine, char ret_name[33])
{
    uint64_t words[2] = {sim_random(&machine->seed), sim_random(&machine->seed)};
    print_hex((const uint8_t *)words, sizeof(words), ret_name);
}

void machine_boot(struct machine *machine, int64_t now_us)
{
    machine->boot_us = now_us - BOOT_US;
    machine_name(machine, machine->boot);
}

struct now machine_now(const struct machine *machine, int64_t now_us)
{
    return (struct now){.mono_us = now_us - machine->boot_us,
                        .wall_ms = WORLD_T0 + now_us / US_PER_MS + machine->offset_ms,
                        .sync = machine->offset_ms == 0};
}

void machine_die(struct machine *machine, bool cut)
{
    sim_vfs_forget(&machine->disk);
    if (cut)
        sim_disk_cut(&machine->disk);
    else
        sim_disk_kill(&machine->disk);
    machine->disk.dead = true;
}

void machine_alive(struct machine *machine)
{
    machine->disk.dead = false;
}

void machine_backup(struct machine *machine)
{
    sim_disk_release(&machine->backup);
    sim_disk_init(&machine->backup, 0);
    sim_disk_copy(&machine->disk, &machine->backup);
    machine->has_backup = true;
}

void machine_restore(struct machine *machine)
{
    struct sim_tally tally = machine->disk.tally;
    sim_disk_release(&machine->disk);
    sim_disk_init(&machine->disk, sim_random(&machine->seed));
    sim_disk_copy(&machine->backup, &machine->disk);
    machine->disk.tally = tally;
}

void machine_look(struct machine *machine, struct machine_faults *ret_faults)
{
    struct sim_disk *disk = &machine->disk;
    *ret_faults = (struct machine_faults){.fail_at = disk->fail_at,
                                          .dead_at = disk->dead_at,
                                          .dead_ops = disk->dead_ops,
                                          .ops = disk->ops,
                                          .fail_one_in = disk->fail_one_in,
                                          .seed = disk->seed};
    disk->fail_at = disk->dead_at = 0;
    disk->fail_one_in = disk->dead_ops = 0;
}

void machine_look_end(struct machine *machine, const struct machine_faults *faults)
{
    struct sim_disk *disk = &machine->disk;
    disk->fail_at = faults->fail_at;
    disk->dead_at = faults->dead_at;
    disk->dead_ops = faults->dead_ops;
    disk->ops = faults->ops;
    disk->fail_one_in = faults->fail_one_in;
    disk->seed = faults->seed;
}
