/*
 * The last frames of a link, for whoever looks for what goes wrong on a line: what was sent, what
 * came and was a reply, what came and was none. Bounded: new ones take the place of the oldest.
 * Plain data, pure, one thread.
 */
#ifndef DRIVERS_MODBUS_FRAME_RING_H
#define DRIVERS_MODBUS_FRAME_RING_H

#include <stddef.h>
#include <stdint.h>

#define FRAME_RING_BYTES 2048 /* a longest exchange seven times, or a short one sixty times */
#define FRAME_NOTE_MAX   260  /* bytes of one; what is longer is cut */

enum frame_note_kind {
    FRAME_SENT,
    FRAME_TAKEN,   /* a reply, with data or an exception */
    FRAME_REFUSED, /* foreign, late, misfitting or no frame at all */
    FRAME_MISSED,  /* no bytes: the time for a reply was over */
};

struct frame_note {
    int64_t at_us; /* monotonic */
    enum frame_note_kind kind;
    size_t len;
    uint8_t bytes[FRAME_NOTE_MAX];
};

struct frame_ring {
    uint8_t bytes[FRAME_RING_BYTES];
    size_t head, used; /* the oldest begins at `head` */
};

void frame_ring_add(struct frame_ring *ring, int64_t at_us, enum frame_note_kind kind,
                    const uint8_t *bytes, size_t len);

/* Copies the newest `room` of them, the oldest first; tells how many. */
size_t frame_ring_copy(const struct frame_ring *ring, struct frame_note *ret_notes, size_t room);

#endif
