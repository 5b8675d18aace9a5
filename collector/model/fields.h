/*
 * Objects by table: each member that a struct knows is described once, and fields_read pulls an
 * object's members into it. Unknown members are passed over (and checked, model/pull.h). Pure.
 */
#ifndef MODEL_FIELDS_H
#define MODEL_FIELDS_H

#include "model/pull.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FIELDS_MAX 32

/* A table ends with a NULL name and has at most FIELDS_MAX members. */
struct field {
    const char *name;
    int (*read)(struct pull *pull, const struct field *field, void *object);
    size_t offset;    /* in the object */
    size_t size;      /* of a text, its NUL counted */
    int64_t min, max; /* of a number; `min` also of a text's length */
    bool optional;
};

/* Reads the object that comes next. ERR_INVALID when a member is missing that is not optional. */
MUST_CHECK int fields_read(struct pull *pull, const struct field *fields, void *object);

/* As fields_read, but stops where the last member that is not optional has been read: of what
 * comes behind it nothing is known. */
MUST_CHECK int fields_read_first(struct pull *pull, const struct field *fields, void *object);

/* Readers for tables. */
int field_text(struct pull *pull, const struct field *field, void *object);   /* char[size] */
int field_name(struct pull *pull, const struct field *field, void *object);   /* text_is_name */
int field_hex(struct pull *pull, const struct field *field, void *object);    /* size - 1 digits */
int field_i64(struct pull *pull, const struct field *field, void *object);    /* int64_t */
int field_u64(struct pull *pull, const struct field *field, void *object);    /* uint64_t */
int field_bool(struct pull *pull, const struct field *field, void *object);   /* bool */
int field_stream(struct pull *pull, const struct field *field, void *object); /* enum stream */

#endif
