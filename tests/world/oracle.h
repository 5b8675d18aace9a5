/*
 * What must be true: the world's own books of every sample, record, receipt, action and alarm,
 * kept beside the product and compared with what it does (RELIABILITY 1, ALARMS 1.6).
 *
 * Cheap checks come with each step, the deep ones at the end, when everything has had time to heal.
 * A sample is known by its value, whose fraction counts; a record by (edge, epoch, stream, seq).
 */
#ifndef TESTS_WORLD_ORACLE_H
#define TESTS_WORLD_ORACLE_H

#include "model/intervals.h"
#include "model/record.h"
#include "store/journal.h"
#include "tests/world/machine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ORACLE_EPOCHS 32 /* of an edge */
#define ORACLE_PLACES 3  /* a sample may be recorded anew in later epochs */

struct world;

/* Where a sample was recorded. */
struct place {
    int epoch; /* index of the edge's epoch */
    enum stream stream;
    uint64_t seq;
};

struct truth {
    struct sample sample; /* `point`: of the edge */
    int64_t put_us;
    bool refused; /* there was no room for it, and that was said */
    bool memory;  /* a crash took it before it was durable */
    bool excused; /* it was on a disk that was replaced by an older one */
    struct place places[ORACLE_PLACES];
    unsigned place_count;
    unsigned stored; /* rows in the history */
};

/* What is known of one record. */
struct known {
    uint64_t key; /* 0: none */
    uint32_t crc;
};

struct known_map {
    struct known *slots;
    size_t capacity, count;
};

struct oracle_edge {
    struct truth *truth;
    size_t count, capacity;
    char epochs[ORACLE_EPOCHS][EPOCH_SIZE];
    int epoch_count;
    bool reused[ORACLE_EPOCHS]; /* begun before its disk was replaced: numbers may come again */
    struct journal_reader *readers[STREAM_COUNT];
    char reader_epoch[EPOCH_SIZE];
    struct known_map appended; /* as the edge's journal has it */
    /* What the central journal durably has, and what its loss records tell of. */
    struct intervals have[ORACLE_EPOCHS][STREAM_COUNT];
    struct intervals lost[ORACLE_EPOCHS][STREAM_COUNT];
    /* What the edge's own loss records tell of. */
    struct intervals told[ORACLE_EPOCHS][STREAM_COUNT];
    /* What lay where bytes of its disk were spoiled. */
    struct intervals spoiled[ORACLE_EPOCHS][STREAM_COUNT];
    uint64_t headless[STREAM_COUNT]; /* serial of the open segment with a spoiled header; 0: none */
    bool marks_spoiled; /* it may tell again of what it dropped, as damage: booked once */
    unsigned restores;
    size_t first_pending;  /* all before it are recorded, refused or lost */
    uint64_t said_refused; /* samples, by recorders that are gone */
    int64_t away_us;       /* since when the centre cannot have heard of it; NEVER: it can */
};

struct oracle_act {
    bool answered;
    unsigned journaled;
    bool excused; /* the centre's disk was replaced by an older one since */
};

struct oracle {
    struct oracle_edge edges[WORLD_EDGES];
    struct journal_reader *central; /* NULL while the centre is gone */
    uint64_t position;              /* of the last record seen in the central journal */
    struct known_map journaled;     /* by edge record */
    struct known_map positions;     /* by position in the central journal */
    struct oracle_act *acts;
    size_t act_count;
    bool centre_restored;
    int64_t presence_us;
};

void oracle_init(struct oracle *oracle);
void oracle_release(struct oracle *oracle);

/* ---- edges (oracle_edge.c) ---- */

size_t oracle_next_sample(const struct oracle *oracle, int edge);
/* Samples were read, and handed to the recorder, which had room for them or not. */
void oracle_put(struct world *world, int edge, const struct sample *samples, size_t count,
                bool taken);
void oracle_edge_opened(struct world *world, int edge);
/* What became durable in its journal since. */
void oracle_edge_look(struct world *world, int edge);
/* Bytes of a segment file are about to be spoiled. */
void oracle_spoiled(struct world *world, int edge, const char *path, uint64_t at, uint64_t len);
/* Its process is about to go; `flushed`: nothing may be in memory. */
void oracle_edge_ends(struct world *world, int edge, bool flushed);

/* ---- centre (oracle_centre.c) ---- */

void oracle_centre_opened(struct world *world);
void oracle_centre_look(struct world *world);
void oracle_centre_ends(struct world *world);
/* What it publishes: a receipt tells of nothing that is not durable. */
void oracle_centre_says(struct world *world, const char *topic, const void *payload, size_t len);
size_t oracle_next_act(const struct oracle *oracle);
void oracle_acted(struct world *world, bool answered);
/* Since when the centre cannot have heard from the edge; and whether the centre knows. */
void oracle_note_away(struct world *world, int edge);
void oracle_look_at_presence(struct world *world);

/* A node's disk is about to become an older one. */
void oracle_restored(struct world *world, int node);

/* Nothing grows without bound. */
void oracle_bounds(struct world *world);

/* ---- the end (oracle_end.c, oracle_alarms.c) ---- */

void oracle_end(struct world *world);
void oracle_check_alarms(struct world *world);

/* ---- shared ---- */

/* The edge's epoch of that name, made on first sight; -1 beyond the bound. */
int oracle_epoch(struct oracle_edge *edge, const char *epoch);
uint64_t oracle_key(int edge, int epoch, enum stream stream, uint64_t seq);
/* The entry of that key, made where there is none (`crc` 0); never NULL. */
struct known *oracle_know(struct known_map *map, uint64_t key);
const struct known *oracle_find(const struct known_map *map, uint64_t key);
void oracle_forget(struct known_map *map);
/* The sample that a value stands for; NULL: none of ours. */
struct truth *oracle_truth(struct oracle *oracle, int edge, const struct value *value);
int oracle_edge_of(const char *name);

#endif
