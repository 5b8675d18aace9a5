#include "base/log.h"

#include "base/clock.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* Standard error goes into a file in memory while a test runs. */
struct capture {
    int file;
    int saved;
    off_t told; /* what was taken already */
    char text[65536];
};

static int capture_begin(void **state)
{
    struct capture *capture = calloc(1, sizeof *capture);
    *state = capture;
    unsetenv("JOURNAL_STREAM");
    log_set_level(LOG_LEVEL_INFO);
    capture->file = memfd_create("log", MFD_CLOEXEC);
    capture->saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    if (capture->file < 0 || capture->saved < 0)
        return -1;
    /* Lines are appended, as to any log. */
    if (fcntl(capture->file, F_SETFL, O_APPEND) != 0)
        return -1;
    return dup2(capture->file, STDERR_FILENO) < 0 ? -1 : 0;
}

static int capture_end(void **state)
{
    struct capture *capture = *state;
    dup2(capture->saved, STDERR_FILENO);
    close(capture->saved);
    close(capture->file);
    free(capture);
    return 0;
}

/* What was written since the last call. */
static const char *taken(struct capture *capture)
{
    ssize_t len = pread(capture->file, capture->text, sizeof capture->text - 1, capture->told);
    assert_true(len >= 0);
    capture->text[len] = '\0';
    capture->told += len;
    return capture->text;
}

/* The one line that was written since the last call, from its level on. */
static const char *line(struct capture *capture)
{
    const char *text = taken(capture);
    size_t len = strlen(text);
    assert_true(len > 24);
    assert_ptr_equal(strchr(text, '\n'), text + len - 1);
    return text + 24;
}

static void a_line_has_time_level_and_subsystem(void **state)
{
    struct capture *capture = *state;
    char first[TIME_TEXT_SIZE];
    char last[TIME_TEXT_SIZE];
    char own[TIME_TEXT_SIZE] = "";
    time_format_local(clock_read(clock_real()).wall_ms, first);
    log_warn("link", "%s: no answer within %d ms", "plc", 500);
    time_format_local(clock_read(clock_real()).wall_ms, last);
    const char *text = line(capture);
    assert_string_equal(text, "warn  link  plc: no answer within 500 ms\n");
    memcpy(own, text - 24, 23);
    assert_int_equal(text[-1], ' ');
    assert_true(strcmp(first, own) <= 0 && strcmp(own, last) <= 0);
    log_error("journal", "x");
    assert_string_equal(line(capture), "error journal x\n");
    log_info("mqtt", "x");
    assert_string_equal(line(capture), "info  mqtt  x\n");
}

static void lines_above_the_level_are_not_written(void **state)
{
    struct capture *capture = *state;
    log_debug("link", "x");
    assert_string_equal(taken(capture), "");
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("link", "x");
    assert_string_equal(line(capture), "debug link  x\n");
    log_set_level(LOG_LEVEL_ERROR);
    log_warn("link", "x");
    assert_string_equal(taken(capture), "");
    log_error("link", "x");
    assert_string_equal(line(capture), "error link  x\n");
}

static void control_characters_are_escaped(void **state)
{
    struct capture *capture = *state;
    log_info("x", "a\nb\tc\x1b[31m\x7f");
    assert_string_equal(line(capture), "info  x     a\\x0ab\\x09c\\x1b[31m\\x7f\n");
    /* CSI as one C1 character; a name in Chinese and a superscript are left alone. */
    log_info("x", "\xc2\x9b|渗滤液 m³");
    assert_string_equal(line(capture), "info  x     \\xc2\\x9b|渗滤液 m³\n");
}

static void what_is_not_utf8_is_escaped(void **state)
{
    struct capture *capture = *state;
    log_info("x", "%s", "\x9b\xb3\xc7 ok");
    assert_string_equal(line(capture), "info  x     \\x9b\\xb3\\xc7 ok\n");
}

static void a_long_text_is_cut_at_a_character_and_says_so(void **state)
{
    struct capture *capture = *state;
    char text[4000];
    for (size_t i = 0; i + 3 < sizeof text; i += 3)
        memcpy(text + i, "污", 4);
    for (size_t shift = 0; shift < 3; shift++) {
        log_info("x", "%s%s", &"ab"[shift], text);
        const char *said = line(capture);
        assert_true(strlen(said) < 930);
        assert_string_equal(said + strlen(said) - 4, "…\n");
        assert_null(strchr(said, '\\')); /* still UTF-8 */
    }
    memset(text, '\n', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_info("x", "%s", text);
    assert_true(strlen(line(capture)) < 4096);
}

static void under_systemd_a_priority_takes_the_place_of_the_time(void **state)
{
    struct capture *capture = *state;
    struct stat status;
    char stream[64];
    assert_int_equal(fstat(capture->file, &status), 0);
    snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_set_level(LOG_LEVEL_DEBUG);
    log_error("link", "x");
    log_warn("link", "x");
    log_info("link", "x");
    log_debug("link", "x");
    assert_string_equal(taken(capture), "<3>error link  x\n<4>warn  link  x\n"
                                        "<6>info  link  x\n<7>debug link  x\n");
    /* Standard error was sent elsewhere since: it is no journal. */
    setenv("JOURNAL_STREAM", "1:2", 1);
    log_info("link", "x");
    assert_string_equal(line(capture), "info  link  x\n");
}

static void a_complaint_is_said_at_once_and_then_ever_more_rarely(void **state)
{
    struct capture *capture = *state;
    struct complaint complaint = {0};
    int64_t said_s[16];
    size_t said = 0;
    /* Wrong once a second for four hours, from a clock that does not begin at 0. */
    for (int64_t s = 0; s < 4 * 3600 && said < 16; s++) {
        complaint_raise(&complaint, (1000 + s) * US_PER_S, "link", "no answer");
        if (taken(capture)[0] != '\0')
            said_s[said++] = s;
    }
    static const int64_t EXPECTED_S[] = {0,   10,   30,   70,   150,  310,
                                         630, 1270, 2550, 5110, 8710, 12310};
    assert_int_equal(said, sizeof EXPECTED_S / sizeof EXPECTED_S[0]);
    assert_memory_equal(said_s, EXPECTED_S, sizeof EXPECTED_S);
}

static void a_repeated_complaint_tells_how_often_since(void **state)
{
    struct capture *capture = *state;
    struct complaint complaint = {0};
    complaint_raise(&complaint, 5 * US_PER_S, "link", "no answer from %d", 3);
    assert_string_equal(line(capture), "warn  link  no answer from 3\n");
    complaint_raise(&complaint, 9 * US_PER_S, "link", "no answer from %d", 3);
    complaint_raise(&complaint, 15 * US_PER_S - 1, "link", "no answer from %d", 3);
    assert_string_equal(taken(capture), "");
    complaint_raise(&complaint, 15 * US_PER_S, "link", "no answer from %d", 3);
    assert_string_equal(line(capture), "warn  link  no answer from 3 (3 more in 10 s)\n");
    complaint_raise(&complaint, 99 * US_PER_S, "link", "no answer from %d", 3);
    assert_string_equal(line(capture), "warn  link  no answer from 3 (1 more in 84 s)\n");
}

static void the_end_is_said_once(void **state)
{
    struct capture *capture = *state;
    struct complaint complaint = {0};
    complaint_clear(&complaint, US_PER_S, "link", "answers again");
    assert_string_equal(taken(capture), "");
    for (int i = 0; i < 7; i++)
        complaint_raise(&complaint, (10 + i) * (int64_t)US_PER_S, "link", "no answer");
    assert_string_equal(line(capture), "warn  link  no answer\n");
    complaint_clear(&complaint, 25 * US_PER_S, "link", "answers again");
    assert_string_equal(line(capture), "info  link  answers again (after 7 times in 15 s)\n");
    complaint_clear(&complaint, 26 * US_PER_S, "link", "answers again");
    assert_string_equal(taken(capture), "");
    complaint_raise(&complaint, 27 * US_PER_S, "link", "no answer");
    assert_string_equal(line(capture), "warn  link  no answer\n");
}

static void *write_lines(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++)
        log_info("x", "%s", "0123456789012345678901234567890123456789");
    return NULL;
}

static void lines_of_several_threads_do_not_mix(void **state)
{
    struct capture *capture = *state;
    pthread_t threads[3];
    size_t lines = 0;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, NULL), 0);
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    static const char REST[] = "info  x     0123456789012345678901234567890123456789\n";
    for (const char *at = taken(capture); *at != '\0'; at += 24 + strlen(REST)) {
        assert_true(strlen(at) >= 24 + strlen(REST));
        assert_memory_equal(at + 24, REST, strlen(REST));
        lines++;
    }
    assert_int_equal(lines, 300);
}

#define CAPTURED(test) cmocka_unit_test_setup_teardown(test, capture_begin, capture_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CAPTURED(a_line_has_time_level_and_subsystem),
        CAPTURED(lines_above_the_level_are_not_written),
        CAPTURED(control_characters_are_escaped),
        CAPTURED(what_is_not_utf8_is_escaped),
        CAPTURED(a_long_text_is_cut_at_a_character_and_says_so),
        CAPTURED(under_systemd_a_priority_takes_the_place_of_the_time),
        CAPTURED(a_complaint_is_said_at_once_and_then_ever_more_rarely),
        CAPTURED(a_repeated_complaint_tells_how_often_since),
        CAPTURED(the_end_is_said_once),
        CAPTURED(lines_of_several_threads_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
