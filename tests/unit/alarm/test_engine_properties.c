/*
 * What holds over any history (ALARMS 1.6): seeded random samples, faults, silence, late data,
 * acknowledgements and restarts, with delays and without.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drivers/simulator/noise.h"
#include "tests/unit/support/alarm_bed.h"

#include <stdlib.h>
#include <string.h>

#define SEEDS 150
#define STEPS 150
#define NEVER (-1)

/* A history: time, and the randomness that makes it. */
struct history {
    struct alarm_bed *bed;
    struct noise noise;
    double now_s;
    double newest_s; /* source time of the newest sample */
};

static unsigned chance(struct history *history, unsigned bound)
{
    return (unsigned)(noise_uniform(&history->noise) * bound);
}

static void begin(struct history *history, uint64_t seed)
{
    *history = (struct history){.now_s = 1};
    noise_init(&history->noise, seed);
    int64_t on_ms = 1000 * chance(history, 7), off_ms = 1000 * chance(history, 13);
    history->bed = alarm_bed_new(seed % 2 ? RULE_HIGH : RULE_LOW, on_ms, off_ms);
    history->bed->list[0].ack_required = seed % 3 != 0;
}

enum what { GOOD, BAD, SILENCE, LATE, ACK, WHAT_COUNT };

static enum what draw(struct history *history)
{
    static const enum what odds[] = {GOOD, GOOD, GOOD,    GOOD, GOOD, GOOD,
                                     BAD,  BAD,  SILENCE, LATE, ACK};
    return odds[chance(history, sizeof(odds) / sizeof(odds[0]))];
}

/* Some seconds later, one input. Values are about the limits of both kinds of alarm. */
static void act(struct history *history, enum what what)
{
    struct alarm_bed *bed = history->bed;
    history->now_s += chance(history, 40) / 10.0;
    double now_s = history->now_s;
    switch (what) {
    case GOOD:
        history->newest_s = now_s;
        alarm_bed_put(bed, now_s, 30 + chance(history, 150));
        break;
    case BAD:
        history->newest_s = now_s;
        alarm_bed_bad(bed, now_s);
        break;
    case SILENCE:
        history->now_s += chance(history, 25);
        alarm_bed_pass(bed, history->now_s);
        break;
    case LATE:
        alarm_bed_put_received(bed, history->newest_s - 0.5, 30 + chance(history, 150), now_s);
        break;
    case ACK:
        alarm_bed_ack(bed, now_s, 0);
        break;
    case WHAT_COUNT:
        fail();
    }
}

/* All events of a seed as text; before step `stop_at` the engine is saved and restored. */
static char *tell(uint64_t seed, int stop_at)
{
    struct history history;
    begin(&history, seed);
    for (int n = 0; n < STEPS; n++) {
        if (n == stop_at)
            alarm_bed_restart(history.bed);
        act(&history, draw(&history));
        history.bed->count = 0;
    }
    char *text = strdup(buffer_text(&history.bed->text));
    assert_non_null(text);
    alarm_bed_free(history.bed);
    return text;
}

/* How far a state is from normal: a step down is a step towards it. */
static int distance(enum alarm_state state)
{
    return state == ALARM_NORMAL ? 0 : state == ALARM_UNACK_ACTIVE ? 2 : 1;
}

static void i1_nothing_missing_bad_or_late_leads_towards_normal(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct history history;
        begin(&history, seed);
        /* Until its alarm is raised, then no good sample and nobody any more. */
        for (int n = 0; n < STEPS && alarm_bed_state(history.bed) != ALARM_UNACK_ACTIVE; n++)
            act(&history, draw(&history));
        act(&history, BAD); /* an off-delay that ran has no result */
        enum alarm_state before = alarm_bed_state(history.bed);
        for (int n = 0; n < STEPS; n++) {
            static const enum what blind[] = {BAD, SILENCE, LATE};
            act(&history, blind[chance(&history, 3)]);
            assert_int_equal(alarm_bed_state(history.bed), before);
        }
        alarm_bed_free(history.bed);
    }
}

static void i1_no_bad_or_late_sample_is_itself_a_step_towards_normal(void **state)
{
    (void)state;
    size_t steps = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct history history;
        begin(&history, seed);
        for (int n = 0; n < STEPS; n++) {
            enum what what = draw(&history);
            history.now_s += 5;
            alarm_bed_pass(history.bed, history.now_s); /* what time alone decides is decided */
            int before = distance(alarm_bed_state(history.bed));
            if (what == BAD || what == LATE) {
                double now_s = history.now_s;
                if (what == BAD)
                    alarm_bed_bad(history.bed, history.newest_s = now_s);
                else
                    alarm_bed_put_received(history.bed, history.newest_s - 1, 75, now_s);
                assert_true(distance(alarm_bed_state(history.bed)) >= before);
                steps += before > 0;
            } else {
                act(&history, what);
            }
            history.bed->count = 0;
        }
        alarm_bed_free(history.bed);
    }
    assert_true(steps > 1000); /* there was something to lose */
}

static void i3_an_occurrence_is_raised_once_and_they_count_up(void **state)
{
    (void)state;
    uint64_t total = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct history history;
        begin(&history, seed);
        uint64_t raised[2] = {0, 0};
        for (int n = 0; n < STEPS; n++) {
            act(&history, draw(&history));
            for (size_t i = 0; i < history.bed->count; i++) {
                const struct alarm_event *event = &history.bed->events[i];
                size_t which = event->rule == &history.bed->list[0] ? 0 : 1;
                if (event->kind == ALARM_RAISE)
                    assert_int_equal(event->occurrence, ++raised[which]);
                else
                    assert_int_equal(event->occurrence, raised[which]);
            }
            history.bed->count = 0;
        }
        total += raised[0];
        alarm_bed_free(history.bed);
    }
    assert_true(total > SEEDS);
}

static void i4_only_a_person_acknowledges_and_one_ack_holds_at_a_time(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct history history;
        begin(&history, seed);
        bool acked = false;
        for (int n = 0; n < STEPS; n++) {
            enum what what = draw(&history);
            act(&history, what);
            for (size_t i = 0; i < history.bed->count; i++) {
                const struct alarm_event *event = &history.bed->events[i];
                if (event->rule != &history.bed->list[0])
                    continue;
                if (event->kind == ALARM_ACK) {
                    assert_int_equal(what, ACK);
                    assert_false(acked);
                    acked = true;
                } else if (event->kind == ALARM_RAISE || event->kind == ALARM_ACK_REVOKED) {
                    acked = false;
                }
            }
            if (alarm_bed_state(history.bed) == ALARM_ACKED_ACTIVE)
                assert_true(acked);
            history.bed->count = 0;
        }
        alarm_bed_free(history.bed);
    }
}

static void i10_the_shown_priority_is_the_peak_since_the_onset(void **state)
{
    (void)state;
    size_t critical = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct history history;
        begin(&history, seed);
        struct alarm_bed *bed = history.bed;
        bed->list[0].limits[0].on_delay_ms = bed->list[0].limits[1].on_delay_ms = 0;
        enum priority peak = PRIORITY_DIAGNOSTIC;
        for (int n = 0; n < STEPS; n++) {
            act(&history, draw(&history));
            struct alarm_view view;
            engine_view(bed->engine, 0, &view);
            for (size_t i = 0; i < bed->count; i++)
                if (bed->events[i].rule == &bed->list[0] && bed->events[i].kind == ALARM_RAISE)
                    peak = PRIORITY_DIAGNOSTIC;
            bed->count = 0;
            if (view.state != ALARM_UNACK_ACTIVE && view.state != ALARM_ACKED_ACTIVE)
                continue;
            /* Without on-delays a value at or past a limit proves it; a value that holds does not
             * lower what was proven. */
            bool high = bed->list[0].kind == RULE_HIGH;
            bool worst = high ? view.value >= 150 : view.value <= 50;
            enum priority now = worst ? PRIORITY_CRITICAL : PRIORITY_HIGH;
            if (now > peak)
                peak = now;
            assert_int_equal(view.priority, peak);
            critical += peak == PRIORITY_CRITICAL;
        }
        alarm_bed_free(bed);
    }
    assert_true(critical > SEEDS);
}

static void i9_the_same_inputs_give_the_same_bytes(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        char *once = tell(seed, NEVER), *again = tell(seed, NEVER);
        assert_true(strlen(once) > 100);
        assert_string_equal(once, again);
        free(once);
        free(again);
    }
}

static void i9_saved_and_restored_at_any_point_it_goes_on_as_if_never_stopped(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        char *never = tell(seed, NEVER);
        for (int stop_at = 0; stop_at < STEPS; stop_at++) {
            char *stopped = tell(seed, stop_at);
            assert_string_equal(never, stopped);
            free(stopped);
        }
        free(never);
    }
}

static void what_was_restored_saves_as_the_same_text(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct history history;
        begin(&history, seed);
        for (int n = 0; n < STEPS / 3; n++)
            act(&history, draw(&history));
        struct buffer before, after;
        buffer_init(&before, 1024 * 1024);
        buffer_init(&after, 1024 * 1024);
        engine_save(history.bed->engine, &before);
        alarm_bed_restart(history.bed);
        engine_save(history.bed->engine, &after);
        assert_string_equal(buffer_text(&before), buffer_text(&after));
        buffer_release(&before);
        buffer_release(&after);
        alarm_bed_free(history.bed);
    }
}

static void how_often_time_is_told_changes_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        char *texts[2];
        for (int often = 0; often < 2; often++) {
            struct history history;
            begin(&history, seed);
            for (int n = 0; n < STEPS; n++) {
                double from_s = history.now_s;
                if (often)
                    for (int tick = 0; tick < 10; tick++)
                        alarm_bed_pass(history.bed, from_s);
                act(&history, draw(&history));
                history.bed->count = 0;
                if (often)
                    alarm_bed_pass(history.bed, history.now_s + 0.05);
                history.now_s += 0.1;
            }
            texts[often] = strdup(buffer_text(&history.bed->text));
            alarm_bed_free(history.bed);
        }
        assert_string_equal(texts[0], texts[1]);
        free(texts[0]);
        free(texts[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(i1_nothing_missing_bad_or_late_leads_towards_normal),
        cmocka_unit_test(i1_no_bad_or_late_sample_is_itself_a_step_towards_normal),
        cmocka_unit_test(i3_an_occurrence_is_raised_once_and_they_count_up),
        cmocka_unit_test(i4_only_a_person_acknowledges_and_one_ack_holds_at_a_time),
        cmocka_unit_test(i10_the_shown_priority_is_the_peak_since_the_onset),
        cmocka_unit_test(i9_the_same_inputs_give_the_same_bytes),
        cmocka_unit_test(i9_saved_and_restored_at_any_point_it_goes_on_as_if_never_stopped),
        cmocka_unit_test(what_was_restored_saves_as_the_same_text),
        cmocka_unit_test(how_often_time_is_told_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
