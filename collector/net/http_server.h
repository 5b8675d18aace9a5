/*
 * An HTTP/1.1 server: a thread per connection, bounded in number, size and time. It knows nothing
 * of what it serves: a handler fills the response.
 *
 * It has no TLS, so it listens on this machine alone; a proxy with TLS may stand before it. The
 * handler runs on many threads at once and may take its time (other connections go on); it never
 * sees a request that is not whole, too large, or whose path is not plain text. `self` outlives the
 * server.
 *
 * Every response that the handler, or this file, makes carries the security headers; the few that
 * the library makes itself (headers it cannot parse or that are too large) are fixed texts.
 */
#ifndef NET_HTTP_SERVER_H
#define NET_HTTP_SERVER_H

#include "base/attributes.h"
#include "base/error.h"
#include "base/sockets.h"
#include "net/http.h"

#include <stdint.h>

struct http_server;

/* Fills the response; one left empty becomes 500. HEAD looks like GET. */
typedef void http_handler(void *self, const struct http_request *request,
                          struct http_response *response);

/* 0 anywhere: the number given. */
struct http_server_options {
    struct endpoint endpoint; /* port 0: a free one */
    http_handler *handle;
    void *self;
    const char *static_folder;    /* its files go before the handler; NULL: none */
    unsigned int max_connections; /* 256 */
    unsigned int max_per_address; /* 64 */
    unsigned int max_streams;     /* 48: fewer than an address has connections */
    unsigned int idle_ms;         /* 10 s without a byte; whole seconds, at least one */
    unsigned int request_ms;  /* 10 s from the connection, or its first line, to the last byte */
    unsigned int response_ms; /* 60 s until the client has taken the response */
    uint64_t max_body;        /* 256 KiB */
};

/* ERR_DENIED when asked to listen beyond this machine; ERR_INVALID; ERR_IO; ERR_NO_MEMORY. */
MUST_CHECK int http_server_start(const struct http_server_options *options,
                                 struct http_server **ret_server, struct message *message);

uint16_t http_server_port(const struct http_server *server);

/* Ends streams and connections, waits for running handlers, frees. NULL is fine. */
void http_server_stop(struct http_server *server);

struct http_server_status {
    unsigned int connections, streams;
    uint64_t requests, cut; /* answered by the handler; connections cut for being late */
};
void http_server_get_status(struct http_server *server, struct http_server_status *ret_status);

#endif
