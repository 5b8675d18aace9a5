/*
 * The stores outside this program (central.yaml `stores:`): for each an outside historian, a
 * connection and a thread of its own. An exchange blocks its thread for OUTSIDE_DEADLINE_MS at
 * most, and nobody else.
 *
 * Opened, started, stopped and closed by the main thread; waking and asking for figures: any.
 */
#ifndef CENTRAL_OUTSIDE_STORES_H
#define CENTRAL_OUTSIDE_STORES_H

#include "base/attributes.h"
#include "base/worker.h"
#include "central/outside_historian.h"
#include "model/central_config.h"

#define OUTSIDE_DEADLINE_MS 5000

struct outside_stores;

/* Opens those that the configuration names; none is fine. The embedded store at `history_path` is
 * there already. */
MUST_CHECK int outside_stores_open(const struct central_config *config, struct journal *journal,
                                   const char *history_path, struct outside_stores **ret_stores,
                                   struct message *message);
/* Stopped before. NULL is fine, here and below. */
void outside_stores_close(struct outside_stores *stores);

MUST_CHECK int outside_stores_start(struct outside_stores *stores, struct clock *clock,
                                    struct message *message);
/* Lets running exchanges end, all at once. */
void outside_stores_stop(struct outside_stores *stores);

/* There is more in the journal. */
void outside_stores_wake(struct outside_stores *stores);

struct outside_figures {
    const char *name; /* the configuration's */
    struct outside_status status;
};

/* How many there are. */
size_t outside_stores_figures(struct outside_stores *stores,
                              struct outside_figures ret_figures[OUTSIDE_STORES_MAX]);

#endif
