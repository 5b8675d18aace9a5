/*
 * The edge's health as the centre gets it on {edge}/stats: journal, samples, bytes sent, and each
 * of the first links. One JSON object.
 *
 * The uplink's thread, whose figures `outgoing` are; all others come from status calls that any
 * thread may make.
 */
#ifndef EDGE_STATS_H
#define EDGE_STATS_H

#include "base/buffer.h"
#include "edge/outgoing.h"
#include "edge/poller.h"
#include "edge/recorder.h"
#include "model/edge_config.h"
#include "store/journal.h"

struct edge_stats_sources {
    const struct edge_config *config;
    struct journal *journal;
    struct recorder *recorder;
    const struct outgoing *outgoing;
    struct poller *poller;
};

/* Appends the object; buffer_error says when it does not fit. */
void edge_stats_write(const struct edge_stats_sources *from, struct buffer *out);

#endif
