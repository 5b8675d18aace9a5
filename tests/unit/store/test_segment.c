#include "store/segment.h"

#include "base/crc32c.h"
#include "store/journal_meta.h"
#include "store/little_endian.h"
#include "store/segment_file.h"
#include "tests/unit/support/sim_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PATH "/j/s"

static struct segment_header a_header(void)
{
    return (struct segment_header){
        .epoch = {1, 2, 3, 250},
        .serial = 42,
        .letter = 's',
        .has_state = true,
        .first = 1001,
        .previous_serial = 40,
        .previous_last = 990,
        .points = 123456789012,
        .previous_ms = 1767225600000,
        .wall_ms = 1767225600500,
        .state_len = 17,
        .state_crc = 0xdeadbeef,
        .letters = "asct",
        .last = {1, 2000, 3, UINT64_MAX - 1},
    };
}

static void a_header_reads_back_as_written(void **state)
{
    struct segment_header header = a_header(), read;
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    (void)state;
    segment_header_encode(&header, bytes);
    assert_int_equal(segment_header_decode(bytes, sizeof(bytes), &read), 0);
    assert_memory_equal(read.epoch, header.epoch, sizeof(header.epoch));
    assert_memory_equal(read.letters, header.letters, sizeof(header.letters));
    assert_memory_equal(read.last, header.last, sizeof(header.last));
    assert_true(read.has_state);
    assert_int_equal(read.serial, 42);
    assert_int_equal(read.letter, 's');
    assert_int_equal(read.first, 1001);
    assert_int_equal(read.previous_serial, 40);
    assert_int_equal(read.previous_last, 990);
    assert_int_equal(read.points, 123456789012);
    assert_int_equal(read.previous_ms, 1767225600000);
    assert_int_equal(read.wall_ms, 1767225600500);
    assert_int_equal(read.state_len, 17);
    assert_int_equal(read.state_crc, 0xdeadbeef);
}

/* The version's bits too: damage must not pass for a later version, which would refuse to open. */
static void any_flipped_bit_of_a_header_is_damage(void **state)
{
    struct segment_header header = a_header(), read;
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    (void)state;
    segment_header_encode(&header, bytes);
    for (size_t bit = 0; bit < 8 * sizeof(bytes); bit++) {
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(segment_header_decode(bytes, sizeof(bytes), &read), ERR_CORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    assert_int_equal(segment_header_decode(bytes, sizeof(bytes) - 1, &read), ERR_CORRUPT);
}

static void a_later_version_is_told_apart_from_damage(void **state)
{
    struct segment_header header = a_header(), read;
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    (void)state;
    segment_header_encode(&header, bytes);
    bytes[8] = 2;
    put_u32(bytes + sizeof(bytes) - 4, crc32c(0, bytes, sizeof(bytes) - 4));
    assert_int_equal(segment_header_decode(bytes, sizeof(bytes), &read), ERR_RANGE);
}

static void append_frame(struct buffer *out, uint64_t seq, uint64_t points, const char *payload)
{
    struct journal_frame frame = {
        .seq = seq,
        .wall_ms = 1767225600000 + (int64_t)seq,
        .mono_us = -5,
        .points = 7,
        .stream_points = points,
        .origin = "edge-7",
        .payload = payload,
        .len = strlen(payload),
    };
    frame_append(out, 's', &frame);
}

static void a_frame_reads_back_as_written_in_its_place_only(void **state)
{
    struct segment_header header = a_header();
    struct journal_frame frame;
    struct buffer out;
    uint32_t seed = segment_seed(&header);
    (void)state;
    buffer_init(&out, 1000);
    append_frame(&out, 1001, 507, "{\"v\":[1,2,3]}");
    uint8_t *bytes = (uint8_t *)out.data;
    frames_seal(bytes, out.len, seed, 5000);
    assert_int_equal(frame_peek(bytes, 's'), out.len);
    assert_int_equal(frame_peek(bytes, 'a'), 0);
    assert_int_equal(frame_decode(bytes, seed, 5000, &frame), 0);
    assert_int_equal(frame.seq, 1001);
    assert_int_equal(frame.points, 7);
    assert_int_equal(frame.stream_points, 507);
    assert_int_equal(frame.mono_us, -5);
    assert_string_equal(frame.origin, "edge-7");
    assert_int_equal(frame.len, 13);
    assert_memory_equal(frame.payload, "{\"v\":[1,2,3]}", 13);
    /* A block that the disk wrote elsewhere, or that was left of another segment. */
    assert_int_equal(frame_decode(bytes, seed, 5001, &frame), ERR_CORRUPT);
    assert_int_equal(frame_decode(bytes, seed, 5000 + 4096, &frame), ERR_CORRUPT);
    header.serial++;
    assert_int_equal(frame_decode(bytes, segment_seed(&header), 5000, &frame), ERR_CORRUPT);
    header = a_header();
    header.first++;
    assert_int_equal(frame_decode(bytes, segment_seed(&header), 5000, &frame), ERR_CORRUPT);
    header = a_header();
    header.epoch[15] ^= 1;
    assert_int_equal(frame_decode(bytes, segment_seed(&header), 5000, &frame), ERR_CORRUPT);
    buffer_release(&out);
}

static void any_flipped_bit_of_a_frame_is_damage(void **state)
{
    struct segment_header header = a_header();
    struct journal_frame frame;
    struct buffer out;
    uint32_t seed = segment_seed(&header);
    (void)state;
    buffer_init(&out, 1000);
    append_frame(&out, 1001, 507, "payload");
    uint8_t *bytes = (uint8_t *)out.data;
    frames_seal(bytes, out.len, seed, 160);
    for (size_t bit = 0; bit < 8 * out.len; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        /* A changed length would reach beyond these bytes: the cursor sees to that. */
        if (frame_peek(bytes, 's') == out.len)
            assert_int_equal(frame_decode(bytes, seed, 160, &frame), ERR_CORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    buffer_release(&out);
}

static void frames_fit_whole_or_not_at_all(void **state)
{
    struct journal_frame last;
    struct buffer out;
    (void)state;
    buffer_init(&out, 1000);
    append_frame(&out, 1, 7, "one");
    size_t one = out.len;
    append_frame(&out, 2, 14, "two!");
    const uint8_t *bytes = (const uint8_t *)out.data;
    assert_int_equal(frames_fit(bytes, out.len, one - 1, &last), 0);
    assert_int_equal(frames_fit(bytes, out.len, out.len - 1, &last), one);
    assert_int_equal(last.seq, 1);
    assert_int_equal(frames_fit(bytes, out.len, out.len, &last), out.len);
    assert_int_equal(last.seq, 2);
    assert_int_equal(last.stream_points, 14);
    buffer_release(&out);
}

static void a_magic_may_begin_at_the_very_end(void **state)
{
    static const uint8_t bytes[] = {'x', 0xfb, 'x', 0xfb, 'F', 'R'};
    (void)state;
    assert_int_equal(frame_find(bytes, sizeof(bytes), 0), 3);
    assert_int_equal(frame_find(bytes, sizeof(bytes), 4), sizeof(bytes));
    assert_int_equal(frame_find(bytes, 3, 0), 3);
}

/* ---- the cursor ---- */

struct file {
    struct sim_disk disk;
    struct segment_cursor cursor;
    struct segment_header header;
    uint64_t ends[10]; /* of the frames */
};

/* Ten frames from 1001 on, behind the header. */
static void make_file(struct file *file)
{
    struct buffer out;
    uint8_t head[SEGMENT_HEADER_BYTES];
    sim_disk_init(&file->disk, 1);
    file->header = a_header();
    file->header.state_len = 0;
    segment_header_encode(&file->header, head);
    buffer_init(&out, 100000);
    buffer_append(&out, head, sizeof(head));
    for (uint64_t i = 0; i < 10; i++) {
        char payload[1200];
        memset(payload, 'a' + (int)i, sizeof(payload));
        payload[sizeof(payload) - 1] = '\0';
        append_frame(&out, 1001 + i, file->header.points + 7 * (i + 1), payload);
        file->ends[i] = out.len;
    }
    frames_seal((uint8_t *)out.data + sizeof(head), out.len - sizeof(head),
                segment_seed(&file->header), sizeof(head));
    sim_disk_put(&file->disk, PATH, out.data, out.len);
    buffer_release(&out);
}

static void open_cursor(struct file *file)
{
    int fd;
    assert_int_equal(file->disk.io.open(&file->disk, PATH, false, &fd), 0);
    segment_cursor_init(&file->cursor, &file->disk.io, fd, 's', segment_seed(&file->header));
    file->cursor.offset = SEGMENT_HEADER_BYTES;
    file->cursor.end = sim_disk_size(&file->disk, PATH);
    file->cursor.seq = file->header.first - 1;
    file->cursor.points = file->header.points;
}

static void close_file(struct file *file)
{
    segment_cursor_release(&file->cursor);
    sim_disk_release(&file->disk);
}

static uint64_t next_seq(struct file *file, struct segment_damage *ret_damage)
{
    struct journal_frame frame;
    int err = segment_cursor_next(&file->cursor, &frame, ret_damage);
    if (err)
        assert_int_equal(err, ERR_NOT_FOUND);
    return err ? 0 : frame.seq;
}

static void the_cursor_passes_over_damage_and_tells_it(void **state)
{
    struct file file;
    struct segment_damage damage;
    (void)state;
    make_file(&file);
    sim_disk_damage(&file.disk, PATH, file.ends[2] + 300, 1);
    sim_disk_damage(&file.disk, PATH, file.ends[3] + 5, 1); /* the next one too */
    open_cursor(&file);
    for (uint64_t seq = 1001; seq <= 1003; seq++) {
        assert_int_equal(next_seq(&file, &damage), seq);
        assert_int_equal(damage.bytes, 0);
    }
    assert_int_equal(next_seq(&file, &damage), 1006);
    assert_int_equal(damage.offset, file.ends[2]);
    assert_int_equal(damage.bytes, file.ends[4] - file.ends[2]);
    assert_int_equal(damage.seq, 1003);
    assert_int_equal(damage.points, file.header.points + 21);
    close_file(&file);
}

static void damage_to_the_end_is_told_as_all_that_is_left(void **state)
{
    struct file file;
    struct segment_damage damage;
    (void)state;
    make_file(&file);
    sim_disk_damage(&file.disk, PATH, file.ends[8] + 60, 1);
    open_cursor(&file);
    for (int i = 0; i < 9; i++)
        assert_true(next_seq(&file, &damage) > 0);
    assert_int_equal(next_seq(&file, &damage), 0);
    assert_int_equal(damage.bytes, file.ends[9] - file.ends[8]);
    assert_int_equal(damage.seq, 1009);
    assert_int_equal(next_seq(&file, &damage), 0); /* and again */
    close_file(&file);
}

static void a_file_that_is_too_short_ends_where_it_ends(void **state)
{
    struct file file;
    struct segment_damage damage;
    (void)state;
    make_file(&file);
    open_cursor(&file);
    file.cursor.end = file.ends[9] + 100000;
    sim_disk_cut_file(&file.disk, PATH, file.ends[4] + 30);
    for (int i = 0; i < 5; i++)
        assert_true(next_seq(&file, &damage) > 0);
    assert_int_equal(next_seq(&file, &damage), 0);
    assert_int_equal(damage.bytes, 30);
    close_file(&file);
}

static int (*read_all)(void *self, int fd, void *data, size_t len, uint64_t at, size_t *ret_len);

/* The sector from 4096 on cannot be read, nor anything that reaches into it. */
static int read_around_a_bad_sector(void *self, int fd, void *data, size_t len, uint64_t at,
                                    size_t *ret_len)
{
    if (at < 8192 && at + len > 4096)
        return ERR_IO;
    return read_all(self, fd, data, len, at, ret_len);
}

static void a_sector_that_cannot_be_read_is_damage_and_no_more(void **state)
{
    struct file file;
    struct segment_damage damage;
    uint64_t seen = 0;
    (void)state;
    make_file(&file);
    open_cursor(&file);
    read_all = file.disk.io.pread;
    file.disk.io.pread = read_around_a_bad_sector;
    for (uint64_t seq; (seq = next_seq(&file, &damage)) != 0;) {
        uint64_t end = file.ends[seq - 1001];
        uint64_t begin = seq == 1001 ? SEGMENT_HEADER_BYTES : file.ends[seq - 1002];
        assert_true(end <= 4096 || begin >= 8192);
        seen++;
    }
    assert_int_equal(seen, 6); /* 1..3 lie before it, 8..10 behind it */
    close_file(&file);
}

/* The first sector cannot be read. */
static int read_all_but_the_beginning(void *self, int fd, void *data, size_t len, uint64_t at,
                                      size_t *ret_len)
{
    return at < 4096 ? ERR_IO : read_all(self, fd, data, len, at, ret_len);
}

static void a_header_is_lost_on_a_disk_that_reads_the_rest_only(void **state)
{
    struct file file;
    struct segment_header header;
    uint64_t size;
    const struct journal_io *io = &file.disk.io;
    (void)state;
    make_file(&file);
    file.disk.fail_ops = 1U << SIM_READ;
    file.disk.fail_one_in = 1;
    assert_int_equal(segment_file_header(io, PATH, &header, &size), ERR_IO);
    file.disk.fail_one_in = 3; /* now and then */
    assert_int_equal(segment_file_header(io, PATH, &header, &size), 0);
    assert_int_equal(header.first, 1001);
    file.disk.fail_one_in = 0;
    read_all = file.disk.io.pread;
    file.disk.io.pread = read_all_but_the_beginning;
    assert_int_equal(segment_file_header(io, PATH, &header, &size), ERR_CORRUPT);
    assert_int_equal(size, file.ends[9]);
    sim_disk_release(&file.disk);
}

static void a_sequence_that_cannot_stand_there_is_refused(void **state)
{
    struct file file;
    struct segment_damage damage;
    struct buffer out;
    (void)state;
    make_file(&file);
    open_cursor(&file);
    buffer_init(&out, 100000);
    /* A whole frame with a true checksum, far ahead in sequence: no damage can explain it. */
    append_frame(&out, 5000, file.header.points + 7, "far");
    frames_seal((uint8_t *)out.data, out.len, segment_seed(&file.header), SEGMENT_HEADER_BYTES);
    for (size_t i = 0; i < out.len; i++)
        sim_disk_damage(&file.disk, PATH, SEGMENT_HEADER_BYTES + i,
                        (uint8_t)out.data[i] ^
                            sim_disk_byte(&file.disk, PATH, SEGMENT_HEADER_BYTES + i));
    assert_int_equal(next_seq(&file, &damage), 1002);
    assert_int_equal(damage.seq, 1000);
    buffer_release(&out);
    close_file(&file);
}

/* ---- the marks ---- */

static void marks_read_back_as_written(void **state)
{
    struct journal_meta meta, read;
    struct buffer slot;
    (void)state;
    journal_meta_init(&meta);
    journal_meta_init(&read);
    buffer_init(&slot, META_SLOT_BYTES);
    meta.generation = 9;
    meta.next_serial = 77;
    meta.clean = true;
    meta.stream_count = 2;
    memset(meta.epoch, 0xab, sizeof(meta.epoch));
    meta.streams[1] = (struct journal_marks){.letter = 't',
                                             .reserved = 500,
                                             .durable = 400,
                                             .durable_points = 4000,
                                             .front = 12,
                                             .front_points = 120,
                                             .received = meta.streams[1].received,
                                             .settled = meta.streams[1].settled};
    assert_int_equal(intervals_add(&meta.streams[1].received, 12, 300), 0);
    assert_int_equal(intervals_add(&meta.streams[1].received, 310, 311), 0);
    assert_int_equal(intervals_add(&meta.streams[1].settled, 301, 301), 0);
    assert_int_equal(journal_meta_encode(&meta, &slot), 0);
    assert_int_equal(journal_meta_decode((const uint8_t *)slot.data, slot.len, &read), 0);
    assert_int_equal(read.generation, 9);
    assert_int_equal(read.next_serial, 77);
    assert_true(read.clean);
    assert_int_equal(read.streams[1].reserved, 500);
    assert_int_equal(read.streams[1].durable, 400);
    assert_int_equal(read.streams[1].durable_points, 4000);
    assert_int_equal(read.streams[1].front, 12);
    assert_int_equal(read.streams[1].front_points, 120);
    assert_int_equal(read.streams[1].received.count, 2);
    assert_true(intervals_contain_all(&read.streams[1].received, 310, 311));
    assert_true(intervals_contain(&read.streams[1].settled, 301));
    journal_meta_release(&read);
    for (size_t bit = 0; bit < 8 * slot.len; bit++) {
        slot.data[bit / 8] = (char)(slot.data[bit / 8] ^ (char)(1U << bit % 8));
        journal_meta_init(&read);
        assert_int_equal(journal_meta_decode((const uint8_t *)slot.data, slot.len, &read),
                         ERR_CORRUPT);
        journal_meta_release(&read);
        slot.data[bit / 8] = (char)(slot.data[bit / 8] ^ (char)(1U << bit % 8));
    }
    journal_meta_release(&meta);
    buffer_release(&slot);
}

static void the_fullest_marks_fit_into_a_slot(void **state)
{
    struct journal_meta meta;
    struct buffer slot;
    (void)state;
    journal_meta_init(&meta);
    buffer_init(&slot, META_SLOT_BYTES);
    meta.stream_count = JOURNAL_MAX_STREAMS;
    for (size_t s = 0; s < JOURNAL_MAX_STREAMS; s++) {
        for (uint64_t i = 1; i <= META_MAX_RECEIVED; i++)
            assert_int_equal(intervals_add(&meta.streams[s].received, 2 * i, 2 * i), 0);
        for (uint64_t i = 1; i <= META_MAX_SETTLED; i++)
            assert_int_equal(intervals_add(&meta.streams[s].settled, 2 * i, 2 * i), 0);
    }
    assert_int_equal(journal_meta_encode(&meta, &slot), 0);
    journal_meta_release(&meta);
    buffer_release(&slot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_reads_back_as_written),
        cmocka_unit_test(any_flipped_bit_of_a_header_is_damage),
        cmocka_unit_test(a_later_version_is_told_apart_from_damage),
        cmocka_unit_test(a_frame_reads_back_as_written_in_its_place_only),
        cmocka_unit_test(any_flipped_bit_of_a_frame_is_damage),
        cmocka_unit_test(frames_fit_whole_or_not_at_all),
        cmocka_unit_test(a_magic_may_begin_at_the_very_end),
        cmocka_unit_test(the_cursor_passes_over_damage_and_tells_it),
        cmocka_unit_test(damage_to_the_end_is_told_as_all_that_is_left),
        cmocka_unit_test(a_file_that_is_too_short_ends_where_it_ends),
        cmocka_unit_test(a_sector_that_cannot_be_read_is_damage_and_no_more),
        cmocka_unit_test(a_header_is_lost_on_a_disk_that_reads_the_rest_only),
        cmocka_unit_test(a_sequence_that_cannot_stand_there_is_refused),
        cmocka_unit_test(marks_read_back_as_written),
        cmocka_unit_test(the_fullest_marks_fit_into_a_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
