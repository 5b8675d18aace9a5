/*
 * Opens the drivers of a configuration: one for each link, and one for each port at which DTUs
 * call. They are the poller's then. Made by the main thread before the poller starts.
 */
#ifndef EDGE_LINES_H
#define EDGE_LINES_H

#include "base/attributes.h"
#include "drivers/driver.h"
#include "edge/poller.h"
#include "model/edge_config.h"
#include "service/points.h"

/* Drivers beside those of the links. */
#define LINES_PORTS_MAX (POLLER_DRIVERS_MAX - EDGE_LINKS_MAX)

/* In the order of the configuration's links, then the ports. After a failure too the poller has
 * what was opened. */
MUST_CHECK int lines_open(const struct edge_config *config, const struct edge_points *points,
                          driver_sink *sink, void *sink_self, struct poller *poller,
                          struct message *message);

#endif
