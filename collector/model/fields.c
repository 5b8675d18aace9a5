#include "model/fields.h"

#include "base/text.h"
#include "model/stream.h"

#include <string.h>

static void *at_offset(const struct field *field, void *object)
{
    return (char *)object + field->offset;
}

/* The index of the field of that name, or of the table's end. */
static size_t find_field(const struct field *fields, const char *name)
{
    size_t i = 0;

    while (fields[i].name != NULL && strcmp(fields[i].name, name) != 0)
        i++;
    return i;
}

/* A bit for each member that must be there. */
static uint32_t required_fields(const struct field *fields)
{
    uint32_t required = 0;

    for (size_t i = 0; fields[i].name != NULL; i++)
        required |= fields[i].optional ? 0 : UINT32_C(1) << i;
    return required;
}

static int read_object(struct pull *pull, const struct field *fields, void *object, bool all)
{
    uint32_t missing = required_fields(fields);
    int err = pull_begin(pull, '{');

    while (err == 0 && (all || missing != 0)) {
        const char *name;
        size_t i;
        err = pull_member(pull, &name);
        if (err != 0 || name == NULL)
            break;
        i = find_field(fields, name);
        if (fields[i].name == NULL) {
            err = pull_skip(pull);
            continue;
        }
        err = fields[i].read(pull, &fields[i], object);
        missing &= ~(UINT32_C(1) << i);
    }
    for (size_t i = 0; err == 0 && fields[i].name != NULL; i++)
        if ((missing >> i & 1) != 0)
            err = pull_refuse(pull, ERR_INVALID, "no member \"%s\"", fields[i].name);
    return err;
}

int fields_read(struct pull *pull, const struct field *fields, void *object)
{
    return read_object(pull, fields, object, true);
}

int fields_read_first(struct pull *pull, const struct field *fields, void *object)
{
    return read_object(pull, fields, object, false);
}

int field_text(struct pull *pull, const struct field *field, void *object)
{
    return pull_text(pull, (size_t)field->min, at_offset(field, object), field->size);
}

int field_name(struct pull *pull, const struct field *field, void *object)
{
    int err = field_text(pull, field, object);

    if (err != 0 || text_is_name(at_offset(field, object)))
        return err;
    return pull_refuse(pull, ERR_INVALID,
                       "no name: 1 to 64 letters, digits, '_', '.' or '-', no '.' in front");
}

int field_hex(struct pull *pull, const struct field *field, void *object)
{
    const char *text = at_offset(field, object);
    int err = field_text(pull, field, object);

    if (err != 0 || (strspn(text, "0123456789abcdef") == field->size - 1))
        return err;
    return pull_refuse(pull, ERR_INVALID, "not %zu hexadecimal digits in small letters",
                       field->size - 1);
}

int field_i64(struct pull *pull, const struct field *field, void *object)
{
    return pull_i64(pull, field->min, field->max, at_offset(field, object));
}

int field_u64(struct pull *pull, const struct field *field, void *object)
{
    int64_t value = 0;
    int err = pull_i64(pull, field->min, field->max, &value);

    if (err == 0)
        *(uint64_t *)at_offset(field, object) = (uint64_t)value;
    return err;
}

int field_bool(struct pull *pull, const struct field *field, void *object)
{
    return pull_bool(pull, at_offset(field, object));
}

int field_stream(struct pull *pull, const struct field *field, void *object)
{
    char letter[2];
    enum stream stream = STREAM_COUNT;
    int err = pull_text(pull, 1, letter, sizeof(letter));

    if (err != 0)
        return err;
    stream = stream_from_text(letter);
    if (stream == STREAM_COUNT)
        return pull_refuse(pull, ERR_INVALID, "no stream: one of \"%s\"", STREAM_LETTERS);
    *(enum stream *)at_offset(field, object) = stream;
    return 0;
}
