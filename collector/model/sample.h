/* One reading of one point: plain data, copied freely, holds no pointers. */
#ifndef MODEL_SAMPLE_H
#define MODEL_SAMPLE_H

#include "model/quality.h"

#include <stdint.h>

enum value_kind {
    VALUE_NONE, /* there is none: bad, or stale */
    VALUE_DOUBLE,
    VALUE_FLOAT, /* a float32 register: `number` holds it exactly; prints its own shortest form */
    VALUE_TEXT,  /* text, and whole numbers beyond 2^53, which a double would round */
};

#define VALUE_TEXT_SIZE 40

struct value {
    enum value_kind kind;
    double number;              /* finite; 0 where there is none */
    char text[VALUE_TEXT_SIZE]; /* NUL-terminated UTF-8, for VALUE_TEXT */
};

#define SAMPLE_RAW_WORDS 4

struct sample {
    uint32_t point; /* index into the table of points of whoever hands it on */
    uint32_t held;  /* readings of the point before this one that were held back as unchanged */
    int64_t t_ms;   /* source time, UTC */
    enum quality quality;
    enum cause cause;
    struct value value;
    uint16_t raw[SAMPLE_RAW_WORDS]; /* the registers as they were read, where that is wanted */
    uint8_t raw_count;              /* 0: not wanted, not read, or more than fit */
};

/* A point as a birth tells it: what a reader needs to know to keep, judge and show it. */
struct point_info {
    char id[128];  /* site.name.point, unique in the county */
    char name[64]; /* for people */
    char unit[24];
    char type[16]; /* of the register: float32, uint16, bit … */
    char site[65];
    char map[17];    /* version of its register map: 16 hex digits of SHA-256 */
    char class_[12]; /* safety, compliance, trend */
    int64_t interval_ms;
};

#endif
