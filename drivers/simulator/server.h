/*
 * Modbus servers for the simulator: a TCP port with many clients, or a pseudo-terminal that stands
 * for a serial line (RTU), each with several units told apart by the request. Nothing here blocks
 * or sleeps: a reply that is not yet due waits until a step at its time. One thread.
 *
 * As in the field, TCP answers for a unit it does not have with exception 11; on a serial line
 * nobody answers then, nor to a wrong CRC, nor to a broadcast (unit 0), which all living units
 * obey.
 *
 * A serial line with a speed paces: a reply leaves, whole, when its last character would have left:
 * the request's characters (11 bits each: 8E1, 8N2), the silence of 3.5 characters, and the
 * reply's, after the request was read, and the unit's latency. Until then the line hears nothing.
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
#define SERVER_BAUD_MIN  300
#define SERVER_BAUD_MAX  4000000

/* Where it listens: on the pseudo-terminal to which the link at `pty` leads (see pty.h; Modbus
 * RTU), or, where that is NULL, on the endpoint (Modbus TCP). */
struct server_listen {
    const char *pty; /* borrowed for the call */
    unsigned baud;   /* of a pty: SERVER_BAUD_MIN .. _MAX bit/s, or 0: as fast as possible */
    struct endpoint endpoint;
    int64_t latency_us; /* how long a unit thinks before it answers */
    uint64_t seed;      /* of its noise */
};

/* What a unit's memory is while a request is answered. */
struct server_unit {
    int unit;            /* 1..247 */
    bool dead;           /* does not answer */
    bool exception;      /* answers with exception 4, device failure */
    uint16_t *registers; /* SERVER_REGISTERS: holding and input registers alike */
    uint8_t *bits;       /* SERVER_REGISTERS: coils and discrete inputs alike */
    uint64_t requests;   /* answered */

    /* What is written need not arrive. So a unit is told of each read (functions 1..4) whose values
     * have been written whole and in time, not of exceptions, nor of what noise took, cut or held
     * back; and before each request that its link hears, to whatever unit, is answered: whoever
     * asks again over the same connection has got its answers. Connections are numbered and no
     * number comes again; a serial line is one connection for ever. From within server_step, which
     * they may not call. Either may be NULL. */
    void (*on_read)(void *self, uint64_t connection, uint8_t function, uint16_t start,
                    uint16_t count);
    void (*on_request)(void *self, uint64_t connection);
    void *self;
};

/* Each whole request ends as a reply, garbled or lost, unless it is unheard, a broadcast, or to a
 * unit that is dead or, on a serial line, foreign. */
struct server_stats {
    uint64_t requests;     /* whole ones */
    uint64_t replies;      /* written whole */
    uint64_t late;         /* of those, held back by noise */
    uint64_t garbled;      /* written cut or flipped */
    uint64_t lost;         /* not written: noise, a client that had gone, or too many waiting */
    uint64_t foreign;      /* requests to units that are not here */
    uint64_t unheard;      /* requests while the serial line was busy with a reply */
    uint64_t crc_errors;   /* on the serial line: stretches of bytes that were no request */
    uint64_t refused;      /* TCP clients sent away: there were too many */
    uint64_t kept_waiting; /* how often no descriptor was left for a TCP client */
};

struct server;

/* Listens; `units` are borrowed and may change between steps. ERR_RANGE for another baud rate. */
MUST_CHECK int server_open(const struct server_listen *listen, struct server_unit *units,
                           size_t unit_count, struct server **ret_server, struct message *message);
void server_close(struct server *server);

/* The port it listens on; 0 for a pseudo-terminal. */
uint16_t server_port(const struct server *server);

/* From now on a reply is spoilt with this probability, 0..1: see reply_noise.h. */
void server_set_noise(struct server *server, double probability);

/* An epoll descriptor, readable when server_step has something to do. */
int server_fd(const struct server *server);

/* When server_step has something to do whatever comes: monotonic µs, NEVER for nothing. */
int64_t server_due(const struct server *server);

/* Accepts, answers and sends what is there to be, at monotonic time `now_us`. */
void server_step(struct server *server, int64_t now_us);

void server_stats(const struct server *server, struct server_stats *ret_stats);

#endif
