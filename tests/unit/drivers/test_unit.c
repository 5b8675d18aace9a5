#include "drivers/modbus/unit.h"

#include "base/numbers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct register_map *map_of(const char *text)
{
    struct config_errors errors = {.count = 0};
    struct register_map *map = NULL;

    buffer_init(&errors.text, 4000);
    if (register_map_parse("m", text, strlen(text), &map, &errors) != 0)
        fail_msg("%s", buffer_text(&errors.text));
    buffer_release(&errors.text);
    return map;
}

/* All of the map's points at 1 s, numbered from 7. */
static struct unit_reads all_of(const struct register_map *map)
{
    struct modbus_point_options points[32];
    struct modbus_unit_options options = {
        .unit = 1, .map = map, .points = points, .point_count = register_map_count(map)};
    struct unit_reads unit = {.id = 0};
    struct message message = {""};

    for (size_t k = 0; k < options.point_count; k++)
        points[k] =
            (struct modbus_point_options){.reg = k, .interval_ms = 1000, .number = 7 + (uint32_t)k};
    if (unit_reads_init(&unit, &options, &(struct wire){0}, &message) != 0)
        fail_msg("%s", message.text);
    return unit;
}

static void shown(const struct value *value, char text[NUMBER_TEXT_SIZE])
{
    if (value->kind == VALUE_FLOAT)
        print_float((float)value->number, text);
    else
        print_double(value->number, text);
}

/* The worked frame of a gas corrector, as its documentation prints it. */
static void the_gas_corrector_reads_as_documented(void **state)
{
    static const char *const rows = "name,function,address,type,word_order,scale,unit\n"
                                    "vol_actual_total,3,10,float32,ABCD,1,m3\n"
                                    "vol_std_total,3,12,float32,ABCD,1,Nm3\n"
                                    "flow_preset,3,14,float32,ABCD,1,m3/h\n"
                                    "flow_std,3,16,float32,ABCD,1,Nm3/h\n"
                                    "vol_std_total_bcd,3,18,bcd48,ABCDEF,0.0001,Nm3\n"
                                    "flow_actual,3,21,float32,ABCD,1,m3/h\n"
                                    "vol_actual_total_bcd,3,23,bcd48,ABCDEF,0.0001,m3\n"
                                    "temperature,3,26,float32,ABCD,1,degC\n"
                                    "pressure,3,28,float32,ABCD,1,kPa\n";
    static const char *const data = "4B3C6156449B63920000000040220C4A"
                                    "0000124311164020000012285686422241AD312742CC6C8B";
    static const char *const values[] = {"12345686",      "1243.1116", "0",
                                         "2.532",         "1243.1116", "2.5",
                                         "12285686.4222", "21.649",    "102.212"};
    struct register_map *map = map_of(rows);
    struct unit_reads unit = all_of(map);
    struct sample samples[9];
    uint8_t wire[40];

    (void)state;
    assert_int_equal(read_plan_count(unit.plan), 1);
    assert_int_equal(read_plan_at(unit.plan, 0)->start, 10);
    assert_int_equal(read_plan_at(unit.plan, 0)->count, 20);
    assert_int_equal(parse_hex(data, sizeof wire, wire), 0);
    assert_int_equal(unit_reads_values(&unit, 0, wire, 1767576600123, samples), 9);
    for (uint32_t k = 0; k < 9; k++) {
        char text[NUMBER_TEXT_SIZE];
        shown(&samples[k].value, text);
        assert_string_equal(text, values[k]);
        assert_int_equal(samples[k].point, 7 + k);
        assert_int_equal(samples[k].t_ms, 1767576600123);
        assert_int_equal(samples[k].quality, QUALITY_GOOD);
    }
    unit_reads_release(&unit);
    register_map_free(map);
}

static void packed_bits_are_found_in_their_byte(void **state)
{
    struct register_map *map = map_of("name,function,address,type\n"
                                      "a,2,8,bit\nb,2,9,bit\nc,2,17,bit\n");
    struct unit_reads unit = all_of(map);
    struct sample samples[3];
    const uint8_t packed[] = {0x02, 0x02};

    (void)state;
    assert_int_equal(read_plan_at(unit.plan, 0)->count, 10);
    assert_int_equal(unit_reads_values(&unit, 0, packed, 5, samples), 3);
    assert_true(double_same(samples[0].value.number, 0));
    assert_true(double_same(samples[1].value.number, 1));
    assert_true(double_same(samples[2].value.number, 1));
    unit_reads_release(&unit);
    register_map_free(map);
}

static void no_reply_is_a_bad_sample_for_each_point(void **state)
{
    struct register_map *map = map_of("name,function,address,type\na,3,8,uint16\nb,3,9,int16\n");
    struct unit_reads unit = all_of(map);
    struct sample samples[2];

    (void)state;
    assert_int_equal(unit_reads_bad(&unit, 0, CAUSE_LINK_DOWN, 5, samples), 2);
    for (uint32_t k = 0; k < 2; k++) {
        assert_int_equal(samples[k].point, 7 + k);
        assert_int_equal(samples[k].t_ms, 5);
        assert_int_equal(samples[k].quality, QUALITY_BAD);
        assert_int_equal(samples[k].cause, CAUSE_LINK_DOWN);
        assert_int_equal(samples[k].value.kind, VALUE_NONE);
    }
    unit_reads_release(&unit);
    register_map_free(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_gas_corrector_reads_as_documented),
        cmocka_unit_test(packed_bits_are_found_in_their_byte),
        cmocka_unit_test(no_reply_is_a_bad_sample_for_each_point),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
