#include "drivers/modbus/decode.h"

#include "base/numbers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct map_register made(const char *type, const char *order)
{
    struct map_register reg;
    struct message message = {""};

    if (map_register_init(&reg, type, order, &message) != 0)
        fail_msg("%s %s: %s", type, order, message.text);
    return reg;
}

static struct sample decoded(const struct map_register *reg, const char *hex)
{
    struct sample sample = {.point = 7, .t_ms = 9};
    uint8_t wire[40] = {0};

    if (parse_hex(hex, 2u * reg->words, wire) != 0)
        fail_msg("%s are not %d bytes", hex, 2 * reg->words);
    decode_registers(reg, wire, &sample);
    assert_int_equal(sample.point, 7);
    assert_int_equal(sample.t_ms, 9);
    return sample;
}

/* The value as a record shows it, or its cause where there is none. */
static void shown(const struct sample *sample, char *text, size_t size)
{
    char number[NUMBER_TEXT_SIZE];

    if (sample->value.kind == VALUE_FLOAT)
        print_float((float)sample->value.number, number);
    else
        print_double(sample->value.number, number);
    if (sample->value.kind == VALUE_NONE)
        snprintf(text, size, "%s", cause_name(sample->cause));
    else if (sample->value.kind == VALUE_TEXT)
        snprintf(text, size, "'%s'", sample->value.text);
    else
        snprintf(text, size, "%s", number);
}

static void check(const struct map_register *reg, const char *hex, const char *expected)
{
    struct sample sample = decoded(reg, hex);
    char text[80];

    shown(&sample, text, sizeof text);
    if (strcmp(text, expected) != 0)
        fail_msg("%s of %s is %s, not %s", reg->type_name, hex, text, expected);
    assert_int_equal(sample.quality == QUALITY_GOOD, sample.value.kind != VALUE_NONE);
}

/* Words of libmodbus' own tests (123456.0f, 0x00112233) and of IEEE 754 (pi), written out in each
 * order by hand. */
static void every_order_is_its_permutation(void **state)
{
    static const struct {
        const char *type, *order, *hex, *value;
    } cases[] = {
        {"uint16", "AB", "1234", "4660"},
        {"uint16", "BA", "3412", "4660"},
        {"uint32", "ABCD", "00112233", "1122867"},
        {"uint32", "CDAB", "22330011", "1122867"},
        {"uint32", "BADC", "11003322", "1122867"},
        {"uint32", "DCBA", "33221100", "1122867"},
        {"float32", "ABCD", "47f12000", "123456"},
        {"float32", "CDAB", "200047f1", "123456"},
        {"float32", "BADC", "f1470020", "123456"},
        {"float32", "DCBA", "0020f147", "123456"},
        {"float64", "ABCDEFGH", "400921fb54442d18", "3.141592653589793"},
        {"float64", "BADCFEHG", "0940fb214454182d", "3.141592653589793"},
        {"float64", "CDABGHEF", "21fb40092d185444", "3.141592653589793"},
        {"float64", "DCBAHGFE", "fb210940182d4454", "3.141592653589793"},
        {"float64", "EFGHABCD", "54442d18400921fb", "3.141592653589793"},
        {"float64", "FEHGBADC", "4454182d0940fb21", "3.141592653589793"},
        {"float64", "GHEFCDAB", "2d18544421fb4009", "3.141592653589793"},
        {"float64", "HGFEDCBA", "182d4454fb210940", "3.141592653589793"},
        {"bcd48", "ABCDEF", "000012431116", "12431116"},
        {"bcd48", "EFCDAB", "111612430000", "12431116"},
        {"bcd48", "BADCFE", "000043121611", "12431116"},
        {"bcd48", "FEDCBA", "161143120000", "12431116"},
        {"float16", "AB", "3e00", "1.5"},
        {"float16", "BA", "003e", "1.5"},
        {"bits32", "CDAB", "22330011", "1122867"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct map_register reg = made(cases[i].type, cases[i].order);
        check(&reg, cases[i].hex, cases[i].value);
    }
}

/* RFC 8949 (CBOR), appendix A: numbers beside their bytes. */
static void published_numbers_are_read(void **state)
{
    static const struct {
        const char *type, *order, *hex, *value;
    } cases[] = {
        {"float16", "AB", "0000", "0"},
        {"float16", "AB", "8000", "-0"},
        {"float16", "AB", "3c00", "1"},
        {"float16", "AB", "3e00", "1.5"},
        {"float16", "AB", "7bff", "65504"},
        {"float16", "AB", "0001", "5.9604645e-8"},
        {"float16", "AB", "0400", "0.000061035156"},
        {"float16", "AB", "c400", "-4"},
        {"float16", "AB", "7c00", "not_a_number"},
        {"float16", "AB", "7e00", "not_a_number"},
        {"float16", "AB", "fc00", "not_a_number"},
        {"float32", "ABCD", "47c35000", "100000"},
        {"float32", "ABCD", "7f7fffff", "3.4028235e38"},
        {"float32", "ABCD", "7f800000", "not_a_number"},
        {"float64", "ABCDEFGH", "3ff199999999999a", "1.1"},
        {"float64", "ABCDEFGH", "7e37e43c8800759c", "1e300"},
        {"float64", "ABCDEFGH", "c010666666666666", "-4.1"},
        {"uint8", "AB", "ff00", "255"},
        {"uint16", "AB", "03e8", "1000"},
        {"uint32", "ABCD", "000f4240", "1000000"},
        {"uint64", "ABCDEFGH", "000000e8d4a51000", "1000000000000"},
        {"uint64", "ABCDEFGH", "ffffffffffffffff", "'18446744073709551615'"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct map_register reg = made(cases[i].type, cases[i].order);
        check(&reg, cases[i].hex, cases[i].value);
    }
}

static void whole_numbers_keep_their_sign_and_every_digit(void **state)
{
    static const struct {
        const char *type, *order, *hex, *value;
    } cases[] = {
        {"int16", "AB", "ffff", "-1"},
        {"int16", "AB", "8000", "-32768"},
        {"int16", "AB", "7fff", "32767"},
        {"uint16", "AB", "ffff", "65535"},
        {"uint8", "AB", "12ff", "18"},
        {"uint8", "BA", "12ff", "255"},
        {"int8", "AB", "80ff", "-128"},
        {"int8", "BA", "80ff", "-1"},
        {"int32", "ABCD", "fffffffe", "-2"},
        {"int32", "ABCD", "80000000", "-2147483648"},
        {"uint32", "ABCD", "ffffffff", "4294967295"},
        {"int64", "ABCDEFGH", "ffffffffffffffff", "-1"},
        {"int64", "ABCDEFGH", "0020000000000000", "9007199254740992"},
        {"int64", "ABCDEFGH", "0020000000000001", "'9007199254740993'"},
        {"int64", "ABCDEFGH", "ffe0000000000000", "-9007199254740992"},
        {"int64", "ABCDEFGH", "ffdfffffffffffff", "'-9007199254740993'"},
        {"int64", "ABCDEFGH", "8000000000000000", "'-9223372036854775808'"},
        {"uint64", "ABCDEFGH", "ffffffffffffffff", "'18446744073709551615'"},
        {"bcd16", "", "9999", "9999"},
        {"bcd64", "ABCDEFGH", "9999999999999999", "'9999999999999999'"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct map_register reg = made(cases[i].type, cases[i].order);
        check(&reg, cases[i].hex, cases[i].value);
    }
}

static void what_is_no_number_is_bad(void **state)
{
    struct map_register single = made("float32", "ABCD");
    struct map_register wide = made("float64", "ABCDEFGH");
    struct map_register bcd = made("bcd32", "ABCD");

    (void)state;
    check(&single, "7fc00000", "not_a_number");
    check(&single, "7f800001", "not_a_number");
    check(&single, "7f800000", "not_a_number");
    check(&single, "ff800000", "not_a_number");
    check(&wide, "7ff0000000000000", "not_a_number");
    check(&wide, "fff8000000000000", "not_a_number");
    check(&bcd, "0000000a", "not_a_number");
    wide.exact = false;
    wide.divisor = 0;
    wide.scale = 10;
    check(&wide, "7fefffffffffffff", "not_a_number");
}

static void floats_stay_floats_until_scaled(void **state)
{
    struct map_register reg = made("float32", "ABCD");
    struct sample sample = decoded(&reg, "41ad3127");

    (void)state;
    assert_int_equal(sample.value.kind, VALUE_FLOAT);
    check(&reg, "41ad3127", "21.649");
    reg.exact = false;
    reg.scale = 100;
    reg.divisor = 0;
    sample = decoded(&reg, "3f000000");
    assert_int_equal(sample.value.kind, VALUE_DOUBLE);
    check(&reg, "3f000000", "50");
}

static void tenths_are_rounded_once(void **state)
{
    struct map_register reg = made("int16", "AB");

    (void)state;
    reg.exact = false;
    reg.scale = 0.1;
    reg.divisor = 10;
    check(&reg, "0003", "0.3");
    check(&reg, "fffd", "-0.3");
    reg.offset = -40;
    check(&reg, "0190", "0");
}

static void values_beyond_their_range_are_bad_and_kept(void **state)
{
    struct map_register reg = made("int16", "AB");
    struct sample sample;

    (void)state;
    reg.has_min = true;
    reg.min = 0;
    reg.has_max = true;
    reg.max = 14;
    assert_int_equal(decoded(&reg, "0000").quality, QUALITY_GOOD);
    assert_int_equal(decoded(&reg, "000e").quality, QUALITY_GOOD);
    sample = decoded(&reg, "000f");
    assert_int_equal(sample.quality, QUALITY_BAD);
    assert_int_equal(sample.cause, CAUSE_OUT_OF_RANGE);
    assert_true(double_same(sample.value.number, 15));
    assert_int_equal(decoded(&reg, "ffff").cause, CAUSE_OUT_OF_RANGE);
}

static void texts_of_long_numbers_have_a_range_too(void **state)
{
    struct map_register reg = made("uint64", "ABCDEFGH");
    struct sample sample;

    (void)state;
    reg.has_max = true;
    reg.max = 1e15;
    sample = decoded(&reg, "7fffffffffffffff");
    assert_int_equal(sample.cause, CAUSE_OUT_OF_RANGE);
    assert_string_equal(sample.value.text, "9223372036854775807");
}

static void sentinels_are_faults(void **state)
{
    static const struct {
        const char *type, *order, *sentinel, *hex;
    } cases[] = {
        {"int16", "AB", "32767", "7fff"},
        {"int16", "BA", "-32768", "0080"},
        {"uint16", "AB", "0x8000", "8000"},
        {"uint8", "AB", "255", "ff00"},
        {"int32", "CDAB", "2147483647", "ffff7fff"},
        {"int64", "ABCDEFGH", "-1", "ffffffffffffffff"},
        {"uint64", "ABCDEFGH", "18446744073709551615", "ffffffffffffffff"},
        {"float32", "ABCD", "-9999", "c61c3c00"},
        {"float64", "ABCDEFGH", "0.5", "3fe0000000000000"},
        {"bcd32", "ABCD", "99999999", "99999999"},
        {"bcd32", "ABCD", "0xFFFFFFFF", "ffffffff"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct map_register reg = made(cases[i].type, cases[i].order);
        assert_int_equal(map_register_parse_raw(&reg, cases[i].sentinel, &reg.sentinels[0]), 0);
        reg.sentinel_count = 1;
        check(&reg, cases[i].hex, "sensor_fault");
    }
}

static void sentinels_must_fit_their_register(void **state)
{
    static const struct {
        const char *type, *order, *sentinel;
    } cases[] = {
        {"int16", "AB", "32768"},    {"int8", "AB", "-129"},    {"uint16", "AB", "-1"},
        {"uint16", "AB", "0xFFF"},   {"uint8", "AB", "256"},    {"float32", "ABCD", "1e39"},
        {"float32", "ABCD", "nan"},  {"bcd16", "AB", "10000"},  {"uint16", "AB", ""},
        {"float64", "ABCDEFGH", ""}, {"bcd16", "AB", "0xGGGG"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct map_register reg = made(cases[i].type, cases[i].order);
        uint64_t raw = 99;
        assert_int_not_equal(map_register_parse_raw(&reg, cases[i].sentinel, &raw), 0);
        assert_int_equal(raw, 99);
    }
}

static void bits_are_picked_from_their_word(void **state)
{
    struct map_register reg = made("bits16", "AB");
    struct map_register coil = made("bit", "");
    struct sample sample = {.point = 3};

    (void)state;
    check(&reg, "8001", "32769");
    reg.bits = 1;
    check(&reg, "8001", "1");
    reg.low_bit = 1;
    check(&reg, "8001", "0");
    reg.low_bit = 15;
    check(&reg, "8001", "1");
    reg.low_bit = 4;
    reg.bits = 4;
    check(&reg, "fa5f", "5");
    reg.low_bit = 0;
    reg.bits = 15;
    check(&reg, "ffff", "32767");
    decode_bit(&coil, true, &sample);
    assert_true(double_same(sample.value.number, 1));
    coil.exact = false;
    coil.scale = -1;
    coil.divisor = -1;
    coil.offset = 1;
    decode_bit(&coil, true, &sample);
    assert_true(double_same(sample.value.number, 0));
    assert_int_equal(sample.quality, QUALITY_GOOD);
}

static void texts_are_trimmed_and_made_utf8(void **state)
{
    struct map_register reg = made("string5", "");
    struct map_register swapped = made("string4", "BA");
    struct map_register time = made("time6", "");

    (void)state;
    assert_int_equal(time.type, REGISTER_BYTES);
    check(&reg, "414220200000", "'AB'");
    check(&reg, "4142434445ff", "'ABCDE'");
    check(&reg, "004142434445", "''");
    check(&reg, "41ffffffff00", "'A'");
    check(&reg, "bbafd1a70000", "'化学'");
    check(&reg, "418000000000", "bad_response");
    check(&swapped, "42414443", "'ABCD'");
    check(&time, "1a0b180c0700", "'1a0b180c0700'");
}

static void words_stand_for_numbers(void **state)
{
    static const struct register_word words[] = {
        {-1, "fault 故障", 12}, {0, "stopped", 7}, {3, "running", 7}};
    struct map_register reg = made("int16", "AB");
    struct map_register wide = made("uint64", "ABCDEFGH");
    struct sample sample = {.point = 3};

    (void)state;
    reg.enum_words = wide.enum_words = words;
    reg.enum_count = wide.enum_count = COUNT(words);
    check(&reg, "0000", "'stopped'");
    check(&reg, "0003", "'running'");
    check(&reg, "ffff", "'fault 故障'");
    sample = decoded(&reg, "0001");
    assert_int_equal(sample.quality, QUALITY_BAD);
    assert_int_equal(sample.cause, CAUSE_OUT_OF_RANGE);
    assert_true(double_same(sample.value.number, 1));
    assert_int_equal(decoded(&wide, "ffffffffffffffff").cause, CAUSE_OUT_OF_RANGE);
    reg.sentinels[0] = 3;
    reg.sentinel_count = 1;
    check(&reg, "0003", "sensor_fault");
}

/* 2026-12-31 23:59:59, and what is no date. */
static void packed_times_are_milliseconds(void **state)
{
    static const struct {
        const char *type, *order, *hex, *value;
    } cases[] = {
        {"time6", "YMDhms", "1a0c1f173b3b", "1798761599000"},
        {"time6", "smhDMY", "3b3b171f0c1a", "1798761599000"},
        {"time6", "MYhDsm", "0c1a171f3b3b", "1798761599000"},
        {"bcdtime6", "YMDhms", "261231235959", "1798761599000"},
        {"bcdtime6", "DMYhms", "311226235959", "1798761599000"},
        {"time12", "YMDhms", "07ea000c001f0017003b003b", "1798761599000"},
        {"time12", "YMDhms", "001a000c001f0017003b003b", "1798761599000"},
        {"time6", "YMDhms", "180d1d000000", "clock"},         /* month 13 */
        {"time6", "YMDhms", "18021d000000", "1709164800000"}, /* a leap day */
        {"time6", "YMDhms", "19021d000000", "clock"},
        {"time6", "YMDhms", "000000000000", "clock"},
        {"time6", "YMDhms", "ffffffffffff", "clock"},
        {"time6", "YMDhms", "1a0c1f183b3b", "clock"},
        {"bcdtime6", "YMDhms", "2a1231235959", "clock"},
        {"bcdtime6", "YMDhms", "26123123595a", "clock"},
        {"time12", "YMDhms", "ffff000c001f0017003b003b", "clock"},
        {"time12", "YMDhms", "07ea010c001f0017003b003b", "clock"},
    };
    struct map_register reg = made("time6", "YMDhms");

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct map_register one = made(cases[i].type, cases[i].order);
        check(&one, cases[i].hex, cases[i].value);
    }
    reg.exact = false; /* its clock shows UTC+8 */
    reg.offset = -28800000;
    check(&reg, "1a0c1f173b3b", "1798732799000");
}

static void packed_times_tell_each_part_once(void **state)
{
    static const char *const wrong[] = {"YMDhm", "YMDhmm", "YMDhmx", "YMDhmsY", "ABCDEF", ""};
    struct map_register reg;
    struct message message = {""};

    (void)state;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        assert_int_equal(map_register_init(&reg, "bcdtime6", wrong[i], &message), ERR_INVALID);
        assert_non_null(strstr(message.text, "as YMDhms"));
    }
}

static void every_type_ends_by_its_own_width(void **state)
{
    static const char *const types[] = {"bits16", "uint8",   "int16",   "uint32",  "int64",
                                        "bcd48",  "string3", "float32", "time6",   "float64",
                                        "time12", "bits32",  "float16", "bcdtime6"};
    static const char *const wires[] = {"", "AB", "ABCD", "ABCDEF", "YMDhms", "ABCDEFGH"};

    (void)state;
    for (size_t i = 0; i < COUNT(types); i++) {
        struct map_register reg;
        struct sample sample = {.point = 1};
        uint8_t wire[12];
        size_t w = 0;
        memset(wire, 0xFF, sizeof wire);
        while (map_register_init(&reg, types[i], wires[w], NULL) != 0)
            w++;
        decode_registers(&reg, wire + sizeof wire - 2u * reg.words, &sample);
        assert_true(sample.quality == QUALITY_GOOD || sample.quality == QUALITY_BAD);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_order_is_its_permutation),
        cmocka_unit_test(published_numbers_are_read),
        cmocka_unit_test(whole_numbers_keep_their_sign_and_every_digit),
        cmocka_unit_test(what_is_no_number_is_bad),
        cmocka_unit_test(floats_stay_floats_until_scaled),
        cmocka_unit_test(tenths_are_rounded_once),
        cmocka_unit_test(values_beyond_their_range_are_bad_and_kept),
        cmocka_unit_test(texts_of_long_numbers_have_a_range_too),
        cmocka_unit_test(sentinels_are_faults),
        cmocka_unit_test(sentinels_must_fit_their_register),
        cmocka_unit_test(bits_are_picked_from_their_word),
        cmocka_unit_test(texts_are_trimmed_and_made_utf8),
        cmocka_unit_test(words_stand_for_numbers),
        cmocka_unit_test(packed_times_are_milliseconds),
        cmocka_unit_test(packed_times_tell_each_part_once),
        cmocka_unit_test(every_type_ends_by_its_own_width),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
