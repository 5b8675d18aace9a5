#include "alarm/engine.h"
#include "model/record.h"
#include "store/events_db.h"
#include "tests/world/oracle.h"
#include "tests/world/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The alarms that a fresh engine, without a fault, makes of the central journal, from its beginning
 * to the position the product's alarms have reached: the same, under the same keys; and what of
 * them people must be told has reached the provider.
 *
 * That engine is the product's own. So what it must never do is watched beside it, by the samples
 * alone: an alarm returns only from a run of usable samples on the good side of its limit.
 */

#define ROWS           1000
#define TOLD_US        (120 * (int64_t)US_PER_S) /* by then, in the quiet, a notification is sent */
#define NONE           (-1)
#define CLOCK_AHEAD_MS 5000 /* a source further ahead is judged as of now */

struct expected {
    char key[64];
    char line[512]; /* alarm, event, state, occurrence, time */
    bool found;
};

/* What an alarm's point has shown. */
struct watch {
    bool seen;
    int64_t newest_ms;
    bool clear;     /* the newest sample since the last raise is on the good side */
    bool was_clear; /* … was, before the sample in hand */
    bool returned;  /* since the last raise */
};

struct fold {
    struct world *world;
    struct engine *engine;
    struct watch *watches; /* of each alarm */
    long in_hand;          /* the point whose sample is being judged, or NONE */
    uint64_t position;
    int64_t position_us;
    unsigned number;
    struct expected *list;
    size_t count;
    size_t found, ahead;
    /* births: what each numbers, as places in the rules */
    struct fold_birth {
        char name[BIRTH_SIZE];
        long points[WORLD_POINTS];
        size_t count;
    } * births;
    size_t birth_count;
};

static void print_line(char line[512], const char *alarm, const char *event, const char *state,
                       uint64_t occurrence, int64_t t_ms)
{
    snprintf(line, 512, "%.200s %s %s %" PRIu64 " %" PRId64, alarm, event, state, occurrence, t_ms);
}

/* ---- what must never happen ---- */

static bool on_good_side(const struct rule *rule, const struct sample *sample)
{
    double value = sample->value.number;
    if (sample->quality > QUALITY_UNCERTAIN)
        return false;
    if (rule->kind == RULE_INSTRUMENT)
        return true;
    return rule->kind == RULE_HIGH ? value < rule->limits[0].at - rule->deadband
                                   : value > rule->limits[0].at + rule->deadband;
}

static void watch_sample(struct fold *fold, size_t point, const struct sample *sample,
                         int64_t received_ms)
{
    const struct rules *rules = fold->world->centre.rules;
    int64_t t_ms = sample->t_ms > received_ms + CLOCK_AHEAD_MS ? received_ms : sample->t_ms;
    for (size_t i = 0; i < rules->count; i++) {
        struct watch *watch = &fold->watches[i];
        if (rules->list[i].point != point)
            continue;
        watch->was_clear = watch->clear;
        if (watch->seen && t_ms < watch->newest_ms)
            continue; /* older than what was judged: it says nothing any more */
        watch->seen = true;
        watch->newest_ms = t_ms;
        watch->clear = on_good_side(&rules->list[i], sample);
    }
}

/* What happens while a sample is in hand may be of a delay that ended before that sample. */
static void watch_event(struct fold *fold, const struct alarm_event *event)
{
    struct watch *watch = &fold->watches[event->rule - fold->world->centre.rules->list];
    bool in_hand = fold->in_hand == (long)event->rule->point;
    if (event->kind == ALARM_RAISE) {
        fold->world->reached[SITE_RAISE]++;
        watch->clear = watch->clear && in_hand;
        watch->was_clear = watch->returned = false;
    } else if (event->kind == ALARM_RETURN) {
        watch->returned = true;
        if (!watch->clear && !(in_hand && watch->was_clear))
            world_fail(fold->world, "%s returned, and no good sample said so", event->rule->id);
    } else if (event->kind == ALARM_CLEAR && !watch->returned) {
        world_fail(fold->world, "%s is cleared, and has not returned", event->rule->id);
    }
}

/* ---- what people are told ---- */

static void expect_told(const struct fold *fold, const struct alarm_event *event)
{
    bool told =
        event->kind == ALARM_RAISE || event->kind == ALARM_PRIORITY || event->kind == ALARM_RETURN;
    if (told && !oracle_was_told(fold->world, event) &&
        fold->world->now_us - fold->position_us > TOLD_US)
        world_fail(fold->world,
                   "the %s of %s (%s, occurrence %" PRIu64 ") never reached the provider",
                   alarm_event_name(event->kind), event->rule->id, priority_name(event->priority),
                   event->occurrence);
}

/* ---- the fold ---- */

static void on_event(void *self, const struct alarm_event *event)
{
    struct fold *fold = self;
    struct expected *list = reallocarray(fold->list, fold->count + 1, sizeof(*list));
    if (!list)
        abort();
    fold->list = list;
    struct expected *expected = &list[fold->count++];
    *expected = (struct expected){.found = false};
    snprintf(expected->key, sizeof(expected->key), "%" PRIu64 ".%u", fold->position,
             fold->number++);
    print_line(expected->line, event->rule->id, alarm_event_name(event->kind),
               alarm_state_name(event->state), event->occurrence, event->t_ms);
    watch_event(fold, event);
    expect_told(fold, event);
}

static void take_birth(struct fold *fold, const struct journal_frame *frame,
                       const struct record *record)
{
    struct fold_birth *births = reallocarray(fold->births, fold->birth_count + 1, sizeof(*births));
    if (!births)
        abort();
    fold->births = births;
    struct fold_birth *birth = &births[fold->birth_count++];
    *birth = (struct fold_birth){.count = record->point_count};
    record_birth_id(frame->payload, frame->len, birth->name);
    for (size_t i = 0; i < record->point_count && i < WORLD_POINTS; i++)
        birth->points[i] = rules_find_point(fold->world->centre.rules, record->points[i].id);
}

static void take_data(struct fold *fold, const struct journal_frame *frame,
                      const struct record *record)
{
    const struct fold_birth *birth = NULL;
    for (size_t i = fold->birth_count; i-- > 0 && !birth;)
        if (strcmp(fold->births[i].name, record->birth) == 0)
            birth = &fold->births[i];
    if (!birth) {
        world_fail(fold->world, "record %" PRIu64 " names a birth that is not before it",
                   frame->seq);
        return;
    }
    for (size_t i = 0; i < record->sample_count; i++) {
        uint32_t point = record->samples[i].point;
        if (point >= birth->count || birth->points[point] < 0)
            continue;
        size_t place = (size_t)birth->points[point];
        fold->in_hand = (long)place;
        watch_sample(fold, place, &record->samples[i], frame->wall_ms);
        engine_sample(fold->engine, place, &record->samples[i], frame->wall_ms);
        fold->in_hand = NONE;
    }
}

static void take_frame(struct fold *fold, const struct journal_frame *frame)
{
    struct record record;
    if (record_parse(frame->payload, frame->len, &record, NULL))
        return;
    const struct known *known =
        oracle_find(&fold->world->oracle.positions, oracle_position_key(frame->seq));
    fold->position = frame->seq;
    fold->position_us = known ? known->at_us : fold->world->now_us;
    fold->number = 0;
    const struct record_action *action = &record.action;
    long rule = record.head.kind == RECORD_ACTION
                    ? rules_find(fold->world->centre.rules, action->target)
                    : -1;
    if (record.head.kind == RECORD_BIRTH)
        take_birth(fold, frame, &record);
    else if (record.head.kind == RECORD_DATA)
        take_data(fold, frame, &record);
    else if (record.head.kind == RECORD_START)
        engine_start(fold->engine, frame->wall_ms);
    else if (rule >= 0)
        engine_ack(fold->engine, (size_t)rule, action->occurrence, action->user, action->role,
                   action->note, frame->wall_ms);
    engine_advance(fold->engine, frame->wall_ms);
    record_release(&record);
}

static void replay(struct fold *fold, uint64_t until)
{
    struct journal_reader *reader = NULL;
    struct journal_frame frame;
    if (journal_reader_open(fold->world->centre.journal, 0, 1, &reader))
        abort();
    while (!fold->world->failed && !journal_reader_next(reader, &frame, NULL) && frame.seq <= until)
        take_frame(fold, &frame);
    journal_reader_close(reader);
}

/* ---- comparing ---- */

static int compare_keys(const void *a, const void *b)
{
    return strcmp(((const struct expected *)a)->key, ((const struct expected *)b)->key);
}

static int check_row(void *self, const struct event_transition *row)
{
    struct fold *fold = self;
    struct expected wanted = {.found = false};
    char line[512];
    fold->ahead++;
    snprintf(wanted.key, sizeof(wanted.key), "%s", row->key);
    struct expected *expected =
        fold->count ? bsearch(&wanted, fold->list, fold->count, sizeof(wanted), compare_keys)
                    : NULL;
    print_line(line, row->alarm, row->event, row->state, row->occurrence, row->t_ms);
    if (!expected)
        world_fail(fold->world, "the transition %s (%s) is none of the journal's", row->key, line);
    else if (strcmp(expected->line, line) != 0)
        world_fail(fold->world, "the transition %s is \"%s\" and should be \"%s\"", row->key, line,
                   expected->line);
    else if (!expected->found)
        fold->found++;
    if (expected)
        expected->found = true;
    return fold->world->failed ? ERR_INVALID : 0;
}

struct page {
    struct fold *fold;
    int64_t last_ms;
    uint64_t last_id;
    size_t rows;
};

static int visit_row(void *self, const struct event_transition *row)
{
    struct page *page = self;
    page->rows++;
    page->last_ms = row->t_ms;
    page->last_id = row->id;
    return check_row(page->fold, row);
}

static void compare(struct fold *fold, struct events_db *events)
{
    struct event_filter filter = {0};
    struct page page = {.fold = fold, .rows = ROWS};
    if (fold->count)
        qsort(fold->list, fold->count, sizeof(*fold->list), compare_keys);
    while (page.rows == ROWS && !fold->world->failed) {
        page.rows = 0;
        if (events_db_transitions(events, &filter, ROWS, visit_row, &page, NULL) &&
            !fold->world->failed)
            world_fail(fold->world, "the transitions cannot be read");
        filter.before_ms = page.last_ms;
        filter.before_id = page.last_id;
    }
    for (size_t i = 0; i < fold->count && !fold->world->failed; i++)
        if (!fold->list[i].found)
            world_fail(fold->world, "the transition %s, \"%s\", is not kept", fold->list[i].key,
                       fold->list[i].line);
}

void oracle_check_alarms(struct world *world)
{
    struct db_options options = {.path = "/c/events.db", .mode = DB_READER};
    struct events_db *events = NULL;
    struct fold fold = {.world = world, .in_hand = NONE};
    uint64_t cursor = 0;
    fold.engine = engine_new(world->centre.rules, on_event, &fold);
    fold.watches = calloc(world->centre.rules->count, sizeof(*fold.watches));
    if (!fold.engine || !fold.watches || events_db_open(&options, &events, NULL, NULL) ||
        events_db_cursor(events, &cursor, NULL)) {
        world_fail(world, "the events cannot be read");
    } else {
        replay(&fold, cursor);
        if (!world->failed)
            compare(&fold, events);
    }
    events_db_close(events);
    engine_free(fold.engine);
    free(fold.watches);
    free(fold.births);
    free(fold.list);
}
