/*
 * What an epoch that ended still owes the centre is recorded once more in the present one: data
 * records with the births that number their points, losses with the epoch whose sequences they
 * name. Each says what it was there (`was`), so that after any end of the process the next run goes
 * on where this one stood: nothing is left out, nothing recorded twice.
 *
 * The recorder's thread. It borrows the journal; memory is its own and is given back.
 */
#ifndef EDGE_CARRY_OVER_H
#define EDGE_CARRY_OVER_H

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "model/record.h"
#include "store/journal.h"

#include <stdbool.h>
#include <stdint.h>

/* How records get into the journal. */
struct carry_port {
    void *self;
    int (*append)(void *self, const struct buffer *payload, enum stream stream, uint32_t points,
                  struct now now, struct message *message);
    int (*commit)(void *self, struct now now, struct message *message);
};

struct carry_result {
    bool births;   /* some were appended: the present ones must come after them */
    uint64_t lost; /* samples that nobody can read any more, told as losses */
};

/* Finds what an earlier run has taken over, so that none of it is given up as lost where room must
 * be made before carry_over is called. */
MUST_CHECK int carry_look(struct journal *journal, struct message *message);

/* Takes over all that is owed; nothing to do is fine. On failure it is to be called again; the
 * result tells what was done all the same (untouched where nothing was owed). */
MUST_CHECK int carry_over(struct journal *journal, const struct carry_port *port, struct now now,
                          struct carry_result *ret_result, struct message *message);

#endif
