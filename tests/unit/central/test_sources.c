/* What has been received from whom: booking, losses, and the state kept in the journal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "central/sources.h"
#include "tests/unit/support/db_folder.h"

#include <stdio.h>
#include <string.h>

#define EPOCH "00112233445566778899aabbccddeeff"
#define LIMIT (4 * 1024 * 1024)

static struct record_head head_of(enum record_kind kind, enum stream stream, uint64_t seq)
{
    struct record_head head = {.kind = kind, .stream = stream, .seq = seq, .t0_ms = 1767225600000};
    memcpy(head.epoch, EPOCH, sizeof(head.epoch));
    return head;
}

static int book_data(struct sources *sources, uint64_t seq, size_t samples, uint64_t total)
{
    struct record record = {
        .head = head_of(RECORD_DATA, STREAM_C, seq), .sample_count = samples, .total = total};
    return sources_book(sources, "e1", &record, "{}", 2);
}

static int book_loss(struct sources *sources, uint64_t seq, uint64_t first, uint64_t last,
                     uint64_t points)
{
    struct record record = {
        .head = head_of(RECORD_LOSS, STREAM_A, seq),
        .loss = {.of = STREAM_C, .first = first, .last = last, .points = points, .cause = "space"}};
    return sources_book(sources, "e1", &record, "{}", 2);
}

/* As ingest does it: a loss of its own number. */
static int book_unreadable(struct sources *sources, const char *name,
                           const struct record_head *head)
{
    struct record record = {.head = *head};
    record.head.kind = RECORD_LOSS;
    record.loss = (struct record_loss){.of = head->stream,
                                       .first = head->seq,
                                       .last = head->seq,
                                       .from_ms = head->t0_ms,
                                       .to_ms = head->t0_ms,
                                       .cause = "dead_letter"};
    return sources_book(sources, name, &record, "{}", 2);
}

static const struct source_epoch *epoch_of(const struct sources *sources)
{
    const struct source *source = sources_find(sources, "e1");
    assert_non_null(source);
    const struct source_epoch *epoch = source_find_epoch(source, EPOCH);
    assert_non_null(epoch);
    return epoch;
}

static void a_record_is_counted_once_however_often_it_comes(void **state)
{
    (void)state;
    struct sources sources;
    sources_init(&sources);
    assert_int_equal(book_data(&sources, 1, 10, 10), 0);
    assert_int_equal(book_data(&sources, 1, 10, 10), 0);
    assert_int_equal(book_data(&sources, 3, 5, 22), 0);
    const struct source_epoch *epoch = epoch_of(&sources);
    assert_int_equal(epoch->points, 15);
    assert_int_equal(epoch->total, 22);
    assert_int_equal(intervals_through(&epoch->received[STREAM_C]), 1);
    assert_true(intervals_contain(&epoch->received[STREAM_C], 3));
    assert_false(intervals_contain(&epoch->received[STREAM_C], 2));
    assert_int_equal(epoch->last[STREAM_C], 3);
    sources_release(&sources);
}

static int admit_data(struct sources *sources, uint64_t seq)
{
    struct record record = {.head = head_of(RECORD_DATA, STREAM_C, seq), .sample_count = 1};
    return sources_admit(sources, "e1", &record);
}

static void a_source_full_of_holes_still_takes_what_fills_them(void **state)
{
    (void)state;
    struct sources sources;
    uint64_t seq = 1;
    sources_init(&sources);
    for (; admit_data(&sources, seq) == 0; seq += 3)
        assert_int_equal(book_data(&sources, seq, 1, seq), 0);
    assert_int_equal(admit_data(&sources, seq), ERR_FULL); /* a new range */
    assert_int_equal(admit_data(&sources, 4), 0);          /* there already */
    assert_int_equal(admit_data(&sources, 5), 0);          /* beside one */
    assert_int_equal(book_data(&sources, 5, 1, seq), 0);
    assert_int_equal(admit_data(&sources, 6), 0); /* joins two: there is room again */
    assert_int_equal(book_data(&sources, 6, 1, seq), 0);
    assert_int_equal(admit_data(&sources, seq), 0);
    sources_release(&sources);
}

static void a_loss_counts_as_received_and_is_booked_once(void **state)
{
    (void)state;
    struct sources sources;
    sources_init(&sources);
    assert_int_equal(book_loss(&sources, 1, 5, 9, 40), 0);
    assert_int_equal(book_loss(&sources, 1, 5, 9, 40), 0); /* the same record */
    assert_int_equal(book_loss(&sources, 2, 5, 9, 40), 0); /* told again after a restart */
    const struct source_epoch *epoch = epoch_of(&sources);
    assert_true(intervals_contain_all(&epoch->received[STREAM_C], 5, 9));
    assert_int_equal(epoch->lost_points, 40);
    assert_int_equal(epoch->loss_count, 1);
    assert_int_equal(intervals_through(&epoch->received[STREAM_A]), 2);
    sources_release(&sources);
}

static void losses_that_touch_become_one(void **state)
{
    (void)state;
    struct sources sources;
    sources_init(&sources);
    assert_int_equal(book_loss(&sources, 1, 5, 9, 40), 0);
    assert_int_equal(book_loss(&sources, 2, 10, 12, 7), 0);
    const struct source_epoch *epoch = epoch_of(&sources);
    assert_int_equal(epoch->loss_count, 1);
    assert_int_equal(epoch->losses[0].first, 5);
    assert_int_equal(epoch->losses[0].last, 12);
    assert_int_equal(epoch->losses[0].points, 47);
    sources_release(&sources);
}

static void a_dead_letter_that_comes_again_is_one_loss(void **state)
{
    (void)state;
    struct sources sources;
    struct record_head head = head_of(RECORD_DATA, STREAM_C, 7);
    sources_init(&sources);
    assert_int_equal(book_unreadable(&sources, "e1", &head), 0);
    assert_int_equal(book_unreadable(&sources, "e1", &head), 0);
    const struct source_epoch *epoch = epoch_of(&sources);
    assert_int_equal(epoch->loss_count, 1);
    assert_true(intervals_contain(&epoch->received[STREAM_C], 7));
    sources_release(&sources);
}

static void a_broken_copy_of_a_received_record_is_no_loss(void **state)
{
    (void)state;
    struct sources sources;
    struct record_head head = head_of(RECORD_DATA, STREAM_C, 1);
    sources_init(&sources);
    assert_int_equal(book_data(&sources, 1, 10, 10), 0);
    assert_int_equal(book_unreadable(&sources, "e1", &head), 0);
    assert_int_equal(epoch_of(&sources)->loss_count, 0);
    sources_release(&sources);
}

/* An epoch ended with holes; what fills them comes in the next one, under new numbers. */
static void what_is_recorded_anew_closes_the_hole_where_it_was_first(void **state)
{
    (void)state;
    struct sources sources;
    struct record again = {.head = head_of(RECORD_DATA, STREAM_C, 1),
                           .was = {.epoch = EPOCH, .seq = 2},
                           .sample_count = 4,
                           .total = 4};
    struct record loss = {
        .head = head_of(RECORD_LOSS, STREAM_A, 1),
        .loss = {
            .of = STREAM_C, .first = 3, .last = 3, .points = 7, .cause = "damage", .epoch = EPOCH}};
    memset(again.head.epoch, 'a', EPOCH_SIZE - 1);
    memset(loss.head.epoch, 'a', EPOCH_SIZE - 1);
    sources_init(&sources);
    assert_int_equal(book_data(&sources, 1, 10, 10), 0);
    assert_int_equal(book_data(&sources, 4, 10, 31), 0);
    assert_int_equal(sources_book(&sources, "e1", &again, "{}", 2), 0);
    assert_int_equal(sources_book(&sources, "e1", &loss, "{}", 2), 0);
    const struct source_epoch *epoch = epoch_of(&sources);
    assert_int_equal(intervals_through(&epoch->received[STREAM_C]), 4);
    assert_int_equal(epoch->points, 20); /* the samples count where they came */
    assert_int_equal(epoch->lost_points, 7);
    const struct source_epoch *next =
        source_find_epoch(sources_find(&sources, "e1"), again.head.epoch);
    assert_int_equal(next->points, 4);
    assert_int_equal(next->lost_points, 0);

    /* A number that may have stood for another record closes no hole. */
    again.head.seq = 2;
    again.was = (struct record_was){.epoch = EPOCH, .seq = 6, .other = true};
    assert_int_equal(sources_book(&sources, "e1", &again, "{}", 2), 0);
    assert_false(intervals_contain(&epoch_of(&sources)->received[STREAM_C], 6));
    sources_release(&sources);
}

static void sources_beyond_the_bound_are_refused_and_the_known_go_on(void **state)
{
    (void)state;
    struct sources sources;
    struct source *source;
    struct source_epoch *epoch;
    char name[16];
    sources_init(&sources);
    for (int i = 0; i < SOURCES_MAX; i++) {
        snprintf(name, sizeof(name), "e%d", i);
        assert_int_equal(sources_open(&sources, name, EPOCH, &source, &epoch), 0);
    }
    assert_int_equal(sources_open(&sources, "one-more", EPOCH, &source, &epoch), ERR_FULL);
    assert_int_equal(sources_open(&sources, "e7", EPOCH, &source, &epoch), 0);
    assert_string_equal(source->name, "e7");
    sources_release(&sources);
}

/* ---- save and restore ---- */

static void random_book(struct sources *sources, uint32_t *seed)
{
    static const char *const causes[] = {"space", "restart", "damage"};
    char name[8], payload[16];
    struct record record = {.sample_count = seeded(seed) % 50, .total = seeded(seed) % 100000};
    snprintf(name, sizeof(name), "e%u", seeded(seed) % 4);
    static const enum record_kind kinds[] = {RECORD_DATA, RECORD_DATA, RECORD_LOSS, RECORD_BIRTH};
    enum record_kind kind = kinds[seeded(seed) % 4];
    enum stream stream =
        kind == RECORD_DATA ? (enum stream)(STREAM_S + (int)(seeded(seed) % 3)) : STREAM_A;
    record.head = head_of(kind, stream, 1 + seeded(seed) % 200);
    record.head.epoch[0] = (char)('0' + seeded(seed) % 3);
    record.loss = (struct record_loss){.of = (enum stream)(STREAM_S + (int)(seeded(seed) % 3)),
                                       .first = 1 + seeded(seed) % 200,
                                       .points = seeded(seed) % 90,
                                       .from_ms = -(int64_t)(seeded(seed) % 1000)};
    record.loss.last = record.loss.first + seeded(seed) % 9;
    snprintf(record.loss.cause, sizeof(record.loss.cause), "%s", causes[seeded(seed) % 3]);
    int len = snprintf(payload, sizeof(payload), "%u", seeded(seed) % 40);
    if (seeded(seed) % 10 == 0)
        assert_int_equal(book_unreadable(sources, name, &record.head), 0);
    else
        assert_int_equal(sources_book(sources, name, &record, payload, (size_t)len), 0);
}

static void what_is_saved_is_restored_whatever_the_books_hold(void **state)
{
    (void)state;
    for (uint32_t run = 1; run <= 100; run++) {
        uint32_t seed = run;
        struct sources sources, again;
        struct buffer first, second;
        sources_init(&sources);
        sources_init(&again);
        buffer_init(&first, LIMIT);
        buffer_init(&second, LIMIT);
        for (uint32_t n = seeded(&seed) % 300; n > 0; n--)
            random_book(&sources, &seed);
        sources_save(&sources, 0, &first);
        assert_int_equal(sources_restore(&again, 0, first.data, first.len), 0);
        sources_save(&again, 0, &second);
        assert_int_equal(first.len, second.len);
        assert_memory_equal(first.data, second.data, first.len);
        /* Both go on alike. */
        for (int n = 0; n < 20; n++) {
            uint32_t same = seed;
            random_book(&sources, &same);
            random_book(&again, &seed);
        }
        buffer_clear(&first);
        buffer_clear(&second);
        sources_save(&sources, 0, &first);
        sources_save(&again, 0, &second);
        assert_string_equal(buffer_text(&first), buffer_text(&second));
        buffer_release(&first);
        buffer_release(&second);
        sources_release(&sources);
        sources_release(&again);
    }
}

static void a_state_that_cannot_be_read_is_refused_and_leaves_nothing(void **state)
{
    static const char *const damaged[] = {
        "chengmai-sources 2\n",
        "chengmai-sources 1\nnonsense\n",
        "chengmai-sources 1\nbirth 0123456789abcdef\n",  /* of no source */
        "chengmai-sources 1\nepoch " EPOCH " 1 1 1\n",   /* of no source */
        "chengmai-sources 1\nsource e1\nhave c 5 1-5\n", /* of no epoch */
        "chengmai-sources 1\nsource e1\nepoch short 1 1 1\n",
        "chengmai-sources 1\nsource e1\nepoch " EPOCH " 1 1\n",
        "chengmai-sources 1\nsource e1\nepoch " EPOCH " 1 1 1\nhave c 5 5-1\n",
        "chengmai-sources 1\nsource e1\nepoch " EPOCH " 1 1 1\nhave c 5 0-3\n",
        "chengmai-sources 1\nsource e1\nepoch " EPOCH " 1 1 1\nhave x 5 1-3\n",
        "chengmai-sources 1\nsource e1\nepoch " EPOCH " 1 1 1\nloss c 1 2 3 4 5\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
        struct sources sources;
        sources_init(&sources);
        assert_int_equal(book_data(&sources, 1, 1, 1), 0);
        if (!sources_restore(&sources, 0, damaged[i], strlen(damaged[i])))
            fail_msg("taken: %s", damaged[i]);
        assert_int_equal(sources.count, 0);
        sources_release(&sources);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_counted_once_however_often_it_comes),
        cmocka_unit_test(a_source_full_of_holes_still_takes_what_fills_them),
        cmocka_unit_test(a_loss_counts_as_received_and_is_booked_once),
        cmocka_unit_test(losses_that_touch_become_one),
        cmocka_unit_test(a_dead_letter_that_comes_again_is_one_loss),
        cmocka_unit_test(a_broken_copy_of_a_received_record_is_no_loss),
        cmocka_unit_test(what_is_recorded_anew_closes_the_hole_where_it_was_first),
        cmocka_unit_test(sources_beyond_the_bound_are_refused_and_the_known_go_on),
        cmocka_unit_test(what_is_saved_is_restored_whatever_the_books_hold),
        cmocka_unit_test(a_state_that_cannot_be_read_is_refused_and_leaves_nothing),
    };
    return cmocka_run_group_tests_name("sources", tests, NULL, NULL);
}
