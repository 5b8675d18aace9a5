#include "base/clock.h"

#include "base/error.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_US      1000
#define NS_PER_MS      1000000
#define S_PER_DAY      86400
#define MS_PER_DAY     (S_PER_DAY * (int64_t)MS_PER_S)
#define LOCAL_AHEAD_MS (8 * 3600 * (int64_t)MS_PER_S)

/* 0000-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z. */
#define FIRST_MS (-62167219200000)
#define LAST_MS  253402300799999

#define SYNC_KEPT_US (10 * (int64_t)US_PER_S)

/*
 * `sync` holds when the kernel was last asked (monotonic µs, doubled) and its answer (lowest
 * bit) in one word, so that threads that race write an old answer over a new one at worst.
 */
struct real_clock {
    struct clock clock; /* first */
    _Atomic int64_t sync;
};

#define SYNC_NEVER_ASKED (-1)

static bool ask_sync(void)
{
    struct timex timex = {.modes = 0};
    int state = adjtimex(&timex);
    return state >= 0 && state != TIME_ERROR && (timex.status & STA_UNSYNC) == 0;
}

static bool known_sync(struct real_clock *real, int64_t mono_us)
{
    int64_t kept = atomic_load_explicit(&real->sync, memory_order_relaxed);
    if (kept != SYNC_NEVER_ASKED && mono_us - kept / 2 < SYNC_KEPT_US)
        return (kept & 1) != 0;
    bool sync = ask_sync();
    atomic_store_explicit(&real->sync, mono_us * 2 + (sync ? 1 : 0), memory_order_relaxed);
    return sync;
}

static struct now real_read(struct clock *clock)
{
    struct timespec mono = {0};
    struct timespec wall = {0};
    /* These two cannot fail: both clocks exist since Linux 2.6.39. */
    (void)clock_gettime(CLOCK_BOOTTIME, &mono);
    (void)clock_gettime(CLOCK_REALTIME, &wall);
    struct now now = {
        .mono_us = mono.tv_sec * (int64_t)US_PER_S + mono.tv_nsec / NS_PER_US,
        .wall_ms = wall.tv_sec * (int64_t)MS_PER_S + wall.tv_nsec / NS_PER_MS,
    };
    now.sync = known_sync((struct real_clock *)clock, now.mono_us);
    return now;
}

struct clock *clock_real(void)
{
    static struct real_clock real = {.clock = {.read = real_read}, .sync = SYNC_NEVER_ASKED};
    return &real.clock;
}

static struct now virtual_read(struct clock *clock)
{
    return ((struct virtual_clock *)clock)->now;
}

void virtual_clock_init(struct virtual_clock *virtual_clock, int64_t wall_ms)
{
    *virtual_clock = (struct virtual_clock){
        .clock = {.read = virtual_read},
        .now = {.mono_us = 0, .wall_ms = wall_ms, .sync = true},
    };
}

void virtual_clock_advance(struct virtual_clock *virtual_clock, int64_t us)
{
    struct now *now = &virtual_clock->now;
    int64_t before_ms = now->mono_us / US_PER_MS;
    now->mono_us += us;
    now->wall_ms += now->mono_us / US_PER_MS - before_ms;
}

void clock_boot_id(char ret_id[33])
{
    memset(ret_id, '0', 32);
    ret_id[32] = '\0';

    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    char text[64];
    ssize_t len = read(fd, text, sizeof text);
    close(fd);

    char id[32];
    size_t digits = 0;
    for (ssize_t i = 0; i < len && digits < sizeof id; i++) {
        char c = text[i];
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))
            id[digits++] = c;
    }
    if (digits == sizeof id)
        memcpy(ret_id, id, sizeof id);
}

/*
 * Calendar arithmetic. Years begin on 1 March here, so that the leap day is the last of its
 * year and month lengths follow (153 * month + 2) / 5; 400 years (an era) have 146097 days.
 */
struct civil {
    int year;
    int month; /* 1..12 */
    int day;   /* 1..31 */
};

#define DAYS_PER_ERA     146097
#define DAYS_ERA_TO_1970 719468 /* 0000-03-01 to 1970-01-01 */

static int64_t days_from_civil(struct civil civil)
{
    int year = civil.month <= 2 ? civil.year - 1 : civil.year;
    int era = (year >= 0 ? year : year - 399) / 400;
    int year_of_era = year - era * 400;
    int month = (civil.month + 9) % 12; /* 0 is March */
    int day_of_year = (153 * month + 2) / 5 + civil.day - 1;
    int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (int64_t)era * DAYS_PER_ERA + day_of_era - DAYS_ERA_TO_1970;
}

static struct civil civil_from_days(int64_t days)
{
    days += DAYS_ERA_TO_1970;
    int64_t era = (days >= 0 ? days : days - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
    int day_of_era = (int)(days - era * DAYS_PER_ERA);
    int year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int month = (5 * day_of_year + 2) / 153;
    struct civil civil = {
        .year = (int)(era * 400) + year_of_era + (month >= 10 ? 1 : 0),
        .month = month < 10 ? month + 3 : month - 9,
        .day = day_of_year - (153 * month + 2) / 5 + 1,
    };
    return civil;
}

static int days_in_month(int year, int month)
{
    static const int DAYS[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return DAYS[month - 1] + (month == 2 && leap ? 1 : 0);
}

static char *put_digits(char *at, int value, int width)
{
    for (int i = width - 1; i >= 0; i--) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + width;
}

/* "YYYY-MM-DD", the separator, "HH:MM:SS.mmm"; returns its end. */
static char *put_time(char *at, int64_t ms, char separator)
{
    int64_t days = (ms >= 0 ? ms : ms - (MS_PER_DAY - 1)) / MS_PER_DAY;
    int of_day = (int)(ms - days * MS_PER_DAY);
    struct civil civil = civil_from_days(days);

    at = put_digits(at, civil.year, 4);
    *at++ = '-';
    at = put_digits(at, civil.month, 2);
    *at++ = '-';
    at = put_digits(at, civil.day, 2);
    *at++ = separator;
    at = put_digits(at, of_day / 3600000, 2);
    *at++ = ':';
    at = put_digits(at, of_day / 60000 % 60, 2);
    *at++ = ':';
    at = put_digits(at, of_day / 1000 % 60, 2);
    *at++ = '.';
    return put_digits(at, of_day % 1000, 3);
}

static int64_t clamp_ms(int64_t ms, int64_t first, int64_t last)
{
    if (ms < first)
        return first;
    return ms > last ? last : ms;
}

void time_format_utc(int64_t wall_ms, char ret_text[TIME_TEXT_SIZE])
{
    char *end = put_time(ret_text, clamp_ms(wall_ms, FIRST_MS, LAST_MS), 'T');
    *end++ = 'Z';
    *end = '\0';
}

void time_format_local(int64_t wall_ms, char ret_text[TIME_TEXT_SIZE])
{
    int64_t utc_ms = clamp_ms(wall_ms, FIRST_MS - LOCAL_AHEAD_MS, LAST_MS - LOCAL_AHEAD_MS);
    *put_time(ret_text, utc_ms + LOCAL_AHEAD_MS, ' ') = '\0';
}

/* Takes `width` digits; false when they are not there or outside min..max. */
static bool take_number(const char **text, int width, int min, int max, int *ret_value)
{
    int value = 0;
    for (int i = 0; i < width; i++) {
        char c = (*text)[i];
        if (c < '0' || c > '9')
            return false;
        value = value * 10 + (c - '0');
    }
    *text += width;
    *ret_value = value;
    return value >= min && value <= max;
}

static bool take_char(const char **text, char c)
{
    if (**text != c)
        return false;
    (*text)++;
    return true;
}

/* Takes an optional fraction of a second and cuts it to milliseconds. */
static bool take_fraction(const char **text, int *ret_ms)
{
    *ret_ms = 0;
    if (!take_char(text, '.'))
        return true;
    int digit = 0;
    if (!take_number(text, 1, 0, 9, &digit))
        return false;
    int weight = 100;
    do {
        *ret_ms += digit * weight;
        weight /= 10;
    } while (take_number(text, 1, 0, 9, &digit));
    return true;
}

/* Takes "Z" or "+HH:MM" and tells how far that is ahead of UTC. */
static bool take_offset(const char **text, int64_t *ret_ms)
{
    if (take_char(text, 'Z') || take_char(text, 'z')) {
        *ret_ms = 0;
        return true;
    }
    int sign = **text == '-' ? -1 : 1;
    int hours = 0;
    int minutes = 0;
    if (!take_char(text, '-') && !take_char(text, '+'))
        return false;
    if (!take_number(text, 2, 0, 23, &hours) || !take_char(text, ':') ||
        !take_number(text, 2, 0, 59, &minutes))
        return false;
    *ret_ms = sign * (hours * 60 + minutes) * (int64_t)60 * MS_PER_S;
    return true;
}

static bool take_date(const char **text, struct civil *ret_civil)
{
    struct civil civil = {0};
    if (!take_number(text, 4, 0, 9999, &civil.year) || !take_char(text, '-') ||
        !take_number(text, 2, 1, 12, &civil.month) || !take_char(text, '-') ||
        !take_number(text, 2, 1, days_in_month(civil.year, civil.month), &civil.day))
        return false;
    *ret_civil = civil;
    return true;
}

int time_parse(const char *text, int64_t *ret_wall_ms)
{
    struct civil civil;
    int hour = 0;
    int minute = 0;
    int second = 0;
    int fraction = 0;
    int64_t ahead_ms = 0;
    if (!take_date(&text, &civil))
        return ERR_INVALID;
    if (!take_char(&text, 'T') && !take_char(&text, 't') && !take_char(&text, ' '))
        return ERR_INVALID;
    if (!take_number(&text, 2, 0, 23, &hour) || !take_char(&text, ':') ||
        !take_number(&text, 2, 0, 59, &minute) || !take_char(&text, ':') ||
        !take_number(&text, 2, 0, 60, &second) || !take_fraction(&text, &fraction) ||
        !take_offset(&text, &ahead_ms) || *text != '\0')
        return ERR_INVALID;

    int64_t of_day = (hour * 60 + minute) * (int64_t)60 + second;
    int64_t whole = days_from_civil(civil) * MS_PER_DAY + of_day * MS_PER_S - ahead_ms;
    /* A leap second is 23:59:60 UTC and counts as the second after it. */
    if (second == 60 && whole % MS_PER_DAY != 0)
        return ERR_INVALID;
    *ret_wall_ms = whole + fraction;
    return 0;
}
