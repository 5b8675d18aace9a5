#include "store/db_file.h"

#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int db_file_create(const char *path, bool *ret_created, struct message *message)
{
    char folder[FILE_PATH_SIZE];
    struct stat info;

    if (stat(path, &info) == 0) {
        *ret_created = false;
        return 0;
    }
    int err = path_folder(path, folder);
    if (err != 0)
        return message_set(message, err, "the path %s is too long", path);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return message_errno(message, errno == ENOSPC ? ERR_FULL : ERR_IO, "cannot create %s",
                             path);
    close(fd);
    err = folder_sync(folder);
    if (err != 0)
        return message_errno(message, err, "cannot make the name %s durable", path);
    *ret_created = true;
    return 0;
}

bool db_file_exists(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 || errno != ENOENT;
}

bool db_file_has_log(const char *path)
{
    char log[FILE_PATH_SIZE + 8];
    struct stat info;

    snprintf(log, sizeof log, "%s-wal", path);
    return stat(log, &info) == 0 && info.st_size > 0;
}

int db_file_set_aside(const char *path, int64_t wall_ms, struct message *message)
{
    /* The log goes first: a new file beside an old log would be filled from it. */
    static const char *const parts[] = {"-wal", "-shm", ""};
    char from[FILE_PATH_SIZE];
    char to[FILE_PATH_SIZE];
    int err = path_folder(path, from);

    if (err != 0 || strlen(path) > FILE_PATH_SIZE - 64)
        return message_set(message, ERR_FULL, "the path %s is too long", path);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        snprintf(from, sizeof from, "%s%s", path, parts[i]);
        snprintf(to, sizeof to, "%s.damaged-%" PRId64 "%s", path, wall_ms, parts[i]);
        if (rename(from, to) != 0 && errno != ENOENT)
            return message_errno(message, ERR_IO, "cannot rename %s to %s", from, to);
    }
    err = path_folder(path, from);
    return err != 0 ? err : folder_sync(from);
}
