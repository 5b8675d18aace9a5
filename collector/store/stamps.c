#include "store/stamps.h"

#include "store/history_tie.h"

static int wait_for(struct stamps *stamps, uint64_t position, struct message *message)
{
    if (stamps->taken >= position)
        return 0;
    int err = history_db_cursor(stamps->embedded, &stamps->taken, message);
    if (err || stamps->taken >= position)
        return err;
    return message_set(message, ERR_NOT_FOUND, "the embedded store has yet to take record %llu",
                       (unsigned long long)position);
}

static int find_number(struct stamps *stamps, struct stamp_point *point, struct message *message)
{
    struct history_point found;
    if (point->number)
        return 0;
    int err = history_db_point(stamps->embedded, point->id, &found, message);
    if (!err)
        point->number = found.id;
    return err;
}

/* Records were walked before, by another run of this program: what they gave to the point. */
static int meet(struct stamps *stamps, struct stamp_point *point, struct message *message)
{
    int64_t highest_ms = INT64_MIN;
    if (point->known)
        return 0;
    int err = stamps->from ? wait_for(stamps, stamps->from, message) : 0;
    if (!err && stamps->from) {
        err = find_number(stamps, point, message);
        if (!err)
            err = history_tie_highest(stamps->embedded, point->number, &highest_ms, message);
        else if (err == ERR_NOT_FOUND)
            err = 0;
    }
    if (err)
        return err;
    point->highest_ms = highest_ms;
    point->known = true;
    return 0;
}

static size_t count_behind(const struct record *record, size_t index)
{
    const struct sample *sample = &record->samples[index];
    size_t count = 0;
    for (size_t i = index + 1; i < record->sample_count; i++)
        count +=
            record->samples[i].point == sample->point && record->samples[i].t_ms == sample->t_ms;
    return count;
}

static int look_up(struct stamps *stamps, struct stamp_point *point, struct stamp_record *record,
                   size_t index, int64_t *ret_tie, struct message *message)
{
    const struct record_head *head = &record->record->head;
    int err = wait_for(stamps, record->position, message);
    if (!err)
        err = find_number(stamps, point, message);
    if (!err && !record->source)
        err = history_db_source(stamps->embedded, record->edge, head->epoch, head->stream,
                                &record->source, message);
    if (err)
        return err;
    struct history_place place = {.point = point->number,
                                  .t_ms = record->record->samples[index].t_ms,
                                  .source = record->source,
                                  .seq = head->seq,
                                  .behind = count_behind(record->record, index)};
    return history_tie_of(stamps->embedded, &place, ret_tie, message);
}

int stamps_settle(struct stamps *stamps, struct stamp_point *point, struct stamp_record *record,
                  size_t index, int64_t *ret_t_ms, struct message *message)
{
    int64_t t_ms = record->record->samples[index].t_ms, tie = 0;
    int err = meet(stamps, point, message);
    if (!err && t_ms <= point->highest_ms)
        err = look_up(stamps, point, record, index, &tie, message);
    if (err)
        return err;
    if (t_ms + tie > point->highest_ms)
        point->highest_ms = t_ms + tie;
    *ret_t_ms = t_ms + tie;
    return 0;
}
