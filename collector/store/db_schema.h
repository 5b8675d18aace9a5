/*
 * The kind and version of a SQLite file, for db_open: each migration is a transaction that also
 * marks the version it led to. Below, the raw statements it is made of: nobody else's.
 */
#ifndef STORE_DB_SCHEMA_H
#define STORE_DB_SCHEMA_H

#include "store/db.h"

/* ERR_INVALID for a file of another kind or a later version; ERR_AGAIN for a reader's that its
 * writer has not brought up to date. */
MUST_CHECK int db_schema_identify(struct db *db, const struct db_schema *schema, int *ret_version,
                                  struct message *message);

MUST_CHECK int db_schema_migrate(struct db *db, const struct db_schema *schema, int version,
                                 struct message *message);

/* In db.c. Runs SQL that gives no rows; `what` is the verb for the message. */
MUST_CHECK int db_execute(struct db *db, const char *sql, const char *what,
                          struct message *message);

/* In db.c. The first column of the first row. */
MUST_CHECK int db_query_number(struct db *db, const char *sql, int64_t *ret_number,
                               struct message *message);

#endif
