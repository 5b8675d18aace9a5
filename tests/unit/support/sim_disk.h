/*
 * A disk in memory that forgets, fails and lies as real ones do, behind a struct journal_io.
 *
 * What is written lies in a cache until it is flushed. A power cut keeps of the rest any sectors,
 * any sizes, and of the folder's changes any that were not flushed. A write that fails, or finds no
 * room for all, leaves a part. A flush that fails forgets
 * what it should have written, and the next one says that all is well. Driven by a seed; used by
 * one thread. The folders of paths are not kept: a path is a name.
 */
#ifndef TESTS_SIM_DISK_H
#define TESTS_SIM_DISK_H

#include "store/journal_io.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_SECTOR 512
#define SIM_PATH   128

enum sim_op {
    SIM_READ,
    SIM_WRITE,
    SIM_SYNC,
    SIM_OPEN,
    SIM_RENAME,
    SIM_UNLINK,
    SIM_RESERVE,
    SIM_TRUNCATE,
    SIM_SYNC_FOLDER,
    SIM_OP_COUNT,
};

struct sim_file;

struct sim_entry {
    char path[SIM_PATH];
    struct sim_file *file;
};

/* A change of the folder that is not flushed yet; an empty path: nothing at that end. */
struct sim_change {
    char from[SIM_PATH], to[SIM_PATH];
    struct sim_file *file;
};

/* What failed so far, and was meant to. */
struct sim_tally {
    uint64_t failed[SIM_OP_COUNT];
    uint64_t full,
        full_in_part; /* calls that found no room; … that wrote what there was room for */
};

struct sim_disk {
    struct journal_io io;
    uint64_t seed;
    uint64_t capacity;    /* bytes; 0: no end */
    uint64_t ops;         /* calls that could have failed */
    uint64_t fail_at;     /* the call of this number fails, from 1; 0: none … */
    bool fail_on;         /* … and all after it */
    uint32_t fail_one_in; /* random failures of `fail_ops` (bits of sim_op); 0: none */
    uint32_t fail_ops;
    uint64_t failures; /* so far */
    struct sim_tally tally;
    bool no_reserve;   /* cannot reserve space, and says that it did */
    bool dead;         /* nothing reaches it: for a process that is gone */
    uint64_t dead_at;  /* the power goes at the call of this number; 0: it stays */
    uint32_t dead_ops; /* … at the call behind the next one of these kinds (bits of sim_op) … */
    uint32_t dead_skip; /* … when so many have passed */

    struct sim_file **files;
    size_t file_count;
    struct sim_entry *cached, *durable;
    size_t cached_count, durable_count;
    struct sim_change *changes;
    size_t change_count;
    struct {
        struct sim_file *file;
        bool locked;
    } fds[64];
};

void sim_disk_init(struct sim_disk *disk, uint64_t seed);
void sim_disk_release(struct sim_disk *disk);

/* The next number of the seed's row. */
uint64_t sim_random(uint64_t *seed);
uint32_t sim_below(uint64_t *seed, uint32_t bound);

/* Everything that has a file open is gone, and what was not flushed is a matter of luck. */
void sim_disk_cut(struct sim_disk *disk);

/* As sim_disk_cut, but the machine lives on: all that was written stays. */
void sim_disk_kill(struct sim_disk *disk);

/* How many files have `ending`; the path of the n-th. NULL when there are fewer. */
size_t sim_disk_count(const struct sim_disk *disk, const char *ending);
const char *sim_disk_path(const struct sim_disk *disk, const char *ending, size_t n);

uint64_t sim_disk_size(const struct sim_disk *disk, const char *path);
uint64_t sim_disk_used(const struct sim_disk *disk);

/* Changes a byte of the file for good: cache and disk. */
void sim_disk_damage(struct sim_disk *disk, const char *path, uint64_t at, uint8_t xor_with);
uint8_t sim_disk_byte(const struct sim_disk *disk, const char *path, uint64_t at);
void sim_disk_cut_file(struct sim_disk *disk, const char *path, uint64_t len);
bool sim_disk_holds(const struct sim_disk *disk, const char *path);

/* As a backup would: every file of `from` as it is in the cache, durable on `to`. */
void sim_disk_copy(const struct sim_disk *from, struct sim_disk *to);

void sim_disk_remove(struct sim_disk *disk, const char *path);
void sim_disk_put(struct sim_disk *disk, const char *path, const void *data, size_t len);

#endif
