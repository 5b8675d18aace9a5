#include "service/follower.h"

#define RECORDS_A_STEP 500
#define RETRY_US       (1 * (int64_t)US_PER_S)

int follower_init(struct follower *follower, struct journal *journal,
                  const struct consumer *consumer, uint64_t position)
{
    *follower = (struct follower){.journal = journal, .consumer = *consumer, .position = position};
    atomic_init(&follower->shown, position);
    return journal_reader_open(journal, 0, position + 1, &follower->reader);
}

void follower_release(struct follower *follower)
{
    journal_reader_close(follower->reader);
    follower->reader = NULL;
}

/* Ingest has parsed every record before it was journaled; one that cannot be read now was damaged
 * on the disk since, and is passed over and told. */
static int take_frame(struct follower *follower, const struct journal_frame *frame,
                      struct message *message)
{
    struct record record;
    if (record_parse(frame->payload, frame->len, &record, message)) {
        log_warn(follower->consumer.name, "record %llu of %s cannot be read: %s",
                 (unsigned long long)frame->seq, frame->origin, message->text);
        return 0;
    }
    int err = follower->consumer.take(follower->consumer.self, frame, &record, message);
    record_release(&record);
    return err;
}

/* Takes up to a bound. `ret_count` 0: there was nothing. */
static int take_some(struct follower *follower, int *ret_count, struct message *message)
{
    struct journal_frame frame;
    int count = 0, err = 0;
    while (!err && count < RECORDS_A_STEP) {
        err = journal_reader_next(follower->reader, &frame, NULL);
        if (err == ERR_AGAIN) {
            err = 0;
            break;
        }
        if (!err && count++ == 0)
            err = follower->consumer.begin(follower->consumer.self, message);
        if (!err)
            err = take_frame(follower, &frame, message);
    }
    *ret_count = count;
    return err;
}

int64_t follower_step(struct follower *follower, struct now now)
{
    const struct consumer *consumer = &follower->consumer;
    struct message message = {""};
    int count = 0;
    if (now.mono_us < follower->next_us && follower_lag(follower) < RECORDS_A_STEP)
        return follower->next_us;
    int err = take_some(follower, &count, &message);
    if (!err && !count)
        return NEVER;
    uint64_t position = journal_reader_position(follower->reader) - 1;
    if (!err)
        err = consumer->commit(consumer->self, position, now, &message);
    if (err) {
        complaint_raise(&follower->complaint, now.mono_us, consumer->name,
                        "stands at record %llu: %s", (unsigned long long)follower->position,
                        message.text[0] ? message.text : err_name(err));
        consumer->rollback(consumer->self);
        journal_reader_seek(follower->reader, follower->position + 1);
        return now.mono_us + RETRY_US;
    }
    complaint_clear(&follower->complaint, now.mono_us, consumer->name, "goes on");
    follower->position = position;
    atomic_store(&follower->shown, position);
    follower->next_us = now.mono_us + consumer->gather_us;
    return count == RECORDS_A_STEP ? now.mono_us : NEVER;
}

uint64_t follower_lag(struct follower *follower)
{
    uint64_t durable = journal_durable(follower->journal, 0);
    uint64_t shown = atomic_load(&follower->shown);
    return durable > shown ? durable - shown : 0;
}
