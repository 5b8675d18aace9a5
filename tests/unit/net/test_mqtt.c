/* The MQTT client against a real broker on a free loopback port, in a folder of its own. */
#include "net/mqtt.h"

#include "base/crypto.h"
#include "base/sockets.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct broker {
    pid_t pid;
    uint16_t port;
    char folder[64];
};

static uint16_t free_port(void)
{
    struct endpoint endpoint = {"127.0.0.1", 0};
    int fd;
    uint16_t port;
    assert_int_equal(socket_listen(&endpoint, 1, &fd, &port, NULL), 0);
    close(fd);
    return port;
}

static void broker_start(struct broker *broker)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/mosquitto.conf", broker->folder);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fprintf(file, "listener %u 127.0.0.1\nallow_anonymous true\nmax_packet_size 100000\n",
            broker->port);
    fclose(file);
    broker->pid = fork();
    assert_true(broker->pid >= 0);
    if (broker->pid == 0) {
        if (!freopen("/dev/null", "w", stderr))
            _exit(126);
        execlp("mosquitto", "mosquitto", "-c", path, (char *)NULL);
        _exit(127);
    }
}

static void broker_stop(struct broker *broker)
{
    if (broker->pid <= 0)
        return;
    kill(broker->pid, SIGKILL);
    waitpid(broker->pid, NULL, 0);
    broker->pid = 0;
}

static int setup(void **state)
{
    static struct broker broker;
    if (crypto_init())
        return -1;
    snprintf(broker.folder, sizeof(broker.folder), "/tmp/mqtt-XXXXXX");
    if (!mkdtemp(broker.folder))
        return -1;
    broker.port = free_port();
    broker_start(&broker);
    *state = &broker;
    return 0;
}

static int teardown(void **state)
{
    struct broker *broker = *state;
    char path[128];
    broker_stop(broker);
    snprintf(path, sizeof(path), "%s/mosquitto.conf", broker->folder);
    unlink(path);
    rmdir(broker->folder);
    return 0;
}

static struct mqtt *open_client(const struct broker *broker, const char *id, const char *filter)
{
    char url[64];
    snprintf(url, sizeof(url), "mqtt://127.0.0.1:%u", broker->port);
    struct mqtt_options options = {.url = url,
                                   .client_id = id,
                                   .will_topic = "t/will",
                                   .will_payload = "gone",
                                   .will_len = 4,
                                   .reconnect_min_ms = 20,
                                   .reconnect_max_ms = 100};
    struct mqtt *mqtt = NULL;
    assert_int_equal(mqtt_open(&options, &mqtt, NULL), 0);
    if (filter)
        assert_int_equal(mqtt_subscribe(mqtt, filter), 0);
    return mqtt;
}

static const char *self_path;

/* Runs the client until an event comes; fails after 20 s. */
static void wait_any(struct mqtt *mqtt, struct mqtt_event *ret_event)
{
    struct clock *clock = clock_real();
    int64_t end_us = clock_read(clock).mono_us + 20 * (int64_t)US_PER_S;
    while (clock_read(clock).mono_us < end_us) {
        (void)mqtt_step(mqtt, clock_read(clock));
        if (!mqtt_next(mqtt, clock_read(clock), ret_event))
            return;
        struct pollfd waiting = {mqtt_fd(mqtt), POLLIN, 0};
        poll(&waiting, 1, 10);
    }
    fail_msg("no event came");
}

/* Runs the client until an event of that kind comes; fails after 20 s. */
static void wait_event(struct mqtt *mqtt, enum mqtt_event_kind kind, struct mqtt_event *ret_event)
{
    struct clock *clock = clock_real();
    int64_t end_us = clock_read(clock).mono_us + 20 * (int64_t)US_PER_S;
    while (clock_read(clock).mono_us < end_us) {
        int64_t due_us = mqtt_step(mqtt, clock_read(clock));
        while (!mqtt_next(mqtt, clock_read(clock), ret_event)) {
            if (ret_event->kind == kind)
                return;
            mqtt_event_release(ret_event);
        }
        int64_t wait_ms = (due_us - clock_read(clock).mono_us) / US_PER_MS + 1;
        struct pollfd waiting = {mqtt_fd(mqtt), POLLIN, 0};
        poll(&waiting, 1, wait_ms < 0 ? 0 : wait_ms > 100 ? 100 : (int)wait_ms);
    }
    fail_msg("event %d did not come", (int)kind);
}

static void messages_arrive_as_they_were_sent(void **state)
{
    struct mqtt *mqtt = open_client(*state, "one", "t/+");
    struct mqtt_event event;
    wait_event(mqtt, MQTT_CONNECTED, &event);
    int token;
    assert_int_equal(mqtt_publish(mqtt, "t/a", "x\0y", 3, false, &token), 0);
    wait_event(mqtt, MQTT_MESSAGE, &event);
    assert_string_equal(event.topic, "t/a");
    assert_int_equal(event.len, 3);
    assert_memory_equal(event.payload, "x\0y", 3);
    mqtt_event_release(&event);
    mqtt_close(mqtt);
}

static void an_ack_names_the_token(void **state)
{
    struct mqtt *mqtt = open_client(*state, "two", NULL);
    struct mqtt_event event;
    wait_event(mqtt, MQTT_CONNECTED, &event);
    int token;
    /* Nobody listens: the broker says so by reason 16, which is still an ack. */
    assert_int_equal(mqtt_publish(mqtt, "t/nobody", "x", 1, false, &token), 0);
    wait_event(mqtt, MQTT_ACKED, &event);
    assert_int_equal(event.token, token);
    mqtt_close(mqtt);
}

static void too_large_a_message_is_refused(void **state)
{
    struct mqtt *mqtt = open_client(*state, "three", NULL);
    struct mqtt_event event;
    wait_event(mqtt, MQTT_CONNECTED, &event);
    static char large[MQTT_MAX_PAYLOAD + 1];
    int token;
    assert_int_equal(mqtt_publish(mqtt, "t/a", large, sizeof(large), false, &token), ERR_RANGE);
    mqtt_close(mqtt);
}

static void before_a_connection_nothing_is_taken(void **state)
{
    struct mqtt *mqtt = open_client(*state, "four", NULL);
    int token = 77;
    assert_int_equal(mqtt_publish(mqtt, "t/a", "x", 1, false, &token), ERR_CLOSED);
    assert_int_equal(token, 77);
    mqtt_close(mqtt);
}

static void a_dead_broker_is_told_and_found_again(void **state)
{
    struct broker *broker = *state;
    struct mqtt *mqtt = open_client(broker, "five", "t/+");
    struct mqtt_event event;
    wait_event(mqtt, MQTT_CONNECTED, &event);
    broker_stop(broker);
    wait_event(mqtt, MQTT_DISCONNECTED, &event);
    assert_true(event.text[0] != '\0');
    int token;
    assert_int_equal(mqtt_publish(mqtt, "t/a", "x", 1, false, &token), ERR_CLOSED);
    broker_start(broker);
    wait_event(mqtt, MQTT_CONNECTED, &event);
    /* The subscription was made anew. */
    assert_int_equal(mqtt_publish(mqtt, "t/a", "again", 5, false, &token), 0);
    wait_event(mqtt, MQTT_MESSAGE, &event);
    assert_string_equal(event.payload, "again");
    mqtt_event_release(&event);
    mqtt_close(mqtt);
}

static void closing_without_a_broker_ends(void **state)
{
    struct broker none = *(struct broker *)*state;
    none.port = free_port();
    struct mqtt *mqtt = open_client(&none, "six", NULL);
    mqtt_step(mqtt, clock_read(clock_real()));
    mqtt_close(mqtt);
}

static int publish(struct mqtt *mqtt, const char *topic, const char *text)
{
    int token = 0;
    assert_int_equal(mqtt_publish(mqtt, topic, text, strlen(text), false, &token), 0);
    assert_true(token > 0);
    return token;
}

/* Connects; the first event is to be MQTT_CONNECTED, also where messages wait. */
static void connect_first(struct mqtt *mqtt)
{
    struct mqtt_event event;
    do
        wait_any(mqtt, &event);
    while (event.kind == MQTT_DISCONNECTED); /* the broker is still starting */
    assert_int_equal(event.kind, MQTT_CONNECTED);
}

static void the_will_comes_when_we_die_and_not_when_we_leave(void **state)
{
    struct mqtt_event event;
    struct mqtt *watcher = open_client(*state, "watcher", "t/+");
    connect_first(watcher);
    struct mqtt *leaver = open_client(*state, "leaver", NULL);
    connect_first(leaver);
    mqtt_close(leaver);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct broker *broker = *state;
        char port[8];
        snprintf(port, sizeof(port), "%u", broker->port);
        execlp(self_path, self_path, "die", port, (char *)NULL);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
    wait_any(watcher, &event);
    assert_int_equal(event.kind, MQTT_MESSAGE);
    assert_string_equal(event.topic, "t/will");
    assert_string_equal(event.payload, "second");
    mqtt_event_release(&event);
    mqtt_close(watcher);
}

static void messages_beyond_the_bound_are_dropped_and_counted(void **state)
{
    struct broker *broker = *state;
    char url[64];
    struct mqtt_event event;
    snprintf(url, sizeof(url), "mqtt://127.0.0.1:%u", broker->port);
    struct mqtt_options options = {.url = url,
                                   .client_id = "small",
                                   .queue_messages = 2,
                                   .reconnect_min_ms = 20,
                                   .reconnect_max_ms = 100};
    struct mqtt *mqtt = NULL;
    assert_int_equal(mqtt_open(&options, &mqtt, NULL), 0);
    assert_int_equal(mqtt_subscribe(mqtt, "t/+"), 0);
    connect_first(mqtt);
    struct mqtt *sender = open_client(broker, "sender", NULL);
    connect_first(sender);
    for (int i = 0; i < 5; i++)
        (void)publish(sender, "t/a", "x");
    for (int i = 0; mqtt_dropped(mqtt) < 3 && i < 20000; i++)
        (void)poll(NULL, 0, 1);
    assert_int_equal(mqtt_dropped(mqtt), 3);
    for (int i = 0; i < 2; i++) {
        wait_any(mqtt, &event);
        assert_int_equal(event.kind, MQTT_MESSAGE);
        mqtt_event_release(&event);
    }
    assert_int_equal(mqtt_next(mqtt, clock_read(clock_real()), &event), ERR_AGAIN);
    mqtt_close(sender);
    mqtt_close(mqtt);
}

static void options_that_cannot_work_are_told(void **state)
{
    static const struct {
        struct mqtt_options options;
        int err;
        const char *says;
    } CASES[] = {
        {{.url = "http://127.0.0.1:1"}, ERR_INVALID, "mqtts://ADDRESS:PORT"},
        {{.url = "mqtts://"}, ERR_INVALID, "mqtts://ADDRESS:PORT"},
        {{.url = "mqtts://127.0.0.1:1"}, ERR_INVALID, "(ca)"},
        {{.url = "mqtts://127.0.0.1:1", .ca = "/dev/null", .key = "/dev/null"},
         ERR_INVALID,
         "with its key"},
        {{.url = "mqtts://127.0.0.1:1", .ca = "/none/ca.crt"}, ERR_NOT_FOUND, "/none/ca.crt"},
        {{.url = "mqtt://127.0.0.1:1", .reconnect_min_ms = -1}, ERR_RANGE, "bounds"},
        {{.url = "mqtt://127.0.0.1:1", .reconnect_max_ms = 1}, ERR_RANGE, "bounds"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct mqtt *mqtt = NULL;
        struct message message = {""};
        assert_int_equal(mqtt_open(&CASES[i].options, &mqtt, &message), CASES[i].err);
        assert_non_null(strstr(message.text, CASES[i].says));
        assert_null(mqtt);
    }
}

/* What the will's test runs as a process of its own: connects, and dies. */
static int die(const char *port)
{
    struct broker broker = {.folder = ""};
    char *end;
    broker.port = (uint16_t)strtoul(port, &end, 10);
    struct mqtt *mqtt = open_client(&broker, "dies", NULL);
    if (crypto_init() || mqtt_set_will(mqtt, "second", 6))
        return 1;
    connect_first(mqtt);
    raise(SIGKILL);
    return 1;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(messages_arrive_as_they_were_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(an_ack_names_the_token, setup, teardown),
        cmocka_unit_test_setup_teardown(too_large_a_message_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(before_a_connection_nothing_is_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(a_dead_broker_is_told_and_found_again, setup, teardown),
        cmocka_unit_test_setup_teardown(closing_without_a_broker_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(the_will_comes_when_we_die_and_not_when_we_leave, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(messages_beyond_the_bound_are_dropped_and_counted, setup,
                                        teardown),
        cmocka_unit_test(options_that_cannot_work_are_told),
    };
    self_path = argv[0];
    if (argc == 3 && strcmp(argv[1], "die") == 0)
        return die(argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
