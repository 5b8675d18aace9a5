#include "edge/outlook.h"

#include "base/clock.h"

#include <string.h>

#define MARK_US  (60 * (int64_t)US_PER_S)
#define LEAST_US (10 * (int64_t)US_PER_S)
#define HOUR_S   3600.0
#define UNKNOWN  (-1.0)

int64_t outlook_note(struct outlook *outlook, int64_t now_us, uint64_t bytes)
{
    if (outlook->count && now_us < outlook->marks[0].at_us + MARK_US)
        return outlook->marks[0].at_us + MARK_US;
    memmove(&outlook->marks[1], &outlook->marks[0],
            (OUTLOOK_MARKS - 1) * sizeof(outlook->marks[0]));
    outlook->marks[0].at_us = now_us;
    outlook->marks[0].bytes = bytes;
    if (outlook->count < OUTLOOK_MARKS)
        outlook->count++;
    return now_us + MARK_US;
}

double outlook_rate(const struct outlook *outlook, int64_t now_us, uint64_t bytes)
{
    if (!outlook->count)
        return UNKNOWN;
    int64_t since_us = now_us - outlook->marks[outlook->count - 1].at_us;
    if (since_us < LEAST_US)
        return UNKNOWN;
    return (double)(bytes - outlook->marks[outlook->count - 1].bytes) * US_PER_S / (double)since_us;
}

double outlook_hours(uint64_t room, double bytes_per_s)
{
    return bytes_per_s > 0 ? (double)room / bytes_per_s / HOUR_S : UNKNOWN;
}
