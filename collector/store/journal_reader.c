#include "store/journal_state.h"

#include <stdlib.h>
#include <string.h>

/*
 * Design notes
 *
 * A reader holds one segment file open and a window of its bytes. Where a segment ends, and which
 * one is next, it asks under the journal's lock; it reads without it. A segment that is dropped
 * while it is read stays readable through the open descriptor.
 */

#define WINDOW_BYTES (512 * 1024)

struct journal_reader {
    struct journal *journal;
    int stream;
    uint64_t position; /* the sequence looked for */
    int fd;            /* -1: no segment is open */
    struct segment segment;
    uint64_t offset; /* of the next frame */
    char *window;
    uint64_t window_begin;
    size_t window_len;
};

int journal_reader_open(struct journal *journal, int stream, uint64_t from,
                        struct journal_reader **ret_reader)
{
    struct journal_reader *reader = calloc(1, sizeof(*reader));
    if (!reader)
        return ERR_NO_MEMORY;
    *reader = (struct journal_reader){
        .journal = journal, .stream = stream, .position = from ? from : 1, .fd = -1};
    reader->window = malloc(WINDOW_BYTES);
    if (!reader->window) {
        free(reader);
        return ERR_NO_MEMORY;
    }
    *ret_reader = reader;
    return 0;
}

static void close_segment(struct journal_reader *reader)
{
    if (reader->fd >= 0)
        reader->journal->io->close(reader->journal->io->self, reader->fd);
    reader->fd = -1;
    reader->window_len = 0;
}

void journal_reader_close(struct journal_reader *reader)
{
    if (!reader)
        return;
    close_segment(reader);
    free(reader->window);
    free(reader);
}

void journal_reader_seek(struct journal_reader *reader, uint64_t seq)
{
    if (reader->fd >= 0 && seq < reader->position)
        close_segment(reader);
    reader->position = seq ? seq : 1;
}

uint64_t journal_reader_position(const struct journal_reader *reader)
{
    return reader->position;
}

/* Opens the first segment that may hold the position or what follows it; `above` excludes those
 * that begin at or before that sequence. ERR_AGAIN when there is none yet. */
static int open_segment(struct journal_reader *reader, uint64_t above)
{
    struct journal *journal = reader->journal;
    const struct stream_state *stream = &journal->streams[reader->stream];
    struct segment found = {0};
    char path[FILE_PATH_SIZE];
    int fd = ERR_AGAIN;
    pthread_mutex_lock(&journal->lock);
    for (size_t i = 0; i < stream->segment_count && !found.last_seq; i++) {
        const struct segment *segment = &stream->segments[i];
        if (segment->last_seq >= reader->position && segment->header.first_seq > above)
            found = *segment;
    }
    if (found.last_seq && !journal_path(journal, found.name, path))
        fd = journal->io->open(journal->io->self, path, false);
    pthread_mutex_unlock(&journal->lock);
    if (fd < 0)
        return fd;
    close_segment(reader);
    reader->fd = fd;
    reader->segment = found;
    reader->offset = found.begin;
    return 0;
}

/* The segment may have grown since: how far is it durable now? */
static uint64_t durable_end(struct journal_reader *reader)
{
    struct journal *journal = reader->journal;
    const struct stream_state *stream = &journal->streams[reader->stream];
    pthread_mutex_lock(&journal->lock);
    for (size_t i = stream->segment_count; i-- > 0;)
        if (stream->segments[i].header.first_seq == reader->segment.header.first_seq) {
            reader->segment.end = stream->segments[i].end;
            break;
        }
    pthread_mutex_unlock(&journal->lock);
    return reader->segment.end;
}

static int fill_window(struct journal_reader *reader)
{
    uint64_t left = reader->segment.end - reader->offset;
    size_t len = left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;
    reader->window_begin = reader->offset;
    return reader->journal->io->pread(reader->journal->io->self, reader->fd, reader->window, len,
                                      reader->offset, &reader->window_len);
}

/* The frame at the offset, over damage. ERR_AGAIN at the segment's durable end. */
static int read_frame(struct journal_reader *reader, struct journal_frame *ret_frame,
                      size_t *ret_size)
{
    bool fresh = false; /* was the window filled for this very offset? */
    while (reader->offset < reader->segment.end || reader->offset < durable_end(reader)) {
        uint64_t window_end = reader->window_begin + reader->window_len;
        bool inside = reader->offset >= reader->window_begin && reader->offset < window_end;
        size_t at = inside ? (size_t)(reader->offset - reader->window_begin) : 0;
        size_t left = inside ? (size_t)(window_end - reader->offset) : 0;
        int err = inside ? frame_decode(&reader->segment.header, reader->offset,
                                        reader->window + at, left, ret_frame, ret_size)
                         : ERR_AGAIN;
        if (!err)
            return 0;
        if (err == ERR_AGAIN && !fresh) {
            err = fill_window(reader);
            if (err)
                return err;
            fresh = true;
            continue;
        }
        reader->offset++;
        fresh = false;
    }
    return ERR_AGAIN;
}

/* Is there a later segment that holds something? Then this one is done with. */
static int next_segment(struct journal_reader *reader)
{
    return open_segment(reader, reader->fd < 0 ? 0 : reader->segment.header.first_seq);
}

int journal_reader_next(struct journal_reader *reader, struct journal_frame *ret_frame,
                        struct interval *ret_gap)
{
    for (;;) {
        struct journal_frame frame;
        size_t size = 0;
        int err = reader->fd < 0 ? ERR_AGAIN : read_frame(reader, &frame, &size);
        if (err == ERR_AGAIN)
            err = next_segment(reader);
        else if (!err && frame.seq >= reader->position) {
            if (frame.seq > reader->position && ret_gap) {
                *ret_gap = (struct interval){reader->position, frame.seq - 1};
                reader->position = frame.seq;
                return ERR_GAP;
            }
            reader->offset += size;
            reader->position = frame.seq + 1;
            frame.stream = reader->stream;
            *ret_frame = frame;
            return 0;
        } else if (!err) {
            reader->offset += size;
        }
        if (err)
            return err;
    }
}
