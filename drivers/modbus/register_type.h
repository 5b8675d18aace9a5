/*
 * One register of an instrument: where it is, what its bytes mean. Plain data; what it points to is
 * its register map's.
 */
#ifndef DRIVERS_MODBUS_REGISTER_TYPE_H
#define DRIVERS_MODBUS_REGISTER_TYPE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REGISTER_MAX_SENTINELS 4
#define REGISTER_TEXT_MAX      39 /* bytes: what a struct value holds */

enum register_type {
    REGISTER_BIT,   /* a coil or a discrete input: functions 1 and 2 */
    REGISTER_BITS,  /* a word of bits, or one of them */
    REGISTER_UINT,  /* uint8 is the first byte of its register on the wire, or with BA the second */
    REGISTER_INT,   /* two's complement */
    REGISTER_FLOAT, /* IEEE 754 */
    REGISTER_BCD,   /* packed, two digits a byte, unsigned */
    REGISTER_TEXT,
    REGISTER_TIME, /* six bytes of a device's clock, whose meaning differs: shown as hex digits */
};

#define REGISTER_WHOLE_WORD (-1)

struct map_register {
    char name[65];
    char unit[24];
    char type_name[16]; /* as the map writes it: float32, uint16, bit … */
    enum register_type type;
    uint8_t function; /* 1..4 */
    uint16_t address; /* 0-based */
    uint8_t words;    /* registers, or for REGISTER_BIT 1 */
    uint8_t bytes;    /* of the raw value: 1, 2, 4, 6, 8; of a text its length */
    int8_t bit;       /* REGISTER_BITS: 0 (least significant) to 15, or REGISTER_WHOLE_WORD */
    uint8_t order[8]; /* of the i-th byte on the wire: its place, 0 the most significant */
    double scale;
    double divisor; /* 1 / scale where that is whole, else 0: dividing by it rounds only once */
    double offset;
    bool exact; /* scale 1 and offset 0: the raw value is the value */
    bool has_min, has_max;
    double min, max; /* physically possible, in units */
    uint8_t sentinel_count;
    uint64_t sentinels[REGISTER_MAX_SENTINELS]; /* raw values that mean "no measurement" */
    bool writable;                              /* access rw: told, never used */
    const char *description;
    size_t line;
};

/* Sets type, width and order by their names, scale 1, offset 0: for one who tries decodings. An
 * empty order is AB, or for texts the order on the wire; longer numbers must tell theirs. The
 * message says what would have been right. */
MUST_CHECK int map_register_init(struct map_register *reg, const char *type, const char *word_order,
                                 struct message *message);

/* Reads a raw value: a number of the register's own type before any scale, or its bits as 0x and
 * hex digits, two for each byte. ERR_INVALID or ERR_RANGE. */
MUST_CHECK int map_register_parse_raw(const struct map_register *reg, const char *text,
                                      uint64_t *ret_raw);

#endif
