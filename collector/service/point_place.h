/* Where a point's register lies: on which link, in which unit. */
#ifndef SERVICE_POINT_PLACE_H
#define SERVICE_POINT_PLACE_H

#include "base/attributes.h"
#include "service/points.h"

struct point_place {
    const char *id; /* this and the register are the points' */
    size_t link;
    uint8_t unit;
    const struct map_register *reg;
};

/* `id`: SITE.UNIT.REGISTER. ERR_NOT_FOUND. */
MUST_CHECK int point_place_find(const struct edge_points *points, const char *id,
                                struct point_place *ret_place);

#endif
