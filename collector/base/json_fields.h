/*
 * Members of an object that is being written: name and value in one call, by the rules of json.h.
 */
#ifndef BASE_JSON_FIELDS_H
#define BASE_JSON_FIELDS_H

#include "base/json.h"

void json_field_text(struct json_writer *writer, const char *key, const char *text);
void json_field_double(struct json_writer *writer, const char *key, double value);
void json_field_i64(struct json_writer *writer, const char *key, int64_t value);
void json_field_u64(struct json_writer *writer, const char *key, uint64_t value);
void json_field_bool(struct json_writer *writer, const char *key, bool value);

#endif
