/*
 * An alarm engine on a test bed: the point "s.u.p" (1 s, stale after 15 s, range 0 to 1000), a
 * process alarm "a" with a High limit at 100 and a Critical one at 150 (low alarms: 50), deadband
 * 5, and the point's instrument alarm. Times are seconds from ALARM_BED_T0. One thread.
 */
#ifndef TESTS_UNIT_SUPPORT_ALARM_BED_H
#define TESTS_UNIT_SUPPORT_ALARM_BED_H

#include "alarm/engine.h"

#define ALARM_BED_T0     1767576600000
#define ALARM_BED_EVENTS 4096

struct alarm_bed {
    struct rule_point points[1];
    struct rule list[2]; /* the process alarm, the instrument alarm */
    struct rules rules;
    struct engine *engine;
    struct alarm_event events[ALARM_BED_EVENTS]; /* since the last look; their texts do not last */
    size_t count;
    struct buffer text; /* all events as JSON, a line each */
};

struct alarm_bed *alarm_bed_new(enum rule_kind kind, int64_t on_ms, int64_t off_ms);
void alarm_bed_free(struct alarm_bed *bed);

/* A good sample; one of any quality; a timeout; one whose source time is not that of its receipt.
 */
void alarm_bed_put(struct alarm_bed *bed, double at_s, double value);
void alarm_bed_put_quality(struct alarm_bed *bed, double at_s, double value, enum quality quality);
void alarm_bed_bad(struct alarm_bed *bed, double at_s);
void alarm_bed_put_received(struct alarm_bed *bed, double at_s, double value, double received_s);
void alarm_bed_bad_received(struct alarm_bed *bed, double at_s, double received_s);

void alarm_bed_pass(struct alarm_bed *bed, double at_s);
void alarm_bed_ack(struct alarm_bed *bed, double at_s, uint64_t occurrence); /* the process alarm */

/* The engine saved, thrown away, and restored into a new one. */
void alarm_bed_restart(struct alarm_bed *bed);

enum alarm_state alarm_bed_state(const struct alarm_bed *bed);
enum alarm_state alarm_bed_instrument_state(const struct alarm_bed *bed);

/* The process alarm's, or the instrument alarm's, events since the last look, as words: "raise
 * priority". Either look forgets them all. */
const char *alarm_bed_said(struct alarm_bed *bed);
const char *alarm_bed_instrument_said(struct alarm_bed *bed);

#endif
