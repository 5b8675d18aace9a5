/*
 * How far a value can be trusted, and why not further. Travels with each value, never apart.
 * On the wire: quality x 256 + cause; the causes are named in each birth, so that numbers may be
 * added at the end here and never change.
 */
#ifndef MODEL_QUALITY_H
#define MODEL_QUALITY_H

#include <stdint.h>

enum quality { QUALITY_GOOD, QUALITY_UNCERTAIN, QUALITY_BAD, QUALITY_STALE, QUALITY_COUNT };

enum cause {
    CAUSE_NONE,
    CAUSE_COMM_TIMEOUT,     /* no answer in time */
    CAUSE_MODBUS_EXCEPTION, /* the device refused the read */
    CAUSE_BAD_RESPONSE,     /* it answered something else than was asked */
    CAUSE_LINK_DOWN,        /* no connection to the device or its gateway */
    CAUSE_OUT_OF_RANGE,
    CAUSE_SENSOR_FAULT,
    CAUSE_NOT_A_NUMBER,
    CAUSE_FLAT_LINE,
    CAUSE_SUBSTITUTED,
    CAUSE_MAINTENANCE,
    CAUSE_CALIBRATION,
    CAUSE_CLOCK,
    CAUSE_ROLLOVER,       /* a totaliser was full and began at zero again */
    CAUSE_METER_SWAP,     /* a totaliser shows another count: the meter was changed, or set back */
    CAUSE_RATE_OF_CHANGE, /* it moved faster than the process can */
    CAUSE_CROSS_CHECK,    /* other readings contradict it */
    CAUSE_COUNT,
};

/* "good", "comm_timeout" …; "unknown" beyond the enum. */
const char *quality_name(enum quality quality);
const char *cause_name(enum cause cause);

/* The value of that name, or QUALITY_COUNT / CAUSE_COUNT. */
enum quality quality_from_name(const char *name);
enum cause cause_from_name(const char *name);

static inline uint16_t quality_pack(enum quality quality, enum cause cause)
{
    return (uint16_t)((unsigned)quality * 256u + (unsigned)cause);
}

#endif
