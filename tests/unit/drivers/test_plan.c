#include "drivers/modbus/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct plan_limits no_limits = {0};

static struct read_plan *made(const struct plan_point *points, size_t count,
                              const struct plan_limits *limits)
{
    struct read_plan *plan = NULL;
    struct message message = {""};

    if (read_plan_new(points, count, limits, &plan, &message) != 0)
        fail_msg("%s", message.text);
    return plan;
}

/* "3@10+20 4@0+2" : function, start and count of each read. */
static void check(const struct read_plan *plan, const char *expected)
{
    char text[400] = "";
    size_t len = 0;

    for (size_t i = 0; i < read_plan_count(plan); i++) {
        const struct plan_read *read = read_plan_at(plan, i);
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%d@%d+%d", i ? " " : "",
                                read->function, read->start, read->count);
    }
    assert_string_equal(text, expected);
}

static void neighbours_become_one_read(void **state)
{
    /* The gas corrector: 20 registers in one request, as its documentation asks. */
    static const struct plan_point points[] = {
        {3, 10, 2, 1000, false}, {3, 12, 2, 1000, false}, {3, 14, 2, 1000, false},
        {3, 16, 2, 1000, false}, {3, 18, 3, 1000, false}, {3, 21, 2, 1000, false},
        {3, 23, 3, 1000, false}, {3, 26, 2, 1000, false}, {3, 28, 2, 1000, false},
    };
    struct read_plan *plan = made(points, COUNT(points), &no_limits);

    (void)state;
    check(plan, "3@10+20");
    for (size_t k = 0; k < COUNT(points); k++) {
        assert_int_equal(read_plan_point(plan, 0, k), k);
        assert_int_equal(read_plan_offset(plan, 0, k), points[k].address - 10);
        assert_int_equal(read_plan_read_of(plan, k), 0);
    }
    read_plan_free(plan);
    read_plan_free(NULL);
}

static void functions_and_intervals_are_kept_apart(void **state)
{
    static const struct plan_point points[] = {
        {4, 0, 1, 1000, false}, {3, 0, 1, 1000, false}, {3, 1, 1, 60000, false},
        {1, 0, 1, 1000, false}, {3, 2, 1, 1000, false},
    };
    struct read_plan *plan = made(points, COUNT(points), &no_limits);

    (void)state;
    check(plan, "1@0+1 3@0+3 4@0+1 3@1+1");
    assert_int_equal(read_plan_read_of(plan, 0), 2);
    assert_int_equal(read_plan_read_of(plan, 2), 3);
    assert_int_equal(read_plan_read_of(plan, 4), 1);
    assert_int_equal(read_plan_at(plan, 3)->interval_ms, 60000);
    read_plan_free(plan);
}

static void reads_keep_within_the_protocol(void **state)
{
    static const struct plan_point registers[] = {
        {3, 0, 2, 1, false}, {3, 123, 2, 1, false}, {3, 124, 2, 1, false}, {3, 65534, 2, 1, false}};
    static const struct plan_point bits[] = {
        {2, 0, 1, 1, false}, {2, 1999, 1, 1, false}, {2, 2000, 1, 1, false}};
    struct read_plan *plan = made(registers, COUNT(registers), &no_limits);

    (void)state;
    /* Three reads in any case: so the shortest three. */
    check(plan, "3@0+2 3@123+3 3@65534+2");
    read_plan_free(plan);
    plan = made(bits, COUNT(bits), &no_limits);
    check(plan, "2@0+1 2@1999+2");
    read_plan_free(plan);
}

static void a_unit_may_ask_for_shorter_reads_and_smaller_holes(void **state)
{
    static const struct plan_point points[] = {{3, 0, 2, 1, false},
                                               {3, 2, 2, 1, false},
                                               {3, 4, 2, 1, false},
                                               {3, 20, 2, 1, false},
                                               {3, 25, 2, 1, false}};
    struct plan_limits limits = {.max_registers = 4};
    struct read_plan *plan = made(points, COUNT(points), &limits);

    (void)state;
    check(plan, "3@0+2 3@2+4 3@20+2 3@25+2");
    read_plan_free(plan);
    limits = (struct plan_limits){.max_hole = 3};
    plan = made(points, COUNT(points), &limits);
    check(plan, "3@0+6 3@20+7");
    read_plan_free(plan);
    limits = (struct plan_limits){.max_registers = 500};
    plan = made(points, COUNT(points), &limits);
    check(plan, "3@0+27");
    read_plan_free(plan);
}

static void the_order_of_points_does_not_matter(void **state)
{
    static const struct plan_point points[] = {{3, 30, 2, 1000, false},
                                               {3, 0, 1, 1000, false},
                                               {3, 0, 4, 1000, false},
                                               {3, 2, 1, 1000, false},
                                               {3, 120, 5, 1000, false}};
    struct plan_point reversed[COUNT(points)];
    struct read_plan *plan = made(points, COUNT(points), &no_limits);
    struct read_plan *other;

    (void)state;
    for (size_t i = 0; i < COUNT(points); i++)
        reversed[COUNT(points) - 1 - i] = points[i];
    other = made(reversed, COUNT(points), &no_limits);
    check(plan, "3@0+125");
    check(other, "3@0+125");
    for (size_t k = 0; k < COUNT(points); k++)
        assert_int_equal(read_plan_offset(plan, 0, k), read_plan_offset(other, 0, k));
    read_plan_free(plan);
    read_plan_free(other);
}

static void a_refused_read_is_split_at_its_widest_hole(void **state)
{
    static const struct plan_point points[] = {{3, 0, 2, 1, false},
                                               {3, 2, 2, 1, false},
                                               {3, 5, 1, 1, false},
                                               {3, 40, 2, 1, false},
                                               {3, 42, 2, 1, false}};
    struct read_plan *plan = made(points, COUNT(points), &no_limits);
    size_t new_read = 99;

    (void)state;
    assert_int_equal(read_plan_split(plan, 0, &new_read), 0);
    assert_int_equal(new_read, 1);
    check(plan, "3@0+6 3@40+4");
    assert_int_equal(read_plan_read_of(plan, 2), 0);
    assert_int_equal(read_plan_read_of(plan, 3), 1);
    assert_int_equal(read_plan_offset(plan, 1, 1), 2);
    assert_int_equal(read_plan_point(plan, 1, 1), 4);
    assert_int_equal(read_plan_split(plan, 0, &new_read), 0);
    check(plan, "3@0+4 3@40+4 3@5+1");
    assert_int_equal(read_plan_split(plan, 1, &new_read), 0);
    assert_int_equal(read_plan_split(plan, 0, &new_read), 0);
    check(plan, "3@0+2 3@40+2 3@5+1 3@42+2 3@2+2");
    for (size_t read = 0; read < 5; read++)
        assert_int_equal(read_plan_split(plan, read, &new_read), ERR_NOT_FOUND);
    read_plan_free(plan);
}

static void without_holes_it_is_split_near_the_middle(void **state)
{
    static const struct plan_point points[] = {{3, 0, 1, 1, false}, {3, 1, 1, 1, false},
                                               {3, 2, 1, 1, false}, {3, 3, 1, 1, false},
                                               {3, 4, 1, 1, false}, {3, 5, 1, 1, false}};
    struct read_plan *plan = made(points, COUNT(points), &no_limits);
    size_t new_read;

    (void)state;
    assert_int_equal(read_plan_split(plan, 0, &new_read), 0);
    check(plan, "3@0+3 3@3+3");
    read_plan_free(plan);
}

static void overlapping_points_stay_together(void **state)
{
    /* Bits of one word, and a long value over a short one. */
    static const struct plan_point points[] = {{3, 8, 1, 1, false}, {3, 8, 1, 1, false},
                                               {3, 8, 1, 1, false}, {3, 0, 4, 1, false},
                                               {3, 2, 1, 1, false}, {3, 3, 2, 1, false}};
    struct read_plan *plan = made(points, COUNT(points), &no_limits);
    size_t new_read;

    (void)state;
    check(plan, "3@0+9");
    assert_int_equal(read_plan_split(plan, 0, &new_read), 0);
    check(plan, "3@0+5 3@8+1");
    assert_int_equal(read_plan_split(plan, 0, &new_read), ERR_NOT_FOUND);
    assert_int_equal(read_plan_split(plan, 1, &new_read), ERR_NOT_FOUND);
    read_plan_free(plan);
}

static void what_cannot_be_read_is_refused(void **state)
{
    static const struct plan_point points[] = {{6, 0, 1, 1, false},   {0, 0, 1, 1, false},
                                               {3, 0, 0, 1, false},   {3, 65535, 2, 1, false},
                                               {3, 0, 126, 1, false}, {1, 0, 2001, 1, false}};
    const struct plan_limits limits = {.max_registers = 2};
    struct read_plan *plan = NULL;
    struct message message = {""};

    (void)state;
    for (size_t i = 0; i < COUNT(points); i++) {
        assert_int_equal(read_plan_new(&points[i], 1, &no_limits, &plan, &message), ERR_RANGE);
        assert_null(plan);
    }
    assert_int_equal(
        read_plan_new(&(struct plan_point){3, 7, 4, 1, false}, 1, &limits, &plan, &message),
        ERR_RANGE);
    assert_string_equal(message.text, "address 7: a value of 4 registers does not fit into reads "
                                      "of at most 2");
}

static void no_points_need_no_reads(void **state)
{
    struct read_plan *plan = made(NULL, 0, &no_limits);

    (void)state;
    assert_int_equal(read_plan_count(plan), 0);
    read_plan_free(plan);
}

static const struct wire serial_9600 = {.baud = 9600, .char_bits = 11};

/* Between two registers lies a hole of so many: is it read over? */
static bool reads_over(struct wire wire, int64_t latency_us, uint16_t hole)
{
    const struct plan_point points[] = {{3, 0, 1, 1000, false},
                                        {3, (uint16_t)(1 + hole), 1, 1000, false}};
    struct plan_limits limits = {.wire = wire, .latency_us = latency_us};
    struct read_plan *plan = made(points, COUNT(points), &limits);
    bool over = read_plan_count(plan) == 1;

    read_plan_free(plan);
    return over;
}

static void holes_are_read_over_up_to_the_break_even(void **state)
{
    /* 6.5 + (2 t3.5 + Ts) baud / 2c, rounded down; c = 11. */
    static const struct {
        int64_t baud, latency_ms;
        uint16_t most;
    } vectors[] = {{1200, 5, 10},   {1200, 20, 11},   {1200, 50, 12}, {2400, 20, 12},
                   {4800, 20, 14},  {9600, 5, 12},    {9600, 20, 18}, {9600, 50, 31},
                   {19200, 20, 27}, {19200, 50, 53},  {38400, 5, 21}, {38400, 20, 47},
                   {115200, 5, 51}, {115200, 20, 123}};

    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        struct wire wire = {.baud = vectors[i].baud, .char_bits = 11};
        int64_t latency_us = vectors[i].latency_ms * 1000;
        assert_true(reads_over(wire, latency_us, vectors[i].most));
        assert_false(reads_over(wire, latency_us, vectors[i].most + 1));
    }
    assert_true(reads_over((struct wire){0}, 500, 123));
}

static void slow_lines_take_a_few_more_requests(void **state)
{
    static const struct plan_point points[] = {{3, 0, 2, 1000, false},
                                               {3, 10, 2, 1000, false},
                                               {3, 60, 2, 1000, false},
                                               {3, 70, 2, 1000, false}};
    struct plan_limits limits = {.wire = serial_9600, .latency_us = 20000};
    struct read_plan *plan = made(points, COUNT(points), &limits);

    (void)state;
    check(plan, "3@0+12 3@60+12");
    read_plan_free(plan);
    limits.latency_us = 100000;
    plan = made(points, COUNT(points), &limits);
    check(plan, "3@0+72");
    read_plan_free(plan);
}

static void no_read_reaches_over_a_cut(void **state)
{
    static const struct plan_point points[] = {{3, 0, 2, 1000, false},
                                               {3, 2, 2, 1000, false},
                                               {3, 20, 2, 1000, false},
                                               {4, 0, 2, 1000, false},
                                               {4, 20, 2, 1000, false}};
    static const struct plan_cut cuts[] = {
        {.function = 3, .below = 2, .from = 2},
        {.function = 0, .forbidden = true, .below = 5, .from = 9}};
    struct plan_limits limits = {.cuts = cuts, .cut_count = 1};
    struct read_plan *plan = made(points, COUNT(points), &limits);
    struct message message = {""};

    (void)state;
    check(plan, "3@0+2 3@2+20 4@0+22");
    read_plan_free(plan);
    limits.cut_count = 2;
    plan = made(points, COUNT(points), &limits);
    check(plan, "3@0+2 3@2+2 3@20+2 4@0+2 4@20+2");
    read_plan_free(plan);
    assert_int_equal(
        read_plan_new(&(struct plan_point){4, 8, 2, 1000, false}, 1, &limits, &plan, &message),
        ERR_RANGE);
    assert_string_equal(message.text, "address 8: lies in 5-8, where nothing may be read");
    plan = made(&(struct plan_point){4, 9, 2, 1000, false}, 1, &limits);
    read_plan_free(plan);
}

static void aligned_points_are_read_by_themselves(void **state)
{
    static const struct plan_point points[] = {
        {3, 0, 1, 1000, false}, {3, 1, 1, 1000, true}, {3, 2, 1, 1000, false}};
    struct read_plan *plan = made(points, COUNT(points), &no_limits);

    (void)state;
    check(plan, "3@0+3 3@1+1");
    assert_true(read_plan_at(plan, 1)->aligned);
    read_plan_free(plan);
}

/* ---- against every way there is ---- */

#define FEW 7

struct grouping {
    const struct plan_point *points;
    size_t count;
    const struct plan_limits *limits;
    size_t group_of[FEW];
    int64_t best_ns;
};

/* What these groups cost, each one read; INT64_MAX where one cannot be. */
static int64_t cost_of(const struct grouping *all, size_t groups)
{
    int64_t sum = 0;

    for (size_t group = 0; group < groups; group++) {
        uint32_t start = UINT32_MAX;
        uint32_t end = 0;
        for (size_t i = 0; i < all->count; i++) {
            const struct plan_point *point = &all->points[i];
            if (all->group_of[i] != group)
                continue;
            start = point->address < start ? point->address : start;
            end = point->address + point->length > (int)end
                      ? point->address + (uint32_t)point->length
                      : end;
        }
        if (end - start > all->limits->max_registers)
            return INT64_MAX;
        for (size_t k = 0; k < all->limits->cut_count; k++)
            if (start < all->limits->cuts[k].below && end > all->limits->cuts[k].from)
                return INT64_MAX;
        sum += wire_read_ns(&all->limits->wire, all->limits->latency_us, 3, end - start);
    }
    return sum;
}

static void try_groupings(struct grouping *all, size_t point, size_t groups)
{
    if (point == all->count) {
        int64_t ns = cost_of(all, groups);
        all->best_ns = ns < all->best_ns ? ns : all->best_ns;
        return;
    }
    for (size_t group = 0; group <= groups; group++) {
        all->group_of[point] = group;
        try_groupings(all, point + 1, group == groups ? groups + 1 : groups);
    }
}

static uint32_t chance(uint64_t *seed, uint32_t below)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33) % below;
}

static int64_t cost_of_plan(const struct read_plan *plan, const struct plan_limits *limits)
{
    int64_t sum = 0;

    for (size_t i = 0; i < read_plan_count(plan); i++)
        sum += wire_read_ns(&limits->wire, limits->latency_us, 3, read_plan_at(plan, i)->count);
    return sum;
}

/* Every partition of the points into sets, not only into neighbours. */
static void no_way_to_read_them_is_cheaper(void **state)
{
    uint64_t seed = 5;

    (void)state;
    for (int round = 0; round < 2000; round++) {
        struct plan_point points[FEW];
        struct plan_cut cut = {.function = 3};
        struct plan_limits limits = {.wire = serial_9600, .cuts = &cut};
        struct grouping all = {.points = points, .limits = &limits, .best_ns = INT64_MAX};
        all.count = 1 + chance(&seed, FEW);
        limits.max_registers = (uint16_t)(12 + chance(&seed, 60));
        limits.latency_us = chance(&seed, 60000);
        cut.below = chance(&seed, 150);
        cut.from = cut.below + chance(&seed, 3);
        for (size_t i = 0; i < all.count; i++)
            points[i] = (struct plan_point){.function = 3,
                                            .address = (uint16_t)chance(&seed, 150),
                                            .length = (uint16_t)(1 + chance(&seed, 12)),
                                            .interval_ms = 1000};
        /* A value over the cut fits nowhere: that is no case. */
        for (size_t i = 0; i < all.count; i++)
            if (points[i].address < cut.below &&
                points[i].address + points[i].length > (int)cut.from)
                limits.cut_count = 0, i = all.count;
            else
                limits.cut_count = 1;
        struct read_plan *plan = made(points, all.count, &limits);
        limits.latency_us =
            limits.latency_us == 0 ? wire_latency_us(&limits.wire) : limits.latency_us;
        try_groupings(&all, 0, 0);
        assert_true(all.best_ns != INT64_MAX);
        assert_int_equal(cost_of_plan(plan, &limits), all.best_ns);
        read_plan_free(plan);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holes_are_read_over_up_to_the_break_even),
        cmocka_unit_test(slow_lines_take_a_few_more_requests),
        cmocka_unit_test(no_read_reaches_over_a_cut),
        cmocka_unit_test(aligned_points_are_read_by_themselves),
        cmocka_unit_test(no_way_to_read_them_is_cheaper),
        cmocka_unit_test(neighbours_become_one_read),
        cmocka_unit_test(functions_and_intervals_are_kept_apart),
        cmocka_unit_test(reads_keep_within_the_protocol),
        cmocka_unit_test(a_unit_may_ask_for_shorter_reads_and_smaller_holes),
        cmocka_unit_test(the_order_of_points_does_not_matter),
        cmocka_unit_test(a_refused_read_is_split_at_its_widest_hole),
        cmocka_unit_test(without_holes_it_is_split_near_the_middle),
        cmocka_unit_test(overlapping_points_stay_together),
        cmocka_unit_test(what_cannot_be_read_is_refused),
        cmocka_unit_test(no_points_need_no_reads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
