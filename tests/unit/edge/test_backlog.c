/* What waits for a receipt: how many records of all streams, and since when. */
#include "edge/backlog.h"
#include "tests/unit/support/journal_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define LEN 100

static struct bed bed;

static int begin(void **state)
{
    (void)state;
    bed_init(&bed, 1);
    bed_open(&bed);
    return 0;
}

static int end(void **state)
{
    (void)state;
    bed_close(&bed);
    bed_release(&bed);
    return 0;
}

static struct backlog backlog(void)
{
    struct backlog found;
    assert_int_equal(backlog_read(bed.journal, &found), 0);
    return found;
}

static int64_t oldest_ms(void)
{
    struct backlog found = backlog();
    return backlog_oldest_ms(bed.journal, &found);
}

static void what_is_durable_and_not_received_counts(void **state)
{
    (void)state;
    assert_int_equal(backlog().records, 0);
    assert_int_equal(oldest_ms(), 0);
    bed_fill(&bed, 2, LEN, 5);
    assert_int_equal(backlog().records, 0); /* not durable yet */
    bed_commit(&bed);
    bed_fill(&bed, 3, LEN, 7);
    bed_commit(&bed);
    assert_int_equal(backlog().records, 12);
    bed_receive(&bed, 2, 1, 5);
    bed_receive(&bed, 3, 1, 7);
    assert_int_equal(backlog().records, 0);
    assert_int_equal(oldest_ms(), 0);
}

static void the_oldest_of_all_streams_tells_the_age(void **state)
{
    struct journal_reader *reader = NULL;
    struct journal_frame frame;
    (void)state;
    bed_fill(&bed, 3, LEN, 4);
    bed_fill(&bed, 2, LEN, 4);
    bed_commit(&bed);
    bed_receive(&bed, 3, 1, 2);
    bed_receive(&bed, 3, 4, 4);
    assert_int_equal(backlog().records, 5);
    assert_int_equal(backlog().first[2], 1);
    assert_int_equal(backlog().first[3], 3);
    assert_int_equal(journal_reader_open(bed.journal, 3, 3, &reader), 0);
    assert_int_equal(journal_reader_next(reader, &frame, NULL), 0);
    assert_int_equal(oldest_ms(), frame.wall_ms);
    journal_reader_close(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_durable_and_not_received_counts, begin, end),
        cmocka_unit_test_setup_teardown(the_oldest_of_all_streams_tells_the_age, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
