#include "drivers/modbus/unit.h"

#include "drivers/modbus/decode.h"

#include <stdlib.h>
#include <string.h>

#define POINTS_MAX      100000
#define INTERVAL_MIN_MS 10

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

static int make_plan(struct unit_reads *unit, const struct plan_limits *limits,
                     struct message *message)
{
    struct plan_point *points = calloc(unit->point_count, sizeof points[0]);
    struct message what = {""};
    int err;

    if (points == NULL)
        return message_set(message, ERR_NO_MEMORY, "out of memory");
    for (size_t k = 0; k < unit->point_count; k++) {
        const struct map_register *reg = register_map_at(unit->map, unit->points[k].reg);
        points[k] = (struct plan_point){.function = reg->function,
                                        .address = reg->address,
                                        .length = reg->words,
                                        .interval_ms = unit->points[k].interval_ms};
    }
    err = read_plan_new(points, unit->point_count, limits, &unit->plan, &what);
    if (err != 0)
        message_set(message, err, "unit %d: %s", unit->id, what.text);
    free(points);
    return err;
}

int unit_reads_init(struct unit_reads *unit, const struct modbus_unit_options *options,
                    struct message *message)
{
    struct plan_limits limits = {.max_registers = options->max_registers,
                                 .max_bits = options->max_bits,
                                 .max_hole = options->max_hole};
    struct unit_reads made = {
        .id = options->unit, .map = options->map, .point_count = options->point_count};
    int err = check_options(options, message);

    if (err != 0)
        return err;
    made.points = calloc(options->point_count, sizeof made.points[0]);
    if (made.points == NULL)
        return message_set(message, ERR_NO_MEMORY, "out of memory");
    memcpy(made.points, options->points, options->point_count * sizeof made.points[0]);
    err = make_plan(&made, &limits, message);
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
}

static const struct modbus_point_options *point_of(const struct unit_reads *unit, size_t read,
                                                   size_t k)
{
    return &unit->points[read_plan_point(unit->plan, read, k)];
}

size_t unit_reads_values(const struct unit_reads *unit, size_t read, const uint8_t *data,
                         int64_t t_ms, struct sample *samples)
{
    size_t count = read_plan_at(unit->plan, read)->points;

    for (size_t k = 0; k < count; k++) {
        const struct modbus_point_options *point = point_of(unit, read, k);
        const struct map_register *reg = register_map_at(unit->map, point->reg);
        size_t offset = read_plan_offset(unit->plan, read, k);
        samples[k].point = point->number;
        samples[k].t_ms = t_ms;
        if (reg->type == REGISTER_BIT)
            decode_bit(reg, (data[offset / 8] >> offset % 8 & 1) != 0, &samples[k]);
        else
            decode_registers(reg, data + 2 * offset, &samples[k]);
    }
    return count;
}

size_t unit_reads_bad(const struct unit_reads *unit, size_t read, enum cause cause, int64_t t_ms,
                      struct sample *samples)
{
    size_t count = read_plan_at(unit->plan, read)->points;

    for (size_t k = 0; k < count; k++) {
        samples[k].point = point_of(unit, read, k)->number;
        samples[k].t_ms = t_ms;
        decode_bad(cause, &samples[k]);
    }
    return count;
}
