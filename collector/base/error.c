#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *err_name(int err)
{
    switch (err) {
    case ERR_NONE:
        return "no error";
    case ERR_NO_MEMORY:
        return "out of memory";
    case ERR_IO:
        return "input or output failed";
    case ERR_FULL:
        return "full";
    case ERR_INVALID:
        return "not valid";
    case ERR_RANGE:
        return "out of range";
    case ERR_TIMEOUT:
        return "timed out";
    case ERR_CLOSED:
        return "closed";
    case ERR_NOT_FOUND:
        return "not found";
    case ERR_CONFLICT:
        return "exists already with another content";
    case ERR_CORRUPT:
        return "damaged";
    case ERR_AGAIN:
        return "not ready yet";
    case ERR_DENIED:
        return "not allowed";
    case ERR_GAP:
        return "gone";
    default:
        return "unknown error";
    }
}

/* A text that was cut may end within a UTF-8 character: take its torn bytes off too. */
static void drop_torn_character(char *text, size_t len)
{
    size_t start = len;

    while (start > 0 && len - start < 4) {
        unsigned char c = (unsigned char)text[--start];
        if (c < 0x80)
            return;
        if (c >= 0xC0) {
            size_t need = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
            if (len - start < need)
                text[start] = '\0';
            return;
        }
    }
}

/* The arguments may point into `message` itself ("%s: %s" around what came from below), so the
 * text is put together aside. */
static void PRINTF_LIKE(3, 0)
    message_write(struct message *message, const char *reason, const char *format, va_list args)
{
    struct message fresh;
    size_t used;
    int written = vsnprintf(fresh.text, sizeof(fresh.text), format, args);

    if (written < 0)
        fresh.text[0] = '\0';
    used = strlen(fresh.text);
    if (reason != NULL && used < sizeof(fresh.text) - 1) {
        size_t room = sizeof(fresh.text) - used;
        int added = snprintf(fresh.text + used, room, ": %s", reason);
        written = added < 0 ? -1 : (int)used + added;
        used = strlen(fresh.text);
    }
    if (written >= (int)sizeof(fresh.text))
        drop_torn_character(fresh.text, used);
    memcpy(message->text, fresh.text, strlen(fresh.text) + 1);
}

int message_set(struct message *message, int err, const char *format, ...)
{
    va_list args;

    if (message == NULL)
        return err;
    va_start(args, format);
    message_write(message, NULL, format, args);
    va_end(args);
    return err;
}

int message_errno(struct message *message, int err, const char *format, ...)
{
    char scratch[128];
    const char *reason = strerror_r(errno, scratch, sizeof(scratch));
    va_list args;

    if (message == NULL)
        return err;
    va_start(args, format);
    message_write(message, reason, format, args);
    va_end(args);
    return err;
}
