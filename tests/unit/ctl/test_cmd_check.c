/* `chengmai check`: exit codes, kinds by content, and files checked with those they name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support/config_file.h"
#include "tests/unit/support/ctl_call.h"

#include <stdio.h>
#include <string.h>

#define EDGE                                                            \
    "edge: e\nsite: s\nbroker: {url: \"mqtt://127.0.0.1:1\"}\nlinks:\n" \
    "  - {name: l, url: \"tcp://127.0.0.1:1\", units: [{unit: 1, name: u, map: "

static void expect(const char *words, enum ctl_exit code, const char *out, const char *err)
{
    struct ctl_call call;
    ctl_call_run(&call, words);
    if (call.code != code || !strstr(call.out, out) || !strstr(call.err, err))
        fail_msg("%s: exit %d\nout: %s\nerr: %s", words, (int)call.code, call.out, call.err);
    ctl_call_release(&call);
}

static void expect_file(const char *name, const char *text, enum ctl_exit code, const char *out,
                        const char *err)
{
    struct config_file file;
    char words[128];
    config_file_make(&file, name, text);
    snprintf(words, sizeof(words), "check %s", file.path);
    expect(words, code, out, err);
    config_file_remove(&file);
}

static void the_shipped_files_are_good(void **state)
{
    (void)state;
    expect("check config/edge.yaml config/central.yaml", CTL_YES,
           "config/edge.yaml: good: edge 'leachate-north', 1 links, 2 units, 21 points\n", "");
    expect("check config/central.yaml", CTL_YES, "config/central.yaml: good: centre 'c1'", "");
    expect("check config/rules/demo.yaml", CTL_YES, "good: alarm rules", "");
    expect("check config/maps/gas-rtu.csv", CTL_YES, "good: register map, 18 registers\n", "");
    expect("check config/maps/tuf-2000m.csv", CTL_YES, "good: register map, 16 registers\n", "");
}

static void usage_is_2(void **state)
{
    (void)state;
    expect("", CTL_USAGE, "", "usage: chengmai COMMAND");
    expect("chek", CTL_USAGE, "", "no command 'chek'");
    expect("check", CTL_USAGE, "", "usage: chengmai check FILE");
    expect("check --fast x", CTL_USAGE, "", "no such option");
    expect("check none.yaml", CTL_USAGE, "", "none.yaml");
    expect("check -- --none", CTL_USAGE, "", "--none");
    expect("check config", CTL_USAGE, "", "config");
}

static void help_is_0(void **state)
{
    (void)state;
    expect("--help", CTL_YES, "check ", "");
    expect("check --help", CTL_YES, "usage: chengmai check FILE", "");
    expect("check none.yaml --help", CTL_YES, "usage: chengmai check FILE", "");
    expect("journal -h", CTL_YES, "verify", "");
}

static void the_worst_file_decides(void **state)
{
    (void)state;
    struct config_file file;
    char words[200];
    config_file_make(&file, "bad.csv", "name,function,address,type\na,9,0,uint16\n");
    snprintf(words, sizeof(words), "check %s config/edge.yaml", file.path);
    expect(words, CTL_NO, "config/edge.yaml: good", "bad.csv:2:");
    snprintf(words, sizeof(words), "check none.yaml %s config/edge.yaml", file.path);
    expect(words, CTL_USAGE, "config/edge.yaml: good", "bad.csv: mistakes: 1\n");
    config_file_remove(&file);
}

static void mistakes_are_told_under_the_files_kind(void **state)
{
    (void)state;
    expect_file("a", "edge: e\nsit: s\n", CTL_NO, "", "unknown key 'sit'; did you mean 'site'?");
    expect_file("a", "centre: c1\n", CTL_NO, "", "'data' is missing");
    expect_file("a", "alarms: []\n", CTL_NO, "", "'points' is missing");
    expect_file("a", "seed: x\nlinks: []\n", CTL_NO, "", "for 'seed'");
    expect_file("a", "who: knows\n", CTL_NO, "", "a:1:1: what is this?");
    expect_file("a", "edge: [\n", CTL_NO, "", "a: mistakes: 1\n");
    expect_file("a", "", CTL_NO, "", "found none");
    expect_file("a", "\xef\xbb\xbfname,function,address,type\na,3,0,uint16\n", CTL_YES,
                "1 registers", "");
}

static void an_edges_maps_are_read_and_its_points_found_in_them(void **state)
{
    (void)state;
    expect_file("edge.yaml", EDGE "none.csv}]}\n", CTL_NO, "",
                "edge.yaml:5:49: cannot use the register map '");
    struct config_file map;
    char text[600];
    config_file_make(&map, "m.csv", "name,function,address,type\ncod,3,0,uint16\nph,3,1,uint16\n");
    snprintf(text, sizeof(text), EDGE "%s, points: [ph, cdo]}]}\n", map.path);
    expect_file("edge.yaml", text, CTL_NO, "", "no register 'cdo' in /tmp/");
    expect_file("edge.yaml", text, CTL_NO, "", "; did you mean 'cod'?");
    snprintf(text, sizeof(text), EDGE "%s, points: [ph]}]}\n", map.path);
    expect_file("edge.yaml", text, CTL_YES, "1 links, 1 units, 1 points", "");
    snprintf(text, sizeof(text), EDGE "%s}]}\n", map.path);
    expect_file("edge.yaml", text, CTL_YES, "1 links, 1 units, 2 points", "");
    config_file_remove(&map);
}

static void what_signals_and_marks_name_is_looked_for(void **state)
{
    static const struct {
        const char *more, *told; /* told "": good */
    } cases[] = {
        {"signals: [{points: [u.ph, u.cod], range: [0, 1]}]", ""},
        {"signals: [{points: [u.ph, u.cdo], range: [0, 1]}]", ":6:27: 'u.cdo' is no point"},
        {"signals: [{points: v.ph, range: [0, 1]}]", "'v.ph' is no point"},
        {"signals: [{points: u2.ph, range: [0, 1]}]", "'u2.ph' is no point"},
        {"marks: [{cause: maintenance, points: u.*, daily: 01:00-02:00}]", ""},
        {"marks: [{cause: maintenance, points: v.*, daily: 01:00-02:00}]", "'v.*' is no point"},
        {"marks: [{cause: maintenance, points: u.*, when: [{point: u.on, value: 1}]}]",
         "'u.on' is no point"},
    };
    struct config_file map;
    char text[900];

    (void)state;
    config_file_make(&map, "m.csv", "name,function,address,type\ncod,3,0,uint16\nph,3,1,uint16\n");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(text, sizeof(text), EDGE "%s}]}\n%s\n", map.path, cases[i].more);
        expect_file("edge.yaml", text, cases[i].told[0] ? CTL_NO : CTL_YES,
                    cases[i].told[0] ? "" : "2 points", cases[i].told);
    }
    snprintf(text, sizeof(text), EDGE "%s, points: [ph]}]}\nsignals: [{points: u.cod}]\n",
             map.path);
    expect_file("edge.yaml", text, CTL_NO, "", "'u.cod' is no point");
    config_file_remove(&map);
}

static void a_centres_rule_files_are_checked_with_it(void **state)
{
    (void)state;
    struct config_file rules;
    char text[400];
    config_file_make(&rules, "r.yaml", "points: []\nalarms: [{id: a}]\n");
    snprintf(text, sizeof(text), "data: d\nbroker: {url: \"mqtt://127.0.0.1:1\"}\nrules: [%s]\n",
             rules.path);
    expect_file("central.yaml", text, CTL_NO, "", "r.yaml:2:10: 'point' is missing");
    config_file_remove(&rules);
}

static void an_answer_that_cannot_be_written_is_no_yes(void **state)
{
    (void)state;
    char name[] = "chengmai", check[] = "check", path[] = "config/edge.yaml";
    char *argv[] = {name, check, path, NULL};
    FILE *full = fopen("/dev/full", "we"), *nowhere = fopen("/dev/null", "we");
    assert_non_null(full);
    assert_non_null(nowhere);
    assert_int_equal(ctl_run(3, argv, full, nowhere), CTL_USAGE);
    fclose(full);
    fclose(nowhere);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shipped_files_are_good),
        cmocka_unit_test(usage_is_2),
        cmocka_unit_test(help_is_0),
        cmocka_unit_test(the_worst_file_decides),
        cmocka_unit_test(mistakes_are_told_under_the_files_kind),
        cmocka_unit_test(an_edges_maps_are_read_and_its_points_found_in_them),
        cmocka_unit_test(what_signals_and_marks_name_is_looked_for),
        cmocka_unit_test(a_centres_rule_files_are_checked_with_it),
        cmocka_unit_test(an_answer_that_cannot_be_written_is_no_yes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
