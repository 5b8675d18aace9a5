/* From register maps to the points that a birth tells: their names, types, and which there are. */
#include "service/points.h"
#include "tests/unit/support/config_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MAP                                                          \
    "name,function,address,type,word_order,scale,description,time\n" \
    "p,3,0,float32,ABCD,1,pressure \xe5\x8e\x8b\xe5\x8a\x9b,\n"      \
    "shut,3,2,bits16,AB,,bit 3: slam-shut closed,\n"                 \
    "word,3,2,bits16,AB,,,\n"                                        \
    "clock,3,10,uint64,ABCDEFGH,1,time of the row,device\n"

static struct config_file map_file, edge_file;
static struct edge_config *config;
static struct edge_points *points;

/* An edge with one unit; `more` are further keys of it. */
static void begin(const char *more)
{
    char text[1024];
    struct config_errors errors;
    config_file_make(&map_file, "map.csv", MAP);
    snprintf(text, sizeof(text),
             "edge: e\nsite: s\nbroker: {url: \"mqtt://127.0.0.1:1\"}\nlinks:\n  - name: l\n"
             "    url: \"tcp://127.0.0.1:1502\"\n    units:\n"
             "      - {unit: 1, name: u, map: \"%s\"%s}\n",
             map_file.path, more);
    config_file_make(&edge_file, "edge.yaml", text);
    config_errors_init(&errors);
    if (edge_config_load(edge_file.path, &config, &errors) ||
        edge_points_new(config, NULL, &points, &errors))
        fail_msg("%s", buffer_text(&errors.text));
    config_errors_release(&errors);
}

static void end(void)
{
    edge_points_free(points);
    edge_config_free(config);
    config_file_remove(&edge_file);
    config_file_remove(&map_file);
}

static void all_of_the_map_but_its_clock_are_points(void **state)
{
    (void)state;
    begin("");
    assert_int_equal(points->count, 3);
    assert_string_equal(points->infos[0].id, "s.u.p");
    assert_string_equal(points->infos[2].id, "s.u.word");
    assert_int_equal(points->links[0].units[0].point_count, 3);
    end();
}

static void a_clock_that_is_named_is_a_point_too(void **state)
{
    (void)state;
    begin(", points: [p, clock]");
    assert_int_equal(points->count, 2);
    assert_string_equal(points->infos[1].id, "s.u.clock");
    end();
}

static void names_are_for_people_and_a_bit_is_a_bit(void **state)
{
    (void)state;
    begin("");
    assert_string_equal(points->infos[0].name, "pressure \xe5\x8e\x8b\xe5\x8a\x9b");
    assert_string_equal(points->infos[1].name, "slam-shut closed");
    assert_string_equal(points->infos[1].type, "bit");
    assert_string_equal(points->infos[2].name, "word");
    assert_string_equal(points->infos[2].type, "bits16");
    end();
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_the_map_but_its_clock_are_points),
        cmocka_unit_test(a_clock_that_is_named_is_a_point_too),
        cmocka_unit_test(names_are_for_people_and_a_bit_is_a_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
