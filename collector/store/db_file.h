/*
 * A SQLite file seen from outside: making it, looking for a log left behind, setting it aside.
 *
 * SQLite's locks are POSIX's, and closing any descriptor of a file drops those of the whole
 * process. So a file is opened here only to create it, when nobody can have it open.
 */
#ifndef STORE_DB_FILE_H
#define STORE_DB_FILE_H

#include "base/attributes.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* Makes an empty file, private to its owner, its name durable; nothing where there is one. */
MUST_CHECK int db_file_create(const char *path, bool *ret_created, struct message *message);

bool db_file_exists(const char *path);

/* Is there a log with anything in it? A writer that closes leaves none. */
bool db_file_has_log(const char *path);

/* Renames a damaged file and its log to "PATH.damaged-WALL_MS…": kept for people, out of the way.
 * Nobody may have it open. */
MUST_CHECK int db_file_set_aside(const char *path, int64_t wall_ms, struct message *message);

#endif
