/*
 * The register maps that are delivered: each loads, each is planned into reads that hold every one
 * of its points, each has words in Chinese and English and a line in the README.
 */
#include "base/buffer.h"
#include "base/files.h"
#include "base/numbers.h"
#include "drivers/modbus/decode.h"
#include "drivers/modbus/register_map.h"
#include "drivers/modbus/unit.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FOLDER        "config/maps"
#define SIMULATED     5
#define MAPS_AT_LEAST (15 + SIMULATED)

static struct register_map *read_map(const char *name)
{
    struct config_errors errors = {.count = 0};
    struct register_map *map = NULL;
    char path[512];

    buffer_init(&errors.text, 64 * 1024);
    snprintf(path, sizeof path, FOLDER "/%s", name);
    if (register_map_read(path, &map, &errors) != 0)
        fail_msg("%s", buffer_text(&errors.text));
    buffer_release(&errors.text);
    return map;
}

static void check_words(const char *file, const struct register_map *map)
{
    for (size_t i = 0; i < register_map_count(map); i++) {
        const struct map_register *reg = register_map_at(map, i);
        bool chinese = false;
        bool english = false;
        for (const char *at = reg->description; *at != '\0'; at++) {
            chinese = chinese || (unsigned char)*at >= 0xE3;
            english = english || (*at >= 'a' && *at <= 'z');
        }
        if (!(chinese && english) && strcmp(reg->name, "ph") != 0)
            fail_msg("%s:%zu: '%s' has no words in both languages", file, reg->line, reg->name);
    }
}

/* Each point lies within one read, and no read is more than the protocol gives. */
static void check_plan(const char *file, const struct register_map *map)
{
    size_t count = register_map_count(map);
    struct modbus_point_options *points = calloc(count, sizeof points[0]);
    struct modbus_unit_options options = {
        .unit = 1, .map = map, .points = points, .point_count = count};
    struct unit_reads reads;
    struct message message = {""};

    assert_non_null(points);
    for (size_t i = 0; i < count; i++)
        points[i] =
            (struct modbus_point_options){.reg = i, .interval_ms = 1000, .number = (uint32_t)i};
    if (unit_reads_init(&reads, &options, &(struct wire){0}, &message) != 0)
        fail_msg("%s: %s", file, message.text);
    for (size_t i = 0; i < count; i++) {
        const struct map_register *reg = register_map_at(map, i);
        const struct plan_read *read = read_plan_at(reads.plan, read_plan_read_of(reads.plan, i));
        assert_int_equal(read->function, reg->function);
        assert_in_range(reg->address, read->start, read->start + read->count - reg->words);
        assert_in_range(read->count, 1, reg->function <= 2 ? PLAN_MAX_BITS : PLAN_MAX_REGISTERS);
    }
    assert_true(read_plan_count(reads.plan) <= count);
    unit_reads_release(&reads);
    free(points);
}

static void every_map_loads_is_planned_and_described(void **state)
{
    struct buffer readme;
    DIR *dir = opendir(FOLDER);
    size_t maps = 0;

    (void)state;
    assert_non_null(dir);
    buffer_init(&readme, 64 * 1024);
    assert_int_equal(file_read(FOLDER "/README.md", &readme, NULL), 0);
    for (struct dirent *entry; (entry = readdir(dir));) {
        struct register_map *map;
        if (strstr(entry->d_name, ".csv") == NULL)
            continue;
        map = read_map(entry->d_name);
        check_words(entry->d_name, map);
        check_plan(entry->d_name, map);
        if (strstr(buffer_text(&readme), entry->d_name) == NULL)
            fail_msg("%s is not in the README", entry->d_name);
        register_map_free(map);
        maps++;
    }
    closedir(dir);
    buffer_release(&readme);
    assert_true(maps >= MAPS_AT_LEAST);
}

/* A worked frame of the gas corrector: 20 registers from 10, as its maker's example has them. */
static void a_gas_correctors_frame_reads_as_its_display(void **state)
{
    static const char frame[] = "4b3c6156449b63920000000040220c4a000012431116"
                                "4020000012285686422241ad312742cc6c8b";
    static const struct {
        const char *name;
        double value;
    } expected[] = {{"volume_line_float", 12345686},
                    {"volume_base", 1243.1116},
                    {"volume_line", 12285686.4222},
                    {"temp", (double)21.649f},
                    {"pressure", (double)102.212f},
                    {"flow_set", 0},
                    {"flow_line", 2.5}};
    struct register_map *map = read_map("fuxin-gasflow.csv");
    uint8_t wire[40];

    (void)state;
    assert_int_equal(parse_hex(frame, sizeof wire, wire), 0);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        int at = register_map_find(map, expected[i].name);
        struct sample sample = {.point = 1};
        assert_true(at >= 0);
        const struct map_register *reg = register_map_at(map, (size_t)at);
        decode_registers(reg, wire + 2 * (reg->address - 10), &sample);
        assert_int_equal(sample.quality, QUALITY_GOOD);
        if (!double_same(sample.value.number, expected[i].value))
            fail_msg("%s is %.17g", reg->name, sample.value.number);
    }
    register_map_free(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_map_loads_is_planned_and_described),
        cmocka_unit_test(a_gas_correctors_frame_reads_as_its_display),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
