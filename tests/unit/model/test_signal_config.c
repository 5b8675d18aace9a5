/* `signals` and `marks`: what is read, what is refused and where, and that printing reads back. */
#include "model/edge_config.h"
#include "model/signal_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "tests/unit/support/config_file.h"

#include <stdio.h>
#include <string.h>

/* Lines 1 to 3; what is under test begins in line 4. */
#define EDGE                                                                      \
    "edge: e\nsite: s\nlinks: [{name: l, url: \"tcp://127.0.0.1:1502\", units: [" \
    "{unit: 1, name: u, map: m.csv}]}]\n"
#define BROKER "broker: {url: \"mqtt://127.0.0.1:1883\"}\n"

struct run {
    struct config_file file;
    struct edge_config *config;
    struct config_errors errors;
};

static void begin(struct run *run, const char *text)
{
    char whole[8192];
    *run = (struct run){0};
    snprintf(whole, sizeof(whole), EDGE "%s" BROKER, text);
    config_file_make(&run->file, "edge.yaml", whole);
    config_errors_init(&run->errors);
    int err = edge_config_load(run->file.path, &run->config, &run->errors);
    assert_int_equal(err, run->errors.count ? ERR_INVALID : 0);
}

static void end(struct run *run)
{
    edge_config_free(run->config);
    config_errors_release(&run->errors);
    config_file_remove(&run->file);
}

static const char all[] =
    "signals:\n"
    "  - points: [ro.dp, ro.flow]\n"
    "    range: [-1, 12.5]\n"
    "    loop: [0, 10]\n"
    "    rate: {by: 2.5, in: 30s}\n"
    "    flat_line: {for: 10min, polls: 60}\n"
    "    deadband: 0.1%\n"
    "    heartbeat: 5min\n"
    "  - {points: tank.level, deadband: 0.05}\n"
    "marks:\n"
    "  - cause: cross_check\n"
    "    points: ro.flow\n"
    "    when: [{point: ro.dp, op: \">\", value: 2}, {point: ro.flow, value: 0}]\n"
    "    for: 30s\n"
    "  - {cause: calibration, quality: bad, points: [ana.*], daily: 22:30-02:00}\n"
    "  - {cause: maintenance, points: [ro.*, tank.level],\n"
    "     from: 2026-01-05T08:00:00+08:00, to: 2026-01-05T01:00:00Z}\n";

static void check_all(const struct signal_config *config)
{
    assert_int_equal(config->signal_count, 2);
    const struct signal_limits *limits = &config->signals[0].limits;
    assert_int_equal(config->signals[0].points.count, 2);
    assert_string_equal(config->signals[0].points.list[1].text, "ro.flow");
    assert_true(limits->has_range && limits->low < -0.9 && limits->high > 12.4);
    assert_true(limits->has_loop && limits->at4 < 0.1 && limits->at20 > 9.9);
    assert_true(limits->rate_by > 2.4 && limits->rate_in_ms == 30000);
    assert_true(limits->flat_for_ms == 600000 && limits->flat_polls == 60);
    assert_true(limits->has_deadband && limits->deadband_of_span && limits->deadband < 0.11);
    assert_int_equal(limits->heartbeat_ms, 300000);
    limits = &config->signals[1].limits;
    assert_string_equal(config->signals[1].points.list[0].text, "tank.level");
    assert_true(!limits->has_range && !limits->has_loop && !limits->rate_in_ms);
    assert_true(!limits->flat_for_ms && limits->has_deadband && !limits->deadband_of_span);
    assert_int_equal(limits->heartbeat_ms, 600000);

    assert_int_equal(config->mark_count, 3);
    const struct signal_mark *mark = &config->marks[0];
    assert_true(mark->cause == CAUSE_CROSS_CHECK && mark->quality == QUALITY_UNCERTAIN);
    assert_true(mark->when_count == 2 && mark->for_ms == 30000 && !mark->has_daily);
    assert_string_equal(mark->when[0].point.text, "ro.dp");
    assert_true(mark->when[0].compare == COMPARE_GREATER && mark->when[0].value > 1.9);
    assert_true(mark->when[1].compare == COMPARE_EQUAL);
    assert_true(mark->from_ms == SIGNAL_NO_TIME && mark->to_ms == SIGNAL_NO_TIME);
    mark = &config->marks[1];
    assert_true(mark->cause == CAUSE_CALIBRATION && mark->quality == QUALITY_BAD);
    assert_true(mark->has_daily && mark->daily_from_ms == 81000000);
    assert_int_equal(mark->daily_to_ms, 7200000);
    assert_string_equal(mark->points.list[0].text, "ana.*");
    mark = &config->marks[2];
    assert_int_equal(mark->from_ms, INT64_C(1767571200000));
    assert_int_equal(mark->to_ms, INT64_C(1767574800000));
}

static void all_is_read_and_reads_back_from_what_is_printed(void **state)
{
    struct run run, again;
    struct buffer out;

    (void)state;
    begin(&run, all);
    assert_string_equal(buffer_text(&run.errors.text), "");
    check_all(&run.config->signals);
    buffer_init(&out, 8000);
    signal_config_print(&run.config->signals, &out);
    begin(&again, buffer_text(&out));
    assert_string_equal(buffer_text(&again.errors.text), "");
    check_all(&again.config->signals);
    end(&again);
    buffer_release(&out);
    end(&run);
}

static void mistakes_are_told_where_they_are(void **state)
{
    static const struct {
        const char *text, *told;
    } cases[] = {
        {"signals: 7\n", ":4:10: "},
        {"signals:\n  - {deadband: 1}\n", ":5:5: 'points' is missing"},
        {"signals:\n  - {points: level}\n", ":5:14: 'level'; expected UNIT.POINT"},
        {"signals:\n  - {points: [u.*]}\n", ":5:15: 'u.*'; expected UNIT.POINT"},
        {"signals:\n  - {points: .a}\n", "expected UNIT.POINT"},
        {"signals:\n  - {points: u.}\n", "expected UNIT.POINT"},
        {"signals:\n  - {points: []}\n", "expected 1 to 5000 points"},
        {"signals:\n  - {points: u.a, range: [2, 1]}\n", ":5:26: not a range"},
        {"signals:\n  - {points: u.a, range: [1]}\n", ":5:26: expected two numbers"},
        {"signals:\n  - {points: u.a, range: [1, x]}\n", "expected two numbers"},
        {"signals:\n  - {points: u.a, loop: [1, 1]}\n", "4 and 20 mA cannot mean the same"},
        {"signals:\n  - {points: u.a, rate: {in: 1s}}\n", "'by' is missing"},
        {"signals:\n  - {points: u.a, rate: {by: -1}}\n", "'-1'"},
        {"signals:\n  - {points: u.a, flat_line: {polls: 3}}\n", "'for' is missing"},
        {"signals:\n  - {points: u.a, flat_line: {for: 1s, polls: 1}}\n", "'1'"},
        {"signals:\n  - {points: u.a, deadband: -1}\n", ":5:29: '-1'; expected an amount"},
        {"signals:\n  - {points: u.a, deadband: 101%}\n", "'101%'"},
        {"signals:\n  - {points: u.a, deadband: \"%\"}\n", "'%'"},
        {"signals:\n  - {points: u.a, heartbeat: 1min}\n", ":5:19: heartbeat without a deadband"},
        {"signals:\n  - {points: u.a, deadbnd: 1}\n", "did you mean 'deadband'?"},
        {"marks:\n  - {points: u.a, daily: 01:00-02:00}\n", "'cause' is missing"},
        {"marks:\n  - {cause: rust, points: u.a}\n", "'rust'; expected one of maintenance"},
        {"marks:\n  - {cause: maintenance, points: u.a}\n", ":5:5: it would hold for ever"},
        {"marks:\n  - {cause: cross_check, points: u.a, daily: 01:00-02:00}\n", "needs `when`"},
        {"marks:\n  - {cause: maintenance, points: u.a, daily: 1:00-2:00}\n", "'1:00-2:00'"},
        {"marks:\n  - {cause: maintenance, points: u.a, daily: 01:00-24:01}\n", "'01:00-24:01'"},
        {"marks:\n  - {cause: maintenance, points: u.a, daily: 01:00-01:00}\n", "'01:00-01:00'"},
        {"marks:\n  - {cause: maintenance, points: u.a, from: tomorrow}\n", "'tomorrow'"},
        {"marks:\n  - {cause: maintenance, points: u.a, from: 2026-01-05T00:00:00Z,\n"
         "     to: 2026-01-05T08:00:00+08:00}\n",
         ":6:10: `to` is not after `from`"},
        {"marks:\n  - {cause: maintenance, points: u.a, when: []}\n", "1 to 4 conditions"},
        {"marks:\n  - {cause: maintenance, points: u.a, when: [{point: a, value: 1}]}\n",
         ":5:54: 'a'; expected UNIT.POINT"},
        {"marks:\n  - {cause: maintenance, points: u.a, when: [{point: u.b, op: \"=\", value: "
         "1}]}\n",
         "'='; expected one of =="},
        {"daily_budget: lots\n", "'lots'; expected a size"},
        {"compress: gzip\n", "'gzip'; expected one of none, zstd"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct run run;
        begin(&run, cases[i].text);
        const char *told = buffer_text(&run.errors.text);
        if (run.errors.count != 1 || !strstr(told, cases[i].told))
            fail_msg("%sexpected one mistake: %s\ntold %zu: %s", cases[i].text, cases[i].told,
                     run.errors.count, told);
        end(&run);
    }
}

static void more_than_so_many_marks_are_refused(void **state)
{
    char text[SIGNAL_MARKS_MAX * 80 + 200] = "marks:\n";
    struct run run;

    (void)state;
    for (int i = 0; i <= SIGNAL_MARKS_MAX; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text),
                 "  - {cause: maintenance, points: u.a, daily: 01:00-02:00}\n");
    begin(&run, text);
    assert_non_null(strstr(buffer_text(&run.errors.text), "at most 64 marks"));
    end(&run);
}

static void a_file_of_marks_is_read_alone(void **state)
{
    struct config_file file;
    struct signal_config config;
    struct config_errors errors;

    (void)state;
    config_errors_init(&errors);
    config_file_make(&file, "marks.yaml", "marks: []\n");
    assert_int_equal(signal_marks_load(file.path, &config, &errors), 0);
    assert_int_equal(config.mark_count, 0);
    signal_config_release(&config);
    config_file_remove(&file);
    config_file_make(&file, "marks.yaml",
                     "marks:\n  - {cause: maintenance, points: u.*, daily: 01:00-02:00}\n"
                     "  - {cause: maintenance, points: u, daily: 01:00-02:00}\n");
    assert_int_equal(signal_marks_load(file.path, &config, &errors), ERR_INVALID);
    assert_int_equal(errors.count, 1);
    assert_non_null(strstr(buffer_text(&errors.text), "marks.yaml:3:34: 'u'"));
    config_file_remove(&file);
    config_errors_release(&errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_read_and_reads_back_from_what_is_printed),
        cmocka_unit_test(mistakes_are_told_where_they_are),
        cmocka_unit_test(more_than_so_many_marks_are_refused),
        cmocka_unit_test(a_file_of_marks_is_read_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
