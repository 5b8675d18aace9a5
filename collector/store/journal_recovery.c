#include "store/journal_state.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Design notes
 *
 * The marks name the epoch and how far sequences were reserved; segment headers say the rest. Of
 * each stream the last segment is scanned always, the others where the caller asks for it and the
 * receiver does not have them. A bad tail of the last segment is cut; damage elsewhere is passed
 * over, its bytes stay where they are and are counted, and the sequences it held are told as a
 * loss. Files whose header cannot be read are renamed "bad-…". Nothing of this refuses the opening.
 */

#define SEGMENTS_MAX  100000
#define WALK_BYTES    (2 * FRAME_MAX_SIZE)
#define SAFE_DISTANCE (1u << 20) /* above what is found, where the marks are lost */

/* ---- one segment file ---- */

int segment_open(const struct journal_io *io, const char *path, struct segment_header *ret_header,
                 struct buffer *state, int *ret_fd, uint64_t *ret_size)
{
    char bytes[SEGMENT_HEADER_SIZE];
    size_t len = 0;
    uint64_t size = 0;
    struct segment_header header;
    int fd = io->open(io->self, path, false);
    if (fd < 0)
        return fd;
    int err = io->size(io->self, fd, &size);
    if (!err)
        err = io->pread(io->self, fd, bytes, sizeof(bytes), 0, &len);
    if (!err)
        err = len < sizeof(bytes) ? ERR_CORRUPT : segment_header_decode(bytes, &header);
    char *text = err ? NULL : malloc(header.state_len + 1);
    if (!err && !text)
        err = ERR_NO_MEMORY;
    if (!err)
        err = io->pread(io->self, fd, text, header.state_len, SEGMENT_HEADER_SIZE, &len);
    if (!err && (len < header.state_len || segment_state_check(bytes, text, len)))
        err = ERR_CORRUPT;
    if (!err && state)
        buffer_append(state, text, header.state_len);
    free(text);
    if (err) {
        io->close(io->self, fd);
        return err;
    }
    *ret_header = header;
    *ret_fd = fd;
    *ret_size = size;
    return 0;
}

/* A window of the file that moves forward as it is read. */
struct window {
    const struct journal_io *io;
    int fd;
    char *bytes;
    uint64_t begin; /* offset of bytes[0] */
    size_t len;
};

/* Makes `offset` the first byte of the window where what follows it may be too short. */
static int window_at(struct window *window, uint64_t offset, uint64_t end, size_t wanted)
{
    bool inside = offset >= window->begin && offset < window->begin + window->len;
    size_t left = inside ? (size_t)(window->begin + window->len - offset) : 0;
    if (inside && (left >= wanted || window->begin + window->len >= end))
        return 0;
    size_t len = end - offset < WALK_BYTES ? (size_t)(end - offset) : WALK_BYTES;
    window->begin = offset;
    return window->io->pread(window->io->self, window->fd, window->bytes, len, offset,
                             &window->len);
}

int segment_walk(const struct journal_io *io, int fd, const struct segment_header *header,
                 uint64_t begin, uint64_t end,
                 int (*visit)(void *self, const struct journal_frame *frame), void *self,
                 uint64_t *ret_end, uint64_t *ret_damaged)
{
    struct window window = {.io = io, .fd = fd, .bytes = malloc(WALK_BYTES)};
    uint64_t offset = begin, good_end = begin, skipped = 0, damaged = 0;
    int err = window.bytes ? 0 : ERR_NO_MEMORY;
    while (!err && offset < end) {
        err = window_at(&window, offset, end, FRAME_MAX_SIZE);
        if (err || !window.len)
            break;
        size_t at = (size_t)(offset - window.begin), size;
        struct journal_frame frame;
        if (frame_decode(header, offset, window.bytes + at, window.len - at, &frame, &size)) {
            /* Damage, or the unused end: look for the next frame. */
            const char *next = memchr(window.bytes + at + 1, FRAME_FIRST_BYTE, window.len - at - 1);
            uint64_t step = next ? (uint64_t)(next - window.bytes) - at : window.len - at;
            offset += step;
            skipped += step;
            continue;
        }
        damaged += skipped;
        skipped = 0;
        offset += size;
        good_end = offset;
        if (visit)
            err = visit(self, &frame);
    }
    free(window.bytes);
    if (err)
        return err;
    *ret_end = good_end;
    *ret_damaged = damaged;
    return 0;
}

/* ---- the folder ---- */

struct listing {
    struct journal *journal;
    struct segment *found;
    size_t count;
};

static int list_segment(void *context, const char *name)
{
    struct listing *listing = context;
    size_t len = strlen(name);
    if (len < 5 || strcmp(name + len - 4, ".seg") != 0 || len >= SEGMENT_NAME_SIZE ||
        strncmp(name, "bad-", 4) == 0)
        return 0;
    if (listing->count == SEGMENTS_MAX)
        return ERR_FULL;
    struct segment *found = realloc(listing->found, (listing->count + 1) * sizeof(*found));
    if (!found)
        return ERR_NO_MEMORY;
    listing->found = found;
    found[listing->count] = (struct segment){0};
    return text_copy(found[listing->count++].name, SEGMENT_NAME_SIZE, name);
}

static int by_first_seq(const void *a, const void *b)
{
    const struct segment *left = a, *right = b;
    return left->header.first_seq < right->header.first_seq   ? -1
           : left->header.first_seq > right->header.first_seq ? 1
                                                              : 0;
}

/* Reads the header; a file without one is put aside. */
static int read_header(struct journal *journal, struct segment *segment,
                       struct journal_report *report, struct message *message)
{
    char path[FILE_PATH_SIZE], bad_name[FILE_PATH_SIZE], bad[FILE_PATH_SIZE];
    int fd;
    int err = journal_path(journal, segment->name, path);
    if (!err)
        err = segment_open(journal->io, path, &segment->header, NULL, &fd, &segment->allocated);
    if (!err) {
        journal->io->close(journal->io->self, fd);
        segment->begin = SEGMENT_HEADER_SIZE + segment->header.state_len;
        segment->to_ms = segment->header.made_ms;
        return 0;
    }
    if (err == ERR_RANGE)
        return message_set(message, ERR_INVALID,
                           "%s was written by a later version of Chengmai: install that one", path);
    if (err != ERR_CORRUPT)
        return message_set(message, err, "cannot read %s: %s", path, err_name(err));
    snprintf(bad_name, sizeof(bad_name), "bad-%s", segment->name);
    if (!journal_path(journal, bad_name, bad))
        (void)!journal->io->rename(journal->io->self, path, bad);
    report->quarantined_bytes += segment->allocated;
    return ERR_CORRUPT;
}

/* Without marks: the epoch that most of the segments speak of last. */
static void guess_epoch(struct journal *journal, const struct listing *listing)
{
    int64_t newest_ms = INT64_MIN;
    for (size_t i = 0; i < listing->count; i++)
        if (listing->found[i].header.made_ms > newest_ms) {
            newest_ms = listing->found[i].header.made_ms;
            memcpy(journal->epoch, listing->found[i].header.epoch, EPOCH_SIZE);
        }
}

static int place_segment(struct journal *journal, const struct segment *segment)
{
    const char *letter = strchr(journal->options.letters, segment->header.letter);
    if (strcmp(segment->header.epoch, journal->epoch) != 0 || !letter || !*letter) {
        char(*retired)[SEGMENT_NAME_SIZE] =
            realloc(journal->retired, (journal->retired_count + 1) * sizeof(*retired));
        if (!retired)
            return ERR_NO_MEMORY;
        journal->retired = retired;
        memcpy(retired[journal->retired_count++], segment->name, SEGMENT_NAME_SIZE);
        journal->retired_bytes += segment->allocated;
        return 0;
    }
    struct stream_state *stream = &journal->streams[letter - journal->options.letters];
    struct segment *segments =
        realloc(stream->segments, (stream->segment_count + 1) * sizeof(*segments));
    if (!segments)
        return ERR_NO_MEMORY;
    stream->segments = segments;
    segments[stream->segment_count++] = *segment;
    return 0;
}

static int find_segments(struct journal *journal, bool have_marks, struct journal_report *report,
                         struct message *message)
{
    struct listing listing = {.journal = journal};
    int err = journal->io->list(journal->io->self, journal->folder, list_segment, &listing);
    if (err)
        message_set(message, err, "cannot list %s: %s", journal->folder, err_name(err));
    size_t kept = 0;
    for (size_t i = 0; !err && i < listing.count; i++) {
        err = read_header(journal, &listing.found[i], report, message);
        if (!err)
            listing.found[kept++] = listing.found[i];
        else if (err == ERR_CORRUPT)
            err = 0;
    }
    listing.count = kept;
    if (!err && !have_marks)
        guess_epoch(journal, &listing);
    for (size_t i = 0; !err && i < listing.count; i++)
        err = place_segment(journal, &listing.found[i]);
    for (int i = 0; i < journal->stream_count; i++)
        if (journal->streams[i].segment_count)
            qsort(journal->streams[i].segments, journal->streams[i].segment_count,
                  sizeof(struct segment), by_first_seq);
    free(listing.found);
    return err;
}

/* ---- a stream ---- */

struct scan {
    struct journal *journal;
    struct journal_report *report;
    int stream;
    bool replay;
    struct segment *segment;
    /* the frame before, to find holes by */
    uint64_t seq, points;
    int64_t wall_ms;
};

static void tell_loss(struct journal *journal, struct journal_report *report, int stream,
                      uint64_t first, uint64_t last, uint64_t points, int64_t from_ms,
                      int64_t to_ms, const char *cause)
{
    if (intervals_contain_all(&journal->streams[stream].received, first, last))
        return;
    /* Near the bound a stream's last loss grows over the next: coarser, never silent. */
    bool crowded = report->loss_count >= JOURNAL_MAX_LOSSES - JOURNAL_MAX_STREAMS;
    for (size_t i = report->loss_count; crowded && i-- > 0;)
        if (report->losses[i].stream == stream) {
            report->losses[i].last = last;
            report->losses[i].points += points;
            report->losses[i].to_ms = to_ms;
            return;
        }
    struct journal_loss *loss = &report->losses[report->loss_count++];
    *loss = (struct journal_loss){.stream = stream,
                                  .first = first,
                                  .last = last,
                                  .from_ms = from_ms,
                                  .to_ms = to_ms,
                                  .points = points};
    (void)!text_copy(loss->cause, sizeof(loss->cause), cause);
}

static int scan_frame(void *self, const struct journal_frame *frame)
{
    struct scan *scan = self;
    scan->report->scanned_frames++;
    if (frame->seq <= scan->seq)
        return 0; /* a second copy, written after a failed sync */
    if (scan->seq && frame->seq > scan->seq + 1) {
        uint64_t before = frame->stream_points - frame->points;
        tell_loss(scan->journal, scan->report, scan->stream, scan->seq + 1, frame->seq - 1,
                  before > scan->points ? before - scan->points : 0, scan->wall_ms, frame->wall_ms,
                  before > scan->points ? "damage" : "restart");
    }
    scan->seq = frame->seq;
    scan->points = frame->stream_points;
    scan->wall_ms = frame->wall_ms;
    scan->segment->last_seq = frame->seq;
    scan->segment->to_ms = frame->wall_ms;
    scan->segment->points = frame->stream_points - scan->segment->header.points_before;
    if (!scan->replay || !scan->journal->options.owner.replay)
        return 0;
    struct journal_frame owned = *frame;
    owned.stream = scan->stream;
    const struct journal_owner *owner = &scan->journal->options.owner;
    /* A record the owner cannot read is the owner's to ask for again: it stops nothing here. */
    (void)!owner->replay(owner->self, &owned);
    return 0;
}

/* Is what follows the last frame more than room that was never used? */
static bool is_torn(const struct journal_io *io, int fd, uint64_t end)
{
    static const char unused[FRAME_HEADER_SIZE];
    char bytes[FRAME_HEADER_SIZE] = {0};
    size_t len;
    return !io->pread(io->self, fd, bytes, sizeof(bytes), end, &len) &&
           memcmp(bytes, unused, sizeof(bytes)) != 0;
}

static int scan_segment(struct scan *scan, bool last)
{
    struct journal *journal = scan->journal;
    const struct journal_io *io = journal->io;
    struct segment *segment = scan->segment;
    char path[FILE_PATH_SIZE];
    int fd;
    struct segment_header header;
    uint64_t size, end, damaged;
    int err = journal_path(journal, segment->name, path);
    if (!err)
        err = segment_open(io, path, &header, NULL, &fd, &size);
    if (err)
        return err;
    err = segment_walk(io, fd, &header, segment->begin, size, scan_frame, scan, &end, &damaged);
    if (!err) {
        segment->end = end;
        scan->report->quarantined_bytes += damaged;
        if (last && size > end) {
            scan->report->torn_bytes += is_torn(io, fd, end) ? size - end : 0;
            if (!io->truncate(io->self, fd, end) && !io->sync(io->self, fd))
                segment->allocated = end;
        }
    }
    io->close(io->self, fd);
    return err;
}

/* What a segment holds by its own header and the next one's, unread. */
static void trust_segment(struct scan *scan, const struct segment *next)
{
    struct segment *segment = scan->segment;
    segment->last_seq = next->header.first_seq - 1;
    segment->points = next->header.points_before - segment->header.points_before;
    segment->end = segment->allocated;
    segment->to_ms = next->header.made_ms;
    scan->seq = segment->last_seq;
    scan->points = next->header.points_before;
    scan->wall_ms = segment->to_ms;
}

static int restore_owner(struct journal *journal, int stream, const struct segment *segment)
{
    const struct journal_owner *owner = &journal->options.owner;
    if (!owner->restore)
        return 0;
    struct buffer state;
    buffer_init(&state, SEGMENT_STATE_MAX);
    char path[FILE_PATH_SIZE];
    struct segment_header header;
    int fd;
    uint64_t size;
    int err = journal_path(journal, segment->name, path);
    if (!err)
        err = segment_open(journal->io, path, &header, &state, &fd, &size);
    if (!err) {
        journal->io->close(journal->io->self, fd);
        err = header.state_len ? owner->restore(owner->self, stream, state.data, state.len)
                               : ERR_CORRUPT;
    }
    buffer_release(&state);
    return err;
}

/* The newest segment whose state the owner could take; what follows it is replayed. */
static size_t restore_from(struct journal *journal, int stream_index)
{
    const struct stream_state *stream = &journal->streams[stream_index];
    for (size_t i = stream->segment_count; i-- > 0;)
        if (!restore_owner(journal, stream_index, &stream->segments[i]))
            return i;
    return 0;
}

static void continue_above(struct journal *journal, struct journal_report *report, int stream_index,
                           const struct scan *scan, bool have_marks)
{
    struct stream_state *stream = &journal->streams[stream_index];
    uint64_t reserved = have_marks ? stream->reserved : scan->seq ? scan->seq + SAFE_DISTANCE : 0;
    stream->points = stream->durable_points = scan->points;
    if (reserved > scan->seq) {
        tell_loss(journal, report, stream_index, scan->seq + 1, reserved, 0, scan->wall_ms,
                  scan->wall_ms, "restart");
        report->unclean = true;
    }
    stream->next_seq = (reserved > scan->seq ? reserved : scan->seq) + 1;
    /* What was reserved and never used is accounted for by the loss: a receipt may name it. */
    stream->reserved = stream->durable_seq = stream->next_seq - 1;
}

/* Does the receiver have all that segment n, which is not the last, may hold? */
static bool is_received(const struct stream_state *stream, size_t n)
{
    return intervals_contain_all(&stream->received, stream->segments[n].header.first_seq,
                                 stream->segments[n + 1].header.first_seq - 1);
}

static int recover_stream(struct journal *journal, int stream_index, bool have_marks,
                          struct journal_report *report)
{
    struct stream_state *stream = &journal->streams[stream_index];
    size_t restored = restore_from(journal, stream_index);
    struct scan scan = {.journal = journal, .report = report, .stream = stream_index};
    int err = 0;
    for (size_t i = 0; !err && i < stream->segment_count; i++) {
        bool last = i + 1 == stream->segment_count;
        scan.segment = &stream->segments[i];
        scan.replay = i >= restored;
        if (last || scan.replay || (journal->options.verify && !is_received(stream, i)))
            err = scan_segment(&scan, last);
        else
            trust_segment(&scan, &stream->segments[i + 1]);
    }
    if (!err)
        continue_above(journal, report, stream_index, &scan, have_marks);
    return err;
}

int journal_recover(struct journal *journal, struct journal_report *report, struct message *message)
{
    int err = marks_open(journal);
    bool have_marks = !err;
    if (err && err != ERR_NOT_FOUND)
        return message_set(message, err, "cannot open the marks in %s: %s", journal->folder,
                           err_name(err));
    err = find_segments(journal, have_marks, report, message);
    if (err)
        return err;
    report->created = !journal->epoch[0];
    report->unclean = have_marks && !journal->clean;
    if (report->created)
        return 0;
    received_load(journal);
    for (int i = 0; !err && i < journal->stream_count; i++)
        err = recover_stream(journal, i, have_marks, report);
    return err ? message_set(message, err, "cannot recover the journal in %s: %s", journal->folder,
                             err_name(err))
               : 0;
}
