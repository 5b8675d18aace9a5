#include "service/point_place.h"

#include <string.h>

static bool is_in_unit(const struct modbus_unit_options *unit, uint32_t number,
                       struct point_place *place)
{
    for (size_t k = 0; k < unit->point_count; k++)
        if (unit->points[k].number == number) {
            place->unit = unit->unit;
            place->reg = register_map_at(unit->map, unit->points[k].reg);
            return true;
        }
    return false;
}

int point_place_find(const struct edge_points *points, const char *id,
                     struct point_place *ret_place)
{
    uint32_t number = 0;
    while (number < points->count && strcmp(points->infos[number].id, id) != 0)
        number++;
    if (number == points->count)
        return ERR_NOT_FOUND;
    struct point_place place = {.id = points->infos[number].id};
    for (place.link = 0; place.link < points->link_count; place.link++)
        for (size_t n = 0; n < points->links[place.link].unit_count; n++)
            if (is_in_unit(&points->links[place.link].units[n], number, &place)) {
                *ret_place = place;
                return 0;
            }
    return ERR_NOT_FOUND;
}
