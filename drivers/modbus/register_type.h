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
    REGISTER_BITS,  /* a word of bits, or some of them that lie side by side */
    REGISTER_UINT,  /* uint8 is the first byte of its register on the wire, or with BA the second */
    REGISTER_INT,   /* two's complement */
    REGISTER_FLOAT, /* IEEE 754 */
    REGISTER_BCD,   /* packed, two digits a byte, unsigned */
    REGISTER_TEXT,
    REGISTER_BYTES,    /* a device's clock whose order the map does not tell: shown as hex digits */
    REGISTER_TIME,     /* year, month, day, hour, minute, second: a byte or a register each */
    REGISTER_TIME_BCD, /* the same in two packed digits each */
};

/* Year, month, day, hour, minute and second of a packed time. */
#define REGISTER_TIME_FIELDS 6

/* What a number stands for. */
struct register_word {
    int64_t number;
    const char *text; /* `len` bytes of UTF-8, without NUL */
    uint8_t len;
};

struct map_register {
    char name[65];
    char unit[24];
    char type_name[16]; /* as the map writes it: float32, uint16, bit … */
    enum register_type type;
    uint8_t function; /* 1..4 */
    uint16_t address; /* 0-based */
    uint8_t words;    /* registers, or for REGISTER_BIT 1 */
    uint8_t bytes;    /* of the raw value: 1, 2, 4, 6, 8; of a text or a time its length */
    uint8_t low_bit;  /* REGISTER_BITS: its lowest, 0 the least significant of the word */
    uint8_t bits;     /* REGISTER_BITS: how many; all of the word, or a field of it */
    uint8_t order[8]; /* of the i-th byte on the wire: its place, 0 the most significant; of a
                       * packed time's i-th part: which it is, 0 the year, 5 the second */
    double scale;
    double divisor; /* 1 / scale where that is whole, else 0: dividing by it rounds only once */
    double offset;
    bool exact; /* scale 1 and offset 0: the raw value is the value */
    bool has_min, has_max;
    double min, max; /* physically possible, in units */
    uint8_t sentinel_count;
    uint64_t sentinels[REGISTER_MAX_SENTINELS]; /* raw values that mean "no measurement" */
    const struct register_word *enum_words;     /* sorted by number; an enumeration's */
    uint8_t enum_count;                         /* 0: it is a number */
    double modulus;   /* a totaliser begins at zero again after so many counts; 0: it is none */
    bool running;     /* what is wanted of the totaliser is the total over roll-over and swap */
    bool writable;    /* access rw: told, never used */
    const char *view; /* the row of which this is another look, at registers of another width */
    const char *description; /* for people, in the map's words */
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

/* The greatest raw value of a type of whole numbers, or the greatest int64. */
int64_t map_register_most(const struct map_register *reg);

/* Does it hold a number, be it a single bit? Texts and times do not. */
static inline bool map_register_is_number(const struct map_register *reg)
{
    return reg->type < REGISTER_TEXT;
}

/* A raw number in units: raw x scale + offset. */
static inline double map_register_scaled(const struct map_register *reg, double raw)
{
    bool divides = reg->divisor > 0 || reg->divisor < 0;
    return (divides ? raw / reg->divisor : raw * reg->scale) + reg->offset;
}

#endif
