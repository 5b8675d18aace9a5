#include "edge/backlog.h"

#define RECEIVED_RANGES_MAX 100000

static int read_stream(struct journal *journal, int stream, struct intervals *received,
                       struct backlog *backlog)
{
    uint64_t first = journal_first(journal, stream), last = journal_durable(journal, stream);
    struct interval hole;
    int err = journal_received(journal, stream, received);
    for (uint64_t from = first;
         !err && from <= last && intervals_next_hole(received, from, last, &hole);
         from = hole.last + 1) {
        if (!backlog->first[stream])
            backlog->first[stream] = hole.first;
        backlog->records += hole.last - hole.first + 1;
    }
    return err;
}

int backlog_read(struct journal *journal, struct backlog *ret_backlog)
{
    struct backlog backlog = {0};
    struct intervals received;
    int err = 0;
    intervals_init(&received, RECEIVED_RANGES_MAX);
    for (int stream = 0; !err && stream < STREAM_COUNT; stream++)
        err = read_stream(journal, stream, &received, &backlog);
    intervals_release(&received);
    if (!err)
        *ret_backlog = backlog;
    return err;
}

/* When the record was written, or the next one that can be read; 0: there is none. */
static int64_t written_ms(struct journal *journal, int stream, uint64_t seq)
{
    struct journal_reader *reader = NULL;
    struct journal_frame frame = {.wall_ms = 0};
    int err = journal_reader_open(journal, stream, seq, &reader);
    if (!err)
        err = journal_reader_next(reader, &frame, NULL);
    journal_reader_close(reader);
    return err ? 0 : frame.wall_ms;
}

int64_t backlog_oldest_ms(struct journal *journal, const struct backlog *backlog)
{
    int64_t oldest_ms = 0;
    for (int stream = 0; stream < STREAM_COUNT; stream++) {
        int64_t ms =
            backlog->first[stream] ? written_ms(journal, stream, backlog->first[stream]) : 0;
        if (ms && (!oldest_ms || ms < oldest_ms))
            oldest_ms = ms;
    }
    return oldest_ms;
}
