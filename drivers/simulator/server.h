/*
 * Modbus TCP servers for the simulator: one listening socket a link, many clients, units told apart
 * by the request. libmodbus keeps the framing; a request is read only when a whole one waits, so
 * the loop never blocks. One thread.
 *
 * This is the only place in Chengmai that answers function codes 5, 6, 15, 16, 22 and 23.
 */
#ifndef DRIVERS_SIMULATOR_SERVER_H
#define DRIVERS_SIMULATOR_SERVER_H

#include "base/attributes.h"
#include "base/error.h"
#include "base/sockets.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERVER_REGISTERS 65536

/* What a unit's memory is while a request is answered. */
struct server_unit {
    int unit;            /* 1..247 */
    bool dead;           /* does not answer */
    bool exception;      /* answers with exception 4, device failure */
    uint16_t *registers; /* SERVER_REGISTERS: holding and input registers alike */
    uint8_t *bits;       /* SERVER_REGISTERS: coils and discrete inputs alike */
    uint64_t requests;   /* answered */
};

struct server;

/* Listens; `units` are borrowed and may change between polls. */
MUST_CHECK int server_open(const struct endpoint *listen, struct server_unit *units,
                           size_t unit_count, struct server **ret_server, struct message *message);
void server_close(struct server *server);

/* The port it listens on. */
uint16_t server_port(const struct server *server);

/* An epoll descriptor, readable when server_step has something to do. */
int server_fd(const struct server *server);

/* Accepts and answers what waits; returns how many requests it answered. */
size_t server_step(struct server *server);

#endif
