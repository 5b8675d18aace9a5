#include "store/history_read.h"
#include "store/history_schema.h"
#include "tests/unit/support/db_folder.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BASE  ((int64_t)5891922 * HISTORY_SLOT_MS)
#define SLOTS 20

static struct history_db *open_writer(const struct db_folder *place)
{
    struct db_options options = {.path = place->path, .mode = DB_WRITER};
    struct message message = {""};
    struct history_db *history = NULL;

    if (history_db_open(&options, &history, NULL, &message) != 0)
        fail_msg("%s", message.text);
    return history;
}

static void add(struct history_db *history, int64_t point, uint64_t seq, int64_t t_ms, double value)
{
    struct sample sample = {.t_ms = t_ms, .value = {.kind = VALUE_DOUBLE, .number = value}};
    struct message message = {""};

    if (history_db_add_samples(history, 1, seq, &point, 1, &sample, 1, NULL, &message) != 0)
        fail_msg("%s", message.text);
}

static void add_committed(struct history_db *history, uint64_t seq, int64_t t_ms, double value)
{
    assert_int_equal(history_db_begin(history, NULL), 0);
    add(history, 1, seq, t_ms, value);
    assert_int_equal(history_db_commit(history, NULL), 0);
}

/* How many samples the roll-up of a slot tells of; -1: there is none. */
static int64_t rolled(struct history_db *history, int64_t point, int64_t slot)
{
    struct db_stmt *stmt = history_db_stmt(history, HISTORY_ROLLUPS);
    int64_t count = -1;

    db_bind_i64(stmt, 1, point);
    db_bind_i64(stmt, 2, BASE / HISTORY_SLOT_MS + slot);
    db_bind_i64(stmt, 3, BASE / HISTORY_SLOT_MS + slot + 1);
    int err = db_next(stmt, NULL);
    if (err == 0)
        count = db_column_i64(stmt, 1);
    else
        assert_int_equal(err, ERR_NOT_FOUND);
    db_reset(stmt);
    return count;
}

static void a_slot_is_rolled_up_when_its_point_moves_on(void **state)
{
    struct history_db *history = open_writer(*state);

    add_committed(history, 1, BASE, 1);
    add_committed(history, 2, BASE + 1000, 2);
    assert_int_equal(rolled(history, 1, 0), -1);
    add_committed(history, 3, BASE + HISTORY_SLOT_MS, 3);
    assert_int_equal(rolled(history, 1, 0), 2);
    assert_int_equal(rolled(history, 1, 1), -1);
    history_db_close(history);
}

static void a_late_sample_has_its_slot_done_anew(void **state)
{
    struct history_db *history = open_writer(*state);

    add_committed(history, 1, BASE, 1);
    add_committed(history, 2, BASE + HISTORY_SLOT_MS, 3);
    assert_int_equal(rolled(history, 1, 0), 1);
    assert_int_equal(history_db_begin(history, NULL), 0);
    add(history, 1, 3, BASE + 500, 2);
    assert_int_equal(rolled(history, 1, 0), -1);
    add(history, 1, 4, BASE + 600, 2);
    assert_int_equal(history_db_commit(history, NULL), 0);
    assert_int_equal(rolled(history, 1, 0), 3);
    history_db_close(history);
}

static void a_late_sample_after_a_rollback_is_not_missed(void **state)
{
    struct history_db *history = open_writer(*state);

    add_committed(history, 1, BASE, 1);
    add_committed(history, 2, BASE + HISTORY_SLOT_MS, 3);
    assert_int_equal(history_db_begin(history, NULL), 0);
    add(history, 1, 3, BASE + 500, 2);
    history_db_rollback(history);
    assert_int_equal(rolled(history, 1, 0), 1);
    assert_int_equal(history_db_begin(history, NULL), 0);
    add(history, 1, 3, BASE + 500, 2);
    assert_int_equal(rolled(history, 1, 0), -1);
    assert_int_equal(history_db_commit(history, NULL), 0);
    assert_int_equal(rolled(history, 1, 0), 2);
    history_db_close(history);
}

static void a_slot_open_at_a_restart_is_rolled_up_later(void **state)
{
    struct history_db *history = open_writer(*state);

    add_committed(history, 1, BASE, 1);
    history_db_close(history);
    history = open_writer(*state);
    add_committed(history, 2, BASE + 7, 1);
    assert_int_equal(rolled(history, 1, 0), -1);
    history_db_close(history);
    history = open_writer(*state);
    add_committed(history, 3, BASE + HISTORY_SLOT_MS, 1);
    assert_int_equal(rolled(history, 1, 0), 2);
    history_db_close(history);
}

static void stamps_beyond_the_years_are_kept_and_not_rolled_up(void **state)
{
    struct history_db *history = open_writer(*state);
    static const int64_t times[] = {INT64_MIN, -1, 0, INT64_MAX - 1, INT64_MAX, BASE};
    uint64_t n = 0;

    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        add_committed(history, i + 1, times[i], 1);
    add_committed(history, 9, BASE + HISTORY_SLOT_MS, 1);
    assert_int_equal(rolled(history, 1, 0), 1);
    assert_int_equal(history_read_count(history, 1, &n, NULL), 0);
    assert_int_equal(n, 4); /* 0, INT64_MAX - 1 and the two of our time */
    assert_int_equal(history_db_count(history, &n, NULL), 0);
    assert_int_equal(n, 7);
    history_db_close(history);
}

/* ---- whatever happens, a roll-up tells all of its slot ---- */

#define POINTS 3

struct truth {
    int64_t count[POINTS + 1][SLOTS];
    double sum[POINTS + 1][SLOTS];
};

static void check_truth(struct history_db *history, const struct truth *truth)
{
    struct history_bucket buckets[SLOTS];
    size_t rollups = 0;
    size_t n = 0;

    for (int64_t p = 1; p <= POINTS; p++) {
        int64_t total = 0;
        for (int64_t s = 0; s < SLOTS; s++) {
            int64_t count = rolled(history, p, s);
            total += truth->count[p][s];
            rollups += count > 0;
            if (count != -1)
                assert_int_equal(count, truth->count[p][s]);
        }
        /* Two slots to a bucket, shifted by half a slot: each ends within a roll-up. */
        for (int shift = 0; shift < 2; shift++) {
            int64_t seen = 0;
            double sum = 0;
            assert_int_equal(history_read_buckets(history, p, BASE - shift * HISTORY_SLOT_MS / 2,
                                                  BASE + SLOTS * HISTORY_SLOT_MS,
                                                  (int64_t)2 * HISTORY_SLOT_MS, buckets, SLOTS, &n,
                                                  NULL),
                             0);
            for (size_t i = 0; i < n; i++) {
                seen += (int64_t)buckets[i].count;
                sum += buckets[i].mean * (double)buckets[i].used;
            }
            assert_int_equal(seen, total);
            for (int64_t s = 0; s < SLOTS; s++)
                sum -= truth->sum[p][s];
            assert_true(fabs(sum) < 1e-6);
        }
    }
    assert_true(rollups > POINTS);
}

static void whatever_happens_a_roll_up_tells_all_of_its_slot(void **state)
{
    struct history_db *history = open_writer(*state);
    struct truth kept = {0};
    uint32_t random = 99;
    uint64_t seq = 0;

    for (int step = 0; step < 400; step++) {
        struct truth now = kept;
        /* Time moves on; one in four samples comes late. */
        int64_t front = 1 + step * (SLOTS - 1) / 400;
        assert_int_equal(history_db_begin(history, NULL), 0);
        for (uint32_t i = seeded(&random) % 12; i > 0; i--) {
            int64_t point = 1 + seeded(&random) % POINTS;
            int64_t slot = seeded(&random) % 4 != 0 ? front : seeded(&random) % (front + 1);
            int64_t t_ms = BASE + slot * HISTORY_SLOT_MS + seeded(&random) % HISTORY_SLOT_MS;
            double value = (double)(seeded(&random) % 1000);
            add(history, point, ++seq, t_ms, value);
            now.count[point][slot]++;
            now.sum[point][slot] += value;
        }
        if (seeded(&random) % 6 == 0) {
            history_db_rollback(history);
        } else {
            assert_int_equal(history_db_commit(history, NULL), 0);
            kept = now;
        }
        if (seeded(&random) % 15 == 0) {
            history_db_close(history);
            history = open_writer(*state);
        }
        if (step % 20 == 0 && step > 100)
            check_truth(history, &kept);
    }
    check_truth(history, &kept);
    history_db_close(history);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, db_folder_setup, db_folder_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_slot_is_rolled_up_when_its_point_moves_on),
        TEST(a_late_sample_has_its_slot_done_anew),
        TEST(a_late_sample_after_a_rollback_is_not_missed),
        TEST(a_slot_open_at_a_restart_is_rolled_up_later),
        TEST(stamps_beyond_the_years_are_kept_and_not_rolled_up),
        TEST(whatever_happens_a_roll_up_tells_all_of_its_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
