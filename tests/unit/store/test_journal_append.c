#include "store/journal.h"

#include "tests/unit/support/journal_bed.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int setup(void **state)
{
    struct bed *bed = malloc(sizeof(*bed));
    if (!bed)
        return -1;
    bed_init(bed, 1);
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

static void a_new_journal_says_so_and_begins_at_one(void **state)
{
    struct bed *bed = *state;
    assert_true(bed->report.created);
    assert_false(bed->report.unclean);
    assert_int_equal(bed->report.loss_count, 0);
    assert_int_equal(strlen(journal_epoch(bed->journal)), 32);
    for (int stream = 0; stream < 4; stream++) {
        assert_int_equal(journal_next_seq(bed->journal, stream), 1);
        assert_int_equal(journal_durable(bed->journal, stream), 0);
        assert_int_equal(journal_first(bed->journal, stream), 1);
    }
}

static void readers_see_durable_records_only(void **state)
{
    struct bed *bed = *state;
    struct journal_reader *reader;
    struct journal_frame frame;
    assert_int_equal(journal_reader_open(bed->journal, 1, 1, &reader), 0);
    bed_fill(bed, 1, 100, 3);
    assert_int_equal(journal_reader_next(reader, &frame, NULL), ERR_AGAIN);
    assert_int_equal(journal_durable(bed->journal, 1), 0);
    assert_true(journal_pending(bed->journal) > 300);
    bed_commit(bed);
    assert_int_equal(journal_pending(bed->journal), 0);
    assert_int_equal(journal_durable(bed->journal, 1), 3);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        assert_int_equal(journal_reader_next(reader, &frame, NULL), 0);
        assert_int_equal(frame.seq, seq);
        bed_check_frame(&frame, 1, 100);
    }
    assert_int_equal(journal_reader_next(reader, &frame, NULL), ERR_AGAIN);
    bed_fill(bed, 1, 100, 1);
    bed_commit(bed);
    assert_int_equal(journal_reader_next(reader, &frame, NULL), 0);
    assert_int_equal(frame.seq, 4);
    assert_int_equal(frame.stream_points, 11 + 12 + 13 + 14);
    journal_reader_close(reader);
}

static void each_stream_has_its_own_sequence(void **state)
{
    struct bed *bed = *state;
    bed_fill(bed, 0, 10, 2);
    bed_fill(bed, 3, 20, 5);
    bed_commit(bed);
    bed_check_range(bed, 0, 1, 2, 10);
    bed_check_range(bed, 3, 1, 5, 20);
    assert_int_equal(journal_points(bed->journal), 11 + 12 + 11 + 12 + 13 + 14 + 10);
}

static void a_closed_journal_opens_clean_and_goes_on(void **state)
{
    struct bed *bed = *state;
    char epoch[33];
    snprintf(epoch, sizeof(epoch), "%s", journal_epoch(bed->journal));
    bed_fill(bed, 2, 500, 40);
    bed_close(bed); /* commits */
    bed_open(bed);
    assert_false(bed->report.created);
    assert_false(bed->report.unclean);
    assert_int_equal(bed->report.loss_count, 0);
    assert_int_equal(bed->report.torn_bytes, 0);
    assert_string_equal(journal_epoch(bed->journal), epoch);
    assert_int_equal(journal_next_seq(bed->journal, 2), 41);
    bed_fill(bed, 2, 500, 10);
    bed_commit(bed);
    bed_check_range(bed, 2, 1, 50, 500);
    assert_int_equal(journal_points(bed->journal), 50 * 12);
}

static void a_full_segment_is_followed_by_another(void **state)
{
    struct bed *bed = *state;
    for (int i = 0; i < 20; i++) {
        bed_fill(bed, 1, 3000, 10);
        bed_commit(bed);
    }
    assert_true(sim_disk_count(&bed->disk, ".seg") > 8);
    bed_check_range(bed, 1, 1, 200, 3000);
    bed_close(bed);
    bed_open(bed);
    assert_int_equal(bed->report.loss_count, 0);
    bed_check_range(bed, 1, 1, 200, 3000);
}

static void the_largest_record_fits_and_no_larger_one(void **state)
{
    struct bed *bed = *state;
    uint64_t seq;
    bed_fill(bed, 1, 10, 1);
    bed_fill(bed, 1, JOURNAL_MAX_PAYLOAD, 3); /* larger than a segment */
    assert_int_equal(bed_append(bed, 1, JOURNAL_MAX_PAYLOAD + 1, &seq), ERR_RANGE);
    bed_fill(bed, 1, 0, 1);
    bed_commit(bed);
    bed_check_range(bed, 1, 2, 4, JOURNAL_MAX_PAYLOAD);
    bed_check_range(bed, 1, 5, 5, 0);
}

static void origins_and_streams_are_bounded(void **state)
{
    struct bed *bed = *state;
    char origin[JOURNAL_MAX_ORIGIN + 2];
    uint64_t seq;
    memset(origin, 'o', sizeof(origin));
    origin[JOURNAL_MAX_ORIGIN + 1] = '\0';
    assert_int_equal(journal_append(bed->journal, 1, origin, "x", 1, 1, 0, 0, &seq, NULL),
                     ERR_RANGE);
    assert_int_equal(journal_append(bed->journal, 4, "", "x", 1, 1, 0, 0, &seq, NULL), ERR_INVALID);
    assert_int_equal(journal_append(bed->journal, -1, "", "x", 1, 1, 0, 0, &seq, NULL),
                     ERR_INVALID);
    assert_int_equal(journal_next_seq(bed->journal, 1), 1);
}

static void count_call(void *self)
{
    ++*(int *)self;
}

static void subscribers_are_woken_by_what_becomes_durable(void **state)
{
    struct bed *bed = *state;
    int calls = 0;
    assert_int_equal(journal_subscribe(bed->journal, count_call, &calls), 0);
    bed_commit(bed);
    assert_int_equal(calls, 0);
    bed_fill(bed, 0, 10, 2);
    assert_int_equal(calls, 0);
    bed_commit(bed);
    assert_int_equal(calls, 1);
    for (int i = 1; i < 8; i++)
        assert_int_equal(journal_subscribe(bed->journal, count_call, &calls), 0);
    assert_int_equal(journal_subscribe(bed->journal, count_call, &calls), ERR_FULL);
}

static void a_journal_is_opened_once(void **state)
{
    struct bed *bed = *state;
    struct journal *other;
    struct journal_report report;
    assert_int_equal(journal_open(&bed->options, &other, &report, &bed->message), ERR_CONFLICT);
    assert_non_null(strstr(bed->message.text, "another instance"));
}

static void a_folder_of_other_streams_is_refused(void **state)
{
    struct bed *bed = *state;
    struct journal *other;
    struct journal_report report;
    bed_close(bed);
    bed->options.letters = "j";
    assert_int_equal(journal_open(&bed->options, &other, &report, &bed->message), ERR_CONFLICT);
    assert_non_null(strstr(bed->message.text, "other streams"));
    bed->options.letters = "asct";
    bed_open(bed);
}

static int remove_entry(const char *path, const struct stat *info, int flag, struct FTW *ftw)
{
    (void)info;
    (void)flag;
    (void)ftw;
    return remove(path);
}

struct seen {
    uint64_t frames, damaged;
    char letters[16];
};

static int see_frame(void *self, const char *epoch, char letter, const struct journal_frame *frame)
{
    struct seen *seen = self;
    assert_int_equal(strlen(epoch), 32);
    bed_check_frame(frame, frame->stream, 700);
    seen->letters[frame->stream] = letter;
    seen->frames++;
    return 0;
}

static void see_damage(void *self, const char *file, uint64_t offset, uint64_t bytes)
{
    struct seen *seen = self;
    (void)file;
    (void)offset;
    seen->damaged += bytes;
}

static void on_real_files_it_is_written_reopened_and_scanned(void **state)
{
    char folder[] = "/tmp/chengmai-journal-XXXXXX";
    char inner[64];
    struct seen seen = {0};
    struct bed bed;
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(inner, sizeof(inner), "%s/a/b", folder);
    bed_init(&bed, 1);
    bed.options.folder = inner;
    assert_int_equal(journal_open(&bed.options, &bed.journal, &bed.report, &bed.message), 0);
    bed_fill(&bed, 0, 700, 100);
    bed_fill(&bed, 3, 700, 300);
    bed_commit(&bed);
    bed_check_range(&bed, 3, 1, 300, 700);
    bed_close(&bed);
    assert_int_equal(journal_open(&bed.options, &bed.journal, &bed.report, &bed.message), 0);
    assert_false(bed.report.unclean);
    bed_check_range(&bed, 0, 1, 100, 700);
    bed_close(&bed);
    assert_int_equal(journal_scan(inner, see_frame, see_damage, &seen, &bed.message), 0);
    assert_int_equal(seen.frames, 400);
    assert_int_equal(seen.damaged, 0);
    assert_int_equal(seen.letters[0], 'a');
    assert_int_equal(seen.letters[3], 't');
    bed_release(&bed);
    nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_journal_says_so_and_begins_at_one, setup, teardown),
        cmocka_unit_test_setup_teardown(readers_see_durable_records_only, setup, teardown),
        cmocka_unit_test_setup_teardown(each_stream_has_its_own_sequence, setup, teardown),
        cmocka_unit_test_setup_teardown(a_closed_journal_opens_clean_and_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_segment_is_followed_by_another, setup, teardown),
        cmocka_unit_test_setup_teardown(the_largest_record_fits_and_no_larger_one, setup, teardown),
        cmocka_unit_test_setup_teardown(origins_and_streams_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(subscribers_are_woken_by_what_becomes_durable, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_journal_is_opened_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_folder_of_other_streams_is_refused, setup, teardown),
        cmocka_unit_test(on_real_files_it_is_written_reopened_and_scanned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
