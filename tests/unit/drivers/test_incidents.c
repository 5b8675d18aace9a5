/*
 * When incidents begin and end: whoever stops at each of these times sees all of them, and
 * disturbances reach the process for as long as they last.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "drivers/simulator/incidents.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void each_beginning_and_end_is_told(void **state)
{
    (void)state;
    static const struct {
        struct incident incident;
        int64_t edges[6]; /* on, off, on …; then NEVER */
    } cases[] = {
        {{.at_ms = 10, .for_ms = 5}, {10, 15, NEVER}},
        {{.at_ms = 0, .for_ms = 5}, {0, 5, NEVER}},
        {{.at_ms = 10, .for_ms = 0}, {NEVER}},
        {{.at_ms = 10, .for_ms = 5, .every_ms = 20}, {10, 15, 30, 35, 50, 55}},
        {{.at_ms = 10, .for_ms = 20, .every_ms = 20}, {10, NEVER}},
        {{.at_ms = 10, .for_ms = 0, .every_ms = 20}, {NEVER}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct incident *incident = &cases[i].incident;
        int64_t at_ms = -1;
        for (size_t n = 0; n < 6 && at_ms != NEVER; n++) {
            int64_t next_ms = incident_next(incident, at_ms);
            assert_int_equal(next_ms, cases[i].edges[n]);
            for (int64_t between_ms = at_ms + 1; next_ms != NEVER && between_ms < next_ms;
                 between_ms++)
                assert_int_equal(incident_is_on(incident, between_ms), n % 2);
            at_ms = next_ms;
        }
    }
}

static void what_comes_next_is_the_earliest_of_all(void **state)
{
    (void)state;
    struct incident all[] = {{.at_ms = 50, .for_ms = 100}, {.at_ms = 70, .for_ms = 10}};
    struct sim_config config = {.incidents = all, .incident_count = 2};
    struct incidents incidents;
    assert_int_equal(incidents_init(&incidents, &config), 0);
    static const int64_t expected[] = {50, 70, 80, 150, NEVER};
    int64_t at_ms = 0;
    for (size_t i = 0; i < COUNT(expected); i++) {
        at_ms = incidents_next(&incidents, at_ms);
        assert_int_equal(at_ms, expected[i]);
    }
    incidents_release(&incidents);
}

static void disturbances_add_up_while_they_last(void **state)
{
    (void)state;
    struct sim_unit_config unit = {.unit = 1, .plant = 1};
    struct sim_link_config link = {.units = &unit, .unit_count = 1};
    struct incident all[] = {
        {.at_ms = 1000, .for_ms = 2000, .kind = INCIDENT_DISTURB, .variable = 3, .amount = 2},
        {.at_ms = 2000, .for_ms = 2000, .kind = INCIDENT_DISTURB, .variable = 3, .amount = 0.5},
        {.at_ms = 0, .for_ms = 9000, .kind = INCIDENT_DEAD},
    };
    struct sim_config config = {
        .links = &link, .link_count = 1, .plant_count = 2, .incidents = all, .incident_count = 3};
    struct plant plants[2] = {0};
    struct incidents incidents;
    assert_int_equal(incidents_init(&incidents, &config), 0);
    static const int tenths[] = {0, 20, 25, 5, 0};
    for (int second = 0; second < 5; second++) {
        incidents_disturb(&incidents, plants, second * INT64_C(1000));
        assert_int_equal((int)(plants[1].disturbances[3] * 10 + 0.5), tenths[second]);
        assert_int_equal((int)(plants[0].disturbances[3] * 10 + 0.5), 0);
    }
    incidents_release(&incidents);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_beginning_and_end_is_told),
        cmocka_unit_test(what_comes_next_is_the_earliest_of_all),
        cmocka_unit_test(disturbances_add_up_while_they_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
