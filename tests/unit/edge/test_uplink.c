/* The uplink: when it sends, what first, how much, and what it believes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "edge/uplink.h"

#include "base/compress.h"
#include "base/crc32c.h"
#include "model/receipt.h"
#include "model/topics.h"
#include "tests/unit/support/edge_bed.h"

#include <string.h>

#define S        ((int64_t)US_PER_S)
#define CENTRE   "c1"
#define RUN_1    "11111111111111111111111111111111"
#define RUN_2    "22222222222222222222222222222222"
#define SENT_MAX 512
#define CREDIT   (1024 * 1024)

struct sent {
    enum topic_kind kind;
    bool retained;
    enum stream stream; /* of a record */
    uint64_t seq;       /* 0: no record */
    size_t len;
    bool packed;
};

struct link {
    struct edge_bed edge;
    struct uplink *uplink;
    struct sent sent[SENT_MAX];
    size_t count;
    int refuse; /* what publish answers */
    int beyond; /* calls */
    bool compress;
    uint64_t daily_budget;
    bool centre_unpacks;
};

static int take(void *self, const char *topic, const void *payload, size_t len, bool retained)
{
    struct link *link = self;
    char name[65];
    struct record_head head;
    if (link->refuse)
        return link->refuse;
    assert_true(link->count < SENT_MAX);
    struct sent *sent = &link->sent[link->count++];
    *sent =
        (struct sent){.retained = retained, .len = len, .packed = compress_is_zstd(payload, len)};
    assert_int_equal(topic_parse(topic, &sent->kind, name), 0);
    assert_string_equal(name, EDGE_BED_EDGE);
    if (sent->kind == TOPIC_STATE || sent->kind == TOPIC_STATS)
        return 0;
    struct decompressor *decompressor;
    struct buffer plain;
    assert_int_equal(decompressor_new(&decompressor), 0);
    buffer_init(&plain, RECORD_MAX_BYTES);
    if (sent->packed)
        assert_int_equal(decompressor_unpack(decompressor, payload, len, &plain, NULL), 0);
    else
        buffer_append(&plain, payload, len);
    assert_int_equal(record_parse_head(plain.data, plain.len, &head, NULL), 0);
    sent->stream = head.stream;
    sent->seq = head.seq;
    buffer_release(&plain);
    decompressor_free(decompressor);
    return 0;
}

static void note_beyond(void *self)
{
    struct link *link = self;
    link->beyond++;
}

static void open_uplink(struct link *link, size_t window)
{
    struct uplink_options options = {.edge = EDGE_BED_EDGE,
                                     .site = EDGE_BED_SITE,
                                     .centre = CENTRE,
                                     .instance = RUN_1,
                                     .journal = link->edge.journal,
                                     .port = {link, take, NULL, note_beyond},
                                     .window = window,
                                     .compress = link->compress,
                                     .daily_budget = link->daily_budget};
    assert_int_equal(uplink_new(&options, &link->uplink), 0);
}

static void begin(struct link *link, size_t window, bool real)
{
    memset(link, 0, sizeof(*link));
    edge_bed_init(&link->edge, 1, real);
    edge_bed_open(&link->edge);
    open_uplink(link, window);
}

static void end(struct link *link)
{
    uplink_free(link->uplink);
    edge_bed_release(&link->edge);
}

static int64_t step(struct link *link, int64_t us)
{
    link->edge.now.mono_us += us;
    link->edge.now.wall_ms += us / US_PER_MS;
    return uplink_step(link->uplink, link->edge.now);
}

static int say(struct link *link, enum topic_kind kind, const char *name, const void *text,
               size_t len)
{
    char topic[TOPIC_SIZE];
    topic_make(kind, name, topic);
    return uplink_message(link->uplink, link->edge.now, topic, text, len, NULL);
}

static void centre_says(struct link *link, const char *nonce, bool up)
{
    struct centre_state state = {
        .centre = CENTRE, .up = up, .t_ms = link->edge.now.wall_ms, .zstd = link->centre_unpacks};
    struct buffer out;
    memcpy(state.nonce, nonce, sizeof(state.nonce));
    buffer_init(&out, 65536);
    centre_state_write(&out, &state);
    assert_int_equal(say(link, TOPIC_CENTRE_STATE, CENTRE, out.data, out.len), 0);
    buffer_release(&out);
}

static struct receipt receipt_of(struct link *link, const char *nonce)
{
    struct receipt receipt = {.centre = CENTRE, .credit = CREDIT};
    memcpy(receipt.nonce, nonce, sizeof(receipt.nonce));
    memcpy(receipt.epoch, journal_epoch(link->edge.journal), sizeof(receipt.epoch));
    for (int stream = 0; stream < STREAM_COUNT; stream++)
        receipt.streams[stream].present = true;
    return receipt;
}

static void give(struct link *link, const struct receipt *receipt)
{
    struct buffer out;
    buffer_init(&out, 65536);
    receipt_write(&out, receipt);
    assert_int_equal(say(link, TOPIC_RECEIPT, EDGE_BED_EDGE, out.data, out.len), 0);
    buffer_release(&out);
}

/* A receipt of the run with this much of every stream. */
static void give_through(struct link *link, const char *nonce, uint64_t a, uint64_t s, uint64_t c,
                         uint64_t t)
{
    struct receipt receipt = receipt_of(link, nonce);
    const uint64_t through[] = {a, s, c, t};
    for (int stream = 0; stream < STREAM_COUNT; stream++)
        receipt.streams[stream].through = through[stream];
    give(link, &receipt);
}

/* Connected, the centre there, its first receipt empty. */
static void go(struct link *link)
{
    uplink_connected(link->uplink, link->edge.now);
    centre_says(link, RUN_1, true);
    give_through(link, RUN_1, 0, 0, 0, 0);
    step(link, 0);
}

/* One more record of that point's stream. */
static void record(struct link *link, uint32_t point)
{
    edge_bed_put(&link->edge, point, 1);
    edge_bed_flush(&link->edge);
}

static size_t sent_records(const struct link *link)
{
    size_t count = 0;
    for (size_t i = 0; i < link->count; i++)
        count += link->sent[i].seq > 0;
    return count;
}

static size_t times_sent(const struct link *link, enum stream stream, uint64_t seq)
{
    size_t count = 0;
    for (size_t i = 0; i < link->count; i++)
        count += link->sent[i].stream == stream && link->sent[i].seq == seq;
    return count;
}

static struct uplink_status status_of(const struct link *link)
{
    struct uplink_status status;
    uplink_get_status(link->uplink, &status);
    return status;
}

/* ---- when ---- */

static void nothing_is_sent_before_the_centre_and_a_receipt_of_its_run_are_there(void **state)
{
    struct link link;
    (void)state;
    begin(&link, 0, false);
    record(&link, BED_S);
    assert_true(step(&link, 0) == NEVER); /* not connected */
    uplink_connected(link.uplink, link.edge.now);
    step(&link, 0);
    assert_int_equal(link.count, 1); /* presence alone */
    assert_int_equal(link.sent[0].kind, TOPIC_STATE);
    assert_true(link.sent[0].retained);
    centre_says(&link, RUN_1, true);
    step(&link, 0);
    assert_int_equal(sent_records(&link), 0);
    give_through(&link, RUN_2, 0, 0, 0, 0); /* of another run */
    step(&link, 0);
    assert_int_equal(sent_records(&link), 0);
    give_through(&link, RUN_1, 0, 0, 0, 0);
    step(&link, 0);
    assert_int_equal(sent_records(&link), 4); /* three births, one record */
    end(&link);
}

static void a_receipt_alone_is_not_a_centre(void **state)
{
    struct link link;
    (void)state;
    begin(&link, 0, false);
    uplink_connected(link.uplink, link.edge.now);
    give_through(&link, RUN_1, 0, 0, 0, 0);
    step(&link, 0);
    assert_int_equal(sent_records(&link), 0);
    end(&link);
}

static void a_centre_that_is_silent_or_away_gets_nothing(void **state)
{
    struct link link;
    (void)state;
    begin(&link, 0, false);
    go(&link);
    size_t before = sent_records(&link);
    step(&link, 31 * S);
    record(&link, BED_S);
    step(&link, 0);
    assert_int_equal(sent_records(&link), before);
    centre_says(&link, RUN_1, true);
    give_through(&link, RUN_1, 3, 0, 0, 0);
    step(&link, 0);
    assert_int_equal(sent_records(&link), before + 1);
    centre_says(&link, RUN_1, false);
    record(&link, BED_S);
    step(&link, 0);
    assert_int_equal(sent_records(&link), before + 1);
    end(&link);
}

/* ---- what first, how much ---- */

static void live_overtakes_the_backlog_and_topics_tell_them_apart(void **state)
{
    struct link link;
    (void)state;
    begin(&link, 4, false);
    for (int i = 0; i < 10; i++)
        record(&link, BED_C);
    go(&link); /* three births and the first of the backlog fill the window */
    assert_int_equal(times_sent(&link, STREAM_C, 1), 1);
    record(&link, BED_T);
    give_through(&link, RUN_1, 3, 0, 1, 0);
    link.count = 0;
    step(&link, 0);
    assert_int_equal(link.sent[0].stream, STREAM_T);
    assert_int_equal(link.sent[0].kind, TOPIC_DATA);
    assert_int_equal(link.sent[1].stream, STREAM_C);
    assert_int_equal(link.sent[1].seq, 2);
    assert_int_equal(link.sent[1].kind, TOPIC_BACKFILL);
    end(&link);
}

static void the_window_bounds_what_is_under_way(void **state)
{
    struct link link;
    (void)state;
    begin(&link, 5, false);
    for (int i = 0; i < 20; i++)
        record(&link, BED_T);
    go(&link);
    step(&link, 0);
    assert_int_equal(sent_records(&link), 5);
    assert_int_equal(status_of(&link).under_way, 5);
    give_through(&link, RUN_1, 3, 0, 0, 1);
    step(&link, 0);
    assert_int_equal(sent_records(&link), 9);
    assert_int_equal(status_of(&link).under_way, 5);
    end(&link);
}

static void credit_bounds_the_bytes_of_the_backlog_not_what_is_live(void **state)
{
    struct link link;
    (void)state;
    begin(&link, 0, false);
    for (int i = 0; i < 20; i++)
        record(&link, BED_T);
    uplink_connected(link.uplink, link.edge.now);
    centre_says(&link, RUN_1, true);
    struct receipt receipt = receipt_of(&link, RUN_1);
    receipt.streams[STREAM_A].through = 3;
    receipt.credit = 1;
    give(&link, &receipt);
    step(&link, 0);
    assert_int_equal(sent_records(&link), 1); /* one may pass the credit, no second */
    record(&link, BED_C);
    step(&link, 0);
    assert_int_equal(times_sent(&link, STREAM_C, 1), 1);
    receipt.credit = 0;
    receipt.streams[STREAM_T].through = 1;
    give(&link, &receipt);
    link.count = 0;
    step(&link, 0);
    assert_int_equal(sent_records(&link), 0);
    end(&link);
}

/* ---- receipts ---- */

static void a_receipt_retires_what_it_names_and_nothing_else(void **state)
{
    struct link link;
    (void)state;
    begin(&link, 0, false);
    for (int i = 0; i < 5; i++)
        record(&link, BED_T);
    go(&link);
    assert_int_equal(status_of(&link).under_way, 8);
    struct receipt receipt = receipt_of(&link, RUN_1);
    receipt.streams[STREAM_A].through = 3;
    receipt.streams[STREAM_T].through = 1;
    receipt.streams[STREAM_T].also[0] = (struct interval){4, 5};
    receipt.streams[STREAM_T].also_count = 1;
    give(&link, &receipt);
    assert_int_equal(status_of(&link).under_way, 2);
    assert_int_equal(status_of(&link).unreceived, 2);
    struct intervals received;
    intervals_init(&received, 100);
    assert_int_equal(journal_received(link.edge.journal, STREAM_T, &received), 0);
    assert_true(intervals_contain_all(&received, 4, 5));
    assert_false(intervals_contain(&received, 2));
    intervals_release(&received);
    end(&link);
}

static void an_overdue_receipt_sends_anew_after_ever_longer_waits(void **state)
{
    static const int waits_s[] = {10, 20, 40, 60, 60};
    struct link link;
    (void)state;
    begin(&link, 0, false);
    record(&link, BED_S);
    go(&link);
    assert_int_equal(times_sent(&link, STREAM_S, 1), 1);
    for (size_t i = 0; i < sizeof(waits_s) / sizeof(waits_s[0]); i++) {
        for (int second = 1; second <= waits_s[i]; second++) {
            centre_says(&link, RUN_1, true);
            link.count = 0;
            step(&link, S);
            assert_int_equal(times_sent(&link, STREAM_S, 1), second == waits_s[i] ? 1 : 0);
        }
    }
    /* A receipt that retires something: patient as at first. */
    give_through(&link, RUN_1, 3, 0, 0, 0);
    for (int second = 1; second <= 10; second++) {
        centre_says(&link, RUN_1, true);
        link.count = 0;
        step(&link, S);
    }
    assert_int_equal(times_sent(&link, STREAM_S, 1), 1);
    end(&link);
}

static void a_restored_centre_gets_again_what_its_first_receipt_lacks(void **state)
{
    struct link link;
    (void)state;
    begin(&link, 0, false);
    for (int i = 0; i < 5; i++)
        record(&link, BED_T);
    go(&link);
    give_through(&link, RUN_1, 3, 0, 0, 5);
    assert_int_equal(status_of(&link).unreceived, 0);
    centre_says(&link, RUN_2, true);
    link.count = 0;
    step(&link, 0);
    assert_int_equal(sent_records(&link), 0); /* its state first, then the receipt it asks for */
    assert_int_equal(link.sent[0].kind, TOPIC_STATE);
    give_through(&link, RUN_2, 3, 0, 0, 2);
    step(&link, 0);
    assert_int_equal(sent_records(&link), 3);
    for (uint64_t seq = 3; seq <= 5; seq++)
        assert_int_equal(times_sent(&link, STREAM_T, seq), 1);
    end(&link);
}

static void a_new_connection_takes_back_what_was_under_way(void **state)
{
    struct link link;
    (void)state;
    begin(&link, 0, false);
    record(&link, BED_C);
    go(&link);
    uplink_disconnected(link.uplink);
    assert_int_equal(status_of(&link).under_way, 0);
    link.count = 0;
    go(&link);
    assert_int_equal(times_sent(&link, STREAM_C, 1), 1);
    end(&link);
}

static void a_receipt_beyond_our_end_is_told_once_and_all_is_silent_until_a_new_epoch(void **state)
{
    struct link link;
    (void)state;
    begin(&link, 0, true);
    record(&link, BED_S);
    go(&link);
    give_through(&link, RUN_1, 3, 9, 0, 0);
    give_through(&link, RUN_1, 3, 10, 0, 0);
    assert_int_equal(link.beyond, 1);
    assert_true(status_of(&link).beyond);
    record(&link, BED_S);
    link.count = 0;
    step(&link, 0);
    give_through(&link, RUN_1, 0, 0, 0, 0);
    step(&link, 0);
    assert_int_equal(sent_records(&link), 0);

    assert_int_equal(recorder_new_epoch(link.edge.recorder, link.edge.now, &link.edge.message), 0);
    edge_bed_step(&link.edge, 0); /* what was not received follows */
    assert_int_equal(uplink_epoch(link.uplink, link.edge.now), 0);
    centre_says(&link, RUN_1, true);
    give_through(&link, RUN_1, 0, 0, 0, 0);
    step(&link, 0);
    assert_int_equal(times_sent(&link, STREAM_A, 1), 1);
    assert_int_equal(times_sent(&link, STREAM_S, 1), 1);
    assert_int_equal(link.beyond, 1);
    end(&link);
}

/* The CRC32C of the payload of a record. */
static uint64_t sum_of(struct link *link, enum stream stream, uint64_t seq)
{
    struct journal_reader *reader;
    struct journal_frame frame;
    assert_int_equal(journal_reader_open(link->edge.journal, (int)stream, seq, &reader), 0);
    assert_int_equal(journal_reader_next(reader, &frame, NULL), 0);
    assert_int_equal(frame.seq, seq);
    uint64_t sum = crc32c(0, frame.payload, frame.len);
    journal_reader_close(reader);
    return sum;
}

static void numbers_that_the_centre_knows_with_other_contents_are_told_as_beyond(void **state)
{
    struct link link;
    (void)state;
    begin(&link, 0, false);
    record(&link, BED_T);
    record(&link, BED_T);
    struct receipt receipt = receipt_of(&link, RUN_1);
    receipt.streams[STREAM_T] = (struct receipt_stream){
        .present = true, .through = 2, .tip = 2, .tip_sum = sum_of(&link, STREAM_T, 2)};
    uplink_connected(link.uplink, link.edge.now);
    centre_says(&link, RUN_1, true);
    give(&link, &receipt);
    assert_int_equal(link.beyond, 0);

    uplink_connected(link.uplink, link.edge.now);
    centre_says(&link, RUN_1, true);
    receipt.streams[STREAM_T].tip_sum ^= 1;
    give(&link, &receipt);
    assert_int_equal(link.beyond, 1);
    end(&link);
}

static int (*read_all)(void *self, int fd, void *data, size_t len, uint64_t at, size_t *ret_len);

static int read_all_but_trend(void *self, int fd, void *data, size_t len, uint64_t at,
                              size_t *ret_len)
{
    const struct sim_disk *disk = self;
    for (size_t i = 0; i < disk->cached_count; i++)
        if (disk->cached[i].file == disk->fds[fd].file && strstr(disk->cached[i].path, "/t-"))
            return ERR_IO;
    return read_all(self, fd, data, len, at, ret_len);
}

static void a_record_that_stays_unreadable_does_not_keep_receipts_away_for_good(void **state)
{
    struct link link;
    (void)state;
    begin(&link, 0, false);
    record(&link, BED_S);
    record(&link, BED_T);
    struct receipt receipt = receipt_of(&link, RUN_1);
    for (int stream = STREAM_S; stream <= STREAM_T; stream += STREAM_T - STREAM_S)
        receipt.streams[stream] =
            (struct receipt_stream){.present = true,
                                    .through = 1,
                                    .tip = 1,
                                    .tip_sum = sum_of(&link, (enum stream)stream, 1)};
    read_all = link.edge.disk.io.pread;
    link.edge.disk.io.pread = read_all_but_trend;
    uplink_connected(link.uplink, link.edge.now);
    centre_says(&link, RUN_1, true);
    struct buffer text;
    buffer_init(&text, 65536);
    receipt_write(&text, &receipt);
    int refused = 0;
    while (say(&link, TOPIC_RECEIPT, EDGE_BED_EDGE, text.data, text.len) == ERR_IO && refused < 100)
        refused++;
    buffer_release(&text);
    assert_in_range(refused, 2, 99); /* it may be busy, or bad; other streams do not matter */
    assert_int_equal(link.beyond, 0);
    step(&link, 0);
    assert_true(status_of(&link).sending);
    end(&link);
}

static void
a_number_that_was_never_durable_here_and_is_at_the_centre_is_told_as_beyond(void **state)
{
    struct link link;
    (void)state;
    begin(&link, 0, false);
    record(&link, BED_T);
    uplink_free(link.uplink);
    edge_bed_crash(&link.edge, true);
    edge_bed_open(&link.edge);
    open_uplink(&link, 0);
    record(&link, BED_T);
    struct receipt receipt = receipt_of(&link, RUN_1);
    receipt.streams[STREAM_T] =
        (struct receipt_stream){.present = true, .through = 9, .tip = 9, .tip_sum = 1};
    uplink_connected(link.uplink, link.edge.now);
    centre_says(&link, RUN_1, true);
    give(&link, &receipt);
    assert_int_equal(link.beyond, 1);
    end(&link);
}

static void a_receipt_of_another_run_of_the_centre_counts_for_nothing(void **state)
{
    struct link link;
    (void)state;
    begin(&link, 0, false);
    for (int i = 0; i < 5; i++)
        record(&link, BED_T);
    go(&link);
    centre_says(&link, RUN_2, true);
    give_through(&link, RUN_1, 3, 0, 0, 5); /* was on its way when that run ended */
    step(&link, 0);
    assert_int_equal(status_of(&link).unreceived, 8);
    give_through(&link, RUN_2, 3, 0, 0, 2);
    step(&link, 0);
    assert_int_equal(status_of(&link).unreceived, 3);
    end(&link);
}

static void receipts_of_others_are_passed_over(void **state)
{
    struct link link;
    (void)state;
    begin(&link, 0, false);
    record(&link, BED_T);
    go(&link);
    struct receipt receipt = receipt_of(&link, RUN_1);
    receipt.streams[STREAM_T].through = 1;
    memcpy(receipt.centre, "c2", 3);
    give(&link, &receipt);
    assert_int_equal(status_of(&link).under_way, 4);
    receipt = receipt_of(&link, RUN_1);
    receipt.streams[STREAM_T].through = 99; /* of an epoch that is over: not beyond either */
    receipt.epoch[0] = receipt.epoch[0] == '0' ? '1' : '0';
    give(&link, &receipt);
    assert_int_equal(status_of(&link).under_way, 4);
    assert_int_equal(link.beyond, 0);
    end(&link);
}

static void what_cannot_be_read_is_counted_and_changes_nothing(void **state)
{
    struct link link;
    (void)state;
    begin(&link, 0, false);
    go(&link);
    assert_int_not_equal(say(&link, TOPIC_RECEIPT, EDGE_BED_EDGE, "{", 1), 0);
    assert_int_not_equal(say(&link, TOPIC_CENTRE_STATE, CENTRE, "[]", 2), 0);
    assert_int_not_equal(say(&link, TOPIC_REQUEST, EDGE_BED_EDGE, "{}", 2), 0);
    assert_int_not_equal(uplink_message(link.uplink, link.edge.now, "elsewhere", "{}", 2, NULL), 0);
    assert_int_equal(status_of(&link).refused, 4);
    assert_true(status_of(&link).sending);
    end(&link);
}

/* ---- births asked for ---- */

static void a_birth_that_is_asked_for_comes_from_the_journal(void **state)
{
    struct link link;
    struct journal_reader *reader;
    struct journal_frame frame;
    struct birth_request request;
    struct buffer out;
    (void)state;
    begin(&link, 0, false);
    go(&link);
    give_through(&link, RUN_1, 3, 0, 0, 0);
    assert_int_equal(journal_reader_open(link.edge.journal, STREAM_A, 2, &reader), 0);
    assert_int_equal(journal_reader_next(reader, &frame, NULL), 0);
    record_birth_id(frame.payload, frame.len, request.birth);
    size_t len = frame.len;
    journal_reader_close(reader);
    link.count = 0;
    buffer_init(&out, 65536);
    birth_request_write(&out, &request);
    assert_int_equal(say(&link, TOPIC_REQUEST, EDGE_BED_EDGE, out.data, out.len), 0);
    assert_int_equal(link.count, 1);
    assert_int_equal(link.sent[0].kind, TOPIC_BIRTH);
    assert_int_equal(link.sent[0].seq, 2);
    assert_int_equal(link.sent[0].len, len);
    memcpy(request.birth, "0000000000000000", BIRTH_SIZE);
    buffer_clear(&out);
    birth_request_write(&out, &request);
    assert_int_equal(say(&link, TOPIC_REQUEST, EDGE_BED_EDGE, out.data, out.len), ERR_NOT_FOUND);
    buffer_release(&out);
    end(&link);
}

/* ---- what does not exist, and a port that refuses ---- */

static void numbers_reserved_and_never_used_hold_up_nothing(void **state)
{
    struct link link;
    (void)state;
    begin(&link, 0, false);
    for (int i = 0; i < 5; i++) {
        record(&link, BED_S);
        record(&link, BED_T);
    }
    uplink_free(link.uplink);
    edge_bed_crash(&link.edge, true);
    edge_bed_open(&link.edge);
    open_uplink(&link, 0);
    uint64_t next = journal_next_seq(link.edge.journal, STREAM_T);
    assert_true(next > 6); /* numbers were passed over */
    record(&link, BED_T);
    record(&link, BED_S);
    go(&link);
    for (int i = 0; i < 5; i++)
        step(&link, S / 10);
    assert_int_equal(times_sent(&link, STREAM_T, next), 1);
    for (uint64_t seq = 1; seq <= 5; seq++) {
        assert_int_equal(times_sent(&link, STREAM_T, seq), 1);
        assert_int_equal(times_sent(&link, STREAM_S, seq), 1);
    }
    end(&link);
}

static void what_the_port_refuses_is_sent_later_and_once(void **state)
{
    struct link link;
    (void)state;
    begin(&link, 0, false);
    go(&link);
    give_through(&link, RUN_1, 3, 0, 0, 0);
    record(&link, BED_S);
    link.refuse = ERR_FULL;
    int64_t due = step(&link, 0);
    assert_true(due > link.edge.now.mono_us && due <= link.edge.now.mono_us + S);
    assert_int_equal(status_of(&link).under_way, 0);
    link.refuse = 0;
    step(&link, due - link.edge.now.mono_us);
    step(&link, 1);
    assert_int_equal(times_sent(&link, STREAM_S, 1), 1);
    end(&link);
}

/* ---- on a metered line ---- */

/* Opened anew with these; the bed is begun. */
static void reopen(struct link *link, bool compress, uint64_t daily_budget)
{
    uplink_free(link->uplink);
    link->compress = compress;
    link->daily_budget = daily_budget;
    open_uplink(link, 0);
}

/* Packed where the centre says that it unpacks, not before, and no message that is short. */
static void records_are_packed_for_a_centre_that_unpacks(void **state)
{
    struct link link;

    (void)state;
    begin(&link, 0, false);
    reopen(&link, true, 0);
    for (int i = 0; i < 500; i++)
        edge_bed_put(&link.edge, BED_C, i / 10);
    edge_bed_flush(&link.edge);
    go(&link);
    for (size_t i = 0; i < link.count; i++)
        assert_false(link.sent[i].packed);
    size_t plain = link.sent[link.count - 1].len;
    link.centre_unpacks = true;
    centre_says(&link, RUN_2, true);
    give_through(&link, RUN_2, 0, 0, 0, 0);
    link.count = 0;
    record(&link, BED_T);
    step(&link, 0);
    size_t packed = 0;
    for (size_t i = 0; i < link.count; i++) {
        bool record = link.sent[i].seq > 0 && link.sent[i].stream != STREAM_T;
        assert_int_equal(link.sent[i].packed, record); /* births, and the long one */
        packed += link.sent[i].packed;
    }
    assert_int_equal(packed, 4);
    assert_int_equal(times_sent(&link, STREAM_C, 1), 1);
    const struct outgoing *outgoing = uplink_outgoing(link.uplink);
    assert_true(outgoing->plain_bytes - outgoing->bytes > plain / 2);
    end(&link);
}

/* Alarms and live safety points at once, compliance ahead, trend and backlogs at the budget's pace.
 */
static void the_budget_lets_what_matters_go_first(void **state)
{
    struct link link;

    (void)state;
    begin(&link, 0, false);
    reopen(&link, false, UINT64_C(25) * 3600 * 1000); /* 1000 bytes a second */
    record(&link, BED_C);                             /* a backlog */
    go(&link);
    assert_int_equal(sent_records(&link), 3); /* the births: stream a is not held up */
    record(&link, BED_S);
    record(&link, BED_C);
    record(&link, BED_T);
    step(&link, 0);
    assert_int_equal(times_sent(&link, STREAM_S, 1), 1);
    assert_int_equal(times_sent(&link, STREAM_C, 2), 1);
    assert_int_equal(times_sent(&link, STREAM_T, 1), 0);
    assert_int_equal(times_sent(&link, STREAM_C, 1), 0);
    give_through(&link, RUN_1, 3, 1, 0, 0);
    for (int second = 0; second < 20; second++) {
        int64_t due = step(&link, S);
        assert_true(due <= link.edge.now.mono_us + S); /* it looks again by itself */
        centre_says(&link, RUN_1, true);
    }
    assert_int_equal(times_sent(&link, STREAM_T, 1), 1);
    assert_int_equal(times_sent(&link, STREAM_C, 1), 0); /* a tenth of an hour must be left */
    for (int second = 0; second < 400; second += 10) {
        centre_says(&link, RUN_1, true);
        give_through(&link, RUN_1, 3, 1, 0, 1);
        step(&link, 10 * S);
    }
    assert_true(times_sent(&link, STREAM_C, 1) > 0);
    assert_true(outgoing_waiting_us(uplink_outgoing(link.uplink)) > 0);
    for (int second = 0; second < 80; second += 10) {
        centre_says(&link, RUN_1, true);
        give_through(&link, RUN_1, 3, 1, 2, 1);
        step(&link, 10 * S);
    }
    assert_int_equal(outgoing_waiting_us(uplink_outgoing(link.uplink)), 0); /* calm again */
    end(&link);
}

/* Held up on and on is told; in the meantime nothing but what always goes is sent. */
static void a_budget_that_does_not_suffice_is_told(void **state)
{
    struct link link;

    (void)state;
    begin(&link, 0, false);
    reopen(&link, false, 25 * 3600); /* a byte a second */
    go(&link);
    for (int second = 0; second < 120; second++) {
        if (second % 10 == 0) {
            centre_says(&link, RUN_1, true);
            give_through(&link, RUN_1, 3, status_of(&link).unreceived ? (uint64_t)second : 0, 0, 0);
        }
        record(&link, BED_S);
        record(&link, BED_T);
        step(&link, S);
    }
    assert_true(times_sent(&link, STREAM_S, 120) == 1);
    assert_int_equal(times_sent(&link, STREAM_T, 1), 0);
    assert_true(outgoing_waiting_us(uplink_outgoing(link.uplink)) > 100 * S);
    end(&link);
}

/* Safety records that were live when a receipt failed to come do not starve behind a debt; what was
 * a backlog for more than an hour, or of an earlier run, does not go whatever it costs. */
static void young_safety_records_are_sent_anew_in_debt(void **state)
{
    struct link link;

    (void)state;
    begin(&link, 0, false);
    record(&link, BED_S);
    reopen(&link, false, 25 * 900); /* an hour's worth is less than the births take */
    go(&link);
    for (int i = 0; i < 20; i++)
        record(&link, BED_S);
    step(&link, 0);
    give_through(&link, RUN_1, 3, 0, 0, 0);
    assert_int_equal(times_sent(&link, STREAM_S, 21), 1);
    step(&link, 11 * S); /* no receipt of them came */
    assert_int_equal(status_of(&link).resets, 1);
    for (uint64_t seq = 2; seq <= 21; seq++)
        assert_int_equal(times_sent(&link, STREAM_S, seq), 2);
    assert_int_equal(times_sent(&link, STREAM_S, 1), 0);
    uplink_disconnected(link.uplink);
    step(&link, 1801 * S);
    step(&link, 1801 * S);
    record(&link, BED_S);
    go(&link);
    step(&link, 0);
    assert_int_equal(times_sent(&link, STREAM_S, 22), 1);
    assert_int_equal(times_sent(&link, STREAM_S, 21), 2); /* an hour old */
    end(&link);
}

/* A short debt holds up compliance, not what safety points have to tell. */
static void a_backlog_of_safety_points_goes_before_compliance(void **state)
{
    struct link link;

    (void)state;
    begin(&link, 0, false);
    record(&link, BED_S);
    reopen(&link, false, UINT64_C(25) * 3600); /* a byte a second */
    go(&link);
    record(&link, BED_C);
    step(&link, 0);
    assert_int_equal(times_sent(&link, STREAM_S, 1), 1);
    assert_int_equal(times_sent(&link, STREAM_C, 1), 0);
    end(&link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_sent_before_the_centre_and_a_receipt_of_its_run_are_there),
        cmocka_unit_test(a_receipt_alone_is_not_a_centre),
        cmocka_unit_test(a_centre_that_is_silent_or_away_gets_nothing),
        cmocka_unit_test(live_overtakes_the_backlog_and_topics_tell_them_apart),
        cmocka_unit_test(the_window_bounds_what_is_under_way),
        cmocka_unit_test(credit_bounds_the_bytes_of_the_backlog_not_what_is_live),
        cmocka_unit_test(a_receipt_retires_what_it_names_and_nothing_else),
        cmocka_unit_test(an_overdue_receipt_sends_anew_after_ever_longer_waits),
        cmocka_unit_test(a_restored_centre_gets_again_what_its_first_receipt_lacks),
        cmocka_unit_test(a_new_connection_takes_back_what_was_under_way),
        cmocka_unit_test(a_receipt_beyond_our_end_is_told_once_and_all_is_silent_until_a_new_epoch),
        cmocka_unit_test(numbers_that_the_centre_knows_with_other_contents_are_told_as_beyond),
        cmocka_unit_test(a_record_that_stays_unreadable_does_not_keep_receipts_away_for_good),
        cmocka_unit_test(
            a_number_that_was_never_durable_here_and_is_at_the_centre_is_told_as_beyond),
        cmocka_unit_test(a_receipt_of_another_run_of_the_centre_counts_for_nothing),
        cmocka_unit_test(receipts_of_others_are_passed_over),
        cmocka_unit_test(what_cannot_be_read_is_counted_and_changes_nothing),
        cmocka_unit_test(a_birth_that_is_asked_for_comes_from_the_journal),
        cmocka_unit_test(numbers_reserved_and_never_used_hold_up_nothing),
        cmocka_unit_test(what_the_port_refuses_is_sent_later_and_once),
        cmocka_unit_test(records_are_packed_for_a_centre_that_unpacks),
        cmocka_unit_test(the_budget_lets_what_matters_go_first),
        cmocka_unit_test(a_budget_that_does_not_suffice_is_told),
        cmocka_unit_test(young_safety_records_are_sent_anew_in_debt),
        cmocka_unit_test(a_backlog_of_safety_points_goes_before_compliance),
    };
    return cmocka_run_group_tests_name("uplink", tests, NULL, NULL);
}
