#include "drivers/modbus/link.h"

#include "base/clock.h"
#include "base/numbers.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 5000
#define TIMEOUT_US  (500 * (int64_t)US_PER_MS)

/* A link, and by hand the server it talks to. Its time stands still. */
struct bench {
    struct modbus_link *link;
    int listener;
    int server;
    struct endpoint endpoint;
    int64_t now_us;
    struct modbus_answer answer;
};

static uint64_t foreign(const struct bench *bench)
{
    struct modbus_link_counts counts;
    modbus_link_counts(bench->link, &counts);
    return counts.foreign;
}

static void wait_for(int fd, short events)
{
    struct pollfd wait = {.fd = fd, .events = events};
    assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
}

static int link_fd(const struct bench *bench)
{
    struct driver_want want;
    assert_true(modbus_link_want(bench->link, &want));
    return want.fd;
}

static void begin(struct bench *bench)
{
    *bench = (struct bench){.endpoint = {.host = "127.0.0.1"}, .server = -1, .now_us = 77};
    assert_int_equal(
        socket_listen(&bench->endpoint, 8, &bench->listener, &bench->endpoint.port, NULL), 0);
    assert_int_equal(modbus_link_open(&(struct link_url){.endpoint = bench->endpoint}, NULL, 500,
                                      &bench->link, NULL),
                     0);
}

static enum modbus_event step(struct bench *bench)
{
    return modbus_link_step(bench->link, bench->now_us, &bench->answer);
}

static void connect_both(struct bench *bench)
{
    struct driver_want want;

    assert_int_equal(modbus_link_connect(bench->link, bench->now_us), 0);
    assert_true(modbus_link_want(bench->link, &want));
    assert_int_equal(want.events, EPOLLOUT);
    wait_for(want.fd, POLLOUT);
    assert_int_equal(step(bench), MODBUS_CONNECTED);
    wait_for(bench->listener, POLLIN);
    if (bench->server >= 0)
        close(bench->server);
    bench->server = accept(bench->listener, NULL, NULL);
    assert_true(bench->server >= 0);
}

/* Sends a request and checks what arrives at the server. */
static void ask(struct bench *bench, const struct modbus_request *request, const char *expected)
{
    uint8_t frame[12];
    char hex[25];

    assert_int_equal(modbus_link_send(bench->link, request, bench->now_us), 0);
    assert_int_equal(recv(bench->server, frame, sizeof frame, MSG_WAITALL), sizeof frame);
    print_hex(frame, sizeof frame, hex);
    assert_string_equal(hex, expected);
}

static const struct modbus_request two_registers = {
    .unit = 7, .function = 3, .start = 16, .count = 2};

static void begin_asked(struct bench *bench)
{
    begin(bench);
    connect_both(bench);
    ask(bench, &two_registers, "000100000006070300100002");
}

static void end(struct bench *bench)
{
    modbus_link_close(bench->link);
    close(bench->listener);
    if (bench->server >= 0)
        close(bench->server);
}

static void serve_bytes(struct bench *bench, const char *hex)
{
    uint8_t bytes[600];
    size_t len = strlen(hex) / 2;

    assert_int_equal(parse_hex(hex, len, bytes), 0);
    assert_int_equal(send(bench->server, bytes, len, MSG_NOSIGNAL), len);
}

/* The bytes come, the link is woken and looks. */
static enum modbus_event serve(struct bench *bench, const char *hex)
{
    serve_bytes(bench, hex);
    wait_for(link_fd(bench), POLLIN);
    return step(bench);
}

static void check_data(const struct bench *bench, const char *expected)
{
    char hex[600];

    print_hex(bench->answer.data, bench->answer.len, hex);
    assert_string_equal(hex, expected);
}

static void a_reply_brings_its_registers(void **state)
{
    struct bench bench;

    (void)state;
    begin_asked(&bench);
    assert_int_equal(modbus_link_state(bench.link), MODBUS_LINK_WAITING);
    assert_int_equal(modbus_link_due(bench.link), bench.now_us + TIMEOUT_US);
    assert_int_equal(step(&bench), MODBUS_NOTHING);
    assert_false(modbus_link_proven(bench.link));
    assert_int_equal(serve(&bench, "0001000000070703041234abcd"), MODBUS_REPLY);
    check_data(&bench, "1234abcd");
    assert_true(modbus_link_proven(bench.link));
    assert_int_equal(modbus_link_state(bench.link), MODBUS_LINK_READY);
    assert_int_equal(modbus_link_due(bench.link), NEVER);
    /* And again, with a transaction of its own. */
    ask(&bench, &two_registers, "000200000006070300100002");
    assert_int_equal(serve(&bench, "00020000000707030400010002"), MODBUS_REPLY);
    check_data(&bench, "00010002");
    end(&bench);
}

static void bits_come_packed(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench);
    connect_both(&bench);
    ask(&bench, &(struct modbus_request){.unit = 1, .function = 1, .start = 0, .count = 9},
        "000100000006010100000009");
    assert_int_equal(serve(&bench, "00010000000501010255"
                                   "01"),
                     MODBUS_REPLY);
    check_data(&bench, "5501");
    end(&bench);
}

static void the_longest_reply_fits(void **state)
{
    struct bench bench;
    char hex[2 * 260 + 1] = "0001000000fd0703fa";

    (void)state;
    begin(&bench);
    connect_both(&bench);
    ask(&bench, &(struct modbus_request){.unit = 7, .function = 3, .start = 0, .count = 125},
        "00010000000607030000007d");
    memset(hex + 18, '5', 500);
    assert_int_equal(serve(&bench, hex), MODBUS_REPLY);
    assert_int_equal(bench.answer.len, 250);
    assert_int_equal(bench.answer.data[249], 0x55);
    end(&bench);
}

static void an_exception_brings_its_code(void **state)
{
    struct bench bench;

    (void)state;
    begin_asked(&bench);
    assert_int_equal(serve(&bench, "000100000003078302"), MODBUS_EXCEPTION);
    assert_int_equal(bench.answer.exception, 2);
    assert_true(modbus_link_proven(bench.link));
    assert_string_equal(modbus_link_trouble(bench.link)->text,
                        "unit 7 refused function 3 at 16 with exception 2");
    assert_int_equal(modbus_link_state(bench.link), MODBUS_LINK_READY);
    end(&bench);
}

static void foreign_frames_are_counted_and_passed_over(void **state)
{
    struct bench bench;

    (void)state;
    begin_asked(&bench);
    assert_int_equal(serve(&bench, "0009000000070703040bad0bad"), MODBUS_NOTHING); /* transaction */
    assert_int_equal(serve(&bench, "0001000000070803040bad0bad"), MODBUS_NOTHING); /* unit */
    assert_int_equal(serve(&bench, "000900000009"
                                   "08ffffffffffffffff"),
                     MODBUS_NOTHING);
    assert_int_equal(foreign(&bench), 3);
    /* Two at once: the second is ours. */
    assert_int_equal(serve(&bench, "0000000000070703040bad0bad"
                                   "00010000000707030400110022"),
                     MODBUS_REPLY);
    check_data(&bench, "00110022");
    assert_int_equal(foreign(&bench), 4);
    end(&bench);
}

static void a_doubled_reply_is_not_the_next_one(void **state)
{
    struct bench bench;

    (void)state;
    begin_asked(&bench);
    assert_int_equal(serve(&bench, "00010000000707030411111111"
                                   "00010000000707030422222222"),
                     MODBUS_REPLY);
    check_data(&bench, "11111111");
    ask(&bench, &two_registers, "000200000006070300100002");
    assert_int_equal(serve(&bench, "00020000000707030433333333"), MODBUS_REPLY);
    check_data(&bench, "33333333");
    assert_int_equal(foreign(&bench), 1);
    end(&bench);
}

static void a_late_reply_comes_to_nobody(void **state)
{
    struct bench bench;
    int late;

    (void)state;
    begin_asked(&bench);
    bench.now_us += TIMEOUT_US - 1;
    assert_int_equal(step(&bench), MODBUS_NOTHING);
    bench.now_us += 1;
    assert_int_equal(step(&bench), MODBUS_TIMEOUT);
    assert_int_equal(modbus_link_state(bench.link), MODBUS_LINK_CLOSED);
    assert_string_equal(modbus_link_trouble(bench.link)->text,
                        "unit 7 did not answer within 500 ms");
    late = bench.server;
    bench.server = -1;
    connect_both(&bench);
    ask(&bench, &two_registers, "000200000006070300100002");
    (void)send(late, "\0\1\0\0\0\7\7\3\4bad!", 13, MSG_NOSIGNAL);
    assert_int_equal(step(&bench), MODBUS_NOTHING);
    assert_int_equal(serve(&bench, "00020000000707030400000001"), MODBUS_REPLY);
    check_data(&bench, "00000001");
    close(late);
    end(&bench);
}

static void a_reply_that_waits_is_taken_even_if_we_are_late(void **state)
{
    struct bench bench;

    (void)state;
    begin_asked(&bench);
    bench.now_us += 10 * TIMEOUT_US;
    assert_int_equal(serve(&bench, "0001000000070703041234abcd"), MODBUS_REPLY);
    end(&bench);
}

static void a_reply_may_come_byte_by_byte_and_wakes_once(void **state)
{
    static const char *const reply = "0001000000070703041234abcd";
    struct bench bench;
    struct pollfd wait = {.events = POLLIN};

    (void)state;
    begin_asked(&bench);
    for (size_t i = 0; i < 12; i++) {
        char byte[3] = {reply[2 * i], reply[2 * i + 1], '\0'};
        serve_bytes(&bench, byte);
        if (i == 0)
            wait_for(link_fd(&bench), POLLIN);
        assert_int_equal(step(&bench), MODBUS_NOTHING);
        wait.fd = link_fd(&bench);
        assert_int_equal(poll(&wait, 1, 0), 0);
    }
    assert_int_equal(serve(&bench, "cd"), MODBUS_REPLY);
    check_data(&bench, "1234abcd");
    /* What comes next wakes with its first byte again. */
    ask(&bench, &two_registers, "000200000006070300100002");
    assert_int_equal(serve(&bench, "00"), MODBUS_NOTHING);
    end(&bench);
}

static void a_half_reply_is_none(void **state)
{
    struct bench bench;

    (void)state;
    begin_asked(&bench);
    assert_int_equal(serve(&bench, "00010000000707030412"), MODBUS_NOTHING);
    bench.now_us += TIMEOUT_US;
    assert_int_equal(step(&bench), MODBUS_TIMEOUT);
    end(&bench);
}

static void half_a_reply_and_a_farewell_is_a_loss(void **state)
{
    struct bench bench;

    (void)state;
    begin_asked(&bench);
    assert_int_equal(serve(&bench, "00010000000707030412"), MODBUS_NOTHING);
    close(bench.server);
    bench.server = -1;
    wait_for(link_fd(&bench), POLLRDHUP);
    assert_int_equal(step(&bench), MODBUS_LOST);
    assert_int_equal(modbus_link_state(bench.link), MODBUS_LINK_CLOSED);
    end(&bench);
}

static void what_is_not_modbus_closes(void **state)
{
    static const char *const streams[] = {
        "00010000ffff0703041234abcd", /* absurd length */
        "0001000000ff0703041234abcd", /* one too long */
        "0001000000020703",           /* too short for any reply */
        "000100000000",               /* nothing at all */
        "0001000100070703041234abcd", /* protocol */
        "485454502f312e3120343030",   /* another server on that port */
    };

    (void)state;
    for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++) {
        struct bench bench;
        begin_asked(&bench);
        assert_int_equal(serve(&bench, streams[i]), MODBUS_GARBAGE);
        assert_int_equal(modbus_link_state(bench.link), MODBUS_LINK_CLOSED);
        assert_false(modbus_link_proven(bench.link));
        assert_non_null(strstr(modbus_link_trouble(bench.link)->text, "what is not Modbus"));
        end(&bench);
    }
}

static void a_reply_to_something_else_is_bad_and_the_link_goes_on(void **state)
{
    static const char *const replies[] = {
        "0001000000070704041234abcd", /* function */
        "000100000005070302"
        "1234",                           /* fewer registers */
        "0001000000090703061234abcd1234", /* more */
        "0001000000070703021234abcd",     /* a byte count that is not the frame's */
        "000100000007070306"
        "1234abcd",             /* one that libmodbus would wait for */
        "00010000000407830200", /* a longer exception */
        "000100000007078604"
        "1234abcd", /* an exception to another function */
    };

    (void)state;
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        struct bench bench;
        begin_asked(&bench);
        assert_int_equal(serve(&bench, replies[i]), MODBUS_BAD_REPLY);
        assert_int_equal(modbus_link_state(bench.link), MODBUS_LINK_READY);
        ask(&bench, &two_registers, "000200000006070300100002");
        assert_int_equal(serve(&bench, "00020000000707030400000001"), MODBUS_REPLY);
        end(&bench);
    }
}

static void who_talks_unasked_is_hung_up_on(void **state)
{
    struct bench bench;
    enum modbus_event event = MODBUS_NOTHING;
    int frames = 0;

    (void)state;
    begin(&bench);
    connect_both(&bench);
    while (event == MODBUS_NOTHING && frames++ < 1000)
        event = serve(&bench, "000100000003010302");
    assert_int_equal(event, MODBUS_GARBAGE);
    assert_int_equal(frames, 101);
    end(&bench);
}

static void a_reset_is_a_loss(void **state)
{
    struct bench bench;
    struct linger reset = {.l_onoff = 1};

    (void)state;
    begin_asked(&bench);
    setsockopt(bench.server, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(bench.server);
    bench.server = -1;
    wait_for(link_fd(&bench), POLLIN);
    assert_int_equal(step(&bench), MODBUS_LOST);
    assert_non_null(strstr(modbus_link_trouble(bench.link)->text, "reset"));
    end(&bench);
}

static void an_idle_connection_that_ends_is_noticed(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench);
    connect_both(&bench);
    close(bench.server);
    bench.server = -1;
    wait_for(link_fd(&bench), POLLIN);
    assert_int_equal(step(&bench), MODBUS_LOST);
    assert_int_equal(step(&bench), MODBUS_NOTHING);
    end(&bench);
}

static void nobody_there_is_a_refusal(void **state)
{
    struct bench bench;
    struct driver_want want;

    (void)state;
    begin(&bench);
    close(bench.listener);
    bench.listener = -1;
    assert_false(modbus_link_want(bench.link, &want));
    assert_int_equal(modbus_link_connect(bench.link, bench.now_us), 0);
    wait_for(link_fd(&bench), POLLOUT);
    assert_int_equal(step(&bench), MODBUS_REFUSED);
    assert_non_null(strstr(modbus_link_trouble(bench.link)->text, "Connection refused"));
    assert_false(modbus_link_want(bench.link, &want));
    end(&bench);
}

static void a_connection_that_does_not_come_is_given_up(void **state)
{
    struct bench bench;
    int fillers[4];

    (void)state;
    begin(&bench);
    /* Behind a full queue nobody answers. */
    assert_int_equal(listen(bench.listener, 0), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(socket_connect(&bench.endpoint, &fillers[i]), 0);
    assert_int_equal(modbus_link_connect(bench.link, bench.now_us), 0);
    assert_int_equal(modbus_link_due(bench.link), bench.now_us + TIMEOUT_US);
    assert_int_equal(step(&bench), MODBUS_NOTHING);
    bench.now_us += TIMEOUT_US;
    assert_int_equal(step(&bench), MODBUS_REFUSED);
    assert_int_equal(modbus_link_state(bench.link), MODBUS_LINK_CLOSED);
    for (size_t i = 0; i < 4; i++)
        close(fillers[i]);
    end(&bench);
}

static void writing_cannot_be_asked_for(void **state)
{
    static const uint8_t functions[] = {0, 5, 6, 7, 15, 16, 21, 22, 23, 43, 0x83, 255};
    struct bench bench;
    uint8_t byte;

    (void)state;
    begin(&bench);
    connect_both(&bench);
    for (size_t i = 0; i < sizeof functions; i++) {
        struct modbus_request request = {.unit = 1, .function = functions[i], .count = 1};
        assert_int_equal(modbus_link_send(bench.link, &request, 0), ERR_INVALID);
    }
    assert_int_equal(modbus_link_state(bench.link), MODBUS_LINK_READY);
    assert_int_equal(recv(bench.server, &byte, 1, MSG_DONTWAIT), -1);
    end(&bench);
}

static void timeouts_have_bounds(void **state)
{
    struct link_url url = {.endpoint = {.host = "127.0.0.1", .port = 1}};
    struct modbus_link *link = NULL;
    struct message message = {""};

    (void)state;
    assert_int_equal(modbus_link_open(&url, NULL, 9, &link, &message), ERR_RANGE);
    assert_int_equal(modbus_link_open(&url, NULL, 60001, &link, &message), ERR_RANGE);
    assert_string_equal(message.text, "timeout 60001 ms; expected 10 to 60000 ms");
    assert_null(link);
    modbus_link_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_brings_its_registers),
        cmocka_unit_test(bits_come_packed),
        cmocka_unit_test(the_longest_reply_fits),
        cmocka_unit_test(an_exception_brings_its_code),
        cmocka_unit_test(foreign_frames_are_counted_and_passed_over),
        cmocka_unit_test(a_doubled_reply_is_not_the_next_one),
        cmocka_unit_test(a_late_reply_comes_to_nobody),
        cmocka_unit_test(a_reply_that_waits_is_taken_even_if_we_are_late),
        cmocka_unit_test(a_reply_may_come_byte_by_byte_and_wakes_once),
        cmocka_unit_test(a_half_reply_is_none),
        cmocka_unit_test(half_a_reply_and_a_farewell_is_a_loss),
        cmocka_unit_test(what_is_not_modbus_closes),
        cmocka_unit_test(a_reply_to_something_else_is_bad_and_the_link_goes_on),
        cmocka_unit_test(who_talks_unasked_is_hung_up_on),
        cmocka_unit_test(a_reset_is_a_loss),
        cmocka_unit_test(an_idle_connection_that_ends_is_noticed),
        cmocka_unit_test(nobody_there_is_a_refusal),
        cmocka_unit_test(a_connection_that_does_not_come_is_given_up),
        cmocka_unit_test(writing_cannot_be_asked_for),
        cmocka_unit_test(timeouts_have_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
