/*
 * The simulator's parts that need no wire: what is encoded decodes to the same, and its
 * configuration tells where it is wrong. Plants have tests of their own: test_plant*.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drivers/modbus/decode.h"
#include "drivers/simulator/encode.h"
#include "drivers/simulator/sim_config.h"
#include "tests/unit/support/config_file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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
        reg.bit = bit;
        uint16_t registers[8] = {0xa5a5};
        struct sample sample = there_and_back(&reg, 0.5, registers);
        assert_true(sample.value.number > 0.5);
        assert_int_equal(registers[0], 0xa5a5 | 1 << bit);
        sample = there_and_back(&reg, 0.49, registers);
        assert_true(sample.value.number < 0.5);
        assert_int_equal(registers[0], 0xa5a5 & ~(1 << bit));
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
    static const char *const types[] = {"string4", "time6", "bcd16"};
    for (size_t i = 0; i < COUNT(types); i++) {
        struct map_register reg = make_register(types[i], "");
        uint16_t registers[8] = {1, 2, 3, 4};
        assert_int_equal(encode_registers(&reg, 7, registers), ERR_INVALID);
        assert_int_equal(registers[0], 1);
        assert_int_equal(registers[2], 3);
    }
}

/* ---- configuration ---- */

#define MAP  "config/maps/gas-rtu.csv"
#define HEAD "links:\n  - listen: 127.0.0.1:0\n    units:\n"
#define UNIT HEAD "      - {unit: 1, plant: gas, map: \"@/" MAP "\"}\n"

/* The text with "@" replaced by the folder the tests run in: maps are relative to the file. */
static int load(const char *text, struct sim_config **ret_config, struct config_errors *errors)
{
    char folder[2048], whole[8192] = "";
    assert_non_null(getcwd(folder, sizeof(folder)));
    const char *rest = text;
    for (const char *at; (at = strchr(rest, '@')); rest = at + 1) {
        size_t len = strlen(whole);
        snprintf(whole + len, sizeof(whole) - len, "%.*s%s", (int)(at - rest), rest, folder);
    }
    size_t len = strlen(whole);
    snprintf(whole + len, sizeof(whole) - len, "%s", rest);
    struct config_file file;
    config_file_make(&file, "sim.yaml", whole);
    config_errors_init(errors);
    int err = sim_config_load(file.path, ret_config, errors);
    config_file_remove(&file);
    return err;
}

static struct sim_config *expect_good(const char *text)
{
    struct sim_config *config = NULL;
    struct config_errors errors;
    int err = load(text, &config, &errors);
    assert_string_equal(buffer_text(&errors.text), "");
    assert_int_equal(err, 0);
    config_errors_release(&errors);
    return config;
}

static void expect_mistake(const char *text, const char *words)
{
    struct sim_config *config = NULL;
    struct config_errors errors;
    int err = load(text, &config, &errors);
    const char *told = buffer_text(&errors.text);
    if (errors.count != 1 || !strstr(told, words))
        fail_msg("expected one mistake: %s\ntold %zu: %s", words, errors.count, told);
    assert_int_equal(err, ERR_INVALID);
    assert_null(config);
    config_errors_release(&errors);
}

static void links_units_and_plants_are_read(void **state)
{
    (void)state;
    struct sim_config *config = expect_good(
        "seed: 7\nspeed: 60\n" UNIT
        "      - {unit: 247, plant: leachate, map: \"@/config/maps/leachate-plc.csv\"}\n");
    assert_int_equal(config->seed, 7);
    assert_true(config->speed > 59.9 && config->speed < 60.1);
    assert_int_equal(config->link_count, 1);
    const struct sim_link_config *link = &config->links[0];
    assert_string_equal(link->listen.host, "127.0.0.1");
    assert_int_equal(link->unit_count, 2);
    assert_int_equal(link->units[1].unit, 247);
    assert_string_equal(link->units[1].model->name, "leachate");
    assert_true(register_map_find(link->units[1].map, "level") >= 0);
    assert_int_equal(config->incident_count, 0);
    sim_config_free(config);
}

static void every_kind_of_incident_is_read(void **state)
{
    (void)state;
    struct sim_config *config =
        expect_good(UNIT "scenario:\n"
                         "  - {at: 1s, for: 2min, kind: add, variable: ch4, amount: 32}\n"
                         "  - {at: 2s, for: 5s, kind: set, variable: p_in, amount: -1}\n"
                         "  - {at: 0s, for: 5s, link: 0, unit: 1, kind: freeze, variable: flow}\n"
                         "  - {at: 4s, for: 5s, kind: dead}\n"
                         "  - {at: 5s, for: 5s, kind: exception}\n");
    static const enum incident_kind kinds[] = {INCIDENT_ADD, INCIDENT_SET, INCIDENT_FREEZE,
                                               INCIDENT_DEAD, INCIDENT_EXCEPTION};
    assert_int_equal(config->incident_count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(config->incidents[i].kind, kinds[i]);
        assert_int_equal(config->incidents[i].variable < 0, i >= 3);
    }
    assert_int_equal(config->incidents[0].at_ms, 1000);
    assert_int_equal(config->incidents[0].for_ms, 120000);
    assert_true(config->incidents[0].amount > 31.9 && config->incidents[0].amount < 32.1);
    sim_config_free(config);
}

static void mistakes_tell_where_and_what(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"seed: -1\n" UNIT, "sim.yaml:1:7: "},
        {"speed: 0\n" UNIT, "sim.yaml:1:8: "},
        {"sped: 1\n" UNIT, "sim.yaml:1:1: "},
        {"links:\n  - {listen: here, units: []}\n", "sim.yaml:2:14: 'here'; expected a numeric"},
        {HEAD "      - {unit: 0, plant: gas, map: \"@/" MAP "\"}\n", "sim.yaml:4:16: "},
        {HEAD "      - {unit: 248, plant: gas, map: \"@/" MAP "\"}\n", "sim.yaml:4:16: "},
        {HEAD "      - {unit: 1, plant: reactor, map: \"@/" MAP "\"}\n",
         "sim.yaml:4:26: no plant 'reactor'"},
        {HEAD "      - {unit: 1, plant: gas}\n", "sim.yaml:4:9: "},
        {HEAD "      - {unit: 1, plant: gas, map: absent.csv}\n", "absent.csv"},
        {UNIT "scenario: now\n", "sim.yaml:5:11: "},
        {UNIT "scenario:\n  - {at: 1s, for: 1s, kind: explode}\n", "sim.yaml:6:29: "},
        {UNIT "scenario:\n  - {at: 1, for: 1s, kind: dead}\n", "sim.yaml:6:10: "},
        {UNIT "scenario:\n  - {at: 1s, kind: dead}\n", "sim.yaml:6:5: "},
        {UNIT "scenario:\n  - {at: 1s, for: 1s, unit: 2, kind: dead}\n",
         "sim.yaml:6:5: there is no unit 2 on link 0"},
        {UNIT "scenario:\n  - {at: 1s, for: 1s, link: 1, kind: dead}\n",
         "sim.yaml:6:5: there is no unit 1 on link 1"},
        {UNIT "scenario:\n  - {at: 1s, for: 1s, kind: set, variable: cod, amount: 1}\n",
         "sim.yaml:6:5: plant gas has no variable 'cod'"},
        {UNIT "scenario:\n  - {at: 1s, for: 1s, kind: freeze}\n",
         "sim.yaml:6:5: plant gas has no variable ''"},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        expect_mistake(cases[i][0], cases[i][1]);
}

static void all_mistakes_are_told_in_one_run(void **state)
{
    (void)state;
    struct sim_config *config = NULL;
    struct config_errors errors;
    int err = load("speed: 0\n" HEAD "      - {unit: 300, plant: gas, map: \"@/" MAP "\"}\n"
                   "      - {unit: 1, plant: none, map: \"@/" MAP "\"}\n",
                   &config, &errors);
    assert_int_equal(err, ERR_INVALID);
    assert_int_equal(errors.count, 3);
    const char *told = buffer_text(&errors.text);
    assert_non_null(strstr(told, "sim.yaml:1:8: "));
    assert_non_null(strstr(told, "sim.yaml:5:16: "));
    assert_non_null(strstr(told, "sim.yaml:6:26: "));
    config_errors_release(&errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_encoded_decodes_to_the_same_for_every_type_and_order),
        cmocka_unit_test(numbers_are_rounded_to_what_the_type_can_tell),
        cmocka_unit_test(numbers_are_held_within_their_type),
        cmocka_unit_test(a_bit_of_a_word_leaves_the_others_alone),
        cmocka_unit_test(a_byte_leaves_its_registers_other_byte_alone),
        cmocka_unit_test(only_its_own_words_are_written),
        cmocka_unit_test(what_holds_no_number_is_refused_and_writes_nothing),
        cmocka_unit_test(links_units_and_plants_are_read),
        cmocka_unit_test(every_kind_of_incident_is_read),
        cmocka_unit_test(mistakes_tell_where_and_what),
        cmocka_unit_test(all_mistakes_are_told_in_one_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
