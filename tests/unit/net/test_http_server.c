/* The HTTP server over real sockets of this machine, with a folder of its own. */
#include "net/http_server.h"

#include "base/crypto.h"
#include "base/files.h"

#include <poll.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 20000

struct fixture {
    char folder[64];
    struct http_server *server;
    atomic_int streams_ended;
    sem_t stream_event; /* one event per post */
    char seen[512];     /* what the handler last saw */
};

/* ---- a client that knows no HTTP ---- */

static int dial(const struct fixture *fixture)
{
    struct endpoint endpoint = {"127.0.0.1", http_server_port(fixture->server)};
    int fd = -1;
    assert_int_equal(socket_connect(&endpoint, &fd), 0);
    struct pollfd waiting = {fd, POLLOUT, 0};
    assert_int_equal(poll(&waiting, 1, PATIENCE_MS), 1);
    assert_int_equal(socket_error(fd), 0);
    return fd;
}

static void say(int fd, const char *data, size_t len)
{
    while (len > 0) {
        struct pollfd waiting = {fd, POLLOUT, 0};
        assert_int_equal(poll(&waiting, 1, PATIENCE_MS), 1);
        ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);
        if (sent < 0)
            return; /* refused in the middle: the answer tells */
        data += sent;
        len -= (size_t)sent;
    }
}

/* Appends what comes; false at the end of the connection. */
static bool hear(int fd, struct buffer *reply)
{
    char block[4096];
    struct pollfd waiting = {fd, POLLIN, 0};
    assert_int_equal(poll(&waiting, 1, PATIENCE_MS), 1);
    ssize_t len = recv(fd, block, sizeof block, 0);
    if (len <= 0)
        return false;
    buffer_append(reply, block, (size_t)len);
    return true;
}

static void hear_until(int fd, struct buffer *reply, const char *text)
{
    while (strstr(buffer_text(reply), text) == NULL)
        assert_true(hear(fd, reply));
}

/* Sends the bytes and returns all that comes until the connection ends. */
static const char *ask_bytes(const struct fixture *fixture, struct buffer *reply, const char *bytes,
                             size_t len)
{
    int fd = dial(fixture);
    buffer_clear(reply);
    say(fd, bytes, len);
    while (hear(fd, reply))
        ;
    close(fd);
    return buffer_text(reply);
}

static const char *ask(const struct fixture *fixture, struct buffer *reply, const char *lines)
{
    struct buffer request;
    buffer_init(&request, 65536);
    buffer_printf(&request, "%s\r\nHost: x\r\nConnection: close\r\n\r\n", lines);
    const char *text = ask_bytes(fixture, reply, request.data, request.len);
    buffer_release(&request);
    return text;
}

static int status_of(const char *reply)
{
    int status = 0;
    return sscanf(reply, "HTTP/1.1 %d", &status) == 1 ? status : 0;
}

static const char *body_of(const char *reply)
{
    const char *blank = strstr(reply, "\r\n\r\n");
    return blank != NULL ? blank + 4 : "";
}

/* ---- what is served ---- */

static ssize_t stream_read(void *self, char *buffer, size_t size)
{
    struct fixture *fixture = self;
    static const char EVENT[] = "data: 1\n\n";
    assert_true(size > sizeof EVENT);
    if (sem_trywait(&fixture->stream_event) != 0)
        return 0;
    memcpy(buffer, EVENT, sizeof EVENT - 1);
    return sizeof EVENT - 1;
}

static void stream_end(void *self)
{
    struct fixture *fixture = self;
    atomic_fetch_add(&fixture->streams_ended, 1);
}

static const char *or_none(const char *text)
{
    return text != NULL ? text : "-";
}

static void handle(void *self, const struct http_request *request, struct http_response *response)
{
    struct fixture *fixture = self;
    (void)snprintf(fixture->seen, sizeof fixture->seen, "%s %s q=%s h=%s c=%s from %s",
                   request->method, request->path, or_none(http_query(request, "q")),
                   or_none(http_header(request, "x-test")), or_none(http_cookie(request, "sid")),
                   request->remote);
    if (strcmp(request->path, "/echo") == 0) {
        buffer_append(http_begin(response, 200, "text/plain"), request->body, request->len);
    } else if (strcmp(request->path, "/events") == 0) {
        http_event_stream(response, (struct http_stream){stream_read, stream_end, fixture});
    } else if (strcmp(request->path, "/large") == 0) {
        char block[1024] = {0};
        (void)http_begin(response, 200, "application/octet-stream");
        for (int i = 0; i < 12 * 1024; i++)
            buffer_append(&response->body, block, sizeof block);
    } else if (strcmp(request->path, "/inject") == 0) {
        (void)http_begin(response, 200, "text/plain");
        http_response_header(response, "Location", "x\r\nSet-Cookie: y");
    } else if (strcmp(request->path, "/silent") != 0) {
        http_problem(response, 404, "Not found", NULL);
    }
}

static void write_file(const struct fixture *fixture, const char *name, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", fixture->folder, name);
    assert_int_equal(file_write(path, text, strlen(text), 0600, NULL), 0);
}

static void restart(struct fixture *fixture, struct http_server_options options)
{
    struct message message;
    http_server_stop(fixture->server);
    fixture->server = NULL;
    options.endpoint = (struct endpoint){"127.0.0.1", 0};
    options.handle = handle;
    options.self = fixture;
    options.static_folder = fixture->folder;
    if (http_server_start(&options, &fixture->server, &message) != 0)
        fail_msg("%s", message.text);
}

static int setup(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof fixture);
    if (crypto_init() != 0 || sem_init(&fixture.stream_event, 0, 0) != 0)
        return -1;
    (void)snprintf(fixture.folder, sizeof fixture.folder, "/tmp/http-XXXXXX");
    if (mkdtemp(fixture.folder) == NULL)
        return -1;
    write_file(&fixture, "index.html", "<p>hello</p>");
    write_file(&fixture, "app.js", "plain()");
    write_file(&fixture, "app.js.gz", "packed");
    restart(&fixture, (struct http_server_options){0});
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    static const char *const NAMES[] = {"index.html", "app.js", "app.js.gz"};
    struct fixture *fixture = *state;
    char path[128];
    http_server_stop(fixture->server);
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", fixture->folder, NAMES[i]);
        unlink(path);
    }
    sem_destroy(&fixture->stream_event);
    return rmdir(fixture->folder);
}

/* ---- tests ---- */

static void the_handler_sees_what_was_asked(void **state)
{
    struct fixture *fixture = *state;
    struct buffer reply;
    buffer_init(&reply, 65536);
    const char *text =
        ask(fixture, &reply,
            "GET /a%20b?p=1&q=%E5%9F%8E+x HTTP/1.1\r\nX-Test: yes\r\nCookie: a=1; sid=s3");
    assert_int_equal(status_of(text), 404);
    assert_string_equal(fixture->seen, "GET /a b q=城 x h=yes c=s3 from 127.0.0.1");
    text = ask(fixture, &reply, "GET /none HTTP/1.1");
    assert_string_equal(fixture->seen, "GET /none q=- h=- c=- from 127.0.0.1");
    assert_non_null(strstr(text, "application/problem+json"));
    buffer_release(&reply);
}

static void every_response_carries_the_security_headers(void **state)
{
    static const char *const ASKED[] = {"GET / HTTP/1.1", "GET /none HTTP/1.1",
                                        "GET /silent HTTP/1.1", "BREW / HTTP/1.1",
                                        "GET /../x HTTP/1.1"};
    struct buffer reply;
    buffer_init(&reply, 65536);
    for (size_t i = 0; i < sizeof ASKED / sizeof ASKED[0]; i++) {
        const char *text = ask(*state, &reply, ASKED[i]);
        assert_non_null(strstr(text, "\r\nContent-Security-Policy: default-src 'self'; "
                                     "frame-ancestors 'none'\r\n"));
        assert_non_null(strstr(text, "\r\nX-Content-Type-Options: nosniff\r\n"));
        assert_non_null(strstr(text, "\r\nReferrer-Policy: no-referrer\r\n"));
        assert_non_null(strstr(text, i == 0 ? "\r\nCache-Control: no-cache\r\n"
                                            : "\r\nCache-Control: no-store\r\n"));
    }
    buffer_release(&reply);
}

static void head_is_answered_like_get_without_the_body(void **state)
{
    struct fixture *fixture = *state;
    struct buffer reply;
    buffer_init(&reply, 65536);
    const char *text = ask(fixture, &reply, "HEAD / HTTP/1.1");
    assert_int_equal(status_of(text), 200);
    assert_non_null(strstr(text, "\r\nContent-Length: 12\r\n"));
    assert_string_equal(body_of(text), "");
    text = ask(fixture, &reply, "HEAD /none HTTP/1.1");
    assert_int_equal(status_of(text), 404);
    assert_string_equal(body_of(text), "");
    assert_memory_equal(fixture->seen, "GET /none", 9);
    assert_int_equal(status_of(ask(fixture, &reply, "HEAD /events HTTP/1.1")), 200);
    assert_int_equal(atomic_load(&fixture->streams_ended), 1);
    buffer_release(&reply);
}

static void a_body_reaches_the_handler_up_to_its_bound(void **state)
{
    enum { BOUND = 256 * 1024 };
    struct buffer reply;
    struct buffer request;
    char *body = calloc(1, BOUND + 1);
    buffer_init(&reply, 2 * BOUND);
    buffer_init(&request, 2 * BOUND);
    memset(body, 'b', BOUND + 1);
    for (size_t more = 0; more < 2; more++) {
        buffer_clear(&request);
        buffer_printf(&request,
                      "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                      "Content-Length: %zu\r\n\r\n",
                      BOUND + more);
        buffer_append(&request, body, BOUND + more);
        const char *text = ask_bytes(*state, &reply, request.data, request.len);
        if (more == 0) {
            assert_int_equal(status_of(text), 200);
            assert_int_equal(strlen(body_of(text)), BOUND);
        } else if (text[0] != '\0') { /* else the reset overtook it: we were still sending */
            assert_int_equal(status_of(text), 413);
        }
    }
    buffer_clear(&request);
    buffer_append_text(&request, "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                                 "Transfer-Encoding: chunked\r\n\r\n40001\r\n");
    buffer_append(&request, body, BOUND + 1);
    buffer_append_text(&request, "\r\n0\r\n\r\n");
    assert_int_equal(status_of(ask_bytes(*state, &reply, request.data, request.len)), 413);
    free(body);
    buffer_release(&request);
    buffer_release(&reply);
}

static void an_announced_body_that_is_too_large_is_refused_before_it_comes(void **state)
{
    struct buffer reply;
    buffer_init(&reply, 65536);
    const char *text = ask(*state, &reply, "POST /echo HTTP/1.1\r\nContent-Length: 262145");
    assert_int_equal(status_of(text), 413);
    buffer_release(&reply);
}

static void what_could_hide_a_second_request_is_refused(void **state)
{
    static const char *const ASKED[] = {
        "POST /echo HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 5",
        "POST /echo HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked",
        "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked, identity",
        "POST /echo HTTP/1.1\r\nContent-Length: +3",
        "GET /%00 HTTP/1.1",
        "GET /a?q=%00 HTTP/1.1",
        "GET /a?q=%ff HTTP/1.1",
        "GET /a/../b HTTP/1.1",
        "GET /a/%2e%2e/b HTTP/1.1",
        "GET /a%0d%0ab HTTP/1.1",
    };
    struct fixture *fixture = *state;
    struct buffer reply;
    buffer_init(&reply, 65536);
    for (size_t i = 0; i < sizeof ASKED / sizeof ASKED[0]; i++) {
        const char *text = ask(fixture, &reply, ASKED[i]);
        if (status_of(text) / 100 != 4)
            fail_msg("%s: %s", ASKED[i], text);
    }
    assert_string_equal(fixture->seen, "");
    buffer_release(&reply);
}

static void headers_beyond_their_memory_are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct buffer reply;
    struct buffer request;
    buffer_init(&reply, 65536);
    buffer_init(&request, 1 << 20);
    buffer_append_text(&request, "GET /none HTTP/1.1\r\nHost: x\r\n");
    for (int i = 0; i < 600; i++)
        buffer_printf(&request, "X-%d: %064d\r\n", i, i);
    buffer_append_text(&request, "\r\n");
    const char *text = ask_bytes(fixture, &reply, request.data, request.len);
    assert_int_not_equal(status_of(text), 404);
    assert_string_equal(fixture->seen, "");
    buffer_release(&request);
    buffer_release(&reply);
}

static void two_requests_share_a_connection(void **state)
{
    struct buffer reply;
    buffer_init(&reply, 65536);
    int fd = dial(*state);
    static const char ASKED[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    for (int i = 0; i < 2; i++) {
        buffer_clear(&reply);
        say(fd, ASKED, sizeof ASKED - 1);
        hear_until(fd, &reply, "<p>hello</p>");
    }
    close(fd);
    buffer_release(&reply);
}

static void no_answer_or_a_broken_one_is_an_internal_error(void **state)
{
    struct buffer reply;
    buffer_init(&reply, 65536);
    assert_int_equal(status_of(ask(*state, &reply, "GET /silent HTTP/1.1")), 500);
    const char *text = ask(*state, &reply, "GET /inject HTTP/1.1");
    assert_int_equal(status_of(text), 500);
    assert_null(strstr(text, "Set-Cookie"));
    buffer_release(&reply);
}

static void files_are_served_by_their_names_alone(void **state)
{
    struct buffer reply;
    buffer_init(&reply, 65536);
    const char *text = ask(*state, &reply, "GET / HTTP/1.1");
    assert_int_equal(status_of(text), 200);
    assert_non_null(strstr(text, "\r\nContent-Type: text/html; charset=utf-8\r\n"));
    assert_string_equal(body_of(text), "<p>hello</p>");
    write_file(*state, "later.js", "later()"); /* not there when it was listed */
    static const char *const NONE[] = {"GET /later.js HTTP/1.1",
                                       "GET /app.js.gz HTTP/1.1",
                                       "GET /app.js/ HTTP/1.1",
                                       "GET //app.js HTTP/1.1",
                                       "GET /.. HTTP/1.1",
                                       "GET /%2e%2e/etc/passwd HTTP/1.1",
                                       "GET /../../etc/passwd HTTP/1.1",
                                       "GET /..%2f..%2fetc%2fpasswd HTTP/1.1"};
    for (size_t i = 0; i < sizeof NONE / sizeof NONE[0]; i++)
        assert_int_equal(status_of(ask(*state, &reply, NONE[i])) / 100, 4);
    assert_int_equal(status_of(ask(*state, &reply, "DELETE /app.js HTTP/1.1")), 405);
    char path[128];
    const struct fixture *fixture = *state;
    (void)snprintf(path, sizeof path, "%s/later.js", fixture->folder);
    unlink(path);
    buffer_release(&reply);
}

static void who_takes_gzip_is_given_the_packed_file(void **state)
{
    struct buffer reply;
    buffer_init(&reply, 65536);
    const char *text = ask(*state, &reply, "GET /app.js HTTP/1.1");
    assert_string_equal(body_of(text), "plain()");
    assert_null(strstr(text, "Content-Encoding"));
    assert_non_null(strstr(text, "\r\nVary: Accept-Encoding\r\n"));
    text = ask(*state, &reply, "GET /app.js HTTP/1.1\r\nAccept-Encoding: br, gzip");
    assert_string_equal(body_of(text), "packed");
    assert_non_null(strstr(text, "\r\nContent-Encoding: gzip\r\n"));
    assert_non_null(strstr(text, "\r\nContent-Type: text/javascript; charset=utf-8\r\n"));
    buffer_release(&reply);
}

static void a_file_that_is_known_is_not_sent_again(void **state)
{
    struct buffer reply;
    char lines[256];
    char etag[64] = "";
    buffer_init(&reply, 65536);
    const char *text = ask(*state, &reply, "GET /app.js HTTP/1.1");
    const char *at = strstr(text, "\r\nETag: ");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "\r\nETag: %63s", etag), 1);
    (void)snprintf(lines, sizeof lines, "GET /app.js HTTP/1.1\r\nIf-None-Match: \"x\", %s", etag);
    text = ask(*state, &reply, lines);
    assert_int_equal(status_of(text), 304);
    assert_string_equal(body_of(text), "");
    (void)snprintf(lines, sizeof lines,
                   "GET /app.js HTTP/1.1\r\nAccept-Encoding: gzip\r\nIf-None-Match: %s", etag);
    assert_int_equal(status_of(ask(*state, &reply, lines)), 200); /* another form, another tag */
    buffer_release(&reply);
}

/* A byte now and then is no silence: only a deadline for the whole request ends this. */
static void a_request_that_drips_is_cut(void **state)
{
    struct fixture *fixture = *state;
    restart(fixture, (struct http_server_options){.request_ms = 100});
    int fd = dial(fixture);
    static const char BEGIN[] = "GET / HTTP/1.1\r\nX-Drip: ";
    say(fd, BEGIN, sizeof BEGIN - 1);
    struct pollfd waiting = {fd, POLLIN, 0};
    while (poll(&waiting, 1, 5) == 0)
        if (send(fd, "x", 1, MSG_NOSIGNAL) < 0)
            break;
    struct http_server_status status;
    http_server_get_status(fixture->server, &status);
    assert_int_equal(status.cut, 1);
    assert_int_equal(status.requests, 0);
    close(fd);
}

static void who_does_not_take_the_answer_is_cut(void **state)
{
    struct fixture *fixture = *state;
    restart(fixture, (struct http_server_options){.request_ms = 500, .response_ms = 100});
    int fd = dial(fixture);
    static const char ASKED[] = "GET /large HTTP/1.1\r\nHost: x\r\n\r\n";
    say(fd, ASKED, sizeof ASKED - 1);
    struct http_server_status status = {0};
    for (int i = 0; status.cut == 0 && i < PATIENCE_MS; i++) {
        (void)poll(NULL, 0, 1); /* nothing is read: the buffers fill up */
        http_server_get_status(fixture->server, &status);
    }
    assert_int_equal(status.cut, 1);
    size_t taken = 0;
    for (ssize_t len = 1; len > 0; taken += (size_t)len) {
        char block[65536];
        struct pollfd waiting = {fd, POLLIN, 0};
        assert_int_equal(poll(&waiting, 1, PATIENCE_MS), 1);
        len = recv(fd, block, sizeof block, 0);
        if (len < 0)
            break;
    }
    assert_in_range(taken, 0, 12 * 1024 * 1024 - 1);
    close(fd);
}

static void a_stream_sends_events_and_heartbeats_until_the_server_stops(void **state)
{
    struct fixture *fixture = *state;
    struct buffer reply;
    buffer_init(&reply, 1 << 24);
    int fd = dial(fixture);
    static const char ASKED[] = "GET /events HTTP/1.1\r\nHost: x\r\n\r\n";
    say(fd, ASKED, sizeof ASKED - 1);
    hear_until(fd, &reply, "\r\nContent-Type: text/event-stream\r\n");
    hear_until(fd, &reply, ": hb\n\n");
    sem_post(&fixture->stream_event);
    hear_until(fd, &reply, "data: 1\n\n");
    assert_int_equal(atomic_load(&fixture->streams_ended), 0);
    http_server_stop(fixture->server);
    fixture->server = NULL;
    assert_int_equal(atomic_load(&fixture->streams_ended), 1);
    while (hear(fd, &reply))
        buffer_clear(&reply);
    close(fd);
    buffer_release(&reply);
}

static void streams_are_bounded_and_their_places_are_given_back(void **state)
{
    struct fixture *fixture = *state;
    struct buffer reply;
    static const char ASKED[] = "GET /events HTTP/1.1\r\nHost: x\r\n\r\n";
    buffer_init(&reply, 1 << 24);
    restart(fixture, (struct http_server_options){.max_streams = 1});
    int fd = dial(fixture);
    say(fd, ASKED, sizeof ASKED - 1);
    hear_until(fd, &reply, ": hb\n\n");
    const char *text = ask(fixture, &reply, "GET /events HTTP/1.1");
    assert_int_equal(status_of(text), 503);
    assert_non_null(strstr(text, "\r\nRetry-After: "));
    assert_int_equal(atomic_load(&fixture->streams_ended), 1);
    close(fd);
    do { /* the first one's thread notices soon that its client is gone */
        buffer_clear(&reply);
        fd = dial(fixture);
        say(fd, ASKED, sizeof ASKED - 1);
        hear_until(fd, &reply, "\r\n\r\n");
        close(fd);
    } while (status_of(buffer_text(&reply)) == 503);
    assert_int_equal(status_of(buffer_text(&reply)), 200);
    buffer_release(&reply);
}

static void it_does_not_listen_beyond_this_machine(void **state)
{
    static const char *const HOSTS[] = {"0.0.0.0", "::", "192.0.2.1", "localhost.example", ""};
    (void)state;
    for (size_t i = 0; i < sizeof HOSTS / sizeof HOSTS[0]; i++) {
        struct http_server_options options = {.handle = handle};
        struct http_server *server = NULL;
        struct message message = {""};
        (void)snprintf(options.endpoint.host, sizeof options.endpoint.host, "%s", HOSTS[i]);
        assert_int_equal(http_server_start(&options, &server, &message), ERR_DENIED);
        assert_non_null(strstr(message.text, "TLS"));
        assert_null(server);
    }
}

static void a_folder_or_port_that_cannot_be_had_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct http_server_options options = {
        .handle = handle, .endpoint = {"127.0.0.1", 0}, .static_folder = "/nonexistent-folder"};
    struct http_server *server = NULL;
    struct message message = {""};
    assert_int_equal(http_server_start(&options, &server, &message), ERR_NOT_FOUND);
    assert_non_null(strstr(message.text, "/nonexistent-folder"));
    options.static_folder = NULL;
    options.endpoint.port = http_server_port(fixture->server);
    assert_int_equal(http_server_start(&options, &server, &message), ERR_IO);
    assert_null(server);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_handler_sees_what_was_asked),
        TEST(every_response_carries_the_security_headers),
        TEST(head_is_answered_like_get_without_the_body),
        TEST(a_body_reaches_the_handler_up_to_its_bound),
        TEST(an_announced_body_that_is_too_large_is_refused_before_it_comes),
        TEST(what_could_hide_a_second_request_is_refused),
        TEST(headers_beyond_their_memory_are_refused),
        TEST(two_requests_share_a_connection),
        TEST(no_answer_or_a_broken_one_is_an_internal_error),
        TEST(files_are_served_by_their_names_alone),
        TEST(who_takes_gzip_is_given_the_packed_file),
        TEST(a_file_that_is_known_is_not_sent_again),
        TEST(a_request_that_drips_is_cut),
        TEST(who_does_not_take_the_answer_is_cut),
        TEST(a_stream_sends_events_and_heartbeats_until_the_server_stops),
        TEST(streams_are_bounded_and_their_places_are_given_back),
        TEST(it_does_not_listen_beyond_this_machine),
        TEST(a_folder_or_port_that_cannot_be_had_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
