#include "central/outside_historian.h"

#include "base/crypto.h"
#include "base/files.h"
#include "base/log.h"
#include "central/dead_letters.h"
#include "central/line_gather.h"
#include "central/store_misfits.h"
#include "net/backoff.h"
#include "store/line_delivery.h"
#include "store/target_cursor.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GATHER_US    (1 * (int64_t)US_PER_S)
#define RETRY_US     (1 * (int64_t)US_PER_S)
#define LOOK_US      (5 * (int64_t)US_PER_S) /* between looks at a store that is not believed */
#define WAIT_US      (US_PER_S / 5)          /* between looks at the embedded store */
#define BEHIND_US    (60 * (int64_t)US_PER_S)
#define SILENCE_US   (60 * (int64_t)US_PER_S)
#define PAUSE_MIN_MS 1000
#define PAUSE_MAX_MS 60000

struct outside_historian {
    const struct store_config *config;
    const char *name;
    struct journal *journal;
    struct line_gather gather;
    struct line_target target;
    struct line_delivery delivery;
    struct dead_letters *letters;
    struct store_misfits misfits;
    struct target_cursor cursor;
    struct line_store_state state;
    struct backoff backoff;
    struct now now; /* of the step */

    bool noted;                       /* the cursor knows what was delivered last */
    bool in_doubt;                    /* the store may have been restarted: look before writing */
    int64_t opened_us;                /* the batch's first record */
    int64_t read_us, ask_us, look_us; /* not before */
    int64_t looked_us;                /* it was found not restarted */
    int64_t waits_us;                 /* for the embedded store, since then; 0: it does not */
    int64_t silent_us; /* since when it does not take what it is sent; 0: it does, or is held */
    bool heard;        /* it has answered since then */
    bool look_failed;  /* it did not answer when it was last looked at */
    bool empty;        /* it has nothing of ours, as far as we know */
    bool created;      /* its database, since it last took something */
    bool told_silence, told_startless;
    enum line_verdict verdict; /* of the last exchange */
    struct message answer;     /* … and its words */
    struct complaint complaint, reading_complaint, cursor_complaint, secret_complaint;

    pthread_mutex_t lock; /* guards shown */
    struct outside_status status, shown;
    uint64_t shown_delivered;
};

/* ---- dead letters ---- */

static int add_letter(void *self, const char *line, size_t len, const char *reason,
                      struct message *message)
{
    struct outside_historian *historian = self;
    return dead_letters_add(historian->letters, historian->now, historian->name, line, len, reason,
                            message);
}

/* ---- opening ---- */

/* The file's first line. It may be mended while we run, so it is read before each new try; where it
 * cannot be read, the store says no. */
static void load_secret(struct outside_historian *historian)
{
    struct message message = {""};
    const struct store_config *config = historian->config;
    const char *path = config->token_file[0] ? config->token_file : config->password_file;
    struct buffer secret;
    if (!path[0])
        return;
    buffer_init(&secret, LINE_SECRET_MAX);
    int err = file_read(path, &secret, &message);
    if (!err && secret.len)
        secret.data[strcspn(secret.data, "\r\n")] = '\0';
    if (!err)
        err = line_target_set_secret(&historian->target, buffer_text(&secret), &message);
    if (secret.len)
        secret_wipe(secret.data, secret.len);
    buffer_release(&secret);
    if (err)
        complaint_raise(&historian->secret_complaint, historian->now.mono_us, "store", "%s: %s",
                        historian->name, message.text);
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
    struct target_cursor *cursor = &historian->cursor;
    struct buffer store;
    bool strange = false;
    buffer_init(&store, TARGET_STORE_SIZE);
    store_config_identify(options->config, &store);
    int err = make_path(options, "cursor", path, message);
    if (!err && buffer_error(&store))
        err = message_set(message, ERR_RANGE, "store %s: its address is too long", historian->name);
    if (!err)
        err = target_cursor_open(cursor, path, journal_epoch(options->journal), buffer_text(&store),
                                 &strange, message);
    buffer_release(&store);
    if (!err && cursor->settled > journal_durable(options->journal, 0)) {
        target_cursor_restart(cursor);
        strange = true;
    }
    if (!err && strange)
        log_warn("store",
                 "%s: %s is damaged, or of another journal, or of another store (kind, url, "
                 "database, bucket): everything is written again, which takes its time and does "
                 "no harm",
                 historian->name, path);
    return err;
}

static int open_parts(struct outside_historian *historian, const struct outside_options *options,
                      struct message *message)
{
    char path[FILE_PATH_SIZE];
    struct line_letters letters = {historian, add_letter};
    int err = line_target_init(&historian->target, options->config, message);
    if (!err)
        err = open_cursor(historian, options, message);
    if (!err)
        err = make_path(options, "dead-letters.jsonl", path, message);
    if (!err)
        err = dead_letters_open(path, &historian->letters, message);
    line_delivery_init(&historian->delivery, &historian->target, options->exchange, letters);
    struct line_gather_options gather = {.name = historian->name,
                                         .journal = options->journal,
                                         .history_path = options->history_path,
                                         .with_text = historian->target.with_text,
                                         .letters = letters};
    return err ? err
               : line_gather_open(&historian->gather, &gather, historian->cursor.settled, message);
}

int outside_historian_open(const struct outside_options *options,
                           struct outside_historian **ret_historian, struct message *message)
{
    struct outside_historian *historian = calloc(1, sizeof(*historian));
    if (!historian)
        return message_set(message, ERR_NO_MEMORY, "outside historian: out of memory");
    historian->config = options->config;
    historian->name = historian->misfits.name = options->config->name;
    historian->journal = options->journal;
    historian->status.trouble = historian->shown.trouble = "";
    historian->in_doubt = historian->noted = true;
    pthread_mutex_init(&historian->lock, NULL);
    backoff_init(&historian->backoff, PAUSE_MIN_MS, PAUSE_MAX_MS);
    int err = open_parts(historian, options, message);
    if (err) {
        outside_historian_close(historian);
        return err;
    }
    historian->empty = !historian->cursor.settled;
    historian->shown_delivered = historian->gather.delivered;
    load_secret(historian);
    *ret_historian = historian;
    return 0;
}

void outside_historian_close(struct outside_historian *historian)
{
    if (!historian)
        return;
    line_gather_release(&historian->gather);
    dead_letters_close(historian->letters);
    line_target_release(&historian->target);
    pthread_mutex_destroy(&historian->lock);
    free(historian);
}

/* ---- reading ---- */

static void reads_again(struct outside_historian *historian)
{
    historian->waits_us = 0;
    complaint_clear(&historian->reading_complaint, historian->now.mono_us, "store",
                    "%s: reads the journal again", historian->name);
}

/* The embedded store gathers a second's records, so to wait for it a little is no trouble. */
static void stand(struct outside_historian *historian, int err, const struct message *message)
{
    int64_t now_us = historian->now.mono_us;
    bool waits = err == ERR_NOT_FOUND;
    if (!historian->waits_us || !waits)
        historian->waits_us = waits ? now_us : 0;
    historian->read_us = now_us + (waits ? WAIT_US : RETRY_US);
    if (!waits || now_us - historian->waits_us >= BEHIND_US)
        complaint_raise(&historian->reading_complaint, now_us, "store",
                        "%s: stands at record %llu: %s", historian->name,
                        (unsigned long long)historian->gather.taken,
                        message->text[0] ? message->text : err_name(err));
}

/* True: there is more to read at once. */
static bool gather(struct outside_historian *historian)
{
    struct message message = {""};
    if (historian->now.mono_us < historian->read_us)
        return false;
    int err = line_gather_read(&historian->gather, &message);
    if (!err || err == ERR_FULL || err == ERR_AGAIN)
        reads_again(historian);
    else
        stand(historian, err, &message);
    return !err;
}

/* ---- what the store says ---- */

static const char *trouble_word(enum line_verdict verdict)
{
    static const char *const words[] = {
        [LINE_REFUSED] = "takes_nothing",
        [LINE_SILENT] = "unavailable",
        [LINE_BUSY] = "busy",
        [LINE_UNKEPT] = "letters_unkept",
        [LINE_DENIED] = "denied",
        [LINE_NO_DATABASE] = "no_database",
        [LINE_STRANGE] = "not_a_store",
    };
    return (size_t)verdict < sizeof(words) / sizeof(words[0]) && words[verdict] ? words[verdict]
                                                                                : "";
}

/* It does not take anything now, and may by itself. */
static bool is_passing(enum line_verdict verdict)
{
    return verdict == LINE_SILENT || verdict == LINE_BUSY;
}

static void answered(struct outside_historian *historian)
{
    if (historian->verdict != LINE_TAKEN && !is_passing(historian->verdict))
        log_info("store", "%s takes samples again", historian->name);
    complaint_clear(&historian->complaint, historian->now.mono_us, "store",
                    "%s takes samples again", historian->name);
    historian->verdict = LINE_TAKEN;
    historian->status.trouble = "";
    historian->silent_us = 0;
    historian->told_silence = historian->heard = false;
    backoff_reset(&historian->backoff);
}

/* It has said nothing, or nothing useful, for a minute: most likely a person is needed. */
static void watch_silence(struct outside_historian *historian)
{
    if (!historian->silent_us || historian->told_silence ||
        historian->now.mono_us - historian->silent_us < SILENCE_US)
        return;
    historian->told_silence = true;
    if (historian->heard)
        log_error(
            "store",
            "%s has taken nothing for a minute, though it did answer; its samples wait in the "
            "journal. Last: %s. %s",
            historian->name, historian->answer.text, line_target_busy_remedy(&historian->target));
    else
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
                    int64_t retry_after_s, const struct message *why)
{
    if (is_passing(verdict)) {
        complaint_raise(&historian->complaint, historian->now.mono_us, "store",
                        "%s: %s; its samples wait in the journal", historian->name, why->text);
        if (!historian->silent_us)
            historian->silent_us = historian->now.mono_us;
        historian->heard |= verdict == LINE_BUSY;
    } else {
        if (verdict != historian->verdict)
            log_error("store", "%s is held up, its samples wait in the journal: %s. %s",
                      historian->name, why->text, line_target_remedy(&historian->target, verdict));
        historian->silent_us = 0;
        historian->told_silence = historian->heard = false;
    }
    historian->answer = *why;
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
    historian->noted = true;
    line_gather_go_back(&historian->gather, position);
}

/* What it means that the start cannot be told. `err`: of the exchange. */
static enum line_verdict verdict_of(int err, const struct line_reply *reply)
{
    if (err)
        return LINE_SILENT;
    if (reply->status == 401 || reply->status == 403)
        return LINE_DENIED;
    return LINE_BUSY;
}

/* It tells when it was started. */
static void take_state(struct outside_historian *historian, const struct line_store_state *state)
{
    if (historian->state.started[0] && strcmp(historian->state.started, state->started) != 0) {
        historian->state.thrown_away = 0;
        restarted(historian);
    }
    uint64_t before =
        historian->state.started[0] ? historian->state.thrown_away : state->thrown_away;
    store_misfits_note_thrown_away(&historian->misfits, historian->now.mono_us,
                                   state->thrown_away > before ? state->thrown_away - before : 0);
    historian->state = *state;
}

static void note_startless(struct outside_historian *historian, const struct message *why)
{
    if (!historian->told_startless)
        log_info("store", "%s does not tell since when it runs (%s): believed after a minute",
                 historian->name, why->text);
    historian->told_startless = true;
}

/* Asks the store since when it runs. */
static void look(struct outside_historian *historian)
{
    struct line_store_state state = {.thrown_away = 0};
    struct message why = {""};
    struct line_reply reply = {.body = ""};
    struct line_request request = line_target_start_request(&historian->target);
    struct line_exchange *exchange = &historian->delivery.exchange;
    int unheard = exchange->ask(exchange->self, &request, &reply, &why);
    int err = line_target_read_state(&historian->target, unheard, &reply, &state, &why);
    if (err && (err != ERR_NOT_FOUND || historian->state.started[0])) {
        refused(historian, verdict_of(unheard, &reply), reply.retry_after_s, &why);
        historian->look_failed = true;
        return;
    }
    if (err)
        note_startless(historian, &why);
    else
        take_state(historian, &state);
    if (historian->look_failed)
        answered(historian);
    historian->look_failed = historian->in_doubt = false;
    historian->looked_us = historian->now.mono_us;
}

/* Looks where it is time for it. */
static void look_after(struct outside_historian *historian)
{
    int64_t now_us = historian->now.mono_us;
    bool unbelieved = historian->gather.delivered > historian->cursor.settled;
    if (!line_target_tells_start(&historian->target)) {
        historian->in_doubt = false;
        historian->looked_us = now_us;
        historian->look_us = now_us + LOOK_US;
    } else if ((historian->in_doubt || (unbelieved && now_us >= historian->look_us)) &&
               now_us >= historian->ask_us) {
        historian->look_us = now_us + LOOK_US;
        look(historian);
    }
}

/* ---- writing ---- */

static void accept(struct outside_historian *historian)
{
    line_gather_take(&historian->gather);
    historian->noted = false;
}

static void save_cursor(struct outside_historian *historian)
{
    struct message message = {""};
    if (target_cursor_save(&historian->cursor, &message))
        complaint_raise(&historian->cursor_complaint, historian->now.mono_us, "store", "%s: %s",
                        historian->name, message.text);
    else
        complaint_clear(&historian->cursor_complaint, historian->now.mono_us, "store",
                        "%s: its cursor is kept again", historian->name);
}

/* A store without our database has nothing of ours. The cursor says so before there is one again,
 * whoever makes it. */
static void begin_anew(struct outside_historian *historian)
{
    if (historian->empty)
        return;
    log_warn("store", "%s lacks its database: everything is written again", historian->name);
    historian->empty = true;
    target_cursor_restart(&historian->cursor);
    historian->noted = true;
    save_cursor(historian);
    line_gather_go_back(&historian->gather, 0);
}

/* True: it was made, and there is something to be tried again. */
static bool make_database(struct outside_historian *historian, struct message *why)
{
    begin_anew(historian);
    if (historian->created || historian->cursor.saved)
        return false;
    historian->created = !line_delivery_create_database(&historian->delivery, why);
    return historian->created;
}

static void deliver(struct outside_historian *historian)
{
    struct line_delivery *delivery = &historian->delivery;
    struct message why = {""};
    enum line_verdict verdict = line_delivery_run(delivery, &historian->gather.batch, &why);
    if (verdict == LINE_NO_DATABASE && make_database(historian, &why))
        return;
    if (verdict != LINE_TAKEN) {
        refused(historian, verdict, delivery->retry_after_s, &why);
        return;
    }
    answered(historian);
    historian->created = historian->empty = false;
    historian->status.points +=
        historian->gather.batch.count - delivery->set_aside - delivery->too_old;
    store_misfits_note_too_old(&historian->misfits, historian->now.mono_us, delivery->too_old);
    accept(historian);
}

static bool is_ready(const struct outside_historian *historian)
{
    int64_t now_us = historian->now.mono_us;
    return !historian->in_doubt && now_us >= historian->ask_us &&
           (historian->gather.full || now_us >= historian->opened_us + GATHER_US);
}

/* True: something was delivered. */
static bool write_batch(struct outside_historian *historian)
{
    if (historian->gather.batch.count && is_ready(historian)) {
        deliver(historian);
        return historian->verdict == LINE_TAKEN;
    }
    if (!historian->gather.batch.count && historian->gather.taken > historian->gather.delivered)
        accept(historian);
    return false;
}

/* What the last step has got a yes for was got by now. */
static void note_accepted(struct outside_historian *historian)
{
    if (!historian->noted)
        target_cursor_note(&historian->cursor, historian->gather.delivered, historian->now.mono_us);
    historian->noted = true;
}

static void settle(struct outside_historian *historian)
{
    target_cursor_settle(&historian->cursor, historian->looked_us);
    save_cursor(historian);
}

/* ---- the step ---- */

static int64_t next_due(const struct outside_historian *historian)
{
    int64_t due_us = NEVER;
    if (historian->gather.batch.count)
        due_us = historian->opened_us + GATHER_US;
    if (historian->gather.delivered > historian->cursor.settled && historian->look_us < due_us)
        due_us = historian->look_us;
    if (historian->in_doubt || historian->gather.full)
        due_us = historian->now.mono_us;
    if (due_us != NEVER && due_us < historian->ask_us)
        due_us = historian->ask_us;
    if (historian->read_us > historian->now.mono_us && historian->read_us < due_us)
        due_us = historian->read_us;
    return historian->noted ? due_us : historian->now.mono_us;
}

static void show(struct outside_historian *historian)
{
    const struct store_misfits *misfits = &historian->misfits;
    struct outside_status status = historian->status;
    status.dead_letters = misfits->set_aside.total;
    status.letters_lost = misfits->lost;
    status.too_old = misfits->too_old.total;
    status.thrown_away = misfits->thrown_away.total;
    status.moved_stamps = historian->gather.moved;
    status.up = !status.trouble[0];
    if (misfits->full && status.up)
        status.trouble = "letters_full";
    pthread_mutex_lock(&historian->lock);
    historian->shown = status;
    historian->shown_delivered = historian->gather.delivered;
    pthread_mutex_unlock(&historian->lock);
}

int64_t outside_historian_step(void *self, struct now now)
{
    struct outside_historian *historian = self;
    historian->now = now;
    note_accepted(historian);
    if (historian->verdict == LINE_DENIED && now.mono_us >= historian->ask_us)
        load_secret(historian);
    look_after(historian);
    settle(historian);
    watch_silence(historian);
    bool empty = historian->gather.batch.count == 0;
    bool more = gather(historian);
    if (empty)
        historian->opened_us = now.mono_us;
    bool delivered = write_batch(historian);
    store_misfits_note_letters(&historian->misfits, now.mono_us, historian->letters);
    show(historian);
    return more || delivered ? now.mono_us : next_due(historian);
}

void outside_historian_get_status(struct outside_historian *historian,
                                  struct outside_status *ret_status)
{
    uint64_t durable = journal_durable(historian->journal, 0);
    pthread_mutex_lock(&historian->lock);
    *ret_status = historian->shown;
    uint64_t delivered = historian->shown_delivered;
    pthread_mutex_unlock(&historian->lock);
    ret_status->lag = durable > delivered ? durable - delivered : 0;
}
