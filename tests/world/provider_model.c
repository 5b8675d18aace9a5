#include "tests/world/provider_model.h"

#include "net/http_client.h"

#include <stdlib.h>
#include <string.h>

/* The client of the product has no owner to ask: one provider at a time is there. */
static struct provider *there;

void provider_init(struct provider *provider)
{
    *provider = (struct provider){0};
    there = provider;
}

void provider_release(struct provider *provider)
{
    for (size_t i = 0; i < provider->taken_count; i++)
        free(provider->taken[i].body);
    free(provider->taken);
    there = NULL;
}

static void remember(struct provider *provider, const void *body, size_t len, bool answered)
{
    struct taken *taken =
        reallocarray(provider->taken, provider->taken_count + 1, sizeof(*provider->taken));
    char *copy = malloc(len + 1);
    if (!taken || !copy)
        abort();
    memcpy(copy, body, len);
    provider->taken = taken;
    taken[provider->taken_count++] = (struct taken){copy, len, answered};
}

/* ---- in the place of net/http_client.c ---- */

int http_client_new(const char *ca, struct http_client **ret_client, struct message *message)
{
    (void)ca, (void)message;
    *ret_client = NULL;
    return 0;
}

void http_client_free(struct http_client *client)
{
    (void)client;
}

void http_exchange_reply_release(struct http_exchange_reply *reply)
{
    *reply = (struct http_exchange_reply){0};
}

int http_exchange(struct http_client *client, const struct http_exchange_request *request,
                  struct http_exchange_reply *ret_reply, struct message *message)
{
    (void)client;
    there->asked[there->mode]++;
    switch (there->mode) {
    case PROVIDER_TIMES_OUT:
        there->slow = true;
        return message_set(message, ERR_TIMEOUT, "no answer in time");
    case PROVIDER_HALF:
        remember(there, request->body, request->len, false);
        return message_set(message, ERR_CLOSED, "the connection ended before the answer");
    case PROVIDER_500:
        ret_reply->status = 500;
        return 0;
    case PROVIDER_WELL:
    case PROVIDER_FORGETS:
    case PROVIDER_MODE_COUNT:
        break;
    }
    ret_reply->status = 200;
    remember(there, request->body, request->len, true);
    return 0;
}
