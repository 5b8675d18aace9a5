/*
 * An HTTP request and its response as the code that answers sees them, without a server: what
 * answers is the same behind the network, behind a Unix socket and in tests.
 *
 * A request and all it hands out are valid during the call of the handler. A response belongs to
 * who initialised it; a handler only fills it. One thread.
 */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include "base/attributes.h"
#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HTTP_MAX_HEADERS  12
#define HTTP_MAX_NAME     48
#define HTTP_MAX_VALUE    512
#define HTTP_MAX_BODY     (16 * 1024 * 1024) /* of a response; longer ones are streams */
#define HTTP_STREAM_BLOCK 4096

enum http_place { HTTP_QUERY, HTTP_HEADER, HTTP_COOKIE };

struct http_request {
    const char *method; /* "GET" also where HEAD was asked */
    const char *path;   /* decoded, UTF-8, without "." or ".." parts */
    const char *remote; /* the other side's address, without port */
    const char *body;   /* never NULL; a NUL follows it */
    size_t len;
    /* The first value of that name, or NULL; header names without regard to case. NULL: none. */
    const char *(*lookup)(void *source, enum http_place place, const char *name);
    void *source;
};

/* What is sent piece by piece, as long as the reader stays. Called on the connection's thread. */
struct http_stream {
    /* Waits at most 2 s; returns bytes written (at most `size`, which is HTTP_STREAM_BLOCK or
     * less), 0 for none yet (the server sends a heartbeat), negative at the end. */
    ssize_t (*read)(void *self, char *buffer, size_t size);
    void (*end)(void *self); /* called exactly once, also when nothing was sent; may be NULL */
    void *self;
};

struct http_header {
    char name[HTTP_MAX_NAME];
    char value[HTTP_MAX_VALUE];
};

struct http_response {
    int status;
    const char *content_type; /* outlives the response */
    struct buffer body;
    const void *fixed; /* instead of the body: bytes that outlive the server; not owned */
    size_t fixed_len;
    struct http_stream stream; /* instead of both, where `read` is set */
    struct http_header headers[HTTP_MAX_HEADERS];
    size_t header_count;
    int error; /* ERR_INVALID or ERR_FULL once a header could not be taken */
};

const char *http_query(const struct http_request *request, const char *name);
const char *http_header(const struct http_request *request, const char *name);
const char *http_cookie(const struct http_request *request, const char *name);

/* Does a list such as "gzip;q=0.8, *" accept the coding? NULL accepts none. */
bool http_accepts_coding(const char *list, const char *coding);

/* Begins with '/', is UTF-8 of at most 1024 bytes, without control characters, backslashes and
 * parts "." or "..". */
bool http_path_is_plain(const char *path);

void http_response_init(struct http_response *response);
/* Also closes a stream that nobody took over. */
void http_response_release(struct http_response *response);

/* Forgets what was filled in, and begins a body of that type, to be appended to. */
struct buffer *http_begin(struct http_response *response, int status, const char *content_type);

/* Adds a header. What would break the frame, or is too much, makes the answer a 500: see `error`.
 */
void http_response_header(struct http_response *response, const char *name, const char *value);

/* Bytes that outlive the server. */
void http_fixed(struct http_response *response, int status, const char *content_type,
                const void *data, size_t len);

/* A stream of text/event-stream; the response owns it from now on. */
void http_event_stream(struct http_response *response, struct http_stream stream);

/* A problem document (RFC 9457). `detail` may be NULL. */
void http_problem(struct http_response *response, int status, const char *title,
                  const char *detail);

#endif
