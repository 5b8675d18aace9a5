/* A journal of the streams "asct" on a simulated disk, and what the tests do with it. */
#ifndef TESTS_JOURNAL_BED_H
#define TESTS_JOURNAL_BED_H

#include "store/journal.h"
#include "tests/unit/support/sim_disk.h"

#define BED_FOLDER "/j"

struct bed {
    struct sim_disk disk;
    struct journal_options options;
    struct journal *journal; /* NULL while closed */
    struct journal_report report;
    struct message message;
    int64_t now_ms;
};

/* Segments of 64 KiB, no limit; not opened yet. */
void bed_init(struct bed *bed, uint64_t seed);
void bed_release(struct bed *bed);

/* Asserts that it opens. */
void bed_open(struct bed *bed);
void bed_close(struct bed *bed);

/* The process ends without closing; with `cut` the power goes too. */
void bed_crash(struct bed *bed, bool cut);

/* Appends a record of `len` bytes that are a function of stream and sequence, with 10 + seq % 5
 * samples; the time goes on by a second. */
int bed_append(struct bed *bed, int stream, size_t len, uint64_t *ret_seq);
/* The same, `count` times, asserted. */
void bed_fill(struct bed *bed, int stream, size_t len, size_t count);
void bed_commit(struct bed *bed);
uint32_t bed_points(uint64_t seq);

/* Asserts that a frame holds what bed_append gave it. */
void bed_check_frame(const struct journal_frame *frame, int stream, size_t len);

/* Asserts that first..last of a stream can be read, one after the other. */
void bed_check_range(struct bed *bed, int stream, uint64_t first, uint64_t last, size_t len);

/* The report's n-th loss, asserted to be of this stream, range, count of samples and cause. */
void bed_check_loss(const struct bed *bed, size_t n, int stream, uint64_t first, uint64_t last,
                    uint64_t points, const char *cause);

/* Tells the journal that first..last was received. */
void bed_receive(struct bed *bed, int stream, uint64_t first, uint64_t last);

#endif
