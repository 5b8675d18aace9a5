#include "service/totals.h"

#include "base/buffer.h"
#include "base/csv.h"
#include "base/files.h"
#include "base/numbers.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX (16 * 1024 * 1024)
#define SAVE_EVERY_US  (10 * 60 * (int64_t)US_PER_S)

struct entry {
    uint32_t point;
    double modulus;
    struct totaliser live;  /* the poller's */
    struct totaliser noted; /* guarded by the lock */
    struct totaliser saved; /* the saver's */
};

struct totals {
    struct entry **entries; /* by point; each stays where it is */
    size_t count;
    pthread_mutex_t lock;
    int64_t saved_us;
    bool unsaved; /* the last write failed */
};

int totals_new(struct totals **ret_totals)
{
    struct totals *totals = calloc(1, sizeof(*totals));
    if (!totals)
        return ERR_NO_MEMORY;
    pthread_mutex_init(&totals->lock, NULL);
    *ret_totals = totals;
    return 0;
}

void totals_free(struct totals *totals)
{
    if (!totals)
        return;
    for (size_t i = 0; i < totals->count; i++)
        free(totals->entries[i]);
    free(totals->entries);
    pthread_mutex_destroy(&totals->lock);
    free(totals);
}

int totals_add(struct totals *totals, uint32_t point, double modulus,
               struct totaliser **ret_totaliser)
{
    if (!(modulus > 0)) {
        *ret_totaliser = NULL;
        return 0;
    }
    struct entry **entries = realloc(totals->entries, (totals->count + 1) * sizeof(struct entry *));
    if (!entries)
        return ERR_NO_MEMORY;
    totals->entries = entries;
    struct entry *entry = calloc(1, sizeof(*entry));
    if (!entry)
        return ERR_NO_MEMORY;
    entry->point = point;
    entry->modulus = modulus;
    entries[totals->count++] = entry;
    *ret_totaliser = &entry->live;
    return 0;
}

/* ---- the file ---- */

/* A row of "point,turn,count,before"; false when it is none. */
static bool read_row(const struct csv *csv, size_t row, double *ret_turn,
                     struct totaliser *ret_state)
{
    struct totaliser state = {.known = true};
    if (parse_double(csv_cell(csv, row, 1), ret_turn) ||
        parse_double(csv_cell(csv, row, 2), &state.count) ||
        parse_double(csv_cell(csv, row, 3), &state.before))
        return false;
    *ret_state = state;
    return true;
}

/* A point that is not polled any more is passed over; one whose turn is another begins anew. */
static void take_up(struct totals *totals, const struct point_info *points, const char *id,
                    double turn, const struct totaliser *state)
{
    for (size_t i = 0; i < totals->count; i++) {
        struct entry *entry = totals->entries[i];
        if (strcmp(points[entry->point].id, id) == 0 && double_same(entry->modulus, turn))
            entry->live = entry->noted = entry->saved = *state; /* the poller has not begun */
    }
}

int totals_load(struct totals *totals, const struct point_info *points, const char *folder,
                struct message *message)
{
    char path[FILE_PATH_SIZE];
    struct buffer bytes;
    struct csv *csv = NULL;
    buffer_init(&bytes, FILE_BYTES_MAX);
    int err = path_join(folder, TOTALS_FILE, path);
    if (!err)
        err = file_read(path, &bytes, message);
    if (!err)
        err = csv_parse(buffer_text(&bytes), bytes.len, &csv, message);
    for (size_t row = 0; !err && row < csv_rows(csv); row++) {
        struct totaliser state;
        double turn;
        if (read_row(csv, row, &turn, &state))
            take_up(totals, points, csv_cell(csv, row, 0), turn, &state);
        else
            err = message_set(message, ERR_INVALID, "%s:%zu: expected point,turn,count,before",
                              path, csv_line(csv, row));
    }
    csv_free(csv);
    buffer_release(&bytes);
    return err;
}

static void write_row(struct buffer *out, const char *id, const struct entry *entry)
{
    char turn[NUMBER_TEXT_SIZE], count[NUMBER_TEXT_SIZE], before[NUMBER_TEXT_SIZE];
    print_double(entry->modulus, turn);
    print_double(entry->saved.count, count);
    print_double(entry->saved.before, before);
    buffer_printf(out, "%s,%s,%s,%s\n", id, turn, count, before);
}

/* ---- the poller's thread ---- */

static int by_point(const void *key, const void *element)
{
    uint32_t point = *(const uint32_t *)key;
    const struct entry *entry = *(struct entry *const *)element;
    return point < entry->point ? -1 : point > entry->point;
}

void totals_note(struct totals *totals, const struct sample *samples, size_t count)
{
    for (size_t i = 0; totals->count && i < count; i++) {
        struct entry **found = bsearch(&samples[i].point, totals->entries, totals->count,
                                       sizeof(struct entry *), by_point);
        if (!found)
            continue;
        pthread_mutex_lock(&totals->lock);
        (*found)->noted = (*found)->live;
        pthread_mutex_unlock(&totals->lock);
    }
}

/* ---- the saver's ---- */

/* Is anything new, and does it wait? A turn or another meter does not. */
static bool is_due(struct totals *totals, struct now now, bool all)
{
    bool fresh = false, urgent = totals->unsaved;
    pthread_mutex_lock(&totals->lock);
    for (size_t i = 0; i < totals->count; i++) {
        const struct totaliser *noted = &totals->entries[i]->noted;
        const struct totaliser *saved = &totals->entries[i]->saved;
        urgent |= noted->known != saved->known || !double_same(noted->before, saved->before);
        fresh |= !double_same(noted->count, saved->count);
    }
    pthread_mutex_unlock(&totals->lock);
    return urgent || (fresh && (all || now.mono_us - totals->saved_us >= SAVE_EVERY_US));
}

static void write_rows(struct totals *totals, const struct point_info *points, struct buffer *out)
{
    buffer_append_text(out, "point,turn,count,before\n");
    pthread_mutex_lock(&totals->lock);
    for (size_t i = 0; i < totals->count; i++) {
        struct entry *entry = totals->entries[i];
        entry->saved = entry->noted;
        if (entry->saved.known)
            write_row(out, points[entry->point].id, entry);
    }
    pthread_mutex_unlock(&totals->lock);
}

int totals_save(struct totals *totals, const struct point_info *points, const char *folder,
                struct now now, bool all, struct message *message)
{
    char path[FILE_PATH_SIZE];
    struct buffer out;
    if (!is_due(totals, now, all))
        return 0;
    buffer_init(&out, FILE_BYTES_MAX);
    write_rows(totals, points, &out);
    int err = buffer_error(&out);
    if (!err)
        err = path_join(folder, TOTALS_FILE, path);
    if (!err)
        err = file_write(path, out.data, out.len, 0600, message);
    totals->unsaved = err != 0;
    totals->saved_us = now.mono_us;
    buffer_release(&out);
    return err;
}
