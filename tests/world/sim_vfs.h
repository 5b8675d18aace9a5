/*
 * SQLite on simulated disks: a VFS that lays every file on the disk its path begins with, so that a
 * power cut, a full disk and a failing flush meet the databases as well as the journals. It stands
 * in for the machine's own VFS; db_file.h is answered from the same disks (sim_files.c).
 *
 * Shared memory and locks live as long as the process that holds them: sim_vfs_forget takes those
 * of a disk away, as the end of a process does. One thread.
 */
#ifndef TESTS_WORLD_SIM_VFS_H
#define TESTS_WORLD_SIM_VFS_H

#include "tests/unit/support/sim_disk.h"

#include <stdint.h>

#define SIM_VFS_DISKS 8

/* Makes it SQLite's default, once for the process. */
void sim_vfs_register(void);

/* Paths "PREFIX/…" lie on that disk from now on; forgets all disks; the next random numbers. */
void sim_vfs_mount(const char *prefix, struct sim_disk *disk);
void sim_vfs_reset(uint64_t seed);

/* The process that had files of this disk open is gone. */
void sim_vfs_forget(struct sim_disk *disk);

/* The disk a path lies on; NULL: none of ours. */
struct sim_disk *sim_vfs_disk(const char *path);

#endif
