/*
 * Design notes.
 *
 * Nothing but time can tell a late reply from a prompt one of the same form. So where a frame was
 * not believed and no fence is to be had, the unit is left alone for as long as that frame would
 * have been late, and some seconds more: if it was, the one behind it comes within that time. If
 * none comes, it was prompt, the older request was lost, and the debt is void. Such a doubtful
 * lateness is not learned, or each lost frame would double the wait for the next.
 */
#include "drivers/modbus/ghosts.h"

#include "base/clock.h"

#include <string.h>

#define QUIET_MIN_US ((int64_t)US_PER_S)
#define QUIET_MAX_US (120 * (int64_t)US_PER_S)

/* So much later than one reply the next may be. */
#define GROWTH_US (5 * (int64_t)US_PER_S)

/* Nothing is later than this, or than so many timeouts, or than twice the latest of late. */
#define VOID_US       (30 * (int64_t)US_PER_S)
#define VOID_TIMEOUTS 12

/* After so many replies without a late one the unit is trusted to be twice as quick. */
#define CALM_REPLIES 200

/* Repeaters and radio modems say a frame again within tens of ms. */
#define REPEAT_US (100 * (int64_t)US_PER_MS)

#define HEAD          3 /* unit, function, byte count */
#define EXCEPTION_BIT 0x80
#define CRC_SIZE      2

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- debts ---- */

/* The unit is left alone until then, and what it owes is owed at least so long. */
static void keep_quiet(struct unit_ghosts *unit, int64_t until_us)
{
    unit->quiet_until_us = larger(unit->quiet_until_us, until_us);
    for (size_t i = 0; i < unit->owed_count; i++)
        unit->owed[i].void_us = larger(unit->owed[i].void_us, until_us);
}

void ghosts_owe(struct unit_ghosts *unit, const struct modbus_request *request, int64_t sent_us,
                int64_t timeout_us, int64_t doubt_us, int64_t now_us)
{
    int64_t quiet_us = larger(QUIET_MIN_US, 2 * larger(timeout_us, unit->worst_us));
    int64_t longest_us = larger(larger(VOID_US, VOID_TIMEOUTS * timeout_us), 2 * unit->worst_us);

    if (unit->owed_count == GHOSTS_OWED_MAX)
        memmove(unit->owed, unit->owed + 1, --unit->owed_count * sizeof unit->owed[0]);
    unit->owed[unit->owed_count++] =
        (struct owed_reply){.sent_us = sent_us,
                            .void_us = sent_us + longest_us,
                            .function = request->function,
                            .bytes = (uint8_t)frame_data_size(request)};
    if (doubt_us > 0) {
        quiet_us = larger(quiet_us, sent_us + doubt_us + GROWTH_US - now_us);
        for (size_t i = 0; i < unit->owed_count; i++)
            unit->owed[i].void_us = now_us; /* when it was quiet so long */
    }
    keep_quiet(unit, now_us + smaller(quiet_us, QUIET_MAX_US));
}

void ghosts_forget(struct unit_ghosts *unit, int64_t now_us)
{
    while (unit->owed_count > 0 && now_us >= unit->owed[0].void_us)
        memmove(unit->owed, unit->owed + 1, --unit->owed_count * sizeof unit->owed[0]);
}

/* The oldest that it may be; `owed_count` for none. */
static size_t oldest_like(const struct unit_ghosts *unit, const uint8_t *frame, size_t size)
{
    size_t i = 0;

    while (i < unit->owed_count) {
        const struct owed_reply *owed = &unit->owed[i];
        if (frame[1] == (owed->function | EXCEPTION_BIT) ||
            (frame[1] == owed->function && size == (size_t)HEAD + owed->bytes + CRC_SIZE))
            break;
        i++;
    }
    return i;
}

bool ghosts_may_be(const struct unit_ghosts *unit, const uint8_t *frame, size_t size)
{
    return oldest_like(unit, frame, size) < unit->owed_count;
}

int64_t ghosts_pay(struct unit_ghosts *unit, const uint8_t *frame, size_t size, int64_t now_us)
{
    size_t i = oldest_like(unit, frame, size);
    int64_t late_us;

    if (i == unit->owed_count)
        return 0;
    late_us = larger(1, now_us - unit->owed[i].sent_us);
    unit->owed_count -= (uint8_t)(i + 1);
    memmove(unit->owed, unit->owed + i + 1, unit->owed_count * sizeof unit->owed[0]);
    return late_us;
}

void ghosts_learn(struct unit_ghosts *unit, int64_t late_us, int64_t now_us)
{
    unit->calm = 0;
    unit->late++;
    unit->worst_us = larger(unit->worst_us, late_us);
    if (unit->owed_count == 0)
        return;
    /* What is still to come may be as late again. */
    int64_t quiet_us = unit->owed[unit->owed_count - 1].sent_us + 2 * unit->worst_us - now_us;
    keep_quiet(unit, now_us + smaller(quiet_us, QUIET_MAX_US));
}

bool ghosts_fence(const struct unit_ghosts *unit, const struct modbus_request *request,
                  struct modbus_request *ret_fence)
{
    struct modbus_request fence = *request;

    for (; fence.count > 0; fence.count--) {
        size_t bytes = frame_data_size(&fence);
        size_t i = 0;
        while (i < unit->owed_count &&
               (unit->owed[i].function != fence.function || unit->owed[i].bytes != bytes))
            i++;
        if (i == unit->owed_count)
            break;
    }
    if (fence.count == 0 || fence.count == request->count)
        return false;
    *ret_fence = fence;
    return true;
}

/* ---- the last reply ---- */

static uint16_t crc_of(const uint8_t *frame, size_t size)
{
    return (uint16_t)(frame[size - 2] | frame[size - 1] << 8);
}

void ghosts_answered(struct unit_ghosts *unit, const struct modbus_request *request,
                     const uint8_t *frame, size_t size, int64_t now_us)
{
    unit->owed_count = 0;
    unit->taken = *request;
    unit->taken_crc = crc_of(frame, size);
    unit->taken_us = now_us;
    if (++unit->calm < CALM_REPLIES)
        return;
    unit->calm = 0;
    unit->worst_us /= 2;
    unit->lag_us /= 2;
}

/* Would the reply to the one do for the other, and tell something else? */
static bool is_alike(const struct modbus_request *a, const struct modbus_request *b)
{
    return a->function == b->function && frame_data_size(a) == frame_data_size(b) &&
           (a->start != b->start || a->count != b->count);
}

int64_t ghosts_clear_us(const struct unit_ghosts *unit, const struct modbus_request *request)
{
    return is_alike(&unit->taken, request) ? unit->taken_us + 2 * unit->lag_us : 0;
}

int64_t ghosts_suspect_us(const struct unit_ghosts *unit, const struct modbus_request *request,
                          const uint8_t *frame, size_t size)
{
    bool like = crc_of(frame, size) == unit->taken_crc && is_alike(&unit->taken, request);
    return like ? unit->taken_us + larger(REPEAT_US, 2 * unit->lag_us) : 0;
}

bool ghosts_repeated(struct unit_ghosts *unit, const uint8_t *frame, size_t size, int64_t now_us)
{
    if (unit->taken.function != frame[1] || crc_of(frame, size) != unit->taken_crc ||
        now_us > unit->taken_us + QUIET_MIN_US)
        return false;
    unit->calm = 0;
    unit->lag_us = larger(unit->lag_us, now_us - unit->taken_us);
    return true;
}
