/*
 * Time, real or virtual. Nothing below a thread's shell reads a clock: a step is handed `now`.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/attributes.h"

#include <stdbool.h>
#include <stdint.h>

/* One instant, read once. */
struct now {
    int64_t mono_us; /* monotonic since boot (CLOCK_BOOTTIME), microseconds: delays, deadlines */
    int64_t wall_ms; /* UTC, milliseconds since 1970: stamps */
    bool sync;       /* was the wall clock known to be in step with its reference? */
};

#define US_PER_MS 1000
#define US_PER_S  1000000
#define MS_PER_S  1000

/* Returned by a step that wants to run only when it is woken. */
#define NEVER INT64_MAX

struct clock {
    struct now (*read)(struct clock *clock);
};

/* The machine's clock. Shared, thread-safe. Whether it is in step is asked every 10 s. */
struct clock *clock_real(void);

/* A clock that stands still until told otherwise. Plain data, owned by one thread. */
struct virtual_clock {
    struct clock clock; /* first: a pointer to it is a pointer to this */
    struct now now;
};

/* Starts at 0 µs of monotonic time, in step. */
void virtual_clock_init(struct virtual_clock *virtual_clock, int64_t wall_ms);
void virtual_clock_advance(struct virtual_clock *virtual_clock, int64_t us);

static inline struct now clock_read(struct clock *clock)
{
    return clock->read(clock);
}

/* This boot's identity: 32 hex digits and a NUL, from the kernel; all zero where it has none. */
void clock_boot_id(char ret_id[33]);

/* RFC 3339 UTC with milliseconds, "2026-01-05T00:50:00.123Z". Times outside the
 * years 0000 to 9999 are shown as the nearest of them. */
#define TIME_TEXT_SIZE 32
void time_format_utc(int64_t wall_ms, char ret_text[TIME_TEXT_SIZE]);

/* The same instant at UTC+8, "2026-01-05 08:50:00.123", for people. */
void time_format_local(int64_t wall_ms, char ret_text[TIME_TEXT_SIZE]);

/* Reads RFC 3339 with any offset (a blank for the T, a leap second and a fraction are fine; cut
 * to ms). ERR_INVALID else. */
MUST_CHECK int time_parse(const char *text, int64_t *ret_wall_ms);

#endif
