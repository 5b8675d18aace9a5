/* The recorder: when records are closed, what goes first, what goes when space runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support/edge_bed.h"

#include <string.h>

#define MS      (int64_t) US_PER_MS
#define BIRTHS  3 /* of the bed: one for each of s, c, t */
#define BIG_BED (768 * 1024)

static uint64_t durable(const struct edge_bed *bed, enum stream stream)
{
    return journal_durable(bed->journal, (int)stream);
}

static struct recorder_status status_of(struct edge_bed *bed)
{
    struct recorder_status status;
    recorder_get_status(bed->recorder, &status);
    return status;
}

/* ---- births ---- */

static void births_are_durable_before_any_sample_comes(void **state)
{
    static const struct {
        size_t count;
        int first; /* place of its first point */
    } expected[BIRTHS] = {{1, BED_S}, {2, BED_C}, {2, BED_T}};
    (void)state;
    struct edge_bed bed;
    edge_bed_init(&bed, 1, false);
    edge_bed_open(&bed);
    assert_int_equal(durable(&bed, STREAM_A), BIRTHS);
    for (size_t i = 0; i < BIRTHS; i++) {
        struct record record;
        edge_bed_record(&bed, STREAM_A, i + 1, &record);
        assert_int_equal(record.head.kind, RECORD_BIRTH);
        assert_string_equal(record.edge, EDGE_BED_EDGE);
        assert_string_equal(record.site, EDGE_BED_SITE);
        assert_int_equal(record.point_count, expected[i].count);
        for (size_t n = 0; n < record.point_count; n++)
            assert_memory_equal(&record.points[n], &bed.points[(size_t)expected[i].first + n],
                                sizeof(record.points[n]));
        record_release(&record);
    }
    edge_bed_release(&bed);
}

static void data_names_the_birth_that_numbers_its_points(void **state)
{
    (void)state;
    struct edge_bed bed;
    struct record record;
    char birth[BIRTH_SIZE];
    edge_bed_init(&bed, 1, false);
    edge_bed_open(&bed);
    struct journal_reader *reader;
    struct journal_frame frame;
    assert_int_equal(journal_reader_open(bed.journal, STREAM_A, 2, &reader), 0);
    assert_int_equal(journal_reader_next(reader, &frame, NULL), 0);
    record_birth_id(frame.payload, frame.len, birth);
    journal_reader_close(reader);

    edge_bed_put(&bed, BED_C2, 7.25);
    edge_bed_flush(&bed);
    edge_bed_record(&bed, STREAM_C, 1, &record);
    assert_int_equal(record.head.kind, RECORD_DATA);
    assert_string_equal(record.birth, birth);
    assert_int_equal(record.sample_count, 1);
    assert_int_equal(record.samples[0].point, 1); /* the second of its birth */
    assert_int_equal(record.samples[0].t_ms, bed.now.wall_ms);
    assert_true(record.samples[0].value.number > 7.24 && record.samples[0].value.number < 7.26);
    record_release(&record);
    edge_bed_release(&bed);
}

/* ---- linger ---- */

static void check_linger(uint32_t point, enum stream stream, int64_t linger_us)
{
    struct edge_bed bed;
    edge_bed_init(&bed, 1, false);
    edge_bed_open(&bed);
    assert_true(edge_bed_step(&bed, 0) == NEVER);
    edge_bed_put(&bed, point, 1);
    int64_t due = edge_bed_step(&bed, 0);
    assert_int_equal(due, bed.now.mono_us + linger_us);
    assert_int_equal(durable(&bed, stream), 0);
    /* A later sample does not put it off. */
    edge_bed_put(&bed, point, 2);
    assert_int_equal(edge_bed_step(&bed, linger_us - 1), due);
    assert_int_equal(durable(&bed, stream), 0);
    assert_true(edge_bed_step(&bed, 1) == NEVER);
    assert_int_equal(durable(&bed, stream), 1);
    assert_int_equal(edge_bed_samples(&bed, stream), 2);
    edge_bed_release(&bed);
}

static void safety_is_durable_within_50_ms(void **state)
{
    (void)state;
    check_linger(BED_S, STREAM_S, 50 * MS);
}

static void compliance_is_durable_within_a_second(void **state)
{
    (void)state;
    check_linger(BED_C, STREAM_C, 1000 * MS);
}

static void trend_is_durable_within_a_second(void **state)
{
    (void)state;
    check_linger(BED_T, STREAM_T, 1000 * MS);
}

static void each_stream_has_a_clock_of_its_own(void **state)
{
    (void)state;
    struct edge_bed bed;
    edge_bed_init(&bed, 1, false);
    edge_bed_open(&bed);
    edge_bed_put(&bed, BED_T, 1);
    edge_bed_step(&bed, 0);
    edge_bed_step(&bed, 980 * MS);
    edge_bed_put(&bed, BED_S, 1);
    edge_bed_step(&bed, 0);
    edge_bed_step(&bed, 20 * MS); /* the trend's second is over, the 50 ms are not */
    assert_int_equal(durable(&bed, STREAM_T), 1);
    assert_int_equal(durable(&bed, STREAM_S), 0);
    edge_bed_step(&bed, 30 * MS);
    assert_int_equal(durable(&bed, STREAM_S), 1);
    edge_bed_release(&bed);
}

static void a_flush_waits_for_no_linger(void **state)
{
    (void)state;
    struct edge_bed bed;
    edge_bed_init(&bed, 1, false);
    edge_bed_open(&bed);
    for (uint32_t point = 0; point < EDGE_BED_POINTS; point++)
        edge_bed_put(&bed, point, point);
    edge_bed_flush(&bed);
    assert_int_equal(edge_bed_samples(&bed, STREAM_S), 1);
    assert_int_equal(edge_bed_samples(&bed, STREAM_C), 2);
    assert_int_equal(edge_bed_samples(&bed, STREAM_T), 2);
    assert_int_equal(status_of(&bed).samples, 5);
    edge_bed_release(&bed);
}

/* ---- size ---- */

static void a_record_closes_at_its_size_and_none_is_lost_or_out_of_order(void **state)
{
    enum { SAMPLES = 4000 };
    (void)state;
    struct edge_bed bed;
    edge_bed_init(&bed, 1, false);
    edge_bed_open(&bed);
    for (int i = 0; i < SAMPLES; i++) {
        bed.now.wall_ms++;
        edge_bed_put(&bed, BED_C, i);
    }
    edge_bed_step(&bed, 0);
    uint64_t full = durable(&bed, STREAM_C); /* without waiting for the linger */
    assert_true(full >= 2);
    edge_bed_flush(&bed);

    int next = 0;
    uint64_t total = 0;
    for (uint64_t seq = 1; seq <= durable(&bed, STREAM_C); seq++) {
        struct record record;
        edge_bed_record(&bed, STREAM_C, seq, &record);
        for (size_t i = 0; i < record.sample_count; i++, next++)
            assert_int_equal((int)record.samples[i].value.number, next);
        total += record.sample_count;
        assert_int_equal(record.total, total); /* appended up to and with this record */
        record_release(&record);
    }
    assert_int_equal(next, SAMPLES);

    struct journal_reader *reader;
    struct journal_frame frame;
    assert_int_equal(journal_reader_open(bed.journal, STREAM_C, 1, &reader), 0);
    while (!journal_reader_next(reader, &frame, NULL))
        assert_true(frame.len <= RECORD_CLOSE_BYTES);
    journal_reader_close(reader);
    edge_bed_release(&bed);
}

static void a_record_counts_the_samples_of_all_streams(void **state)
{
    (void)state;
    struct edge_bed bed;
    struct record record;
    edge_bed_init(&bed, 1, false);
    edge_bed_open(&bed);
    edge_bed_put(&bed, BED_S, 1);
    edge_bed_flush(&bed);
    edge_bed_put(&bed, BED_T, 1);
    edge_bed_put(&bed, BED_T, 2);
    edge_bed_flush(&bed);
    edge_bed_record(&bed, STREAM_T, 1, &record);
    assert_int_equal(record.total, 3);
    record_release(&record);
    edge_bed_release(&bed);
}

/* ---- what cannot be recorded ---- */

static void a_sample_of_an_unknown_place_stops_no_other(void **state)
{
    (void)state;
    struct edge_bed bed;
    edge_bed_init(&bed, 1, false);
    edge_bed_open(&bed);
    struct sample samples[] = {edge_bed_sample(&bed, EDGE_BED_POINTS, 1),
                               edge_bed_sample(&bed, UINT32_MAX, 2),
                               edge_bed_sample(&bed, BED_T, 3)};
    assert_int_equal(recorder_put(bed.recorder, samples, 3), 0);
    edge_bed_flush(&bed);
    assert_int_equal(edge_bed_samples(&bed, STREAM_T), 1);
    assert_int_equal(status_of(&bed).samples, 1);
    edge_bed_release(&bed);
}

static void a_sample_no_record_can_hold_is_counted_and_stops_no_other(void **state)
{
    (void)state;
    struct edge_bed bed;
    edge_bed_init(&bed, 1, false);
    edge_bed_open(&bed);
    struct sample samples[] = {edge_bed_sample(&bed, BED_T, 1), edge_bed_sample(&bed, BED_T, 2)};
    samples[0].t_ms = RECORD_MAX_TIME + 1;
    assert_int_equal(recorder_put(bed.recorder, samples, 2), 0);
    edge_bed_flush(&bed);
    assert_int_equal(edge_bed_samples(&bed, STREAM_T), 1);
    assert_int_equal(status_of(&bed).refused, 1);
    edge_bed_release(&bed);
}

static void
readings_that_were_held_back_are_counted_with_the_sample_that_tells_of_them(void **state)
{
    (void)state;
    struct edge_bed bed;
    edge_bed_init(&bed, 1, false);
    edge_bed_open(&bed);
    struct sample samples[] = {edge_bed_sample(&bed, BED_T, 1), edge_bed_sample(&bed, BED_T, 2),
                               edge_bed_sample(&bed, BED_T, 3)};
    samples[0].held = 4;
    samples[1].held = 7;
    samples[2].held = 2;
    samples[2].t_ms = RECORD_MAX_TIME + 1; /* no record can hold it */
    assert_int_equal(recorder_put(bed.recorder, samples, 3), 0);
    edge_bed_flush(&bed);
    assert_int_equal(status_of(&bed).samples, 13);
    assert_int_equal(status_of(&bed).held, 11);
    assert_int_equal(status_of(&bed).refused, 3);
    edge_bed_release(&bed);
}

static void samples_that_find_the_queue_full_are_counted(void **state)
{
    (void)state;
    struct edge_bed bed;
    edge_bed_init(&bed, 1, false);
    bed.queue_batches = 2;
    edge_bed_open(&bed);
    edge_bed_put(&bed, BED_T, 1);
    edge_bed_put(&bed, BED_T, 2);
    struct sample samples[] = {edge_bed_sample(&bed, BED_T, 3), edge_bed_sample(&bed, BED_T, 4),
                               edge_bed_sample(&bed, BED_T, 5)};
    assert_int_equal(recorder_put(bed.recorder, samples, 3), ERR_FULL);
    assert_int_equal(status_of(&bed).refused, 3);
    edge_bed_flush(&bed);
    assert_int_equal(edge_bed_samples(&bed, STREAM_T), 2);
    edge_bed_release(&bed);
}

/* ---- after a crash ---- */

/* A sample that the journal refuses takes with it what was held back before it. Steps that take
 * much at once, and no time, so that a record that is full meets the full journal. */
static void readings_held_back_are_counted_with_the_sample_that_is_refused(void **state)
{
    enum { HELD = 9, BATCH = 500, AT_ONCE = 40 };
    struct sample samples[BATCH];
    uint64_t put = 0;
    struct edge_bed bed;
    (void)state;
    edge_bed_init(&bed, 1, false);
    edge_bed_open(&bed);
    bed.disk.fail_one_in = 1;
    bed.disk.fail_ops = 1U << SIM_WRITE | 1U << SIM_SYNC | 1U << SIM_OPEN;
    for (size_t i = 0; i < BATCH; i++) {
        samples[i] = edge_bed_sample(&bed, BED_T, (double)i + 1.0 / 3);
        samples[i].held = HELD;
    }
    for (int round = 0; round < 1000 && !status_of(&bed).refused; round++) {
        for (int i = 0; i < AT_ONCE; i++, put += (uint64_t)BATCH * (1 + HELD))
            assert_int_equal(recorder_put(bed.recorder, samples, BATCH), 0);
        edge_bed_step(&bed, 0);
    }
    assert_true(status_of(&bed).refused > 0);
    bed.disk.fail_one_in = 0;
    edge_bed_step(&bed, 2000 * MS);
    edge_bed_flush(&bed);
    assert_int_equal(status_of(&bed).samples + status_of(&bed).refused, put);
    edge_bed_release(&bed);
}

static void losses_of_an_opening_come_before_the_births(void **state)
{
    (void)state;
    struct edge_bed bed;
    edge_bed_init(&bed, 3, false);
    edge_bed_open(&bed);
    for (int i = 0; i < 50; i++) {
        edge_bed_put(&bed, BED_T, i);
        edge_bed_put(&bed, BED_S, i);
        edge_bed_flush(&bed);
    }
    edge_bed_crash(&bed, true);
    edge_bed_open(&bed);
    assert_true(bed.report.unclean);
    assert_true(bed.report.loss_count > 0);
    uint64_t last = durable(&bed, STREAM_A);
    uint64_t first = last + 1 - bed.report.loss_count - BIRTHS;
    for (size_t i = 0; i < bed.report.loss_count; i++) {
        const struct journal_loss *lost = &bed.report.losses[i];
        struct record record;
        edge_bed_record(&bed, STREAM_A, first + i, &record);
        assert_int_equal(record.head.kind, RECORD_LOSS);
        assert_int_equal(record.loss.of, lost->stream);
        assert_int_equal(record.loss.first, lost->first);
        assert_int_equal(record.loss.last, lost->last);
        assert_int_equal(record.loss.points, lost->points);
        assert_string_equal(record.loss.cause, lost->cause);
        record_release(&record);
    }
    for (uint64_t seq = last + 1 - BIRTHS; seq <= last; seq++) {
        struct record record;
        edge_bed_record(&bed, STREAM_A, seq, &record);
        assert_int_equal(record.head.kind, RECORD_BIRTH);
        record_release(&record);
    }
    edge_bed_release(&bed);
}

/* ---- a full journal ---- */

struct ledger {
    uint64_t lost[STREAM_COUNT]; /* samples in loss records */
    struct intervals ranges[STREAM_COUNT];
    enum stream order[STREAM_COUNT * 64]; /* in which streams were dropped */
    size_t count;
};

/* What the loss records of stream a say. */
static void read_ledger(struct edge_bed *bed, struct ledger *ledger)
{
    struct journal_reader *reader;
    struct journal_frame frame;
    *ledger = (struct ledger){.count = 0};
    for (int stream = 0; stream < STREAM_COUNT; stream++)
        intervals_init(&ledger->ranges[stream], 1000);
    assert_int_equal(journal_reader_open(bed->journal, STREAM_A, 1, &reader), 0);
    while (!journal_reader_next(reader, &frame, NULL)) {
        struct record record;
        assert_int_equal(record_parse(frame.payload, frame.len, &record, NULL), 0);
        if (record.head.kind == RECORD_LOSS) {
            const struct record_loss *loss = &record.loss;
            ledger->lost[loss->of] += loss->points;
            if (ledger->count < sizeof(ledger->order) / sizeof(ledger->order[0]))
                ledger->order[ledger->count++] = loss->of;
            assert_int_equal(intervals_add(&ledger->ranges[loss->of], loss->first, loss->last), 0);
        }
        record_release(&record);
    }
    journal_reader_close(reader);
}

static void release_ledger(struct ledger *ledger)
{
    for (int stream = 0; stream < STREAM_COUNT; stream++)
        intervals_release(&ledger->ranges[stream]);
}

/* Puts samples until that many have been put, a step for each few. */
static void fill(struct edge_bed *bed, const uint32_t *points, size_t point_count, int rounds)
{
    struct sample samples[500];
    for (int round = 0; round < rounds; round++) {
        for (size_t p = 0; p < point_count; p++) {
            for (size_t i = 0; i < 500; i++)
                samples[i] = edge_bed_sample(bed, points[p], (double)i + 0.125);
            assert_int_equal(recorder_put(bed->recorder, samples, 500), 0);
        }
        edge_bed_step(bed, 1000 * MS);
        edge_bed_step(bed, 1000 * MS);
        assert_int_equal(status_of(bed).journal_error, 0);
    }
}

static void a_full_journal_drops_trend_first_and_names_what_it_drops(void **state)
{
    enum { ROUNDS = 40 };
    static const uint32_t all[] = {BED_S, BED_C, BED_T};
    (void)state;
    struct edge_bed bed;
    struct ledger ledger;
    edge_bed_init(&bed, 1, false);
    bed.options.limit_bytes = BIG_BED;
    edge_bed_open(&bed);
    fill(&bed, all, 3, ROUNDS);
    read_ledger(&bed, &ledger);
    assert_true(ledger.count > 0);
    for (size_t i = 0; i < ledger.count; i++)
        assert_int_equal(ledger.order[i], STREAM_T);
    assert_int_equal(edge_bed_samples(&bed, STREAM_T) + ledger.lost[STREAM_T], ROUNDS * 500);
    assert_int_equal(edge_bed_samples(&bed, STREAM_C), ROUNDS * 500);
    assert_int_equal(edge_bed_samples(&bed, STREAM_S), ROUNDS * 500);
    assert_int_equal(status_of(&bed).lost, ledger.lost[STREAM_T]);
    uint64_t bytes, received;
    journal_bytes(bed.journal, &bytes, &received);
    assert_true(bytes <= BIG_BED);
    release_ledger(&ledger);
    edge_bed_release(&bed);
}

static void where_no_trend_is_left_compliance_goes_then_safety_never_births(void **state)
{
    static const uint32_t all[] = {BED_S, BED_C, BED_T};
    static const uint32_t safety[] = {BED_S};
    (void)state;
    struct edge_bed bed;
    struct ledger ledger;
    edge_bed_init(&bed, 1, false);
    bed.options.limit_bytes = BIG_BED;
    edge_bed_open(&bed);
    fill(&bed, all, 3, 10);
    fill(&bed, safety, 1, 150);
    read_ledger(&bed, &ledger);
    /* A stream goes only when none of a lower rank is left. */
    for (size_t i = 1; i < ledger.count; i++)
        assert_true(ledger.order[i] <= ledger.order[i - 1]);
    assert_true(ledger.lost[STREAM_C] > 0);
    assert_true(ledger.lost[STREAM_S] > 0);
    assert_int_equal(ledger.lost[STREAM_A], 0);
    assert_int_equal(journal_first(bed.journal, STREAM_A), 1);
    assert_int_equal(edge_bed_samples(&bed, STREAM_T) + ledger.lost[STREAM_T], 10 * 500);
    assert_int_equal(edge_bed_samples(&bed, STREAM_C) + ledger.lost[STREAM_C], 10 * 500);
    assert_int_equal(edge_bed_samples(&bed, STREAM_S) + ledger.lost[STREAM_S], 160 * 500);
    release_ledger(&ledger);
    edge_bed_release(&bed);
}

static void what_the_centre_has_goes_first_and_is_no_loss(void **state)
{
    static const uint32_t all[] = {BED_S, BED_C, BED_T};
    (void)state;
    struct edge_bed bed;
    struct ledger ledger;
    edge_bed_init(&bed, 1, false);
    bed.options.limit_bytes = BIG_BED;
    edge_bed_open(&bed);
    for (int round = 0; round < 40; round++) {
        fill(&bed, all, 3, 1);
        struct intervals set;
        intervals_init(&set, 1);
        assert_int_equal(intervals_add(&set, 1, durable(&bed, STREAM_S)), 0);
        assert_int_equal(journal_receive(bed.journal, STREAM_S, &set), 0);
        intervals_clear(&set);
        assert_int_equal(intervals_add(&set, 1, durable(&bed, STREAM_C)), 0);
        assert_int_equal(journal_receive(bed.journal, STREAM_C, &set), 0);
        intervals_clear(&set);
        assert_int_equal(intervals_add(&set, 1, durable(&bed, STREAM_T)), 0);
        assert_int_equal(journal_receive(bed.journal, STREAM_T, &set), 0);
        intervals_release(&set);
    }
    assert_true(journal_first(bed.journal, STREAM_S) > 1); /* room was made */
    read_ledger(&bed, &ledger);
    assert_int_equal(ledger.count, 0);
    assert_int_equal(status_of(&bed).lost, 0);
    release_ledger(&ledger);
    edge_bed_release(&bed);
}

/* The machine dies at the very moment a segment is deleted. */
static int (*real_unlink)(void *self, const char *path);

static int unlink_and_die(void *self, const char *path)
{
    struct sim_disk *disk = self;
    int err = real_unlink(self, path);
    if (strstr(path, ".seg"))
        disk->dead = true;
    return err;
}

static void a_loss_is_durable_before_the_delete(void **state)
{
    static const uint32_t points[] = {BED_S, BED_T};
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct edge_bed bed;
        struct ledger ledger;
        struct sample samples[500];
        edge_bed_init(&bed, seed, false);
        bed.options.limit_bytes = BIG_BED;
        real_unlink = bed.disk.io.unlink;
        bed.disk.io.unlink = unlink_and_die;
        edge_bed_open(&bed);
        uint64_t promised = 0;
        for (int round = 0; round < 200 && !bed.disk.dead; round++) {
            promised = durable(&bed, STREAM_T);
            for (size_t p = 0; p < 2; p++) {
                for (size_t i = 0; i < 500; i++)
                    samples[i] = edge_bed_sample(&bed, points[p], (double)i);
                assert_int_equal(recorder_put(bed.recorder, samples, 500), 0);
            }
            edge_bed_step(&bed, 2000 * MS);
            edge_bed_step(&bed, 2000 * MS);
        }
        assert_true(bed.disk.dead);
        bed.disk.io.unlink = real_unlink;
        edge_bed_crash(&bed, true);
        edge_bed_open(&bed);
        read_ledger(&bed, &ledger);
        for (uint64_t seq = 1; seq <= promised; seq++) {
            if (intervals_contain(&ledger.ranges[STREAM_T], seq))
                continue;
            struct record record;
            edge_bed_record(&bed, STREAM_T, seq, &record);
            record_release(&record);
        }
        release_ledger(&ledger);
        edge_bed_release(&bed);
    }
}

static void a_disk_that_takes_nothing_for_a_while_costs_nothing(void **state)
{
    (void)state;
    struct edge_bed bed;
    edge_bed_init(&bed, 1, false);
    edge_bed_open(&bed);
    for (int i = 0; i < 10; i++)
        edge_bed_put(&bed, BED_C, i);
    edge_bed_flush(&bed);
    bed.disk.fail_one_in = 1;
    bed.disk.fail_ops = 1U << SIM_WRITE | 1U << SIM_SYNC | 1U << SIM_OPEN;
    for (int i = 10; i < 20; i++) {
        edge_bed_put(&bed, BED_C, i);
        int64_t due = edge_bed_step(&bed, 2000 * MS);
        /* Not a thousand times a second. */
        assert_true(due >= bed.now.mono_us + 1000 * MS || due == NEVER);
    }
    assert_int_not_equal(status_of(&bed).journal_error, 0);
    assert_true(strlen(status_of(&bed).error_text) > 0);
    bed.disk.fail_one_in = 0;
    edge_bed_step(&bed, 2000 * MS);
    edge_bed_flush(&bed);
    assert_int_equal(status_of(&bed).journal_error, 0);
    int next = 0;
    for (uint64_t seq = 1; seq <= durable(&bed, STREAM_C); seq++) {
        struct record record;
        edge_bed_record(&bed, STREAM_C, seq, &record);
        for (size_t i = 0; i < record.sample_count; i++, next++)
            assert_int_equal((int)record.samples[i].value.number, next);
        record_release(&record);
    }
    assert_int_equal(next, 20);
    assert_int_equal(status_of(&bed).refused, 0);
    edge_bed_release(&bed);
}

/* ---- a new epoch ---- */

#define VALUES 64

/* The values of all data records of a stream, asserted to be first … last, each once; `in_order`
 * unless some had to be recorded again behind others. */
static void check_set(struct edge_bed *bed, enum stream stream, int first, int last, bool in_order)
{
    struct journal_reader *reader;
    struct journal_frame frame;
    struct record record;
    unsigned seen[VALUES] = {0};
    int count = 0;
    assert_int_equal(journal_reader_open(bed->journal, (int)stream, 1, &reader), 0);
    while (!journal_reader_next(reader, &frame, NULL)) {
        assert_int_equal(record_parse(frame.payload, frame.len, &record, &bed->message), 0);
        for (size_t i = 0; i < record.sample_count; i++, count++) {
            int value = (int)record.samples[i].value.number;
            assert_in_range(value, first, last);
            assert_int_equal(seen[value]++, 0);
            if (in_order)
                assert_int_equal(value, first + count);
        }
        record_release(&record);
    }
    journal_reader_close(reader);
    assert_int_equal(count, last - first + 1);
}

static void check_values(struct edge_bed *bed, enum stream stream, int first, int last)
{
    check_set(bed, stream, first, last, true);
}

static void put_values(struct edge_bed *bed, int first, int last)
{
    for (int i = first; i <= last; i++) {
        edge_bed_put(bed, BED_C2, i);
        edge_bed_put(bed, BED_S, i);
        edge_bed_flush(bed);
    }
}

static void receive(struct edge_bed *bed, enum stream stream, uint64_t through)
{
    struct intervals received;
    intervals_init(&received, 10);
    assert_int_equal(intervals_add(&received, 1, through), 0);
    assert_int_equal(journal_receive(bed->journal, (int)stream, &received), 0);
    intervals_release(&received);
}

/* Is anything of an epoch that ended still owed after the next step? */
static bool owes(struct edge_bed *bed)
{
    char epoch[EPOCH_SIZE];
    edge_bed_step(bed, 0);
    return journal_old_epoch(bed->journal, epoch);
}

static void begin_epoch(struct edge_bed *bed)
{
    assert_int_equal(recorder_new_epoch(bed->recorder, bed->now, &bed->message), 0);
    assert_false(owes(bed));
}

static void a_new_epoch_records_anew_what_earlier_runs_have_without_a_receipt(void **state)
{
    (void)state;
    struct edge_bed bed;
    edge_bed_init(&bed, 2, false);
    edge_bed_open(&bed);
    put_values(&bed, 1, 5);
    receive(&bed, STREAM_C, 3);
    edge_bed_close(&bed);
    edge_bed_open(&bed);
    put_values(&bed, 6, 7);
    begin_epoch(&bed);
    check_values(&bed, STREAM_C, 4, 7);
    check_values(&bed, STREAM_S, 1, 7);
    edge_bed_release(&bed);
}

static void a_new_epoch_records_this_run_anew_and_nothing_twice(void **state)
{
    (void)state;
    struct edge_bed bed;
    char old[EPOCH_SIZE];
    edge_bed_init(&bed, 1, true);
    edge_bed_open(&bed);
    put_values(&bed, 1, 5);
    receive(&bed, STREAM_C, 5);
    receive(&bed, STREAM_S, 5);
    edge_bed_close(&bed);

    edge_bed_open(&bed);
    put_values(&bed, 6, 9);
    edge_bed_put(&bed, BED_C2, 10); /* still in memory */
    edge_bed_put(&bed, BED_S, 10);
    memcpy(old, journal_epoch(bed.journal), sizeof(old));
    begin_epoch(&bed);
    assert_string_not_equal(journal_epoch(bed.journal), old);
    struct record record;
    edge_bed_record(&bed, STREAM_A, 1, &record);
    assert_int_equal(record.head.kind, RECORD_BIRTH);
    record_release(&record);
    check_values(&bed, STREAM_C, 6, 10);
    check_values(&bed, STREAM_S, 6, 10);
    edge_bed_record(&bed, STREAM_C, 1, &record);
    assert_int_equal(record.samples[0].point, 1); /* BED_C2 in its birth, as before */
    record_release(&record);
    put_values(&bed, 11, 12);
    check_values(&bed, STREAM_C, 6, 12);

    /* And once more: what this run has recorded is in the present epoch, all of it. */
    begin_epoch(&bed);
    check_values(&bed, STREAM_C, 6, 12);
    check_values(&bed, STREAM_S, 6, 12);
    assert_int_equal(journal_points(bed.journal), 14);
    edge_bed_close(&bed);

    /* The next start goes on with it. */
    edge_bed_open(&bed);
    assert_int_equal(bed.report.loss_count, 0);
    check_values(&bed, STREAM_C, 6, 12);
    edge_bed_release(&bed);
}

/* The same disk as it was once, in the place of what it became since: what its second life recorded
 * after its last word with the centre may stand there under the same numbers. */
static void a_disk_that_went_back_owes_all_it_recorded_since_over_restarts(void **state)
{
    (void)state;
    struct edge_bed bed;
    edge_bed_init(&bed, 3, false);
    edge_bed_open(&bed);
    put_values(&bed, 1, 5);
    journal_vouch(bed.journal);
    receive(&bed, STREAM_C, 5);
    receive(&bed, STREAM_S, 5);
    for (int run = 0; run < 2; run++) { /* two starts before the centre is seen again */
        edge_bed_close(&bed);
        edge_bed_open(&bed);
        put_values(&bed, 6 + 2 * run, 7 + 2 * run);
    }
    assert_int_equal(journal_trusted(bed.journal, STREAM_C), 5);
    begin_epoch(&bed);
    check_values(&bed, STREAM_C, 6, 9);
    struct record record;
    edge_bed_record(&bed, STREAM_C, 1, &record);
    assert_true(record.was.other);
    assert_int_equal(record.was.seq, 6);
    record_release(&record);
    edge_bed_release(&bed);
}

/* The power goes at every use of the disk in turn, until none is left to cut. */
static void a_new_epoch_that_is_cut_off_anywhere_loses_nothing_and_doubles_nothing(void **state)
{
    (void)state;
    bool whole = false;
    for (uint64_t at = 1; !whole; at++) {
        struct edge_bed bed;
        char before[EPOCH_SIZE];
        edge_bed_init(&bed, at, false);
        edge_bed_open(&bed);
        put_values(&bed, 1, 20);
        receive(&bed, STREAM_C, 3);
        memcpy(before, journal_epoch(bed.journal), sizeof(before));
        bed.disk.dead_at = bed.disk.ops + at;
        whole = !recorder_new_epoch(bed.recorder, bed.now, &bed.message) && !bed.disk.dead;
        whole = whole && !owes(&bed) && !bed.disk.dead;
        bed.disk.dead_at = 0;
        if (!whole) {
            edge_bed_crash(&bed, at % 2);
            edge_bed_open(&bed);
        }
        assert_false(owes(&bed));
        if (strlen(status_of(&bed).error_text) && !whole)
            fail_msg("%s", status_of(&bed).error_text);
        bool began = strcmp(journal_epoch(bed.journal), before) != 0;
        /* Of a write that was cut off some frames may stand: the others come again, behind them. */
        check_set(&bed, STREAM_C, began ? 4 : 1, 20, false);
        check_set(&bed, STREAM_S, 1, 20, false);
        edge_bed_release(&bed);
        assert_true(at < 1000);
    }
}

/* All of the room is taken by what is owed: the oldest of the old epoch goes, told, and the rest
 * comes into the new one. */
static void a_full_journal_begins_a_new_epoch_all_the_same(void **state)
{
    (void)state;
    struct edge_bed bed;
    struct record record;
    char before[EPOCH_SIZE];
    uint64_t kept = 0, told = 0;
    edge_bed_init(&bed, 7, false);
    bed.options.segment_bytes = 8192;
    bed.options.limit_bytes = (uint64_t)12 * 8192;
    edge_bed_open(&bed);
    for (int i = 0; i < 150; i++) {
        edge_bed_put(&bed, BED_T, i);
        edge_bed_put(&bed, BED_S, i);
        edge_bed_flush(&bed);
    }
    uint64_t owed = edge_bed_samples(&bed, STREAM_S) + edge_bed_samples(&bed, STREAM_T);
    bed.disk.capacity = sim_disk_used(&bed.disk); /* not a byte more */
    memcpy(before, journal_epoch(bed.journal), sizeof(before));
    assert_int_equal(recorder_new_epoch(bed.recorder, bed.now, &bed.message), 0);
    for (int try = 0; owes(&bed) && try < 50; try++)
        edge_bed_step(&bed, 31000 * MS);
    assert_int_equal(status_of(&bed).journal_error, 0);
    assert_string_not_equal(journal_epoch(bed.journal), before);
    assert_false(owes(&bed));
    kept = edge_bed_samples(&bed, STREAM_S) + edge_bed_samples(&bed, STREAM_T);
    for (uint64_t seq = journal_first(bed.journal, STREAM_A); seq <= durable(&bed, STREAM_A);
         seq++) {
        edge_bed_record(&bed, STREAM_A, seq, &record);
        if (record.head.kind == RECORD_LOSS && !record.was.seq)
            told += record.loss.points;
        record_release(&record);
    }
    assert_int_equal(kept + told, owed);
    assert_true(kept > 0);
    put_values(&bed, 1, 3);
    edge_bed_release(&bed);
}

static void a_loss_that_was_owed_is_told_of_the_epoch_it_was_in(void **state)
{
    (void)state;
    struct edge_bed bed;
    struct record record;
    char before[EPOCH_SIZE];
    edge_bed_init(&bed, 5, false);
    edge_bed_open(&bed);
    put_values(&bed, 1, 3);
    edge_bed_crash(&bed, true); /* what was reserved is told as a loss by the next start */
    edge_bed_open(&bed);
    assert_true(bed.report.loss_count > 0);
    memcpy(before, journal_epoch(bed.journal), sizeof(before));
    begin_epoch(&bed);
    size_t told = 0;
    for (uint64_t seq = 1; seq <= durable(&bed, STREAM_A); seq++) {
        edge_bed_record(&bed, STREAM_A, seq, &record);
        if (record.head.kind == RECORD_LOSS) {
            assert_string_equal(record.loss.epoch, before);
            assert_string_equal(record.loss.cause, "restart");
            told++;
        }
        record_release(&record);
    }
    assert_int_equal(told, bed.report.loss_count);
    edge_bed_release(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(births_are_durable_before_any_sample_comes),
        cmocka_unit_test(data_names_the_birth_that_numbers_its_points),
        cmocka_unit_test(safety_is_durable_within_50_ms),
        cmocka_unit_test(compliance_is_durable_within_a_second),
        cmocka_unit_test(trend_is_durable_within_a_second),
        cmocka_unit_test(each_stream_has_a_clock_of_its_own),
        cmocka_unit_test(a_flush_waits_for_no_linger),
        cmocka_unit_test(a_record_closes_at_its_size_and_none_is_lost_or_out_of_order),
        cmocka_unit_test(a_record_counts_the_samples_of_all_streams),
        cmocka_unit_test(a_sample_of_an_unknown_place_stops_no_other),
        cmocka_unit_test(a_sample_no_record_can_hold_is_counted_and_stops_no_other),
        cmocka_unit_test(
            readings_that_were_held_back_are_counted_with_the_sample_that_tells_of_them),
        cmocka_unit_test(samples_that_find_the_queue_full_are_counted),
        cmocka_unit_test(readings_held_back_are_counted_with_the_sample_that_is_refused),
        cmocka_unit_test(losses_of_an_opening_come_before_the_births),
        cmocka_unit_test(a_full_journal_drops_trend_first_and_names_what_it_drops),
        cmocka_unit_test(where_no_trend_is_left_compliance_goes_then_safety_never_births),
        cmocka_unit_test(what_the_centre_has_goes_first_and_is_no_loss),
        cmocka_unit_test(a_loss_is_durable_before_the_delete),
        cmocka_unit_test(a_disk_that_takes_nothing_for_a_while_costs_nothing),
        cmocka_unit_test(a_new_epoch_records_anew_what_earlier_runs_have_without_a_receipt),
        cmocka_unit_test(a_new_epoch_records_this_run_anew_and_nothing_twice),
        cmocka_unit_test(a_disk_that_went_back_owes_all_it_recorded_since_over_restarts),
        cmocka_unit_test(a_new_epoch_that_is_cut_off_anywhere_loses_nothing_and_doubles_nothing),
        cmocka_unit_test(a_full_journal_begins_a_new_epoch_all_the_same),
        cmocka_unit_test(a_loss_that_was_owed_is_told_of_the_epoch_it_was_in),
    };
    return cmocka_run_group_tests_name("recorder", tests, NULL, NULL);
}
