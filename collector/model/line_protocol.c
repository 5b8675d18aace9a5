#include "model/line_protocol.h"

#include "base/numbers.h"

#include <string.h>

static void append_tag(struct buffer *out, const char *name, const char *value)
{
    if (!value[0])
        return;
    buffer_append_char(out, ',');
    buffer_append_text(out, name);
    buffer_append_char(out, '=');
    for (const char *at = value; *at; at++) {
        unsigned char byte = (unsigned char)*at;
        if (byte == ' ' || byte == ',' || byte == '=')
            buffer_append_char(out, '\\');
        buffer_append_char(out, byte < ' ' || byte == 0x7f || byte == '\\' ? '_' : *at);
    }
}

void line_head_append(struct buffer *out, const struct point_info *info)
{
    buffer_append_text(out, LINE_MEASUREMENT);
    append_tag(out, "point", info->id);
    append_tag(out, "site", info->site);
    append_tag(out, "unit", info->unit);
}

/* What stands behind the head, put together here so that a line costs two appends. */
struct tail {
    char text[LINE_TAIL_MAX];
    size_t len;
};

static void put(struct tail *tail, const char *text)
{
    size_t len = strlen(text);
    memcpy(tail->text + tail->len, text, len);
    tail->len += len;
}

static void put_number(struct tail *tail, const struct value *value)
{
    put(tail, "value=");
    tail->len += value->kind == VALUE_FLOAT
                     ? print_float((float)value->number, tail->text + tail->len)
                     : print_double(value->number, tail->text + tail->len);
    put(tail, ",");
}

static void put_text(struct tail *tail, const char *text)
{
    put(tail, "text=\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            tail->text[tail->len++] = '\\';
        tail->text[tail->len++] = *text;
    }
    put(tail, "\",");
}

_Static_assert(sizeof(" text=\"\",q=i \n") + 2 * VALUE_TEXT_SIZE + 2 * NUMBER_TEXT_SIZE <=
                   LINE_TAIL_MAX,
               "a tail holds the longest text, q and the stamp");

void line_append(struct buffer *out, const char *head, size_t head_len, const struct sample *sample,
                 int64_t t_ms, bool with_text)
{
    struct tail tail = {.len = 0};
    put(&tail, " ");
    if (sample->value.kind == VALUE_DOUBLE || sample->value.kind == VALUE_FLOAT)
        put_number(&tail, &sample->value);
    else if (sample->value.kind == VALUE_TEXT && with_text)
        put_text(&tail, sample->value.text);
    put(&tail, "q=");
    tail.len += print_u64(quality_pack(sample->quality, sample->cause), tail.text + tail.len);
    put(&tail, "i ");
    tail.len += print_i64(t_ms, tail.text + tail.len);
    put(&tail, "\n");
    buffer_append(out, head, head_len);
    buffer_append(out, tail.text, tail.len);
}
