/*
 * From a configuration to points and drivers: register maps are read, points numbered, links
 * opened.
 *
 * Owns the maps, the points, the names and the totalisers; the drivers borrow from it, so it
 * outlives them. Made and freed by the main thread, read-only in between but for the totalisers.
 */
#ifndef EDGE_POINTS_H
#define EDGE_POINTS_H

#include "base/attributes.h"
#include "drivers/modbus/modbus_driver.h"
#include "drivers/modbus/register_map.h"
#include "edge/totals.h"
#include "model/edge_config.h"
#include "model/sample.h"

#include <stddef.h>

struct edge_points {
    struct point_info *infos;
    enum stream *streams; /* of each point */
    size_t count;
    struct modbus_link_options *links; /* one per link of the configuration */
    size_t link_count;
    struct register_map **maps;
    size_t map_count;
    struct totals *totals; /* what totalisers remember */
};

/* ERR_INVALID after adding to `errors`: a map that cannot be read, a point that a map has not. */
MUST_CHECK int edge_points_new(const struct edge_config *config, struct edge_points **ret_points,
                               struct config_errors *errors);
void edge_points_free(struct edge_points *points);

#endif
