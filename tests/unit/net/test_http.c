/* Requests and responses without a server. */
#include "net/http.h"

#include "base/error.h"
#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void a_coding_is_accepted_by_its_name_or_the_star_unless_its_weight_is_zero(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        bool accepted;
    } CASES[] = {
        {NULL, false},
        {"", false},
        {"gzip", true},
        {"GZIP", true},
        {"deflate, gzip;q=0.8", true},
        {"deflate,\tgzip ; q=1", true},
        {"gzip;q=0", false},
        {"gzip;q=0.000, deflate", false},
        {"gzip;q=0.001", true},
        {"*", true},
        {"*;q=0", false},
        {"gzip;q=0, *", false},
        {"identity", false},
        {"xgzip, gzipx", false},
        {",,, ;", false},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        if (http_accepts_coding(CASES[i].list, "gzip") != CASES[i].accepted)
            fail_msg("case %zu: %s", i, CASES[i].list);
}

static void a_path_with_dots_control_characters_or_broken_text_is_not_plain(void **state)
{
    (void)state;
    static const char *const GOOD[] = {"/", "/a", "/a/b.c", "/…", "/.hidden", "/a..b", "/..."};
    static const char *const BAD[] = {"",       "a",       "/..",      "/../a", "/a/..",
                                      "/a/./b", "/a\\b",   "/\n",      "/\x7f", "/\xff",
                                      "/.",     "/a/../b", "/\xc0\xaf"};
    for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++)
        assert_true(http_path_is_plain(GOOD[i]));
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
        assert_false(http_path_is_plain(BAD[i]));
    char path[1026] = "/";
    memset(path + 1, 'a', 1023);
    assert_true(http_path_is_plain(path));
    path[1024] = 'a';
    assert_false(http_path_is_plain(path));
}

static void a_header_that_would_break_the_frame_is_an_error_of_the_response(void **state)
{
    (void)state;
    static const char *const BAD[][2] = {
        {"", "value"}, {"A b", "value"}, {"A:", "value"}, {"A", "x\r\nB: y"}, {"A", "x\ny"},
    };
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        struct http_response response;
        http_response_init(&response);
        http_response_header(&response, BAD[i][0], BAD[i][1]);
        assert_int_equal(response.error, ERR_INVALID);
        assert_int_equal(response.header_count, 0);
        http_response_release(&response);
    }
}

static void headers_are_bounded_in_number_and_length(void **state)
{
    (void)state;
    struct http_response response;
    char value[HTTP_MAX_VALUE + 1];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    http_response_init(&response);
    for (size_t i = 0; i < HTTP_MAX_HEADERS; i++)
        http_response_header(&response, "Set-Cookie", value + 1);
    assert_int_equal(response.error, 0);
    assert_int_equal(response.header_count, HTTP_MAX_HEADERS);
    http_response_header(&response, "A", "b");
    assert_int_equal(response.error, ERR_FULL);
    (void)http_begin(&response, 200, "text/plain");
    http_response_header(&response, "A", value);
    assert_int_equal(response.error, ERR_FULL);
    assert_int_equal(response.header_count, 0);
    http_response_release(&response);
}

static void a_problem_is_a_document_that_can_be_read_back(void **state)
{
    (void)state;
    struct http_response response;
    struct json_document *document = NULL;
    int64_t status = 0;
    http_response_init(&response);
    buffer_append_text(&response.body, "half an answer");
    http_response_header(&response, "A", "b");
    http_problem(&response, 409, "Conflict", "\"who\" was\nfaster");
    assert_int_equal(response.status, 409);
    assert_int_equal(response.header_count, 0);
    assert_string_equal(response.content_type, "application/problem+json");
    assert_int_equal(json_parse(response.body.data, response.body.len, &document, NULL), 0);
    const struct json *root = json_root(document);
    assert_string_equal(json_get_text(json_member(root, "type")), "about:blank");
    assert_string_equal(json_get_text(json_member(root, "title")), "Conflict");
    assert_string_equal(json_get_text(json_member(root, "detail")), "\"who\" was\nfaster");
    assert_int_equal(json_get_i64(json_member(root, "status"), 100, 599, &status), 0);
    assert_int_equal(status, 409);
    json_free(document);
    http_response_release(&response);
}

static void end_counted(void *self)
{
    ++*(int *)self;
}

static ssize_t read_nothing(void *self, char *buffer, size_t size)
{
    (void)self;
    (void)buffer;
    (void)size;
    return 0;
}

static void a_stream_nobody_takes_is_ended_once(void **state)
{
    (void)state;
    int ended = 0;
    struct http_response response;
    http_response_init(&response);
    http_event_stream(&response, (struct http_stream){read_nothing, end_counted, &ended});
    assert_string_equal(response.content_type, "text/event-stream");
    http_problem(&response, 503, "Too many", NULL);
    assert_int_equal(ended, 1);
    http_response_release(&response);
    assert_int_equal(ended, 1);
}

static void a_request_made_by_hand_may_have_no_parameters(void **state)
{
    (void)state;
    const struct http_request request = {.method = "GET", .path = "/", .remote = "", .body = ""};
    assert_null(http_query(&request, "a"));
    assert_null(http_header(&request, "a"));
    assert_null(http_cookie(&request, "a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_coding_is_accepted_by_its_name_or_the_star_unless_its_weight_is_zero),
        cmocka_unit_test(a_path_with_dots_control_characters_or_broken_text_is_not_plain),
        cmocka_unit_test(a_header_that_would_break_the_frame_is_an_error_of_the_response),
        cmocka_unit_test(headers_are_bounded_in_number_and_length),
        cmocka_unit_test(a_problem_is_a_document_that_can_be_read_back),
        cmocka_unit_test(a_stream_nobody_takes_is_ended_once),
        cmocka_unit_test(a_request_made_by_hand_may_have_no_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
