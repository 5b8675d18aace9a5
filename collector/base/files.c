#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define CHUNK_SIZE ((size_t)16 * 1024)

/* What errno means to us. */
static int io_error(void)
{
    return errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO;
}

/* Closes without touching errno, for the way out of a failure. */
static void close_quietly(int fd)
{
    int saved = errno;
    close(fd);
    errno = saved;
}

static int append_all(int fd, const char *path, struct buffer *buffer, struct message *message)
{
    char chunk[CHUNK_SIZE];
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return message_errno(message, ERR_IO, "cannot read %s", path);
        if (n == 0)
            return 0;
        buffer_append(buffer, chunk, (size_t)n);
        int err = buffer_error(buffer);
        if (err != 0)
            return message_set(message, err, "cannot read %s: %s (at most %zu bytes are read)",
                               path, err_name(err), buffer->limit);
    }
}

int file_read(const char *path, struct buffer *buffer, struct message *message)
{
    int err = 0;
    size_t before = buffer->len;
    struct stat stat;
    /* Without O_NONBLOCK, opening a FIFO would wait for its writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return message_errno(message, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "cannot open %s",
                             path);
    if (fstat(fd, &stat) != 0)
        err = message_errno(message, ERR_IO, "cannot examine %s", path);
    else if (!S_ISREG(stat.st_mode))
        err = message_set(message, ERR_INVALID, "cannot read %s: not a regular file", path);
    else
        err = append_all(fd, path, buffer, message);
    close(fd);
    if (err != 0 && buffer->data != NULL) {
        buffer->len = before;
        buffer->data[before] = '\0';
    }
    return err;
}

/* Fills the temporary file and makes it durable. Says in `ret_what` which action failed. */
static int fill_file(int fd, const void *data, size_t len, mode_t mode, const char **ret_what)
{
    *ret_what = "set the mode of";
    if (fchmod(fd, mode) != 0)
        return io_error();
    *ret_what = "write";
    int err = file_pwrite_all(fd, data, len, 0);
    if (err != 0)
        return err;
    *ret_what = "flush";
    return fsync(fd) != 0 ? io_error() : 0;
}

int file_write(const char *path, const void *data, size_t len, mode_t mode, struct message *message)
{
    int err = 0;
    const char *what = NULL;
    char folder[FILE_PATH_SIZE];
    char temporary[FILE_PATH_SIZE + 16];
    err = path_folder(path, folder);
    if (err != 0)
        return message_set(message, err, "cannot write %.64s…: the path is too long", path);
    /* Hidden, so that nothing that lists the folder takes it for one of its files. */
    snprintf(temporary, sizeof temporary, "%s/.new-XXXXXX", folder);
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return message_errno(message, io_error(), "cannot make a temporary file in %s", folder);

    err = fill_file(fd, data, len, mode, &what);
    if (err != 0) {
        err = message_errno(message, err, "cannot %s the new %s", what, path);
        close(fd);
        goto out;
    }
    if (close(fd) != 0) {
        err = message_errno(message, io_error(), "cannot close the new %s", path);
        goto out;
    }
    if (rename(temporary, path) != 0) {
        err = message_errno(message, io_error(), "cannot replace %s", path);
        goto out;
    }
    err = folder_sync(folder);
    return err == 0 ? 0 : message_errno(message, err, "cannot flush the folder %s", folder);

out:
    unlink(temporary);
    return err;
}

int file_pwrite_all(int fd, const void *data, size_t len, off_t offset)
{
    const char *at = data;
    while (len > 0) {
        ssize_t n = pwrite(fd, at, len, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return io_error();
        at += n;
        len -= (size_t)n;
        offset += n;
    }
    return 0;
}

int file_pread_all(int fd, void *data, size_t len, off_t offset, size_t *ret_len)
{
    char *at = data;
    size_t done = 0;
    while (done < len) {
        ssize_t n = pread(fd, at + done, len - done, offset + (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ERR_IO;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    *ret_len = done;
    return 0;
}

static bool is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static int make_one_folder(const char *path, struct message *message)
{
    char parent[FILE_PATH_SIZE];
    if (is_folder(path))
        return 0;
    if (mkdir(path, 0700) != 0) {
        if (errno != EEXIST)
            return message_errno(message, io_error(), "cannot make the folder %s", path);
        /* Made by somebody else just now, or something that is no folder. */
        if (!is_folder(path))
            return message_set(message, ERR_CONFLICT, "%s exists and is not a folder", path);
    }
    int err = path_folder(path, parent);
    if (err == 0)
        err = folder_sync(parent);
    return err == 0 ? 0 : message_errno(message, err, "cannot flush the parent of %s", path);
}

int folder_make(const char *path, struct message *message)
{
    char prefix[FILE_PATH_SIZE];
    size_t len = strlen(path);
    if (len == 0)
        return message_set(message, ERR_INVALID, "cannot make a folder without a name");
    if (len >= sizeof prefix)
        return message_set(message, ERR_FULL, "cannot make %.64s…: the path is too long", path);
    memcpy(prefix, path, len + 1);
    for (size_t i = 1; i < len; i++) {
        if (prefix[i] != '/')
            continue;
        prefix[i] = '\0';
        int err = make_one_folder(prefix, message);
        if (err != 0)
            return err;
        prefix[i] = '/';
    }
    return make_one_folder(prefix, message);
}

int folder_sync(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return ERR_IO;
    int err = fsync(fd) != 0 ? io_error() : 0;
    close_quietly(fd);
    return err;
}

int disk_free(const char *path, uint64_t *ret_bytes)
{
    struct statvfs status;
    if (statvfs(path, &status) != 0)
        return ERR_IO;
    *ret_bytes = (uint64_t)status.f_bavail * status.f_frsize;
    return 0;
}

int path_join(const char *folder, const char *name, char ret_path[FILE_PATH_SIZE])
{
    size_t folder_len = name[0] == '/' ? 0 : strlen(folder);
    size_t name_len = strlen(name);
    size_t slash = folder_len > 0 && folder[folder_len - 1] != '/' ? 1 : 0;
    if (folder_len + slash + name_len >= FILE_PATH_SIZE)
        return ERR_FULL;
    memcpy(ret_path, folder, folder_len);
    if (slash == 1)
        ret_path[folder_len] = '/';
    memcpy(ret_path + folder_len + slash, name, name_len + 1);
    return 0;
}

int path_folder(const char *path, char ret_folder[FILE_PATH_SIZE])
{
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    while (len > 0 && path[len - 1] != '/')
        len--;
    while (len > 1 && path[len - 1] == '/')
        len--;
    if (len >= FILE_PATH_SIZE)
        return ERR_FULL;
    if (len == 0) {
        memcpy(ret_folder, ".", 2);
        return 0;
    }
    memcpy(ret_folder, path, len);
    ret_folder[len] = '\0';
    return 0;
}
