/* The MQTT client against a scripted broker: what a real one says rarely, and never on demand. */
#include "net/mqtt.h"

#include "base/crypto.h"
#include "base/sockets.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MS 20000

enum packet { CONNECT = 1, PUBLISH = 3, SUBSCRIBE = 8, DISCONNECT = 14 };

struct fixture {
    struct mqtt *mqtt;
    int listen_fd, fd;
    uint16_t port;
    uint8_t packet[4096]; /* the last one read, without its fixed header */
    size_t len;
};

static const char *const FILTER = "a/+";
static const char *const FILTERS[] = {"a/+", "b/+"};

/* ---- the broker ---- */

static void wait_readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, WAIT_MS), 1);
}

static bool read_all(int fd, uint8_t *bytes, size_t len)
{
    while (len > 0) {
        wait_readable(fd);
        ssize_t got = recv(fd, bytes, len, 0);
        if (got <= 0)
            return false;
        bytes += got;
        len -= (size_t)got;
    }
    return true;
}

/* The kind of the next packet; 0 at the end of the connection. */
static int read_packet(struct fixture *fixture)
{
    uint8_t head = 0;
    size_t len = 0;
    if (!read_all(fixture->fd, &head, 1))
        return 0;
    for (unsigned int shift = 0, more = 1; more != 0; shift += 7) {
        uint8_t byte = 0;
        assert_true(shift < 28 && read_all(fixture->fd, &byte, 1));
        len |= (size_t)(byte & 0x7f) << shift;
        more = byte & 0x80;
    }
    assert_true(len <= sizeof fixture->packet);
    assert_true(read_all(fixture->fd, fixture->packet, len));
    fixture->len = len;
    return head >> 4;
}

static void tell(struct fixture *fixture, const void *bytes, size_t len)
{
    assert_int_equal(send(fixture->fd, bytes, len, MSG_NOSIGNAL), len);
}

static void accept_client(struct fixture *fixture)
{
    wait_readable(fixture->listen_fd);
    fixture->fd = accept(fixture->listen_fd, NULL, NULL);
    assert_true(fixture->fd >= 0);
    assert_int_equal(read_packet(fixture), CONNECT);
}

static void hang_up(struct fixture *fixture)
{
    close(fixture->fd);
    fixture->fd = -1;
}

/* CONNACK with a Receive Maximum and a Maximum Packet Size. */
static void tell_connack(struct fixture *fixture, uint8_t receive_maximum, uint8_t maximum_packet)
{
    const uint8_t bytes[] = {0x20,          11, 0, 0, 8, 33, 0, receive_maximum, 39, 0, 0, 0,
                             maximum_packet};
    tell(fixture, bytes, sizeof bytes);
}

static void tell_puback(struct fixture *fixture, const uint8_t id[2], uint8_t reason)
{
    const uint8_t bytes[] = {0x40, 4, id[0], id[1], reason, 0};
    tell(fixture, bytes, sizeof bytes);
}

static void tell_suback(struct fixture *fixture, size_t count, const uint8_t *reasons)
{
    uint8_t bytes[16] = {0x90, (uint8_t)(3 + count), fixture->packet[0], fixture->packet[1], 0};
    assert_true(count <= 8);
    memcpy(bytes + 5, reasons, count);
    tell(fixture, bytes, 5 + count);
}

/* The message id of the PUBLISH last read: it follows the topic. */
static void read_id(const struct fixture *fixture, uint8_t ret_id[2])
{
    size_t at = 2 + (size_t)(fixture->packet[0] << 8 | fixture->packet[1]);
    assert_true(at + 2 <= fixture->len);
    ret_id[0] = fixture->packet[at];
    ret_id[1] = fixture->packet[at + 1];
}

/* ---- the client ---- */

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct endpoint endpoint = {.host = "127.0.0.1"};
    char url[64];
    if (fixture == NULL || crypto_init() != 0)
        return -1;
    fixture->fd = -1;
    if (socket_listen(&endpoint, 8, &fixture->listen_fd, &fixture->port, NULL) != 0)
        return -1;
    snprintf(url, sizeof url, "mqtt://127.0.0.1:%u", (unsigned int)fixture->port);
    struct mqtt_options options = {
        .url = url, .client_id = "edge", .reconnect_min_ms = 20, .reconnect_max_ms = 100};
    assert_int_equal(mqtt_open(&options, &fixture->mqtt, NULL), 0);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    if (fixture->fd >= 0)
        hang_up(fixture);
    mqtt_close(fixture->mqtt);
    close(fixture->listen_fd);
    free(fixture);
    return 0;
}

static struct now now(void)
{
    return clock_read(clock_real());
}

/* Steps once; with nothing else to do the client begins its next try in it when that is due. */
static void step_until_due(struct fixture *fixture)
{
    for (int64_t due_us = 0; due_us != NEVER;) {
        due_us = mqtt_step(fixture->mqtt, now());
        int64_t wait_ms = due_us == NEVER ? 0 : (due_us - now().mono_us) / US_PER_MS + 1;
        assert_in_range(wait_ms, 0, WAIT_MS);
        (void)poll(NULL, 0, (int)wait_ms); /* nothing but time is waited for */
    }
}

static void next_event(struct fixture *fixture, struct mqtt_event *ret_event)
{
    while (mqtt_next(fixture->mqtt, now(), ret_event) != 0)
        wait_readable(mqtt_fd(fixture->mqtt));
}

static void expect(struct fixture *fixture, enum mqtt_event_kind kind, struct mqtt_event *ret_event)
{
    next_event(fixture, ret_event);
    if (ret_event->kind != kind)
        fail_msg("event %d came, %d was expected: %s", (int)ret_event->kind, (int)kind,
                 ret_event->text);
}

static void connect_with(struct fixture *fixture, uint8_t receive_maximum, uint8_t maximum_packet)
{
    struct mqtt_event event;
    step_until_due(fixture);
    accept_client(fixture);
    tell_connack(fixture, receive_maximum, maximum_packet);
    expect(fixture, MQTT_CONNECTED, &event);
}

static int publish(struct fixture *fixture, int *ret_token)
{
    return mqtt_publish(fixture->mqtt, "a/b", "x", 1, false, ret_token);
}

/* The client subscribes when it takes the session, and tells nothing until that is answered. */
static void wait_subscribe(struct fixture *fixture)
{
    struct mqtt_event event;
    struct pollfd asked = {.fd = fixture->fd, .events = POLLIN};
    while (poll(&asked, 1, 10) == 0)
        assert_int_equal(mqtt_next(fixture->mqtt, now(), &event), ERR_AGAIN);
    assert_int_equal(read_packet(fixture), SUBSCRIBE);
}

/* ---- what goes out: over one connection, whose broker takes 3 messages and 200 bytes ---- */

/* Answers the next message of the client, and takes what it makes of that. */
static void answer(struct fixture *fixture, uint8_t reason, enum mqtt_event_kind kind,
                   struct mqtt_event *ret_event)
{
    uint8_t id[2];
    assert_int_equal(read_packet(fixture), PUBLISH);
    read_id(fixture, id);
    tell_puback(fixture, id, reason);
    expect(fixture, kind, ret_event);
}

static void the_window_is_never_wider_than_the_brokers(void **state)
{
    struct fixture *fixture = *state;
    struct mqtt_event event;
    int tokens[4];
    int none = 77;
    for (int i = 0; i < 3; i++)
        assert_int_equal(publish(fixture, &tokens[i]), 0);
    assert_int_equal(publish(fixture, &none), ERR_FULL);
    assert_int_equal(none, 77);
    answer(fixture, 0, MQTT_ACKED, &event);
    assert_int_equal(event.token, tokens[0]);
    assert_int_equal(publish(fixture, &tokens[3]), 0);
    assert_int_equal(publish(fixture, &none), ERR_FULL);
    for (int i = 1; i < 4; i++) {
        answer(fixture, 0, MQTT_ACKED, &event);
        assert_int_equal(event.token, tokens[i]);
    }
}

/* It would end the connection, and come again after each. */
static void what_the_broker_would_not_take_is_not_sent(void **state)
{
    struct fixture *fixture = *state;
    struct mqtt_event event;
    char large[200] = {0};
    int token = 0;
    assert_int_equal(mqtt_publish(fixture->mqtt, "a/b", large, 200, false, &token), ERR_RANGE);
    assert_int_equal(mqtt_publish(fixture->mqtt, "a/b", large, 150, false, &token), 0);
    answer(fixture, 0, MQTT_ACKED, &event);
    assert_int_equal(event.token, token);
}

static void a_topic_with_a_wildcard_is_not_published_to(void **state)
{
    static const char *const TOPICS[] = {"", "a/+", "#", "a/#"};
    struct fixture *fixture = *state;
    int token = 0;
    for (size_t i = 0; i < sizeof TOPICS / sizeof TOPICS[0]; i++)
        assert_int_equal(mqtt_publish(fixture->mqtt, TOPICS[i], "x", 1, false, &token),
                         ERR_INVALID);
}

static void a_refusal_tells_its_code(void **state)
{
    static const uint8_t CODES[] = {135, 149};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof CODES; i++) {
        struct mqtt_event event;
        int token = 0;
        assert_int_equal(publish(fixture, &token), 0);
        answer(fixture, CODES[i], MQTT_REFUSED, &event);
        assert_int_equal(event.reason, CODES[i]);
        assert_int_equal(event.token, token);
    }
}

static void no_matching_subscriber_is_an_acknowledgement(void **state)
{
    struct fixture *fixture = *state;
    struct mqtt_event event;
    int token = 0;
    assert_int_equal(publish(fixture, &token), 0);
    answer(fixture, 16, MQTT_ACKED, &event);
    assert_int_equal(event.token, token);
}

/* ---- the end of a connection ---- */

static void the_end_of_a_connection_ends_its_tokens_without_a_word(void **state)
{
    struct fixture *fixture = *state;
    struct mqtt_event event;
    int token = 0;
    connect_with(fixture, 2, 200);
    assert_int_equal(publish(fixture, &token), 0);
    assert_int_equal(publish(fixture, &token), 0);
    assert_int_equal(read_packet(fixture), PUBLISH);
    hang_up(fixture);
    /* Neither acknowledged nor refused: the broker said nothing. */
    expect(fixture, MQTT_DISCONNECTED, &event);
    assert_int_equal(publish(fixture, &token), ERR_CLOSED);
}

static void what_an_earlier_connection_left_is_not_told_in_the_next(void **state)
{
    struct fixture *fixture = *state;
    struct mqtt_event event;
    uint8_t id[2];
    int old = 0;
    int fresh = 0;
    connect_with(fixture, 2, 200);
    assert_int_equal(publish(fixture, &old), 0);
    assert_int_equal(publish(fixture, &old), 0);
    hang_up(fixture);
    expect(fixture, MQTT_DISCONNECTED, &event);
    connect_with(fixture, 2, 200);
    assert_int_equal(publish(fixture, &fresh), 0);
    assert_int_not_equal(fresh, old);
    /* Whatever of the old comes once more is answered too: only the new one is told. */
    while (mqtt_next(fixture->mqtt, now(), &event) != 0) {
        struct pollfd both[] = {{.fd = fixture->fd, .events = POLLIN},
                                {.fd = mqtt_fd(fixture->mqtt), .events = POLLIN}};
        assert_true(poll(both, 2, WAIT_MS) > 0);
        if (both[0].revents == 0)
            continue;
        assert_int_equal(read_packet(fixture), PUBLISH);
        read_id(fixture, id);
        tell_puback(fixture, id, 0);
    }
    assert_int_equal(event.kind, MQTT_ACKED);
    assert_int_equal(event.token, fresh);
    /* And the window is whole again. */
    assert_int_equal(publish(fixture, &fresh), 0);
    assert_int_equal(publish(fixture, &fresh), 0);
    assert_int_equal(publish(fixture, &fresh), ERR_FULL);
}

static void the_broker_says_why_it_ends_a_connection_once(void **state)
{
    const uint8_t taken_over[] = {0xE0, 2, 142, 0};
    struct fixture *fixture = *state;
    struct mqtt_event event;
    connect_with(fixture, 10, 200);
    tell(fixture, taken_over, sizeof taken_over);
    hang_up(fixture);
    expect(fixture, MQTT_DISCONNECTED, &event);
    assert_non_null(strstr(event.text, "142"));
    /* The next try is not ended by what was still on its way from this connection. */
    connect_with(fixture, 10, 200);
}

static void a_refused_connection_tells_its_code(void **state)
{
    const uint8_t refused[] = {0x20, 3, 0, 135, 0};
    struct fixture *fixture = *state;
    struct mqtt_event event;
    step_until_due(fixture);
    accept_client(fixture);
    tell(fixture, refused, sizeof refused);
    expect(fixture, MQTT_DISCONNECTED, &event);
    assert_non_null(strstr(event.text, "135"));
    hang_up(fixture);
}

/* ---- subscriptions ---- */

static void one_refused_filter_of_many_is_no_connection(void **state)
{
    const uint8_t half[] = {1, 135};
    struct fixture *fixture = *state;
    struct mqtt_event event;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(mqtt_subscribe(fixture->mqtt, FILTERS[i]), 0);
    step_until_due(fixture);
    accept_client(fixture);
    tell_connack(fixture, 10, 200);
    wait_subscribe(fixture);
    tell_suback(fixture, 2, half);
    expect(fixture, MQTT_DISCONNECTED, &event);
    assert_non_null(strstr(event.text, "135"));
}

static void a_connection_lost_while_subscribing_is_told_once(void **state)
{
    struct fixture *fixture = *state;
    struct mqtt_event event;
    assert_int_equal(mqtt_subscribe(fixture->mqtt, FILTER), 0);
    step_until_due(fixture);
    accept_client(fixture);
    tell_connack(fixture, 10, 200);
    wait_subscribe(fixture);
    hang_up(fixture);
    expect(fixture, MQTT_DISCONNECTED, &event);
    /* The next thing told is the next connection. */
    step_until_due(fixture);
    accept_client(fixture);
    tell_connack(fixture, 10, 200);
    wait_subscribe(fixture);
    tell_suback(fixture, 1, (const uint8_t[]){1});
    expect(fixture, MQTT_CONNECTED, &event);
}

/* A broker may send what it retains before it has granted the subscription. */
static void no_message_comes_before_the_connection(void **state)
{
    static const uint8_t EARLY[][9] = {{0x31, 7, 0, 3, 'a', '/', '1', 0, 'x'},
                                       {0x31, 7, 0, 3, 'a', '/', '2', 0, 'y'}};
    struct fixture *fixture = *state;
    struct mqtt_event event;
    assert_int_equal(mqtt_subscribe(fixture->mqtt, FILTER), 0);
    for (int i = 0; i < 2; i++) { /* what the first connection held is not told in the second */
        step_until_due(fixture);
        accept_client(fixture);
        tell_connack(fixture, 10, 200);
        wait_subscribe(fixture);
        tell(fixture, EARLY[i], sizeof EARLY[i]);
        if (i == 0) {
            hang_up(fixture);
            expect(fixture, MQTT_DISCONNECTED, &event);
        }
    }
    assert_int_equal(mqtt_dropped(fixture->mqtt), 1);
    tell_suback(fixture, 1, (const uint8_t[]){1});
    expect(fixture, MQTT_CONNECTED, &event);
    expect(fixture, MQTT_MESSAGE, &event);
    assert_string_equal(event.topic, "a/2");
    assert_true(event.retained);
    assert_memory_equal(event.payload, "y", 2);
    mqtt_event_release(&event);
}

static void a_subscription_without_an_answer_ends_the_connection(void **state)
{
    struct fixture *fixture = *state;
    struct mqtt_event event;
    assert_int_equal(mqtt_subscribe(fixture->mqtt, FILTER), 0);
    step_until_due(fixture);
    accept_client(fixture);
    tell_connack(fixture, 10, 200);
    wait_subscribe(fixture);
    struct now later = now();
    int64_t due_us = mqtt_step(fixture->mqtt, later);
    assert_in_range(due_us, later.mono_us, later.mono_us + 20 * (int64_t)US_PER_S);
    later.mono_us = due_us;
    (void)mqtt_step(fixture->mqtt, later);
    expect(fixture, MQTT_DISCONNECTED, &event);
    assert_non_null(strstr(event.text, "does not answer"));
    int kind = read_packet(fixture);
    assert_true(kind == DISCONNECT || kind == 0);
}

/* ---- time ---- */

static void tries_lie_between_the_bounds_and_further_apart_each_time(void **state)
{
    struct fixture *fixture = *state;
    struct now virtual_now = now();
    for (int i = 0; i < 8; i++) {
        struct mqtt_event event;
        assert_int_equal(mqtt_step(fixture->mqtt, virtual_now), NEVER);
        wait_readable(fixture->listen_fd);
        close(accept(fixture->listen_fd, NULL, NULL));
        while (mqtt_next(fixture->mqtt, virtual_now, &event) != 0)
            wait_readable(mqtt_fd(fixture->mqtt));
        assert_int_equal(event.kind, MQTT_DISCONNECTED);
        int64_t due_us = mqtt_step(fixture->mqtt, virtual_now);
        int64_t least_ms = i == 0 ? 20 : i == 1 ? 40 : 50;
        assert_in_range(due_us - virtual_now.mono_us, least_ms * US_PER_MS, 100 * US_PER_MS);
        virtual_now.mono_us = due_us;
    }
}

static void a_try_without_an_outcome_is_known_as_stuck(void **state)
{
    struct fixture *fixture = *state;
    struct now later = now();
    assert_false(mqtt_stuck(fixture->mqtt, later));
    assert_int_equal(mqtt_step(fixture->mqtt, later), NEVER);
    later.mono_us += 39 * (int64_t)US_PER_S;
    assert_false(mqtt_stuck(fixture->mqtt, later));
    later.mono_us += 2 * (int64_t)US_PER_S;
    assert_true(mqtt_stuck(fixture->mqtt, later));
}

/* ---- the end ---- */

static void what_was_published_goes_out_before_the_goodbye(void **state)
{
    struct fixture *fixture = *state;
    int token = 0;
    int kind;
    connect_with(fixture, 10, 200);
    assert_int_equal(publish(fixture, &token), 0);
    mqtt_close(fixture->mqtt);
    fixture->mqtt = NULL;
    assert_int_equal(read_packet(fixture), PUBLISH);
    assert_int_equal(read_packet(fixture), DISCONNECT);
    kind = read_packet(fixture);
    assert_int_equal(kind, 0);
}

/* The broker took the connection and never says a word. */
static void a_stop_during_a_try_ends(void **state)
{
    struct fixture *fixture = *state;
    step_until_due(fixture);
    accept_client(fixture);
    mqtt_close(fixture->mqtt);
    fixture->mqtt = NULL;
    assert_int_equal(read_packet(fixture), 0);
}

static int set_up_connected(void **state)
{
    if (set_up(state) != 0)
        return -1;
    connect_with(*state, 3, 200);
    return 0;
}

/* Paho leaks some bytes of its own book-keeping where its last client is destroyed and another one
 * is made after (eclipse/paho.mqtt.c#1474): no program of ours does that. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libpaho-mqtt3as";
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest connected[] = {
        cmocka_unit_test(the_window_is_never_wider_than_the_brokers),
        cmocka_unit_test(what_the_broker_would_not_take_is_not_sent),
        cmocka_unit_test(a_topic_with_a_wildcard_is_not_published_to),
        cmocka_unit_test(a_refusal_tells_its_code),
        cmocka_unit_test(no_matching_subscriber_is_an_acknowledgement),
    };
    const struct CMUnitTest apart[] = {
        TEST(the_end_of_a_connection_ends_its_tokens_without_a_word),
        TEST(what_an_earlier_connection_left_is_not_told_in_the_next),
        TEST(the_broker_says_why_it_ends_a_connection_once),
        TEST(a_refused_connection_tells_its_code),
        TEST(one_refused_filter_of_many_is_no_connection),
        TEST(a_connection_lost_while_subscribing_is_told_once),
        TEST(no_message_comes_before_the_connection),
        TEST(a_subscription_without_an_answer_ends_the_connection),
        TEST(tries_lie_between_the_bounds_and_further_apart_each_time),
        TEST(a_try_without_an_outcome_is_known_as_stuck),
        TEST(what_was_published_goes_out_before_the_goodbye),
        TEST(a_stop_during_a_try_ends),
    };
    int failed = cmocka_run_group_tests(connected, set_up_connected, tear_down);
    return failed + cmocka_run_group_tests(apart, NULL, NULL);
}
