/* What is held back and what is sent; whatever comes, each reading is one or the other. */
#include "edge/deadband.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "model/record.h"

#include <math.h>
#include <string.h>

#define POINTS 3

struct bed {
    struct deadband *deadband;
    struct now now;
};

static void bed_init(struct bed *bed, double amount, int64_t heartbeat_ms)
{
    *bed = (struct bed){.now = {.mono_us = 7 * US_PER_S, .wall_ms = 1767576600000}};
    assert_int_equal(deadband_new(POINTS, &bed->deadband), 0);
    assert_int_equal(deadband_set(bed->deadband, 1, amount, heartbeat_ms), 0);
}

static struct sample sample_of(const struct bed *bed, uint32_t point, double number)
{
    return (struct sample){.point = point,
                           .t_ms = bed->now.wall_ms,
                           .value = {.kind = VALUE_DOUBLE, .number = number}};
}

static bool passes(struct bed *bed, struct sample *sample)
{
    bool sent = deadband_passes(bed->deadband, bed->now, sample);
    bed->now.mono_us += US_PER_S;
    bed->now.wall_ms += MS_PER_S;
    return sent;
}

static void sent(struct bed *bed, double number, uint32_t held)
{
    struct sample sample = sample_of(bed, 1, number);
    if (!passes(bed, &sample))
        fail_msg("%g was held", number);
    assert_int_equal(sample.held, held);
}

static void held(struct bed *bed, double number)
{
    struct sample sample = sample_of(bed, 1, number);
    if (passes(bed, &sample))
        fail_msg("%g was sent", number);
}

/* Against the last one sent, not the last one read: a slow drift is told. */
static void the_last_one_sent_counts(void **state)
{
    struct bed bed;

    (void)state;
    bed_init(&bed, 0.5, 3600000);
    sent(&bed, 10, 0);
    held(&bed, 10);
    held(&bed, 10.5);
    held(&bed, 9.5);
    sent(&bed, 10.500001, 3);
    held(&bed, 10.9);
    held(&bed, 11);
    sent(&bed, 11.25, 2);
    sent(&bed, 10.74, 0);
    deadband_free(bed.deadband);
}

static void other_points_are_all_sent(void **state)
{
    struct bed bed;

    (void)state;
    bed_init(&bed, 0.5, 1000);
    for (int i = 0; i < 10; i++) {
        struct sample first = sample_of(&bed, 0, 1), last = sample_of(&bed, 2, 1);
        assert_true(passes(&bed, &first) && passes(&bed, &last));
        assert_int_equal(first.held + last.held, 0);
    }
    assert_int_equal(deadband_set(bed.deadband, 1, 1, 1), ERR_INVALID); /* it does already */
    assert_int_equal(deadband_set(bed.deadband, 3, 1, 1), ERR_INVALID);
    assert_int_equal(deadband_set(bed.deadband, 0, -1, 1), ERR_INVALID);
    assert_int_equal(deadband_set(bed.deadband, 0, (double)NAN, 1), ERR_INVALID);
    assert_int_equal(deadband_set(bed.deadband, 0, 1, 0), ERR_INVALID);
    deadband_free(bed.deadband);
}

static void a_heartbeat_tells_that_nothing_changed(void **state)
{
    struct bed bed;

    (void)state;
    bed_init(&bed, 0, 5000);
    sent(&bed, 1, 0);
    for (int beat = 0; beat < 3; beat++) {
        for (int i = 0; i < 4; i++)
            held(&bed, 1);
        sent(&bed, 1, 4);
    }
    bed.now.wall_ms -= 3600000; /* the wall clock says nothing here */
    held(&bed, 1);
    deadband_free(bed.deadband);
}

static void a_change_of_quality_is_always_sent(void **state)
{
    static const struct {
        enum quality quality;
        enum cause cause;
        enum value_kind kind;
        bool sent;
    } cases[] = {
        {QUALITY_GOOD, CAUSE_NONE, VALUE_DOUBLE, true},
        {QUALITY_GOOD, CAUSE_NONE, VALUE_FLOAT, false}, /* the same number */
        {QUALITY_UNCERTAIN, CAUSE_FLAT_LINE, VALUE_DOUBLE, true},
        {QUALITY_UNCERTAIN, CAUSE_FLAT_LINE, VALUE_DOUBLE, false},
        {QUALITY_UNCERTAIN, CAUSE_MAINTENANCE, VALUE_DOUBLE, true},
        {QUALITY_BAD, CAUSE_COMM_TIMEOUT, VALUE_NONE, true},
        {QUALITY_BAD, CAUSE_COMM_TIMEOUT, VALUE_NONE, false},
        {QUALITY_BAD, CAUSE_LINK_DOWN, VALUE_NONE, true},
        {QUALITY_BAD, CAUSE_LINK_DOWN, VALUE_DOUBLE, true}, /* a value, where none was */
        {QUALITY_GOOD, CAUSE_NONE, VALUE_DOUBLE, true},
        {QUALITY_GOOD, CAUSE_NONE, VALUE_TEXT, true},
        {QUALITY_GOOD, CAUSE_NONE, VALUE_TEXT, false},
    };
    struct bed bed;

    (void)state;
    bed_init(&bed, 100, 3600000);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sample sample = sample_of(&bed, 1, 5);
        sample.quality = cases[i].quality;
        sample.cause = cases[i].cause;
        sample.value = (struct value){
            .kind = cases[i].kind, .text = "a", .number = cases[i].kind == VALUE_NONE ? 0 : 5};
        if (passes(&bed, &sample) != cases[i].sent)
            fail_msg("case %zu", i);
    }
    struct sample other = sample_of(&bed, 1, 5);
    other.value = (struct value){.kind = VALUE_TEXT, .text = "b"};
    assert_true(passes(&bed, &other));
    deadband_free(bed.deadband);
}

/* Read = sent + held, whatever happens: refused samples give back what they would have told. */
static void each_reading_is_accounted_for(void **state)
{
    struct bed bed;
    uint64_t seed = 1, told = 0, refused = 0;
    double number = 50;

    (void)state;
    bed_init(&bed, 2, 30000);
    for (int i = 0; i < 10000; i++) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        number += (double)(seed >> 40) / (double)(1 << 24) - 0.5;
        struct sample sample = sample_of(&bed, 1, number);
        if (!passes(&bed, &sample))
            continue;
        if (seed >> 33 & 1) {
            deadband_unsent(bed.deadband, &sample);
            refused++;
        } else {
            told += 1 + sample.held;
        }
    }
    struct sample last;
    while (deadband_take(bed.deadband, &last))
        told += 1 + last.held;
    assert_true(refused > 10);
    assert_int_equal(told + refused, 10000);
    assert_false(deadband_take(bed.deadband, &last));
    deadband_free(bed.deadband);
}

static void the_last_reading_goes_out_before_a_stop(void **state)
{
    struct bed bed;
    struct sample last;

    (void)state;
    bed_init(&bed, 1, 3600000);
    assert_false(deadband_take(bed.deadband, &last));
    sent(&bed, 1, 0);
    held(&bed, 1.5);
    held(&bed, 1.25);
    int64_t t_ms = bed.now.wall_ms - MS_PER_S;
    assert_true(deadband_take(bed.deadband, &last));
    assert_int_equal(last.held, 1);
    assert_int_equal(last.t_ms, t_ms); /* never stamped anew */
    assert_true(last.value.number >= 1.25 && last.value.number <= 1.25);
    assert_false(deadband_take(bed.deadband, &last));
    deadband_free(bed.deadband);
}

static void so_many_are_held_and_no_more(void **state)
{
    struct bed bed;

    (void)state;
    bed_init(&bed, 1, INT64_C(1) << 40);
    sent(&bed, 1, 0);
    for (int i = 0; i < RECORD_MAX_HELD; i++)
        held(&bed, 1);
    sent(&bed, 1, RECORD_MAX_HELD);
    deadband_free(bed.deadband);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_one_sent_counts),
        cmocka_unit_test(other_points_are_all_sent),
        cmocka_unit_test(a_heartbeat_tells_that_nothing_changed),
        cmocka_unit_test(a_change_of_quality_is_always_sent),
        cmocka_unit_test(each_reading_is_accounted_for),
        cmocka_unit_test(the_last_reading_goes_out_before_a_stop),
        cmocka_unit_test(so_many_are_held_and_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
