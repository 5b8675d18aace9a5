#include "base/buffer.h"

#include "base/error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMALLEST_CAPACITY 64

void buffer_init(struct buffer *buffer, size_t limit)
{
    *buffer = (struct buffer){.limit = limit};
}

void buffer_release(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){.limit = buffer->limit};
}

void buffer_truncate(struct buffer *buffer, size_t len)
{
    if (len < buffer->len)
        buffer->len = len;
    buffer->error = 0;
    if (buffer->data != NULL)
        buffer->data[buffer->len] = '\0';
}

void buffer_clear(struct buffer *buffer)
{
    buffer_truncate(buffer, 0);
}

/* Makes room for `more` bytes and the NUL behind them. */
static bool buffer_reserve(struct buffer *buffer, size_t more)
{
    size_t need;
    size_t capacity;
    char *data;

    if (buffer->error != 0)
        return false;
    if (more > buffer->limit - buffer->len || buffer->len + more == SIZE_MAX) {
        buffer->error = ERR_FULL;
        return false;
    }
    need = buffer->len + more + 1;
    if (need <= buffer->capacity)
        return true;
    capacity = buffer->capacity < SMALLEST_CAPACITY ? SMALLEST_CAPACITY : buffer->capacity;
    while (capacity < need)
        capacity = capacity > SIZE_MAX / 2 ? need : capacity * 2;
    if (capacity - 1 > buffer->limit)
        capacity = buffer->limit + 1;
    data = realloc(buffer->data, capacity);
    if (data == NULL) {
        buffer->error = ERR_NO_MEMORY;
        return false;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    buffer->data[buffer->len] = '\0';
    return true;
}

void buffer_append(struct buffer *buffer, const void *data, size_t len)
{
    if (len == 0 || !buffer_reserve(buffer, len))
        return;
    memcpy(buffer->data + buffer->len, data, len);
    buffer->len += len;
    buffer->data[buffer->len] = '\0';
}

void buffer_append_text(struct buffer *buffer, const char *text)
{
    buffer_append(buffer, text, strlen(text));
}

void buffer_append_char(struct buffer *buffer, char c)
{
    buffer_append(buffer, &c, 1);
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    char small[256];
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(small, sizeof(small), format, args);
    va_end(args);
    if (len < 0) {
        /* Only a text beyond INT_MAX, or one that is not characters at all. */
        if (buffer->error == 0)
            buffer->error = ERR_FULL;
        return;
    }
    if ((size_t)len < sizeof(small)) {
        buffer_append(buffer, small, (size_t)len);
        return;
    }
    if (!buffer_reserve(buffer, (size_t)len))
        return;
    va_start(args, format);
    vsnprintf(buffer->data + buffer->len, (size_t)len + 1, format, args);
    va_end(args);
    buffer->len += (size_t)len;
}

void buffer_consume(struct buffer *buffer, size_t len)
{
    if (len == 0 || buffer->len == 0)
        return;
    if (len > buffer->len)
        len = buffer->len;
    memmove(buffer->data, buffer->data + len, buffer->len - len + 1);
    buffer->len -= len;
}

int buffer_error(const struct buffer *buffer)
{
    return buffer->error;
}

const char *buffer_text(const struct buffer *buffer)
{
    return buffer->data == NULL ? "" : buffer->data;
}
