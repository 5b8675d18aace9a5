/*
 * How much may be sent on a metered line: an allowance in bytes for any 24 hours. It accrues
 * evenly, and at most an hour's worth of it is kept, so that a day's data goes out over the day and
 * an outage is not followed by a bill.
 *
 * What matters more goes sooner: alarms and live safety points always, and what they cost is taken
 * off the others; a backlog of safety points may run ahead by an hour, compliance points by a
 * quarter of one; other backlogs wait until something is left over. It begins empty: a program that
 * starts again and again spends nothing. The debt is never more than the allowance: a storm of
 * alarms holds up the others for 25 hours at most after its end.
 *
 * Plain data and pure functions of `now` (monotonic). One thread.
 */
#ifndef EDGE_BYTE_BUDGET_H
#define EDGE_BYTE_BUDGET_H

#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>

/* From first to last. */
enum budget_rank {
    BUDGET_ALWAYS,
    BUDGET_SAFETY_BACKLOG,
    BUDGET_COMPLIANCE,
    BUDGET_TREND,
    BUDGET_BACKLOG, /* of compliance points */
    BUDGET_TREND_BACKLOG,
    BUDGET_RANKS
};

struct byte_budget {
    uint64_t daily; /* bytes in any 24 h; 0: no limit, all is allowed */
    double left;    /* may be below 0, by `daily` */
    int64_t at_us;  /* when `left` was that; 0: not begun */
    uint64_t spent; /* since the start */
};

void byte_budget_init(struct byte_budget *budget, uint64_t daily);

/* May something of that rank be sent now? */
bool byte_budget_allows(struct byte_budget *budget, struct now now, enum budget_rank rank);

/* It was sent, and took so many bytes. */
void byte_budget_spend(struct byte_budget *budget, uint64_t bytes);

#endif
