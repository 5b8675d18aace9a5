/* Reading a journal's folder from end to end, earlier epochs too. Nothing is written. */
#include "store/journal_internal.h"

#include "base/numbers.h"

#include <stdlib.h>
#include <string.h>

/* So often a disk that does not read what is owed is asked again; then it is damage. */
#define OLD_TRIES 20

struct scan {
    const struct journal_io *io;
    const char *folder;
    struct message *message;
    int (*visit)(void *self, const char *epoch, char letter, const struct journal_frame *frame);
    void (*damage)(void *self, const char *file, uint64_t offset, uint64_t bytes);
    int (*leave)(void *self, char letter, const char *name);
    void *self;
    const char *only; /* this epoch; NULL: all */
    bool waits;       /* what the disk does not read now ends the scan, to be begun again */
    struct scan_file {
        char name[SEGMENT_NAME_SIZE];
        struct segment_header header;
        uint64_t size;
    } * files;
    size_t count, capacity;
};

static int note_file(void *arg, const char *name)
{
    struct scan *scan = arg;
    char path[FILE_PATH_SIZE];
    size_t len = strlen(name);
    if (len < 5 || len >= SEGMENT_NAME_SIZE || strcmp(name + len - 4, ".seg") != 0)
        return 0;
    if (scan->count == scan->capacity) {
        size_t capacity = scan->capacity ? 2 * scan->capacity : 64;
        struct scan_file *grown = reallocarray(scan->files, capacity, sizeof(*scan->files));
        if (!grown)
            return ERR_NO_MEMORY;
        scan->files = grown;
        scan->capacity = capacity;
    }
    struct scan_file *file = &scan->files[scan->count];
    segment_path(scan->folder, name, path);
    int err = segment_file_header(scan->io, path, &file->header, &file->size);
    if (err == ERR_NOT_FOUND)
        return 0;
    if (err == ERR_CORRUPT || (err == ERR_IO && scan->only && !scan->waits)) {
        if (scan->damage)
            scan->damage(scan->self, name, 0, file->size);
        return 0;
    }
    if (err)
        return message_set(scan->message, err, "cannot read %s: %s", path,
                           err == ERR_RANGE ? "it was written by a later version" : err_name(err));
    memcpy(file->name, name, len + 1);
    scan->count++;
    return 0;
}

static int compare(const void *a, const void *b)
{
    const struct segment_header *one = &((const struct scan_file *)a)->header;
    const struct segment_header *other = &((const struct scan_file *)b)->header;
    int order = memcmp(one->epoch, other->epoch, SEGMENT_EPOCH_BYTES);
    if (order)
        return order;
    if (one->letter != other->letter)
        return one->letter < other->letter ? -1 : 1;
    if (one->first != other->first)
        return one->first < other->first ? -1 : 1;
    return one->serial < other->serial ? -1 : one->serial > other->serial;
}

static bool same_stream(const struct segment_header *one, const struct segment_header *other)
{
    return one->letter == other->letter &&
           memcmp(one->epoch, other->epoch, SEGMENT_EPOCH_BYTES) == 0;
}

static void tell_damage(const struct scan *scan, const struct scan_file *file, uint64_t offset,
                        uint64_t bytes)
{
    if (bytes && scan->damage)
        scan->damage(scan->self, file->name, offset, bytes);
}

/* Visits the frames of a file up to sequence `limit`. */
static int visit_frames(const struct scan *scan, const struct scan_file *file, uint64_t limit,
                        const char *epoch, struct segment_cursor *cursor)
{
    struct journal_frame frame;
    struct segment_damage damage = {0};
    const struct segment_header *header = &file->header;
    const char *place = memchr(header->letters, header->letter, JOURNAL_MAX_STREAMS);
    int err = 0;
    while (!err && cursor->seq < limit) {
        err = segment_cursor_next(cursor, &frame, &damage);
        if (err)
            break;
        if (frame.seq > limit)
            return 0;
        tell_damage(scan, file, damage.offset, damage.bytes);
        frame.stream = place ? (int)(place - header->letters) : 0;
        err = scan->visit(scan->self, epoch, header->letter, &frame);
    }
    if (err != ERR_NOT_FOUND)
        return err;
    uint64_t used;
    err = segment_cursor_used(cursor, cursor->offset, &used);
    if (!err)
        tell_damage(scan, file, cursor->offset, used);
    return err;
}

static int scan_file(const struct scan *scan, const struct scan_file *file,
                     const struct scan_file *next)
{
    const struct segment_header *header = &file->header;
    struct segment_cursor cursor;
    char path[FILE_PATH_SIZE], epoch[2 * SEGMENT_EPOCH_BYTES + 1];
    uint64_t limit = UINT64_MAX;
    int fd;
    if (next && same_stream(header, &next->header)) {
        limit = next->header.first - 1;
        if (next->header.previous_serial == header->serial)
            limit = next->header.previous_last;
    }
    segment_path(scan->folder, file->name, path);
    int err = scan->io->open(scan->io->self, path, false, &fd);
    if (err == ERR_NOT_FOUND)
        return 0; /* dropped since it was listed */
    if (err)
        return message_errno(scan->message, err, "cannot open %s", path);
    segment_cursor_init(&cursor, scan->io, fd, header->letter, segment_seed(header));
    cursor.offset = SEGMENT_HEADER_BYTES + (uint64_t)header->state_len;
    cursor.end = file->size;
    cursor.seq = header->first - 1;
    cursor.points = header->points;
    cursor.waits = scan->waits;
    print_hex(header->epoch, SEGMENT_EPOCH_BYTES, epoch);
    err = visit_frames(scan, file, limit, epoch, &cursor);
    segment_cursor_release(&cursor);
    return err;
}

static bool is_wanted(const struct scan *scan, const struct scan_file *file)
{
    char epoch[2 * SEGMENT_EPOCH_BYTES + 1];
    print_hex(file->header.epoch, SEGMENT_EPOCH_BYTES, epoch);
    return !scan->only || strcmp(scan->only, epoch) == 0;
}

static int scan_folder(struct scan *scan)
{
    struct message *message = scan->message;
    message_set(message, 0, "%s", "");
    int err = scan->io->list(scan->io->self, scan->folder, note_file, scan);
    if (err && (!message || !message->text[0]))
        message_errno(message, err, "cannot list %s", scan->folder);
    if (!err && scan->count)
        qsort(scan->files, scan->count, sizeof(*scan->files), compare);
    for (size_t i = 0; !err && i < scan->count; i++) {
        const struct scan_file *file = &scan->files[i];
        if (!is_wanted(scan, file))
            continue;
        err = scan_file(scan, file, i + 1 < scan->count ? file + 1 : NULL);
        if (!err && scan->leave)
            err = scan->leave(scan->self, file->header.letter, file->name);
    }
    free(scan->files);
    return err;
}

int journal_scan(const char *folder,
                 int (*visit)(void *self, const char *epoch, char letter,
                              const struct journal_frame *frame),
                 void (*damage)(void *self, const char *file, uint64_t offset, uint64_t bytes),
                 void *self, struct message *message)
{
    struct scan scan = {
        .io = journal_io_real(),
        .folder = folder,
        .message = message,
        .visit = visit,
        .damage = damage,
        .self = self,
    };
    return scan_folder(&scan);
}

int journal_scan_epoch(const struct journal *journal, const char *epoch,
                       int (*visit)(void *self, const char *epoch, char letter,
                                    const struct journal_frame *frame),
                       int (*leave)(void *self, char letter, const char *name), void *self,
                       struct message *message)
{
    struct scan scan = {
        .io = journal->io,
        .folder = journal->folder,
        .message = message,
        .visit = visit,
        .leave = leave,
        .self = self,
        .only = epoch,
        .waits = leave && journal->old_tries < OLD_TRIES,
    };
    return scan_folder(&scan);
}

int journal_scan_own(const struct journal *journal,
                     int (*visit)(void *self, const char *epoch, char letter,
                                  const struct journal_frame *frame),
                     void *self, struct message *message)
{
    return journal_scan_epoch(journal, journal_epoch(journal), visit, NULL, self, message);
}
