/*
 * What is so now: last values, alarms, edges, gaps; the one snapshot that the API and the pages
 * read (ARCHITECTURE 2). A monitor: any thread may call; each call holds the lock briefly.
 *
 * Everything in it carries the version at which it last changed. A reader asks for all that changed
 * behind a version it knows, so a slow one gets fewer, newer answers, and none has a queue.
 */
#ifndef CENTRAL_LIVE_H
#define CENTRAL_LIVE_H

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "model/sample.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIVE_POINTS_MAX 200000

struct live;

enum live_document { LIVE_EDGES, LIVE_GAPS, LIVE_DOCUMENTS };

struct live *live_new(void);
void live_free(struct live *live);

/* The point's place, made on first sight. ERR_FULL, ERR_NO_MEMORY. */
MUST_CHECK int live_put_point(struct live *live, const struct point_info *info, int64_t *ret_place);

/* Its last sample, unless a newer one is there. */
void live_put_sample(struct live *live, int64_t place, const struct sample *sample,
                     int64_t received_ms);

/* Alarm number `index` (its rule's) as a JSON object. */
MUST_CHECK int live_put_alarm(struct live *live, size_t index, const char *json, size_t len);

/* A whole JSON document. */
MUST_CHECK int live_put_document(struct live *live, enum live_document document, const char *json,
                                 size_t len);

/* Tells those who wait that there is something new. */
void live_publish(struct live *live);

/* Ends all waiting, for good. */
void live_close(struct live *live);

/* ---- reading ---- */

/* {"points":[…]}, {"sites":[…]}, {"now":…,"values":[…]}, {"alarms":[…]} */
void live_write_points(struct live *live, struct buffer *out);
void live_write_sites(struct live *live, struct buffer *out);
void live_write_latest(struct live *live, struct now now, struct buffer *out);
void live_write_alarms(struct live *live, struct buffer *out);
void live_write_document(struct live *live, enum live_document document, struct buffer *out);

/* The point's facts. ERR_NOT_FOUND. */
MUST_CHECK int live_find_point(struct live *live, const char *id, struct point_info *ret_info);

/* Waits until there is something behind `version`, at most `timeout_ms`. False once closed. */
bool live_wait(struct live *live, uint64_t version, int64_t timeout_ms);

/* Server-sent events with all that changed behind `*version`, which is moved on; 0: a snapshot. */
void live_write_events(struct live *live, struct now now, uint64_t *version, struct buffer *out);

/* This run's name: versions of another run mean nothing. */
const char *live_run(const struct live *live);

#endif
