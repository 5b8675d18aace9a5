/*
 * The tables and statements of the history file, for the files of the history alone.
 *
 * `q` of a sample is quality * 256 + cause as on the wire, plus HISTORY_FLOAT where the number came
 * from a float32 register, so that it prints as it did there.
 *
 * `rollups` hold what the samples of a point in one slot of time come to. They are derived: a slot
 * that has none is read from its samples, and one that has is complete (history_rollup.h).
 */
#ifndef STORE_HISTORY_SCHEMA_H
#define STORE_HISTORY_SCHEMA_H

#include "store/db.h"
#include "store/history_db.h"

#define HISTORY_FLOAT   65536
#define HISTORY_SLOT_MS 300000 /* of a roll-up */

enum history_statement {
    HISTORY_ADD_BIRTH,
    HISTORY_GET_BIRTH,
    HISTORY_FIND_POINT,
    HISTORY_ADD_POINT,
    HISTORY_UPDATE_POINT,
    HISTORY_LIST_POINTS,
    HISTORY_FIND_SOURCE,
    HISTORY_ADD_SOURCE,
    HISTORY_ADD_SAMPLE,
    HISTORY_COUNT_SAME,
    HISTORY_NEXT_TIE,
    HISTORY_IS_MOVED_TO,
    HISTORY_IS_TAKEN,
    HISTORY_TIE_OF,
    HISTORY_MOVED_HIGHEST,
    HISTORY_HIGHEST,
    HISTORY_LATEST,
    HISTORY_SAMPLES,
    HISTORY_ROLL_UP,
    HISTORY_ROLLED_LAST,
    HISTORY_UNROLL,
    HISTORY_ROLLUPS,
    HISTORY_SET_STATE,
    HISTORY_GET_STATE,
    HISTORY_STATEMENTS
};

extern const struct db_schema history_schema;

/* In history_db.c: the statement, reset. */
struct db_stmt *history_db_stmt(struct history_db *history, enum history_statement statement);

#endif
