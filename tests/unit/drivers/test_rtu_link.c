/* RTU lines by hand: a serial server, a serial port, a DTU's call. Time stands still but by hand.
 */
#include "drivers/modbus/link.h"

#include "base/clock.h"
#include "base/numbers.h"
#include "drivers/modbus/rtu_wire.h"

#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 5000
#define MS          ((int64_t)US_PER_MS)
#define TIMEOUT_US  (500 * MS)

struct bench {
    struct modbus_link *link;
    int listener; /* of a serial server, or -1 */
    int far;      /* the instruments' end of the line */
    int near;     /* of a pseudo-terminal: kept open, or -1 */
    struct link_url url;
    int64_t now_us;
    struct modbus_answer answer;
};

static const struct modbus_request two = {.unit = 7, .function = 3, .start = 16, .count = 2};
static const char two_asked[] = "070300100002c5a8";

/* The first of them alone: a fence before both. */
static const struct modbus_request one = {.unit = 7, .function = 3, .start = 16, .count = 1};
static const char one_asked[] = "07030010000185a9";

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

static enum modbus_event step(struct bench *bench)
{
    return modbus_link_step(bench->link, bench->now_us, &bench->answer);
}

static void open_link(struct bench *bench, struct dial_in_line *line)
{
    struct message message = {""};
    if (modbus_link_open(&bench->url, line, TIMEOUT_US / MS, &bench->link, &message) != 0)
        fail_msg("%s", message.text);
}

static void connect_server(struct bench *bench)
{
    assert_int_equal(modbus_link_connect(bench->link, bench->now_us), 0);
    wait_for(link_fd(bench), POLLOUT);
    assert_int_equal(step(bench), MODBUS_CONNECTED);
    wait_for(bench->listener, POLLIN);
    if (bench->far >= 0)
        close(bench->far);
    bench->far = accept(bench->listener, NULL, NULL);
    assert_true(bench->far >= 0);
}

/* A serial server, connected. */
static void begin_at(struct bench *bench, unsigned baud)
{
    *bench = (struct bench){.far = -1, .near = -1, .now_us = 1000 * MS};
    bench->url = (struct link_url){
        .kind = LINK_RTU_TCP, .endpoint = {.host = "127.0.0.1"}, .baud = baud, .stop = 1};
    bench->url.parity = 'E';
    assert_int_equal(
        socket_listen(&bench->url.endpoint, 8, &bench->listener, &bench->url.endpoint.port, NULL),
        0);
    open_link(bench, NULL);
    connect_server(bench);
}

static void begin(struct bench *bench)
{
    begin_at(bench, 0);
}

static void end(struct bench *bench)
{
    modbus_link_close(bench->link);
    if (bench->listener >= 0)
        close(bench->listener);
    if (bench->far >= 0)
        close(bench->far);
    if (bench->near >= 0)
        close(bench->near);
}

/* What has arrived at the instruments is the request. */
static void arrived(struct bench *bench, const char *expected)
{
    uint8_t frame[8];
    char hex[17];
    size_t len = 0;
    while (len < sizeof frame) {
        wait_for(bench->far, POLLIN);
        ssize_t got = read(bench->far, frame + len, sizeof frame - len);
        assert_true(got > 0);
        len += (size_t)got;
    }
    print_hex(frame, sizeof frame, hex);
    assert_string_equal(hex, expected);
}

static void nothing_arrived(const struct bench *bench)
{
    struct pollfd wait = {.fd = bench->far, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, 0), 0);
}

static void ask(struct bench *bench, const struct modbus_request *request, const char *expected)
{
    assert_int_equal(modbus_link_send(bench->link, request, bench->now_us), 0);
    arrived(bench, expected);
}

/* These bytes come, the link is woken and looks. */
static enum modbus_event serve(struct bench *bench, const char *hex)
{
    uint8_t bytes[600];
    size_t len = strlen(hex) / 2;
    assert_int_equal(parse_hex(hex, len, bytes), 0);
    assert_int_equal(write(bench->far, bytes, len), len);
    wait_for(link_fd(bench), POLLIN);
    return step(bench);
}

/* The same with its CRC. */
static enum modbus_event serve_sealed(struct bench *bench, const char *hex)
{
    uint8_t bytes[300];
    char whole[600];
    size_t len = strlen(hex) / 2;
    assert_int_equal(parse_hex(hex, len, bytes), 0);
    uint16_t crc = rtu_crc(bytes, len);
    snprintf(whole, sizeof whole, "%s%02x%02x", hex, crc & 0xFF, crc >> 8);
    return serve(bench, whole);
}

static void check_data(const struct bench *bench, const char *expected)
{
    char hex[600];
    print_hex(bench->answer.data, bench->answer.len, hex);
    assert_string_equal(hex, expected);
}

static struct modbus_link_counts counts(const struct bench *bench)
{
    struct modbus_link_counts counts;
    modbus_link_counts(bench->link, &counts);
    return counts;
}

static void a_reply_brings_its_registers(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench);
    ask(&bench, &two, two_asked);
    assert_int_equal(modbus_link_due(bench.link), bench.now_us + TIMEOUT_US);
    bench.now_us += 20 * MS;
    assert_int_equal(serve_sealed(&bench, "0703041234abcd"), MODBUS_REPLY);
    check_data(&bench, "1234abcd");
    assert_int_equal(bench.answer.sent_us, bench.now_us - 20 * MS);
    assert_true(modbus_link_proven(bench.link));
    ask(&bench, &two, two_asked);
    assert_int_equal(serve_sealed(&bench, "078302"), MODBUS_EXCEPTION);
    assert_int_equal(bench.answer.exception, 2);
    end(&bench);
}

/* The end is told by length and CRC, not by silence. */
static void a_reply_may_come_byte_by_byte(void **state)
{
    static const char *const reply = "0703041234abcd";
    struct bench bench;
    uint8_t bytes[9];
    char whole[19];

    (void)state;
    begin(&bench);
    ask(&bench, &two, two_asked);
    assert_int_equal(parse_hex(reply, 7, bytes), 0);
    uint16_t crc = rtu_crc(bytes, 7);
    snprintf(whole, sizeof whole, "%s%02x%02x", reply, crc & 0xFF, crc >> 8);
    for (size_t i = 0; i < 8; i++) {
        char byte[3] = {whole[2 * i], whole[2 * i + 1], '\0'};
        bench.now_us += 20 * MS;
        assert_int_equal(serve(&bench, byte), MODBUS_NOTHING);
    }
    assert_int_equal(serve(&bench, whole + 16), MODBUS_REPLY);
    check_data(&bench, "1234abcd");
    end(&bench);
}

/* One byte a second: no longer than any other silence. */
static void who_drips_is_given_up_in_time(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench);
    ask(&bench, &two, two_asked);
    bench.now_us += 300 * MS;
    assert_int_equal(serve(&bench, "07"), MODBUS_NOTHING);
    bench.now_us += 200 * MS;
    assert_int_equal(serve(&bench, "03"), MODBUS_TIMEOUT);
    assert_int_equal(modbus_link_state(bench.link), MODBUS_LINK_READY);
    assert_string_equal(modbus_link_trouble(bench.link)->text,
                        "unit 7 did not answer within 500 ms; 2 bytes came that are no frame");
    end(&bench);
}

static void who_did_not_answer_is_left_alone_and_others_are_not(void **state)
{
    struct modbus_request other = two;
    struct bench bench;

    (void)state;
    begin(&bench);
    ask(&bench, &two, two_asked);
    bench.now_us += TIMEOUT_US;
    assert_int_equal(step(&bench), MODBUS_TIMEOUT);
    assert_int_equal(modbus_link_free(bench.link, 7), bench.now_us + 1000 * MS);
    assert_true(modbus_link_free(bench.link, 8) <= bench.now_us);
    other.unit = 8;
    ask(&bench, &other, "080300100002c557");
    /* The late one comes, with other values, in the midst of the other's time. */
    assert_int_equal(serve_sealed(&bench, "0703040bad0bad"), MODBUS_NOTHING);
    assert_int_equal(serve_sealed(&bench, "08030411112222"), MODBUS_REPLY);
    check_data(&bench, "11112222");
    assert_int_equal(counts(&bench).foreign, 1);
    assert_int_equal(counts(&bench).late, 1);
    assert_int_equal(modbus_link_late(bench.link, 7), 1);
    end(&bench);
}

/* The ghost: late by timeout + 200 ms, in the very form of the next reply. */
static void a_late_reply_is_nobodys(void **state)
{
    struct modbus_request next = two;
    struct bench bench;

    (void)state;
    begin(&bench);
    next.start = 32;
    ask(&bench, &two, two_asked);
    bench.now_us += TIMEOUT_US;
    assert_int_equal(step(&bench), MODBUS_TIMEOUT);
    assert_int_equal(modbus_link_send(bench.link, &next, bench.now_us), 0);
    assert_int_equal(modbus_link_state(bench.link), MODBUS_LINK_WAITING);
    assert_int_equal(modbus_link_due(bench.link), bench.now_us + 1000 * MS);
    nothing_arrived(&bench);
    bench.now_us += TIMEOUT_US + 200 * MS;
    assert_int_equal(serve_sealed(&bench, "0703040bad0bad"), MODBUS_NOTHING);
    bench.now_us = modbus_link_due(bench.link);
    assert_int_equal(step(&bench), MODBUS_NOTHING);
    arrived(&bench, "070300200002c5a7");
    bench.now_us += 30 * MS;
    assert_int_equal(serve_sealed(&bench, "07030400200021"), MODBUS_REPLY);
    check_data(&bench, "00200021");
    assert_int_equal(counts(&bench).late, 1);
    end(&bench);
}

/* Who was late by 1.2 s after the request is waited for twice as long the next time. */
static void how_late_a_unit_can_be_is_remembered(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench);
    ask(&bench, &two, two_asked);
    bench.now_us += TIMEOUT_US;
    assert_int_equal(step(&bench), MODBUS_TIMEOUT);
    bench.now_us += 700 * MS;
    assert_int_equal(serve_sealed(&bench, "0703040bad0bad"), MODBUS_NOTHING);
    bench.now_us += 1000 * MS;
    ask(&bench, &two, two_asked);
    bench.now_us += TIMEOUT_US;
    assert_int_equal(step(&bench), MODBUS_TIMEOUT);
    assert_int_equal(modbus_link_free(bench.link, 7), bench.now_us + 2400 * MS);
    end(&bench);
}

/* After a timeout a shorter read goes first: its reply can be no older one. */
static void a_fence_goes_before_what_might_be_answered_by_a_ghost(void **state)
{
    struct modbus_request next = two;
    struct bench bench;

    (void)state;
    begin(&bench);
    next.start = 32;
    ask(&bench, &two, two_asked);
    bench.now_us += TIMEOUT_US;
    assert_int_equal(step(&bench), MODBUS_TIMEOUT);
    bench.now_us = modbus_link_free(bench.link, 7);
    ask(&bench, &next, "07030020000185a6");
    /* The ghost comes even now, long after the quiet: it stands before the fence's reply. */
    assert_int_equal(serve_sealed(&bench, "0703040bad0bad"), MODBUS_NOTHING);
    assert_int_equal(serve_sealed(&bench, "0703020020"), MODBUS_NOTHING);
    assert_int_equal(counts(&bench).late, 1);
    arrived(&bench, "070300200002c5a7");
    assert_int_equal(serve_sealed(&bench, "07030400200021"), MODBUS_REPLY);
    check_data(&bench, "00200021");
    ask(&bench, &two, two_asked);
    end(&bench);
}

/* One register has no shorter read: of two frames the second is believed. */
static void the_first_of_two_frames_is_the_ghost(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench);
    ask(&bench, &one, one_asked);
    bench.now_us += TIMEOUT_US;
    assert_int_equal(step(&bench), MODBUS_TIMEOUT);
    bench.now_us = modbus_link_free(bench.link, 7);
    ask(&bench, &one, one_asked);
    assert_int_equal(serve_sealed(&bench, "0703020bad"), MODBUS_NOTHING);
    assert_int_equal(counts(&bench).late, 0);
    assert_int_equal(serve_sealed(&bench, "0703021111"), MODBUS_REPLY);
    check_data(&bench, "1111");
    assert_int_equal(counts(&bench).late, 1);
    end(&bench);
}

/* And of one frame nothing is believed, be it data or an exception. If nothing comes behind it for
 * long enough, the next one is. */
static void a_frame_that_may_be_a_ghost_is_a_bad_reply(void **state)
{
    static const char *const frames[] = {"0703020bad", "078302"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct bench bench;
        begin(&bench);
        ask(&bench, &one, one_asked);
        bench.now_us += TIMEOUT_US;
        assert_int_equal(step(&bench), MODBUS_TIMEOUT);
        bench.now_us = modbus_link_free(bench.link, 7);
        ask(&bench, &one, one_asked);
        assert_int_equal(serve_sealed(&bench, frames[i]), MODBUS_NOTHING);
        bench.now_us += TIMEOUT_US;
        assert_int_equal(step(&bench), MODBUS_BAD_REPLY);
        assert_string_equal(modbus_link_trouble(bench.link)->text,
                            "unit 7 answered function 3 at 16, or what it was asked before");
        assert_true(modbus_link_free(bench.link, 7) >= bench.now_us + 5000 * MS);
        bench.now_us = modbus_link_free(bench.link, 7);
        ask(&bench, &one, one_asked);
        assert_int_equal(serve_sealed(&bench, "0703021111"), MODBUS_REPLY);
        check_data(&bench, "1111");
        end(&bench);
    }
}

/* A frame as the last one, for another place: it waits whether another comes behind it. */
static void a_reply_said_twice_is_passed_over_for_the_next(void **state)
{
    struct modbus_request other = one;
    struct bench bench;

    (void)state;
    begin(&bench);
    other.start = 32;
    ask(&bench, &one, one_asked);
    assert_int_equal(serve_sealed(&bench, "0703021111"), MODBUS_REPLY);
    ask(&bench, &other, "07030020000185a6");
    bench.now_us += 30 * MS;
    assert_int_equal(serve_sealed(&bench, "0703021111"), MODBUS_NOTHING);
    bench.now_us += 10 * MS;
    assert_int_equal(serve_sealed(&bench, "0703022222"), MODBUS_REPLY);
    check_data(&bench, "2222");
    /* From now on such a read waits until the second copy would have come. */
    assert_int_equal(modbus_link_send(bench.link, &one, bench.now_us), 0);
    nothing_arrived(&bench);
    assert_int_equal(modbus_link_due(bench.link), bench.now_us + 80 * MS);
    end(&bench);
}

static void two_places_may_hold_the_same(void **state)
{
    struct modbus_request other = one;
    struct bench bench;

    (void)state;
    begin(&bench);
    other.start = 32;
    ask(&bench, &one, one_asked);
    assert_int_equal(serve_sealed(&bench, "0703020000"), MODBUS_REPLY);
    ask(&bench, &other, "07030020000185a6");
    bench.now_us += 30 * MS;
    assert_int_equal(serve_sealed(&bench, "0703020000"), MODBUS_NOTHING);
    assert_int_equal(modbus_link_due(bench.link), bench.now_us + 70 * MS);
    bench.now_us = modbus_link_due(bench.link);
    assert_int_equal(step(&bench), MODBUS_REPLY);
    check_data(&bench, "0000");
    end(&bench);
}

/* And forgotten by halves, where hundreds of replies come in time. */
static void a_unit_that_is_prompt_again_is_waited_for_less(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench);
    ask(&bench, &two, two_asked);
    bench.now_us += TIMEOUT_US;
    assert_int_equal(step(&bench), MODBUS_TIMEOUT);
    bench.now_us += 3500 * MS;
    assert_int_equal(serve_sealed(&bench, "0703040bad0bad"), MODBUS_NOTHING);
    bench.now_us += 4000 * MS;
    for (int i = 0; i < 200; i++) {
        ask(&bench, &two, two_asked);
        assert_int_equal(serve_sealed(&bench, "07030411112222"), MODBUS_REPLY);
    }
    ask(&bench, &two, two_asked);
    bench.now_us += TIMEOUT_US;
    assert_int_equal(step(&bench), MODBUS_TIMEOUT);
    assert_int_equal(modbus_link_free(bench.link, 7), bench.now_us + 4000 * MS);
    end(&bench);
}

static void what_does_not_fit_is_passed_over_and_then_bad(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench);
    ask(&bench, &two, two_asked);
    assert_int_equal(serve_sealed(&bench, "0703021234"), MODBUS_NOTHING);
    assert_int_equal(serve_sealed(&bench, "07030411112222"), MODBUS_REPLY);
    check_data(&bench, "11112222");
    ask(&bench, &two, two_asked);
    assert_int_equal(serve_sealed(&bench, "0703021234"), MODBUS_NOTHING);
    bench.now_us += TIMEOUT_US;
    assert_int_equal(step(&bench), MODBUS_BAD_REPLY);
    assert_int_equal(modbus_link_state(bench.link), MODBUS_LINK_READY);
    assert_int_equal(counts(&bench).misfits, 2);
    /* And the next time it is only silent: that is a timeout again. */
    bench.now_us += 2000 * MS;
    ask(&bench, &two, one_asked);
    bench.now_us += TIMEOUT_US;
    assert_int_equal(step(&bench), MODBUS_TIMEOUT);
    end(&bench);
}

static void what_comes_unasked_is_counted_and_goes(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench);
    assert_int_equal(serve_sealed(&bench, "0703040bad0bad"), MODBUS_NOTHING);
    assert_int_equal(serve(&bench, "00ff00"), MODBUS_NOTHING);
    assert_int_equal(counts(&bench).foreign, 1);
    assert_int_equal(counts(&bench).noise, 3);
    /* What comes behind a reply is not the next one. */
    ask(&bench, &two, two_asked);
    assert_int_equal(serve(&bench, "0703041111222251b3"
                                   "0703040bad0badc97b"),
                     MODBUS_REPLY);
    check_data(&bench, "11112222");
    ask(&bench, &two, two_asked);
    assert_int_equal(step(&bench), MODBUS_NOTHING);
    assert_int_equal(serve_sealed(&bench, "07030433334444"), MODBUS_REPLY);
    check_data(&bench, "33334444");
    end(&bench);
}

static void a_babbling_line_neither_grows_nor_hides_the_reply(void **state)
{
    struct bench bench;
    char noise[401];

    (void)state;
    begin(&bench);
    memset(noise, '5', 400);
    noise[400] = '\0';
    ask(&bench, &two, two_asked);
    for (int i = 0; i < 50; i++)
        assert_int_equal(serve(&bench, noise), MODBUS_NOTHING);
    assert_int_equal(serve_sealed(&bench, "07030411112222"), MODBUS_REPLY);
    check_data(&bench, "11112222");
    assert_int_equal(counts(&bench).noise, 50 * 200);
    /* Nor does a request wait for its silence for ever. */
    ask(&bench, &two, two_asked);
    end(&bench);
}

static void the_line_is_silent_before_a_request(void **state)
{
    struct bench bench;
    int64_t silence_us = rtu_silence_us(9600);

    (void)state;
    begin_at(&bench, 9600);
    bench.now_us += silence_us;
    ask(&bench, &two, two_asked);
    /* Time on the wire comes on top: 8 and 9 characters of 11 bits, and two silences. */
    assert_int_equal(modbus_link_due(bench.link),
                     bench.now_us + TIMEOUT_US + 2 * silence_us + rtu_wire_us(9600, 11, 17));
    assert_int_equal(serve_sealed(&bench, "07030411112222"), MODBUS_REPLY);
    assert_int_equal(modbus_link_free(bench.link, 7), bench.now_us + silence_us);
    assert_int_equal(modbus_link_send(bench.link, &two, bench.now_us), 0);
    nothing_arrived(&bench);
    bench.now_us += silence_us - 1;
    assert_int_equal(step(&bench), MODBUS_NOTHING);
    nothing_arrived(&bench);
    /* Somebody else speaks: silence begins anew. */
    assert_int_equal(serve(&bench, "ff"), MODBUS_NOTHING);
    bench.now_us += 1;
    assert_int_equal(step(&bench), MODBUS_NOTHING);
    nothing_arrived(&bench);
    assert_int_equal(modbus_link_due(bench.link), bench.now_us - 1 + silence_us);
    bench.now_us = modbus_link_due(bench.link);
    assert_int_equal(step(&bench), MODBUS_NOTHING);
    arrived(&bench, two_asked);
    end(&bench);
}

static void a_line_that_is_never_silent_is_asked_all_the_same(void **state)
{
    struct bench bench;
    int64_t begun_us;

    (void)state;
    begin_at(&bench, 9600);
    assert_int_equal(serve(&bench, "ff"), MODBUS_NOTHING);
    begun_us = bench.now_us;
    assert_int_equal(modbus_link_send(bench.link, &two, bench.now_us), 0);
    while (bench.now_us < begun_us + TIMEOUT_US) {
        nothing_arrived(&bench);
        bench.now_us += 3 * MS;
        assert_int_equal(serve(&bench, "ff"), MODBUS_NOTHING);
    }
    bench.now_us += 10 * MS;
    assert_int_equal(serve(&bench, "ff"), MODBUS_NOTHING);
    arrived(&bench, two_asked);
    end(&bench);
}

static void a_line_without_a_byte_is_opened_anew(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(modbus_link_state(bench.link), MODBUS_LINK_READY);
        bench.now_us += 10000 * MS;
        ask(&bench, &one, one_asked);
        bench.now_us += TIMEOUT_US;
        assert_int_equal(step(&bench), MODBUS_TIMEOUT);
    }
    assert_int_equal(modbus_link_state(bench.link), MODBUS_LINK_CLOSED);
    /* The unit stays haunted over that: a serial server may have kept its reply. */
    connect_server(&bench);
    assert_true(modbus_link_free(bench.link, 7) > bench.now_us);
    end(&bench);
}

static void a_connection_lost_amid_a_reply_haunts_the_next(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench);
    ask(&bench, &two, two_asked);
    assert_int_equal(serve(&bench, "070304"), MODBUS_NOTHING);
    close(bench.far);
    bench.far = -1;
    wait_for(link_fd(&bench), POLLIN);
    assert_int_equal(step(&bench), MODBUS_LOST);
    connect_server(&bench);
    assert_int_equal(modbus_link_free(bench.link, 7), bench.now_us + 1000 * MS);
    end(&bench);
}

static void the_last_frames_can_be_seen(void **state)
{
    struct frame_note notes[8];
    struct bench bench;

    (void)state;
    begin(&bench);
    ask(&bench, &two, two_asked);
    assert_int_equal(serve_sealed(&bench, "08030411112222"), MODBUS_NOTHING);
    assert_int_equal(serve_sealed(&bench, "07030411112222"), MODBUS_REPLY);
    ask(&bench, &two, two_asked);
    bench.now_us += TIMEOUT_US;
    assert_int_equal(step(&bench), MODBUS_TIMEOUT);
    assert_int_equal(modbus_link_frames(bench.link, notes, 8), 5);
    assert_int_equal(notes[0].kind, FRAME_SENT);
    assert_int_equal(notes[0].len, 8);
    assert_int_equal(notes[1].kind, FRAME_REFUSED);
    assert_int_equal(notes[1].bytes[0], 8);
    assert_int_equal(notes[2].kind, FRAME_TAKEN);
    assert_int_equal(notes[2].len, 9);
    assert_int_equal(notes[4].kind, FRAME_MISSED);
    assert_int_equal(notes[4].at_us, bench.now_us);
    end(&bench);
}

/* ---- serial ports ---- */

static void begin_serial(struct bench *bench, const char *options)
{
    char name[64], text[200];
    *bench = (struct bench){.listener = -1, .now_us = 1000 * MS};
    assert_int_equal(openpty(&bench->far, &bench->near, name, NULL, NULL), 0);
    snprintf(text, sizeof text, "rtu://%s%s", name, options);
    assert_int_equal(link_url_parse(text, &bench->url, NULL), 0);
    open_link(bench, NULL);
}

static void a_serial_port_is_read(void **state)
{
    struct termios terminal;
    struct bench bench;

    (void)state;
    begin_serial(&bench, "?baud=19200&parity=N&stop=2");
    assert_int_equal(modbus_link_connect(bench.link, bench.now_us), 0);
    assert_int_equal(step(&bench), MODBUS_CONNECTED);
    assert_int_equal(tcgetattr(bench.near, &terminal), 0);
    assert_int_equal(cfgetospeed(&terminal), B19200);
    assert_int_equal(terminal.c_cflag & CSTOPB, CSTOPB);
    assert_int_equal(terminal.c_cflag & CSIZE, CS8);
    bench.now_us += 10 * MS;
    ask(&bench, &two, two_asked);
    assert_int_equal(step(&bench), MODBUS_NOTHING);
    assert_int_equal(serve_sealed(&bench, "07030411110d0a"), MODBUS_REPLY); /* CR LF, unharmed */
    check_data(&bench, "11110d0a");
    end(&bench);
}

static void any_speed_can_be_set(void **state)
{
    static const char *const speeds[] = {"?baud=50", "?baud=12345", "?baud=2000000",
                                         "?baud=4000000"};
    (void)state;
    for (size_t i = 0; i < sizeof speeds / sizeof speeds[0]; i++) {
        struct bench bench;
        begin_serial(&bench, speeds[i]);
        assert_int_equal(modbus_link_connect(bench.link, bench.now_us), 0);
        assert_int_equal(step(&bench), MODBUS_CONNECTED);
        end(&bench);
    }
}

static void a_serial_port_that_goes_is_a_loss(void **state)
{
    struct bench bench;

    (void)state;
    begin_serial(&bench, "");
    assert_int_equal(modbus_link_connect(bench.link, bench.now_us), 0);
    assert_int_equal(step(&bench), MODBUS_CONNECTED);
    close(bench.far);
    bench.far = -1;
    wait_for(link_fd(&bench), POLLIN);
    assert_int_equal(step(&bench), MODBUS_LOST);
    assert_int_not_equal(modbus_link_connect(bench.link, bench.now_us), 0);
    assert_int_equal(modbus_link_state(bench.link), MODBUS_LINK_CLOSED);
    end(&bench);
}

static void a_serial_port_has_one_owner(void **state)
{
    struct bench bench;

    (void)state;
    begin_serial(&bench, "");
    assert_int_equal(flock(bench.near, LOCK_EX | LOCK_NB), 0);
    assert_int_equal(modbus_link_connect(bench.link, bench.now_us), ERR_CONFLICT);
    assert_non_null(strstr(modbus_link_trouble(bench.link)->text, "in use by another program"));
    assert_int_equal(flock(bench.near, LOCK_UN), 0);
    assert_int_equal(modbus_link_connect(bench.link, bench.now_us), 0);
    assert_int_equal(flock(bench.near, LOCK_EX | LOCK_NB), -1);
    end(&bench);
}

static void what_is_no_serial_port_is_told(void **state)
{
    static const struct {
        const char *url, *words;
    } cases[] = {
        {"rtu:///dev/null", "/dev/null: "},
        {"rtu:///dev/ttyNONE", "/dev/ttyNONE: No such file or directory"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bench bench = {.listener = -1, .far = -1, .near = -1};
        assert_int_equal(link_url_parse(cases[i].url, &bench.url, NULL), 0);
        open_link(&bench, NULL);
        assert_int_equal(modbus_link_connect(bench.link, 0), ERR_IO);
        assert_non_null(strstr(modbus_link_trouble(bench.link)->text, cases[i].words));
        end(&bench);
    }
}

static void a_driver_without_rs485_is_told(void **state)
{
    struct bench bench;

    (void)state;
    begin_serial(&bench, "?rs485=yes");
    assert_int_equal(modbus_link_connect(bench.link, bench.now_us), ERR_INVALID);
    assert_non_null(strstr(modbus_link_trouble(bench.link)->text, "has no RS-485 mode"));
    end(&bench);
}

/* ---- DTUs ---- */

struct exchange {
    struct bench bench;
    struct dial_in *dial_in;
};

static void begin_dtu(struct exchange *exchange)
{
    struct endpoint any = {.host = "127.0.0.1"};
    struct dial_in_line *line;
    struct bench *bench = &exchange->bench;
    *bench = (struct bench){.listener = -1, .far = -1, .near = -1, .now_us = 1000 * MS};
    assert_int_equal(
        link_url_parse("dtu://127.0.0.1:1?register=D1&heartbeat=HB", &bench->url, NULL), 0);
    assert_int_equal(dial_in_open(&any, &exchange->dial_in, NULL), 0);
    assert_int_equal(dial_in_expect(exchange->dial_in, &bench->url.registration, &line, NULL), 0);
    open_link(bench, line);
}

/* The DTU calls, and waits at its line. */
static int call(struct exchange *exchange)
{
    struct endpoint at = {.host = "127.0.0.1", .port = dial_in_port(exchange->dial_in)};
    struct driver *driver = dial_in_driver(exchange->dial_in);
    struct driver_wants wants;
    int fd;
    assert_int_equal(socket_connect(&at, &fd), 0);
    wait_for(fd, POLLOUT);
    assert_int_equal(send(fd, "D1HB", 4, MSG_NOSIGNAL), 4);
    driver_wants(driver, &wants);
    wait_for(wants.list[0].fd, POLLIN);
    driver_step(driver, (struct now){.mono_us = exchange->bench.now_us}, NULL, 0);
    return fd;
}

static void end_dtu(struct exchange *exchange)
{
    end(&exchange->bench);
    driver_close(dial_in_driver(exchange->dial_in));
}

static void a_dtu_is_waited_for_told_and_then_read(void **state)
{
    struct exchange exchange;
    struct bench *bench = &exchange.bench;

    (void)state;
    begin_dtu(&exchange);
    assert_int_equal(modbus_link_connect(bench->link, bench->now_us), 0);
    assert_int_equal(step(bench), MODBUS_NOTHING);
    bench->now_us += TIMEOUT_US;
    assert_int_equal(step(bench), MODBUS_REFUSED);
    assert_string_equal(modbus_link_trouble(bench->link)->text, "DTU D1 has not called");
    assert_int_equal(modbus_link_state(bench->link), MODBUS_LINK_CONNECTING);
    assert_int_equal(modbus_link_due(bench->link), NEVER);
    bench->far = call(&exchange);
    wait_for(link_fd(bench), POLLIN);
    assert_int_equal(step(bench), MODBUS_CONNECTED);
    /* Its heartbeats are passed over, before a request and before its reply. */
    wait_for(link_fd(bench), POLLIN);
    assert_int_equal(step(bench), MODBUS_NOTHING);
    ask(bench, &two, two_asked);
    assert_int_equal(serve(bench, "4842"), MODBUS_NOTHING);
    assert_int_equal(serve_sealed(bench, "07030411112222"), MODBUS_REPLY);
    check_data(bench, "11112222");
    assert_int_equal(counts(bench).heartbeats, 2);
    assert_int_equal(counts(bench).noise, 0);
    end_dtu(&exchange);
}

/* Its units may be switched off for the night; the call is not ours to make again. */
static void a_dtu_is_not_hung_up_for_silence(void **state)
{
    struct exchange exchange;
    struct bench *bench = &exchange.bench;

    (void)state;
    begin_dtu(&exchange);
    bench->far = call(&exchange);
    assert_int_equal(modbus_link_connect(bench->link, bench->now_us), 0);
    assert_int_equal(step(bench), MODBUS_CONNECTED);
    for (int i = 0; i < 20; i++) {
        bench->now_us += 10000 * MS;
        assert_int_equal(modbus_link_send(bench->link, &one, bench->now_us), 0);
        bench->now_us = modbus_link_due(bench->link);
        assert_int_equal(step(bench), MODBUS_TIMEOUT);
        assert_int_equal(modbus_link_state(bench->link), MODBUS_LINK_READY);
    }
    end_dtu(&exchange);
}

static void a_dtu_that_calls_anew_is_read_over_its_new_call(void **state)
{
    struct exchange exchange;
    struct bench *bench = &exchange.bench;

    (void)state;
    begin_dtu(&exchange);
    bench->far = call(&exchange);
    assert_int_equal(modbus_link_connect(bench->link, bench->now_us), 0);
    assert_int_equal(step(bench), MODBUS_CONNECTED);
    int again = call(&exchange);
    assert_int_equal(step(bench), MODBUS_LOST);
    assert_string_equal(modbus_link_trouble(bench->link)->text, "DTU D1 has called anew");
    close(bench->far);
    bench->far = again;
    assert_int_equal(modbus_link_connect(bench->link, bench->now_us), 0);
    assert_int_equal(step(bench), MODBUS_CONNECTED);
    ask(bench, &two, two_asked);
    assert_int_equal(serve_sealed(bench, "07030433334444"), MODBUS_REPLY);
    check_data(bench, "33334444");
    end_dtu(&exchange);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_brings_its_registers),
        cmocka_unit_test(a_reply_may_come_byte_by_byte),
        cmocka_unit_test(who_drips_is_given_up_in_time),
        cmocka_unit_test(who_did_not_answer_is_left_alone_and_others_are_not),
        cmocka_unit_test(a_late_reply_is_nobodys),
        cmocka_unit_test(how_late_a_unit_can_be_is_remembered),
        cmocka_unit_test(a_fence_goes_before_what_might_be_answered_by_a_ghost),
        cmocka_unit_test(the_first_of_two_frames_is_the_ghost),
        cmocka_unit_test(a_frame_that_may_be_a_ghost_is_a_bad_reply),
        cmocka_unit_test(a_reply_said_twice_is_passed_over_for_the_next),
        cmocka_unit_test(two_places_may_hold_the_same),
        cmocka_unit_test(a_unit_that_is_prompt_again_is_waited_for_less),
        cmocka_unit_test(what_does_not_fit_is_passed_over_and_then_bad),
        cmocka_unit_test(what_comes_unasked_is_counted_and_goes),
        cmocka_unit_test(a_babbling_line_neither_grows_nor_hides_the_reply),
        cmocka_unit_test(the_line_is_silent_before_a_request),
        cmocka_unit_test(a_line_that_is_never_silent_is_asked_all_the_same),
        cmocka_unit_test(a_line_without_a_byte_is_opened_anew),
        cmocka_unit_test(a_connection_lost_amid_a_reply_haunts_the_next),
        cmocka_unit_test(the_last_frames_can_be_seen),
        cmocka_unit_test(a_serial_port_is_read),
        cmocka_unit_test(any_speed_can_be_set),
        cmocka_unit_test(a_serial_port_that_goes_is_a_loss),
        cmocka_unit_test(a_serial_port_has_one_owner),
        cmocka_unit_test(what_is_no_serial_port_is_told),
        cmocka_unit_test(a_driver_without_rs485_is_told),
        cmocka_unit_test(a_dtu_is_waited_for_told_and_then_read),
        cmocka_unit_test(a_dtu_is_not_hung_up_for_silence),
        cmocka_unit_test(a_dtu_that_calls_anew_is_read_over_its_new_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
