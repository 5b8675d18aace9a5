#include "tests/unit/support/journal_model.h"

#include "store/journal_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MODEL_SEGMENT 4096
#define MODEL_LONGEST 3000

/* ---- the owner ---- */

static uint64_t mix(uint64_t id)
{
    uint64_t seed = id;
    return sim_random(&seed);
}

static void owner_save(void *self, int stream, struct buffer *out)
{
    const struct model *model = self;
    buffer_append(out, &model->streams[stream].knows, sizeof(uint64_t));
}

static int owner_restore(void *self, int stream, const void *state, size_t len)
{
    struct model *model = self;
    assert_int_equal(len, sizeof(uint64_t));
    memcpy(&model->streams[stream].knows, state, len);
    return 0;
}

static uint64_t id_of(const struct journal_frame *frame)
{
    uint64_t id = 0;
    assert_true(frame->len >= sizeof(id));
    memcpy(&id, frame->payload, sizeof(id));
    return id;
}

static int owner_replay(void *self, const struct journal_frame *frame)
{
    struct model *model = self;
    model->streams[frame->stream].knows += mix(id_of(frame));
    return 0;
}

/* ---- the records ---- */

static struct model_record *find(struct model_stream *stream, uint64_t seq)
{
    size_t low = 0, high = stream->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (stream->records[middle].seq < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low < stream->count && stream->records[low].seq == seq ? &stream->records[low] : NULL;
}

static void payload_of(uint64_t id, uint32_t len, char *out)
{
    uint64_t seed = id;
    for (uint32_t i = 0; i < len; i += 8) {
        uint64_t word = sim_random(&seed);
        memcpy(out + i, &word, len - i < 8 ? len - i : 8);
    }
    memcpy(out, &id, sizeof(id));
}

static void check_frame(const struct model_record *record, const struct journal_frame *frame)
{
    char payload[MODEL_LONGEST + 8];
    assert_non_null(record);
    payload_of(record->id, record->len, payload);
    assert_int_equal(frame->len, record->len);
    assert_memory_equal(frame->payload, payload, record->len);
    assert_int_equal(frame->points, record->points);
    assert_int_not_equal(record->fate, FATE_APPENDED);
}

static void release_streams(struct model *model)
{
    for (int s = 0; s < MODEL_STREAMS; s++) {
        free(model->streams[s].records);
        intervals_release(&model->streams[s].told);
        intervals_release(&model->streams[s].received);
        model->streams[s] = (struct model_stream){0};
        intervals_init(&model->streams[s].told, 100000);
        intervals_init(&model->streams[s].received, 100000);
    }
    model->fresh_count = 0;
}

void model_init(struct model *model, uint64_t seed)
{
    *model = (struct model){.seed = seed, .next_id = 1, .now_ms = 1767225600000};
    sim_disk_init(&model->disk, seed ^ 0x5eed);
    release_streams(model);
    model->options = (struct journal_options){
        .folder = "/j",
        .letters = MODEL_LETTERS,
        .segment_bytes = MODEL_SEGMENT,
        .verify = true,
        .owner = {model, owner_save, owner_restore, owner_replay},
    };
}

void model_release(struct model *model)
{
    journal_close(model->journal);
    release_streams(model);
    sim_disk_release(&model->disk);
}

/* ---- losses ---- */

static bool is_told(struct model *model, int stream, uint64_t seq)
{
    if (intervals_contain(&model->streams[stream].told, seq) ||
        intervals_contain(&model->streams[stream].received, seq))
        return true;
    for (size_t i = 0; i < model->fresh_count; i++)
        if (model->fresh[i].stream == stream && model->fresh[i].first <= seq &&
            seq <= model->fresh[i].last)
            return true;
    return false;
}

static bool touches(const struct intervals *set, uint64_t first, uint64_t last)
{
    struct interval hole;
    uint64_t from = first > 1 ? first - 1 : 1;
    return !intervals_next_hole(set, from, last + 1, &hole) || hole.first != from ||
           hole.last != last + 1;
}

static void check_loss(struct model *model, const struct journal_loss *loss)
{
    struct model_stream *stream = &model->streams[loss->stream];
    uint64_t points = 0;
    assert_true(loss->first >= 1 && loss->first <= loss->last);
    assert_true(loss->from_ms <= loss->to_ms);
    for (size_t i = 0; i < stream->count; i++) {
        const struct model_record *record = &stream->records[i];
        if (record->seq < loss->first || record->seq > loss->last)
            continue;
        if (record->fate == FATE_COMMITTED && !model->damaged)
            fail_msg("committed record %c %llu is told as lost (%s)", MODEL_LETTERS[loss->stream],
                     (unsigned long long)record->seq, loss->cause);
        if (record->fate != FATE_DEAD)
            points += record->points;
    }
    if (strcmp(loss->cause, "damage") != 0)
        assert_int_equal(loss->points, 0);
    else if (!touches(&stream->told, loss->first, loss->last) && !model->disk.failures &&
             !model->damaged)
        assert_int_equal(loss->points, points);
}

static void take_losses(struct model *model)
{
    struct journal_loss loss;
    model->fresh_count = 0;
    for (size_t i = 0; i < model->report.loss_count; i++)
        model->fresh[model->fresh_count++] = model->report.losses[i];
    while (!journal_next_loss(model->journal, &loss) && model->fresh_count < JOURNAL_MAX_LOSSES * 8)
        model->fresh[model->fresh_count++] = loss;
    for (size_t i = 0; i < model->fresh_count; i++)
        check_loss(model, &model->fresh[i]);
}

static bool is_damage(const struct model *model, int stream, uint64_t seq)
{
    for (size_t i = 0; i < model->fresh_count; i++)
        if (model->fresh[i].stream == stream && model->fresh[i].first <= seq &&
            seq <= model->fresh[i].last)
            return strcmp(model->fresh[i].cause, "damage") == 0;
    return false;
}

/* ---- reading ---- */

/* Reads the whole stream; what is not there must be known to be lost. */
static void check_stream(struct model *model, int s, bool opening)
{
    struct model_stream *stream = &model->streams[s];
    struct journal_reader *reader;
    struct journal_frame frame;
    struct interval gap;
    uint64_t next = 1;
    int err;
    assert_int_equal(journal_reader_open(model->journal, s, 1, &reader), 0);
    while ((err = journal_reader_next(reader, &frame, &gap)) != ERR_AGAIN) {
        if (err == ERR_GAP) {
            assert_int_equal(gap.first, next);
            assert_true(gap.last >= gap.first);
            next = gap.last + 1;
            continue;
        }
        assert_int_equal(err, 0);
        assert_int_equal(frame.seq, next);
        struct model_record *record = find(stream, frame.seq);
        check_frame(record, &frame);
        assert_true(record->fate != FATE_DEAD && record->fate != FATE_HOLE);
        if (!model->damaged) /* lost marks may bring a dropped file back */
            assert_int_not_equal(record->fate, FATE_GONE);
        if (opening)
            record->fate = FATE_COMMITTED;
        record->id |= (uint64_t)1 << 63; /* seen */
        next = frame.seq + 1;
    }
    journal_reader_close(reader);
    for (size_t i = 0; i < stream->count; i++) {
        struct model_record *record = &stream->records[i];
        bool seen = record->id >> 63;
        record->id &= ~((uint64_t)1 << 63);
        if (seen || record->fate == FATE_APPENDED || record->fate >= FATE_DEAD)
            continue;
        if (record->fate == FATE_COMMITTED && !is_told(model, s, record->seq))
            fail_msg("committed record %c %llu is neither readable nor told as lost",
                     MODEL_LETTERS[s], (unsigned long long)record->seq);
        /* Until the owner has committed the loss, the next opening must tell of it again. */
        if (opening && record->fate == FATE_TRIED)
            record->fate = is_damage(model, s, record->seq) ? FATE_HOLE : FATE_DEAD;
        else if (opening && (intervals_contain(&stream->told, record->seq) ||
                             intervals_contain(&stream->received, record->seq)))
            record->fate = FATE_GONE;
    }
}

void model_check_reading(struct model *model, int stream)
{
    struct model_stream *at = &model->streams[stream];
    struct journal_reader *reader;
    struct journal_frame frame;
    uint64_t durable = journal_durable(model->journal, stream);
    if (!durable || !at->count)
        return;
    assert_int_equal(journal_reader_open(model->journal, stream, 1, &reader), 0);
    for (int i = 0; i < 8; i++) {
        uint64_t seq = at->records[sim_below(&model->seed, (uint32_t)at->count)].seq;
        journal_reader_seek(reader, seq);
        for (int n = 0; n < 3 && !journal_reader_next(reader, &frame, NULL); n++) {
            if (model->disk.dead)
                break;
            assert_true(frame.seq >= seq && frame.seq <= durable);
            check_frame(find(at, frame.seq), &frame);
            if (frame.seq != seq && find(at, seq) && find(at, seq)->fate == FATE_COMMITTED &&
                n == 0)
                assert_true(is_told(model, stream, seq) || model->damaged);
            seq = frame.seq + 1;
        }
        seq = 0;
    }
    journal_reader_close(reader);
}

/* The owner knows what is on the disk, and what was dropped before its newest state. */
static void check_owner(struct model *model, int s)
{
    struct model_stream *stream = &model->streams[s];
    uint64_t sum = 0;
    for (size_t i = 0; i < stream->count; i++)
        if (stream->records[i].fate == FATE_COMMITTED || stream->records[i].fate == FATE_GONE)
            sum += mix(stream->records[i].id);
    if (!model->damaged && !stream->dropped)
        assert_true(sum == stream->knows);
    stream->knows = sum;
}

/* ---- what happens to it ---- */

/* What was pending at a closing was written with it, or its number was never used. */
static void take_closed(struct model *model, int s)
{
    struct model_stream *stream = &model->streams[s];
    uint64_t next = journal_next_seq(model->journal, s);
    for (; stream->count && stream->records[stream->count - 1].seq >= next; stream->count--)
        assert_int_equal(stream->records[stream->count - 1].fate, FATE_APPENDED);
    for (size_t i = stream->count; i-- > 0 && stream->records[i].fate == FATE_APPENDED;)
        stream->records[i].fate = FATE_TRIED;
}

static int try_to_open(struct model *model)
{
    for (int s = 0; s < MODEL_STREAMS; s++)
        model->streams[s].knows = 0;
    model->options.io = &model->disk.io;
    return journal_open(&model->options, &model->journal, &model->report, &model->message);
}

void model_open(struct model *model)
{
    uint32_t failing = model->disk.fail_one_in;
    int err = try_to_open(model);
    if (model->disk.dead) { /* the power went while it opened */
        if (!err) {
            journal_close(model->journal);
            model->journal = NULL;
        }
        sim_disk_cut(&model->disk);
        err = try_to_open(model);
    }
    model->disk.dead_at = 0;
    if (err && failing) {
        sim_disk_kill(&model->disk);
        model->disk.fail_one_in = 0;
        err = try_to_open(model);
    }
    if (err)
        fail_msg("opening: %d %s", err, model->message.text);
    model->disk.fail_one_in = 0;
    if (strcmp(model->epoch, journal_epoch(model->journal)) != 0) {
        assert_true(!model->epoch[0] || model->damaged);
        release_streams(model);
        snprintf(model->epoch, sizeof(model->epoch), "%s", journal_epoch(model->journal));
    }
    /* Receipts are kept lazily: what a stop forgot is asked for again. */
    for (int s = 0; s < MODEL_STREAMS; s++)
        assert_int_equal(journal_received(model->journal, s, &model->streams[s].received), 0);
    for (int s = 0; s < MODEL_STREAMS; s++)
        take_closed(model, s);
    if (!model->damaged && !model->disk.failures) /* no segment file ever exists half */
        assert_int_equal(sim_disk_count(&model->disk, ".seg.bad"), 0);
    take_losses(model);
    for (int s = 0; s < MODEL_STREAMS; s++) {
        check_stream(model, s, true);
        check_owner(model, s);
    }
    model->disk.fail_one_in = failing;
}

static void forget_memory(struct model *model)
{
    for (int s = 0; s < MODEL_STREAMS; s++) {
        struct model_stream *stream = &model->streams[s];
        while (stream->count && stream->records[stream->count - 1].fate == FATE_APPENDED)
            stream->count--;
    }
    model->fresh_count = 0;
}

void model_append(struct model *model, int s, uint32_t len)
{
    struct model_stream *stream = &model->streams[s];
    char payload[MODEL_LONGEST + 8], origin[16];
    uint64_t seq;
    if (len < 8)
        len = 8;
    struct model_record record = {
        .id = model->next_id++,
        .points = sim_below(&model->seed, 50),
        .len = len < MODEL_LONGEST ? len : MODEL_LONGEST,
    };
    payload_of(record.id, record.len, payload);
    snprintf(origin, sizeof(origin), "edge-%u", (unsigned)(record.id % 7));
    model->now_ms += 700;
    record.seq = journal_next_seq(model->journal, s);
    int err = journal_append(model->journal, s, origin, payload, record.len, record.points,
                             model->now_ms, model->now_ms * 1000, &seq, &model->message);
    if (err) {
        assert_int_equal(err, ERR_FULL);
        return;
    }
    assert_int_equal(seq, record.seq);
    if (stream->count) /* never a number that may have been written before */
        assert_true(seq > stream->records[stream->count - 1].seq);
    if (stream->count == stream->capacity) {
        stream->capacity = stream->capacity ? 2 * stream->capacity : 64;
        stream->records = reallocarray(stream->records, stream->capacity, sizeof(*stream->records));
        assert_non_null(stream->records);
    }
    stream->records[stream->count++] = record;
    stream->knows += mix(record.id);
}

/* What a commit may have written: only numbers that the marks reserve. */
static void try_all(struct model *model)
{
    for (int s = 0; s < MODEL_STREAMS; s++)
        for (size_t i = model->streams[s].count;
             i-- > 0 && model->streams[s].records[i].fate == FATE_APPENDED;)
            if (model->streams[s].records[i].seq <= model->journal->meta.streams[s].reserved)
                model->streams[s].records[i].fate = FATE_TRIED;
}

/* What is durable now is promised. */
static void take_durable(struct model *model)
{
    for (int s = 0; s < MODEL_STREAMS; s++) {
        struct model_stream *stream = &model->streams[s];
        uint64_t durable = journal_durable(model->journal, s);
        for (size_t i = 0; i < stream->count; i++)
            if (stream->records[i].fate == FATE_TRIED && stream->records[i].seq <= durable)
                stream->records[i].fate = FATE_COMMITTED;
    }
}

void model_commit(struct model *model)
{
    int err = journal_commit(model->journal, &model->message);
    try_all(model);
    take_durable(model);
    for (int s = 0; s < MODEL_STREAMS; s++) {
        const struct model_stream *stream = &model->streams[s];
        if (!err && stream->count)
            assert_int_not_equal(stream->records[stream->count - 1].fate, FATE_TRIED);
    }
    if (err)
        return;
    for (size_t i = 0; i < model->fresh_count; i++)
        assert_int_equal(intervals_add(&model->streams[model->fresh[i].stream].told,
                                       model->fresh[i].first, model->fresh[i].last),
                         0);
    model->fresh_count = 0;
}

void model_receive(struct model *model, int stream)
{
    struct intervals set;
    uint64_t durable = journal_durable(model->journal, stream);
    if (!durable || durable > 100000)
        return;
    intervals_init(&set, 8);
    uint64_t first = 1 + sim_below(&model->seed, (uint32_t)durable);
    uint64_t last = first + sim_below(&model->seed, (uint32_t)(durable - first + 1));
    assert_int_equal(intervals_add(&set, first, last), 0);
    assert_int_equal(journal_receive(model->journal, stream, &set), 0);
    assert_int_equal(intervals_add(&model->streams[stream].received, first, last), 0);
    intervals_release(&set);
}

void model_make_room(struct model *model)
{
    struct journal_loss victim;
    model_commit(model); /* choosing would, too */
    if (model->fresh_count)
        return; /* an owner tells of losses before it makes others */
    int err = journal_victim(model->journal, &victim);
    try_all(model);
    take_durable(model);
    if (err)
        return;
    struct model_stream *stream = &model->streams[victim.stream];
    uint64_t points = 0;
    if (victim.first <= victim.last) {
        assert_int_not_equal(victim.stream, 0);
        for (size_t i = 0; i < stream->count; i++) {
            const struct model_record *record = &stream->records[i];
            if (record->seq >= victim.first && record->seq <= victim.last &&
                record->fate == FATE_COMMITTED)
                points += record->points;
        }
        if (!model->damaged && !model->disk.dead)
            assert_int_equal(points, victim.points);
        model_append(model, 0, 60);
        model_commit(model);
        if (journal_pending(model->journal))
            return; /* the loss is not durable: nothing is dropped */
    }
    err = journal_drop(model->journal, &victim, &model->message);
    if (err && !model->disk.fail_one_in && !model->disk.dead)
        fail_msg("drop: %s", model->message.text);
    /* Whatever became of the file, it was told. */
    stream->dropped = true;
    if (victim.first <= victim.last)
        assert_int_equal(intervals_add(&stream->told, victim.first, victim.last), 0);
    for (size_t i = 0; !err && i < stream->count; i++) {
        struct model_record *record = &stream->records[i];
        if (record->seq >= victim.segment_first && record->fate == FATE_COMMITTED &&
            record->seq < journal_first(model->journal, victim.stream) &&
            is_told(model, victim.stream, record->seq))
            record->fate = FATE_GONE;
    }
}

void model_close(struct model *model)
{
    try_all(model);
    journal_close(model->journal);
    model->journal = NULL;
    model->fresh_count = 0;
}

void model_crash(struct model *model, bool cut)
{
    if (cut)
        sim_disk_cut(&model->disk);
    else
        sim_disk_kill(&model->disk);
    model->disk.dead = true;
    journal_close(model->journal);
    model->disk.dead = false;
    model->disk.dead_at = 0;
    model->journal = NULL;
    forget_memory(model);
}
