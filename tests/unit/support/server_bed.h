/*
 * A simulator's server with a few units whose registers tell unit and address; stepped by the test,
 * or by a thread of its own on the machine's clock.
 */
#ifndef TESTS_UNIT_SUPPORT_SERVER_BED_H
#define TESTS_UNIT_SUPPORT_SERVER_BED_H

#include "drivers/simulator/server.h"

#include <pthread.h>
#include <stdbool.h>

#define BED_UNITS      4 /* numbered from 1 */
#define DEAD_UNIT      3
#define EXCEPTION_UNIT 4
#define PATIENCE_S     10

struct server_bed {
    struct server *server;
    struct server_unit units[BED_UNITS];
    pthread_t thread;
    int stop[2];
    bool running;
};

void server_bed_open(struct server_bed *bed, const struct server_listen *listen);
void server_bed_close(struct server_bed *bed);

/* Between the two the units are the thread's. Stopping what does not run is fine. */
void server_bed_start(struct server_bed *bed);
void server_bed_stop(struct server_bed *bed);

/* What is in unit `unit` at `address`, before anybody writes. */
uint16_t server_bed_register(int unit, int address);
bool server_bed_bit(int unit, int address);

/* Waits until something has come for the server. */
void server_bed_await(struct server_bed *bed);

/* Waits until `len` bytes have come from `fd`, and takes them. */
void server_bed_read(int fd, uint8_t *bytes, size_t len);

#endif
