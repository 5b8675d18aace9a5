/*
 * Many Modbus TCP devices at one port, for benches: each local address 127.x.y.z is one, each
 * answers at once any read of functions 3 and 4 of any unit, with the address as the value.
 *
 *     slave PORT      prints "ready", then obeys lines on its standard input:
 *     die N           each N-th device (by address) answers nothing any more
 *     live            all answer
 *     report MS       prints the requests to who lives, all answers, and how late those requests
 * came on grids of MS: of each device the earliest phase is taken for its grid (p50, p99, worst in
 * ms); then the counts begin anew
 *
 * One thread. The end of its standard input ends it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define DEVICES      1024
#define CONNECTIONS  4096 /* by descriptor */
#define ARRIVALS_MAX 2000000
#define REQUEST      12
#define HEADER       7
#define TICK_US      2000
#define TICKS_MAX    200000

struct arrival {
    uint32_t device;
    int64_t us;
};

static struct arrival arrivals[ARRIVALS_MAX];
static size_t arrival_count;
static unsigned long answers;
static uint32_t device_of[CONNECTIONS];
static uint8_t half[CONNECTIONS][REQUEST];
static size_t half_len[CONNECTIONS];
static unsigned dead_each; /* 0: none */
static int epoll_fd, listener, timer_fd;
static int64_t next_tick_us;
static int64_t tick_late[TICKS_MAX];
static size_t tick_count;

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static void watch(int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event)) {
        perror("slave: epoll");
        exit(EXIT_FAILURE);
    }
}

static void take_connection(void)
{
    struct sockaddr_in own;
    socklen_t len = sizeof(own);
    int one = 1;
    int fd = accept(listener, NULL, NULL);
    if (fd < 0)
        return;
    if (fd >= CONNECTIONS || getsockname(fd, (struct sockaddr *)&own, &len)) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    device_of[fd] = ntohl(own.sin_addr.s_addr) % DEVICES;
    half_len[fd] = 0;
    watch(fd);
}

static bool is_dead(uint32_t device)
{
    return dead_each && device % dead_each == 0;
}

static void answer(int fd, const uint8_t *request)
{
    uint8_t reply[300];
    unsigned start = (unsigned)(request[8] << 8 | request[9]);
    unsigned count = (unsigned)(request[10] << 8 | request[11]);
    if (arrival_count < ARRIVALS_MAX && !is_dead(device_of[fd]))
        arrivals[arrival_count++] = (struct arrival){device_of[fd], now_us()};
    if (count < 1 || count > 125 || is_dead(device_of[fd]))
        return;
    memcpy(reply, request, HEADER + 1);
    reply[4] = 0;
    reply[5] = (uint8_t)(3 + 2 * count);
    reply[8] = (uint8_t)(2 * count);
    for (unsigned i = 0; i < count; i++) {
        unsigned address = start + i;
        float value = (float)(2000 + address / 2 * 37 % 9000 + answers % 100) / 100;
        uint32_t bits;
        memcpy(&bits, &value, sizeof(bits));
        bits = address % 2 ? bits : bits >> 16;
        reply[9 + 2 * i] = (uint8_t)(bits >> 8);
        reply[10 + 2 * i] = (uint8_t)bits;
    }
    if (send(fd, reply, 9 + 2 * count, MSG_NOSIGNAL) == (ssize_t)(9 + 2 * count))
        answers++;
}

static void hear(int fd)
{
    ssize_t got = recv(fd, half[fd] + half_len[fd], REQUEST - half_len[fd], 0);
    if (got <= 0) {
        close(fd);
        return;
    }
    half_len[fd] += (size_t)got;
    if (half_len[fd] == REQUEST) {
        half_len[fd] = 0;
        answer(fd, half[fd]);
    }
}

/* The machine itself is late: as late as whoever waits for a time and does nothing else. */
static void tick(void)
{
    uint64_t ticks;
    if (read(timer_fd, &ticks, sizeof(ticks)) != sizeof(ticks))
        return;
    if (tick_count < TICKS_MAX)
        tick_late[tick_count++] = now_us() - next_tick_us;
    next_tick_us += (int64_t)ticks * TICK_US;
}

static void start_ticking(void)
{
    struct itimerspec each = {.it_interval = {0, TICK_US * 1000}};
    next_tick_us = now_us() + TICK_US;
    each.it_value.tv_sec = next_tick_us / 1000000;
    each.it_value.tv_nsec = next_tick_us % 1000000 * 1000;
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &each, NULL);
    watch(timer_fd);
}

static int by_value(const void *a, const void *b)
{
    const int64_t *left = a, *right = b;
    return *left < *right ? -1 : *left > *right;
}

static double ms_at(const int64_t *late, size_t count, double share)
{
    return count ? (double)late[(size_t)((double)(count - 1) * share)] / 1000 : 0;
}

/* A phase is told from the device's first arrival, half an interval off, so that it never wraps. */
static void report(int64_t grid_us)
{
    static int64_t first[DEVICES], least[DEVICES];
    int64_t *late = calloc(arrival_count + 1, sizeof(*late));
    if (!late)
        exit(EXIT_FAILURE);
    memset(first, 0, sizeof(first));
    for (size_t i = 0; i < arrival_count; i++) {
        uint32_t device = arrivals[i].device;
        if (!first[device])
            first[device] = arrivals[i].us - grid_us / 2, least[device] = grid_us;
        late[i] = (arrivals[i].us - first[device]) % grid_us;
        if (late[i] < least[device])
            least[device] = late[i];
    }
    for (size_t i = 0; i < arrival_count; i++)
        late[i] -= least[arrivals[i].device];
    qsort(late, arrival_count, sizeof(*late), by_value);
    qsort(tick_late, tick_count, sizeof(tick_late[0]), by_value);
    printf("%zu %lu %.3f %.3f %.3f %.3f\n", arrival_count, answers, ms_at(late, arrival_count, 0.5),
           ms_at(late, arrival_count, 0.99), ms_at(late, arrival_count, 1),
           ms_at(tick_late, tick_count, 0.99));
    fflush(stdout);
    free(late);
    arrival_count = 0;
    answers = 0;
    tick_count = 0;
}

/* False at the end of the input. */
static bool obey(void)
{
    char line[64];
    ssize_t len = read(STDIN_FILENO, line, sizeof(line) - 1);
    if (len <= 0)
        return false;
    line[len] = '\0';
    if (strncmp(line, "die ", 4) == 0)
        dead_each = (unsigned)strtoul(line + 4, NULL, 10);
    else if (strncmp(line, "live", 4) == 0)
        dead_each = 0;
    else if (strncmp(line, "report ", 7) == 0)
        report(strtol(line + 7, NULL, 10) * 1000);
    return true;
}

int main(int argc, char **argv)
{
    struct sockaddr_in own = {.sin_family = AF_INET};
    struct epoll_event events[64];
    int one = 1;
    if (argc != 2)
        return EXIT_FAILURE;
    own.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(listener, (struct sockaddr *)&own, sizeof(own)) || listen(listener, 1024)) {
        perror("slave");
        return EXIT_FAILURE;
    }
    watch(listener);
    watch(STDIN_FILENO);
    start_ticking();
    puts("ready");
    fflush(stdout);
    for (;;) {
        int count = epoll_wait(epoll_fd, events, 64, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener)
                take_connection();
            else if (events[i].data.fd == timer_fd)
                tick();
            else if (events[i].data.fd != STDIN_FILENO)
                hear(events[i].data.fd);
            else if (!obey())
                return EXIT_SUCCESS;
        }
    }
}
