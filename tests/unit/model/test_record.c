#include "model/record.h"

#include "base/crypto.h"
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
#define HEAD(kind, stream)                                                                      \
    "{\"v\":1,\"kind\":\"" kind "\",\"epoch\":\"" EPOCH "\",\"stream\":\"" stream "\",\"seq\":" \
    "18446"
#define HEAD_END ",\"boot\":\"" BOOT "\",\"mono\":81233771,\"sync\":true,\"t0\":1767576600123"

static const struct record_head a_head = {
    .kind = RECORD_TICK,
    .epoch = EPOCH,
    .stream = STREAM_A,
    .seq = 18446,
    .boot = BOOT,
    .mono_us = 81233771,
    .sync = true,
    .t0_ms = 1767576600123,
};

static struct record_head head_of(enum record_kind kind, enum stream stream)
{
    struct record_head head = a_head;

    head.kind = kind;
    head.stream = stream;
    return head;
}

static void check_text(struct buffer *out, const char *expected)
{
    assert_int_equal(buffer_error(out), 0);
    assert_string_equal(buffer_text(out), expected);
    buffer_clear(out);
}

static struct sample sample_of(int64_t t_ms, enum quality quality, enum cause cause)
{
    return (struct sample){.t_ms = t_ms, .quality = quality, .cause = cause};
}

static struct sample number_at(int64_t t_ms, double number)
{
    struct sample sample = sample_of(t_ms, QUALITY_GOOD, CAUSE_NONE);

    sample.value = (struct value){.kind = VALUE_DOUBLE, .number = number};
    return sample;
}

static struct sample text_at(int64_t t_ms, const char *text)
{
    struct sample sample = sample_of(t_ms, QUALITY_GOOD, CAUSE_NONE);

    sample.value.kind = VALUE_TEXT;
    snprintf(sample.value.text, sizeof(sample.value.text), "%s", text);
    return sample;
}

static void the_record_of_the_contract_is_written(void **state)
{
    struct record_data *data = record_data_new(RECORD_CLOSE_BYTES);
    struct record_head head = head_of(RECORD_TICK, STREAM_C);
    struct sample first = number_at(1767576600123, (double)61.8F);
    struct sample second = number_at(1767576600123, 7.42);
    struct sample third = sample_of(1767576600163, QUALITY_BAD, CAUSE_OUT_OF_RANGE);
    struct buffer out;

    (void)state;
    first.value.kind = VALUE_FLOAT;
    head.t0_ms = 0;
    buffer_init(&out, RECORD_MAX_BYTES);
    assert_int_equal(record_data_add(data, 12, &first), 0);
    assert_int_equal(record_data_add(data, 13, &second), 0);
    assert_int_equal(record_data_add(data, 14, &third), 0);
    assert_int_equal(record_data_count(data), 3);
    assert_true(record_data_t0(data) == 1767576600123);
    record_data_write(data, &out, &head, "a1b2c3d4e5f60718", 901233);
    check_text(&out, HEAD("data", "c") ",\"birth\":\"a1b2c3d4e5f60718\"" HEAD_END
                                       ",\"id\":[12,13,14],\"dt\":[0,0,40],\"val\":[61.8,7.42,null]"
                                       ",\"q\":[0,0,517],\"total\":901233}");
    assert_int_equal(head.kind, RECORD_DATA);
    assert_true(head.t0_ms == 1767576600123);
    assert_int_equal(record_data_count(data), 0);
    buffer_release(&out);
    record_data_free(data);
}

static void times_and_qualities_that_are_all_0_are_left_out(void **state)
{
    struct record_data *data = record_data_new(RECORD_CLOSE_BYTES);
    struct record_head head = head_of(RECORD_DATA, STREAM_T);
    struct sample sample = number_at(1767576600123, 1);
    struct sample big = text_at(1767576600123, "9007199254740993");
    struct buffer out;

    (void)state;
    buffer_init(&out, RECORD_MAX_BYTES);
    assert_int_equal(record_data_add(data, 0, &sample), 0);
    assert_int_equal(record_data_add(data, 1, &big), 0);
    record_data_write(data, &out, &head, "a1b2c3d4e5f60718", 2);
    check_text(&out, HEAD("data", "t") ",\"birth\":\"a1b2c3d4e5f60718\"" HEAD_END
                                       ",\"id\":[0,1],\"val\":[1,\"9007199254740993\"],"
                                       "\"total\":2}");
    sample.t_ms -= 5;
    assert_int_equal(record_data_add(data, 0, &big), 0);
    assert_int_equal(record_data_add(data, 0, &sample), 0);
    record_data_write(data, &out, &head, "a1b2c3d4e5f60718", 4);
    assert_non_null(strstr(buffer_text(&out), "\"dt\":[0,-5],\"val\":"));
    buffer_release(&out);
    record_data_free(data);
}

static void readings_held_back_and_raw_words_stand_where_there_are_some(void **state)
{
    struct record_data *data = record_data_new(RECORD_CLOSE_BYTES);
    struct record_head head = head_of(RECORD_DATA, STREAM_T);
    struct sample sample = number_at(1767576600123, 1), more = sample;
    struct buffer out;

    (void)state;
    buffer_init(&out, RECORD_MAX_BYTES);
    more.held = 59;
    more.raw[0] = 0x41e7;
    more.raw_count = 2;
    assert_int_equal(record_data_add(data, 0, &sample), 0);
    assert_int_equal(record_data_add(data, 1, &sample), 0);
    assert_int_equal(record_data_add(data, 2, &more), 0);
    assert_int_equal(record_data_count(data), 3);
    assert_int_equal(record_data_readings(data), 62);
    record_data_write(data, &out, &head, "a1b2c3d4e5f60718", 62);
    check_text(&out, HEAD("data", "t") ",\"birth\":\"a1b2c3d4e5f60718\"" HEAD_END
                                       ",\"id\":[0,1,2],\"val\":[1,1,1],\"held\":[0,0,59],"
                                       "\"raw\":[\"\",\"\",\"41e70000\"],\"total\":62}");
    assert_int_equal(record_data_readings(data), 0);
    more.held = RECORD_MAX_HELD + 1;
    assert_int_equal(record_data_add(data, 0, &more), ERR_INVALID);
    buffer_release(&out);
    record_data_free(data);
}

static void a_birth_says_what_its_numbers_mean(void **state)
{
    struct record_head head = head_of(RECORD_BIRTH, STREAM_A);
    struct point_info points[] = {
        {"leachate.effluent.cod", "COD \xE5\x87\xBA\xE6\xB0\xB4", "mg/L", "float32", "leachate",
         "0123456789abcdef", "compliance", 1000},
        {"leachate.gas.ch4", "a \"b\"", "%LEL", "uint16", "leachate", "", "safety", 500},
        {"leachate.pump.hz", "", "Hz", "int16", "leachate", "", "trend", 60000},
    };
    struct buffer out;

    (void)state;
    buffer_init(&out, RECORD_MAX_BYTES);
    record_write_birth(&out, &head, "leachate-north", "leachate", points, COUNT(points));
    check_text(
        &out, HEAD("birth", "a") HEAD_END
        ",\"edge\":\"leachate-north\",\"site\":\"leachate\",\"causes\":[\"none\",\"comm_timeout\","
        "\"modbus_exception\",\"bad_response\",\"link_down\",\"out_of_range\",\"sensor_fault\","
        "\"not_a_number\",\"flat_line\",\"substituted\",\"maintenance\",\"calibration\",\"clock\","
        "\"rollover\",\"meter_swap\","
        "\"rate_of_change\",\"cross_check\"],"
        "\"points\":["
        "{\"id\":\"leachate.effluent.cod\",\"name\":\"COD \xE5\x87\xBA\xE6\xB0\xB4\","
        "\"unit\":\"mg/L\",\"type\":\"float32\",\"site\":\"leachate\","
        "\"map\":\"0123456789abcdef\",\"class\":\"compliance\",\"stream\":\"c\",\"interval\":1000},"
        "{\"id\":\"leachate.gas.ch4\",\"name\":\"a \\\"b\\\"\",\"unit\":\"%LEL\","
        "\"type\":\"uint16\",\"site\":\"leachate\",\"map\":\"\",\"class\":\"safety\","
        "\"stream\":\"s\",\"interval\":500},"
        "{\"id\":\"leachate.pump.hz\",\"name\":\"\",\"unit\":\"Hz\",\"type\":\"int16\","
        "\"site\":\"leachate\",\"map\":\"\",\"class\":\"trend\",\"stream\":\"t\","
        "\"interval\":60000}]}");
    buffer_release(&out);
}

static void other_kinds_are_written(void **state)
{
    struct record_head head = head_of(RECORD_LOSS, STREAM_A);
    struct record_loss loss = {STREAM_T, 5, 9, 1000, 2000, 123, "space", "", false};
    struct record_action action = {"li", "operator", "ack", "n1-ch4", "line\nbreak", 7};
    struct record_verdict verdict = {"n1-ch4/1/2", "voice", "ok", 3};
    struct buffer out;

    (void)state;
    buffer_init(&out, RECORD_MAX_BYTES);
    record_write_loss(&out, &head, &loss);
    check_text(&out, HEAD("loss", "a") HEAD_END ",\"of\":\"t\",\"first\":5,\"last\":9,"
                                                "\"from\":1000,\"to\":2000,\"points\":123,"
                                                "\"cause\":\"space\"}");
    head.kind = RECORD_ACTION;
    record_write_action(&out, &head, &action);
    check_text(&out, HEAD("action", "a") HEAD_END
               ",\"user\":\"li\",\"role\":\"operator\",\"action\":\"ack\",\"target\":\"n1-ch4\","
               "\"occurrence\":7,\"note\":\"line\\nbreak\"}");
    head.kind = RECORD_VERDICT;
    record_write_verdict(&out, &head, &verdict);
    check_text(&out, HEAD("verdict", "a") HEAD_END ",\"key\":\"n1-ch4/1/2\",\"channel\":\"voice\","
                                                   "\"attempt\":3,\"verdict\":\"ok\"}");
    head.kind = RECORD_START;
    record_write_mark(&out, &head);
    check_text(&out, HEAD("start", "a") HEAD_END "}");
    head.kind = RECORD_TICK;
    record_write_mark(&out, &head);
    check_text(&out, HEAD("tick", "a") HEAD_END "}");
    buffer_release(&out);
}

static void a_birth_is_named_by_its_bytes(void **state)
{
    char birth[BIRTH_SIZE];

    (void)state;
    assert_int_equal(crypto_init(), 0);
    record_birth_id("abc", 3, birth);
    assert_string_equal(birth, "ba7816bf8f01cfea");
    record_birth_id("", 0, birth);
    assert_string_equal(birth, "e3b0c44298fc1c14");
}

/* The longest head there can be. */
static struct record_head longest_head(void)
{
    struct record_head head = head_of(RECORD_DATA, STREAM_C);

    head.seq = RECORD_MAX_NUMBER;
    head.mono_us = INT64_MAX;
    head.sync = false;
    head.t0_ms = RECORD_MIN_TIME;
    return head;
}

static void a_full_record_keeps_to_its_bytes(void **state)
{
    struct record_head head = longest_head();
    struct buffer out;

    (void)state;
    buffer_init(&out, RECORD_MAX_BYTES);
    for (size_t max = 0; max <= RECORD_MAX_BYTES + 4096; max += 2048) {
        struct record_data *data = record_data_new(max);
        size_t limit = max < 1024 ? 1024 : max < RECORD_MAX_BYTES ? max : RECORD_MAX_BYTES;
        uint32_t i = 0;
        for (;; i++) {
            struct sample sample = number_at(RECORD_MIN_TIME + i % 3 * 1000000, 1.0 / (i + 3));
            if (i % 7 == 6)
                sample = text_at(sample.t_ms, "\1\2\3\4\5\6\7 and so on \"to the end\"");
            if (i > 100)
                sample.quality = QUALITY_STALE;
            int err = record_data_add(data, i % RECORD_MAX_POINTS, &sample);
            if (err != 0) {
                assert_int_equal(err, ERR_FULL);
                break;
            }
        }
        assert_true(i > 3 && i < RECORD_MAX_VALUES);
        assert_true(record_data_bytes(data) <= limit && record_data_bytes(data) + 300 > limit);
        record_data_write(data, &out, &head, "a1b2c3d4e5f60718", RECORD_MAX_NUMBER);
        assert_int_equal(buffer_error(&out), 0);
        assert_true(out.len <= limit && out.len + 320 > limit);
        buffer_clear(&out);
        record_data_free(data);
    }
    buffer_release(&out);
}

/* One that is too many is taken by the emptied record, always. */
static void the_largest_sample_fits_the_smallest_record(void **state)
{
    struct record_data *data = record_data_new(0);
    struct sample sample = text_at(RECORD_MIN_TIME, "");

    (void)state;
    memset(sample.value.text, 1, VALUE_TEXT_SIZE - 1);
    sample.quality = QUALITY_STALE;
    sample.cause = CAUSE_CLOCK;
    assert_int_equal(record_data_add(data, RECORD_MAX_POINTS - 1, &sample), 0);
    record_data_free(data);
}

static void a_record_holds_no_more_than_its_values(void **state)
{
    struct record_data *data = record_data_new(RECORD_MAX_BYTES);
    struct sample sample = number_at(0, 1);

    (void)state;
    for (int i = 0; i < RECORD_MAX_VALUES; i++)
        assert_int_equal(record_data_add(data, 7, &sample), 0);
    assert_int_equal(record_data_add(data, 7, &sample), ERR_FULL);
    assert_int_equal(record_data_count(data), RECORD_MAX_VALUES);
    record_data_free(data);
}

static void what_no_record_can_hold_is_refused(void **state)
{
    struct record_data *data = record_data_new(RECORD_CLOSE_BYTES);
    struct sample good = number_at(1000, 1);
    struct sample bad[11];

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        bad[i] = good;
    bad[0].t_ms = RECORD_MIN_TIME - 1;
    bad[1].t_ms = RECORD_MAX_TIME + 1;
    bad[2].t_ms = INT64_MIN;
    bad[3].value.number = (double)NAN;
    bad[4].value.number = (double)INFINITY;
    bad[5].value = (struct value){.kind = VALUE_FLOAT, .number = 1e39};
    bad[6] = text_at(1000, "\xE6\xB8");
    bad[7].value.kind = VALUE_TEXT;
    memset(bad[7].value.text, 'x', VALUE_TEXT_SIZE);
    bad[8].quality = QUALITY_COUNT;
    bad[9].cause = CAUSE_COUNT;
    bad[10].value.kind = (enum value_kind)17;
    assert_int_equal(record_data_add(data, 0, &good), 0);
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(record_data_add(data, 0, &bad[i]), ERR_INVALID);
    assert_int_equal(record_data_add(data, RECORD_MAX_POINTS, &good), ERR_INVALID);
    assert_int_equal(record_data_count(data), 1);
    record_data_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_record_of_the_contract_is_written),
        cmocka_unit_test(times_and_qualities_that_are_all_0_are_left_out),
        cmocka_unit_test(readings_held_back_and_raw_words_stand_where_there_are_some),
        cmocka_unit_test(a_birth_says_what_its_numbers_mean),
        cmocka_unit_test(other_kinds_are_written),
        cmocka_unit_test(a_birth_is_named_by_its_bytes),
        cmocka_unit_test(a_full_record_keeps_to_its_bytes),
        cmocka_unit_test(the_largest_sample_fits_the_smallest_record),
        cmocka_unit_test(a_record_holds_no_more_than_its_values),
        cmocka_unit_test(what_no_record_can_hold_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
