/* The sender against a webhook of our own server, on virtual time. */
#include "central/sender.h"

#include "net/http_server.h"
#include "store/events_db.h"
#include "store/sender_db.h"
#include "tests/unit/support/db_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define T0 1767576600000

struct duty {
    void *place; /* struct db_folder */
    char path[128];
    struct http_server *server;
    _Atomic int status, asked; /* what the webhook answers, and how often it was asked */
    struct events_db *events;
    struct sender *sender;
    struct webhook_config webhook;
    struct now now;
};

static void answer(void *self, const struct http_request *request, struct http_response *response)
{
    struct duty *duty = self;
    (void)request;
    atomic_fetch_add(&duty->asked, 1);
    (void)http_begin(response, atomic_load(&duty->status), NULL);
}

static int teardown(void **state)
{
    struct duty *duty = *state;
    sender_close(duty->sender);
    events_db_close(duty->events);
    http_server_stop(duty->server);
    int err = db_folder_teardown(&duty->place);
    free(duty);
    return err;
}

static int setup(void **state)
{
    struct duty *duty = calloc(1, sizeof(*duty));
    if (!duty || db_folder_setup(&duty->place))
        return -1;
    *state = duty;
    duty->now = (struct now){.wall_ms = T0};
    const struct db_folder *place = duty->place;
    struct http_server_options server = {
        .endpoint = {"127.0.0.1", 0}, .handle = answer, .self = duty, .max_body = 4096};
    struct db_options events = {.path = place->path, .mode = DB_WRITER};
    struct sender_options options = {.path = duty->path,
                                     .events_path = place->path,
                                     .boot = "00112233445566778899aabbccddeeff",
                                     .webhooks = &duty->webhook,
                                     .webhook_count = 1};
    snprintf(duty->path, sizeof(duty->path), "%s/sender.db", place->folder);
    if (http_server_start(&server, &duty->server, NULL) ||
        events_db_open(&events, &duty->events, NULL, NULL))
        return -1;
    snprintf(duty->webhook.name, sizeof(duty->webhook.name), "duty");
    snprintf(duty->webhook.url, sizeof(duty->webhook.url), "http://127.0.0.1:%u/",
             (unsigned)http_server_port(duty->server));
    return sender_open(&options, &duty->sender, NULL);
}

static void raise_alarm(struct duty *duty, const char *key)
{
    struct event_notification row = {.key = key,
                                     .alarm = "ch4-high",
                                     .occurrence = 1,
                                     .kind = "raise",
                                     .priority = "high",
                                     .t_ms = duty->now.wall_ms,
                                     .payload = "{}",
                                     .payload_len = 2};
    assert_int_equal(events_db_begin(duty->events, NULL), 0);
    assert_int_equal(events_db_add_notification(duty->events, &row, NULL, NULL), 0);
    assert_int_equal(events_db_commit(duty->events, NULL), 0);
}

/* Steps each second. */
static void pass(struct duty *duty, int seconds)
{
    for (int i = 0; i < seconds; i++) {
        duty->now.wall_ms += MS_PER_S;
        duty->now.mono_us += US_PER_S;
        (void)sender_step(duty->sender, duty->now);
    }
}

static uint64_t accepted(struct duty *duty)
{
    struct sender_status status;
    sender_get_status(duty->sender, &status);
    return status.accepted;
}

static void what_waits_goes_as_soon_as_another_is_taken(void **state)
{
    struct duty *duty = *state;
    duty->status = 500;
    raise_alarm(duty, "n1");
    pass(duty, 1200); /* the next try is minutes away */
    int tries = duty->asked;
    assert_true(tries > 2);
    duty->status = 200;
    pass(duty, 5);
    assert_int_equal(duty->asked, tries);
    raise_alarm(duty, "n2");
    pass(duty, 2);
    assert_int_equal(accepted(duty), 2);
    assert_int_equal(duty->asked, tries + 2);
}

static void nobody_learns_later_than_ten_minutes_after_the_webhook_is_well(void **state)
{
    struct duty *duty = *state;
    duty->status = 500;
    raise_alarm(duty, "n1");
    pass(duty, 8000);
    assert_int_equal(accepted(duty), 0);
    duty->status = 200;
    pass(duty, 601);
    assert_int_equal(accepted(duty), 1);
}

static void a_silent_webhook_is_asked_once_in_a_step(void **state)
{
    struct duty *duty = *state;
    struct sender_status status;
    http_server_stop(duty->server);
    duty->server = NULL;
    for (int i = 0; i < 3; i++)
        raise_alarm(duty, (const char *[]){"n1", "n2", "n3"}[i]);
    pass(duty, 1);
    sender_get_status(duty->sender, &status);
    assert_int_equal(status.failed, 1);
    pass(duty, 1);
    sender_get_status(duty->sender, &status);
    assert_int_equal(status.failed, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_waits_goes_as_soon_as_another_is_taken),
        TEST(nobody_learns_later_than_ten_minutes_after_the_webhook_is_well),
        TEST(a_silent_webhook_is_asked_once_in_a_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
