/* The HTTP client against our own server, and against one that says what it is told to. */
#include "net/http_client.h"

#include "net/http_server.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct http_server *server;
    struct http_client *client;
    struct http_exchange_reply reply;
    struct message message;
    char url[64];
};

/* Says back all it was asked. */
static void handle(void *self, const struct http_request *request, struct http_response *response)
{
    const char *type = http_header(request, "Content-Type");
    const char *extra = http_header(request, "X-Extra");
    const char *authorization = http_header(request, "Authorization");
    (void)self;
    if (strcmp(request->path, "/moved") == 0) {
        (void)http_begin(response, 302, NULL);
        http_response_header(response, "Location", "/echo");
    } else if (strcmp(request->path, "/busy") == 0) {
        (void)http_begin(response, 429, NULL);
        http_response_header(response, "Retry-After", "7");
    } else if (strcmp(request->path, "/large") == 0) {
        char block[1024];
        memset(block, 'x', sizeof block);
        (void)http_begin(response, 200, "text/plain");
        for (int i = 0; i < 65; i++)
            buffer_append(&response->body, block, sizeof block);
    } else {
        struct buffer *body = http_begin(response, 200, "text/plain");
        buffer_printf(body, "%s type=%s extra=%s auth=%s expect=%s len=%zu ", request->method,
                      type != NULL ? type : "-", extra != NULL ? extra : "-",
                      authorization != NULL ? authorization : "-",
                      http_header(request, "Expect") != NULL ? "yes" : "-", request->len);
        buffer_append(body, request->body, request->len < 16 ? request->len : 16);
    }
}

static int setup(void **state)
{
    static struct fixture fixture;
    struct http_server_options options = {
        .endpoint = {"127.0.0.1", 0}, .handle = handle, .max_body = HTTP_CLIENT_MAX_BODY};
    memset(&fixture, 0, sizeof fixture);
    if (http_server_start(&options, &fixture.server, NULL) != 0 ||
        http_client_new(NULL, &fixture.client, NULL) != 0)
        return -1;
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    http_exchange_reply_release(&fixture->reply);
    http_client_free(fixture->client);
    http_server_stop(fixture->server);
    return 0;
}

static const char *url(struct fixture *fixture, uint16_t port, const char *path)
{
    (void)snprintf(fixture->url, sizeof fixture->url, "http://127.0.0.1:%u%s", (unsigned int)port,
                   path);
    return fixture->url;
}

static int exchange(struct fixture *fixture, struct http_exchange_request request, const char *path)
{
    if (request.url == NULL)
        request.url = url(fixture, http_server_port(fixture->server), path);
    return http_exchange(fixture->client, &request, &fixture->reply, &fixture->message);
}

/* ---- a server of one connection that says given texts, one for each request ---- */

struct script {
    int fd;
    uint16_t port;
    const char *const *answers; /* ended by NULL; then it closes */
    pthread_t thread;
    bool one_connection; /* all came over the first connection */
};

static void *play(void *pointer)
{
    struct script *script = pointer;
    struct pollfd waiting = {script->fd, POLLIN, 0};
    if (poll(&waiting, 1, 20000) != 1)
        return NULL;
    int fd = accept(script->fd, NULL, NULL);
    for (size_t i = 0; fd >= 0 && script->answers[i] != NULL; i++) {
        char asked[4096];
        ssize_t len = recv(fd, asked, sizeof asked, 0);
        script->one_connection = len > 0;
        if (len > 0)
            (void)send(fd, script->answers[i], strlen(script->answers[i]), MSG_NOSIGNAL);
    }
    if (fd >= 0)
        close(fd);
    return NULL;
}

static void script_start(struct script *script, const char *const *answers)
{
    struct endpoint endpoint = {"127.0.0.1", 0};
    *script = (struct script){.answers = answers};
    assert_int_equal(socket_listen(&endpoint, 4, &script->fd, &script->port, NULL), 0);
    if (answers != NULL)
        assert_int_equal(pthread_create(&script->thread, NULL, play, script), 0);
}

static void script_stop(struct script *script)
{
    if (script->answers != NULL)
        pthread_join(script->thread, NULL);
    close(script->fd);
}

/* ---- tests ---- */

static void what_is_given_is_sent_and_nothing_else(void **state)
{
    struct fixture *fixture = *state;
    static const char *const HEADERS[] = {"Content-Type: text/x", "X-Extra: one, two", NULL};
    assert_int_equal(exchange(fixture, (struct http_exchange_request){0}, "/"), 0);
    assert_int_equal(fixture->reply.status, 200);
    assert_string_equal(buffer_text(&fixture->reply.body),
                        "GET type=- extra=- auth=- expect=- len=0 ");
    struct http_exchange_request post = {.headers = HEADERS, .body = "abc", .len = 3};
    assert_int_equal(exchange(fixture, post, "/"), 0);
    assert_string_equal(buffer_text(&fixture->reply.body),
                        "POST type=text/x extra=one, two auth=- expect=- len=3 abc");
    assert_int_equal(exchange(fixture, (struct http_exchange_request){.method = "PUT"}, "/"), 0);
    assert_string_equal(buffer_text(&fixture->reply.body),
                        "PUT type=- extra=- auth=- expect=- len=0 ");
    assert_int_equal(exchange(fixture, (struct http_exchange_request){.method = "HEAD"}, "/"), 0);
    assert_int_equal(fixture->reply.body.len, 0);
    struct http_exchange_request user = {.user = "u", .password = "p"};
    assert_int_equal(exchange(fixture, user, "/"), 0);
    assert_non_null(strstr(buffer_text(&fixture->reply.body), "auth=Basic dTpw "));
}

static void a_large_body_goes_out_at_once(void **state)
{
    struct fixture *fixture = *state;
    char *body = calloc(1, HTTP_CLIENT_MAX_BODY + 1);
    memset(body, 'b', HTTP_CLIENT_MAX_BODY);
    struct http_exchange_request request = {.body = body, .len = HTTP_CLIENT_MAX_BODY};
    assert_int_equal(exchange(fixture, request, "/"), 0);
    assert_non_null(strstr(buffer_text(&fixture->reply.body), "expect=- len=4194304 bbbb"));
    request.len++;
    assert_int_equal(exchange(fixture, request, "/"), ERR_RANGE);
    free(body);
}

static void a_redirect_is_an_answer_and_is_not_followed(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(exchange(fixture, (struct http_exchange_request){0}, "/moved"), 0);
    assert_int_equal(fixture->reply.status, 302);
    assert_int_equal(fixture->reply.body.len, 0);
}

static void the_wait_asked_for_is_told(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(exchange(fixture, (struct http_exchange_request){0}, "/busy"), 0);
    assert_int_equal(fixture->reply.status, 429);
    assert_int_equal(fixture->reply.retry_after_s, 7);
    assert_int_equal(exchange(fixture, (struct http_exchange_request){0}, "/"), 0);
    assert_int_equal(fixture->reply.retry_after_s, 0);
}

static void a_long_reply_is_cut_and_the_next_is_whole(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(exchange(fixture, (struct http_exchange_request){0}, "/large"), 0);
    assert_int_equal(fixture->reply.status, 200);
    assert_true(fixture->reply.cut);
    assert_int_equal(fixture->reply.body.len, 64 * 1024);
    struct http_exchange_request roomy = {.max_reply = 65 * 1024};
    assert_int_equal(exchange(fixture, roomy, "/large"), 0);
    assert_false(fixture->reply.cut);
    assert_int_equal(fixture->reply.body.len, 65 * 1024);
}

static void a_connection_is_used_again(void **state)
{
    static const char *const ANSWERS[] = {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1",
                                          "HTTP/1.1 204 No Content\r\n\r\n", NULL};
    struct fixture *fixture = *state;
    struct script script;
    script_start(&script, ANSWERS);
    struct http_exchange_request request = {.url = url(fixture, script.port, "/")};
    assert_int_equal(exchange(fixture, request, NULL), 0);
    assert_int_equal(fixture->reply.status, 200);
    assert_int_equal(exchange(fixture, request, NULL), 0);
    assert_int_equal(fixture->reply.status, 204);
    script_stop(&script);
    assert_true(script.one_connection);
}

static void silence_ends_at_the_deadline(void **state)
{
    struct fixture *fixture = *state;
    struct script script;
    script_start(&script, NULL); /* the system accepts, nobody answers */
    struct http_exchange_request request = {.url = url(fixture, script.port, "/"),
                                            .deadline_ms = 50};
    assert_int_equal(exchange(fixture, request, NULL), ERR_TIMEOUT);
    script_stop(&script);
}

static void a_broken_answer_is_no_answer(void **state)
{
    static const char *const BROKEN[][2] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", NULL},
        {"HELLO\r\n\r\n", NULL},
        {"HTTP/1.1 200 OK\r\nContent-Le", NULL},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof BROKEN / sizeof BROKEN[0]; i++) {
        struct script script;
        script_start(&script, BROKEN[i]);
        struct http_exchange_request request = {.url = url(fixture, script.port, "/")};
        int err = exchange(fixture, request, NULL);
        if (err != ERR_IO)
            fail_msg("%zu: %d %s", i, err, fixture->message.text);
        script_stop(&script);
    }
}

static void where_nobody_listens_nothing_was_sent(void **state)
{
    struct fixture *fixture = *state;
    struct script script;
    script_start(&script, NULL);
    script_stop(&script);
    struct http_exchange_request request = {.url = url(fixture, script.port, "/secret?token=x")};
    assert_int_equal(exchange(fixture, request, NULL), ERR_CLOSED);
    assert_non_null(strstr(fixture->message.text, "127.0.0.1"));
    assert_null(strstr(fixture->message.text, "secret"));
    assert_null(strstr(fixture->message.text, "token"));
}

static void what_does_not_speak_tls_is_not_believed(void **state)
{
    struct fixture *fixture = *state;
    char text[64];
    (void)snprintf(text, sizeof text, "https://127.0.0.1:%u/",
                   (unsigned int)http_server_port(fixture->server));
    assert_int_equal(exchange(fixture, (struct http_exchange_request){.url = text}, NULL),
                     ERR_CLOSED);
}

static void what_is_no_request_is_refused_untried(void **state)
{
    struct fixture *fixture = *state;
    static const char *const URLS[] = {"file:///etc/passwd",
                                       "ftp://127.0.0.1/",
                                       "gopher://x",
                                       "http://u:p@127.0.0.1/",
                                       "http://127.0.0.1/\r\nX: y",
                                       "http://",
                                       ""};
    static const char *const HEADERS[][2] = {
        {"no colon", NULL}, {": empty", NULL}, {"A: b\r\nC: d", NULL}, {"A b: c", NULL}};
    for (size_t i = 0; i < sizeof URLS / sizeof URLS[0]; i++) {
        struct http_exchange_request request = {.url = URLS[i]};
        int err = exchange(fixture, request, NULL);
        if (err != ERR_INVALID)
            fail_msg("%s: %d %s", URLS[i], err, fixture->message.text);
    }
    for (size_t i = 0; i < sizeof HEADERS / sizeof HEADERS[0]; i++) {
        struct http_exchange_request request = {.headers = HEADERS[i]};
        assert_int_equal(exchange(fixture, request, "/"), ERR_INVALID);
    }
    struct http_exchange_request request = {.method = "GET / HTTP/1.1\r\nX:"};
    assert_int_equal(exchange(fixture, request, "/"), ERR_INVALID);
    request = (struct http_exchange_request){.user = "alone"};
    assert_int_equal(exchange(fixture, request, "/"), ERR_INVALID);
}

static void the_environment_names_no_proxy(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
    assert_int_equal(setenv("ALL_PROXY", "http://127.0.0.1:1", 1), 0);
    int err = exchange(fixture, (struct http_exchange_request){0}, "/");
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
    assert_int_equal(err, 0);
    assert_int_equal(fixture->reply.status, 200);
}

static void a_failure_leaves_the_last_reply_alone(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(exchange(fixture, (struct http_exchange_request){0}, "/"), 0);
    assert_int_equal(exchange(fixture, (struct http_exchange_request){.url = "x:"}, NULL),
                     ERR_INVALID);
    assert_int_equal(fixture->reply.status, 200);
    assert_true(fixture->reply.body.len > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_given_is_sent_and_nothing_else),
        TEST(a_large_body_goes_out_at_once),
        TEST(a_redirect_is_an_answer_and_is_not_followed),
        TEST(the_wait_asked_for_is_told),
        TEST(a_long_reply_is_cut_and_the_next_is_whole),
        TEST(a_connection_is_used_again),
        TEST(silence_ends_at_the_deadline),
        TEST(a_broken_answer_is_no_answer),
        TEST(where_nobody_listens_nothing_was_sent),
        TEST(what_does_not_speak_tls_is_not_believed),
        TEST(what_is_no_request_is_refused_untried),
        TEST(the_environment_names_no_proxy),
        TEST(a_failure_leaves_the_last_reply_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
