#include "edge/carry_over.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/*
 * Design notes. Each run of an edge begins with its births, so an epoch holds many that say the
 * same but for their heads. What a birth says is known by the name it would have under a fixed
 * head; one of each is kept, and goes into the present epoch when a record needs it.
 */

#define BIRTHS_MAX 100000 /* of an epoch that ended */
#define BODIES_MAX 4096   /* births that say different things */

/* What births say. */
struct body {
    char name[BIRTH_SIZE];
    char present[BIRTH_SIZE]; /* a birth of the present epoch that says it; "": none yet */
    char *payload;            /* of one of the old epoch; NULL: none was met yet */
    size_t len;
    uint64_t seq;
    struct record_head head;
};

struct old_birth {
    char name[BIRTH_SIZE];
    size_t body;
};

struct carry {
    struct journal *journal;
    const struct carry_port *port;
    char epoch[EPOCH_SIZE]; /* the old one */
    struct body *bodies;
    size_t body_count;
    struct old_birth *births;
    size_t birth_count;
    struct buffer payload;
    struct now now;
    struct carry_result result;
    struct message *message;
};

/* ---- births ---- */

static int name_body(struct carry *carry, const struct journal_frame *frame,
                     char ret_name[BIRTH_SIZE])
{
    static const struct record_head fixed = {.kind = RECORD_BIRTH, .seq = 1, .boot = "-"};
    static const struct record_was was = {.seq = 1};
    buffer_clear(&carry->payload);
    int err = record_write_again(&carry->payload, frame->payload, frame->len, &fixed, NULL, 0, &was,
                                 false, NULL);
    if (!err)
        err = buffer_error(&carry->payload);
    if (!err)
        record_birth_id(carry->payload.data, carry->payload.len, ret_name);
    return err;
}

/* The body of that birth, made where it is new. ERR_NOT_FOUND when it cannot be read. */
static int find_body(struct carry *carry, const struct journal_frame *frame, size_t *ret_body)
{
    struct body fresh = {.name = ""};
    if (name_body(carry, frame, fresh.name))
        return ERR_NOT_FOUND;
    for (size_t i = 0; i < carry->body_count; i++)
        if (strcmp(carry->bodies[i].name, fresh.name) == 0) {
            *ret_body = i;
            return 0;
        }
    struct body *bodies = carry->body_count < BODIES_MAX
                              ? reallocarray(carry->bodies, carry->body_count + 1, sizeof(*bodies))
                              : NULL;
    if (!bodies)
        return ERR_NO_MEMORY;
    carry->bodies = bodies;
    bodies[carry->body_count] = fresh;
    *ret_body = carry->body_count++;
    return 0;
}

/* Data that names it can be carried from now on. */
static int take_birth(struct carry *carry, const struct journal_frame *frame,
                      const struct record *record)
{
    struct old_birth birth = {.name = ""};
    int err = find_body(carry, frame, &birth.body);
    if (err)
        return err == ERR_NOT_FOUND ? 0 : err;
    struct body *body = &carry->bodies[birth.body];
    if (!body->payload) {
        body->payload = malloc(frame->len);
        if (!body->payload)
            return ERR_NO_MEMORY;
        memcpy(body->payload, frame->payload, frame->len);
        body->len = frame->len;
        body->seq = frame->seq;
        body->head = record->head;
    }
    struct old_birth *births =
        carry->birth_count < BIRTHS_MAX
            ? reallocarray(carry->births, carry->birth_count + 1, sizeof(*births))
            : NULL;
    if (!births)
        return ERR_NO_MEMORY;
    carry->births = births;
    record_birth_id(frame->payload, frame->len, birth.name);
    births[carry->birth_count++] = birth;
    return 0;
}

static struct body *find_birth(const struct carry *carry, const char *name)
{
    for (size_t i = carry->birth_count; i-- > 0;)
        if (strcmp(carry->births[i].name, name) == 0)
            return &carry->bodies[carry->births[i].body];
    return NULL;
}

/* ---- once more ---- */

static int append_again(struct carry *carry, const char *payload, size_t len,
                        const struct record_head *from, const char *birth, uint32_t points,
                        const struct record_was *was, bool of_other)
{
    struct record_head head = *from;
    head.seq = journal_next_seq(carry->journal, (int)from->stream);
    (void)!text_copy(head.epoch, sizeof(head.epoch), journal_epoch(carry->journal));
    buffer_clear(&carry->payload);
    int err =
        record_write_again(&carry->payload, payload, len, &head, birth,
                           journal_points(carry->journal) + points, was, of_other, carry->message);
    if (!err)
        err = buffer_error(&carry->payload);
    if (err)
        return err == ERR_NO_MEMORY ? err : ERR_NOT_FOUND;
    return carry->port->append(carry->port->self, &carry->payload, head.stream, points, carry->now,
                               carry->message);
}

static struct record_was was_there(const struct carry *carry, uint64_t seq, bool trusted)
{
    struct record_was was = {.seq = seq, .other = !trusted};
    (void)!text_copy(was.epoch, sizeof(was.epoch), carry->epoch);
    return was;
}

static int append_birth(struct carry *carry, struct body *body)
{
    struct record_was was = was_there(carry, body->seq, true);
    uint64_t seq = journal_next_seq(carry->journal, STREAM_A);
    int err = append_again(carry, body->payload, body->len, &body->head, NULL, 0, &was, false);
    if (!err)
        err = journal_keep(carry->journal, seq);
    if (err)
        return err;
    record_birth_id(carry->payload.data, carry->payload.len, body->present);
    carry->result.births = true;
    return 0;
}

static int take_record(struct carry *carry, const struct journal_frame *frame,
                       const struct record *record, bool trusted)
{
    struct record_was was = was_there(carry, frame->seq, trusted);
    struct body *body = NULL;
    bool of_other = record->head.kind == RECORD_LOSS &&
                    record->loss.last > journal_old_trusted(carry->journal, (int)record->loss.of);
    int err = 0;
    if (record->head.kind == RECORD_DATA) {
        body = find_birth(carry, record->birth);
        if (!body)
            return ERR_NOT_FOUND; /* nobody could tell what its numbers mean */
        err = body->present[0] ? 0 : append_birth(carry, body);
    }
    return err ? err
               : append_again(carry, frame->payload, frame->len, &record->head,
                              body ? body->present : NULL,
                              (uint32_t)(record->sample_count + record->held), &was, of_other);
}

static int take(void *self, const struct journal_frame *frame, bool owed, bool trusted)
{
    struct carry *carry = self;
    struct record record;
    int err = record_parse(frame->payload, frame->len, &record, NULL);
    if (err)
        return err == ERR_NO_MEMORY ? err : ERR_NOT_FOUND;
    if (record.head.kind == RECORD_BIRTH)
        err = take_birth(carry, frame, &record);
    else if (owed)
        err = take_record(carry, frame, &record, trusted);
    record_release(&record);
    return err;
}

static int lose(void *self, const struct journal_loss *lost)
{
    struct carry *carry = self;
    const struct journal *journal = carry->journal;
    struct record_head head = {
        .kind = RECORD_LOSS,
        .stream = STREAM_A,
        .seq = journal_next_seq(journal, STREAM_A),
        .boot = "-", /* of no reading: what was lost is of several, perhaps */
        .mono_us = carry->now.mono_us,
        .sync = carry->now.sync,
        .t0_ms = carry->now.wall_ms,
    };
    struct record_loss loss = {
        .of = (enum stream)lost->stream,
        .first = lost->first,
        .last = lost->last,
        .from_ms = lost->from_ms,
        .to_ms = lost->to_ms,
        .points = lost->points,
        .other = lost->other,
    };
    (void)!text_copy(head.epoch, sizeof(head.epoch), journal_epoch(journal));
    (void)!text_copy(loss.epoch, sizeof(loss.epoch), carry->epoch);
    (void)!text_copy(loss.cause, sizeof(loss.cause), lost->cause);
    buffer_clear(&carry->payload);
    record_write_loss(&carry->payload, &head, &loss);
    carry->result.lost += lost->points;
    return carry->port->append(carry->port->self, &carry->payload, STREAM_A, 0, carry->now,
                               carry->message);
}

static int make_safe(void *self)
{
    struct carry *carry = self;
    return carry->port->commit(carry->port->self, carry->now, carry->message);
}

/* ---- what an earlier try has done ---- */

static int note_carried(struct carry *carry, const struct journal_frame *frame,
                        const struct record *record)
{
    size_t body;
    if (record->head.kind == RECORD_BIRTH) {
        if (find_body(carry, frame, &body))
            return 0;
        record_birth_id(frame->payload, frame->len, carry->bodies[body].present);
        return journal_keep(carry->journal, frame->seq);
    }
    if (!record->was.seq)
        return journal_settle_old(carry->journal, (int)record->loss.of, record->loss.first,
                                  record->loss.last);
    return journal_settle_old(carry->journal, (int)record->head.stream, record->was.seq,
                              record->was.seq);
}

static int look_at_present(void *self, const char *epoch, char letter,
                           const struct journal_frame *frame)
{
    struct carry *carry = self;
    struct record record;
    (void)epoch, (void)letter;
    if (record_parse(frame->payload, frame->len, &record, NULL))
        return 0;
    int err = 0;
    if (strcmp(record.was.epoch, carry->epoch) == 0 || strcmp(record.loss.epoch, carry->epoch) == 0)
        err = note_carried(carry, frame, &record);
    record_release(&record);
    /* Where there is no place to note it, it comes once more: twice is better than not at all. */
    return err == ERR_FULL ? 0 : err;
}

static int look(struct carry *carry)
{
    int err = journal_scan_own(carry->journal, look_at_present, carry, carry->message);
    if (!err)
        journal_heir_looked(carry->journal);
    return err;
}

static void release(struct carry *carry)
{
    for (size_t i = 0; i < carry->body_count; i++)
        free(carry->bodies[i].payload);
    free(carry->bodies);
    free(carry->births);
    buffer_release(&carry->payload);
}

int carry_look(struct journal *journal, struct message *message)
{
    struct carry carry = {.journal = journal, .message = message};
    if (!journal_old_epoch(journal, carry.epoch))
        return 0;
    buffer_init(&carry.payload, RECORD_MAX_BYTES);
    int err = look(&carry);
    release(&carry);
    return err;
}

int carry_over(struct journal *journal, const struct carry_port *port, struct now now,
               struct carry_result *ret_result, struct message *message)
{
    struct carry carry = {.journal = journal, .port = port, .now = now, .message = message};
    struct journal_heir heir = {&carry, take, lose, make_safe};
    if (!journal_old_epoch(journal, carry.epoch))
        return 0;
    buffer_init(&carry.payload, RECORD_MAX_BYTES);
    int err = look(&carry);
    if (!err)
        err = journal_inherit(journal, &heir, message);
    release(&carry);
    *ret_result = carry.result;
    return err == ERR_NO_MEMORY ? message_set(message, err, "recorder: out of memory") : err;
}
