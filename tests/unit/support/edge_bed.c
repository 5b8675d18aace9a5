#include "tests/unit/support/edge_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <unistd.h>

static const char *const bed_names[EDGE_BED_POINTS] = {"ch4", "cod", "ph", "level", "flow"};
static const char *const bed_classes[EDGE_BED_POINTS] = {"safety", "compliance", "compliance",
                                                         "trend", "trend"};
static const enum stream bed_streams[EDGE_BED_POINTS] = {STREAM_S, STREAM_C, STREAM_C, STREAM_T,
                                                         STREAM_T};

void edge_bed_init(struct edge_bed *bed, uint64_t seed, bool real)
{
    *bed = (struct edge_bed){.real = real};
    bed->now = (struct now){.mono_us = 5 * US_PER_S, .wall_ms = EDGE_BED_START, .sync = true};
    sim_disk_init(&bed->disk, seed);
    snprintf(bed->folder, sizeof(bed->folder), real ? "/tmp/chengmai-edge-XXXXXX" : "/e");
    if (real)
        assert_non_null(mkdtemp(bed->folder));
    bed->options = (struct journal_options){.letters = STREAM_LETTERS, .segment_bytes = 65536};
    for (size_t i = 0; i < EDGE_BED_POINTS; i++) {
        struct point_info *info = &bed->points[i];
        snprintf(info->id, sizeof(info->id), EDGE_BED_SITE ".plc.%s", bed_names[i]);
        snprintf(info->name, sizeof(info->name), "%s", bed_names[i]);
        snprintf(info->unit, sizeof(info->unit), "mg/L");
        snprintf(info->type, sizeof(info->type), "float32");
        snprintf(info->site, sizeof(info->site), EDGE_BED_SITE);
        snprintf(info->map, sizeof(info->map), "0123456789abcdef");
        snprintf(info->class_, sizeof(info->class_), "%s", bed_classes[i]);
        info->interval_ms = 1000;
        bed->streams[i] = bed_streams[i];
    }
}

static void remove_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    char path[512];
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlink(path);
    }
    if (dir)
        closedir(dir);
    rmdir(folder);
}

void edge_bed_release(struct edge_bed *bed)
{
    edge_bed_close(bed);
    sim_disk_release(&bed->disk);
    if (bed->real)
        remove_folder(bed->folder);
}

void edge_bed_open(struct edge_bed *bed)
{
    bed->options.folder = bed->folder;
    if (!bed->real)
        bed->options.io = &bed->disk.io;
    int err = journal_open(&bed->options, &bed->journal, &bed->report, &bed->message);
    if (err)
        fail_msg("journal_open: %d %s", err, bed->message.text);
    struct recorder_options options = {
        .journal = bed->journal,
        .edge = EDGE_BED_EDGE,
        .site = EDGE_BED_SITE,
        .boot = "00000000000000000000000000000b07",
        .points = bed->points,
        .streams = bed->streams,
        .point_count = EDGE_BED_POINTS,
        .queue_batches = bed->queue_batches,
    };
    err = recorder_new(&options, &bed->report, bed->now, &bed->recorder, &bed->message);
    if (err)
        fail_msg("recorder_new: %d %s", err, bed->message.text);
}

void edge_bed_close(struct edge_bed *bed)
{
    recorder_free(bed->recorder);
    journal_close(bed->journal);
    bed->recorder = NULL;
    bed->journal = NULL;
}

/* Closed on a disk that takes nothing any more: only its memory is freed. */
void edge_bed_crash(struct edge_bed *bed, bool cut)
{
    assert_false(bed->real);
    if (cut)
        sim_disk_cut(&bed->disk);
    else
        sim_disk_kill(&bed->disk);
    bed->disk.dead = true;
    edge_bed_close(bed);
    bed->disk.dead = false;
}

struct sample edge_bed_sample(const struct edge_bed *bed, uint32_t point, double value)
{
    return (struct sample){.point = point,
                           .t_ms = bed->now.wall_ms,
                           .quality = QUALITY_GOOD,
                           .value = {.kind = VALUE_DOUBLE, .number = value}};
}

void edge_bed_put(struct edge_bed *bed, uint32_t point, double value)
{
    struct sample sample = edge_bed_sample(bed, point, value);
    assert_int_equal(recorder_put(bed->recorder, &sample, 1), 0);
}

int64_t edge_bed_step(struct edge_bed *bed, int64_t us)
{
    bed->now.mono_us += us;
    bed->now.wall_ms += us / US_PER_MS;
    return recorder_step(bed->recorder, bed->now);
}

void edge_bed_flush(struct edge_bed *bed)
{
    int err = recorder_flush(bed->recorder, bed->now, &bed->message);
    if (err)
        fail_msg("recorder_flush: %d %s", err, bed->message.text);
}

void edge_bed_record(struct edge_bed *bed, enum stream stream, uint64_t seq,
                     struct record *ret_record)
{
    struct journal_reader *reader;
    struct journal_frame frame;
    struct interval gap;
    assert_int_equal(journal_reader_open(bed->journal, (int)stream, seq, &reader), 0);
    int err = journal_reader_next(reader, &frame, &gap);
    if (err || frame.seq != seq)
        fail_msg("record %c %llu is not there", stream_letter(stream), (unsigned long long)seq);
    if (record_parse(frame.payload, frame.len, ret_record, &bed->message))
        fail_msg("record %c %llu: %s", stream_letter(stream), (unsigned long long)seq,
                 bed->message.text);
    /* The number in the record is the one the journal gave. */
    assert_int_equal(ret_record->head.seq, seq);
    assert_int_equal(ret_record->head.stream, stream);
    assert_string_equal(ret_record->head.epoch, journal_epoch(bed->journal));
    assert_int_equal(frame.points, ret_record->sample_count + ret_record->held);
    journal_reader_close(reader);
}

uint64_t edge_bed_samples(struct edge_bed *bed, enum stream stream)
{
    struct journal_reader *reader;
    struct journal_frame frame;
    uint64_t count = 0;
    assert_int_equal(journal_reader_open(bed->journal, (int)stream, 1, &reader), 0);
    while (!journal_reader_next(reader, &frame, NULL))
        count += frame.points;
    journal_reader_close(reader);
    return count;
}
