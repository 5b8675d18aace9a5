#include "base/crc32c.h"
#include "base/json.h"
#include "model/receipt.h"
#include "model/record.h"
#include "tests/world/oracle.h"
#include "tests/world/world.h"

#include <stdlib.h>
#include <string.h>

#define AWAY_US    (60 * (int64_t)US_PER_S) /* by then the centre must say so */
#define BACK_US    (60 * (int64_t)US_PER_S)
#define JSON_LIMIT (1024 * 1024)

void oracle_centre_opened(struct world *world)
{
    struct oracle *oracle = &world->oracle;
    if (journal_reader_open(world->centre.journal, 0, oracle->position + 1, &oracle->central))
        abort();
    oracle_centre_look(world);
    if (oracle->position < oracle->restored_to)
        world_fail(world, "the restored central journal has %llu records, and had %llu",
                   (unsigned long long)oracle->position, (unsigned long long)oracle->restored_to);
    oracle->restored_to = 0;
}

void oracle_centre_ends(struct world *world)
{
    oracle_hear(world);
    journal_reader_close(world->oracle.central);
    world->oracle.central = NULL;
}

/* ---- the central journal ---- */

/* How many samples of the range, not told of before, the edge is known to have recorded. */
static uint64_t recorded_in(const struct oracle_edge *edge, int epoch,
                            const struct record_loss *loss)
{
    uint64_t count = 0;
    for (size_t i = 0; i < edge->count; i++)
        for (unsigned n = 0; n < edge->truth[i].place_count; n++) {
            const struct place *place = &edge->truth[i].places[n];
            count += place->epoch == epoch && place->stream == loss->of &&
                     loss->first <= place->seq && place->seq <= loss->last &&
                     !intervals_contain(&edge->lost[epoch][loss->of], place->seq);
        }
    return count;
}

/* A loss tells how many samples went with it: exactly, where no disk was spoiled or replaced; there
 * it may speak of samples that are told of elsewhere too. Of a write that a power cut tore, what
 * stands behind the gap tells how many samples never became durable. */
static void check_loss_points(struct world *world, int index, int epoch,
                              const struct record_loss *loss)
{
    const struct oracle_edge *edge = &world->oracle.edges[index];
    uint64_t count = recorded_in(edge, epoch, loss);
    bool torn = strcmp(loss->cause, "damage") == 0 && count == 0;
    bool exact = oracle_is_plain(world, index) && !torn;
    if (exact ? loss->points != count : loss->points > edge->count)
        world_fail(world,
                   "%s tells that %llu samples were lost with %c %llu..%llu: there were %llu",
                   world->edges[index].name, (unsigned long long)loss->points,
                   stream_letter(loss->of), (unsigned long long)loss->first,
                   (unsigned long long)loss->last, (unsigned long long)count);
}

/* Numbers that were reserved and never used are no loss of a sample, unless they had been used and
 * spoiled. */
static void note_lost(struct oracle_edge *edge, int epoch, const struct record_loss *loss)
{
    struct intervals *lost = &edge->lost[epoch][loss->of];
    int err = 0;
    if (strcmp(loss->cause, "restart") != 0)
        err = intervals_add(lost, loss->first, loss->last);
    else
        for (uint64_t seq = loss->first; !err && seq <= loss->last; seq++)
            if (intervals_contain(&edge->spoiled[epoch][loss->of], seq))
                err = intervals_add(lost, seq, seq);
    if (err)
        abort();
}

/* Of what is known already, one way or the other, a loss tells nothing. */
static void note_loss(struct world *world, int index, const struct record *record)
{
    struct oracle_edge *edge = &world->oracle.edges[index];
    const struct record_loss *loss = &record->loss;
    int epoch = oracle_epoch(edge, loss->epoch[0] ? loss->epoch : record->head.epoch);
    if (epoch < 0) {
        world_fail(world, "%s tells of a loss in an epoch that never began",
                   world->edges[index].name);
        return;
    }
    edge->at_centre[epoch] = true;
    if (loss->first > loss->last ||
        (!loss->other &&
         intervals_contain_all(&edge->have[epoch][loss->of], loss->first, loss->last)))
        return;
    check_loss_points(world, index, epoch, loss);
    edge->lost_points[epoch] += loss->points;
    note_lost(edge, epoch, loss);
    if (!loss->other && intervals_add(&edge->have[epoch][loss->of], loss->first, loss->last))
        abort();
}

/* What was recorded anew is there no hole any more where it was recorded first. */
static void note_origin(struct oracle_edge *edge, const struct record *record)
{
    const struct record_was *was = &record->was;
    int epoch = was->epoch[0] ? oracle_epoch(edge, was->epoch) : -1;
    if (epoch >= 0 && edge->at_centre[epoch] && was->seq && !was->other &&
        intervals_add(&edge->have[epoch][record->head.stream], was->seq, was->seq))
        abort();
}

/* Is it, under its number, what the edge recorded? Numbers that a disk used which was replaced may
 * stand for something else by now. */
static void compare_with_edge(struct world *world, int index, int epoch, uint64_t key,
                              const struct record_head *head, uint32_t crc)
{
    const struct oracle_edge *edge = &world->oracle.edges[index];
    const struct known *appended = oracle_find(&edge->appended, key);
    if (head->seq > edge->unique[epoch][head->stream] || (!appended && edge->restores))
        return;
    if (!appended || appended->crc != crc)
        world_fail(world, "%s: %c %llu %s", world->edges[index].name, stream_letter(head->stream),
                   (unsigned long long)head->seq,
                   appended ? "came with other contents than it was sent with"
                            : "came, and was never recorded");
}

static void note_edge_record(struct world *world, int index, const struct record *record,
                             const struct journal_frame *frame)
{
    struct oracle *oracle = &world->oracle;
    struct oracle_edge *edge = &oracle->edges[index];
    const struct record_head *head = &record->head;
    int epoch = oracle_epoch(edge, head->epoch);
    uint64_t key = oracle_key(index, epoch, head->stream, head->seq);
    uint32_t crc = crc32c(0, frame->payload, frame->len);
    if (epoch < 0) {
        world_fail(world, "%s: the centre has a record of an epoch that never began",
                   frame->origin);
        return;
    }
    struct known *known = oracle_know(&oracle->journaled, key);
    if (known->crc)
        world_fail(world, "%s: %c %llu is in the central journal twice%s", frame->origin,
                   stream_letter(head->stream), (unsigned long long)head->seq,
                   known->crc != crc ? ", with two contents" : "");
    known->crc = crc;
    compare_with_edge(world, index, epoch, key, head, crc);
    edge->at_centre[epoch] = true;
    if (head->kind == RECORD_LOSS)
        note_loss(world, index, record);
    note_origin(edge, record);
    if (head->kind == RECORD_DATA)
        edge->arrived[epoch] += record->sample_count;
    if (intervals_add(&edge->have[epoch][head->stream], head->seq, head->seq))
        abort();
}

static void note_frame(struct world *world, const struct journal_frame *frame)
{
    struct oracle *oracle = &world->oracle;
    struct record record;
    struct known *known = oracle_know(&oracle->positions, oracle_position_key(frame->seq));
    oracle->position = frame->seq;
    known->crc = crc32c(0, frame->payload, frame->len);
    known->at_us = world->now_us;
    if (record_parse(frame->payload, frame->len, &record, NULL)) {
        world_fail(world, "record %llu of the central journal cannot be read",
                   (unsigned long long)frame->seq);
        return;
    }
    int edge = oracle_edge_of(frame->origin);
    if (edge >= 0)
        note_edge_record(world, edge, &record, frame);
    if (record.head.kind == RECORD_ACTION)
        oracle_act_journaled(world, &record.action);
    record_release(&record);
}

void oracle_centre_look(struct world *world)
{
    struct centre_node *centre = &world->centre;
    struct machine_faults faults;
    struct journal_frame frame;
    oracle_hear(world);
    if (!world->oracle.central || centre->machine.disk.dead ||
        journal_durable(centre->journal, 0) <= world->oracle.position)
        return;
    machine_look(&centre->machine, &faults);
    while (!world->failed && !journal_reader_next(world->oracle.central, &frame, NULL))
        note_frame(world, &frame);
    machine_look_end(&centre->machine, &faults);
}

/* ---- receipts ---- */

static bool is_durable(struct world *world, int index, const struct receipt *receipt, int stream)
{
    struct oracle_edge *edge = &world->oracle.edges[index];
    const struct receipt_stream *said = &receipt->streams[stream];
    int epoch = oracle_epoch(edge, receipt->epoch);
    if (epoch < 0)
        return !said->through && !said->also_count;
    const struct intervals *have = &edge->have[epoch][stream];
    bool all = !said->through || intervals_contain_all(have, 1, said->through);
    for (size_t i = 0; all && i < said->also_count; i++)
        all = intervals_contain_all(have, said->also[i].first, said->also[i].last);
    return all;
}

void oracle_centre_says(struct world *world, const char *topic, const void *payload, size_t len)
{
    enum topic_kind kind;
    char name[65];
    struct receipt receipt;
    if (topic_parse(topic, &kind, name) || kind != TOPIC_RECEIPT)
        return;
    int index = oracle_edge_of(name);
    if (index < 0 || world->centre.machine.disk.dead)
        return;
    oracle_centre_look(world);
    if (receipt_parse(payload, len, &receipt, NULL)) {
        world_fail(world, "a receipt for %s cannot be read", name);
        return;
    }
    for (int stream = 0; stream < STREAM_COUNT; stream++)
        if (receipt.streams[stream].present && !is_durable(world, index, &receipt, stream))
            world_fail(world, "a receipt for %s tells of records in %c that are not durable", name,
                       stream_letter((enum stream)stream));
}

/* ---- presence ---- */

void oracle_note_away(struct world *world, int index)
{
    int64_t *away_us = &world->oracle.edges[index].away_us;
    const struct broker_client *client = &world->broker.clients[index];
    bool away = !world->edges[index].machine.running || !client->connected || client->cut_up;
    if (!away)
        *away_us = NEVER;
    else if (*away_us == NEVER)
        *away_us = world->now_us;
}

static void check_edge(struct world *world, const struct json *edge)
{
    int index = oracle_edge_of(json_get_text(json_member(edge, "edge")));
    const char *state = json_get_text(json_member(edge, "state"));
    if (index < 0)
        return;
    int64_t away_us = world->oracle.edges[index].away_us;
    bool late_line = world->broker.delay_us > US_PER_S;
    if (strcmp(state, "up") == 0 && away_us != NEVER && !late_line &&
        world->now_us - away_us > AWAY_US)
        world_fail(world, "%s is said to be up, and has been away for %lld s",
                   world->edges[index].name, (long long)((world->now_us - away_us) / US_PER_S));
    if (strcmp(state, "up") != 0 && world->now_us > WORLD_US - QUIET_US / 2)
        world_fail(world, "%s is said to be %s long after all is well", world->edges[index].name,
                   state);
}

void oracle_look_at_presence(struct world *world)
{
    const struct centre_node *centre = &world->centre;
    struct json_document *document = NULL;
    struct buffer out;
    if (!centre->connected || world->now_us - centre->connected_us < BACK_US)
        return;
    buffer_init(&out, JSON_LIMIT);
    ingest_write_edges(centre->ingest, machine_now(&centre->machine, world->now_us), &out);
    if (json_parse(out.data, out.len, &document, NULL)) {
        world_fail(world, "the document of the edges cannot be read");
    } else {
        const struct json *edge = json_first(json_member(json_root(document), "edges"));
        for (; edge; edge = json_next(edge))
            check_edge(world, edge);
        json_free(document);
    }
    buffer_release(&out);
}
