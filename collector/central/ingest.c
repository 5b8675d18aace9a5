#include "central/ingest.h"

#include "base/compress.h"
#include "base/json.h"
#include "base/text.h"
#include "central/presence.h"
#include "model/receipt.h"
#include "model/topics.h"

#include <stdlib.h>
#include <string.h>

/*
 * Design notes
 *
 * A message is booked in `sources` when it is appended, before it is durable: receipts are written
 * only after the commit, and while an append or a commit fails none is written at all, so a booked
 * record that never becomes durable is never receipted; after a restart it is not booked either,
 * and comes again.
 *
 * Receipts are gathered: an edge with something new is marked, and told after the commit, at once
 * where stream a or s moved, else within RECEIPT_GATHER_US.
 *
 * A payload that came packed is unpacked before anything else: what is journaled, summed and
 * compared is the record as its edge keeps it.
 */

#define CREDIT_DEFAULT    (1024 * 1024)
#define HEARTBEAT_US      (10 * (int64_t)US_PER_S)
#define TICK_US           (1 * (int64_t)US_PER_S)
#define RECEIPT_GATHER_US (100 * (int64_t)US_PER_MS)
#define RETRY_US          (1 * (int64_t)US_PER_S)
#define REQUEST_EVERY_US  (5 * (int64_t)US_PER_S)
#define PARKED_MAX        256
#define PARKED_MAX_BYTES  (4 * 1024 * 1024)
#define MESSAGE_LIMIT     (64 * 1024)

struct parked {
    char source[65];
    char birth[BIRTH_SIZE];
    char *payload;
    size_t len;
};

struct ingest {
    struct ingest_options options;
    struct presence presence;
    struct parked parked[PARKED_MAX];
    size_t parked_count, parked_bytes;
    struct decompressor *decompressor;
    struct buffer unpacked;
    char asked_birth[BIRTH_SIZE]; /* the latest asked for, and when */
    int64_t asked_us;

    bool connected;
    int64_t heartbeat_us, tick_us, commit_retry_us;
    struct ingest_status status;
};

/* ---- appending ---- */

static int set_journal_status(struct ingest *ingest, int err, const struct message *message)
{
    ingest->status.journal_error = err;
    if (err)
        (void)!text_copy(ingest->status.error_text, sizeof(ingest->status.error_text),
                         message->text);
    return err;
}

static int append(struct ingest *ingest, struct now now, const char *origin, const void *payload,
                  size_t len, uint32_t points)
{
    struct message message = {""};
    uint64_t seq;
    int err = journal_append(ingest->options.journal, 0, origin, payload, len, points, now.wall_ms,
                             now.mono_us, &seq, &message);
    if (!err) {
        ingest->tick_us = now.mono_us + TICK_US;
        ingest->status.records++;
        ingest->status.points += points;
    }
    return set_journal_status(ingest, err, &message);
}

/* A record of the centre itself: start and tick. */
static int append_mark(struct ingest *ingest, struct now now, enum record_kind kind)
{
    const struct ingest_options *options = &ingest->options;
    struct record_head head = {
        .kind = kind,
        .stream = STREAM_A,
        .seq = journal_next_seq(options->journal, 0),
        .mono_us = now.mono_us,
        .sync = now.sync,
        .t0_ms = now.wall_ms,
    };
    (void)!text_copy(head.epoch, sizeof(head.epoch), journal_epoch(options->journal));
    (void)!text_copy(head.boot, sizeof(head.boot), options->boot);
    struct buffer out;
    buffer_init(&out, MESSAGE_LIMIT);
    record_write_mark(&out, &head);
    int err = append(ingest, now, "", out.data, out.len, 0);
    buffer_release(&out);
    return err;
}

int ingest_new(const struct ingest_options *options, struct now now, struct ingest **ret_ingest,
               struct message *message)
{
    struct ingest *ingest = calloc(1, sizeof(*ingest));
    if (!ingest)
        return message_set(message, ERR_NO_MEMORY, "ingest: out of memory");
    ingest->options = *options;
    if (!ingest->options.credit)
        ingest->options.credit = CREDIT_DEFAULT;
    presence_init(&ingest->presence);
    buffer_init(&ingest->unpacked, RECORD_MAX_BYTES);
    int err = decompressor_new(&ingest->decompressor);
    if (!err)
        err = append_mark(ingest, now, RECORD_START);
    if (!err)
        err = journal_commit(options->journal, message);
    if (err) {
        message_set(message, err, "the central journal takes nothing: %s", err_name(err));
        ingest_free(ingest);
        return err;
    }
    *ret_ingest = ingest;
    return 0;
}

static void unpark(struct ingest *ingest, size_t i)
{
    ingest->parked_bytes -= ingest->parked[i].len;
    free(ingest->parked[i].payload);
    ingest->parked_count--;
    memmove(&ingest->parked[i], &ingest->parked[i + 1],
            (ingest->parked_count - i) * sizeof(ingest->parked[0]));
}

void ingest_free(struct ingest *ingest)
{
    if (!ingest)
        return;
    while (ingest->parked_count)
        unpark(ingest, ingest->parked_count - 1);
    presence_release(&ingest->presence);
    decompressor_free(ingest->decompressor);
    buffer_release(&ingest->unpacked);
    free(ingest);
}

void ingest_connected(struct ingest *ingest, struct now now)
{
    ingest->connected = true;
    ingest->heartbeat_us = now.mono_us;
}

static int publish(struct ingest *ingest, enum topic_kind kind, const char *name,
                   const struct buffer *payload, bool retained)
{
    char topic[TOPIC_SIZE];
    topic_make(kind, name, topic);
    if (buffer_error(payload))
        return buffer_error(payload);
    struct ingest_port *port = &ingest->options.port;
    return port->publish(port->self, topic, payload->data, payload->len, retained);
}

/* ---- parking ---- */

static void ask_for_birth(struct ingest *ingest, struct now now, const char *edge,
                          const char birth[BIRTH_SIZE])
{
    if (strcmp(ingest->asked_birth, birth) == 0 &&
        now.mono_us - ingest->asked_us < REQUEST_EVERY_US)
        return;
    struct birth_request request;
    memcpy(request.birth, birth, BIRTH_SIZE);
    struct buffer out;
    buffer_init(&out, MESSAGE_LIMIT);
    birth_request_write(&out, &request);
    if (!publish(ingest, TOPIC_REQUEST, edge, &out, false)) {
        memcpy(ingest->asked_birth, birth, BIRTH_SIZE);
        ingest->asked_us = now.mono_us;
    }
    buffer_release(&out);
}

static void park(struct ingest *ingest, struct now now, const char *edge,
                 const struct record *record, const char *payload, size_t len)
{
    ask_for_birth(ingest, now, edge, record->birth);
    while (ingest->parked_count &&
           (ingest->parked_count == PARKED_MAX || ingest->parked_bytes + len > PARKED_MAX_BYTES)) {
        unpark(ingest, 0);
        ingest->status.parked_dropped++;
    }
    char *copy = strndup(payload, len);
    struct parked *parked = &ingest->parked[ingest->parked_count];
    if (!copy || text_copy(parked->source, sizeof(parked->source), edge)) {
        free(copy);
        ingest->status.parked_dropped++;
        return;
    }
    memcpy(parked->birth, record->birth, BIRTH_SIZE);
    parked->payload = copy;
    parked->len = len;
    ingest->parked_count++;
    ingest->parked_bytes += len;
}

/* ---- taking a record ---- */

static bool is_duplicate(const struct ingest *ingest, const char *name, const struct record *record,
                         const char *payload, size_t len)
{
    const struct source *source = sources_find(ingest->options.sources, name);
    const struct source_epoch *epoch =
        source ? source_find_epoch(source, record->head.epoch) : NULL;
    if (!epoch || !intervals_contain(&epoch->received[record->head.stream], record->head.seq))
        return false;
    if (record->head.kind != RECORD_BIRTH)
        return true;
    char birth[BIRTH_SIZE];
    record_birth_id(payload, len, birth);
    return source_knows_birth(source, birth);
}

static int take(struct ingest *ingest, struct now now, const char *name,
                const struct record *record, const char *payload, size_t len)
{
    bool quick = record->head.stream == STREAM_A || record->head.stream == STREAM_S;
    int64_t due = now.mono_us + (quick ? 0 : RECEIPT_GATHER_US);
    if (is_duplicate(ingest, name, record, payload, len)) {
        ingest->status.duplicates++;
        presence_owe_receipt(&ingest->presence, name, record->head.epoch, due);
        return 0;
    }
    const struct source *source = sources_find(ingest->options.sources, name);
    if (record->head.kind == RECORD_DATA &&
        (!source || !source_knows_birth(source, record->birth))) {
        park(ingest, now, name, record, payload, len);
        return ERR_AGAIN;
    }
    int err = sources_admit(ingest->options.sources, name, record);
    if (!err)
        err = append(ingest, now, name, payload, len,
                     (uint32_t)(record->sample_count + record->held));
    if (!err)
        err = sources_book(ingest->options.sources, name, record, payload, len);
    if (!err)
        presence_owe_receipt(&ingest->presence, name, record->head.epoch, due);
    return err;
}

/* What was parked for this birth is taken now. */
static void take_parked(struct ingest *ingest, struct now now, const char *name,
                        const char birth[BIRTH_SIZE])
{
    for (size_t i = 0; i < ingest->parked_count;) {
        struct parked *parked = &ingest->parked[i];
        if (strcmp(parked->source, name) != 0 || strcmp(parked->birth, birth) != 0) {
            i++;
            continue;
        }
        struct record record;
        if (!record_parse(parked->payload, parked->len, &record, NULL)) {
            /* Not taken now: unreceipted, it comes again. */
            (void)!take(ingest, now, name, &record, parked->payload, parked->len);
            record_release(&record);
        }
        unpark(ingest, i);
    }
}

/* In the place of a record that nobody can read a loss of its number goes into the journal: so the
 * ledger names it after every restart, and it does not come again and again. */
static int journal_dead_letter(struct ingest *ingest, struct now now, const char *name,
                               const struct record_head *head)
{
    struct record record = {.head = *head};
    record.head.kind = RECORD_LOSS;
    record.loss = (struct record_loss){.of = head->stream,
                                       .first = head->seq,
                                       .last = head->seq,
                                       .from_ms = head->t0_ms,
                                       .to_ms = head->t0_ms,
                                       .cause = "dead_letter"};
    struct buffer out;
    buffer_init(&out, MESSAGE_LIMIT);
    record_write_loss(&out, &record.head, &record.loss);
    int err = buffer_error(&out);
    if (!err)
        err = take(ingest, now, name, &record, out.data, out.len);
    buffer_release(&out);
    return err;
}

/* A part of a record is none, whatever its head says: the whole may still come. */
static bool is_whole(const void *payload, size_t len)
{
    struct json_document *document = NULL;
    bool whole = json_parse(payload, len, &document, NULL) != ERR_INVALID; /* not: too large */
    json_free(document);
    return whole;
}

/* Keeps an unreadable payload; where it is whole, and at least its head can be read, its sequence
 * is done with. */
static void bury(struct ingest *ingest, struct now now, const char *topic, const char *name,
                 const void *payload, size_t len, const char *reason)
{
    struct message message = {""};
    ingest->status.dead_letters++;
    if (dead_letters_add(ingest->options.letters, now, topic, payload, len, reason, &message)) {
        set_journal_status(ingest, ERR_IO, &message);
        return;
    }
    struct record_head head;
    if (name && is_whole(payload, len) && !record_parse_head(payload, len, &head, NULL))
        /* Not taken now: unreceipted, it comes again. */
        (void)!journal_dead_letter(ingest, now, name, &head);
}

static int take_payload(struct ingest *ingest, struct now now, const char *topic, const char *name,
                        const void *payload, size_t len)
{
    struct message message = {""};
    struct record record;
    int err = len > RECORD_MAX_BYTES
                  ? message_set(&message, ERR_RANGE, "%zu bytes; a record has at most %d", len,
                                RECORD_MAX_BYTES)
                  : record_parse(payload, len, &record, &message);
    if (err) {
        bury(ingest, now, topic, name, payload, len, message.text);
        return ERR_INVALID;
    }
    err = take(ingest, now, name, &record, payload, len);
    if (!err && record.head.kind == RECORD_BIRTH) {
        char birth[BIRTH_SIZE];
        record_birth_id(payload, len, birth);
        take_parked(ingest, now, name, birth);
    }
    record_release(&record);
    return err;
}

/* A record as an edge published it, packed or not. */
static void take_published(struct ingest *ingest, struct now now, const char *topic,
                           const char *name, const void *payload, size_t len)
{
    struct message message = {""};
    if (!compress_is_zstd(payload, len)) {
        (void)!take_payload(ingest, now, topic, name, payload, len);
        return;
    }
    int err = decompressor_unpack(ingest->decompressor, payload, len, &ingest->unpacked, &message);
    if (!err)
        (void)!take_payload(ingest, now, topic, name, ingest->unpacked.data, ingest->unpacked.len);
    else if (err != ERR_NO_MEMORY) /* where memory is short it comes again */
        bury(ingest, now, topic, NULL, payload, len, message.text);
}

void ingest_message(struct ingest *ingest, struct now now, const char *topic, const void *payload,
                    size_t len)
{
    enum topic_kind kind;
    char name[65];
    struct message message = {""};
    if (topic_parse(topic, &kind, name)) {
        bury(ingest, now, topic, NULL, payload, len, "a topic that is none of ours");
        return;
    }
    if (kind == TOPIC_STATE) {
        struct edge_state state;
        int err = edge_state_parse(payload, len, &state, &message);
        if (!err && strcmp(state.edge, name) != 0)
            err = message_set(&message, ERR_INVALID, "names edge %s on the topic of %s", state.edge,
                              name);
        if (err)
            bury(ingest, now, topic, NULL, payload, len, message.text);
        else
            presence_take_state(&ingest->presence, now, &state);
    } else if (kind == TOPIC_STATS) {
        presence_take_stats(&ingest->presence, now, name, payload, len);
    } else if (kind == TOPIC_BIRTH || kind == TOPIC_DATA || kind == TOPIC_BACKFILL ||
               kind == TOPIC_EVENT) {
        take_published(ingest, now, topic, name, payload, len);
    }
}

int ingest_local(struct ingest *ingest, struct now now, const char *source, const void *payload,
                 size_t len)
{
    return take_payload(ingest, now, source, source, payload, len);
}

/* ---- receipts and presence ---- */

static void send_receipt(struct ingest *ingest, struct now now, struct edge_presence *edge)
{
    if (edge->edge[0] == '@') {
        edge->receipt_due_us = NEVER; /* an outbox asks by itself */
        return;
    }
    struct receipt receipt = {.credit = ingest->options.credit};
    (void)!text_copy(receipt.centre, sizeof(receipt.centre), ingest->options.centre);
    (void)!text_copy(receipt.nonce, sizeof(receipt.nonce), ingest->options.nonce);
    (void)!text_copy(receipt.instance, sizeof(receipt.instance), edge->state.instance);
    (void)!text_copy(receipt.epoch, sizeof(receipt.epoch), edge->receipt_epoch);
    const struct source *source = sources_find(ingest->options.sources, edge->edge);
    const struct source_epoch *epoch =
        source ? source_find_epoch(source, edge->receipt_epoch) : NULL;
    for (int stream = 0; stream < STREAM_COUNT; stream++) {
        receipt.streams[stream].present = true;
        if (!epoch)
            continue;
        receipt_set(&receipt.streams[stream], &epoch->received[stream]);
        receipt.streams[stream].tip = epoch->tip[stream];
        receipt.streams[stream].tip_sum = epoch->tip_sum[stream];
    }
    struct buffer out;
    buffer_init(&out, MESSAGE_LIMIT);
    receipt_write(&out, &receipt);
    int err = publish(ingest, TOPIC_RECEIPT, edge->edge, &out, false);
    edge->receipt_due_us = err ? now.mono_us + RETRY_US : NEVER;
    ingest->status.receipts += !err;
    buffer_release(&out);
}

static int64_t send_receipts(struct ingest *ingest, struct now now)
{
    int64_t due = NEVER;
    for (size_t i = 0; i < ingest->presence.count; i++) {
        struct edge_presence *edge = &ingest->presence.edges[i];
        if (edge->receipt_due_us <= now.mono_us)
            send_receipt(ingest, now, edge);
        if (edge->receipt_due_us < due)
            due = edge->receipt_due_us;
    }
    return due;
}

static void send_heartbeat(struct ingest *ingest, struct now now)
{
    struct centre_state state = {.up = true, .t_ms = now.wall_ms, .zstd = true};
    (void)!text_copy(state.centre, sizeof(state.centre), ingest->options.centre);
    (void)!text_copy(state.nonce, sizeof(state.nonce), ingest->options.nonce);
    struct buffer out;
    buffer_init(&out, MESSAGE_LIMIT);
    centre_state_write(&out, &state);
    int err = publish(ingest, TOPIC_CENTRE_STATE, ingest->options.centre, &out, true);
    ingest->heartbeat_us = now.mono_us + (err ? RETRY_US : HEARTBEAT_US);
    buffer_release(&out);
}

int64_t ingest_step(struct ingest *ingest, struct now now)
{
    struct message message = {""};
    if (now.mono_us >= ingest->tick_us && append_mark(ingest, now, RECORD_TICK))
        ingest->tick_us = now.mono_us + TICK_US;
    bool durable = true;
    if (journal_pending(ingest->options.journal)) {
        int err = ERR_AGAIN;
        if (now.mono_us >= ingest->commit_retry_us)
            err = set_journal_status(ingest, journal_commit(ingest->options.journal, &message),
                                     &message);
        durable = !err;
        if (err && err != ERR_AGAIN)
            ingest->commit_retry_us = now.mono_us + RETRY_US;
    }
    int64_t due = ingest->tick_us;
    if (!durable)
        return ingest->commit_retry_us < due ? ingest->commit_retry_us : due;
    int64_t receipts_due = send_receipts(ingest, now);
    if (receipts_due < due)
        due = receipts_due;
    if (ingest->connected && now.mono_us >= ingest->heartbeat_us)
        send_heartbeat(ingest, now);
    return ingest->connected && ingest->heartbeat_us < due ? ingest->heartbeat_us : due;
}

/* ---- what others want to know ---- */

void ingest_get_status(const struct ingest *ingest, struct ingest_status *ret_status)
{
    *ret_status = ingest->status;
    ret_status->parked = ingest->parked_count;
}

void ingest_write_edges(const struct ingest *ingest, struct now now, struct buffer *out)
{
    presence_write_edges(&ingest->presence, ingest->options.sources, now, out);
}

void ingest_write_gaps(const struct ingest *ingest, struct buffer *out)
{
    presence_write_gaps(&ingest->presence, ingest->options.sources, out);
}
