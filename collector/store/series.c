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
}

void series_clear(struct series_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->list[i].head);
    table->count = 0;
    point_cache_clear(&table->numbers);
}

void series_release(struct series_table *table)
{
    series_clear(table);
    free(table->list);
    point_cache_release(&table->numbers);
    *table = (struct series_table){0};
}

void series_forget_stamps(struct series_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        table->list[i].stamps = (struct stamps){0};
}

static int make_room(struct series_table *table)
{
    if (table->count < table->capacity)
        return 0;
    size_t capacity = table->capacity ? 2 * table->capacity : FIRST_CAPACITY;
    struct series *list = realloc(table->list, capacity * sizeof(*list));
    if (!list)
        return ERR_NO_MEMORY;
    table->list = list;
    table->capacity = capacity;
    return 0;
}

/* Takes the head's text over where it succeeds. */
static int add(struct series_table *table, struct buffer *head, int64_t *ret_number)
{
    int64_t number = (int64_t)table->count;
    int err = make_room(table);
    if (!err)
        point_cache_put(&table->numbers, head->data, number, 0);
    if (err || !point_cache_find(&table->numbers, head->data))
        return ERR_NO_MEMORY;
    table->list[table->count++] = (struct series){.head = head->data, .len = head->len};
    *head = (struct buffer){0};
    *ret_number = number;
    return 0;
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
        err = add(table, &head, ret_number);
    buffer_release(&head);
    return err ? message_set(message, err, "the series of %s: %s", point->id, err_name(err)) : 0;
}
