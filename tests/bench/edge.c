/* What the edge costs: decoding, records, the journal, a saturated link. */
#include "bench.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/files.h"
#include "base/numbers.h"
#include "drivers/modbus/decode.h"
#include "drivers/modbus/modbus_driver.h"
#include "drivers/simulator/server.h"
#include "edge/recorder.h"
#include "model/record.h"
#include "store/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <modbus/modbus.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#define POINTS 63 /* 62 of float32, one of uint16: 125 registers */

static char folder[64];

static void empty_folder(void)
{
    DIR *dir = opendir(folder);
    for (const struct dirent *entry; dir && (entry = readdir(dir));) {
        char path[FILE_PATH_SIZE];
        if (entry->d_name[0] != '.' && !path_join(folder, entry->d_name, path))
            unlink(path);
    }
    if (dir)
        closedir(dir);
}

static void die(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(EXIT_FAILURE);
}

/* ---- decoding ---- */

static struct map_register reg;
static uint8_t wire[4 * 1000];
static volatile double sink;

static double run_decode(void *self)
{
    (void)self;
    struct sample sample = {0};
    double begin = bench_now();
    for (int round = 0; round < 1000; round++)
        for (int i = 0; i < 1000; i++) {
            decode_registers(&reg, wire + 4 * i, &sample);
            sink = sample.value.number;
        }
    return (bench_now() - begin) * 1e9 / 1e6;
}

static double run_bare_decode(void *self)
{
    (void)self;
    double begin = bench_now();
    for (int round = 0; round < 1000; round++)
        for (int i = 0; i < 1000; i++) {
            uint32_t bits;
            float value;
            memcpy(&bits, wire + 4 * i, 4);
            bits = __builtin_bswap32(bits);
            bits = bits << 16 | bits >> 16;
            memcpy(&value, &bits, 4);
            sink = (double)value;
        }
    return (bench_now() - begin) * 1e9 / 1e6;
}

static void bench_decode(void)
{
    if (map_register_init(&reg, "float32", "CDAB", NULL))
        die("no such type");
    for (size_t i = 0; i < sizeof(wire); i++)
        wire[i] = (uint8_t)(i * 7 % 61);
    bench_say("edge.decode_ns_per_point", bench_compare(run_decode, run_bare_decode, NULL), "ns",
              "a bare byte swap", BENCH_LESS, 30);
}

/* ---- records ---- */

static struct sample samples[700];

static void make_samples(void)
{
    for (size_t i = 0; i < 700; i++)
        samples[i] =
            (struct sample){.point = (uint32_t)(i % 100),
                            .t_ms = 1767576600123 + (int64_t)i / 100 * 1000,
                            .value = {VALUE_FLOAT, (double)(20.0f + (float)i * 0.37f), ""}};
}

static struct record_head make_head(void)
{
    struct record_head head = {.kind = RECORD_DATA,
                               .stream = STREAM_C,
                               .seq = 18446,
                               .mono_us = 81233771,
                               .sync = true,
                               .t0_ms = 1767576600123};
    memset(head.epoch, 'a', EPOCH_SIZE - 1);
    memset(head.boot, 'b', 32);
    return head;
}

static size_t write_record(struct buffer *out)
{
    struct record_data *data = record_data_new(RECORD_MAX_BYTES);
    struct record_head head = make_head();
    for (size_t i = 0; i < 700; i++)
        if (record_data_add(data, samples[i].point, &samples[i]))
            die("record full");
    record_data_write(data, out, &head, "0123456789abcdef", 901233);
    record_data_free(data);
    return 700;
}

static double run_record(void *self)
{
    struct buffer *out = self;
    double begin = bench_now();
    for (int round = 0; round < 200; round++) {
        buffer_clear(out);
        write_record(out);
    }
    return (bench_now() - begin) * 1e9 / (200 * 700);
}

static double run_printf_record(void *self)
{
    (void)self;
    static char text[RECORD_MAX_BYTES * 2];
    double begin = bench_now();
    for (int round = 0; round < 200; round++) {
        size_t len = 0;
        for (size_t i = 0; i < 700; i++)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%u,", samples[i].point);
        for (size_t i = 0; i < 700; i++)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%lld,",
                                    (long long)(samples[i].t_ms - 1767576600123));
        /* Six digits are what these values need: the same text as the record's. */
        for (size_t i = 0; i < 700; i++)
            len +=
                (size_t)snprintf(text + len, sizeof(text) - len, "%.6g,", samples[i].value.number);
        sink = (double)len;
    }
    return (bench_now() - begin) * 1e9 / (200 * 700);
}

static void bench_record(void)
{
    struct buffer out;
    buffer_init(&out, RECORD_MAX_BYTES);
    make_samples();
    bench_say("edge.record_encode_ns_per_point", bench_compare(run_record, run_printf_record, &out),
              "ns", "snprintf of the same JSON", BENCH_LESS, 1.0);
    buffer_release(&out);
}

/* ---- the journal ---- */

static struct journal *open_journal(void)
{
    struct journal *journal;
    struct journal_report report;
    struct message message = {""};
    struct journal_options options = {.folder = folder, .letters = STREAM_LETTERS, .verify = true};
    if (journal_open(&options, &journal, &report, &message))
        die(message.text);
    return journal;
}

static char payload[16384];

#define RECOVERY_MIB    256
#define RECOVERY_FRAMES (RECOVERY_MIB * 1024 * 1024 / sizeof(payload))

static double run_commit(void *self)
{
    int count = bench_quick() ? 100 : 500;
    double begin = bench_now();
    for (int i = 0; i < count; i++) {
        uint64_t seq;
        if (journal_append(self, STREAM_C, "", payload, sizeof(payload), 700, i, i, &seq, NULL) ||
            journal_commit(self, NULL))
            die("journal takes nothing");
    }
    return (bench_now() - begin) * 1e6 / count;
}

static double run_bare_commit(void *self)
{
    (void)self;
    char path[FILE_PATH_SIZE];
    int count = bench_quick() ? 100 : 500;
    if (path_join(folder, "bare", path))
        die("path");
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        die("cannot write");
    double begin = bench_now();
    for (int i = 0; i < count; i++)
        if (write(fd, payload, sizeof(payload)) != (ssize_t)sizeof(payload) || fdatasync(fd))
            die("cannot write");
    double took = (bench_now() - begin) * 1e6 / count;
    close(fd);
    unlink(path);
    return took;
}

static double run_append(void *self)
{
    double begin = bench_now();
    for (int i = 0; i < 5000; i++) {
        uint64_t seq;
        if (journal_append(self, STREAM_T, "", payload, 1000, 40, i, i, &seq, NULL))
            die("journal takes nothing");
        if (i % 1000 == 999 && journal_commit(self, NULL))
            die("journal takes nothing");
    }
    return 5000 / (bench_now() - begin);
}

static double run_bare_append(void *self)
{
    (void)self;
    static char bytes[1000 * 1000];
    char path[FILE_PATH_SIZE];
    if (path_join(folder, "bare", path))
        die("path");
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    double begin = bench_now();
    for (int i = 0; i < 5000; i++) {
        memcpy(bytes + i % 1000 * 1000, payload, 1000);
        if (i % 1000 == 999 &&
            (write(fd, bytes, sizeof(bytes)) != (ssize_t)sizeof(bytes) || fdatasync(fd)))
            die("cannot write");
    }
    double rate = 5000 / (bench_now() - begin);
    close(fd);
    unlink(path);
    return rate;
}

/* Writes the bytes and ends as a killed process does. */
static void fill_and_leave(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct journal *journal = open_journal();
        for (int i = 0; i < (int)RECOVERY_FRAMES; i++) {
            uint64_t seq;
            if (journal_append(journal, STREAM_C, "", payload, sizeof(payload), 700, i, i, &seq,
                               NULL) ||
                (i % 64 == 63 && journal_commit(journal, NULL)))
                die("journal takes nothing");
        }
        _exit(journal_commit(journal, NULL) ? EXIT_FAILURE : EXIT_SUCCESS);
    }
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
        die("journal takes nothing");
}

/* Opens it in a process that ends without closing it, so that each opening finds it unclean. */
static double run_recovery(void *self)
{
    (void)self;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        die("no pipe");
    pid_t pid = fork();
    if (pid == 0) {
        struct journal *journal;
        struct journal_report report;
        struct journal_options options = {
            .folder = folder, .letters = STREAM_LETTERS, .verify = true};
        double begin = bench_now();
        int err = journal_open(&options, &journal, &report, NULL);
        double took = (bench_now() - begin) * 1e3;
        bool right = !err && report.unclean && report.scanned_frames >= RECOVERY_FRAMES &&
                     write(ends[1], &took, sizeof(took)) == (ssize_t)sizeof(took);
        _exit(right ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    double took;
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status ||
        read(ends[0], &took, sizeof(took)) != (ssize_t)sizeof(took))
        die("journal was not recovered");
    close(ends[0]);
    close(ends[1]);
    return took;
}

static double run_bare_read(void *self)
{
    (void)self;
    static char bytes[1 << 20];
    double begin = bench_now();
    DIR *dir = opendir(folder);
    for (const struct dirent *entry; dir && (entry = readdir(dir));) {
        char path[FILE_PATH_SIZE];
        if (!strstr(entry->d_name, ".seg") || path_join(folder, entry->d_name, path))
            continue;
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        while (fd >= 0 && read(fd, bytes, sizeof(bytes)) > 0)
            continue;
        if (fd >= 0)
            close(fd);
    }
    if (dir)
        closedir(dir);
    return (bench_now() - begin) * 1e3;
}

static void bench_journal(void)
{
    struct journal *journal = open_journal();
    memset(payload, 'x', sizeof(payload));
    bench_say("edge.journal_commit_us", bench_compare(run_commit, run_bare_commit, journal), "us",
              "write + fdatasync of the same", BENCH_LESS, 1.5);
    bench_say("edge.journal_append_records_per_s",
              bench_compare(run_append, run_bare_append, journal), "records/s",
              "memcpy, write, fdatasync of the same", BENCH_MORE, 0.2);
    journal_close(journal);
    empty_folder();
    fill_and_leave();
    bench_say("edge.journal_recovery_ms", bench_compare(run_recovery, run_bare_read, NULL), "ms",
              "reading the same files", BENCH_LESS, 10);
    empty_folder();
}

/* ---- samples in, durable records out ---- */

static struct recorder *open_recorder(struct journal *journal, struct point_info *points,
                                      enum stream *streams)
{
    struct recorder *recorder;
    struct journal_report report = {0};
    struct message message = {""};
    for (int i = 0; i < 100; i++) {
        points[i] = (struct point_info){.interval_ms = 1000};
        snprintf(points[i].id, sizeof(points[i].id), "site.unit.point%d", i);
        snprintf(points[i].site, sizeof(points[i].site), "site");
        snprintf(points[i].class_, sizeof(points[i].class_), "compliance");
        streams[i] = STREAM_C;
    }
    struct recorder_options options = {.journal = journal,
                                       .edge = "bench",
                                       .site = "site",
                                       .boot = "00000000000000000000000000000000",
                                       .points = points,
                                       .streams = streams,
                                       .point_count = 100};
    if (recorder_new(&options, &report, clock_read(clock_real()), &recorder, &message))
        die(message.text);
    return recorder;
}

static double run_recorder(void *self)
{
    struct virtual_clock clock;
    virtual_clock_init(&clock, 1767576600000);
    int batches = bench_quick() ? 500 : 2000;
    double begin = bench_cpu();
    for (int i = 0; i < batches; i++) {
        if (recorder_put(self, samples, 100))
            die("queue full");
        virtual_clock_advance(&clock, 100 * US_PER_MS);
        recorder_step(self, clock.now);
    }
    if (recorder_flush(self, clock.now, NULL))
        die("journal takes nothing");
    return (bench_cpu() - begin) * 1e6 / (batches * 100);
}

static double run_bare_recorder(void *self)
{
    (void)self;
    static char text[65536];
    char path[FILE_PATH_SIZE];
    if (path_join(folder, "bare", path))
        die("path");
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int batches = bench_quick() ? 500 : 2000;
    double begin = bench_cpu();
    for (int i = 0; i < batches; i++) {
        size_t len = 0;
        for (int n = 0; n < 100; n++)
            len += (size_t)snprintf(text + len, sizeof(text) - len,
                                    "{\"id\":%d,\"t\":%lld,\"v\":%.9g,\"q\":0}\n", n,
                                    (long long)samples[n].t_ms, samples[n].value.number);
        if (write(fd, text, len) != (ssize_t)len || (i % 10 == 9 && fdatasync(fd)))
            die("cannot write");
    }
    double took = (bench_cpu() - begin) * 1e6 / (batches * 100);
    close(fd);
    unlink(path);
    return took;
}

static void bench_recorder(void)
{
    static struct point_info points[100];
    static enum stream streams[100];
    struct journal *journal = open_journal();
    struct recorder *recorder = open_recorder(journal, points, streams);
    bench_say("edge.cpu_us_per_point", bench_compare(run_recorder, run_bare_recorder, recorder),
              "us", "one printf line a sample, write, fdatasync", BENCH_LESS, 1.0);
    recorder_free(recorder);
    journal_close(journal);
    empty_folder();
}

/* ---- a saturated link ---- */

#define UNITS 200

static uint16_t slave_port;
static unsigned long taken;

static pid_t start_slave(void)
{
    static uint16_t registers[SERVER_REGISTERS];
    static uint8_t bits[SERVER_REGISTERS];
    static struct server_unit units[UNITS];
    struct server_listen listen = {.endpoint = {"127.0.0.1", 0}};
    struct server *server;
    for (int i = 0; i < UNITS; i++)
        units[i] = (struct server_unit){.unit = i + 1, .registers = registers, .bits = bits};
    if (server_open(&listen, units, UNITS, &server, NULL))
        die("no slave");
    slave_port = server_port(server);
    pid_t pid = fork();
    if (pid != 0) {
        server_close(server);
        return pid;
    }
    for (;;) {
        struct pollfd waiting = {server_fd(server), POLLIN, 0};
        poll(&waiting, 1, -1);
        server_step(server, clock_read(clock_real()).mono_us);
    }
}

static void count_samples(void *self, const struct sample *list, size_t count)
{
    (void)self, (void)list;
    taken += count;
}

static struct driver *open_driver(const struct register_map *map)
{
    static struct modbus_point_options points[POINTS];
    static struct modbus_unit_options units[UNITS];
    for (size_t i = 0; i < POINTS; i++)
        points[i] = (struct modbus_point_options){.reg = i, .interval_ms = 10, .number = 0};
    for (int i = 0; i < UNITS; i++)
        units[i] = (struct modbus_unit_options){
            .unit = (uint8_t)(i + 1), .map = map, .points = points, .point_count = POINTS};
    struct modbus_link_options options = {.url = {.endpoint = {"127.0.0.1", slave_port}},
                                          .timeout_ms = 500,
                                          .units = units,
                                          .unit_count = UNITS};
    struct driver *driver;
    struct message message = {""};
    if (modbus_driver_open(&options, count_samples, NULL, clock_read(clock_real()), &driver,
                           &message))
        die(message.text);
    return driver;
}

/* Runs the driver as the poller does; reads a second. */
static double run_driver(void *self)
{
    struct driver *driver = open_driver(self);
    double wanted = bench_quick() ? 0.3 : 1.0;
    taken = 0;
    double begin = bench_now();
    while (bench_now() - begin < wanted) {
        struct driver_wants wants;
        driver_wants(driver, &wants);
        struct pollfd fds[8];
        struct driver_ready ready[8];
        size_t count = 0;
        for (size_t i = 0; i < wants.count && i < 8; i++)
            fds[i] = (struct pollfd){wants.list[i].fd, 0, 0},
            fds[i].events = (short)((wants.list[i].events & EPOLLIN ? POLLIN : 0) |
                                    (wants.list[i].events & EPOLLOUT ? POLLOUT : 0));
        int64_t wait_us = wants.due_us - clock_read(clock_real()).mono_us;
        poll(fds, (nfds_t)wants.count, wait_us <= 0 ? 0 : wait_us > 100000 ? 100 : 1);
        for (size_t i = 0; i < wants.count && i < 8; i++)
            if (fds[i].revents)
                ready[count++] = (struct driver_ready){
                    fds[i].fd, (fds[i].revents & POLLIN ? (uint32_t)EPOLLIN : 0) |
                                   (fds[i].revents & POLLOUT ? (uint32_t)EPOLLOUT : 0)};
        driver_step(driver, clock_read(clock_real()), ready, count);
    }
    double rate = (double)taken / POINTS / (bench_now() - begin);
    driver_close(driver);
    return rate;
}

static double run_libmodbus(void *self)
{
    (void)self;
    uint16_t registers[MODBUS_MAX_READ_REGISTERS];
    modbus_t *modbus = modbus_new_tcp("127.0.0.1", slave_port);
    if (!modbus || modbus_connect(modbus))
        die("libmodbus does not connect");
    double wanted = bench_quick() ? 0.3 : 1.0;
    unsigned long reads = 0;
    double begin = bench_now();
    while (bench_now() - begin < wanted) {
        modbus_set_slave(modbus, 1 + (int)(reads % UNITS));
        if (modbus_read_registers(modbus, 0, MODBUS_MAX_READ_REGISTERS, registers) < 0)
            die("libmodbus does not read");
        reads++;
    }
    double rate = (double)reads / (bench_now() - begin);
    modbus_close(modbus);
    modbus_free(modbus);
    return rate;
}

static void bench_link(void)
{
    struct buffer csv;
    struct config_errors errors;
    struct register_map *map;
    buffer_init(&csv, 65536);
    config_errors_init(&errors);
    buffer_append_text(&csv, "name,function,address,type,word_order\n");
    for (int i = 0; i < POINTS - 1; i++)
        buffer_printf(&csv, "p%d,3,%d,float32,ABCD\n", i, 2 * i);
    buffer_append_text(&csv, "last,3,124,uint16,\n");
    if (register_map_parse("bench.csv", csv.data, csv.len, &map, &errors))
        die(buffer_text(&errors.text));
    pid_t slave = start_slave();
    bench_say("edge.link_reads_vs_libmodbus", bench_compare(run_driver, run_libmodbus, map),
              "reads/s", "a bare libmodbus loop on the same slave", BENCH_MORE, 0.95);
    kill(slave, SIGKILL);
    waitpid(slave, NULL, 0);
    register_map_free(map);
    config_errors_release(&errors);
    buffer_release(&csv);
}

int main(void)
{
    snprintf(folder, sizeof(folder), "/tmp/bench-XXXXXX");
    if (crypto_init() || !mkdtemp(folder))
        die("no folder");
    signal(SIGPIPE, SIG_IGN);
    bench_decode();
    bench_record();
    bench_journal();
    bench_recorder();
    bench_link();
    rmdir(folder);
    return EXIT_SUCCESS;
}
