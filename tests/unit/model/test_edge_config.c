/* edge.yaml: what is read, what is refused, and where the refusal points. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/edge_config.h"
#include "tests/unit/support/config_file.h"

#include <stdio.h>
#include <string.h>

#define HEAD "edge: e\nsite: s\nbroker: {url: \"mqtt://127.0.0.1:1883\"}\n"
#define LINK HEAD "links:\n  - name: l\n    url: \"tcp://127.0.0.1:502\"\n    units:\n"

struct run {
    struct config_file file;
    struct edge_config *config;
    struct config_errors errors;
    int err;
};

static void begin(struct run *run, const char *text)
{
    *run = (struct run){0};
    config_file_make(&run->file, "edge.yaml", text);
    config_errors_init(&run->errors);
    run->err = edge_config_load(run->file.path, &run->config, &run->errors);
}

static void end(struct run *run)
{
    edge_config_free(run->config);
    config_errors_release(&run->errors);
    config_file_remove(&run->file);
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
    assert_null(run.config);
    end(&run);
}

static void the_control_socket_stands_beside_its_journal(void **state)
{
    static const struct {
        const char *keys, *end;
    } cases[] = {
        {"", "/journal.sock"},
        {"journal: {path: here/}\n", "/here.sock"},
        {"control: ask\n", "/ask"},
        {"journal: {path: /j}\ncontrol: /run/c.sock\n", "/run/c.sock"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct run run;
        char text[512];
        snprintf(text, sizeof(text), "%s%s      - {unit: 1, name: u, map: m.csv}\n", cases[i].keys,
                 LINK);
        expect_good(&run, text);
        size_t len = strlen(run.config->control_path), end_len = strlen(cases[i].end);
        assert_true(len >= end_len);
        assert_string_equal(run.config->control_path + len - end_len, cases[i].end);
        end(&run);
    }
}

static void the_example_is_read_whole(void **state)
{
    (void)state;
    struct edge_config *config = NULL;
    struct config_errors errors;
    config_errors_init(&errors);
    int err = edge_config_load("config/edge.yaml", &config, &errors);
    assert_string_equal(buffer_text(&errors.text), "");
    assert_int_equal(err, 0);
    assert_string_equal(config->edge, "leachate-north");
    assert_string_equal(config->site, "leachate");
    assert_string_equal(config->centre, "c1");
    assert_string_equal(config->journal_path, "config/journal");
    assert_string_equal(config->control_path, "config/journal.sock");
    assert_int_equal(config->journal_size, 2147483648U);
    assert_string_equal(config->broker.url, "mqtts://127.0.0.1:8883");
    assert_string_equal(config->broker.key, "config/leachate-north.key");
    assert_int_equal(config->link_count, 1);
    const struct edge_link *link = &config->links[0];
    assert_string_equal(link->at.endpoint.host, "127.0.0.1");
    assert_int_equal(link->at.endpoint.port, 1502);
    assert_int_equal(link->unit_count, 2);
    assert_null(link->units[0].points);
    assert_int_equal(link->units[0].class_, CLASS_TREND);
    const struct edge_unit *unit = &link->units[1];
    assert_string_equal(unit->map, "config/maps/leachate-analyser.csv");
    assert_int_equal(unit->point_count, 3);
    assert_string_equal(unit->points[0].name, "cod");
    assert_int_equal(unit->points[0].interval_ms, 1000);
    assert_int_equal(unit->points[0].class_, CLASS_COMPLIANCE);
    assert_int_equal(unit->points[2].interval_ms, 5000);
    assert_int_equal(unit->points[2].class_, CLASS_TREND);
    edge_config_free(config);
    config_errors_release(&errors);
}

static void defaults_are_as_documented(void **state)
{
    (void)state;
    struct run run;
    expect_good(&run, LINK "      - {unit: 7, map: /m.csv, name: u}\n");
    assert_string_equal(run.config->centre, "c1");
    assert_int_equal(run.config->journal_size, 2147483648U);
    assert_int_equal(run.config->drain_ms, 10000);
    assert_int_equal(run.config->stats_ms, 10000);
    assert_int_equal(run.config->links[0].timeout_ms, 500);
    assert_int_equal(run.config->links[0].units[0].unit, 7);
    assert_string_equal(run.config->links[0].units[0].map, "/m.csv");
    assert_int_equal(run.config->links[0].units[0].interval_ms, 1000);
    assert_int_equal(run.config->links[0].units[0].class_, CLASS_TREND);
    end(&run);
}

static void what_is_printed_reads_back_as_the_same(void **state)
{
    (void)state;
    struct run run, again;
    struct buffer once, twice;
    buffer_init(&once, 1 << 16);
    buffer_init(&twice, 1 << 16);
    expect_good(&run, LINK
                "      - {unit: 7, map: m.csv, name: u, points: [a, {name: b, class: safety}]}\n"
                "      - {unit: 8, map: m.csv, name: v}\n");
    edge_config_print(run.config, &once);
    assert_non_null(
        strstr(buffer_text(&once), "- {name: b, interval: 1000ms, align: none, class: safety}\n"));
    expect_good(&again, buffer_text(&once));
    edge_config_print(again.config, &twice);
    assert_string_equal(buffer_text(&twice), buffer_text(&once));
    end(&again);
    end(&run);
    buffer_release(&once);
    buffer_release(&twice);
}

static void the_class_decides_the_stream(void **state)
{
    (void)state;
    assert_int_equal(point_class_stream(CLASS_SAFETY), STREAM_S);
    assert_int_equal(point_class_stream(CLASS_COMPLIANCE), STREAM_C);
    assert_int_equal(point_class_stream(CLASS_TREND), STREAM_T);
}

#define LINK_URL(url) \
    HEAD "links:\n  - name: l\n    url: \"" url "\"\n    units: [{unit: 1, map: m, name: u}]\n"

static void a_link_goes_to_what_its_url_says(void **state)
{
    (void)state;
    expect_mistake(LINK_URL("tcp://plc:502"), ":6:10: 'tcp://plc:502': expected ADDRESS:PORT");
    expect_mistake(LINK_URL("udp://10.0.0.1:502"), ":6:10: 'udp://10.0.0.1:502': expected tcp://");
    expect_mistake(LINK_URL("dtu://0.0.0.0:6000"), ":6:10: 'dtu://0.0.0.0:6000': which DTU?");
    expect_mistake(LINK_URL(""), ":6:10: nothing; expected text");
    struct run run;
    expect_good(&run, LINK_URL("tcp://[::1]:502"));
    assert_string_equal(run.config->links[0].at.endpoint.host, "::1");
    end(&run);
    expect_good(&run, LINK_URL("rtu:///dev/ttyS1?baud=19200&parity=E"));
    assert_int_equal(run.config->links[0].at.kind, LINK_RTU);
    assert_int_equal(run.config->links[0].at.baud, 19200);
    end(&run);
}

#define TWO_LINKS(one, two)                                                                     \
    HEAD "links:\n  - name: l\n    url: \"" one "\"\n    units: [{unit: 1, map: m, name: u}]\n" \
         "  - name: k\n    url: \"" two "\"\n    units: [{unit: 1, map: m, name: v}]\n"

static void links_do_not_get_in_each_others_way(void **state)
{
    (void)state;
    expect_mistake(TWO_LINKS("rtu:///dev/ttyS1", "rtu:///dev/ttyS1?baud=19200"),
                   ":8:5: link 'l' is at this device already");
    expect_mistake(TWO_LINKS("dtu://0.0.0.0:6000?register=D1", "dtu://127.0.0.1:6000?register=D2"),
                   ":8:5: link 'l' listens on this port already, at another address");
    expect_mistake(TWO_LINKS("dtu://0.0.0.0:6000?register=D1", "dtu://0.0.0.0:6000?register=D12"),
                   ":8:5: link 'l' has a DTU that begins alike");
    struct run run;
    expect_good(&run,
                TWO_LINKS("dtu://0.0.0.0:6000?register=D1", "dtu://0.0.0.0:6000?register=D2"));
    end(&run);
    expect_good(&run, TWO_LINKS("tcp://127.0.0.1:502", "tcp://127.0.0.1:502"));
    end(&run);
}

#define BROKER(broker)                                                        \
    "edge: e\nsite: s\nlinks: [{name: l, url: \"tcp://127.0.0.1:1\", units: " \
    "[{unit: 1, map: m, name: u}]}]\nbroker: {" broker "}\n"

static void the_broker_is_encrypted_or_on_this_machine(void **state)
{
    (void)state;
    expect_mistake(BROKER("url: \"mqtt://10.0.0.1:1883\""), ":4:15: mqtt:// is not encrypted");
    expect_mistake(BROKER("url: \"mqtts://10.0.0.1:8883\", ca: a"), "mqtts:// needs `ca`, `cert`");
    expect_mistake(BROKER("url: \"mqtts://broker:8883\""), ":4:15: 'mqtts://broker:8883'");
    expect_mistake(BROKER("url: \"mqtt://127.0.0.1:0\""), ":4:15: ");
    expect_mistake(BROKER("url: \"tcp://127.0.0.1:1883\""), ":4:15: ");
    struct run run;
    expect_good(&run, BROKER("url: \"mqtts://10.0.0.1:8883\", ca: a, cert: b, key: c"));
    end(&run);
    expect_good(&run, BROKER("url: \"mqtt://[::1]:1883\""));
    end(&run);
}

static void names_stand_once(void **state)
{
    (void)state;
    expect_mistake(LINK "      - {unit: 1, map: m, name: u}\n      - {unit: 2, map: m, name: u}\n",
                   ":9:9: unit 'u' is there already, in line 8");
    expect_mistake(
        LINK "      - {unit: 1, map: m, name: u}\n"
             "  - {name: l, url: \"tcp://127.0.0.1:2\", units: [{unit: 1, map: m, name: v}]}\n",
        ":9:5: link 'l' is there already, in line 5");
    expect_mistake(
        LINK "      - {unit: 1, map: m, name: u}\n"
             "  - {name: k, url: \"tcp://127.0.0.1:2\", units: [{unit: 1, map: m, name: u}]}\n",
        ":9:49: unit 'u' is there already, in line 8");
    expect_mistake(LINK "      - {unit: 1, map: m, name: u, points: [a, b, {name: a}]}\n",
                   ":8:51: point 's.u.a' is there already, in line 8");
    /* The same id by another division of it. */
    expect_mistake(LINK "      - {unit: 1, map: m, name: u, points: [a.b]}\n"
                        "      - {unit: 2, map: m, name: u.a, points: [b]}\n",
                   ":9:47: point 's.u.a.b' is there already, in line 8");
}

static void a_point_id_fits_where_it_travels(void **state)
{
    (void)state;
    char text[600], name[65];
    struct run run;
    memset(name, 'n', 64);
    name[64] = '\0';
    /* s.NAME. are 67 bytes: 60 more fill the 127. */
    snprintf(text, sizeof(text), LINK "      - {unit: 1, map: m, name: %s, points: [%.60s]}\n",
             name, name);
    expect_good(&run, text);
    end(&run);
    snprintf(text, sizeof(text), LINK "      - {unit: 1, map: m, name: %s, points: [%.61s]}\n",
             name, name);
    expect_mistake(text, "is 128 bytes long; at most 127");
}

static void points_are_names_or_maps(void **state)
{
    (void)state;
    expect_mistake(LINK "      - {unit: 1, map: m, name: u, points: [a b]}\n",
                   ":8:45: 'a b'; expected a register's name");
    expect_mistake(LINK "      - {unit: 1, map: m, name: u, points: a}\n",
                   ":8:44: expected a list of 1 to 50000 register names");
    expect_mistake(LINK "      - {unit: 1, map: m, name: u, points: []}\n",
                   ":8:44: expected a list");
    expect_mistake(LINK "      - {unit: 1, map: m, name: u, points: [{name: a, class: high}]}\n",
                   "'high'; expected safety, compliance or trend");
}

static void alignment_needs_an_interval_that_divides_a_day(void **state)
{
    (void)state;
    struct run run;
    expect_good(&run, LINK "      - {unit: 1, map: m.csv, name: a, interval: 1min, align: minute, "
                           "points: [p, {name: q, align: none, interval: 7s}]}\n");
    assert_int_equal(run.config->links[0].units[0].points[0].align, ALIGN_MINUTE);
    assert_int_equal(run.config->links[0].units[0].points[1].align, ALIGN_NONE);
    end(&run);
    expect_mistake(LINK "      - {unit: 1, map: m.csv, name: a, interval: 7s, align: minute}\n",
                   "an interval of at least 1s that divides a day; 7000ms does not");
    expect_mistake(LINK "      - {unit: 1, map: m.csv, name: a, interval: 1s, "
                        "points: [{name: q, align: minute, interval: 100ms}]}\n",
                   "100ms does not");
}

static void what_may_not_be_read_is_a_list_of_ranges(void **state)
{
    (void)state;
    struct run run;
    expect_good(&run, LINK "      - {unit: 1, map: m.csv, name: a, forbidden: \"1-3, 4:7\", "
                           "max_registers: 10, max_bits: 100, latency: 50ms}\n");
    assert_string_equal(run.config->links[0].units[0].forbidden, "1-3, 4:7");
    assert_int_equal(run.config->links[0].units[0].latency_ms, 50);
    end(&run);
    expect_mistake(LINK "      - {unit: 1, map: m.csv, name: a, forbidden: 3-1}\n",
                   "'3-1' is no range of addresses");
    expect_mistake(LINK "      - {unit: 1, map: m.csv, name: a, max_registers: 126}\n", "125");
}

static void units_are_1_to_247(void **state)
{
    (void)state;
    expect_mistake(LINK "      - {unit: 0, map: m, name: u}\n",
                   ":8:16: '0'; expected a whole number 1..247 for 'unit'");
    expect_mistake(LINK "      - {unit: 248, map: m, name: u}\n", ":8:16: ");
    expect_mistake(LINK "      - {unit: 1, name: u}\n", ":8:9: 'map' is missing");
}

/* `count` links of one unit each, or one link of `count` units. */
static void make_many(struct buffer *text, size_t links, size_t units)
{
    buffer_clear(text);
    buffer_append_text(text, HEAD "links:\n");
    for (size_t i = 0; i < links; i++) {
        buffer_printf(text, " - name: l%zu\n   url: \"tcp://127.0.0.1:502\"\n   units:\n", i);
        for (size_t n = 0; n < units; n++)
            buffer_printf(text, "    - {unit: 1, map: m, name: u%zu-%zu}\n", i, n);
    }
}

static void counts_are_bounded(void **state)
{
    (void)state;
    struct buffer text;
    struct run run;
    buffer_init(&text, 1 << 20);
    make_many(&text, 900, 1);
    expect_good(&run, text.data);
    assert_int_equal(run.config->link_count, 900);
    end(&run);
    make_many(&text, 901, 1);
    expect_mistake(text.data, "expected a list of 1 to 900 links");
    make_many(&text, 1, 247);
    expect_good(&run, text.data);
    end(&run);
    make_many(&text, 1, 248);
    expect_mistake(text.data, ":8:5: expected a list of 1 to 247 units");
    buffer_clear(&text);
    buffer_append_text(&text, LINK);
    for (int unit = 0; unit < 2; unit++) {
        buffer_printf(&text, "      - {unit: 1, map: m, name: u%d, points: [p", unit);
        for (int i = 0; i < 25000; i++)
            buffer_printf(&text, ", p%d", i);
        buffer_append_text(&text, "]}\n");
    }
    expect_mistake(text.data, "50002 points in all; at most 50000");
    buffer_release(&text);
}

static void mistakes_of_all_parts_are_told_in_one_run(void **state)
{
    (void)state;
    struct run run;
    begin(&run, "edge: e\nsite: s\njournal: {size: 1GB}\nbroker: {url: x}\ntimout: 1\n"
                "links:\n  - {name: l, url: \"rtu://x\", units: [{unit: 300, map: m, name: u}]}\n");
    assert_int_equal(run.errors.count, 5);
    end(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_is_read_whole),
        cmocka_unit_test(the_control_socket_stands_beside_its_journal),
        cmocka_unit_test(defaults_are_as_documented),
        cmocka_unit_test(what_is_printed_reads_back_as_the_same),
        cmocka_unit_test(the_class_decides_the_stream),
        cmocka_unit_test(a_link_goes_to_what_its_url_says),
        cmocka_unit_test(links_do_not_get_in_each_others_way),
        cmocka_unit_test(the_broker_is_encrypted_or_on_this_machine),
        cmocka_unit_test(names_stand_once),
        cmocka_unit_test(a_point_id_fits_where_it_travels),
        cmocka_unit_test(points_are_names_or_maps),
        cmocka_unit_test(alignment_needs_an_interval_that_divides_a_day),
        cmocka_unit_test(what_may_not_be_read_is_a_list_of_ranges),
        cmocka_unit_test(units_are_1_to_247),
        cmocka_unit_test(counts_are_bounded),
        cmocka_unit_test(mistakes_of_all_parts_are_told_in_one_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
