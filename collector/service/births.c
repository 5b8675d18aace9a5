#include "service/births.h"

#include <stdlib.h>
#include <string.h>

void births_init(struct births *births)
{
    *births = (struct births){0};
}

void births_clear(struct births *births)
{
    for (size_t i = 0; i < births->count; i++)
        free(births->list[i]);
    births->count = births->next = 0;
}

void births_release(struct births *births)
{
    births_clear(births);
    free(births->list);
    births->list = NULL;
}

static const struct birth *find(const struct births *births, const char *name)
{
    for (size_t i = births->count; i-- > 0;)
        if (strcmp(births->list[i]->name, name) == 0)
            return births->list[i];
    return NULL;
}

/* Puts it in a free place, or in that of the oldest. */
static int keep(struct births *births, struct birth *birth)
{
    if (!births->list)
        births->list = calloc(BIRTHS_MAX, sizeof(struct birth *));
    if (!births->list)
        return ERR_NO_MEMORY;
    if (births->count < BIRTHS_MAX) {
        births->list[births->count++] = birth;
        return 0;
    }
    free(births->list[births->next]);
    births->list[births->next] = birth;
    births->next = (births->next + 1) % BIRTHS_MAX;
    return 0;
}

int births_add(struct births *births, const char *name, const struct record *record,
               const struct births_source *source, struct message *message)
{
    if (find(births, name))
        return 0;
    struct birth *birth = calloc(1, sizeof(*birth));
    if (!birth)
        return message_set(message, ERR_NO_MEMORY, "birth: out of memory");
    memcpy(birth->name, name, BIRTH_SIZE);
    int err = 0;
    for (size_t i = 0; !err && i < record->point_count && i < RECORD_MAX_POINTS; i++) {
        err = source->number(source->self, &record->points[i], &birth->numbers[i], message);
        birth->count++;
    }
    if (!err)
        err = keep(births, birth);
    if (err)
        free(birth);
    return err;
}

int births_get(struct births *births, const char *name, const struct births_source *source,
               const struct birth **ret_birth, struct message *message)
{
    const struct birth *birth = find(births, name);
    if (!birth) {
        struct buffer payload;
        struct record record;
        buffer_init(&payload, RECORD_MAX_BYTES);
        int err = source->load(source->self, name, &payload, message);
        if (!err)
            err = record_parse(payload.data, payload.len, &record, message);
        if (!err) {
            err = births_add(births, name, &record, source, message);
            record_release(&record);
        }
        buffer_release(&payload);
        if (err)
            return err;
        birth = find(births, name);
    }
    *ret_birth = birth;
    return 0;
}
