#include "store/journal.h"

#include "store/journal_internal.h"
#include "tests/unit/support/journal_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LEN   1000
#define FRAME (FRAME_HEADER_BYTES + 6 + LEN) /* with the origin "edge-1" */

static int setup(void **state)
{
    struct bed *bed = malloc(sizeof(*bed));
    if (!bed)
        return -1;
    bed_init(bed, 7);
    bed->options.segment_bytes = 20 * FRAME;
    bed->options.verify = true;
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

static uint64_t sum_points(uint64_t first, uint64_t last)
{
    uint64_t points = 0;
    for (uint64_t seq = first; seq <= last; seq++)
        points += bed_points(seq);
    return points;
}

static const char *segment_of(const struct bed *bed, int stream, size_t index, char path[SIM_PATH])
{
    snprintf(path, SIM_PATH, BED_FOLDER "/%s", bed->journal->streams[stream].segments[index].name);
    return path;
}

/* Spoils the n-th frame (from 0) of a segment. */
static void spoil_frame(struct bed *bed, const char *path, size_t n)
{
    sim_disk_damage(&bed->disk, path, SEGMENT_HEADER_BYTES + n * FRAME + FRAME / 2, 0x10);
}

static void only_what_was_not_committed_is_lost_with_a_crash(void **state)
{
    struct bed *bed = *state;
    bed_fill(bed, 1, LEN, 10);
    bed_commit(bed);
    bed_fill(bed, 1, LEN, 3);
    bed_crash(bed, true);
    bed_open(bed);
    assert_true(bed->report.unclean);
    assert_int_equal(bed->report.loss_count, 1);
    bed_check_loss(bed, 0, 1, 11, journal_next_seq(bed->journal, 1) - 1, 0, "restart");
    bed_check_range(bed, 1, 1, 10, LEN);
    assert_int_equal(journal_points(bed->journal), sum_points(1, 10));
}

/* The skipped numbers are few, however often it crashes: a reservation must not grow by itself. */
static void many_crashes_skip_few_numbers_each(void **state)
{
    struct bed *bed = *state;
    for (int i = 0; i < 30; i++) {
        uint64_t before = journal_next_seq(bed->journal, 1);
        bed_fill(bed, 1, LEN, 1);
        bed_commit(bed);
        bed_crash(bed, false);
        bed_open(bed);
        assert_true(journal_next_seq(bed->journal, 1) - before <= 300);
    }
}

static void losses_are_told_until_they_are_committed_and_then_no_more(void **state)
{
    struct bed *bed = *state;
    bed_fill(bed, 1, LEN, 5);
    bed_commit(bed);
    bed_crash(bed, true);
    bed_open(bed);
    assert_int_equal(bed->report.loss_count, 1);
    struct journal_loss told = bed->report.losses[0];
    for (int i = 0; i < 3; i++) { /* crashes before the owner's commit */
        bed_crash(bed, true);
        bed_open(bed);
        assert_int_equal(bed->report.loss_count, 1);
        bed_check_loss(bed, 0, 1, told.first, told.last, 0, "restart");
    }
    bed_commit(bed);
    bed_crash(bed, true);
    bed_open(bed);
    assert_int_equal(bed->report.loss_count, 0);
}

static void what_the_opening_accounts_for_can_be_received_and_is_a_gap(void **state)
{
    struct bed *bed = *state;
    struct journal_reader *reader;
    struct journal_frame frame;
    struct interval gap;
    bed_fill(bed, 1, LEN, 5);
    bed_commit(bed);
    bed_crash(bed, true);
    bed_open(bed);
    uint64_t last = bed->report.losses[0].last;
    assert_int_equal(journal_durable(bed->journal, 1), last);
    bed_receive(bed, 1, 6, last);
    assert_int_equal(journal_reader_open(bed->journal, 1, 6, &reader), 0);
    assert_int_equal(journal_reader_next(reader, &frame, &gap), ERR_GAP);
    assert_int_equal(gap.first, 6);
    assert_int_equal(gap.last, last);
    assert_int_equal(journal_reader_next(reader, &frame, &gap), ERR_AGAIN);
    journal_reader_close(reader);
}

static void damage_in_the_last_segment_is_told_exactly(void **state)
{
    struct bed *bed = *state;
    char path[SIM_PATH];
    bed_fill(bed, 2, LEN, 12);
    bed_commit(bed);
    segment_of(bed, 2, 0, path);
    bed_close(bed);
    spoil_frame(bed, path, 4);
    spoil_frame(bed, path, 5);
    spoil_frame(bed, path, 9);
    bed_open(bed);
    assert_int_equal(bed->report.loss_count, 2);
    bed_check_loss(bed, 0, 2, 5, 6, sum_points(5, 6), "damage");
    bed_check_loss(bed, 1, 2, 10, 10, sum_points(10, 10), "damage");
    assert_int_equal(bed->report.quarantined_bytes, 3 * FRAME);
    assert_int_equal(sim_disk_count(&bed->disk, ".bad"), 2);
    bed_check_range(bed, 2, 1, 4, LEN);
    bed_check_range(bed, 2, 7, 9, LEN);
    bed_check_range(bed, 2, 11, 12, LEN);
}

static void damage_in_an_older_segment_is_found_where_it_is_looked_for(void **state)
{
    struct bed *bed = *state;
    char path[SIM_PATH];
    bed_fill(bed, 2, LEN, 60);
    bed_commit(bed);
    segment_of(bed, 2, 1, path);
    uint64_t first = bed->journal->streams[2].segments[1].first;
    bed_close(bed);
    spoil_frame(bed, path, 3);
    bed_open(bed);
    assert_int_equal(bed->report.loss_count, 1);
    bed_check_loss(bed, 0, 2, first + 3, first + 3, sum_points(first + 3, first + 3), "damage");
}

/* A torn tail: the bytes behind the last good frame are cut, the records told by the marks. */
static void a_committed_tail_that_is_spoiled_is_told_with_its_samples(void **state)
{
    struct bed *bed = *state;
    char path[SIM_PATH];
    bed_fill(bed, 2, LEN, 10);
    bed_commit(bed);
    segment_of(bed, 2, 0, path);
    bed_close(bed);
    spoil_frame(bed, path, 8);
    spoil_frame(bed, path, 9);
    bed_open(bed);
    assert_int_equal(bed->report.torn_bytes, 2 * FRAME);
    assert_int_equal(bed->report.loss_count, 1);
    bed_check_loss(bed, 0, 2, 9, 10, sum_points(9, 10), "damage");
    assert_int_equal(sim_disk_size(&bed->disk, path), SEGMENT_HEADER_BYTES + 8 * FRAME);
    assert_int_equal(journal_next_seq(bed->journal, 2), 11);
    assert_int_equal(journal_points(bed->journal), sum_points(1, 10));
}

static void a_file_that_vanished_is_told_with_its_samples(void **state)
{
    struct bed *bed = *state;
    char path[SIM_PATH];
    bed_fill(bed, 2, LEN, 70);
    bed_commit(bed);
    segment_of(bed, 2, 1, path);
    struct segment gone = bed->journal->streams[2].segments[1];
    bed_close(bed);
    sim_disk_remove(&bed->disk, path);
    bed_open(bed);
    assert_int_equal(bed->report.loss_count, 1);
    bed_check_loss(bed, 0, 2, gone.first, gone.last, sum_points(gone.first, gone.last), "damage");
    bed_check_range(bed, 2, 1, gone.first - 1, LEN);
    bed_check_range(bed, 2, gone.last + 1, 70, LEN);
}

static void the_first_and_the_only_file_are_missed_too(void **state)
{
    struct bed *bed = *state;
    char path[SIM_PATH], only[SIM_PATH];
    bed_fill(bed, 2, LEN, 70);
    bed_fill(bed, 3, LEN, 4);
    bed_commit(bed);
    segment_of(bed, 2, 0, path);
    segment_of(bed, 3, 0, only);
    uint64_t last = bed->journal->streams[2].segments[0].last;
    bed_close(bed);
    sim_disk_remove(&bed->disk, path);
    sim_disk_remove(&bed->disk, only);
    bed_open(bed);
    assert_int_equal(bed->report.loss_count, 2);
    bed_check_loss(bed, 0, 2, 1, last, sum_points(1, last), "damage");
    bed_check_loss(bed, 1, 3, 1, 4, sum_points(1, 4), "damage");
    assert_int_equal(journal_next_seq(bed->journal, 3), 5);
}

static void a_bad_header_puts_the_file_aside_and_refuses_nothing(void **state)
{
    struct bed *bed = *state;
    char path[SIM_PATH];
    bed_fill(bed, 2, LEN, 70);
    bed_commit(bed);
    segment_of(bed, 2, 1, path);
    struct segment gone = bed->journal->streams[2].segments[1];
    bed_close(bed);
    sim_disk_damage(&bed->disk, path, 8, 0x02); /* the version */
    bed_open(bed);
    bed_check_loss(bed, 0, 2, gone.first, gone.last, sum_points(gone.first, gone.last), "damage");
    assert_int_equal(sim_disk_count(&bed->disk, ".seg.bad"), 1);
    bed_commit(bed);
    bed_close(bed);
    bed_open(bed);
    assert_int_equal(bed->report.loss_count, 0);
    assert_int_equal(sim_disk_count(&bed->disk, ".seg.bad"), 1);
}

static void a_copy_of_a_segment_is_put_aside(void **state)
{
    struct bed *bed = *state;
    char path[SIM_PATH], bytes[64 * 1024];
    bed_fill(bed, 2, LEN, 15);
    bed_commit(bed);
    segment_of(bed, 2, 0, path);
    bed_close(bed);
    size_t size = (size_t)sim_disk_size(&bed->disk, path);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)sim_disk_byte(&bed->disk, path, i);
    sim_disk_put(&bed->disk, BED_FOLDER "/c-000000000999.seg", bytes, size);
    bed_open(bed);
    assert_int_equal(bed->report.loss_count, 0);
    bed_check_range(bed, 2, 1, 15, LEN);
    assert_int_equal(sim_disk_count(&bed->disk, ".seg.bad"), 1);
}

/* ---- the marks ---- */

static void spoil_slot(struct bed *bed, size_t slot)
{
    sim_disk_damage(&bed->disk, BED_FOLDER "/" META_FILE, slot * META_SLOT_BYTES + 30, 0x40);
}

static void one_bad_slot_keeps_a_safe_distance(void **state)
{
    struct bed *bed = *state;
    bed_fill(bed, 1, LEN, 5);
    bed_commit(bed);
    size_t newest = bed->journal->meta.generation % 2;
    bed_crash(bed, true);
    spoil_slot(bed, newest);
    bed_open(bed);
    assert_false(bed->report.created);
    assert_true(journal_next_seq(bed->journal, 1) > JOURNAL_SAFE_DISTANCE);
    bed_check_range(bed, 1, 1, 5, LEN);
}

static void without_marks_the_epoch_and_the_numbers_come_from_the_segments(void **state)
{
    struct bed *bed = *state;
    char epoch[33];
    snprintf(epoch, sizeof(epoch), "%s", journal_epoch(bed->journal));
    bed_fill(bed, 0, LEN, 2);
    bed_fill(bed, 1, LEN, 45);
    bed_commit(bed);
    bed_crash(bed, true);
    spoil_slot(bed, 0);
    spoil_slot(bed, 1);
    bed_open(bed);
    assert_false(bed->report.created);
    assert_true(bed->report.unclean);
    assert_string_equal(journal_epoch(bed->journal), epoch);
    bed_check_range(bed, 1, 1, 45, LEN);
    for (int stream = 0; stream < 4; stream++) /* also those that no segment tells of */
        assert_true(journal_next_seq(bed->journal, stream) > JOURNAL_SAFE_DISTANCE);
}

static void without_marks_and_segments_it_is_a_new_epoch(void **state)
{
    struct bed *bed = *state;
    char epoch[33];
    snprintf(epoch, sizeof(epoch), "%s", journal_epoch(bed->journal));
    bed_close(bed);
    sim_disk_remove(&bed->disk, BED_FOLDER "/" META_FILE);
    bed_open(bed);
    assert_true(bed->report.created);
    assert_string_not_equal(journal_epoch(bed->journal), epoch);
}

/* ---- writes that fail ---- */

/* A failed flush forgets what it should have written; the next would say that all is well. */
static void a_failed_flush_is_met_with_a_fresh_segment(void **state)
{
    struct bed *bed = *state;
    bed_fill(bed, 1, LEN, 5);
    bed_commit(bed);
    bed_fill(bed, 1, LEN, 5);
    bed->disk.fail_at = bed->disk.ops + 2; /* write, flush */
    bed_commit(bed);
    assert_int_equal(bed->disk.failures, 1);
    assert_int_equal(bed->journal->streams[1].count, 2);
    bed_check_range(bed, 1, 1, 10, LEN);
    bed_crash(bed, true);
    bed_open(bed);
    bed_check_range(bed, 1, 1, 10, LEN);
    bed_check_loss(bed, 0, 1, 11, journal_next_seq(bed->journal, 1) - 1, 0, "restart");
}

/* The process dies after a failed flush: its records are in the cache, which calls them clean. What
 * the next opening shows, it must have written itself. */
static void what_an_opening_shows_survives_the_next_power_cut(void **state)
{
    struct bed *bed = *state;
    bed_fill(bed, 1, LEN, 5);
    bed_commit(bed);
    bed_fill(bed, 1, LEN, 3);
    bed->disk.fail_at = bed->disk.ops + 2; /* written, but not flushed, and nothing after */
    bed->disk.fail_on = true;
    assert_int_equal(journal_commit(bed->journal, &bed->message), ERR_IO);
    bed->disk.fail_at = 0;
    bed->disk.fail_on = false;
    bed_crash(bed, false);
    bed_open(bed);
    bed_check_range(bed, 1, 1, 8, LEN);
    bed_crash(bed, true);
    bed_open(bed);
    bed_check_range(bed, 1, 1, 8, LEN);
}

/* Where a record's first write failed, the file it would have been in holds nothing; to drop that
 * must not take the file that does. */
static void a_segment_without_records_can_be_dropped_alone(void **state)
{
    struct bed *bed = *state;
    struct journal_loss victim;
    uint64_t seq;
    for (uint64_t n = 1; n <= 10; n++) { /* whichever of the first commit's calls it is */
        bed_crash(bed, false);
        bed_open(bed);
        bed->disk.fail_at = 0;
        assert_int_equal(bed_append(bed, 2, LEN, &seq), 0);
        bed->disk.fail_at = bed->disk.ops + n;
        bed_commit(bed);
        bed->disk.fail_at = 0;
        while (!journal_victim(bed->journal, &victim) && victim.first > victim.last)
            assert_int_equal(journal_drop(bed->journal, &victim, &bed->message), 0);
        bed_check_range(bed, 2, seq, seq, LEN);
        bed_crash(bed, true);
        bed_open(bed);
        bed_check_range(bed, 2, seq, seq, LEN);
    }
}

/* Every call of a whole life fails, once each, and from each on: nothing crashes, nothing that was
 * committed is lost, and without the failure it opens. */
static void the_nth_call_fails(void **state)
{
    bool reached = true;
    (void)state;
    for (uint64_t n = 1; reached; n++)
        for (int sticky = 0; sticky < 2; sticky++) {
            struct bed bed;
            uint64_t seq, durable[2] = {0, 0};
            bed_init(&bed, n);
            bed.options.segment_bytes = 4 * FRAME;
            bed.options.io = &bed.disk.io;
            bed.disk.fail_at = n;
            bed.disk.fail_on = sticky;
            int err = journal_open(&bed.options, &bed.journal, &bed.report, &bed.message);
            for (int i = 0; !err && i < 8; i++) {
                (void)!bed_append(&bed, i % 2, LEN, &seq);
                (void)!journal_commit(bed.journal, &bed.message);
                durable[i % 2] = journal_durable(bed.journal, i % 2);
            }
            if (!err)
                bed_crash(&bed, true);
            else
                bed.journal = NULL;
            reached = bed.disk.failures > 0;
            bed.disk.fail_at = 0;
            bed.disk.fail_on = false;
            bed_open(&bed);
            for (int stream = 0; stream < 2; stream++)
                if (durable[stream])
                    bed_check_range(&bed, stream, 1, durable[stream], LEN);
            bed_release(&bed);
        }
}

/* What was never durable does not become so by a closing whose flush failed. */
static void a_closing_that_cannot_commit_is_not_clean(void **state)
{
    struct bed *bed = *state;
    bed_fill(bed, 1, LEN, 2);
    bed_commit(bed);
    bed_fill(bed, 1, LEN, 2);
    bed->disk.fail_ops = 1U << SIM_SYNC;
    bed->disk.fail_one_in = 1;
    journal_close(bed->journal);
    bed->journal = NULL;
    bed->disk.fail_one_in = 0;
    bed_open(bed);
    assert_true(bed->report.unclean);
    bed_check_range(bed, 1, 1, 2, LEN);
}

static void failed_marks_never_touch_the_good_slot(void **state)
{
    struct bed *bed = *state;
    uint64_t generation = bed->journal->meta.generation;
    bed_fill(bed, 1, LEN, 2);
    bed->disk.fail_ops = 1U << SIM_SYNC;
    bed->disk.fail_one_in = 1;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(journal_commit(bed->journal, &bed->message), ERR_IO);
        assert_int_equal(bed->journal->meta.generation, generation);
        assert_int_equal(journal_durable(bed->journal, 1), 0);
    }
    bed->disk.fail_one_in = 0;
    bed_commit(bed);
    bed_check_range(bed, 1, 1, 2, LEN);
}

/* ---- the owner ---- */

struct owner {
    uint64_t sum; /* of the sequences it has taken */
    size_t restored, replayed;
};

static void save(void *self, int stream, struct buffer *out)
{
    (void)stream;
    buffer_append(out, &((struct owner *)self)->sum, sizeof(uint64_t));
}

static int restore(void *self, int stream, const void *state, size_t len)
{
    struct owner *owner = self;
    if (stream != 1)
        return 0;
    assert_int_equal(len, sizeof(uint64_t));
    memcpy(&owner->sum, state, len);
    owner->restored++;
    return 0;
}

static int replay(void *self, const struct journal_frame *frame)
{
    struct owner *owner = self;
    owner->sum += frame->seq;
    owner->replayed++;
    return 0;
}

static void own(struct bed *bed, struct owner *owner, size_t count, bool commit)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t seq;
        assert_int_equal(bed_append(bed, 1, LEN, &seq), 0);
        owner->sum += seq;
        if (commit && seq % 10 == 0)
            bed_commit(bed);
    }
}

static void reopen_owned(struct bed *bed, struct owner *owner, bool spoil)
{
    char path[SIM_PATH];
    size_t last = bed->journal->streams[1].count - 1;
    segment_of(bed, 1, last, path);
    bed_crash(bed, true);
    if (spoil) /* the newest state */
        sim_disk_damage(&bed->disk, path, SEGMENT_HEADER_BYTES + 2, 0x01);
    *owner = (struct owner){0};
    bed_open(bed);
}

/* One header and the frames behind it, not all there is. */
static void the_owner_is_restored_from_the_newest_state(void **state)
{
    struct bed *bed = *state;
    struct owner owner = {0};
    bed_close(bed);
    bed->options.owner = (struct journal_owner){&owner, save, restore, replay};
    bed->options.verify = false;
    bed_open(bed);
    own(bed, &owner, 70, true);
    own(bed, &owner, 40, false); /* never committed: no state may tell of them */
    reopen_owned(bed, &owner, false);
    assert_int_equal(owner.sum, 70 * 71 / 2);
    assert_int_equal(owner.restored, 1);
    assert_true(owner.replayed < 20);
}

static void a_bad_state_is_replaced_by_an_older_one(void **state)
{
    struct bed *bed = *state;
    struct owner owner = {0};
    bed_close(bed);
    bed->options.owner = (struct journal_owner){&owner, save, restore, replay};
    bed_open(bed);
    own(bed, &owner, 70, true);
    reopen_owned(bed, &owner, true);
    assert_int_equal(bed->report.quarantined_bytes, 0); /* the frames are whole */
    assert_int_equal(owner.sum, 70 * 71 / 2);
    bed_check_range(bed, 1, 1, 70, LEN);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(only_what_was_not_committed_is_lost_with_a_crash),
        TEST(many_crashes_skip_few_numbers_each),
        TEST(losses_are_told_until_they_are_committed_and_then_no_more),
        TEST(what_the_opening_accounts_for_can_be_received_and_is_a_gap),
        TEST(damage_in_the_last_segment_is_told_exactly),
        TEST(damage_in_an_older_segment_is_found_where_it_is_looked_for),
        TEST(a_committed_tail_that_is_spoiled_is_told_with_its_samples),
        TEST(a_file_that_vanished_is_told_with_its_samples),
        TEST(the_first_and_the_only_file_are_missed_too),
        TEST(a_bad_header_puts_the_file_aside_and_refuses_nothing),
        TEST(a_copy_of_a_segment_is_put_aside),
        TEST(one_bad_slot_keeps_a_safe_distance),
        TEST(without_marks_the_epoch_and_the_numbers_come_from_the_segments),
        TEST(without_marks_and_segments_it_is_a_new_epoch),
        TEST(a_failed_flush_is_met_with_a_fresh_segment),
        TEST(what_an_opening_shows_survives_the_next_power_cut),
        TEST(a_segment_without_records_can_be_dropped_alone),
        cmocka_unit_test(the_nth_call_fails),
        TEST(a_closing_that_cannot_commit_is_not_clean),
        TEST(failed_marks_never_touch_the_good_slot),
        TEST(the_owner_is_restored_from_the_newest_state),
        TEST(a_bad_state_is_replaced_by_an_older_one),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
