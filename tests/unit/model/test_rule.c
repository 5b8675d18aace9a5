/* Alarm rules: what is read, what is refused, and where the refusal points (INTERFACES 4). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/rule.h"
#include "tests/unit/support/config_file.h"

#include <stdio.h>
#include <string.h>

#define POINT  "points:\n  - {id: s.u.p, interval: 1s}\n"
#define ALARMS POINT "alarms:\n"
#define ALARM  ALARMS "  - id: a\n    point: s.u.p\n    kind: high\n"
#define LIMITS ALARM "    limits: [{at: 5, priority: high}]\n"

struct run {
    struct rules *rules;
    struct config_errors errors;
    int err;
};

static void begin(struct run *run, const char *text)
{
    *run = (struct run){0};
    config_errors_init(&run->errors);
    run->err = rules_parse("r.yaml", text, strlen(text), &run->rules, &run->errors);
}

static void end(struct run *run)
{
    rules_free(run->rules);
    config_errors_release(&run->errors);
}

static void expect_good(struct run *run, const char *text)
{
    begin(run, text);
    assert_string_equal(buffer_text(&run->errors.text), "");
    assert_int_equal(run->err, 0);
}

/* One mistake, at "LINE:COLUMN: words". */
static void expect_mistake(const char *text, const char *words)
{
    struct run run;
    begin(&run, text);
    const char *told = buffer_text(&run.errors.text);
    if (run.errors.count != 1 || !strstr(told, words))
        fail_msg("expected one mistake: %s\ntold %zu: %s", words, run.errors.count, told);
    assert_int_equal(run.err, ERR_INVALID);
    assert_null(run.rules);
    end(&run);
}

static void near(double value, double expected)
{
    assert_true(value > expected - 1e-9 && value < expected + 1e-9);
}

static void every_key_is_read(void **state)
{
    (void)state;
    struct run run;
    expect_good(&run, "points:\n"
                      "  - {id: gas.n1.ch4, unit: \"%LEL\", interval: 2s, stale_after: 15s, "
                      "range: [-1.5, 100]}\n"
                      "alarms:\n"
                      "  - id: n1-ch4\n"
                      "    point: gas.n1.ch4\n"
                      "    kind: high\n"
                      "    limits:\n"
                      "      - {at: 25, priority: high, on_delay: 5s}\n"
                      "      - {at: 50, priority: critical, on_delay: 1.5s}\n"
                      "    deadband: 2\n"
                      "    off_delay: 2min\n"
                      "    ack: none\n"
                      "    response: {zh: \"通风\", en: ventilate}\n");
    const struct rule_point *point = &run.rules->points[0];
    assert_string_equal(point->id, "gas.n1.ch4");
    assert_string_equal(point->unit, "%LEL");
    assert_int_equal(point->interval_ms, 2000);
    assert_int_equal(point->stale_after_ms, 15000);
    assert_true(point->has_range);
    near(point->min, -1.5);
    near(point->max, 100);
    const struct rule *rule = &run.rules->list[0];
    assert_string_equal(rule->id, "n1-ch4");
    assert_int_equal(rule->kind, RULE_HIGH);
    assert_int_equal(rule->limit_count, 2);
    near(rule->limits[0].at, 25);
    assert_int_equal(rule->limits[0].priority, PRIORITY_HIGH);
    assert_int_equal(rule->limits[0].on_delay_ms, 5000);
    near(rule->limits[1].at, 50);
    assert_int_equal(rule->limits[1].priority, PRIORITY_CRITICAL);
    assert_int_equal(rule->limits[1].on_delay_ms, 1500);
    near(rule->deadband, 2);
    assert_int_equal(rule->off_delay_ms, 120000);
    assert_false(rule->ack_required);
    assert_string_equal(rule->response_zh, "通风");
    assert_string_equal(rule->response_en, "ventilate");
    end(&run);
}

static void what_is_left_out_has_its_default(void **state)
{
    (void)state;
    struct run run;
    expect_good(&run, LIMITS);
    const struct rule_point *point = &run.rules->points[0];
    assert_false(point->has_range);
    assert_int_equal(point->stale_after_ms, 15000);
    const struct rule *rule = &run.rules->list[0];
    near(rule->deadband, 0);
    assert_int_equal(rule->off_delay_ms, 0);
    assert_int_equal(rule->limits[0].on_delay_ms, 0);
    assert_true(rule->ack_required);
    assert_string_equal(rule->response_en, "");
    end(&run);
}

static void stale_is_the_longer_of_three_intervals_and_15_s(void **state)
{
    (void)state;
    struct run run;
    expect_good(&run, "points: [{id: a.b.c, interval: 5s}, {id: a.b.d, interval: 6s}]\n"
                      "alarms: []\n");
    assert_int_equal(run.rules->points[0].stale_after_ms, 15000);
    assert_int_equal(run.rules->points[1].stale_after_ms, 18000);
    end(&run);
}

static void a_point_that_alarms_use_has_an_instrument_alarm_at_their_highest_priority(void **state)
{
    (void)state;
    struct run run;
    expect_good(&run, "points: [{id: s.u.p}, {id: s.u.q}, {id: s.u.unused}]\n"
                      "alarms:\n"
                      "  - {id: a, point: s.u.p, kind: high, limits: [{at: 1, priority: low}]}\n"
                      "  - {id: b, point: s.u.p, kind: low, limits: [{at: 0, priority: low}, "
                      "{at: -1, priority: critical}]}\n"
                      "  - {id: c, point: s.u.q, kind: low, limits: [{at: 0, priority: low}]}\n");
    assert_int_equal(run.rules->count, 5);
    const struct rule *rule = &run.rules->list[rules_find(run.rules, "s.u.p#instrument")];
    assert_int_equal(rule->kind, RULE_INSTRUMENT);
    assert_int_equal(rule->point, rules_find_point(run.rules, "s.u.p"));
    assert_int_equal(rule->limit_count, 1);
    assert_int_equal(rule->limits[0].priority, PRIORITY_CRITICAL);
    assert_int_equal(rule->limits[0].on_delay_ms, 0);
    assert_int_equal(rule->off_delay_ms, 30000);
    assert_int_equal(rule->grace_ms, 600000);
    assert_true(rule->ack_required);
    rule = &run.rules->list[rules_find(run.rules, "s.u.q#instrument")];
    assert_int_equal(rule->limits[0].priority, PRIORITY_LOW);
    assert_int_equal(rules_find(run.rules, "s.u.unused#instrument"), -1);
    end(&run);
}

static void names_are_found_and_others_are_not(void **state)
{
    (void)state;
    struct run run;
    expect_good(&run, LIMITS);
    assert_int_equal(rules_find_point(run.rules, "s.u.p"), 0);
    assert_int_equal(rules_find_point(run.rules, "s.u.x"), -1);
    assert_int_equal(rules_find(run.rules, "a"), 0);
    assert_int_equal(rules_find(run.rules, "b"), -1);
    end(&run);
}

static void a_low_alarm_goes_down_limit_by_limit(void **state)
{
    (void)state;
    struct run run;
    expect_good(&run, ALARMS "  - {id: a, point: s.u.p, kind: low, limits: [{at: 5, priority: "
                             "high}, {at: 3, priority: high}]}\n");
    assert_int_equal(run.rules->list[0].kind, RULE_LOW);
    end(&run);
    expect_mistake(ALARMS "  - id: a\n    point: s.u.p\n    kind: low\n    limits:\n"
                          "      - {at: 3, priority: high}\n"
                          "      - {at: 5, priority: critical}\n",
                   "r.yaml:9:9: limits must go from least to most severe");
}

static void limits_out_of_order_are_refused(void **state)
{
    (void)state;
    static const char *const second[] = {"{at: 4, priority: critical}", "{at: 5, priority: high}",
                                         "{at: 6, priority: low}"};
    for (size_t i = 0; i < 3; i++) {
        char text[400];
        snprintf(text, sizeof(text),
                 ALARM "    limits:\n      - {at: 5, priority: high}\n      - %s\n", second[i]);
        expect_mistake(text, "r.yaml:9:9: limits must go from least to most severe");
    }
}

static void a_limit_that_is_wrong_itself_is_told_once(void **state)
{
    (void)state;
    expect_mistake(ALARM "    limits:\n      - {at: 5, priority: high}\n"
                         "      - {at: many, priority: critical}\n",
                   "r.yaml:9:14: ");
    expect_mistake(ALARM "    limits:\n      - {at: 5, priority: high}\n"
                         "      - {at: 9, priority: urgent}\n",
                   "r.yaml:9:27: ");
}

static void the_number_of_limits_is_one_to_four(void **state)
{
    (void)state;
    expect_mistake(ALARM "    limits: []\n", "r.yaml:7:13: expected a list of 1 to 4 limits");
    expect_mistake(ALARM "    limits: 5\n", "r.yaml:7:13: expected a list of 1 to 4 limits");
    expect_mistake(ALARM "    limits: [{at: 1, priority: low}, {at: 2, priority: low}, {at: 3, "
                         "priority: low}, {at: 4, priority: low}, {at: 5, priority: low}]\n",
                   "r.yaml:7:13: expected a list of 1 to 4 limits");
}

static void mistakes_tell_where_and_what(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"points: []\n", "r.yaml:1:1: "},
        {"points: 3\nalarms: []\n", "r.yaml:1:9: not a list"},
        {"points: []\nalarms: x\n", "r.yaml:2:9: not a list"},
        {"points:\n  - {unit: m}\nalarms: []\n", "r.yaml:2:5: "},
        {"points:\n  - {id: s.u.p, range: [5, 5]}\nalarms: []\n", "r.yaml:2:24: not a range"},
        {"points:\n  - {id: s.u.p, range: [5]}\nalarms: []\n", "r.yaml:2:24: not a range"},
        {"points:\n  - {id: s.u.p, range: [a, b]}\nalarms: []\n", "r.yaml:2:24: not a range"},
        {"points:\n  - {id: s.u.p, range: 5}\nalarms: []\n", "r.yaml:2:24: not a range"},
        {"points:\n  - {id: s.u.p, interval: 0s}\nalarms: []\n", "r.yaml:2:27: "},
        {"points:\n  - {id: s.u.p}\n  - {id: s.u.p}\nalarms: []\n",
         "r.yaml:3:5: point 's.u.p' is there already"},
        {LIMITS "  - {id: a, point: s.u.p, kind: high, limits: [{at: 1, priority: low}]}\n",
         "r.yaml:8:5: alarm 'a' is there already"},
        {ALARMS "  - {id: a, point: s.u.x, kind: high, limits: [{at: 1, priority: low}]}\n",
         "r.yaml:4:20: no point 's.u.x'"},
        {ALARMS "  - {id: a, point: s.u.p, kind: hihg, limits: [{at: 1, priority: low}]}\n",
         "r.yaml:4:33: "},
        {LIMITS "    deadband: -1\n", "r.yaml:8:15: "},
        {LIMITS "    deadband: wide\n", "r.yaml:8:15: "},
        {LIMITS "    off_delay: 5\n", "r.yaml:8:16: "},
        {LIMITS "    off_delay: 2d\n", "r.yaml:8:16: "},
        {LIMITS "    ack: maybe\n", "r.yaml:8:10: "},
        {LIMITS "    dead_band: 1\n", "deadband"},
        {LIMITS "    response: {de: x}\n", "r.yaml:8:16: "},
        {ALARMS "  - {id: a, point: s.u.p, kind: high}\n", "r.yaml:4:5: "},
        {ALARM "    limits: [{priority: high}]\n", "r.yaml:7:14: "},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_mistake(cases[i].text, cases[i].words);
}

static void all_mistakes_of_a_file_are_told_in_one_run(void **state)
{
    (void)state;
    struct run run;
    begin(&run, "points:\n  - {id: s.u.p, range: [9, 1]}\n  - {id: s.u.q, interval: soon}\n"
                "alarms:\n  - {id: a, point: s.u.r, kind: high, limits: [{at: 1, priority: low}]}\n"
                "  - {id: b, point: s.u.p, kind: odd, limits: [{at: 1, priority: low}]}\n");
    const char *told = buffer_text(&run.errors.text);
    assert_int_equal(run.err, ERR_INVALID);
    assert_int_equal(run.errors.count, 4);
    assert_non_null(strstr(told, "r.yaml:2:24: "));
    assert_non_null(strstr(told, "r.yaml:3:27: "));
    assert_non_null(strstr(told, "r.yaml:5:20: "));
    assert_non_null(strstr(told, "r.yaml:6:33: "));
    end(&run);
}

static void files_make_one_set_and_an_alarm_may_use_an_earlier_files_point(void **state)
{
    (void)state;
    struct config_file points, alarms;
    config_file_make(&points, "points.yaml", "points: [{id: s.u.p}]\nalarms: []\n");
    config_file_make(&alarms, "alarms.yaml",
                     "points: []\nalarms:\n  - {id: a, point: s.u.p, kind: high, limits: [{at: 1, "
                     "priority: low}]}\n");
    const char *paths[] = {points.path, alarms.path};
    struct rules *rules = NULL;
    struct config_errors errors;
    config_errors_init(&errors);
    assert_int_equal(rules_load(paths, 2, &rules, &errors), 0);
    assert_int_equal(rules->point_count, 1);
    assert_int_equal(rules->count, 2);
    rules_free(rules);
    config_errors_release(&errors);
    config_file_remove(&points);
    config_file_remove(&alarms);
}

static void a_missing_file_and_another_files_mistakes_are_told_together(void **state)
{
    (void)state;
    struct config_file file;
    config_file_make(&file, "wrong.yaml", "points: 3\nalarms: []\n");
    char absent[128];
    snprintf(absent, sizeof(absent), "%s/absent.yaml", file.folder);
    const char *paths[] = {absent, file.path};
    struct rules *rules = NULL;
    struct config_errors errors;
    config_errors_init(&errors);
    assert_int_equal(rules_load(paths, 2, &rules, &errors), ERR_INVALID);
    assert_null(rules);
    assert_int_equal(errors.count, 2);
    assert_non_null(strstr(buffer_text(&errors.text), "absent.yaml"));
    assert_non_null(strstr(buffer_text(&errors.text), "wrong.yaml:1:9: not a list"));
    config_errors_release(&errors);
    config_file_remove(&file);
}

static void the_demonstrations_rules_are_good(void **state)
{
    (void)state;
    const char *path = "config/rules/demo.yaml";
    struct rules *rules = NULL;
    struct config_errors errors;
    config_errors_init(&errors);
    int err = rules_load(&path, 1, &rules, &errors);
    assert_string_equal(buffer_text(&errors.text), "");
    assert_int_equal(err, 0);
    assert_true(rules->count > rules->point_count);
    rules_free(rules);
    config_errors_release(&errors);
}

static void priorities_have_names(void **state)
{
    (void)state;
    assert_string_equal(priority_name(PRIORITY_DIAGNOSTIC), "diagnostic");
    assert_string_equal(priority_name(PRIORITY_CRITICAL), "critical");
    assert_string_equal(priority_name(PRIORITY_COUNT), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_read),
        cmocka_unit_test(what_is_left_out_has_its_default),
        cmocka_unit_test(stale_is_the_longer_of_three_intervals_and_15_s),
        cmocka_unit_test(a_point_that_alarms_use_has_an_instrument_alarm_at_their_highest_priority),
        cmocka_unit_test(names_are_found_and_others_are_not),
        cmocka_unit_test(a_low_alarm_goes_down_limit_by_limit),
        cmocka_unit_test(limits_out_of_order_are_refused),
        cmocka_unit_test(a_limit_that_is_wrong_itself_is_told_once),
        cmocka_unit_test(the_number_of_limits_is_one_to_four),
        cmocka_unit_test(mistakes_tell_where_and_what),
        cmocka_unit_test(all_mistakes_of_a_file_are_told_in_one_run),
        cmocka_unit_test(files_make_one_set_and_an_alarm_may_use_an_earlier_files_point),
        cmocka_unit_test(a_missing_file_and_another_files_mistakes_are_told_together),
        cmocka_unit_test(the_demonstrations_rules_are_good),
        cmocka_unit_test(priorities_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
