#include "base/crc32c.h"
#include "store/history_read.h"
#include "tests/world/oracle.h"
#include "tests/world/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 500

/* ---- drained ---- */

/* Records that lie on the edge's disk and have no receipt. Numbers that no segment holds are told
 * of by loss records, which a restored centre may have forgotten and the edge may have freed. */
static uint64_t owed(const struct edge_node *edge)
{
    struct intervals received;
    uint64_t count = 0;
    intervals_init(&received, 100000);
    for (int stream = 0; stream < STREAM_COUNT; stream++) {
        uint64_t last = journal_durable(edge->journal, stream);
        if (journal_received(edge->journal, stream, &received))
            abort();
        for (uint64_t seq = journal_first(edge->journal, stream); seq <= last; seq++)
            count +=
                !intervals_contain(&received, seq) && journal_spans(edge->journal, stream, seq);
    }
    intervals_release(&received);
    return count;
}

static void check_drained(struct world *world)
{
    for (int i = 0; i < WORLD_EDGES; i++) {
        struct edge_node *edge = &world->edges[i];
        struct uplink_status status;
        if (!edge->machine.running) {
            world_fail(world, "%s is not running at the end", edge->name);
            return;
        }
        char epoch[EPOCH_SIZE];
        if (journal_old_epoch(edge->journal, epoch))
            world_fail(world, "%s still owes records of an epoch that ended", edge->name);
        uplink_get_status(edge->uplink, &status);
        uint64_t count = owed(edge);
        if (count > 8) /* the last seconds' are on their way */
            world_fail(world, "%s still has %llu records without a receipt%s%s%s", edge->name,
                       (unsigned long long)count, status.connected ? "" : ", is not connected",
                       status.sending ? "" : ", does not send", status.beyond ? ", beyond" : "");
    }
    if (!world->centre.machine.running)
        world_fail(world, "the centre is not running at the end");
    else if (historian_lag(world->centre.historian) > 30 ||
             alarm_reader_lag(world->centre.alarms) > 30)
        world_fail(world, "readers are behind: historian %llu, alarms %llu",
                   (unsigned long long)historian_lag(world->centre.historian),
                   (unsigned long long)alarm_reader_lag(world->centre.alarms));
}

/* ---- the history ---- */

static void note_row(struct world *world, int index, int point, const struct history_sample *row)
{
    struct truth *truth = oracle_truth(&world->oracle, index, &row->value);
    if (!truth || (int)truth->sample.point != point || truth->sample.t_ms != row->t_ms ||
        truth->sample.quality != row->quality || truth->sample.cause != row->cause ||
        memcmp(&truth->sample.value.number, &row->value.number, sizeof(double)) != 0)
        world_fail(world, "%s: the history has a sample that was never read",
                   world->edges[index].points[point].id);
    else if (++truth->stored > 1 + (unsigned)truth->doubtful)
        world_fail(world, "%s: a sample is in the history twice",
                   world->edges[index].points[point].id);
}

static void read_point(struct world *world, struct history_db *history, int index, int point)
{
    static struct history_sample rows[PAGE];
    struct history_point info;
    int64_t from_ms = 0, tie = -1;
    size_t count = PAGE;
    if (history_db_point(history, world->edges[index].points[point].id, &info, NULL))
        return; /* nothing of it was ever stored */
    while (count == PAGE && !world->failed) {
        if (history_read_samples(history, info.id, from_ms, tie, INT64_MAX, rows, PAGE, &count,
                                 NULL)) {
            world_fail(world, "the history cannot be read");
            return;
        }
        for (size_t i = 0; i < count && !world->failed; i++)
            note_row(world, index, point, &rows[i]);
        if (count) {
            from_ms = rows[count - 1].t_ms;
            tie = rows[count - 1].tie;
        }
    }
}

static void read_history(struct world *world)
{
    struct db_options options = {.path = "/c/history.db", .mode = DB_READER};
    struct history_db *history = NULL;
    struct message message = {""};
    if (history_db_open(&options, &history, NULL, &message)) {
        world_fail(world, "the history cannot be opened: %s", message.text);
        return;
    }
    for (int i = 0; i < WORLD_EDGES; i++)
        for (int point = 0; point < WORLD_POINTS; point++)
            read_point(world, history, i, point);
    history_db_close(history);
}

/* ---- the books: read = stored + ledger ---- */

static bool on_ledger(const struct oracle_edge *edge, const struct truth *truth)
{
    for (unsigned i = 0; i < truth->place_count; i++) {
        const struct place *place = &truth->places[i];
        if (intervals_contain(&edge->lost[place->epoch][place->stream], place->seq))
            return true;
    }
    return false;
}

/* Not yet to be expected: of the last seconds, still with the edge. */
static bool is_young(const struct world *world, const struct truth *truth)
{
    return world->now_us - truth->put_us < 60 * (int64_t)US_PER_S;
}

/* A centre that was restored asks again; what it had, the edge may have freed by then, or have lost
 * with an older disk. */
static bool is_freed(const struct world *world, int index, const struct truth *truth)
{
    const struct edge_node *node = &world->edges[index];
    if (!truth->forgotten)
        return false;
    for (unsigned i = 0; i < truth->place_count; i++) {
        const struct place *place = &truth->places[i];
        if (strcmp(world->oracle.edges[index].epochs[place->epoch], journal_epoch(node->journal)) ==
                0 &&
            place->life == world->oracle.edges[index].restores &&
            place->seq >= journal_first(node->journal, (int)place->stream))
            return false;
    }
    return true;
}

static void check_edge_books(struct world *world, int index)
{
    struct oracle_edge *edge = &world->oracle.edges[index];
    uint64_t unaccounted = 0;
    int64_t last_us = 0;
    struct recorder_status status;
    for (size_t i = 0; i < edge->count && !world->failed; i++) {
        const struct truth *truth = &edge->truth[i];
        if (truth->stored || truth->refused || truth->memory || is_young(world, truth))
            continue;
        if (!truth->place_count) {
            unaccounted++;
            last_us = truth->put_us;
        } else if (!truth->excused && !on_ledger(edge, truth) && !is_freed(world, index, truth))
            world_fail(world,
                       "%s: the sample read at %.1f s, recorded as %c %llu (epoch %d of %d), is "
                       "neither stored nor on the ledger",
                       world->edges[index].name, (double)truth->put_us / US_PER_S,
                       stream_letter(truth->places[truth->place_count - 1].stream),
                       (unsigned long long)truth->places[truth->place_count - 1].seq,
                       truth->places[truth->place_count - 1].epoch, edge->epoch_count);
    }
    recorder_get_status(world->edges[index].recorder, &status);
    uint64_t said = edge->said_refused + status.refused - edge->not_taken;
    if (unaccounted > said)
        world_fail(world,
                   "%s: %llu samples were read and never recorded, the last at %.1f s; %llu were "
                   "said to be",
                   world->edges[index].name, (unsigned long long)unaccounted,
                   (double)last_us / US_PER_S, (unsigned long long)said);
}

/* ---- what was durable is still there ---- */

static void check_central_journal(struct world *world)
{
    struct journal_reader *reader = NULL;
    struct journal_frame frame;
    size_t found = 0;
    if (journal_reader_open(world->centre.journal, 0, 1, &reader))
        abort();
    while (!world->failed && !journal_reader_next(reader, &frame, NULL)) {
        const struct known *known =
            oracle_find(&world->oracle.positions, oracle_position_key(frame.seq));
        if (frame.seq > world->oracle.position)
            break;
        found++;
        if (!known || known->crc != crc32c(0, frame.payload, frame.len))
            world_fail(world, "record %llu of the central journal is another than it was",
                       (unsigned long long)frame.seq);
    }
    journal_reader_close(reader);
    if (!world->failed && found != world->oracle.positions.count)
        world_fail(world, "the central journal has forgotten %lld records",
                   (long long)world->oracle.positions.count - (long long)found);
}

/* ---- all of it ---- */

/* What the centre has taken becomes durable: its books tell of that already. */
static void settle(struct world *world)
{
    struct message message = {""};
    if (journal_commit(world->centre.journal, &message))
        world_fail(world, "the central journal takes nothing at the end: %s", message.text);
    oracle_centre_look(world);
}

void oracle_end(struct world *world)
{
    check_drained(world);
    if (world->failed)
        return;
    settle(world);
    check_central_journal(world);
    read_history(world);
    oracle_check_books(world);
    for (int i = 0; i < WORLD_EDGES && !world->failed; i++)
        check_edge_books(world, i);
    oracle_check_acts(world);
    if (!world->failed)
        oracle_check_alarms(world);
}
