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

#define LEN     1000
#define SEGMENT 16384 /* fifteen records */

static int setup(void **state)
{
    struct bed *bed = malloc(sizeof(*bed));
    if (!bed)
        return -1;
    bed_init(bed, 5);
    bed->options.segment_bytes = SEGMENT;
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

static void drop(struct bed *bed, const struct journal_loss *victim)
{
    int err = journal_drop(bed->journal, victim, &bed->message);
    if (err)
        print_error("journal_drop: %s\n", bed->message.text);
    assert_int_equal(err, 0);
}

static void the_last_letter_goes_first_and_the_first_never(void **state)
{
    struct bed *bed = *state;
    struct journal_loss victim;
    for (int stream = 0; stream < 4; stream++)
        bed_fill(bed, stream, LEN, 40);
    bed_commit(bed);
    for (int stream = 3; stream > 0; stream--) {
        uint64_t next = 1;
        while (next <= 40) {
            assert_int_equal(journal_victim(bed->journal, &victim), 0);
            assert_int_equal(victim.stream, stream);
            assert_int_equal(victim.first, next);
            assert_int_equal(victim.points, sum_points(victim.first, victim.last));
            assert_string_equal(victim.cause, "space");
            assert_true(victim.from_ms <= victim.to_ms);
            drop(bed, &victim);
            next = victim.last + 1;
            assert_int_equal(journal_first(bed->journal, stream), next);
        }
        assert_int_equal(journal_next_seq(bed->journal, stream), 41);
    }
    assert_int_equal(journal_victim(bed->journal, &victim), ERR_NOT_FOUND);
    bed_check_range(bed, 0, 1, 40, LEN);
}

/* Is a segment of the first stream, all received, the next to go? */
static bool first_stream_goes(struct bed *bed)
{
    struct journal_loss victim;
    return !journal_victim(bed->journal, &victim) && victim.stream == 0;
}

static void what_later_records_refer_to_stays_while_they_do(void **state)
{
    struct bed *bed = *state;
    struct journal_loss victim;
    bed_fill(bed, 0, LEN, 20);
    assert_int_equal(journal_keep(bed->journal, 3), 0); /* a birth, say, of the first segment */
    bed_fill(bed, 1, LEN, 5);
    bed_commit(bed);
    bed_receive(bed, 0, 1, 20);
    assert_false(first_stream_goes(bed));

    /* Of an earlier run they stay as long as it has left anything else. */
    bed_close(bed);
    bed_open(bed);
    bed_fill(bed, 1, LEN, 5);
    bed_commit(bed);
    assert_false(first_stream_goes(bed));
    bed_receive(bed, 1, 1, 5);
    assert_int_equal(journal_victim(bed->journal, &victim), 0);
    assert_int_equal(victim.stream, 1);
    drop(bed, &victim);
    assert_true(first_stream_goes(bed));
}

static void flushes_that_fail_for_long_do_not_fill_the_disk(void **state)
{
    struct bed *bed = *state;
    uint64_t bytes, received, seq;
    bed_close(bed);
    bed->options.limit_bytes = 10 * SEGMENT;
    bed_open(bed);
    bed->disk.fail_ops = 1U << SIM_SYNC;
    bed->disk.fail_one_in = 8;
    for (int i = 0; i < 2000; i++) {
        struct journal_loss victim;
        assert_int_equal(bed_append(bed, 1, LEN, &seq), 0);
        if (journal_commit(bed->journal, &bed->message) == ERR_FULL &&
            !journal_victim(bed->journal, &victim))
            (void)!journal_drop(bed->journal, &victim, &bed->message);
        journal_bytes(bed->journal, &bytes, &received);
        assert_true(bytes <= (uint64_t)(10 + 4 + 1) * SEGMENT); /* each stream may pass it by one */
    }
}

static void what_was_dropped_is_not_told_again(void **state)
{
    struct bed *bed = *state;
    struct journal_loss victim;
    bed_fill(bed, 3, LEN, 60);
    bed_commit(bed);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(journal_victim(bed->journal, &victim), 0);
        drop(bed, &victim);
    }
    uint64_t first = journal_first(bed->journal, 3);
    bed_close(bed);
    bed_open(bed);
    assert_int_equal(bed->report.loss_count, 0);
    assert_int_equal(journal_first(bed->journal, 3), first);
    assert_int_equal(journal_points(bed->journal), sum_points(1, 60));
    bed_check_range(bed, 3, first, 60, LEN);
}

static void what_is_received_goes_before_all_and_loses_nothing(void **state)
{
    struct bed *bed = *state;
    struct journal_loss victim;
    bed_fill(bed, 1, LEN, 50);
    bed_fill(bed, 3, LEN, 50);
    bed_commit(bed);
    bed_receive(bed, 1, 1, 50);
    const struct segment *middle = &bed->journal->streams[1].segments[1];
    assert_int_equal(journal_victim(bed->journal, &victim), 0);
    assert_int_equal(victim.stream, 1);
    assert_true(victim.first > victim.last);
    assert_int_equal(victim.points, 0);
    assert_int_equal(victim.segment_first, 1);
    uint64_t second = middle->first;
    drop(bed, &victim);
    assert_int_equal(journal_first(bed->journal, 1), second);
    bed_crash(bed, true); /* the receipt was kept with the drop that rests on it */
    bed_open(bed);
    bed_check_range(bed, 3, 1, 50, LEN);
    for (size_t i = 0; i < bed->report.loss_count; i++)
        assert_string_equal(bed->report.losses[i].cause, "restart");
}

static void a_victim_tells_from_the_first_to_the_last_that_is_not_received(void **state)
{
    struct bed *bed = *state;
    struct journal_loss victim;
    bed_fill(bed, 3, LEN, 40);
    bed_commit(bed);
    uint64_t last = bed->journal->streams[3].segments[0].last;
    bed_receive(bed, 3, 1, 4);
    bed_receive(bed, 3, 7, 8);
    bed_receive(bed, 3, last, last);
    assert_int_equal(journal_victim(bed->journal, &victim), 0);
    assert_int_equal(victim.first, 5);
    assert_int_equal(victim.last, last - 1);
    /* All of them: the receiver knows best what it has in between. */
    assert_int_equal(victim.points, sum_points(5, last - 1));
}

/* Of a segment that goes, also what cannot be read is counted, unless it was told before. */
static void a_victim_counts_what_is_damaged_once(void **state)
{
    struct bed *bed = *state;
    struct journal_loss victim, loss;
    struct journal_reader *reader;
    struct journal_frame frame;
    char path[SIM_PATH];
    bed_fill(bed, 3, LEN, 40);
    bed_commit(bed);
    const struct segment *segment = &bed->journal->streams[3].segments[0];
    uint64_t last = segment->last;
    snprintf(path, sizeof(path), BED_FOLDER "/%s", segment->name);
    size_t size = FRAME_HEADER_BYTES + 6 + LEN;
    sim_disk_damage(&bed->disk, path, SEGMENT_HEADER_BYTES + 5 * size + 500, 1);
    sim_disk_damage(&bed->disk, path, SEGMENT_HEADER_BYTES + (size_t)(last - 1) * size + 500, 1);
    bed_receive(bed, 3, 1, 2);
    assert_int_equal(journal_victim(bed->journal, &victim), 0);
    assert_int_equal(victim.points, sum_points(3, last));
    assert_int_equal(journal_reader_open(bed->journal, 3, 1, &reader), 0);
    while (!journal_reader_next(reader, &frame, NULL))
        ;
    journal_reader_close(reader);
    while (!journal_next_loss(bed->journal, &loss))
        ;
    bed_commit(bed); /* both places are told now */
    assert_int_equal(journal_victim(bed->journal, &victim), 0);
    assert_int_equal(victim.points, sum_points(3, last) - bed_points(6) - bed_points(last));
}

static void an_open_segment_is_closed_before_it_is_named(void **state)
{
    struct bed *bed = *state;
    struct journal_loss victim;
    uint64_t seq;
    bed_fill(bed, 3, LEN, 3);
    bed_commit(bed);
    bed_fill(bed, 3, LEN, 2);
    assert_int_equal(journal_victim(bed->journal, &victim), 0);
    assert_int_equal(victim.last, 5);
    assert_int_equal(bed_append(bed, 3, LEN, &seq), 0);
    bed_commit(bed);
    drop(bed, &victim);
    bed_check_range(bed, 3, 6, 6, LEN);
    assert_int_equal(journal_first(bed->journal, 3), 6);
}

static void only_the_victim_that_was_named_is_dropped(void **state)
{
    struct bed *bed = *state;
    struct journal_loss victim, other;
    bed_fill(bed, 3, LEN, 40);
    bed_commit(bed);
    assert_int_equal(journal_victim(bed->journal, &victim), 0);
    other = victim;
    other.last++;
    assert_int_equal(journal_drop(bed->journal, &other, &bed->message), ERR_INVALID);
    drop(bed, &victim);
    assert_int_equal(journal_drop(bed->journal, &victim, &bed->message), ERR_INVALID);
}

/* A newest state and what follows it are needed at the next opening. */
static void count_save(void *self, int stream, struct buffer *out)
{
    (void)self;
    (void)stream;
    buffer_append_text(out, "state");
}

static void the_newest_state_is_not_freed_by_receipts(void **state)
{
    struct bed *bed = *state;
    struct journal_loss victim;
    bed_close(bed);
    bed->options.owner.save = count_save;
    bed_open(bed);
    for (int i = 0; i < 50; i++) {
        bed_fill(bed, 0, LEN, 1);
        bed_commit(bed);
    }
    bed_receive(bed, 0, 1, 50);
    bed_close(bed); /* now none is open */
    bed_open(bed);
    while (!journal_victim(bed->journal, &victim))
        drop(bed, &victim);
    assert_int_equal(bed->journal->streams[0].count, 1);
    assert_true(bed->journal->streams[0].segments[0].has_state);
}

/* ---- a disk that is full ---- */

static void the_limit_is_told_by_the_commit_and_kept(void **state)
{
    struct bed *bed = *state;
    uint64_t total, received, seq;
    int err = 0;
    bed_close(bed);
    bed->options.limit_bytes = 10 * SEGMENT;
    bed_open(bed);
    while (!err) {
        assert_int_equal(bed_append(bed, 3, LEN, &seq), 0);
        err = journal_commit(bed->journal, &bed->message);
    }
    assert_int_equal(err, ERR_FULL);
    journal_bytes(bed->journal, &total, &received);
    assert_true(total <= 10 * SEGMENT && total >= 8 * SEGMENT);
    assert_int_equal(received, 0);
    assert_int_equal(journal_durable(bed->journal, 3), seq - 1);
    struct journal_loss victim;
    assert_int_equal(journal_victim(bed->journal, &victim), 0);
    drop(bed, &victim);
    bed_commit(bed); /* what was pending has found its place */
    assert_int_equal(journal_durable(bed->journal, 3), seq);
}

/* Everything is full, to the last byte: that something is lost can still be written. */
static void a_full_disk_takes_a_loss_record(void **state)
{
    struct bed *bed = *state;
    struct journal_loss victim;
    uint64_t seq;
    bed_fill(bed, 0, LEN, 14); /* one more record of the first stream would need a segment */
    bed_commit(bed);
    bed->disk.capacity = sim_disk_used(&bed->disk) + 3 * SEGMENT;
    int err = 0;
    while (!err) {
        assert_int_equal(bed_append(bed, 3, LEN, &seq), 0);
        err = journal_commit(bed->journal, &bed->message);
    }
    assert_int_equal(err, ERR_FULL);
    bed->disk.capacity = sim_disk_used(&bed->disk);
    assert_int_equal(journal_victim(bed->journal, &victim), 0);
    for (int i = 0; i < 3; i++)
        bed_fill(bed, 0, LEN, 1);
    assert_int_equal(journal_commit(bed->journal, &bed->message), ERR_FULL); /* stream t's */
    assert_int_equal(journal_durable(bed->journal, 0), 17);
    drop(bed, &victim);
    /* What becomes free is the next spare first, so stream t may need more than one drop. */
    for (int i = 0; i < 3 && (err = journal_commit(bed->journal, &bed->message)) == ERR_FULL; i++) {
        assert_int_equal(journal_victim(bed->journal, &victim), 0);
        drop(bed, &victim);
    }
    assert_int_equal(err, 0);
    assert_true(bed->journal->spare_fd >= 0);
    bed_check_range(bed, 0, 1, 17, LEN);
    bed_check_range(bed, 3, victim.last + 1, seq, LEN);
}

static void where_space_cannot_be_reserved_a_full_disk_loses_nothing(void **state)
{
    struct bed *bed = *state;
    struct journal_loss victim;
    uint64_t seq = 0;
    bed_close(bed);
    bed->disk.no_reserve = true;
    bed_open(bed);
    bed_fill(bed, 3, LEN, 40);
    bed_commit(bed);
    bed->disk.capacity = sim_disk_used(&bed->disk) + 20000;
    int err = 0;
    while (!err) {
        assert_int_equal(bed_append(bed, 3, LEN, &seq), 0);
        err = journal_commit(bed->journal, &bed->message);
    }
    assert_int_equal(err, ERR_FULL);
    assert_int_equal(journal_victim(bed->journal, &victim), 0);
    drop(bed, &victim);
    bed_commit(bed);
    bed_check_range(bed, 3, victim.last + 1, seq, LEN);
}

static void what_waits_for_a_dead_disk_is_bounded(void **state)
{
    struct bed *bed = *state;
    uint64_t seq;
    int err = 0, count = 0;
    bed->disk.fail_ops = 1U << SIM_WRITE;
    bed->disk.fail_one_in = 1;
    while (!err && count++ < 1000)
        err = bed_append(bed, 1, JOURNAL_MAX_PAYLOAD, &seq);
    assert_int_equal(err, ERR_FULL);
    assert_true(count < 40);
    assert_int_equal(journal_commit(bed->journal, &bed->message), ERR_IO);
    assert_non_null(strstr(bed->message.text, "kept in memory"));
    bed->disk.fail_one_in = 0;
    bed_commit(bed);
    bed_check_range(bed, 1, 1, seq, JOURNAL_MAX_PAYLOAD);
}

/* ---- receipts ---- */

static void receipts_beyond_what_is_known_are_refused_whole(void **state)
{
    struct bed *bed = *state;
    struct intervals set;
    bed_fill(bed, 1, LEN, 5);
    bed_commit(bed);
    bed_fill(bed, 1, LEN, 1); /* not durable */
    intervals_init(&set, 4);
    assert_int_equal(intervals_add(&set, 1, 3), 0);
    assert_int_equal(intervals_add(&set, 6, 6), 0);
    assert_int_equal(journal_receive(bed->journal, 1, &set), ERR_RANGE);
    assert_int_equal(journal_received(bed->journal, 1, &set), 0);
    assert_int_equal(set.count, 0);
    intervals_release(&set);
}

static void receipts_are_known_after_a_closing_and_can_be_replaced(void **state)
{
    struct bed *bed = *state;
    struct intervals set;
    bed_fill(bed, 1, LEN, 50);
    bed_commit(bed);
    bed_receive(bed, 1, 1, 20);
    bed_receive(bed, 1, 30, 31);
    bed_close(bed);
    bed_open(bed);
    intervals_init(&set, 8);
    assert_int_equal(journal_received(bed->journal, 1, &set), 0);
    assert_int_equal(set.count, 2);
    assert_true(intervals_contain_all(&set, 1, 20) && intervals_contain_all(&set, 30, 31));
    intervals_clear(&set); /* the receiver was restored from a backup */
    assert_int_equal(intervals_add(&set, 1, 10), 0);
    assert_int_equal(journal_receive_anew(bed->journal, 1, &set), 0);
    assert_int_equal(journal_received(bed->journal, 1, &set), 0);
    assert_int_equal(intervals_size(&set), 10);
    intervals_release(&set);
}

/* Receipts reach the disk within a second of records, with no closing. */
static void receipts_are_kept_lazily(void **state)
{
    struct bed *bed = *state;
    struct intervals set;
    bed_fill(bed, 1, LEN, 5);
    bed_commit(bed);
    bed_receive(bed, 1, 1, 5);
    bed_fill(bed, 1, LEN, 2); /* two seconds */
    bed_commit(bed);
    bed_crash(bed, true);
    bed_open(bed);
    intervals_init(&set, 8);
    assert_int_equal(journal_received(bed->journal, 1, &set), 0);
    assert_int_equal(intervals_through(&set), 5);
    intervals_release(&set);
}

static void bytes_received_are_a_part_of_all(void **state)
{
    struct bed *bed = *state;
    uint64_t total, received, whole;
    bed_fill(bed, 1, LEN, 100);
    bed_commit(bed);
    journal_bytes(bed->journal, &total, &received);
    assert_int_equal(received, 0);
    bed_receive(bed, 1, 1, 50);
    journal_bytes(bed->journal, &whole, &received);
    assert_int_equal(whole, total);
    assert_true(received > total * 4 / 10 && received < total * 6 / 10);
    bed_receive(bed, 1, 1, 100);
    journal_bytes(bed->journal, &whole, &received);
    assert_int_equal(received, whole);
}

/* ---- epochs ---- */

static void a_new_epoch_begins_at_one_and_keeps_the_old_files_for_a_while(void **state)
{
    struct bed *bed = *state;
    char before[33];
    struct journal_frame frame;
    struct journal_reader *reader;
    bed_fill(bed, 1, LEN, 40);
    bed_commit(bed);
    bed_receive(bed, 1, 1, 40);
    size_t old = bed->journal->streams[1].count;
    snprintf(before, sizeof(before), "%s", journal_epoch(bed->journal));
    const char *still = journal_epoch(bed->journal); /* another thread may look at it */
    assert_int_equal(journal_new_epoch(bed->journal, &bed->message), 0);
    assert_string_equal(still, before);
    assert_string_not_equal(journal_epoch(bed->journal), before);
    assert_int_equal(journal_next_seq(bed->journal, 1), 1);
    assert_int_equal(journal_durable(bed->journal, 1), 0);
    assert_int_equal(journal_points(bed->journal), 0);
    assert_int_equal(journal_reader_open(bed->journal, 1, 1, &reader), 0);
    assert_int_equal(journal_reader_next(reader, &frame, NULL), ERR_AGAIN);
    journal_reader_close(reader);
    assert_int_equal(sim_disk_count(&bed->disk, ".seg"), old);
    bed_fill(bed, 1, LEN, 5);
    bed_commit(bed);
    bed_crash(bed, true);
    bed_open(bed);
    assert_string_not_equal(journal_epoch(bed->journal), before);
    assert_int_equal(bed->report.retired_segments, old);
    bed_check_range(bed, 1, 1, 5, LEN);
}

/* Takes over by appending as many bytes and samples as there were; remembers what it was given. */
struct heir {
    struct bed *bed;
    struct intervals taken, trusted;
    uint64_t lost_first, lost_last, lost_points;
    size_t losses, fail_after; /* 0: never */
};

static int take_old(void *self, const struct journal_frame *frame, bool owed, bool trusted)
{
    struct heir *heir = self;
    uint64_t seq;
    if (!owed || frame->stream == 0)
        return 0;
    if (heir->fail_after && !--heir->fail_after)
        return ERR_IO;
    assert_false(intervals_contain(&heir->taken, frame->seq));
    assert_int_equal(intervals_add(&heir->taken, frame->seq, frame->seq), 0);
    if (trusted)
        assert_int_equal(intervals_add(&heir->trusted, frame->seq, frame->seq), 0);
    return journal_append(heir->bed->journal, frame->stream, "", frame->payload, frame->len,
                          frame->points, frame->wall_ms, frame->mono_us, &seq, NULL);
}

static int lose_old(void *self, const struct journal_loss *loss)
{
    struct heir *heir = self;
    heir->losses++;
    heir->lost_first = loss->first;
    heir->lost_last = loss->last;
    heir->lost_points += loss->points;
    return 0;
}

static int commit_old(void *self)
{
    struct heir *heir = self;
    return journal_commit(heir->bed->journal, NULL);
}

static int inherit(struct heir *heir)
{
    struct journal_heir calls = {heir, take_old, lose_old, commit_old};
    journal_heir_looked(heir->bed->journal);
    return journal_inherit(heir->bed->journal, &calls, &heir->bed->message);
}

static void heir_init(struct heir *heir, struct bed *bed)
{
    *heir = (struct heir){.bed = bed};
    intervals_init(&heir->taken, 1000);
    intervals_init(&heir->trusted, 1000);
}

static void heir_release(struct heir *heir)
{
    intervals_release(&heir->taken);
    intervals_release(&heir->trusted);
}

static void what_an_ended_epoch_owes_is_handed_over_once_and_its_files_go(void **state)
{
    struct bed *bed = *state;
    struct heir heir;
    char before[EPOCH_SIZE], owed[EPOCH_SIZE];
    heir_init(&heir, bed);
    bed_fill(bed, 1, LEN, 40);
    bed_commit(bed);
    bed_receive(bed, 1, 1, 10);
    bed_receive(bed, 1, 21, 25);
    snprintf(before, sizeof(before), "%s", journal_epoch(bed->journal));
    assert_false(journal_old_epoch(bed->journal, owed));
    assert_int_equal(journal_new_epoch(bed->journal, &bed->message), 0);
    assert_true(journal_old_epoch(bed->journal, owed));
    assert_string_equal(owed, before);
    assert_int_equal(journal_new_epoch(bed->journal, &bed->message), ERR_CONFLICT);
    assert_int_equal(inherit(&heir), 0);
    assert_false(journal_old_epoch(bed->journal, owed));
    assert_int_equal(intervals_size(&heir.taken), 25);
    assert_true(intervals_contain_all(&heir.taken, 11, 20));
    assert_true(intervals_contain_all(&heir.taken, 26, 40));
    assert_int_equal(heir.losses, 0);
    assert_int_equal(journal_durable(bed->journal, 1), 25);
    bed_crash(bed, true);
    bed_open(bed);
    assert_int_equal(bed->report.retired_segments, 0);
    heir_release(&heir);
}

/* The process ends half-way, again and again: all comes, nothing that was made safe comes twice. */
static void what_is_owed_stays_owed_over_restarts(void **state)
{
    struct bed *bed = *state;
    struct heir heir;
    char owed[EPOCH_SIZE];
    heir_init(&heir, bed);
    bed_fill(bed, 1, LEN, 300);
    bed_commit(bed);
    assert_int_equal(journal_new_epoch(bed->journal, &bed->message), 0);
    for (int round = 0; round < 3; round++) {
        heir.fail_after = 100;
        assert_int_equal(inherit(&heir), ERR_IO);
        /* What was not safe is not known to be there, unless the heir says so. */
        assert_int_equal(commit_old(&heir), 0);
        bed_crash(bed, true);
        bed_open(bed);
        assert_true(journal_old_epoch(bed->journal, owed));
        for (size_t i = 0; i < heir.taken.count; i++)
            assert_int_equal(journal_settle_old(bed->journal, 1, heir.taken.ranges[i].first,
                                                heir.taken.ranges[i].last),
                             0);
    }
    heir.fail_after = 0;
    assert_int_equal(inherit(&heir), 0);
    assert_int_equal(intervals_size(&heir.taken), 300);
    assert_int_equal(heir.losses, 0);
    heir_release(&heir);
}

static void what_cannot_be_read_of_an_ended_epoch_is_lost_by_number_and_samples(void **state)
{
    struct bed *bed = *state;
    struct heir heir;
    uint64_t points = 0;
    heir_init(&heir, bed);
    bed_fill(bed, 1, LEN, 5);
    bed_commit(bed);
    const char *path = sim_disk_path(&bed->disk, ".seg", 0);
    uint64_t body = SEGMENT_HEADER_BYTES, frame = bed->journal->streams[1].segments[0].end - body;
    sim_disk_damage(&bed->disk, path, body + frame / 5 + frame / 10, 1);
    assert_int_equal(journal_new_epoch(bed->journal, &bed->message), 0);
    assert_int_equal(inherit(&heir), 0);
    points = bed_points(2);
    assert_int_equal(heir.losses, 1);
    assert_int_equal(heir.lost_first, 2);
    assert_int_equal(heir.lost_last, 2);
    assert_int_equal(heir.lost_points, points);
    assert_int_equal(intervals_size(&heir.taken), 4);
    heir_release(&heir);
}

/* A run that the receiver has not vouched for may be the second life of a copied disk, and so may
 * the runs behind it; the one before is certain. */
static void only_what_was_recorded_before_the_last_vouching_run_ended_is_trusted(void **state)
{
    struct bed *bed = *state;
    struct heir heir;
    heir_init(&heir, bed);
    bed_fill(bed, 1, LEN, 5);
    bed_commit(bed);
    assert_int_equal(journal_trusted(bed->journal, 1), 0);
    journal_vouch(bed->journal);
    assert_int_equal(journal_trusted(bed->journal, 1), 5);
    bed_fill(bed, 1, LEN, 2);
    bed_commit(bed);
    for (int run = 0; run < 2; run++) {
        bed_close(bed);
        bed_open(bed);
        assert_int_equal(journal_trusted(bed->journal, 1), 7);
        bed_fill(bed, 1, LEN, 3);
        bed_commit(bed);
    }
    assert_int_equal(journal_new_epoch(bed->journal, &bed->message), 0);
    assert_int_equal(journal_trusted(bed->journal, 1), 0);
    assert_int_equal(inherit(&heir), 0);
    assert_int_equal(intervals_size(&heir.taken), 13);
    assert_int_equal(intervals_through(&heir.trusted), 7);
    assert_int_equal(intervals_size(&heir.trusted), 7);
    heir_release(&heir);
}

/* One slot of the marks may be lost: the other must not bring the old epoch back. */
static void a_new_epoch_stands_in_both_slots(void **state)
{
    struct bed *bed = *state;
    char epoch[33];
    bed_fill(bed, 1, LEN, 5);
    bed_commit(bed);
    assert_int_equal(journal_new_epoch(bed->journal, &bed->message), 0);
    snprintf(epoch, sizeof(epoch), "%s", journal_epoch(bed->journal));
    size_t newest = bed->journal->meta.generation % 2;
    bed_crash(bed, true);
    sim_disk_damage(&bed->disk, BED_FOLDER "/" META_FILE, newest * META_SLOT_BYTES + 30, 1);
    bed_open(bed);
    assert_string_equal(journal_epoch(bed->journal), epoch);
}

/* What is owed of it may pass the limit for a while. */
static void an_old_epoch_takes_no_room_from_the_present_one(void **state)
{
    struct bed *bed = *state;
    bed_close(bed);
    bed->options.limit_bytes = 8 * SEGMENT;
    bed_open(bed);
    bed_fill(bed, 1, LEN, 60);
    bed_commit(bed);
    assert_int_equal(journal_new_epoch(bed->journal, &bed->message), 0);
    bed_fill(bed, 1, LEN, 60);
    bed_commit(bed);
    bed_check_range(bed, 1, 1, 60, LEN);
}

static void a_new_epoch_that_cannot_be_written_leaves_the_old_one(void **state)
{
    struct bed *bed = *state;
    char epoch[33];
    bed_fill(bed, 1, LEN, 5);
    bed_commit(bed);
    snprintf(epoch, sizeof(epoch), "%s", journal_epoch(bed->journal));
    bed->disk.fail_ops = 1U << SIM_SYNC;
    bed->disk.fail_one_in = 1;
    assert_int_equal(journal_new_epoch(bed->journal, &bed->message), ERR_IO);
    bed->disk.fail_one_in = 0;
    assert_string_equal(journal_epoch(bed->journal), epoch);
    bed_fill(bed, 1, LEN, 5);
    bed_commit(bed);
    bed_check_range(bed, 1, 1, 10, LEN);
    bed_crash(bed, true);
    bed_open(bed);
    assert_string_equal(journal_epoch(bed->journal), epoch);
    bed_check_range(bed, 1, 1, 10, LEN);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_last_letter_goes_first_and_the_first_never),
        TEST(what_later_records_refer_to_stays_while_they_do),
        TEST(flushes_that_fail_for_long_do_not_fill_the_disk),
        TEST(what_was_dropped_is_not_told_again),
        TEST(what_is_received_goes_before_all_and_loses_nothing),
        TEST(a_victim_tells_from_the_first_to_the_last_that_is_not_received),
        TEST(a_victim_counts_what_is_damaged_once),
        TEST(an_open_segment_is_closed_before_it_is_named),
        TEST(only_the_victim_that_was_named_is_dropped),
        TEST(the_newest_state_is_not_freed_by_receipts),
        TEST(the_limit_is_told_by_the_commit_and_kept),
        TEST(a_full_disk_takes_a_loss_record),
        TEST(where_space_cannot_be_reserved_a_full_disk_loses_nothing),
        TEST(what_waits_for_a_dead_disk_is_bounded),
        TEST(receipts_beyond_what_is_known_are_refused_whole),
        TEST(receipts_are_known_after_a_closing_and_can_be_replaced),
        TEST(receipts_are_kept_lazily),
        TEST(bytes_received_are_a_part_of_all),
        TEST(a_new_epoch_begins_at_one_and_keeps_the_old_files_for_a_while),
        TEST(a_new_epoch_stands_in_both_slots),
        TEST(an_old_epoch_takes_no_room_from_the_present_one),
        TEST(what_an_ended_epoch_owes_is_handed_over_once_and_its_files_go),
        TEST(what_is_owed_stays_owed_over_restarts),
        TEST(what_cannot_be_read_of_an_ended_epoch_is_lost_by_number_and_samples),
        TEST(only_what_was_recorded_before_the_last_vouching_run_ended_is_trusted),
        TEST(a_new_epoch_that_cannot_be_written_leaves_the_old_one),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
