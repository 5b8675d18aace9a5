#include "base/log.h"

#include "base/clock.h"
#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_INTERVAL_US (10 * (int64_t)US_PER_S)
#define LAST_INTERVAL_US  (3600 * (int64_t)US_PER_S)

/* A line is at most what one write passes through a pipe whole (PIPE_BUF, 4096), even when
 * each byte of its text is escaped to four. */
#define HEAD_SIZE   80
#define TEXT_SIZE   900
#define SUFFIX_SIZE 96
#define LINE_SIZE   (HEAD_SIZE + 4 * (TEXT_SIZE + SUFFIX_SIZE) + 1)
static_assert(LINE_SIZE <= 4096, "a line of the log must be written at once");

static const struct {
    const char *name;
    int priority; /* of syslog(3) */
} LEVELS[] = {
    [LOG_LEVEL_ERROR] = {"error", 3},
    [LOG_LEVEL_WARN] = {"warn", 4},
    [LOG_LEVEL_INFO] = {"info", 6},
    [LOG_LEVEL_DEBUG] = {"debug", 7},
};

/* The program's one setting, made before its threads start. */
static atomic_int highest_level = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&highest_level, (int)level, memory_order_relaxed);
}

/* Does the journal read our standard error? systemd tells the device and inode it gave us. */
static bool goes_to_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat status;
    char own[64];
    if (stream == NULL || fstat(STDERR_FILENO, &status) != 0)
        return false;
    snprintf(own, sizeof own, "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    return strcmp(stream, own) == 0;
}

static size_t write_head(char head[HEAD_SIZE], enum log_level level, const char *subsystem)
{
    char time[TIME_TEXT_SIZE];
    int len;
    if (goes_to_journal()) {
        len = snprintf(head, HEAD_SIZE, "<%d>%-5s %-5.32s ", LEVELS[level].priority,
                       LEVELS[level].name, subsystem);
    } else {
        time_format_local(clock_read(clock_real()).wall_ms, time);
        len = snprintf(head, HEAD_SIZE, "%s %-5s %-5.32s ", time, LEVELS[level].name, subsystem);
    }
    return len < 0 ? 0 : (size_t)len;
}

/* C0, DEL, and C1 (in UTF-8: c2 80 to c2 9f), which a terminal obeys. */
static bool is_control(const char *text, size_t i)
{
    unsigned char c = (unsigned char)text[i];
    if (c == 0xc2)
        return (unsigned char)text[i + 1] < 0xa0;
    if (i > 0 && (unsigned char)text[i - 1] == 0xc2)
        return c < 0xa0;
    return c < 0x20 || c == 0x7f;
}

/* Writes `text` with its control characters, and what is not UTF-8 at all, as \xNN. */
static size_t write_escaped(char *out, const char *text, size_t len)
{
    static const char DIGITS[] = "0123456789abcdef";
    bool utf8 = text_is_utf8(text, len);
    char *at = out;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (is_control(text, i) || (c >= 0x80 && !utf8)) {
            *at++ = '\\';
            *at++ = 'x';
            *at++ = DIGITS[c >> 4];
            *at++ = DIGITS[c & 0xf];
        } else {
            *at++ = text[i];
        }
    }
    return (size_t)(at - out);
}

/* Prints into `text`; what is too long ends in "…" at a whole character. */
static void PRINTF_LIKE(2, 0) print_text(char text[TEXT_SIZE], const char *format, va_list args)
{
    static const char MARK[] = "…";
    int len = vsnprintf(text, TEXT_SIZE, format, args);
    if (len < 0)
        snprintf(text, TEXT_SIZE, "(a line that cannot be printed: %s)", format);
    if (len < TEXT_SIZE)
        return;
    size_t end = TEXT_SIZE - sizeof MARK;
    while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80)
        end--;
    memcpy(text + end, MARK, sizeof MARK);
}

/* One line: the printed text and what is said behind it. */
static void PRINTF_LIKE(4, 0) log_line(enum log_level level, const char *subsystem,
                                       const char *suffix, const char *format, va_list args)
{
    char text[TEXT_SIZE + SUFFIX_SIZE];
    char line[LINE_SIZE];
    if ((int)level > atomic_load_explicit(&highest_level, memory_order_relaxed))
        return;
    print_text(text, format, args);
    size_t text_len = strlen(text);
    snprintf(text + text_len, SUFFIX_SIZE, "%s", suffix);
    text_len = strlen(text);

    size_t len = write_head(line, level, subsystem);
    len += write_escaped(line + len, text, text_len);
    line[len++] = '\n';
    /* Nobody is left to be told when this fails. */
    while (write(STDERR_FILENO, line, len) < 0 && errno == EINTR)
        continue;
}

void log_error(const char *subsystem, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(LOG_LEVEL_ERROR, subsystem, "", format, args);
    va_end(args);
}

void log_warn(const char *subsystem, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(LOG_LEVEL_WARN, subsystem, "", format, args);
    va_end(args);
}

void log_info(const char *subsystem, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(LOG_LEVEL_INFO, subsystem, "", format, args);
    va_end(args);
}

void log_debug(const char *subsystem, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(LOG_LEVEL_DEBUG, subsystem, "", format, args);
    va_end(args);
}

/* Counts one more; true when it must be said now, with `suffix` behind it. */
static bool complaint_is_due(struct complaint *complaint, int64_t now_us, char suffix[SUFFIX_SIZE])
{
    complaint->count++;
    complaint->unsaid++;
    if (!complaint->active) {
        complaint->active = true;
        complaint->since_us = now_us;
        complaint->interval_us = FIRST_INTERVAL_US;
        suffix[0] = '\0';
    } else {
        if (now_us < complaint->next_us)
            return false;
        int64_t said_us = complaint->next_us - complaint->interval_us;
        snprintf(suffix, SUFFIX_SIZE, " (%" PRIu64 " more in %" PRId64 " s)", complaint->unsaid,
                 (now_us - said_us) / US_PER_S);
        complaint->interval_us *= 2;
        if (complaint->interval_us > LAST_INTERVAL_US)
            complaint->interval_us = LAST_INTERVAL_US;
    }
    complaint->unsaid = 0;
    complaint->next_us = now_us + complaint->interval_us;
    return true;
}

void complaint_raise(struct complaint *complaint, int64_t now_us, const char *subsystem,
                     const char *format, ...)
{
    char suffix[SUFFIX_SIZE];
    va_list args;
    if (!complaint_is_due(complaint, now_us, suffix))
        return;
    va_start(args, format);
    log_line(LOG_LEVEL_WARN, subsystem, suffix, format, args);
    va_end(args);
}

void complaint_clear(struct complaint *complaint, int64_t now_us, const char *subsystem,
                     const char *format, ...)
{
    char suffix[SUFFIX_SIZE];
    va_list args;
    if (!complaint->active)
        return;
    snprintf(suffix, sizeof suffix, " (after %" PRIu64 " times in %" PRId64 " s)", complaint->count,
             (now_us - complaint->since_us) / US_PER_S);
    *complaint = (struct complaint){.active = false};
    va_start(args, format);
    log_line(LOG_LEVEL_INFO, subsystem, suffix, format, args);
    va_end(args);
}
