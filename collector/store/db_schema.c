#include "store/db_schema.h"

#include <inttypes.h>
#include <stdio.h>

int db_schema_identify(struct db *db, const struct db_schema *schema, int *ret_version,
                       struct message *message)
{
    int64_t application = 0;
    int64_t version = 0;
    int64_t tables = 0;
    int err = db_query_number(db, "PRAGMA application_id", &application, message);

    if (err == 0)
        err = db_query_number(db, "PRAGMA user_version", &version, message);
    if (err == 0)
        err = db_query_number(db, "SELECT count(*) FROM sqlite_schema", &tables, message);
    if (err != 0)
        return err;
    bool blank = application == 0 && version == 0 && tables == 0;
    if (!blank && application != (int64_t)schema->application)
        return message_set(message, ERR_INVALID, "%s is a database of another kind; name another",
                           db_path(db));
    if (version > schema->version)
        return message_set(message, ERR_INVALID,
                           "%s has version %" PRId64 ", made by a later program than this "
                           "(version %d); install that one",
                           db_path(db), version, schema->version);
    if (!db_is_writer(db) && version < schema->version)
        return message_set(message, ERR_AGAIN, "%s has yet to be brought to version %d",
                           db_path(db), schema->version);
    *ret_version = (int)version;
    return 0;
}

int db_schema_migrate(struct db *db, const struct db_schema *schema, int version,
                      struct message *message)
{
    char mark[96];

    for (int i = version; i < schema->version; i++) {
        snprintf(mark, sizeof mark, "PRAGMA application_id=%u; PRAGMA user_version=%d",
                 (unsigned)schema->application, i + 1);
        int err = db_execute(db, "BEGIN IMMEDIATE", "migrate", message);
        if (err == 0)
            err = db_execute(db, schema->migrations[i], "migrate", message);
        if (err == 0)
            err = db_execute(db, mark, "migrate", message);
        if (err == 0)
            err = db_execute(db, "COMMIT", "migrate", message);
        if (err != 0) {
            db_rollback(db);
            return err;
        }
    }
    return 0;
}
