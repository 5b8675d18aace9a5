/* JSON from anywhere: no crash, and what is accepted can be written and read again, the same. */
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_value(struct json_writer *writer, const struct json *value)
{
    enum json_type type = json_type(value);
    double number;
    bool flag;
    if (json_name(value) != NULL)
        json_key(writer, json_name(value));
    if (json_get_double(value, &number) == 0)
        json_double(writer, number);
    else if (json_get_bool(value, &flag) == 0)
        json_bool(writer, flag);
    else if (type != JSON_OBJECT && type != JSON_ARRAY)
        json_text(writer, json_get_text(value));
    else
        (type == JSON_OBJECT ? json_begin_object : json_begin_array)(writer);
    for (const struct json *child = json_first(value); child != NULL; child = json_next(child))
        write_value(writer, child);
    if (type == JSON_OBJECT || type == JSON_ARRAY)
        (type == JSON_OBJECT ? json_end_object : json_end_array)(writer);
}

/* False when the text is refused. */
static bool rewrite(const char *text, size_t len, struct buffer *out)
{
    struct json_document *document;
    struct json_writer writer;

    if (json_parse(text, len, &document, NULL) != 0)
        return false;
    buffer_init(out, JSON_MAX_BYTES * 8); /* escapes may make it longer than what is read */
    json_writer_init(&writer, out);
    write_value(&writer, json_root(document));
    json_free(document);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer once, twice;

    if (!rewrite((const char *)data, size, &once))
        return 0;
    if (rewrite(once.data, once.len, &twice)) {
        if (strcmp(buffer_text(&once), buffer_text(&twice)) != 0)
            abort();
        buffer_release(&twice);
    } else if (once.len <= JSON_MAX_BYTES) {
        abort();
    }
    buffer_release(&once);
    return 0;
}
