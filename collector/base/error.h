/*
 * Error codes, and the message that travels up beside them.
 *
 * A function that can fail returns 0 or a negative `enum err`; its out-parameters are named
 * ret_* and stay untouched on failure. Where a person will need to know more, the function also
 * takes a `struct message *` (may be NULL) and says what happened, where, and what to do.
 * Libraries never log: only the programs do, once, with the message that came up.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "base/attributes.h"

enum err {
    ERR_NONE = 0,
    ERR_NO_MEMORY = -1,
    ERR_IO = -2,      /* the operating system refused; errno is told in the message */
    ERR_FULL = -3,    /* a bound is reached: queue, disk, budget */
    ERR_INVALID = -4, /* the input is not of the form it must have */
    ERR_RANGE = -5,   /* of the form, but beyond its bounds */
    ERR_TIMEOUT = -6,
    ERR_CLOSED = -7, /* the other side, or the owner, has closed it */
    ERR_NOT_FOUND = -8,
    ERR_CONFLICT = -9, /* exists already, with another content */
    ERR_CORRUPT = -10, /* stored bytes fail their own check */
    ERR_AGAIN = -11,   /* nothing now; call again later */
    ERR_DENIED = -12,
    ERR_GAP = -13, /* what was asked for is gone; the next that exists is told */
};

/* What a person is told. Always NUL-terminated; cut at the end, never overrun. */
struct message {
    char text[512];
};

/* The code's name in plain words, for messages: "timed out". Never NULL. */
const char *err_name(int err);

/* Writes the message (NULL is fine) and returns `err`, so that it can stand in a return. */
int message_set(struct message *message, int err, const char *format, ...) PRINTF_LIKE(3, 4);

/* As message_set, with ": " and the text of errno at the end. */
int message_errno(struct message *message, int err, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
