/*
 * Design notes. A record is gone over twice: first as far as its head goes, so that its kind and t0
 * are known whatever the order of members, then as a whole, by the table of its kind. In our own
 * records the head stands in front, so the first time costs little.
 *
 * Data comes as columns, each straight into the samples: the first column makes them, and at the
 * end all columns must have been of one length.
 */
#include "model/record.h"

#include "base/numbers.h"
#include "model/fields.h"

#include <stdlib.h>
#include <string.h>

#define CAUSES_MAX      256
#define INTERVAL_MAX_MS (INT64_C(3650) * 24 * 3600 * 1000)
#define WHOLE_MAX       ((int64_t)RECORD_MAX_NUMBER)
#define RAW_WORDS_MAX   125 /* of one reading: no device tells more at once */
#define HEX_DIGITS      "0123456789abcdefABCDEF"

enum column { COLUMN_ID, COLUMN_DT, COLUMN_VAL, COLUMN_Q, COLUMN_HELD, COLUMN_RAW, COLUMN_COUNT };

static const char *const column_names[COLUMN_COUNT] = {"id", "dt", "val", "q", "held", "raw"};

/* A record being read: what it will be, and what is needed until it is. */
struct reading {
    struct record record;
    size_t sample_room;
    size_t point_room;
    bool seen[COLUMN_COUNT];
    size_t lengths[COLUMN_COUNT];
};

/* A text that fills the member of the struct. */
#define TEXT_OF(type, member) .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)

/* ---- the head ---- */

static int read_version(struct pull *pull, const struct field *field, void *object)
{
    int64_t version = 0;
    int err = pull_i64(pull, -WHOLE_MAX, WHOLE_MAX, &version);

    (void)field;
    (void)object;
    if (err != 0 || version == 1)
        return err;
    return pull_refuse(pull, ERR_INVALID, "version %lld, this program reads version 1",
                       (long long)version);
}

static int read_kind(struct pull *pull, const struct field *field, void *object)
{
    struct record_head *head = object;
    char name[32];
    int err = pull_text(pull, 0, name, sizeof(name));

    (void)field;
    for (int kind = 0; err == 0 && kind < RECORD_KIND_COUNT; kind++) {
        if (strcmp(name, record_kind_name((enum record_kind)kind)) == 0) {
            head->kind = (enum record_kind)kind;
            return 0;
        }
    }
    return err != 0 ? err : pull_refuse(pull, ERR_INVALID, "an unknown kind of record: %s", name);
}

static const struct field head_fields[] = {
    {"v", read_version, .offset = 0},
    {"kind", read_kind, .offset = 0},
    {"epoch", field_hex, TEXT_OF(struct record_head, epoch)},
    {"stream", field_stream, .offset = offsetof(struct record_head, stream)},
    {"seq", field_u64, .offset = offsetof(struct record_head, seq), .min = 1, .max = WHOLE_MAX},
    {"boot", field_text, TEXT_OF(struct record_head, boot), .min = 1},
    {"mono", field_i64, .offset = offsetof(struct record_head, mono_us), .min = 0,
     .max = WHOLE_MAX},
    {"sync", field_bool, .offset = offsetof(struct record_head, sync)},
    {"t0", field_i64, .offset = offsetof(struct record_head, t0_ms), .min = RECORD_MIN_TIME,
     .max = RECORD_MAX_TIME},
    {.name = NULL},
};

/* ---- birth ---- */

/* Numbers of causes are never given anew, so a birth of an earlier version names fewer and one of a
 * later version more. Another name for a number would make every `q` of that birth a lie. */
static int read_causes(struct pull *pull, const struct field *field, void *object)
{
    bool more = false;
    int err = pull_begin(pull, '[');

    (void)field;
    (void)object;
    for (int i = 0; err == 0; i++) {
        char name[64];
        err = pull_element(pull, &more);
        if (err != 0 || !more)
            break;
        if (i == CAUSES_MAX)
            return pull_refuse(pull, ERR_RANGE, "more than %d causes", CAUSES_MAX);
        err = pull_text(pull, 1, name, sizeof(name));
        if (err == 0 && i < CAUSE_COUNT && strcmp(name, cause_name((enum cause)i)) != 0)
            return pull_refuse(pull, ERR_INVALID, "cause %d is called %s there and %s here", i,
                               name, cause_name((enum cause)i));
    }
    return err;
}

static int read_point_id(struct pull *pull, const struct field *field, void *object)
{
    const char *id = ((struct point_info *)object)->id;
    int err = field_text(pull, field, object);

    for (; err == 0 && *id != '\0'; id++)
        if ((unsigned char)*id <= ' ' || *id == 0x7F || *id == '\\')
            err = pull_refuse(pull, ERR_INVALID,
                              "a blank, backslash or control character in a point's id");
    return err;
}

/* The stream follows from the class; what is written must be one all the same. */
static int read_point_stream(struct pull *pull, const struct field *field, void *object)
{
    enum stream stream;
    struct field own = {.name = field->name, .offset = 0};

    (void)object;
    return field_stream(pull, &own, &stream);
}

static const struct field point_fields[] = {
    {"id", read_point_id, TEXT_OF(struct point_info, id), .min = 1},
    {"name", field_text, TEXT_OF(struct point_info, name)},
    {"unit", field_text, TEXT_OF(struct point_info, unit)},
    {"type", field_text, TEXT_OF(struct point_info, type)},
    {"site", field_name, TEXT_OF(struct point_info, site)},
    {"map", field_text, TEXT_OF(struct point_info, map)},
    {"class", field_text, TEXT_OF(struct point_info, class_), .min = 1},
    {"stream", read_point_stream, .offset = 0},
    {"interval", field_i64, .offset = offsetof(struct point_info, interval_ms), .min = 0,
     .max = INTERVAL_MAX_MS},
    {.name = NULL},
};

static int grow_points(struct reading *reading)
{
    size_t room = reading->point_room == 0 ? 16 : reading->point_room * 2;
    struct point_info *points = reallocarray(reading->record.points, room, sizeof(*points));

    if (points == NULL)
        return ERR_NO_MEMORY;
    reading->record.points = points;
    reading->point_room = room;
    return 0;
}

static int read_point(struct pull *pull, struct reading *reading)
{
    struct record *record = &reading->record;
    struct point_info *point;
    int err;

    if (record->point_count == RECORD_MAX_POINTS)
        return pull_refuse(pull, ERR_RANGE, "more than %d points", RECORD_MAX_POINTS);
    if (record->point_count == reading->point_room && grow_points(reading) != 0)
        return pull_refuse(pull, ERR_NO_MEMORY, "out of memory");
    point = &record->points[record->point_count];
    memset(point, 0, sizeof(*point));
    err = fields_read(pull, point_fields, point);
    for (size_t i = 0; err == 0 && i < record->point_count; i++)
        if (strcmp(record->points[i].id, point->id) == 0)
            err = pull_refuse(pull, ERR_INVALID, "the id %s stands twice", point->id);
    if (err == 0)
        record->point_count++;
    return err;
}

static int read_points(struct pull *pull, const struct field *field, void *object)
{
    bool more = false;
    int err = pull_begin(pull, '[');

    (void)field;
    while (err == 0) {
        err = pull_element(pull, &more);
        if (err != 0 || !more)
            break;
        err = read_point(pull, object);
    }
    return err;
}

/* Members that tell where it was recorded first. */
#define WAS(member) .offset = offsetof(struct reading, record.was.member), .optional = true
#define WAS_FIELDS                                                                         \
    {"was_epoch", field_hex, TEXT_OF(struct reading, record.was.epoch), .optional = true}, \
        {"was_seq", field_u64, WAS(seq), .min = 1, .max = WHOLE_MAX},                      \
    {                                                                                      \
        "was_other", field_bool, WAS(other)                                                \
    }

static const struct field birth_fields[] = {
    {"edge", field_name, TEXT_OF(struct reading, record.edge)},
    {"site", field_name, TEXT_OF(struct reading, record.site)},
    {"causes", read_causes, .offset = 0},
    {"points", read_points, .offset = 0},
    WAS_FIELDS,
    {.name = NULL},
};

/* ---- data ---- */

static int grow_samples(struct reading *reading)
{
    size_t room = reading->sample_room == 0 ? 64 : reading->sample_room * 2;
    struct sample *samples = reallocarray(reading->record.samples, room, sizeof(*samples));

    if (samples == NULL)
        return ERR_NO_MEMORY;
    reading->record.samples = samples;
    reading->sample_room = room;
    return 0;
}

/* The sample that is number `at` in each column: as it would be without a dt and q. */
static int make_sample(struct pull *pull, struct reading *reading, size_t at)
{
    struct record *record = &reading->record;

    if (at == RECORD_MAX_VALUES)
        return pull_refuse(pull, ERR_RANGE, "more than %d values", RECORD_MAX_VALUES);
    if (at == reading->sample_room && grow_samples(reading) != 0)
        return pull_refuse(pull, ERR_NO_MEMORY, "out of memory");
    record->samples[at] = (struct sample){.t_ms = record->head.t0_ms};
    record->sample_count = at + 1;
    return 0;
}

static int read_id(struct pull *pull, const struct record *record, struct sample *sample)
{
    int64_t id = 0;
    int err = pull_i64(pull, 0, RECORD_MAX_POINTS - 1, &id);

    (void)record;
    sample->point = (uint32_t)id;
    return err;
}

static int read_dt(struct pull *pull, const struct record *record, struct sample *sample)
{
    int64_t dt = 0;
    int err = pull_i64(pull, RECORD_MIN_TIME - record->head.t0_ms,
                       RECORD_MAX_TIME - record->head.t0_ms, &dt);

    sample->t_ms += dt;
    return err;
}

static int read_val(struct pull *pull, const struct record *record, struct sample *sample)
{
    struct value *value = &sample->value;

    (void)record;
    switch (pull_peek(pull)) {
    case '"':
        value->kind = VALUE_TEXT;
        return pull_text(pull, 0, value->text, sizeof(value->text));
    case 'n':
        value->kind = VALUE_NONE;
        return pull_null(pull);
    default:
        value->kind = VALUE_DOUBLE;
        return pull_double(pull, &value->number);
    }
}

static int read_q(struct pull *pull, const struct record *record, struct sample *sample)
{
    int64_t q = 0;
    int err = pull_i64(pull, 0, QUALITY_COUNT * 256 - 1, &q);

    (void)record;
    sample->quality = (enum quality)(q / 256);
    sample->cause = q % 256 < CAUSE_COUNT ? (enum cause)(q % 256) : CAUSE_NONE;
    return err;
}

static int read_held(struct pull *pull, const struct record *record, struct sample *sample)
{
    int64_t held = 0;
    int err = pull_i64(pull, 0, RECORD_MAX_HELD, &held);

    (void)record;
    sample->held = (uint32_t)held;
    return err;
}

/* Register words as hex digits, four each; of a text's many words none is kept. */
static int read_raw(struct pull *pull, const struct record *record, struct sample *sample)
{
    char digits[4 * RAW_WORDS_MAX + 1];
    uint8_t bytes[2 * SAMPLE_RAW_WORDS];
    size_t words;
    int err = pull_text(pull, 0, digits, sizeof(digits));

    (void)record;
    if (err != 0)
        return err;
    words = strlen(digits) / 4;
    if (strlen(digits) % 4 != 0 || strspn(digits, HEX_DIGITS) != strlen(digits))
        return pull_refuse(pull, ERR_INVALID, "raw words in hex, four digits each; not %.40s",
                           digits);
    if (words > SAMPLE_RAW_WORDS || parse_hex(digits, 2 * words, bytes) != 0)
        return 0;
    for (size_t i = 0; i < words; i++)
        sample->raw[i] = (uint16_t)(bytes[2 * i] << 8 | bytes[2 * i + 1]);
    sample->raw_count = (uint8_t)words;
    return 0;
}

static int read_column(struct pull *pull, struct reading *reading, enum column column,
                       int (*read)(struct pull *pull, const struct record *record,
                                   struct sample *sample))
{
    struct record *record = &reading->record;
    bool more = false;
    size_t at = 0;
    int err = pull_begin(pull, '[');

    for (; err == 0; at++) {
        err = pull_element(pull, &more);
        if (err != 0 || !more)
            break;
        if (at == record->sample_count)
            err = make_sample(pull, reading, at);
        if (err == 0)
            err = read(pull, record, &record->samples[at]);
    }
    reading->seen[column] = true;
    reading->lengths[column] = at;
    return err;
}

static int read_ids(struct pull *pull, const struct field *field, void *object)
{
    (void)field;
    return read_column(pull, object, COLUMN_ID, read_id);
}

static int read_dts(struct pull *pull, const struct field *field, void *object)
{
    (void)field;
    return read_column(pull, object, COLUMN_DT, read_dt);
}

static int read_vals(struct pull *pull, const struct field *field, void *object)
{
    (void)field;
    return read_column(pull, object, COLUMN_VAL, read_val);
}

static int read_qs(struct pull *pull, const struct field *field, void *object)
{
    (void)field;
    return read_column(pull, object, COLUMN_Q, read_q);
}

static int read_helds(struct pull *pull, const struct field *field, void *object)
{
    (void)field;
    return read_column(pull, object, COLUMN_HELD, read_held);
}

static int read_raws(struct pull *pull, const struct field *field, void *object)
{
    (void)field;
    return read_column(pull, object, COLUMN_RAW, read_raw);
}

static const struct field data_fields[] = {
    {"birth", field_hex, TEXT_OF(struct reading, record.birth)},
    {"id", read_ids, .offset = 0},
    {"dt", read_dts, .offset = 0, .optional = true},
    {"val", read_vals, .offset = 0},
    {"q", read_qs, .offset = 0, .optional = true},
    {"held", read_helds, .offset = 0, .optional = true},
    {"raw", read_raws, .offset = 0, .optional = true},
    {"total", field_u64, .offset = offsetof(struct reading, record.total), .max = WHOLE_MAX},
    WAS_FIELDS,
    {.name = NULL},
};

static int finish_data(struct reading *reading, struct message *message)
{
    struct record *record = &reading->record;

    for (int i = 0; i < COLUMN_COUNT; i++)
        if (reading->seen[i] && reading->lengths[i] != record->sample_count)
            return message_set(message, ERR_INVALID,
                               "record, %s: %zu values, where another column has %zu",
                               column_names[i], reading->lengths[i], record->sample_count);
    for (size_t i = 0; i < record->sample_count; i++) {
        struct sample *sample = &record->samples[i];
        record->held += sample->held;
        if (sample->value.kind == VALUE_NONE && sample->quality < QUALITY_BAD)
            sample->quality = QUALITY_BAD;
    }
    return 0;
}

/* ---- other kinds ---- */

#define LOSS(member) .offset = offsetof(struct reading, record.loss.member)

static const struct field loss_fields[] = {
    {"of", field_stream, LOSS(of)},
    {"first", field_u64, LOSS(first), .min = 1, .max = WHOLE_MAX},
    {"last", field_u64, LOSS(last), .min = 1, .max = WHOLE_MAX},
    {"from", field_i64, LOSS(from_ms), .min = RECORD_MIN_TIME, .max = RECORD_MAX_TIME},
    {"to", field_i64, LOSS(to_ms), .min = RECORD_MIN_TIME, .max = RECORD_MAX_TIME},
    {"points", field_u64, LOSS(points), .max = WHOLE_MAX},
    {"cause", field_text, TEXT_OF(struct reading, record.loss.cause), .min = 1},
    {"of_epoch", field_hex, TEXT_OF(struct reading, record.loss.epoch), .optional = true},
    {"of_other", field_bool, LOSS(other), .optional = true},
    WAS_FIELDS,
    {.name = NULL},
};

static int finish_loss(struct reading *reading, struct message *message)
{
    const struct record_loss *loss = &reading->record.loss;

    if (loss->first <= loss->last)
        return 0;
    return message_set(message, ERR_INVALID, "record, last: %llu, before first, %llu",
                       (unsigned long long)loss->last, (unsigned long long)loss->first);
}

static const struct field action_fields[] = {
    {"user", field_text, TEXT_OF(struct reading, record.action.user), .min = 1},
    {"role", field_text, TEXT_OF(struct reading, record.action.role), .min = 1},
    {"action", field_text, TEXT_OF(struct reading, record.action.action), .min = 1},
    {"target", field_text, TEXT_OF(struct reading, record.action.target)},
    {"occurrence", field_u64, .offset = offsetof(struct reading, record.action.occurrence),
     .max = WHOLE_MAX, .optional = true},
    {"note", field_text, TEXT_OF(struct reading, record.action.note), .optional = true},
    {.name = NULL},
};

static const struct field verdict_fields[] = {
    {"key", field_text, TEXT_OF(struct reading, record.verdict.key), .min = 1},
    {"channel", field_text, TEXT_OF(struct reading, record.verdict.channel), .min = 1},
    {"attempt", field_i64, .offset = offsetof(struct reading, record.verdict.attempt), .min = 0,
     .max = WHOLE_MAX},
    {"verdict", field_text, TEXT_OF(struct reading, record.verdict.verdict), .min = 1},
    {.name = NULL},
};

static const struct field mark_fields[] = {{.name = NULL}};

/* ---- all ---- */

static const struct {
    const struct field *fields;
    int (*finish)(struct reading *reading, struct message *message);
} kinds[RECORD_KIND_COUNT] = {
    [RECORD_BIRTH] = {birth_fields, NULL},      [RECORD_DATA] = {data_fields, finish_data},
    [RECORD_LOSS] = {loss_fields, finish_loss}, [RECORD_ACTION] = {action_fields, NULL},
    [RECORD_VERDICT] = {verdict_fields, NULL},  [RECORD_START] = {mark_fields, NULL},
    [RECORD_TICK] = {mark_fields, NULL},
};

int record_parse_head(const char *payload, size_t len, struct record_head *ret_head,
                      struct message *message)
{
    struct record_head head = {.kind = RECORD_KIND_COUNT};
    struct pull pull;
    int err;

    if (len > RECORD_MAX_BYTES)
        return message_set(message, ERR_RANGE, "record: %zu bytes, more than %d", len,
                           RECORD_MAX_BYTES);
    pull_init(&pull, "record", payload, len, message);
    err = fields_read_first(&pull, head_fields, &head);
    if (err == 0)
        *ret_head = head;
    return err;
}

int record_parse(const char *payload, size_t len, struct record *ret_record,
                 struct message *message)
{
    struct reading reading = {.record = {.points = NULL}};
    struct pull pull;
    int err = record_parse_head(payload, len, &reading.record.head, message);

    if (err != 0)
        return err;
    pull_init(&pull, "record", payload, len, message);
    err = fields_read(&pull, kinds[reading.record.head.kind].fields, &reading);
    if (err == 0)
        err = pull_end(&pull);
    if (err == 0 && kinds[reading.record.head.kind].finish != NULL)
        err = kinds[reading.record.head.kind].finish(&reading, message);
    if (err == 0)
        *ret_record = reading.record;
    else
        record_release(&reading.record);
    return err;
}

void record_release(struct record *record)
{
    free(record->points);
    free(record->samples);
    *record = (struct record){.points = NULL};
}
