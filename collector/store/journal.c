/*
 * The life of a journal: opening, closing, and what its parts share.
 *
 * Design notes.
 *
 * Files. A folder holds `lock`, `marks` (journal_meta.h), one file per segment and `spare.tmp`; and
 * `marks.old`, which tells what is owed of an epoch that ended (journal_epoch.c).
 * Files are numbered by a serial that goes up, over epochs too, so that no file takes the place of
 * another. What ends in .tmp is thrown away at opening; what ends in .bad was damaged, and is
 * a person's to look at and remove.
 *
 * A segment of an earlier run is never appended to: each run begins segments of its own. So a
 * descriptor that has seen a failed flush is never used again, and no frame of this run shares a
 * block with one of the last.
 *
 * What is gone has been told. A sequence that no segment holds is either received, below the
 * stream's `front`, in its `settled` set, or in a loss of this opening's report; `settled` grows
 * only once the owner has committed what it was told. A crash between the two tells it twice, and
 * never not at all.
 */
#include "store/journal.h"

#include "base/numbers.h"
#include "store/journal_internal.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_SEGMENT_BYTES  ((uint32_t)16 * 1024 * 1024)
#define SMALLEST_SEGMENT_BYTES ((uint32_t)64 * 1024)
#define SEGMENTS_IN_LIMIT      32 /* so that dropping one frees little more than is needed */
#define PATH_ROOM              100

/* ---- shared ---- */

int journal_make_epoch_text(const uint8_t *epoch, struct epoch_text **ret_text)
{
    struct epoch_text *text = malloc(sizeof(*text));
    if (!text)
        return ERR_NO_MEMORY;
    text->before = NULL;
    print_hex(epoch, SEGMENT_EPOCH_BYTES, text->text);
    *ret_text = text;
    return 0;
}

void journal_take_epoch_text(struct journal *journal, struct epoch_text *text)
{
    text->before = atomic_load(&journal->epoch);
    atomic_store(&journal->epoch, text);
}

int journal_write_marks(struct journal *journal)
{
    pthread_mutex_lock(journal->lock);
    journal->meta.generation++;
    journal->marks_dirty = false;
    int err = journal_meta_encode(&journal->meta, &journal->slot);
    pthread_mutex_unlock(journal->lock);
    if (!err)
        err = meta_file_write(&journal->meta_file, journal->folder, journal->meta.generation,
                              &journal->slot);
    journal->marks_us = journal->mono_us;
    if (!err)
        return 0;
    pthread_mutex_lock(journal->lock);
    journal->meta.generation--; /* the same slot again: the other one is whole */
    journal->marks_dirty = true;
    pthread_mutex_unlock(journal->lock);
    return err;
}

int journal_add_segment(struct journal_stream *stream, const struct segment *segment)
{
    if (stream->count == stream->capacity) {
        size_t capacity = stream->capacity ? 2 * stream->capacity : 16;
        struct segment *segments =
            reallocarray(stream->segments, capacity, sizeof(*stream->segments));
        if (!segments)
            return ERR_NO_MEMORY;
        stream->segments = segments;
        stream->capacity = capacity;
    }
    stream->segments[stream->count++] = *segment;
    return 0;
}

void journal_remove_segment(struct journal_stream *stream, size_t index)
{
    free(stream->segments[index].marks);
    stream->count--;
    memmove(&stream->segments[index], &stream->segments[index + 1],
            (stream->count - index) * sizeof(*stream->segments));
}

void journal_segment_from_header(const struct segment_header *header, const char *name,
                                 uint64_t size, struct segment *ret_segment)
{
    *ret_segment = (struct segment){
        .serial = header->serial,
        .first = header->first,
        .last = header->first - 1,
        .points = header->points,
        .points_end = header->points,
        .from_ms = header->wall_ms,
        .to_ms = header->wall_ms,
        .previous_serial = header->previous_serial,
        .previous_last = header->previous_last,
        .previous_ms = header->previous_ms,
        .body = SEGMENT_HEADER_BYTES + (uint64_t)header->state_len,
        .end = size,
        .bytes = size,
        .seed = segment_seed(header),
        .has_state = header->has_state,
    };
    memcpy(ret_segment->name, name, strnlen(name, SEGMENT_NAME_SIZE - 1));
}

int journal_cursor(const struct journal *journal, int stream, const struct segment *segment,
                   struct segment_cursor *ret_cursor)
{
    char path[FILE_PATH_SIZE];
    int fd;
    segment_path(journal->folder, segment->name, path);
    int err = journal->io->open(journal->io->self, path, false, &fd);
    if (err)
        return err;
    segment_cursor_init(ret_cursor, journal->io, fd, journal->letters[stream], segment->seed);
    ret_cursor->offset = segment->body;
    ret_cursor->end = segment->end;
    ret_cursor->seq = segment->first - 1;
    ret_cursor->points = segment->points;
    ret_cursor->wall_ms = segment->from_ms;
    return 0;
}

/* Without memory for a mark, readers that seek read a little more. */
void journal_add_mark(struct segment *segment, const struct segment_mark *mark)
{
    uint64_t before =
        segment->mark_count ? segment->marks[segment->mark_count - 1].offset : segment->body;
    if (mark->offset < before + MARK_BYTES)
        return;
    if (segment->mark_count == segment->mark_capacity) {
        size_t capacity = segment->mark_capacity ? 2 * segment->mark_capacity : 16;
        struct segment_mark *grown =
            reallocarray(segment->marks, capacity, sizeof(*segment->marks));
        if (!grown)
            return;
        segment->marks = grown;
        segment->mark_capacity = capacity;
    }
    segment->marks[segment->mark_count++] = *mark;
}

uint64_t journal_last_known(const struct journal *journal, size_t stream)
{
    uint64_t durable = journal->meta.streams[stream].durable;
    uint64_t accounted = journal->streams[stream].accounted;
    return durable > accounted ? durable : accounted;
}

uint64_t journal_segment_bytes(const struct journal *journal)
{
    uint64_t total = 0;
    for (size_t s = 0; s < journal->stream_count; s++)
        for (size_t i = 0; i < journal->streams[s].count; i++)
            total += journal->streams[s].segments[i].bytes;
    return total;
}

/* ---- opening ---- */

static int check_options(const struct journal_options *options, struct message *message)
{
    size_t letters = strlen(options->letters);
    if (letters == 0 || letters > JOURNAL_MAX_STREAMS)
        return message_set(message, ERR_INVALID, "a journal has 1 to %d streams, not %zu",
                           JOURNAL_MAX_STREAMS, letters);
    if (strlen(options->folder) + PATH_ROOM >= FILE_PATH_SIZE)
        return message_set(message, ERR_RANGE, "the journal's path is too long: %.64s…",
                           options->folder);
    return 0;
}

static uint32_t choose_segment_bytes(const struct journal_options *options)
{
    uint64_t bytes = options->segment_bytes;
    if (!bytes && !options->limit_bytes)
        return DEFAULT_SEGMENT_BYTES;
    if (!bytes) {
        bytes = options->limit_bytes / SEGMENTS_IN_LIMIT;
        if (bytes < SMALLEST_SEGMENT_BYTES)
            bytes = SMALLEST_SEGMENT_BYTES;
        if (bytes > DEFAULT_SEGMENT_BYTES)
            bytes = DEFAULT_SEGMENT_BYTES;
    }
    return (uint32_t)bytes;
}

static struct journal *journal_alloc(const struct journal_options *options)
{
    struct journal *journal = calloc(1, sizeof(*journal));
    pthread_mutex_t *lock = malloc(sizeof(*lock));
    if (!journal || !lock) {
        free(journal);
        free(lock);
        return NULL;
    }
    pthread_mutex_init(lock, NULL);
    journal->lock = lock;
    journal->io = options->io ? options->io : journal_io_real();
    memcpy(journal->folder, options->folder, strlen(options->folder));
    journal->stream_count = strlen(options->letters);
    memcpy(journal->letters, options->letters, journal->stream_count);
    journal->limit_bytes = options->limit_bytes;
    journal->segment_bytes = choose_segment_bytes(options);
    journal->owner = options->owner;
    journal->verify = options->verify;
    journal->lock_fd = -1;
    journal->spare_fd = -1;
    journal->meta_file = (struct meta_file){.io = journal->io, .name = META_FILE, .fd = -1};
    journal->old_file = (struct meta_file){.io = journal->io, .name = META_OLD_FILE, .fd = -1};
    journal_meta_init(&journal->meta);
    journal_meta_init(&journal->old);
    intervals_init(&journal->kept, JOURNAL_MAX_KEPT);
    for (size_t s = 0; s < JOURNAL_MAX_STREAMS; s++)
        intervals_init(&journal->old_handed[s], JOURNAL_MAX_HANDED);
    buffer_init(&journal->slot, META_SLOT_BYTES);
    buffer_init(&journal->state, SEGMENT_MAX_STATE);
    for (size_t s = 0; s < JOURNAL_MAX_STREAMS; s++) {
        journal->streams[s].fd = -1;
        buffer_init(&journal->streams[s].pending, 2 * JOURNAL_MAX_PENDING);
        buffer_init(&journal->streams[s].state, SEGMENT_MAX_STATE);
    }
    return journal;
}

static void journal_free(struct journal *journal)
{
    for (size_t s = 0; s < JOURNAL_MAX_STREAMS; s++) {
        struct journal_stream *stream = &journal->streams[s];
        if (stream->fd >= 0)
            journal->io->close(journal->io->self, stream->fd);
        while (stream->count)
            journal_remove_segment(stream, stream->count - 1);
        free(stream->segments);
        buffer_release(&stream->pending);
        buffer_release(&stream->state);
    }
    if (journal->spare_fd >= 0)
        journal->io->close(journal->io->self, journal->spare_fd);
    if (journal->lock_fd >= 0)
        journal->io->close(journal->io->self, journal->lock_fd);
    meta_file_close(&journal->meta_file);
    meta_file_close(&journal->old_file);
    journal_meta_release(&journal->meta);
    journal_meta_release(&journal->old);
    intervals_release(&journal->kept);
    for (size_t s = 0; s < JOURNAL_MAX_STREAMS; s++)
        intervals_release(&journal->old_handed[s]);
    buffer_release(&journal->slot);
    buffer_release(&journal->state);
    free(journal->retired);
    for (struct epoch_text *text = atomic_load(&journal->epoch); text;) {
        struct epoch_text *before = text->before;
        free(text);
        text = before;
    }
    pthread_mutex_destroy(journal->lock);
    free(journal->lock);
    free(journal);
}

static int take_folder(struct journal *journal, struct message *message)
{
    char path[FILE_PATH_SIZE];
    const struct journal_io *io = journal->io;
    int err = io->make_folder(io->self, journal->folder, message);
    if (err)
        return err;
    segment_path(journal->folder, "lock", path);
    err = io->lock(io->self, path, &journal->lock_fd);
    if (err == ERR_CONFLICT)
        return message_set(message, err, "journal %s is in use: is another instance running?",
                           journal->folder);
    if (err)
        return message_errno(message, err, "journal: cannot lock %s", path);
    return 0;
}

int journal_open(const struct journal_options *options, struct journal **ret_journal,
                 struct journal_report *ret_report, struct message *message)
{
    struct journal_report report = {0};
    int err = check_options(options, message);
    if (err)
        return err;
    struct journal *journal = journal_alloc(options);
    if (!journal)
        return message_set(message, ERR_NO_MEMORY, "journal: out of memory");
    err = take_folder(journal, message);
    if (!err)
        err = journal_recover(journal, &report, message);
    if (!err) {
        journal->meta.clean = false;
        err = journal_write_marks(journal);
        if (err)
            err =
                message_errno(message, err, "journal %s: cannot write its marks", journal->folder);
    }
    if (err) {
        journal_free(journal);
        return err;
    }
    journal->run_serial = journal->meta.next_serial;
    journal_make_old(journal);
    journal_make_spare(journal);
    journal_report_losses(journal, &report);
    *ret_journal = journal;
    *ret_report = report;
    return 0;
}

void journal_close(struct journal *journal)
{
    if (!journal)
        return;
    /* What cannot be written now was never promised: the next opening tells of its numbers. */
    if (!journal_commit_pending(journal, NULL)) {
        for (size_t s = 0; s < journal->stream_count; s++)
            journal->meta.streams[s].reserved = journal->streams[s].next - 1;
        journal->meta.clean = true;
    }
    for (size_t s = 0; s < journal->stream_count; s++)
        journal_finish_segment(journal, &journal->streams[s]);
    if (journal->spare_fd >= 0) {
        char path[FILE_PATH_SIZE];
        segment_path(journal->folder, JOURNAL_SPARE, path);
        (void)!journal->io->unlink(journal->io->self, path);
    }
    (void)!journal_write_marks(journal);
    journal_free(journal);
}

/* ---- questions ---- */

const char *journal_epoch(const struct journal *journal)
{
    return atomic_load(&journal->epoch)->text;
}

uint64_t journal_next_seq(const struct journal *journal, int stream)
{
    return journal->streams[stream].next;
}

uint64_t journal_points(const struct journal *journal)
{
    return atomic_load(&journal->points);
}

size_t journal_pending(const struct journal *journal)
{
    size_t bytes = 0;
    for (size_t s = 0; s < journal->stream_count; s++)
        bytes += journal->streams[s].pending.len;
    return bytes;
}
