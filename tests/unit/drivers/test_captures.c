/*
 * Real traffic of real plants: every reply to a read decodes, as every type, and to the values that
 * it holds. What they are was reckoned apart from our decoder, with Python's struct. The captures
 * lie beside the product (CHENGMAI_CAPTURES names another folder); their README says whose they
 * are.
 */
#include "tests/unit/support/capture.h"

#include "base/numbers.h"
#include "drivers/modbus/decode.h"

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

static void read_capture(const char *name, capture_sink *sink, void *self)
{
    const char *named = getenv("CHENGMAI_CAPTURES");
    char path[1024];

    snprintf(path, sizeof path, "%s/%s.pcap.gz", named ? named : "../shared/data/modbus-pcap",
             name);
    if (!capture_read(path, sink, self)) {
        print_message("skipped: there is no %s\n", path);
        skip();
    }
}

/* ---- all of it ---- */

struct sums {
    unsigned replies, items;
    uint64_t bytes;
};

/* As any type, at any place: no crash, and no good value that is none. */
static void decode_as_all(const struct capture_reply *reply)
{
    static const char *const types[][2] = {
        {"uint16", "BA"},   {"int32", "CDAB"},       {"float32", "DCBA"}, {"float16", "AB"},
        {"bcd32", "ABCD"},  {"float64", "GHEFCDAB"}, {"string16", "BA"},  {"time6", "YMDhms"},
        {"bits32", "BADC"}, {"int64", "ABCDEFGH"},   {"bcd48", "ABCDEF"}, {"time12", "smhDMY"}};

    for (size_t i = 0; i < COUNT(types); i++) {
        struct map_register reg;
        assert_int_equal(map_register_init(&reg, types[i][0], types[i][1], NULL), 0);
        for (size_t at = 0; at + 2u * reg.words <= reply->len; at += 2) {
            struct sample sample = {.point = 1};
            decode_registers(&reg, reply->data + at, &sample);
            assert_true(isfinite(sample.value.number));
            assert_int_equal(sample.quality == QUALITY_GOOD, sample.cause == CAUSE_NONE);
        }
    }
}

static void sum(void *self, const struct capture_reply *reply)
{
    struct sums *sums = self;

    sums->replies++;
    sums->items += reply->count;
    for (size_t i = 0; i < reply->len; i++)
        sums->bytes += reply->data[i];
    if (reply->function > 2)
        decode_as_all(reply);
}

static void every_reply_is_found_and_decodes(void **state)
{
    static const struct {
        const char *name;
        struct sums expected;
    } captures[] = {
        {"cset2016/CnC_uploading_exe_modbus_6RTU_with_operate", {144, 576, 160}},
        {"cset2016/characterization_modbus_6RTU_with_operate", {627, 2463, 1088}},
        {"cset2016/exploit_ms08_netapi_modbus_6RTU_with_operate", {72, 288, 0}},
        {"cset2016/moving_two_files_modbus_6RTU", {360, 1440, 0}},
        {"cset2016/send_a_fake_command_modbus_6RTU_with_operate", {1224, 4896, 4412}},
        {"iti/ModbusTCP", {5856, 144030, 3162867}},
        {"iti/fuzz-1011", {0, 0, 0}},
        {"iti/fuzz-72", {0, 0, 0}},
        {"iti/mb2", {1291, 32055, 748467}},
        {"iti/modbusBig", {1387, 1387, 1387}},
        {"iti/modbusSmall", {8, 24, 28}},
        {"iti/modbus_test", {1052, 7946, 365733}},
        {"iti/modbus_test_2", {1592, 12245, 651783}},
        {"iti/modbus_test_data_part1", {3, 5, 33}},
        {"iti/modbus_test_data_part2", {4, 11, 22}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(captures); i++) {
        struct sums sums = {0, 0, 0};
        read_capture(captures[i].name, sum, &sums);
        if (memcmp(&sums, &captures[i].expected, sizeof sums) != 0)
            fail_msg("%s: %u replies, %u registers or bits, bytes of %llu in all", captures[i].name,
                     sums.replies, sums.items, (unsigned long long)sums.bytes);
    }
}

/* ---- what it holds ---- */

struct series {
    uint8_t unit, function;
    struct map_register reg;
    unsigned count;
    double first, last, min, max;
};

static void follow(void *self, const struct capture_reply *reply)
{
    struct series *series = self;
    struct sample sample = {.point = 1};

    if (reply->unit != series->unit || reply->function != series->function ||
        series->reg.address < reply->start ||
        series->reg.address + series->reg.words > reply->start + reply->count)
        return;
    decode_registers(&series->reg, reply->data + 2 * (series->reg.address - reply->start), &sample);
    assert_int_equal(sample.quality, QUALITY_GOOD);
    series->last = sample.value.number;
    if (series->count++ == 0)
        series->first = series->min = series->max = series->last;
    series->min = fmin(series->min, series->last);
    series->max = fmax(series->max, series->last);
}

static void registers_hold_what_the_plants_measured(void **state)
{
    static const struct {
        const char *name;
        uint8_t unit;
        uint16_t address;
        const char *type, *order;
        unsigned count;
        double first, last, min, max;
    } cases[] = {
        {"iti/modbus_test", 1, 0, "uint32", "ABCD", 384, 21493, 21436, 21399, 21506},
        {"iti/modbus_test", 1, 6, "uint32", "ABCD", 288, 13080, 13050, 13020, 13122},
        {"iti/modbus_test", 2, 0, "uint32", "ABCD", 374, 22599, 22530, 22465, 22610},
        {"iti/modbus_test", 3, 6, "uint32", "ABCD", 99, 12672, 12714, 12612, 12762},
        {"iti/modbus_test", 7, 4, "uint16", "AB", 98, 2500, 2500, 0, 2500},
        {"iti/modbus_test_2", 1, 0, "int32", "ABCD", 365, 21916, 21808, 21788, 21979},
        {"iti/modbus_test_2", 3, 6, "int32", "ABCD", 243, 14604, 14526, 0, 14616},
        {"iti/ModbusTCP", 255, 399, "float32", "CDAB", 260, 5796, 65462, 5168, 65462},
        {"iti/mb2", 255, 399, "float32", "CDAB", 44, 65462, 65462, 0, 65462},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct series series = {.unit = cases[i].unit, .function = 4};
        assert_int_equal(map_register_init(&series.reg, cases[i].type, cases[i].order, NULL), 0);
        series.reg.address = cases[i].address;
        read_capture(cases[i].name, follow, &series);
        if (series.count != cases[i].count || !double_same(series.first, cases[i].first) ||
            !double_same(series.last, cases[i].last) || !double_same(series.min, cases[i].min) ||
            !double_same(series.max, cases[i].max))
            fail_msg("%s, unit %d, register %d: %u values, first %g, last %g, %g to %g",
                     cases[i].name, cases[i].unit, cases[i].address, series.count, series.first,
                     series.last, series.min, series.max);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reply_is_found_and_decodes),
        cmocka_unit_test(registers_hold_what_the_plants_measured),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
