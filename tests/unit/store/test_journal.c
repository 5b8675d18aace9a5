/* The journal on a real disk: what is committed is read back, whatever happened in between. */
#include "store/journal.h"

#include "base/crypto.h"
#include "base/files.h"
#include "store/segment_file.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char folder[64];
    struct journal *journal;
    struct journal_report report;
};

static void remove_files(const char *folder)
{
    DIR *dir = opendir(folder);
    for (const struct dirent *entry; dir && (entry = readdir(dir));) {
        char path[FILE_PATH_SIZE];
        if (entry->d_name[0] != '.' && !path_join(folder, entry->d_name, path))
            unlink(path);
    }
    if (dir)
        closedir(dir);
    rmdir(folder);
}

static void open_journal(struct fixture *fixture, uint64_t limit)
{
    struct journal_options options = {
        .folder = fixture->folder, .letters = "asct", .limit_bytes = limit, .verify = true};
    struct message message = {""};
    if (journal_open(&options, &fixture->journal, &fixture->report, &message))
        fail_msg("%s", message.text);
}

static int setup(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){.folder = "/tmp/journal-XXXXXX"};
    if (crypto_init() || !mkdtemp(fixture.folder))
        return -1;
    open_journal(&fixture, 0);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    journal_close(fixture->journal);
    remove_files(fixture->folder);
    return 0;
}

static void append(struct fixture *fixture, int stream, uint64_t number, size_t len)
{
    char payload[70000];
    memset(payload, 'x', sizeof(payload));
    int head = snprintf(payload, sizeof(payload), "%llu", (unsigned long long)number);
    uint64_t seq;
    struct message message = {""};
    assert_int_equal(journal_append(fixture->journal, stream, "", payload,
                                    len > (size_t)head ? len : (size_t)head, 3, (int64_t)number, 0,
                                    &seq, &message),
                     0);
}

static void commit(struct fixture *fixture)
{
    struct message message = {""};
    if (journal_commit(fixture->journal, &message))
        fail_msg("%s", message.text);
}

/* Reads the stream from `from`: how many records, and the last one's sequence. */
static size_t read_all(struct fixture *fixture, int stream, uint64_t from, uint64_t *ret_last)
{
    struct journal_reader *reader;
    struct journal_frame frame;
    struct interval gap;
    size_t count = 0;
    assert_int_equal(journal_reader_open(fixture->journal, stream, from, &reader), 0);
    for (int err; (err = journal_reader_next(reader, &frame, &gap)) != ERR_AGAIN;) {
        if (err == ERR_GAP)
            continue;
        assert_int_equal(err, 0);
        *ret_last = frame.seq;
        count++;
    }
    journal_reader_close(reader);
    return count;
}

static void readers_see_durable_records_only(void **state)
{
    struct fixture *fixture = *state;
    uint64_t last = 0;
    append(fixture, 2, 1, 10);
    assert_int_equal(read_all(fixture, 2, 1, &last), 0);
    assert_int_equal(journal_durable(fixture->journal, 2), 0);
    commit(fixture);
    assert_int_equal(read_all(fixture, 2, 1, &last), 1);
    assert_int_equal(journal_durable(fixture->journal, 2), 1);
    assert_int_equal(journal_durable_points(fixture->journal), 3);
}

static void a_clean_close_leaves_no_gap(void **state)
{
    struct fixture *fixture = *state;
    for (uint64_t i = 1; i <= 100; i++)
        append(fixture, 3, i, 500);
    commit(fixture);
    journal_close(fixture->journal);
    open_journal(fixture, 0);
    assert_false(fixture->report.unclean);
    assert_int_equal(fixture->report.loss_count, 0);
    assert_int_equal(journal_next_seq(fixture->journal, 3), 101);
    uint64_t last = 0;
    assert_int_equal(read_all(fixture, 3, 1, &last), 100);
    assert_int_equal(last, 100);
    assert_int_equal(journal_points(fixture->journal), 300);
}

/* Appends and commits in a child that dies without closing. */
static void crash_after(struct fixture *fixture, uint64_t committed, uint64_t uncommitted)
{
    journal_close(fixture->journal);
    fixture->journal = NULL;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        open_journal(fixture, 0);
        for (uint64_t i = 0; i < committed; i++)
            append(fixture, 1, i, 100);
        commit(fixture);
        for (uint64_t i = 0; i < uncommitted; i++)
            append(fixture, 1, i, 100);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    open_journal(fixture, 0);
}

static void after_a_crash_sequences_go_on_above_the_reserved(void **state)
{
    struct fixture *fixture = *state;
    uint64_t last = 0;
    crash_after(fixture, 5, 3);
    assert_true(fixture->report.unclean);
    assert_int_equal(read_all(fixture, 1, 1, &last), 5);
    assert_int_equal(fixture->report.loss_count, 1);
    struct journal_loss *loss = &fixture->report.losses[0];
    assert_int_equal(loss->stream, 1);
    assert_int_equal(loss->first, 6);
    assert_int_equal(loss->points, 0);
    assert_string_equal(loss->cause, "restart");
    assert_int_equal(journal_next_seq(fixture->journal, 1), loss->last + 1);
    /* 3 were appended and never durable: their numbers are not used again. */
    assert_true(loss->last >= 8);
}

static void many_crashes_lose_nothing_committed(void **state)
{
    struct fixture *fixture = *state;
    for (size_t round = 1; round <= 10; round++) {
        crash_after(fixture, 7, round);
        uint64_t last = 0;
        assert_int_equal(read_all(fixture, 1, 1, &last), 7 * round);
        assert_int_equal(journal_points(fixture->journal), 21 * round);
    }
}

static void damage_inside_is_told_with_its_samples(void **state)
{
    struct fixture *fixture = *state;
    for (uint64_t i = 1; i <= 50; i++)
        append(fixture, 2, i, 1000);
    commit(fixture);
    char name[64], path[FILE_PATH_SIZE];
    segment_name('c', 1, name);
    assert_int_equal(path_join(fixture->folder, name, path), 0);
    journal_close(fixture->journal);
    FILE *file = fopen(path, "r+be");
    assert_non_null(file);
    fseek(file, SEGMENT_HEADER_BYTES + 20 * (FRAME_HEADER_BYTES + 1000) + 500,
          SEEK_SET); /* in the 21st record */
    fputs("spoiled", file);
    fclose(file);
    open_journal(fixture, 0);
    assert_int_equal(fixture->report.loss_count, 1);
    assert_int_equal(fixture->report.losses[0].first, 21);
    assert_int_equal(fixture->report.losses[0].last, 21);
    assert_int_equal(fixture->report.losses[0].points, 3);
    assert_string_equal(fixture->report.losses[0].cause, "damage");
    uint64_t last = 0;
    assert_int_equal(read_all(fixture, 2, 1, &last), 49);
    assert_int_equal(last, 50);
}

static void a_torn_tail_is_cut(void **state)
{
    struct fixture *fixture = *state;
    for (uint64_t i = 1; i <= 5; i++)
        append(fixture, 2, i, 1000);
    commit(fixture);
    char name[64], path[FILE_PATH_SIZE];
    segment_name('c', 1, name);
    assert_int_equal(path_join(fixture->folder, name, path), 0);
    journal_close(fixture->journal);
    assert_int_equal(truncate(path, SEGMENT_HEADER_BYTES + 4 * (FRAME_HEADER_BYTES + 1000) + 700),
                     0);
    open_journal(fixture, 0);
    assert_true(fixture->report.torn_bytes > 0);
    uint64_t last = 0;
    assert_int_equal(read_all(fixture, 2, 1, &last), 4);
    /* Its number was used: it is a loss, and the next one is another. */
    assert_int_equal(fixture->report.loss_count, 1);
    assert_int_equal(fixture->report.losses[0].first, 5);
    assert_int_equal(journal_next_seq(fixture->journal, 2), 6);
}

static void records_run_over_many_segments(void **state)
{
    struct fixture *fixture = *state;
    journal_close(fixture->journal);
    open_journal(fixture, 100 * 1024 * 1024);
    for (uint64_t i = 1; i <= 300; i++) {
        append(fixture, 3, i, 60000);
        if (i % 7 == 0)
            commit(fixture);
    }
    commit(fixture);
    uint64_t last = 0;
    assert_int_equal(read_all(fixture, 3, 1, &last), 300);
    assert_int_equal(last, 300);
    assert_int_equal(read_all(fixture, 3, 250, &last), 51);
}

static void a_full_journal_drops_trend_first_and_says_what(void **state)
{
    struct fixture *fixture = *state;
    journal_close(fixture->journal);
    open_journal(fixture, 2 * 1024 * 1024);
    uint64_t lost_records = 0, lost_points = 0;
    for (uint64_t i = 1; i <= 60; i++) {
        append(fixture, 3, i, 60000);
        append(fixture, 2, i, 60000);
        int err;
        while ((err = journal_commit(fixture->journal, NULL)) == ERR_FULL) {
            struct journal_loss victim;
            assert_int_equal(journal_victim(fixture->journal, &victim), 0);
            assert_int_equal(victim.stream, 3);
            assert_string_equal(victim.cause, "space");
            lost_records += victim.last - victim.first + 1;
            lost_points += victim.points;
            assert_int_equal(journal_drop(fixture->journal, &victim, NULL), 0);
        }
        assert_int_equal(err, 0);
        if (i == 20)
            break;
    }
    uint64_t last = 0;
    assert_true(lost_records > 0);
    assert_int_equal(read_all(fixture, 2, 1, &last), 20);
    assert_int_equal(read_all(fixture, 3, 1, &last) + lost_records, 20);
    assert_int_equal(lost_points, 3 * lost_records);
}

static void what_the_centre_has_goes_first_and_costs_nothing(void **state)
{
    struct fixture *fixture = *state;
    journal_close(fixture->journal);
    open_journal(fixture, 2 * 1024 * 1024);
    for (uint64_t i = 1; i <= 5; i++)
        append(fixture, 2, i, 60000);
    commit(fixture);
    struct intervals received;
    intervals_init(&received, 10);
    assert_int_equal(intervals_add(&received, 1, 5), 0);
    assert_int_equal(journal_receive(fixture->journal, 2, &received), 0);
    struct journal_loss victim;
    assert_int_equal(journal_victim(fixture->journal, &victim), 0);
    assert_int_equal(victim.stream, 2);
    assert_true(victim.first > victim.last);
    /* Beyond what is durable: a restored disk, nothing is believed. */
    assert_int_equal(intervals_add(&received, 6, 9), 0);
    assert_int_equal(journal_receive(fixture->journal, 2, &received), ERR_RANGE);
    intervals_release(&received);
    /* What was received is known after a restart. */
    journal_close(fixture->journal);
    open_journal(fixture, 0);
    struct intervals known;
    intervals_init(&known, 10);
    assert_int_equal(journal_received(fixture->journal, 2, &known), 0);
    assert_int_equal(intervals_through(&known), 5);
    intervals_release(&known);
}

static void a_new_epoch_starts_at_one(void **state)
{
    struct fixture *fixture = *state;
    char before[EPOCH_SIZE];
    append(fixture, 2, 1, 10);
    commit(fixture);
    memcpy(before, journal_epoch(fixture->journal), EPOCH_SIZE);
    assert_int_equal(journal_new_epoch(fixture->journal, NULL), 0);
    assert_string_not_equal(before, journal_epoch(fixture->journal));
    assert_int_equal(journal_next_seq(fixture->journal, 2), 1);
    uint64_t last = 0;
    assert_int_equal(read_all(fixture, 2, 1, &last), 0);
    append(fixture, 2, 1, 10);
    commit(fixture);
    assert_int_equal(read_all(fixture, 2, 1, &last), 1);
}

static void lost_marks_do_not_lose_the_epoch_or_reuse_numbers(void **state)
{
    struct fixture *fixture = *state;
    char before[EPOCH_SIZE], path[FILE_PATH_SIZE];
    append(fixture, 2, 1, 10);
    commit(fixture);
    memcpy(before, journal_epoch(fixture->journal), EPOCH_SIZE);
    journal_close(fixture->journal);
    assert_int_equal(path_join(fixture->folder, "marks", path), 0);
    assert_int_equal(unlink(path), 0);
    open_journal(fixture, 0);
    assert_string_equal(before, journal_epoch(fixture->journal));
    assert_true(journal_next_seq(fixture->journal, 2) > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(readers_see_durable_records_only, setup, teardown),
        cmocka_unit_test_setup_teardown(a_clean_close_leaves_no_gap, setup, teardown),
        cmocka_unit_test_setup_teardown(after_a_crash_sequences_go_on_above_the_reserved, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(many_crashes_lose_nothing_committed, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_inside_is_told_with_its_samples, setup, teardown),
        cmocka_unit_test_setup_teardown(a_torn_tail_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(records_run_over_many_segments, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_journal_drops_trend_first_and_says_what, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_the_centre_has_goes_first_and_costs_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_new_epoch_starts_at_one, setup, teardown),
        cmocka_unit_test_setup_teardown(lost_marks_do_not_lose_the_epoch_or_reuse_numbers, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
