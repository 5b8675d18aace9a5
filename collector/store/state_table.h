/*
 * Named whole numbers of a database (cursors, counts), changed in the transaction they belong to.
 * Its owner puts STATE_TABLE_SQL into a migration, and the two statements into its list.
 */
#ifndef STORE_STATE_TABLE_H
#define STORE_STATE_TABLE_H

#include "store/db.h"

#define STATE_TABLE_SQL \
    "CREATE TABLE state(name TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID, STRICT;"
#define STATE_SET_SQL                                 \
    "INSERT INTO state(name, number) VALUES(?1, ?2) " \
    "ON CONFLICT(name) DO UPDATE SET number = excluded.number"
#define STATE_GET_SQL "SELECT number FROM state WHERE name = ?1"

/* `set`: the statement of STATE_SET_SQL. */
MUST_CHECK int state_set(struct db_stmt *set, const char *name, uint64_t number,
                         struct message *message);

/* `get`: the statement of STATE_GET_SQL. 0 where the name was never set. */
MUST_CHECK int state_get(struct db_stmt *get, const char *name, uint64_t *ret_number,
                         struct message *message);

#endif
