#include "central/outbox_drain.h"

#define ENTRIES_A_STEP 200

void outbox_drain_init(struct outbox_drain *drain, const char *source, struct outbox *outbox)
{
    *drain = (struct outbox_drain){.source = source, .outbox = outbox};
    buffer_init(&drain->payload, OUTBOX_MAX_PAYLOAD);
}

void outbox_drain_release(struct outbox_drain *drain)
{
    buffer_release(&drain->payload);
}

int outbox_drain_step(struct outbox_drain *drain, struct ingest *ingest, struct now now,
                      struct message *message)
{
    for (int n = 0; n < ENTRIES_A_STEP; n++) {
        struct outbox_entry entry;
        buffer_clear(&drain->payload);
        int err = outbox_read(drain->outbox, drain->offered, &entry, &drain->payload, message);
        if (err)
            return err == ERR_NOT_FOUND ? 0 : err;
        err = ingest_local(ingest, now, drain->source, drain->payload.data, drain->payload.len);
        /* One that cannot be read is a dead letter by now, and done with. */
        if (err && err != ERR_INVALID)
            return err;
        drain->offered = entry.id;
    }
    return 0;
}

bool outbox_drain_committed(struct outbox_drain *drain)
{
    bool news = drain->durable != drain->offered;
    drain->durable = drain->offered;
    return news;
}
