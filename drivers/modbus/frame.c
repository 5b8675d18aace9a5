#include "drivers/modbus/frame.h"

#include "drivers/modbus/rtu_wire.h"

#include <string.h>

/* TCP: transaction, protocol, length, unit; the length counts from LENGTH_END. */
#define HEADER_SIZE   7
#define LENGTH_END    6
#define SHORTEST_REST 3 /* unit, function, one byte */
#define TCP_REQUEST   12

/* RTU: unit, function, data, CRC. */
#define RTU_REQUEST   8
#define RTU_HEAD      3 /* unit, function, byte count */
#define RTU_EXCEPTION 5

#define FUNCTION_COILS           1
#define FUNCTION_DISCRETE_INPUTS 2
#define FUNCTION_INPUT_REGISTERS 4
#define EXCEPTION_BIT            0x80

static uint16_t word_at(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static void put_word(uint8_t *bytes, uint16_t word)
{
    bytes[0] = (uint8_t)(word >> 8);
    bytes[1] = (uint8_t)word;
}

bool frame_is_read(const struct modbus_request *request)
{
    return request->function >= FUNCTION_COILS && request->function <= FUNCTION_INPUT_REGISTERS;
}

size_t frame_data_size(const struct modbus_request *request)
{
    return request->function <= FUNCTION_DISCRETE_INPUTS ? (request->count + 7u) / 8
                                                         : 2u * request->count;
}

size_t frame_rtu_reply_size(const struct modbus_request *request)
{
    return RTU_HEAD + frame_data_size(request) + RTU_CRC_SIZE;
}

/* Unit, function, start, count: the same in both. */
static void put_request(const struct modbus_request *request, uint8_t *bytes)
{
    bytes[0] = request->unit;
    bytes[1] = request->function;
    put_word(bytes + 2, request->start);
    put_word(bytes + 4, request->count);
}

size_t frame_write_tcp(const struct modbus_request *request, uint16_t transaction,
                       uint8_t ret_frame[FRAME_REQUEST_MAX])
{
    put_word(ret_frame, transaction);
    put_word(ret_frame + 2, 0);
    put_word(ret_frame + 4, TCP_REQUEST - LENGTH_END);
    put_request(request, ret_frame + LENGTH_END);
    return TCP_REQUEST;
}

size_t frame_write_rtu(const struct modbus_request *request, uint8_t ret_frame[FRAME_REQUEST_MAX])
{
    put_request(request, ret_frame);
    uint16_t crc = rtu_crc(ret_frame, RTU_REQUEST - RTU_CRC_SIZE);
    ret_frame[RTU_REQUEST - 2] = (uint8_t)crc;
    ret_frame[RTU_REQUEST - 1] = (uint8_t)(crc >> 8);
    return RTU_REQUEST;
}

/* ---- TCP ---- */

static void misfit(struct frame *frame, const char *what, size_t number)
{
    frame->kind = FRAME_MISFIT;
    frame->what = what;
    frame->number = (unsigned)number;
}

/* A whole frame from whom was asked: is it the reply? */
static void judge_ours(const uint8_t *bytes, const struct modbus_request *request,
                       struct frame *frame)
{
    uint8_t function = bytes[HEADER_SIZE];
    size_t wanted = frame_data_size(request);

    if (function == (request->function | EXCEPTION_BIT) && frame->size == HEADER_SIZE + 2) {
        frame->kind = FRAME_EXCEPTION;
        frame->exception = bytes[HEADER_SIZE + 1];
    } else if (function == (request->function | EXCEPTION_BIT)) {
        misfit(frame, "an exception of bytes", frame->size);
    } else if (function != request->function) {
        misfit(frame, "function", function);
    } else if (bytes[HEADER_SIZE + 1] != wanted) {
        misfit(frame, "bytes", bytes[HEADER_SIZE + 1]);
    } else if (frame->size != HEADER_SIZE + 2 + wanted) {
        misfit(frame, "a frame of bytes", frame->size);
    } else {
        frame->kind = FRAME_REPLY;
        frame->data = bytes + HEADER_SIZE + 2;
        frame->len = wanted;
    }
}

void frame_judge_tcp(const uint8_t *bytes, size_t len, const struct modbus_request *request,
                     uint16_t transaction, struct frame *ret_frame)
{
    struct frame frame = {.kind = FRAME_PART, .size = HEADER_SIZE + 2};

    if (len >= LENGTH_END) {
        frame.size = LENGTH_END + (size_t)word_at(bytes + 4);
        if (word_at(bytes + 2) != 0) {
            frame.kind = FRAME_GARBAGE;
            frame.what = "protocol";
            frame.number = word_at(bytes + 2);
        } else if (frame.size < LENGTH_END + SHORTEST_REST || frame.size > FRAME_MAX) {
            frame.kind = FRAME_GARBAGE;
            frame.what = "a frame of length";
            frame.number = word_at(bytes + 4);
        } else if (len >= frame.size) {
            frame.kind = FRAME_FOREIGN;
            if (request != NULL && word_at(bytes) == transaction &&
                bytes[HEADER_SIZE - 1] == request->unit)
                judge_ours(bytes, request, &frame);
        }
    }
    *ret_frame = frame;
}

/* ---- RTU ---- */

static bool is_echo(const uint8_t *bytes, size_t len, const struct modbus_request *request)
{
    uint8_t own[FRAME_REQUEST_MAX];
    if (request == NULL || len < RTU_REQUEST || bytes[0] != request->unit ||
        bytes[1] != request->function)
        return false;
    frame_write_rtu(request, own);
    return memcmp(bytes, own, RTU_REQUEST) == 0;
}

/* The size of the reply that begins here; 0: none does, as far as can be seen. */
static size_t reply_size(const uint8_t *bytes, size_t len, const struct modbus_request *request)
{
    if (bytes[0] != request->unit)
        return 0;
    if (len < 2 || bytes[1] == (request->function | EXCEPTION_BIT))
        return RTU_EXCEPTION;
    if (bytes[1] != request->function || (len >= RTU_HEAD && bytes[2] != frame_data_size(request)))
        return 0;
    return frame_rtu_reply_size(request);
}

void frame_find_rtu(const uint8_t *bytes, size_t len, const struct modbus_request *request,
                    struct frame *ret_frame)
{
    struct frame frame = {.kind = FRAME_PART, .at = len, .size = RTU_EXCEPTION};

    for (size_t at = 0; at < len; at++) {
        if (is_echo(bytes + at, len - at, request)) {
            at += RTU_REQUEST - 1;
            continue;
        }
        size_t size = reply_size(bytes + at, len - at, request);
        if (size == 0)
            continue;
        if (size > len - at) {
            if (frame.at == len)
                frame.at = at, frame.size = size;
        } else if (rtu_crc(bytes + at, size) == 0) {
            frame.at = at;
            frame.size = size;
            frame.kind = bytes[at + 1] & EXCEPTION_BIT ? FRAME_EXCEPTION : FRAME_REPLY;
            if (frame.kind == FRAME_EXCEPTION) {
                frame.exception = bytes[at + 2];
            } else {
                frame.data = bytes + at + RTU_HEAD;
                frame.len = frame_data_size(request);
            }
            break;
        }
    }
    *ret_frame = frame;
}

/* The size of the whole frame with a true CRC that begins here, a reply or a request; 0: none. */
static size_t any_frame_size(const uint8_t *bytes, size_t len)
{
    static const uint8_t fixed[] = {RTU_REQUEST, RTU_EXCEPTION};
    if (len < RTU_EXCEPTION)
        return 0;
    size_t counted = (size_t)RTU_HEAD + bytes[2] + RTU_CRC_SIZE;
    if (counted <= len && rtu_crc(bytes, counted) == 0)
        return counted;
    for (size_t i = 0; i < sizeof(fixed); i++)
        if (fixed[i] <= len && rtu_crc(bytes, fixed[i]) == 0)
            return fixed[i];
    return 0;
}

void frame_sort_litter(const uint8_t *bytes, size_t len, const struct modbus_request *request,
                       const uint8_t *beat, size_t beat_len, frame_seen *seen, void *self,
                       struct frame_litter *litter)
{
    for (size_t at = 0; at < len;) {
        const uint8_t *here = bytes + at;
        size_t size = any_frame_size(here, len - at);
        if (is_echo(here, len - at, request)) {
            litter->echoes++;
        } else if (size > 0) {
            bool asked = request != NULL && here[0] == request->unit;
            litter->misfits += asked;
            litter->foreign += !asked;
            if (seen != NULL)
                seen(self, here, size);
        } else if (beat_len > 0 && beat_len <= len - at && memcmp(here, beat, beat_len) == 0) {
            litter->heartbeats++;
            size = beat_len;
        } else {
            litter->noise++;
            size = 1;
        }
        at += size;
    }
}
