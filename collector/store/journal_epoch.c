/*
 * What becomes of an epoch that ends.
 *
 * Design notes. `marks.old`, whose place is taken at the first opening so that a full disk cannot
 * refuse it, is a copy of the marks as they were when the epoch ended, durable
 * before the new marks are: from then on, however often the process ends, the records that the
 * receiver did not have are owed, until each is in the present epoch or told as lost. What has been
 * taken over is added to its received set once it is durable there, and a file is removed once that
 * is written; what was taken over behind the last word of `marks.old` the heir finds in its own
 * records.
 */
#include "store/journal_internal.h"

#include "base/numbers.h"

#include <stdlib.h>
#include <string.h>

#define SAFE_EVERY 64 /* records taken over before they are made durable */

/* ---- marks.old ---- */

static int copy_meta(const struct journal_meta *from, struct journal_meta *to)
{
    int err = 0;
    journal_meta_init(to);
    to->generation = from->generation;
    to->next_serial = from->next_serial;
    to->stream_count = from->stream_count;
    memcpy(to->epoch, from->epoch, sizeof(to->epoch));
    for (size_t s = 0; !err && s < from->stream_count; s++) {
        struct journal_marks *marks = &to->streams[s];
        struct intervals received = marks->received, settled = marks->settled;
        *marks = from->streams[s];
        marks->received = received;
        marks->settled = settled;
        err = intervals_add_all(&marks->received, &from->streams[s].received);
        if (!err)
            err = intervals_add_all(&marks->settled, &from->streams[s].settled);
    }
    if (err)
        journal_meta_release(to);
    return err;
}

static int write_old(struct journal *journal)
{
    journal->old.generation++;
    int err = journal_meta_encode(&journal->old, &journal->slot);
    if (!err)
        err = meta_file_write(&journal->old_file, journal->folder, journal->old.generation,
                              &journal->slot);
    if (err)
        journal->old.generation--;
    return err;
}

/* Marks of the present epoch owe nothing. */
static void clear_old(struct journal *journal)
{
    uint64_t generation = journal->old.generation;
    journal_meta_release(&journal->old);
    journal_meta_init(&journal->old);
    journal->old.generation = generation;
    journal->old.stream_count = journal->stream_count;
    memcpy(journal->old.epoch, journal->meta.epoch, sizeof(journal->old.epoch));
    /* Where it cannot be written, all that it calls owed it calls done. */
    if (!write_old(journal))
        (void)!write_old(journal);
}

int journal_recover_old(struct journal *journal, bool has_files, struct message *message)
{
    char path[FILE_PATH_SIZE];
    enum meta_state state;
    segment_path(journal->folder, META_OLD_FILE, path);
    int err = journal_meta_read(journal->io, path, &journal->old, &state);
    if (err && (has_files || err != ERR_IO))
        return message_errno(message, err, "cannot read %s", path);
    if (err || state == META_NONE)
        return 0;
    /* That epoch was about to end and did not, or all of it has been taken over. */
    bool ended = memcmp(journal->old.epoch, journal->meta.epoch, SEGMENT_EPOCH_BYTES) != 0;
    journal->owes_old = ended && journal->old.stream_count == journal->stream_count;
    return 0;
}

void journal_make_old(struct journal *journal)
{
    if (journal->limit_bytes)
        (void)!meta_file_reserve(&journal->old_file, journal->folder);
}

/* ---- its files ---- */

void journal_retire_file(struct journal *journal, const struct segment_header *header,
                         const char *name, uint64_t bytes)
{
    struct retired_file *file = &journal->retired[journal->retired_count++];
    const char *place = memchr(journal->letters, header->letter, journal->stream_count);
    bool owed = journal->owes_old && place &&
                memcmp(header->epoch, journal->old.epoch, SEGMENT_EPOCH_BYTES) == 0;
    *file = (struct retired_file){.bytes = bytes, .stream = -1};
    memcpy(file->name, name, strnlen(name, SEGMENT_NAME_SIZE - 1));
    journal->retired_bytes += bytes;
    if (!owed)
        return;
    file->stream = (int)(place - journal->letters);
    file->first = header->first;
    file->last = journal->old.streams[file->stream].reserved;
    file->from_ms = file->to_ms = header->wall_ms;
    /* They come in the order of their sequences: where one begins the one before has ended. */
    struct retired_file *before = file - 1;
    if (file > journal->retired && before->stream == file->stream && before->last >= file->first) {
        before->last = file->first - 1;
        before->to_ms = file->from_ms;
    }
}

static bool is_owed(const struct journal *journal, int stream, uint64_t seq)
{
    const struct journal_marks *marks = &journal->old.streams[stream];
    return seq >= marks->front && !intervals_contain(&marks->received, seq) &&
           !intervals_contain(&marks->settled, seq) &&
           !intervals_contain(&journal->old_handed[stream], seq);
}

/* The sequences of the file from the first that is owed to the last; first > last: none. */
static struct interval owed_of(const struct journal *journal, const struct retired_file *file)
{
    struct interval owed = {.first = file->first, .last = file->last};
    while (owed.first <= owed.last && !is_owed(journal, file->stream, owed.first))
        owed.first++;
    while (owed.first <= owed.last && !is_owed(journal, file->stream, owed.last))
        owed.last--;
    return owed;
}

/* The files of the first stream stay to the end: what the others hold refers to it. */
size_t journal_find_old(const struct journal *journal, int stream)
{
    bool known = journal->owes_old && journal->heir_looked;
    for (size_t i = 0; known && i < journal->retired_count; i++) {
        const struct retired_file *file = &journal->retired[i];
        /* Of what is just being taken over, part may be in the present epoch already. */
        if (file->stream <= 0 || file->first <= journal->old_taken[file->stream])
            continue;
        if (stream && file->stream == stream)
            return i;
        struct interval owed = {.first = 1, .last = 1};
        if (!stream)
            owed = owed_of(journal, file);
        if (owed.first > owed.last)
            return i;
    }
    return SIZE_MAX;
}

/* Counts the samples of its frames first..last. */
static int count_old(const struct journal *journal, const struct retired_file *file,
                     const struct interval *range, uint64_t *ret_points)
{
    struct segment_header header;
    struct segment_cursor cursor;
    struct segment_damage damage;
    struct journal_frame frame;
    char path[FILE_PATH_SIZE];
    uint64_t size, points = 0;
    int fd;
    segment_path(journal->folder, file->name, path);
    int err = segment_file_header(journal->io, path, &header, &size);
    if (!err)
        err = journal->io->open(journal->io->self, path, false, &fd);
    if (err)
        return err;
    segment_cursor_init(&cursor, journal->io, fd, header.letter, segment_seed(&header));
    cursor.offset = SEGMENT_HEADER_BYTES + (uint64_t)header.state_len;
    cursor.end = size;
    cursor.seq = header.first - 1;
    cursor.points = header.points;
    while (!err && cursor.seq < range->last) {
        err = segment_cursor_next(&cursor, &frame, &damage);
        if (!err && range->first <= frame.seq && frame.seq <= range->last)
            points += frame.points;
    }
    segment_cursor_release(&cursor);
    if (err && err != ERR_NOT_FOUND)
        return err;
    *ret_points = points;
    return 0;
}

int journal_loss_of_old(struct journal *journal, size_t index, struct journal_loss *ret_loss)
{
    const struct retired_file *file = &journal->retired[index];
    struct interval owed = owed_of(journal, file);
    struct journal_loss loss = {.stream = file->stream,
                                .first = owed.first,
                                .last = owed.last,
                                .from_ms = file->from_ms,
                                .to_ms = file->to_ms,
                                .segment_first = file->first,
                                .cause = "space",
                                .old = true,
                                .other = owed.last > journal_old_trusted(journal, file->stream)};
    int err = owed.first > owed.last ? 0 : count_old(journal, file, &owed, &loss.points);
    if (err && err != ERR_NOT_FOUND && err != ERR_CORRUPT)
        return err; /* nothing is given up uncounted on a disk that fails for now */
    *ret_loss = loss;
    return 0;
}

static void forget_file(struct journal *journal, const char *name)
{
    size_t i = 0;
    while (i < journal->retired_count && strcmp(journal->retired[i].name, name) != 0)
        i++;
    if (i == journal->retired_count)
        return;
    pthread_mutex_lock(journal->lock);
    journal->retired_bytes -= journal->retired[i].bytes;
    pthread_mutex_unlock(journal->lock);
    journal->retired_count--;
    memmove(&journal->retired[i], &journal->retired[i + 1],
            (journal->retired_count - i) * sizeof(*journal->retired));
}

int journal_drop_old(struct journal *journal, const char *name, const struct journal_loss *loss,
                     struct message *message)
{
    char path[FILE_PATH_SIZE];
    int err = 0;
    if (loss->first <= loss->last)
        err = intervals_add(&journal->old.streams[loss->stream].settled, loss->first, loss->last);
    if (err == ERR_FULL) /* as good: nothing of it is to be taken over */
        err = intervals_add(&journal->old.streams[loss->stream].received, loss->first, loss->last);
    if (!err)
        err = write_old(journal);
    if (err)
        return message_set(message, err, "journal %s: cannot write %s: %s", journal->folder,
                           META_OLD_FILE, err_name(err));
    segment_path(journal->folder, name, path);
    err = journal->io->unlink(journal->io->self, path);
    if (!err || err == ERR_NOT_FOUND)
        err = journal->io->sync_folder(journal->io->self, journal->folder);
    forget_file(journal, name);
    journal_make_spare(journal);
    return err ? message_errno(message, err, "cannot remove %s", path) : 0;
}

/* ---- a new epoch ---- */

bool journal_free_retired(struct journal *journal)
{
    char path[FILE_PATH_SIZE];
    size_t count = journal->owes_old ? 0 : journal->retired_count;
    for (size_t i = 0; i < count; i++) {
        segment_path(journal->folder, journal->retired[i].name, path);
        (void)!journal->io->unlink(journal->io->self, path);
    }
    if (!count)
        return false;
    pthread_mutex_lock(journal->lock);
    journal->retired_count = 0;
    journal->retired_bytes = 0;
    pthread_mutex_unlock(journal->lock);
    return true;
}

/* Room in the list for all that the old epoch has on disk. */
static int make_retired_room(struct journal *journal)
{
    size_t count = journal->retired_count + 1;
    for (size_t s = 0; s < journal->stream_count; s++)
        count += journal->streams[s].count;
    void *grown = reallocarray(journal->retired, count, sizeof(*journal->retired));
    if (!grown)
        return ERR_NO_MEMORY;
    journal->retired = grown;
    return 0;
}

/* Both slots get the new epoch: were one lost, the other must not bring the old one back. */
static int write_new_marks(struct journal *journal, struct journal_meta *fresh)
{
    pthread_mutex_lock(journal->lock);
    struct journal_meta before = journal->meta;
    journal->meta = *fresh;
    pthread_mutex_unlock(journal->lock);
    int err = journal_write_marks(journal);
    if (!err) {
        *fresh = before;
        (void)!journal_write_marks(journal);
        return 0;
    }
    pthread_mutex_lock(journal->lock);
    *fresh = journal->meta;
    journal->meta = before;
    pthread_mutex_unlock(journal->lock);
    return err;
}

/* Keeps what is known of the epoch that is about to end, durably. */
static int keep_old(struct journal *journal)
{
    struct journal_meta copy;
    pthread_mutex_lock(journal->lock);
    int err = copy_meta(&journal->meta, &copy);
    pthread_mutex_unlock(journal->lock);
    if (err)
        return err;
    copy.generation = journal->old.generation;
    journal_meta_release(&journal->old);
    journal->old = copy;
    for (size_t s = 0; s < journal->stream_count; s++) {
        journal->old.streams[s].reserved = journal->streams[s].next - 1;
        journal->old.streams[s].trusted = journal_trusted(journal, (int)s);
    }
    err = write_old(journal);
    return err ? err : write_old(journal);
}

static void retire_segment(struct journal *journal, int stream, const struct segment *segment)
{
    struct retired_file *file = &journal->retired[journal->retired_count++];
    *file = (struct retired_file){.bytes = segment->bytes,
                                  .stream = stream,
                                  .first = segment->first,
                                  .last = segment->last,
                                  .from_ms = segment->from_ms,
                                  .to_ms = segment->to_ms};
    memcpy(file->name, segment->name, SEGMENT_NAME_SIZE);
    journal->retired_bytes += segment->bytes;
}

static void begin_streams(struct journal *journal)
{
    pthread_mutex_lock(journal->lock);
    for (size_t i = 0; i < journal->retired_count; i++)
        journal->retired[i].stream = -1;
    for (size_t s = 0; s < journal->stream_count; s++) {
        struct journal_stream *stream = &journal->streams[s];
        for (size_t i = 0; i < stream->count; i++)
            retire_segment(journal, (int)s, &stream->segments[i]);
        while (stream->count)
            journal_remove_segment(stream, stream->count - 1);
        stream->next = 1;
        stream->accounted = 0;
        stream->last_ms = 0;
    }
    journal->found_count = journal->handed = 0;
    journal->has_victim = false;
    atomic_fetch_add(&journal->dropped, 1);
    pthread_mutex_unlock(journal->lock);
    atomic_store(&journal->points, 0);
}

static int begin_epoch(struct journal *journal, struct journal_meta *fresh)
{
    struct epoch_text *text = NULL;
    fresh->generation = journal->meta.generation;
    fresh->next_serial = journal->meta.next_serial;
    fresh->stream_count = journal->stream_count;
    for (size_t s = 0; s < journal->stream_count; s++)
        fresh->streams[s].letter = journal->letters[s];
    int err = make_retired_room(journal);
    if (!err)
        err = journal->io->entropy(journal->io->self, fresh->epoch, sizeof(fresh->epoch));
    if (!err)
        err = journal_make_epoch_text(fresh->epoch, &text);
    if (!err)
        err = keep_old(journal);
    if (!err)
        err = write_new_marks(journal, fresh);
    if (err) {
        free(text);
        return err;
    }
    journal_take_epoch_text(journal, text);
    journal->owes_old = journal->heir_looked = true;
    journal->ending = false;
    journal->run_serial = journal->meta.next_serial;
    intervals_clear(&journal->kept);
    for (size_t s = 0; s < journal->stream_count; s++)
        intervals_clear(&journal->old_handed[s]);
    begin_streams(journal);
    return 0;
}

void journal_make_way(struct journal *journal)
{
    journal->ending = true;
}

int journal_new_epoch(struct journal *journal, struct message *message)
{
    struct journal_meta fresh;
    if (journal->owes_old)
        return message_set(message, ERR_CONFLICT,
                           "journal %s: the records of the epoch before this one are not yet in it",
                           journal->folder);
    int err = journal_commit_pending(journal, message);
    if (err)
        return err;
    for (size_t s = 0; s < journal->stream_count; s++)
        journal_finish_segment(journal, &journal->streams[s]);
    journal_meta_init(&fresh);
    err = begin_epoch(journal, &fresh);
    journal_meta_release(&fresh);
    if (err)
        return message_set(message, err, "journal %s: cannot begin a new epoch: %s",
                           journal->folder, err_name(err));
    return 0;
}

bool journal_old_epoch(const struct journal *journal, char ret_epoch[EPOCH_SIZE])
{
    if (journal->owes_old)
        print_hex(journal->old.epoch, SEGMENT_EPOCH_BYTES, ret_epoch);
    return journal->owes_old;
}

/* ---- taking over ---- */

/* Where the reading of an old stream stands. */
struct old_stream {
    uint64_t seq, points; /* up to here all is done, or passed on */
    int64_t wall_ms;
    struct intervals taken; /* not yet known to be durable */
};

struct inheritance {
    struct journal *journal;
    const struct journal_heir *heir;
    struct message *message;
    struct old_stream streams[JOURNAL_MAX_STREAMS];
    size_t unsafe;
};

uint64_t journal_old_trusted(const struct journal *journal, int stream)
{
    return journal->old.streams[stream].trusted;
}

int journal_settle_old(struct journal *journal, int stream, uint64_t first, uint64_t last)
{
    return intervals_add(&journal->old.streams[stream].received, first, last);
}

void journal_heir_looked(struct journal *journal)
{
    memset(journal->old_taken, 0, sizeof(journal->old_taken)); /* it found them, or they are not */
    journal->heir_looked = true;
}

static int make_safe(struct inheritance *all)
{
    struct journal *journal = all->journal;
    if (!all->unsafe)
        return 0;
    int err = all->heir->safe(all->heir->self);
    if (err)
        return err;
    for (size_t s = 0; s < journal->stream_count; s++) {
        /* Where the set is full, it is found in the heir's records if this process ends. */
        (void)!intervals_add_all(&journal->old.streams[s].received, &all->streams[s].taken);
        intervals_clear(&all->streams[s].taken);
        journal->old_taken[s] = 0;
    }
    all->unsafe = 0;
    err = write_old(journal);
    return err ? message_set(all->message, err, "journal %s: cannot write %s: %s", journal->folder,
                             META_OLD_FILE, err_name(err))
               : 0;
}

static int took(struct inheritance *all, int stream, uint64_t first, uint64_t last)
{
    int err = intervals_add(&all->streams[stream].taken, first, last);
    all->journal->old_taken[stream] = last;
    if (!err)
        err = intervals_add(&all->journal->old_handed[stream], first, last);
    all->unsafe++;
    return err || all->unsafe < SAFE_EVERY ? err : make_safe(all);
}

/* Hands on as lost what of first..last is owed; nobody can read it any more. */
static int lose(struct inheritance *all, int stream, uint64_t first, uint64_t last, uint64_t points,
                int64_t to_ms)
{
    const struct old_stream *at = &all->streams[stream];
    struct journal_loss loss = {.stream = stream,
                                .from_ms = at->wall_ms,
                                .to_ms = to_ms > at->wall_ms ? to_ms : at->wall_ms,
                                .points = points,
                                .cause = "damage",
                                .old = true};
    uint64_t trusted = journal_old_trusted(all->journal, stream);
    int err = 0;
    for (uint64_t seq = first; !err && seq <= last; seq = loss.last + 1) {
        loss.first = loss.last = seq;
        if (!is_owed(all->journal, stream, seq))
            continue;
        while (loss.last < last && loss.last != trusted &&
               is_owed(all->journal, stream, loss.last + 1))
            loss.last++;
        loss.other = loss.last > trusted;
        err = all->heir->lose(all->heir->self, &loss);
        if (!err)
            err = took(all, stream, loss.first, loss.last);
        loss.points = 0;
    }
    return err;
}

static int take_frame(struct inheritance *all, int stream, const struct journal_frame *frame)
{
    bool owed = is_owed(all->journal, stream, frame->seq);
    bool trusted = frame->seq <= all->journal->old.streams[stream].trusted;
    if (!owed && stream != 0)
        return 0;
    int err = all->heir->take(all->heir->self, frame, owed, trusted);
    if (err == ERR_NOT_FOUND && owed)
        return lose(all, stream, frame->seq, frame->seq, frame->points, frame->wall_ms);
    return err || !owed ? err : took(all, stream, frame->seq, frame->seq);
}

static int visit_old(void *self, const char *epoch, char letter, const struct journal_frame *frame)
{
    struct inheritance *all = self;
    const char *place = memchr(all->journal->letters, letter, all->journal->stream_count);
    (void)epoch;
    if (!place)
        return 0;
    int stream = (int)(place - all->journal->letters);
    struct old_stream *at = &all->streams[stream];
    if (frame->seq <= at->seq) /* of a file that was removed, and came back with a power cut */
        return 0;
    uint64_t before = frame->stream_points - frame->points;
    int err = lose(all, stream, at->seq + 1, frame->seq - 1,
                   before > at->points ? before - at->points : 0, frame->wall_ms);
    if (err)
        return err;
    at->seq = frame->seq;
    at->points = frame->stream_points;
    at->wall_ms = frame->wall_ms;
    return take_frame(all, stream, frame);
}

static int leave_old(void *self, char letter, const char *name)
{
    struct inheritance *all = self;
    struct journal *journal = all->journal;
    char path[FILE_PATH_SIZE];
    const char *place = memchr(journal->letters, letter, journal->stream_count);
    if (!place || place == journal->letters)
        return 0;
    int err = make_safe(all);
    if (err)
        return err;
    size_t s = (size_t)(place - journal->letters);
    journal->old.streams[s].front = all->streams[s].seq + 1;
    journal->old.streams[s].front_points = all->streams[s].points;
    err = write_old(journal);
    if (err)
        return message_set(all->message, err, "journal %s: cannot write %s: %s", journal->folder,
                           META_OLD_FILE, err_name(err));
    segment_path(journal->folder, name, path);
    (void)!journal->io->unlink(journal->io->self, path); /* else at the next opening */
    forget_file(journal, name);
    return 0;
}

static int take_over(struct inheritance *all)
{
    struct journal *journal = all->journal;
    char epoch[EPOCH_SIZE];
    (void)journal_old_epoch(journal, epoch);
    int err = journal_scan_epoch(journal, epoch, visit_old, leave_old, all, all->message);
    for (size_t s = 0; !err && s < journal->stream_count; s++) {
        const struct journal_marks *marks = &journal->old.streams[s];
        const struct old_stream *at = &all->streams[s];
        uint64_t points = marks->durable_points;
        err = lose(all, (int)s, at->seq + 1, marks->reserved,
                   points > at->points ? points - at->points : 0, at->wall_ms);
    }
    return err ? err : make_safe(all);
}

int journal_inherit(struct journal *journal, const struct journal_heir *heir,
                    struct message *message)
{
    struct inheritance all = {.journal = journal, .heir = heir, .message = message};
    if (!journal->owes_old)
        return 0;
    for (size_t s = 0; s < journal->stream_count; s++) {
        const struct journal_marks *marks = &journal->old.streams[s];
        all.streams[s].seq = marks->front - 1;
        all.streams[s].points = marks->front_points;
        intervals_init(&all.streams[s].taken, META_MAX_RECEIVED);
    }
    int err = take_over(&all);
    for (size_t s = 0; s < journal->stream_count; s++)
        intervals_release(&all.streams[s].taken);
    journal->old_tries += err == ERR_IO;
    if (err)
        return err;
    journal->old_tries = 0;
    journal->owes_old = false;
    (void)!journal_free_retired(journal);
    (void)!journal->io->sync_folder(journal->io->self, journal->folder);
    clear_old(journal);
    journal_make_spare(journal);
    return 0;
}
