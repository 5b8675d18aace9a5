/* Whom the MQTT client believes: a real broker with certificates of an authority of the tests. */
#include "net/mqtt.h"

#include "base/crypto.h"
#include "base/files.h"
#include "base/sockets.h"

#include <ftw.h>
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

#define WAIT_MS 20000

struct fixture {
    char folder[64];
    pid_t broker;
    uint16_t port, stranger_port; /* with the right certificate, and with another host's */
};

static void write_text(const struct fixture *fixture, const char *name, const char *text)
{
    char path[FILE_PATH_SIZE];
    assert_int_equal(path_join(fixture->folder, name, path), 0);
    assert_int_equal(file_write(path, text, strlen(text), 0600, NULL), 0);
}

/* Runs a script in the folder; its output goes to the folder's log. */
static void run(const struct fixture *fixture, const char *script)
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (chdir(fixture->folder) != 0 || freopen("log", "a", stderr) == NULL)
            _exit(126);
        execlp("sh", "sh", "-e", "-c", script, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void make_certificates(const struct fixture *fixture)
{
    run(fixture,
        "authority() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
        "-keyout $1.key -out $1.crt -days 2 -subj /CN=$1; }\n"
        "leaf() { printf '%s\\n%s\\n' \"extendedKeyUsage=$4\" \"subjectAltName=$3\" >ext; "
        "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1.key "
        "-out $1.csr -subj /CN=$1; "
        "openssl x509 -req -in $1.csr -CA $2.crt -CAkey $2.key -CAcreateserial -days 2 "
        "-extfile ext -out $1.crt; }\n"
        "authority ours; authority theirs\n"
        "leaf broker ours IP:127.0.0.1 serverAuth; leaf stranger ours IP:10.9.8.7 serverAuth\n"
        "leaf edge ours DNS:edge clientAuth; leaf alien theirs DNS:edge clientAuth\n");
}

static uint16_t free_port(void)
{
    struct endpoint endpoint = {.host = "127.0.0.1"};
    int fd = -1;
    uint16_t port = 0;
    assert_int_equal(socket_listen(&endpoint, 1, &fd, &port, NULL), 0);
    close(fd);
    return port;
}

static void write_broker_config(struct fixture *fixture)
{
    static const char LISTENER[] =
        "listener %u 127.0.0.1\ncafile ours.crt\ncertfile %s.crt\nkeyfile %s.key\n"
        "require_certificate true\nuse_identity_as_username true\n";
    char config[1024];
    fixture->port = free_port();
    fixture->stranger_port = free_port();
    int len = snprintf(config, sizeof config,
                       "per_listener_settings false\nallow_anonymous false\nacl_file acl\n%s"
                       "persistence false\nlog_dest stderr\n",
                       geteuid() == 0 ? "user root\n" : "");
    len += snprintf(config + len, sizeof config - (size_t)len, LISTENER,
                    (unsigned int)fixture->port, "broker", "broker");
    (void)snprintf(config + len, sizeof config - (size_t)len, LISTENER,
                   (unsigned int)fixture->stranger_port, "stranger", "stranger");
    write_text(fixture, "mosquitto.conf", config);
    write_text(fixture, "acl", "pattern write own/%u\n");
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    if (fixture == NULL || crypto_init() != 0)
        return -1;
    snprintf(fixture->folder, sizeof fixture->folder, "/tmp/chengmai-tls-XXXXXX");
    if (mkdtemp(fixture->folder) == NULL)
        return -1;
    make_certificates(fixture);
    write_broker_config(fixture);
    fixture->broker = fork();
    assert_true(fixture->broker >= 0);
    if (fixture->broker == 0) {
        if (chdir(fixture->folder) != 0 || freopen("log", "a", stderr) == NULL)
            _exit(126);
        execlp("mosquitto", "mosquitto", "-c", "mosquitto.conf", (char *)NULL);
        _exit(127);
    }
    *state = fixture;
    return 0;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    kill(fixture->broker, SIGKILL);
    waitpid(fixture->broker, NULL, 0);
    int failed = nftw(fixture->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(fixture);
    return failed;
}

/* A client as `name`, which believes the authority `ca`. */
static struct mqtt *open_client(const struct fixture *fixture, uint16_t port, const char *ca,
                                const char *name)
{
    char url[64];
    char files[3][FILE_PATH_SIZE];
    struct mqtt *mqtt = NULL;
    snprintf(url, sizeof url, "mqtts://127.0.0.1:%u", (unsigned int)port);
    snprintf(files[0], sizeof files[0], "%s/%s.crt", fixture->folder, ca);
    snprintf(files[1], sizeof files[1], "%s/%s.crt", fixture->folder, name != NULL ? name : "");
    snprintf(files[2], sizeof files[2], "%s/%s.key", fixture->folder, name != NULL ? name : "");
    struct mqtt_options options = {.url = url,
                                   .client_id = "edge",
                                   .ca = files[0],
                                   .cert = name != NULL ? files[1] : NULL,
                                   .key = name != NULL ? files[2] : NULL,
                                   .reconnect_min_ms = 20,
                                   .reconnect_max_ms = 50};
    assert_int_equal(mqtt_open(&options, &mqtt, NULL), 0);
    return mqtt;
}

static struct now now(void)
{
    return clock_read(clock_real());
}

/* Steps until something is told. */
static void next_event(struct mqtt *mqtt, struct mqtt_event *ret_event)
{
    int64_t end_us = now().mono_us + WAIT_MS * (int64_t)US_PER_MS;
    while (mqtt_next(mqtt, now(), ret_event) != 0) {
        int64_t due_us = mqtt_step(mqtt, now());
        int64_t next_us = due_us < end_us ? due_us : end_us;
        int64_t wait_ms = (next_us - now().mono_us) / US_PER_MS + 1;
        struct pollfd waiting = {.fd = mqtt_fd(mqtt), .events = POLLIN};
        assert_true(now().mono_us < end_us);
        (void)poll(&waiting, 1, wait_ms > 0 ? (int)wait_ms : 0);
    }
}

/* The broker may not listen yet at first: tries go on until it is there. */
static struct mqtt *connect_client(const struct fixture *fixture)
{
    struct mqtt *mqtt = open_client(fixture, fixture->port, "ours", "edge");
    int64_t end_us = now().mono_us + WAIT_MS * (int64_t)US_PER_MS;
    struct mqtt_event event;
    do {
        assert_true(now().mono_us < end_us);
        next_event(mqtt, &event);
    } while (event.kind != MQTT_CONNECTED);
    return mqtt;
}

static void the_brokers_rules_hold_for_the_name_in_the_certificate(void **state)
{
    struct mqtt *mqtt = connect_client(*state);
    struct mqtt_event event;
    int token = 0;
    assert_int_equal(mqtt_publish(mqtt, "own/edge", "x", 1, false, &token), 0);
    next_event(mqtt, &event);
    assert_int_equal(event.kind, MQTT_ACKED);
    assert_int_equal(event.token, token);
    assert_int_equal(mqtt_publish(mqtt, "own/other", "x", 1, false, &token), 0);
    next_event(mqtt, &event);
    assert_int_equal(event.kind, MQTT_REFUSED);
    assert_int_equal(event.token, token);
    assert_int_equal(event.reason, 135);
    mqtt_close(mqtt);
}

/* With the broker known to be up, whoever should not connect is refused each time. */
static void assert_refused(const struct fixture *fixture, uint16_t port, const char *ca,
                           const char *name)
{
    mqtt_close(connect_client(fixture));
    struct mqtt *mqtt = open_client(fixture, port, ca, name);
    for (int i = 0; i < 2; i++) {
        struct mqtt_event event;
        next_event(mqtt, &event);
        assert_int_equal(event.kind, MQTT_DISCONNECTED);
        assert_true(event.text[0] != '\0');
    }
    mqtt_close(mqtt);
}

static void another_hosts_certificate_is_not_believed(void **state)
{
    const struct fixture *fixture = *state;
    assert_refused(fixture, fixture->stranger_port, "ours", "edge");
}

static void another_authority_is_not_believed(void **state)
{
    const struct fixture *fixture = *state;
    assert_refused(fixture, fixture->port, "theirs", "edge");
}

static void who_has_no_certificate_of_the_authority_is_told(void **state)
{
    const struct fixture *fixture = *state;
    assert_refused(fixture, fixture->port, "ours", "alien");
    assert_refused(fixture, fixture->port, "ours", NULL);
}

/* See test_mqtt_wire.c. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libpaho-mqtt3as";
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_brokers_rules_hold_for_the_name_in_the_certificate),
        cmocka_unit_test(another_hosts_certificate_is_not_believed),
        cmocka_unit_test(another_authority_is_not_believed),
        cmocka_unit_test(who_has_no_certificate_of_the_authority_is_told),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
