/*
 * One stream's segments at opening, from the oldest on.
 *
 * Design notes. The walk carries the sequence up to which all is present or told. Between two
 * segments the later one's header says where the earlier one ended: what is missing up to there
 * was durable and is damage, told with its samples; what follows was reserved and never durable.
 *
 * Bad bytes between good frames are copied into a file of their own. What follows the last good
 * frame of the stream is cut off: it was never committed, or cannot be told from what was not.
 */
#include "store/journal_recovery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_QUARANTINE_FILES 64
#define MOST_QUARANTINE_BYTES ((size_t)64 * 1024) /* of one damaged place */
#define COPY_BYTES            ((size_t)256 * 1024)

/* Where the walk through a stream stands. */
struct walk {
    struct recovery *recovery;
    int stream;
    uint64_t seq, points; /* up to here all is present or told */
    int64_t wall_ms;
    bool replay;      /* to the owner, from its state on */
    uint64_t durable; /* by the marks */
    uint64_t unsure;  /* where the segment's first frame behind that begins */
};

static uint64_t difference(uint64_t more, uint64_t less)
{
    return more > less ? more - less : 0;
}

static void lose(struct walk *walk, uint64_t first, uint64_t last, uint64_t points, int64_t to_ms,
                 const char *cause)
{
    if (first > last)
        return;
    struct journal_loss loss = {
        .stream = walk->stream,
        .first = first,
        .last = last,
        .from_ms = walk->wall_ms,
        .to_ms = to_ms > walk->wall_ms ? to_ms : walk->wall_ms,
        .points = points,
    };
    snprintf(loss.cause, sizeof(loss.cause), "%s", cause);
    journal_note_loss(walk->recovery->journal, &loss);
}

/* Copies bad bytes beside the segment, as far as there is place for such files. */
static void quarantine_bytes(struct recovery *recovery, const struct segment *segment,
                             const struct segment_damage *damage)
{
    struct journal *journal = recovery->journal;
    const struct journal_io *io = journal->io;
    char path[FILE_PATH_SIZE], name[2 * SEGMENT_NAME_SIZE];
    size_t len =
        damage->bytes < MOST_QUARANTINE_BYTES ? (size_t)damage->bytes : MOST_QUARANTINE_BYTES;
    uint8_t *bytes = NULL;
    int from, to;
    recovery->report->quarantined_bytes += damage->bytes;
    if (recovery->bad_files >= MOST_QUARANTINE_FILES)
        return;
    segment_path(journal->folder, segment->name, path);
    if (io->open(io->self, path, false, &from))
        return;
    bytes = malloc(len);
    if (!bytes || io->pread(io->self, from, bytes, len, damage->offset, &len))
        goto out;
    snprintf(name, sizeof(name), "%s.%llu.bad", segment->name, (unsigned long long)damage->offset);
    segment_path(journal->folder, name, path);
    if (io->open(io->self, path, true, &to))
        goto out;
    (void)!io->pwrite(io->self, to, bytes, len, 0);
    io->close(io->self, to);
    recovery->bad_files++;
out:
    io->close(io->self, from);
    free(bytes);
}

static void take_frame(struct walk *walk, struct segment *segment, struct journal_frame *frame)
{
    struct journal *journal = walk->recovery->journal;
    frame->stream = walk->stream;
    walk->recovery->report->scanned_frames++;
    walk->seq = frame->seq;
    walk->points = frame->stream_points;
    walk->wall_ms = frame->wall_ms;
    segment->last = frame->seq;
    segment->points_end = frame->stream_points;
    segment->to_ms = frame->wall_ms;
    /* A record that the owner cannot read is the owner's to ask for again: it stops nothing. */
    if (walk->replay)
        (void)!journal->owner.replay(journal->owner.self, frame);
}

/* Reads a segment's frames up to sequence `limit`, telling what is missing between them. Its end
 * and last sequence are known after. */
static int scan_segment(struct walk *walk, struct segment *segment, uint64_t limit,
                        struct segment_damage *ret_tail, uint64_t *ret_torn)
{
    struct segment_cursor cursor;
    struct journal_frame frame;
    struct segment_damage damage = {0};
    int err = journal_cursor(walk->recovery->journal, walk->stream, segment, &cursor);
    if (err)
        return message_errno(walk->recovery->message, err, "cannot read segment %s", segment->name);
    while (!err && cursor.seq < limit) {
        uint64_t offset = cursor.offset;
        err = segment_cursor_next(&cursor, &frame, &damage);
        if (!err && frame.seq > limit) {
            cursor.offset = offset; /* leftovers of a failed write */
            break;
        }
        if (!err && damage.bytes) {
            quarantine_bytes(walk->recovery, segment, &damage);
            lose(walk, damage.seq + 1, frame.seq - 1,
                 difference(frame.stream_points - frame.points, damage.points), frame.wall_ms,
                 "damage");
        }
        if (!err && walk->seq <= walk->durable && frame.seq > walk->durable)
            walk->unsure = offset + damage.bytes;
        if (!err)
            take_frame(walk, segment, &frame);
    }
    if (err == ERR_NOT_FOUND)
        err = segment_cursor_used(&cursor, cursor.offset, ret_torn);
    else
        *ret_torn = 0;
    segment->end = cursor.offset;
    *ret_tail = damage;
    segment_cursor_release(&cursor);
    return err;
}

/* Copies from..to of one file into the same place of another, or of itself. */
static int copy_bytes(const struct journal_io *io, int source, int target, uint64_t from,
                      uint64_t to)
{
    uint8_t *bytes = malloc(COPY_BYTES);
    int err = bytes ? 0 : ERR_NO_MEMORY;
    while (!err && from < to) {
        size_t len = to - from < COPY_BYTES ? (size_t)(to - from) : COPY_BYTES;
        size_t got = 0;
        err = io->pread(io->self, source, bytes, len, from, &got);
        if (!err)
            err = got ? io->pwrite(io->self, target, bytes, got, from) : ERR_IO;
        from += got;
    }
    free(bytes);
    return err;
}

/* Copies a segment whose flush failed into a new file, and puts that in its place. */
static int replace_segment(struct journal *journal, const struct segment *segment)
{
    const struct journal_io *io = journal->io;
    char from_path[FILE_PATH_SIZE], to_path[FILE_PATH_SIZE];
    int from = -1, to = -1;
    segment_path(journal->folder, segment->name, from_path);
    segment_path(journal->folder, "new.tmp", to_path);
    int err = io->open(io->self, from_path, false, &from);
    if (!err)
        err = io->open(io->self, to_path, true, &to);
    if (!err)
        err = copy_bytes(io, from, to, 0, segment->end);
    if (!err)
        err = io->fsync(io->self, to);
    if (!err)
        err = io->rename(io->self, to_path, from_path);
    if (!err)
        err = io->sync_folder(io->self, journal->folder);
    if (from >= 0)
        io->close(io->self, from);
    if (to >= 0)
        io->close(io->self, to);
    return err;
}

/* The space behind the last frame is given back once more: a power cut may have undone that. */
static void trim(const struct journal *journal, struct segment *segment)
{
    char path[FILE_PATH_SIZE];
    segment_path(journal->folder, segment->name, path);
    if (segment->end < segment->bytes &&
        !journal->io->truncate(journal->io->self, path, segment->end))
        segment->bytes = segment->end;
}

/* What a stopped process wrote may not be on the disk, and an earlier flush of it may have failed:
 * the cache then calls it clean. So what the marks do not call durable is written once more, and
 * flushed, before it is shown. */
static int make_durable(struct walk *walk, struct segment *segment, uint64_t torn)
{
    struct journal *journal = walk->recovery->journal;
    const struct journal_io *io = journal->io;
    char path[FILE_PATH_SIZE];
    int fd;
    walk->recovery->report->torn_bytes += torn;
    segment_path(journal->folder, segment->name, path);
    trim(journal, segment);
    if (!walk->recovery->report->unclean && !torn)
        return 0;
    int err = io->open(io->self, path, true, &fd);
    if (err)
        return message_errno(walk->recovery->message, err, "cannot open %s", path);
    err = copy_bytes(io, fd, fd, walk->unsure, segment->end);
    if (!err)
        err = io->fdatasync(io->self, fd);
    io->close(io->self, fd);
    if (err)
        err = replace_segment(journal, segment);
    return err ? message_errno(walk->recovery->message, err, "cannot flush %s", path) : 0;
}

/* Gives the owner the newest state that it takes; the index of that segment, or 0. */
static size_t restore_state(struct recovery *recovery, int stream_index)
{
    struct journal *journal = recovery->journal;
    const struct journal_stream *stream = &journal->streams[stream_index];
    for (size_t i = stream->count; journal->owner.restore && i-- > 0;) {
        const struct segment *segment = &stream->segments[i];
        struct segment_header header;
        char path[FILE_PATH_SIZE];
        uint64_t size;
        if (!segment->has_state)
            continue;
        segment_path(journal->folder, segment->name, path);
        buffer_clear(&journal->state);
        if (!segment_file_header(journal->io, path, &header, &size) &&
            !segment_file_state(journal->io, path, &header, &journal->state) &&
            !journal->owner.restore(journal->owner.self, stream_index, buffer_text(&journal->state),
                                    journal->state.len))
            return i;
    }
    return 0;
}

/* What lies between the walk and the segment's first sequence: first what earlier segments should
 * have held, then numbers that were reserved and never durable. */
static void close_gap(struct walk *walk, const struct segment *segment)
{
    uint64_t held = segment->previous_last;
    if (held > walk->seq) {
        lose(walk, walk->seq + 1, held, difference(segment->points, walk->points),
             segment->previous_ms, "damage");
        walk->seq = held;
        walk->points = segment->points;
        walk->wall_ms = segment->previous_ms;
    }
    lose(walk, walk->seq + 1, segment->first - 1, 0, segment->from_ms, "restart");
    if (segment->first - 1 > walk->seq) {
        walk->seq = segment->first - 1;
        walk->points = segment->points;
    }
}

/* Was all of it dropped already? (A power cut may bring an unlinked file back.) */
static bool is_settled(const struct journal_marks *marks, const struct segment *segment)
{
    return segment->first < marks->front ||
           (segment->first <= segment->last &&
            intervals_contain_all(&marks->settled, segment->first, segment->last));
}

/* Determines the segment's end, reading it where that is needed. */
static int walk_segment(struct walk *walk, size_t index, size_t state_index)
{
    struct journal *journal = walk->recovery->journal;
    struct journal_stream *stream = &journal->streams[walk->stream];
    struct segment *segment = &stream->segments[index];
    const struct segment *next = index + 1 < stream->count ? segment + 1 : NULL;
    const struct intervals *received = &journal->meta.streams[walk->stream].received;
    bool linked = next && next->previous_serial == segment->serial;
    uint64_t limit = !next ? UINT64_MAX : linked ? next->previous_last : next->first - 1;
    struct segment_damage tail = {0};
    uint64_t torn = 0;
    int err = 0;

    close_gap(walk, segment);
    walk->unsure = walk->durable < segment->first ? segment->body : UINT64_MAX;
    walk->replay = journal->owner.replay && index >= state_index;
    bool scan = !linked || walk->replay ||
                (journal->verify && !intervals_contain_all(received, segment->first, limit));
    if (scan)
        err = scan_segment(walk, segment, limit, &tail, &torn);
    if (err)
        return err;
    if (!next)
        return make_durable(walk, segment, torn);
    if (scan && !torn)
        trim(journal, segment);
    if (!linked || limit < segment->first)
        return 0;
    if (scan && walk->seq < limit && tail.bytes)
        quarantine_bytes(walk->recovery, segment, &tail);
    if (scan)
        lose(walk, walk->seq + 1, limit, difference(next->points, walk->points), next->previous_ms,
             "damage");
    walk->seq = segment->last = limit;
    walk->points = segment->points_end = next->points;
    walk->wall_ms = segment->to_ms = next->previous_ms;
    segment->end = segment->bytes;
    return 0;
}

static void forget_settled(struct recovery *recovery, int stream_index)
{
    struct journal *journal = recovery->journal;
    struct journal_stream *stream = &journal->streams[stream_index];
    for (size_t i = 0; i < stream->count;) {
        char path[FILE_PATH_SIZE];
        if (!is_settled(&journal->meta.streams[stream_index], &stream->segments[i])) {
            i++;
            continue;
        }
        segment_path(journal->folder, stream->segments[i].name, path);
        (void)!journal->io->unlink(journal->io->self, path);
        journal_remove_segment(stream, i);
    }
}

int recovery_walk_stream(struct recovery *recovery, int index)
{
    struct journal *journal = recovery->journal;
    struct journal_stream *stream = &journal->streams[index];
    struct journal_marks *marks = &journal->meta.streams[index];
    forget_settled(recovery, index);
    size_t state_index = restore_state(recovery, index);
    struct walk walk = {
        .recovery = recovery,
        .stream = index,
        .seq = marks->front - 1,
        .points = marks->front_points,
        .wall_ms = stream->count ? stream->segments[0].from_ms : 0,
        .durable = marks->durable,
    };
    for (size_t i = 0; i < stream->count; i++) {
        int err = walk_segment(&walk, i, state_index);
        if (err)
            return err;
    }
    forget_settled(recovery, index);
    if (marks->durable > walk.seq) {
        lose(&walk, walk.seq + 1, marks->durable, difference(marks->durable_points, walk.points), 0,
             "damage");
        walk.seq = marks->durable;
        walk.points = marks->durable_points;
    }
    if (marks->reserved < walk.seq)
        marks->reserved = walk.seq;
    marks->reserved += recovery->distance;
    lose(&walk, walk.seq + 1, marks->reserved, 0, 0, "restart");
    marks->durable = walk.seq;
    marks->durable_points = walk.points;
    stream->next = marks->reserved + 1;
    stream->accounted = marks->reserved;
    stream->last_ms = walk.wall_ms;
    atomic_fetch_add(&journal->points, walk.points);
    return 0;
}
