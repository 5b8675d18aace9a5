#include "ctl/cmd_books.h"

#include "base/files.h"
#include "base/numbers.h"
#include "model/record.h"
#include "model/stream.h"
#include "store/events_db.h"
#include "store/history_read.h"
#include "store/journal.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/*
 * Design notes
 *
 * Books: read = stored + held + ledger (ARCHITECTURE 2, rule 11). Each figure comes from the files
 * of its owner, none from another's word: what was read from the edges' journals, what is stored
 * from the store, what is on the ledger from the loss records in the central journal, less what of
 * their ranges had arrived all the same; what was held, by report by exception, from the data
 * records there. A frame counts all readings it accounts for, held ones too. Nothing may be running
 * on these folders. What a store outside has, whoever asks for the books has asked that store: it
 * is given as a number.
 */

#define STREAMS_MAX 4096
#define LOSSES_MAX  1000000

/* A stream of an edge's journal: how many samples were ever appended to it. */
struct appended {
    char epoch[EPOCH_SIZE];
    char letter;
    uint64_t points;
};

struct told_loss {
    char origin[JOURNAL_MAX_ORIGIN + 1];
    char epoch[EPOCH_SIZE];
    enum stream of;
    uint64_t first, last, points;
};

struct books {
    FILE *err;
    struct appended *streams; /* of the journal being scanned */
    size_t stream_count;
    struct told_loss *losses;
    size_t loss_count;
    uint64_t read, stored, held, ledger, raised;
};

static int note_appended(void *self, const char *epoch, char letter,
                         const struct journal_frame *frame)
{
    struct books *books = self;
    for (size_t i = books->stream_count; i-- > 0;) {
        struct appended *stream = &books->streams[i];
        if (stream->letter != letter || strcmp(stream->epoch, epoch) != 0)
            continue;
        if (frame->stream_points > stream->points)
            stream->points = frame->stream_points;
        return 0;
    }
    if (books->stream_count == STREAMS_MAX)
        return ERR_FULL;
    struct appended *added = &books->streams[books->stream_count++];
    *added = (struct appended){.letter = letter, .points = frame->stream_points};
    memcpy(added->epoch, epoch, EPOCH_SIZE);
    return 0;
}

static int count_read(struct books *books, const char *folder, struct message *message)
{
    books->stream_count = 0;
    int err = journal_scan(folder, note_appended, NULL, books, message);
    for (size_t i = 0; i < books->stream_count; i++)
        books->read += books->streams[i].points;
    return err;
}

/* An edge that restarted tells a loss again: it is counted once. */
static bool told_before(const struct books *books, const char *origin, const char *epoch,
                        const struct record_loss *loss)
{
    for (size_t i = 0; i < books->loss_count; i++) {
        const struct told_loss *told = &books->losses[i];
        if (told->of == loss->of && told->first <= loss->first && told->last >= loss->last &&
            strcmp(told->origin, origin) == 0 && strcmp(told->epoch, epoch) == 0)
            return true;
    }
    return false;
}

static int note_loss(void *self, const char *epoch, char letter, const struct journal_frame *frame)
{
    (void)epoch, (void)letter;
    struct books *books = self;
    struct record_head head;
    struct record record;
    if (record_parse_head(frame->payload, frame->len, &head, NULL) || head.kind != RECORD_LOSS ||
        record_parse(frame->payload, frame->len, &record, NULL))
        return 0;
    int err = 0;
    const char *of = record.loss.epoch[0] ? record.loss.epoch : record.head.epoch;
    if (record.loss.other) {
        books->ledger += record.loss.points;
    } else if (!told_before(books, frame->origin, of, &record.loss)) {
        struct told_loss *losses =
            books->loss_count < LOSSES_MAX
                ? realloc(books->losses, (books->loss_count + 1) * sizeof(*losses))
                : NULL;
        if (losses) {
            books->losses = losses;
            struct told_loss *told = &losses[books->loss_count++];
            *told = (struct told_loss){.of = record.loss.of,
                                       .first = record.loss.first,
                                       .last = record.loss.last,
                                       .points = record.loss.points};
            memcpy(told->origin, frame->origin, sizeof(told->origin));
            memcpy(told->epoch, of, sizeof(told->epoch));
            books->ledger += record.loss.points;
        }
        err = losses ? 0 : ERR_NO_MEMORY;
    }
    record_release(&record);
    return err;
}

/* How many of the readings that a frame counts were held back; a record that nobody can read has
 * been parsed before it was journaled. */
static uint64_t held_of(const struct journal_frame *frame)
{
    static const char member[] = "\"held\"";
    struct record record;
    if (!memmem(frame->payload, frame->len, member, sizeof(member) - 1) ||
        record_parse(frame->payload, frame->len, &record, NULL))
        return 0;
    uint64_t held = record.held;
    record_release(&record);
    return held;
}

/* What an edge dropped may have arrived before: its receipt did not reach the edge. */
static int note_arrived(void *self, const char *epoch, char letter,
                        const struct journal_frame *frame)
{
    (void)epoch, (void)letter;
    struct books *books = self;
    struct record_head head;
    if (!frame->points || record_parse_head(frame->payload, frame->len, &head, NULL))
        return 0;
    books->held += held_of(frame);
    for (size_t i = 0; i < books->loss_count; i++) {
        const struct told_loss *told = &books->losses[i];
        if (told->points && told->of == head.stream && told->first <= head.seq &&
            told->last >= head.seq && strcmp(told->origin, frame->origin) == 0 &&
            strcmp(told->epoch, head.epoch) == 0) {
            books->ledger -= frame->points;
            return 0;
        }
    }
    return 0;
}

static int count_ledger(struct books *books, const char *central, struct message *message)
{
    char folder[FILE_PATH_SIZE];
    int err = path_join(central, "journal", folder);
    if (!err)
        err = journal_scan(folder, note_loss, NULL, books, message);
    return err ? err : journal_scan(folder, note_arrived, NULL, books, message);
}

static int count_stored(struct books *books, const char *central, struct message *message)
{
    char path[FILE_PATH_SIZE];
    struct history_db *history = NULL;
    struct db_options options = {.path = path, .mode = DB_READER};
    int err = path_join(central, "history.db", path);
    if (!err)
        err = history_db_open(&options, &history, NULL, message);
    if (!err)
        err = history_db_count(history, &books->stored, message);
    history_db_close(history);
    return err;
}

struct page {
    uint64_t rows;
    int64_t last_ms;
    uint64_t last_id;
};

static int note_row(void *self, const struct event_transition *row)
{
    struct page *page = self;
    page->rows++;
    page->last_ms = row->t_ms;
    page->last_id = row->id;
    return 0;
}

static int count_raised(struct books *books, const char *central, struct message *message)
{
    char path[FILE_PATH_SIZE];
    struct events_db *events = NULL;
    struct db_options options = {.path = path, .mode = DB_READER};
    struct event_filter filter = {.event = "raise"};
    int err = path_join(central, "events.db", path);
    if (!err)
        err = events_db_open(&options, &events, NULL, message);
    for (struct page page = {.rows = EVENTS_MAX_ROWS}; !err && page.rows == EVENTS_MAX_ROWS;) {
        page = (struct page){0};
        err = events_db_transitions(events, &filter, EVENTS_MAX_ROWS, note_row, &page, message);
        books->raised += page.rows;
        filter.before_ms = page.last_ms;
        filter.before_id = page.last_id;
    }
    events_db_close(events);
    return err;
}

static enum ctl_exit count_all(struct books *books, const char *central, char **journals,
                               int journal_count)
{
    struct message message = {""};
    int err = 0;
    for (int i = 0; !err && i < journal_count; i++)
        err = count_read(books, journals[i], &message);
    if (!err)
        err = count_stored(books, central, &message);
    if (!err)
        err = count_ledger(books, central, &message);
    if (!err)
        err = count_raised(books, central, &message);
    if (err) {
        fprintf(books->err, "%s\n", message.text[0] ? message.text : err_name(err));
        return CTL_USAGE;
    }
    return CTL_YES;
}

/* The outside store's count takes the place of the embedded one's; both must be complete. */
static enum ctl_exit compare_stores(struct books *books, uint64_t outside)
{
    uint64_t embedded = books->stored;
    books->stored = outside;
    if (embedded == outside)
        return CTL_YES;
    fprintf(books->err, "the embedded store has %" PRIu64 " samples, the outside one %" PRIu64 "\n",
            embedded, outside);
    return CTL_NO;
}

static void print_books(const struct books *books, int64_t missing, FILE *out)
{
    fprintf(out,
            "points read %" PRIu64 ", stored %" PRIu64 ", held %" PRIu64 ", ledger %" PRIu64
            ", missing %" PRId64 ", alarms raised %" PRIu64 "\n",
            books->read, books->stored, books->held, books->ledger, missing, books->raised);
}

struct books_options {
    const char *central;
    bool outside; /* a store outside says how much it has */
    uint64_t stored;
    char **journals;
    int journal_count;
};

static bool read_options(int argc, char **argv, struct books_options *ret_options)
{
    struct books_options options = {.central = NULL};
    int at = 1;
    for (; at + 1 < argc && argv[at][0] == '-'; at += 2)
        if (strcmp(argv[at], "--central") == 0)
            options.central = argv[at + 1];
        else if (strcmp(argv[at], "--stored") == 0 &&
                 !parse_u64(argv[at + 1], 0, RECORD_MAX_NUMBER, &options.stored))
            options.outside = true;
        else
            return false;
    options.journals = argv + at;
    options.journal_count = argc - at;
    *ret_options = options;
    return options.central && options.journal_count > 0;
}

static enum ctl_exit run(int argc, char **argv, FILE *out, FILE *err)
{
    struct books_options options;
    if (!read_options(argc, argv, &options))
        return ctl_usage(&cmd_books, err, "it takes --central DIR and the edges' journals");
    struct books books = {.err = err, .streams = calloc(STREAMS_MAX, sizeof(*books.streams))};
    enum ctl_exit status =
        books.streams ? count_all(&books, options.central, options.journals, options.journal_count)
                      : CTL_USAGE;
    if (status == CTL_YES) {
        if (options.outside)
            status = compare_stores(&books, options.stored);
        int64_t missing = (int64_t)(books.read - books.stored - books.held - books.ledger);
        print_books(&books, missing, out);
        status = missing ? CTL_NO : status;
    }
    free(books.streams);
    free(books.losses);
    return status;
}

const struct ctl_command cmd_books = {
    .name = "books",
    .usage = "--central DIR [--stored N] JOURNAL…",
    .summary = "adds up what edges read, what is stored and what is on the ledger",
    .help =
        "DIR is the centre's data folder, JOURNAL an edge's journal folder; nothing may be\n"
        "running on them. N is what a store outside says it has; it must be what the embedded one\n"
        "has. Exit 0 when nothing is missing, 1 when something is.\n",
    .run = run,
};
