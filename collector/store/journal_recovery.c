/*
 * Opening what a stop, a power cut or a failing disk left behind.
 *
 * Design notes. Every header is read; of the frames only those of each stream's last segment, and
 * of those since the owner's newest state. A header tells where the stream's previous segment
 * ended, so what lies between two segments is known without reading them. Damage in older segments
 * is found, and told, by the reader that comes to it.
 *
 * Where the marks are lost, the epoch is that of the newest segment (serials go up over epochs),
 * and each stream goes on JOURNAL_SAFE_DISTANCE above the greatest sequence that any header or
 * frame tells of. The same distance is kept where one of the two slots is torn: the other may be
 * the older one.
 *
 * A file with a bad header is renamed; it does not stop the opening. What is wrong inside a segment
 * is journal_walk.c's.
 */
#include "store/journal_recovery.h"

#include "base/numbers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the folder ---- */

static bool ends_with(const char *name, const char *ending)
{
    size_t len = strlen(name), ending_len = strlen(ending);
    return len >= ending_len && strcmp(name + len - ending_len, ending) == 0;
}

static int note_name(void *arg, const char *name)
{
    struct recovery *recovery = arg;
    struct journal *journal = recovery->journal;
    uint64_t serial = segment_name_serial(name);
    if (serial >= journal->meta.next_serial)
        journal->meta.next_serial = serial + 1;
    if (ends_with(name, ".bad"))
        recovery->bad_files++;
    if (strlen(name) >= SEGMENT_NAME_SIZE || (!ends_with(name, ".seg") && !ends_with(name, ".tmp")))
        return 0;
    if (recovery->name_count == recovery->name_capacity) {
        size_t capacity = recovery->name_capacity ? 2 * recovery->name_capacity : 64;
        void *grown = reallocarray(recovery->names, capacity, sizeof(*recovery->names));
        if (!grown)
            return ERR_NO_MEMORY;
        recovery->names = grown;
        recovery->name_capacity = capacity;
    }
    memcpy(recovery->names[recovery->name_count++], name, strlen(name) + 1);
    return 0;
}

static void quarantine_file(struct recovery *recovery, const char *name, uint64_t size)
{
    const struct journal_io *io = recovery->journal->io;
    char from[FILE_PATH_SIZE], to[FILE_PATH_SIZE], bad[SEGMENT_NAME_SIZE + 8];
    snprintf(bad, sizeof(bad), "%s.bad", name);
    segment_path(recovery->journal->folder, name, from);
    segment_path(recovery->journal->folder, bad, to);
    (void)!io->rename(io->self, from, to);
    recovery->bad_files++;
    recovery->report->quarantined_bytes += size;
}

static int read_header(struct recovery *recovery, const char *name)
{
    struct journal *journal = recovery->journal;
    struct found_file *file = &recovery->files[recovery->file_count];
    char path[FILE_PATH_SIZE];
    segment_path(journal->folder, name, path);
    int err = segment_file_header(journal->io, path, &file->header, &file->size);
    if (err == ERR_RANGE)
        return message_set(recovery->message, ERR_INVALID,
                           "%s was written by a later version of this program", path);
    if (err == ERR_CORRUPT ||
        (!err && !memchr(journal->letters, file->header.letter, journal->stream_count))) {
        quarantine_file(recovery, name, file->size);
        return 0;
    }
    if (err)
        return message_errno(recovery->message, err, "cannot read %s", path);
    memcpy(file->name, name, strlen(name) + 1);
    recovery->file_count++;
    return 0;
}

static int compare_files(const void *a, const void *b)
{
    const struct found_file *one = a, *other = b;
    int order = memcmp(one->header.epoch, other->header.epoch, SEGMENT_EPOCH_BYTES);
    if (order)
        return order;
    if (one->header.letter != other->header.letter)
        return one->header.letter < other->header.letter ? -1 : 1;
    if (one->header.first != other->header.first)
        return one->header.first < other->header.first ? -1 : 1;
    if (one->header.serial != other->header.serial)
        return one->header.serial < other->header.serial ? -1 : 1;
    return strcmp(one->name, other->name);
}

/* A copy of a segment under another name would be read twice. */
static void remove_doubles(struct recovery *recovery)
{
    size_t kept = 0;
    for (size_t i = 0; i < recovery->file_count; i++) {
        const struct found_file *file = &recovery->files[i];
        if (kept && recovery->files[kept - 1].header.serial == file->header.serial &&
            recovery->files[kept - 1].header.letter == file->header.letter &&
            recovery->files[kept - 1].header.first == file->header.first) {
            quarantine_file(recovery, file->name, file->size);
            continue;
        }
        recovery->files[kept++] = *file;
    }
    recovery->file_count = kept;
}

static int read_folder(struct recovery *recovery)
{
    struct journal *journal = recovery->journal;
    const struct journal_io *io = journal->io;
    int err = io->list(io->self, journal->folder, note_name, recovery);
    if (err)
        return message_errno(recovery->message, err, "cannot list %s", journal->folder);
    recovery->files = calloc(recovery->name_count + 1, sizeof(*recovery->files));
    if (!recovery->files)
        return message_set(recovery->message, ERR_NO_MEMORY, "journal: out of memory");
    for (size_t i = 0; !err && i < recovery->name_count; i++) {
        if (ends_with(recovery->names[i], ".tmp")) {
            char path[FILE_PATH_SIZE];
            segment_path(journal->folder, recovery->names[i], path);
            (void)!io->unlink(io->self, path);
        } else {
            err = read_header(recovery, recovery->names[i]);
        }
    }
    qsort(recovery->files, recovery->file_count, sizeof(*recovery->files), compare_files);
    remove_doubles(recovery);
    for (size_t i = 0; i < recovery->file_count; i++)
        if (recovery->files[i].header.serial >= journal->meta.next_serial)
            journal->meta.next_serial = recovery->files[i].header.serial + 1;
    return err;
}

/* ---- marks and epoch ---- */

static int match_letters(struct recovery *recovery)
{
    struct journal *journal = recovery->journal;
    struct journal_meta *meta = &journal->meta;
    for (size_t s = 0; s < meta->stream_count; s++)
        if (s >= journal->stream_count || meta->streams[s].letter != journal->letters[s])
            return message_set(recovery->message, ERR_CONFLICT,
                               "%s is a journal with other streams than \"%s\": is it the folder "
                               "of another program?",
                               journal->folder, journal->letters);
    for (size_t s = 0; s < journal->stream_count; s++)
        meta->streams[s].letter = journal->letters[s];
    meta->stream_count = journal->stream_count;
    return 0;
}

static int read_marks(struct recovery *recovery)
{
    struct journal *journal = recovery->journal;
    char path[FILE_PATH_SIZE];
    segment_path(journal->folder, META_FILE, path);
    int err = journal_meta_read(journal->io, path, &journal->meta, &recovery->marks);
    if (err == ERR_RANGE)
        return message_set(recovery->message, ERR_INVALID,
                           "%s was written by a later version of this program", path);
    if (err)
        return message_errno(recovery->message, err, "cannot read %s", path);
    return match_letters(recovery);
}

/* The epoch of the marks, else of the newest segment, else a new one. */
static int choose_epoch(struct recovery *recovery)
{
    struct journal *journal = recovery->journal;
    struct journal_meta *meta = &journal->meta;
    const struct found_file *newest = NULL;
    struct epoch_text *text;
    int err = 0;
    for (size_t i = 0; i < recovery->file_count; i++)
        if (!newest || recovery->files[i].header.serial > newest->header.serial)
            newest = &recovery->files[i];
    if (recovery->marks != META_NONE) {
        recovery->report->unclean = !meta->clean || recovery->marks == META_DOUBTFUL;
    } else if (newest) {
        recovery->report->unclean = true;
        memcpy(meta->epoch, newest->header.epoch, SEGMENT_EPOCH_BYTES);
    } else {
        recovery->report->created = true;
        err = journal->io->entropy(journal->io->self, meta->epoch, SEGMENT_EPOCH_BYTES);
    }
    if (!err)
        err = journal_make_epoch_text(meta->epoch, &text);
    if (err)
        return message_set(recovery->message, err, "journal: no epoch: %s", err_name(err));
    journal_take_epoch_text(journal, text);
    return 0;
}

/* Where the marks cannot be trusted, the headers tell how far each stream had been used. */
static void distrust_marks(struct recovery *recovery)
{
    struct journal *journal = recovery->journal;
    if (recovery->marks == META_WHOLE || recovery->report->created)
        return;
    recovery->distance = JOURNAL_SAFE_DISTANCE;
    for (size_t i = 0; i < recovery->file_count; i++) {
        const struct segment_header *header = &recovery->files[i].header;
        if (memcmp(header->epoch, journal->meta.epoch, SEGMENT_EPOCH_BYTES) != 0)
            continue;
        for (size_t s = 0; s < journal->stream_count; s++)
            for (size_t k = 0; k < JOURNAL_MAX_STREAMS; k++)
                if (header->letters[k] == journal->letters[s] &&
                    header->last[k] > journal->meta.streams[s].reserved)
                    journal->meta.streams[s].reserved = header->last[k];
    }
}

/* ---- all of it ---- */

/* Into the tables of their streams; those of earlier epochs into the list of the retired. */
static int place_files(struct recovery *recovery)
{
    struct journal *journal = recovery->journal;
    int err = 0;
    journal->retired = calloc(recovery->file_count + 1, sizeof(*journal->retired));
    if (!journal->retired)
        return ERR_NO_MEMORY;
    for (size_t i = 0; !err && i < recovery->file_count; i++) {
        const struct found_file *file = &recovery->files[i];
        if (memcmp(file->header.epoch, journal->meta.epoch, SEGMENT_EPOCH_BYTES) != 0) {
            journal_retire_file(journal, &file->header, file->name, file->size);
            continue;
        }
        const char *letter = memchr(journal->letters, file->header.letter, journal->stream_count);
        struct segment segment;
        journal_segment_from_header(&file->header, file->name, file->size, &segment);
        err = journal_add_segment(&journal->streams[letter - journal->letters], &segment);
    }
    recovery->report->retired_segments = journal->retired_count;
    return err;
}

/* Are there files of another epoch than the present one? */
static bool has_earlier(const struct recovery *recovery)
{
    bool found = false;
    for (size_t i = 0; i < recovery->file_count && !found; i++)
        found = memcmp(recovery->files[i].header.epoch, recovery->journal->meta.epoch,
                       SEGMENT_EPOCH_BYTES) != 0;
    return found;
}

int journal_recover(struct journal *journal, struct journal_report *report, struct message *message)
{
    struct recovery recovery = {.journal = journal, .report = report, .message = message};
    int err = read_marks(&recovery);
    if (!err)
        err = read_folder(&recovery);
    if (!err)
        err = choose_epoch(&recovery);
    if (!err)
        err = journal_recover_old(journal, has_earlier(&recovery), message);
    if (!err) {
        distrust_marks(&recovery);
        err = place_files(&recovery);
    }
    for (size_t s = 0; !err && s < journal->stream_count; s++)
        err = recovery_walk_stream(&recovery, (int)s);
    /* Until the receiver is seen to know this disk, what it records may meet other records of the
     * same numbers: the disk may be a copy, put in the place of one that went on. */
    for (size_t s = 0; journal->meta.vouched && s < journal->stream_count; s++)
        journal->meta.streams[s].trusted = journal->meta.streams[s].durable;
    journal->meta.vouched = false;
    free(recovery.names);
    free(recovery.files);
    if (err == ERR_NO_MEMORY)
        return message_set(message, err, "journal: out of memory");
    return err;
}
