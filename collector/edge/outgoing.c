#include "edge/outgoing.h"

#include <string.h>

/* Below this a frame's own bytes and the work are not worth it. */
#define PACK_FROM  512
#define PACKED_MAX (64 * 1024)

/* What a message takes beside topic and payload, in round figures: MQTT's headers and PUBACK, TLS
 * records, TCP and IP headers of both ways. */
#define MESSAGE_OVERHEAD 200

/* Nothing was held up for so long: it is over. Shorter pauses are the budget's own pace. */
#define CALM_US (60 * (int64_t)US_PER_S)

int outgoing_init(struct outgoing *outgoing, bool compress, uint64_t daily_budget)
{
    buffer_init(&outgoing->packed, PACKED_MAX);
    byte_budget_init(&outgoing->budget, daily_budget);
    return compress ? compressor_new(&outgoing->compressor) : 0;
}

void outgoing_release(struct outgoing *outgoing)
{
    compressor_free(outgoing->compressor);
    buffer_release(&outgoing->packed);
}

static bool is_record(enum topic_kind kind)
{
    return kind == TOPIC_BIRTH || kind == TOPIC_DATA || kind == TOPIC_BACKFILL ||
           kind == TOPIC_EVENT;
}

/* Packs what is worth it; a payload that does not become shorter goes as it is. */
static bool pack(struct outgoing *outgoing, enum topic_kind kind, const void *payload, size_t len)
{
    return outgoing->compressor && outgoing->centre_unpacks && is_record(kind) &&
           len >= PACK_FROM &&
           !compressor_pack(outgoing->compressor, payload, len, &outgoing->packed) &&
           outgoing->packed.len < len;
}

int outgoing_publish(struct outgoing *outgoing, enum topic_kind kind, const void *payload,
                     size_t len, bool retained)
{
    char topic[TOPIC_SIZE];
    topic_make(kind, outgoing->edge, topic);
    bool packed = pack(outgoing, kind, payload, len);
    size_t bytes = packed ? outgoing->packed.len : len;
    int err = outgoing->publish(outgoing->self, topic, packed ? outgoing->packed.data : payload,
                                bytes, retained);
    if (err)
        return err;
    outgoing->bytes += bytes;
    outgoing->plain_bytes += len;
    byte_budget_spend(&outgoing->budget, bytes + strlen(topic) + MESSAGE_OVERHEAD);
    return 0;
}

int outgoing_birth(struct outgoing *outgoing, struct journal *journal, const char birth[BIRTH_SIZE],
                   struct message *message)
{
    struct journal_reader *reader = NULL;
    struct journal_frame frame;
    bool found = false;
    int err = journal_reader_open(journal, STREAM_A, 1, &reader);
    if (err)
        return message_set(message, err, "birth %s: cannot read the journal", birth);
    while (!found && !journal_reader_next(reader, &frame, NULL)) {
        char name[BIRTH_SIZE];
        record_birth_id(frame.payload, frame.len, name);
        found = strcmp(name, birth) == 0;
    }
    if (found)
        err = outgoing_publish(outgoing, TOPIC_BIRTH, frame.payload, frame.len, false);
    journal_reader_close(reader);
    if (!found)
        return message_set(message, ERR_NOT_FOUND,
                           "the centre asks for birth %s, which this journal does not hold", birth);
    return err ? message_set(message, err, "birth %s not sent: %s", birth, err_name(err)) : 0;
}

void outgoing_begin(struct outgoing *outgoing, struct now now)
{
    outgoing->waits = false;
    if (now.mono_us - outgoing->waited_us >= CALM_US)
        outgoing->waiting_since_us = outgoing->waited_us = 0;
}

int64_t outgoing_waiting_us(const struct outgoing *outgoing)
{
    return outgoing->waited_us - outgoing->waiting_since_us;
}

bool outgoing_allows(struct outgoing *outgoing, struct now now, enum budget_rank rank)
{
    if (byte_budget_allows(&outgoing->budget, now, rank))
        return true;
    outgoing->waits = true;
    outgoing->waited_us = now.mono_us;
    if (!outgoing->waiting_since_us)
        outgoing->waiting_since_us = now.mono_us;
    return false;
}
