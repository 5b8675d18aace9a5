/*
 * Design notes.
 *
 * The map keeps the CSV it was read from: descriptions and words are its cells. Rows are read one
 * by one (map_row.c); what only shows when all are known, names and overlaps, is judged after.
 */
#include "drivers/modbus/register_map.h"

#include "base/buffer.h"
#include "base/crypto.h"
#include "base/csv.h"
#include "base/files.h"
#include "base/numbers.h"
#include "drivers/modbus/map_overlap.h"
#include "drivers/modbus/map_reader.h"
#include "drivers/modbus/map_row.h"

#include <stdlib.h>
#include <string.h>

struct name_entry {
    const char *name;
    size_t index;
};

struct register_map {
    struct csv *csv;
    struct map_register *registers;
    struct name_entry *by_name; /* sorted */
    size_t count;
    size_t skipped;
    int clock; /* index, or -1 */
    char version[17];
};

/* ---- reading ---- */

static void take_clock(struct map_reader *reader, struct register_map *map)
{
    if (map->clock >= 0)
        map_reader_complain(reader, COLUMN_TIME, "a second clock; '%s' in line %zu is one already",
                            map->registers[map->clock].name, map->registers[map->clock].line);
    else
        map->clock = (int)map->count;
}

static int read_row(struct map_reader *reader, struct register_map *map)
{
    struct map_register *reg = &map->registers[map->count];
    enum map_row_kind kind = MAP_ROW_UNKNOWN;
    int err = map_row_read(reader, &kind, reg);

    if (err != 0 || kind == MAP_ROW_UNKNOWN)
        return err;
    if (kind == MAP_ROW_SKIPPED) {
        map->skipped++;
        return 0;
    }
    if (map_row_is_clock(reader, reg))
        take_clock(reader, map);
    map->count++;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const struct name_entry *left = a;
    const struct name_entry *right = b;
    int order = strcmp(left->name, right->name);

    if (order != 0)
        return order;
    return left->index < right->index ? -1 : left->index > right->index;
}

static void sort_names(struct map_reader *reader, struct register_map *map)
{
    for (size_t i = 0; i < map->count; i++)
        map->by_name[i] = (struct name_entry){.name = map->registers[i].name, .index = i};
    if (map->count > 0)
        qsort(map->by_name, map->count, sizeof map->by_name[0], by_name);
    for (size_t i = 1; i < map->count; i++) {
        const struct map_register *first = &map->registers[map->by_name[i - 1].index];
        const struct map_register *again = &map->registers[map->by_name[i].index];
        if (*again->name != '\0' && strcmp(first->name, again->name) == 0)
            map_reader_complain_at(reader, again->line, 1, "name '%s' stands in line %zu already",
                                   again->name, first->line);
    }
}

static int check_overlaps(struct map_reader *reader, const struct register_map *map)
{
    size_t *targets = calloc(map->count + 1, sizeof targets[0]);
    int err = targets == NULL ? ERR_NO_MEMORY : 0;

    for (size_t i = 0; err == 0 && i < map->count; i++) {
        int target = register_map_find(map, map->registers[i].view);
        targets[i] = target < 0 ? i : (size_t)target;
    }
    if (err == 0)
        err = map_overlap_check(reader, map->registers, targets, map->count);
    free(targets);
    return err;
}

static int read_table(struct map_reader *reader, struct register_map *map)
{
    size_t rows = csv_rows(reader->csv);
    int err = 0;

    if (rows > REGISTER_MAP_MAX_ROWS) {
        map_reader_complain_at(reader, csv_line(reader->csv, REGISTER_MAP_MAX_ROWS), 1,
                               "more than %d rows", REGISTER_MAP_MAX_ROWS);
        return ERR_INVALID;
    }
    map->registers = calloc(rows + 1, sizeof map->registers[0]);
    map->by_name = calloc(rows + 1, sizeof map->by_name[0]);
    if (map->registers == NULL || map->by_name == NULL)
        return ERR_NO_MEMORY;
    map_reader_header(reader);
    if (reader->mistakes > 0)
        return ERR_INVALID;
    for (reader->row = 0; err == 0 && reader->row < rows; reader->row++)
        err = read_row(reader, map);
    sort_names(reader, map);
    if (err == 0)
        err = check_overlaps(reader, map);
    return err == 0 && reader->mistakes > 0 ? ERR_INVALID : err;
}

int register_map_parse(const char *file, const void *bytes, size_t len,
                       struct register_map **ret_map, struct config_errors *errors)
{
    struct map_reader reader = {.file = file, .errors = errors};
    struct register_map *map = calloc(1, sizeof *map);
    uint8_t digest[SHA256_SIZE];
    struct message message = {""};
    int err = ERR_NO_MEMORY;

    if (map == NULL)
        return ERR_NO_MEMORY;
    map->clock = -1;
    sha256(bytes, len, digest);
    print_hex(digest, 8, map->version);
    err = csv_parse(bytes, len, &map->csv, &message);
    if (err != 0) {
        map_reader_pass_on(&reader, message.text);
        err = err == ERR_NO_MEMORY ? err : ERR_INVALID;
        goto out;
    }
    reader.csv = map->csv;
    err = read_table(&reader, map);
    if (err != 0)
        goto out;
    *ret_map = map;
    map = NULL;
out:
    register_map_free(map);
    return err;
}

int register_map_read(const char *path, struct register_map **ret_map, struct config_errors *errors)
{
    struct map_reader reader = {.file = path, .errors = errors};
    struct buffer bytes;
    struct message message = {""};
    int err;

    buffer_init(&bytes, REGISTER_MAP_MAX_BYTES);
    err = file_read(path, &bytes, &message);
    if (err != 0) {
        map_reader_complain_at(&reader, 1, 1, "%s", message.text);
        err = err == ERR_NO_MEMORY ? err : ERR_INVALID;
        goto out;
    }
    err = register_map_parse(path, buffer_text(&bytes), bytes.len, ret_map, errors);
out:
    buffer_release(&bytes);
    return err;
}

void register_map_free(struct register_map *map)
{
    if (map == NULL)
        return;
    csv_free(map->csv);
    for (size_t i = 0; i < map->count; i++)
        free((void *)(uintptr_t)map->registers[i].enum_words);
    free(map->registers);
    free(map->by_name);
    free(map);
}

size_t register_map_count(const struct register_map *map)
{
    return map->count;
}

const struct map_register *register_map_at(const struct register_map *map, size_t index)
{
    return &map->registers[index];
}

int register_map_find(const struct register_map *map, const char *name)
{
    size_t low = 0;
    size_t high = map->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, map->by_name[middle].name);
        if (order == 0)
            return (int)map->by_name[middle].index;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return -1;
}

int register_map_clock(const struct register_map *map)
{
    return map->clock;
}

const char *register_map_version(const struct register_map *map)
{
    return map->version;
}

size_t register_map_skipped(const struct register_map *map)
{
    return map->skipped;
}
