/*
 * From an edge's configuration to points and the options of drivers: register maps are read, points
 * numbered, reads planned on trial to see whether each link can do what is asked of it.
 *
 * Owns the maps, the points and the names; the drivers borrow from it, so it outlives them. Made
 * and freed by the main thread, read-only in between.
 */
#ifndef SERVICE_POINTS_H
#define SERVICE_POINTS_H

#include "base/attributes.h"
#include "drivers/modbus/load.h"
#include "drivers/modbus/modbus_driver.h"
#include "drivers/modbus/register_map.h"
#include "model/edge_config.h"
#include "model/sample.h"
#include "service/learned_holes.h"

#include <stdbool.h>
#include <stddef.h>

/* Where what a link's units teach is noted. */
struct hole_notes {
    struct learned_holes *holes;
    const struct edge_link *link;
    const struct modbus_link_options *options;
};

struct edge_points {
    struct point_info *infos;
    enum stream *streams; /* of each point */
    size_t count;
    struct modbus_link_options *links; /* one per link of the configuration */
    struct link_load *loads;           /* likewise */
    struct hole_notes *notes;          /* likewise */
    size_t link_count;
    struct register_map **maps;
    size_t map_count;
};

/* With what was learned of the units before, and a place for what they will teach (NULL: neither),
 * which outlives the drivers. ERR_INVALID after adding to `errors`: a
 * map that cannot be read, a point that a map has not, a value that no read may hold. */
MUST_CHECK int edge_points_new(const struct edge_config *config, struct learned_holes *holes,
                               struct edge_points **ret_points, struct config_errors *errors);
void edge_points_free(struct edge_points *points);

/* ERR_RANGE after adding to `errors`: a link that could not do what is asked of it even if its
 * units answered at once. */
MUST_CHECK int edge_points_check_load(const struct edge_points *points,
                                      const struct edge_config *config,
                                      struct config_errors *errors);

/* Of a link that can, but may miss slots: says so. False where it is at ease. */
bool edge_points_is_tight(const struct edge_points *points, const struct edge_config *config,
                          size_t link, struct message *ret_message);

#endif
