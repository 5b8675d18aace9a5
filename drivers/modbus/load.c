#include "drivers/modbus/load.h"

#include "base/clock.h"

#define NS_PER_MS 1000000

void link_load_add(struct link_load *load, const struct unit_reads *unit)
{
    int64_t latency_us = unit->limits.latency_us;

    for (size_t read = 0; read < read_plan_count(unit->plan); read++) {
        int64_t interval_ms = read_plan_at(unit->plan, read)->interval_ms;
        int64_t ns = unit_reads_cost_ns(unit, read, latency_us);
        int64_t least_ns = unit->latency_told ? ns : unit_reads_cost_ns(unit, read, 0);
        if (unit_reads_points(unit, read) == 0)
            continue; /* the clock, which is reckoned with whoever needs it */
        load->reads++;
        load->share += (double)ns / (double)(interval_ms * NS_PER_MS);
        load->least_share += (double)least_ns / (double)(interval_ms * NS_PER_MS);
        load->cycle_ns += ns;
        if (ns > load->longest_ns)
            load->longest_ns = ns;
        if (load->shortest_ms == 0 || interval_ms < load->shortest_ms)
            load->shortest_ms = interval_ms;
    }
}

int64_t link_load_age_ms(const struct link_load *load, int64_t interval_ms)
{
    int64_t wait_ns = interval_ms * NS_PER_MS + load->longest_ns;

    if (load->share > 1)
        return -1;
    if (load->cycle_ns <= load->shortest_ms * NS_PER_MS)
        wait_ns = load->cycle_ns;
    return interval_ms + (wait_ns + NS_PER_MS - 1) / NS_PER_MS;
}
