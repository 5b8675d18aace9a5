#include "store/series.h"

#include "base/buffer.h"
#include "model/line_protocol.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 256

void series_init(struct series_table *table)
{
    *table = (struct series_table){0};
    point_cache_init(&table->numbers, SERIES_MAX);
    point_cache_init(&table->point_numbers, SERIES_MAX);
}

void series_clear(struct series_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->list[i].head);
    table->count = table->point_count = 0;
    point_cache_clear(&table->numbers);
    point_cache_clear(&table->point_numbers);
}

void series_release(struct series_table *table)
{
    series_clear(table);
    free(table->list);
    free(table->points);
    point_cache_release(&table->numbers);
    point_cache_release(&table->point_numbers);
    *table = (struct series_table){0};
}

/* Room for one more of `size` bytes in a list that may move. */
static int make_room(void **list, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return 0;
    size_t wanted = *capacity ? 2 * *capacity : FIRST_CAPACITY;
    void *larger = reallocarray(*list, wanted, size);
    if (!larger)
        return ERR_NO_MEMORY;
    *list = larger;
    *capacity = wanted;
    return 0;
}

/* The place of the point's stamps, made on first sight. There are no more points than series. */
static int find_point(struct series_table *table, const char *id, size_t *ret_place)
{
    const struct point_cache_entry *entry = point_cache_find(&table->point_numbers, id);
    if (entry) {
        *ret_place = (size_t)entry->id;
        return 0;
    }
    void *list = table->points;
    int err = make_room(&list, table->point_count, &table->point_capacity, sizeof(*table->points));
    table->points = list;
    if (err)
        return err;
    point_cache_put(&table->point_numbers, id, (int64_t)table->point_count, 0);
    entry = point_cache_find(&table->point_numbers, id);
    if (!entry)
        return ERR_NO_MEMORY;
    table->points[table->point_count] = (struct stamp_point){.id = entry->point};
    *ret_place = table->point_count++;
    return 0;
}

/* Takes the head's text over where it succeeds. */
static int add(struct series_table *table, const char *id, struct buffer *head, int64_t *ret_number)
{
    int64_t number = (int64_t)table->count;
    size_t point = 0;
    void *list = table->list;
    int err = make_room(&list, table->count, &table->capacity, sizeof(*table->list));
    table->list = list;
    if (!err)
        err = find_point(table, id, &point);
    if (!err)
        point_cache_put(&table->numbers, head->data, number, 0);
    if (err || !point_cache_find(&table->numbers, head->data))
        return ERR_NO_MEMORY;
    table->list[table->count++] =
        (struct series){.head = head->data, .len = head->len, .point = point};
    *head = (struct buffer){0};
    *ret_number = number;
    return 0;
}

struct stamp_point *series_stamps(struct series_table *table, const struct series *series)
{
    return &table->points[series->point];
}

int series_number(struct series_table *table, const struct point_info *point, int64_t *ret_number,
                  struct message *message)
{
    struct buffer head;
    buffer_init(&head, LINE_HEAD_MAX);
    line_head_append(&head, point);
    int err = buffer_error(&head);
    const struct point_cache_entry *entry =
        err ? NULL : point_cache_find(&table->numbers, head.data);
    if (entry)
        *ret_number = entry->id;
    else if (!err && table->count == SERIES_MAX)
        err = ERR_FULL;
    else if (!err)
        err = add(table, point->id, &head, ret_number);
    buffer_release(&head);
    return err ? message_set(message, err, "the series of %s: %s", point->id, err_name(err)) : 0;
}
