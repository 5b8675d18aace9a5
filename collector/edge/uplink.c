#include "edge/uplink.h"

#include "base/buffer.h"
#include "base/text.h"
#include "edge/other_life.h"
#include "model/receipt.h"
#include "model/topics.h"

#include <stdlib.h>
#include <string.h>

/*
 * Design notes
 *
 * Per stream, `have` is what needs no sending now: what the centre has, what is under way, and
 * sequences that do not exist. The next record of the backlog is the first hole in it. Live
 * records are those that became durable after the last reset; they go in order by `live_next`.
 * A reset makes `have` the received set again: everything else is sent anew, which the centre's
 * deduplication makes harmless.
 *
 * A reset makes a backlog of what was live. Safety records of the last hour or so are sent however
 * small the budget is all the same: marks at half an hour's distance tell where those begin.
 */

#define WINDOW_DEFAULT      64
#define WINDOW_MAX          1000
#define STATS_DEFAULT_MS    10000
#define CENTRE_FRESH_US     (30 * (int64_t)US_PER_S) /* three heartbeats */
#define RECEIPT_WAIT_US     (10 * (int64_t)US_PER_S)
#define RECEIPT_WAIT_MAX_US (60 * (int64_t)US_PER_S)
#define RETRY_US            (200 * (int64_t)US_PER_MS) /* after the port refused */
#define BUDGET_LOOK_US      (1 * (int64_t)US_PER_S)    /* while something waits for the budget */
#define MARK_US             (1800 * (int64_t)US_PER_S)
#define RANGES_MAX          100000
#define MESSAGE_LIMIT       (64 * 1024)
#define TIP_TRIES           20 /* receipts, one each ten seconds */

struct under_way {
    int stream;
    uint64_t seq;
    size_t backlog_bytes; /* 0: live */
    int64_t sent_us;
};

struct lane {
    struct journal_reader *live, *backlog; /* each reads in order: no jumping to and fro */
    struct intervals received;
    struct intervals have;
    uint64_t live_next;
    unsigned tip_tries; /* times that the record which the centre knows could not be read */
    bool stuck;         /* its disk could not be read: not asked again before the next try */
};

struct uplink {
    struct uplink_options options;
    struct outgoing outgoing;
    struct lane lanes[STREAM_COUNT];
    struct under_way *under_way;
    size_t under_way_count;
    size_t backlog_bytes;

    uint64_t fresh_from; /* of stream s: an hour old at most, at the mark before the last */
    uint64_t mark;       /* of stream s: what would have come next, at the last mark */
    int64_t mark_us;

    bool connected;
    bool beyond;
    char nonce[NONCE_SIZE];         /* of the centre's present run; "" while it is away */
    char receipt_nonce[NONCE_SIZE]; /* of the run that our last receipt came from */
    int64_t centre_seen_us;
    uint64_t credit;

    int64_t receipt_wait_us;
    int64_t state_due_us;
    int64_t retry_us;
    uint64_t sent, resets, refused;
};

static void set_mark(struct uplink *uplink, struct now now)
{
    int64_t since_us = now.mono_us - uplink->mark_us;
    uint64_t next = journal_durable(uplink->options.journal, STREAM_S) + 1;
    if (since_us < MARK_US)
        return;
    uplink->fresh_from = since_us < 2 * MARK_US ? uplink->mark : next;
    uplink->mark = next;
    uplink->mark_us = now.mono_us;
}

static int open_lanes(struct uplink *uplink)
{
    uplink->fresh_from = uplink->mark = journal_durable(uplink->options.journal, STREAM_S) + 1;
    for (int stream = 0; stream < STREAM_COUNT; stream++) {
        struct lane *lane = &uplink->lanes[stream];
        journal_reader_close(lane->live);
        journal_reader_close(lane->backlog);
        lane->live = lane->backlog = NULL;
        int err = journal_reader_open(uplink->options.journal, stream, 1, &lane->live);
        if (!err)
            err = journal_reader_open(uplink->options.journal, stream, 1, &lane->backlog);
        if (!err)
            err = journal_received(uplink->options.journal, stream, &lane->received);
        if (err)
            return err;
    }
    return 0;
}

/* Takes back all that is under way: it will be sent anew unless a receipt names it first. */
static int reset(struct uplink *uplink)
{
    uplink->resets += uplink->under_way_count > 0;
    uplink->under_way_count = 0;
    uplink->backlog_bytes = 0;
    for (int stream = 0; stream < STREAM_COUNT; stream++) {
        struct lane *lane = &uplink->lanes[stream];
        intervals_clear(&lane->have);
        int err = intervals_add_all(&lane->have, &lane->received);
        if (err)
            return err;
        lane->live_next = journal_durable(uplink->options.journal, stream) + 1;
    }
    return 0;
}

int uplink_new(const struct uplink_options *options, struct uplink **ret_uplink)
{
    struct uplink *uplink = calloc(1, sizeof(*uplink));
    if (!uplink)
        return ERR_NO_MEMORY;
    uplink->options = *options;
    if (!uplink->options.window)
        uplink->options.window = WINDOW_DEFAULT;
    if (uplink->options.window > WINDOW_MAX)
        uplink->options.window = WINDOW_MAX;
    if (!uplink->options.stats_ms)
        uplink->options.stats_ms = STATS_DEFAULT_MS;
    uplink->receipt_wait_us = RECEIPT_WAIT_US;
    uplink->outgoing = (struct outgoing){
        .edge = options->edge, .self = options->port.self, .publish = options->port.publish};
    for (int stream = 0; stream < STREAM_COUNT; stream++) {
        intervals_init(&uplink->lanes[stream].received, RANGES_MAX);
        intervals_init(&uplink->lanes[stream].have, RANGES_MAX);
    }
    uplink->under_way = calloc(uplink->options.window, sizeof(*uplink->under_way));
    int err = uplink->under_way ? open_lanes(uplink) : ERR_NO_MEMORY;
    if (!err)
        err = outgoing_init(&uplink->outgoing, options->compress, options->daily_budget);
    if (!err)
        err = reset(uplink);
    if (err) {
        uplink_free(uplink);
        return err;
    }
    *ret_uplink = uplink;
    return 0;
}

void uplink_free(struct uplink *uplink)
{
    if (!uplink)
        return;
    for (int stream = 0; stream < STREAM_COUNT; stream++) {
        journal_reader_close(uplink->lanes[stream].live);
        journal_reader_close(uplink->lanes[stream].backlog);
        intervals_release(&uplink->lanes[stream].received);
        intervals_release(&uplink->lanes[stream].have);
    }
    outgoing_release(&uplink->outgoing);
    free(uplink->under_way);
    free(uplink);
}

void uplink_connected(struct uplink *uplink, struct now now)
{
    uplink->connected = true;
    uplink->state_due_us = now.mono_us;
    uplink->nonce[0] = '\0';
    uplink->receipt_nonce[0] = '\0';
    uplink->retry_us = 0;
    set_mark(uplink, now);
    /* A failed reset leaves `have` short: more is sent than needed, nothing less. */
    (void)!reset(uplink);
}

void uplink_disconnected(struct uplink *uplink)
{
    uplink->connected = false;
    uplink->nonce[0] = '\0';
    uplink->receipt_nonce[0] = '\0';
    (void)!reset(uplink);
}

int uplink_epoch(struct uplink *uplink, struct now now)
{
    for (int stream = 0; stream < STREAM_COUNT; stream++)
        intervals_clear(&uplink->lanes[stream].received);
    int err = open_lanes(uplink);
    if (!err)
        err = reset(uplink);
    if (err)
        return err;
    /* Sequences of the new epoch all wait to be sent, none has a receipt. */
    uplink->beyond = false;
    uplink->receipt_nonce[0] = '\0';
    uplink->state_due_us = now.mono_us;
    return 0;
}

void uplink_state(const struct uplink *uplink, struct now now, bool up, struct buffer *out)
{
    struct edge_state state = {.up = up, .t_ms = now.wall_ms};
    const struct uplink_options *options = &uplink->options;
    (void)!text_copy(state.edge, sizeof(state.edge), options->edge);
    (void)!text_copy(state.site, sizeof(state.site), options->site);
    (void)!text_copy(state.instance, sizeof(state.instance), options->instance);
    (void)!text_copy(state.epoch, sizeof(state.epoch), journal_epoch(options->journal));
    for (int stream = 0; stream < STREAM_COUNT; stream++)
        state.last[stream] = journal_durable(options->journal, stream);
    state.total = journal_durable_points(options->journal);
    edge_state_write(out, &state);
}

static void publish_state(struct uplink *uplink, struct now now)
{
    struct buffer out;
    buffer_init(&out, MESSAGE_LIMIT);
    uplink_state(uplink, now, true, &out);
    int err = buffer_error(&out);
    if (!err)
        err = outgoing_publish(&uplink->outgoing, TOPIC_STATE, out.data, out.len, true);
    if (!err && uplink->options.port.stats) {
        buffer_clear(&out);
        uplink->options.port.stats(uplink->options.port.self, &out);
        if (!buffer_error(&out) && out.len)
            err = outgoing_publish(&uplink->outgoing, TOPIC_STATS, out.data, out.len, false);
    }
    uplink->state_due_us = now.mono_us + (err ? RETRY_US : uplink->options.stats_ms * US_PER_MS);
    buffer_release(&out);
}

/* ---- what the centre says ---- */

static int on_centre_state(struct uplink *uplink, struct now now, const void *payload, size_t len,
                           struct message *message)
{
    struct centre_state state;
    int err = centre_state_parse(payload, len, &state, message);
    if (err)
        return err;
    if (!state.up) {
        uplink->nonce[0] = '\0';
        return 0;
    }
    uplink->centre_seen_us = now.mono_us;
    uplink->outgoing.centre_unpacks = state.zstd;
    if (strcmp(uplink->nonce, state.nonce) != 0) {
        /* Another run: what it holds is told by its first receipt, which our state asks for. */
        memcpy(uplink->nonce, state.nonce, sizeof(uplink->nonce));
        uplink->state_due_us = now.mono_us;
    }
    return 0;
}

static void retire(struct uplink *uplink)
{
    size_t kept = 0;
    for (size_t i = 0; i < uplink->under_way_count; i++) {
        struct under_way *record = &uplink->under_way[i];
        if (intervals_contain(&uplink->lanes[record->stream].received, record->seq))
            uplink->backlog_bytes -= record->backlog_bytes;
        else
            uplink->under_way[kept++] = *record;
    }
    if (kept < uplink->under_way_count)
        uplink->receipt_wait_us = RECEIPT_WAIT_US;
    uplink->under_way_count = kept;
}

/* `anew`: the first receipt of a run of the centre says all it holds; it may be less than an
 * earlier run had (a restored centre), and then it counts. */
static int take_receipt_stream(struct uplink *uplink, int stream, const struct receipt_stream *from,
                               bool anew)
{
    struct lane *lane = &uplink->lanes[stream];
    struct intervals set;
    intervals_init(&set, RECEIPT_MAX_ALSO + 1);
    int err = from->through ? intervals_add(&set, 1, from->through) : 0;
    for (size_t i = 0; !err && i < from->also_count; i++)
        err = intervals_add(&set, from->also[i].first, from->also[i].last);
    if (!err)
        err = anew ? journal_receive_anew(uplink->options.journal, stream, &set)
                   : journal_receive(uplink->options.journal, stream, &set);
    if (!err && anew)
        intervals_clear(&lane->received);
    if (!err)
        err = intervals_add_all(&lane->received, &set);
    if (!err)
        err = intervals_add_all(&lane->have, &set);
    intervals_release(&set);
    return err;
}

static int look_for_other_life(struct uplink *uplink, int stream, const struct receipt_stream *from,
                               bool *ret_other)
{
    struct lane *lane = &uplink->lanes[stream];
    int err = other_life_find(uplink->options.journal, stream, from, lane->backlog, &lane->received,
                              ret_other);
    /* A disk that is busy is asked again; one sector that stays bad may not silence the edge. */
    lane->tip_tries = err == ERR_IO ? lane->tip_tries + 1 : 0;
    return lane->tip_tries >= TIP_TRIES ? 0 : err;
}

static int is_beyond(struct uplink *uplink, const struct receipt *receipt, bool first,
                     bool *ret_beyond)
{
    int err = 0;
    *ret_beyond = other_life_beyond(uplink->options.journal, receipt);
    for (int stream = 0; first && !err && !*ret_beyond && stream < STREAM_COUNT; stream++)
        if (receipt->streams[stream].present && receipt->streams[stream].tip)
            err = look_for_other_life(uplink, stream, &receipt->streams[stream], ret_beyond);
    return err;
}

static int on_receipt(struct uplink *uplink, const void *payload, size_t len,
                      struct message *message)
{
    struct receipt receipt;
    int err = receipt_parse(payload, len, &receipt, message);
    if (err)
        return err;
    if (strcmp(receipt.centre, uplink->options.centre) != 0 ||
        strcmp(receipt.epoch, journal_epoch(uplink->options.journal)) != 0 ||
        strcmp(receipt.nonce, uplink->nonce) != 0 ||
        (receipt.instance[0] && strcmp(receipt.instance, uplink->options.instance) != 0))
        /* Of another centre, of an epoch that is over, of a run of the centre that is not the
         * present one (one that was restored since may have less), or from before our state came
         * there: what an earlier run of ours, on a disk that this one may only be a copy of, had
         * sent may still have been on its way. Our state asks for the next. */
        return 0;
    bool first = strcmp(uplink->receipt_nonce, receipt.nonce) != 0, beyond = uplink->beyond;
    if (!beyond)
        err = is_beyond(uplink, &receipt, first, &beyond);
    if (!err && beyond && !uplink->beyond) {
        uplink->beyond = true;
        other_life_keep_known(uplink->options.journal, &receipt);
        uplink->options.port.beyond(uplink->options.port.self);
    }
    if (!err && beyond)
        return 0;
    for (int stream = 0; !err && stream < STREAM_COUNT; stream++)
        if (receipt.streams[stream].present)
            err = take_receipt_stream(uplink, stream, &receipt.streams[stream], first);
    if (!err && first)
        err = reset(uplink);
    if (!err && first)
        journal_vouch(uplink->options.journal);
    if (err)
        return message_set(message, err, "receipt not taken: %s", err_name(err));
    uplink->credit = receipt.credit;
    memcpy(uplink->receipt_nonce, receipt.nonce, sizeof(uplink->receipt_nonce));
    retire(uplink);
    return 0;
}

/* Sends the birth of that name again, out of turn: data that names it is parked until then. */
static int on_request(struct uplink *uplink, const void *payload, size_t len,
                      struct message *message)
{
    struct birth_request request;
    int err = birth_request_parse(payload, len, &request, message);
    return err ? err
               : outgoing_birth(&uplink->outgoing, uplink->options.journal, request.birth, message);
}

int uplink_message(struct uplink *uplink, struct now now, const char *topic, const void *payload,
                   size_t len, struct message *message)
{
    enum topic_kind kind;
    char name[65];
    int err = topic_parse(topic, &kind, name);
    if (err)
        err = message_set(message, err, "unknown topic %.100s", topic);
    else if (kind == TOPIC_CENTRE_STATE && strcmp(name, uplink->options.centre) == 0)
        err = on_centre_state(uplink, now, payload, len, message);
    else if (kind == TOPIC_RECEIPT)
        err = on_receipt(uplink, payload, len, message);
    else if (kind == TOPIC_REQUEST)
        err = on_request(uplink, payload, len, message);
    uplink->refused += err != 0;
    return err;
}

/* ---- sending ---- */

static bool centre_fresh(const struct uplink *uplink, struct now now)
{
    return uplink->connected && uplink->nonce[0] &&
           now.mono_us - uplink->centre_seen_us <= CENTRE_FRESH_US;
}

static bool may_send(const struct uplink *uplink, struct now now)
{
    return centre_fresh(uplink, now) && !uplink->beyond &&
           strcmp(uplink->nonce, uplink->receipt_nonce) == 0;
}

static enum topic_kind topic_for(const struct journal_frame *frame, bool live)
{
    if (frame->stream != STREAM_A)
        return live ? TOPIC_DATA : TOPIC_BACKFILL;
    struct record_head head;
    if (record_parse_head(frame->payload, frame->len, &head, NULL))
        return TOPIC_EVENT;
    return head.kind == RECORD_BIRTH ? TOPIC_BIRTH : TOPIC_EVENT;
}

/* Publishes the record at `seq`, or passes over sequences that do not exist. */
static int send_one(struct uplink *uplink, struct now now, int stream, uint64_t seq, bool live)
{
    struct lane *lane = &uplink->lanes[stream];
    struct journal_reader *reader = live ? lane->live : lane->backlog;
    if (journal_reader_position(reader) != seq)
        journal_reader_seek(reader, seq);
    struct journal_frame frame;
    struct interval gap;
    uint64_t durable = journal_durable(uplink->options.journal, stream);
    int err = journal_reader_next(reader, &frame, &gap);
    if (err == ERR_GAP)
        return intervals_add(&lane->have, gap.first, gap.last);
    if (err == ERR_AGAIN) /* reserved before a crash, never used: a loss record speaks of them */
        return intervals_add(&lane->have, seq, durable);
    if (!err)
        err = outgoing_publish(&uplink->outgoing, topic_for(&frame, live), frame.payload, frame.len,
                               false);
    if (!err)
        err = intervals_add(&lane->have, frame.seq, frame.seq);
    if (err)
        return err;
    size_t backlog_bytes = live ? 0 : frame.len;
    uplink->under_way[uplink->under_way_count++] =
        (struct under_way){stream, frame.seq, backlog_bytes, now.mono_us};
    uplink->backlog_bytes += backlog_bytes;
    uplink->sent++;
    return 0;
}

static bool next_hole(const struct uplink *uplink, int stream, uint64_t from, uint64_t to,
                      uint64_t *ret_seq)
{
    struct interval hole;
    uint64_t first = journal_first(uplink->options.journal, stream);
    from = from > first ? from : first;
    if (from > to || !intervals_next_hole(&uplink->lanes[stream].have, from, to, &hole))
        return false;
    *ret_seq = hole.first;
    return true;
}

static bool choose_live(struct uplink *uplink, struct now now, int stream, uint64_t *ret_seq)
{
    static const enum budget_rank ranks[STREAM_COUNT] = {
        [STREAM_S] = BUDGET_ALWAYS, [STREAM_C] = BUDGET_COMPLIANCE, [STREAM_T] = BUDGET_TREND};
    struct lane *lane = &uplink->lanes[stream];
    struct interval hole;
    uint64_t durable = journal_durable(uplink->options.journal, stream);
    if (lane->stuck || lane->live_next > durable)
        return false;
    if (!intervals_next_hole(&lane->have, lane->live_next, durable, &hole)) {
        lane->live_next = durable + 1;
        return false;
    }
    *ret_seq = lane->live_next = hole.first;
    return outgoing_allows(&uplink->outgoing, now, ranks[stream]);
}

static bool choose_backlog(struct uplink *uplink, struct now now, int stream, uint64_t *ret_seq)
{
    static const enum budget_rank ranks[STREAM_COUNT] = {[STREAM_S] = BUDGET_SAFETY_BACKLOG,
                                                         [STREAM_C] = BUDGET_BACKLOG,
                                                         [STREAM_T] = BUDGET_TREND_BACKLOG};
    uint64_t last = uplink->lanes[stream].live_next - 1;
    if (uplink->lanes[stream].stuck || uplink->backlog_bytes >= uplink->credit ||
        !next_hole(uplink, stream, 1, last, ret_seq))
        return false;
    return outgoing_allows(&uplink->outgoing, now, ranks[stream]) ||
           (stream == STREAM_S && next_hole(uplink, stream, uplink->fresh_from, last, ret_seq));
}

/* What goes next: stream a, then live by rank, then the backlog by rank. */
static bool choose(struct uplink *uplink, struct now now, int *ret_stream, uint64_t *ret_seq,
                   bool *ret_live)
{
    *ret_stream = STREAM_A;
    *ret_live = true;
    if (!uplink->lanes[STREAM_A].stuck &&
        next_hole(uplink, STREAM_A, 1, journal_durable(uplink->options.journal, STREAM_A), ret_seq))
        return true;
    for (*ret_stream = STREAM_S; *ret_stream < STREAM_COUNT; ++*ret_stream)
        if (choose_live(uplink, now, *ret_stream, ret_seq))
            return true;
    *ret_live = false;
    for (*ret_stream = STREAM_S; *ret_stream < STREAM_COUNT; ++*ret_stream)
        if (choose_backlog(uplink, now, *ret_stream, ret_seq))
            return true;
    return false;
}

static void send_all(struct uplink *uplink, struct now now)
{
    int stream;
    uint64_t seq;
    bool live;
    int err = 0;
    uplink->retry_us = 0;
    outgoing_begin(&uplink->outgoing, now);
    for (int i = 0; i < STREAM_COUNT; i++)
        uplink->lanes[i].stuck = false;
    /* What the port refuses is refused to all; what cannot be read holds up no other stream. */
    while ((!err || err == ERR_IO) && uplink->under_way_count < uplink->options.window &&
           choose(uplink, now, &stream, &seq, &live)) {
        err = send_one(uplink, now, stream, seq, live);
        uplink->lanes[stream].stuck = err == ERR_IO;
        if (err)
            uplink->retry_us = now.mono_us + RETRY_US;
    }
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t uplink_step(struct uplink *uplink, struct now now)
{
    set_mark(uplink, now);
    if (!uplink->connected)
        return NEVER;
    if (now.mono_us >= uplink->state_due_us)
        publish_state(uplink, now);
    int64_t due = uplink->state_due_us;
    if (!may_send(uplink, now))
        return due;
    if (uplink->under_way_count &&
        now.mono_us - uplink->under_way[0].sent_us >= uplink->receipt_wait_us) {
        (void)!reset(uplink);
        uplink->receipt_wait_us = earlier(2 * uplink->receipt_wait_us, RECEIPT_WAIT_MAX_US);
    }
    if (now.mono_us >= uplink->retry_us)
        send_all(uplink, now);
    if (uplink->under_way_count)
        due = earlier(due, uplink->under_way[0].sent_us + uplink->receipt_wait_us);
    if (uplink->retry_us)
        due = earlier(due, uplink->retry_us);
    if (uplink->outgoing.waits)
        due = earlier(due, now.mono_us + BUDGET_LOOK_US);
    return earlier(due, uplink->centre_seen_us + CENTRE_FRESH_US + 1);
}

const struct outgoing *uplink_outgoing(const struct uplink *uplink)
{
    return &uplink->outgoing;
}

void uplink_get_status(const struct uplink *uplink, struct uplink_status *ret_status)
{
    struct uplink_status status = {
        .connected = uplink->connected,
        .centre_fresh = uplink->connected && uplink->nonce[0],
        .sending = uplink->connected && uplink->nonce[0] && !uplink->beyond &&
                   strcmp(uplink->nonce, uplink->receipt_nonce) == 0,
        .beyond = uplink->beyond,
        .sent = uplink->sent,
        .resets = uplink->resets,
        .refused = uplink->refused,
        .under_way = uplink->under_way_count,
        .credit = uplink->credit,
    };
    for (int stream = 0; stream < STREAM_COUNT; stream++) {
        uint64_t first = journal_first(uplink->options.journal, stream);
        uint64_t last = journal_durable(uplink->options.journal, stream);
        struct interval hole;
        for (uint64_t from = first; from <= last; from = hole.last + 1) {
            if (!intervals_next_hole(&uplink->lanes[stream].received, from, last, &hole))
                break;
            status.unreceived += hole.last - hole.first + 1;
        }
    }
    *ret_status = status;
}
