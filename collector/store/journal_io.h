/*
 * The few things a journal asks of a file system, so that a test can stand a failing disk, or one
 * that forgets, in their place.
 *
 * All return 0 or a negative `enum err`, with errno set: ERR_FULL for no space, ERR_NOT_FOUND,
 * ERR_DENIED for no permission, ERR_CONFLICT for a lock that another holds, else ERR_IO.
 * Thread-safe where the journal's readers are used by several threads.
 */
#ifndef STORE_JOURNAL_IO_H
#define STORE_JOURNAL_IO_H

#include "base/attributes.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct journal_io {
    void *self; /* handed to each call */
    int (*make_folder)(void *self, const char *path, struct message *message);
    int (*sync_folder)(void *self, const char *path);
    /* Calls `each` with every name in the folder; its failure ends the listing. */
    int (*list)(void *self, const char *path, int (*each)(void *arg, const char *name), void *arg);
    /* Takes the file for this process alone, until it is closed. */
    int (*lock)(void *self, const char *path, int *ret_fd);
    /* For reading and writing; for reading alone, and existing, unless `create`. */
    int (*open)(void *self, const char *path, bool create, int *ret_fd);
    void (*close)(void *self, int fd);
    int (*size)(void *self, int fd, uint64_t *ret_bytes);
    /* Less than asked for at the end of the file only. */
    int (*pread)(void *self, int fd, void *data, size_t len, uint64_t at, size_t *ret_len);
    /* All of it, or an error: how much is written then is unknown. */
    int (*pwrite)(void *self, int fd, const void *data, size_t len, uint64_t at);
    int (*fdatasync)(void *self, int fd);
    int (*fsync)(void *self, int fd);
    /* Reserves space and sets the size; 0 where the file system cannot reserve. */
    int (*fallocate)(void *self, int fd, uint64_t len);
    int (*truncate)(void *self, const char *path, uint64_t len);
    int (*rename)(void *self, const char *from, const char *to);
    int (*unlink)(void *self, const char *path);
    int (*entropy)(void *self, void *ret_data, size_t len);
};

/* The machine's own files. */
const struct journal_io *journal_io_real(void);

#endif
