#include "edge/byte_budget.h"

#define HOUR_US ((double)3600 * US_PER_S)

/* 24 hours of accrual and the hour that may have been kept are the allowance. */
#define ALLOWANCE_HOURS 25

/* What must be left, in hours' worth. */
static const double reserve_hours[BUDGET_RANKS] = {
    [BUDGET_SAFETY_BACKLOG] = -1, [BUDGET_COMPLIANCE] = -0.25,  [BUDGET_TREND] = 0,
    [BUDGET_BACKLOG] = 0.1,       [BUDGET_TREND_BACKLOG] = 0.2,
};

void byte_budget_init(struct byte_budget *budget, uint64_t daily)
{
    *budget = (struct byte_budget){.daily = daily};
}

static double hourly(const struct byte_budget *budget)
{
    return (double)budget->daily / ALLOWANCE_HOURS;
}

static void accrue(struct byte_budget *budget, struct now now)
{
    if (budget->at_us && now.mono_us > budget->at_us)
        budget->left += hourly(budget) * (double)(now.mono_us - budget->at_us) / HOUR_US;
    if (budget->left > hourly(budget))
        budget->left = hourly(budget);
    budget->at_us = now.mono_us;
}

bool byte_budget_allows(struct byte_budget *budget, struct now now, enum budget_rank rank)
{
    if (!budget->daily)
        return true;
    accrue(budget, now);
    return rank == BUDGET_ALWAYS || budget->left > reserve_hours[rank] * hourly(budget);
}

void byte_budget_spend(struct byte_budget *budget, uint64_t bytes)
{
    budget->spent += bytes;
    if (!budget->daily)
        return;
    budget->left -= (double)bytes;
    if (budget->left < -(double)budget->daily)
        budget->left = -(double)budget->daily;
}
