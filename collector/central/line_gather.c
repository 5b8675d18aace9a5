#include "central/line_gather.h"

#include "base/log.h"
#include "store/stamps.h"

#include <stdlib.h>

#define RECORDS_AT_ONCE 500

/* ---- births ---- */

static int load_birth(void *self, const char *name, struct buffer *out, struct message *message)
{
    struct line_gather *gather = self;
    int err = history_db_birth(gather->embedded, name, out, message);
    return err == ERR_NOT_FOUND
               ? message_set(message, err, "the embedded store has yet to take birth %s", name)
               : err;
}

static int number_point(void *self, const struct point_info *point, int64_t *ret_number,
                        struct message *message)
{
    struct line_gather *gather = self;
    return series_number(&gather->series, point, ret_number, message);
}

/* The birth of a record, its points numbered. Where there are too many series, all are forgotten:
 * those that are still alive come again. */
static int find_birth(struct line_gather *gather, const struct record *record,
                      const struct birth **ret_birth, struct message *message)
{
    int err = births_get(&gather->births, record->birth, &gather->source, ret_birth, message);
    if (err != ERR_FULL)
        return err;
    births_clear(&gather->births);
    series_clear(&gather->series);
    return births_get(&gather->births, record->birth, &gather->source, ret_birth, message);
}

static int take_birth(struct line_gather *gather, const struct journal_frame *frame,
                      const struct record *record, struct message *message)
{
    char name[BIRTH_SIZE];
    record_birth_id(frame->payload, frame->len, name);
    int err = births_add(&gather->births, name, record, &gather->source, message);
    return err == ERR_FULL ? 0 : err; /* looked up when it is needed */
}

/* ---- samples ---- */

/* No store of this protocol can keep it; the record keeps the true time. */
static int set_aside_time(struct line_gather *gather, const struct series *series,
                          const struct sample *sample, struct message *message)
{
    struct buffer line;
    const struct line_letters *letters = &gather->options.letters;
    buffer_init(&line, LINE_MAX_BYTES);
    line_append(&line, series->head, series->len, sample, sample->t_ms, true);
    int err = buffer_error(&line);
    if (!err)
        err = letters->add(letters->self, line.data, line.len - 1,
                           "a time before 1677 or after 2262", message);
    buffer_release(&line);
    return err;
}

static int take_sample(struct line_gather *gather, struct series *series, uint64_t seq,
                       const struct sample *sample, struct message *message)
{
    int64_t t_ms = stamps_settle(&series->stamps, seq, sample->t_ms);
    if (seq <= gather->resume)
        return 0;
    if (t_ms < LINE_MIN_TIME || t_ms > LINE_MAX_TIME)
        return set_aside_time(gather, series, sample, message);
    gather->moved += t_ms != sample->t_ms;
    return line_batch_add(&gather->batch, series->head, series->len, sample, t_ms,
                          gather->options.with_text);
}

static int take_samples(struct line_gather *gather, const struct birth *birth,
                        const struct journal_frame *frame, const struct record *record,
                        struct message *message)
{
    int err = 0;
    uint64_t strange = 0;
    for (size_t i = 0; !err && i < record->sample_count; i++) {
        const struct sample *sample = &record->samples[i];
        if (sample->point < birth->count)
            err = take_sample(gather, &gather->series.list[birth->numbers[sample->point]],
                              frame->seq, sample, message);
        else
            strange++;
    }
    if (strange && frame->seq > gather->resume)
        log_warn("store", "%s: %llu samples of record %llu are of points that its birth lacks",
                 gather->options.name, (unsigned long long)strange, (unsigned long long)frame->seq);
    return err;
}

/* ERR_FULL, ERR_NOT_FOUND: nothing of it was taken. */
static int take_data(struct line_gather *gather, const struct journal_frame *frame,
                     const struct record *record, struct message *message)
{
    const struct birth *birth;
    if (frame->seq > gather->resume && gather->batch.count + record->sample_count > LINE_BATCH_MAX)
        return ERR_FULL;
    int err = find_birth(gather, record, &birth, message);
    if (err)
        return err == ERR_FULL ? ERR_RANGE : err;
    err = take_samples(gather, birth, frame, record, message);
    if (!err)
        return 0;
    /* Some of its stamps are settled: all that was not delivered is read anew. */
    line_gather_go_back(gather, gather->delivered);
    return err == ERR_FULL || err == ERR_NOT_FOUND ? ERR_IO : err;
}

/* ---- records ---- */

static int take_frame(struct line_gather *gather, const struct journal_frame *frame,
                      struct message *message)
{
    struct record record;
    int err = record_parse(frame->payload, frame->len, &record, message);
    if (err == ERR_NO_MEMORY)
        return err;
    if (err) {
        log_warn("store", "%s: record %llu of %s cannot be read: %s", gather->options.name,
                 (unsigned long long)frame->seq, frame->origin, message->text);
        return 0;
    }
    if (record.head.kind == RECORD_BIRTH)
        err = take_birth(gather, frame, &record, message);
    else if (record.head.kind == RECORD_DATA)
        err = take_data(gather, frame, &record, message);
    record_release(&record);
    return err;
}

static int read_one(struct line_gather *gather, struct message *message)
{
    struct journal_frame frame;
    int err = journal_reader_next(gather->reader, &frame, NULL);
    if (err)
        return err;
    uint64_t seq = frame.seq;
    err = take_frame(gather, &frame, message);
    /* It comes again, unless the reader has gone back further by itself. */
    if (err && journal_reader_position(gather->reader) == seq + 1)
        journal_reader_seek(gather->reader, seq);
    else if (!err && seq > gather->taken)
        gather->taken = seq;
    return err;
}

int line_gather_read(struct line_gather *gather, struct message *message)
{
    int err = gather->full ? ERR_FULL : 0;
    for (int count = 0; !err && count < RECORDS_AT_ONCE; count++)
        err = read_one(gather, message);
    /* Sequences at the end that do not exist are behind us too. */
    uint64_t position = journal_reader_position(gather->reader) - 1;
    if (err == ERR_AGAIN && position > gather->taken)
        gather->taken = position;
    gather->full = err == ERR_FULL;
    return err;
}

void line_gather_take(struct line_gather *gather)
{
    gather->delivered = gather->taken;
    gather->full = false;
    line_batch_clear(&gather->batch);
}

void line_gather_go_back(struct line_gather *gather, uint64_t position)
{
    line_batch_clear(&gather->batch);
    series_forget_stamps(&gather->series);
    gather->resume = gather->delivered = gather->taken = position;
    gather->full = false;
    journal_reader_seek(gather->reader,
                        position > STAMPS_WARM_UP ? position - STAMPS_WARM_UP + 1 : 1);
}

int line_gather_open(struct line_gather *gather, const struct line_gather_options *options,
                     uint64_t position, struct message *message)
{
    struct db_options reader = {.path = options->history_path, .mode = DB_READER};
    gather->options = *options;
    gather->source = (struct births_source){gather, load_birth, number_point};
    births_init(&gather->births);
    series_init(&gather->series);
    line_batch_init(&gather->batch);
    int err = history_db_open(&reader, &gather->embedded, NULL, message);
    if (err)
        return err;
    if (journal_reader_open(options->journal, 0, 1, &gather->reader))
        return message_set(message, ERR_NO_MEMORY, "store %s: cannot read the journal",
                           options->name);
    line_gather_go_back(gather, position);
    return 0;
}

void line_gather_release(struct line_gather *gather)
{
    journal_reader_close(gather->reader);
    history_db_close(gather->embedded);
    line_batch_release(&gather->batch);
    series_release(&gather->series);
    births_release(&gather->births);
}
