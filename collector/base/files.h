/* Files: bounded reads, writes that are durable when they return, folders, free space. */
#ifndef BASE_FILES_H
#define BASE_FILES_H

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/error.h"

#include <stdint.h>
#include <sys/types.h>

/* Appends the whole file to `buffer` (its limit bounds the size: ERR_FULL beyond). A folder, a
 * FIFO and the like are refused: ERR_INVALID. ERR_NOT_FOUND where there is nothing. */
MUST_CHECK int file_read(const char *path, struct buffer *buffer, struct message *message);

/* Replaces the file in one step: temporary file, fsync, rename, fsync of the folder. */
MUST_CHECK int file_write(const char *path, const void *data, size_t len, mode_t mode,
                          struct message *message);

/* Writes all of it at `offset`, over short writes and EINTR. ERR_IO or ERR_FULL (no space). */
MUST_CHECK int file_pwrite_all(int fd, const void *data, size_t len, off_t offset);

/* Reads up to `len` bytes at `offset`, over short reads; *ret_len is less only at the end. */
MUST_CHECK int file_pread_all(int fd, void *data, size_t len, off_t offset, size_t *ret_len);

/* Makes the folder and its parents (0700 for new ones), each durable. */
MUST_CHECK int folder_make(const char *path, struct message *message);

/* fsync of a folder: what was created, renamed or unlinked in it is durable after. */
MUST_CHECK int folder_sync(const char *path);

/* Bytes a caller without privileges may still write on the file system of `path`. */
MUST_CHECK int disk_free(const char *path, uint64_t *ret_bytes);

/* Joins "folder/name" into `ret_path`; an absolute name stands alone. ERR_FULL when too long. */
#define FILE_PATH_SIZE 1024
MUST_CHECK int path_join(const char *folder, const char *name, char ret_path[FILE_PATH_SIZE]);

/* The folder that holds `path` ("." when it names none). ERR_FULL when too long. */
MUST_CHECK int path_folder(const char *path, char ret_folder[FILE_PATH_SIZE]);

#endif
