#include "base/numbers.h"
#include "model/record.h"
#include "store/journal_meta.h"
#include "store/segment_file.h"
#include "tests/world/oracle.h"
#include "tests/world/world.h"

#include <stdlib.h>
#include <string.h>

/*
 * A disk becomes an older one: what was only on the newer one is gone, and nothing else. What the
 * backup holds is read before it takes the disk's place: that is still owed.
 */

struct scan {
    struct world *world;
    int node;
    const struct journal_meta *marks; /* of an edge's backup */
};

typedef void scan_visit(const struct scan *scan, const char *epoch, enum stream stream,
                        const struct journal_frame *frame);

static void scan_segment(const struct scan *scan, struct sim_disk *disk, const char *path,
                         scan_visit *visit)
{
    struct segment_header header;
    struct segment_cursor cursor;
    struct segment_damage damage;
    struct journal_frame frame;
    char epoch[EPOCH_SIZE];
    uint64_t size;
    int fd;
    if (segment_file_header(&disk->io, path, &header, &size) ||
        disk->io.open(disk->io.self, path, false, &fd))
        return;
    const char letter[] = {header.letter, '\0'};
    print_hex(header.epoch, SEGMENT_EPOCH_BYTES, epoch);
    segment_cursor_init(&cursor, &disk->io, fd, header.letter, segment_seed(&header));
    cursor.offset = SEGMENT_HEADER_BYTES + (uint64_t)header.state_len;
    cursor.end = size;
    cursor.seq = header.first - 1;
    cursor.points = header.points;
    while (!segment_cursor_next(&cursor, &frame, &damage))
        visit(scan, epoch, stream_from_text(letter), &frame);
    segment_cursor_release(&cursor);
}

static void scan_backup(const struct scan *scan, scan_visit *visit)
{
    struct sim_disk *disk = &world_machine(scan->world, scan->node)->backup;
    for (size_t i = 0; i < sim_disk_count(disk, ".seg"); i++)
        scan_segment(scan, disk, sim_disk_path(disk, ".seg", i), visit);
}

/* ---- the centre's ---- */

static bool at_centre(const struct world *world, int index, const struct truth *truth)
{
    const struct oracle_edge *edge = &world->oracle.edges[index];
    for (unsigned i = 0; i < truth->place_count; i++) {
        const struct place *place = &truth->places[i];
        if (intervals_contain(&edge->have[place->epoch][place->stream], place->seq) ||
            intervals_contain(&edge->lost[place->epoch][place->stream], place->seq))
            return true;
    }
    return false;
}

static void forget_edge(struct world *world, int index)
{
    struct oracle_edge *edge = &world->oracle.edges[index];
    for (size_t i = 0; i < edge->count; i++)
        edge->truth[i].forgotten =
            edge->truth[i].forgotten || at_centre(world, index, &edge->truth[i]);
    for (int e = 0; e < ORACLE_EPOCHS; e++) {
        edge->arrived[e] = edge->lost_points[e] = 0;
        edge->at_centre[e] = false;
        for (int s = 0; s < STREAM_COUNT; s++) {
            intervals_clear(&edge->have[e][s]);
            intervals_clear(&edge->lost[e][s]);
        }
    }
}

/* An action that the backup's journal has is there again. */
static void visit_central(const struct scan *scan, const char *epoch, enum stream stream,
                          const struct journal_frame *frame)
{
    (void)epoch, (void)stream;
    struct oracle *oracle = &scan->world->oracle;
    struct record record;
    uint64_t act;
    if (frame->seq > oracle->restored_to)
        oracle->restored_to = frame->seq;
    if (record_parse(frame->payload, frame->len, &record, NULL))
        return;
    if (record.head.kind == RECORD_ACTION && oracle->act_count &&
        !parse_u64(record.action.note, 0, oracle->act_count - 1, &act))
        oracle->acts[act].excused = false;
    record_release(&record);
}

static void restore_centre(struct world *world)
{
    struct oracle *oracle = &world->oracle;
    struct scan scan = {world, NODE_CENTRE, NULL};
    oracle->position = oracle->restored_to = 0;
    oracle->centre_restored = true;
    oracle_forget(&oracle->journaled);
    oracle_forget(&oracle->positions);
    for (size_t i = 0; i < oracle->act_count; i++) {
        oracle->acts[i].excused = true;
        oracle->acts[i].journaled = 0;
    }
    for (int i = 0; i < WORLD_EDGES; i++)
        forget_edge(world, i);
    scan_backup(&scan, visit_central);
}

/* ---- an edge's ---- */

static void visit_edge(const struct scan *scan, const char *epoch_name, enum stream stream,
                       const struct journal_frame *frame)
{
    struct oracle_edge *edge = &scan->world->oracle.edges[scan->node];
    struct record record;
    int epoch = oracle_epoch(edge, epoch_name);
    if (epoch < 0 || record_parse(frame->payload, frame->len, &record, NULL))
        return;
    if (frame->seq > edge->backed_up[epoch][stream])
        edge->backed_up[epoch][stream] = frame->seq;
    for (size_t i = 0; i < record.sample_count; i++) {
        struct truth *truth =
            oracle_truth(&scan->world->oracle, scan->node, &record.samples[i].value);
        if (!truth)
            continue;
        truth->life = edge->restores;
        truth->doubtful = truth->doubtful || (!scan->marks->vouched &&
                                              frame->seq > scan->marks->streams[stream].trusted);
    }
    record_release(&record);
}

static void restore_edge(struct world *world, int index)
{
    struct oracle_edge *edge = &world->oracle.edges[index];
    struct journal_meta marks;
    enum meta_state state;
    char path[FILE_PATH_SIZE];
    struct scan scan = {world, index, &marks};
    oracle_centre_look(world);
    journal_meta_init(&marks);
    segment_path(world->edges[index].folder, META_FILE, path);
    if (journal_meta_read(&world_machine(world, index)->backup.io, path, &marks, &state))
        abort();
    edge->restores++;
    edge->may_begin_epoch = true;
    oracle_forget(&edge->appended);
    memset(edge->backed_up, 0, sizeof(edge->backed_up));
    scan_backup(&scan, visit_edge);
    journal_meta_release(&marks);
    for (int e = 0; e < edge->epoch_count; e++)
        for (int s = 0; s < STREAM_COUNT; s++)
            if (edge->backed_up[e][s] < edge->unique[e][s])
                edge->unique[e][s] = edge->backed_up[e][s];
    for (size_t i = 0; i < edge->count; i++) {
        struct truth *truth = &edge->truth[i];
        bool there = truth->life == edge->restores || at_centre(world, index, truth);
        truth->excused = truth->excused || !there;
    }
}

void oracle_restored(struct world *world, int node)
{
    if (node == NODE_CENTRE)
        restore_centre(world);
    else
        restore_edge(world, node);
}
