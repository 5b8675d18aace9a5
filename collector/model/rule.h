/*
 * Alarm rules: which points are judged, by which limits and delays (INTERFACES 4).
 *
 * Read from YAML files, immutable after; any thread may read them. Every point that an alarm uses
 * also has an instrument alarm, "POINT#instrument": silence and bad values are alarms of their own.
 */
#ifndef MODEL_RULE_H
#define MODEL_RULE_H

#include "base/attributes.h"
#include "model/config_yaml.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RULE_LIMITS_MAX 4
#define RULES_MAX       100000
#define RULE_POINTS_MAX 100000
#define RULE_ID_SIZE    140

enum priority {
    PRIORITY_DIAGNOSTIC,
    PRIORITY_LOW,
    PRIORITY_HIGH,
    PRIORITY_CRITICAL,
    PRIORITY_COUNT
};

/* "diagnostic", "low", "high", "critical". */
const char *priority_name(enum priority priority);

enum rule_kind { RULE_HIGH, RULE_LOW, RULE_INSTRUMENT };

struct rule_point {
    char id[128];
    char unit[24];
    int64_t interval_ms;
    int64_t stale_after_ms; /* default: the longer of 3 intervals and 15 s */
    bool has_range;
    double min, max; /* a value outside is bad, whatever its quality says */
};

struct rule_limit {
    double at;
    enum priority priority;
    int64_t on_delay_ms;
};

struct rule {
    char id[RULE_ID_SIZE];
    size_t point; /* index into the rules' points */
    enum rule_kind kind;
    struct rule_limit limits[RULE_LIMITS_MAX]; /* least severe first; an instrument alarm has one */
    size_t limit_count;
    double deadband;
    int64_t off_delay_ms;
    bool ack_required;
    int64_t grace_ms; /* instrument: how long never seen is no alarm */
    char response_zh[256], response_en[256];
};

struct rules {
    struct rule_point *points;
    size_t point_count;
    struct rule *list;
    size_t count;
};

/* Reads files into one set. ERR_INVALID after adding to `errors`, each with its position. */
MUST_CHECK int rules_load(const char *const *paths, size_t count, struct rules **ret_rules,
                          struct config_errors *errors);

/* As rules_load, from a text that is shown as `file`. */
MUST_CHECK int rules_parse(const char *file, const char *text, size_t len, struct rules **ret_rules,
                           struct config_errors *errors);
void rules_free(struct rules *rules);

/* The index of a point or alarm, or -1. */
long rules_find_point(const struct rules *rules, const char *id);
long rules_find(const struct rules *rules, const char *id);

#endif
