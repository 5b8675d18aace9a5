/*
 * One HTTP exchange after another, each bounded in time and size: what is asked, what is answered.
 * It knows nothing of what it carries. http and https alone; no redirect is followed, no proxy,
 * cookie or .netrc is used; the environment changes nothing.
 *
 * A client belongs to one thread, whose calls block until the deadline at the latest; it keeps
 * connections open for its next exchange. What a request points to stays the caller's.
 */
#ifndef NET_HTTP_CLIENT_H
#define NET_HTTP_CLIENT_H

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_CLIENT_MAX_BODY    (4 * 1024 * 1024) /* of a request */
#define HTTP_CLIENT_MAX_HEADERS 16

struct http_client;

struct http_exchange_request {
    const char *method; /* NULL: POST where there is a body, else GET */
    const char *url;
    const char *const *headers; /* "Name: value", ended by NULL; may be NULL */
    const void *body;           /* NULL: none */
    size_t len;
    const char *user, *password; /* basic authentication; both or neither */
    int64_t deadline_ms;         /* for all of it; 0: 15 s */
    size_t max_reply;            /* bytes of the body that are kept; 0: 64 KiB */
};

/* Zero-initialised before its first use; may be used again. */
struct http_exchange_reply {
    int status;
    struct buffer body;
    bool cut;              /* the body was longer than max_reply: its beginning is kept */
    int64_t retry_after_s; /* what the other side asks us to wait; 0: nothing said */
};

/* `ca` (may be NULL: the system's) is a PEM file with the authorities that are believed. Copied.
 * ERR_NO_MEMORY, ERR_IO. */
MUST_CHECK int http_client_new(const char *ca, struct http_client **ret_client,
                               struct message *message);
void http_client_free(struct http_client *client);

/*
 * 0: there is an answer, whatever its status. ERR_CLOSED: nobody was reached, nothing was sent
 * (also where a certificate is not believed). ERR_TIMEOUT, ERR_IO: it ended without an answer, and
 * the other side may have acted on it. ERR_INVALID, ERR_RANGE: no request of ours, not tried.
 * The message names the host, never the rest of the URL, which may hold a secret.
 */
MUST_CHECK int http_exchange(struct http_client *client,
                             const struct http_exchange_request *request,
                             struct http_exchange_reply *ret_reply, struct message *message);
void http_exchange_reply_release(struct http_exchange_reply *reply);

#endif
