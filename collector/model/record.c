/*
 * Design notes. A data record is built column by column: each sample's id, dt, val, q, held and raw
 * are printed once, at once, into a text each, so its size is known before it is taken in, and
 * writing the record out is a few copies. A column that says nothing (all 0, or no words at all) is
 * left out and costs nothing, until the first other value brings it in whole.
 */
#include "model/record.h"

#include "base/crypto.h"
#include "base/json.h"
#include "base/numbers.h"
#include "base/text.h"
#include "model/pull.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* All of a data record but its values, at its longest. */
#define HEAD_BYTES       320
#define SMALLEST_MAX     1024
#define TEXT_VALUE_BYTES (6 * VALUE_TEXT_SIZE + 2) /* each byte escaped, and the quotes */

static const char *const kind_names[RECORD_KIND_COUNT] = {
    [RECORD_BIRTH] = "birth",     [RECORD_DATA] = "data",   [RECORD_LOSS] = "loss",
    [RECORD_ACTION] = "action",   [RECORD_START] = "start", [RECORD_TICK] = "tick",
    [RECORD_VERDICT] = "verdict",
};

const char *record_kind_name(enum record_kind kind)
{
    return (unsigned)kind < RECORD_KIND_COUNT ? kind_names[kind] : "unknown";
}

void record_birth_id(const void *payload, size_t len, char ret_birth[BIRTH_SIZE])
{
    uint8_t digest[SHA256_SIZE];

    sha256(payload, len, digest);
    print_hex(digest, (BIRTH_SIZE - 1) / 2, ret_birth);
}

static void put_text(struct json_writer *writer, const char *key, const char *text)
{
    json_key(writer, key);
    json_text(writer, text);
}

static void put_i64(struct json_writer *writer, const char *key, int64_t value)
{
    json_key(writer, key);
    json_i64(writer, value);
}

static void put_u64(struct json_writer *writer, const char *key, uint64_t value)
{
    json_key(writer, key);
    json_u64(writer, value);
}

static void put_true(struct json_writer *writer, const char *key)
{
    json_key(writer, key);
    json_bool(writer, true);
}

static void put_stream(struct json_writer *writer, const char *key, enum stream stream)
{
    char letter = stream_letter(stream);

    json_key(writer, key);
    json_text_n(writer, &letter, 1);
}

static void begin_record(struct json_writer *writer, struct buffer *out,
                         const struct record_head *head, const char *birth)
{
    json_writer_init(writer, out);
    json_begin_object(writer);
    put_i64(writer, "v", 1);
    put_text(writer, "kind", record_kind_name(head->kind));
    put_text(writer, "epoch", head->epoch);
    put_stream(writer, "stream", head->stream);
    put_u64(writer, "seq", head->seq);
    if (birth != NULL)
        put_text(writer, "birth", birth);
    put_text(writer, "boot", head->boot);
    put_i64(writer, "mono", head->mono_us);
    json_key(writer, "sync");
    json_bool(writer, head->sync);
    put_i64(writer, "t0", head->t0_ms);
}

/* The stream that carries the points of a class. */
static enum stream stream_of_class(const char *class_)
{
    if (strcmp(class_, "safety") == 0)
        return STREAM_S;
    return strcmp(class_, "compliance") == 0 ? STREAM_C : STREAM_T;
}

static void put_point(struct json_writer *writer, const struct point_info *point)
{
    json_begin_object(writer);
    put_text(writer, "id", point->id);
    put_text(writer, "name", point->name);
    put_text(writer, "unit", point->unit);
    put_text(writer, "type", point->type);
    put_text(writer, "site", point->site);
    put_text(writer, "map", point->map);
    put_text(writer, "class", point->class_);
    put_stream(writer, "stream", stream_of_class(point->class_));
    put_i64(writer, "interval", point->interval_ms);
    json_end_object(writer);
}

void record_write_birth(struct buffer *out, const struct record_head *head, const char *edge,
                        const char *site, const struct point_info *points, size_t count)
{
    struct json_writer writer;

    begin_record(&writer, out, head, NULL);
    put_text(&writer, "edge", edge);
    put_text(&writer, "site", site);
    json_key(&writer, "causes");
    json_begin_array(&writer);
    for (int cause = 0; cause < CAUSE_COUNT; cause++)
        json_text(&writer, cause_name((enum cause)cause));
    json_end_array(&writer);
    json_key(&writer, "points");
    json_begin_array(&writer);
    for (size_t i = 0; i < count; i++)
        put_point(&writer, &points[i]);
    json_end_array(&writer);
    json_end_object(&writer);
}

void record_write_loss(struct buffer *out, const struct record_head *head,
                       const struct record_loss *loss)
{
    struct json_writer writer;

    begin_record(&writer, out, head, NULL);
    put_stream(&writer, "of", loss->of);
    put_u64(&writer, "first", loss->first);
    put_u64(&writer, "last", loss->last);
    put_i64(&writer, "from", loss->from_ms);
    put_i64(&writer, "to", loss->to_ms);
    put_u64(&writer, "points", loss->points);
    put_text(&writer, "cause", loss->cause);
    if (loss->epoch[0] != '\0')
        put_text(&writer, "of_epoch", loss->epoch);
    if (loss->other)
        put_true(&writer, "of_other");
    json_end_object(&writer);
}

void record_write_action(struct buffer *out, const struct record_head *head,
                         const struct record_action *action)
{
    struct json_writer writer;

    begin_record(&writer, out, head, NULL);
    put_text(&writer, "user", action->user);
    put_text(&writer, "role", action->role);
    put_text(&writer, "action", action->action);
    put_text(&writer, "target", action->target);
    put_u64(&writer, "occurrence", action->occurrence);
    put_text(&writer, "note", action->note);
    json_end_object(&writer);
}

void record_write_verdict(struct buffer *out, const struct record_head *head,
                          const struct record_verdict *verdict)
{
    struct json_writer writer;

    begin_record(&writer, out, head, NULL);
    put_text(&writer, "key", verdict->key);
    put_text(&writer, "channel", verdict->channel);
    put_i64(&writer, "attempt", verdict->attempt);
    put_text(&writer, "verdict", verdict->verdict);
    json_end_object(&writer);
}

void record_write_mark(struct buffer *out, const struct record_head *head)
{
    struct json_writer writer;

    begin_record(&writer, out, head, NULL);
    json_end_object(&writer);
}

/* ---- once more ---- */

static void put_was(struct json_writer *writer, const struct record_was *was)
{
    put_text(writer, "was_epoch", was->epoch);
    put_u64(writer, "was_seq", was->seq);
    if (was->other)
        put_true(writer, "was_other");
}

/* What is written anew; all else is copied. */
static bool is_of_place(const char *name)
{
    static const char *const names[] = {"v",     "kind",      "epoch",   "stream",   "seq",
                                        "birth", "boot",      "mono",    "sync",     "t0",
                                        "total", "was_epoch", "was_seq", "was_other"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* Copies the members of the object that comes next. */
static int copy_members(struct pull *pull, struct json_writer *writer, bool *ret_of_epoch)
{
    const char *name = NULL, *text = NULL;
    size_t len = 0;
    int err = pull_begin(pull, '{');

    while (err == 0) {
        err = pull_member(pull, &name);
        if (err != 0 || name == NULL)
            break;
        if (is_of_place(name)) {
            err = pull_skip(pull);
            continue;
        }
        *ret_of_epoch = *ret_of_epoch || strcmp(name, "of_epoch") == 0;
        json_key(writer, name);
        err = pull_raw(pull, &text, &len);
        if (err == 0)
            json_raw(writer, text, len);
    }
    return err;
}

int record_write_again(struct buffer *out, const char *payload, size_t len,
                       const struct record_head *head, const char birth[BIRTH_SIZE], uint64_t total,
                       const struct record_was *was, bool of_other, struct message *message)
{
    bool data = head->kind == RECORD_DATA, of_epoch = false;
    struct json_writer writer;
    struct pull pull;
    int err;

    pull_init(&pull, "record", payload, len, message);
    begin_record(&writer, out, head, data ? birth : NULL);
    put_was(&writer, was);
    err = copy_members(&pull, &writer, &of_epoch);
    if (err == 0)
        err = pull_end(&pull);
    if (err != 0)
        return err;
    if (head->kind == RECORD_LOSS && !of_epoch) { /* else it was told once before */
        put_text(&writer, "of_epoch", was->epoch);
        if (of_other)
            put_true(&writer, "of_other");
    }
    if (data)
        put_u64(&writer, "total", total);
    json_end_object(&writer);
    return 0;
}

/* ---- data ---- */

enum column_kind {
    COLUMN_ID,
    COLUMN_DT,
    COLUMN_VAL,
    COLUMN_Q,
    COLUMN_HELD,
    COLUMN_RAW,
    COLUMN_COUNT
};

static const struct {
    const char *name;
    const char *nothing; /* what a sample without it has there; NULL: never left out */
} columns_known[COLUMN_COUNT] = {
    [COLUMN_ID] = {"id", NULL}, [COLUMN_DT] = {"dt", "0"},     [COLUMN_VAL] = {"val", NULL},
    [COLUMN_Q] = {"q", "0"},    [COLUMN_HELD] = {"held", "0"}, [COLUMN_RAW] = {"raw", "\"\""},
};

/* Values with their commas; empty while it is left out. */
struct column {
    char *text;
    size_t len;
    bool counts; /* one that says something, or is never left out */
};

/* One value as text, its comma in front. */
struct cell {
    char text[1 + TEXT_VALUE_BYTES];
    size_t len;
};

struct record_data {
    size_t max_bytes;
    size_t count;
    uint64_t held;
    int64_t t0_ms;
    struct column columns[COLUMN_COUNT];
    struct buffer escaped; /* a text value */
    char text[];
};

static void record_data_empty(struct record_data *data)
{
    data->count = 0;
    data->held = 0;
    data->t0_ms = 0;
    for (int i = 0; i < COLUMN_COUNT; i++) {
        data->columns[i].len = 0;
        data->columns[i].counts = columns_known[i].nothing == NULL;
    }
}

struct record_data *record_data_new(size_t max_bytes)
{
    struct record_data *data;

    if (max_bytes < SMALLEST_MAX)
        max_bytes = SMALLEST_MAX;
    if (max_bytes > RECORD_MAX_BYTES)
        max_bytes = RECORD_MAX_BYTES;
    data = malloc(sizeof(*data) + COLUMN_COUNT * max_bytes);
    if (data == NULL)
        return NULL;
    data->max_bytes = max_bytes;
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        data->columns[i].text = data->text + i * max_bytes;
    buffer_init(&data->escaped, TEXT_VALUE_BYTES);
    record_data_empty(data);
    return data;
}

void record_data_free(struct record_data *data)
{
    if (data == NULL)
        return;
    buffer_release(&data->escaped);
    free(data);
}

static bool can_be_written(uint32_t id, const struct sample *sample)
{
    const struct value *value = &sample->value;

    if (id >= RECORD_MAX_POINTS || (unsigned)sample->quality >= QUALITY_COUNT ||
        (unsigned)sample->cause >= CAUSE_COUNT || sample->held > RECORD_MAX_HELD ||
        sample->raw_count > SAMPLE_RAW_WORDS)
        return false;
    if (sample->t_ms < RECORD_MIN_TIME || sample->t_ms > RECORD_MAX_TIME)
        return false;
    switch (value->kind) {
    case VALUE_NONE:
        return true;
    case VALUE_DOUBLE:
        return isfinite(value->number);
    case VALUE_FLOAT:
        return isfinite((float)value->number);
    case VALUE_TEXT: {
        size_t len = strnlen(value->text, sizeof(value->text));
        return len < sizeof(value->text) && text_is_utf8(value->text, len);
    }
    default:
        return false;
    }
}

static int print_text(struct record_data *data, const char *text, struct cell *cell)
{
    struct json_writer writer;

    buffer_clear(&data->escaped);
    json_writer_init(&writer, &data->escaped);
    json_text(&writer, text);
    if (buffer_error(&data->escaped) != 0)
        return buffer_error(&data->escaped);
    memcpy(cell->text + cell->len, data->escaped.data, data->escaped.len);
    cell->len += data->escaped.len;
    return 0;
}

static int print_value(struct record_data *data, const struct value *value, struct cell *cell)
{
    char *end = cell->text + cell->len;

    switch (value->kind) {
    case VALUE_DOUBLE:
        cell->len += print_double(value->number, end);
        return 0;
    case VALUE_FLOAT:
        cell->len += print_float((float)value->number, end);
        return 0;
    case VALUE_TEXT:
        return print_text(data, value->text, cell);
    case VALUE_NONE:
    default:
        memcpy(end, "null", 4);
        cell->len += 4;
        return 0;
    }
}

static void print_whole(int64_t value, struct cell *cell)
{
    cell->len += print_i64(value, cell->text + cell->len);
}

static void print_words(const struct sample *sample, struct cell *cell)
{
    uint8_t bytes[2 * SAMPLE_RAW_WORDS];

    for (size_t i = 0; i < sample->raw_count; i++) {
        bytes[2 * i] = (uint8_t)(sample->raw[i] >> 8);
        bytes[2 * i + 1] = (uint8_t)sample->raw[i];
    }
    cell->text[cell->len++] = '"';
    print_hex(bytes, 2u * sample->raw_count, cell->text + cell->len);
    cell->len += 4u * sample->raw_count;
    cell->text[cell->len++] = '"';
}

/* Each column's value, its comma in front; *ret_says: which columns it may not be left out of. */
static int print_cells(struct record_data *data, uint32_t id, const struct sample *sample,
                       struct cell cells[COLUMN_COUNT], bool ret_says[COLUMN_COUNT])
{
    uint16_t q = quality_pack(sample->quality, sample->cause);
    int64_t dt = data->count > 0 ? sample->t_ms - data->t0_ms : 0;

    for (int i = 0; i < COLUMN_COUNT; i++) {
        cells[i].text[0] = ',';
        cells[i].len = data->count > 0 ? 1 : 0;
        ret_says[i] = data->columns[i].counts;
    }
    ret_says[COLUMN_DT] |= dt != 0;
    ret_says[COLUMN_Q] |= q != 0;
    ret_says[COLUMN_HELD] |= sample->held != 0;
    ret_says[COLUMN_RAW] |= sample->raw_count != 0;
    print_whole(id, &cells[COLUMN_ID]);
    print_whole(dt, &cells[COLUMN_DT]);
    print_whole(q, &cells[COLUMN_Q]);
    if (ret_says[COLUMN_HELD])
        print_whole(sample->held, &cells[COLUMN_HELD]);
    if (ret_says[COLUMN_RAW])
        print_words(sample, &cells[COLUMN_RAW]);
    return print_value(data, &sample->value, &cells[COLUMN_VAL]);
}

/* What the samples so far take in a column that had been left out. */
static size_t nothing_bytes(const struct record_data *data, int column)
{
    size_t each = data->columns[column].counts ? 0 : strlen(columns_known[column].nothing) + 1;

    return data->count > 0 && each > 0 ? data->count * each - 1 : 0;
}

static void bring_in(struct record_data *data, int column)
{
    struct column *to = &data->columns[column];
    const char *nothing = columns_known[column].nothing;

    for (size_t i = 0; i < data->count; i++) {
        if (i > 0)
            to->text[to->len++] = ',';
        memcpy(to->text + to->len, nothing, strlen(nothing));
        to->len += strlen(nothing);
    }
    to->counts = true;
}

int record_data_add(struct record_data *data, uint32_t id, const struct sample *sample)
{
    struct cell cells[COLUMN_COUNT];
    bool says[COLUMN_COUNT];
    size_t bytes = HEAD_BYTES;
    int err;

    if (!can_be_written(id, sample))
        return ERR_INVALID;
    if (data->count == RECORD_MAX_VALUES)
        return ERR_FULL;
    err = print_cells(data, id, sample, cells, says);
    if (err != 0)
        return err;
    for (int i = 0; i < COLUMN_COUNT; i++)
        if (says[i])
            bytes += data->columns[i].len + nothing_bytes(data, i) + cells[i].len;
    if (bytes > data->max_bytes)
        return ERR_FULL;
    for (int i = 0; i < COLUMN_COUNT; i++) {
        struct column *column = &data->columns[i];
        if (!says[i])
            continue;
        if (!column->counts)
            bring_in(data, i);
        memcpy(column->text + column->len, cells[i].text, cells[i].len);
        column->len += cells[i].len;
    }
    data->held += sample->held;
    if (data->count++ == 0)
        data->t0_ms = sample->t_ms;
    return 0;
}

size_t record_data_count(const struct record_data *data)
{
    return data->count;
}

uint64_t record_data_readings(const struct record_data *data)
{
    return data->count + data->held;
}

size_t record_data_bytes(const struct record_data *data)
{
    size_t bytes = HEAD_BYTES;

    for (int i = 0; i < COLUMN_COUNT; i++)
        bytes += data->columns[i].counts ? data->columns[i].len : 0;
    return bytes;
}

int64_t record_data_t0(const struct record_data *data)
{
    return data->t0_ms;
}

void record_data_write(struct record_data *data, struct buffer *out, struct record_head *head,
                       const char birth[BIRTH_SIZE], uint64_t total)
{
    struct json_writer writer;

    head->kind = RECORD_DATA;
    if (data->count > 0)
        head->t0_ms = data->t0_ms;
    begin_record(&writer, out, head, birth);
    for (int i = 0; i < COLUMN_COUNT; i++) {
        if (!data->columns[i].counts)
            continue;
        json_key(&writer, columns_known[i].name);
        json_begin_array(&writer);
        buffer_append(out, data->columns[i].text, data->columns[i].len);
        json_end_array(&writer);
    }
    put_u64(&writer, "total", total);
    json_end_object(&writer);
    record_data_empty(data);
}
