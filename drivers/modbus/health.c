#include "drivers/modbus/health.h"

#include "base/clock.h"

#define PROBE_FIRST_US   (2 * (int64_t)US_PER_S)
#define PROBE_LAST_US    (300 * (int64_t)US_PER_S)
#define CONNECT_FIRST_US (1 * (int64_t)US_PER_S)
#define CONNECT_LAST_US  (60 * (int64_t)US_PER_S)

/* Beyond this many doublings every wait is the longest. */
#define DOUBLINGS_MAX 16

/* splitmix64 */
static uint64_t next_chance(uint64_t *chance)
{
    uint64_t mixed = *chance += 0x9E3779B97F4A7C15u;

    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9u;
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EBu;
    return mixed ^ mixed >> 31;
}

static int64_t back_off(uint64_t *chance, int64_t first_us, int64_t last_us, unsigned failures)
{
    int64_t wait_us = last_us;

    if (failures < DOUBLINGS_MAX && first_us << failures < last_us)
        wait_us = first_us << failures;
    return wait_us - (int64_t)(next_chance(chance) % (uint64_t)(wait_us / 4));
}

int64_t unit_back_off(uint64_t *chance, unsigned failures)
{
    return back_off(chance, PROBE_FIRST_US, PROBE_LAST_US, failures);
}

bool unit_health_answered(struct unit_health *unit, size_t reads)
{
    if (unit->state == MODBUS_UNIT_SUSPECT)
        *unit = (struct unit_health){.state = MODBUS_UNIT_UP};
    if (unit->state != MODBUS_UNIT_DOWN)
        return false;
    unit->state = MODBUS_UNIT_RECOVERING;
    unit->owed = reads;
    return true;
}

void unit_health_settled(struct unit_health *unit)
{
    if (unit->state != MODBUS_UNIT_RECOVERING)
        return;
    if (unit->owed > 0)
        unit->owed--;
    if (unit->owed == 0)
        *unit = (struct unit_health){.state = MODBUS_UNIT_UP};
}

bool unit_health_failed(struct unit_health *unit, enum cause cause, int64_t now_us,
                        uint64_t *chance)
{
    unit->cause = cause;
    if (unit->state == MODBUS_UNIT_UP) {
        unit->state = MODBUS_UNIT_SUSPECT;
        return false;
    }
    unit->probes = unit->state == MODBUS_UNIT_RECOVERING ? unit->probes + 1 : 0;
    unit->state = MODBUS_UNIT_DOWN;
    unit->probe_us = now_us + unit_back_off(chance, unit->probes);
    return true;
}

void unit_health_probe_failed(struct unit_health *unit, enum cause cause, int64_t now_us,
                              uint64_t *chance)
{
    unit->cause = cause;
    unit->probes++;
    unit->probe_us = now_us + unit_back_off(chance, unit->probes);
}

void link_health_answered(struct link_health *link)
{
    link->failures = 0;
}

void link_health_refused(struct link_health *link, int64_t now_us, uint64_t *chance)
{
    link->retry_us = now_us + back_off(chance, CONNECT_FIRST_US, CONNECT_LAST_US, link->failures);
    link->failures++;
}

void link_health_broke(struct link_health *link, int64_t now_us, uint64_t *chance)
{
    link->retry_us = now_us;
    if (link->failures > 0)
        link->retry_us += back_off(chance, CONNECT_FIRST_US, CONNECT_LAST_US, link->failures - 1);
    link->failures++;
}
