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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_is_read_whole),
        cmocka_unit_test(defaults_are_as_documented),
        cmocka_unit_test(what_is_printed_reads_back_as_the_same),
        cmocka_unit_test(mistakes_point_at_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
