/*
 * What is wrong with the links, the journal and the recorder, said in the log: once when it begins,
 * once when it is over, and backing off in between.
 *
 * Plain data, owned by the main thread; it borrows everything else.
 */
#ifndef EDGE_TROUBLES_H
#define EDGE_TROUBLES_H

#include "base/clock.h"
#include "base/log.h"
#include "edge/poller.h"
#include "edge/recorder.h"
#include "store/journal.h"

struct troubles {
    struct poller *poller;
    struct recorder *recorder;
    struct journal *journal;
    uint64_t journal_size; /* as configured */
    struct complaint links[POLLER_DRIVERS_MAX];
    struct complaint notices[POLLER_DRIVERS_MAX];
    uint64_t told_notices[POLLER_DRIVERS_MAX];
    struct complaint disk, space, refused;
    uint64_t told_lost, told_refused;
};

/* Looks at everything; every second or so. */
void troubles_tell(struct troubles *troubles, struct now now);

#endif
