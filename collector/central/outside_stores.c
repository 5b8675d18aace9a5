#include "central/outside_stores.h"

#include "net/http_client.h"
#include "store/line_batch.h"

#include <stdatomic.h>
#include <stdlib.h>

_Static_assert(LINE_BATCH_BYTES <= HTTP_CLIENT_MAX_BODY, "a batch is a request's body");

struct outside_store {
    const struct store_config *config;
    struct http_client *client;
    struct http_exchange_reply reply;
    struct outside_historian *historian;
    struct worker *worker;
    _Atomic bool stopping;
};

struct outside_stores {
    struct outside_store list[OUTSIDE_STORES_MAX];
    size_t count;
};

/* A line_exchange over the store's own connection. */
static int ask(void *self, const struct line_request *request, struct line_reply *ret_reply,
               struct message *message)
{
    struct outside_store *store = self;
    struct http_exchange_request exchange = {.method = request->method,
                                             .url = request->url,
                                             .headers = request->headers,
                                             .body = request->body,
                                             .len = request->len,
                                             .user = request->user,
                                             .password = request->password,
                                             .max_reply = request->max_reply,
                                             .deadline_ms = OUTSIDE_DEADLINE_MS};
    if (atomic_load(&store->stopping))
        return message_set(message, ERR_CLOSED, "this program stops");
    int err = http_exchange(store->client, &exchange, &store->reply, message);
    if (!err)
        *ret_reply = (struct line_reply){.status = store->reply.status,
                                         .retry_after_s = store->reply.retry_after_s,
                                         .body = buffer_text(&store->reply.body)};
    return err;
}

static int open_one(struct outside_store *store, const struct store_config *config,
                    const struct outside_options *common, struct message *message)
{
    struct outside_options options = *common;
    store->config = config;
    atomic_init(&store->stopping, false);
    options.config = config;
    options.exchange = (struct line_exchange){store, ask};
    int err = http_client_new(config->ca[0] ? config->ca : NULL, &store->client, message);
    return err ? err : outside_historian_open(&options, &store->historian, message);
}

int outside_stores_open(const struct central_config *config, struct journal *journal,
                        const char *history_path, struct outside_stores **ret_stores,
                        struct message *message)
{
    struct outside_options common = {
        .journal = journal, .folder = config->data, .history_path = history_path};
    struct outside_stores *stores = calloc(1, sizeof(*stores));
    int err = stores ? 0 : message_set(message, ERR_NO_MEMORY, "stores: out of memory");
    for (size_t i = 0; !err && i < config->store_count; i++)
        if (config->stores[i].kind != STORE_EMBEDDED)
            err = open_one(&stores->list[stores->count++], &config->stores[i], &common, message);
    if (err) {
        outside_stores_close(stores);
        return err;
    }
    *ret_stores = stores;
    return 0;
}

void outside_stores_close(struct outside_stores *stores)
{
    if (!stores)
        return;
    for (size_t i = 0; i < stores->count; i++) {
        outside_historian_close(stores->list[i].historian);
        http_exchange_reply_release(&stores->list[i].reply);
        http_client_free(stores->list[i].client);
    }
    free(stores);
}

int outside_stores_start(struct outside_stores *stores, struct clock *clock,
                         struct message *message)
{
    for (size_t i = 0; i < stores->count; i++) {
        struct outside_store *store = &stores->list[i];
        store->worker =
            worker_start("outside-store", outside_historian_step, store->historian, clock, -1);
        if (!store->worker)
            return message_set(message, ERR_NO_MEMORY, "cannot start a thread");
    }
    return 0;
}

void outside_stores_stop(struct outside_stores *stores)
{
    if (!stores)
        return;
    for (size_t i = 0; i < stores->count; i++)
        atomic_store(&stores->list[i].stopping, true);
    for (size_t i = 0; i < stores->count; i++) {
        worker_stop(stores->list[i].worker);
        stores->list[i].worker = NULL;
    }
}

void outside_stores_wake(struct outside_stores *stores)
{
    if (!stores)
        return;
    for (size_t i = 0; i < stores->count; i++)
        if (stores->list[i].worker)
            worker_wake(stores->list[i].worker);
}

size_t outside_stores_figures(struct outside_stores *stores,
                              struct outside_figures ret_figures[OUTSIDE_STORES_MAX])
{
    if (!stores)
        return 0;
    for (size_t i = 0; i < stores->count; i++) {
        ret_figures[i].name = stores->list[i].config->name;
        outside_historian_get_status(stores->list[i].historian, &ret_figures[i].status);
    }
    return stores->count;
}
