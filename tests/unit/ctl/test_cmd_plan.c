/* `chengmai plan`: what it prints, and when it says no. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/files.h"
#include "base/json.h"
#include "tests/unit/support/config_file.h"
#include "tests/unit/support/ctl_call.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAP                                           \
    "name,function,address,type,word_order\n"         \
    "level,3,0,float32,ABCD\nflow,3,2,float32,ABCD\n" \
    "alarm,1,7,bit,\ntotal,3,60,uint32,ABCD\n"

static struct config_file map, edge;

/* `more` are further keys of the unit. */
static void begin(const char *more)
{
    char text[1024];
    config_file_make(&map, "map.csv", MAP);
    snprintf(text, sizeof(text),
             "edge: e\nsite: s\nbroker: {url: \"mqtt://127.0.0.1:1\"}\nlinks:\n  - name: plc\n"
             "    url: \"tcp://127.0.0.1:1502\"\n    units:\n"
             "      - {unit: 1, name: u, map: \"%s\"%s}\n",
             map.path, more);
    config_file_make(&edge, "edge.yaml", text);
}

static void end(void)
{
    config_file_remove(&edge);
    config_file_remove(&map);
}

static void expect(const char *command, enum ctl_exit code, const char *out, const char *err)
{
    struct ctl_call call;
    char words[200];
    snprintf(words, sizeof(words), "%s %s", command, edge.path);
    ctl_call_run(&call, words);
    if (call.code != code || !strstr(call.out, out) || !strstr(call.err, err))
        fail_msg("%s: exit %d\nout: %s\nerr: %s", words, (int)call.code, call.out, call.err);
    ctl_call_release(&call);
}

static void reads_load_and_ages_are_shown(void **state)
{
    (void)state;
    begin(", interval: 2s, latency: 30ms");
    expect("plan", CTL_YES,
           "link plc tcp://127.0.0.1:1502\n"
           "  unit 1 u: latency 30.0 ms\n"
           "    every 2.00 s: function 1, 7 to 7, 30.0 ms, never older than 2.06 s: s.u.alarm\n"
           "    every 2.00 s: function 3, 0 to 61, 30.0 ms, never older than 2.06 s: s.u.level, "
           "s.u.flow, s.u.total\n"
           "  load 3.0 % of the link's time, by 2 reads: fits; worst cycle 60.0 ms, and 500.0 ms "
           "more when a unit does not answer\n",
           "");
    expect("check", CTL_YES, "good", "");
    end();
}

static void bounds_and_forbidden_places_are_kept(void **state)
{
    (void)state;
    begin(", forbidden: \"3:10-20\", align: minute");
    expect("plan", CTL_YES, "every 1.00 s of the clock: function 3, 60 to 61", "");
    end();
    begin(", max_registers: 2");
    expect("plan", CTL_YES, "function 3, 2 to 3", "");
    end();
    begin(", forbidden: \"3\"");
    expect("plan", CTL_USAGE, "", "edge.yaml:8:9: unit 1: address 2: lies in 3-3");
    expect("check", CTL_NO, "", "edge.yaml:8:9: unit 1: address 2: lies in 3-3");
    end();
}

static void a_link_that_cannot_do_it_is_refused(void **state)
{
    (void)state;
    begin(", interval: 20ms, latency: 30ms");
    expect("plan", CTL_NO, "load 300.2 % of the link's time, by 2 reads: impossible",
           "edge.yaml:5:5: link 'plc' cannot do it: its 2 reads would take 300 % of its time");
    expect("check", CTL_NO, "", "edge.yaml:5:5: link 'plc' cannot do it");
    end();
    /* Only by what is assumed: that is said, and the operator knows better. */
    begin(", interval: 5ms");
    expect("plan", CTL_NO, "no bound of age", "");
    expect("plan", CTL_NO, "too much", "");
    expect("check", CTL_YES, "note: link 'plc' is busy for 201 % of its time", "");
    end();
    begin(", interval: 12ms");
    expect("plan", CTL_YES, ": tight;", "");
    end();
}

/* 40 registers of a dozen units a second at 2400 baud: the characters alone take longer. */
static void a_serial_line_that_cannot_do_it_is_refused(void **state)
{
    char text[4096];
    size_t len;
    (void)state;
    config_file_make(&map, "map.csv", MAP);
    len = (size_t)snprintf(text, sizeof(text),
                           "edge: e\nsite: s\nbroker: {url: \"mqtt://127.0.0.1:1\"}\nlinks:\n"
                           "  - name: bus\n    url: \"rtu:///dev/ttyS9?baud=2400&parity=E\"\n"
                           "    units:\n");
    for (int unit = 1; unit <= 12; unit++)
        len += (size_t)snprintf(text + len, sizeof(text) - len,
                                "      - {unit: %d, map: \"%s\", name: u%d, interval: 1s}\n", unit,
                                map.path, unit);
    config_file_make(&edge, "edge.yaml", text);
    expect("plan", CTL_NO,
           "link bus rtu:///dev/ttyS9?baud=2400&parity=E\n  unit 1 u1: latency 20.0 ms "
           "assumed\n    every 1.00 s: function 1, 7 to 7, ",
           "edge.yaml:5:5: link 'bus' cannot do it: its 36 reads");
    /* On a slow line the hole from 4 to 60 is not read over. */
    expect("plan", CTL_NO, "function 3, 60 to 61", "");
    end();
}

static void what_a_unit_taught_is_in_the_plan(void **state)
{
    char path[FILE_PATH_SIZE], text[200];
    struct ctl_call call;
    (void)state;
    begin("");
    snprintf(text, sizeof(text), "plan --json %s", edge.path);
    ctl_call_run(&call, text);
    assert_non_null(strstr(call.out, "\"start\":0,\"count\":62"));
    ctl_call_release(&call);
    /* The map's version is the beginning of its SHA-256. */
    snprintf(path, sizeof(path), "%s/journal.holes", edge.folder);
    FILE *holes = fopen(path, "w");
    assert_non_null(holes);
    fputs("chengmai holes 1\nplc 1 4d4b50b7ceb73197 3 4 60\n", holes);
    fclose(holes);
    expect("plan", CTL_YES, "function 3, 60 to 61", "");
    unlink(path);
    end();
}

static void json_is_a_line_per_link(void **state)
{
    struct ctl_call call;
    struct json_document *document;
    char words[200];
    (void)state;
    begin("");
    snprintf(words, sizeof(words), "plan --json %s", edge.path);
    ctl_call_run(&call, words);
    assert_int_equal(call.code, CTL_YES);
    assert_int_equal(json_parse(call.out, strlen(call.out), &document, NULL), 0);
    const struct json *root = json_root(document);
    const struct json *unit = json_first(json_member(root, "units"));
    const struct json *read = json_first(json_member(unit, "reads"));
    double load;
    assert_int_equal(json_get_double(json_member(root, "load"), &load), 0);
    assert_true(load > 0.009 && load < 0.011);
    assert_string_equal(json_get_text(json_member(root, "verdict")), "fits");
    assert_string_equal(json_get_text(json_first(json_member(read, "points"))), "s.u.alarm");
    json_free(document);
    ctl_call_release(&call);
    end();
}

static void usage_is_2(void **state)
{
    struct ctl_call call;
    static const char *const wrong[] = {"plan", "plan a b", "plan --all a", "plan none.yaml"};
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        ctl_call_run(&call, wrong[i]);
        assert_int_equal(call.code, CTL_USAGE);
        assert_true(call.err[0] != '\0');
        ctl_call_release(&call);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_load_and_ages_are_shown),
        cmocka_unit_test(bounds_and_forbidden_places_are_kept),
        cmocka_unit_test(a_link_that_cannot_do_it_is_refused),
        cmocka_unit_test(a_serial_line_that_cannot_do_it_is_refused),
        cmocka_unit_test(what_a_unit_taught_is_in_the_plan),
        cmocka_unit_test(json_is_a_line_per_link),
        cmocka_unit_test(usage_is_2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
