#include "net/http_files.h"

#include "base/crypto.h"
#include "base/files.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char folder[64];
    struct http_files *files;
};

/* What a request of these tests carries. */
struct asked {
    const char *accept_encoding, *if_none_match;
};

static const char *look_up(void *source, enum http_place place, const char *name)
{
    const struct asked *asked = source;
    if (place != HTTP_HEADER)
        return NULL;
    if (strcasecmp(name, "Accept-Encoding") == 0)
        return asked->accept_encoding;
    return strcasecmp(name, "If-None-Match") == 0 ? asked->if_none_match : NULL;
}

static void write_file(const struct fixture *fixture, const char *name, const char *text)
{
    char path[FILE_PATH_SIZE];
    assert_int_equal(path_join(fixture->folder, name, path), 0);
    assert_int_equal(file_write(path, text, strlen(text), 0600, NULL), 0);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    char path[FILE_PATH_SIZE];
    if (fixture == NULL || crypto_init() != 0)
        return -1;
    strncpy(fixture->folder, "/tmp/chengmai-files-XXXXXX", sizeof fixture->folder - 1);
    if (mkdtemp(fixture->folder) == NULL)
        return -1;
    write_file(fixture, "index.html", "<!doctype html>");
    write_file(fixture, "app.js", "let a = 1;");
    write_file(fixture, "app.js.gz", "compressed");
    write_file(fixture, "only.css.gz", "compressed too");
    write_file(fixture, "empty.txt", "");
    write_file(fixture, ".secret", "hidden");
    snprintf(path, sizeof path, "%s/folder", fixture->folder);
    if (mkdir(path, 0700) != 0)
        return -1;
    write_file(fixture, "folder/inner.txt", "inner");
    snprintf(path, sizeof path, "%s/link.txt", fixture->folder);
    if (symlink("/etc/hostname", path) != 0)
        return -1;
    assert_int_equal(http_files_open(fixture->folder, &fixture->files, NULL), 0);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    static const char *const NAMES[] = {"index.html", "app.js",  "app.js.gz",        "only.css.gz",
                                        "empty.txt",  ".secret", "folder/inner.txt", "link.txt"};
    struct fixture *fixture = *state;
    char path[FILE_PATH_SIZE];
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++)
        if (path_join(fixture->folder, NAMES[i], path) == 0)
            unlink(path);
    if (path_join(fixture->folder, "folder", path) == 0)
        rmdir(path);
    rmdir(fixture->folder);
    http_files_close(fixture->files);
    free(fixture);
    return 0;
}

static bool serve(const struct fixture *fixture, const char *method, const char *path,
                  struct asked asked, struct http_response *response)
{
    struct http_request request = {
        .method = method, .path = path, .lookup = look_up, .source = &asked};
    http_response_init(response);
    return http_files_serve(fixture->files, &request, response);
}

static const char *header_of(const struct http_response *response, const char *name)
{
    for (size_t i = 0; i < response->header_count; i++)
        if (strcasecmp(response->headers[i].name, name) == 0)
            return response->headers[i].value;
    return NULL;
}

static void assert_served(const struct http_response *response, const char *type, const char *text)
{
    assert_int_equal(response->status, 200);
    assert_string_equal(response->content_type, type);
    assert_int_equal(response->fixed_len, strlen(text));
    assert_memory_equal(response->fixed, text, strlen(text));
}

static void a_listed_file_is_served_with_its_type(void **state)
{
    struct http_response response;
    assert_true(serve(*state, "GET", "/app.js", (struct asked){0}, &response));
    assert_served(&response, "text/javascript; charset=utf-8", "let a = 1;");
    assert_null(header_of(&response, "Content-Encoding"));
    assert_string_equal(header_of(&response, "Vary"), "Accept-Encoding");
    assert_string_equal(header_of(&response, "Cache-Control"), "no-cache");
    http_response_release(&response);
    assert_true(serve(*state, "GET", "/", (struct asked){0}, &response));
    assert_served(&response, "text/html; charset=utf-8", "<!doctype html>");
    http_response_release(&response);
    assert_true(serve(*state, "GET", "/empty.txt", (struct asked){0}, &response));
    assert_served(&response, "text/plain; charset=utf-8", "");
    http_response_release(&response);
}

static void the_compressed_form_is_for_who_takes_it(void **state)
{
    struct http_response response;
    assert_true(
        serve(*state, "GET", "/app.js", (struct asked){.accept_encoding = "br, gzip"}, &response));
    assert_served(&response, "text/javascript; charset=utf-8", "compressed");
    assert_string_equal(header_of(&response, "Content-Encoding"), "gzip");
    http_response_release(&response);
    assert_true(
        serve(*state, "GET", "/app.js", (struct asked){.accept_encoding = "gzip;q=0"}, &response));
    assert_served(&response, "text/javascript; charset=utf-8", "let a = 1;");
    http_response_release(&response);
    assert_true(
        serve(*state, "GET", "/only.css", (struct asked){.accept_encoding = "gzip"}, &response));
    http_response_release(&response);
    assert_false(serve(*state, "GET", "/only.css", (struct asked){0}, &response));
    http_response_release(&response);
}

static void what_the_client_has_is_not_sent_again(void **state)
{
    struct http_response response;
    char etag[64];
    assert_true(serve(*state, "GET", "/app.js", (struct asked){0}, &response));
    snprintf(etag, sizeof etag, "W/\"other\", %s", header_of(&response, "ETag"));
    http_response_release(&response);
    assert_true(serve(*state, "GET", "/app.js", (struct asked){.if_none_match = etag}, &response));
    assert_int_equal(response.status, 304);
    assert_int_equal(response.fixed_len, 0);
    http_response_release(&response);
    /* Two forms are two things: the tag of one does not stand for the other. */
    assert_true(serve(*state, "GET", "/app.js",
                      (struct asked){.if_none_match = etag, .accept_encoding = "gzip"}, &response));
    assert_int_equal(response.status, 200);
    http_response_release(&response);
    assert_true(
        serve(*state, "GET", "/index.html", (struct asked){.if_none_match = etag}, &response));
    assert_int_equal(response.status, 200);
    http_response_release(&response);
}

static void what_is_not_listed_does_not_exist(void **state)
{
    static const char *const PATHS[] = {
        "/nothing",          "/.secret",   "/folder",    "/link.txt",    "/app.js/",
        "/folder/inner.txt", "/../app.js", "/app.js.gz", "/only.css.gz", "//index.html"};
    for (size_t i = 0; i < sizeof PATHS / sizeof PATHS[0]; i++) {
        struct http_response response;
        assert_false(serve(*state, "GET", PATHS[i], (struct asked){0}, &response));
        assert_int_equal(response.status, 0);
        http_response_release(&response);
    }
}

static void files_are_only_read(void **state)
{
    struct http_response response;
    assert_true(serve(*state, "POST", "/app.js", (struct asked){0}, &response));
    assert_int_equal(response.status, 405);
    assert_string_equal(header_of(&response, "Allow"), "GET, HEAD");
    http_response_release(&response);
}

static void a_missing_folder_is_told(void **state)
{
    struct http_files *files = NULL;
    struct message message;
    (void)state;
    assert_int_equal(http_files_open("/tmp/chengmai-no-such-folder", &files, &message),
                     ERR_NOT_FOUND);
    assert_non_null(strstr(message.text, "/tmp/chengmai-no-such-folder"));
    assert_null(files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_listed_file_is_served_with_its_type, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_compressed_form_is_for_who_takes_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_client_has_is_not_sent_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_listed_does_not_exist, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_are_only_read, set_up, tear_down),
        cmocka_unit_test(a_missing_folder_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
