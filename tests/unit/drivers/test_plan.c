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
        {3, 10, 2, 1000}, {3, 12, 2, 1000}, {3, 14, 2, 1000}, {3, 16, 2, 1000}, {3, 18, 3, 1000},
        {3, 21, 2, 1000}, {3, 23, 3, 1000}, {3, 26, 2, 1000}, {3, 28, 2, 1000},
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
        {4, 0, 1, 1000}, {3, 0, 1, 1000}, {3, 1, 1, 60000}, {1, 0, 1, 1000}, {3, 2, 1, 1000},
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
        {3, 0, 2, 1}, {3, 123, 2, 1}, {3, 124, 2, 1}, {3, 65534, 2, 1}};
    static const struct plan_point bits[] = {{2, 0, 1, 1}, {2, 1999, 1, 1}, {2, 2000, 1, 1}};
    struct read_plan *plan = made(registers, COUNT(registers), &no_limits);

    (void)state;
    check(plan, "3@0+125 3@124+2 3@65534+2");
    read_plan_free(plan);
    plan = made(bits, COUNT(bits), &no_limits);
    check(plan, "2@0+2000 2@2000+1");
    read_plan_free(plan);
}

static void a_unit_may_ask_for_shorter_reads_and_smaller_holes(void **state)
{
    static const struct plan_point points[] = {
        {3, 0, 2, 1}, {3, 2, 2, 1}, {3, 4, 2, 1}, {3, 20, 2, 1}, {3, 25, 2, 1}};
    struct plan_limits limits = {.max_registers = 4};
    struct read_plan *plan = made(points, COUNT(points), &limits);

    (void)state;
    check(plan, "3@0+4 3@4+2 3@20+2 3@25+2");
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
    static const struct plan_point points[] = {
        {3, 30, 2, 1000}, {3, 0, 1, 1000}, {3, 0, 4, 1000}, {3, 2, 1, 1000}, {3, 120, 5, 1000}};
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
    static const struct plan_point points[] = {
        {3, 0, 2, 1}, {3, 2, 2, 1}, {3, 5, 1, 1}, {3, 40, 2, 1}, {3, 42, 2, 1}};
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
    static const struct plan_point points[] = {{3, 0, 1, 1}, {3, 1, 1, 1}, {3, 2, 1, 1},
                                               {3, 3, 1, 1}, {3, 4, 1, 1}, {3, 5, 1, 1}};
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
    static const struct plan_point points[] = {{3, 8, 1, 1}, {3, 8, 1, 1}, {3, 8, 1, 1},
                                               {3, 0, 4, 1}, {3, 2, 1, 1}, {3, 3, 2, 1}};
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
    static const struct plan_point points[] = {{6, 0, 1, 1},     {0, 0, 1, 1},   {3, 0, 0, 1},
                                               {3, 65535, 2, 1}, {3, 0, 126, 1}, {1, 0, 2001, 1}};
    const struct plan_limits limits = {.max_registers = 2};
    struct read_plan *plan = NULL;
    struct message message = {""};

    (void)state;
    for (size_t i = 0; i < COUNT(points); i++) {
        assert_int_equal(read_plan_new(&points[i], 1, &no_limits, &plan, &message), ERR_RANGE);
        assert_null(plan);
    }
    assert_int_equal(read_plan_new(&(struct plan_point){3, 7, 4, 1}, 1, &limits, &plan, &message),
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

int main(void)
{
    const struct CMUnitTest tests[] = {
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
