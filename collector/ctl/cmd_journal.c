#include "ctl/cmd_journal.h"

#include "base/clock.h"
#include "base/json_fields.h"
#include "model/intervals.h"
#include "model/record.h"
#include "model/stream.h"
#include "store/journal.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/*
 * Design notes
 *
 * One scan collects, per epoch and stream, which sequences are there and which of them the
 * journal's own loss records (stream `a`, no sender) account for. What is missing in between and is
 * in neither set is a hole that nothing explains. What comes before a stream's first record is no
 * hole: space is reused from the front once the centre has the records, or after a loss record.
 *
 * A loss record of cause `epoch` counts the sequences of the epoch before its own, and does not say
 * which: it must not explain holes of this one that happen to have the same numbers.
 */

#define STREAMS_MAX 4096 /* epochs times streams of one folder */
#define RANGES_MAX  1000000

enum action { ACTION_LS, ACTION_DUMP, ACTION_VERIFY };

struct stream_books {
    char epoch[EPOCH_SIZE];
    char letter;
    uint64_t first, last, records, points, bytes;
    int64_t from_ms, to_ms;
    struct intervals seen, lost;
};

struct books {
    enum action action;
    bool json;
    FILE *out, *err;
    struct stream_books *streams;
    size_t count, capacity;
    uint64_t records, problems;
    struct buffer line;
};

static struct stream_books *find_books(struct books *books, const char *epoch, char letter)
{
    for (size_t i = books->count; i > 0; i--) {
        struct stream_books *stream = &books->streams[i - 1];
        if (stream->letter == letter && strcmp(stream->epoch, epoch) == 0)
            return stream;
    }
    if (books->count == STREAMS_MAX)
        return NULL;
    if (books->count == books->capacity) {
        size_t capacity = books->capacity ? 2 * books->capacity : 16;
        struct stream_books *streams = realloc(books->streams, capacity * sizeof(*streams));
        if (!streams)
            return NULL;
        books->streams = streams;
        books->capacity = capacity;
    }
    struct stream_books *stream = &books->streams[books->count++];
    *stream = (struct stream_books){.letter = letter};
    snprintf(stream->epoch, sizeof(stream->epoch), "%s", epoch);
    intervals_init(&stream->seen, RANGES_MAX);
    intervals_init(&stream->lost, RANGES_MAX);
    return stream;
}

/* ---- dump ---- */

static void wrap_record(struct books *books, const char *epoch, char letter,
                        const struct journal_frame *frame)
{
    struct json_document *document = NULL;
    struct json_writer writer;
    char time[TIME_TEXT_SIZE];
    time_format_utc(frame->wall_ms, time);
    json_writer_init(&writer, &books->line);
    json_begin_object(&writer);
    json_field_text(&writer, "epoch", epoch);
    json_key(&writer, "stream");
    json_text_n(&writer, &letter, 1);
    json_field_u64(&writer, "seq", frame->seq);
    json_field_text(&writer, "appended", time);
    json_field_text(&writer, "origin", frame->origin);
    json_field_u64(&writer, "points", frame->points);
    if (json_parse(frame->payload, frame->len, &document, NULL) == 0) {
        json_key(&writer, "record");
        json_raw(&writer, frame->payload, frame->len);
    } else {
        json_key(&writer, "text");
        json_text_n(&writer, frame->payload, frame->len);
    }
    json_end_object(&writer);
    json_free(document);
}

static int dump_frame(struct books *books, const char *epoch, char letter,
                      const struct journal_frame *frame)
{
    buffer_clear(&books->line);
    if (books->json)
        wrap_record(books, epoch, letter, frame);
    else
        buffer_append(&books->line, frame->payload, frame->len);
    /* Line breaks stand between a record's tokens only, where blanks mean the same. */
    for (size_t i = 0; i < books->line.len; i++)
        if (books->line.data[i] == '\n' || books->line.data[i] == '\r')
            books->line.data[i] = ' ';
    buffer_append_char(&books->line, '\n');
    int err = buffer_error(&books->line);
    if (!err && fwrite(books->line.data, 1, books->line.len, books->out) != books->line.len)
        err = ERR_IO;
    return err;
}

/* ---- the books ---- */

/* What a loss record of the journal's own accounts for. */
static int take_loss(struct books *books, const char *epoch, const struct journal_frame *frame)
{
    struct record_head head;
    struct record record;
    struct message message = {""};
    if (frame->origin[0])
        return 0; /* another journal's loss */
    int err = record_parse_head(frame->payload, frame->len, &head, &message);
    if (!err && head.kind != RECORD_LOSS)
        return 0;
    if (!err)
        err = record_parse(frame->payload, frame->len, &record, &message);
    if (err == ERR_NO_MEMORY)
        return err;
    if (err) {
        books->problems++;
        fprintf(books->out, "%s %c %" PRIu64 ": not a record: %s\n", epoch, stream_letter(STREAM_A),
                frame->seq, message.text);
        return 0;
    }
    if (strcmp(record.loss.cause, "epoch") != 0 && strcmp(record.head.epoch, epoch) == 0 &&
        record.loss.first <= record.loss.last) {
        struct stream_books *of = find_books(books, epoch, stream_letter(record.loss.of));
        err = of ? intervals_add(&of->lost, record.loss.first, record.loss.last) : ERR_NO_MEMORY;
    }
    record_release(&record);
    return err;
}

static int take_frame(void *self, const char *epoch, char letter, const struct journal_frame *frame)
{
    struct books *books = self;
    books->records++;
    if (books->action == ACTION_DUMP)
        return dump_frame(books, epoch, letter, frame);
    struct stream_books *stream = find_books(books, epoch, letter);
    if (!stream)
        return ERR_NO_MEMORY;
    if (intervals_contain(&stream->seen, frame->seq)) {
        books->problems++;
        if (books->action == ACTION_VERIFY)
            fprintf(books->out, "%s %c %" PRIu64 ": this sequence stands here a second time\n",
                    epoch, letter, frame->seq);
    }
    if (!stream->records || frame->seq < stream->first)
        stream->first = frame->seq;
    if (!stream->records || frame->wall_ms < stream->from_ms)
        stream->from_ms = frame->wall_ms;
    if (!stream->records || frame->wall_ms > stream->to_ms)
        stream->to_ms = frame->wall_ms;
    if (frame->seq > stream->last)
        stream->last = frame->seq;
    stream->records++;
    stream->points += frame->points;
    stream->bytes += frame->len;
    int err = intervals_add(&stream->seen, frame->seq, frame->seq);
    if (!err && books->action == ACTION_VERIFY && letter == stream_letter(STREAM_A))
        err = take_loss(books, epoch, frame);
    return err;
}

static void take_damage(void *self, const char *file, uint64_t offset, uint64_t bytes)
{
    struct books *books = self;
    FILE *to = books->action == ACTION_VERIFY ? books->out : books->err;
    books->problems++;
    if (bytes)
        fprintf(to, "%s: %" PRIu64 " damaged bytes around byte %" PRIu64 "\n", file, bytes, offset);
    else
        fprintf(to, "%s: its header is damaged, none of it can be read\n", file);
}

/* ---- ls ---- */

static void list_json(const struct books *books, const struct stream_books *stream)
{
    char from[TIME_TEXT_SIZE], to[TIME_TEXT_SIZE];
    time_format_utc(stream->from_ms, from);
    time_format_utc(stream->to_ms, to);
    fprintf(books->out,
            "{\"epoch\":\"%s\",\"stream\":\"%c\",\"first\":%" PRIu64 ",\"last\":%" PRIu64
            ",\"records\":%" PRIu64 ",\"points\":%" PRIu64 ",\"bytes\":%" PRIu64
            ",\"from\":\"%s\",\"to\":\"%s\"}\n",
            stream->epoch, stream->letter, stream->first, stream->last, stream->records,
            stream->points, stream->bytes, from, to);
}

static void list_text(const struct books *books, const struct stream_books *stream)
{
    char from[TIME_TEXT_SIZE], to[TIME_TEXT_SIZE];
    time_format_utc(stream->from_ms, from);
    time_format_utc(stream->to_ms, to);
    fprintf(books->out,
            "%-32s %-6c %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %12" PRIu64 " %14" PRIu64
            " %s %s\n",
            stream->epoch, stream->letter, stream->first, stream->last, stream->records,
            stream->points, stream->bytes, from, to);
}

static void list_streams(const struct books *books)
{
    if (!books->json)
        fprintf(books->out, "%-32s %-6s %10s %10s %10s %12s %14s %-24s %s\n", "EPOCH", "STREAM",
                "FIRST", "LAST", "RECORDS", "POINTS", "BYTES", "FROM", "TO");
    for (size_t i = 0; i < books->count; i++)
        (books->json ? list_json : list_text)(books, &books->streams[i]);
}

/* ---- verify ---- */

static void verify_stream(struct books *books, const struct stream_books *stream)
{
    struct interval hole;
    uint64_t lost = 0, at = stream->first;
    while (at <= stream->last && intervals_next_hole(&stream->seen, at, stream->last, &hole)) {
        for (uint64_t part = hole.first; part <= hole.last;) {
            struct interval bare;
            if (!intervals_next_hole(&stream->lost, part, hole.last, &bare))
                bare = (struct interval){hole.last + 1, hole.last};
            lost += bare.first - part;
            if (bare.first <= bare.last) {
                books->problems++;
                fprintf(books->out,
                        "%s %c %" PRIu64 "..%" PRIu64 ": missing, and no loss record says why\n",
                        stream->epoch, stream->letter, bare.first, bare.last);
            }
            part = bare.last + 1;
        }
        at = hole.last + 1;
    }
    fprintf(books->out,
            "%s %c: %" PRIu64 " records, %" PRIu64 "..%" PRIu64 ", %" PRIu64
            " accounted for as lost\n",
            stream->epoch, stream->letter, stream->records, stream->first, stream->last, lost);
}

static enum ctl_exit verify(struct books *books)
{
    for (size_t i = 0; i < books->count; i++)
        if (books->streams[i].records)
            verify_stream(books, &books->streams[i]);
    if (!books->problems) {
        fputs("good\n", books->out);
        return CTL_YES;
    }
    fprintf(books->out, "problems: %" PRIu64 "\n", books->problems);
    return CTL_NO;
}

/* ---- the command ---- */

static enum ctl_exit work(struct books *books, const char *folder)
{
    struct message message = {""};
    int err = journal_scan(folder, take_frame, take_damage, books, &message);
    if (err) {
        fprintf(books->err, "chengmai journal: %s\n",
                message.text[0] ? message.text : err_name(err));
        return CTL_USAGE;
    }
    if (!books->records && !books->problems) {
        fprintf(books->err, "chengmai journal: no record in %s: is it a journal's folder?\n",
                folder);
        return CTL_USAGE;
    }
    if (books->action == ACTION_VERIFY)
        return verify(books);
    if (books->action == ACTION_LS)
        list_streams(books);
    return CTL_YES;
}

/* The command line into `books` and the folder; what is wrong with it, or NULL. */
static const char *read_arguments(int argc, char **argv, struct books *books, const char **folder)
{
    static const char *const names[] = {"ls", "dump", "verify"};
    const char *words[2] = {NULL, NULL};
    int count = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            books->json = true;
        else if (argv[i][0] == '-')
            return "there is no such option";
        else if (count == 2)
            return "one folder at a time";
        else
            words[count++] = argv[i];
    }
    if (count < 2)
        return "what shall be done, and with which folder?";
    *folder = words[1];
    for (int action = ACTION_LS; action <= ACTION_VERIFY; action++)
        if (strcmp(names[action], words[0]) == 0) {
            books->action = (enum action)action;
            return books->json && action == ACTION_VERIFY ? "--json is for ls and dump" : NULL;
        }
    return "expected ls, dump or verify";
}

static enum ctl_exit run(int argc, char **argv, FILE *out, FILE *err)
{
    struct books books = {.out = out, .err = err};
    const char *folder = NULL;
    const char *wrong = read_arguments(argc, argv, &books, &folder);
    if (wrong)
        return ctl_usage(&cmd_journal, err, wrong);
    buffer_init(&books.line, 8 * JOURNAL_MAX_PAYLOAD);
    enum ctl_exit code = work(&books, folder);
    for (size_t i = 0; i < books.count; i++) {
        intervals_release(&books.streams[i].seen);
        intervals_release(&books.streams[i].lost);
    }
    free(books.streams);
    buffer_release(&books.line);
    return code;
}

const struct ctl_command cmd_journal = {
    .name = "journal",
    .usage = "ls|dump|verify [--json] FOLDER",
    .summary = "tells what is in a journal, and whether it is whole",
    .help =
        "\n"
        "Reads the journal of an edge or a centre that is not running; changes nothing.\n"
        "  ls      a line per epoch and stream: first and last sequence, records, samples, bytes\n"
        "  dump    one record a line, as it was received; --json wraps it with sender and times\n"
        "  verify  every record's checksum, and that whatever is missing has a loss record\n"
        "\n"
        "A record that was being written when the power failed shows as damage until the program\n"
        "has started again. Space that was reused in the middle of a stream, after the centre\n"
        "received what was there, shows as missing.\n"
        "\n"
        "Exit codes: 0 good, 1 something is damaged or missing, 2 it cannot be read.",
    .run = run,
};
