#include "model/value_json.h"

void value_write_json(struct json_writer *json, const struct value *value)
{
    switch (value->kind) {
    case VALUE_NONE:
        json_null(json);
        break;
    case VALUE_DOUBLE:
        json_double(json, value->number);
        break;
    case VALUE_FLOAT:
        json_float(json, (float)value->number);
        break;
    case VALUE_TEXT:
        json_text(json, value->text);
        break;
    }
}
