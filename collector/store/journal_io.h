/*
 * The disk as the journal sees it: the real one, or a simulated one that tears, forgets and fails.
 * Every function returns 0 (or what it says) or a negative enum err; ERR_FULL is a full disk.
 */
#ifndef STORE_JOURNAL_IO_H
#define STORE_JOURNAL_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct journal_io {
    void *self;
    /* A descriptor (0 or more). `create` makes the file where it is not there. */
    int (*open)(void *self, const char *path, bool create);
    void (*close)(void *self, int fd);
    int (*pwrite)(void *self, int fd, const void *data, size_t len, uint64_t offset);
    int (*pread)(void *self, int fd, void *data, size_t len, uint64_t offset, size_t *ret_len);
    /* Makes what was written durable. A failure is final for this descriptor: never believed again.
     */
    int (*sync)(void *self, int fd);
    int (*size)(void *self, int fd, uint64_t *ret_size);
    int (*truncate)(void *self, int fd, uint64_t size);
    /* Reserves room; a file system that cannot is fine (0). */
    int (*allocate)(void *self, int fd, uint64_t size);
    int (*rename)(void *self, const char *from, const char *to);
    int (*unlink)(void *self, const char *path);
    int (*sync_folder)(void *self, const char *path);
    /* Calls `each` with every name in the folder. */
    int (*list)(void *self, const char *path, int (*each)(void *context, const char *name),
                void *context);
};

/* The machine's own. Immutable, any thread. */
const struct journal_io *journal_io_real(void);

#endif
