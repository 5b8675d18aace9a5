#include "drivers/modbus/refusals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* A device of 100 registers that refuses to be read across some places, and a bisection of it. */
struct device {
    struct refusals *refusals;
    unsigned lone;    /* refused wherever it is read (0: none) */
    unsigned edge[4]; /* no read reaches from below it to it (0: none) */
    struct plan_cut cuts[2 * REFUSALS_MAX];
    size_t cut_count;
};

static struct plan_read read_of(unsigned start, unsigned end)
{
    return (struct plan_read){
        .function = 3, .start = (uint16_t)start, .count = (uint16_t)(end - start)};
}

static bool refuses(const struct device *device, unsigned start, unsigned end)
{
    if (device->lone && start <= device->lone && device->lone < end)
        return true;
    for (size_t i = 0; i < 4; i++)
        if (device->edge[i] && start < device->edge[i] && device->edge[i] < end)
            return true;
    return false;
}

/* Asks start..end, halving what is refused; each register is a value. */
static void bisect(struct device *device, unsigned start, unsigned end, bool on_trial)
{
    struct plan_read whole = read_of(start, end);
    unsigned middle = start + (end - start) / 2;
    if (!refuses(device, start, end)) {
        refusals_replied(device->refusals, &whole, on_trial);
    } else if (end - start == 1) {
        refusals_lone(device->refusals, &whole);
    } else {
        struct plan_read early = read_of(start, middle), late = read_of(middle, end);
        refusals_split(device->refusals, &whole, &early, &late);
        bisect(device, start, middle, true);
        bisect(device, middle, end, true);
    }
}

/* The next cut after `start`, or the end. */
static unsigned read_end(const struct device *device, unsigned start)
{
    unsigned end = 100;
    for (size_t i = 0; i < device->cut_count; i++)
        if (device->cuts[i].below > start && device->cuts[i].below < end)
            end = device->cuts[i].below;
    return end;
}

/* One round: all reads between the cuts that are known, and what follows. */
static enum refusals_verdict round_of(struct device *device)
{
    size_t count = 0;
    for (unsigned start = 0; start < 100; start = read_end(device, start))
        bisect(device, start, read_end(device, start), false);
    enum refusals_verdict verdict =
        refusals_conclude(device->refusals, device->cuts + device->cut_count, &count);
    device->cut_count += count;
    return verdict;
}

static struct device device_with(unsigned lone, unsigned edge)
{
    struct device device = {.lone = lone, .edge = {edge}};
    device.refusals = calloc(1, sizeof(*device.refusals));
    assert_non_null(device.refusals);
    return device;
}

static void a_border_is_found_at_the_second_saying(void **state)
{
    (void)state;
    for (unsigned edge = 1; edge < 100; edge++) {
        struct device device = device_with(0, edge);
        size_t rounds = 0;
        while (refuses(&device, 0, read_end(&device, 0)) ||
               (read_end(&device, 0) < 100 && refuses(&device, read_end(&device, 0), 100))) {
            enum refusals_verdict verdict = round_of(&device);
            assert_true(verdict == REFUSALS_NOTHING || verdict == REFUSALS_LEARNED);
            if (rounds++ == 0)
                assert_int_equal(device.cut_count, 0);
            assert_true(rounds < 20);
        }
        assert_true(device.cut_count >= 1);
        free(device.refusals);
    }
}

static void a_refused_value_stands_alone(void **state)
{
    (void)state;
    for (unsigned lone = 1; lone < 99; lone++) {
        struct device device = device_with(lone, 0);
        assert_int_equal(round_of(&device), REFUSALS_NOTHING);
        assert_int_equal(round_of(&device), REFUSALS_LEARNED);
        assert_int_equal(device.cut_count, 2);
        assert_int_equal(device.cuts[0].below, lone);
        assert_int_equal(device.cuts[1].below, lone + 1);
        free(device.refusals);
    }
}

static void neighbours_that_are_refused_are_not_believed_at_once(void **state)
{
    struct device device = device_with(0, 0);
    struct plan_read whole = read_of(0, 2), first = read_of(0, 1), second = read_of(1, 2),
                     other = read_of(5, 6);
    struct plan_cut cuts[REFUSALS_MAX];
    size_t count = 0;
    (void)state;
    /* Both say that there is a cut between them: that is one trial, not two. */
    refusals_split(device.refusals, &whole, &first, &second);
    refusals_lone(device.refusals, &first);
    refusals_lone(device.refusals, &second);
    refusals_replied(device.refusals, &other, true);
    assert_int_equal(refusals_conclude(device.refusals, cuts, &count), REFUSALS_NOTHING);
    assert_int_equal(count, 0);
    free(device.refusals);
}

static void who_refuses_all_teaches_nothing(void **state)
{
    struct device device = device_with(0, 0);
    (void)state;
    for (int round = 0; round < 5; round++) {
        struct plan_read whole = read_of(0, 2), first = read_of(0, 1), second = read_of(1, 2);
        refusals_split(device.refusals, &whole, &first, &second);
        refusals_lone(device.refusals, &first);
        refusals_lone(device.refusals, &second);
        /* What else it answers is no part of the trial. */
        struct plan_read other = read_of(50, 60);
        refusals_replied(device.refusals, &other, false);
        assert_int_equal(refusals_conclude(device.refusals, device.cuts, &device.cut_count),
                         REFUSALS_BARREN);
        assert_int_equal(device.cut_count, 0);
    }
    free(device.refusals);
}

static void a_read_across_it_clears_a_doubt(void **state)
{
    struct device device = device_with(50, 0);
    (void)state;
    assert_int_equal(round_of(&device), REFUSALS_NOTHING);
    device.lone = 0;
    round_of(&device);
    device.lone = 50;
    assert_int_equal(round_of(&device), REFUSALS_NOTHING);
    assert_int_equal(device.cut_count, 0);
    assert_int_equal(round_of(&device), REFUSALS_LEARNED);
    free(device.refusals);
}

static void it_keeps_so_many_and_no_more(void **state)
{
    struct device device = device_with(0, 0);
    enum refusals_verdict verdict = REFUSALS_NOTHING;
    (void)state;
    for (unsigned k = 0; k < 200 && verdict != REFUSALS_FULL; k++) {
        struct plan_read whole = read_of(10 * k, 10 * k + 2), first = read_of(10 * k, 10 * k + 1),
                         second = read_of(10 * k + 1, 10 * k + 2);
        struct plan_cut cuts[REFUSALS_MAX];
        size_t count = 0;
        for (int round = 0; round < 2; round++) {
            refusals_split(device.refusals, &whole, &first, &second);
            refusals_replied(device.refusals, &first, true);
            refusals_replied(device.refusals, &second, true);
            verdict = refusals_conclude(device.refusals, cuts, &count);
        }
        device.cut_count += verdict == REFUSALS_LEARNED ? count : 0;
    }
    assert_int_equal(verdict, REFUSALS_FULL);
    assert_int_equal(device.cut_count, REFUSALS_MAX);
    free(device.refusals);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_border_is_found_at_the_second_saying),
        cmocka_unit_test(a_refused_value_stands_alone),
        cmocka_unit_test(neighbours_that_are_refused_are_not_believed_at_once),
        cmocka_unit_test(who_refuses_all_teaches_nothing),
        cmocka_unit_test(a_read_across_it_clears_a_doubt),
        cmocka_unit_test(it_keeps_so_many_and_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
