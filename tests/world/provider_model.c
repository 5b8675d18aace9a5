#include "tests/world/provider_model.h"

#include "net/http_client.h"

#include <stdlib.h>

/* The client of the product has no owner to ask: one provider at a time is there. */
static struct provider *there;

void provider_init(struct provider *provider)
{
    *provider = (struct provider){0};
    there = provider;
}

void provider_release(struct provider *provider)
{
    free(provider->taken);
    there = NULL;
}

uint64_t provider_hash(const void *body, size_t len)
{
    const uint8_t *bytes = body;
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    return hash;
}

bool provider_took(const struct provider *provider, const void *body, size_t len)
{
    uint64_t hash = provider_hash(body, len);
    for (size_t i = 0; i < provider->taken_count; i++)
        if (provider->taken[i] == hash)
            return true;
    return false;
}

static void remember(struct provider *provider, const void *body, size_t len)
{
    uint64_t *taken =
        reallocarray(provider->taken, provider->taken_count + 1, sizeof(*provider->taken));
    if (!taken)
        abort();
    provider->taken = taken;
    taken[provider->taken_count++] = provider_hash(body, len);
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
    remember(there, request->body, request->len);
    return 0;
}
