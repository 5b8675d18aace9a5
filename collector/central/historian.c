#include "central/historian.h"

#include "base/log.h"
#include "service/births.h"
#include "service/follower.h"
#include "store/history_db.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Each transaction writes a page for every point it touches: small ones would write megabytes a
 * second for nothing. Live values come from elsewhere. Shorter than a tick of the journal, else it
 * would always be one tick behind while nothing else comes. */
#define GATHER_US (800 * (int64_t)US_PER_MS)

struct historian {
    struct history_db *db;
    struct births births;
    struct births_source source;
    struct follower follower;
    uint64_t added; /* in the open transaction */
    _Atomic uint64_t stored;
};

static int load_birth(void *self, const char *name, struct buffer *out, struct message *message)
{
    struct historian *historian = self;
    return history_db_birth(historian->db, name, out, message);
}

static int number_point(void *self, const struct point_info *point, int64_t *ret_number,
                        struct message *message)
{
    struct historian *historian = self;
    return history_db_add_point(historian->db, point, ret_number, message);
}

static int begin(void *self, struct message *message)
{
    struct historian *historian = self;
    historian->added = 0;
    return history_db_begin(historian->db, message);
}

static int take_birth(struct historian *historian, const struct journal_frame *frame,
                      const struct record *record, struct message *message)
{
    char name[BIRTH_SIZE];
    record_birth_id(frame->payload, frame->len, name);
    int err = history_db_add_birth(historian->db, name, frame->payload, frame->len, message);
    return err ? err : births_add(&historian->births, name, record, &historian->source, message);
}

/* Samples of points that the birth lacks belong to nothing: they are passed over and told, so that
 * they hold up nobody else's. Returns how many are left in `kept`, which has room for all. */
static size_t keep_known(const struct record *record, const struct birth *birth, const char *origin,
                         struct sample *kept)
{
    size_t count = 0;
    for (size_t i = 0; i < record->sample_count; i++)
        if (record->samples[i].point < birth->count)
            kept[count++] = record->samples[i];
    log_warn("historian", "record %llu of %s: %zu samples are of points that its birth lacks",
             (unsigned long long)record->head.seq, origin, record->sample_count - count);
    return count;
}

static bool all_known(const struct record *record, const struct birth *birth)
{
    for (size_t i = 0; i < record->sample_count; i++)
        if (record->samples[i].point >= birth->count)
            return false;
    return true;
}

static int take_data(struct historian *historian, const struct journal_frame *frame,
                     const struct record *record, struct message *message)
{
    const struct birth *birth;
    const struct sample *samples = record->samples;
    size_t count = record->sample_count, stored = 0;
    struct sample *kept = NULL;
    int64_t source;
    int err = births_get(&historian->births, record->birth, &historian->source, &birth, message);
    if (!err)
        err = history_db_add_source(historian->db, frame->origin, record->head.epoch,
                                    record->head.stream, &source, message);
    if (!err && !all_known(record, birth)) {
        samples = kept = calloc(count, sizeof(*kept));
        if (!kept)
            return message_set(message, ERR_NO_MEMORY, "historian: out of memory");
        count = keep_known(record, birth, frame->origin, kept);
    }
    if (!err)
        err = history_db_add_samples(historian->db, source, record->head.seq, birth->numbers,
                                     birth->count, samples, count, &stored, message);
    free(kept);
    historian->added += stored;
    return err;
}

static int take(void *self, const struct journal_frame *frame, const struct record *record,
                struct message *message)
{
    if (record->head.kind == RECORD_BIRTH)
        return take_birth(self, frame, record, message);
    return record->head.kind == RECORD_DATA ? take_data(self, frame, record, message) : 0;
}

static int commit(void *self, uint64_t position, struct now now, struct message *message)
{
    (void)now;
    struct historian *historian = self;
    int err = history_db_set_cursor(historian->db, position, message);
    if (!err)
        err = history_db_commit(historian->db, message);
    if (!err)
        atomic_fetch_add(&historian->stored, historian->added);
    return err;
}

static void rollback(void *self)
{
    struct historian *historian = self;
    history_db_rollback(historian->db);
    births_clear(&historian->births);
}

int historian_open(const char *path, struct journal *journal, struct historian **ret_historian,
                   struct message *message)
{
    struct historian *historian = calloc(1, sizeof(*historian));
    if (!historian)
        return message_set(message, ERR_NO_MEMORY, "historian: out of memory");
    births_init(&historian->births);
    historian->source = (struct births_source){historian, load_birth, number_point};
    struct db_options options = {.path = path, .mode = DB_WRITER};
    struct consumer consumer = {"historian", historian, GATHER_US, begin, take, commit, rollback};
    uint64_t position = 0, stored = 0;
    int err = history_db_open(&options, &historian->db, NULL, message);
    if (!err)
        err = history_db_cursor(historian->db, &position, message);
    if (!err)
        err = history_db_count(historian->db, &stored, message);
    if (!err && follower_init(&historian->follower, journal, &consumer, position))
        err = message_set(message, ERR_NO_MEMORY, "historian: cannot read the journal");
    if (err) {
        historian_close(historian);
        return err;
    }
    atomic_init(&historian->stored, stored);
    *ret_historian = historian;
    return 0;
}

void historian_close(struct historian *historian)
{
    if (!historian)
        return;
    follower_release(&historian->follower);
    births_release(&historian->births);
    history_db_close(historian->db);
    free(historian);
}

int64_t historian_step(void *self, struct now now)
{
    struct historian *historian = self;
    return follower_step(&historian->follower, now);
}

uint64_t historian_lag(struct historian *historian)
{
    return follower_lag(&historian->follower);
}

uint64_t historian_stored(struct historian *historian)
{
    return atomic_load(&historian->stored);
}
