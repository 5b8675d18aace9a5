/*
 * Design notes
 *
 * libmicrohttpd's own timeout is one of silence: a byte every two seconds keeps a connection for
 * ever. So each connection has a deadline (net/deadlines.h):
 *
 *   accepted → request_ms to be whole; first line read → request_ms from there; handler running →
 *   none, its time is ours; answering → response_ms; answered → idle time plus request_ms for the
 *   next request; in a stream → response_ms for each block to be taken.
 *
 * The library's timeout is switched off while a handler runs, and on again after (which restarts
 * it): else a slow answer would be cut as silence.
 *
 * A response can be queued before the body or after it, not in between. What is announced as too
 * large is refused at once; what turns out to be is read on, without being kept, until it ends or
 * the deadline does.
 */
#include "net/http_server.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/numbers.h"
#include "base/text.h"
#include "net/deadlines.h"
#include "net/http_files.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_CONNECTIONS   256
#define MAX_PER_ADDRESS   64
#define MAX_STREAMS       48 /* so that streams never take all places of an address */
#define IDLE_MS           10000
#define REQUEST_MS        10000
#define RESPONSE_MS       60000
#define MAX_BODY          (256 * 1024)
#define HEADER_MEMORY     (32 * 1024)
#define STACK_SIZE        (256 * 1024)
#define BACKLOG           128
#define WATCH_INTERVAL_US (int64_t) US_PER_S

struct connection {
    struct http_server *server;
    struct deadline *deadline;
    char remote[INET6_ADDRSTRLEN];
};

/* One request, from its first line to the end of its response. */
struct exchange {
    struct connection *connection;
    struct MHD_Connection *library;
    struct buffer body;
    bool begun, malformed, head;
};

/* A stream on its way, owned by the library's response. */
struct sending {
    struct connection *connection; /* gone when the stream is closed */
    struct http_server *server;
    struct http_stream stream;
};

struct http_server {
    struct http_server_options options;
    struct MHD_Daemon *daemon;
    struct deadlines *deadlines;
    struct http_files *files; /* NULL: none */
    uint16_t port;
    atomic_bool stopping;
    atomic_uint streams;
    atomic_uint_fast64_t requests;
};

/* ---- connections ---- */

static void read_remote(struct MHD_Connection *library, char ret_text[INET6_ADDRSTRLEN])
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {0};
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(library, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    ret_text[0] = '\0';
    if (info == NULL || info->client_addr == NULL)
        return;
    if (info->client_addr->sa_family == AF_INET6) {
        memcpy(&address.v6, info->client_addr, sizeof address.v6);
        (void)inet_ntop(AF_INET6, &address.v6.sin6_addr, ret_text, INET6_ADDRSTRLEN);
    } else {
        memcpy(&address.v4, info->client_addr, sizeof address.v4);
        (void)inet_ntop(AF_INET, &address.v4.sin_addr, ret_text, INET6_ADDRSTRLEN);
    }
}

/* NULL when there is no memory or descriptor for it: its first request then ends it. */
static struct connection *connection_new(struct http_server *server, struct MHD_Connection *library)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(library, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info == NULL)
        return NULL;
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection != NULL)
        connection->deadline =
            deadline_add(server->deadlines, info->connect_fd, server->options.request_ms);
    if (connection == NULL || connection->deadline == NULL) {
        free(connection);
        shutdown(info->connect_fd, SHUT_RDWR);
        return NULL;
    }
    connection->server = server;
    read_remote(library, connection->remote);
    return connection;
}

static void connection_free(struct connection *connection)
{
    deadline_remove(connection->deadline);
    free(connection);
}

static void on_connection(void *self, struct MHD_Connection *library, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = connection_new(self, library);
    } else if (*context != NULL) {
        connection_free(*context);
        *context = NULL;
    }
}

static struct connection *connection_of(struct MHD_Connection *library)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(library, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

/* ---- responses ---- */

/* Returns 0, where the library has taken the header. */
static int put(struct MHD_Response *library, const char *name, const char *value)
{
    return MHD_add_response_header(library, name, value) == MHD_YES ? 0 : ERR_NO_MEMORY;
}

static int put_headers(struct MHD_Response *library, const struct http_response *response)
{
    static const char *const SECURITY[][2] = {
        {"Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'"},
        {"X-Content-Type-Options", "nosniff"},
        {"Referrer-Policy", "no-referrer"},
    };
    bool cache_told = false;
    int err = 0;
    for (size_t i = 0; err == 0 && i < sizeof SECURITY / sizeof SECURITY[0]; i++)
        err = put(library, SECURITY[i][0], SECURITY[i][1]);
    for (size_t i = 0; err == 0 && i < response->header_count; i++) {
        cache_told = cache_told || strcasecmp(response->headers[i].name, "Cache-Control") == 0;
        err = put(library, response->headers[i].name, response->headers[i].value);
    }
    if (err == 0 && !cache_told)
        err = put(library, "Cache-Control", "no-store");
    if (err == 0 && response->content_type != NULL)
        err = put(library, "Content-Type", response->content_type);
    return err;
}

static ssize_t send_stream(void *self, uint64_t position, char *block, size_t size)
{
    static const char HEARTBEAT[] = ": hb\n\n";
    struct sending *sending = self;
    struct http_server *server = sending->server;
    (void)position;
    if (atomic_load(&server->stopping) || size < sizeof HEARTBEAT)
        return MHD_CONTENT_READER_END_OF_STREAM;
    deadline_suspend(sending->connection->deadline);
    ssize_t len = sending->stream.read(sending->stream.self, block,
                                       size < HTTP_STREAM_BLOCK ? size : HTTP_STREAM_BLOCK);
    if (len < 0 || atomic_load(&server->stopping))
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (len == 0) {
        len = (ssize_t)(sizeof HEARTBEAT - 1);
        memcpy(block, HEARTBEAT, (size_t)len);
    }
    deadline_set(sending->connection->deadline, server->options.response_ms);
    return len;
}

static void end_stream(void *self)
{
    struct sending *sending = self;
    if (sending->stream.end != NULL)
        sending->stream.end(sending->stream.self);
    atomic_fetch_sub(&sending->server->streams, 1);
    free(sending);
}

/* Takes the stream over from the response, and its place among the streams, which is counted. */
static struct MHD_Response *make_stream(struct connection *connection,
                                        struct http_response *response)
{
    struct sending *sending = calloc(1, sizeof *sending);
    if (sending == NULL) {
        atomic_fetch_sub(&connection->server->streams, 1);
        return NULL;
    }
    sending->connection = connection;
    sending->server = connection->server;
    sending->stream = response->stream;
    response->stream = (struct http_stream){0};
    struct MHD_Response *library = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, HTTP_STREAM_BLOCK, send_stream, sending, end_stream);
    if (library == NULL)
        end_stream(sending);
    return library;
}

/* The library only reads what it is to leave alone, yet asks for a pointer that could write. */
static struct MHD_Response *make_fixed(const void *data, size_t len)
{
    union {
        const void *given;
        void *asked;
    } bytes = {.given = len > 0 ? data : ""};
    return MHD_create_response_from_buffer(len, bytes.asked, MHD_RESPMEM_PERSISTENT);
}

static struct MHD_Response *make_content(struct connection *connection,
                                         struct http_response *response)
{
    if (response->stream.read != NULL)
        return make_stream(connection, response);
    if (response->fixed != NULL || response->body.len == 0)
        return make_fixed(response->fixed, response->fixed_len);
    struct MHD_Response *library = MHD_create_response_from_buffer(
        response->body.len, response->body.data, MHD_RESPMEM_MUST_FREE);
    if (library != NULL)
        buffer_init(&response->body, HTTP_MAX_BODY); /* the bytes are the library's now */
    return library;
}

/* Is there room for one more stream? Then it is taken. */
static bool take_stream_place(struct http_server *server)
{
    if (atomic_fetch_add(&server->streams, 1) < server->options.max_streams)
        return true;
    atomic_fetch_sub(&server->streams, 1);
    return false;
}

/* What the handler left undone, or did beyond its bounds, is an answer too. */
static void complete(struct exchange *exchange, struct http_response *response)
{
    struct http_server *server = exchange->connection->server;
    if (response->status == 0 || response->error != 0 || buffer_error(&response->body) != 0) {
        http_problem(response, 500, "Internal error",
                     response->status == 0  ? "no answer was made"
                     : response->error != 0 ? "a header could not be sent"
                                            : "the answer is too large");
    } else if (response->stream.read != NULL && exchange->head) {
        if (response->stream.end != NULL)
            response->stream.end(response->stream.self);
        response->stream = (struct http_stream){0};
    } else if (response->stream.read != NULL && !take_stream_place(server)) {
        http_problem(response, 503, "Too many streams", "all places for live streams are taken");
        http_response_header(response, "Retry-After", "10");
    }
}

/* Sends the response and releases it. */
static enum MHD_Result answer(struct exchange *exchange, struct http_response *response)
{
    struct connection *connection = exchange->connection;
    enum MHD_Result result = MHD_NO;
    complete(exchange, response);
    int status = response->status;
    struct MHD_Response *library = make_content(connection, response);
    if (library != NULL && put_headers(library, response) == 0)
        result = MHD_queue_response(exchange->library, (unsigned int)status, library);
    if (library != NULL)
        MHD_destroy_response(library);
    http_response_release(response);
    deadline_set(connection->deadline, connection->server->options.response_ms);
    return result;
}

/* Refuses and ends the connection: where the next request would begin is not known. */
static enum MHD_Result refuse(struct exchange *exchange, int status, const char *title,
                              const char *detail)
{
    struct http_response response;
    http_response_init(&response);
    http_problem(&response, status, title, detail);
    http_response_header(&response, "Connection", "close");
    return answer(exchange, &response);
}

/* ---- requests ---- */

static const char *look_up(void *source, enum http_place place, const char *name)
{
    static const enum MHD_ValueKind KINDS[] = {[HTTP_QUERY] = MHD_GET_ARGUMENT_KIND,
                                               [HTTP_HEADER] = MHD_HEADER_KIND,
                                               [HTTP_COOKIE] = MHD_COOKIE_KIND};
    const char *value = NULL;
    size_t len = 0;
    if (MHD_lookup_connection_value_n(source, KINDS[place], name, strlen(name), &value, &len) !=
        MHD_YES)
        return NULL;
    return value != NULL ? value : ""; /* "?name" without "=" */
}

/* Before anything is decoded: the only place where an encoded NUL can still be seen. */
static void *on_first_line(void *self, const char *uri, struct MHD_Connection *library)
{
    struct http_server *server = self;
    struct connection *connection = connection_of(library);
    struct exchange *exchange = connection != NULL ? calloc(1, sizeof *exchange) : NULL;
    if (exchange == NULL)
        return NULL;
    exchange->connection = connection;
    exchange->library = library;
    exchange->malformed = strstr(uri, "%00") != NULL;
    buffer_init(&exchange->body, server->options.max_body);
    deadline_set(connection->deadline, server->options.request_ms);
    return exchange;
}

static void on_completed(void *self, struct MHD_Connection *library, void **context,
                         enum MHD_RequestTerminationCode code)
{
    struct http_server *server = self;
    struct exchange *exchange = *context;
    (void)library;
    (void)code;
    if (exchange == NULL)
        return;
    deadline_set(exchange->connection->deadline,
                 server->options.idle_ms + server->options.request_ms);
    buffer_release(&exchange->body);
    free(exchange);
    *context = NULL;
}

static enum MHD_Result check_argument(void *self, enum MHD_ValueKind kind, const char *name,
                                      size_t name_len, const char *value, size_t value_len)
{
    bool *good = self;
    (void)kind;
    *good =
        *good && text_is_utf8(name, name_len) && (value == NULL || text_is_utf8(value, value_len));
    return MHD_YES;
}

/* What says where the body ends. Two ways of saying it are how one request hides another. */
struct framing {
    unsigned int lengths, encodings;
    uint64_t length;
    bool readable, chunked;
};

static enum MHD_Result check_header(void *self, enum MHD_ValueKind kind, const char *name,
                                    const char *value)
{
    struct framing *framing = self;
    (void)kind;
    if (strcasecmp(name, "Content-Length") == 0) {
        framing->lengths++;
        if (value == NULL || parse_u64(value, 0, UINT64_MAX, &framing->length) != 0)
            framing->readable = false;
    } else if (strcasecmp(name, "Transfer-Encoding") == 0) {
        framing->encodings++;
        framing->chunked = value != NULL && strcasecmp(value, "chunked") == 0;
    }
    return MHD_YES;
}

/* The first call for a request: its headers are known. Only a refusal is queued here. */
static enum MHD_Result begin(struct exchange *exchange, const char *path, const char *method)
{
    static const char *const METHODS[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"};
    struct framing framing = {.readable = true};
    bool arguments_good = true;
    bool known = false;
    exchange->begun = true;
    exchange->head = strcmp(method, "HEAD") == 0;
    for (size_t i = 0; i < sizeof METHODS / sizeof METHODS[0]; i++)
        known = known || strcmp(method, METHODS[i]) == 0;
    if (!known)
        return refuse(exchange, 501, "Not implemented", "this method is not known here");
    (void)MHD_get_connection_values_n(exchange->library, MHD_GET_ARGUMENT_KIND, check_argument,
                                      &arguments_good);
    if (exchange->malformed || !arguments_good || !http_path_is_plain(path))
        return refuse(exchange, 400, "Bad request", "the address is not plain UTF-8 text");
    (void)MHD_get_connection_values(exchange->library, MHD_HEADER_KIND, check_header, &framing);
    if (!framing.readable || framing.lengths + framing.encodings > 1 ||
        (framing.encodings > 0 && !framing.chunked))
        return refuse(exchange, 400, "Bad request", "the length of the body is not clear");
    if (framing.length > exchange->connection->server->options.max_body)
        return refuse(exchange, 413, "Too large", "the body is larger than is taken here");
    return MHD_YES;
}

static enum MHD_Result handle(struct exchange *exchange, const char *path, const char *method)
{
    struct connection *connection = exchange->connection;
    struct http_server *server = connection->server;
    if (buffer_error(&exchange->body) != 0)
        return refuse(exchange, 413, "Too large", "the body is larger than is taken here");
    const struct http_request request = {.method = exchange->head ? "GET" : method,
                                         .path = path,
                                         .remote = connection->remote,
                                         .body = buffer_text(&exchange->body),
                                         .len = exchange->body.len,
                                         .lookup = look_up,
                                         .source = exchange->library};
    struct http_response response;
    http_response_init(&response);
    deadline_suspend(connection->deadline);
    (void)MHD_set_connection_option(exchange->library, MHD_CONNECTION_OPTION_TIMEOUT, 0U);
    if (server->files == NULL || !http_files_serve(server->files, &request, &response))
        server->options.handle(server->options.self, &request, &response);
    (void)MHD_set_connection_option(exchange->library, MHD_CONNECTION_OPTION_TIMEOUT,
                                    server->options.idle_ms / MS_PER_S);
    atomic_fetch_add(&server->requests, 1);
    return answer(exchange, &response);
}

static enum MHD_Result on_request(void *self, struct MHD_Connection *library, const char *path,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_len, void **context)
{
    struct exchange *exchange = *context;
    (void)self;
    (void)library;
    (void)version;
    if (exchange == NULL)
        return MHD_NO; /* there was no memory for it */
    if (!exchange->begun)
        return begin(exchange, path, method);
    if (*upload_len == 0)
        return handle(exchange, path, method);
    buffer_append(&exchange->body, upload, *upload_len);
    *upload_len = 0;
    return MHD_YES;
}

/* ---- start and stop ---- */

static unsigned int or_default(unsigned int value, unsigned int otherwise)
{
    return value > 0 ? value : otherwise;
}

static void fill_defaults(struct http_server_options *options)
{
    options->max_connections = or_default(options->max_connections, MAX_CONNECTIONS);
    options->max_per_address = or_default(options->max_per_address, MAX_PER_ADDRESS);
    options->max_streams = or_default(options->max_streams, MAX_STREAMS);
    options->idle_ms = or_default(options->idle_ms, IDLE_MS);
    options->request_ms = or_default(options->request_ms, REQUEST_MS);
    options->response_ms = or_default(options->response_ms, RESPONSE_MS);
    if (options->idle_ms < MS_PER_S)
        options->idle_ms = MS_PER_S;
    if (options->max_body == 0)
        options->max_body = MAX_BODY;
}

/* The library's threads inherit a mask without signals: those belong to the main thread. */
static struct MHD_Daemon *start_daemon(struct http_server *server, int listen_fd)
{
    const struct http_server_options *options = &server->options;
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL |
            MHD_USE_ITC,
        0, NULL, NULL, on_request, server, MHD_OPTION_LISTEN_SOCKET, listen_fd,
        MHD_OPTION_CONNECTION_LIMIT, options->max_connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        options->max_per_address, MHD_OPTION_CONNECTION_TIMEOUT, options->idle_ms / MS_PER_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADER_MEMORY, MHD_OPTION_THREAD_STACK_SIZE,
        (size_t)STACK_SIZE, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, server, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
        MHD_OPTION_URI_LOG_CALLBACK, on_first_line, server, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return daemon;
}

/* As often as the shortest bound needs; at 10 s, once a second. */
static int64_t watch_interval_us(const struct http_server *server)
{
    int64_t interval_us = (int64_t)server->options.request_ms * US_PER_MS / 10;
    return interval_us < WATCH_INTERVAL_US ? interval_us + 1 : WATCH_INTERVAL_US;
}

/* 127.0.0.0/8 or ::1. */
static bool is_loopback(const char *host)
{
    struct in_addr v4;
    return strcmp(host, "::1") == 0 ||
           (inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127);
}

int http_server_start(const struct http_server_options *options, struct http_server **ret_server,
                      struct message *message)
{
    int fd = -1;
    if (!is_loopback(options->endpoint.host))
        return message_set(message, ERR_DENIED,
                           "cannot listen on %s: beyond this machine TLS is required; listen on "
                           "127.0.0.1, and let a proxy with TLS stand before it",
                           options->endpoint.host);
    struct http_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return message_set(message, ERR_NO_MEMORY, "out of memory");
    server->options = *options;
    fill_defaults(&server->options);
    int err = socket_listen(&options->endpoint, BACKLOG, &fd, &server->port, message);
    if (err != 0)
        goto out;
    if (options->static_folder != NULL)
        err = http_files_open(options->static_folder, &server->files, message);
    if (err != 0)
        goto out;
    err = message_set(message, ERR_NO_MEMORY, "cannot start the HTTP server on port %u: no thread",
                      (unsigned int)server->port);
    server->deadlines = deadlines_start(watch_interval_us(server), clock_real());
    if (server->deadlines == NULL)
        goto out;
    server->daemon = start_daemon(server, fd);
    if (server->daemon == NULL)
        goto out;
    *ret_server = server;
    return 0;

out:
    deadlines_stop(server->deadlines);
    http_files_close(server->files);
    if (fd >= 0)
        close(fd);
    free(server);
    return err;
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->port;
}

void http_server_stop(struct http_server *server)
{
    if (server == NULL)
        return;
    atomic_store(&server->stopping, true);
    MHD_stop_daemon(server->daemon); /* joins every thread and closes the listening socket */
    deadlines_stop(server->deadlines);
    http_files_close(server->files);
    free(server);
}

void http_server_get_status(struct http_server *server, struct http_server_status *ret_status)
{
    struct http_server_status status = {.streams = atomic_load(&server->streams),
                                        .requests = atomic_load(&server->requests)};
    deadlines_count(server->deadlines, &status.connections, &status.cut);
    *ret_status = status;
}
