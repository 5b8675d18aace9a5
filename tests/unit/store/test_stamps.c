/*
 * No two samples of a point get one stamp, as far as clocks may go back, and whoever walks the same
 * journal again, from anywhere, gives the same stamps. What is settled is compared with a plain
 * memory of everything.
 */
#include "base/crypto.h"
#include "store/history_tie.h"
#include "store/stamps.h"
#include "tests/unit/support/db_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EPOCH    "9f0c0000000000000000000000000001"
#define T0       INT64_C(1767576600000)
#define MINUTE   INT64_C(60000)
#define RECORDS  3000
#define A_RECORD 4 /* samples */
#define TOTAL    (RECORDS * A_RECORD)

/* A walk: the embedded store, written as a historian does, and a reader that settles. */
struct walk {
    const struct db_folder *place;
    struct history_db *writer, *reader;
    struct stamps stamps;
    struct stamp_point point;
    int64_t number, source;
    uint64_t seq; /* of the last record the embedded store has */
};

static struct history_db *open_as(const struct db_folder *place, enum db_mode mode)
{
    struct db_options options = {.path = place->path, .mode = mode};
    struct message message = {""};
    struct history_db *history = NULL;
    if (history_db_open(&options, &history, NULL, &message))
        fail_msg("%s", message.text);
    return history;
}

static void begin(struct walk *walk, const struct db_folder *place)
{
    struct point_info info = {.id = "a.b.c", .class_ = "trend"};
    *walk = (struct walk){.place = place, .writer = open_as(place, DB_WRITER)};
    assert_int_equal(history_db_begin(walk->writer, NULL), 0);
    assert_int_equal(history_db_add_point(walk->writer, &info, &walk->number, NULL), 0);
    assert_int_equal(
        history_db_add_source(walk->writer, "e1", EPOCH, STREAM_T, &walk->source, NULL), 0);
    assert_int_equal(history_db_commit(walk->writer, NULL), 0);
    walk->reader = open_as(place, DB_READER);
    walk->stamps = (struct stamps){.embedded = walk->reader};
    walk->point = (struct stamp_point){.id = "a.b.c"};
}

static void end(struct walk *walk)
{
    history_db_close(walk->reader);
    history_db_close(walk->writer);
}

static struct record make_record(uint64_t seq, struct sample *samples, const int64_t *times,
                                 size_t count)
{
    struct record record = {.samples = samples, .sample_count = count};
    record.head = (struct record_head){.kind = RECORD_DATA, .epoch = EPOCH, .stream = STREAM_T};
    record.head.seq = seq;
    for (size_t i = 0; i < count; i++)
        samples[i] = (struct sample){.t_ms = times[i], .value = {VALUE_DOUBLE, 1, ""}};
    return record;
}

/* The embedded store takes the next records. */
static void embed(struct walk *walk, const int64_t *times, size_t each, size_t records)
{
    struct sample samples[A_RECORD];
    assert_int_equal(history_db_begin(walk->writer, NULL), 0);
    for (size_t i = 0; i < records; i++) {
        struct record record = make_record(++walk->seq, samples, times + i * each, each);
        assert_int_equal(history_db_add_samples(walk->writer, walk->source, record.head.seq,
                                                &walk->number, 1, samples, each, NULL, NULL),
                         0);
    }
    assert_int_equal(history_db_set_cursor(walk->writer, walk->seq, NULL), 0);
    assert_int_equal(history_db_commit(walk->writer, NULL), 0);
}

/* Settles the record `seq`, whose place in the journal that is too. */
static int settle(struct walk *walk, uint64_t seq, const int64_t *times, size_t count,
                  int64_t *ret_times)
{
    struct sample samples[A_RECORD];
    struct record record = make_record(seq, samples, times, count);
    struct stamp_record stamped = {.position = seq, .edge = "e1", .record = &record};
    int err = 0;
    for (size_t i = 0; !err && i < count; i++)
        err = stamps_settle(&walk->stamps, &walk->point, &stamped, i, &ret_times[i], NULL);
    return err;
}

static void time_that_goes_on_asks_nobody(void **state)
{
    struct walk walk;
    begin(&walk, *state);
    for (uint64_t seq = 1; seq < 200; seq++) {
        int64_t t_ms = T0 + (int64_t)seq * 7, settled = 0;
        assert_int_equal(settle(&walk, seq, &t_ms, 1, &settled), 0);
        assert_int_equal(settled, t_ms);
    }
    end(&walk);
}

static void a_clock_on_whole_minutes_set_back_loses_nothing(void **state)
{
    struct walk walk;
    int64_t times[120], settled[120];
    begin(&walk, *state);
    for (int i = 0; i < 120; i++)
        times[i] = T0 + (i < 60 ? i : i - 30) * MINUTE;
    embed(&walk, times, 1, 120);
    for (int i = 0; i < 120; i++)
        assert_int_equal(settle(&walk, (uint64_t)i + 1, &times[i], 1, &settled[i]), 0);
    for (int i = 0; i < 120; i++)
        assert_int_equal(settled[i], times[i] + (i >= 60 && i < 90));
    end(&walk);
}

static void what_is_not_newer_waits_for_the_embedded_store(void **state)
{
    struct walk walk;
    const int64_t times[] = {T0, T0 + 500, T0};
    int64_t settled = 0;
    begin(&walk, *state);
    embed(&walk, times, 1, 2);
    assert_int_equal(settle(&walk, 1, &times[0], 1, &settled), 0);
    assert_int_equal(settle(&walk, 2, &times[1], 1, &settled), 0);
    assert_int_equal(settle(&walk, 3, &times[2], 1, &settled), ERR_NOT_FOUND);
    embed(&walk, &times[2], 1, 1);
    assert_int_equal(settle(&walk, 3, &times[2], 1, &settled), 0);
    assert_int_equal(settled, T0 + 1);
    end(&walk);
}

static void a_point_met_later_in_the_journal_waits_for_what_was_before(void **state)
{
    struct walk walk;
    const int64_t times[] = {T0, T0 + 500, T0 + 900};
    int64_t settled = 0;
    begin(&walk, *state);
    walk.stamps.from = 2;
    assert_int_equal(settle(&walk, 3, &times[2], 1, &settled), ERR_NOT_FOUND);
    embed(&walk, times, 1, 2);
    /* It is newer than all that was before, so its own record need not be there. */
    assert_int_equal(settle(&walk, 3, &times[2], 1, &settled), 0);
    assert_int_equal(settled, T0 + 900);
    end(&walk);
}

/* ---- against a memory of everything ---- */

#define SPAN 400000 /* times lie within it */

static int64_t times[TOTAL], wanted[TOTAL];
static bool given[SPAN];

/* Times as a county's clocks give them at their worst: often equal, steps back, far backfill. */
static void make_times(uint32_t random)
{
    int64_t t = 100000;
    for (int i = 0; i < TOTAL; i++) {
        uint32_t chance = seeded(&random) % 1000;
        if (chance < 600)
            t += seeded(&random) % 2 * 20;
        else if (chance < 940)
            t += 7;
        else if (chance < 990)
            t -= seeded(&random) % 30;
        else
            t = 100000 + seeded(&random) % 100000;
        times[i] = T0 + t;
    }
}

static void remember(void)
{
    memset(given, 0, sizeof(given));
    for (int i = 0; i < TOTAL; i++) {
        int64_t at = times[i] - T0;
        while (given[at])
            at++;
        assert_in_range(at - (times[i] - T0), 0, TIE_NEAR - 1); /* else the rule is another one */
        given[at] = true;
        wanted[i] = T0 + at;
    }
}

static void every_walk_agrees_with_a_memory_of_everything(void **state)
{
    struct walk walk;
    begin(&walk, *state);
    make_times(7);
    remember();
    for (int from = 0; from < RECORDS; from += 700) {
        walk.stamps = (struct stamps){.embedded = walk.reader, .from = (uint64_t)from};
        walk.point = (struct stamp_point){.id = "a.b.c"};
        for (int i = from; i < RECORDS; i++) {
            int64_t settled[A_RECORD];
            const int64_t *of_record = &times[i * A_RECORD];
            if (walk.seq == (uint64_t)i && i % 8 == 0) /* ahead by up to eight records */
                embed(&walk, of_record, A_RECORD, RECORDS - i < 8 ? (size_t)(RECORDS - i) : 8);
            assert_int_equal(settle(&walk, (uint64_t)i + 1, of_record, A_RECORD, settled), 0);
            for (int k = 0; k < A_RECORD; k++)
                assert_int_equal(settled[k], wanted[i * A_RECORD + k]);
        }
    }
    end(&walk);
}

static void a_second_of_milliseconds_repeated_stays_apart_and_is_quick(void **state)
{
    struct walk walk;
    begin(&walk, *state);
    memset(given, 0, sizeof(given));
    for (int i = 0; i < TOTAL; i++)
        times[i] = T0 + i % 1000;
    embed(&walk, times, A_RECORD, RECORDS);
    for (int i = 0; i < RECORDS; i++) {
        int64_t settled[A_RECORD];
        assert_int_equal(settle(&walk, (uint64_t)i + 1, &times[i * A_RECORD], A_RECORD, settled),
                         0);
        for (int k = 0; k < A_RECORD; k++) {
            assert_in_range(settled[k] - T0, i * A_RECORD % 1000, SPAN - 1);
            assert_false(given[settled[k] - T0]);
            given[settled[k] - T0] = true;
        }
    }
    end(&walk);
}

#define TEST(function) \
    cmocka_unit_test_setup_teardown(function, db_folder_setup, db_folder_teardown)

int main(void)
{
    if (crypto_init())
        return 1;
    const struct CMUnitTest tests[] = {
        TEST(time_that_goes_on_asks_nobody),
        TEST(a_clock_on_whole_minutes_set_back_loses_nothing),
        TEST(what_is_not_newer_waits_for_the_embedded_store),
        TEST(a_point_met_later_in_the_journal_waits_for_what_was_before),
        TEST(every_walk_agrees_with_a_memory_of_everything),
        TEST(a_second_of_milliseconds_repeated_stays_apart_and_is_quick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
