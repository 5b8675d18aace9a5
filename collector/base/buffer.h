/*
 * A byte buffer that grows up to a bound and remembers that it failed.
 *
 * Appends after a failure do nothing, so a writer may append on and look once, at the end, at
 * buffer_error(). `data` is NULL until the first append, then always followed by a NUL that `len`
 * does not count. What is appended must not lie in the buffer itself. Owned by one thread.
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include "base/attributes.h"

#include <stddef.h>
#include <stdint.h>

struct buffer {
    char *data;
    size_t len;
    size_t capacity;
    size_t limit; /* len never exceeds it */
    int error;    /* ERR_FULL or ERR_NO_MEMORY once an append did not fit */
};

void buffer_init(struct buffer *buffer, size_t limit);
void buffer_release(struct buffer *buffer);

/* Empties it and forgets the failure; keeps the memory. */
void buffer_clear(struct buffer *buffer);

void buffer_append(struct buffer *buffer, const void *data, size_t len);
void buffer_append_text(struct buffer *buffer, const char *text);
void buffer_append_char(struct buffer *buffer, char c);
void buffer_printf(struct buffer *buffer, const char *format, ...) PRINTF_LIKE(2, 3);

/* Keeps the first `len` bytes (at most all) and forgets a failure. */
void buffer_truncate(struct buffer *buffer, size_t len);

/* Removes `len` bytes (at most all) from the front. */
void buffer_consume(struct buffer *buffer, size_t len);

/* 0, or why an append since the last clear or truncate failed. */
int buffer_error(const struct buffer *buffer);

/* The text, "" while empty. Valid until the next change. */
const char *buffer_text(const struct buffer *buffer);

#endif
