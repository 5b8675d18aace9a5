#include "central/api_stream.h"

#include "base/numbers.h"

#include <stdlib.h>
#include <string.h>

#define HEARTBEAT_MS 1900
#define EVENTS_LIMIT (16 * 1024 * 1024)

struct subscriber {
    const struct api *api;
    uint64_t version; /* what it knows; 0: nothing */
    struct buffer pending;
    size_t sent;
};

/* Nothing new within the time: the page must know that we are there. */
static void write_heartbeat(const struct api *api, struct buffer *out)
{
    char text[TIME_TEXT_SIZE];
    time_format_utc(clock_read(api->clock).wall_ms, text);
    buffer_printf(out, "event: heartbeat\ndata: {\"now\":\"%s\"}\n\n", text);
}

static ssize_t read_stream(void *self, char *bytes, size_t size)
{
    struct subscriber *subscriber = self;
    const struct api *api = subscriber->api;
    if (subscriber->sent == subscriber->pending.len) {
        buffer_clear(&subscriber->pending);
        subscriber->sent = 0;
        if (subscriber->version && !live_wait(api->live, subscriber->version, HEARTBEAT_MS))
            return -1;
        live_write_events(api->live, clock_read(api->clock), &subscriber->version,
                          &subscriber->pending);
        if (!subscriber->pending.len)
            write_heartbeat(api, &subscriber->pending);
        if (buffer_error(&subscriber->pending))
            return -1;
    }
    size_t left = subscriber->pending.len - subscriber->sent;
    size_t len = left < size ? left : size;
    memcpy(bytes, subscriber->pending.data + subscriber->sent, len);
    subscriber->sent += len;
    return (ssize_t)len;
}

static void end_stream(void *self)
{
    struct subscriber *subscriber = self;
    buffer_release(&subscriber->pending);
    free(subscriber);
}

/* "RUN-VERSION" of this run; anything else means: from the beginning. */
static uint64_t parse_last_id(const struct api *api, const char *id)
{
    const char *run = live_run(api->live);
    size_t len = strlen(run);
    uint64_t version;
    if (!id || strncmp(id, run, len) != 0 || id[len] != '-' ||
        parse_u64(id + len + 1, 1, UINT64_MAX, &version))
        return 0;
    return version;
}

void api_stream(const struct api *api, const struct http_request *request,
                struct http_response *response)
{
    struct subscriber *subscriber = calloc(1, sizeof(*subscriber));
    if (!subscriber) {
        http_problem(response, 503, "Out of memory", NULL);
        return;
    }
    subscriber->api = api;
    subscriber->version = parse_last_id(api, http_header(request, "Last-Event-ID"));
    buffer_init(&subscriber->pending, EVENTS_LIMIT);
    struct http_stream stream = {read_stream, end_stream, subscriber};
    http_event_stream(response, stream);
}
