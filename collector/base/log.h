/*
 * The programs' log: a line on standard error per event, with time (UTC+8), level and a
 * subsystem token, as in "2026-11-24 18:12:07.120 warn  link  plc: no answer within 500 ms".
 * Under systemd (JOURNAL_STREAM names our standard error) the time is left out and "<N>" levels
 * are put in front.
 *
 * Thread-safe: a line is written by one write(2). Control characters, and bytes that are not
 * UTF-8, are escaped as \xNN; a text beyond 900 bytes is cut and ends in "…".
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/attributes.h"

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Lines above this level are not written. Set once, before threads start; default info. */
void log_set_level(enum log_level level);

void log_error(const char *subsystem, const char *format, ...) PRINTF_LIKE(2, 3);
void log_warn(const char *subsystem, const char *format, ...) PRINTF_LIKE(2, 3);
void log_info(const char *subsystem, const char *format, ...) PRINTF_LIKE(2, 3);
void log_debug(const char *subsystem, const char *format, ...) PRINTF_LIKE(2, 3);

/*
 * A complaint that may repeat: said at once, then after 10 s, 20 s, 40 s … at most hourly, each
 * time with how often it happened since; and once more when it is over. Owned by one thread;
 * zero-initialised means "nothing is wrong".
 */
struct complaint {
    bool active;
    uint64_t count;   /* since it began */
    uint64_t unsaid;  /* since it was last said */
    int64_t since_us; /* monotonic */
    int64_t next_us;  /* monotonic: not said again before */
    int64_t interval_us;
};

/* Something is wrong (again): writes a warning when it is due. `now_us` is monotonic. */
void complaint_raise(struct complaint *complaint, int64_t now_us, const char *subsystem,
                     const char *format, ...) PRINTF_LIKE(4, 5);

/* It is over: writes "… (after N times in M s)" if it had been raised, else nothing. */
void complaint_clear(struct complaint *complaint, int64_t now_us, const char *subsystem,
                     const char *format, ...) PRINTF_LIKE(4, 5);

#endif
