/*
 * The way of a message out of the uplink: packed where the centre reads that and it gets shorter,
 * handed to the port, and its bytes taken off the budget. It is what sees the size of things on the
 * wire; what goes when is the uplink's own business.
 *
 * Embedded in the uplink; one thread.
 */
#ifndef EDGE_OUTGOING_H
#define EDGE_OUTGOING_H

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/compress.h"
#include "base/error.h"
#include "edge/byte_budget.h"
#include "model/record.h"
#include "model/topics.h"
#include "store/journal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outgoing {
    const char *edge;
    void *self; /* of the port */
    int (*publish)(void *self, const char *topic, const void *payload, size_t len, bool retained);
    struct compressor *compressor; /* NULL: nothing is packed */
    struct buffer packed;
    bool centre_unpacks;
    struct byte_budget budget;
    bool waits;                          /* in this round something was held up by the budget */
    int64_t waiting_since_us, waited_us; /* the first time without a calm since, and the last */
    uint64_t bytes, plain_bytes; /* of payloads since the start: as sent, and before packing */
};

/* `compress`: pack, as long as the centre unpacks. */
MUST_CHECK int outgoing_init(struct outgoing *outgoing, bool compress, uint64_t daily_budget);
void outgoing_release(struct outgoing *outgoing);

/* What the port says. Records may be packed; all else goes as it is. */
MUST_CHECK int outgoing_publish(struct outgoing *outgoing, enum topic_kind kind,
                                const void *payload, size_t len, bool retained);

/* The journal's birth of that name. ERR_NOT_FOUND, or why it was not sent, with words. */
MUST_CHECK int outgoing_birth(struct outgoing *outgoing, struct journal *journal,
                              const char birth[BIRTH_SIZE], struct message *message);

/* A round of sending begins. */
void outgoing_begin(struct outgoing *outgoing, struct now now);

/* For how long the budget has held something up, now and again; 0: not, for a minute. */
int64_t outgoing_waiting_us(const struct outgoing *outgoing);

/* May something of that rank go now? Where not, the round waits. */
bool outgoing_allows(struct outgoing *outgoing, struct now now, enum budget_rank rank);

#endif
