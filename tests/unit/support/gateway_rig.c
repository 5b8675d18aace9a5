#include "tests/unit/support/gateway_rig.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct rig rig;

void rig_take(void *self, const struct sample *samples, size_t count)
{
    assert_ptr_equal(self, &rig);
    for (size_t i = 0; i < count && rig.sample_count < SAMPLES_MAX; i++) {
        rig.sample_us[rig.sample_count] = rig.now.mono_us;
        rig.samples[rig.sample_count++] = samples[i];
    }
}

static void note_learned(void *self, size_t unit, const struct plan_cut *cut)
{
    assert_ptr_equal(self, &rig);
    assert_int_equal(unit, 0);
    assert_true(rig.learned_count < sizeof rig.learned / sizeof rig.learned[0]);
    rig.learned[rig.learned_count++] = *cut;
}

struct register_map *rig_map_of(const char *rows)
{
    struct config_errors errors = {.count = 0};
    struct register_map *map = NULL;
    char text[4000];

    buffer_init(&errors.text, 4000);
    snprintf(text, sizeof text, "name,function,address,type,word_order,scale,time\n%s", rows);
    if (register_map_parse("m", text, strlen(text), &map, &errors) != 0)
        fail_msg("%s", buffer_text(&errors.text));
    buffer_release(&errors.text);
    return map;
}

void rig_listen_again(void)
{
    assert_int_equal(socket_listen(&rig.endpoint, 8, &rig.listener, &rig.endpoint.port, NULL), 0);
}

void rig_begin(const char *rows)
{
    memset(&rig, 0, sizeof rig);
    rig.endpoint = (struct endpoint){.host = "127.0.0.1"};
    rig.server = -1;
    rig.latency = 10 * MS;
    rig.now = (struct now){.mono_us = 1000 * S, .wall_ms = WALL0, .sync = true};
    rig.map = rig_map_of(rows);
    rig_listen_again();
}

void rig_open(uint8_t units, int64_t interval_ms)
{
    static struct modbus_point_options points[8][100];
    static struct modbus_unit_options unit_options[8];
    struct modbus_link_options options = {.url = {.endpoint = rig.endpoint},
                                          .timeout_ms = TIMEOUT / MS,
                                          .units = unit_options,
                                          .unit_count = units,
                                          .wire = rig.wire,
                                          .phase = rig.phase,
                                          .learned = note_learned,
                                          .learned_self = &rig,
                                          .seed = 1};
    struct message message = {""};

    for (uint8_t u = 0; u < units; u++) {
        size_t count = 0;
        for (size_t k = 0; k < register_map_count(rig.map); k++)
            if ((int)k != register_map_clock(rig.map))
                points[u][count++] =
                    (struct modbus_point_options){.reg = k,
                                                  .interval_ms = interval_ms,
                                                  .aligned = rig.aligned,
                                                  .number = (u + 1u) * 100u + (uint32_t)k};
        unit_options[u] = (struct modbus_unit_options){.unit = (uint8_t)(u + 1),
                                                       .map = rig.map,
                                                       .points = points[u],
                                                       .point_count = count,
                                                       .cuts = rig.cuts,
                                                       .cut_count = rig.cut_count};
    }
    if (modbus_driver_open(&options, rig_take, &rig, rig.now, &rig.driver, &message) != 0)
        fail_msg("%s", message.text);
}

void rig_end(void)
{
    driver_close(rig.driver);
    register_map_free(rig.map);
    if (rig.listener >= 0)
        close(rig.listener);
    if (rig.server >= 0)
        close(rig.server);
}

struct modbus_unit_stats rig_stats_of(size_t unit)
{
    struct modbus_unit_stats stats;
    modbus_driver_unit_stats(rig.driver, unit, &stats);
    return stats;
}

struct modbus_link_stats rig_link_stats(void)
{
    struct modbus_link_stats stats;
    modbus_driver_link_stats(rig.driver, &stats);
    return stats;
}

size_t rig_requests_sent(void)
{
    struct driver_status status;
    size_t sum = 0;

    driver_status(rig.driver, &status);
    for (size_t i = 0; i < status.units; i++)
        sum += rig_stats_of(i).requests;
    return sum;
}

void rig_advance(int64_t us)
{
    rig.now.mono_us += us;
    rig.now.wall_ms = WALL0 + rig.wall_step_ms + (rig.now.mono_us - 1000 * S) / MS;
}

void rig_step(void)
{
    driver_step(rig.driver, rig.now, NULL, 0);
}

void rig_wait_for(int fd, short events)
{
    struct pollfd wait = {.fd = fd, .events = events};
    assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
}

void rig_hang_up(void)
{
    close(rig.server);
    rig.server = -1;
}

static uint16_t word_at(unsigned address)
{
    unsigned place = address - rig.clock_at;
    if (rig.clock_at != 0 && place < 4)
        return (uint16_t)(rig.clock >> 16 * (3 - place));
    return (uint16_t)(address + rig.shift);
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
            uint16_t word = word_at(address);
            reply[9 + 2 * i] = (uint8_t)(word >> 8);
            reply[10 + 2 * i] = (uint8_t)word;
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

static bool is_refused(const uint8_t *frame)
{
    uint16_t start = (uint16_t)(frame[8] << 8 | frame[9]);
    uint16_t every = rig.hole_every ? rig.hole_every : 1;
    return covers(frame, rig.hole) ||
           (rig.hole_every && covers(frame, (uint16_t)((start + every - 1) / every * every)));
}

/* Answers, in its manner; false when nothing comes of it. */
static bool respond(uint8_t *frame)
{
    switch (rig.manners[frame[6]]) {
    case ANSWERS:
        if (covers(frame, rig.silent_at))
            return false;
        if (is_refused(frame))
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
    case HAS_NOTHING:
        answer_exception(frame, 2);
        return true;
    case ANSWERS_ANOTHER_FUNCTION:
        frame[7]++;
        answer_registers(frame);
        return true;
    case SENDS_GARBAGE:
        assert_int_equal(send(rig.server, "HTTP/1.1 400", 12, MSG_NOSIGNAL), 12);
        return true;
    case CLOSES:
        rig_hang_up();
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
    rig_wait_for(fd, POLLOUT);
    rig_advance(rig.connecting);
    rig_step();
    if (rig.listener >= 0) {
        rig_wait_for(rig.listener, POLLIN);
        if (rig.server >= 0)
            rig_hang_up();
        rig.server = accept(rig.listener, NULL, NULL);
        rig.accepted++;
    }
}

void rig_run(int64_t us)
{
    int64_t until_us = rig.now.mono_us + us;

    while (rig.now.mono_us <= until_us) {
        struct driver_wants wants;
        driver_wants(rig.driver, &wants);
        if (wants.count > 0 && wants.list[0].events == EPOLLOUT) {
            connected(wants.list[0].fd);
        } else if (rig_requests_sent() > rig.seen && serve()) {
            rig_wait_for(wants.list[0].fd, POLLIN);
            rig_advance(rig.latency);
            rig_step();
        } else if (wants.due_us > until_us) {
            rig_advance(until_us - rig.now.mono_us);
            return;
        } else {
            if (wants.due_us > rig.now.mono_us)
                rig_advance(wants.due_us - rig.now.mono_us);
            rig_step();
        }
    }
}

size_t rig_count_samples(uint32_t point, enum quality quality)
{
    size_t count = 0;
    for (size_t i = 0; i < rig.sample_count; i++)
        count += rig.samples[i].point == point && rig.samples[i].quality == quality ? 1 : 0;
    return count;
}

struct sample rig_last_of(uint32_t point)
{
    for (size_t i = rig.sample_count; i > 0; i--)
        if (rig.samples[i - 1].point == point)
            return rig.samples[i - 1];
    fail_msg("no sample of point %u", point);
    return (struct sample){.point = point};
}
