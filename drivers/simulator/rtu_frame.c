#include "drivers/simulator/rtu_frame.h"

#include "base/clock.h"

#include <string.h>

#define SHORTEST 4 /* unit, function, CRC */

/* What is known of a request by its function: its size, CRC and all, without the data that a byte
 * count at `count_at` announces (0: there is none). */
static const struct form {
    uint8_t function;
    uint8_t size;
    uint8_t count_at;
} forms[] = {
    {1, 8, 0}, {2, 8, 0},  {3, 8, 0},  {4, 8, 0},   {5, 8, 0},
    {6, 8, 0}, {15, 9, 6}, {16, 9, 6}, {22, 10, 0}, {23, 13, 10},
};

int rtu_request_size(const uint8_t *bytes, size_t len)
{
    if (len < 2)
        return 0;
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        const struct form *form = &forms[i];
        if (form->function != bytes[1])
            continue;
        if (form->count_at == 0)
            return form->size;
        return len > form->count_at ? form->size + bytes[form->count_at] : 0;
    }
    return ERR_NOT_FOUND;
}

void rtu_receiver_init(struct rtu_receiver *receiver, int64_t silence_us)
{
    *receiver = (struct rtu_receiver){.silence_us = silence_us};
}

size_t rtu_receiver_put(struct rtu_receiver *receiver, const uint8_t *bytes, size_t count,
                        int64_t now_us)
{
    size_t room = sizeof(receiver->bytes) - receiver->len;
    if (count > room)
        count = room;
    memcpy(receiver->bytes + receiver->len, bytes, count);
    receiver->len += count;
    receiver->heard_us = now_us;
    return count;
}

static void remove_head(struct rtu_receiver *receiver, size_t count)
{
    receiver->len -= count;
    memmove(receiver->bytes, receiver->bytes + count, receiver->len);
}

enum head { HEAD_WAITS, HEAD_IS_FRAME, HEAD_IS_GARBAGE };

/* What is it that the bytes begin with? `ended`: nothing more can belong to them. A frame of
 * unknown length is all that stands between two silences; amid garbage there is no telling where it
 * began. */
static enum head judge_head(const struct rtu_receiver *receiver, bool ended, size_t *ret_size)
{
    int known = rtu_request_size(receiver->bytes, receiver->len);
    if (known > RTU_FRAME_MAX || (known < 0 && receiver->astray))
        return HEAD_IS_GARBAGE;
    bool whole = known > 0 && (size_t)known <= receiver->len;
    if (!whole && !ended)
        return HEAD_WAITS;
    size_t size = known > 0 ? (size_t)known : receiver->len;
    bool cut = !whole && known >= 0;
    if (cut || size < SHORTEST || rtu_crc(receiver->bytes, size) != 0)
        return HEAD_IS_GARBAGE;
    *ret_size = size;
    return HEAD_IS_FRAME;
}

size_t rtu_receiver_take(struct rtu_receiver *receiver, int64_t now_us,
                         uint8_t ret_frame[RTU_FRAME_MAX])
{
    bool silent = now_us - receiver->heard_us >= receiver->silence_us;
    while (receiver->len > 0) {
        size_t size = 0;
        bool ended = silent || receiver->len == RTU_FRAME_MAX;
        switch (judge_head(receiver, ended, &size)) {
        case HEAD_WAITS:
            return 0;
        case HEAD_IS_FRAME:
            memcpy(ret_frame, receiver->bytes, size);
            remove_head(receiver, size);
            receiver->astray = false;
            return size;
        case HEAD_IS_GARBAGE:
            receiver->errors += !receiver->astray;
            receiver->astray = true;
            remove_head(receiver, 1);
            break;
        }
    }
    if (silent)
        receiver->astray = false;
    return 0;
}

int64_t rtu_receiver_due(const struct rtu_receiver *receiver)
{
    return receiver->len > 0 ? receiver->heard_us + receiver->silence_us : NEVER;
}
