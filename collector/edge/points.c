#include "edge/points.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void complain(const struct edge_config *config, const struct edge_unit *unit,
                     struct config_errors *errors, const char *text)
{
    errors->count++;
    buffer_printf(&errors->text, "%s:%zu:%zu: %s\n", config->file, unit->line, unit->column, text);
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

/* All registers of the map, or those that are named. */
static int fill_unit(struct edge_points *points, const struct edge_config *config,
                     const struct edge_unit *unit, const struct register_map *map,
                     struct modbus_unit_options *options, struct config_errors *errors)
{
    /* A device's clock is the time of its readings, and no reading unless it is asked for. */
    int clock = unit->points ? -1 : register_map_clock(map);
    size_t count = unit->points ? unit->point_count : register_map_count(map);
    struct modbus_point_options *list = calloc(count + 1, sizeof(*list));
    *options =
        (struct modbus_unit_options){.unit = (uint8_t)unit->unit, .map = map, .points = list};
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
        list[options->point_count++] =
            (struct modbus_point_options){.reg = (size_t)reg,
                                          .interval_ms = interval_ms,
                                          .number = (uint32_t)points->count,
                                          .raw = unit->raw};
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

static int fill_link(struct edge_points *points, const struct edge_config *config,
                     const struct edge_link *link, struct config_errors *errors)
{
    struct modbus_unit_options *units = calloc(link->unit_count + 1, sizeof(*units));
    struct modbus_link_options *options = &points->links[points->link_count++];
    *options = (struct modbus_link_options){.endpoint = link->endpoint,
                                            .timeout_ms = link->timeout_ms,
                                            .units = units,
                                            .seed = points->link_count};
    int err = units ? 0 : ERR_NO_MEMORY;
    for (size_t i = 0; !err && i < link->unit_count; i++) {
        struct register_map *map = NULL;
        options->unit_count++;
        if (register_map_read(link->units[i].map, &map, errors))
            continue; /* told in `errors`; the others' mistakes are told too */
        points->maps[points->map_count++] = map;
        err = fill_unit(points, config, &link->units[i], map, &units[i], errors);
    }
    return err;
}

int edge_points_new(const struct edge_config *config, struct edge_points **ret_points,
                    struct config_errors *errors)
{
    size_t units = 0;
    for (size_t i = 0; i < config->link_count; i++)
        units += config->links[i].unit_count;
    struct edge_points *points = calloc(1, sizeof(*points));
    if (!points)
        return ERR_NO_MEMORY;
    points->links = calloc(config->link_count + 1, sizeof(*points->links));
    points->maps = calloc(units + 1, sizeof(struct register_map *));
    int err = points->links && points->maps ? grow(points, 0) : ERR_NO_MEMORY;
    for (size_t i = 0; !err && i < config->link_count; i++)
        err = fill_link(points, config, &config->links[i], errors);
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
        for (size_t n = 0; units && n < points->links[i].unit_count; n++)
            free((void *)(uintptr_t)units[n].points);
        free((void *)(uintptr_t)units);
    }
    for (size_t i = 0; i < points->map_count; i++)
        register_map_free(points->maps[i]);
    free(points->links);
    free(points->maps);
    free(points->infos);
    free(points->streams);
    free(points);
}
