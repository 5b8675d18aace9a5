#include "model/quality.h"

#include <string.h>

static const char *const quality_names[QUALITY_COUNT] = {
    [QUALITY_GOOD] = "good",
    [QUALITY_UNCERTAIN] = "uncertain",
    [QUALITY_BAD] = "bad",
    [QUALITY_STALE] = "stale",
};

static const char *const cause_names[CAUSE_COUNT] = {
    [CAUSE_NONE] = "none",
    [CAUSE_COMM_TIMEOUT] = "comm_timeout",
    [CAUSE_MODBUS_EXCEPTION] = "modbus_exception",
    [CAUSE_BAD_RESPONSE] = "bad_response",
    [CAUSE_LINK_DOWN] = "link_down",
    [CAUSE_OUT_OF_RANGE] = "out_of_range",
    [CAUSE_SENSOR_FAULT] = "sensor_fault",
    [CAUSE_NOT_A_NUMBER] = "not_a_number",
    [CAUSE_FLAT_LINE] = "flat_line",
    [CAUSE_SUBSTITUTED] = "substituted",
    [CAUSE_MAINTENANCE] = "maintenance",
    [CAUSE_CALIBRATION] = "calibration",
    [CAUSE_CLOCK] = "clock",
    [CAUSE_ROLLOVER] = "rollover",
    [CAUSE_METER_SWAP] = "meter_swap",
    [CAUSE_RATE_OF_CHANGE] = "rate_of_change",
    [CAUSE_CROSS_CHECK] = "cross_check",
};

static const char *name_at(const char *const *names, unsigned count, unsigned at)
{
    return at < count ? names[at] : "unknown";
}

static unsigned find_name(const char *const *names, unsigned count, const char *name)
{
    unsigned at = 0;

    while (at < count && strcmp(names[at], name) != 0)
        at++;
    return at;
}

const char *quality_name(enum quality quality)
{
    return name_at(quality_names, QUALITY_COUNT, (unsigned)quality);
}

const char *cause_name(enum cause cause)
{
    return name_at(cause_names, CAUSE_COUNT, (unsigned)cause);
}

enum quality quality_from_name(const char *name)
{
    return (enum quality)find_name(quality_names, QUALITY_COUNT, name);
}

enum cause cause_from_name(const char *name)
{
    return (enum cause)find_name(cause_names, CAUSE_COUNT, name);
}
