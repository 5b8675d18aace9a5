#include "store/journal_state.h"

#include "base/crypto.h"
#include "base/numbers.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Design notes
 *
 * Appending copies a record into its stream's list; committing encodes the list into the open
 * segment, writes it with one pwrite and makes it durable with one fdatasync. Only then do readers
 * see it. A write or sync that fails ends the use of that descriptor for good: what it may hold is
 * written once more, with the same sequences, into a fresh segment. Should both copies survive,
 * they are the same records under the same numbers, and a reader passes over the second.
 *
 * Every opening begins a new segment in each stream, so that nothing is ever appended behind a tail
 * that may be torn. A segment's room is reserved before its first frame counts; what it did not use
 * is given back when it is sealed.
 */

#define SEGMENT_BYTES_DEFAULT (16u * 1024 * 1024)
#define SEGMENT_BYTES_MIN     (64u * 1024)
#define SEGMENTS_OF_LIMIT     32
#define PENDING_MAX_BYTES     (8u * 1024 * 1024)
#define RESERVE_AHEAD         256
#define RECEIVED_SAVE_US      1000000
#define RECEIVED_RANGES_MAX   100000
#define SPARE_NAME            "spare"
#define WRITE_TRIES           2

int journal_path(const struct journal *journal, const char *name, char ret_path[FILE_PATH_SIZE])
{
    return path_join(journal->folder, name, ret_path);
}

/* ---- opening and closing ---- */

static void free_pending(struct stream_state *stream)
{
    for (size_t i = 0; i < stream->pending_count; i++)
        free(stream->pending[i].payload);
    free(stream->pending);
}

static void free_journal(struct journal *journal)
{
    for (int i = 0; i < journal->stream_count; i++) {
        struct stream_state *stream = &journal->streams[i];
        if (stream->fd >= 0)
            journal->io->close(journal->io->self, stream->fd);
        free(stream->segments);
        free_pending(stream);
        intervals_release(&stream->received);
    }
    marks_close(journal);
    free(journal->retired);
    buffer_release(&journal->scratch);
    pthread_mutex_destroy(&journal->lock);
    free(journal);
}

static uint32_t choose_segment_bytes(const struct journal_options *options)
{
    uint64_t bytes = options->segment_bytes;
    if (!bytes)
        bytes =
            options->limit_bytes ? options->limit_bytes / SEGMENTS_OF_LIMIT : SEGMENT_BYTES_DEFAULT;
    if (bytes < SEGMENT_BYTES_MIN)
        bytes = SEGMENT_BYTES_MIN;
    return bytes > SEGMENT_BYTES_DEFAULT ? SEGMENT_BYTES_DEFAULT : (uint32_t)bytes;
}

static struct journal *journal_new(const struct journal_options *options)
{
    struct journal *journal = calloc(1, sizeof(*journal));
    size_t count = strlen(options->letters);
    if (!journal || !count || count > JOURNAL_MAX_STREAMS ||
        text_copy(journal->folder, sizeof(journal->folder), options->folder)) {
        free(journal);
        return NULL;
    }
    journal->options = *options;
    journal->options.folder = journal->folder;
    journal->io = options->io ? options->io : journal_io_real();
    journal->stream_count = (int)count;
    journal->segment_bytes = choose_segment_bytes(options);
    journal->marks_fd = -1;
    buffer_init(&journal->scratch, PENDING_MAX_BYTES + 2 * SEGMENT_STATE_MAX);
    pthread_mutex_init(&journal->lock, NULL);
    for (int i = 0; i < journal->stream_count; i++) {
        journal->streams[i].fd = -1;
        journal->streams[i].next_seq = 1;
        intervals_init(&journal->streams[i].received, RECEIVED_RANGES_MAX);
    }
    return journal;
}

static void make_epoch(char ret_epoch[EPOCH_SIZE])
{
    uint8_t bytes[16];
    random_bytes(bytes, sizeof(bytes));
    print_hex(bytes, sizeof(bytes), ret_epoch);
}

/* A file that keeps room for stream 0's next segment, so that a loss can be told on a full disk. */
static void keep_spare(struct journal *journal)
{
    char path[FILE_PATH_SIZE];
    if (journal_path(journal, SPARE_NAME, path))
        return;
    const struct journal_io *io = journal->io;
    int fd = io->open(io->self, path, true);
    if (fd < 0)
        return;
    /* Without room there is no spare; the next creation tries again. */
    if (io->allocate(io->self, fd, journal->segment_bytes))
        (void)!io->unlink(io->self, path);
    io->close(io->self, fd);
}

int journal_open(const struct journal_options *options, struct journal **ret_journal,
                 struct journal_report *ret_report, struct message *message)
{
    struct journal_report report = {0};
    struct journal *journal = journal_new(options);
    if (!journal)
        return message_set(message, ERR_NO_MEMORY, "journal %s: out of memory", options->folder);
    int err = options->io ? 0 : folder_make(options->folder, message);
    if (!err)
        err = journal_recover(journal, &report, message);
    if (!err && report.created)
        make_epoch(journal->epoch);
    if (!err && marks_write(journal, false))
        err = message_set(message, ERR_IO,
                          "cannot write to the journal's folder %s: is the disk "
                          "full or read-only?",
                          journal->folder);
    if (err) {
        free_journal(journal);
        return err;
    }
    keep_spare(journal);
    *ret_journal = journal;
    *ret_report = report;
    return 0;
}

void journal_close(struct journal *journal)
{
    if (!journal)
        return;
    /* What cannot be made durable now is what a crash would lose: the marks then say unclean. */
    bool clean = !journal_commit(journal, NULL);
    for (int i = 0; i < journal->stream_count; i++) {
        struct stream_state *stream = &journal->streams[i];
        if (stream->fd >= 0)
            (void)!journal->io->truncate(journal->io->self, stream->fd,
                                         stream->segments[stream->segment_count - 1].end);
        if (clean)
            stream->reserved = stream->next_seq - 1;
    }
    if (journal->received_changed)
        (void)!received_save(journal);
    if (clean)
        (void)!marks_write(journal, true);
    free_journal(journal);
}

const char *journal_epoch(const struct journal *journal)
{
    return journal->epoch;
}

static int retire_segments(struct journal *journal)
{
    for (int i = 0; i < journal->stream_count; i++) {
        struct stream_state *stream = &journal->streams[i];
        size_t count = journal->retired_count + stream->segment_count;
        char(*retired)[SEGMENT_NAME_SIZE] =
            realloc(journal->retired, (count + 1) * sizeof(*retired));
        if (!retired)
            return ERR_NO_MEMORY;
        journal->retired = retired;
        for (size_t n = 0; n < stream->segment_count; n++) {
            memcpy(retired[journal->retired_count++], stream->segments[n].name, SEGMENT_NAME_SIZE);
            journal->retired_bytes += stream->segments[n].allocated;
        }
        stream->segment_count = 0;
        if (stream->fd >= 0)
            journal->io->close(journal->io->self, stream->fd);
        stream->fd = -1;
        stream->next_seq = 1;
        stream->durable_seq = stream->reserved = stream->points = stream->durable_points = 0;
        intervals_clear(&stream->received);
    }
    return 0;
}

int journal_new_epoch(struct journal *journal, struct message *message)
{
    int err = journal_commit(journal, message);
    if (err)
        return err;
    pthread_mutex_lock(&journal->lock);
    err = retire_segments(journal);
    make_epoch(journal->epoch);
    pthread_mutex_unlock(&journal->lock);
    if (!err)
        err = marks_write(journal, false);
    return err ? message_set(message, err, "cannot begin a new epoch: %s", err_name(err)) : 0;
}

/* ---- appending ---- */

uint64_t journal_next_seq(const struct journal *journal, int stream)
{
    return journal->streams[stream].next_seq;
}

uint64_t journal_points(const struct journal *journal)
{
    uint64_t points = 0;
    for (int i = 0; i < journal->stream_count; i++)
        points += journal->streams[i].points;
    return points;
}

size_t journal_pending(const struct journal *journal)
{
    return journal->pending_bytes;
}

static struct pending *add_pending(struct stream_state *stream, const void *payload, size_t len)
{
    if (stream->pending_count == stream->pending_capacity) {
        size_t capacity = stream->pending_capacity ? 2 * stream->pending_capacity : 64;
        struct pending *list = realloc(stream->pending, capacity * sizeof(*list));
        if (!list)
            return NULL;
        stream->pending = list;
        stream->pending_capacity = capacity;
    }
    struct pending *pending = &stream->pending[stream->pending_count];
    *pending = (struct pending){.payload = malloc(len + 1)};
    if (!pending->payload)
        return NULL;
    memcpy(pending->payload, payload, len);
    stream->pending_count++;
    return pending;
}

int journal_append(struct journal *journal, int stream_index, const char *origin,
                   const void *payload, size_t len, uint32_t points, int64_t wall_ms,
                   int64_t mono_us, uint64_t *ret_seq, struct message *message)
{
    struct stream_state *stream = &journal->streams[stream_index];
    if (!len || len > JOURNAL_MAX_PAYLOAD || strlen(origin) > JOURNAL_MAX_ORIGIN)
        return message_set(message, ERR_RANGE, "a record of %zu bytes; at most %d", len,
                           JOURNAL_MAX_PAYLOAD);
    if (journal->pending_bytes + len > PENDING_MAX_BYTES)
        return message_set(message, ERR_FULL,
                           "%zu bytes wait for the disk of %s, which takes nothing",
                           journal->pending_bytes, journal->folder);
    struct pending *pending = add_pending(stream, payload, len);
    if (!pending)
        return message_set(message, ERR_NO_MEMORY, "journal: out of memory");
    struct journal_frame *frame = &pending->frame;
    frame->stream = stream_index;
    frame->seq = stream->next_seq++;
    frame->wall_ms = wall_ms;
    frame->mono_us = mono_us;
    frame->points = points;
    stream->points += points;
    frame->stream_points = stream->points;
    frame->payload = pending->payload;
    frame->len = len;
    memcpy(frame->origin, origin, strlen(origin));
    journal->pending_bytes += frame_size(frame);
    *ret_seq = frame->seq;
    return 0;
}

/* ---- committing ---- */

static uint64_t bytes_on_disk(const struct journal *journal)
{
    uint64_t bytes = journal->retired_bytes;
    for (int i = 0; i < journal->stream_count; i++)
        for (size_t n = 0; n < journal->streams[i].segment_count; n++)
            bytes += journal->streams[i].segments[n].allocated;
    return bytes;
}

/* A file of that name with room for `size` bytes; stream 0 may take the spare. */
static int make_file(struct journal *journal, bool use_spare, const char *path, uint64_t size,
                     int *ret_fd)
{
    const struct journal_io *io = journal->io;
    int fd = io->open(io->self, path, true);
    if (fd < 0)
        return fd;
    int err = io->truncate(io->self, fd, 0);
    if (!err)
        err = io->allocate(io->self, fd, size);
    char spare[FILE_PATH_SIZE];
    if (err == ERR_FULL && use_spare && !journal_path(journal, SPARE_NAME, spare)) {
        io->close(io->self, fd);
        err = io->rename(io->self, spare, path);
        fd = err ? err : io->open(io->self, path, false);
        if (fd < 0)
            return err ? ERR_FULL : fd;
    }
    if (err) {
        io->close(io->self, fd);
        (void)!io->unlink(io->self, path);
        return err;
    }
    *ret_fd = fd;
    return 0;
}

static int write_header(struct journal *journal, int stream, int fd, struct segment *segment)
{
    const struct journal_owner *owner = &journal->options.owner;
    struct buffer state;
    buffer_init(&state, SEGMENT_STATE_MAX);
    if (owner->save)
        owner->save(owner->self, stream, &state);
    /* A state that does not fit is left out: recovery then goes back to an older one. */
    segment->header.state_len = buffer_error(&state) ? 0 : (uint32_t)state.len;
    buffer_clear(&journal->scratch);
    segment_header_encode(&segment->header, buffer_text(&state), &journal->scratch);
    buffer_release(&state);
    segment->begin = segment->end = journal->scratch.len;
    int err = buffer_error(&journal->scratch);
    if (!err)
        err = journal->io->pwrite(journal->io->self, fd, journal->scratch.data,
                                  journal->scratch.len, 0);
    if (!err)
        err = journal->io->sync(journal->io->self, fd);
    return err ? err : journal->io->sync_folder(journal->io->self, journal->folder);
}

static int add_segment(struct journal *journal, struct stream_state *stream,
                       const struct segment *segment)
{
    pthread_mutex_lock(&journal->lock);
    struct segment *segments =
        realloc(stream->segments, (stream->segment_count + 1) * sizeof(*segments));
    if (segments) {
        stream->segments = segments;
        segments[stream->segment_count++] = *segment;
    }
    pthread_mutex_unlock(&journal->lock);
    return segments ? 0 : ERR_NO_MEMORY;
}

/* A new segment for the stream, whose first frame will be `frame`. */
static int create_segment(struct journal *journal, int stream_index,
                          const struct journal_frame *frame)
{
    struct stream_state *stream = &journal->streams[stream_index];
    struct segment segment = {
        .header = {.letter = journal->options.letters[stream_index],
                   .first_seq = frame->seq,
                   .points_before = frame->stream_points - frame->points,
                   .made_ms = frame->wall_ms},
        .to_ms = frame->wall_ms,
        .allocated = journal->segment_bytes,
    };
    memcpy(segment.header.epoch, journal->epoch, EPOCH_SIZE);
    snprintf(segment.name, sizeof(segment.name), "%c-%020" PRIu64 "-%.8s.seg",
             segment.header.letter, frame->seq, journal->epoch);
    uint64_t limit = journal->options.limit_bytes;
    if (limit && stream_index > 0 && bytes_on_disk(journal) + segment.allocated > limit)
        return ERR_FULL;
    char path[FILE_PATH_SIZE];
    int fd = -1;
    int err = journal_path(journal, segment.name, path);
    if (!err)
        err = make_file(journal, stream_index == 0, path, segment.allocated, &fd);
    if (err)
        return err;
    err = write_header(journal, stream_index, fd, &segment);
    if (!err)
        err = add_segment(journal, stream, &segment);
    if (err) {
        journal->io->close(journal->io->self, fd);
        (void)!journal->io->unlink(journal->io->self, path);
        return err;
    }
    stream->fd = fd;
    if (stream_index == 0)
        keep_spare(journal);
    return 0;
}

/* Ends the use of the open segment and gives back the room it did not use. */
static void seal(struct journal *journal, struct stream_state *stream)
{
    struct segment *segment = &stream->segments[stream->segment_count - 1];
    const struct journal_io *io = journal->io;
    if (!io->truncate(io->self, stream->fd, segment->end)) {
        pthread_mutex_lock(&journal->lock);
        segment->allocated = segment->end;
        pthread_mutex_unlock(&journal->lock);
    }
    io->close(io->self, stream->fd);
    stream->fd = -1;
}

/* What now lies durably in the open segment: the first `count` of the pending. */
static void publish(struct journal *journal, struct stream_state *stream, size_t count)
{
    const struct journal_frame *last = &stream->pending[count - 1].frame;
    pthread_mutex_lock(&journal->lock);
    struct segment *segment = &stream->segments[stream->segment_count - 1];
    segment->end += journal->scratch.len;
    if (segment->end > segment->allocated)
        segment->allocated = segment->end;
    segment->last_seq = last->seq;
    segment->to_ms = last->wall_ms;
    segment->points = last->stream_points - segment->header.points_before;
    stream->durable_seq = last->seq;
    stream->durable_points = last->stream_points;
    pthread_mutex_unlock(&journal->lock);
    for (size_t i = 0; i < count; i++) {
        journal->pending_bytes -= frame_size(&stream->pending[i].frame);
        free(stream->pending[i].payload);
    }
    stream->pending_count -= count;
    memmove(stream->pending, stream->pending + count,
            stream->pending_count * sizeof(*stream->pending));
}

/* Encodes as many of the pending as the open segment takes, at least one into an empty segment. */
static size_t encode_pending(struct journal *journal, const struct stream_state *stream)
{
    const struct segment *segment = &stream->segments[stream->segment_count - 1];
    buffer_clear(&journal->scratch);
    size_t count = 0;
    for (; count < stream->pending_count; count++) {
        const struct journal_frame *frame = &stream->pending[count].frame;
        uint64_t at = segment->end + journal->scratch.len;
        bool empty = segment->end == segment->begin && count == 0;
        if (!empty && at + frame_size(frame) > journal->segment_bytes)
            break;
        frame_encode(&segment->header, at, frame, &journal->scratch);
    }
    return count;
}

static int write_pending(struct journal *journal, int stream_index)
{
    struct stream_state *stream = &journal->streams[stream_index];
    if (stream->fd < 0) {
        int err = create_segment(journal, stream_index, &stream->pending[0].frame);
        if (err)
            return err;
    }
    size_t count = encode_pending(journal, stream);
    if (!count) {
        seal(journal, stream);
        return 0;
    }
    const struct segment *segment = &stream->segments[stream->segment_count - 1];
    const struct journal_io *io = journal->io;
    int err = buffer_error(&journal->scratch);
    if (!err)
        err = io->pwrite(io->self, stream->fd, journal->scratch.data, journal->scratch.len,
                         segment->end);
    if (!err)
        err = io->sync(io->self, stream->fd);
    if (err) {
        seal(journal, stream); /* never this descriptor again */
        return err;
    }
    publish(journal, stream, count);
    return 0;
}

static int commit_stream(struct journal *journal, int stream_index)
{
    const struct stream_state *stream = &journal->streams[stream_index];
    int failures = 0, err = 0;
    while (stream->pending_count) {
        err = write_pending(journal, stream_index);
        if (err && (err == ERR_FULL || ++failures == WRITE_TRIES))
            return err;
    }
    return 0;
}

/* No sequence is used that is not reserved durably. */
static int reserve(struct journal *journal)
{
    bool needed = false;
    for (int i = 0; i < journal->stream_count; i++) {
        struct stream_state *stream = &journal->streams[i];
        if (stream->pending_count && stream->next_seq - 1 > stream->reserved) {
            stream->reserved = stream->next_seq - 1 + RESERVE_AHEAD;
            needed = true;
        }
    }
    if (!needed)
        return 0;
    int err = marks_write(journal, false);
    for (int i = 0; err && i < journal->stream_count; i++)
        journal->streams[i].reserved = 0; /* not durable: reserve anew next time */
    return err;
}

int journal_commit(struct journal *journal, struct message *message)
{
    int64_t mono_us = 0;
    bool wrote = false;
    for (int i = 0; i < journal->stream_count; i++) {
        const struct stream_state *stream = &journal->streams[i];
        if (stream->pending_count)
            mono_us = stream->pending[stream->pending_count - 1].frame.mono_us;
    }
    int reserved_err = reserve(journal), err = reserved_err;
    for (int i = 0; !reserved_err && i < journal->stream_count; i++) {
        uint64_t before = journal->streams[i].durable_seq;
        int stream_err = commit_stream(journal, i);
        wrote |= journal->streams[i].durable_seq != before;
        err = err ? err : stream_err;
    }
    if (journal->received_changed && mono_us - journal->received_saved_us >= RECEIVED_SAVE_US) {
        journal->received_saved_us = mono_us;
        (void)!received_save(journal); /* an older one is right, too */
    }
    for (int i = 0; wrote && i < journal->subscriber_count; i++)
        journal->subscribers[i].notify(journal->subscribers[i].self);
    if (err)
        return message_set(message, err, "the journal in %s takes nothing: %s", journal->folder,
                           err == ERR_FULL ? "it is full" : err_name(err));
    return 0;
}

int journal_subscribe(struct journal *journal, void (*notify)(void *self), void *self)
{
    if (journal->subscriber_count == JOURNAL_SUBSCRIBERS_MAX)
        return ERR_FULL;
    journal->subscribers[journal->subscriber_count].notify = notify;
    journal->subscribers[journal->subscriber_count++].self = self;
    return 0;
}
