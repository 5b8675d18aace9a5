/*
 * The poller: one thread, one epoll set, all drivers of one kind of line. It knows drivers only by
 * their contract (drivers/driver.h); samples go where the drivers' sink says.
 *
 * poller_add before poller_start; after it the drivers belong to the thread, until poller_stop.
 */
#ifndef EDGE_POLLER_H
#define EDGE_POLLER_H

#include "base/attributes.h"
#include "base/clock.h"
#include "base/error.h"
#include "drivers/driver.h"

#include <stddef.h>

#define POLLER_DRIVERS_MAX 964

struct poller;

/* How one driver stood after its last step. */
struct poller_status {
    const char *name;
    struct driver_status driver;
};

MUST_CHECK int poller_new(struct poller **ret_poller, struct message *message);

/* Takes the driver over; `name` is borrowed. ERR_FULL beyond POLLER_DRIVERS_MAX. */
MUST_CHECK int poller_add(struct poller *poller, struct driver *driver, const char *name);

MUST_CHECK int poller_start(struct poller *poller, struct message *message);

/* Ends the thread; no driver steps after it returns. Once started, or not. */
void poller_stop(struct poller *poller);

/* Stops, closes the drivers, frees. NULL is fine. */
void poller_free(struct poller *poller);

size_t poller_count(const struct poller *poller);

/* Runs `visit` on the poller's thread between two steps of the driver, which is stepped right
 * after, and returns when it was run. All drivers wait meanwhile: for a look or a wish, not for
 * work. ERR_CLOSED unless the thread runs. Any thread but the poller's; not while it is stopped. */
typedef void poller_visit_fn(void *self, struct driver *driver, struct now now);
MUST_CHECK int poller_visit(struct poller *poller, size_t index, poller_visit_fn *visit,
                            void *self);

/* Any thread. */
void poller_get_status(struct poller *poller, size_t index, struct poller_status *ret_status);

#endif
