/*
 * An opening under way: journal_recovery.c reads the folder and the marks, journal_walk.c each
 * stream's segments. Nobody else includes this.
 */
#ifndef STORE_JOURNAL_RECOVERY_H
#define STORE_JOURNAL_RECOVERY_H

#include "store/journal_internal.h"

/* A segment file whose header is whole. */
struct found_file {
    char name[SEGMENT_NAME_SIZE];
    struct segment_header header;
    uint64_t size;
};

struct recovery {
    struct journal *journal;
    struct journal_report *report;
    struct message *message;
    enum meta_state marks;
    uint64_t distance; /* kept above what is known to be used */
    char (*names)[SEGMENT_NAME_SIZE];
    size_t name_count, name_capacity;
    struct found_file *files;
    size_t file_count;
    size_t bad_files;
};

/* Finds out what a stream holds from its table of segments: their ends, what is missing between
 * them, where its sequence goes on; hands its owner state and records. */
MUST_CHECK int recovery_walk_stream(struct recovery *recovery, int stream);

#endif
