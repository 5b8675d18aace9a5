/* Requests, secrets, and what stores tell of themselves, as the real ones have answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/line_target.h"

#include <string.h>

static struct store_config config_of(enum store_kind kind)
{
    return (struct store_config){.kind = kind,
                                 .name = "x",
                                 .url = "https://h:1/p",
                                 .database = "data.base-1",
                                 .org = "城 a&b",
                                 .bucket = "b/rp"};
}

static void each_kind_has_its_addresses(void **state)
{
    (void)state;
    struct line_target target;
    struct store_config config = config_of(STORE_INFLUXDB);
    assert_int_equal(line_target_init(&target, &config, NULL), 0);
    assert_string_equal(line_target_write_request(&target, "", 0).url,
                        "https://h:1/p/write?precision=ms&db=data.base-1");
    assert_true(line_target_tells_start(&target));
    assert_string_equal(line_target_start_request(&target).url, "https://h:1/p/debug/vars");
    assert_true(target.with_text);
    config = config_of(STORE_VICTORIAMETRICS);
    assert_int_equal(line_target_init(&target, &config, NULL), 0);
    assert_string_equal(line_target_write_request(&target, "", 0).url,
                        "https://h:1/p/write?precision=ms");
    assert_string_equal(line_target_start_request(&target).url, "https://h:1/p/metrics");
    assert_false(target.with_text);
    assert_false(line_target_can_create(&target));
    config = config_of(STORE_INFLUXDB2);
    assert_int_equal(line_target_init(&target, &config, NULL), 0);
    assert_string_equal(
        line_target_write_request(&target, "", 0).url,
        "https://h:1/p/api/v2/write?precision=ms&org=%E5%9F%8E%20a%26b&bucket=b%2Frp");
    assert_false(line_target_tells_start(&target));
}

static void a_longest_address_fits(void **state)
{
    (void)state;
    struct line_target target;
    struct store_config config = config_of(STORE_INFLUXDB2);
    memset(config.url, 'u', sizeof(config.url) - 1);
    memset(config.org, ' ', sizeof(config.org) - 1);
    memset(config.bucket, ' ', sizeof(config.bucket) - 1);
    assert_int_equal(line_target_init(&target, &config, NULL), 0);
    assert_int_equal(strlen(target.write_url),
                     255 + strlen("/api/v2/write?precision=ms&org=&bucket=") + 3 * (64 + 129));
}

static void secrets_go_where_they_belong(void **state)
{
    (void)state;
    struct line_target target;
    struct message message;
    struct store_config config = config_of(STORE_INFLUXDB);
    assert_int_equal(line_target_init(&target, &config, NULL), 0);
    assert_null(line_target_write_request(&target, "", 0).user);
    memcpy(config.user, "writer", 7);
    assert_int_equal(line_target_set_secret(&target, "pass word", &message), 0);
    assert_string_equal(line_target_write_request(&target, "", 0).user, "writer");
    assert_string_equal(line_target_write_request(&target, "", 0).password, "pass word");
    assert_null(line_target_write_request(&target, "", 0).headers[1]);
    assert_string_equal(line_target_create_request(&target).password, "pass word");
    config = config_of(STORE_INFLUXDB2);
    assert_int_equal(line_target_init(&target, &config, NULL), 0);
    assert_int_equal(line_target_set_secret(&target, "t0k=en==", &message), 0);
    struct line_request request = line_target_write_request(&target, "", 0);
    assert_null(request.user);
    assert_string_equal(request.headers[1], "Authorization: Token t0k=en==");
    assert_null(request.headers[2]);
    assert_int_equal(line_target_set_secret(&target, "a\r\nHost: b", &message), ERR_INVALID);
    char longest[LINE_SECRET_MAX + 1];
    memset(longest, 'a', LINE_SECRET_MAX);
    longest[LINE_SECRET_MAX] = '\0';
    assert_int_equal(line_target_set_secret(&target, longest, &message), ERR_RANGE);
    longest[LINE_SECRET_MAX - 1] = '\0';
    assert_int_equal(line_target_set_secret(&target, longest, &message), 0);
    line_target_release(&target);
    assert_string_equal(target.secret, "");
    assert_string_equal(target.authorization, "");
}

static int read_state(enum store_kind kind, int status, const char *body,
                      struct line_store_state *ret_state)
{
    struct line_target target;
    struct message why;
    struct store_config config = config_of(kind);
    struct line_reply reply = {.status = status, .body = body};
    assert_int_equal(line_target_init(&target, &config, NULL), 0);
    return line_target_read_state(&target, 0, &reply, ret_state, &why);
}

static void stores_tell_since_when_they_run(void **state)
{
    (void)state;
    struct line_store_state told = {.thrown_away = 1};
    assert_int_equal(
        read_state(
            STORE_INFLUXDB, 200,
            "{\n\"system\": {\"currentTime\":\"2026-11-28T05:05:51.557794121Z\","
            "\"started\":\"2026-11-28T05:05:48.111362309Z\",\"uptime\":3},\n\"cmdline\": []}",
            &told),
        0);
    assert_string_equal(told.started, "2026-11-28T05:05:48.111362309Z");
    assert_int_equal(told.thrown_away, 0);
    assert_int_equal(read_state(STORE_VICTORIAMETRICS, 200,
                                "vm_rows_ignored_total{reason=\"big_timestamp\"} 2\n"
                                "vm_rows_ignored_total{reason=\"small_timestamp\"} 40\n"
                                "vm_rows_inserted_total{type=\"influx\"} 1000\n"
                                "x_vm_rows_ignored_total{a=\"b\"} 5000\n"
                                "vm_rows_invalid_total{type=\"influx\"} 300\n"
                                "vm_app_start_timestamp 1795842348\n"
                                "vm_app_uptime_seconds 51\n",
                                &told),
                     0);
    assert_string_equal(told.started, "1795842348");
    assert_int_equal(told.thrown_away, 342);
}

static void not_to_tell_is_not_the_same_as_not_to_answer(void **state)
{
    (void)state;
    struct line_store_state told;
    struct line_target target;
    struct store_config config = config_of(STORE_INFLUXDB);
    struct line_reply nothing = {.body = ""};
    assert_int_equal(read_state(STORE_INFLUXDB, 200, "{}", &told), ERR_NOT_FOUND);
    assert_int_equal(read_state(STORE_INFLUXDB, 200, "\"started\":\"\"", &told), ERR_NOT_FOUND);
    assert_int_equal(read_state(STORE_INFLUXDB, 404, "", &told), ERR_NOT_FOUND);
    assert_int_equal(read_state(STORE_VICTORIAMETRICS, 401, "", &told), ERR_NOT_FOUND);
    assert_int_equal(read_state(STORE_VICTORIAMETRICS, 503, "", &told), ERR_AGAIN);
    assert_int_equal(line_target_init(&target, &config, NULL), 0);
    assert_int_equal(line_target_read_state(&target, ERR_TIMEOUT, &nothing, &told, NULL),
                     ERR_TIMEOUT);
}

static void a_database_is_made_only_where_no_error_is_told(void **state)
{
    (void)state;
    struct line_reply reply = {.status = 200, .body = "{\"results\":[{\"statement_id\":0}]}"};
    assert_int_equal(line_target_created(0, &reply, NULL), 0);
    reply.body = "{\"results\":[{\"statement_id\":0,\"error\":\"no\"}]}";
    assert_int_equal(line_target_created(0, &reply, NULL), ERR_DENIED);
    reply.status = 401;
    assert_int_equal(line_target_created(0, &reply, NULL), ERR_DENIED);
    assert_int_equal(line_target_created(ERR_TIMEOUT, &reply, NULL), ERR_TIMEOUT);
}

static void a_silent_influxdb_may_have_a_damaged_series_file(void **state)
{
    (void)state;
    struct line_target target;
    struct store_config config = config_of(STORE_INFLUXDB);
    assert_int_equal(line_target_init(&target, &config, NULL), 0);
    assert_non_null(strstr(line_target_silence_remedy(&target), "_series"));
    assert_non_null(strstr(line_target_silence_remedy(&target), "keep that copy"));
    assert_null(strstr(line_target_busy_remedy(&target), "_series"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_has_its_addresses),
        cmocka_unit_test(a_longest_address_fits),
        cmocka_unit_test(secrets_go_where_they_belong),
        cmocka_unit_test(stores_tell_since_when_they_run),
        cmocka_unit_test(not_to_tell_is_not_the_same_as_not_to_answer),
        cmocka_unit_test(a_database_is_made_only_where_no_error_is_told),
        cmocka_unit_test(a_silent_influxdb_may_have_a_damaged_series_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
