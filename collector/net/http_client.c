/*
 * Design notes
 *
 * Every exchange sets all options anew (curl_easy_reset keeps the connections): nothing of one
 * request reaches the next. libcurl's own limits are no limits at all (300 s to connect, for ever
 * to answer), so each is set. A reply beyond its bound is cut, and its connection with it.
 */
#include "net/http_client.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define DEADLINE_DEFAULT_MS 15000
#define DEADLINE_MAX_MS     600000
#define CONNECT_MS          3000L
#define LOW_SPEED_S         10L
#define USER_TIMEOUT_MS     10000
#define MAX_REPLY_DEFAULT   (64 * 1024)
#define MAX_REPLY           (64 * 1024 * 1024)
#define MAX_CONNECTIONS     4L
#define HOST_SIZE           128

struct http_client {
    CURL *curl;
    char *ca;
    char error[CURL_ERROR_SIZE];
    bool headed; /* the answer's header came to its blank line */
};

int http_client_new(const char *ca, struct http_client **ret_client, struct message *message)
{
    struct http_client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return message_set(message, ERR_NO_MEMORY, "out of memory");
    /* Counted and thread-safe in this version; each client holds one. */
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(client);
        return message_set(message, ERR_IO, "the HTTP library does not start");
    }
    client->curl = curl_easy_init();
    client->ca = ca != NULL ? strdup(ca) : NULL;
    if (client->curl == NULL || (ca != NULL && client->ca == NULL)) {
        http_client_free(client);
        return message_set(message, ERR_NO_MEMORY, "out of memory");
    }
    *ret_client = client;
    return 0;
}

void http_client_free(struct http_client *client)
{
    if (client == NULL)
        return;
    curl_easy_cleanup(client->curl);
    curl_global_cleanup();
    free(client->ca);
    free(client);
}

/* ---- called by the library ---- */

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct http_exchange_reply *reply = context;
    size_t len = size * count;
    size_t room = reply->body.limit - reply->body.len;
    buffer_append(&reply->body, data, len < room ? len : room);
    if (len > room)
        reply->cut = true;
    /* Anything but `len` ends the transfer. */
    return reply->cut || buffer_error(&reply->body) != 0 ? 0 : len;
}

/* libcurl takes a header that breaks off for a whole one. */
static size_t on_header(char *data, size_t size, size_t count, void *context)
{
    struct http_client *client = context;
    size_t len = size * count;
    if (len > 0 && (data[0] == '\r' || data[0] == '\n'))
        client->headed = true;
    else if (len >= 5 && memcmp(data, "HTTP/", 5) == 0)
        client->headed = false; /* the next one, after a 1xx; a trailer has no blank line */
    return len;
}

/* Sent bytes that nobody acknowledges end the connection, as silence does. */
static int on_socket(void *context, curl_socket_t fd, curlsocktype purpose)
{
    int timeout_ms = USER_TIMEOUT_MS;
    (void)context;
    (void)purpose;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
    return CURL_SOCKOPT_OK;
}

/* ---- one exchange ---- */

/* The host of a URL, for messages: not the user before it, not the path after it. */
static void host_of(const char *url, char ret_host[HOST_SIZE])
{
    const char *begin = strstr(url, "://");
    begin = begin != NULL ? begin + 3 : url;
    size_t len = strcspn(begin, "/?#");
    for (size_t i = 0; i < len; i++)
        if (begin[i] == '@') {
            begin += i + 1;
            len -= i + 1;
            i = 0;
        }
    if (len >= HOST_SIZE)
        len = HOST_SIZE - 1;
    memcpy(ret_host, begin, len);
    ret_host[len] = '\0';
}

static bool is_token(const char *text)
{
    return text[0] != '\0' &&
           text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                             "0123456789-_")] == '\0';
}

/* "Name: value" on one line. libcurl sends what it is given, line ends and all. */
static bool is_header(const char *line)
{
    size_t name = strcspn(line, ":");
    if (name == 0 || line[name] == '\0' || memchr(line, ' ', name) != NULL)
        return false;
    for (const char *at = line; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            return false;
    return true;
}

static int check(const struct http_exchange_request *request, struct message *message)
{
    if (request->url == NULL || (request->method != NULL && !is_token(request->method)) ||
        (request->user == NULL) != (request->password == NULL))
        return message_set(message, ERR_INVALID, "not an HTTP request: its URL, method or user");
    size_t count = 0;
    for (; request->headers != NULL && request->headers[count] != NULL; count++)
        if (!is_header(request->headers[count]))
            return message_set(message, ERR_INVALID, "header %zu is not \"Name: value\" on a line",
                               count + 1);
    if (count > HTTP_CLIENT_MAX_HEADERS || request->len > HTTP_CLIENT_MAX_BODY ||
        request->max_reply > MAX_REPLY || request->deadline_ms < 0 ||
        request->deadline_ms > DEADLINE_MAX_MS)
        return message_set(message, ERR_RANGE, "HTTP request of %zu bytes: beyond the bounds",
                           request->len);
    return 0;
}

/* Adds a line; false without memory, and the list as it was. */
static bool add_line(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer != NULL)
        *list = longer;
    return longer != NULL;
}

static int make_headers(const struct http_exchange_request *request,
                        struct curl_slist **ret_headers)
{
    struct curl_slist *headers = NULL;
    /* No waiting for "100 Continue", no type that we did not give. */
    bool good = add_line(&headers, "Expect:");
    bool typed = false;
    for (size_t i = 0; request->headers != NULL && request->headers[i] != NULL; i++) {
        typed = typed || strncasecmp(request->headers[i], "Content-Type:", 13) == 0;
        good = good && add_line(&headers, request->headers[i]);
    }
    if (!typed)
        good = good && add_line(&headers, "Content-Type:");
    if (!good) {
        curl_slist_free_all(headers);
        return ERR_NO_MEMORY;
    }
    *ret_headers = headers;
    return 0;
}

static bool set_long(CURL *curl, CURLoption option, long value)
{
    return curl_easy_setopt(curl, option, value) == CURLE_OK;
}

static bool set_text(CURL *curl, CURLoption option, const char *value)
{
    return curl_easy_setopt(curl, option, value) == CURLE_OK;
}

/* What is the same in every exchange. */
static bool set_rules(struct http_client *client)
{
    CURL *curl = client->curl;
    client->error[0] = '\0';
    client->headed = false;
    return curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->error) == CURLE_OK &&
           set_text(curl, CURLOPT_PROTOCOLS_STR, "http,https") &&
           set_long(curl, CURLOPT_FOLLOWLOCATION, 0) && set_text(curl, CURLOPT_PROXY, "") &&
           set_long(curl, CURLOPT_NETRC, CURL_NETRC_IGNORED) &&
           set_long(curl, CURLOPT_DISALLOW_USERNAME_IN_URL, 1) &&
           set_long(curl, CURLOPT_NOSIGNAL, 1) &&
           set_long(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS) &&
           set_long(curl, CURLOPT_LOW_SPEED_LIMIT, 1) &&
           set_long(curl, CURLOPT_LOW_SPEED_TIME, LOW_SPEED_S) &&
           set_long(curl, CURLOPT_TCP_KEEPALIVE, 1) &&
           set_long(curl, CURLOPT_MAXCONNECTS, MAX_CONNECTIONS) &&
           set_long(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1) &&
           set_long(curl, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2) &&
           set_long(curl, CURLOPT_SSL_VERIFYPEER, 1) && set_long(curl, CURLOPT_SSL_VERIFYHOST, 2) &&
           (client->ca == NULL || set_text(curl, CURLOPT_CAINFO, client->ca)) &&
           set_text(curl, CURLOPT_USERAGENT, "chengmai") &&
           curl_easy_setopt(curl, CURLOPT_SOCKOPTFUNCTION, on_socket) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HEADERDATA, client) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK;
}

/* Methods that say how long their body is even where it is empty. */
static bool has_body(const char *method)
{
    return method != NULL && (strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
                              strcmp(method, "PATCH") == 0);
}

static bool set_request(struct http_client *client, const struct http_exchange_request *request,
                        struct curl_slist *headers, struct http_exchange_reply *reply)
{
    CURL *curl = client->curl;
    int64_t deadline_ms = request->deadline_ms != 0 ? request->deadline_ms : DEADLINE_DEFAULT_MS;
    bool good = set_text(curl, CURLOPT_URL, request->url) &&
                set_long(curl, CURLOPT_TIMEOUT_MS, (long)deadline_ms) &&
                curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_WRITEDATA, reply) == CURLE_OK;
    if (request->body != NULL || has_body(request->method))
        good = good &&
               curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->len) ==
                   CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_POSTFIELDS,
                                request->body != NULL ? request->body : "") == CURLE_OK;
    if (request->method != NULL && strcmp(request->method, "HEAD") == 0)
        good = good && set_long(curl, CURLOPT_NOBODY, 1);
    else if (request->method != NULL)
        good = good && set_text(curl, CURLOPT_CUSTOMREQUEST, request->method);
    if (request->user != NULL)
        good = good && set_text(curl, CURLOPT_USERNAME, request->user) &&
               set_text(curl, CURLOPT_PASSWORD, request->password);
    return good;
}

static int err_of(struct http_client *client, CURLcode code)
{
    curl_off_t sent_us = 0;
    if (code == CURLE_OUT_OF_MEMORY)
        return ERR_NO_MEMORY;
    /* The moment before the request is written; 0 when it was never come to. */
    (void)curl_easy_getinfo(client->curl, CURLINFO_PRETRANSFER_TIME_T, &sent_us);
    if (sent_us > 0)
        return code == CURLE_OPERATION_TIMEDOUT ? ERR_TIMEOUT : ERR_IO;
    bool ours = code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL ||
                code == CURLE_LOGIN_DENIED;
    return ours ? ERR_INVALID : ERR_CLOSED;
}

/* Runs what is set up; tells whether there is an answer. */
static int perform(struct http_client *client, const char *url, struct http_exchange_reply *reply,
                   struct message *message)
{
    char host[HOST_SIZE];
    curl_off_t retry_after_s = 0;
    long status = 0;
    CURLcode code = curl_easy_perform(client->curl);
    if (code == CURLE_WRITE_ERROR && reply->cut)
        code = CURLE_OK;
    if (code == CURLE_OK && !client->headed)
        code = CURLE_PARTIAL_FILE;
    if (code != CURLE_OK) {
        host_of(url, host);
        return message_set(message, err_of(client, code), "%s: %s", host,
                           client->error[0] != '\0' ? client->error : curl_easy_strerror(code));
    }
    (void)curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(client->curl, CURLINFO_RETRY_AFTER, &retry_after_s);
    reply->status = (int)status;
    reply->retry_after_s = retry_after_s > 0 ? retry_after_s : 0;
    return 0;
}

int http_exchange(struct http_client *client, const struct http_exchange_request *request,
                  struct http_exchange_reply *ret_reply, struct message *message)
{
    struct curl_slist *headers = NULL;
    struct http_exchange_reply reply = {0};
    buffer_init(&reply.body, request->max_reply != 0 ? request->max_reply : MAX_REPLY_DEFAULT);
    int err = check(request, message);
    if (err == 0 && make_headers(request, &headers) != 0)
        err = message_set(message, ERR_NO_MEMORY, "out of memory");
    if (err != 0)
        goto out;
    curl_easy_reset(client->curl);
    if (!set_rules(client) || !set_request(client, request, headers, &reply)) {
        err = message_set(message, ERR_NO_MEMORY, "the HTTP library refuses its settings");
        goto out;
    }
    err = perform(client, request->url, &reply, message);

out:
    curl_slist_free_all(headers);
    if (err != 0) {
        http_exchange_reply_release(&reply);
        return err;
    }
    http_exchange_reply_release(ret_reply);
    *ret_reply = reply;
    return 0;
}

void http_exchange_reply_release(struct http_exchange_reply *reply)
{
    buffer_release(&reply->body);
    *reply = (struct http_exchange_reply){0};
}
