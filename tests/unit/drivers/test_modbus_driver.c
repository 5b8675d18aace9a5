#include "drivers/modbus/modbus_driver.h"

#include "base/numbers.h"

#include <modbus/modbus.h>
#include <poll.h>
#include <pthread.h>
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
#define WALL0       1767576600000
#define MS          ((int64_t)US_PER_MS)
#define S           ((int64_t)US_PER_S)
#define TIMEOUT     (500 * MS)
#define SAMPLES_MAX 20000

/*
 * A driver, and by hand the gateway it talks to, in one thread on virtual time: what the gateway
 * answers comes after `latency`, what it does not answer lets time go on to the driver's due time.
 * Each register's value is its address, each bit is that of its address.
 */
enum manner {
    ANSWERS,
    IS_SILENT,
    IS_BEYOND_THE_GATEWAY, /* exception 0x0B */
    REFUSES,               /* exception 4 */
    ANSWERS_ANOTHER_FUNCTION,
    SENDS_GARBAGE,
    CLOSES,
};

struct rig {
    struct driver *driver;
    struct register_map *map;
    struct now now;
    int listener;
    struct endpoint endpoint;
    int server; /* the connection that stands, or -1 */
    enum manner manners[256];
    uint16_t hole;      /* reads over this address are refused with exception 2 (0: none) */
    uint16_t silent_at; /* reads of this address are passed over (0: none) */
    int64_t latency;
    size_t seen; /* requests */
    size_t accepted;
    struct {
        int64_t us;
        uint8_t unit;
        uint16_t start, count;
    } requests[SAMPLES_MAX];
    struct sample samples[SAMPLES_MAX];
    int64_t sample_us[SAMPLES_MAX]; /* when it was handed on */
    size_t sample_count;
};

static struct rig rig;

static void take(void *self, const struct sample *samples, size_t count)
{
    assert_ptr_equal(self, &rig);
    for (size_t i = 0; i < count && rig.sample_count < SAMPLES_MAX; i++) {
        rig.sample_us[rig.sample_count] = rig.now.mono_us;
        rig.samples[rig.sample_count++] = samples[i];
    }
}

static struct register_map *map_of(const char *rows)
{
    struct config_errors errors = {.count = 0};
    struct register_map *map = NULL;
    char text[4000];

    buffer_init(&errors.text, 4000);
    snprintf(text, sizeof text, "name,function,address,type,word_order,scale\n%s", rows);
    if (register_map_parse("m", text, strlen(text), &map, &errors) != 0)
        fail_msg("%s", buffer_text(&errors.text));
    buffer_release(&errors.text);
    return map;
}

static void listen_again(void)
{
    assert_int_equal(socket_listen(&rig.endpoint, 8, &rig.listener, &rig.endpoint.port, NULL), 0);
}

static void rig_begin(const char *rows)
{
    memset(&rig, 0, sizeof rig);
    rig.endpoint = (struct endpoint){.host = "127.0.0.1"};
    rig.server = -1;
    rig.latency = 10 * MS;
    rig.now = (struct now){.mono_us = 1000 * S, .wall_ms = WALL0, .sync = true};
    rig.map = map_of(rows);
    listen_again();
}

/* Units 1, 2 … each with all of the map's points at `interval_ms`, numbered unit * 100 + index. */
static void rig_open(uint8_t units, int64_t interval_ms)
{
    static struct modbus_point_options points[8][100];
    static struct modbus_unit_options unit_options[8];
    struct modbus_link_options options = {.endpoint = rig.endpoint,
                                          .timeout_ms = TIMEOUT / MS,
                                          .units = unit_options,
                                          .unit_count = units,
                                          .seed = 1};
    struct message message = {""};

    for (uint8_t u = 0; u < units; u++) {
        size_t count = register_map_count(rig.map);
        for (size_t k = 0; k < count; k++)
            points[u][k] = (struct modbus_point_options){
                .reg = k, .interval_ms = interval_ms, .number = (u + 1u) * 100u + (uint32_t)k};
        unit_options[u] = (struct modbus_unit_options){
            .unit = (uint8_t)(u + 1), .map = rig.map, .points = points[u], .point_count = count};
    }
    if (modbus_driver_open(&options, take, &rig, rig.now, &rig.driver, &message) != 0)
        fail_msg("%s", message.text);
}

static void rig_end(void)
{
    driver_close(rig.driver);
    register_map_free(rig.map);
    if (rig.listener >= 0)
        close(rig.listener);
    if (rig.server >= 0)
        close(rig.server);
}

static struct modbus_unit_stats stats_of(size_t unit)
{
    struct modbus_unit_stats stats;
    modbus_driver_unit_stats(rig.driver, unit, &stats);
    return stats;
}

static struct modbus_link_stats link_stats(void)
{
    struct modbus_link_stats stats;
    modbus_driver_link_stats(rig.driver, &stats);
    return stats;
}

static size_t requests_sent(void)
{
    struct driver_status status;
    size_t sum = 0;

    driver_status(rig.driver, &status);
    for (size_t i = 0; i < status.units; i++)
        sum += stats_of(i).requests;
    return sum;
}

static void advance(int64_t us)
{
    rig.now.mono_us += us;
    rig.now.wall_ms = WALL0 + (rig.now.mono_us - 1000 * S) / MS;
}

static void step(void)
{
    driver_step(rig.driver, rig.now, NULL, 0);
}

static void wait_for(int fd, short events)
{
    struct pollfd wait = {.fd = fd, .events = events};
    assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
}

static void hang_up(void)
{
    close(rig.server);
    rig.server = -1;
}

static void answer_registers(uint8_t *frame)
{
    uint16_t start = (uint16_t)(frame[8] << 8 | frame[9]);
    uint16_t count = (uint16_t)(frame[10] << 8 | frame[11]);
    uint8_t reply[300] = {0};
    size_t bytes = frame[7] <= 2 ? (count + 7u) / 8 : 2u * count;

    memcpy(reply, frame, 8);
    reply[4] = 0;
    reply[5] = (uint8_t)(bytes + 3);
    reply[8] = (uint8_t)bytes;
    for (unsigned i = 0; i < count; i++) {
        unsigned address = start + i;
        if (frame[7] <= 2) {
            reply[9 + i / 8] |= (uint8_t)((address & 1) << i % 8);
        } else {
            reply[9 + 2 * i] = (uint8_t)(address >> 8);
            reply[10 + 2 * i] = (uint8_t)address;
        }
    }
    assert_int_equal(send(rig.server, reply, 9 + bytes, MSG_NOSIGNAL), 9 + bytes);
}

static void answer_exception(const uint8_t *frame, uint8_t code)
{
    uint8_t reply[9];

    memcpy(reply, frame, 8);
    reply[5] = 3;
    reply[7] |= 0x80;
    reply[8] = code;
    assert_int_equal(send(rig.server, reply, sizeof reply, MSG_NOSIGNAL), sizeof reply);
}

static bool covers(const uint8_t *frame, uint16_t address)
{
    uint16_t start = (uint16_t)(frame[8] << 8 | frame[9]);
    uint16_t count = (uint16_t)(frame[10] << 8 | frame[11]);
    return address != 0 && start <= address && address < start + count;
}

/* Answers, in its manner; false when nothing comes of it. */
static bool respond(uint8_t *frame)
{
    switch (rig.manners[frame[6]]) {
    case ANSWERS:
        if (covers(frame, rig.silent_at))
            return false;
        if (covers(frame, rig.hole))
            answer_exception(frame, 2);
        else
            answer_registers(frame);
        return true;
    case IS_SILENT:
        return false;
    case IS_BEYOND_THE_GATEWAY:
        answer_exception(frame, 0x0B);
        return true;
    case REFUSES:
        answer_exception(frame, 4);
        return true;
    case ANSWERS_ANOTHER_FUNCTION:
        frame[7]++;
        answer_registers(frame);
        return true;
    case SENDS_GARBAGE:
        assert_int_equal(send(rig.server, "HTTP/1.1 400", 12, MSG_NOSIGNAL), 12);
        return true;
    case CLOSES:
        hang_up();
        return true;
    }
    return false;
}

/* Reads one request; true when the link has something to hear. */
static bool serve(void)
{
    uint8_t frame[12];

    assert_int_equal(recv(rig.server, frame, sizeof frame, MSG_WAITALL), sizeof frame);
    assert_true(frame[7] >= 1 && frame[7] <= 4);
    rig.requests[rig.seen].us = rig.now.mono_us;
    rig.requests[rig.seen].unit = frame[6];
    rig.requests[rig.seen].start = (uint16_t)(frame[8] << 8 | frame[9]);
    rig.requests[rig.seen].count = (uint16_t)(frame[10] << 8 | frame[11]);
    rig.seen++;
    return respond(frame);
}

static void connected(int fd)
{
    wait_for(fd, POLLOUT);
    step();
    if (rig.listener >= 0) {
        wait_for(rig.listener, POLLIN);
        if (rig.server >= 0)
            hang_up();
        rig.server = accept(rig.listener, NULL, NULL);
        rig.accepted++;
    }
}

/* Lets things happen for so long. */
static void run(int64_t us)
{
    int64_t until_us = rig.now.mono_us + us;

    while (rig.now.mono_us <= until_us) {
        struct driver_wants wants;
        driver_wants(rig.driver, &wants);
        if (wants.count > 0 && wants.list[0].events == EPOLLOUT) {
            connected(wants.list[0].fd);
        } else if (requests_sent() > rig.seen && serve()) {
            wait_for(wants.list[0].fd, POLLIN);
            advance(rig.latency);
            step();
        } else if (wants.due_us > until_us) {
            advance(until_us - rig.now.mono_us);
            return;
        } else {
            if (wants.due_us > rig.now.mono_us)
                advance(wants.due_us - rig.now.mono_us);
            step();
        }
    }
}

static size_t count_samples(uint32_t point, enum quality quality)
{
    size_t count = 0;
    for (size_t i = 0; i < rig.sample_count; i++)
        count += rig.samples[i].point == point && rig.samples[i].quality == quality ? 1 : 0;
    return count;
}

static struct sample last_of(uint32_t point)
{
    for (size_t i = rig.sample_count; i > 0; i--)
        if (rig.samples[i - 1].point == point)
            return rig.samples[i - 1];
    fail_msg("no sample of point %u", point);
    return (struct sample){.point = point};
}

static void points_are_read_on_their_grid_and_stamped_halfway(void **state)
{
    (void)state;
    rig_begin("a,3,10,uint16,AB\nb,3,12,uint32,ABCD\nc,1,7,bit,\nd,4,12,float32,CDAB,2\n");
    rig_open(1, 1000);
    run(10 * S - 1);
    assert_int_equal(count_samples(100, QUALITY_GOOD), 10);
    assert_int_equal(rig.sample_count, 40);
    for (size_t i = 0; i < rig.sample_count; i++) {
        const struct sample *sample = &rig.samples[i];
        int64_t slot = WALL0 + (int64_t)(i / 4) * 1000;
        /* Coil, holding and input register: three reads, spread over the second. */
        assert_int_equal(sample->t_ms, slot + (int64_t)(i % 4 < 1 ? 0 : i % 4 < 3 ? 333 : 666) + 5);
        assert_int_equal(sample->quality, QUALITY_GOOD);
    }
    assert_true(double_same(last_of(100).value.number, 10));
    assert_true(double_same(last_of(101).value.number, 12 * 65536 + 13));
    assert_true(double_same(last_of(102).value.number, 1));
    assert_int_equal(last_of(103).value.kind, VALUE_DOUBLE);
    assert_int_equal(rig.seen, 30);
    assert_int_equal(rig.accepted, 1);
    assert_int_equal(stats_of(0).replies, 30);
    assert_int_equal(stats_of(0).latency_us, 10 * MS);
    assert_int_equal(stats_of(0).skipped, 0);
    rig_end();
}

static void a_dead_unit_costs_its_neighbours_one_timeout_at_a_time(void **state)
{
    int64_t worst = 0;
    int64_t last[3] = {1000 * S, 1000 * S, 1000 * S};

    (void)state;
    rig_begin("a,3,10,uint16,AB\n");
    rig.manners[2] = IS_SILENT;
    rig_open(3, 1000);
    run(60 * S - 1);
    for (size_t i = 0; i < rig.sample_count; i++) {
        uint32_t unit = rig.samples[i].point / 100 - 1;
        if (unit != 1 && rig.sample_us[i] - last[unit] > worst)
            worst = rig.sample_us[i] - last[unit];
        last[unit] = rig.sample_us[i];
    }
    assert_true(worst <= 1 * S + TIMEOUT + 2 * rig.latency);
    assert_int_equal(count_samples(100, QUALITY_GOOD), 60);
    assert_int_equal(count_samples(300, QUALITY_GOOD), 60);
    assert_int_equal(count_samples(100, QUALITY_BAD), 0);
    assert_int_equal(stats_of(1).state, MODBUS_UNIT_DOWN);
    assert_int_equal(stats_of(1).cause, CAUSE_COMM_TIMEOUT);
    rig_end();
}

static void a_dead_unit_gives_one_bad_sample_an_interval_stamped_when_due(void **state)
{
    size_t bad = 0;
    int64_t last_ms = WALL0 - 1000;

    (void)state;
    rig_begin("a,3,10,uint16,AB\nb,3,11,uint16,AB\n");
    rig.manners[1] = IS_SILENT;
    rig_open(2, 1000);
    run(60 * S - 1);
    for (size_t i = 0; i < rig.sample_count; i++) {
        if (rig.samples[i].point != 100)
            continue;
        assert_int_equal((rig.samples[i].t_ms - WALL0) % 1000, 0);
        assert_true(rig.samples[i].t_ms > last_ms);
        last_ms = rig.samples[i].t_ms;
        assert_int_equal(rig.samples[i].quality, QUALITY_BAD);
        assert_int_equal(rig.samples[i].cause, CAUSE_COMM_TIMEOUT);
        assert_int_equal(rig.samples[i].value.kind, VALUE_NONE);
        bad++;
    }
    /* The two timeouts of finding out are as long as a slot, which is skipped and counted. */
    assert_int_equal(bad, 59);
    assert_int_equal(stats_of(0).skipped, 1);
    assert_int_equal(count_samples(101, QUALITY_BAD), bad);
    rig_end();
}

static void a_dead_unit_is_probed_ever_more_rarely(void **state)
{
    int64_t before = 0;
    size_t n = 0;

    (void)state;
    rig_begin("a,3,10,uint16,AB\n");
    rig.manners[1] = IS_SILENT;
    rig_open(1, 60000);
    run(3600 * S);
    /* Two reads, then probes: each wait is 3/4 to 4/4 of 2, 4, 8 … 300 s. */
    for (size_t i = 2; i < rig.seen; i++, n++) {
        int64_t wait = rig.requests[i].us - rig.requests[i - 1].us - TIMEOUT;
        int64_t most = 2 * S << n < 300 * S ? 2 * S << n : 300 * S;
        assert_true(wait <= most && wait >= most * 3 / 4);
        assert_true(wait >= before || most == 300 * S);
        before = wait;
    }
    assert_true(n >= 17 && n <= 22);
    rig_end();
}

static void a_unit_that_comes_back_is_read_at_once(void **state)
{
    size_t good;

    (void)state;
    rig_begin("a,3,10,uint16,AB\nb,3,500,uint32,ABCD\n");
    rig.manners[1] = IS_SILENT;
    rig_open(1, 3600000);
    run(20 * S);
    assert_int_equal(stats_of(0).state, MODBUS_UNIT_DOWN);
    rig.manners[1] = ANSWERS;
    run(20 * S);
    assert_int_equal(stats_of(0).state, MODBUS_UNIT_UP);
    good = count_samples(100, QUALITY_GOOD);
    assert_int_equal(good, 1);
    assert_int_equal(count_samples(101, QUALITY_GOOD), 1);
    run(3600 * S);
    assert_int_equal(count_samples(100, QUALITY_GOOD), good + 1);
    rig_end();
}

static void one_lost_reply_is_asked_for_again(void **state)
{
    (void)state;
    rig_begin("a,3,10,uint16,AB\n");
    rig.manners[1] = IS_SILENT;
    rig_open(1, 1000);
    run(TIMEOUT - 1);
    rig.manners[1] = ANSWERS;
    run(10 * S);
    assert_int_equal(count_samples(100, QUALITY_BAD), 0);
    assert_int_equal(count_samples(100, QUALITY_GOOD), 11);
    assert_int_equal(stats_of(0).timeouts, 1);
    assert_int_equal(rig.accepted, 2);
    rig_end();
}

static void without_a_link_points_are_bad_and_then_read_at_once(void **state)
{
    struct driver_status status;
    uint64_t refused;

    (void)state;
    rig_begin("a,3,10,uint16,AB\n");
    close(rig.listener);
    rig.listener = -1;
    rig_open(2, 1000);
    run(300 * S);
    assert_int_equal(count_samples(100, QUALITY_BAD), 301);
    assert_int_equal(count_samples(200, QUALITY_BAD), 300);
    assert_int_equal(last_of(100).cause, CAUSE_LINK_DOWN);
    driver_status(rig.driver, &status);
    assert_false(status.up);
    assert_int_equal(status.units_down, 0);
    assert_int_equal(status.bad, 601);
    assert_non_null(strstr(status.trouble.text, "Connection refused"));
    /* 1, 2, 4 … 60 s: ten or eleven tries in five minutes. */
    refused = link_stats().refused;
    assert_true(refused >= 9 && refused <= 13);
    listen_again();
    run(61 * S);
    driver_status(rig.driver, &status);
    assert_true(status.up);
    assert_int_equal(last_of(100).quality, QUALITY_GOOD);
    rig_end();
}

static void after_an_outage_hourly_points_do_not_wait_an_hour(void **state)
{
    (void)state;
    rig_begin("a,3,10,uint16,AB\n");
    close(rig.listener);
    rig.listener = -1;
    rig_open(1, 3600000);
    run(20 * S);
    assert_int_equal(count_samples(100, QUALITY_BAD), 1);
    listen_again();
    run(61 * S);
    assert_int_equal(count_samples(100, QUALITY_GOOD), 1);
    rig_end();
}

static void a_refused_read_is_split_until_only_the_hole_is_bad(void **state)
{
    (void)state;
    rig_begin("a,3,10,uint16,AB\nb,3,12,uint16,AB\nc,3,13,uint16,AB\nd,3,14,uint32,ABCD\n"
              "e,3,40,uint16,AB\n");
    rig.hole = 13;
    rig_open(1, 1000);
    run(10 * S - 1);
    for (uint32_t point = 100; point < 105; point++) {
        assert_int_equal(count_samples(point, QUALITY_GOOD), point == 102 ? 0 : 10);
        assert_int_equal(count_samples(point, QUALITY_BAD), point == 102 ? 10 : 0);
    }
    assert_int_equal(last_of(102).cause, CAUSE_MODBUS_EXCEPTION);
    assert_true(double_same(last_of(104).value.number, 40));
    assert_true(double_same(last_of(103).value.number, 14 * 65536 + 15));
    assert_int_equal(stats_of(0).last_exception, 2);
    assert_true(stats_of(0).splits >= 2 && stats_of(0).splits <= 4);
    assert_int_equal(stats_of(0).state, MODBUS_UNIT_UP);
    rig_end();
}

static void a_read_passed_over_in_silence_does_not_take_its_unit_down(void **state)
{
    (void)state;
    rig_begin("a,3,10,uint16,AB\nb,4,500,uint16,AB\nc,1,3,bit,\n");
    rig.silent_at = 500;
    rig_open(1, 1000);
    run(600 * S);
    /* Half a minute of finding out, then single timeouts, ever more rarely. */
    assert_true(count_samples(100, QUALITY_GOOD) > 580);
    assert_true(count_samples(102, QUALITY_GOOD) > 580);
    assert_int_equal(count_samples(101, QUALITY_GOOD), 0);
    assert_true(count_samples(101, QUALITY_BAD) > 580);
    assert_int_equal(last_of(101).cause, CAUSE_COMM_TIMEOUT);
    rig.silent_at = 0;
    run(301 * S);
    assert_int_equal(last_of(101).quality, QUALITY_GOOD);
    rig_end();
}

static void a_gateway_that_misses_its_unit_keeps_the_link(void **state)
{
    (void)state;
    rig_begin("a,3,10,uint16,AB\n");
    rig.manners[1] = IS_BEYOND_THE_GATEWAY;
    rig_open(2, 1000);
    run(30 * S);
    assert_int_equal(rig.accepted, 1);
    assert_int_equal(stats_of(0).state, MODBUS_UNIT_DOWN);
    assert_int_equal(last_of(100).cause, CAUSE_MODBUS_EXCEPTION);
    assert_true(stats_of(0).requests < 10);
    assert_int_equal(count_samples(100, QUALITY_BAD), 31);
    assert_int_equal(count_samples(200, QUALITY_GOOD), 30);
    rig_end();
}

static void what_a_unit_refuses_is_bad_and_the_unit_is_up(void **state)
{
    (void)state;
    rig_begin("a,3,10,uint16,AB\n");
    rig.manners[1] = REFUSES;
    rig.manners[2] = ANSWERS_ANOTHER_FUNCTION;
    rig_open(2, 1000);
    run(10 * S - 1);
    assert_int_equal(count_samples(100, QUALITY_BAD), 10);
    assert_int_equal(last_of(100).cause, CAUSE_MODBUS_EXCEPTION);
    assert_int_equal(count_samples(200, QUALITY_BAD), 10);
    assert_int_equal(last_of(200).cause, CAUSE_BAD_RESPONSE);
    assert_int_equal(stats_of(0).state, MODBUS_UNIT_UP);
    assert_int_equal(stats_of(1).bad_replies, 10);
    assert_int_equal(rig.accepted, 1);
    rig_end();
}

static void garbage_is_bad_and_backed_off_from(void **state)
{
    (void)state;
    rig_begin("a,3,10,uint16,AB\n");
    rig.manners[1] = SENDS_GARBAGE;
    rig_open(1, 1000);
    run(120 * S);
    assert_int_equal(count_samples(100, QUALITY_GOOD), 0);
    assert_true(count_samples(100, QUALITY_BAD) >= 120);
    assert_true(rig.accepted < 15);
    assert_true(stats_of(0).bad_replies > 0);
    rig.manners[1] = ANSWERS;
    run(301 * S);
    assert_int_equal(last_of(100).quality, QUALITY_GOOD);
    rig_end();
}

static void who_hangs_up_on_one_unit_does_not_lose_the_others(void **state)
{
    (void)state;
    rig_begin("a,3,10,uint16,AB\n");
    rig.manners[1] = CLOSES;
    rig_open(2, 1000);
    run(60 * S);
    assert_int_equal(stats_of(0).state, MODBUS_UNIT_DOWN);
    assert_int_equal(last_of(100).cause, CAUSE_LINK_DOWN);
    assert_true(count_samples(200, QUALITY_GOOD) >= 58);
    assert_true(rig.accepted < 20);
    rig_end();
}

static void a_connection_that_ends_between_polls_costs_nothing(void **state)
{
    (void)state;
    rig_begin("a,3,10,uint16,AB\n");
    rig_open(1, 1000);
    run(S / 2);
    for (int i = 0; i < 5; i++) {
        hang_up();
        run(1 * S);
    }
    assert_int_equal(count_samples(100, QUALITY_BAD), 0);
    assert_int_equal(count_samples(100, QUALITY_GOOD), 6);
    assert_int_equal(rig.accepted, 6);
    assert_int_equal(link_stats().lost, 5);
    rig_end();
}

static void a_busy_link_still_probes_who_is_down(void **state)
{
    (void)state;
    rig_begin("a,3,10,uint16,AB\n");
    rig.latency = 480 * MS;
    rig.manners[1] = IS_SILENT;
    rig_open(6, 1000);
    run(60 * S);
    assert_true(stats_of(0).requests >= 4 && stats_of(0).requests <= 6);
    rig.manners[1] = ANSWERS;
    run(100 * S);
    assert_int_equal(stats_of(0).state, MODBUS_UNIT_UP);
    assert_true(stats_of(1).skipped > 10);
    rig_end();
}

static void who_is_slow_skips_slots_and_they_are_counted(void **state)
{
    (void)state;
    rig_begin("a,3,10,uint16,AB\n");
    rig.latency = 400 * MS;
    rig_open(1, 100);
    run(10 * S - 1);
    assert_int_equal(count_samples(100, QUALITY_GOOD), 20);
    assert_int_equal(stats_of(0).skipped, 80);
    rig_end();
}

static void options_that_cannot_be_are_refused(void **state)
{
    struct modbus_point_options point = {.reg = 0, .interval_ms = 1000};
    struct modbus_unit_options unit = {.unit = 1, .points = &point, .point_count = 1};
    struct modbus_link_options options = {.timeout_ms = 500, .units = &unit, .unit_count = 1};
    struct driver *driver = NULL;
    struct message message = {""};
    struct now now = {.mono_us = 0};

    (void)state;
    rig_begin("a,3,10,uint64,ABCDEFGH\n");
    unit.map = rig.map;
    options.endpoint = rig.endpoint;
    point.reg = 1;
    assert_int_equal(modbus_driver_open(&options, take, &rig, now, &driver, &message), ERR_RANGE);
    assert_string_equal(message.text, "unit 1: its map has no register 1");
    point.reg = 0;
    point.interval_ms = 9;
    assert_int_equal(modbus_driver_open(&options, take, &rig, now, &driver, &message), ERR_RANGE);
    assert_string_equal(message.text, "unit 1: a: interval 9 ms is below 10 ms");
    point.interval_ms = 1000;
    unit.unit = 248;
    assert_int_equal(modbus_driver_open(&options, take, &rig, now, &driver, &message), ERR_RANGE);
    unit.unit = 255;
    unit.max_registers = 3;
    assert_int_equal(modbus_driver_open(&options, take, &rig, now, &driver, &message), ERR_RANGE);
    assert_string_equal(message.text, "unit 255: address 10: a value of 4 registers does not fit "
                                      "into reads of at most 3");
    unit.max_registers = 0;
    options.timeout_ms = 0;
    assert_int_equal(modbus_driver_open(&options, take, &rig, now, &driver, &message), ERR_RANGE);
    options.timeout_ms = 500;
    unit.point_count = 0;
    assert_int_equal(modbus_driver_open(&options, take, &rig, now, &driver, &message), ERR_RANGE);
    options.unit_count = 257;
    assert_int_equal(modbus_driver_open(&options, take, &rig, now, &driver, &message), ERR_RANGE);
    assert_null(driver);
    driver_close(NULL);
    rig_end();
}

/* ---- against the server of libmodbus ------------------------------------------------------- */

static void *serve_by_libmodbus(void *arg)
{
    modbus_t *context = arg;
    modbus_mapping_t *mapping = modbus_mapping_new(16, 16, 64, 64);
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    int len;

    for (int i = 0; i < 64; i++)
        mapping->tab_registers[i] = (uint16_t)(i * 3);
    mapping->tab_bits[5] = 1;
    mapping->tab_input_registers[8] = 0x41AC; /* 21.5 */
    while ((len = modbus_receive(context, query)) >= 0)
        if (len > 0)
            modbus_reply(context, query, len, mapping);
    modbus_mapping_free(mapping);
    return NULL;
}

/* On the real clock, as a program's loop does it. */
static void run_until_samples(size_t wanted)
{
    struct clock *clock = clock_real();

    for (int round = 0; round < 10000 && rig.sample_count < wanted; round++) {
        struct driver_wants wants;
        struct pollfd wait = {.fd = -1};
        int64_t left_us;
        driver_wants(rig.driver, &wants);
        if (wants.count > 0)
            wait = (struct pollfd){.fd = wants.list[0].fd,
                                   .events = wants.list[0].events == EPOLLOUT ? POLLOUT : POLLIN};
        left_us = wants.due_us - clock_read(clock).mono_us;
        (void)poll(&wait, 1, left_us < 0 ? 0 : (int)(left_us / MS) + 1);
        rig.now = clock_read(clock);
        driver_step(rig.driver, rig.now, NULL, 0);
    }
    assert_true(rig.sample_count >= wanted);
}

static void the_server_of_libmodbus_is_read(void **state)
{
    modbus_t *context = modbus_new_tcp("127.0.0.1", 502);
    pthread_t thread;

    (void)state;
    rig_begin("a,3,10,uint16,AB\nb,1,5,bit,\nc,4,8,float32,ABCD\nd,2,5,bit,\ne,3,100,uint16,AB\n");
    rig.now = clock_read(clock_real());
    rig_open(1, 20);
    /* Beginning to connect needs no server that accepts yet. */
    driver_step(rig.driver, rig.now, NULL, 0);
    wait_for(rig.listener, POLLIN);
    rig.server = accept(rig.listener, NULL, NULL);
    modbus_set_socket(context, rig.server);
    assert_int_equal(pthread_create(&thread, NULL, serve_by_libmodbus, context), 0);
    run_until_samples(50);
    assert_true(double_same(last_of(100).value.number, 30));
    assert_true(double_same(last_of(101).value.number, 1));
    assert_true(double_same(last_of(102).value.number, 21.5));
    assert_int_equal(last_of(102).value.kind, VALUE_FLOAT);
    assert_true(double_same(last_of(103).value.number, 0));
    assert_int_equal(last_of(104).cause, CAUSE_MODBUS_EXCEPTION);
    assert_int_equal(last_of(100).quality, QUALITY_GOOD);
    assert_int_equal(stats_of(0).timeouts, 0);
    assert_int_equal(stats_of(0).bad_replies, 0);
    driver_close(rig.driver);
    rig.driver = NULL;
    pthread_join(thread, NULL);
    rig_end();
    modbus_set_socket(context, -1);
    modbus_free(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_are_read_on_their_grid_and_stamped_halfway),
        cmocka_unit_test(a_dead_unit_costs_its_neighbours_one_timeout_at_a_time),
        cmocka_unit_test(a_dead_unit_gives_one_bad_sample_an_interval_stamped_when_due),
        cmocka_unit_test(a_dead_unit_is_probed_ever_more_rarely),
        cmocka_unit_test(a_unit_that_comes_back_is_read_at_once),
        cmocka_unit_test(one_lost_reply_is_asked_for_again),
        cmocka_unit_test(without_a_link_points_are_bad_and_then_read_at_once),
        cmocka_unit_test(after_an_outage_hourly_points_do_not_wait_an_hour),
        cmocka_unit_test(a_refused_read_is_split_until_only_the_hole_is_bad),
        cmocka_unit_test(a_read_passed_over_in_silence_does_not_take_its_unit_down),
        cmocka_unit_test(a_gateway_that_misses_its_unit_keeps_the_link),
        cmocka_unit_test(what_a_unit_refuses_is_bad_and_the_unit_is_up),
        cmocka_unit_test(garbage_is_bad_and_backed_off_from),
        cmocka_unit_test(who_hangs_up_on_one_unit_does_not_lose_the_others),
        cmocka_unit_test(a_connection_that_ends_between_polls_costs_nothing),
        cmocka_unit_test(a_busy_link_still_probes_who_is_down),
        cmocka_unit_test(who_is_slow_skips_slots_and_they_are_counted),
        cmocka_unit_test(options_that_cannot_be_are_refused),
        cmocka_unit_test(the_server_of_libmodbus_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
