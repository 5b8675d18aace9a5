#include "store/journal_state.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* What the receiver has, what may be freed, and what others may know of the journal. */

uint64_t journal_durable(const struct journal *journal, int stream)
{
    struct journal *locked = (struct journal *)(uintptr_t)journal;
    pthread_mutex_lock(&locked->lock);
    uint64_t seq = journal->streams[stream].durable_seq;
    pthread_mutex_unlock(&locked->lock);
    return seq;
}

uint64_t journal_durable_points(const struct journal *journal)
{
    struct journal *locked = (struct journal *)(uintptr_t)journal;
    uint64_t points = 0;
    pthread_mutex_lock(&locked->lock);
    for (int i = 0; i < journal->stream_count; i++)
        points += journal->streams[i].durable_points;
    pthread_mutex_unlock(&locked->lock);
    return points;
}

uint64_t journal_first(const struct journal *journal, int stream_index)
{
    struct journal *locked = (struct journal *)(uintptr_t)journal;
    const struct stream_state *stream = &journal->streams[stream_index];
    pthread_mutex_lock(&locked->lock);
    uint64_t first = stream->durable_seq + 1;
    for (size_t i = stream->segment_count; i-- > 0;)
        if (stream->segments[i].last_seq)
            first = stream->segments[i].header.first_seq;
    pthread_mutex_unlock(&locked->lock);
    return first;
}

static bool is_received(const struct stream_state *stream, const struct segment *segment)
{
    return !segment->last_seq ||
           intervals_contain_all(&stream->received, segment->header.first_seq, segment->last_seq);
}

void journal_bytes(const struct journal *journal, uint64_t *ret_total, uint64_t *ret_received)
{
    struct journal *locked = (struct journal *)(uintptr_t)journal;
    pthread_mutex_lock(&locked->lock);
    uint64_t total = journal->retired_bytes, received = journal->retired_bytes;
    for (int i = 0; i < journal->stream_count; i++)
        for (size_t n = 0; n < journal->streams[i].segment_count; n++) {
            const struct segment *segment = &journal->streams[i].segments[n];
            total += segment->allocated;
            received += is_received(&journal->streams[i], segment) ? segment->allocated : 0;
        }
    pthread_mutex_unlock(&locked->lock);
    *ret_total = total;
    *ret_received = received;
}

/* ---- received ---- */

static int take_received(struct journal *journal, int stream_index,
                         const struct intervals *received, bool anew)
{
    struct stream_state *stream = &journal->streams[stream_index];
    pthread_mutex_lock(&journal->lock);
    int err = intervals_max(received) > stream->durable_seq ? ERR_RANGE : 0;
    if (!err && anew)
        intervals_clear(&stream->received);
    if (!err)
        err = intervals_add_all(&stream->received, received);
    if (!err)
        journal->received_changed = true;
    pthread_mutex_unlock(&journal->lock);
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
    pthread_mutex_lock(&journal->lock);
    intervals_clear(out);
    int err = intervals_add_all(out, &journal->streams[stream].received);
    pthread_mutex_unlock(&journal->lock);
    return err;
}

/* ---- freeing ---- */

static bool is_open(const struct stream_state *stream, size_t n)
{
    return stream->fd >= 0 && n + 1 == stream->segment_count;
}

/* What of the segment the receiver does not have. first > last: nothing. */
static void describe(const struct journal *journal, int stream_index, const struct segment *segment,
                     struct journal_loss *loss)
{
    const struct stream_state *stream = &journal->streams[stream_index];
    *loss = (struct journal_loss){.stream = stream_index,
                                  .first = 1,
                                  .last = 0,
                                  .from_ms = segment->header.made_ms,
                                  .to_ms = segment->to_ms};
    loss->segment_first = segment->header.first_seq;
    (void)!text_copy(loss->cause, sizeof(loss->cause), "space");
    struct interval hole;
    if (!segment->last_seq || !intervals_next_hole(&stream->received, segment->header.first_seq,
                                                   segment->last_seq, &hole))
        return;
    loss->first = hole.first;
    uint64_t missing = 0;
    do {
        loss->last = hole.last;
        missing += hole.last - hole.first + 1;
    } while (intervals_next_hole(&stream->received, hole.last + 1, segment->last_seq, &hole));
    /* Exact where nothing of it was received, else by share: records of one segment are alike. */
    uint64_t records = segment->last_seq - segment->header.first_seq + 1;
    loss->points = missing == records ? segment->points : segment->points * missing / records;
}

int journal_victim(struct journal *journal, struct journal_loss *ret_loss)
{
    bool found = false;
    pthread_mutex_lock(&journal->lock);
    /* What the receiver has, oldest first, of any stream. */
    int64_t oldest_ms = INT64_MAX;
    for (int i = 0; i < journal->stream_count; i++)
        for (size_t n = 0; n < journal->streams[i].segment_count; n++) {
            const struct segment *segment = &journal->streams[i].segments[n];
            if (is_open(&journal->streams[i], n) || !is_received(&journal->streams[i], segment) ||
                segment->header.made_ms >= oldest_ms)
                continue;
            oldest_ms = segment->header.made_ms;
            describe(journal, i, segment, ret_loss);
            found = true;
        }
    /* Else the oldest of the stream that is dropped first; never one of the first letter's. */
    for (int i = journal->stream_count - 1; !found && i > 0; i--)
        if (journal->streams[i].segment_count && !is_open(&journal->streams[i], 0)) {
            describe(journal, i, &journal->streams[i].segments[0], ret_loss);
            found = true;
        }
    pthread_mutex_unlock(&journal->lock);
    return found ? 0 : ERR_NOT_FOUND;
}

int journal_drop(struct journal *journal, const struct journal_loss *victim,
                 struct message *message)
{
    struct stream_state *stream = &journal->streams[victim->stream];
    char path[FILE_PATH_SIZE];
    size_t n = 0;
    while (n < stream->segment_count &&
           stream->segments[n].header.first_seq != victim->segment_first)
        n++;
    if (n == stream->segment_count || is_open(stream, n))
        return message_set(message, ERR_NOT_FOUND, "the segment to drop is not there");
    int err = journal_path(journal, stream->segments[n].name, path);
    if (!err && journal->received_changed)
        err = received_save(journal); /* a deletion rests on it */
    if (!err)
        err = journal->io->unlink(journal->io->self, path);
    if (err)
        return message_set(message, err, "cannot delete %s: %s", path, err_name(err));
    pthread_mutex_lock(&journal->lock);
    stream->segment_count--;
    memmove(&stream->segments[n], &stream->segments[n + 1],
            (stream->segment_count - n) * sizeof(stream->segments[0]));
    pthread_mutex_unlock(&journal->lock);
    return 0;
}

void journal_drop_retired(struct journal *journal)
{
    char path[FILE_PATH_SIZE];
    for (size_t i = 0; i < journal->retired_count; i++)
        if (!journal_path(journal, journal->retired[i], path))
            (void)!journal->io->unlink(journal->io->self, path);
    pthread_mutex_lock(&journal->lock);
    journal->retired_count = 0;
    journal->retired_bytes = 0;
    pthread_mutex_unlock(&journal->lock);
}
