/* status, read and probe where there is nobody to ask, and asked as they cannot be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support/config_file.h"
#include "tests/unit/support/ctl_call.h"

#include <stdio.h>
#include <string.h>

#define MAP "name,function,address,type,word_order\np,3,0,float32,ABCD\n"
#define EDGE                                                            \
    "edge: e\nsite: s\nbroker: {url: \"mqtt://127.0.0.1:1\"}\nlinks:\n" \
    "  - {name: l, url: \"tcp://127.0.0.1:1\", units: [{unit: 1, name: u, map: \"%s\"}]}\n"

static void expect(const char *words, enum ctl_exit code, const char *out, const char *err)
{
    struct ctl_call call;
    ctl_call_run(&call, words);
    if (call.code != code || !strstr(call.out, out) || !strstr(call.err, err))
        fail_msg("%s: exit %d\nout: %s\nerr: %s", words, (int)call.code, call.out, call.err);
    ctl_call_release(&call);
}

/* An edge that does not run, on a link where nobody listens; `format` takes its path. */
static void expect_of_edge(const char *format, enum ctl_exit code, const char *out, const char *err)
{
    struct config_file map, edge;
    char text[512], words[256];
    config_file_make(&map, "map.csv", MAP);
    snprintf(text, sizeof(text), EDGE, map.path);
    config_file_make(&edge, "edge.yaml", text);
    const char *place = strstr(format, "EDGE");
    snprintf(words, sizeof(words), "%.*s%s%s", (int)(place - format), format, edge.path,
             place + strlen("EDGE"));
    expect(words, code, out, err);
    config_file_remove(&edge);
    config_file_remove(&map);
}

static void usage_is_2(void **state)
{
    (void)state;
    expect("status --fast", CTL_USAGE, "", "no such option");
    expect("status a b", CTL_USAGE, "", "one edge at a time");
    expect("read", CTL_USAGE, "", "usage: chengmai read");
    expect("read edge.yaml", CTL_USAGE, "", "which points");
    expect("read --fast edge.yaml p", CTL_USAGE, "", "no such option");
    expect("probe", CTL_USAGE, "", "which URL");
    expect("probe tcp://127.0.0.1:1 tcp://127.0.0.1:2", CTL_USAGE, "", "one URL");
    expect("probe http://127.0.0.1:80", CTL_USAGE, "", "tcp://");
    expect("probe tcp://localhost:502", CTL_USAGE, "", "numeric");
    expect("probe --fast 1 tcp://127.0.0.1:1", CTL_USAGE, "", "no such option");
    expect("probe tcp://127.0.0.1:1 --units", CTL_USAGE, "", "lacks its value");
}

static void options_have_bounds(void **state)
{
    static const char *const wrong[] = {
        "--units 256",   "--units 9-3",     "--units 1-",   "--units x",     "--function 5",
        "--function 0",  "--function 16",   "--start -1",   "--start 65536", "--count 0",
        "--count 126",   "--count 2001",    "--expect hot", "--timeout 1",   "--timeout 5ms",
        "--timeout 61s", "--units 1-10000", "--units -",    "--start 65535", "--units 1-2-3",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char words[96];
        snprintf(words, sizeof(words), "probe %s tcp://127.0.0.1:1", wrong[i]);
        expect(words, CTL_USAGE, "", "chengmai probe: ");
    }
}

static void without_an_edge_status_says_so(void **state)
{
    (void)state;
    expect("status none.yaml", CTL_USAGE, "", "none.yaml");
    expect_of_edge("status EDGE", CTL_USAGE, "", "no edge runs here");
    expect_of_edge("status --json EDGE", CTL_USAGE, "", "nobody listens on");
}

static void a_reading_that_fails_is_bad_and_says_why(void **state)
{
    (void)state;
    expect_of_edge("read EDGE s.u.p", CTL_NO, "no edge runs here; read directly", "");
    expect_of_edge("read EDGE s.u.p", CTL_NO, "link_down", "");
    expect_of_edge("read EDGE s.u.p", CTL_NO, "Connection refused", "");
    expect_of_edge("read --json EDGE s.u.p", CTL_NO,
                   "\"quality\":\"bad\",\"cause\":\"link_down\",\"value\":null", "");
}

static void a_point_that_is_none_is_told(void **state)
{
    (void)state;
    expect_of_edge("read EDGE s.u.q", CTL_USAGE, "", "no point 's.u.q'");
    expect_of_edge("read EDGE s.v.p", CTL_USAGE, "", "no point 's.v.p'");
    expect_of_edge("read EDGE p", CTL_USAGE, "", "no point 'p'");
    expect_of_edge("read EDGE s.u.q s.u.p", CTL_USAGE, "s.u.p", "no point 's.u.q'");
}

static void a_line_that_is_none_ends_the_search(void **state)
{
    (void)state;
    expect("probe tcp://127.0.0.1:1", CTL_USAGE, "", "Connection refused");
    expect("probe --json --expect 1 tcp://127.0.0.1:1", CTL_USAGE, "", "Connection refused");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(usage_is_2),
        cmocka_unit_test(options_have_bounds),
        cmocka_unit_test(without_an_edge_status_says_so),
        cmocka_unit_test(a_reading_that_fails_is_bad_and_says_why),
        cmocka_unit_test(a_point_that_is_none_is_told),
        cmocka_unit_test(a_line_that_is_none_ends_the_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
