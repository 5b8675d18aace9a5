/*
 * What a unit on a serial line may still say of what it was asked before. RTU replies do not tell
 * to which request they belong; but one unit answers in the order it was asked. So:
 *
 *   A request that nobody answered is owed a reply. While one is owed, a frame that may be it is
 *   not believed. The debt ends when the frame comes, when a reply comes that can be no owed one,
 *   or when it is void: nothing came for so long that nothing will.
 *
 * A frame may be an owed reply when it has its function and size, or is an exception to its
 * function. So a read of another size tells at once that nothing older is still to come: a fence.
 *
 * A repeater may also say a reply twice. The last frame taken is remembered, and a frame like it
 * that comes soon after, where something else was asked, is suspect.
 *
 * Plain data of one unit, {0} at first; pure, told the time; one thread.
 */
#ifndef DRIVERS_MODBUS_GHOSTS_H
#define DRIVERS_MODBUS_GHOSTS_H

#include "drivers/modbus/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GHOSTS_OWED_MAX 8 /* beyond, the oldest is forgotten: minutes old by then */

struct owed_reply {
    int64_t sent_us; /* its request */
    int64_t void_us; /* owed no longer */
    uint8_t function;
    uint8_t bytes; /* of data */
};

struct unit_ghosts {
    int64_t quiet_until_us; /* better not asked before */
    int64_t worst_us;       /* how late it has been, from the request, of late */
    uint64_t late;          /* owed frames that came */
    unsigned calm;          /* replies since */
    uint8_t owed_count;
    struct owed_reply owed[GHOSTS_OWED_MAX]; /* the oldest first */

    int64_t taken_us; /* the last reply taken, and what it looked like */
    int64_t lag_us;   /* how long after it a second one like it came, at worst; 0: never */
    struct modbus_request taken;
    uint16_t taken_crc;
};

/* A request was not answered in time. `doubt_us`: a frame came that was not believed, and if it was
 * late, then by so much since its request; 0: none did. */
void ghosts_owe(struct unit_ghosts *unit, const struct modbus_request *request, int64_t sent_us,
                int64_t timeout_us, int64_t doubt_us, int64_t now_us);

/* Debts that are void are forgotten: before each request. */
void ghosts_forget(struct unit_ghosts *unit, int64_t now_us);

/* May this whole frame of the unit be an owed reply? */
bool ghosts_may_be(const struct unit_ghosts *unit, const uint8_t *frame, size_t size);

/* That frame came: what it may answer is owed no longer, nor what was asked before that. Returns
 * how long after the request; 0: it answers nothing owed. */
int64_t ghosts_pay(struct unit_ghosts *unit, const uint8_t *frame, size_t size, int64_t now_us);

/* It is sure that the unit was so late: it is left alone for longer. */
void ghosts_learn(struct unit_ghosts *unit, int64_t late_us, int64_t now_us);

/* A read of the same registers or bits, but fewer, whose reply can be no owed one. False when the
 * request needs none, or there is none. */
bool ghosts_fence(const struct unit_ghosts *unit, const struct modbus_request *request,
                  struct modbus_request *ret_fence);

/* A reply was believed. Units answer in order: nothing older is owed. */
void ghosts_answered(struct unit_ghosts *unit, const struct modbus_request *request,
                     const uint8_t *frame, size_t size, int64_t now_us);

/* When a request can leave without meeting a second copy of the last reply. */
int64_t ghosts_clear_us(const struct unit_ghosts *unit, const struct modbus_request *request);

/* Until when a frame, which answers the request, may be the last reply said twice; 0: it is not. */
int64_t ghosts_suspect_us(const struct unit_ghosts *unit, const struct modbus_request *request,
                          const uint8_t *frame, size_t size);

/* While nothing is owed a frame came: the last reply once more? True when it was. */
bool ghosts_repeated(struct unit_ghosts *unit, const uint8_t *frame, size_t size, int64_t now_us);

#endif
