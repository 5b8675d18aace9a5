/*
 * What must be true: the world's own books of every sample, record, receipt, action and alarm,
 * kept beside the product and compared with what it does (RELIABILITY 1, ALARMS 1.6).
 *
 * Cheap checks come with each step, the deep ones at the end, when everything has had time to heal.
 * A sample is known by its value, whose fraction counts; a record by (edge, epoch, stream, seq).
 */
#ifndef TESTS_WORLD_ORACLE_H
#define TESTS_WORLD_ORACLE_H

#include "alarm/event.h"
#include "base/clock.h"
#include "model/intervals.h"
#include "model/record.h"
#include "store/journal.h"
#include "tests/world/machine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ORACLE_EPOCHS 32 /* of an edge */
#define ORACLE_PLACES 8  /* a sample may be recorded anew in later epochs */
#define ORACLE_DROPS  8  /* under way at an edge at once */

struct world;

/* Where a sample was recorded. */
struct place {
    int epoch; /* index of the edge's epoch */
    enum stream stream;
    uint64_t seq;
    unsigned life; /* of the edge's disk, when it was seen there last: `restores` */
};

struct truth {
    struct sample sample; /* `point`: of the edge */
    int64_t put_us;
    bool refused;   /* there was no room for it, and that was said */
    bool memory;    /* a crash took it before it was durable */
    bool excused;   /* it was only on a disk that was replaced by an older one */
    bool forgotten; /* the centre had it, or had been told that it is lost, and was restored */
    bool doubtful;  /* in a backup of a disk that had not met the centre since its start: the copy
                       cannot know what its original sent, and may have it recorded again */
    unsigned life;  /* of the edge's disk, the last that began with it: `restores` */
    struct place places[ORACLE_PLACES];
    unsigned place_count;
    unsigned stored; /* rows in the history */
};

/* What is known of one record. */
struct known {
    uint64_t key; /* 0: none */
    uint32_t crc;
    int64_t at_us; /* when it was seen first */
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
    /* Numbers up to here bear the same on all its disks; those behind may come again. */
    uint64_t unique[ORACLE_EPOCHS][STREAM_COUNT];
    uint64_t backed_up[ORACLE_EPOCHS][STREAM_COUNT]; /* the last in the backup, while it is read */
    bool damaged;                                    /* bytes of its disk were spoiled */
    bool may_begin_epoch;                            /* its disk was replaced or spoiled */
    bool at_centre[ORACLE_EPOCHS];                   /* the centre knows of it */
    struct journal_reader *readers[STREAM_COUNT];
    char reader_epoch[EPOCH_SIZE];
    struct known_map appended; /* as the edge's journal has it */
    /* What the central journal durably has, and what its loss records tell of. */
    struct intervals have[ORACLE_EPOCHS][STREAM_COUNT];
    struct intervals lost[ORACLE_EPOCHS][STREAM_COUNT];
    /* What its own losses for space tell of. */
    struct intervals dropped[ORACLE_EPOCHS][STREAM_COUNT];
    /* What lay where bytes of its disk were spoiled. */
    struct intervals spoiled[ORACLE_EPOCHS][STREAM_COUNT];
    uint64_t headless[STREAM_COUNT]; /* serial of the open segment with a spoiled header; 0: none */
    bool marks_spoiled; /* it may tell again of what it dropped, as damage: booked once */
    unsigned restores;
    /* Segments whose loss was told and which must be gone with the next step. */
    struct oracle_drop {
        enum stream stream;
        uint64_t first, last;
        int64_t told_us;
        uint64_t failures; /* of the disk, by then */
    } drops[ORACLE_DROPS];
    size_t drop_count;
    bool opening;
    size_t first_pending; /* all before it are recorded, refused or lost */
    uint64_t
        said_refused;   /* samples that were taken and then were not, by recorders that are gone */
    uint64_t not_taken; /* samples that the present recorder did not take */
    /* The centre's books of it, as they should be: samples that came, and that losses tell of. */
    uint64_t arrived[ORACLE_EPOCHS], lost_points[ORACLE_EPOCHS];
    int64_t away_us; /* since when the centre cannot have heard of it; NEVER: it can */
};

struct oracle_act {
    int64_t at_us;
    bool answered;
    unsigned journaled;
    bool excused; /* the centre's disk was replaced by an older one since */
};

/* A notification that the provider took, once or more often. */
struct oracle_delivery {
    char alarm[RULE_ID_SIZE], event[16], t[TIME_TEXT_SIZE];
    uint64_t occurrence;
    bool answered;     /* when it was taken last, the sender got to know */
    uint64_t troubles; /* of the centre before that */
};

struct oracle {
    struct oracle_edge edges[WORLD_EDGES];
    struct journal_reader *central; /* NULL while the centre is gone */
    uint64_t position;              /* of the last record seen in the central journal */
    uint64_t restored_to;           /* the last that its disk's backup has, until it is opened */
    struct known_map journaled;     /* by edge record */
    struct known_map positions;     /* by position in the central journal */
    struct oracle_act *acts;
    size_t act_count;
    bool centre_restored;
    uint64_t
        troubles; /* of the centre, that make it forget what it did: crashes, a disk that fails */
    uint64_t failures; /* of its disk, as last seen */
    struct oracle_delivery *deliveries;
    size_t delivery_count;
    size_t heard; /* of what the provider took */
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
/* Since when the centre cannot have heard from the edge; and whether the centre knows. */
void oracle_note_away(struct world *world, int edge);
void oracle_look_at_presence(struct world *world);

/* ---- people and the provider (oracle_people.c) ---- */

size_t oracle_next_act(const struct oracle *oracle);
void oracle_acted(struct world *world, bool answered);
void oracle_act_journaled(struct world *world, const struct record_action *action);
/* What the provider took since; nothing of it twice without a reason. */
void oracle_hear(struct world *world);
/* Did the event's notification reach the provider? Counted as expected, if so. */
bool oracle_was_told(struct world *world, const struct alarm_event *event);
void oracle_check_acts(struct world *world);

/* A node's disk is about to become its backup (oracle_restore.c). */
void oracle_restored(struct world *world, int node);

/* Nothing grows without bound. */
void oracle_bounds(struct world *world);

/* ---- the end (oracle_end.c, oracle_books.c, oracle_alarms.c) ---- */

void oracle_end(struct world *world);
void oracle_check_books(struct world *world);
void oracle_check_alarms(struct world *world);

/* ---- shared ---- */

/* The edge's epoch of that name, -1: it has begun none such. */
int oracle_epoch(const struct oracle_edge *edge, const char *epoch);
uint64_t oracle_key(int edge, int epoch, enum stream stream, uint64_t seq);
uint64_t oracle_position_key(uint64_t position);
/* The entry of that key, made where there is none (`crc` 0); never NULL. */
struct known *oracle_know(struct known_map *map, uint64_t key);
const struct known *oracle_find(const struct known_map *map, uint64_t key);
void oracle_forget(struct known_map *map);
/* No disk of the edge was spoiled or replaced, and the centre's was not either. */
bool oracle_is_plain(const struct world *world, int index);
/* The sample that a value stands for; NULL: none of ours. */
struct truth *oracle_truth(struct oracle *oracle, int edge, const struct value *value);
int oracle_edge_of(const char *name);

#endif
