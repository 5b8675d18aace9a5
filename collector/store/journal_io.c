#include "store/journal_io.h"

#include "base/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int from_errno(void)
{
    if (errno == ENOSPC || errno == EDQUOT)
        return ERR_FULL;
    return errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
}

static int real_open(void *self, const char *path, bool create)
{
    (void)self;
    int fd = open(path, O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0600);
    return fd < 0 ? from_errno() : fd;
}

static void real_close(void *self, int fd)
{
    (void)self;
    close(fd);
}

static int real_pwrite(void *self, int fd, const void *data, size_t len, uint64_t offset)
{
    (void)self;
    return file_pwrite_all(fd, data, len, (off_t)offset);
}

static int real_pread(void *self, int fd, void *data, size_t len, uint64_t offset, size_t *ret_len)
{
    (void)self;
    return file_pread_all(fd, data, len, (off_t)offset, ret_len);
}

static int real_sync(void *self, int fd)
{
    (void)self;
    return fdatasync(fd) ? from_errno() : 0;
}

static int real_size(void *self, int fd, uint64_t *ret_size)
{
    (void)self;
    struct stat status;
    if (fstat(fd, &status))
        return from_errno();
    *ret_size = (uint64_t)status.st_size;
    return 0;
}

static int real_truncate(void *self, int fd, uint64_t size)
{
    (void)self;
    return ftruncate(fd, (off_t)size) ? from_errno() : 0;
}

static int real_allocate(void *self, int fd, uint64_t size)
{
    (void)self;
    if (!fallocate(fd, 0, 0, (off_t)size) || errno == EOPNOTSUPP)
        return 0;
    return from_errno();
}

static int real_rename(void *self, const char *from, const char *to)
{
    (void)self;
    return rename(from, to) ? from_errno() : 0;
}

static int real_unlink(void *self, const char *path)
{
    (void)self;
    return unlink(path) ? from_errno() : 0;
}

static int real_sync_folder(void *self, const char *path)
{
    (void)self;
    return folder_sync(path);
}

static int real_list(void *self, const char *path, int (*each)(void *context, const char *name),
                     void *context)
{
    (void)self;
    DIR *folder = opendir(path);
    if (!folder)
        return from_errno();
    int err = 0;
    for (const struct dirent *entry; !err && (entry = readdir(folder));)
        err = each(context, entry->d_name);
    closedir(folder);
    return err;
}

const struct journal_io *journal_io_real(void)
{
    static const struct journal_io io = {
        .open = real_open,
        .close = real_close,
        .pwrite = real_pwrite,
        .pread = real_pread,
        .sync = real_sync,
        .size = real_size,
        .truncate = real_truncate,
        .allocate = real_allocate,
        .rename = real_rename,
        .unlink = real_unlink,
        .sync_folder = real_sync_folder,
        .list = real_list,
    };
    return &io;
}
