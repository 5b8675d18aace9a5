#include "edge/recorder.h"

#include "base/queue.h"
#include "base/text.h"
#include "edge/carry_over.h"
#include "model/record.h"
#include "store/segment.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/*
 * Design notes
 *
 * Points are numbered by births. A group is the points of one stream that one birth names, with the
 * record under construction for them. A stream's clock starts with the first sample added to any of
 * its groups and closes them all together, so that a commit serves many records.
 *
 * Where the journal is full, room is made before the commit is tried again; where none can be made,
 * the journal's memory fills, then one written record is held, then the queue fills behind it: what
 * finds the queue full is counted as refused and told. The loss records of making room go to stream
 * a, so a held record's sequence, of another stream, stays right.
 */

#define QUEUE_BATCHES  4096
#define BATCHES_A_STEP 4096
#define ROOM_TRIES     64
#define CARRY_AGAIN_US (30 * (int64_t)US_PER_S)

static const int64_t linger_us[STREAM_COUNT] = {
    [STREAM_A] = 50 * US_PER_MS,
    [STREAM_S] = 50 * US_PER_MS,
    [STREAM_C] = US_PER_S,
    [STREAM_T] = US_PER_S,
};

struct batch {
    size_t count;
    struct sample *samples;
};

struct group {
    enum stream stream;
    uint32_t *points; /* indexes of the points it names, in the order of their numbers */
    size_t point_count;
    char birth[BIRTH_SIZE];
    struct record_data *data;
};

/* A data record that was written and not yet taken by the journal. */
struct held {
    struct buffer payload;
    enum stream stream;
    uint32_t points; /* 0: none is held */
    uint64_t unsent; /* of the points, those held back by exception */
};

struct place { /* where a point is recorded */
    uint32_t group;
    uint32_t id;
};

struct recorder {
    struct recorder_options options;
    struct queue *queue;
    struct group *groups;
    size_t group_count;
    struct place *places;
    int64_t due_us[STREAM_COUNT]; /* when the stream's records are closed; NEVER while empty */
    int64_t carry_us;             /* when what an epoch that ended owes is tried again */
    struct held held;
    struct buffer payload; /* of births and losses */
    bool refused_taken;    /* since the last step without an error */
    pthread_mutex_t lock;  /* guards status and gaps */
    struct recorder_status status;
    uint64_t gaps;
};

static void release_batch(void *item)
{
    struct batch *batch = item;
    free(batch->samples);
}

static void set_status(struct recorder *recorder, int error, const struct message *message)
{
    pthread_mutex_lock(&recorder->lock);
    recorder->status.journal_error = error;
    if (error)
        (void)!text_copy(recorder->status.error_text, sizeof(recorder->status.error_text),
                         message->text);
    pthread_mutex_unlock(&recorder->lock);
}

static void count(struct recorder *recorder, uint64_t *counter, uint64_t by)
{
    pthread_mutex_lock(&recorder->lock);
    *counter += by;
    pthread_mutex_unlock(&recorder->lock);
}

/* ---- appending ---- */

static void fill_head(const struct recorder *recorder, enum record_kind kind, enum stream stream,
                      struct now now, struct record_head *head)
{
    const struct journal *journal = recorder->options.journal;
    *head = (struct record_head){
        .kind = kind,
        .stream = stream,
        .seq = journal_next_seq(journal, (int)stream),
        .mono_us = now.mono_us,
        .sync = now.sync,
        .t0_ms = now.wall_ms,
    };
    (void)!text_copy(head->epoch, sizeof(head->epoch), journal_epoch(journal));
    (void)!text_copy(head->boot, sizeof(head->boot), recorder->options.boot);
}

static int append(struct recorder *recorder, const struct buffer *payload, enum stream stream,
                  uint32_t points, struct now now, struct message *message)
{
    if (buffer_error(payload))
        return message_set(message, ERR_RANGE, "a record does not fit into %d bytes",
                           RECORD_MAX_BYTES);
    uint64_t seq;
    int err = journal_append(recorder->options.journal, (int)stream, "", payload->data,
                             payload->len, points, now.wall_ms, now.mono_us, &seq, message);
    if (err)
        return err;
    count(recorder, &recorder->status.records, 1);
    count(recorder, &recorder->status.bytes, FRAME_HEADER_BYTES + payload->len);
    count(recorder, &recorder->status.samples, points);
    return 0;
}

static int append_loss(struct recorder *recorder, const struct journal_loss *lost, struct now now,
                       struct message *message)
{
    struct record_head head;
    fill_head(recorder, RECORD_LOSS, STREAM_A, now, &head);
    struct record_loss loss = {
        .of = (enum stream)lost->stream,
        .first = lost->first,
        .last = lost->last,
        .from_ms = lost->from_ms,
        .to_ms = lost->to_ms,
        .points = lost->points,
        .other = lost->other,
    };
    (void)!text_copy(loss.cause, sizeof(loss.cause), lost->cause);
    if (lost->old)
        (void)journal_old_epoch(recorder->options.journal, loss.epoch);
    buffer_clear(&recorder->payload);
    record_write_loss(&recorder->payload, &head, &loss);
    return append(recorder, &recorder->payload, STREAM_A, 0, now, message);
}

/* Frees one segment: nothing lost, or the loss durable before the delete. */
static int make_room(struct recorder *recorder, struct now now, struct message *message)
{
    struct journal *journal = recorder->options.journal;
    struct journal_loss victim;
    int err = journal_victim(journal, &victim);
    if (err)
        return message_set(message, ERR_FULL,
                           "the journal is full and holds nothing that may be dropped: enlarge "
                           "journal.size or the disk");
    if (victim.first <= victim.last) {
        uint64_t seq = journal_next_seq(journal, STREAM_A);
        err = append_loss(recorder, &victim, now, message);
        /* Stream a is written first and has room of its own; the others may still find none. */
        int commit_err = err ? err : journal_commit(journal, message);
        if (journal_durable(journal, STREAM_A) < seq)
            return commit_err;
    }
    err = journal_drop(journal, &victim, message);
    if (!err)
        count(recorder, &recorder->status.lost, victim.points);
    return err;
}

/* Commits, freeing what must go where the journal is full. */
static int commit(struct recorder *recorder, struct now now, struct message *message)
{
    int err = journal_commit(recorder->options.journal, message);
    for (int try = 0; err == ERR_FULL && try < ROOM_TRIES; try++) {
        err = make_room(recorder, now, message);
        if (!err)
            err = journal_commit(recorder->options.journal, message);
    }
    return err;
}

/* Appends the record in `held`, where too much waits after a commit; it stays held on failure. */
static int append_held(struct recorder *recorder, struct now now, struct message *message)
{
    struct held *held = &recorder->held;
    int err = append(recorder, &held->payload, held->stream, held->points, now, message);
    if (err == ERR_FULL && !commit(recorder, now, message))
        err = append(recorder, &held->payload, held->stream, held->points, now, message);
    if (err)
        return err;
    count(recorder, &recorder->status.held, held->unsent);
    held->points = 0;
    return 0;
}

/* Writes the group's record and appends it. */
static int close_group(struct recorder *recorder, struct group *group, struct now now,
                       struct message *message)
{
    uint64_t readings = record_data_readings(group->data);
    uint64_t unsent = readings - record_data_count(group->data);
    struct held *held = &recorder->held;
    if (held->points || !readings)
        return held->points ? ERR_FULL : 0;
    struct record_head head;
    fill_head(recorder, RECORD_DATA, group->stream, now, &head);
    buffer_clear(&held->payload);
    record_data_write(group->data, &held->payload, &head, group->birth,
                      journal_points(recorder->options.journal) + readings);
    held->stream = group->stream;
    held->points = (uint32_t)readings;
    held->unsent = unsent;
    return append_held(recorder, now, message);
}

/* ---- births ---- */

static int append_birth(struct recorder *recorder, struct group *group, struct now now,
                        struct message *message)
{
    struct point_info *points = calloc(group->point_count, sizeof(*points));
    if (!points)
        return message_set(message, ERR_NO_MEMORY, "birth: out of memory");
    for (size_t i = 0; i < group->point_count; i++)
        points[i] = recorder->options.points[group->points[i]];
    struct record_head head;
    fill_head(recorder, RECORD_BIRTH, STREAM_A, now, &head);
    buffer_clear(&recorder->payload);
    record_write_birth(&recorder->payload, &head, recorder->options.edge, recorder->options.site,
                       points, group->point_count);
    free(points);
    if (!buffer_error(&recorder->payload))
        record_birth_id(recorder->payload.data, recorder->payload.len, group->birth);
    int err = append(recorder, &recorder->payload, STREAM_A, 0, now, message);
    return err ? err : journal_keep(recorder->options.journal, head.seq);
}

/* The losses of an opening, then the births: what the next records refer to. */
static int introduce(struct recorder *recorder, const struct journal_report *report, struct now now,
                     struct message *message)
{
    int err = 0;
    for (size_t i = 0; !err && i < report->loss_count; i++)
        err = append_loss(recorder, &report->losses[i], now, message);
    for (size_t i = 0; !err && i < recorder->group_count; i++)
        err = append_birth(recorder, &recorder->groups[i], now, message);
    return err ? err : commit(recorder, now, message);
}

/* ---- samples ---- */

static int add_sample(struct recorder *recorder, const struct sample *sample, struct now now,
                      struct message *message)
{
    struct place place = recorder->places[sample->point];
    struct group *group = &recorder->groups[place.group];
    int err = record_data_add(group->data, place.id, sample);
    if (err == ERR_FULL) {
        int close_err = close_group(recorder, group, now, message);
        err = record_data_add(group->data, place.id, sample);
        err = err ? close_err : 0;
    }
    if (err == ERR_INVALID) {
        /* No record can hold it (a time beyond the calendar, say): told, and nothing else stops. */
        count(recorder, &recorder->status.refused, 1 + sample->held);
        return 0;
    }
    if (!err && recorder->due_us[group->stream] == NEVER)
        recorder->due_us[group->stream] = now.mono_us + linger_us[group->stream];
    return err;
}

/* Samples that recorder_put had taken, with what was held back before them. */
static void refuse_rest(struct recorder *recorder, const struct batch *batch, size_t from)
{
    uint64_t readings = 0;
    for (size_t i = from; i < batch->count; i++)
        readings += 1 + (uint64_t)batch->samples[i].held;
    recorder->refused_taken = true;
    recorder_refuse(recorder, readings);
}

static int take_samples(struct recorder *recorder, struct now now, struct message *message)
{
    int err = 0;
    struct batch batch;
    for (int n = 0; !err && n < BATCHES_A_STEP && !queue_pop(recorder->queue, &batch); n++) {
        size_t i = 0;
        for (; !err && i < batch.count; i++)
            if (batch.samples[i].point < recorder->options.point_count)
                err = add_sample(recorder, &batch.samples[i], now, message);
        if (err)
            refuse_rest(recorder, &batch, i - 1);
        release_batch(&batch);
    }
    return err;
}

static int close_due(struct recorder *recorder, struct now now, bool all, struct message *message)
{
    int err = 0;
    for (int stream = 0; !err && stream < STREAM_COUNT; stream++) {
        if (recorder->due_us[stream] == NEVER || (!all && recorder->due_us[stream] > now.mono_us))
            continue;
        for (size_t i = 0; !err && i < recorder->group_count; i++)
            if ((int)recorder->groups[i].stream == stream)
                err = close_group(recorder, &recorder->groups[i], now, message);
        if (!err)
            recorder->due_us[stream] = NEVER;
    }
    return err;
}

/* ---- an epoch that ended ---- */

/* Takes what waits as well: a long carrying over must not fill the queue. */
static int commit_and_go_on(void *self, struct now now, struct message *message)
{
    struct recorder *recorder = self;
    int err = recorder->held.points ? append_held(recorder, now, message) : 0;
    if (!err)
        err = take_samples(recorder, now, message);
    if (!err)
        err = close_due(recorder, now, true, message); /* `now` stands still meanwhile */
    int commit_err = commit(recorder, now, message);
    return err ? err : commit_err;
}

static int append_carried(void *self, const struct buffer *payload, enum stream stream,
                          uint32_t points, struct now now, struct message *message)
{
    struct recorder *recorder = self;
    int err = append(recorder, payload, stream, points, now, message);
    /* Making room writes into stream a: a record of it would have to be another one then. */
    if (err == ERR_FULL && stream != STREAM_A && !commit(recorder, now, message))
        err = append(recorder, payload, stream, points, now, message);
    return err;
}

/* What an epoch that ended owes comes into the present one. Where that fails it is tried again some
 * time later; nothing else waits for it. */
static int settle_old_epoch(struct recorder *recorder, struct now now, struct message *message)
{
    static const struct journal_report nothing = {0};
    const struct carry_port port = {recorder, append_carried, commit_and_go_on};
    struct carry_result result = {0};
    int err = carry_over(recorder->options.journal, &port, now, &result, message);
    count(recorder, &recorder->status.lost, result.lost);
    recorder->carry_us = err ? now.mono_us + CARRY_AGAIN_US : NEVER;
    if (result.births) { /* ours are to be the last the centre hears of these points */
        int birth_err = introduce(recorder, &nothing, now, message);
        err = err ? err : birth_err;
    }
    return err;
}

/* ---- life ---- */

static int make_groups(struct recorder *recorder)
{
    const struct recorder_options *options = &recorder->options;
    size_t most = options->point_count / RECORD_MAX_POINTS + STREAM_COUNT;
    recorder->groups = calloc(most, sizeof(*recorder->groups));
    recorder->places = calloc(options->point_count + 1, sizeof(*recorder->places));
    if (!recorder->groups || !recorder->places)
        return ERR_NO_MEMORY;
    for (int stream = 0; stream < STREAM_COUNT; stream++) {
        struct group *group = NULL;
        for (size_t i = 0; i < options->point_count; i++) {
            if ((int)options->streams[i] != stream)
                continue;
            if (!group || group->point_count == RECORD_MAX_POINTS) {
                group = &recorder->groups[recorder->group_count++];
                group->stream = (enum stream)stream;
                group->points = calloc(RECORD_MAX_POINTS, sizeof(*group->points));
                group->data = record_data_new(RECORD_CLOSE_BYTES);
                if (!group->points || !group->data)
                    return ERR_NO_MEMORY;
            }
            recorder->places[i] =
                (struct place){(uint32_t)(recorder->group_count - 1), (uint32_t)group->point_count};
            group->points[group->point_count++] = (uint32_t)i;
        }
    }
    return 0;
}

int recorder_new(const struct recorder_options *options, const struct journal_report *report,
                 struct now now, struct recorder **ret_recorder, struct message *message)
{
    struct recorder *recorder = calloc(1, sizeof(*recorder));
    if (!recorder)
        return message_set(message, ERR_NO_MEMORY, "recorder: out of memory");
    recorder->options = *options;
    pthread_mutex_init(&recorder->lock, NULL);
    buffer_init(&recorder->payload, RECORD_MAX_BYTES);
    buffer_init(&recorder->held.payload, RECORD_MAX_BYTES);
    for (int stream = 0; stream < STREAM_COUNT; stream++)
        recorder->due_us[stream] = NEVER;
    recorder->carry_us = NEVER;
    size_t batches = options->queue_batches ? options->queue_batches : QUEUE_BATCHES;
    recorder->queue = queue_new(batches, sizeof(struct batch), release_batch);
    int err = recorder->queue ? make_groups(recorder) : ERR_NO_MEMORY;
    if (err)
        message_set(message, err, "recorder: out of memory");
    /* Where that fails now, it is asked again before anything is taken over. */
    if (!err && carry_look(options->journal, message) == ERR_NO_MEMORY)
        err = ERR_NO_MEMORY;
    if (!err)
        err = introduce(recorder, report, now, message);
    if (err) {
        recorder_free(recorder);
        return err;
    }
    /* What is owed follows with the first step: instruments are read from the start on. */
    recorder->carry_us = now.mono_us;
    *ret_recorder = recorder;
    return 0;
}

void recorder_free(struct recorder *recorder)
{
    if (!recorder)
        return;
    queue_free(recorder->queue);
    for (size_t i = 0; i < recorder->group_count; i++) {
        free(recorder->groups[i].points);
        record_data_free(recorder->groups[i].data);
    }
    free(recorder->groups);
    free(recorder->places);
    buffer_release(&recorder->payload);
    buffer_release(&recorder->held.payload);
    pthread_mutex_destroy(&recorder->lock);
    free(recorder);
}

int recorder_put(struct recorder *recorder, const struct sample *samples, size_t number)
{
    struct batch batch = {number, calloc(number, sizeof(*samples))};
    int err = batch.samples ? 0 : ERR_NO_MEMORY;
    if (!err) {
        memcpy(batch.samples, samples, number * sizeof(*samples));
        err = queue_push(recorder->queue, &batch);
    }
    if (err) {
        free(batch.samples);
        recorder_refuse(recorder, number);
    }
    return err;
}

void recorder_refuse(struct recorder *recorder, uint64_t readings)
{
    count(recorder, &recorder->status.refused, readings);
}

uint64_t recorder_gaps(struct recorder *recorder)
{
    pthread_mutex_lock(&recorder->lock);
    uint64_t gaps = recorder->gaps;
    pthread_mutex_unlock(&recorder->lock);
    return gaps;
}

int recorder_fd(struct recorder *recorder)
{
    return queue_fd(recorder->queue);
}

/* ---- stepping ---- */

/* What a reader met on the disk since the opening is told as well. */
static int tell_losses(struct recorder *recorder, struct now now, struct message *message)
{
    struct journal_loss loss;
    int err = 0;
    while (!err && !journal_next_loss(recorder->options.journal, &loss))
        err = append_loss(recorder, &loss, now, message);
    return err;
}

static int work(struct recorder *recorder, struct now now, bool all, struct message *message)
{
    int err = recorder->held.points ? append_held(recorder, now, message) : 0;
    if (!err)
        err = take_samples(recorder, now, message);
    if (!err)
        err = close_due(recorder, now, all, message);
    if (!err)
        err = tell_losses(recorder, now, message);
    if (journal_pending(recorder->options.journal)) {
        int commit_err = commit(recorder, now, message);
        err = err ? err : commit_err;
    }
    if (!err && recorder->carry_us <= now.mono_us)
        err = settle_old_epoch(recorder, now, message);
    if (!err && recorder->refused_taken) {
        recorder->refused_taken = false;
        count(recorder, &recorder->gaps, 1);
    }
    set_status(recorder, err, message);
    return err;
}

int64_t recorder_step(struct recorder *recorder, struct now now)
{
    struct message message = {""};
    if (work(recorder, now, false, &message))
        return now.mono_us + US_PER_S; /* the disk is full or failing: not a thousand times */
    int64_t due = recorder->carry_us;
    for (int stream = 0; stream < STREAM_COUNT; stream++)
        if (recorder->due_us[stream] < due)
            due = recorder->due_us[stream];
    return due;
}

int recorder_flush(struct recorder *recorder, struct now now, struct message *message)
{
    return work(recorder, now, true, message);
}

int recorder_new_epoch(struct recorder *recorder, struct now now, struct message *message)
{
    static const struct journal_report nothing = {0};
    journal_make_way(recorder->options.journal);
    int err = recorder_flush(recorder, now, message);
    if (!err)
        err = settle_old_epoch(recorder, now, message);
    if (!err)
        err = journal_new_epoch(recorder->options.journal, message);
    if (err)
        return err;
    recorder->carry_us = now.mono_us; /* at the next step: new records are sent meanwhile */
    return introduce(recorder, &nothing, now, message);
}

void recorder_get_status(struct recorder *recorder, struct recorder_status *ret_status)
{
    pthread_mutex_lock(&recorder->lock);
    *ret_status = recorder->status;
    pthread_mutex_unlock(&recorder->lock);
}
