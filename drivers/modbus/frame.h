/*
 * Modbus frames on their way: requests as bytes, and which of the bytes that came are the reply.
 *
 * Nothing is believed that does not fit what was asked: unit, function, length, and with TCP the
 * protocol and the transaction, with RTU the checksum. Only functions 1 to 4, which read, can be
 * asked.
 *
 * TCP tells each frame's length, so a stream is judged frame by frame from its beginning. On a
 * serial line anything may stand before the reply: noise, an echo of the request, a DTU's
 * heartbeat, another unit's late words. So the reply is looked for wherever it may begin, and what
 * stands before it is counted afterwards.
 *
 * Pure, plain data.
 */
#ifndef DRIVERS_MODBUS_FRAME_H
#define DRIVERS_MODBUS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_MAX         260 /* of TCP; RTU's are shorter */
#define FRAME_REQUEST_MAX 12

struct modbus_request {
    uint8_t unit;
    uint8_t function; /* 1..4 */
    uint16_t start;
    uint16_t count;
};

/* Is it one of functions 1 to 4? */
bool frame_is_read(const struct modbus_request *request);

/* How many bytes of data answer it. */
size_t frame_data_size(const struct modbus_request *request);

/* Both tell the size. */
size_t frame_write_tcp(const struct modbus_request *request, uint16_t transaction,
                       uint8_t ret_frame[FRAME_REQUEST_MAX]);
size_t frame_write_rtu(const struct modbus_request *request, uint8_t ret_frame[FRAME_REQUEST_MAX]);

/* The size of an RTU reply with its data. */
size_t frame_rtu_reply_size(const struct modbus_request *request);

enum frame_kind {
    FRAME_PART,      /* more must come; with RTU: no reply yet */
    FRAME_REPLY,     /* with data */
    FRAME_EXCEPTION, /* the unit, or a gateway for it, refused */
    FRAME_MISFIT,    /* from whom was asked, but no reply to this request */
    FRAME_FOREIGN,   /* whole, and from nobody who was asked */
    FRAME_GARBAGE,   /* no Modbus: nothing behind can be trusted */
};

struct frame {
    enum frame_kind kind;
    size_t at;           /* where it begins */
    size_t size;         /* of the whole frame; FRAME_PART: how many bytes are wanted at least */
    const uint8_t *data; /* FRAME_REPLY: registers or packed bits, within the bytes given */
    size_t len;          /* FRAME_REPLY: just what was asked for */
    uint8_t exception;   /* FRAME_EXCEPTION */
    const char *what;    /* FRAME_MISFIT, FRAME_GARBAGE: what is wrong, before `number` */
    unsigned number;
};

/* The frame that a TCP stream begins with. `request` NULL: nothing was asked. */
void frame_judge_tcp(const uint8_t *bytes, size_t len, const struct modbus_request *request,
                     uint16_t transaction, struct frame *ret_frame);

/* The reply in what came over a serial line since the request: FRAME_REPLY or FRAME_EXCEPTION, the
 * first there is, else FRAME_PART. */
void frame_find_rtu(const uint8_t *bytes, size_t len, const struct modbus_request *request,
                    struct frame *ret_frame);

/* What came over a serial line and is no reply. */
struct frame_litter {
    uint64_t foreign;    /* whole frames of other units, or of anybody when nobody was asked */
    uint64_t misfits;    /* whole frames of the unit asked, not fitting the request */
    uint64_t echoes;     /* our request, heard again */
    uint64_t heartbeats; /* of a DTU */
    uint64_t noise;      /* bytes that are nothing */
};

/* A frame found in litter, whose CRC is true. */
typedef void frame_seen(void *self, const uint8_t *frame, size_t size);

/* Counts what stands in the bytes, adding to *litter; `request` NULL: nothing was asked, `beat` of
 * `beat_len` bytes: a heartbeat, 0: there is none. `seen` (may be NULL) hears of each whole frame
 * but echoes. */
void frame_sort_litter(const uint8_t *bytes, size_t len, const struct modbus_request *request,
                       const uint8_t *beat, size_t beat_len, frame_seen *seen, void *self,
                       struct frame_litter *litter);

#endif
