#include "service/points.h"

#include "base/text.h"
#include "drivers/modbus/refusals.h"
#include "model/address_ranges.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* By the golden ratio: however many links there are, their phases lie far from each other. */
#define PHASE_STEP 2654435769u

/* Of one unit: forbidden and learned. */
#define CUTS_MAX (ADDRESS_RANGES_MAX + REFUSALS_MAX)

static void complain_at(const struct edge_config *config, size_t line, size_t column,
                        struct config_errors *errors, const char *text)
{
    errors->count++;
    buffer_printf(&errors->text, "%s:%zu:%zu: %s\n", config->file, line, column, text);
}

static void complain(const struct edge_config *config, const struct edge_unit *unit,
                     struct config_errors *errors, const char *text)
{
    complain_at(config, unit->line, unit->column, errors, text);
}

static int grow(struct edge_points *points, size_t by)
{
    size_t count = points->count + by;
    if (count > EDGE_POINTS_MAX)
        return ERR_FULL;
    struct point_info *infos = realloc(points->infos, (count + 1) * sizeof(*infos));
    if (!infos)
        return ERR_NO_MEMORY;
    points->infos = infos;
    enum stream *streams = realloc(points->streams, (count + 1) * sizeof(*streams));
    if (!streams)
        return ERR_NO_MEMORY;
    points->streams = streams;
    return 0;
}

/* "40 characters of the description", cut between characters. */
static void copy_name(struct point_info *info, const char *text)
{
    size_t len = strlen(text) < sizeof(info->name) ? strlen(text) : sizeof(info->name) - 1;
    while (len && !text_is_utf8(text, len))
        len--;
    memcpy(info->name, text, len);
    info->name[len] = '\0';
}

/* What people read of a register. That it is bit N of its word is the map's own business. */
static const char *words_of(const struct map_register *reg)
{
    const char *text = reg->description && reg->description[0] ? reg->description : reg->name;
    if (reg->bit != REGISTER_WHOLE_WORD && strncmp(text, "bit ", 4) == 0) {
        const char *rest = text + 4 + strspn(text + 4, "0123456789");
        rest += strspn(rest, ": ");
        text = *rest ? rest : text;
    }
    return text;
}

static int add_point(struct edge_points *points, const struct edge_config *config,
                     const struct edge_unit *unit, const struct register_map *map, size_t reg,
                     int64_t interval_ms, enum point_class class_)
{
    const struct map_register *from = register_map_at(map, reg);
    struct point_info *info = &points->infos[points->count];
    *info = (struct point_info){.interval_ms = interval_ms};
    int len =
        snprintf(info->id, sizeof(info->id), "%s.%s.%s", config->site, unit->name, from->name);
    if (len < 0 || (size_t)len >= sizeof(info->id))
        return ERR_RANGE;
    copy_name(info, words_of(from));
    int err = text_copy(info->unit, sizeof(info->unit), from->unit);
    if (!err)
        /* One bit of a word is a bit to whoever reads it. */
        err = text_copy(info->type, sizeof(info->type),
                        from->bit != REGISTER_WHOLE_WORD ? "bit" : from->type_name);
    if (!err)
        err = text_copy(info->site, sizeof(info->site), config->site);
    if (!err)
        err = text_copy(info->map, sizeof(info->map), register_map_version(map));
    if (!err)
        err = text_copy(info->class_, sizeof(info->class_), point_class_name(class_));
    if (err)
        return err;
    points->streams[points->count++] = point_class_stream(class_);
    return 0;
}

/* Where no read may reach across: what is forbidden, and what the unit taught us. */
static int fill_cuts(const struct edge_link *link, const struct edge_unit *unit,
                     const struct register_map *map, struct learned_holes *holes,
                     struct modbus_unit_options *options)
{
    struct address_range ranges[ADDRESS_RANGES_MAX];
    struct plan_cut cuts[CUTS_MAX];
    struct plan_cut *kept;
    size_t count = 0;
    int err = address_ranges_parse(unit->forbidden, ranges, &count, NULL);
    if (err)
        return err; /* it was read before */
    for (size_t i = 0; i < count; i++)
        cuts[i] = (struct plan_cut){.function = ranges[i].function,
                                    .forbidden = true,
                                    .below = ranges[i].first,
                                    .from = ranges[i].last + 1u};
    if (holes)
        count += learned_holes_of(holes, link->name, unit->unit, register_map_version(map),
                                  cuts + count, CUTS_MAX - count);
    if (!count)
        return 0;
    kept = calloc(count, sizeof(*kept));
    if (!kept)
        return ERR_NO_MEMORY;
    memcpy(kept, cuts, count * sizeof(*kept));
    options->cuts = kept;
    options->cut_count = count;
    return 0;
}

/* All registers of the map, or those that are named. */
static int fill_unit(struct edge_points *points, const struct edge_config *config,
                     const struct edge_unit *unit, const struct register_map *map,
                     struct modbus_unit_options *options, struct config_errors *errors)
{
    /* A device's clock is the time of its readings, and no reading unless it is asked for. */
    int clock = unit->points ? -1 : register_map_clock(map);
    size_t count = unit->points ? unit->point_count : register_map_count(map);
    struct modbus_point_options *list = calloc(count + 1, sizeof(*list));
    *options = (struct modbus_unit_options){.unit = (uint8_t)unit->unit,
                                            .map = map,
                                            .points = list,
                                            .max_registers = (uint16_t)unit->max_registers,
                                            .max_bits = (uint16_t)unit->max_bits,
                                            .latency_us = unit->latency_ms * US_PER_MS};
    int err = list ? grow(points, count) : ERR_NO_MEMORY;
    for (size_t i = 0; !err && i < count; i++) {
        int reg = unit->points ? register_map_find(map, unit->points[i].name) : (int)i;
        if (reg < 0) {
            char text[256];
            snprintf(text, sizeof(text), "point '%s' is not in %.150s", unit->points[i].name,
                     unit->map);
            complain(config, unit, errors, text);
            continue;
        }
        if (reg == clock)
            continue;
        int64_t interval_ms = unit->points ? unit->points[i].interval_ms : unit->interval_ms;
        list[options->point_count++] = (struct modbus_point_options){
            .reg = (size_t)reg,
            .interval_ms = interval_ms,
            .aligned = (unit->points ? unit->points[i].align : unit->align) == ALIGN_MINUTE,
            .number = (uint32_t)points->count};
        err = add_point(points, config, unit, map, (size_t)reg, interval_ms,
                        unit->points ? unit->points[i].class_ : unit->class_);
    }
    if (err)
        complain(config, unit, errors,
                 err == ERR_FULL    ? "too many points for one edge"
                 : err == ERR_RANGE ? "a point's name SITE.UNIT.REGISTER is too long"
                                    : "out of memory");
    return err;
}

/* A file that several units name is read once: `files[i]` is where maps[i] came from. */
static int find_map(struct edge_points *points, const char **files, const char *file,
                    struct register_map **ret_map, struct config_errors *errors)
{
    for (size_t i = 0; i < points->map_count; i++)
        if (strcmp(files[i], file) == 0) {
            *ret_map = points->maps[i];
            return 0;
        }
    int err = register_map_read(file, ret_map, errors);
    if (!err) {
        files[points->map_count] = file;
        points->maps[points->map_count++] = *ret_map;
    }
    return err;
}

/* What the unit's reads will ask of the link. */
static int weigh_unit(const struct edge_config *config, const struct edge_unit *unit,
                      const struct modbus_unit_options *options, const struct wire *wire,
                      struct link_load *load, struct config_errors *errors)
{
    struct unit_reads reads;
    struct message message = {""};
    if (!options->point_count)
        return 0; /* told already, or a map without registers */
    int err = unit_reads_init(&reads, options, wire, &message);
    if (err == ERR_NO_MEMORY)
        return err;
    if (err) {
        complain(config, unit, errors, message.text);
        return 0;
    }
    link_load_add(load, &reads);
    unit_reads_release(&reads);
    return 0;
}

/* From the driver's step. */
static void note_hole(void *self, size_t unit, const struct plan_cut *cut)
{
    const struct hole_notes *notes = self;
    (void)learned_holes_note(notes->holes, notes->link->name, notes->options->units[unit].unit,
                             register_map_version(notes->options->units[unit].map), cut);
}

static int fill_link(struct edge_points *points, const struct edge_config *config,
                     const struct edge_link *link, const char **files, struct learned_holes *holes,
                     struct config_errors *errors)
{
    struct modbus_unit_options *units = calloc(link->unit_count + 1, sizeof(*units));
    struct link_load *load = &points->loads[points->link_count];
    struct hole_notes *notes = &points->notes[points->link_count];
    struct modbus_link_options *options = &points->links[points->link_count++];
    *notes = (struct hole_notes){.holes = holes, .link = link, .options = options};
    *options =
        (struct modbus_link_options){.url = link->at,
                                     .wire = wire_of_url(&link->at),
                                     .timeout_ms = link->timeout_ms,
                                     .units = units,
                                     .seed = points->link_count,
                                     .learned = holes ? note_hole : NULL,
                                     .learned_self = notes,
                                     .phase = (uint32_t)(points->link_count - 1) * PHASE_STEP};
    int err = units ? 0 : ERR_NO_MEMORY;
    for (size_t i = 0; !err && i < link->unit_count; i++) {
        const struct edge_unit *unit = &link->units[i];
        struct register_map *map = NULL;
        options->unit_count++;
        if (find_map(points, files, unit->map, &map, errors))
            continue; /* told in `errors`; the others' mistakes are told too */
        err = fill_unit(points, config, unit, map, &units[i], errors);
        if (!err)
            err = fill_cuts(link, unit, map, holes, &units[i]);
        if (!err)
            err = weigh_unit(config, unit, &units[i], &options->wire, load, errors);
    }
    return err;
}

int edge_points_new(const struct edge_config *config, struct learned_holes *holes,
                    struct edge_points **ret_points, struct config_errors *errors)
{
    size_t units = 0;
    for (size_t i = 0; i < config->link_count; i++)
        units += config->links[i].unit_count;
    struct edge_points *points = calloc(1, sizeof(*points));
    if (!points)
        return ERR_NO_MEMORY;
    points->links = calloc(config->link_count + 1, sizeof(*points->links));
    points->loads = calloc(config->link_count + 1, sizeof(*points->loads));
    points->notes = calloc(config->link_count + 1, sizeof(*points->notes));
    points->maps = calloc(units + 1, sizeof(struct register_map *));
    const char **files = calloc(units + 1, sizeof(*files));
    int err = files && points->links && points->loads && points->notes && points->maps
                  ? grow(points, 0)
                  : ERR_NO_MEMORY;
    for (size_t i = 0; !err && i < config->link_count; i++)
        err = fill_link(points, config, &config->links[i], files, holes, errors);
    free(files);
    if (!err && errors->count)
        err = ERR_INVALID;
    if (err) {
        edge_points_free(points);
        return err;
    }
    *ret_points = points;
    return 0;
}

void edge_points_free(struct edge_points *points)
{
    if (!points)
        return;
    for (size_t i = 0; i < points->link_count; i++) {
        const struct modbus_unit_options *units = points->links[i].units;
        for (size_t n = 0; units && n < points->links[i].unit_count; n++) {
            free((void *)(uintptr_t)units[n].points);
            free((void *)(uintptr_t)units[n].cuts);
        }
        free((void *)(uintptr_t)units);
    }
    for (size_t i = 0; i < points->map_count; i++)
        register_map_free(points->maps[i]);
    free(points->links);
    free(points->loads);
    free(points->notes);
    free(points->maps);
    free(points->infos);
    free(points->streams);
    free(points);
}

int edge_points_check_load(const struct edge_points *points, const struct edge_config *config,
                           struct config_errors *errors)
{
    int err = 0;
    for (size_t i = 0; i < config->link_count; i++) {
        const struct edge_link *link = &config->links[i];
        const struct link_load *load = &points->loads[i];
        struct message message;
        if (load->least_share <= 1)
            continue;
        err = message_set(&message, ERR_RANGE,
                          "link '%s' cannot do it: its %zu reads would take %.0f %% of its time "
                          "even if every unit without a latency answered at once; read less, less "
                          "often, at a higher baud rate, or over another link as well",
                          link->name, load->reads, load->least_share * 100);
        complain_at(config, link->line, link->column, errors, message.text);
    }
    return err;
}

bool edge_points_is_tight(const struct edge_points *points, const struct edge_config *config,
                          size_t link, struct message *ret_message)
{
    const struct link_load *load = &points->loads[link];
    if (load->share <= LINK_LOAD_TIGHT)
        return false;
    message_set(ret_message, 0,
                "link '%s' is busy for %.0f %% of its time, by the latencies that are known or "
                "assumed: with a unit that does not answer, polls will be skipped (chengmai plan)",
                config->links[link].name, load->share * 100);
    return true;
}
