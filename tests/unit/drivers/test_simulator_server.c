/*
 * The simulator on the wire: libmodbus as the client, on a free port; and clients that send what no
 * client should. The last tests run the whole program with a scenario.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/files.h"
#include "drivers/simulator/server.h"
#include "drivers/simulator/simulator.h"
#include "tests/unit/support/config_file.h"
#include "tests/unit/support/server_bed.h"

#include <errno.h>
#include <modbus/modbus.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NO_ANSWER_US 200000 /* how long a client waits for what must not come */
#define RAW_MAX      70
#define CLIENTS      64 /* that a server serves */

/* A server in a thread of its own, and its clients. */
struct bench {
    struct server_bed bed;
    modbus_t *client;
    int raw[RAW_MAX];
    size_t raw_count;
};

static modbus_t *connect_client(uint16_t port)
{
    modbus_t *client = modbus_new_tcp("127.0.0.1", port);
    assert_non_null(client);
    modbus_set_response_timeout(client, PATIENCE_S, 0);
    assert_int_equal(modbus_connect(client), 0);
    return client;
}

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    assert_non_null(bench);
    struct server_listen any = {.endpoint = {.host = "127.0.0.1"}};
    server_bed_open(&bench->bed, &any);
    server_bed_start(&bench->bed);
    bench->client = connect_client(server_port(bench->bed.server));
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    for (size_t i = 0; i < bench->raw_count; i++)
        close(bench->raw[i]);
    modbus_close(bench->client);
    modbus_free(bench->client);
    server_bed_close(&bench->bed);
    free(bench);
    return 0;
}

static void expect_registers(modbus_t *client, int unit, int start, int count)
{
    uint16_t values[MODBUS_MAX_READ_REGISTERS] = {0};
    modbus_set_slave(client, unit);
    assert_int_equal(modbus_read_registers(client, start, count, values), count);
    for (int n = 0; n < count; n++)
        assert_int_equal(values[n], server_bed_register(unit, start + n));
}

/* ---- what is asked properly ---- */

static void several_units_answer_on_one_connection_each_with_its_own(void **state)
{
    struct bench *bench = *state;
    for (int round = 0; round < 3; round++) {
        expect_registers(bench->client, 1, 0, 10);
        expect_registers(bench->client, 2, 0, 10);
    }
    server_bed_stop(&bench->bed);
    assert_int_equal(bench->bed.units[0].requests, 3);
    assert_int_equal(bench->bed.units[1].requests, 3);
}

static void the_largest_read_and_the_last_register_are_answered(void **state)
{
    struct bench *bench = *state;
    expect_registers(bench->client, 1, 100, MODBUS_MAX_READ_REGISTERS);
    expect_registers(bench->client, 1, SERVER_REGISTERS - 1, 1);
}

static void input_registers_are_the_holding_registers(void **state)
{
    struct bench *bench = *state;
    uint16_t values[3];
    modbus_set_slave(bench->client, 2);
    assert_int_equal(modbus_read_input_registers(bench->client, 5, 3, values), 3);
    for (int n = 0; n < 3; n++)
        assert_int_equal(values[n], server_bed_register(2, 5 + n));
}

static void coils_and_discrete_inputs_are_answered(void **state)
{
    struct bench *bench = *state;
    uint8_t coils[20], inputs[20];
    modbus_set_slave(bench->client, 2);
    assert_int_equal(modbus_read_bits(bench->client, 7, 20, coils), 20);
    assert_int_equal(modbus_read_input_bits(bench->client, 7, 20, inputs), 20);
    for (int n = 0; n < 20; n++) {
        assert_int_equal(coils[n], server_bed_bit(2, 7 + n));
        assert_int_equal(inputs[n], coils[n]);
    }
}

static void what_is_written_is_read(void **state)
{
    struct bench *bench = *state;
    uint16_t value;
    modbus_set_slave(bench->client, 1);
    assert_int_equal(modbus_write_register(bench->client, 9, 4711), 1);
    assert_int_equal(modbus_read_registers(bench->client, 9, 1, &value), 1);
    assert_int_equal(value, 4711);
    expect_registers(bench->client, 2, 9, 1);
}

/* ---- what does not answer, or refuses ---- */

static void a_dead_unit_does_not_answer_and_the_others_do(void **state)
{
    struct bench *bench = *state;
    uint16_t value;
    modbus_set_response_timeout(bench->client, 0, NO_ANSWER_US);
    modbus_set_slave(bench->client, DEAD_UNIT);
    assert_int_equal(modbus_read_registers(bench->client, 0, 1, &value), -1);
    assert_int_equal(errno, ETIMEDOUT);
    modbus_set_response_timeout(bench->client, PATIENCE_S, 0);
    expect_registers(bench->client, 1, 0, 1); /* the same connection still stands */
    server_bed_stop(&bench->bed);
    assert_int_equal(bench->bed.units[DEAD_UNIT - 1].requests, 0);
}

static void expect_exception(struct bench *bench, int unit, int start, int count, int error)
{
    uint16_t values[MODBUS_MAX_READ_REGISTERS];
    modbus_set_slave(bench->client, unit);
    assert_int_equal(modbus_read_registers(bench->client, start, count, values), -1);
    assert_int_equal(errno, error);
}

static void exceptions_are_told_and_end_nothing(void **state)
{
    struct bench *bench = *state;
    expect_exception(bench, EXCEPTION_UNIT, 0, 1, EMBXSFAIL);
    expect_exception(bench, 77, 0, 1, EMBXGTAR); /* no such unit */
    expect_exception(bench, 1, SERVER_REGISTERS - 1, 2, EMBXILADD);
    expect_registers(bench->client, 1, 0, 1);
}

/* ---- clients that send what no client should ---- */

static int connect_raw(struct bench *bench)
{
    struct endpoint endpoint = {.host = "127.0.0.1", .port = server_port(bench->bed.server)};
    int fd;
    assert_true(bench->raw_count < RAW_MAX);
    assert_int_equal(socket_connect(&endpoint, &fd), 0);
    bench->raw[bench->raw_count++] = fd;
    struct pollfd writable = {fd, POLLOUT, 0};
    assert_int_equal(poll(&writable, 1, PATIENCE_S * MS_PER_S), 1);
    return fd;
}

static void send_raw(int fd, const void *bytes, size_t len)
{
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
}

static void expect_closed(int fd)
{
    char byte;
    struct pollfd readable = {fd, POLLIN, 0};
    assert_int_equal(poll(&readable, 1, PATIENCE_S * MS_PER_S), 1);
    assert_true(recv(fd, &byte, 1, 0) <= 0);
}

/* Transaction 1, unit 1, function 3: two registers from 0. */
static const uint8_t request[] = {0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 2};

static void half_a_request_blocks_nobody_and_is_answered_when_whole(void **state)
{
    struct bench *bench = *state;
    for (size_t half = 1; half < sizeof(request); half++) {
        int fd = connect_raw(bench);
        send_raw(fd, request, half);
        expect_registers(bench->client, 1, 0, 2);
        send_raw(fd, request + half, sizeof(request) - half);
        uint8_t answer[13];
        struct pollfd readable = {fd, POLLIN, 0};
        assert_int_equal(poll(&readable, 1, PATIENCE_S * MS_PER_S), 1);
        assert_int_equal(recv(fd, answer, sizeof(answer), 0), sizeof(answer));
        assert_int_equal(answer[1], 1);
        assert_int_equal(answer[12], 7); /* register 1 */
    }
}

static void requests_sent_at_once_are_all_answered(void **state)
{
    struct bench *bench = *state;
    int fd = connect_raw(bench);
    uint8_t both[2 * sizeof(request)];
    memcpy(both, request, sizeof(request));
    memcpy(both + sizeof(request), request, sizeof(request));
    both[sizeof(request) + 1] = 2;
    send_raw(fd, both, sizeof(both));
    uint8_t answers[26];
    for (size_t len = 0; len < sizeof(answers);) {
        struct pollfd readable = {fd, POLLIN, 0};
        assert_int_equal(poll(&readable, 1, PATIENCE_S * MS_PER_S), 1);
        ssize_t n = recv(fd, answers + len, sizeof(answers) - len, 0);
        assert_true(n > 0);
        len += (size_t)n;
    }
    assert_int_equal(answers[1], 1);
    assert_int_equal(answers[14], 2);
}

static void a_length_that_cannot_be_ends_the_connection(void **state)
{
    struct bench *bench = *state;
    static const uint8_t lengths[][2] = {{0, 0}, {0, 1}, {0, 255}, {255, 255}};
    for (size_t i = 0; i < 4; i++) {
        uint8_t bad[sizeof(request)];
        memcpy(bad, request, sizeof(request));
        memcpy(bad + 4, lengths[i], 2);
        int fd = connect_raw(bench);
        send_raw(fd, bad, sizeof(bad));
        expect_closed(fd);
    }
    expect_registers(bench->client, 1, 0, 1);
}

static void a_request_shorter_than_its_function_needs_blocks_nobody(void **state)
{
    struct bench *bench = *state;
    /* Whole by its length, yet without the address and count that function 3 has. */
    static const uint8_t stunted[] = {0, 1, 0, 0, 0, 2, 1, 3};
    int fd = connect_raw(bench);
    send_raw(fd, stunted, sizeof(stunted));
    expect_registers(bench->client, 1, 0, 2);
    expect_closed(fd);
}

static void what_libmodbus_knows_by_name_alone_is_refused_at_once(void **state)
{
    struct bench *bench = *state;
    static const uint8_t functions[] = {7, 24, 43, 100};
    for (uint8_t i = 0; i < sizeof(functions); i++) {
        const uint8_t odd[] = {0, i, 0, 0, 0, 4, 1, functions[i], 14, 1};
        uint8_t reply[9];
        int fd = connect_raw(bench);
        send_raw(fd, odd, sizeof(odd));
        send_raw(fd, request, sizeof(request));
        server_bed_read(fd, reply, sizeof(reply));
        const uint8_t refusal[] = {0, i, 0, 0, 0, 3, 1, functions[i] | 0x80, 1};
        assert_memory_equal(reply, refusal, sizeof(refusal));
        server_bed_read(fd, reply, sizeof(reply)); /* and the stream is still in step */
        assert_int_equal(reply[1], 1);
    }
}

static void another_protocol_ends_the_connection(void **state)
{
    struct bench *bench = *state;
    static const uint8_t other[] = {0, 1, 0, 1, 0, 6, 1, 3, 0, 0, 0, 2};
    int fd = connect_raw(bench);
    send_raw(fd, other, sizeof(other));
    expect_closed(fd);
    expect_registers(bench->client, 1, 0, 1);
}

static void more_clients_than_there_is_room_for_are_sent_away(void **state)
{
    struct bench *bench = *state;
    for (int i = 0; i < RAW_MAX; i++)
        connect_raw(bench);
    expect_closed(bench->raw[RAW_MAX - 1]);
    expect_registers(bench->client, 1, 0, 1);
    server_bed_stop(&bench->bed);
    struct server_stats stats;
    server_stats(bench->bed.server, &stats);
    assert_int_equal(stats.refused, RAW_MAX + 1 - CLIENTS);
}

static int connect_to(const struct server_bed *bed)
{
    struct endpoint endpoint = {.host = "127.0.0.1", .port = server_port(bed->server)};
    int fd;
    assert_int_equal(socket_connect(&endpoint, &fd), 0);
    struct pollfd writable = {fd, POLLOUT, 0};
    assert_int_equal(poll(&writable, 1, PATIENCE_S * MS_PER_S), 1);
    return fd;
}

/* From now on no descriptor is left. */
static struct rlimit use_up_descriptors(void)
{
    struct rlimit before, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = dup(0);
    assert_true(next >= 0);
    close(next);
    none = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    return before;
}

static void a_client_without_a_descriptor_waits_until_another_goes(void **state)
{
    (void)state;
    struct server_bed bed;
    struct server_listen any = {.endpoint = {.host = "127.0.0.1"}};
    uint8_t reply[13];
    server_bed_open(&bed, &any);
    int first = connect_to(&bed);
    server_bed_await(&bed);
    server_step(bed.server, 0);
    int second = connect_to(&bed);
    struct rlimit before = use_up_descriptors();
    server_bed_await(&bed);
    server_step(bed.server, 0);
    struct pollfd readable = {server_fd(bed.server), POLLIN, 0};
    assert_int_equal(poll(&readable, 1, 0), 0); /* nothing to spin on */
    assert_int_equal(server_due(bed.server), US_PER_S);
    close(first);
    server_bed_await(&bed);
    server_step(bed.server, 0);
    assert_int_equal(server_due(bed.server), 0);
    send_raw(second, request, sizeof(request));
    server_step(bed.server, 0); /* hears of clients again */
    while (bed.units[0].requests == 0) {
        server_bed_await(&bed);
        server_step(bed.server, 0);
    }
    server_bed_read(second, reply, sizeof(reply));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    struct server_stats stats;
    server_stats(bed.server, &stats);
    assert_int_equal(stats.kept_waiting, 1);
    assert_true(server_due(bed.server) == NEVER);
    close(second);
    server_bed_close(&bed);
}

/* ---- the program, with a scenario ---- */

/* chengmai-sim in a process of its own. */
struct program {
    struct config_file file;
    char log[108];
    pid_t pid;
    uint16_t port;
    modbus_t *client;
};

/* A port that was free a moment ago. */
static uint16_t free_port(void)
{
    struct endpoint any = {.host = "127.0.0.1"};
    uint16_t port;
    int fd;
    assert_int_equal(socket_listen(&any, 1, &fd, &port, NULL), 0);
    close(fd);
    return port;
}

static void start_program(struct program *program, const char *scenario)
{
    char folder[2048], text[8192], path[108];
    assert_non_null(getcwd(folder, sizeof(folder)));
    program->port = free_port();
    int n = snprintf(text, sizeof(text),
                     "seed: 5\nlinks:\n  - listen: 127.0.0.1:%u\n    units:\n"
                     "      - {unit: 1, plant: gas, map: \"%s/config/maps/gas-rtu.csv\"}\n"
                     "      - {unit: 2, plant: gas, map: \"%s/config/maps/gas-rtu.csv\"}\n"
                     "scenario:\n%s",
                     program->port, folder, folder, scenario);
    assert_in_range(n, 1, sizeof(text) - 1);
    config_file_make(&program->file, "sim.yaml", text);

    /* It says when it is ready, as it does to systemd. */
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(path, sizeof(path), "%s/ready", program->file.folder);
    memcpy(address.sun_path, path, strlen(path) + 1);
    int ready = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(ready, (struct sockaddr *)&address, sizeof(address)), 0);
    snprintf(program->log, sizeof(program->log), "%s/log", program->file.folder);
    program->pid = fork();
    assert_true(program->pid >= 0);
    if (program->pid == 0) {
        char name[] = "chengmai-sim", option[] = "--config";
        char *arguments[] = {name, option, program->file.path, NULL};
        setenv("NOTIFY_SOCKET", path, 1);
        if (!freopen(program->log, "w", stderr))
            _exit(3);
        _exit(simulator_main(3, arguments));
    }
    char told[32] = "";
    struct pollfd readable = {ready, POLLIN, 0};
    assert_int_equal(poll(&readable, 1, PATIENCE_S * MS_PER_S), 1);
    assert_true(recv(ready, told, sizeof(told) - 1, 0) > 0);
    assert_string_equal(told, "READY=1");
    close(ready);
    unlink(path);
    program->client = connect_client(program->port);
}

static void end_program(struct program *program)
{
    int status;
    modbus_close(program->client);
    modbus_free(program->client);
    assert_int_equal(kill(program->pid, SIGTERM), 0);
    assert_int_equal(waitpid(program->pid, &status, 0), program->pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    unlink(program->log);
    config_file_remove(&program->file);
}

/* Until the program has said so. */
static void await_log(const struct program *program, const char *words)
{
    time_t until = time(NULL) + PATIENCE_S;
    struct buffer text;
    buffer_init(&text, 1024 * 1024);
    do {
        buffer_clear(&text);
        assert_int_equal(file_read(program->log, &text, NULL), 0);
        if (time(NULL) > until)
            fail_msg("not told: %s\nlog: %s", words, buffer_text(&text));
    } while (!strstr(buffer_text(&text), words));
    buffer_release(&text);
}

/* A float32 in the order ABCD. */
static float read_float(modbus_t *client, int unit, int start)
{
    uint16_t words[2];
    modbus_set_slave(client, unit);
    assert_int_equal(modbus_read_registers(client, start, 2, words), 2);
    return modbus_get_float_abcd(words);
}

#define P_IN   0
#define P_OUT1 2
#define P_OUT2 4
#define FLOW   6

static bool between(float value, float least, float most)
{
    return value >= least && value <= most;
}

static void a_scenario_sets_adds_and_freezes(void **state)
{
    (void)state;
    struct program program;
    start_program(&program,
                  "  - {at: 0s, for: 1h, unit: 1, kind: set, variable: p_in, amount: 77}\n"
                  "  - {at: 0s, for: 1h, unit: 1, kind: add, variable: p_out1, amount: 5000}\n"
                  "  - {at: 0s, for: 1h, unit: 1, kind: freeze, variable: p_out2}\n");
    assert_true(between(read_float(program.client, 1, P_IN), 76.99F, 77.01F));
    assert_true(between(read_float(program.client, 1, P_OUT1), 5270, 5330));
    assert_true(between(read_float(program.client, 2, P_OUT1), 270, 330)); /* only that unit */
    float frozen = read_float(program.client, 1, P_OUT2),
          flow = read_float(program.client, 1, FLOW);
    time_t until = time(NULL) + PATIENCE_S;
    float now;
    do /* until the plant has moved on */
        now = read_float(program.client, 1, FLOW);
    while (between(now, flow, flow) && time(NULL) < until);
    assert_false(between(now, flow, flow));
    float after = read_float(program.client, 1, P_OUT2);
    assert_true(between(after, frozen, frozen));
    end_program(&program);
}

static void a_scenario_kills_a_unit_and_makes_another_refuse(void **state)
{
    (void)state;
    struct program program;
    uint16_t value;
    start_program(&program, "  - {at: 0s, for: 1h, unit: 1, kind: exception}\n"
                            "  - {at: 0s, for: 1h, unit: 2, kind: dead}\n");
    modbus_set_slave(program.client, 1);
    assert_int_equal(modbus_read_registers(program.client, 0, 1, &value), -1);
    assert_int_equal(errno, EMBXSFAIL);
    modbus_set_response_timeout(program.client, 0, NO_ANSWER_US);
    modbus_set_slave(program.client, 2);
    assert_int_equal(modbus_read_registers(program.client, 0, 1, &value), -1);
    assert_int_equal(errno, ETIMEDOUT);
    end_program(&program);
}

static void an_incident_that_is_yet_to_come_changes_nothing(void **state)
{
    (void)state;
    struct program program;
    start_program(&program, "  - {at: 1h, for: 1h, unit: 1, kind: dead}\n"
                            "  - {at: 0s, for: 0s, unit: 2, kind: exception}\n");
    assert_true(between(read_float(program.client, 1, P_OUT1), 270, 330));
    assert_true(between(read_float(program.client, 2, P_OUT1), 270, 330));
    end_program(&program);
}

static void an_incident_shorter_than_a_step_happens(void **state)
{
    (void)state;
    struct program program;
    /* A step is a tenth of a second, which are hours of the plants' clock. */
    start_program(&program, "  - {at: 1min, for: 30s, unit: 1, kind: dead}\n"
                            "  - {at: 1h, for: 1s, unit: 2, kind: set, variable: p_in}\n"
                            "speed: 100000\n");
    await_log(&program, "incident 1 on link 0 begins");
    await_log(&program, "incident 1 on link 0 ends");
    await_log(&program, "incident 2 on link 0 begins");
    await_log(&program, "incident 2 on link 0 ends");
    assert_true(between(read_float(program.client, 1, P_OUT1), 200, 400));
    end_program(&program);
}

static void a_hang_up_is_answered_with_what_to_do(void **state)
{
    (void)state;
    struct program program;
    start_program(&program, "  []\n");
    assert_int_equal(kill(program.pid, SIGHUP), 0);
    await_log(&program, "restart it");
    assert_true(between(read_float(program.client, 1, P_OUT1), 270, 330));
    end_program(&program);
}

#define WITH_BENCH(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BENCH(several_units_answer_on_one_connection_each_with_its_own),
        WITH_BENCH(the_largest_read_and_the_last_register_are_answered),
        WITH_BENCH(input_registers_are_the_holding_registers),
        WITH_BENCH(coils_and_discrete_inputs_are_answered),
        WITH_BENCH(what_is_written_is_read),
        WITH_BENCH(a_dead_unit_does_not_answer_and_the_others_do),
        WITH_BENCH(exceptions_are_told_and_end_nothing),
        WITH_BENCH(half_a_request_blocks_nobody_and_is_answered_when_whole),
        WITH_BENCH(requests_sent_at_once_are_all_answered),
        WITH_BENCH(a_length_that_cannot_be_ends_the_connection),
        WITH_BENCH(a_request_shorter_than_its_function_needs_blocks_nobody),
        WITH_BENCH(what_libmodbus_knows_by_name_alone_is_refused_at_once),
        WITH_BENCH(another_protocol_ends_the_connection),
        WITH_BENCH(more_clients_than_there_is_room_for_are_sent_away),
        cmocka_unit_test(a_client_without_a_descriptor_waits_until_another_goes),
        cmocka_unit_test(a_scenario_sets_adds_and_freezes),
        cmocka_unit_test(a_scenario_kills_a_unit_and_makes_another_refuse),
        cmocka_unit_test(an_incident_that_is_yet_to_come_changes_nothing),
        cmocka_unit_test(an_incident_shorter_than_a_step_happens),
        cmocka_unit_test(a_hang_up_is_answered_with_what_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
