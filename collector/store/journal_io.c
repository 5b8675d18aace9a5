#include "store/journal_io.h"

#include "base/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static int error_of(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
        return ERR_FULL;
    case ENOENT:
        return ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
        return ERR_DENIED;
    case EWOULDBLOCK:
        return ERR_CONFLICT;
    default:
        return ERR_IO;
    }
}

static int result_of(int result)
{
    return result == 0 ? 0 : error_of(errno);
}

static int real_make_folder(void *self, const char *path, struct message *message)
{
    (void)self;
    return folder_make(path, message);
}

static int real_sync_folder(void *self, const char *path)
{
    (void)self;
    return folder_sync(path);
}

static int real_list(void *self, const char *path, int (*each)(void *arg, const char *name),
                     void *arg)
{
    (void)self;
    DIR *folder = opendir(path);
    if (!folder)
        return error_of(errno);
    int err = 0;
    while (!err) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (!entry) {
            err = errno ? error_of(errno) : 0;
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            err = each(arg, entry->d_name);
    }
    closedir(folder);
    return err;
}

static int real_lock(void *self, const char *path, int *ret_fd)
{
    (void)self;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_of(errno);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return error_of(saved);
    }
    *ret_fd = fd;
    return 0;
}

static int real_open(void *self, const char *path, bool create, int *ret_fd)
{
    (void)self;
    int flags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (create ? O_RDWR | O_CREAT : O_RDONLY);
    int fd = open(path, flags, 0600);
    if (fd < 0)
        return error_of(errno);
    *ret_fd = fd;
    return 0;
}

static void real_close(void *self, int fd)
{
    (void)self;
    int saved = errno;
    close(fd);
    errno = saved;
}

static int real_size(void *self, int fd, uint64_t *ret_bytes)
{
    (void)self;
    struct stat stat;
    if (fstat(fd, &stat) != 0)
        return error_of(errno);
    *ret_bytes = (uint64_t)stat.st_size;
    return 0;
}

static int real_pread(void *self, int fd, void *data, size_t len, uint64_t at, size_t *ret_len)
{
    (void)self;
    return file_pread_all(fd, data, len, (off_t)at, ret_len);
}

static int real_pwrite(void *self, int fd, const void *data, size_t len, uint64_t at)
{
    (void)self;
    return file_pwrite_all(fd, data, len, (off_t)at);
}

static int real_fdatasync(void *self, int fd)
{
    (void)self;
    return result_of(fdatasync(fd));
}

static int real_fsync(void *self, int fd)
{
    (void)self;
    return result_of(fsync(fd));
}

/* Not posix_fallocate: where the file system cannot, that would write all of it in zeros. */
static int real_fallocate(void *self, int fd, uint64_t len)
{
    (void)self;
    while (fallocate(fd, 0, 0, (off_t)len) != 0) {
        if (errno == EINTR)
            continue;
        return errno == EOPNOTSUPP || errno == ENOSYS ? 0 : error_of(errno);
    }
    return 0;
}

static int real_truncate(void *self, const char *path, uint64_t len)
{
    (void)self;
    return result_of(truncate(path, (off_t)len));
}

static int real_rename(void *self, const char *from, const char *to)
{
    (void)self;
    return result_of(rename(from, to));
}

static int real_unlink(void *self, const char *path)
{
    (void)self;
    return result_of(unlink(path));
}

static int real_entropy(void *self, void *ret_data, size_t len)
{
    (void)self;
    return getrandom(ret_data, len, 0) == (ssize_t)len ? 0 : ERR_IO;
}

const struct journal_io *journal_io_real(void)
{
    static const struct journal_io REAL = {
        .make_folder = real_make_folder,
        .sync_folder = real_sync_folder,
        .list = real_list,
        .lock = real_lock,
        .open = real_open,
        .close = real_close,
        .size = real_size,
        .pread = real_pread,
        .pwrite = real_pwrite,
        .fdatasync = real_fdatasync,
        .fsync = real_fsync,
        .fallocate = real_fallocate,
        .truncate = real_truncate,
        .rename = real_rename,
        .unlink = real_unlink,
        .entropy = real_entropy,
    };
    return &REAL;
}
