#include "central/line_gather.h"

#include "base/log.h"

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
 * those that are still alive come again, and then what was read counts as not seen. */
static int find_birth(struct line_gather *gather, uint64_t position, const struct record *record,
                      const struct birth **ret_birth, struct message *message)
{
    int err = births_get(&gather->births, record->birth, &gather->source, ret_birth, message);
    if (err != ERR_FULL)
        return err;
    births_clear(&gather->births);
    series_clear(&gather->series);
    gather->stamps.from = position;
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

static int take_sample(struct line_gather *gather, struct series *series,
                       struct stamp_record *record, size_t index, struct message *message)
{
    const struct sample *sample = &record->record->samples[index];
    int64_t t_ms;
    int err = stamps_settle(&gather->stamps, series_stamps(&gather->series, series), record, index,
                            &t_ms, message);
    if (err)
        return err;
    if (t_ms < LINE_MIN_TIME || t_ms > LINE_MAX_TIME)
        return set_aside_time(gather, series, sample, message);
    gather->moved += t_ms != sample->t_ms;
    return line_batch_add(&gather->batch, series->head, series->len, sample, t_ms,
                          gather->options.with_text);
}

/* All of its lines, or none. */
static int take_samples(struct line_gather *gather, const struct birth *birth,
                        const struct journal_frame *frame, const struct record *record,
                        struct message *message)
{
    struct stamp_record stamped = {frame->seq, frame->origin, record, 0};
    size_t lines = gather->batch.count;
    uint64_t moved = gather->moved, strange = 0;
    int err = 0;
    for (size_t i = 0; !err && i < record->sample_count; i++) {
        uint32_t point = record->samples[i].point;
        if (point < birth->count)
            err = take_sample(gather, &gather->series.list[birth->numbers[point]], &stamped, i,
                              message);
        else
            strange++;
    }
    if (err) {
        line_batch_truncate(&gather->batch, lines);
        gather->moved = moved;
    } else if (strange)
        log_warn("store", "%s: %llu samples of record %llu are of points that its birth lacks",
                 gather->options.name, (unsigned long long)strange, (unsigned long long)frame->seq);
    return err;
}

/* ERR_FULL, ERR_NOT_FOUND: nothing of it was taken. */
static int take_data(struct line_gather *gather, const struct journal_frame *frame,
                     const struct record *record, struct message *message)
{
    const struct birth *birth;
    if (gather->batch.count + record->sample_count > LINE_BATCH_MAX)
        return ERR_FULL;
    int err = find_birth(gather, frame->seq, record, &birth, message);
    if (!err)
        err = take_samples(gather, birth, frame, record, message);
    return err == ERR_FULL ? ERR_RANGE : err;
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
    if (err)
        journal_reader_seek(gather->reader, seq); /* it comes again */
    else
        gather->taken = seq;
    return err == ERR_AGAIN ? ERR_IO : err; /* that would say that the journal has ended */
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
    gather->delivered = gather->taken = position;
    gather->full = false;
    journal_reader_seek(gather->reader, position + 1);
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
    gather->stamps = (struct stamps){.embedded = gather->embedded, .from = position};
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
