/*
 * A Modbus driver, and by hand the gateway it talks to, in one thread on virtual time: what the
 * gateway answers comes after `latency`, what it does not answer lets time go on to the driver's
 * due time. Each register's value is its address plus `shift`, each bit is that of its address;
 * a clock of four registers may lie over them. One rig at a time.
 */
#ifndef TESTS_GATEWAY_RIG_H
#define TESTS_GATEWAY_RIG_H

#include "drivers/modbus/modbus_driver.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATIENCE_MS 5000
#define WALL0       1767576600000
#define MS          ((int64_t)US_PER_MS)
#define S           ((int64_t)US_PER_S)
#define TIMEOUT     (500 * MS)
#define SAMPLES_MAX 20000

enum manner {
    ANSWERS,
    IS_SILENT,
    IS_BEYOND_THE_GATEWAY, /* exception 0x0B */
    REFUSES,               /* exception 4 */
    HAS_NOTHING,           /* exception 2 */
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
    uint16_t hole;       /* reads over this address are refused with exception 2 (0: none) */
    uint16_t hole_every; /* so are those over a multiple of it (0: none) */
    uint16_t silent_at;  /* reads of this address are passed over (0: none) */
    int64_t connecting;  /* what a connection takes */
    int64_t latency;
    int64_t wall_step_ms; /* by which the wall clock was stepped */
    struct wire wire;     /* for rig_open, as the next four */
    uint32_t phase;
    bool aligned;
    const struct plan_cut *cuts;
    size_t cut_count;
    struct plan_cut learned[64]; /* what the driver told */
    size_t learned_count;
    uint16_t shift;
    uint16_t clock_at; /* where the device's clock lies (0: nowhere) */
    uint64_t clock;    /* what it says */
    size_t seen;       /* requests */
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

extern struct rig rig;

/* Rows: name,function,address,type,word_order,scale,time. */
void rig_begin(const char *rows);
/* Units 1, 2 … each with all of the map's points, but the clock, at `interval_ms`, numbered
 * unit * 100 + index. */
void rig_open(uint8_t units, int64_t interval_ms);
void rig_end(void);

/* Lets things happen for so long. */
void rig_run(int64_t us);
void rig_step(void);
void rig_advance(int64_t us);
void rig_listen_again(void);
void rig_hang_up(void);
void rig_wait_for(int fd, short events);

struct modbus_unit_stats rig_stats_of(size_t unit);
struct modbus_link_stats rig_link_stats(void);
size_t rig_requests_sent(void);
size_t rig_count_samples(uint32_t point, enum quality quality);
/* The last sample of the point; there must be one. */
struct sample rig_last_of(uint32_t point);

struct register_map *rig_map_of(const char *rows);
void rig_take(void *self, const struct sample *samples, size_t count);

#endif
