#include "store/history_rollup.h"

#include "store/history_schema.h"

#include <stdlib.h>
#include <string.h>

#define MAX_POINTS  200000 /* numbers above it are not rolled up */
#define MAX_WAITING ((size_t)1 << 20)
#define RUN_SLOTS   2000 /* of one commit: 0.2 s at 300 samples a slot */
#define NO_SLOT     INT64_MIN
#define MAX_T_MS    253402300799999 /* the year 9999; what lies beyond, or before 1970, has none */

struct point_slots {
    bool known;
    int64_t open;   /* the latest slot that has samples */
    int64_t rolled; /* no roll-up lies behind this slot */
    int64_t late;   /* waits already, and has no roll-up */
};

struct waiting_slot {
    int64_t point;
    int64_t slot;
};

struct history_rollup {
    struct history_db *history;
    struct point_slots *points; /* by number */
    size_t point_capacity;
    struct waiting_slot *waiting; /* a ring */
    size_t waiting_capacity;
    size_t first, count;
};

int history_rollup_new(struct history_db *history, struct history_rollup **ret_rollup)
{
    struct history_rollup *rollup = calloc(1, sizeof *rollup);

    if (rollup == NULL)
        return ERR_NO_MEMORY;
    rollup->history = history;
    *ret_rollup = rollup;
    return 0;
}

void history_rollup_free(struct history_rollup *rollup)
{
    if (rollup == NULL)
        return;
    free(rollup->points);
    free(rollup->waiting);
    free(rollup);
}

void history_rollup_forget(struct history_rollup *rollup)
{
    if (rollup->points != NULL)
        memset(rollup->points, 0, rollup->point_capacity * sizeof *rollup->points);
}

/* The slot of a time, or NO_SLOT. */
static int64_t slot_of(int64_t t_ms)
{
    return t_ms >= 0 && t_ms <= MAX_T_MS ? t_ms / HISTORY_SLOT_MS : NO_SLOT;
}

/* The state of a point; NULL beyond the bound, or without memory. */
static struct point_slots *slots_of(struct history_rollup *rollup, int64_t point)
{
    size_t capacity = rollup->point_capacity > 0 ? rollup->point_capacity : 1024;

    if (point < 0 || point >= MAX_POINTS)
        return NULL;
    while (capacity <= (size_t)point)
        capacity *= 2;
    if (capacity > rollup->point_capacity) {
        struct point_slots *points = reallocarray(rollup->points, capacity, sizeof *points);
        if (points == NULL)
            return NULL;
        memset(points + rollup->point_capacity, 0,
               (capacity - rollup->point_capacity) * sizeof *points);
        rollup->points = points;
        rollup->point_capacity = capacity;
    }
    return &rollup->points[point];
}

/* Makes room for one more. False: there is none. */
static bool grow_waiting(struct history_rollup *rollup)
{
    size_t old = rollup->waiting_capacity;
    size_t capacity = old > 0 ? 2 * old : 1024;

    if (rollup->count < old)
        return true;
    if (capacity > MAX_WAITING)
        return false;
    struct waiting_slot *waiting = reallocarray(rollup->waiting, capacity, sizeof *waiting);
    if (waiting == NULL)
        return false;
    /* The ring is full: what stands before its first goes behind its old end. */
    if (rollup->first > 0)
        memcpy(waiting + old, waiting, rollup->first * sizeof *waiting);
    rollup->waiting = waiting;
    rollup->waiting_capacity = capacity;
    return true;
}

static void wait_for_roll_up(struct history_rollup *rollup, int64_t point, int64_t slot)
{
    if (!grow_waiting(rollup))
        return;
    size_t at = (rollup->first + rollup->count) & (rollup->waiting_capacity - 1);
    rollup->waiting[at] = (struct waiting_slot){.point = point, .slot = slot};
    rollup->count++;
}

/* What the file says about a point seen for the first time in this run, before this slot. */
static int load(struct history_rollup *rollup, int64_t point, int64_t slot,
                struct point_slots *slots, struct message *message)
{
    struct db_stmt *stmt = history_db_stmt(rollup->history, HISTORY_ROLLED_LAST);

    db_bind_i64(stmt, 1, point);
    db_bind_i64(stmt, 2, NO_SLOT);
    db_bind_i64(stmt, 3, slot * HISTORY_SLOT_MS);
    int err = db_next(stmt, message);
    if (err != 0)
        return err;
    slots->rolled = db_column_i64(stmt, 0);
    slots->open = db_column_is_null(stmt, 1) ? NO_SLOT : slot_of(db_column_i64(stmt, 1));
    slots->late = NO_SLOT;
    slots->known = true;
    db_reset(stmt);
    return 0;
}

static int unroll(struct history_rollup *rollup, int64_t point, int64_t slot,
                  struct message *message)
{
    struct db_stmt *stmt = history_db_stmt(rollup->history, HISTORY_UNROLL);

    db_bind_i64(stmt, 1, point);
    db_bind_i64(stmt, 2, slot);
    return db_run(stmt, NULL, message);
}

int history_rollup_note(struct history_rollup *rollup, int64_t point, int64_t t_ms,
                        struct message *message)
{
    struct point_slots *slots = slots_of(rollup, point);
    int64_t slot = slot_of(t_ms);

    if (slot == NO_SLOT)
        return 0;
    if (slots == NULL)
        return unroll(rollup, point, slot, message);
    if (!slots->known) {
        int err = load(rollup, point, slot, slots, message);
        if (err != 0)
            return err;
    }
    if (slot > slots->rolled && slot >= slots->open) {
        if (slot > slots->open && slots->open > slots->rolled)
            wait_for_roll_up(rollup, point, slots->open);
        slots->open = slot;
        return 0;
    }
    if (slot == slots->late)
        return 0;
    slots->late = slot;
    wait_for_roll_up(rollup, point, slot);
    return slot <= slots->rolled ? unroll(rollup, point, slot, message) : 0;
}

static int roll_up(struct history_rollup *rollup, const struct waiting_slot *waiting,
                   struct message *message)
{
    struct db_stmt *stmt = history_db_stmt(rollup->history, HISTORY_ROLL_UP);
    struct point_slots *slots = slots_of(rollup, waiting->point);

    db_bind_i64(stmt, 1, waiting->point);
    db_bind_i64(stmt, 2, waiting->slot);
    db_bind_i64(stmt, 3, waiting->slot * HISTORY_SLOT_MS);
    db_bind_i64(stmt, 4, (waiting->slot + 1) * HISTORY_SLOT_MS);
    int err = db_run(stmt, NULL, message);
    if (err != 0 || slots == NULL)
        return err;
    slots->late = NO_SLOT;
    if (slots->rolled < waiting->slot)
        slots->rolled = waiting->slot;
    return 0;
}

int history_rollup_run(struct history_rollup *rollup, struct message *message)
{
    int err = 0;

    for (int i = 0; err == 0 && i < RUN_SLOTS && rollup->count > 0; i++) {
        struct waiting_slot waiting = rollup->waiting[rollup->first];
        rollup->first = (rollup->first + 1) & (rollup->waiting_capacity - 1);
        rollup->count--;
        err = roll_up(rollup, &waiting, message);
    }
    return err;
}
