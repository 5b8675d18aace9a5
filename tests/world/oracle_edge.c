#include "base/crc32c.h"
#include "base/numbers.h"
#include "model/record.h"
#include "store/segment_file.h"
#include "tests/world/oracle.h"
#include "tests/world/world.h"

#include <stdlib.h>
#include <string.h>

#define COMMIT_US  (2500 * (int64_t)US_PER_MS) /* within it a sample must be durable */
#define FULL_BYTES (32 * 1024) /* a journal with that much room is not full: some segments */

size_t oracle_next_sample(const struct oracle *oracle, int edge)
{
    return oracle->edges[edge].count;
}

void oracle_put(struct world *world, int index, const struct sample *samples, size_t count,
                bool taken)
{
    struct oracle_edge *edge = &world->oracle.edges[index];
    edge->not_taken += taken ? 0 : count;
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

/* A journal begins a new epoch only where its disk is an older one than it was, or lost what would
 * show that it is not. */
static void begin_epoch(struct world *world, int index, const char *epoch)
{
    struct oracle_edge *edge = &world->oracle.edges[index];
    const char *name = world->edges[index].name;
    if (oracle_epoch(edge, epoch) >= 0)
        return;
    if (edge->epoch_count && !edge->may_begin_epoch)
        world_fail(world, "%s began a new epoch for no reason", name);
    edge->may_begin_epoch = false;
    if (edge->epoch_count == ORACLE_EPOCHS)
        world_fail(world, "%s has more epochs than are looked after here", name);
    else
        memcpy(edge->epochs[edge->epoch_count++], epoch, EPOCH_SIZE);
}

static void open_readers(struct world *world, int index)
{
    struct oracle_edge *edge = &world->oracle.edges[index];
    struct journal *journal = world->edges[index].journal;
    memcpy(edge->reader_epoch, journal_epoch(journal), EPOCH_SIZE);
    begin_epoch(world, index, edge->reader_epoch);
    for (int stream = 0; stream < STREAM_COUNT; stream++) {
        journal_reader_close(edge->readers[stream]);
        edge->readers[stream] = NULL;
        if (journal_reader_open(journal, stream, 1, &edge->readers[stream]))
            abort();
    }
}

void oracle_edge_opened(struct world *world, int index)
{
    struct oracle_edge *edge = &world->oracle.edges[index];
    memset(edge->headless, 0, sizeof(edge->headless));
    edge->drop_count = 0;
    edge->opening = true;
    open_readers(world, index);
    oracle_edge_look(world, index);
    edge->opening = false;
}

static void spoil(struct oracle_edge *edge, int epoch, enum stream stream, uint64_t first,
                  uint64_t last)
{
    if (epoch >= 0 && intervals_add(&edge->spoiled[epoch][stream], first, last))
        abort();
}

/* ---- what is durable ---- */

/* A record that was recorded anew says where its samples were. */
static void check_origin(struct world *world, int index, const struct truth *truth,
                         enum stream stream, const struct record_was *was)
{
    int epoch = oracle_epoch(&world->oracle.edges[index], was->epoch);
    for (unsigned i = 0; i < truth->place_count; i++)
        if (truth->places[i].epoch == epoch && truth->places[i].seq == was->seq &&
            truth->places[i].stream == stream)
            return;
    world_fail(world, "%s: a sample is recorded anew, and was not in %c %llu before",
               world->edges[index].name, stream_letter(stream), (unsigned long long)was->seq);
}

static void note_place(struct world *world, int index, struct truth *truth,
                       const struct place *place, const struct sample *sample)
{
    const char *name = world->edges[index].name;
    if (sample->t_ms != truth->sample.t_ms || sample->quality != truth->sample.quality)
        world_fail(world, "%s: a sample was recorded with another time or quality", name);
    for (unsigned i = 0; i < truth->place_count; i++) {
        struct place *other = &truth->places[i];
        bool same = other->seq == place->seq && other->stream == place->stream;
        if (other->epoch != place->epoch)
            continue;
        if (!same && other->life == place->life)
            world_fail(world, "%s: a sample is recorded twice, as %c %llu and %llu", name,
                       stream_letter(place->stream), (unsigned long long)other->seq,
                       (unsigned long long)place->seq);
        if (same) {
            other->life = place->life;
            return;
        }
    }
    if (truth->place_count == ORACLE_PLACES)
        world_fail(world, "%s: a sample is recorded in more places than are looked after", name);
    else
        truth->places[truth->place_count++] = *place;
    truth->memory = false;
}

/* Damage is told of what was spoiled, a restart of what was never used, and neither of anything
 * good that the centre has not. */
static void check_lost(struct world *world, int index, int epoch, const struct record_loss *loss)
{
    const struct oracle_edge *edge = &world->oracle.edges[index];
    for (uint64_t seq = loss->first; seq <= loss->last && !world->failed; seq++) {
        if (intervals_contain(&edge->spoiled[epoch][loss->of], seq) ||
            intervals_contain(&edge->have[epoch][loss->of], seq) ||
            (edge->marks_spoiled && intervals_contain(&edge->dropped[epoch][loss->of], seq)) ||
            !oracle_find(&edge->appended, oracle_key(index, epoch, loss->of, seq)))
            continue;
        world_fail(world, "%s tells of %s to %c %llu..%llu, and %llu was never spoiled",
                   world->edges[index].name, loss->cause, stream_letter(loss->of),
                   (unsigned long long)loss->first, (unsigned long long)loss->last,
                   (unsigned long long)seq);
    }
}

/* Room is made where there is none, by a segment that is then dropped. */
static void check_space(struct world *world, int index, const struct record_loss *loss)
{
    struct oracle_edge *edge = &world->oracle.edges[index];
    const struct edge_node *node = &world->edges[index];
    const struct sim_disk *disk = &node->machine.disk;
    int epoch = oracle_epoch(edge, edge->reader_epoch);
    uint64_t bytes, received;
    if (intervals_add(&edge->dropped[epoch][loss->of], loss->first, loss->last))
        abort();
    if (edge->opening)
        return; /* what became of it shows in the books */
    journal_bytes(node->journal, &bytes, &received);
    if (!disk->capacity && (!node->limit_bytes || bytes + FULL_BYTES < node->limit_bytes))
        world_fail(world, "%s gives up records for space, and has room", node->name);
    /* A record that waited for a failing disk is told without the drop, and once more with it. */
    bool calm = !disk->fail_one_in && node->troubled_us + US_PER_S * 5 < world->now_us;
    if (calm && edge->drop_count < ORACLE_DROPS)
        edge->drops[edge->drop_count++] =
            (struct oracle_drop){loss->of, loss->first, loss->last, world->now_us, disk->failures};
}

/* What was told to be dropped is no longer there, unless the disk failed. */
static void check_drops(struct world *world, int index)
{
    struct oracle_edge *edge = &world->oracle.edges[index];
    const struct edge_node *node = &world->edges[index];
    const struct sim_disk *disk = &node->machine.disk;
    while (edge->drop_count && edge->drops[0].told_us < world->now_us) {
        struct oracle_drop drop = edge->drops[0];
        edge->drop_count--;
        memmove(edge->drops, edge->drops + 1, edge->drop_count * sizeof(edge->drops[0]));
        if (drop.failures == disk->failures && !disk->capacity &&
            (journal_spans(node->journal, drop.stream, drop.first) ||
             journal_spans(node->journal, drop.stream, drop.last)))
            world_fail(world, "%s told that %c %llu..%llu is dropped, and has it", node->name,
                       stream_letter(drop.stream), (unsigned long long)drop.first,
                       (unsigned long long)drop.last);
    }
}

/* A loss of an epoch that ended is told once more in the present one. */
static void check_told(struct world *world, int index, int epoch, const struct record_loss *loss)
{
    static const struct {
        const char *cause;
        enum site site;
    } causes[] = {
        {"damage", SITE_LOSS_DAMAGE}, {"restart", SITE_LOSS_RESTART}, {"space", SITE_LOSS_SPACE}};
    size_t i = 0;
    while (i < sizeof(causes) / sizeof(causes[0]) && strcmp(causes[i].cause, loss->cause) != 0)
        i++;
    if (i == sizeof(causes) / sizeof(causes[0])) {
        world_fail(world, "%s tells of a loss for \"%s\"", world->edges[index].name, loss->cause);
        return;
    }
    world->reached[causes[i].site]++;
    if (loss->epoch[0])
        epoch = oracle_epoch(&world->oracle.edges[index], loss->epoch);
    if (epoch < 0)
        world_fail(world, "%s tells of a loss in an epoch that never began",
                   world->edges[index].name);
    else if (causes[i].site != SITE_LOSS_SPACE)
        check_lost(world, index, epoch, loss);
    else if (!loss->epoch[0] && loss->first <= loss->last)
        check_space(world, index, loss);
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
    if (record.head.kind == RECORD_LOSS)
        check_told(world, index, place->epoch, &record.loss);
    for (size_t i = 0; i < record.sample_count && !world->failed; i++) {
        struct truth *truth = oracle_truth(&world->oracle, index, &record.samples[i].value);
        if (truth && record.was.seq)
            check_origin(world, index, truth, place->stream, &record.was);
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
    struct place place = {oracle_epoch(edge, edge->reader_epoch), (enum stream)stream, frame->seq,
                          edge->restores};
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
    check_drops(world, index);
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
    world->oracle.edges[index].damaged = world->oracle.edges[index].may_begin_epoch = true;
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
    if (status.refused < edge->not_taken)
        world_fail(world, "%s did not take %llu samples, and says %llu", node->name,
                   (unsigned long long)edge->not_taken, (unsigned long long)status.refused);
    uint64_t refused = status.refused - edge->not_taken;
    edge->not_taken = 0;
    edge->said_refused += refused;
    /* What its new epoch had written may be gone again. */
    edge->may_begin_epoch = edge->may_begin_epoch || (edge->epoch_count > 1 && !flushed);
    if (overdue > refused)
        world_fail(world, "%s: %llu samples were not durable long after they were read", node->name,
                   (unsigned long long)overdue);
}
