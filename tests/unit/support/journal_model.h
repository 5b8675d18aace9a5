/*
 * A journal on a simulated disk beside what must be true of it: a model of every record that was
 * ever appended, checked after each opening.
 *
 *   - what was committed can be read, byte for byte, or was told as lost, with its range;
 *   - no sequence is used twice; nothing that was not appended is ever read;
 *   - a loss tells of its samples exactly; without damage no committed record is in one;
 *   - the owner's state, restored and replayed, knows what the disk holds, no more and no less.
 */
#ifndef TESTS_JOURNAL_MODEL_H
#define TESTS_JOURNAL_MODEL_H

#include "store/journal.h"
#include "tests/unit/support/sim_disk.h"

#define MODEL_STREAMS 3
#define MODEL_LETTERS "ast"

enum fate {
    FATE_APPENDED,  /* in memory */
    FATE_TRIED,     /* a commit may have written it */
    FATE_COMMITTED, /* promised */
    FATE_DEAD,      /* was never durable, and will not be seen */
    FATE_HOLE,      /* likewise, but a loss of damage counts its samples */
    FATE_GONE,      /* dropped, or told as lost and settled */
};

struct model_record {
    uint64_t seq, id;
    uint32_t points, len;
    enum fate fate;
};

struct model_stream {
    struct model_record *records; /* by sequence */
    size_t count, capacity;
    struct intervals told;     /* and committed by the owner */
    struct intervals received; /* by the other side, as far as it was said */
    uint64_t knows;            /* the owner's state: the ids' sum, mixed */
    bool dropped;              /* for space: the state may be gone with it */
};

struct model {
    uint64_t seed;
    struct sim_disk disk;
    struct journal_options options;
    struct journal *journal;
    struct journal_report report;
    struct message message;
    struct model_stream streams[MODEL_STREAMS];
    /* Told by the last opening, not yet committed by the owner. */
    struct journal_loss fresh[JOURNAL_MAX_LOSSES * 8];
    size_t fresh_count;
    uint64_t next_id;
    int64_t now_ms;
    bool damaged; /* something was spoiled by hand: committed records may be lost */
    char epoch[33];
};

void model_init(struct model *model, uint64_t seed);
void model_release(struct model *model);

/* Opens and checks everything. With failures on, it may fail; then once more without. */
void model_open(struct model *model);
void model_append(struct model *model, int stream, uint32_t len);
void model_commit(struct model *model);
void model_receive(struct model *model, int stream);
void model_make_room(struct model *model);
void model_check_reading(struct model *model, int stream);
void model_close(struct model *model);
void model_crash(struct model *model, bool cut);

#endif
