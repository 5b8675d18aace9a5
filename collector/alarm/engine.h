/*
 * The alarm engine: a fold over the journal. The same inputs in the same order give the same
 * events, whatever the clock says: time advances only by what it is told.
 *
 * Pure: no I/O, no clock. One thread. It borrows the rules, which outlive it.
 *
 * Invariants (ALARMS 1.6): nothing missing, bad or late leads an alarm towards normal; one raise
 * per occurrence; the shown priority is the peak since the onset; only a person acknowledges.
 */
#ifndef ALARM_ENGINE_H
#define ALARM_ENGINE_H

#include "alarm/event.h"
#include "base/attributes.h"
#include "base/buffer.h"
#include "base/error.h"
#include "model/rule.h"
#include "model/sample.h"

#include <stddef.h>
#include <stdint.h>

struct engine;

/* Called for each event, in order, within the engine's calls. The event is valid for the call. */
typedef void alarm_sink(void *self, const struct alarm_event *event);

struct engine *engine_new(const struct rules *rules, alarm_sink *sink, void *self);
void engine_free(struct engine *engine);

/* The centre started, or started again: silence counts from now. */
void engine_start(struct engine *engine, int64_t now_ms);

/* A sample of the rules' point `point`, received at `received_ms` (never going back). */
void engine_sample(struct engine *engine, size_t point, const struct sample *sample,
                   int64_t received_ms);

/* Time has come this far: delays and silence that end by then are decided. */
void engine_advance(struct engine *engine, int64_t now_ms);

/* A person acknowledges. `occurrence` 0: the current one. The result is an event: ack or reject. */
void engine_ack(struct engine *engine, size_t rule, uint64_t occurrence, const char *user,
                const char *role, const char *note, int64_t now_ms);

/* How things stand with one alarm. */
struct alarm_view {
    const struct rule *rule;
    enum alarm_state state;
    uint64_t occurrence;
    enum priority priority; /* shown; meaningless before the first raise */
    int64_t onset_ms, raised_ms;
    bool has_value;
    double value;
    int64_t value_ms; /* source time of that value */
    enum quality quality;
    enum cause quality_cause;
    char ack_user[65];
};

void engine_view(const struct engine *engine, size_t rule, struct alarm_view *ret_view);

/* Samples that came older than what had been evaluated: journaled, not judged. */
uint64_t engine_late(const struct engine *engine);

/* The whole state as text, and back. Restoring takes what the rules still know; ERR_INVALID leaves
 * the engine as new. */
void engine_save(const struct engine *engine, struct buffer *out);
MUST_CHECK int engine_restore(struct engine *engine, const char *text, size_t len);

#endif
