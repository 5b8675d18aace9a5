/*
 * What the product asks of the machine outside of a journal_io, answered from the simulated disks
 * and the world's clock: linked before the archive, so that store/db_file.c stays out, and by
 * --wrap for single functions of files that are otherwise the product's own.
 */
#include "tests/world/sim_files.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "store/db_file.h"
#include "tests/world/sim_vfs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int db_file_create(const char *path, bool *ret_created, struct message *message)
{
    struct sim_disk *disk = sim_vfs_disk(path);
    int fd;
    *ret_created = false;
    if (sim_disk_holds(disk, path))
        return 0;
    int err = disk->io.open(disk->io.self, path, true, &fd);
    if (err)
        return message_set(message, err, "cannot create %s", path);
    disk->io.close(disk->io.self, fd);
    err = disk->io.sync_folder(disk->io.self, "");
    if (err)
        return message_set(message, err, "cannot make the name %s durable", path);
    *ret_created = true;
    return 0;
}

bool db_file_exists(const char *path)
{
    return sim_disk_holds(sim_vfs_disk(path), path);
}

bool db_file_has_log(const char *path)
{
    char log[SIM_PATH];
    const struct sim_disk *disk = sim_vfs_disk(path);
    snprintf(log, sizeof(log), "%s-wal", path);
    return sim_disk_holds(disk, log) && sim_disk_size(disk, log) > 0;
}

/* ---- time and costly arithmetic ---- */

/* The limits of statements: no statement of the world takes long in virtual time. */
static struct virtual_clock statement_clock;

struct clock *__wrap_clock_real(void);
struct clock *__wrap_clock_real(void)
{
    if (!statement_clock.clock.read)
        virtual_clock_init(&statement_clock, 0);
    return &statement_clock.clock;
}

/* Nobody logs in here: argon2 would be most of the run. */
int __wrap_password_hash(const char *password, char ret_hash[PASSWORD_HASH_SIZE]);
int __wrap_password_hash(const char *password, char ret_hash[PASSWORD_HASH_SIZE])
{
    (void)password;
    snprintf(ret_hash, PASSWORD_HASH_SIZE, "none");
    return 0;
}

/* ---- a process that ends itself ---- */

static jmp_buf *end_of_process;

void sim_process_guard(jmp_buf *jump)
{
    end_of_process = jump;
}

_Noreturn void __real_abort(void);
_Noreturn void __wrap_abort(void);
_Noreturn void __wrap_abort(void)
{
    if (end_of_process)
        longjmp(*end_of_process, 1);
    __real_abort();
}
