#include "store/state_table.h"

int state_set(struct db_stmt *set, const char *name, uint64_t number, struct message *message)
{
    db_bind_text(set, 1, name);
    db_bind_u64(set, 2, number);
    return db_run(set, NULL, message);
}

int state_get(struct db_stmt *get, const char *name, uint64_t *ret_number, struct message *message)
{
    db_bind_text(get, 1, name);
    int err = db_next(get, message);
    if (err != 0 && err != ERR_NOT_FOUND)
        return err;
    *ret_number = err == 0 ? db_column_u64(get, 0) : 0;
    db_reset(get);
    return 0;
}
