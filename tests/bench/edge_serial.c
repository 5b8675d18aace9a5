/*
 * A saturated serial line: the driver against a master that knows nothing but to ask again, on the
 * same pseudo-terminal, which is as slow as a wire and whose unit thinks for 5 ms.
 */
#include "bench.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "drivers/modbus/frame.h"
#include "drivers/modbus/modbus_driver.h"
#include "drivers/modbus/rtu_wire.h"
#include "drivers/simulator/server.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#define LATENCY_US ((int64_t)5 * US_PER_MS)

struct line {
    char path[64];
    unsigned baud;
    uint16_t registers;
    struct register_map *map;
    unsigned long taken;
};

static void die(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(EXIT_FAILURE);
}

static int64_t now_us(void)
{
    return clock_read(clock_real()).mono_us;
}

/* Until the descriptor is readable or the time has come. */
static void wait_until(int fd, int64_t due_us)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    int64_t left_us = due_us == NEVER ? US_PER_S : due_us - now_us();
    struct timespec time = {left_us / US_PER_S, left_us % US_PER_S * 1000};
    if (left_us > 0)
        (void)!ppoll(&wait, fd >= 0, &time, NULL);
}

static pid_t start_slave(const struct line *line)
{
    static uint16_t registers[SERVER_REGISTERS];
    static uint8_t bits[SERVER_REGISTERS];
    struct server_unit unit = {.unit = 1, .registers = registers, .bits = bits};
    struct server_listen listen = {.pty = line->path, .baud = line->baud, .latency_us = LATENCY_US};
    struct server *server;
    struct message message = {""};
    int ready[2];
    char byte;
    if (pipe2(ready, O_CLOEXEC))
        die("no pipe");
    pid_t pid = fork();
    if (pid == 0) {
        if (server_open(&listen, &unit, 1, &server, &message) || write(ready[1], "", 1) != 1)
            die(message.text);
        for (;;) {
            wait_until(server_fd(server), server_due(server));
            server_step(server, now_us());
        }
    }
    close(ready[1]);
    if (pid < 0 || read(ready[0], &byte, 1) != 1)
        die("no slave");
    close(ready[0]);
    return pid;
}

static struct link_url url_of(const struct line *line)
{
    struct link_url url = {
        .kind = LINK_RTU, .baud = line->baud, .parity = 'N', .stop = 2, .rs485 = false};
    snprintf(url.device, sizeof(url.device), "%s", line->path);
    return url;
}

static void count_samples(void *self, const struct sample *list, size_t count)
{
    struct line *line = self;
    if (list[0].quality == QUALITY_GOOD)
        line->taken += count;
}

static struct driver *open_driver(struct line *line)
{
    static struct modbus_point_options points[125];
    for (size_t i = 0; i < line->registers; i++)
        points[i] = (struct modbus_point_options){.reg = i, .interval_ms = 1};
    struct modbus_unit_options unit = {
        .unit = 1, .map = line->map, .points = points, .point_count = line->registers};
    struct modbus_link_options options = {
        .url = url_of(line), .timeout_ms = 500, .units = &unit, .unit_count = 1};
    struct driver *driver;
    struct message message = {""};
    if (modbus_driver_open(&options, count_samples, line, clock_read(clock_real()), &driver,
                           &message))
        die(message.text);
    return driver;
}

/* Runs the driver as the poller does, for so many seconds after its first reads; reads a second. */
static double run_driver(void *self)
{
    struct line *line = self;
    struct driver *driver = open_driver(line);
    double begin = bench_now(), wanted = bench_quick() ? 1.0 : 3.0;
    line->taken = 0;
    for (bool begun = false; !begun || bench_now() - begin < wanted;) {
        struct driver_wants wants;
        driver_wants(driver, &wants);
        wait_until(wants.count > 0 ? wants.list[0].fd : -1, wants.due_us);
        driver_step(driver, clock_read(clock_real()), NULL, 0);
        if (!begun && line->taken > 0) {
            begun = true;
            line->taken = 0;
            begin = bench_now();
        }
    }
    double rate = (double)line->taken / line->registers / (bench_now() - begin);
    driver_close(driver);
    return rate;
}

/* Asks, takes so many bytes, lets just the silence pass, and asks again. */
static double run_ideal(void *self)
{
    struct line *line = self;
    struct modbus_request request = {1, 3, 0, line->registers};
    uint8_t frame[FRAME_REQUEST_MAX], reply[RTU_FRAME_MAX];
    size_t size = frame_write_rtu(&request, frame), wanted = frame_rtu_reply_size(&request);
    int fd = open(line->path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    double begin = bench_now(), length = bench_quick() ? 1.0 : 3.0;
    unsigned long reads = 0;
    if (fd < 0)
        die("no line");
    while (bench_now() - begin < length) {
        size_t len = 0;
        if (write(fd, frame, size) != (ssize_t)size)
            die("the line takes nothing");
        while (len < wanted) {
            wait_until(fd, NEVER);
            ssize_t got = read(fd, reply + len, sizeof(reply) - len);
            len += got > 0 ? (size_t)got : 0;
        }
        wait_until(-1, now_us() + rtu_silence_us(line->baud));
        reads++;
    }
    double rate = (double)reads / (bench_now() - begin);
    close(fd);
    return rate;
}

static struct register_map *make_map(uint16_t registers)
{
    struct buffer csv;
    struct config_errors errors;
    struct register_map *map;
    buffer_init(&csv, 65536);
    config_errors_init(&errors);
    buffer_append_text(&csv, "name,function,address,type\n");
    for (int i = 0; i < registers; i++)
        buffer_printf(&csv, "p%d,3,%d,uint16\n", i, i);
    if (register_map_parse("bench.csv", csv.data, csv.len, &map, &errors))
        die(buffer_text(&errors.text));
    buffer_release(&csv);
    config_errors_release(&errors);
    return map;
}

/* Beside it: how many of the reads that the wire alone would let through. */
static void bench_line(unsigned baud, uint16_t registers)
{
    struct line line = {.baud = baud, .registers = registers, .map = make_map(registers)};
    char name[64], reference[128];
    int64_t wire_us = rtu_wire_us(baud, RTU_CHARACTER_BITS, 13 + 2 * (size_t)registers) +
                      2 * rtu_silence_us(baud) + LATENCY_US;
    snprintf(line.path, sizeof(line.path), "/tmp/bench-line-%d", (int)getpid());
    pid_t slave = start_slave(&line);
    struct bench_result result = bench_compare(run_driver, run_ideal, &line);
    snprintf(name, sizeof(name), "edge.rtu_reads.%u.%d", baud, registers);
    snprintf(reference, sizeof(reference),
             "an ideal master on the same line; %.3g of what its wire lets through",
             result.subject * (double)wire_us / US_PER_S);
    bench_say(name, result, "reads/s", reference, BENCH_MORE, 0.98);
    kill(slave, SIGKILL);
    waitpid(slave, NULL, 0);
    unlink(line.path);
    register_map_free(line.map);
}

int main(void)
{
    bench_line(9600, 10);
    bench_line(9600, 60);
    bench_line(115200, 10);
    bench_line(115200, 60);
    return EXIT_SUCCESS;
}
