/*
 * Is a reading plausible? Each sample is judged as it comes, by the limits of its point and by
 * marks that doubt it for a while; a judgement only ever makes the quality worse, and of two causes
 * for one quality the first stays:
 *
 *   the driver's own · loop (NAMUR NE 43) · range        bad (near the loop's ends: uncertain)
 *   marks: maintenance, calibration                      as the mark says
 *   flat line · rate of change                           uncertain
 *   marks: cross_check                                   as the mark says
 *
 * The value is never touched. Pure: takes samples and `now`. Monotonic time counts how long
 * something has lasted, the sample's own time its rate and whether a mark's hours have come. One
 * thread at a time.
 */
#ifndef EDGE_SIGNAL_H
#define EDGE_SIGNAL_H

#include "base/attributes.h"
#include "base/clock.h"
#include "model/sample.h"
#include "model/signal_config.h"

#include <stddef.h>
#include <stdint.h>

struct signal;

/* A mark, with numbers for its names (which are not looked at). */
struct signal_rule {
    struct signal_mark mark;
    uint32_t when[SIGNAL_WHEN_MAX]; /* the points of mark.when */
    uint32_t *points;               /* whom it doubts */
    size_t point_count;
};

/* Marks of the configuration, and those of operators, which may change. */
enum signal_source { SIGNAL_CONFIGURED, SIGNAL_OPERATORS, SIGNAL_SOURCES };

/* `interval_ms`: of each point; a condition on a point that was not read for three of them, and
 * not for 15 s, is not true. Copied. */
MUST_CHECK int signal_new(size_t point_count, const int64_t *interval_ms,
                          struct signal **ret_signal);
void signal_free(struct signal *signal);

/* Before the first sample of the point, once. */
MUST_CHECK int signal_watch(struct signal *signal, uint32_t point,
                            const struct signal_limits *limits);

/* Replaces the marks of a source; at most SIGNAL_MARKS_MAX. Copied, numbers included. A condition
 * that is the same as before has to last anew. On failure the old ones stay. */
MUST_CHECK int signal_set_marks(struct signal *signal, enum signal_source source,
                                const struct signal_rule *rules, size_t count);

/* Judges one sample of a point below point_count. */
void signal_judge(struct signal *signal, struct now now, struct sample *sample);

#endif
