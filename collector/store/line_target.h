/*
 * How outside stores are talked to: which requests they want, what their answers mean. Pure:
 * whoever owns a connection carries the requests (struct line_exchange) and brings the answers.
 *
 *                    write                     database        since when it runs
 *   influxdb (1.x)   POST /write               made once       GET /debug/vars: "started"
 *   victoriametrics  POST /write               none            GET /metrics: vm_app_start_timestamp
 *   influxdb2 (2, 3) POST /api/v2/write        by a person     not told
 *
 * A target borrows its configuration. It holds a secret: line_target_release wipes it. One thread.
 */
#ifndef STORE_LINE_TARGET_H
#define STORE_LINE_TARGET_H

#include "base/attributes.h"
#include "base/error.h"
#include "model/store_config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINE_SECRET_MAX 1024

struct line_request {
    const char *method, *url;
    const char *const *headers; /* ended by NULL; may be NULL */
    const void *body;           /* NULL: none */
    size_t len;
    const char *user, *password; /* basic authentication; both or neither */
    size_t max_reply;            /* bytes of the answer worth keeping; 0: the carrier's own */
};

/* `body` is valid until the next exchange; it is followed by a NUL. */
struct line_reply {
    int status;
    int64_t retry_after_s; /* 0: nothing said */
    const char *body;
};

/* Carries a request. Negative where there was no answer, with what happened in the message. */
struct line_exchange {
    void *self;
    int (*ask)(void *self, const struct line_request *request, struct line_reply *ret_reply,
               struct message *message);
};

/* What an answer to a write means. */
enum line_verdict {
    LINE_TAKEN,
    LINE_TOO_OLD,     /* taken, but for lines older than the store keeps: they are gone there */
    LINE_REFUSED,     /* a line in it is not good, or none of them */
    LINE_TOO_LARGE,   /* too much at once */
    LINE_SILENT,      /* no answer: all of it again */
    LINE_BUSY,        /* it answers, and takes nothing now: all of it again */
    LINE_UNKEPT,      /* a line that it refuses could not be set aside here: all of it again */
    LINE_DENIED,      /* user, password or token are not accepted */
    LINE_NO_DATABASE, /* there is nowhere to write to */
    LINE_STRANGE,     /* no answer of such a store: is it one? */
};

struct line_target {
    const struct store_config *config;
    bool with_text; /* the store keeps text */
    char write_url[1024], start_url[320], create_url[320], create_body[128];
    char secret[LINE_SECRET_MAX]; /* password or token */
    char authorization[LINE_SECRET_MAX + 32];
    const char *write_headers[3];
};

/* Builds what is the same for every request. ERR_RANGE: organisation or bucket are too long. */
MUST_CHECK int line_target_init(struct line_target *target, const struct store_config *config,
                                struct message *message);
void line_target_release(struct line_target *target);

/* The password or the token; "" for none. ERR_RANGE when too long, ERR_INVALID for a control
 * character in it. */
MUST_CHECK int line_target_set_secret(struct line_target *target, const char *secret,
                                      struct message *message);

struct line_request line_target_write_request(const struct line_target *target, const void *lines,
                                              size_t len);

/* `err`: of the exchange. Says in `why` (always set but for LINE_TAKEN) what was answered, and in
 * `ret_too_old` how many lines, for LINE_TOO_OLD. */
enum line_verdict line_target_judge(const struct line_target *target, int err,
                                    const struct line_reply *reply, uint64_t *ret_too_old,
                                    struct message *why);

/* Can the database be made? Then the request for it, and whether it was made. */
bool line_target_can_create(const struct line_target *target);
struct line_request line_target_create_request(const struct line_target *target);
MUST_CHECK int line_target_created(int err, const struct line_reply *reply, struct message *why);

/* What a store tells of itself. */
struct line_store_state {
    char started[64];     /* when it was started, in its own words; "": it does not say */
    uint64_t thrown_away; /* lines it has answered well and not kept, since its start */
};

/* Is there a request for it? */
bool line_target_tells_start(const struct line_target *target);
struct line_request line_target_start_request(const struct line_target *target);
/* ERR_NOT_FOUND: it answers, and does not tell. ERR_AGAIN: it is busy. Others: no answer. */
MUST_CHECK int line_target_read_state(const struct line_target *target, int err,
                                      const struct line_reply *reply,
                                      struct line_store_state *ret_state, struct message *why);

/* What a person should do about a verdict that holds everything up; "" for others. */
const char *line_target_remedy(const struct line_target *target, enum line_verdict verdict);

/* And about a store that has not answered for a minute; or has answered, and took nothing. */
const char *line_target_silence_remedy(const struct line_target *target);
const char *line_target_busy_remedy(const struct line_target *target);

#endif
