#include "central/live.h"

#include "base/crypto.h"
#include "base/json.h"
#include "base/numbers.h"
#include "model/value_json.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EMPTY_SLOT SIZE_MAX

#define CLOCK_AHEAD_MS                                                        \
    5000 /* a source further ahead counts by the time of receipt (ALARMS Q11) \
          */

struct live_point {
    struct point_info info;
    bool has_sample;
    struct sample sample;
    int64_t order_ms; /* of the sample among others */
    uint64_t version;
};

struct live_alarm {
    char *json; /* NULL: none yet */
    size_t len;
    uint64_t version;
};

struct live {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char run[17];
    bool closed;
    uint64_t version;
    struct live_point *points;
    size_t point_count, point_capacity;
    size_t *slots; /* open addressing over points by id */
    size_t slot_count;
    struct live_alarm *alarms;
    size_t alarm_count;
    char *documents[LIVE_DOCUMENTS];
};

struct live *live_new(void)
{
    struct live *live = calloc(1, sizeof(*live));
    if (!live)
        return NULL;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&live->lock, NULL);
    pthread_cond_init(&live->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    uint8_t run[8];
    random_bytes(run, sizeof(run));
    print_hex(run, sizeof(run), live->run);
    return live;
}

void live_free(struct live *live)
{
    if (!live)
        return;
    for (size_t i = 0; i < live->alarm_count; i++)
        free(live->alarms[i].json);
    for (int i = 0; i < LIVE_DOCUMENTS; i++)
        free(live->documents[i]);
    free(live->points);
    free(live->slots);
    free(live->alarms);
    pthread_cond_destroy(&live->changed);
    pthread_mutex_destroy(&live->lock);
    free(live);
}

const char *live_run(const struct live *live)
{
    return live->run;
}

/* ---- points by id ---- */

/* FNV-1a, 64 bit. */
static uint64_t hash_id(const char *id)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *id; id++)
        hash = (hash ^ (unsigned char)*id) * 0x100000001b3u;
    return hash;
}

/* The slot of the id, or the empty one where it would stand. The table is never full. */
static size_t find_slot(const struct live *live, const char *id)
{
    size_t at = (size_t)(hash_id(id) & (live->slot_count - 1));
    while (live->slots[at] != EMPTY_SLOT && strcmp(live->points[live->slots[at]].info.id, id) != 0)
        at = (at + 1) & (live->slot_count - 1);
    return at;
}

/* Room for one more point: the table is at most half full. */
static int grow(struct live *live)
{
    if (live->point_count == LIVE_POINTS_MAX)
        return ERR_FULL;
    if (live->point_count < live->point_capacity)
        return 0;
    size_t capacity = live->point_capacity ? 2 * live->point_capacity : 256;
    struct live_point *points = realloc(live->points, capacity * sizeof(*points));
    if (!points)
        return ERR_NO_MEMORY;
    live->points = points;
    size_t *slots = malloc(2 * capacity * sizeof(*slots));
    if (!slots)
        return ERR_NO_MEMORY;
    free(live->slots);
    live->slots = slots;
    live->slot_count = 2 * capacity;
    live->point_capacity = capacity;
    for (size_t i = 0; i < live->slot_count; i++)
        slots[i] = EMPTY_SLOT;
    for (size_t i = 0; i < live->point_count; i++)
        slots[find_slot(live, points[i].info.id)] = i;
    return 0;
}

static int put_point(struct live *live, const struct point_info *info, int64_t *ret_place)
{
    int err = grow(live);
    if (err)
        return err;
    size_t slot = find_slot(live, info->id);
    bool known = live->slots[slot] != EMPTY_SLOT;
    size_t place = known ? live->slots[slot] : live->point_count;
    struct live_point *point = &live->points[place];
    if (!known) {
        *point = (struct live_point){0};
        live->slots[slot] = live->point_count++;
    }
    point->info = *info;
    *ret_place = (int64_t)place;
    return 0;
}

int live_put_point(struct live *live, const struct point_info *info, int64_t *ret_place)
{
    pthread_mutex_lock(&live->lock);
    int err = put_point(live, info, ret_place);
    pthread_mutex_unlock(&live->lock);
    return err;
}

int live_find_point(struct live *live, const char *id, struct point_info *ret_info)
{
    int err = ERR_NOT_FOUND;
    pthread_mutex_lock(&live->lock);
    size_t slot = live->slot_count ? find_slot(live, id) : 0;
    if (live->slot_count && live->slots[slot] != EMPTY_SLOT) {
        *ret_info = live->points[live->slots[slot]].info;
        err = 0;
    }
    pthread_mutex_unlock(&live->lock);
    return err;
}

/* ---- writing ---- */

void live_put_sample(struct live *live, int64_t place, const struct sample *sample,
                     int64_t received_ms)
{
    /* A clock that is ahead must not hide what comes after it. */
    int64_t order_ms = sample->t_ms > received_ms + CLOCK_AHEAD_MS ? received_ms : sample->t_ms;
    pthread_mutex_lock(&live->lock);
    struct live_point *point = &live->points[place];
    if (!point->has_sample || order_ms >= point->order_ms) {
        point->sample = *sample;
        point->order_ms = order_ms;
        point->has_sample = true;
        point->version = live->version + 1; /* told at the next publish */
    }
    pthread_mutex_unlock(&live->lock);
}

static int put_alarm(struct live *live, size_t index, char *json, size_t len)
{
    if (index >= live->alarm_count) {
        struct live_alarm *alarms = realloc(live->alarms, (index + 1) * sizeof(*alarms));
        if (!alarms)
            return ERR_NO_MEMORY;
        memset(alarms + live->alarm_count, 0, (index + 1 - live->alarm_count) * sizeof(*alarms));
        live->alarms = alarms;
        live->alarm_count = index + 1;
    }
    free(live->alarms[index].json);
    live->alarms[index] = (struct live_alarm){json, len, live->version + 1};
    return 0;
}

int live_put_alarm(struct live *live, size_t index, const char *json, size_t len)
{
    char *copy = strndup(json, len);
    if (!copy)
        return ERR_NO_MEMORY;
    pthread_mutex_lock(&live->lock);
    int err = put_alarm(live, index, copy, len);
    pthread_mutex_unlock(&live->lock);
    if (err)
        free(copy);
    return err;
}

int live_put_document(struct live *live, enum live_document document, const char *json, size_t len)
{
    char *copy = strndup(json, len);
    if (!copy)
        return ERR_NO_MEMORY;
    pthread_mutex_lock(&live->lock);
    free(live->documents[document]);
    live->documents[document] = copy;
    pthread_mutex_unlock(&live->lock);
    return 0;
}

void live_publish(struct live *live)
{
    pthread_mutex_lock(&live->lock);
    live->version++;
    pthread_cond_broadcast(&live->changed);
    pthread_mutex_unlock(&live->lock);
}

void live_close(struct live *live)
{
    pthread_mutex_lock(&live->lock);
    live->closed = true;
    pthread_cond_broadcast(&live->changed);
    pthread_mutex_unlock(&live->lock);
}

bool live_wait(struct live *live, uint64_t version, int64_t timeout_ms)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += timeout_ms / MS_PER_S;
    end.tv_nsec += timeout_ms % MS_PER_S * 1000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_nsec -= 1000000000;
        end.tv_sec++;
    }
    pthread_mutex_lock(&live->lock);
    int rc = 0;
    while (!live->closed && live->version <= version && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&live->changed, &live->lock, &end);
    bool open = !live->closed;
    pthread_mutex_unlock(&live->lock);
    return open;
}

/* ---- reading ---- */

static void write_text(struct json_writer *json, const char *key, const char *text)
{
    json_key(json, key);
    json_text(json, text);
}

static void write_time(struct json_writer *json, const char *key, int64_t wall_ms)
{
    char text[TIME_TEXT_SIZE];
    time_format_utc(wall_ms, text);
    write_text(json, key, text);
}

static void write_points(const struct live *live, struct json_writer *json)
{
    json_key(json, "points");
    json_begin_array(json);
    for (size_t i = 0; i < live->point_count; i++) {
        const struct point_info *info = &live->points[i].info;
        json_begin_object(json);
        write_text(json, "id", info->id);
        write_text(json, "name", info->name);
        write_text(json, "unit", info->unit);
        write_text(json, "type", info->type);
        write_text(json, "site", info->site);
        write_text(json, "class", info->class_);
        json_key(json, "interval_ms");
        json_i64(json, info->interval_ms);
        json_end_object(json);
    }
    json_end_array(json);
}

static void write_values(const struct live *live, uint64_t version, struct json_writer *json)
{
    json_key(json, "values");
    json_begin_array(json);
    for (size_t i = 0; i < live->point_count; i++) {
        const struct live_point *point = &live->points[i];
        if (!point->has_sample || point->version <= version)
            continue;
        json_begin_object(json);
        write_text(json, "point", point->info.id);
        write_time(json, "t", point->sample.t_ms);
        json_key(json, "value");
        value_write_json(json, &point->sample.value);
        write_text(json, "quality", quality_name(point->sample.quality));
        write_text(json, "cause", cause_name(point->sample.cause));
        json_end_object(json);
    }
    json_end_array(json);
}

/* How many alarms changed behind the version; writes them where `json` is given. */
static size_t write_alarms(const struct live *live, uint64_t version, struct json_writer *json)
{
    size_t count = 0;
    if (json) {
        json_key(json, "alarms");
        json_begin_array(json);
    }
    for (size_t i = 0; i < live->alarm_count; i++) {
        const struct live_alarm *alarm = &live->alarms[i];
        if (!alarm->json || alarm->version <= version)
            continue;
        count++;
        if (json)
            json_raw(json, alarm->json, alarm->len);
    }
    if (json)
        json_end_array(json);
    return count;
}

void live_write_points(struct live *live, struct buffer *out)
{
    struct json_writer json;
    json_writer_init(&json, out);
    pthread_mutex_lock(&live->lock);
    json_begin_object(&json);
    write_points(live, &json);
    json_end_object(&json);
    pthread_mutex_unlock(&live->lock);
}

void live_write_latest(struct live *live, struct now now, struct buffer *out)
{
    struct json_writer json;
    json_writer_init(&json, out);
    pthread_mutex_lock(&live->lock);
    json_begin_object(&json);
    write_time(&json, "now", now.wall_ms);
    write_values(live, 0, &json);
    json_end_object(&json);
    pthread_mutex_unlock(&live->lock);
}

void live_write_alarms(struct live *live, struct buffer *out)
{
    struct json_writer json;
    json_writer_init(&json, out);
    pthread_mutex_lock(&live->lock);
    json_begin_object(&json);
    write_alarms(live, 0, &json);
    json_end_object(&json);
    pthread_mutex_unlock(&live->lock);
}

/* Sites in the order of their first point, each with how many points it has. */
static void write_sites(const struct live *live, struct json_writer *json)
{
    for (size_t i = 0; i < live->point_count; i++) {
        const char *site = live->points[i].info.site;
        size_t before = 0, count = 0;
        for (size_t n = 0; n < live->point_count; n++) {
            bool same = strcmp(live->points[n].info.site, site) == 0;
            before += same && n < i;
            count += same;
        }
        if (before)
            continue;
        json_begin_object(json);
        write_text(json, "site", site);
        json_key(json, "points");
        json_u64(json, count);
        json_end_object(json);
    }
}

void live_write_sites(struct live *live, struct buffer *out)
{
    struct json_writer json;
    json_writer_init(&json, out);
    pthread_mutex_lock(&live->lock);
    json_begin_object(&json);
    json_key(&json, "sites");
    json_begin_array(&json);
    write_sites(live, &json);
    json_end_array(&json);
    json_end_object(&json);
    pthread_mutex_unlock(&live->lock);
}

void live_write_document(struct live *live, enum live_document document, struct buffer *out)
{
    static const char *const nothing[LIVE_DOCUMENTS] = {"{\"edges\":[]}", "{\"gaps\":[]}"};
    pthread_mutex_lock(&live->lock);
    const char *text = live->documents[document];
    buffer_append_text(out, text ? text : nothing[document]);
    pthread_mutex_unlock(&live->lock);
}

static void begin_event(const struct live *live, const char *event, struct buffer *out)
{
    buffer_printf(out, "event: %s\nid: %s-%" PRIu64 "\ndata: ", event, live->run, live->version);
}

void live_write_events(struct live *live, struct now now, uint64_t *version, struct buffer *out)
{
    struct json_writer json;
    json_writer_init(&json, out);
    pthread_mutex_lock(&live->lock);
    bool snapshot = *version == 0;
    if (snapshot || live->version > *version) {
        begin_event(live, snapshot ? "snapshot" : "samples", out);
        json_begin_object(&json);
        write_time(&json, "now", now.wall_ms);
        if (snapshot)
            write_points(live, &json);
        write_values(live, *version, &json);
        if (snapshot)
            write_alarms(live, 0, &json);
        json_end_object(&json);
        buffer_append_text(out, "\n\n");
    }
    if (!snapshot && write_alarms(live, *version, NULL)) {
        begin_event(live, "alarms", out);
        json_writer_init(&json, out);
        json_begin_object(&json);
        write_alarms(live, *version, &json);
        json_end_object(&json);
        buffer_append_text(out, "\n\n");
    }
    *version = live->version ? live->version : 1;
    if (!live->version)
        live->version = 1;
    pthread_mutex_unlock(&live->lock);
}
