/*
 * Values as a simulated instrument shows them: what is encoded decodes to the same, within what the
 * register can tell.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/numbers.h"
#include "drivers/modbus/decode.h"
#include "drivers/simulator/encode.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- encoding ---- */

static struct map_register make_register(const char *type, const char *order)
{
    struct map_register reg;
    assert_int_equal(map_register_init(&reg, type, order, NULL), 0);
    return reg;
}

/* What a client decodes after `value` was put into `registers`. */
static struct sample there_and_back(const struct map_register *reg, double value,
                                    uint16_t *registers)
{
    assert_int_equal(encode_registers(reg, value, registers), 0);
    uint8_t wire[16];
    for (int w = 0; w < reg->words; w++) {
        wire[2 * w] = (uint8_t)(registers[reg->address + w] >> 8);
        wire[2 * w + 1] = (uint8_t)registers[reg->address + w];
    }
    struct sample sample = {0};
    decode_registers(reg, wire, &sample);
    return sample;
}

static void expect_back(const struct map_register *reg, double value, double expected)
{
    uint16_t registers[8] = {0};
    struct sample sample = there_and_back(reg, value, registers);
    double error = fabs(sample.value.number - expected);
    if (sample.quality != QUALITY_GOOD || error > 1e-9 * fabs(expected))
        fail_msg("%s order %d%d: %.17g came back as %.17g, quality %d", reg->type_name,
                 reg->order[0], reg->order[1], value, sample.value.number, sample.quality);
}

static const char *const orders_2[] = {"AB", "BA", NULL};
static const char *const orders_4[] = {"ABCD", "CDAB", "BADC", "DCBA", NULL};
static const char *const orders_8[] = {"ABCDEFGH", "BADCFEHG", "CDABGHEF", "DCBAHGFE", "EFGHABCD",
                                       "FEHGBADC", "GHEFCDAB", "HGFEDCBA", NULL};

struct encoding {
    const char *type;
    const char *const *orders;
    double values[5];
};

static const struct encoding encodings[] = {
    {"uint8", orders_2, {0, 1, 127, 200, 255}},
    {"int8", orders_2, {0, 1, -1, -128, 127}},
    {"uint16", orders_2, {0, 1, 258, 32768, 65535}},
    {"int16", orders_2, {0, -1, 258, -32768, 32767}},
    {"bits16", orders_2, {0, 1, 258, 32768, 65535}},
    {"uint32", orders_4, {0, 1, 16909060, 2147483648.0, 4294967295.0}},
    {"int32", orders_4, {0, -1, 16909060, -2147483648.0, 2147483647.0}},
    {"float32", orders_4, {0, -1.5, 7.25, 16777216, -0.0009765625}},
    {"uint64", orders_8, {0, 1, 72623859790.0, 4294967296.0, 9007199254740992.0}},
    {"int64", orders_8, {0, -1, 72623859790.0, -4294967296.0, -9007199254740992.0}},
    {"float64", orders_8, {0, -1.5, 7.4, 1e300, -1e-300}},
};

static void what_is_encoded_decodes_to_the_same_for_every_type_and_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(encodings); i++)
        for (const char *const *order = encodings[i].orders; *order; order++) {
            struct map_register reg = make_register(encodings[i].type, *order);
            for (size_t n = 0; n < 5; n++)
                expect_back(&reg, encodings[i].values[n], encodings[i].values[n]);
        }
}

static void numbers_are_rounded_to_what_the_type_can_tell(void **state)
{
    (void)state;
    struct map_register whole = make_register("int16", "AB");
    expect_back(&whole, 6.6, 7);
    expect_back(&whole, -6.6, -7);
    struct map_register tenths = make_register("uint16", "AB");
    tenths.scale = 0.1;
    tenths.divisor = 10;
    tenths.offset = -40;
    tenths.exact = false;
    expect_back(&tenths, 23.44, 23.4);
    expect_back(&tenths, -39.97, -40);
}

static void numbers_are_held_within_their_type(void **state)
{
    (void)state;
    static const struct {
        const char *type, *order;
        double value, expected;
    } cases[] = {
        {"uint8", "AB", 300, 255},
        {"uint8", "AB", -3, 0},
        {"int8", "AB", 300, 127},
        {"int8", "AB", -300, -128},
        {"uint16", "AB", 70000, 65535},
        {"uint16", "AB", -1, 0},
        {"int16", "AB", 70000, 32767},
        {"int16", "AB", -70000, -32768},
        {"uint32", "ABCD", 1e300, 4294967295.0},
        {"int32", "ABCD", -1e300, -2147483648.0},
        {"float32", "ABCD", 1e300, 3.4028234663852886e38},
        {"float32", "ABCD", -1e300, -3.4028234663852886e38},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct map_register reg = make_register(cases[i].type, cases[i].order);
        expect_back(&reg, cases[i].value, cases[i].expected);
    }
    struct map_register reg = make_register("int64", "ABCDEFGH");
    uint16_t registers[8] = {0};
    struct sample sample = there_and_back(&reg, 1e300, registers);
    assert_string_equal(sample.value.text, "9223372036854775807");
    sample = there_and_back(&reg, -1e300, registers);
    assert_string_equal(sample.value.text, "-9223372036854775808");
    reg = make_register("uint64", "ABCDEFGH");
    sample = there_and_back(&reg, 1e300, registers);
    assert_string_equal(sample.value.text, "18446744073709551615");
}

static void a_bit_of_a_word_leaves_the_others_alone(void **state)
{
    (void)state;
    for (int8_t bit = 0; bit < 16; bit++) {
        struct map_register reg = make_register("bits16", "AB");
        reg.low_bit = (uint8_t)bit;
        reg.bits = 1;
        uint16_t registers[8] = {0xa5a5};
        struct sample sample = there_and_back(&reg, 0.5, registers);
        assert_true(sample.value.number > 0.5);
        assert_int_equal(registers[0], 0xa5a5 | 1 << bit);
        sample = there_and_back(&reg, 0.49, registers);
        assert_true(sample.value.number < 0.5);
        assert_int_equal(registers[0], 0xa5a5 & ~(1 << bit));
    }
}

static void a_field_of_bits_leaves_the_others_alone(void **state)
{
    struct map_register reg = make_register("bits32", "CDAB");
    uint16_t registers[8] = {0xffff, 0xffff};
    reg.low_bit = 12;
    reg.bits = 8;
    (void)state;
    assert_true(double_same(there_and_back(&reg, 0x5a, registers).value.number, 0x5a));
    assert_int_equal(registers[0], 0xafff);
    assert_int_equal(registers[1], 0xfff5);
    assert_true(double_same(there_and_back(&reg, 300, registers).value.number, 255));
    assert_true(double_same(there_and_back(&reg, -1, registers).value.number, 0));
    assert_true(double_same(there_and_back(&reg, (double)NAN, registers).value.number, 0));
    assert_int_equal(registers[0], 0x0fff);
}

/* All of them, but for the NaNs. */
static void every_float16_comes_back(void **state)
{
    struct map_register reg = make_register("float16", "AB");
    uint16_t registers[8] = {0};
    uint8_t wire[2];
    (void)state;
    for (unsigned raw = 0; raw <= 0xffff; raw++) {
        struct sample sample = {0};
        wire[0] = (uint8_t)(raw >> 8);
        wire[1] = (uint8_t)raw;
        decode_registers(&reg, wire, &sample);
        if (sample.quality != QUALITY_GOOD)
            continue;
        assert_int_equal(encode_registers(&reg, sample.value.number, registers), 0);
        if (registers[0] != raw)
            fail_msg("%04x came back as %04x", raw, registers[0]);
    }
    expect_back(&reg, 2049, 2048); /* ties to even */
    expect_back(&reg, 2047.9, 2048);
    expect_back(&reg, 1e9, 65504);
    expect_back(&reg, 1e-9, 0);
}

static void a_packed_time_comes_back(void **state)
{
    static const char *const cases[][2] = {
        {"time6", "YMDhms"}, {"time6", "smhDMY"}, {"time12", "YMDhms"}, {"bcdtime6", "DMYhms"}};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct map_register reg = make_register(cases[i][0], cases[i][1]);
        uint16_t registers[8] = {0xffff, 0xffff, 0xffff};
        struct sample sample = there_and_back(&reg, 1798761599999.0, registers);
        assert_true(double_same(sample.value.number, 1798761599000.0));
        reg.exact = false;
        reg.offset = -28800000;
        sample = there_and_back(&reg, 1798761599000.0, registers);
        assert_true(double_same(sample.value.number, 1798761599000.0));
        assert_int_equal(encode_registers(&reg, (double)NAN, registers), ERR_INVALID);
    }
}

static void a_byte_leaves_its_registers_other_byte_alone(void **state)
{
    (void)state;
    struct map_register first = make_register("uint8", "AB");
    struct map_register second = make_register("uint8", "BA");
    uint16_t registers[8] = {0};
    assert_int_equal(encode_registers(&first, 18, registers), 0);
    assert_int_equal(encode_registers(&second, 52, registers), 0);
    assert_int_equal(registers[0], 18 << 8 | 52);
    assert_int_equal(encode_registers(&first, 1, registers), 0);
    assert_int_equal(registers[0], 1 << 8 | 52);
}

static void only_its_own_words_are_written(void **state)
{
    (void)state;
    struct map_register reg = make_register("float64", "ABCDEFGH");
    uint16_t registers[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    reg.address = 2;
    (void)there_and_back(&reg, 7.4, registers);
    assert_int_equal(registers[1], 2);
    assert_int_equal(registers[6], 7);
}

static void what_holds_no_number_is_refused_and_writes_nothing(void **state)
{
    (void)state;
    static const char *const types[] = {"string4", "time6", "bit"};
    for (size_t i = 0; i < COUNT(types); i++) {
        struct map_register reg = make_register(types[i], "");
        uint16_t registers[8] = {1, 2, 3, 4};
        assert_int_equal(encode_registers(&reg, 7, registers), ERR_INVALID);
        assert_int_equal(registers[0], 1);
        assert_int_equal(registers[2], 3);
    }
}

static void a_bcd_counter_shows_its_digits_and_rolls_over(void **state)
{
    (void)state;
    struct map_register reg = make_register("bcd48", "ABCDEF");
    reg.scale = 0.0001;
    reg.divisor = 10000;
    reg.exact = false;
    expect_back(&reg, 1243.1116, 1243.1116);
    expect_back(&reg, 99999999.9999, 99999999.9999);
    expect_back(&reg, 100000003.5, 3.5);
    expect_back(&reg, -1, 0);
}

static void no_measurement_is_told_as_the_register_can(void **state)
{
    (void)state;
    struct map_register real = make_register("float32", "CDAB"), bcd = make_register("bcd16", "AB"),
                        marked = make_register("int16", "AB"),
                        plain = make_register("uint16", "AB");
    uint16_t registers[8] = {0};
    marked.sentinels[marked.sentinel_count++] = 0x8000;
    assert_int_equal(there_and_back(&real, NAN, registers).cause, CAUSE_NOT_A_NUMBER);
    assert_int_equal(there_and_back(&bcd, NAN, registers).cause, CAUSE_NOT_A_NUMBER);
    assert_int_equal(there_and_back(&marked, NAN, registers).cause, CAUSE_SENSOR_FAULT);
    /* Beyond its scale is all that is left to say. */
    assert_true(double_same(there_and_back(&plain, NAN, registers).value.number, 65535));
    assert_true(encode_can_say_nothing(&real) && encode_can_say_nothing(&bcd) &&
                encode_can_say_nothing(&marked));
    assert_false(encode_can_say_nothing(&plain));
}

/* ---- what a register cannot hold ---- */

static void what_comes_back_as_another_value_does_not_fit(void **state)
{
    (void)state;
    static const struct {
        const char *type, *order;
        double value;
        bool fits;
    } cases[] = {
        {"uint16", "AB", 65535, true},
        {"uint16", "AB", 65535.4, true},
        {"uint16", "AB", 65536, false},
        {"uint16", "AB", -0.4, true},
        {"uint16", "AB", -1, false},
        {"int16", "AB", -32768, true},
        {"int16", "AB", 32768, false},
        {"uint8", "BA", 256, false},
        {"bcd16", "AB", 9999, true},
        {"bcd16", "AB", 10000, false},
        {"bcd16", "AB", -1, false},
        {"float32", "CDAB", 593.74, true},
        {"float32", "CDAB", 3e38, true},
        {"float32", "CDAB", -4e38, false},
        {"float32", "CDAB", 1e-42, true},
        {"float64", "ABCDEFGH", 1e300, true},
        {"uint64", "ABCDEFGH", 1e19, true},
        {"uint64", "ABCDEFGH", 1e20, false},
        {"bit", "", 1, true},
        {"bit", "", 0.6, true},
        {"bit", "", 2, false},
        {"string4", "", 1, false},
        {"float64", "ABCDEFGH", (double)INFINITY, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct map_register reg = make_register(cases[i].type, cases[i].order);
        reg.address = 40000;
        if (encode_fits(&reg, cases[i].value) != cases[i].fits)
            fail_msg("%s: %g", cases[i].type, cases[i].value);
    }
}

static void a_sentinel_does_not_fit_and_what_is_beside_it_does(void **state)
{
    (void)state;
    struct map_register reg = make_register("uint16", "AB");
    reg.scale = 0.1;
    reg.divisor = 10;
    reg.exact = false;
    reg.sentinels[reg.sentinel_count++] = 65535;
    assert_true(encode_fits(&reg, 6553.4));
    assert_false(encode_fits(&reg, 6553.5));
    assert_true(isnan(encode_read_back(&reg, 6553.5)));
    reg.has_max = true;
    reg.max = 10;
    assert_true(encode_fits(&reg, 100)); /* nonsense is what some instruments tell */
}

static void full_counters_begin_again_and_others_do_not(void **state)
{
    (void)state;
    struct map_register word = make_register("uint16", "AB"), bcd = make_register("bcd16", "AB"),
                        whole = make_register("int16", "AB"),
                        tenths = make_register("uint16", "AB");
    tenths.scale = 0.1;
    tenths.divisor = 10;
    tenths.exact = false;
    assert_true(double_same(encode_counter(&word, 65535), 65535));
    assert_true(double_same(encode_counter(&word, 65535.7), 0)); /* as it is rounded */
    assert_true(double_same(encode_counter(&word, 3 * 65536.0 + 5), 5));
    assert_true(double_same(encode_counter(&bcd, 10012), 12));
    assert_true(fabs(encode_counter(&tenths, 6553.6 + 0.3) - 0.3) < 1e-9);
    assert_true(double_same(encode_counter(&whole, 40000), 40000));
    assert_true(double_same(encode_counter(&word, -1), -1)); /* no counter does that */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_encoded_decodes_to_the_same_for_every_type_and_order),
        cmocka_unit_test(numbers_are_rounded_to_what_the_type_can_tell),
        cmocka_unit_test(numbers_are_held_within_their_type),
        cmocka_unit_test(a_bit_of_a_word_leaves_the_others_alone),
        cmocka_unit_test(a_field_of_bits_leaves_the_others_alone),
        cmocka_unit_test(every_float16_comes_back),
        cmocka_unit_test(a_packed_time_comes_back),
        cmocka_unit_test(a_byte_leaves_its_registers_other_byte_alone),
        cmocka_unit_test(only_its_own_words_are_written),
        cmocka_unit_test(what_holds_no_number_is_refused_and_writes_nothing),
        cmocka_unit_test(a_bcd_counter_shows_its_digits_and_rolls_over),
        cmocka_unit_test(no_measurement_is_told_as_the_register_can),
        cmocka_unit_test(what_comes_back_as_another_value_does_not_fit),
        cmocka_unit_test(a_sentinel_does_not_fit_and_what_is_beside_it_does),
        cmocka_unit_test(full_counters_begin_again_and_others_do_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
