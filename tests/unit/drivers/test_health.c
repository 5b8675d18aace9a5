#include "drivers/modbus/health.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define S ((int64_t)US_PER_S)

/* Between three quarters of it and all of it. */
static void check_wait(int64_t wait_us, int64_t most_us)
{
    assert_true(wait_us <= most_us && wait_us > most_us * 3 / 4 - 1);
}

static void a_unit_has_a_second_chance_and_then_probes(void **state)
{
    struct unit_health unit = {.state = MODBUS_UNIT_UP};
    uint64_t chance = 1;

    (void)state;
    assert_false(unit_health_failed(&unit, CAUSE_COMM_TIMEOUT, 0, &chance));
    assert_int_equal(unit.state, MODBUS_UNIT_SUSPECT);
    assert_true(unit_health_failed(&unit, CAUSE_LINK_DOWN, 100 * S, &chance));
    assert_int_equal(unit.state, MODBUS_UNIT_DOWN);
    assert_int_equal(unit.cause, CAUSE_LINK_DOWN);
    check_wait(unit.probe_us - 100 * S, 2 * S);
    for (int64_t most = 4; most < 300; most *= 2) {
        unit_health_probe_failed(&unit, CAUSE_COMM_TIMEOUT, 0, &chance);
        check_wait(unit.probe_us, most * S);
    }
    for (int i = 0; i < 100; i++) {
        unit_health_probe_failed(&unit, CAUSE_COMM_TIMEOUT, 0, &chance);
        check_wait(unit.probe_us, 300 * S);
    }
    assert_true(unit_health_answered(&unit, 2));
    assert_int_equal(unit.state, MODBUS_UNIT_RECOVERING);
    assert_false(unit_health_answered(&unit, 2));
    unit_health_settled(&unit);
    assert_int_equal(unit.state, MODBUS_UNIT_RECOVERING);
    unit_health_settled(&unit);
    assert_int_equal(unit.state, MODBUS_UNIT_UP);
    assert_int_equal(unit.cause, CAUSE_NONE);
    assert_int_equal(unit.probes, 0);
}

static void an_answer_clears_a_suspicion(void **state)
{
    struct unit_health unit = {.state = MODBUS_UNIT_UP};
    uint64_t chance = 1;

    (void)state;
    assert_false(unit_health_failed(&unit, CAUSE_COMM_TIMEOUT, 0, &chance));
    assert_false(unit_health_answered(&unit, 1));
    assert_int_equal(unit.state, MODBUS_UNIT_UP);
    assert_false(unit_health_failed(&unit, CAUSE_COMM_TIMEOUT, 0, &chance));
    assert_int_equal(unit.state, MODBUS_UNIT_SUSPECT);
}

static void who_fails_while_it_recovers_waits_longer_than_before(void **state)
{
    struct unit_health unit = {.state = MODBUS_UNIT_SUSPECT};
    uint64_t chance = 1;

    (void)state;
    assert_true(unit_health_failed(&unit, CAUSE_COMM_TIMEOUT, 0, &chance));
    for (int64_t most = 4; most <= 64; most *= 2) {
        assert_true(unit_health_answered(&unit, 3));
        unit_health_settled(&unit);
        assert_true(unit_health_failed(&unit, CAUSE_COMM_TIMEOUT, 0, &chance));
        assert_int_equal(unit.state, MODBUS_UNIT_DOWN);
        check_wait(unit.probe_us, most * S);
    }
    /* One whole round of its reads, and it is as good as new. */
    assert_true(unit_health_answered(&unit, 1));
    unit_health_settled(&unit);
    assert_false(unit_health_failed(&unit, CAUSE_COMM_TIMEOUT, 0, &chance));
    assert_true(unit_health_failed(&unit, CAUSE_COMM_TIMEOUT, 0, &chance));
    check_wait(unit.probe_us, 2 * S);
}

static void a_refused_link_waits_longer_each_time(void **state)
{
    struct link_health link = {.failures = 0};
    uint64_t chance = 1;

    (void)state;
    for (int64_t most = 1; most < 60; most *= 2) {
        link_health_refused(&link, 0, &chance);
        check_wait(link.retry_us, most * S);
    }
    for (int i = 0; i < 100; i++) {
        link_health_refused(&link, 0, &chance);
        check_wait(link.retry_us, 60 * S);
    }
    link_health_answered(&link);
    link_health_refused(&link, 0, &chance);
    check_wait(link.retry_us, 1 * S);
}

static void a_broken_link_is_tried_again_at_once_but_once(void **state)
{
    struct link_health link = {.failures = 0};
    uint64_t chance = 1;

    (void)state;
    link_health_broke(&link, 5 * S, &chance);
    assert_int_equal(link.retry_us, 5 * S);
    link_health_broke(&link, 5 * S, &chance);
    check_wait(link.retry_us - 5 * S, 1 * S);
    link_health_broke(&link, 5 * S, &chance);
    check_wait(link.retry_us - 5 * S, 2 * S);
}

static void links_do_not_march_in_step(void **state)
{
    int64_t least = 300 * S;
    int64_t most = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++) {
        uint64_t chance = seed;
        int64_t wait = unit_back_off(&chance, 20);
        least = wait < least ? wait : least;
        most = wait > most ? wait : most;
    }
    assert_true(most - least > 60 * S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_unit_has_a_second_chance_and_then_probes),
        cmocka_unit_test(an_answer_clears_a_suspicion),
        cmocka_unit_test(who_fails_while_it_recovers_waits_longer_than_before),
        cmocka_unit_test(a_refused_link_waits_longer_each_time),
        cmocka_unit_test(a_broken_link_is_tried_again_at_once_but_once),
        cmocka_unit_test(links_do_not_march_in_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
