/* A request beside the schedule: when it goes, what it leaves alone, and how it ends. */
#include "tests/unit/support/gateway_rig.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define ROWS "a,3,10,uint16,AB\n"

static const struct modbus_request wanted = {.unit = 1, .function = 3, .start = 40, .count = 2};

static void want(void)
{
    assert_int_equal(modbus_driver_want(rig.driver, &wanted, rig.now), 0);
    rig_step();
}

/* Takes the request by hand: the rig serves only what the statistics count. */
static void receive(uint8_t *frame)
{
    rig_wait_for(rig.server, POLLIN);
    assert_int_equal(recv(rig.server, frame, 12, 0), 12);
}

static void reply(const uint8_t *frame, const char *rest, size_t len)
{
    uint8_t answer[64];
    struct driver_wants wants;
    memcpy(answer, frame, 7);
    answer[5] = (uint8_t)(len + 1);
    memcpy(answer + 7, rest, len);
    assert_int_equal(send(rig.server, answer, 7 + len, MSG_NOSIGNAL), 7 + len);
    driver_wants(rig.driver, &wants);
    rig_wait_for(wants.list[0].fd, POLLIN);
    rig_advance(8 * MS);
    rig_step();
}

static struct modbus_outcome outcome(void)
{
    struct modbus_outcome found;
    assert_int_equal(modbus_driver_outcome(rig.driver, rig.now, &found), 0);
    return found;
}

static void it_goes_between_two_polls_and_brings_the_words(void **state)
{
    uint8_t frame[12];
    struct modbus_outcome none;

    (void)state;
    rig_begin(ROWS);
    rig_open(1, 1000);
    rig_run(500 * MS);
    assert_int_equal(modbus_driver_outcome(rig.driver, rig.now, &none), ERR_NOT_FOUND);
    want();
    assert_int_equal(modbus_driver_outcome(rig.driver, rig.now, &none), ERR_AGAIN);
    assert_int_equal(modbus_driver_want(rig.driver, &wanted, rig.now), ERR_AGAIN);
    receive(frame);
    assert_memory_equal(frame + 6, "\x01\x03\x00\x28\x00\x02", 6);
    reply(frame, "\x03\x04\x41\xab\x33\x33", 6);
    assert_int_equal(outcome().event, MODBUS_REPLY);
    assert_int_equal(outcome().len, 4);
    assert_memory_equal(outcome().data, "\x41\xab\x33\x33", 4);
    assert_int_equal(outcome().took_us, 8 * MS);
    assert_int_equal(outcome().t_ms, rig.now.wall_ms - 4);
    rig_end();
}

static void polls_keep_their_grid_around_it(void **state)
{
    uint8_t frame[12];

    (void)state;
    rig_begin(ROWS);
    rig_open(1, 1000);
    rig_run(500 * MS);
    want();
    receive(frame);
    reply(frame, "\x03\x04\x00\x00\x00\x00", 6);
    rig_run(3 * S);
    assert_int_equal(rig_count_samples(100, QUALITY_GOOD), 4);
    assert_int_equal(rig_count_samples(100, QUALITY_BAD), 0);
    assert_int_equal(rig.samples[3].t_ms - rig.samples[0].t_ms, 3000);
    assert_int_equal(rig_stats_of(0).skipped, 0);
    rig_end();
}

static void a_due_poll_waits_for_it_and_is_not_lost(void **state)
{
    uint8_t frame[12];

    (void)state;
    rig_begin(ROWS);
    rig_open(1, 1000);
    rig_run(1 * S - 1);
    assert_int_equal(rig.sample_count, 1);
    want();
    receive(frame);
    rig_advance(100 * MS); /* into the next slot */
    rig_step();
    reply(frame, "\x03\x04\x00\x00\x00\x00", 6);
    assert_int_equal(outcome().event, MODBUS_REPLY);
    rig_run(500 * MS);
    assert_int_equal(rig.sample_count, 2);
    assert_int_equal(rig.samples[1].quality, QUALITY_GOOD);
    rig_end();
}

static void its_refusal_is_told_and_changes_nothing(void **state)
{
    uint8_t frame[12];

    (void)state;
    rig_begin(ROWS);
    rig_open(1, 1000);
    rig_run(500 * MS);
    want();
    receive(frame);
    reply(frame, "\x83\x02", 2);
    assert_int_equal(outcome().event, MODBUS_EXCEPTION);
    assert_int_equal(outcome().exception, 2);
    assert_non_null(strstr(outcome().trouble.text, "exception 2"));
    assert_int_equal(rig_stats_of(0).exceptions, 0);
    assert_int_equal(rig_stats_of(0).state, MODBUS_UNIT_UP);
    rig_end();
}

static void its_timeout_makes_no_unit_suspect(void **state)
{
    uint8_t frame[12];
    struct driver_status status;

    (void)state;
    rig_begin(ROWS);
    rig_open(1, 1000);
    rig_run(500 * MS);
    want();
    receive(frame);
    rig_advance(TIMEOUT);
    rig_step();
    assert_int_equal(outcome().event, MODBUS_TIMEOUT);
    assert_int_equal(rig_stats_of(0).state, MODBUS_UNIT_UP);
    driver_status(rig.driver, &status);
    assert_true(status.up);
    rig_run(2 * S);
    assert_int_equal(rig_count_samples(100, QUALITY_BAD), 0);
    rig_end();
}

static void a_connection_that_breaks_ends_it(void **state)
{
    uint8_t frame[12];
    struct driver_wants wants;

    (void)state;
    rig_begin(ROWS);
    rig_open(1, 1000);
    rig_run(500 * MS);
    want();
    receive(frame);
    driver_wants(rig.driver, &wants);
    rig_hang_up();
    rig_wait_for(wants.list[0].fd, POLLIN);
    rig_step();
    assert_int_equal(outcome().event, MODBUS_LOST);
    assert_int_equal(rig_link_stats().lost, 1);
    rig_run(2 * S);
    assert_int_equal(rig_count_samples(100, QUALITY_BAD), 0);
    rig_end();
}

static void a_link_in_trouble_ends_it_at_once(void **state)
{
    (void)state;
    rig_begin(ROWS);
    close(rig.listener);
    rig.listener = -1;
    rig_open(1, 1000);
    rig_run(100 * MS);
    want();
    assert_int_equal(outcome().event, MODBUS_REFUSED);
    assert_non_null(strstr(outcome().trouble.text, "refused"));
    rig_end();
}

static void a_request_that_cannot_be_is_refused(void **state)
{
    static const struct modbus_request wrong[] = {
        {1, 5, 0, 1}, {1, 3, 0, 126}, {1, 3, 0, 0}, {1, 16, 0, 1}, {1, 1, 0, 2001}};
    (void)state;
    rig_begin(ROWS);
    rig_open(1, 1000);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(modbus_driver_want(rig.driver, &wrong[i], rig.now), ERR_RANGE);
    rig_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_goes_between_two_polls_and_brings_the_words),
        cmocka_unit_test(polls_keep_their_grid_around_it),
        cmocka_unit_test(a_due_poll_waits_for_it_and_is_not_lost),
        cmocka_unit_test(its_refusal_is_told_and_changes_nothing),
        cmocka_unit_test(its_timeout_makes_no_unit_suspect),
        cmocka_unit_test(a_connection_that_breaks_ends_it),
        cmocka_unit_test(a_link_in_trouble_ends_it_at_once),
        cmocka_unit_test(a_request_that_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
