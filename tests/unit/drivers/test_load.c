#include "drivers/modbus/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct register_map *map_of(const char *text)
{
    struct config_errors errors;
    struct register_map *map = NULL;

    config_errors_init(&errors);
    if (register_map_parse("m", text, strlen(text), &map, &errors) != 0)
        fail_msg("%s", buffer_text(&errors.text));
    config_errors_release(&errors);
    return map;
}

/* The load of so many units, each with these two points. */
static struct link_load load_of(struct wire wire, size_t units, int64_t interval_ms,
                                int64_t latency_us)
{
    struct register_map *map =
        map_of("name,function,address,type,word_order\na,3,0,float32,ABCD\nb,3,38,float32,ABCD\n");
    struct modbus_point_options points[] = {{.reg = 0, .interval_ms = interval_ms},
                                            {.reg = 1, .interval_ms = interval_ms}};
    struct modbus_unit_options options = {
        .unit = 1, .map = map, .points = points, .point_count = 2, .latency_us = latency_us};
    struct link_load load = {0};

    for (size_t i = 0; i < units; i++) {
        struct unit_reads unit;
        assert_int_equal(unit_reads_init(&unit, &options, &wire, NULL), 0);
        link_load_add(&load, &unit);
        unit_reads_release(&unit);
    }
    register_map_free(map);
    return load;
}

/* 16 units of 40 registers at 9600 baud take 2.15 s a cycle; holes are worth reading at 100 ms. */
static void a_bus_is_judged_by_its_time(void **state)
{
    struct wire slow = {.baud = 9600, .char_bits = 11};
    struct link_load load = load_of(slow, 16, 5000, 100000);

    (void)state;
    assert_int_equal(load.reads, 16);
    assert_in_range(load.cycle_ns / 1000000, 16 * 214, 16 * 216);
    assert_true(load.share > 0.68 && load.share < 0.70);
    assert_int_equal(load.shortest_ms, 5000);
    /* A whole round, and the interval. */
    assert_in_range(link_load_age_ms(&load, 5000), 8420, 8460);
    load = load_of(slow, 16, 1000, 100000);
    assert_true(load.share > 1 && load.least_share > 1);
    assert_int_equal(link_load_age_ms(&load, 1000), -1);
}

static void what_nobody_told_is_not_held_against_it(void **state)
{
    struct link_load load = load_of((struct wire){0}, 1, 1, 0);

    (void)state;
    /* Milliseconds on the same machine: too much only by the latency that was assumed. */
    assert_true(load.share > 1);
    assert_true(load.least_share < 0.1);
    load = load_of((struct wire){0}, 1, 1, 2000);
    assert_true(load.least_share > 1);
}

static void where_rounds_are_longer_than_intervals_deadlines_bound_the_age(void **state)
{
    struct link_load load = {.reads = 3,
                             .share = 0.9,
                             .cycle_ns = 2500 * (int64_t)1000000,
                             .longest_ns = 1500 * (int64_t)1000000,
                             .shortest_ms = 2000};

    (void)state;
    assert_int_equal(link_load_age_ms(&load, 2000), 2000 + 2000 + 1500);
    assert_int_equal(link_load_age_ms(&load, 60000), 60000 + 60000 + 1500);
    load.shortest_ms = 2500;
    assert_int_equal(link_load_age_ms(&load, 2500), 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bus_is_judged_by_its_time),
        cmocka_unit_test(what_nobody_told_is_not_held_against_it),
        cmocka_unit_test(where_rounds_are_longer_than_intervals_deadlines_bound_the_age),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
