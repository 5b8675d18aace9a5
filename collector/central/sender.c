#include "central/sender.h"

#include "base/log.h"
#include "base/text.h"
#include "model/record.h"
#include "net/http_client.h"
#include "store/events_db.h"
#include "store/sender_db.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TAKEN_AT_ONCE  100
#define SENT_AT_ONCE   20
#define LOOK_AGAIN_US  (1 * (int64_t)US_PER_S)
#define DEADLINE_MS    10000
#define RETRY_FIRST_MS 2000
#define RETRY_MAX_MS   SENDER_MAX_WAIT_MS
#define GIVE_UP_MS     (7 * 24 * 3600 * (int64_t)MS_PER_S)
/* Nor before so many tries: a clock that jumped, or a week switched off, is no trying. */
#define GIVE_UP_TRIES 20
#define RECIPIENT     "webhook"

struct sender {
    struct sender_options options;
    struct sender_db *db;
    struct events_db *events;
    struct http_client *client;
    struct complaint complaints[CENTRAL_WEBHOOKS_MAX];
    bool silent[CENTRAL_WEBHOOKS_MAX]; /* it gave no answer in this step */
    struct complaint db_complaint;
    pthread_mutex_t lock; /* guards status */
    struct sender_status status;
    _Atomic uint64_t journaled; /* the outbox's entries up to it are in the journal */
    uint64_t deleted;
};

int sender_open(const struct sender_options *options, struct sender **ret_sender,
                struct message *message)
{
    struct sender *sender = calloc(1, sizeof(*sender));
    if (!sender)
        return message_set(message, ERR_NO_MEMORY, "sender: out of memory");
    sender->options = *options;
    pthread_mutex_init(&sender->lock, NULL);
    struct db_options writer = {.path = options->path, .mode = DB_WRITER};
    struct db_options reader = {.path = options->events_path, .mode = DB_READER};
    int err = sender_db_open(&writer, &sender->db, NULL, message);
    if (!err)
        err = events_db_open(&reader, &sender->events, NULL, message);
    if (!err)
        err = http_client_new(NULL, &sender->client, message);
    if (err) {
        sender_close(sender);
        return err;
    }
    *ret_sender = sender;
    return 0;
}

void sender_close(struct sender *sender)
{
    if (!sender)
        return;
    http_client_free(sender->client);
    events_db_close(sender->events);
    sender_db_close(sender->db);
    pthread_mutex_destroy(&sender->lock);
    free(sender);
}

static int end(struct sender *sender, int err, struct message *message)
{
    if (!err)
        return sender_db_commit(sender->db, message);
    sender_db_rollback(sender->db);
    return err;
}

/* ---- taking notifications over ---- */

struct taking {
    struct sender *sender;
    uint64_t last;
    struct message *message;
};

static int take_one(void *self, const struct event_notification *row)
{
    struct taking *taking = self;
    taking->last = row->id;
    int err = 0;
    for (size_t i = 0; !err && i < taking->sender->options.webhook_count; i++) {
        struct delivery delivery = {
            .notification = row->id, .state = DELIVERY_PENDING, .changed_ms = row->t_ms};
        bool added;
        err = text_copy(delivery.key, sizeof(delivery.key), row->key);
        if (!err)
            err = text_copy(delivery.recipient, sizeof(delivery.recipient), RECIPIENT);
        if (!err)
            err = text_copy(delivery.channel, sizeof(delivery.channel),
                            taking->sender->options.webhooks[i].name);
        if (!err)
            err = sender_db_add(taking->sender->db, &delivery, &added, taking->message);
    }
    return err;
}

static int take_notifications(struct sender *sender, struct message *message)
{
    uint64_t cursor = 0;
    int err = sender_db_cursor(sender->db, &cursor, message);
    if (!err)
        err = sender_db_begin(sender->db, message);
    if (err)
        return err;
    struct taking taking = {sender, cursor, message};
    err =
        events_db_notifications(sender->events, cursor, TAKEN_AT_ONCE, take_one, &taking, message);
    if (!err)
        err = sender_db_set_cursor(sender->db, taking.last, message);
    return end(sender, err, message);
}

/* ---- sending ---- */

struct notification {
    struct buffer payload;
    int64_t t_ms; /* when it was raised */
};

static int copy_notification(void *self, const struct event_notification *row)
{
    struct notification *notification = self;
    buffer_append(&notification->payload, row->payload, row->payload_len);
    notification->t_ms = row->t_ms;
    return 0;
}

static const struct webhook_config *find_webhook(const struct sender *sender, const char *name,
                                                 size_t *ret_index)
{
    for (size_t i = 0; i < sender->options.webhook_count; i++)
        if (strcmp(sender->options.webhooks[i].name, name) == 0) {
            *ret_index = i;
            return &sender->options.webhooks[i];
        }
    return NULL;
}

/* What came of the exchange, in a word: "http_200", "timeout", "closed". */
static bool post(struct sender *sender, size_t webhook, const struct buffer *payload,
                 char verdict[64], struct message *message)
{
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    struct http_exchange_request request = {.url = sender->options.webhooks[webhook].url,
                                            .headers = headers,
                                            .body = payload->data,
                                            .len = payload->len,
                                            .deadline_ms = DEADLINE_MS};
    struct http_exchange_reply reply = {0};
    int err = http_exchange(sender->client, &request, &reply, message);
    if (err)
        snprintf(verdict, 64, "%s", err_name(err));
    else
        snprintf(verdict, 64, "http_%d", reply.status);
    sender->silent[webhook] = err != 0;
    bool accepted = !err && reply.status >= 200 && reply.status < 300;
    if (!err && !accepted)
        message_set(message, ERR_DENIED, "it answered with status %d", reply.status);
    http_exchange_reply_release(&reply);
    return accepted;
}

static int append_verdict(struct sender *sender, struct now now, const struct delivery *delivery,
                          struct message *message)
{
    struct outbox *outbox = sender_db_outbox(sender->db);
    struct outbox_entry entry;
    int err = outbox_next(outbox, &entry, message);
    if (err)
        return err;
    struct record_head head = {.kind = RECORD_VERDICT,
                               .stream = STREAM_A,
                               .seq = entry.seq,
                               .mono_us = now.mono_us,
                               .sync = now.sync,
                               .t0_ms = now.wall_ms};
    struct record_verdict verdict = {.attempt = delivery->attempts};
    memcpy(head.epoch, entry.epoch, sizeof(head.epoch));
    (void)!text_copy(head.boot, sizeof(head.boot), sender->options.boot);
    (void)!text_copy(verdict.key, sizeof(verdict.key), delivery->key);
    (void)!text_copy(verdict.channel, sizeof(verdict.channel), delivery->channel);
    (void)!text_copy(verdict.verdict, sizeof(verdict.verdict), delivery->verdict);
    struct buffer payload;
    buffer_init(&payload, OUTBOX_MAX_PAYLOAD);
    record_write_verdict(&payload, &head, &verdict);
    err = buffer_error(&payload);
    if (!err)
        err = outbox_append(outbox, payload.data, payload.len, message);
    buffer_release(&payload);
    return err;
}

static int64_t retry_ms(uint32_t attempts)
{
    int64_t delay_ms = RETRY_FIRST_MS;
    for (uint32_t i = 1; i < attempts && delay_ms < RETRY_MAX_MS; i++)
        delay_ms *= 2;
    return delay_ms < RETRY_MAX_MS ? delay_ms : RETRY_MAX_MS;
}

/* The delivery's new state and its verdict, in one transaction. Where the webhook takes one, it
 * takes the others too: what waits after failures of before must not wait on. */
static int book(struct sender *sender, struct now now, struct delivery *delivery, bool accepted,
                int64_t raised_ms, struct message *message)
{
    delivery->attempts++;
    delivery->changed_ms = now.wall_ms;
    delivery->next_ms = now.wall_ms + retry_ms(delivery->attempts);
    if (accepted)
        delivery->state = DELIVERY_ACCEPTED;
    else if (now.wall_ms - raised_ms > GIVE_UP_MS && delivery->attempts >= GIVE_UP_TRIES)
        delivery->state = DELIVERY_GIVEN_UP;
    int err = sender_db_begin(sender->db, message);
    if (err)
        return err;
    err = sender_db_update(sender->db, delivery, message);
    if (!err)
        err = append_verdict(sender, now, delivery, message);
    if (!err && accepted)
        err = sender_db_hasten(sender->db, delivery->channel, now.wall_ms, message);
    err = end(sender, err, message);
    pthread_mutex_lock(&sender->lock);
    sender->status.accepted += !err && accepted;
    sender->status.failed += !accepted;
    sender->status.given_up += !err && delivery->state == DELIVERY_GIVEN_UP;
    pthread_mutex_unlock(&sender->lock);
    return err;
}

static int send_one(struct sender *sender, struct now now, struct delivery *delivery,
                    struct message *message)
{
    size_t index = 0;
    const struct webhook_config *webhook = find_webhook(sender, delivery->channel, &index);
    struct notification notification = {.t_ms = now.wall_ms};
    struct message trouble = {""};
    bool accepted = false;
    if (webhook && sender->silent[index])
        return 0; /* the others are not to wait for its deadline once more */
    buffer_init(&notification.payload, EVENTS_MAX_PAYLOAD);
    int err = events_db_notifications(sender->events, delivery->notification - 1, 1,
                                      copy_notification, &notification, message);
    if (!err && webhook)
        accepted = post(sender, index, &notification.payload, delivery->verdict, &trouble);
    else if (!err)
        snprintf(delivery->verdict, sizeof(delivery->verdict), "no such webhook any more");
    buffer_release(&notification.payload);
    if (err)
        return err;
    if (webhook && accepted)
        complaint_clear(&sender->complaints[index], now.mono_us, "sender",
                        "webhook %s takes notifications again", webhook->name);
    else if (webhook)
        complaint_raise(&sender->complaints[index], now.mono_us, "sender",
                        "webhook %s did not take a notification: %s", webhook->name, trouble.text);
    return book(sender, now, delivery, accepted, notification.t_ms, message);
}

static int send_due(struct sender *sender, struct now now, struct message *message)
{
    struct delivery due[SENT_AT_ONCE];
    size_t count = 0;
    memset(sender->silent, 0, sizeof(sender->silent));
    int err = sender_db_due(sender->db, now.wall_ms, due, SENT_AT_ONCE, &count, message);
    for (size_t i = 0; !err && i < count; i++)
        err = send_one(sender, now, &due[i], message);
    return err;
}

void sender_journaled(struct sender *sender, uint64_t id)
{
    atomic_store(&sender->journaled, id);
}

static int delete_journaled(struct sender *sender, struct message *message)
{
    uint64_t id = atomic_load(&sender->journaled);
    if (id == sender->deleted)
        return 0;
    int err = sender_db_begin(sender->db, message);
    if (!err)
        err = end(sender, outbox_delete(sender_db_outbox(sender->db), id, message), message);
    if (!err)
        sender->deleted = id;
    return err;
}

int64_t sender_step(void *self, struct now now)
{
    struct sender *sender = self;
    struct message message = {""};
    int err = delete_journaled(sender, &message);
    if (!err)
        err = take_notifications(sender, &message);
    if (!err)
        err = send_due(sender, now, &message);
    if (err)
        complaint_raise(&sender->db_complaint, now.mono_us, "sender", "%s",
                        message.text[0] ? message.text : err_name(err));
    else
        complaint_clear(&sender->db_complaint, now.mono_us, "sender", "goes on");
    return now.mono_us + LOOK_AGAIN_US;
}

void sender_get_status(struct sender *sender, struct sender_status *ret_status)
{
    pthread_mutex_lock(&sender->lock);
    *ret_status = sender->status;
    pthread_mutex_unlock(&sender->lock);
}
