#include "base/numbers.h"
#include "store/history_db.h"
#include "store/history_read.h"
#include "tests/unit/support/db_folder.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define T0    1767576600000
#define EPOCH "9f0c0000000000000000000000000001"

static struct history_db *open_as(const struct db_folder *place, enum db_mode mode)
{
    struct db_options options = {.path = place->path, .mode = mode};
    struct message message = {""};
    struct history_db *history = NULL;

    if (history_db_open(&options, &history, NULL, &message) != 0)
        fail_msg("%s", message.text);
    return history;
}

static int64_t add_point(struct history_db *history, const char *id)
{
    struct point_info info = {.name = "COD",
                              .unit = "mg/L",
                              .type = "float32",
                              .site = "leachate",
                              .map = "a1b2c3d4e5f60718",
                              .class_ = "compliance",
                              .interval_ms = 1000};
    int64_t number = 0;

    snprintf(info.id, sizeof info.id, "%s", id);
    assert_int_equal(history_db_add_point(history, &info, &number, NULL), 0);
    return number;
}

static int64_t add_source(struct history_db *history, const char *edge, enum stream stream)
{
    int64_t number = 0;

    assert_int_equal(history_db_add_source(history, edge, EPOCH, stream, &number, NULL), 0);
    return number;
}

static struct sample good(int64_t t_ms, double number)
{
    return (struct sample){.t_ms = t_ms, .value = {.kind = VALUE_DOUBLE, .number = number}};
}

/* Adds samples of one point as one record; how many were new. */
static size_t add(struct history_db *history, int64_t point, int64_t source, uint64_t seq,
                  const struct sample *samples, size_t count)
{
    struct message message = {""};
    size_t stored = 0;

    if (history_db_add_samples(history, source, seq, &point, 1, samples, count, &stored,
                               &message) != 0)
        fail_msg("%s", message.text);
    return stored;
}

static void begin(struct history_db *history)
{
    assert_int_equal(history_db_begin(history, NULL), 0);
}

static void commit(struct history_db *history)
{
    assert_int_equal(history_db_commit(history, NULL), 0);
}

static uint64_t count(struct history_db *history)
{
    uint64_t n = 99;

    assert_int_equal(history_db_count(history, &n, NULL), 0);
    return n;
}

static uint64_t cursor(struct history_db *history)
{
    uint64_t position = 99;

    assert_int_equal(history_db_cursor(history, &position, NULL), 0);
    return position;
}

static size_t read_all(struct history_db *history, int64_t point, struct history_sample *ret,
                       size_t capacity)
{
    size_t n = 0;

    assert_int_equal(
        history_read_samples(history, point, 0, -1, INT64_MAX, ret, capacity, &n, NULL), 0);
    return n;
}

static void a_record_and_the_cursor_come_back_after_reopening(void **state)
{
    struct history_db *history = open_as(*state, DB_WRITER);
    struct history_sample got[4];
    struct sample samples[4] = {
        good(T0, 61.8),
        {.t_ms = T0 + 1, .value = {.kind = VALUE_FLOAT, .number = (double)21.64f}},
        {.t_ms = T0 + 2, .quality = QUALITY_BAD, .cause = CAUSE_COMM_TIMEOUT},
        {.t_ms = T0 + 3, .quality = QUALITY_UNCERTAIN, .value = {.kind = VALUE_TEXT}},
    };

    snprintf(samples[3].value.text, sizeof samples[3].value.text, "18446744073709551615");
    begin(history);
    int64_t point = add_point(history, "leachate.effluent.cod");
    int64_t source = add_source(history, "leachate-north", STREAM_C);
    assert_int_equal(add(history, point, source, 18446, samples, 4), 4);
    assert_int_equal(history_db_set_cursor(history, 7, NULL), 0);
    commit(history);
    history_db_close(history);

    history = open_as(*state, DB_READER);
    assert_int_equal(cursor(history), 7);
    assert_int_equal(count(history), 4);
    assert_int_equal(read_all(history, point, got, 4), 4);
    assert_int_equal(got[0].t_ms, T0);
    assert_int_equal(got[0].value.kind, VALUE_DOUBLE);
    assert_true(double_same(got[0].value.number, 61.8));
    assert_int_equal(got[0].source, source);
    assert_int_equal(got[0].seq, 18446);
    assert_int_equal(got[1].value.kind, VALUE_FLOAT);
    assert_true(double_same(got[1].value.number, (double)21.64f));
    assert_int_equal(got[2].value.kind, VALUE_NONE);
    assert_int_equal(got[2].quality, QUALITY_BAD);
    assert_int_equal(got[2].cause, CAUSE_COMM_TIMEOUT);
    assert_int_equal(got[3].value.kind, VALUE_TEXT);
    assert_string_equal(got[3].value.text, "18446744073709551615");
    assert_int_equal(got[3].quality, QUALITY_UNCERTAIN);
    history_db_close(history);
}

static void a_replay_changes_nothing(void **state)
{
    struct history_db *history = open_as(*state, DB_WRITER);
    /* Two of them bear one stamp: they are two, and stay two. */
    struct sample samples[3] = {good(T0, 1), good(T0, 2), good(T0 + 5, 3)};
    struct history_sample got[8];

    begin(history);
    int64_t point = add_point(history, "a.b.c");
    int64_t source = add_source(history, "edge", STREAM_T);
    assert_int_equal(add(history, point, source, 5, samples, 3), 3);
    assert_int_equal(add(history, point, source, 5, samples, 3), 0);
    commit(history);
    for (int i = 0; i < 3; i++) {
        begin(history);
        assert_int_equal(add_point(history, "a.b.c"), point);
        assert_int_equal(add_source(history, "edge", STREAM_T), source);
        assert_int_equal(add(history, point, source, 5, samples, 3), 0);
        commit(history);
    }
    assert_int_equal(count(history), 3);
    assert_int_equal(read_all(history, point, got, 8), 3);
    assert_true(double_same(got[0].value.number, 1));
    assert_int_equal(got[0].tie, 0);
    assert_true(double_same(got[1].value.number, 2));
    assert_int_equal(got[1].tie, 1);
    history_db_close(history);
}

static void another_record_with_the_stamp_gets_the_next_tie(void **state)
{
    struct history_db *history = open_as(*state, DB_WRITER);
    struct sample sample = good(T0, 1);
    struct history_sample got[8];

    begin(history);
    int64_t point = add_point(history, "a.b.c");
    int64_t t = add_source(history, "edge", STREAM_T);
    int64_t c = add_source(history, "edge", STREAM_C);
    assert_int_not_equal(t, c);
    assert_int_equal(add(history, point, t, 5, &sample, 1), 1);
    assert_int_equal(add(history, point, t, 6, &sample, 1), 1);
    assert_int_equal(add(history, point, c, 5, &sample, 1), 1);
    assert_int_equal(add(history, point, t, 6, &sample, 1), 0);
    assert_int_equal(add(history, point, c, 5, &sample, 1), 0);
    commit(history);
    assert_int_equal(read_all(history, point, got, 8), 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(got[i].tie, i);
    assert_int_equal(got[1].seq, 6);
    assert_int_equal(got[2].source, c);
    history_db_close(history);
}

static void write_and_leave_open(void *self)
{
    struct history_db *history = open_as(self, DB_WRITER);
    struct sample samples[2] = {good(T0, 1), good(T0 + 1, 2)};

    begin(history);
    int64_t point = add_point(history, "a.b.c");
    int64_t source = add_source(history, "edge", STREAM_T);
    add(history, point, source, 1, samples, 2);
    assert_int_equal(history_db_set_cursor(history, 1, NULL), 0);
    commit(history);
    begin(history);
    add(history, point, source, 2, samples, 2);
    assert_int_equal(history_db_set_cursor(history, 2, NULL), 0);
}

static void a_kill_keeps_results_and_cursor_together(void **state)
{
    struct sample samples[2] = {good(T0, 1), good(T0 + 1, 2)};

    assert_true(killed_after(write_and_leave_open, *state));
    struct history_db *history = open_as(*state, DB_WRITER);
    assert_int_equal(cursor(history), 1);
    assert_int_equal(count(history), 2);
    begin(history);
    int64_t point = add_point(history, "a.b.c");
    int64_t source = add_source(history, "edge", STREAM_T);
    assert_int_equal(add(history, point, source, 2, samples, 2), 2);
    commit(history);
    assert_int_equal(count(history), 4);
    history_db_close(history);
}

/* Commits record after record and tells each through a pipe, until it is killed. */
static void commit_for_ever(const struct db_folder *place, int told)
{
    struct history_db *history = open_as(place, DB_WRITER);
    struct sample samples[50];

    for (uint64_t seq = cursor(history) + 1;; seq++) {
        for (int i = 0; i < 50; i++)
            samples[i] = good(T0 + (int64_t)seq * 50 + i, i);
        begin(history);
        int64_t point = add_point(history, "a.b.c");
        int64_t source = add_source(history, "edge", STREAM_T);
        add(history, point, source, seq, samples, 50);
        assert_int_equal(history_db_set_cursor(history, seq, NULL), 0);
        commit(history);
        if (write(told, &seq, sizeof seq) != sizeof seq)
            return;
    }
}

static void what_was_told_as_committed_survives_a_kill_at_any_time(void **state)
{
    uint32_t random = 5;
    uint64_t told = 0;

    for (int round = 0; round < 12; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        if (child == 0) {
            commit_for_ever(*state, ends[1]);
            _exit(1);
        }
        close(ends[1]);
        for (uint32_t left = 1 + seeded(&random) % 20; left > 0; left--)
            assert_int_equal(read(ends[0], &told, sizeof told), sizeof told);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        close(ends[0]);
        struct history_db *history = open_as(*state, DB_WRITER);
        assert_true(cursor(history) >= told);
        assert_int_equal(count(history), cursor(history) * 50);
        uint64_t rows = 0;
        assert_int_equal(history_read_count(history, 1, &rows, NULL), 0);
        assert_int_equal(rows, count(history));
        history_db_close(history);
    }
}

static void a_full_disk_keeps_cursor_count_and_samples_of_the_last_commit(void **state)
{
    const struct db_folder *place = *state;
    struct db_options options = {
        .path = place->path, .mode = DB_WRITER, .limit_bytes = (int64_t)64 * 4096};
    struct history_db *history = NULL;
    struct sample samples[500];
    uint64_t seq = 0;
    uint64_t kept = 0;
    int err = 0;

    assert_int_equal(history_db_open(&options, &history, NULL, NULL), 0);
    begin(history);
    int64_t point = add_point(history, "a.b.c");
    int64_t source = add_source(history, "edge", STREAM_T);
    commit(history);
    while (err == 0 && seq < 1000) {
        begin(history);
        for (int i = 0; i < 500; i++)
            samples[i] = good(T0 + (int64_t)seq * 500 + i, i);
        seq++;
        err = history_db_add_samples(history, source, seq, &point, 1, samples, 500, NULL, NULL);
        if (err == 0)
            err = history_db_set_cursor(history, seq, NULL);
        if (err == 0)
            err = history_db_commit(history, NULL);
        else
            history_db_rollback(history);
        kept += err == 0 ? 500 : 0;
    }
    assert_int_equal(err, ERR_FULL);
    assert_true(kept > 0);
    assert_int_equal(count(history), kept);
    assert_int_equal(cursor(history), seq - 1);
    history_db_close(history);
}

static void a_point_number_of_a_rolled_back_transaction_is_forgotten(void **state)
{
    struct history_db *history = open_as(*state, DB_WRITER);
    struct history_point found;

    begin(history);
    add_point(history, "a.b.gone");
    history_db_rollback(history);
    begin(history);
    int64_t point = add_point(history, "a.b.other");
    int64_t again = add_point(history, "a.b.gone");
    commit(history);
    assert_int_not_equal(point, again);
    assert_int_equal(history_db_point(history, "a.b.gone", &found, NULL), 0);
    assert_int_equal(found.id, again);
    assert_int_equal(history_db_point(history, "a.b.never", &found, NULL), ERR_NOT_FOUND);
    history_db_close(history);
}

static void a_later_birth_changes_what_is_known_of_a_point(void **state)
{
    struct history_db *history = open_as(*state, DB_WRITER);
    struct point_info info = {.id = "a.b.c", .name = "COD", .unit = "mg/L", .interval_ms = 1000};
    struct history_point found;
    int64_t first = 0;
    int64_t second = 0;

    begin(history);
    assert_int_equal(history_db_add_point(history, &info, &first, NULL), 0);
    snprintf(info.unit, sizeof info.unit, "g/L");
    info.interval_ms = 5000;
    assert_int_equal(history_db_add_point(history, &info, &second, NULL), 0);
    commit(history);
    assert_int_equal(first, second);
    assert_int_equal(history_db_point(history, "a.b.c", &found, NULL), 0);
    assert_string_equal(found.info.unit, "g/L");
    assert_string_equal(found.info.name, "COD");
    assert_int_equal(found.info.interval_ms, 5000);
    history_db_close(history);
}

static void points_are_listed_in_pages(void **state)
{
    struct history_db *history = open_as(*state, DB_WRITER);
    struct history_point page[30];
    size_t n = 0;
    size_t seen = 0;
    int64_t after = 0;
    char id[32];

    begin(history);
    for (int i = 0; i < 700; i++) {
        snprintf(id, sizeof id, "site.name.p%d", i);
        assert_int_equal(add_point(history, id), i + 1);
    }
    commit(history);
    do {
        assert_int_equal(history_db_points(history, after, page, 30, &n, NULL), 0);
        for (size_t i = 0; i < n; i++) {
            snprintf(id, sizeof id, "site.name.p%zu", seen++);
            assert_string_equal(page[i].info.id, id);
            after = page[i].id;
        }
    } while (n > 0);
    assert_int_equal(seen, 700);
    history_db_close(history);
}

static void a_birth_is_kept_verbatim_and_once(void **state)
{
    struct history_db *history = open_as(*state, DB_WRITER);
    struct buffer out;

    buffer_init(&out, 1024);
    begin(history);
    assert_int_equal(history_db_add_birth(history, "a1b2", "{\"v\":1}", 7, NULL), 0);
    assert_int_equal(history_db_add_birth(history, "a1b2", "other", 5, NULL), 0);
    commit(history);
    assert_int_equal(history_db_birth(history, "a1b2", &out, NULL), 0);
    assert_string_equal(buffer_text(&out), "{\"v\":1}");
    assert_int_equal(history_db_birth(history, "ffff", &out, NULL), ERR_NOT_FOUND);
    buffer_release(&out);
    history_db_close(history);
}

static void the_latest_is_by_stamp_not_by_arrival(void **state)
{
    struct history_db *history = open_as(*state, DB_WRITER);
    struct sample live = good(T0 + 1000, 5);
    struct sample tie = good(T0 + 1000, 6);
    struct sample late = good(T0, 4);
    struct history_latest latest[4];
    size_t n = 0;

    begin(history);
    int64_t source = add_source(history, "edge", STREAM_T);
    int64_t a = add_point(history, "a.b.a");
    add_point(history, "a.b.empty");
    int64_t c = add_point(history, "a.b.c");
    add(history, a, source, 9, &live, 1);
    add(history, a, source, 10, &tie, 1);
    add(history, a, source, 3, &late, 1);
    add(history, c, source, 3, &late, 1);
    commit(history);
    assert_int_equal(history_read_latest(history, 0, latest, 4, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_string_equal(latest[0].point, "a.b.a");
    assert_true(double_same(latest[0].sample.value.number, 6));
    assert_int_equal(latest[0].sample.t_ms, T0 + 1000);
    assert_string_equal(latest[1].point, "a.b.c");
    assert_int_equal(history_read_latest(history, a, latest, 4, &n, NULL), 0);
    assert_int_equal(n, 1);
    assert_int_equal(latest[0].id, c);
    history_db_close(history);
}

static void samples_come_in_pages_without_gap_or_double(void **state)
{
    struct history_db *history = open_as(*state, DB_WRITER);
    struct sample samples[100];
    struct history_sample page[7];
    int64_t from = T0;
    int64_t tie = -1;
    size_t n = 0;
    size_t seen = 0;

    /* Four to a stamp, so that pages end within ties. */
    for (int i = 0; i < 100; i++)
        samples[i] = good(T0 + i / 4, i);
    begin(history);
    int64_t point = add_point(history, "a.b.c");
    int64_t source = add_source(history, "edge", STREAM_T);
    assert_int_equal(add(history, point, source, 1, samples, 100), 100);
    commit(history);
    do {
        assert_int_equal(
            history_read_samples(history, point, from, tie, T0 + 24, page, 7, &n, NULL), 0);
        for (size_t i = 0; i < n; i++)
            assert_true(double_same(page[i].value.number, (double)seen++));
        if (n > 0) {
            from = page[n - 1].t_ms;
            tie = page[n - 1].tie;
        }
    } while (n > 0);
    assert_int_equal(seen, 96);
    history_db_close(history);
}

/* ---- buckets against an oracle that looks at every sample for every bucket ---- */

#define ORACLE_SAMPLES 20000

static struct sample random_sample(uint32_t *random, int64_t span_ms)
{
    struct sample sample =
        good(T0 + seeded(random) % span_ms, (double)(int32_t)seeded(random) / 65536.0);

    switch (seeded(random) % 10) {
    case 0:
        sample.quality = QUALITY_BAD;
        sample.cause = CAUSE_SENSOR_FAULT;
        break;
    case 1:
        sample.quality = QUALITY_STALE;
        sample.value = (struct value){.kind = VALUE_NONE};
        break;
    case 2:
        sample.quality = QUALITY_UNCERTAIN;
        break;
    case 3:
        sample.value = (struct value){.kind = VALUE_TEXT, .text = "x"};
        break;
    default:
        break;
    }
    return sample;
}

static struct history_bucket oracle(const struct sample *samples, size_t count, int64_t start,
                                    int64_t end)
{
    struct history_bucket bucket = {.start_ms = start};
    double sum = 0;

    for (size_t i = 0; i < count; i++) {
        const struct sample *s = &samples[i];
        if (s->t_ms < start || s->t_ms >= end)
            continue;
        if (bucket.count == 0 || s->t_ms < bucket.first_ms)
            bucket.first_ms = s->t_ms;
        if (bucket.count == 0 || s->t_ms > bucket.last_ms)
            bucket.last_ms = s->t_ms;
        bucket.count++;
        bucket.worst = s->quality > bucket.worst ? s->quality : bucket.worst;
        if (s->value.kind != VALUE_DOUBLE || s->quality == QUALITY_BAD ||
            s->quality == QUALITY_STALE)
            continue;
        bucket.min = bucket.used == 0 ? s->value.number : fmin(bucket.min, s->value.number);
        bucket.max = bucket.used == 0 ? s->value.number : fmax(bucket.max, s->value.number);
        bucket.used++;
        sum += s->value.number;
    }
    bucket.mean = bucket.used > 0 ? sum / (double)bucket.used : 0;
    return bucket;
}

static void check_buckets(struct history_db *history, int64_t point, const struct sample *samples,
                          int64_t from, int64_t to, int64_t width)
{
    static struct history_bucket got[HISTORY_MAX_BUCKETS];
    size_t n = 0;
    size_t seen = 0;

    assert_int_equal(
        history_read_buckets(history, point, from, to, width, got, HISTORY_MAX_BUCKETS, &n, NULL),
        0);
    for (int64_t start = from; start < to; start += width) {
        int64_t end = start + width < to ? start + width : to;
        struct history_bucket want = oracle(samples, ORACLE_SAMPLES, start, end);
        if (want.count == 0)
            continue;
        assert_true(seen < n);
        const struct history_bucket *have = &got[seen++];
        assert_int_equal(have->start_ms, want.start_ms);
        assert_int_equal(have->count, want.count);
        assert_int_equal(have->used, want.used);
        assert_int_equal(have->worst, want.worst);
        assert_int_equal(have->first_ms, want.first_ms);
        assert_int_equal(have->last_ms, want.last_ms);
        assert_true(double_same(have->min, want.min));
        assert_true(double_same(have->max, want.max));
        assert_true(fabs(have->mean - want.mean) < 1e-9 * 65536);
    }
    assert_int_equal(seen, n);
}

static void buckets_agree_with_a_naive_oracle(void **state)
{
    struct history_db *history = open_as(*state, DB_WRITER);
    const int64_t span = (int64_t)4 * 3600 * 1000;
    struct sample *samples = calloc(ORACLE_SAMPLES, sizeof *samples);
    uint32_t random = 20260105;

    assert_non_null(samples);
    for (size_t i = 0; i < ORACLE_SAMPLES; i++)
        samples[i] = random_sample(&random, span);
    begin(history);
    int64_t other = add_point(history, "a.b.other");
    int64_t point = add_point(history, "a.b.c");
    int64_t source = add_source(history, "edge", STREAM_T);
    /* Several records and transactions, in no order of time. */
    for (size_t i = 0; i < ORACLE_SAMPLES; i += 100) {
        add(history, point, source, i + 1, samples + i, 100);
        add(history, other, source, i + 1, samples + ORACLE_SAMPLES - 100 - i, 50);
        if (i % 3000 == 0) {
            commit(history);
            begin(history);
        }
    }
    commit(history);
    check_buckets(history, point, samples, T0, T0 + span, span);
    check_buckets(history, point, samples, T0, T0 + span, 3600 * 1000);
    check_buckets(history, point, samples, T0 - 7777, T0 + span + 5000, 60 * 1000);
    check_buckets(history, point, samples, T0 + 123457, T0 + span - 98765, 777 * 1000);
    check_buckets(history, point, samples, T0 + 1, T0 + 2000, 1);
    check_buckets(history, point, samples, T0 - 1000, T0 + span + 1000, 1234567);
    free(samples);
    history_db_close(history);
}

static void too_many_buckets_or_no_width_are_refused(void **state)
{
    struct history_db *history = open_as(*state, DB_WRITER);
    static struct history_bucket got[HISTORY_MAX_BUCKETS];
    size_t n = 77;

    assert_int_equal(
        history_read_buckets(history, 1, T0, T0 + 10001, 1, got, HISTORY_MAX_BUCKETS, &n, NULL),
        ERR_RANGE);
    assert_int_equal(history_read_buckets(history, 1, T0, T0 + 10, 1, got, 9, &n, NULL), ERR_RANGE);
    assert_int_equal(history_read_buckets(history, 1, T0, T0 + 10, 0, got, 9, &n, NULL), ERR_RANGE);
    assert_int_equal(history_read_buckets(history, 1, T0, T0 - 1, 5, got, 9, &n, NULL), ERR_RANGE);
    assert_int_equal(history_read_buckets(history, 1, -1, T0, INT64_MAX, got, 9, &n, NULL),
                     ERR_RANGE);
    assert_int_equal(n, 77);
    assert_int_equal(history_read_buckets(history, 1, 0, INT64_MAX, INT64_MAX, got, 9, &n, NULL),
                     0);
    assert_int_equal(n, 0);
    history_db_close(history);
}

static void a_reader_sees_committed_samples_and_cannot_write(void **state)
{
    struct history_db *writer = open_as(*state, DB_WRITER);
    struct history_db *reader = open_as(*state, DB_READER);
    struct sample sample = good(T0, 1);
    struct point_info info = {.id = "a.b.d"};
    int64_t id = 0;
    uint64_t n = 0;

    begin(writer);
    int64_t point = add_point(writer, "a.b.c");
    int64_t source = add_source(writer, "edge", STREAM_T);
    add(writer, point, source, 1, &sample, 1);
    assert_int_equal(count(reader), 0);
    commit(writer);
    assert_int_equal(count(reader), 1);
    assert_int_equal(history_read_count(reader, point, &n, NULL), 0);
    assert_int_equal(n, 1);
    assert_int_equal(history_db_begin(reader, NULL), ERR_DENIED);
    assert_int_equal(history_db_add_point(reader, &info, &id, NULL), ERR_DENIED);
    assert_int_equal(history_db_add_samples(reader, source, 2, &point, 1, &sample, 1, NULL, NULL),
                     ERR_DENIED);
    assert_int_equal(history_db_set_cursor(reader, 5, NULL), ERR_DENIED);
    history_db_close(reader);
    history_db_close(writer);
}

static void a_sample_of_no_point_or_no_number_is_refused_with_its_record(void **state)
{
    struct history_db *history = open_as(*state, DB_WRITER);
    struct sample samples[2] = {good(T0, 1), good(T0 + 1, 2)};

    begin(history);
    int64_t point = add_point(history, "a.b.c");
    int64_t source = add_source(history, "edge", STREAM_T);
    commit(history);
    begin(history);
    samples[1].point = 1;
    assert_int_equal(history_db_add_samples(history, source, 1, &point, 1, samples, 2, NULL, NULL),
                     ERR_RANGE);
    history_db_rollback(history);
    samples[1].point = 0;
    samples[1].value.number = (double)INFINITY;
    begin(history);
    assert_int_equal(history_db_add_samples(history, source, 1, &point, 1, samples, 2, NULL, NULL),
                     ERR_INVALID);
    history_db_rollback(history);
    assert_int_equal(count(history), 0);
    history_db_close(history);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, db_folder_setup, db_folder_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_record_and_the_cursor_come_back_after_reopening),
        TEST(a_replay_changes_nothing),
        TEST(another_record_with_the_stamp_gets_the_next_tie),
        TEST(a_kill_keeps_results_and_cursor_together),
        TEST(what_was_told_as_committed_survives_a_kill_at_any_time),
        TEST(a_full_disk_keeps_cursor_count_and_samples_of_the_last_commit),
        TEST(a_point_number_of_a_rolled_back_transaction_is_forgotten),
        TEST(a_later_birth_changes_what_is_known_of_a_point),
        TEST(points_are_listed_in_pages),
        TEST(a_birth_is_kept_verbatim_and_once),
        TEST(the_latest_is_by_stamp_not_by_arrival),
        TEST(samples_come_in_pages_without_gap_or_double),
        TEST(buckets_agree_with_a_naive_oracle),
        TEST(too_many_buckets_or_no_width_are_refused),
        TEST(a_reader_sees_committed_samples_and_cannot_write),
        TEST(a_sample_of_no_point_or_no_number_is_refused_with_its_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
