#include "net/mqtt_inbox.h"

#include "base/queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void release_report(void *pointer)
{
    struct mqtt_report *report = pointer;
    mqtt_event_release(&report->event);
}

int mqtt_inbox_init(struct mqtt_inbox *inbox, size_t messages_max, size_t bytes_max, size_t others)
{
    *inbox = (struct mqtt_inbox){.messages_max = messages_max, .bytes_max = bytes_max};
    pthread_mutex_init(&inbox->lock, NULL);
    inbox->queue = queue_new(messages_max + others, sizeof(struct mqtt_report), release_report);
    inbox->held = queue_new(messages_max, sizeof(struct mqtt_report), release_report);
    return inbox->queue && inbox->held ? 0 : ERR_NO_MEMORY;
}

void mqtt_inbox_release(struct mqtt_inbox *inbox)
{
    queue_free(inbox->queue);
    queue_free(inbox->held);
    pthread_mutex_destroy(&inbox->lock);
}

static bool admit(struct mqtt_inbox *inbox, size_t len)
{
    if (atomic_fetch_add(&inbox->messages, 1) < inbox->messages_max) {
        if (atomic_fetch_add(&inbox->bytes, len) + len <= inbox->bytes_max)
            return true;
        atomic_fetch_sub(&inbox->bytes, len);
    }
    atomic_fetch_sub(&inbox->messages, 1);
    return false;
}

static void retire(struct mqtt_inbox *inbox, const struct mqtt_report *report)
{
    if (report->kind != REPORT_MESSAGE)
        return;
    atomic_fetch_sub(&inbox->bytes, report->event.len);
    atomic_fetch_sub(&inbox->messages, 1);
}

void mqtt_inbox_push(struct mqtt_inbox *inbox, const struct mqtt_report *report)
{
    struct mqtt_report copy = *report;
    if (queue_push(inbox->queue, &copy)) {
        retire(inbox, &copy);
        release_report(&copy);
        atomic_fetch_add(&inbox->dropped, 1);
    }
}

void mqtt_inbox_push_message(struct mqtt_inbox *inbox, const char *topic, size_t topic_len,
                             const void *payload, size_t len, bool retained)
{
    struct mqtt_report report = {.kind = REPORT_MESSAGE};
    if (!admit(inbox, len)) {
        atomic_fetch_add(&inbox->dropped, 1);
        return;
    }
    report.event.kind = MQTT_MESSAGE;
    report.event.retained = retained;
    report.event.len = len;
    report.event.topic = strndup(topic, topic_len);
    report.event.payload = malloc(len + 1);
    if (!report.event.topic || !report.event.payload) {
        retire(inbox, &report);
        release_report(&report);
        atomic_fetch_add(&inbox->dropped, 1);
        return;
    }
    if (len)
        memcpy(report.event.payload, payload, len);
    report.event.payload[len] = '\0';
    mqtt_inbox_push(inbox, &report);
}

void mqtt_inbox_set_reason(struct mqtt_inbox *inbox, const char *text, size_t len)
{
    pthread_mutex_lock(&inbox->lock);
    if (len >= sizeof(inbox->reason))
        len = sizeof(inbox->reason) - 1;
    memcpy(inbox->reason, text, len);
    inbox->reason[len] = '\0';
    inbox->reason[strcspn(inbox->reason, "\r\n")] = '\0';
    pthread_mutex_unlock(&inbox->lock);
}

void mqtt_inbox_push_end(struct mqtt_inbox *inbox, const char *text)
{
    struct mqtt_report report = {.kind = REPORT_ENDED};
    pthread_mutex_lock(&inbox->lock);
    snprintf(report.event.text, sizeof(report.event.text), "%s%s%s", text,
             *text && inbox->reason[0] ? ": " : "", inbox->reason);
    inbox->reason[0] = '\0';
    pthread_mutex_unlock(&inbox->lock);
    mqtt_inbox_push(inbox, &report);
}

int mqtt_inbox_take(struct mqtt_inbox *inbox, struct mqtt_report *ret_report)
{
    if (queue_pop(inbox->queue, ret_report))
        return ERR_AGAIN;
    retire(inbox, ret_report);
    return 0;
}

void mqtt_inbox_hold(struct mqtt_inbox *inbox, const struct mqtt_report *report)
{
    struct mqtt_report copy = *report;
    atomic_fetch_add(&inbox->messages, 1);
    atomic_fetch_add(&inbox->bytes, report->event.len);
    if (queue_push(inbox->held, &copy)) {
        retire(inbox, &copy);
        release_report(&copy);
        atomic_fetch_add(&inbox->dropped, 1);
    }
}

int mqtt_inbox_take_held(struct mqtt_inbox *inbox, struct mqtt_report *ret_report)
{
    if (queue_pop(inbox->held, ret_report))
        return ERR_AGAIN;
    retire(inbox, ret_report);
    return 0;
}

void mqtt_inbox_drop_held(struct mqtt_inbox *inbox)
{
    struct mqtt_report report;
    while (!mqtt_inbox_take_held(inbox, &report)) {
        release_report(&report);
        atomic_fetch_add(&inbox->dropped, 1);
    }
}

int mqtt_inbox_fd(struct mqtt_inbox *inbox)
{
    return queue_fd(inbox->queue);
}

uint64_t mqtt_inbox_dropped(struct mqtt_inbox *inbox)
{
    return atomic_load(&inbox->dropped);
}
