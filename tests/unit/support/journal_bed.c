#include "tests/unit/support/journal_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BED_SEGMENT 65536
#define BED_START   1767225600000 /* 2026 */

void bed_init(struct bed *bed, uint64_t seed)
{
    *bed = (struct bed){.now_ms = BED_START};
    sim_disk_init(&bed->disk, seed);
    bed->options = (struct journal_options){
        .folder = BED_FOLDER,
        .letters = "asct",
        .segment_bytes = BED_SEGMENT,
    };
}

void bed_release(struct bed *bed)
{
    journal_close(bed->journal);
    sim_disk_release(&bed->disk);
}

void bed_open(struct bed *bed)
{
    bed->options.io = &bed->disk.io;
    bed->message.text[0] = '\0';
    int err = journal_open(&bed->options, &bed->journal, &bed->report, &bed->message);
    if (err)
        print_error("journal_open: %d %s\n", err, bed->message.text);
    assert_int_equal(err, 0);
}

void bed_close(struct bed *bed)
{
    journal_close(bed->journal);
    bed->journal = NULL;
}

/* The journal is closed on a disk that takes nothing any more: only its memory is freed. */
void bed_crash(struct bed *bed, bool cut)
{
    if (cut)
        sim_disk_cut(&bed->disk);
    else
        sim_disk_kill(&bed->disk);
    bed->disk.dead = true;
    journal_close(bed->journal);
    bed->disk.dead = false;
    bed->journal = NULL;
}

static void payload_of(int stream, uint64_t seq, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (char)('a' + (seq * 31 + i * 7 + (uint64_t)stream) % 26);
}

uint32_t bed_points(uint64_t seq)
{
    return (uint32_t)(10 + seq % 5);
}

int bed_append(struct bed *bed, int stream, size_t len, uint64_t *ret_seq)
{
    uint64_t seq = journal_next_seq(bed->journal, stream), given = 0;
    char *payload = malloc(len + 1);
    assert_non_null(payload);
    payload_of(stream, seq, len, payload);
    bed->now_ms += 1000;
    int err = journal_append(bed->journal, stream, "edge-1", payload, len, bed_points(seq),
                             bed->now_ms, bed->now_ms * 1000, &given, &bed->message);
    free(payload);
    if (err)
        return err;
    assert_int_equal(given, seq);
    *ret_seq = seq;
    return 0;
}

void bed_fill(struct bed *bed, int stream, size_t len, size_t count)
{
    uint64_t seq;
    for (size_t i = 0; i < count; i++)
        assert_int_equal(bed_append(bed, stream, len, &seq), 0);
}

void bed_commit(struct bed *bed)
{
    int err = journal_commit(bed->journal, &bed->message);
    if (err)
        print_error("journal_commit: %s\n", bed->message.text);
    assert_int_equal(err, 0);
}

void bed_check_frame(const struct journal_frame *frame, int stream, size_t len)
{
    char *payload = malloc(len + 1);
    assert_non_null(payload);
    payload_of(stream, frame->seq, len, payload);
    assert_int_equal(frame->stream, stream);
    assert_int_equal(frame->len, len);
    assert_memory_equal(frame->payload, payload, len);
    assert_string_equal(frame->origin, "edge-1");
    assert_int_equal(frame->points, bed_points(frame->seq));
    assert_int_equal(frame->mono_us, frame->wall_ms * 1000);
    free(payload);
}

void bed_check_range(struct bed *bed, int stream, uint64_t first, uint64_t last, size_t len)
{
    struct journal_reader *reader;
    struct journal_frame frame;
    struct interval gap;
    assert_int_equal(journal_reader_open(bed->journal, stream, first, &reader), 0);
    for (uint64_t seq = first; seq <= last; seq++) {
        assert_int_equal(journal_reader_next(reader, &frame, &gap), 0);
        assert_int_equal(frame.seq, seq);
        bed_check_frame(&frame, stream, len);
    }
    journal_reader_close(reader);
}

void bed_check_loss(const struct bed *bed, size_t n, int stream, uint64_t first, uint64_t last,
                    uint64_t points, const char *cause)
{
    assert_true(n < bed->report.loss_count);
    const struct journal_loss *loss = &bed->report.losses[n];
    assert_int_equal(loss->stream, stream);
    assert_int_equal(loss->first, first);
    assert_int_equal(loss->last, last);
    assert_int_equal(loss->points, points);
    assert_string_equal(loss->cause, cause);
}

void bed_receive(struct bed *bed, int stream, uint64_t first, uint64_t last)
{
    struct intervals set;
    intervals_init(&set, 4);
    assert_int_equal(intervals_add(&set, first, last), 0);
    assert_int_equal(journal_receive(bed->journal, stream, &set), 0);
    intervals_release(&set);
}
