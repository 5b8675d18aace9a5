/*
 * Where instruments are, as it is written in one line:
 *
 *   tcp://10.0.0.5:502                                   Modbus TCP
 *   rtu:///dev/ttyS1?baud=9600&parity=E&stop=1&rs485=yes a serial line
 *   rtu+tcp://10.0.0.6:4001?baud=9600                    a serial server: RTU over TCP
 *   dtu://0.0.0.0:6000?register=DTU0001&heartbeat=HB     a DTU that calls us, RTU over its call
 *
 * Of rtu+tcp and dtu, `baud` and what goes with it tell how fast the wire behind them is; where
 * that is not said, no time is allowed for it. `register` is what a DTU says first, `heartbeat`
 * what it says in between: text, where %HH is any byte, or pure hex as register_hex, heartbeat_hex.
 *
 * Plain data, pure.
 */
#ifndef MODEL_LINK_URL_H
#define MODEL_LINK_URL_H

#include "base/attributes.h"
#include "base/error.h"
#include "base/sockets.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINK_BAUD_MIN       50
#define LINK_BAUD_MAX       4000000
#define LINK_DEVICE_SIZE    96
#define LINK_BYTES_MAX      64
#define LINK_BYTES_TEXT_MAX (3 * LINK_BYTES_MAX + 1)

enum link_kind { LINK_TCP, LINK_RTU, LINK_RTU_TCP, LINK_DTU };

struct link_bytes {
    uint8_t bytes[LINK_BYTES_MAX];
    size_t len;
};

struct link_url {
    enum link_kind kind;
    struct endpoint endpoint;      /* to connect to, or of a DTU to listen on; none of LINK_RTU */
    char device[LINK_DEVICE_SIZE]; /* of LINK_RTU: "/dev/ttyS1" */
    unsigned baud;                 /* of the wire, bit/s; 0: not known, never of LINK_RTU */
    char parity;                   /* 'N', 'E', 'O' */
    unsigned stop;                 /* stop bits, 1 or 2 */
    bool rs485;                    /* the kernel switches the line's direction */
    struct link_bytes registration, heartbeat; /* of LINK_DTU */
};

/* ERR_INVALID, and what was expected. The message does not repeat the whole text. */
MUST_CHECK int link_url_parse(const char *text, struct link_url *ret_url, struct message *message);

/* Bits of a character on its wire, start and stop bits included: 10 to 12. */
unsigned link_url_character_bits(const struct link_url *url);

/* As text that reads back as the same bytes: printable ASCII as it is, the rest as %HH. */
void link_bytes_print(const uint8_t *bytes, size_t len, char ret_text[LINK_BYTES_TEXT_MAX]);

#endif
