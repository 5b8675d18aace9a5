/*
 * Readers: each with a descriptor and a buffer of its own, in step with the appender only where it
 * comes to the end of what it knew to be durable.
 *
 * Design notes. Bytes below a segment's durable end never change, so they are read without the
 * lock. A drop raises `dropped`; the reader then looks its segment up anew before it shows another
 * frame, so what was told as lost is not read after all. Damage is noted for the owner
 * (journal_next_loss), and shown to the caller as a gap. What cannot be read now is neither: the
 * reader stands, says ERR_IO, and looks again at the next call. Only where that went on for
 * PATIENCE calls is it given up as damage, for else one bad sector held up its stream for good.
 */
#include "store/journal_internal.h"

#include <stdlib.h>

#define PATIENCE \
    1000 /* calls without a frame: a quarter of an hour and more, as users come again */

struct journal_reader {
    struct journal *journal;
    int stream;
    uint64_t position;
    struct segment_cursor cursor; /* in the segment below; its io is NULL while there is none */
    struct segment segment;       /* a copy, as of the last look; without its marks */
    uint64_t marked;              /* how far marks were left in the segment */
    unsigned dropped;
    unsigned refused; /* calls since the last frame at which the disk read nothing */
    bool held;        /* `frame` was read, and a gap before it told first */
    struct journal_frame frame;
};

int journal_reader_open(struct journal *journal, int stream, uint64_t from,
                        struct journal_reader **ret_reader)
{
    if (stream < 0 || (size_t)stream >= journal->stream_count)
        return ERR_INVALID;
    struct journal_reader *reader = calloc(1, sizeof(*reader));
    if (!reader)
        return ERR_NO_MEMORY;
    reader->journal = journal;
    reader->stream = stream;
    reader->position = from ? from : 1;
    *ret_reader = reader;
    return 0;
}

void journal_reader_close(struct journal_reader *reader)
{
    if (!reader)
        return;
    segment_cursor_release(&reader->cursor);
    free(reader);
}

void journal_reader_seek(struct journal_reader *reader, uint64_t seq)
{
    reader->position = seq ? seq : 1;
    reader->held = false;
}

uint64_t journal_reader_position(const struct journal_reader *reader)
{
    return reader->position;
}

/* The first segment that ends at or behind `seq`, or NULL; the lock is held. */
static struct segment *find_segment(struct journal_stream *stream, uint64_t seq)
{
    size_t low = 0, high = stream->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (stream->segments[middle].last < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low < stream->count ? &stream->segments[low] : NULL;
}

/* The last mark before `seq`; the segment's beginning where there is none. */
static struct segment_mark find_mark(const struct segment *segment, uint64_t seq)
{
    struct segment_mark mark = {
        .offset = segment->body,
        .seq = segment->first - 1,
        .points = segment->points,
        .wall_ms = segment->from_ms,
    };
    size_t low = 0, high = segment->mark_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (segment->marks[middle].seq < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? segment->marks[low - 1] : mark;
}

static void note_loss(struct journal_reader *reader, uint64_t first, uint64_t last, uint64_t points,
                      int64_t from_ms, int64_t to_ms)
{
    if (first > last)
        return;
    struct journal_loss loss = {
        .stream = reader->stream,
        .first = first,
        .last = last,
        .from_ms = from_ms,
        .to_ms = to_ms,
        .points = points,
        .cause = "damage",
    };
    pthread_mutex_lock(reader->journal->lock);
    journal_note_loss(reader->journal, &loss);
    pthread_mutex_unlock(reader->journal->lock);
}

/* Tells of a gap from the position to `last`, and goes behind it. */
static int pass_gap(struct journal_reader *reader, uint64_t last, struct interval *ret_gap)
{
    *ret_gap = (struct interval){.first = reader->position, .last = last};
    reader->position = last + 1;
    return ERR_GAP;
}

/* Looks up the segment that holds the position, or follows it, and the best place to read from;
 * and up to where the opening told of what no segment will hold. */
static int look_up(struct journal_reader *reader, struct segment_mark *ret_mark,
                   uint64_t *ret_accounted)
{
    struct journal *journal = reader->journal;
    unsigned dropped = atomic_load(&journal->dropped);
    pthread_mutex_lock(journal->lock);
    const struct segment *segment =
        find_segment(&journal->streams[reader->stream], reader->position);
    if (segment) {
        if (reader->cursor.io && segment->serial != reader->segment.serial)
            segment_cursor_release(&reader->cursor);
        *ret_mark = find_mark(segment, reader->position);
        reader->segment = *segment;
        reader->cursor.end = segment->end; /* it may have grown: both tell of one instant */
        reader->segment.marks = NULL;
        reader->segment.mark_count = 0;
        reader->dropped = dropped;
    }
    *ret_accounted = journal->streams[reader->stream].accounted;
    pthread_mutex_unlock(journal->lock);
    return segment ? 0 : ERR_AGAIN;
}

/* Places the cursor in the segment that holds the position, before it. ERR_AGAIN, ERR_GAP. */
static int locate(struct journal_reader *reader, struct interval *ret_gap)
{
    struct journal *journal = reader->journal;
    struct segment_cursor *cursor = &reader->cursor;
    const struct segment *segment = &reader->segment;
    struct segment_mark mark = {0};
    if (cursor->io && atomic_load(&journal->dropped) == reader->dropped &&
        reader->position <= segment->last && reader->position > cursor->seq)
        return 0;
    uint64_t accounted = 0;
    int err = look_up(reader, &mark, &accounted);
    if (err && reader->position <= accounted)
        return pass_gap(reader, accounted, ret_gap);
    if (err)
        return err;
    if (reader->position < segment->first)
        return pass_gap(reader, segment->first - 1, ret_gap);
    if (!cursor->io) {
        err = journal_cursor(journal, reader->stream, segment, cursor);
        reader->marked = segment->body;
    }
    if (err == ERR_NOT_FOUND) {
        note_loss(reader, segment->first, segment->last, segment->points_end - segment->points,
                  segment->from_ms, segment->to_ms);
        return pass_gap(reader, segment->last, ret_gap);
    }
    if (err)
        return ERR_IO;
    if (cursor->seq >= reader->position || cursor->seq < mark.seq) {
        cursor->offset = mark.offset;
        cursor->seq = mark.seq;
        cursor->points = mark.points;
        cursor->wall_ms = mark.wall_ms;
    }
    return 0;
}

/* Remembers places in segments that were not written in this run. */
static void leave_mark(struct journal_reader *reader)
{
    struct journal *journal = reader->journal;
    const struct segment_cursor *cursor = &reader->cursor;
    if (cursor->offset < reader->marked + MARK_BYTES)
        return;
    reader->marked = cursor->offset;
    pthread_mutex_lock(journal->lock);
    struct segment *segment = find_segment(&journal->streams[reader->stream], cursor->seq);
    if (segment && segment->serial == reader->segment.serial)
        journal_add_mark(segment, &(struct segment_mark){.offset = cursor->offset,
                                                         .seq = cursor->seq,
                                                         .points = cursor->points,
                                                         .wall_ms = cursor->wall_ms});
    pthread_mutex_unlock(journal->lock);
}

/* The segment's next frame at or behind the position. ERR_GAP where some before it, or all that
 * are left, are damaged. */
static int read_frame(struct journal_reader *reader, struct interval *ret_gap)
{
    const struct segment *segment = &reader->segment;
    struct journal_frame *frame = &reader->frame;
    struct segment_damage damage;
    for (;;) {
        reader->cursor.waits = reader->refused < PATIENCE;
        int err = segment_cursor_next(&reader->cursor, frame, &damage);
        reader->refused = err == ERR_IO ? reader->refused + 1 : 0;
        if (err == ERR_NO_MEMORY || err == ERR_IO)
            return err;
        if (err || frame->seq > segment->last) { /* behind `last`: left of a failed write */
            note_loss(reader, damage.seq + 1, segment->last, segment->points_end - damage.points,
                      damage.wall_ms, segment->to_ms);
            segment_cursor_release(&reader->cursor);
            return pass_gap(reader, segment->last, ret_gap);
        }
        note_loss(reader, damage.seq + 1, frame->seq - 1,
                  frame->stream_points - frame->points - damage.points, damage.wall_ms,
                  frame->wall_ms);
        leave_mark(reader);
        if (frame->seq >= reader->position)
            break;
    }
    frame->stream = reader->stream;
    if (frame->seq == reader->position)
        return 0;
    reader->held = true;
    return pass_gap(reader, frame->seq - 1, ret_gap);
}

int journal_reader_next(struct journal_reader *reader, struct journal_frame *ret_frame,
                        struct interval *ret_gap)
{
    struct interval gap;
    int err = ERR_GAP;
    while (err == ERR_GAP) {
        bool held = reader->held && atomic_load(&reader->journal->dropped) == reader->dropped;
        reader->held = false;
        err = held ? 0 : locate(reader, &gap);
        if (!held && !err)
            err = read_frame(reader, &gap);
        if (err == ERR_GAP && ret_gap) {
            *ret_gap = gap;
            return err;
        }
    }
    if (err)
        return err;
    *ret_frame = reader->frame;
    reader->position = reader->frame.seq + 1;
    return 0;
}
