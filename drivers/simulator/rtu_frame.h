/*
 * Modbus RTU requests out of a stream of bytes.
 *
 * RTU ends a frame by silence alone, and a pseudo-terminal keeps no time. So the length follows
 * from the function where it is known (1..6, 15, 16, 22, 23), and from silence where it is not.
 * After garbage the receiver drops byte by byte until a frame with a true CRC begins, or until
 * there has been silence. Nothing it holds grows: at most one frame of the greatest size waits.
 *
 * Plain data, pure, one thread. Source: MODBUS over Serial Line V1.02, 2.5.1 and 6.2.2.
 */
#ifndef DRIVERS_SIMULATOR_RTU_FRAME_H
#define DRIVERS_SIMULATOR_RTU_FRAME_H

#include "base/attributes.h"
#include "base/error.h"
#include "drivers/modbus/rtu_wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The size of the request that begins so, from unit to CRC. 0: too few bytes to tell;
 * ERR_NOT_FOUND: a function whose requests are of no known length. Beyond RTU_FRAME_MAX (at most
 * 268) where the byte count is one that no frame has. */
int rtu_request_size(const uint8_t *bytes, size_t len);

struct rtu_receiver {
    uint8_t bytes[RTU_FRAME_MAX];
    size_t len;
    int64_t silence_us; /* ends a frame */
    int64_t heard_us;   /* when the last byte came */
    bool astray;        /* what came since the last frame or silence began with garbage */
    uint64_t errors;    /* how often it went astray: wrong CRCs, cut frames, noise */
};

void rtu_receiver_init(struct rtu_receiver *receiver, int64_t silence_us);

/* Takes what came, as much as there is room for, and tells how much. There is room for at least
 * one byte whenever rtu_receiver_take has returned 0. */
size_t rtu_receiver_put(struct rtu_receiver *receiver, const uint8_t *bytes, size_t count,
                        int64_t now_us);

/* The size of the next whole frame with a true CRC, which is moved to `ret_frame`; 0: none yet. To
 * be called until it says 0, after each put and when it is due. */
MUST_CHECK size_t rtu_receiver_take(struct rtu_receiver *receiver, int64_t now_us,
                                    uint8_t ret_frame[RTU_FRAME_MAX]);

/* When silence will have ended what waits; NEVER while nothing does. */
int64_t rtu_receiver_due(const struct rtu_receiver *receiver);

#endif
