/*
 * An edge's recorder on a journal of its own: points of every class, samples to feed it, and a way
 * to read back what it wrote. Time is virtual, the disk simulated unless a test asks for a real
 * one. One thread.
 */
#ifndef TESTS_EDGE_BED_H
#define TESTS_EDGE_BED_H

#include "edge/recorder.h"
#include "model/record.h"
#include "tests/unit/support/sim_disk.h"

#include <stdbool.h>

#define EDGE_BED_POINTS 5
#define EDGE_BED_EDGE   "edge-1"
#define EDGE_BED_SITE   "site-1"
#define EDGE_BED_START  1767225600000 /* 2026 */

/* The points by their place: one of safety, two of compliance, two of trend. */
enum { BED_S, BED_C, BED_C2, BED_T, BED_T2 };

struct edge_bed {
    struct sim_disk disk;
    char folder[64]; /* a real one, or of the simulated disk */
    bool real;
    struct journal_options options; /* may be changed before edge_bed_open */
    struct point_info points[EDGE_BED_POINTS];
    enum stream streams[EDGE_BED_POINTS];
    struct now now;
    size_t queue_batches;
    struct journal *journal; /* NULL while closed */
    struct journal_report report;
    struct recorder *recorder;
    struct message message;
};

void edge_bed_init(struct edge_bed *bed, uint64_t seed, bool real);
void edge_bed_release(struct edge_bed *bed);

/* Opens journal and recorder, asserted. */
void edge_bed_open(struct edge_bed *bed);
void edge_bed_close(struct edge_bed *bed);

/* The process ends without closing; with `cut` the power goes too. Simulated disk only. */
void edge_bed_crash(struct edge_bed *bed, bool cut);

/* A good sample of a point, stamped now. */
struct sample edge_bed_sample(const struct edge_bed *bed, uint32_t point, double value);

/* Hands one over, asserted. */
void edge_bed_put(struct edge_bed *bed, uint32_t point, double value);

/* The time goes on, then one step. Returns when it wants to run next. */
int64_t edge_bed_step(struct edge_bed *bed, int64_t us);

/* Records all that waits, asserted. */
void edge_bed_flush(struct edge_bed *bed);

/* The durable record of that sequence, parsed, asserted to be there; record_release it. */
void edge_bed_record(struct edge_bed *bed, enum stream stream, uint64_t seq,
                     struct record *ret_record);

/* Samples of all durable data records of a stream that are still on disk. */
uint64_t edge_bed_samples(struct edge_bed *bed, enum stream stream);

#endif
