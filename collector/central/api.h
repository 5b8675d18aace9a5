/*
 * The API (INTERFACES 5): routes, who may use them, and their answers. It reads what others own,
 * through `live`, read-only database handles and `office`; it runs on the HTTP server's threads.
 */
#ifndef CENTRAL_API_H
#define CENTRAL_API_H

#include "base/clock.h"
#include "central/live.h"
#include "central/office.h"
#include "central/outside_stores.h"
#include "net/http.h"

/* The centre's figures at one instant, for /health and /metrics. */
struct api_figures {
    uint64_t records, duplicates, points, dead_letters, parked, parked_dropped, receipts;
    uint64_t stored, raised;
    uint64_t historian_lag, alarm_lag;
    uint64_t journal_bytes;
    uint64_t mqtt_dropped;
    uint64_t sent, send_failures;
    struct outside_figures outside[OUTSIDE_STORES_MAX];
    size_t outside_count;
    bool broker_connected;
    int journal_error;
};

struct api {
    struct live *live;
    struct office *office;
    struct clock *clock;
    const char *history_path; /* of history.db, opened read-only per request */
    void (*figures)(void *self, struct api_figures *ret_figures);
    void (*acted)(void *self); /* something was put into the office's outbox */
    void *self;
};

/* An http_handler; `self` is the struct api. */
void api_handle(void *self, const struct http_request *request, struct http_response *response);

#endif
