/*
 * A reading's value as JSON: a number in its shortest form, a text, or null where there is none.
 */
#ifndef MODEL_VALUE_JSON_H
#define MODEL_VALUE_JSON_H

#include "base/json.h"
#include "model/sample.h"

void value_write_json(struct json_writer *json, const struct value *value);

#endif
