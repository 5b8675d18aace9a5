#include "drivers/modbus/unit.h"

#include "drivers/modbus/decode.h"
#include "model/record.h"

#include <stdlib.h>
#include <string.h>

#define POINTS_MAX      100000
#define INTERVAL_MIN_MS 1

static int check_options(const struct modbus_unit_options *options, struct message *message)
{
    if (options->unit > 247 && options->unit != 255)
        return message_set(message, ERR_RANGE, "unit %d; expected 0 to 247, or 255", options->unit);
    if (options->point_count == 0 || options->point_count > POINTS_MAX)
        return message_set(message, ERR_RANGE, "unit %d: %zu points; expected 1 to %d",
                           options->unit, options->point_count, POINTS_MAX);
    for (size_t k = 0; k < options->point_count; k++) {
        if (options->points[k].reg >= register_map_count(options->map))
            return message_set(message, ERR_RANGE, "unit %d: its map has no register %zu",
                               options->unit, options->points[k].reg);
        if (options->points[k].interval_ms < INTERVAL_MIN_MS)
            return message_set(message, ERR_RANGE, "unit %d: %s: interval %lld ms is below %d ms",
                               options->unit,
                               register_map_at(options->map, options->points[k].reg)->name,
                               (long long)options->points[k].interval_ms, INTERVAL_MIN_MS);
    }
    return 0;
}

static struct plan_point plan_point(const struct map_register *reg,
                                    const struct modbus_point_options *point)
{
    return (struct plan_point){.function = reg->function,
                               .address = reg->address,
                               .length = reg->words,
                               .interval_ms = point->interval_ms,
                               .aligned = point->aligned};
}

/* The clock lies in the plan once for each grid, so that it is read along. */
static size_t plan_clock(const struct unit_reads *unit, struct plan_point *points)
{
    size_t count = unit->point_count;

    for (size_t k = 0; unit->clock != NULL && k < unit->point_count; k++) {
        const struct modbus_point_options *point = &unit->points[k];
        size_t i = unit->point_count;
        while (i < count &&
               (points[i].interval_ms != point->interval_ms || points[i].aligned != point->aligned))
            i++;
        if (i == count)
            points[count++] = plan_point(unit->clock, point);
    }
    return count;
}

static int make_plan(const struct unit_reads *unit, const struct plan_limits *limits,
                     struct read_plan **ret_plan, struct message *message)
{
    struct plan_point *points = calloc(2 * unit->point_count, sizeof points[0]);
    struct message what = {""};
    size_t count;
    int err;

    if (points == NULL)
        return message_set(message, ERR_NO_MEMORY, "out of memory");
    for (size_t k = 0; k < unit->point_count; k++)
        points[k] = plan_point(register_map_at(unit->map, unit->points[k].reg), &unit->points[k]);
    count = plan_clock(unit, points);
    err = read_plan_new(points, count, limits, ret_plan, &what);
    if (err != 0)
        message_set(message, err, "unit %d: %s", unit->id, what.text);
    free(points);
    return err;
}

/* The limits with `more` cuts; they have an array of their own. */
static int extend_limits(const struct plan_limits *limits, const struct plan_cut *more,
                         size_t count, struct plan_limits *ret_limits)
{
    struct plan_cut *cuts = calloc(limits->cut_count + count + 1, sizeof cuts[0]);

    if (cuts == NULL)
        return ERR_NO_MEMORY;
    if (limits->cut_count > 0)
        memcpy(cuts, limits->cuts, limits->cut_count * sizeof cuts[0]);
    if (count > 0)
        memcpy(cuts + limits->cut_count, more, count * sizeof cuts[0]);
    *ret_limits = *limits;
    ret_limits->cuts = cuts;
    ret_limits->cut_count = limits->cut_count + count;
    return 0;
}

static void release_limits(struct plan_limits *limits)
{
    free((void *)(uintptr_t)limits->cuts);
}

int unit_reads_init(struct unit_reads *unit, const struct modbus_unit_options *options,
                    const struct wire *wire, struct message *message)
{
    struct plan_limits limits = {.max_registers = options->max_registers,
                                 .max_bits = options->max_bits,
                                 .max_hole = options->max_hole,
                                 .wire = *wire,
                                 .latency_us = options->latency_us};
    struct unit_reads made = {.id = options->unit,
                              .map = options->map,
                              .point_count = options->point_count,
                              .latency_told = options->latency_us > 0};
    int clock = register_map_clock(options->map);
    int err = check_options(options, message);

    if (err != 0)
        return err;
    if (limits.latency_us <= 0)
        limits.latency_us = wire_latency_us(wire);
    made.clock = clock < 0 ? NULL : register_map_at(options->map, (size_t)clock);
    made.points = calloc(options->point_count, sizeof made.points[0]);
    if (made.points == NULL ||
        extend_limits(&limits, options->cuts, options->cut_count, &made.limits) != 0) {
        unit_reads_release(&made);
        return message_set(message, ERR_NO_MEMORY, "out of memory");
    }
    memcpy(made.points, options->points, options->point_count * sizeof made.points[0]);
    err = make_plan(&made, &made.limits, &made.plan, message);
    if (err == 0)
        *unit = made;
    else
        unit_reads_release(&made);
    return err;
}

void unit_reads_release(struct unit_reads *unit)
{
    read_plan_free(unit->plan);
    free(unit->points);
    release_limits(&unit->limits);
}

static bool same_plan(const struct read_plan *a, const struct read_plan *b)
{
    if (read_plan_count(a) != read_plan_count(b))
        return false;
    for (size_t i = 0; i < read_plan_count(a); i++) {
        const struct plan_read *left = read_plan_at(a, i);
        const struct plan_read *right = read_plan_at(b, i);
        if (left->first != right->first || left->points != right->points)
            return false;
    }
    return true;
}

bool unit_reads_replan(struct unit_reads *unit, const struct plan_cut *more, size_t count,
                       int64_t latency_us)
{
    struct plan_limits limits;
    struct read_plan *plan;

    if (extend_limits(&unit->limits, more, count, &limits) != 0)
        return false;
    if (latency_us > 0)
        limits.latency_us = latency_us;
    if (make_plan(unit, &limits, &plan, NULL) != 0) {
        release_limits(&limits);
        return false;
    }
    release_limits(&unit->limits);
    unit->limits = limits;
    if (same_plan(plan, unit->plan)) {
        read_plan_free(plan);
        return false;
    }
    read_plan_free(unit->plan);
    unit->plan = plan;
    return true;
}

int64_t unit_reads_cost_ns(const struct unit_reads *unit, size_t read, int64_t latency_us)
{
    const struct plan_read *at = read_plan_at(unit->plan, read);
    const struct wire *wire = &unit->limits.wire;
    int64_t ns = wire_read_ns(wire, latency_us, at->function, at->count);

    if (unit_reads_needs_clock(unit, read))
        ns += wire_read_ns(wire, latency_us, unit->clock->function, unit->clock->words);
    return ns;
}

/* ---- the device's clock ---- */

/* The place of the clock's first byte in the read's reply; -1 when it is not in it. */
static int clock_offset(const struct unit_reads *unit, size_t read)
{
    const struct plan_read *at = read_plan_at(unit->plan, read);
    const struct map_register *clock = unit->clock;

    if (clock == NULL || clock->function != at->function || clock->address < at->start ||
        clock->address + clock->words > at->start + at->count)
        return -1;
    return 2 * (clock->address - at->start);
}

bool unit_reads_needs_clock(const struct unit_reads *unit, size_t read)
{
    return unit->clock != NULL && clock_offset(unit, read) < 0;
}

int unit_reads_clock_alone(const struct unit_reads *unit, const uint8_t *data, int64_t *ret_ms)
{
    struct sample sample = {0};

    decode_registers(unit->clock, data, &sample);
    if (sample.quality != QUALITY_GOOD || sample.value.kind == VALUE_TEXT ||
        sample.value.number <= 0 || sample.value.number > (double)RECORD_MAX_TIME)
        return ERR_INVALID;
    *ret_ms = (int64_t)sample.value.number;
    return 0;
}

int unit_reads_clock(const struct unit_reads *unit, size_t read, const uint8_t *data,
                     int64_t *ret_ms)
{
    int offset = clock_offset(unit, read);
    return offset < 0 ? ERR_INVALID : unit_reads_clock_alone(unit, data + offset, ret_ms);
}

/* ---- samples ---- */

/* The k-th point of a read; NULL where that is the clock. */
static const struct modbus_point_options *point_of(const struct unit_reads *unit, size_t read,
                                                   size_t k)
{
    size_t point = read_plan_point(unit->plan, read, k);
    return point < unit->point_count ? &unit->points[point] : NULL;
}

size_t unit_reads_points(const struct unit_reads *unit, size_t read)
{
    size_t all = read_plan_at(unit->plan, read)->points;
    size_t count = 0;

    for (size_t k = 0; k < all; k++)
        count += point_of(unit, read, k) != NULL ? 1 : 0;
    return count;
}

/* Whose sample the k-th of the read is, and when; NULL where it is the clock. */
static const struct modbus_point_options *begin_sample(const struct unit_reads *unit, size_t read,
                                                       size_t k, int64_t t_ms,
                                                       struct sample *sample)
{
    const struct modbus_point_options *point = point_of(unit, read, k);

    if (point != NULL) {
        sample->point = point->number;
        sample->t_ms = t_ms;
    }
    return point;
}

size_t unit_reads_values(const struct unit_reads *unit, size_t read, const uint8_t *data,
                         int64_t t_ms, struct sample *samples)
{
    size_t all = read_plan_at(unit->plan, read)->points;
    size_t count = 0;

    for (size_t k = 0; k < all; k++) {
        const struct modbus_point_options *point =
            begin_sample(unit, read, k, t_ms, &samples[count]);
        if (point == NULL)
            continue;
        const struct map_register *reg = register_map_at(unit->map, point->reg);
        size_t offset = read_plan_offset(unit->plan, read, k);
        if (reg->type == REGISTER_BIT)
            decode_bit(reg, (data[offset / 8] >> offset % 8 & 1) != 0, &samples[count]);
        else
            decode_registers(reg, data + 2 * offset, &samples[count]);
        count++;
    }
    return count;
}

size_t unit_reads_bad(const struct unit_reads *unit, size_t read, enum cause cause, int64_t t_ms,
                      struct sample *samples)
{
    size_t all = read_plan_at(unit->plan, read)->points;
    size_t count = 0;

    for (size_t k = 0; k < all; k++)
        if (begin_sample(unit, read, k, t_ms, &samples[count]) != NULL)
            decode_bad(cause, &samples[count++]);
    return count;
}
