/*
 * The tables and statements of the history file, for history_db.c and history_read.c alone.
 *
 * `q` of a sample is quality * 256 + cause as on the wire, plus HISTORY_FLOAT where the number came
 * from a float32 register, so that it prints as it did there.
 */
#ifndef STORE_HISTORY_SCHEMA_H
#define STORE_HISTORY_SCHEMA_H

#include "store/db.h"
#include "store/history_db.h"

#define HISTORY_FLOAT 65536

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
    HISTORY_COUNT_POINT,
    HISTORY_LATEST,
    HISTORY_SAMPLES,
    HISTORY_SET_STATE,
    HISTORY_GET_STATE,
    HISTORY_STATEMENTS
};

extern const struct db_schema history_schema;

/* In history_db.c: the statement, reset. */
struct db_stmt *history_db_stmt(struct history_db *history, enum history_statement statement);

#endif
