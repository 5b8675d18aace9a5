/*
 * What the edge answers on its control socket (service/control_socket.h). A request is an object:
 *
 *     {"ask":"edge"}                    all but the links
 *     {"ask":"link","index":0}          one link and its units
 *     {"ask":"read","point":"a.b.c"}    one reading now, beside the polls (service/reading.h)
 *
 * A request that cannot be answered gets {"error":"why"}. Nothing is changed by any of them, and
 * nothing is waited for: what a link knows is asked on the poller's thread, between two polls, and
 * what the uplink knows on its own.
 *
 * Owned by the control thread, but edge_control_serve, which is the uplink's. It borrows all
 * it is given.
 */
#ifndef EDGE_CONTROL_H
#define EDGE_CONTROL_H

#include "base/attributes.h"
#include "base/clock.h"
#include "edge/poller.h"
#include "edge/recorder.h"
#include "edge/uplink.h"
#include "model/edge_config.h"
#include "service/points.h"
#include "store/journal.h"

struct edge_control;

struct edge_control_options {
    const struct edge_config *config;
    const struct edge_points *points;
    struct journal *journal;
    struct recorder *recorder;
    struct poller *poller;           /* started before the first answer */
    void (*wake_uplink)(void *self); /* to have edge_control_serve called; any thread */
    void *wake_self;
};

/* Listens at the configuration's control path. */
MUST_CHECK int edge_control_open(const struct edge_control_options *options, struct now now,
                                 struct edge_control **ret_control, struct message *message);
/* NULL is fine. Before the poller is freed. */
void edge_control_close(struct edge_control *control);

int edge_control_fd(const struct edge_control *control);
int64_t edge_control_step(struct edge_control *control, struct now now);

/* Says how the uplink stands, if somebody asks. The uplink's thread, after each step; NULL is
 * fine. */
void edge_control_serve(struct edge_control *control, const struct uplink *uplink);

#endif
