/* The driver over a line that is late, or says things twice, on virtual time. Each value tells its
 * place and when it was asked for: no reading is another's, and none is older than it says. */
#include "drivers/modbus/modbus_driver.h"

#include "drivers/modbus/rtu_wire.h"
#include "tests/unit/support/gateway_rig.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define POINTS    2
#define REQUEST   8
#define REPLY_MAX 9
#define LATENCY   (10 * MS)
#define QUEUE_MAX 64
#define BEGUN_US  (1000 * S)
#define ILL_US    (BEGUN_US + 10 * S)
#define TIME_MASK 0x7FFF /* ms; the bit above tells the place */

struct reply {
    int64_t due_us;
    uint8_t bytes[REPLY_MAX];
    size_t size;
};

struct line {
    int64_t ill_until_us;
    int64_t latency_us; /* while it is ill */
    unsigned interval_ms;
    int64_t twice_us; /* while it is ill: a reply comes again so long after; 0: it does not */
};

struct bench {
    struct driver *driver;
    struct register_map *map;
    struct line line;
    int listener, far;
    struct now now;
    struct reply queue[QUEUE_MAX];
    size_t head, tail;
    size_t good[POINTS], good_before[POINTS], bad;
};

static void take(void *self, const struct sample *samples, size_t count)
{
    struct bench *bench = self;
    for (size_t i = 0; i < count; i++) {
        uint32_t point = samples[i].point;
        if (samples[i].quality != QUALITY_GOOD) {
            bench->bad++;
            continue;
        }
        unsigned value = (unsigned)samples[i].value.number & 0xFFFF;
        int64_t now_ms = bench->now.mono_us / MS;
        assert_int_equal(value >> 15, point);
        assert_true(((now_ms - value) & TIME_MASK) <= TIMEOUT / MS + 100);
        bench->good[point]++;
    }
}

static void begin(struct bench *bench, const char *map, struct line line)
{
    struct modbus_point_options points[POINTS];
    struct modbus_unit_options unit = {
        .unit = 1, .points = points, .point_count = POINTS, .max_hole = 4};
    struct modbus_link_options options = {
        .url = {.kind = LINK_RTU_TCP, .endpoint = {.host = "127.0.0.1"}, .baud = 9600, .stop = 1},
        .timeout_ms = TIMEOUT / MS,
        .units = &unit,
        .unit_count = 1};
    struct message message = {""};

    *bench =
        (struct bench){.line = line, .far = -1, .now = {.mono_us = BEGUN_US, .wall_ms = WALL0}};
    options.url.parity = 'N';
    unit.map = bench->map = rig_map_of(map);
    for (uint32_t i = 0; i < POINTS; i++)
        points[i] =
            (struct modbus_point_options){.reg = i, .interval_ms = line.interval_ms, .number = i};
    assert_int_equal(
        socket_listen(&options.url.endpoint, 8, &bench->listener, &options.url.endpoint.port, NULL),
        0);
    if (modbus_driver_open(&options, take, bench, bench->now, &bench->driver, &message) != 0)
        fail_msg("%s", message.text);
}

static void end(struct bench *bench)
{
    driver_close(bench->driver);
    register_map_free(bench->map);
    close(bench->listener);
    close(bench->far);
}

static void wait_for(int fd, short events)
{
    struct pollfd wait = {.fd = fd, .events = events};
    assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
}

static void enqueue(struct bench *bench, struct reply reply)
{
    if (bench->tail > bench->head &&
        bench->queue[(bench->tail - 1) % QUEUE_MAX].due_us > reply.due_us)
        reply.due_us = bench->queue[(bench->tail - 1) % QUEUE_MAX].due_us; /* a line keeps order */
    assert_true(bench->tail - bench->head < QUEUE_MAX);
    bench->queue[bench->tail++ % QUEUE_MAX] = reply;
}

static void answer(struct bench *bench, const uint8_t *request)
{
    int64_t now_us = bench->now.mono_us;
    bool ill = now_us >= ILL_US && now_us < bench->line.ill_until_us;
    unsigned value = (unsigned)(now_us / MS & TIME_MASK) | (request[2] != 0 ? 0x8000u : 0);
    struct reply reply = {.due_us = now_us + (ill ? bench->line.latency_us : LATENCY)};

    reply.size = 5 + 2 * (size_t)request[5];
    memcpy(reply.bytes, (uint8_t[]){request[0], request[1], (uint8_t)(2 * request[5])}, 3);
    reply.bytes[reply.size - 4] = (uint8_t)(value >> 8);
    reply.bytes[reply.size - 3] = (uint8_t)value;
    uint16_t crc = rtu_crc(reply.bytes, reply.size - 2);
    reply.bytes[reply.size - 2] = (uint8_t)crc;
    reply.bytes[reply.size - 1] = (uint8_t)(crc >> 8);
    enqueue(bench, reply);
    reply.due_us += bench->line.twice_us;
    if (ill && bench->line.twice_us > 0)
        enqueue(bench, reply);
}

/* What is due at the far end now. */
static void serve(struct bench *bench, int fd)
{
    uint8_t request[REQUEST];
    while (recv(bench->far, request, REQUEST, MSG_DONTWAIT) == REQUEST)
        answer(bench, request);
    while (bench->head < bench->tail &&
           bench->queue[bench->head % QUEUE_MAX].due_us <= bench->now.mono_us) {
        const struct reply *reply = &bench->queue[bench->head++ % QUEUE_MAX];
        assert_int_equal(send(bench->far, reply->bytes, reply->size, MSG_NOSIGNAL), reply->size);
        wait_for(fd, POLLIN);
        driver_step(bench->driver, bench->now, NULL, 0);
    }
}

/* To whatever comes next, on full milliseconds. */
static void advance(struct bench *bench, int64_t until_us)
{
    struct driver_wants wants;
    int64_t next_us = until_us;

    driver_wants(bench->driver, &wants);
    if (wants.due_us < next_us)
        next_us = wants.due_us;
    if (bench->head < bench->tail && bench->queue[bench->head % QUEUE_MAX].due_us < next_us)
        next_us = bench->queue[bench->head % QUEUE_MAX].due_us;
    int64_t ms = (next_us - bench->now.mono_us + MS - 1) / MS;
    ms = ms > 0 ? ms : 1;
    bench->now.mono_us += ms * MS;
    bench->now.wall_ms += ms;
    driver_step(bench->driver, bench->now, NULL, 0);
}

static void run(struct bench *bench, int64_t until_us)
{
    while (bench->now.mono_us < until_us) {
        struct driver_wants wants;
        driver_wants(bench->driver, &wants);
        if (wants.count > 0 && wants.list[0].events == EPOLLOUT) {
            wait_for(wants.list[0].fd, POLLOUT);
            driver_step(bench->driver, bench->now, NULL, 0);
            wait_for(bench->listener, POLLIN);
            bench->far = accept(bench->listener, NULL, NULL);
            assert_int_equal(
                setsockopt(bench->far, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0);
        } else if (wants.count > 0) {
            serve(bench, wants.list[0].fd);
        }
        advance(bench, until_us);
    }
}

static const char *const maps[] = {
    "a,3,7,uint16,AB\nb,3,519,uint16,AB\n",     /* no shorter read */
    "a,3,7,uint32,ABCD\nb,3,519,uint32,ABCD\n", /* a fence can go before */
};

/* Ill for some time, then well again: in the end all is read as before. */
static void survive(const char *map, struct line line)
{
    struct bench bench;

    begin(&bench, map, line);
    run(&bench, line.ill_until_us + 60 * S);
    memcpy(bench.good_before, bench.good, sizeof bench.good);
    run(&bench, line.ill_until_us + 80 * S);
    for (size_t i = 0; i < POINTS; i++)
        assert_true(bench.good[i] >= bench.good_before[i] + 15);
    end(&bench);
}

static void a_line_that_is_late_for_a_while_leaves_no_wrong_number(void **state)
{
    (void)state;
    for (size_t map = 0; map < 2; map++)
        for (int64_t timeouts = 1; timeouts <= 12; timeouts++)
            for (int64_t past_ms = -100; past_ms <= 300; past_ms += 400)
                survive(maps[map], (struct line){.ill_until_us = ILL_US + 2 * S,
                                                 .interval_ms = 1000,
                                                 .latency_us = timeouts * TIMEOUT + past_ms * MS});
}

static void a_line_that_stays_late_leaves_no_wrong_number(void **state)
{
    (void)state;
    for (size_t map = 0; map < 2; map++)
        for (int64_t timeouts = 1; timeouts <= 12; timeouts++)
            survive(maps[map], (struct line){.ill_until_us = ILL_US + 60 * S,
                                             .interval_ms = 1000,
                                             .latency_us = timeouts * TIMEOUT + 130 * MS});
}

static void a_reply_said_twice_is_not_the_next_one(void **state)
{
    (void)state;
    for (size_t map = 0; map < 2; map++)
        for (int64_t ms = 1; ms <= 45; ms += 11)
            survive(maps[map], (struct line){.ill_until_us = ILL_US + 2 * S,
                                             .interval_ms = 60,
                                             .latency_us = LATENCY,
                                             .twice_us = ms * MS});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_that_is_late_for_a_while_leaves_no_wrong_number),
        cmocka_unit_test(a_line_that_stays_late_leaves_no_wrong_number),
        cmocka_unit_test(a_reply_said_twice_is_not_the_next_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
