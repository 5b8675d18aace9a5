#include "tests/world/sim_vfs.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Design notes
 *
 * A node is what connections to one file share: its locks and its shared memory. A process that
 * ended leaves handles which the world still closes, to free their memory: their node is out of the
 * table by then, its locks refuse, and it is freed with the last of them.
 */

#define LOCKS        8
#define REGIONS_MAX  64
#define SECTOR_BYTES 512

struct node {
    char path[SIM_PATH];
    struct sim_disk *disk;
    int handles;
    bool gone;
    int shared, reserved, exclusive; /* how many hold SHARED; does one hold RESERVED, EXCLUSIVE? */
    int slot_shared[LOCKS];
    bool slot_exclusive[LOCKS];
    void *regions[REGIONS_MAX];
    struct node *next;
};

struct vfs_file {
    sqlite3_file base; /* first */
    struct node *node;
    int fd;
    int level; /* SQLITE_LOCK_* */
    unsigned slots_shared, slots_exclusive;
    bool new_name; /* made by us, and its name not flushed yet */
    bool delete_on_close;
};

static struct {
    struct {
        char prefix[32];
        struct sim_disk *disk;
    } disks[SIM_VFS_DISKS];
    size_t count;
    struct node *nodes;
    uint64_t seed;
} vfs;

struct sim_disk *sim_vfs_disk(const char *path)
{
    for (size_t i = 0; i < vfs.count; i++) {
        size_t len = strlen(vfs.disks[i].prefix);
        if (strncmp(path, vfs.disks[i].prefix, len) == 0 && path[len] == '/')
            return vfs.disks[i].disk;
    }
    return NULL;
}

/* ---- nodes ---- */

static struct node *take_node(const char *path, struct sim_disk *disk)
{
    struct node *node = vfs.nodes;
    while (node && strcmp(node->path, path) != 0)
        node = node->next;
    if (!node) {
        node = calloc(1, sizeof(*node));
        if (!node)
            abort();
        snprintf(node->path, sizeof(node->path), "%s", path);
        node->disk = disk;
        node->next = vfs.nodes;
        vfs.nodes = node;
    }
    node->handles++;
    return node;
}

static void unlink_node(struct node *node)
{
    struct node **at = &vfs.nodes;
    while (*at && *at != node)
        at = &(*at)->next;
    if (*at)
        *at = node->next;
}

static void free_regions(struct node *node)
{
    for (size_t i = 0; i < REGIONS_MAX; i++) {
        free(node->regions[i]);
        node->regions[i] = NULL;
    }
}

static void release_node(struct node *node)
{
    if (--node->handles)
        return;
    if (!node->gone)
        unlink_node(node);
    free_regions(node);
    free(node);
}

void sim_vfs_forget(struct sim_disk *disk)
{
    for (struct node *node = vfs.nodes, *next; node; node = next) {
        next = node->next;
        if (node->disk != disk)
            continue;
        unlink_node(node);
        node->gone = true;
    }
}

/* ---- reading and writing ---- */

static const struct journal_io *io_of(const struct vfs_file *file)
{
    return &file->node->disk->io;
}

static int file_close(sqlite3_file *base)
{
    struct vfs_file *file = (struct vfs_file *)base;
    const struct journal_io *io = io_of(file);
    if (!file->node->gone)
        io->close(io->self, file->fd);
    if (file->delete_on_close && !file->node->gone)
        (void)!io->unlink(io->self, file->node->path);
    release_node(file->node);
    return SQLITE_OK;
}

static int file_read(sqlite3_file *base, void *data, int len, sqlite3_int64 at)
{
    struct vfs_file *file = (struct vfs_file *)base;
    const struct journal_io *io = io_of(file);
    size_t got = 0;
    if (file->node->gone || io->pread(io->self, file->fd, data, (size_t)len, (uint64_t)at, &got))
        return SQLITE_IOERR_READ;
    if (got == (size_t)len)
        return SQLITE_OK;
    memset((char *)data + got, 0, (size_t)len - got);
    return SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *base, const void *data, int len, sqlite3_int64 at)
{
    struct vfs_file *file = (struct vfs_file *)base;
    const struct journal_io *io = io_of(file);
    if (file->node->gone)
        return SQLITE_IOERR_WRITE;
    int err = io->pwrite(io->self, file->fd, data, (size_t)len, (uint64_t)at);
    return err == ERR_FULL ? SQLITE_FULL : err ? SQLITE_IOERR_WRITE : SQLITE_OK;
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    struct vfs_file *file = (struct vfs_file *)base;
    const struct journal_io *io = io_of(file);
    bool bad = file->node->gone || io->truncate(io->self, file->node->path, (uint64_t)size);
    return bad ? SQLITE_IOERR_TRUNCATE : SQLITE_OK;
}

/* As the machine's own: the folder too, the first time a new log is flushed. */
static int file_sync(sqlite3_file *base, int flags)
{
    (void)flags;
    struct vfs_file *file = (struct vfs_file *)base;
    const struct journal_io *io = io_of(file);
    if (file->node->gone || io->fsync(io->self, file->fd))
        return SQLITE_IOERR_FSYNC;
    if (file->new_name && io->sync_folder(io->self, ""))
        return SQLITE_IOERR_DIR_FSYNC;
    file->new_name = false;
    return SQLITE_OK;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *ret_size)
{
    struct vfs_file *file = (struct vfs_file *)base;
    const struct journal_io *io = io_of(file);
    uint64_t size = 0;
    if (file->node->gone || io->size(io->self, file->fd, &size))
        return SQLITE_IOERR_FSTAT;
    *ret_size = (sqlite3_int64)size;
    return SQLITE_OK;
}

/* ---- locks of the file ---- */

static int file_lock(sqlite3_file *base, int level)
{
    struct vfs_file *file = (struct vfs_file *)base;
    struct node *node = file->node;
    if (node->gone)
        return SQLITE_IOERR_LOCK;
    if (level <= file->level)
        return SQLITE_OK;
    int others = node->shared - (file->level >= SQLITE_LOCK_SHARED);
    int reserved = node->reserved - (file->level >= SQLITE_LOCK_RESERVED);
    if (node->exclusive || (level >= SQLITE_LOCK_RESERVED && reserved) ||
        (level == SQLITE_LOCK_EXCLUSIVE && others))
        return SQLITE_BUSY;
    node->shared += file->level < SQLITE_LOCK_SHARED;
    node->reserved += file->level < SQLITE_LOCK_RESERVED && level >= SQLITE_LOCK_RESERVED;
    node->exclusive += level == SQLITE_LOCK_EXCLUSIVE;
    file->level = level;
    return SQLITE_OK;
}

static int file_unlock(sqlite3_file *base, int level)
{
    struct vfs_file *file = (struct vfs_file *)base;
    struct node *node = file->node;
    if (level >= file->level)
        return SQLITE_OK;
    node->exclusive -= file->level == SQLITE_LOCK_EXCLUSIVE;
    node->reserved -= file->level >= SQLITE_LOCK_RESERVED;
    node->shared -= level == SQLITE_LOCK_NONE;
    file->level = level;
    return SQLITE_OK;
}

static int file_check_reserved(sqlite3_file *base, int *ret_reserved)
{
    *ret_reserved = ((struct vfs_file *)base)->node->reserved > 0;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *base, int op, void *arg)
{
    (void)base, (void)op, (void)arg;
    return SQLITE_NOTFOUND;
}

static int file_sector_size(sqlite3_file *base)
{
    (void)base;
    return SECTOR_BYTES;
}

static int file_traits(sqlite3_file *base)
{
    (void)base;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE; /* a write changes no byte beside it, as on Unix */
}

/* ---- shared memory ---- */

static int shm_map(sqlite3_file *base, int region, int size, int extend, void volatile **ret_at)
{
    struct node *node = ((struct vfs_file *)base)->node;
    *ret_at = NULL;
    if (region >= REGIONS_MAX)
        return SQLITE_IOERR_SHMMAP;
    if (!node->regions[region] && extend)
        node->regions[region] = calloc(1, (size_t)size);
    *ret_at = node->regions[region];
    return SQLITE_OK;
}

static bool slot_is_free(const struct node *node, const struct vfs_file *file, int slot,
                         bool exclusive)
{
    unsigned bit = 1U << slot;
    int own = (file->slots_shared & bit) != 0;
    if (node->slot_exclusive[slot] && !(file->slots_exclusive & bit))
        return false;
    return !exclusive || node->slot_shared[slot] == own;
}

static void hold_slot(struct vfs_file *file, int slot, bool exclusive)
{
    unsigned bit = 1U << slot;
    if (exclusive) {
        file->node->slot_exclusive[slot] = true;
        file->slots_exclusive |= bit;
    } else if (!(file->slots_shared & bit)) {
        file->node->slot_shared[slot]++;
        file->slots_shared |= bit;
    }
}

static void let_slot(struct vfs_file *file, int slot)
{
    unsigned bit = 1U << slot;
    if (file->slots_exclusive & bit)
        file->node->slot_exclusive[slot] = false;
    if (file->slots_shared & bit)
        file->node->slot_shared[slot]--;
    file->slots_exclusive &= ~bit;
    file->slots_shared &= ~bit;
}

static int shm_lock(sqlite3_file *base, int slot, int count, int flags)
{
    struct vfs_file *file = (struct vfs_file *)base;
    bool exclusive = flags & SQLITE_SHM_EXCLUSIVE;
    if (flags & SQLITE_SHM_UNLOCK) {
        for (int i = slot; i < slot + count; i++)
            let_slot(file, i);
        return SQLITE_OK;
    }
    if (file->node->gone)
        return SQLITE_IOERR_SHMLOCK;
    for (int i = slot; i < slot + count; i++)
        if (!slot_is_free(file->node, file, i, exclusive))
            return SQLITE_BUSY;
    for (int i = slot; i < slot + count; i++)
        hold_slot(file, i, exclusive);
    return SQLITE_OK;
}

static void shm_barrier(sqlite3_file *base)
{
    (void)base;
}

/* The memory goes with the last handle: nobody else has the file then. */
static int shm_unmap(sqlite3_file *base, int delete)
{
    (void)delete;
    struct vfs_file *file = (struct vfs_file *)base;
    for (int i = 0; i < LOCKS; i++)
        let_slot(file, i);
    return SQLITE_OK;
}

/* ---- the VFS ---- */

static const sqlite3_io_methods METHODS = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_traits,
    .xShmMap = shm_map,
    .xShmLock = shm_lock,
    .xShmBarrier = shm_barrier,
    .xShmUnmap = shm_unmap,
};

static int vfs_open(sqlite3_vfs *self, const char *path, sqlite3_file *base, int flags,
                    int *ret_flags)
{
    (void)self;
    struct vfs_file *file = (struct vfs_file *)base;
    *file = (struct vfs_file){.fd = -1};
    struct sim_disk *disk = path ? sim_vfs_disk(path) : NULL;
    if (!disk)
        return SQLITE_CANTOPEN;
    bool create = flags & SQLITE_OPEN_CREATE;
    bool made = create && !sim_disk_holds(disk, path);
    if (disk->io.open(disk->io.self, path, create, &file->fd))
        return SQLITE_CANTOPEN;
    file->new_name = made && (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL));
    file->delete_on_close = flags & SQLITE_OPEN_DELETEONCLOSE;
    file->node = take_node(path, disk);
    file->base.pMethods = &METHODS;
    if (ret_flags)
        *ret_flags = flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *self, const char *path, int sync_folder)
{
    (void)self;
    struct sim_disk *disk = sim_vfs_disk(path);
    int err = disk ? disk->io.unlink(disk->io.self, path) : ERR_NOT_FOUND;
    if (err == ERR_NOT_FOUND)
        return SQLITE_IOERR_DELETE_NOENT;
    if (!err && sync_folder)
        err = disk->io.sync_folder(disk->io.self, "");
    return err ? SQLITE_IOERR_DELETE : SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *self, const char *path, int flags, int *ret_result)
{
    (void)self, (void)flags;
    const struct sim_disk *disk = sim_vfs_disk(path);
    *ret_result = disk && sim_disk_holds(disk, path);
    return SQLITE_OK;
}

static int vfs_full_path(sqlite3_vfs *self, const char *path, int size, char *ret_path)
{
    (void)self;
    snprintf(ret_path, (size_t)size, "%s", path);
    return SQLITE_OK;
}

static int vfs_randomness(sqlite3_vfs *self, int len, char *ret_bytes)
{
    (void)self;
    for (int i = 0; i < len; i++)
        ret_bytes[i] = (char)sim_random(&vfs.seed);
    return len;
}

static int vfs_sleep(sqlite3_vfs *self, int us)
{
    (void)self;
    return us;
}

static int vfs_time(sqlite3_vfs *self, sqlite3_int64 *ret_ms)
{
    (void)self;
    *ret_ms = INT64_C(212866444800000); /* a day like another: the product keeps its own time */
    return SQLITE_OK;
}

void sim_vfs_register(void)
{
    static sqlite3_vfs self = {
        .iVersion = 2,
        .szOsFile = sizeof(struct vfs_file),
        .mxPathname = SIM_PATH,
        .zName = "simulated",
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_path,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTimeInt64 = vfs_time,
    };
    if (sqlite3_vfs_register(&self, 1) != SQLITE_OK)
        abort();
}

void sim_vfs_mount(const char *prefix, struct sim_disk *disk)
{
    if (vfs.count == SIM_VFS_DISKS)
        abort();
    snprintf(vfs.disks[vfs.count].prefix, sizeof(vfs.disks[0].prefix), "%s", prefix);
    vfs.disks[vfs.count++].disk = disk;
}

void sim_vfs_reset(uint64_t seed)
{
    vfs.count = 0;
    vfs.seed = seed;
    sqlite3_randomness(0, NULL); /* the next numbers come from the seed */
}
