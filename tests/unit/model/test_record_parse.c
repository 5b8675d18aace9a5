#include "model/record.h"

#include "base/numbers.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define EPOCH "9f0c1d2e3f405162738495a6b7c8d9e0"
#define BOOT  "00112233445566778899aabbccddeeff"
#define HEAD(kind)                                     \
    "\"v\":1,\"kind\":\"" kind "\",\"epoch\":\"" EPOCH \
    "\",\"stream\":\"c\",\"seq\":7,\"boot\":\"" BOOT "\",\"mono\":8,\"sync\":true,\"t0\":1000"
#define BIRTH  "\"birth\":\"a1b2c3d4e5f60718\""
#define DATA   "{" HEAD("data") "," BIRTH ",\"total\":9,"
#define LOSS   "{" HEAD("loss") ",\"of\":\"t\",\"from\":1,\"to\":2,\"points\":3,\"cause\":\"space\","
#define ACTION "{" HEAD("action") ",\"user\":\"li\",\"role\":\"operator\",\"action\":\"ack\","
#define BIRTH_HEAD \
    "{" HEAD("birth") ",\"edge\":\"e\",\"site\":\"s\",\"causes\":[\"none\",\"comm_timeout\"],"
#define POINT(id)                                                                                  \
    "{\"id\":\"" id "\",\"name\":\"\",\"unit\":\"\",\"type\":\"bit\",\"site\":\"s\",\"map\":\"\"," \
    "\"class\":\"trend\",\"stream\":\"t\",\"interval\":1000}"

static uint64_t next_random(uint64_t *seed)
{
    uint64_t x = (*seed += UINT64_C(0x9E3779B97F4A7C15));

    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

static int parse(const char *text, struct record *record, struct message *message)
{
    return record_parse(text, strlen(text), record, message);
}

static void check_heads_same(const struct record_head *a, const struct record_head *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_string_equal(a->epoch, b->epoch);
    assert_int_equal(a->stream, b->stream);
    assert_true(a->seq == b->seq);
    assert_string_equal(a->boot, b->boot);
    assert_true(a->mono_us == b->mono_us);
    assert_int_equal(a->sync, b->sync);
    assert_true(a->t0_ms == b->t0_ms);
}

static int64_t random_whole(uint64_t *seed, int64_t min, int64_t max)
{
    uint64_t random = next_random(seed);

    if (random % 8 == 0)
        return min;
    if (random % 8 == 1)
        return max;
    return min + (int64_t)(next_random(seed) % ((uint64_t)max - (uint64_t)min + 1));
}

static struct record_head random_head(uint64_t *seed, enum record_kind kind)
{
    struct record_head head = {.kind = kind};
    uint8_t bytes[16];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)next_random(seed);
    print_hex(bytes, sizeof(bytes), head.epoch);
    print_hex(bytes, 1 + next_random(seed) % 16, head.boot);
    head.stream = (enum stream)(next_random(seed) % STREAM_COUNT);
    head.seq = (uint64_t)random_whole(seed, 1, (int64_t)RECORD_MAX_NUMBER);
    head.mono_us = random_whole(seed, 0, (int64_t)RECORD_MAX_NUMBER);
    head.sync = next_random(seed) % 2 == 0;
    head.t0_ms = random_whole(seed, RECORD_MIN_TIME, RECORD_MAX_TIME);
    return head;
}

/* Between `min` and size - 1 bytes of UTF-8, every kind of character. */
static void random_text(uint64_t *seed, char *ret_text, size_t min, size_t size)
{
    static const char *const characters[] = {"a",    "\"",       "\\",
                                             "/",    "\n",       "\x01",
                                             "\x7F", "\xC3\xA9", "\xE6\xB8\x97",
                                             "\t",   " ",        "7",
                                             ":",    "{",        "\xF0\x9F\x98\x80"};
    size_t wanted = min + next_random(seed) % (size - min);
    size_t len = 0;

    while (len < wanted) {
        const char *next = characters[next_random(seed) % COUNT(characters)];
        if (len + strlen(next) > wanted)
            next = "x";
        memcpy(ret_text + len, next, strlen(next));
        len += strlen(next);
    }
    ret_text[len] = '\0';
}

static double random_number(uint64_t *seed)
{
    uint64_t bits = next_random(seed);
    double number;

    switch (next_random(seed) % 4) {
    case 0:
        return (double)(int64_t)(bits % 2000001) / 100.0 - 10000;
    case 1:
        return (double)(bits >> 11);
    case 2:
        return bits % 2 == 0 ? 0.0 : -0.0;
    default:
        memcpy(&number, &bits, sizeof(number));
        return isfinite(number) ? number : 1e308;
    }
}

static struct sample random_sample(uint64_t *seed, int64_t t0_ms)
{
    struct sample sample = {.point = (uint32_t)(next_random(seed) % RECORD_MAX_POINTS)};

    sample.t_ms =
        next_random(seed) % 3 == 0 ? random_whole(seed, RECORD_MIN_TIME, RECORD_MAX_TIME) : t0_ms;
    sample.quality = (enum quality)(next_random(seed) % QUALITY_COUNT);
    sample.cause = (enum cause)(next_random(seed) % CAUSE_COUNT);
    sample.value.kind = (enum value_kind)(next_random(seed) % 4);
    if (sample.value.kind == VALUE_NONE && sample.quality < QUALITY_BAD)
        sample.quality = QUALITY_BAD;
    if (sample.value.kind == VALUE_DOUBLE)
        sample.value.number = random_number(seed);
    if (sample.value.kind == VALUE_FLOAT)
        sample.value.number = (double)((float)(next_random(seed) >> 40) / 128.0F);
    if (sample.value.kind == VALUE_TEXT)
        random_text(seed, sample.value.text, 0, VALUE_TEXT_SIZE);
    if (next_random(seed) % 4 == 0)
        sample.held = (uint32_t)(next_random(seed) % (RECORD_MAX_HELD + 1));
    if (next_random(seed) % 4 == 0)
        sample.raw_count = (uint8_t)(next_random(seed) % (SAMPLE_RAW_WORDS + 1));
    for (size_t i = 0; i < sample.raw_count; i++)
        sample.raw[i] = (uint16_t)next_random(seed);
    return sample;
}

/* A float is written in its own shortest form, and read as the double of that decimal. */
static void check_values_same(const struct value *written, const struct value *read)
{
    if (written->kind == VALUE_FLOAT) {
        assert_int_equal(read->kind, VALUE_DOUBLE);
        assert_true(double_same((double)(float)read->number, written->number));
        return;
    }
    assert_int_equal(written->kind, read->kind);
    assert_true(double_same(written->number, read->number));
    assert_string_equal(written->text, read->text);
}

static void check_samples(const struct record *record, const struct sample *samples, size_t count)
{
    assert_int_equal(record->sample_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(record->samples[i].point, samples[i].point);
        assert_true(record->samples[i].t_ms == samples[i].t_ms);
        assert_int_equal(record->samples[i].quality, samples[i].quality);
        assert_int_equal(record->samples[i].cause, samples[i].cause);
        check_values_same(&samples[i].value, &record->samples[i].value);
        assert_int_equal(record->samples[i].held, samples[i].held);
        assert_int_equal(record->samples[i].raw_count, samples[i].raw_count);
        assert_memory_equal(record->samples[i].raw, samples[i].raw, sizeof(samples[i].raw));
    }
}

static void data_reads_back_as_written(void **state)
{
    struct record_data *data = record_data_new(RECORD_MAX_BYTES);
    static struct sample samples[RECORD_MAX_VALUES];
    struct buffer out;
    uint64_t seed = 4;

    (void)state;
    buffer_init(&out, RECORD_MAX_BYTES);
    for (int round = 0; round < 400; round++) {
        struct record_head head = random_head(&seed, RECORD_DATA);
        struct record record;
        struct record_head head_alone;
        struct message message = {""};
        size_t wanted = next_random(&seed) % (round % 10 == 0 ? RECORD_MAX_VALUES : 40);
        size_t count = 0;
        for (; count < wanted; count++) {
            samples[count] = random_sample(&seed, head.t0_ms);
            if (round % 3 == 0) {
                samples[count].t_ms = head.t0_ms;
                samples[count].quality = QUALITY_GOOD;
                samples[count].cause = CAUSE_NONE;
                samples[count].held = samples[count].raw_count = 0;
                memset(samples[count].raw, 0, sizeof(samples[count].raw));
                samples[count].value =
                    (struct value){.kind = VALUE_DOUBLE, .number = (double)count};
            }
            if (record_data_add(data, samples[count].point, &samples[count]) == ERR_FULL)
                break;
        }
        record_data_write(data, &out, &head, "a1b2c3d4e5f60718", RECORD_MAX_NUMBER);
        assert_int_equal(buffer_error(&out), 0);
        if (record_parse(out.data, out.len, &record, &message) != 0)
            fail_msg("%s", message.text);
        check_heads_same(&record.head, &head);
        assert_int_equal(record_parse_head(out.data, out.len, &head_alone, NULL), 0);
        check_heads_same(&head_alone, &head);
        assert_string_equal(record.birth, "a1b2c3d4e5f60718");
        assert_true(record.total == RECORD_MAX_NUMBER);
        check_samples(&record, samples, count);
        record_release(&record);
        buffer_clear(&out);
    }
    buffer_release(&out);
    record_data_free(data);
}

static void births_read_back_as_written(void **state)
{
    static struct point_info points[RECORD_MAX_POINTS];
    struct buffer out;
    uint64_t seed = 5;

    (void)state;
    buffer_init(&out, RECORD_MAX_BYTES);
    for (int round = 0; round < 60; round++) {
        struct record_head head = random_head(&seed, RECORD_BIRTH);
        size_t count = round == 0 ? RECORD_MAX_POINTS : next_random(&seed) % 30;
        struct record record;
        for (size_t i = 0; i < count; i++) {
            points[i] = (struct point_info){.site = "site", .interval_ms = (int64_t)i * 250};
            snprintf(points[i].id, sizeof(points[i].id), "site.\xE6\xB3\xB5.%zu", i);
            snprintf(points[i].class_, sizeof(points[i].class_), i % 2 == 0 ? "trend" : "safety");
            random_text(&seed, points[i].name, 0, round == 0 ? 8 : sizeof(points[i].name));
            random_text(&seed, points[i].unit, 0, sizeof(points[i].unit));
            random_text(&seed, points[i].type, 0, sizeof(points[i].type));
            random_text(&seed, points[i].map, 0, sizeof(points[i].map));
        }
        record_write_birth(&out, &head, "edge-1", "site", points, count);
        assert_int_equal(buffer_error(&out), 0);
        assert_int_equal(record_parse(out.data, out.len, &record, NULL), 0);
        check_heads_same(&record.head, &head);
        assert_string_equal(record.edge, "edge-1");
        assert_string_equal(record.site, "site");
        assert_int_equal(record.point_count, count);
        for (size_t i = 0; i < count; i++) {
            assert_string_equal(record.points[i].id, points[i].id);
            assert_string_equal(record.points[i].name, points[i].name);
            assert_string_equal(record.points[i].unit, points[i].unit);
            assert_string_equal(record.points[i].type, points[i].type);
            assert_string_equal(record.points[i].site, points[i].site);
            assert_string_equal(record.points[i].map, points[i].map);
            assert_string_equal(record.points[i].class_, points[i].class_);
            assert_true(record.points[i].interval_ms == points[i].interval_ms);
        }
        record_release(&record);
        buffer_clear(&out);
    }
    buffer_release(&out);
}

static void check_loss(uint64_t *seed, struct buffer *out)
{
    struct record_head head = random_head(seed, RECORD_LOSS);
    struct record_loss loss = {
        .of = (enum stream)(next_random(seed) % STREAM_COUNT),
        .first = (uint64_t)random_whole(seed, 1, 1000),
        .last = (uint64_t)random_whole(seed, 1000, (int64_t)RECORD_MAX_NUMBER),
        .from_ms = random_whole(seed, RECORD_MIN_TIME, RECORD_MAX_TIME),
        .to_ms = random_whole(seed, RECORD_MIN_TIME, RECORD_MAX_TIME),
        .points = (uint64_t)random_whole(seed, 0, (int64_t)RECORD_MAX_NUMBER),
    };
    struct record record;

    random_text(seed, loss.cause, 1, sizeof(loss.cause));
    record_write_loss(out, &head, &loss);
    assert_int_equal(record_parse(out->data, out->len, &record, NULL), 0);
    check_heads_same(&record.head, &head);
    assert_int_equal(record.loss.of, loss.of);
    assert_true(record.loss.first == loss.first && record.loss.last == loss.last);
    assert_true(record.loss.from_ms == loss.from_ms && record.loss.to_ms == loss.to_ms);
    assert_true(record.loss.points == loss.points);
    assert_string_equal(record.loss.cause, loss.cause);
    record_release(&record);
}

static void check_action(uint64_t *seed, struct buffer *out)
{
    struct record_head head = random_head(seed, RECORD_ACTION);
    struct record_action action = {.occurrence =
                                       (uint64_t)random_whole(seed, 0, (int64_t)RECORD_MAX_NUMBER)};
    struct record record;

    random_text(seed, action.user, 1, sizeof(action.user));
    random_text(seed, action.role, 1, sizeof(action.role));
    random_text(seed, action.action, 1, sizeof(action.action));
    random_text(seed, action.target, 0, sizeof(action.target));
    random_text(seed, action.note, 0, sizeof(action.note));
    record_write_action(out, &head, &action);
    assert_int_equal(record_parse(out->data, out->len, &record, NULL), 0);
    check_heads_same(&record.head, &head);
    assert_string_equal(record.action.user, action.user);
    assert_string_equal(record.action.role, action.role);
    assert_string_equal(record.action.action, action.action);
    assert_string_equal(record.action.target, action.target);
    assert_string_equal(record.action.note, action.note);
    assert_true(record.action.occurrence == action.occurrence);
    record_release(&record);
}

static void check_verdict(uint64_t *seed, struct buffer *out)
{
    struct record_head head = random_head(seed, RECORD_VERDICT);
    struct record_verdict verdict = {.attempt = random_whole(seed, 0, (int64_t)RECORD_MAX_NUMBER)};
    struct record record;

    random_text(seed, verdict.key, 1, sizeof(verdict.key));
    random_text(seed, verdict.channel, 1, sizeof(verdict.channel));
    random_text(seed, verdict.verdict, 1, sizeof(verdict.verdict));
    record_write_verdict(out, &head, &verdict);
    assert_int_equal(record_parse(out->data, out->len, &record, NULL), 0);
    check_heads_same(&record.head, &head);
    assert_string_equal(record.verdict.key, verdict.key);
    assert_string_equal(record.verdict.channel, verdict.channel);
    assert_string_equal(record.verdict.verdict, verdict.verdict);
    assert_true(record.verdict.attempt == verdict.attempt);
    record_release(&record);
}

static void check_mark(uint64_t *seed, struct buffer *out)
{
    struct record_head head =
        random_head(seed, next_random(seed) % 2 == 0 ? RECORD_START : RECORD_TICK);
    struct record record;

    record_write_mark(out, &head);
    assert_int_equal(record_parse(out->data, out->len, &record, NULL), 0);
    check_heads_same(&record.head, &head);
    assert_null(record.samples);
    assert_null(record.points);
    record_release(&record);
}

static void other_kinds_read_back_as_written(void **state)
{
    struct buffer out;
    uint64_t seed = 6;

    (void)state;
    buffer_init(&out, RECORD_MAX_BYTES);
    for (int i = 0; i < 2000; i++) {
        check_loss(&seed, &out);
        buffer_clear(&out);
        check_action(&seed, &out);
        buffer_clear(&out);
        check_verdict(&seed, &out);
        buffer_clear(&out);
        check_mark(&seed, &out);
        buffer_clear(&out);
    }
    buffer_release(&out);
}

static void members_may_come_in_any_order_and_unknown_ones_too(void **state)
{
    static const char text[] =
        " {\"val\":[61.8,null,\"on\"],\"later\":{\"a\":[1,{\"b\":null}]},\"id\":[3,4,5],\n"
        "\"raw\":[\"41e7000a\",\"\",\"0001000200030004\"],\"held\":[0,0,1],\"total\":9,\"q\":[0,"
        "517,1],\"dt\":[0,-40,5e0],"
        "\"seq\":7,\"t0\":1000,\"sync\":false,\"mono\":0,\"boot\":\"b\",\"stream\":\"s\"," BIRTH
        ",\"epoch\":\"" EPOCH "\",\"kind\":\"d\\u0061ta\",\"points\":\"none\",\"v\":1.0} ";
    struct record record;
    struct message message = {""};

    (void)state;
    if (parse(text, &record, &message) != 0)
        fail_msg("%s", message.text);
    assert_int_equal(record.head.kind, RECORD_DATA);
    assert_int_equal(record.sample_count, 3);
    assert_true(record.samples[0].t_ms == 1000 && record.samples[1].t_ms == 960 &&
                record.samples[2].t_ms == 1005);
    assert_true(double_same(record.samples[0].value.number, 61.8));
    assert_int_equal(record.samples[1].value.kind, VALUE_NONE);
    assert_int_equal(record.samples[1].quality, QUALITY_BAD);
    assert_int_equal(record.samples[1].cause, CAUSE_OUT_OF_RANGE);
    assert_string_equal(record.samples[2].value.text, "on");
    assert_int_equal(record.samples[2].point, 5);
    assert_int_equal(record.samples[2].held, 1);
    assert_int_equal(record.held, 1);
    assert_int_equal(record.samples[0].raw_count, 2);
    assert_int_equal(record.samples[0].raw[0], 0x41e7);
    assert_int_equal(record.samples[0].raw[1], 0x000a);
    assert_int_equal(record.samples[1].raw_count, 0);
    assert_int_equal(record.samples[2].raw_count, 4);
    assert_int_equal(record.samples[2].raw[3], 4);
    record_release(&record);
    record_release(&record);
}

static void held_and_raw_are_columns_like_the_others(void **state)
{
    static const struct {
        const char *members, *why;
    } refused[] = {
        {"\"id\":[0,1],\"val\":[1,2],\"held\":[1]", "held: 1 values, where another column has 2"},
        {"\"id\":[0,1],\"val\":[1,2],\"raw\":[\"0001\"]", "raw: 1 values"},
        {"\"id\":[0],\"val\":[1],\"held\":[-1]", "held"},
        {"\"id\":[0],\"val\":[1],\"held\":[1000001]", "held"},
        {"\"id\":[0],\"val\":[1],\"raw\":[\"00g1\"]", "00g1"},
        {"\"id\":[0],\"val\":[1],\"raw\":[\"123\"]", "123"},
    };
    struct record record;
    struct message message = {""};
    char text[1024];

    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        snprintf(text, sizeof(text), "%s%s}", DATA, refused[i].members);
        assert_true(parse(text, &record, &message) != 0);
        if (strstr(message.text, refused[i].why) == NULL)
            fail_msg("%s: %s", refused[i].members, message.text);
    }
    /* Words of a text: well formed, more than a sample keeps. */
    snprintf(text, sizeof(text), "%s%s}", DATA,
             "\"id\":[0],\"val\":[\"a\"],\"held\":[1000000],\"raw\":[\"00010002000300040005\"]");
    assert_int_equal(parse(text, &record, &message), 0);
    assert_int_equal(record.samples[0].raw_count, 0);
    assert_int_equal(record.held, 1000000);
    record_release(&record);
}

static void causes_of_a_later_version_keep_their_quality(void **state)
{
    struct record record;

    (void)state;
    assert_int_equal(parse(DATA "\"id\":[0,1],\"val\":[1,2],\"q\":[1023,712]}", &record, NULL), 0);
    assert_int_equal(record.samples[0].quality, QUALITY_STALE);
    assert_int_equal(record.samples[0].cause, CAUSE_NONE);
    assert_int_equal(record.samples[1].quality, QUALITY_BAD);
    assert_int_equal(record.samples[1].cause, CAUSE_NONE);
    record_release(&record);
}

static void no_value_is_never_good(void **state)
{
    struct record record;

    (void)state;
    assert_int_equal(
        parse(DATA "\"id\":[0,1,2],\"val\":[null,null,null],\"q\":[0,266,774]}", &record, NULL), 0);
    assert_int_equal(record.samples[0].quality, QUALITY_BAD);
    assert_int_equal(record.samples[0].cause, CAUSE_NONE);
    assert_int_equal(record.samples[1].quality, QUALITY_BAD);
    assert_int_equal(record.samples[1].cause, CAUSE_MAINTENANCE);
    assert_int_equal(record.samples[2].quality, QUALITY_STALE);
    record_release(&record);
}

static void births_of_other_versions_are_read(void **state)
{
    struct record record;

    (void)state;
    assert_int_equal(
        parse(BIRTH_HEAD "\"points\":[" POINT("s.a") "," POINT("s.b") "]}", &record, NULL), 0);
    assert_int_equal(record.point_count, 2);
    record_release(&record);
    assert_int_equal(
        parse("{" HEAD(
                  "birth") ",\"edge\":\"e\",\"site\":\"s\",\"points\":[],\"causes\":[\"none\","
                           "\"comm_timeout\",\"modbus_exception\",\"bad_response\",\"link_down\","
                           "\"out_of_range\",\"sensor_fault\",\"not_a_number\",\"flat_line\","
                           "\"substituted\","
                           "\"maintenance\",\"calibration\",\"clock\",\"rollover\","
                           "\"meter_swap\",\"rate_of_change\","
                           "\"cross_check\",\"solar_flare\"]}",
              &record, NULL),
        0);
    assert_int_equal(record.point_count, 0);
    record_release(&record);
}

static void a_loss_of_nothing_known_is_read(void **state)
{
    struct record record;

    (void)state;
    assert_int_equal(parse(LOSS "\"first\":5,\"last\":5}", &record, NULL), 0);
    assert_true(record.loss.first == 5 && record.loss.last == 5);
    record_release(&record);
    assert_int_equal(parse(ACTION "\"target\":\"\"}", &record, NULL), 0);
    assert_true(record.action.occurrence == 0);
    assert_string_equal(record.action.note, "");
    record_release(&record);
}

struct refusal {
    const char *text;
    int err;
    const char *says;
};

static const struct refusal head_refusals[] = {
    {"", ERR_INVALID, "no object"},
    {"[]", ERR_INVALID, "no object"},
    {"{}", ERR_INVALID, "no member \"v\""},
    {"{\"v\":2}", ERR_INVALID, "v (byte 7): version 2"},
    {"{\"v\":\"1\"}", ERR_INVALID, "v (byte 6)"},
    {"{\"v\":1,\"kind\":\"seal\"}", ERR_INVALID, "an unknown kind of record: seal"},
    {"{\"v\":1,\"kind\":\"\"}", ERR_INVALID, "kind"},
    {"{\"v\":1,\"kind\":7}", ERR_INVALID, "kind"},
    {"{\"v\":1,\"kind\":\"0123456789abcdef0123456789abcdef\"}", ERR_RANGE, "kind"},
    {"{\"epoch\":\"9F0c1d2e3f405162738495a6b7c8d9e0\"}", ERR_INVALID, "epoch"},
    {"{\"epoch\":\"9f0c\"}", ERR_INVALID, "epoch"},
    {"{\"stream\":\"j\"}", ERR_INVALID, "stream"},
    {"{\"seq\":0}", ERR_RANGE, "seq (byte 8): 0 is not within 1..9007199254740992"},
    {"{\"seq\":9007199254740993}", ERR_RANGE, "seq"},
    {"{\"seq\":\"7\"}", ERR_INVALID, "seq"},
    {"{\"seq\":1.5}", ERR_INVALID, "seq"},
    {"{\"boot\":\"\"}", ERR_RANGE, "boot"},
    {"{\"boot\":\"" BOOT "0\"}", ERR_RANGE, "boot"},
    {"{\"mono\":-1}", ERR_RANGE, "mono"},
    {"{\"sync\":1}", ERR_INVALID, "sync"},
    {"{\"t0\":253402300800000}", ERR_RANGE, "t0"},
    {"{\"t0\":-62167219200001}", ERR_RANGE, "t0"},
    {"{\"t0\":null}", ERR_INVALID, "t0"},
    {"{\"seq\":7,\"seq\":7}", ERR_INVALID, "stands twice"},
};

static const struct refusal refusals[] = {
    {DATA "\"id\":[1],\"val\":[1]} x", ERR_INVALID, "more behind the end"},
    {DATA "\"id\":[1],\"val\":[1],\"seq\":7}", ERR_INVALID, "the name seq stands twice"},
    {DATA "\"id\":[1],\"val\":[1],\"id\":[1]}", ERR_INVALID, "the name id stands twice"},
    {DATA "\"id\":[1],\"val\":[1],\"x\":{\"y\":1,\"y\":2}}", ERR_INVALID, "stands twice"},
    {DATA "\"id\":[1]}", ERR_INVALID, "no member \"val\""},
    {DATA "\"val\":[1]}", ERR_INVALID, "no member \"id\""},
    {"{" HEAD("data") ",\"total\":9,\"id\":[1],\"val\":[1]}", ERR_INVALID, "no member \"birth\""},
    {"{" HEAD("data") "," BIRTH ",\"id\":[1],\"val\":[1]}", ERR_INVALID, "no member \"total\""},
    {DATA "\"id\":[1,2],\"val\":[1]}", ERR_INVALID, "val: 1 values, where another column has 2"},
    {DATA "\"id\":[1],\"val\":[1,2]}", ERR_INVALID, "id: 1 values"},
    {DATA "\"id\":[1],\"dt\":[],\"val\":[1]}", ERR_INVALID, "dt: 0 values"},
    {DATA "\"id\":[1],\"val\":[1],\"q\":[0,0]}", ERR_INVALID, "id: 1 values"},
    {DATA "\"id\":[0,200],\"val\":[1,1]}", ERR_RANGE, "id[1] (byte"},
    {DATA "\"id\":[-1],\"val\":[1]}", ERR_RANGE, "id[0]"},
    {DATA "\"id\":1,\"val\":[1]}", ERR_INVALID, "id (byte"},
    {DATA "\"id\":[1],\"val\":[true]}", ERR_INVALID, "val[0]"},
    {DATA "\"id\":[1],\"val\":[{}]}", ERR_INVALID, "val[0]"},
    {DATA "\"id\":[1],\"val\":[nil]}", ERR_INVALID, "val[0]"},
    {DATA "\"id\":[1],\"val\":[1e999]}", ERR_INVALID, "val[0]"},
    {DATA "\"id\":[1],\"val\":[\"0123456789012345678901234567890123456789\"]}", ERR_RANGE,
     "val[0]"},
    {DATA "\"id\":[1],\"val\":[1],\"q\":[1024]}", ERR_RANGE, "q[0]"},
    {DATA "\"id\":[1],\"val\":[1],\"q\":[-1]}", ERR_RANGE, "q[0]"},
    {DATA "\"id\":[1],\"val\":[1],\"dt\":[253402300799000]}", ERR_RANGE, "dt[0]"},
    {DATA "\"id\":[1],\"val\":[1],\"dt\":[-62167219201001]}", ERR_RANGE, "dt[0]"},
    {"{" HEAD("data") ",\"birth\":\"a1b2\"}", ERR_INVALID, "birth"},
    {"{" HEAD("data") ",\"total\":-1}", ERR_RANGE, "total"},
    {"{" HEAD("tick") ",\"x\":[1,]}", ERR_INVALID, "x[1]"},
    {"{" HEAD("loss") ",\"of\":\"x\"}", ERR_INVALID, "of"},
    {LOSS "\"first\":6,\"last\":5}", ERR_INVALID, "last: 5, before first, 6"},
    {LOSS "\"first\":0,\"last\":5}", ERR_RANGE, "first"},
    {LOSS "\"last\":5}", ERR_INVALID, "no member \"first\""},
    {"{" HEAD("loss") ",\"cause\":\"\"}", ERR_RANGE, "cause"},
    {"{" HEAD("action") ",\"user\":\"\"}", ERR_RANGE, "user"},
    {"{" HEAD("action") ",\"role\":\"0123456789abcdef\"}", ERR_RANGE, "role"},
    {ACTION "\"occurrence\":-1}", ERR_RANGE, "occurrence"},
    {ACTION "\"note\":\"\"}", ERR_INVALID, "no member \"target\""},
    {"{" HEAD("verdict") ",\"attempt\":-1}", ERR_RANGE, "attempt"},
    {"{" HEAD("verdict") "}", ERR_INVALID, "no member \"key\""},
    {"{" HEAD("birth") ",\"edge\":\"a/b\"}", ERR_INVALID, "edge"},
    {"{" HEAD("birth") ",\"causes\":[\"none\",\"clock\"]}", ERR_INVALID,
     "cause 1 is called clock there and comm_timeout here"},
    {"{" HEAD("birth") ",\"causes\":[1]}", ERR_INVALID, "causes[0]"},
    {BIRTH_HEAD "\"points\":{}}", ERR_INVALID, "points"},
    {BIRTH_HEAD "\"points\":[" POINT("s.a") "," POINT("s.a") "]}", ERR_INVALID, "points[1]"},
    {BIRTH_HEAD "\"points\":[" POINT("") "]}", ERR_RANGE, "points[0].id"},
    {BIRTH_HEAD "\"points\":[" POINT("s a") "]}", ERR_INVALID, "points[0].id"},
    {BIRTH_HEAD "\"points\":[{\"id\":\"a\"}]}", ERR_INVALID, "points[0] (byte"},
    {BIRTH_HEAD "\"points\":[{\"class\":\"\"}]}", ERR_RANGE, "points[0].class"},
    {BIRTH_HEAD "\"points\":[{\"stream\":\"x\"}]}", ERR_INVALID, "points[0].stream"},
    {BIRTH_HEAD "\"points\":[{\"interval\":-1}]}", ERR_RANGE, "points[0].interval"},
    {"{" HEAD("birth") ",\"edge\":\"e\",\"site\":\"s\",\"points\":[]}", ERR_INVALID,
     "no member \"causes\""},
};

static void check_refusals(const struct refusal *cases, size_t count, bool head_too)
{
    for (size_t i = 0; i < count; i++) {
        struct record record = {.total = 77};
        struct record_head head = {.seq = 77};
        struct message message = {""};
        int err = parse(cases[i].text, &record, &message);
        if (err != cases[i].err || strstr(message.text, cases[i].says) == NULL)
            fail_msg("%s: %d, %s", cases[i].text, err, message.text);
        assert_true(record.total == 77);
        assert_int_equal(parse(cases[i].text, &record, NULL), err);
        if (!head_too)
            continue;
        assert_int_equal(record_parse_head(cases[i].text, strlen(cases[i].text), &head, NULL), err);
        assert_true(head.seq == 77);
    }
}

static void what_breaks_the_contract_is_refused_by_name(void **state)
{
    (void)state;
    check_refusals(head_refusals, COUNT(head_refusals), true);
    check_refusals(refusals, COUNT(refusals), false);
}

static void a_head_stands_without_its_rest(void **state)
{
    struct record_head head;

    (void)state;
    assert_int_equal(
        record_parse_head("{" HEAD("data") ",\"id\":[", strlen("{" HEAD("data")), &head, NULL), 0);
    assert_true(head.seq == 7 && head.kind == RECORD_DATA && head.t0_ms == 1000);
}

static void a_record_written_again_keeps_what_it_says_and_tells_where_it_was(void **state)
{
    const char *text = "{\"v\":1,\"later\":{\"a\":[1,\"\\u00e9\"]},\"kind\":\"data\","
                       "\"epoch\":\"00000000000000000000000000000001\",\"stream\":\"c\",\"seq\":7,"
                       "\"birth\":\"0123456789abcdef\",\"boot\":\"b\",\"mono\":5,\"sync\":true,"
                       "\"t0\":1000,\"id\":[3],\"val\":[61.80],\"total\":99}";
    const char *expected =
        "{\"v\":1,\"kind\":\"data\",\"epoch\":\"00000000000000000000000000000002\","
        "\"stream\":\"c\",\"seq\":2,\"birth\":\"fedcba9876543210\",\"boot\":\"b\",\"mono\":5,"
        "\"sync\":true,\"t0\":1000,\"was_epoch\":\"00000000000000000000000000000001\","
        "\"was_seq\":7,\"was_other\":true,\"later\":{\"a\":[1,\"\\u00e9\"]},\"id\":[3],"
        "\"val\":[61.80],\"total\":4}";
    struct record_was was = {"00000000000000000000000000000001", 7, true};
    struct record_head head;
    struct record record;
    struct buffer out;

    (void)state;
    buffer_init(&out, RECORD_MAX_BYTES);
    assert_int_equal(record_parse_head(text, strlen(text), &head, NULL), 0);
    memcpy(head.epoch, "00000000000000000000000000000002", EPOCH_SIZE);
    head.seq = 2;
    assert_int_equal(record_write_again(&out, text, strlen(text), &head, "fedcba9876543210", 4,
                                        &was, false, NULL),
                     0);
    assert_string_equal(buffer_text(&out), expected);
    assert_int_equal(record_parse(out.data, out.len, &record, NULL), 0);
    assert_string_equal(record.was.epoch, was.epoch);
    assert_int_equal(record.was.seq, 7);
    assert_true(record.was.other);
    record_release(&record);
    buffer_clear(&out);
    assert_int_equal(record_write_again(&out, text, strlen(text) - 1, &head, "fedcba9876543210", 4,
                                        &was, false, NULL),
                     ERR_INVALID);
    buffer_release(&out);
}

static void a_loss_written_again_names_the_epoch_of_its_sequences(void **state)
{
    struct record_head head = {.kind = RECORD_LOSS,
                               .epoch = "00000000000000000000000000000001",
                               .stream = STREAM_A,
                               .seq = 3,
                               .boot = "b"};
    struct record_loss loss = {STREAM_T, 5, 9, 1000, 2000, 123, "space", "", false};
    struct record_was was = {"00000000000000000000000000000001", 3, false};
    struct buffer first, again;
    struct record record;

    (void)state;
    buffer_init(&first, RECORD_MAX_BYTES);
    buffer_init(&again, RECORD_MAX_BYTES);
    record_write_loss(&first, &head, &loss);
    memcpy(head.epoch, "00000000000000000000000000000002", EPOCH_SIZE);
    assert_int_equal(
        record_write_again(&again, first.data, first.len, &head, NULL, 0, &was, true, NULL), 0);
    assert_int_equal(record_parse(again.data, again.len, &record, NULL), 0);
    assert_string_equal(record.loss.epoch, was.epoch);
    assert_int_equal(record.loss.points, 123);
    assert_true(record.loss.other);

    /* Once more: they are still of the first. */
    memcpy(head.epoch, "00000000000000000000000000000003", EPOCH_SIZE);
    memcpy(was.epoch, "00000000000000000000000000000002", EPOCH_SIZE);
    buffer_clear(&first);
    assert_int_equal(
        record_write_again(&first, again.data, again.len, &head, NULL, 0, &was, true, NULL), 0);
    assert_int_equal(record_parse(first.data, first.len, &record, NULL), 0);
    assert_string_equal(record.loss.epoch, "00000000000000000000000000000001");
    assert_string_equal(record.was.epoch, "00000000000000000000000000000002");
    buffer_release(&first);
    buffer_release(&again);
}

static void bounds_of_size_hold(void **state)
{
    char *text = malloc(RECORD_MAX_BYTES + 2);
    struct record record;
    struct message message;
    size_t len;

    (void)state;
    memset(text, ' ', RECORD_MAX_BYTES + 2);
    len = (size_t)snprintf(text, RECORD_MAX_BYTES, "{" HEAD("tick") "}");
    text[len] = ' ';
    assert_int_equal(record_parse(text, RECORD_MAX_BYTES, &record, NULL), 0);
    record_release(&record);
    assert_int_equal(record_parse(text, RECORD_MAX_BYTES + 1, &record, &message), ERR_RANGE);
    assert_non_null(strstr(message.text, "65537 bytes"));
    len = (size_t)snprintf(text, RECORD_MAX_BYTES, DATA "\"id\":[0");
    for (int i = 1; i < RECORD_MAX_VALUES; i++)
        len += (size_t)snprintf(text + len, 3, ",0");
    snprintf(text + len, 32, ",0],\"val\":[]}");
    assert_int_equal(parse(text, &record, &message), ERR_RANGE);
    assert_non_null(strstr(message.text, "id[3000]"));
    len = (size_t)snprintf(text, RECORD_MAX_BYTES, BIRTH_HEAD "\"points\":[");
    for (int i = 0; i <= RECORD_MAX_POINTS; i++)
        len += (size_t)snprintf(text + len, 256,
                                "%s{\"id\":\"%d\",\"name\":\"\",\"unit\":\"\",\"type\":\"\","
                                "\"site\":\"s\",\"map\":\"\",\"class\":\"trend\",\"stream\":\"t\","
                                "\"interval\":0}",
                                i > 0 ? "," : "", i);
    assert_int_equal(parse(text, &record, &message), ERR_RANGE);
    assert_non_null(strstr(message.text, "points[200]"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_reads_back_as_written),
        cmocka_unit_test(births_read_back_as_written),
        cmocka_unit_test(other_kinds_read_back_as_written),
        cmocka_unit_test(members_may_come_in_any_order_and_unknown_ones_too),
        cmocka_unit_test(held_and_raw_are_columns_like_the_others),
        cmocka_unit_test(causes_of_a_later_version_keep_their_quality),
        cmocka_unit_test(no_value_is_never_good),
        cmocka_unit_test(births_of_other_versions_are_read),
        cmocka_unit_test(a_loss_of_nothing_known_is_read),
        cmocka_unit_test(what_breaks_the_contract_is_refused_by_name),
        cmocka_unit_test(a_head_stands_without_its_rest),
        cmocka_unit_test(a_record_written_again_keeps_what_it_says_and_tells_where_it_was),
        cmocka_unit_test(a_loss_written_again_names_the_epoch_of_its_sequences),
        cmocka_unit_test(bounds_of_size_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
