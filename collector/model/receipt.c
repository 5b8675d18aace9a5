#include "model/receipt.h"

#include "base/json.h"
#include "base/text.h"
#include "model/fields.h"

#include <string.h>

#define MESSAGE_MAX_BYTES (64 * 1024)
#define WHOLE_MAX         ((int64_t)RECORD_MAX_NUMBER)

/* A text that fills the member of the struct. */
#define TEXT_OF(type, member) .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)

/* Reads the whole of a message by its table. */
static int read_message(const char *what, const char *text, size_t len, const struct field *fields,
                        void *object, struct message *message)
{
    struct pull pull;
    int err;

    if (len > MESSAGE_MAX_BYTES)
        return message_set(message, ERR_RANGE, "%s: %zu bytes, more than %d", what, len,
                           MESSAGE_MAX_BYTES);
    pull_init(&pull, what, text, len, message);
    err = fields_read(&pull, fields, object);
    return err != 0 ? err : pull_end(&pull);
}

/* Calls `read` for each stream of an object keyed by letters. A letter of a later version is passed
 * over. */
static int read_streams(struct pull *pull, void *object,
                        int (*read)(struct pull *pull, enum stream stream, void *object))
{
    int err = pull_begin(pull, '{');

    while (err == 0) {
        const char *name;
        enum stream stream;
        err = pull_member(pull, &name);
        if (err != 0 || name == NULL)
            break;
        stream = stream_from_text(name);
        err = stream == STREAM_COUNT ? pull_skip(pull) : read(pull, stream, object);
    }
    return err;
}

/* ---- receipt ---- */

/* "[18010,18040]", behind what the list has so far and touching none of it. */
static int read_interval(struct pull *pull, uint64_t after, struct interval *ret_interval)
{
    int64_t ends[2] = {0, 0};
    size_t count = 0;
    bool more = false;
    int err = pull_begin(pull, '[');

    for (; err == 0; count++) {
        err = pull_element(pull, &more);
        if (err != 0 || !more)
            break;
        if (count == 2)
            return pull_refuse(pull, ERR_INVALID, "more than a first and a last");
        err = pull_i64(pull, 1, WHOLE_MAX, &ends[count]);
    }
    if (err != 0)
        return err;
    if (count != 2)
        return pull_refuse(pull, ERR_INVALID, "no first and last");
    if (ends[1] < ends[0] || (uint64_t)ends[0] <= after)
        return pull_refuse(pull, ERR_INVALID, "%lld..%lld does not lie behind %llu",
                           (long long)ends[0], (long long)ends[1], (unsigned long long)after);
    *ret_interval = (struct interval){(uint64_t)ends[0], (uint64_t)ends[1]};
    return 0;
}

static int read_also(struct pull *pull, const struct field *field, void *object)
{
    struct receipt_stream *stream = object;
    bool more = false;
    int err = pull_begin(pull, '[');

    (void)field;
    while (err == 0) {
        uint64_t after = stream->also_count > 0 ? stream->also[stream->also_count - 1].last : 0;
        err = pull_element(pull, &more);
        if (err != 0 || !more)
            break;
        if (stream->also_count == RECEIPT_MAX_ALSO)
            return pull_refuse(pull, ERR_RANGE, "more than %d ranges", RECEIPT_MAX_ALSO);
        err = read_interval(pull, after, &stream->also[stream->also_count]);
        stream->also_count += err == 0 ? 1 : 0;
    }
    return err;
}

static const struct field stream_fields[] = {
    {"through", field_u64, .offset = offsetof(struct receipt_stream, through), .max = WHOLE_MAX},
    {"also", read_also, .offset = 0, .optional = true},
    {"tip", field_u64, .offset = offsetof(struct receipt_stream, tip), .max = WHOLE_MAX,
     .optional = true},
    {"sum", field_u64, .offset = offsetof(struct receipt_stream, tip_sum), .max = UINT32_MAX,
     .optional = true},
    {.name = NULL},
};

static int read_receipt_stream(struct pull *pull, enum stream stream, void *object)
{
    struct receipt_stream *own = &((struct receipt *)object)->streams[stream];
    int err = fields_read(pull, stream_fields, own);

    own->present = true;
    if (err == 0 && own->also_count > 0 && own->also[0].first <= own->through)
        err = pull_refuse(pull, ERR_INVALID, "also %llu, which does not lie behind through %llu",
                          (unsigned long long)own->also[0].first, (unsigned long long)own->through);
    return err;
}

static int read_receipt_streams(struct pull *pull, const struct field *field, void *object)
{
    (void)field;
    return read_streams(pull, object, read_receipt_stream);
}

static const struct field receipt_fields[] = {
    {"centre", field_name, TEXT_OF(struct receipt, centre)},
    {"nonce", field_text, TEXT_OF(struct receipt, nonce), .min = 1},
    {"instance", field_text, TEXT_OF(struct receipt, instance), .optional = true},
    {"epoch", field_hex, TEXT_OF(struct receipt, epoch)},
    {"streams", read_receipt_streams, .offset = 0},
    {"credit", field_u64, .offset = offsetof(struct receipt, credit), .max = WHOLE_MAX},
    {.name = NULL},
};

int receipt_parse(const char *text, size_t len, struct receipt *ret_receipt,
                  struct message *message)
{
    struct receipt receipt = {.credit = 0};
    int err = read_message("receipt", text, len, receipt_fields, &receipt, message);

    if (err == 0)
        *ret_receipt = receipt;
    return err;
}

static void put_text(struct json_writer *writer, const char *key, const char *text)
{
    json_key(writer, key);
    json_text(writer, text);
}

static void put_u64(struct json_writer *writer, const char *key, uint64_t value)
{
    json_key(writer, key);
    json_u64(writer, value);
}

static void put_stream_key(struct json_writer *writer, enum stream stream)
{
    const char key[2] = {stream_letter(stream), '\0'};

    json_key(writer, key);
}

static void put_receipt_stream(struct json_writer *writer, const struct receipt_stream *stream)
{
    json_begin_object(writer);
    put_u64(writer, "through", stream->through);
    if (stream->also_count > 0) {
        json_key(writer, "also");
        json_begin_array(writer);
        for (size_t i = 0; i < stream->also_count; i++) {
            json_begin_array(writer);
            json_u64(writer, stream->also[i].first);
            json_u64(writer, stream->also[i].last);
            json_end_array(writer);
        }
        json_end_array(writer);
    }
    if (stream->tip > 0) {
        put_u64(writer, "tip", stream->tip);
        put_u64(writer, "sum", stream->tip_sum);
    }
    json_end_object(writer);
}

void receipt_write(struct buffer *out, const struct receipt *receipt)
{
    struct json_writer writer;

    json_writer_init(&writer, out);
    json_begin_object(&writer);
    put_text(&writer, "centre", receipt->centre);
    put_text(&writer, "nonce", receipt->nonce);
    if (receipt->instance[0] != '\0')
        put_text(&writer, "instance", receipt->instance);
    put_text(&writer, "epoch", receipt->epoch);
    json_key(&writer, "streams");
    json_begin_object(&writer);
    for (int i = 0; i < STREAM_COUNT; i++) {
        if (!receipt->streams[i].present)
            continue;
        put_stream_key(&writer, (enum stream)i);
        put_receipt_stream(&writer, &receipt->streams[i]);
    }
    json_end_object(&writer);
    put_u64(&writer, "credit", receipt->credit);
    json_end_object(&writer);
}

void receipt_set(struct receipt_stream *stream, const struct intervals *received)
{
    size_t at = 0;

    *stream = (struct receipt_stream){.present = true, .through = intervals_through(received)};
    while (at < received->count && received->ranges[at].first <= stream->through)
        at++;
    /* The last place is for the newest range: live records must not be sent again and again. */
    while (at < received->count && stream->also_count < RECEIPT_MAX_ALSO) {
        if (stream->also_count == RECEIPT_MAX_ALSO - 1)
            at = received->count - 1;
        stream->also[stream->also_count++] = received->ranges[at++];
    }
}

/* ---- presence of an edge ---- */

static int read_last_stream(struct pull *pull, enum stream stream, void *object)
{
    int64_t last = 0;
    int err = pull_i64(pull, 0, WHOLE_MAX, &last);

    ((struct edge_state *)object)->last[stream] = (uint64_t)last;
    return err;
}

static int read_last(struct pull *pull, const struct field *field, void *object)
{
    (void)field;
    return read_streams(pull, object, read_last_stream);
}

static const struct field edge_state_fields[] = {
    {"edge", field_name, TEXT_OF(struct edge_state, edge)},
    {"site", field_name, TEXT_OF(struct edge_state, site)},
    {"instance", field_text, TEXT_OF(struct edge_state, instance), .min = 1},
    {"epoch", field_hex, TEXT_OF(struct edge_state, epoch)},
    {"up", field_bool, .offset = offsetof(struct edge_state, up)},
    {"last", read_last, .offset = 0},
    {"total", field_u64, .offset = offsetof(struct edge_state, total), .max = WHOLE_MAX},
    {"t", field_i64, .offset = offsetof(struct edge_state, t_ms), .min = RECORD_MIN_TIME,
     .max = RECORD_MAX_TIME},
    {.name = NULL},
};

int edge_state_parse(const char *text, size_t len, struct edge_state *ret_state,
                     struct message *message)
{
    struct edge_state state = {.up = false};
    int err = read_message("edge's state", text, len, edge_state_fields, &state, message);

    if (err == 0)
        *ret_state = state;
    return err;
}

void edge_state_write(struct buffer *out, const struct edge_state *state)
{
    struct json_writer writer;

    json_writer_init(&writer, out);
    json_begin_object(&writer);
    put_text(&writer, "edge", state->edge);
    put_text(&writer, "site", state->site);
    put_text(&writer, "instance", state->instance);
    put_text(&writer, "epoch", state->epoch);
    json_key(&writer, "up");
    json_bool(&writer, state->up);
    json_key(&writer, "last");
    json_begin_object(&writer);
    for (int i = 0; i < STREAM_COUNT; i++) {
        put_stream_key(&writer, (enum stream)i);
        json_u64(&writer, state->last[i]);
    }
    json_end_object(&writer);
    put_u64(&writer, "total", state->total);
    json_key(&writer, "t");
    json_i64(&writer, state->t_ms);
    json_end_object(&writer);
}

/* ---- presence of a centre ---- */

/* What it reads beside plain JSON; what this program does not know is passed over. */
static int read_accepts(struct pull *pull, const struct field *field, void *object)
{
    struct centre_state *state = object;
    bool more = false;
    int err = pull_begin(pull, '[');

    (void)field;
    while (err == 0) {
        char name[32];
        err = pull_element(pull, &more);
        if (err != 0 || !more)
            break;
        err = pull_text(pull, 0, name, sizeof(name));
        state->zstd = state->zstd || (err == 0 && strcmp(name, "zstd") == 0);
    }
    return err;
}

static const struct field centre_state_fields[] = {
    {"centre", field_name, TEXT_OF(struct centre_state, centre)},
    {"nonce", field_text, TEXT_OF(struct centre_state, nonce), .min = 1},
    {"up", field_bool, .offset = offsetof(struct centre_state, up)},
    {"t", field_i64, .offset = offsetof(struct centre_state, t_ms), .min = RECORD_MIN_TIME,
     .max = RECORD_MAX_TIME},
    {"accepts", read_accepts, .offset = 0, .optional = true},
    {.name = NULL},
};

int centre_state_parse(const char *text, size_t len, struct centre_state *ret_state,
                       struct message *message)
{
    struct centre_state state = {.up = false};
    int err = read_message("centre's state", text, len, centre_state_fields, &state, message);

    if (err == 0)
        *ret_state = state;
    return err;
}

void centre_state_write(struct buffer *out, const struct centre_state *state)
{
    struct json_writer writer;

    json_writer_init(&writer, out);
    json_begin_object(&writer);
    put_text(&writer, "centre", state->centre);
    put_text(&writer, "nonce", state->nonce);
    json_key(&writer, "up");
    json_bool(&writer, state->up);
    json_key(&writer, "t");
    json_i64(&writer, state->t_ms);
    if (state->zstd) {
        json_key(&writer, "accepts");
        json_begin_array(&writer);
        json_text(&writer, "zstd");
        json_end_array(&writer);
    }
    json_end_object(&writer);
}

/* ---- request ---- */

static const struct field birth_request_fields[] = {
    {"birth", field_hex, TEXT_OF(struct birth_request, birth)},
    {.name = NULL},
};

int birth_request_parse(const char *text, size_t len, struct birth_request *ret_request,
                        struct message *message)
{
    struct birth_request request = {.birth = ""};
    int err = read_message("request", text, len, birth_request_fields, &request, message);

    if (err == 0)
        *ret_request = request;
    return err;
}

void birth_request_write(struct buffer *out, const struct birth_request *request)
{
    struct json_writer writer;

    json_writer_init(&writer, out);
    json_begin_object(&writer);
    put_text(&writer, "birth", request->birth);
    json_end_object(&writer);
}
