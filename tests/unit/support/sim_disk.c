#include "tests/unit/support/sim_disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sim_file {
    uint8_t *cached, *durable;   /* both of `room` bytes, zeros behind their ends */
    uint8_t *dirty;              /* by sector */
    size_t dirty_from, dirty_to; /* no sector outside is */
    size_t room;
    uint64_t cached_len, durable_len;
    uint64_t reserved;
    bool locked;
};

uint64_t sim_random(uint64_t *seed)
{
    uint64_t z = (*seed += 0x9e3779b97f4a7c15U);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

uint32_t sim_below(uint64_t *seed, uint32_t bound)
{
    return (uint32_t)((sim_random(seed) >> 32) * bound >> 32);
}

static void *must(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

static bool fails(struct sim_disk *disk, enum sim_op op)
{
    if (disk->dead) {
        errno = EIO;
        return true;
    }
    disk->ops++;
    if (disk->dead_at && disk->ops >= disk->dead_at) {
        disk->dead = true;
        errno = EIO;
        return true;
    }
    if (disk->dead_ops & 1U << op && !disk->dead_skip--) {
        disk->dead_ops = 0;
        disk->dead_at = disk->ops + 1;
    }
    bool now = disk->fail_at &&
               (disk->ops == disk->fail_at || (disk->fail_on && disk->ops > disk->fail_at));
    if (!now && disk->fail_one_in && (disk->fail_ops & 1U << op))
        now = sim_below(&disk->seed, disk->fail_one_in) == 0;
    disk->failures += now;
    disk->tally.failed[op] += now;
    if (now)
        errno = EIO;
    return now;
}

/* ---- files ---- */

static void make_room(struct sim_file *file, size_t room)
{
    room = (room + SIM_SECTOR - 1) / SIM_SECTOR * SIM_SECTOR;
    if (room <= file->room)
        return;
    if (room < 2 * file->room)
        room = 2 * file->room;
    file->cached = must(realloc(file->cached, room));
    file->durable = must(realloc(file->durable, room));
    file->dirty = must(realloc(file->dirty, room / SIM_SECTOR));
    memset(file->cached + file->room, 0, room - file->room);
    memset(file->durable + file->room, 0, room - file->room);
    memset(file->dirty + file->room / SIM_SECTOR, 0, (room - file->room) / SIM_SECTOR);
    file->room = room;
}

static struct sim_entry *find(struct sim_entry *entries, size_t count, const char *path)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(entries[i].path, path) == 0)
            return &entries[i];
    return NULL;
}

static void set_entry(struct sim_entry **entries, size_t *count, const char *path,
                      struct sim_file *file)
{
    struct sim_entry *entry = find(*entries, *count, path);
    if (!file) {
        if (entry)
            *entry = (*entries)[--*count];
        return;
    }
    if (!entry) {
        *entries = must(reallocarray(*entries, *count + 1, sizeof(**entries)));
        entry = &(*entries)[(*count)++];
        snprintf(entry->path, sizeof(entry->path), "%s", path);
    }
    entry->file = file;
}

static struct sim_file *lookup(const struct sim_disk *disk, const char *path)
{
    const struct sim_entry *entry = find(disk->cached, disk->cached_count, path);
    return entry ? entry->file : NULL;
}

/* In the cache at once, in the list until it is flushed. */
static void change(struct sim_disk *disk, const char *from, const char *to, struct sim_file *file)
{
    if (*from)
        set_entry(&disk->cached, &disk->cached_count, from, NULL);
    if (*to)
        set_entry(&disk->cached, &disk->cached_count, to, file);
    disk->changes =
        must(reallocarray(disk->changes, disk->change_count + 1, sizeof(*disk->changes)));
    struct sim_change *noted = &disk->changes[disk->change_count++];
    snprintf(noted->from, sizeof(noted->from), "%s", from);
    snprintf(noted->to, sizeof(noted->to), "%s", to);
    noted->file = file;
}

static void apply(struct sim_disk *disk, const struct sim_change *noted)
{
    if (noted->from[0])
        set_entry(&disk->durable, &disk->durable_count, noted->from, NULL);
    if (noted->to[0])
        set_entry(&disk->durable, &disk->durable_count, noted->to, noted->file);
}

static uint64_t allocated(const struct sim_file *file)
{
    return file->reserved > file->cached_len ? file->reserved : file->cached_len;
}

uint64_t sim_disk_used(const struct sim_disk *disk)
{
    uint64_t used = 0;
    for (size_t i = 0; i < disk->cached_count; i++)
        used += allocated(disk->cached[i].file);
    return used;
}

/* How far the file may reach on a disk with an end. */
static uint64_t reach(const struct sim_disk *disk, const struct sim_file *file)
{
    if (!disk->capacity)
        return UINT64_MAX;
    uint64_t used = sim_disk_used(disk);
    return allocated(file) + (used < disk->capacity ? disk->capacity - used : 0);
}

static int say_full(struct sim_disk *disk)
{
    disk->tally.full++;
    errno = ENOSPC;
    return ERR_FULL;
}

/* ---- the calls ---- */

static int sim_make_folder(void *self, const char *path, struct message *message)
{
    (void)self;
    (void)path;
    (void)message;
    return 0;
}

static int sim_sync_folder(void *self, const char *path)
{
    struct sim_disk *disk = self;
    (void)path;
    if (fails(disk, SIM_SYNC_FOLDER))
        return ERR_IO;
    for (size_t i = 0; i < disk->change_count; i++)
        apply(disk, &disk->changes[i]);
    disk->change_count = 0;
    return 0;
}

static int sim_list(void *self, const char *path, int (*each)(void *arg, const char *name),
                    void *arg)
{
    struct sim_disk *disk = self;
    size_t len = strlen(path);
    int err = 0;
    for (size_t i = 0; !err && i < disk->cached_count; i++)
        if (strncmp(disk->cached[i].path, path, len) == 0 && disk->cached[i].path[len] == '/')
            err = each(arg, disk->cached[i].path + len + 1);
    return err;
}

static int take_fd(struct sim_disk *disk, struct sim_file *file)
{
    int fd = 0;
    while (disk->fds[fd].file)
        if (++fd == 64)
            abort();
    disk->fds[fd].file = file;
    disk->fds[fd].locked = false;
    return fd;
}

static int sim_open(void *self, const char *path, bool create, int *ret_fd)
{
    struct sim_disk *disk = self;
    struct sim_file *file = lookup(disk, path);
    if (fails(disk, SIM_OPEN))
        return ERR_IO;
    if (!file && !create) {
        errno = ENOENT;
        return ERR_NOT_FOUND;
    }
    if (!file) {
        file = must(calloc(1, sizeof(*file)));
        disk->files = must(reallocarray(disk->files, disk->file_count + 1, sizeof(*disk->files)));
        disk->files[disk->file_count++] = file;
        change(disk, "", path, file);
    }
    *ret_fd = take_fd(disk, file);
    return 0;
}

static int sim_lock(void *self, const char *path, int *ret_fd)
{
    struct sim_disk *disk = self;
    int err = sim_open(self, path, true, ret_fd);
    if (err)
        return err;
    if (disk->fds[*ret_fd].file->locked) {
        disk->fds[*ret_fd].file = NULL;
        errno = EWOULDBLOCK;
        return ERR_CONFLICT;
    }
    disk->fds[*ret_fd].file->locked = true;
    disk->fds[*ret_fd].locked = true;
    return 0;
}

static void sim_close(void *self, int fd)
{
    struct sim_disk *disk = self;
    if (!disk->fds[fd].file)
        return; /* of a process that is gone */
    if (disk->fds[fd].locked)
        disk->fds[fd].file->locked = false;
    disk->fds[fd].file = NULL;
}

static struct sim_file *file_of(void *self, int fd)
{
    static struct sim_file gone;
    struct sim_disk *disk = self;
    return disk->dead ? &gone : must(disk->fds[fd].file);
}

static int sim_size(void *self, int fd, uint64_t *ret_bytes)
{
    *ret_bytes = file_of(self, fd)->cached_len;
    return 0;
}

static int sim_pread(void *self, int fd, void *data, size_t len, uint64_t at, size_t *ret_len)
{
    const struct sim_file *file = file_of(self, fd);
    if (fails(self, SIM_READ))
        return ERR_IO;
    uint64_t left = at < file->cached_len ? file->cached_len - at : 0;
    *ret_len = len < left ? len : (size_t)left;
    if (*ret_len)
        memcpy(data, file->cached + at, *ret_len);
    return 0;
}

static void mark_dirty(struct sim_file *file, size_t from, size_t to)
{
    bool clean = file->dirty_from == file->dirty_to;
    memset(file->dirty + from, 1, to - from);
    file->dirty_from = clean || from < file->dirty_from ? from : file->dirty_from;
    file->dirty_to = clean || to > file->dirty_to ? to : file->dirty_to;
}

static int sim_pwrite(void *self, int fd, const void *data, size_t len, uint64_t at)
{
    struct sim_disk *disk = self;
    struct sim_file *file = file_of(self, fd);
    int err = 0;
    if (fails(disk, SIM_WRITE)) {
        if (disk->dead)
            return ERR_IO;
        err = ERR_IO;
        len = sim_below(&disk->seed, (uint32_t)len + 1);
    }
    if (at + len > allocated(file) && at + len > reach(disk, file)) {
        uint64_t end = reach(disk, file);
        len = end > at ? (size_t)(end - at) : 0;
        disk->tally.full_in_part += len > 0;
        err = say_full(disk);
    }
    if (!len)
        return err;
    make_room(file, at + len);
    memcpy(file->cached + at, data, len);
    mark_dirty(file, at / SIM_SECTOR, (at + len - 1) / SIM_SECTOR + 1);
    if (file->cached_len < at + len)
        file->cached_len = at + len;
    return err;
}

static int sim_fsync(void *self, int fd)
{
    struct sim_file *file = file_of(self, fd);
    bool lost = fails(self, SIM_SYNC);
    if (((struct sim_disk *)self)->dead)
        return ERR_IO;
    for (size_t i = file->dirty_from; i < file->dirty_to; i++) {
        if (file->dirty[i] && !lost)
            memcpy(file->durable + i * SIM_SECTOR, file->cached + i * SIM_SECTOR, SIM_SECTOR);
        file->dirty[i] = 0;
    }
    file->dirty_from = file->dirty_to = 0;
    if (!lost)
        file->durable_len = file->cached_len;
    return lost ? ERR_IO : 0;
}

static int sim_fallocate(void *self, int fd, uint64_t len)
{
    struct sim_disk *disk = self;
    struct sim_file *file = file_of(self, fd);
    if (fails(disk, SIM_RESERVE))
        return ERR_IO;
    if (disk->no_reserve)
        return 0;
    if (len > allocated(file) && len > reach(disk, file))
        return say_full(disk);
    make_room(file, len);
    file->reserved = len;
    if (file->cached_len < len)
        file->cached_len = len;
    return 0;
}

static void shorten(struct sim_file *file, uint64_t len)
{
    size_t from = len / SIM_SECTOR, to = (file->cached_len + SIM_SECTOR - 1) / SIM_SECTOR;
    if (len < file->room)
        memset(file->cached + len, 0, file->room - len);
    if (from < to)
        mark_dirty(file, from, to);
    file->cached_len = len;
    file->reserved = len;
}

static int sim_truncate(void *self, const char *path, uint64_t len)
{
    struct sim_disk *disk = self;
    struct sim_file *file = lookup(disk, path);
    if (fails(disk, SIM_TRUNCATE))
        return ERR_IO;
    if (!file) {
        errno = ENOENT;
        return ERR_NOT_FOUND;
    }
    make_room(file, len);
    shorten(file, len);
    return 0;
}

static int sim_rename(void *self, const char *from, const char *to)
{
    struct sim_disk *disk = self;
    struct sim_file *file = lookup(disk, from);
    if (fails(disk, SIM_RENAME))
        return ERR_IO;
    if (!file) {
        errno = ENOENT;
        return ERR_NOT_FOUND;
    }
    change(disk, from, to, file);
    return 0;
}

static int sim_unlink(void *self, const char *path)
{
    struct sim_disk *disk = self;
    if (fails(disk, SIM_UNLINK))
        return ERR_IO;
    if (!lookup(disk, path)) {
        errno = ENOENT;
        return ERR_NOT_FOUND;
    }
    change(disk, path, "", NULL);
    return 0;
}

static int sim_random_bytes(void *self, void *ret_data, size_t len)
{
    struct sim_disk *disk = self;
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)ret_data)[i] = (uint8_t)sim_random(&disk->seed);
    return 0;
}

/* ---- its life ---- */

void sim_disk_init(struct sim_disk *disk, uint64_t seed)
{
    *disk = (struct sim_disk){.seed = seed};
    disk->io = (struct journal_io){
        .self = disk,
        .make_folder = sim_make_folder,
        .sync_folder = sim_sync_folder,
        .list = sim_list,
        .lock = sim_lock,
        .open = sim_open,
        .close = sim_close,
        .size = sim_size,
        .pread = sim_pread,
        .pwrite = sim_pwrite,
        .fdatasync = sim_fsync,
        .fsync = sim_fsync,
        .fallocate = sim_fallocate,
        .truncate = sim_truncate,
        .rename = sim_rename,
        .unlink = sim_unlink,
        .entropy = sim_random_bytes,
    };
}

void sim_disk_release(struct sim_disk *disk)
{
    for (size_t i = 0; i < disk->file_count; i++) {
        free(disk->files[i]->cached);
        free(disk->files[i]->durable);
        free(disk->files[i]->dirty);
        free(disk->files[i]);
    }
    free(disk->files);
    free(disk->cached);
    free(disk->durable);
    free(disk->changes);
}

static void close_all(struct sim_disk *disk)
{
    memset(disk->fds, 0, sizeof(disk->fds));
    for (size_t i = 0; i < disk->file_count; i++)
        disk->files[i]->locked = false;
}

void sim_disk_kill(struct sim_disk *disk)
{
    disk->dead = false;
    disk->dead_at = disk->dead_ops = 0;
    close_all(disk);
}

static void cut_file(struct sim_disk *disk, struct sim_file *file)
{
    for (size_t i = file->dirty_from; i < file->dirty_to; i++) {
        uint8_t *cached = file->cached + i * SIM_SECTOR, *durable = file->durable + i * SIM_SECTOR;
        if (file->dirty[i] && sim_below(&disk->seed, 2))
            memcpy(durable, cached, SIM_SECTOR);
        file->dirty[i] = 0;
    }
    file->dirty_from = file->dirty_to = 0;
    if (file->cached_len != file->durable_len && sim_below(&disk->seed, 2))
        file->durable_len = file->cached_len;
    if (file->durable_len < file->room)
        memset(file->durable + file->durable_len, 0, file->room - file->durable_len);
    if (file->room)
        memcpy(file->cached, file->durable, file->room);
    file->cached_len = file->reserved = file->durable_len;
}

void sim_disk_cut(struct sim_disk *disk)
{
    disk->dead = false;
    disk->dead_at = disk->dead_ops = 0;
    close_all(disk);
    for (size_t i = 0; i < disk->file_count; i++)
        cut_file(disk, disk->files[i]);
    for (size_t i = 0; i < disk->change_count; i++)
        if (sim_below(&disk->seed, 2))
            apply(disk, &disk->changes[i]);
    disk->change_count = 0;
    disk->cached = must(reallocarray(disk->cached, disk->durable_count + 1, sizeof(*disk->cached)));
    if (disk->durable_count)
        memcpy(disk->cached, disk->durable, disk->durable_count * sizeof(*disk->cached));
    disk->cached_count = disk->durable_count;
}

/* ---- hands on the platter ---- */

static bool ends_with(const char *path, const char *ending)
{
    size_t len = strlen(path), ending_len = strlen(ending);
    return len >= ending_len && strcmp(path + len - ending_len, ending) == 0;
}

size_t sim_disk_count(const struct sim_disk *disk, const char *ending)
{
    size_t count = 0;
    for (size_t i = 0; i < disk->cached_count; i++)
        count += ends_with(disk->cached[i].path, ending);
    return count;
}

const char *sim_disk_path(const struct sim_disk *disk, const char *ending, size_t n)
{
    /* In the order of names, so that a test can say which one it means. */
    const char *last = "";
    for (size_t k = 0; k <= n; k++) {
        const char *next = NULL;
        for (size_t i = 0; i < disk->cached_count; i++) {
            const char *path = disk->cached[i].path;
            if (ends_with(path, ending) && strcmp(path, last) > 0 &&
                (!next || strcmp(path, next) < 0))
                next = path;
        }
        if (!next)
            return NULL;
        last = next;
    }
    return last;
}

static struct sim_file *must_find(const struct sim_disk *disk, const char *path)
{
    return must(lookup(disk, path));
}

uint64_t sim_disk_size(const struct sim_disk *disk, const char *path)
{
    return must_find(disk, path)->cached_len;
}

void sim_disk_damage(struct sim_disk *disk, const char *path, uint64_t at, uint8_t xor_with)
{
    struct sim_file *file = must_find(disk, path);
    if (at >= file->cached_len)
        return;
    file->cached[at] ^= xor_with;
    file->durable[at] = file->cached[at];
}

uint8_t sim_disk_byte(const struct sim_disk *disk, const char *path, uint64_t at)
{
    const struct sim_file *file = must_find(disk, path);
    return at < file->cached_len ? file->cached[at] : 0;
}

void sim_disk_cut_file(struct sim_disk *disk, const char *path, uint64_t len)
{
    struct sim_file *file = must_find(disk, path);
    shorten(file, len);
    memcpy(file->durable, file->cached, file->room);
    file->durable_len = len;
}

bool sim_disk_holds(const struct sim_disk *disk, const char *path)
{
    return lookup(disk, path) != NULL;
}

void sim_disk_copy(const struct sim_disk *from, struct sim_disk *to)
{
    for (size_t i = 0; i < from->cached_count; i++) {
        const struct sim_file *file = from->cached[i].file;
        sim_disk_put(to, from->cached[i].path, file->cached, file->cached_len);
    }
}

void sim_disk_remove(struct sim_disk *disk, const char *path)
{
    char copy[SIM_PATH]; /* the path may be the entry's own */
    snprintf(copy, sizeof(copy), "%s", path);
    set_entry(&disk->cached, &disk->cached_count, copy, NULL);
    set_entry(&disk->durable, &disk->durable_count, copy, NULL);
}

void sim_disk_put(struct sim_disk *disk, const char *path, const void *data, size_t len)
{
    int fd;
    if (sim_open(disk, path, true, &fd))
        abort();
    struct sim_file *file = disk->fds[fd].file;
    make_room(file, len);
    shorten(file, 0);
    if (len)
        memcpy(file->cached, data, len);
    if (file->room)
        memcpy(file->durable, file->cached, file->room);
    file->cached_len = file->durable_len = len;
    sim_close(disk, fd);
    set_entry(&disk->durable, &disk->durable_count, path, file);
}
