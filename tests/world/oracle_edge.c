#include "base/crc32c.h"
#include "base/numbers.h"
#include "model/record.h"
#include "store/segment_file.h"
#include "tests/world/oracle.h"
#include "tests/world/world.h"

#include <stdlib.h>
#include <string.h>

#define COMMIT_US (2500 * (int64_t)US_PER_MS) /* within it a sample must be durable */

size_t oracle_next_sample(const struct oracle *oracle, int edge)
{
    return oracle->edges[edge].count;
}

void oracle_put(struct world *world, int index, const struct sample *samples, size_t count,
                bool taken)
{
    struct oracle_edge *edge = &world->oracle.edges[index];
    for (size_t i = 0; i < count; i++) {
        if (edge->count == edge->capacity) {
            edge->capacity = edge->capacity ? 2 * edge->capacity : 1024;
            edge->truth = reallocarray(edge->truth, edge->capacity, sizeof(*edge->truth));
            if (!edge->truth)
                abort();
        }
        edge->truth[edge->count++] =
            (struct truth){.sample = samples[i], .put_us = world->now_us, .refused = !taken};
    }
}

static void open_readers(struct world *world, int index)
{
    struct oracle_edge *edge = &world->oracle.edges[index];
    struct journal *journal = world->edges[index].journal;
    memcpy(edge->reader_epoch, journal_epoch(journal), EPOCH_SIZE);
    for (int stream = 0; stream < STREAM_COUNT; stream++) {
        journal_reader_close(edge->readers[stream]);
        edge->readers[stream] = NULL;
        if (journal_reader_open(journal, stream, 1, &edge->readers[stream]))
            abort();
    }
}

void oracle_edge_opened(struct world *world, int index)
{
    memset(world->oracle.edges[index].headless, 0, sizeof(world->oracle.edges[index].headless));
    open_readers(world, index);
    oracle_edge_look(world, index);
}

static void spoil(struct oracle_edge *edge, int epoch, enum stream stream, uint64_t first,
                  uint64_t last)
{
    if (epoch >= 0 && intervals_add(&edge->spoiled[epoch][stream], first, last))
        abort();
}

/* ---- what is durable ---- */

static void note_place(struct world *world, int index, struct truth *truth,
                       const struct place *place, const struct sample *sample)
{
    const char *name = world->edges[index].name;
    if (sample->t_ms != truth->sample.t_ms || sample->quality != truth->sample.quality)
        world_fail(world, "%s: a sample was recorded with another time or quality", name);
    for (unsigned i = 0; i < truth->place_count; i++) {
        const struct place *other = &truth->places[i];
        if (other->epoch != place->epoch)
            continue;
        if ((other->seq != place->seq || other->stream != place->stream) && !truth->excused)
            world_fail(world, "%s: a sample is recorded twice, as %c %llu and %llu", name,
                       stream_letter(place->stream), (unsigned long long)other->seq,
                       (unsigned long long)place->seq);
        return;
    }
    if (truth->place_count == ORACLE_PLACES)
        truth->places[0] = truth->places[--truth->place_count];
    truth->places[truth->place_count++] = *place;
    truth->memory = false;
}

/* Damage is told of what was spoiled, and of nothing else that the centre has not. */
static void check_damage(struct world *world, int index, int epoch, const struct record_loss *loss)
{
    const struct oracle_edge *edge = &world->oracle.edges[index];
    world->reached[SITE_LOSS_DAMAGE]++;
    for (uint64_t seq = loss->first; seq <= loss->last && !world->failed; seq++) {
        if (intervals_contain(&edge->spoiled[epoch][loss->of], seq) ||
            intervals_contain(&edge->have[epoch][loss->of], seq) || edge->reused[epoch] ||
            (edge->marks_spoiled && intervals_contain(&edge->told[epoch][loss->of], seq)) ||
            !oracle_find(&edge->appended, oracle_key(index, epoch, loss->of, seq)))
            continue;
        world_fail(world, "%s tells of damage to %c %llu..%llu, and %llu was never spoiled",
                   world->edges[index].name, stream_letter(loss->of),
                   (unsigned long long)loss->first, (unsigned long long)loss->last,
                   (unsigned long long)seq);
    }
}

static void note_samples(struct world *world, int index, const struct place *place,
                         const struct journal_frame *frame)
{
    struct record record;
    if (record_parse(frame->payload, frame->len, &record, NULL)) {
        world_fail(world, "%s: record %c %llu cannot be read", world->edges[index].name,
                   stream_letter(place->stream), (unsigned long long)place->seq);
        return;
    }
    world->reached[SITE_LOSS_SPACE] +=
        record.head.kind == RECORD_LOSS && strcmp(record.loss.cause, "space") == 0;
    world->reached[SITE_LOSS_RESTART] +=
        record.head.kind == RECORD_LOSS && strcmp(record.loss.cause, "restart") == 0;
    if (record.head.kind == RECORD_LOSS && strcmp(record.loss.cause, "damage") == 0)
        check_damage(world, index, place->epoch, &record.loss);
    if (record.head.kind == RECORD_LOSS &&
        intervals_add(&world->oracle.edges[index].told[place->epoch][record.loss.of],
                      record.loss.first, record.loss.last))
        abort();
    for (size_t i = 0; i < record.sample_count && !world->failed; i++) {
        struct truth *truth = oracle_truth(&world->oracle, index, &record.samples[i].value);
        if (truth)
            note_place(world, index, truth, place, &record.samples[i]);
        else
            world_fail(world, "%s recorded a sample that nobody read", world->edges[index].name);
    }
    record_release(&record);
}

/* Was the record written into a segment whose header had been spoiled, and not into a later one? */
static bool lies_headless(struct world *world, int index, int stream, uint64_t seq)
{
    const struct sim_disk *disk = &world->edges[index].machine.disk;
    uint64_t serial = world->oracle.edges[index].headless[stream];
    bool later = false;
    for (size_t i = 0; serial && !later && i < sim_disk_count(disk, ".seg"); i++) {
        const char *path = sim_disk_path(disk, ".seg", i);
        const char *name = strrchr(path, '/') + 1;
        struct segment_header header;
        uint64_t size;
        later = name[0] == stream_letter((enum stream)stream) &&
                segment_name_serial(name) > serial &&
                !segment_file_header(&disk->io, path, &header, &size) && header.first <= seq;
    }
    return serial && !later;
}

static void note_frame(struct world *world, int index, int stream,
                       const struct journal_frame *frame)
{
    struct oracle_edge *edge = &world->oracle.edges[index];
    struct place place = {oracle_epoch(edge, edge->reader_epoch), (enum stream)stream, frame->seq};
    if (place.epoch < 0)
        return;
    struct known *known =
        oracle_know(&edge->appended, oracle_key(index, place.epoch, place.stream, place.seq));
    uint32_t crc = crc32c(0, frame->payload, frame->len);
    if (known->crc && known->crc != crc)
        world_fail(world, "%s: %c %llu of one epoch has two contents", world->edges[index].name,
                   stream_letter(place.stream), (unsigned long long)frame->seq);
    if (known->crc)
        return;
    known->crc = crc;
    if (lies_headless(world, index, stream, place.seq))
        spoil(edge, place.epoch, place.stream, place.seq, place.seq);
    note_samples(world, index, &place, frame);
}

/* What is waited for no longer does not make every look longer. */
static void pass_settled(struct oracle_edge *edge)
{
    while (edge->first_pending < edge->count) {
        const struct truth *truth = &edge->truth[edge->first_pending];
        if (!truth->place_count && !truth->refused && !truth->memory)
            return;
        edge->first_pending++;
    }
}

void oracle_edge_look(struct world *world, int index)
{
    struct oracle_edge *edge = &world->oracle.edges[index];
    struct edge_node *node = &world->edges[index];
    struct machine_faults faults;
    struct journal_frame frame;
    if (!node->journal || node->machine.disk.dead)
        return;
    machine_look(&node->machine, &faults);
    if (strcmp(edge->reader_epoch, journal_epoch(node->journal)) != 0)
        open_readers(world, index);
    for (int stream = 0; stream < STREAM_COUNT && !world->failed; stream++)
        while (!world->failed && !journal_reader_next(edge->readers[stream], &frame, NULL))
            note_frame(world, index, stream, &frame);
    machine_look_end(&node->machine, &faults);
    pass_settled(edge);
}

/* ---- spoiled bytes ---- */

/* The frames of the file, as they are before, that the bytes touch; all of them where it is the
 * header, and what lies behind the last, where nothing can be told. A file with a bad header is set
 * aside as a whole at the next opening, and until then nobody reads the header again: what is
 * written on into the file is lost with it. */
void oracle_spoiled(struct world *world, int index, const char *path, uint64_t at, uint64_t len)
{
    struct edge_node *node = &world->edges[index];
    const struct journal_io *io = &node->machine.disk.io;
    struct segment_header header;
    struct segment_cursor cursor;
    struct segment_damage damage;
    struct journal_frame frame;
    struct machine_faults faults;
    char epoch_text[EPOCH_SIZE];
    uint64_t size;
    int fd;
    machine_look(&node->machine, &faults);
    if (!segment_file_header(io, path, &header, &size) && !io->open(io->self, path, false, &fd)) {
        const char letter[] = {header.letter, '\0'};
        print_hex(header.epoch, SEGMENT_EPOCH_BYTES, epoch_text);
        int epoch = oracle_epoch(&world->oracle.edges[index], epoch_text);
        enum stream stream = stream_from_text(letter);
        segment_cursor_init(&cursor, io, fd, header.letter, segment_seed(&header));
        cursor.offset = SEGMENT_HEADER_BYTES + (uint64_t)header.state_len;
        cursor.end = size;
        cursor.seq = header.first - 1;
        cursor.points = header.points;
        bool all = at < cursor.offset;
        for (uint64_t from = cursor.offset; !segment_cursor_next(&cursor, &frame, &damage);
             from = cursor.offset)
            if (all || (from < at + len && at < cursor.offset))
                spoil(&world->oracle.edges[index], epoch, stream, frame.seq, frame.seq);
        segment_cursor_release(&cursor);
        if (at < SEGMENT_HEADER_BYTES)
            world->oracle.edges[index].headless[stream] = header.serial;
    }
    machine_look_end(&node->machine, &faults);
}

/* ---- the end of a process ---- */

static bool had_time(const struct world *world, const struct edge_node *node,
                     const struct truth *truth)
{
    return world->now_us - truth->put_us > COMMIT_US &&
           node->troubled_us + US_PER_S < truth->put_us;
}

void oracle_edge_ends(struct world *world, int index, bool flushed)
{
    struct oracle_edge *edge = &world->oracle.edges[index];
    const struct edge_node *node = &world->edges[index];
    struct recorder_status status = {0};
    uint64_t overdue = 0;
    for (int stream = 0; stream < STREAM_COUNT; stream++) {
        journal_reader_close(edge->readers[stream]);
        edge->readers[stream] = NULL;
    }
    edge->reader_epoch[0] = '\0';
    if (node->recorder)
        recorder_get_status(node->recorder, &status);
    for (size_t i = edge->first_pending; i < edge->count; i++) {
        struct truth *truth = &edge->truth[i];
        if (truth->place_count || truth->refused || truth->memory)
            continue;
        overdue += flushed || had_time(world, node, truth);
        truth->memory = true;
        world->reached[SITE_MEMORY_LOST]++;
    }
    edge->said_refused += status.refused;
    if (overdue > status.refused)
        world_fail(world, "%s: %llu samples were not durable long after they were read", node->name,
                   (unsigned long long)overdue);
}
