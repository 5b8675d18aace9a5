/*
 * Appending and committing.
 *
 * Design notes. Frames wait unsealed in one buffer per stream: their checksums are set when their
 * place is known, which may become another one. A commit reserves sequences, then writes each
 * stream's frames behind its segment's end, flushes, and publishes: what fits into a segment at a
 * time.
 *
 * A failed write or flush says nothing about what is on the disk, and a second flush would say
 * yes without having written (RELIABILITY 0, finding 10). So the segment is closed at its last
 * durable frame, and the frames, still in memory, go under the same sequences into a fresh one.
 * Recovery reads the old one only up to where the fresh one begins.
 *
 * The owner's state in a header must tell of the records before that segment and of no other: a
 * state ahead of the disk would make the centre claim what a power cut took. So it is saved when
 * the record that will begin a segment is appended (the `cut`), and its header is written only
 * after all before the cut is durable. Segments that begin elsewhere, after a failure, carry none;
 * recovery then goes back to an older state.
 */
#include "store/journal_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RESERVE_LEAST 256
#define RESERVE_TIMES 16 /* as many sequences as one commit used: marks are written rarely */
#define MARKS_US      ((int64_t)1000 * 1000)
#define BEGIN_TRIES   2
#define WRITE_TRIES   2

/* ---- segments ---- */

static struct segment *open_segment(const struct journal_stream *stream)
{
    return &stream->segments[stream->count - 1];
}

static bool has_room(const struct journal *journal, uint64_t bytes, uint64_t past)
{
    uint64_t spare = journal->spare_fd >= 0 ? journal->spare_bytes : 0;
    /* What is owed of an epoch that ended goes into this one before it is freed, file by file. */
    uint64_t retired = journal->owes_old ? 0 : journal->retired_bytes;
    return !journal->limit_bytes ||
           journal_segment_bytes(journal) + retired + spare + bytes <= journal->limit_bytes + past;
}

/* The first stream's next segment is reserved beforehand: on a full disk it can still be told
 * what is lost. Where there is no room now, it is tried again after the next drop. */
void journal_make_spare(struct journal *journal)
{
    char path[FILE_PATH_SIZE];
    if (journal->spare_fd >= 0 || !has_room(journal, journal->segment_bytes, 0))
        return;
    segment_path(journal->folder, JOURNAL_SPARE, path);
    if (segment_file_reserve(journal->io, path, journal->segment_bytes, &journal->spare_fd))
        journal->spare_fd = -1;
    journal->spare_bytes = journal->segment_bytes;
}

/* Ends the segment that is open for appending: nothing is flushed any more, and the space reserved
 * behind its end is given back. That it may fail matters little: readers know the end. */
void journal_finish_segment(struct journal *journal, struct journal_stream *stream)
{
    char path[FILE_PATH_SIZE];
    if (stream->fd < 0)
        return;
    struct segment *segment = open_segment(stream);
    journal->io->close(journal->io->self, stream->fd);
    stream->fd = -1;
    segment_path(journal->folder, segment->name, path);
    if (segment->end < segment->bytes &&
        !journal->io->truncate(journal->io->self, path, segment->end)) {
        pthread_mutex_lock(journal->lock);
        segment->bytes = segment->end;
        pthread_mutex_unlock(journal->lock);
    }
}

/* A file with space for a new segment. The first stream may pass the limit, and takes the spare
 * one where the disk has no other; after a failure each may pass it by one segment, no more: a disk
 * that goes on failing would fill it up. */
static int reserve_file(struct journal *journal, const struct journal_stream *stream,
                        uint64_t bytes, bool past_limit, char ret_path[FILE_PATH_SIZE], int *ret_fd)
{
    bool first = stream == &journal->streams[0];
    int err = ERR_FULL;
    errno = ENOSPC;
    segment_path(journal->folder, "new.tmp", ret_path);
    if (has_room(journal, bytes, past_limit ? journal->stream_count * journal->segment_bytes : 0))
        err = segment_file_reserve(journal->io, ret_path, bytes, ret_fd);
    if (err == ERR_FULL && first && journal->spare_fd >= 0 && journal->spare_bytes >= bytes) {
        segment_path(journal->folder, JOURNAL_SPARE, ret_path);
        *ret_fd = journal->spare_fd;
        journal->spare_fd = -1;
        err = 0;
    }
    if (err == ERR_FULL && first)
        err = segment_file_reserve(journal->io, ret_path, bytes, ret_fd);
    return err;
}

static void fill_header(struct journal *journal, const struct journal_stream *stream,
                        const struct journal_frame *frame, bool with_state,
                        struct segment_header *header)
{
    const struct journal_marks *marks = &journal->meta.streams[stream - journal->streams];
    *header = (struct segment_header){
        .serial = journal->meta.next_serial++,
        .letter = marks->letter,
        .has_state = with_state,
        .first = frame->seq,
        .previous_serial = stream->count ? stream->segments[stream->count - 1].serial : 0,
        .previous_last = marks->durable,
        .previous_ms = stream->last_ms,
        .points = marks->durable_points,
        .wall_ms = frame->wall_ms,
        .state_len = with_state ? (uint32_t)stream->state.len : 0,
    };
    memcpy(header->epoch, journal->meta.epoch, SEGMENT_EPOCH_BYTES);
    for (size_t s = 0; s < journal->stream_count; s++) {
        header->letters[s] = journal->letters[s];
        header->last[s] = journal->streams[s].next - 1;
    }
}

/* Makes a segment that begins with the first pending frame, and opens it. */
static int begin_once(struct journal *journal, struct journal_stream *stream, bool with_state,
                      bool past_limit)
{
    const struct journal_io *io = journal->io;
    const uint8_t *pending = (const uint8_t *)stream->pending.data;
    struct segment_header header;
    struct segment segment;
    struct journal_frame frame;
    char from[FILE_PATH_SIZE], to[FILE_PATH_SIZE], name[SEGMENT_NAME_SIZE];
    int fd;

    size_t first_bytes = frames_fit(pending, 1, FRAME_MAX_BYTES, &frame);
    fill_header(journal, stream, &frame, with_state, &header);
    uint64_t bytes = SEGMENT_HEADER_BYTES + header.state_len + first_bytes;
    if (bytes < journal->segment_bytes)
        bytes = journal->segment_bytes;
    segment_name(header.letter, header.serial, name);
    segment_path(journal->folder, name, to);
    int err = reserve_file(journal, stream, bytes, past_limit, from, &fd);
    if (err)
        return err;
    err = segment_file_begin(io, fd, journal->folder, from, to, &header, stream->state.data);
    if (!err) {
        journal_segment_from_header(&header, name, bytes, &segment);
        segment.end = segment.body;
        journal_finish_segment(journal, stream);
        pthread_mutex_lock(journal->lock);
        err = journal_add_segment(stream, &segment);
        pthread_mutex_unlock(journal->lock);
    }
    if (err) {
        io->close(io->self, fd);
        (void)!io->unlink(io->self, from);
        (void)!io->unlink(io->self, to);
        return err;
    }
    stream->fd = fd;
    return 0;
}

static int begin_segment(struct journal *journal, struct journal_stream *stream, bool past_limit)
{
    bool with_state = stream->has_cut && stream->cut == 0 && journal->owner.save != NULL &&
                      !buffer_error(&stream->state);
    int err = ERR_IO;
    for (int try = 0; err == ERR_IO && try < BEGIN_TRIES; try++)
        err = begin_once(journal, stream, with_state, past_limit);
    if (err == ERR_FULL && journal_free_retired(journal))
        err = begin_once(journal, stream, with_state, past_limit);
    if (err)
        return err;
    if (stream->has_cut && stream->cut == 0)
        stream->has_cut = false;
    if (stream == &journal->streams[0])
        journal_make_spare(journal);
    return 0;
}

/* ---- committing ---- */

/* The first `len` bytes of what is pending, behind the open segment's end. */
static int write_frames(struct journal *journal, struct journal_stream *stream, size_t len)
{
    const struct journal_io *io = journal->io;
    const struct segment *segment = open_segment(stream);
    frames_seal((uint8_t *)stream->pending.data, len, segment->seed, segment->end);
    int err = io->pwrite(io->self, stream->fd, stream->pending.data, len, segment->end);
    return err ? err : io->fdatasync(io->self, stream->fd);
}

/* Shows what is durable now: `len` bytes, `last` their last frame. */
static void publish(struct journal *journal, struct journal_stream *stream, size_t len,
                    const struct journal_frame *last)
{
    struct journal_marks *marks = &journal->meta.streams[stream - journal->streams];
    struct segment *segment = open_segment(stream);
    pthread_mutex_lock(journal->lock);
    segment->end += len;
    if (segment->bytes < segment->end)
        segment->bytes = segment->end;
    segment->last = last->seq;
    segment->to_ms = last->wall_ms;
    segment->points_end = last->stream_points;
    stream->pending_points -= last->stream_points - marks->durable_points;
    marks->durable = last->seq;
    marks->durable_points = last->stream_points;
    journal_add_mark(segment, &(struct segment_mark){.offset = segment->end,
                                                     .seq = last->seq,
                                                     .points = last->stream_points,
                                                     .wall_ms = last->wall_ms});
    pthread_mutex_unlock(journal->lock);
    stream->last_ms = last->wall_ms;
    buffer_consume(&stream->pending, len);
    stream->pending_count = stream->next - 1 - last->seq;
    if (stream->has_cut)
        stream->cut -= len;
}

/* Gives up a segment that could not be written into. */
static void abandon(struct journal *journal, struct journal_stream *stream)
{
    char path[FILE_PATH_SIZE];
    const struct segment *segment = open_segment(stream);
    if (segment->end > segment->body || segment->has_state) {
        journal_finish_segment(journal, stream);
        return;
    }
    segment_path(journal->folder, segment->name, path);
    journal->io->close(journal->io->self, stream->fd);
    stream->fd = -1;
    pthread_mutex_lock(journal->lock);
    journal_remove_segment(stream, stream->count - 1);
    atomic_fetch_add(&journal->dropped, 1);
    pthread_mutex_unlock(journal->lock);
    (void)!journal->io->unlink(journal->io->self, path);
}

/* How much of what is pending may go behind the open segment's end; 0: it needs a new one. */
static size_t fitting(const struct journal_stream *stream, struct journal_frame *ret_last)
{
    if (stream->fd < 0 || (stream->has_cut && stream->cut == 0))
        return 0;
    const struct segment *segment = open_segment(stream);
    return frames_fit((const uint8_t *)stream->pending.data,
                      stream->has_cut ? stream->cut : stream->pending.len,
                      segment->bytes - segment->end, ret_last);
}

static int commit_stream(struct journal *journal, struct journal_stream *stream)
{
    int failures = 0;
    while (stream->pending.len) {
        struct journal_frame last;
        size_t len = fitting(stream, &last);
        int err = len ? write_frames(journal, stream, len)
                      : begin_segment(journal, stream, failures > 0 || journal->ending);
        if (!err && len)
            publish(journal, stream, len, &last);
        if (err && len)
            abandon(journal, stream);
        if (err && (!len || ++failures == WRITE_TRIES))
            return err;
    }
    return 0;
}

/* Makes sure that no sequence is written before its number is known to be used. */
static int reserve_sequences(struct journal *journal)
{
    uint64_t before[JOURNAL_MAX_STREAMS];
    bool needed = false;
    for (size_t s = 0; s < journal->stream_count; s++) {
        const struct journal_stream *stream = &journal->streams[s];
        uint64_t *reserved = &journal->meta.streams[s].reserved;
        before[s] = *reserved;
        if (!stream->pending.len || stream->next - 1 <= *reserved)
            continue;
        uint64_t ahead = RESERVE_TIMES * stream->pending_count;
        *reserved = stream->next - 1 + (ahead > RESERVE_LEAST ? ahead : RESERVE_LEAST);
        needed = true;
    }
    int err = needed ? journal_write_marks(journal) : 0;
    for (size_t s = 0; err && s < journal->stream_count; s++)
        journal->meta.streams[s].reserved = before[s];
    return err;
}

static void notify(struct journal *journal)
{
    struct subscriber subscribers[JOURNAL_MAX_SUBSCRIBERS];
    pthread_mutex_lock(journal->lock);
    size_t count = journal->subscriber_count;
    memcpy(subscribers, journal->subscribers, sizeof(subscribers));
    pthread_mutex_unlock(journal->lock);
    for (size_t i = 0; i < count; i++)
        subscribers[i].notify(subscribers[i].self);
}

static int not_durable(const struct journal *journal, int err, struct message *message)
{
    return message_errno(message, err == ERR_FULL ? ERR_FULL : ERR_IO,
                         "journal %s: %zu bytes are not on the disk; they are kept in memory and "
                         "tried again",
                         journal->folder, journal_pending(journal));
}

int journal_commit_pending(struct journal *journal, struct message *message)
{
    bool durable = false;
    if (!journal_pending(journal))
        return 0;
    int err = reserve_sequences(journal);
    if (err)
        return not_durable(journal, err, message);
    for (size_t s = 0; s < journal->stream_count; s++) {
        if (!journal->streams[s].pending.len)
            continue;
        uint64_t before = journal->meta.streams[s].durable;
        int stream_err = commit_stream(journal, &journal->streams[s]);
        durable = durable || journal->meta.streams[s].durable != before;
        err = err ? err : stream_err;
    }
    if (durable)
        notify(journal);
    return err ? not_durable(journal, err, message) : 0;
}

int journal_commit(struct journal *journal, struct message *message)
{
    int err = journal_commit_pending(journal, message);
    if (err)
        return err;
    journal_settle_handed(journal);
    pthread_mutex_lock(journal->lock);
    bool due = journal->marks_dirty && journal->mono_us - journal->marks_us >= MARKS_US;
    pthread_mutex_unlock(journal->lock);
    if (due)
        (void)!journal_write_marks(journal); /* stays dirty: tried again with a later commit */
    return 0;
}

/* ---- appending ---- */

/* Where the next frame will begin a segment: remembers that, and what the owner knows so far. */
static void cut_where_full(struct journal *journal, struct journal_stream *stream, size_t size)
{
    if (stream->has_cut || (stream->fd < 0 && stream->pending.len))
        return;
    if (stream->fd >= 0) {
        const struct segment *segment = open_segment(stream);
        if (segment->end + stream->pending.len + size <= segment->bytes)
            return;
    }
    stream->has_cut = true;
    stream->cut = stream->pending.len;
    buffer_clear(&stream->state);
    if (journal->owner.save)
        journal->owner.save(journal->owner.self, (int)(stream - journal->streams), &stream->state);
}

int journal_append(struct journal *journal, int stream_index, const char *origin,
                   const void *payload, size_t len, uint32_t points, int64_t wall_ms,
                   int64_t mono_us, uint64_t *ret_seq, struct message *message)
{
    size_t origin_len = strlen(origin);
    if (stream_index < 0 || (size_t)stream_index >= journal->stream_count)
        return message_set(message, ERR_INVALID, "the journal has no stream %d", stream_index);
    if (len > JOURNAL_MAX_PAYLOAD || origin_len > JOURNAL_MAX_ORIGIN)
        return message_set(message, ERR_RANGE,
                           "a record has at most %d bytes and an origin of %d, not %zu and %zu",
                           JOURNAL_MAX_PAYLOAD, JOURNAL_MAX_ORIGIN, len, origin_len);
    struct journal_stream *stream = &journal->streams[stream_index];
    if (journal_pending(journal) + frame_size(origin_len, len) > JOURNAL_MAX_PENDING)
        return message_set(message, ERR_FULL,
                           "%zu bytes wait for the disk of %s, which takes nothing",
                           journal_pending(journal), journal->folder);
    cut_where_full(journal, stream, frame_size(origin_len, len));
    const struct journal_marks *marks = &journal->meta.streams[stream_index];
    struct journal_frame frame = {
        .seq = stream->next,
        .wall_ms = wall_ms,
        .mono_us = mono_us,
        .points = points,
        .stream_points = marks->durable_points + stream->pending_points + points,
        .payload = payload,
        .len = len,
    };
    memcpy(frame.origin, origin, origin_len + 1);
    size_t before = stream->pending.len;
    frame_append(&stream->pending, marks->letter, &frame);
    if (buffer_error(&stream->pending)) {
        stream->pending.len = before;
        stream->pending.error = 0;
        if (stream->has_cut && stream->cut == before)
            stream->has_cut = false;
        return message_set(message, ERR_NO_MEMORY, "journal: out of memory");
    }
    stream->next++;
    stream->pending_points += points;
    stream->pending_count++;
    journal->mono_us = mono_us;
    atomic_fetch_add(&journal->points, points);
    *ret_seq = frame.seq;
    return 0;
}
