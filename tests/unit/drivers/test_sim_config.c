/*
 * The simulator's configuration: plants, series, links and incidents are read, and every mistake is
 * told with its place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drivers/simulator/sim_config.h"
#include "tests/unit/support/config_file.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define MAP          "config/maps/gas-rtu.csv"
#define HEAD         "links:\n  - listen: 127.0.0.1:0\n    units:\n"
#define SERIES(keys) HEAD "      - {unit: 1, replay: {" keys "}, map: \"@/" MAP "\"}\n"
#define UNIT         HEAD "      - {unit: 1, plant: gas, map: \"@/" MAP "\"}\n"

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
    assert_string_equal(link->endpoint.host, "127.0.0.1");
    assert_string_equal(link->pty, "");
    assert_int_equal(link->unit_count, 2);
    assert_int_equal(link->units[1].unit, 247);
    assert_string_equal(config->plants[link->units[1].plant].name, "leachate");
    assert_true(register_map_find(link->units[1].map, "level") >= 0);
    assert_int_equal(config->incident_count, 0);
    sim_config_free(config);
}

static void a_link_may_be_a_serial_line(void **state)
{
    (void)state;
    struct sim_config *config =
        expect_good("links:\n  - listen: pty:line\n    baud: 9600\n    units:\n"
                    "      - {unit: 1, plant: gas, map: \"@/" MAP "\"}\n");
    const struct sim_link_config *link = &config->links[0];
    assert_non_null(strstr(link->pty, "/line")); /* beside the file */
    assert_int_equal(link->baud, 9600);
    sim_config_free(config);
}

#define BRIDGED(listen, bridge)                                                \
    "links:\n  - listen: " listen "\n    bridge: \"" bridge "\"\n    units:\n" \
    "      - {unit: 1, plant: gas, map: \"@/" MAP "\"}\n"

static void a_serial_line_may_have_a_server(void **state)
{
    (void)state;
    struct sim_config *config =
        expect_good(BRIDGED("pty:line", "dtu://127.0.0.1:6000?register=D1&heartbeat=HB"));
    assert_true(config->links[0].bridged);
    assert_int_equal(config->links[0].bridge.kind, LINK_DTU);
    assert_int_equal(config->links[0].bridge.endpoint.port, 6000);
    assert_int_equal(config->links[0].heartbeat_ms, 30000);
    sim_config_free(config);
    config = expect_good(BRIDGED("pty:line", "rtu+tcp://127.0.0.1:4001"));
    assert_int_equal(config->links[0].bridge.kind, LINK_RTU_TCP);
    sim_config_free(config);
    expect_mistake(BRIDGED("127.0.0.1:1502", "rtu+tcp://127.0.0.1:4001"),
                   ":3:13: only a serial line has one");
    expect_mistake(BRIDGED("pty:line", "tcp://127.0.0.1:4001"), ":3:13: 'tcp://127.0.0.1:4001'");
    expect_mistake(BRIDGED("pty:line", "dtu://127.0.0.1:6000"), ":3:13: 'dtu://127.0.0.1:6000'");
}

static void units_of_one_plants_name_share_it(void **state)
{
    (void)state;
    struct sim_config *config =
        expect_good("start: 2026-01-05T00:00:00+08:00\n"
                    "plants: [{name: north, model: gas}, {name: south, model: gas}]\n" HEAD
                    "      - {unit: 1, plant: north, map: \"@/" MAP "\"}\n"
                    "      - {unit: 2, plant: south, map: \"@/" MAP "\"}\n"
                    "      - {unit: 3, plant: north, map: \"@/" MAP "\"}\n"
                    "      - {unit: 4, plant: gas, map: \"@/" MAP "\"}\n");
    const struct sim_unit_config *units = config->links[0].units;
    assert_int_equal(config->start_ms, 1767542400000);
    assert_int_equal(config->plant_count, 3); /* a model's own is made when it is named */
    assert_int_equal(units[0].plant, units[2].plant);
    assert_int_not_equal(units[0].plant, units[1].plant);
    assert_int_equal(units[3].plant, 2);
    sim_config_free(config);
}

static void a_scenario_may_be_a_file(void **state)
{
    (void)state;
    struct config_file file;
    char text[512];
    config_file_make(&file, "night.yaml", "scenario:\n  - {at: 1s, for: 1s, kind: dead}\n");
    snprintf(text, sizeof(text), UNIT "scenario: \"%s\"\n", file.path);
    struct sim_config *config = expect_good(text);
    assert_int_equal(config->incident_count, 1);
    sim_config_free(config);
    config_file_remove(&file);
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
                         "  - {at: 5s, for: 5s, kind: exception}\n"
                         "  - {at: 6s, for: 5s, kind: fault, variable: ch4}\n"
                         "  - {at: 7s, for: 5s, every: 1min, kind: disturb, variable: leak}\n"
                         "  - {at: 8s, for: 5s, kind: noise, amount: 0.1}\n");
    static const enum incident_kind kinds[] = {
        INCIDENT_ADD,       INCIDENT_SET,   INCIDENT_FREEZE,  INCIDENT_DEAD,
        INCIDENT_EXCEPTION, INCIDENT_FAULT, INCIDENT_DISTURB, INCIDENT_NOISE};
    const struct plant_model *model = config->plants[0].model;
    assert_int_equal(config->incident_count, COUNT(kinds));
    for (size_t i = 0; i < COUNT(kinds); i++)
        assert_int_equal(config->incidents[i].kind, kinds[i]);
    assert_string_equal(model->variables[config->incidents[0].variable], "ch4");
    assert_string_equal(model->variables[config->incidents[1].variable], "p_in");
    assert_string_equal(model->disturbances[config->incidents[6].variable], "leak");
    assert_int_equal(config->incidents[6].every_ms, 60000);
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
        {UNIT "scenario: absent.yaml\n", "sim.yaml:5:11: cannot open "},
        {UNIT "scenario: {at: 1s}\n", "sim.yaml:5:11: expected `scenario`: a list"},
        {UNIT "scenario:\n  - {at: 1s, for: 1s, kind: explode}\n", "sim.yaml:6:29: "},
        {UNIT "scenario:\n  - {at: 1, for: 1s, kind: dead}\n", "sim.yaml:6:10: "},
        {UNIT "scenario:\n  - {at: 1s, kind: dead}\n", "sim.yaml:6:5: "},
        {UNIT "scenario:\n  - {at: 1s, for: 1s, unit: 2, kind: dead}\n",
         "sim.yaml:6:5: there is no unit 2 on link 0"},
        {UNIT "scenario:\n  - {at: 1s, for: 1s, link: 1, kind: dead}\n",
         "sim.yaml:6:5: there is no link 1"},
        {UNIT "scenario:\n  - {at: 1s, for: 1s, kind: set, variable: cod, amount: 1}\n",
         "sim.yaml:6:44: plant gas has no variable 'cod'"},
        {UNIT "scenario:\n  - {at: 1s, for: 1s, kind: freeze}\n",
         "sim.yaml:6:5: plant gas has no variable ''"},
        {UNIT "scenario:\n  - {at: 1s, for: 1s, kind: disturb, variable: rain}\n",
         "sim.yaml:6:48: plant gas has no disturbance 'rain'"},
        {UNIT "scenario:\n  - {at: 1s, for: 1s, kind: noise, amount: 2}\n",
         "sim.yaml:6:5: noise is a share"},
        {UNIT "scenario:\n  - {at: 1s, for: 9s, every: 5s, kind: dead}\n",
         "sim.yaml:6:30: comes again before it is over"},
        {UNIT "scenario:\n  - {at: 1s, for: 100ms, every: 500ms, kind: dead}\n",
         "sim.yaml:6:33: expected 0s, or at least 1000ms"},
        {UNIT "scenario:\n  - {at: 1s, for: 100ms, kind: disturb, variable: leak}\n",
         "sim.yaml:6:19: processes move on by whole seconds"},
        {HEAD "      - {unit: 1, map: \"@/" MAP "\"}\n", "sim.yaml:4:9: expected either"},
        {"links:\n  - {listen: pty:line, baud: 50, units: []}\n",
         "sim.yaml:2:30: expected 0, or 300"},
        {"links:\n  - {listen: 127.0.0.1:0, baud: 9600, units: []}\n",
         "sim.yaml:2:33: only a serial line has a speed"},
        {UNIT "      - {unit: 1, plant: gas, map: \"@/" MAP "\"}\n",
         "sim.yaml:5:16: unit 1 is on this link already"},
        {"links:\n  - {listen: pty:line, units: []}\n  - {listen: pty:line, units: []}\n",
         "sim.yaml:3:14: link 0 listens there already"},
        {"links:\n  - {listen: 127.0.0.1:1502, units: []}\n"
         "  - {listen: 127.0.0.1:1502, units: []}\n",
         "sim.yaml:3:14: link 0 listens there already"},
        {"start: soon\n" UNIT, "sim.yaml:1:8: 'soon' is no time"},
        {"plants: [{name: a, model: b}]\n" UNIT, "sim.yaml:1:27: no model 'b'"},
        {"plants: [{name: a, model: gas}, {name: a, model: gas}]\n" UNIT,
         "sim.yaml:1:33: plant 'a' is there already"},
        {SERIES("file: absent.csv"), "sim.yaml:4:34: cannot open "},
        {SERIES("file: ."), "sim.yaml:4:34: cannot read "},
        {SERIES("file: absent.csv, zone: Beijing"), "sim.yaml:4:52: 'Beijing' is no zone"},
        {SERIES("file: absent.csv, zone: ''"), "sim.yaml:4:52: nothing; expected text"},
        {SERIES("file: absent.csv, advance: later"), "sim.yaml:4:55: "},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        expect_mistake(cases[i][0], cases[i][1]);
}

static void registers_without_a_variable_are_told_at_the_map(void **state)
{
    (void)state;
    static const char head[] = "name,function,address,type,word_order,time\n",
                      clock[] = "stamp,3,10,uint64,ABCDEFGH,device\n";
    static const struct {
        const char *row, *words;
    } cases[] = {
        {"p_inn,3,0,float32,ABCD,\n",
         "map.csv:2:1: plant gas has no variable 'p_inn' to show in this register"},
        {"p_in,3,0,string8,,\n", "map.csv:2:1: 'p_in' is a number, which string8 cannot hold"},
        {"p_in,3,0,float32,ABCD,\n", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct config_file map;
        char rows[512], text[1024];
        snprintf(rows, sizeof(rows), "%s%s%s", head, cases[i].row, clock);
        config_file_make(&map, "map.csv", rows);
        snprintf(text, sizeof(text), HEAD "      - {unit: 1, plant: gas, map: \"%s\"}\n", map.path);
        if (cases[i].words)
            expect_mistake(text, cases[i].words);
        else
            sim_config_free(expect_good(text));
        config_file_remove(&map);
    }
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
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_units_and_plants_are_read),
        cmocka_unit_test(a_link_may_be_a_serial_line),
        cmocka_unit_test(a_serial_line_may_have_a_server),
        cmocka_unit_test(units_of_one_plants_name_share_it),
        cmocka_unit_test(a_scenario_may_be_a_file),
        cmocka_unit_test(every_kind_of_incident_is_read),
        cmocka_unit_test(mistakes_tell_where_and_what),
        cmocka_unit_test(registers_without_a_variable_are_told_at_the_map),
        cmocka_unit_test(all_mistakes_are_told_in_one_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
