/* From drivers to the recorder: a reading that got nowhere is told later, or counted. */
#include "edge/intake.h"
#include "tests/unit/support/edge_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define BATCH 256 /* what the intake hands on together */

struct bed {
    struct edge_bed edge;
    struct intake *intake;
};

/* BED_T reports by exception: by 1, or once in a day. */
static void bed_init(struct bed *bed, size_t queue_batches)
{
    static const int64_t intervals[EDGE_BED_POINTS] = {1000, 1000, 1000, 1000, 1000};
    struct signal *signal = NULL;
    struct deadband *deadband = NULL;
    edge_bed_init(&bed->edge, 1, false);
    bed->edge.queue_batches = queue_batches;
    edge_bed_open(&bed->edge);
    assert_int_equal(signal_new(EDGE_BED_POINTS, intervals, &signal), 0);
    assert_int_equal(deadband_new(EDGE_BED_POINTS, &deadband), 0);
    assert_int_equal(deadband_set(deadband, BED_T, 1, 86400000), 0);
    assert_int_equal(intake_new(signal, deadband, &bed->intake), 0);
    intake_attach(bed->intake, bed->edge.recorder);
}

static void bed_release(struct bed *bed)
{
    intake_free(bed->intake);
    edge_bed_release(&bed->edge);
}

static void put(struct bed *bed, double number)
{
    struct sample sample = edge_bed_sample(&bed->edge, BED_T, number);
    intake_put(bed->intake, bed->edge.now, &sample, 1);
}

static struct recorder_status status_of(struct bed *bed)
{
    struct recorder_status status;
    recorder_get_status(bed->edge.recorder, &status);
    return status;
}

/* Puts samples, much at a time so that a record that is full meets the full journal, until the
 * journal refuses some. Returns what BED_T said last. */
static double fill_until_refused(struct bed *bed)
{
    struct sample samples[BATCH];
    double news = 0;
    for (size_t i = 0; i < BATCH; i++)
        samples[i] = edge_bed_sample(&bed->edge, BED_T2, (double)i + 1.0 / 3);
    for (int round = 0; round < 1000 && !status_of(bed).refused; round++) {
        for (int i = 0; i < 80; i++) {
            news += 10;
            samples[BATCH - 1] = edge_bed_sample(&bed->edge, BED_T, news);
            intake_put(bed->intake, bed->edge.now, samples, BATCH);
        }
        edge_bed_step(&bed->edge, 0);
    }
    return news;
}

static void after_the_journal_refused_samples_each_point_speaks_again(void **state)
{
    struct bed bed;

    (void)state;
    bed_init(&bed, 0);
    bed.edge.disk.fail_one_in = 1;
    bed.edge.disk.fail_ops = 1U << SIM_WRITE | 1U << SIM_SYNC | 1U << SIM_OPEN;
    double news = fill_until_refused(&bed);
    uint64_t refused = status_of(&bed).refused;
    assert_true(refused > 0);
    assert_int_equal(recorder_gaps(bed.edge.recorder), 0);
    put(&bed, news); /* as long as nothing is recorded, it is held back */
    bed.edge.disk.fail_one_in = 0;
    edge_bed_step(&bed.edge, 2 * US_PER_S);
    edge_bed_flush(&bed.edge);
    assert_int_equal(recorder_gaps(bed.edge.recorder), 1);
    uint64_t before = status_of(&bed).samples;
    put(&bed, news);
    put(&bed, news); /* once, not on and on */
    edge_bed_flush(&bed.edge);
    assert_int_equal(status_of(&bed).samples - before, 2); /* with the one held back */
    assert_int_equal(status_of(&bed).refused, refused);
    bed_release(&bed);
}

static void what_finds_no_room_at_a_stop_is_counted_with_what_was_held(void **state)
{
    struct bed bed;

    (void)state;
    bed_init(&bed, 1);
    put(&bed, 10); /* waits in the queue, which is full now */
    for (int i = 0; i < 5; i++)
        put(&bed, 10.5);
    assert_int_equal(status_of(&bed).refused, 0);
    intake_flush(bed.intake);
    assert_int_equal(status_of(&bed).refused, 5);
    edge_bed_flush(&bed.edge);
    intake_flush(bed.intake);
    assert_int_equal(status_of(&bed).refused, 5);
    assert_int_equal(edge_bed_samples(&bed.edge, STREAM_T), 1);
    bed_release(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_the_journal_refused_samples_each_point_speaks_again),
        cmocka_unit_test(what_finds_no_room_at_a_stop_is_counted_with_what_was_held),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
