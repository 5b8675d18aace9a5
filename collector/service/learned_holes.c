#include "service/learned_holes.h"

#include "base/buffer.h"
#include "base/files.h"
#include "base/numbers.h"
#include "base/text.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER     "chengmai holes 1"
#define FILE_BYTES (4 * 1024 * 1024)
#define WORDS      6
#define MAP_SIZE   17

struct hole {
    char link[65];
    char map[MAP_SIZE];
    int unit;
    struct plan_cut cut;
    bool used; /* by a unit that there is */
};

struct learned_holes {
    char path[FILE_PATH_SIZE];
    struct hole *list;
    size_t count;
    size_t unreadable;
    size_t no_room;
    bool changed;
    pthread_mutex_t lock; /* of list, count, no_room, changed */
};

int learned_holes_path(const char *journal, char *ret_path, size_t size)
{
    int len = snprintf(ret_path, size, "%s.holes", journal);
    return len < 0 || (size_t)len >= size ? ERR_FULL : 0;
}

/* ---- reading ---- */

/* "LINK UNIT MAP FUNCTION BELOW FROM" */
static int parse_line(char *line, struct hole *ret_hole)
{
    char *words[WORDS];
    struct hole hole = {.used = false};
    int64_t unit, function, below, from;
    for (size_t i = 0; i < WORDS; i++) {
        words[i] = line;
        line = strchr(line, ' ');
        if (!line != (i == WORDS - 1))
            return ERR_INVALID;
        if (line)
            *line++ = '\0';
    }
    if (!text_is_name(words[0]) || text_copy(hole.link, sizeof(hole.link), words[0]) ||
        parse_i64(words[1], 0, 255, &unit) || strlen(words[2]) != MAP_SIZE - 1 ||
        text_copy(hole.map, sizeof(hole.map), words[2]) || parse_i64(words[3], 1, 4, &function) ||
        parse_i64(words[4], 0, 65536, &below) || parse_i64(words[5], below, 65536, &from))
        return ERR_INVALID;
    hole.unit = (int)unit;
    hole.cut = (struct plan_cut){
        .function = (uint8_t)function, .below = (uint32_t)below, .from = (uint32_t)from};
    *ret_hole = hole;
    return 0;
}

static int add(struct learned_holes *holes, const struct hole *hole)
{
    if (holes->count == LEARNED_HOLES_MAX)
        return ERR_FULL;
    struct hole *list = realloc(holes->list, (holes->count + 1) * sizeof(*list));
    if (!list)
        return ERR_NO_MEMORY;
    holes->list = list;
    list[holes->count++] = *hole;
    return 0;
}

static void parse(struct learned_holes *holes, char *text)
{
    bool first = true;
    while (*text) {
        char *end = strchr(text, '\n');
        struct hole hole;
        if (end)
            *end = '\0';
        if (!first || strcmp(text, HEADER) != 0)
            holes->unreadable +=
                first || !end || parse_line(text, &hole) || add(holes, &hole) ? 1 : 0;
        first = false;
        text = end ? end + 1 : text + strlen(text);
    }
}

int learned_holes_open(const char *path, struct learned_holes **ret_holes, struct message *message)
{
    struct learned_holes *holes = calloc(1, sizeof(*holes));
    struct buffer bytes;
    if (!holes || text_copy(holes->path, sizeof(holes->path), path)) {
        free(holes);
        return message_set(message, ERR_NO_MEMORY, "%s: out of memory", path);
    }
    pthread_mutex_init(&holes->lock, NULL);
    buffer_init(&bytes, FILE_BYTES);
    int err = file_read(path, &bytes, message);
    if (!err && bytes.data) {
        holes->unreadable += strlen(bytes.data) != bytes.len ? 1 : 0;
        parse(holes, bytes.data);
    }
    buffer_release(&bytes);
    if (err && err != ERR_NOT_FOUND) {
        learned_holes_free(holes);
        return err;
    }
    *ret_holes = holes;
    return 0;
}

void learned_holes_free(struct learned_holes *holes)
{
    if (!holes)
        return;
    pthread_mutex_destroy(&holes->lock);
    free(holes->list);
    free(holes);
}

size_t learned_holes_unreadable(const struct learned_holes *holes)
{
    return holes->unreadable;
}

size_t learned_holes_no_room(struct learned_holes *holes)
{
    pthread_mutex_lock(&holes->lock);
    size_t no_room = holes->no_room;
    pthread_mutex_unlock(&holes->lock);
    return no_room;
}

/* ---- knowing ---- */

static bool is_of(const struct hole *hole, const char *link, int unit, const char *map)
{
    return hole->unit == unit && strcmp(hole->link, link) == 0 && strcmp(hole->map, map) == 0;
}

size_t learned_holes_of(struct learned_holes *holes, const char *link, int unit, const char *map,
                        struct plan_cut *ret_cuts, size_t most)
{
    size_t count = 0;
    pthread_mutex_lock(&holes->lock);
    for (size_t i = 0; i < holes->count && count < most; i++)
        if (is_of(&holes->list[i], link, unit, map)) {
            holes->list[i].used = true;
            ret_cuts[count++] = holes->list[i].cut;
        }
    pthread_mutex_unlock(&holes->lock);
    return count;
}

bool learned_holes_note(struct learned_holes *holes, const char *link, int unit, const char *map,
                        const struct plan_cut *cut)
{
    struct hole hole = {.unit = unit, .cut = *cut, .used = true};
    bool news = !text_copy(hole.link, sizeof(hole.link), link) &&
                !text_copy(hole.map, sizeof(hole.map), map);
    pthread_mutex_lock(&holes->lock);
    for (size_t i = 0; news && i < holes->count; i++) {
        const struct plan_cut *known = &holes->list[i].cut;
        news = !is_of(&holes->list[i], link, unit, map) || known->function != cut->function ||
               known->below != cut->below || known->from != cut->from;
    }
    if (news && add(holes, &hole)) {
        holes->no_room++;
        news = false;
    }
    holes->changed |= news;
    pthread_mutex_unlock(&holes->lock);
    return news;
}

int learned_holes_save(struct learned_holes *holes, struct message *message)
{
    struct buffer out;
    pthread_mutex_lock(&holes->lock);
    bool changed = holes->changed;
    holes->changed = false;
    buffer_init(&out, FILE_BYTES);
    buffer_append_text(&out, HEADER "\n");
    for (size_t i = 0; changed && i < holes->count; i++) {
        const struct hole *hole = &holes->list[i];
        if (hole->used)
            buffer_printf(&out, "%s %d %s %d %u %u\n", hole->link, hole->unit, hole->map,
                          hole->cut.function, hole->cut.below, hole->cut.from);
    }
    pthread_mutex_unlock(&holes->lock);
    int err = 0;
    if (changed)
        err = buffer_error(&out) ? message_set(message, ERR_NO_MEMORY, "out of memory")
                                 : file_write(holes->path, out.data, out.len, 0600, message);
    buffer_release(&out);
    if (err) {
        pthread_mutex_lock(&holes->lock);
        holes->changed = true;
        pthread_mutex_unlock(&holes->lock);
    }
    return err;
}
