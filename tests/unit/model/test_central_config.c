/* central.yaml: what is read, what is refused, and where the refusal points. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/central_config.h"
#include "tests/unit/support/config_file.h"

#include <stdio.h>
#include <string.h>

#define HEAD "data: /d\nbroker: {url: \"mqtt://127.0.0.1:1883\"}\n"

struct run {
    struct config_file file;
    struct central_config *config;
    struct config_errors errors;
    int err;
};

static void begin(struct run *run, const char *text)
{
    *run = (struct run){0};
    config_file_make(&run->file, "central.yaml", text);
    config_errors_init(&run->errors);
    run->err = central_config_load(run->file.path, &run->config, &run->errors);
}

static void end(struct run *run)
{
    central_config_free(run->config);
    config_errors_release(&run->errors);
    config_file_remove(&run->file);
}

static void expect_good(struct run *run, const char *text)
{
    begin(run, text);
    assert_string_equal(buffer_text(&run->errors.text), "");
    assert_int_equal(run->err, 0);
}

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

static void the_example_is_read_whole(void **state)
{
    (void)state;
    struct central_config *config = NULL;
    struct config_errors errors;
    config_errors_init(&errors);
    int err = central_config_load("config/central.yaml", &config, &errors);
    assert_string_equal(buffer_text(&errors.text), "");
    assert_int_equal(err, 0);
    assert_string_equal(config->centre, "c1");
    assert_string_equal(config->data, "config/data");
    assert_int_equal(config->journal_size, 0);
    assert_string_equal(config->broker.cert, "config/central.crt");
    assert_string_equal(config->listen.host, "127.0.0.1");
    assert_int_equal(config->listen.port, 8080);
    assert_string_equal(config->web, "config/web");
    assert_int_equal(config->rule_file_count, 1);
    assert_string_equal(config->rule_files[0], "config/rules/demo.yaml");
    assert_int_equal(config->store_count, 1);
    assert_int_equal(config->webhook_count, 1);
    assert_string_equal(config->webhooks[0].name, "duty-room");
    assert_string_equal(config->webhooks[0].secret_file, "config/duty-room.secret");
    assert_string_equal(config->operator_user, "operator");
    assert_string_equal(config->operator_password_file, "config/operator.password");
    central_config_free(config);
    config_errors_release(&errors);
}

static void defaults_are_as_documented(void **state)
{
    (void)state;
    struct run run;
    expect_good(&run, HEAD);
    assert_string_equal(run.config->centre, "c1");
    assert_string_equal(run.config->listen.host, "127.0.0.1");
    assert_int_equal(run.config->listen.port, 8080);
    assert_string_equal(run.config->web, "");
    assert_int_equal(run.config->rule_file_count, 0);
    assert_int_equal(run.config->store_count, 1);
    assert_int_equal(run.config->stores[0].kind, STORE_EMBEDDED);
    assert_int_equal(run.config->webhook_count, 0);
    assert_string_equal(run.config->operator_password_file, "");
    end(&run);
}

static void expect_same_when_printed(const char *text)
{
    struct run run, again;
    struct buffer once, twice;
    buffer_init(&once, 1 << 16);
    buffer_init(&twice, 1 << 16);
    expect_good(&run, text);
    central_config_print(run.config, &once);
    expect_good(&again, buffer_text(&once));
    central_config_print(again.config, &twice);
    assert_string_equal(buffer_text(&twice), buffer_text(&once));
    end(&again);
    end(&run);
    buffer_release(&once);
    buffer_release(&twice);
}

static void what_is_printed_reads_back_as_the_same(void **state)
{
    (void)state;
    expect_same_when_printed(HEAD);
    expect_same_when_printed(HEAD
                             "http: {listen: \"[::1]:9000\", web: w}\n"
                             "rules: ['a \"b\".yaml', c.yaml]\n"
                             "webhooks: [{name: w, url: \"http://10.0.0.1/\", secret_file: s}]\n"
                             "operator: {user: o, password_file: p}\n");
}

static void mistakes_point_at_their_place(void **state)
{
    (void)state;
    expect_mistake(HEAD "http: {listen: \"localhost:80\"}\n",
                   ":3:16: 'localhost:80'; expected a numeric");
    expect_mistake(HEAD "rules: a.yaml\n", ":3:8: expected a list of at most 100 files");
    expect_mistake(HEAD "rules: [a.yaml, [b]]\n", ":3:17: expected a file's path");
    expect_mistake(HEAD "rules: ['']\n", ":3:9: expected a file's path");
    expect_mistake(HEAD "stores: [{kind: oracle}]\n", ":3:17: 'oracle'; expected one of embedded");
    expect_mistake(HEAD "stores: []\n", ":3:9: no store in the list");
    expect_mistake(HEAD "webhooks: [{name: w, url: \"ftp://x\"}]\n",
                   ":3:27: 'ftp://x'; expected an http://");
    expect_mistake(HEAD "webhooks: [{name: w, url: \"http://x\"}, {name: w, url: \"http://y\"}]\n",
                   ":3:40: webhook 'w' is there already");
    expect_mistake(HEAD "operator: {user: o}\n", ":3:11: 'password_file' is missing");
    expect_mistake("broker: {url: \"mqtt://127.0.0.1:1883\"}\n", ":1:1: 'data' is missing");
    expect_mistake("data: d\n", ":1:1: 'broker' is missing");
    expect_mistake(HEAD "webhook: []\n", ":3:1: unknown key 'webhook'; did you mean 'webhooks'?");
}

#define INFLUX \
    "{kind: influxdb, name: i, url: \"http://127.0.0.1:8086/\", user: u, password_file: p}"
#define VM "{kind: victoriametrics, url: \"https://vm.example:8428/prefix//\", ca: ca.crt}"
#define INFLUX2 \
    "{kind: influxdb2, url: \"https://10.0.0.1\", org: \"城 管\", bucket: b/rp, token_file: /t}"

static void outside_stores_stand_beside_the_embedded_one(void **state)
{
    (void)state;
    struct run run;
    expect_good(&run, HEAD "stores: [" INFLUX ", {kind: embedded}, " VM ", " INFLUX2 "]\n");
    const struct store_config *stores = run.config->stores;
    assert_int_equal(run.config->store_count, 4);
    assert_int_equal(stores[0].kind, STORE_EMBEDDED);
    assert_int_equal(stores[1].kind, STORE_INFLUXDB);
    assert_string_equal(stores[1].name, "i");
    assert_string_equal(stores[1].url, "http://127.0.0.1:8086");
    assert_string_equal(stores[1].database, "chengmai");
    assert_string_equal(stores[1].user, "u");
    assert_string_equal(strrchr(stores[1].password_file, '/'), "/p");
    assert_string_equal(stores[2].name, "victoriametrics");
    assert_string_equal(stores[2].url, "https://vm.example:8428/prefix");
    assert_string_equal(stores[3].org, "城 管");
    assert_string_equal(stores[3].bucket, "b/rp");
    assert_string_equal(stores[3].token_file, "/t");
    end(&run);
    expect_same_when_printed(HEAD "stores: [" INFLUX ", " VM ", " INFLUX2 "]\n");
    expect_good(&run, HEAD "stores: [" INFLUX "]\n");
    assert_int_equal(run.config->store_count, 2);
    end(&run);
}

/* A store with a secret, or without. */
static bool is_good_url(const char *url, bool secret)
{
    char text[400];
    struct run run;
    snprintf(text, sizeof(text), HEAD "stores: [{kind: influxdb, url: \"%s\"%s}]\n", url,
             secret ? ", user: u, password_file: p" : "");
    begin(&run, text);
    bool good = run.errors.count == 0;
    end(&run);
    return good;
}

static void a_secret_goes_in_clear_to_this_machine_only(void **state)
{
    (void)state;
    static const char *const here[] = {"127.0.0.1",  "127.1.2.3:8086", "localhost",
                                       "[::1]:8086", "localhost:1/x",  "127.0.0.1/x"};
    static const char *const elsewhere[] = {"127.0.0.1.example.com:8086",
                                            "127.example.com",
                                            "localhost.example.com",
                                            "[::1234]",
                                            "localhostx",
                                            "10.0.0.1",
                                            "[::2]:80",
                                            "127.0.0.1e"};
    char url[100];
    for (size_t i = 0; i < sizeof(here) / sizeof(here[0]); i++) {
        snprintf(url, sizeof(url), "http://%s", here[i]);
        assert_true(is_good_url(url, true));
    }
    for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
        snprintf(url, sizeof(url), "http://%s", elsewhere[i]);
        assert_false(is_good_url(url, true));
        assert_true(is_good_url(url, false));
        snprintf(url, sizeof(url), "https://%s", elsewhere[i]);
        assert_true(is_good_url(url, true));
    }
}

static void hosts_and_ports_of_stores_are_read_strictly(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "a:99999", "a:0", "a:",     "a:8086x", "a:+80", "a:80:80", ":8086",    "/x",
        "[::1",    "[]",  "[::1]x", "::1",     "a\\b",  "a\tb",    "[a.b]:80", "a:000000000000080"};
    static const char *const good[] = {"a", "a:1", "a:65535", "a_b.c-d:80/p/q", "[fe80::1]:80/"};
    char url[100];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(url, sizeof(url), "http://%s", bad[i]);
        if (is_good_url(url, false))
            fail_msg("%s is taken", url);
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        snprintf(url, sizeof(url), "http://%s", good[i]);
        if (!is_good_url(url, false))
            fail_msg("%s is not taken", url);
    }
}

static void mistakes_in_stores_point_at_their_place(void **state)
{
    (void)state;
    expect_mistake(HEAD "stores: [{kind: influxdb}]\n",
                   ":3:10: 'url' is missing: a store of kind influxdb needs it");
    expect_mistake(HEAD "stores: [{kind: influxdb, url: \"\"}]\n", "'url' is missing");
    expect_mistake(HEAD "stores: [{kind: influxdb2, url: \"http://127.0.0.1:1\"}]\n",
                   ":3:10: 'bucket' is missing");
    expect_mistake(HEAD "stores: [{kind: embedded, url: \"http://a\"}]\n",
                   ":3:32: a store of kind embedded has no 'url'");
    expect_mistake(HEAD "stores: [{kind: victoriametrics, url: \"http://a\", database: d}]\n",
                   "a store of kind victoriametrics has no 'database'");
    expect_mistake(HEAD "stores: [{kind: influxdb, url: \"http://127.0.0.1\", token_file: t}]\n",
                   "a store of kind influxdb has no 'token_file'");
    expect_mistake(HEAD "stores: [{kind: influxdb, url: \"ftp://a\"}]\n",
                   ":3:32: 'ftp://a'; expected http://");
    expect_mistake(HEAD "stores: [{kind: influxdb, url: \"http://u:p@a\"}]\n", "nothing of a user");
    expect_mistake(HEAD "stores: [{kind: influxdb, url: \"http://a?db=x\"}]\n", "or a query");
    expect_mistake(HEAD "stores: [{kind: influxdb, url: \"https://\"}]\n", "expected http://");
    expect_mistake(HEAD "stores: [{kind: influxdb, url: \"http://127.0.0.1\", user: u}]\n",
                   "`user` and `password_file` go together");
    expect_mistake(HEAD "stores: [{kind: influxdb, url: \"http://10.0.0.1\", user: u, "
                        "password_file: p}]\n",
                   "http:// is not encrypted");
    expect_mistake(HEAD "stores: [{kind: influxdb, url: \"http://a\", database: \"a b\"}]\n",
                   "a b");
    expect_mistake(HEAD "stores: [{kind: embedded}, {kind: embedded}]\n",
                   ":3:28: the embedded store is there already");
    expect_mistake(HEAD "stores: [{kind: influxdb, url: \"http://a\"}, {kind: influxdb, url: "
                        "\"http://b\"}]\n",
                   "store 'influxdb' is there already; give it a `name`");
    expect_mistake(HEAD "stores: [{kind: influxdb, url: \"http://a\", name: embedded}]\n",
                   "store 'embedded' is there already");
    expect_mistake(HEAD "stores: [{kind: influxdb, url: \"http://a\", name: alarm}]\n",
                   "cannot be named 'alarm'");
#define STORE(name) "{kind: influxdb, url: \"http://a\", name: " name "}"
    expect_mistake(HEAD "stores: [" STORE("a") ", " STORE("b") ", " STORE("c") ", " STORE(
                       "d") ", " STORE("e") "]\n",
                   "at most 4 stores beside the embedded one");
#undef STORE
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_is_read_whole),
        cmocka_unit_test(defaults_are_as_documented),
        cmocka_unit_test(what_is_printed_reads_back_as_the_same),
        cmocka_unit_test(mistakes_point_at_their_place),
        cmocka_unit_test(outside_stores_stand_beside_the_embedded_one),
        cmocka_unit_test(a_secret_goes_in_clear_to_this_machine_only),
        cmocka_unit_test(hosts_and_ports_of_stores_are_read_strictly),
        cmocka_unit_test(mistakes_in_stores_point_at_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
