#include "tests/unit/support/server_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

uint16_t server_bed_register(int unit, int address)
{
    return (uint16_t)(address * 7 + (unit - 1) * 1000);
}

bool server_bed_bit(int unit, int address)
{
    return (address + unit - 1) % 3 == 0;
}

void server_bed_open(struct server_bed *bed, const struct server_listen *listen)
{
    *bed = (struct server_bed){0};
    for (int i = 0; i < BED_UNITS; i++) {
        struct server_unit *unit = &bed->units[i];
        *unit = (struct server_unit){.unit = i + 1};
        unit->registers = calloc(SERVER_REGISTERS, sizeof(*unit->registers));
        unit->bits = calloc(SERVER_REGISTERS, sizeof(*unit->bits));
        for (int n = 0; n < SERVER_REGISTERS; n++) {
            unit->registers[n] = server_bed_register(i + 1, n);
            unit->bits[n] = server_bed_bit(i + 1, n);
        }
    }
    bed->units[DEAD_UNIT - 1].dead = true;
    bed->units[EXCEPTION_UNIT - 1].exception = true;
    struct message message = {""};
    if (server_open(listen, bed->units, BED_UNITS, &bed->server, &message))
        fail_msg("%s", message.text);
}

void server_bed_close(struct server_bed *bed)
{
    server_bed_stop(bed);
    server_close(bed->server);
    for (int i = 0; i < BED_UNITS; i++) {
        free(bed->units[i].registers);
        free(bed->units[i].bits);
    }
}

static int wait_ms(const struct server *server)
{
    int64_t due_us = server_due(server);
    if (due_us == NEVER)
        return -1;
    int64_t us = due_us - clock_read(clock_real()).mono_us;
    return us > 0 ? (int)(us / US_PER_MS) + 1 : 0;
}

static void *serve(void *self)
{
    struct server_bed *bed = self;
    struct pollfd fds[] = {{server_fd(bed->server), POLLIN, 0}, {bed->stop[0], POLLIN, 0}};
    while (!fds[1].revents) {
        assert_true(poll(fds, 2, wait_ms(bed->server)) >= 0);
        server_step(bed->server, clock_read(clock_real()).mono_us);
    }
    return NULL;
}

void server_bed_start(struct server_bed *bed)
{
    assert_int_equal(pipe(bed->stop), 0);
    assert_int_equal(pthread_create(&bed->thread, NULL, serve, bed), 0);
    bed->running = true;
}

void server_bed_stop(struct server_bed *bed)
{
    if (!bed->running)
        return;
    bed->running = false;
    assert_int_equal(write(bed->stop[1], "x", 1), 1);
    assert_int_equal(pthread_join(bed->thread, NULL), 0);
    close(bed->stop[0]);
    close(bed->stop[1]);
}

void server_bed_await(struct server_bed *bed)
{
    struct pollfd readable = {server_fd(bed->server), POLLIN, 0};
    assert_int_equal(poll(&readable, 1, PATIENCE_S * MS_PER_S), 1);
}

void server_bed_read(int fd, uint8_t *bytes, size_t len)
{
    for (size_t got = 0; got < len;) {
        struct pollfd readable = {fd, POLLIN, 0};
        assert_int_equal(poll(&readable, 1, PATIENCE_S * MS_PER_S), 1);
        ssize_t n = read(fd, bytes + got, len - got);
        assert_true(n > 0);
        got += (size_t)n;
    }
}
