#include "store/journal.h"

#include "store/journal_internal.h"
#include "tests/unit/support/journal_bed.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LEN 1000

static int setup(void **state)
{
    struct bed *bed = malloc(sizeof(*bed));
    if (!bed)
        return -1;
    bed_init(bed, 3);
    bed->options.segment_bytes = 300 * 1024;
    bed_open(bed);
    *state = bed;
    return 0;
}

static int teardown(void **state)
{
    bed_release(*state);
    free(*state);
    return 0;
}

static struct journal_reader *open_reader(struct bed *bed, int stream, uint64_t from)
{
    struct journal_reader *reader = NULL;
    assert_int_equal(journal_reader_open(bed->journal, stream, from, &reader), 0);
    return reader;
}

static void expect(struct journal_reader *reader, int stream, uint64_t seq)
{
    struct journal_frame frame;
    struct interval gap;
    assert_int_equal(journal_reader_next(reader, &frame, &gap), 0);
    assert_int_equal(frame.seq, seq);
    assert_int_equal(journal_reader_position(reader), seq + 1);
    bed_check_frame(&frame, stream, LEN);
}

static void expect_gap(struct journal_reader *reader, uint64_t first, uint64_t last)
{
    struct journal_frame frame;
    struct interval gap;
    assert_int_equal(journal_reader_next(reader, &frame, &gap), ERR_GAP);
    assert_int_equal(gap.first, first);
    assert_int_equal(gap.last, last);
    assert_int_equal(journal_reader_position(reader), last + 1);
}

static void expect_end(struct journal_reader *reader)
{
    struct journal_frame frame;
    assert_int_equal(journal_reader_next(reader, &frame, NULL), ERR_AGAIN);
}

static void it_goes_to_any_record_forward_and_back(void **state)
{
    struct bed *bed = *state;
    uint64_t seed = 1;
    for (int i = 0; i < 100; i++) {
        bed_fill(bed, 1, LEN, 10);
        bed_commit(bed);
    }
    struct journal_reader *reader = open_reader(bed, 1, 1);
    for (int run = 0; run < 2; run++) {
        for (int i = 0; i < 300; i++) {
            uint64_t seq = 1 + sim_below(&seed, 1000);
            journal_reader_seek(reader, seq);
            for (int n = 0; n < 3 && seq <= 1000; n++)
                expect(reader, 1, seq++);
        }
        /* The same of a run before, whose places must be found anew. */
        journal_reader_close(reader);
        bed_close(bed);
        bed_open(bed);
        reader = open_reader(bed, 1, 1);
    }
    journal_reader_close(reader);
}

/* Live records and backfill in turn: to go back must not mean to read the segment from its start.
 */
static void to_go_back_reads_little(void **state)
{
    struct bed *bed = *state;
    for (int i = 0; i < 25; i++) {
        bed_fill(bed, 1, LEN, 10);
        bed_commit(bed);
    }
    struct journal_reader *reader = open_reader(bed, 1, 1);
    for (uint64_t seq = 1; seq <= 250; seq++)
        expect(reader, 1, seq);
    journal_reader_seek(reader, 240);
    uint64_t before = bed->disk.ops;
    expect(reader, 1, 240);
    assert_true(bed->disk.ops - before <= 3);
    journal_reader_close(reader);
}

static void position_zero_is_the_first_record(void **state)
{
    struct bed *bed = *state;
    bed_fill(bed, 1, LEN, 2);
    bed_commit(bed);
    struct journal_reader *reader = open_reader(bed, 1, 0);
    expect(reader, 1, 1);
    journal_reader_seek(reader, 0);
    expect(reader, 1, 1);
    journal_reader_seek(reader, 100);
    expect_end(reader);
    journal_reader_seek(reader, 2);
    expect(reader, 1, 2);
    journal_reader_close(reader);
    assert_int_equal(journal_reader_open(bed->journal, 4, 1, &reader), ERR_INVALID);
    assert_int_equal(journal_reader_open(bed->journal, -1, 1, &reader), ERR_INVALID);
    journal_reader_close(NULL);
}

static void spoil(struct bed *bed, int stream, size_t frame)
{
    char path[SIM_PATH];
    snprintf(path, sizeof(path), BED_FOLDER "/%s", bed->journal->streams[stream].segments[0].name);
    size_t size = FRAME_HEADER_BYTES + 6 + LEN;
    sim_disk_damage(&bed->disk, path, SEGMENT_HEADER_BYTES + frame * size + size / 2, 4);
}

static void damage_is_a_gap_and_a_loss_for_the_owner(void **state)
{
    struct bed *bed = *state;
    struct journal_loss loss;
    bed_fill(bed, 1, LEN, 10);
    bed_commit(bed);
    spoil(bed, 1, 3);
    spoil(bed, 1, 4);
    spoil(bed, 1, 9);
    struct journal_reader *reader = open_reader(bed, 1, 1);
    for (int again = 0; again < 2; again++) {
        journal_reader_seek(reader, 1);
        for (uint64_t seq = 1; seq <= 3; seq++)
            expect(reader, 1, seq);
        expect_gap(reader, 4, 5);
        for (uint64_t seq = 6; seq <= 9; seq++)
            expect(reader, 1, seq);
        expect_gap(reader, 10, 10);
        expect_end(reader);
    }
    /* Once each, however often they are read. */
    assert_int_equal(journal_next_loss(bed->journal, &loss), 0);
    assert_int_equal(loss.first, 4);
    assert_int_equal(loss.last, 5);
    assert_int_equal(loss.points, bed_points(4) + bed_points(5));
    assert_string_equal(loss.cause, "damage");
    assert_int_equal(journal_next_loss(bed->journal, &loss), 0);
    assert_int_equal(loss.first, 10);
    assert_int_equal(loss.points, bed_points(10));
    assert_int_equal(journal_next_loss(bed->journal, &loss), ERR_NOT_FOUND);
    bed_commit(bed);
    journal_reader_seek(reader, 4);
    expect_gap(reader, 4, 5);
    assert_int_equal(journal_next_loss(bed->journal, &loss), ERR_NOT_FOUND);
    /* What is appended behind it is read. */
    bed_fill(bed, 1, LEN, 1);
    bed_commit(bed);
    journal_reader_seek(reader, 10);
    expect_gap(reader, 10, 10);
    expect(reader, 1, 11);
    journal_reader_close(reader);
}

static void gaps_are_passed_over_where_nobody_asks(void **state)
{
    struct bed *bed = *state;
    struct journal_frame frame;
    bed_fill(bed, 1, LEN, 4);
    bed_commit(bed);
    spoil(bed, 1, 0);
    spoil(bed, 1, 2);
    struct journal_reader *reader = open_reader(bed, 1, 1);
    assert_int_equal(journal_reader_next(reader, &frame, NULL), 0);
    assert_int_equal(frame.seq, 2);
    assert_int_equal(journal_reader_next(reader, &frame, NULL), 0);
    assert_int_equal(frame.seq, 4);
    expect_end(reader);
    journal_reader_close(reader);
}

static void a_seek_between_a_gap_and_its_record_is_heeded(void **state)
{
    struct bed *bed = *state;
    bed_fill(bed, 1, LEN, 6);
    bed_commit(bed);
    spoil(bed, 1, 2);
    struct journal_reader *reader = open_reader(bed, 1, 3);
    expect_gap(reader, 3, 3);
    journal_reader_seek(reader, 1);
    expect(reader, 1, 1);
    journal_reader_seek(reader, 3);
    expect_gap(reader, 3, 3);
    journal_reader_seek(reader, 5);
    expect(reader, 1, 5);
    journal_reader_close(reader);
}

static void a_segment_that_grew_meanwhile_is_not_damaged(void **state)
{
    struct bed *bed = *state;
    struct journal_loss loss;
    bed_fill(bed, 1, LEN, 3);
    bed_commit(bed);
    bed_crash(bed, false);
    bed_open(bed);
    uint64_t first;
    assert_int_equal(bed_append(bed, 1, LEN, &first), 0);
    bed_commit(bed);
    struct journal_reader *reader = open_reader(bed, 1, first);
    expect(reader, 1, first);

    /* Back before the numbers that the crash took, while a record is added. */
    bed_fill(bed, 1, LEN, 1);
    bed_commit(bed);
    journal_reader_seek(reader, 4);
    expect_gap(reader, 4, first - 1);
    journal_reader_seek(reader, first + 1);
    expect(reader, 1, first + 1);
    expect_end(reader);
    assert_int_equal(journal_next_loss(bed->journal, &loss), ERR_NOT_FOUND);
    journal_reader_close(reader);
}

static void a_file_that_vanishes_is_a_gap(void **state)
{
    struct bed *bed = *state;
    char path[SIM_PATH];
    struct journal_loss loss;
    for (int i = 0; i < 60; i++) {
        bed_fill(bed, 1, LEN, 10);
        bed_commit(bed);
    }
    uint64_t last = bed->journal->streams[1].segments[0].last;
    snprintf(path, sizeof(path), BED_FOLDER "/%s", bed->journal->streams[1].segments[0].name);
    sim_disk_remove(&bed->disk, path);
    struct journal_reader *reader = open_reader(bed, 1, 1);
    expect_gap(reader, 1, last);
    expect(reader, 1, last + 1);
    assert_int_equal(journal_next_loss(bed->journal, &loss), 0);
    assert_int_equal(loss.last, last);
    journal_reader_close(reader);
}

/* It was told as lost: a reader that has the file open must not show it after all. */
static void what_is_dropped_is_not_read_any_more(void **state)
{
    struct bed *bed = *state;
    struct journal_loss victim;
    for (int i = 0; i < 60; i++) {
        bed_fill(bed, 3, LEN, 10);
        bed_commit(bed);
    }
    struct journal_reader *reader = open_reader(bed, 3, 1);
    expect(reader, 3, 1);
    assert_int_equal(journal_victim(bed->journal, &victim), 0);
    assert_int_equal(victim.first, 1);
    assert_int_equal(journal_drop(bed->journal, &victim, &bed->message), 0);
    expect_gap(reader, 2, victim.last);
    expect(reader, 3, victim.last + 1);
    journal_reader_close(reader);
}

/* ---- a disk that cannot be read ---- */

static void fail_reads(struct bed *bed, uint32_t one_in)
{
    bed->disk.fail_one_in = one_in;
    bed->disk.fail_ops = 1U << SIM_READ;
}

static void a_disk_that_reads_nothing_for_a_while_has_lost_nothing(void **state)
{
    struct bed *bed = *state;
    struct journal_frame frame;
    struct interval gap;
    struct journal_loss loss;
    bed_fill(bed, 1, LEN, 10);
    bed_commit(bed);
    struct journal_reader *reader = open_reader(bed, 1, 3);
    fail_reads(bed, 1);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(journal_reader_next(reader, &frame, &gap), ERR_IO);
        assert_int_equal(journal_reader_position(reader), 3);
    }
    fail_reads(bed, 0);
    for (uint64_t seq = 3; seq <= 10; seq++)
        expect(reader, 1, seq);
    expect_end(reader);
    assert_int_equal(journal_next_loss(bed->journal, &loss), ERR_NOT_FOUND);
    journal_reader_close(reader);
}

static void what_is_read_at_the_second_try_is_no_damage(void **state)
{
    enum { RECORDS = 600 };
    struct bed *bed = *state;
    struct journal_frame frame;
    struct interval gap;
    struct journal_loss loss;
    uint64_t refused = 0;
    for (int i = 0; i < RECORDS / 10; i++) {
        bed_fill(bed, 1, LEN, 10);
        bed_commit(bed);
    }
    bed_crash(bed, true);
    fail_reads(bed, 2);
    while (journal_open(&bed->options, &bed->journal, &bed->report, &bed->message))
        refused++; /* as it may, for it reads headers and the last segment; started again */
    struct journal_reader *reader = open_reader(bed, 1, 1);
    for (uint64_t seq = 1; seq <= RECORDS;) {
        int err = journal_reader_next(reader, &frame, &gap);
        assert_true(err == 0 || err == ERR_IO);
        refused += err == ERR_IO;
        if (err)
            continue;
        assert_int_equal(frame.seq, seq++);
        bed_check_frame(&frame, 1, LEN);
    }
    assert_true(refused > 0);
    assert_int_equal(journal_next_loss(bed->journal, &loss), ERR_NOT_FOUND);
    journal_reader_close(reader);
}

static int (*read_all)(void *self, int fd, void *data, size_t len, uint64_t at, size_t *ret_len);

/* The sector from 8192 on cannot be read, nor anything that reaches into it. */
static int read_around_a_bad_sector(void *self, int fd, void *data, size_t len, uint64_t at,
                                    size_t *ret_len)
{
    if (at < 12288 && at + len > 8192)
        return ERR_IO;
    return read_all(self, fd, data, len, at, ret_len);
}

static void a_bad_sector_is_waited_for_long_and_not_for_ever(void **state)
{
    struct bed *bed = *state;
    struct journal_frame frame;
    struct interval gap;
    struct journal_loss loss;
    int refused = 0, err;
    bed_fill(bed, 1, LEN, 20);
    bed_commit(bed);
    read_all = bed->disk.io.pread;
    bed->disk.io.pread = read_around_a_bad_sector;
    struct journal_reader *reader = open_reader(bed, 1, 1);
    for (uint64_t seq = 1; seq <= 7; seq++)
        expect(reader, 1, seq); /* all that lie before it */
    while ((err = journal_reader_next(reader, &frame, &gap)) == ERR_IO)
        refused++;
    assert_int_equal(err, ERR_GAP);
    assert_in_range(refused, 500, 5000);
    assert_int_equal(gap.first, 8);
    assert_int_equal(gap.last, 12);
    for (uint64_t seq = 13; seq <= 20; seq++)
        expect(reader, 1, seq);
    assert_int_equal(journal_next_loss(bed->journal, &loss), 0);
    assert_int_equal(loss.first, 8);
    assert_int_equal(loss.last, 12);
    assert_string_equal(loss.cause, "damage");
    journal_reader_close(reader);
}

/* ---- threads, on real files ---- */

struct reading {
    struct journal *journal;
    uint64_t until, last;
    int stream;
    bool in_order;
};

static void *read_on(void *arg)
{
    struct reading *reading = arg;
    struct journal_reader *reader;
    struct journal_frame frame;
    struct interval gap;
    uint64_t total, received;
    if (journal_reader_open(reading->journal, reading->stream, 1, &reader))
        return NULL;
    reading->in_order = true;
    while (reading->last < reading->until) {
        int err = journal_reader_next(reader, &frame, &gap);
        journal_bytes(reading->journal, &total, &received);
        if (err == ERR_GAP)
            reading->last = gap.last;
        else if (err == 0) {
            reading->in_order = reading->in_order && frame.seq == reading->last + 1 &&
                                frame.seq <= journal_durable(reading->journal, reading->stream);
            reading->last = frame.seq;
        } else if (err != ERR_AGAIN) {
            break;
        }
    }
    journal_reader_close(reader);
    return NULL;
}

static void readers_run_beside_the_appender(void **state)
{
    enum { RECORDS = 2000 };
    char folder[] = "/tmp/chengmai-readers-XXXXXX", command[80];
    struct bed bed;
    pthread_t threads[3];
    struct reading readings[3];
    uint64_t seq;
    (void)state;
    assert_non_null(mkdtemp(folder));
    bed_init(&bed, 1);
    bed.options.folder = folder;
    assert_int_equal(journal_open(&bed.options, &bed.journal, &bed.report, &bed.message), 0);
    for (int i = 0; i < 3; i++) {
        readings[i] = (struct reading){.journal = bed.journal, .stream = 3, .until = RECORDS};
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &readings[i]), 0);
    }
    for (int i = 1; i <= RECORDS; i++) {
        struct journal_loss victim;
        assert_int_equal(bed_append(&bed, 3, 500, &seq), 0);
        if (i % 20 == 0)
            bed_commit(&bed);
        if (i % 700 == 0 && !journal_victim(bed.journal, &victim))
            assert_int_equal(journal_drop(bed.journal, &victim, &bed.message), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_true(readings[i].in_order);
        assert_int_equal(readings[i].last, RECORDS);
    }
    journal_close(bed.journal);
    bed.journal = NULL;
    bed_release(&bed);
    snprintf(command, sizeof(command), "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(it_goes_to_any_record_forward_and_back),
        TEST(to_go_back_reads_little),
        TEST(position_zero_is_the_first_record),
        TEST(damage_is_a_gap_and_a_loss_for_the_owner),
        TEST(gaps_are_passed_over_where_nobody_asks),
        TEST(a_seek_between_a_gap_and_its_record_is_heeded),
        TEST(a_segment_that_grew_meanwhile_is_not_damaged),
        TEST(a_file_that_vanishes_is_a_gap),
        TEST(what_is_dropped_is_not_read_any_more),
        TEST(a_disk_that_reads_nothing_for_a_while_has_lost_nothing),
        TEST(what_is_read_at_the_second_try_is_no_damage),
        TEST(a_bad_sector_is_waited_for_long_and_not_for_ever),
        cmocka_unit_test(readers_run_beside_the_appender),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
