/*
 * From the names in `signals` and `marks` to the points of this edge: makes what judges readings
 * and what holds them back. Mistakes are told as those of the configuration are. Main thread.
 */
#ifndef EDGE_SIGNAL_POINTS_H
#define EDGE_SIGNAL_POINTS_H

#include "base/attributes.h"
#include "edge/intake.h"
#include "edge/signal.h"
#include "model/edge_config.h"
#include "service/points.h"

#include <stddef.h>

/* An intake that does all that the configuration asks for. A point that reports by exception tells
 * its heartbeat as the interval in its birth: so much silence is no trouble. ERR_INVALID after
 * adding to `errors`: a point that is none, or stands twice; a share of no span; report by
 * exception of a safety or compliance point. */
MUST_CHECK int signal_points_make(const struct edge_config *config, struct edge_points *points,
                                  struct intake **ret_intake, struct config_errors *errors);

/* The marks of a file, with numbers. signal_points_free_rules. */
MUST_CHECK int signal_points_load(const char *path, const struct edge_config *config,
                                  const struct edge_points *points, struct signal_rule **ret_rules,
                                  size_t *ret_count, struct config_errors *errors);
void signal_points_free_rules(struct signal_rule *rules, size_t count);

#endif
