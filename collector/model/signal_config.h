/*
 * What of an edge's readings is plausible, what is doubted while, and what is worth sending: the
 * lists `signals` and `marks` of edge.yaml, and the marks that operators keep in a file of their
 * own. Points are named UNIT.POINT here; whoever knows them all gives them numbers.
 *
 * Plain data, owned by the struct signal_config it stands in; immutable after reading.
 */
#ifndef MODEL_SIGNAL_CONFIG_H
#define MODEL_SIGNAL_CONFIG_H

#include "base/attributes.h"
#include "model/config_yaml.h"
#include "model/quality.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIGNALS_MAX      1000
#define SIGNAL_NAMES_MAX 5000 /* of one entry */
#define SIGNAL_MARKS_MAX 64
#define SIGNAL_WHEN_MAX  4
#define SIGNAL_NAME_SIZE 132 /* UNIT.POINT */

#define SIGNAL_NO_TIME INT64_MIN

/* "unit.point", or of marks also "unit.*"; and where it stands, for mistakes found later. */
struct signal_name {
    char text[SIGNAL_NAME_SIZE];
    size_t line, column;
};

struct signal_names {
    struct signal_name *list;
    size_t count;
};

/* What a reading of one point must be like. All in the point's unit. */
struct signal_limits {
    bool has_range;
    double low, high; /* outside: bad, out_of_range */
    bool has_loop;
    double at4, at20;      /* what 4 and 20 mA mean; at20 may be the smaller */
    double rate_by;        /* more change than this … */
    int64_t rate_in_ms;    /* … in this time: uncertain, rate_of_change. 0: not looked at */
    int64_t flat_polls;    /* so many readings alike … */
    int64_t flat_for_ms;   /* … over so long: uncertain, flat_line. 0: not looked at */
    bool has_deadband;     /* report by exception */
    bool deadband_of_span; /* `deadband` is in percent of the span */
    double deadband;       /* a reading no farther than this from the last one sent is held */
    int64_t heartbeat_ms;  /* one is sent after this time at the latest */
};

struct signal_entry {
    struct signal_names points;
    struct signal_limits limits;
};

enum compare {
    COMPARE_EQUAL,
    COMPARE_NOT_EQUAL,
    COMPARE_LESS,
    COMPARE_AT_MOST,
    COMPARE_GREATER,
    COMPARE_AT_LEAST
};

struct signal_when {
    struct signal_name point;
    enum compare compare;
    double value;
};

/* While it holds, the readings of `points` are doubted: uncertain or bad, for this cause. It holds
 * while all of `when` have been true for `for_ms`, and within the times of day and the dates. */
struct signal_mark {
    struct signal_names points;
    enum cause cause; /* maintenance, calibration, cross_check */
    enum quality quality;
    struct signal_when when[SIGNAL_WHEN_MAX];
    size_t when_count;
    int64_t for_ms;
    bool has_daily;
    int64_t daily_from_ms, daily_to_ms; /* of the day at UTC+8; over midnight where to < from */
    int64_t from_ms, to_ms;             /* UTC; SIGNAL_NO_TIME: open */
};

struct signal_config {
    struct signal_entry *signals;
    size_t signal_count;
    struct signal_mark *marks;
    size_t mark_count;
};

/* Reads the two lists, each NULL where it is absent. Mistakes go to `errors`; what was read is to
 * be freed in any case. */
void signal_config_read(const struct yaml_tree *tree, const struct yaml_node *signals,
                        const struct yaml_node *marks, struct signal_config *ret_config,
                        struct config_errors *errors);

/* A file that holds `marks:` alone. ERR_INVALID after adding to `errors`. */
MUST_CHECK int signal_marks_load(const char *path, struct signal_config *ret_config,
                                 struct config_errors *errors);

void signal_config_release(struct signal_config *config);

/* As YAML that reads back as the same. */
void signal_config_print(const struct signal_config *config, struct buffer *out);

#endif
