#include "central/presence.h"

#include "base/json.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define HOLES_SHOWN 1000 /* of one stream; the count tells how many there are */

void presence_init(struct presence *presence)
{
    *presence = (struct presence){0};
}

void presence_release(struct presence *presence)
{
    for (size_t i = 0; i < presence->count; i++)
        free(presence->edges[i].stats);
    free(presence->edges);
    presence_init(presence);
}

static struct edge_presence *find_or_add(struct presence *presence, const char *edge)
{
    for (size_t i = 0; i < presence->count; i++)
        if (strcmp(presence->edges[i].edge, edge) == 0)
            return &presence->edges[i];
    if (presence->count == SOURCES_MAX)
        return NULL;
    struct edge_presence *edges = realloc(presence->edges, (presence->count + 1) * sizeof(*edges));
    if (!edges)
        return NULL;
    presence->edges = edges;
    struct edge_presence *added = &edges[presence->count];
    *added = (struct edge_presence){.receipt_due_us = NEVER};
    if (text_copy(added->edge, sizeof(added->edge), edge))
        return NULL;
    presence->count++;
    return added;
}

void presence_take_state(struct presence *presence, struct now now, const struct edge_state *state)
{
    struct edge_presence *edge = find_or_add(presence, state->edge);
    if (!edge)
        return;
    edge->state = *state;
    edge->seen_us = now.mono_us;
    edge->seen_ms = now.wall_ms;
    if (state->up)
        presence_owe_receipt(presence, state->edge, state->epoch, now.mono_us);
}

void presence_take_stats(struct presence *presence, struct now now, const char *name,
                         const void *stats, size_t len)
{
    struct edge_presence *edge = find_or_add(presence, name);
    struct json_document *document = NULL;
    if (!edge || len > PRESENCE_STATS_MAX || json_parse(stats, len, &document, NULL))
        return; /* health that cannot be read is shown as old */
    bool object = json_type(json_root(document)) == JSON_OBJECT;
    json_free(document);
    char *copy = object ? strndup(stats, len) : NULL;
    if (!copy)
        return;
    free(edge->stats);
    edge->stats = copy;
    edge->stats_len = len;
    edge->seen_us = now.mono_us;
    edge->seen_ms = now.wall_ms;
}

void presence_owe_receipt(struct presence *presence, const char *name, const char *epoch,
                          int64_t due_us)
{
    struct edge_presence *edge = find_or_add(presence, name);
    if (!edge)
        return;
    if (strcmp(edge->receipt_epoch, epoch) != 0) {
        (void)!text_copy(edge->receipt_epoch, sizeof(edge->receipt_epoch), epoch);
        edge->receipt_due_us = NEVER;
    }
    if (due_us < edge->receipt_due_us)
        edge->receipt_due_us = due_us;
}

/* What the source is known to have made durable in a stream. */
static uint64_t last_of(const struct edge_presence *edge, const struct source_epoch *epoch,
                        int stream)
{
    uint64_t last = intervals_max(&epoch->received[stream]);
    if (edge && strcmp(edge->state.epoch, epoch->epoch) == 0 && edge->state.last[stream] > last)
        last = edge->state.last[stream];
    return last;
}

static uint64_t missing_of(const struct edge_presence *edge, const struct source_epoch *epoch)
{
    uint64_t missing = 0;
    for (int stream = 0; stream < STREAM_COUNT; stream++)
        missing += last_of(edge, epoch, stream) - intervals_size(&epoch->received[stream]);
    return missing;
}

static void write_time(struct json_writer *json, const char *key, int64_t wall_ms)
{
    char text[TIME_TEXT_SIZE];
    json_key(json, key);
    time_format_utc(wall_ms, text);
    json_text(json, wall_ms ? text : NULL);
}

static void write_edge(struct json_writer *json, const struct edge_presence *edge,
                       const struct source *source, struct now now)
{
    bool silent = !edge->seen_us || now.mono_us - edge->seen_us > PRESENCE_SILENT_US;
    json_begin_object(json);
    json_key(json, "edge");
    json_text(json, edge->edge);
    json_key(json, "site");
    json_text(json, edge->state.site);
    json_key(json, "state");
    json_text(json, edge->state.up ? silent ? "silent" : "up" : "down");
    write_time(json, "seen", edge->seen_ms);
    json_key(json, "epoch");
    json_text(json, edge->state.epoch);
    const struct source_epoch *epoch = source ? source_find_epoch(source, edge->state.epoch) : NULL;
    json_key(json, "records_missing");
    json_u64(json, epoch ? missing_of(edge, epoch) : 0);
    json_key(json, "samples_appended");
    json_u64(json, edge->state.total);
    json_key(json, "samples_received");
    json_u64(json, epoch ? epoch->points : 0);
    json_key(json, "samples_lost");
    json_u64(json, epoch ? epoch->lost_points : 0);
    json_key(json, "stats");
    if (edge->stats)
        json_raw(json, edge->stats, edge->stats_len);
    else
        json_null(json);
    json_end_object(json);
}

void presence_write_edges(const struct presence *presence, const struct sources *sources,
                          struct now now, struct buffer *out)
{
    struct json_writer json;
    json_writer_init(&json, out);
    json_begin_object(&json);
    json_key(&json, "edges");
    json_begin_array(&json);
    for (size_t i = 0; i < presence->count; i++)
        if (presence->edges[i].edge[0] != '@')
            write_edge(&json, &presence->edges[i], sources_find(sources, presence->edges[i].edge),
                       now);
    json_end_array(&json);
    json_end_object(&json);
}

/* ---- the gap ledger ---- */

struct gap {
    const char *edge, *epoch;
    enum stream stream;
    uint64_t first, last;
    int64_t from_ms, to_ms; /* 0: not known */
    uint64_t points;
    const char *cause;
    bool open; /* may still be filled */
};

static void write_gap(struct json_writer *json, const struct gap *gap)
{
    const char letter[] = {stream_letter(gap->stream), '\0'};
    json_begin_object(json);
    json_key(json, "edge");
    json_text(json, gap->edge);
    json_key(json, "epoch");
    json_text(json, gap->epoch);
    json_key(json, "stream");
    json_text(json, letter);
    json_key(json, "first");
    json_u64(json, gap->first);
    json_key(json, "last");
    json_u64(json, gap->last);
    write_time(json, "from", gap->from_ms);
    write_time(json, "to", gap->to_ms);
    json_key(json, "points");
    json_u64(json, gap->points);
    json_key(json, "cause");
    json_text(json, gap->cause);
    json_key(json, "open");
    json_bool(json, gap->open);
    json_end_object(json);
}

static void write_epoch_gaps(struct json_writer *json, const struct edge_presence *edge,
                             const char *name, const struct source_epoch *epoch)
{
    for (int stream = 0; stream < STREAM_COUNT; stream++) {
        uint64_t last = last_of(edge, epoch, stream);
        struct interval hole;
        uint64_t from = 1;
        for (size_t n = 0; n < HOLES_SHOWN && from <= last; n++, from = hole.last + 1) {
            if (!intervals_next_hole(&epoch->received[stream], from, last, &hole))
                break;
            struct gap gap = {.edge = name,
                              .epoch = epoch->epoch,
                              .stream = (enum stream)stream,
                              .first = hole.first,
                              .last = hole.last,
                              .cause = "on_the_way",
                              .open = true};
            write_gap(json, &gap);
        }
    }
    for (size_t i = 0; i < epoch->loss_count; i++) {
        const struct record_loss *loss = &epoch->losses[i];
        struct gap gap = {name,          epoch->epoch, loss->of,     loss->first, loss->last,
                          loss->from_ms, loss->to_ms,  loss->points, loss->cause, false};
        write_gap(json, &gap);
    }
}

void presence_write_gaps(const struct presence *presence, const struct sources *sources,
                         struct buffer *out)
{
    struct json_writer json;
    json_writer_init(&json, out);
    json_begin_object(&json);
    json_key(&json, "gaps");
    json_begin_array(&json);
    for (size_t i = 0; i < sources->count; i++) {
        const struct source *source = sources->list[i];
        const struct edge_presence *edge = NULL;
        for (size_t n = 0; n < presence->count; n++)
            if (strcmp(presence->edges[n].edge, source->name) == 0)
                edge = &presence->edges[n];
        for (size_t n = 0; source->name[0] != '@' && n < source->epoch_count; n++)
            write_epoch_gaps(&json, edge, source->name, &source->epochs[n]);
    }
    json_end_array(&json);
    json_end_object(&json);
}
