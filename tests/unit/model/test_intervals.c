#include "model/intervals.h"

#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* The plain model: a flag per number. */
#define WORLD 96

struct bitmap {
    bool has[WORLD];
};

static uint64_t next_random(uint64_t *seed)
{
    uint64_t x = (*seed += UINT64_C(0x9E3779B97F4A7C15));

    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

static size_t bitmap_ranges(const struct bitmap *bitmap)
{
    size_t count = 0;

    for (size_t i = 0; i < WORLD; i++)
        count += bitmap->has[i] && (i == 0 || !bitmap->has[i - 1]);
    return count;
}

static void bitmap_set(struct bitmap *bitmap, uint64_t first, uint64_t last, bool has)
{
    for (uint64_t i = first; i <= last; i++)
        bitmap->has[i] = has;
}

static void check_form(const struct intervals *set)
{
    assert_true(set->count <= set->limit);
    for (size_t i = 0; i < set->count; i++) {
        assert_true(set->ranges[i].first <= set->ranges[i].last);
        if (i > 0)
            assert_true(set->ranges[i].first > set->ranges[i - 1].last + 1);
    }
}

static void check_holes(const struct intervals *set, const struct bitmap *bitmap, uint64_t from,
                        uint64_t to)
{
    struct interval hole = {7, 7};
    uint64_t first = from;
    uint64_t last;

    while (first <= to && bitmap->has[first])
        first++;
    assert_int_equal(intervals_contain_all(set, from, to), first > to);
    assert_int_equal(intervals_next_hole(set, from, to, &hole), first <= to);
    if (first > to) {
        assert_true(hole.first == 7 && hole.last == 7);
        return;
    }
    for (last = first; last < to && !bitmap->has[last + 1];)
        last++;
    assert_true(hole.first == first && hole.last == last);
}

static void check_same(const struct intervals *set, const struct bitmap *bitmap, uint64_t *seed)
{
    uint64_t size = 0;
    uint64_t max = 0;
    uint64_t through = 0;

    check_form(set);
    for (uint64_t i = 0; i < WORLD; i++) {
        assert_int_equal(intervals_contain(set, i), bitmap->has[i]);
        size += bitmap->has[i] ? 1 : 0;
        max = bitmap->has[i] ? i : max;
    }
    while (through + 1 < WORLD && bitmap->has[through + 1])
        through++;
    assert_true(intervals_size(set) == size);
    assert_true(intervals_max(set) == max);
    assert_true(intervals_through(set) == through);
    for (int i = 0; i < 4; i++)
        check_holes(set, bitmap, next_random(seed) % WORLD, next_random(seed) % WORLD);
}

static void random_range(uint64_t *seed, uint64_t *ret_first, uint64_t *ret_last)
{
    uint64_t first = next_random(seed) % WORLD;
    uint64_t last = first + next_random(seed) % (next_random(seed) % 12 + 1);

    *ret_first = first;
    *ret_last = last < WORLD ? last : WORLD - 1;
}

/* One addition or removal on both; it fails exactly when the result has too many ranges. */
static void change_both(struct intervals *set, struct bitmap *bitmap, bool add, uint64_t *seed)
{
    struct bitmap wanted = *bitmap;
    uint64_t first;
    uint64_t last;
    int err;

    random_range(seed, &first, &last);
    bitmap_set(&wanted, first, last, add);
    err = add ? intervals_add(set, first, last) : intervals_remove(set, first, last);
    assert_int_equal(err, bitmap_ranges(&wanted) > set->limit ? ERR_FULL : 0);
    if (err == 0)
        *bitmap = wanted;
}

static void additions_and_removals_are_those_of_a_bitmap(void **state)
{
    uint64_t seed = 1;

    (void)state;
    for (size_t limit = 1; limit <= 24; limit++) {
        struct intervals set;
        struct bitmap bitmap = {{false}};
        intervals_init(&set, limit);
        for (int i = 0; i < 1500; i++) {
            change_both(&set, &bitmap, next_random(&seed) % 5 < 2 + (uint64_t)(i / 300 % 2), &seed);
            check_same(&set, &bitmap, &seed);
        }
        intervals_release(&set);
    }
}

static void sums_are_those_of_bitmaps(void **state)
{
    uint64_t seed = 2;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct intervals set, other;
        struct bitmap a = {{false}};
        struct bitmap b = {{false}};
        intervals_init(&set, 1 + next_random(&seed) % 8);
        intervals_init(&other, 16);
        for (uint64_t n = next_random(&seed) % 8; n > 0; n--)
            change_both(&set, &a, true, &seed);
        for (uint64_t n = next_random(&seed) % 8; n > 0; n--)
            change_both(&other, &b, true, &seed);
        for (size_t at = 0; at < WORLD; at++)
            b.has[at] = b.has[at] || a.has[at];
        if (bitmap_ranges(&b) > set.limit) {
            assert_int_equal(intervals_add_all(&set, &other), ERR_FULL);
            check_same(&set, &a, &seed);
        } else {
            assert_int_equal(intervals_add_all(&set, &other), 0);
            check_same(&set, &b, &seed);
        }
        intervals_release(&set);
        intervals_release(&other);
    }
}

static void a_sum_may_pass_more_ranges_than_it_ends_with(void **state)
{
    struct intervals set, other;

    (void)state;
    intervals_init(&set, 3);
    intervals_init(&other, 3);
    assert_int_equal(intervals_add(&set, 10, 10), 0);
    assert_int_equal(intervals_add(&set, 12, 12), 0);
    assert_int_equal(intervals_add(&set, 20, 20), 0);
    assert_int_equal(intervals_add(&other, 1, 1), 0);
    assert_int_equal(intervals_add(&other, 11, 11), 0);
    assert_int_equal(intervals_add_all(&set, &other), 0);
    assert_int_equal(set.count, 3);
    assert_true(intervals_contain_all(&set, 10, 12));
    intervals_release(&set);
    intervals_release(&other);
}

static void an_empty_set_holds_nothing(void **state)
{
    struct intervals set, other;
    struct interval hole;

    (void)state;
    intervals_init(&set, 4);
    intervals_init(&other, 4);
    assert_true(intervals_through(&set) == 0);
    assert_true(intervals_max(&set) == 0);
    assert_true(intervals_size(&set) == 0);
    assert_false(intervals_contain(&set, 1));
    assert_true(intervals_next_hole(&set, 3, UINT64_MAX, &hole));
    assert_true(hole.first == 3 && hole.last == UINT64_MAX);
    assert_int_equal(intervals_remove(&set, 0, UINT64_MAX), 0);
    assert_int_equal(intervals_add_all(&set, &other), 0);
    assert_null(set.ranges);
    intervals_release(&set);
}

static void a_range_from_behind_its_end_is_no_number(void **state)
{
    struct intervals set;
    struct interval hole;

    (void)state;
    intervals_init(&set, 4);
    assert_int_equal(intervals_add(&set, 5, 4), 0);
    assert_int_equal(set.count, 0);
    assert_int_equal(intervals_add(&set, 1, 9), 0);
    assert_int_equal(intervals_remove(&set, 5, 4), 0);
    assert_true(intervals_size(&set) == 9);
    assert_false(intervals_next_hole(&set, 12, 11, &hole));
    assert_true(intervals_contain_all(&set, 12, 11));
    intervals_release(&set);
}

static void the_greatest_numbers_do_not_wrap(void **state)
{
    struct intervals set;
    struct interval hole;

    (void)state;
    intervals_init(&set, 4);
    assert_int_equal(intervals_add(&set, UINT64_MAX, UINT64_MAX), 0);
    assert_int_equal(intervals_add(&set, 0, 0), 0);
    assert_int_equal(set.count, 2);
    assert_true(intervals_size(&set) == 2);
    assert_true(intervals_through(&set) == 0);
    assert_true(intervals_next_hole(&set, 0, UINT64_MAX, &hole));
    assert_true(hole.first == 1 && hole.last == UINT64_MAX - 1);
    assert_int_equal(intervals_add(&set, UINT64_MAX - 1, UINT64_MAX), 0);
    assert_int_equal(set.count, 2);
    assert_int_equal(intervals_add(&set, 1, UINT64_MAX - 2), 0);
    assert_int_equal(set.count, 1);
    assert_true(intervals_size(&set) == UINT64_MAX);
    assert_true(intervals_max(&set) == UINT64_MAX);
    assert_false(intervals_next_hole(&set, 0, UINT64_MAX, &hole));
    assert_int_equal(intervals_remove(&set, UINT64_MAX, UINT64_MAX), 0);
    assert_true(intervals_max(&set) == UINT64_MAX - 1);
    assert_int_equal(intervals_add_all(&set, &set), 0);
    assert_int_equal(set.count, 1);
    intervals_release(&set);
}

static void a_full_set_refuses_and_stays(void **state)
{
    struct intervals set;

    (void)state;
    intervals_init(&set, 2);
    assert_int_equal(intervals_add(&set, 10, 19), 0);
    assert_int_equal(intervals_add(&set, 30, 39), 0);
    assert_int_equal(intervals_add(&set, 50, 50), ERR_FULL);
    assert_int_equal(intervals_remove(&set, 15, 15), ERR_FULL);
    assert_true(intervals_size(&set) == 20);
    assert_int_equal(intervals_add(&set, 12, 17), 0);
    assert_int_equal(intervals_add(&set, 20, 29), 0);
    assert_int_equal(set.count, 1);
    assert_int_equal(intervals_remove(&set, 15, 15), 0);
    assert_int_equal(set.count, 2);
    intervals_clear(&set);
    assert_true(intervals_size(&set) == 0);
    intervals_release(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(additions_and_removals_are_those_of_a_bitmap),
        cmocka_unit_test(sums_are_those_of_bitmaps),
        cmocka_unit_test(a_sum_may_pass_more_ranges_than_it_ends_with),
        cmocka_unit_test(an_empty_set_holds_nothing),
        cmocka_unit_test(a_range_from_behind_its_end_is_no_number),
        cmocka_unit_test(the_greatest_numbers_do_not_wrap),
        cmocka_unit_test(a_full_set_refuses_and_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
