/* `chengmai journal`: what is there is told, and what is missing is found unless it is explained.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/crypto.h"
#include "base/files.h"
#include "model/record.h"
#include "store/journal.h"
#include "tests/unit/support/ctl_call.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECORDS 60 /* of stream t: several segments */

struct fixture {
    char folder[64];
    char epoch[EPOCH_SIZE];
    struct journal *journal;
};

static void append(struct fixture *fixture, int stream, const char *payload, size_t len)
{
    struct message message = {""};
    uint64_t seq;
    if (journal_append(fixture->journal, stream, "", payload, len, 2, 1767574200000, 0, &seq,
                       &message))
        fail_msg("%s", message.text);
    if (journal_commit(fixture->journal, &message))
        fail_msg("%s", message.text);
}

static void open_journal(struct fixture *fixture)
{
    struct journal_options options = {
        .folder = fixture->folder, .letters = "asct", .segment_bytes = 64 * 1024};
    struct journal_report report;
    struct message message = {""};
    if (journal_open(&options, &fixture->journal, &report, &message))
        fail_msg("%s", message.text);
    memcpy(fixture->epoch, journal_epoch(fixture->journal), EPOCH_SIZE);
}

static int setup(void **state)
{
    static struct fixture fixture;
    static char payload[10000];
    fixture = (struct fixture){.folder = "/tmp/chengmai-ctl-XXXXXX"};
    if (crypto_init() || !mkdtemp(fixture.folder))
        return -1;
    open_journal(&fixture);
    for (int i = 1; i <= RECORDS; i++) {
        memset(payload, ' ', sizeof(payload));
        payload[snprintf(payload, sizeof(payload), "{\"n\":\n%d", i)] = ' ';
        payload[sizeof(payload) - 1] = '}';
        append(&fixture, STREAM_T, payload, sizeof(payload));
    }
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    journal_close(fixture->journal);
    DIR *dir = opendir(fixture->folder);
    for (const struct dirent *entry; dir && (entry = readdir(dir));) {
        char path[FILE_PATH_SIZE];
        if (entry->d_name[0] != '.' && !path_join(fixture->folder, entry->d_name, path))
            unlink(path);
    }
    if (dir)
        closedir(dir);
    return rmdir(fixture->folder);
}

static void close_journal(struct fixture *fixture)
{
    journal_close(fixture->journal);
    fixture->journal = NULL;
}

static void run(struct fixture *fixture, const char *words, struct ctl_call *call)
{
    char text[200];
    snprintf(text, sizeof(text), "journal %s %s", words, fixture->folder);
    ctl_call_run(call, text);
}

static void expect_verify(struct fixture *fixture, enum ctl_exit code, const char *words)
{
    struct ctl_call call;
    run(fixture, "verify", &call);
    if (call.code != code || !strstr(call.out, words))
        fail_msg("exit %d\nout: %s\nerr: %s", (int)call.code, call.out, call.err);
    ctl_call_release(&call);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* The path of stream t's `index`-th segment, from 0. */
static void find_segment(struct fixture *fixture, size_t index, char path[FILE_PATH_SIZE])
{
    char names[32][64];
    size_t count = 0;
    DIR *dir = opendir(fixture->folder);
    assert_non_null(dir);
    for (const struct dirent *entry; count < 32 && (entry = readdir(dir));) {
        size_t len = strlen(entry->d_name);
        if (entry->d_name[0] == 't' && len > 4 && len < 64 &&
            strcmp(entry->d_name + len - 4, ".seg") == 0)
            memcpy(names[count++], entry->d_name, len + 1);
    }
    closedir(dir);
    assert_true(count > index + 1);
    qsort(names, count, sizeof(names[0]), by_name);
    assert_int_equal(path_join(fixture->folder, names[index], path), 0);
}

/* What verify says is missing of stream t. */
static void read_hole(struct fixture *fixture, uint64_t *first, uint64_t *last)
{
    struct ctl_call call;
    unsigned long long from, to;
    run(fixture, "verify", &call);
    assert_int_equal(call.code, CTL_NO);
    const char *hole = strstr(call.out, " t ");
    assert_non_null(hole);
    assert_int_equal(sscanf(hole, " t %llu..%llu: missing", &from, &to), 2);
    *first = from;
    *last = to;
    ctl_call_release(&call);
}

static void append_loss(struct fixture *fixture, uint64_t first, uint64_t last, const char *cause)
{
    struct record_head head = {.kind = RECORD_LOSS,
                               .stream = STREAM_A,
                               .seq = journal_next_seq(fixture->journal, STREAM_A),
                               .t0_ms = 1767574200000};
    struct record_loss loss = {.of = STREAM_T, .first = first, .last = last};
    struct buffer text;
    memcpy(head.epoch, fixture->epoch, EPOCH_SIZE);
    memset(head.boot, '0', 32);
    snprintf(loss.cause, sizeof(loss.cause), "%s", cause);
    buffer_init(&text, 4096);
    record_write_loss(&text, &head, &loss);
    append(fixture, STREAM_A, text.data, text.len);
    buffer_release(&text);
}

static void a_whole_journal_is_good(void **state)
{
    struct fixture *fixture = *state;
    close_journal(fixture);
    expect_verify(fixture, CTL_YES, " t: 60 records, 1..60, 0 accounted for as lost\ngood\n");
}

static void ls_tells_a_line_per_stream(void **state)
{
    struct fixture *fixture = *state;
    struct ctl_call call;
    char line[200];
    append_loss(fixture, 1, 1, "space");
    close_journal(fixture);
    run(fixture, "ls", &call);
    assert_int_equal(call.code, CTL_YES);
    assert_non_null(strstr(call.out, "EPOCH"));
    ctl_call_release(&call);
    run(fixture, "ls --json", &call);
    snprintf(line, sizeof(line),
             "{\"epoch\":\"%s\",\"stream\":\"t\",\"first\":1,\"last\":60,\"records\":60,"
             "\"points\":120,\"bytes\":600000,\"from\":\"2026-01-05T00:50:00.000Z\",",
             fixture->epoch);
    assert_non_null(strstr(call.out, line));
    assert_non_null(strstr(call.out, "\"stream\":\"a\",\"first\":1,\"last\":1,"));
    ctl_call_release(&call);
}

static void dump_gives_one_record_a_line(void **state)
{
    struct fixture *fixture = *state;
    struct ctl_call call;
    close_journal(fixture);
    run(fixture, "dump", &call);
    assert_int_equal(call.code, CTL_YES);
    size_t lines = 0;
    for (const char *at = call.out; (at = strchr(at, '\n')); at++)
        lines++;
    assert_int_equal(lines, RECORDS);
    assert_int_equal(strncmp(call.out, "{\"n\": 1 ", 8), 0);
    ctl_call_release(&call);
    run(fixture, "dump --json", &call);
    assert_non_null(strstr(call.out,
                           "\"stream\":\"t\",\"seq\":60,\"appended\":\"2026-01-05T00:50:00."
                           "000Z\",\"origin\":\"\",\"points\":2,\"record\":{\"n\": 60 "));
    ctl_call_release(&call);
}

static void a_hole_needs_a_loss_record_that_covers_all_of_it(void **state)
{
    struct fixture *fixture = *state;
    char path[FILE_PATH_SIZE];
    uint64_t first, last, rest_first, rest_last;
    find_segment(fixture, 1, path);
    assert_int_equal(unlink(path), 0);
    read_hole(fixture, &first, &last);
    assert_true(first > 1 && last > first && last < RECORDS);
    append_loss(fixture, first, last, "epoch"); /* the numbers of another epoch */
    read_hole(fixture, &rest_first, &rest_last);
    assert_int_equal(rest_first, first);
    assert_int_equal(rest_last, last);
    append_loss(fixture, first, last - 1, "space");
    read_hole(fixture, &rest_first, &rest_last);
    assert_int_equal(rest_first, last);
    assert_int_equal(rest_last, last);
    append_loss(fixture, last, last, "damage");
    expect_verify(fixture, CTL_YES, "accounted for as lost\ngood\n");
}

static void what_was_freed_at_the_front_is_no_hole(void **state)
{
    struct fixture *fixture = *state;
    char path[FILE_PATH_SIZE];
    find_segment(fixture, 0, path);
    assert_int_equal(unlink(path), 0);
    expect_verify(fixture, CTL_YES, "..60, 0 accounted for as lost\ngood\n");
}

static void a_byte_that_changed_is_damage(void **state)
{
    struct fixture *fixture = *state;
    char path[FILE_PATH_SIZE];
    close_journal(fixture);
    find_segment(fixture, 1, path);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(file_pwrite_all(fd, "!", 1, 30000), 0);
    close(fd);
    expect_verify(fixture, CTL_NO, "damaged bytes around byte ");
}

static void what_is_no_journal_is_2(void **state)
{
    struct fixture *fixture = *state;
    struct ctl_call call;
    static const char *const wrong[] = {
        "journal verify tests/lint",
        "journal ls none",
        "journal ls",
        "journal lst .",
        "journal ls . .",
        "journal --fast ls .",
        "journal verify --json .",
    };
    (void)fixture;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        ctl_call_run(&call, wrong[i]);
        if (call.code != CTL_USAGE || !call.err_len)
            fail_msg("%s: exit %d: %s", wrong[i], (int)call.code, call.err);
        ctl_call_release(&call);
    }
}

#define WITH_JOURNAL(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_JOURNAL(a_whole_journal_is_good),
        WITH_JOURNAL(ls_tells_a_line_per_stream),
        WITH_JOURNAL(dump_gives_one_record_a_line),
        WITH_JOURNAL(a_hole_needs_a_loss_record_that_covers_all_of_it),
        WITH_JOURNAL(what_was_freed_at_the_front_is_no_hole),
        WITH_JOURNAL(a_byte_that_changed_is_damage),
        WITH_JOURNAL(what_is_no_journal_is_2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
