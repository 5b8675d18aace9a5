/*
 * A strict JSON reader that builds no tree: the caller pulls members, elements and values out of
 * the bytes, in their order, straight into its own structs. Records are read with it, for they are
 * the centre's heaviest load.
 *
 * It refuses whatever base/json refuses: trailing bytes, a name twice in an object (also where one
 * is passed over), broken UTF-8, NUL, "01", "1.", 1e999, depth beyond JSON_MAX_DEPTH; and beyond
 * that, an object of more than PULL_MAX_MEMBERS and a name of PULL_NAME_SIZE bytes or more. After a
 * failure the reader stands anywhere: give up. The message names the place: "record, dt[3] (byte
 * 512): no number". Plain data on the stack, one thread; the bytes are the caller's and must stay.
 */
#ifndef MODEL_PULL_H
#define MODEL_PULL_H

#include "base/error.h"
#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PULL_MAX_MEMBERS 64
#define PULL_NAME_SIZE   64

/* Where a member's name stands in the text, between its quotes. */
struct pull_name {
    uint32_t at;
    uint16_t len;
    bool escaped;
};

/* An object or array that is open. */
struct pull_level {
    bool array;
    size_t count; /* members or elements begun */
    struct pull_name names[PULL_MAX_MEMBERS];
};

/* Fields are for pull.c alone. */
struct pull {
    const char *what; /* "record": begins each message */
    const char *text;
    size_t len;
    size_t at; /* the next byte to look at */
    struct message *message;
    size_t depth;
    char name[PULL_NAME_SIZE]; /* of the member at hand, escapes undone */
    size_t name_len;
    struct pull_level levels[JSON_MAX_DEPTH];
};

/* `text` of at most 4 GiB. `message` may be NULL. */
void pull_init(struct pull *pull, const char *what, const char *text, size_t len,
               struct message *message);

/* The first byte of the next value, blanks passed over; NUL at the end of the text. */
char pull_peek(struct pull *pull);

/* Opens an object ('{') or array ('['). */
MUST_CHECK int pull_begin(struct pull *pull, char open);

/* Goes to the next member of the object: its name (valid until the next call), its value next.
 * NULL when there is none: the object is closed. */
MUST_CHECK int pull_member(struct pull *pull, const char **ret_name);

/* Goes to the next element of the array. False when there is none: the array is closed. */
MUST_CHECK int pull_element(struct pull *pull, bool *ret_more);

/* Values. A whole number may be written as 1e3; it is exact, |min| and |max| at most 2^53. Else
 * ERR_RANGE. A text has at least `min` and less than `size` bytes, else ERR_RANGE; ret_text may
 * then hold some of it. */
MUST_CHECK int pull_i64(struct pull *pull, int64_t min, int64_t max, int64_t *ret_value);
MUST_CHECK int pull_double(struct pull *pull, double *ret_value);
MUST_CHECK int pull_bool(struct pull *pull, bool *ret_value);
MUST_CHECK int pull_null(struct pull *pull);
MUST_CHECK int pull_text(struct pull *pull, size_t min, char *ret_text, size_t size);

/* Passes over the next value, whatever it is, checking all of it. */
MUST_CHECK int pull_skip(struct pull *pull);

/* The same, and tells the bytes it consists of: the caller's, as they stand. */
MUST_CHECK int pull_raw(struct pull *pull, const char **ret_text, size_t *ret_len);

/* Nothing but blanks may be left. */
MUST_CHECK int pull_end(struct pull *pull);

/* Says what is wrong at this place and returns `err`. */
int pull_refuse(const struct pull *pull, int err, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
