/* Any bytes on an RTU line: what is taken for the reply has the unit, the function, the length and
 * a true CRC, wherever it stands and however the bytes are cut; the rest is counted once, to the
 * last byte. */
#include "drivers/modbus/frame.h"
#include "drivers/modbus/rtu_wire.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t seen_bytes;

static void see(void *self, const uint8_t *frame, size_t size)
{
    (void)self;
    if (size > RTU_FRAME_MAX + 4 || rtu_crc(frame, size) != 0)
        abort();
    seen_bytes += size;
}

static void check_found(const uint8_t *bytes, size_t len, const struct modbus_request *request,
                        const struct frame *frame)
{
    const uint8_t *at = bytes + frame->at;
    if (frame->at + frame->size > len || rtu_crc(at, frame->size) != 0 || at[0] != request->unit)
        abort();
    if (frame->kind == FRAME_EXCEPTION &&
        (at[1] != (request->function | 0x80) || frame->size != 5 || frame->exception != at[2]))
        abort();
    if (frame->kind == FRAME_REPLY &&
        (at[1] != request->function || frame->len != frame_data_size(request) ||
         frame->data != at + 3 || frame->size != frame->len + 5))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t first = size > 0 ? data[0] : 0;
    const uint8_t *bytes = data + (size > 0);
    size_t len = size > 0 ? size - 1 : 0;
    struct modbus_request request = {
        .unit = 1, .function = first % 4u + 1, .start = 0x0300, .count = first / 4u + 1};
    struct frame frame = {.kind = FRAME_PART};
    struct frame_litter litter = {0};

    len = len < 512 ? len : 512;
    for (size_t cut = 0; cut <= len && frame.kind == FRAME_PART; cut++)
        frame_find_rtu(bytes, cut, &request, &frame);
    if (frame.kind == FRAME_REPLY || frame.kind == FRAME_EXCEPTION)
        check_found(bytes, len, &request, &frame);
    else if (frame.kind != FRAME_PART)
        abort();
    seen_bytes = 0;
    frame_sort_litter(bytes, len, &request, bytes, first % 5u < len ? first % 5u : 0, see, NULL,
                      &litter);
    size_t beats = (size_t)litter.heartbeats * (first % 5u);
    if (seen_bytes + 8 * (size_t)litter.echoes + beats + (size_t)litter.noise != len)
        abort();
    return 0;
}
