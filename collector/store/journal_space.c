/*
 * What is lost, what is received, and what may go.
 *
 * Design notes. A drop is durable in the marks before the file is unlinked, and what it loses is
 * durable in the owner's loss record before that: a crash between any two steps leaves a file
 * that the next opening removes, never a hole that nobody told of.
 */
#include "store/journal_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- losses ---- */

static bool is_noted(const struct journal *journal, int stream, const struct interval *range)
{
    for (size_t i = 0; i < journal->found_count; i++) {
        const struct journal_loss *loss = &journal->found[i];
        if (loss->stream == stream && loss->first <= range->first && range->last <= loss->last)
            return true;
    }
    return false;
}

void journal_note_loss(struct journal *journal, const struct journal_loss *loss)
{
    const struct journal_marks *marks = &journal->meta.streams[loss->stream];
    struct journal_loss piece = *loss;
    struct interval hole = {.first = 0, .last = loss->first - 1};
    while (hole.last < loss->last &&
           intervals_next_hole(&marks->settled, hole.last + 1, loss->last, &hole)) {
        if (intervals_contain_all(&marks->received, hole.first, hole.last) ||
            is_noted(journal, loss->stream, &hole))
            continue;
        if (journal->found_count == JOURNAL_MAX_FOUND)
            return; /* not settled: the next opening, or reader, finds it again */
        piece.first = hole.first;
        piece.last = hole.last;
        journal->found[journal->found_count++] = piece;
        piece.points = 0;
    }
}

void journal_report_losses(struct journal *journal, struct journal_report *report)
{
    while (report->loss_count < JOURNAL_MAX_LOSSES && journal->handed < journal->found_count)
        report->losses[report->loss_count++] = journal->found[journal->handed++];
}

int journal_next_loss(struct journal *journal, struct journal_loss *ret_loss)
{
    int err = ERR_NOT_FOUND;
    pthread_mutex_lock(journal->lock);
    if (journal->handed < journal->found_count) {
        *ret_loss = journal->found[journal->handed++];
        err = 0;
    }
    pthread_mutex_unlock(journal->lock);
    return err;
}

void journal_settle_handed(struct journal *journal)
{
    pthread_mutex_lock(journal->lock);
    size_t handed = journal->handed;
    for (size_t i = 0; i < handed; i++) {
        const struct journal_loss *loss = &journal->found[i];
        /* Where the set is full, it is told once more some day. */
        (void)!intervals_add(&journal->meta.streams[loss->stream].settled, loss->first, loss->last);
    }
    journal->found_count -= handed;
    memmove(journal->found, journal->found + handed,
            journal->found_count * sizeof(*journal->found));
    journal->handed = 0;
    journal->marks_dirty = journal->marks_dirty || handed;
    pthread_mutex_unlock(journal->lock);
    if (handed)
        (void)!journal_write_marks(journal); /* else they are told again */
}

/* ---- questions of any thread ---- */

uint64_t journal_durable(const struct journal *journal, int stream)
{
    pthread_mutex_lock(journal->lock);
    uint64_t durable = journal_last_known(journal, (size_t)stream);
    pthread_mutex_unlock(journal->lock);
    return durable;
}

uint64_t journal_durable_points(const struct journal *journal)
{
    uint64_t points = 0;
    pthread_mutex_lock(journal->lock);
    for (size_t s = 0; s < journal->stream_count; s++)
        points += journal->meta.streams[s].durable_points;
    pthread_mutex_unlock(journal->lock);
    return points;
}

uint64_t journal_first(const struct journal *journal, int stream)
{
    const struct journal_stream *at = &journal->streams[stream];
    pthread_mutex_lock(journal->lock);
    uint64_t first = journal_last_known(journal, (size_t)stream) + 1;
    for (size_t i = 0; i < at->count; i++) {
        if (at->segments[i].first <= at->segments[i].last) {
            first = at->segments[i].first;
            break;
        }
    }
    pthread_mutex_unlock(journal->lock);
    return first;
}

bool journal_spans(const struct journal *journal, int stream, uint64_t seq)
{
    const struct journal_stream *at = &journal->streams[stream];
    bool spans = false;
    pthread_mutex_lock(journal->lock);
    for (size_t i = 0; i < at->count && !spans; i++)
        spans = at->segments[i].first <= seq && seq <= at->segments[i].last;
    pthread_mutex_unlock(journal->lock);
    return spans;
}

/* How many of first..last the set holds. */
static uint64_t count_within(const struct intervals *set, uint64_t first, uint64_t last)
{
    uint64_t missing = 0;
    struct interval hole = {.first = 0, .last = first - 1};
    if (first > last)
        return 0;
    while (hole.last < last && intervals_next_hole(set, hole.last + 1, last, &hole))
        missing += hole.last - hole.first + 1;
    return last - first + 1 - missing;
}

static uint64_t received_bytes(const struct intervals *received, const struct segment *segment)
{
    uint64_t count = segment->last - segment->first + 1;
    uint64_t have = count_within(received, segment->first, segment->last);
    if (have == count)
        return segment->bytes; /* also one without frames */
    return (uint64_t)((double)(segment->end - segment->body) * ((double)have / (double)count));
}

void journal_bytes(const struct journal *journal, uint64_t *ret_total, uint64_t *ret_received)
{
    pthread_mutex_lock(journal->lock);
    uint64_t received = journal->owes_old ? 0 : journal->retired_bytes;
    for (size_t s = 0; s < journal->stream_count; s++)
        for (size_t i = 0; i < journal->streams[s].count; i++)
            received += received_bytes(&journal->meta.streams[s].received,
                                       &journal->streams[s].segments[i]);
    *ret_total = journal_segment_bytes(journal) + journal->retired_bytes;
    *ret_received = received;
    pthread_mutex_unlock(journal->lock);
}

int journal_subscribe(struct journal *journal, void (*notify)(void *self), void *self)
{
    int err = ERR_FULL;
    pthread_mutex_lock(journal->lock);
    if (journal->subscriber_count < JOURNAL_MAX_SUBSCRIBERS) {
        journal->subscribers[journal->subscriber_count++] = (struct subscriber){notify, self};
        err = 0;
    }
    pthread_mutex_unlock(journal->lock);
    return err;
}

/* ---- received ---- */

static int take_received(struct journal *journal, int stream, const struct intervals *received,
                         bool anew)
{
    struct journal_marks *marks = &journal->meta.streams[stream];
    int err = ERR_RANGE;
    pthread_mutex_lock(journal->lock);
    if (intervals_max(received) <= journal_last_known(journal, (size_t)stream)) {
        if (anew)
            intervals_clear(&marks->received);
        err = intervals_add_all(&marks->received, received);
        if (err == ERR_FULL && marks->front > 1) {
            /* Below the front nothing is left to send: its holes need no place in the set. */
            err = intervals_add(&marks->received, 1, marks->front - 1);
            if (!err)
                err = intervals_add_all(&marks->received, received);
        }
        journal->marks_dirty = true;
    }
    pthread_mutex_unlock(journal->lock);
    return err;
}

int journal_receive(struct journal *journal, int stream, const struct intervals *received)
{
    return take_received(journal, stream, received, false);
}

int journal_receive_anew(struct journal *journal, int stream, const struct intervals *received)
{
    return take_received(journal, stream, received, true);
}

int journal_received(struct journal *journal, int stream, struct intervals *out)
{
    pthread_mutex_lock(journal->lock);
    intervals_clear(out);
    int err = intervals_add_all(out, &journal->meta.streams[stream].received);
    pthread_mutex_unlock(journal->lock);
    return err;
}

void journal_vouch(struct journal *journal)
{
    pthread_mutex_lock(journal->lock);
    journal->marks_dirty = journal->marks_dirty || !journal->meta.vouched;
    journal->meta.vouched = true;
    pthread_mutex_unlock(journal->lock);
}

uint64_t journal_trusted(const struct journal *journal, int stream)
{
    pthread_mutex_lock(journal->lock);
    uint64_t trusted = journal->meta.vouched ? journal_last_known(journal, (size_t)stream)
                                             : journal->meta.streams[stream].trusted;
    pthread_mutex_unlock(journal->lock);
    return trusted;
}

/* ---- victims ---- */

/* From the newest state on, a stream is needed to restore its owner. */
static size_t needed_from(const struct journal *journal, const struct journal_stream *stream)
{
    for (size_t i = stream->count; journal->owner.save && i-- > 0;)
        if (stream->segments[i].has_state)
            return i;
    return stream->count;
}

int journal_keep(struct journal *journal, uint64_t seq)
{
    return intervals_add(&journal->kept, seq, seq);
}

/* Does anything on the disk refer to this segment of the first stream? */
static bool is_referred_to(const struct journal *journal, const struct segment *segment)
{
    if (count_within(&journal->kept, segment->first, segment->last) > 0)
        return true;
    if (segment->serial >= journal->run_serial)
        return false;
    for (size_t s = 1; s < journal->stream_count; s++)
        for (size_t i = 0; i < journal->streams[s].count; i++) {
            const struct segment *other = &journal->streams[s].segments[i];
            bool last = i + 1 == journal->streams[s].count;
            uint64_t closed = last ? journal->run_serial : other[1].serial;
            if (other->serial < journal->run_serial && closed > segment->serial)
                return true;
        }
    return false;
}

/* The oldest segment of all streams whose records are all received; the lock is held. */
static bool find_received(const struct journal *journal, size_t *ret_stream, size_t *ret_index)
{
    uint64_t oldest = UINT64_MAX;
    for (size_t s = 0; s < journal->stream_count; s++) {
        const struct journal_stream *stream = &journal->streams[s];
        size_t closed = stream->fd >= 0 ? stream->count - 1 : stream->count;
        size_t free_to = needed_from(journal, stream);
        for (size_t i = 0; i < closed && i < free_to; i++) {
            const struct segment *segment = &stream->segments[i];
            if (segment->serial >= oldest || (s == 0 && is_referred_to(journal, segment)) ||
                (segment->first <= segment->last &&
                 !intervals_contain_all(&journal->meta.streams[s].received, segment->first,
                                        segment->last)))
                continue;
            oldest = segment->serial;
            *ret_stream = s;
            *ret_index = i;
        }
    }
    return oldest != UINT64_MAX;
}

static bool choose_victim(const struct journal *journal, size_t *ret_stream, size_t *ret_index)
{
    pthread_mutex_lock(journal->lock);
    bool found = find_received(journal, ret_stream, ret_index);
    pthread_mutex_unlock(journal->lock);
    for (size_t s = journal->stream_count; !found && s-- > 1;) {
        found = journal->streams[s].count > 0;
        *ret_stream = s;
        *ret_index = 0;
    }
    return found;
}

/* The samples of a hole between frames, where it reaches into the range and was not told before. */
static uint64_t hole_points(const struct journal_marks *marks, const struct interval *range,
                            uint64_t first, uint64_t last, uint64_t points)
{
    bool outside = first > last || last < range->first || first > range->last;
    return outside || intervals_contain_all(&marks->settled, first, last) ? 0 : points;
}

/* Reads the segment to count the samples of the records first..last: also of those that cannot be
 * read any more, unless they were told of. */
static int count_points(struct journal *journal, int stream, const struct segment *segment,
                        const struct interval *range, uint64_t *ret_points)
{
    const struct journal_marks *marks = &journal->meta.streams[stream];
    struct segment_cursor cursor = {0};
    struct segment_damage damage;
    struct journal_frame frame;
    uint64_t points = 0, seq = segment->first - 1, passed = segment->points;
    int err = journal_cursor(journal, stream, segment, &cursor);
    if (err)
        return err; /* nothing is given up uncounted on a disk that fails for now */
    while (seq < segment->last) {
        err = segment_cursor_next(&cursor, &frame, &damage);
        if (err || frame.seq > segment->last)
            break;
        points += hole_points(marks, range, seq + 1, frame.seq - 1,
                              frame.stream_points - frame.points - passed);
        if (range->first <= frame.seq && frame.seq <= range->last)
            points += frame.points;
        seq = frame.seq;
        passed = frame.stream_points;
    }
    points += hole_points(marks, range, seq + 1, segment->last, segment->points_end - passed);
    segment_cursor_release(&cursor);
    if (err == ERR_NO_MEMORY)
        return err;
    *ret_points = points;
    return 0;
}

/* What would be lost with a segment: first > last when nothing would. */
static int loss_of(struct journal *journal, int stream, const struct segment *segment,
                   struct journal_loss *ret_loss)
{
    const struct journal_marks *marks = &journal->meta.streams[stream];
    struct journal_loss loss = {
        .stream = stream,
        .first = segment->last + 1,
        .last = segment->last,
        .from_ms = segment->from_ms,
        .to_ms = segment->to_ms,
        .points = segment->points_end - segment->points,
        .segment_first = segment->first,
    };
    struct intervals received;
    struct interval hole = {.first = 0, .last = segment->first - 1}, range;
    snprintf(loss.cause, sizeof(loss.cause), "space");
    intervals_init(&received, META_MAX_RECEIVED);
    int err = journal_received(journal, stream, &received);
    if (err)
        goto out;
    while (hole.last < segment->last &&
           intervals_next_hole(&received, hole.last + 1, segment->last, &hole)) {
        if (loss.first > loss.last)
            loss.first = hole.first;
        loss.last = hole.last;
    }
    range = (struct interval){loss.first, loss.last};
    if (loss.first > loss.last || segment->first > segment->last)
        loss.points = 0;
    else if (loss.first > segment->first || loss.last < segment->last ||
             count_within(&marks->settled, segment->first, segment->last) > 0)
        err = count_points(journal, stream, segment, &range, &loss.points);
    if (err == ERR_NOT_FOUND)
        err = 0; /* the file is gone already: all that was in it */
    if (!err)
        *ret_loss = loss;
out:
    intervals_release(&received);
    return err;
}

/* Chooses a segment that nothing is appended to any more: a victim must not grow between being told
 * and being dropped. Where the commit fails, what is pending goes into another segment. */
static bool close_victim(struct journal *journal, size_t *ret_stream, size_t *ret_index)
{
    for (size_t try = 0; try <= 2 * journal->stream_count; try++) {
        if (!choose_victim(journal, ret_stream, ret_index))
            return false;
        struct journal_stream *stream = &journal->streams[*ret_stream];
        if (stream->fd < 0 || *ret_index + 1 < stream->count)
            return true;
        (void)!journal_commit_pending(journal, NULL);
        journal_finish_segment(journal, stream);
    }
    return false;
}

/* Of the epoch that is owed, what goes before anything of the present one: a file that owes
 * nothing; and of the stream that loses first what is older. SIZE_MAX: none. */
static size_t choose_old(const struct journal *journal)
{
    size_t s, i, index = journal_find_old(journal, 0);
    if (index != SIZE_MAX || !journal->owes_old)
        return index;
    pthread_mutex_lock(journal->lock);
    bool received = find_received(journal, &s, &i);
    pthread_mutex_unlock(journal->lock);
    for (s = journal->stream_count; !received && index == SIZE_MAX && s-- > 1;) {
        index = journal_find_old(journal, (int)s);
        received = journal->streams[s].count > 0;
    }
    return index;
}

int journal_victim(struct journal *journal, struct journal_loss *ret_loss)
{
    size_t s = 0, index = 0;
    journal->has_victim = false;
    journal->victim_old[0] = '\0';
    size_t old = choose_old(journal);
    if (old != SIZE_MAX) {
        int old_err = journal_loss_of_old(journal, old, &journal->victim);
        if (old_err)
            return old_err;
        memcpy(journal->victim_old, journal->retired[old].name, SEGMENT_NAME_SIZE);
        journal->has_victim = true;
        *ret_loss = journal->victim;
        return 0;
    }
    if (!close_victim(journal, &s, &index))
        return ERR_NOT_FOUND;
    const struct segment *segment = &journal->streams[s].segments[index];
    int err = loss_of(journal, (int)s, segment, &journal->victim);
    if (err)
        return err;
    journal->has_victim = true;
    journal->victim_serial = segment->serial;
    *ret_loss = journal->victim;
    return 0;
}

/* Moves the marks past the segment at `index`, durably. */
static int mark_dropped(struct journal *journal, size_t s, size_t index)
{
    const struct journal_stream *stream = &journal->streams[s];
    const struct segment *segment = &stream->segments[index];
    struct journal_marks *marks = &journal->meta.streams[s];
    uint64_t front = marks->front, front_points = marks->front_points;
    pthread_mutex_lock(journal->lock);
    if (index == 0) {
        bool last = stream->count == 1;
        marks->front = last ? marks->durable + 1 : segment[1].first;
        marks->front_points = last ? marks->durable_points : segment[1].points;
        (void)!intervals_remove(&marks->settled, 1, marks->front - 1);
    } else {
        /* A set that is full: the next opening tells of it, although it was received. */
        (void)!intervals_add(&marks->settled, segment->first, segment->last);
    }
    pthread_mutex_unlock(journal->lock);
    int err = journal_write_marks(journal);
    if (err) {
        pthread_mutex_lock(journal->lock);
        marks->front = front;
        marks->front_points = front_points;
        pthread_mutex_unlock(journal->lock);
    }
    return err;
}

int journal_drop(struct journal *journal, const struct journal_loss *victim,
                 struct message *message)
{
    const struct journal_io *io = journal->io;
    char path[FILE_PATH_SIZE];
    size_t index = 0;
    if (!journal->has_victim || victim->stream != journal->victim.stream ||
        victim->first != journal->victim.first || victim->last != journal->victim.last)
        return message_set(message, ERR_INVALID, "this is not the victim that was named last");
    journal->has_victim = false;
    if (journal->victim_old[0])
        return journal_drop_old(journal, journal->victim_old, victim, message);
    struct journal_stream *stream = &journal->streams[victim->stream];
    while (index < stream->count && stream->segments[index].serial != journal->victim_serial)
        index++;
    if (index == stream->count)
        return message_set(message, ERR_NOT_FOUND, "the victim is gone already");
    segment_path(journal->folder, stream->segments[index].name, path);
    int err = mark_dropped(journal, (size_t)victim->stream, index);
    if (err)
        return message_errno(message, err, "journal %s: cannot write its marks", journal->folder);
    pthread_mutex_lock(journal->lock);
    journal_remove_segment(stream, index);
    atomic_fetch_add(&journal->dropped, 1);
    pthread_mutex_unlock(journal->lock);
    err = io->unlink(io->self, path);
    if (!err || err == ERR_NOT_FOUND)
        err = io->sync_folder(io->self, journal->folder);
    journal_make_spare(journal);
    return err ? message_errno(message, err, "cannot remove %s", path) : 0;
}
