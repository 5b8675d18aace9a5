#include "central/sources.h"

#include "base/crc32c.h"
#include "base/numbers.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Design notes
 *
 * The saved form is text, a fact a line, words separated by one blank:
 *   chengmai-sources 1
 *   source NAME
 *   birth HASH
 *   epoch HEX TOTAL POINTS LOST
 *   have STREAM LAST FIRST-LAST FIRST-LAST …
 *   tip STREAM SEQ CRC32C
 *   loss STREAM FIRST LAST FROM TO POINTS CAUSE
 * Lines belong to the source and the epoch above them. A state that cannot be read is told by
 * sources_restore; the journal then restores from an older header.
 */

#define SAVED_FIRST_LINE "chengmai-sources 1"
#define RANGES_MAX       100000
#define LINE_MAX_BYTES   (4 * 1024 * 1024)

void sources_init(struct sources *sources)
{
    *sources = (struct sources){0};
}

static void release_epoch(struct source_epoch *epoch)
{
    for (int stream = 0; stream < STREAM_COUNT; stream++)
        intervals_release(&epoch->received[stream]);
    free(epoch->losses);
}

static void free_source(struct source *source)
{
    for (size_t i = 0; i < source->epoch_count; i++)
        release_epoch(&source->epochs[i]);
    free(source->epochs);
    free(source->births);
    free(source);
}

void sources_release(struct sources *sources)
{
    for (size_t i = 0; i < sources->count; i++)
        free_source(sources->list[i]);
    free(sources->list);
    sources_init(sources);
}

struct source *sources_find(const struct sources *sources, const char *name)
{
    for (size_t i = 0; i < sources->count; i++)
        if (strcmp(sources->list[i]->name, name) == 0)
            return sources->list[i];
    return NULL;
}

struct source_epoch *source_find_epoch(const struct source *source, const char *epoch)
{
    for (size_t i = source->epoch_count; i-- > 0;)
        if (strcmp(source->epochs[i].epoch, epoch) == 0)
            return &source->epochs[i];
    return NULL;
}

static int add_source(struct sources *sources, const char *name, struct source **ret_source)
{
    if (sources->count == SOURCES_MAX)
        return ERR_FULL;
    struct source **list = realloc(sources->list, (sources->count + 1) * sizeof(*list));
    if (!list)
        return ERR_NO_MEMORY;
    sources->list = list;
    struct source *source = calloc(1, sizeof(*source));
    if (!source)
        return ERR_NO_MEMORY;
    source->epochs = calloc(SOURCE_EPOCHS_MAX, sizeof(*source->epochs));
    source->births = calloc(SOURCE_BIRTHS_MAX, sizeof(*source->births));
    if (!source->epochs || !source->births || text_copy(source->name, sizeof(source->name), name)) {
        free_source(source);
        return ERR_NO_MEMORY;
    }
    list[sources->count++] = source;
    *ret_source = source;
    return 0;
}

static struct source_epoch *add_epoch(struct source *source, const char *name)
{
    if (source->epoch_count == SOURCE_EPOCHS_MAX) {
        release_epoch(&source->epochs[0]);
        source->epoch_count--;
        memmove(source->epochs, source->epochs + 1, source->epoch_count * sizeof(*source->epochs));
    }
    struct source_epoch *epoch = &source->epochs[source->epoch_count++];
    *epoch = (struct source_epoch){0};
    (void)!text_copy(epoch->epoch, sizeof(epoch->epoch), name);
    for (int stream = 0; stream < STREAM_COUNT; stream++)
        intervals_init(&epoch->received[stream], RANGES_MAX);
    return epoch;
}

int sources_open(struct sources *sources, const char *name, const char *epoch,
                 struct source **ret_source, struct source_epoch **ret_epoch)
{
    struct source *source = sources_find(sources, name);
    int err = source ? 0 : add_source(sources, name, &source);
    if (err)
        return err;
    struct source_epoch *found = source_find_epoch(source, epoch);
    *ret_source = source;
    *ret_epoch = found ? found : add_epoch(source, epoch);
    return 0;
}

bool source_knows_birth(const struct source *source, const char birth[BIRTH_SIZE])
{
    for (size_t i = source->birth_count; i-- > 0;)
        if (strcmp(source->births[i], birth) == 0)
            return true;
    return false;
}

static void add_birth(struct source *source, const char birth[BIRTH_SIZE])
{
    if (source_knows_birth(source, birth))
        return;
    if (source->birth_count == SOURCE_BIRTHS_MAX) {
        source->birth_count--;
        memmove(source->births, source->births + 1, source->birth_count * BIRTH_SIZE);
    }
    memcpy(source->births[source->birth_count++], birth, BIRTH_SIZE);
}

/* ---- losses ---- */

static bool touches(const struct record_loss *a, const struct record_loss *b)
{
    return a->of == b->of && strcmp(a->cause, b->cause) == 0 && a->last + 1 == b->first;
}

static void extend(struct record_loss *loss, const struct record_loss *by)
{
    loss->last = by->last;
    loss->to_ms = by->to_ms;
    loss->points += by->points;
}

/* Merges the two neighbours of one stream and cause that lie closest: the ledger grows coarser,
 * never shorter. */
static bool merge_losses(struct source_epoch *epoch)
{
    for (size_t i = 0; i + 1 < epoch->loss_count; i++) {
        struct record_loss *loss = &epoch->losses[i];
        if (loss->of != loss[1].of || strcmp(loss->cause, loss[1].cause) != 0)
            continue;
        extend(loss, &loss[1]);
        epoch->loss_count--;
        memmove(loss + 1, loss + 2, (epoch->loss_count - i - 1) * sizeof(*loss));
        return true;
    }
    return false;
}

static int add_loss(struct source_epoch *epoch, const struct record_loss *told)
{
    /* The cause is the edge's word, and one word of a line in our saved state. */
    struct record_loss copy = *told, *loss = &copy;
    if (!text_is_name(copy.cause))
        (void)!text_copy(copy.cause, sizeof(copy.cause), "unknown");
    if (epoch->loss_count && touches(&epoch->losses[epoch->loss_count - 1], loss)) {
        extend(&epoch->losses[epoch->loss_count - 1], loss);
        return 0;
    }
    if (epoch->loss_count == LOSSES_MAX && !merge_losses(epoch))
        return ERR_FULL;
    struct record_loss *losses =
        realloc(epoch->losses, (epoch->loss_count + 1) * sizeof(*epoch->losses));
    if (!losses)
        return ERR_NO_MEMORY;
    epoch->losses = losses;
    losses[epoch->loss_count++] = *loss;
    return 0;
}

/* A loss of a range counts it as received; its samples are the ledger's. */
static int book_loss(struct source_epoch *epoch, const struct record_loss *loss)
{
    /* What the numbers stand for here is another matter: nothing is received with it. */
    if (loss->other) {
        int err = add_loss(epoch, loss);
        epoch->lost_points += err ? 0 : loss->points;
        return err;
    }
    /* A range that was told before (an edge that restarted tells it again) is booked once. */
    if (loss->first > loss->last ||
        intervals_contain_all(&epoch->received[loss->of], loss->first, loss->last))
        return 0;
    int err = add_loss(epoch, loss);
    if (!err)
        err = intervals_add(&epoch->received[loss->of], loss->first, loss->last);
    if (!err)
        epoch->lost_points += loss->points;
    return err;
}

/* The epoch whose sequences a loss names: its own, or one that ended before it. */
static const char *epoch_of_loss(const struct record *record)
{
    return record->loss.epoch[0] ? record->loss.epoch : record->head.epoch;
}

/* Both epochs that a record may name are there after, unless the one that ended is the oldest and
 * had to go for the present one: then `ret_of` is NULL. */
static int open_epochs(struct sources *sources, const char *name, const struct record *record,
                       struct source **ret_source, struct source_epoch **ret_epoch,
                       struct source_epoch **ret_of)
{
    int err = 0;
    *ret_of = NULL;
    if (record->head.kind == RECORD_LOSS)
        err = sources_open(sources, name, epoch_of_loss(record), ret_source, ret_epoch);
    if (!err)
        err = sources_open(sources, name, record->head.epoch, ret_source, ret_epoch);
    if (!err && record->head.kind == RECORD_LOSS)
        *ret_of = source_find_epoch(*ret_source, epoch_of_loss(record));
    return err;
}

/* ---- booking ---- */

/* What was recorded anew is no hole any more where it was recorded first. Its samples count where
 * they came. */
static void book_origin(const struct source *source, const struct record *record)
{
    const struct record_was *was = &record->was;
    struct source_epoch *epoch = was->epoch[0] ? source_find_epoch(source, was->epoch) : NULL;
    if (epoch && was->seq && !was->other)
        /* A set that is full keeps the hole: a gap too many on the ledger, none too few. */
        (void)!intervals_add(&epoch->received[record->head.stream], was->seq, was->seq);
}

static int book_sequence(struct source_epoch *epoch, const struct record_head *head)
{
    int err = intervals_add(&epoch->received[head->stream], head->seq, head->seq);
    if (!err && head->seq > epoch->last[head->stream])
        epoch->last[head->stream] = head->seq;
    return err;
}

int sources_book(struct sources *sources, const char *name, const struct record *record,
                 const char *payload, size_t len)
{
    struct source *source;
    struct source_epoch *epoch, *of;
    const struct record_head *head = &record->head;
    int err = open_epochs(sources, name, record, &source, &epoch, &of);
    if (err)
        return err;
    /* A birth that had been forgotten comes a second time: its facts are booked only once. */
    bool seen = intervals_contain(&epoch->received[head->stream], head->seq);
    if (!seen && of)
        err = book_loss(of, &record->loss);
    if (!err)
        err = book_sequence(epoch, head);
    if (err)
        return err;
    book_origin(source, record);
    bool unreadable = head->kind == RECORD_LOSS && record->loss.of == head->stream &&
                      record->loss.first == head->seq;
    if (head->seq > epoch->tip[head->stream] && !unreadable) {
        epoch->tip[head->stream] = head->seq;
        epoch->tip_sum[head->stream] = crc32c(0, payload, len);
    }
    if (head->kind == RECORD_BIRTH) {
        char birth[BIRTH_SIZE];
        record_birth_id(payload, len, birth);
        add_birth(source, birth);
    }
    if (!seen && head->kind == RECORD_DATA) {
        epoch->points += record->sample_count + record->held;
        if (record->total > epoch->total)
            epoch->total = record->total;
    }
    return 0;
}

/* Can first..last be added? A set that is full of ranges still takes what lies in one of them, or
 * beside it: only so does it ever become smaller. */
static bool has_place(const struct intervals *set, uint64_t first, uint64_t last)
{
    struct interval hole;
    if (set->count < RANGES_MAX || !intervals_next_hole(set, first, last, &hole))
        return true;
    return hole.first != first || hole.last != last || intervals_contain(set, first - 1) ||
           intervals_contain(set, last + 1);
}

int sources_admit(struct sources *sources, const char *name, const struct record *record)
{
    struct source *source;
    struct source_epoch *epoch, *of;
    int err = open_epochs(sources, name, record, &source, &epoch, &of);
    if (err)
        return err;
    if (!has_place(&epoch->received[record->head.stream], record->head.seq, record->head.seq))
        return ERR_FULL;
    if (of && (!has_place(&of->received[record->loss.of], record->loss.first, record->loss.last) ||
               (of->loss_count == LOSSES_MAX && !merge_losses(of))))
        return ERR_FULL;
    return 0;
}

/* ---- kept in the journal ---- */

static void save_epoch(const struct source_epoch *epoch, struct buffer *out)
{
    buffer_printf(out, "epoch %s %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", epoch->epoch, epoch->total,
                  epoch->points, epoch->lost_points);
    for (int stream = 0; stream < STREAM_COUNT; stream++) {
        const struct intervals *received = &epoch->received[stream];
        buffer_printf(out, "have %c %" PRIu64, stream_letter((enum stream)stream),
                      epoch->last[stream]);
        for (size_t i = 0; i < received->count; i++)
            buffer_printf(out, " %" PRIu64 "-%" PRIu64, received->ranges[i].first,
                          received->ranges[i].last);
        buffer_append_char(out, '\n');
        if (epoch->tip[stream])
            buffer_printf(out, "tip %c %" PRIu64 " %" PRIu32 "\n",
                          stream_letter((enum stream)stream), epoch->tip[stream],
                          epoch->tip_sum[stream]);
    }
    for (size_t i = 0; i < epoch->loss_count; i++) {
        const struct record_loss *loss = &epoch->losses[i];
        buffer_printf(out,
                      "loss %c %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 " %" PRIu64 " %s\n",
                      stream_letter(loss->of), loss->first, loss->last, loss->from_ms, loss->to_ms,
                      loss->points, loss->cause);
    }
}

void sources_save(void *self, int stream, struct buffer *out)
{
    (void)stream;
    const struct sources *sources = self;
    buffer_append_text(out, SAVED_FIRST_LINE "\n");
    for (size_t i = 0; i < sources->count; i++) {
        const struct source *source = sources->list[i];
        buffer_printf(out, "source %s\n", source->name);
        for (size_t n = 0; n < source->birth_count; n++)
            buffer_printf(out, "birth %s\n", source->births[n]);
        for (size_t n = 0; n < source->epoch_count; n++)
            save_epoch(&source->epochs[n], out);
    }
}

/* Where the lines read so far belong. */
struct restoring {
    struct sources *sources;
    struct source *source;
    struct source_epoch *epoch;
};

/* Cuts the next word off `*rest`; NULL at the end. */
static char *next_word(char **rest)
{
    char *word = *rest;
    if (!word || !*word)
        return NULL;
    char *blank = strchr(word, ' ');
    *rest = blank ? blank + 1 : NULL;
    if (blank)
        *blank = '\0';
    return word;
}

static int next_u64(char **rest, uint64_t *ret_value)
{
    const char *word = next_word(rest);
    return word ? parse_u64(word, 0, UINT64_MAX, ret_value) : ERR_INVALID;
}

static int next_i64(char **rest, int64_t *ret_value)
{
    const char *word = next_word(rest);
    return word ? parse_i64(word, INT64_MIN, INT64_MAX, ret_value) : ERR_INVALID;
}

static int next_stream(char **rest, enum stream *ret_stream)
{
    *ret_stream = stream_from_text(next_word(rest));
    return *ret_stream == STREAM_COUNT ? ERR_INVALID : 0;
}

static int restore_epoch(struct restoring *at, char *rest)
{
    const char *name = next_word(&rest);
    if (!at->source || !name || strlen(name) != EPOCH_SIZE - 1)
        return ERR_INVALID;
    at->epoch = add_epoch(at->source, name);
    int err = next_u64(&rest, &at->epoch->total);
    if (!err)
        err = next_u64(&rest, &at->epoch->points);
    return err ? err : next_u64(&rest, &at->epoch->lost_points);
}

static int restore_have(struct restoring *at, char *rest)
{
    enum stream stream;
    if (!at->epoch || next_stream(&rest, &stream) || next_u64(&rest, &at->epoch->last[stream]))
        return ERR_INVALID;
    for (char *word; (word = next_word(&rest));) {
        char *dash = strchr(word, '-');
        uint64_t first, last;
        if (!dash)
            return ERR_INVALID;
        *dash = '\0';
        if (parse_u64(word, 1, UINT64_MAX - 1, &first) ||
            parse_u64(dash + 1, first, UINT64_MAX - 1, &last))
            return ERR_INVALID;
        int err = intervals_add(&at->epoch->received[stream], first, last);
        if (err)
            return err;
    }
    return 0;
}

static int restore_tip(struct restoring *at, char *rest)
{
    enum stream stream;
    uint64_t seq, sum;
    if (!at->epoch || next_stream(&rest, &stream) || next_u64(&rest, &seq) ||
        next_u64(&rest, &sum) || sum > UINT32_MAX)
        return ERR_INVALID;
    at->epoch->tip[stream] = seq;
    at->epoch->tip_sum[stream] = (uint32_t)sum;
    return 0;
}

static int restore_loss(struct restoring *at, char *rest)
{
    struct record_loss loss = {0};
    if (!at->epoch || next_stream(&rest, &loss.of) || next_u64(&rest, &loss.first) ||
        next_u64(&rest, &loss.last) || next_i64(&rest, &loss.from_ms) ||
        next_i64(&rest, &loss.to_ms) || next_u64(&rest, &loss.points))
        return ERR_INVALID;
    const char *cause = next_word(&rest);
    if (!cause || text_copy(loss.cause, sizeof(loss.cause), cause))
        return ERR_INVALID;
    return add_loss(at->epoch, &loss);
}

static int restore_line(struct restoring *at, char *line)
{
    char *rest = line;
    const char *what = next_word(&rest);
    if (!what)
        return ERR_INVALID;
    if (strcmp(what, "source") == 0) {
        const char *name = next_word(&rest);
        at->epoch = NULL;
        return name ? add_source(at->sources, name, &at->source) : ERR_INVALID;
    }
    if (strcmp(what, "birth") == 0) {
        const char *birth = next_word(&rest);
        if (!at->source || !birth || strlen(birth) != BIRTH_SIZE - 1)
            return ERR_INVALID;
        add_birth(at->source, birth);
        return 0;
    }
    if (strcmp(what, "epoch") == 0)
        return restore_epoch(at, rest);
    if (strcmp(what, "have") == 0)
        return restore_have(at, rest);
    if (strcmp(what, "tip") == 0)
        return restore_tip(at, rest);
    return strcmp(what, "loss") == 0 ? restore_loss(at, rest) : ERR_INVALID;
}

int sources_restore(void *self, int stream, const void *state, size_t len)
{
    (void)stream;
    struct sources *sources = self;
    sources_release(sources);
    if (!len)
        return 0;
    if (len > LINE_MAX_BYTES)
        return ERR_FULL;
    char *text = strndup(state, len);
    if (!text)
        return ERR_NO_MEMORY;
    struct restoring at = {.sources = sources};
    char *line = text;
    char *end = strchr(line, '\n');
    int err = 0;
    if (end)
        *end = '\0';
    if (strcmp(line, SAVED_FIRST_LINE) != 0)
        err = ERR_INVALID;
    while (!err && end && end[1]) {
        line = end + 1;
        end = strchr(line, '\n');
        if (end)
            *end = '\0';
        err = restore_line(&at, line);
    }
    free(text);
    if (err)
        sources_release(sources);
    return err;
}

int sources_replay(void *self, const struct journal_frame *frame)
{
    struct sources *sources = self;
    if (!frame->origin[0])
        return 0; /* the centre's own start and tick: nothing to deduplicate */
    struct record record;
    int err = record_parse(frame->payload, frame->len, &record, NULL);
    if (err)
        return err;
    err = sources_book(sources, frame->origin, &record, frame->payload, frame->len);
    record_release(&record);
    return err;
}
