/*
 * What becomes of an epoch that ends.
 *
 * Design notes. `marks.old` is a copy of the marks as they were when the epoch ended, durable
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

static void remove_old(struct journal *journal)
{
    char path[FILE_PATH_SIZE];
    meta_file_close(&journal->old_file);
    segment_path(journal->folder, META_OLD_FILE, path);
    (void)!journal->io->unlink(journal->io->self, path);
}

int journal_recover_old(struct journal *journal)
{
    char path[FILE_PATH_SIZE];
    enum meta_state state;
    segment_path(journal->folder, META_OLD_FILE, path);
    int err = journal_meta_read(journal->io, path, &journal->old, &state);
    if (err || state == META_NONE)
        return err;
    if (memcmp(journal->old.epoch, journal->meta.epoch, SEGMENT_EPOCH_BYTES) == 0)
        remove_old(journal); /* that epoch was about to end, and did not */
    else
        journal->owes_old = journal->old.stream_count == journal->stream_count;
    return 0;
}

/* ---- a new epoch ---- */

bool journal_free_retired(struct journal *journal)
{
    char path[FILE_PATH_SIZE];
    size_t count = journal->owes_old ? 0 : journal->retired_count;
    for (size_t i = 0; i < count; i++) {
        segment_path(journal->folder, journal->retired[i], path);
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
    journal_meta_release(&journal->old);
    journal->old = copy;
    for (size_t s = 0; s < journal->stream_count; s++) {
        journal->old.streams[s].reserved = journal->streams[s].next - 1;
        journal->old.streams[s].trusted = journal_trusted(journal, (int)s);
    }
    remove_old(journal);
    err = write_old(journal);
    return err ? err : write_old(journal);
}

static void begin_streams(struct journal *journal)
{
    pthread_mutex_lock(journal->lock);
    for (size_t s = 0; s < journal->stream_count; s++) {
        struct journal_stream *stream = &journal->streams[s];
        for (size_t i = 0; i < stream->count; i++) {
            memcpy(journal->retired[journal->retired_count++], stream->segments[i].name,
                   SEGMENT_NAME_SIZE);
            journal->retired_bytes += stream->segments[i].bytes;
        }
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
    journal->owes_old = true;
    journal->run_serial = journal->meta.next_serial;
    journal->kept = 0;
    begin_streams(journal);
    return 0;
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

int journal_settle_old(struct journal *journal, int stream, uint64_t first, uint64_t last)
{
    return intervals_add(&journal->old.streams[stream].received, first, last);
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
    all->unsafe++;
    return err || all->unsafe < SAFE_EVERY ? err : make_safe(all);
}

static bool is_owed(const struct journal *journal, int stream, uint64_t seq)
{
    const struct journal_marks *marks = &journal->old.streams[stream];
    return seq >= marks->front && !intervals_contain(&marks->received, seq) &&
           !intervals_contain(&marks->settled, seq);
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
                                .cause = "damage"};
    int err = 0;
    for (uint64_t seq = first; !err && seq <= last; seq = loss.last + 1) {
        loss.first = loss.last = seq;
        if (!is_owed(all->journal, stream, seq))
            continue;
        while (loss.last < last && is_owed(all->journal, stream, loss.last + 1))
            loss.last++;
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

/* The files of the first stream stay to the end: what the others hold refers to it. */
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
    (void)!journal->io->unlink(journal->io->self, path); /* else with the last */
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
    if (err)
        return err;
    journal->owes_old = false;
    (void)!journal_free_retired(journal);
    (void)!journal->io->sync_folder(journal->io->self, journal->folder);
    remove_old(journal);
    journal_meta_release(&journal->old);
    journal_meta_init(&journal->old);
    journal_make_spare(journal);
    return 0;
}
