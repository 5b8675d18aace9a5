/*
 * What reads instruments, pulled or pushed, as whoever runs many of them in one epoll loop sees it:
 *
 *     open (each driver's own)
 *     loop:  wants → wait for its descriptors or its due time → step
 *     close
 *
 * A step never blocks and never sleeps. It does what is due, hands samples to its sink, and has
 * then, through `wants`, other wishes. A driver is owned by one thread, which makes all calls; the
 * sink is called from within step and may not call the driver.
 *
 * Descriptors: the driver opens and closes them, and a new one may bear the number of one that was
 * closed in the same step. Closing took the old one out of the epoll set, so: after each step, for
 * each want EPOLL_CTL_MOD, and on ENOENT EPOLL_CTL_ADD; for each earlier want that is gone
 * EPOLL_CTL_DEL, where EBADF and ENOENT are fine. Where the driver says that its wants are the
 * `same`, none of this is needed. Spurious and stale readiness is harmless.
 */
#ifndef DRIVERS_DRIVER_H
#define DRIVERS_DRIVER_H

#include "base/clock.h"
#include "base/error.h"
#include "model/sample.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Takes samples, whose `point` is the number the configuration gave it. They are the driver's:
 * copy what is to stay. */
typedef void driver_sink(void *self, const struct sample *samples, size_t count);

struct driver_want {
    int fd;
    uint32_t events; /* EPOLLIN, EPOLLOUT */
};

struct driver_wants {
    const struct driver_want *list; /* the driver's; until the next step or close */
    size_t count;
    int64_t due_us; /* monotonic: step then at the latest; NEVER */
    bool same;      /* the very descriptors and events as before the last step, none made anew */
};

/* A descriptor that epoll reported. Errors and hang-ups are reported as well. */
struct driver_ready {
    int fd;
    uint32_t events;
};

/* For the log and the statistics: programs log, drivers do not. */
struct driver_status {
    bool up;           /* connected, or able to be at once */
    size_t units;      /* instruments behind it */
    size_t units_down; /* of those, silent */
    uint64_t samples;  /* handed on, good or bad */
    uint64_t bad;      /* of those, bad */
    uint64_t repeated; /* not handed on: readings that had been told before */
    uint64_t strays;   /* frames that answered nothing: late, foreign, misfitting */
    uint64_t notices;  /* what a person should know though all works; `notice` tells the last */
    struct message notice;
    uint64_t skipped;       /* slots that passed while it was busy */
    uint64_t late;          /* polls begun more than 5 ms after their slot */
    struct message trouble; /* the last thing that went wrong, in words; stays after */
};

struct driver;

struct driver_ops {
    void (*step)(struct driver *driver, struct now now, const struct driver_ready *ready,
                 size_t count);
    void (*wants)(const struct driver *driver, struct driver_wants *ret_wants);
    void (*status)(const struct driver *driver, struct driver_status *ret_status);
    void (*close)(struct driver *driver);
};

/* Stands first in each driver's own struct. */
struct driver {
    const struct driver_ops *ops;
};

/* Does what is due at `now`, which is read just before. `ready` is what epoll reported since the
 * last step, all of it; NULL from whoever does not know: then the driver looks for itself. */
static inline void driver_step(struct driver *driver, struct now now,
                               const struct driver_ready *ready, size_t count)
{
    driver->ops->step(driver, now, ready, count);
}

static inline void driver_wants(const struct driver *driver, struct driver_wants *ret_wants)
{
    driver->ops->wants(driver, ret_wants);
}

static inline void driver_status(const struct driver *driver, struct driver_status *ret_status)
{
    driver->ops->status(driver, ret_status);
}

/* Closes its descriptors and frees it. NULL is fine. */
static inline void driver_close(struct driver *driver)
{
    if (driver != NULL)
        driver->ops->close(driver);
}

#endif
