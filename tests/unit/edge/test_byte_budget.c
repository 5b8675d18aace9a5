/* The daily allowance: never more than it in any 24 hours, and who waits for whom. */
#include "edge/byte_budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#define DAILY 25000000 /* a million an hour */
#define HOUR  3600

static struct now at(int64_t s)
{
    return (struct now){.mono_us = (1000 + s) * US_PER_S};
}

static void without_a_limit_all_is_allowed(void **state)
{
    struct byte_budget budget;

    (void)state;
    byte_budget_init(&budget, 0);
    for (int i = 0; i < 100; i++) {
        for (int rank = 0; rank < BUDGET_RANKS; rank++)
            assert_true(byte_budget_allows(&budget, at(0), (enum budget_rank)rank));
        byte_budget_spend(&budget, UINT64_C(1) << 40);
    }
    assert_int_equal(budget.spent, UINT64_C(100) << 40);
}

/* Who is greedy gets the allowance within any 24 hours, to a message, and not a byte more. */
static void the_greedy_get_the_allowance_and_no_more(void **state)
{
    enum { MINUTES = 60 * 24 * 3 };
    static uint64_t spent[MINUTES];
    struct byte_budget budget;
    uint64_t window = 0, most = 0;

    (void)state;
    byte_budget_init(&budget, DAILY);
    for (int minute = 0; minute < MINUTES; minute++) {
        bool idle = minute > 500 && minute < 700; /* an outage: what is kept is bounded */
        while (!idle && byte_budget_allows(&budget, at(60 * minute), BUDGET_TREND)) {
            byte_budget_spend(&budget, 5000);
            spent[minute] += 5000;
        }
        window += spent[minute] - (minute >= 1440 ? spent[minute - 1440] : 0);
        most = window > most ? window : most;
    }
    assert_true(most <= DAILY + 5000);
    assert_true(most > DAILY - 1000000);
}

static void who_matters_more_waits_less(void **state)
{
    static const struct {
        double hours; /* of accrual since the start, nothing spent but `spent` */
        uint64_t spent;
        bool allowed[BUDGET_RANKS];
    } cases[] = {
        {0, 0, {true, true, true, false, false, false}}, /* it begins empty */
        {0.01, 0, {true, true, true, true, false, false}},
        {0.11, 0, {true, true, true, true, true, false}},
        {0.21, 0, {true, true, true, true, true, true}},
        {0, 249999, {true, true, true, false, false, false}},
        {0, 250001, {true, true, false, false, false, false}},
        {0, 999999, {true, true, false, false, false, false}},
        {0, 1000001, {true, false, false, false, false, false}},
        {0, 100000000, {true, false, false, false, false, false}}, /* alarms, whatever it costs */
        {50, 1000001, {true, true, true, false, false, false}},    /* an hour's worth is kept */
        {50, 999999, {true, true, true, true, false, false}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct byte_budget budget;
        struct now now = at((int64_t)(cases[i].hours * HOUR));
        byte_budget_init(&budget, DAILY);
        (void)byte_budget_allows(&budget, at(0), BUDGET_ALWAYS);
        (void)byte_budget_allows(&budget, now, BUDGET_ALWAYS);
        byte_budget_spend(&budget, cases[i].spent);
        for (int rank = 0; rank < BUDGET_RANKS; rank++)
            if (byte_budget_allows(&budget, now, (enum budget_rank)rank) != cases[i].allowed[rank])
                fail_msg("case %zu, rank %d", i, rank);
    }
}

static void what_alarms_cost_is_paid_back_by_the_others(void **state)
{
    struct byte_budget budget;

    (void)state;
    byte_budget_init(&budget, DAILY);
    (void)byte_budget_allows(&budget, at(0), BUDGET_ALWAYS);
    byte_budget_spend(&budget, 3000000);
    assert_false(byte_budget_allows(&budget, at(3 * HOUR), BUDGET_TREND));
    assert_true(byte_budget_allows(&budget, at(3 * HOUR + 1), BUDGET_TREND));
}

/* However much it was, it is paid back in the time that the allowance takes to accrue. */
static void a_storm_of_alarms_is_forgiven_beyond_a_days_allowance(void **state)
{
    struct byte_budget budget;

    (void)state;
    byte_budget_init(&budget, DAILY);
    (void)byte_budget_allows(&budget, at(0), BUDGET_ALWAYS);
    for (int i = 0; i < 100; i++)
        byte_budget_spend(&budget, DAILY);
    assert_int_equal(budget.spent, UINT64_C(100) * DAILY);
    assert_false(byte_budget_allows(&budget, at(25 * HOUR), BUDGET_TREND));
    assert_true(byte_budget_allows(&budget, at(25 * HOUR + 1), BUDGET_TREND));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_limit_all_is_allowed),
        cmocka_unit_test(the_greedy_get_the_allowance_and_no_more),
        cmocka_unit_test(who_matters_more_waits_less),
        cmocka_unit_test(what_alarms_cost_is_paid_back_by_the_others),
        cmocka_unit_test(a_storm_of_alarms_is_forgiven_beyond_a_days_allowance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
