/*
 * Bounded JSON: a strict reader, and a writer that prints numbers shortest round-trip.
 *
 * Reader: at most JSON_MAX_BYTES and JSON_MAX_DEPTH; refused are trailing bytes, duplicate keys,
 * invalid UTF-8, NUL in strings, numbers beyond a double or 63 characters, bare "01" or "1.". Key
 * look-up is exact. The document owns all text; a `const struct json *` is valid until json_free.
 * One thread.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_MAX_BYTES (256 * 1024)
#define JSON_MAX_DEPTH 8

struct json_document;
struct json;

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* ERR_INVALID (message says what and near which byte), ERR_FULL when too large or deep. */
MUST_CHECK int json_parse(const char *text, size_t len, struct json_document **ret_document,
                          struct message *message);
void json_free(struct json_document *document);
const struct json *json_root(const struct json_document *document);

enum json_type json_type(const struct json *value);

/* The member of that name, or NULL (also when `object` is NULL or no object). */
const struct json *json_member(const struct json *object, const char *name);

/* Children of an array or object in order; NULL past the end. */
const struct json *json_first(const struct json *container);
const struct json *json_next(const struct json *value);
size_t json_count(const struct json *container);
/* The name of a child of an object; NULL for others. */
const char *json_name(const struct json *value);

/* Typed reads; `value` may be NULL (ERR_NOT_FOUND). ERR_INVALID for another type. Whole numbers
 * are exact below 2^53 (either sign), else ERR_RANGE. */
MUST_CHECK int json_get_double(const struct json *value, double *ret_value);
MUST_CHECK int json_get_i64(const struct json *value, int64_t min, int64_t max, int64_t *ret_value);
MUST_CHECK int json_get_bool(const struct json *value, bool *ret_value);
/* The text, owned by the document. NULL unless a string. */
const char *json_get_text(const struct json *value);

/*
 * Writer: appends to a buffer and puts the commas. Misuse (a value where a key must stand) shows
 * in tests as bad JSON, not in a result: the text is ours, not from outside.
 */
struct json_writer {
    struct buffer *out;
    bool comma;
};

void json_writer_init(struct json_writer *writer, struct buffer *out);
void json_begin_object(struct json_writer *writer);
void json_end_object(struct json_writer *writer);
void json_begin_array(struct json_writer *writer);
void json_end_array(struct json_writer *writer);
void json_key(struct json_writer *writer, const char *key);
/* NUL and bytes that are not UTF-8 are written as U+FFFD. */
void json_text(struct json_writer *writer, const char *text); /* NULL writes null */
void json_text_n(struct json_writer *writer, const char *text, size_t len);
void json_double(struct json_writer *writer, double value); /* not finite writes null */
void json_float(struct json_writer *writer, float value);
void json_i64(struct json_writer *writer, int64_t value);
void json_u64(struct json_writer *writer, uint64_t value);
void json_bool(struct json_writer *writer, bool value);
void json_null(struct json_writer *writer);
/* Bytes that are JSON already. */
void json_raw(struct json_writer *writer, const char *text, size_t len);

#endif
