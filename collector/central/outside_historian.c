#include "central/outside_historian.h"

#include "base/crypto.h"
#include "base/files.h"
#include "base/log.h"
#include "central/dead_letters.h"
#include "net/backoff.h"
#include "service/births.h"
#include "store/history_db.h"
#include "store/line_batch.h"
#include "store/line_delivery.h"
#include "store/series.h"
#include "store/target_cursor.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORDS_A_STEP 500
#define GATHER_US      (1 * (int64_t)US_PER_S)
#define RETRY_US       (1 * (int64_t)US_PER_S)
#define LOOK_US        (5 * (int64_t)US_PER_S) /* between looks at a store that is not believed */
#define SILENCE_US     (60 * (int64_t)US_PER_S)
#define PAUSE_MIN_MS   1000
#define PAUSE_MAX_MS   60000
#define SECRET_LIMIT   LINE_SECRET_MAX

struct outside_historian {
    const struct store_config *config;
    const char *name;
    struct journal *journal;
    struct journal_reader *reader;
    struct history_db *embedded;
    struct births births;
    struct births_source source;
    struct series_table series;
    struct line_target target;
    struct line_delivery delivery;
    struct line_batch batch;
    struct dead_letters *letters;
    struct target_cursor cursor;
    struct line_store_state state;
    struct backoff backoff;
    struct now now; /* of the step */

    uint64_t resume;                  /* up to here stamps are settled, and nothing is sent */
    uint64_t taken;                   /* the last record in the batch, or before it */
    uint64_t accepted;                /* the last record the store has taken */
    bool noted;                       /* the cursor knows it */
    bool full;                        /* the next record has no room in the batch */
    bool in_doubt;                    /* the store may have been restarted: look before writing */
    int64_t opened_us;                /* the batch's first record */
    int64_t read_us, ask_us, look_us; /* not before */
    int64_t looked_us;                /* it was found not restarted */
    int64_t silent_us; /* since when it does not take what it is sent; 0: it does, or is held */
    bool look_failed;  /* it did not answer when it was last looked at */
    bool told_silence, told_startless;
    enum line_verdict verdict; /* of the last exchange */
    struct complaint complaint, reading_complaint, cursor_complaint, letters_complaint,
        thrown_complaint;

    pthread_mutex_t lock; /* guards shown */
    struct outside_status status, shown;
    uint64_t shown_accepted;
};

/* ---- births and dead letters ---- */

static int load_birth(void *self, const char *name, struct buffer *out, struct message *message)
{
    struct outside_historian *historian = self;
    int err = history_db_birth(historian->embedded, name, out, message);
    return err == ERR_NOT_FOUND
               ? message_set(message, err, "the embedded store has yet to take birth %s", name)
               : err;
}

static int number_point(void *self, const struct point_info *point, int64_t *ret_number,
                        struct message *message)
{
    struct outside_historian *historian = self;
    return series_number(&historian->series, point, ret_number, message);
}

static int add_letter(void *self, const char *line, size_t len, const char *reason,
                      struct message *message)
{
    struct outside_historian *historian = self;
    return dead_letters_add(historian->letters, historian->now, historian->name, line, len, reason,
                            message);
}

/* A line that is set aside again, after a restart of the store, is not written again. */
static void tell_letters(struct outside_historian *historian)
{
    uint64_t count = dead_letters_written(historian->letters) - historian->status.dead_letters;
    historian->status.dead_letters += count;
    if (count)
        complaint_raise(&historian->letters_complaint, historian->now.mono_us, "store",
                        "%s will never take %llu samples: they are set aside, with the reasons, in "
                        "target-%s.dead-letters.jsonl",
                        historian->name, (unsigned long long)count, historian->name);
}

/* ---- opening ---- */

/* The file's first line. It may be mended while we run, so it is read before each new try. */
static int load_secret(struct outside_historian *historian, struct message *message)
{
    const struct store_config *config = historian->config;
    const char *path = config->token_file[0] ? config->token_file : config->password_file;
    struct buffer secret;
    if (!path[0])
        return 0;
    buffer_init(&secret, SECRET_LIMIT);
    int err = file_read(path, &secret, message);
    if (!err && secret.len)
        secret.data[strcspn(secret.data, "\r\n")] = '\0';
    if (!err)
        err = line_target_set_secret(&historian->target, buffer_text(&secret), message);
    if (secret.len)
        secret_wipe(secret.data, secret.len);
    buffer_release(&secret);
    return err;
}

static int make_path(const struct outside_options *options, const char *suffix,
                     char ret_path[FILE_PATH_SIZE], struct message *message)
{
    char name[100];
    snprintf(name, sizeof(name), "target-%s.%s", options->config->name, suffix);
    if (path_join(options->folder, name, ret_path))
        return message_set(message, ERR_RANGE, "the path of `data` is too long");
    return 0;
}

static int open_cursor(struct outside_historian *historian, const struct outside_options *options,
                       struct message *message)
{
    char path[FILE_PATH_SIZE];
    bool strange = false;
    int err = make_path(options, "cursor", path, message);
    if (!err)
        err = target_cursor_open(&historian->cursor, path, journal_epoch(options->journal),
                                 &strange, message);
    if (!err && historian->cursor.settled > journal_durable(options->journal, 0)) {
        historian->cursor.settled = historian->cursor.again = 0;
        strange = true;
    }
    if (!err && strange)
        log_warn("store",
                 "%s: %s is damaged or of another journal: everything is written again, which "
                 "takes its time and does no harm",
                 historian->name, path);
    return err;
}

/* Goes on behind `position`: first the records before it, for their stamps. */
static void go_back(struct outside_historian *historian, uint64_t position)
{
    line_batch_clear(&historian->batch);
    series_forget_stamps(&historian->series);
    historian->resume = historian->taken = historian->accepted = position;
    historian->noted = true;
    historian->full = false;
    journal_reader_seek(historian->reader,
                        position > STAMPS_WARM_UP ? position - STAMPS_WARM_UP + 1 : 1);
}

static int open_parts(struct outside_historian *historian, const struct outside_options *options,
                      struct message *message)
{
    char path[FILE_PATH_SIZE];
    struct db_options reader = {.path = options->history_path, .mode = DB_READER};
    struct line_letters letters = {historian, add_letter};
    int err = line_target_init(&historian->target, options->config, message);
    if (!err)
        err = open_cursor(historian, options, message);
    if (!err)
        err = make_path(options, "dead-letters.jsonl", path, message);
    if (!err)
        err = dead_letters_open(path, &historian->letters, message);
    if (!err)
        err = history_db_open(&reader, &historian->embedded, NULL, message);
    if (!err && journal_reader_open(options->journal, 0, 1, &historian->reader))
        err = message_set(message, ERR_NO_MEMORY, "store %s: cannot read the journal",
                          historian->name);
    line_delivery_init(&historian->delivery, &historian->target, options->exchange, letters);
    return err;
}

int outside_historian_open(const struct outside_options *options,
                           struct outside_historian **ret_historian, struct message *message)
{
    struct outside_historian *historian = calloc(1, sizeof(*historian));
    struct message trouble = {""};
    if (!historian)
        return message_set(message, ERR_NO_MEMORY, "outside historian: out of memory");
    historian->config = options->config;
    historian->name = options->config->name;
    historian->journal = options->journal;
    historian->source = (struct births_source){historian, load_birth, number_point};
    historian->status.trouble = historian->shown.trouble = "";
    historian->in_doubt = true;
    pthread_mutex_init(&historian->lock, NULL);
    births_init(&historian->births);
    series_init(&historian->series);
    line_batch_init(&historian->batch);
    backoff_init(&historian->backoff, PAUSE_MIN_MS, PAUSE_MAX_MS);
    int err = open_parts(historian, options, message);
    if (err) {
        outside_historian_close(historian);
        return err;
    }
    go_back(historian, historian->cursor.settled);
    historian->shown_accepted = historian->accepted;
    /* Not there yet, perhaps: without it the store says no, and it is read again. */
    if (load_secret(historian, &trouble))
        log_warn("store", "%s: %s", historian->name, trouble.text);
    *ret_historian = historian;
    return 0;
}

void outside_historian_close(struct outside_historian *historian)
{
    if (!historian)
        return;
    journal_reader_close(historian->reader);
    history_db_close(historian->embedded);
    dead_letters_close(historian->letters);
    line_batch_release(&historian->batch);
    line_target_release(&historian->target);
    series_release(&historian->series);
    births_release(&historian->births);
    pthread_mutex_destroy(&historian->lock);
    free(historian);
}

/* ---- from records to lines ---- */

/* No store of this protocol can keep it; the record keeps the true time. */
static int set_aside_time(struct outside_historian *historian, const struct series *series,
                          const struct sample *sample, struct message *message)
{
    struct buffer line;
    buffer_init(&line, LINE_MAX_BYTES);
    line_append(&line, series->head, series->len, sample, sample->t_ms, true);
    int err = buffer_error(&line);
    if (!err)
        err = add_letter(historian, line.data, line.len - 1, "a time before 1677 or after 2262",
                         message);
    buffer_release(&line);
    return err;
}

static int take_sample(struct outside_historian *historian, struct series *series, uint64_t seq,
                       const struct sample *sample, struct message *message)
{
    int64_t t_ms = stamps_settle(&series->stamps, seq, sample->t_ms);
    if (seq <= historian->resume)
        return 0;
    if (t_ms < LINE_MIN_TIME || t_ms > LINE_MAX_TIME)
        return set_aside_time(historian, series, sample, message);
    historian->status.moved_stamps += t_ms != sample->t_ms;
    return line_batch_add(&historian->batch, series->head, series->len, sample, t_ms,
                          historian->target.with_text);
}

static int take_samples(struct outside_historian *historian, const struct birth *birth,
                        const struct journal_frame *frame, const struct record *record,
                        struct message *message)
{
    int err = 0;
    uint64_t strange = 0;
    for (size_t i = 0; !err && i < record->sample_count; i++) {
        const struct sample *sample = &record->samples[i];
        if (sample->point < birth->count)
            err = take_sample(historian, &historian->series.list[birth->numbers[sample->point]],
                              frame->seq, sample, message);
        else
            strange++;
    }
    if (strange && frame->seq > historian->resume)
        log_warn("store", "%s: %llu samples of record %llu are of points that its birth lacks",
                 historian->name, (unsigned long long)strange, (unsigned long long)frame->seq);
    return err;
}

/* The birth of a record, its points numbered. Where there are too many series, all are forgotten:
 * those that are still alive come again. */
static int find_birth(struct outside_historian *historian, const struct record *record,
                      const struct birth **ret_birth, struct message *message)
{
    int err = births_get(&historian->births, record->birth, &historian->source, ret_birth, message);
    if (err != ERR_FULL)
        return err;
    births_clear(&historian->births);
    series_clear(&historian->series);
    return births_get(&historian->births, record->birth, &historian->source, ret_birth, message);
}

/* ERR_FULL: there is no room for it in the batch. ERR_NOT_FOUND: the embedded store has yet to take
 * its birth. In both cases nothing of it was taken. */
static int take_data(struct outside_historian *historian, const struct journal_frame *frame,
                     const struct record *record, struct message *message)
{
    const struct birth *birth;
    if (frame->seq > historian->resume &&
        historian->batch.count + record->sample_count > LINE_BATCH_MAX)
        return ERR_FULL;
    int err = find_birth(historian, record, &birth, message);
    if (err == ERR_FULL)
        err = message_set(message, ERR_NO_MEMORY, "a birth with too many points");
    if (!err && take_samples(historian, birth, frame, record, message)) {
        /* Some of it was taken: all that was not delivered is taken anew. */
        go_back(historian, historian->accepted);
        err = ERR_NO_MEMORY;
    }
    return err;
}

static int take_frame(struct outside_historian *historian, const struct journal_frame *frame,
                      struct message *message)
{
    struct record record;
    if (record_parse(frame->payload, frame->len, &record, message)) {
        log_warn("store", "%s: record %llu of %s cannot be read: %s", historian->name,
                 (unsigned long long)frame->seq, frame->origin, message->text);
        return 0;
    }
    int err = 0;
    if (record.head.kind == RECORD_BIRTH) {
        char name[BIRTH_SIZE];
        record_birth_id(frame->payload, frame->len, name);
        err = births_add(&historian->births, name, &record, &historian->source, message);
        if (err == ERR_FULL)
            err = 0; /* looked up when it is needed */
    } else if (record.head.kind == RECORD_DATA)
        err = take_data(historian, frame, &record, message);
    record_release(&record);
    return err;
}

/* Reads up to a bound. True: there is more to read at once. */
static bool gather(struct outside_historian *historian)
{
    struct journal_frame frame;
    struct message message = {""};
    int err = 0, count = 0;
    if (historian->full || historian->now.mono_us < historian->read_us)
        return false;
    for (; !err && count < RECORDS_A_STEP; count++) {
        err = journal_reader_next(historian->reader, &frame, NULL);
        if (!err) {
            uint64_t seq = frame.seq;
            err = take_frame(historian, &frame, &message);
            if (err == ERR_FULL || err == ERR_NOT_FOUND)
                journal_reader_seek(historian->reader, seq);
            else if (!err && seq > historian->taken)
                historian->taken = seq;
        }
    }
    historian->full = err == ERR_FULL;
    if (!err || err == ERR_FULL || err == ERR_AGAIN) {
        complaint_clear(&historian->reading_complaint, historian->now.mono_us, "store",
                        "%s: reads the journal again", historian->name);
        return !err;
    }
    complaint_raise(&historian->reading_complaint, historian->now.mono_us, "store",
                    "%s: stands at record %llu: %s", historian->name,
                    (unsigned long long)historian->taken,
                    message.text[0] ? message.text : err_name(err));
    historian->read_us = historian->now.mono_us + RETRY_US;
    return false;
}

/* ---- what the store says ---- */

static const char *trouble_word(enum line_verdict verdict)
{
    static const char *const words[] = {
        [LINE_REFUSED] = "takes_nothing", [LINE_LATER] = "unavailable",
        [LINE_DENIED] = "denied",         [LINE_NO_DATABASE] = "no_database",
        [LINE_STRANGE] = "not_a_store",
    };
    return (size_t)verdict < sizeof(words) / sizeof(words[0]) && words[verdict] ? words[verdict]
                                                                                : "";
}

static void answered(struct outside_historian *historian)
{
    if (historian->verdict != LINE_TAKEN && historian->verdict != LINE_LATER)
        log_info("store", "%s takes samples again", historian->name);
    complaint_clear(&historian->complaint, historian->now.mono_us, "store", "%s answers again",
                    historian->name);
    historian->verdict = LINE_TAKEN;
    historian->status.trouble = "";
    historian->silent_us = 0;
    historian->told_silence = false;
    backoff_reset(&historian->backoff);
}

/* It has said nothing, or nothing useful, for a minute: most likely a person is needed. */
static void watch_silence(struct outside_historian *historian)
{
    if (!historian->silent_us || historian->told_silence ||
        historian->now.mono_us - historian->silent_us < SILENCE_US)
        return;
    historian->told_silence = true;
    log_error("store", "%s has not answered for a minute; its samples wait in the journal. %s",
              historian->name, line_target_silence_remedy(&historian->target));
}

static void pause_asking(struct outside_historian *historian, int64_t retry_after_s)
{
    int64_t pause_ms = backoff_next_ms(&historian->backoff);
    int64_t asked_ms =
        retry_after_s < PAUSE_MAX_MS / MS_PER_S ? retry_after_s * MS_PER_S : PAUSE_MAX_MS;
    if (asked_ms > pause_ms)
        pause_ms = asked_ms;
    historian->ask_us = historian->now.mono_us + pause_ms * US_PER_MS;
}

static void refused(struct outside_historian *historian, enum line_verdict verdict,
                    int64_t retry_after_s, const char *why)
{
    bool held = verdict != LINE_LATER;
    if (!held) {
        complaint_raise(&historian->complaint, historian->now.mono_us, "store",
                        "%s: %s; its samples wait in the journal", historian->name, why);
        if (!historian->silent_us)
            historian->silent_us = historian->now.mono_us;
    } else if (verdict != historian->verdict)
        log_error("store", "%s is held up, its samples wait in the journal: %s. %s",
                  historian->name, why, line_target_remedy(&historian->target, verdict));
    if (held)
        historian->silent_us = 0;
    historian->verdict = verdict;
    historian->status.trouble = trouble_word(verdict);
    historian->in_doubt = true;
    pause_asking(historian, retry_after_s);
}

/* ---- is it the store it was? ---- */

static void restarted(struct outside_historian *historian)
{
    uint64_t position = target_cursor_rewind(&historian->cursor);
    log_warn("store", "%s was restarted: what it took since record %llu is written again",
             historian->name, (unsigned long long)position);
    historian->status.rewinds++;
    go_back(historian, position);
}

static void watch_thrown_away(struct outside_historian *historian, uint64_t count)
{
    if (count > historian->state.thrown_away) {
        count -= historian->state.thrown_away;
        historian->status.thrown_away += count;
        complaint_raise(&historian->thrown_complaint, historian->now.mono_us, "store",
                        "%s said yes to %llu rows and did not keep them (vm_rows_ignored_total, "
                        "vm_rows_invalid_total): older than its -retentionPeriod, more than 2 days "
                        "ahead of its clock, or written by somebody else",
                        historian->name, (unsigned long long)count);
    }
}

/* Asks the store since when it runs. */
static void look(struct outside_historian *historian)
{
    struct line_store_state state = {.thrown_away = 0};
    struct message why = {""};
    struct line_reply reply = {.body = ""};
    struct line_request request = line_target_start_request(&historian->target);
    struct line_exchange *exchange = &historian->delivery.exchange;
    int err = exchange->ask(exchange->self, &request, &reply, &why);
    err = line_target_read_state(&historian->target, err, &reply, &state, &why);
    if (err == ERR_NOT_FOUND) {
        if (!historian->told_startless)
            log_info("store", "%s does not tell since when it runs (%s): believed after a minute",
                     historian->name, why.text);
        historian->told_startless = true;
    } else if (err) {
        refused(historian, LINE_LATER, reply.retry_after_s, why.text);
        historian->look_failed = true;
        return;
    } else {
        if (historian->state.started[0] && strcmp(historian->state.started, state.started) != 0) {
            historian->state.thrown_away = 0;
            restarted(historian);
        }
        if (historian->state.started[0])
            watch_thrown_away(historian, state.thrown_away);
        historian->state = state;
    }
    if (historian->look_failed)
        answered(historian);
    historian->look_failed = historian->in_doubt = false;
    historian->looked_us = historian->now.mono_us;
}

/* Looks where it is time for it. */
static void look_after(struct outside_historian *historian)
{
    int64_t now_us = historian->now.mono_us;
    bool unbelieved = historian->accepted > historian->cursor.settled;
    if (!line_target_tells_start(&historian->target)) {
        historian->in_doubt = false;
        historian->looked_us = now_us;
    } else if ((historian->in_doubt || (unbelieved && now_us >= historian->look_us)) &&
               now_us >= historian->ask_us) {
        historian->look_us = now_us + LOOK_US;
        look(historian);
    }
}

/* ---- writing ---- */

static void accept(struct outside_historian *historian)
{
    historian->accepted = historian->taken;
    historian->noted = false;
    historian->full = false;
    line_batch_clear(&historian->batch);
}

static void deliver(struct outside_historian *historian)
{
    struct line_delivery *delivery = &historian->delivery;
    struct message why = {""}, trouble = {""};
    if (historian->verdict == LINE_DENIED && load_secret(historian, &trouble))
        log_warn("store", "%s: %s", historian->name, trouble.text);
    enum line_verdict verdict = line_delivery_run(delivery, &historian->batch, &why);
    if (verdict != LINE_TAKEN) {
        refused(historian, verdict, delivery->retry_after_s, why.text);
        return;
    }
    answered(historian);
    historian->status.points += historian->batch.count - delivery->set_aside - delivery->too_old;
    historian->status.too_old += delivery->too_old;
    if (delivery->too_old)
        complaint_raise(&historian->letters_complaint, historian->now.mono_us, "store",
                        "%s: %llu samples are older than its retention policy keeps",
                        historian->name, (unsigned long long)delivery->too_old);
    accept(historian);
}

static bool is_ready(const struct outside_historian *historian)
{
    int64_t now_us = historian->now.mono_us;
    return !historian->in_doubt && now_us >= historian->ask_us &&
           (historian->full || now_us >= historian->opened_us + GATHER_US);
}

/* True: something was delivered. */
static bool write_batch(struct outside_historian *historian)
{
    if (historian->batch.count && is_ready(historian)) {
        deliver(historian);
        return historian->verdict == LINE_TAKEN;
    }
    if (!historian->batch.count && historian->taken > historian->accepted)
        accept(historian);
    return false;
}

/* What the last step has got a yes for was got by now. */
static void note_accepted(struct outside_historian *historian)
{
    if (!historian->noted)
        target_cursor_note(&historian->cursor, historian->accepted, historian->now.mono_us);
    historian->noted = true;
}

static void settle(struct outside_historian *historian)
{
    struct message message = {""};
    target_cursor_settle(&historian->cursor, historian->looked_us);
    if (target_cursor_save(&historian->cursor, &message))
        complaint_raise(&historian->cursor_complaint, historian->now.mono_us, "store", "%s: %s",
                        historian->name, message.text);
    else
        complaint_clear(&historian->cursor_complaint, historian->now.mono_us, "store",
                        "%s: its cursor is kept again", historian->name);
}

/* ---- the step ---- */

static int64_t next_due(const struct outside_historian *historian)
{
    int64_t due_us = NEVER;
    if (historian->batch.count)
        due_us = historian->opened_us + GATHER_US;
    if (historian->accepted > historian->cursor.settled && historian->look_us < due_us)
        due_us = historian->look_us;
    if (historian->in_doubt || historian->full)
        due_us = historian->now.mono_us;
    if (due_us != NEVER && due_us < historian->ask_us)
        due_us = historian->ask_us;
    if (historian->read_us > historian->now.mono_us && historian->read_us < due_us)
        due_us = historian->read_us;
    return historian->noted ? due_us : historian->now.mono_us;
}

static void show(struct outside_historian *historian)
{
    pthread_mutex_lock(&historian->lock);
    historian->shown = historian->status;
    historian->shown.up = !historian->status.trouble[0];
    historian->shown_accepted = historian->accepted;
    pthread_mutex_unlock(&historian->lock);
}

int64_t outside_historian_step(void *self, struct now now)
{
    struct outside_historian *historian = self;
    historian->now = now;
    note_accepted(historian);
    look_after(historian);
    settle(historian);
    watch_silence(historian);
    bool empty = historian->batch.count == 0;
    bool more = gather(historian);
    if (empty)
        historian->opened_us = now.mono_us;
    bool delivered = write_batch(historian);
    tell_letters(historian);
    show(historian);
    return more || delivered ? now.mono_us : next_due(historian);
}

void outside_historian_get_status(struct outside_historian *historian,
                                  struct outside_status *ret_status)
{
    uint64_t durable = journal_durable(historian->journal, 0);
    pthread_mutex_lock(&historian->lock);
    *ret_status = historian->shown;
    uint64_t accepted = historian->shown_accepted;
    pthread_mutex_unlock(&historian->lock);
    ret_status->lag = durable > accepted ? durable - accepted : 0;
}
